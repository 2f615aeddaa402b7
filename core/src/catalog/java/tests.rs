//! Jars made here, good ones and such as no program writes.

use std::io::{Read, Write as _};

use super::Java;
use crate::conformance::cataloger::{Outcome, Sample, suite};

/// One entry and how it is written.
#[derive(Clone)]
struct Part {
    name: String,
    /// The name in the central directory, where it is another.
    central: Option<String>,
    content: Vec<u8>,
    deflated: bool,
    streamed: bool,
    is_listed: bool,
}

impl Part {
    fn new(name: &str, content: impl AsRef<[u8]>) -> Self {
        let content = content.as_ref().to_vec();
        Self { name: name.into(), central: None, content, deflated: true, streamed: false, is_listed: true }
    }

    fn stored(self) -> Self {
        Self { deflated: false, ..self }
    }

    fn streamed(self) -> Self {
        Self { streamed: true, ..self }
    }

    fn listed_as(self, name: &str) -> Self {
        Self { central: Some(name.into()), ..self }
    }

    fn unlisted(self) -> Self {
        Self { is_listed: false, ..self }
    }
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0; zlib_rs::compress_bound(bytes.len()) + 64];
    let mut deflate = zlib_rs::Deflate::new(6, false, 15);
    deflate.compress(bytes, &mut out, zlib_rs::DeflateFlush::Finish).unwrap();
    out.truncate(deflate.total_out() as usize);
    out
}

/// A zip archive of these parts (APPNOTE 4.3).
fn zip(parts: &[Part]) -> Vec<u8> {
    let (mut out, mut directory, mut count) = (Vec::new(), Vec::new(), 0u16);
    for part in parts {
        let packed = if part.deflated { deflate(&part.content) } else { part.content.clone() };
        let flags: u16 = if part.streamed { 8 } else { 0 };
        let method: u16 = if part.deflated { 8 } else { 0 };
        let sizes =
            [&[0; 4][..], &(packed.len() as u32).to_le_bytes(), &(part.content.len() as u32).to_le_bytes()].concat();
        let fields = |name: &str, sizes: &[u8]| {
            let mut fields = [20u16, flags, method, 0, 0].map(u16::to_le_bytes).concat();
            fields.extend(sizes);
            fields.extend((name.len() as u16).to_le_bytes());
            fields.extend(0u16.to_le_bytes());
            fields
        };
        let offset = out.len() as u32;
        out.extend(b"PK\x03\x04");
        out.extend(fields(&part.name, if part.streamed { &[0; 12] } else { &sizes }));
        out.extend(part.name.as_bytes());
        out.extend(&packed);
        if part.streamed {
            out.extend(b"PK\x07\x08");
            out.extend(&sizes);
        }
        if part.is_listed {
            let name = part.central.as_ref().unwrap_or(&part.name);
            count += 1;
            directory.extend(b"PK\x01\x02\x14\x00");
            directory.extend(fields(name, &sizes));
            directory.extend([0; 10]);
            directory.extend(offset.to_le_bytes());
            directory.extend(name.as_bytes());
        }
    }
    let start = out.len() as u32;
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend([count, count].map(u16::to_le_bytes).concat());
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0; 2]);
    out
}

fn properties(group: &str, artifact: &str, version: &str) -> Part {
    Part::new(
        &format!("META-INF/maven/{group}/{artifact}/pom.properties"),
        format!("groupId={group}\nartifactId={artifact}\nversion={version}\n"),
    )
}

fn rows(outcome: &Outcome) -> Vec<String> {
    let row = |package: crate::model::inventory::Package<'_>| {
        let paths: Vec<_> = package.locations().map(|location| location.path).collect();
        let licenses: Vec<_> = package.licenses().collect();
        let mut row =
            format!("{} {} {} {}", package.name(), package.version(), package.certainty().as_str(), paths.join(" "));
        if !licenses.is_empty() {
            row.push_str(&format!(" [{}]", licenses.join(", ")));
        }
        row
    };
    outcome.inventory.packages().map(row).collect()
}

fn kinds(outcome: &Outcome) -> Vec<&'static str> {
    outcome.problems.iter().map(|problem| problem.kind.as_str()).collect()
}

fn run(path: &str, content: &[u8]) -> Outcome {
    Sample::new().file(0, path, content).run_all()
}

