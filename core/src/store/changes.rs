//! What changed: findings that are new and that are gone.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Store;
use super::database::{Row, Value, time};
use crate::error::Result;
use crate::job::unpack;
use crate::model::digest::Digest;
use crate::model::finding::Finding;
use crate::model::platform::Platform;
use crate::model::severity::Rating;

/// A finding that came or went.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Changed {
    /// The id.
    pub id: String,
    /// The package URL.
    pub package: String,
    /// How bad it is.
    pub rating: Rating,
}

/// What one scan or match changed of an image. At the first scan all findings are new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// When.
    pub time: Timestamp,
    /// The run that found it; none for a match outside of a run.
    pub run: Option<i64>,
    /// The registry.
    pub registry: String,
    /// The repository.
    pub repository: String,
    /// The digest.
    pub digest: Digest,
    /// The platform.
    pub platform: Platform,
    /// Findings that were not there before.
    pub new: Vec<Changed>,
    /// Findings that are gone.
    pub fixed: Vec<Changed>,
}

/// What is different between the findings before and now: new, then fixed, both sorted.
pub(super) fn between(before: &[Finding], now: &[Finding]) -> (Vec<Changed>, Vec<Changed>) {
    fn keyed(findings: &[Finding]) -> BTreeMap<(&str, &str), &Finding> {
        findings.iter().map(|finding| ((finding.id.as_str(), finding.package.as_str()), finding)).collect()
    }
    let only = |these: &BTreeMap<(&str, &str), &Finding>, others: &BTreeMap<(&str, &str), &Finding>| {
        these.iter().filter(|(key, _)| !others.contains_key(*key)).map(|(_, finding)| Changed::of(finding)).collect()
    };
    let (before, now) = (keyed(before), keyed(now));
    (only(&now, &before), only(&before, &now))
}

impl Changed {
    fn of(finding: &Finding) -> Self {
        Self { id: finding.id.clone(), package: finding.package.clone(), rating: finding.severity.rating }
    }
}

impl Store {
    /// What changed at or after `since`, the oldest first; of all registries, or of one. At most `limit`, the next ones after `after`.
    ///
    /// # Errors
    /// [`Kind::Storage`](crate::Kind::Storage).
    pub async fn changes(
        &self,
        registry: Option<&str>,
        since: Option<Timestamp>,
        after: Option<&Change>,
        limit: u64,
    ) -> Result<Vec<Change>> {
        let statement = "SELECT time, run, registry, repository, digest, platform, findings FROM change
            WHERE time >= $1 AND (CAST($2 AS TEXT) IS NULL OR registry = $2) AND (CAST($3 AS TEXT) IS NULL
                OR (time, registry, repository, digest, platform, coalesce(run, 0)) > ($1, $3, $4, $5, $6, $7))
            ORDER BY time, registry, repository, digest, platform, coalesce(run, 0) LIMIT $8";
        let from = after.map(|change| change.time).or(since).map_or(Value::Int(0), time);
        let mut values = vec![from, registry.into()];
        values.extend(match after {
            Some(Change { run, registry, repository, digest, platform, .. }) => [
                registry.as_str().into(),
                repository.as_str().into(),
                digest.to_string().into(),
                platform.to_string().into(),
                run.unwrap_or(0).into(),
            ],
            None => [Value::Null, Value::Null, Value::Null, Value::Null, Value::Null],
        });
        values.push(limit.into());
        let rows = self.read().await?.query(statement, values).await?;
        rows.into_iter().map(read).collect()
    }
}

fn read(mut row: Row) -> Result<Change> {
    let (time, run, registry, repository) = (row.time()?, row.maybe_int()?, row.text()?, row.text()?);
    let (digest, platform) = (row.parse()?, row.parse()?);
    let (new, fixed) = unpack(&row.bytes()?)?;
    Ok(Change { time, run, registry, repository, digest, platform, new, fixed })
}
