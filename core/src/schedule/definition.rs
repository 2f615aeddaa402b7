//! The written form of a schedule: the fields that the command line, JSON and every language have.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Recurrence, Schedule, Start, invalid};
use crate::error::{Error, Result};

/// A schedule as it is written, such as `{"every": 1, "at": "02:30", "zone": "Europe/Berlin"}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// The interval in days, 1 to 365.
    pub every: u16,
    /// The start time, `HH:MM`; only every day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// The day of the week, `monday` to `sunday`; only every 7 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weekday: Option<String>,
    /// The time zone by its IANA name; UTC where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// What days are counted from (RFC 3339); the time of adding where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<String>,
}

impl TryFrom<Definition> for Schedule {
    type Error = Error;

    /// # Errors
    /// `Kind::InvalidInput`, which names the field, as the methods of [`Schedule`] say.
    fn try_from(written: Definition) -> Result<Self> {
        let mut schedule = Self::every(written.every)?;
        if let Some(zone) = written.zone {
            schedule = schedule.zone(&zone)?;
        }
        if let Some(at) = written.at {
            let (hour, minute) = time_of_day(&at)?;
            schedule = schedule.at(hour, minute)?;
        }
        if let Some(weekday) = written.weekday {
            schedule = schedule.weekday(weekday.parse()?)?;
        }
        if let Some(anchor) = written.anchor {
            schedule = schedule.anchor(parse_time("anchor", &anchor)?)?;
        }
        Ok(schedule)
    }
}

impl TryFrom<Option<Definition>> for Schedule {
    type Error = Error;

    fn try_from(written: Option<Definition>) -> Result<Self> {
        written.map_or_else(|| Ok(Self::on_demand()), Self::try_from)
    }
}

impl From<Schedule> for Option<Definition> {
    fn from(schedule: Schedule) -> Self {
        let Recurrence { days, start, zone, anchor } = schedule.0?;
        let (at, weekday) = match start {
            Start::Anchor => (None, None),
            Start::At(time) => (Some(format!("{:02}:{:02}", time.hour(), time.minute())), None),
            Start::On(weekday) => (None, Some(weekday.to_string())),
        };
        let anchor = anchor.map(|anchor| anchor.to_string());
        Some(Definition { every: days, at, weekday, zone: Some(zone.name().to_owned()), anchor })
    }
}

/// `HH:MM`.
fn time_of_day(text: &str) -> Result<(u8, u8)> {
    let digits = |text: &str| {
        let is_two = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        is_two.then(|| text.parse::<u8>().ok()).flatten()
    };
    let parts = text.split_once(':').and_then(|(hour, minute)| digits(hour).zip(digits(minute)));
    parts.ok_or_else(|| {
        invalid("a start time is written HH:MM, from 00:00 to 23:59", "at").with("at", text.escape_debug())
    })
}

/// A time in RFC 3339, such as `2026-11-24T02:30:00Z`; `field` says in an error what it was for.
///
/// # Errors
/// `Kind::InvalidInput` for what is no time.
fn parse_time(field: &'static str, text: &str) -> Result<Timestamp> {
    // What the reader of times says of it is about its parts, and not for people.
    text.parse().map_err(|_: jiff::Error| {
        invalid("this is no time", field)
            .with("time", text.chars().take(100).collect::<String>().escape_debug())
            .with_hint("write it as 2026-11-24T02:30:00Z or with an offset such as +01:00")
    })
}
