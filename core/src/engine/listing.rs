//! A registry, from its definition to the images that a selection chooses, as they become known.

use std::collections::HashSet;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, future};
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::mpsc::{self, Sender};
use tokio::task::JoinHandle;

use super::past::{self, Past};
use super::place::Place;
use super::scanner::Scanner;
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::model::event::Event;
use crate::model::limits::Limits;
use crate::model::record::{DateSource, ImageDate, ImageRecord};
use crate::registry::{Registry, Wanted};
use crate::select::{self, Cap, Decision, Near, Outside, Selection, Selector, Verdict};
use crate::source::{Description, Look, describe};
use crate::store::Known;

/// Repositories that are listed side by side. Their images wait until those before them were taken.
const REPOSITORIES: usize = 4;
/// Configurations that are read side by side, for the dates of a repository.
const CONFIGS: usize = 8;
/// The bytes of a manifest or a configuration that are read beside others; larger ones one after the other.
const DOCUMENT: u64 = 256 << 10;

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
    scanner: Scanner,
    registry: Registry,
    selection: Selection,
    context: Context,
) -> BoxStream<'static, Result<String>> {
    produce(context.clone(), move |sender| async move {
        if let Some(field) = selection.field_of_images() {
            return Err(Error::new(Kind::InvalidInput, "a list of repositories is not chosen by their images")
                .with("field", field)
                .with_hint("leave the field out, or list the images instead"));
        }
        let place = scanner.places().open(&registry, None, &context).await?;
        let selector = place.selector(&selection)?;
        let (wanted, near) = (Wanted::default(), Mutex::new(selector.near()));
        let mut names = place.names(&selector, &wanted, &near, &context);
        let is_named = selector.repositories().names().is_some();
        let (mut is_none, mut failed) = (true, Failed::default());
        while let Some(name) = names.try_next().await? {
            is_none = false;
            // What the registry did not list itself may not be there.
            let found = if is_named { place.find(&name, &context).await } else { Ok(()) };
            if let Err(error) = found {
                if place.is_refused(&error, &context).await? {
                    return Err(error);
                }
                failed.tell(name, error, &context)?;
            } else if sender.send(Ok(vec![name])).await.is_err() {
                return Ok(());
            }
        }
        if is_none {
            none_matches(&selector, &near)?;
        }
        failed.with_near(&place, &selector, &context).await.finish()
    })
}

/// The images of a registry.
pub(super) fn images(
    scanner: Scanner,
    registry: Registry,
    selection: Selection,
    show: Show,
    context: Context,
) -> BoxStream<'static, Result<Listed>> {
    produce(context.clone(), move |sender| async move {
        let place = scanner.places().open(&registry, None, &context).await?;
        let selector = place.selector(&selection)?;
        let (limits, now) = (scanner.limits().clone(), Timestamp::now());
        let listing = Listing { place, selector, show, past: None, platforms: true, now, limits, context };
        Arc::new(listing).run(&sender).await
    })
}

/// All images of the repositories of a job, and what its next run does with each.
pub(super) fn explain(
    scanner: Scanner,
    registry: Registry,
    selection: Selection,
    past: Past,
    context: Context,
) -> BoxStream<'static, Result<Listed>> {
    produce(context.clone(), move |sender| async move {
        let place = scanner.places().open(&registry, None, &context).await?;
        let selector = place.stored_selector(&selection)?;
        let (show, past) = (Show::All, Some(past));
        let (limits, now) = (scanner.limits().clone(), Timestamp::now());
        let listing = Listing { place, selector, show, past, platforms: true, now, limits, context };
        Arc::new(listing).run(&sender).await
    })
}

/// A stream of what `work` sends, several items at once, since each time costs a change between two tasks. It runs ahead by one time,
/// from the first poll on until the stream is dropped. Its error comes last.
fn produce<T, W, F>(context: Context, work: W) -> BoxStream<'static, Result<T>>
where
    T: Send + 'static,
    W: FnOnce(Sender<Result<Vec<T>>>) -> F + Send + 'static,
    F: Future<Output = Result<()>> + Send + 'static,
{
    let start = async move {
        let (sender, receiver) = mpsc::channel(1);
        let task = Task::start(async move {
            let errors = sender.clone();
            if let Err(error) = context.run(work(sender)).await {
                let _ = errors.send(Err(error)).await;
            }
        });
        stream::unfold((receiver, task), |(mut receiver, task)| async move {
            receiver.recv().await.map(|items| (items, (receiver, task)))
        })
    };
    let items = |items: Vec<T>| stream::iter(items.into_iter().map(Ok));
    stream::once(start).flatten().map_ok(items).try_flatten().boxed()
}

