//! What a match says of a report, written: after a scan, and again with newer advisories.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Store;
use super::changes;
use super::database::{Session, Value, json};
use super::reports::PackedReport;
use super::runs::next;
use crate::error::{Error, Result};
use crate::job::{Cost, Done, is_packed, pack, unpack};
use crate::model::digest::Digest;
use crate::model::finding::Finding;
use crate::model::problem::Problem;
use crate::model::report::{AdvisoryProvenance, Report};
use crate::model::severity::Rating;

/// Where a report belongs.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) registry: String,
    pub(crate) repository: String,
    pub(crate) digest: Digest,
    pub(super) platform: String,
}

impl Place {
    fn values(&self) -> Vec<Value> {
        let digest = self.digest.to_string();
        [&self.registry, &self.repository, &digest, &self.platform].map(|text| text.as_str().into()).into()
    }
}

/// What a match says besides its findings. It changes with every advisory database, and is small.
#[derive(Serialize, Deserialize)]
pub(super) struct Matching {
    problems: Vec<Problem>,
    advisories: Option<AdvisoryProvenance>,
    owned_findings: u64,
}

impl Matching {
    fn of(report: &Report) -> Self {
        Self {
            problems: report.problems.clone(),
            advisories: report.provenance.advisories.clone(),
            owned_findings: report.stats.owned_findings,
        }
    }

    /// Puts it back into the report that it was taken from.
    pub(super) fn put(self, report: &mut Report) {
        report.problems = self.problems;
        report.provenance.advisories = self.advisories;
        report.stats.owned_findings = self.owned_findings;
    }
}

/// The columns that a match decides, and what is different in them.
#[derive(Debug)]
pub(super) struct Matched {
    complete: bool,
    /// Whether there were no advisories to match it with.
    is_unmatched: bool,
    worst: i64,
    counts: BTreeMap<Rating, u64>,
    matching: Vec<u8>,
    /// None where they are what they were.
    findings: Option<Findings>,
}

/// Findings that are not what they were.
#[derive(Debug)]
struct Findings {
    packed: Vec<u8>,
    /// Ids by which the report is to be found from now on, aliases and what advisories bundle among them, and those that are over.
    gained: Vec<String>,
    lost: Vec<String>,
    /// How many are new and gone, and these, packed.
    new: u64,
    fixed: u64,
    changes: Vec<u8>,
}

impl Matched {
    /// Compares a report with the packed findings that it had before.
    ///
    /// # Errors
    /// [`Kind::Corrupt`](crate::Kind::Corrupt).
    pub(super) fn of(report: &Report, before: Option<&[u8]>) -> Result<Self> {
        let is_same = before.map(|before| is_packed(before, &report.findings)).transpose()?.unwrap_or(false);
        let findings = if is_same { None } else { Some(Findings::of(report, before)?) };
        Ok(Self {
            complete: report.is_complete(),
            is_unmatched: report.provenance.advisories.is_none(),
            worst: report.findings.iter().map(|finding| rank(finding.severity.rating)).max().unwrap_or(-1),
            counts: report.counts(),
            matching: pack(&Matching::of(report))?,
            findings,
        })
    }

    fn values(&self) -> Result<[Value; 4]> {
        Ok([self.complete.into(), self.worst.into(), json(&self.counts)?, self.matching.clone().into()])
    }

    fn cost(&self) -> Cost {
        let (new, fixed) = self.findings.as_ref().map_or((0, 0), |findings| (findings.new, findings.fixed));
        Cost {
            findings: self.counts.clone(),
            new_findings: new,
            fixed_findings: fixed,
            incomplete: u64::from(!self.complete),
            unmatched: u64::from(self.is_unmatched),
            ..Cost::default()
        }
    }
}

impl Findings {
    fn of(report: &Report, before: Option<&[u8]>) -> Result<Self> {
        let before: Vec<Finding> = before.map(unpack).transpose()?.unwrap_or_default();
        let (new, fixed) = changes::between(&before, &report.findings);
        let (had, has) = (ids(&before), ids(&report.findings));
        let only = |these: &BTreeSet<&str>, others| these.difference(others).map(|id| (*id).to_owned()).collect();
        let (gained, lost) = (only(&has, &had), only(&had, &has));
        let counts = (new.len() as u64, fixed.len() as u64);
        let changes = pack(&(new, fixed))?;
        Ok(Self { packed: pack(&report.findings)?, gained, lost, new: counts.0, fixed: counts.1, changes })
    }

    /// Writes those of one report, makes them findable, and notes what changed.
    async fn write(self, session: &mut dyn Session, id: i64, run: Option<i64>, place: &Place) -> Result<()> {
        let mut rows = Rows::default();
        rows.add(self, id, run, place);
        rows.write(session).await
    }
}

