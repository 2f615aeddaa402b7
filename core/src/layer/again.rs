//! What has to be read a second time.

/// A file that one pass could not know to be wanted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Again {
    /// The place in the journal of the layer.
    pub entry: u32,
    /// The cataloger, by its place in the list.
    pub cataloger: u16,
    /// The path that the cataloger is told.
    pub shown: String,
    /// What the cataloger noted in its first look; none where the overlay asks, and nobody has looked yet.
    pub note: Option<Vec<u8>>,
}

impl Again {
    /// The bytes of memory that it takes.
    pub(super) fn memory(&self) -> usize {
        size_of::<Self>() + self.shown.len() + self.note.as_ref().map_or(0, Vec::len)
    }
}
