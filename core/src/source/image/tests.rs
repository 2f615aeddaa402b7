//! Resolution, against images in memory.

use std::collections::HashMap;
use std::sync::Mutex;

use base64::Engine as _;
use futures_util::stream;
use serde_json::{Value, json};

use super::super::BlobStream;
use super::*;
use crate::model::media_type::{OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST};

const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";

/// A source that keeps documents by the digest that they are asked by, true or not.
#[derive(Default)]
struct Shelf {
    root: Vec<u8>,
    documents: HashMap<Digest, Vec<u8>>,
    asked: Mutex<Vec<Digest>>,
}

impl Shelf {
    fn put(&mut self, media_type: &str, document: &Value) -> Value {
        let bytes = document.to_string().into_bytes();
        let digest = Digest::of(&bytes);
        let descriptor = json!({"mediaType": media_type, "digest": digest, "size": bytes.len()});
        self.documents.insert(digest, bytes);
        descriptor
    }

    /// An image with one layer, by its descriptor. `name` makes it differ from others.
    fn image(&mut self, platform: &str, name: &str) -> Value {
        let manifest = self.write(platform, name);
        self.put(OCI_MANIFEST, &manifest)
    }

    fn write(&mut self, platform: &str, name: &str) -> Value {
        let config = self.put(OCI_CONFIG, &config(platform, name));
        json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [layer(OCI_LAYER)]})
    }

    fn index(&mut self, entries: &[Value]) -> Value {
        self.put(OCI_INDEX, &index(entries))
    }

    fn at(mut self, root: &Value) -> Self {
        self.root = root.to_string().into_bytes();
        self
    }

    fn resolve(&self, platforms: &Platforms, limits: &Limits) -> Result<Vec<Resolved>> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(resolve(self, platforms, limits, &Context::new()))
    }

    fn all(&self) -> Result<Vec<Resolved>> {
        self.resolve(&Platforms::All, &Limits::default())
    }

    fn answer(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        self.asked.lock().unwrap().push(descriptor.digest.clone());
        self.documents.get(&descriptor.digest).cloned().ok_or_else(|| Error::new(Kind::NotFound, "not on the shelf"))
    }
}

impl ImageSource for Shelf {
    fn reference(&self) -> String {
        "shelf".to_owned()
    }

    fn root<'a>(&'a self, _: &'a Context) -> BoxFuture<'a, Result<RawManifest>> {
        Box::pin(async { Ok(RawManifest::from(self.root.clone())) })
    }

    fn manifest<'a>(&'a self, descriptor: &'a Descriptor, _: &'a Context) -> BoxFuture<'a, Result<RawManifest>> {
        Box::pin(async {
            let (media_type, digest) = (descriptor.media_type.clone(), descriptor.digest.clone());
            Ok(RawManifest { media_type, digest, bytes: self.answer(descriptor)?.into() })
        })
    }

    fn blob<'a>(&'a self, descriptor: &'a Descriptor, _: &'a Context) -> BoxFuture<'a, Result<BlobStream>> {
        Box::pin(async {
            let chunks: Vec<_> =
                self.answer(descriptor)?.chunks(100).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
            Ok(Box::pin(stream::iter(chunks)) as BlobStream)
        })
    }

    fn has_blob<'a>(&'a self, descriptor: &'a Descriptor, _: &'a Context) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async { Ok(self.documents.contains_key(&descriptor.digest)) })
    }
}

fn config(platform: &str, name: &str) -> Value {
    let platform: Platform = platform.parse().unwrap();
    json!({
        "os": platform.os, "architecture": platform.architecture, "variant": platform.variant,
        "created": "2026-01-02T03:04:05Z",
        "rootfs": {"type": "layers", "diff_ids": [Digest::of(b"tar")]},
        "history": [{"created_by": name}, {"created_by": "ENV a=b", "empty_layer": true}],
    })
}

fn layer(media_type: &str) -> Value {
    json!({"mediaType": media_type, "digest": Digest::of(b"tar"), "size": 3})
}

fn index(entries: &[Value]) -> Value {
    json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})
}

