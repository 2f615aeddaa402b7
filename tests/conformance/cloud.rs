//! What the imitations of the clouds have in common: requests whose form and JSON are read, and whose bytes a signature can be
//! checked over.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::response::Response;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::HeaderMap;
use serde_json::Value;
use tidewaiter::{Error, Kind};

/// A request, read.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Asked {
    /// A header; empty where it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// A value of the query.
    pub fn param(&self, name: &str) -> Option<String> {
        value(self.query.as_bytes(), name)
    }

    /// A value of the form in the body.
    pub fn field(&self, name: &str) -> Option<String> {
        value(&self.body, name)
    }

    /// The JSON in the body.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

fn value(form: &[u8], name: &str) -> Option<String> {
    let found = url::form_urlencoded::parse(form).find(|(known, _)| known == name);
    found.map(|(_, value)| value.into_owned())
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer(pub u16, pub Vec<(&'static str, String)>, pub String);

impl Answer {
    pub fn json(status: u16, body: Value) -> Self {
        Self(status, vec![("content-type", "application/json".to_owned())], body.to_string())
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.1.push((name, value.into()));
        self
    }

    /// An error as registries answer it.
    pub fn refused(status: u16, code: &str, message: &str) -> Self {
        Self::json(status, serde_json::json!({"errors": [{"code": code, "message": message}]}))
    }
}

/// A server on a free port of loopback, in the runtime of the test: it ends with it.
pub struct Imitation {
    pub url: String,
    log: Arc<Mutex<Vec<Asked>>>,
}

impl Imitation {
    /// Starts answering; `answer` gets the address too, since challenges and next pages name it.
    pub async fn start(answer: impl Fn(&str, &Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let (answer, base, seen) = (Arc::new(answer), url.clone(), Arc::clone(&log));
        let respond = move |request: axum::extract::Request| -> BoxFuture<'static, Response> {
            let (answer, base, seen) = (Arc::clone(&answer), base.clone(), Arc::clone(&seen));
            Box::pin(async move {
                let (parts, body) = request.into_parts();
                let asked = Asked {
                    method: parts.method.to_string(),
                    path: parts.uri.path().to_owned(),
                    query: parts.uri.query().unwrap_or_default().to_owned(),
                    headers: parts.headers,
                    body: to_bytes(body, 1 << 20).await.unwrap(),
                };
                let Answer(status, headers, text) = answer(&base, &asked);
                let is_head = asked.method == "HEAD";
                seen.lock().unwrap().push(asked);
                let mut response = Response::builder().status(status).header("content-length", text.len());
                for (name, value) in headers {
                    response = response.header(name, value);
                }
                response.body(if is_head { Body::empty() } else { Body::from(text) }).unwrap()
            })
        };
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(respond)).await });
        Self { url, log }
    }

    /// What was asked for so far.
    pub fn log(&self) -> Vec<Asked> {
        self.log.lock().unwrap().clone()
    }
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
