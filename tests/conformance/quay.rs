//! Quay: an imitation of its token server, its catalog and its API, from its source and documentation.

use serde_json::json;
use tidewaiter::conformance::connector::suite;
use tidewaiter::model::record::{DateSource, ImageDate};
use tidewaiter::registry::{Credential, QuaySettings, Registry, Secret, StepName, Wanted, check};
use tidewaiter::{Context, Kind};

use super::connector;
use super::imitation::{self, Answer, Asked, Imitation};
use super::lapses;
use super::samples::{Image, holding, image, images, latest, v2};

const ROBOT: &str = "planted-robot";
const OAUTH: &str = "planted-oauth";
/// Pages are this small, so that some follow.
const PAGE: usize = 2;

fn respond(asked: &Asked, images: &[Image]) -> Answer {
    match asked.segments()[..] {
        ["v2", "auth"] => token(asked),
        ["v2", ..] => {
            let realm = format!("Bearer realm=\"{}/v2/auth\",service=\"quay.example\"", asked.own);
            let answer = match asked.bearer() {
                Some(token) if token.starts_with("jwt-") => v2(asked, images, ""),
                // For nobody there is nothing in it, which is no refusal.
                None if asked.path == "/v2/_catalog" => Answer::json(json!({"repositories": []})),
                _ => Answer::refused(401, "UNAUTHORIZED", "access to the requested resource is not authorized"),
            };
            // The challenge is on every answer.
            answer.with("www-authenticate", realm)
        }
        ["api", "v1", ref rest @ ..] => api(asked, rest, images),
        _ => Answer::new(404, "text/html", "<html>"),
    }
}

/// `{"token"}` alone; any scope that is not one of a repository is a bad request.
fn token(asked: &Asked) -> Answer {
    let is_good = match asked.basic() {
        Some((name, password)) => {
            (name == "team+scan" && password == ROBOT) || (name == "$oauthtoken" && password == OAUTH)
        }
        None => false,
    };
    if !is_good {
        return Answer::refused(401, "UNAUTHORIZED", "Invalid username or password");
    }
    match asked.param("scope") {
        "" => Answer::json(json!({"token": "jwt-all"})),
        scope if scope.starts_with("repository:") => Answer::json(json!({"token": "jwt-one"})),
        _ => Answer::new(400, "application/json", "{}"),
    }
}

/// Only OAuth tokens open it: Basic, a robot's too, is refused.
fn api(asked: &Asked, path: &[&str], images: &[Image]) -> Answer {
    let refused = |status, kind: &str| {
        Answer::new(status, "application/json", json!({"status": status, "error_type": kind}).to_string())
    };
    if asked.bearer() != Some(OAUTH) {
        return refused(401, "invalid_token");
    }
    match path {
        ["repository"] => {
            let namespace = asked.param("namespace");
            if namespace.is_empty() {
                return refused(400, "invalid_request");
            }
            let mut names: Vec<_> = images
                .iter()
                .filter_map(|image| image.repository.split_once('/'))
                .filter(|one| one.0 == namespace)
                .collect();
            names.sort_unstable();
            names.dedup();
            let from: usize = asked.param("next_page").parse().unwrap_or(0);
            let mut shown: Vec<_> = names.iter().skip(from).take(PAGE).map(|(namespace, name)| {
                json!({"namespace": namespace, "name": name, "is_public": false, "kind": "image", "state": "NORMAL", "last_modified": null})
            }).collect();
            shown.push(json!({"namespace": namespace, "name": "chart", "kind": "application"}));
            let next = (from + PAGE < names.len()).then(|| (from + PAGE).to_string());
            Answer::json(json!({"repositories": shown, "next_page": next}))
        }
        ["repository", namespace, name @ .., "tag", ""] => {
            let full = format!("{namespace}/{}", name.join("/"));
            let own: Vec<_> = images.iter().filter(|image| image.repository == full).collect();
            if own.is_empty() {
                return refused(404, "not_found");
            }
            let seconds = |time: &str| time.parse::<jiff::Timestamp>().unwrap().as_second();
            let mut tags: Vec<_> = own
                .iter()
                .flat_map(|image| image.tags.iter().map(move |(tag, time)| (seconds(time), tag, &image.digest)))
                .collect();
            tags.sort_by(|a, b| b.cmp(a));
            let page: usize = asked.param("page").parse().unwrap();
            let rows: Vec<_> = tags.iter().skip((page - 1) * PAGE).take(PAGE).map(|(at, tag, digest)| {
                json!({"name": tag, "reversion": false, "start_ts": at, "manifest_digest": digest.as_str(), "is_manifest_list": false, "size": 1,
                    "last_modified": "Wed, 20 May 2026 09:30:00 -0000"})
            }).collect();
            Answer::json(json!({"tags": rows, "page": page, "has_additional": page * PAGE < tags.len()}))
        }
        _ => refused(404, "not_found"),
    }
}

