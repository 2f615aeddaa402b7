//! Nexus Repository 3: an imitation of its search over REST and of Docker V2 below `/repository/<name>`, from its documentation.

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use serde_json::json;
use tidewaiter::conformance::connector::suite;
use tidewaiter::model::record::{DateSource, ImageDate};
use tidewaiter::registry::{Credential, NexusSettings, Registry, Secret, Wanted, check};
use tidewaiter::{Context, Kind};

use super::connector;
use super::imitation::{self, Answer, Asked, Imitation};
use super::lapses::{self, Password, Product};
use super::samples::{Image, holding, images, latest, v2};

fn respond(asked: &Asked) -> Answer {
    if asked.basic() != Some(("alice".into(), "planted-s3cret".into())) {
        return Answer::refused(401, "UNAUTHORIZED", "access to the requested resource is not authorized")
            .with("www-authenticate", "BASIC realm=\"Sonatype Nexus Repository Manager\"");
    }
    if asked.path == "/service/rest/v1/repositories" {
        return Answer::json(json!([{"name": "docker-hosted", "format": "docker", "type": "hosted", "url": "x"}]));
    }
    if asked.path != "/service/rest/v1/search" {
        return v2(asked, &images(), "/repository/docker-hosted");
    }
    if asked.param("repository") != "docker-hosted" {
        return Answer::json(json!({"items": [], "continuationToken": null}));
    }
    let name = asked.param("name");
    let mut items = Vec::new();
    for image in images().iter().filter(|image| image.repository == name) {
        for (tag, time) in &image.tags {
            let path = format!("v2/{name}/manifests/{tag}");
            items.push(json!({"id": "x", "repository": "docker-hosted", "format": "docker", "group": null, "name": name, "version": tag, "assets": [{
                "downloadUrl": format!("https://nexus.example/repository/docker-hosted/{path}"), "path": path, "format": "docker",
                "checksum": {"sha1": "0", "sha256": image.digest.hex()}, "contentType": "application/vnd.docker.distribution.manifest.v2+json",
                "lastModified": time.replace('Z', "+00:00"), "fileSize": 1520, "blobCreated": "2025-01-01T00:00:00.000+00:00",
            }]}));
        }
        // A manifest without a tag.
        items.push(json!({"name": name, "version": image.digest.as_str(), "assets": []}));
    }
    let from: usize = asked.param("continuationToken").parse().unwrap_or(0);
    let next = (from + 2 < items.len()).then(|| (from + 2).to_string());
    let shown: Vec<_> = items.into_iter().skip(from).take(2).collect();
    Answer::json(json!({"items": shown, "continuationToken": next}))
}

#[tokio::test]
async fn suite_holds() {
    let server = Imitation::start(respond).await;
    let credential = Credential::basic("alice", Secret::value("planted-s3cret"));
    let address = format!("{}/repository/docker-hosted", server.url());
    let date = |image: &Image| ImageDate::read(latest(image), DateSource::Modified);
    let registry = Registry::nexus(&address).credential(credential);
    suite(&*connector(&registry).await.unwrap(), &holding(&images(), date)).await;
    // The key wins over the address; a wrong one finds nothing, and Docker V2 knows better.
    let wrong = registry.with_settings(NexusSettings { repository_key: Some("other".into()) }).unwrap();
    let wrong = connector(&wrong).await.unwrap();
    suite(&*wrong, &holding(&images(), |_| ImageDate::none())).await;
}

#[tokio::test]
async fn a_tag_that_the_search_does_not_know_yet_is_not_hidden() {
    let behind = |asked: &Asked| {
        let mut answer = respond(asked);
        if asked.path.ends_with("/search") {
            let mut page: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
            page["items"].as_array_mut().unwrap().retain(|item| item["version"] != "latest");
            answer.body = page.to_string();
        }
        answer
    };
    let server = Imitation::start(behind).await;
    let registry = Registry::nexus(format!("{}/repository/docker-hosted", server.url()))
        .credential(Credential::basic("alice", Secret::value("planted-s3cret")));
    let hosted = connector(&registry).await.unwrap();
    let (wanted, context) = (Wanted::with_dates(), Context::new());
    let tags = async |connector: &dyn tidewaiter::registry::Connector| {
        let images = connector.images("team/app", &wanted, &context).await.unwrap();
        images.iter().map(|image| image.tags.len()).sum::<usize>()
    };
    assert_eq!((tags(&*hosted).await, server.count("HEAD")), (4, 1), "{:?}", server.log());
    assert_eq!((tags(&*hosted).await, server.count("/v1/repositories")), (4, 1));
    // The tags of a proxy are those of its upstream.
    let proxy = connector(&registry).await.unwrap();
    let of = json!([{"name": "docker-hosted", "format": "docker", "type": "proxy", "url": "x"}]);
    server.fault("/v1/repositories", 1, Answer::json(of));
    assert_eq!(tags(&*proxy).await, 3);
}

