//! What is written, and where: standard output, or files whose format is named or taken from the end of the name.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::Serialize;
use tidewaiter::model::severity::Rating;
use tidewaiter::{Error, Kind, Result, format};
use tidewaiter_facade::{Report, check_file, format_of, write_file};

/// What a single result is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Lines for people
    Table,
    /// One document for programs
    Json,
}

/// How bad something is, one of the words that reports have, the worst first.
pub(crate) fn severity() -> impl TypedValueParser<Value = Rating> {
    PossibleValuesParser::new(Rating::ALL.iter().map(|rating| rating.as_str())).try_map(|word| word.parse::<Rating>())
}

/// A value as one JSON document on standard output.
pub(crate) fn print_json(value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|error| Error::new(Kind::Internal, "a result cannot be written as JSON").because(error))?;
    text.push('\n');
    print(text.as_bytes())
}

/// What came of one of several names: one document where it is alone, else a line.
pub(crate) fn print_one_of(names: &[String], value: &impl Serialize) -> Result<()> {
    if names.len() == 1 { print_json(value) } else { print(json_line(value)?.as_bytes()) }
}

/// A value as one line of JSON.
pub(crate) fn json_line(value: &impl Serialize) -> Result<String> {
    let mut text = serde_json::to_string(value)
        .map_err(|error| Error::new(Kind::Internal, "a result cannot be written as JSON").because(error))?;
    text.push('\n');
    Ok(text)
}

/// Bytes on standard output.
pub(crate) fn print(bytes: &[u8]) -> Result<()> {
    let mut out = Patient(io::stdout().lock());
    out.write_all(bytes).and_then(|()| out.flush()).map_err(unwritten)
}

fn unwritten(error: io::Error) -> Error {
    Error::new(Kind::Storage, "standard output cannot be written").because(error)
}

/// Where reports go, and in which format.
pub(crate) struct Output {
    format: &'static format::Format,
    /// None is standard output.
    file: Option<PathBuf>,
}

impl Output {
    /// What `--output` and `--format` ask for; the table on standard output when they say nothing.
    pub(crate) fn parse(outputs: &[String], format: Option<&str>) -> Result<Vec<Self>> {
        let mut parsed: Vec<_> = outputs.iter().map(|output| Self::parse_one(output)).collect::<Result<_>>()?;
        if parsed.is_empty() || format.is_some() {
            parsed.push(Self { format: format.unwrap_or("table").parse()?, file: None });
        }
        Ok(parsed)
    }

    /// `[FORMAT=]FILE`; what is before the sign is part of the name where it is no format. `-` is standard output.
    fn parse_one(text: &str) -> Result<Self> {
        let named = text.split_once('=').filter(|(format, _)| format::ALL.iter().any(|known| known.id == *format));
        let (format, file) = named.map_or((None, text), |(format, file)| (Some(format), file));
        if file == "-" {
            return Ok(Self { format: format.unwrap_or("table").parse()?, file: None });
        }
        if file.is_empty() {
            return Err(Error::new(Kind::InvalidInput, "an output without a file")
                .with("output", text)
                .with_hint("write it as FORMAT=FILE"));
        }
        // Not after a long scan whose report would be lost.
        let format = format_of(format, Path::new(file))?;
        check_file(Path::new(file))?;
        Ok(Self { format, file: Some(file.into()) })
    }

    /// Writes the reports.
    pub(crate) fn write(&self, reports: &[Report]) -> Result<()> {
        match &self.file {
            Some(file) => write_file(reports, self.format, file),
            None => {
                let mut out = Patient(io::stdout().lock());
                self.format.write(reports, &mut out)?;
                out.flush().map_err(unwritten)
            }
        }
    }
}

/// Standard output. Whoever closes it, as `head` does, has seen enough: that is no failure.
struct Patient<W>(W);

impl<W: Write> Write for Patient<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(bytes.len()),
            done => done,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0.flush() {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            done => done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_outputs() {
        let read = |outputs: &[&str], format| {
            let outputs: Vec<_> = outputs.iter().map(|text| (*text).to_owned()).collect();
            let parsed = Output::parse(&outputs, format)?;
            Ok::<_, Error>(parsed.into_iter().map(|output| (output.format.id, output.file)).collect::<Vec<_>>())
        };
        assert_eq!(read(&[], None).unwrap(), [("table", None)]);
        assert_eq!(read(&[], Some("json")).unwrap(), [("json", None)]);
        assert_eq!(read(&["a.json"], None).unwrap(), [("json", Some("a.json".into()))]);
        assert_eq!(
            read(&["table=a.json", "json=-"], Some("table")).unwrap(),
            [("table", Some("a.json".into())), ("json", None), ("table", None)]
        );
        assert_eq!(read(&["a=b.json"], None).unwrap(), [("json", Some("a=b.json".into()))]);
        for wrong in ["report", "json=", ""] {
            assert_eq!(read(&[wrong], None).unwrap_err().kind(), Kind::InvalidInput, "{wrong}");
        }
    }
}
