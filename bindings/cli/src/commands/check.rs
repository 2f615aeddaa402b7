//! `tidewaiter check`.

use clap::Args;
use tidewaiter::{Cancel, Result};
use tidewaiter_facade::{CheckOptions, Config, Scanner};

use crate::connection::Connection;
use crate::console::{Exit, printable};
use crate::output::{self, Format};
use crate::progress::Progress;
use crate::spoken::in_options;
use crate::state::Place;

/// Check the connection to a registry, step by step
///
/// Does its name resolve, does its certificate hold, does it speak the protocol, does it take the credential, may
/// images be listed and pulled? A step that fails says why, and what to do.
#[derive(Args)]
pub(crate) struct Check {
    /// The registry: host, host:port, a URL, or the name of a saved one; not needed where --kind and its fields say it
    #[arg(value_name = "REGISTRY|NAME", required_unless_present = "kind")]
    registry: Option<String>,
    /// Check also whether this repository may be pulled
    #[arg(long, value_name = "REPOSITORY")]
    repository: Option<String>,
    /// Give up after so many seconds, whatever is still to be checked
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<f64>,
    /// What is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "table")]
    format: Format,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    connection: Connection,
}

impl Check {
    pub(crate) fn run(self, cancel: &Cancel) -> Result<Exit> {
        let (registries, store) = (self.connection.registries(), self.place.store());
        let scanner = Scanner::open(Config { cache: None, offline: true, registries, store, ..Config::default() })?;
        let registry = self.connection.meant(self.registry.as_deref())?;
        let options = CheckOptions { repository: self.repository, timeout: self.timeout };
        let mut check = scanner.check(registry, options, cancel)?.wait(&mut Progress::new(self.quiet))?;
        for step in &mut check.steps {
            step.detail = in_options(&step.detail).into_owned();
            step.hint = step.hint.take().map(|hint| in_options(&hint).into_owned());
        }
        match self.format {
            Format::Json => output::print_json(&check)?,
            Format::Table => {
                let mut text = String::new();
                for step in &check.steps {
                    let mark = match step.ok {
                        Some(true) => "ok",
                        Some(false) => "no",
                        None => "-",
                    };
                    text.push_str(&format!("{mark:<4}{:<14}{}\n", step.step.to_string(), printable(&step.detail)));
                    if let Some(hint) = &step.hint {
                        text.push_str(&format!("    {:<14}{}\n", "", printable(hint)));
                    }
                }
                output::print(text.as_bytes())?;
            }
        }
        Ok(if check.is_ok() { Exit::Done } else { Exit::Error })
    }
}
