//! A report that is read back and written in every format.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &[u8]| {
    tidewaiter::fuzzing::report(json);
});
