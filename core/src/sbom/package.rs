//! Components into packages, each by its package URL.

use std::collections::BTreeMap;
use std::collections::HashMap;

use packageurl::PackageUrl;

use super::Sink;
use super::component::{Component, Source};
use super::distro;
use crate::error::{Error, Kind, Result};
use crate::model::distro::Distro;
use crate::model::inventory::{Draft, Inventory, Pushed};
use crate::model::package::{PackageDraft, PackageType};
use crate::model::problem::{Problem, ProblemKind};
use crate::model::purl;

/// How often it is looked how much memory the packages take.
const OFTEN: u64 = 256;
/// The most bytes of a package URL; those of a name and a version are fewer.
const LONGEST: usize = 16 << 10;
/// The most bytes of what is remembered for who owns what. Beyond that a package is nobody's.
const HELD: usize = 8 << 20;
/// The most kinds of components that are told by name.
const KINDS: usize = 16;

/// What the second look at a document finds.
pub(crate) struct Packages {
    draft: Draft,
    distro: Option<Distro>,
    /// The file, which is where a package is that the document gives no place for.
    file: String,
    /// The most bytes of memory.
    most: usize,
    /// The packages of the distribution, by their package URLs.
    owners: HashMap<String, Pushed>,
    /// Where each owned package lies, and its owner's package URL.
    owned: Vec<(Vec<String>, String)>,
    seen: u64,
    held: usize,
    nameless: u64,
    malformed: u64,
    foreign: u64,
    /// Components of kinds that no advisory is about.
    other: BTreeMap<String, u64>,
}

impl Packages {
    /// None yet, of at most `limit`, in at most `most` bytes.
    pub(crate) fn new(distro: Option<Distro>, file: String, limit: u64, most: usize) -> Self {
        let mut draft = Draft::new(limit);
        if let Some(distro) = &distro {
            draft.set_distro(distro.clone());
        }
        let (owners, owned, other) = (HashMap::new(), Vec::new(), BTreeMap::new());
        let (seen, held, nameless, malformed, foreign) = (0, 0, 0, 0, 0);
        Self { draft, distro, file, most, owners, owned, seen, held, nameless, malformed, foreign, other }
    }

    /// The packages, and what could not be read.
    pub(crate) fn finish(self) -> (Inventory, Vec<Problem>) {
        let Self { mut draft, owners, owned, nameless, malformed, foreign, other, .. } = self;
        // The first place of a package says who owns it; the others only that somebody does.
        for rest in [false, true] {
            for (paths, owner) in &owned {
                let Some(owner) = owners.get(owner) else { continue };
                let range = if rest { paths.get(1..) } else { paths.get(..1) };
                range.unwrap_or_default().iter().for_each(|path| draft.own(path, *owner));
            }
        }
        let mut problems = draft.problems();
        let mut tell = |count: u64, kind, what: &str| {
            if count > 0 {
                problems.push(Problem::new(kind, format!("{count} {what}")));
            }
        };
        tell(nameless, ProblemKind::Nameless, "components of the sbom have no package URL");
        tell(malformed, ProblemKind::Corrupt, "components of the sbom have a package URL that is none");
        tell(
            foreign,
            ProblemKind::Unsupported,
            "packages of other distributions than that of the sbom are not listed: an image has one",
        );
        for (kind, count) in &other {
            let kind: String = kind.chars().take(40).collect();
            tell(
                *count,
                ProblemKind::Nameless,
                &format!("components of the sbom are of the kind {}", kind.escape_debug()),
            );
        }
        (draft.finish(), problems)
    }

    fn push(&mut self, component: &Component, purl: &PackageUrl<'_>, kind: PackageType) -> Result<()> {
        let namespace = purl.namespace().unwrap_or_default();
        if kind.is_os() && self.is_foreign(namespace) {
            self.foreign += 1;
            return Ok(());
        }
        let qualifier = |name: &str| purl.qualifiers().get(name).map_or("", |value| &**value);
        let name = name_of(kind, namespace, purl.name(), &component.name);
        let plain = purl.version().unwrap_or(&component.version);
        let version = match qualifier("epoch") {
            epoch if kind == PackageType::Rpm && !matches!(epoch, "" | "0") && !plain.contains(':') => {
                format!("{epoch}:{plain}")
            }
            _ => plain.to_owned(),
        };
        let source = if kind.is_os() { source_of(&component.source, qualifier("upstream"), &version) } else { None };
        let module = if component.module.is_empty() { qualifier("rpmmod") } else { &component.module };
        let licenses: Vec<&str> = component.licenses.iter().map(String::as_str).collect();
        let draft = PackageDraft {
            source: source.as_ref().map(|(name, version)| (name.as_str(), version.as_str())),
            architecture: qualifier("arch"),
            module,
            licenses: &licenses,
            ..PackageDraft::new(kind, &name, &version, &self.file, 0)
        };
        let mut pushed = None;
        for path in &component.locations {
            let place = self.draft.push(&PackageDraft { path, ..draft.clone() })?;
            pushed = pushed.or(Some(place));
        }
        let pushed = match pushed {
            Some(pushed) => pushed,
            None => self.draft.push(&draft)?,
        };
        if self.held > HELD {
            return Ok(());
        }
        if kind.is_os() {
            self.held += component.purl.len();
            self.owners.insert(component.purl.clone(), pushed);
        } else if !component.owner.is_empty() && !component.locations.is_empty() {
            self.held += component.owner.len() + component.locations.iter().map(String::len).sum::<usize>();
            self.owned.push((component.locations.clone(), component.owner.clone()));
        }
        Ok(())
    }

