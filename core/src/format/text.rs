//! Words that several formats say in the same way: what a finding is, where it was found, and text of an image made harmless.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Write;

use jiff::Timestamp;
use serde::Serialize;

use super::identity;
use crate::error::{Error, Kind, Result};
use crate::model::finding::{Finding, Status};
use crate::model::inventory::Location;
use crate::model::path::show;
use crate::model::problem::Problem;
use crate::model::report::Report;

/// The most characters of a command that made a layer.
const COMMAND: usize = 200;

/// Where the advisories of OSV are shown to people.
const OSV: &str = "https://osv.dev/vulnerability/";

/// How the ids of records begin that are shown there (OSV schema, "id" and the list of databases).
const SHOWN: &[&str] = &[
    "ALBA-",
    "ALEA-",
    "ALPINE-",
    "ALSA-",
    "AZL-",
    "BELL-",
    "BIT-",
    "CGA-",
    "CURL-",
    "DEBIAN-",
    "DLA-",
    "DRUPAL-",
    "DSA-",
    "DTSA-",
    "ECHO-",
    "EEF-",
    "GO-",
    "GSD-",
    "HSEC-",
    "JLSEC-",
    "KUBE-",
    "LBSEC-",
    "LSN-",
    "MAL-",
    "MGASA-",
    "MINI-",
    "OESA-",
    "OSV-",
    "PHSA-",
    "PSF-",
    "PYSEC-",
    "RHBA-",
    "RHEA-",
    "RHSA-",
    "RLSA-",
    "ROOT-",
    "RSEC-",
    "RUSTSEC-",
    "RXSA-",
    "SUSE-",
    "UBUNTU-",
    "USN-",
    "V8-",
    "openSUSE-",
];

/// Text of an image or an advisory as one harmless line: control characters as `\x1b`, and what is not seen or turns the direction
/// of the text around as `\u{202e}`.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Cow::Borrowed(text);
    }
    let shown = show(text.as_bytes());
    if !shown.contains(is_unseen) {
        return shown;
    }
    let mut plain = String::with_capacity(shown.len() + 8);
    for character in shown.chars() {
        if is_unseen(character) {
            let _ = write!(plain, "\\u{{{:x}}}", u32::from(character));
        } else {
            plain.push(character);
        }
    }
    Cow::Owned(plain)
}

/// Whether a character has no shape of its own: marks of direction, separators of lines, fillers, tags, and what is no character.
fn is_unseen(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fdd0}'..='\u{fdef}' | '\u{e0000}'..='\u{e007f}')
        || u32::from(character) & 0xfffe == 0xfffe
}

/// At most `most` characters; what is cut ends with `…`.
pub(super) fn cut(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        None => Cow::Borrowed(text),
        Some(_) => Cow::Owned(text.chars().take(most.saturating_sub(1)).chain(['…']).collect()),
    }
}

/// A number and its noun, such as `2 findings`.
pub(super) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Text as one part of a URL's path: all but unreserved characters (RFC 3986, section 2.3) in percent signs.
pub(super) fn percent(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

/// The page that describes an advisory, where its id says that there is one.
pub(super) fn page(id: &str) -> Option<String> {
    let is_one = |byte: u8| byte.is_ascii_alphanumeric() || b"-:.".contains(&byte);
    if id.len() > 100 || !id.bytes().all(is_one) {
        return None;
    }
    if id.starts_with("CVE-") {
        Some(format!("https://nvd.nist.gov/vuln/detail/{id}"))
    } else if id.starts_with("GHSA-") {
        Some(format!("https://github.com/advisories/{id}"))
    } else {
        SHOWN.iter().any(|known| id.starts_with(known)).then(|| format!("{OSV}{id}"))
    }
}

/// What an image is called without registry, tag and digest: its repository, or the name of the folder or file that it lies in.
pub(super) fn repository(reference: &str) -> String {
    let local = ["docker-archive:", "oci-archive:", "oci:"].iter().find_map(|prefix| {
        let rest = reference.strip_prefix(prefix)?;
        // A registry called `oci`, with its port.
        let is_registry =
            *prefix == "oci:" && rest.split_once('/').is_some_and(|(port, _)| port.parse::<u16>().is_ok());
        (!is_registry).then_some((*prefix, rest))
    });
    let name = match local {
        Some((prefix, rest)) => {
            let name = rest.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
            // Behind the colon stands the name that the image has in the layout.
            if prefix == "oci:" { name.split(':').next().unwrap_or_default() } else { name }
        }
        None => {
            let (_, path) = reference.split_once('/').unwrap_or(("", reference));
            let path = path.split('@').next().unwrap_or_default();
            path.rsplit_once(':').map_or(path, |(path, _)| path)
        }
    };
    if matches!(name, "" | "." | "..") { "image".to_owned() } else { name.to_owned() }
}

/// What is said of the package of a finding.
pub(super) struct Named<'a> {
    /// Its name, or its package URL where the inventory does not have it.
    pub(super) name: Cow<'a, str>,
    /// Its version; empty where the inventory does not have it.
    pub(super) version: Cow<'a, str>,
    /// Its type, such as `deb`.
    pub(super) kind: &'static str,
    /// Its architecture; empty where it has none.
    pub(super) architecture: Cow<'a, str>,
}

