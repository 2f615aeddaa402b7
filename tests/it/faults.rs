//! What goes wrong between a scan and its registry, at each thing that is fetched: the report is the same as without, or the error
//! says what happened and what to do, in bounded time.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use tidewaiter::conformance::image::{BuiltImage, ImageBuilder, Layer};
use tidewaiter::conformance::registry::{Auth, Options, TestRegistry};
use tidewaiter::model::digest::Digest;
use tidewaiter::registry::{Credential, Registry, Secret};
use tidewaiter::{Context, Error, Kind, Result, ScanOptions, Scanner};

use self::Outcome::{Same, Told};
use crate::images::noise_bytes;
use crate::proxy::At::{Body, Middle, Start};
use crate::proxy::Fault::{Answer, Ask, Break, Drip, Flip, Raw, Redirect, Say};
use crate::proxy::How::{Close, Reset, Stall};
use crate::proxy::{Fault, Proxy};

const USER: &str = "alice";
const PASSWORD: &str = "planted-s3cret-0451";
/// The time-out of a scan, for an answer and between two pieces of one, where something stands still on purpose.
const SHORT: Duration = Duration::from_secs(1);
/// The time-out of all others, so that nothing depends on how busy the machine is.
const LONG: Duration = Duration::from_secs(15);
/// What no scan takes. On an idle machine none takes ten seconds: five attempts of a second, and the waits between them, which are
/// less than four.
const BOUND: Duration = Duration::from_secs(45);
/// Requests for one thing: five attempts, or one and five redirects. The challenge is that of the ping.
const REQUESTS: usize = 6;
const ALWAYS: usize = usize::MAX;

