//! One image in every form that is read, held against the suite of sources.

use std::io::Write as _;
use std::path::Path;

use tidewaiter::conformance::archive::{self, docker_archive, docker_oci_archive, layout, oci_archive};
use tidewaiter::conformance::image::{BuiltImage, Compression, ImageBuilder, Layer, compress};
use tidewaiter::conformance::registry::{Auth, Options, TestRegistry};
use tidewaiter::conformance::source::suite;
use tidewaiter::source::remote::RemoteSource;
use tidewaiter::source::{DockerArchive, OciArchive, OciLayout};
use tidewaiter::{Context, Credential, Limits, Registry, Secret};

const FORMS: [Compression; 3] = [Compression::Plain, Compression::Gzip, Compression::Zstd];

/// Layers of some bytes, of some MiB that hardly compress, and of nothing.
fn tars() -> Vec<Vec<u8>> {
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    })
    .take(3 << 20)
    .collect();
    vec![
        Layer::new().file("etc/os-release", "ID=debian\n").tar(),
        Layer::new().file("noise", noise).symlink("link", "noise").tar(),
        Layer::new().whiteout("noise").tar(),
        Layer::new().tar(),
    ]
}

fn image() -> BuiltImage {
    // One layer in each form, and one more.
    let forms = FORMS.iter().cycle();
    tars().into_iter().zip(forms).fold(ImageBuilder::new(), |image, (tar, form)| image.tar(tar, *form)).build()
}

fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

async fn docker(path: &Path) -> DockerArchive {
    DockerArchive::open(path, &Limits::default(), &Context::new()).await.unwrap()
}

#[tokio::test]
async fn an_oci_layout() {
    let folder = tempfile::tempdir().unwrap();
    archive::write(folder.path(), &layout(&[("1.0", &image())])).unwrap();
    suite(&OciLayout::open(folder.path(), &Limits::default()).unwrap(), &tars()).await;
    let named = format!("{}:1.0", folder.path().display());
    suite(&OciLayout::open(Path::new(&named), &Limits::default()).unwrap(), &tars()).await;
}

#[tokio::test]
async fn an_oci_archive_plain_and_packed() {
    for form in FORMS {
        let file = file(&compress(&oci_archive(&image()), form));
        suite(&OciArchive::open(file.path(), &Limits::default(), &Context::new()).await.unwrap(), &tars()).await;
    }
}

#[tokio::test]
async fn what_docker_saves_plain_and_packed_old_and_new() {
    for form in FORMS {
        // Its layers as docker writes them, and packed one by one, as other tools do.
        let packed =
            tars().iter().zip(FORMS.iter().cycle()).map(|(tar, form)| compress(tar, *form)).collect::<Vec<_>>();
        for archive in
            [docker_archive(&image(), &tars()), docker_archive(&image(), &packed), docker_oci_archive(&image())]
        {
            let file = file(&compress(&archive, form));
            suite(&docker(file.path()).await, &tars()).await;
        }
        // The new form is an OCI layout too.
        let file = file(&compress(&docker_oci_archive(&image()), form));
        suite(&OciArchive::open(file.path(), &Limits::default(), &Context::new()).await.unwrap(), &tars()).await;
    }
}

#[tokio::test]
async fn a_registry() {
    let basic = Auth::Basic { username: "ann".to_owned(), password: "secret".to_owned() };
    for auth in [Auth::Open, basic] {
        let registry = TestRegistry::start_with(Options { auth, ..Options::default() }).unwrap();
        registry.push("team/app", "1.0", &image());
        let credential = Credential::basic("ann", Secret::value("secret"));
        let definition = Registry::docker(registry.url()).credential(credential);
        let reference = format!("{}/team/app:1.0", registry.host()).parse().unwrap();
        let source = RemoteSource::open(&reference, Some(&definition), &Limits::default(), &Context::new()).await;
        suite(&source.unwrap(), &tars()).await;
    }
}
