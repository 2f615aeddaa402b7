//! Schedules against a calendar that is not ours: Python's `zoneinfo` over 400 years, most of it near changes of the clocks.

use std::path::Path;
use std::process::Command;

use jiff::Timestamp;
use serde::Deserialize;
use tidewaiter::Schedule;

#[derive(Deserialize)]
struct Case {
    schedule: Schedule,
    after: Timestamp,
    expected: Vec<Timestamp>,
}

/// What the script prints; none, and why, where there is no Python or no time zones.
fn cases(seed: u64, count: usize) -> Option<Vec<Case>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/almanac.py");
    let has_zones =
        Command::new("python3").args(["-c", "import zoneinfo; zoneinfo.ZoneInfo('Europe/Berlin')"]).output();
    if !has_zones.is_ok_and(|output| output.status.success()) {
        assert!(std::env::var_os("CI").is_none(), "in CI there must be a python3 with time zones");
        println!("skipped: there is no python3 with time zones");
        return None;
    }
    let output = Command::new("python3").arg(script).args([seed.to_string(), count.to_string()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    Some(
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect(),
    )
}

#[test]
fn agrees_with_another_calendar() {
    let seed = std::env::var("TIDEWAITER_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20261124);
    let Some(cases) = cases(seed, 3000) else { return };
    assert_eq!(cases.len(), 3000);
    for Case { schedule, after, expected } in cases {
        let told = || format!("{} after {after}", serde_json::to_string(&schedule).unwrap());
        let mut runs = Vec::new();
        let mut last = after;
        for _ in &expected {
            last = schedule.next_after(last).unwrap();
            runs.push(last);
        }
        assert_eq!(runs, expected, "{}", told());
        let from: Vec<_> = schedule.occurrences(expected[0]).take(expected.len()).collect();
        assert_eq!(from, expected, "occurrences of {}", told());
        // The second is due from its second on until the third, and the first is never made up for.
        for now in [expected[1], expected[2] - jiff::SignedDuration::from_secs(1)] {
            assert_eq!(schedule.due(Some(after), now), Some(expected[1]), "due at {now}: {}", told());
        }
        assert_eq!(schedule.due(Some(expected[1]), expected[1]), None, "{}", told());
    }
}
