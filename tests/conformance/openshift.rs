//! OpenShift: an imitation of its registry's token server and of the image streams of its API server, from their sources.

use std::sync::Arc;

use serde_json::json;
use tidewaiter::conformance::connector::suite;
use tidewaiter::model::record::{DateSource, ImageDate};
use tidewaiter::registry::{Credential, OpenshiftSettings, Registry, Secret, Wanted};
use tidewaiter::{Context, Kind};

use super::connector;
use super::imitation::{self, Answer, Asked, Imitation};
use super::lapses::{self, Password, Product};
use super::samples::{Image, holding, images, latest, v2};

const TOKEN: &str = "planted-t0ken";

/// The registry: the password is an API token, whoever the user is.
fn registry(asked: &Asked) -> Answer {
    match asked.segments()[..] {
        ["openshift", "token"] => match asked.basic() {
            Some((_, password)) if password == TOKEN => Answer::json(json!({"token": TOKEN, "access_token": TOKEN})),
            Some(_) => Answer::new(401, "application/json", r#"{"details":"unauthorized"}"#),
            None => Answer::json(json!({"token": "anonymous", "access_token": "anonymous"})),
        },
        _ if asked.bearer() == Some(TOKEN) => v2(asked, &images(), ""),
        _ if asked.headers.contains_key("authorization") => {
            Answer::refused(401, "UNAUTHORIZED", "authentication required")
                .with("www-authenticate", "Basic realm=openshift,error=\"access denied\"")
        }
        // No service and no scope.
        _ => Answer::refused(401, "UNAUTHORIZED", "authentication required")
            .with("www-authenticate", format!("Bearer realm=\"{}/openshift/token\"", asked.own)),
    }
}

/// The API server: lists of two image streams a page.
fn server(asked: &Asked) -> Answer {
    let status = |code: u16, reason: &str| {
        let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": reason, "reason": reason, "code": code});
        Answer::new(code, "application/json", body.to_string())
    };
    if asked.bearer() != Some(TOKEN) {
        return status(401, "Unauthorized");
    }
    let all = images();
    let mut names: Vec<_> = all.iter().filter_map(|image| image.repository.split_once('/')).collect();
    names.sort_unstable();
    names.dedup();
    match asked.segments()[..] {
        ["apis", "image.openshift.io", "v1", ref rest @ .., "imagestreams"] => {
            let project = rest.get(1).copied();
            names.retain(|(namespace, _)| project.is_none_or(|project| project == *namespace));
            let from: usize = asked.param("continue").parse().unwrap_or(0);
            let shown: Vec<_> =
                names.iter().skip(from).take(2).map(|(namespace, name)| stream(&all, namespace, name)).collect();
            let next = if from + 2 < names.len() { (from + 2).to_string() } else { String::new() };
            Answer::json(
                json!({"kind": "ImageStreamList", "metadata": {"continue": next, "resourceVersion": "1"}, "items": shown}),
            )
        }
        ["apis", "image.openshift.io", "v1", "namespaces", project, "imagestreams", name] => {
            match names.contains(&(project, name)) {
                true => Answer::json(stream(&all, project, name)),
                false => status(404, "NotFound"),
            }
        }
        _ => status(404, "NotFound"),
    }
}

/// An image stream: the first item of a tag is what it is now; an import that failed has none.
fn stream(images: &[Image], project: &str, name: &str) -> serde_json::Value {
    let own = images.iter().filter(|image| image.repository == format!("{project}/{name}"));
    let mut tags: Vec<_> = own
        .flat_map(|image| image.tags.iter().map(move |(tag, time)| json!({"tag": tag, "items": [
            {"created": time, "dockerImageReference": format!("quay.example/x@{}", image.digest), "image": image.digest.as_str(), "generation": 2},
            {"created": "2020-01-01T00:00:00Z", "image": format!("sha256:{}", "0".repeat(64)), "generation": 1},
        ]})))
        .collect();
    tags.push(json!({"tag": "failed", "items": null, "conditions": [{"type": "ImportSuccess", "status": "False"}]}));
    json!({"metadata": {"name": name, "namespace": project}, "spec": {}, "status": {"dockerImageRepository": "x", "tags": tags}})
}

fn date(image: &Image) -> ImageDate {
    ImageDate::read(latest(image), DateSource::Pushed)
}

#[tokio::test]
async fn suite_holds() {
    let (front, back) = (Imitation::start(registry).await, Imitation::start(server).await);
    let projects = OpenshiftSettings { projects: vec!["team".into(), "other".into()] };
    for credential in
        [Credential::basic("serviceaccount", Secret::value(TOKEN)), Credential::token(Secret::value(TOKEN))]
    {
        let plain = Registry::openshift(front.url()).credential(credential);
        suite(&*connector(&plain).await.unwrap(), &holding(&images(), |_| ImageDate::none())).await;
        let with_api = plain.with_api_url(back.url());
        suite(&*connector(&with_api).await.unwrap(), &holding(&images(), date)).await;
        let by_project = with_api.with_settings(&projects).unwrap();
        suite(&*connector(&by_project).await.unwrap(), &holding(&images(), date)).await;
    }
}

#[tokio::test]
async fn lists_that_end_in_their_middle_begin_anew_and_refusals_are_told() {
    use futures_util::TryStreamExt as _;
    let (front, back) = (Imitation::start(registry).await, Imitation::start(server).await);
    let credential = Credential::token(Secret::value(TOKEN));
    let registry = Registry::openshift(front.url()).with_api_url(back.url()).credential(credential);
    let connector = connector(&registry).await.unwrap();
    let (wanted, context) = (Wanted::with_dates(), Context::new());
    back.fault("continue=2", 1, Answer::new(410, "application/json", r#"{"kind":"Status","code":410}"#));
    let names: Vec<_> = connector.repositories(&wanted, &context).try_collect().await.unwrap();
    assert_eq!(names.len(), 3);
    back.fault("imagestreams", 1, Answer::new(403, "application/json", r#"{"kind":"Status","message":"forbidden"}"#));
    let error = connector.repositories(&wanted, &context).try_collect::<Vec<_>>().await.unwrap_err();
    assert!(error.kind() == Kind::PermissionDenied && error.hint().unwrap().contains("projects"), "{error:?}");
    back.fault("imagestreams", 1, Answer::new(403, "application/json", "{}"));
    assert_eq!(connector.images("team/web", &wanted, &context).await.unwrap()[0].date, ImageDate::none());
}

#[tokio::test]
async fn what_only_the_api_does_not_know_is_there() {
    // `api_url` is that of a Kubernetes without image streams.
    let (front, back) =
        (Imitation::start(registry).await, Imitation::start(|_| Answer::new(404, "text/plain", "404")).await);
    let registry = Registry::openshift(front.url()).with_api_url(back.url());
    let connector = connector(&registry.credential(Credential::token(Secret::value(TOKEN)))).await.unwrap();
    let (wanted, (context, told)) = (Wanted::with_dates(), imitation::notices());
    assert_eq!(connector.images("team/app", &wanted, &context).await.unwrap().len(), 2);
    assert!(told.lock().unwrap().len() == 1 && told.lock().unwrap()[0].contains("api_url"), "{told:?}");
    assert_eq!(connector.images("none/such", &wanted, &context).await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn only_the_projects_that_are_wanted_also_without_the_api_server() {
    use futures_util::TryStreamExt as _;
    let front = Imitation::start(registry).await;
    let projects = OpenshiftSettings { projects: vec!["other".into(), "tea".into()] };
    let registry = Registry::openshift(front.url()).credential(Credential::token(Secret::value(TOKEN)));
    let connector = connector(&registry.with_settings(projects).unwrap()).await.unwrap();
    let (wanted, (context, told)) = (Wanted::default(), imitation::notices());
    let names: Vec<_> = connector.repositories(&wanted, &context).try_collect().await.unwrap();
    assert_eq!(names, ["other/tool"]);
    assert!(told.lock().unwrap().len() == 1 && told.lock().unwrap()[0].contains("of tea is"), "{told:?}");
}

#[tokio::test]
async fn nothing_is_lost_in_the_middle_of_a_run() {
    let password = Arc::new(Password::new());
    let (at_front, at_back) = (Arc::clone(&password), Arc::clone(&password));
    let front = Imitation::start(move |asked| registry(&at_front.seen(asked, TOKEN))).await;
    let back = Imitation::start(move |asked| server(&at_back.seen(asked, TOKEN))).await;
    let registry = Registry::openshift(front.url()).with_api_url(back.url());
    let product = Product {
        registry: registry.credential(Credential::token(password.secret())),
        password: &password,
        dates: (&back, "/imagestreams"),
        tags: (&front, "/tags/list"),
        challenge: None,
    };
    lapses::suite(product, "team/app").await;
}
