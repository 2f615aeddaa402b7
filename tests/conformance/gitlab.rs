//! GitLab: an imitation of its token server, its REST API and the registry's own API, from their documentation.

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use serde_json::json;
use tidewaiter::conformance::connector::suite;
use tidewaiter::model::record::{DateSource, ImageDate};
use tidewaiter::registry::{Credential, GitlabSettings, Registry, Secret, Wanted};
use tidewaiter::{Context, Kind};

use super::connector;
use super::imitation::{Answer, Asked, Imitation, claims, token};
use super::lapses::{self, Password, Product};
use super::samples::{Image, holding, images, latest, v2};

const TOKEN: &str = "planted-t0ken";
const DEPLOY: &str = "gitlab+deploy-token-1";
const JOB: &str = "gitlab-ci-token";

fn respond(asked: &Asked, has_database: bool) -> Answer {
    let refused = || Answer::refused(401, "UNAUTHORIZED", "authentication required");
    match asked.segments()[..] {
        ["jwt", "auth"] => match asked.basic() {
            // A deploy token is no user, so that its tokens have no subject.
            Some((name, password)) if ["alice", DEPLOY, JOB].contains(&&*name) && password == TOKEN => {
                let mut claims = json!({"access": asked.param("scope")});
                if name == "alice" {
                    claims["sub"] = json!(name);
                }
                Answer::json(json!({"token": token(&claims)}))
            }
            _ => Answer::new(
                401,
                "application/json",
                r#"{"errors":[{"code":"UNAUTHORIZED","message":"HTTP Basic: Access denied"}]}"#,
            ),
        },
        ["api", "v4", ref rest @ ..] => match asked.header("private-token") {
            TOKEN => rest_api(asked, rest),
            _ => Answer::new(401, "application/json", r#"{"message":"401 Unauthorized"}"#),
        },
        _ => {
            let name = asked.path.trim_start_matches("/v2/").trim_start_matches("/gitlab/v1/repositories/");
            let name = ["/tags/list", "/manifests/"].iter().find_map(|middle| Some(name.split_once(middle)?.0));
            let scope = name.map(|name| format!("repository:{name}:pull")).unwrap_or_default();
            let held = asked.bearer().map(claims).unwrap_or_default();
            if held["access"] != json!(scope) || scope.is_empty() {
                let scope = if scope.is_empty() { String::new() } else { format!(",scope=\"{scope}\"") };
                return refused().with(
                    "www-authenticate",
                    format!("Bearer realm=\"{}/jwt/auth\",service=\"container_registry\"{scope}", asked.own),
                );
            }
            match asked.path.starts_with("/gitlab/v1/") {
                true if has_database => tags(asked, name.unwrap()),
                true => Answer::new(404, "text/plain", "404 page not found\n"),
                false => v2(asked, &images(), ""),
            }
        }
    }
}

/// Projects 1 to 3, of which the third has no registry; each of the others has the repositories of one group.
fn rest_api(asked: &Asked, path: &[&str]) -> Answer {
    let page = |entries: Vec<serde_json::Value>| {
        let number: usize = asked.param("page").parse().unwrap();
        let next = if number * 2 < entries.len() { (number + 1).to_string() } else { String::new() };
        Answer::json(json!(entries.into_iter().skip((number - 1) * 2).take(2).collect::<Vec<_>>()))
            .with("x-next-page", next)
    };
    let below = |group: &str| {
        let mut names: Vec<_> = images()
            .into_iter()
            .map(|image| image.repository)
            .filter(|name| name.starts_with(&format!("{group}/")))
            .collect();
        names.sort_unstable();
        names.dedup();
        page(names.into_iter().map(|name| json!({"id": 1, "name": "", "path": name, "project_id": 9})).collect())
    };
    match path {
        ["projects"] => page((1..=3).map(|id| json!({"id": id})).collect()),
        ["projects", "1", "registry", "repositories"] => below("team"),
        ["projects", "2", "registry", "repositories"] => below("other"),
        ["groups", group @ ("team" | "other"), "registry", "repositories"] => below(group),
        _ => Answer::new(404, "application/json", r#"{"message":"404 Not Found"}"#),
    }
}

/// Two tags a page, the next by `Link`; older versions have no `published_at`.
fn tags(asked: &Asked, name: &str) -> Answer {
    let all = images();
    let mut rows: Vec<_> = all
        .iter()
        .filter(|image| image.repository == name)
        .flat_map(|image| image.tags.iter().map(move |(tag, time)| (tag, time, &image.digest)))
        .collect();
    if rows.is_empty() {
        return Answer::refused(404, "NAME_UNKNOWN", "repository name not known to registry");
    }
    rows.sort_unstable();
    let last = asked.param("last");
    let rest: Vec<_> = rows.iter().filter(|(tag, ..)| tag.as_str() > last).collect();
    let shown: Vec<_> = rest.iter().take(2).map(|(tag, time, digest)| {
        let mut row = json!({"name": tag, "digest": digest.as_str(), "media_type": "application/vnd.oci.image.manifest.v1+json", "size_bytes": 1, "created_at": "2025-01-01T00:00:00.000Z"});
        row[if tag.starts_with('v') { "updated_at" } else { "published_at" }] = json!(time);
        row
    }).collect();
    let answer = Answer::json(json!(shown));
    match rest.get(1) {
        Some((tag, ..)) if rest.len() > 2 => answer.with("link", format!("<https://elsewhere.example/x?n=2&before=a>; rel=\"previous\", <https://elsewhere.example/x?n=2&last={tag}>; rel=\"next\"")),
        _ => answer,
    }
}

#[tokio::test]
async fn suite_holds() {
    let groups = GitlabSettings { groups: vec!["team".into(), "other".into()] };
    for has_database in [true, false] {
        let server = Imitation::start(move |asked| respond(asked, has_database)).await;
        let registry = Registry::gitlab(server.url()).credential(Credential::basic("alice", Secret::value(TOKEN)));
        let date = |image: &Image| match has_database {
            true => ImageDate::read(latest(image), DateSource::Pushed),
            false => ImageDate::none(),
        };
        suite(&*connector(&registry).await.unwrap(), &holding(&images(), date)).await;
        let of_groups = registry.with_settings(&groups).unwrap();
        suite(&*connector(&of_groups).await.unwrap(), &holding(&images(), date)).await;
    }
}

#[tokio::test]
async fn a_deploy_token_is_somebody_although_its_tokens_name_nobody() {
    let server = Imitation::start(|asked| respond(asked, true)).await;
    let with =
        |password: &str| Registry::docker(server.url()).credential(Credential::basic(DEPLOY, Secret::value(password)));
    let (wanted, context) = (Wanted::default(), Context::new());
    let good = connector(&with(TOKEN)).await.unwrap();
    for repository in ["team/app", "team/web", "other/tool"] {
        assert!(!good.images(repository, &wanted, &context).await.unwrap().is_empty());
    }
    // A token for each, and one without a scope, which shows that the password is right.
    assert_eq!((server.count("/jwt/auth"), server.count("scope=")), (4, 3));
    let error = connector(&with("wrong")).await.unwrap().images("team/app", &wanted, &context).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated, "{error:?}");
}

#[tokio::test]
async fn a_token_server_that_wants_a_scope_is_asked_once_without() {
    let server = Imitation::start(|asked| match asked.path.as_str() {
        "/jwt/auth" if asked.param("scope").is_empty() => Answer::refused(400, "BAD_REQUEST", "scope is missing"),
        _ => respond(asked, true),
    })
    .await;
    let registry = Registry::docker(server.url()).credential(Credential::basic(DEPLOY, Secret::value(TOKEN)));
    let connector = connector(&registry).await.unwrap();
    for repository in ["team/app", "team/web", "other/tool"] {
        assert!(!connector.images(repository, &Wanted::default(), &Context::new()).await.unwrap().is_empty());
    }
    assert_eq!((server.count("/jwt/auth"), server.count("scope=")), (4, 3));
}

#[tokio::test]
async fn nothing_is_lost_in_the_middle_of_a_run() {
    let password = Arc::new(Password::new());
    let now = Arc::clone(&password);
    let server = Imitation::start(move |asked| respond(&now.seen(asked, TOKEN), true)).await;
    let registry = Registry::gitlab(server.url()).credential(Credential::basic("alice", password.secret()));
    let realm = format!("{}/jwt/auth", server.url());
    let product = Product {
        registry: registry.clone(),
        password: &password,
        dates: (&server, "/gitlab/v1/"),
        tags: (&server, "/v2/team/app/tags/list"),
        challenge: Some(format!(
            "Bearer realm=\"{realm}\",service=\"container_registry\",scope=\"repository:team/app:pull\",error=\"invalid_token\""
        )),
    };
    lapses::suite(product, "team/app").await;
    // The same of GitLab's own API: it is waited for, and asked with the password that is good now.
    let connector = connector(&registry).await.unwrap();
    let (wanted, context) = (Wanted::default(), Context::new());
    for _ in 0..2 {
        server.fault("/api/v4/", 1, Answer::too_many());
        assert_eq!(connector.repositories(&wanted, &context).try_collect::<Vec<_>>().await.unwrap().len(), 3);
        password.change();
    }
    server.fault("/api/v4/", 1, Answer::new(403, "application/json", r#"{"error":"insufficient_scope"}"#));
    let error = connector.repositories(&wanted, &context).try_collect::<Vec<_>>().await.unwrap_err();
    assert!(error.kind() == Kind::PermissionDenied && error.hint().unwrap().contains("read_api"), "{error:?}");
}

#[tokio::test]
async fn the_token_of_a_job_lists_what_is_named() {
    let server = Imitation::start(|asked| respond(asked, true)).await;
    let registry = Registry::gitlab(server.url()).credential(Credential::basic(JOB, Secret::value(TOKEN)));
    let connector = connector(&registry).await.unwrap();
    let (wanted, context) = (Wanted::with_dates(), Context::new());
    let images = connector.images("team/web", &wanted, &context).await.unwrap();
    assert_eq!(images[0].date.source, DateSource::Pushed);
    // GitLab knows it under a name of its own, and lists no projects for it.
    let error = connector.repositories(&wanted, &context).try_collect::<Vec<_>>().await.unwrap_err();
    assert!(error.hint().is_some_and(|hint| hint.contains("name the repositories")), "{error:?}");
    let asked = server.asked().into_iter().find(|asked| asked.path.starts_with("/api/")).unwrap();
    assert_eq!((asked.header("job-token"), asked.header("private-token")), (TOKEN, ""));
}

#[tokio::test]
async fn a_gitlab_that_a_redirect_names_gets_no_token() {
    use futures_util::TryStreamExt as _;
    let other = Imitation::start(|asked| respond(asked, true)).await;
    let target = format!("{}/v2/", other.url());
    let server = Imitation::start(move |_| Answer::new(307, "text/plain", "").with("location", &target)).await;
    let registry = Registry::gitlab(server.url()).credential(Credential::basic("alice", Secret::value(TOKEN)));
    let connector = connector(&registry).await.unwrap();
    let (wanted, context) = (Wanted::default(), Context::new());
    let error = connector.repositories(&wanted, &context).try_collect::<Vec<_>>().await.unwrap_err();
    assert!(error.hint().is_some(), "{error:?}");
    let shown = other.asked().iter().filter(|asked| format!("{:?}", asked.headers).contains(TOKEN)).count();
    assert_eq!((shown, other.count("/api/")), (0, 0), "{:?}", other.log());
}

#[tokio::test]
async fn limits_are_waited_for_and_an_end_in_mid_run_is_renewed() {
    use futures_util::TryStreamExt as _;
    let server = Imitation::start(|asked| respond(asked, true)).await;
    let registry = Registry::gitlab(server.url()).credential(Credential::basic("alice", Secret::value(TOKEN)));
    let connector = connector(&registry.with_concurrency(1)).await.unwrap();
    let (wanted, context) = (Wanted::default(), Context::new());
    server.fault("/api/v4/projects", 1, Answer::too_many());
    assert_eq!(connector.repositories(&wanted, &context).try_collect::<Vec<_>>().await.unwrap().len(), 3);
    assert_eq!(connector.images("team/app", &wanted, &context).await.unwrap().len(), 2);
    // The token of the registry has ended, which is told with a new challenge.
    let realm =
        format!("Bearer realm=\"{}/jwt/auth\",service=\"container_registry\",error=\"invalid_token\"", server.url());
    let tokens = server.count("/jwt/auth");
    server.fault("/gitlab/v1/", 1, Answer::refused(401, "UNAUTHORIZED", "no").with("www-authenticate", realm));
    assert_eq!(connector.images("team/app", &wanted, &context).await.unwrap().len(), 2);
    assert_eq!(server.count("/jwt/auth"), tokens + 1);
}
