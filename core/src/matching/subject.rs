//! What is looked up of a package: under which name and version, and which releases concern it. Every distribution has its own
//! habits (OSV schema, "Defined ecosystems", and what the records show).

use std::borrow::Cow;
use std::cmp::Ordering;

use super::range::Compare;
use crate::model::ecosystem;
use crate::model::inventory::Package;
use crate::model::package::PackageType;
use crate::version::{rpm, scheme};

/// One look-up of a package.
pub(super) struct Subject<'a> {
    pub(super) ecosystem: &'a str,
    pub(super) base: &'a str,
    pub(super) release: &'a str,
    pub(super) name: &'a str,
    pub(super) version: Cow<'a, str>,
    pub(super) distribution: bool,
    /// Whether the version lacks an epoch that it may have, so that none is compared.
    pub(super) epochless: bool,
}

/// Whose name the advisories of a distribution use.
enum Names {
    /// That of the package which others were built from.
    Source,
    /// That of the package itself.
    Own,
    Both,
}

fn names(base: &str) -> Names {
    match base {
        // AlmaLinux is described otherwise, but its records list what was built.
        "AlmaLinux" | "Photon OS" | "Red Hat" => Names::Own,
        "Azure Linux" | "Chainguard" | "MinimOS" | "Wolfi" => Names::Both,
        _ => Names::Source,
    }
}

/// The ecosystems of languages in which a repository may stand where a distribution has its release.
const HAS_REPOSITORIES: &[&str] = &["Maven", "Packagist"];

impl<'a> Subject<'a> {
    /// All that is looked up of a package; nothing for one whose ecosystem is not known.
    pub(super) fn all(package: &Package<'a>) -> Vec<Self> {
        let Some(ecosystem) = package.ecosystem() else { return Vec::new() };
        let distribution = package.kind().is_os();
        let (base, release) = (ecosystem::base(ecosystem), ecosystem::release(ecosystem));
        let subject =
            |name, version, epochless| Self { ecosystem, base, release, name, version, distribution, epochless };
        let own = || subject(package.name(), Cow::Borrowed(package.version()), false);
        let source = || {
            let (name, version) = package.source()?;
            let (version, epochless) = match package.kind() {
                PackageType::Rpm => with_epoch(package.version(), version),
                _ => (Cow::Borrowed(version), false),
            };
            Some(subject(name, version, epochless))
        };
        match names(base) {
            Names::Source if distribution => vec![source().unwrap_or_else(own)],
            Names::Both if distribution => {
                let source = source().filter(|source| source.name != package.name());
                std::iter::once(own()).chain(source).collect()
            }
            _ => vec![own()],
        }
    }

    /// The order of the versions of its ecosystem.
    pub(super) fn order(&self) -> Option<Compare> {
        if self.epochless {
            return Some(rpm::compare_without_epoch);
        }
        scheme(self.base).map(|scheme| scheme.compare)
    }

    /// Whether an advisory for `release` concerns the package; none if that cannot be told.
    pub(super) fn concerns(&self, release: &str) -> Option<bool> {
        if release.is_empty() {
            return Some(true);
        }
        if !self.distribution {
            // A repository, such as Drupal's of Packagist; names of its packages are its own. No image says where a package is from.
            return Some(HAS_REPOSITORIES.contains(&self.base));
        }
        if self.release.is_empty() {
            return None;
        }
        let is_pro = || self.is_maintained() && release.strip_prefix("Pro:").map(plain) == Some(plain(self.release));
        Some(is_of(self.base, release, self.release) || is_pro())
    }

    /// Whether it is an rpm, of whose versions advisories name the builds.
    pub(super) fn is_rpm(&self) -> bool {
        self.distribution && scheme(self.base).is_some_and(|scheme| scheme.id == rpm::SCHEME.id)
    }

