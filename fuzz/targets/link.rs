//! The lines of `Link`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidewaiter::net::link;
use url::Url;

fuzz_target!(|input: &[u8]| {
    let request = Url::parse("https://registry.example:5000/v2/_catalog?n=100").expect("a URL");
    let _ = link::next(&request, input.split(|byte| *byte == b'\n'));
});
