//! The report of one image, as a handle: cheap to clone, read by accessors, never copied as a tree.

use std::borrow::Borrow;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use tidewaiter::format::{self, Format};
use tidewaiter::model;
use tidewaiter::{Error, Kind, Result};

/// The report of one image of one platform. What it says is read through the report of the library behind it.
#[derive(Clone, Debug)]
pub struct Report(Arc<model::report::Report>);

impl Report {
    /// The report as one document of JSON (schema `urn:tidewaiter:report:1`).
    ///
    /// # Errors
    /// [`Kind::Internal`].
    pub fn to_json(&self) -> Result<String> {
        let mut bytes = Vec::new();
        self.write(&format::json::FORMAT, &mut bytes)?;
        let mut text = String::from_utf8(bytes)
            .map_err(|error| Error::new(Kind::Internal, "a report is not UTF-8").because(error))?;
        text.truncate(text.trim_end().len());
        Ok(text)
    }

    /// Writes the report.
    ///
    /// # Errors
    /// The error of `output`.
    pub fn write(&self, format: &Format, output: &mut dyn Write) -> Result<()> {
        format.write(std::slice::from_ref(self), output)
    }

    /// Writes the report to a file in the format that is named, or that the end of the path says.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] without a format, [`Kind::Storage`] when the file cannot be written.
    pub fn write_file(&self, format: Option<&str>, path: &Path) -> Result<()> {
        write_file(std::slice::from_ref(self), format_of(format, path)?, path)
    }
}

impl From<model::report::Report> for Report {
    fn from(report: model::report::Report) -> Self {
        Self(Arc::new(report))
    }
}

impl Borrow<model::report::Report> for Report {
    fn borrow(&self) -> &model::report::Report {
        &self.0
    }
}

impl std::ops::Deref for Report {
    type Target = model::report::Report;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// Reads the reports that a file holds, as a scan writes them in JSON: one, or several one behind another.
///
/// # Errors
/// [`Kind::Unsupported`] for another schema, [`Kind::Corrupt`] for what is no report, [`Kind::NotFound`].
pub fn read_file(path: &Path) -> Result<Vec<Report>> {
    let file = File::open(path).map_err(Error::from);
    file.and_then(read).map_err(|error| error.with("path", path.display()))
}

/// The same of anything that can be read.
///
/// # Errors
/// As [`read_file`], or the error of `input`.
pub fn read(input: impl Read) -> Result<Vec<Report>> {
    Ok(format::read::read(input)?.into_iter().map(Report::from).collect())
}

/// The format that is named, else the one that the end of the path says.
///
/// # Errors
/// [`Kind::InvalidInput`] where there is none.
pub fn format_of(name: Option<&str>, path: &Path) -> Result<&'static Format> {
    if let Some(name) = name {
        return name.parse();
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Format::of_file(&name).ok_or_else(|| {
        let known: Vec<_> = format::ALL.iter().map(|format| format.id).collect();
        Error::new(Kind::InvalidInput, "the end of the name says no format")
            .with("path", path.display())
            .with_hint(format!("name the format: {}", known.join(", ")))
    })
}

/// Whether a report can be written to this file, as far as that can be known before there is one.
///
/// # Errors
/// [`Kind::InvalidInput`] for a folder, [`Kind::NotFound`] where its folder is not there.
pub fn check_file(path: &Path) -> Result<()> {
    let refuse = |kind, message: &'static str| Err(Error::new(kind, message).with("path", path.display()));
    if path.is_dir() {
        return refuse(Kind::InvalidInput, "the report cannot be written: this is a folder");
    }
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) if !folder.is_dir() => {
            refuse(Kind::NotFound, "the report cannot be written: the folder of the file is not there")
        }
        _ => Ok(()),
    }
}

/// Writes reports to one file.
///
/// # Errors
/// [`Kind::Storage`].
pub fn write_file(reports: &[Report], format: &Format, path: &Path) -> Result<()> {
    let failed = |error: Error| {
        Error::new(Kind::Storage, "the report cannot be written").with("path", path.display()).because(error)
    };
    let mut file = File::create(path).map_err(|error| failed(error.into()))?;
    format.write(reports, &mut file).map_err(failed)?;
    file.flush().map_err(|error| failed(error.into()))
}
