//! What came of an image goes into the store, matched with today's advisories.

use std::sync::Arc;

use jiff::Timestamp;

use super::lanes::Kit;
use super::report;
use super::room::Seat;
use super::scanner::Scanner;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::job::{Commit, Done, Failure, Outcome, Packed};
use crate::matching::MatchOptions;
use crate::model::event::Event;
use crate::store::{Fresh, PackedReport};

/// How many times their packed size reports take, as long as nobody makes them so.
const PACKED: usize = 8;

impl Scanner {
    /// Commits what came of an image: all of it counts, or nothing does. Reports that were made without advisories are matched here.
    ///
    /// # Errors
    /// [`Kind::InvalidState`](crate::Kind::InvalidState) once the run is canceled or somebody else has the image, and without a store;
    /// [`Kind::Corrupt`](crate::Kind::Corrupt) for a report that cannot be read, [`Kind::Storage`](crate::Kind::Storage).
    pub async fn commit(&self, done: &Done, context: &Context) -> Result<Commit> {
        let seat = self.seat().await?;
        self.commit_in(&seat, done, context).await
    }

    /// The same for an image that has a place already.
    pub(super) async fn commit_in(&self, seat: &Seat, done: &Done, context: &Context) -> Result<Commit> {
        if let Outcome::Scanned(packed) = &done.outcome
            && packed.iter().map(Packed::size).sum::<usize>() > seat.small() / PACKED
        {
            seat.enlarge().await?;
        }
        let store = self.store()?;
        let registry = store.run(done.run).await?.registry;
        let (commit, cost) = loop {
            let before = store.packed(&registry, &done.repository, &done.digest).await?;
            let reports = self.fresh(seat, &done.outcome, before, context).await?;
            // Somebody else may have written a report of the image meanwhile.
            if let Some(committed) = store.commit_fresh(done, reports).await? {
                break committed;
            }
        };
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

    /// What is to be written of each report, computed in lanes.
    async fn fresh(
        &self,
        seat: &Seat,
        outcome: &Outcome,
        before: Vec<PackedReport>,
        context: &Context,
    ) -> Result<Vec<Fresh>> {
        let mut all = Vec::new();
        let options = MatchOptions::at(Timestamp::now());
        match outcome {
            Outcome::Scanned(packed) => {
                let before = Arc::new(before);
                for packed in packed {
                    let packed = packed.clone();
                    let mut report = self.compute(seat, move |_| packed.report()).await??;
                    let matcher = match report.provenance.advisories {
                        None => self.advisory_source().get(&report.inventory, context).await?.matcher,
                        Some(_) => None,
                    };
                    let (before, options) = (before.clone(), options.clone());
                    let fresh = move |_: &Kit| {
                        if let Some(matcher) = matcher {
                            report::match_again(&mut report, &matcher, &options)?;
                        }
                        Fresh::of(report, &before, true)
                    };
                    all.push(self.compute(seat, fresh).await??);
                }
            }
            Outcome::Rematch => {
                for before in before {
                    let read = move |_: &Kit| Ok::<_, Error>((before.scan()?, before));
                    let (mut report, before) = self.compute(seat, read).await??;
                    let matcher = self.advisory_source().get(&report.inventory, context).await?.matcher;
                    let options = options.clone();
                    let fresh = move |_: &Kit| match matcher {
                        Some(matcher) => {
                            report::match_again(&mut report, &matcher, &options)?;
                            Fresh::of(report, &[before], false)
                        }
                        // Without advisories it stays as it is.
                        None => {
                            report.findings = before.findings()?;
                            Ok(Fresh::of(report, &[before], false)?.unmatched())
                        }
                    };
                    all.push(self.compute(seat, fresh).await??);
                }
            }
            Outcome::NotAnImage(_) | Outcome::NoPlatform(_) | Outcome::Failed(_) => {}
        }
        Ok(all)
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
