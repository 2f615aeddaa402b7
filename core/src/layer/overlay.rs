//! The overlay: the journals of all layers, applied one behind another, and what is left of each file in the end.
//!
//! Only what can matter is kept: links, and files that a cataloger read or wants. A path is resolved as unpacking resolves
//! it: through the links that its directories are at that moment, never above the root. Whiteouts and opaque directories
//! take what the layers below have, wherever in the tar they stand (OCI image specification, `layer.md`).

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::again::Again;
use super::cataloger::{Facts, VisibleFile};
use super::facts::{FactRow, LayerFacts};
use super::interest::InterestTable;
use super::journal::{Entry, EntryKind};
use super::links::Links;
use super::nodes::Nodes;
use super::occupied::Occupied;
use crate::model::path;
use crate::model::problem::{Problem, ProblemKind};

/// How often the layers are applied, at the most: tar writers link to the file itself, so two rounds do; each link to a link
/// that nobody wanted takes one more.
const MAX_ROUNDS: usize = 8;

/// What a file takes besides its path.
const NODE: usize = 40;
/// What a link takes besides its path and its target, and its path once more.
const LINK: usize = 128;
/// The most bytes of paths that links lead to and that are kept for that reason.
const TARGETS: usize = 2 << 20;
/// The most bytes of what is to be read again.
const AGAIN: usize = 2 << 20;

/// Under how many names a file is read again for one cataloger: it is read as often.
const NAMES: usize = 32;

/// What is left of an image's files.
#[derive(Debug, Default)]
pub struct Overlay {
    links: Links,
    /// The visible files of each cataloger, by its place in the list; sorted by path.
    pub files: Vec<Vec<VisibleFile>>,
    /// What has to be read a second time, by layer.
    pub again: Vec<(u32, Again)>,
    /// What there was no room for.
    pub problems: Vec<Problem>,
}

/// The files that are left, as they are found: as little of each as can be, since an image may have hundreds of thousands of them.
#[derive(Default)]
struct Left {
    /// The files that are visible, for each cataloger that has read them; their paths lie in one text.
    visible: Vec<Visible>,
    paths: String,
    again: Vec<(u32, Again)>,
    again_kept: usize,
    refused: u64,
}

/// A file that a cataloger has read, under one of its names.
#[derive(Clone, Copy, Debug)]
struct Visible {
    cataloger: u16,
    /// The layer that brought the name.
    layer: u32,
    origin: Origin,
    /// Where the path lies in the text of all.
    start: u32,
    length: u32,
}

/// The layers as they are applied one behind another.
#[derive(Default)]
struct Applying<'a> {
    layers: &'a [Arc<LayerFacts>],
    /// The files and links that the layers below brought, and those of the layer that is applied, which join them at its end.
    /// No path is in both.
    lower: Nodes<Node>,
    upper: Nodes<Node>,
    links: Links,
    occupied: Occupied,
    /// How many bytes of nodes and links there may be and are, and how many of them there was no room for.
    room: usize,
    kept: usize,
    refused: u64,
    /// Files to keep although nobody read them: the second round, when a directory turned out to be a link.
    extra: Vec<Extra>,
    /// Files to keep although nobody wants them: something that is wanted links to them.
    targets: HashSet<Vec<u8>>,
    targets_kept: usize,
    last_directory: Option<(Vec<u8>, Vec<u8>)>,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    layer: u32,
    kind: NodeKind,
}

#[derive(Clone, Copy, Debug)]
enum NodeKind {
    Link,
    File {
        origin: Origin,
        /// Whether its name is not the one under which it was read: what counts is where it lies.
        is_moved: bool,
    },
}

/// Where the content of a file stands: a path would not do, since a layer may have two files of one name.
#[derive(Clone, Copy, Debug)]
struct Origin {
    layer: u32,
    /// The place in the journal of the layer.
    entry: u32,
}

impl Origin {
    /// What catalogers read of it.
    fn rows(self, layers: &[Arc<LayerFacts>]) -> &[FactRow] {
        let Some(layer) = layers.get(self.layer as usize) else { return &[] };
        let start = layer.facts.partition_point(|row| row.entry < self.entry);
        let rows = layer.facts.get(start..).unwrap_or_default();
        let end = rows.partition_point(|row| row.entry == self.entry);
        rows.get(..end).unwrap_or_default()
    }
}

