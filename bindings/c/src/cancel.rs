//! Cancellation.

use tidewaiter::Cancel;

use crate::boundary::value;

/// A switch that ends calls. One switch may be given to several calls, and thrown from any thread while they run.
pub struct tw_cancel(pub(crate) Cancel);

/// A new switch; NULL when there is no memory.
#[unsafe(no_mangle)]
pub extern "C" fn tw_cancel_new() -> *mut tw_cancel {
    value(std::ptr::null_mut(), || Box::into_raw(Box::new(tw_cancel(Cancel::new()))))
}

/// Ends every call that was given this switch, now and later: it stays thrown. From any thread. NULL is fine.
///
/// # Safety
/// `cancel` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_cancel_cancel(cancel: *const tw_cancel) {
    value((), || {
        // SAFETY: the caller vouches for it.
        if let Some(cancel) = unsafe { cancel.as_ref() } {
            cancel.0.cancel();
        }
    });
}

/// Frees a switch. Calls that were given it go on. NULL is fine.
///
/// # Safety
/// `cancel` is NULL or comes from `tw_cancel_new`, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_cancel_free(cancel: *mut tw_cancel) {
    value((), || {
        if !cancel.is_null() {
            // SAFETY: it was made by `Box::into_raw`, and the caller gives it back.
            drop(unsafe { Box::from_raw(cancel) });
        }
    });
}
