//! What is known once everything is read: records on a pile, rows in sorted runs, and which of them count.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io::{BufWriter, Read, Seek as _, SeekFrom, Write as _};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::runs::{Runs, storage};
use crate::advisory::database::{Advisories, Contents, Holding, LARGEST_CONTENTS, Replacement, Writer, encode};
use crate::advisory::name;
use crate::advisory::osv::Parsed;
use crate::advisory::record::{Affected, Record, RecordId};
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::model::ecosystem;

/// A record on the pile: one version of it, from one input.
struct Version {
    /// The record's id, by its place among all ids.
    id: u32,
    length: u32,
    modified: Timestamp,
}

/// That a version of a record concerns an ecosystem.
struct Claim {
    version: u32,
    ecosystem: u16,
    /// Whether its input brings that ecosystem.
    brought: bool,
}

/// A row in a run.
#[derive(Serialize, Deserialize)]
struct Row {
    version: u32,
    ecosystem: u16,
    affected: Affected,
}

/// The releases that the rows of each ecosystem concern.
#[derive(Default)]
struct Releases {
    sets: BTreeMap<u16, BTreeSet<String>>,
    bytes: u64,
}

impl Releases {
    fn insert(&mut self, ecosystem: u16, release: &str) -> Result<()> {
        let set = self.sets.entry(ecosystem).or_default();
        if !set.contains(release) {
            self.bytes += release.len() as u64;
            if self.bytes > LARGEST_CONTENTS {
                return Err(Error::new(
                    Kind::LimitExceeded,
                    "the advisories concern more releases than a database can hold",
                ));
            }
            set.insert(release.to_owned());
        }
        Ok(())
    }
}

/// Everything that was read so far.
pub(super) struct Gathered {
    pile: BufWriter<File>,
    rows: Runs,
    ids: HashMap<Box<str>, u32>,
    ecosystems: Vec<String>,
    /// The place of each of them.
    places: HashMap<String, u16>,
    versions: Vec<Version>,
    claims: Vec<Claim>,
    /// The ecosystems of the version that rows come for.
    claimed: (u32, HashSet<u16>),
    digest: Sha256,
    /// Where the claims and the versions of the current input begin.
    input: (usize, usize),
}

impl Gathered {
    pub(super) fn new(replacement: &Replacement) -> Result<Self> {
        Ok(Self {
            pile: BufWriter::with_capacity(256 << 10, replacement.scratch(".records")?),
            rows: Runs::new(replacement.scratch(".rows")?),
            ids: HashMap::new(),
            ecosystems: Vec::new(),
            places: HashMap::new(),
            versions: Vec::new(),
            claims: Vec::new(),
            claimed: (0, HashSet::new()),
            digest: Sha256::new(),
            input: (0, 0),
        })
    }

    /// Takes one record of the current input.
    pub(super) fn take(&mut self, parsed: Parsed) -> Result<()> {
        let version = self.version(&parsed.record)?;
        for (ecosystem, package, affected) in parsed.packages {
            if let Some(key) = name::key(&ecosystem, &package) {
                self.row(&key, version, affected)?;
            }
        }
        Ok(())
    }

    /// Keeps what the database holds of the ecosystems that nothing brought.
    pub(super) fn keep(&mut self, before: &Advisories, context: &Context) -> Result<()> {
        let brought = self.brought();
        let mut known: HashMap<RecordId, u32> = HashMap::new();
        before.packages(|key, affected| {
            if brought.contains(name::ecosystem_of(key)) {
                return Ok(());
            }
            context.check()?;
            let version = match known.get(&affected.record) {
                Some(version) => *version,
                None => {
                    let version = self.version(&before.record(affected.record)?)?;
                    known.insert(affected.record, version);
                    version
                }
            };
            self.row(key, version, affected)
        })?;
        for claim in self.claims.get_mut(self.input.0..).unwrap_or_default() {
            claim.brought = true;
        }
        Ok(())
    }

