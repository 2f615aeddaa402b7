//! What is imported: archives, files and folders, read one record at a time.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::rc::Rc;

use zip::ZipArchive;
use zip::result::ZipError;

use super::ImportSummary;
use super::gather::Gathered;
use crate::advisory::database::{LARGEST_ENTRY, encode};
use crate::advisory::osv::{self, Parsed};
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::model::event::Event;

/// Folders in folders.
const DEEPEST: usize = 32;
/// How far an archive may expand in all, beyond the first GiB.
const EXPANSION: u64 = 200;
/// The most bytes that are read to find the directory of an archive, which is in memory as a whole: nearly a million records, of which
/// each takes some hundred bytes.
const DIRECTORY: u64 = 64 << 20;
/// How many records pass between two events.
const STEP: u64 = 1000;

/// Reads everything at `path`. An archive is an input of its own, and so are all loose records together.
pub(super) fn read(
    path: &Path,
    context: &Context,
    summary: &mut ImportSummary,
    gathered: &mut Gathered,
    ecosystem: Option<&str>,
) -> Result<()> {
    let mut archives = Vec::new();
    let mut records = Vec::new();
    find(path, 0, &mut archives, &mut records).map_err(|error| error.with("path", path.display()))?;
    let mut reader = Reader { context, summary, gathered, done: 0, buffer: Vec::new() };
    for archive in &archives {
        reader.archive(archive).map_err(|error| error.with("path", archive.display()))?;
        // npm/all.zip, npm.zip
        let names = [archive.parent().and_then(Path::file_name), archive.file_stem()];
        let names: Vec<_> = names.into_iter().flatten().filter_map(|name| name.to_str()).collect();
        reader.gathered.end_input(ecosystem, &names);
    }
    for record in &records {
        context.check()?;
        let file = File::open(record).map_err(|error| Error::from(error).with("path", record.display()))?;
        reader.record(&record.display().to_string(), file, None)?;
    }
    gathered.end_input(ecosystem, &[]);
    Ok(())
}

/// The archives and the records at `path`, sorted by name. What is neither is passed over, unless it was named itself.
fn find(
    path: &Path,
    depth: usize,
    archives: &mut Vec<std::path::PathBuf>,
    records: &mut Vec<std::path::PathBuf>,
) -> Result<()> {
    if std::fs::metadata(path)?.is_dir() {
        if depth > DEEPEST {
            return Err(Error::new(Kind::LimitExceeded, "folders are nested too deeply"));
        }
        let mut entries = std::fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
        entries.sort();
        for entry in entries {
            let wanted = std::fs::symlink_metadata(&entry)?.is_dir() || has_extension(&entry, &["zip", "json"]);
            if wanted && entry.exists() {
                find(&entry, depth + 1, archives, records)?;
            }
        }
        return Ok(());
    }
    if has_extension(path, &["zip"]) {
        archives.push(path.to_owned());
    } else if has_extension(path, &["json"]) || depth > 0 {
        records.push(path.to_owned());
    } else {
        let mut magic = [0; 4];
        match File::open(path)?.read_exact(&mut magic) {
            Ok(()) if magic.starts_with(b"PK") => archives.push(path.to_owned()),
            _ => records.push(path.to_owned()),
        }
    }
    Ok(())
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension().is_some_and(|have| extensions.iter().any(|wanted| have.eq_ignore_ascii_case(wanted)))
}

struct Reader<'a> {
    context: &'a Context,
    summary: &'a mut ImportSummary,
    gathered: &'a mut Gathered,
    done: u64,
    buffer: Vec<u8>,
}

impl Reader<'_> {
    fn archive(&mut self, path: &Path) -> Result<()> {
        let broken = |error: ZipError| {
            Error::new(Kind::Corrupt, "the archive cannot be read").with_hint("download it again").because(error)
        };
        let file = File::open(path)?;
        let mut left = file.metadata()?.len().saturating_mul(EXPANSION).saturating_add(1 << 30);
        let room = Rc::new(Cell::new(DIRECTORY));
        let file = Bounded { file, room: room.clone() };
        let mut archive =
            ZipArchive::new(BufReader::with_capacity(64 << 10, file)).map_err(|error| match room.get() {
                0 => Error::new(Kind::LimitExceeded, "the archive has no directory, or one that is larger than 64 MiB")
                    .with_hint("download it again, from a place that you trust"),
                _ => broken(error),
            })?;
        room.set(u64::MAX);
        let total = archive.len();
        for index in 0..total {
            self.context.check()?;
            // A directory that cannot be read at all is an error above; one entry that cannot is one record less.
            let entry = archive.by_index(index).and_then(|entry| Ok((entry.name()?.into_owned(), entry)));
            let (name, entry) = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.summary.skip(&format!("{}:{index}", path.display()), error.to_string());
                    continue;
                }
            };
            if entry.is_dir() || !name.ends_with(".json") {
                continue;
            }
            let name = format!("{}:{}", path.display(), name.escape_debug());
            self.record(&name, entry, Some(total as u64))?;
            left = left.checked_sub(self.buffer.len() as u64).ok_or_else(|| {
                Error::new(Kind::LimitExceeded, "the archive expands further than any export does")
                    .with_hint("download it again, from a place that you trust")
            })?;
        }
        Ok(())
    }

    /// Reads one record; one that is no use is counted.
    fn record(&mut self, file: &str, reader: impl Read, total: Option<u64>) -> Result<()> {
        self.buffer.clear();
        self.done += 1;
        if let Err(error) = reader.take(osv::LARGEST + 1).read_to_end(&mut self.buffer) {
            self.summary.skip(file, error.to_string());
        } else if self.buffer.len() as u64 > osv::LARGEST {
            self.summary.skip(file, format!("larger than {} MiB", osv::LARGEST >> 20));
        } else {
            match osv::parse(&self.buffer) {
                // Whatever is small as JSON is small in the database.
                Ok(parsed) if self.buffer.len() > LARGEST_ENTRY && is_too_large(&parsed)? => {
                    self.summary.skip(file, format!("what is kept of it is larger than {} KiB", LARGEST_ENTRY >> 10));
                }
                Ok(parsed) => {
                    let ecosystem = parsed.packages.first().map(|(ecosystem, ..)| ecosystem.clone());
                    self.gathered.take(parsed)?;
                    if self.done.is_multiple_of(STEP) {
                        let ecosystem = ecosystem.unwrap_or_default();
                        self.context.emit(Event::AdvisoriesProgress { ecosystem, done: self.done, total });
                    }
                }
                Err(reason) => self.summary.skip(file, reason),
            }
        }
        Ok(())
    }
}

/// Whether the record, or what it says of one package, is larger than the database takes.
fn is_too_large(parsed: &Parsed) -> Result<bool> {
    // A row has the place of its record too, once that is known.
    let most = LARGEST_ENTRY - 16;
    let mut is_too_large = encode(&parsed.record)?.len() > most;
    for (_, _, affected) in &parsed.packages {
        is_too_large |= encode(affected)?.len() > most;
    }
    Ok(is_too_large)
}

/// A file of which only so much is read. Reading on is an error.
struct Bounded {
    file: File,
    room: Rc<Cell<u64>>,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.room.set(self.room.get().saturating_sub(read as u64));
        if self.room.get() == 0 { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(read) }
    }
}

impl Seek for Bounded {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}