/// A directory that an interest names and that is a link: what lies behind it, and how it is shown.
#[derive(Clone, Debug)]
struct Extra {
    cataloger: u16,
    real: Vec<u8>,
    shown: &'static str,
    rest: globset::GlobMatcher,
}

impl Overlay {
    /// The most bytes that the links and files of an image take: a hundred and fifty thousand files of which packages are read, which no
    /// image has.
    pub const MAX: usize = 12 << 20;

    /// Applies `layers`, the base first.
    pub fn new(layers: &[Arc<LayerFacts>], table: &InterestTable) -> Self {
        Self::within(Self::MAX, layers, table).unwrap_or_default()
    }

    /// The same, where links and files take no more than `room` bytes; none where they do, unless it is [`Overlay::MAX`], and some are
    /// left out.
    pub fn within(room: usize, layers: &[Arc<LayerFacts>], table: &InterestTable) -> Option<Self> {
        let mut applying = Applying { layers, room, ..Applying::default() };
        applying.apply_all(table);
        applying.extra = applying.linked_anchors(table);
        let mut is_known = applying.extra.is_empty();
        let mut targets = 0;
        for _ in 1..MAX_ROUNDS {
            applying.find_targets(table);
            if is_known && applying.targets.len() == targets {
                break;
            }
            (is_known, targets) = (true, applying.targets.len());
            applying.apply_all(table);
        }
        if applying.is_over() {
            return None;
        }
        let (links, left) = applying.finish(table);
        Some(left.overlay(links, layers, table.catalogers()))
    }

    /// Where a directory lies: its path with all links resolved, the last component too.
    pub fn directory(&self, path: &[u8]) -> Vec<u8> {
        self.links.resolve(path)
    }

    /// The bytes of memory that it takes, besides the links.
    pub fn memory(&self) -> usize {
        let file = |file: &VisibleFile| size_of::<VisibleFile>() + file.path().len() + file.facts.memory();
        self.files.iter().flatten().map(file).sum::<usize>()
            + self.again.iter().map(|(_, again)| size_of::<u32>() + again.memory()).sum::<usize>()
    }

    /// Leaves out what would read one file under ever more names.
    fn spare(&mut self) {
        let (mut last, mut names) = (None, 0);
        let problems = &mut self.problems;
        self.again.retain(|(layer, again)| {
            let file = (*layer, again.entry, again.cataloger);
            names = if last.replace(file) == Some(file) { names + 1 } else { 1 };
            if names == NAMES + 1 {
                let message = format!("a file has more than {NAMES} names under which it would be read again");
                problems.push(Problem {
                    layer: Some(*layer),
                    ..Problem::new(ProblemKind::LimitExceeded, message).at(&again.shown)
                });
            }
            names <= NAMES
        });
    }

    /// Adds what the second look at `layer` found for `asked`.
    pub fn add(&mut self, layer: u32, asked: &[Again], found: LayerFacts) {
        let mut by_cataloger: BTreeMap<u16, BTreeMap<&str, Facts>> = BTreeMap::new();
        for row in found.facts {
            let Some(again) = asked.get(row.entry as usize) else { continue };
            by_cataloger.entry(again.cataloger).or_default().insert(&again.shown, row.facts);
        }
        for (cataloger, read) in by_cataloger {
            let Some(files) = self.files.get_mut(usize::from(cataloger)) else { continue };
            files.retain(|file| !read.contains_key(file.path()));
            files.extend(read.into_iter().map(|(path, facts)| VisibleFile::new(path, layer, facts)));
            files.sort_by(|a, b| a.path().cmp(b.path()));
        }
    }
}

impl Left {
    /// Adds a file that these catalogers have read.
    fn show(&mut self, catalogers: &[u16], layer: u32, origin: Origin, shown: &str) {
        let (start, length) = (self.paths.len() as u32, shown.len() as u32);
        if !catalogers.is_empty() {
            self.paths.push_str(shown);
        }
        let visible = |cataloger: &u16| Visible { cataloger: *cataloger, layer, origin, start, length };
        self.visible.extend(catalogers.iter().map(visible));
    }

    /// Adds a file that `cataloger` has to read again, under this name.
    fn ask(&mut self, cataloger: u16, origin: Origin, shown: &str) {
        self.again_kept += size_of::<(u32, Again)>() + shown.len();
        if self.again_kept > AGAIN {
            self.refused += 1;
            return;
        }
        let again = Again { entry: origin.entry, cataloger, shown: shown.to_owned(), note: None };
        self.again.push((origin.layer, again));
    }

