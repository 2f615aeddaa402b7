//! A version, a line break, an OSV record: the rows of the record say of the version whether it is affected.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut lines = input.splitn(2, |byte| *byte == b'\n');
    let version = String::from_utf8_lossy(lines.next().unwrap_or_default());
    tidewaiter::fuzzing::matching(&version, lines.next().unwrap_or_default());
});
