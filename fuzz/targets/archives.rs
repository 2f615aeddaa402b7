//! A file as an OCI archive and as what docker saves; a folder whose index it is. Whatever opens is read to its end.
#![no_main]

use std::cell::RefCell;
use std::path::Path;

use futures_util::StreamExt as _;
use libfuzzer_sys::fuzz_target;
use tidewaiter::source::{DockerArchive, ImageSource, OciArchive, OciLayout, Platforms, resolve};
use tidewaiter::{Context, Limits};

thread_local! {
    static RUNTIME: RefCell<tokio::runtime::Runtime> =
        RefCell::new(tokio::runtime::Builder::new_current_thread().build().unwrap());
    static FOLDER: tempfile::TempDir = tempfile::tempdir().unwrap();
}

async fn read(source: &dyn ImageSource, limits: &Limits, context: &Context) {
    for found in resolve(source, &Platforms::All, limits, context).await.unwrap_or_default() {
        for (layer, _) in &found.image.layers {
            let Ok(mut blob) = source.blob(layer, context).await else { continue };
            while let Some(Ok(piece)) = blob.next().await {
                assert!(!piece.is_empty() && piece.len() <= 1 << 20);
            }
        }
    }
}

async fn every_form(folder: &Path) {
    let mut limits = Limits::default();
    limits.layer = 8 << 20;
    let context = Context::new();
    let file = folder.join("index.json");
    if let Ok(source) = OciArchive::open(&file, &limits, &context).await {
        read(&source, &limits, &context).await;
    }
    if let Ok(source) = DockerArchive::open(&file, &limits, &context).await {
        read(&source, &limits, &context).await;
    }
    if let Ok(source) = OciLayout::open(folder, &limits) {
        read(&source, &limits, &context).await;
    }
}

fuzz_target!(|input: &[u8]| {
    FOLDER.with(|folder| {
        std::fs::write(folder.path().join("index.json"), input).unwrap();
        RUNTIME.with_borrow(|runtime| runtime.block_on(every_form(folder.path())));
    });
});
