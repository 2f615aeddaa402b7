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
    "usr/lib/python3/dist-packages/a-1.egg/EGG-INFO/PKG-INFO",
    "usr/lib/python3/dist-packages/a-1.egg-info",
    "usr/lib/python3/dist-packages/a.egg-info/PKG-INFO",
    "usr/lib/node_modules/a/package.json",
    "app/a-1.jar",
    "usr/bin/a",
    "var/lib/rpm/rpmdb.sqlite",
    "var/lib/rpm/Packages",
    "usr/lib/sysimage/rpm/Packages.db",
    "var/lib/rpmmanifest/container-manifest-2",
    "usr/lib/ruby/specifications/a-1.gemspec",
    "vendor/composer/installed.json",
    "app/a.deps.json",
    "opt/conda/conda-meta/a.json",
    "usr/lib/R/library/a/DESCRIPTION",
    "lib/.meta/A-1/install.json",
    "app/cpanfile.snapshot",
    "usr/lib/luarocks/rocks-5.3/a/1-1/a-1-1.rockspec",
    "app/mix.lock",
    "app/Package.resolved",
    "app/pubspec.lock",
    "usr/lib/opkg/status",
    "var/lib/rpm/rpmdb.sqlite-wal",
    "etc/redhat-release",
    "etc/lsb-release",
    "etc/alpine-release",
    "var/lib/dpkg/info/a.md5sums",
    "usr/lib/opkg/info/a.list",
];

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first() else { return };
    let path = PATHS[usize::from(*choice) % PATHS.len()];
    for cataloger in ALL {
        tidewaiter::fuzzing::cataloger(*cataloger, path, bytes);
    }
});
