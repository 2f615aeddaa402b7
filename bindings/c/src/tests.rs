//! What C may hand over by mistake, and what it gets for it.

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
