use jiff::Timestamp;

use super::{Schedule, Weekday};
use crate::error::Kind;

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn schedule(json: &str) -> Schedule {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

/// The next runs after a time: schedule, after, and what follows.
const TABLE: &[(&str, &str, &[&str])] = &[
    // Without an anchor the time that is asked from is the anchor.
    (r#"{"every": 1}"#, "2026-11-24T17:00:00Z", &["2026-11-25T17:00:00Z", "2026-11-26T17:00:00Z"]),
    (r#"{"every": 1, "at": "02:30"}"#, "2026-11-24T17:00:00Z", &["2026-11-25T02:30:00Z"]),
    (r#"{"every": 1, "at": "18:30"}"#, "2026-11-24T17:00:00Z", &["2026-11-24T18:30:00Z"]),
    // After is exclusive.
    (r#"{"every": 1, "at": "17:00"}"#, "2026-11-24T17:00:00Z", &["2026-11-25T17:00:00Z"]),
    // The first run is the first at or after the anchor.
    (
        r#"{"every": 7, "anchor": "2027-01-01T12:00:00Z"}"#,
        "2026-11-24T17:00:00Z",
        &["2027-01-01T12:00:00Z", "2027-01-08T12:00:00Z"],
    ),
    (
        r#"{"every": 1, "at": "06:00", "anchor": "2027-01-01T12:00:00Z"}"#,
        "2026-11-24T17:00:00Z",
        &["2027-01-02T06:00:00Z"],
    ),
    (
        r#"{"every": 14, "anchor": "2026-11-01T08:15:30.9+01:00", "zone": "Europe/Berlin"}"#,
        "2026-11-24T17:00:00Z",
        &["2026-11-29T07:15:30Z", "2026-12-13T07:15:30Z"],
    ),
    (
        r#"{"every": 365, "anchor": "2024-02-29T00:00:00Z"}"#,
        "2024-02-29T00:00:00Z",
        &["2025-02-28T00:00:00Z", "2026-02-28T00:00:00Z"],
    ),
    // A day of the week in the zone: it is Friday in Auckland when it is still Thursday in UTC.
    (
        r#"{"every": 7, "weekday": "friday", "zone": "Pacific/Auckland", "anchor": "2026-11-24T17:00:00Z"}"#,
        "2026-11-24T17:00:00Z",
        &["2026-11-26T17:00:00Z", "2026-12-03T17:00:00Z"],
    ),
    (
        r#"{"every": 7, "weekday": "tuesday", "anchor": "2026-11-24T17:00:00Z"}"#,
        "2026-11-24T16:59:59Z",
        &["2026-11-24T17:00:00Z", "2026-12-01T17:00:00Z"],
    ),
    // Local time stays where it is when the clocks are changed.
    (
        r#"{"every": 7, "zone": "Europe/Berlin", "anchor": "2026-10-14T00:30:00Z"}"#,
        "2026-10-14T00:30:00Z",
        &["2026-10-21T00:30:00Z", "2026-10-28T01:30:00Z"],
    ),
    // In the gap: at the first instant after it. Twice: at the first.
    (
        r#"{"every": 1, "at": "02:30", "zone": "Europe/Berlin"}"#,
        "2026-03-27T12:00:00Z",
        &["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
    ),
    (
        r#"{"every": 1, "at": "01:30", "zone": "America/New_York"}"#,
        "2026-10-31T12:00:00Z",
        &["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"],
    ),
    // A gap of half an hour at 02:00 in Lord Howe, and one at midnight in Beirut.
    (
        r#"{"every": 1, "at": "02:15", "zone": "Australia/Lord_Howe"}"#,
        "2026-10-03T12:00:00Z",
        &["2026-10-03T15:30:00Z"],
    ),
    (r#"{"every": 1, "at": "00:00", "zone": "Asia/Beirut"}"#, "2026-03-28T12:00:00Z", &["2026-03-28T22:00:00Z"]),
    // Samoa had no 30 December 2011: its run is at the first instant of the 31st, where there may be one already.
    (
        r#"{"every": 1, "at": "05:00", "zone": "Pacific/Apia"}"#,
        "2011-12-29T16:00:00Z",
        &["2011-12-30T10:00:00Z", "2011-12-30T15:00:00Z", "2011-12-31T15:00:00Z"],
    ),
    (
        r#"{"every": 1, "at": "00:00", "zone": "Pacific/Apia"}"#,
        "2011-12-29T11:00:00Z",
        &["2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"],
    ),
];

#[test]
fn the_next_runs() {
    for (json, after, expected) in TABLE {
        let (schedule, after) = (schedule(json), time(after));
        let mut runs = Vec::new();
        let mut last = after;
        let anchored = schedule.clone().anchored(after);
        while runs.len() < expected.len() {
            last = anchored.next_after(last).unwrap();
            runs.push(last.to_string());
        }
        assert_eq!(runs, *expected, "{json}");
        assert_eq!(schedule.next_after(after), Some(time(expected[0])), "{json}");
    }
}

#[test]
fn occurrences_begin_with_the_time_itself() {
    let runs: Vec<_> = schedule(r#"{"every": 7, "anchor": "2026-11-24T17:00:00Z"}"#)
        .occurrences(time("2026-12-01T17:00:00Z"))
        .take(2)
        .map(|run| run.to_string())
        .collect();
    assert_eq!(runs, ["2026-12-01T17:00:00Z", "2026-12-08T17:00:00Z"]);
    assert_eq!(Schedule::on_demand().occurrences(time("2026-12-01T17:00:00Z")).count(), 0);
}

#[test]
fn ends_with_the_calendar() {
    let schedule = Schedule::daily().at(12, 0).unwrap();
    assert_eq!(schedule.next_after(Timestamp::MAX), None);
    assert_eq!(schedule.occurrences(time("9999-12-29T00:00:00Z")).count(), 2);
    assert!(schedule.next_after(Timestamp::MIN).is_some());
    for zone in ["Pacific/Kiritimati", "Pacific/Midway"] {
        let schedule = Schedule::every(365).unwrap().zone(zone).unwrap();
        for at in [Timestamp::MIN, Timestamp::MAX] {
            assert!(schedule.occurrences(at).take(3).count() <= 3);
            assert!(schedule.due(Some(at), Timestamp::MAX).is_none_or(|run| run > at));
        }
    }
}

#[test]
fn missed_runs_are_one() {
    let schedule = schedule(r#"{"every": 1, "at": "02:30", "anchor": "2026-11-01T00:00:00Z"}"#);
    let due = |last: Option<&str>, now: &str| schedule.due(last.map(time), time(now)).map(|run| run.to_string());
    // Nothing before the first, once after it, and only the latest of several.
    assert_eq!(due(None, "2026-11-01T02:29:59Z"), None);
    assert_eq!(due(None, "2026-11-01T02:30:00Z").as_deref(), Some("2026-11-01T02:30:00Z"));
    assert_eq!(due(Some("2026-11-01T02:30:00Z"), "2026-11-01T23:00:00Z"), None);
    assert_eq!(due(Some("2026-11-01T02:30:00Z"), "2026-11-06T03:00:00Z").as_deref(), Some("2026-11-06T02:30:00Z"));
    // The clock was put back.
    assert_eq!(due(Some("2026-11-06T02:30:00Z"), "2026-11-03T03:00:00Z"), None);
    assert_eq!(Schedule::on_demand().due(None, time("2026-11-01T02:30:00Z")), None);
}

#[test]
fn refuses_what_contradicts_itself_and_names_the_field() {
    for (json, field) in [
        (r#"{"every": 0}"#, "every"),
        (r#"{"every": 366}"#, "every"),
        (r#"{"every": 7, "at": "02:30"}"#, "at"),
        (r#"{"every": 1, "at": "24:00"}"#, "at"),
        (r#"{"every": 1, "at": "2:30"}"#, "at"),
        (r#"{"every": 1, "at": "02:30:00"}"#, "at"),
        (r#"{"every": 1, "at": "+2:30"}"#, "at"),
        (r#"{"every": 1, "weekday": "monday"}"#, "weekday"),
        (r#"{"every": 14, "weekday": "monday"}"#, "weekday"),
        (r#"{"every": 7, "weekday": "mon"}"#, "weekday"),
        (r#"{"every": 7, "zone": "Mars/Olympus"}"#, "zone"),
        (r#"{"every": 7, "zone": ""}"#, "zone"),
        (r#"{"every": 7, "zone": "../../etc/passwd"}"#, "zone"),
        (r#"{"every": 7, "zone": "Etc/Unknown"}"#, "zone"),
        (r#"{"every": 7, "anchor": "2026-11-24"}"#, "anchor"),
        (r#"{"every": 7, "anchor": "2026-02-30T00:00:00Z"}"#, "anchor"),
    ] {
        let definition: super::Definition = serde_json::from_str(json).unwrap();
        let error = Schedule::try_from(definition).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidInput, "{json}");
        assert!(error.to_string().contains(&format!("field: {field}")), "{json}: {error}");
        assert!(serde_json::from_str::<Schedule>(json).is_err(), "{json}");
    }
    for json in [r#"{"every": 1, "days": 2}"#, r#"{"at": "02:30"}"#, r#"{"every": "1"}"#, r#"{"every": -1}"#, "7"] {
        assert!(serde_json::from_str::<Schedule>(json).is_err(), "{json}");
    }
    let on_demand = || Schedule::on_demand();
    let anchor = time("2026-11-24T00:00:00Z");
    for error in [
        on_demand().at(2, 30),
        on_demand().weekday(Weekday::Monday),
        on_demand().zone("UTC"),
        on_demand().anchor(anchor),
    ] {
        assert_eq!(error.unwrap_err().kind(), Kind::InvalidInput);
    }
}

#[test]
fn written_as_it_was_read() {
    for (json, written) in [
        ("null", "null"),
        (r#"{"every": 30}"#, r#"{"every":30,"zone":"UTC"}"#),
        (
            r#"{"every": 1, "at": "02:30", "zone": "europe/berlin"}"#,
            r#"{"every":1,"at":"02:30","zone":"Europe/Berlin"}"#,
        ),
        (
            r#"{"every": 7, "weekday": "Sunday", "anchor": "2026-11-24T01:00:00+01:00"}"#,
            r#"{"every":7,"weekday":"sunday","zone":"UTC","anchor":"2026-11-24T00:00:00Z"}"#,
        ),
    ] {
        let read = schedule(json);
        assert_eq!(serde_json::to_string(&read).unwrap(), written);
        assert_eq!(schedule(written), read);
    }
}

#[test]
fn scan_all_on_a_schedule_needs_a_week_and_one_limit() {
    let (daily, weekly, on_demand) = (Schedule::daily(), Schedule::weekly(), Schedule::on_demand());
    for (schedule, newest, pushed) in [
        (&on_demand, None, None),
        (&on_demand, Some(5), Some(30)),
        (&weekly, Some(5), None),
        (&weekly, None, Some(365)),
    ] {
        schedule.check_scan_all(newest, pushed).unwrap();
    }
    for (schedule, newest, pushed) in [(&daily, Some(5), None), (&weekly, None, None), (&weekly, Some(5), Some(5))] {
        let error = schedule.check_scan_all(newest, pushed).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidInput, "{newest:?} {pushed:?}");
    }
}