/// What comes of a scan.
#[derive(Clone, Copy)]
enum Outcome {
    /// The report that there is without a fault.
    Same,
    /// An error of this kind that says this.
    Told(Kind, &'static str),
}

const BROKE: Outcome = Told(Kind::Unavailable, "the connection broke");
const SILENT: Outcome = Told(Kind::Unavailable, "no answer within 1 s");
const DOWN: Outcome = Told(Kind::Unavailable, "cannot answer now");
const STRANGE: Outcome = Told(Kind::Unavailable, "is not HTTP");
const OTHER: Outcome = Told(Kind::Corrupt, "not what its digest says");
const LENGTH: Outcome = Told(Kind::Corrupt, "not as long as its descriptor says");
const REFUSED: Outcome = Told(Kind::Unsupported, "refuses the request");
const DENIED: Outcome = Told(Kind::PermissionDenied, "the credentials do not allow this");
const LOOP: Outcome = Told(Kind::Unsupported, "too many redirects");
const LIMITED: Outcome = Told(Kind::RateLimited, "too many requests");

fn told(kind: Kind, words: &'static str) -> Outcome {
    Told(kind, words)
}

fn nothing() -> String {
    String::new()
}

fn in_two_seconds() -> String {
    let at = jiff::Timestamp::now() + Duration::from_secs(2);
    format!("retry-after: {}", at.strftime("%a, %d %b %Y %H:%M:%S GMT"))
}

fn longer(length: Option<&str>) -> Option<String> {
    Some((length?.parse::<u64>().ok()? + 10).to_string())
}

fn shorter(length: Option<&str>) -> Option<String> {
    Some((length?.parse::<u64>().ok()? - 10).to_string())
}

fn of_one_byte(range: Option<&str>) -> Option<String> {
    Some(format!("{}/1", range?.split('/').next()?))
}

/// Ten bytes from where a blob is to be resumed.
fn first_of(range: Option<&str>) -> Option<String> {
    let start: u64 = range?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()?;
    Some(format!("bytes={start}-{}", start + 9))
}

/// A case: what goes wrong, how often and how, and what comes of it at the manifest, at the configuration and at a layer.
type Row = (&'static str, Vec<(usize, Fault)>, [Outcome; 3]);

#[rustfmt::skip]
fn table() -> Vec<Row> {
    let cut = || (1, Break(Middle, Close));
    vec![
        // Connections that break.
        ("no answer, once",                       vec![(1, Break(Start, Close))],                    [Same; 3]),
        ("no answer, always",                     vec![(ALWAYS, Break(Start, Close))],               [BROKE; 3]),
        ("a reset for an answer, thrice",         vec![(3, Break(Start, Reset))],                    [Same; 3]),
        ("a reset for an answer, always",         vec![(ALWAYS, Break(Start, Reset))],               [BROKE; 3]),
        ("cut behind the headers, once",          vec![(1, Break(Body, Close))],                     [Same; 3]),
        ("cut in the middle, once",               vec![cut()],                                       [Same; 3]),
        ("cut in the middle, always",             vec![(ALWAYS, Break(Middle, Close))],              [BROKE; 3]),
        ("reset in the middle, twice",            vec![(2, Break(Middle, Reset))],                   [Same; 3]),
        ("reset in the middle, always",           vec![(ALWAYS, Break(Middle, Reset))],              [BROKE; 3]),
        // Connections that stand still.
        ("silence, once",                         vec![(1, Break(Start, Stall))],                    [Same; 3]),
        ("silence, always",                       vec![(ALWAYS, Break(Start, Stall))],               [SILENT; 3]),
        ("a stall behind the headers, once",      vec![(1, Break(Body, Stall))],                     [Same; 3]),
        ("a stall in the middle, once",           vec![(1, Break(Middle, Stall))],                   [Same; 3]),
        ("a stall in the middle, always",         vec![(ALWAYS, Break(Middle, Stall))],              [SILENT; 3]),
        ("slow, but never still",                 vec![(1, Drip(SHORT / 10))],                       [Same; 3]),
        // Lengths that are wrong.
        ("Content-Length too short",              vec![(1, Say("content-length", shorter))],         [OTHER, LENGTH, LENGTH]),
        ("Content-Length too long, once",         vec![(1, Say("content-length", longer))],          [Same, LENGTH, LENGTH]),
        ("Content-Length too long, always",       vec![(ALWAYS, Say("content-length", longer))],     [BROKE, LENGTH, LENGTH]),
        ("no Content-Length",                     vec![(ALWAYS, Say("content-length", |_| None))],   [Same; 3]),
        ("nothing, with 200",                     vec![(1, Answer(200, nothing))],                   [told(Kind::Corrupt, "manifest"), LENGTH, LENGTH]),
        // What is not what it should be.
        ("another byte",                          vec![(1, Flip)],                                   [OTHER; 3]),
        ("a web page",                            vec![(1, Answer(200, || "content-type: text/html".into()))], [told(Kind::Unsupported, "a web page"), LENGTH, LENGTH]),
        ("another protocol, once",                vec![(1, Raw(|| b"SSH-2.0-OpenSSH_9.6\r\n".into()))], [Same; 3]),
        ("another protocol, always",              vec![(ALWAYS, Raw(|| b"SSH-2.0-OpenSSH_9.6\r\n".into()))], [STRANGE; 3]),
        ("headers without an end",                vec![(ALWAYS, Raw(|| format!("HTTP/1.1 200 OK\r\n{}", "x: y\r\n".repeat(1 << 17)).into()))], [told(Kind::Unavailable, "headers of the answer are too long"); 3]),
        // Statuses that may pass.
        ("500, once",                             vec![(1, Answer(500, nothing))],                   [Same; 3]),
        ("502, twice",                            vec![(2, Answer(502, nothing))],                   [Same; 3]),
        ("503, four times",                       vec![(4, Answer(503, nothing))],                   [Same; 3]),
        ("503, always",                           vec![(ALWAYS, Answer(503, nothing))],              [DOWN; 3]),
        ("500, 502 and 503 in turn",              vec![(1, Answer(500, nothing)), (1, Answer(502, nothing)), (1, Answer(503, nothing))], [Same; 3]),
        ("429 for a second",                      vec![(1, Answer(429, || "retry-after: 1".into()))], [Same; 3]),
        ("429 until a date",                      vec![(1, Answer(429, in_two_seconds))],            [Same; 3]),
        ("429 for an hour",                       vec![(ALWAYS, Answer(429, || "retry-after: 3600".into()))], [LIMITED; 3]),
        ("503 for a second",                      vec![(1, Answer(503, || "retry-after: 1".into()))], [Same; 3]),
        // Statuses that do not.
        ("404",                                   vec![(ALWAYS, Answer(404, nothing))],              [told(Kind::NotFound, "no such image"), told(Kind::NotFound, "does not have this blob"), told(Kind::NotFound, "does not have this blob")]),
        ("403",                                   vec![(ALWAYS, Answer(403, nothing))],              [DENIED; 3]),
        // Redirects.
        ("a redirect to itself, thrice",          vec![(3, Redirect(String::new()))],                [Same; 3]),
        ("a redirect to itself, always",          vec![(ALWAYS, Redirect(String::new()))],           [LOOP; 3]),
        ("a redirect to a host that is not there", vec![(1, Redirect("http://registry.invalid".into()))], [told(Kind::Unavailable, "does not resolve"); 3]),
        ("a redirect to a file",                  vec![(1, Redirect("file://".into()))],             [told(Kind::Unsupported, "no http address"); 3]),
        // Tokens that end in the middle of a pull.
        // The token of the manifest is a new one: who refuses that means it.
        ("401, once",                             vec![(1, Ask("authorization", |_| None))],         [DENIED, Same, Same]),
        ("401, always",                           vec![(ALWAYS, Ask("authorization", |_| None))],    [DENIED; 3]),
        ("401 where a cut blob is resumed",       vec![cut(), (1, Ask("authorization", |_| None))],  [Same; 3]),
        // Blobs that are resumed. Manifests are not: they come again as a whole.
        ("a range that is not understood",        vec![cut(), (1, Ask("range", |_| None))],          [Same; 3]),
        ("a range that nobody asked for",         vec![(1, Ask("range", |_| Some("bytes=7-".into())))], [Same, told(Kind::Corrupt, "a part of the blob"), told(Kind::Corrupt, "a part of the blob")]),
        ("another range",                         vec![cut(), (1, Ask("range", |_| Some("bytes=7-".into())))], [Same, told(Kind::Corrupt, "at another place"), told(Kind::Corrupt, "at another place")]),
        ("less of the range",                     vec![cut(), (2, Ask("range", first_of))], [Same; 3]),
        ("a range that does not say where",       vec![cut(), (1, Say("content-range", |_| None))],  [Same, told(Kind::Corrupt, "without saying where"), told(Kind::Corrupt, "without saying where")]),
        ("a range of another blob",               vec![cut(), (1, Say("content-range", of_one_byte))], [Same, LENGTH, LENGTH]),
        ("a range with another byte",             vec![cut(), (1, Flip)],                            [OTHER; 3]),
        ("a range that cannot be",                vec![cut(), (1, Answer(416, nothing))],            [REFUSED; 3]),
        ("cut, and 503 where it is resumed",      vec![cut(), (2, Answer(503, nothing))],            [Same; 3]),
        ("cut, and cut where it is resumed",      vec![cut(), cut(), (1, Break(Middle, Stall))],     [Same; 3]),
    ]
}

/// A base, and a layer that no compression makes small.
fn image() -> BuiltImage {
    let package = |name: &str| format!(r#"{{"name": "{name}", "version": "1.0.0"}}"#);
    let base = Layer::new()
        .file("etc/os-release", "ID=debian\nVERSION_ID=12\n")
        .file("srv/node_modules/a/package.json", package("a"));
    let top = Layer::new()
        .file("noise", noise_bytes(200 << 10))
        .file("srv/node_modules/b/package.json", package("b"))
        .whiteout("srv/node_modules/a");
    ImageBuilder::new().layer(base).layer(top).build()
}

/// A registry that holds the image, and gives tokens to one user. The token server is where the registry is asked.
fn started(auth: Auth) -> TestRegistry {
    let registry = TestRegistry::start_with(Options { auth, ..Options::default() }).unwrap();
    registry.push("team/app", "1.0", &image());
    registry
}

fn bearer() -> Auth {
    Auth::Bearer { username: USER.into(), password: PASSWORD.into(), realm: Some("/token".into()) }
}

/// What is fetched of the image: its manifest, its configuration and its upper layer, by a part of their paths.
fn places() -> [(&'static str, String); 3] {
    let image = image();
    let path = |blob: &[u8]| format!("/blobs/{}", Digest::of(blob));
    [("manifest", "/manifests/".to_owned()), ("config", path(&image.blobs[2])), ("layer", path(&image.blobs[1]))]
}

/// The report of the image behind `proxy`, as JSON, without what differs between two scans.
async fn scan(proxy: &Proxy, timeout: Duration) -> Result<String> {
    let credential = Credential::basic(USER, Secret::value(PASSWORD));
    let registry = Registry::docker(proxy.url()).credential(credential).with_timeout(timeout);
    let options = ScanOptions { registry: Some(registry), ..ScanOptions::default() };
    let target = format!("{}/team/app:1.0", proxy.url()).parse().unwrap();
    let scanner = Scanner::builder().build().unwrap();
    let mut report = scanner.scan_with(&target, &options, &Context::new()).await?.remove(0);
    report.subject.reference.clear();
    report.stats = Default::default();
    Ok(serde_json::to_string(&report).unwrap())
}

/// What is wrong with an outcome; nothing if it is as expected.
fn complaint(found: &Result<String>, expected: Outcome, unspoilt: &str) -> Option<String> {
    match (found, expected) {
        (Ok(report), Same) => (report != unspoilt).then(|| format!("another report: {report}")),
        (Ok(_), Told(kind, words)) => Some(format!("a report, not {kind:?} \"{words}\"")),
        (Err(error), Same) => Some(format!("{error:?}")),
        (Err(error), Told(kind, words)) => {
            let is_told = error.kind() == kind && error.to_string().contains(words) && is_helpful(error);
            (!is_told).then(|| format!("not {kind:?} \"{words}\": {error:?}, hint {:?}", error.hint()))
        }
    }
}

/// Whether an error says what to do and of which image it speaks, and holds no secret.
fn is_helpful(error: &Error) -> bool {
    let names_image = error.context().any(|(key, value)| key == "image" && value.ends_with("team/app:1.0"));
    error.hint().is_some() && names_image && !format!("{error:?} {error}").contains(PASSWORD)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_changes_nothing_or_is_told() {
    let registry = started(bearer());
    let unspoilt = scan(&Proxy::start(registry.host(), Vec::new()).await, LONG).await.unwrap();
    assert!(unspoilt.contains("srv/node_modules/b/package.json"), "{unspoilt}");
    let cases = table().into_iter().flat_map(|(what, faults, outcomes)| {
        let place = move |((place, path), outcome)| (what, faults.clone(), place, path, outcome);
        places().into_iter().zip(outcomes).map(place).collect::<Vec<_>>()
    });
    let one = |(what, faults, place, path, outcome): (_, Vec<(usize, Fault)>, _, String, _)| {
        let unspoilt = &unspoilt;
        async move {
            let registry = started(bearer());
            let is_still = faults.iter().any(|(_, fault)| matches!(fault, Break(_, Stall) | Drip(_)));
            let timeout = if is_still { SHORT } else { LONG };
            let faults = faults.into_iter().map(|(times, fault)| (path.clone(), times, fault)).collect();
            let proxy = Proxy::start(registry.host(), faults).await;
            let began = Instant::now();
            let found = tokio::time::timeout(BOUND, scan(&proxy, timeout)).await;
            let complaint = match &found {
                Err(_) => Some(format!("nothing within {BOUND:?}")),
                Ok(found) => complaint(found, outcome, unspoilt),
            };
            let requests = proxy.seen(&path).len();
            let complaint = complaint.or_else(|| (requests > REQUESTS).then(|| format!("{requests} requests")));
            complaint.map(|complaint| format!("{what}, {place}, {:?}: {complaint}", began.elapsed()))
        }
    };
    let complaints: Vec<String> =
        stream::iter(cases).map(one).buffer_unordered(16).filter_map(|found| async { found }).collect().await;
    assert!(complaints.is_empty(), "{} cases\n{}", complaints.len(), complaints.join("\n"));
}

#[tokio::test]
async fn what_came_before_a_cut_is_not_fetched_again() {
    let registry = started(bearer());
    let [_, config, layer] = places();
    for (place, path) in [config, layer] {
        let proxy = Proxy::start(registry.host(), vec![(path.clone(), 1, Break(Middle, Close))]).await;
        scan(&proxy, LONG).await.unwrap();
        let ranges: Vec<_> = proxy.seen(&path).into_iter().map(|seen| seen.range).collect();
        let [None, Some(range)] = ranges.as_slice() else { panic!("{place}: {ranges:?}") };
        assert!(range.starts_with("bytes=") && range.ends_with('-') && range != "bytes=0-", "{place}: {range}");
    }
}

#[tokio::test]
async fn credentials_stay_behind_when_a_redirect_leads_elsewhere() {
    let registry = started(bearer());
    let unspoilt = scan(&Proxy::start(registry.host(), Vec::new()).await, LONG).await.unwrap();
    for (place, path) in places() {
        let elsewhere = started(Auth::Open);
        let proxy = Proxy::start(registry.host(), vec![(path, ALWAYS, Redirect(elsewhere.url()))]).await;
        assert_eq!(scan(&proxy, LONG).await.unwrap(), unspoilt, "{place}");
        let log = elsewhere.log();
        assert_eq!(log.len(), 1, "{place}: {log:?}");
        assert_eq!(log[0].authorization, None, "{place}");
    }
}

#[tokio::test]
async fn a_host_behind_a_redirect_gets_no_credentials_for_its_challenge() {
    let registry = started(bearer());
    for (place, path) in places() {
        // It knows the same user, and asks who that is.
        let elsewhere = started(Auth::Basic { username: USER.into(), password: PASSWORD.into() });
        let proxy = Proxy::start(registry.host(), vec![(path, ALWAYS, Redirect(elsewhere.url()))]).await;
        let error = scan(&proxy, LONG).await.unwrap_err();
        assert!(error.kind() == Kind::Unauthenticated && is_helpful(&error), "{place}: {error:?}");
        assert!(elsewhere.log().iter().all(|access| access.authorization.is_none()), "{place}");
    }
}

#[tokio::test]
async fn what_a_limit_asks_for_is_waited_for_or_told() {
    let registry = started(bearer());
    for (place, path) in places() {
        let faults = vec![(path.clone(), 1, Answer(429, in_two_seconds))];
        let proxy = Proxy::start(registry.host(), faults).await;
        let began = Instant::now();
        scan(&proxy, LONG).await.unwrap();
        // The date has no fractions of a second.
        assert!(began.elapsed() >= Duration::from_secs(1), "{place}: {:?}", began.elapsed());

        let faults = vec![(path.clone(), ALWAYS, Answer(429, || "retry-after: 3600".into()))];
        let proxy = Proxy::start(registry.host(), faults).await;
        let error = scan(&proxy, LONG).await.unwrap_err();
        assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)), "{place}");
        assert_eq!(proxy.seen(&path).len(), 1, "{place}");
    }
}