/// The same object with other or more fields.
fn with(mut object: Value, fields: Value) -> Value {
    object.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    object
}

/// The same descriptor, of a platform.
fn of(descriptor: Value, platform: &str) -> Value {
    let mut parts = platform.split('/');
    let (os, architecture) = (parts.next().unwrap(), parts.next().unwrap());
    with(
        descriptor,
        json!({"platform": {"os": os, "architecture": architecture, "variant": parts.next().unwrap_or_default()}}),
    )
}

/// An error of this kind that says so, and what to do next.
#[track_caller]
fn told(result: Result<Vec<Resolved>>, kind: Kind, message: &str) {
    let error = result.map(|images| images.len()).unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(message), "{error}");
    assert!(error.hint().is_some(), "{error} has no hint");
    assert!(error.context().any(|(key, value)| (key, value) == ("image", "shelf")), "{error}");
}

#[test]
fn an_image_is_what_its_manifest_and_configuration_say() {
    let mut shelf = Shelf::default();
    let manifest = shelf.write("linux/arm/v6", "RUN make");
    let shelf = shelf.at(&manifest);
    let resolved = shelf.all().unwrap().remove(0);
    let image = resolved.image;
    assert_eq!(image.digest, Digest::of(manifest.to_string().as_bytes()));
    assert_eq!((image.index, image.platform.to_string().as_str()), (None, "linux/arm/v6"));
    assert_eq!(image.created.as_deref(), Some("2026-01-02T03:04:05Z"));
    assert_eq!(image.layers.len(), 1);
    assert_eq!(image.layers[0].0.digest, Digest::of(b"tar"));
    assert_eq!(image.layers[0].1.as_deref(), Some("RUN make"));
    assert!(resolved.notes.is_empty());
}

/// Roots that are no image, and what is said of them.
#[test]
fn what_is_no_image_is_told() {
    let manifest = |shelf: &mut Shelf| shelf.write("linux/amd64", "a");
    type Make = Box<dyn Fn(&mut Shelf) -> Value>;
    let changed = |fields: Value| Box::new(move |shelf: &mut Shelf| with(manifest(shelf), fields.clone())) as Make;
    let fixed = |root: Value| Box::new(move |_: &mut Shelf| root.clone()) as Make;
    let helm = "application/vnd.cncf.helm.config.v1+json";
    let negative = json!({"mediaType": OCI_LAYER, "digest": Digest::of(b"tar"), "size": -1});
    let weak = json!({"mediaType": OCI_LAYER, "digest": "md5:d41d8cd98f00b204e9800998ecf8427e", "size": 0});
    let escape = json!({"mediaType": OCI_LAYER, "digest": "sha256:../../etc/passwd", "size": 0});
    let many = json!({"layers": vec![layer(OCI_LAYER); 1_025]});
    #[rustfmt::skip]
    let cases: &[(Make, Kind, &str)] = &[
        (changed(json!({"manifests": []})),                 Kind::Corrupt,       "in two ways"),
        (changed(json!({"fsLayers": []})),                  Kind::Corrupt,       "in two ways"),
        (fixed(json!({"schemaVersion": 1, "fsLayers": []})), Kind::Unsupported,  "schema 1"),
        (fixed(json!({"mediaType": SCHEMA_1})),             Kind::Unsupported,   "schema 1"),
        (fixed(json!({"layers": []})),                      Kind::Corrupt,       "no configuration"),
        (fixed(json!([])),                                  Kind::Corrupt,       "not json"),
        (fixed(json!({})),                                  Kind::Unsupported,   "not an image"),
        (changed(json!({"config": {"mediaType": helm, "digest": Digest::of(b""), "size": 0}})),
                                                            Kind::Unsupported,   helm),
        (changed(json!({"artifactType": "application/vnd.example.sbom"})),
                                                            Kind::Unsupported,   "vnd.example.sbom"),
        (changed(json!({"artifactType": "a\u{1b}[31m\nb"})), Kind::Unsupported,  r"a\u{1b}[31m\nb"),
        (changed(json!({"layers": [{}]})),                  Kind::Corrupt,       "no digest"),
        (changed(json!({"layers": [negative]})),            Kind::Corrupt,       "negative size"),
        (changed(json!({"layers": [weak]})),                Kind::Corrupt,       "cannot be verified"),
        (changed(json!({"layers": [escape]})),              Kind::Corrupt,       "cannot be verified"),
        (changed(many),                                     Kind::LimitExceeded, "more than 1024 layers"),
        (fixed(index(&[])),                                 Kind::NotFound,      "names no image"),
    ];
    for (make, kind, message) in cases {
        let mut shelf = Shelf::default();
        let root = make(&mut shelf);
        told(shelf.at(&root).all(), *kind, message);
    }
}

