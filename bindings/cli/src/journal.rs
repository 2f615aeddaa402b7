//! What a worker does, a line for each event: nobody sits before it, and its log is all that there is to read afterwards.

use std::ops::ControlFlow;

use jiff::Timestamp;
use tidewaiter::job::State;
use tidewaiter::model::event::Event;
use tidewaiter_facade::{Observer, event_to_json};

use crate::console::printable;
use crate::output::{self, Format};
use crate::progress::Progress;
use crate::table;

/// Lines on standard error, or JSON on standard output, beside the bar of a terminal.
pub(crate) struct Journal {
    progress: Progress,
    format: Format,
    quiet: bool,
    has_failed: bool,
}

impl Journal {
    /// One that is empty; a quiet one shows no lines, but JSON where that is asked for.
    pub(crate) fn new(format: Format, quiet: bool) -> Self {
        Self { progress: Progress::new(quiet || format == Format::Json), format, quiet, has_failed: false }
    }

    /// Whether a run ended in `Error`.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// Tells something with the time.
    pub(crate) fn tell(&self, text: &str) {
        if !self.quiet && self.format == Format::Table {
            let now = table::time(Some(Timestamp::now()));
            self.progress.suspend(|| eprintln!("{now} {}", printable(text)));
        }
    }
}

impl Observer for Journal {
    fn event(&mut self, event: &Event) -> ControlFlow<()> {
        if matches!(event, Event::RunEnded { state, .. } if *state == State::Error.as_str()) {
            self.has_failed = true;
        }
        let is_told = matches!(
            event,
            Event::RunBegun { .. } | Event::RunPlanned { .. } | Event::RunEnded { .. } | Event::ImageCommitted { .. }
        );
        if self.format == Format::Json && is_told {
            // A reader who has gone away ends no worker.
            let _ = output::json_line(&event_to_json(event)).and_then(|line| output::print(line.as_bytes()));
        }
        if let Some(line) = line(event) {
            self.tell(&line);
        }
        self.progress.event(event)
    }
}

/// An event as a line, where it is worth one.
fn line(event: &Event) -> Option<String> {
    Some(match event {
        Event::RunBegun { job, run } => format!("{job}: run {run} begins"),
        Event::RunPlanned { job, run, listed, selected, items } => {
            format!("{job}: run {run} listed {listed} images, {selected} selected, {items} to look at")
        }
        Event::ImageCommitted { registry, repository, digest, outcome: "failed", error } => {
            format!("{registry}/{repository}@{digest} failed: {}", error.as_deref().unwrap_or_default())
        }
        Event::RunEnded {
            job,
            run,
            state,
            scanned,
            rematched,
            failed,
            incomplete,
            new_findings,
            fixed_findings,
            error,
            ..
        } => {
            let mut text = format!(
                "{job}: run {run} {state}: {scanned} scanned, {rematched} taken again, {failed} failed, {incomplete} incomplete, \
                 {new_findings} new findings, {fixed_findings} fixed"
            );
            if let Some(error) = error {
                text.push_str(&format!("; {error}"));
            }
            text
        }
        _ => return None,
    })
}