/// Work on a task of its own, which ends with whoever waits for it.
struct Task<T>(JoinHandle<T>);

impl<T: Send + 'static> Task<T> {
    fn start(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }

    async fn done(mut self) -> Result<T> {
        (&mut self.0).await.map_err(|error| Error::new(Kind::Internal, "a part of the listing has gone").because(error))
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A selection that names repositories and matches none is a mistake; a registry without any is none.
pub(super) fn none_matches(selector: &Selector, near: &Mutex<Near>) -> Result<()> {
    if selector.repositories().is_all() {
        return Ok(());
    }
    Err(near.lock().unwrap_or_else(PoisonError::into_inner).error())
}

/// So many of the repositories that could not be listed are named.
const NAMED: usize = 10;

/// Repositories that could not be listed.
#[derive(Default)]
pub(super) struct Failed {
    count: usize,
    first: Option<Error>,
    /// The first of them.
    names: Vec<String>,
    /// Those that do not exist.
    pub(super) missing: Vec<String>,
}

impl Failed {
    /// Tells of a repository that could not be listed, and counts it.
    ///
    /// # Errors
    /// [`Kind::Canceled`].
    fn tell(&mut self, name: String, error: Error, context: &Context) -> Result<()> {
        if error.kind() == Kind::Canceled {
            return Err(error);
        }
        context.emit(Event::RepositoryFailed { repository: name.clone(), message: error.to_string() });
        self.add(name, error);
        Ok(())
    }

    /// The same, saying what may have been meant where none of the repositories that the selection names exists.
    pub(super) async fn with_near(mut self, place: &Place, selector: &Selector, context: &Context) -> Self {
        let named = selector.repositories().names().map_or(0, |names| names.len());
        if named > 0
            && self.missing.len() == named
            && let Some(hint) = place.near(selector, context).await
        {
            self.first = self.first.map(|error| error.with_hint(hint));
        }
        self
    }

    fn add(&mut self, name: String, error: Error) {
        self.count += 1;
        let is_told = error.context().any(|(key, _)| key == "repository");
        if error.kind() == Kind::NotFound {
            self.missing.push(name.clone());
        }
        if self.names.len() < NAMED {
            self.names.push(name.clone());
        }
        self.first.get_or_insert(if is_told { error } else { error.with("repository", name) });
    }

    /// Whether these are all, of so many.
    pub(super) fn is_all(&self, count: usize) -> bool {
        self.count > 0 && self.count == count
    }

    /// # Errors
    /// What kept the first from being listed.
    pub(super) fn finish(self) -> Result<()> {
        match self.first {
            None => Ok(()),
            Some(first) if self.count == 1 => Err(first),
            Some(first) => {
                let rest = if self.count > self.names.len() { ", ..." } else { "" };
                let hint = first.hint().unwrap_or("what kept the first is told; each is an event of the listing");
                Err(Error::new(first.kind(), format!("{} repositories could not be listed", self.count))
                    .with("repositories", format!("{}{rest}", self.names.join(", ")))
                    .with_hint(hint.to_owned())
                    .because(first))
            }
        }
    }
}

/// One listing of images.
pub(super) struct Listing {
    pub(super) place: Place,
    pub(super) selector: Selector,
    pub(super) show: Show,
    /// What is known of the images already; else all are new.
    pub(super) past: Option<Past>,
    /// Whether platforms are told apart, which costs requests.
    pub(super) platforms: bool,
    pub(super) now: Timestamp,
    pub(super) limits: Limits,
    pub(super) context: Context,
}

/// All images of one repository.
#[derive(Default)]
pub(super) struct Whole {
    pub(super) records: Vec<ImageRecord>,
    outside: Outside,
    known: Known,
}

/// Repositories as they become known, each with its images or why it has none to show.
type Wholes<'a> = BoxStream<'a, Result<(String, Result<Whole>)>>;

impl Listing {
    async fn run(self: Arc<Self>, sender: &Sender<Result<Vec<Listed>>>) -> Result<()> {
        let (wanted, near) = (Arc::new(self.wanted()?), Mutex::new(self.selector.near()));
        let mut work = self.repositories(&wanted, &near);
        let (mut failed, mut count, mut is_none) = (Failed::default(), self.selector.count(), true);
        while let Some((name, images)) = work.try_next().await? {
            is_none = false;
            let Some(whole) = self.tell(name, images, &mut failed)? else { continue };
            let mut decisions = self.decide(whole, &mut count)?;
            if self.show == Show::Selected {
                decisions.retain(|decision| decision.verdict != Verdict::Skip);
            }
            let listed = decisions.into_iter().map(|decision| {
                let reference = self.place.reference(&decision.record);
                Listed { decision, reference }
            });
            if sender.send(Ok(listed.collect())).await.is_err() {
                return Ok(());
            }
            if self.show == Show::Selected && count.truncated().is_some() {
                break;
            }
        }
        self.tell_cut(&count);
        if is_none {
            none_matches(&self.selector, &near)?;
        }
        failed.with_near(&self.place, &self.selector, &self.context).await.finish()
    }

    /// The repositories that are meant with all their images, several at once and each on a task of its own, in the order of the
    /// registry. Of those that a selection names, the first is on its own: a wrong password is shown once, and not to every repository,
    /// which may lock the account. A list of the registry says the same by itself.
    pub(super) fn repositories<'a>(self: &'a Arc<Self>, wanted: &'a Arc<Wanted>, near: &'a Mutex<Near>) -> Wholes<'a> {
        let names = self.place.names(&self.selector, wanted, near, &self.context).enumerate();
        let is_untried = self.selector.repositories().names().is_some();
        let work = names.then(move |(index, name)| async move {
            let (name, listing, wanted) = (name?, Arc::clone(self), Arc::clone(wanted));
            let work = async move {
                let images = listing.repository(&name, &wanted).await;
                match images {
                    Err(error) if listing.place.is_refused(&error, &listing.context).await? => Err(error),
                    images => Ok((name, images)),
                }
            };
            let work = Task::start(work).done();
            Ok(match index {
                0 if is_untried => future::ready(Ok(work.await??)).left_future(),
                _ => async move { work.await? }.right_future(),
            })
        });
        work.try_buffered(REPOSITORIES).boxed()
    }

    /// Tells what came of a repository. One that cannot be listed is counted, and the others go on.
    ///
    /// # Errors
    /// [`Kind::Canceled`].
    pub(super) fn tell(&self, name: String, images: Result<Whole>, failed: &mut Failed) -> Result<Option<Whole>> {
        match images {
            Ok(whole) => {
                self.context.emit(Event::RepositoryListed { repository: name, images: whole.records.len() });
                Ok(Some(whole))
            }
            Err(error) => failed.tell(name, error, &self.context).map(|()| None),
        }
    }

    /// Tells where the limit on all matches cut the result.
    pub(super) fn tell_cut(&self, count: &Cap) {
        if let Some(limit) = count.truncated() {
            self.context.emit(Event::Notice {
                message: format!("truncated at {limit}: the selection chooses more images"),
                hint: "raise the cap, or choose fewer".to_owned(),
            });
        }
    }

    /// What happens with each image of a repository.
    pub(super) fn decide(&self, whole: Whole, count: &mut Cap) -> Result<Vec<Decision>> {
        let Whole { records, outside, known } = whole;
        let baseline = self.past.as_ref().map(|past| past.baseline(&known)).unwrap_or_default();
        let mut decisions = self.selector.decide_with(records, &outside, &baseline, self.now)?;
        count.apply(&mut decisions);
        if let Some(past) = &self.past {
            past.judge(&mut decisions, &known);
        }
        Ok(decisions)
    }

    /// What the connector is asked for. A registry may leave out what is too old, or has other tags, only where nobody wants to know
    /// why; and by its own dates alone, so that it keeps the images without one.
    pub(super) fn wanted(&self) -> Result<Wanted> {
        let wanted = Wanted { criteria: self.selector.aql().cloned(), ..Wanted::with_dates() };
        Ok(match self.show {
            Show::All => wanted,
            Show::Selected => {
                Wanted { since: self.selector.window(self.now)?.from, tags: self.selector.tags().clone(), ..wanted }
            }
        })
    }

    /// The images of a repository, with what the registry does not say of them and the selection asks for.
    async fn repository(&self, name: &str, wanted: &Wanted) -> Result<Whole> {
        let connector = self.place.connector();
        let mut records = connector.images(name, wanted, &self.context).await?;
        let mut outside = Outside::default();
        if self.show == Show::All && wanted.criteria.is_some() {
            // The connector gives what meets the criteria; whoever wants to know why the others are missing sees them too.
            let mut others = connector.images(name, &Wanted::with_dates(), &self.context).await?;
            let meant: HashSet<_> = records.iter().map(|record| &record.digest).collect();
            others.retain(|record| !meant.contains(&record.digest));
            outside.criteria.extend(others.iter().map(|record| record.digest.clone()));
            records.extend(others);
        }
        let known = match &self.past {
            Some(past) => past.of(name).await?,
            None => Known::default(),
        };
        records.iter_mut().for_each(|record| past::complete(record, &known));
        let mut whole = Whole { records: Vec::with_capacity(records.len()), outside, known };
        let mut open = Vec::new();
        for mut record in records {
            match self.left_open(&record, wanted.dates)? {
                Some(look) => open.push((record, look)),
                None => {
                    // What a run keeps of it is another matter: it may be asked for then.
                    if self.platforms && wanted.dates && record.date.time.is_none() {
                        record.date = ImageDate::unknown();
                    }
                    whole.records.push(record);
                }
            }
        }
        let mut looked = stream::iter(open).map(|(record, look)| self.look_at(record, look)).buffered(CONFIGS);
        while let Some((record, has_platform)) = looked.try_next().await? {
            if !has_platform {
                whole.outside.platforms.insert(record.digest.clone());
            }
            whole.records.push(record);
        }
        drop(looked);
        Ok(whole)
    }

    /// What the registry does not say of an image that may be meant; none where nothing is left to be known.
    fn left_open(&self, record: &ImageRecord, dates: bool) -> Result<Option<Look>> {
        let tags = self.selector.tags();
        let has_a_tag = record.tags.is_empty() || record.tags.iter().any(|tag| tags.matches(tag));
        let may_be_meant = has_a_tag && self.selector.is_image(record);
        let date = dates && record.date.time.is_none();
        let platforms = self.platforms && *self.selector.platforms() != select::Wanted::All;
        // A date that is known may say already that the image is not meant.
        let is_open = may_be_meant && (date || (platforms && self.selector.means(record, self.now)?));
        Ok(is_open.then_some(Look { date, platforms }))
    }

    /// Reads what is left open, and tells whether the image has one of the platforms. One that cannot be read is listed as it is: what
    /// is wrong with it is the business of its scan.
    async fn look_at(&self, mut record: ImageRecord, look: Look) -> Result<(ImageRecord, bool)> {
        match self.describe(&record, look).await {
            Ok(description) => {
                if look.date {
                    record.date = ImageDate::read(description.built.as_deref(), DateSource::Built);
                }
                record.size = record.size.or(description.size);
                if let Some(artifact) = description.artifact {
                    record.media_type = artifact;
                    return Ok((record, true));
                }
                let platforms = self.selector.platforms();
                let has_platform = description.platforms.iter().any(|platform| platforms.accepts(platform));
                Ok((record, has_platform || !look.platforms))
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

    /// Reads what is left open of an image.
    async fn describe(&self, record: &ImageRecord, look: Look) -> Result<Description> {
        let small = self.limits.with_documents(DOCUMENT);
        match describe(&self.place.source(record, &small)?, look, &small, &self.context).await {
            Err(error) if error.kind() == Kind::LimitExceeded && small != self.limits => {}
            described => return described,
        }
        let _alone = self.place.large.lock().await;
        describe(&self.place.source(record, &self.limits)?, look, &self.limits, &self.context).await
    }
}
