//! The header of one installed package, as every form of the database has it (rpm sources: `docs/manual/format_header.md`): a
//! table of tags, and behind it their values.

use crate::model::path::show;

/// The most tags of a header; rpm itself takes no more.
const TAGS: usize = 65_535;
/// The most bytes of a value that is kept.
const VALUE: usize = 512;
/// The most bytes of a path, as Linux has it. A longer directory would be copied for every one of its files.
const PATH: usize = 4096;
/// The most directories of a package.
const DIRECTORIES: usize = 1 << 16;
/// What a file takes of the room that the files of a package have, besides its path: four bytes for each byte of the header, and
/// some. A real header has times, sizes and digests of each file, and takes a quarter of its room at the most; one that was made
/// for it could name a million files in a few bytes each.
const FILE: usize = 64;
const ROOM: usize = 1 << 20;

const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const VENDOR: u32 = 1011;
const LICENSE: u32 = 1014;
const ARCHITECTURE: u32 = 1022;
const OLD_FILE_NAMES: u32 = 1027;
const SOURCE_RPM: u32 = 1044;
const DIRECTORY_INDEXES: u32 = 1116;
const BASE_NAMES: u32 = 1117;
const DIRECTORY_NAMES: u32 = 1118;
const MODULE: u32 = 5096;

const INT32: u32 = 4;

/// A header, whole or only its first part.
pub(super) struct Header<'a> {
    table: &'a [u8],
    values: &'a [u8],
}

impl<'a> Header<'a> {
    /// Takes a header apart; none for what is none. Of one that was cut, the values are there that still are.
    pub(super) fn new(bytes: &'a [u8]) -> Option<Self> {
        let (tags, length) = (number(bytes, 0)? as usize, number(bytes, 4)? as usize);
        if tags == 0 || tags > TAGS {
            return None;
        }
        let (table, values) = bytes.get(8..)?.split_at_checked(tags * 16)?;
        Some(Self { table, values: values.get(..length).unwrap_or(values) })
    }

    /// The kind, the place and the count of a tag's value.
    fn entry(&self, tag: u32) -> Option<(u32, usize, usize)> {
        let row = self.table.chunks_exact(16).find(|row| number(row, 0) == Some(tag))?;
        Some((number(row, 4)?, number(row, 8)? as usize, number(row, 12)? as usize))
    }

    /// A text; empty where there is none.
    fn text(&self, tag: u32) -> String {
        let value = self.entry(tag).and_then(|(_, place, _)| self.strings_from(place)).and_then(|mut all| all.next());
        value.map(|value| show(value.get(..VALUE).unwrap_or(value)).into_owned()).unwrap_or_default()
    }

    fn int(&self, tag: u32) -> Option<u32> {
        let (kind, place, count) = self.entry(tag)?;
        (kind == INT32 && count > 0).then(|| number(self.values, place))?
    }

    /// Texts one behind another; one without an end is none.
    fn strings_from(&self, place: usize) -> Option<impl Iterator<Item = &'a [u8]> + use<'a>> {
        let mut rest = self.values.get(place..)?;
        Some(std::iter::from_fn(move || {
            let end = memchr::memchr(0, rest)?;
            let (text, after) = rest.split_at_checked(end)?;
            rest = after.get(1..).unwrap_or_default();
            Some(text)
        }))
    }

    fn strings(&self, tag: u32) -> Option<impl Iterator<Item = &'a [u8]> + use<'a>> {
        let (_, place, count) = self.entry(tag)?;
        Some(self.strings_from(place)?.take(count))
    }

    /// The fields that name the package; none without a name and a version.
    pub(super) fn package(&self) -> Option<Package> {
        let (name, version, release) = (self.text(NAME), self.text(VERSION), self.text(RELEASE));
        let epoch = self.int(EPOCH).map(|epoch| format!("{epoch}:")).unwrap_or_default();
        let is_named = !name.is_empty() && !version.is_empty();
        is_named.then(|| Package {
            version: if release.is_empty() {
                format!("{epoch}{version}")
            } else {
                format!("{epoch}{version}-{release}")
            },
            name,
            architecture: self.text(ARCHITECTURE),
            source: self.text(SOURCE_RPM),
            license: self.text(LICENSE),
            vendor: self.text(VENDOR),
            module: self.text(MODULE),
        })
    }

    /// Calls `each` with the path of every file of the package, without the leading slash; false where there are more than a
    /// header of this size can name.
    pub(super) fn files(&self, mut each: impl FnMut(&[u8])) -> bool {
        let mut room = ROOM + 4 * self.values.len();
        let mut has_room = |path: usize| {
            let left = room.checked_sub(FILE + path);
            room = left.unwrap_or_default();
            left.is_some()
        };
        let (Some(names), Some(mut directories)) = (self.strings(BASE_NAMES), self.strings(DIRECTORY_NAMES)) else {
            // Before rpm 4 the paths were written in full.
            for path in self.strings(OLD_FILE_NAMES).into_iter().flatten().filter(|path| path.len() <= PATH) {
                if !has_room(path.len()) {
                    return false;
                }
                each(path.strip_prefix(b"/").unwrap_or(path));
            }
            return true;
        };
        let known: Vec<&[u8]> = directories.by_ref().take(DIRECTORIES).collect();
        let Some((INT32, place, count)) = self.entry(DIRECTORY_INDEXES) else { return true };
        let mut path = Vec::new();
        for (name, index) in names.zip(0..count) {
            let directory = index.checked_mul(4).and_then(|at| number(self.values, place.checked_add(at)?));
            let Some(directory) = directory.and_then(|index| known.get(index as usize)) else { continue };
            if directory.len() + name.len() > PATH {
                continue;
            }
            if !has_room(directory.len() + name.len()) {
                return false;
            }
            path.clear();
            path.extend_from_slice(directory.strip_prefix(b"/").unwrap_or(directory));
            path.extend_from_slice(name);
            each(&path);
        }
        directories.next().is_none()
    }
}

/// One installed package.
pub(super) struct Package {
    pub(super) name: String,
    /// `epoch:version-release`, without an epoch where the header has none.
    pub(super) version: String,
    pub(super) architecture: String,
    /// The file name of the source package.
    pub(super) source: String,
    pub(super) license: String,
    pub(super) vendor: String,
    pub(super) module: String,
}

/// A number of a header: the highest byte first.
fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}
