//! Commits of runs: what came of one image, all or nothing.

use super::Store;
use super::database::{Session, json};
use super::images::write_outcome;
use super::matched::{Fresh, put};
use super::runs::finish;
use crate::error::{Error, Kind, Result};
use crate::job::{Commit, Cost, Done, Outcome};
use crate::model::report::Report;
use crate::select;

impl Store {
    /// Commits what came of an image: its reports, what the job knows of it, and its place in the run, all or nothing. `reports` are
    /// those of the outcome, matched.
    ///
    /// # Errors
    /// [`Kind::InvalidState`] once the run is canceled or the lease lost: nothing is changed. [`Kind::NotFound`] for an image that
    /// the run does not have, [`Kind::Storage`].
    pub async fn commit(&self, done: &Done, reports: &[Report]) -> Result<(Commit, Cost)> {
        let registry = self.run(done.run).await?.registry;
        let is_scan = matches!(done.outcome, Outcome::Scanned(_));
        loop {
            let before = self.packed(&registry, &done.repository, &done.digest).await?;
            let fresh =
                reports.iter().map(|report| Fresh::of(report.clone(), &before, is_scan)).collect::<Result<_>>()?;
            if let Some(committed) = self.commit_fresh(done, fresh).await? {
                return Ok(committed);
            }
        }
    }

    /// The same with reports that were compared with what the store had. None where it has others by now: nothing is changed, and they are
    /// to be compared again.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub(crate) async fn commit_fresh(&self, done: &Done, reports: Vec<Fresh>) -> Result<Option<(Commit, Cost)>> {
        // What is matched again would be so once more; what was pulled is not pulled again.
        let is_rematch = matches!(done.outcome, Outcome::Rematch);
        let mut transaction = if is_rematch { self.write_soon().await? } else { self.write().await? };
        let session = transaction.as_mut();
        let (job, registry) = match self.check(session, done).await? {
            Ok(place) => place,
            Err(before) => return Ok(Some((before, Cost::default()))),
        };
        let digest = done.digest.to_string();
        let mut cost = Cost::default();
        for fresh in reports {
            let place = fresh.place(&registry, done);
            match put(session, done.run, &place, fresh).await? {
                Some(of_one) => cost.add(&of_one),
                None => return Ok(None),
            }
        }
        let (state, outcome, error) = match &done.outcome {
            Outcome::Scanned(_) => ("scanned", select::Outcome::Scanned, None),
            Outcome::Rematch => ("rematched", select::Outcome::Scanned, None),
            Outcome::NotAnImage(failure) => ("not-an-image", select::Outcome::NotAnImage, Some(failure)),
            Outcome::NoPlatform(failure) => ("platform", select::Outcome::NoPlatform, Some(failure)),
            Outcome::Failed(failure) => ("failed", select::Outcome::Failed, Some(failure)),
        };
        let error = error.map(|failure| failure.message.as_str());
        let statement = "UPDATE item SET state = $4, holder = NULL, until = NULL, error = $5, stats = $6
            WHERE run = $1 AND repository = $2 AND digest = $3";
        let values = vec![
            done.run.into(),
            done.repository.as_str().into(),
            digest.as_str().into(),
            state.into(),
            error.into(),
            json(&cost)?,
        ];
        session.query(statement, values).await?;
        // Of an image that was scanned once and fails now, when all are scanned again, the earlier report still counts.
        let statement = "INSERT INTO baseline (job, repository, digest, outcome, error) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (job, repository, digest) DO UPDATE SET outcome = excluded.outcome, error = excluded.error
            WHERE NOT (baseline.outcome = 'scanned' AND excluded.outcome = 'failed')";
        let values = vec![
            job.as_str().into(),
            done.repository.as_str().into(),
            digest.as_str().into(),
            write_outcome(outcome).into(),
            error.into(),
        ];
        session.query(statement, values).await?;
        if outcome == select::Outcome::NotAnImage {
            // It was listed as one, since nobody had looked.
            let statement = "DELETE FROM image WHERE registry = $1 AND repository = $2 AND digest = $3";
            let values = vec![registry.as_str().into(), done.repository.as_str().into(), digest.as_str().into()];
            session.query(statement, values).await?;
        }
        finish(session, done.run).await?;
        transaction.commit().await?;
        Ok(Some((Commit::Taken, cost)))
    }

    /// The job and the registry of an image that may be committed; or that it was before.
    async fn check(&self, session: &mut dyn Session, done: &Done) -> Result<Result<(String, String), Commit>> {
        let refused = |message: &'static str| {
            Error::new(Kind::InvalidState, message)
                .with("run", done.run)
                .with("repository", &done.repository)
                .with("digest", &done.digest)
        };
        // The row of the run is held until the end: of two last commits one sees the other, and a cancel waits or is seen.
        let statement = "SELECT state, job, registry FROM run WHERE id = $1 {lock}";
        let rows = session.query(statement, vec![done.run.into()]).await?;
        let missing = || Error::new(Kind::NotFound, "the run does not have this image").with("run", done.run);
        let mut run = rows.into_iter().next().ok_or_else(missing)?;
        let statement = "SELECT state, token FROM item WHERE run = $1 AND repository = $2 AND digest = $3";
        let values = vec![done.run.into(), done.repository.as_str().into(), done.digest.to_string().into()];
        let rows = session.query(statement, values).await?;
        let mut item = rows.into_iter().next().ok_or_else(missing)?;
        let (run_state, job, registry) = (run.text()?, run.text()?, run.text()?);
        let (state, token) = (item.text()?, item.int()?);
        match state.as_str() {
            "scanned" | "rematched" | "not-an-image" | "platform" | "failed" => Ok(Err(Commit::Before)),
            "canceled" => Err(refused("the run is over: what comes of its images is not taken any more")),
            _ if run_state != "Running" => {
                Err(refused("the run is over: what comes of its images is not taken any more"))
            }
            _ if token != done.token || state != "leased" => {
                Err(refused("the lease of the image was lost: somebody else has it, or will"))
            }
            _ => Ok(Ok((job, registry))),
        }
    }
}
