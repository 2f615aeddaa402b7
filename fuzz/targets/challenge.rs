//! The lines of `WWW-Authenticate`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidewaiter::net::challenge;

fuzz_target!(|input: &[u8]| {
    for challenge in challenge::parse(input.split(|byte| *byte == b'\n')) {
        let _ = (challenge.is_basic(), challenge.is_bearer(), challenge.param("realm"), challenge.scopes().count());
    }
});
