//! The overlay against another program: random layered images, unpacked by `umoci` and scanned by us. What our catalogers
//! find must be exactly what is to be found in umoci's result: the same packages, with the same content, at the same paths.
//!
//! `TIDEWAITER_OVERLAY_SEED=7` runs one image and prints its layers; `TIDEWAITER_OVERLAY_IMAGES=5000` runs more than 200.
//!
//! What umoci 0.4.7 refuses cannot be compared and is taken out of the image: an entry below a file that no entry replaced by
//! a directory, an entry below links that run in a circle, and a hard link to nothing or to itself.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use tidewaiter::Scanner;
use tidewaiter::blocking;

use crate::images::{Entry, oci_layout, tar};

/// What the test compares: where a package was found, and which content it has (every file that is made has its own name).
type Found = BTreeSet<(String, String)>;

#[test]
fn the_overlay_is_what_umoci_unpacks() {
    if Command::new("umoci").arg("--version").output().is_err() {
        assert!(env::var_os("CI").is_none(), "umoci is missing; tests/run installs it");
        eprintln!("skipped: umoci is not installed (apt-get install umoci)");
        return;
    }
    let scanner = blocking::Scanner::new(Scanner::builder()).unwrap();
    if let Some(seed) = number("TIDEWAITER_OVERLAY_SEED") {
        compare(&scanner, seed);
        return;
    }
    let images = number("TIDEWAITER_OVERLAY_IMAGES").unwrap_or(200);
    let packages: usize = (0..images).map(|seed| compare(&scanner, seed)).sum();
    println!("seeds 0 to {}: {packages} packages, no difference", images - 1);
    assert!(packages as u64 > images, "images that hold next to nothing prove nothing");
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|value| value.parse().expect("a number"))
}

/// How many packages both find in the image of `seed`; panics where they differ.
fn compare(scanner: &blocking::Scanner, seed: u64) -> usize {
    let directory = tempfile::tempdir().unwrap();
    let mut layers = image(seed);
    let root = unpack(directory.path(), &mut layers);
    let mut expected = Found::new();
    walk(&root, &root, &mut expected);

    let layout = directory.path().join("image");
    let report = scanner.scan(&format!("oci:{}", layout.display())).unwrap();
    let mut found = Found::new();
    for package in report.inventory.packages() {
        for location in package.locations() {
            found.insert((location.path.to_owned(), package.name().to_owned()));
        }
    }
    let problems: Vec<_> = report.problems.iter().map(|problem| format!("{problem:?}")).collect();
    assert!(
        found == expected,
        "TIDEWAITER_OVERLAY_SEED={seed}\n{}only we find: {:#?}\nonly umoci has: {:#?}\nproblems: {problems:#?}",
        show(&layers),
        found.difference(&expected).collect::<Vec<_>>(),
        expected.difference(&found).collect::<Vec<_>>(),
    );
    expected.len()
}

/// Writes the image and unpacks it with umoci; an entry that umoci refuses is taken out, and the rest is tried again.
fn unpack(directory: &Path, layers: &mut [Vec<Entry>]) -> PathBuf {
    let (layout, bundle) = (directory.join("image"), directory.join("bundle"));
    loop {
        let tars: Vec<_> = layers.iter().map(|entries| tar(entries)).collect();
        oci_layout(&layout, &tars);
        let mut umoci = Command::new("umoci");
        umoci.current_dir(directory).args(["unpack", "--rootless", "--image", "image:latest", "bundle"]);
        let output = umoci.output().unwrap();
        if output.status.success() {
            return bundle.join("rootfs");
        }
        let message = String::from_utf8_lossy(&output.stderr);
        let refused = message.split("unpack entry: ").nth(1).and_then(|rest| rest.split(": ").next());
        let place = layers.iter().enumerate().find_map(|(layer, entries)| {
            let entry = entries.iter().position(|entry| Some(entry.name().trim_end_matches('/')) == refused)?;
            Some((layer, entry))
        });
        let Some((layer, entry)) = place else { panic!("umoci refuses more than an entry: {message}") };
        layers[layer].remove(entry);
        fs::remove_dir_all(&layout).unwrap();
        fs::remove_dir_all(&bundle).unwrap();
    }
}

/// Every `package.json` below a `node_modules` directory, by its real path; one that is a link, by what it leads to.
fn walk(root: &Path, directory: &Path, found: &mut Found) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let kind = fs::symlink_metadata(&path).unwrap().file_type();
        if kind.is_dir() {
            walk(root, &path, found);
            continue;
        }
        let shown = path.strip_prefix(root).unwrap();
        let is_package = shown.file_name().unwrap() == "package.json"
            && shown.parent().unwrap().components().any(|component| component.as_os_str() == "node_modules");
        let Some(content) = is_package.then(|| resolve(root, shown)).flatten() else { continue };
        let Ok(text) = fs::read_to_string(content) else { continue };
        let package: serde_json::Value = serde_json::from_str(&text).unwrap();
        found.insert((shown.to_str().unwrap().to_owned(), package["name"].as_str().unwrap().to_owned()));
    }
}

