//! Advisories on their way from the exports of osv.dev, or from files, into the database.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::advisory::{ImportOptions, ImportSummary};
use crate::context::Context;
use crate::error::Result;

#[cfg(feature = "net")]
pub use fetch::{BASE_URL, update};

/// Puts the records of `paths` into the database, built now; see [`crate::advisory::import()`]. It blocks.
///
/// # Errors
/// As [`crate::advisory::import()`].
pub fn import(paths: &[PathBuf], database: &Path, context: &Context) -> Result<ImportSummary> {
    crate::advisory::import(paths, database, &ImportOptions::new(now()), context)
}

/// The time, in seconds (RFC 3339).
fn now() -> String {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}

#[cfg(feature = "net")]
mod fetch {
    use std::collections::BTreeSet;
    use std::ffi::OsString;
    use std::fs::{File, TryLockError};
    use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
    use std::path::{Path, PathBuf};

    use url::Url;

    use super::now;
    use crate::advisory::import::{EcosystemSummary, Export};
    use crate::advisory::{Advisories, ImportOptions, ImportSummary};
    use crate::context::Context;
    use crate::error::{Error, Kind, Result};
    use crate::model::ecosystem;
    use crate::model::event::Event;
    use crate::net::client::{Client, Options, Response};

    /// Where osv.dev publishes its exports, one `all.zip` an ecosystem.
    pub const BASE_URL: &str = "https://osv-vulnerabilities.storage.googleapis.com";

    /// The largest export that is taken, in bytes. The largest there is, npm's, has some hundred MiB.
    const LARGEST: u64 = 8 << 30;
    /// How many bytes pass between two events.
    const STEP: u64 = 1 << 20;

    /// Fetches the exports of `ecosystems` (a release is left aside; none means all that the database holds) and imports
    /// them. What did not change since the last time is not fetched, and a download that was broken off goes on where it
    /// ended. `base_url` is where the exports lie, [`BASE_URL`] if there is none.
    ///
    /// # Errors
    /// [`Kind::NotFound`] for an ecosystem that is not published there, [`Kind::InvalidInput`] without any ecosystem,
    /// [`Kind::Busy`] while another update fetches the same one, those of [`Client::get`], and those of
    /// [`crate::advisory::import()`]. The database is as it was after any of them.
    pub async fn update(
        ecosystems: &[String],
        base_url: Option<&str>,
        database: &Path,
        context: &Context,
    ) -> Result<ImportSummary> {
        let before = match Advisories::open(database) {
            Ok(before) => Some(before),
            Err(error) if error.kind() == Kind::NotFound => None,
            Err(error) => return Err(error),
        };
        let named: BTreeSet<&str> = ecosystems.iter().map(|name| ecosystem::base(name.trim())).collect();
        let held = before.iter().flat_map(Advisories::ecosystems).filter(|_| named.is_empty());
        let wanted: BTreeSet<&str> = named.iter().copied().chain(held).collect();
        if wanted.is_empty() || wanted.contains("") {
            return Err(Error::new(Kind::InvalidInput, "no ecosystem was named, and the database holds none yet")
                .with_hint("name the ecosystems, such as `tidewaiter advisories update Debian PyPI npm`"));
        }
        let client = Client::new(&Options::default())?;
        let mut options = ImportOptions::new(now());
        let mut unchanged = Vec::new();
        // Their locks are held until everything is imported.
        let mut parts = Vec::new();
        for ecosystem in &wanted {
            let known = before.as_ref().and_then(|before| before.etag(ecosystem));
            let mut part = Part::open(database, ecosystem)?;
            let url = address(base_url.unwrap_or(BASE_URL), ecosystem)?;
            let changed = part.fetch(&client, &url, known, context).await;
            if changed.map_err(|error| error.with("ecosystem", ecosystem))? {
                let export = Export { ecosystem: (*ecosystem).to_owned(), etag: part.etag.clone() };
                options.exports.insert(part.path.clone(), export);
                parts.push(part);
            } else {
                part.remove();
                unchanged.push((*ecosystem).to_owned());
            }
        }
        let mut summary = ImportSummary::default();
        if !options.exports.is_empty() {
            let (database, context) = (database.to_owned(), context.clone());
            let work = move || {
                let paths: Vec<_> = options.exports.keys().cloned().collect();
                let imported = crate::advisory::import(&paths, &database, &options, &context);
                // A file that could not be used must not be what the next update goes on from.
                if !matches!(&imported, Err(error) if matches!(error.kind(), Kind::Canceled | Kind::Busy | Kind::Storage))
                {
                    for path in &paths {
                        remove(path);
                    }
                }
                imported
            };
            let ended =
                |error: tokio::task::JoinError| Error::new(Kind::Internal, "the import ended early").because(error);
            summary = tokio::task::spawn_blocking(work).await.map_err(ended)??;
        }
        drop(parts);
        let held = before.map(|before| before.provenance().ecosystems).unwrap_or_default();
        for (ecosystem, held) in held.into_iter().filter(|(ecosystem, _)| unchanged.contains(ecosystem)) {
            let same = EcosystemSummary { records: held.records, newest: held.newest, unchanged: true };
            summary.ecosystems.insert(ecosystem, same);
        }
        Ok(summary)
    }

