//! Artifactory: an imitation of its REST API and of its queries, which it parses and evaluates, from JFrog's documentation.

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use serde_json::{Value, json};
use tidewaiter::conformance::connector::suite;
use tidewaiter::model::record::{DateSource, ImageDate};
use tidewaiter::registry::{ArtifactoryAccess, ArtifactorySettings, Credential, Registry, Secret, Wanted};
use tidewaiter::select::Selection;
use tidewaiter::select::aql::{Item, Query};
use tidewaiter::{Context, Kind, Listed, Result, Scanner};

use super::connector;
use super::imitation::{self, Answer, Asked, Imitation};
use super::lapses::{self, Password, Product};
use super::samples::{Image, holding, image, images, latest, v2};

/// When everything was made.
const CREATED: &str = "2026-07-07T00:00:00.000+02:00";
const TOKEN: &str = "planted-t0ken";
/// The repositories, each with its type and what lies in it.
const KEYS: [(&str, &str); 3] = [("docker-local", "LOCAL"), ("hub", "REMOTE"), ("all", "VIRTUAL")];

/// The members of a virtual repository, whose rows a query for it shows.
const VIRTUAL: (&str, [&str; 2]) = ("docker", ["docker-prod", "docker-dev"]);

/// What lies in a repository: `hub` has a catalog that fails, as its upstream refuses, and keeps what it cached in `hub-cache`.
fn stored(key: &str) -> Vec<Image> {
    match key {
        "docker-local" => images(),
        "hub" => vec![image("library/nginx", "nginx", &[("1.29", "2026-06-06T06:06:06.006Z")])],
        _ => Vec::new(),
    }
}

fn respond(asked: &Asked, is_integer: bool, stored: &dyn Fn(&str) -> Vec<Image>) -> Answer {
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
        ["artifactory", "api", "docker", key, "v2", "_catalog"] => catalog(asked, &stored(key), is_integer),
        ["artifactory", "api", "search", "aql"] => query(asked, stored),
        ["v2"] | ["v2", ""] => Answer::json(json!({})),
        ["v2", key, ..] => behind_key(asked, key, &stored(key)),
        _ => Answer::new(404, "application/json", r#"{"errors":[{"status":404,"message":"Not Found"}]}"#),
    }
}

/// Docker V2, where the key of the repository stands in front of every name.
fn behind_key(asked: &Asked, key: &str, images: &[Image]) -> Answer {
    let path = asked.path.replacen(&format!("/{key}/"), "/", 1);
    v2(&Asked { path, ..asked.clone() }, images, "")
}

