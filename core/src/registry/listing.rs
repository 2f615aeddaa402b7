//! What the lists of the vendors have in common: pages that must end, and tags that gather to images.

use std::collections::{BTreeMap, HashSet};
use std::future::Future;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use serde::Deserialize;

use super::connection::Connection;
use super::v2;
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::model::digest::Digest;
use crate::model::event::Event;
use crate::model::fingerprint::Fingerprints;
use crate::model::record::{ImageDate, ImageRecord};
use crate::model::reference::{is_repository, is_tag};

/// The most pages and entries of a list: one that never ends is cut here, with an error, since a list that lacks something would
/// pass for all.
const MAX_PAGES: usize = 10_000;
const MAX_ENTRIES: usize = 1_000_000;
/// The longest media type (RFC 6838, section 4.2: a type and a subtype of 127 characters each).
const MAX_MEDIA_TYPE: usize = 255;

/// A page of a list, and where the next one is: none at the end.
pub(super) struct Page<T, P> {
    pub(super) entries: Vec<T>,
    pub(super) next: Option<P>,
}

/// Goes through a list page by page, from `first` on; `ask` fetches one. A page that was asked for before ends it: some registries
/// turn in circles.
pub(super) fn pages<'a, T, P, A, F>(first: P, ask: A) -> BoxStream<'a, Result<Vec<T>>>
where
    T: Send + 'a,
    P: Hash + Send + 'a,
    A: FnMut(P) -> F + Send + 'a,
    F: Future<Output = Result<Page<T, P>>> + Send + 'a,
{
    struct Walk<P, A> {
        next: Option<P>,
        ask: A,
        asked: HashSet<(u64, u64)>,
        fingerprints: Fingerprints,
        entries: usize,
    }
    let (asked, fingerprints) = (HashSet::new(), Fingerprints::default());
    let walk = Walk { next: Some(first), ask, asked, fingerprints, entries: 0 };
    Box::pin(stream::try_unfold(walk, |mut walk| async move {
        let Some(next) = walk.next.take() else { return Ok(None) };
        if walk.asked.len() >= MAX_PAGES || walk.entries >= MAX_ENTRIES {
            return Err(endless());
        }
        if !walk.asked.insert(walk.fingerprints.of(&next)) {
            return Ok(None);
        }
        let Page { entries, next } = (walk.ask)(next).await?;
        walk.entries += entries.len();
        walk.next = next;
        Ok(Some((entries, walk)))
    }))
}

fn endless() -> Error {
    Error::new(Kind::LimitExceeded, "a list of the registry does not end")
        .with_hint("name the repositories, or choose fewer; more than 10,000 pages or 1,000,000 names are not read")
}

/// The names of repositories on such pages, each once; what is no name could be a path to somewhere else.
pub(super) fn repositories<'a>(pages: BoxStream<'a, Result<Vec<String>>>) -> BoxStream<'a, Result<String>> {
    let (mut seen, fingerprints) = (HashSet::new(), Fingerprints::default());
    let fresh = move |page: Vec<String>| {
        let mut is_new = |name: &String| is_repository(name) && seen.insert(fingerprints.of(name));
        stream::iter(page.into_iter().filter(|name| is_new(name)).map(Ok).collect::<Vec<_>>())
    };
    Box::pin(pages.map_ok(fresh).try_flatten())
}

/// A list, and what comes of it where nothing stood on it.
pub(super) fn unless_empty<'a, T, F>(
    pages: BoxStream<'a, Result<Vec<T>>>,
    when_empty: impl FnOnce() -> F + Send + 'a,
) -> BoxStream<'a, Result<Vec<T>>>
where
    T: Send + 'a,
    F: Future<Output = Result<()>> + Send + 'a,
{
    let found = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&found);
    let pages = pages.inspect_ok(move |page| {
        seen.fetch_or(!page.is_empty(), Ordering::Relaxed);
    });
    let end = stream::once(async move {
        if !found.load(Ordering::Relaxed) {
            when_empty().await?;
        }
        Ok(Vec::new())
    });
    Box::pin(pages.chain(end))
}

/// The repositories of one part of a registry, such as a project; where there are none, it is told which.
pub(super) fn of_part<'a>(
    pages: BoxStream<'a, Result<Vec<String>>>,
    part: &'a str,
    context: &'a Context,
) -> BoxStream<'a, Result<Vec<String>>> {
    unless_empty(pages, move || {
        tell_empty(part, context);
        std::future::ready(Ok(()))
    })
}

/// The repositories of a catalog that are in these parts of the registry, which are the first part of a name; all where there are none.
pub(super) fn of_parts<'a>(
    names: BoxStream<'a, Result<String>>,
    parts: &'a [String],
    context: &'a Context,
) -> BoxStream<'a, Result<Vec<String>>> {
    if parts.is_empty() {
        return Box::pin(names.map_ok(|name| vec![name]));
    }
    let empty = Arc::new(Mutex::new(parts.iter().map(String::as_str).collect::<Vec<_>>()));
    let left = Arc::clone(&empty);
    let names = names.map_ok(move |name| {
        let part = name.split('/').next().unwrap_or_default();
        left.lock().unwrap_or_else(PoisonError::into_inner).retain(|empty| *empty != part);
        if parts.iter().any(|wanted| wanted == part) { vec![name] } else { Vec::new() }
    });
    let end = stream::once(async move {
        empty.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|part| tell_empty(part, context));
        Ok(Vec::new())
    });
    Box::pin(names.chain(end))
}

