//! Artifactory: an imitation of its REST API and of the two queries that the connector sends, from JFrog's documentation.

use serde_json::json;
use tidewaiter::conformance::connector::suite;
use tidewaiter::model::record::{DateSource, ImageDate};
use tidewaiter::registry::{ArtifactorySettings, Credential, Registry, Secret, Wanted};
use tidewaiter::{Context, Kind};

use super::connector;
use super::imitation::{Answer, Asked, Image, Imitation, holding, image, images, latest, v2};

const TOKEN: &str = "planted-t0ken";
/// The repositories, each with its type and what lies in it.
const KEYS: [(&str, &str); 3] = [("docker-local", "LOCAL"), ("hub", "REMOTE"), ("all", "VIRTUAL")];

/// What lies in a repository: `hub` has a catalog that fails, as its upstream refuses, and keeps what it cached in `hub-cache`.
fn stored(key: &str) -> Vec<Image> {
    match key {
        "docker-local" => images(),
        "hub-cache" | "hub" => vec![image("library/nginx", "nginx", &[("1.29", "2026-06-06T06:06:06.006Z")])],
        _ => Vec::new(),
    }
}

fn respond(asked: &Asked, is_integer: bool) -> Answer {
    let is_user = asked.bearer() == Some(TOKEN) || asked.basic() == Some(("bob".into(), TOKEN.into()));
    if !is_user {
        return Answer::refused(401, "UNAUTHORIZED", "Bad credentials")
            .with("www-authenticate", "Basic realm=\"Artifactory Realm\"");
    }
    match asked.segments()[..] {
        ["artifactory", "api", "repositories"] if asked.param("packageType") == "docker" => {
            Answer::json(json!(KEYS.map(
                |(key, kind)| json!({"key": key, "type": kind, "packageType": "Docker", "url": "https://art.example/x"})
            )))
        }
        ["artifactory", "api", "repositories"] => Answer::json(json!([])),
        ["artifactory", "api", "docker", "hub", "v2", "_catalog"] => Answer::refused(404, "NAME_UNKNOWN", "upstream"),
        ["artifactory", "api", "docker", key, "v2", "_catalog"] => catalog(asked, key, is_integer),
        ["artifactory", "api", "search", "aql"] => query(asked),
        ["v2"] | ["v2", ""] => Answer::json(json!({})),
        ["v2", key, ..] => behind_key(asked, key),
        _ => Answer::new(404, "application/json", r#"{"errors":[{"status":404,"message":"Not Found"}]}"#),
    }
}

/// Docker V2, where the key of the repository stands in front of every name.
fn behind_key(asked: &Asked, key: &str) -> Answer {
    let path = asked.path.replacen(&format!("/{key}/"), "/", 1);
    let inner = Asked {
        method: asked.method.clone(),
        path,
        query: asked.query.clone(),
        headers: asked.headers.clone(),
        body: String::new(),
        own: asked.own.clone(),
    };
    v2(&inner, &stored(key), "")
}

/// Two names a page; `last` is how many came before.
fn catalog(asked: &Asked, key: &str, is_integer: bool) -> Answer {
    let mut names: Vec<_> = stored(key).into_iter().map(|image| image.repository).collect();
    names.sort_unstable();
    names.dedup();
    let last: usize = if is_integer { asked.param("last").parse().unwrap_or(0) } else { 0 };
    let shown: Vec<_> = names.iter().skip(last).take(if is_integer { 2 } else { 100 }).collect();
    Answer::json(json!({"repositories": shown}))
}

/// The queries that the connector sends, and no other.
fn query(asked: &Asked) -> Answer {
    let body = &asked.body;
    let refused = |why: &str| Answer::new(400, "text/plain", format!("Failed to parse query: {why}"));
    if asked.method != "POST" || asked.header("content-type") != "text/plain" {
        return Answer::new(415, "text/plain", "");
    }
    let between = |from: &str, to: &str| Some(body.split_once(from)?.1.split_once(to)?.0.to_owned());
    let (Some(key), true) = (between(r#"{"repo":""#, "\""), body.starts_with("items.find(")) else {
        return refused(body);
    };
    let include = between(".include(", ")").unwrap_or_default();
    if ["\"repo\"", "\"path\"", "\"name\""].iter().any(|field| !include.contains(field)) {
        return refused("For permissions reasons AQL demands the following fields: repo, path and name.");
    }
    let image = between(r#"{"path":{"$match":""#, "/*\"");
    let mut rows = Vec::new();
    for place in [key.clone(), format!("{key}-cache")] {
        if place == "hub" {
            continue;
        }
        for found in stored(&place) {
            // `*` crosses slashes.
            if image
                .as_ref()
                .is_some_and(|image| !found.repository.starts_with(&format!("{image}/")) && found.repository != *image)
            {
                continue;
            }
            for (tag, time) in &found.tags {
                let row = |name: &str, sha: &str, time: &str| {
                    json!({
                        "repo": place, "path": format!("{}/{tag}", found.repository), "name": name,
                        "created": "2026-07-07T00:00:00.000+02:00", "modified": time, "sha256": sha,
                    })
                };
                // The list of an index beside the manifest of one of its platforms.
                if tag == "v1" {
                    rows.push(row("manifest.json", &"0".repeat(64), "2026-08-08T00:00:00.000Z"));
                    rows.push(row("list.manifest.json", found.digest.hex(), time));
                } else {
                    rows.push(row("manifest.json", found.digest.hex(), time));
                }
            }
        }
    }
    let total = rows.len();
    Answer::json(json!({"results": rows, "range": {"start_pos": 0, "end_pos": total, "total": total}}))
}

async fn artifactory(is_integer: bool) -> Imitation {
    Imitation::start(move |asked| respond(asked, is_integer)).await
}

fn date(image: &Image) -> ImageDate {
    ImageDate::read(latest(image), DateSource::Modified)
}

fn key(key: &str) -> ArtifactorySettings {
    ArtifactorySettings { repository_key: Some(key.into()), ..Default::default() }
}

#[tokio::test]
async fn suite_holds() {
    for (credential, is_integer) in
        [(Credential::token(Secret::value(TOKEN)), true), (Credential::basic("bob", Secret::value(TOKEN)), false)]
    {
        let server = artifactory(is_integer).await;
        // One repository: its key stands in front of the names.
        let registry = Registry::artifactory(server.url()).credential(credential.clone());
        let one = registry.clone().with_settings(key("docker-local")).unwrap();
        let connector_of_one = connector(&one).await.unwrap();
        assert_eq!(connector_of_one.prefix(), "docker-local");
        suite(&*connector_of_one, &holding(&stored("docker-local"), date)).await;
        // All that may be read; what a virtual one shows is in its members.
        let mut all = Vec::new();
        for place in ["docker-local", "hub"] {
            all.extend(
                stored(place)
                    .into_iter()
                    .map(|image| Image { repository: format!("{place}/{}", image.repository), ..image }),
            );
        }
        suite(&*connector(&registry).await.unwrap(), &holding(&all, date)).await;
        let asked = server.log();
        assert!(!asked.iter().any(|line| line.contains("docker/all/")), "{asked:?}");
    }
}

#[tokio::test]
async fn queries_fail_in_many_ways() {
    let server = artifactory(true).await;
    let registry = Registry::artifactory(server.url()).credential(Credential::token(Secret::value(TOKEN)));
    let connector = connector(&registry.with_settings(key("docker-local")).unwrap()).await.unwrap();
    let (wanted, context) = (Wanted::with_dates(), Context::new());
    let dates = async || {
        let images = connector.images("team/app", &wanted, &context).await.unwrap();
        assert_eq!(images.iter().map(|image| image.tags.len()).sum::<usize>(), 4);
        images.iter().filter(|image| image.date.source == DateSource::Modified).count()
    };
    let cut = Answer::new(200, "application/json", r#"{"results":[{"repo":"docker-local","path":"team/app/1.0","#);
    let trimmed =
        json!({"results": [], "range": {"total": 0, "notification": "AQL query reached the search hard limit"}});
    let nameless =
        json!({"results": [{"repo": "docker-local", "path": "team/app/1.0", "name": "manifest.json"}], "range": {}});
    for (what, times, answer, dated) in [
        ("too many queries at once", 1, Answer::too_many(), 2),
        ("an error in the middle of the results", 2, cut, 2),
        ("results cut off", 1, Answer::json(trimmed), 0),
        ("no digests", 1, Answer::json(nameless), 0),
        ("not for anonymous", 1, Answer::refused(403, "FORBIDDEN", "no"), 0),
        ("a login page", 1, Answer::page(), 0),
    ] {
        server.fault("/search/aql", times, answer);
        assert_eq!(dates().await, dated, "{what}");
    }
}

#[tokio::test]
async fn a_wrong_token_is_told() {
    let server = artifactory(true).await;
    let registry = Registry::artifactory(server.url()).credential(Credential::token(Secret::value("wrong")));
    let connector = connector(&registry.with_settings(key("docker-local")).unwrap()).await.unwrap();
    let error = connector.images("team/app", &Wanted::with_dates(), &Context::new()).await.unwrap_err();
    assert!(error.kind() == Kind::Unauthenticated && error.hint().is_some(), "{error:?}");
}
