//! What the imitations share: a server on loopback that answers as a function says, its log, and faults on demand.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tidewaiter::model::event::Event;
use tidewaiter::{Context, Error, Kind};

/// A request as it came. Path and query are as they were sent, still encoded.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub query: String,
    pub params: BTreeMap<String, String>,
    pub headers: BTreeMap<String, String>,
    pub body: String,
    /// The address of the imitation itself.
    pub own: String,
}

impl Asked {
    /// A header; empty where it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// A value of the query; empty where it is missing.
    pub fn param(&self, name: &str) -> &str {
        self.params.get(name).map_or("", String::as_str)
    }

    /// A value of the form in the body; empty where it is missing.
    pub fn field(&self, name: &str) -> String {
        pairs(&self.body).remove(name).unwrap_or_default()
    }

    /// The JSON in the body.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The user name and the password of `Authorization: Basic`.
    pub fn basic(&self) -> Option<(String, String)> {
        let encoded = self.header("authorization").strip_prefix("Basic ")?;
        let plain = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
        plain.split_once(':').map(|(name, password)| (name.to_owned(), password.to_owned()))
    }

    /// The token of `Authorization: Bearer`.
    pub fn bearer(&self) -> Option<&str> {
        self.header("authorization").strip_prefix("Bearer ")
    }

    /// How it stands in the log.
    fn line(&self) -> String {
        format!("{} {}{}{}", self.method, self.path, if self.query.is_empty() { "" } else { "?" }, self.query)
    }

    /// The segments of the path.
    pub fn segments(&self) -> Vec<&str> {
        self.path.trim_start_matches('/').split('/').collect()
    }
}

/// An answer.
#[derive(Clone, Debug)]
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
        Self::of(200, value)
    }

    /// JSON with another status.
    pub fn of(status: u16, value: Value) -> Self {
        Self::new(status, "application/json", value.to_string())
    }

    /// A refusal in the shape of the OCI specification.
    pub fn refused(status: u16, code: &str, message: &str) -> Self {
        Self::of(status, json!({"errors": [{"code": code, "message": message}]}))
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
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// The claims of such a token.
pub fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap_or_default();
    let bytes = URL_SAFE_NO_PAD.decode(part).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

type Respond = dyn Fn(&Asked) -> Answer + Send + Sync;

struct Shared {
    url: String,
    respond: Box<Respond>,
    log: Mutex<Vec<Asked>>,
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
        self.asked().iter().map(Asked::line).collect()
    }

    /// The same, whole.
    pub fn asked(&self) -> Vec<Asked> {
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
    let asked = Asked {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: query.to_owned(),
        params: pairs(query),
        headers: parts
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()))
            .collect(),
        body: String::from_utf8_lossy(&to_bytes(body, 1 << 20).await.unwrap()).into_owned(),
        own: shared.url.clone(),
    };
    let line = asked.line();
    shared.log.lock().unwrap().push(asked.clone());
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

/// The pairs of a query or a form; of one name the last.
fn pairs(text: &str) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

/// A context, and the notices that are told there: each with its hint.
pub fn notices() -> (Context, Arc<Mutex<Vec<String>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&told);
    let context = Context::new().on_event(move |event| {
        if let Event::Notice { message, hint } = event {
            sink.lock().unwrap().push(format!("{message} [{hint}]"));
        }
    });
    (context, told)
}

/// That an error is of this kind, names all of this, and tells no secret.
pub fn assert_told(error: &Error, kind: Kind, named: &[&str]) {
    let text = format!("{error:?}");
    assert_eq!(error.kind(), kind, "{text}");
    for part in named {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
    assert!(!text.contains("s3cret"), "{text}");
}