    /// The address of an export.
    fn address(base_url: &str, ecosystem: &str) -> Result<Url> {
        let wrong = || {
            Error::new(Kind::InvalidInput, "this is not the address of a folder of exports")
                .with("field", "base-url")
                .with_hint("the exports lie at <base>/<ecosystem>/all.zip")
        };
        let mut url = Url::parse(base_url).map_err(|error| wrong().because(error))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong());
        }
        url.path_segments_mut().map_err(|()| wrong())?.pop_if_empty().extend([ecosystem, "all.zip"]);
        Ok(url)
    }

    /// A download beside the database. The lock on it is held as long as it lives.
    struct Part {
        path: PathBuf,
        file: File,
        length: u64,
        etag: Option<String>,
        ecosystem: String,
    }

    impl Part {
        fn open(database: &Path, ecosystem: &str) -> Result<Self> {
            let plain = |letter: char| if letter.is_ascii_alphanumeric() || letter == '.' { letter } else { '-' };
            let mut name = database.file_name().map(OsString::from).unwrap_or_default();
            name.push(format!(".{}.part", ecosystem.chars().map(plain).collect::<String>()));
            let path = database.with_file_name(name);
            if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                std::fs::create_dir_all(folder).map_err(|error| storage(folder, error))?;
            }
            let file = File::options().create(true).truncate(false).read(true).write(true).open(&path);
            let file = file.map_err(|error| storage(&path, error))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::new(Kind::Busy, "another update fetches this ecosystem")
                        .with("ecosystem", ecosystem)
                        .with_hint("wait until it is done"));
                }
                Err(TryLockError::Error(error)) => return Err(storage(&path, error)),
            }
            let etag = std::fs::read_to_string(etag_path(&path)).ok();
            let length = file.metadata().map_err(|error| storage(&path, error))?.len();
            Ok(Self { path, file, length, etag, ecosystem: ecosystem.to_owned() })
        }

        /// Fetches what is missing; false when the database has this export already. A broken connection is taken up again
        /// as long as every attempt brings something.
        async fn fetch(&mut self, client: &Client, url: &Url, known: Option<&str>, context: &Context) -> Result<bool> {
            let policy = client.retry();
            let mut attempt = 1;
            loop {
                let before = self.length;
                match self.attempt(client, url, known, context).await {
                    Ok(changed) => {
                        if changed {
                            self.check()?;
                        }
                        return Ok(changed);
                    }
                    Err(error) => {
                        attempt = if self.length > before { 1 } else { attempt + 1 };
                        policy.wait(error, None, attempt, context).await?;
                    }
                }
            }
        }

        async fn attempt(
            &mut self,
            client: &Client,
            url: &Url,
            known: Option<&str>,
            context: &Context,
        ) -> Result<bool> {
            // Only a strong tag promises the same bytes (RFC 9110, section 13.1.5).
            let tag = self.etag.clone().filter(|tag| self.length > 0 && !tag.starts_with("W/"));
            let range = format!("bytes={}-", self.length);
            let mut headers = Vec::new();
            match (&tag, known) {
                (Some(tag), _) => headers.extend([("range", range.as_str()), ("if-range", tag.as_str())]),
                (None, Some(known)) => headers.push(("if-none-match", known)),
                (None, None) => {}
            }
            let response = client.get(url.as_str(), &headers, context).await?;
            match response.status() {
                304 if tag.is_none() => return Ok(false),
                // All of it is here already.
                416 if tag.is_some() && total(&response) == Some(self.length) => return Ok(true),
                416 if tag.is_some() => {
                    self.restart(None)?;
                    return Err(Error::new(Kind::Unavailable, "the export changed while it was fetched"));
                }
                206 if tag.is_some() && begins_at(&response, self.length) => {}
                200 => self.restart(response.header("etag").map(str::to_owned))?,
                404 => {
                    return Err(Error::new(Kind::NotFound, "no such ecosystem is published there")
                        .with_hint("ecosystems are written as OSV does: Debian, PyPI, npm, crates.io, Rocky Linux"));
                }
                _ => return Err(response.success(context).await.err().unwrap_or_else(unexpected)),
            }
            self.body(response, context).await?;
            Ok(true)
        }

        async fn body(&mut self, mut response: Response, context: &Context) -> Result<()> {
            let total = response.content_length().map(|rest| rest + self.length);
            let mut told = self.length;
            self.file.seek(SeekFrom::Start(self.length)).map_err(|error| storage(&self.path, error))?;
            while let Some(chunk) = response.chunk(context).await? {
                self.file.write_all(&chunk).map_err(|error| storage(&self.path, error))?;
                self.length += chunk.len() as u64;
                if self.length > LARGEST {
                    return Err(Error::new(Kind::LimitExceeded, "the export is larger than 8 GiB"));
                }
                if self.length - told >= STEP {
                    told = self.length;
                    let ecosystem = self.ecosystem.clone();
                    context.emit(Event::AdvisoriesProgress { ecosystem, done: self.length, total });
                }
            }
            if total.is_some_and(|total| total != self.length) {
                return Err(Error::new(Kind::Unavailable, "the answer ended early"));
            }
            Ok(())
        }

        /// Begins again from nothing, with the tag of what comes now.
        fn restart(&mut self, etag: Option<String>) -> Result<()> {
            let begin = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
            begin.map_err(|error| storage(&self.path, error))?;
            self.length = 0;
            let tag_path = etag_path(&self.path);
            match &etag {
                Some(etag) => std::fs::write(&tag_path, etag).map_err(|error| storage(&tag_path, error))?,
                // There may be none.
                None => drop(std::fs::remove_file(&tag_path)),
            }
            self.etag = etag;
            Ok(())
        }

        /// Whether it is an archive at all: a proxy's page is not kept.
        fn check(&mut self) -> Result<()> {
            let mut magic = [0; 2];
            let read = self.file.seek(SeekFrom::Start(0)).and_then(|_| self.file.read_exact(&mut magic));
            if read.is_ok() && magic == *b"PK" {
                return Ok(());
            }
            self.remove();
            Err(Error::new(Kind::Corrupt, "what was fetched is not an archive of advisories")
                .with_hint("check the base URL, and what answers in between"))
        }

        fn remove(&self) {
            remove(&self.path);
        }
    }

    impl Drop for Part {
        /// Nothing came of it: there is nothing that a later one could go on from.
        fn drop(&mut self) {
            if self.length == 0 {
                self.remove();
            }
        }
    }

    fn etag_path(part: &Path) -> PathBuf {
        part.with_extension("part-etag")
    }

    /// Takes a download away; one that cannot be taken away does no harm.
    fn remove(part: &Path) {
        drop(std::fs::remove_file(part));
        drop(std::fs::remove_file(etag_path(part)));
    }

    /// Whether a partial answer begins where we ended: `Content-Range: bytes 100-199/200`.
    fn begins_at(response: &Response, offset: u64) -> bool {
        let range = response.header("content-range").and_then(|range| range.strip_prefix("bytes "));
        range.and_then(|range| range.split('-').next()).and_then(|start| start.parse().ok()) == Some(offset)
    }

    /// The length of the whole in `Content-Range: bytes */200`.
    fn total(response: &Response) -> Option<u64> {
        response.header("content-range")?.rsplit('/').next()?.parse().ok()
    }

    fn unexpected() -> Error {
        Error::new(Kind::Unavailable, "the server answered with something that was not asked for")
    }

    fn storage(path: &Path, error: std::io::Error) -> Error {
        Error::new(Kind::Storage, "the download cannot be written").with("path", path.display()).because(error)
    }
}
