//! `tidewaiter list` and `tidewaiter explain`.

use clap::Args;
use tidewaiter::{Cancel, Result};
use tidewaiter_facade::{Config, Item, Listing, Scanner};

use crate::connection::Connection;
use crate::console::{Exit, printable};
use crate::output::{self, Format};
use crate::progress::Progress;
use crate::selection;
use crate::state::Place;

/// List the images of a registry, with their dates and where each date comes from
///
/// Repository by repository, as each is complete. A repository that cannot be listed is told; the others go on, and the exit code
/// is then 2.
#[derive(Args)]
pub(crate) struct List {
    /// The registry: host, host:port, a URL, or the name of a saved one; not needed where --kind and its fields say it
    #[arg(value_name = "REGISTRY|NAME", required_unless_present = "kind")]
    registry: Option<String>,
    /// List repositories alone, chosen by their names
    #[arg(long = "repositories", conflicts_with_all = OF_IMAGES)]
    names_only: bool,
    #[command(flatten)]
    line: Line,
}

/// Say of every image of a registry whether the selection chooses it, and why
#[derive(Args)]
pub(crate) struct Explain {
    /// The registry: host, host:port, a URL, or the name of a saved one; not needed where --kind and its fields say it
    #[arg(value_name = "REGISTRY|NAME", required_unless_present_any = ["job", "kind"], conflicts_with = "job")]
    registry: Option<String>,
    /// Say what the next run of this job would do with each image, and why; all else is what was saved
    #[arg(long, value_name = "NAME", conflicts_with_all = SAVED_WITH_A_JOB)]
    job: Option<String>,
    #[command(flatten)]
    line: Line,
}

/// Options that choose among images, which a list of repositories does not look at.
const OF_IMAGES: [&str; 9] = ["tags", "exclude_tags", "pushed", "zone", "undated", "newest", "cap", "aql", "platforms"];

/// What a job knows already: its selection, how its registry is reached, and who asks.
const SAVED_WITH_A_JOB: [&str; 9] =
    ["Options", "Fields", "Identity", "kind", "plain_http", "ca", "client_cert", "client_key", "registries"];

#[derive(Args)]
struct Line {
    /// What is written: json is one object a line
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "table")]
    format: Format,
    /// Give up after so many seconds, whatever is still to be listed
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<f64>,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    selection: selection::Options,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    connection: Connection,
}

impl List {
    pub(crate) fn run(self, cancel: &Cancel) -> Result<Exit> {
        let names_only = self.names_only;
        let registry = self.line.connection.meant(self.registry.as_deref())?;
        let selection = self.line.selection.selection()?;
        self.line.run(cancel, |scanner| {
            if names_only { scanner.repositories(registry, selection) } else { scanner.images(registry, selection) }
        })
    }
}

impl Explain {
    pub(crate) fn run(self, cancel: &Cancel) -> Result<Exit> {
        if let Some(job) = &self.job {
            return self.line.run(cancel, |scanner| scanner.explain_job(job));
        }
        let registry = self.line.connection.meant(self.registry.as_deref())?;
        let selection = self.line.selection.selection()?;
        self.line.run(cancel, |scanner| scanner.explain(registry, selection))
    }
}

impl Line {
    fn run(self, cancel: &Cancel, list: impl FnOnce(&Scanner) -> Result<Listing>) -> Result<Exit> {
        let (registries, store) = (self.connection.registries(), self.place.store());
        let scanner = Scanner::open(Config { cache: None, offline: true, registries, store, ..Config::default() })?;
        let listing = list(&scanner)?.timeout(self.timeout)?;
        let (mut progress, mut is_empty) = (Progress::new(self.quiet), true);
        while let Some(item) = listing.next(&mut progress, cancel)? {
            let line = match self.format {
                Format::Json => output::json_line(&item)?,
                Format::Table => row(&item),
            };
            progress.suspend(|| output::print(line.as_bytes()))?;
            is_empty = false;
        }
        if is_empty {
            progress.note(
                "nothing is listed",
                "see with `explain` what the selection leaves out, and with `check` what the credential may do",
            );
        }
        Ok(Exit::Done)
    }
}

/// One line for people. Its columns are as wide as they need to be on most screens, since nothing waits for the widest.
fn row(item: &Item) -> String {
    match item {
        Item::Repository { repository } => format!("{}\n", printable(repository)),
        Item::Image(image) => {
            let record = &image.record;
            let tags = if record.tags.is_empty() { "-".to_owned() } else { record.tags.join(",") };
            let name = format!("{}:{tags}", record.repository);
            let digest = record.digest.as_str().get(..19).unwrap_or(record.digest.as_str());
            format!(
                "{:<48} {digest} {:<36} {} ({})\n",
                printable(&name),
                record.date.to_string(),
                image.verdict,
                image.reason
            )
        }
        // Those of other commands.
        Item::Stored(_) | Item::Changed(_) => String::new(),
    }
}
