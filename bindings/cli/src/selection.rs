//! The options that choose images of a registry.

use clap::Args;
use tidewaiter::select::{Pushed, Selection};
use tidewaiter::{Error, Kind, Result};

/// Which images are meant; without any of these, all.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Selection")]
pub(crate) struct Options {
    /// Repositories: NAME, 'start*', '*end', '*part*', glob:..., regex:...
    #[arg(long = "repo", value_name = "PATTERN")]
    repositories: Vec<String>,
    /// Tags, in the same forms
    #[arg(long = "tag", value_name = "PATTERN")]
    tags: Vec<String>,
    /// Repositories that are not meant
    #[arg(long = "exclude-repo", value_name = "PATTERN")]
    exclude_repositories: Vec<String>,
    /// Tags that are not meant
    #[arg(long = "exclude-tag", value_name = "PATTERN")]
    exclude_tags: Vec<String>,
    /// When they were pushed: all, today, yesterday, last-7-days, last-14-days, last-30-days, a number of days, or FROM..TO
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    pushed: Option<String>,
    /// The time zone of today, yesterday and of dates, and of a schedule (IANA name) [default: UTC]
    #[arg(long)]
    zone: Option<String>,
    /// What --pushed does where the registry has no date of pushing: built goes by the date of the build, include keeps, exclude drops
    #[arg(long, value_name = "built|include|exclude")]
    undated: Option<String>,
    /// At most so many images of each repository, the newest
    #[arg(long, value_name = "N")]
    newest: Option<u64>,
    /// At most so many images in all
    #[arg(long, value_name = "N")]
    cap: Option<u64>,
    /// A query of Artifactory: items.find({...})
    #[arg(long, value_name = "TEXT")]
    aql: Option<String>,
    /// Images of these platforms (os/architecture) [default: all]
    #[arg(long = "platform", value_name = "PLATFORM")]
    platforms: Vec<String>,
}

/// An option that would do nothing.
fn useless(option: &'static str) -> Error {
    Error::new(Kind::InvalidInput, "there is no date filter that the option would belong to")
        .with("option", option)
        .with_hint("add --pushed, or leave the option out")
}

impl Options {
    /// The selection that was given.
    pub(crate) fn selection(&self) -> Result<Selection> {
        let selection = self.change(Selection::new())?;
        if self.zone.is_some() && selection.pushed == Pushed::all() {
            return Err(useless("--zone"));
        }
        Ok(selection)
    }

    /// The time zone.
    pub(crate) fn zone(&self) -> Option<&str> {
        self.zone.as_deref()
    }

    /// A selection with what was given instead. Patterns are read once it is known what registry they are for.
    pub(crate) fn change(&self, mut selection: Selection) -> Result<Selection> {
        let Self { repositories, tags, exclude_repositories, exclude_tags, platforms, .. } = self;
        for (given, field) in [
            (repositories, &mut selection.repositories),
            (tags, &mut selection.tags),
            (exclude_repositories, &mut selection.exclude_repositories),
            (exclude_tags, &mut selection.exclude_tags),
            (platforms, &mut selection.platforms),
        ] {
            if !given.is_empty() {
                field.clone_from(given);
            }
        }
        if let Some(pushed) = &self.pushed {
            selection.pushed = pushed.parse().map_err(|error: Error| error.with("field", "pushed"))?;
        }
        if let Some(zone) = &self.zone {
            selection = selection.zone(zone)?;
        }
        if let Some(undated) = &self.undated {
            selection.undated = undated.parse()?;
            if selection.pushed == Pushed::all() {
                return Err(useless("--undated"));
            }
        }
        if let Some(newest) = self.newest {
            selection = selection.newest(newest)?;
        }
        if let Some(cap) = self.cap {
            selection = selection.cap(cap)?;
        }
        if self.aql.is_some() {
            selection.aql.clone_from(&self.aql);
        }
        Ok(selection)
    }
}
