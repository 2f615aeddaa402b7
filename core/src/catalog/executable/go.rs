//! What a Go linker writes about the modules in a program (Go sources: `debug/buildinfo`, `runtime/debug.BuildInfo`).
//!
//! A header lies on 16 bytes in the first segment that can be written to. Since Go 1.18 the version of Go and the list of modules
//! follow it. Before that it has addresses of strings, whose bytes lie before it in the file: they take a second look.

use std::io::{BufRead, Read};

use memchr::memmem;
use serde::{Deserialize, Serialize};

use super::elf::{Elf, Form, Segment};
use crate::error::{Error, Kind, Result};
use crate::layer::window::Window;

const MAGIC: &[u8] = b"\xff Go buildinf:";
const ALIGNMENT: u64 = 16;
/// The bytes of the header.
const HEADER: usize = 32;
/// How much of a segment before the header is kept, for strings whose addresses are there.
const BEFORE: usize = 4 << 20;
/// The most bytes of a version of Go, and of a list of modules.
const VERSION: u64 = 1 << 10;
const MODULES: u64 = 4 << 20;

/// What is known of a Go program after looking at one segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Build {
    /// Its version of Go and its list of modules, as they were written.
    Known(Vec<u8>, Vec<u8>),
    /// Where they are in the file.
    Elsewhere(Places),
}

/// Where the version of Go and the list of modules are in the file, and how long they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Places {
    version: (u64, u64),
    modules: (u64, u64),
}

/// Looks for a header in a segment, from where `input` is.
///
/// # Errors
/// Those of the stream; [`Kind::Corrupt`] and [`Kind::LimitExceeded`] for a header that lies.
pub(super) fn find(elf: &Elf, segment: &Segment, input: &mut Window<impl BufRead>) -> Result<Option<Build>> {
    let mut before = Before { start: input.position(), bytes: Vec::new() };
    loop {
        let left = segment.end().saturating_sub(input.position());
        let ahead = input.peek(HEADER)?;
        let ahead = ahead.get(..left.min(ahead.len() as u64) as usize).unwrap_or_default();
        if ahead.len() < HEADER {
            return Ok(None);
        }
        let step = match memmem::find(ahead, MAGIC) {
            Some(0) => {
                let position = input.position();
                let address = segment.address.wrapping_add(position - segment.offset);
                if address.is_multiple_of(ALIGNMENT)
                    && let Some(build) = read(elf, input, &mut before)?
                {
                    return Ok(Some(build));
                }
                1
            }
            Some(at) => at,
            // The last bytes may be the start of one.
            None => ahead.len() - MAGIC.len() + 1,
        };
        before.advance(input, step)?;
    }
}

/// What was passed in a segment.
struct Before {
    start: u64,
    bytes: Vec<u8>,
}

impl Before {
    /// Takes `count` bytes of the input and keeps them, as long as there is room.
    fn advance(&mut self, input: &mut Window<impl BufRead>, count: usize) -> Result<()> {
        let ahead = input.peek(count)?;
        let count = count.min(ahead.len());
        let room = BEFORE.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(ahead.get(..count.min(room)).unwrap_or_default());
        input.advance(count);
        Ok(())
    }

    /// Bytes at a place of the file that was passed, or that is still ahead.
    fn bytes(&mut self, input: &mut Window<impl BufRead>, offset: u64, count: usize) -> Result<Option<Vec<u8>>> {
        if let Some(distance) = offset.checked_sub(input.position()) {
            input.skip(distance)?;
            let ahead = input.peek(count)?;
            return Ok(ahead.get(..count).map(<[u8]>::to_vec));
        }
        let known = offset.checked_sub(self.start).and_then(|at| self.bytes.get(at as usize..)?.get(..count));
        Ok(known.map(<[u8]>::to_vec))
    }
}

/// Reads the header that is ahead; none where it is none, such as the magic in a program that looks for it.
fn read(elf: &Elf, input: &mut Window<impl BufRead>, before: &mut Before) -> Result<Option<Build>> {
    let ahead = input.peek(HEADER)?;
    let (Some(header), Some([pointer, flags])) = (ahead.get(..HEADER), ahead.get(MAGIC.len()..MAGIC.len() + 2)) else {
        return Ok(None);
    };
    let (header, pointer, flags) = (header.to_vec(), *pointer, *flags);
    if flags & 2 != 0 {
        input.advance(HEADER);
        let version = inline(input, VERSION)?;
        let modules = inline(input, MODULES)?;
        return Ok(Some(Build::Known(version, modules)));
    }
    let form = Form { is_64: pointer == 8, is_big: flags & 1 != 0 };
    if !matches!(pointer, 4 | 8) {
        return Ok(None);
    }
    let pointer = usize::from(pointer);
    let mut strings = [None; 2];
    // What is first in the file first: it streams by.
    let mut wanted: Vec<(Option<u64>, usize)> = [0, 1]
        .map(|which| (form.long(&header, 16 + which * pointer).and_then(|address| elf.offset(address)), which))
        .into();
    wanted.sort_unstable();
    for (offset, which) in wanted {
        let Some(offset) = offset else { continue };
        let Some(string) = before.bytes(input, offset, 2 * pointer)? else { continue };
        let place = form.long(&string, 0).zip(form.long(&string, pointer));
        if let (Some(slot), Some((address, length))) = (strings.get_mut(which), place) {
            *slot = if length == 0 { Some((0, 0)) } else { elf.offset(address).map(|offset| (offset, length)) };
        }
    }
    match strings {
        [Some(version), Some(modules)] => Ok(Some(Build::Elsewhere(Places { version, modules }))),
        _ => Err(corrupt("the build information of this Go program points outside of it")),
    }
}

