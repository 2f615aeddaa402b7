//! What every connector has to do, whatever registry is behind it.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt as _;

use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::model::digest::Digest;
use crate::model::record::{DateSource, ImageDate, ImageRecord};
use crate::model::reference::is_repository;
use crate::registry::connector::{Capabilities, Connector, Wanted};

/// What a registry holds, for the [`suite`] to compare with.
///
/// ```
/// use tidewaiter::conformance::connector::Holding;
/// use tidewaiter::model::{digest::Digest, record::ImageDate};
/// let holding = Holding::new().repository("team/empty").image("team/app", &Digest::of(b"1"), &["1.0", "latest"], ImageDate::none());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Holding(BTreeMap<String, BTreeMap<Digest, Image>>);

/// The tags and the date of an image.
type Image = (BTreeSet<String>, ImageDate);

impl Holding {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// A repository, without images so far.
    #[must_use]
    pub fn repository(mut self, name: &str) -> Self {
        self.0.entry(name.to_owned()).or_default();
        self
    }

    /// An image with its tags and the date that the registry says; [`ImageDate::none`] where it says none.
    #[must_use]
    pub fn image(mut self, repository: &str, digest: &Digest, tags: &[&str], date: ImageDate) -> Self {
        let tags = tags.iter().map(|&tag| tag.to_owned()).collect();
        self.0.entry(repository.to_owned()).or_default().insert(digest.clone(), (tags, date));
        self
    }

    /// The images of a repository that a connector with these capabilities lists.
    fn images(&self, repository: &str, capabilities: &Capabilities) -> BTreeMap<Digest, Image> {
        let images = self.0.get(repository).into_iter().flatten();
        let listed = images.filter(|(_, (tags, _))| capabilities.untagged || !tags.is_empty());
        listed.map(|(digest, image)| (digest.clone(), image.clone())).collect()
    }

    /// A time that some of the images are older than.
    fn middle(&self) -> Option<jiff::Timestamp> {
        let mut times: Vec<_> = self.0.values().flatten().filter_map(|(_, (_, date))| date.time).collect();
        times.sort_unstable();
        times.get(times.len() / 2).copied()
    }
}

/// The suite: `connector` answers over a registry that holds `holding` and nothing else.
///
/// By its [`Capabilities`]: repositories are complete and unique; images are complete, one a digest with all its tags, with the date
/// that the registry says and from no better source than promised; a window in time leaves out nothing that is in it; everything is
/// the same twice; an unknown repository is not found; a canceled call says so.
///
/// # Panics
/// Where it differs.
pub async fn suite(connector: &dyn Connector, holding: &Holding) {
    let capabilities = connector.capabilities();
    assert!(!connector.prefix().starts_with('/') && !connector.prefix().ends_with('/'), "slashes around the prefix");
    for wanted in [Wanted::default(), Wanted::with_dates()] {
        for _ in 0..2 {
            repositories(connector, &wanted, holding, &capabilities).await;
            for repository in holding.0.keys() {
                images(connector, repository, &wanted, holding, &capabilities).await;
            }
        }
    }
    if let Some(since) = holding.middle() {
        let wanted = Wanted { since: Some(since), ..Wanted::with_dates() };
        for repository in holding.0.keys() {
            images(connector, repository, &wanted, holding, &capabilities).await;
        }
    }
    unknown(connector).await;
    canceled(connector, holding, &capabilities).await;
}

async fn repositories(connector: &dyn Connector, wanted: &Wanted, holding: &Holding, capabilities: &Capabilities) {
    let context = Context::new();
    let answers: Vec<Result<String>> = connector.repositories(wanted, &context).collect().await;
    if !capabilities.repositories {
        let refused = answers.iter().any(Result::is_err);
        assert!(refused || answers.is_empty(), "repositories come although the connector says that it lists none");
        return;
    }
    let mut found = BTreeSet::new();
    for answer in answers {
        let name = answer.unwrap_or_else(|error| panic!("the repositories are not listed: {error:?}"));
        assert!(is_repository(&name), "{name:?} is not the name of a repository");
        assert!(found.insert(name.clone()), "{name} is listed twice");
    }
    let expected: BTreeSet<_> = holding.0.keys().cloned().collect();
    // Where no date is in the window a repository may be left out, and one without images always.
    let may_lack: BTreeSet<_> =
        expected.iter().filter(|name| holding.images(name, capabilities).is_empty()).cloned().collect();
    assert_eq!(found.union(&may_lack).collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>(), "repositories");
}

async fn images(
    connector: &dyn Connector,
    repository: &str,
    wanted: &Wanted,
    holding: &Holding,
    capabilities: &Capabilities,
) {
    let expected = holding.images(repository, capabilities);
    let records = match connector.images(repository, wanted, &Context::new()).await {
        // Many registries know a repository by its images only.
        Err(error) if error.kind() == Kind::NotFound && expected.is_empty() => return,
        answer => answer.unwrap_or_else(|error| panic!("the images of {repository} are not listed: {error:?}")),
    };
    let mut found = BTreeMap::new();
    for record in records {
        assert_eq!(record.repository, repository, "the repository of {record:?}");
        assert!(record.tags.is_sorted(), "the tags are not sorted: {record:?}");
        let tags: BTreeSet<_> = record.tags.iter().cloned().collect();
        assert_eq!(tags.len(), record.tags.len(), "a tag comes twice: {record:?}");
        let ImageRecord { digest, date, .. } = record;
        assert_eq!(date.time.is_none(), date.source == DateSource::None, "a date without a source in {repository}");
        assert!(date.source >= capabilities.dates, "{} is better than promised, in {repository}", date.source);
        let before = found.insert(digest.clone(), (tags, date));
        assert!(before.is_none(), "{digest} is listed twice in {repository}");
    }
    for (digest, (tags, date)) in &expected {
        let is_in_window = wanted.since.is_none_or(|since| date.time.is_none_or(|time| time >= since));
        match found.remove(digest) {
            Some((found_tags, found_date)) => {
                assert_eq!(&found_tags, tags, "the tags of {digest} in {repository}");
                assert!(!wanted.dates || found_date == *date, "{digest} in {repository}: {found_date}, and not {date}");
            }
            None => assert!(!is_in_window, "{digest} with {tags:?} is missing in {repository}"),
        }
    }
    assert!(found.is_empty(), "{repository} has no such images: {found:?}");
}

async fn unknown(connector: &dyn Connector) {
    let answer = connector.images("tidewaiter/not-there", &Wanted::with_dates(), &Context::new()).await;
    let error: Option<Error> = answer.err();
    assert_eq!(error.as_ref().map(Error::kind), Some(Kind::NotFound), "an unknown repository: {error:?}");
}

async fn canceled(connector: &dyn Connector, holding: &Holding, capabilities: &Capabilities) {
    let context = Context::new();
    context.canceller().cancel();
    let is_canceled = |error: Option<Error>, what: &str| {
        assert_eq!(error.as_ref().map(Error::kind), Some(Kind::Canceled), "{what}, canceled: {error:?}");
    };
    if capabilities.repositories {
        let wanted = Wanted::default();
        let first = connector.repositories(&wanted, &context).next().await;
        is_canceled(first.and_then(Result::err), "repositories");
    }
    if let Some(repository) = holding.0.keys().next() {
        is_canceled(connector.images(repository, &Wanted::with_dates(), &context).await.err(), "images");
    }
}
