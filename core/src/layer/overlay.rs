//! The overlay: the journals of all layers, applied one behind another, and what is left of each file in the end.
//!
//! Only what can matter is kept: links, and files that a cataloger read or wants. A path is resolved as unpacking resolves
//! it: through the links that its directories are at that moment, never above the root. Whiteouts and opaque directories
//! take what the layers below have, wherever in the tar they stand (OCI image specification, `layer.md`).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;

use super::cataloger::{Facts, VisibleFile};
use super::facts::LayerFacts;
use super::interest::InterestTable;
use super::journal::{Entry, EntryKind};
use super::walk::Again;
use crate::model::path;

/// How many links a path may lead through; Linux has 40.
const MAX_LINKS: usize = 40;

/// How often the layers are applied, at the most: tar writers link to the file itself, so two rounds do; each link to a link
/// that nobody wanted takes one more.
const MAX_ROUNDS: usize = 8;

/// What is left of an image's files.
#[derive(Debug, Default)]
pub struct Overlay {
    nodes: BTreeMap<Vec<u8>, Node>,
    links: HashMap<Vec<u8>, Vec<u8>>,
    /// Files to keep although nobody read them: the second round, when a directory turned out to be a link.
    extra: Vec<Extra>,
    /// Files to keep although nobody wants them: something that is wanted links to them.
    targets: HashSet<Vec<u8>>,
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
            overlay.nodes.clear();
            overlay.links.clear();
            overlay.last_directory = None;
            overlay.apply_all(layers, table);
        }
        overlay
    }

    /// Adds the files that wanted symbolic links lead to and that were not kept; `hardlink` adds those of hard links.
    fn find_targets(&mut self, table: &InterestTable) {
        let links = self.nodes.iter().filter(|(_, node)| matches!(node.kind, NodeKind::Link));
        let wanted = links.filter(|(path, _)| !table.catalogers_of(&path::show(path)).is_empty());
        let targets: Vec<_> = wanted.map(|(path, _)| self.resolve(path)).collect();
        self.targets.extend(targets.into_iter().filter(|target| !self.nodes.contains_key(target)));
    }

    fn apply_all(&mut self, layers: &[Arc<LayerFacts>], table: &InterestTable) {
        for (facts, layer) in layers.iter().zip(0u32..) {
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
            self.remove_below(&directory, Some(layer));
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
                if self.nodes.get(&path).is_some_and(|node| node.layer != layer) {
                    self.remove(&path);
                }
                self.remove_below(&path, Some(layer));
            }
            EntryKind::Directory => {
                if self.nodes.contains_key(&path) {
                    self.remove(&path);
                }
            }
            EntryKind::Symlink => {
                self.replace(&path);
                self.links.insert(path.clone(), entry.target.to_vec());
                self.last_directory = None;
                self.nodes.insert(path, Node { layer, kind: NodeKind::Link });
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
                    self.nodes.insert(path, Node { layer, kind: NodeKind::File { facts, origin, wanted } });
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
        let found = self.nodes.get(&target_path).cloned();
        self.replace(path);
        let shown = path::show(path);
        let mut wanted = table.catalogers_of(&shown);
        wanted.extend(self.extra_catalogers(path));
        let is_wanted = !wanted.is_empty() || self.targets.contains(path);
        let (facts, origin): (Vec<_>, _) = match found.map(|node| node.kind) {
            Some(NodeKind::Link) => {
                if let Some(target) = self.links.get(&target_path).cloned() {
                    self.links.insert(path.to_vec(), target);
                    self.last_directory = None;
                    self.nodes.insert(path.to_vec(), Node { layer, kind: NodeKind::Link });
                }
                return;
            }
            Some(NodeKind::File { facts, origin, .. }) => {
                let facts = facts.into_iter().filter(|(cataloger, _)| table.accepts(*cataloger, &shown)).collect();
                (facts, origin)
            }
            None => {
                if is_wanted {
                    self.targets.insert(target_path);
                }
                return;
            }
        };
        wanted.retain(|cataloger| !facts.iter().any(|(known, _)| known == cataloger));
        if is_wanted || !facts.is_empty() {
            self.nodes.insert(path.to_vec(), Node { layer, kind: NodeKind::File { facts, origin, wanted } });
        }
    }

    /// Removes the node at `path` and everything below it.
    fn replace(&mut self, path: &[u8]) {
        if self.nodes.contains_key(path) {
            self.remove(path);
        }
        self.remove_below(path, None);
    }

    fn remove(&mut self, path: &[u8]) {
        self.nodes.remove(path);
        if self.links.remove(path).is_some() {
            self.last_directory = None;
        }
    }

    /// Removes what lies below `path`; with `keep`, not what that layer brought.
    fn remove_below(&mut self, path: &[u8], keep: Option<u32>) {
        let prefix = if path.is_empty() { Vec::new() } else { join(path, b"") };
        let mut start = Bound::Included(prefix.clone());
        while let Some((key, layer)) = self
            .nodes
            .range::<Vec<u8>, _>((start.clone(), Bound::Unbounded))
            .next()
            .map(|(key, node)| (key.clone(), node.layer))
        {
            if !key.starts_with(&prefix) {
                return;
            }
            if keep != Some(layer) {
                self.remove(&key);
            }
            start = Bound::Excluded(key);
        }
    }

    /// The directory with all links resolved, as they are now.
    fn directory(&mut self, directory: &[u8]) -> Vec<u8> {
        if let Some((known, resolved)) = &self.last_directory
            && known == directory
        {
            return resolved.clone();
        }
        let resolved = self.resolve(directory);
        self.last_directory = Some((directory.to_vec(), resolved.clone()));
        resolved
    }

    /// A path with all links resolved, the last component too. A loop ends it where it is.
    fn resolve(&self, path: &[u8]) -> Vec<u8> {
        if self.links.is_empty() {
            return path.to_vec();
        }
        let mut resolved: Vec<u8> = Vec::with_capacity(path.len());
        let mut ahead: Vec<Vec<u8>> = components(path).rev().map(<[u8]>::to_vec).collect();
        let mut followed = 0;
        while let Some(component) = ahead.pop() {
            match component.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    resolved.truncate(path::split(&resolved).0.len());
                    continue;
                }
                _ => {}
            }
            let next = join(&resolved, &component);
            match self.links.get(&next) {
                Some(target) if followed < MAX_LINKS => {
                    followed += 1;
                    if target.starts_with(b"/") {
                        resolved.clear();
                    }
                    ahead.extend(components(target).rev().map(<[u8]>::to_vec));
                }
                _ => resolved = next,
            }
        }
        resolved
    }

    /// Directories that interests name and that are links to where the same cataloger does not look anyway.
    fn linked_anchors(&self, table: &InterestTable) -> Vec<Extra> {
        let anchors = table.anchors();
        let mut extra: Vec<Extra> = Vec::new();
        for anchor in anchors {
            let real = self.resolve(anchor.directory.as_bytes());
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
        path::show(&join(&self.resolve(directory), name)).into_owned()
    }

    /// What is visible in the end, for `catalogers` many catalogers, and what is still to be read.
    pub fn finish(&self, _layers: &[Arc<LayerFacts>], catalogers: usize, table: &InterestTable) -> Resolved {
        let mut resolved = Resolved { files: vec![Vec::new(); catalogers], again: Vec::new() };
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
                    let target = self.resolve(path);
                    let Some(Node { layer, kind: NodeKind::File { facts, origin, .. } }) = self.nodes.get(&target)
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

    /// Adds what the second look at `layer` found for `asked`.
    pub fn add(&mut self, layer: u32, asked: &[Again], found: LayerFacts) {
        for row in found.facts {
            let Some(again) = asked.get(row.entry as usize) else { continue };
            let Some(files) = self.files.get_mut(usize::from(again.cataloger)) else { continue };
            files.retain(|file| file.path != again.shown);
            files.push(VisibleFile { path: again.shown.clone(), layer, facts: row.facts });
            files.sort_by(|a, b| a.path.cmp(&b.path));
        }
    }
}

fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() { name.to_vec() } else { [directory, b"/", name].concat() }
}