fn everything() -> Vec<Image> {
    let mut all = images();
    all.push(image("team/deep/down", "deep", &[("1", "2026-02-02T02:02:02Z")]));
    all
}

async fn quay() -> Imitation {
    Imitation::start(|asked| respond(asked, &everything())).await
}

/// A Quay with these images.
pub async fn holding_images(images: Vec<Image>) -> (Imitation, Registry) {
    let server = Imitation::start(move |asked| respond(asked, &images)).await;
    let registry = definition(&server, both(OAUTH), &["team", "other"]);
    (server, registry)
}

fn definition(server: &Imitation, credential: Credential, namespaces: &[&str]) -> Registry {
    let namespaces = namespaces.iter().map(|&name| name.to_owned()).collect();
    Registry::quay(server.url()).credential(credential).with_settings(QuaySettings { namespaces }).unwrap()
}

fn both(token: &str) -> Credential {
    Credential::Quay { username: "team+scan".into(), password: Secret::value(ROBOT), token: Some(Secret::value(token)) }
}

/// Seconds are all that Quay says.
fn date(image: &Image) -> ImageDate {
    let at = latest(image).unwrap().parse::<jiff::Timestamp>().unwrap();
    ImageDate::of_seconds(at.as_second(), DateSource::Pushed)
}

#[tokio::test]
async fn suite_holds() {
    let server = quay().await;
    for (credential, namespaces, dated) in [
        (both(OAUTH), &["team", "other"][..], true),
        (Credential::token(Secret::value(OAUTH)), &["team", "other"], true),
        // From the catalog.
        (Credential::token(Secret::value(OAUTH)), &[], true),
        (Credential::basic("team+scan", Secret::value(ROBOT)), &["team", "other"], false),
    ] {
        let connector = connector(&definition(&server, credential, namespaces)).await.unwrap();
        let said = |image: &Image| if dated { date(image) } else { ImageDate::none() };
        suite(&*connector, &holding(&everything(), said)).await;
    }
}

#[tokio::test]
async fn where_the_newest_is_too_old_no_other_page_is_asked_for() {
    let server = quay().await;
    let connector = connector(&definition(&server, both(OAUTH), &["team"])).await.unwrap();
    let mut wanted = Wanted::with_dates();
    wanted.since = Some("2026-12-01T00:00:00Z".parse().unwrap());
    assert!(connector.images("team/app", &wanted, &Context::new()).await.unwrap().is_empty());
    assert_eq!(server.count("/tag/"), 1);
    // One tag of an image is new enough: it comes with all its tags.
    wanted.since = Some("2026-06-01T00:00:00Z".parse().unwrap());
    let images = connector.images("team/app", &wanted, &Context::new()).await.unwrap();
    let newest = images.iter().find(|image| image.tags.contains(&"latest".to_owned())).unwrap();
    assert_eq!(newest.tags, ["2.0", "latest"]);
}

#[tokio::test]
async fn only_the_namespaces_that_are_wanted() {
    use futures_util::TryStreamExt as _;
    let server = quay().await;
    for credential in [both(OAUTH), Credential::basic("team+scan", Secret::value(ROBOT))] {
        let connector = connector(&definition(&server, credential, &["team"])).await.unwrap();
        let (wanted, context) = (Wanted::default(), Context::new());
        let mut names: Vec<_> = connector.repositories(&wanted, &context).try_collect().await.unwrap();
        names.sort_unstable();
        assert_eq!(names, ["team/app", "team/deep/down", "team/web"]);
    }
}

