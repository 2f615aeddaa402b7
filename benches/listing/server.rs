//! The registry: 1,000 repositories of 100 tags each, made by arithmetic, in the dialects of Docker V2 and of Harbor v2.15 (an
//! imitation, by its recorded answers). It counts what it is asked.

use std::collections::HashMap;
use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use tidewaiter::model::digest::Digest;

pub const REPOSITORIES: usize = 1000;
pub const TAGS: usize = 100;
/// What a page of each list holds at the most.
pub const NAME_PAGE: usize = 100;
pub const TAG_PAGE: usize = 50;
/// `guest:password`, as `Authorization` has it.
pub const BASIC: &str = "Basic Z3Vlc3Q6cGFzc3dvcmQ=";

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The name of a repository; they sort as they are numbered.
pub fn name(repository: usize) -> String {
    format!("team-{}/app-{repository:03}", repository / 100)
}

/// The name of a tag; they sort as they are numbered.
pub fn tag(number: usize) -> String {
    format!("v{number:02}")
}

fn config(image: usize) -> String {
    let second = image % 60;
    let minute = image / 60 % 60;
    let diff = Digest::of(&image.to_le_bytes());
    format!(
        r#"{{"architecture":"amd64","os":"linux","created":"2026-11-01T08:{minute:02}:{second:02}Z","config":{{"Cmd":["true"],"Env":["A=b"]}},"rootfs":{{"type":"layers","diff_ids":["{diff}"]}},"history":[{{"created_by":"COPY app /app"}}]}}"#
    )
}

fn manifest(image: usize) -> String {
    let config = config(image);
    let layer = Digest::of(format!("layer {image}").as_bytes());
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":{}}},"layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"{layer}","size":28114780}}]}}"#,
        Digest::of(config.as_bytes()),
        config.len()
    )
}

/// The digests of all manifests and of all configurations, and where each is.
struct Held {
    manifests: Vec<Digest>,
    places: HashMap<String, usize>,
    asked: AtomicU64,
}

impl Held {
    fn new() -> Self {
        let manifests: Vec<_> = (0..REPOSITORIES * TAGS).map(|image| Digest::of(manifest(image).as_bytes())).collect();
        let configs = (0..REPOSITORIES * TAGS).map(|image| Digest::of(config(image).as_bytes()));
        let all = manifests.iter().cloned().enumerate().chain(configs.enumerate());
        let places = all.map(|(image, digest)| (digest.to_string(), image)).collect();
        Self { manifests, places, asked: AtomicU64::default() }
    }

