//! The facts of a layer as they come from a cache, spoilt or foreign: what is read can be written, and resolves beside another layer.
//! The first byte says what the rest is: what the cache holds; the same before it is packed; what to replace in sound facts (place,
//! place, value); a block of the journal, of sound facts else.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tidewaiter::conformance::cataloger::Sample;
use tidewaiter::fuzzing;
use tidewaiter::layer::LayerFacts;

static SOUND: LazyLock<LayerFacts> = LazyLock::new(|| {
    let status = "Package: a\nStatus: install ok installed\nArchitecture: amd64\nSource: s (1.0)\nVersion: 1.0-1\n\n";
    let sample = Sample::new()
        .file(0, "etc/os-release", "ID=debian\nVERSION_ID=12\n")
        .file(0, "var/lib/dpkg/status", status)
        .file(0, "var/lib/dpkg/info/a.list", "/usr/lib/node_modules/n/package.json\n")
        .file(0, "usr/lib/node_modules/n/package.json", r#"{"name": "n", "version": "1.0.0", "license": "MIT"}"#)
        .file(0, "usr/lib/python3/dist-packages/a-1.dist-info/METADATA", "Name: a\nVersion: 1\n\n")
        .file(0, "app/pubspec.lock", "packages:\n  a:\n    version: \"1.0.0\"\n")
        .file(0, "usr/lib/node_modules/.wh.m", "")
        .link(0, "usr/lib/python3.11", "python3");
    fuzzing::facts(&sample).remove(0)
});

fuzz_target!(|input: &[u8]| {
    let Some((kind, rest)) = input.split_first() else { return };
    let facts = match kind % 4 {
        0 => LayerFacts::from_bytes(rest).ok(),
        1 => fuzzing::read_facts(rest),
        2 => {
            let mut bytes = fuzzing::stored_facts(&SOUND);
            for patch in rest.chunks_exact(3) {
                let place = usize::from(u16::from_le_bytes([patch[0], patch[1]])) % bytes.len();
                bytes[place] = patch[2];
            }
            fuzzing::read_facts(&bytes)
        }
        _ => fuzzing::journal(rest).map(|journal| LayerFacts { journal, ..SOUND.clone() }),
    };
    let Some(facts) = facts else { return };
    let written = facts.to_bytes().expect("facts are written");
    assert_eq!(
        LayerFacts::from_bytes(&written).expect("what is written is read"),
        LayerFacts { again: Vec::new(), ..facts.clone() }
    );
    fuzzing::resolve([facts.clone(), SOUND.clone()]);
    fuzzing::resolve([SOUND.clone(), facts]);
});
