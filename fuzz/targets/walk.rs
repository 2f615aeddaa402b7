//! Two layers as tars, with all catalogers, through the overlay to an inventory. The first two bytes say where the first ends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidewaiter::conformance::cataloger::Sample;

fuzz_target!(|input: &[u8]| {
    let Some((head, rest)) = input.split_first_chunk::<2>() else { return };
    let (lower, upper) = rest.split_at(usize::from(u16::from_le_bytes(*head)).min(rest.len()));
    Sample::new().tar(lower.to_vec()).tar(upper.to_vec()).run_all();
});
