//! Indexes, manifests and configurations, resolved to images.
#![no_main]

use std::collections::HashMap;

use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream;
use libfuzzer_sys::fuzz_target;
use tidewaiter::model::digest::Digest;
use tidewaiter::model::image::Descriptor;
use tidewaiter::source::{BlobStream, ImageSource, LayerKind, Platforms, RawManifest, resolve};
use tidewaiter::{Context, Error, Kind, Limits, Result};

/// Documents by their digests; the first is the root.
struct Documents {
    root: Vec<u8>,
    others: HashMap<Digest, Vec<u8>>,
}

impl Documents {
    /// Parts of the input, a zero byte between two. `$1` in one of them is the digest of the next, `$2` of the one behind it, so
    /// that the fuzzer need not invert a hash to lead somewhere.
    fn new(input: &[u8]) -> Self {
        let mut digests: Vec<Digest> = Vec::new();
        let mut others = HashMap::new();
        let mut root = Vec::new();
        for part in input.split(|byte| *byte == 0).take(16).collect::<Vec<_>>().into_iter().rev() {
            let mut text = String::from_utf8_lossy(part).into_owned();
            for (number, digest) in digests.iter().rev().enumerate().take(9) {
                text = text.replace(&format!("${}", number + 1), digest.as_str());
            }
            root = text.into_bytes();
            let digest = Digest::of(&root);
            others.insert(digest.clone(), root.clone());
            digests.push(digest);
        }
        Self { root, others }
    }

    fn find(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        self.others.get(&descriptor.digest).cloned().ok_or_else(|| Error::new(Kind::NotFound, "no such document"))
    }
}

impl ImageSource for Documents {
    fn reference(&self) -> String {
        "fuzz".to_owned()
    }

    fn root<'a>(&'a self, _: &'a Context) -> BoxFuture<'a, Result<RawManifest>> {
        Box::pin(async { Ok(RawManifest::from(self.root.clone())) })
    }

    fn manifest<'a>(&'a self, descriptor: &'a Descriptor, _: &'a Context) -> BoxFuture<'a, Result<RawManifest>> {
        Box::pin(async { Ok(RawManifest::from(self.find(descriptor)?)) })
    }

    fn blob<'a>(&'a self, descriptor: &'a Descriptor, _: &'a Context) -> BoxFuture<'a, Result<BlobStream>> {
        Box::pin(async { Ok(Box::pin(stream::iter([Ok(self.find(descriptor)?.into())])) as BlobStream) })
    }

    fn has_blob<'a>(&'a self, descriptor: &'a Descriptor, _: &'a Context) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async { Ok(self.others.contains_key(&descriptor.digest)) })
    }
}

fuzz_target!(|input: &[u8]| {
    let documents = Documents::new(input);
    for platforms in [Platforms::All, Platforms::Host, Platforms::List(vec!["linux/arm/v7".parse().unwrap()])] {
        // Nothing here waits, so that one poll is all it takes.
        let resolved = resolve(&documents, &platforms, &Limits::default(), &Context::new()).now_or_never();
        match resolved.expect("a source that never waits") {
            Ok(images) => {
                assert!(!images.is_empty());
                for found in images {
                    for (layer, _) in &found.image.layers {
                        let _ = LayerKind::of(layer);
                    }
                }
            }
            Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
        }
    }
});