/// Rows of findings that are not what they were, of as many reports as are written at once.
#[derive(Default)]
struct Rows {
    findings: Vec<Vec<Value>>,
    lost: Vec<(String, i64)>,
    gained: Vec<(String, i64)>,
    changes: Vec<Vec<Value>>,
}

impl Rows {
    fn add(&mut self, findings: Findings, id: i64, run: Option<i64>, place: &Place) {
        let Findings { packed, gained, lost, new, fixed, changes } = findings;
        self.findings.push(vec![id.into(), packed.into()]);
        self.lost.extend(lost.into_iter().map(|name| (name, id)));
        self.gained.extend(gained.into_iter().map(|name| (name, id)));
        if new > 0 || fixed > 0 {
            let mut values = place.values();
            values.extend([run.into(), new.into(), fixed.into(), changes.into()]);
            self.changes.push(values);
        }
    }

    async fn write(self, session: &mut dyn Session) -> Result<()> {
        // In the order of the table, so that neighbours are written together.
        let sorted = |mut rows: Vec<(String, i64)>| {
            rows.sort_unstable();
            rows.into_iter().map(|(name, id)| vec![name.into(), id.into()]).collect()
        };
        session.each("UPDATE content SET findings = $2 WHERE report = $1", self.findings).await?;
        session.each("DELETE FROM finding WHERE id = $1 AND report = $2", sorted(self.lost)).await?;
        session.each("INSERT INTO finding (id, report) VALUES ($1, $2)", sorted(self.gained)).await?;
        let statement =
            "INSERT INTO change (time, registry, repository, digest, platform, run, added_count, fixed_count, findings)
            VALUES ({now}, $1, $2, $3, $4, $5, $6, $7, $8)";
        session.each(statement, self.changes).await?;
        Ok(())
    }
}

/// Every id of each, aliases and what they bundle among them.
fn ids(findings: &[Finding]) -> BTreeSet<&str> {
    findings
        .iter()
        .flat_map(|finding| [&finding.id].into_iter().chain(&finding.aliases).chain(&finding.upstream))
        .map(String::as_str)
        .collect()
}

/// What a commit writes of one report.
#[derive(Debug)]
pub(crate) struct Fresh {
    platform: String,
    /// The report that it is put in the place of, and when that was matched; none where there was none.
    before: Option<(i64, i64)>,
    matched: Matched,
    /// None where what was found before was matched again.
    scan: Option<Scan>,
}

/// What a scan found, without what a match says of it.
#[derive(Debug)]
struct Scan {
    packed: Vec<u8>,
    catalogers: String,
    layers: BTreeSet<String>,
    cost: Cost,
}

impl Fresh {
    /// Of a report that was scanned, or only matched again; `before` are the reports that the image has.
    ///
    /// # Errors
    /// [`Kind::Corrupt`](crate::Kind::Corrupt).
    pub(crate) fn of(report: Report, before: &[PackedReport], is_scan: bool) -> Result<Self> {
        let platform = report.subject.platform.to_string();
        let before = before.iter().find(|before| before.platform() == platform);
        let matched = Matched::of(&report, before.map(PackedReport::packed_findings))?;
        let scan = if is_scan || before.is_none() { Some(Scan::of(report)?) } else { None };
        Ok(Self { platform, before: before.map(PackedReport::version), matched, scan })
    }

    /// The same where there were no advisories to match it with again.
    pub(crate) fn unmatched(mut self) -> Self {
        self.matched.is_unmatched = true;
        self
    }

    /// Where it belongs.
    pub(super) fn place(&self, registry: &str, done: &Done) -> Place {
        Place {
            registry: registry.to_owned(),
            repository: done.repository.clone(),
            digest: done.digest.clone(),
            platform: self.platform.clone(),
        }
    }
}

impl Scan {
    fn of(report: Report) -> Result<Self> {
        let mut bare = Report { findings: Vec::new(), problems: Vec::new(), ..report };
        bare.provenance.advisories = None;
        bare.stats.owned_findings = 0;
        Ok(Self {
            packed: pack(&bare)?,
            catalogers: catalogers(&bare.provenance.catalogers),
            layers: bare.layers.iter().map(|layer| layer.digest.to_string()).collect(),
            cost: Cost {
                bytes_fetched: bare.stats.bytes_fetched,
                layers_fetched: bare.stats.layers_fetched,
                layers_from_store: bare.stats.layers_from_cache,
                ..Cost::default()
            },
        })
    }

