//! How bad a finding is, by a fixed order of sources: the distribution's own rating for its packages, then the newest
//! CVSS version, then the word of the advisory's database. Two sources are never mixed.

use std::str::FromStr;

use super::{Hit, Subject};
use crate::model::severity::{Rating, Severity};

/// The severity of a group of hits, and where it comes from.
pub(super) fn of(subject: &Subject<'_>, group: &[Hit]) -> Severity {
    let source = |hit: &Hit| {
        let database = hit.record.id.split('-').next().unwrap_or_default();
        Some(if subject.distribution { subject.ecosystem.to_owned() } else { database.to_owned() })
    };
    if subject.distribution {
        for hit in group {
            let words =
                hit.word.iter().chain(scores(hit).filter(|(kind, _)| !kind.starts_with("CVSS")).map(|(_, word)| word));
            for word in words {
                if let Some(rating) = rating(word) {
                    return Severity { rating, score: None, vector: Some(word.clone()), source: source(hit) };
                }
            }
        }
    }
    let mut best: Option<(CvssVersion, f64, &str, &Hit)> = None;
    for hit in group {
        for (_, vector) in scores(hit) {
            let Some((version, score)) = cvss(vector) else { continue };
            if best.is_none_or(|(known, ..)| version > known) {
                best = Some((version, score, vector, hit));
            }
        }
    }
    if let Some((_, score, vector, hit)) = best {
        let rating = Rating::of_score(score);
        return Severity { rating, score: Some(score), vector: Some(vector.to_owned()), source: source(hit) };
    }
    for hit in group {
        for word in hit.record.word.iter().chain(&hit.word) {
            if let Some(rating) = rating(word) {
                return Severity { rating, score: None, vector: Some(word.clone()), source: source(hit) };
            }
        }
    }
    Severity::default()
}

/// The scores of a hit: those of its package before those of the whole record.
fn scores(hit: &Hit) -> impl Iterator<Item = (&str, &String)> {
    hit.scores.iter().chain(&hit.record.scores).map(|score| (score.kind.as_str(), &score.value))
}

/// The rating that a word of a distribution or of GitHub stands for; none for words such as `not yet assigned`.
fn rating(word: &str) -> Option<Rating> {
    // Debian marks what it does not fix anyway with asterisks.
    let word = word.trim().trim_end_matches('*').to_ascii_lowercase();
    Some(match word.as_str() {
        "critical" => Rating::Critical,
        "high" | "important" => Rating::High,
        "medium" | "moderate" => Rating::Medium,
        "low" => Rating::Low,
        "negligible" | "unimportant" => Rating::Negligible,
        _ => return None,
    })
}

/// A version of CVSS, the newest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CvssVersion {
    V2,
    V30,
    V31,
    V40,
}

/// The mandatory metrics of each version (CVSS 2.0, section 2.1; 3.0 and 3.1, section 2; 4.0, section 2).
const MANDATORY: &[(CvssVersion, &str, &[&str])] = &[
    (CvssVersion::V40, "CVSS:4.0/", &["AV", "AC", "AT", "PR", "UI", "VC", "VI", "VA", "SC", "SI", "SA"]),
    (CvssVersion::V31, "CVSS:3.1/", &["AV", "AC", "PR", "UI", "S", "C", "I", "A"]),
    (CvssVersion::V30, "CVSS:3.0/", &["AV", "AC", "PR", "UI", "S", "C", "I", "A"]),
    (CvssVersion::V2, "", &["AV", "AC", "Au", "C", "I", "A"]),
];

/// The version and the score of a CVSS vector; none for one that is not valid.
pub(super) fn cvss(vector: &str) -> Option<(CvssVersion, f64)> {
    let (version, prefix, mandatory) = MANDATORY.iter().find(|(_, prefix, _)| vector.starts_with(prefix))?;
    let metrics = vector.strip_prefix(prefix)?;
    // The parser takes a vector that lacks some of them, and scores it 0.
    let names = || metrics.split('/').map(|metric| metric.split(':').next().unwrap_or_default());
    if !mandatory.iter().all(|wanted| names().any(|name| name == *wanted)) {
        return None;
    }
    let score = match version {
        CvssVersion::V2 => cvss::v2::Vector::from_str(vector).ok()?.score().value(),
        CvssVersion::V30 | CvssVersion::V31 => cvss::v3::Vector::from_str(vector).ok()?.score().value(),
        CvssVersion::V40 => cvss::v4::Vector::from_str(vector).ok()?.score().value(),
    };
    Some((*version, score))
}
