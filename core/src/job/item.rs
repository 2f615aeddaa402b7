//! One image to look at, and what came of it: values that travel between machines.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::pack::{pack, unpack};
use crate::error::{Error, Result, short};
use crate::model::digest::Digest;
use crate::model::record::ImageRecord;
use crate::model::report::Report;
use crate::select::{Reason, Verdict};

/// One image that a run is to look at. Anyone who can reach the registry can do it, and doing it twice does no harm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// The number of the run.
    pub run: i64,
    /// The name of the job.
    pub job: String,
    /// The name of the registry.
    pub registry: String,
    /// The definition of the registry, with references to credentials, never secrets.
    pub definition: Value,
    /// The image.
    pub image: ImageRecord,
    /// Scan, or match again.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// The platforms that are wanted; empty means all.
    pub platforms: Vec<String>,
    /// The number of the lease. What comes of an item counts only while this is its latest one.
    pub token: i64,
}

/// What came of an [`Item`], to be committed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Done {
    /// The number of the run.
    pub run: i64,
    /// The repository.
    pub repository: String,
    /// The digest.
    pub digest: Digest,
    /// The number of the lease.
    pub token: i64,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of looking at an image.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was scanned: a report a platform.
    Scanned(Vec<Packed>),
    /// Its stored inventory is to be held against today's advisories, which the commit does.
    Rematch,
    /// It is no image, such as a chart.
    NotAnImage(Failure),
    /// It has none of the platforms.
    NoPlatform(Failure),
    /// It could not be scanned.
    Failed(Failure),
}

/// Why an image could not be scanned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The kind, such as `unavailable`.
    pub kind: String,
    /// One line.
    pub message: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// The most bytes of a message: there is one an image.
const MAX_MESSAGE: usize = 4096;

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self {
            kind: error.kind().as_str().to_owned(),
            message: short(error, MAX_MESSAGE),
            hint: error.hint().map(str::to_owned),
        }
    }
}

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Commit {
    /// It counts.
    Taken,
    /// Somebody committed the same image of the same run before; nothing was changed.
    Before,
}

/// A report as bytes. In JSON it is base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed(Vec<u8>);

impl Packed {
    /// Packs a report.
    ///
    /// # Errors
    /// [`Kind::Internal`](crate::Kind::Internal).
    pub fn new(report: &Report) -> Result<Self> {
        pack(report).map(Self)
    }

    /// How many bytes it has.
    pub(crate) fn size(&self) -> usize {
        self.0.len()
    }

    /// The report.
    ///
    /// # Errors
    /// [`Kind::Corrupt`](crate::Kind::Corrupt) for bytes that are none, or of another version of this program.
    pub fn report(&self) -> Result<Report> {
        let mut report: Report = unpack(&self.0)?;
        report.link();
        Ok(report)
    }
}

impl Serialize for Packed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Packed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        STANDARD.decode(text.as_ref()).map(Self).map_err(serde::de::Error::custom)
    }
}
