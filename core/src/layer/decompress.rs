//! Decompression of a blob as it streams: gzip of many members, zstd of many frames, or plain; told by its first bytes.
//!
//! The media type is never asked: one digest must have one result. Sources: RFC 1952 (gzip), RFC 8878 (zstd).

use std::io::{self, BufRead, Read};

use zlib_rs::{Inflate, InflateFlush, Status};
use zstd::stream::raw::{DParameter, Decoder as ZstdDecoder, Operation};

use crate::error::{Error, Kind, Result};
use crate::model::limits::Limits;

/// From here on the expansion limit counts.
const FREE_EXPANSION: u64 = 1 << 30;
/// zlib's way to say "a gzip header, a window of 32 KiB".
const GZIP_WINDOW_BITS: u8 = 16 + 15;

/// How a blob is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    Plain,
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
    /// Something that is recognised and not read, by its name.
    Other(&'static str),
}

impl Compression {
    /// How many bytes [`Compression::of`] wants to see.
    pub const SNIFF: usize = 6;

    /// Tells the compression from the first bytes of a blob.
    pub fn of(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0x00, ..] => Self::Other("xz"),
            [b'B', b'Z', b'h', ..] => Self::Other("bzip2"),
            [b'h', b's', b'q', b's', ..] => Self::Other("squashfs"),
            _ => Self::Plain,
        }
    }
}

/// How much of what was written a zstd decoder must hold, as the first frame of a blob says (RFC 8878, 3.1.1.1).
pub mod zstd_window {
    /// How many bytes [`of`] wants to see: magic number, descriptor, window, dictionary, content size.
    pub const HEAD: usize = 18;
    /// The largest window that fits into one lane: 8 MiB, which every reader has to support.
    pub const NARROW: u64 = 8 << 20;
    /// The largest window that is read at all: 32 MiB, in two lanes. Some encoders' best levels need it.
    pub const WIDE: u64 = 32 << 20;

    /// The window in bytes; none for what is no zstd frame, or begins with a frame to be skipped.
    pub fn of(head: &[u8]) -> Option<u64> {
        let [0x28, 0xb5, 0x2f, 0xfd, descriptor, rest @ ..] = head else { return None };
        if descriptor & 0x20 == 0 {
            let window = *rest.first()?;
            let base = 1u64 << (10 + (window >> 3));
            return Some(base + base / 8 * u64::from(window & 7));
        }
        // A single segment: the window is the content, whose size stands behind the dictionary's number.
        let dictionary = [0, 1, 2, 4].get(usize::from(descriptor & 3))?;
        let length = [1, 2, 4, 8].get(usize::from(descriptor >> 6))?;
        let mut size = [0; 8];
        size.get_mut(..*length)?.copy_from_slice(rest.get(*dictionary..dictionary + length)?);
        // Two bytes count from 256.
        Some(u64::from_le_bytes(size) + if *length == 2 { 256 } else { 0 })
    }
}

/// Reads a blob decompressed. A limit that is met, and content that is not what it says, are errors of [`io::Error`] that
/// [`Error::from`] turns back into ours.
pub struct Decoder<R> {
    input: io::Chain<io::Cursor<Vec<u8>>, R>,
    state: State,
    consumed: u64,
    produced: u64,
    limit: u64,
    expansion: u64,
    window: u64,
    trailing: bool,
}

enum State {
    Plain,
    Gzip(Box<Inflate>),
    Zstd(Box<ZstdDecoder<'static>>, Frame),
    /// The last member is done; what follows is only looked at for being nothing.
    Trailing,
}

/// Where a zstd stream stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Frame {
    First,
    Inside,
    Between,
}

