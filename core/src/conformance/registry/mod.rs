//! A registry in this process, on loopback: what clients need of the OCI distribution specification, and faults on demand.

mod answer;
mod auth;
mod content;
mod fault;
mod log;
mod serve;
mod tls;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use bytes::Bytes;
use tokio::sync::oneshot;

pub use self::auth::Auth;
use self::content::Store;
pub use self::fault::Fault;
pub use self::log::Access;
use super::image::BuiltImage;
use crate::error::{Error, Kind, Result};
use crate::model::digest::Digest;

/// How a [`TestRegistry`] is started.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Who may read.
    pub auth: Auth,
    /// The certificate with its chain and its key, both PEM, to speak https.
    pub tls: Option<(Vec<u8>, Vec<u8>)>,
    /// With `tls`: the authority (PEM) that a client must show a certificate of.
    pub client_ca: Option<Vec<u8>>,
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
        let client_ca = options.client_ca.as_deref();
        let tls = options.tls.as_ref().map(|(chain, key)| tls::acceptor(chain, key, client_ca)).transpose()?;
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
        let app = Router::new().fallback(serve::answer).with_state(Arc::clone(&state));
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
