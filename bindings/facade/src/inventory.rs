//! What is known of all registries, and how much room it takes.

use std::collections::VecDeque;
use std::future::Future;

use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde::Deserialize;
use tidewaiter::engine::Rematched;
use tidewaiter::model::digest::Digest;
use tidewaiter::model::event::Event;
use tidewaiter::store::{InventoryFilter, Pruned, RegistrySummary, Status, Store, StoredRegistry};
use tidewaiter::{Cancel, Context, Error, Kind, Result};

use crate::call::Pending;
use crate::listing::{Item, Listing};
use crate::registries::definition;
use crate::report::Report;
use crate::scanner::Scanner;
use crate::schedule::moment;

/// So many rows are asked for at once.
const PAGE: u64 = 256;

/// Which registries are summed up.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SummaryFilter {
    /// Only this one.
    pub registry: Option<String>,
}

/// Which changes are told.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChangesFilter {
    /// Only those of this registry.
    pub registry: Option<String>,
    /// Only those at or after this time (RFC 3339), or day, from its start in UTC.
    pub since: Option<String>,
}

/// Which images are held against today's advisories.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RematchOptions {
    /// Only those of this registry.
    pub registry: Option<String>,
}

/// What is pruned.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PruneOptions {
    /// Only what is older than so many days; 0 is all of it.
    pub older_than: u32,
}

impl Scanner {
    /// Lists the images that were scanned and that the registry still has, by registry, repository and digest.
    ///
    /// # Errors
    /// [`Kind::InvalidState`]; the others from the listing, [`Kind::NotFound`] for a registry of which nothing is known among them.
    pub fn inventory(&self, filter: InventoryFilter) -> Result<Listing> {
        let (store, notice) = self.asked_store()?;
        let known = known(store.clone(), filter.registry.clone());
        let begin = (store, filter, None, VecDeque::new());
        let rows = stream::try_unfold(begin, |(store, filter, mut last, mut ready)| async move {
            if ready.is_empty() {
                ready = VecDeque::from(store.inventory(&filter, last.as_ref(), PAGE).await?);
                last = ready.back().cloned().or(last);
            }
            Ok(ready.pop_front().map(|row| (Item::Stored(row), (store, filter, last, ready))))
        });
        self.list(|_, context| after(notice, context, known, rows))
    }

    /// Sums up what is known of each registry, by name.
    ///
    /// # Errors
    /// [`Kind::NotFound`] for a registry of which nothing is known, [`Kind::Storage`].
    pub fn inventory_summary(&self, filter: SummaryFilter, cancel: &Cancel) -> Result<Pending<Vec<RegistrySummary>>> {
        self.ask(cancel, |store| async move {
            known(store.clone(), filter.registry.clone()).await?;
            let mut summaries = store.summaries(Timestamp::now()).await?;
            summaries.retain(|summary| filter.registry.as_ref().is_none_or(|registry| *registry == summary.registry));
            Ok(summaries)
        })
    }

    /// The stored reports of one image, one a platform. The reference is `REGISTRY/repository:tag` or
    /// `REGISTRY/repository@sha256:...`, with the name of a saved registry, or its host.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for what is no such reference, [`Kind::NotFound`] for an image that was not scanned, [`Kind::Storage`].
    pub fn stored_reports(&self, reference: &str, cancel: &Cancel) -> Result<Pending<Vec<Report>>> {
        let image = Reference::parse(reference)?;
        self.ask(cancel, |store| async move {
            let registry = image.registry(&store).await?;
            let digest = image.digest(&store, &registry).await?;
            let stored = match &digest {
                Some(digest) => store.reports(&registry, &image.repository, digest).await?,
                None => Vec::new(),
            };
            if stored.is_empty() {
                return Err(Error::new(Kind::NotFound, "the inventory does not have this image")
                    .with("registry", registry)
                    .with("repository", &image.repository)
                    .with("name", &image.name)
                    .with_hint("`tidewaiter inventory` lists those that it has"));
            }
            Ok(stored.into_iter().map(|stored| Report::from(stored.report)).collect())
        })
    }

    /// Lists what scans and matches changed, the oldest first.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for a time that is none; others as [`Scanner::inventory`].
    pub fn changes(&self, filter: ChangesFilter) -> Result<Listing> {
        let since = filter.since.as_deref().map(|since| moment("since", since)).transpose()?;
        let (store, notice) = self.asked_store()?;
        let known = known(store.clone(), filter.registry.clone());
        let begin = (store, filter.registry, None, VecDeque::new());
        let rows = stream::try_unfold(begin, move |(store, registry, mut last, mut ready)| async move {
            if ready.is_empty() {
                ready = VecDeque::from(store.changes(registry.as_deref(), since, last.as_ref(), PAGE).await?);
                last = ready.back().cloned();
            }
            Ok(ready.pop_front().map(|change| (Item::Changed(change), (store, registry, last, ready))))
        });
        self.list(|_, context| after(notice, context, known, rows))
    }

