//! A test in a process of its own: the peak of its memory is nobody else's, and a crash or a hang of it ends nothing else.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Set in the process of its own, to the name of the test.
const MARK: &str = "TIDEWAITER_TEST_ALONE";
/// Set in the process of its own, to the folder with what was prepared for it.
const FOLDER: &str = "TIDEWAITER_TEST_FOLDER";

/// Runs `work` in a process of its own, and holds its peak of resident memory against so many MiB, and its time against a few
/// minutes. `test` is the test that calls this, as `cargo test` names it.
pub fn within(mib: u64, test: &str, work: impl FnOnce()) {
    prepared_within(mib, test, |_| {}, |_| work());
}

/// The same, with a folder that `prepare` fills before: what that takes does not count.
pub fn prepared_within(mib: u64, test: &str, prepare: impl FnOnce(&Path), work: impl FnOnce(&Path)) {
    if std::env::var(MARK).is_ok_and(|named| named == test) {
        work(&PathBuf::from(std::env::var_os(FOLDER).unwrap()));
        let peak = peak().unwrap_or_default() >> 20;
        assert!(peak <= mib, "{test}: {peak} MiB at the peak, {mib} MiB are allowed");
        println!("\n{test}: {peak} MiB at the peak");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new(program);
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(MARK, test).env(FOLDER, folder.path());
    // As the command line does, which may.
    command.env("MALLOC_TRIM_THRESHOLD_", "131072").env("MALLOC_MMAP_THRESHOLD_", "524288");
    let output = tempfile::NamedTempFile::new().unwrap();
    // One place in the file for both: with two, they would write over each other.
    let both = output.reopen().unwrap();
    let mut child = command.stdout(both.try_clone().unwrap()).stderr(both).spawn().unwrap();
    let began = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status.to_string(),
            None if began.elapsed() > Duration::from_secs(300) => {
                child.kill().unwrap();
                break "it hangs".to_owned();
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    let said = std::fs::read_to_string(output.path()).unwrap_or_default();
    assert!(said.contains("1 passed"), "{test} on its own: {status}\n{said}");
    said.lines()
        .filter(|line| line.ends_with("at the peak"))
        .for_each(|line| println!("{line}, {:?}", began.elapsed()));
}

/// Peak resident memory of this process in bytes; none where the system does not say.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? << 10)
}
