//! The JSON of a job and of its schedule, with their times and names: what is read is written so that it reads the same, and the times of a schedule
//! come one after another.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidewaiter::{Job, Schedule};

fn held(schedule: &Schedule) {
    let json = serde_json::to_string(schedule).expect("a schedule is JSON");
    assert_eq!(serde_json::from_str::<Schedule>(&json).expect("what is written is read"), *schedule);
    for now in ["1970-01-01T00:00:00Z", "2026-03-29T00:59:59.5Z", "9999-12-30T22:00:00Z"] {
        let now = now.parse().expect("a time");
        let anchored = schedule.clone().anchored(now);
        let next: Vec<_> = anchored.occurrences(now).take(3).collect();
        assert!(next.is_sorted_by(|a, b| a < b) && next.first().is_none_or(|first| *first >= now), "{json}: {next:?}");
        assert!(anchored.next_after(now).is_none_or(|next| next > now), "{json}");
        assert!(anchored.due(None, now).is_none_or(|due| due <= now), "{json}");
        assert!(anchored.due(Some(now), now).is_none_or(|due| due <= now), "{json}");
    }
}

fuzz_target!(|text: &str| {
    if let Ok(schedule) = serde_json::from_str::<Schedule>(text) {
        held(&schedule);
    }
    let Ok(job) = serde_json::from_str::<Job>(text) else { return };
    held(&job.schedule);
    let json = serde_json::to_string(&job).expect("a job is JSON");
    assert_eq!(serde_json::from_str::<Job>(&json).expect("what is written is read"), job);
    if job.check().is_ok() {
        assert!(job.name.len() <= 200 && !job.name.contains(char::is_control));
    }
});