fn tell_empty(part: &str, context: &Context) {
    context.emit(Event::Notice {
        message: format!("no repository of {} is listed", part.escape_debug()),
        hint: "check the name, and that this credential may list what is in it".to_owned(),
    });
}

/// Images by their digests, as tags of one repository gather to them.
#[derive(Debug)]
pub(super) struct Images<'a> {
    repository: &'a str,
    records: BTreeMap<Digest, ImageRecord>,
    tags: usize,
    /// The image that was looked at last, of which more may have been set since.
    last: Option<Digest>,
}

impl<'a> Images<'a> {
    pub(super) fn of(repository: &'a str) -> Self {
        Self { repository, records: BTreeMap::new(), tags: 0, last: None }
    }

    /// The image with this digest, new or known. What the caller knows better than is known so far, it sets.
    pub(super) fn at(&mut self, digest: Digest) -> &mut ImageRecord {
        self.settle();
        self.last = Some(digest.clone());
        self.records.entry(digest).or_insert_with_key(|digest| ImageRecord {
            repository: self.repository.to_owned(),
            digest: digest.clone(),
            tags: Vec::new(),
            media_type: String::new(),
            size: None,
            date: ImageDate::none(),
        })
    }

    /// One more tag of an image. The latest date of its tags is that of the image. What is no tag is left out.
    pub(super) fn tag(&mut self, digest: Digest, tag: &str, date: ImageDate) -> Option<&mut ImageRecord> {
        // Where there are too many there is no list in the end: nothing more is kept of it.
        if !is_tag(tag) || self.is_full() {
            return None;
        }
        self.tags += 1;
        let record = self.at(digest);
        record.tags.push(tag.to_owned());
        if date.time > record.date.time {
            record.date = date;
        }
        Some(record)
    }

    /// What is no media type is not kept, however long it is.
    fn settle(&mut self) {
        let last = self.last.take().and_then(|last| self.records.get_mut(&last));
        if let Some(record) = last.filter(|record| record.media_type.len() > MAX_MEDIA_TYPE) {
            record.media_type = String::new();
        }
    }

    fn is_full(&self) -> bool {
        self.tags > MAX_ENTRIES || self.records.len() > MAX_ENTRIES
    }

    /// The images, their tags sorted, each once.
    ///
    /// # Errors
    /// [`Kind::LimitExceeded`] for more than a million images or tags.
    pub(super) fn finish(mut self) -> Result<Vec<ImageRecord>> {
        if self.is_full() {
            return Err(endless().with("repository", self.repository));
        }
        self.settle();
        let mut records: Vec<_> = self.records.into_values().collect();
        for record in &mut records {
            record.tags.sort_unstable();
            record.tags.dedup();
        }
        Ok(records)
    }
}

/// Whether an API is not for this credential, or not there at all, so that the lists of Docker V2 have to do.
pub(super) fn is_closed(error: &Error) -> bool {
    matches!(error.kind(), Kind::Unauthenticated | Kind::PermissionDenied | Kind::NotFound | Kind::Unsupported)
}

/// Tells once, in an event, that a registry answers less than it could.
#[derive(Debug, Default)]
pub(super) struct Notice(AtomicBool);

impl Notice {
    pub(super) fn tell(&self, what: &str, error: &Error, hint: &'static str, context: &Context) {
        if !self.0.swap(true, Ordering::Relaxed) {
            context.emit(Event::Notice { message: format!("{what}: {error}"), hint: hint.to_owned() });
        }
    }
}

/// What is told where a product's API is closed, and the lists of Docker V2 have to do.
#[derive(Debug)]
pub(super) struct Fallback {
    what: &'static str,
    hint: &'static str,
    is_of_repositories: bool,
    notice: Notice,
}

impl Fallback {
    /// `what` is missing then, and what to do about it.
    pub(super) fn new(what: &'static str, hint: &'static str) -> Self {
        Self { what, hint, is_of_repositories: false, notice: Notice::default() }
    }

    /// The same where a 404 of the API is about the repository: it stands where Docker V2 refuses the repository too.
    pub(super) fn of_repositories(self) -> Self {
        Self { is_of_repositories: true, ..self }
    }

    /// The images that the API was asked for, or where it is closed those of Docker V2.
    ///
    /// # Errors
    /// Those of the API for all else; where it is closed, those of Docker V2, which has the last word about what is there.
    pub(super) async fn or_v2(
        &self,
        asked: Result<Vec<ImageRecord>>,
        connection: &Connection,
        repository: &str,
        context: &Context,
    ) -> Result<Vec<ImageRecord>> {
        let closed = match asked {
            Err(error) if is_closed(&error) => error,
            done => return done,
        };
        match v2::images(connection, repository, context).await {
            Err(refused) if self.is_of_repositories && closed.kind() == Kind::NotFound && is_closed(&refused) => {
                Err(no_such_repository(repository).because(refused))
            }
            Err(refused) => Err(refused),
            Ok(images) => {
                self.tell(&images, &closed, context);
                Ok(images)
            }
        }
    }