impl std::fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)?;
        if self.version.is_empty() { Ok(()) } else { write!(f, " {}", self.version) }
    }
}

/// The package of a finding.
pub(super) fn package<'a>(report: &'a Report, finding: &'a Finding) -> Named<'a> {
    match report.inventory.package(finding.package_index) {
        Some(package) => Named {
            name: plain(package.name()),
            version: plain(package.version()),
            kind: package.kind().as_str(),
            architecture: plain(package.architecture()),
        },
        None => Named { name: plain(&finding.package), version: "".into(), kind: "package", architecture: "".into() },
    }
}

/// Where the package of a finding was found, the lowest layer first.
pub(super) fn locations<'a>(report: &'a Report, finding: &Finding) -> impl Iterator<Item = Location<'a>> + use<'a> {
    report.inventory.package(finding.package_index).into_iter().flat_map(|package| package.locations())
}

/// A place as words: `var/lib/dpkg/status in layer 0 (sha256:...), made by: RUN apt-get update`.
pub(super) fn place(report: &Report, location: &Location<'_>) -> String {
    let mut words = format!("{} in layer {}", plain(location.path), location.layer);
    if let Some(layer) = report.layers.get(location.layer as usize) {
        let _ = write!(words, " ({})", layer.digest);
        if let Some(command) = layer.created_by.as_deref().map(str::trim).filter(|command| !command.is_empty()) {
            let _ = write!(words, ", made by: {}", cut(&plain(command), COMMAND));
        }
    }
    words
}

/// A severity as words: `high (7.5, CVSS:3.1/..., according to Debian:12)`.
pub(super) fn severity(finding: &Finding) -> String {
    let severity = &finding.severity;
    let score = severity.score.map(|score| format!("{score:.1}"));
    let vector = severity.vector.as_deref().map(|vector| plain(vector).into_owned());
    let source = severity.source.as_deref().map(|source| format!("according to {}", plain(source)));
    let details: Vec<_> = [score, vector, source].into_iter().flatten().collect();
    if details.is_empty() {
        return severity.rating.to_string();
    }
    format!("{} ({})", severity.rating, details.join(", "))
}

/// What a finding says, as a sentence: that the package is affected, or why that could not be told.
pub(super) fn verdict(report: &Report, finding: &Finding) -> String {
    let (package, id) = (package(report, finding), plain(&finding.id));
    match finding.status {
        Status::Affected => format!("{package} ({}) is affected by {id}.", package.kind),
        Status::Indeterminate => format!(
            "{package} ({}) may be affected by {id}: {}.",
            package.kind,
            plain(&finding.evidence.event).trim_end_matches('.')
        ),
    }
}

/// What to do about a finding, as a sentence; none where no version is known in which it is fixed.
pub(super) fn fix(report: &Report, finding: &Finding) -> Option<String> {
    let (nearest, others) = finding.fixed.split_first()?;
    let mut words = format!("Upgrade {} to {}", package(report, finding).name, plain(nearest));
    if !others.is_empty() {
        let others: Vec<_> = others.iter().map(|version| plain(version)).collect();
        let _ = write!(words, ", or to {}", others.join(", "));
    }
    words.push('.');
    Some(words)
}

/// All other ids of a finding, and what it stands for.
pub(super) fn other_ids(finding: &Finding) -> impl Iterator<Item = &str> {
    let record = Some(&finding.evidence.record).filter(|record| !finding.aliases.contains(record));
    let ids = finding.aliases.iter().chain(record).chain(&finding.upstream).map(String::as_str);
    ids.filter(|id| !id.is_empty() && *id != finding.id)
}

