//! Report formats. A new one is a file of its own and a line in [`ALL`].

use std::borrow::Borrow;
use std::io::Write;
use std::str::FromStr;

use crate::error::{Error, Kind, Result};
use crate::model::report::Report;

pub mod cyclonedx;
pub mod gitlab;
mod identity;
pub mod json;
pub mod junit;
mod license;
pub mod markdown;
pub mod read;
pub mod sarif;
pub mod spdx;
pub mod table;
mod text;

/// Every format, the default first.
pub const ALL: &[&Format] = &[
    &table::FORMAT,
    &json::FORMAT,
    &cyclonedx::FORMAT,
    &spdx::FORMAT,
    &sarif::FORMAT,
    &gitlab::FORMAT,
    &junit::FORMAT,
    &markdown::FORMAT,
];

/// A way to write reports.
#[derive(Debug)]
pub struct Format {
    /// The name that `--output` and the bindings take, such as `json`.
    pub id: &'static str,
    /// The endings of file names, without the dot in front, that mean this format: `json`, or longer ones such as `cdx.json`, which may
    /// be whole names too.
    pub extensions: &'static [&'static str],
    write: fn(&[&Report], &mut dyn Write) -> Result<()>,
}

impl Format {
    /// Writes `reports` to one file; what a format does with several is said in its module.
    ///
    /// # Errors
    /// The error of `output`.
    pub fn write<R: Borrow<Report>>(&self, reports: &[R], output: &mut dyn Write) -> Result<()> {
        let reports: Vec<&Report> = reports.iter().map(Borrow::borrow).collect();
        (self.write)(&reports, output)
    }

    /// The format that a file name asks for by its ending; the longest one that a format has decides.
    pub fn of_file(name: &str) -> Option<&'static Self> {
        Self::of_file_among(ALL, name)
    }

    fn of_file_among<'a>(formats: &[&'a Self], name: &str) -> Option<&'a Self> {
        let name = name.to_ascii_lowercase();
        // The whole name, then the first dot has the longest ending.
        let whole = Some(name.as_str()).filter(|name| name.contains('.'));
        let endings = name.match_indices('.').filter_map(|(dot, _)| name.get(dot + 1..));
        let mut endings = whole.into_iter().chain(endings);
        endings.find_map(|ending| formats.iter().copied().find(|format| format.extensions.contains(&ending)))
    }
}

impl FromStr for &'static Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        ALL.iter().copied().find(|format| format.id == text).ok_or_else(|| {
            let known: Vec<_> = ALL.iter().map(|format| format.id).collect();
            Error::new(Kind::InvalidInput, "there is no such format")
                .with("format", text.escape_debug())
                .with_hint(format!("the formats are {}", known.join(", ")))
        })
    }
}

#[cfg(test)]
mod golden;
/// Small reports for the tests of every format.
#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod written;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_found_by_name_and_by_file() {
        for format in ALL {
            assert_eq!(format.id.parse::<&'static Format>().unwrap().id, format.id);
            for extension in format.extensions {
                assert_eq!(Format::of_file(&format!("a.b.{extension}")).unwrap().id, format.id);
            }
        }
        assert_eq!("xml".parse::<&'static Format>().unwrap_err().kind(), Kind::InvalidInput);
        assert!(Format::of_file("report").is_none());
        for (name, id) in [
            ("gl-container-scanning-report.json", "gitlab"),
            ("app.sarif.json", "sarif"),
            ("junit.xml", "junit"),
            ("json", ""),
            ("sarif", ""),
            ("report.xml", ""),
            ("gl-other-report.json", "json"),
        ] {
            assert_eq!(Format::of_file(name).map_or("", |format| format.id), id, "{name}");
        }
    }

    #[test]
    fn the_longest_ending_decides() {
        let format = |id, extensions| Format { id, extensions, write: |_, _| Ok(()) };
        let known = [format("plain", &["json"]), format("longer", &["x.json", "xml"])];
        let of_file = |name| Format::of_file_among(&known.each_ref(), name).map(|format| format.id);
        for (name, expected) in [
            ("a.json", Some("plain")),
            (".json", Some("plain")),
            ("a.b.json", Some("plain")),
            ("ax.json", Some("plain")),
            ("a.x.json", Some("longer")),
            ("v1.2.X.Json", Some("longer")),
            ("a.x", None),
            ("json", None),
            ("a.json.", None),
        ] {
            assert_eq!(of_file(name), expected, "{name}");
        }
    }
}