#[test]
fn a_configuration_is_verified_bounded_and_json() {
    let good = config("linux/amd64", "a").to_string().into_bytes();
    let size = good.len();
    let large = vec![b' '; 20_000];
    let (digest, large_digest) = (Digest::of(&good), Digest::of(&large));
    #[rustfmt::skip]
    type Case<'a> = (&'a Digest, &'a [u8], usize, Option<(Kind, &'a str)>);
    let cases: &[Case<'_>] = &[
        // asked by        what comes         announced   what is said
        (&digest, &good, size, None),
        (&digest, &good, size + 1, Some((Kind::Corrupt, "not what its digest says"))),
        (&digest, &good[1..], size, Some((Kind::Corrupt, "not what its digest says"))),
        (&digest, &[], size, Some((Kind::Corrupt, "not what its digest says"))),
        (&Digest::of(b"{"), b"{", 1, Some((Kind::Corrupt, "not json"))),
        (&Digest::of(b"[]"), b"[]", 2, Some((Kind::Corrupt, "not json"))),
        // Too much, as it was announced, and as it comes.
        (&large_digest, &large, 20_000, Some((Kind::LimitExceeded, "larger than 10000 bytes"))),
        (&large_digest, &large, 10, Some((Kind::LimitExceeded, "larger than 10000 bytes"))),
    ];
    let limits = Limits { config: 10_000, ..Limits::default() };
    for (digest, bytes, size, expected) in cases {
        let mut shelf = Shelf::default();
        shelf.documents.insert((*digest).clone(), bytes.to_vec());
        let config = json!({"mediaType": OCI_CONFIG, "digest": digest, "size": size});
        let found = shelf.at(&json!({"config": config, "layers": []})).resolve(&Platforms::All, &limits);
        match expected {
            Some((kind, message)) => told(found, *kind, message),
            None => assert_eq!(found.unwrap()[0].image.config, *bytes),
        }
    }
}

#[test]
fn a_manifest_is_verified_and_bounded() {
    let mut shelf = Shelf::default();
    let entry = shelf.image("linux/amd64", "a");
    let limits = |manifest| Limits { manifest, ..Limits::default() };
    let longer = with(entry.clone(), json!({"size": 5_000}));
    for (root, limits, kind, message) in [
        (index(std::slice::from_ref(&longer)), Limits::default(), Kind::Corrupt, "not what its digest says"),
        (index(&[longer]), limits(4_000), Kind::LimitExceeded, "larger than 4000 bytes"),
        (index(std::slice::from_ref(&entry)), limits(100), Kind::LimitExceeded, "larger than 100 bytes"),
    ] {
        shelf = shelf.at(&root);
        told(shelf.resolve(&Platforms::All, &limits), kind, message);
    }
    // A source that hands out something else, and one that leads in a circle.
    let digest: Digest = entry["digest"].as_str().unwrap().parse().unwrap();
    shelf = shelf.at(&index(&[entry]));
    shelf.documents.insert(digest.clone(), b"{}".to_vec());
    told(shelf.all(), Kind::Corrupt, "not what its digest says");
    shelf.documents.insert(digest, shelf.root.clone());
    told(shelf.all(), Kind::Corrupt, "not what its digest says");
}