#[test]
fn jars_in_a_jar_of_every_form() {
    let class = Part::new("a/B.class", vec![7; 5000]);
    let inner = zip(&[class.clone(), properties("org.a", "inner", "1.0"), class.clone().streamed()]);
    let manifest = "Bundle-SymbolicName: org.b.other\nBundle-Version: 2.0.0\nBundle-License: Apache-2.0\n\nName: x\n";
    let other = zip(&[Part::new("META-INF/MANIFEST.MF", manifest).streamed(), class.clone().streamed()]);
    let pom = "<project><licenses><license><name>MIT</name></license></licenses></project>";
    let outer = zip(&[
        class.clone().streamed(),
        Part::new("META-INF/maven/org.a/app/pom.xml", pom).streamed(),
        properties("org.a", "app", "3").streamed(),
        Part::new("BOOT-INF/lib/inner-1.0.jar", &inner).stored(),
        class.clone().streamed(),
        Part::new("BOOT-INF/lib/packed.jar", &inner).streamed(),
        Part::new("WEB-INF/lib/other-2.0.jar", &other),
        Part::new("lib/nameless-5.1.jar", zip(std::slice::from_ref(&class))).stored(),
        Part::new("lib/no-zip-1.0.txt", "text").stored(),
    ]);
    let started = [b"#!/bin/sh\nexec java -jar $0\nPK\n".to_vec(), outer.clone()].concat();
    for (form, bytes) in [("plain", &outer), ("behind a script", &started)] {
        let outcome = run("opt/app.jar", bytes);
        assert_eq!(
            rows(&outcome),
            [
                "nameless 5.1 guessed opt/app.jar!/lib/nameless-5.1.jar",
                "org.a:app 3 stated opt/app.jar [MIT]",
                "org.a:inner 1.0 stated opt/app.jar!/BOOT-INF/lib/inner-1.0.jar opt/app.jar!/BOOT-INF/lib/packed.jar",
                "org.b:other 2.0 derived opt/app.jar!/WEB-INF/lib/other-2.0.jar [Apache-2.0]",
            ],
            "{form}"
        );
        assert_eq!(kinds(&outcome), [""; 0], "{form}");
        assert_eq!(outcome.layers_read_twice, 0, "{form}");
    }
    suite(&Java, &[("opt/app.jar", &outer)]);
}

#[test]
fn what_the_directory_lists_is_what_counts() {
    let hidden = properties("org.a", "real", "1.0");
    for (what, parts) in [
        ("another name in the local header", vec![Part { name: "x".into(), ..hidden.clone() }.listed_as(&hidden.name)]),
        ("stored, and its size only in the directory", vec![hidden.clone().stored().streamed()]),
        ("an entry that is not listed", vec![properties("org.a", "fake", "1.0").unlisted(), hidden.clone()]),
    ] {
        let outcome = run("a/x.jar", &zip(&parts));
        assert_eq!(rows(&outcome), ["org.a:real 1.0 stated a/x.jar"], "{what}");
        assert_eq!(outcome.layers_read_twice, u32::from(parts.len() == 1), "{what}");
        assert_eq!(kinds(&outcome), [""; 0], "{what}");
        // Below another archive there is no second look: the lie is told.
        let outer = zip(&[Part::new("lib/x.jar", zip(&parts))]);
        let outcome = run("a/outer.jar", &outer);
        assert_eq!(kinds(&outcome).len(), usize::from(parts.len() == 1), "{what}");
    }
}

#[test]
fn an_entry_inside_of_another_is_not_believed() {
    // The outer entry's bytes hold a whole local entry, which the directory does not list.
    let fake = zip(&[properties("org.a", "fake", "9")]);
    let bytes = zip(&[Part::new("data.bin", &fake).stored(), properties("org.a", "real", "1")]);
    assert_eq!(rows(&run("x.jar", &bytes)), ["org.a:real 1 stated x.jar"]);
    // Two listed entries that share their bytes: the one that can be read is, and the file is named.
    let mut overlapping = zip(&[Part::new("a.jar", &fake).stored(), properties("org.a", "real", "1")]);
    let at = memchr::memmem::rfind(&overlapping, b"PK\x01\x02").unwrap() + 42;
    let inside = memchr::memmem::find(&overlapping[4..], b"PK\x03\x04").unwrap() as u32 + 4;
    overlapping[at..at + 4].copy_from_slice(&inside.to_le_bytes());
    let outcome = run("x.jar", &overlapping);
    assert_eq!(kinds(&outcome), ["corrupt"]);
    assert_eq!(outcome.problems[0].path.as_deref(), Some("x.jar"));
}

#[test]
fn a_jar_a_hundred_deep_stops_at_the_limit() {
    let mut bytes = zip(&[properties("org.a", "deepest", "1")]);
    for depth in (0..100).rev() {
        bytes = zip(&[properties("org.a", &format!("at-{depth}"), "1"), Part::new("next.jar", &bytes)]);
    }
    let outcome = run("deep.jar", &bytes);
    assert_eq!(outcome.inventory.len(), 9);
    assert_eq!(kinds(&outcome), ["limit-exceeded"]);
    assert_eq!(outcome.problems[0].path.as_deref(), Some("deep.jar"));
}

