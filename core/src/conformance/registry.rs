//! A registry in this process, on loopback: what clients need of the OCI distribution specification, and faults on demand.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use base64::Engine as _;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderMap, Method, StatusCode};
use serde_json::json;
use tokio::sync::oneshot;

use super::image::BuiltImage;
use crate::error::{Error, Kind, Result};
use crate::model::digest::Digest;

/// How bodies are cut into pieces.
const PIECE: usize = 64 << 10;

/// Who may read.
#[derive(Clone, Debug, Default)]
pub enum Auth {
    /// Everybody.
    #[default]
    Open,
    /// Only who sends this user name and password with every request.
    Basic {
        /// The user name.
        username: String,
        /// The password.
        password: String,
    },
    /// Only who brings a token for the repository, which the registry's own token server gives to this user.
    Bearer {
        /// The user name.
        username: String,
        /// The password; also taken as an identity token.
        password: String,
        /// Another address of the token server than the registry's own.
        realm: Option<String>,
    },
}

/// What goes wrong with a request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Another answer.
    Answer {
        /// The status.
        status: u16,
        /// The headers.
        headers: Vec<(String, String)>,
        /// The body.
        body: Bytes,
    },
    /// The connection is cut after so many bytes of the body.
    Cut(usize),
    /// Nothing more comes after so many bytes of the body.
    Stall(usize),
    /// A pause before every 64 KiB of the body.
    Slow(Duration),
    /// `Range` is not understood: all of it is sent, with 200.
    NoRange,
}

impl Fault {
    /// An answer without a body that means something.
    pub fn status(status: u16) -> Self {
        Self::Answer { status, headers: Vec::new(), body: Bytes::from_static(b"{}") }
    }

    /// 429 with `Retry-After`.
    pub fn retry_after(value: &str) -> Self {
        Self::Answer {
            status: 429,
            headers: vec![("retry-after".to_owned(), value.to_owned())],
            body: Bytes::from_static(b"{}"),
        }
    }

    /// A redirect.
    pub fn redirect(location: &str) -> Self {
        Self::Answer { status: 307, headers: vec![("location".to_owned(), location.to_owned())], body: Bytes::new() }
    }

    /// A web page where something else was asked for.
    pub fn page() -> Self {
        let body = Bytes::from_static(b"<!DOCTYPE html><html><body>Sign in</body></html>");
        Self::Answer {
            status: 200,
            headers: vec![("content-type".to_owned(), "text/html; charset=utf-8".to_owned())],
            body,
        }
    }

    /// Other bytes than those that were asked for.
    pub fn bytes(body: impl Into<Bytes>) -> Self {
        Self::Answer { status: 200, headers: Vec::new(), body: body.into() }
    }
}

/// One request that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query.
    pub query: String,
    /// The status that was answered.
    pub status: u16,
    /// Bytes of the body that were handed to the connection so far.
    pub bytes: u64,
    /// The scheme of `Authorization`, such as `Bearer`; none where the request had none.
    pub authorization: Option<String>,
    /// The range that was asked for.
    pub range: Option<String>,
}

/// How a [`TestRegistry`] is started.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Who may read.
    pub auth: Auth,
    /// The certificate with its chain and its key, both PEM, to speak https.
    pub tls: Option<(Vec<u8>, Vec<u8>)>,
}

