//! What a connector is: it answers what is in a registry. Bytes are pulled by `source`, everywhere in the same way.

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use jiff::Timestamp;

use crate::context::Context;
use crate::error::Result;
use crate::model::record::{DateSource, ImageRecord};
use crate::select::{Naming, Patterns, aql};

/// What a connector can do, which decides what its conformance suite asks of it and what a user is told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Whether the repositories can be listed; else they have to be named.
    pub repositories: bool,
    /// The best date that an image has here. [`DateSource::Built`] costs a manifest and a config per image.
    pub dates: DateSource,
    /// Whether images without a tag are listed too.
    pub untagged: bool,
}

impl Capabilities {
    /// Repositories, tags, and the dates of the builds: what Docker V2 has.
    pub fn new() -> Self {
        Self { repositories: true, dates: DateSource::Built, untagged: false }
    }

    /// The same with another best date.
    #[must_use]
    pub fn with_dates(self, dates: DateSource) -> Self {
        Self { dates, ..self }
    }

    /// The same for a registry whose repositories have to be named.
    #[must_use]
    pub fn without_repositories(self) -> Self {
        Self { repositories: false, ..self }
    }
}

impl Default for Capabilities {
    fn default() -> Self {
        Self::new()
    }
}

/// What a listing is for. A connector may leave out what is not asked for; the selection is decided again over what comes, so
/// that an image too many does no harm and one too few does.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Wanted {
    /// Whether the dates of images matter. Without, none is looked up that costs a request of its own.
    pub dates: bool,
    /// Images whose date is before this are of no use. An image that is given must still have all its tags.
    pub since: Option<Timestamp>,
    /// Images without a tag that matches are of no use, but for those without any tag. An image that is given must still have all
    /// its tags, as its date is that of the latest.
    pub tags: Patterns,
    /// Criteria of the user's own: of these nothing is left to others. What does not meet them does not exist for this listing.
    /// Set only where the connector's [`Naming`] says that it understands AQL.
    pub criteria: Option<aql::Query>,
}

impl Wanted {
    /// Everything, with dates.
    pub fn with_dates() -> Self {
        Self { dates: true, ..Self::default() }
    }
}

/// Answers what is in one registry.
///
/// To write one of your own, implement it over whatever the registry offers, run `conformance::connector::suite` over it, and give it
/// to [`ScannerBuilder::connector`](crate::ScannerBuilder::connector) for the host of the registry.
pub trait Connector: Send + Sync {
    /// What it can do.
    fn capabilities(&self) -> Capabilities {
        Capabilities::new()
    }

    /// The path between the host and the repository in a reference, such as a project: without slashes at its ends.
    fn prefix(&self) -> &str {
        ""
    }

    /// How its repositories are named, seen from `host`: what a user may write for one.
    fn naming(&self, host: &str) -> Naming {
        match self.prefix() {
            "" => Naming::of_host(host),
            prefix => Naming::below(host, prefix),
        }
    }

    /// The repositories, page by page as they come, each once.
    fn repositories<'a>(&'a self, wanted: &'a Wanted, context: &'a Context) -> BoxStream<'a, Result<String>>;

    /// The images of a repository, one a digest with all its tags, an index as one.
    ///
    /// # Errors
    /// [`Kind::NotFound`](crate::Kind::NotFound) for a repository that does not exist, and whatever keeps its list from being complete.
    fn images<'a>(
        &'a self,
        repository: &'a str,
        wanted: &'a Wanted,
        context: &'a Context,
    ) -> BoxFuture<'a, Result<Vec<ImageRecord>>>;
}
