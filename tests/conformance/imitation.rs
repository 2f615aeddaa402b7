//! What the imitations share: a server on loopback that answers as a function says, its log, faults on demand, and the part of
//! every registry that is Docker V2.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use base64::Engine as _;
use serde_json::{Value, json};
use tidewaiter::conformance::connector::Holding;
use tidewaiter::model::digest::Digest;
use tidewaiter::model::record::ImageDate;

/// A request as it came. The path is as it was sent, still encoded.
pub struct Asked {
    pub method: String,
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub headers: BTreeMap<String, String>,
    pub body: String,
    /// The address of the imitation itself.
    pub own: String,
}

impl Asked {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub fn param(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    /// The user name and the password of `Authorization: Basic`.
    pub fn basic(&self) -> Option<(String, String)> {
        let encoded = self.header("authorization").strip_prefix("Basic ")?;
        let plain = String::from_utf8(base64::engine::general_purpose::STANDARD.decode(encoded).ok()?).ok()?;
        plain.split_once(':').map(|(name, password)| (name.to_owned(), password.to_owned()))
    }

    /// The token of `Authorization: Bearer`.
    pub fn bearer(&self) -> Option<&str> {
        self.header("authorization").strip_prefix("Bearer ")
    }

    /// The segments of the path.
    pub fn segments(&self) -> Vec<&str> {
        self.path.trim_start_matches('/').split('/').collect()
    }
}

/// An answer.
#[derive(Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn new(status: u16, content_type: &str, body: impl Into<String>) -> Self {
        Self { status, headers: vec![("content-type".into(), content_type.into())], body: body.into() }
    }

    pub fn json(value: Value) -> Self {
        Self::new(200, "application/json", value.to_string())
    }

    /// A refusal in the shape of the OCI specification.
    pub fn refused(status: u16, code: &str, message: &str) -> Self {
        Self::new(status, "application/json", json!({"errors": [{"code": code, "message": message}]}).to_string())
    }

    pub fn page() -> Self {
        Self::new(200, "text/html", "<!doctype html><title>Sign in</title>")
    }

    pub fn too_many() -> Self {
        Self::new(429, "application/json", "{}").with("retry-after", "0")
    }

    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// A token with these claims, as token servers give it. Nobody here looks at the signature.
pub fn token(claims: &Value) -> String {
    format!("e30.{}.c2ln", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// The claims of such a token.
pub fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap_or_default();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

type Respond = dyn Fn(&Asked) -> Answer + Send + Sync;

struct Shared {
    url: String,
    respond: Box<Respond>,
    log: Mutex<Vec<String>>,
    faults: Mutex<Vec<(String, usize, Answer)>>,
}

/// A server on loopback; it stops when it is dropped.
pub struct Imitation {
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Imitation {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Imitation {
    pub async fn start(respond: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared =
            Arc::new(Shared { url, respond: Box::new(respond), log: Mutex::default(), faults: Mutex::default() });
        let app = axum::Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { shared, task }
    }

    pub fn url(&self) -> String {
        self.shared.url.clone()
    }

    /// What was asked for so far: `GET /path?query`.
    pub fn log(&self) -> Vec<String> {
        self.shared.log.lock().unwrap().clone()
    }

    /// How often something was asked for that contains `part`.
    pub fn count(&self, part: &str) -> usize {
        self.log().iter().filter(|line| line.contains(part)).count()
    }

    /// The next `times` requests whose line contains `part` get this answer.
    pub fn fault(&self, part: &str, times: usize, answer: Answer) {
        self.shared.faults.lock().unwrap().push((part.to_owned(), times, answer));
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default();
    let line = format!("{} {}{}{query}", parts.method, parts.uri.path(), if query.is_empty() { "" } else { "?" });
    shared.log.lock().unwrap().push(line.clone());
    let asked = Asked {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parameters(query),
        headers: parts
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()))
            .collect(),
        body: String::from_utf8_lossy(&to_bytes(body, 1 << 20).await.unwrap()).into_owned(),
        own: shared.url.clone(),
    };
    let fault = {
        let mut faults = shared.faults.lock().unwrap();
        let found = faults.iter_mut().find(|(part, left, _)| *left > 0 && line.contains(part.as_str()));
        found.map(|(_, left, answer)| {
            *left -= 1;
            answer.clone()
        })
    };
    let answer = fault.unwrap_or_else(|| (shared.respond)(&asked));
    let mut response = Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    let body = if asked.method == "HEAD" { String::new() } else { answer.body };
    response.body(Body::from(body)).unwrap()
}

fn parameters(query: &str) -> BTreeMap<String, String> {
    let plain = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'+' => b' ',
                b'%' => {
                    let hex: Vec<u8> = rest.by_ref().take(2).collect();
                    u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap()
                }
                byte => byte,
            });
        }
        String::from_utf8(bytes).unwrap()
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (plain(name), plain(value)))
        .collect()
}

