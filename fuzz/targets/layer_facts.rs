//! The facts of a layer as they come from a cache.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidewaiter::layer::LayerFacts;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(facts) = LayerFacts::from_bytes(bytes) {
        facts.to_bytes().expect("facts are written");
    }
});
