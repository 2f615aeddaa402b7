//! Images straight from a registry (OCI distribution specification 1.1, "Pull").

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream;
use http::header::{ACCEPT, CONTENT_TYPE, RANGE};
use url::Url;

use super::{BlobStream, ImageSource, LayerKind, RawManifest};
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::model::digest::Digest;
use crate::model::image::Descriptor;
use crate::model::limits::Limits;
use crate::model::media_type::MANIFESTS;
use crate::model::reference::ImageRef;
use crate::net::client::{Client, Request, Response};
use crate::net::redact;
use crate::net::retry::Policy;
use crate::net::session::{self, Session};
use crate::registry::{Connection, Registry};

/// How many of the addresses of a foreign layer are tried.
const FOREIGN_URLS: usize = 4;
/// So many bytes must have come since the last break for the count of breaks to start again.
const PROGRESS: u64 = 1 << 20;

/// One image in a registry.
pub struct RemoteSource {
    image: Arc<ImageRef>,
    connection: Connection,
    manifest_limit: u64,
}

/// The registry of `image` as `registry` describes it, else as its name does.
///
/// # Errors
/// [`Kind::InvalidInput`] for a definition of another registry, or one that cannot be right.
pub(crate) fn definition(image: &ImageRef, registry: Option<&Registry>) -> Result<Registry> {
    let registry = match registry {
        None => Registry::of(image),
        Some(registry) => {
            let mut registry = registry.clone();
            registry.plain_http |= image.plain_http();
            if registry.url.is_none() && registry.base().is_err() {
                let own = Registry::of(image);
                registry.url = own.url;
                if registry.kind == Registry::default().kind {
                    registry.kind = own.kind;
                }
            }
            registry
        }
    };
    if registry.host()? != Registry::of(image).host()? {
        return Err(Error::new(Kind::InvalidInput, "the image is in another registry than the definition")
            .with("image", image)
            .with("registry", registry.host()?)
            .with_hint("credentials are for one registry: name the image with the address of that registry"));
    }
    Ok(registry)
}

impl RemoteSource {
    /// Opens the registry of `image`: with the settings and the credential of `registry`, else with the defaults (docker's
    /// configuration, else anonymous). Nothing is sent yet.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for a definition of another registry, or one that cannot be right.
    pub async fn open(
        image: &ImageRef,
        registry: Option<&Registry>,
        limits: &Limits,
        context: &Context,
    ) -> Result<Self> {
        let registry = definition(image, registry)?;
        let connection = Connection::open(&registry, Some(image.repository()), context).await?;
        Ok(Self::new(image.clone(), connection, limits))
    }

    /// An image behind a connection that is open already.
    pub fn new(image: ImageRef, connection: Connection, limits: &Limits) -> Self {
        Self { image: Arc::new(image), connection, manifest_limit: limits.manifest }
    }

