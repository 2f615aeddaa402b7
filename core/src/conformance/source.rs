//! What every source of images has to do, wherever it has them from.

use std::io::Read as _;
use std::time::Duration;

use futures_util::StreamExt as _;

use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::layer::decompress::Decoder;
use crate::model::digest::Digest;
use crate::model::image::Descriptor;
use crate::model::limits::Limits;
use crate::source::{BlobStream, ImageSource, Platforms, resolve};

/// No step of the suite takes longer, whatever the source does.
const PATIENCE: Duration = Duration::from_secs(60);

/// The suite: `source` holds one image of one platform, whose layers are `tars`, the base first, before any compression.
///
/// Its root and its blobs are what their digests say, twice and side by side, in pieces of at most 1 MiB; a stream that is
/// dropped early hinders nobody; what is not there is [`Kind::NotFound`]; a canceled context ends with [`Kind::Canceled`] or
/// with what was asked for, and soon.
///
/// ```
/// use tidewaiter::conformance::{archive, image::{Compression, ImageBuilder, Layer}, source};
/// use tidewaiter::{Limits, source::OciLayout};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
/// # runtime.block_on(async {
/// let tar = Layer::new().file("etc/motd", "hello").tar();
/// let image = ImageBuilder::new().tar(tar.clone(), Compression::Gzip).build();
/// let folder = std::env::temp_dir().join(format!("source-suite-{}", std::process::id()));
/// archive::write(&folder, &archive::layout(&[("1.0", &image)]))?;
/// source::suite(&OciLayout::open(&folder, &Limits::default())?, &[tar]).await;
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), tidewaiter::Error>(())
/// # }).unwrap();
/// ```
///
/// # Panics
/// Where the source does not do this.
pub async fn suite(source: &dyn ImageSource, tars: &[Vec<u8>]) {
    let work = async {
        names_itself(source);
        let layers = resolves(source, tars.len()).await;
        blobs_are_what_their_digests_say(source, &layers, tars).await;
        streams_do_not_hinder_each_other(source, &layers).await;
        what_is_not_there_is_told(source, &layers).await;
        a_cancel_ends_it(source, &layers).await;
    };
    tokio::time::timeout(PATIENCE, work).await.expect("the source takes too long");
}

fn names_itself(source: &dyn ImageSource) {
    assert!(!source.reference().is_empty(), "reports need the reference of the image");
    assert_eq!(source.reference(), source.reference());
}

/// The layers of the one image.
async fn resolves(source: &dyn ImageSource, count: usize) -> Vec<Descriptor> {
    let context = Context::new();
    let (first, second) = (source.root(&context).await.expect("a root"), source.root(&context).await.expect("a root"));
    assert_eq!((&first.digest, &first.bytes), (&second.digest, &second.bytes), "the root changes");
    let mut images = resolve(source, &Platforms::All, &Limits::default(), &context).await.expect("an image");
    assert_eq!(images.len(), 1, "one image of one platform");
    let layers: Vec<_> = images.remove(0).image.layers.into_iter().map(|(layer, _)| layer).collect();
    assert_eq!(layers.len(), count, "the number of layers");
    layers
}

async fn blobs_are_what_their_digests_say(source: &dyn ImageSource, layers: &[Descriptor], tars: &[Vec<u8>]) {
    let context = Context::new();
    // In their order, and against it: some sources are good at one of the two.
    for (layer, tar) in layers.iter().zip(tars).chain(layers.iter().zip(tars).rev()) {
        assert!(source.has_blob(layer, &context).await.expect("an answer"), "{} is there", layer.digest);
        let blob = whole(source.blob(layer, &context).await.expect("a blob")).await.expect("all of it");
        assert!(layer.digest.matches(&blob), "{} is something else", layer.digest);
        assert!(layer.size.is_none_or(|size| size == blob.len() as u64), "{} has another size", layer.digest);
        let mut unpacked = Vec::new();
        let mut decoder = Decoder::new(blob.as_slice(), &Limits::default()).expect("a layer");
        decoder.read_to_end(&mut unpacked).expect("a whole layer");
        assert!(unpacked == *tar, "{} is another layer", layer.digest);
    }
}

async fn streams_do_not_hinder_each_other(source: &dyn ImageSource, layers: &[Descriptor]) {
    let context = Context::new();
    let mut begun = Vec::new();
    for layer in layers {
        let mut stream = source.blob(layer, &context).await.expect("a blob");
        let first = stream.next().await;
        begun.push((stream, first));
    }
    // Every other one is dropped where it is; the others are read to their end, the last one first.
    for (number, layer) in layers.iter().enumerate().rev() {
        let Some((stream, first)) = begun.pop() else { return };
        if number % 2 == 0 {
            let mut blob = first.transpose().expect("a first piece").unwrap_or_default().to_vec();
            blob.extend(whole(stream).await.expect("the rest"));
            assert!(layer.digest.matches(&blob), "{} is mixed with another", layer.digest);
        }
    }
}

async fn what_is_not_there_is_told(source: &dyn ImageSource, layers: &[Descriptor]) {
    let context = Context::new();
    let unknown = Descriptor {
        media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
        digest: Digest::of(b"nobody has this"),
        size: Some(15),
        urls: Vec::new(),
    };
    assert!(!layers.iter().any(|layer| layer.digest == unknown.digest));
    assert!(!source.has_blob(&unknown, &context).await.expect("no is an answer"));
    let told = |error: Error| {
        assert_eq!(error.kind(), Kind::NotFound, "{error}");
        assert!(error.context().any(|(key, _)| key == "digest"), "what is missing is named: {error}");
    };
    told(source.manifest(&unknown, &context).await.expect_err("a manifest that is not there"));
    let blob = match source.blob(&unknown, &context).await {
        Ok(stream) => whole(stream).await,
        Err(error) => Err(error),
    };
    told(blob.expect_err("a blob that is not there"));
}

async fn a_cancel_ends_it(source: &dyn ImageSource, layers: &[Descriptor]) {
    let context = Context::new();
    context.canceller().cancel();
    for layer in layers {
        let blob = match source.blob(layer, &context).await {
            Ok(stream) => whole(stream).await,
            Err(error) => Err(error),
        };
        match blob {
            Ok(blob) => assert!(layer.digest.matches(&blob)),
            Err(error) => assert_eq!(error.kind(), Kind::Canceled, "{error}"),
        }
    }
    // Nothing of it stays behind.
    for layer in layers {
        let blob = source.blob(layer, &Context::new()).await.expect("a blob after a cancel");
        assert!(layer.digest.matches(&whole(blob).await.expect("all of it")));
    }
}

async fn whole(mut stream: BlobStream) -> Result<Vec<u8>> {
    let mut blob = Vec::new();
    while let Some(piece) = stream.next().await {
        let piece = piece?;
        assert!(piece.len() <= 1 << 20, "a piece of {} bytes", piece.len());
        blob.extend_from_slice(&piece);
    }
    Ok(blob)
}
