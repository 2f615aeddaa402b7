//! The one handle: what a scanner is made of, and what it can be asked.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::advisory_source::AdvisorySource;
use super::lanes::Kit;
use super::layers::Layers;
use super::report::{self, Contents};
use super::room::{Room, Seat};
use super::{image, sbom};
use crate::advisory::Advisories;
use crate::catalog;
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::layer::{Cataloger, InterestTable};
use crate::matching::MatchOptions;
use crate::model::limits::Limits;
use crate::model::report::Report;
use crate::source::{self, DockerArchive, ImageSource, OciArchive, OciLayout, Platforms, Target};
use crate::store::{LayerCache, Store};

#[cfg(feature = "net")]
use super::execute;
#[cfg(feature = "net")]
use super::listing::{self, Listed, Show};
#[cfg(feature = "net")]
use super::place::{Connectors, Places};
#[cfg(feature = "net")]
use crate::registry::{Check, Connector, Registry, check_with};
#[cfg(feature = "net")]
use crate::select::Selection;
#[cfg(feature = "net")]
use futures_util::stream::BoxStream;

/// MiB of the ceiling that are not lanes: the program, TLS, the advisory index, and what images take (`room.rs`).
const BASE_MIB: u64 = 36;
/// MiB that one image in hand may take beside the others, where the ceiling allows no more.
const SMALL_MIB: u64 = 3;
/// The bytes of a manifest or a configuration that are read beside other images. Real ones have some ten thousand.
const DOCUMENT: u64 = 1 << 20;
/// Images in hand at once beyond those that all lanes are busy with: they wait for the registry meanwhile.
pub(super) const WAITING: usize = 2;
/// MiB that one lane may take: pipe, window, blocks, the file buffer.
const LANE_MIB: u64 = 14;
/// The lanes whose memory one layer may need: zstd with a window of 32 MiB.
const WIDEST: u64 = 2;

/// Scans images. Cheap to clone; clones share lanes, memory, cache and connections. `Send` and `Sync`.
///
/// The async methods need a tokio runtime; [`blocking::Scanner`](crate::blocking::Scanner) brings its own.
#[derive(Clone)]
pub struct Scanner(Arc<Inner>);

struct Inner {
    kit: Arc<Kit>,
    layers: Layers,
    room: Room,
    advisories: AdvisorySource,
    store: OnceLock<Store>,
    #[cfg(feature = "net")]
    places: Places,
}

/// What a [`Scanner`] is made of; everything has a default.
#[derive(Default)]
#[must_use]
pub struct ScannerBuilder {
    advisories: AdvisorySource,
    cache: Option<Arc<dyn LayerCache>>,
    store: Option<Store>,
    memory_mib: Option<u64>,
    concurrency: Option<usize>,
    limits: Limits,
    catalogers: Vec<Arc<dyn Cataloger>>,
    #[cfg(feature = "net")]
    connectors: Connectors,
}

/// How one scan differs from the next.
#[derive(Clone, Debug, Default)]
pub struct ScanOptions {
    /// How the registry is reached, and with which credential; by default https and the Docker configuration.
    #[cfg(feature = "net")]
    pub registry: Option<Registry>,
    /// Which platforms of an index.
    pub platforms: Platforms,
    /// Whether foreign layers are fetched from where the manifest says: in the way in which the registry is reached (proxy, authorities,
    /// time-outs), without its credential and its client certificate.
    pub foreign_layers: bool,
    /// Whether findings of packages that a package of the distribution owns are listed too.
    pub include_owned: bool,
}

/// What of an image is scanned: the [`ScanOptions`] besides how it is reached.
#[derive(Default)]
pub(super) struct Scope {
    pub(super) platforms: Platforms,
    pub(super) foreign_layers: bool,
    pub(super) include_owned: bool,
}

impl ScanOptions {
    fn scope(&self) -> Scope {
        let Self { platforms, foreign_layers, include_owned, .. } = self;
        Scope { platforms: platforms.clone(), foreign_layers: *foreign_layers, include_owned: *include_owned }
    }
}

impl ScannerBuilder {
    /// Matches with a database that is open already.
    pub fn advisories(mut self, advisories: Advisories) -> Self {
        self.advisories.set_open(advisories);
        self
    }