impl<R: BufRead> Decoder<R> {
    /// Looks at the first bytes of `input`. In zstd its first frame decides what window all of them may have:
    /// [`zstd_window::NARROW`] where that one needs no more, else [`zstd_window::WIDE`].
    ///
    /// # Errors
    /// [`Kind::Unsupported`] for a compression that is not read, or the error of `input`.
    pub fn new(mut input: R, limits: &Limits) -> Result<Self> {
        let mut head = Vec::with_capacity(zstd_window::HEAD);
        let mut limited = input.by_ref().take(zstd_window::HEAD as u64);
        limited.read_to_end(&mut head).map_err(Error::from)?;
        let is_wide = zstd_window::of(&head).is_some_and(|window| window > zstd_window::NARROW);
        let window = if is_wide { zstd_window::WIDE } else { zstd_window::NARROW };
        let state = match Compression::of(&head) {
            Compression::Plain => State::Plain,
            Compression::Gzip => State::Gzip(gzip_member()),
            Compression::Zstd => State::Zstd(Box::new(zstd_stream(window).map_err(Error::from)?), Frame::First),
            Compression::Other(name) => {
                return Err(Error::new(Kind::Unsupported, format!("a layer compressed with {name} is not read"))
                    .with_hint("push the image with gzip or zstd layers"));
            }
        };
        Ok(Self {
            input: io::Cursor::new(head).chain(input),
            state,
            consumed: 0,
            produced: 0,
            limit: limits.layer,
            expansion: limits.expansion,
            window,
            trailing: false,
        })
    }

    /// Whether something other than zeros followed the last member or frame: no other reader sees what it hides.
    pub fn has_trailing_bytes(&self) -> bool {
        self.trailing
    }

    /// What lies below; whatever of it was not read yet is still there.
    pub fn into_inner(self) -> R {
        self.input.into_inner().1
    }

    /// Counts what one step took and gave, and holds it against the limits.
    fn count(&mut self, consumed: usize, produced: usize) -> io::Result<()> {
        self.consumed += consumed as u64;
        self.produced += produced as u64;
        let limit = |what: &str, limit: u64| {
            Err(Error::new(Kind::LimitExceeded, format!("the layer expands to more than {limit} {what}"))
                .with_hint("raise the limit `layer` or `expansion` if the image is trusted")
                .into())
        };
        if self.produced > self.limit {
            return limit("bytes", self.limit);
        }
        if self.produced.saturating_sub(FREE_EXPANSION) > self.consumed.saturating_mul(self.expansion) {
            return limit("times its size", self.expansion);
        }
        Ok(())
    }

    /// One step into `output`; the number of bytes written, and whether the end was reached.
    fn step(&mut self, output: &mut [u8]) -> io::Result<(usize, bool)> {
        let input = self.input.fill_buf()?;
        let ended = input.is_empty();
        let (consumed, produced, next) = match &mut self.state {
            State::Plain => {
                let length = input.len().min(output.len());
                if let (Some(to), Some(from)) = (output.get_mut(..length), input.get(..length)) {
                    to.copy_from_slice(from);
                }
                (length, length, None)
            }
            State::Gzip(inflate) if ended && inflate.total_in() > 0 => {
                return Err(corrupt("the gzip stream ends in the middle").into());
            }
            State::Gzip(inflate) if inflate.total_in() == 0 && !may_start_gzip(input) => (0, 0, Some(State::Trailing)),
            State::Gzip(inflate) => {
                let (before_in, before_out) = (inflate.total_in(), inflate.total_out());
                let status = inflate
                    .decompress(input, output, InflateFlush::NoFlush)
                    .map_err(|error| corrupt("the gzip stream is damaged").with("zlib", error.as_str()))?;
                let consumed = (inflate.total_in() - before_in) as usize;
                let produced = (inflate.total_out() - before_out) as usize;
                if status == Status::BufError && consumed == 0 && produced == 0 && !output.is_empty() {
                    return Err(corrupt("the gzip stream makes no progress").into());
                }
                (consumed, produced, (status == Status::StreamEnd).then(|| State::Gzip(gzip_member())))
            }
            State::Zstd(_, Frame::First | Frame::Inside) if ended => {
                return Err(corrupt("the zstd stream ends in the middle").into());
            }
            State::Zstd(_, Frame::Between) if !may_start_zstd(input) => (0, 0, Some(State::Trailing)),
            State::Zstd(decoder, frame) => {
                let status = decoder.run_on_buffers(input, output).map_err(|error| zstd_error(error, self.window))?;
                *frame = if status.remaining == 0 { Frame::Between } else { Frame::Inside };
                (status.bytes_read, status.bytes_written, None)
            }
            State::Trailing => {
                self.trailing |= input.iter().any(|byte| *byte != 0);
                (input.len(), 0, None)
            }
        };
        if let Some(state) = next {
            self.state = state;
        }
        self.input.consume(consumed);
        self.count(consumed, produced)?;
        Ok((produced, ended && produced == 0))
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        if output.is_empty() {
            return Ok(0);
        }
        loop {
            let (produced, ended) = self.step(output)?;
            if produced > 0 || ended {
                return Ok(produced);
            }
        }
    }
}

