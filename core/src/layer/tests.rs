//! Layers in small: tars written here, walked and laid over one another.

use std::io::BufReader;
use std::sync::Arc;

use super::overlay::Overlay;
use super::walk::{Again, Reading, walk};
use super::*;
use crate::error::{Error, Kind, Result};
use crate::model::inventory::Draft;
use crate::model::limits::Limits;
use crate::model::problem::ProblemKind;

/// Keeps the text of the files that it is interested in; of `big` only how long it is.
struct Marks(&'static str, &'static [Interest]);

const BY_PATH: Marks = Marks(
    "test/path",
    &[
        Interest::Path("**/mark", Take::Whole),
        Interest::Path("etc/fixed/*", Take::Whole),
        Interest::Path("big", Take::Stream),
    ],
);
const BY_CONTENT: Marks = Marks("test/content", &[Interest::Magic(b"#!magic", Take::Whole)]);

impl Cataloger for Marks {
    fn id(&self) -> &'static str {
        self.0
    }

    fn version(&self) -> u32 {
        1
    }

    fn interests(&self) -> &[Interest] {
        self.1
    }

    fn read(&self, file: &mut File<'_>) -> Result<Option<Facts>> {
        let mut text = String::new();
        if file.path() == "big" {
            text = format!("{} bytes", std::io::copy(file.reader(), &mut std::io::sink())?);
        } else {
            text.push_str(
                std::str::from_utf8(file.bytes()?)
                    .map_err(|error| Error::new(Kind::Corrupt, "no text").because(error))?,
            );
        }
        Facts::encode(&text).map(Some)
    }

    fn resolve(&self, _: &View<'_>, _: &mut Draft) -> Result<()> {
        Ok(())
    }
}

/// An entry: `d path`, `f path = text`, `l path -> target`, `h path -> target`, and `w`/`o` for whiteouts.
fn tar(lines: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in lines {
        let (kind, rest) = line.split_once(' ').unwrap();
        let (path, text) = rest.split_once(" = ").unwrap_or((rest, ""));
        let (path, target) = path.split_once(" -> ").unwrap_or((path, ""));
        let path = match kind {
            "w" => match path.rsplit_once('/') {
                Some((directory, name)) => format!("{directory}/.wh.{name}"),
                None => format!(".wh.{path}"),
            },
            "o" => format!("{path}/.wh..wh..opq"),
            _ => path.to_owned(),
        };
        let typeflag = match kind {
            "d" => b'5',
            "l" => b'2',
            "h" => b'1',
            _ => b'0',
        };
        entry(&mut out, typeflag, path.as_bytes(), target.as_bytes(), text.as_bytes());
    }
    out.extend([0; 1024]);
    out
}

fn entry(out: &mut Vec<u8>, typeflag: u8, path: &[u8], target: &[u8], content: &[u8]) {
    let mut header = [0u8; 512];
    header[..path.len()].copy_from_slice(path);
    header[100..108].copy_from_slice(b"0000644\0");
    header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
    header[156] = typeflag;
    header[157..157 + target.len()].copy_from_slice(target);
    header[257..265].copy_from_slice(b"ustar  \0");
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    out.extend(header);
    out.extend(content);
    out.resize(out.len().next_multiple_of(512), 0);
}

struct Bench {
    catalogers: Vec<Arc<dyn Cataloger>>,
    table: InterestTable,
    limits: Limits,
}

impl Bench {
    fn new() -> Self {
        let catalogers: Vec<Arc<dyn Cataloger>> = vec![Arc::new(BY_PATH), Arc::new(BY_CONTENT)];
        let table = InterestTable::new(&catalogers).unwrap();
        Self { catalogers, table, limits: Limits::default() }
    }

    fn walk(&self, tar: &[u8], piece: usize, again: Option<&[Again]>) -> LayerFacts {
        let reading = Reading { catalogers: &self.catalogers, table: &self.table, limits: &self.limits, again };
        walk(BufReader::with_capacity(piece, tar), &reading, &mut Vec::new()).unwrap().facts
    }

