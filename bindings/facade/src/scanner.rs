//! The scanner as bindings see it: one thread, calls that wait or are polled, an end that can come at any time.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, stream};
use tidewaiter::advisory::Advisories;
use tidewaiter::model::event::Event;
use tidewaiter::model::reference::DOCKER_HUB;
use tidewaiter::model::report::AdvisoryProvenance;
use tidewaiter::registry::{Check, Registry};
use tidewaiter::select::Selection;
use tidewaiter::store::Store;
use tidewaiter::{Cancel, Context, Error, Kind, Result, Target, engine};

use crate::call::{self, Pending};
use crate::config::{self, CheckOptions, Config, ImportOptions, ScanOptions, UpdateOptions};
use crate::exports::{self, Exports};
use crate::listing::{Item, Listing, Source};
use crate::paths;
use crate::recipe::Recipe;
use crate::records::{AdvisoryStatus, Imported};
use crate::registries::{self, Lookup, Named, is_address};
use crate::report::Report;
use crate::runtime::Runtime;

/// A handle: cheap to clone, from any thread. What is closed, was forked away, or calls from its own callback answers
/// [`Kind::InvalidState`].
#[derive(Clone)]
pub struct Scanner {
    shared: Arc<Shared>,
}

struct Shared {
    id: usize,
    process: u32,
    advisories: Option<PathBuf>,
    exports: Option<Exports>,
    registries: Option<PathBuf>,
    base_url: Option<String>,
    /// Where the store is.
    store: Option<String>,
    /// Held by whoever opens the store, which may take a while.
    opening: Mutex<()>,
    closed: Cancel,
    live: Mutex<Option<Live>>,
}

struct Live {
    scanner: tidewaiter::Scanner,
    runtime: Runtime,
}

