//! `tidewaiter scan`.

use std::path::{Path, PathBuf};

use clap::Args;
use tidewaiter::model::problem::ProblemKind;
use tidewaiter::model::severity::Rating;
use tidewaiter::{Cancel, Error, Kind, Result};
use tidewaiter_facade::{Config, Report, ScanOptions, Scanner, Silent, is_address, parse_platforms, paths};

use crate::connection::Connection;
use crate::console::Exit;
use crate::output::{Output, severity};
use crate::progress::Progress;
use crate::state::Place;

/// Scan one image: its packages, and the advisories that concern them
///
/// Reads the layers straight from the registry, or from a folder or an archive on disk, or what an SBOM lists. Ctrl-C ends it in order.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Scan {
    /// An image reference, or oci:DIR, oci-archive:FILE, docker-archive:FILE, sbom:FILE; a bare path begins with /, ./ or ../
    #[arg(value_name = "REF|PATH")]
    target: String,
    /// The advisory database, or a folder: with one called advisories.db, or with OSV exports and records, which are compiled
    /// once into the cache folder [default: in the user's data folder]
    #[arg(long, value_name = "DB|DIR")]
    advisories: Option<PathBuf>,
    /// Match with the database as it is: never fetch the advisories that it lacks
    #[arg(long)]
    offline: bool,
    /// The platform, such as linux/arm64; several times, or `all` [default: this machine's]
    #[arg(long = "platform", value_name = "OS/ARCH[/VARIANT]")]
    platforms: Vec<String>,
    /// What is written to standard output: table, json, or any other format of --output [default: table, or nothing with --output]
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Write the report to a file instead; the format is named (table, json, cyclonedx, spdx, sarif, gitlab, junit or markdown), or taken from
    /// the end of the name. Several times
    #[arg(long, short, value_name = "[FORMAT=]FILE")]
    output: Vec<String>,
    /// Read at most so many layers side by side
    #[arg(long, value_name = "N")]
    concurrency: Option<usize>,
    /// The ceiling of memory, 64 or more
    #[arg(long, value_name = "MIB", default_value_t = 64)]
    memory: u64,
    /// Read every layer anew, and keep nothing
    #[arg(long)]
    no_cache: bool,
    /// Exit with 1 when a finding is at least this severe
    #[arg(long, value_name = "SEVERITY", value_parser = severity())]
    fail_on: Option<Rating>,
    /// List findings of packages that a package of the distribution owns too
    #[arg(long)]
    include_owned: bool,
    /// Fetch foreign layers from where the manifest says, in the way in which the registry is reached, but without its credential
    #[arg(long)]
    foreign_layers: bool,
    /// Change a limit: entries, path, file, layer, expansion, nesting, packages, manifest, config or index. Several times
    #[arg(long = "limit", value_name = "NAME=N", value_parser = limit)]
    limits: Vec<(String, u64)>,
    /// Give up after so many seconds, whatever is still to be scanned
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<f64>,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
    /// Reach the registry of the image as the saved definition with this name says; an image without a host is in that registry
    #[arg(long, value_name = "NAME")]
    registry: Option<String>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    connection: Connection,
}

const EXAMPLES: &str = "Examples:
  tidewaiter scan debian:12
  tidewaiter scan registry.example:5000/team/app:1.0 --username alice --password-env PASSWORD --fail-on high
  tidewaiter scan oci-archive:app.tar -o report.json --format table
  tidewaiter scan \"$IMAGE\" -o app.sarif -o gl-container-scanning-report.json -o junit.xml -o summary.md";

impl Scan {
    pub(crate) fn run(self, cancel: &Cancel) -> Result<Exit> {
        let outputs = Output::parse(&self.output, self.format.as_deref())?;
        let mut config = Config {
            advisories: self.advisories,
            offline: self.offline,
            cache: if self.no_cache { None } else { paths::layers() },
            memory_mib: Some(self.memory),
            concurrency: self.concurrency,
            registries: self.connection.registries(),
            store: self.place.store(),
            ..Config::default()
        };
        config.limits.extend(self.limits);
        let scanner = Scanner::open(config)?;
        let options = ScanOptions {
            registry: Some(match self.registry {
                Some(name) => self.connection.saved(name)?,
                None => self.connection.registry(None)?.into(),
            }),
            platforms: parse_platforms(&self.platforms)?,
            foreign_layers: self.foreign_layers,
            include_owned: self.include_owned,
            timeout: self.timeout,
            ..ScanOptions::default()
        };
        let offline = self.offline;
        let reports = scanner
            .scan(&self.target, options, cancel)
            .and_then(|pending| pending.wait(&mut Progress::new(self.quiet)))
            .map_err(|error| meant(&scanner, &self.target, error))?;
        for output in outputs {
            output.write(&reports)?;
        }
        verdict(&reports, self.fail_on, offline)
    }
}

/// The error of a scan, with what may have been meant: a file, or an image of a saved registry.
fn meant(scanner: &Scanner, target: &str, error: Error) -> Error {
    if error.kind() == Kind::Canceled || target.starts_with(['/', '.']) {
        return error;
    }
    if Path::new(target).exists() {
        return error.with_hint(format!("there is a file of this name here: write ./{target}"));
    }
    let Some((name, image)) = target.split_once('/').filter(|(name, _)| !is_address(name)) else { return error };
    let is_saved = || {
        let cancel = Cancel::new();
        scanner.list_registries(&cancel)?.wait(&mut Silent).map(|all| all.iter().any(|saved| saved.name == name))
    };
    match is_saved() {
        Ok(true) => error.with_hint(format!("{name} is a saved registry: write {image} --registry {name}")),
        _ => error,
    }
}

/// How the command ends, after the reports are written.
fn verdict(reports: &[Report], fail_on: Option<Rating>, offline: bool) -> Result<Exit> {
    let Some(limit) = fail_on else { return Ok(Exit::Done) };
    let mut findings = reports.iter().flat_map(|report| &report.findings);
    if findings.any(|finding| finding.severity.rating.meets(limit)) {
        return Ok(Exit::Met);
    }
    let unmatched = |report: &Report| {
        report.provenance.advisories.is_none()
            && report.problems.iter().any(|problem| problem.kind == ProblemKind::NoAdvisories)
    };
    if let Some(report) = reports.iter().find(|report| unmatched(report)) {
        // The problem says how to get them, and why they could not be fetched.
        let problem = report.problems.iter().find(|problem| problem.kind == ProblemKind::NoAdvisories);
        let how = problem.map(|problem| problem.message.as_str()).unwrap_or_default();
        let hint = if offline { format!("{how}; or leave --offline away") } else { how.to_owned() };
        return Err(Error::new(Kind::NotFound, "there are no advisories to decide --fail-on with").with_hint(hint));
    }
    Ok(if reports.iter().all(|report| report.is_complete()) { Exit::Done } else { Exit::Incomplete })
}

fn limit(text: &str) -> Result<(String, u64), String> {
    let (name, value) = text.split_once('=').ok_or("a limit is written as NAME=N")?;
    Ok((name.to_owned(), value.parse().map_err(|_| format!("{value:?} is no number"))?))
}
