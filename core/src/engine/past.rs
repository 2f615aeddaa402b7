//! What a job knows of the images of its registry, so that only what is new is looked at.

use crate::error::Result;
use crate::job::RunOptions;
use crate::model::record::ImageRecord;
use crate::select::{Baseline, Decision, Verdict};
use crate::store::{Known, Store};

/// What a run holds its listing against.
pub(super) struct Past {
    pub(super) store: Store,
    pub(super) job: String,
    pub(super) registry: String,
    pub(super) options: RunOptions,
    /// The catalogers of today: what others have read is read again.
    pub(super) catalogers: String,
}

impl Past {
    /// What is known of the images of a repository.
    ///
    /// # Errors
    /// [`Kind::Storage`].
    pub(super) async fn of(&self, repository: &str) -> Result<Known> {
        self.store.known(&self.job, &self.registry, repository).await
    }

    /// What came of earlier runs.
    pub(super) fn baseline(&self, known: &Known) -> Baseline {
        let baseline = known.outcomes.iter().cloned().collect::<Baseline>();
        if self.options.scan_all { baseline.forced() } else { baseline }
    }

    /// Whether what is to be matched again has to be pulled for it: by wish, for want of a report, or since other catalogers made it.
    pub(super) fn judge(&self, decisions: &mut [Decision], known: &Known) {
        for decision in decisions.iter_mut().filter(|decision| decision.verdict == Verdict::Rematch) {
            let is_current = known.catalogers.get(&decision.record.digest) == Some(&self.catalogers);
            if self.options.pull || !is_current {
                decision.verdict = Verdict::Scan;
            }
        }
    }
}

/// What was learned of an image when it was listed before holds still: a digest names one content.
pub(super) fn complete(record: &mut ImageRecord, known: &Known) {
    let Some(listed) = known.listed.get(&record.digest) else { return };
    if record.date.time.is_none() {
        record.date = listed.date;
        record.media_type.clone_from(&listed.media_type);
    }
    record.size = record.size.or(listed.size);
}