/// An image of an imitation: its tags, each with the time that the vendor says of it.
#[derive(Clone, Debug)]
pub struct Image {
    pub repository: String,
    pub digest: Digest,
    pub tags: Vec<(String, String)>,
}

/// An image that is not really there: no imitation of a list needs its bytes.
pub fn image(repository: &str, content: &str, tags: &[(&str, &str)]) -> Image {
    Image {
        repository: repository.to_owned(),
        digest: Digest::of(content.as_bytes()),
        tags: tags.iter().map(|(tag, time)| ((*tag).to_owned(), (*time).to_owned())).collect(),
    }
}

/// What a registry with these images holds, dated as the vendor's connector should say.
pub fn holding(images: &[Image], date: impl Fn(&Image) -> ImageDate) -> Holding {
    images.iter().fold(Holding::new(), |holding, image| {
        let tags: Vec<_> = image.tags.iter().map(|(tag, _)| tag.as_str()).collect();
        holding.image(&image.repository, &image.digest, &tags, date(image))
    })
}

/// The latest time of the tags of an image.
pub fn latest(image: &Image) -> Option<&str> {
    image.tags.iter().map(|(_, time)| time.as_str()).max()
}

/// Three repositories: one image with two tags of different times, one that an old tag was moved away from, one deep down.
pub fn images() -> Vec<Image> {
    vec![
        image("team/app", "app-1", &[("1.0", "2026-01-10T08:00:00Z"), ("old", "2025-11-01T00:00:00Z")]),
        image("team/app", "app-2", &[("latest", "2026-06-14T23:59:59.999Z"), ("2.0", "2026-05-20T09:30:00Z")]),
        image("team/web", "web-1", &[("1.1.0_rc.1-x", "2026-05-20T09:30:00.123Z")]),
        image("other/tool", "tool-1", &[("v1", "2026-03-01T12:00:00Z")]),
    ]
}

/// The part of a registry that is Docker V2: repositories, tags, and what they point at. `prefix` is the path in front of `/v2/`.
pub fn v2(asked: &Asked, images: &[Image], prefix: &str) -> Answer {
    let Some(path) = asked.path.strip_prefix(prefix).and_then(|path| path.strip_prefix("/v2/")) else {
        return Answer::new(404, "text/plain", "404 page not found\n");
    };
    if path.is_empty() {
        return Answer::json(json!({}));
    }
    let of = |name: &str| images.iter().filter(|image| image.repository == name).collect::<Vec<_>>();
    if path == "_catalog" {
        let mut names: Vec<_> = images.iter().map(|image| image.repository.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        return Answer::json(json!({"repositories": names}));
    }
    if let Some(name) = path.strip_suffix("/tags/list") {
        let found = of(name);
        let tags: Vec<_> = found.iter().flat_map(|image| image.tags.iter().map(|(tag, _)| tag)).collect();
        return match found.is_empty() {
            true => Answer::refused(404, "NAME_UNKNOWN", "repository name not known to registry"),
            false => Answer::json(json!({"name": name, "tags": tags})),
        };
    }
    let found = path
        .rsplit_once("/manifests/")
        .and_then(|(name, tag)| of(name).into_iter().find(|image| image.tags.iter().any(|(known, _)| known == tag)));
    match found {
        Some(image) => Answer::new(200, "application/vnd.oci.image.manifest.v1+json", "{}")
            .with("docker-content-digest", image.digest.as_str()),
        None => Answer::refused(404, "MANIFEST_UNKNOWN", "manifest unknown"),
    }
}