/// Two names a page; `last` is how many came before.
fn catalog(asked: &Asked, images: &[Image], is_integer: bool) -> Answer {
    let mut names: Vec<_> = images.iter().map(|image| image.repository.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let last: usize = if is_integer { asked.param("last").parse().unwrap_or(0) } else { 0 };
    let shown: Vec<_> = names.iter().skip(last).take(if is_integer { 2 } else { 100 }).collect();
    Answer::json(json!({"repositories": shown}))
}

/// A query, evaluated over the rows of everything that is stored. The parser takes no other verb than `find`.
fn query(asked: &Asked, stored: &dyn Fn(&str) -> Vec<Image>) -> Answer {
    let body = &asked.body;
    let refused = |why: &str| Answer::new(400, "text/plain", format!("Failed to parse query: {why}"));
    if asked.method != "POST" || asked.header("content-type") != "text/plain" {
        return Answer::new(415, "text/plain", "");
    }
    // The name of a virtual repository stands for its members.
    let named = |key: &str| json!({"repo": {"$eq": key}});
    let body = &body.replace(&named(VIRTUAL.0).to_string(), &json!({"$or": VIRTUAL.1.map(named)}).to_string());
    let Ok(query) = Query::new(body) else { return refused(body) };
    let include = body.split_once(".include(").map(|(_, include)| include).unwrap_or_default();
    if ["\"repo\"", "\"path\"", "\"name\""].iter().any(|field| !include.contains(field)) {
        return refused("For permissions reasons AQL demands the following fields: repo, path and name.");
    }
    let members = VIRTUAL.1.iter();
    let rows: Vec<_> = KEYS.iter().map(|(key, _)| key).chain(members).flat_map(|key| rows(key, &stored(key))).collect();
    let now = jiff::Timestamp::now();
    let found: Vec<_> = rows.into_iter().filter(|(item, _)| query.matches(item, now)).map(|(_, row)| row).collect();
    let total = found.len();
    Answer::json(json!({"results": found, "range": {"start_pos": 0, "end_pos": total, "total": total}}))
}

/// The manifests of a repository, as criteria and as answers have them.
fn rows(key: &str, images: &[Image]) -> Vec<(Item, Value)> {
    // What a remote repository holds lies in its cache.
    let place = if key == "hub" { "hub-cache" } else { key };
    let row = |image: &Image, tag: &str, name: &str, sha: &str, time: &str| {
        let path = format!("{}/{tag}", image.repository);
        let qa = if tag.len().is_multiple_of(2) { "passed" } else { "failed" };
        let item = Item {
            repo: place.to_owned(),
            path: path.clone(),
            name: name.to_owned(),
            modified: Some(time.parse().unwrap()),
            created: Some(CREATED.parse().unwrap()),
            sha256: Some(sha.to_owned()),
            properties: vec![("qa".to_owned(), qa.to_owned())],
            ..Item::default()
        };
        let row = json!({
            "repo": place, "path": path, "name": name, "type": "file", "size": 1, "created": CREATED, "modified": time,
            "sha256": sha, "properties": [{"key": "qa", "value": qa}],
        });
        (item, row)
    };
    let mut all = Vec::new();
    for image in images {
        for (tag, time) in &image.tags {
            // The list of an index beside the manifest of one of its platforms.
            if tag.starts_with('v') {
                all.push(row(image, tag, "manifest.json", &"0".repeat(64), "2026-08-08T00:00:00.000Z"));
                all.push(row(image, tag, "list.manifest.json", image.digest.hex(), time));
            } else {
                all.push(row(image, tag, "manifest.json", image.digest.hex(), time));
            }
        }
        all.push(row(image, &format!("sha256:{}", image.digest.hex()), "manifest.json", image.digest.hex(), CREATED));
    }
    all
}

/// An Artifactory with these images in `docker-local`.
pub async fn holding_images(images: Vec<Image>) -> (Imitation, Registry) {
    let server = Imitation::start(move |asked| {
        respond(asked, true, &|key| if key == "docker-local" { images.clone() } else { Vec::new() })
    })
    .await;
    let registry = Registry::artifactory(server.url()).credential(Credential::token(Secret::value(TOKEN)));
    (server, registry.with_settings(key("docker-local")).unwrap())
}

/// A virtual repository with two members, both with an image `team/app:latest`.
async fn virtual_repository() -> (Imitation, Registry) {
    let of = |key: &str| match key {
        "docker-prod" => vec![image("team/app", "prod", &[("latest", "2026-05-05T05:05:05Z")])],
        "docker-dev" => vec![image("team/app", "dev", &[("latest", "2026-06-06T06:06:06Z")])],
        // What Docker V2 gives is what the first of them has.
        "docker" => vec![image("team/app", "prod", &[("latest", "2026-05-05T05:05:05Z")])],
        _ => Vec::new(),
    };
    let server = Imitation::start(move |asked| respond(asked, true, &of)).await;
    let registry = Registry::artifactory(server.url()).credential(Credential::token(Secret::value(TOKEN)));
    (server, registry.with_settings(key("docker")).unwrap())
}

async fn artifactory(is_integer: bool) -> Imitation {
    Imitation::start(move |asked| respond(asked, is_integer, &stored)).await
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
async fn no_member_of_a_virtual_repository_hides_the_images_of_another() {
    let (_server, registry) = virtual_repository().await;
    let connector = connector(&registry).await.unwrap();
    let images = connector.images("team/app", &Wanted::with_dates(), &Context::new()).await.unwrap();
    let mut found: Vec<_> = images.iter().map(|image| (image.digest.clone(), image.tags.join("+"))).collect();
    let mut expected =
        ["prod", "dev"].map(|name| (tidewaiter::model::digest::Digest::of(name.as_bytes()), "latest".to_owned()));
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    // Criteria of the user's own may name it, or one of its members.
    let count = async |aql: &str| listed(&registry, &json!({"aql": aql}).to_string()).await.unwrap().len();
    assert_eq!(count(r#"items.find({"repo":"docker","path":{"$match":"team/*"}})"#).await, 2);
    assert_eq!(count(r#"items.find({"repo":"docker-dev"})"#).await, 1);
    assert_eq!(count(r#"items.find({"repo":"elsewhere"})"#).await, 0);
}

#[tokio::test]
async fn rows_are_read_in_every_dialect() {
    let server = artifactory(true).await;
    let registry = Registry::artifactory(server.url()).credential(Credential::token(Secret::value(TOKEN)));
    let connector = connector(&registry.with_settings(key("docker-local")).unwrap()).await.unwrap();
    let row = |tag: &str, size: Value| {
        json!({"repo": "docker-local", "path": format!("team/app/{tag}"), "name": "manifest.json", "type": null, "size": size,
            "modified": CREATED, "sha256": images()[0].digest.hex(), "properties": [{"key": "qa", "value": null}]})
    };
    let rows = [row("a", json!("1520")), row("b", json!(1520)), row("c", json!(null))];
    server.fault("/search/aql", 1, Answer::json(json!({"results": rows, "range": {}})));
    let found = connector.images("team/app", &Wanted::with_dates(), &Context::new()).await.unwrap();
    assert_eq!(found.iter().map(|image| image.tags.join("+")).collect::<Vec<_>>(), ["a+b+c"]);
}

#[tokio::test]
async fn a_server_that_does_not_know_oci_lists_the_rest() {
    let server = artifactory(true).await;
    let registry = Registry::artifactory(server.url()).credential(Credential::token(Secret::value(TOKEN)));
    let connector = connector(&registry).await.unwrap();
    let (wanted, context) = (Wanted::default(), Context::new());
    server.fault("packageType=oci", 1, Answer::new(400, "application/json", r#"{"errors":[{"status":400}]}"#));
    assert_eq!(connector.repositories(&wanted, &context).try_collect::<Vec<_>>().await.unwrap().len(), 4);
    server.fault("packageType=docker", 1, Answer::new(400, "application/json", r#"{"errors":[{"status":400}]}"#));
    assert!(connector.repositories(&wanted, &context).try_collect::<Vec<_>>().await.is_err());
}

#[tokio::test]
async fn a_key_that_no_image_can_have_in_its_path_is_told() {
    let server = artifactory(true).await;
    let registry = Registry::artifactory(server.url()).credential(Credential::token(Secret::value(TOKEN)));
    let connector = connector(&registry).await.unwrap();
    let (wanted, (context, told)) = (Wanted::default(), imitation::notices());
    let keys = ["docker-local", "Docker-Prod"].map(|key| json!({"key": key, "type": "LOCAL"}));
    server.fault("packageType=docker", 1, Answer::json(json!(keys)));
    assert_eq!(connector.repositories(&wanted, &context).try_collect::<Vec<_>>().await.unwrap().len(), 3);
    assert!(told.lock().unwrap().len() == 1 && told.lock().unwrap()[0].contains("Docker-Prod"), "{told:?}");
}

#[tokio::test]
async fn that_queries_show_nothing_of_what_there_is_is_told() {
    // The key is another than that of the port.
    let server = Imitation::start(|asked| match asked.path.as_str() {
        "/artifactory/api/search/aql" => Answer::json(json!({"results": [], "range": {}})),
        _ => v2(asked, &images(), ""),
    })
    .await;
    let settings = ArtifactorySettings { access: ArtifactoryAccess::Port, ..key("another") };
    let registry = Registry::artifactory(server.url()).credential(Credential::token(Secret::value(TOKEN)));
    let connector = connector(&registry.with_settings(settings).unwrap()).await.unwrap();
    let (wanted, (context, told)) = (Wanted::with_dates(), imitation::notices());
    assert_eq!(connector.images("none/such", &wanted, &context).await.unwrap_err().kind(), Kind::NotFound);
    assert!(told.lock().unwrap().is_empty(), "{told:?}");
    assert_eq!(connector.images("team/app", &wanted, &context).await.unwrap().len(), 2);
    assert!(told.lock().unwrap().len() == 1 && told.lock().unwrap()[0].contains("repository_key"), "{told:?}");
}

#[tokio::test]
async fn nothing_new_in_a_remote_repository_whose_upstream_refuses_is_no_error() {
    let server = artifactory(true).await;
    let registry = Registry::artifactory(server.url())
        .credential(Credential::token(Secret::value(TOKEN)))
        .with_settings(key("hub"))
        .unwrap();
    let connector = connector(&registry).await.unwrap();
    let (mut wanted, context) = (Wanted::with_dates(), Context::new());
    server.fault("/tags/list", 99, Answer::refused(404, "NAME_UNKNOWN", "upstream"));
    wanted.since = Some("2026-07-01T00:00:00Z".parse().unwrap());
    // Of the first nothing was seen yet that could tell that rows may be seen.
    for _ in 0..2 {
        assert_eq!(connector.images("library/nginx", &wanted, &context).await.unwrap(), []);
    }
    assert_eq!(server.count("/tags/list"), 1, "{:?}", server.log());
    let error = connector.images("library/none", &wanted, &context).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound, "{error:?}");
}

#[tokio::test]
async fn a_wrong_token_is_told() {
    let server = artifactory(true).await;
    let registry = Registry::artifactory(server.url()).credential(Credential::token(Secret::value("wrong")));
    let connector = connector(&registry.with_settings(key("docker-local")).unwrap()).await.unwrap();
    let error = connector.images("team/app", &Wanted::with_dates(), &Context::new()).await.unwrap_err();
    assert!(error.kind() == Kind::Unauthenticated && error.hint().is_some(), "{error:?}");
}

async fn listed(registry: &Registry, selection: &str) -> Result<Vec<String>> {
    let listed: Vec<Listed> =
        Scanner::builder().build()?.images(registry, &Selection::from_json(selection)?).try_collect().await?;
    let mut lines: Vec<_> =
        listed.iter().map(|image| format!("{}:{}", image.record.repository, image.record.tags.join(","))).collect();
    lines.sort();
    Ok(lines)
}

#[tokio::test]
async fn criteria_of_ones_own_choose_tags() {
    let (server, registry) = holding_images(images()).await;
    for (aql, expected) in [
        (
            r#"items.find({\"path\": {\"$match\": \"team/*\"}})"#,
            &["team/app:1.0,old", "team/app:2.0,latest", "team/web:1.1.0_rc.1-x"][..],
        ),
        (r#"items.find({\"@qa\": \"passed\"})"#, &["other/tool:v1", "team/app:latest", "team/web:1.1.0_rc.1-x"]),
        (r#"items.find({\"$msp\": [{\"@qa\": \"failed\"}]})"#, &["team/app:1.0,old", "team/app:2.0"]),
        (r#"items.find({\"modified\": {\"$lt\": \"2026-02-01\"}, \"repo\": \"docker-local\"})"#, &["team/app:1.0,old"]),
        (r#"items.find({\"repo\": \"elsewhere\"})"#, &[]),
    ] {
        let selection = format!(r#"{{"aql": "{aql}"}}"#);
        assert_eq!(listed(&registry, &selection).await.unwrap(), expected, "{aql}");
    }
    // The sent query is ours, and never what the user wrote.
    assert!(server.log().iter().all(|line| !line.contains("items.find")));
    for (aql, kind) in [
        (r#"items.delete({\"repo\": \"x\"})"#, Kind::Unsupported),
        (r#"items.find({\"repo\": \"x\"}).limit(1)"#, Kind::Unsupported),
        (r#"items.find({\"repo\""#, Kind::InvalidInput),
    ] {
        let error = listed(&registry, &format!(r#"{{"aql": "{aql}"}}"#)).await.unwrap_err();
        assert!(error.kind() == kind && error.to_string().contains("aql"), "{aql}: {error:?}");
    }
    // Where queries do not answer, criteria cannot be met: this is an error, and not a list without them.
    server.fault("/search/aql", 100, Answer::refused(403, "FORBIDDEN", "no"));
    let error = listed(&registry, r#"{"aql": "items.find({\"@qa\": \"passed\"})"}"#).await.unwrap_err();
    assert!(error.kind() == Kind::PermissionDenied && error.hint().is_some(), "{error:?}");
}

#[tokio::test]
async fn explain_tells_what_the_criteria_leave_out() {
    let (_server, registry) = holding_images(images()).await;
    let selection = Selection::new().aql(r#"items.find({"path": {"$match": "team/app/*"}})"#).unwrap();
    let scanner = Scanner::builder().build().unwrap();
    let explained: Vec<_> = scanner.explain(&registry, &selection, &Context::new()).try_collect().await.unwrap();
    let mut reasons: Vec<_> =
        explained.iter().map(|image| format!("{} {}", image.record.repository, image.reason)).collect();
    reasons.sort();
    assert_eq!(reasons, ["other/tool criteria", "team/app new", "team/app new", "team/web criteria"]);
}

#[tokio::test]
async fn a_name_with_nothing_new_costs_one_query() {
    let (server, registry) = holding_images(images()).await;
    let images = listed(&registry, r#"{"pushed": "2026-06-01.."}"#).await.unwrap();
    assert_eq!(images, ["team/app:2.0,latest"]);
    // Three names, one of them with something new, whose tags are all asked for; the first query of all tells that rows can be seen.
    assert!(server.count("/search/aql") <= 5, "{:?}", server.log());
    // A name that does not exist is told all the same.
    let error = listed(&registry, r#"{"repositories": ["team/none"], "pushed": "2026-06-01.."}"#).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound, "{error:?}");
}

#[tokio::test]
async fn nothing_is_lost_in_the_middle_of_a_run() {
    let password = Arc::new(Password::new());
    let now = Arc::clone(&password);
    let server = Imitation::start(move |asked| respond(&now.seen(asked, TOKEN), true, &stored)).await;
    let registry = Registry::artifactory(server.url()).with_settings(key("docker-local")).unwrap();
    let product = Product {
        registry: registry.credential(Credential::token(password.secret())),
        password: &password,
        dates: (&server, "/search/aql"),
        tags: (&server, "/tags/list"),
        challenge: None,
    };
    lapses::suite(product, "team/app").await;
}
