//! Programs made here: as many bytes of ELF as a loader needs.

use super::Executable;
use crate::conformance::cataloger::{Outcome, Sample, suite};

/// Bits and byte order.
#[derive(Clone, Copy)]
struct Machine {
    is_64: bool,
    is_big: bool,
}

const MACHINES: [Machine; 4] = [
    Machine { is_64: true, is_big: false },
    Machine { is_64: true, is_big: true },
    Machine { is_64: false, is_big: false },
    Machine { is_64: false, is_big: true },
];

impl Machine {
    fn number(self, value: u64, size: usize) -> Vec<u8> {
        let bytes = value.to_be_bytes()[8 - size..].to_vec();
        if self.is_big { bytes } else { bytes.into_iter().rev().collect() }
    }

    fn long(self, value: u64) -> Vec<u8> {
        self.number(value, if self.is_64 { 8 } else { 4 })
    }

    /// A program: constants, then what can be written to, then a section that is not loaded, then the table of sections.
    fn program(self, constants: &[u8], writable: &[u8], section: &[u8]) -> Vec<u8> {
        let (half, word, long) =
            (|value| self.number(value, 2), |value| self.number(value, 4), |value| self.long(value));
        let (header_size, segment_size, section_size) = if self.is_64 { (64, 56, 64) } else { (52, 32, 40) };
        let first = header_size + 2 * segment_size;
        assert!(first <= CONSTANTS);
        let (second, third) = (WRITABLE, WRITABLE + writable.len() as u64);
        let table = third + section.len() as u64;
        let mut out = b"\x7fELF".to_vec();
        out.extend([1 + u8::from(self.is_64), 1 + u8::from(self.is_big), 1]);
        out.resize(16, 0);
        out.extend([half(2), half(62), word(1), long(0), long(header_size), long(table), word(0)].concat());
        out.extend([half(header_size), half(segment_size), half(2), half(section_size), half(2), half(0)].concat());
        for (flags, offset, size) in [(5, 0, CONSTANTS + constants.len() as u64), (6, second, writable.len() as u64)] {
            let address = BASE + offset;
            let parts = if self.is_64 {
                [word(1), word(flags), long(offset), long(address), long(address), long(size), long(size), long(16)]
            } else {
                [word(1), long(offset), long(address), long(address), long(size), long(size), word(flags), long(16)]
            };
            out.extend(parts.concat());
        }
        out.resize(CONSTANTS as usize, 0);
        out.extend(constants);
        assert!(out.len() <= WRITABLE as usize);
        out.resize(WRITABLE as usize, 0);
        out.extend(writable);
        out.extend(section);
        for offset in [0, third] {
            let mut entry = [word(0), word(1), long(0), long(0), long(offset), long(section.len() as u64)].concat();
            entry.resize(section_size as usize, 0);
            out.extend(entry);
        }
        out
    }
}

/// Where the constants and what can be written to lie in the file, and at which address the file is loaded.
const CONSTANTS: u64 = 256;
const WRITABLE: u64 = 4096;
const BASE: u64 = 0x10_0000;

const MODULES: &str = "path\texample.org/app/cmd\nmod\texample.org/app\t(devel)\t\n\
    dep\tgolang.org/x/net\tv0.1.0\th1:a\ndep\texample.org/old\tv1.0.0\n=>\texample.org/fork\tv1.0.1\th1:b\n\
    dep\texample.org/local\tv2.0.0+incompatible\n=>\t./local\t(devel)\t\nbuild\t-compiler=gc\n";
const WANTED: [&str; 5] = [
    "golang example.org/app (devel)",
    "golang example.org/fork v1.0.1",
    "golang example.org/local v2.0.0+incompatible",
    "golang golang.org/x/net v0.1.0",
    "golang stdlib 1.22.3",
];

/// The list of modules between its marks.
fn framed(modules: &str) -> Vec<u8> {
    [&[0x30; 16][..], modules.as_bytes(), &[0xf9; 16]].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

fn header(pointer: u8, flags: u8) -> Vec<u8> {
    let mut header = b"\xff Go buildinf:".to_vec();
    header.extend([pointer, flags]);
    header
}

/// What Go 1.18 and later write.
fn inline(version: &str, modules: &[u8]) -> Vec<u8> {
    let mut out = header(8, 2);
    out.resize(32, 0);
    out.extend([varint(version.len() as u64), version.into(), varint(modules.len() as u64), modules.into()].concat());
    out
}

fn rows(outcome: &Outcome) -> Vec<String> {
    let row = |package: crate::model::inventory::Package<'_>| {
        format!("{} {} {}", package.kind(), package.name(), package.version())
    };
    outcome.inventory.packages().map(row).collect()
}

fn kinds(outcome: &Outcome) -> Vec<&'static str> {
    outcome.problems.iter().map(|problem| problem.kind.as_str()).collect()
}

fn run(bytes: &[u8]) -> Outcome {
    Sample::new().file(0, "usr/bin/program", bytes).run_all()
}

#[test]
fn go_since_1_18_in_one_look() {
    for machine in MACHINES {
        // Behind other things, on 16 bytes; and the magic itself as a constant of the program, off them.
        let mut writable = b"data \xff Go buildinf:".to_vec();
        writable.resize(5008, 7);
        writable.extend(inline("go1.22.3 X:boringcrypto", &framed(MODULES)));
        let program = machine.program(b"", &writable, b"symbols");
        let outcome = run(&program);
        assert_eq!(
            (rows(&outcome), kinds(&outcome), outcome.layers_read_twice),
            (WANTED.map(str::to_owned).into(), vec![], 0)
        );
        suite(&Executable, &[("usr/bin/program", &program)]);
    }
}

