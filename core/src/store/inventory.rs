//! Questions about what is known of all registries.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Store;
use super::database::{Row, Session, Value};
use super::matched::rank;
use crate::error::Result;
use crate::job::unpack;
use crate::model::digest::Digest;
use crate::model::report::Report;
use crate::model::severity::Rating;
use crate::select::{Near, Pattern, Patterns, Syntax};

/// Which images are asked for. The default is all that were scanned and that the registry still lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InventoryFilter {
    /// Of the registry with this name.
    pub registry: Option<String>,
    /// Of the repositories that this pattern matches: one path, or with stars as in a selection (`team/*`).
    pub repository: Option<String>,
    /// With a finding that is at least as bad.
    pub severity: Option<Rating>,
    /// With a finding of this id: its own, an alias, or one that it bundles.
    pub advisory: Option<String>,
    /// With a package of this name or package URL; a URL without a version means every version.
    pub package: Option<String>,
    /// With any finding.
    pub vulnerable: bool,
}

/// An image of the inventory. As JSON a line of `inventory`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InventoryRow {
    /// The registry.
    pub registry: String,
    /// The repository.
    pub repository: String,
    /// The digest.
    pub digest: Digest,
    /// The tags that point at it.
    pub tags: Vec<String>,
    /// When it was scanned; the latest of its platforms.
    pub scanned_at: Timestamp,
    /// Whether everything of it was looked at.
    pub complete: bool,
    /// Findings by rating, of all platforms together.
    pub findings: BTreeMap<Rating, u64>,
}

/// What is known of one registry. As JSON a line of `inventory --summary`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RegistrySummary {
    /// The registry.
    pub registry: String,
    /// Repositories that have images.
    pub repositories: u64,
    /// Tags.
    pub tags: u64,
    /// Images, by digest and repository.
    pub images: u64,
    /// Those that were scanned.
    pub scanned: u64,
    /// Those that could not be scanned, by any job.
    pub failed: u64,
    /// Those of which not everything could be looked at, or matched: findings may be missing.
    pub incomplete: u64,
    /// Those with findings.
    pub vulnerable: u64,
    /// Those with findings, by the worst of them.
    pub vulnerable_by_severity: BTreeMap<Rating, u64>,
    /// Images that the registry does not list any more.
    pub gone: u64,
    /// When the latest run of a job on it ended.
    pub last_run: Option<Timestamp>,
    /// When the next run of a job on it is due.
    pub next_run: Option<Timestamp>,
}

/// The place of a row in the order of the inventory: registry, repository, digest.
type Place = (String, String, String);

/// The names of all registries of which anything is known.
const REGISTRIES: &str = "SELECT name FROM registry UNION SELECT DISTINCT registry FROM image ORDER BY 1";

impl Store {
    /// The images that `filter` asks for, by registry, repository and digest: the next ones after `after`, about `limit`. None are
    /// left once the answer is empty.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`](crate::Kind::InvalidInput) for a repository that is no pattern,
    /// [`Kind::Storage`](crate::Kind::Storage), [`Kind::Corrupt`](crate::Kind::Corrupt).
    pub async fn inventory(
        &self,
        filter: &InventoryFilter,
        after: Option<&InventoryRow>,
        limit: u64,
    ) -> Result<Vec<InventoryRow>> {
        let pattern = filter.repository.as_deref().map(Pattern::new).transpose()?;
        let pattern = pattern.filter(|pattern| pattern.literal().is_none());
        let mut session = self.read().await?;
        let mut place = after.map(|row| (row.registry.clone(), row.repository.clone(), row.digest.to_string()));
        // A page of images may have none with the package; an answer without rows would say that none are left.
        loop {
            let page = page(session.as_mut(), filter, pattern.is_some(), place.as_ref(), limit.max(1)).await?;
            let Some(last) = page.last() else { return Ok(Vec::new()) };
            place = Some((last.registry.clone(), last.repository.clone(), last.digest.to_string()));
            let mut found = Vec::new();
            for row in page {
                let is_named = pattern.as_ref().is_none_or(|pattern| pattern.matches(&row.repository));
                let is_meant = is_named
                    && match &filter.package {
                        Some(package) => has_package(session.as_mut(), &row, package).await?,
                        None => true,
                    };
                if is_meant {
                    found.push(row);
                }
            }
            if !found.is_empty() {
                return Ok(found);
            }
        }
    }

