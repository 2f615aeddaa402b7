//! Reports: what scans found, committed image by image, and matched again without the registry.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Store;
use super::changes::{self, Changed};
use super::database::{Row, Session, Value, json, time};
use super::images::write_outcome;
use super::runs::{finish, next};
use crate::error::{Error, Kind, Result};
use crate::job::{Commit, Cost, Done, Outcome, pack, unpack};
use crate::model::digest::Digest;
use crate::model::finding::Finding;
use crate::model::problem::Problem;
use crate::model::report::{AdvisoryProvenance, Report};
use crate::model::severity::Rating;
use crate::select;

/// A stored report, and where it belongs.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its number.
    pub id: i64,
    /// The name of the registry.
    pub registry: String,
    /// The repository.
    pub repository: String,
    /// The digest as it is listed: that of the index, where the image is one.
    pub digest: Digest,
    /// When the image was scanned.
    pub scanned: Timestamp,
    /// The report.
    pub report: Report,
}

/// What a stored report becomes with today's advisories.
#[derive(Clone, Debug)]
pub struct Rematch {
    /// Its number.
    pub id: i64,
    /// When the image was scanned: what a later scan says is not overwritten.
    pub scanned: Timestamp,
    /// The report with other findings, problems and provenance.
    pub report: Report,
}

/// A stored report as bytes, to be read on another thread.
#[derive(Debug)]
pub(crate) struct PackedReport {
    id: i64,
    registry: String,
    repository: String,
    digest: Digest,
    scanned: Timestamp,
    scan: Vec<u8>,
    findings: Vec<u8>,
    matching: Vec<u8>,
}

/// What a match says besides its findings. It changes with every advisory database, and is small.
#[derive(Serialize, Deserialize)]
struct Matching {
    problems: Vec<Problem>,
    advisories: Option<AdvisoryProvenance>,
    owned_findings: u64,
}

/// Where a report belongs.
struct Place<'a> {
    run: Option<i64>,
    registry: &'a str,
    repository: &'a str,
    digest: &'a Digest,
}

impl Store {
    /// Commits what came of an image: its reports, what the job knows of it, and its place in the run, all or nothing. `reports` are
    /// those of the outcome, matched.
    ///
    /// # Errors
    /// [`Kind::InvalidState`] once the run is canceled or the lease lost: nothing is changed. [`Kind::NotFound`] for an image that
    /// the run does not have, [`Kind::Storage`].
    pub async fn commit(&self, done: &Done, reports: &[Report]) -> Result<(Commit, Cost)> {
        let mut transaction = self.write().await?;
        let session = transaction.as_mut();
        let (job, registry) = match self.check(session, done).await? {
            Ok(place) => place,
            Err(before) => return Ok((before, Cost::default())),
        };
        let place =
            Place { run: Some(done.run), registry: &registry, repository: &done.repository, digest: &done.digest };
        let mut cost = Cost::default();
        let is_scan = matches!(done.outcome, Outcome::Scanned(_));
        for report in reports {
            cost.add(&put(session, &place, report, is_scan).await?);
        }
        let (state, outcome, error) = match &done.outcome {
            Outcome::Scanned(_) => ("scanned", select::Outcome::Scanned, None),
            Outcome::Rematch => ("rematched", select::Outcome::Scanned, None),
            Outcome::NotAnImage(failure) => ("not-an-image", select::Outcome::NotAnImage, Some(failure)),
            Outcome::NoPlatform(failure) => ("platform", select::Outcome::NoPlatform, Some(failure)),
            Outcome::Failed(failure) => ("failed", select::Outcome::Failed, Some(failure)),
        };
        let error = error.map(|failure| failure.message.as_str());
        let digest = done.digest.to_string();
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
        Ok((Commit::Taken, cost))
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

    /// The reports of one image, by platform.
    ///
    /// # Errors
    /// [`Kind::Storage`], [`Kind::Corrupt`].
    pub async fn reports(&self, registry: &str, repository: &str, digest: &Digest) -> Result<Vec<Stored>> {
        let statement =
            format!("{SELECT} WHERE r.registry = $1 AND r.repository = $2 AND r.digest = $3 ORDER BY r.platform");
        let values = vec![registry.into(), repository.into(), digest.to_string().into()];
        let rows = self.read().await?.query(&statement, values).await?;
        rows.into_iter().map(|row| read(row)?.unpack()).collect()
    }

    /// Reports by number, beyond `after`, at most `limit`; of all registries, or of one.
    ///
    /// # Errors
    /// As [`Store::reports`].
    pub async fn reports_after(&self, registry: Option<&str>, after: i64, limit: u64) -> Result<Vec<Stored>> {
        self.packed_after(registry, after, limit).await?.into_iter().map(PackedReport::unpack).collect()
    }

    /// The same, to be read elsewhere.
    ///
    /// # Errors
    /// [`Kind::Storage`].
    pub(crate) async fn packed_after(
        &self,
        registry: Option<&str>,
        after: i64,
        limit: u64,
    ) -> Result<Vec<PackedReport>> {
        let statement = format!(
            "{SELECT} WHERE r.id > $1 AND (CAST($2 AS TEXT) IS NULL OR r.registry = $2) ORDER BY r.id LIMIT $3"
        );
        let rows = self.read().await?.query(&statement, vec![after.into(), registry.into(), limit.into()]).await?;
        rows.into_iter().map(read).collect()
    }

    /// Puts what reports became with today's advisories in their place. One that was scanned anew in the meantime stays as it is.
    ///
    /// # Errors
    /// [`Kind::Storage`].
    pub async fn put_rematched(&self, rematches: &[Rematch]) -> Result<Vec<Cost>> {
        let mut session = self.write().await?;
        let mut costs = Vec::with_capacity(rematches.len());
        for Rematch { id, scanned, report } in rematches {
            let statement = "SELECT registry, repository, digest FROM report WHERE id = $1 AND scanned = $2 {lock}";
            let rows = session.query(statement, vec![(*id).into(), time(*scanned)]).await?;
            let Some(mut row) = rows.into_iter().next() else { continue };
            let (registry, repository, digest) = (row.text()?, row.text()?, row.parse()?);
            let place = Place { run: None, registry: &registry, repository: &repository, digest: &digest };
            costs.push(put(session.as_mut(), &place, report, false).await?);
        }
        session.commit().await?;
        Ok(costs)
    }
}

const SELECT: &str = "SELECT r.id, r.registry, r.repository, r.digest, r.scanned, c.scan, c.findings, r.matching
    FROM report r JOIN content c ON c.report = r.id";

fn read(mut row: Row) -> Result<PackedReport> {
    Ok(PackedReport {
        id: row.int()?,
        registry: row.text()?,
        repository: row.text()?,
        digest: row.parse()?,
        scanned: row.time()?,
        scan: row.bytes()?,
        findings: row.bytes()?,
        matching: row.bytes()?,
    })
}

impl PackedReport {
    /// Its number.
    pub(crate) fn id(&self) -> i64 {
        self.id
    }

