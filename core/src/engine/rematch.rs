//! Every stored inventory against today's advisories, without the registry.
//!
//! Three things go on at once: the next page is read, this one is matched and compared with what it was in all lanes, and the one
//! before is written. A package that lies in many images is looked up once.

use std::sync::Arc;

use futures_util::future::try_join_all;
use jiff::Timestamp;
use serde::Serialize;

use super::report;
use super::scanner::Scanner;
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::job::Cost;
use crate::matching::{MatchOptions, Matcher};
use crate::model::event::Event;
use crate::store::{PackedReport, Place, Rematch, Store};

/// Reports that are read, matched and written at once. One advisory concerns many: of more at once more lie side by side in the store.
const PAGE: u64 = 256;
/// Bytes of packed reports after which a page ends. Three pages are in memory at once.
const PAGE_BYTES: u64 = 1 << 20;

/// Bytes of what was found for packages. Of ten thousand images a quarter of it holds too little, and the match takes three times as long.
const MEMORY: usize = 16 << 20;

/// What a match of everything changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rematched {
    /// Reports, one a platform of an image, that were held against the advisories.
    pub images: u64,
    /// Those with other findings than before.
    pub changed: u64,
    /// Findings that were not there before.
    pub new: u64,
    /// Findings that are gone.
    pub fixed: u64,
}

impl Scanner {
    /// Holds every stored report, or those of one registry, against today's advisories. The registry is not asked.
    ///
    /// # Errors
    /// [`Kind::NotFound`] for a registry of which nothing is known, [`Kind::InvalidState`] without a store or advisories, [`Kind::Canceled`] (what was written before stays), [`Kind::Storage`],
    /// [`Kind::Corrupt`].
    pub async fn rematch(&self, registry: Option<&str>, context: &Context) -> Result<Rematched> {
        context.run(Box::pin(self.rematch_all(registry, context))).await
    }

    async fn rematch_all(&self, registry: Option<&str>, context: &Context) -> Result<Rematched> {
        let store = self.store()?;
        if let Some(registry) = registry {
            store.knows_registry(registry).await?;
        }
        let matcher = self.advisory_source().current()?.ok_or_else(|| {
            Error::new(Kind::InvalidState, "there is no advisory database to match with")
                .with_hint("get one with `tidewaiter advisories update`, and name it")
        })?;
        // Nothing else goes on, and all packages there are come by.
        let matcher = Arc::new(Matcher::new(matcher.advisories().clone(), MEMORY));
        let options = MatchOptions::at(Timestamp::now());
        let mut rematched = Rematched::default();
        let mut page = store.packed_after(registry, 0, PAGE, PAGE_BYTES).await?;
        let mut done: Vec<Rematch> = Vec::new();
        while !page.is_empty() || !done.is_empty() {
            let last = page.last().map_or(i64::MAX, PackedReport::id);
            let next = store.packed_after(registry, last, PAGE, PAGE_BYTES);
            let (next, matched, written) = tokio::join!(
                next,
                self.match_page(&matcher, &options, page),
                write(store, done, &mut rematched, context)
            );
            written?;
            done = matched?;
            page = next?;
        }
        Ok(rematched)
    }

    /// Matches a page in all lanes, each with a share of it and one report in hand.
    async fn match_page(
        &self,
        matcher: &Arc<Matcher>,
        options: &MatchOptions,
        mut page: Vec<PackedReport>,
    ) -> Result<Vec<Rematch>> {
        let (seat, share) = (self.seat().await?, page.len().div_ceil(self.lanes()).max(1));
        let mut work = Vec::new();
        while !page.is_empty() {
            let rest = page.split_off(share.min(page.len()));
            let mine = std::mem::replace(&mut page, rest);
            let (matcher, options) = (matcher.clone(), options.clone());
            work.push(self.compute(&seat, move |_| {
                mine.into_iter().map(|packed| one(&matcher, &options, packed)).collect::<Result<Vec<_>>>()
            }));
        }
        let shares = try_join_all(work).await?;
        Ok(shares.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }
}

async fn write(store: &Store, done: Vec<Rematch>, rematched: &mut Rematched, context: &Context) -> Result<()> {
    if done.is_empty() {
        return Ok(());
    }
    for (place, cost) in store.put_rematched(done).await? {
        let Cost { new_findings: new, fixed_findings: fixed, .. } = cost;
        rematched.images += 1;
        if new > 0 || fixed > 0 {
            rematched.changed += 1;
            rematched.new += new;
            rematched.fixed += fixed;
            let Place { registry, repository, digest, .. } = place;
            context.emit(Event::FindingsChanged { registry, repository, digest, new, fixed });
        }
    }
    context.emit(Event::RematchProgress { images: rematched.images });
    Ok(())
}

fn one(matcher: &Matcher, options: &MatchOptions, packed: PackedReport) -> Result<Rematch> {
    let mut report = packed.scan()?;
    report::match_again(&mut report, matcher, options)?;
    packed.rematched(&report)
}