impl Scanner {
    /// Opens a scanner. Nothing is read before the first call, except the listing of a folder of advisories.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for a configuration that cannot be, [`Kind::Unavailable`] without a thread.
    pub fn open(config: Config) -> Result<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let exports = config.advisories.as_deref().map(Exports::of).transpose()?.flatten();
        let advisories = config.advisories.map(exports::database).or_else(paths::advisories);
        let recipe = Recipe {
            advisories: exports.as_ref().map(|exports| &exports.compiled).or(advisories.as_ref()).cloned(),
            fetch: (!config.offline).then(|| config.base_url.clone()),
            cache: config.cache,
            memory_mib: config.memory_mib,
            concurrency: config.concurrency,
            limits: config.limits,
        };
        let live = Live { scanner: recipe.build()?, runtime: Runtime::start()? };
        let shared = Shared {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            process: std::process::id(),
            advisories,
            exports,
            registries: config.registries,
            base_url: config.base_url,
            store: config.store.or_else(paths::store),
            opening: Mutex::new(()),
            closed: Cancel::new(),
            live: Mutex::new(Some(live)),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Scans one image: one report a platform. `cancel` ends it from any thread. An image without a host is in the registry of the
    /// options, where they name one, else in Docker Hub.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for a target or options that cannot be, [`Kind::InvalidState`]; the others from the wait.
    pub fn scan(&self, target: &str, mut options: ScanOptions, cancel: &Cancel) -> Result<Pending<Vec<Report>>> {
        let (written, target) = (target.to_owned(), target.parse::<Target>()?);
        let timeout = config::timeout(options.timeout)?;
        let registry = options.registry.take().map(|named| self.registry(named)).transpose()?;
        let exports = self.exports();
        self.call(cancel, timeout, |scanner, context| async move {
            compile(exports, &context).await?;
            let registry = match registry {
                Some(registry) => context.run(registry.load()).await?,
                None => Registry::default(),
            };
            let target = match target {
                Target::Registry(_) => in_registry(&written, &registry)?,
                other => other,
            };
            let options = options.resolve(registry);
            let reports = scanner.scan_with(&target, &options, &context).await?;
            Ok(reports.into_iter().map(Report::from).collect())
        })
    }

    /// Tells what works between here and a registry, step by step; with a repository also whether it may be pulled.
    ///
    /// # Errors
    /// As [`Scanner::scan`].
    pub fn check(&self, registry: Named, options: CheckOptions, cancel: &Cancel) -> Result<Pending<Check>> {
        let registry = self.registry(registry)?;
        let timeout = config::timeout(options.timeout)?;
        self.call(cancel, timeout, |scanner, context| async move {
            let registry = context.run(registry.load()).await?;
            scanner.check(&registry, options.repository.as_deref(), &context).await
        })
    }

    /// Lists the repositories of a registry that a selection names, as they come. One that chooses among images is refused.
    ///
    /// # Errors
    /// [`Kind::InvalidState`]; the others from the listing.
    pub fn repositories(&self, registry: Named, selection: Selection) -> Result<Listing> {
        self.list_registry(registry, move |scanner, registry, context| {
            let names = scanner.repositories(registry, &selection, context);
            names.map_ok(|repository| Item::Repository { repository }).boxed()
        })
    }

    /// Lists the images of a registry that a selection chooses, repository by repository as each is complete.
    ///
    /// # Errors
    /// As [`Scanner::repositories`].
    pub fn images(&self, registry: Named, selection: Selection) -> Result<Listing> {
        self.list_registry(registry, move |scanner, registry, context| {
            scanner.images_with(registry, &selection, context).map_ok(Item::Image).boxed()
        })
    }

    /// Lists all images of the repositories that a selection names, also those that it leaves out, each with the reason.
    ///
    /// # Errors
    /// As [`Scanner::repositories`].
    pub fn explain(&self, registry: Named, selection: Selection) -> Result<Listing> {
        self.list_registry(registry, move |scanner, registry, context| {
            scanner.explain(registry, &selection, context).map_ok(Item::Image).boxed()
        })
    }

    /// Puts the advisories of archives, records and folders into the database. What they bring is replaced, the rest stays.
    ///
    /// # Errors
    /// As [`Scanner::scan`].
    pub fn import_advisories(&self, options: ImportOptions, cancel: &Cancel) -> Result<Pending<Imported>> {
        let file = self.advisory_file()?;
        if options.paths.is_empty() {
            return Err(Error::new(Kind::InvalidInput, "there is nothing to import")
                .with_hint("give an all.zip of the OSV exports, a record as .json, or a folder of them"));
        }
        self.call(cancel, None, |_, context| {
            blocking(move || {
                folder_of(&file)?;
                engine::advisories::import(&options.paths, &file, &context).map(Imported::from)
            })
        })
    }

    /// Fetches the advisories of ecosystems into the database; without any, of those that it has.
    ///
    /// # Errors
    /// As [`Scanner::scan`].
    pub fn update_advisories(&self, options: UpdateOptions, cancel: &Cancel) -> Result<Pending<Imported>> {
        let file = self.advisory_file()?;
        let timeout = config::timeout(options.timeout)?;
        let base_url = options.base_url.or_else(|| self.shared.base_url.clone());
        self.call(cancel, timeout, move |_, context| async move {
            let mut ecosystems = options.ecosystems;
            if ecosystems.is_empty() {
                ecosystems = holds(&file)?.map(|holds| holds.ecosystems.into_keys().collect()).unwrap_or_default();
            }
            if ecosystems.is_empty() {
                return Err(Error::new(
                    Kind::InvalidInput,
                    "there is no database yet whose ecosystems could be updated",
                )
                .with_hint("name the ecosystems, such as Debian, Alpine, PyPI, npm"));
            }
            folder_of(&file)?;
            engine::advisories::update(&ecosystems, base_url.as_deref(), &file, &context).await.map(Imported::from)
        })
    }

    /// Describes the advisory database.
    ///
    /// # Errors
    /// [`Kind::InvalidState`]; from the wait [`Kind::Corrupt`], [`Kind::Unsupported`] for a file that is no database.
    pub fn advisories_status(&self) -> Result<Pending<AdvisoryStatus>> {
        let file = self.shared.advisories.clone();
        self.call(&Cancel::new(), None, |_, _| {
            blocking(move || {
                let holds = file.as_deref().map(holds).transpose()?.flatten();
                let (built, ecosystems) = holds.map(|holds| (holds.built, holds.ecosystems)).unzip();
                Ok(AdvisoryStatus { file, built, ecosystems: ecosystems.unwrap_or_default() })
            })
        })
    }

    /// Ends what still runs and closes the scanner for all its handles. Can be called again without effect.
    ///
    /// # Errors
    /// [`Kind::InvalidState`] from its own callback, or in a forked child.
    pub fn close(&self) -> Result<()> {
        self.usable()?;
        self.shared.closed.cancel();
        let live = self.shared.live.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(live);
        Ok(())
    }

    /// The registry of a call: of the file of definitions, or else of the store.
    pub(crate) fn registry(&self, named: Named) -> Result<Lookup> {
        let lookup = registries::find(named, self.shared.registries.as_deref())?;
        Ok(if lookup.needs_store() { lookup.store(self.known_store()?) } else { lookup })
    }

    /// The file of definitions.
    pub(crate) fn definitions(&self) -> Option<&Path> {
        self.shared.registries.as_deref()
    }

    /// The exports that are compiled before something is matched.
    pub(crate) fn exports(&self) -> Option<Exports> {
        self.shared.exports.clone()
    }

    /// The store. The first who asks opens it; only those who need it as well wait for that.
    pub(crate) fn store(&self) -> Result<Store> {
        self.usable()?;
        let scanner = self.with_live(|live| live.scanner.clone())?;
        let _opening = self.shared.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(store) = scanner.store() {
            return Ok(store.clone());
        }
        let place = self.shared.store.as_deref().ok_or_else(|| {
            Error::new(Kind::InvalidInput, "there is no home folder, so the store needs a path")
                .with_hint("name the file")
        })?;
        let store = Store::open(place)?;
        scanner.set_store(store.clone())?;
        Ok(store)
    }

    /// The store for a question. Where there is none yet, an empty one that is gone with the answer, since a question makes no file, and
    /// what is to be told of that.
    pub(crate) fn asked_store(&self) -> Result<(Store, Option<Event>)> {
        let Some(place) = self.missing_store() else { return Ok((self.store()?, None)) };
        self.usable()?;
        let notice = Event::Notice {
            message: format!("there is no store in this place yet (store: {place})"),
            hint: "`tidewaiter registry add` makes one; another is named with --store or TIDEWAITER_STORE".to_owned(),
        };
        Ok((Store::memory()?, Some(notice)))
    }

    /// Where the store is to be, if it is a file that is not there.
    pub(crate) fn missing_store(&self) -> Option<&str> {
        let is_open = self.with_live(|live| live.scanner.store().is_ok()).unwrap_or(true);
        // SQLite takes a colon for a store in memory.
        let is_file = |place: &str| !place.is_empty() && !place.starts_with(':') && !place.contains("://");
        let is_missing = |place: &&str| !is_open && is_file(place) && !Path::new(place).exists();
        self.shared.store.as_deref().filter(is_missing)
    }

    /// Refuses work on a store that is not there, which would make an empty one.
    ///
    /// # Errors
    /// [`Kind::NotFound`].
    pub(crate) fn store_is_there(&self) -> Result<()> {
        let Some(place) = self.missing_store() else { return Ok(()) };
        Err(Error::new(Kind::NotFound, "there is no store in this place")
            .with("store", place)
            .with_hint("`tidewaiter registry add` makes one; another is named with --store or TIDEWAITER_STORE"))
    }

    /// Looks at what is live.
    ///
    /// # Errors
    /// [`Kind::InvalidState`] of a closed scanner.
    fn with_live<T>(&self, look: impl FnOnce(&Live) -> T) -> Result<T> {
        let live = self.shared.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.as_ref().map(look).ok_or_else(|| Error::new(Kind::InvalidState, "the scanner is closed"))
    }

    /// The store, if there is one yet: a question makes no file.
    fn known_store(&self) -> Result<Option<Store>> {
        let is_there = |place: &str| place.contains("://") || Path::new(place).exists();
        self.shared.store.as_deref().is_some_and(is_there).then(|| self.store()).transpose()
    }

    /// Opens a listing of a registry.
    fn list_registry(
        &self,
        named: Named,
        make: impl FnOnce(&tidewaiter::Scanner, &Registry, &Context) -> BoxStream<'static, Result<Item>> + Send + 'static,
    ) -> Result<Listing> {
        let lookup = self.registry(named)?;
        self.list(|scanner, context| {
            let (scanner, context) = (scanner.clone(), context.clone());
            let listing = async move {
                let registry = lookup.load().await?;
                Ok::<_, Error>(make(&scanner, &registry, &context))
            };
            stream::once(listing).try_flatten().boxed()
        })
    }

    /// Opens a listing.
    pub(crate) fn list(
        &self,
        make: impl FnOnce(&tidewaiter::Scanner, &Context) -> BoxStream<'static, Result<Item>>,
    ) -> Result<Listing> {
        self.usable()?;
        let scanner = self.with_live(|live| live.scanner.clone())?;
        Ok(Listing::new(self.clone(), Source::new(|context| make(&scanner, context))))
    }

    /// Asks a listing for what comes next.
    pub(crate) fn batch(
        &self,
        source: Arc<Source>,
        timeout: Option<Duration>,
        cancel: &Cancel,
    ) -> Result<Pending<Vec<Result<Item>>>> {
        self.call(cancel, timeout, |_, context| async move { source.batch(&context).await })
    }

    /// # Errors
    /// [`Kind::InvalidState`] in a forked child, and from a callback of its own.
    pub(crate) fn usable(&self) -> Result<()> {
        if self.shared.process != std::process::id() {
            return Err(Error::new(Kind::InvalidState, "the scanner was opened before this process was forked")
                .with_hint("open a scanner in the child"));
        }
        if call::is_inside(self.shared.id) {
            return Err(Error::new(Kind::InvalidState, "a callback used the scanner that called it")
                .with_hint("let the call return first, or use another scanner"));
        }
        Ok(())
    }

    fn advisory_file(&self) -> Result<PathBuf> {
        self.shared.advisories.clone().ok_or_else(|| {
            Error::new(Kind::InvalidInput, "there is no home folder, so the advisory database needs a path")
                .with_hint("name the file")
        })
    }

    /// Starts a question to the store; it makes none.
    pub(crate) fn ask<T, W, F>(&self, cancel: &Cancel, work: W) -> Result<Pending<T>>
    where
        T: Send + 'static,
        W: FnOnce(Store) -> F,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let (store, notice) = self.asked_store()?;
        self.call(cancel, None, |_, context| {
            let work = work(store);
            async move {
                notice.into_iter().for_each(|notice| context.emit(notice));
                context.run(work).await
            }
        })
    }

