//! What catalogers want to see of a layer, compiled into one table that decides for every entry.

use std::sync::Arc;

use globset::{GlobBuilder, GlobMatcher, GlobSet, GlobSetBuilder};

use super::cataloger::Cataloger;
use crate::error::{Error, Kind, Result};

/// How a file is handed to a cataloger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Take {
    /// As one slice; a file above the limit `file` is a problem instead.
    Whole,
    /// As a reader, whatever its size. Only one cataloger, the first of the list, gets the stream of a file; where the file
    /// fits into the limit `file` and another wants it whole, all get it.
    Stream,
}

/// A reason to look at a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interest {
    /// The path matches a glob: `*` and `?` within a component, `**` across, `{a,b}`; relative to the root.
    Path(&'static str, Take),
    /// The content starts with these bytes, 1 to 16 of them.
    Magic(&'static [u8], Take),
    /// The file may be executed by somebody.
    Executable(Take),
}

impl Interest {
    /// How the file is handed over.
    pub fn take(&self) -> Take {
        match self {
            Self::Path(_, take) | Self::Magic(_, take) | Self::Executable(take) => *take,
        }
    }
}

/// The most bytes that a magic number has.
pub(super) const MAGIC: usize = 16;

/// The interests of a list of catalogers. A cataloger is named by its place in the list.
pub struct InterestTable {
    /// How many catalogers there are.
    catalogers: usize,
    globs: GlobSet,
    by_glob: Vec<(u16, Take)>,
    magics: Vec<(u16, &'static [u8], Take)>,
    executables: Vec<(u16, Take)>,
    anchors: Vec<Anchor>,
}

/// A pattern that starts with a fixed directory, which may turn out to be a link.
pub(super) struct Anchor {
    pub(super) cataloger: u16,
    /// The fixed directory, such as `var/lib/dpkg`.
    pub(super) directory: &'static str,
    /// What is matched below it.
    pub(super) rest: GlobMatcher,
}

impl InterestTable {
    /// Compiles the interests of `catalogers`.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for a glob or a magic number that cannot be.
    pub fn new(catalogers: &[Arc<dyn Cataloger>]) -> Result<Self> {
        let mut globs = GlobSetBuilder::new();
        let mut table = Self {
            catalogers: catalogers.len(),
            globs: GlobSet::empty(),
            by_glob: Vec::new(),
            magics: Vec::new(),
            executables: Vec::new(),
            anchors: Vec::new(),
        };
        for (cataloger, index) in catalogers.iter().zip(0u16..) {
            let wrong =
                |message: &'static str| Error::new(Kind::InvalidInput, message).with("cataloger", cataloger.id());
            let glob = |pattern: &str| {
                GlobBuilder::new(pattern)
                    .literal_separator(true)
                    .build()
                    .map_err(|error| wrong("a path pattern is not a glob").because(error))
            };
            for interest in cataloger.interests() {
                match *interest {
                    Interest::Path(pattern, take) => {
                        globs.add(glob(pattern)?);
                        table.by_glob.push((index, take));
                        let fixed = pattern.find(['*', '?', '{', '[']).unwrap_or(pattern.len());
                        if let Some((directory, _)) = pattern.get(..fixed).and_then(|fixed| fixed.rsplit_once('/')) {
                            let rest = pattern.get(directory.len() + 1..).unwrap_or_default();
                            table.anchors.push(Anchor {
                                cataloger: index,
                                directory,
                                rest: glob(rest)?.compile_matcher(),
                            });
                        }
                    }
                    Interest::Magic(magic, take) => {
                        if magic.is_empty() || magic.len() > MAGIC {
                            return Err(wrong("a magic number has 1 to 16 bytes"));
                        }
                        table.magics.push((index, magic, take));
                    }
                    Interest::Executable(take) => table.executables.push((index, take)),
                }
            }
        }
        table.globs = globs.build().map_err(|error| {
            Error::new(Kind::InvalidInput, "the path patterns of the catalogers are too large").because(error)
        })?;
        Ok(table)
    }

    /// How many catalogers there are.
    pub(super) fn catalogers(&self) -> usize {
        self.catalogers
    }

    /// Whether any cataloger wants a file at `path`, whatever it holds, or may want it for what it holds: then only the content
    /// could tell, and a path that is named as programs are counts as wanted.
    pub fn wants_path(&self, path: &str) -> bool {
        self.globs.is_match(path) || (self.looks_at_content() && is_like_a_program(path))
    }

    /// Whether `cataloger` wants a file at `path`, or looks at content wherever it lies.
    pub(super) fn accepts(&self, cataloger: u16, path: &str) -> bool {
        self.magics.iter().any(|(index, ..)| *index == cataloger)
            || self.executables.iter().any(|(index, _)| *index == cataloger)
            || self.catalogers_of(path).contains(&cataloger)
    }

    /// The catalogers that want a file at `path`, whatever it holds.
    pub(super) fn catalogers_of(&self, path: &str) -> Vec<u16> {
        let mut wanted: Vec<u16> = self
            .globs
            .matches(path)
            .iter()
            .filter_map(|glob| self.by_glob.get(*glob))
            .map(|(index, _)| *index)
            .collect();
        wanted.sort_unstable();
        wanted.dedup();
        wanted
    }

    /// Who wants this file: each cataloger once, in the order of the list, whole before stream.
    pub(super) fn takers(
        &self,
        path: &str,
        mode: u32,
        head: &[u8],
        matches: &mut Vec<usize>,
        takers: &mut Vec<(u16, Take)>,
    ) {
        takers.clear();
        self.globs.matches_into(path, matches);
        takers.extend(matches.iter().filter_map(|glob| self.by_glob.get(*glob)).copied());
        takers.extend(
            self.magics.iter().filter(|(_, magic, _)| head.starts_with(magic)).map(|(index, _, take)| (*index, *take)),
        );
        if mode & 0o111 != 0 {
            takers.extend(&self.executables);
        }
        takers.sort_unstable_by_key(|(index, take)| (*index, *take == Take::Stream));
        takers.dedup_by_key(|(index, _)| *index);
    }

    /// Whether the first bytes of files matter.
    pub(super) fn looks_at_content(&self) -> bool {
        !self.magics.is_empty()
    }

    pub(super) fn anchors(&self) -> &[Anchor] {
        &self.anchors
    }
}

/// Whether programs and libraries have names like this. Of the files of a distribution one in ten does.
fn is_like_a_program(path: &str) -> bool {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let folder_name = folder.rsplit('/').next().unwrap_or_default();
    let is_elsewhere =
        ["etc/", "usr/share/", "usr/include/", "usr/src/", "var/"].iter().any(|start| path.starts_with(start));
    let is_like_a_library = name.ends_with(".so") || name.contains(".so.");
    matches!(folder_name, "bin" | "sbin" | "libexec") || (!is_elsewhere && (is_like_a_library || !name.contains('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_and_libraries_have_their_names() {
        for (path, expected) in [
            ("usr/bin/python3.12", true),
            ("usr/lib/firefox/firefox", true),
            ("usr/lib/librsvg-2.so.2.58.0", true),
            ("usr/lib/python3.12/lib-dynload/_ssl.cpython-312-x86_64-linux-gnu.so", true),
            ("usr/lib/python3.12/ssl.py", false),
            ("etc/passwd", false),
            ("usr/share/doc/libc6/copyright", false),
        ] {
            assert_eq!(is_like_a_program(path), expected, "{path}");
        }
    }
}
