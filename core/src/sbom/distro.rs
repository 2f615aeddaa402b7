//! Which distribution a document speaks of: it names the operating system, or its package URLs do.

use std::collections::BTreeMap;

use jiff::Timestamp;
use packageurl::PackageUrl;

use super::Sink;
use super::component::Component;
use crate::catalog::os_release;
use crate::error::Result;
use crate::model::distro::Distro;
use crate::model::package::PackageType;
use crate::model::platform::Platform;

/// The most distributions that are counted; an honest document has one.
const MOST: usize = 64;

/// The most bytes of a name, a version, a package URL's name space or a platform. What is longer is none.
const LONGEST: usize = 256;

/// What trivy and others call distributions, in lower case, and the `ID` that their os-release has.
const NAMES: &[(&str, &str)] = &[
    ("alma", "almalinux"),
    ("amazon", "amzn"),
    ("cbl-mariner", "mariner"),
    ("openeuler", "openEuler"),
    ("opensuse.leap", "opensuse-leap"),
    ("opensuse.tumbleweed", "opensuse-tumbleweed"),
    ("oracle", "ol"),
    ("redhat", "rhel"),
    ("suse", "sles"),
    ("suse linux enterprise server", "sles"),
];

/// The `ID` of a distribution that a document calls `name`.
pub(super) fn id(name: &str) -> String {
    let name = name.trim().to_ascii_lowercase();
    let known = NAMES.iter().find(|(theirs, _)| *theirs == name);
    known.map_or(name, |(_, id)| (*id).to_owned())
}

/// What the first look at a document finds.
#[derive(Default)]
pub(crate) struct Survey {
    system: Option<Distro>,
    /// How many packages each distribution has, by the namespace and the qualifier of their package URLs.
    counted: BTreeMap<(String, String), u64>,
    platform: Option<Platform>,
    time: Option<String>,
}

impl Survey {
    /// The distribution of the packages.
    pub(crate) fn distro(&self) -> Option<Distro> {
        if let Some(system) = &self.system {
            return Some(system.clone());
        }
        let most = self.counted.iter().max_by_key(|(name, count)| (**count, std::cmp::Reverse(*name)));
        let ((namespace, qualifier), _) = most?;
        let (name, version) = match qualifier.rsplit_once('-') {
            Some((name, version)) if version.starts_with(|first: char| first.is_ascii_digit()) => (name, version),
            _ if qualifier.is_empty() => (namespace.as_str(), ""),
            _ if qualifier.starts_with(|first: char| first.is_ascii_digit()) => {
                (namespace.as_str(), qualifier.as_str())
            }
            // A word without a number is the name of a release that nobody can order.
            _ => (namespace.as_str(), ""),
        };
        (!name.is_empty()).then(|| distro(name, version, ""))
    }

    /// The platform, where the document names one.
    pub(crate) fn platform(&self) -> Option<&Platform> {
        self.platform.as_ref()
    }

    /// When the document was made, as it was written there.
    pub(crate) fn time(&self) -> Option<&str> {
        self.time.as_deref()
    }
}

impl Survey {
    /// Takes the first operating system.
    fn name(&mut self, component: &Component) {
        let Component { kind, name, version, title, .. } = component;
        let is_long = [name, version].iter().any(|text| text.len() > LONGEST);
        if kind == "operating-system" && self.system.is_none() && !name.is_empty() && !is_long {
            let title = if title.len() > LONGEST { "" } else { title.as_str() };
            self.system = Some(distro(name, version, title));
        }
    }
}

impl Sink for Survey {
    fn subject(&mut self, subject: Component) {
        let of_purl = || {
            let purl = subject.purl.parse::<PackageUrl<'_>>().ok().filter(|purl| purl.ty() == "oci")?;
            let architecture = purl.qualifiers().get("arch").filter(|name| name.len() <= LONGEST)?;
            Some(Platform::new("linux", architecture, ""))
        };
        let written = || subject.platform.parse().ok().filter(|_| subject.platform.len() <= LONGEST);
        self.platform = self.platform.take().or_else(written).or_else(of_purl);
        self.name(&subject);
    }

    fn time(&mut self, time: String) {
        if time.parse::<Timestamp>().is_ok() {
            self.time.get_or_insert(time);
        }
    }

    fn component(&mut self, component: Component) -> Result<()> {
        self.name(&component);
        let Ok(purl) = component.purl.parse::<PackageUrl<'_>>() else { return Ok(()) };
        if PackageType::ALL.iter().any(|kind| kind.is_os() && kind.as_str() == purl.ty()) {
            let qualifier = purl.qualifiers().get("distro").map_or("", |distro| &**distro);
            let name = (purl.namespace().unwrap_or_default().to_owned(), qualifier.to_owned());
            let is_long = name.0.len() + name.1.len() > LONGEST;
            if !is_long && (self.counted.len() < MOST || self.counted.contains_key(&name)) {
                *self.counted.entry(name).or_default() += 1;
            }
        }
        Ok(())
    }
}

fn distro(name: &str, version: &str, title: &str) -> Distro {
    let id = id(name);
    let title = if title.is_empty() { self::title(&id, version) } else { title.to_owned() };
    os_release::named(id, version.to_owned(), title)
}

/// The name for people of those distributions whose releases are told by it.
fn title(id: &str, version: &str) -> String {
    match (id, version.split_once('.')) {
        ("opensuse-leap", _) => format!("openSUSE Leap {version}"),
        ("opensuse-tumbleweed", _) => "openSUSE Tumbleweed".to_owned(),
        ("sles", Some((major, pack))) => format!("SUSE Linux Enterprise Server {major} SP{pack}"),
        ("sles", None) if !version.is_empty() => format!("SUSE Linux Enterprise Server {version}"),
        _ => String::new(),
    }
}
