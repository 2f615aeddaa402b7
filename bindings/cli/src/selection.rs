//! The options that choose images of a registry.

use clap::Args;
use serde_json::{Map, Value, json};
use tidewaiter::Result;
use tidewaiter::select::Selection;
use tidewaiter_facade::from_json;

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

impl Options {
    /// The selection, in the shape that every language has.
    pub(crate) fn selection(&self) -> Result<Selection> {
        from_json(&Value::Object(self.given()).to_string(), "the selection")
    }

    /// The time zone.
    pub(crate) fn zone(&self) -> Option<&str> {
        self.zone.as_deref()
    }

    /// The fields of a selection that were given.
    pub(crate) fn given(&self) -> Map<String, Value> {
        let lists = [
            ("repositories", &self.repositories),
            ("tags", &self.tags),
            ("exclude_repositories", &self.exclude_repositories),
            ("exclude_tags", &self.exclude_tags),
            ("platforms", &self.platforms),
        ];
        let texts = [("pushed", &self.pushed), ("zone", &self.zone), ("undated", &self.undated), ("aql", &self.aql)];
        let numbers = [("newest", self.newest), ("cap", self.cap)];
        let mut fields = Map::new();
        fields.extend(
            lists.into_iter().filter(|(_, list)| !list.is_empty()).map(|(name, list)| (name.to_owned(), json!(list))),
        );
        fields.extend(texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), json!(text.as_ref()?)))));
        fields.extend(numbers.into_iter().filter_map(|(name, number)| Some((name.to_owned(), json!(number?)))));
        fields
    }
}
