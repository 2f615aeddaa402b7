//! What servers answer besides content: tokens, error bodies, `Retry-After`. The first byte chooses.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidewaiter::net::answer::Reason;
use tidewaiter::net::{retry, token};

fuzz_target!(|input: &[u8]| {
    let Some((choice, answer)) = input.split_first() else { return };
    match choice % 4 {
        0 => drop(tidewaiter::fuzzing::token(answer)),
        1 => {
            let reason = Reason::read(answer);
            assert!(reason.message.chars().count() <= 257 && !reason.message.contains(char::is_control));
        }
        2 => {
            let now = "2026-11-24T12:00:00Z".parse().expect("a time");
            let _ = retry::retry_after(&String::from_utf8_lossy(answer), now);
        }
        _ => drop(token::decode_base64(&String::from_utf8_lossy(answer))),
    }
});
