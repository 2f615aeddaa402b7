//! An AQL query: what is read is written so that it reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidewaiter::select::aql::Query;

fuzz_target!(|text: &str| {
    if let Ok(query) = Query::new(text) {
        assert_eq!(Query::new(&query.to_string()).expect("what is written is read"), query);
    }
});
