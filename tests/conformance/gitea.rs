//! Gitea and Forgejo: an imitation of their list of packages and of Docker V2, from their source.

use std::sync::Arc;

use serde_json::json;
use tidewaiter::conformance::connector::suite;
use tidewaiter::model::record::{DateSource, ImageDate};
use tidewaiter::registry::{Credential, Registry, Secret};
use tidewaiter::{Context, Kind};

use super::connector;
use super::imitation::{Answer, Asked, Imitation};
use super::lapses::{self, Password, Product};
use super::samples::{Image, holding, image, images, latest, v2};

const TOKEN: &str = "planted-t0ken";

fn respond(asked: &Asked, images: &[Image]) -> Answer {
    let is_user = asked.basic() == Some(("alice".into(), TOKEN.into()));
    match asked.segments()[..] {
        // Two challenges, the first without a service.
        ["v2", "token"] if asked.method != "GET" => Answer::new(404, "text/plain", ""),
        ["v2", "token"] if is_user => Answer::json(json!({"token": "jwt"})),
        ["v2", "token"] => Answer::refused(401, "UNAUTHORIZED", "unauthorized"),
        ["v2", ..] if is_user || asked.bearer() == Some("jwt") => v2(asked, images, ""),
        ["v2", ..] => Answer::refused(401, "UNAUTHORIZED", "unauthorized")
            .with("www-authenticate", format!("Bearer realm=\"{}/v2/token\"", asked.own))
            .with("www-authenticate", "Basic"),
        ["api", "v1", "packages", owner] if is_user => {
            let mut rows = Vec::new();
            for image in images {
                let (own, name) = image.repository.split_once('/').unwrap();
                if own != owner || !name.contains(asked.param("q")) {
                    continue;
                }
                let version = |version: &str, time: &str| json!({"id": 5, "owner": {"login": own}, "type": "container", "name": name, "version": version, "created_at": time});
                rows.extend(image.tags.iter().map(|(tag, time)| version(tag, time)));
                rows.push(version(image.digest.as_str(), "2026-12-31T00:00:00Z"));
            }
            let number = |name: &str| asked.param(name).parse::<usize>().unwrap();
            // A server may have smaller pages than what is asked for.
            let (page, size) = (number("page"), number("limit").min(3));
            let total = rows.len();
            let shown: Vec<_> = rows.into_iter().skip((page - 1) * size).take(size).collect();
            Answer::json(json!(shown)).with("x-total-count", total.to_string())
        }
        ["api", ..] => Answer::new(401, "application/json", r#"{"message":"token is required"}"#),
        _ => Answer::page(),
    }
}

fn everything() -> Vec<Image> {
    let mut all = images();
    // Its name contains another's.
    all.push(image("team/app-extra", "extra", &[("1.0", "2026-02-02T02:02:02Z")]));
    all
}

fn definition(server: &Imitation, token: &str) -> Registry {
    Registry::gitea(server.url()).credential(Credential::basic("alice", Secret::value(token)))
}

#[tokio::test]
async fn suite_holds() {
    let server = Imitation::start(|asked| respond(asked, &everything())).await;
    let date = |image: &Image| ImageDate::read(latest(image), DateSource::Modified);
    suite(&*connector(&definition(&server, TOKEN)).await.unwrap(), &holding(&everything(), date)).await;
}

#[tokio::test]
async fn refusals() {
    let server = Imitation::start(|asked| respond(asked, &everything())).await;
    let wanted = tidewaiter::registry::Wanted::with_dates();
    let good = connector(&definition(&server, TOKEN)).await.unwrap();
    server.fault(
        "/api/",
        1,
        Answer::refused(403, "x", "token does not have at least one of required scope(s): [read:package]"),
    );
    let images = good.images("team/web", &wanted, &Context::new()).await.unwrap();
    assert_eq!(images[0].date, ImageDate::none());
    let wrong = connector(&definition(&server, "wrong")).await.unwrap();
    let error = wrong.images("team/web", &wanted, &Context::new()).await.unwrap_err();
    assert!(error.kind() == Kind::Unauthenticated && error.hint().is_some(), "{error:?}");
}

#[tokio::test]
async fn nothing_is_lost_in_the_middle_of_a_run() {
    let password = Arc::new(Password::new());
    let now = Arc::clone(&password);
    let server = Imitation::start(move |asked| respond(&now.seen(asked, TOKEN), &everything())).await;
    let product = Product {
        registry: Registry::gitea(server.url()).credential(Credential::basic("alice", password.secret())),
        password: &password,
        dates: (&server, "/api/v1/"),
        tags: (&server, "/tags/list"),
        challenge: None,
    };
    lapses::suite(product, "team/app").await;
}
