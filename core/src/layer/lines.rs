//! A file line by line, in bounded memory whatever it holds.

use std::borrow::Cow;

use super::cataloger::File;
use crate::error::Result;
use crate::model::path::show;

/// Reads the lines of a [`File`] into one buffer. The file is lent for one line at a time, so that it can be asked in between.
#[derive(Default)]
pub struct Lines {
    buffer: Vec<u8>,
}

/// One line, without what ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The bytes, at most [`Lines::LIMIT`] of them.
    pub bytes: &'a [u8],
    /// Whether the line went on, and the rest was skipped.
    pub is_cut: bool,
}

impl Lines {
    /// The most bytes of a line that are kept.
    pub const LIMIT: usize = 16 << 10;

    /// Nothing read yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next line; none at the end.
    ///
    /// # Errors
    /// What reading the file meets.
    pub fn next(&mut self, file: &mut File<'_>) -> Result<Option<Line<'_>>> {
        self.buffer.clear();
        let reader = file.reader();
        let (mut is_cut, mut is_any) = (false, false);
        loop {
            let chunk = match reader.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            if chunk.is_empty() {
                break;
            }
            is_any = true;
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let piece = chunk.get(..end.unwrap_or(chunk.len())).unwrap_or_default();
            let room = piece.len().min(Self::LIMIT - self.buffer.len());
            self.buffer.extend_from_slice(piece.get(..room).unwrap_or_default());
            is_cut |= room < piece.len();
            let used = piece.len() + usize::from(end.is_some());
            reader.consume(used);
            if end.is_some() {
                break;
            }
        }
        if self.buffer.last() == Some(&b'\r') {
            self.buffer.pop();
        }
        Ok(is_any.then_some(Line { bytes: &self.buffer, is_cut }))
    }
}

impl<'a> Line<'a> {
    /// Whether there is nothing but blanks.
    pub fn is_blank(&self) -> bool {
        self.bytes.iter().all(u8::is_ascii_whitespace)
    }

    /// The line as text without the blanks around it; what is not text is escaped.
    pub fn text(&self) -> Cow<'a, str> {
        show(self.bytes.trim_ascii())
    }

    /// The name and the value of a line `Name: value`, both without the blanks around them; none for another line, or one
    /// that goes on with the value of the line before it.
    pub fn field(&self) -> Option<(&'a [u8], &'a [u8])> {
        let colon = self.bytes.iter().position(|byte| *byte == b':')?;
        let (name, value) = (self.bytes.get(..colon)?, self.bytes.get(colon + 1..)?);
        (!name.is_empty() && !name.iter().any(u8::is_ascii_whitespace)).then(|| (name, value.trim_ascii()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;
    use crate::layer::cataloger::{Content, Surroundings};
    use crate::model::limits::Limits;

    fn lines(bytes: &[u8], capacity: usize) -> Vec<(Vec<u8>, bool)> {
        let mut reader = BufReader::with_capacity(capacity, bytes);
        let mut problems = Vec::new();
        let surroundings = Surroundings { is_wanted: &|_| true, limits: &Limits::default(), note: None };
        let mut file =
            File::new("f", 0o644, bytes.len() as u64, Content::Stream(&mut reader), surroundings, &mut problems);
        let (mut lines, mut found) = (Lines::new(), Vec::new());
        while let Some(line) = lines.next(&mut file).unwrap() {
            found.push((line.bytes.to_vec(), line.is_cut));
        }
        found
    }

    #[test]
    fn splits_the_same_whatever_the_pieces() {
        let text = b"one\r\n\ntwo\nthree";
        let wanted: Vec<_> = [&b"one"[..], b"", b"two", b"three"].iter().map(|line| (line.to_vec(), false)).collect();
        for capacity in 1..20 {
            assert_eq!(lines(text, capacity), wanted, "{capacity}");
        }
    }

    #[test]
    fn cuts_a_long_line_and_goes_on() {
        let mut text = vec![b'x'; 5 * Lines::LIMIT];
        text.extend(b"\nnext\n");
        let found = lines(&text, 1000);
        assert_eq!((found[0].0.len(), found[0].1), (Lines::LIMIT, true));
        assert_eq!(found[1..], [(b"next".to_vec(), false)]);
    }

    #[test]
    fn takes_fields_apart() {
        let field = |bytes: &'static [u8]| Line { bytes, is_cut: false }.field();
        assert_eq!(field(b"Package: acl "), Some((&b"Package"[..], &b"acl"[..])));
        assert_eq!(field(b"D:"), Some((&b"D"[..], &b""[..])));
        assert_eq!(field(b" continued: yes"), None);
        assert_eq!(field(b": nothing"), None);
        assert_eq!(field(b"no colon"), None);
    }
}
