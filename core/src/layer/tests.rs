//! Layers in small: tars written here, walked and laid over one another.

use std::io::BufReader;
use std::sync::Arc;

use super::again::Again;
use super::overlay::Overlay;
use super::walk::{Reading, Space, Stopped, Walked, walk};
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
        Self::of(vec![Arc::new(BY_PATH), Arc::new(BY_CONTENT)])
    }

    fn of(catalogers: Vec<Arc<dyn Cataloger>>) -> Self {
        let table = InterestTable::new(&catalogers).unwrap();
        Self { catalogers, table, limits: Limits::default() }
    }

    fn walk(&self, tar: &[u8], piece: usize, again: Option<&[Again]>) -> LayerFacts {
        let reading = Reading {
            catalogers: &self.catalogers,
            table: &self.table,
            limits: &self.limits,
            again,
            space: &|_| Space::Granted,
        };
        walk(BufReader::with_capacity(piece, tar), &reading, &mut Vec::new()).unwrap().facts().unwrap()
    }

    /// The visible files of an image: path, layer and text.
    fn image(&self, layers: &[Vec<u8>]) -> Vec<String> {
        let facts: Vec<_> = layers.iter().map(|layer| Arc::new(self.walk(layer, 4096, None))).collect();
        let mut overlay = Overlay::new(&facts, &self.table);
        let again = std::mem::take(&mut overlay.again);
        for layer in 0..layers.len() as u32 {
            let asked: Vec<_> = again.iter().filter(|(at, _)| *at == layer).map(|(_, again)| again.clone()).collect();
            if !asked.is_empty() {
                overlay.add(layer, &asked, self.walk(&layers[layer as usize], 4096, Some(&asked)));
            }
        }
        let show = |file: &VisibleFile| format!("{} {} {}", file.path(), file.layer, file.facts::<String>().unwrap());
        overlay.files.iter().flatten().map(show).collect()
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
        ("hard links in a circle", &[&["h a/mark -> b/mark", "h b/mark -> a/mark"]], &[]),
        ("a hard link to itself", &[&["f a/mark = 1", "h a/mark -> a/mark"]], &["a/mark 0 1"]),
        ("a link to itself", &[&["l a/mark -> mark", "f b/mark = 1"]], &["b/mark 0 1"]),
        ("a hard link to a loop", &[&["l a/mark -> mark", "h b/mark -> a/mark"]], &[]),
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

/// Whatever the tar does, it takes no more than this, without optimization and beside other tests.
const SOON: std::time::Duration = std::time::Duration::from_secs(30);

/// A long name or a long target in GNU's way, before the entry that it belongs to.
fn long(out: &mut Vec<u8>, typeflag: u8, path: &[u8], target: &[u8]) {
    for (kind, text) in [(b'L', path), (b'K', target)] {
        if !text.is_empty() {
            entry(out, kind, b"././@LongLink", b"", text);
        }
    }
    entry(out, typeflag, b"short", b"short", b"");
}

#[test]
fn a_maze_of_links_takes_no_time() {
    // Each of 40 links leads to the next one and then two thousand directories down, and every file lies behind all of them.
    let mut layer = Vec::new();
    for link in 0..40 {
        let target = format!("l{}{}", link + 1, "/a".repeat(2000));
        long(&mut layer, b'2', format!("l{link}").as_bytes(), target.as_bytes());
    }
    for file in 0..1_000 {
        entry(&mut layer, b'0', format!("l0/{file}/mark").as_bytes(), b"", b"1");
    }
    let began = std::time::Instant::now();
    let (bench, facts) = (Bench::new(), [Arc::new(Bench::new().walk(&layer, 4096, None))]);
    let overlay = Overlay::new(&facts, &bench.table);
    assert!(overlay.files[0].len() <= 1_000 && began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[test]
fn a_million_whiteouts_take_no_time() {
    let marks = |tree: &str| (0..3_000).map(|file| format!("f {tree}/{file}/mark = 1")).collect::<Vec<_>>();
    let (below, mut above) = (marks("below"), marks("above"));
    above.extend((0..20_000).map(|_| "o above".to_owned()));
    above.extend((0..20_000).map(|_| "w above/x".to_owned()));
    let tars: Vec<_> =
        [below, above].iter().map(|lines| tar(&lines.iter().map(String::as_str).collect::<Vec<_>>())).collect();
    let began = std::time::Instant::now();
    assert_eq!(Bench::new().image(&tars).len(), 6_000);
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[test]
fn links_with_long_names_are_bounded_together() {
    let deep = format!("{}/", "d".repeat(200)).repeat(20);
    let mut layer = Vec::new();
    entry(&mut layer, b'0', b"a/mark", b"", b"1");
    for link in 0..10_000 {
        long(&mut layer, b'2', format!("{deep}{link}").as_bytes(), b"x");
    }
    let (bench, facts) = (Bench::new(), [Arc::new(Bench::new().walk(&layer, 4096, None))]);
    assert!(facts[0].problems.is_empty());
    let overlay = Overlay::new(&facts, &bench.table);
    assert_eq!(overlay.files[0].len(), 1);
    assert_eq!(overlay.problems.len(), 1, "{:?}", overlay.problems);
    assert_eq!(overlay.problems[0].kind, ProblemKind::LimitExceeded);
}

#[test]
fn a_file_of_a_thousand_names_is_read_again_for_some() {
    let mut lines = vec!["f a/x = 1".to_owned()];
    lines.extend((0..1_000).map(|name| format!("l n/{name}/mark -> /a/x")));
    let layer = tar(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    let (bench, facts) = (Bench::new(), [Arc::new(Bench::new().walk(&layer, 4096, None))]);
    let overlay = Overlay::new(&facts, &bench.table);
    assert_eq!((overlay.again.len(), overlay.problems.len()), (32, 1));
    assert!(overlay.problems[0].path.as_deref().is_some_and(|path| path.starts_with("n/")));
    assert_eq!(bench.image(&[layer]).len(), 32);
}

#[test]
fn the_facts_of_a_layer_are_bounded_together() {
    let text = "x".repeat(LayerFacts::MAX / 7 * 2);
    let lines: Vec<_> = (0..5).map(|file| format!("f {file}/mark = {text}")).collect();
    let facts = Bench::new().walk(&tar(&lines.iter().map(String::as_str).collect::<Vec<_>>()), 4096, None);
    assert_eq!(facts.facts.len(), 3);
    let told: Vec<_> = facts.problems.iter().map(|problem| (problem.kind, problem.path.as_deref())).collect();
    assert_eq!(told, [(ProblemKind::LimitExceeded, Some("3/mark")), (ProblemKind::LimitExceeded, Some("4/mark"))]);
}

/// A record of a pax header (POSIX pax, "pax Extended Header"): its own length, the keyword and the value.
fn record(keyword: &str, value: &[u8]) -> Vec<u8> {
    let rest = keyword.len() + value.len() + 3;
    let length = (1..).find(|digits| (rest + digits).to_string().len() == *digits).unwrap() + rest;
    [format!("{length} {keyword}=").as_bytes(), value, b"\n"].concat()
}

#[test]
fn pax_headers_of_every_kind() {
    let named = record("path", b"a/mark");
    let after = [("b/mark", "2")];
    for (what, pax, global, seen, problems) in [
        ("a path", named.clone(), false, vec![("a/mark", "1")], 0),
        ("a path that climbs out", record("path", b"../../a/mark"), false, vec![("a/mark", "1")], 0),
        ("a path from the root", record("path", b"/a//./mark"), false, vec![("a/mark", "1")], 0),
        ("a path that is no UTF-8", record("path", b"\xff/mark"), false, vec![("\\xff/mark", "1")], 0),
        ("a path with a control character", record("path", b"a\n/mark"), false, vec![("a\\x0a/mark", "1")], 0),
        ("a path with a NUL", record("path", b"a\0b/mark"), false, vec![("a\\x00b/mark", "1")], 0),
        ("the last of two", [record("path", b"c/mark"), named.clone()].concat(), false, vec![("a/mark", "1")], 0),
        ("a number that is none", record("size", b"-1"), false, vec![("d/mark", "1")], 0),
        (
            "a record that lies about its length",
            b"99999999999999999999 path=a/mark\n".to_vec(),
            false,
            vec![("d/mark", "1")],
            0,
        ),
        ("no record at all", b"nonsense".to_vec(), false, vec![("d/mark", "1")], 0),
        ("nothing", Vec::new(), false, vec![("d/mark", "1")], 0),
        (
            "a sparse file",
            [
                record("GNU.sparse.major", b"1"),
                record("GNU.sparse.minor", b"0"),
                record("GNU.sparse.name", b"a/mark"),
                record("GNU.sparse.realsize", b"99999999999"),
            ]
            .concat(),
            false,
            vec![],
            1,
        ),
        ("for all that follow", record("comment", b"x"), true, vec![("d/mark", "1")], 0),
    ] {
        let mut layer = Vec::new();
        entry(&mut layer, if global { b'g' } else { b'x' }, b"pax", b"", &pax);
        // Of a sparse file the map comes first: one piece, from the start, of one byte.
        let content =
            if what == "a sparse file" { [b"1\n0\n1\n".as_slice(), &[0; 506], b"1"].concat() } else { b"1".to_vec() };
        entry(&mut layer, b'0', b"d/mark", b"", &content);
        layer.extend(tar(&["f b/mark = 2"]));
        let bench = Bench::new();
        let facts = Arc::new(bench.walk(&layer, 4096, None));
        let mut found = bench.image(std::slice::from_ref(&layer));
        let mut wanted: Vec<_> = seen.iter().chain(&after).map(|(path, text)| format!("{path} 0 {text}")).collect();
        found.sort();
        wanted.sort();
        assert_eq!(found, wanted, "{what}");
        assert_eq!(facts.problems.len(), problems, "{what}: {:?}", facts.problems);
        assert!(facts.problems.iter().all(|problem| problem.path.is_some()), "{what}: {:?}", facts.problems);
        for piece in [1, 513] {
            assert_eq!(bench.walk(&layer, piece, None), *facts, "{what} in pieces of {piece}");
        }
    }
}

/// GNU tar's old form: the map stands in the header (here it is empty), and the type says so.
#[test]
fn an_old_sparse_file_is_told_and_passed_over() {
    let mut layer = Vec::new();
    entry(&mut layer, b'S', b"a/mark", b"", b"1");
    layer.extend(tar(&["f b/mark = 2"]));
    let bench = Bench::new();
    let facts = bench.walk(&layer, 4096, None);
    assert_eq!(facts.problems.iter().map(|problem| problem.kind).collect::<Vec<_>>(), [ProblemKind::Unsupported]);
    assert_eq!(bench.image(std::slice::from_ref(&layer)), ["b/mark 0 2"]);
}

#[test]
fn a_size_that_lies_ends_the_layer_and_is_told() {
    for size in [
        b"77777777777\0".as_slice(),
        b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        let mut layer = tar(&["f a/mark = 1", "f b/mark = 2"]);
        layer[1024 + 124..1024 + 136].copy_from_slice(size);
        layer[1024 + 148..1024 + 156].fill(b' ');
        let sum: u32 = layer[1024..1536].iter().map(|byte| u32::from(*byte)).sum();
        layer[1024 + 148..1024 + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let facts = Bench::new().walk(&layer, 4096, None);
        assert_eq!(facts.facts.len(), 1, "{size:?}");
        assert!(!facts.problems.is_empty(), "{size:?}");
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
    let reading = Reading {
        catalogers: &bench.catalogers,
        table: &bench.table,
        limits: &bench.limits,
        again: None,
        space: &|_| Space::Granted,
    };
    let facts = walk(BufReader::with_capacity(1 << 18, input), &reading, &mut Vec::new()).unwrap().facts().unwrap();
    assert_eq!(facts.facts.len(), 1);
    assert_eq!(facts.problems.first().map(|problem| problem.kind), Some(ProblemKind::LimitExceeded));
}

#[test]
fn a_walk_says_how_it_ended() {
    let bench = Bench::new();
    let walk_within = |tar: &[u8], space: &dyn Fn(usize) -> Space| {
        let Bench { catalogers, table, limits } = &bench;
        walk(tar, &Reading { catalogers, table, limits, again: None, space }, &mut Vec::new())
    };
    let layer = tar(&["f a/mark = 1"]);
    let kept = |walked: Walked| walked.facts().map(|facts| facts.facts.len());
    let whole = walk_within(&layer, &|_| Space::Granted).unwrap();
    assert!(matches!(whole, Walked::Whole(_)) && kept(whole) == Some(1));
    let cut = &tar(&["f a/mark = 1", "f b/mark = 2"])[..3 * 512];
    let damaged = walk_within(cut, &|_| Space::Granted).unwrap();
    assert!(matches!(damaged, Walked::Damaged(_)) && kept(damaged) == Some(1));
    let too_much = walk_within(&layer, &|_| Space::Full).unwrap();
    assert!(matches!(too_much, Walked::TooMuch) && kept(too_much).is_none());
    assert!(matches!(walk_within(&layer, &|_| Space::Later), Err(Stopped::NoRoomNow)));
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
    bench.limits.entries = 4;
    let facts = bench.walk(&layer, 4096, None);
    assert_eq!((facts.facts.len(), facts.problems.len()), (4, 0), "as many as the limit are not more");
    bench.limits = Limits { path: 5, ..Limits::default() };
    assert_eq!(bench.walk(&layer, 4096, None).problems.len(), 3);
}

/// Asks for a second look at every file, with a note of this many bytes.
struct Notes(usize);

impl Cataloger for Notes {
    fn id(&self) -> &'static str {
        "test/notes"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interests(&self) -> &[Interest] {
        &[Interest::Path("**/note*", Take::Whole)]
    }

    fn read(&self, file: &mut File<'_>) -> Result<Option<Facts>> {
        file.look_again(&vec![7u8; self.0]).map(|()| None)
    }

    fn resolve(&self, _: &View<'_>, _: &mut Draft) -> Result<()> {
        Ok(())
    }
}

#[test]
fn what_is_noted_for_second_looks_is_bounded_together() {
    let lines: Vec<String> = (0..70_000).map(|number| format!("f note{number} = 1")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    for (note, files) in [(1 << 20, 40), (0, 70_000)] {
        let layer = tar(&lines[..files]);
        let bench = Bench::of(vec![Arc::new(Notes(note))]);
        let facts = bench.walk(&layer, 4096, None);
        let bytes: usize = facts.again.iter().map(|again| again.note.as_ref().map_or(0, Vec::len)).sum();
        assert!(
            !facts.again.is_empty() && facts.again.len() < files && bytes <= 8 << 20,
            "{} notes of {bytes} bytes",
            facts.again.len()
        );
        let problem = facts.problems.first().unwrap();
        assert_eq!(problem.kind, ProblemKind::LimitExceeded);
        assert!(problem.path.as_ref().is_some_and(|path| path.starts_with("note")), "{problem:?}");
    }
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
