//! The boundary: what C hands over is looked at here, and nothing unwinds beyond it.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Serialize;
use tidewaiter::model::event::Event;
use tidewaiter::{Cancel, Error, Kind, Result};
use tidewaiter_facade::{Observer, Pending, Scanner};

use crate::cancel::tw_cancel;
use crate::error::{tw_error, tw_status};
use crate::scanner::tw_scanner;
use crate::text;

/// Is told what happens during a call, on the thread that made it: an object of JSON whose field `event` says which event
/// it is. `event` lives until it returns. Returning 0 goes on, anything else cancels the call. It may not use the scanner
/// of the call, and may not unwind or jump out.
/// The events and their fields stand in docs/events.md.
pub type tw_on_event = Option<unsafe extern "C" fn(event: *const c_char, user: *mut c_void) -> c_int>;

/// Runs a function with a status: an error goes to `error`, where there is a place for it.
pub(crate) fn status(error: *mut *mut tw_error, work: impl FnOnce() -> Result<()>) -> tw_status {
    if !error.is_null() {
        // SAFETY: not null, and the caller vouches for a place that can be written.
        unsafe { error.write(std::ptr::null_mut()) };
    }
    let done = catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::new(Kind::Internal, "a defect ended the call").with_hint("please report it")));
    match done {
        Ok(()) => tw_status::TW_OK,
        Err(failed) => {
            let status = tw_status::from(failed.kind());
            // Making the texts of the error may not unwind either.
            if !error.is_null()
                && let Ok(failed) = catch_unwind(AssertUnwindSafe(|| Box::into_raw(Box::new(tw_error::from(failed)))))
            {
                // SAFETY: as above.
                unsafe { error.write(failed) };
            }
            status
        }
    }
}

/// A call whose answer is JSON, and that nobody watches.
///
/// # Safety
/// The pointers are those of a C function of this shape.
pub(crate) unsafe fn ask<T: Serialize>(
    scanner: *const tw_scanner,
    cancel: *const tw_cancel,
    json: *mut *mut c_char,
    error: *mut *mut tw_error,
    start: impl FnOnce(&Scanner, &Cancel) -> Result<Pending<T>>,
) -> tw_status {
    // SAFETY: as the caller says.
    unsafe { watch(scanner, None, std::ptr::null_mut(), cancel, json, error, start) }
}

/// A call whose answer is JSON.
///
/// # Safety
/// The pointers are those of a C function of this shape.
pub(crate) unsafe fn watch<T: Serialize>(
    scanner: *const tw_scanner,
    on_event: tw_on_event,
    user: *mut c_void,
    cancel: *const tw_cancel,
    json: *mut *mut c_char,
    error: *mut *mut tw_error,
    start: impl FnOnce(&Scanner, &Cancel) -> Result<Pending<T>>,
) -> tw_status {
    // SAFETY: as the caller says.
    status(error, || unsafe {
        empty(json)?;
        // A handle of our own: a callback that frees the scanner does not take it from under the call.
        let scanner = object(scanner, "scanner")?.0.clone();
        let pending = start(&scanner, &self::cancel(cancel))?;
        give_json(json, &pending.wait(&mut Callback { on_event, user })?)
    })
}

/// Runs a function without a status: a defect gives `otherwise`.
pub(crate) fn value<T>(otherwise: T, work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(otherwise)
}

/// What a pointer of the caller points at.
///
/// # Safety
/// Null, or a live object of this library.
pub(crate) unsafe fn object<'a, T>(pointer: *const T, name: &'static str) -> Result<&'a T> {
    // SAFETY: the caller of the C function vouches for it.
    unsafe { pointer.as_ref() }.ok_or_else(|| null(name))
}

/// Puts a new object where the caller wants it.
///
/// # Safety
/// Null, or a place that can be written.
pub(crate) unsafe fn give<T>(place: *mut *mut T, object: T) -> Result<()> {
    // SAFETY: as the caller says.
    let place = unsafe { place.as_mut() }.ok_or_else(|| null("the place of the result"))?;
    *place = Box::into_raw(Box::new(object));
    Ok(())
}

/// Empties the place of a result, so that it holds null after a failure; null is refused before any work.
///
/// # Safety
/// Null, or a place that can be written.
pub(crate) unsafe fn empty<T>(place: *mut *mut T) -> Result<()> {
    // SAFETY: as the caller says.
    *unsafe { place.as_mut() }.ok_or_else(|| null("the place of the result"))? = std::ptr::null_mut();
    Ok(())
}

/// A value as JSON, for the caller to free with `tw_string_free`.
///
/// # Safety
/// Null, or a place that can be written.
pub(crate) unsafe fn give_json(place: *mut *mut c_char, value: &impl Serialize) -> Result<()> {
    let json = serde_json::to_string(value)
        .map_err(|error| Error::new(Kind::Internal, "a result cannot be written as JSON").because(error))?;
    // SAFETY: as the caller says.
    let place = unsafe { place.as_mut() }.ok_or_else(|| null("the place of the result"))?;
    *place = text::owned(&json).into_raw();
    Ok(())
}

/// A text of the caller.
///
/// # Safety
/// Null, or a text that ends with NUL and lives as long as the result is used.
pub(crate) unsafe fn required<'a>(text: *const c_char, name: &'static str) -> Result<&'a str> {
    // SAFETY: as the caller says.
    unsafe { optional(text, name) }?.ok_or_else(|| null(name))
}

/// A text of the caller; none where it is null.
///
/// # Safety
/// As [`required`].
pub(crate) unsafe fn optional<'a>(text: *const c_char, name: &'static str) -> Result<Option<&'a str>> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: not null, and as the caller says.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map(Some).map_err(|_| Error::new(Kind::InvalidInput, "a text is not UTF-8").with("argument", name))
}

/// The switch of the caller, or one that nobody throws.
///
/// # Safety
/// Null, or a live `tw_cancel`.
pub(crate) unsafe fn cancel(cancel: *const tw_cancel) -> Cancel {
    // SAFETY: as the caller says.
    unsafe { cancel.as_ref() }.map(|cancel| cancel.0.clone()).unwrap_or_default()
}

/// A callback of the caller.
pub(crate) struct Callback {
    pub(crate) on_event: tw_on_event,
    pub(crate) user: *mut c_void,
}

impl Observer for Callback {
    fn event(&mut self, event: &Event) -> ControlFlow<()> {
        let Some(on_event) = self.on_event else { return ControlFlow::Continue(()) };
        let text = text::owned(&tidewaiter_facade::event_to_json(event).to_string());
        // SAFETY: the caller gave a function of this type and the pointer that belongs to it; this is the calling thread.
        match unsafe { on_event(text.as_ptr(), self.user) } {
            0 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    }
}

fn null(name: &'static str) -> Error {
    Error::new(Kind::InvalidInput, "an argument is null").with("argument", name)
}
