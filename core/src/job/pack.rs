//! Values as small bytes: in postcard, packed by zstd. The store keeps them, and they travel between machines.

use std::cell::RefCell;
use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;
use zstd::bulk::{Compressor, Decompressor};

use crate::error::{Error, Kind, Result};

/// The most bytes of a value, unpacked.
const MAX: usize = 512 << 20;
/// The quickest of zstd's levels that still packs well.
const LEVEL: i32 = 1;

thread_local! {
    // To make these anew takes longer than to pack most values.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// A value as small bytes.
///
/// # Errors
/// [`Kind::Internal`].
pub(crate) fn pack(value: &impl Serialize) -> Result<Vec<u8>> {
    Ok(compress(&bytes(value)?)?)
}

/// Whether `packed` is what [`pack`] makes of a value; costs less than to pack it.
///
/// # Errors
/// [`Kind::Internal`].
pub(crate) fn is_packed(packed: &[u8], value: &impl Serialize) -> Result<bool> {
    let bytes = bytes(value)?;
    Ok(decompress(packed, bytes.len()).is_ok_and(|before| before == bytes))
}

/// The value of [`pack`].
///
/// # Errors
/// [`Kind::Corrupt`].
pub(crate) fn unpack<T: DeserializeOwned>(packed: &[u8]) -> Result<T> {
    let damaged = || {
        Error::new(Kind::Corrupt, "a packed report cannot be read")
            .with_hint("it is damaged, or of another version of this program: scan the image again")
    };
    let bytes = decompress(packed, MAX).map_err(|error| damaged().because(error))?;
    postcard::from_bytes(&bytes).map_err(|error| damaged().because(error))
}

fn bytes(value: &impl Serialize) -> Result<Vec<u8>> {
    postcard::to_allocvec(value).map_err(|error| Error::new(Kind::Internal, "a report cannot be packed").because(error))
}

fn compress(bytes: &[u8]) -> io::Result<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|kept| {
        let compressor = match kept {
            Some(compressor) => compressor,
            None => kept.insert(Compressor::new(LEVEL)?),
        };
        let mut packed = compressor.compress(bytes)?;
        // It was made as large as the worst that could come.
        packed.shrink_to_fit();
        Ok(packed)
    })
}

fn decompress(packed: &[u8], most: usize) -> io::Result<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|kept| {
        let decompressor = match kept {
            Some(decompressor) => decompressor,
            None => kept.insert(Decompressor::new()?),
        };
        decompressor.decompress(packed, most)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_packs_one_value_after_another() {
        let values = ["".to_owned(), "a".repeat(1_000_000), "last".to_owned()];
        for value in &values {
            let packed = pack(value).unwrap();
            assert_eq!(
                packed,
                zstd::bulk::compress(&bytes(value).unwrap(), LEVEL).unwrap(),
                "what came before leaves no trace"
            );
            assert!(is_packed(&packed, value).unwrap() && !is_packed(&packed, &"other").unwrap());
            assert_eq!(unpack::<String>(&packed).unwrap(), *value);
            // What cannot be read does not spoil the next.
            assert_eq!(unpack::<String>(b"nonsense").unwrap_err().kind(), Kind::Corrupt);
            let cut = packed.split_last().map(|(_, rest)| rest).unwrap();
            assert_eq!(unpack::<String>(cut).unwrap_err().kind(), Kind::Corrupt);
        }
    }
}
