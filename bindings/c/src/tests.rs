//! What C may hand over by mistake, and what it gets for it.

mod shapes;

use std::ffi::{CStr, CString, c_char};
use std::ptr::{null, null_mut};

use crate::cancel::*;
use crate::error::*;
use crate::report::*;
use crate::scanner::*;
use crate::text::*;

/// The text, which is freed with its owner.
fn text(lent: *const c_char) -> String {
    assert!(!lent.is_null());
    // SAFETY: not null, and the owner lives.
    unsafe { CStr::from_ptr(lent) }.to_str().unwrap().to_owned()
}

/// Status, message and hint of an error, which is freed.
fn told(error: *mut tw_error) -> (tw_status, String, String) {
    // SAFETY: the error is live until it is freed here.
    unsafe {
        let told = (
            tw_error_status(error),
            text(tw_error_message(error)),
            tw_error_hint(error).as_ref().map(|hint| text(hint)).unwrap_or_default(),
        );
        tw_error_free(error);
        told
    }
}

fn open(config: &CStr) -> Result<*mut tw_scanner, (tw_status, String, String)> {
    let (mut scanner, mut error) = (null_mut(), null_mut());
    // SAFETY: the places are ours.
    match unsafe { tw_scanner_new(config.as_ptr(), &raw mut scanner, &raw mut error) } {
        tw_status::TW_OK => Ok(scanner),
        status => {
            assert!(scanner.is_null());
            let told = told(error);
            assert_eq!(told.0, status);
            Err(told)
        }
    }
}

