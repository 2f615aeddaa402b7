//! Lists that come page by page, each page naming the next with `Link`. Where none is named behind a page that is full, the one
//! behind its last name is asked for: some registries page and do not say so. Where that is the same page again, the registry does not
//! look at names, and whether the list is cut is found out by two requests more; where it is, it is told.

use std::collections::{HashSet, VecDeque};

use futures_util::stream::{self, BoxStream};
use url::Url;

use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::model::event::Event;
use crate::model::fingerprint::Fingerprints;
use crate::net::client::{Request, Response};
use crate::net::{link, redact};
use crate::registry::connection::Connection;

/// Page sizes to ask for, until one is taken: registries refuse more than 1000, some more than 100, some any.
const PAGE_SIZES: [Option<usize>; 3] = [Some(1000), Some(100), None];
/// A page of so many names may be one that the registry cut, whatever it was asked for.
const USUAL_PAGES: [usize; 5] = [50, 100, 200, 250, 500];
/// The longest page.
const MAX_PAGE: u64 = 16 << 20;
/// The most pages and names: a list that never ends is cut here, with an error, since a list that lacks something would pass for all.
const MAX_PAGES: usize = 10_000;
const MAX_NAMES: usize = 1_000_000;
/// The most bytes of all pages: as many as so many names of the greatest length have.
const MAX_BYTES: usize = 256 << 20;

/// What is listed, and how it is told from others.
pub(super) trait Source: Send + Sync {
    /// The path behind `/v2/`.
    fn path(&self) -> String;
    /// The scope that the request needs.
    fn scope(&self) -> String;
    /// What stands on a page: names, and what some registries put between them.
    fn entries(&self, body: &[u8]) -> Result<Vec<Option<String>>, serde_json::Error>;
    /// Whether an entry is a name: what is none could be a path to somewhere else.
    fn is_name(&self, entry: &str) -> bool;
    /// Whether a status means that this list is not for us.
    fn is_closed(&self, status: u16) -> bool;
    /// The error of a list that is not for us.
    fn closed(&self, error: Error, connection: &Connection) -> Error;
    /// The error of a list without an end.
    fn limit(&self) -> Error;
}

/// A walk over pages.
pub(super) struct Pages<'a, S> {
    connection: &'a Connection,
    source: S,
    context: &'a Context,
    ready: VecDeque<String>,
    /// Entries, and the queries that they came by, by their fingerprints: what is no name may be of any length.
    seen: HashSet<(u64, u64)>,
    queries: HashSet<(u64, u64)>,
    fingerprints: Fingerprints,
    next: Next,
    pages: usize,
    bytes: usize,
    /// Whether the list was asked for without a page size, since it may be cut.
    was_whole: bool,
}

enum Next {
    First,
    /// As the registry names it.
    Page(Url),
    /// A guess, which the registry may refuse.
    Behind(Url),
    /// The list without a page size.
    Whole,
    /// One name alone, which shows whether the registry pages at all.
    One,
    End,
}

