//! `tidewaiter list` and `tidewaiter explain`.

use clap::Args;
use tidewaiter::select::Selection;
use tidewaiter::{Cancel, Result};
use tidewaiter_facade::{Config, Item, Listing, Named, Scanner};

use crate::connection::Connection;
use crate::console::{Exit, printable};
use crate::output::{self, Format};
use crate::progress::Progress;
use crate::selection;

/// List the images of a registry, with their dates and where each date comes from
///
/// Repository by repository, as each is complete. A repository that cannot be listed is told; the others go on, and the exit code
/// is then 2.
#[derive(Args)]
pub(crate) struct List {
    /// The registry: host, host:port, a URL, or a name of --registries
    #[arg(value_name = "REGISTRY|NAME")]
    registry: String,
    /// List repositories alone
    #[arg(long = "repositories")]
    names_only: bool,
    #[command(flatten)]
    line: Line,
}

/// Say of every image of a registry whether the selection chooses it, and why
#[derive(Args)]
pub(crate) struct Explain {
    /// The registry: host, host:port, a URL, or a name of --registries
    #[arg(value_name = "REGISTRY|NAME")]
    registry: String,
    #[command(flatten)]
    line: Line,
}

#[derive(Args)]
struct Line {
    /// What is written: json is one object a line
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "table")]
    format: Format,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    selection: selection::Options,
    #[command(flatten)]
    connection: Connection,
}

impl List {
    pub(crate) fn run(self, cancel: &Cancel) -> Result<Exit> {
        let names_only = self.names_only;
        self.line.run(&self.registry, cancel, |scanner, registry, selection| {
            if names_only { scanner.repositories(registry, selection) } else { scanner.images(registry, selection) }
        })
    }
}

impl Explain {
    pub(crate) fn run(self, cancel: &Cancel) -> Result<Exit> {
        self.line.run(&self.registry, cancel, Scanner::explain)
    }
}

impl Line {
    fn run(
        self,
        registry: &str,
        cancel: &Cancel,
        list: impl FnOnce(&Scanner, Named, Selection) -> Result<Listing>,
    ) -> Result<Exit> {
        let registries = self.connection.registries();
        let scanner = Scanner::open(Config { cache: None, offline: true, registries, ..Config::default() })?;
        let mut listing = list(&scanner, self.connection.named(registry)?, self.selection.selection()?)?;
        let mut progress = Progress::new(self.quiet);
        while let Some(item) = listing.next(&mut progress, cancel)? {
            let line = match self.format {
                Format::Json => output::json_line(&item)?,
                Format::Table => row(&item),
            };
            progress.suspend(|| output::print(line.as_bytes()))?;
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
    }
}