    /// The manifest behind a tag or a digest. What breaks off on its way is asked for again; sending has retries of its own.
    async fn fetch(&self, target: &str, wanted: Option<&Digest>, context: &Context) -> Result<RawManifest> {
        let session = self.connection.session();
        let url = session.url(&format!("{}/manifests/{target}", self.image.repository()));
        let request = Request::get(url).with(ACCEPT, &MANIFESTS.join(", "))?;
        let mut breaks = 0;
        loop {
            let response = session.send(&request, Some(&session::pull(self.image.repository())), context).await?;
            let response = match response.status() {
                404 => return Err(missing(response.refused(context).await, target)),
                _ => response.success(context).await?,
            };
            let content_type = response
                .header(CONTENT_TYPE.as_str())
                .map(|value| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
            let announced = response.header("docker-content-digest").map(str::to_owned);
            if content_type.as_deref() == Some("text/html") {
                return Err(Error::new(Kind::Unsupported, "a web page came where a manifest should be").with_hint(
                    "check that the address is that of the registry, not of its web interface or a login page",
                ));
            }
            match response.bytes(self.manifest_limit, context).await {
                Ok(bytes) => return raw(content_type, announced, wanted, bytes),
                Err(error) if error.kind() == Kind::LimitExceeded => {
                    return Err(Error::new(Kind::LimitExceeded, "the manifest is larger than the limit")
                        .with("limit", self.manifest_limit)
                        .with_hint("raise the limit `manifest`"));
                }
                Err(error) => {
                    breaks += 1;
                    session.client().retry().wait(error, None, breaks, context).await?;
                }
            }
        }
    }

    fn blob_url(&self, digest: &Digest) -> Url {
        self.connection.session().url(&format!("{}/blobs/{digest}", self.image.repository()))
    }

    /// A blob on its way. The first answer is waited for here, so that a missing blob is an error of this call.
    async fn transfer(&self, origin: Origin, url: Url, descriptor: &Descriptor, context: &Context) -> Result<Transfer> {
        let mut transfer = Transfer {
            origin,
            url,
            image: Arc::clone(&self.image),
            digest: descriptor.digest.clone(),
            size: descriptor.size,
            offset: 0,
            skip: 0,
            breaks: 0,
            since_break: 0,
            response: None,
            context: context.clone(),
        };
        transfer.response = Some(Box::new(transfer.open().await.map_err(|error| transfer.about(error))?));
        Ok(transfer)
    }

    /// The address at which the manifest says that a foreign layer is, if a redirect of the registry might lead there as well.
    async fn elsewhere(&self, url: &str, context: &Context) -> Result<Url> {
        let refused = |message: &'static str| {
            self.about(Error::new(Kind::Unsupported, message))
                .with_hint("scan without foreign layers, or from a registry that holds them itself")
        };
        let url = Url::parse(url).map_err(|_| refused("a foreign layer is at no address"))?;
        let base = self.connection.session().base();
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(refused("a foreign layer is at no http address"));
        }
        if base.scheme() == "https" && url.scheme() != "https" {
            return Err(refused("a foreign layer would be fetched without https").with("url", redact::url(&url)));
        }
        if !self.connection.nobody().may_lead(base, &url, context).await? {
            return Err(refused("a foreign layer is at a private address").with("url", redact::url(&url)).with_hint(
                "scan without foreign layers, or set `private_addresses` in the definition of the registry",
            ));
        }
        let mut bare = url;
        let _ = (bare.set_username(""), bare.set_password(None));
        Ok(bare)
    }

    /// The same error with the image and, for a blob, its digest.
    fn about(&self, error: Error) -> Error {
        error.with("image", &self.image)
    }
}

impl std::fmt::Debug for RemoteSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RemoteSource").field(&self.image.to_string()).finish()
    }
}

impl ImageSource for RemoteSource {
    fn reference(&self) -> String {
        self.image.to_string()
    }

    fn root<'a>(&'a self, context: &'a Context) -> BoxFuture<'a, Result<RawManifest>> {
        Box::pin(async move {
            self.fetch(self.image.target(), self.image.digest(), context).await.map_err(|error| self.about(error))
        })
    }

