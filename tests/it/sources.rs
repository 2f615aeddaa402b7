//! Images on disk: real layouts and archives, good and broken.

use std::path::Path;

use futures_util::StreamExt as _;
use tidewaiter::conformance::archive;
use tidewaiter::conformance::image::{ImageBuilder, Layer};
use tidewaiter::model::digest::Digest;
use tidewaiter::model::limits::Limits;
use tidewaiter::model::platform::Platform;
use tidewaiter::source::{DockerArchive, ImageSource, OciArchive, OciLayout, Platforms, Resolved, resolve};
use tidewaiter::{Context, Kind, Result};

use crate::corpus::corpus;

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn of_layout(path: &Path, platforms: &Platforms) -> Result<Vec<Resolved>> {
    let layout = OciLayout::open(path, &Limits::default())?;
    run(resolve(&layout, platforms, &Limits::default(), &Context::new()))
}

fn oci(path: &Path) -> Box<dyn ImageSource> {
    Box::new(run(OciArchive::open(path, &Limits::default(), &Context::new())).unwrap())
}

fn docker(path: &Path) -> Box<dyn ImageSource> {
    Box::new(run(DockerArchive::open(path, &Limits::default(), &Context::new())).unwrap())
}

/// Resolves the one image and reads every layer, each of which must be what its digest says.
fn read(source: &dyn ImageSource) -> Resolved {
    run(async {
        let context = Context::new();
        let mut images = resolve(source, &Platforms::All, &Limits::default(), &context).await.unwrap();
        assert_eq!(images.len(), 1);
        let image = images.remove(0);
        for (layer, _) in &image.image.layers {
            assert!(source.has_blob(layer, &context).await.unwrap());
            let mut hasher = layer.digest.hasher();
            let mut size = 0;
            let mut blob = source.blob(layer, &context).await.unwrap();
            while let Some(chunk) = blob.next().await {
                let chunk = chunk.unwrap();
                assert!(chunk.len() <= 1 << 20);
                size += chunk.len() as u64;
                hasher.update(&chunk);
            }
            assert_eq!((hasher.finish(), Some(size)), (layer.digest.clone(), layer.size));
        }
        let unknown =
            tidewaiter::model::image::Descriptor { digest: Digest::of(b"?"), ..image.image.layers[0].0.clone() };
        assert!(!source.has_blob(&unknown, &context).await.unwrap());
        image
    })
}

#[test]
fn one_image_in_three_forms() {
    let Some(corpus) = corpus() else { return };
    let folder = corpus.join("images/debian12-meta");
    let forms = [
        read(&*oci(&folder.join("app-oci.tar"))),
        read(&*oci(&folder.join("app-oci-zstd-layout.tar"))),
        read(&*docker(&folder.join("app-docker.tar.zst"))),
    ];
    for form in &forms {
        let (image, first) = (&form.image, &forms[0].image);
        assert_eq!(image.layers.len(), 3);
        assert_eq!(image.config, first.config);
        assert_eq!(image.platform.to_string(), "linux/amd64");
        assert_eq!(image.created, first.created);
        let commands = |image: &tidewaiter::model::image::Image| {
            image.layers.iter().map(|(_, command)| command.clone()).collect::<Vec<_>>()
        };
        assert_eq!(commands(image), commands(first));
    }
    let digest = "sha256:7466160edac205e93b10b6655d1dd5184512046447e0365c111b1d98ed3c5469";
    assert_eq!(forms[0].image.digest.as_str(), digest);
}

