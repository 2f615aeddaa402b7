//! When a schedule runs next.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;
use tidewaiter::schedule::{Definition, Schedule};
use tidewaiter::{Error, Kind, Result};

/// The most runs that are told at once.
const MOST: usize = 10_000;

/// Which runs of a schedule are told.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NextOptions {
    /// Only runs after this time (RFC 3339). Default: now.
    pub after: Option<String>,
    /// How many, 1 to 10,000; 1 by default.
    pub count: Option<usize>,
}

/// The next runs of a schedule, as RFC 3339 in UTC: fewer than asked for where there are no more, none on demand (null).
/// Without an anchor they count from `after`.
///
/// # Errors
/// [`Kind::InvalidInput`], which names the field, for a schedule that contradicts itself, a time that is none, or a wrong
/// count.
pub fn next_runs(schedule: Option<Definition>, options: &NextOptions) -> Result<Vec<String>> {
    let schedule = Schedule::try_from(schedule)?;
    let after = match &options.after {
        Some(after) => moment("after", after)?,
        None => Timestamp::now(),
    };
    let count = options.count.unwrap_or(1);
    if !(1..=MOST).contains(&count) {
        return Err(Error::new(Kind::InvalidInput, "a count is 1 to 10000")
            .with("field", "count")
            .with("count", count));
    }
    let schedule = schedule.anchored(after);
    let runs = std::iter::successors(schedule.next_after(after), |last| schedule.next_after(*last));
    Ok(runs.take(count).map(|run| run.to_string()).collect())
}

/// A time as RFC 3339, or a day, which is its start in UTC.
///
/// # Errors
/// [`Kind::InvalidInput`], which names the field.
pub(crate) fn moment(field: &'static str, text: &str) -> Result<Timestamp> {
    let day = || {
        // More than a day would be a time without an offset.
        let day = text.parse::<Date>().ok().filter(|_| text.len() == "2026-01-31".len())?;
        day.to_zoned_datetime(TimeZone::UTC).ok().map(|start| start.timestamp())
    };
    text.parse().ok().or_else(day).ok_or_else(|| {
        Error::new(Kind::InvalidInput, "this is no time")
            .with("field", field)
            .with("time", text.chars().take(100).collect::<String>().escape_debug())
            .with_hint("write a time such as 2026-01-31T08:00:00Z, or a day such as 2026-01-31")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(schedule: &str, options: &str) -> Result<Vec<String>> {
        next_runs(crate::from_json(schedule, "the schedule")?, &crate::from_json(options, "the options")?)
    }

    #[test]
    fn tells_as_many_as_asked_for() {
        let nightly = r#"{"every": 1, "at": "02:30", "zone": "Europe/Berlin"}"#;
        assert_eq!(
            next(nightly, r#"{"after": "2026-03-27T12:00:00Z", "count": 3}"#).unwrap(),
            ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]
        );
        assert_eq!(next(nightly, "").unwrap().len(), 1);
        assert_eq!(next(nightly, r#"{"after": "9999-12-30T00:00:00Z", "count": 100}"#).unwrap().len(), 1);
        assert!(next("null", "").unwrap().is_empty());
        // Every time is to the second, whatever it is now.
        let runs = next(r#"{"every": 7}"#, r#"{"after": "2026-11-24T17:00:00.123Z", "count": 2}"#).unwrap();
        assert_eq!(runs, ["2026-12-01T17:00:00Z", "2026-12-08T17:00:00Z"]);
    }

    #[test]
    fn a_time_may_be_a_day() {
        assert_eq!(moment("since", "2026-11-01").unwrap().to_string(), "2026-11-01T00:00:00Z");
        assert_eq!(moment("since", "2026-11-01T02:00:00+02:00").unwrap().to_string(), "2026-11-01T00:00:00Z");
        let error = moment("since", "yesterday").unwrap_err();
        assert_eq!(error.to_string(), "this is no time (field: since, time: yesterday)");
    }

    #[test]
    fn names_what_is_wrong() {
        for (schedule, options, field) in [
            (r#"{"every": 7, "at": "02:30"}"#, "", "field: at"),
            (r#"{"every": 1, "zone": "Mars/Olympus"}"#, "", "field: zone"),
            (r#"{"every": 1}"#, r#"{"after": "yesterday"}"#, "field: after"),
            (r#"{"every": 1}"#, r#"{"count": 0}"#, "field: count"),
            (r#"{"every": 1}"#, r#"{"count": 10001}"#, "field: count"),
            ("", "", "missing field `every`"),
            (r#"{"every": 1, "until": 2}"#, "", "unknown field `until`"),
        ] {
            let error = next(schedule, options).unwrap_err();
            assert_eq!(error.kind(), Kind::InvalidInput);
            assert!(error.to_string().contains(field), "{schedule}: {error}");
        }
    }
}