#[tokio::test]
async fn nothing_to_list_is_told() {
    use futures_util::TryStreamExt as _;
    let server = quay().await;
    let (wanted, (context, told)) = (Wanted::default(), imitation::notices());
    let names = async |registry: Registry| {
        connector(&registry).await.unwrap().repositories(&wanted, &context).try_collect::<Vec<_>>().await
    };
    // For nobody the catalog is empty, which is not that there are none.
    let nobody = definition(&server, Credential::Anonymous, &[]);
    let error = names(nobody.clone()).await.unwrap_err();
    assert!(error.kind() == Kind::Unauthenticated && error.hint().unwrap().contains("namespaces"), "{error:?}");
    let done = check(&nobody, None, &context).await.unwrap();
    assert_eq!(done.failed().map(|step| step.step), Some(StepName::List), "{done:?}");
    // A namespace that is misspelled or not for us, by the API and by the catalog.
    for credential in [both(OAUTH), Credential::basic("team+scan", Secret::value(ROBOT))] {
        assert_eq!(names(definition(&server, credential, &["taem", "other"])).await.unwrap(), ["other/tool"]);
        let told = std::mem::take(&mut *told.lock().unwrap());
        assert!(told.len() == 1 && told[0].contains("of taem is"), "{told:?}");
    }
}

#[tokio::test]
async fn a_token_that_is_refused_is_told() {
    let server = quay().await;
    let connector = connector(&definition(&server, both("planted-wrong"), &["team"])).await.unwrap();
    let error = connector.images("team/app", &Wanted::with_dates(), &Context::new()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated, "{error:?}");
    assert!(error.hint().unwrap().contains("repo:read") && !format!("{error:?}").contains("planted"), "{error:?}");
}

#[tokio::test]
async fn a_wrong_password_is_not_a_catalog_with_nothing_in_it() {
    use futures_util::TryStreamExt as _;
    let server = quay().await;
    let robot = |password: &str| definition(&server, Credential::basic("team+scan", Secret::value(password)), &[]);
    let (wanted, context) = (Wanted::default(), Context::new());
    lapses::a_wrong_password_lists_nothing(&robot("wrong")).await;

    let good = connector(&robot(ROBOT)).await.unwrap();
    assert_eq!(good.repositories(&wanted, &context).try_collect::<Vec<_>>().await.unwrap().len(), 4);
    let done = check(&robot(ROBOT), Some("team/app"), &context).await.unwrap();
    assert!(done.is_ok() && done.steps.iter().all(|step| step.ok != Some(false)), "{done:?}");
    // The ping is that of the session, and the token of the catalog is kept from page to page.
    let pings = || server.log().iter().filter(|line| *line == "GET /v2/").count();
    let before = (pings(), server.count("/v2/auth"));
    let good = connector(&robot(ROBOT)).await.unwrap();
    good.repositories(&wanted, &context).try_collect::<Vec<_>>().await.unwrap();
    good.images("team/app", &wanted, &context).await.unwrap();
    // With the scope of the catalog, which Quay refuses, without, and for the repository.
    assert_eq!((pings(), server.count("/v2/auth")), (before.0 + 1, before.1 + 3));
}

#[tokio::test]
async fn limits_are_waited_for_and_tokens_that_end_are_renewed() {
    let server = quay().await;
    let (wanted, context) = (Wanted::with_dates(), Context::new());
    let dated = connector(&definition(&server, both(OAUTH), &["team"])).await.unwrap();
    server.fault("/tag/", 1, Answer::too_many());
    assert_eq!(dated.images("team/web", &wanted, &context).await.unwrap().len(), 1);
    // A robot has the registry's tokens only.
    let robot = Credential::basic("team+scan", Secret::value(ROBOT));
    let robot = connector(&definition(&server, robot, &[]).with_concurrency(1)).await.unwrap();
    assert_eq!(robot.images("team/web", &wanted, &context).await.unwrap().len(), 1);
    let realm = format!("Bearer realm=\"{}/v2/auth\",service=\"quay.example\"", server.url());
    let ended = || Answer::refused(401, "UNAUTHORIZED", "no").with("www-authenticate", realm.clone());
    let tokens = server.count("/v2/auth");
    server.fault("/tags/list", 1, ended());
    assert_eq!(robot.images("team/web", &wanted, &context).await.unwrap().len(), 1);
    assert_eq!(server.count("/v2/auth"), tokens + 1);
    // One that is refused as soon as it is given stands for a right that is missing.
    server.fault("/tags/list", 2, ended());
    let error = robot.images("team/web", &wanted, &context).await.unwrap_err();
    assert!(error.kind() == Kind::PermissionDenied && error.hint().is_some(), "{error:?}");
}