    /// Starts work that rests on the store, and may need advisories.
    pub(crate) fn keep<T, W, F>(&self, cancel: &Cancel, timeout: Option<Duration>, work: W) -> Result<Pending<T>>
    where
        T: Send + 'static,
        W: FnOnce(tidewaiter::Scanner, Context) -> F + Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        self.store()?;
        let exports = self.exports();
        self.call(cancel, timeout, |scanner, context| async move {
            compile(exports, &context).await?;
            work(scanner, context).await
        })
    }

    /// Starts `work` on the scanner's thread.
    pub(crate) fn call<T, W, F>(&self, cancel: &Cancel, timeout: Option<Duration>, work: W) -> Result<Pending<T>>
    where
        T: Send + 'static,
        W: FnOnce(tidewaiter::Scanner, Context) -> F,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        self.usable()?;
        let scanner = self.with_live(|live| live.scanner.clone())?;
        // A switch of this call alone: the caller's may be shared by calls that go on.
        let own = Cancel::new();
        let (pending, answer) = call::call(self.shared.id, self.shared.clone(), own.clone());
        let sink = answer.sink();
        let mut context = Context::new().cancel(own.clone()).on_event(move |event| sink.push(event));
        if let Some(timeout) = timeout {
            context = context.deadline(timeout);
        }
        let work = work(scanner, context);
        let (cancel, closed) = (cancel.clone(), self.shared.closed.clone());
        let work = async move {
            let mut work = Box::pin(work);
            let ended = tokio::select! {
                result = &mut work => Some(result),
                () = cancel.canceled() => None,
                () = closed.canceled() => None,
            };
            // Canceled work ends in order: its threads, files and locks are given back before the answer.
            let result = match ended {
                Some(result) => result,
                None => {
                    own.cancel();
                    work.await
                }
            };
            answer.give(result);
        };
        self.with_live(|live| live.runtime.spawn(work))?;
        Ok(pending)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.closed.cancel();
        if self.process != std::process::id() {
            // In a forked child the threads are gone, and waiting for them would never end.
            std::mem::forget(self.live.get_mut().unwrap_or_else(PoisonError::into_inner).take());
        }
    }
}

