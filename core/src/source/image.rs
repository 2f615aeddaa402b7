//! From a reference to images: the root, through indexes, to the manifests of the platforms that were asked for.

use std::collections::HashSet;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;

use super::wire::{Config, Document, DocumentKind, WireDescriptor, is_image_config};
use super::{ImageSource, RawManifest, root};
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::model::digest::Digest;
use crate::model::image::{Descriptor, Image};
use crate::model::limits::Limits;
use crate::model::platform::Platform;
use crate::model::problem::{Problem, ProblemKind};

/// The most indexes and manifests that are looked at below one root.
const MANIFESTS: usize = 256;

/// Which platforms of an image are scanned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Platforms {
    /// The host's; the only one that there is, where an index has no such one.
    #[default]
    Host,
    /// Exactly these.
    List(Vec<Platform>),
    /// Those of these that there are, which may be none.
    Available(Vec<Platform>),
    /// Every one.
    All,
}

/// An image, and what the reader of its report should know about how it was chosen.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The image.
    pub image: Image,
    /// Of the kind [`ProblemKind::OtherPlatform`].
    pub notes: Vec<Problem>,
}

/// What a layer is, by its media type. What it is compressed with is not asked here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerKind {
    /// A tar, or something that may well be one.
    Tar,
    /// A layer that its owner does not let registries hand on, such as Windows' base.
    Foreign,
    /// Encrypted (ocicrypt).
    Encrypted,
    /// Not a tar, such as an EROFS file system or an attestation.
    Other,
}

impl LayerKind {
    /// What the layer is.
    pub fn of(layer: &Descriptor) -> Self {
        let media_type = layer.media_type.as_str();
        let names_tar = || media_type.split(['/', '.', '+', '-']).any(|part| matches!(part, "tar" | "gtar"));
        if media_type.ends_with("+encrypted") {
            Self::Encrypted
        } else if media_type.contains(".nondistributable.") || media_type.contains(".foreign.") {
            Self::Foreign
        } else if media_type.is_empty() || names_tar() || media_type == "application/octet-stream" {
            Self::Tar
        } else {
            Self::Other
        }
    }
}

/// Resolves what `source` names to one image a platform, in the order of `platforms`, or of the index.
///
/// # Errors
/// [`Kind::NotFound`] without the platform (the message lists those that there are), [`Kind::Unsupported`] for what is not
/// an image, [`Kind::Corrupt`] for content that is not what its digest says or that can be read in two ways,
/// [`Kind::LimitExceeded`] for more than the limits `manifest`, `config` and `index`, or an error of the source.
pub async fn resolve(
    source: &dyn ImageSource,
    platforms: &Platforms,
    limits: &Limits,
    context: &Context,
) -> Result<Vec<Resolved>> {
    let resolver = Resolver { source, limits, context };
    resolver.run(platforms).await.map_err(|error| error.with("image", source.reference()))
}

/// What a listing wants to know of an image without its layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// When it was built, and how large it is.
    pub date: bool,
    /// Which platforms it has.
    pub platforms: bool,
}

/// Looks at what `source` names: at the image, of an index the first, where the date is asked for; and which platforms it has.
///
/// # Errors
/// As [`resolve`].
pub(super) async fn look(
    source: &dyn ImageSource,
    look: Look,
    limits: &Limits,
    context: &Context,
) -> Result<(Option<Image>, Vec<Platform>)> {
    let resolver = Resolver { source, limits, context };
    resolver.look(look).await.map_err(|error| error.with("image", source.reference()))
}

/// A manifest that an index names.
struct Child {
    descriptor: Descriptor,
    embedded: Option<Vec<u8>>,
    platform: Option<Platform>,
    index: Digest,
}

/// What a reference names.
enum Root {
    /// What an index holds: something at least.
    Index(Vec<Child>),
    Image(Box<Image>),
}

/// What an index holds, nested ones included.
#[derive(Default)]
struct Children {
    list: Vec<Child>,
    seen: HashSet<Digest>,
}

struct Resolver<'a> {
    source: &'a dyn ImageSource,
    limits: &'a Limits,
    context: &'a Context,
}