#[test]
fn archives_packed_in_gzip_or_zstd_are_the_same_image() {
    let Some(corpus) = corpus() else { return };
    let plain = std::fs::read(corpus.join("images/debian12-meta/app-oci.tar")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let packed = folder.path().join("app.tar.zst");
    std::fs::write(&packed, zstd::encode_all(plain.as_slice(), 1).unwrap()).unwrap();
    let digest = "sha256:7466160edac205e93b10b6655d1dd5184512046447e0365c111b1d98ed3c5469";
    assert_eq!(read(&*oci(&packed)).image.digest.as_str(), digest);
}

#[test]
fn what_docker_saves_is_read_from_gzip() {
    let Some(corpus) = corpus() else { return };
    for name in ["alpine-310.tar.gz", "alpine-311.tar.gz"] {
        let image = read(&*docker(&corpus.join("images").join(name))).image;
        assert_eq!(image.layers.len(), 1, "{name}");
        assert!(image.layers[0].1.as_deref().unwrap().contains("ADD file:"), "{name}");
    }
}

#[test]
fn layouts_good_and_broken() {
    let Some(corpus) = corpus() else { return };
    let folder = corpus.join("images/oci-layouts-stereoscope");
    let all = Platforms::All;
    assert_eq!(of_layout(&folder.join("valid_oci_dir"), &all).unwrap().len(), 1);
    assert_eq!(read(&*oci(&folder.join("valid-oci.tar"))).image.layers.len(), 1);
    assert!(of_layout(&folder.join("multiplatform_oci_dir"), &all).unwrap().len() > 1);
    for name in ["invalid_file", "no_manifests", "missing"] {
        let error = of_layout(&folder.join(name), &all).unwrap_err();
        assert!(matches!(error.kind(), Kind::Corrupt | Kind::NotFound), "{name}: {error:?}");
    }
    let s390 = Platforms::List(vec![Platform::new("plan9", "s390x", "")]);
    let error = of_layout(&folder.join("multiplatform_oci_dir"), &s390).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(error.message().contains("linux/"), "the error lists what there is: {error}");
}

#[test]
fn layouts_with_indexes_names_and_things_that_are_no_images() {
    let Some(corpus) = corpus() else { return };
    let folder = corpus.join("images/oci-layouts-ggcr/testdata");
    // The layout, the name of an image in it, and the number of its images or how it is refused.
    #[rustfmt::skip]
    type Case<'a> = (&'a str, &'a str, std::result::Result<usize, (Kind, &'a str)>);
    let cases: &[Case<'_>] = &[
        ("test_index_one_image", "", Ok(1)),
        // Of its four entries two are indexes of the first image, and one has a media type that nobody knows.
        ("test_index", "", Ok(1)),
        ("test_index", ":1", Ok(1)),
        ("test_index", ":2", Ok(1)),
        ("test_index", ":3", Ok(1)),
        ("test_index", ":4", Ok(1)),
        ("test_index", ":5", Err((Kind::NotFound, "no image of this name"))),
        ("test_gc_index", "", Ok(1)),
        ("test_gc_index", ":3", Ok(1)),
        ("test_index_media_type", "", Err((Kind::Unsupported, "helm"))),
        ("test_gc_image_unknown_mediatype", "", Err((Kind::NotFound, "32589985702551b6"))),
    ];
    for (layout, name, expected) in cases {
        let path = folder.join(format!("{layout}{name}"));
        match (of_layout(&path, &Platforms::All), expected) {
            (Ok(images), Ok(number)) => {
                assert_eq!(images.len(), *number, "{layout}{name}");
                read(&OciLayout::open(&path, &Limits::default()).unwrap());
            }
            (Err(error), Err((kind, message))) => {
                assert_eq!(error.kind(), *kind, "{layout}{name}: {error}");
                assert!(error.to_string().contains(message), "{layout}{name}: {error}");
            }
            (found, _) => panic!("{layout}{name}: {:?}", found.map(|images| images.len())),
        }
    }
}

