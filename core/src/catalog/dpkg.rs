//! Packages of Debian and its relatives, from dpkg's database (`deb822(5)`, `dpkg-query(1)`), and of small systems, from that of
//! opkg, which writes the same.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::layer::{Cataloger, Facts, File, Interest, Lines, Records, Take, View};
use crate::model::inventory::{Draft, Pushed};
use crate::model::package::{PackageDraft, PackageType};
use crate::model::path::show;
use crate::model::problem::{Problem, ProblemKind};

/// Reads `status`, the one file a package of images without dpkg (`status.d`), and who owns what (`*.list`, `*.md5sums`).
pub struct Dpkg;

const STATUS: &[&str] = &["var/lib/dpkg/status", "usr/lib/opkg/status", "var/lib/opkg/status"];
const STATUS_D: &str = "var/lib/dpkg/status.d/";
const INFO: &[&str] = &["var/lib/dpkg/info/", "usr/lib/opkg/info/", "var/lib/opkg/info/"];

/// One package, as it is kept. `source` and `source_version` only where they differ.
#[derive(Serialize, Deserialize)]
struct Record<'a> {
    name: &'a str,
    version: &'a str,
    architecture: &'a str,
    source: Option<&'a str>,
    source_version: Option<&'a str>,
}

impl Cataloger for Dpkg {
    fn id(&self) -> &'static str {
        "dpkg"
    }

    fn version(&self) -> u32 {
        2
    }

    fn interests(&self) -> &[Interest] {
        &[
            Interest::Path("var/lib/dpkg/status", Take::Stream),
            Interest::Path("{usr,var}/lib/opkg/status", Take::Stream),
            Interest::Path("{usr,var}/lib/opkg/info/*.list", Take::Stream),
            Interest::Path("var/lib/dpkg/status.d/*", Take::Stream),
            Interest::Path("var/lib/dpkg/info/*.{list,md5sums}", Take::Stream),
        ]
    }

    fn read(&self, file: &mut File<'_>) -> Result<Option<Facts>> {
        let path = file.path();
        if path.ends_with(".md5sums") {
            // 32 hexadecimal digits, two blanks, the path.
            owned_paths(file, 34)
        } else if INFO.iter().any(|info| path.starts_with(info)) {
            owned_paths(file, 0)
        } else {
            // The files of `status.d` belong to installed packages and need no `Status`.
            packages(file, !STATUS.contains(&path))
        }
    }

    fn resolve(&self, view: &View<'_>, draft: &mut Draft) -> Result<()> {
        let is_status_d = |path: &str| path.starts_with(STATUS_D) && !path.ends_with(".md5sums");
        // Only packages with a list are looked up by name: of a database with nothing else, there may be very many.
        let lists: HashSet<&str> = view.files().iter().filter_map(|file| listed(file.path())).map(name_of).collect();
        let mut by_name: HashMap<&str, Vec<(&str, Pushed)>> = HashMap::new();
        let mut by_file: HashMap<&str, Pushed> = HashMap::new();
        for file in view.files().iter().filter(|file| STATUS.contains(&file.path()) || is_status_d(file.path())) {
            for record in file.records::<Record<'_>>() {
                let Record { name, version, architecture, source, source_version } = record?;
                let pushed = draft.push(&PackageDraft {
                    source: Some((source.unwrap_or(name), source_version.unwrap_or(version))),
                    architecture,
                    ..PackageDraft::new(PackageType::Deb, name, version, file.path(), file.layer)
                })?;
                if lists.contains(name) {
                    by_name.entry(name).or_default().push((architecture, pushed));
                }
                by_file.entry(file.path()).or_insert(pushed);
            }
        }
        for file in view.files() {
            let owner = match listed(file.path()) {
                Some(package) => {
                    let architecture = package.split_once(':').map_or("", |(_, architecture)| architecture);
                    by_name.get(name_of(package)).and_then(|all| {
                        all.iter()
                            .find(|(own, _)| architecture.is_empty() || *own == architecture)
                            .map(|(_, owner)| *owner)
                    })
                }
                None => stem(file.path()).filter(|stem| is_status_d(stem)).and_then(|stem| by_file.get(stem)).copied(),
            };
            let Some(owner) = owner else { continue };
            for path in file.records::<&str>() {
                draft.own(&view.real_path(path?), owner);
            }
        }
        Ok(())
    }
}

/// The path of a list of files without its ending.
fn stem(path: &str) -> Option<&str> {
    path.strip_suffix(".md5sums").or_else(|| path.strip_suffix(".list"))
}

/// The package whose files are listed here, `libc6:amd64`, or the name alone where there can be only one.
fn listed(path: &str) -> Option<&str> {
    let stem = stem(path)?;
    INFO.iter().find_map(|info| stem.strip_prefix(info))
}

