//! The trait that everything that reads files implements: read per layer, resolve per image.

use std::cell::RefCell;
use std::io::BufRead;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::interest::Interest;
use crate::error::{Error, Kind, Result};
use crate::model::inventory::Draft;
use crate::model::limits::Limits;
use crate::model::path;
use crate::model::problem::{Problem, ProblemKind};

/// Finds one kind of package.
///
/// `read` sees one file of one layer and keeps what matters as [`Facts`]: stored by the layer's digest, it runs once however
/// many images share the layer. `resolve` sees all facts of the files that are still there once every layer has been applied,
/// and only there do ownership, the distribution and links meet.
///
/// Both are pure: no disk, no network, no clock, nothing but their arguments. A change of what `read` keeps, or of how
/// `resolve` understands it, needs a new `version`.
pub trait Cataloger: Send + Sync {
    /// A short name that never changes, such as `dpkg`. One of one's own has a prefix: `acme/firmware`.
    fn id(&self) -> &'static str;

    /// Raised whenever the output changes.
    fn version(&self) -> u32;

    /// The files that `read` is called with.
    fn interests(&self) -> &[Interest];

    /// Reads one file of one layer; none if it is not what its name says.
    ///
    /// # Errors
    /// An error becomes a problem of the file, unless it is of the kind [`Kind::Canceled`]. What can be understood in part is
    /// returned, with [`File::problem`] for the rest.
    fn read(&self, file: &mut File<'_>) -> Result<Option<Facts>>;

    /// Turns the facts of all visible files into packages.
    ///
    /// # Errors
    /// An error becomes a problem of the image.
    fn resolve(&self, view: &View<'_>, draft: &mut Draft) -> Result<()>;
}

#[deny(clippy::missing_trait_methods)]
impl<T: Cataloger + ?Sized> Cataloger for &T {
    fn id(&self) -> &'static str {
        (**self).id()
    }

    fn version(&self) -> u32 {
        (**self).version()
    }

    fn interests(&self) -> &[Interest] {
        (**self).interests()
    }

    fn read(&self, file: &mut File<'_>) -> Result<Option<Facts>> {
        (**self).read(file)
    }

    fn resolve(&self, view: &View<'_>, draft: &mut Draft) -> Result<()> {
        (**self).resolve(view, draft)
    }
}

/// What a cataloger keeps of one file: bytes that only it understands. A clone shares them.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Those of many files: most have few bytes, and one allocation each would take more than they do.
    all: Arc<Vec<u8>>,
    start: u32,
    length: u32,
}

impl PartialEq for Facts {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Facts {}

impl Facts {
    /// Encodes `value` compactly (postcard).
    ///
    /// # Errors
    /// [`Kind::Internal`] for a value that cannot be encoded.
    pub fn encode(value: &impl Serialize) -> Result<Self> {
        let bytes = postcard::to_allocvec(value)
            .map_err(|error| Error::new(Kind::Internal, "facts cannot be encoded").because(error))?;
        Ok(Self::of_bytes(bytes))
    }

    /// The bytes of memory that they take.
    pub fn memory(&self) -> usize {
        self.length as usize
    }

    /// Facts that are encoded already.
    pub(super) fn of_bytes(bytes: Vec<u8>) -> Self {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        Self::part_of(&Arc::new(bytes), 0, length)
    }

    /// So many bytes from `start`.
    pub(super) fn part_of(all: &Arc<Vec<u8>>, start: u32, length: u32) -> Self {
        Self { all: all.clone(), start, length }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        let start = self.start as usize;
        self.all.get(start..start + self.length as usize).unwrap_or_default()
    }
}

/// One file of one layer, as `read` sees it.
pub struct File<'a> {
    path: &'a str,
    mode: u32,
    size: u64,
    content: Content<'a>,
    surroundings: Surroundings<'a>,
    problems: &'a mut Vec<Problem>,
    again: Option<Vec<u8>>,
}