    fn manifest<'a>(&'a self, descriptor: &'a Descriptor, context: &'a Context) -> BoxFuture<'a, Result<RawManifest>> {
        Box::pin(async move {
            let manifest = self
                .fetch(descriptor.digest.as_str(), Some(&descriptor.digest), context)
                .await
                .map_err(|error| self.about(error).with("digest", &descriptor.digest))?;
            match descriptor.size {
                Some(size) if size != manifest.bytes.len() as u64 => Err(self.about(
                    Error::new(Kind::Corrupt, "the manifest is not as long as the index says")
                        .with("digest", &descriptor.digest),
                )),
                _ => Ok(manifest),
            }
        })
    }

    fn blob<'a>(&'a self, descriptor: &'a Descriptor, context: &'a Context) -> BoxFuture<'a, Result<BlobStream>> {
        Box::pin(async move {
            let here = Origin::Registry(self.connection.session().clone(), session::pull(self.image.repository()));
            let mut transfer = self.transfer(here, self.blob_url(&descriptor.digest), descriptor, context).await;
            if LayerKind::of(descriptor) == LayerKind::Foreign {
                for url in descriptor.urls.iter().take(FOREIGN_URLS) {
                    if !matches!(&transfer, Err(error) if error.kind() == Kind::NotFound) {
                        break;
                    }
                    let (url, nobody) = (self.elsewhere(url, context).await?, self.connection.nobody().clone());
                    transfer = self.transfer(Origin::Elsewhere(nobody), url, descriptor, context).await;
                }
            }
            Ok(Box::pin(stream::try_unfold(transfer?, |mut transfer| async move {
                match transfer.next().await {
                    Ok(Some(chunk)) => Ok(Some((chunk, transfer))),
                    Ok(None) => Ok(None),
                    Err(error) => Err(transfer.about(error)),
                }
            })) as BlobStream)
        })
    }

    fn has_blob<'a>(&'a self, descriptor: &'a Descriptor, context: &'a Context) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let session = self.connection.session();
            let request = Request::head(self.blob_url(&descriptor.digest));
            let response = session
                .send(&request, Some(&session::pull(self.image.repository())), context)
                .await
                .map_err(|error| self.about(error))?;
            match response.status() {
                200..300 => Ok(true),
                // Of a foreign layer too: that it is where the manifest says proves nothing of who may read it here.
                404 => Ok(false),
                _ => Err(self.about(response.refused(context).await.with("digest", &descriptor.digest))),
            }
        })
    }
}

/// Who is asked for a blob.
enum Origin {
    /// The registry, with what the credential allows in this scope.
    Registry(Session, String),
    /// A place that the manifest names, without credentials.
    Elsewhere(Client),
}

impl Origin {
    async fn send(&self, request: &Request, context: &Context) -> Result<Response> {
        match self {
            Self::Registry(session, scope) => session.send(request, Some(scope), context).await,
            Self::Elsewhere(client) => client.send(request, context).await,
        }
    }

    fn retry(&self) -> Policy {
        match self {
            Self::Registry(session, _) => session.client().retry(),
            Self::Elsewhere(client) => client.retry(),
        }
    }
}

/// A blob on its way. When the connection breaks it goes on where it stopped.
struct Transfer {
    origin: Origin,
    url: Url,
    image: Arc<ImageRef>,
    digest: Digest,
    size: Option<u64>,
    /// Bytes handed on.
    offset: u64,
    /// Bytes to throw away, from a registry that starts again from the beginning. The digest still proves the whole.
    skip: u64,
    breaks: u32,
    since_break: u64,
    response: Option<Box<Response>>,
    context: Context,
}

impl Transfer {
    fn about(&self, error: Error) -> Error {
        error.with("image", &self.image).with("digest", &self.digest)
    }

    /// Asks for the blob, from where it stopped.
    async fn open(&mut self) -> Result<Response> {
        let mut request = Request::get(self.url.clone());
        if self.offset > 0 {
            request = request.with(RANGE, &format!("bytes={}-", self.offset))?;
        }
        let response = self.origin.send(&request, &self.context).await?;
        let response = match response.status() {
            404 => {
                return Err(Error::new(Kind::NotFound, "the registry does not have this blob")
                    .with_hint("the image was pushed incompletely, or its layers are kept elsewhere")
                    .because(response.refused(&self.context).await));
            }
            _ => response.success(&self.context).await?,
        };
        self.skip = 0;
        let length = response.content_length();
        if self.offset > 0 && response.status() == 206 {
            let (start, total) = response
                .header("content-range")
                .and_then(content_range)
                .ok_or_else(|| wrong_range("the registry resumes the blob without saying where"))?;
            if start != self.offset {
                return Err(wrong_range("the registry resumes the blob at another place"));
            }
            if let (Some(total), Some(size)) = (total, self.size)
                && total != size
            {
                return Err(wrong_size(size, total));
            }
        } else if response.status() == 206 {
            return Err(wrong_range("the registry sends a part of the blob where all of it was asked for"));
        } else {
            self.skip = self.offset;
            if let (Some(length), Some(size)) = (length, self.size)
                && length != size
            {
                return Err(wrong_size(size, length));
            }
        }
        Ok(response)
    }

