//! The steps of a run, for those who spread the work themselves: plan, execute, commit. And the worker that does all three.

use std::ffi::{c_char, c_void};

use tidewaiter_facade::from_json;

use crate::boundary::{Callback, ask, cancel, object, optional, required, status, tw_on_event, watch};
use crate::cancel::tw_cancel;
use crate::error::{tw_error, tw_status};
use crate::scanner::tw_scanner;

/// Lists the registry for a run that tw_job_run put into the queue with `detach`, and fills it with the images to look at. `json` gets the run:
/// `{"run", "job", "registry", "state", "scan_all", "pull", "planned", "queued", "began", "ended", "error"}`; free it with
/// tw_string_free. `on_event` and `cancel` may be NULL.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_run_plan(
    scanner: *const tw_scanner,
    run: i64,
    on_event: tw_on_event,
    user: *mut c_void,
    cancel: *const tw_cancel,
    json: *mut *mut c_char,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    unsafe { watch(scanner, on_event, user, cancel, json, error, |scanner, cancel| scanner.plan(run, cancel)) }
}

/// Tells what came of a run so far. `json` is as for tw_job_run.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_run_summary(
    scanner: *const tw_scanner,
    run: i64,
    cancel: *const tw_cancel,
    json: *mut *mut c_char,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    unsafe { ask(scanner, cancel, json, error, |scanner, cancel| scanner.run_summary(run, cancel)) }
}

/// Takes images of a planned run in hand for some time; after it others may take them, unless tw_items_renew is asked for more. `request` is JSON, or NULL:
/// `{"run": N or null for any, "count": 1, "seconds": 60, "worker": NAME or null}`. `json` gets an array of items, each an object for
/// tw_item_execute that holds no secret; free it with tw_string_free.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_items_lease(
    scanner: *const tw_scanner,
    request: *const c_char,
    cancel: *const tw_cancel,
    json: *mut *mut c_char,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    unsafe {
        ask(scanner, cancel, json, error, |scanner, cancel| {
            scanner.lease(from_json(optional(request, "request")?.unwrap_or_default(), "the request")?, cancel)
        })
    }
}

/// Keeps images in hand whose time would run out while they are looked at. `request` is JSON: `{"items": [ITEM, ...], "seconds": 60}`, with items as
/// tw_items_lease gave them and the seconds from now on. `json` gets an array of truths, one for each item: whether it is still held. One that is
/// not is committed, or was canceled, or somebody else has it, and its commit would be refused. Free it with tw_string_free.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_items_renew(
    scanner: *const tw_scanner,
    request: *const c_char,
    cancel: *const tw_cancel,
    json: *mut *mut c_char,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    unsafe {
        ask(scanner, cancel, json, error, |scanner, cancel| {
            scanner.renew(from_json(required(request, "request")?, "the request")?, cancel)
        })
    }
}

/// Looks at one image, on any machine that reaches the registry; it needs no store, and doing it twice does no harm. `item` is one of those of
/// tw_items_lease. `json` gets what came of it, also where the image cannot be scanned, for tw_item_commit; free it with tw_string_free.
/// `on_event` and `cancel` may be NULL.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_item_execute(
    scanner: *const tw_scanner,
    item: *const c_char,
    on_event: tw_on_event,
    user: *mut c_void,
    cancel: *const tw_cancel,
    json: *mut *mut c_char,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    unsafe {
        watch(scanner, on_event, user, cancel, json, error, |scanner, cancel| {
            scanner.execute(from_json(required(item, "item")?, "the item")?, cancel)
        })
    }
}

/// Puts into the store what tw_item_execute gave. `json` gets `"taken"`, or `"before"` where the image was committed already; free it with
/// tw_string_free. An item whose lease somebody else has by now is refused. `on_event` and `cancel` may be NULL.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_item_commit(
    scanner: *const tw_scanner,
    done: *const c_char,
    on_event: tw_on_event,
    user: *mut c_void,
    cancel: *const tw_cancel,
    json: *mut *mut c_char,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    unsafe {
        watch(scanner, on_event, user, cancel, json, error, |scanner, cancel| {
            scanner.commit(from_json(required(done, "done")?, "what was done")?, cancel)
        })
    }
}

/// Works: runs the jobs that are due, and helps with the runs of others, until `cancel` ends it, which is TW_OK. `request` is JSON, or NULL:
/// `{"name": NAME or null, "concurrency": N or null, "lease": 60, "once": false}`; with `once` it returns when nothing is left to do.
/// What is finished is kept, what is in hand is given back. `on_event` and `cancel` may be NULL.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_work(
    scanner: *const tw_scanner,
    request: *const c_char,
    on_event: tw_on_event,
    user: *mut c_void,
    cancel: *const tw_cancel,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    status(error, || unsafe {
        let scanner = object(scanner, "scanner")?.0.clone();
        let request = from_json(optional(request, "request")?.unwrap_or_default(), "the request")?;
        let pending = scanner.work(request, &self::cancel(cancel))?;
        pending.wait(&mut Callback { on_event, user }).map(drop)
    })
}

/// Lists who works on this store. `json` gets `[{"worker", "host", "process", "began", "seen", "alive", "holds": [{"run", "job", "repository",
/// "digest", "since"}]}, ...]`; free it with tw_string_free.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_worker_list(
    scanner: *const tw_scanner,
    cancel: *const tw_cancel,
    json: *mut *mut c_char,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    unsafe { ask(scanner, cancel, json, error, |scanner, cancel| scanner.list_workers(cancel)) }
}
