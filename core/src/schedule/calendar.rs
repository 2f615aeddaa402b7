//! Days of a calendar, and when a time of day is on them.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use super::{Recurrence, Start};

/// The runs of a schedule, by number: every so many days from a first one, at a time of day.
pub(super) struct Calendar<'a> {
    days: i64,
    first: Date,
    time: Time,
    zone: &'a TimeZone,
    anchor: Timestamp,
}

impl<'a> Calendar<'a> {
    pub(super) fn new(recurrence: &'a Recurrence, anchor: Timestamp) -> Self {
        let zone = recurrence.zone.rules();
        let local = zone.to_datetime(anchor);
        let (first, time) = match recurrence.start {
            Start::Anchor => (local.date(), local.time()),
            Start::At(time) => (local.date(), time),
            Start::On(weekday) => {
                let ahead = i64::from(local.weekday().until(weekday.into()));
                (days_after(local.date(), ahead).unwrap_or(local.date()), local.time())
            }
        };
        Self { days: i64::from(recurrence.days), first, time, zone, anchor }
    }

    /// The first run that `wanted` takes, which takes all runs well after `around` and none well before.
    pub(super) fn first(&self, wanted: impl Fn(Timestamp) -> bool, around: Timestamp) -> Option<Timestamp> {
        // The local date of a run differs from that of its number only where a whole day is skipped or comes twice.
        let mut number = (self.number(around) - 2).max(0);
        loop {
            let run = self.run(number)?;
            if run >= self.anchor && wanted(run) {
                return Some(run);
            }
            number += 1;
        }
    }

    /// The latest run up to `time`.
    pub(super) fn latest(&self, time: Timestamp) -> Option<Timestamp> {
        let last = self.number(time) + 2;
        (0..=last)
            .rev()
            .filter_map(|number| self.run(number))
            .find(|run| *run <= time)
            .filter(|run| *run >= self.anchor)
    }

    /// The number of the run at or before the local date of `time`; negative before the first.
    fn number(&self, time: Timestamp) -> i64 {
        let date = self.zone.to_datetime(time).date();
        (date.duration_since(self.first).as_hours() / 24).div_euclid(self.days)
    }

    /// When a run is; none beyond the year 9999.
    fn run(&self, number: i64) -> Option<Timestamp> {
        let date = days_after(self.first, number.checked_mul(self.days)?)?;
        instant(self.zone, date.to_datetime(self.time))
    }
}

fn days_after(date: Date, days: i64) -> Option<Date> {
    date.checked_add(SignedDuration::from_hours(days.checked_mul(24)?)).ok()
}

/// When it is `local` in `zone`: the first time, if that comes twice; right after the gap, if it is in one.
fn instant(zone: &TimeZone, local: DateTime) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
            offset.to_timestamp(local).ok()
        }
        AmbiguousOffset::Gap { before, .. } => {
            // Read with the offset before, the local time lies as far behind the end of the gap as it lies in it.
            let behind = before.to_timestamp(local).ok()?;
            let end = behind.checked_add(SignedDuration::from_secs(1)).ok()?;
            zone.preceding(end).next().map(|transition| transition.timestamp())
        }
    }
}
