//! A registry, from its definition to the images that a selection chooses, as they become known.

use std::collections::HashSet;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::mpsc::{self, Sender};

use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::model::event::Event;
use crate::model::limits::Limits;
use crate::model::record::{DateSource, ImageDate, ImageRecord};
use crate::model::reference::ImageRef;
use crate::registry::{Connection, Connector, Registry, Wanted, vendor};
use crate::select::{self, Baseline, Decision, Near, Outside, Selection, Selector, Verdict};
use crate::source::remote::RemoteSource;
use crate::source::{Look, describe};

/// Repositories that are listed side by side. Their images wait until those before them were taken.
const REPOSITORIES: usize = 4;
/// Configurations that are read side by side, for the dates of a repository.
const CONFIGS: usize = 8;

/// An image of a registry, and what a selection says of it. As JSON a line of `list` and `explain`.
#[derive(Clone, Debug, Serialize)]
pub struct Listed {
    /// The image, the verdict and the reason.
    #[serde(flatten)]
    pub decision: Decision,
    /// What names it in a scan: the host, the path, the digest.
    pub reference: String,
}

impl std::ops::Deref for Listed {
    type Target = Decision;

    fn deref(&self) -> &Decision {
        &self.decision
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} · {} ({})", self.reference, self.record.date, self.verdict, self.reason)
    }
}

/// Which images a listing gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Show {
    /// Those that the selection chooses.
    Selected,
    /// All of the repositories that it names, with the reason of each.
    All,
}

/// The repositories that the selection names.
pub(super) fn repositories(
    registry: Registry,
    selection: Selection,
    context: Context,
) -> BoxStream<'static, Result<String>> {
    produce(context.clone(), move |sender| async move {
        let place = Place::open(&registry, &context).await?;
        let selector = place.selector(&selection)?;
        let (wanted, near) = (Wanted::default(), Mutex::new(selector.near()));
        let mut names = place.names(&selector, &wanted, &near, &context);
        let mut is_none = true;
        while let Some(name) = names.try_next().await? {
            is_none = false;
            if sender.send(Ok(name)).await.is_err() {
                return Ok(());
            }
        }
        if is_none { none_matches(&selector, &near) } else { Ok(()) }
    })
}

/// The images of a registry.
pub(super) fn images(
    registry: Registry,
    selection: Selection,
    show: Show,
    limits: Limits,
    context: Context,
) -> BoxStream<'static, Result<Listed>> {
    produce(context.clone(), move |sender| async move {
        let place = Place::open(&registry, &context).await?;
        let selector = place.selector(&selection)?;
        let now = Timestamp::now();
        Listing { place: &place, selector: &selector, show, limits: &limits, now, context: &context }.run(&sender).await
    })
}

/// A stream of what `work` sends, which runs ahead by one item, from the first poll on until the stream is dropped. Its error comes last.
fn produce<T, W, F>(context: Context, work: W) -> BoxStream<'static, Result<T>>
where
    T: Send + 'static,
    W: FnOnce(Sender<Result<T>>) -> F + Send + 'static,
    F: Future<Output = Result<()>> + Send + 'static,
{
    /// Work that ends with whoever waits for it.
    struct Task(tokio::task::JoinHandle<()>);
    impl Drop for Task {
        fn drop(&mut self) {
            self.0.abort();
        }
    }
    let start = async move {
        let (sender, receiver) = mpsc::channel(1);
        let task = Task(tokio::spawn(async move {
            let errors = sender.clone();
            if let Err(error) = context.run(work(sender)).await {
                let _ = errors.send(Err(error)).await;
            }
        }));
        stream::unfold((receiver, task), |(mut receiver, task)| async move {
            receiver.recv().await.map(|item| (item, (receiver, task)))
        })
    };
    stream::once(start).flatten().boxed()
}

/// A registry that is open.
struct Place {
    connection: Connection,
    connector: Arc<dyn Connector>,
    /// What stands in front of a repository in a reference: the host, and the path that the definition holds already.
    front: String,
    is_plain_http: bool,
}

