//! The overlay: the journals of all layers, applied one behind another, and what is left of each file in the end.
//!
//! Only what can matter is kept: links, and files that a cataloger read or wants. A path is resolved as unpacking resolves
//! it: through the links that its directories are at that moment, never above the root. Whiteouts and opaque directories
//! take what the layers below have, wherever in the tar they stand (OCI image specification, `layer.md`).

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Bound;
use std::sync::Arc;

use super::cataloger::{Facts, VisibleFile};
use super::facts::LayerFacts;
use super::interest::InterestTable;
use super::journal::{Entry, EntryKind};
use super::links::Links;
use super::walk::Again;
use crate::model::path;
use crate::model::problem::{Problem, ProblemKind};

/// How often the layers are applied, at the most: tar writers link to the file itself, so two rounds do; each link to a link
/// that nobody wanted takes one more.
const MAX_ROUNDS: usize = 8;

/// The most bytes that links and files take: nearly two hundred thousand links, which no image has.
const KEPT: usize = 64 << 20;

/// What a file or a link takes besides its path, and a link once more in the map of links.
const NODE: usize = 128;

/// Under how many names a file is read again for one cataloger: it is read as often.
const NAMES: usize = 32;

/// What is left of an image's files.
#[derive(Debug, Default)]
pub struct Overlay {
    nodes: BTreeMap<Arc<[u8]>, Node>,
    /// Those of `nodes` that the layers below the one that is applied brought.
    lower: BTreeSet<Arc<[u8]>>,
    links: Links,
    /// The bytes of `nodes` and `links`, and how many of them there was no room for.
    kept: usize,
    refused: u64,
    /// Files to keep although nobody read them: the second round, when a directory turned out to be a link.
    extra: Vec<Extra>,
    /// Files to keep although nobody wants them: something that is wanted links to them.
    targets: HashSet<Vec<u8>>,
    targets_kept: usize,
    last_directory: Option<(Vec<u8>, Vec<u8>)>,
}

#[derive(Clone, Debug)]
struct Node {
    layer: u32,
    kind: NodeKind,
}

#[derive(Clone, Debug)]
enum NodeKind {
    Link,
    File {
        facts: Vec<(u16, Facts)>,
        origin: Origin,
        /// Catalogers that want the file and have not read it.
        wanted: Vec<u16>,
    },
}

/// Where the content of a file stands, for a second look: a path would not do, since a layer may have two files of one name.
#[derive(Clone, Copy, Debug)]
struct Origin {
    layer: u32,
    /// The place in the journal of the layer.
    entry: u32,
}

/// A directory that an interest names and that is a link: what lies behind it, and how it is shown.
#[derive(Clone, Debug)]
struct Extra {
    cataloger: u16,
    real: Vec<u8>,
    shown: &'static str,
    rest: globset::GlobMatcher,
}

/// What the overlay says in the end.
#[derive(Debug, Default)]
pub struct Resolved {
    /// The visible files of each cataloger, by its place in the list; sorted by path.
    pub files: Vec<Vec<VisibleFile>>,
    /// What has to be read a second time, by layer.
    pub again: Vec<(u32, Again)>,
    /// What there was no room for.
    pub problems: Vec<Problem>,
}

impl Overlay {
    /// Applies `layers`, the base first.
    pub fn new(layers: &[Arc<LayerFacts>], table: &InterestTable) -> Self {
        let mut overlay = Self::default();
        overlay.apply_all(layers, table);
        overlay.extra = overlay.linked_anchors(table);
        let mut is_known = overlay.extra.is_empty();
        let mut targets = 0;
        for _ in 1..MAX_ROUNDS {
            overlay.find_targets(table);
            if is_known && overlay.targets.len() == targets {
                break;
            }
            (is_known, targets) = (true, overlay.targets.len());
            overlay.apply_all(layers, table);
        }
        overlay
    }

    /// Adds the files that wanted symbolic links lead to and that were not kept; `hardlink` adds those of hard links.
    fn find_targets(&mut self, table: &InterestTable) {
        let links = self.nodes.iter().filter(|(_, node)| matches!(node.kind, NodeKind::Link));
        let wanted = links.filter(|(path, _)| !table.catalogers_of(&path::show(path)).is_empty());
        let targets: Vec<_> = wanted.map(|(path, _)| self.links.resolve(path)).collect();
        targets.into_iter().for_each(|target| self.keep_target(target));
    }

    fn keep_target(&mut self, target: Vec<u8>) {
        if self.nodes.contains_key(target.as_slice()) || self.targets.contains(&target) {
            return;
        }
        if self.targets_kept + target.len() + NODE > KEPT {
            self.refused += 1;
            return;
        }
        self.targets_kept += target.len() + NODE;
        self.targets.insert(target);
    }