    /// Matches with the database in `file`, opened when it is needed and again after it was replaced; it need not exist yet.
    pub fn advisories_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.advisories.set_file(file.into());
        self
    }

    /// Fetches the ecosystems of an image that the database of [`ScannerBuilder::advisories_file`] lacks, from `base_url` or
    /// the public OSV exports. Without this call a scan never goes to the network for advisories.
    pub fn fetch_advisories(mut self, base_url: Option<String>) -> Self {
        self.advisories.set_fetch(base_url);
        self
    }

    /// Keeps what is read of layers, so that a layer that was read once is not read again.
    pub fn layer_cache(mut self, cache: Arc<dyn LayerCache>) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Keeps jobs, runs and reports here, and what is read of layers too, unless there is another cache.
    pub fn store(mut self, store: Store) -> Self {
        self.store = Some(store);
        self
    }

    /// The ceiling of memory in MiB, 64 by default and at least: it decides how many layers are read side by side, and how many images
    /// are in hand. What there is no room for waits; no report depends on it.
    ///
    /// With glibc it holds for crafted images too where the program keeps it from keeping what is free: `MALLOC_TRIM_THRESHOLD_=131072`
    /// and `MALLOC_MMAP_THRESHOLD_=524288` in its environment.
    pub fn memory_mib(mut self, mib: u64) -> Self {
        self.memory_mib = Some(mib);
        self
    }

    /// Reads at most this many layers side by side, however much memory there is.
    pub fn concurrency(mut self, layers: usize) -> Self {
        self.concurrency = Some(layers);
        self
    }

    /// Other limits.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// One more cataloger, behind those of the library.
    pub fn cataloger(mut self, cataloger: Arc<dyn Cataloger>) -> Self {
        self.catalogers.push(cataloger);
        self
    }

    /// Lists the registry at `host`, as references write it, with a connector of one's own: in listings, in explanations and in the
    /// check. How that registry is reached and who we are there stays in its definition; images are pulled as from any registry.
    ///
    /// To write one, see [`Connector`] and `examples/own_connector.rs`.
    #[cfg(feature = "net")]
    pub fn connector(mut self, host: impl Into<String>, connector: Arc<dyn Connector>) -> Self {
        self.connectors.insert(host.into(), connector);
        self
    }

    /// The scanner. No thread starts and nothing is opened before the first scan.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for a ceiling below 64 MiB, two catalogers of one id, or patterns that are none.
    pub fn build(self) -> Result<Scanner> {
        let catalogers: Vec<Arc<dyn Cataloger>> = catalog::ALL
            .iter()
            .map(|cataloger| Arc::new(*cataloger) as Arc<dyn Cataloger>)
            .chain(self.catalogers)
            .collect();
        for (index, cataloger) in catalogers.iter().enumerate() {
            if catalogers.iter().skip(index + 1).any(|other| other.id() == cataloger.id()) {
                return Err(
                    Error::new(Kind::InvalidInput, "two catalogers have one id").with("cataloger", cataloger.id())
                );
            }
        }
        let memory_mib = self.memory_mib.unwrap_or(64);
        let lanes = lanes(memory_mib, self.concurrency)?;
        let table = InterestTable::new(&catalogers)?;
        let kit = Arc::new(Kit { catalogers, table, limits: self.limits });
        let stored = || self.store.clone().map(|store| Arc::new(store) as Arc<dyn LayerCache>);
        let layers = Layers::new(kit.clone(), lanes, self.cache.or_else(stored));
        Ok(Scanner(Arc::new(Inner {
            kit,
            layers,
            room: room(memory_mib, lanes),
            advisories: self.advisories,
            store: self.store.map(OnceLock::from).unwrap_or_default(),
            #[cfg(feature = "net")]
            places: Places::new(self.connectors),
        })))
    }
}

/// How many lanes a ceiling allows: at most two a core, since a lane is two threads that take turns.
fn lanes(memory_mib: u64, concurrency: Option<usize>) -> Result<usize> {
    let lanes = memory_mib.saturating_sub(BASE_MIB) / LANE_MIB;
    if lanes < WIDEST {
        return Err(Error::new(Kind::InvalidInput, "the memory ceiling is too low to read any layer there may be")
            .with("memory_mib", memory_mib)
            .with_hint(format!("give at least {} MiB", BASE_MIB + WIDEST * LANE_MIB)));
    }
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let most = concurrency.unwrap_or(cores).max(1);
    Ok(usize::try_from(lanes).unwrap_or(most).min(most))
}