    /// The visible files of an image: path, layer and text.
    fn image(&self, layers: &[Vec<u8>]) -> Vec<String> {
        let facts: Vec<_> = layers.iter().map(|layer| Arc::new(self.walk(layer, 4096, None))).collect();
        let overlay = Overlay::new(&facts, &self.table);
        let mut resolved = overlay.finish(&facts, 2, &self.table);
        let again = std::mem::take(&mut resolved.again);
        for layer in 0..layers.len() as u32 {
            let asked: Vec<_> = again.iter().filter(|(at, _)| *at == layer).map(|(_, again)| again.clone()).collect();
            if !asked.is_empty() {
                resolved.add(layer, &asked, self.walk(&layers[layer as usize], 4096, Some(&asked)));
            }
        }
        let show = |file: &VisibleFile| format!("{} {} {}", file.path, file.layer, file.facts::<String>().unwrap());
        resolved.files.iter().flatten().map(show).collect()
    }
}

#[test]
fn overlays_as_unpacking_does() {
    type Case = (&'static str, &'static [&'static [&'static str]], &'static [&'static str]);
    let cases: &[Case] = &[
        ("a later layer replaces", &[&["f a/mark = 1"], &["f a/mark = 2"]], &["a/mark 1 2"]),
        ("a whiteout removes", &[&["f a/mark = 1", "f b/mark = 1"], &["w a/mark"]], &["b/mark 0 1"]),
        ("a whiteout of a directory removes all of it", &[&["f a/b/mark = 1"], &["w a"]], &[]),
        ("a whiteout spares its own layer", &[&["f a/mark = 1"], &["f a/mark = 2", "w a"]], &["a/mark 1 2"]),
        ("delete, then create again", &[&["f a/mark = 1"], &["w a/mark", "f a/mark = 2"]], &["a/mark 1 2"]),
        (
            "an opaque directory hides",
            &[&["f a/mark = 1", "f a/x/mark = 1"], &["f a/y/mark = 2", "o a"]],
            &["a/y/mark 1 2"],
        ),
        (
            "a name that only starts alike stays",
            &[&["f a/mark = 1", "f a-b/mark = 1", "f ab/mark = 1"], &["w a"]],
            &["a-b/mark 0 1", "ab/mark 0 1"],
        ),
        ("a file over a directory", &[&["f a/mark = 1"], &["f a = x"]], &[]),
        ("a directory over a file", &[&["f mark = 1"], &["d mark"]], &[]),
        (
            "a directory over a link",
            &[&["f t/mark = 1", "l a -> t"], &["d a", "f a/mark = 2"]],
            &["a/mark 1 2", "t/mark 0 1"],
        ),
        (
            "below a link is behind it",
            &[&["d usr/lib", "l lib -> usr/lib"], &["f lib/mark = 1"]],
            &["usr/lib/mark 1 1"],
        ),
        ("an absolute link is of the root", &[&["l a/lib -> /usr"], &["f a/lib/mark = 1"]], &["usr/mark 1 1"]),
        ("no link leads out", &[&["l a -> ../../../etc"], &["f a/mark = 1"]], &["etc/mark 1 1"]),
        ("a loop ends", &[&["l a -> b", "l b -> a"], &["f a/mark = 1"]], &["a/mark 1 1"]),
        ("a link that is replaced", &[&["l a -> t"], &["w a", "f a/mark = 1"]], &["a/mark 1 1"]),
        ("a hard link to a file that was read", &[&["f a/mark = 1", "h b/mark -> a/mark"], &["w a"]], &["b/mark 0 1"]),
        ("a hard link to a file that nobody wanted", &[&["f a/x = 1"], &["h b/mark -> a/x"]], &["b/mark 0 1"]),
        ("a hard link under a name that nobody wants", &[&["f a/mark = 1", "h b/x -> a/mark"]], &["a/mark 0 1"]),
        ("a link to a file that nobody wanted", &[&["f a/x = 1", "l b/mark -> ../a/x"]], &["b/mark 0 1"]),
        (
            "a link to a file that was read",
            &[&["f a/mark = 1", "l b/mark -> ../a/mark"]],
            &["a/mark 0 1", "b/mark 0 1"],
        ),
        (
            "a fixed directory that is a link",
            &[&["f opt/db/one = 1", "f opt/db/x/two = 2"], &["l etc/fixed -> /opt/db"]],
            &["etc/fixed/one 0 1"],
        ),
        ("content decides", &[&["f a/x = #!magic 1", "f a/y = #!magic 2"], &["f a/x = other"]], &["a/y 0 #!magic 2"]),
        ("a hole in a name", &[&["f ./a//mark = 1", "f /b/../mark = 2"]], &["a/mark 0 1", "mark 0 2"]),
    ];
    let bench = Bench::new();
    for (name, layers, visible) in cases {
        let layers: Vec<_> = layers.iter().map(|layer| tar(layer)).collect();
        assert_eq!(bench.image(&layers), *visible, "{name}");
    }
}

