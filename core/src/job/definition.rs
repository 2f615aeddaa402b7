//! A job as a user defines it.

use std::num::NonZeroU64;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::schedule::Schedule;
use crate::select::Selection;

/// The longest name of a job or a registry, in bytes.
const LONGEST: usize = 200;

/// Which images of a registry are looked after, and when. Its JSON is the same everywhere; unknown fields are refused.
///
/// ```
/// use tidewaiter::{Schedule, Selection, job::Job};
/// let nightly = Job::new("nightly", "prod", Selection::new().repositories(["team/*"])?).schedule(Schedule::daily().at(2, 30)?);
/// nightly.check()?;
/// assert!(Job::new("nightly", "prod", Selection::new()).schedule(Schedule::daily()).scan_all(true).check().is_err());
/// # Ok::<(), tidewaiter::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Job {
    /// Its name.
    pub name: String,
    /// The name of a registry that was added to the store.
    pub registry: String,
    /// Which images.
    #[serde(default)]
    pub selection: Selection,
    /// When it runs.
    #[serde(default = "Schedule::on_demand")]
    pub schedule: Schedule,
    /// Whether scheduled runs take all images that are selected again, not only new ones.
    #[serde(default)]
    pub scan_all: bool,
    /// Whether it is left out when jobs are due.
    #[serde(default)]
    pub paused: bool,
}

impl Job {
    /// A job that runs on demand.
    pub fn new(name: impl Into<String>, registry: impl Into<String>, selection: Selection) -> Self {
        Self {
            name: name.into(),
            registry: registry.into(),
            selection,
            schedule: Schedule::on_demand(),
            scan_all: false,
            paused: false,
        }
    }

    /// The same with a schedule.
    #[must_use]
    pub fn schedule(self, schedule: Schedule) -> Self {
        Self { schedule, ..self }
    }

    /// The same with all images again in every scheduled run, or not.
    #[must_use]
    pub fn scan_all(self, scan_all: bool) -> Self {
        Self { scan_all, ..self }
    }

    /// Whether this can be a job: the name, and that scanning all goes with the schedule and the limits (see
    /// [`Schedule::check_scan_all`]).
    ///
    /// # Errors
    /// [`Kind::InvalidInput`], which names the field.
    pub fn check(&self) -> Result<()> {
        check_name(&self.name)?;
        if self.scan_all {
            let newest = self.selection.newest.map(NonZeroU64::get);
            self.schedule.check_scan_all(newest, self.selection.pushed.days())?;
        }
        Ok(())
    }

    /// The occurrence that is due at `now`, if `served` is the last one that was answered and the job was added at `added`.
    pub fn due(&self, added: Timestamp, served: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        if self.paused {
            return None;
        }
        let due = self.schedule.clone().anchored(added).due(served, now)?;
        // The first run is the first occurrence at or after the time of adding.
        (due >= added || served.is_some()).then_some(due)
    }

    /// The next occurrence after `now`; none on demand and while it is paused.
    pub fn next(&self, added: Timestamp, now: Timestamp) -> Option<Timestamp> {
        if self.paused { None } else { self.schedule.clone().anchored(added).next_after(now.max(added)) }
    }
}

/// Whether `name` can name a job or a registry: a line of visible characters that is no address. Addresses have a dot, a colon or a
/// slash, or are `localhost`.
///
/// # Errors
/// [`Kind::InvalidInput`].
pub(crate) fn check_name(name: &str) -> Result<()> {
    let bad = |message: &'static str| {
        Err(Error::new(Kind::InvalidInput, message)
            .with("field", "name")
            .with("name", name.chars().take(LONGEST).collect::<String>().escape_debug()))
    };
    if name.is_empty()
        || name.len() > LONGEST
        || name.chars().any(|letter| letter.is_control() || letter.is_whitespace())
    {
        return bad("a name is 1 to 200 characters without spaces");
    }
    if name == "localhost" || name.contains(['.', ':', '/']) || name.starts_with('-') {
        return bad("a name has no dot, colon or slash, so that it is never taken for an address");
    }
    Ok(())
}