    fn apply_all(&mut self, layers: &[Arc<LayerFacts>], table: &InterestTable) {
        self.nodes.clear();
        self.links.clear();
        (self.last_directory, self.kept, self.refused) = (None, 0, 0);
        for (facts, layer) in layers.iter().zip(0u32..) {
            self.lower = self.nodes.keys().cloned().collect();
            let mut rows = facts.facts.iter().peekable();
            let mut journal = facts.journal.reader();
            while let Some(entry) = journal.next() {
                let mut read = Vec::new();
                while let Some(row) = rows.next_if(|row| row.entry <= entry.index) {
                    if row.entry == entry.index {
                        read.push((row.cataloger, row.facts.clone()));
                    }
                }
                self.apply(&entry, layer, read, table);
            }
        }
    }

    fn apply(&mut self, entry: &Entry<'_>, layer: u32, read: Vec<(u16, Facts)>, table: &InterestTable) {
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
        let path = join(&moved, name);
        match entry.kind {
            EntryKind::Whiteout => {
                if self.lower.contains(path.as_slice()) {
                    self.remove(&path);
                }
                self.remove_below(&path, true);
            }
            EntryKind::Directory => {
                if self.nodes.contains_key(path.as_slice()) {
                    self.remove(&path);
                }
            }
            EntryKind::Symlink => {
                self.replace(&path);
                self.link(&path, entry.target, layer);
            }
            EntryKind::Hardlink => self.hardlink(&path, entry.target, layer, table),
            EntryKind::File => {
                self.replace(&path);
                let (facts, wanted) = if moved == directory {
                    (read, self.extra_catalogers(&path))
                } else {
                    // It lies elsewhere than its name says: what counts is where.
                    let shown = path::show(&path);
                    let facts: Vec<_> =
                        read.into_iter().filter(|(cataloger, _)| table.accepts(*cataloger, &shown)).collect();
                    let mut wanted = table.catalogers_of(&shown);
                    wanted.extend(self.extra_catalogers(&path));
                    wanted.retain(|cataloger| !facts.iter().any(|(known, _)| known == cataloger));
                    (facts, wanted)
                };
                if !facts.is_empty() || !wanted.is_empty() || self.targets.contains(&path) {
                    let origin = Origin { layer, entry: entry.index };
                    self.insert(&path, Node { layer, kind: NodeKind::File { facts, origin, wanted } });
                }
            }
            EntryKind::Opaque => {}
        }
    }

    /// One more name for a file: with its facts where the same cataloger wants it here too, else to be read again.
    fn hardlink(&mut self, path: &[u8], target: &[u8], layer: u32, table: &InterestTable) {
        let (directory, name) = path::split(target);
        let target_path = join(&self.directory(directory), name);
        if target_path == path {
            return;
        }
        let found = self.nodes.get(target_path.as_slice()).cloned();
        self.replace(path);
        let shown = path::show(path);
        let mut wanted = table.catalogers_of(&shown);
        wanted.extend(self.extra_catalogers(path));
        let is_wanted = !wanted.is_empty() || self.targets.contains(path);
        let (facts, origin): (Vec<_>, _) = match found.map(|node| node.kind) {
            Some(NodeKind::Link) => {
                if let Some(target) = self.links.get(&target_path).map(<[u8]>::to_vec) {
                    self.link(path, &target, layer);
                }
                return;
            }
            Some(NodeKind::File { facts, origin, .. }) => {
                let facts = facts.into_iter().filter(|(cataloger, _)| table.accepts(*cataloger, &shown)).collect();
                (facts, origin)
            }
            None => {
                if is_wanted {
                    self.keep_target(target_path);
                }
                return;
            }
        };
        wanted.retain(|cataloger| !facts.iter().any(|(known, _)| known == cataloger));
        if is_wanted || !facts.is_empty() {
            self.insert(path, Node { layer, kind: NodeKind::File { facts, origin, wanted } });
        }
    }

    /// Adds a node where there is room; whether there was.
    fn insert(&mut self, path: &[u8], node: Node) -> bool {
        let size = path.len() + NODE;
        if self.kept + size > KEPT {
            self.refused += 1;
            return false;
        }
        self.kept += size;
        self.lower.remove(path);
        if self.nodes.insert(path.into(), node).is_some() {
            self.kept -= size;
        }
        true
    }

