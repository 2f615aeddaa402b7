//! Scan all: a run that takes all images again, not only new ones.

use serde::Serialize;

use super::{LONGEST, Schedule, invalid};
use crate::error::Result;

/// The shortest interval at which everything is scanned again, in days.
const SHORTEST: u16 = 7;

/// How many of all images a forced run takes.
///
/// It can only be made for a schedule that allows it, see [`ScanAll::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ScanAll {
    /// All that the selection takes; only on demand.
    Everything,
    /// The newest so many of each repository.
    Newest(u32),
    /// Those that were pushed within the last so many days.
    PushedWithin(u16),
}

impl ScanAll {
    /// Checks what a selection limits against when the job runs: with a schedule the interval has to be 7 days or more, and
    /// there has to be one limit, the `newest` so many images or those pushed within `pushed_days`. On demand the limit is
    /// optional, and so it is for one forced run by hand, which counts as on demand.
    ///
    /// # Errors
    /// `Kind::InvalidInput`, which names the field.
    pub fn new(schedule: &Schedule, newest: Option<u32>, pushed_days: Option<u16>) -> Result<Self> {
        let limit = match (newest, pushed_days) {
            (Some(_), Some(_)) => {
                return Err(invalid("scanning all takes one limit, not two", "scan_all")
                    .with_hint("limit it by --newest or by --pushed, not by both"));
            }
            (Some(0), _) => return Err(invalid("a limit of no images scans nothing", "newest").with("newest", 0)),
            (Some(newest), None) => Self::Newest(newest),
            (None, Some(days)) if (1..=LONGEST).contains(&days) => Self::PushedWithin(days),
            (None, Some(days)) => {
                return Err(invalid("pushed within is 1 to 365 days", "pushed").with("pushed", days));
            }
            (None, None) => Self::Everything,
        };
        if let Some(days) = schedule.days() {
            if days < SHORTEST {
                return Err(invalid("scanning all on a schedule needs an interval of 7 days or more", "scan_all")
                    .with("every", days)
                    .with_hint("choose --every 7 or more, or force a single run by hand"));
            }
            if limit == Self::Everything {
                return Err(invalid("scanning all on a schedule needs a limit", "scan_all")
                    .with_hint("add --newest N, or --pushed with a number of days"));
            }
        }
        Ok(limit)
    }
}