impl std::fmt::Debug for Scanner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scanner").field("advisories", &self.shared.advisories).finish_non_exhaustive()
    }
}

/// Compiles exports, where the advisories are some that are not compiled yet.
pub(crate) async fn compile(exports: Option<Exports>, context: &Context) -> Result<()> {
    let Some(exports) = exports else { return Ok(()) };
    let context = context.clone();
    blocking(move || exports.compile(&context)).await
}

/// Runs what blocks on a thread of its own.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::new(Kind::Internal, "a defect ended the call").because(error)),
    }
}

/// An image as it was written: without a host it is in the registry of the call, where that has one.
fn in_registry(written: &str, registry: &Registry) -> Result<Target> {
    let has_host = written.contains("://") || written.split_once('/').is_some_and(|(first, _)| is_address(first));
    match registry.host() {
        Ok(host) if !has_host && host != DOCKER_HUB => format!("{host}/{written}").parse(),
        _ => written.parse(),
    }
}

/// What the database in `file` holds; none where there is no such file.
fn holds(file: &Path) -> Result<Option<AdvisoryProvenance>> {
    match Advisories::open(file) {
        Ok(advisories) => Ok(Some(advisories.provenance())),
        Err(error) if error.kind() == Kind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes the folder that `file` lies in.
fn folder_of(file: &Path) -> Result<()> {
    let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return Ok(()) };
    std::fs::create_dir_all(folder).map_err(|error| {
        Error::new(Kind::Storage, "cannot make the folder of the advisory database")
            .with("path", folder.display())
            .because(error)
    })
}
