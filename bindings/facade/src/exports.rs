//! Advisories as a folder of OSV exports: compiled into the user's cache folder before the first scan, and anew when a file
//! in the folder is another one.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use tidewaiter::model::digest::Digest;
use tidewaiter::{Context, Error, Kind, Result, engine};

use crate::paths;

/// How the database in a folder is called.
const DATABASE: &str = "advisories.db";
/// Folders in folders, as an import goes.
const DEEPEST: usize = 32;
/// How long to wait for another process that compiles the same folder, before looking again.
const PAUSE: Duration = Duration::from_millis(200);

/// The database that `path` names: the file itself, or the one in the folder.
pub(crate) fn database(path: PathBuf) -> PathBuf {
    if path.is_dir() { path.join(DATABASE) } else { path }
}

/// A folder of exports, and the database that is compiled from it.
#[derive(Clone, Debug)]
pub(crate) struct Exports {
    folder: PathBuf,
    pub(crate) compiled: PathBuf,
    /// What the names of all databases of this folder begin with.
    prefix: String,
}

impl Exports {
    /// The exports in `folder`; none where it is no folder, has a database, or nothing that could be imported.
    ///
    /// The database goes by the names, the sizes and the times of the files: what they hold is not read here.
    pub(crate) fn of(folder: &Path) -> Result<Option<Self>> {
        if !folder.is_dir() || folder.join(DATABASE).exists() {
            return Ok(None);
        }
        let wrong = |error: std::io::Error| Error::from(error).with("path", folder.display());
        let folder = folder.canonicalize().map_err(wrong)?;
        let mut files = Vec::new();
        find(&folder, 0, &mut files).map_err(wrong)?;
        if files.is_empty() {
            return Ok(None);
        }
        files.sort();
        let mut listing = String::new();
        for (path, size, nanoseconds) in files {
            // A string does not refuse to be written to.
            let _ = writeln!(listing, "{path:?} {size} {nanoseconds}");
        }
        let cache = paths::compiled().ok_or_else(|| {
            Error::new(Kind::InvalidInput, "there is no home folder to compile the exports into")
                .with("path", folder.display())
                .with_hint("import them: tidewaiter advisories import DIR --db FILE")
        })?;
        let prefix = format!("{}-", short(folder.as_os_str().as_encoded_bytes()));
        let compiled = cache.join(format!("{prefix}{}.db", short(listing.as_bytes())));
        Ok(Some(Self { folder, compiled, prefix }))
    }

    /// Compiles the exports unless that is done. It blocks, and takes the memory of an import.
    pub(crate) fn compile(&self, context: &Context) -> Result<()> {
        while !self.compiled.exists() {
            match engine::advisories::import(std::slice::from_ref(&self.folder), &self.compiled, context) {
                Ok(_) => self.tidy(),
                Err(error) if error.kind() == Kind::Busy => {
                    context.check()?;
                    std::thread::sleep(PAUSE);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes away what was compiled from the folder when it held other files. Who has it open reads on.
    fn tidy(&self) {
        let Some(entries) = self.compiled.parent().and_then(|cache| std::fs::read_dir(cache).ok()) else { return };
        for path in entries.flatten().map(|entry| entry.path()).filter(|path| *path != self.compiled) {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.starts_with(&self.prefix) && name.ends_with(".db") {
                // One that stays takes up room and does no harm.
                let _ = std::fs::remove_file(path.with_extension("db.lock"));
                let _ = std::fs::remove_file(&path);
            }
        }
    }
}

/// The archives and records below `folder`: path, size, time.
fn find(folder: &Path, depth: usize, files: &mut Vec<(PathBuf, u64, u128)>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            // An import says that it is too deep.
            if depth < DEEPEST {
                find(&path, depth + 1, files)?;
            }
            continue;
        }
        let is_export = path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("zip") || extension.eq_ignore_ascii_case("json"));
        if let (true, Ok(metadata)) = (is_export, path.metadata()) {
            let changed = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            files.push((path, metadata.len(), changed.unwrap_or_default().as_nanos()));
        }
    }
    Ok(())
}

/// Sixteen letters that stand for `bytes`.
fn short(bytes: &[u8]) -> String {
    Digest::of(bytes).as_str().trim_start_matches("sha256:").chars().take(16).collect()
}
