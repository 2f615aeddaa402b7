//! `tidewaiter convert`.

use std::path::PathBuf;

use clap::Args;
use tidewaiter::Result;
use tidewaiter_facade::{read_report_file, read_reports};

use crate::console::Exit;
use crate::output::Output;

/// Write a report that was saved as JSON in another format
///
/// Nothing is scanned and nothing is matched again: what the report says is what is written.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Convert {
    /// What a scan wrote as JSON, of one image or of several; `-` is standard input
    #[arg(value_name = "REPORT.json")]
    report: PathBuf,
    /// What is written to standard output [default: table, or nothing with --output]
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Write to a file instead; the format is named, or taken from the end of the name. Several times
    #[arg(long, short, value_name = "[FORMAT=]FILE")]
    output: Vec<String>,
}

const EXAMPLES: &str = "Examples:
  tidewaiter convert report.json -o app.cdx.json -o app.spdx.json
  tidewaiter scan debian:12 --format json | tidewaiter convert - --format cyclonedx";

impl Convert {
    pub(crate) fn run(self) -> Result<Exit> {
        let outputs = Output::parse(&self.output, self.format.as_deref())?;
        let reports = match self.report.to_str() {
            Some("-") => read_reports(std::io::stdin().lock())?,
            _ => read_report_file(&self.report)?,
        };
        for output in outputs {
            output.write(&reports)?;
        }
        Ok(Exit::Done)
    }
}
