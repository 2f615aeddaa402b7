//! Status codes and errors.

use std::ffi::{CString, c_char};

use tidewaiter::{Error, Kind};

use crate::boundary::value;
use crate::text::{lent, owned};

/// How a call ended: TW_OK, or the kind of the error, named by what the caller can do. Numbers are never reused; treat one
/// that you do not know as TW_INTERNAL.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum tw_status {
    /// Done.
    TW_OK = 0,
    /// A value that the caller gave cannot be right: correct it.
    TW_INVALID_INPUT = 1,
    /// The registry wants other credentials, or any.
    TW_UNAUTHENTICATED = 2,
    /// The credentials are good, but not for this.
    TW_PERMISSION_DENIED = 3,
    /// There is no such thing.
    TW_NOT_FOUND = 4,
    /// Too many requests: come back after tw_error_retry_after.
    TW_RATE_LIMITED = 5,
    /// Out of reach now; the same call may go through later.
    TW_UNAVAILABLE = 6,
    /// What was read is not what it claims to be.
    TW_CORRUPT = 7,
    /// Larger than a limit that can be changed.
    TW_LIMIT_EXCEEDED = 8,
    /// Understood, and not done here.
    TW_UNSUPPORTED = 9,
    /// The caller canceled, or the time was up.
    TW_CANCELED = 10,
    /// The disk or the database below a store failed.
    TW_STORAGE = 11,
    /// Something else is doing this already.
    TW_BUSY = 12,
    /// Not possible in the state that the object is in, such as used from its own callback.
    TW_INVALID_STATE = 13,
    /// A defect of this library.
    TW_INTERNAL = 14,
}

impl From<Kind> for tw_status {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::InvalidInput => Self::TW_INVALID_INPUT,
            Kind::Unauthenticated => Self::TW_UNAUTHENTICATED,
            Kind::PermissionDenied => Self::TW_PERMISSION_DENIED,
            Kind::NotFound => Self::TW_NOT_FOUND,
            Kind::RateLimited => Self::TW_RATE_LIMITED,
            Kind::Unavailable => Self::TW_UNAVAILABLE,
            Kind::Corrupt => Self::TW_CORRUPT,
            Kind::LimitExceeded => Self::TW_LIMIT_EXCEEDED,
            Kind::Unsupported => Self::TW_UNSUPPORTED,
            Kind::Canceled => Self::TW_CANCELED,
            Kind::Storage => Self::TW_STORAGE,
            Kind::Busy => Self::TW_BUSY,
            Kind::InvalidState => Self::TW_INVALID_STATE,
            _ => Self::TW_INTERNAL,
        }
    }
}

/// Why a call failed.
pub struct tw_error {
    error: Error,
    kind: CString,
    message: CString,
    hint: Option<CString>,
}

impl From<Error> for tw_error {
    fn from(error: Error) -> Self {
        Self {
            kind: owned(error.kind().as_str()),
            message: owned(&error.to_string()),
            hint: error.hint().map(owned),
            error,
        }
    }
}

/// The status that the call returned. TW_OK for NULL.
///
/// # Safety
/// `error` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_error_status(error: *const tw_error) -> tw_status {
    // SAFETY: the caller vouches for it.
    let error = unsafe { error.as_ref() };
    value(tw_status::TW_INTERNAL, || error.map_or(tw_status::TW_OK, |error| error.error.kind().into()))
}

/// The kind as a word, such as `not-found`; NULL for NULL.
///
/// # Safety
/// `error` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_error_kind(error: *const tw_error) -> *const c_char {
    // SAFETY: the caller vouches for it.
    lent(unsafe { error.as_ref() }.map(|error| &error.kind))
}

/// One line: what happened, where, and why; NULL for NULL. It holds no secret.
///
/// # Safety
/// `error` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_error_message(error: *const tw_error) -> *const c_char {
    // SAFETY: the caller vouches for it.
    lent(unsafe { error.as_ref() }.map(|error| &error.message))
}

/// What to do next; NULL where nobody knows, and for NULL.
///
/// # Safety
/// `error` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_error_hint(error: *const tw_error) -> *const c_char {
    // SAFETY: the caller vouches for it.
    lent(unsafe { error.as_ref() }.and_then(|error| error.hint.as_ref()))
}

/// How many seconds the registry asked to wait; negative where it did not ask, and for NULL.
///
/// # Safety
/// `error` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_error_retry_after(error: *const tw_error) -> f64 {
    // SAFETY: the caller vouches for it.
    unsafe { error.as_ref() }.and_then(|error| error.error.retry_after()).map_or(-1.0, |delay| delay.as_secs_f64())
}

/// Frees an error. NULL is fine.
///
/// # Safety
/// `error` is NULL or comes from this library, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_error_free(error: *mut tw_error) {
    value((), || {
        if !error.is_null() {
            // SAFETY: it was made by `Box::into_raw`, and the caller gives it back.
            drop(unsafe { Box::from_raw(error) });
        }
    });
}