    /// Whether anything is known of a registry with this name: it is saved, or images of it are.
    ///
    /// # Errors
    /// [`Kind::NotFound`](crate::Kind::NotFound) for one of which nothing is known, with names that are near;
    /// [`Kind::Storage`](crate::Kind::Storage).
    pub async fn knows_registry(&self, name: &str) -> Result<()> {
        let mut session = self.read().await?;
        let mut near = Patterns::new(&[name], &[] as &[&str], Syntax::Plain).ok().map(|names| Near::new(&names));
        for mut row in session.query(REGISTRIES, vec![]).await? {
            let known = row.text()?;
            if known == name {
                return Ok(());
            }
            near.iter_mut().for_each(|near| near.see(&known));
        }
        let unknown = super::registries::unknown(name);
        Err(match near.and_then(|near| near.hint()) {
            Some(hint) => unknown.with_hint(hint),
            None => unknown,
        })
    }

    /// What is known of each registry, by name; `now` decides what is due next.
    ///
    /// # Errors
    /// [`Kind::Storage`](crate::Kind::Storage).
    pub async fn summaries(&self, now: Timestamp) -> Result<Vec<RegistrySummary>> {
        let jobs = self.jobs().await?;
        let mut session = self.read().await?;
        let mut summaries = Vec::new();
        for mut row in session.query(REGISTRIES, vec![]).await? {
            let registry = row.text()?;
            let mut summary = count(session.as_mut(), registry).await?;
            summary.next_run =
                jobs.iter().filter(|job| job.job.registry == summary.registry).filter_map(|job| job.next(now)).min();
            summaries.push(summary);
        }
        Ok(summaries)
    }
}

async fn page(
    session: &mut dyn Session,
    filter: &InventoryFilter,
    of_several: bool,
    after: Option<&Place>,
    limit: u64,
) -> Result<Vec<InventoryRow>> {
    let statement = "SELECT r.registry, r.repository, r.digest, i.tags, r.scanned, r.complete, r.counts
        FROM report r JOIN image i ON i.registry = r.registry AND i.repository = r.repository AND i.digest = r.digest
        JOIN (SELECT q.registry, q.repository, q.digest FROM report q
              JOIN image g ON g.registry = q.registry AND g.repository = q.repository AND g.digest = q.digest
              WHERE g.gone IS NULL
                AND (CAST($1 AS TEXT) IS NULL OR q.registry = $1) AND (CAST($2 AS TEXT) IS NULL OR q.repository = $2)
                AND q.worst >= $3
                AND (CAST($4 AS TEXT) IS NULL OR q.id IN (SELECT report FROM finding WHERE id = $4))
                AND (CAST($5 AS TEXT) IS NULL OR (q.registry, q.repository, q.digest) > ($5, $6, $7))
              GROUP BY q.registry, q.repository, q.digest ORDER BY q.registry, q.repository, q.digest LIMIT $8) p
          ON p.registry = r.registry AND p.repository = r.repository AND p.digest = r.digest
        ORDER BY r.registry, r.repository, r.digest, r.platform";
    let worst = match filter.severity {
        Some(rating) => rank(rating),
        None if filter.vulnerable => 0,
        None => -1,
    };
    let (registry, repository, digest) = match after {
        Some((registry, repository, digest)) => {
            (registry.as_str().into(), repository.as_str().into(), digest.as_str().into())
        }
        None => (Value::Null, Value::Null, Value::Null),
    };
    let values = vec![
        filter.registry.as_deref().into(),
        filter.repository.as_deref().filter(|_| !of_several).into(),
        worst.into(),
        filter.advisory.as_deref().into(),
        registry,
        repository,
        digest,
        limit.into(),
    ];
    let mut rows: Vec<InventoryRow> = Vec::new();
    for row in session.query(statement, values).await? {
        let row = read(row)?;
        match rows.last_mut() {
            Some(last)
                if (&last.registry, &last.repository, &last.digest)
                    == (&row.registry, &row.repository, &row.digest) =>
            {
                last.scanned_at = last.scanned_at.max(row.scanned_at);
                last.complete &= row.complete;
                for (rating, count) in row.findings {
                    *last.findings.entry(rating).or_default() += count;
                }
            }
            _ => rows.push(row),
        }
    }
    Ok(rows)
}