/// What is left of the ceiling beside lanes is shared by the images in hand.
fn room(memory_mib: u64, lanes: usize) -> Room {
    let seats = lanes + WAITING;
    let left = memory_mib.saturating_sub(BASE_MIB + LANE_MIB * (lanes as u64).max(WIDEST));
    let small = SMALL_MIB + left / seats as u64;
    Room::new(seats, usize::try_from(small << 20).unwrap_or(usize::MAX))
}

impl Scanner {
    /// A scanner with other parts than the default ones.
    pub fn builder() -> ScannerBuilder {
        ScannerBuilder::default()
    }

    /// Scans one image for the platform of this host, with all defaults.
    ///
    /// `target` is what [`Target`] reads: an image reference, `oci:DIR`, `oci-archive:FILE`, `docker-archive:FILE`, `sbom:FILE`.
    ///
    /// # Errors
    /// Those of [`Scanner::scan_with`].
    pub async fn scan(&self, target: &str) -> Result<Report> {
        let reports = self.scan_with(&target.parse()?, &ScanOptions::default(), &Context::new()).await?;
        reports.into_iter().next().ok_or_else(|| Error::new(Kind::Internal, "a scan gave no report"))
    }

    /// Scans one image, and gives one report a platform.
    ///
    /// # Errors
    /// What keeps the image from being read at all, by kind; what is wrong inside of it is a problem of the report.
    pub async fn scan_with(&self, target: &Target, options: &ScanOptions, context: &Context) -> Result<Vec<Report>> {
        let reports = context.run(self.scan_all(target, options, context)).await?;
        if reports.iter().any(|report| report.provenance.advisories.is_none()) {
            self.0.advisories.tell_unmatched(1, context);
        }
        Ok(reports)
    }

    #[tracing::instrument(skip_all, fields(target = %target), err(level = "debug", Display))]
    async fn scan_all(&self, target: &Target, options: &ScanOptions, context: &Context) -> Result<Vec<Report>> {
        if let Target::Sbom(path) = target {
            return Ok(vec![Box::pin(self.scan_sbom(path, options.include_owned, context)).await?]);
        }
        let source = self.open(target, options, context).await?;
        let scope = options.scope();
        let scan = Box::pin(async {
            let seat = self.seat().await?;
            self.scan_in(&seat, source.as_ref(), &scope, context, Ok).await
        });
        #[cfg(feature = "net")]
        if let Some(registry) = &options.registry
            && let Some(time) = crate::context::seconds("image_timeout", registry.image_timeout)?
        {
            return execute::within(time, scan).await;
        }
        scan.await
    }

