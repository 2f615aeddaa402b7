//! The database: one immutable file, read by position.
//!
//! ```text
//! header    magic, format, generation, length of the file, where the sections are, digests
//! records   blocks of one record each
//! rows      chains of blocks, one chain a package: which records concern it, and how
//! index     sorted keys: ecosystem, NUL, name -> the first block of the package's chain
//! contents  when it was built, and what it holds by ecosystem
//! ```
//!
//! The header, the index and the contents are read and verified on opening; they are small. A block is read when it is
//! asked for. Its checksum covers the generation and its place, so a file that was cut short, damaged, or overwritten
//! while it is open gives an error and never another file's rows. The file is not mapped into memory: a map counts as
//! memory page by page, and kills the host when somebody cuts the file.
//!
//! The digests find damage; they do not stop who writes a file on purpose. So nothing in it is trusted: every place and
//! length is held against the file before it is used, and every walk goes forward only, each block read once.

mod format;
mod index;
mod read;
#[cfg(any(test, feature = "fuzzing"))]
mod sealed;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use format::{Contents, Holding, LARGEST_CONTENTS, LARGEST_ENTRY};
pub use read::Advisories;
#[cfg(feature = "fuzzing")]
pub(crate) use sealed::seal;
pub(crate) use write::{Replacement, Writer, encode};
