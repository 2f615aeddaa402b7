//! Registries as they are: what works, what fails and how it is told, and where secrets go.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::TryStreamExt;
use tidewaiter::conformance::image::{BuiltImage, ImageBuilder, Layer};
use tidewaiter::conformance::registry::{Auth, Fault, Options, TestRegistry};
use tidewaiter::model::digest::Digest;
use tidewaiter::model::image::Descriptor;
use tidewaiter::model::limits::Limits;
use tidewaiter::model::reference::ImageRef;
use tidewaiter::registry::{Check, Credential, Registry, Secret, StepName, check};
use tidewaiter::source::remote::RemoteSource;
use tidewaiter::source::{ImageSource, RawManifest};
use tidewaiter::{Context, Error, Kind, Result};

const USER: &str = "alice";
const PASSWORD: &str = "planted-s3cret-0451";

/// A layer that several pieces are needed for, and that no compression shrinks.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn image() -> BuiltImage {
    ImageBuilder::new().layer(Layer::new().file("etc/os-release", "ID=debian\n").file("noise", noise(3 << 20))).build()
}

fn basic() -> Auth {
    Auth::Basic { username: USER.into(), password: PASSWORD.into() }
}

fn bearer() -> Auth {
    Auth::Bearer { username: USER.into(), password: PASSWORD.into(), realm: None }
}

fn started(auth: Auth) -> TestRegistry {
    let registry = TestRegistry::start_with(Options { auth, tls: None }).unwrap();
    registry.push("team/app", "1.0", &image());
    registry
}

fn definition(registry: &TestRegistry, password: &str) -> Registry {
    Registry::docker(registry.url()).credential(Credential::basic(USER, Secret::value(password)))
}

fn anonymous(url: String) -> Registry {
    Registry::docker(url).credential(Credential::Anonymous).with_timeout(Duration::from_secs(5))
}

async fn open(definition: &Registry, path: &str) -> Result<RemoteSource> {
    let image: ImageRef = format!("{}/{path}", definition.host().unwrap()).parse().unwrap();
    RemoteSource::open(&image, Some(definition), &Limits::default(), &Context::new()).await
}

async fn root(definition: &Registry, path: &str) -> Result<RawManifest> {
    open(definition, path).await?.root(&Context::new()).await
}

fn layer(image: &BuiltImage) -> Descriptor {
    let blob = &image.layers()[0];
    Descriptor { media_type: String::new(), digest: Digest::of(blob), size: Some(blob.len() as u64), urls: Vec::new() }
}

async fn blob(definition: &Registry, descriptor: &Descriptor) -> Result<Vec<u8>> {
    let source = open(definition, "team/app:1.0").await?;
    // It comes first, as in a scan: the challenge is answered before the blob is asked for.
    source.root(&Context::new()).await?;
    let stream = source.blob(descriptor, &Context::new()).await?;
    stream
        .try_fold(Vec::new(), |mut all, chunk| async move {
            all.extend_from_slice(&chunk);
            Ok(all)
        })
        .await
}

/// Kind, and that there is a hint and no secret.
fn told(error: &Error, kind: Kind) {
    assert_eq!(error.kind(), kind, "{error:?}");
    assert!(error.hint().is_some(), "no hint: {error:?}");
    assert!(!format!("{error:?} {error}").contains(PASSWORD), "{error:?}");
}

