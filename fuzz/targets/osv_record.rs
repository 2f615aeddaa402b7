//! One OSV record.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &[u8]| {
    tidewaiter::fuzzing::osv_record(json);
});
