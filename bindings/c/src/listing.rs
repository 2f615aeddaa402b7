//! Listings: what is in a registry, line by line.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use tidewaiter::Result;
use tidewaiter::select::Selection;
use tidewaiter_facade::{Listing, Named, Scanner, from_json};

use crate::boundary::{
    Callback, cancel, empty, give, give_json, object, optional, required, status, tw_on_event, value,
};
use crate::cancel::tw_cancel;
use crate::error::{tw_error, tw_status};
use crate::scanner::tw_scanner;

/// A registry on its way to being listed. It may be used from one thread at a time; a second one waits.
pub struct tw_listing(pub(crate) Arc<Listing>);

/// Lists the repositories of a registry that a selection names. `registry` is JSON, such as `{"url": "https://registry.example"}`
/// or `{"kind": "harbor", "url": ..., "credential": {"basic": {...}}}`, or a text: an address (with a dot or a colon, or `localhost`) or
/// the name of a saved registry. Without a kind it is the one that the address leaves no doubt about, else `docker`. `selection` is JSON, or NULL for all.
/// Each line of the listing is `{"repository"}`. Free it with tw_listing_free.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_scanner_repositories(
    scanner: *const tw_scanner,
    registry: *const c_char,
    selection: *const c_char,
    listing: *mut *mut tw_listing,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    status(error, || unsafe { open(scanner, registry, selection, listing, Scanner::repositories) })
}

/// Lists the images of a registry that a selection chooses, repository by repository as each is complete. `selection` is JSON, or
/// NULL for all: `{"repositories": ["team/*"], "exclude_repositories": [], "tags": ["v*"], "exclude_tags": [], "pushed": "last-7-days", ...}`.
/// Each line is `{"repository", "digest", "tags", "media_type", "size", "date": {"time", "source"}, "verdict": "scan", "reason", "note",
/// "reference"}`: `reference` is what tw_scanner_scan takes; `note` says what a date filter could not know (`by-build-date`, `no-date`), and
/// is there only then. Free it with tw_listing_free.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_scanner_images(
    scanner: *const tw_scanner,
    registry: *const c_char,
    selection: *const c_char,
    listing: *mut *mut tw_listing,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    status(error, || unsafe { open(scanner, registry, selection, listing, Scanner::images) })
}

/// Lists all images of the repositories that a selection names, each with the fields of
/// tw_scanner_images; `verdict` is `scan`, `rematch` or `skip`, `reason` a fixed word such as `new` or `date`. Free it with tw_listing_free.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_scanner_explain(
    scanner: *const tw_scanner,
    registry: *const c_char,
    selection: *const c_char,
    listing: *mut *mut tw_listing,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    status(error, || unsafe { open(scanner, registry, selection, listing, Scanner::explain) })
}

/// Opens a listing of one of the three kinds.
///
/// # Safety
/// The pointers are those of the functions above.
unsafe fn open(
    scanner: *const tw_scanner,
    registry: *const c_char,
    selection: *const c_char,
    listing: *mut *mut tw_listing,
    list: fn(&Scanner, Named, Selection) -> Result<Listing>,
) -> Result<()> {
    // SAFETY: as the caller says.
    unsafe {
        empty(listing)?;
        let scanner = &object(scanner, "scanner")?.0;
        let registry = from_json(required(registry, "registry")?, "the registry")?;
        let selection = from_json(optional(selection, "selection")?.unwrap_or_default(), "the selection")?;
        give(listing, tw_listing(Arc::new(list(scanner, registry, selection)?)))
    }
}

/// Waits for the next line. `json` gets an object of JSON, to be freed with tw_string_free, or NULL at the end. A repository that
/// cannot be listed is told to `on_event` (`repository-failed`), the others go on, and the error comes at the end.
/// `on_event` and `cancel` may be NULL.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_listing_next(
    listing: *mut tw_listing,
    on_event: tw_on_event,
    user: *mut c_void,
    cancel: *const tw_cancel,
    json: *mut *mut c_char,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    status(error, || unsafe {
        empty(json)?;
        // A handle of our own: a callback that frees the listing does not take it from under the call.
        let listing = Arc::clone(&object(listing, "listing")?.0);
        match listing.next(&mut Callback { on_event, user }, &self::cancel(cancel))? {
            Some(item) => give_json(json, &item),
            None => Ok(()),
        }
    })
}

/// Ends a listing and frees it. NULL is fine.
///
/// # Safety
/// `listing` is NULL or comes from this library, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_listing_free(listing: *mut tw_listing) {
    value((), || {
        if !listing.is_null() {
            // SAFETY: it was made by `Box::into_raw`, and the caller gives it back.
            drop(unsafe { Box::from_raw(listing) });
        }
    });
}