/// `[platforms of an index] what is asked for -> the images, by their number in it, or the error; the note, if any`.
#[test]
#[rustfmt::skip]
fn platforms_are_chosen() {
    let host = Platform::host().to_string();
    type Case<'a> = (&'a [&'a str], &'a [&'a str], std::result::Result<&'a [usize], &'a str>, bool);
    let cases: &[Case<'_>] = &[
        (&["linux/amd64", "linux/arm64"],       &["linux/arm64"],                Ok(&[1]),    false),
        (&["linux/amd64", "linux/arm64/v8"],    &["linux/aarch64"],              Ok(&[1]),    false),
        (&["linux/amd64", "linux/arm64"],       &["linux/arm64", "linux/amd64"], Ok(&[1, 0]), false),
        (&["linux/amd64", "linux/arm64"],       &["linux/arm64", "linux/arm64"], Ok(&[1]),    false),
        (&["linux/arm/v6", "linux/arm/v7"],     &["linux/arm/v6"],               Ok(&[0]),    false),
        (&["linux/arm/v6", "linux/arm/v7"],     &["linux/arm"],                  Ok(&[1]),    false),
        (&["linux/amd64/v3", "linux/amd64"],    &["linux/amd64"],                Ok(&[1]),    false),
        (&["linux/amd64/v3"],                   &["linux/amd64"],                Ok(&[0]),    false),
        // Two of one platform: the first, as other clients have it.
        (&["linux/amd64", "linux/amd64"],       &["linux/amd64"],                Ok(&[0]),    false),
        (&["linux/amd64"],                      &["linux/amd64/v3"],             Err("no platform linux/amd64/v3; it has linux/amd64"), false),
        (&["linux/amd64", "linux/s390x"],       &["plan9/mips"],                 Err("no platform plan9/mips; it has linux/amd64, linux/s390x"), false),
        (&["linux/amd64", "linux/s390x"],       &["linux/amd64", "plan9/mips"],  Err("no platform plan9/mips"), false),
        // Only a fallback from the host's platform is one that nobody asked for.
        (&["plan9/mips"],                       &["host"],                       Ok(&[0]),    true),
        (&["plan9/mips"],                       &["linux/amd64"],                Err("no platform linux/amd64; it has plan9/mips"), false),
        (&["plan9/mips", "plan9/arm64"],        &["host"],                       Err("it has plan9/arm64, plan9/mips"), false),
        (&["plan9/mips", &host],                &["host"],                       Ok(&[1]),    false),
        (&["plan9/mips", "linux/amd64"],        &["all"],                        Ok(&[0, 1]), false),
        // Attestations are no images, and do not count as ones.
        (&["plan9/mips", "unknown/unknown"],    &["host"],                       Ok(&[0]),    true),
        (&["unknown/unknown"],                  &["all"],                        Err("names no image"), false),
    ];
    for (present, asked, expected, is_noted) in cases {
        let mut shelf = Shelf::default();
        let images: Vec<_> = present.iter().enumerate().map(|(number, platform)| {
            let image = shelf.image(platform, &number.to_string());
            of(image, platform)
        }).collect();
        let shelf = shelf.at(&index(&images));
        let platforms = match asked {
            ["host"] => Platforms::Host,
            ["all"] => Platforms::All,
            list => Platforms::List(list.iter().map(|platform| platform.parse().unwrap()).collect()),
        };
        let found = shelf.resolve(&platforms, &Limits::default());
        match expected {
            Err(message) => told(found, Kind::NotFound, message),
            Ok(numbers) => {
                let found = found.unwrap();
                let digests: Vec<_> = found.iter().map(|found| found.image.digest.to_string()).collect();
                let wanted: Vec<_> = numbers.iter().map(|number| images[*number]["digest"].as_str().unwrap()).collect();
                assert_eq!(digests, wanted, "{present:?} {asked:?}");
                let notes: Vec<_> = found.iter().flat_map(|found| &found.notes).collect();
                assert_eq!(!notes.is_empty(), *is_noted, "{present:?} {asked:?}: {notes:?}");
                assert!(notes.iter().all(|note| note.kind == ProblemKind::OtherPlatform));
                assert!(found.iter().all(|found| found.image.index == Some(Digest::of(&shelf.root))));
            }
        }
    }
}

#[test]
fn a_single_manifest_is_read_whatever_its_platform_and_the_report_says_so() {
    let mut shelf = Shelf::default();
    let manifest = shelf.write("plan9/mips", "a");
    let shelf = shelf.at(&manifest);
    let found = shelf.resolve(&Platforms::Host, &Limits::default()).unwrap().remove(0);
    assert_eq!(found.image.platform.to_string(), "plan9/mips");
    assert_eq!(found.notes.len(), 1);
    assert!(found.notes[0].message.contains("plan9/mips"), "{:?}", found.notes);
}

#[test]
fn a_single_manifest_is_not_read_for_a_platform_that_was_named_and_is_another() {
    let mut shelf = Shelf::default();
    let manifest = shelf.write("linux/amd64", "a");
    let shelf = shelf.at(&manifest);
    let named = |platforms: &[&str]| {
        let list = platforms.iter().map(|platform| platform.parse().unwrap()).collect();
        shelf.resolve(&Platforms::List(list), &Limits::default())
    };
    told(named(&["linux/arm64"]), Kind::NotFound, "the image has no platform linux/arm64; it has linux/amd64");
    told(named(&["linux/amd64", "linux/arm64"]), Kind::NotFound, "no platform linux/arm64");
    assert_eq!(named(&["linux/amd64"]).unwrap().len(), 1);
}

#[test]
fn an_index_without_platforms_is_told_by_the_configurations() {
    let mut shelf = Shelf::default();
    let images = [shelf.image("plan9/mips", "a"), shelf.image("linux/s390x", "b")];
    // What is no image does not count, and does not hinder.
    let helm = json!({"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": Digest::of(b""), "size": 0});
    let chart = shelf.put(OCI_MANIFEST, &json!({"config": helm, "layers": []}));
    let shelf = shelf.at(&index(&[chart, images[0].clone(), images[1].clone()]));
    let asked = Platforms::List(vec!["linux/s390x".parse().unwrap()]);
    let found = shelf.resolve(&asked, &Limits::default()).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].image.digest.as_str(), images[1]["digest"]);
}

