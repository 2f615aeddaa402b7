//! What `cargo auditable` writes into a program (rust-secure-code/cargo-auditable, `PARSING.md`): a section `.dep-v0` of JSON
//! that zlib packed, behind everything that is loaded.
//!
//! The table of sections stands at the end of the file, too late for a stream. So everything between the last segment and the
//! table that unpacks to an object is tried, and believed if the table then says that a section starts there.

use std::io::{BufRead, Read};

use serde::Deserialize;
use zlib_rs::{Inflate, InflateFlush};

use super::elf::Elf;
use crate::error::{Error, Kind, Result};
use crate::layer::inflate::Inflating;
use crate::layer::window::Window;

/// The most bytes of JSON; a program of a thousand crates has a hundred thousand.
const JSON: u64 = 2 << 20;
/// How many packed bytes it takes at the most to see how the JSON starts.
const GLANCE: usize = 512;

#[derive(Deserialize)]
struct Audit {
    packages: Vec<Crate>,
}

/// One crate in the program.
#[derive(Deserialize)]
pub(super) struct Crate {
    pub(super) name: String,
    pub(super) version: String,
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    root: Option<bool>,
}

impl Crate {
    /// Whether it is a dependency that is in the program: not what only took part in building it, and not the program itself.
    pub(super) fn is_inside(&self) -> bool {
        self.kind.as_deref() != Some("build") && self.root != Some(true)
    }
}

/// The crates that a program was made of, from behind its last segment; none where it does not say.
///
/// # Errors
/// Those of the stream; [`Kind::Corrupt`] for audit data that are no JSON.
pub(super) fn find(elf: &Elf, input: &mut Window<impl BufRead>) -> Result<Option<Vec<Crate>>> {
    let start = elf.segments.iter().map(super::elf::Segment::end).max().unwrap_or_default();
    input.skip(start.saturating_sub(input.position()))?;
    let end = elf.sections.unwrap_or(u64::MAX);
    let mut glance = Inflate::new(true, 15);
    loop {
        let left = end.saturating_sub(input.position());
        let ahead = input.peek(GLANCE)?;
        let ahead = ahead.get(..left.min(ahead.len() as u64) as usize).unwrap_or_default();
        // The header of zlib: a window of 32 KiB, and a number that 31 divides.
        let Some(at) = memchr::memchr(0x78, ahead) else {
            if ahead.is_empty() {
                return Ok(None);
            }
            let passed = ahead.len();
            input.advance(passed);
            continue;
        };
        if at > 0 {
            input.advance(at);
            continue;
        }
        if !starts_json(&mut glance, ahead.get(..ahead.len().min(GLANCE)).unwrap_or_default()) {
            input.advance(1);
            continue;
        }
        let offset = input.position();
        let mut json = Vec::new();
        Inflating::zlib(&mut *input).take(JSON + 1).read_to_end(&mut json)?;
        if json.len() as u64 > JSON {
            return Err(Error::new(Kind::LimitExceeded, "the audit data of this Rust program are too large"));
        }
        let audit: Audit = serde_json::from_slice(&json).map_err(|error| {
            Error::new(Kind::Corrupt, "the audit data of this Rust program are damaged").because(error)
        })?;
        return Ok(elf.has_section_at(offset, input)?.then_some(audit.packages));
    }
}

/// Whether `packed` unpacks to something that starts as an object does.
fn starts_json(glance: &mut Inflate, packed: &[u8]) -> bool {
    let is_header = matches!(packed, [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..]);
    let mut out = [0; 12];
    is_header && {
        glance.reset(true);
        // What is damaged further on does not matter here.
        let _ = glance.decompress(packed, &mut out, InflateFlush::NoFlush);
        let text: Vec<u8> = out.into_iter().filter(|byte| !byte.is_ascii_whitespace()).collect();
        text.starts_with(b"{\"packag")
    }
}
