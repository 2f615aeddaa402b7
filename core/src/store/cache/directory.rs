//! Layer results in a folder: one file a layer, written whole or not at all.

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Boxed, LayerCache};
use crate::error::{Error, Kind, Result};
use crate::model::digest::Digest;

/// The first bytes of every file; the number is that of the shape.
const MAGIC: &[u8] = b"tidewaiter layer 1\n";

/// Keeps layer results as files below one folder. Several processes may share it.
#[derive(Clone, Debug)]
pub struct DirectoryCache {
    folder: PathBuf,
}

impl DirectoryCache {
    /// The cache in `folder`, which is made where it is missing.
    ///
    /// # Errors
    /// [`Kind::Storage`] where that is not possible.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self> {
        let folder = folder.into();
        std::fs::create_dir_all(&folder).map_err(|error| storage("the cache folder cannot be made", &folder, error))?;
        Ok(Self { folder })
    }

    /// The folder of a key's file and the file. Keys never become paths: their digests do.
    fn place(&self, key: &str) -> (PathBuf, String) {
        let digest = Digest::of(key.as_bytes());
        let (shelf, rest) = digest.hex().split_at(2);
        (self.folder.join(shelf), rest.to_owned())
    }
}

/// Files are small and the folder is near: they are read and written on the thread of the caller.
impl LayerCache for DirectoryCache {
    fn get<'a>(&'a self, key: &'a str) -> Boxed<'a, Result<Option<Vec<u8>>>> {
        Box::pin(std::future::ready(self.read(key)))
    }

    fn put<'a>(&'a self, key: &'a str, bytes: &'a [u8]) -> Boxed<'a, Result<()>> {
        Box::pin(std::future::ready(self.write(key, bytes)))
    }
}

impl DirectoryCache {
    fn read(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let (shelf, name) = self.place(key);
        let path = shelf.join(name);
        let file = match std::fs::read(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(storage("a stored layer result cannot be read", &path, error)),
        };
        Ok(open(&file).map(<[u8]>::to_vec))
    }

    fn write(&self, key: &str, bytes: &[u8]) -> Result<()> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (shelf, name) = self.place(key);
        let path = shelf.join(name);
        let draft = self.folder.join(format!(".{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        let write = || {
            std::fs::create_dir_all(&shelf)?;
            let mut file = std::fs::File::create(&draft)?;
            file.write_all(MAGIC)?;
            file.write_all(Digest::of(bytes).hex().as_bytes())?;
            file.write_all(bytes)?;
            drop(file);
            std::fs::rename(&draft, &path)
        };
        write().map_err(|error| {
            let _ = std::fs::remove_file(&draft);
            storage("a layer result cannot be stored", &path, error)
        })
    }
}

/// The content of a file, where it is whole.
fn open(file: &[u8]) -> Option<&[u8]> {
    let (hex, bytes) = file.strip_prefix(MAGIC)?.split_at_checked(64)?;
    (Digest::of(bytes).hex().as_bytes() == hex).then_some(bytes)
}

fn storage(message: &'static str, path: &Path, error: std::io::Error) -> Error {
    Error::new(Kind::Storage, message).with("path", path.display()).because(error)
}
