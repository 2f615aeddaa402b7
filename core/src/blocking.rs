//! The same scanner without async: for programs that have no runtime and want none.

use std::future::Future;
use std::sync::{Arc, mpsc};

#[cfg(feature = "net")]
use futures_util::TryStreamExt as _;
#[cfg(feature = "net")]
use futures_util::stream::BoxStream;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::context::Context;
use crate::engine::Rematched;
use crate::engine::scanner::{ScanOptions, Scanner as AsyncScanner, ScannerBuilder};
#[cfg(feature = "net")]
use crate::engine::{Listed, WorkerOptions};
use crate::error::{Error, Kind, Result};
use crate::job::{Commit, Done};
#[cfg(feature = "net")]
use crate::job::{Item, Job, Run, RunOptions, Summary};
use crate::model::report::Report;
#[cfg(feature = "net")]
use crate::registry::{Check, Registry};
#[cfg(feature = "net")]
use crate::select::Selection;
use crate::source::Target;
use crate::store::Store;

/// A [`Scanner`](crate::Scanner) with a runtime of its own, on a thread of its own; every method waits until it is done.
/// Cheap to clone, and safe to call from any thread, also from one that runs async code, which it then blocks.
#[derive(Clone, Debug)]
pub struct Scanner {
    scanner: AsyncScanner,
    runtime: Arc<Runtime>,
}

/// The thread that drives the network. It ends with the last handle.
#[derive(Debug)]
struct Runtime {
    handle: Handle,
    _alive: oneshot::Sender<()>,
}

impl Scanner {
    /// Builds the scanner and starts its runtime.
    ///
    /// # Errors
    /// Those of [`ScannerBuilder::build`], or [`Kind::Unavailable`] where the system gives no thread.
    pub fn new(builder: ScannerBuilder) -> Result<Self> {
        let scanner = builder.build()?;
        let failed =
            |error: std::io::Error| Error::new(Kind::Unavailable, "a runtime cannot be started").because(error);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let handle = runtime.handle().clone();
        let (alive, ended) = oneshot::channel::<()>();
        let drive = move || {
            // Ends when the sender is dropped; what is still running then is dropped with the runtime.
            let _ = runtime.block_on(ended);
        };
        std::thread::Builder::new().name("tidewaiter-net".to_owned()).spawn(drive).map_err(failed)?;
        Ok(Self { scanner, runtime: Arc::new(Runtime { handle, _alive: alive }) })
    }

