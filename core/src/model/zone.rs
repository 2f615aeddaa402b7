//! Time zones by their name in the IANA database. Days are days somewhere.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Kind, Result};

/// A time zone; UTC unless another is named.
///
/// ```
/// use tidewaiter::model::zone::Zone;
/// let zone: Zone = "Europe/Berlin".parse()?;
/// let day = zone.day_of("2026-06-14T22:30:00Z".parse().unwrap());
/// assert_eq!(day.to_string(), "2026-06-15");
/// assert_eq!(zone.start_of(day)?.to_string(), "2026-06-14T22:00:00Z");
/// # Ok::<(), tidewaiter::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Zone {
    name: String,
    rules: TimeZone,
}

impl Zone {
    /// Coordinated Universal Time.
    pub fn utc() -> Self {
        Self { name: "UTC".to_owned(), rules: TimeZone::UTC }
    }

    /// The name, as the database spells it; upper and lower case do not count where it is read.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The rules.
    pub fn rules(&self) -> &TimeZone {
        &self.rules
    }

    /// The day that it is there at a time.
    pub fn day_of(&self, time: Timestamp) -> Date {
        self.rules.to_datetime(time).date()
    }

    /// The first instant of a day there: midnight, or what comes first where the clock skips it.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for a day at the end of all times.
    pub fn start_of(&self, day: Date) -> Result<Timestamp> {
        let start = day.to_zoned_datetime(self.rules.clone()).and_then(|midnight| midnight.start_of_day());
        start.map(|start| start.timestamp()).map_err(|error| {
            Error::new(Kind::InvalidInput, "this day cannot be reckoned with").with("day", day).because(error)
        })
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self::utc()
    }
}

impl FromStr for Zone {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.eq_ignore_ascii_case("utc") {
            return Ok(Self::utc());
        }
        let unknown = || {
            Error::new(Kind::InvalidInput, "there is no such time zone")
                .with("zone", text.chars().take(100).collect::<String>().escape_debug())
                .with_hint("time zones are named as in the IANA database, for example Europe/Berlin, or UTC")
        };
        let rules = TimeZone::get(text).map_err(|error| unknown().because(error))?;
        if rules.is_unknown() {
            return Err(unknown());
        }
        let name = rules.iana_name().unwrap_or(text).to_owned();
        Ok(Self { name, rules })
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name)
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_database() {
        assert_eq!("europe/berlin".parse::<Zone>().unwrap().name(), "Europe/Berlin");
        assert_eq!("UTC".parse::<Zone>().unwrap(), Zone::default());
        for text in ["", "Europe/Bärlin", "+02:00", "../etc/passwd", "Mars/Olympus", "Etc/Unknown"] {
            let error = text.parse::<Zone>().unwrap_err();
            assert_eq!(error.kind(), Kind::InvalidInput, "{text}");
        }
    }

    #[test]
    fn a_day_without_midnight_starts_later() {
        // In Cairo the clock went from 00:00 to 01:00 on 2026-04-24.
        let zone: Zone = "Africa/Cairo".parse().unwrap();
        let start = zone.start_of("2026-04-24".parse().unwrap()).unwrap();
        assert_eq!(start.to_string(), "2026-04-23T22:00:00Z");
        assert_eq!(zone.rules().to_datetime(start).to_string(), "2026-04-24T01:00:00");
    }
}