/// A registry on a free port of 127.0.0.1, on a thread of its own. It stops when it is dropped.
///
/// ```
/// use tidewaiter::conformance::image::{ImageBuilder, Layer};
/// use tidewaiter::conformance::registry::TestRegistry;
/// let registry = TestRegistry::start()?;
/// registry.push("team/app", "1.0", &ImageBuilder::new().layer(Layer::new().file("a", "b")).build());
/// let reference = format!("http://{}/team/app:1.0", registry.host());
/// # assert!(reference.parse::<tidewaiter::model::reference::ImageRef>().is_ok());
/// # Ok::<(), tidewaiter::Error>(())
/// ```
pub struct TestRegistry {
    state: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

struct Shared {
    address: SocketAddr,
    options: Options,
    store: Mutex<Store>,
    log: Mutex<Vec<(Access, Arc<AtomicU64>)>>,
    faults: Mutex<Vec<(String, usize, Fault)>>,
    tokens: Mutex<HashSet<String>>,
}

#[derive(Default)]
struct Store {
    blobs: HashMap<(String, String), Bytes>,
    manifests: HashMap<(String, String), (String, Bytes)>,
    tags: HashMap<String, Vec<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl TestRegistry {
    /// A registry that is open to everybody, over http.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] when no port or thread is to be had.
    pub fn start() -> Result<Self> {
        Self::start_with(Options::default())
    }

    /// A registry with these options.
    ///
    /// # Errors
    /// As [`TestRegistry::start`], and [`Kind::InvalidInput`] for a certificate that cannot be used.
    pub fn start_with(options: Options) -> Result<Self> {
        let failed =
            |error: std::io::Error| Error::new(Kind::Unavailable, "the test registry cannot be started").because(error);
        let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let tls = options.tls.as_ref().map(|(chain, key)| tls::acceptor(chain, key)).transpose()?;
        let state = Arc::new(Shared {
            address: listener.local_addr().map_err(failed)?,
            options,
            store: Mutex::default(),
            log: Mutex::default(),
            faults: Mutex::default(),
            tokens: Mutex::default(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let app = Router::new().fallback(answer).with_state(Arc::clone(&state));
        let serve = async move {
            let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
            // Not a graceful end: connections that stall on purpose would never finish. The runtime's drop closes them.
            let serving = async {
                match tls {
                    Some(acceptor) => drop(axum::serve(tls::TlsListener::new(listener, acceptor), app).await),
                    None => drop(axum::serve(listener, app).await),
                }
            };
            tokio::select! {
                _ = stopped => {}
                () = serving => {}
            }
        };
        let thread = std::thread::Builder::new()
            .name("test-registry".to_owned())
            .spawn(move || runtime.block_on(serve))
            .map_err(failed)?;
        Ok(Self { state, stop: Some(stop), thread: Some(thread) })
    }

    /// `127.0.0.1:port`.
    pub fn host(&self) -> String {
        self.state.address.to_string()
    }

    /// The address with its scheme.
    pub fn url(&self) -> String {
        self.state.url()
    }

    /// Stores a blob in a repository.
    pub fn push_blob(&self, repository: &str, blob: impl Into<Bytes>) -> Digest {
        let blob = blob.into();
        let digest = Digest::of(&blob);
        lock(&self.state.store).blobs.insert((repository.to_owned(), digest.to_string()), blob);
        digest
    }

    /// Removes a blob from a repository.
    pub fn remove_blob(&self, repository: &str, digest: &Digest) {
        lock(&self.state.store).blobs.remove(&(repository.to_owned(), digest.to_string()));
    }

    /// Stores a manifest or an index in a repository, by its digest and by `tag`.
    pub fn push_manifest(
        &self,
        repository: &str,
        tag: Option<&str>,
        media_type: &str,
        manifest: impl Into<Bytes>,
    ) -> Digest {
        let manifest = manifest.into();
        let digest = Digest::of(&manifest);
        let mut store = lock(&self.state.store);
        let entry = (media_type.to_owned(), manifest);
        let tags = store.tags.entry(repository.to_owned()).or_default();
        if let Some(tag) = tag
            && !tags.iter().any(|known| known == tag)
        {
            tags.push(tag.to_owned());
            tags.sort();
        }
        if let Some(tag) = tag {
            store.manifests.insert((repository.to_owned(), tag.to_owned()), entry.clone());
        }
        store.manifests.insert((repository.to_owned(), digest.to_string()), entry);
        digest
    }

    /// Stores an image in a repository under a tag.
    pub fn push(&self, repository: &str, tag: &str, image: &BuiltImage) -> Digest {
        for blob in &image.blobs {
            self.push_blob(repository, blob.clone());
        }
        self.push_manifest(repository, Some(tag), &image.media_type, image.manifest.clone())
    }

    /// Stores an index of several images in a repository under a tag.
    pub fn push_index(&self, repository: &str, tag: &str, images: &[&BuiltImage]) -> Digest {
        for image in images {
            for blob in &image.blobs {
                self.push_blob(repository, blob.clone());
            }
            self.push_manifest(repository, None, &image.media_type, image.manifest.clone());
        }
        let (media_type, index) = BuiltImage::index(images);
        self.push_manifest(repository, Some(tag), &media_type, index)
    }

    /// The next `times` requests whose path contains `path` go wrong like this. Faults of one path come in the order of the calls.
    pub fn fault(&self, path: &str, times: usize, fault: Fault) {
        lock(&self.state.faults).push((path.to_owned(), times, fault));
    }

    /// Forgets the tokens that were given out, as if they had expired.
    pub fn revoke_tokens(&self) {
        lock(&self.state.tokens).clear();
    }

    /// The requests so far, in the order in which they came.
    pub fn log(&self) -> Vec<Access> {
        lock(&self.state.log)
            .iter()
            .map(|(access, bytes)| Access { bytes: bytes.load(Ordering::Relaxed), ..access.clone() })
            .collect()
    }

    /// Forgets the requests so far.
    pub fn clear_log(&self) {
        lock(&self.state.log).clear();
    }
}

impl Drop for TestRegistry {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for TestRegistry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TestRegistry").field(&self.url()).finish()
    }
}

impl Shared {
    fn url(&self) -> String {
        format!("{}://{}", if self.options.tls.is_some() { "https" } else { "http" }, self.address)
    }

    fn take_fault(&self, path: &str) -> Option<Fault> {
        let mut faults = lock(&self.faults);
        let (_, times, fault) =
            faults.iter_mut().find(|(part, times, _)| *times > 0 && path.contains(part.as_str()))?;
        *times -= 1;
        Some(fault.clone())
    }
}

/// An answer before it is sent.
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl Answer {
    fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self { status, headers: vec![("content-type".to_owned(), content_type.to_owned())], body: body.into() }
    }

    /// An error in the shape of the specification.
    fn error(status: u16, code: &str, message: &str) -> Self {
        Self::new(
            status,
            "application/json",
            json!({"errors": [{"code": code, "message": message, "detail": null}]}).to_string(),
        )
    }

    fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

async fn answer(State(state): State<Arc<Shared>>, request: Request) -> Response {
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

/// The part of a blob that `bytes=from-` or `bytes=from-to` asks for.
fn part(whole: Answer, range: &str) -> Answer {
    let length = whole.body.len();
    let asked = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')).and_then(|(from, to)| {
        let to =
            if to.is_empty() { length.checked_sub(1)? } else { to.parse::<usize>().ok()?.min(length.checked_sub(1)?) };
        let from = from.parse::<usize>().ok()?;
        (from <= to).then_some((from, to))
    });
    match asked {
        Some((from, to)) => Answer { status: 206, body: whole.body.slice(from..=to), ..whole }
            .with("content-range", format!("bytes {from}-{to}/{length}")),
        None => Answer::new(416, "text/plain", "").with("content-range", format!("bytes */{length}")),
    }
}

/// What is stored at a path.
fn content(state: &Shared, method: &Method, path: &str, query: &str) -> Answer {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Answer::error(405, "UNSUPPORTED", "the test registry is filled by its Rust API");
    }
    let store = lock(&state.store);
    let Some(path) = path.strip_prefix("/v2/") else { return Answer::new(404, "text/plain", "404 page not found\n") };
    if path.is_empty() {
        return Answer::new(200, "application/json", "{}").with("docker-distribution-api-version", "registry/2.0");
    }
    if path == "_catalog" {
        return catalog(&store, query);
    }
    let split =
        |middle: &str| path.rsplit_once(middle).map(|(repository, rest)| (repository.to_owned(), rest.to_owned()));
    if let Some(key) = split("/manifests/") {
        return match store.manifests.get(&key) {
            Some((media_type, manifest)) => Answer::new(200, media_type, manifest.clone())
                .with("docker-content-digest", Digest::of(manifest).as_str()),
            None if store.tags.contains_key(&key.0) => Answer::error(404, "MANIFEST_UNKNOWN", "manifest unknown"),
            None => Answer::error(404, "NAME_UNKNOWN", "repository name not known to registry"),
        };
    }
    if let Some(key) = split("/blobs/") {
        return match store.blobs.get(&key) {
            Some(blob) => Answer::new(200, "application/octet-stream", blob.clone())
                .with("docker-content-digest", key.1)
                .with("accept-ranges", "bytes"),
            None => Answer::error(404, "BLOB_UNKNOWN", "blob unknown to registry"),
        };
    }
    match path.strip_suffix("/tags/list").and_then(|repository| store.tags.get_key_value(repository)) {
        Some((repository, tags)) => {
            Answer::new(200, "application/json", json!({"name": repository, "tags": tags}).to_string())
        }
        None => Answer::error(404, "NAME_UNKNOWN", "repository name not known to registry"),
    }
}

/// The repositories in lexical order, at most `n` behind `last`.
fn catalog(store: &Store, query: &str) -> Answer {
    let param = |name: &str| {
        url::form_urlencoded::parse(query.as_bytes())
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned())
    };
    let last = param("last").unwrap_or_default();
    let limit = param("n").and_then(|n| n.parse().ok()).unwrap_or(100_usize);
    let mut names: Vec<&String> = store.tags.keys().filter(|name| **name > last).collect();
    names.sort();
    let is_last = names.len() <= limit;
    names.truncate(limit);
    let answer = Answer::new(200, "application/json", json!({"repositories": names}).to_string());
    match names.last().filter(|_| !is_last) {
        Some(name) => {
            let query: String = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("last", name)
                .append_pair("n", &limit.to_string())
                .finish();
            answer.with("link", format!("</v2/_catalog?{query}>; rel=\"next\""))
        }
        None => answer,
    }
}

/// The answer to who may not read.
fn refused(state: &Shared, path: &str, headers: &HeaderMap) -> Option<Answer> {
    let sent = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let unauthorized = |challenge: String| {
        Answer::error(401, "UNAUTHORIZED", "authentication required").with("www-authenticate", challenge)
    };
    match &state.options.auth {
        Auth::Open => None,
        Auth::Basic { username, password } => {
            (sent != basic(username, password)).then(|| unauthorized("Basic realm=\"test\"".to_owned()))
        }
        Auth::Bearer { realm, .. } => {
            let scope = scope_of(path);
            let token = sent.strip_prefix("Bearer ").unwrap_or_default();
            let held = lock(&state.tokens);
            let is_good = !token.is_empty() && held.contains(&format!("{token} {scope}"))
                || (scope.is_empty() && held.iter().any(|entry| entry.starts_with(&format!("{token} "))));
            let realm = realm.clone().unwrap_or_else(|| format!("{}/token", state.url()));
            let scope = if scope.is_empty() { String::new() } else { format!(",scope=\"{scope}\"") };
            (!is_good).then(|| unauthorized(format!("Bearer realm=\"{realm}\",service=\"test\"{scope}")))
        }
    }
}

/// The scope that a path needs; empty for `/v2/` itself.
fn scope_of(path: &str) -> String {
    let path = path.strip_prefix("/v2/").unwrap_or_default();
    if path == "_catalog" {
        return "registry:catalog:*".to_owned();
    }
    ["/manifests/", "/blobs/", "/tags/list"]
        .iter()
        .find_map(|middle| path.rsplit_once(middle))
        .map_or_else(String::new, |(repository, _)| format!("repository:{repository}:pull"))
}

fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}")))
}

