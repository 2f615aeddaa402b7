//! OSV records, read leniently: unknown fields, ecosystems and types are fine, and null is the same as absent
//! (OSV schema 1.7, <https://ossf.github.io/osv-schema/>).

use serde::de::{Deserialize, Deserializer, IgnoredAny};

use super::record::{Affected, Event, Range, RangeKind, Record, RecordId, Score};
use crate::layer::json::{Take, take};
use crate::model::ecosystem;

/// The largest record that is read, in bytes of JSON.
pub(crate) const LARGEST: u64 = 16 << 20;

/// A record, and each package that it concerns with its ecosystem (without release) and name.
pub(crate) struct Parsed {
    pub(crate) record: Record,
    pub(crate) packages: Vec<(String, String, Affected)>,
}

/// Reads one record.
///
/// # Errors
/// Why it cannot be used, as one line.
pub(crate) fn parse(json: &[u8]) -> Result<Parsed, String> {
    let advisory: Advisory = serde_json::from_slice(json).map_err(|error| format!("no OSV record: {error}"))?;
    if advisory.id.is_empty() {
        return Err("a record without id".into());
    }
    let packages: Vec<_> = advisory.affected.into_iter().filter_map(Entry::into_package).collect();
    if packages.is_empty() {
        return Err("it names no package".into());
    }
    let record = Record {
        id: advisory.id,
        aliases: advisory.aliases,
        upstream: advisory.upstream,
        related: advisory.related,
        withdrawn: advisory.withdrawn.0,
        modified: advisory.modified,
        scores: scores(advisory.severity, None),
        word: advisory.database_specific.severity,
        summary: advisory.summary.0.unwrap_or_default(),
    };
    Ok(Parsed { record, packages })
}

