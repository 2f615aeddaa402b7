//! Scan all: scheduled runs that take all images again, not only new ones.

use super::{Schedule, invalid};
use crate::error::Result;

/// The shortest interval at which everything is scanned again, in days.
const SHORTEST: u16 = 7;

impl Schedule {
    /// Whether runs by this schedule may take all images again: the interval has to be 7 days or more, and there has to be one limit,
    /// the `newest` so many images or those pushed within the last `pushed_days`. On demand they may, and so may one run by hand, which
    /// counts as on demand.
    ///
    /// # Errors
    /// `Kind::InvalidInput`, which names the field.
    pub fn check_scan_all(&self, newest: Option<u64>, pushed_days: Option<u16>) -> Result<()> {
        let Some(days) = self.days() else { return Ok(()) };
        if days < SHORTEST {
            return Err(invalid("scanning all on a schedule needs an interval of 7 days or more", "scan_all")
                .with("every", days)
                .with_hint("choose --every 7 or more, or force a single run by hand"));
        }
        match (newest, pushed_days) {
            (Some(_), Some(_)) => Err(invalid("scanning all on a schedule takes one limit, not two", "scan_all")
                .with_hint("limit it by --newest or by --pushed, not by both")),
            (None, None) => Err(invalid("scanning all on a schedule needs a limit", "scan_all")
                .with_hint("add --newest N, or --pushed with a number of days")),
            _ => Ok(()),
        }
    }
}