fn read(mut row: Row) -> Result<InventoryRow> {
    Ok(InventoryRow {
        registry: row.text()?,
        repository: row.text()?,
        digest: row.parse()?,
        tags: row.json()?,
        scanned_at: row.time()?,
        complete: row.truth()?,
        findings: row.json()?,
    })
}

/// Whether an image has a package, by name or package URL.
async fn has_package(session: &mut dyn Session, image: &InventoryRow, package: &str) -> Result<bool> {
    let statement = "SELECT c.scan FROM report r JOIN content c ON c.report = r.id
        WHERE r.registry = $1 AND r.repository = $2 AND r.digest = $3";
    let values =
        vec![image.registry.as_str().into(), image.repository.as_str().into(), image.digest.to_string().into()];
    for mut row in session.query(statement, values).await? {
        let report: Report = unpack(&row.bytes()?)?;
        if report.inventory.packages().any(|found| is_meant(package, found.name(), || found.purl())) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a name or a package URL means a package: a URL without version or qualifiers means all of them.
fn is_meant(asked: &str, name: &str, purl: impl Fn() -> String) -> bool {
    if !asked.starts_with("pkg:") {
        return asked == name;
    }
    purl().strip_prefix(asked).is_some_and(|rest| rest.is_empty() || rest.starts_with(['@', '?']))
}

async fn count(session: &mut dyn Session, registry: String) -> Result<RegistrySummary> {
    let mut summary = RegistrySummary { registry, ..RegistrySummary::default() };
    let key = || vec![Value::from(summary.registry.as_str())];
    let statement = "SELECT count(DISTINCT repository), count(*) FROM image WHERE registry = $1 AND gone IS NULL";
    let (mut repositories, mut images, mut tags) = (0, 0, 0);
    for mut row in session.query(statement, key()).await? {
        (repositories, images) = (row.count()?, row.count()?);
    }
    for mut row in session.query("SELECT tags FROM image WHERE registry = $1 AND gone IS NULL", key()).await? {
        tags += row.json::<Vec<String>>()?.len() as u64;
    }
    let mut gone = 0;
    for mut row in session.query("SELECT count(*) FROM image WHERE registry = $1 AND gone IS NOT NULL", key()).await? {
        gone = row.count()?;
    }
    let statement = "SELECT worst, count(*) FROM (SELECT max(r.worst) AS worst FROM report r JOIN image i
            ON i.registry = r.registry AND i.repository = r.repository AND i.digest = r.digest
            WHERE r.registry = $1 AND i.gone IS NULL GROUP BY r.repository, r.digest) w GROUP BY worst";
    let (mut scanned, mut by_severity) = (0, BTreeMap::new());
    for mut row in session.query(statement, key()).await? {
        let (worst, count) = (row.int()?, row.count()?);
        scanned += count;
        if let Some(rating) = Rating::ALL.iter().find(|rating| rank(**rating) == worst) {
            by_severity.insert(*rating, count);
        }
    }
    let statement = "SELECT count(*) FROM (SELECT DISTINCT r.repository, r.digest FROM report r JOIN image i
            ON i.registry = r.registry AND i.repository = r.repository AND i.digest = r.digest
            WHERE r.registry = $1 AND i.gone IS NULL AND r.complete = 0) c";
    let mut incomplete = 0;
    for mut row in session.query(statement, key()).await? {
        incomplete = row.count()?;
    }
    let statement = "SELECT count(*) FROM image i WHERE i.registry = $1 AND i.gone IS NULL
        AND EXISTS (SELECT 1 FROM baseline b JOIN job j ON j.name = b.job WHERE j.registry = i.registry
            AND b.repository = i.repository AND b.digest = i.digest AND b.outcome = 'failed')
        AND NOT EXISTS (SELECT 1 FROM report r WHERE r.registry = i.registry AND r.repository = i.repository
            AND r.digest = i.digest)";
    let (mut failed, mut last_run) = (0, None);
    for mut row in session.query(statement, key()).await? {
        failed = row.count()?;
    }
    for mut row in session.query("SELECT max(ended) FROM run WHERE registry = $1", key()).await? {
        last_run = row.maybe_time()?;
    }
    summary.last_run = last_run;
    summary.repositories = repositories;
    summary.images = images;
    summary.tags = tags;
    summary.gone = gone;
    summary.scanned = scanned;
    summary.failed = failed;
    summary.incomplete = incomplete;
    summary.vulnerable = by_severity.values().sum();
    summary.vulnerable_by_severity = by_severity;
    Ok(summary)
}
