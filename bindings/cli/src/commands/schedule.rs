//! `tidewaiter schedule`.

use clap::{Args, Subcommand};
use tidewaiter::schedule::Definition;
use tidewaiter_facade::{NextOptions, next_runs};

use crate::console::Exit;
use crate::output::{self, Format};

/// Tell when schedules run
#[derive(Subcommand)]
pub(crate) enum Schedule {
    /// Tell when a schedule runs next
    Next(Next),
}

#[derive(Args)]
pub(crate) struct Next {
    #[command(flatten)]
    times: Times,
    /// Only runs after this time (RFC 3339) [default: now]
    #[arg(long, value_name = "TIME")]
    after: Option<String>,
    /// How many runs
    #[arg(long, value_name = "N", default_value = "1")]
    count: usize,
    /// What is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "table")]
    format: Format,
    /// Show no progress; there is none, so that it changes nothing
    #[arg(long, short)]
    quiet: bool,
}

/// The flags of a schedule.
#[derive(Args)]
pub(crate) struct Times {
    /// The interval in days, 1 to 365
    #[arg(long, value_name = "DAYS", value_parser = days)]
    every: u16,
    /// The start time of each day; only with --every 1
    #[arg(long, value_name = "HH:MM")]
    at: Option<String>,
    /// The day of the week, monday to sunday; only with --every 7
    #[arg(long, value_name = "DAY")]
    weekday: Option<String>,
    /// The time zone, such as Europe/Berlin [default: UTC]
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// What days are counted from, and the time of the runs where there is no --at (RFC 3339) [default: --after]
    #[arg(long, value_name = "TIME")]
    anchor: Option<String>,
}

/// A number of days; which are allowed is for the schedule to say.
pub(crate) fn days(text: &str) -> Result<u16, &'static str> {
    text.parse().map_err(|_| "an interval is a number of days from 1 to 365")
}

impl From<Times> for Definition {
    fn from(Times { every, at, weekday, zone, anchor }: Times) -> Self {
        Self { every, at, weekday, zone, anchor }
    }
}

impl Schedule {
    pub(crate) fn run(self) -> tidewaiter::Result<Exit> {
        let Self::Next(Next { times, after, count, format, quiet: _ }) = self;
        let runs = next_runs(Some(times.into()), &NextOptions { after, count: Some(count) })?;
        match format {
            Format::Json => output::print_json(&runs)?,
            Format::Table => output::print(runs.iter().flat_map(|run| [run, "\n"]).collect::<String>().as_bytes())?,
        }
        Ok(Exit::Done)
    }
}