/// The token server: GET with Basic, POST with an identity token.
fn token(state: &Shared, headers: &HeaderMap, query: &str, form: &[u8]) -> Answer {
    let Auth::Bearer { username, password, .. } = &state.options.auth else {
        return Answer::new(404, "text/plain", "404 page not found\n");
    };
    let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes())
        .chain(url::form_urlencoded::parse(form))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let by_password =
        headers.get("authorization").and_then(|value| value.to_str().ok()) == Some(basic(username, password).as_str());
    let by_token = pairs.iter().any(|(name, value)| name == "refresh_token" && value == password);
    if !by_password && !by_token {
        return Answer::new(401, "application/json", r#"{"details":"incorrect username or password"}"#);
    }
    let mut tokens = lock(&state.tokens);
    let value = format!("token-{}", tokens.len() + 1);
    let scopes =
        pairs.iter().filter(|(name, _)| name == "scope").flat_map(|(_, value)| value.split(' ').map(str::to_owned));
    for scope in scopes.chain([String::new()]) {
        tokens.insert(format!("{value} {scope}"));
    }
    Answer::new(200, "application/json", json!({"token": value, "access_token": value, "expires_in": 300}).to_string())
}

/// TLS below axum.
mod tls {
    use std::net::SocketAddr;
    use std::sync::Arc;

