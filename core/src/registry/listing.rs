//! What the lists of the vendors have in common: pages that must end, and tags that gather to images.

use std::collections::{BTreeMap, HashSet};
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::stream::{self, BoxStream, TryStreamExt as _};
use serde::Deserialize;

use super::connection::Connection;
use super::v2;
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::model::digest::Digest;
use crate::model::event::Event;
use crate::model::record::{ImageDate, ImageRecord};
use crate::model::reference::{is_repository, is_tag};

/// The most pages and entries of a list: one that never ends is cut here, with an error, since a list that lacks something would
/// pass for all.
const MAX_PAGES: usize = 10_000;
const MAX_ENTRIES: usize = 1_000_000;

/// A page of a list, and where the next one is: none at the end.
pub(super) struct Page<T, P> {
    pub(super) entries: Vec<T>,
    pub(super) next: Option<P>,
}

/// Goes through a list page by page, from `first` on; `ask` fetches one.
pub(super) fn pages<'a, T, P, A, F>(first: P, ask: A) -> BoxStream<'a, Result<Vec<T>>>
where
    T: Send + 'a,
    P: Send + 'a,
    A: FnMut(P) -> F + Send + 'a,
    F: Future<Output = Result<Page<T, P>>> + Send + 'a,
{
    struct Walk<P, A> {
        next: Option<P>,
        ask: A,
        pages: usize,
        entries: usize,
    }
    let walk = Walk { next: Some(first), ask, pages: 0, entries: 0 };
    Box::pin(stream::try_unfold(walk, |mut walk| async move {
        let Some(next) = walk.next.take() else { return Ok(None) };
        if walk.pages >= MAX_PAGES || walk.entries >= MAX_ENTRIES {
            return Err(Error::new(Kind::LimitExceeded, "a list of the registry does not end").with_hint(
                "name the repositories, or choose fewer; more than 10,000 pages or 1,000,000 names are not read",
            ));
        }
        let Page { entries, next } = (walk.ask)(next).await?;
        walk.pages += 1;
        walk.entries += entries.len();
        walk.next = next;
        Ok(Some((entries, walk)))
    }))
}

/// The names of repositories on such pages, each once; what is no name could be a path to somewhere else.
pub(super) fn repositories<'a>(pages: BoxStream<'a, Result<Vec<String>>>) -> BoxStream<'a, Result<String>> {
    let mut seen = HashSet::new();
    let fresh = move |page: Vec<String>| {
        let names: Vec<_> =
            page.into_iter().filter(|name| is_repository(name) && seen.insert(name.clone())).map(Ok).collect();
        stream::iter(names)
    };
    Box::pin(pages.map_ok(fresh).try_flatten())
}

/// Images by their digests, as tags of one repository gather to them.
#[derive(Debug)]
pub(super) struct Images<'a> {
    repository: &'a str,
    records: BTreeMap<Digest, ImageRecord>,
}

impl<'a> Images<'a> {
    pub(super) fn of(repository: &'a str) -> Self {
        Self { repository, records: BTreeMap::new() }
    }

    /// The image with this digest, new or known. What the caller knows better than is known so far, it sets.
    pub(super) fn at(&mut self, digest: Digest) -> &mut ImageRecord {
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
        if !is_tag(tag) {
            return None;
        }
        let record = self.at(digest);
        record.tags.push(tag.to_owned());
        if date.time > record.date.time {
            record.date = date;
        }
        Some(record)
    }

    /// The images, their tags sorted, each once.
    pub(super) fn finish(self) -> Vec<ImageRecord> {
        self.records
            .into_values()
            .map(|mut record| {
                record.tags.sort_unstable();
                record.tags.dedup();
                record
            })
            .collect()
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
        let [record] = &images.finish()[..] else { panic!("one image") };
        assert_eq!(record.tags, ["a", "b", "c"]);
        assert_eq!(record.date, date("2026-01-03T00:00:00Z"));
    }
}
