//! Where things lie when nobody says it: the user's data and cache folders (XDG base directory specification 0.8; on macOS
//! the Library folders, on Windows the local application data).

use std::env;
use std::path::PathBuf;

/// The advisory database of the user; none without a home folder.
pub fn advisories() -> Option<PathBuf> {
    Some(data_home()?.join("tidewaiter").join("advisories.db"))
}

/// The store of the user: what `TIDEWAITER_STORE` names, else a file; none without a home folder.
pub fn store() -> Option<String> {
    let named = env::var("TIDEWAITER_STORE").ok().filter(|place| !place.is_empty());
    named.or_else(|| data_home()?.join("tidewaiter").join("store.db").into_os_string().into_string().ok())
}

/// The layer results of the user; none without a home folder.
pub fn layers() -> Option<PathBuf> {
    Some(cache_home()?.join("tidewaiter").join("layers"))
}

/// The databases that are compiled from folders of exports; none without a home folder.
pub(crate) fn compiled() -> Option<PathBuf> {
    Some(cache_home()?.join("tidewaiter").join("advisories"))
}

fn data_home() -> Option<PathBuf> {
    if cfg!(windows) {
        return absolute("LOCALAPPDATA");
    }
    absolute("XDG_DATA_HOME").or_else(|| {
        let home = absolute("HOME")?;
        Some(home.join(if cfg!(target_os = "macos") { "Library/Application Support" } else { ".local/share" }))
    })
}

fn cache_home() -> Option<PathBuf> {
    if cfg!(windows) {
        return absolute("LOCALAPPDATA");
    }
    absolute("XDG_CACHE_HOME").or_else(|| {
        let home = absolute("HOME")?;
        Some(home.join(if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" }))
    })
}

/// The folder that a variable names. The specification asks to ignore a path that is not absolute.
fn absolute(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}
