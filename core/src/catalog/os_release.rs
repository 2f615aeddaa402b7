//! The distribution: `os-release` (freedesktop.org `os-release(5)`), and what older images have in its place.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::layer::{Cataloger, Facts, File, Interest, Lines, Take, View};
use crate::model::distro::Distro;
use crate::model::inventory::Draft;
use crate::model::path::show;
use crate::model::problem::{Problem, ProblemKind};

/// Names the distribution.
pub struct OsRelease;

/// Where a distribution may name itself; the first that is there holds, the others behind the second only where there is no
/// `os-release`. Oracle's images also have the file of Red Hat.
const FILES: &[&str] = &[
    "etc/os-release",
    "usr/lib/os-release",
    "etc/lsb-release",
    "etc/alpine-release",
    "etc/debian_version",
    "etc/oracle-release",
    "etc/centos-release",
    "etc/redhat-release",
    "etc/system-release",
];

/// What relatives of Red Hat call themselves in their file, and the `ID` that their os-release has.
const RELEASES: &[(&str, &str)] = &[
    ("AlmaLinux", "almalinux"),
    ("Amazon Linux", "amzn"),
    ("CentOS", "centos"),
    ("Fedora", "fedora"),
    ("Oracle Linux", "ol"),
    ("Red Hat Enterprise Linux", "rhel"),
    ("Rocky Linux", "rocky"),
    ("Scientific Linux", "scientific"),
];

/// What apk installs from, which tells Alpine's edge from a release.
const REPOSITORIES: &str = "etc/apk/repositories";

/// How a release is written behind the colon of an ecosystem.
#[derive(Clone, Copy)]
enum Release {
    /// The ecosystem has no releases.
    None,
    /// `VERSION_ID` as it is.
    Whole,
    /// Up to the first dot: `12` of `12.4`.
    Major,
    /// `v` and two numbers, or `edge`.
    Alpine,
    /// `YY.MM`, and `:LTS` in April of every other year.
    Ubuntu,
    /// Up to the first dot, since 7; before that, two numbers.
    Debian,
    /// `enterprise_linux:` and the major version, as in a CPE without its repository.
    RedHat,
    /// `PRETTY_NAME` without the first word: `Leap 15.5` of `openSUSE Leap 15.5`.
    Product,
    /// The same with hyphens: `22.03-LTS-SP3` of `openEuler 22.03 (LTS-SP3)`.
    OpenEuler,
}

/// `ID` of os-release, the OSV ecosystem, its releases (ossf/osv-schema, "Defined ecosystems"). Others, such as
/// Amazon Linux, Fedora and Oracle Linux, are not in OSV.
const ECOSYSTEMS: &[(&str, &str, Release)] = &[
    ("almalinux", "AlmaLinux", Release::Major),
    ("alpaquita", "Alpaquita", Release::Whole),
    ("alpine", "Alpine", Release::Alpine),
    ("azurelinux", "Azure Linux", Release::Major),
    ("bellsoft-hardened-containers", "BellSoft Hardened Containers", Release::Whole),
    ("chainguard", "Chainguard", Release::None),
    ("debian", "Debian", Release::Debian),
    ("echo", "Echo", Release::None),
    ("mageia", "Mageia", Release::Whole),
    ("mariner", "Azure Linux", Release::Major),
    ("minimos", "MinimOS", Release::None),
    ("openEuler", "openEuler", Release::OpenEuler),
    ("opensuse", "openSUSE", Release::Product),
    ("opensuse-leap", "openSUSE", Release::Product),
    ("opensuse-leap-micro", "openSUSE", Release::Product),
    ("opensuse-microos", "openSUSE", Release::Product),
    ("opensuse-tumbleweed", "openSUSE", Release::Product),
    ("photon", "Photon OS", Release::Whole),
    ("rhel", "Red Hat", Release::RedHat),
    ("rocky", "Rocky Linux", Release::Major),
    ("sl-micro", "SUSE", Release::Product),
    ("sle-micro", "SUSE", Release::Product),
    ("sle_hpc", "SUSE", Release::Product),
    ("sled", "SUSE", Release::Product),
    ("sles", "SUSE", Release::Product),
    ("sles_sap", "SUSE", Release::Product),
    ("suse-microos", "SUSE", Release::Product),
    ("ubuntu", "Ubuntu", Release::Ubuntu),
    ("wolfi", "Wolfi", Release::None),
];

/// What is kept of one file.
#[derive(Default, Serialize, Deserialize)]
struct Named {
    id: String,
    version: String,
    name: String,
}