/// Where a path leads to, as in a container: links start at `root` and stay below it.
fn resolve(root: &Path, path: &Path) -> Option<PathBuf> {
    let mut resolved = PathBuf::new();
    let mut ahead: Vec<_> = path.components().rev().map(|component| component.as_os_str().to_owned()).collect();
    let mut followed = 0;
    while let Some(component) = ahead.pop() {
        match Path::new(&component).components().next()? {
            Component::RootDir => resolved.clear(),
            Component::ParentDir => drop(resolved.pop()),
            Component::CurDir | Component::Prefix(_) => {}
            Component::Normal(name) => match fs::read_link(root.join(&resolved).join(name)) {
                Ok(target) => {
                    followed += 1;
                    if followed > 40 {
                        return None;
                    }
                    ahead.extend(target.components().rev().map(|component| component.as_os_str().to_owned()));
                }
                Err(_) => resolved.push(name),
            },
        }
    }
    Some(root.join(resolved))
}

fn show(layers: &[Vec<Entry>]) -> String {
    let mut text = String::new();
    for (index, entries) in layers.iter().enumerate() {
        text += &format!("layer {index}\n");
        for entry in entries {
            text += &format!("  {entry}\n");
        }
    }
    text
}

/// The image of a seed: two to five layers of a few entries in random order, with few names, so that they meet often.
fn image(seed: u64) -> Vec<Vec<Entry>> {
    let mut random = Random(seed);
    let mut files: Vec<String> = Vec::new();
    let mut made = 0;
    let layers = 2 + random.below(4);
    (0..layers)
        .map(|_| {
            let entries = 4 + random.below(14);
            let mut entries: Vec<_> = (0..entries).map(|_| random.entry(seed, &mut made, &mut files)).collect();
            // Deleted and made anew in one layer, in either order.
            if random.below(3) == 0 {
                let path = random.file();
                entries.push(Entry::Whiteout { path: path.clone() });
                entries.push(random.marker(path, seed, &mut made));
            }
            random.shuffle(&mut entries);
            entries
        })
        .collect()
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }

    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.below(last + 1));
        }
    }

    fn directory(&mut self) -> String {
        let depth = 1 + self.below(3);
        let names: Vec<_> = (0..depth).map(|_| self.pick(&["a", "b", "node_modules", "node_modules", "x"])).collect();
        names.join("/")
    }

    fn file(&mut self) -> String {
        let name = self.pick(&["package.json", "package.json", "package.json", "other.json"]);
        format!("{}/{name}", self.directory())
    }

    /// A file that is a package wherever a cataloger looks, told from all others by its name.
    fn marker(&mut self, path: String, seed: u64, made: &mut u32) -> Entry {
        *made += 1;
        Entry::File { path, content: format!(r#"{{"name": "p{seed}-{made}", "version": "1.0.{made}"}}"#) }
    }

    fn entry(&mut self, seed: u64, made: &mut u32, files: &mut Vec<String>) -> Entry {
        match self.below(20) {
            0..9 => {
                let path = self.file();
                files.push(path.clone());
                self.marker(path, seed, made)
            }
            // A file where other entries have a directory.
            9 => {
                let path = self.directory();
                self.marker(path, seed, made)
            }
            10..13 => Entry::Directory { path: self.directory() },
            13 | 14 => {
                let (path, target) = (self.directory(), self.directory());
                self.symlink(path, target)
            }
            15 => {
                let (path, target) = (self.file(), self.file());
                self.symlink(path, target)
            }
            16 if !files.is_empty() => {
                let target = files[self.below(files.len())].clone();
                Entry::Hardlink { path: self.file(), target }
            }
            16..=18 => {
                let path = if self.below(2) == 0 { self.directory() } else { self.file() };
                Entry::Whiteout { path }
            }
            _ => Entry::Opaque { directory: self.directory() },
        }
    }

    /// Absolute or relative, at times leading above the root, where it has to stop.
    fn symlink(&mut self, path: String, target: String) -> Entry {
        let depth = path.matches('/').count();
        let target = match self.below(4) {
            0 => format!("/{target}"),
            1 => format!("{}../{target}", "../".repeat(depth)),
            _ => format!("{}{target}", "../".repeat(depth)),
        };
        Entry::Symlink { path, target }
    }
}
