//! An SBOM in the place of an image: the file is its one layer, and its digest that of the image.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::fit::Fit;
use super::lanes::Kit;
use super::report::Contents;
use super::room::Seat;
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::model::digest::{Algorithm, Digest, Hasher};
use crate::model::event::Event;
use crate::model::image::{Descriptor, Image};
use crate::model::inventory::Inventory;
use crate::model::path::show;
use crate::model::platform::Platform;
use crate::model::problem::{Problem, Problems};
use crate::model::report::{Seconds, Stats};
use crate::sbom::{self, Packages, Survey};

/// Reads the packages that `file` lists.
///
/// # Errors
/// Those of [`sbom::read`].
pub(super) fn read(kit: &Kit, seat: &Seat, file: PathBuf, context: &Context) -> Result<Fit<Contents, PathBuf>> {
    let started = Instant::now();
    match listed(kit, seat, &file, context) {
        Err(error) if error.kind() == Kind::LimitExceeded && !seat.is_large() => Ok(Fit::TooMuch(file)),
        Err(error) => Err(error.with("path", file.display())),
        Ok(listed) => Ok(Fit::Done(contents(listed, &file, started, context))),
    }
}

/// What a document says.
struct Listed {
    survey: Survey,
    packages: (Inventory, Vec<Problem>),
    digest: Digest,
    size: u64,
}

/// Reads the document twice: what distribution it is about has to be known before its packages are.
fn listed(kit: &Kit, seat: &Seat, file: &Path, context: &Context) -> Result<Listed> {
    let mut survey = Survey::default();
    sbom::read(Watched::open(file, context)?, &mut survey)?;
    let name = show(file.file_name().unwrap_or_default().as_encoded_bytes()).into_owned();
    let mut packages = Packages::new(survey.distro(), name, kit.limits.packages, seat.allows(seat.small()));
    let mut watched = Watched::open(file, context)?;
    sbom::read(&mut watched, &mut packages)?;
    let Watched { hasher, size, .. } = watched;
    let packages = packages.finish();
    seat.settle(packages.0.memory());
    Ok(Listed { survey, packages, digest: hasher.finish(), size })
}

fn contents(listed: Listed, file: &Path, started: Instant, context: &Context) -> Contents {
    let Listed { survey, packages: (inventory, found), digest, size } = listed;
    let mut problems = Problems::default();
    found.into_iter().for_each(|problem| problems.push(problem));
    let reference = format!("sbom:{}", file.display());
    context.emit(Event::ImageResolved {
        image: reference.clone(),
        digest: digest.clone(),
        layers: vec![(digest.clone(), Some(size))],
    });
    let document = Descriptor { media_type: String::new(), digest: digest.clone(), size: Some(size), urls: Vec::new() };
    let image = Image {
        digest,
        index: None,
        platform: survey.platform().cloned().unwrap_or_else(|| Platform::new("unknown", "unknown", "")),
        created: survey.time().map(str::to_owned),
        layers: vec![(document, None)],
        config: Vec::new(),
    };
    let seconds = Seconds { fetch: started.elapsed().as_secs_f64(), total: 0.0 };
    let stats = Stats { seconds, ..Stats::default() };
    Contents { image, reference, inventory, problems, stats, started }
}

/// A file that is hashed as it is read, until the call is canceled.
struct Watched<'a> {
    file: File,
    context: &'a Context,
    hasher: Hasher,
    size: u64,
}

impl<'a> Watched<'a> {
    fn open(file: &Path, context: &'a Context) -> Result<Self> {
        let opened = File::open(file)?;
        if !opened.metadata()?.is_file() {
            return Err(Error::new(Kind::InvalidInput, "an sbom is a file"));
        }
        Ok(Self { file: opened, context, hasher: Hasher::new(Algorithm::Sha256), size: 0 })
    }
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.context.check()?;
        let read = self.file.read(buffer)?;
        self.hasher.update(buffer.get(..read).unwrap_or_default());
        self.size += read as u64;
        Ok(read)
    }
}