/// A string behind the header: its length, seven bits a byte, and its bytes.
fn inline(input: &mut Window<impl BufRead>, limit: u64) -> Result<Vec<u8>> {
    let (mut length, mut shift) = (0u64, 0);
    loop {
        let Some(byte) = input.peek(1)?.first().copied() else { return Err(lie()) };
        input.advance(1);
        length |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or_default();
        if byte & 0x80 == 0 {
            break;
        }
        shift += 7;
        if shift > 63 {
            return Err(lie());
        }
    }
    string(input, length, limit)
}

fn string(input: &mut impl BufRead, length: u64, limit: u64) -> Result<Vec<u8>> {
    if length > limit {
        let message =
            format!("the build information of this Go program says {length} bytes of what has at most {limit}");
        return Err(Error::new(Kind::LimitExceeded, message));
    }
    let mut bytes = Vec::new();
    input.take(length).read_to_end(&mut bytes)?;
    if (bytes.len() as u64) < length { Err(lie()) } else { Ok(bytes) }
}

impl Places {
    /// Reads the strings in the second look.
    ///
    /// # Errors
    /// Those of the stream; [`Kind::Corrupt`] and [`Kind::LimitExceeded`] for places that lie.
    pub(super) fn read(&self, input: &mut Window<impl BufRead>) -> Result<(Vec<u8>, Vec<u8>)> {
        let mut strings = [Vec::new(), Vec::new()];
        let mut wanted = [(self.version, VERSION, 0), (self.modules, MODULES, 1)];
        wanted.sort_unstable();
        for ((offset, length), limit, which) in wanted {
            if length == 0 {
                continue;
            }
            let distance = offset.checked_sub(input.position()).ok_or_else(lie)?;
            input.skip(distance)?;
            if let Some(slot) = strings.get_mut(which) {
                *slot = string(input, length, limit)?;
            }
        }
        let [version, modules] = strings;
        Ok((version, modules))
    }
}

/// Calls `each` with the path and the version of every module of the list, the main one too. Of a module that is replaced by
/// another one, that other one; of one that is replaced by a directory, the module itself.
pub(super) fn modules<'a>(list: &'a [u8], mut each: impl FnMut(&'a [u8], &'a [u8]) -> Result<()>) -> Result<()> {
    // 16 bytes that mark it before and behind, and a line end before the second mark.
    let list = match list.len().checked_sub(17).and_then(|end| list.get(16..=end)) {
        Some(list) if list.ends_with(b"\n") => list,
        _ => return Ok(()),
    };
    let mut last: Option<(&[u8], &[u8])> = None;
    for line in list.split(|byte| *byte == b'\n') {
        let mut fields = line.split(|byte| *byte == b'\t');
        let (Some(word), Some(path), version) = (fields.next(), fields.next(), fields.next().unwrap_or_default())
        else {
            continue;
        };
        match word {
            b"mod" | b"dep" => {
                if let Some((path, version)) = last.replace((path, version)) {
                    each(path, version)?;
                }
            }
            b"=>" if !version.is_empty() && version != b"(devel)" => last = last.and(Some((path, version))),
            _ => {}
        }
    }
    if let Some((path, version)) = last {
        each(path, version)?;
    }
    Ok(())
}

/// The version of the standard library: `1.22.3` of `go1.22.3`; of what is no release, the text as it is.
pub(super) fn standard_library(version: &str) -> &str {
    // `go1.22.3 X:boringcrypto`
    let release = version.split(' ').next().unwrap_or_default();
    match release.strip_prefix("go") {
        Some(numbers) if !numbers.is_empty() && numbers.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => {
            numbers
        }
        _ => version,
    }
}

fn lie() -> Error {
    corrupt("the build information of this Go program ends in the middle")
}

fn corrupt(message: &'static str) -> Error {
    Error::new(Kind::Corrupt, message)
}
