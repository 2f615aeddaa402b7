//! What a store knows of images.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use tidewaiter::Result;
use tidewaiter_facade::{Listing, Scanner, from_json};

use crate::boundary::{Callback, ask, cancel, empty, give, object, optional, required, status, tw_on_event, watch};
use crate::cancel::tw_cancel;
use crate::error::{tw_error, tw_status};
use crate::listing::tw_listing;
use crate::report::tw_report;
use crate::scanner::tw_scanner;

/// Lists the images that were scanned. `filter` is JSON, or NULL for all: `{"registry": NAME, "repository": PATH, "severity": RATING,
/// "advisory": ID, "package": NAME or package URL, "vulnerable": false}`. Each line is `{"registry", "repository", "digest", "tags",
/// "scanned_at", "complete", "findings": {RATING: N}}`. Free the listing with tw_listing_free.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_inventory(
    scanner: *const tw_scanner,
    filter: *const c_char,
    listing: *mut *mut tw_listing,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    status(error, || unsafe {
        list(scanner, listing, |scanner| {
            scanner.inventory(from_json(optional(filter, "filter")?.unwrap_or_default(), "the filter")?)
        })
    })
}

/// Counts what is known, a registry a line. `filter` is JSON, or NULL for all: `{"registry": NAME}`. `json` gets `[{"registry", "repositories",
/// "tags", "images", "scanned", "failed", "incomplete", "vulnerable", "vulnerable_by_severity": {RATING: N}, "gone", "last_run", "next_run"}, ...]`;
/// free it with tw_string_free.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_inventory_summary(
    scanner: *const tw_scanner,
    filter: *const c_char,
    cancel: *const tw_cancel,
    json: *mut *mut c_char,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    unsafe {
        ask(scanner, cancel, json, error, |scanner, cancel| {
            let filter = from_json(optional(filter, "filter")?.unwrap_or_default(), "the filter")?;
            scanner.inventory_summary(filter, cancel)
        })
    }
}

/// The stored reports of an image, a platform each; the others follow with tw_report_next. `reference` is `NAME/repository:tag` or
/// `NAME/repository@sha256:...`, where NAME is a saved registry or its host. Free the first with tw_report_free. `cancel` may be NULL.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_inventory_reports(
    scanner: *const tw_scanner,
    reference: *const c_char,
    cancel: *const tw_cancel,
    report: *mut *mut tw_report,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    status(error, || unsafe {
        empty(report)?;
        let scanner = object(scanner, "scanner")?.0.clone();
        let pending = scanner.stored_reports(required(reference, "reference")?, &self::cancel(cancel))?;
        let mut nobody = Callback { on_event: None, user: std::ptr::null_mut() };
        give(report, tw_report::chain(pending.wait(&mut nobody)?)?)
    })
}

/// Lists what scans and matches changed, in the order of time. `filter` is JSON, or NULL for all: `{"registry": NAME, "since": TIME}`. Each line
/// is `{"time", "run", "registry", "repository", "digest", "platform", "new": [{"id", "package", "rating"}], "fixed": [...]}`. Free the
/// listing with tw_listing_free.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_inventory_changes(
    scanner: *const tw_scanner,
    filter: *const c_char,
    listing: *mut *mut tw_listing,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    status(error, || unsafe {
        list(scanner, listing, |scanner| {
            scanner.changes(from_json(optional(filter, "filter")?.unwrap_or_default(), "the filter")?)
        })
    })
}

/// Holds the stored packages against today's advisories, without asking a registry. `filter` is JSON, or NULL for all:
/// `{"registry": NAME}`. `json` gets `{"images", "changed", "new", "fixed"}`; free it with tw_string_free. `on_event` and `cancel` may be NULL.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_inventory_rematch(
    scanner: *const tw_scanner,
    filter: *const c_char,
    on_event: tw_on_event,
    user: *mut c_void,
    cancel: *const tw_cancel,
    json: *mut *mut c_char,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    unsafe {
        watch(scanner, on_event, user, cancel, json, error, |scanner, cancel| {
            scanner.rematch(from_json(optional(filter, "filter")?.unwrap_or_default(), "the filter")?, cancel)
        })
    }
}

/// Opens a listing.
///
/// # Safety
/// The pointers are those of the functions above.
unsafe fn list(
    scanner: *const tw_scanner,
    listing: *mut *mut tw_listing,
    open: impl FnOnce(&Scanner) -> Result<Listing>,
) -> Result<()> {
    // SAFETY: as the caller says.
    unsafe {
        empty(listing)?;
        give(listing, tw_listing(Arc::new(open(&object(scanner, "scanner")?.0)?)))
    }
}
