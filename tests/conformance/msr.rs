//! Mirantis Secure Registry 2 and 3: an imitation of its `/api/v0`, from the API reference. (MSR 4 is a Harbor: see there.)

use std::sync::Arc;

use serde_json::json;
use tidewaiter::conformance::connector::suite;
use tidewaiter::model::record::{DateSource, ImageDate};
use tidewaiter::registry::{Credential, Registry, Secret, Wanted};
use tidewaiter::{Context, Kind};

use super::connector;
use super::imitation::{self, Answer, Asked, Imitation};
use super::lapses::{self, Password, Product};
use super::samples::{Image, holding, image, images, latest, v2};

const PASSWORD: &str = "planted-s3cret";
/// Pages are this small, so that some follow.
const PAGE: usize = 2;

fn respond(asked: &Asked, images: &[Image]) -> Answer {
    let who = asked.basic();
    if who != Some(("alice".into(), PASSWORD.into())) {
        return Answer::refused(401, "UNAUTHORIZED", "unauthorized").with("www-authenticate", "Basic realm=\"msr\"");
    }
    match asked.segments()[..] {
        ["api", "v0", "repositories"] => {
            let mut names: Vec<_> = images.iter().map(|image| image.repository.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            let entry = |name: &&str| {
                let (namespace, name) = name.split_once('/').unwrap();
                json!({"id": "1", "namespace": namespace, "namespaceType": "organization", "name": name, "visibility": "private"})
            };
            let (shown, next) = page(asked, &names);
            let answer = Answer::json(json!({"repositories": shown.iter().map(entry).collect::<Vec<_>>()}));
            // The token of the last page is there and empty.
            answer.with("x-next-page-start", next)
        }
        ["api", "v0", "repositories", namespace, name, "tags"] => {
            let full = format!("{namespace}/{name}");
            let own: Vec<_> = images.iter().filter(|image| image.repository == full).collect();
            if own.is_empty() {
                return Answer::refused(
                    404,
                    "NO_SUCH_REPOSITORY",
                    "A repository with the given namespace and name does not exist.",
                );
            }
            let tags: Vec<_> = own.iter().flat_map(|image| image.tags.iter().map(|tag| (&image.digest, tag))).collect();
            let (shown, next) = page(asked, &tags);
            let entry = |(digest, (tag, time)): &(&tidewaiter::model::digest::Digest, &(String, String))| {
                json!({
                    "name": tag, "digest": digest.as_str(), "author": "ci",
                    "createdAt": "2025-01-01T00:00:00.000Z", "updatedAt": time, "hashMismatch": false, "inNotary": false,
                    "manifest": {"digest": digest.as_str(), "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
                        "os": "linux", "architecture": "amd64", "size": 28_114_780, "createdAt": "2024-01-01T00:00:00Z"},
                })
            };
            Answer::json(json!(shown.iter().map(entry).collect::<Vec<_>>())).with("x-next-page-start", next)
        }
        ["v2", ..] => v2(asked, images, ""),
        _ => Answer::new(404, "text/plain", "404 page not found\n"),
    }
}

fn page<'a, T>(asked: &Asked, entries: &'a [T]) -> (&'a [T], String) {
    let from: usize = asked.param("pageStart").parse().unwrap_or(0);
    let to = (from + PAGE).min(entries.len());
    (&entries[from..to], if to < entries.len() { to.to_string() } else { String::new() })
}

fn everything() -> Vec<Image> {
    let mut all = images();
    all.push(image("team/more", "more", &[("1", "2026-02-02T02:02:02Z")]));
    all
}

async fn msr() -> (Imitation, Registry) {
    let server = Imitation::start(|asked| respond(asked, &everything())).await;
    let registry = Registry::msr(server.url()).credential(Credential::basic("alice", Secret::value(PASSWORD)));
    (server, registry)
}

#[tokio::test]
async fn suite_holds() {
    let (server, registry) = msr().await;
    let date = |image: &Image| ImageDate::read(latest(image), DateSource::Modified);
    suite(&*connector(&registry).await.unwrap(), &holding(&everything(), date)).await;
    // Docker V2 is asked about names that the API does not know, and about nothing else.
    assert_eq!(server.count("/_catalog") + server.count("/manifests/"), 0);
}

#[tokio::test]
async fn nothing_is_lost_in_the_middle_of_a_run() {
    let password = Arc::new(Password::new());
    let now = Arc::clone(&password);
    let server = Imitation::start(move |asked| respond(&now.seen(asked, PASSWORD), &everything())).await;
    let product = Product {
        registry: Registry::msr(server.url()).credential(Credential::basic("alice", password.secret())),
        password: &password,
        dates: (&server, "/api/v0/repositories/"),
        tags: (&server, "/tags/list"),
        challenge: None,
    };
    lapses::suite(product, "team/app").await;
}

#[tokio::test]
async fn what_only_the_api_does_not_know_is_there() {
    let (server, registry) = msr().await;
    let connector = connector(&registry).await.unwrap();
    let (wanted, (context, told)) = (Wanted::with_dates(), imitation::notices());
    // `api_url` leads to something else.
    server.fault("/api/v0/", 2, Answer::new(404, "text/html", "<html>"));
    assert_eq!(connector.images("team/app", &wanted, &context).await.unwrap().len(), 2);
    assert!(told.lock().unwrap().len() == 1 && told.lock().unwrap()[0].contains("api_url"), "{told:?}");
    assert_eq!(connector.images("none/such", &wanted, &context).await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn faults_are_told() {
    let (server, registry) = msr().await;
    let wanted = Wanted::with_dates();
    let good = connector(&registry).await.unwrap();
    server.fault("/tags", 1, Answer::too_many());
    assert_eq!(good.images("team/web", &wanted, &Context::new()).await.unwrap().len(), 1);
    // No tags at all is null.
    server.fault("/tags", 1, Answer::json(json!(null)));
    assert!(good.images("team/web", &wanted, &Context::new()).await.unwrap().is_empty());
    server.fault("/tags", 1, Answer::refused(403, "FORBIDDEN", "no"));
    assert_eq!(good.images("team/web", &wanted, &Context::new()).await.unwrap()[0].date, ImageDate::none());
    let wrong = registry.credential(Credential::basic("alice", Secret::value("wrong")));
    let wrong = connector(&wrong).await.unwrap();
    let error = wrong.images("team/web", &wanted, &Context::new()).await.unwrap_err();
    assert!(error.kind() == Kind::Unauthenticated && error.hint().is_some(), "{error:?}");
}
