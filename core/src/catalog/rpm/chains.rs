//! Values that are scattered over the pages of a database, put together as the pages stream by, in whatever order they come.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// The most bytes that are held: pages that nobody has claimed yet and values whose pages have not all come.
pub(super) const HELD: usize = 8 << 20;
/// What a page or a value that is held takes besides its bytes: its place in a map that is half full, and two allocations.
const ENTRY: usize = 192;
/// The most bytes of one value. What lies behind is passed over: the fields that name a package come first.
pub(super) const VALUE: usize = 6 << 20;
/// The most pages of a database whose order is noted for a second look; with pages of 4 KiB, 4 GiB.
pub(super) const PAGES: usize = 1 << 20;

/// Values in the making.
#[derive(Default)]
pub(super) struct Chains {
    /// By the page that they wait for.
    waiting: HashMap<u32, Value>,
    /// By their number.
    unclaimed: HashMap<u32, (u32, Vec<u8>)>,
    held: usize,
    /// How many pages there was no room for, and how many values.
    dropped: u64,
    lost: u64,
    /// How many values end too early, or share pages with others.
    damaged: u64,
    /// In a second look: the pages that belong to values.
    wanted: Option<Wanted>,
    /// In a first look: where values start, and what page follows each page.
    starts: Vec<u32>,
    follows: Vec<u32>,
}

/// Where a value is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// The page that it starts on: the value counts if the page does.
    pub(super) page: u32,
    /// What tells it from others that start there: a sum over what its page has of it.
    pub(super) mark: u64,
    /// The pages on which it goes on.
    pub(super) beyond: Vec<u32>,
}

/// A value whose pages have not all come.
pub(super) struct Value {
    pub(super) place: Place,
    pub(super) bytes: Vec<u8>,
    /// How many bytes are still to come.
    left: u64,
}

/// The pages that belong to values, a bit each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Wanted(Vec<u8>);

impl Wanted {
    /// These pages.
    pub(super) fn of<'a>(pages: impl IntoIterator<Item = &'a u32> + Clone) -> Self {
        let most = pages.clone().into_iter().copied().max().unwrap_or_default() as usize;
        let mut wanted = Self::with_room(most.min(PAGES) + 1);
        for page in pages {
            wanted.add(*page);
        }
        wanted
    }

    /// Room for the pages below this number.
    fn with_room(pages: usize) -> Self {
        Self(vec![0; pages.div_ceil(8)])
    }

    pub(super) fn has(&self, page: u32) -> bool {
        self.0.get(page as usize / 8).is_some_and(|byte| byte >> (page % 8) & 1 == 1)
    }

    /// Adds a page; false where it was there already.
    fn add(&mut self, page: u32) -> bool {
        let is_new = !self.has(page);
        if let Some(byte) = self.0.get_mut(page as usize / 8) {
            *byte |= 1 << (page % 8);
        }
        is_new
    }
}

impl Chains {
    /// Chains for a first look, or for a second one with what the first one learned.
    pub(super) fn new(wanted: Option<Wanted>) -> Self {
        Self { wanted, ..Self::default() }
    }

    /// Starts a value of `total` bytes with this mark: `local` of it is on the page `page`, the rest on the page `next` and those
    /// that follow. Returns the value where it is whole.
    pub(super) fn start(&mut self, page: u32, mark: u64, local: &[u8], total: u64, next: u32) -> Option<Value> {
        let place = Place { page, mark, beyond: Vec::new() };
        let mut value = Value { place, bytes: Vec::new(), left: total };
        value.append(local);
        if value.left > 0 && self.wanted.is_none() && self.starts.len() < PAGES {
            self.starts.push(next);
        }
        self.go_on(value, next)
    }

    /// Takes a page that may belong to a value. Returns the value that it makes whole.
    pub(super) fn page(&mut self, number: u32, next: u32, content: &[u8]) -> Option<Value> {
        if self.wanted.is_none() && (number as usize) < PAGES {
            self.follows.resize(self.follows.len().max(number as usize + 1), 0);
            if let Some(slot) = self.follows.get_mut(number as usize) {
                *slot = next;
            }
        }
        if let Some(mut value) = self.waiting.remove(&number) {
            self.held -= value.held();
            value.place.beyond.push(number);
            value.append(content);
            return self.go_on(value, next);
        }
        if self.wanted.as_ref().is_some_and(|wanted| !wanted.has(number)) {
            return None;
        }
        if self.held + content.len() + ENTRY > HELD {
            self.dropped += 1;
            return None;
        }
        self.held += content.len() + ENTRY;
        self.unclaimed.insert(number, (next, content.to_vec()));
        None
    }