    /// The report.
    ///
    /// # Errors
    /// [`Kind::Corrupt`].
    pub(crate) fn unpack(self) -> Result<Stored> {
        let findings = unpack(&self.findings)?;
        let mut stored = self.unpack_scan()?;
        stored.report.findings = findings;
        stored.report.link();
        Ok(stored)
    }

    /// The report without its findings, for a new match.
    ///
    /// # Errors
    /// [`Kind::Corrupt`].
    pub(crate) fn unpack_scan(self) -> Result<Stored> {
        let mut report: Report = unpack(&self.scan)?;
        let matching: Matching = unpack(&self.matching)?;
        report.problems = matching.problems;
        report.provenance.advisories = matching.advisories;
        report.stats.owned_findings = matching.owned_findings;
        let Self { id, registry, repository, digest, scanned, .. } = self;
        Ok(Stored { id, registry, repository, digest, scanned, report })
    }
}

/// A report without what the match says, and that apart.
fn split(report: &Report) -> Result<(Report, Vec<u8>)> {
    let mut bare = report.clone();
    bare.findings.clear();
    let matching = Matching {
        problems: std::mem::take(&mut bare.problems),
        advisories: bare.provenance.advisories.take(),
        owned_findings: std::mem::take(&mut bare.stats.owned_findings),
    };
    let matching = pack(&matching)?;
    Ok((bare, matching))
}

/// Writes a report; what did not change is not written.
async fn put(session: &mut dyn Session, place: &Place<'_>, report: &Report, is_scan: bool) -> Result<Cost> {
    let platform = report.subject.platform.to_string();
    let statement = "SELECT r.id, c.findings FROM report r JOIN content c ON c.report = r.id
        WHERE r.registry = $1 AND r.repository = $2 AND r.digest = $3 AND r.platform = $4";
    let key =
        vec![place.registry.into(), place.repository.into(), place.digest.to_string().into(), platform.as_str().into()];
    let known = session.query(statement, key.clone()).await?.into_iter().next();
    let (known, before) = match known {
        Some(mut row) => (Some(row.int()?), Some(row.bytes()?)),
        None => (None, None),
    };
    let findings = pack(&report.findings)?;
    let is_same = before.as_ref() == Some(&findings);
    let (new, fixed) = if is_same {
        Default::default()
    } else {
        let before: Vec<Finding> = before.map(|before| unpack(&before)).transpose()?.unwrap_or_default();
        changes::between(&before, &report.findings)
    };
    let (bare, matching) = split(report)?;
    let id = match known {
        Some(id) => {
            let statement = if is_scan {
                "UPDATE report SET matched = {now}, complete = $2, worst = $3, counts = $4, matching = $5, catalogers = $6,
                    scanned = {now} WHERE id = $1"
            } else {
                "UPDATE report SET matched = {now}, complete = $2, worst = $3, counts = $4, matching = $5 WHERE id = $1"
            };
            let mut values = vec![
                id.into(),
                report.is_complete().into(),
                worst(report).into(),
                json(&report.counts())?,
                matching.into(),
            ];
            if is_scan {
                values.push(catalogers(&report.provenance.catalogers).into());
            }
            session.query(statement, values).await?;
            id
        }
        None => {
            let id = next(session, "report").await?;
            let statement =
                "INSERT INTO report (id, registry, repository, digest, platform, complete, worst, counts, matching,
                catalogers, scanned, matched) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, {now}, {now})";
            let mut values = vec![Value::from(id)];
            values.extend(key);
            values.extend([
                report.is_complete().into(),
                worst(report).into(),
                json(&report.counts())?,
                matching.into(),
                catalogers(&report.provenance.catalogers).into(),
            ]);
            session.query(statement, values).await?;
            id
        }
    };
    if is_scan || known.is_none() {
        let statement = "INSERT INTO content (report, scan, findings) VALUES ($1, $2, $3)
            ON CONFLICT (report) DO UPDATE SET scan = excluded.scan, findings = excluded.findings";
        session.query(statement, vec![id.into(), pack(&bare)?.into(), findings.into()]).await?;
    } else if !is_same {
        let statement = "UPDATE content SET findings = $2 WHERE report = $1";
        session.query(statement, vec![id.into(), findings.into()]).await?;
    }
    if !is_same {
        index(session, id, report).await?;
    }
    if is_scan {
        let layers: BTreeSet<_> = report.layers.iter().map(|layer| layer.digest.to_string()).collect();
        let layers = layers.into_iter().map(|digest| vec![id.into(), digest.into()]).collect();
        let statement =
            "INSERT INTO report_layer (report, digest) VALUES ($1, $2) ON CONFLICT (report, digest) DO NOTHING";
        session.each(statement, layers).await?;
    }
    if !new.is_empty() || !fixed.is_empty() {
        note(session, place, &platform, &new, &fixed).await?;
    }
    Ok(Cost {
        bytes_fetched: if is_scan { report.stats.bytes_fetched } else { 0 },
        layers_fetched: if is_scan { report.stats.layers_fetched } else { 0 },
        layers_from_store: if is_scan { report.stats.layers_from_cache } else { 0 },
        findings: report.counts(),
        new_findings: new.len() as u64,
        fixed_findings: fixed.len() as u64,
    })
}

