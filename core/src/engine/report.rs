//! What is in an image, matched and put down.

use std::time::Instant;

use super::advisory_source::{Looked, ecosystems, update_command};
use super::fit::Fit;
use super::lanes::Kit;
use super::peak;
use super::room::Seat;
use crate::context::Context;
use crate::error::Result;
use crate::matching::{MatchOptions, Matcher};
use crate::model::event::Event;
use crate::model::image::{Descriptor, Image, LayerRecord};
use crate::model::inventory::Inventory;
use crate::model::problem::{Problem, ProblemKind, Problems};
use crate::model::report::{Provenance, Report, Stats, Subject};

/// The bytes of findings that an image may have beside other images.
const SMALL_FINDINGS: usize = 8 << 20;

/// What is in an image, before it is matched.
pub(super) struct Contents {
    pub(super) image: Image,
    pub(super) reference: String,
    pub(super) inventory: Inventory,
    pub(super) problems: Problems,
    pub(super) stats: Stats,
    pub(super) started: Instant,
}

/// Matches the packages and closes the report.
///
/// # Errors
/// Those of the advisory database.
pub(super) fn close(
    kit: &Kit,
    seat: &Seat,
    contents: Contents,
    looked: &Looked,
    options: &MatchOptions,
    context: &Context,
) -> Result<Fit<Report, Contents>> {
    let matcher = looked.matcher.as_deref();
    let most = seat.allows(SMALL_FINDINGS);
    let matches = match matcher.map(|matcher| matcher.find_within(most, &contents.inventory, options)).transpose()? {
        Some(None) => return Ok(Fit::TooMuch(contents)),
        matches => matches.flatten(),
    };
    let Contents { image, reference, inventory, mut problems, mut stats, started } = contents;
    let mut findings = Vec::new();
    match matches {
        Some(matches) => {
            findings = matches.findings;
            stats.owned_findings = matches.owned_findings;
            matches.problems.into_iter().for_each(|problem| problems.push(problem));
        }
        None => problems.push(no_database(&inventory, looked.failure.as_deref())),
    }
    let mut problems = problems.finish();
    problems.sort();
    problems.iter().for_each(|problem| context.emit(Event::Problem(problem.clone())));
    context.emit(Event::ImageDone { image: reference.clone(), packages: inventory.len(), findings: findings.len() });
    stats.peak_memory_bytes = peak::memory();
    stats.seconds.total = started.elapsed().as_secs_f64();
    let record =
        |(layer, created_by): (Descriptor, _)| LayerRecord { digest: layer.digest, size: layer.size, created_by };
    Ok(Fit::Done(Report {
        subject: Subject {
            reference,
            digest: image.digest,
            index: image.index,
            platform: image.platform,
            created: image.created,
        },
        layers: image.layers.into_iter().map(record).collect(),
        inventory,
        findings,
        problems,
        stats,
        provenance: Provenance {
            catalogers: kit.versions(),
            advisories: matcher.map(|matcher| matcher.advisories().provenance()),
        },
    }))
}

/// That packages are not matched: why, and how they would be.
fn no_database(inventory: &Inventory, failure: Option<&str>) -> Problem {
    let lacking: Vec<_> = ecosystems(inventory).into_iter().collect();
    let mut message = format!(
        "there is no advisory database, so packages are listed and not matched: get one with {}",
        update_command(&lacking)
    );
    if let Some(failure) = failure {
        message.push_str(&format!("; a fetch failed: {failure}"));
    }
    Problem::new(ProblemKind::NoAdvisories, message)
}

/// Matches a report again, and puts that in the place of the match that it has.
///
/// # Errors
/// Those of the advisory database.
pub(super) fn match_again(report: &mut Report, matcher: &Matcher, options: &MatchOptions) -> Result<()> {
    let matches = matcher.find(&report.inventory, options)?;
    report.problems.retain(|problem| !problem.kind.is_of_a_match());
    report.problems.extend(matches.problems);
    report.problems.sort();
    report.findings = matches.findings;
    report.stats.owned_findings = matches.owned_findings;
    report.provenance.advisories = Some(matcher.advisories().provenance());
    Ok(())
}
