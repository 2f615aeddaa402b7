//! A blob as it streams: gzip, zstd or plain, within its limits.
#![no_main]

use std::io::{BufReader, Read, sink};

use libfuzzer_sys::fuzz_target;
use tidewaiter::layer::decompress::Decoder;
use tidewaiter::model::limits::Limits;

const LARGEST: u64 = 8 << 20;

fuzz_target!(|blob: &[u8]| {
    let mut limits = Limits::default();
    limits.layer = LARGEST;
    // In small pieces, as a network brings it.
    let Ok(decoder) = Decoder::new(BufReader::with_capacity(13, blob), &limits) else { return };
    let mut decoder = decoder;
    let mut bounded = decoder.by_ref().take(2 * LARGEST);
    let given = std::io::copy(&mut bounded, &mut sink()).unwrap_or_default();
    assert!(given <= LARGEST, "{given} bytes of a layer that may have {LARGEST}");
    let _ = decoder.has_trailing_bytes();
});