#[derive(serde::Deserialize)]
struct Advisory {
    id: String,
    #[serde(default)]
    modified: String,
    #[serde(default)]
    withdrawn: Word,
    #[serde(default, deserialize_with = "nullable")]
    aliases: Vec<String>,
    #[serde(default, deserialize_with = "nullable")]
    upstream: Vec<String>,
    #[serde(default, deserialize_with = "nullable")]
    related: Vec<String>,
    #[serde(default)]
    summary: Word,
    #[serde(default, deserialize_with = "nullable")]
    severity: Vec<Severity>,
    #[serde(default, deserialize_with = "nullable")]
    affected: Vec<Entry>,
    #[serde(default)]
    database_specific: Specific,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Severity {
    r#type: Word,
    score: Word,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Entry {
    #[serde(deserialize_with = "nullable")]
    package: Package,
    #[serde(deserialize_with = "nullable")]
    ranges: Vec<WireRange>,
    #[serde(deserialize_with = "nullable")]
    versions: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    severity: Vec<Severity>,
    ecosystem_specific: Specific,
    database_specific: Specific,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Package {
    ecosystem: String,
    name: String,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct WireRange {
    r#type: String,
    #[serde(deserialize_with = "nullable")]
    events: Vec<WireEvent>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct WireEvent {
    introduced: Option<String>,
    fixed: Option<String>,
    last_affected: Option<String>,
    limit: Option<String>,
}

impl Entry {
    fn into_package(self) -> Option<(String, String, Affected)> {
        let Package { ecosystem, name } = self.package;
        let base = ecosystem::base(&ecosystem).to_owned();
        if base.is_empty() || name.is_empty() {
            return None;
        }
        let mut ranges: Vec<_> = self.ranges.into_iter().filter_map(WireRange::into_range).collect();
        if base == "Red Hat" {
            ranges.iter_mut().flat_map(|range| &mut range.events).for_each(drop_architecture);
        }
        let stale = ecosystem::is_distribution(&base) && !ranges.is_empty();
        let affected = Affected {
            record: RecordId::default(),
            release: ecosystem::release(&ecosystem).to_owned(),
            ranges,
            versions: if stale { Vec::new() } else { self.versions },
            scores: scores(self.severity, self.database_specific.cvss),
            word: self
                .ecosystem_specific
                .urgency
                .or(self.ecosystem_specific.severity)
                .or(self.ecosystem_specific.ubuntu_priority)
                .or(self.database_specific.severity),
        };
        Some((base, name, affected))
    }
}

impl WireRange {
    /// None for commits and for types that are not known.
    fn into_range(self) -> Option<Range> {
        let kind = match self.r#type.as_str() {
            "ECOSYSTEM" => RangeKind::Ecosystem,
            "SEMVER" => RangeKind::Semver,
            _ => return None,
        };
        let events = self.events.into_iter().flat_map(|event| {
            [
                event.introduced.map(Event::Introduced),
                event.fixed.map(Event::Fixed),
                event.last_affected.map(Event::LastAffected),
                event.limit.map(Event::Limit),
            ]
        });
        Some(Range { kind, events: events.flatten().collect() })
    }
}

/// Red Hat writes some versions with the architecture of a package behind them (`3.el8_6.1.src`), which would make each greater
/// than the version itself.
fn drop_architecture(event: &mut Event) {
    const ARCHITECTURES: &[&str] =
        &[".src", ".noarch", ".x86_64", ".aarch64", ".ppc64le", ".ppc64", ".s390x", ".s390", ".i686", ".i386"];
    let (Event::Introduced(version) | Event::Fixed(version) | Event::LastAffected(version) | Event::Limit(version)) =
        event;
    if let Some(plain) = ARCHITECTURES.iter().find_map(|architecture| version.strip_suffix(architecture)) {
        *version = plain.to_owned();
    }
}

fn scores(list: Vec<Severity>, cvss: Option<String>) -> Vec<Score> {
    let listed = list.into_iter().filter_map(|severity| Some((severity.r#type.0?, severity.score.0?)));
    // RustSec keeps the vector in `database_specific`.
    let specific = cvss.filter(|vector| vector.starts_with("CVSS:")).map(|vector| {
        let kind = if vector.starts_with("CVSS:4") { "CVSS_V4" } else { "CVSS_V3" };
        (kind.to_owned(), vector)
    });
    listed.chain(specific).map(|(kind, value)| Score { kind, value }).collect()
}

/// Null where a value is expected is the value's default.
fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A string, or nothing where anything else stands.
#[derive(Default)]
struct Word(Option<String>);

impl Take for Word {
    type Part = IgnoredAny;

    fn text(&mut self, text: &str) {
        self.0 = Some(text.to_owned());
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        take(deserializer)
    }
}

/// The words that databases and ecosystems keep in fields of their own, whatever else those hold.
#[derive(Default)]
struct Specific {
    severity: Option<String>,
    urgency: Option<String>,
    ubuntu_priority: Option<String>,
    cvss: Option<String>,
}

impl Take for Specific {
    type Part = Word;

    fn wants(&self, name: &str) -> bool {
        matches!(name, "severity" | "urgency" | "ubuntu_priority" | "cvss")
    }

    fn member(&mut self, name: &str, Word(word): Word) {
        match name {
            "severity" => self.severity = word,
            "urgency" => self.urgency = word,
            "ubuntu_priority" => self.ubuntu_priority = word,
            _ => self.cvss = word,
        }
    }
}

impl<'de> Deserialize<'de> for Specific {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        take(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_needs_and_passes_over_the_rest() {
        let parsed = parse(
            br#"{"schema_version": "9", "id": "X-1", "modified": "2026-01-01T00:00:00Z", "new": [{}], "severity": null,
                "aliases": ["CVE-1"], "database_specific": {"severity": "HIGH", "deep": {"severity": 1}},
                "affected": [
                  {"package": {"ecosystem": "Neverland:7:x", "name": "p"}, "versions": null, "database_specific": [1],
                   "ranges": [{"type": "GIT", "events": [{"introduced": "0"}]},
                              {"type": "SEMVER", "events": [{"introduced": "0"}, {"later": "1"}, {"fixed": "2"}]}]},
                  {"package": {"ecosystem": "PyPI", "name": "q"}, "versions": ["1"], "database_specific": {"cvss": {"score": 1}}},
                  {"ranges": []}]}"#,
        )
        .unwrap();
        assert_eq!(parsed.record.word.as_deref(), Some("HIGH"));
        let [(ecosystem, name, affected), (_, _, other)] = parsed.packages.as_slice() else { panic!("two packages") };
        assert_eq!((ecosystem.as_str(), name.as_str(), affected.release.as_str()), ("Neverland", "p", "7:x"));
        let events = vec![Event::Introduced("0".into()), Event::Fixed("2".into())];
        assert_eq!(affected.ranges, [Range { kind: RangeKind::Semver, events }]);
        assert_eq!(other.versions, ["1"]);
    }

    #[test]
    fn drops_the_version_lists_of_distributions_only_where_there_are_ranges() {
        let package = |ranges: &str| {
            let json = format!(
                r#"{{"id": "X", "affected": [{{"package": {{"ecosystem": "Debian:12", "name": "p"}}, "versions": ["1"], "ranges": {ranges}}}]}}"#
            );
            parse(json.as_bytes()).unwrap().packages.remove(0).2
        };
        assert!(package(r#"[{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]"#).versions.is_empty());
        assert_eq!(package("[]").versions, ["1"]);
    }

    #[test]
    fn versions_of_red_hat_have_no_architecture() {
        for (ecosystem, expected) in
            [("Red Hat:rhel_aus:8.6::appstream", "0:2.13.3-3.el8_6.1"), ("AlmaLinux:8", "0:2.13.3-3.el8_6.1.src")]
        {
            let json = format!(
                r#"{{"id": "X", "affected": [{{"package": {{"ecosystem": "{ecosystem}", "name": "git-lfs"}},
                    "ranges": [{{"type": "ECOSYSTEM", "events": [{{"introduced": "0"}}, {{"fixed": "0:2.13.3-3.el8_6.1.src"}}]}}]}}]}}"#
            );
            let affected = parse(json.as_bytes()).unwrap().packages.remove(0).2;
            assert_eq!(affected.ranges[0].events[1], Event::Fixed(expected.into()), "{ecosystem}");
        }
    }

    #[test]
    fn says_why_a_record_is_no_use() {
        for (json, reason) in [
            ("[]", "no OSV record"),
            ("{", "no OSV record"),
            (r#"{"id": ""}"#, "a record without id"),
            (r#"{"id": "X"}"#, "it names no package"),
            (r#"{"id": "X", "affected": [{"package": {"name": "", "ecosystem": "npm"}}]}"#, "it names no package"),
        ] {
            let error = parse(json.as_bytes()).err().unwrap();
            assert!(error.starts_with(reason), "{json}: {error}");
        }
    }
}
