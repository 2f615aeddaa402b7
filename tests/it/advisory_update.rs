//! Fetching advisories: what did not change is not fetched, and what was broken off goes on.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt as _, stream};
use tidewaiter::advisory::Advisories;
use tidewaiter::engine::advisories::update;
use tidewaiter::{Context, Kind};

/// One export and how it is served.
#[derive(Default)]
struct Export {
    content: Bytes,
    etag: &'static str,
    /// Break the connection behind so many bytes, once.
    cut: Option<usize>,
    /// Each request as `path range if-range if-none-match`.
    requests: Vec<String>,
}

type Shared = Arc<Mutex<Export>>;

async fn serve(State(export): State<Shared>, uri: Uri, headers: HeaderMap) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("-").to_owned();
    let mut export = export.lock().unwrap();
    let line = format!("{uri} {} {} {}", header("range"), header("if-range"), header("if-none-match"));
    export.requests.push(line);
    if uri.path() != "/osv/npm/all.zip" && uri.path() != "/osv/Rocky%20Linux/all.zip" {
        return StatusCode::NOT_FOUND.into_response();
    }
    if header("if-none-match") == export.etag {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    let start =
        header("range").strip_prefix("bytes=").and_then(|range| range.trim_end_matches('-').parse::<usize>().ok());
    let start = start.filter(|_| header("if-range") == export.etag).unwrap_or(0);
    let length = export.content.len();
    let body = export.content.slice(start..);
    let status = if start > 0 { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let headers = [
        ("etag", export.etag.to_owned()),
        ("content-length", body.len().to_string()),
        ("content-range", format!("bytes {start}-{}/{length}", length - 1)),
    ];
    let body = match export.cut.take() {
        Some(cut) => {
            // The first piece has time to arrive: an answer that breaks off at once looks like none at all.
            let cut_off = async {
                tokio::time::sleep(Duration::from_millis(200)).await;
                Err(std::io::Error::other("cut"))
            };
            let first = std::future::ready(Ok(body.slice(..cut)));
            Body::from_stream(stream::once(first).chain(stream::once(cut_off)))
        }
        None => Body::from(body),
    };
    (status, headers, body).into_response()
}

fn archive(records: usize, ecosystem: &str) -> Bytes {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for number in 0..records {
        zip.start_file(format!("X-{number}.json"), stored).unwrap();
        let record = format!(
            r#"{{"id": "X-{number}", "modified": "2026-01-01T00:00:00Z", "affected": [{{"package":
                {{"ecosystem": "{ecosystem}", "name": "p"}}, "versions": ["{number}.0.0"]}}]}}"#
        );
        zip.write_all(record.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner().into()
}

async fn start(export: &Shared) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = axum::Router::new().fallback(serve).with_state(Arc::clone(export));
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}/osv/")
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn fetches_once_resumes_and_asks_whether_it_changed() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("advisories.db");
    let content = archive(500, "npm");
    let half = content.len() / 2;
    let export: Shared =
        Arc::new(Mutex::new(Export { content, etag: "\"one\"", cut: Some(half), ..Export::default() }));
    let base = start(&export).await;
    let context = Context::new();
    let npm = ["npm".to_owned()];

    let summary = update(&npm, Some(&base), &database, &context).await.unwrap();
    assert_eq!(summary.ecosystems["npm"].records, 500);
    let requests = std::mem::take(&mut export.lock().unwrap().requests);
    assert_eq!(requests.len(), 2, "{requests:?}");
    assert_eq!(requests[0], "/osv/npm/all.zip - - -");
    assert!(requests[1].starts_with("/osv/npm/all.zip bytes=") && requests[1].contains("\"one\""), "{requests:?}");
    assert_eq!(files(folder.path()), ["advisories.db", "advisories.db.lock"]);

    // Without names: what the database holds. Nothing changed, so nothing is read.
    let before = fs::read(&database).unwrap();
    let summary = update(&[], Some(&base), &database, &context).await.unwrap();
    assert!(summary.ecosystems["npm"].unchanged);
    assert_eq!(summary.ecosystems["npm"].records, 500);
    assert_eq!(export.lock().unwrap().requests, ["/osv/npm/all.zip - - \"one\""]);
    assert_eq!(fs::read(&database).unwrap(), before);

    {
        let mut export = export.lock().unwrap();
        (export.content, export.etag) = (archive(3, "npm"), "\"two\"");
    }
    let summary = update(&["npm:1".to_owned()], Some(&base), &database, &context).await.unwrap();
    assert_eq!((summary.ecosystems["npm"].records, summary.ecosystems["npm"].unchanged), (3, false));
    assert_eq!(Advisories::open(&database).unwrap().etag("npm"), Some("\"two\""));

    // Another ecosystem joins, with a blank in its name; npm stays, and so does its tag.
    {
        let mut export = export.lock().unwrap();
        (export.content, export.etag) = (archive(7, "Rocky Linux:9"), "\"three\"");
    }
    update(&["Rocky Linux".to_owned()], Some(&base), &database, &context).await.unwrap();
    let advisories = Advisories::open(&database).unwrap();
    assert_eq!(advisories.ecosystems().collect::<Vec<_>>(), ["Rocky Linux", "npm"]);
    assert_eq!(advisories.etag("npm"), Some("\"two\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_fetched_leaves_the_database_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("advisories.db");
    let export: Shared =
        Arc::new(Mutex::new(Export { content: archive(5, "npm"), etag: "\"one\"", ..Export::default() }));
    let base = start(&export).await;
    let context = Context::new();
    let kind =
        |result: tidewaiter::Result<_>| result.map(|_: tidewaiter::advisory::ImportSummary| ()).unwrap_err().kind();
    assert_eq!(kind(update(&[], Some(&base), &database, &context).await), Kind::InvalidInput);
    update(&["npm".to_owned()], Some(&base), &database, &context).await.unwrap();
    let before = fs::read(&database).unwrap();

    assert_eq!(kind(update(&["Npm".to_owned()], Some(&base), &database, &context).await), Kind::NotFound);
    for wrong in ["nothing", "ftp://127.0.0.1/"] {
        assert_eq!(kind(update(&["npm".to_owned()], Some(wrong), &database, &context).await), Kind::InvalidInput);
    }
    {
        let mut export = export.lock().unwrap();
        (export.content, export.etag) = (Bytes::from_static(b"<html>please log in"), "\"two\"");
    }
    assert_eq!(kind(update(&["npm".to_owned()], Some(&base), &database, &context).await), Kind::Corrupt);
    export.lock().unwrap().content = archive(5, "npm").slice(..200);
    assert_eq!(kind(update(&["npm".to_owned()], Some(&base), &database, &context).await), Kind::Corrupt);
    let canceled = Context::new();
    canceled.canceller().cancel();
    assert_eq!(kind(update(&["npm".to_owned()], Some(&base), &database, &canceled).await), Kind::Canceled);
    assert_eq!(fs::read(&database).unwrap(), before);
}