/// The name in `libc6:amd64`.
fn name_of(package: &str) -> &str {
    package.split_once(':').map_or(package, |(name, _)| name)
}

/// The fields of the paragraph that is being read, in buffers that are used again.
#[derive(Default)]
struct Paragraph {
    is_any: bool,
    is_cut: bool,
    name: String,
    version: String,
    architecture: String,
    source: String,
    status: String,
}

impl Paragraph {
    fn clear(&mut self) {
        self.is_any = false;
        self.is_cut = false;
        for field in [&mut self.name, &mut self.version, &mut self.architecture, &mut self.source, &mut self.status] {
            field.clear();
        }
    }

    /// The buffer of a field that is kept; names of fields have no case (`deb822(5)`).
    fn field(&mut self, name: &[u8]) -> Option<&mut String> {
        let fields = [
            (&b"Package"[..], &mut self.name),
            (b"Version", &mut self.version),
            (b"Architecture", &mut self.architecture),
            (b"Source", &mut self.source),
            (b"Status", &mut self.status),
        ];
        fields.into_iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, field)| field)
    }

    /// Whether the files of the package are on the disk. The first word of `Status` is what somebody wants (`deinstall` and
    /// `hold` too), the third what is: `installed`, and the steps between unpacking and that. `config-files` are left-overs,
    /// and of `half-installed` dpkg itself does not know what is there. On an image whose installation was finished, these
    /// are the packages that `dpkg-query -W` shows as `ii`, and those on hold (`hi`).
    fn is_installed(&self, without_status: bool) -> bool {
        match self.status.split_ascii_whitespace().nth(2) {
            Some(state) => {
                matches!(state, "installed" | "triggers-pending" | "triggers-awaited" | "half-configured" | "unpacked")
            }
            None => self.status.is_empty() && without_status,
        }
    }

    fn record(&self) -> Record<'_> {
        // `Source: name (version)`; the version only where it differs from the package's own.
        let (source, version) = match self.source.split_once('(') {
            Some((name, rest)) => {
                (name.trim_ascii(), rest.split_once(')').map_or("", |(version, _)| version.trim_ascii()))
            }
            None => (self.source.as_str(), ""),
        };
        Record {
            name: &self.name,
            version: &self.version,
            architecture: &self.architecture,
            source: Some(source).filter(|source| !source.is_empty() && *source != self.name),
            source_version: Some(version).filter(|version| !version.is_empty() && *version != self.version),
        }
    }
}

fn packages(file: &mut File<'_>, without_status: bool) -> Result<Option<Facts>> {
    let mut records = Records::new();
    let mut paragraph = Paragraph::default();
    let (mut strange, mut incomplete, mut cut) = (0u64, 0u64, 0u64);
    let mut lines = Lines::new();
    loop {
        let line = lines.next(file)?;
        match line {
            Some(line) if !line.is_blank() => match line.field() {
                Some((name, value)) => {
                    if let Some(field) = paragraph.field(name) {
                        field.clear();
                        field.push_str(&show(value));
                        paragraph.is_cut |= line.is_cut;
                    }
                    paragraph.is_any = true;
                }
                None if line.bytes.starts_with(b" ") || line.bytes.starts_with(b"\t") => {}
                None => strange += 1,
            },
            _ => {
                if paragraph.is_any && paragraph.is_installed(without_status) {
                    if paragraph.is_cut {
                        cut += 1;
                    } else if paragraph.name.is_empty() || paragraph.version.is_empty() {
                        incomplete += 1;
                    } else {
                        records.push(&paragraph.record())?;
                    }
                }
                paragraph.clear();
            }
        }
        if line.is_none() {
            break;
        }
    }
    for (count, kind, what) in [
        (strange, ProblemKind::Corrupt, "lines are no fields"),
        (incomplete, ProblemKind::Corrupt, "installed packages have no name or no version"),
        (cut, ProblemKind::LimitExceeded, "packages have a name or a version of more bytes than a line may have"),
    ] {
        if count > 0 {
            file.problem(Problem::new(kind, format!("{count} {what}")));
        }
    }
    Ok(records.finish(file))
}

/// The paths of a list, one a line behind `skip` bytes, that are files in which a cataloger may find a package.
fn owned_paths(file: &mut File<'_>, skip: usize) -> Result<Option<Facts>> {
    let mut records = Records::new();
    let mut lines = Lines::new();
    while let Some(line) = lines.next(file)? {
        let Some(path) = line.bytes.get(skip..).filter(|_| !line.is_cut) else { continue };
        let path = show(path.strip_prefix(b"/").unwrap_or(path));
        if file.is_wanted(&path) {
            records.push(&path.as_ref())?;
        }
    }
    Ok(records.finish(file))
}
