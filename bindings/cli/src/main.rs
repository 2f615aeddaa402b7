//! `tidewaiter`, the command line: the facade with words, progress bars and exit codes.
// The one crate that may print.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod allocator;
mod commands;
mod connection;
mod console;
mod interrupt;
mod journal;
mod output;
mod progress;
mod selection;
mod spoken;
mod state;
mod table;
mod told;
mod words;

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::fmt::format::FmtSpan;

use crate::console::Exit;

/// Scans container images straight from a registry: what is in them, and which advisories concern it.
///
/// No container runtime, no temporary files, and at most 64 MiB of memory unless you allow more.
#[derive(Parser)]
#[command(name = "tidewaiter", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str =
    "Exit codes: 0 done; 1 a limit such as --fail-on was met; 2 an error; 3 with --fail-on: not met, but packages or \
advisories may be missing, as the problems in the report say; 130 canceled. A job whose images could not all be scanned is done: its result names them.

TIDEWAITER_LOG=debug shows what happens inside, on standard error.";

#[derive(Subcommand)]
enum Command {
    Scan(Box<commands::scan::Scan>),
    Convert(commands::convert::Convert),
    Check(Box<commands::check::Check>),
    List(Box<commands::list::List>),
    Explain(Box<commands::list::Explain>),
    #[command(subcommand)]
    Registry(commands::registry::Registry),
    #[command(subcommand)]
    Job(commands::job::Job),
    Worker(commands::worker::Worker),
    Inventory(commands::inventory::Inventory),
    #[command(subcommand)]
    Store(commands::store::Store),
    #[command(subcommand)]
    Advisories(commands::advisories::Advisories),
    #[command(subcommand)]
    Schedule(commands::schedule::Schedule),
}

fn main() -> ExitCode {
    allocator::keep_thresholds();
    let arguments = Arguments::parse();
    log();
    let cancel = interrupt::cancel_on_signals();
    let done = match arguments.command {
        Command::Scan(scan) => scan.run(&cancel),
        Command::Convert(convert) => convert.run(),
        Command::Check(check) => check.run(&cancel),
        Command::List(list) => list.run(&cancel),
        Command::Explain(explain) => explain.run(&cancel),
        Command::Registry(registry) => registry.run(&cancel),
        Command::Job(job) => job.run(&cancel),
        Command::Worker(worker) => worker.run(&cancel),
        Command::Inventory(inventory) => inventory.run(&cancel),
        Command::Store(store) => store.run(&cancel),
        Command::Advisories(advisories) => advisories.run(&cancel),
        Command::Schedule(schedule) => schedule.run(),
    };
    match done {
        Ok(exit) => exit.into(),
        Err(_) if cancel.is_canceled() => {
            eprintln!("canceled");
            Exit::Canceled.into()
        }
        Err(error) => {
            console::show(&error);
            Exit::Error.into()
        }
    }
}

/// Shows what the library traces, when asked to.
fn log() {
    let Ok(mut filter) = std::env::var("TIDEWAITER_LOG") else { return };
    if filter.chars().all(|letter| letter.is_ascii_alphanumeric()) {
        // A level alone is that of our own parts: what libraries say besides would hide it.
        filter = format!("off,tidewaiter={filter}");
    }
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
        .with_span_events(FmtSpan::CLOSE)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use tidewaiter_facade::operations;

    use super::Arguments;

    #[test]
    fn the_definition_holds_together() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn has_every_operation() {
        for operation in operations::ALL {
            assert!(!operation.shell.is_empty(), "{} has no word on the command line", operation.name);
            for (words, shown) in operation.shell {
                let mut command = Arguments::command();
                for word in *words {
                    let inner = command.find_subcommand(word);
                    command = inner.unwrap_or_else(|| panic!("{}: there is no command {word}", operation.name)).clone();
                }
                let help = command.render_long_help().to_string();
                assert!(help.contains(shown), "{}: the help of {words:?} lacks {shown}", operation.name);
            }
        }
    }
}
