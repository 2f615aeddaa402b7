//! `Read` for what is `BufRead` by nature.

use std::io::{self, BufRead};

/// Reads from the buffer of `reader`: what its `Read::read` is made of.
pub(crate) fn read(reader: &mut impl BufRead, output: &mut [u8]) -> io::Result<usize> {
    let available = reader.fill_buf()?;
    let length = available.len().min(output.len());
    if let (Some(to), Some(from)) = (output.get_mut(..length), available.get(..length)) {
        to.copy_from_slice(from);
    }
    reader.consume(length);
    Ok(length)
}
