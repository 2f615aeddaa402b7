//! Archives, plain and packed, as they are and as they should not be.

use std::io::Write as _;
use std::time::{Duration, Instant};

use super::*;
use crate::cancel::Cancel;

/// One entry in the form of GNU tar.
fn entry(tar: &mut Vec<u8>, kind: u8, name: &str, target: &str, content: &[u8]) {
    let mut header = [0_u8; 512];
    let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(124, format!("{:011o}\0", content.len()).as_bytes());
    put(148, b"        ");
    put(156, &[kind]);
    put(157, target.as_bytes());
    put(257, b"ustar  \0");
    if kind == b'S' {
        // One piece of data in a file of 1 MiB (GNU tar manual, "Storing Sparse Files").
        put(386, format!("{:011o}\0{:011o}\0", 4096, content.len()).as_bytes());
        put(483, format!("{:011o}\0", 1 << 20).as_bytes());
    }
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    tar.extend_from_slice(&header);
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

/// Three files, links to them, and what is passed over.
fn sample() -> Vec<u8> {
    let mut tar = Vec::new();
    entry(&mut tar, b'0', "./a", "", &[b'a'; 700_000]);
    entry(&mut tar, b'S', "holes", "", &[b's'; 700]);
    entry(&mut tar, b'Z', "vendor", "", &[b'v'; 700]);
    entry(&mut tar, b'5', "folder/", "", b"");
    entry(&mut tar, b'0', "folder/b", "", &[b'b'; 900_000]);
    entry(&mut tar, b'2', "folder/link", "../a", b"");
    entry(&mut tar, b'1', "hard", "./folder/b", b"");
    entry(&mut tar, b'2', "circle", "circle", b"");
    entry(&mut tar, b'2', "out", "../../../../etc/passwd", b"");
    entry(&mut tar, b'0', "index.json", "", b"{\"a\": 1}");
    tar.resize(tar.len() + 1024, 0);
    tar
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = vec![0; zlib_rs::compress_bound(bytes.len()) + 64];
    let config = zlib_rs::DeflateConfig { window_bits: 15 + 16, level: 1, ..zlib_rs::DeflateConfig::default() };
    zlib_rs::compress_slice(&mut packed, bytes, config).0.to_vec()
}

fn zstd(bytes: &[u8], window_log: u32) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.set_parameter(zstd::zstd_safe::CParameter::WindowLog(window_log)).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn open_with(bytes: &[u8], limits: &Limits, context: &Context) -> Result<Archive> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    Archive::open(file.path(), limits, context)
}

fn open(bytes: &[u8]) -> Result<Archive> {
    open_with(bytes, &Limits::default(), &Context::new())
}

