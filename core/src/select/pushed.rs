//! The date filter: days of a calendar in a time zone, a window that ends now, or a range.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::de::{Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

use crate::error::{Error, Kind, Result};
use crate::model::zone::Zone;

/// When an image was pushed.
///
/// Written `all`, `today`, `yesterday`, `last-7-days`, `last-14-days`, `last-30-days`, a number of days (1 to 365), or `FROM..TO`:
/// the start is part of a range, the end is not, either may be left out, and each is a day or an RFC 3339 time.
///
/// ```
/// use tidewaiter::select::Pushed;
/// assert_eq!("last-7-days".parse::<Pushed>()?, Pushed::last_days(7)?);
/// assert_eq!("2026-01-01..".parse::<Pushed>()?.to_string(), "2026-01-01..");
/// assert!(Pushed::last_days(366).is_err());
/// # Ok::<(), tidewaiter::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pushed(Span);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Span {
    #[default]
    All,
    Today,
    Yesterday,
    LastDays(u16),
    Range(Option<Moment>, Option<Moment>),
}

/// One end of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The start of a day, in the zone of the selection.
    Day(Date),
    /// An instant.
    At(Timestamp),
}

impl Moment {
    fn instant(self, zone: &Zone) -> Result<Timestamp> {
        match self {
            Self::Day(day) => zone.start_of(day),
            Self::At(time) => Ok(time),
        }
    }
}

impl Pushed {
    /// Whenever: no filter.
    pub fn all() -> Self {
        Self(Span::All)
    }

    /// On the calendar day that it is in the zone.
    pub fn today() -> Self {
        Self(Span::Today)
    }

    /// On the calendar day before.
    pub fn yesterday() -> Self {
        Self(Span::Yesterday)
    }

    /// In the last `days` times 24 hours.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] unless `days` is 1 to 365.
    pub fn last_days(days: u16) -> Result<Self> {
        Self::some_days(days.into(), days)
    }

    /// The same, where `shown` is what was written.
    fn some_days(days: u64, shown: impl fmt::Display) -> Result<Self> {
        match u16::try_from(days) {
            Ok(days @ 1..=365) => Ok(Self(Span::LastDays(days))),
            _ => Err(wrong("a number of days is 1 to 365").with("pushed", shown)),
        }
    }

    /// From `from`, which is part of it, to `to`, which is not.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] with neither. That the two are in order and `from` is not in the future is [checked](Self::check)
    /// where the zone and the time are known.
    pub fn range(from: Option<Moment>, to: Option<Moment>) -> Result<Self> {
        if from.is_none() && to.is_none() {
            return Err(wrong("a range has a start or an end").with("pushed", ".."));
        }
        Ok(Self(Span::Range(from, to)))
    }

    /// Whether there is no filter.
    pub fn is_all(&self) -> bool {
        self.0 == Span::All
    }

    /// The days of a window that ends now, where it is one.
    pub fn days(&self) -> Option<u16> {
        match self.0 {
            Span::LastDays(days) => Some(days),
            _ => None,
        }
    }

    /// What only the time and the zone tell: a range has its start before its end, and does not start in the future.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`].
    pub fn check(&self, zone: &Zone, now: Timestamp) -> Result<()> {
        let window = self.window(zone, now)?;
        let wrong = |message: &'static str| Err(wrong(message).with("pushed", self));
        if matches!(self.0, Span::Range(..)) && window.from.is_some_and(|from| from > now) {
            return wrong("nothing can have been pushed in the future");
        }
        if window.from.zip(window.to).is_some_and(|(from, to)| from >= to) {
            return wrong("a range ends after its start");
        }
        Ok(())
    }

    /// The instants that are meant, at `now`.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for days at the end of all times.
    pub fn window(&self, zone: &Zone, now: Timestamp) -> Result<Window> {
        let far = |error: jiff::Error| wrong("this day cannot be reckoned with").because(error);
        let today = zone.day_of(now);
        let day = |day: Date| -> Result<Window> {
            let next = day.tomorrow().map_err(far)?;
            Ok(Window { from: Some(zone.start_of(day)?), to: Some(zone.start_of(next)?) })
        };
        match self.0 {
            Span::All => Ok(Window::default()),
            Span::Today => day(today),
            Span::Yesterday => day(today.yesterday().map_err(far)?),
            Span::LastDays(days) => {
                let from = now.checked_sub(SignedDuration::from_hours(24 * i64::from(days))).map_err(far)?;
                Ok(Window { from: Some(from), to: None })
            }
            Span::Range(from, to) => {
                let instant = |moment: Option<Moment>| moment.map(|moment| moment.instant(zone)).transpose();
                Ok(Window { from: instant(from)?, to: instant(to)? })
            }
        }
    }
}

