//! `tidewaiter inventory`.

use clap::{Args, Subcommand};
use tidewaiter::model::severity::Rating;
use tidewaiter::store::{Change, InventoryFilter, InventoryRow, RegistrySummary};
use tidewaiter::{Cancel, Result};
use tidewaiter_facade::{ChangesFilter, Item, Listing, RematchOptions, SummaryFilter};

use crate::console::{Exit, printable};
use crate::output::{self, Format, Output, severity};
use crate::progress::Progress;
use crate::state::{Means, State};
use crate::table;

/// Ask what is known of the images of all registries
///
/// Lists the images that were scanned and that their registry still has.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub(crate) struct Inventory {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    question: Question,
}

const EXAMPLES: &str = "Examples:
  tidewaiter inventory --severity critical
  tidewaiter inventory --advisory CVE-2021-44228 --registry prod
  tidewaiter inventory --summary";

#[derive(Args)]
struct Question {
    /// Only images of this registry
    #[arg(long, value_name = "NAME")]
    registry: Option<String>,
    /// Only images of these repositories: a path, or a pattern such as 'team/*'
    #[arg(long, value_name = "PATTERN")]
    repository: Option<String>,
    /// Only images with a finding that is at least so severe
    #[arg(long, value_name = "SEVERITY", value_parser = severity())]
    severity: Option<Rating>,
    /// Only images with a finding of this id, its aliases, or what it bundles
    #[arg(long, value_name = "ID")]
    advisory: Option<String>,
    /// Only images with this package; a package URL without a version means every version
    #[arg(long, value_name = "PURL|NAME")]
    package: Option<String>,
    /// Only images with findings
    #[arg(long)]
    vulnerable: bool,
    /// Sum up each registry instead
    #[arg(long, conflicts_with_all = ["repository", "severity", "advisory", "package", "vulnerable"])]
    summary: bool,
    #[command(flatten)]
    state: State,
}

#[derive(Subcommand)]
enum Command {
    /// Show the stored reports of an image
    Show {
        /// REGISTRY/repository:tag or REGISTRY/repository@sha256:..., with the name of a saved registry, or its host
        #[arg(value_name = "REF")]
        reference: String,
        /// Write the report to a file instead; the format is named, or taken from the end of the name. Several times
        #[arg(long, short, value_name = "[FORMAT=]FILE")]
        output: Vec<String>,
        #[command(flatten)]
        state: State,
    },
    /// Hold the inventory against today's advisories, without the registry
    Rematch {
        /// Only images of this registry
        #[arg(long, value_name = "NAME")]
        registry: Option<String>,
        #[command(flatten)]
        state: State,
        #[command(flatten)]
        means: Means,
    },
    /// List the findings that came and went, the oldest first
    Changes {
        /// Only changes of this registry
        #[arg(long, value_name = "NAME")]
        registry: Option<String>,
        /// Only changes at or after this time (RFC 3339), or day, from its start in UTC
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        #[command(flatten)]
        state: State,
    },
}

impl Inventory {
    pub(crate) fn run(self, cancel: &Cancel) -> Result<Exit> {
        match self.command {
            None => self.question.run(cancel),
            Some(Command::Show { reference, output, state }) => {
                let format = match state.format {
                    Format::Json => Some("json"),
                    Format::Table if output.is_empty() => Some("table"),
                    Format::Table => None,
                };
                let outputs = Output::parse(&output, format)?;
                let reports = state.open()?.stored_reports(&reference, cancel)?.wait(&mut Progress::new(true))?;
                for output in outputs {
                    output.write(&reports)?;
                }
                Ok(Exit::Done)
            }
            Some(Command::Rematch { registry, state, means }) => {
                let pending = state.open_to_scan(&means)?.rematch(RematchOptions { registry }, cancel)?;
                let done = pending.wait(&mut Progress::new(state.quiet))?;
                match state.format {
                    Format::Json => output::print_json(&done)?,
                    Format::Table => output::print(
                        format!(
                            "{} images, {} changed: {} new findings, {} fixed\n",
                            done.images, done.changed, done.new, done.fixed
                        )
                        .as_bytes(),
                    )?,
                }
                Ok(Exit::Done)
            }
            Some(Command::Changes { registry, since, state }) => {
                let listing = state.open()?.changes(ChangesFilter { registry, since })?;
                lines(listing, "what is scanned first, and what did not change, is no change", &state, cancel)
            }
        }
    }
}

