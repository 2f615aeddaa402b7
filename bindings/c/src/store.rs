//! The store of a scanner: how big it is, and how it gets smaller.

use std::ffi::c_char;

use tidewaiter_facade::from_json;

use crate::boundary::{ask, optional};
use crate::cancel::tw_cancel;
use crate::error::{tw_error, tw_status};
use crate::scanner::tw_scanner;

/// Describes the store. `json` gets `{"kind", "place", "bytes", "disk", "parts": [{"part", "rows", "bytes"}]}`; free it with tw_string_free.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_store_status(
    scanner: *const tw_scanner,
    cancel: *const tw_cancel,
    json: *mut *mut c_char,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    unsafe { ask(scanner, cancel, json, error, |scanner, cancel| scanner.store_status(cancel)) }
}

/// Removes from the store what no job needs any more: what a job has scanned and its registry still lists stays. `options` is JSON, or NULL:
/// `{"older_than": DAYS}`; 0, the default, is all of it. `json` gets `{"reports", "layers", "images", "runs", "changes"}`: how many of each; free it
/// with tw_string_free.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_store_prune(
    scanner: *const tw_scanner,
    options: *const c_char,
    cancel: *const tw_cancel,
    json: *mut *mut c_char,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    unsafe {
        ask(scanner, cancel, json, error, |scanner, cancel| {
            scanner.prune_store(from_json(optional(options, "options")?.unwrap_or_default(), "the options")?, cancel)
        })
    }
}