    fn link(&mut self, path: &[u8], target: &[u8], layer: u32) {
        let size = path.len() + target.len() + NODE;
        if self.kept + path.len() + NODE + size > KEPT {
            self.refused += 1;
        } else if self.insert(path, Node { layer, kind: NodeKind::Link }) {
            self.kept += size;
            self.links.insert(path, target);
            self.last_directory = None;
        }
    }

    /// Removes the node at `path` and everything below it.
    fn replace(&mut self, path: &[u8]) {
        if self.nodes.contains_key(path) {
            self.remove(path);
        }
        self.remove_below(path, false);
    }

    fn remove(&mut self, path: &[u8]) {
        if self.nodes.remove(path).is_some() {
            self.kept -= path.len() + NODE;
        }
        self.lower.remove(path);
        if let Some(target) = self.links.remove(path) {
            self.kept -= path.len() + target + NODE;
            self.last_directory = None;
        }
    }

    /// Removes what lies below `path`: all of it, or what the layers below brought. Each step takes something away, so that a
    /// million whiteouts cost no more than what they remove.
    fn remove_below(&mut self, path: &[u8], only_lower: bool) {
        let prefix = if path.is_empty() { Vec::new() } else { join(path, b"") };
        let range = (Bound::Included(prefix.as_slice()), Bound::Unbounded);
        loop {
            let next = match only_lower {
                true => self.lower.range::<[u8], _>(range).next(),
                false => self.nodes.range::<[u8], _>(range).next().map(|(path, _)| path),
            };
            match next.cloned() {
                Some(path) if path.starts_with(&prefix) => self.remove(&path),
                _ => return,
            }
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

    /// The path without a leading slash and with the links of its directories resolved.
    pub fn real_path(&self, path: &str) -> String {
        let cleaned = path::clean(path.as_bytes());
        let (directory, name) = path::split(&cleaned);
        path::show(&join(&self.links.resolve(directory), name)).into_owned()
    }

    /// What is visible in the end, for `catalogers` many catalogers, and what is still to be read.
    pub fn finish(&self, _layers: &[Arc<LayerFacts>], catalogers: usize, table: &InterestTable) -> Resolved {
        let mut resolved = Resolved { files: vec![Vec::new(); catalogers], ..Resolved::default() };
        for (path, node) in &self.nodes {
            let shown = path::show(path);
            match &node.kind {
                NodeKind::File { facts, origin, wanted } => {
                    for (cataloger, facts) in facts {
                        resolved.show(*cataloger, &shown, node.layer, facts);
                    }
                    for cataloger in wanted {
                        let extra = self.extra.iter().filter(|extra| extra.cataloger == *cataloger);
                        let shown = extra
                            .filter_map(|extra| extra.shown_path(path))
                            .next()
                            .unwrap_or_else(|| shown.to_string());
                        resolved.ask(*origin, *cataloger, shown);
                    }
                }
                // A link where an interest names a file: the file that it leads to, under this name.
                NodeKind::Link => {
                    let interested = table.catalogers_of(&shown);
                    if interested.is_empty() {
                        continue;
                    }
                    let target = self.links.resolve(path);
                    let Some(Node { layer, kind: NodeKind::File { facts, origin, .. } }) =
                        self.nodes.get(target.as_slice())
                    else {
                        continue;
                    };
                    for cataloger in interested {
                        match facts.iter().find(|(known, _)| *known == cataloger) {
                            Some((_, facts)) => resolved.show(cataloger, &shown, *layer, facts),
                            None => resolved.ask(*origin, cataloger, shown.to_string()),
                        }
                    }
                }
            }
        }
        resolved.again.sort();
        resolved.again.dedup();
        if self.refused > 0 {
            let message =
                format!("{} links and names of files are left out: {} MiB of them are kept", self.refused, KEPT >> 20);
            resolved.problems.push(Problem::new(ProblemKind::LimitExceeded, message));
        }
        resolved.spare();
        resolved
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

impl Resolved {
    fn show(&mut self, cataloger: u16, path: &str, layer: u32, facts: &Facts) {
        if let Some(files) = self.files.get_mut(usize::from(cataloger)) {
            files.push(VisibleFile { path: path.to_owned(), layer, facts: facts.clone() });
        }
    }

    fn ask(&mut self, origin: Origin, cataloger: u16, shown: String) {
        self.again.push((origin.layer, Again { entry: origin.entry, cataloger, shown, note: None }));
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
            files.retain(|file| !read.contains_key(file.path.as_str()));
            files.extend(read.into_iter().map(|(path, facts)| VisibleFile { path: path.to_owned(), layer, facts }));
            files.sort_by(|a, b| a.path.cmp(&b.path));
        }
    }
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() { name.to_vec() } else { [directory, b"/", name].concat() }
}