    async fn write(self, session: &mut dyn Session, id: i64) -> Result<()> {
        let statement = "INSERT INTO content (report, scan, findings) VALUES ($1, $2, $3)
            ON CONFLICT (report) DO UPDATE SET scan = excluded.scan";
        session.query(statement, vec![id.into(), self.packed.into(), pack(&Vec::<Finding>::new())?.into()]).await?;
        let statement = "UPDATE report SET catalogers = $2 WHERE id = $1";
        session.query(statement, vec![id.into(), self.catalogers.into()]).await?;
        let layers = self.layers.into_iter().map(|digest| vec![id.into(), digest.into()]).collect();
        let statement =
            "INSERT INTO report_layer (report, digest) VALUES ($1, $2) ON CONFLICT (report, digest) DO NOTHING";
        session.each(statement, layers).await?;
        Ok(())
    }
}

/// A stored report as today's advisories have it, to be written.
#[derive(Debug)]
pub(crate) struct Rematch {
    pub(super) id: i64,
    /// When it was matched before: whatever was written since stays.
    pub(super) seen: i64,
    pub(super) place: Place,
    pub(super) matched: Matched,
}

/// Every time is later than the one before, also where the clock stands still or jumps back: [`Rematch::seen`] tells them apart.
const LATER: &str = "CASE WHEN {now} > matched THEN {now} ELSE matched + 1 END";

impl Store {
    /// Puts what reports became with today's advisories in their place, and tells what of each changed. One that was scanned or matched
    /// anew since it was read stays as it is.
    ///
    /// # Errors
    /// [`Kind::Storage`](crate::Kind::Storage).
    pub(crate) async fn put_rematched(&self, rematches: Vec<Rematch>) -> Result<Vec<(Place, Cost)>> {
        let mut transaction = self.write_soon().await?;
        let session = transaction.as_mut();
        let statement = format!(
            "UPDATE report SET matched = {LATER}, complete = $3, worst = $4, counts = $5, matching = $6
            WHERE id = $1 AND matched = $2"
        );
        let values = rematches.iter().map(|Rematch { id, seen, matched, .. }| {
            let mut values = vec![(*id).into(), (*seen).into()];
            values.extend(matched.values()?);
            Ok(values)
        });
        let written = session.each(&statement, values.collect::<Result<_>>()?).await?;
        let (mut done, mut rows) = (Vec::with_capacity(rematches.len()), Rows::default());
        for (Rematch { id, place, matched, .. }, written) in rematches.into_iter().zip(written) {
            if written == 0 {
                continue;
            }
            let cost = matched.cost();
            if let Some(findings) = matched.findings {
                rows.add(findings, id, None, &place);
            }
            done.push((place, cost));
        }
        rows.write(session).await?;
        transaction.commit().await?;
        Ok(done)
    }
}

/// Writes the report of a run; what did not change is not written. None where the image has another report by now than the one that
/// this was compared with: nothing is written then.
///
/// # Errors
/// [`Kind::Storage`](crate::Kind::Storage).
pub(super) async fn put(session: &mut dyn Session, run: i64, place: &Place, fresh: Fresh) -> Result<Option<Cost>> {
    let Fresh { before, matched, scan, .. } = fresh;
    // Held until the end.
    let statement = "SELECT id, matched FROM report
        WHERE registry = $1 AND repository = $2 AND digest = $3 AND platform = $4 {lock}";
    let rows = session.query(statement, place.values()).await?;
    let now = rows.into_iter().next().map(|mut row| Ok::<_, Error>((row.int()?, row.int()?))).transpose()?;
    if now != before {
        return Ok(None);
    }
    let id = match before {
        Some((id, _)) => {
            let mut values = vec![id.into()];
            values.extend(matched.values()?);
            let scanned = if scan.is_some() { ", scanned = {now}" } else { "" };
            let statement = format!(
                "UPDATE report SET matched = {LATER}, complete = $2, worst = $3, counts = $4, matching = $5{scanned}
                WHERE id = $1"
            );
            session.query(&statement, values).await?;
            id
        }
        None => {
            let id = next(session, "report").await?;
            let mut values = vec![id.into()];
            values.extend(matched.values()?);
            values.extend(place.values());
            let statement =
                "INSERT INTO report (id, complete, worst, counts, matching, registry, repository, digest, platform,
                catalogers, scanned, matched) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '', {now}, {now})";
            session.query(statement, values).await?;
            id
        }
    };
    let mut cost = matched.cost();
    if let Some(scan) = scan {
        cost.add(&scan.cost);
        scan.write(session, id).await?;
    }
    if let Some(findings) = matched.findings {
        findings.write(session, id, Some(run), place).await?;
    }
    Ok(Some(cost))
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
