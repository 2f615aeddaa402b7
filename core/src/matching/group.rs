//! Findings: all records that speak of one vulnerability of one package become one.

use std::collections::{BTreeSet, HashMap};

use super::{Hit, Subject, range, severity};
use crate::advisory::Record;
use crate::model::finding::{Finding, Status};
use crate::model::inventory::Package;
use crate::version::scheme;

/// What databases put before the CVE that one of their records mirrors.
const MIRRORS: &[&str] = &["ALPINE-", "DEBIAN-", "UBUNTU-"];

/// How the ids of advisories begin that stand for what an update fixes, be it one vulnerability or many: of AlmaLinux, TuxCare, Debian,
/// Ubuntu, Mageia, openEuler, Photon OS, Red Hat, Rocky Linux and SUSE.
const BUNDLES: &[&str] = &[
    "ALBA-",
    "ALEA-",
    "ALSA-",
    "CLSA-",
    "DLA-",
    "DSA-",
    "DTSA-",
    "ELA-",
    "LSN-",
    "MGAA-",
    "MGASA-",
    "OESA-",
    "PHSA-",
    "RHBA-",
    "RHEA-",
    "RHSA-",
    "RLBA-",
    "RLEA-",
    "RLSA-",
    "RXSA-",
    "SUSE-",
    "USN-",
    "openSUSE-",
];

/// The findings of one package, sorted by id.
pub(super) fn findings(package: &Package<'_>, subject: &Subject<'_>, hits: Vec<Hit>) -> Vec<Finding> {
    let purl = package.purl();
    let mut groups: Vec<Vec<Hit>> = Vec::new();
    let mut place: HashMap<usize, usize> = HashMap::new();
    let roots = roots(&hits);
    for (hit, root) in hits.into_iter().zip(roots) {
        let next = groups.len();
        let index = *place.entry(root).or_insert(next);
        match groups.get_mut(index) {
            Some(group) => group.push(hit),
            None => groups.push(vec![hit]),
        }
    }
    let mut findings: Vec<_> =
        groups.into_iter().filter_map(|group| finding(package.index(), &purl, subject, group)).collect();
    findings.sort_by(|a, b| a.id.cmp(&b.id));
    findings
}

/// One finding of all hits of a group, of which the first counts where only one can.
fn finding(package_index: usize, purl: &str, subject: &Subject<'_>, group: Vec<Hit>) -> Option<Finding> {
    let severity = severity::of(subject, &group);
    let mut ids: BTreeSet<String> = group.iter().flat_map(|hit| ids(&hit.record)).map(str::to_owned).collect();
    let mut upstream: BTreeSet<String> = group.iter().flat_map(|hit| hit.record.upstream.iter().cloned()).collect();
    let first = group.first()?;
    let mut cves = ids.iter().filter(|id| id.starts_with("CVE-"));
    let id = match (cves.next(), cves.next()) {
        (Some(only), None) => only.clone(),
        _ => first.record.id.clone(),
    };
    upstream.retain(|upstream| !ids.contains(upstream));
    ids.remove(&id);
    let compare = scheme(subject.base).map(|scheme| scheme.compare);
    let mut fixed = first.fixed.clone();
    // What another record knows of fixes counts only if it is as sure.
    for hit in group.iter().skip(1).filter(|hit| hit.status == first.status) {
        for version in &hit.fixed {
            range::insert_nearest(&mut fixed, version, compare);
        }
    }
    Some(Finding {
        id,
        aliases: ids.into_iter().collect(),
        upstream: upstream.into_iter().collect(),
        package: purl.to_owned(),
        package_index,
        status: if group.iter().any(|hit| hit.status == Status::Affected) { Status::Affected } else { first.status },
        fixed,
        severity,
        evidence: first.evidence.clone(),
    })
}

/// For each hit the first one of its group: hits that share an id, straight or over others, belong together.
fn roots(hits: &[Hit]) -> Vec<usize> {
    let mut parents: Vec<usize> = (0..hits.len()).collect();
    let mut first_with: HashMap<&str, usize> = HashMap::new();
    for (index, hit) in hits.iter().enumerate() {
        for id in ids(&hit.record) {
            let other = *first_with.entry(id).or_insert(index);
            let (a, b) = (root(&mut parents, index), root(&mut parents, other));
            if let Some(parent) = parents.get_mut(a.max(b)) {
                *parent = a.min(b);
            }
        }
    }
    (0..hits.len()).map(|index| root(&mut parents, index)).collect()
}

fn root(parents: &mut [usize], mut index: usize) -> usize {
    while let Some(parent) = parents.get(index).copied().filter(|parent| *parent != index) {
        // Halve the way for the next one.
        let above = parents.get(parent).copied().unwrap_or(parent);
        if let Some(slot) = parents.get_mut(index) {
            *slot = above;
        }
        index = above;
    }
    index
}

/// All ids of the vulnerability of a record: its own, its aliases, and the CVE that it mirrors. Else `upstream` is no alias:
/// a DSA is not the same as one of the vulnerabilities that it fixes.
fn ids(record: &Record) -> impl Iterator<Item = &str> {
    std::iter::once(record.id.as_str()).chain(record.aliases.iter().map(String::as_str)).chain(mirrored(record))
}

/// The CVE that a record mirrors: the one in its id, else the only one in its `upstream`.
fn mirrored(record: &Record) -> Option<&str> {
    let is_cve = |id: &&str| id.starts_with("CVE-");
    let in_id = MIRRORS.iter().find_map(|prefix| record.id.strip_prefix(prefix).filter(is_cve));
    if in_id.is_some() || BUNDLES.iter().any(|prefix| record.id.starts_with(prefix)) {
        return in_id;
    }
    let mut upstream = record.upstream.iter().map(String::as_str).filter(is_cve);
    upstream.next().filter(|_| upstream.next().is_none())
}