    /// The next piece.
    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            let mut response = match self.response.take() {
                Some(response) => response,
                None => Box::new(self.open().await?),
            };
            let is_complete = self.size == Some(self.offset);
            match response.chunk(&self.context).await {
                Ok(Some(mut chunk)) => {
                    self.response = Some(response);
                    let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(chunk.len());
                    bytes::Buf::advance(&mut chunk, skipped);
                    self.skip -= skipped as u64;
                    if chunk.is_empty() {
                        continue;
                    }
                    self.offset += chunk.len() as u64;
                    self.since_break += chunk.len() as u64;
                    if let Some(size) = self.size
                        && self.offset > size
                    {
                        return Err(wrong_size(size, self.offset));
                    }
                    return Ok(Some(chunk));
                }
                Ok(None) if self.size.is_none_or(|size| self.offset == size) => return Ok(None),
                Ok(None) => self.broken(None).await?,
                Err(error) if error.kind() == Kind::Canceled => return Err(error),
                // All bytes are there; how the connection ends is of no interest.
                Err(_) if is_complete => return Ok(None),
                Err(error) => self.broken(Some(error)).await?,
            }
        }
    }

    /// Waits before the transfer is taken up again, or gives up.
    async fn broken(&mut self, error: Option<Error>) -> Result<()> {
        if self.since_break >= PROGRESS {
            self.breaks = 0;
        }
        self.breaks += 1;
        self.since_break = 0;
        let error = error.unwrap_or_else(|| {
            Error::new(Kind::Unavailable, "the blob ends too early")
                .with("read", self.offset)
                .with_hint("the registry or a proxy cuts transfers; try again")
        });
        self.origin.retry().wait(error, None, self.breaks, &self.context).await
    }
}

/// The manifest as it came, once it is known to be what its digest says.
fn raw(
    content_type: Option<String>,
    announced: Option<String>,
    wanted: Option<&Digest>,
    bytes: Bytes,
) -> Result<RawManifest> {
    let digest = match wanted {
        Some(digest) => digest.clone(),
        // A digest of an algorithm that cannot be computed here says nothing.
        None => announced.and_then(|text| text.parse().ok()).unwrap_or_else(|| Digest::of(&bytes)),
    };
    if !digest.matches(&bytes) {
        return Err(Error::new(Kind::Corrupt, "the manifest is not what its digest says")
            .with("digest", &digest)
            .with("read", Digest::of(&bytes))
            .with_hint("the registry or a proxy in between changes or damages what is stored"));
    }
    Ok(RawManifest { media_type: content_type.unwrap_or_default(), digest, bytes })
}

fn wrong_range(message: &'static str) -> Error {
    Error::new(Kind::Corrupt, message)
        .with_hint("a proxy between here and the registry may not understand `Range`; try again")
}

fn wrong_size(expected: u64, actual: u64) -> Error {
    Error::new(Kind::Corrupt, "the blob is not as long as its descriptor says")
        .with("size", expected)
        .with("length", actual)
        .with_hint(
            "the registry or a proxy in between cuts or damages what is stored; push the image again if it stays so",
        )
}

/// `bytes 5-51/52`: where it starts, and the whole length where it is known (RFC 9110, section 14.4).
fn content_range(value: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()))
}

/// The error of a manifest that is not there.
fn missing(refused: Error, target: &str) -> Error {
    let code = refused.context().find_map(|(key, value)| (key == "code").then(|| value.to_owned())).unwrap_or_default();
    let (message, hint) = match code.as_str() {
        "NAME_UNKNOWN" => ("there is no such repository", "check the spelling; a private one may need credentials"),
        _ if target.contains(':') => {
            ("there is no manifest with this digest", "it may have been deleted, or be in another repository")
        }
        _ => ("there is no such image", "check the repository and the tag; a private one may need credentials"),
    };
    Error::new(Kind::NotFound, message).with_hint(hint).with_context_of(&refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_content_ranges() {
        assert_eq!(content_range("bytes 5-51/52"), Some((5, Some(52))));
        assert_eq!(content_range("bytes 5-51/*"), Some((5, None)));
        assert_eq!(content_range("bytes */52"), None);
        assert_eq!(content_range("items 5-51/52"), None);
    }
}