impl Resolver<'_> {
    async fn run(&self, platforms: &Platforms) -> Result<Vec<Resolved>> {
        let image = match self.root(*platforms == Platforms::All).await? {
            Root::Index(children) => return self.choose(children, platforms).await,
            Root::Image(image) => *image,
        };
        let host = [Platform::host()];
        let asked: &[Platform] = match platforms {
            Platforms::Host => &host,
            Platforms::List(list) => list,
            Platforms::Available(list) if !list.iter().any(|asked| asked.accepts(&image.platform)) => {
                return Ok(Vec::new());
            }
            Platforms::All | Platforms::Available(_) => &[],
        };
        // An image that does not say what it is for may be for anything.
        if let Platforms::List(list) = platforms
            && !image.platform.is_unknown()
            && let Some(asked) = list.iter().find(|asked| !asked.accepts(&image.platform))
        {
            return Err(missing(asked, [&image.platform]));
        }
        let missing = asked.iter().filter(|asked| !asked.accepts(&image.platform));
        let notes = missing
            .map(|asked| other(format!("the image has one platform, {}, and not {asked}", image.platform)))
            .collect();
        Ok(vec![Resolved { image, notes }])
    }

    async fn look(&self, look: Look) -> Result<(Option<Image>, Vec<Platform>)> {
        let mut children = match self.root(true).await? {
            Root::Index(children) => children,
            Root::Image(image) => {
                let platforms = vec![image.platform.clone()];
                return Ok((Some(*image), platforms));
            }
        };
        if look.platforms {
            self.learn_platforms(&mut children).await?;
        }
        let platforms = children.iter().filter_map(|child| child.platform.clone()).collect();
        let first = match children.into_iter().next().filter(|_| look.date) {
            Some(child) => Some(self.load(child).await?),
            None => None,
        };
        Ok((first, platforms))
    }

    /// What the reference names; images of `several` names only where they are welcome.
    async fn root(&self, several: bool) -> Result<Root> {
        let root = self.source.root(self.context).await?;
        self.check_size(root.bytes.len() as u64, self.limits.manifest, "manifest")?;
        let (kind, document) = Document::read(&root)?;
        if kind != DocumentKind::Index {
            return Ok(Root::Image(Box::new(self.image(&root.digest, kind, document, None).await?)));
        }
        if !several {
            root::of_one_image(&document)?;
        }
        let mut children = Children::default();
        children.seen.insert(root.digest.clone());
        self.collect(document, root.digest, 0, &mut children).await?;
        if children.list.is_empty() {
            return Err(Error::new(Kind::NotFound, "the index names no image")
                .with_hint("it is empty, or holds attestations and other artifacts alone"));
        }
        Ok(Root::Index(children.list))
    }

    /// Flattens an index: `depth` says how many indexes lie above it.
    fn collect<'b>(
        &'b self,
        document: Document,
        digest: Digest,
        depth: u64,
        children: &'b mut Children,
    ) -> BoxFuture<'b, Result<()>> {
        Box::pin(async move {
            for wire in document.manifests.unwrap_or_default() {
                let media_type = wire.media_type.as_deref().unwrap_or_default();
                let kind = DocumentKind::of_media_type(media_type);
                let is_other = kind.is_none() && !media_type.is_empty();
                if is_other || wire.is_attestation() || wire.is_artifact() {
                    continue;
                }
                let descriptor = wire.read()?;
                if !children.seen.insert(descriptor.digest.clone()) {
                    continue;
                }
                if kind != Some(DocumentKind::Index) {
                    let (embedded, platform) = (wire.embedded(&descriptor), wire.platform());
                    children.list.push(Child { descriptor, embedded, platform, index: digest.clone() });
                    continue;
                }
                if depth >= self.limits.index {
                    return Err(Error::new(Kind::LimitExceeded, "indexes lie in indexes, deeper than the limit")
                        .with("index", self.limits.index)
                        .with_hint("raise the limit `index`, or name the inner index by its digest"));
                }
                if children.seen.len() > MANIFESTS {
                    return Err(Error::new(Kind::LimitExceeded, "the index leads to too many indexes and images")
                        .with_hint("name the inner index or the image by its digest"));
                }
                let raw = self.child(&descriptor, wire.embedded(&descriptor)).await?;
                let (kind, inner) = Document::read(&raw)?;
                if kind != DocumentKind::Index {
                    return Err(Error::new(Kind::Corrupt, "what should be an index is something else")
                        .with("digest", &descriptor.digest)
                        .with_hint("the index was built wrongly: push it again"));
                }
                self.collect(inner, descriptor.digest, depth + 1, children).await?;
            }
            Ok(())
        })
    }

    async fn choose(&self, children: Vec<Child>, platforms: &Platforms) -> Result<Vec<Resolved>> {
        let mut children = children;
        let host = [Platform::host()];
        let asked: &[Platform] = match platforms {
            Platforms::All => {
                if children.len() > MANIFESTS {
                    return Err(Error::new(Kind::LimitExceeded, "the index names too many images to read all")
                        .with_hint("name the platforms"));
                }
                let mut all = Vec::new();
                for child in children {
                    all.push(Resolved { image: self.load(child).await?, notes: Vec::new() });
                }
                return Ok(all);
            }
            Platforms::List(list) | Platforms::Available(list) => list,
            Platforms::Host => &host,
        };
        let mut chosen: Vec<Resolved> = Vec::new();
        for asked in asked {
            if find(&children, asked).is_none() {
                self.learn_platforms(&mut children).await?;
            }
            let (child, notes) = match find(&children, asked) {
                Some(child) => (child, Vec::new()),
                None if matches!(platforms, Platforms::Available(_)) => continue,
                None => match children.as_slice() {
                    [only] if *platforms == Platforms::Host => {
                        let platform = only.platform.as_ref().map_or("unknown".to_owned(), Platform::to_string);
                        (
                            only,
                            vec![other(format!(
                                "the index has no image for {asked}; {platform} was read, its only one"
                            ))],
                        )
                    }
                    _ => return Err(missing(asked, children.iter().filter_map(|child| child.platform.as_ref()))),
                },
            };
            if chosen.iter().any(|known| known.image.digest == child.descriptor.digest) {
                continue;
            }
            let child = Child {
                descriptor: child.descriptor.clone(),
                embedded: child.embedded.clone(),
                platform: child.platform.clone(),
                index: child.index.clone(),
            };
            chosen.push(Resolved { image: self.load(child).await?, notes });
        }
        Ok(chosen)
    }

    /// Asks the configurations of those images whose platform the index does not tell.
    async fn learn_platforms(&self, children: &mut [Child]) -> Result<()> {
        for child in children.iter_mut().filter(|child| child.platform.is_none()).take(MANIFESTS) {
            let raw = self.child(&child.descriptor, child.embedded.take()).await?;
            let (kind, document) = Document::read(&raw)?;
            match self.image(&child.descriptor.digest, kind, document, None).await {
                Ok(image) => child.platform = Some(image.platform),
                // Something in an index that is not an image is nothing that was asked for.
                Err(error) if error.kind() == Kind::Unsupported => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn load(&self, child: Child) -> Result<Image> {
        let raw = self.child(&child.descriptor, child.embedded).await?;
        let (kind, document) = Document::read(&raw)?;
        let mut image = self.image(&child.descriptor.digest, kind, document, child.platform).await?;
        image.index = Some(child.index);
        Ok(image)
    }

    /// A manifest that an index names, verified.
    async fn child(&self, descriptor: &Descriptor, embedded: Option<Vec<u8>>) -> Result<RawManifest> {
        self.context.check()?;
        self.check_size(descriptor.size.unwrap_or(0), self.limits.manifest, "manifest")?;
        if let Some(bytes) = embedded {
            let (media_type, digest) = (descriptor.media_type.clone(), descriptor.digest.clone());
            return Ok(RawManifest { media_type, digest, bytes: Bytes::from(bytes) });
        }
        let raw = self.source.manifest(descriptor, self.context).await?;
        self.check_size(raw.bytes.len() as u64, self.limits.manifest, "manifest")?;
        verify(descriptor, &raw.bytes)?;
        Ok(raw)
    }

    /// The image of one manifest.
    async fn image(
        &self,
        digest: &Digest,
        kind: DocumentKind,
        document: Document,
        platform: Option<Platform>,
    ) -> Result<Image> {
        let corrupt = |message: &'static str| {
            Error::new(Kind::Corrupt, message)
                .with("digest", digest)
                .with_hint("the image was built wrongly: build and push it again")
        };
        if kind != DocumentKind::Manifest {
            return Err(corrupt("what should be a manifest is an index"));
        }
        let Some(wire) = document.config else {
            return Err(corrupt("the manifest names no configuration"));
        };
        let config_type = wire.media_type.as_deref().unwrap_or_default();
        let artifact_type = document.artifact_type.as_deref().filter(|name| !name.is_empty());
        if !is_image_config(config_type) || artifact_type.is_some() {
            let shown = artifact_type.unwrap_or(config_type).escape_debug();
            return Err(Error::new(Kind::Unsupported, "this is not a container image")
                .with("artifact", shown)
                .with("digest", digest)
                .with_hint("only container images are scanned"));
        }
        let wires = document.layers.unwrap_or_default();
        let layers = wires.iter().map(WireDescriptor::read).collect::<Result<Vec<_>>>()?;
        let config = self.config(&wire).await?;
        let mut parsed = Config::read(&config)?;
        let commands = parsed.commands(layers.len());
        Ok(Image {
            digest: digest.clone(),
            index: None,
            platform: platform.or_else(|| parsed.platform()).unwrap_or_else(|| Platform::new("unknown", "unknown", "")),
            created: parsed.created,
            layers: layers.into_iter().zip(commands).collect(),
            config,
        })
    }

    /// The bytes of the configuration, verified.
    async fn config(&self, wire: &WireDescriptor) -> Result<Vec<u8>> {
        let descriptor = wire.read()?;
        self.check_size(descriptor.size.unwrap_or(0), self.limits.config, "config")?;
        if let Some(bytes) = wire.embedded(&descriptor) {
            return Ok(bytes);
        }
        let mut chunks = self.source.blob(&descriptor, self.context).await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = chunks.next().await {
            self.context.check()?;
            let chunk = chunk?;
            self.check_size(bytes.len() as u64 + chunk.len() as u64, self.limits.config, "config")?;
            bytes.extend_from_slice(&chunk);
        }
        verify(&descriptor, &bytes)?;
        Ok(bytes)
    }

    fn check_size(&self, size: u64, limit: u64, name: &'static str) -> Result<()> {
        if size <= limit {
            return Ok(());
        }
        Err(Error::new(Kind::LimitExceeded, format!("a document of the image is larger than {limit} bytes"))
            .with_hint(format!("raise the limit `{name}` if the image is trusted")))
    }
}

/// The image for `asked`: one of exactly that platform, else the first that will do.
fn find<'b>(children: &'b [Child], asked: &Platform) -> Option<&'b Child> {
    let exact = children.iter().find(|child| child.platform.as_ref() == Some(asked));
    exact.or_else(|| {
        children.iter().find(|child| child.platform.as_ref().is_some_and(|platform| asked.accepts(platform)))
    })
}

fn missing<'p>(asked: &Platform, present: impl IntoIterator<Item = &'p Platform>) -> Error {
    let mut present: Vec<_> = present.into_iter().map(Platform::to_string).collect();
    present.sort();
    present.dedup();
    Error::new(Kind::NotFound, format!("the image has no platform {asked}; it has {}", present.join(", ")))
        .with_hint("ask for one of them")
}

fn other(message: String) -> Problem {
    Problem::new(ProblemKind::OtherPlatform, message)
}

fn verify(descriptor: &Descriptor, bytes: &[u8]) -> Result<()> {
    if descriptor.size.is_some_and(|size| size != bytes.len() as u64) || !descriptor.digest.matches(bytes) {
        return Err(root::not_its_digest(descriptor));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