#[test]
fn a_bomb_stops_at_the_limit() {
    let bomb = zip(&[Part::new("zeros.jar", vec![0; 128 << 20])]);
    let bytes = zip(&[properties("org.a", "real", "1"), Part::new("bomb.jar", bomb)]);
    let outcome = run("bomb.jar", &bytes);
    assert_eq!(kinds(&outcome)[0], "limit-exceeded");
    assert!(rows(&outcome).contains(&"org.a:real 1 stated bomb.jar".to_owned()));
}

#[test]
fn a_zip64_lie_and_a_cut_end_are_told() {
    let mut lie = zip(&[properties("org.a", "real", "1"), Part::new("big.jar", "PK").stored()]);
    let at = memchr::memmem::find(&lie[4..], b"PK\x03\x04").unwrap() + 4;
    lie[at + 18..at + 26].fill(0xff);
    let outcome = run("x.jar", &lie);
    assert_eq!(kinds(&outcome), ["corrupt"]);
    let whole = zip(&[properties("org.a", "real", "1"), Part::new("a.class", vec![1; 10_000])]);
    let outcome = run("x.jar", &whole[..whole.len() - 30]);
    assert_eq!((rows(&outcome).len(), kinds(&outcome)), (1, vec!["corrupt"]));
    for foreign in [&b"not an archive"[..], b"Rar!\x1a\x07\x01\0", b""] {
        assert_eq!(kinds(&run("x.rar", foreign)), ["malformed"], "{foreign:?}");
    }
}

#[test]
fn a_directory_that_lies_is_told() {
    let good = zip(&[properties("org.a", "real", "1")]);
    let central = memchr::memmem::rfind(&good, b"PK\x01\x02").unwrap();
    let end = memchr::memmem::rfind(&good, b"PK\x05\x06").unwrap();
    // The size, the size before packing and the place, all in a field of zip64 that says more than there is, or is not there.
    for says in [Some(u64::MAX), Some(1 << 40), None] {
        let mut lie = good[..end].to_vec();
        lie[central + 20..central + 28].fill(0xff);
        lie[central + 42..central + 46].fill(0xff);
        if let Some(says) = says {
            lie[central + 30..central + 32].copy_from_slice(&28u16.to_le_bytes());
            lie.extend([1u16, 24].map(u16::to_le_bytes).concat());
            lie.extend([says; 3].map(u64::to_le_bytes).concat());
        }
        let mut tail = good[end..].to_vec();
        tail[12..16].copy_from_slice(&((lie.len() - central) as u32).to_le_bytes());
        lie.extend(tail);
        let outcome = run("x.jar", &lie);
        assert_eq!((rows(&outcome).len(), kinds(&outcome)), (0, vec!["corrupt"]), "{says:?}");
        assert_eq!(outcome.problems[0].path.as_deref(), Some("x.jar"));
    }
    // The archive starts, as its directory says, behind its end.
    let mut moved = good.clone();
    moved[end + 16..end + 20].fill(0xff);
    assert!(run("x.jar", &moved).problems.len() <= 1);
}

#[test]
fn entries_that_share_one_jar_are_read_once() {
    // Ten thousand entries of the directory, all of them the same nested jar: what others unpack ten thousand times.
    let bytes = zip(&[Part::new("a.jar", zip(&[properties("org.a", "inner", "1")]))]);
    let central = memchr::memmem::rfind(&bytes, b"PK\x01\x02").unwrap();
    let end = memchr::memmem::rfind(&bytes, b"PK\x05\x06").unwrap();
    for count in [2, 9_999, 20_000] {
        let directory = bytes[central..end].repeat(count);
        let mut tail = bytes[end..].to_vec();
        tail[12..16].copy_from_slice(&(directory.len() as u32).to_le_bytes());
        let outcome = run("x.jar", &[&bytes[..central], &directory, &tail].concat());
        let found = outcome.inventory.packages().map(|package| package.locations().len()).sum::<usize>();
        assert!(found <= 1, "{count}: {found}");
        assert!(kinds(&outcome).len() <= 1 && (count < 10_000 || kinds(&outcome) == ["limit-exceeded"]), "{count}");
    }
}

#[test]
fn names_in_archives_are_shown_and_never_followed() {
    for (name, shown) in [
        ("../../../etc/inner.jar", "x.jar!/../../../etc/inner.jar"),
        ("/etc/inner.jar", "x.jar!//etc/inner.jar"),
        ("a\0b/inner.jar", "x.jar!/a\\x00b/inner.jar"),
        ("a\nb/inner.jar", "x.jar!/a\\x0ab/inner.jar"),
    ] {
        let outcome = run("x.jar", &zip(&[Part::new(name, zip(&[properties("org.a", "inner", "1")]))]));
        assert_eq!(rows(&outcome), [format!("org.a:inner 1 stated {shown}")]);
    }
}