    /// Whether this rpm is a build of the version that is `fixed`. One record may name several, such as those of a module that was
    /// built again (`1.0-2.module_el8.3.0+10`, `1.0-2.module_el8.5.0+20`), and what was first built with the fix has it.
    pub(super) fn is_build_with_fix(&self, fixed: &str) -> bool {
        match self.order().and_then(|compare| compare(&self.version, fixed)) {
            Some(Ordering::Equal) => true,
            Some(Ordering::Greater) => {
                // Without what rpm compares as the same: an epoch of 0.
                let of = |version: &str| {
                    let (source, _) = version.split_once(".module")?;
                    Some(source.strip_prefix("0:").unwrap_or(source).to_owned())
                };
                of(&self.version).is_some_and(|source| Some(source) == of(fixed))
            }
            _ => false,
        }
    }

    /// Whether it comes from Ubuntu's expanded maintenance, for which there are releases of their own (`Pro:18.04:LTS`).
    pub(super) fn is_maintained(&self) -> bool {
        self.base == "Ubuntu" && self.version.contains("esm")
    }
}

/// Whether advisories of `base` for the release `theirs` are for images of the release `mine`.
pub(super) fn is_of(base: &str, theirs: &str, mine: &str) -> bool {
    match base {
        "Ubuntu" => plain(theirs) == plain(mine),
        // The repository behind the version is not known of an image; other products are other repositories.
        "Red Hat" => theirs.split("::").next() == Some(mine),
        "SUSE" => theirs == mine || is_module_of(theirs, mine),
        _ => theirs == mine,
    }
}

/// Ubuntu's advisories say 22.04:LTS where its images say 22.04.
fn plain(release: &str) -> &str {
    release.strip_suffix(":LTS").unwrap_or(release)
}

/// Whether a release is a module of another: `Linux Enterprise Module for Basesystem 15 SP5` of `Linux Enterprise Server 15 SP5`.
fn is_module_of(module: &str, product: &str) -> bool {
    let version = product.find(|letter: char| letter.is_ascii_digit()).and_then(|at| product.get(at..));
    let behind = module.strip_prefix("Linux Enterprise Module for ").zip(version);
    behind.is_some_and(|(behind, version)| {
        behind.strip_suffix(version).is_some_and(|name| name.ends_with(' ') && name.len() > 1)
    })
}

/// The version of a source rpm, whose file name lacks the epoch: that of a package which was built from it in the same version.
/// Else the epoch is not known.
fn with_epoch<'a>(own: &str, source: &'a str) -> (Cow<'a, str>, bool) {
    if source.contains(':') {
        return (Cow::Borrowed(source), false);
    }
    match own.split_once(':') {
        Some((epoch, version)) if version == source => (Cow::Owned(format!("{epoch}:{source}")), false),
        None if own == source => (Cow::Borrowed(source), false),
        _ => (Cow::Borrowed(source), true),
    }
}

