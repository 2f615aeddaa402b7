//! The JSON that describes a registry.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidewaiter::registry::Registry;

fuzz_target!(|text: &str| {
    if let Ok(registry) = Registry::from_json(text) {
        let _ = (registry.base(), registry.host());
    }
});
