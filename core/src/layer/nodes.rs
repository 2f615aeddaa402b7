//! The files and links of an image by their paths, in order, in little memory: an image may have two hundred thousand that matter.
//!
//! A map of paths takes three allocations for every two of them, and gives back to the process what it held, not to the system. Here the
//! paths lie in one text and their places in one sorted list. What was added last waits in a small map, and joins the list in batches.

use std::collections::BTreeMap;
use std::ops::Bound;

/// How many nodes wait to join the list, and how many of the list may be gone before it is tidied.
const BATCH: usize = 1024;

/// Values by path.
#[derive(Debug)]
pub(super) struct Nodes<T> {
    text: Vec<u8>,
    /// Sorted by path.
    list: Vec<Slot<T>>,
    recent: BTreeMap<Box<[u8]>, T>,
    /// How many of the list are gone, and the bytes of text that nobody needs any more.
    gone: usize,
    wasted: usize,
}

#[derive(Clone, Copy, Debug)]
struct Slot<T> {
    start: u32,
    length: u32,
    /// None once it is gone.
    value: Option<T>,
}

impl<T> Slot<T> {
    fn path<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        text.get(self.start as usize..).and_then(|rest| rest.get(..self.length as usize)).unwrap_or_default()
    }
}

impl<T> Default for Nodes<T> {
    fn default() -> Self {
        Self { text: Vec::new(), list: Vec::new(), recent: BTreeMap::new(), gone: 0, wasted: 0 }
    }
}

impl<T: Copy> Nodes<T> {
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn get(&self, path: &[u8]) -> Option<T> {
        self.recent.get(path).copied().or_else(|| self.list.get(self.place(path)?)?.value)
    }

    /// Puts a value at a path; the one that was there before.
    pub(super) fn insert(&mut self, path: &[u8], value: T) -> Option<T> {
        if let Some(slot) = self.place(path).and_then(|place| self.list.get_mut(place)) {
            let before = slot.value.replace(value);
            self.gone -= usize::from(before.is_none());
            return before;
        }
        let before = self.recent.insert(path.into(), value);
        if self.recent.len() >= BATCH {
            self.settle();
        }
        before
    }

    pub(super) fn remove(&mut self, path: &[u8]) -> Option<T> {
        if let Some(value) = self.recent.remove(path) {
            return Some(value);
        }
        let place = self.place(path)?;
        let value = self.list.get_mut(place)?.value.take()?;
        self.gone += 1;
        if self.gone >= BATCH {
            self.settle();
        }
        Some(value)
    }

    /// The first path that begins with `prefix`.
    pub(super) fn first_below(&self, prefix: &[u8]) -> Option<Vec<u8>> {
        let recent = self.recent.range::<[u8], _>((Bound::Included(prefix), Bound::Unbounded)).next();
        let start = self.list.partition_point(|slot| slot.path(&self.text) < prefix);
        // Of the list few are gone.
        let listed = self.list.get(start..).unwrap_or_default().iter().find(|slot| slot.value.is_some());
        let paths = [recent.map(|(path, _)| &**path), listed.map(|slot| slot.path(&self.text))];
        paths.into_iter().flatten().filter(|path| path.starts_with(prefix)).min().map(<[u8]>::to_vec)
    }

    /// Takes in those of `other`, which has no path that is here.
    pub(super) fn append(&mut self, other: &mut Self) {
        self.settle();
        other.settle();
        let shift = self.text.len() as u32;
        let mut list = std::mem::take(&mut other.list);
        list.iter_mut().for_each(|slot| slot.start += shift);
        self.text.append(&mut other.text);
        self.wasted += other.wasted;
        other.clear();
        self.join(&list);
    }

