//! Harbor: an imitation of v2.15.1, from the recorded answers of a real one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::{StreamExt as _, TryStreamExt as _};
use serde_json::json;
use tidewaiter::conformance::connector::suite;
use tidewaiter::model::record::{DateSource, ImageDate};
use tidewaiter::registry::{Credential, HarborSettings, Registry, Secret, StepName, Wanted, check};
use tidewaiter::{Context, Kind};

use super::connector;
use super::imitation::{self, Answer, Asked, Imitation};
use super::samples::{Image, holding, image, images, latest, v2};

const PASSWORD: &str = "planted-s3cret";
const PULLER: &str = "robot$team+pull-only";
const ADMIN: &str = "admin";

/// What can change while it runs.
#[derive(Default)]
struct State {
    images: Mutex<Vec<Image>>,
    /// Tokens given before this are refused.
    generation: AtomicUsize,
    /// Whether the right password is another one now.
    is_changed: std::sync::atomic::AtomicBool,
    /// So many images go after the next page of a list.
    going: AtomicUsize,
}

/// Who asks: a guest of every project, a robot that may only pull, or nobody, which a wrong password is too.
fn who(state: &State, asked: &Asked) -> Option<String> {
    let is_good = |password: &str| password == PASSWORD && !state.is_changed.load(Ordering::SeqCst);
    asked
        .basic()
        .filter(|(name, password)| (name == "guest" || name == PULLER || name == ADMIN) && is_good(password))
        .map(|(name, _)| name)
}