/// What a [`File`] can be asked besides its content.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    /// Whether any cataloger wants a file at this path.
    pub(crate) is_wanted: &'a dyn Fn(&str) -> bool,
    pub(crate) limits: &'a Limits,
    /// In a second look, what the first one noted.
    pub(crate) note: Option<&'a [u8]>,
}

/// The bytes of a [`File`].
pub(crate) enum Content<'a> {
    Whole(&'a [u8]),
    Stream(&'a mut dyn BufRead),
}

impl<'a> File<'a> {
    pub(crate) fn new(
        path: &'a str,
        mode: u32,
        size: u64,
        content: Content<'a>,
        surroundings: Surroundings<'a>,
        problems: &'a mut Vec<Problem>,
    ) -> Self {
        Self { path, mode, size, content, surroundings, problems, again: None }
    }

    /// The path in the image, without a leading slash; what is not UTF-8 is escaped.
    pub fn path(&self) -> &'a str {
        self.path
    }

    /// The permission bits.
    pub fn mode(&self) -> u32 {
        self.mode
    }

    /// The size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The whole file. Only for an interest with [`Take::Whole`](super::Take::Whole).
    ///
    /// # Errors
    /// [`Kind::Internal`] for a file that was asked for as a stream.
    pub fn bytes(&self) -> Result<&'a [u8]> {
        match &self.content {
            Content::Whole(bytes) => Ok(bytes),
            Content::Stream(_) => Err(Error::new(Kind::Internal, "this file was asked for as a stream")),
        }
    }

    /// The file as it streams by; a whole file can be read so too. What is left over is skipped.
    pub fn reader(&mut self) -> &mut dyn BufRead {
        match &mut self.content {
            Content::Whole(bytes) => bytes,
            Content::Stream(reader) => reader,
        }
    }

    /// Whether any cataloger wants a file at this path: what an OS package owns matters only there.
    pub fn is_wanted(&self, path: &str) -> bool {
        (self.surroundings.is_wanted)(path)
    }

    /// The limits of the scan.
    pub fn limits(&self) -> &'a Limits {
        self.surroundings.limits
    }

    /// Asks to see this file a second time, since one pass cannot do: the layer is fetched once more, and `read` is called with
    /// [`File::note`] answering `note`. What the second look returns takes the place of what this one returns.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] where this is the second look already; there is no third.
    pub fn look_again(&mut self, note: &impl Serialize) -> Result<()> {
        if self.surroundings.note.is_some() {
            return Err(Error::new(Kind::Corrupt, "the file cannot be understood in two passes"));
        }
        let bytes = postcard::to_allocvec(note)
            .map_err(|error| Error::new(Kind::Internal, "a note cannot be encoded").because(error))?;
        self.again = Some(bytes);
        Ok(())
    }

    /// What the first look at this file noted; none in the first look.
    ///
    /// # Errors
    /// [`Kind::Internal`] for a note of another type.
    pub fn note<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        let decode = |note| {
            postcard::from_bytes(note)
                .map_err(|error| Error::new(Kind::Internal, "a note cannot be decoded").because(error))
        };
        self.surroundings.note.map(decode).transpose()
    }

    /// The note of [`File::look_again`], where it was called.
    pub(crate) fn into_again(self) -> Option<Vec<u8>> {
        self.again
    }

    /// Reports something about this file that is not as it should be; the rest of it still counts.
    pub fn problem(&mut self, problem: Problem) {
        self.problems.push(problem.at(self.path));
    }

    /// Reports an error about this file, and lets what was read of it count.
    ///
    /// # Errors
    /// One that comes from outside, such as [`Kind::Canceled`] or [`Kind::Unavailable`], stays an error.
    pub fn error(&mut self, error: Error) -> Result<()> {
        self.problem(problem_of(error)?);
        Ok(())
    }
}