#[tokio::test]
async fn pulls_with_every_credential() {
    for auth in [Auth::Open, basic(), bearer()] {
        let registry = started(auth.clone());
        let definition = definition(&registry, PASSWORD);
        let manifest = root(&definition, "team/app:1.0").await.unwrap();
        assert_eq!(manifest.digest, image().digest(), "{auth:?}");
        assert_eq!(blob(&definition, &layer(&image())).await.unwrap(), image().layers()[0], "{auth:?}");
        let source = open(&definition, "team/app:1.0").await.unwrap();
        assert!(source.has_blob(&layer(&image()), &Context::new()).await.unwrap());
        registry.remove_blob("team/app", &layer(&image()).digest);
        assert!(!source.has_blob(&layer(&image()), &Context::new()).await.unwrap());
    }
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_again_when_it_is_refused() {
    let registry = started(bearer());
    let source = open(&definition(&registry, PASSWORD), "team/app:1.0").await.unwrap();
    for _ in 0..3 {
        source.root(&Context::new()).await.unwrap();
    }
    let tokens = |registry: &TestRegistry| registry.log().iter().filter(|access| access.path == "/token").count();
    assert_eq!(tokens(&registry), 1);
    registry.revoke_tokens();
    source.root(&Context::new()).await.unwrap();
    assert_eq!(tokens(&registry), 2);
}

#[tokio::test]
async fn docker_config_is_read() {
    let registry = started(bearer());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let auth = |value: String| format!(r#"{{"auths": {{"{}": {value}}}}}"#, registry.host());
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD_NO_PAD.encode(format!("{USER}:{PASSWORD}"));
    for entry in [format!(r#"{{"auth": "{encoded}"}}"#), format!(r#"{{"identitytoken": "{PASSWORD}"}}"#)] {
        std::fs::write(&path, auth(entry)).unwrap();
        let definition =
            Registry::docker(registry.url()).credential(Credential::DockerConfig { path: Some(path.clone()) });
        root(&definition, "team/app:1.0").await.unwrap();
    }
}

#[tokio::test]
async fn wrong_passwords_are_told() {
    for auth in [basic(), bearer()] {
        let registry = started(auth);
        told(&root(&definition(&registry, "wrong"), "team/app:1.0").await.unwrap_err(), Kind::Unauthenticated);
        told(&root(&anonymous(registry.url()), "team/app:1.0").await.unwrap_err(), Kind::Unauthenticated);
    }
}

#[tokio::test]
async fn what_is_not_there_is_told() {
    let registry = started(Auth::Open);
    let definition = anonymous(registry.url());
    for (path, says) in [
        ("team/app:2.0".to_owned(), "no such image"),
        ("team/other:1.0".to_owned(), "no such repository"),
        (format!("team/app@{}", Digest::of(b"nothing")), "no manifest with this digest"),
    ] {
        let error = root(&definition, &path).await.unwrap_err();
        told(&error, Kind::NotFound);
        assert!(error.to_string().contains(says), "{error}");
    }
    let descriptor = Descriptor { digest: Digest::of(b"nothing"), ..layer(&image()) };
    told(&blob(&definition, &descriptor).await.unwrap_err(), Kind::NotFound);
}

#[tokio::test]
async fn hosts_out_of_reach_are_told() {
    let error = root(&anonymous("https://registry.invalid".into()), "a:1").await.unwrap_err();
    told(&error, Kind::Unavailable);
    assert!(error.to_string().contains("does not resolve"), "{error}");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = root(&anonymous(format!("http://127.0.0.1:{port}")), "a:1").await.unwrap_err();
    told(&error, Kind::Unavailable);
    assert!(error.to_string().contains("cannot connect"), "{error}");
    // https to a port that speaks http.
    let registry = started(Auth::Open);
    let error = root(&anonymous(format!("https://{}", registry.host())), "team/app:1.0").await.unwrap_err();
    told(&error, Kind::Unavailable);
    assert!(error.hint().unwrap().contains("plain http"), "{error:?}");
}

/// A certificate for 127.0.0.1 that it signs itself, made with the `openssl` program; none without it.
fn certificate() -> Option<(Vec<u8>, Vec<u8>)> {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=127.0.0.1",
        ])
        .args(["-addext", "subjectAltName=IP:127.0.0.1", "-out"])
        .arg(&certificate)
        .arg("-keyout")
        .arg(&key)
        .stderr(Stdio::null())
        .status();
    match made {
        Ok(status) if status.success() => Some((std::fs::read(certificate).unwrap(), std::fs::read(key).unwrap())),
        _ => {
            println!("skipped: there is no openssl program");
            None
        }
    }
}

#[tokio::test]
async fn certificates_are_checked() {
    let Some((certificate, key)) = certificate() else { return };
    let registry = TestRegistry::start_with(Options { auth: basic(), tls: Some((certificate.clone(), key)) }).unwrap();
    registry.push("team/app", "1.0", &image());
    let error = root(&definition(&registry, PASSWORD), "team/app:1.0").await.unwrap_err();
    told(&error, Kind::Unavailable);
    assert!(error.hint().unwrap().contains("`ca`"), "{error:?}");
    assert!(registry.log().is_empty(), "nothing is sent to a host that is not trusted");

    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, certificate).unwrap();
    let trusted = definition(&registry, PASSWORD).with_ca(&ca);
    root(&trusted, "team/app:1.0").await.unwrap();
    // The certificate is trusted for the name in it only.
    let port = registry.host().rsplit(':').next().unwrap().to_owned();
    let error = root(&anonymous(format!("https://localhost:{port}")).with_ca(&ca), "team/app:1.0").await.unwrap_err();
    told(&error, Kind::Unavailable);
    assert!(error.hint().unwrap().contains("another name"), "{error:?}");
    // http to a port that speaks https.
    let error = root(&anonymous(format!("http://{}", registry.host())), "team/app:1.0").await.unwrap_err();
    told(&error, Kind::Unavailable);

    let done = check(&trusted, Some("team/app"), &Context::new()).await.unwrap();
    assert_eq!(steps(&done), "resolve true, tls true, api true, authenticate true, list true, pull true");
}