    /// All there are, by path, once they were put in order by [`Nodes::append`].
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], T)> {
        self.list.iter().filter_map(|slot| Some((slot.path(&self.text), slot.value?)))
    }

    /// How many there are at the most, and the bytes of their paths.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.list.len(), self.text.len())
    }

    /// Where a path is in the list, gone or not.
    fn place(&self, path: &[u8]) -> Option<usize> {
        // Most come in order.
        let last = self.list.last()?;
        if last.path(&self.text) < path {
            return None;
        }
        self.list.binary_search_by(|slot| slot.path(&self.text).cmp(path)).ok()
    }

    /// Lets what waits join the list, and forgets what is gone.
    fn settle(&mut self) {
        let Self { text, list, gone, wasted, .. } = self;
        if *gone > 0 {
            *wasted += list.iter().filter(|slot| slot.value.is_none()).map(|slot| slot.length as usize).sum::<usize>();
            list.retain(|slot| slot.value.is_some());
            *gone = 0;
        }
        if *wasted > text.len() / 2 {
            let mut kept = Vec::with_capacity(text.len() - *wasted);
            for slot in list.iter_mut() {
                let start = kept.len() as u32;
                kept.extend_from_slice(slot.path(text));
                slot.start = start;
            }
            (*text, *wasted) = (kept, 0);
        }
        let add = |(path, value): (Box<[u8]>, T)| {
            let slot = Slot { start: text.len() as u32, length: path.len() as u32, value: Some(value) };
            text.extend_from_slice(&path);
            slot
        };
        let joining: Vec<Slot<T>> = std::mem::take(&mut self.recent).into_iter().map(add).collect();
        self.join(&joining);
    }

    /// Merges sorted slots into the list, from the end, without room for a second one.
    fn join(&mut self, joining: &[Slot<T>]) {
        let Self { text, list, .. } = self;
        let mut rest = list.len();
        list.extend_from_slice(joining);
        for (before, slot) in joining.iter().enumerate().rev() {
            let path = slot.path(text);
            let place = list.get(..rest).unwrap_or_default().partition_point(|other| other.path(text) < path);
            list.copy_within(place..rest, place + before + 1);
            if let Some(free) = list.get_mut(place + before) {
                *free = *slot;
            }
            rest = place;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(String, u8),
        Remove(String),
        RemoveBelow(String),
        Settle,
        Append(Vec<String>),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let path = || "[ab]{1,2}(/[ab]{1,2}){0,2}";
        let step = prop_oneof![
            6 => (path(), any::<u8>()).prop_map(|(path, value)| Step::Insert(path, value)),
            3 => path().prop_map(Step::Remove),
            1 => "[ab]{0,2}/?".prop_map(Step::RemoveBelow),
            1 => Just(Step::Settle),
            1 => proptest::collection::vec(path(), 0..9).prop_map(Step::Append),
        ];
        proptest::collection::vec(step, 0..80)
    }

    proptest! {
        #[test]
        fn is_a_map_of_paths(steps in steps()) {
            let (mut nodes, mut model) = (Nodes::default(), BTreeMap::new());
            for step in steps {
                match step {
                    Step::Insert(path, value) => {
                        prop_assert_eq!(nodes.insert(path.as_bytes(), value), model.insert(path.into_bytes(), value));
                    }
                    Step::Remove(path) => {
                        prop_assert_eq!(nodes.remove(path.as_bytes()), model.remove(path.as_bytes()));
                    }
                    Step::RemoveBelow(prefix) => {
                        while let Some(path) = nodes.first_below(prefix.as_bytes()) {
                            let first = model.keys().find(|path| path.starts_with(prefix.as_bytes())).cloned();
                            prop_assert_eq!(Some(&path), first.as_ref());
                            prop_assert_eq!(nodes.remove(&path), model.remove(&path));
                        }
                        prop_assert!(!model.keys().any(|path| path.starts_with(prefix.as_bytes())));
                    }
                    Step::Settle => nodes.settle(),
                    Step::Append(paths) => {
                        let mut other = Nodes::default();
                        for path in paths.iter().filter(|path| nodes.get(path.as_bytes()).is_none()) {
                            other.insert(path.as_bytes(), 7);
                            model.insert(path.clone().into_bytes(), 7);
                        }
                        nodes.append(&mut other);
                        prop_assert!(other.iter().next().is_none());
                    }
                }
                prop_assert!(model.iter().all(|(path, value)| nodes.get(path) == Some(*value)));
            }
            nodes.settle();
            let all: Vec<_> = nodes.iter().map(|(path, value)| (path.to_vec(), value)).collect();
            prop_assert_eq!(all, model.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_is_gone_takes_no_room() {
        let mut nodes = Nodes::default();
        for round in 0..50 {
            for number in 0..5_000 {
                nodes.insert(format!("{round}/{number}/{}", "x".repeat(50)).as_bytes(), number);
            }
            while let Some(path) = nodes.first_below(b"") {
                nodes.remove(&path);
            }
        }
        assert!(nodes.text.len() < 1 << 20 && nodes.list.len() <= BATCH, "{} {}", nodes.text.len(), nodes.list.len());
    }
}