    /// Holds stored images against today's advisories. No registry is asked.
    ///
    /// # Errors
    /// [`Kind::InvalidState`] without advisories, [`Kind::NotFound`] without the store or anything of the registry, [`Kind::Storage`].
    pub fn rematch(&self, options: RematchOptions, cancel: &Cancel) -> Result<Pending<Rematched>> {
        self.store_is_there()?;
        self.keep(cancel, None, |scanner, context| async move {
            scanner.rematch(options.registry.as_deref(), &context).await
        })
    }

    /// How big the store is, and what fills it.
    ///
    /// # Errors
    /// [`Kind::Storage`].
    pub fn store_status(&self, cancel: &Cancel) -> Result<Pending<Status>> {
        let missing = self.missing_store().map(str::to_owned);
        self.ask(cancel, |store| async move {
            let status = store.status().await?;
            let Some(place) = missing else { return Ok(status) };
            let mut parts = status.parts;
            parts.iter_mut().for_each(|part| (part.rows, part.bytes) = (0, 0));
            Ok(Status { kind: "sqlite".to_owned(), place, bytes: 0, disk: 0, parts })
        })
    }

    /// Removes what no job needs any more.
    ///
    /// # Errors
    /// [`Kind::Storage`].
    pub fn prune_store(&self, options: PruneOptions, cancel: &Cancel) -> Result<Pending<Pruned>> {
        self.ask(cancel, move |store| async move { store.prune(options.older_than).await })
    }
}

/// Refuses a registry of which nothing is known: an empty answer would look like a clean one.
async fn known(store: Store, registry: Option<String>) -> Result<()> {
    match registry {
        Some(registry) => store.knows_registry(&registry).await,
        None => Ok(()),
    }
}

/// Rows, once it is told what there is to be told, and known that they can be asked for.
pub(crate) fn after(
    notice: Option<Event>,
    context: &Context,
    known: impl Future<Output = Result<()>> + Send + 'static,
    rows: impl Stream<Item = Result<Item>> + Send + 'static,
) -> BoxStream<'static, Result<Item>> {
    let context = context.clone();
    let rows = async move {
        notice.into_iter().for_each(|notice| context.emit(notice));
        known.await.map(|()| rows)
    };
    stream::once(rows).try_flatten().boxed()
}

/// An image of the inventory, as a user names it.
struct Reference {
    registry: String,
    repository: String,
    /// A digest, or a tag.
    name: String,
}

impl Reference {
    fn parse(text: &str) -> Result<Self> {
        let parsed = text.split_once('/').and_then(|(registry, rest)| {
            let (repository, name) = match rest.split_once('@') {
                // A tag before a digest says nothing more.
                Some((path, digest)) => (path.rsplit_once(':').map_or(path, |(path, _)| path), digest),
                None => rest.rsplit_once(':').unwrap_or((rest, "latest")),
            };
            let is_whole = [registry, repository, name].iter().all(|part| !part.is_empty());
            is_whole.then(|| Self { registry: registry.into(), repository: repository.into(), name: name.into() })
        });
        parsed.ok_or_else(|| {
            Error::new(Kind::InvalidInput, "this names no image of the inventory")
                .with("reference", text.escape_debug())
                .with_hint("write REGISTRY/repository:tag or REGISTRY/repository@sha256:..., with the name of a saved registry")
        })
    }

    /// The name under which the registry is saved.
    async fn registry(&self, store: &Store) -> Result<String> {
        let saved = store.registries().await?;
        if saved.iter().any(|registry| registry.name == self.registry) {
            return Ok(self.registry.clone());
        }
        let host =
            |saved: &StoredRegistry| definition(&saved.name, saved.definition.clone()).and_then(|it| it.host()).ok();
        let at_host = saved.into_iter().find(|saved| host(saved).as_deref() == Some(self.registry.as_str()));
        Ok(at_host.map_or_else(|| self.registry.clone(), |registry| registry.name))
    }

    /// The digest; none where no scanned image has the tag.
    async fn digest(&self, store: &Store, registry: &str) -> Result<Option<Digest>> {
        if self.name.contains(':') {
            return self.name.parse().map(Some);
        }
        let (registry, repository) = (Some(registry.to_owned()), Some(self.repository.clone()));
        let filter = InventoryFilter { registry, repository, ..InventoryFilter::default() };
        let mut last = None;
        loop {
            let page = store.inventory(&filter, last.as_ref(), PAGE).await?;
            if let Some(row) = page.iter().find(|row| row.tags.contains(&self.name)) {
                return Ok(Some(row.digest.clone()));
            }
            match page.into_iter().next_back() {
                Some(row) => last = Some(row),
                None => return Ok(None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_references() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let with_digest = format!("prod/team/app:1.0@{digest}");
        for (text, repository, name) in [
            ("prod/team/app:1.0", "team/app", "1.0"),
            ("prod/app", "app", "latest"),
            ("r.io:5000/app:2", "app", "2"),
            (&with_digest, "team/app", &digest),
        ] {
            let image = Reference::parse(text).unwrap();
            assert_eq!((image.repository.as_str(), image.name.as_str()), (repository, name), "{text}");
        }
        for wrong in ["app", "prod/", "prod/app:", "/app:1", "prod/app@"] {
            assert_eq!(Reference::parse(wrong).err().map(|error| error.kind()), Some(Kind::InvalidInput), "{wrong}");
        }
    }
}