    fn answer(&self, request: &Request) -> Option<Answer> {
        let path = request.uri().path().strip_prefix('/')?;
        let query = request.uri().query().unwrap_or_default();
        let segments: Vec<_> = path.split('/').collect();
        let repository = |app: &str| app.strip_prefix("app-")?.parse::<usize>().ok().filter(|&n| n < REPOSITORIES);
        match segments[..] {
            ["asked"] => Some(Answer::new(self.asked.swap(0, Ordering::Relaxed).to_string())),
            ["v2", ""] => Some(Answer::new("{}".to_owned())),
            ["v2", "_catalog"] => {
                let from = match param(query, "last") {
                    Some(last) => repository(last.rsplit_once("%2F").map_or(last, |(_, app)| app))? + 1,
                    None => 0,
                };
                let (names, to) = page(from, NAME_PAGE, REPOSITORIES, name);
                let link = (to < REPOSITORIES).then(|| {
                    let last = name(to - 1).replace('/', "%2F");
                    format!("</v2/_catalog?last={last}&n=1000>; rel=\"next\"")
                });
                Some(Answer { link, ..Answer::new(format!(r#"{{"repositories":[{names}]}}"#)) })
            }
            ["v2", team, app, "tags", "list"] => {
                let from =
                    param(query, "last").map_or(Some(0), |last| Some(last.get(1..)?.parse::<usize>().ok()? + 1))?;
                repository(app)?;
                let (tags, to) = page(from, TAG_PAGE, TAGS, tag);
                let last = tag(to - 1);
                let link =
                    (to < TAGS).then(|| format!("</v2/{team}/{app}/tags/list?last={last}&n=1000>; rel=\"next\""));
                Some(Answer { link, ..Answer::new(format!(r#"{{"name":"{team}/{app}","tags":[{tags}]}}"#)) })
            }
            ["v2", _, app, "manifests", reference] => {
                let image = match reference.strip_prefix('v') {
                    Some(number) => repository(app)? * TAGS + number.parse::<usize>().ok()?,
                    None => *self.places.get(reference)?,
                };
                let digest = self.manifests.get(image)?.to_string();
                Some(Answer { digest: Some(digest), kind: MANIFEST, ..Answer::new(manifest(image)) })
            }
            ["v2", _, _, "blobs", digest] => {
                let image = *self.places.get(digest)?;
                Some(Answer { kind: "application/octet-stream", ..Answer::new(config(image)) })
            }
            ["api", "v2.0", "repositories"] => {
                let from = param(query, "page")?.parse::<usize>().ok()?.checked_sub(1)? * NAME_PAGE;
                let mut body = String::new();
                for number in from..(from + NAME_PAGE).min(REPOSITORIES) {
                    let comma = if number > from { "," } else { "" };
                    let _ = write!(
                        body,
                        r#"{comma}{{"artifact_count":{TAGS},"creation_time":"2026-11-23T21:16:03.752Z","id":{number},"name":"{}","project_id":3,"pull_count":0,"update_time":"2026-11-23T21:16:04.752Z"}}"#,
                        name(number)
                    );
                }
                Some(Answer { total: Some(REPOSITORIES), ..Answer::new(format!("[{body}]")) })
            }
            ["api", "v2.0", "projects", _, "repositories", app, "artifacts"] => {
                Some(Answer { total: Some(TAGS), ..Answer::new(self.artifacts(repository(app)?)) })
            }
            _ => None,
        }
    }

    /// All artifacts of a repository, word for word as a Harbor shows them.
    fn artifacts(&self, repository: usize) -> String {
        let name = name(repository);
        let (project, short) = name.split_once('/').unwrap_or_default();
        let mut body = String::with_capacity(TAGS * 1300);
        for number in 0..TAGS {
            let id = repository * TAGS + number;
            let digest = self.manifests.get(id).map(Digest::to_string).unwrap_or_default();
            let _ = write!(
                body,
                r#"{}{{"accessories":null,"addition_links":{{"build_history":{{"absolute":false,"href":"/api/v2.0/projects/{project}/repositories/{short}/artifacts/{digest}/additions/build_history"}}}},"annotations":{{"note":"a"}},"artifact_type":"application/vnd.oci.image.config.v1+json","digest":"{digest}","extra_attrs":{{"architecture":"amd64","author":"tide","config":{{"Cmd":["true"],"Env":["A=b"],"Labels":{{"note":"a"}}}},"created":"2026-01-02T03:04:05Z","os":"linux"}},"icon":"sha256:0048162a053eef4d4ce3fe7518615bef084403614f8bca43b40ae2e762e11e06","id":{id},"labels":null,"manifest_media_type":"{MANIFEST}","media_type":"application/vnd.oci.image.config.v1+json","project_id":3,"pull_time":"0001-01-01T00:00:00.000Z","push_time":"2026-11-23T21:16:06.255Z","references":null,"repository_id":{repository},"repository_name":"{name}","size":28114780,"tags":[{{"artifact_id":{id},"id":{id},"immutable":false,"name":"{}","pull_time":"0001-01-01T00:00:00.000Z","push_time":"2026-11-23T21:16:06.270Z","repository_id":{repository}}}],"type":"IMAGE"}}"#,
                if number == 0 { "[" } else { "," },
                tag(number)
            );
        }
        body + "]"
    }
}

/// The quoted entries of a page from `from` on, and where the next one begins.
fn page(from: usize, size: usize, all: usize, entry: fn(usize) -> String) -> (String, usize) {
    let to = (from + size).min(all);
    let entries: Vec<_> = (from..to).map(|number| format!("\"{}\"", entry(number))).collect();
    (entries.join(","), to)
}

fn param<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

struct Answer {
    body: String,
    kind: &'static str,
    link: Option<String>,
    digest: Option<String>,
    total: Option<usize>,
}

impl Answer {
    fn new(body: String) -> Self {
        Self { body, kind: "application/json", link: None, digest: None, total: None }
    }
}

async fn respond(State(held): State<Arc<Held>>, request: Request) -> Response {
    if request.uri().path() != "/asked" {
        held.asked.fetch_add(1, Ordering::Relaxed);
    }
    let is_wrong = request.headers().get("authorization").is_some_and(|value| value != BASIC);
    let mut response = Response::builder();
    let Some(answer) = held.answer(&request).filter(|_| !is_wrong) else {
        let status = if is_wrong { 401 } else { 404 };
        return response.status(status).body(Body::empty()).unwrap_or_default();
    };
    response = response.header("content-type", answer.kind).header("content-length", answer.body.len());
    if let Some(link) = answer.link {
        response = response.header("link", link);
    }
    if let Some(digest) = answer.digest {
        response = response.header("docker-content-digest", digest);
    }
    if let Some(total) = answer.total {
        response = response.header("x-total-count", total);
    }
    let body = if request.method() == "HEAD" { Body::empty() } else { Body::from(answer.body) };
    response.body(body).unwrap_or_default()
}

/// Serves until the process is ended. The first line of its output is the address.
pub async fn serve() -> Result<(), Box<dyn Error>> {
    let held = Arc::new(Held::new());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    axum::serve(listener, axum::Router::new().fallback(respond).with_state(held)).await?;
    Ok(())
}