/// Makes the findings of a report findable by every id.
async fn index(session: &mut dyn Session, id: i64, report: &Report) -> Result<()> {
    session.query("DELETE FROM finding WHERE report = $1", vec![id.into()]).await?;
    let ids: BTreeSet<&str> = report
        .findings
        .iter()
        .flat_map(|finding| [&finding.id].into_iter().chain(&finding.aliases).chain(&finding.upstream))
        .map(String::as_str)
        .collect();
    let rows = ids.into_iter().map(|name| vec![name.into(), id.into()]).collect();
    session.each("INSERT INTO finding (id, report) VALUES ($1, $2)", rows).await
}

/// Notes what changed.
async fn note(
    session: &mut dyn Session,
    place: &Place<'_>,
    platform: &str,
    new: &[Changed],
    fixed: &[Changed],
) -> Result<()> {
    let statement =
        "INSERT INTO change (time, run, registry, repository, digest, platform, added_count, fixed_count, findings)
        VALUES ({now}, $1, $2, $3, $4, $5, $6, $7, $8)";
    let values = vec![
        place.run.into(),
        place.registry.into(),
        place.repository.into(),
        place.digest.to_string().into(),
        platform.into(),
        (new.len() as u64).into(),
        (fixed.len() as u64).into(),
        pack(&(new, fixed))?.into(),
    ];
    session.query(statement, values).await?;
    Ok(())
}

/// The worst rating as a number that grows with it; -1 without findings.
fn worst(report: &Report) -> i64 {
    report.findings.iter().map(|finding| rank(finding.severity.rating)).max().unwrap_or(-1)
}

/// The place of a rating, from 0 for unknown.
pub(super) fn rank(rating: Rating) -> i64 {
    let better = Rating::ALL.iter().filter(|other| **other < rating).count();
    i64::try_from(better).unwrap_or(i64::MAX)
}

/// The catalogers of a report, as one text to compare.
pub(crate) fn catalogers(all: &BTreeMap<String, u32>) -> String {
    let all = all.iter().map(|(id, version)| format!("{id}:{version}"));
    all.collect::<Vec<_>>().join(" ")
}