#[test]
fn go_before_1_18_in_a_second_look() {
    let version = b"go1.22.3";
    let modules = framed(MODULES);
    let constants = [version.as_slice(), &modules].concat();
    for machine in MACHINES {
        let (pointer, strings) = (if machine.is_64 { 8 } else { 4 }, WRITABLE + BASE);
        let string = |offset: usize, length: usize| {
            [machine.long(BASE + CONSTANTS + offset as u64), machine.long(length as u64)].concat()
        };
        let strings_of = [string(0, version.len()), string(version.len(), modules.len())].concat();
        // The header comes before its strings, as the linker of Go writes it, or behind, as others may.
        for header_at in [0, 64] {
            let strings_at = if header_at == 0 { 48 } else { 0 };
            let first = strings + strings_at as u64;
            let mut info = header(pointer, u8::from(machine.is_big));
            info.extend([machine.long(first), machine.long(first + 2 * u64::from(pointer))].concat());
            info.resize(32, 0);
            let mut writable = vec![0; 128];
            writable[header_at..header_at + 32].copy_from_slice(&info);
            writable[strings_at..strings_at + strings_of.len()].copy_from_slice(&strings_of);
            let program = machine.program(&constants, &writable, b"");
            let outcome = run(&program);
            assert_eq!(rows(&outcome), WANTED);
            assert_eq!((kinds(&outcome), outcome.layers_read_twice), (vec![], 1));
            suite(&Executable, &[("usr/bin/program", &program)]);
        }
    }
}

#[test]
fn build_information_that_lies() {
    let machine = MACHINES[0];
    let mut long = header(8, 2);
    long.resize(32, 0);
    let ends = [long.clone(), varint(8), b"go1.22.3".to_vec(), varint(1000), b"short".to_vec()].concat();
    let huge = [long.clone(), varint(8), b"go1.22.3".to_vec(), varint(1 << 40)].concat();
    let endless = [long, vec![0xff; 40]].concat();
    let mut outside = header(8, 0);
    outside.extend([u64::MAX.to_le_bytes(), 7u64.to_le_bytes()].concat());
    outside.resize(64, 0);
    for (what, writable, kind) in [
        ("ends in the middle", ends, "corrupt"),
        ("says a terabyte", huge, "limit-exceeded"),
        ("a length without end", endless, "corrupt"),
        ("points outside", outside, "corrupt"),
    ] {
        let outcome = run(&machine.program(b"", &writable, b""));
        assert_eq!(kinds(&outcome), [kind], "{what}");
        assert_eq!(outcome.problems[0].path.as_deref(), Some("usr/bin/program"));
    }
}

#[test]
fn headers_that_point_outside_cost_nothing() {
    let program = MACHINES[0].program(b"", &inline("go1.22.3", &framed(MODULES)), b"");
    // The places of the tables, their sizes and counts, and those of the segments.
    for (at, size) in
        [(32, 8), (40, 8), (54, 2), (56, 2), (58, 2), (60, 2), (72, 8), (80, 8), (96, 8), (128, 8), (152, 8)]
    {
        for byte in [0, 1, 0x7f, 0xff] {
            let mut spoilt = program.clone();
            spoilt[at..at + size].fill(byte);
            let outcome = run(&spoilt);
            assert!(outcome.inventory.len() <= 5 && outcome.problems.len() <= 1);
        }
    }
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0; zlib_rs::compress_bound(bytes.len()) + 64];
    let mut deflate = zlib_rs::Deflate::new(7, true, 15);
    deflate.compress(bytes, &mut out, zlib_rs::DeflateFlush::Finish).unwrap();
    out.truncate(deflate.total_out() as usize);
    out
}

const AUDIT: &str = r#"{"packages":[{"name":"app","version":"0.1.0","source":"local","root":true,"dependencies":[1,2]},
    {"name":"serde","version":"1.0.2","source":"crates.io"},{"name":"autocfg","version":"1.1.0","source":"crates.io","kind":"build"}]}"#;

#[test]
fn rust_audit_data() {
    for machine in MACHINES {
        let program = machine.program(b"x\x78\x9cx", b"data", &zlib(AUDIT.as_bytes()));
        assert_eq!(rows(&run(&program)), ["cargo serde 1.0.2"]);
        suite(&Executable, &[("usr/bin/program", &program)]);
        // Not where a section starts: somebody's data, not the linker's.
        let elsewhere = [b"other".to_vec(), zlib(AUDIT.as_bytes())].concat();
        assert_eq!(rows(&run(&machine.program(b"", b"data", &elsewhere))), [""; 0]);
    }
    let large = format!(r#"{{"packages":[],"x":"{}"}}"#, " ".repeat(3 << 20));
    for (json, kind) in [(r#"{"packages":[{"name":7}]}"#, "corrupt"), (large.as_str(), "limit-exceeded")] {
        assert_eq!(kinds(&run(&MACHINES[0].program(b"", b"", &zlib(json.as_bytes())))), [kind]);
    }
    let deep = format!(r#"{{"packages":{}}}"#, "[".repeat(10_000));
    assert_eq!(kinds(&run(&MACHINES[0].program(b"", b"", &zlib(deep.as_bytes())))), ["corrupt"]);
}