    /// Scans what `source` names, and does with each report in its lane what is to be done with it.
    pub(super) async fn scan_in<T: Send + 'static>(
        &self,
        seat: &Arc<Seat>,
        source: &dyn ImageSource,
        scope: &Scope,
        context: &Context,
        finish: impl Fn(Report) -> Result<T> + Copy + Send + 'static,
    ) -> Result<Vec<T>> {
        let inner = &self.0;
        let images = self.resolve(seat, source, &scope.platforms, context).await?;
        let mut reports = Vec::with_capacity(images.len());
        for resolved in images {
            let contents = image::read(&inner.layers, seat, source, resolved, scope, context).await?;
            reports.push(self.close(seat, contents, scope.include_owned, context, finish).await?);
        }
        Ok(reports)
    }

    /// Reads the packages that an SBOM lists, and matches them.
    async fn scan_sbom(&self, path: &Path, include_owned: bool, context: &Context) -> Result<Report> {
        let seat = self.seat().await?;
        let within = context.clone();
        let read = move |kit: &Kit, seat: &Seat, path: PathBuf| sbom::read(kit, seat, path, &within);
        let contents = self.0.layers.fit(&seat, path.to_owned(), read).await?;
        self.close(&seat, contents, include_owned, context, Ok).await
    }

    /// Matches what was found in an image, and does with the report in its lane what is to be done with it.
    async fn close<T: Send + 'static>(
        &self,
        seat: &Arc<Seat>,
        contents: Contents,
        include_owned: bool,
        context: &Context,
        finish: impl Fn(Report) -> Result<T> + Copy + Send + 'static,
    ) -> Result<T> {
        let looked = self.0.advisories.get(&contents.inventory, context).await?;
        let matching = MatchOptions { include_owned, now: jiff::Timestamp::now() };
        let context = context.clone();
        let close = move |kit: &Kit, seat: &Seat, contents| {
            report::close(kit, seat, contents, &looked, &matching, &context)?.and(finish)
        };
        self.0.layers.fit(seat, contents, close).await
    }

    /// Resolves what `source` names; where its documents are large, while nothing else goes on.
    async fn resolve(
        &self,
        seat: &Seat,
        source: &dyn ImageSource,
        platforms: &Platforms,
        context: &Context,
    ) -> Result<Vec<source::Resolved>> {
        let limits = &self.0.kit.limits;
        let small = limits.with_documents(DOCUMENT);
        match source::resolve(source, platforms, &small, context).await {
            Err(error) if error.kind() == Kind::LimitExceeded && small != *limits => {}
            resolved => return resolved,
        }
        seat.enlarge().await?;
        let _alone = self.0.layers.alone().await?;
        source::resolve(source, platforms, limits, context).await
    }

    /// A place for an image in hand.
    ///
    /// # Errors
    /// [`Kind::Canceled`].
    pub(super) async fn seat(&self) -> Result<Arc<Seat>> {
        self.0.room.seat().await
    }

    /// Gives a scanner that was built without a store this one, for itself and its clones. What is read of layers is kept there from now
    /// on, whatever cache there was.
    ///
    /// # Errors
    /// [`Kind::InvalidState`] where it has one.
    pub fn set_store(&self, store: Store) -> Result<()> {
        self.0.store.set(store.clone()).map_err(|_| Error::new(Kind::InvalidState, "the scanner has a store"))?;
        self.0.layers.keep_in(Arc::new(store));
        Ok(())
    }

    /// Its store.
    ///
    /// # Errors
    /// [`Kind::InvalidState`] without one.
    pub fn store(&self) -> Result<&Store> {
        self.0.store.get().ok_or_else(|| {
            Error::new(Kind::InvalidState, "the scanner has no store")
                .with_hint("build it with a store, in a file or in memory")
        })
    }

    /// The limits of all scans.
    #[cfg(feature = "net")]
    pub(super) fn limits(&self) -> &Limits {
        &self.0.kit.limits
    }

    /// Does beside the caller's runtime what takes a processor and waits for nothing, in the place of an image.
    ///
    /// # Errors
    /// [`Kind::Internal`] when `work` panics.
    pub(super) async fn compute<T: Send + 'static>(
        &self,
        seat: &Seat,
        work: impl FnOnce(&Kit) -> T + Send + 'static,
    ) -> Result<T> {
        self.0.layers.compute(seat, work).await
    }

    /// How many layers are read side by side.
    pub(super) fn lanes(&self) -> usize {
        self.0.layers.lanes()
    }

    /// The version of each cataloger by its id.
    #[cfg(feature = "net")]
    pub(super) fn catalogers(&self) -> std::collections::BTreeMap<String, u32> {
        self.0.kit.versions()
    }

    /// Where advisories come from.
    pub(super) fn advisory_source(&self) -> &AdvisorySource {
        &self.0.advisories
    }

    /// The registries that are open.
    #[cfg(feature = "net")]
    pub(super) fn places(&self) -> &Places {
        &self.0.places
    }

    async fn open(&self, target: &Target, options: &ScanOptions, context: &Context) -> Result<Box<dyn ImageSource>> {
        let limits = &self.0.kit.limits;
        Ok(match target {
            #[cfg(feature = "net")]
            Target::Registry(image) => {
                Box::new(self.places().image(image, options.registry.as_ref(), limits, context).await?)
            }
            #[cfg(not(feature = "net"))]
            Target::Registry(_) => {
                let _ = options;
                return Err(Error::new(Kind::Unsupported, "this program was built without registries")
                    .with_hint("build it with the feature `net`"));
            }
            Target::OciLayout(path) => Box::new(OciLayout::open(path, limits)?),
            Target::OciArchive(path) => Box::new(OciArchive::open(path, limits, context).await?),
            Target::DockerArchive(path) => Box::new(DockerArchive::open(path, limits, context).await?),
            Target::Sbom(_) => return Err(Error::new(Kind::InvalidInput, "an sbom has no layers")),
            Target::Path(path) if path.is_dir() => Box::new(OciLayout::open(path, limits)?),
            // Which of the two archives a file is, only its content can say.
            Target::Path(path) => match OciArchive::open(path, limits, context).await {
                Ok(archive) => Box::new(archive),
                Err(error) if matches!(error.kind(), Kind::Corrupt | Kind::NotFound | Kind::Unsupported) => {
                    Box::new(DockerArchive::open(path, limits, context).await?)
                }
                Err(error) => return Err(error),
            },
        })
    }

    /// Tells what works between here and a registry, step by step; with a repository also whether it may be pulled.
    ///
    /// # Errors
    /// Only what is wrong with `registry` itself, or a cancel: a step that fails is data.
    #[cfg(feature = "net")]
    pub async fn check(&self, registry: &Registry, repository: Option<&str>, context: &Context) -> Result<Check> {
        context.run(check_with(registry, self.places().own(registry), repository, context)).await
    }
}

