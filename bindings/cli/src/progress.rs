//! Progress bars on a terminal's standard error; nothing anywhere else.

use std::collections::HashMap;
use std::io::{self, IsTerminal};
use std::ops::ControlFlow;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tidewaiter::model::event::Event;
use tidewaiter::{Error, Kind};
use tidewaiter_facade::Observer;

use crate::console::{self, printable};

/// One bar for what is going on now.
pub(crate) struct Progress {
    bar: ProgressBar,
    /// Bytes of each layer so far, and in all.
    layers: HashMap<String, (u64, u64)>,
    done: usize,
    /// Images of runs so far, and in all; where there are any, single layers are not shown.
    images: Option<(u64, u64)>,
    /// What was noticed last: several that wait for one thing all say so.
    noticed: String,
    /// Repositories that could not be listed.
    failed: Vec<String>,
}

impl Progress {
    /// A bar, where somebody looks at it.
    pub(crate) fn new(quiet: bool) -> Self {
        let bar = if quiet || !io::stderr().is_terminal() {
            ProgressBar::hidden()
        } else {
            let bar = ProgressBar::new_spinner();
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        };
        Self { bar, layers: HashMap::new(), done: 0, images: None, noticed: String::new(), failed: Vec::new() }
    }

    /// Tells something beside what is written, and what to do about it.
    pub(crate) fn note(&self, message: &str, hint: &str) {
        self.suspend(|| console::tell("note", message, Some(hint)));
    }

    /// Whether an error is about repositories alone of which each was told.
    pub(crate) fn has_told(&self, error: &Error) -> bool {
        error.context().any(|(key, value)| match key {
            "repositories" => !self.failed.is_empty() && error.kind() != Kind::Canceled,
            "repository" => self.failed.iter().any(|failed| failed == value),
            _ => false,
        })
    }

    /// How many repositories could not be listed, and how many there were.
    pub(crate) fn repositories(&self) -> (usize, usize) {
        (self.failed.len(), self.failed.len() + self.done)
    }

    /// Writes something without the bar in the way.
    pub(crate) fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }

    fn style(&self, template: &str) {
        // A template that is wrong leaves the bar as it was.
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style.progress_chars("=> "));
        }
    }

    fn show_layers(&self) {
        let (bytes, total) =
            self.layers.values().fold((0, 0), |(bytes, total), (done, all)| (bytes + done, total + all.max(done)));
        self.bar.set_length(total);
        self.bar.set_position(bytes);
        self.bar.set_message(format!("{}/{} layers", self.done, self.layers.len()));
    }
}

impl Progress {
    fn show_images(&mut self, images: (u64, u64)) {
        self.images = Some(images);
        self.style("{msg:14} [{bar:30}] {pos} of {len}");
        self.bar.set_message("images");
        self.bar.set_length(images.1.max(images.0));
        self.bar.set_position(images.0);
    }
}

impl Observer for Progress {
    fn event(&mut self, event: &Event) -> ControlFlow<()> {
        match event {
            Event::RunBegun { .. } => self.show_images(self.images.unwrap_or_default()),
            Event::RunPlanned { items, .. } => {
                let (done, all) = self.images.unwrap_or_default();
                self.show_images((done, all + items));
            }
            Event::ImageCommitted { .. } => {
                let (done, all) = self.images.unwrap_or_default();
                self.show_images((done + 1, all));
            }
            Event::RematchProgress { images } => {
                self.style("{spinner} {msg}");
                self.bar.set_message(format!("{images} images"));
            }
            Event::ImageResolved { .. } | Event::LayerProgress { .. } | Event::LayerDone { .. }
                if self.images.is_some() => {}
            Event::ImageResolved { layers, .. } => {
                self.done = 0;
                self.layers =
                    layers.iter().map(|(digest, size)| (digest.to_string(), (0, size.unwrap_or(0)))).collect();
                self.style("{msg:14} [{bar:30}] {bytes} of {total_bytes}  {bytes_per_sec}");
                self.show_layers();
            }
            Event::LayerProgress { digest, bytes, total } => {
                let layer = self.layers.entry(digest.to_string()).or_default();
                *layer = (*bytes, total.unwrap_or(layer.1));
                self.show_layers();
            }
            Event::LayerDone { digest, .. } => {
                let layer = self.layers.entry(digest.to_string()).or_default();
                layer.0 = layer.1;
                self.done += 1;
                self.show_layers();
            }
            Event::AdvisoriesProgress { ecosystem, done, total } => {
                self.style("advisories: {msg:14} {wide_bar} {human_pos} of {human_len}");
                self.bar.set_message(ecosystem.clone());
                self.bar.set_length(total.unwrap_or(*done));
                self.bar.set_position(*done);
            }
            Event::RepositoryListed { repository, .. } => {
                self.done += 1;
                self.bar.set_message(format!("{} repositories, {}", self.done, printable(repository)));
            }
            Event::RepositoryFailed { repository, message } => {
                self.failed.push(repository.clone());
                self.bar.suspend(|| console::tell(repository, message, None));
            }
            Event::Notice { message, hint } if *message != self.noticed => {
                self.noticed.clone_from(message);
                self.note(message, hint);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
