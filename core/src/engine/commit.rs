//! What came of an image goes into the store, matched with today's advisories.

use jiff::Timestamp;

use super::image;
use super::scanner::Scanner;
use crate::context::Context;
use crate::error::Result;
use crate::job::{Commit, Done, Failure, Outcome, Packed};
use crate::matching::MatchOptions;
use crate::model::event::Event;
use crate::model::report::Report;

impl Scanner {
    /// Commits what came of an image: all of it counts, or nothing does. Reports that were made without advisories are matched here.
    ///
    /// # Errors
    /// [`Kind::InvalidState`](crate::Kind::InvalidState) once the run is canceled or somebody else has the image, and without a store;
    /// [`Kind::Corrupt`](crate::Kind::Corrupt) for a report that cannot be read, [`Kind::Storage`](crate::Kind::Storage).
    pub async fn commit(&self, done: &Done, context: &Context) -> Result<Commit> {
        let store = self.store()?;
        let registry = store.run(done.run).await?.registry;
        let mut reports = match &done.outcome {
            Outcome::Scanned(packed) => packed.iter().map(Packed::report).collect::<Result<_>>()?,
            Outcome::Rematch => {
                let stored = store.reports(&registry, &done.repository, &done.digest).await?;
                stored.into_iter().map(|stored| stored.report).collect()
            }
            _ => Vec::new(),
        };
        let is_rematch = matches!(done.outcome, Outcome::Rematch);
        for report in reports.iter_mut().filter(|report| is_rematch || report.provenance.advisories.is_none()) {
            self.match_again(report, context).await?;
        }
        let (commit, cost) = store.commit(done, &reports).await?;
        if commit == Commit::Taken {
            let (outcome, error) = told(&done.outcome);
            let error = error.map(|failure| failure.message.clone());
            let (repository, digest) = (done.repository.clone(), done.digest.clone());
            context.emit(Event::ImageCommitted {
                registry: registry.clone(),
                repository: repository.clone(),
                digest: digest.clone(),
                outcome,
                error,
            });
            let (new, fixed) = (cost.new_findings, cost.fixed_findings);
            if new > 0 || fixed > 0 {
                context.emit(Event::FindingsChanged { registry, repository, digest, new, fixed });
            }
        }
        Ok(commit)
    }

    /// Matches a report with today's advisories; without any it stays as it is.
    async fn match_again(&self, report: &mut Report, context: &Context) -> Result<()> {
        let Some(matcher) = self.advisory_source().get(&report.inventory, context).await? else { return Ok(()) };
        let options = MatchOptions { include_owned: false, now: Timestamp::now().to_string() };
        image::match_again(report, &matcher, &options)
    }
}

fn told(outcome: &Outcome) -> (&'static str, Option<&Failure>) {
    match outcome {
        Outcome::Scanned(_) => ("scanned", None),
        Outcome::Rematch => ("rematched", None),
        Outcome::NotAnImage(failure) => ("not-an-image", Some(failure)),
        Outcome::NoPlatform(failure) => ("platform", Some(failure)),
        Outcome::Failed(failure) => ("failed", Some(failure)),
    }
}
