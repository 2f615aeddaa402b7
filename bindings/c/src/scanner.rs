//! The scanner: opened, asked, freed.

use std::ffi::{c_char, c_void};

use tidewaiter_facade::{Config, Scanner, from_json};

use crate::boundary::{
    Callback, cancel, empty, give, give_json, object, optional, required, status, tw_on_event, value,
};
use crate::cancel::tw_cancel;
use crate::error::{tw_error, tw_status};
use crate::report::tw_report;

/// Scans images. May be used from several threads at once.
pub struct tw_scanner(pub(crate) Scanner);

/// Opens a scanner. `config` is JSON, or NULL for all defaults:
/// `{"advisories": FILE or DIR, "offline": false, "base_url": URL, "cache": DIR or null, "memory_mib": 64, "concurrency": N, "registries": FILE, "store": FILE or "postgres://...", "limits": {NAME: N}}`.
/// The store is opened by the first call that needs it; null is `$TIDEWAITER_STORE`, else a file in the user's data folder.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_scanner_new(
    config: *const c_char,
    scanner: *mut *mut tw_scanner,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    status(error, || unsafe {
        empty(scanner)?;
        let config: Config = from_json(optional(config, "config")?.unwrap_or_default(), "the configuration")?;
        give(scanner, tw_scanner(Scanner::open(config)?))
    })
}

/// Scans one image. `reference` is an image reference, `oci:DIR`, `oci-archive:FILE`, `docker-archive:FILE` or `sbom:FILE`. `options` is JSON, or NULL
/// for all defaults: `{"credential": {...}, "registry": {...}, "plain_http": false, "platforms": ["linux/amd64"] or "all",
/// "foreign_layers": false, "include_owned": false, "timeout": SECONDS}`. With several platforms the others follow with
/// tw_report_next. Foreign layers are fetched in the way in which the registry is reached (proxy, authorities, time-outs), without its
/// credential and its client certificate. `on_event` and `cancel` may be NULL.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_scanner_scan(
    scanner: *const tw_scanner,
    reference: *const c_char,
    options: *const c_char,
    on_event: tw_on_event,
    user: *mut c_void,
    cancel: *const tw_cancel,
    report: *mut *mut tw_report,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    status(error, || unsafe {
        empty(report)?;
        // A handle of our own: a callback that frees the scanner does not take it from under the call.
        let scanner = object(scanner, "scanner")?.0.clone();
        let reference = required(reference, "reference")?;
        let options = from_json(optional(options, "options")?.unwrap_or_default(), "the options")?;
        let pending = scanner.scan(reference, options, &self::cancel(cancel))?;
        give(report, tw_report::chain(pending.wait(&mut Callback { on_event, user })?)?)
    })
}

/// Checks the connection to a registry step by step. `registry` is JSON, such as `{"url": "https://registry.example"}`, or `"NAME"` of one in
/// the scanner's file of registries or in the store;
/// `options` is JSON, or NULL: `{"repository": NAME, "timeout": SECONDS}`. `json` gets
/// `{"registry", "kind", "steps": [{"step", "ok", "detail", "hint"}]}`; free it with tw_string_free. A step that fails
/// is no error of the call.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_scanner_check(
    scanner: *const tw_scanner,
    registry: *const c_char,
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
        let registry = from_json(required(registry, "registry")?, "the registry")?;
        let options = from_json(optional(options, "options")?.unwrap_or_default(), "the options")?;
        let pending = scanner.check(registry, options, &self::cancel(cancel))?;
        give_json(json, &pending.wait(&mut Callback { on_event, user })?)
    })
}

/// Frees a scanner, after the calls that run in other threads have returned. NULL is fine.
///
/// # Safety
/// `scanner` is NULL or comes from `tw_scanner_new`, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_scanner_free(scanner: *mut tw_scanner) {
    value((), || {
        if !scanner.is_null() {
            // SAFETY: it was made by `Box::into_raw`, and the caller gives it back.
            drop(unsafe { Box::from_raw(scanner) });
        }
    });
}