/// A stretch of time: `from` is part of it, `to` is not; without one it has no end there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// The start.
    pub from: Option<Timestamp>,
    /// The end.
    pub to: Option<Timestamp>,
}

impl Window {
    /// Whether a date lies in it. The clock of a registry may be ahead of ours: a date after `now` counts as `now`.
    pub fn contains(&self, date: Timestamp, now: Timestamp) -> bool {
        let date = date.min(now);
        self.from.is_none_or(|from| from <= date) && self.to.is_none_or(|to| date < to)
    }
}

fn wrong(message: &'static str) -> Error {
    Error::new(Kind::InvalidInput, message).with_hint(
        "write all, today, yesterday, last-7-days, last-14-days, last-30-days, a number of days from 1 to 365, or FROM..TO with \
         days (2026-01-31) or times (2026-01-31T08:00:00Z)",
    )
}

impl FromStr for Pushed {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let unknown = || wrong("this is no date filter").with("pushed", text.escape_debug());
        let days = |digits: &str| -> Result<Self> {
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            if !is_number {
                return Err(unknown());
            }
            // More digits than a number of days has are too many days.
            Self::some_days(digits.parse().unwrap_or(u64::MAX), digits)
        };
        match text {
            "all" => return Ok(Self::all()),
            "today" => return Ok(Self::today()),
            "yesterday" => return Ok(Self::yesterday()),
            _ => {}
        }
        if let Some((from, to)) = text.split_once("..") {
            let moment = |text: &str| -> Result<Option<Moment>> {
                if text.is_empty() {
                    return Ok(None);
                }
                let day = text.parse().ok().filter(|_| text.len() == "2026-01-31".len()).map(Moment::Day);
                day.or_else(|| text.parse().ok().map(Moment::At)).map(Some).ok_or_else(unknown)
            };
            return Self::range(moment(from)?, moment(to)?);
        }
        days(text.strip_prefix("last-").and_then(|rest| rest.strip_suffix("-days")).unwrap_or(text))
    }
}

impl fmt::Display for Pushed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Span::All => f.write_str("all"),
            Span::Today => f.write_str("today"),
            Span::Yesterday => f.write_str("yesterday"),
            Span::LastDays(days @ (7 | 14 | 30)) => write!(f, "last-{days}-days"),
            Span::LastDays(days) => write!(f, "{days}"),
            Span::Range(from, to) => {
                let show = |moment: &Option<Moment>| match moment {
                    None => String::new(),
                    Some(Moment::Day(day)) => day.to_string(),
                    Some(Moment::At(time)) => time.to_string(),
                };
                write!(f, "{}..{}", show(from), show(to))
            }
        }
    }
}