#[test]
fn a_wrong_configuration_is_named() {
    let (status, message, hint) = open(cr#"{"advisorys": "x"}"#).unwrap_err();
    assert_eq!(status, tw_status::TW_INVALID_INPUT);
    assert!(message.contains("advisorys") && !hint.is_empty(), "{message} [{hint}]");
    assert_eq!(open(c"{").unwrap_err().0, tw_status::TW_INVALID_INPUT);
    assert_eq!(open(c"\xff").unwrap_err().0, tw_status::TW_INVALID_INPUT);
}

#[test]
fn null_is_an_answer_and_never_a_crash() {
    let scanner = open(cr#"{"offline": true, "cache": null}"#).unwrap();
    let (mut report, mut error) = (null_mut(), null_mut());
    // SAFETY: every pointer is null, or ours and live.
    unsafe {
        assert_eq!(tw_scanner_new(null(), null_mut(), null_mut()), tw_status::TW_INVALID_INPUT);
        let reference = c"app".as_ptr();
        for (scanner, reference, place) in [
            (null(), reference, &raw mut report),
            (scanner.cast_const(), null(), &raw mut report),
            (scanner.cast_const(), reference, null_mut()),
        ] {
            let status = tw_scanner_scan(scanner, reference, null(), None, null_mut(), null(), place, &raw mut error);
            assert_eq!(status, tw_status::TW_INVALID_INPUT);
            assert!(told(error).1.contains("null"));
        }
        assert_eq!(tw_error_status(null()), tw_status::TW_OK);
        assert!(tw_error_message(null()).is_null() && tw_error_hint(null()).is_null());
        assert!(tw_report_json(null()).is_null() && tw_report_finding_id(null(), 0).is_null());
        assert_eq!((tw_report_finding_count(null()), tw_report_is_complete(null())), (0, false));
        tw_cancel_cancel(null());
        tw_cancel_free(null_mut());
        tw_error_free(null_mut());
        tw_report_free(null_mut());
        tw_string_free(null_mut());
        tw_scanner_free(null_mut());
        tw_scanner_free(scanner);
    }
}

#[test]
fn a_failed_scan_leaves_no_report() {
    let scanner = open(cr#"{"offline": true, "cache": null}"#).unwrap();
    let nothing = CString::new("oci:/does/not/exist").unwrap();
    let (mut report, mut error) = (std::ptr::dangling_mut(), null_mut());
    // SAFETY: every pointer is null, or ours and live.
    unsafe {
        let cancel = tw_cancel_new();
        let status = tw_scanner_scan(
            scanner,
            nothing.as_ptr(),
            null(),
            None,
            null_mut(),
            cancel,
            &raw mut report,
            &raw mut error,
        );
        assert_eq!(status, tw_status::TW_NOT_FOUND);
        assert!(report.is_null());
        assert_eq!(text(tw_error_kind(error)), "not-found");
        assert!(tw_error_retry_after(error) < 0.0);
        tw_error_free(error);
        tw_cancel_cancel(cancel);
        let status =
            tw_scanner_scan(scanner, nothing.as_ptr(), null(), None, null_mut(), cancel, &raw mut report, null_mut());
        assert!(matches!(status, tw_status::TW_CANCELED | tw_status::TW_NOT_FOUND));
        tw_cancel_free(cancel);
        tw_scanner_free(scanner);
    }
}

#[test]
fn a_zero_byte_is_shown() {
    assert_eq!(owned("a\0b").to_str().unwrap(), "a\u{fffd}b");
    assert_eq!(text(tw_version()), env!("CARGO_PKG_VERSION"));
}

#[test]
fn tells_the_next_runs() {
    let next = |schedule: &CStr, options: Option<&CStr>| {
        let (mut json, mut error) = (null_mut(), null_mut());
        let options = options.map_or(null(), CStr::as_ptr);
        // SAFETY: the texts and the places are ours.
        let status =
            unsafe { crate::schedule::tw_schedule_next(schedule.as_ptr(), options, &raw mut json, &raw mut error) };
        if status != tw_status::TW_OK {
            assert!(json.is_null());
            return Err(told(error));
        }
        let found = text(json);
        // SAFETY: it was given to us, and is not used again.
        unsafe { tw_string_free(json) };
        Ok(found)
    };
    let weekly = c"{\"every\": 7, \"anchor\": \"2026-11-24T17:00:00Z\"}";
    assert_eq!(
        next(weekly, Some(c"{\"after\": \"2026-11-24T17:00:00Z\", \"count\": 2}")).unwrap(),
        r#"["2026-12-01T17:00:00Z","2026-12-08T17:00:00Z"]"#
    );
    assert_eq!(next(c"null", None).unwrap(), "[]");
    let (status, message, hint) = next(c"{\"every\": 1, \"zone\": \"Mars\"}", None).unwrap_err();
    assert_eq!(status, tw_status::TW_INVALID_INPUT);
    assert!(message.contains("field: zone") && hint.contains("Europe/Berlin"), "{message} {hint}");
}

/// A file of a store that is gone with it.
struct Place(std::path::PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("tidewaiter-c-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn open(&self) -> *mut tw_scanner {
        let config = format!(r#"{{"offline": true, "cache": null, "store": "{}/store.db"}}"#, self.0.display());
        open(&CString::new(config).unwrap()).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The answer of a call that gives JSON; it is freed.
fn answer(
    call: impl FnOnce(*mut *mut c_char, *mut *mut tw_error) -> tw_status,
) -> Result<serde_json::Value, (tw_status, String, String)> {
    let (mut json, mut error) = (null_mut(), null_mut());
    if call(&raw mut json, &raw mut error) != tw_status::TW_OK {
        assert!(json.is_null());
        return Err(told(error));
    }
    let found = serde_json::from_str(&text(json)).unwrap();
    // SAFETY: it was given to us, and is not used again.
    unsafe { tw_string_free(json) };
    Ok(found)
}

#[test]
fn a_job_is_kept_run_and_deleted() {
    use crate::inventory::*;
    use crate::jobs::*;
    use crate::listing::*;
    use crate::registries::*;
    use crate::store::*;
    use crate::work::*;
    let place = Place::new("jobs");
    let scanner = place.open();
    // SAFETY: the texts and the places are ours, the scanner is live until the end.
    unsafe {
        let put = cr#"{"name": "prod", "registry": {"url": "http://127.0.0.1:1"}, "check": false}"#;
        let saved = answer(|json, error| tw_registry_put(scanner, put.as_ptr(), null(), json, error)).unwrap();
        assert_eq!((saved["name"].as_str(), saved["source"].as_str()), (Some("prod"), Some("store")));
        let shown = answer(|json, error| tw_registry_show(scanner, c"prod".as_ptr(), null(), json, error)).unwrap();
        assert_eq!(shown, saved);
        assert_eq!(answer(|json, error| tw_registry_list(scanner, null(), json, error)).unwrap()[0], saved);

        let put = cr#"{"job": {"name": "nightly", "registry": "prod", "schedule": {"every": 1}}}"#;
        let job = answer(|json, error| tw_job_put(scanner, put.as_ptr(), null(), json, error)).unwrap();
        assert!(job["state"].is_null() && job["next"].is_string(), "{job}");
        // Nobody listens there: the run is over, and says why.
        let request = cr#"{"job": "nightly"}"#.as_ptr();
        let mut events = 0_usize;
        let user = (&raw mut events).cast();
        let run = answer(|json, error| tw_job_run(scanner, request, Some(count), user, null(), json, error)).unwrap();
        assert_eq!((run["state"].as_str(), run["scanned"].as_u64()), (Some("Error"), Some(0)), "{run}");
        assert!(events > 0);
        let number = run["run"].as_i64().unwrap();
        assert_eq!(answer(|json, error| tw_run_summary(scanner, number, null(), json, error)).unwrap(), run);
        let shown = answer(|json, error| tw_job_show(scanner, c"nightly".as_ptr(), null(), json, error)).unwrap();
        assert_eq!((&shown["state"], &shown["summary"]), (&run["state"], &run));
        let none = answer(|json, error| tw_items_lease(scanner, null(), null(), json, error)).unwrap();
        assert_eq!(none, serde_json::json!([]));
        let image = serde_json::json!({"repository": "app", "digest": format!("sha256:{}", "0".repeat(64)), "tags": [],
            "media_type": "", "size": null, "date": {"time": null, "source": "none"}});
        let item = serde_json::json!({"run": number, "job": "nightly", "registry": "prod", "definition": {}, "image": image,
            "verdict": "scan", "reason": "new", "platforms": [], "token": 1});
        let request = CString::new(serde_json::json!({"items": [item]}).to_string()).unwrap();
        let held = answer(|json, error| tw_items_renew(scanner, request.as_ptr(), null(), json, error)).unwrap();
        assert_eq!(held, serde_json::json!([false]), "the run is over");

        let (mut listing, mut error) = (null_mut(), null_mut());
        assert_eq!(tw_inventory(scanner, null(), &raw mut listing, &raw mut error), tw_status::TW_OK);
        let mut line = std::ptr::dangling_mut();
        let status = tw_listing_next(listing, None, null_mut(), null(), &raw mut line, &raw mut error);
        assert!(status == tw_status::TW_OK && line.is_null());
        tw_listing_free(listing);
        let status = answer(|json, error| tw_store_status(scanner, null(), json, error)).unwrap();
        assert_eq!(status["kind"], "sqlite");

        let names = cr#"{"names": ["nightly", "weekly"]}"#.as_ptr();
        let deleted = answer(|json, error| tw_job_delete(scanner, names, null(), json, error)).unwrap();
        assert_eq!((&deleted[0]["ok"], &deleted[1]["error"]["kind"]), (&true.into(), &"not-found".into()));
        assert_eq!(answer(|json, error| tw_job_list(scanner, null(), json, error)).unwrap(), serde_json::json!([]));
        tw_scanner_free(scanner);
    }
}

#[test]
fn a_wrong_request_is_named() {
    use crate::jobs::*;
    use crate::work::*;
    let place = Place::new("requests");
    let scanner = place.open();
    // SAFETY: the texts and the places are ours, the scanner is live until the end.
    unsafe {
        for (request, word) in [(c"", "job"), (c"{", "EOF"), (cr#"{"jobs": 1}"#, "jobs"), (c"7", "invalid type")] {
            let (status, message, _) =
                answer(|json, error| tw_job_run(scanner, request.as_ptr(), None, null_mut(), null(), json, error))
                    .unwrap_err();
            assert_eq!(status, tw_status::TW_INVALID_INPUT);
            assert!(message.contains(word), "{message}");
        }
        let missing = answer(|json, error| {
            tw_job_run(scanner, cr#"{"job": "none"}"#.as_ptr(), None, null_mut(), null(), json, error)
        });
        assert_eq!(missing.unwrap_err().0, tw_status::TW_NOT_FOUND);
        for item in [null(), c"{}".as_ptr(), c"7".as_ptr()] {
            let refused = answer(|json, error| tw_item_execute(scanner, item, None, null_mut(), null(), json, error));
            assert_eq!(refused.unwrap_err().0, tw_status::TW_INVALID_INPUT);
            let refused = answer(|json, error| tw_item_commit(scanner, item, None, null_mut(), null(), json, error));
            assert_eq!(refused.unwrap_err().0, tw_status::TW_INVALID_INPUT);
            let refused = answer(|json, error| tw_items_renew(scanner, item, null(), json, error));
            assert_eq!(refused.unwrap_err().0, tw_status::TW_INVALID_INPUT);
        }
        assert_eq!(
            tw_job_run(null(), null(), None, null_mut(), null(), null_mut(), null_mut()),
            tw_status::TW_INVALID_INPUT
        );
        tw_scanner_free(scanner);
    }
}

/// A callback that counts.
unsafe extern "C" fn count(event: *const c_char, user: *mut std::ffi::c_void) -> std::ffi::c_int {
    assert!(text(event).starts_with('{'));
    // SAFETY: the test gave the place of its counter.
    unsafe { *user.cast::<usize>() += 1 };
    0
}

/// What a callback of a listing does with that: it asks for the next line, and keeps the status.
struct Again {
    listing: *mut crate::listing::tw_listing,
    statuses: Vec<tw_status>,
}

unsafe extern "C" fn next_line(_: *const c_char, user: *mut std::ffi::c_void) -> std::ffi::c_int {
    // SAFETY: the test gave the place, and waits; the listing is live.
    unsafe {
        let again = &mut *user.cast::<Again>();
        let (mut json, mut error) = (null_mut(), null_mut());
        let (json, error_place) = (&raw mut json, &raw mut error);
        let status = crate::listing::tw_listing_next(again.listing, None, null_mut(), null(), json, error_place);
        assert!(told(error).1.contains("callback"));
        again.statuses.push(status);
    }
    0
}

#[test]
fn a_callback_of_a_listing_may_not_use_it() {
    use crate::listing::*;
    let registry = tidewaiter::conformance::registry::TestRegistry::start().unwrap();
    registry.push("app", "1.0", &tidewaiter::conformance::image::ImageBuilder::new().build());
    let definition = serde_json::json!({"url": registry.url(), "credential": {"anonymous": {}}}).to_string();
    let definition = CString::new(definition).unwrap();
    let scanner = open(cr#"{"offline": true, "cache": null}"#).unwrap();
    let (mut listing, mut error) = (null_mut(), null_mut());
    // SAFETY: the texts and the places are ours, the scanner and the listing are live until the end.
    unsafe {
        let status = tw_scanner_images(scanner, definition.as_ptr(), null(), &raw mut listing, &raw mut error);
        assert_eq!(status, tw_status::TW_OK);
        let mut again = Again { listing, statuses: Vec::new() };
        let user = (&raw mut again).cast();
        let line = answer(|json, error| tw_listing_next(listing, Some(next_line), user, null(), json, error)).unwrap();
        assert_eq!(line["repository"], "app");
        assert!(
            !again.statuses.is_empty() && again.statuses.iter().all(|status| *status == tw_status::TW_INVALID_STATE)
        );
        tw_listing_free(listing);
        tw_scanner_free(scanner);
    }
}
