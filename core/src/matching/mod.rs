//! Matching: the packages of an image against the advisories, by the rules of OSV, with the reason for each finding
//! (OSV schema 1.7, "Evaluation", <https://ossf.github.io/osv-schema/#evaluation>).
//!
//! A distribution's packages are looked up by the name and the version that its advisories use, most often those of the source
//! package, in the release that the image names. All others are looked up by their own name and version.

mod group;
mod matcher;
mod range;
mod recent;
mod severity;
mod subject;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::advisory::{Advisories, Affected, RangeKind, Record, RecordId, Score};
use crate::error::Result;
use crate::model::ecosystem;
use crate::model::finding::{Evidence, Finding, Status};
use crate::model::inventory::{Inventory, Package};
use crate::model::package::PackageType;
use crate::model::problem::{Problem, ProblemKind};
use crate::version::scheme;
pub(crate) use matcher::Matcher;
use range::{Compare, Verdict};
use subject::Subject;

/// What the packages of an image and their findings may take in memory together, and what is left for findings however many packages
/// there are.
const ROOM: usize = 30 << 20;
const LEAST: usize = 8 << 20;
/// How many rows of the database the packages of an image are compared with. A package of thousands of advisories may be in an image in
/// as many versions as there may be packages.
const ROWS: u64 = 20_000_000;

/// How many rows may still be looked at for an image.
pub(crate) struct Effort(Cell<u64>);

impl Default for Effort {
    fn default() -> Self {
        Self(Cell::new(ROWS))
    }
}

impl Effort {
    fn spend(&self) {
        self.0.set(self.0.get().saturating_sub(1));
    }

    fn is_spent(&self) -> bool {
        self.0.get() == 0
    }
}

/// How packages are matched.
#[derive(Clone, Debug)]
pub struct MatchOptions {
    /// Whether the findings of packages that a package of the distribution owns are among the findings.
    pub include_owned: bool,
    /// The time of the scan: a record that was withdrawn by then does not count.
    pub now: Timestamp,
}

impl MatchOptions {
    /// A match at this time, without the findings of packages that a package of the distribution owns.
    pub fn at(now: Timestamp) -> Self {
        Self { include_owned: false, now }
    }
}

/// What concerns the packages of an image.
#[derive(Clone, Debug, Default)]
pub struct Matches {
    /// The findings, sorted by package, then id.
    pub findings: Vec<Finding>,
    /// How many findings packages have that a package of the distribution owns.
    pub owned_findings: u64,
    /// What could not be looked up, sorted.
    pub problems: Vec<Problem>,
}

/// Matches every package of `inventory` with `advisories`.
///
/// # Errors
/// [`Kind::Corrupt`](crate::Kind::Corrupt) when the advisory file is damaged or was overwritten.
pub fn find(inventory: &Inventory, advisories: &Advisories, options: &MatchOptions) -> Result<Matches> {
    let effort = Effort::default();
    let found = |package: &Package<'_>| Ok(of_package(package, advisories, options.now, &effort)?.findings);
    Ok(find_with(inventory, advisories, options, usize::MAX, &effort, found)?.unwrap_or_default())
}

