//! zot: an imitation of its search extension over Docker V2, from its GraphQL schema.

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use serde_json::json;
use tidewaiter::conformance::connector::suite;
use tidewaiter::model::record::{DateSource, ImageDate};
use tidewaiter::registry::{Credential, Registry, Secret, Wanted, check};
use tidewaiter::{Context, Kind};

use super::connector;
use super::imitation::{Answer, Asked, Imitation};
use super::lapses::{self, Password, Product};
use super::samples::{Image, holding, images, latest, v2};

/// How old the imitated zot is: what it does not know in a query it refuses.
#[derive(Clone, Copy, PartialEq)]
enum Age {
    New,
    WithoutTagged,
    WithoutPushed,
    WithoutSearch,
}

const PUSHED: &str = "2026-01-01T00:00:00Z";

fn respond(asked: &Asked, age: Age) -> Answer {
    // What zot sends has neither quotes nor capitals.
    if asked.basic() != Some(("alice".into(), "planted-s3cret".into())) {
        return Answer::refused(401, "UNAUTHORIZED", "authentication required")
            .with("www-authenticate", "basic realm=zot");
    }
    if asked.path != "/v2/_zot/ext/search" {
        return v2(asked, &images(), "");
    }
    if age == Age::WithoutSearch {
        return Answer::new(404, "text/plain", "404 page not found\n");
    }
    let body: serde_json::Value = serde_json::from_str(&asked.body).unwrap();
    let query = body["query"].as_str().unwrap();
    for (field, known) in [("TaggedTimestamp", age == Age::New), ("PushTimestamp", age != Age::WithoutPushed)] {
        if query.contains(field) && !known {
            let message = format!("Cannot query field \"{field}\" on type \"ImageSummary\".");
            return Answer::json(json!({"errors": [{"message": message, "locations": []}], "data": null}));
        }
    }
    let name = query.split('"').nth(1).unwrap();
    let mut results = Vec::new();
    for image in images().into_iter().filter(|image| image.repository == name) {
        for (tag, time) in &image.tags {
            let mut row = json!({"RepoName": name, "Tag": tag, "Digest": image.digest.as_str(), "MediaType": "application/vnd.oci.image.manifest.v1+json"});
            if query.contains("TaggedTimestamp") {
                row["TaggedTimestamp"] = json!(time);
            }
            if query.contains("PushTimestamp") {
                row["PushTimestamp"] = json!(PUSHED);
            }
            results.push(row);
        }
    }
    Answer::json(json!({"data": {"ImageList": {"Results": results}}}))
}

#[tokio::test]
async fn suite_holds_for_every_age() {
    for age in [Age::New, Age::WithoutTagged, Age::WithoutPushed, Age::WithoutSearch] {
        let server = Imitation::start(move |asked| respond(asked, age)).await;
        let registry =
            Registry::zot(server.url()).credential(Credential::basic("alice", Secret::value("planted-s3cret")));
        let date = |image: &Image| match age {
            Age::New => ImageDate::read(latest(image), DateSource::Pushed),
            Age::WithoutTagged => ImageDate::read(Some(PUSHED), DateSource::FirstPushed),
            Age::WithoutPushed | Age::WithoutSearch => ImageDate::none(),
        };
        suite(&*connector(&registry).await.unwrap(), &holding(&images(), date)).await;
    }
}

#[tokio::test]
async fn nothing_is_lost_in_the_middle_of_a_run() {
    let password = Arc::new(Password::new());
    let now = Arc::clone(&password);
    let server = Imitation::start(move |asked| respond(&now.seen(asked, "planted-s3cret"), Age::New)).await;
    let product = Product {
        registry: Registry::zot(server.url()).credential(Credential::basic("alice", password.secret())),
        password: &password,
        dates: (&server, "/ext/search"),
        tags: (&server, "/tags/list"),
        challenge: None,
    };
    lapses::suite(product, "team/app").await;
}

#[tokio::test]
async fn a_wrong_password_is_never_a_listing_of_what_everybody_may_read() {
    // Everybody may read `team`, and is told with a 200 how to show who asks.
    let server = Imitation::start(|asked| match asked.headers.contains_key("authorization") {
        true => respond(asked, Age::WithoutSearch),
        false => {
            let public: Vec<_> = images().into_iter().filter(|image| image.repository.starts_with("team/")).collect();
            v2(asked, &public, "").with("www-authenticate", "basic realm=zot")
        }
    })
    .await;
    let with =
        |password: &str| Registry::zot(server.url()).credential(Credential::basic("alice", Secret::value(password)));
    let context = Context::new();
    lapses::a_wrong_password_lists_nothing(&with("wrong")).await;

    let good = connector(&with("planted-s3cret")).await.unwrap();
    suite(&*good, &holding(&images(), |_| ImageDate::none())).await;
    let done = check(&with("planted-s3cret"), Some("other/tool"), &context).await.unwrap();
    assert!(done.is_ok() && done.steps[3].ok == Some(true), "{done:?}");
}

#[tokio::test]
async fn limits_are_waited_for_and_refusals_are_told() {
    let server = Imitation::start(|asked| respond(asked, Age::New)).await;
    let registry = Registry::zot(server.url()).credential(Credential::basic("alice", Secret::value("planted-s3cret")));
    let connector = connector(&registry).await.unwrap();
    let (wanted, context) = (Wanted::default(), Context::new());
    server.fault("/_zot/ext/search", 1, Answer::too_many());
    server.fault("/_catalog", 1, Answer::too_many());
    assert_eq!(connector.images("team/web", &wanted, &context).await.unwrap().len(), 1);
    assert_eq!(connector.repositories(&wanted, &context).try_collect::<Vec<_>>().await.unwrap().len(), 3);
    server.fault("team/web", 9, Answer::refused(403, "DENIED", "requested access to the resource is denied"));
    server.fault("/_zot/ext/search", 1, Answer::refused(403, "DENIED", "requested access to the resource is denied"));
    let error = connector.images("team/web", &wanted, &context).await.unwrap_err();
    assert!(error.kind() == Kind::PermissionDenied && error.hint().is_some(), "{error:?}");
}
