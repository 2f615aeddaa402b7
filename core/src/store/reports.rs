//! Stored reports, read.

use jiff::Timestamp;

use super::Store;
use super::database::Row;
use super::matched::{Matched, Matching, Place, Rematch};
use crate::error::Result;
use crate::job::unpack;
use crate::model::digest::Digest;
use crate::model::finding::Finding;
use crate::model::report::Report;

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

/// A stored report as bytes, to be read on another thread.
#[derive(Debug)]
pub(crate) struct PackedReport {
    id: i64,
    registry: String,
    repository: String,
    digest: Digest,
    platform: String,
    scanned: Timestamp,
    matched: i64,
    scan: Vec<u8>,
    findings: Vec<u8>,
    matching: Vec<u8>,
}

impl Store {
    /// The reports of one image, by platform.
    ///
    /// # Errors
    /// [`Kind::Storage`](crate::Kind::Storage), [`Kind::Corrupt`](crate::Kind::Corrupt).
    pub async fn reports(&self, registry: &str, repository: &str, digest: &Digest) -> Result<Vec<Stored>> {
        let packed = self.packed(registry, repository, digest).await?;
        packed.into_iter().map(PackedReport::unpack).collect()
    }

    /// The same, packed still, to be read elsewhere.
    ///
    /// # Errors
    /// [`Kind::Storage`](crate::Kind::Storage).
    pub(crate) async fn packed(&self, registry: &str, repository: &str, digest: &Digest) -> Result<Vec<PackedReport>> {
        let statement =
            format!("{SELECT} WHERE r.registry = $1 AND r.repository = $2 AND r.digest = $3 ORDER BY r.platform");
        let values = vec![registry.into(), repository.into(), digest.to_string().into()];
        let rows = self.read().await?.query(&statement, values).await?;
        rows.into_iter().map(read).collect()
    }

    /// Reports by number, beyond `after`, at most `limit`, and no more once they have so many `bytes`; of all registries, or of one. They
    /// are packed still, to be read elsewhere.
    ///
    /// # Errors
    /// [`Kind::Storage`](crate::Kind::Storage).
    pub(crate) async fn packed_after(
        &self,
        registry: Option<&str>,
        after: i64,
        limit: u64,
        bytes: u64,
    ) -> Result<Vec<PackedReport>> {
        let mut session = self.read().await?;
        let these = "r.id > $1 AND (CAST($2 AS TEXT) IS NULL OR r.registry = $2)";
        let statement = format!(
            "SELECT r.id, length(c.scan) + length(c.findings) FROM report r JOIN content c ON c.report = r.id
            WHERE {these} ORDER BY r.id LIMIT $3"
        );
        let (mut last, mut all) = (after, 0);
        for mut row in session.query(&statement, vec![after.into(), registry.into(), limit.into()]).await? {
            last = row.int()?;
            all += row.count()?;
            if all >= bytes {
                break;
            }
        }
        let statement = format!("{SELECT} WHERE {these} AND r.id <= $3 ORDER BY r.id");
        let rows = session.query(&statement, vec![after.into(), registry.into(), last.into()]).await?;
        rows.into_iter().map(read).collect()
    }
}

const SELECT: &str =
    "SELECT r.id, r.registry, r.repository, r.digest, r.platform, r.scanned, r.matched, c.scan, c.findings,
    r.matching FROM report r JOIN content c ON c.report = r.id";

fn read(mut row: Row) -> Result<PackedReport> {
    Ok(PackedReport {
        id: row.int()?,
        registry: row.text()?,
        repository: row.text()?,
        digest: row.parse()?,
        platform: row.text()?,
        scanned: row.time()?,
        matched: row.int()?,
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

    /// Its number, and when it was matched: every write makes it another.
    pub(super) fn version(&self) -> (i64, i64) {
        (self.id, self.matched)
    }

    /// The platform.
    pub(super) fn platform(&self) -> &str {
        &self.platform
    }

    /// The findings that it has, as they are kept.
    pub(super) fn packed_findings(&self) -> &[u8] {
        &self.findings
    }

    /// The whole report, and where it belongs.
    ///
    /// # Errors
    /// [`Kind::Corrupt`](crate::Kind::Corrupt).
    pub(crate) fn unpack(self) -> Result<Stored> {
        let mut report = self.scan()?;
        report.findings = self.findings()?;
        report.link();
        let Self { id, registry, repository, digest, scanned, .. } = self;
        Ok(Stored { id, registry, repository, digest, scanned, report })
    }

    /// The report without its findings, for a new match.
    ///
    /// # Errors
    /// [`Kind::Corrupt`](crate::Kind::Corrupt).
    pub(crate) fn scan(&self) -> Result<Report> {
        let mut report: Report = unpack(&self.scan)?;
        unpack::<Matching>(&self.matching)?.put(&mut report);
        Ok(report)
    }

    /// The findings that it has.
    ///
    /// # Errors
    /// [`Kind::Corrupt`](crate::Kind::Corrupt).
    pub(crate) fn findings(&self) -> Result<Vec<Finding>> {
        unpack(&self.findings)
    }

    /// What is to be written once the report is matched anew.
    ///
    /// # Errors
    /// [`Kind::Corrupt`](crate::Kind::Corrupt).
    pub(crate) fn rematched(self, report: &Report) -> Result<Rematch> {
        let matched = Matched::of(report, Some(&self.findings))?;
        let place = Place {
            registry: self.registry,
            repository: self.repository,
            digest: self.digest,
            platform: self.platform,
        };
        Ok(Rematch { id: self.id, seen: self.matched, place, matched })
    }
}