fn respond(state: &State, asked: &Asked) -> Answer {
    let images = state.images.lock().unwrap().clone();
    match asked.segments()[..] {
        ["service", "token"] => token(state, asked),
        ["api", "version"] => Answer::new(200, "text/plain; charset=utf-8", r#"{"version":"v2.0"}"#),
        ["api", "v2.0", ref rest @ ..] => api(state, asked, rest, &images),
        ["v2", ..] => registry(state, asked, &images),
        // Everything else is the web portal's.
        _ => Answer::page(),
    }
}

/// A wrong password gets the token of nobody; without a scope it is told.
fn token(state: &State, asked: &Asked) -> Answer {
    let who = who(state, asked);
    if asked.param("service") != "harbor-registry" {
        return Answer::new(400, "text/plain", format!("Unable to handle service: {}", asked.param("service")));
    }
    if asked.method != "GET" {
        return Answer::new(405, "text/plain", "Method Not Allowed");
    }
    if who.is_none() && asked.param("scope").is_empty() {
        return Answer { status: 401, headers: Vec::new(), body: String::new() };
    }
    // Nobody's has no subject. The generation stands in for the end of a token.
    let mut holds = json!({"iss": "harbor-token-issuer", "aud": "harbor-registry", "access": null,
        "exp": state.generation.load(Ordering::SeqCst)});
    if let Some(who) = who {
        holds["sub"] = json!(who);
    }
    let token = imitation::token(&holds);
    Answer::json(json!({"token": token, "access_token": "", "expires_in": 1800, "issued_at": "2026-11-23T21:18:55Z"}))
}

fn registry(state: &State, asked: &Asked, images: &[Image]) -> Answer {
    let unauthorized = |challenge: String| {
        Answer::refused(401, "UNAUTHORIZED", "unauthorized: unauthorized").with("www-authenticate", challenge)
    };
    let scope = ["/tags/list", "/manifests/"].iter().find_map(|middle| {
        let name = asked.path.strip_prefix("/v2/")?.split_once(middle)?.0;
        Some(format!(",scope=\"repository:{name}:pull\""))
    });
    let Some(authorization) = asked.headers.get("authorization") else {
        if asked.path == "/v2/_catalog" {
            return unauthorized("Basic realm=\"harbor\"".into());
        }
        let realm = format!("Bearer realm=\"{}/service/token\",service=\"harbor-registry\"", asked.own);
        return unauthorized(realm + &scope.unwrap_or_default());
    };
    let held = authorization.strip_prefix("Bearer ").map(imitation::claims).unwrap_or_default();
    let holds = held["exp"] == json!(state.generation.load(Ordering::SeqCst)) && held["sub"].is_string();
    // What everybody may read is open to whatever stands in `Authorization`.
    let is_open = asked.path.starts_with("/v2/library/");
    // No token opens the catalog, but the password of an administrator.
    let is_admin = asked.basic().is_some_and(|(name, password)| name == ADMIN && password == PASSWORD);
    if !(is_open || holds || who(state, asked).is_some()) || (asked.path == "/v2/_catalog" && !is_admin) {
        return unauthorized("Basic realm=\"harbor\"".into());
    }
    let project = asked.path.strip_prefix("/v2/").and_then(|path| path.split('/').next()).unwrap_or_default();
    if !["", "_catalog"].contains(&project)
        && !images.iter().any(|image| image.repository.starts_with(&format!("{project}/")))
    {
        return unauthorized(String::new());
    }
    v2(asked, images, "")
}

fn api(state: &State, asked: &Asked, path: &[&str], images: &[Image]) -> Answer {
    if !asked.header("accept").contains("application/json") {
        let message = "unsupported media type requested, only [application/json] are available";
        return Answer::refused(422, "UNPROCESSABLE_ENTITY", message);
    }
    let who = who(state, asked);
    let is_public = |name: &str| name.starts_with("library/");
    let mut names: Vec<_> = images.iter().map(|image| image.repository.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let sees = |name: &&str| who.is_some() || is_public(name);
    let refused = match (&who, path) {
        (None, ["projects", project, ..]) if *project != "library" => {
            Some(Answer::refused(401, "UNAUTHORIZED", "unauthorized"))
        }
        (Some(name), ["projects", _, ..]) if name == PULLER => Some(Answer::refused(403, "FORBIDDEN", "forbidden")),
        (Some(_), ["projects", project, ..]) if !names.iter().any(|name| name.starts_with(&format!("{project}/"))) => {
            Some(Answer::refused(403, "FORBIDDEN", "forbidden"))
        }
        _ => None,
    };
    if let Some(refused) = refused {
        return refused;
    }
    let repository =
        |name: &&str| json!({"id": 1, "name": name, "artifact_count": 1, "update_time": "2026-01-02T03:04:05.000Z"});
    match path {
        ["repositories"] => page(state, asked, names.iter().filter(|name| sees(name)).map(repository).collect()),
        ["projects", project, "repositories"] => {
            let own = names.iter().filter(|name| name.starts_with(&format!("{project}/")));
            page(state, asked, own.map(repository).collect())
        }
        // The slashes of a name must be encoded twice.
        ["projects", project, "repositories", name, rest @ ..] if !name.replace("%252F", "").contains('%') => {
            let full = format!("{project}/{}", name.replace("%252F", "/"));
            let own: Vec<_> = images.iter().filter(|image| image.repository == full).collect();
            match rest {
                [] if own.is_empty() => Answer::refused(404, "NOT_FOUND", &format!("repository {full} not found")),
                [] => Answer::json(json!({"id": 1, "name": full})),
                ["artifacts"] => page(state, asked, own.into_iter().map(artifact).collect()),
                _ => Answer::refused(404, "NOT_FOUND", "path was not found"),
            }
        }
        _ => Answer::refused(404, "NOT_FOUND", "path was not found"),
    }
}

/// An artifact as it is listed. What has no tag was pushed first at a time that stands in no tag.
fn artifact(image: &Image) -> serde_json::Value {
    let tags: Vec<_> = image
        .tags
        .iter()
        .map(|(tag, time)| json!({"id": 1, "name": tag, "push_time": time, "immutable": false}))
        .collect();
    json!({
        "digest": image.digest.as_str(), "type": "IMAGE", "size": 28_114_780, "push_time": FIRST,
        "manifest_media_type": "application/vnd.oci.image.index.v1+json",
        "media_type": "application/vnd.oci.image.index.v1+json",
        "pull_time": "0001-01-01T00:00:00.000Z",
        "tags": if tags.is_empty() { json!(null) } else { json!(tags) },
    })
}

const FIRST: &str = "2025-01-01T00:00:00.000Z";

/// A page of a list, by Harbor's rules for `page_size`.
fn page(state: &State, asked: &Asked, entries: Vec<serde_json::Value>) -> Answer {
    let number = |name: &str, default: usize| asked.param(name).parse().unwrap_or(default);
    let (page, size) = (number("page", 1).max(1), number("page_size", 10));
    if size > 100 {
        let message = "page_size in query should be less than or equal to 100";
        return Answer::refused(422, "UNPROCESSABLE_ENTITY", message);
    }
    let total = entries.len();
    let shown: Vec<_> = entries.into_iter().skip((page - 1) * size).take(size).collect();
    let going = state.going.swap(0, Ordering::SeqCst);
    let mut images = state.images.lock().unwrap();
    images.drain(..going.min(total));
    Answer::json(json!(shown)).with("x-total-count", total.to_string())
}

async fn harbor(images: Vec<Image>) -> (Imitation, Arc<State>) {
    let state = Arc::new(State { images: Mutex::new(images), ..State::default() });
    let own = Arc::clone(&state);
    (Imitation::start(move |asked| respond(&own, asked)).await, state)
}

fn definition(server: &Imitation, user: &str, password: &str) -> Registry {
    Registry::harbor(server.url()).credential(Credential::basic(user, Secret::value(password)))
}

fn date(image: &Image) -> ImageDate {
    match latest(image) {
        Some(time) => ImageDate::read(Some(time), DateSource::Pushed),
        None => ImageDate::read(Some(FIRST), DateSource::FirstPushed),
    }
}

fn everything() -> Vec<Image> {
    let mut all = images();
    all.push(image("team/a.b/c__d/e--f_g", "deep", &[("late", "2026-11-23T21:16:07.522Z")]));
    all.push(image("team/app", "untagged", &[]));
    all.push(image("library/open", "open", &[("1", "2026-02-02T02:02:02Z")]));
    all
}

#[tokio::test]
async fn suite_holds() {
    // MSR 4 is a Harbor.
    for kind in ["harbor", "msr"] {
        let (server, _) = harbor(everything()).await;
        let mut registry = definition(&server, "guest", PASSWORD);
        registry.kind = kind.to_owned();
        suite(&*connector(&registry).await.unwrap(), &holding(&everything(), date)).await;
        assert_eq!(server.count("/v2/_catalog"), 0, "{kind}");
    }
}

#[tokio::test]
async fn many_pages() {
    let many: Vec<_> = (0..250)
        .map(|n| image("team/many", &n.to_string(), &[(&format!("v{n:03}"), "2026-01-10T08:00:00Z")]))
        .collect();
    let (server, _) = harbor(many.clone()).await;
    suite(&*connector(&definition(&server, "guest", PASSWORD)).await.unwrap(), &holding(&many, date)).await;
}

#[tokio::test]
async fn nothing_is_lost_when_entries_go_while_a_list_is_read() {
    let many: Vec<_> =
        (0..250).map(|n| image(&format!("team/r{n:03}"), &n.to_string(), &[("1", "2026-01-10T08:00:00Z")])).collect();
    let (server, state) = harbor(many).await;
    let connector = connector(&definition(&server, "guest", PASSWORD)).await.unwrap();
    state.going.store(20, Ordering::SeqCst);
    let wanted = Wanted::default();
    let context = Context::new();
    let found: std::collections::BTreeSet<_> = connector.repositories(&wanted, &context).try_collect().await.unwrap();
    assert!((20..250).all(|n| found.contains(&format!("team/r{n:03}"))), "{} found", found.len());
}

#[tokio::test]
async fn a_wrong_password_is_never_a_listing_of_the_public_part() {
    let (server, state) = harbor(everything()).await;
    let wrong = definition(&server, "guest", "wrong");
    let error = connector(&wrong).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Unauthenticated, "{error:?}");
    assert!(error.hint().is_some_and(|hint| hint.contains("robot")));
    assert_eq!(server.count("/api/"), 0);
    // Asked once: another try would lock the user out.
    assert_eq!(server.log().len(), 1);
    let done = check(&wrong, Some("library/open"), &Context::new()).await.unwrap();
    assert_eq!(done.failed().map(|step| step.step), Some(StepName::Authenticate), "{done:?}");

    // The password is changed while the repositories are read.
    let connector = connector(&definition(&server, "guest", PASSWORD)).await.unwrap();
    state.is_changed.store(true, Ordering::SeqCst);
    let (wanted, context) = (Wanted::default(), Context::new());
    let answers: Vec<_> = connector.repositories(&wanted, &context).collect().await;
    let error = answers.into_iter().find_map(Result::err).expect("the public part is not all");
    assert_eq!(error.kind(), Kind::Unauthenticated, "{error:?}");
}

#[tokio::test]
async fn a_credential_that_is_refused_in_mid_run_is_no_repository_that_is_gone() {
    let (wanted, context) = (Wanted::with_dates(), Context::new());
    for user in ["guest", PULLER] {
        let (server, state) = harbor(everything()).await;
        let connector = connector(&definition(&server, user, PASSWORD)).await.unwrap();
        assert_eq!(connector.images("team/web", &wanted, &context).await.unwrap().len(), 1);
        // Somebody else gave a wrong password, which locks the user for a moment; then the password is changed.
        if user == "guest" {
            server.fault("/artifacts", 1, Answer::refused(401, "UNAUTHORIZED", "unauthorized"));
            let error = connector.images("team/app", &wanted, &context).await.unwrap_err();
            assert_eq!(error.kind(), Kind::Unauthenticated, "{error:?}");
        }
        state.is_changed.store(true, Ordering::SeqCst);
        let error = connector.images("team/app", &wanted, &context).await.unwrap_err();
        assert!(error.kind() == Kind::Unauthenticated && error.hint().is_some(), "{user}: {error:?}");
    }
    // What nobody may see is not there for nobody, and what is not there for somebody neither.
    let (server, _) = harbor(everything()).await;
    for registry in
        [Registry::harbor(server.url()).credential(Credential::Anonymous), definition(&server, PULLER, PASSWORD)]
    {
        let error = connector(&registry).await.unwrap().images("none/such", &wanted, &context).await.unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound, "{error:?}");
    }
}

