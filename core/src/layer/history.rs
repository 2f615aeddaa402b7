//! What layers below had of files that layers above wrote again: one installed package writes the whole database of all, and
//! `chown -R` writes every file.
//!
//! A package was brought by the lowest layer from which on every version of the file lists it, up to the one that is visible.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::cataloger::{Cataloger, Facts, View, VisibleFile, guarded};
use super::facts::LayerFacts;
use super::journal::EntryKind;
use super::overlay::Overlay;
use crate::model::inventory::Draft;
use crate::model::path::show;
use crate::model::since::Since;

/// How many visible files are looked for in the layers below; a distribution's are the first.
const FILES: usize = 20_000;

/// The versions of a visible file that were found so far.
#[derive(Clone, Copy)]
struct Chain {
    /// The layer of the one that is visible.
    visible: u32,
    /// The layer of the lowest one.
    lowest: u32,
}

/// The chains by path and cataloger.
type Chains = BTreeMap<(String, u16), Chain>;

/// Since which layers the packages are listed that the visible files list.
pub fn since(layers: &[Arc<LayerFacts>], catalogers: &[Arc<dyn Cataloger>], overlay: &Overlay) -> Since {
    let visible = overlay.files.iter().zip(0u16..).flat_map(|(files, cataloger)| {
        let above = files.iter().filter(|file| file.layer > 0);
        above.map(move |file| ((file.path().to_owned(), cataloger), Chain { visible: file.layer, lowest: file.layer }))
    });
    let mut chains: Chains = visible.take(FILES).collect();
    let mut since = Since::default();
    for (index, facts) in layers.iter().enumerate().rev() {
        let layer = index as u32;
        if chains.is_empty() {
            break;
        }
        let (versions, gone) = versions(facts, layer, &chains);
        for (cataloger, place) in catalogers.iter().zip(0u16..) {
            let of_cataloger = versions.iter().filter(|((_, found), _)| *found == place);
            let files: Vec<_> =
                of_cataloger.map(|((path, _), facts)| VisibleFile::new(path, layer, facts.clone())).collect();
            if !files.is_empty() {
                extend(cataloger.as_ref(), place, &files, &chains, &mut since);
            }
        }
        for key in versions.into_keys() {
            chains.entry(key).and_modify(|chain| chain.lowest = layer);
        }
        gone.iter().for_each(|path| forget(path, &mut chains));
    }
    since
}

/// What one layer has of the files whose chains reach above it, and which paths it takes away from the layers below.
fn versions(facts: &LayerFacts, layer: u32, chains: &Chains) -> (BTreeMap<(String, u16), Facts>, Vec<String>) {
    let (mut versions, mut gone) = (BTreeMap::new(), Vec::new());
    let mut rows = facts.facts.iter().peekable();
    let mut journal = facts.journal.reader();
    while let Some(entry) = journal.next() {
        if matches!(entry.kind, EntryKind::Whiteout | EntryKind::Opaque) {
            let path = show(entry.path);
            if is_any(&path, chains) {
                gone.push(path.into_owned());
            }
        }
        while let Some(row) = rows.next_if(|row| row.entry <= entry.index) {
            let key = (show(entry.path).into_owned(), row.cataloger);
            if row.entry == entry.index && chains.get(&key).is_some_and(|chain| chain.lowest > layer) {
                versions.insert(key, row.facts.clone());
            }
        }
    }
    (versions, gone)
}

/// Says of all packages of these versions of files that their layer lists them already, if all versions above do.
fn extend(cataloger: &dyn Cataloger, place: u16, files: &[VisibleFile], chains: &Chains, since: &mut Since) {
    let mut draft = Draft::new(Since::PACKAGES as u64);
    let as_it_is = |path: &[u8]| path.to_vec();
    let resolve = || cataloger.resolve(&View::new(files, &as_it_is), &mut draft);
    // What cannot be understood says nothing of who brought it.
    let Ok(()) = guarded(resolve) else { return };
    let inventory = draft.finish();
    for package in inventory.packages() {
        let (name, version, architecture) = (package.name(), package.version(), package.architecture());
        for location in package.locations() {
            let file = location.path.split("!/").next().unwrap_or_default();
            let Some(chain) = chains.get(&(file.to_owned(), place)) else { continue };
            let listed = since.of(location.path, name, version, architecture);
            if chain.lowest == chain.visible || listed == Some(chain.lowest) {
                since.set(location.path, name, version, architecture, location.layer);
            }
        }
    }
}

/// The keys of `path` and of what lies below it.
fn below<'a>(path: &str, chains: &'a Chains) -> impl Iterator<Item = &'a (String, u16)> {
    let folder = format!("{path}/");
    let itself = chains.range((path.to_owned(), 0)..=(path.to_owned(), u16::MAX));
    let from = Bound::Included((folder.clone(), 0));
    let inside = chains.range((from, Bound::Unbounded)).take_while(move |((path, _), _)| path.starts_with(&folder));
    itself.chain(inside).map(|(key, _)| key)
}

fn is_any(path: &str, chains: &Chains) -> bool {
    below(path, chains).next().is_some()
}

/// Ends the chains of `path` and of what lies below it: what layers below have there is gone.
fn forget(path: &str, chains: &mut Chains) {
    let gone: Vec<_> = below(path, chains).cloned().collect();
    for key in &gone {
        chains.remove(key);
    }
}
