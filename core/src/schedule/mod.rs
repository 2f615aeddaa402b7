//! When a job runs: by hand, or every so many days in a time zone. Arithmetic only; what time it is now is always given.
//!
//! ```
//! use tidewaiter::schedule::Schedule;
//! # fn main() -> tidewaiter::Result<()> {
//! let nightly = Schedule::daily().at(2, 30)?.zone("Europe/Berlin")?;
//! let next = nightly.next_after("2026-03-28T12:00:00Z".parse().unwrap());
//! // 02:30 does not exist in the night when the clocks go forward: the run begins right after the gap.
//! assert_eq!(next.unwrap().to_string(), "2026-03-29T01:00:00Z");
//! # Ok(())
//! # }
//! ```

mod calendar;
mod definition;
mod scan_all;
#[cfg(test)]
mod tests;
mod weekday;

use jiff::Timestamp;
use jiff::civil::Time;
use serde::{Deserialize, Serialize};

pub use definition::Definition;
pub use weekday::Weekday;

use crate::error::{Error, Kind, Result};
use crate::model::zone::Zone;
use calendar::Calendar;

/// The longest interval, in days.
const LONGEST: u16 = 365;

/// When a job runs. What contradicts itself cannot be built.
///
/// Its JSON is that of a [`Definition`]; on demand is null.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Option<Definition>", into = "Option<Definition>")]
pub struct Schedule(Option<Recurrence>);

/// Every so many days.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Recurrence {
    days: u16,
    start: Start,
    zone: Zone,
    anchor: Option<Timestamp>,
}

/// At what time of which days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// The time and the day of the anchor.
    Anchor,
    /// A time of each day; the interval is one day.
    At(Time),
    /// The time of the anchor on a day of the week; the interval is seven days.
    On(Weekday),
}

impl Schedule {
    /// Only when someone asks for it.
    pub fn on_demand() -> Self {
        Self(None)
    }

    /// Every day, at the time of the anchor unless [`Schedule::at`] says another.
    pub fn daily() -> Self {
        Self::new(1)
    }

    /// Every seven days, on the day of the anchor unless [`Schedule::weekday`] says another.
    pub fn weekly() -> Self {
        Self::new(7)
    }

    /// Every `days` days.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] unless `days` is 1 to 365.
    pub fn every(days: u16) -> Result<Self> {
        if !(1..=LONGEST).contains(&days) {
            return Err(invalid("the interval of a schedule is 1 to 365 days", "every").with("every", days));
        }
        Ok(Self::new(days))
    }

    fn new(days: u16) -> Self {
        Self(Some(Recurrence { days, start: Start::Anchor, zone: Zone::utc(), anchor: None }))
    }

    /// The same at a time of the day in its time zone.
    ///
    /// On a day when the clocks jump over that time it runs right after the jump; when the time comes twice, at the first.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] unless the interval is 1 day and the time is one of 00:00 to 23:59.
    pub fn at(mut self, hour: u8, minute: u8) -> Result<Self> {
        let recurrence = self.recurrence("at")?;
        let written = format!("{hour:02}:{minute:02}");
        if recurrence.days != 1 {
            return Err(invalid("a start time needs an interval of 1 day", "at")
                .with("at", written)
                .with("every", recurrence.days)
                .with_hint("with other intervals the anchor says the time of the day"));
        }
        let time = i8::try_from(hour).ok().zip(i8::try_from(minute).ok());
        let time = time.and_then(|(hour, minute)| Time::new(hour, minute, 0, 0).ok());
        recurrence.start = Start::At(time.ok_or_else(|| {
            invalid("a start time is an hour from 0 to 23 and a minute from 0 to 59", "at").with("at", written)
        })?);
        Ok(self)
    }

    /// The same on a day of the week in its time zone, at the time of the anchor.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] unless the interval is 7 days.
    pub fn weekday(mut self, weekday: Weekday) -> Result<Self> {
        let recurrence = self.recurrence("weekday")?;
        if recurrence.days != 7 {
            return Err(invalid("a day of the week needs an interval of 7 days", "weekday")
                .with("weekday", weekday)
                .with("every", recurrence.days));
        }
        recurrence.start = Start::On(weekday);
        Ok(self)
    }

    /// The same in a time zone of the IANA database, such as `Europe/Berlin`; without one it is UTC.
    ///
    /// The rules are those of the machine's time zone database, or of the one in this program where the machine has none.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for a zone that is not known.
    pub fn zone(mut self, name: &str) -> Result<Self> {
        self.recurrence("zone")?.zone = name.parse().map_err(|error: Error| error.with("field", "zone"))?;
        Ok(self)
    }

    /// The same counted from `anchor`, which is kept to the second: nothing runs before it, days are counted from its day,
    /// and its time is that of the runs.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] on demand.
    pub fn anchor(mut self, anchor: Timestamp) -> Result<Self> {
        let second = Timestamp::from_second(anchor.as_second()).unwrap_or(anchor);
        self.recurrence("anchor")?.anchor = Some(second);
        Ok(self)
    }

    /// The same with an anchor: its own, or `now`, which is the time when a job is added.
    #[must_use]
    pub fn anchored(self, now: Timestamp) -> Self {
        let has_anchor = self.0.as_ref().is_none_or(|recurrence| recurrence.anchor.is_some());
        if has_anchor { self } else { self.clone().anchor(now).unwrap_or(self) }
    }

    /// Whether it only runs when someone asks for it.
    pub fn is_on_demand(&self) -> bool {
        self.0.is_none()
    }

    /// The interval in days; none on demand.
    pub fn days(&self) -> Option<u16> {
        self.0.as_ref().map(|recurrence| recurrence.days)
    }

    /// The first run after `time`; none on demand, and beyond the year 9999. Without an anchor it counts from `time`.
    pub fn next_after(&self, time: Timestamp) -> Option<Timestamp> {
        self.calendar(time)?.first(|run| run > time, time)
    }

    /// The runs at or after `from`, one after another. Without an anchor they count from `from`.
    pub fn occurrences(&self, from: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
        let calendar = self.calendar(from);
        let mut last = None;
        std::iter::from_fn(move || {
            let run = match last {
                None => calendar.as_ref()?.first(|run| run >= from, from),
                Some(last) => calendar.as_ref()?.first(|run| run > last, last),
            };
            last = Some(run?);
            run
        })
    }

    /// The run that is due at `now`, if `last` was the last time that was served: the latest one up to now. All others since
    /// then were missed, and are not made up for.
    pub fn due(&self, last: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        let run = self.calendar(last.unwrap_or(now))?.latest(now)?;
        last.is_none_or(|last| last < run).then_some(run)
    }

    fn calendar(&self, default_anchor: Timestamp) -> Option<Calendar<'_>> {
        let recurrence = self.0.as_ref()?;
        Some(Calendar::new(recurrence, recurrence.anchor.unwrap_or(default_anchor)))
    }

    fn recurrence(&mut self, field: &'static str) -> Result<&mut Recurrence> {
        self.0.as_mut().ok_or_else(|| {
            invalid("what runs on demand has no times", field).with_hint("say first every how many days it should run")
        })
    }
}

/// An error about one field of a schedule.
fn invalid(message: &'static str, field: &'static str) -> Error {
    Error::new(Kind::InvalidInput, message).with("field", field)
}
