//! The examples run, and say what they promise. Cargo builds them with the tests (`cargo test --workspace`).

use std::process::Command;

use tidewaiter::conformance::image::{ImageBuilder, Layer};
use tidewaiter::conformance::registry::TestRegistry;

/// What an example prints; none where only this binary was built.
fn printed(name: &str, arguments: &[&str]) -> Option<String> {
    let tests = std::env::current_exe().unwrap();
    let example = tests.parent()?.parent()?.join("examples").join(name);
    if !example.exists() {
        println!("skipped: the example {name} was not built, which `cargo test --workspace` does");
        return None;
    }
    let output = Command::new(example).args(arguments).output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn list_shows_dates_and_where_they_come_from() {
    let Some(own) = printed("list", &[]) else { return };
    let dated = |line: &&str| line.contains("2026-11-") && line.contains("(built)");
    assert_eq!(own.lines().filter(dated).count(), 3, "{own}");

    let registry = TestRegistry::start().unwrap();
    let image = ImageBuilder::new().layer(Layer::new().file("a", "b")).created("2026-10-05T08:00:00Z").build();
    registry.push("team/app", "1.0", &image);
    registry.push("other/app", "1.0", &image);
    let chosen = printed("list", &[&registry.url(), "team/*"]).unwrap();
    let [line] = &chosen.lines().collect::<Vec<_>>()[..] else { panic!("{chosen}") };
    assert!(line.contains(&image.digest().to_string()) && line.contains("2026-10-05T08:00:00Z (built)"), "{line}");
}

#[test]
fn a_connector_of_ones_own_passes_the_suite_and_lists() {
    let Some(listed) = printed("own_connector", &[]) else { return };
    assert!(listed.contains("registry.example/team/") && listed.contains("(pushed)"), "{listed}");
}

#[test]
fn the_quickstart_finds_what_is_vulnerable() {
    let Some(report) = printed("quickstart", &[]) else { return };
    assert!(report.contains("lodash") && report.contains("CVE-2099-0003"), "{report}");
}
