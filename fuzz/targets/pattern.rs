//! A pattern and a name, in both syntaxes: the forms that a pattern can also be written in say the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidewaiter::select::{Pattern, Syntax};

fuzz_target!(|text: &str| {
    let (written, name) = text.split_once('\n').unwrap_or((text, ""));
    for syntax in [Syntax::Plain, Syntax::Wildcard] {
        let Ok(pattern) = Pattern::with_syntax(written, syntax) else { continue };
        let matches = pattern.matches(name);
        assert!(matches || !pattern.is_all());
        if let Some(only) = pattern.literal() {
            assert_eq!(matches, only == name);
        }
        // A name with a star or a question mark does not exist.
        if let Some(wildcard) = pattern.wildcard().filter(|_| !name.contains(['*', '?'])) {
            if let Ok(same) = Pattern::with_syntax(&wildcard, Syntax::Wildcard) {
                assert_eq!(same.matches(name), matches, "{wildcard}");
            }
        }
    }
});
