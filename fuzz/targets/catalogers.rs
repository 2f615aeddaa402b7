//! One file of a package database, whole and as a stream, for every cataloger. The first byte chooses the path.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidewaiter::catalog::ALL;

const PATHS: &[&str] = &[
    "etc/os-release",
    "etc/apk/repositories",
    "etc/debian_version",
    "lib/apk/db/installed",
    "var/lib/dpkg/status",
    "var/lib/dpkg/status.d/a",
    "var/lib/dpkg/info/a.list",
    "var/lib/pacman/local/a-1-1/desc",
    "var/lib/pacman/local/a-1-1/files",
    "usr/lib/python3/dist-packages/a-1.dist-info/METADATA",
    "usr/lib/python3/dist-packages/a-1.dist-info/RECORD",
    "usr/lib/python3/dist-packages/a-1.egg-info",
    "usr/lib/python3/dist-packages/a.egg-info/PKG-INFO",
    "usr/lib/node_modules/a/package.json",
    "app/a-1.jar",
    "usr/bin/a",
];

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first() else { return };
    let path = PATHS[usize::from(*choice) % PATHS.len()];
    for cataloger in ALL {
        tidewaiter::fuzzing::cataloger(*cataloger, path, bytes);
    }
});