/// The same, with the findings of each package from `findings`, such as a memory of packages that occur again and again; none where they
/// take more than `most` bytes.
///
/// # Errors
/// As [`find`], and the errors of `findings`.
fn find_with(
    inventory: &Inventory,
    advisories: &Advisories,
    options: &MatchOptions,
    most: usize,
    effort: &Effort,
    mut findings: impl FnMut(&Package<'_>) -> Result<Vec<Finding>>,
) -> Result<Option<Matches>> {
    let mut matches = Matches { problems: problems(inventory, advisories), ..Matches::default() };
    let room = ROOM.saturating_sub(inventory.memory()).max(LEAST);
    let mut taken = 0;
    for package in inventory.packages() {
        let unmatched = |why: &str| {
            let rest = inventory.len() - package.index();
            Problem::new(ProblemKind::Unmatched, format!("the last {rest} packages are not matched: {why}"))
        };
        if effort.is_spent() {
            matches.problems.push(unmatched("those before them are compared with too many advisories"));
            break;
        }
        let mut findings = findings(&package)?;
        let owned = package.owner().is_some();
        if owned {
            matches.owned_findings += findings.len() as u64;
        }
        if owned && !options.include_owned {
            continue;
        }
        taken += findings.iter().map(Finding::memory).sum::<usize>();
        if taken > most {
            return Ok(None);
        }
        if taken > room {
            matches.problems.push(unmatched("those before them have too many findings"));
            break;
        }
        matches.findings.append(&mut findings);
    }
    matches.problems.sort();
    Ok(Some(matches))
}

/// What was found for a package.
struct Found {
    findings: Vec<Finding>,
    /// Whether it will be the same tomorrow: no record has a withdrawal that is still to come.
    is_lasting: bool,
}

/// The findings of one package, whoever owns it.
///
/// # Errors
/// [`Kind::Corrupt`](crate::Kind::Corrupt) when the advisory file is damaged or was overwritten.
fn of_package(package: &Package<'_>, advisories: &Advisories, now: Timestamp, effort: &Effort) -> Result<Found> {
    let mut is_lasting = true;
    let subjects = Subject::all(package);
    let Some(subject) = subjects.first() else { return Ok(Found { findings: Vec::new(), is_lasting }) };
    let mut found: Vec<Hit> = Vec::new();
    for subject in &subjects {
        for hit in hits(subject, advisories, now, effort, &mut is_lasting)? {
            // A record that speaks of both names says the same of both.
            let is_known = found.iter().any(|known| known.record.id == hit.record.id);
            if !is_known && !subject::is_other_module(package, &hit.fixed, &hit.record.summary) {
                found.push(hit);
            }
        }
    }
    if found.is_empty() {
        return Ok(Found { findings: Vec::new(), is_lasting });
    }
    found.sort_by(|a, b| (a.status, &a.record.id).cmp(&(b.status, &b.record.id)));
    Ok(Found { findings: group::findings(package, subject, found), is_lasting })
}

/// A record that concerns a package, and why.
struct Hit {
    record: Record,
    status: Status,
    evidence: Evidence,
    /// All versions in which it is fixed, after the package's own, the nearest first.
    fixed: Vec<String>,
    scores: Vec<Score>,
    word: Option<String>,
}

/// All records that concern a package, those that surely do first, then by id; `is_lasting` becomes false for one that will be
/// withdrawn.
fn hits(
    subject: &Subject<'_>,
    advisories: &Advisories,
    now: Timestamp,
    effort: &Effort,
    is_lasting: &mut bool,
) -> Result<Vec<Hit>> {
    let own = subject.order();
    // Semantic versions are ordered the same way whatever the ecosystem; npm's scheme also takes a leading v.
    let semver = own.or_else(|| scheme("npm").map(|scheme| scheme.compare));
    let mut found: BTreeMap<RecordId, Hit> = BTreeMap::new();
    // Records that name this very build as one with the fix, whatever their other rows say.
    let (mut fixed, is_rpm) = (BTreeSet::new(), subject.is_rpm());
    // Where a record has rows for the expanded maintenance of a release, these speak for what comes from it.
    let mut maintained = BTreeSet::new();
    if subject.is_maintained() {
        advisories.each(subject.base, subject.name, |row| {
            if row.release.starts_with("Pro:") && subject.concerns(&row.release) == Some(true) {
                maintained.insert(row.record);
            }
            Ok(())
        })?;
    }
    advisories.each(subject.base, subject.name, |row| {
        effort.spend();
        if maintained.contains(&row.record) && !row.release.starts_with("Pro:") {
            return Ok(());
        }
        let is_named = || row.fixes().any(|version| subject.is_build_with_fix(version));
        if is_rpm && subject.concerns(&row.release) == Some(true) && is_named() {
            fixed.insert(row.record);
        }
        let Some(hit) = look(subject, &row, own, semver) else { return Ok(()) };
        match found.entry(row.record) {
            std::collections::btree_map::Entry::Vacant(slot) => {
                slot.insert(hit);
            }
            // Another entry of the same record: the surer one decides, and both know fixes.
            std::collections::btree_map::Entry::Occupied(mut slot) => {
                let have = slot.get_mut();
                let mut other = hit;
                if other.status < have.status {
                    std::mem::swap(have, &mut other);
                }
                for version in other.fixed {
                    range::insert_nearest(&mut have.fixed, &version, own);
                }
                have.scores.extend(other.scores);
                have.word = have.word.take().or(other.word);
            }
        }
        Ok(())
    })?;
    let mut hits = Vec::with_capacity(found.len());
    for (id, mut hit) in found.into_iter().filter(|(id, _)| !fixed.contains(id)) {
        let record = advisories.record(id)?;
        // A time that cannot be read still says that the record was withdrawn.
        let withdrawn = record.withdrawn.as_ref().map(|time| time.parse().unwrap_or(Timestamp::MIN));
        if withdrawn.is_some_and(|time: Timestamp| time <= now) {
            continue;
        }
        *is_lasting &= withdrawn.is_none();
        hit.evidence.record.clone_from(&record.id);
        hit.record = record;
        hits.push(hit);
    }
    hits.sort_by(|a, b| (a.status, &a.record.id).cmp(&(b.status, &b.record.id)));
    Ok(hits)
}

/// Whether one row concerns the package. The record is not read yet: most rows do not.
fn look(subject: &Subject<'_>, row: &Affected, own: Option<Compare>, semver: Option<Compare>) -> Option<Hit> {
    let concerns = subject.concerns(&row.release);
    if concerns == Some(false) {
        return None;
    }
    let mut sure = None;
    let mut unsure = None;
    for range in &row.ranges {
        let compare = if range.kind == RangeKind::Semver { semver } else { own };
        match range::evaluate(range, &subject.version, compare) {
            Verdict::Affected(evidence) => sure = sure.or(Some(evidence)),
            Verdict::Unknown(evidence) => unsure = unsure.or(Some(evidence)),
            Verdict::NotAffected => {}
        }
    }
    if sure.is_none() {
        sure = range::listed(&row.versions, &subject.version, own);
    }
    let (status, mut evidence) = match (sure, unsure) {
        (Some(evidence), _) => (Status::Affected, evidence),
        (None, Some(evidence)) => (Status::Indeterminate, evidence),
        (None, None) => return None,
    };
    let status = if concerns.is_none() {
        evidence.event = format!("the image does not say its release; {}:{} is affected", subject.base, row.release);
        Status::Indeterminate
    } else {
        status
    };
    let mut fixed = Vec::new();
    for range in &row.ranges {
        let compare = if range.kind == RangeKind::Semver { semver } else { own };
        range::fixes_after(range, &subject.version, compare, &mut fixed);
    }
    let record = Record::default();
    Some(Hit { record, status, evidence, fixed, scores: row.scores.clone(), word: row.word.clone() })
}

/// Judges one row of one record, as [`find`] does with those of the database; whether it concerns the version.
#[cfg(feature = "fuzzing")]
pub(crate) fn judge(record: &Record, ecosystem: &str, version: &str, row: &Affected) -> bool {
    let base = ecosystem::base(ecosystem);
    let own = scheme(base).map(|scheme| scheme.compare);
    let distribution = ecosystem::is_distribution(base);
    let subject = Subject {
        ecosystem,
        base,
        release: &row.release,
        name: "a",
        version: version.into(),
        distribution,
        epochless: false,
    };
    let Some(mut hit) = look(&subject, row, own, own) else { return false };
    hit.record = record.clone();
    severity::of(&subject, &[hit]);
    true
}

/// One problem for each ecosystem of the image that the database lacks, for a release of the image that it does not cover, and
/// for packages that OSV does not know.
fn problems(inventory: &Inventory, advisories: &Advisories) -> Vec<Problem> {
    let kinds: BTreeSet<_> = inventory.packages().map(|package| (package.kind(), package.ecosystem())).collect();
    let mut problems: BTreeSet<Problem> =
        kinds.into_iter().filter_map(|(kind, ecosystem)| lack(kind, ecosystem, inventory, advisories)).collect();
    let is_nameless = |package: &Package<'_>| package.kind() == PackageType::Maven && !package.name().contains(':');
    let nameless = inventory.packages().filter(is_nameless).count();
    if nameless > 0 {
        let message = format!("jars whose group is not known, so that no advisory names them: {nameless}");
        problems.insert(Problem::new(ProblemKind::Nameless, message));
    }
    problems.into_iter().collect()
}

/// What the database lacks for packages of one kind in the image.
fn lack(kind: PackageType, ecosystem: Option<&str>, inventory: &Inventory, advisories: &Advisories) -> Option<Problem> {
    let Some(ecosystem) = ecosystem else {
        if !kind.is_os() {
            return Some(Problem::new(ProblemKind::Nameless, format!("OSV has no advisories for {kind} packages")));
        }
        let distro = inventory.distro().map(|distro| distro.id.as_str()).filter(|id| !id.is_empty());
        let distro = distro.unwrap_or("a distribution that is not known");
        let message = format!("OSV has no advisories for the {kind} packages of {distro}");
        return Some(Problem::new(ProblemKind::NoAdvisories, message));
    };
    let (base, release) = (ecosystem::base(ecosystem), ecosystem::release(ecosystem));
    let covers = |theirs: &str| theirs.is_empty() || release.is_empty() || subject::is_of(base, theirs, release);
    let message = if !advisories.has(ecosystem) {
        format!(
            "there are no advisories for {base}: get them with `tidewaiter advisories update {}`",
            if base.contains(' ') { format!("'{base}'") } else { base.to_owned() },
        )
    } else if kind.is_os() && !advisories.releases(base).any(covers) {
        format!("the advisories for {base} do not cover {release}, the release of the image")
    } else {
        return None;
    };
    Some(Problem::new(ProblemKind::NoAdvisories, message))
}