#[test]
fn any_pieces_give_the_same_facts() {
    let mut layer = tar(&["f a/mark = 1", "d b", "f big = streamed", "f b/mark = 2", "l c -> b"]);
    // A long name, in GNU's way, in the middle.
    let long = format!("{}/mark", "d".repeat(300));
    let mut with_long = Vec::new();
    entry(&mut with_long, b'L', b"././@LongLink", b"", long.as_bytes());
    entry(&mut with_long, b'0', b"short", b"", b"3");
    layer.splice(0..0, with_long);
    let bench = Bench::new();
    let whole = bench.walk(&layer, 1 << 20, None);
    assert_eq!(whole.facts.len(), 4);
    for piece in [1, 3, 511, 512, 513, 1024, 4096] {
        assert_eq!(bench.walk(&layer, piece, None), whole, "{piece}");
    }
}

#[test]
fn damage_is_a_problem_and_what_came_before_stays() {
    let layer = tar(&["f a/mark = 1", "f b/mark = 2"]);
    let bench = Bench::new();
    for (end, left) in [(512, 0), (600, 1), (1024 + 100, 1), (1024 + 512 + 1, 2)] {
        let facts = bench.walk(&layer[..end], 4096, None);
        assert_eq!(facts.problems.first().map(|problem| problem.kind), Some(ProblemKind::Corrupt), "{end}");
        assert_eq!(facts.facts.len(), left, "{end}");
    }
    let mut layer = layer;
    layer[1024 + 150] ^= 1;
    let facts = bench.walk(&layer, 4096, None);
    assert_eq!((facts.facts.len(), facts.problems.len()), (1, 1));
}

#[test]
fn a_name_of_a_gibibyte_is_passed_over() {
    use std::io::Read as _;
    let mut head = Vec::new();
    entry(&mut head, b'L', b"././@LongLink", b"", b"");
    head[124..136].copy_from_slice(format!("{:011o}\0", 1u64 << 30).as_bytes());
    head[148..156].fill(b' ');
    let sum: u32 = head[..512].iter().map(|byte| u32::from(*byte)).sum();
    head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut tail = Vec::new();
    entry(&mut tail, b'0', b"short", b"", b"its content");
    tail.extend(tar(&["f a/mark = 1"]));
    let input = head.chain(std::io::repeat(b'x').take(1 << 30)).chain(tail.as_slice());
    let bench = Bench::new();
    let reading = Reading { catalogers: &bench.catalogers, table: &bench.table, limits: &bench.limits, again: None };
    let facts = walk(BufReader::with_capacity(1 << 18, input), &reading, &mut Vec::new()).unwrap().facts;
    assert_eq!(facts.facts.len(), 1);
    assert_eq!(facts.problems.first().map(|problem| problem.kind), Some(ProblemKind::LimitExceeded));
}

#[test]
fn limits_are_problems() {
    let layer = tar(&["f a/mark = 1", "f b/mark = 22222", "f big = 333333", "f c/mark = 4"]);
    let mut bench = Bench::new();
    bench.limits.file = 4;
    let facts = bench.walk(&layer, 4096, None);
    assert_eq!(facts.facts.len(), 3, "the stream has no limit");
    assert_eq!(facts.problems.iter().map(|problem| problem.path.as_deref()).collect::<Vec<_>>(), [Some("b/mark")]);
    bench.limits = Limits { entries: 2, ..Limits::default() };
    let facts = bench.walk(&layer, 4096, None);
    assert_eq!((facts.facts.len(), facts.problems[0].kind), (2, ProblemKind::LimitExceeded));
    bench.limits = Limits { path: 5, ..Limits::default() };
    assert_eq!(bench.walk(&layer, 4096, None).problems.len(), 3);
}

#[test]
fn facts_come_back_from_bytes() {
    let facts = Bench::new().walk(&tar(&["f a/mark = 1", "d b", "l c -> b"]), 4096, None);
    let bytes = facts.to_bytes().unwrap();
    let back = LayerFacts::from_bytes(&bytes).unwrap();
    assert_eq!(back.facts, facts.facts);
    assert_eq!(back.journal.len(), 3);
    assert!(LayerFacts::from_bytes(&bytes[..bytes.len() - 2]).is_err());
}
