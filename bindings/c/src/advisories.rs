//! The advisory database of a scanner.

use std::ffi::{c_char, c_void};

use tidewaiter_facade::from_json;

use crate::boundary::{Callback, cancel, empty, give_json, object, optional, required, status, tw_on_event};
use crate::cancel::tw_cancel;
use crate::error::{tw_error, tw_status};
use crate::scanner::tw_scanner;

/// Imports OSV advisories into the database of the scanner; the ecosystems that they bring are replaced, the others kept.
/// `options` is JSON: `{"paths": [FILE or DIR, ...]}`. `json` gets
/// `{"ecosystems": {NAME: {"records", "newest"}}, "skipped": N, "reasons": [{"file", "reason"}]}`; free it with tw_string_free.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_advisories_import(
    scanner: *const tw_scanner,
    options: *const c_char,
    on_event: tw_on_event,
    user: *mut c_void,
    cancel: *const tw_cancel,
    json: *mut *mut c_char,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    status(error, || unsafe {
        empty(json)?;
        let scanner = object(scanner, "scanner")?.0.clone();
        let options = from_json(required(options, "options")?, "the options")?;
        let pending = scanner.import_advisories(options, &self::cancel(cancel))?;
        give_json(json, &pending.wait(&mut Callback { on_event, user })?)
    })
}

/// Fetches the advisories of ecosystems into the database of the scanner. `options` is JSON, or NULL for the ecosystems
/// that the database has: `{"ecosystems": ["Debian", ...], "base_url": URL, "timeout": SECONDS}`. `json` is as for
/// tw_advisories_import.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_advisories_update(
    scanner: *const tw_scanner,
    options: *const c_char,
    on_event: tw_on_event,
    user: *mut c_void,
    cancel: *const tw_cancel,
    json: *mut *mut c_char,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    status(error, || unsafe {
        empty(json)?;
        let scanner = object(scanner, "scanner")?.0.clone();
        let options = from_json(optional(options, "options")?.unwrap_or_default(), "the options")?;
        let pending = scanner.update_advisories(options, &self::cancel(cancel))?;
        give_json(json, &pending.wait(&mut Callback { on_event, user })?)
    })
}

/// Describes the database of the scanner. `json` gets `{"file", "built", "ecosystems": {NAME: {"records", "newest"}}}`, with
/// `built` null where there is no database yet; free it with tw_string_free.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_advisories_status(
    scanner: *const tw_scanner,
    json: *mut *mut c_char,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    status(error, || unsafe {
        empty(json)?;
        let scanner = object(scanner, "scanner")?.0.clone();
        give_json(json, &scanner.advisories_status()?.wait(&mut tidewaiter_facade::Silent)?)
    })
}
