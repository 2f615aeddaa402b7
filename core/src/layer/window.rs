//! A stream of which some bytes ahead can be looked at, and some behind.

use std::io::{self, BufRead, Read};

use super::buffered;

/// Reads a stream through a small buffer of its own: what is ahead can be seen before it is taken, what was just taken can
/// still be seen, and the place in the stream is known.
pub struct Window<R> {
    input: R,
    buffer: Vec<u8>,
    at: usize,
    /// The place in the stream of the first byte of the buffer.
    start: u64,
    is_ended: bool,
}

impl<R: BufRead> Window<R> {
    /// The most bytes that can be looked at ahead.
    pub const AHEAD: usize = 32 << 10;
    /// How many of the bytes that were taken can still be seen, at the least.
    pub const BEHIND: usize = 64;

    /// Nothing taken yet.
    pub fn new(input: R) -> Self {
        Self { input, buffer: Vec::new(), at: 0, start: 0, is_ended: false }
    }

    /// The place in the stream of the next byte.
    pub fn position(&self) -> u64 {
        self.start + self.at as u64
    }

    /// What comes next, at least `wanted` bytes of it (up to [`Window::AHEAD`]) unless the stream ends before.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn peek(&mut self, wanted: usize) -> io::Result<&[u8]> {
        let wanted = wanted.min(Self::AHEAD);
        while self.buffer.len() - self.at < wanted && !self.is_ended {
            let chunk = match self.input.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.is_ended = chunk.is_empty();
            let room = Self::AHEAD + 2 * Self::BEHIND;
            if self.at > Self::BEHIND && self.buffer.len() + chunk.len() > room {
                let gone = self.at - Self::BEHIND;
                self.buffer.drain(..gone);
                (self.at, self.start) = (self.at - gone, self.start + gone as u64);
            }
            let taken = chunk.len().min(room.saturating_sub(self.buffer.len()));
            self.buffer.extend_from_slice(chunk.get(..taken).unwrap_or_default());
            self.input.consume(taken);
        }
        Ok(self.buffer.get(self.at..).unwrap_or_default())
    }

    /// The last `count` bytes that were taken, or less where that many were not.
    pub fn behind(&self, count: usize) -> &[u8] {
        self.buffer.get(self.at.saturating_sub(count.min(Self::BEHIND))..self.at).unwrap_or_default()
    }

    /// Takes `count` of the bytes that were looked at.
    pub fn advance(&mut self, count: usize) {
        self.at = (self.at + count).min(self.buffer.len());
    }

    /// Takes `count` bytes, or what there is. What lies behind cannot be seen after this.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn skip(&mut self, mut count: u64) -> io::Result<()> {
        let ready = count.min((self.buffer.len() - self.at) as u64);
        self.advance(ready as usize);
        count -= ready;
        while count > 0 && !self.is_ended {
            let chunk = match self.input.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.is_ended = chunk.is_empty();
            let step = count.min(chunk.len() as u64);
            self.input.consume(step as usize);
            (self.start, self.at) = (self.start + self.buffer.len() as u64 + step, 0);
            self.buffer.clear();
            count -= step;
        }
        Ok(())
    }
}

impl<R: BufRead> BufRead for Window<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.peek(1)
    }

    fn consume(&mut self, amount: usize) {
        self.advance(amount);
    }
}

impl<R: BufRead> Read for Window<R> {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        buffered::read(self, output)
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn shows_what_the_stream_has(length in 0..200_000usize, capacity in 1..100_000usize,
                                     steps in proptest::collection::vec((0..3u8, 0..40_000usize), 0..60)) {
            let bytes: Vec<u8> = (0..length).map(|n| (n / 3 % 251) as u8).collect();
            let mut window = Window::new(BufReader::with_capacity(capacity, bytes.as_slice()));
            let mut at = 0;
            for (kind, count) in steps {
                match kind {
                    0 => {
                        let seen = window.peek(count).unwrap();
                        prop_assert!(seen.len() >= count.min(Window::<&[u8]>::AHEAD).min(length - at));
                        prop_assert_eq!(seen, &bytes[at..at + seen.len()]);
                    }
                    1 => {
                        let count = count.min(window.peek(count).unwrap().len());
                        window.advance(count);
                        at += count;
                        let behind = window.behind(64);
                        prop_assert!(behind.len() >= count.min(64));
                        prop_assert_eq!(behind, &bytes[at - behind.len()..at]);
                    }
                    _ => {
                        window.skip(count as u64).unwrap();
                        at = (at + count).min(length);
                    }
                }
                prop_assert_eq!(window.position(), at as u64);
            }
        }
    }
}