#[tokio::test]
async fn documents_that_are_no_image_are_told() {
    let registry = started(Auth::Open);
    let definition = anonymous(registry.url());
    let push = |tag: &str, media_type: &str, body: &str| {
        registry.push_manifest("team/app", Some(tag), media_type, body.to_owned())
    };
    push(
        "old",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        r#"{"schemaVersion":1,"name":"a","tag":"b","fsLayers":[],"history":[]}"#,
    );
    push(
        "both",
        "application/vnd.oci.image.manifest.v1+json",
        r#"{"schemaVersion":2,"config":{},"layers":[],"manifests":[]}"#,
    );
    push("broken", "application/vnd.oci.image.manifest.v1+json", r#"{"schemaVersion":2,"#);
    push(
        "large",
        "application/vnd.oci.image.manifest.v1+json",
        &format!(r#"{{"layers":[],"x":"{}"}}"#, "x".repeat(4 << 20)),
    );
    for (tag, kind) in
        [("old", Kind::Unsupported), ("both", Kind::Corrupt), ("broken", Kind::Corrupt), ("large", Kind::LimitExceeded)]
    {
        told(&root(&definition, &format!("team/app:{tag}")).await.unwrap_err(), kind);
    }
    registry.fault("/manifests/", 1, Fault::page());
    told(&root(&definition, "team/app:1.0").await.unwrap_err(), Kind::Unsupported);
}

#[tokio::test]
async fn a_manifest_with_another_digest_is_refused() {
    let registry = started(Auth::Open);
    let definition = anonymous(registry.url());
    let answer = |announced: Option<&str>| Fault::Answer {
        status: 200,
        headers: announced.map(|digest| ("docker-content-digest".to_owned(), digest.to_owned())).into_iter().collect(),
        body: r#"{"schemaVersion":2,"config":{},"layers":[]}"#.into(),
    };
    // By digest, and by a tag whose digest the registry announces.
    registry.fault("/manifests/", 1, answer(None));
    told(&root(&definition, &format!("team/app@{}", image().digest())).await.unwrap_err(), Kind::Corrupt);
    registry.fault("/manifests/", 1, answer(Some(image().digest().as_str())));
    told(&root(&definition, "team/app:1.0").await.unwrap_err(), Kind::Corrupt);
}

#[tokio::test]
async fn a_cut_blob_is_resumed_where_it_stopped() {
    let registry = started(basic());
    let definition = definition(&registry, PASSWORD);
    registry.fault("/blobs/", 1, Fault::Cut(1_000_000));
    assert_eq!(blob(&definition, &layer(&image())).await.unwrap(), image().layers()[0]);
    let ranges: Vec<_> = registry
        .log()
        .into_iter()
        .filter(|access| access.path.contains("/blobs/"))
        .filter_map(|access| access.range.map(|range| (access.status, range)))
        .collect();
    assert_eq!(ranges.len(), 1, "{ranges:?}");
    assert_eq!(ranges[0].0, 206);
    assert_ne!(ranges[0].1, "bytes=0-");

    // A registry that does not know ranges starts again from the beginning.
    registry.fault("/blobs/", 1, Fault::Cut(1_000_000));
    registry.fault("/blobs/", 1, Fault::NoRange);
    assert_eq!(blob(&definition, &layer(&image())).await.unwrap(), image().layers()[0]);
}

#[tokio::test]
async fn a_blob_that_stands_still_is_given_up() {
    let registry = started(Auth::Open);
    let definition = anonymous(registry.url()).with_timeout(Duration::from_millis(200));
    registry.fault("/blobs/", 1, Fault::Stall(100_000));
    assert_eq!(
        blob(&definition, &layer(&image())).await.unwrap(),
        image().layers()[0],
        "one that stands still once is taken up again"
    );
    registry.fault("/blobs/", 100, Fault::Stall(0));
    told(&blob(&definition, &layer(&image())).await.unwrap_err(), Kind::Unavailable);
}

#[tokio::test]
async fn a_blob_has_the_length_of_its_descriptor() {
    let registry = started(Auth::Open);
    let definition = anonymous(registry.url());
    let right = layer(&image());
    for size in [right.size.unwrap() - 1, right.size.unwrap() + 1] {
        let error = blob(&definition, &Descriptor { size: Some(size), ..right.clone() }).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt, "{error:?}");
    }
}

#[tokio::test]
async fn too_many_requests_are_waited_for() {
    let registry = started(Auth::Open);
    let definition = anonymous(registry.url());
    registry.fault("/manifests/", 1, Fault::retry_after("1"));
    let started = std::time::Instant::now();
    root(&definition, "team/app:1.0").await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1));

    // Longer than anybody waits: told at once.
    registry.fault("/manifests/", 1, Fault::retry_after("3600"));
    let error = root(&definition, "team/app:1.0").await.unwrap_err();
    told(&error, Kind::RateLimited);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));

    registry.fault("/manifests/", 2, Fault::status(503));
    root(&definition, "team/app:1.0").await.unwrap();
    registry.fault("/manifests/", 100, Fault::status(404));
    registry.clear_log();
    told(&root(&definition, "team/app:1.0").await.unwrap_err(), Kind::NotFound);
    assert_eq!(registry.log().len(), 1, "what a second try does not change is not tried again");
}

