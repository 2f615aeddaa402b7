//! A date filter, a repository, the JSON of a selection: what is read is written so that it reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidewaiter::select::{Naming, Pushed, Selection};

fuzz_target!(|text: &str| {
    if let Ok(pushed) = text.parse::<Pushed>() {
        assert_eq!(pushed.to_string().parse::<Pushed>().ok(), Some(pushed));
    }
    for naming in [Naming::of_host("r.io:5000"), Naming::docker_hub(), Naming::below("eu.gcr.io", "acme/images")] {
        let _ = naming.resolve(text);
    }
    if let Ok(selection) = Selection::from_json(text) {
        let json = serde_json::to_string(&selection).expect("a selection is JSON");
        assert_eq!(Selection::from_json(&json).expect("what is written is read"), selection);
        let _ = selection.on(&Naming::docker_hub());
        let _ = selection.on(&Naming::artifactory("art.example"));
    }
});
