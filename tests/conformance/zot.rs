//! zot: an imitation of its search extension over Docker V2, from its GraphQL schema.

use std::sync::Arc;

use serde_json::json;
use tidewaiter::conformance::connector::suite;
use tidewaiter::model::record::{DateSource, ImageDate};
use tidewaiter::registry::{Credential, Registry, Secret};

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
