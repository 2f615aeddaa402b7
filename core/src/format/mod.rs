//! Report formats. A new one is a file of its own and a line in [`ALL`].

use std::io::Write;
use std::str::FromStr;

use crate::error::{Error, Kind, Result};
use crate::model::report::Report;

pub mod json;
pub mod table;

/// Every format, the default first.
pub const ALL: &[&Format] = &[&table::FORMAT, &json::FORMAT];

/// A way to write reports.
#[derive(Debug)]
pub struct Format {
    /// The name that `--output` and the bindings take, such as `json`.
    pub id: &'static str,
    /// The endings of file names, without a dot, that mean this format.
    pub extensions: &'static [&'static str],
    write: fn(&[Report], &mut dyn Write) -> Result<()>,
}

impl Format {
    /// Writes `reports` as they are, one behind another; what a format does with several is said in its module.
    ///
    /// # Errors
    /// The error of `output`.
    pub fn write(&self, reports: &[Report], output: &mut dyn Write) -> Result<()> {
        (self.write)(reports, output)
    }

    /// The format that a file name asks for by its ending.
    pub fn of_file(name: &str) -> Option<&'static Self> {
        let (_, extension) = name.rsplit_once('.')?;
        ALL.iter().copied().find(|format| format.extensions.iter().any(|known| extension.eq_ignore_ascii_case(known)))
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

/// Two small reports for the tests of every format.
#[cfg(test)]
pub(crate) mod sample;

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
    }
}