#[tokio::test]
async fn a_cancel_ends_a_wait() {
    let registry = started(Auth::Open);
    registry.fault("/manifests/", 1, Fault::retry_after("60"));
    let source = open(&anonymous(registry.url()), "team/app:1.0").await.unwrap();
    let context = Context::new().deadline(Duration::from_millis(200));
    let started = std::time::Instant::now();
    assert_eq!(source.root(&context).await.unwrap_err().kind(), Kind::Canceled);
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn credentials_stay_behind_on_a_redirect() {
    for auth in [basic(), bearer()] {
        let registry = started(auth);
        let other = started(Auth::Open);
        let descriptor = layer(&image());
        registry.fault(
            "/blobs/",
            2,
            Fault::redirect(&format!("{}/v2/team/app/blobs/{}?signature=abc", other.url(), descriptor.digest)),
        );
        // The first request may be the one that gets the challenge, so the manifest goes first.
        let source = open(&definition(&registry, PASSWORD), "team/app:1.0").await.unwrap();
        source.root(&Context::new()).await.unwrap();
        let stream = source.blob(&descriptor, &Context::new()).await.unwrap();
        let bytes: Vec<_> = stream.try_collect().await.unwrap();
        assert_eq!(bytes.concat(), image().layers()[0]);
        assert!(
            registry.log().iter().any(|access| access.status == 307 && access.authorization.is_some()),
            "the registry itself got them"
        );
        assert_eq!(other.log().len(), 1);
        assert_eq!(other.log()[0].authorization, None);
    }
}

#[tokio::test]
async fn redirects_have_an_end() {
    let registry = started(Auth::Open);
    registry.fault("/manifests/", 100, Fault::redirect("/v2/team/app/manifests/1.0"));
    told(&root(&anonymous(registry.url()), "team/app:1.0").await.unwrap_err(), Kind::Unsupported);
    assert_eq!(registry.log().len(), 6);
}

#[tokio::test]
async fn passwords_go_to_no_realm_elsewhere_over_http() {
    let other = started(bearer());
    // Another host by name, so that it is refused whether or not the name leads to the same machine.
    let realm = format!("http://localhost:{}/token", other.host().rsplit(':').next().unwrap());
    let registry = started(Auth::Bearer { username: USER.into(), password: PASSWORD.into(), realm: Some(realm) });
    told(&root(&definition(&registry, PASSWORD), "team/app:1.0").await.unwrap_err(), Kind::Unsupported);
    assert!(other.log().is_empty());
}

#[tokio::test]
async fn huge_headers_do_no_harm() {
    let registry = started(basic());
    let challenge = format!("Basic realm=\"{}\"", "x".repeat(100_000));
    registry.fault(
        "/manifests/",
        1,
        Fault::Answer { status: 401, headers: vec![("www-authenticate".into(), challenge)], body: Default::default() },
    );
    told(&root(&definition(&registry, PASSWORD), "team/app:1.0").await.unwrap_err(), Kind::Unauthenticated);
}

#[tokio::test]
async fn secrets_are_shown_nowhere() {
    let registry = started(bearer());
    let definition = definition(&registry, PASSWORD).with_proxy(format!("http://{USER}:{PASSWORD}@proxy.example"));
    assert!(!format!("{definition:?}").contains(PASSWORD), "{definition:?}");
    let definition = self::definition(&registry, PASSWORD);
    let source = open(&definition, "team/app:1.0").await.unwrap();
    source.root(&Context::new()).await.unwrap();
    let shown = format!(
        "{source:?} {:?}",
        tidewaiter::registry::Connection::open(&definition, None, &Context::new()).await.unwrap()
    );
    assert!(!shown.contains(PASSWORD) && !shown.contains("token-1"), "{shown}");
}

/// `step ok, …`
fn steps(check: &Check) -> String {
    let shown = |ok: Option<bool>| ok.map_or_else(|| "null".to_owned(), |ok| ok.to_string());
    check.steps.iter().map(|step| format!("{} {}", step.step, shown(step.ok))).collect::<Vec<_>>().join(", ")
}

#[tokio::test]
#[rustfmt::skip]
async fn each_step_of_a_check_is_told_apart() {
    let (open, basic, bearer) = (started(Auth::Open), started(basic()), started(bearer()));
    let page = started(Auth::Open);
    page.fault("/v2/", 100, Fault::page());
    let closed = started(Auth::Open);
    closed.fault("/_catalog", 100, Fault::status(403));
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for (definition, repository, expected, is_ok) in [
        (anonymous(open.url()), Some("team/app"), "resolve true, tls null, api true, authenticate null, list true, pull true", true),
        (anonymous(open.url()), None, "resolve true, tls null, api true, authenticate null, list true, pull null", true),
        (definition(&basic, PASSWORD), Some("team/app"), "resolve true, tls null, api true, authenticate true, list true, pull true", true),
        (definition(&bearer, PASSWORD), Some("team/app"), "resolve true, tls null, api true, authenticate true, list true, pull true", true),
        (definition(&bearer, PASSWORD), Some("team/none"), "resolve true, tls null, api true, authenticate true, list true, pull false", false),
        (definition(&basic, "wrong"), None, "resolve true, tls null, api true, authenticate false, list null, pull null", false),
        (definition(&bearer, "wrong"), None, "resolve true, tls null, api true, authenticate false, list null, pull null", false),
        (anonymous(page.url()), None, "resolve true, tls null, api false, authenticate null, list null, pull null", false),
        (anonymous(closed.url()), None, "resolve true, tls null, api true, authenticate null, list false, pull null", false),
        (anonymous(closed.url()), Some("team/app"), "resolve true, tls null, api true, authenticate null, list false, pull true", true),
        (anonymous("https://registry.invalid".into()), None, "resolve false, tls null, api null, authenticate null, list null, pull null", false),
        (anonymous(format!("https://127.0.0.1:{port}")), None, "resolve true, tls false, api null, authenticate null, list null, pull null", false),
        (anonymous(format!("https://{}", open.host())), None, "resolve true, tls false, api null, authenticate null, list null, pull null", false),
    ] {
        let done = check(&definition, repository, &Context::new()).await.unwrap();
        assert_eq!((steps(&done).as_str(), done.is_ok()), (expected, is_ok), "{definition:?} {done:?}");
        for step in done.steps.iter().filter(|step| step.ok == Some(false)) {
            assert!(step.hint.is_some(), "{step:?}");
        }
        assert!(!serde_json::to_string(&done).unwrap().contains(PASSWORD));
        assert_eq!(done.steps.iter().map(|step| step.step).collect::<Vec<_>>(), StepName::ALL);
    }
}

/// Debian's `docker-registry` behind htpasswd; none where it is not installed.
struct DebianRegistry {
    child: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Drop for DebianRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn debian_registry() -> Option<DebianRegistry> {
    let folder = tempfile::tempdir().unwrap();
    let passwords = folder.path().join("htpasswd");
    let made =
        Command::new("htpasswd").args(["-cbB"]).arg(&passwords).args([USER, PASSWORD]).stderr(Stdio::null()).status();
    if !made.is_ok_and(|status| status.success()) {
        println!("skipped: there is no htpasswd program");
        return None;
    }
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = folder.path().join("config.yml");
    let text = format!(
        "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nstorage: {{inmemory: {{}}}}\nhttp: {{addr: \"127.0.0.1:{port}\"}}\n\
         auth: {{htpasswd: {{realm: test, path: {}}}}}\n",
        passwords.display()
    );
    std::fs::write(&config, text).unwrap();
    let child =
        Command::new("docker-registry").arg("serve").arg(&config).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let Ok(child) = child else {
        println!("skipped: there is no docker-registry program");
        return None;
    };
    let registry = DebianRegistry { child, url: format!("http://127.0.0.1:{port}"), _folder: folder };
    for _ in 0..200 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Some(registry);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("docker-registry does not start");
}

/// Pushes with `skopeo` from an OCI layout.
fn push(registry: &DebianRegistry, image: &BuiltImage, folder: &std::path::Path) -> bool {
    let blobs = folder.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    for blob in image.blobs.iter().chain([&image.manifest]) {
        std::fs::write(blobs.join(Digest::of(blob).hex()), blob).unwrap();
    }
    std::fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{}","digest":"{}","size":{},"annotations":{{"org.opencontainers.image.ref.name":"v1"}}}}]}}"#,
        image.media_type,
        image.digest(),
        image.manifest.len()
    );
    std::fs::write(folder.join("index.json"), index).unwrap();
    let to = format!("docker://{}/team/app:1.0", registry.url.trim_start_matches("http://"));
    let pushed = Command::new("skopeo")
        .args(["copy", "--insecure-policy", "--quiet", "--dest-tls-verify=false", "--dest-creds"])
        .arg(format!("{USER}:{PASSWORD}"))
        .arg(format!("oci:{}:v1", folder.display()))
        .arg(to)
        .status();
    match pushed {
        Ok(status) => {
            assert!(status.success(), "skopeo cannot push");
            true
        }
        Err(_) => {
            println!("skipped: there is no skopeo program");
            false
        }
    }
}

#[tokio::test]
async fn debians_registry_is_read() {
    let Some(registry) = debian_registry().await else { return };
    let folder = tempfile::tempdir().unwrap();
    if !push(&registry, &image(), folder.path()) {
        return;
    }
    let definition =
        |password: &str| Registry::docker(&registry.url).credential(Credential::basic(USER, Secret::value(password)));
    let good = definition(PASSWORD);
    assert_eq!(root(&good, "team/app:1.0").await.unwrap().digest, image().digest());
    assert_eq!(root(&good, &format!("team/app@{}", image().digest())).await.unwrap().digest, image().digest());
    assert_eq!(blob(&good, &layer(&image())).await.unwrap(), image().layers()[0]);
    told(&root(&definition("wrong"), "team/app:1.0").await.unwrap_err(), Kind::Unauthenticated);
    told(&root(&good, "team/app:none").await.unwrap_err(), Kind::NotFound);
    told(&root(&good, "team/none:1.0").await.unwrap_err(), Kind::NotFound);
    let done = check(&good, Some("team/app"), &Context::new()).await.unwrap();
    assert_eq!(steps(&done), "resolve true, tls null, api true, authenticate true, list true, pull true");
    let done = check(&definition("wrong"), Some("team/app"), &Context::new()).await.unwrap();
    assert_eq!(steps(&done), "resolve true, tls null, api true, authenticate false, list null, pull null");
}

#[tokio::test]
async fn a_refused_credential_is_looked_up_once_more() {
    let folder = tempfile::tempdir().unwrap();
    let old = folder.path().join("old");
    // The first call prints an old password, every later one the new one, as a helper does whose password was changed meanwhile.
    let script = format!("if [ -e {0} ]; then echo {PASSWORD}; else touch {0}; echo old; fi", old.display());
    for auth in [basic(), bearer()] {
        let _ = std::fs::remove_file(&old);
        let registry = started(auth);
        let credential = Credential::basic(USER, Secret::command(["sh", "-c", &script]));
        root(&Registry::docker(registry.url()).credential(credential), "team/app:1.0").await.unwrap();
    }
}

#[tokio::test]
async fn a_credential_that_stays_refused_is_not_looked_up_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let script = format!("echo asked >> {}; echo wrong", log.display());
    let registry = started(basic());
    let definition =
        Registry::docker(registry.url()).credential(Credential::basic(USER, Secret::command(["sh", "-c", &script])));
    let source = open(&definition, "team/app:1.0").await.unwrap();
    for _ in 0..5 {
        told(&source.root(&Context::new()).await.unwrap_err(), Kind::Unauthenticated);
    }
    assert_eq!(std::fs::read_to_string(&log).unwrap().lines().count(), 2);
}