#[tokio::test]
async fn a_token_that_is_none_is_never_a_listing_of_the_public_part() {
    let (server, _) = harbor(everything()).await;
    let garbage = Registry::harbor(server.url()).credential(Credential::token(Secret::value("garbage")));
    let error = connector(&garbage).await.err().unwrap();
    assert_eq!((error.kind(), error.hint().is_some()), (Kind::Unauthenticated, true), "{error:?}");
    assert_eq!(server.count("/api/"), 0);
}

#[tokio::test]
async fn a_wrong_password_is_told_where_nobody_said_that_it_is_a_harbor() {
    let (server, state) = harbor(everything()).await;
    let docker = |credential| Registry::docker(server.url()).credential(credential);
    let (wanted, context) = (Wanted::default(), Context::new());
    let wrong = docker(Credential::basic("guest", Secret::value("wrong")));
    for repository in ["library/open", "team/app"] {
        let error = connector(&wrong).await.unwrap().images(repository, &wanted, &context).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unauthenticated, "{repository}: {error:?}");
        assert!(error.hint().is_some_and(|hint| hint.contains("password")), "{error:?}");
        let done = check(&wrong, Some(repository), &context).await.unwrap();
        assert_eq!(done.failed().map(|step| step.step), Some(StepName::Authenticate), "{done:?}");
    }
    let listed = connector(&wrong).await.unwrap();
    let error = listed.repositories(&wanted, &context).try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated, "{error:?}");

    // The right one costs no request more, nobody still sees the public part, and a password that is changed is told.
    let before = server.count("/service/token");
    let good = connector(&docker(Credential::basic("guest", Secret::value(PASSWORD)))).await.unwrap();
    assert_eq!(good.images("library/open", &wanted, &context).await.unwrap().len(), 1);
    assert_eq!(server.count("/service/token"), before + 1);
    let nobody = connector(&docker(Credential::Anonymous)).await.unwrap();
    assert_eq!(nobody.images("library/open", &wanted, &context).await.unwrap().len(), 1);
    assert!(nobody.images("team/app", &wanted, &context).await.is_err());
    state.is_changed.store(true, Ordering::SeqCst);
    let error = good.images("library/second", &wanted, &context).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated, "{error:?}");
}

