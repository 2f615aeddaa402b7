//! What is deflated inside of a file: an entry of a zip archive, a section of a program (RFC 1950, RFC 1951).

use std::io::{self, BufRead, Read};

use zlib_rs::{Inflate, InflateFlush, Status};

use super::buffered;
use crate::error::{Error, Kind};

/// The bytes that are inflated at once.
const BUFFER: usize = 32 << 10;

/// Inflates as it is read. It takes from its input what belongs to the stream and not a byte more.
pub struct Inflating<R> {
    input: R,
    inflate: Box<Inflate>,
    buffer: Box<[u8]>,
    at: usize,
    end: usize,
    is_ended: bool,
    /// What is wrong behind the bytes that could still be inflated: so it does not matter in which pieces the input comes.
    failed: Option<Error>,
}

impl<R: BufRead> Inflating<R> {
    /// A stream without any header (RFC 1951), as in zip archives.
    pub fn raw(input: R) -> Self {
        Self::new(input, false)
    }

    /// A stream with the header and the checksum of zlib (RFC 1950).
    pub fn zlib(input: R) -> Self {
        Self::new(input, true)
    }

    fn new(input: R, has_header: bool) -> Self {
        let inflate = Box::new(Inflate::new(has_header, 15));
        Self { input, inflate, buffer: vec![0; BUFFER].into(), at: 0, end: 0, is_ended: false, failed: None }
    }

    /// Whether the end of the stream was reached.
    pub fn is_ended(&self) -> bool {
        self.is_ended
    }
}

impl<R: BufRead> BufRead for Inflating<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.at == self.end && !self.is_ended {
            if let Some(error) = &self.failed {
                return Err(error.clone().into());
            }
            let chunk = self.input.fill_buf()?;
            let is_over = chunk.is_empty();
            let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self.inflate.decompress(chunk, &mut self.buffer, InflateFlush::NoFlush);
            let consumed = (self.inflate.total_in() - before_in) as usize;
            (self.at, self.end) = (0, (self.inflate.total_out() - before_out) as usize);
            self.input.consume(consumed);
            match status {
                Ok(status) => self.is_ended = status == Status::StreamEnd,
                Err(error) => {
                    self.failed = Some(corrupt("what is deflated is damaged").with("zlib", error.as_str()));
                    continue;
                }
            }
            if !self.is_ended && self.end == 0 && (is_over || consumed == 0) {
                return Err(corrupt("what is deflated ends in the middle").into());
            }
        }
        Ok(self.buffer.get(self.at..self.end).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.at = (self.at + amount).min(self.end);
    }
}

impl<R: BufRead> Read for Inflating<R> {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        buffered::read(self, output)
    }
}

fn corrupt(message: &'static str) -> Error {
    Error::new(Kind::Corrupt, message)
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn deflate(bytes: &[u8], has_header: bool) -> Vec<u8> {
        let mut out = vec![0; zlib_rs::compress_bound(bytes.len()) + 64];
        let mut deflate = zlib_rs::Deflate::new(6, has_header, 15);
        deflate.compress(bytes, &mut out, zlib_rs::DeflateFlush::Finish).unwrap();
        out.truncate(deflate.total_out() as usize);
        out
    }

    #[test]
    fn takes_no_byte_that_is_not_its_own() {
        let text: Vec<u8> = (0..100_000u32).flat_map(|n| (n / 5).to_le_bytes()).collect();
        for has_header in [false, true] {
            let stream = [deflate(&text, has_header), b"behind".to_vec()].concat();
            for capacity in [1, 7, 4096, 1 << 20] {
                let mut input = BufReader::with_capacity(capacity, stream.as_slice());
                let mut out = Vec::new();
                let mut inflating = Inflating::new(&mut input, has_header);
                inflating.read_to_end(&mut out).unwrap();
                assert!(inflating.is_ended() && out == text, "in pieces of {capacity}");
                let mut rest = Vec::new();
                input.read_to_end(&mut rest).unwrap();
                assert_eq!(rest, b"behind");
            }
        }
    }

    #[test]
    fn a_cut_or_damaged_stream_is_an_error() {
        let stream = deflate(&b"abcdefgh".repeat(1000), true);
        for input in [&stream[..stream.len() - 1], &stream[..3], &[], &[0xff; 100]] {
            assert!(Inflating::zlib(input).read_to_end(&mut Vec::new()).is_err());
        }
    }
}
