//! What every cataloger has to do, whatever it is given; and a small image to try one with.

use std::io::{BufReader, Read};
use std::sync::Arc;

use crate::error::Result;
use crate::layer::again::Again;
use crate::layer::cataloger::{Content, Surroundings};
use crate::layer::overlay::Overlay;
use crate::layer::walk::{Reading, Space, walk};
use crate::layer::{Cataloger, Facts, File, InterestTable, LayerFacts, Lines, Take, View, history};
use crate::model::inventory::{Draft, Inventory};
use crate::model::limits::Limits;
use crate::model::problem::{Problem, ProblemKind};

/// An image in small: files and links, each in a layer.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    layers: Vec<Vec<u8>>,
}

/// What catalogers made of a [`Sample`].
#[derive(Debug)]
pub struct Outcome {
    /// The packages.
    pub inventory: Inventory,
    /// What could not be read, layer by layer.
    pub problems: Vec<Problem>,
    /// How many layers were read a second time, since one pass could not do.
    pub layers_read_twice: u32,
}

impl Sample {
    /// An image without files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file to `layer`, counted from the base.
    #[must_use]
    pub fn file(mut self, layer: usize, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.entry(layer, b'0', path, "", content.as_ref());
        self
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn link(mut self, layer: usize, path: &str, target: &str) -> Self {
        self.entry(layer, b'2', path, target, b"");
        self
    }

    /// Adds a layer as a tar that exists already, above the layers that are there.
    #[must_use]
    pub fn tar(mut self, tar: Vec<u8>) -> Self {
        self.layers.push(tar);
        self
    }

    /// One entry in the form of GNU tar, with a long name before it where the path has more than 100 bytes.
    fn entry(&mut self, layer: usize, kind: u8, path: &str, target: &str, content: &[u8]) {
        if self.layers.len() <= layer {
            self.layers.resize(layer + 1, Vec::new());
        }
        if path.len() > 100 {
            self.entry(layer, b'L', "././@LongLink", "", path.as_bytes());
        }
        let header = header(kind, path, target, content.len() as u64);
        let out = &mut self.layers[layer];
        out.extend(header);
        out.extend(content);
        out.resize(out.len().next_multiple_of(512), 0);
    }

    /// Reads all layers with `catalogers` and resolves them in their order, as a scan does.
    pub fn run(&self, catalogers: &[Arc<dyn Cataloger>]) -> Outcome {
        run(catalogers, self.layers.iter().map(|layer| move || layer.as_slice()))
    }

    /// The same with every cataloger of [`catalog::ALL`](crate::catalog::ALL).
    pub fn run_all(&self) -> Outcome {
        self.run(&all())
    }

    /// What is kept of each layer, with every cataloger.
    #[cfg(feature = "fuzzing")]
    pub(crate) fn facts(&self) -> Vec<LayerFacts> {
        let catalogers = all();
        let table = InterestTable::new(&catalogers).expect("the interests are valid");
        let (layers, _) = read_layers(&catalogers, &table, self.layers.iter().map(|layer| move || layer.as_slice()));
        layers.into_iter().map(Arc::unwrap_or_clone).collect()
    }

    /// An image of one file of `size` bytes, which is read as it streams by, with every cataloger. `content` is asked for once
    /// more where a cataloger asks to look again.
    pub fn stream<R: Read>(path: &str, size: u64, content: impl Fn() -> R) -> Outcome {
        let padding = vec![0; (size.next_multiple_of(512) - size) as usize];
        let header = header(b'0', path, "", size);
        run(&all(), [|| header.as_slice().chain(content()).chain(padding.as_slice())])
    }
}

/// Every cataloger.
pub(crate) fn all() -> Vec<Arc<dyn Cataloger>> {
    crate::catalog::ALL.iter().map(|cataloger| Arc::new(*cataloger) as Arc<dyn Cataloger>).collect()
}

/// Reads and resolves layers, the base first, each as often as its catalogers ask.
fn run<R: Read, L: Fn() -> R>(catalogers: &[Arc<dyn Cataloger>], layers: impl IntoIterator<Item = L>) -> Outcome {
    let table = InterestTable::new(catalogers).expect("the interests are valid");
    let (layers, layers_read_twice) = read_layers(catalogers, &table, layers);
    Outcome { layers_read_twice, ..resolve(catalogers, &table, &layers) }
}

/// What each layer holds, and how many were read a second time.
fn read_layers<R: Read, L: Fn() -> R>(
    catalogers: &[Arc<dyn Cataloger>],
    table: &InterestTable,
    layers: impl IntoIterator<Item = L>,
) -> (Vec<Arc<LayerFacts>>, u32) {
    let limits = Limits::default();
    let pass = |layer: &L, again: Option<&[Again]>| {
        let end = [0; 1024];
        let reading = Reading { catalogers, table, limits: &limits, again, space: &|_| Space::Granted };
        let walked = walk(BufReader::new(Read::chain(layer(), &end[..])), &reading, &mut Vec::new());
        walked.expect("a layer is read").facts().expect("there is room")
    };
    let (mut layers_read_twice, mut layers_read) = (0, Vec::new());
    for layer in layers {
        let mut facts = pass(&layer, None);
        let again = std::mem::take(&mut facts.again);
        if !again.is_empty() {
            layers_read_twice += 1;
            facts.complete(None, &again, pass(&layer, Some(&again)));
        }
        layers_read.push(Arc::new(facts));
    }
    (layers_read, layers_read_twice)
}

/// What the layers of an image come to together, the base first.
pub(crate) fn resolve(catalogers: &[Arc<dyn Cataloger>], table: &InterestTable, layers: &[Arc<LayerFacts>]) -> Outcome {
    let overlay = Overlay::new(layers, table);
    let mut draft = Draft::new(Limits::default().packages);
    draft.set_since(Arc::new(history::since(layers, catalogers, &overlay)));
    let directories = |path: &[u8]| overlay.directory(path);
    let mut problems: Vec<Problem> =
        layers.iter().flat_map(|layer| &layer.problems).chain(&overlay.problems).cloned().collect();
    for (cataloger, files) in catalogers.iter().zip(&overlay.files) {
        if let Err(error) = cataloger.resolve(&View::new(files, &directories), &mut draft) {
            problems.push(Problem::new(ProblemKind::Corrupt, format!("{}: {error}", cataloger.id())));
        }
    }
    Outcome { inventory: draft.finish(), problems, layers_read_twice: 0 }
}

/// The header of one entry in the form of GNU tar; of a long path, its first 100 bytes.
fn header(kind: u8, path: &str, target: &str, size: u64) -> [u8; 512] {
    let mut header = [0u8; 512];
    let short = &path.as_bytes()[..path.len().min(100)];
    header[..short.len()].copy_from_slice(short);
    header[100..108].copy_from_slice(b"0000644\0");
    header[124..136].copy_from_slice(format!("{:011o}\0", size).as_bytes());
    header[156] = kind;
    header[157..157 + target.len()].copy_from_slice(target.as_bytes());
    header[257..265].copy_from_slice(b"ustar  \0");
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

/// What one call of `read` gave.
type Found = (std::result::Result<Option<Facts>, String>, Vec<Problem>);

/// One file read at once, or as a stream in pieces of so many bytes.
fn read(cataloger: &dyn Cataloger, path: &str, bytes: &[u8], piece: Option<usize>) -> Found {
    let (limits, mut problems) = (Limits::default(), Vec::new());
    let mut look = |note: Option<&[u8]>| {
        let mut reader = BufReader::with_capacity(piece.unwrap_or_default(), bytes);
        let content = if piece.is_some() { Content::Stream(&mut reader) } else { Content::Whole(bytes) };
        let surroundings = Surroundings { is_wanted: &|_| true, limits: &limits, note };
        let mut file = File::new(path, 0o644, bytes.len() as u64, content, surroundings, &mut problems);
        let result: Result<Option<Facts>> = cataloger.read(&mut file);
        (result.map_err(|error| error.to_string()), file.into_again())
    };
    let mut result = match look(None) {
        (first, None) => first,
        (first, Some(note)) => match look(Some(&note)).0 {
            Ok(None) => first,
            second => second,
        },
    };
    if let Ok(Some(facts)) = &mut result {
        assert!(facts.as_bytes().len() <= 17 << 20, "{path}: {} bytes are kept of one file", facts.as_bytes().len());
    }
    (result, problems)
}

/// The suite: `samples` are files that `cataloger` finds something in, by path.
///
/// Each of them, whole, cut at many places, spoilt, empty, of one huge line, is read without a panic; twice with the same result; from
/// a stream in pieces of one byte with the same facts as at once; with few problems however much is wrong; and what was kept
/// resolves.
pub fn suite(cataloger: &dyn Cataloger, samples: &[(&str, &[u8])]) {
    assert!(!samples.is_empty(), "{}: no samples", cataloger.id());
    assert!(!cataloger.interests().is_empty(), "{}: no interests", cataloger.id());
    for (path, bytes) in samples {
        let found = read(cataloger, path, bytes, None);
        assert!(matches!(found, (Ok(Some(_)), _)), "{}: nothing found in {path}: {found:?}", cataloger.id());
        for input in spoilt(bytes) {
            holds(cataloger, path, &input);
        }
    }
}

/// One input of the [`suite`].
pub(crate) fn holds(cataloger: &dyn Cataloger, path: &str, bytes: &[u8]) {
    let whole = read(cataloger, path, bytes, None);
    assert_eq!(whole, read(cataloger, path, bytes, None), "{path}: read twice");
    assert!(whole.1.len() <= 8, "{path}: {} problems of one file", whole.1.len());
    if cataloger.interests().iter().any(|interest| interest.take() == Take::Stream) {
        for capacity in [1, 7] {
            let streamed = read(cataloger, path, bytes, Some(capacity));
            // Not with the facts themselves, which are long and no text.
            let is_same = whole == streamed;
            assert!(is_same, "{path}: in pieces of {capacity} bytes: {:?}, at once: {:?}", streamed.1, whole.1);
        }
    }
    let Ok(Some(facts)) = whole.0 else { return };
    let files = [crate::layer::VisibleFile::new(path, 0, facts)];
    let directories = |path: &[u8]| path.to_vec();
    let resolved = cataloger.resolve(&View::new(&files, &directories), &mut Draft::new(10));
    assert!(resolved.is_ok(), "{path}: {resolved:?}");
}

/// The sample, and what hostile or broken images make of it.
fn spoilt(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut inputs = vec![bytes.to_vec(), Vec::new(), b"\n".to_vec(), vec![0; 4096], vec![0xff; 4096]];
    inputs.push((0..=255u8).cycle().take(10_000).collect());
    inputs.push(vec![b'x'; 4 * Lines::LIMIT]);
    let step = (bytes.len() / 64).max(1);
    for cut in (0..bytes.len()).step_by(step) {
        inputs.push(bytes[..cut].to_vec());
        let mut flipped = bytes.to_vec();
        flipped[cut] ^= 0x80;
        inputs.push(flipped);
        let mut torn = bytes.to_vec();
        torn.splice(cut..cut, std::iter::repeat_n(b'y', 2 * Lines::LIMIT));
        inputs.push(torn);
    }
    inputs
}