#[tokio::test]
async fn an_administrator_lists_where_nobody_said_that_it_is_a_harbor() {
    let (server, _) = harbor(everything()).await;
    let (wanted, context) = (Wanted::default(), Context::new());
    let docker = Registry::docker(server.url()).credential(Credential::basic(ADMIN, Secret::value(PASSWORD)));
    let listed = connector(&docker).await.unwrap();
    let names: Vec<_> = listed.repositories(&wanted, &context).try_collect().await.unwrap();
    assert_eq!(names.len(), 5);
    // Its pages are asked for with the password, once that is known to be the way.
    let (pages, tokens) = (server.count("/v2/_catalog"), server.count("/service/token"));
    assert_eq!(tokens, 1);
    listed.repositories(&wanted, &context).try_collect::<Vec<_>>().await.unwrap();
    assert_eq!((server.count("/v2/_catalog"), server.count("/service/token")), (2 * pages - 1, 1));
    let done = check(&docker, Some("team/app"), &context).await.unwrap();
    assert!(done.is_ok() && done.steps.iter().all(|step| step.ok != Some(false)), "{done:?}");
    // Who may not is told, and goes on with what he may.
    let guest = Registry::docker(server.url()).credential(Credential::basic("guest", Secret::value(PASSWORD)));
    let connector = connector(&guest).await.unwrap();
    let error = connector.repositories(&wanted, &context).try_collect::<Vec<_>>().await.unwrap_err();
    assert!(error.kind() == Kind::PermissionDenied && error.hint().is_some(), "{error:?}");
    assert_eq!(connector.images("team/app", &wanted, &context).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_robot_that_may_only_pull_lists_without_dates_and_says_so() {
    let (server, state) = harbor(everything()).await;
    let connector = connector(&definition(&server, PULLER, PASSWORD)).await.unwrap();
    let (context, told) = imitation::notices();
    let wanted = Wanted::with_dates();
    let names: Vec<_> = connector.repositories(&wanted, &context).try_collect().await.unwrap();
    assert_eq!(names.len(), 5);
    for _ in 0..2 {
        let images = connector.images("team/app", &wanted, &context).await.unwrap();
        assert_eq!(images.iter().map(|image| image.tags.len()).sum::<usize>(), 4);
        assert!(images.iter().all(|image| image.date == ImageDate::none()));
        // The tokens end in the middle of the run: Harbor says so with a Basic challenge.
        state.generation.fetch_add(1, Ordering::SeqCst);
    }
    let told = told.lock().unwrap();
    assert!(told.len() == 1 && told[0].contains("list artifacts"), "{told:?}");
}

#[tokio::test]
async fn only_the_projects_that_are_wanted() {
    let (server, _) = harbor(everything()).await;
    let projects = |names: &[&str]| HarborSettings { projects: names.iter().map(|&name| name.to_owned()).collect() };
    for (user, names, expected) in [
        ("guest", &["team"][..], Ok(vec!["team/a.b/c__d/e--f_g", "team/app", "team/web"])),
        (PULLER, &["other", "library"], Ok(vec!["other/tool", "library/open"])),
        ("guest", &["nosuch"], Err(Kind::PermissionDenied)),
    ] {
        let registry = definition(&server, user, PASSWORD).with_settings(projects(names)).unwrap();
        let connector = connector(&registry).await.unwrap();
        let (wanted, context) = (Wanted::default(), Context::new());
        let found = connector.repositories(&wanted, &context).try_collect::<Vec<_>>().await;
        let found =
            found.as_ref().map(|names| names.iter().map(String::as_str).collect()).map_err(|error| error.kind());
        assert_eq!(found, expected, "{user} {names:?}");
    }
}

#[tokio::test]
async fn faults_are_waited_for_or_told() {
    let (server, _) = harbor(everything()).await;
    let connector = connector(&definition(&server, "guest", PASSWORD)).await.unwrap();
    let (wanted, context) = (Wanted::default(), Context::new());
    server.fault("/artifacts", 1, Answer::too_many());
    assert_eq!(connector.images("team/web", &wanted, &context).await.unwrap().len(), 1);
    server.fault("/artifacts", 1, Answer::json(json!({"digest": 7})));
    let error = connector.images("team/web", &wanted, &context).await.unwrap_err();
    assert_eq!((error.kind(), error.hint().is_some()), (Kind::Corrupt, true), "{error:?}");
    // A login page instead of the API: the registry itself still answers.
    server.fault("/artifacts", 1, Answer::page());
    let images = connector.images("team/web", &wanted, &context).await.unwrap();
    assert_eq!(images[0].date, ImageDate::none());
}