#[test]
fn a_layout_of_several_images_is_read_by_name() {
    let image = |name: &str| ImageBuilder::new().layer(Layer::new().file("name", name)).build();
    let (one, two) = (image("one"), image("two"));
    let folder = tempfile::tempdir().unwrap();
    archive::write(folder.path(), &archive::layout(&[("1.0", &one), ("2.0", &two), ("twice", &one), ("twice", &two)]))
        .unwrap();
    let named = |name: &str| of_layout(Path::new(&format!("{}{name}", folder.path().display())), &Platforms::All);
    let error = of_layout(folder.path(), &Platforms::Host).unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidInput, "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("1.0, 2.0, twice")), "{error:?}");
    assert_eq!(of_layout(folder.path(), &Platforms::All).unwrap().len(), 2);
    assert_eq!(named(":1.0").unwrap()[0].image.digest, one.digest());
    assert_eq!(named(":2.0").unwrap()[0].image.digest, two.digest());
    assert_eq!(named("").unwrap().len(), 2);
    let missing = named(":3.0").unwrap_err();
    assert_eq!(missing.kind(), Kind::NotFound);
    assert!(missing.hint().unwrap().contains("1.0, 2.0"), "the names that there are: {missing}");
    assert_eq!(named(":twice").unwrap_err().kind(), Kind::Corrupt);
}

#[test]
fn what_docker_saves_has_to_be_one_image_and_whole() {
    let image = ImageBuilder::new().layer(Layer::new().file("a", "b")).build();
    let config =
        Layer::new().file("c.json", image.blobs.last().unwrap()).file("l.tar", Layer::new().file("a", "b").tar());
    let one = r#"{"Config": "c.json", "Layers": ["l.tar"]}"#;
    // What stands in manifest.json, and how it is refused.
    #[rustfmt::skip]
    let cases = [
        (format!("[{one}]"),                                       None),
        (format!("[{one}, {one}]"),                                Some(Kind::Unsupported)),
        ("[]".to_owned(),                                          Some(Kind::NotFound)),
        ("{}".to_owned(),                                          Some(Kind::Corrupt)),
        ("[".to_owned(),                                           Some(Kind::Corrupt)),
        (r#"[{"Layers": ["l.tar"]}]"#.to_owned(),                  Some(Kind::Corrupt)),
        (r#"[{"Config": "c.json", "Layers": []}]"#.to_owned(),     Some(Kind::Corrupt)),
        (r#"[{"Config": "l.tar", "Layers": ["l.tar"]}]"#.to_owned(), Some(Kind::Corrupt)),
        (r#"[{"Config": "x.json", "Layers": ["l.tar"]}]"#.to_owned(), Some(Kind::NotFound)),
        (r#"[{"Config": "c.json", "Layers": ["../../etc/passwd"]}]"#.to_owned(), Some(Kind::NotFound)),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tar");
    for (manifest, expected) in cases {
        std::fs::write(&path, config.clone().file("manifest.json", &manifest).tar()).unwrap();
        let opened = run(DockerArchive::open(&path, &Limits::default(), &Context::new()));
        assert_eq!(opened.map_err(|error| error.kind()).err(), expected, "{manifest}");
    }
}

#[test]
fn an_archive_that_is_none_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tar");
    for content in [&b""[..], b"not a tar", &[0; 1024], &[0xff; 2048], b"\x1f\x8b\x08\0\0"] {
        std::fs::write(&path, content).unwrap();
        let oci = run(OciArchive::open(&path, &Limits::default(), &Context::new())).unwrap_err();
        let docker = run(DockerArchive::open(&path, &Limits::default(), &Context::new())).unwrap_err();
        for error in [oci, docker] {
            assert!(matches!(error.kind(), Kind::Corrupt | Kind::NotFound), "{content:?}: {error:?}");
        }
    }
}

#[test]
fn a_link_does_not_lead_out_of_a_layout() {
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("layout");
    std::fs::create_dir(&layout).unwrap();
    std::fs::write(folder.path().join("index.json"), "{}").unwrap();
    std::os::unix::fs::symlink("../index.json", layout.join("index.json")).unwrap();
    assert_eq!(OciLayout::open(&layout, &Limits::default()).unwrap_err().kind(), Kind::Corrupt);
}