    /// Ends an input and settles which ecosystems it brings: `only` that one, else the only one that all its records
    /// concern, of several such the one that `names` mention, else all that are named.
    pub(super) fn end_input(&mut self, only: Option<&str>, names: &[&str]) {
        let records = self.versions.len() - self.input.1;
        let claims = self.claims.get_mut(self.input.0..).unwrap_or_default();
        let mut counts: HashMap<u16, usize> = HashMap::new();
        for claim in &*claims {
            *counts.entry(claim.ecosystem).or_default() += 1;
        }
        let place = |ecosystem: &str| self.places.get(ecosystem).map(|place| usize::from(*place));
        let common = || counts.iter().filter(|(_, count)| **count == records).map(|(place, _)| usize::from(*place));
        let only = match only {
            Some(only) => Some(place(only)),
            None if common().count() == 1 => Some(common().next()),
            None => names
                .iter()
                .filter_map(|name| place(name))
                .find(|place| common().any(|common| common == *place))
                .map(Some),
        };
        for claim in claims {
            claim.brought = only.is_none_or(|only| only == Some(usize::from(claim.ecosystem)));
        }
        self.input = (self.claims.len(), self.versions.len());
    }

    /// The ecosystems that the inputs bring.
    pub(super) fn brought(&self) -> BTreeSet<String> {
        let brought: HashSet<u16> =
            self.claims.iter().filter(|claim| claim.brought).map(|claim| claim.ecosystem).collect();
        brought.into_iter().filter_map(|ecosystem| self.ecosystems.get(usize::from(ecosystem)).cloned()).collect()
    }

    fn version(&mut self, record: &Record) -> Result<u32> {
        let full = || Error::new(Kind::LimitExceeded, "there are more than four thousand million records");
        let id = match self.ids.get(record.id.as_str()) {
            Some(id) => *id,
            None => {
                let id = u32::try_from(self.ids.len()).map_err(|_| full())?;
                self.ids.insert(record.id.as_str().into(), id);
                id
            }
        };
        let encoded = encode(record)?;
        self.digest.update((encoded.len() as u64).to_le_bytes());
        self.digest.update(&encoded);
        self.pile.write_all(&encoded).map_err(storage)?;
        let modified = record.modified.parse().unwrap_or(Timestamp::MIN);
        let length = u32::try_from(encoded.len()).map_err(|_| full())?;
        self.versions.push(Version { id, length, modified });
        u32::try_from(self.versions.len() - 1).map_err(|_| full())
    }

    fn row(&mut self, key: &[u8], version: u32, affected: Affected) -> Result<()> {
        let ecosystem = name::ecosystem_of(key);
        let ecosystem = match self.places.get(ecosystem) {
            Some(place) => *place,
            None => {
                let place = u16::try_from(self.ecosystems.len())
                    .map_err(|_| Error::new(Kind::LimitExceeded, "the records name more than 65,536 ecosystems"))?;
                self.ecosystems.push(ecosystem.to_owned());
                self.places.insert(ecosystem.to_owned(), place);
                place
            }
        };
        if self.claimed.0 != version {
            self.claimed = (version, HashSet::new());
        }
        if self.claimed.1.insert(ecosystem) {
            self.claims.push(Claim { version, ecosystem, brought: false });
        }
        let row = encode(&Row { version, ecosystem, affected })?;
        self.digest.update((key.len() as u64).to_le_bytes());
        self.digest.update(key);
        self.digest.update(&row);
        self.rows.push(key, &row)
    }

    /// Of each record, for each ecosystem, the version that counts: the one modified last, and of equals the last.
    fn newest(&self) -> HashMap<(u32, u16), u32> {
        let version = |index: u32| self.versions.get(index as usize);
        let mut newest: HashMap<(u32, u16), u32> = HashMap::with_capacity(self.claims.len());
        for claim in self.claims.iter().filter(|claim| claim.brought) {
            let Some(this) = version(claim.version) else { continue };
            let best = newest.entry((this.id, claim.ecosystem)).or_insert(claim.version);
            if version(*best).is_some_and(|best| this.modified >= best.modified) {
                *best = claim.version;
            }
        }
        newest
    }

