//! Which rows of a database count: those that hang together with the schema, in the state that the log beside the database gives
//! it. Both files may come from different layers.

use std::collections::HashSet;

use super::Record;
use super::chains::{Place, Wanted};
use super::trees::Trees;
use crate::error::{Error, Kind, Result};
use crate::layer::VisibleFile;

/// The state of a database. Of one that is no SQLite, all rows count.
#[derive(Default)]
pub(super) struct Rows {
    is_database: bool,
    /// The pages of the packages; none where nothing says which they are.
    table: Option<HashSet<u32>>,
    /// The pages that the log has: those of the database are past.
    written: Wanted,
    /// Rows that the log has, and whose rest is in the database: their marks, and where they go on.
    moved: HashSet<(u64, u32)>,
    /// Rows that count and of which the log has a part.
    torn: u64,
}

impl Rows {
    /// The state of `database` with `log`.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] for stored facts of another version.
    pub(super) fn of(database: &VisibleFile, log: Option<&VisibleFile>) -> Result<Self> {
        let mut rows = Self::default();
        let mut trees = Trees::of(2);
        let of_log = || log.into_iter().flat_map(VisibleFile::records::<Record<'_>>);
        for record in of_log() {
            match record? {
                Record::Written(pages) => rows.written = pages,
                Record::Below(page, below) => trees.below(page, below),
                Record::Root(page, root) => trees.root(page, root),
                _ => {}
            }
        }
        for record in database.records::<Record<'_>>() {
            match record? {
                Record::Pages(count) => rows.is_database = count > 0,
                Record::Below(page, below) if !rows.written.has(page) => trees.below(page, below),
                Record::Root(page, root) if !rows.written.has(page) => trees.root(page, root),
                _ => {}
            }
        }
        rows.table = trees.table();
        for record in of_log() {
            if let Record::Moved(place) = record?
                && rows.counts_in_log(&place)
            {
                rows.moved.extend(place.beyond.first().map(|first| (place.mark, *first)));
            }
        }
        Ok(rows)
    }

    /// Whether the file is a database of SQLite: the log of anything else is left over.
    pub(super) fn is_database(&self) -> bool {
        self.is_database
    }

    /// Whether a row of the database counts.
    pub(super) fn counts(&mut self, place: &Place) -> bool {
        let is_here = !self.written.has(place.page) && self.counts_in_log(place);
        // A leaf that the log freed is not in it, but its rows may have moved to one that is.
        let counts = is_here || place.beyond.first().is_some_and(|first| self.moved.remove(&(place.mark, *first)));
        self.torn += u64::from(counts && place.beyond.iter().any(|page| self.written.has(*page)));
        counts
    }

    /// Whether a row of the log counts.
    pub(super) fn counts_in_log(&self, place: &Place) -> bool {
        self.table.as_ref().is_none_or(|table| table.contains(&place.page))
    }

    /// Ends the rows of both files.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] for rows that are partly in the log and partly in the database.
    pub(super) fn finish(self) -> Result<()> {
        let (torn, lost) = (self.torn, self.moved.len());
        if torn == 0 && lost == 0 {
            return Ok(());
        }
        let message = format!(
            "of packages that are partly in the database and partly in its log, {torn} may be out of date and {lost} are missing"
        );
        Err(Error::new(Kind::Corrupt, message))
    }
}