#[test]
fn entries_that_are_no_images_are_passed_over() {
    let mut shelf = Shelf::default();
    let image = shelf.image("linux/amd64", "a");
    let attestation = json!({"vnd.docker.reference.type": "attestation-manifest"});
    let entries = [
        with(shelf.image("linux/amd64", "b"), json!({"annotations": attestation})),
        of(shelf.image("linux/amd64", "c"), "unknown/unknown"),
        with(shelf.image("linux/amd64", "d"), json!({"artifactType": "application/vnd.example.signature"})),
        with(shelf.image("linux/amd64", "e"), json!({"mediaType": "application/vnd.example"})),
        with(image.clone(), json!({"artifactType": ""})),
    ];
    let shelf = shelf.at(&index(&entries));
    let found = shelf.all().unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].image.digest.as_str(), image["digest"]);
    assert_eq!(shelf.asked.lock().unwrap().len(), 2, "its manifest and its configuration, and nothing of the others");
}

#[test]
fn indexes_in_indexes_are_flattened_to_the_limit() {
    let mut shelf = Shelf::default();
    let images: Vec<_> = ["a", "b", "c"].iter().map(|name| shelf.image("linux/amd64", name)).collect();
    let inner = shelf.index(&images[1..]);
    let twice = with(inner.clone(), json!({"mediaType": DOCKER_LIST}));
    // The inner one is named twice, and each image counts once.
    let middle = shelf.index(&[images[0].clone(), inner, twice]);
    let shelf = shelf.at(&index(&[middle, images[2].clone()]));
    let found = shelf.all().unwrap();
    let digests: Vec<_> = found.iter().map(|found| found.image.digest.to_string()).collect();
    assert_eq!(digests, images.iter().map(|image| image["digest"].as_str().unwrap()).collect::<Vec<_>>());
    let limits = Limits { index: 1, ..Limits::default() };
    told(shelf.resolve(&Platforms::All, &limits), Kind::LimitExceeded, "deeper than the limit");
}