    use rustls::ServerConfig;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::mpsc;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::server::TlsStream;

    use crate::error::{Error, Kind, Result};

    pub(super) fn acceptor(chain: &[u8], key: &[u8]) -> Result<TlsAcceptor> {
        let wrong = || Error::new(Kind::InvalidInput, "the certificate of the test registry cannot be used");
        let chain = CertificateDer::pem_slice_iter(chain)
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(|error| wrong().because(error))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| wrong().because(error))?;
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong().because(error))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| wrong().because(error))?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Shakes hands beside the listener, so that one client that never finishes holds up no other.
    pub(super) struct TlsListener {
        address: std::io::Result<SocketAddr>,
        ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    }

    impl TlsListener {
        pub(super) fn new(listener: TcpListener, acceptor: TlsAcceptor) -> Self {
            let address = listener.local_addr();
            let (sender, ready) = mpsc::channel(8);
            tokio::spawn(async move {
                while let Ok((stream, peer)) = listener.accept().await {
                    let (acceptor, sender) = (acceptor.clone(), sender.clone());
                    tokio::spawn(async move {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            let _ = sender.send((stream, peer)).await;
                        }
                    });
                }
            });
            Self { address, ready }
        }
    }

    impl axum::serve::Listener for TlsListener {
        type Io = TlsStream<TcpStream>;
        type Addr = SocketAddr;

        async fn accept(&mut self) -> (Self::Io, Self::Addr) {
            match self.ready.recv().await {
                Some(accepted) => accepted,
                None => std::future::pending().await,
            }
        }

        fn local_addr(&self) -> std::io::Result<Self::Addr> {
            match &self.address {
                Ok(address) => Ok(*address),
                Err(error) => Err(std::io::Error::new(error.kind(), "the listener has no address")),
            }
        }
    }
}
