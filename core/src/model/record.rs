//! An image as a registry lists it, and its date with where that comes from.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::digest::Digest;

/// Where the date of an image comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DateSource {
    /// When the tag was pushed, as the registry says.
    Pushed,
    /// When the digest was pushed first, as the registry says: a tag that moves there later does not change it.
    FirstPushed,
    /// When what lies in the registry was last changed, as the registry says.
    Modified,
    /// When the image was built, as its configuration says; reproducible builds say 1970 or 1980.
    Built,
    /// Nothing says it.
    #[default]
    None,
    /// Nobody asked: the image is left out for another reason, and asking would have cost requests. Only in what `explain` tells.
    Unknown,
}

impl DateSource {
    /// The source as the word in JSON, such as `first-pushed`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pushed => "pushed",
            Self::FirstPushed => "first-pushed",
            Self::Modified => "modified",
            Self::Built => "built",
            Self::None => "none",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for DateSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The date of an image, with its source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageDate {
    /// The time; none exactly where the source is none or unknown.
    pub time: Option<Timestamp>,
    /// Where it comes from.
    pub source: DateSource,
}

impl ImageDate {
    /// 1990-01-01T00:00:00Z: no image is older.
    pub const FIRST: Timestamp = Timestamp::constant(631_152_000, 0);

    /// No date.
    pub fn none() -> Self {
        Self::default()
    }

    /// A date that nobody asked for.
    pub fn unknown() -> Self {
        Self { time: None, source: DateSource::Unknown }
    }

    /// A date from `source`; none where there is no time.
    pub fn new(time: Option<Timestamp>, source: DateSource) -> Self {
        Self { time, source: if time.is_some() { source } else { DateSource::None } }
    }

    /// A date as registries write it (RFC 3339, any offset). The year 1 and 1970 are how some of them write "never".
    pub fn read(text: Option<&str>, source: DateSource) -> Self {
        let time = text.and_then(|text| text.trim().parse::<Timestamp>().ok());
        Self::new(time.filter(|time| time.as_second() > 0), source)
    }

    /// A date in seconds since 1970.
    pub fn of_seconds(seconds: i64, source: DateSource) -> Self {
        Self::new(Timestamp::from_second(seconds).ok().filter(|_| seconds > 0), source)
    }

    /// Whether the registry says it, rather than the builder.
    pub fn is_of_the_registry(&self) -> bool {
        matches!(self.source, DateSource::Pushed | DateSource::FirstPushed | DateSource::Modified)
    }

    /// Whether this date is to be kept where an image has two: that of the better source, else the later.
    pub fn tells_more_than(&self, other: &Self) -> bool {
        match self.source.cmp(&other.source) {
            std::cmp::Ordering::Equal => self.time > other.time,
            order => order.is_lt(),
        }
    }

    /// The time, unless nobody can have meant it: no image is older than 1990, and reproducible builds write 1970-01-01,
    /// 1980-01-01 (the first day of zip files) or the year 1.
    pub fn known(&self) -> Option<Timestamp> {
        self.time.filter(|time| *time >= Self::FIRST)
    }
}

impl fmt::Display for ImageDate {
    /// `2026-11-20T08:12:00Z (pushed)`, `none` or `unknown`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.time {
            Some(time) => write!(f, "{time} ({})", self.source),
            None => write!(f, "{}", if self.source == DateSource::Unknown { self.source } else { DateSource::None }),
        }
    }
}

/// An image as a registry lists it: one digest in one repository, with all tags that point at it. An index is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageRecord {
    /// The repository, as the registry's definition has it: what the definition holds already, such as a project, is not repeated.
    pub repository: String,
    /// The digest of the manifest or index.
    pub digest: Digest,
    /// The tags, sorted; none for an image that is listed without any.
    pub tags: Vec<String>,
    /// The media type of the manifest or index; empty where it is not known.
    pub media_type: String,
    /// The size in bytes as the registry, or else the manifest, says; mostly that of the compressed layers.
    pub size: Option<u64>,
    /// The date.
    pub date: ImageDate,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_as_the_listing_is() {
        let date = ImageDate::new(Some("2026-11-20T08:12:00Z".parse().unwrap()), DateSource::FirstPushed);
        assert_eq!(serde_json::to_string(&date).unwrap(), r#"{"time":"2026-11-20T08:12:00Z","source":"first-pushed"}"#);
        assert_eq!(date.to_string(), "2026-11-20T08:12:00Z (first-pushed)");
        assert_eq!(serde_json::to_string(&ImageDate::none()).unwrap(), r#"{"time":null,"source":"none"}"#);
        assert_eq!(ImageDate::new(None, DateSource::Pushed), ImageDate::none());
    }

    #[test]
    fn dates_of_reproducible_builds_are_unknown() {
        for (text, known) in [
            ("1980-01-01T00:00:01Z", false),
            ("1989-12-31T23:59:59Z", false),
            ("1990-01-01T00:00:00Z", true),
            ("2026-11-20T08:12:00.123456789Z", true),
            ("", false),
        ] {
            assert_eq!(ImageDate::read(Some(text), DateSource::Built).known().is_some(), known, "{text}");
        }
    }

    #[test]
    fn reads_what_registries_write() {
        for (text, expected) in [
            ("2026-05-20T09:30:00.123Z", "2026-05-20T09:30:00.123Z (pushed)"),
            ("2026-05-20T11:30:00.000+02:00", "2026-05-20T09:30:00Z (pushed)"),
            ("2026-05-20T09:30:00.000+0000", "2026-05-20T09:30:00Z (pushed)"),
            ("0001-01-01T00:00:00.000Z", "none"),
            ("1970-01-01T00:00:00Z", "none"),
            ("yesterday", "none"),
            ("", "none"),
        ] {
            assert_eq!(ImageDate::read(Some(text), DateSource::Pushed).to_string(), expected, "{text}");
        }
        assert_eq!(
            ImageDate::of_seconds(1_779_269_400, DateSource::Pushed).to_string(),
            "2026-05-20T09:30:00Z (pushed)"
        );
        assert_eq!(ImageDate::of_seconds(i64::MAX, DateSource::Pushed), ImageDate::none());
    }
}