    fn is_foreign(&self, namespace: &str) -> bool {
        let Some(distro) = &self.distro else { return false };
        !namespace.is_empty() && purl::namespace(&distro::id(namespace)) != purl::namespace(&distro.id)
    }
}

impl Sink for Packages {
    fn component(&mut self, component: Component) -> Result<()> {
        self.seen += 1;
        if self.seen.is_multiple_of(OFTEN) && self.draft.memory() + self.held > self.most {
            return Err(too_many());
        }
        if component.purl.is_empty() {
            self.nameless += u64::from(matches!(component.kind.as_str(), "library" | "framework"));
            return Ok(());
        }
        let parsed = component.purl.parse::<PackageUrl<'_>>();
        let Some(purl) = parsed.ok().filter(|_| component.purl.len() <= LONGEST) else {
            self.malformed += 1;
            return Ok(());
        };
        match PackageType::ALL.iter().find(|kind| kind.as_str() == purl.ty()) {
            Some(kind) => self.push(&component, &purl, *kind)?,
            // What the document is about, and what is built of it, are no packages of it.
            None if matches!(purl.ty(), "oci" | "docker") => {}
            None if self.other.len() < KINDS || self.other.contains_key(purl.ty()) => {
                *self.other.entry(purl.ty().to_owned()).or_default() += 1;
            }
            None => self.nameless += 1,
        }
        Ok(())
    }
}

/// What ends the reading where the packages take more memory than they may.
fn too_many() -> Error {
    Error::new(Kind::LimitExceeded, "the packages of the sbom take more memory than an image may beside others")
}

/// The name as its world writes it: the reverse of what a package URL is made of.
fn name_of(kind: PackageType, namespace: &str, name: &str, written: &str) -> String {
    let whole = match kind {
        PackageType::Npm | PackageType::Golang | PackageType::Composer | PackageType::Swift | PackageType::Hex
            if !namespace.is_empty() =>
        {
            format!("{namespace}/{name}")
        }
        PackageType::Maven if !namespace.is_empty() => format!("{namespace}:{name}"),
        _ => name.to_owned(),
    };
    // Package URLs of some kinds are in lower case, and names are not.
    if written.len() == whole.len() && written.eq_ignore_ascii_case(&whole) { written.to_owned() } else { whole }
}

/// The source package, by what scanners write beside the package URL, or by `upstream`, which syft writes into it. Where its version is
/// not told it is that of the package.
fn source_of(source: &Source, upstream: &str, version: &str) -> Option<(String, String)> {
    let rpm = [source.rpm.as_str(), upstream].into_iter().find_map(|file| file.strip_suffix(".src.rpm"));
    if let Some((rest, release)) = rpm.and_then(|file| file.rsplit_once('-'))
        && let Some((name, version)) = rest.rsplit_once('-')
    {
        return Some((name.to_owned(), format!("{version}-{release}")));
    }
    if !source.name.is_empty() {
        let mut written = source.version.clone();
        if !source.release.is_empty() && !written.is_empty() {
            written = format!("{written}-{}", source.release);
        }
        if !matches!(source.epoch.as_str(), "" | "0") && !written.is_empty() && !written.contains(':') {
            written = format!("{}:{written}", source.epoch);
        }
        let version = if written.is_empty() { version.to_owned() } else { written };
        return Some((source.name.clone(), version));
    }
    match upstream.split_once('@') {
        _ if upstream.is_empty() => None,
        Some((name, version)) => Some((name.to_owned(), version.to_owned())),
        None => Some((upstream.to_owned(), version.to_owned())),
    }
}