    /// Tells once that `images` came without what the API would have said of them.
    pub(super) fn tell(&self, images: &[ImageRecord], closed: &Error, context: &Context) {
        if !images.is_empty() {
            self.notice.tell(self.what, closed, self.hint, context);
        }
    }
}

/// The images of a repository by the lists of Docker V2, where it is called `path`.
pub(super) async fn by_v2(
    connection: &Connection,
    path: &str,
    repository: &str,
    context: &Context,
) -> Result<Vec<ImageRecord>> {
    let mut records = v2::images(connection, path, context).await?;
    for record in &mut records {
        record.repository.replace_range(.., repository);
    }
    Ok(records)
}

/// The error of a repository that is not there or not for this credential, which many registries do not tell apart.
pub(super) fn no_such_repository(repository: &str) -> Error {
    Error::new(Kind::NotFound, "there is no such repository, or this credential may not see it")
        .with("repository", repository)
        .with_hint("check the spelling of the repository and the right to read it")
}

/// A list as JSON has it, `null` where there is nothing. One that is missing is none: what answers is something else, and "nothing" in its
/// place would take all that was known for gone.
pub(super) fn list<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    Ok(Option::<Vec<T>>::deserialize(deserializer)?.unwrap_or_default())
}

/// A digest as JSON has it: `sha256:` and its digits. What is none is not an image that could be pulled, and is left out.
pub(super) fn digest<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Digest>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.and_then(|text| text.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(page: impl Fn(usize) -> Page<String, usize> + Send + 'static) -> BoxStream<'static, Result<Vec<String>>> {
        pages(1, move |number| std::future::ready(Ok(page(number))))
    }

    #[tokio::test]
    async fn pages_come_in_order_and_names_once() {
        let page = |number| Page {
            entries: vec!["a/b".to_owned(), format!("p{number}"), "../x".to_owned(), "A".to_owned()],
            next: (number < 3).then_some(number + 1),
        };
        let names: Vec<_> = repositories(walk(page)).try_collect().await.unwrap();
        assert_eq!(names, ["a/b", "p1", "p2", "p3"]);
    }

    #[tokio::test]
    async fn a_list_without_an_end_is_an_error() {
        let walked = walk(|number| Page { entries: Vec::new(), next: Some(number + 1) });
        let error = walked.try_collect::<Vec<_>>().await.unwrap_err();
        assert!(error.kind() == Kind::LimitExceeded && error.hint().is_some(), "{error:?}");
    }

    #[tokio::test]
    async fn a_page_that_was_asked_for_before_ends_the_list() {
        // To itself, and in a circle of two.
        for circle in [vec![1], vec![2, 1]] {
            let next = move |number: usize| circle.get(number - 1).copied();
            let walked = walk(move |number| Page { entries: vec![format!("p{number}")], next: next(number) });
            let pages = walked.try_collect::<Vec<_>>().await.unwrap();
            assert!(pages.len() <= 2, "{pages:?}");
        }
    }

    #[test]
    fn what_hangs_on_images_is_bounded() {
        let mut images = Images::of("a/b");
        let digests = [Digest::of(b"x"), Digest::of(b"y")];
        for digest in &digests {
            let record = images.tag(digest.clone(), "a", ImageDate::none()).unwrap();
            record.media_type = "x".repeat(1 << 20);
        }
        let kept = |images: &Images<'_>| images.records.values().map(|record| record.media_type.len()).sum::<usize>();
        assert_eq!(kept(&images), 1 << 20);
        for number in 0..=MAX_ENTRIES {
            images.tag(digests[number % 2].clone(), "a", ImageDate::none());
        }
        assert_eq!(kept(&images), 0);
        assert!(images.tag(Digest::of(b"z"), "a", ImageDate::none()).is_none() && images.records.len() == 2);
        assert_eq!(images.finish().unwrap_err().kind(), Kind::LimitExceeded);
    }

    #[test]
    fn tags_of_one_digest_are_one_image_with_the_latest_date() {
        use crate::model::record::DateSource;
        let date = |text| ImageDate::read(Some(text), DateSource::Pushed);
        let digest = Digest::of(b"x");
        let mut images = Images::of("a/b");
        images.tag(digest.clone(), "b", date("2026-01-02T00:00:00Z"));
        images.tag(digest.clone(), "a", date("2026-01-03T00:00:00Z"));
        images.tag(digest.clone(), "c", ImageDate::none());
        images.tag(digest.clone(), "b", ImageDate::none());
        assert!(images.tag(digest, "sha256:12", ImageDate::none()).is_none());
        let [record] = &images.finish().unwrap()[..] else { panic!("one image") };
        assert_eq!(record.tags, ["a", "b", "c"]);
        assert_eq!(record.date, date("2026-01-03T00:00:00Z"));
    }
}