#[tokio::test]
async fn that_the_api_shows_nothing_of_what_there_is_is_told() {
    let server = Imitation::start(respond).await;
    let registry = Registry::nexus(format!("{}/repository/docker-hosted", server.url()))
        .credential(Credential::basic("alice", Secret::value("planted-s3cret")))
        .with_settings(NexusSettings { repository_key: Some("other".into()) })
        .unwrap();
    let connector = connector(&registry).await.unwrap();
    let (wanted, (context, told)) = (Wanted::with_dates(), imitation::notices());
    assert_eq!(connector.images("none/such", &wanted, &context).await.unwrap_err().kind(), Kind::NotFound);
    assert!(told.lock().unwrap().is_empty(), "{told:?}");
    for _ in 0..2 {
        assert_eq!(connector.images("team/app", &wanted, &context).await.unwrap().len(), 2);
    }
    let told = told.lock().unwrap();
    assert!(told.len() == 1 && told[0].contains("repository_key") && told[0].contains("browse"), "{told:?}");
}

#[tokio::test]
async fn without_the_name_of_the_repository_there_are_no_dates() {
    // A port of Docker's own: nothing but Docker V2 answers there.
    let server = Imitation::start(|asked| v2(asked, &images(), "")).await;
    let registry = Registry::nexus(server.url()).credential(Credential::Anonymous);
    suite(&*connector(&registry).await.unwrap(), &holding(&images(), |_| ImageDate::none())).await;
}

#[tokio::test]
async fn nothing_is_lost_in_the_middle_of_a_run() {
    let password = Arc::new(Password::new());
    let now = Arc::clone(&password);
    let server = Imitation::start(move |asked| respond(&now.seen(asked, "planted-s3cret"))).await;
    let registry = Registry::nexus(format!("{}/repository/docker-hosted", server.url()));
    let product = Product {
        registry: registry.credential(Credential::basic("alice", password.secret())),
        password: &password,
        dates: (&server, "/service/rest/"),
        tags: (&server, "/tags/list"),
        challenge: None,
    };
    lapses::suite(product, "team/app").await;
}

/// Everybody may read `team`; who shows something that is wrong is refused nevertheless, and nobody is asked to show anything.
fn open_to_everybody(asked: &Asked) -> Answer {
    match asked.headers.contains_key("authorization") {
        true => respond(asked),
        false => {
            let public: Vec<_> = images().into_iter().filter(|image| image.repository.starts_with("team/")).collect();
            v2(asked, &public, "/repository/docker-hosted")
        }
    }
}

#[tokio::test]
async fn a_wrong_password_is_never_a_listing_of_what_everybody_may_read() {
    let server = Imitation::start(open_to_everybody).await;
    let address = format!("{}/repository/docker-hosted", server.url());
    let with =
        |password: &str| Registry::nexus(&address).credential(Credential::basic("alice", Secret::value(password)));
    let (wanted, context) = (Wanted::default(), Context::new());
    lapses::a_wrong_password_lists_nothing(&with("wrong")).await;

    let date = |image: &Image| ImageDate::read(latest(image), DateSource::Modified);
    suite(&*connector(&with("planted-s3cret")).await.unwrap(), &holding(&images(), date)).await;
    let done = check(&with("planted-s3cret"), Some("other/tool"), &context).await.unwrap();
    assert!(done.is_ok(), "{done:?}");
    // Without a password there is the public part.
    let nobody = connector(&Registry::nexus(&address).credential(Credential::Anonymous)).await.unwrap();
    assert_eq!(nobody.repositories(&wanted, &context).try_collect::<Vec<_>>().await.unwrap().len(), 2);
}

#[tokio::test]
async fn limits_are_waited_for_and_refusals_are_told() {
    let server = Imitation::start(respond).await;
    let address = format!("{}/repository/docker-hosted", server.url());
    let registry = Registry::nexus(&address).credential(Credential::basic("alice", Secret::value("planted-s3cret")));
    let connector = connector(&registry).await.unwrap();
    let (wanted, context) = (Wanted::default(), Context::new());
    server.fault("/service/rest/", 1, Answer::too_many());
    server.fault("/_catalog", 1, Answer::too_many());
    assert_eq!(connector.images("team/web", &wanted, &context).await.unwrap()[0].date.source, DateSource::Modified);
    assert_eq!(connector.repositories(&wanted, &context).try_collect::<Vec<_>>().await.unwrap().len(), 3);
    // Without the right to browse there are no dates; without that to read nothing.
    server.fault("/service/rest/", 2, Answer::refused(403, "DENIED", "forbidden"));
    assert_eq!(connector.images("team/web", &wanted, &context).await.unwrap()[0].date, ImageDate::none());
    server.fault("/team/web/", 1, Answer::refused(403, "DENIED", "access to the requested resource is not authorized"));
    let error = connector.images("team/web", &wanted, &context).await.unwrap_err();
    assert!(error.kind() == Kind::PermissionDenied && error.hint().is_some(), "{error:?}");
}
