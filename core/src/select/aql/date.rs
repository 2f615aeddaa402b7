//! Dates and lengths of time in queries.

use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// A unit of time. There is none for hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Thousandths of a second.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// Minutes.
    Minutes,
    /// Days of 24 hours.
    Days,
    /// Weeks.
    Weeks,
    /// Months of the calendar.
    Months,
    /// Years of the calendar.
    Years,
}

impl Unit {
    /// Every unit with its names, the first of which is written: those that all versions know.
    const ALL: &'static [(Self, &'static [&'static str])] = &[
        (Self::Milliseconds, &["ms", "millis", "mills"]),
        (Self::Seconds, &["s", "seconds"]),
        (Self::Minutes, &["minutes", "mi"]),
        (Self::Days, &["d", "days"]),
        (Self::Weeks, &["w", "weeks"]),
        (Self::Months, &["mo", "months"]),
        (Self::Years, &["y", "years"]),
    ];
}

/// A length of time, such as `7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// How many.
    pub count: u32,
    /// Of what.
    pub unit: Unit,
}

impl Period {
    /// Reads a number and a unit; the case of the unit does not matter.
    pub fn read(text: &str) -> Option<Self> {
        let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
        let unit = unit.to_ascii_lowercase();
        let (unit, _) = Unit::ALL.iter().find(|(_, names)| names.contains(&unit.as_str()))?;
        Some(Self { count: digits.parse().ok()?, unit: *unit })
    }

    /// So long before `now`, by the calendar in UTC; the start of all times where it is longer.
    pub fn before(self, now: Timestamp) -> Timestamp {
        let count = i64::from(self.count);
        let span = match self.unit {
            Unit::Milliseconds => Span::new().try_milliseconds(count),
            Unit::Seconds => Span::new().try_seconds(count),
            Unit::Minutes => Span::new().try_minutes(count),
            Unit::Days => Span::new().try_days(count),
            Unit::Weeks => Span::new().try_weeks(count),
            Unit::Months => Span::new().try_months(count),
            Unit::Years => Span::new().try_years(count),
        };
        let then = span.and_then(|span| now.to_zoned_datetime(TimeZone::UTC).checked_sub(span));
        then.map_or(first(), |then| then.timestamp().max(first()))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Unit::ALL.iter().find(|(unit, _)| *unit == self.unit).map(|(_, names)| *names).unwrap_or_default();
        write!(f, "{}{}", self.count, names.first().unwrap_or(&""))
    }
}

/// The first instant that is written with a year of four digits.
fn first() -> Timestamp {
    DateTime::constant(1, 1, 1, 0, 0, 0, 0)
        .to_zoned_datetime(TimeZone::UTC)
        .map_or(Timestamp::MIN, |first| first.timestamp())
}

/// The time without what is less than a millisecond: finer than that, queries and rows do not tell.
pub(super) fn to_millisecond(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_nanosecond().div_euclid(1_000_000).try_into().unwrap_or(i64::MIN))
        .unwrap_or(time)
}

/// Reads a date: milliseconds since 1970, `YYYY`, `YYYY-MM`, `YYYY-MM-DD`, or with a time and an offset. Without an offset it is
/// UTC here; a server would take its own zone, so that it is always sent with one.
pub(super) fn read(text: &str) -> Option<Timestamp> {
    let is_made_of = |allowed: fn(char) -> bool| !text.is_empty() && text.chars().all(allowed);
    let time = if text.len() > 4 && is_made_of(|c| c.is_ascii_digit()) {
        Timestamp::from_millisecond(text.parse().ok()?).ok()?
    } else if !is_made_of(|c| c.is_ascii_digit() || matches!(c, '-' | ':' | '.' | '+' | 'T' | 'Z'))
        || text.starts_with(['-', '+'])
    {
        return None;
    } else {
        match text.len() {
            4 => civil(&format!("{text}-01-01"))?,
            7 => civil(&format!("{text}-01"))?,
            _ => text.parse().ok().or_else(|| civil(text))?,
        }
    };
    (time >= first() && to_millisecond(time) == time).then_some(time)
}

fn civil(text: &str) -> Option<Timestamp> {
    text.parse::<DateTime>().ok()?.to_zoned_datetime(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

/// As it is always sent: UTC, to the millisecond.
pub(super) fn write(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (text, expected) in [
            ("2026", "2026-01-01T00:00:00.000Z"),
            ("2026-06", "2026-06-01T00:00:00.000Z"),
            ("2026-06-15", "2026-06-15T00:00:00.000Z"),
            ("2026-06-15T12:30", "2026-06-15T12:30:00.000Z"),
            ("2026-06-15T12:30:01.5", "2026-06-15T12:30:01.500Z"),
            ("2026-05-01T00:00:00.000+02:00", "2026-04-30T22:00:00.000Z"),
            ("2026-06-15T12:30:01Z", "2026-06-15T12:30:01.000Z"),
            ("1781481600000", "2026-06-15T00:00:00.000Z"),
        ] {
            let time = read(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(write(time), expected, "{text}");
            assert_eq!(read(&write(time)), Some(time), "{text}");
        }
        for text in [
            "",
            "yesterday",
            "2026-13",
            "2026-02-30",
            "2026-06-15T12:30:01.0001Z",
            "99999999999999999999",
            "2026-W01-1",
            "-1",
            "+2026",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn periods() {
        let now: Timestamp = "2026-03-31T12:00:00Z".parse().unwrap();
        for (text, written, then) in [
            ("7d", "7d", "2026-03-24T12:00:00Z"),
            ("10Days", "10d", "2026-03-21T12:00:00Z"),
            ("1w", "1w", "2026-03-24T12:00:00Z"),
            ("1mo", "1mo", "2026-02-28T12:00:00Z"),
            ("2years", "2y", "2024-03-31T12:00:00Z"),
            ("90mi", "90minutes", "2026-03-31T10:30:00Z"),
            ("500millis", "500ms", "2026-03-31T11:59:59.5Z"),
            ("4294967295y", "4294967295y", "0001-01-01T00:00:00Z"),
        ] {
            let period = Period::read(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(
                (period.to_string().as_str(), period.before(now).to_string().as_str()),
                (written, then),
                "{text}"
            );
            assert_eq!(Period::read(written), Some(period));
        }
        for text in ["", "d", "7", "7 d", "12h", "5m", "-1d", "1.5d", "4294967296d", "7dd"] {
            assert_eq!(Period::read(text), None, "{text}");
        }
    }
}
