//! As much of ELF as it takes to find what compilers leave in a program ("System V ABI", chapters 4 and 5): the header and the
//! segments at its start, the table of sections at its end.

use std::io::BufRead;

use crate::error::Result;
use crate::layer::window::Window;

/// The most segments and sections that are looked at; real programs have a dozen and a hundred.
const SEGMENTS: usize = 256;
const SECTIONS: u64 = 65_535;

/// A program or library.
#[derive(Debug)]
pub(super) struct Elf {
    form: Form,
    /// What is loaded, in the order of the file.
    pub(super) segments: Vec<Segment>,
    /// Where the table of sections is; none where there is none.
    pub(super) sections: Option<u64>,
    section_size: u64,
    section_count: u64,
}

/// A part of the file that is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) offset: u64,
    pub(super) size: u64,
    pub(super) address: u64,
    pub(super) is_writable: bool,
}

/// Whether a number has 4 or 8 bytes, and in which order they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) is_64: bool,
    pub(super) is_big: bool,
}

impl Form {
    /// A number of 2 bytes.
    pub(super) fn half(self, bytes: &[u8], at: usize) -> Option<u64> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(if self.is_big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }.into())
    }

    /// A number of 4 bytes.
    pub(super) fn word(self, bytes: &[u8], at: usize) -> Option<u64> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(if self.is_big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }.into())
    }

    /// A number of 8 bytes, or of 4 in a program of 32 bits.
    pub(super) fn long(self, bytes: &[u8], at: usize) -> Option<u64> {
        if !self.is_64 {
            return self.word(bytes, at);
        }
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(if self.is_big { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
    }
}

impl Segment {
    pub(super) fn end(&self) -> u64 {
        self.offset.saturating_add(self.size)
    }
}

impl Elf {
    /// Reads header and segments from the start of a file; none for what is no program or library that can be loaded, or has its
    /// segments where no linker puts them.
    pub(super) fn read(input: &mut Window<impl BufRead>) -> Result<Option<Self>> {
        let ahead = input.peek(64)?;
        let form = match ahead.get(4..7) {
            Some([class @ (1 | 2), data @ (1 | 2), 1]) if ahead.starts_with(b"\x7fELF") => {
                Form { is_64: *class == 2, is_big: *data == 2 }
            }
            _ => return Ok(None),
        };
        let header = |narrow: usize, wide: usize| if form.is_64 { wide } else { narrow };
        let Some(segments) = form.long(ahead, header(28, 32)) else { return Ok(None) };
        let Some(sections) = form.long(ahead, header(32, 40)) else { return Ok(None) };
        let counts = header(42, 54);
        let mut numbers = [0; 4];
        for (number, at) in numbers.iter_mut().zip([counts, counts + 2, counts + 4, counts + 6]) {
            let Some(value) = form.half(ahead, at) else { return Ok(None) };
            *number = value;
        }
        let [segment_size, segment_count, section_size, section_count] = numbers;
        let count = (segment_count as usize).min(SEGMENTS);
        let end = segments.saturating_add(segment_size * count as u64);
        if count == 0 || segment_size < 32 || end > Window::<&[u8]>::AHEAD as u64 {
            return Ok(None);
        }
        let ahead = input.peek(end as usize)?;
        let mut found = Vec::new();
        let table = ahead.get(segments as usize..end as usize).unwrap_or_default();
        for segment in table.chunks(segment_size as usize) {
            // PT_LOAD is 1, the flag to write 2.
            let read = || {
                let flags = form.word(segment, header(24, 4))?;
                Some(Segment {
                    offset: form.long(segment, header(4, 8))?,
                    address: form.long(segment, header(8, 16))?,
                    size: form.long(segment, header(16, 32))?,
                    is_writable: flags & 2 != 0,
                })
            };
            if form.word(segment, 0) == Some(1) {
                found.extend(read());
            }
        }
        found.sort_by_key(|segment| (segment.offset, segment.size));
        let sections = (sections > 0 && section_count > 0).then_some(sections);
        Ok(Some(Self { form, segments: found, sections, section_size, section_count }))
    }

    /// Where the content of an address lies in the file.
    pub(super) fn offset(&self, address: u64) -> Option<u64> {
        self.segments.iter().find_map(|segment| {
            let distance = address.checked_sub(segment.address).filter(|distance| *distance < segment.size)?;
            segment.offset.checked_add(distance)
        })
    }

    /// Whether a section starts at this place of the file, which `input` has to be before the table of sections for. Without
    /// such a table nothing speaks against it.
    pub(super) fn has_section_at(&self, offset: u64, input: &mut Window<impl BufRead>) -> Result<bool> {
        let Some(sections) = self.sections else { return Ok(true) };
        let Some(distance) = sections.checked_sub(input.position()) else { return Ok(false) };
        input.skip(distance)?;
        for _ in 0..self.section_count.min(SECTIONS) {
            let size = self.section_size as usize;
            let section = input.peek(size)?;
            if self.form.long(section, if self.form.is_64 { 24 } else { 16 }) == Some(offset) {
                return Ok(true);
            }
            if section.len() < size || size == 0 {
                break;
            }
            input.advance(size);
        }
        Ok(false)
    }
}