#[tokio::test]
async fn a_session_that_expires_with_another_status_is_renewed() {
    for (auth, status, body) in [
        (basic(), 403, "Your authorization token has expired. Reauthenticate and try again."),
        (bearer(), 400, r#"{"errors":[{"code":"DENIED","message":"Your Authorization Token has expired."}]}"#),
    ] {
        let registry = started(auth);
        registry.fault("/manifests/", 1, Fault::Answer { status, headers: Vec::new(), body: body.into() });
        root(&definition(&registry, PASSWORD), "team/app:1.0").await.unwrap();
    }
    let registry = started(basic());
    registry.fault("/manifests/", 1, Fault::Answer { status: 403, headers: Vec::new(), body: "no such luck".into() });
    let error = root(&definition(&registry, PASSWORD), "team/app:1.0").await.unwrap_err();
    told(&error, Kind::PermissionDenied);
    assert!(error.to_string().contains("no such luck"), "the body is still read: {error}");
}

#[tokio::test]
async fn an_account_of_docker_hub_goes_to_docker_hub_only() {
    let registry = started(basic());
    let definition = Registry::docker(registry.url()).credential(Credential::dockerhub(USER, Secret::value(PASSWORD)));
    told(&root(&definition, "team/app:1.0").await.unwrap_err(), Kind::InvalidInput);
    assert!(registry.log().is_empty());
}
