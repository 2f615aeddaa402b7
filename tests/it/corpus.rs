//! Real data that is not ours to hand on: a folder that the environment variable `TIDEWAITER_CORPUS` names.

use std::path::PathBuf;

/// The corpus, or none where there is none: the test then says that it was skipped and returns.
///
/// # Panics
/// In CI (the variable `CI` is set), where a test that skips itself would be a green light for nothing.
#[track_caller]
pub fn corpus() -> Option<PathBuf> {
    let path = std::env::var_os("TIDEWAITER_CORPUS").filter(|path| !path.is_empty()).map(PathBuf::from);
    match path {
        Some(path) => {
            assert!(path.is_dir(), "TIDEWAITER_CORPUS names no folder: {}", path.display());
            Some(path)
        }
        None => {
            assert!(std::env::var_os("CI").is_none(), "TIDEWAITER_CORPUS is not set, and in CI it must be");
            println!("skipped: TIDEWAITER_CORPUS is not set ({})", std::panic::Location::caller());
            None
        }
    }
}