/// Whether the module of a package (`nodejs:20:8090020240101:abc:x86_64`) and an advisory contradict each other: one of them is
/// of a module and the other is not, as their versions show, or the advisory's summary names other modules or other streams.
pub(super) fn is_other_module(package: &Package<'_>, fixed: &[String], summary: &str) -> bool {
    if package.kind() != PackageType::Rpm || fixed.is_empty() {
        return false;
    }
    let is_modular = |version: &str| version.contains(".module");
    let mine = !package.module().is_empty() || is_modular(package.version());
    if fixed.iter().all(|version| is_modular(version) != mine) {
        return true;
    }
    let mut label = package.module().split(':');
    let (Some(name), Some(stream)) = (label.next().filter(|name| !name.is_empty()), label.next()) else { return false };
    // `Moderate: mariadb:10.3 and mariadb-devel:10.3 security update`: a word ends with the colon, a module does not.
    let words = summary.split([' ', ',', '(', ')']).filter_map(|word| word.trim_end_matches('.').split_once(':'));
    let mut named = words.filter(|(name, stream)| !name.is_empty() && !stream.is_empty()).peekable();
    named.peek().is_some() && !named.any(|named| named == (name, stream))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject<'a>(ecosystem: &'a str, version: &'a str) -> Subject<'a> {
        let (base, release) = (ecosystem::base(ecosystem), ecosystem::release(ecosystem));
        let version = Cow::Borrowed(version);
        Subject { ecosystem, base, release, name: "a", version, distribution: true, epochless: false }
    }

    #[test]
    fn releases() {
        for (image, version, advisory, expected) in [
            ("Debian:12", "1", "12", Some(true)),
            ("Debian:12", "1", "11", Some(false)),
            ("Debian:12", "1", "", Some(true)),
            ("Debian", "1", "12", None),
            ("Alpine:v3.20", "1", "v3.20", Some(true)),
            ("Alpine:edge", "1", "v3.20", Some(false)),
            ("Wolfi", "1", "", Some(true)),
            ("Ubuntu:22.04:LTS", "1", "22.04:LTS", Some(true)),
            ("Ubuntu:22.04:LTS", "1", "22.04", Some(true)),
            ("Ubuntu:18.04:LTS", "1.0-2ubuntu1", "Pro:18.04:LTS", Some(false)),
            ("Ubuntu:18.04:LTS", "1.0-2ubuntu1+esm1", "Pro:18.04:LTS", Some(true)),
            ("Ubuntu:18.04:LTS", "1.0-2ubuntu1~esm1", "Pro:16.04:LTS", Some(false)),
            ("Ubuntu:18.04:LTS", "1.0-2ubuntu1+esm1", "Pro:FIPS:18.04:LTS", Some(false)),
            ("Ubuntu:22.04:LTS", "1", "22.04:LTS:for:NVIDIA:BlueField", Some(false)),
            ("Red Hat:enterprise_linux:9", "1", "enterprise_linux:9::appstream", Some(true)),
            ("Red Hat:enterprise_linux:9", "1", "enterprise_linux:8::appstream", Some(false)),
            ("Red Hat:enterprise_linux:9", "1", "rhel_eus:9.2::appstream", Some(false)),
            ("SUSE:Linux Enterprise Server 15 SP5", "1", "Linux Enterprise Server 15 SP5", Some(true)),
            ("SUSE:Linux Enterprise Server 15 SP5", "1", "Linux Enterprise Module for Basesystem 15 SP5", Some(true)),
            ("SUSE:Linux Enterprise Server 15 SP5", "1", "Linux Enterprise Module for Basesystem 15 SP4", Some(false)),
            ("SUSE:Linux Enterprise Server 12", "1", "Linux Enterprise Desktop 12", Some(false)),
            ("openSUSE:Leap 15.5", "1", "Leap 15.5", Some(true)),
            ("openEuler:22.03-LTS-SP3", "1", "22.03-LTS", Some(false)),
            ("Rocky Linux:9", "1", "9", Some(true)),
        ] {
            assert_eq!(subject(image, version).concerns(advisory), expected, "{image} {version}: {advisory}");
        }
    }

    #[test]
    fn the_epoch_of_a_source_rpm_is_that_of_what_was_built_from_it() {
        for (own, source, version, epochless) in [
            ("1:2.0-1.el8", "2.0-1.el8", "1:2.0-1.el8", false),
            ("2.0-1.el8", "2.0-1.el8", "2.0-1.el8", false),
            ("0:2.0-1.el8", "2.0-1.el8", "0:2.0-1.el8", false),
            ("1.15-3.el8", "2.0-1.el8", "2.0-1.el8", true),
            ("1.15-3.el8", "4:2.0-1.el8", "4:2.0-1.el8", false),
        ] {
            let (with, unknown) = with_epoch(own, source);
            assert_eq!((&*with, unknown), (version, epochless), "{own} from {source}");
        }
    }
}
