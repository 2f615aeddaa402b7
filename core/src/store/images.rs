//! What registries list, and what jobs have scanned of it.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::Store;
use super::database::{Row, json};
use crate::error::Result;
use crate::model::digest::Digest;
use crate::model::record::{ImageDate, ImageRecord};
use crate::select::Outcome;

/// What is kept of a listed image besides its tags.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// The media type of the manifest or index.
    pub media_type: String,
    /// The size in bytes.
    pub size: Option<u64>,
    /// The date.
    pub date: ImageDate,
}

/// What is known of the images of one repository before it is listed again.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// What came of each that the job has tried.
    pub outcomes: Vec<(Digest, Outcome)>,
    /// The catalogers that made the stored reports of each.
    pub catalogers: HashMap<Digest, String>,
    /// What the registry said of each when it was listed last.
    pub listed: HashMap<Digest, Listing>,
}

impl Store {
    /// What `job` knows of the images of a repository of `registry`.
    ///
    /// # Errors
    /// [`Kind::Storage`](crate::Kind::Storage).
    pub async fn known(&self, job: &str, registry: &str, repository: &str) -> Result<Known> {
        let mut session = self.read().await?;
        let statement = "SELECT digest, outcome FROM baseline WHERE job = $1 AND repository = $2";
        let rows = session.query(statement, vec![job.into(), repository.into()]).await?;
        let outcome = |mut row: Row| Ok((row.parse::<Digest>()?, read_outcome(&row.text()?)));
        let outcomes = rows.into_iter().map(outcome).collect::<Result<_>>()?;
        let statement = "SELECT digest, catalogers FROM report WHERE registry = $1 AND repository = $2";
        let rows = session.query(statement, vec![registry.into(), repository.into()]).await?;
        let catalogers = rows.into_iter().map(|mut row| Ok((row.parse()?, row.text()?))).collect::<Result<_>>()?;
        let statement = "SELECT digest, listed FROM image WHERE registry = $1 AND repository = $2";
        let rows = session.query(statement, vec![registry.into(), repository.into()]).await?;
        let listed = rows.into_iter().map(|mut row| Ok((row.parse()?, row.json()?))).collect::<Result<_>>()?;
        Ok(Known { outcomes, catalogers, listed })
    }

    /// Notes what a repository lists. With `is_whole`, images that are not among `records` are gone.
    ///
    /// # Errors
    /// [`Kind::Storage`](crate::Kind::Storage).
    pub async fn list_images(
        &self,
        registry: &str,
        repository: &str,
        records: &[ImageRecord],
        is_whole: bool,
    ) -> Result<()> {
        let mut session = self.write_soon().await?;
        let statement = "SELECT digest, tags, listed, gone FROM image WHERE registry = $1 AND repository = $2";
        let mut known = HashMap::new();
        for mut row in session.query(statement, vec![registry.into(), repository.into()]).await? {
            known.insert(row.text()?, (row.text()?, row.text()?, row.maybe_int()?.is_some()));
        }
        let mut listed = HashSet::with_capacity(records.len());
        let mut changed = Vec::new();
        for record in records {
            let digest = record.digest.to_string();
            let (tags, listing) = (text(&record.tags)?, text(&Listing::of(record))?);
            let is_same = known.get(&digest).is_some_and(|(known_tags, known_listing, is_gone)| {
                !is_gone && *known_tags == tags && *known_listing == listing
            });
            if !is_same {
                let values =
                    vec![registry.into(), repository.into(), digest.as_str().into(), tags.into(), listing.into()];
                changed.push(values);
            }
            listed.insert(digest);
        }
        let statement =
            "INSERT INTO image (registry, repository, digest, tags, listed, seen) VALUES ($1, $2, $3, $4, $5, {now})
            ON CONFLICT (registry, repository, digest) DO UPDATE
            SET tags = excluded.tags, listed = excluded.listed, seen = excluded.seen, gone = NULL";
        session.each(statement, changed).await?;
        if is_whole {
            let is_gone =
                |(digest, (_, _, is_gone)): &(&String, &(String, String, bool))| !is_gone && !listed.contains(*digest);
            let gone: Vec<_> = known
                .iter()
                .filter(is_gone)
                .map(|(digest, _)| vec![registry.into(), repository.into(), digest.as_str().into()])
                .collect();
            let statement = "UPDATE image SET gone = {now} WHERE registry = $1 AND repository = $2 AND digest = $3";
            session.each(statement, gone).await?;
        }
        session.commit().await
    }

    /// The repositories of a registry that have images which are not gone.
    ///
    /// # Errors
    /// [`Kind::Storage`](crate::Kind::Storage).
    pub async fn known_repositories(&self, registry: &str) -> Result<Vec<String>> {
        let statement =
            "SELECT DISTINCT repository FROM image WHERE registry = $1 AND gone IS NULL ORDER BY repository";
        let rows = self.read().await?.query(statement, vec![registry.into()]).await?;
        rows.into_iter().map(|mut row| row.text()).collect()
    }
}

impl Listing {
    fn of(record: &ImageRecord) -> Self {
        Self { media_type: record.media_type.clone(), size: record.size, date: record.date }
    }
}

fn text(value: &impl Serialize) -> Result<String> {
    Row::new(vec![json(value)?]).text()
}

/// An outcome as the baseline has it.
pub(super) fn write_outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Scanned => "scanned",
        Outcome::Failed => "failed",
        Outcome::NotAnImage => "not-an-image",
        Outcome::NoPlatform => "platform",
    }
}

/// What cannot be read counts as failed, and is tried again.
fn read_outcome(text: &str) -> Outcome {
    let all = [Outcome::Scanned, Outcome::NotAnImage, Outcome::NoPlatform];
    all.into_iter().find(|outcome| write_outcome(*outcome) == text).unwrap_or(Outcome::Failed)
}
