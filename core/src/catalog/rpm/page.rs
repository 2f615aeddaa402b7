//! What is on a page of a SQLite database (sqlite.org, "Database File Format", "B-tree Pages").

use crate::catalog::fnv::fnv;

/// A page, by what it is in a tree of a table.
pub(super) enum Page<'a> {
    /// A leaf with these rows, and whether more lie in one another.
    Leaf(Vec<Row<'a>>, bool),
    /// The pages below.
    Below(Vec<u32>),
    /// A part of a row, and the page of the next one.
    Overflow(u32, &'a [u8]),
    /// Of a tree of an index, or nothing that is known.
    Other,
}

impl<'a> Page<'a> {
    /// Reads the page of this number, of which the first is 1. `page` is what of it is used.
    pub(super) fn read(count: u32, page: &'a [u8]) -> Self {
        // The first page has the header of the file in front.
        let start = if count == 1 { 100 } else { 0 };
        match page.get(start) {
            Some(0x0d) => leaf(page, start),
            Some(0x05) => Self::Below(below(page, start)),
            // An overflow page starts with the number of the next one, which is never as high as these.
            Some(0) => Self::Overflow(number(page, 0, 4).unwrap_or_default() as u32, page.get(4..).unwrap_or_default()),
            _ => Self::Other,
        }
    }
}

fn leaf(page: &[u8], start: usize) -> Page<'_> {
    let cells = number(page, start + 3, 2).unwrap_or_default() as usize;
    let (mut rows, mut room) = (Vec::new(), page.len());
    for cell in 0..cells {
        let Some(at) = number(page, start + 8 + 2 * cell, 2) else { break };
        let Some(row) = Row::read(page, at as usize) else { continue };
        // Thousands of rows that share their bytes would make much of little.
        let Some(left) = room.checked_sub(row.local.len()) else { return Page::Leaf(rows, true) };
        room = left;
        rows.push(row);
    }
    Page::Leaf(rows, false)
}

fn below(page: &[u8], start: usize) -> Vec<u32> {
    let cells = number(page, start + 3, 2).unwrap_or_default() as usize;
    let pointers = (0..cells).map_while(|cell| {
        let at = number(page, start + 12 + 2 * cell, 2)? as usize;
        number(page, at, 4)
    });
    pointers.chain(number(page, start + 8, 4)).map(|page| page as u32).collect()
}

/// A row of a table, as much of it as its leaf has.
pub(super) struct Row<'a> {
    key: u64,
    /// The bytes of the whole record.
    pub(super) length: u64,
    pub(super) local: &'a [u8],
    /// The overflow page on which the record goes on; 0 where it does not.
    pub(super) next: u32,
}

impl<'a> Row<'a> {
    /// Reads the cell at `at` ("B-tree Cell Format", "Cell Payload Overflow Pages").
    fn read(page: &'a [u8], at: usize) -> Option<Self> {
        let usable = page.len();
        let (length, rest) = varint(page.get(at..)?)?;
        let (key, rest) = varint(rest)?;
        let most = usable as u64 - 35;
        if length <= most {
            return Some(Self { key, length, local: rest.get(..length as usize)?, next: 0 });
        }
        let least = (usable as u64 - 12) * 32 / 255 - 23;
        let fitting = least + (length - least) % (usable as u64 - 4);
        let local = if fitting <= most { fitting } else { least };
        let (local, rest) = rest.split_at_checked(local as usize)?;
        Some(Self { key, length, local, next: number(rest, 0, 4)? as u32 })
    }

    /// A sum over all that its leaf has of it.
    pub(super) fn mark(&self) -> u64 {
        let numbers = self.key.to_be_bytes().into_iter().chain(self.length.to_be_bytes());
        fnv(numbers.chain(self.local.iter().copied()))
    }

    /// The types of the first columns, and where the values start ("Record Format").
    fn columns(&self) -> Option<(Vec<u64>, usize)> {
        let (length, mut rest) = varint(self.local)?;
        let start = usize::try_from(length).ok().filter(|length| *length <= self.local.len())?;
        let mut types = Vec::new();
        while self.local.len() - rest.len() < start && types.len() < 6 {
            let (kind, after) = varint(rest)?;
            types.push(kind);
            rest = after;
        }
        Some((types, start))
    }

    /// Where the header starts, if this is a row of `Packages`: a key, which the record has as NULL, and a blob.
    pub(super) fn header_of_package(&self) -> Option<usize> {
        let (types, start) = self.columns()?;
        matches!(types.as_slice(), [0, blob] if *blob >= 12 && blob % 2 == 0).then_some(start)
    }

    /// The root of `Packages`, if this is its row in the schema: `table`, name, name, root, SQL.
    pub(super) fn root_of_packages(&self) -> Option<u32> {
        let (types, start) = self.columns()?;
        let [23, 29, 29, root, _] = types.as_slice() else { return None };
        let text = self.local.get(start..)?.strip_prefix(b"tablePackagesPackages")?;
        let size = match root {
            1..=4 => *root as usize,
            9 => return Some(1),
            _ => return None,
        };
        number(text, 0, size).and_then(|root| u32::try_from(root).ok())
    }
}

/// A number of `size` bytes, the highest first.
pub(super) fn number(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(size)?)?;
    Some(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// A number of 1 to 9 bytes: seven bits a byte, the highest first, and all eight of the ninth.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0u64;
    for (index, byte) in bytes.iter().enumerate().take(9) {
        if index == 8 {
            return Some((number << 8 | u64::from(*byte), bytes.get(9..)?));
        }
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((number, bytes.get(index + 1..)?));
        }
    }
    None
}
