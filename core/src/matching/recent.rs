//! What was found for packages before: the same package lies in many images, and is looked up once for all of them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::{Effort, Found, of_package};
use crate::advisory::Advisories;
use crate::error::{Error, Kind, Result};
use crate::model::finding::Finding;
use crate::model::fingerprint::Fingerprints;
use crate::model::inventory::Package;

/// Parts, each behind a lock of its own, so that cores seldom wait for each other.
const PARTS: usize = 16;
/// About what an entry of a map takes.
const ENTRY: usize = 64;

/// The findings of packages, for one database; shared by all threads.
pub(super) struct Recent {
    parts: [Mutex<Part>; PARTS],
    /// The most bytes of one part; then it begins anew.
    most: usize,
    fingerprints: Fingerprints,
}

/// Packed findings by package. Most packages have none, and cost no more than their place in the map.
#[derive(Default)]
struct Part {
    found: HashMap<(u64, u64), Box<[u8]>>,
    bytes: usize,
}

impl Recent {
    /// A memory of about so many bytes at the most.
    pub(super) fn new(bytes: usize) -> Self {
        Self { parts: Default::default(), most: bytes / PARTS, fingerprints: Fingerprints::default() }
    }

    /// The findings of a package in `advisories`, always the same database.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] when the advisory file is damaged or was overwritten.
    pub(super) fn findings(
        &self,
        package: &Package<'_>,
        advisories: &Advisories,
        now: Timestamp,
        effort: &Effort,
    ) -> Result<Vec<Finding>> {
        let key = self.key(package);
        let part = self.parts.get(key.0 as usize % PARTS).map(lock);
        if let Some(packed) = part.as_deref().and_then(|part| part.found.get(&key)) {
            if packed.is_empty() {
                return Ok(Vec::new());
            }
            let damaged = |error| Error::new(Kind::Internal, "findings that were kept cannot be read").because(error);
            let mut findings: Vec<Finding> = postcard::from_bytes(packed).map_err(damaged)?;
            findings.iter_mut().for_each(|finding| finding.package_index = package.index());
            return Ok(findings);
        }
        drop(part);
        let Found { findings, is_lasting } = of_package(package, advisories, now, effort)?;
        if !is_lasting {
            return Ok(findings);
        }
        let packed = match findings.as_slice() {
            [] => Vec::new(),
            some => postcard::to_allocvec(some)
                .map_err(|error| Error::new(Kind::Internal, "findings cannot be kept").because(error))?,
        };
        if let Some(mut part) = self.parts.get(key.0 as usize % PARTS).map(lock) {
            if part.bytes > self.most {
                *part = Part::default();
            }
            part.bytes += ENTRY + packed.len();
            part.found.insert(key, packed.into());
        }
        Ok(findings)
    }

    /// All that decides what is found, besides the place of the package in its image.
    fn key(&self, package: &Package<'_>) -> (u64, u64) {
        let distro = package.distro().filter(|_| package.kind().is_os());
        let distro = distro.map_or(("", ""), |distro| (distro.id.as_str(), distro.version.as_str()));
        let parts = (
            (package.kind().as_str(), package.ecosystem(), package.name(), package.version(), package.source()),
            (package.architecture(), package.module(), package.vendor(), distro),
        );
        self.fingerprints.of(&parts)
    }
}

fn lock(part: &Mutex<Part>) -> MutexGuard<'_, Part> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}