impl Place {
    async fn open(registry: &Registry, context: &Context) -> Result<Self> {
        let connection = Connection::open(registry, None, context).await?;
        let connector = vendor::of(&registry.kind)?.connect(registry, connection.clone())?;
        let front = match connector.prefix() {
            "" => connection.host().to_owned(),
            prefix => format!("{}/{prefix}", connection.host()),
        };
        Ok(Self { connection, connector, front, is_plain_http: registry.base()?.scheme() == "http" })
    }

    /// The selection as it is meant here.
    fn selector(&self, selection: &Selection) -> Result<Selector> {
        selection.check(Timestamp::now())?;
        selection.on(&self.connector.naming(self.connection.host()))
    }

    /// The repositories that are meant; the registry is not asked where those are names alone.
    fn names<'a>(
        &'a self,
        selector: &'a Selector,
        wanted: &'a Wanted,
        near: &'a Mutex<Near>,
        context: &'a Context,
    ) -> BoxStream<'a, Result<String>> {
        if let Some(names) = selector.repositories().names() {
            let names: Vec<_> = names.into_iter().map(|name| Ok(name.to_owned())).collect();
            return stream::iter(names).boxed();
        }
        let names = self.connector.repositories(wanted, context);
        names
            .try_filter(|name| {
                let is_meant = selector.repositories().matches(name);
                if !is_meant {
                    near.lock().unwrap_or_else(PoisonError::into_inner).see(name);
                }
                std::future::ready(is_meant)
            })
            .boxed()
    }

    /// What names an image in a scan.
    fn reference(&self, record: &ImageRecord) -> String {
        format!("{}/{}@{}", self.front, record.repository, record.digest)
    }

    /// The image, to be looked at.
    fn source(&self, record: &ImageRecord, limits: &Limits) -> Result<RemoteSource> {
        let scheme = if self.is_plain_http { "http://" } else { "" };
        let image: ImageRef = format!("{scheme}{}", self.reference(record)).parse()?;
        Ok(RemoteSource::new(image, self.connection.clone(), limits))
    }
}

/// A selection that names repositories and matches none is a mistake; a registry without any is none.
fn none_matches(selector: &Selector, near: &Mutex<Near>) -> Result<()> {
    if selector.repositories().is_all() {
        return Ok(());
    }
    Err(near.lock().unwrap_or_else(PoisonError::into_inner).error())
}

/// Repositories that could not be listed.
#[derive(Default)]
struct Failed {
    count: usize,
    first: Option<Error>,
}

impl Failed {
    fn add(&mut self, error: Error) {
        self.count += 1;
        self.first.get_or_insert(error);
    }

    fn finish(self) -> Result<()> {
        match self.first {
            None => Ok(()),
            Some(first) if self.count == 1 => Err(first),
            Some(first) => Err(Error::new(first.kind(), format!("{} repositories could not be listed", self.count))
                .with_hint("the first is told; the others are events of the listing")
                .because(first)),
        }
    }
}

/// One listing of images.
struct Listing<'a> {
    place: &'a Place,
    selector: &'a Selector,
    show: Show,
    limits: &'a Limits,
    now: Timestamp,
    context: &'a Context,
}

/// The images of a repository, and what was found out about them.
struct Found {
    records: Vec<ImageRecord>,
    outside: Outside,
}

