//! A reader that ends where a document has a text that is longer than any that may be kept: a parser of JSON keeps each whole.

use std::io::Read;

use crate::error::{Error, Kind};

/// The most bytes of one text. The longest that real documents have are the texts of licences.
const TEXT: u64 = 4 << 20;

/// The place in a document, as far as texts go.
pub(super) struct Guard<R> {
    input: R,
    place: Place,
    length: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Outside,
    Text,
    /// Behind a backslash.
    Escape,
}

impl<R> Guard<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, place: Place::Outside, length: 0 }
    }

    /// Whether all texts of `bytes` are short enough.
    fn look(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes {
            self.place = match (self.place, byte) {
                (Place::Outside, b'"') => {
                    self.length = 0;
                    Place::Text
                }
                // A number may be as long as it likes too.
                (Place::Outside, b'0'..=b'9') => {
                    self.length += 1;
                    Place::Outside
                }
                (Place::Outside, _) => {
                    self.length = 0;
                    Place::Outside
                }
                (Place::Text, b'"') => {
                    self.length = 0;
                    Place::Outside
                }
                (Place::Text, b'\\') => Place::Escape,
                (Place::Text | Place::Escape, _) => {
                    self.length += 1;
                    Place::Text
                }
            };
            if self.length > TEXT {
                return false;
            }
        }
        true
    }
}

impl<R: Read> Read for Guard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.input.read(buffer)?;
        if !self.look(buffer.get(..read).unwrap_or_default()) {
            let error = Error::new(Kind::LimitExceeded, "the document has a text that is longer than it may be");
            return Err(error.with("bytes", TEXT).into());
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(text: &str) -> bool {
        std::io::copy(&mut Guard::new(text.as_bytes()), &mut std::io::sink()).is_ok()
    }

    #[test]
    fn a_long_text_ends_the_reading() {
        let long = "a".repeat(TEXT as usize);
        assert!(passes(&format!("{{\"a\":\"{long}\",\"b\":\"{long}\"}}")));
        assert!(!passes(&format!("{{\"a\":\"{long}a\"}}")));
        assert!(!passes(&format!("\"\\\"{long}\"")));
        assert!(!passes(&"1".repeat(TEXT as usize + 1)));
        assert!(passes(&" ".repeat(TEXT as usize + 1)));
    }
}
