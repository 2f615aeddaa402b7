//! Events: how far a long call has come.

use super::digest::Digest;
use super::problem::Problem;

/// Something that happened during a call. Byte progress may be folded: only the latest counts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The image is resolved; these are its layers' digests and sizes.
    ImageResolved {
        /// The reference as it was asked for.
        image: String,
        /// The digest of the manifest.
        digest: Digest,
        /// Each layer with its size in bytes.
        layers: Vec<(Digest, Option<u64>)>,
    },
    /// So many bytes of a layer have arrived.
    LayerProgress {
        /// The layer.
        digest: Digest,
        /// Bytes so far.
        bytes: u64,
        /// Bytes in all.
        total: Option<u64>,
    },
    /// A layer is read and verified, or came from the cache.
    LayerDone {
        /// The layer.
        digest: Digest,
        /// Whether it came from the cache.
        cached: bool,
    },
    /// The scan of an image is done.
    ImageDone {
        /// The reference as it was asked for.
        image: String,
        /// How many packages were found.
        packages: usize,
        /// How many findings there are.
        findings: usize,
    },
    /// A repository is listed.
    RepositoryListed {
        /// The repository.
        repository: String,
        /// How many images it has.
        images: usize,
    },
    /// A repository cannot be listed; the others go on.
    RepositoryFailed {
        /// The repository.
        repository: String,
        /// Why, one line.
        message: String,
    },
    /// Something could not be looked at.
    Problem(Problem),
    /// A registry answers less than it could, such as no dates, or the store does not answer now: one line that says what and why, and
    /// what to do.
    Notice {
        /// What and why, one lower-case line.
        message: String,
        /// What to do about it.
        hint: String,
    },
    /// A run of a job begins.
    RunBegun {
        /// The job.
        job: String,
        /// The number of the run.
        run: i64,
    },
    /// All images that a run looks at are known.
    RunPlanned {
        /// The job.
        job: String,
        /// The number of the run.
        run: i64,
        /// Images that are listed.
        listed: u64,
        /// Those that the selection means.
        selected: u64,
        /// Those that are looked at.
        items: u64,
    },
    /// A run of a job that was worked on here is over.
    RunEnded {
        /// The job.
        job: String,
        /// The number of the run.
        run: i64,
        /// `Finished`, `Canceled` or `Error`.
        state: &'static str,
        /// Images that were pulled and scanned.
        scanned: u64,
        /// Images whose stored inventory was taken to be matched again.
        rematched: u64,
        /// Images that could not be scanned.
        failed: u64,
        /// Images of which not everything could be looked at, or matched.
        incomplete: u64,
        /// Images for which there was no advisory database.
        unmatched: u64,
        /// Findings that were not there before.
        new_findings: u64,
        /// Findings that are gone.
        fixed_findings: u64,
        /// Why the registry could not be listed, or parts of it.
        error: Option<String>,
    },
    /// What came of an image is in the store.
    ImageCommitted {
        /// The registry.
        registry: String,
        /// The repository.
        repository: String,
        /// The digest.
        digest: Digest,
        /// `scanned`, `rematched`, `not-an-image`, `platform` or `failed`.
        outcome: &'static str,
        /// Why it is not scanned, one line.
        error: Option<String>,
    },
    /// A scan or a match found other findings in an image than were known.
    FindingsChanged {
        /// The registry.
        registry: String,
        /// The repository.
        repository: String,
        /// The digest.
        digest: Digest,
        /// Findings that were not there before.
        new: u64,
        /// Findings that are gone.
        fixed: u64,
    },
    /// So many stored images were held against today's advisories.
    RematchProgress {
        /// Images so far.
        images: u64,
    },
    /// Advisories are on their way: of one ecosystem, so many bytes.
    AdvisoriesProgress {
        /// The ecosystem.
        ecosystem: String,
        /// Bytes, or records when they are imported, so far.
        done: u64,
        /// In all, where it is known.
        total: Option<u64>,
    },
}
