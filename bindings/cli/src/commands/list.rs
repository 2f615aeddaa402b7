//! `tidewaiter list` and `tidewaiter explain`.

use clap::Args;
use tidewaiter::select::Note;
use tidewaiter::{Cancel, Result};
use tidewaiter_facade::{Config, Item, Listing, Scanner};

use crate::connection::Connection;
use crate::console::{self, Exit, printable};
use crate::output::{self, Format};
use crate::progress::Progress;
use crate::selection;
use crate::state::Place;
use crate::table;

/// List the images of a registry, with their dates and where each date comes from
///
/// Repository by repository, as each is complete. A repository that cannot be listed is told; the others go on, and the exit code
/// is then 2.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
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

/// Say of the images in the repositories that a selection names which it chooses, and why
///
/// A repository that the selection does not name is not told of. A date that nobody had to ask for is unknown; none is one that the
/// registry does not have.
#[derive(Args)]
#[command(
    override_usage = "tidewaiter explain [OPTIONS] <REGISTRY|NAME>\n       tidewaiter explain [OPTIONS] --job <NAME>"
)]
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

const EXAMPLES: &str = "Examples:
  tidewaiter list localhost:5000 --plain-http
  tidewaiter list https://registry.example --repo 'team/*' --tag 'v*' --pushed last-7-days --username alice --password-env PASSWORD
  tidewaiter list prod --repositories";

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
    place: Place,
    // Groups with a heading of their own come last: it holds for all that follows.
    #[command(flatten)]
    selection: selection::Options,
    #[command(flatten)]
    connection: Connection,
}

impl List {
    pub(crate) fn run(self, cancel: &Cancel) -> Result<Exit> {
        let names_only = self.names_only;
        let registry = self.line.connection.meant(self.registry.as_deref())?;
        let selection = self.line.selection.selection()?;
        self.line.run(false, cancel, |scanner| {
            if names_only { scanner.repositories(registry, selection) } else { scanner.images(registry, selection) }
        })
    }
}

impl Explain {
    pub(crate) fn run(self, cancel: &Cancel) -> Result<Exit> {
        if let Some(job) = &self.job {
            return self.line.run(true, cancel, |scanner| scanner.explain_job(job));
        }
        let registry = self.line.connection.meant(self.registry.as_deref())?;
        let selection = self.line.selection.selection()?;
        self.line.run(true, cancel, |scanner| scanner.explain(registry, selection))
    }
}

impl Line {
    /// Writes what is listed; `why` says whether it is told why.
    fn run(self, why: bool, cancel: &Cancel, list: impl FnOnce(&Scanner) -> Result<Listing>) -> Result<Exit> {
        let (registries, store) = (self.connection.registries(), self.place.store());
        let scanner = Scanner::open(Config { cache: None, offline: true, registries, store, ..Config::default() })?;
        let listing = list(&scanner)?.timeout(self.timeout)?;
        let (mut progress, mut is_empty) = (Progress::new(self.quiet), true);
        let (mut names, mut by_build) = (0, 0_u64);
        loop {
            let item = match listing.next(&mut progress, cancel) {
                Ok(Some(item)) => item,
                Ok(None) => break,
                Err(error) if progress.has_told(&error) => {
                    let (failed, all) = progress.repositories();
                    let message = format!("{failed} of {} repositories could not be listed", all + names);
                    progress.suspend(|| console::tell("error", &message, error.hint()));
                    return Ok(Exit::Error);
                }
                Err(error) => return Err(error),
            };
            names += usize::from(matches!(&item, Item::Repository { .. }));
            by_build += u64::from(matches!(&item, Item::Image(image) if image.note == Some(Note::ByBuildDate)));
            let line = match self.format {
                Format::Json => output::json_line(&item)?,
                Format::Table if is_empty => head(&item, why) + &row(&item, why),
                Format::Table => row(&item, why),
            };
            progress.suspend(|| output::print(line.as_bytes()))?;
            is_empty = false;
        }
        if by_build > 0 {
            progress.note(
                &format!("the registry has no push date of {by_build} images: --pushed went by the date of their build"),
                "what was built earlier and pushed later is left out; --undated include keeps it, --undated exclude keeps none of these",
            );
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

/// The head of the columns; none for names alone, which are read by other programs as well.
fn head(item: &Item, why: bool) -> String {
    match item {
        Item::Image(_) if why => format!("{:<48} {:<19} {:<35} VERDICT (REASON)\n", "IMAGE", "DIGEST", "DATE (SOURCE)"),
        Item::Image(_) => format!("{:<48} {:<19} DATE (SOURCE)\n", "IMAGE", "DIGEST"),
        _ => String::new(),
    }
}

/// One line for people. Its columns are as wide as they need to be on most screens, since nothing waits for the widest.
fn row(item: &Item, why: bool) -> String {
    match item {
        Item::Repository { repository } => format!("{}\n", printable(repository)),
        Item::Image(image) => {
            let record = &image.record;
            let tags = if record.tags.is_empty() { "-".to_owned() } else { record.tags.join(",") };
            let name = format!("{}:{tags}", record.repository);
            let digest = record.digest.as_str().get(..19).unwrap_or(record.digest.as_str());
            let name = printable(&name);
            let date = match record.date.time {
                Some(time) => format!("{} ({})", table::time(Some(time)), record.date.source),
                None => record.date.source.to_string(),
            };
            if why {
                format!("{name:<48} {digest} {date:<35} {} ({})\n", image.verdict, image.reason)
            } else {
                format!("{name:<48} {digest} {date}\n")
            }
        }
        // Those of other commands.
        Item::Stored(_) | Item::Changed(_) => String::new(),
    }
}