    /// Runs `work` on the runtime's thread and waits for it.
    fn wait<T: Send + 'static>(&self, work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
        let (answer, done) = mpsc::sync_channel(1);
        self.runtime.handle.spawn(async move {
            // Nobody waits any more only when the waiting thread is gone.
            let _ = answer.send(work.await);
        });
        done.recv().map_err(|_| Error::new(Kind::Internal, "the work ended without an answer"))?
    }

    /// See [`Scanner::scan`](crate::Scanner::scan).
    ///
    /// # Errors
    /// The same.
    pub fn scan(&self, target: &str) -> Result<Report> {
        let (scanner, target) = (self.scanner.clone(), target.to_owned());
        self.wait(async move { scanner.scan(&target).await })
    }

    /// See [`Scanner::scan_with`](crate::Scanner::scan_with).
    ///
    /// # Errors
    /// The same.
    pub fn scan_with(&self, target: &Target, options: &ScanOptions, context: &Context) -> Result<Vec<Report>> {
        let (scanner, target) = (self.scanner.clone(), target.clone());
        let (options, context) = (options.clone(), context.clone());
        self.wait(async move { scanner.scan_with(&target, &options, &context).await })
    }

    /// See [`Scanner::check`](crate::Scanner::check).
    ///
    /// # Errors
    /// The same.
    #[cfg(feature = "net")]
    pub fn check(&self, registry: &Registry, repository: Option<&str>, context: &Context) -> Result<Check> {
        let (scanner, registry) = (self.scanner.clone(), registry.clone());
        let (repository, context) = (repository.map(str::to_owned), context.clone());
        self.wait(async move { scanner.check(&registry, repository.as_deref(), &context).await })
    }

    /// See [`Scanner::images`](crate::Scanner::images): the images that a selection chooses, as an iterator.
    ///
    /// ```no_run
    /// use tidewaiter::{Registry, Scanner, Selection, blocking};
    /// let scanner = blocking::Scanner::new(Scanner::builder())?;
    /// let registry = Registry::docker("https://registry.example");
    /// for image in scanner.images(&registry, &Selection::new().repositories(["team/*"])?) {
    ///     println!("{}", image?);
    /// }
    /// # Ok::<(), tidewaiter::Error>(())
    /// ```
    #[cfg(feature = "net")]
    pub fn images(&self, registry: &Registry, selection: &Selection) -> Listing<Listed> {
        self.listing(self.scanner.images(registry, selection))
    }

    /// See [`Scanner::images_with`](crate::Scanner::images_with).
    #[cfg(feature = "net")]
    pub fn images_with(&self, registry: &Registry, selection: &Selection, context: &Context) -> Listing<Listed> {
        self.listing(self.scanner.images_with(registry, selection, context))
    }

    /// See [`Scanner::explain`](crate::Scanner::explain).
    #[cfg(feature = "net")]
    pub fn explain(&self, registry: &Registry, selection: &Selection, context: &Context) -> Listing<Listed> {
        self.listing(self.scanner.explain(registry, selection, context))
    }

    /// See [`Scanner::repositories`](crate::Scanner::repositories).
    #[cfg(feature = "net")]
    pub fn repositories(&self, registry: &Registry, selection: &Selection, context: &Context) -> Listing<String> {
        self.listing(self.scanner.repositories(registry, selection, context))
    }

    /// See [`Scanner::store`](crate::Scanner::store); [`block_on`](Self::block_on) asks it.
    ///
    /// # Errors
    /// The same.
    pub fn store(&self) -> Result<&Store> {
        self.scanner.store()
    }

    /// See [`Scanner::set_store`](crate::Scanner::set_store).
    ///
    /// # Errors
    /// The same.
    pub fn set_store(&self, store: Store) -> Result<()> {
        self.scanner.set_store(store)
    }

    /// Runs any work on the runtime of the scanner and waits for it: how a [`Store`] is asked without async.
    ///
    /// ```
    /// use tidewaiter::{Scanner, Store, blocking};
    /// let scanner = blocking::Scanner::new(Scanner::builder())?;
    /// scanner.set_store(Store::memory()?)?;
    /// let store = scanner.store()?.clone();
    /// assert!(scanner.block_on(async move { store.jobs().await })?.is_empty());
    /// # Ok::<(), tidewaiter::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of `work`.
    pub fn block_on<T: Send + 'static>(&self, work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
        self.wait(work)
    }

    /// See [`Scanner::commit`](crate::Scanner::commit).
    ///
    /// # Errors
    /// The same.
    pub fn commit(&self, done: &Done, context: &Context) -> Result<Commit> {
        let (scanner, done, context) = (self.scanner.clone(), done.clone(), context.clone());
        self.wait(async move { scanner.commit(&done, &context).await })
    }

    /// See [`Scanner::rematch`](crate::Scanner::rematch).
    ///
    /// # Errors
    /// The same.
    pub fn rematch(&self, registry: Option<&str>, context: &Context) -> Result<Rematched> {
        let (scanner, registry, context) = (self.scanner.clone(), registry.map(str::to_owned), context.clone());
        self.wait(async move { scanner.rematch(registry.as_deref(), &context).await })
    }

    #[cfg(feature = "net")]
    fn listing<T>(&self, stream: BoxStream<'static, Result<T>>) -> Listing<T> {
        Listing { scanner: self.clone(), stream: Arc::new(tokio::sync::Mutex::new(stream)) }
    }
}

