//! The packages of an image: what the overlay leaves of the facts of its layers, and what the catalogers make of that.

use std::sync::Arc;

use super::fit::Fit;
use super::lanes::Kit;
use super::room::Seat;
use crate::error::Result;
use crate::layer::cataloger::guarded;
use crate::layer::overlay::Overlay;
use crate::layer::{LayerFacts, View, history};
use crate::model::inventory::{Draft, Inventory};
use crate::model::problem::{Problem, ProblemKind};
use crate::model::since::Since;

/// The bytes of links and names of files that the overlay of an image may take beside other images.
const SMALL_OVERLAY: usize = 3 << 20;

/// The facts of all layers of an image, the base first.
pub(super) type ImageFacts = Vec<Arc<LayerFacts>>;

/// The packages of an image, and what is wrong with what they were read from.
pub(super) type Packages = (Inventory, Vec<Problem>);

/// What the overlay leaves of an image.
pub(super) struct Seen {
    pub(super) overlay: Overlay,
    since: Arc<Since>,
}

/// What can be told of an image by the facts of its layers.
pub(super) enum Found {
    /// Its packages.
    Packages(Packages),
    /// That files have to be read again first: they are wanted under a name that their layer does not know.
    Again(Seen),
}

/// Lays the layers over each other and finds the packages; in one go, since what is in between is large.
pub(super) fn find(kit: &Kit, seat: &Seat, facts: ImageFacts) -> Result<Fit<Found, ImageFacts>> {
    // A seat that has room for anything is as good as the large place.
    let room = seat.allows(SMALL_OVERLAY).min(Overlay::MAX);
    let Some(overlay) = Overlay::within(room, &facts, &kit.table) else { return Ok(Fit::TooMuch(facts)) };
    let since = Arc::new(history::since(&facts, &kit.catalogers, &overlay));
    let seen = Seen { overlay, since };
    if !seen.overlay.again.is_empty() {
        return Ok(if seat.hold(seen.overlay.memory()) { Fit::Done(Found::Again(seen)) } else { Fit::TooMuch(facts) });
    }
    // Where only limits count, nothing is done again, and what the overlay does not need of the facts goes now.
    let facts = if seat.is_large() {
        drop(facts);
        Vec::new()
    } else {
        facts
    };
    Ok(match resolve(kit, seat, seen)? {
        Fit::Done(packages) => Fit::Done(Found::Packages(packages)),
        Fit::TooMuch(_) => Fit::TooMuch(facts),
    })
}

/// What the catalogers make of the files that are left. What one of them cannot understand is a problem.
pub(super) fn resolve(kit: &Kit, seat: &Seat, seen: Seen) -> Result<Fit<Packages, Seen>> {
    let room = seat.allows(seat.small());
    let mut draft = Draft::new(kit.limits.packages);
    draft.set_since(seen.since.clone());
    let mut problems = seen.overlay.problems.clone();
    let directories = |path: &[u8]| seen.overlay.directory(path);
    for (cataloger, files) in kit.catalogers.iter().zip(&seen.overlay.files) {
        if files.is_empty() {
            continue;
        }
        let view = View::new(files, &directories);
        if let Err(error) = guarded(|| cataloger.resolve(&view, &mut draft)) {
            problems.push(Problem::new(ProblemKind::Corrupt, format!("{}: {error}", cataloger.id())));
        }
        if draft.memory() > room {
            return Ok(Fit::TooMuch(seen));
        }
    }
    draft.problems().into_iter().for_each(|problem| problems.push(problem));
    Ok(Fit::Done((draft.finish(), problems)))
}