    /// Writes the database and says what it holds; `complete` adds to that what is known besides.
    pub(super) fn write(
        mut self,
        replacement: Replacement,
        built: &str,
        context: &Context,
        complete: impl FnOnce(&mut BTreeMap<String, Holding>),
    ) -> Result<BTreeMap<String, Holding>> {
        let newest = self.newest();
        let mut holdings = BTreeMap::new();
        self.digest.update(built);
        let mut generation = [0; 16];
        let digest = std::mem::take(&mut self.digest).finalize();
        generation.iter_mut().zip(digest.iter()).for_each(|(to, from)| *to = *from);
        let mut writer = Writer::begin(replacement, generation)?;

        let places = self.write_records(&newest, &mut writer, &mut holdings, context)?;

        let mut package = Vec::new();
        let Self { rows, versions, ecosystems, .. } = self;
        let mut releases = Releases::default();
        rows.merge(|key, row| {
            context.check()?;
            let Row { version, ecosystem, mut affected } = postcard::from_bytes(row)
                .map_err(|error| Error::new(Kind::Internal, "a row cannot be read back").because(error))?;
            let Some(id) = versions.get(version as usize).map(|version| version.id) else { return Ok(()) };
            if newest.get(&(id, ecosystem)) != Some(&version) {
                return Ok(());
            }
            if package != key {
                key.clone_into(&mut package);
                writer.package(key)?;
            }
            if ecosystem::is_distribution(name::ecosystem_of(key)) {
                releases.insert(ecosystem, &affected.release)?;
            }
            affected.record = places.get(id as usize).copied().unwrap_or_default();
            writer.row(&affected)
        })?;
        for (place, releases) in releases.sets {
            let holding = ecosystems.get(usize::from(place)).and_then(|name| holdings.get_mut(name));
            holding.into_iter().for_each(|holding| holding.releases.clone_from(&releases));
        }
        complete(&mut holdings);
        writer.finish(&Contents { built: built.to_owned(), ecosystems: holdings.clone() })?;
        Ok(holdings)
    }

    /// Writes the newest version of every record that counts for an ecosystem, and returns where each lies by its id.
    fn write_records(
        &mut self,
        newest: &HashMap<(u32, u16), u32>,
        writer: &mut Writer,
        holdings: &mut BTreeMap<String, Holding>,
        context: &Context,
    ) -> Result<Vec<RecordId>> {
        self.pile.flush().map_err(storage)?;
        let mut chosen: Vec<Option<u32>> = vec![None; self.ids.len()];
        let mut times: HashMap<u16, (u64, Timestamp)> = HashMap::new();
        for ((id, ecosystem), version) in newest {
            let Some(this) = self.versions.get(*version as usize) else { continue };
            let (count, time) = times.entry(*ecosystem).or_insert((0, Timestamp::MIN));
            *count += 1;
            *time = this.modified.max(*time);
            if let Some(slot) = chosen.get_mut(*id as usize) {
                let rank = |version: u32| self.versions.get(version as usize).map(|found| (found.modified, version));
                *slot = [*slot, Some(*version)].into_iter().flatten().max_by_key(|version| rank(*version));
            }
        }
        for (ecosystem, (records, time)) in times {
            let Some(name) = self.ecosystems.get(usize::from(ecosystem)) else { continue };
            let newest = if time == Timestamp::MIN { String::new() } else { time.to_string() };
            holdings.insert(name.clone(), Holding { records, newest, ..Holding::default() });
        }
        let mut wanted = vec![false; self.versions.len()];
        for version in chosen.iter().flatten() {
            if let Some(slot) = wanted.get_mut(*version as usize) {
                *slot = true;
            }
        }
        let mut places = vec![RecordId::default(); self.ids.len()];
        let mut pile = self.pile.get_ref();
        pile.seek(SeekFrom::Start(0)).map_err(storage)?;
        let mut pile = std::io::BufReader::with_capacity(256 << 10, pile);
        let mut encoded = Vec::new();
        for (version, wanted) in self.versions.iter().zip(wanted) {
            context.check()?;
            encoded.resize(version.length as usize, 0);
            pile.read_exact(&mut encoded).map_err(storage)?;
            if let (true, Some(place)) = (wanted, places.get_mut(version.id as usize)) {
                *place = writer.record(&encoded)?;
            }
        }
        Ok(places)
    }
}