    /// The same with what `layers` have of the files, for so many catalogers.
    fn overlay(self, links: Links, layers: &[Arc<LayerFacts>], catalogers: usize) -> Overlay {
        let mut counts = vec![0; catalogers];
        for visible in &self.visible {
            counts.get_mut(usize::from(visible.cataloger)).into_iter().for_each(|count| *count += 1);
        }
        let mut files: Vec<_> = counts.into_iter().map(Vec::with_capacity).collect();
        let paths = Arc::new(self.paths);
        for Visible { cataloger, layer, origin, start, length } in self.visible {
            let row = origin.rows(layers).iter().find(|row| row.cataloger == cataloger);
            if let Some((row, files)) = row.zip(files.get_mut(usize::from(cataloger))) {
                files.push(VisibleFile::among(&paths, start, length, layer, row.facts.clone()));
            }
        }
        // Links come before files, and names that are not UTF-8 are shown otherwise than they are sorted.
        for files in files.iter_mut().filter(|files| !files.is_sorted_by(|a, b| a.path() <= b.path())) {
            files.sort_by(|a, b| a.path().cmp(b.path()));
        }
        let mut overlay = Overlay { links, files, again: self.again, problems: Vec::new() };
        if self.refused > 0 {
            let message = format!(
                "{} links and names of files are left out: {} MiB of them are kept",
                self.refused,
                Overlay::MAX >> 20
            );
            overlay.problems.push(Problem::new(ProblemKind::LimitExceeded, message));
        }
        overlay.spare();
        overlay
    }
}