fn gzip_member() -> Box<Inflate> {
    Box::new(Inflate::new(true, GZIP_WINDOW_BITS))
}

/// Whether what follows a member can be another one. One byte is enough to say no.
fn may_start_gzip(input: &[u8]) -> bool {
    input.first() == Some(&0x1f)
}

fn may_start_zstd(input: &[u8]) -> bool {
    matches!(input.first(), Some(0x28 | 0x50..=0x5f))
}

fn zstd_stream(window: u64) -> io::Result<ZstdDecoder<'static>> {
    let mut decoder = ZstdDecoder::new()?;
    decoder.set_parameter(DParameter::WindowLogMax(window.ilog2()))?;
    Ok(decoder)
}

fn zstd_error(error: io::Error, window: u64) -> io::Error {
    if error.to_string().contains("requires too much memory") {
        let message = format!("a zstd window of the layer is larger than {} MiB", window >> 20);
        return Error::new(Kind::LimitExceeded, message)
            .with_hint("compress the layer as one frame, without --ultra and --long")
            .into();
    }
    corrupt("the zstd stream is damaged").because(error).into()
}

fn corrupt(message: &'static str) -> Error {
    Error::new(Kind::Corrupt, message)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![0; zlib_rs::compress_bound(bytes.len()) + 64];
        let mut deflate = zlib_rs::Deflate::new(6, true, GZIP_WINDOW_BITS);
        let status = deflate.compress(bytes, &mut out, zlib_rs::DeflateFlush::Finish).unwrap();
        assert_eq!(status, Status::StreamEnd);
        out.truncate(deflate.total_out() as usize);
        out
    }

    fn zstd(bytes: &[u8], window_log: u32) -> Vec<u8> {
        let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
        encoder.include_checksum(true).unwrap();
        encoder.set_parameter(zstd::zstd_safe::CParameter::WindowLog(window_log)).unwrap();
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn decode(blob: &[u8], piece: usize, limits: &Limits) -> Result<(Vec<u8>, bool)> {
        let mut decoder = Decoder::new(io::BufReader::with_capacity(piece, blob), limits)?;
        let mut out = Vec::new();
        decoder.read_to_end(&mut out).map_err(Error::from)?;
        Ok((out, decoder.has_trailing_bytes()))
    }

    fn sample() -> Vec<u8> {
        (0..300_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect()
    }

    #[test]
    fn reads_every_form_in_any_pieces() {
        let text = sample();
        let (first, second) = text.split_at(500_000);
        let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0], b"abc".as_slice()].concat();
        let blobs = [
            text.clone(),
            gzip(&text),
            [gzip(first), gzip(b""), gzip(second)].concat(),
            [gzip(&text), vec![0; 700]].concat(),
            zstd(&text, 20),
            [skippable.clone(), zstd(first, 17), skippable, zstd(second, 20)].concat(),
            Vec::new(),
        ];
        for (index, blob) in blobs.iter().enumerate() {
            for piece in [1, 7, 64 << 10, 8 << 20] {
                let (out, trailing) = decode(blob, piece, &Limits::default()).unwrap();
                assert!(blob.is_empty() || out == text, "form {index} in pieces of {piece}");
                assert!(!trailing);
            }
        }
    }

    #[test]
    fn sees_what_hides_behind_the_end() {
        for blob in [gzip(b"abc"), zstd(b"abc", 17)] {
            let (out, trailing) = decode(&[blob, b"hidden".to_vec()].concat(), 3, &Limits::default()).unwrap();
            assert_eq!((out.as_slice(), trailing), (b"abc".as_slice(), true));
        }
    }

    #[test]
    fn a_cut_or_damaged_stream_is_corrupt() {
        for blob in [gzip(&sample()), zstd(&sample(), 20)] {
            for end in [blob.len() - 1, blob.len() / 2, 9] {
                let error = decode(&blob[..end], 4096, &Limits::default()).map(drop).unwrap_err();
                assert_eq!(error.kind(), Kind::Corrupt, "{error}");
            }
            let mut damaged = blob.clone();
            let middle = damaged.len() / 2;
            damaged[middle..middle + 40].fill(0xaa);
            let error = decode(&damaged, 4096, &Limits::default()).map(drop).unwrap_err();
            assert_eq!(error.kind(), Kind::Corrupt);
        }
    }

    #[test]
    fn tells_the_window_before_anything_is_decoded() {
        for window_log in [10, 17, 23, 24, 25, 27] {
            assert_eq!(zstd_window::of(&zstd(&sample(), window_log)), Some(1 << window_log));
        }
        for size in [0, 1, 255, 256, 257, 65_791, 65_792, 1 << 20] {
            let blob = zstd::bulk::compress(&vec![7; size], 3).unwrap();
            let is_single = blob[4] & 0x20 != 0;
            let window = zstd_window::of(&blob).unwrap();
            assert!(if is_single { window == size as u64 } else { window >= 1 << 10 }, "{size}: {window}");
            assert!(
                (0..zstd_window::HEAD.min(blob.len()))
                    .all(|end| zstd_window::of(&blob[..end]).is_none_or(|cut| cut == window))
            );
        }
        assert_eq!(zstd_window::of(&gzip(b"abc")), None);
        assert_eq!(zstd_window::of(b"\x50\x2a\x4d\x18\x03\0\0\0abc"), None);
    }

    #[test]
    fn limits_hold() {
        let limits = Limits { layer: 100_000, ..Limits::default() };
        assert_eq!(decode(&gzip(&sample()), 4096, &limits).unwrap_err().kind(), Kind::LimitExceeded);
        // The window of a later frame may not be larger than the lanes that the first one took.
        let (small, wide) = (zstd(&sample(), 20), zstd(&sample(), 25));
        for (blob, expected) in [
            (zstd(&sample(), 23), None),
            (wide.clone(), None),
            ([wide.clone(), small.clone()].concat(), None),
            ([small, wide].concat(), Some("larger than 8 MiB")),
            (zstd(&sample(), 26), Some("larger than 32 MiB")),
        ] {
            match (decode(&blob, 4096, &Limits::default()), expected) {
                (Ok(_), None) => {}
                (Err(error), Some(message)) => {
                    assert_eq!(error.kind(), Kind::LimitExceeded);
                    assert!(error.to_string().contains(message), "{error}");
                }
                (found, _) => panic!("{expected:?}: {:?}", found.map(|(bytes, _)| bytes.len())),
            }
        }
        let error = decode(b"\xfd7zXZ\0...", 4096, &Limits::default()).unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported);
    }

    #[test]
    fn a_bomb_stops_at_the_expansion_limit() {
        let mib = gzip(&vec![0; 1 << 20]);
        let bomb = mib.repeat(1_500);
        let mut decoder = Decoder::new(bomb.as_slice(), &Limits { expansion: 100, ..Limits::default() }).unwrap();
        let mut sink = vec![0; 1 << 20];
        let error = loop {
            match decoder.read(&mut sink) {
                Ok(read) => assert!(read > 0, "the bomb went off"),
                Err(error) => break Error::from(error),
            }
        };
        assert_eq!(error.kind(), Kind::LimitExceeded);
        assert!(decoder.produced < 1300 << 20);
    }
}
