//! The jobs of a store.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use tidewaiter_facade::from_json;

use crate::boundary::{ask, empty, give, object, required, status, tw_on_event, watch};
use crate::cancel::tw_cancel;
use crate::error::{tw_error, tw_status};
use crate::listing::tw_listing;
use crate::scanner::tw_scanner;

/// Saves a job in the store. `request` is JSON: `{"job": {"name": NAME, "registry": NAME, "selection": {...}, "schedule": {...} or
/// null, "scan_all": false, "paused": false}, "registry": {...}, "mode": "put" | "add" | "set"}`; the schedule is as for
/// tw_schedule_next, null is on demand; a job that does not say "paused" stays as it is. "registry" is the definition of a registry of
/// its own, which is saved, without a check, under the name that the job gives it. `json` gets what tw_job_show gives, without its last two fields; free it with tw_string_free.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_job_put(
    scanner: *const tw_scanner,
    request: *const c_char,
    cancel: *const tw_cancel,
    json: *mut *mut c_char,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    unsafe {
        ask(scanner, cancel, json, error, |scanner, cancel| {
            scanner.put_job(from_json(required(request, "request")?, "the request")?, cancel)
        })
    }
}

/// Shows a job. `json` gets `{"job", "state", "run", "next", "began", "ended", "registry", "selection", "schedule", "scan_all", "paused",
/// "registry_paused", "added", "error", "summary", "holds"}`: `state` is that of the latest run (null, `Queued`, `Running`, `Finished`, `Canceled`, `Error`), `summary` what came of
/// it, `holds` who works on it. Free it with tw_string_free.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_job_show(
    scanner: *const tw_scanner,
    name: *const c_char,
    cancel: *const tw_cancel,
    json: *mut *mut c_char,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    unsafe { ask(scanner, cancel, json, error, |scanner, cancel| scanner.job(required(name, "name")?, cancel)) }
}

/// Lists the jobs. `json` gets an array of what tw_job_show gives, without the last two fields; free it with tw_string_free.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_job_list(
    scanner: *const tw_scanner,
    cancel: *const tw_cancel,
    json: *mut *mut c_char,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    unsafe { ask(scanner, cancel, json, error, |scanner, cancel| scanner.list_jobs(cancel)) }
}

/// Pauses jobs: they are not due until they are resumed. `request` is JSON: `{"names": [NAME, ...], "paused": true}`. `json` is as for
/// tw_registry_remove.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_job_pause(
    scanner: *const tw_scanner,
    request: *const c_char,
    cancel: *const tw_cancel,
    json: *mut *mut c_char,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    unsafe {
        ask(scanner, cancel, json, error, |scanner, cancel| {
            scanner.pause_jobs(from_json(required(request, "request")?, "the request")?, cancel)
        })
    }
}

/// Cancels the live runs of jobs; what they finished is kept. `request` is JSON: `{"names": [NAME, ...]}`. `json` is as for
/// tw_registry_remove.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_job_cancel(
    scanner: *const tw_scanner,
    request: *const c_char,
    cancel: *const tw_cancel,
    json: *mut *mut c_char,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    unsafe {
        ask(scanner, cancel, json, error, |scanner, cancel| {
            scanner.cancel_jobs(from_json(required(request, "request")?, "the request")?, cancel)
        })
    }
}

/// Deletes jobs that have no run going on; the inventory stays. `request` is JSON: `{"names": [NAME, ...]}`. `json` is as for tw_registry_remove.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_job_delete(
    scanner: *const tw_scanner,
    request: *const c_char,
    cancel: *const tw_cancel,
    json: *mut *mut c_char,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    unsafe {
        ask(scanner, cancel, json, error, |scanner, cancel| {
            scanner.delete_jobs(from_json(required(request, "request")?, "the request")?, cancel)
        })
    }
}

/// Runs a job to its end. `request` is JSON: `{"job": NAME, "scan_all": false, "pull": false, "detach": false, "timeout": SECONDS}`; with
/// `detach` the run waits for a worker. `json` gets `{"run", "job", "state", "listed", "selected", "scanned", "rematched", "skipped":
/// {REASON: N}, "failed": [{"repository", "digest", "error"}], "incomplete", "unmatched", "waiting", "bytes_fetched", "layers_fetched", "layers_from_store",
/// "findings": {RATING: N}, "new_findings", "fixed_findings", "error"}`; free it with tw_string_free. `error`, why the registry or parts of it
/// could not be listed, is there only then. A run that is canceled meanwhile, also by `cancel` or after `timeout`,
/// is TW_OK with the state `Canceled`: what was finished is kept. `on_event` and `cancel` may be NULL.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_job_run(
    scanner: *const tw_scanner,
    request: *const c_char,
    on_event: tw_on_event,
    user: *mut c_void,
    cancel: *const tw_cancel,
    json: *mut *mut c_char,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    unsafe {
        watch(scanner, on_event, user, cancel, json, error, |scanner, cancel| {
            scanner.run_job(from_json(required(request, "request")?, "the request")?, cancel)
        })
    }
}

/// Runs a job again: what is missing and what failed. `request` is JSON: `{"job": NAME, "detach": false, "timeout": SECONDS}`. The rest is as for tw_job_run.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_job_restart(
    scanner: *const tw_scanner,
    request: *const c_char,
    on_event: tw_on_event,
    user: *mut c_void,
    cancel: *const tw_cancel,
    json: *mut *mut c_char,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    unsafe {
        watch(scanner, on_event, user, cancel, json, error, |scanner, cancel| {
            scanner.restart_job(from_json(required(request, "request")?, "the request")?, cancel)
        })
    }
}

/// Says of every image of the repositories that a job names what a run would do with it, and why; nothing is saved. The lines are
/// those of tw_scanner_explain. Free the listing with tw_listing_free.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_job_explain(
    scanner: *const tw_scanner,
    name: *const c_char,
    listing: *mut *mut tw_listing,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    status(error, || unsafe {
        empty(listing)?;
        let scanner = &object(scanner, "scanner")?.0;
        give(listing, tw_listing(Arc::new(scanner.explain_job(required(name, "name")?)?)))
    })
}