impl Applying<'_> {
    fn node(&self, path: &[u8]) -> Option<Node> {
        self.upper.get(path).or_else(|| self.lower.get(path))
    }

    /// Whether there was no room, and there is more for others.
    fn is_over(&self) -> bool {
        self.refused > 0 && self.room < Overlay::MAX
    }

    /// What catalogers read of a file that is shown as `shown`, as far as it counts there.
    fn facts(&self, origin: Origin, is_moved: bool, shown: &str, table: &InterestTable) -> Vec<u16> {
        let catalogers = origin.rows(self.layers).iter().map(|row| row.cataloger);
        catalogers.filter(|cataloger| !is_moved || table.accepts(*cataloger, shown)).collect()
    }

    /// The catalogers that want a file which they have not read.
    fn wanted(&self, path: &[u8], is_moved: bool, shown: &str, facts: &[u16], table: &InterestTable) -> Vec<u16> {
        if !is_moved {
            return self.extra_catalogers(path);
        }
        let mut wanted = table.catalogers_of(shown);
        wanted.extend(self.extra_catalogers(path));
        wanted.retain(|cataloger| !facts.contains(cataloger));
        wanted
    }

    /// Adds the files that wanted symbolic links lead to and that were not kept; `hardlink` adds those of hard links.
    fn find_targets(&mut self, table: &InterestTable) {
        let lower = std::mem::take(&mut self.lower);
        let links = lower.iter().filter(|(_, node)| matches!(node.kind, NodeKind::Link));
        let wanted = links.filter(|(path, _)| !table.catalogers_of(&path::show(path)).is_empty());
        for (path, _) in wanted {
            let target = self.links.resolve(path);
            if lower.get(&target).is_none() {
                self.keep_target(target);
            }
        }
        self.lower = lower;
    }

    fn keep_target(&mut self, target: Vec<u8>) {
        if self.node(&target).is_some() || self.targets.contains(&target) {
            return;
        }
        if self.targets_kept + target.len() + NODE > TARGETS {
            self.refused += 1;
            return;
        }
        self.targets_kept += target.len() + NODE;
        self.targets.insert(target);
    }

    fn apply_all(&mut self, table: &InterestTable) {
        self.lower.clear();
        self.links.clear();
        self.occupied.clear();
        (self.last_directory, self.kept, self.refused) = (None, 0, 0);
        for (facts, layer) in self.layers.iter().zip(0u32..) {
            let mut rows = facts.facts.iter().peekable();
            let mut journal = facts.journal.reader();
            while let Some(entry) = journal.next() {
                if self.is_over() {
                    return;
                }
                let mut is_read = false;
                while let Some(row) = rows.next_if(|row| row.entry <= entry.index) {
                    is_read |= row.entry == entry.index;
                }
                self.apply(&entry, layer, is_read, table);
            }
            self.lower.append(&mut self.upper);
        }
    }

    fn apply(&mut self, entry: &Entry<'_>, layer: u32, is_read: bool, table: &InterestTable) {
        if entry.kind == EntryKind::Opaque {
            let directory = self.directory(entry.path);
            self.remove_below(&directory, true);
            return;
        }
        let (directory, name) = path::split(entry.path);
        if name.is_empty() {
            return;
        }
        let moved = self.directory(directory);
        let path = path::join(&moved, name);
        match entry.kind {
            EntryKind::Whiteout | EntryKind::Directory if self.occupied.is_free(&path) => {}
            EntryKind::Whiteout => {
                if self.lower.get(&path).is_some() {
                    self.remove(&path);
                }
                self.remove_below(&path, true);
            }
            EntryKind::Directory => self.remove(&path),
            EntryKind::Symlink => {
                self.replace(&path);
                self.link(&path, entry.target, layer);
            }
            EntryKind::Hardlink => self.hardlink(&path, entry.target, layer, table),
            EntryKind::File => {
                self.replace(&path);
                let (origin, is_moved) = (Origin { layer, entry: entry.index }, moved != directory);
                // Most files nobody has read, and they lie where their name says.
                if is_read || is_moved || !self.extra.is_empty() || !self.targets.is_empty() {
                    self.file(&path, layer, origin, is_moved, table);
                }
            }
            EntryKind::Opaque => {}
        }
    }

    /// Adds a name of a file, where it matters.
    fn file(&mut self, path: &[u8], layer: u32, origin: Origin, is_moved: bool, table: &InterestTable) {
        let shown = path::show(path);
        let facts = self.facts(origin, is_moved, &shown, table);
        let is_wanted = || !self.wanted(path, is_moved, &shown, &facts, table).is_empty();
        if !facts.is_empty() || self.targets.contains(path) || is_wanted() {
            self.insert(path, Node { layer, kind: NodeKind::File { origin, is_moved } });
        }
    }

    /// One more name for a file: with its facts where the same cataloger wants it here too, else to be read again.
    fn hardlink(&mut self, path: &[u8], target: &[u8], layer: u32, table: &InterestTable) {
        let (directory, name) = path::split(target);
        let target_path = path::join(&self.directory(directory), name);
        if target_path == path {
            return;
        }
        let found = self.node(&target_path);
        self.replace(path);
        match found.map(|node| node.kind) {
            Some(NodeKind::Link) => {
                if let Some(target) = self.links.get(&target_path).map(<[u8]>::to_vec) {
                    self.link(path, &target, layer);
                }
            }
            Some(NodeKind::File { origin, .. }) => self.file(path, layer, origin, true, table),
            None => {
                let is_wanted = !table.catalogers_of(&path::show(path)).is_empty()
                    || !self.extra_catalogers(path).is_empty()
                    || self.targets.contains(path);
                if is_wanted {
                    self.keep_target(target_path);
                }
            }
        }
    }

    /// Adds a node where there is room; whether there was.
    fn insert(&mut self, path: &[u8], node: Node) -> bool {
        let size = path.len() + NODE;
        if self.kept + size > self.room {
            self.refused += 1;
            return false;
        }
        self.kept += size;
        self.occupied.insert(path);
        let before = self.upper.insert(path, node);
        if before.or_else(|| self.lower.remove(path)).is_some() {
            self.kept -= size;
        }
        true
    }

    fn link(&mut self, path: &[u8], target: &[u8], layer: u32) {
        let size = path.len() + target.len() + LINK;
        if self.kept + path.len() + NODE + size > self.room {
            self.refused += 1;
        } else if self.insert(path, Node { layer, kind: NodeKind::Link }) {
            self.kept += size;
            self.links.insert(path, target);
            self.last_directory = None;
        }
    }

    /// Removes the node at `path` and everything below it.
    fn replace(&mut self, path: &[u8]) {
        if !self.occupied.is_free(path) {
            self.remove(path);
            if !self.occupied.is_empty(path) {
                self.remove_below(path, false);
            }
        }
    }

    fn remove(&mut self, path: &[u8]) {
        if self.upper.remove(path).or_else(|| self.lower.remove(path)).is_none() {
            return;
        }
        self.kept -= path.len() + NODE;
        if let Some(target) = self.links.remove(path) {
            self.kept -= path.len() + target + LINK;
            self.last_directory = None;
        }
    }

    /// Removes what lies below `path`: all of it, or what the layers below brought. Each step takes something away, so that a
    /// million whiteouts cost no more than what they remove.
    fn remove_below(&mut self, path: &[u8], only_lower: bool) {
        let prefix = if path.is_empty() { Vec::new() } else { path::join(path, b"") };
        while let Some(path) = self.lower.first_below(&prefix) {
            self.remove(&path);
        }
        while !only_lower && let Some(path) = self.upper.first_below(&prefix) {
            self.remove(&path);
        }
    }

    /// The directory with all links resolved, as they are now.
    fn directory(&mut self, directory: &[u8]) -> Vec<u8> {
        if let Some((known, resolved)) = &self.last_directory
            && known == directory
        {
            return resolved.clone();
        }
        let resolved = self.links.resolve(directory);
        self.last_directory = Some((directory.to_vec(), resolved.clone()));
        resolved
    }

    /// Directories that interests name and that are links to where the same cataloger does not look anyway.
    fn linked_anchors(&self, table: &InterestTable) -> Vec<Extra> {
        let anchors = table.anchors();
        let mut extra: Vec<Extra> = Vec::new();
        for anchor in anchors {
            let real = self.links.resolve(anchor.directory.as_bytes());
            let is_known = anchors
                .iter()
                .any(|other| other.cataloger == anchor.cataloger && other.directory.as_bytes() == real.as_slice());
            if real != anchor.directory.as_bytes() && !is_known {
                extra.push(Extra {
                    cataloger: anchor.cataloger,
                    real,
                    shown: anchor.directory,
                    rest: anchor.rest.clone(),
                });
            }
        }
        extra
    }

    fn extra_catalogers(&self, path: &[u8]) -> Vec<u16> {
        self.extra.iter().filter(|extra| extra.shown_path(path).is_some()).map(|extra| extra.cataloger).collect()
    }

    /// The links and the files that are left in the end.
    fn finish(mut self, table: &InterestTable) -> (Links, Left) {
        let lower = std::mem::take(&mut self.lower);
        let (count, length) = lower.size();
        let (visible, paths) = (Vec::with_capacity(count), String::with_capacity(length));
        let mut out = Left { refused: self.refused, visible, paths, ..Left::default() };
        for (path, node) in lower.iter() {
            if matches!(node.kind, NodeKind::Link) {
                self.show_link(path, &lower, &mut out, table);
            }
        }
        for (path, Node { layer, kind }) in lower.iter() {
            let NodeKind::File { origin, is_moved } = kind else { continue };
            let shown = path::show(path);
            let facts = self.facts(origin, is_moved, &shown, table);
            for cataloger in self.wanted(path, is_moved, &shown, &facts, table) {
                let mut extra = self.extra.iter().filter(|extra| extra.cataloger == cataloger);
                let shown = extra.find_map(|extra| extra.shown_path(path)).unwrap_or_else(|| shown.to_string());
                out.ask(cataloger, origin, &shown);
            }
            out.show(&facts, layer, origin, &shown);
        }
        out.again.sort();
        out.again.dedup();
        out.visible.shrink_to_fit();
        (self.links, out)
    }

    /// A link where an interest names a file: the file that it leads to, under this name.
    fn show_link(&self, path: &[u8], nodes: &Nodes<Node>, out: &mut Left, table: &InterestTable) {
        let shown = path::show(path);
        let interested = table.catalogers_of(&shown);
        if interested.is_empty() {
            return;
        }
        let target = self.links.resolve(path);
        let Some(Node { layer, kind: NodeKind::File { origin, is_moved } }) = nodes.get(&target) else { return };
        let facts = self.facts(origin, is_moved, &path::show(&target), table);
        let (facts, wanted): (Vec<_>, Vec<_>) = interested.into_iter().partition(|cataloger| facts.contains(cataloger));
        for cataloger in wanted {
            out.ask(cataloger, origin, &shown);
        }
        out.show(&facts, layer, origin, &shown);
    }
}

impl Extra {
    /// How the file at `path` is shown, where it lies behind this link and is wanted.
    fn shown_path(&self, path: &[u8]) -> Option<String> {
        let rest = match self.real.as_slice() {
            [] => path,
            real => path.strip_prefix(real)?.strip_prefix(b"/")?,
        };
        let rest = path::show(rest);
        self.rest.is_match(rest.as_ref()).then(|| format!("{}/{rest}", self.shown))
    }
}
