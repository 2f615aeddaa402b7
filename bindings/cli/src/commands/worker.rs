//! `tidewaiter worker`.

use clap::{Args, Subcommand};
use tidewaiter::store::Worker as Known;
use tidewaiter::{Cancel, Result};
use tidewaiter_facade::WorkOptions;

use crate::console::{Exit, printable};
use crate::journal::Journal;
use crate::output::{self, Format};
use crate::progress::Progress;
use crate::state::{Means, State};
use crate::table;

/// Run the jobs that are due, and look at the images of all runs
///
/// Any number of workers, on any number of machines, share the work of one PostgreSQL. SIGTERM and Ctrl-C end a worker: what it has
/// begun is given back, what is finished is kept. What runs begin, and how they end, is a line each on standard error, or with --format json
/// an object each on standard output. With --once the exit code is 2 where the registry of a run could not be listed.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Worker {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    work: Work,
}

#[derive(Subcommand)]
enum Command {
    /// Tell who is at work, and with what
    List {
        #[command(flatten)]
        state: State,
    },
}

#[derive(Args)]
struct Work {
    /// End when there is nothing left to do
    #[arg(long)]
    once: bool,
    /// Look at so many images at once [default: as many as memory allows]
    #[arg(long, value_name = "N")]
    concurrency: Option<usize>,
    /// Others take what this worker holds when it was not heard of for so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    lease: u64,
    #[command(flatten)]
    state: State,
    #[command(flatten)]
    means: Means,
}

impl Worker {
    pub(crate) fn run(self, cancel: &Cancel) -> Result<Exit> {
        if let Some(Command::List { state }) = self.command {
            return list(&state.open()?.list_workers(cancel)?.wait(&mut Progress::new(true))?, state.format);
        }
        let Work { once, concurrency, lease, state, means } = self.work;
        let options = WorkOptions { name: None, concurrency, lease, once };
        let scanner = state.open_to_scan(&means)?;
        let mut journal = Journal::new(state.format, state.quiet);
        journal.tell("the worker begins");
        scanner.work(options, cancel)?.wait(&mut journal)?;
        journal.tell("the worker ends");
        Ok(if once && journal.has_failed() { Exit::Error } else { Exit::Done })
    }
}

fn list(workers: &[Known], format: Format) -> Result<Exit> {
    if format == Format::Json {
        for worker in workers {
            output::print(output::json_line(worker)?.as_bytes())?;
        }
        return Ok(Exit::Done);
    }
    let rows: Vec<_> = workers
        .iter()
        .map(|worker| {
            let state = if worker.alive { "alive" } else { "lost" };
            [worker.worker.clone(), state.to_owned(), table::time(Some(worker.seen)), worker.holds.len().to_string()]
        })
        .collect();
    let mut text = table::columns(["WORKER", "STATE", "SEEN", "HOLDS"], &rows);
    for worker in workers {
        for holding in &worker.holds {
            let image = match (&holding.repository, &holding.digest) {
                (Some(repository), Some(digest)) => format!("{}@{digest}", printable(repository)),
                _ => "the plan".to_owned(),
            };
            let (worker, job) = (printable(&worker.worker), printable(&holding.job));
            let since = table::time(holding.since);
            text.push_str(&format!("{worker}: {image} of run {} of {job} since {since}\n", holding.run));
        }
    }
    output::print(text.as_bytes())?;
    Ok(Exit::Done)
}