impl<'a, S: Source + 'a> Pages<'a, S> {
    pub(super) fn new(connection: &'a Connection, source: S, context: &'a Context) -> Self {
        Self {
            connection,
            source,
            context,
            ready: VecDeque::new(),
            seen: HashSet::new(),
            queries: HashSet::new(),
            fingerprints: Fingerprints::default(),
            next: Next::First,
            pages: 0,
            bytes: 0,
            was_whole: false,
        }
    }

    /// The names as they come, each once.
    pub(super) fn names(self) -> BoxStream<'a, Result<String>> {
        Box::pin(stream::try_unfold(self, |mut pages| async move { Ok(pages.name().await?.map(|name| (name, pages))) }))
    }

    async fn name(&mut self) -> Result<Option<String>> {
        loop {
            if let Some(name) = self.ready.pop_front() {
                return Ok(Some(name));
            }
            let (asked, is_guess) = match std::mem::replace(&mut self.next, Next::End) {
                Next::End => return Ok(None),
                Next::First => (self.first().await, false),
                Next::Page(url) => (self.ask(url).await, false),
                Next::Behind(url) => (self.ask(url).await, true),
                Next::Whole => {
                    self.was_whole = true;
                    (self.ask(self.url("")).await, true)
                }
                Next::One => {
                    self.one().await?;
                    return Ok(None);
                }
            };
            match asked {
                Err(error) if is_guess && is_refused(&error) => self.next = Next::One,
                response => self.page(response?, is_guess).await?,
            }
        }
    }

    /// The address of the list.
    fn url(&self, query: &str) -> Url {
        self.connection.session().url(&format!("{}{query}", self.source.path()))
    }

    /// Whether a list that does not go on is all, for a registry that gives everything whatever it is asked for, or names the next page
    /// where there is one. Where it is not, that is told.
    async fn one(&self) -> Result<()> {
        let response = match self.ask(self.url("?n=1")).await {
            Err(error) if is_refused(&error) => return Ok(()),
            response => response?,
        };
        let names_next = link::next(response.url(), response.headers("link")).is_some();
        let entries = self.source.entries(&response.bytes(MAX_PAGE, self.context).await?).unwrap_or_default();
        if !names_next && entries.len() < self.seen.len() {
            self.tell_cut();
        }
        Ok(())
    }

    fn tell_cut(&self) {
        self.context.emit(Event::Notice {
            message: format!(
                "the list {}/v2/{} may be cut at {}: the registry gives no more at a time and does not go on",
                self.connection.host(),
                self.source.path(),
                self.seen.len()
            ),
            hint: "compare it with what the registry itself shows, and look there for a limit of its pages".to_owned(),
        });
    }

    async fn first(&self) -> Result<Response> {
        let mut refused = None;
        for size in PAGE_SIZES {
            let size = size.map_or_else(String::new, |size| format!("?n={size}"));
            match self.ask(self.url(&size)).await {
                // 400 is the answer of the specification, 405 that of ECR.
                Err(error) if error.context().any(|(key, value)| key == "status" && matches!(value, "400" | "405")) => {
                    refused = Some(error)
                }
                done => return done,
            }
        }
        Err(refused.unwrap_or_else(|| Error::new(Kind::Internal, "there is no page size")))
    }

    async fn ask(&self, url: Url) -> Result<Response> {
        let (connection, context) = (self.connection, self.context);
        match connection.session().send(&Request::get(url), Some(&self.source.scope()), context).await {
            Ok(response) if self.source.is_closed(response.status()) => {
                let status = response.status();
                let refused = response.refused(context).await;
                let refused = self.source.closed(refused, connection);
                Err(if status == 405 { refused.with("status", status) } else { refused })
            }
            Ok(response) => response.success(context).await,
            Err(error) if matches!(error.kind(), Kind::Unauthenticated | Kind::PermissionDenied) => {
                Err(self.source.closed(error, connection))
            }
            Err(error) => Err(error),
        }
    }

    /// Takes a page in. It ends where there is no next page, and where neither an entry nor the query of the next page is new: some
    /// registries turn in circles. A page without a new name is no end: what stands on it may be no names at all.
    async fn page(&mut self, response: Response, is_guess: bool) -> Result<()> {
        let url = response.url().clone();
        self.queries.insert(self.fingerprints.of(&url.query()));
        let named = link::next(&url, response.headers("link"));
        let is_web_page = response.header("content-type").is_some_and(|value| value.starts_with("text/html"));
        let body = response.json(MAX_PAGE, self.context).await?;
        let entries = self.source.entries(&body).map_err(|error| {
            let hint = if is_web_page {
                "a web page came: check that the address is that of the registry, not of its web interface or a login page"
            } else {
                "check that the address is that of a registry"
            };
            Error::new(Kind::Corrupt, "a list of the registry is not as it should be")
                .with("registry", self.connection.host())
                .with("list", self.source.path())
                .with_hint(hint)
                .because(redact::unread(&error))
        })?;
        let (behind, is_empty) = (behind(&url, &entries), entries.is_empty());
        let before = self.seen.len();
        for entry in entries.into_iter().flatten() {
            if self.seen.insert(self.fingerprints.of(&entry)) && self.source.is_name(&entry) {
                self.ready.push_back(entry);
            }
        }
        self.pages += 1;
        self.bytes += body.len();
        let is_new = self.seen.len() > before;
        let has_come = |url: &Url| self.queries.contains(&self.fingerprints.of(&url.query()));
        self.next = match (named, behind) {
            (Some(url), _) if is_new || !has_come(&url) => Next::Page(url),
            (None, Some(url)) if is_new => Next::Behind(url),
            // There is more, and it is not to be had.
            (Some(_), _) => {
                self.tell_cut();
                Next::End
            }
            // It is what came before: nobody looked at the name behind which it should begin.
            (None, _) if is_guess && !is_new && !is_empty => {
                if self.was_whole {
                    Next::One
                } else {
                    Next::Whole
                }
            }
            _ => Next::End,
        };
        let is_endless = self.pages >= MAX_PAGES || self.seen.len() >= MAX_NAMES || self.bytes >= MAX_BYTES;
        if is_endless && !matches!(self.next, Next::End) {
            return Err(self.source.limit().with("registry", self.connection.host()));
        }
        Ok(())
    }
}

/// Whether a registry does not do what only some do.
fn is_refused(error: &Error) -> bool {
    matches!(error.kind(), Kind::Unsupported | Kind::NotFound)
}

/// The page behind the last entry of one that is full.
fn behind(url: &Url, entries: &[Option<String>]) -> Option<Url> {
    let asked = url.query_pairs().find(|(name, _)| name == "n").and_then(|(_, size)| size.parse().ok());
    if asked != Some(entries.len()) && !USUAL_PAGES.contains(&entries.len()) {
        return None;
    }
    let last = entries.iter().rev().flatten().next()?;
    let mut next = url.clone();
    next.query_pairs_mut()
        .clear()
        .append_pair("n", &asked.unwrap_or(entries.len()).to_string())
        .append_pair("last", last);
    Some(next)
}
