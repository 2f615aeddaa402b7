//! Registries as they are: what works, what fails and how it is told, and where secrets go.

pub(crate) mod certificates;
mod check;
mod debian;
mod drips;
mod pulls;
mod refusals;
mod ways;

use std::time::Duration;

use futures_util::TryStreamExt;
use tidewaiter::conformance::image::{BuiltImage, ImageBuilder, Layer};
use tidewaiter::conformance::registry::{Auth, Options, TestRegistry};
use tidewaiter::model::digest::Digest;
use tidewaiter::model::image::Descriptor;
use tidewaiter::model::limits::Limits;
use tidewaiter::model::reference::ImageRef;
use tidewaiter::registry::{Check, Credential, Registry, Secret};
use tidewaiter::source::remote::RemoteSource;
use tidewaiter::source::{ImageSource, Platforms, RawManifest, Resolved, resolve};
use tidewaiter::{Context, Error, Kind, Result};

use crate::images::noise_bytes;

const USER: &str = "alice";
const PASSWORD: &str = "planted-s3cret-0451";

/// The layer is one that several pieces are needed for.
fn image() -> BuiltImage {
    ImageBuilder::new()
        .layer(Layer::new().file("etc/os-release", "ID=debian\n").file("noise", noise_bytes(3 << 20)))
        .build()
}

fn basic() -> Auth {
    Auth::Basic { username: USER.into(), password: PASSWORD.into() }
}

fn bearer() -> Auth {
    Auth::Bearer { username: USER.into(), password: PASSWORD.into(), realm: None }
}

fn started(auth: Auth) -> TestRegistry {
    let registry = TestRegistry::start_with(Options { auth, ..Options::default() }).unwrap();
    registry.push("team/app", "1.0", &image());
    registry
}

fn definition(registry: &TestRegistry, password: &str) -> Registry {
    Registry::docker(registry.url()).credential(Credential::basic(USER, Secret::value(password)))
}

fn anonymous(url: String) -> Registry {
    Registry::docker(url).credential(Credential::Anonymous).with_timeout(Duration::from_secs(5))
}

async fn open(definition: &Registry, path: &str) -> Result<RemoteSource> {
    let image: ImageRef = format!("{}/{path}", definition.host().unwrap()).parse().unwrap();
    RemoteSource::open(&image, Some(definition), &Limits::default(), &Context::new()).await
}

async fn root(definition: &Registry, path: &str) -> Result<RawManifest> {
    open(definition, path).await?.root(&Context::new()).await
}

async fn resolved(definition: &Registry, path: &str) -> Result<Vec<Resolved>> {
    let source = open(definition, path).await?;
    resolve(&source, &Platforms::All, &Limits::default(), &Context::new()).await
}

fn layer(image: &BuiltImage) -> Descriptor {
    let blob = &image.layers()[0];
    Descriptor { media_type: String::new(), digest: Digest::of(blob), size: Some(blob.len() as u64), urls: Vec::new() }
}

async fn blob(definition: &Registry, descriptor: &Descriptor) -> Result<Vec<u8>> {
    let source = open(definition, "team/app:1.0").await?;
    // It comes first, as in a scan: the challenge is answered before the blob is asked for.
    source.root(&Context::new()).await?;
    let stream = source.blob(descriptor, &Context::new()).await?;
    stream
        .try_fold(Vec::new(), |mut all, chunk| async move {
            all.extend_from_slice(&chunk);
            Ok(all)
        })
        .await
}

/// Kind, and that there is a hint and no secret.
fn told(error: &Error, kind: Kind) {
    assert_eq!(error.kind(), kind, "{error:?}");
    assert!(error.hint().is_some(), "no hint: {error:?}");
    assert!(!format!("{error:?} {error}").contains(PASSWORD), "{error:?}");
}

/// `step ok, …`
fn steps(check: &Check) -> String {
    let shown = |ok: Option<bool>| ok.map_or_else(|| "null".to_owned(), |ok| ok.to_string());
    check.steps.iter().map(|step| format!("{} {}", step.step, shown(step.ok))).collect::<Vec<_>>().join(", ")
}
