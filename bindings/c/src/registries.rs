//! The registries of a store.

use std::ffi::c_char;

use tidewaiter_facade::from_json;

use crate::boundary::{ask, required};
use crate::cancel::tw_cancel;
use crate::error::{tw_error, tw_status};
use crate::scanner::tw_scanner;

/// Saves a registry in the store. `request` is JSON: `{"name": NAME, "registry": {...}, "mode": "put" | "add" | "set", "check": true,
/// "timeout": SECONDS}`. `add` refuses a name that is taken, `set` one that is not. Unless `check` is false the connection is checked
/// first, and nothing is saved when that fails. A secret in plain text is refused: name where it is to be found. `json` gets what
/// tw_registry_show gives; free it with tw_string_free.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_registry_put(
    scanner: *const tw_scanner,
    request: *const c_char,
    cancel: *const tw_cancel,
    json: *mut *mut c_char,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    unsafe {
        ask(scanner, cancel, json, error, |scanner, cancel| {
            scanner.put_registry(from_json(required(request, "request")?, "the request")?, cancel)
        })
    }
}

/// Shows a registry of the scanner's file or of the store. `json` gets
/// `{"name", "definition", "source": "store" | "file", "paused", "added"}`; free it with tw_string_free.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_registry_show(
    scanner: *const tw_scanner,
    name: *const c_char,
    cancel: *const tw_cancel,
    json: *mut *mut c_char,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    unsafe {
        ask(scanner, cancel, json, error, |scanner, cancel| scanner.saved_registry(required(name, "name")?, cancel))
    }
}

/// Lists the registries of the scanner's file and of the store. `json` gets an array of what tw_registry_show gives; free it with
/// tw_string_free.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_registry_list(
    scanner: *const tw_scanner,
    cancel: *const tw_cancel,
    json: *mut *mut c_char,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    unsafe { ask(scanner, cancel, json, error, |scanner, cancel| scanner.list_registries(cancel)) }
}

/// Removes registries from the store; what is known of their images stays. `request` is JSON: `{"names": [NAME, ...]}`. `json` gets
/// `[{"name", "ok", "state", "error": {"kind", "message", "hint"} or null}, ...]`, one for each name; free it with tw_string_free.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_registry_remove(
    scanner: *const tw_scanner,
    request: *const c_char,
    cancel: *const tw_cancel,
    json: *mut *mut c_char,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    unsafe {
        ask(scanner, cancel, json, error, |scanner, cancel| {
            scanner.remove_registries(from_json(required(request, "request")?, "the request")?, cancel)
        })
    }
}

/// Pauses registries: none of their jobs is due until they are resumed. `request` is JSON: `{"names": [NAME, ...], "paused": true}`.
/// `json` is as for tw_registry_remove.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_registry_pause(
    scanner: *const tw_scanner,
    request: *const c_char,
    cancel: *const tw_cancel,
    json: *mut *mut c_char,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    unsafe {
        ask(scanner, cancel, json, error, |scanner, cancel| {
            scanner.pause_registries(from_json(required(request, "request")?, "the request")?, cancel)
        })
    }
}