#[test]
fn an_index_of_very_many_entries_is_bounded() {
    let mut shelf = Shelf::default();
    let indexes: Vec<_> = (0..300)
        .map(|number| {
            let image = shelf.image("linux/amd64", &number.to_string());
            shelf.index(&[image])
        })
        .collect();
    let shelf = shelf.at(&index(&indexes));
    told(shelf.all(), Kind::LimitExceeded, "too many");

    let mut shelf = Shelf::default();
    let images: Vec<_> =
        (0..300).map(|number| of(shelf.image("linux/amd64", &number.to_string()), "plan9/mips")).collect();
    let shelf = shelf.at(&index(&images));
    told(shelf.all(), Kind::LimitExceeded, "too many");
    let one = Platforms::List(vec!["plan9/mips".parse().unwrap()]);
    assert_eq!(shelf.resolve(&one, &Limits::default()).unwrap().len(), 1, "one of them can still be asked for");
}

#[test]
fn what_an_index_and_a_manifest_say_of_each_other_must_agree() {
    let mut shelf = Shelf::default();
    let image = shelf.image("linux/amd64", "a");
    let inner = shelf.index(std::slice::from_ref(&image));
    let lies = [with(image, json!({"mediaType": OCI_INDEX})), with(inner, json!({"mediaType": OCI_MANIFEST}))];
    for lie in lies {
        shelf = shelf.at(&index(&[lie]));
        told(shelf.all(), Kind::Corrupt, "in two ways");
    }
    let old = shelf.put(SCHEMA_1, &json!({"schemaVersion": 1, "fsLayers": []}));
    told(shelf.at(&index(&[old])).all(), Kind::Unsupported, "schema 1");
}

#[test]
fn embedded_content_is_used_where_it_is_what_the_digest_says() {
    let base64 = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let mut shelf = Shelf::default();
    let manifest = shelf.write("linux/amd64", "a");
    let entry = shelf.put(OCI_MANIFEST, &manifest);
    let bytes = manifest.to_string().into_bytes();
    for (data, fetched) in [(base64(&bytes), 1), (base64(b"{}"), 2), ("not base64!".to_owned(), 2), (String::new(), 2)]
    {
        shelf = shelf.at(&index(&[with(entry.clone(), json!({"data": data}))]));
        shelf.asked.lock().unwrap().clear();
        assert_eq!(shelf.all().unwrap()[0].image.digest, Digest::of(&bytes));
        assert_eq!(shelf.asked.lock().unwrap().len(), fetched, "{data}");
    }
}

#[test]
#[rustfmt::skip]
fn the_media_type_says_what_a_layer_is() {
    for (media_type, kind) in [
        ("application/vnd.oci.image.layer.v1.tar",                            LayerKind::Tar),
        ("application/vnd.oci.image.layer.v1.tar+gzip",                       LayerKind::Tar),
        ("application/vnd.oci.image.layer.v1.tar+zstd",                       LayerKind::Tar),
        ("application/vnd.docker.image.rootfs.diff.tar.gzip",                 LayerKind::Tar),
        ("application/vnd.docker.image.rootfs.diff.tar.zstd",                 LayerKind::Tar),
        ("application/vnd.docker.container.image.rootfs.diff+x-gtar",         LayerKind::Tar),
        ("application/tar+gzip",                                              LayerKind::Tar),
        ("application/x-tar",                                                 LayerKind::Tar),
        ("application/octet-stream",                                          LayerKind::Tar),
        ("",                                                                  LayerKind::Tar),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",      LayerKind::Foreign),
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",         LayerKind::Foreign),
        ("application/vnd.oci.image.layer.v1.tar+gzip+encrypted",             LayerKind::Encrypted),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+encrypted", LayerKind::Encrypted),
        ("application/vnd.erofs",                                             LayerKind::Other),
        ("application/vnd.in-toto+json",                                      LayerKind::Other),
        ("application/vnd.example.star",                                      LayerKind::Other),
    ] {
        let digest = Digest::of(b"");
        let layer = Descriptor { media_type: media_type.to_owned(), digest, size: None, urls: Vec::new() };
        assert_eq!(LayerKind::of(&layer), kind, "{media_type}");
    }
}