#[test]
fn archives_of_another_writer() {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for large in [false, true] {
        writer.start_file(format!("META-INF/maven/g/a{large}/pom.properties"), options.large_file(large)).unwrap();
        writer.write_all(format!("groupId=org.g\nartifactId=a{large}\nversion=1").as_bytes()).unwrap();
    }
    let bytes = writer.finish().unwrap().into_inner();
    let outcome = run("x.jar", &bytes);
    assert_eq!(rows(&outcome), ["org.g:afalse 1 stated x.jar", "org.g:atrue 1 stated x.jar"]);
    assert_eq!((kinds(&outcome), outcome.layers_read_twice), (vec![], 0));
}

/// A fat jar of 500 MB that is written as it is read: a hundred stored jars, each with 5 MB of what no pattern wants.
#[test]
fn a_fat_jar_of_500_mb_is_not_held() {
    struct Fat {
        head: std::io::Cursor<Vec<u8>>,
        jar: Vec<u8>,
        names: Vec<String>,
        next: usize,
        directory: Vec<u8>,
    }

    impl Read for Fat {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let read = self.head.read(buffer)?;
            if read > 0 {
                return Ok(read);
            }
            let piece = match self.next.cmp(&self.names.len()) {
                std::cmp::Ordering::Less => {
                    let whole = zip(&[Part::new(&self.names[self.next], &self.jar).stored()]);
                    let end = memchr::memmem::rfind(&whole, b"PK\x01\x02").unwrap();
                    whole[..end].to_vec()
                }
                std::cmp::Ordering::Equal => std::mem::take(&mut self.directory),
                std::cmp::Ordering::Greater => return Ok(0),
            };
            self.next += 1;
            self.head = std::io::Cursor::new(piece);
            self.head.read(buffer)
        }
    }

    let jar = zip(&[Part::new("data", vec![b'P'; 5 << 20]).stored().streamed(), properties("org.a", "inner", "1")]);
    let names: Vec<String> = (0..100).map(|n| format!("lib/inner-{n}.jar")).collect();
    let entry = |name: &String| 30 + name.len() + jar.len();
    let start: usize = names.iter().map(entry).sum();
    let (mut directory, mut offset) = (Vec::new(), 0usize);
    for name in &names {
        let one = zip(&[Part::new(name, &jar).stored()]);
        let at = memchr::memmem::rfind(&one, b"PK\x01\x02").unwrap();
        let mut record = one[at..at + 46 + name.len()].to_vec();
        record[42..46].copy_from_slice(&(offset as u32).to_le_bytes());
        directory.extend(record);
        offset += entry(name);
    }
    let mut end = zip(&[]);
    end[12..16].copy_from_slice(&(directory.len() as u32).to_le_bytes());
    end[16..20].copy_from_slice(&(start as u32).to_le_bytes());
    directory.extend(end);
    let size = (start + directory.len()) as u64;
    assert!(size > 500_000_000);
    let content = || Fat {
        head: std::io::Cursor::default(),
        jar: jar.clone(),
        names: names.clone(),
        next: 0,
        directory: directory.clone(),
    };
    let outcome = Sample::stream("opt/fat.jar", size, content);
    assert_eq!(outcome.inventory.len(), 1);
    assert_eq!(outcome.inventory.package(0).unwrap().locations().len(), 100);
    assert_eq!((kinds(&outcome), outcome.layers_read_twice), (vec![], 0));
}

#[test]
fn a_jar_that_names_more_packages_than_one_may_is_told() {
    let parts: Vec<Part> =
        (0..5_000).map(|number| properties("org.acme", &format!("a{number}"), "1").stored()).collect();
    let outcome = Sample::new().file(0, "app/app.jar", zip(&parts)).run_all();
    assert_eq!(outcome.inventory.len(), 4_000);
    assert!(outcome.problems.iter().any(|problem| problem.message.contains("4000")), "{:?}", outcome.problems);
    // Together with those of the archives around it.
    let inner = zip(&parts[..3_000]);
    let mut around = parts[3_000..].to_vec();
    around.push(Part::new("inner.jar", inner).stored());
    let outcome = Sample::new().file(0, "app/app.jar", zip(&around)).run_all();
    assert_eq!(outcome.inventory.len(), 4_000);
    assert!(outcome.problems.iter().any(|problem| problem.message.contains("4000")), "{:?}", outcome.problems);
}

#[test]
fn entries_without_end_that_nothing_lists_are_not_kept() {
    let mut archive = super::Archive::default();
    for offset in 0..100_000 {
        archive.see(&super::Entry { offset, name: b"a.jar".to_vec(), form: super::Form::Stored });
    }
    assert!(archive.seen.len() <= 10_000, "{}", archive.seen.len());
}