fn read(archive: &Archive, name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let entry = archive.find(name).unwrap();
    archive.reader(&entry, &Context::new()).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn files_are_found_by_name_in_any_order_in_every_form() {
    for (form, bytes) in [("plain", sample()), ("gzip", gzip(&sample())), ("zstd", zstd(&sample(), 20))] {
        let archive = open(&bytes).unwrap();
        for (name, first, size) in
            [("a", b'a', 700_000), ("folder/b", b'b', 900_000), ("folder/link", b'a', 700_000), ("hard", b'b', 900_000)]
        {
            let content = read(&archive, name);
            assert!(content.len() == size && content.iter().all(|byte| *byte == first), "{form}: {name}");
        }
        assert_eq!(archive.whole(&archive.find("index.json").unwrap(), 100, &Context::new()).unwrap(), b"{\"a\": 1}");
        for (name, kind) in [
            ("holes", Kind::Unsupported),
            ("vendor", Kind::NotFound),
            ("folder", Kind::NotFound),
            ("circle", Kind::NotFound),
            ("out", Kind::NotFound),
            ("nothing", Kind::NotFound),
        ] {
            assert_eq!(archive.find(name).unwrap_err().kind(), kind, "{form}: {name}");
        }
        let large = archive.whole(&archive.find("a").unwrap(), 100, &Context::new()).unwrap_err();
        assert_eq!(large.kind(), Kind::LimitExceeded);
    }
}

#[test]
fn the_decoder_of_a_packed_archive_goes_on_where_it_stopped() {
    let archive = open(&gzip(&sample())).unwrap();
    let stands = || archive.parked.0.lock().unwrap().as_ref().map(|(_, at)| *at);
    assert_eq!(stands(), None);
    let (a, b) = (archive.find("a").unwrap(), archive.find("folder/b").unwrap());
    read(&archive, "a");
    assert_eq!(stands(), Some(a.at + a.size));
    // A reader that is dropped early leaves it where it was; one that runs meanwhile has its own.
    let mut first = archive.reader(&b, &Context::new()).unwrap();
    assert_eq!(stands(), None);
    first.read_exact(&mut [0; 1000]).unwrap();
    assert_eq!(read(&archive, "folder/b").len(), 900_000);
    drop(first);
    assert_eq!(stands(), Some(b.at + 1000));
    // What lies before it is read from the beginning.
    assert_eq!(read(&archive, "a").len(), 700_000);
    // A small document was kept when the archive was opened.
    archive.whole(&archive.find("index.json").unwrap(), 100, &Context::new()).unwrap();
    assert_eq!(stands(), Some(a.at + a.size));
}

#[test]
fn a_damaged_archive_is_a_clear_error() {
    let cut = |bytes: &[u8]| bytes[..bytes.len() / 2].to_vec();
    let mut huge = sample();
    huge[124..136].copy_from_slice(b"77777777777\0");
    for (what, bytes) in [
        ("cut", cut(&sample())),
        ("cut gzip", cut(&gzip(&sample()))),
        ("cut zstd", cut(&zstd(&sample(), 20))),
        ("an impossible size", huge),
        ("noise", vec![0xa5; 4096]),
        ("nothing", Vec::new()),
    ] {
        let error = open(&bytes).unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt, "{what}: {error}");
    }
}

#[test]
fn a_table_of_contents_is_bounded() {
    let mut many = Vec::new();
    let name = "n".repeat(90);
    for number in 0..50_000 {
        entry(&mut many, b'2', &format!("{name}{number}"), &"t".repeat(100), b"");
    }
    for bytes in [gzip(&many), many] {
        let error = open(&bytes).unwrap_err();
        assert_eq!(error.kind(), Kind::LimitExceeded, "{error}");
        assert!(error.hint().is_some());
    }
}

#[test]
fn a_window_that_no_lane_holds_is_refused() {
    let error = open(&zstd(&sample(), 24)).unwrap_err();
    assert_eq!(error.kind(), Kind::LimitExceeded, "{error}");
    assert!(error.hint().unwrap().contains("--long"));
    assert!(open(&zstd(&sample(), 23)).is_ok());
}

#[test]
fn a_long_skip_ends_with_a_cancel() {
    let mut tar = Vec::new();
    entry(&mut tar, b'0', "zeros", "", &[]);
    // 8 GiB that a few KiB expand to.
    tar[124..136].copy_from_slice(b"77777777777\0");
    tar[148..156].fill(b' ');
    let sum: u32 = tar[..512].iter().map(|byte| u32::from(*byte)).sum();
    tar[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut packed = zstd(&tar[..512], 20);
    let zeros = zstd(&vec![0; 64 << 20], 20);
    (0..128).for_each(|_| packed.extend_from_slice(&zeros));
    let cancel = Cancel::new();
    let context = Context::new().cancel(cancel.clone());
    let waiting = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(30));
        cancel.cancel();
    });
    let started = Instant::now();
    let limits = Limits { expansion: u64::MAX, ..Limits::default() };
    assert_eq!(open_with(&packed, &limits, &context).unwrap_err().kind(), Kind::Canceled);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    waiting.join().unwrap();
}