impl Question {
    fn run(self, cancel: &Cancel) -> Result<Exit> {
        let Self { registry, repository, severity, advisory, package, vulnerable, summary, state } = self;
        let scanner = state.open()?;
        if summary {
            let all = scanner.inventory_summary(SummaryFilter { registry }, cancel)?.wait(&mut Progress::new(true))?;
            return summaries(&all, state.format);
        }
        let filter = InventoryFilter { registry, repository, severity, advisory, package, vulnerable };
        let hint =
            "`tidewaiter inventory --summary` tells what is known of each registry, and `tidewaiter job run` scans";
        lines(scanner.inventory(filter)?, hint, &state, cancel)
    }
}

/// Writes a listing as it comes.
fn lines(listing: Listing, hint: &str, state: &State, cancel: &Cancel) -> Result<Exit> {
    let (mut progress, mut is_empty) = (Progress::new(true), true);
    while let Some(item) = listing.next(&mut progress, cancel)? {
        let line = match (state.format, &item) {
            (Format::Json, item) => output::json_line(item)?,
            (Format::Table, Item::Stored(row)) if is_empty => HEAD.to_owned() + &image(row),
            (Format::Table, Item::Stored(row)) => image(row),
            (Format::Table, Item::Changed(change)) => changed(change),
            // Those of other commands.
            (Format::Table, _) => String::new(),
        };
        output::print(line.as_bytes())?;
        is_empty = false;
    }
    if is_empty {
        progress.note("nothing is listed", hint);
    }
    Ok(Exit::Done)
}

/// The head of the images.
const HEAD: &str =
    "IMAGE                                            DIGEST              SCANNED              FINDINGS\n";

/// One image a line.
fn image(row: &InventoryRow) -> String {
    let tags = if row.tags.is_empty() { "-".to_owned() } else { row.tags.join(",") };
    let name = printable(&format!("{}/{}:{tags}", row.registry, row.repository));
    let digest = row.digest.as_str().get(..19).unwrap_or(row.digest.as_str());
    let incomplete = if row.complete { "" } else { " (incomplete)" };
    format!("{name:<48} {digest} {} {}{incomplete}\n", table::time(Some(row.scanned_at)), table::ratings(&row.findings))
}

/// What changed of one image: a line for it, and one a finding.
fn changed(change: &Change) -> String {
    let name = printable(&format!("{}/{}@{}", change.registry, change.repository, change.digest));
    let mut text = format!("{} {name} ({})\n", table::time(Some(change.time)), change.platform);
    for (mark, findings) in [("new", &change.new), ("fixed", &change.fixed)] {
        for finding in findings {
            let (id, package) = (printable(&finding.id), printable(&finding.package));
            text.push_str(&format!("  {mark:<6}{:<11}{id:<22}{package}\n", finding.rating.to_string()));
        }
    }
    text
}

fn summaries(all: &[RegistrySummary], format: Format) -> Result<Exit> {
    if format == Format::Json {
        for summary in all {
            output::print(output::json_line(summary)?.as_bytes())?;
        }
        return Ok(Exit::Done);
    }
    let rows: Vec<_> = all
        .iter()
        .map(|summary| {
            [
                summary.registry.clone(),
                summary.repositories.to_string(),
                summary.images.to_string(),
                summary.scanned.to_string(),
                summary.failed.to_string(),
                summary.incomplete.to_string(),
                summary.vulnerable.to_string(),
                table::ratings(&summary.vulnerable_by_severity),
                summary.gone.to_string(),
                table::time(summary.last_run),
                table::time(summary.next_run),
            ]
        })
        .collect();
    let head = [
        "REGISTRY",
        "REPOSITORIES",
        "IMAGES",
        "SCANNED",
        "FAILED",
        "INCOMPLETE",
        "VULNERABLE",
        "BY SEVERITY",
        "GONE",
        "LAST RUN",
        "NEXT RUN",
    ];
    output::print(table::columns(head, &rows).as_bytes())?;
    Ok(Exit::Done)
}