/// Jobs.
#[cfg(feature = "net")]
impl Scanner {
    /// See [`Scanner::check_job`](crate::Scanner::check_job).
    ///
    /// # Errors
    /// The same.
    pub fn check_job(&self, job: &Job) -> Result<()> {
        let (scanner, job) = (self.scanner.clone(), job.clone());
        self.wait(async move { scanner.check_job(&job).await })
    }

    /// See [`Scanner::start`](crate::Scanner::start).
    ///
    /// # Errors
    /// The same.
    pub fn start(&self, job: &str, options: RunOptions) -> Result<Run> {
        let (scanner, job) = (self.scanner.clone(), job.to_owned());
        self.wait(async move { scanner.start(&job, options).await })
    }

    /// See [`Scanner::start_again`](crate::Scanner::start_again).
    ///
    /// # Errors
    /// The same.
    pub fn start_again(&self, job: &str) -> Result<Run> {
        let (scanner, job) = (self.scanner.clone(), job.to_owned());
        self.wait(async move { scanner.start_again(&job).await })
    }

    /// See [`Scanner::follow`](crate::Scanner::follow).
    ///
    /// # Errors
    /// The same.
    pub fn follow(&self, run: i64, context: &Context) -> Result<Summary> {
        let (scanner, context) = (self.scanner.clone(), context.clone());
        self.wait(async move { scanner.follow(run, &context).await })
    }

    /// See [`Scanner::run`](crate::Scanner::run).
    ///
    /// # Errors
    /// The same.
    pub fn run(&self, job: &str, options: RunOptions, context: &Context) -> Result<Summary> {
        let (scanner, job, context) = (self.scanner.clone(), job.to_owned(), context.clone());
        self.wait(async move { scanner.run(&job, options, &context).await })
    }

    /// See [`Scanner::restart`](crate::Scanner::restart).
    ///
    /// # Errors
    /// The same.
    pub fn restart(&self, job: &str, context: &Context) -> Result<Summary> {
        let (scanner, job, context) = (self.scanner.clone(), job.to_owned(), context.clone());
        self.wait(async move { scanner.restart(&job, &context).await })
    }

    /// See [`Scanner::work`](crate::Scanner::work).
    ///
    /// # Errors
    /// The same.
    pub fn work(&self, options: &WorkerOptions, context: &Context) -> Result<()> {
        let (scanner, options, context) = (self.scanner.clone(), options.clone(), context.clone());
        self.wait(async move { scanner.work(&options, &context).await })
    }

    /// See [`Scanner::plan`](crate::Scanner::plan).
    ///
    /// # Errors
    /// The same.
    pub fn plan(&self, run: i64, context: &Context) -> Result<Run> {
        let (scanner, context) = (self.scanner.clone(), context.clone());
        self.wait(async move { scanner.plan(run, &context).await })
    }

    /// See [`Scanner::execute`](crate::Scanner::execute).
    ///
    /// # Errors
    /// The same.
    pub fn execute(&self, item: &Item, context: &Context) -> Result<Done> {
        let (scanner, item, context) = (self.scanner.clone(), item.clone(), context.clone());
        self.wait(async move { scanner.execute(&item, &context).await })
    }

    /// See [`Scanner::explain_job`](crate::Scanner::explain_job).
    pub fn explain_job(&self, job: &str, context: &Context) -> Listing<Listed> {
        self.listing(self.scanner.explain_job(job, context))
    }
}

/// What a registry holds, one by one as it becomes known.
#[cfg(feature = "net")]
pub struct Listing<T> {
    scanner: Scanner,
    stream: Arc<tokio::sync::Mutex<BoxStream<'static, Result<T>>>>,
}

#[cfg(feature = "net")]
impl<T: Send + 'static> Iterator for Listing<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        let stream = Arc::clone(&self.stream);
        self.scanner.wait(async move { stream.lock().await.try_next().await }).transpose()
    }
}