/// A problem as one line: `limit-exceeded: the file is larger than 16 MiB (usr/lib/x.jar in layer 0)`.
pub(super) fn problem(problem: &Problem) -> String {
    let place: Vec<_> = [
        problem.path.as_deref().map(|path| plain(path).into_owned()),
        problem.layer.map(|layer| format!("in layer {layer}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    let mut line = format!("{}: {}", problem.kind, plain(&problem.message));
    if !place.is_empty() {
        let _ = write!(line, " ({})", place.join(" "));
    }
    line
}

/// The image of a report as one line: `registry.acme.io/team/app:1.0 (linux/amd64)`.
pub(super) fn image(report: &Report) -> String {
    format!("{} ({})", plain(&report.subject.reference), plain(&report.subject.platform.to_string()))
}

/// The distribution of an image, such as `debian 12`.
pub(super) fn distro(report: &Report) -> Option<String> {
    let distro = report.inventory.distro().filter(|distro| !distro.id.is_empty())?;
    Some(format!("{} {}", plain(&distro.id), plain(&distro.version)).trim_end().to_owned())
}

/// The findings, the worst first; those of one rating in the order of the report.
pub(super) fn worst_first(report: &Report) -> Vec<&Finding> {
    let mut findings: Vec<_> = report.findings.iter().collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity.rating));
    findings
}

/// The youngest time that the reports know. What was before 1970 is no date of an image.
pub(super) fn time(reports: &[&Report]) -> Timestamp {
    let times = reports.iter().filter_map(|report| identity::latest(report));
    times.max().unwrap_or_default().max(Timestamp::UNIX_EPOCH)
}

/// A document of JSON, indented, with a line feed at its end.
pub(super) fn write_json(document: &impl Serialize, output: &mut dyn Write) -> Result<()> {
    serde_json::to_writer_pretty(&mut *output, document).map_err(|error| match error.io_error_kind() {
        Some(_) => Error::from(std::io::Error::from(error)),
        None => Error::new(Kind::Internal, "the report cannot be written as json").because(error),
    })?;
    output.write_all(b"\n")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::sample;

    #[test]
    fn what_is_not_seen_is_shown() {
        assert!(matches!(plain("@angular/core 1.0~rc1 ☂"), Cow::Borrowed(_)));
        assert_eq!(plain("a\u{1b}[31m\n\u{9b}"), "a\\x1b[31m\\x0a\\xc2\\x9b");
        assert_eq!(
            plain("evil\u{202e}gpj.exe\u{2066}\u{200b}\u{feff}\u{2028}"),
            "evil\\u{202e}gpj.exe\\u{2066}\\u{200b}\\u{feff}\\u{2028}"
        );
        assert_eq!(plain("\u{fffe}\u{10ffff}\u{e0041}\u{fdd0}"), "\\u{fffe}\\u{10ffff}\\u{e0041}\\u{fdd0}");
    }

    #[test]
    fn cuts_characters() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äö…");
    }

    #[test]
    fn a_repository_has_no_registry_tag_or_folder() {
        for (reference, repository) in [
            ("registry.acme.io/team/app:1.0", "team/app"),
            ("localhost:5000/app@sha256:00", "app"),
            ("localhost:5000/app:1@sha256:00", "app"),
            ("docker.io/library/debian:12", "library/debian"),
            ("oci:5000/team/app:1", "team/app"),
            ("oci:build/17/app", "app"),
            ("oci:build/app/:v1", "image"),
            ("oci:build/app:v1", "app"),
            ("oci:.", "image"),
            ("docker-archive:/tmp/app.tar.gz", "app.tar.gz"),
            ("oci-archive:a:b.tar", "a:b.tar"),
            ("", "image"),
        ] {
            assert_eq!(super::repository(reference), repository, "{reference}");
        }
    }

    #[test]
    fn only_ids_that_have_a_page_are_linked() {
        assert_eq!(page("CVE-2024-1").unwrap(), "https://nvd.nist.gov/vuln/detail/CVE-2024-1");
        assert_eq!(page("GHSA-a-b-c").unwrap(), "https://github.com/advisories/GHSA-a-b-c");
        assert_eq!(page("DSA-1-1").unwrap(), "https://osv.dev/vulnerability/DSA-1-1");
        for id in ["ACME-1", "", "CVE-\"><script>", "javascript:alert(1)", "DSA-1)[x](y"] {
            assert!(page(id).is_none(), "{id}");
        }
    }

    #[test]
    fn a_report_is_as_young_as_what_it_was_made_of() {
        let full = sample::full();
        assert_eq!(time(&[&full]).to_string(), "2026-11-02T00:00:00Z");
        let mut odd = sample::empty();
        assert_eq!(time(&[&odd]).to_string(), "1970-01-01T00:00:00Z");
        for (created, expected) in [
            ("yesterday", "1970-01-01T00:00:00Z"),
            ("-000001-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
            ("0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
            ("2026-01-01T01:00:00.5+01:00", "2026-01-01T00:00:00.5Z"),
        ] {
            odd.subject.created = Some(created.into());
            assert_eq!(time(&[&odd]).to_string(), expected, "{created}");
        }
    }
}