impl Serialize for Pushed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// From its text, or from a number of days.
impl<'de> Deserialize<'de> for Pushed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = Pushed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a date filter, as text or as a number of days")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Pushed, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: serde::de::Error>(self, days: u64) -> Result<Pushed, E> {
                Pushed::some_days(days, days).map_err(E::custom)
            }

            fn visit_i64<E: serde::de::Error>(self, days: i64) -> Result<Pushed, E> {
                Pushed::some_days(days.try_into().unwrap_or(0), days).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_number_of_days_is_shown_as_it_was_written() {
        for (json, shown) in [
            ("100000", "100000"),
            ("-1", "-1"),
            ("0", "0"),
            ("\"100000000000000000000000\"", "100000000000000000000000"),
            ("\"last-400-days\"", "400"),
        ] {
            let error = serde_json::from_str::<Pushed>(json).unwrap_err().to_string();
            assert!(error.contains(&format!("(pushed: {shown})")), "{json}: {error}");
        }
    }

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_meant_at_a_time() {
        // now, zone, filter, start, end
        let cases = "
            2026-06-15T12:00:00Z UTC             all           -                     -
            2026-06-15T12:00:00Z UTC             today         2026-06-15T00:00:00Z  2026-06-16T00:00:00Z
            2026-06-15T12:00:00Z UTC             yesterday     2026-06-14T00:00:00Z  2026-06-15T00:00:00Z
            2026-06-15T22:30:00Z Europe/Berlin   today         2026-06-15T22:00:00Z  2026-06-16T22:00:00Z
            2026-06-15T22:30:00Z America/New_York today        2026-06-15T04:00:00Z  2026-06-16T04:00:00Z
            2026-03-29T12:00:00Z Europe/Berlin   today         2026-03-28T23:00:00Z  2026-03-29T22:00:00Z
            2026-10-25T12:00:00Z Europe/Berlin   today         2026-10-24T22:00:00Z  2026-10-25T23:00:00Z
            2026-03-01T00:00:00Z UTC             yesterday     2026-02-28T00:00:00Z  2026-03-01T00:00:00Z
            2026-03-30T12:00:00Z Europe/Berlin   last-7-days   2026-03-23T12:00:00Z  -
            2026-06-15T12:00:00Z UTC             1             2026-06-14T12:00:00Z  -
            2026-06-15T12:00:00Z UTC             365           2025-06-15T12:00:00Z  -
            2026-06-15T12:00:00Z Asia/Tokyo      2026-06-01..  2026-05-31T15:00:00Z  -
            2026-06-15T12:00:00Z UTC             ..2026-06-01  -                     2026-06-01T00:00:00Z
            2026-06-15T12:00:00Z UTC             2026-06-01T08:00:00+02:00..2026-06-02 2026-06-01T06:00:00Z 2026-06-02T00:00:00Z
        ";
        for line in cases.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let words: Vec<_> = line.split_whitespace().collect();
            let [now, zone, filter, from, to] = words[..] else { panic!("{line}") };
            let end = |text: &str| (text != "-").then(|| time(text));
            let pushed: Pushed = filter.parse().unwrap();
            let zone = zone.parse().unwrap();
            assert_eq!(pushed.window(&zone, time(now)).unwrap(), Window { from: end(from), to: end(to) }, "{line}");
            pushed.check(&zone, time(now)).unwrap();
        }
    }

    #[test]
    fn is_written_as_it_is_read() {
        for text in [
            "all",
            "today",
            "yesterday",
            "last-7-days",
            "last-14-days",
            "last-30-days",
            "45",
            "..2026-01-01",
            "2026-01-01..",
        ] {
            let pushed: Pushed = text.parse().unwrap();
            assert_eq!(pushed.to_string(), text);
            assert_eq!(serde_json::from_str::<Pushed>(&serde_json::to_string(&pushed).unwrap()).unwrap(), pushed);
        }
        assert_eq!(serde_json::from_str::<Pushed>("45").unwrap(), "last-45-days".parse().unwrap());
    }

    #[test]
    fn refuses_what_is_no_filter() {
        for text in [
            "",
            "0",
            "366",
            "99999999999999999999",
            "-1",
            "+7",
            "7d",
            "last-0-days",
            "last-366-days",
            "last--days",
            "last-week",
            "..",
            "2026-13-01..",
            "2026-01-01",
            "2026-01-01...",
            "now..",
            "Today",
            "1.5",
        ] {
            let error = text.parse::<Pushed>().unwrap_err();
            assert_eq!(error.kind(), Kind::InvalidInput, "{text}");
            assert!(error.hint().is_some(), "{text}");
        }
        for json in ["0", "366", "-1", "1.5", "null", "99999999999", "\"0\""] {
            assert!(serde_json::from_str::<Pushed>(json).is_err(), "{json}");
        }
        let now = time("2026-06-15T12:00:00Z");
        for text in ["2026-06-16..", "2026-06-15T12:00:01Z..", "2026-06-02..2026-06-01", "2026-06-01..2026-06-01"] {
            let pushed: Pushed = text.parse().unwrap();
            assert_eq!(pushed.check(&Zone::utc(), now).unwrap_err().kind(), Kind::InvalidInput, "{text}");
        }
    }

    #[test]
    fn a_registry_that_is_ahead_loses_nothing() {
        let now = time("2026-06-15T23:59:59Z");
        let ahead = time("2026-06-16T00:00:05Z");
        let window = |text: &str| text.parse::<Pushed>().unwrap().window(&Zone::utc(), now).unwrap();
        assert!(window("today").contains(ahead, now) && window("1").contains(ahead, now));
        assert!(!window("yesterday").contains(ahead, now));
        // The start is part of the window, the end is not.
        let range = window("2026-06-01..2026-06-02");
        assert!(
            range.contains(time("2026-06-01T00:00:00Z"), now) && !range.contains(time("2026-06-02T00:00:00Z"), now)
        );
    }
}
