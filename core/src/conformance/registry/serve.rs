//! From a request to the bytes on the connection: the fault that waits for it, who may read, what is stored.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::{Method, StatusCode};

use super::answer::{Answer, part};
use super::auth::{refused, token};
use super::content::content;
use super::fault::Fault;
use super::log::Access;
use super::{Shared, lock};

/// How bodies are cut into pieces.
const PIECE: usize = 64 << 10;

pub(super) async fn answer(State(state): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let fault = state.take_fault(&path);
    let mut answer = match &fault {
        Some(Fault::Answer { status, headers, body }) => {
            Answer { status: *status, headers: headers.clone(), body: body.clone() }
        }
        _ if path == "/token" => {
            let form = axum::body::to_bytes(body, 64 << 10).await.unwrap_or_default();
            token(&state, &parts.headers, &query, &form)
        }
        _ => refused(&state, &path, &parts.headers).unwrap_or_else(|| content(&state, &parts.method, &path, &query)),
    };
    let range = header("range").filter(|_| !matches!(fault, Some(Fault::NoRange))).map(str::to_owned);
    if let (200, true, Some(range)) = (answer.status, path.contains("/blobs/"), &range) {
        answer = part(answer, range);
    }
    let sent = Arc::new(AtomicU64::new(0));
    let access = Access {
        method: parts.method.to_string(),
        path,
        query,
        status: answer.status,
        bytes: 0,
        authorization: header("authorization").map(|value| value.split(' ').next().unwrap_or_default().to_owned()),
        range: header("range").map(str::to_owned),
    };
    lock(&state.log).push((access, Arc::clone(&sent)));
    respond(answer, fault, parts.method == Method::HEAD, sent)
}

fn respond(answer: Answer, fault: Option<Fault>, is_head: bool, sent: Arc<AtomicU64>) -> Response {
    let mut response =
        Response::builder().status(StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    response = response.header("content-length", answer.body.len());
    let body = if is_head { Body::empty() } else { Body::from_stream(pieces(answer.body, fault, sent)) };
    response.body(body).unwrap_or_else(|error| Response::new(Body::from(error.to_string())))
}

/// The body piece by piece, so that the log says how much of it was taken, with what goes wrong on its way.
fn pieces(
    body: Bytes,
    fault: Option<Fault>,
    sent: Arc<AtomicU64>,
) -> impl Stream<Item = std::io::Result<Bytes>> + Send {
    let (limit, is_cut, pause) = match fault {
        Some(Fault::Cut(limit)) => (limit, true, None),
        Some(Fault::Stall(limit)) => (limit, false, None),
        Some(Fault::Slow(pause)) => (body.len(), false, Some(pause)),
        _ => (body.len(), false, None),
    };
    let is_whole = limit >= body.len();
    let rest = body.slice(..limit.min(body.len()));
    let pieces = stream::unfold(rest, move |mut rest| {
        let sent = Arc::clone(&sent);
        async move {
            if rest.is_empty() {
                return None;
            }
            if let Some(pause) = pause {
                tokio::time::sleep(pause).await;
            }
            let piece = rest.split_to(rest.len().min(PIECE));
            sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
            Some((Ok(piece), rest))
        }
    });
    let end = stream::once(async move {
        match (is_whole, is_cut) {
            (true, _) => None,
            // What was sent so far gets its time to leave before the connection is closed on it.
            (false, true) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Some(Err(std::io::Error::other("cut on purpose")))
            }
            (false, false) => std::future::pending().await,
        }
    });
    pieces.chain(end.filter_map(std::future::ready))
}