/// Calls what may be a cataloger of somebody else, and so may panic: then that is an error, and all the rest still counts.
///
/// # Errors
/// Those of `call`; [`Kind::Internal`] when it panics.
pub(crate) fn guarded<T, E: From<Error>>(call: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let panicked = |_| Err(Error::new(Kind::Internal, "a cataloger panicked").into());
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).unwrap_or_else(panicked)
}

/// A cataloger's error as a problem; what comes from outside stays an error.
pub(super) fn problem_of(error: Error) -> Result<Problem> {
    let kind = match error.kind() {
        Kind::LimitExceeded => ProblemKind::LimitExceeded,
        Kind::Unsupported => ProblemKind::Unsupported,
        Kind::Canceled | Kind::Unavailable | Kind::Unauthenticated | Kind::PermissionDenied | Kind::RateLimited => {
            return Err(error);
        }
        _ => ProblemKind::Corrupt,
    };
    Ok(Problem::new(kind, error.to_string()))
}

/// The image after the overlay, as one cataloger sees it.
pub struct View<'a> {
    files: &'a [VisibleFile],
    /// Where a directory lies.
    directories: &'a dyn Fn(&[u8]) -> Vec<u8>,
    /// The directory that was asked for last, and where it lies: lists name the files of one directory one behind another.
    last: RefCell<(Vec<u8>, Vec<u8>)>,
}

impl<'a> View<'a> {
    /// `files` are sorted by path; `directories` resolves the links of a clean path.
    pub(crate) fn new(files: &'a [VisibleFile], directories: &'a dyn Fn(&[u8]) -> Vec<u8>) -> Self {
        Self { files, directories, last: RefCell::default() }
    }

    /// The files that this cataloger read and that are still there, sorted by path.
    pub fn files(&self) -> &'a [VisibleFile] {
        self.files
    }

    /// The file at `path`, where it is one of [`View::files`].
    pub fn file(&self, path: &str) -> Option<&'a VisibleFile> {
        let index = self.files.binary_search_by(|file| file.path().cmp(path)).ok()?;
        self.files.get(index)
    }

    /// The path without a leading slash and with the links of its directories resolved: `/lib/x` is `usr/lib/x` where `lib`
    /// is a link to `usr/lib`.
    pub fn real_path(&self, path: &str) -> String {
        let cleaned = path::clean(path.as_bytes());
        let (directory, name) = path::split(&cleaned);
        let mut last = self.last.borrow_mut();
        if last.0 != directory {
            *last = (directory.to_vec(), (self.directories)(directory));
        }
        path::show(&path::join(&last.1, name)).into_owned()
    }
}

/// A file that is still there after the overlay, with what its cataloger keeps of it.
#[derive(Clone, Debug)]
pub struct VisibleFile {
    /// The paths of many files.
    paths: Arc<String>,
    start: u32,
    length: u32,
    /// The layer that brought it, by its index from the base.
    pub layer: u32,
    pub(super) facts: Facts,
}

impl VisibleFile {
    pub(crate) fn new(path: &str, layer: u32, facts: Facts) -> Self {
        let length = u32::try_from(path.len()).unwrap_or(u32::MAX);
        Self::among(&Arc::new(path.to_owned()), 0, length, layer, facts)
    }

    /// The file whose path has so many bytes of `paths`, from `start`.
    pub(super) fn among(paths: &Arc<String>, start: u32, length: u32, layer: u32, facts: Facts) -> Self {
        Self { paths: paths.clone(), start, length, layer, facts }
    }

    /// Where it is found: its own path, or that of a link that leads to it.
    pub fn path(&self) -> &str {
        let start = self.start as usize;
        self.paths.get(start..start + self.length as usize).unwrap_or_default()
    }

    /// The facts, decoded.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] for stored facts of another cataloger or version.
    pub fn facts<T: DeserializeOwned>(&self) -> Result<T> {
        postcard::from_bytes(self.facts.as_bytes()).map_err(|error| {
            Error::new(Kind::Corrupt, "stored facts cannot be decoded").with("path", self.path()).because(error)
        })
    }
}