impl Listing<'_> {
    async fn run(&self, sender: &Sender<Result<Listed>>) -> Result<()> {
        let wanted = self.wanted()?;
        let (wanted, near) = (&wanted, Mutex::new(self.selector.near()));
        let names = self.place.names(self.selector, wanted, &near, self.context);
        let work = names.map_ok(|name| async move {
            let images = self.repository(&name, wanted).await;
            Ok((name, images))
        });
        let mut work = std::pin::pin!(work.try_buffered(REPOSITORIES));
        let (mut failed, mut count, mut is_none) = (Failed::default(), self.selector.count(), true);
        while let Some((name, images)) = work.try_next().await? {
            is_none = false;
            let Found { records, outside } = match images {
                Ok(found) => found,
                Err(error) if error.kind() == Kind::Canceled => return Err(error),
                Err(error) => {
                    let message = error.to_string();
                    self.context.emit(Event::RepositoryFailed { repository: name.clone(), message });
                    let is_told = error.context().any(|(key, _)| key == "repository");
                    failed.add(if is_told { error } else { error.with("repository", name) });
                    continue;
                }
            };
            self.context.emit(Event::RepositoryListed { repository: name, images: records.len() });
            let mut decisions = self.selector.decide_with(records, &outside, &Baseline::default(), self.now)?;
            count.apply(&mut decisions);
            for decision in decisions {
                if self.show == Show::Selected && decision.verdict == Verdict::Skip {
                    continue;
                }
                let reference = self.place.reference(&decision.record);
                if sender.send(Ok(Listed { decision, reference })).await.is_err() {
                    return Ok(());
                }
            }
            if self.show == Show::Selected && count.truncated().is_some() {
                break;
            }
        }
        if let Some(limit) = count.truncated() {
            self.context.emit(Event::Notice {
                message: format!("truncated at {limit}: the selection chooses more images"),
                hint: "raise the cap, or choose fewer".to_owned(),
            });
        }
        if is_none {
            none_matches(self.selector, &near)?;
        }
        failed.finish()
    }

    /// What the connector is asked for. A registry may leave out what is too old, or has other tags, only where nobody wants to know
    /// why; and by its own dates alone, so that it keeps the images without one.
    fn wanted(&self) -> Result<Wanted> {
        let wanted = Wanted { criteria: self.selector.aql().cloned(), ..Wanted::with_dates() };
        Ok(match self.show {
            Show::All => wanted,
            Show::Selected => {
                Wanted { since: self.selector.window(self.now)?.from, tags: self.selector.tags().clone(), ..wanted }
            }
        })
    }

    /// The images of a repository, with what the registry does not say of them and the selection asks for.
    async fn repository(&self, name: &str, wanted: &Wanted) -> Result<Found> {
        let connector = &self.place.connector;
        let mut records = connector.images(name, wanted, self.context).await?;
        let mut outside = Outside::default();
        if self.show == Show::All && wanted.criteria.is_some() {
            // The connector gives what meets the criteria; whoever wants to know why the others are missing sees them too.
            let mut others = connector.images(name, &Wanted::with_dates(), self.context).await?;
            let meant: HashSet<_> = records.iter().map(|record| &record.digest).collect();
            others.retain(|record| !meant.contains(&record.digest));
            outside.criteria.extend(others.iter().map(|record| record.digest.clone()));
            records.extend(others);
        }
        let mut looked = stream::iter(records).map(|record| self.looked_at(record)).buffered(CONFIGS);
        let mut records = Vec::new();
        while let Some((record, has_platform)) = looked.try_next().await? {
            if !has_platform {
                outside.platforms.insert(record.digest.clone());
            }
            records.push(record);
        }
        drop(looked);
        Ok(Found { records, outside })
    }

    /// Reads what the registry does not say of an image that may be meant, and tells whether it has one of the platforms. An image
    /// that cannot be read is listed as it is: what is wrong with it is the business of its scan.
    async fn looked_at(&self, mut record: ImageRecord) -> Result<(ImageRecord, bool)> {
        let (tags, platforms) = (self.selector.tags(), self.selector.platforms());
        let may_be_meant = record.tags.is_empty() || record.tags.iter().any(|tag| tags.matches(tag));
        let is_dated = record.date.time.is_some();
        let is_any = *platforms == select::Wanted::All;
        // A date that is known may say already that the image is not meant.
        if !may_be_meant || (is_dated && (is_any || !self.selector.means(&record, self.now)?)) {
            return Ok((record, true));
        }
        let source = self.place.source(&record, self.limits)?;
        match describe(&source, Look { date: !is_dated, platforms: !is_any }, self.limits, self.context).await {
            Ok(description) => {
                if !is_dated {
                    record.date = ImageDate::read(description.built.as_deref(), DateSource::Built);
                }
                record.size = record.size.or(description.size);
                if let Some(artifact) = description.artifact {
                    record.media_type = artifact;
                    return Ok((record, true));
                }
                let has_platform = is_any || description.platforms.iter().any(|platform| platforms.accepts(platform));
                Ok((record, has_platform))
            }
            Err(error) if matches!(error.kind(), Kind::Canceled | Kind::RateLimited | Kind::Unauthenticated) => {
                Err(error)
            }
            Err(error) => {
                tracing::debug!(%error, repository = record.repository, digest = %record.digest, "an image cannot be looked at");
                Ok((record, true))
            }
        }
    }
}
