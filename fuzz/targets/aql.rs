//! A query: what is read is written so that it reads the same, and what would be sent leaves out nothing that is meant.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidewaiter::select::aql::{Item, Query};

fuzz_target!(|text: &str| {
    let Ok(query) = Query::new(text) else { return };
    let written = query.to_string();
    // Naming every comparator makes a query longer, perhaps too long.
    if let Ok(again) = Query::new(&written) {
        assert_eq!(again, query);
        assert_eq!(again.to_string(), written);
    } else {
        assert!(written.chars().count() > tidewaiter::select::aql::MAX_LENGTH, "{written}");
    }
    let now = "2026-06-15T12:00:00.123456Z".parse().expect("a time");
    let item = Item {
        repo: "local".to_owned(),
        path: "team/app/v1".to_owned(),
        name: "manifest.json".to_owned(),
        size: 1500,
        modified: "2026-06-01T00:00:00Z".parse().ok(),
        properties: vec![("a".to_owned(), "b".to_owned()), ("a".to_owned(), "c".to_owned())],
        ..Item::default()
    };
    if query.matches(&item, now) {
        assert!(query.for_server(now).matches(&item, now), "{query}");
    }
});