/// Registries as a whole.
#[cfg(feature = "net")]
impl Scanner {
    /// The images of a registry that a selection chooses, repository by repository as each is complete: pages are fetched as the
    /// stream is polled, and memory is bounded by the largest repository.
    ///
    /// A repository that cannot be listed is told as an event, the others go on, and the error comes last.
    ///
    /// ```no_run
    /// use futures_util::TryStreamExt;
    /// use tidewaiter::{Registry, Scanner, Selection};
    /// # async fn list() -> tidewaiter::Result<()> {
    /// let scanner = Scanner::builder().build()?;
    /// let registry = Registry::docker("https://registry.example");
    /// let selection = Selection::new().repositories(["team/*"])?.tags(["v*"])?;
    /// let mut images = scanner.images(&registry, &selection);
    /// while let Some(image) = images.try_next().await? {
    ///     println!("{} {} ({})", image.reference, image.record.date, image.verdict);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn images(&self, registry: &Registry, selection: &Selection) -> BoxStream<'static, Result<Listed>> {
        self.images_with(registry, selection, &Context::new())
    }

    /// The same with cancellation, a deadline and events.
    pub fn images_with(
        &self,
        registry: &Registry,
        selection: &Selection,
        context: &Context,
    ) -> BoxStream<'static, Result<Listed>> {
        listing::images(self.clone(), registry.clone(), selection.clone(), Show::Selected, context.clone())
    }

    /// All images of the repositories that a selection names, also those that it leaves out, each with the reason.
    pub fn explain(
        &self,
        registry: &Registry,
        selection: &Selection,
        context: &Context,
    ) -> BoxStream<'static, Result<Listed>> {
        listing::images(self.clone(), registry.clone(), selection.clone(), Show::All, context.clone())
    }

    /// The repositories that a selection names, page by page as they come. One that names none is an error with what is near.
    ///
    /// # Errors
    /// The stream's: [`Kind::InvalidInput`] for a selection that chooses among images, those of the registry,
    /// and at the end [`Kind::NotFound`] where a repository that is named does not exist.
    pub fn repositories(
        &self,
        registry: &Registry,
        selection: &Selection,
        context: &Context,
    ) -> BoxStream<'static, Result<String>> {
        listing::repositories(self.clone(), registry.clone(), selection.clone(), context.clone())
    }
}

impl std::fmt::Debug for Scanner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scanner").field("lanes", &self.0.layers.lanes()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_decides_the_lanes() {
        assert_eq!(lanes(64, Some(8)).unwrap(), 2);
        assert_eq!(lanes(64, Some(1)).unwrap(), 1);
        assert_eq!(lanes(1024, Some(8)).unwrap(), 8);
        assert_eq!(lanes(63, None).unwrap_err().kind(), Kind::InvalidInput);
    }

    #[test]
    fn a_scanner_is_a_handle() {
        fn is_handle<T: Clone + Send + Sync + 'static>() {}
        is_handle::<Scanner>();
    }
}
