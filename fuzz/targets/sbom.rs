//! An SBOM as input.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &[u8]| {
    tidewaiter::fuzzing::sbom(json);
});