impl Cataloger for OsRelease {
    fn id(&self) -> &'static str {
        "os-release"
    }

    fn version(&self) -> u32 {
        2
    }

    fn interests(&self) -> &[Interest] {
        &[
            Interest::Path("etc/{os-release,lsb-release,alpine-release,debian_version}", Take::Whole),
            Interest::Path("etc/{oracle,centos,redhat,system}-release", Take::Whole),
            Interest::Path("usr/lib/os-release", Take::Whole),
            Interest::Path(REPOSITORIES, Take::Whole),
        ]
    }

    fn read(&self, file: &mut File<'_>) -> Result<Option<Facts>> {
        let named = match file.path().rsplit_once('/').map_or("", |(_, name)| name) {
            "os-release" => {
                assignments(file, ["ID", "VERSION_ID", "PRETTY_NAME", "NAME"])?.map(|[id, version, pretty, name]| {
                    let name = if pretty.is_empty() { name } else { pretty };
                    // os-release(5): "If not set, a default of ID=linux may be used."
                    Named { id: if id.is_empty() { "linux".into() } else { id }, version, name }
                })
            }
            "lsb-release" => assignments(file, ["DISTRIB_ID", "DISTRIB_RELEASE", "DISTRIB_DESCRIPTION"])?
                .map(|[id, version, name]| Named { id: id.to_ascii_lowercase(), version, name }),
            "alpine-release" => first_line(file)?.map(|version| Named {
                id: "alpine".into(),
                name: format!("Alpine Linux {version}"),
                version,
            }),
            // `12.4`, or `trixie/sid`, which is no release yet.
            "debian_version" => first_line(file)?.map(|text| Named {
                id: "debian".into(),
                name: format!("Debian GNU/Linux {text}"),
                version: if text.starts_with(|first: char| first.is_ascii_digit()) { text } else { String::new() },
            }),
            "oracle-release" | "centos-release" | "redhat-release" | "system-release" => {
                first_line(file)?.and_then(|text| numbered(&text))
            }
            _ => branch(file)?.map(|version| Named { version, ..Named::default() }),
        };
        named
            .filter(|named| !(named.id.is_empty() && named.version.is_empty()))
            .map(|named| Facts::encode(&named))
            .transpose()
    }

    fn resolve(&self, view: &View<'_>, draft: &mut Draft) -> Result<()> {
        let Some(file) = FILES.iter().find_map(|path| view.file(path)) else { return Ok(()) };
        let Named { id, version, name } = file.facts()?;
        let branch = match view.file(REPOSITORIES) {
            Some(file) => file.facts::<Named>()?.version,
            None => String::new(),
        };
        let ecosystem = ecosystem(&id, &version, &name, &branch);
        draft.set_distro(Distro { id, version, name, ecosystem });
        Ok(())
    }
}

/// The distribution that something other than its own files names.
pub(crate) fn named(id: String, version: String, name: String) -> Distro {
    let ecosystem = ecosystem(&id, &version, &name, "");
    Distro { id, version, name, ecosystem }
}

/// The OSV ecosystem; without a release where it should have one and none is known.
fn ecosystem(id: &str, version: &str, product: &str, branch: &str) -> Option<String> {
    let (_, name, release) = ECOSYSTEMS.iter().find(|(known, ..)| *known == id)?;
    let mut numbers = version.split('.');
    let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    let release = match release {
        Release::None => String::new(),
        Release::Whole => version.to_owned(),
        Release::Major => major.to_owned(),
        Release::Debian if matches!(major, "3" | "4" | "5" | "6") && !minor.is_empty() => format!("{major}.{minor}"),
        Release::Debian => major.to_owned(),
        Release::RedHat if major.is_empty() => String::new(),
        Release::RedHat => format!("enterprise_linux:{major}"),
        Release::Product => product.split_once(' ').map_or("", |(_, release)| release).to_owned(),
        Release::OpenEuler => {
            let release = product.split_once(' ').map_or("", |(_, release)| release);
            release.replace([' ', '('], "-").replace("--", "-").replace(')', "")
        }
        // The repositories say what the packages are; os-release is one of these packages.
        Release::Alpine if !branch.is_empty() => branch.to_owned(),
        // `3.21.0_alpha20240807`: what will be a release is still edge.
        Release::Alpine if version.contains("_alpha") => "edge".to_owned(),
        Release::Alpine if minor.is_empty() => String::new(),
        Release::Alpine => format!("v{major}.{minor}"),
        Release::Ubuntu if major.is_empty() => String::new(),
        Release::Ubuntu => {
            let is_lts = minor == "04" && major.parse::<u32>().is_ok_and(|year| year % 2 == 0);
            format!("{major}.{minor}{}", if is_lts { ":LTS" } else { "" })
        }
    };
    Some(if release.is_empty() { (*name).to_owned() } else { format!("{name}:{release}") })
}