    /// Goes on with the pages that are there already.
    fn go_on(&mut self, mut value: Value, mut next: u32) -> Option<Value> {
        while value.left > 0 {
            let Some((after, content)) = self.unclaimed.remove(&next) else {
                if next == 0 {
                    self.damaged += 1;
                } else if self.held + value.held() > HELD {
                    self.lost += 1;
                } else {
                    self.held += value.held();
                    if let Some(other) = self.waiting.insert(next, value) {
                        // Two values that share a page: only one of them can be right.
                        self.held -= other.held();
                        self.damaged += 1;
                    }
                }
                return None;
            };
            self.held -= content.len() + ENTRY;
            value.place.beyond.push(next);
            value.append(&content);
            next = after;
        }
        Some(value)
    }

    /// How many values are not whole at the end of the database.
    pub(super) fn missing(&self) -> u64 {
        self.waiting.len() as u64 + self.lost + self.damaged
    }

    /// What a second look needs; none where there is no value that it could make whole.
    pub(super) fn wanted(&self) -> Option<Wanted> {
        let is_short_of_room = self.lost > 0 || (self.dropped > 0 && !self.waiting.is_empty());
        if self.wanted.is_some() || !is_short_of_room {
            return None;
        }
        let mut wanted = Wanted::with_room(self.follows.len());
        for start in &self.starts {
            let mut page = *start;
            while page != 0 && wanted.add(page) {
                page = self.follows.get(page as usize).copied().unwrap_or_default();
            }
        }
        Some(wanted)
    }
}

impl Value {
    /// The bytes of memory that it takes while it waits.
    fn held(&self) -> usize {
        self.bytes.len() + size_of::<u32>() * self.place.beyond.len() + ENTRY
    }

    fn append(&mut self, content: &[u8]) {
        let content =
            content.get(..usize::try_from(self.left).unwrap_or(usize::MAX).min(content.len())).unwrap_or_default();
        let room = VALUE.saturating_sub(self.bytes.len()).min(content.len());
        self.bytes.extend_from_slice(content.get(..room).unwrap_or_default());
        self.left -= content.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_order_gives_the_same_values(order in Just((1..40u32).collect::<Vec<_>>()).prop_shuffle(), early in any::<bool>()) {
            // Three values of thirteen pages each: page n is followed by n + 3.
            let mut chains = Chains::new(None);
            let mut found = Vec::new();
            let start = |chains: &mut Chains, found: &mut Vec<_>| {
                (1..4u32).for_each(|first| found.extend(chains.start(100 + first, 0, b"head", 4 + 13 * 2 - 1, first)));
            };
            if early {
                start(&mut chains, &mut found);
            }
            for page in order {
                let next = if page + 3 < 40 { page + 3 } else { 0 };
                found.extend(chains.page(page, next, &[page as u8; 2]));
            }
            if !early {
                start(&mut chains, &mut found);
            }
            found.sort_by_key(|value: &Value| value.place.page);
            for (value, first) in found.iter().zip(1..4u8) {
                let mut wanted = b"head".to_vec();
                wanted.extend((0..13).flat_map(|step| [first + 3 * step; 2]));
                wanted.pop();
                prop_assert_eq!(&value.bytes, &wanted);
                prop_assert_eq!(&value.place.beyond, &(0..13).map(|step| u32::from(first) + 3 * step).collect::<Vec<_>>());
            }
            prop_assert_eq!((found.len(), chains.held, chains.missing()), (3, 0, 0));
        }
    }

    #[test]
    fn loops_end() {
        let mut chains = Chains::new(None);
        assert!(chains.start(1, 0, b"", 100, 2).is_none());
        assert!(chains.page(2, 3, b"a").is_none());
        assert!(chains.page(3, 2, b"b").is_none());
        assert_eq!(chains.missing(), 1);
        assert!(chains.wanted().is_none());
    }

    #[test]
    fn what_does_not_fit_takes_a_second_look() {
        let page = vec![7; 1 << 20];
        let pages = |chains: &mut Chains| {
            for number in 2..40 {
                chains.page(number, 0, &page);
            }
            chains.start(1, 0, b"", 1 << 20, 30)
        };
        let mut first = Chains::new(None);
        assert!(pages(&mut first).is_none());
        let mut second = Chains::new(first.wanted());
        assert_eq!(pages(&mut second).unwrap().bytes.len(), 1 << 20);
        assert_eq!(second.missing(), 0);
    }
}