/// The values of some variables of a file of shell assignments, empty where they are not set; none, and a problem, where the
/// file has no assignment at all.
fn assignments<const N: usize>(file: &mut File<'_>, names: [&str; N]) -> Result<Option<[String; N]>> {
    let mut values = [const { String::new() }; N];
    let (mut lines, mut is_any, mut cut, mut is_empty) = (Lines::new(), false, 0, true);
    while let Some(line) = lines.next(file)? {
        let text = line.bytes.trim_ascii();
        if text.is_empty() || text.starts_with(b"#") {
            continue;
        }
        is_empty = false;
        cut += u32::from(line.is_cut);
        let Some(equals) = text.iter().position(|byte| *byte == b'=') else { continue };
        let (name, value) = (text.get(..equals).unwrap_or_default(), text.get(equals + 1..).unwrap_or_default());
        if line.is_cut || name.is_empty() || !name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') {
            continue;
        }
        is_any = true;
        // As in a shell, the last assignment holds.
        if let Some(slot) = names.iter().position(|wanted| wanted.as_bytes() == name).and_then(|at| values.get_mut(at))
        {
            *slot = show(&unquote(value)).into_owned();
        }
    }
    if cut > 0 {
        let message = format!("{cut} lines are longer than {} bytes and were skipped", Lines::LIMIT);
        file.problem(Problem::new(ProblemKind::LimitExceeded, message));
    }
    if !is_any && !is_empty {
        file.problem(Problem::new(ProblemKind::Corrupt, "there is no assignment in this file"));
    }
    Ok(is_any.then_some(values))
}

/// The value of a shell assignment: quotes and backslashes as a shell reads them; nothing is expanded.
fn unquote(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut bytes = value.iter().copied().peekable();
    let mut quote = None;
    while let Some(byte) = bytes.next() {
        match (quote, byte) {
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            (None, b'\\') => out.extend(bytes.next()),
            (Some(b'"'), b'\\') => match bytes.next_if(|next| b"$`\"\\".contains(next)) {
                Some(escaped) => out.push(escaped),
                None => out.push(byte),
            },
            (None, b' ' | b'\t') => break,
            (_, byte) => out.push(byte),
        }
    }
    out
}

/// The first line that is not blank.
fn first_line(file: &mut File<'_>) -> Result<Option<String>> {
    let mut lines = Lines::new();
    while let Some(line) = lines.next(file)? {
        if line.bytes.len() > 256 {
            file.problem(Problem::new(ProblemKind::Corrupt, "a release is one short line"));
            return Ok(None);
        }
        if !line.is_blank() {
            return Ok(Some(line.text().into_owned()));
        }
    }
    Ok(None)
}

/// `NAME release N.N (CODENAME)`, as Red Hat and its relatives write it; none for a name that is not known.
fn numbered(text: &str) -> Option<Named> {
    let (product, rest) = text.split_once(" release ")?;
    let (_, id) = RELEASES.iter().find(|(name, _)| product.starts_with(name))?;
    let version = rest.split_whitespace().next().unwrap_or_default().to_owned();
    Some(Named { id: (*id).to_owned(), version, name: text.to_owned() })
}

/// The branch of the first repository, such as `v3.20` or `edge`: the component before that of the repository's name. A
/// repository with a tag (`@testing https://...`) gives only the packages that ask for it.
fn branch(file: &mut File<'_>) -> Result<Option<String>> {
    let mut lines = Lines::new();
    while let Some(line) = lines.next(file)? {
        let text = line.text();
        if text.starts_with(['#', '@']) || line.is_cut {
            continue;
        }
        let found = text.trim_end_matches('/').rsplit('/').nth(1).filter(|component| is_branch(component));
        if let Some(found) = found {
            return Ok(Some(found.to_owned()));
        }
    }
    Ok(None)
}

fn is_branch(component: &str) -> bool {
    let is_number = |text: &str| (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    component == "edge"
        || component
            .strip_prefix('v')
            .and_then(|rest| rest.split_once('.'))
            .is_some_and(|(major, minor)| is_number(major) && is_number(minor))
}
