//! Texts as C has them. A NUL inside, which only a hostile image brings, is shown as U+FFFD.

use std::ffi::{CStr, CString, c_char};

/// A text of our own.
pub(crate) fn owned(text: &str) -> CString {
    CString::new(text).unwrap_or_else(|_| CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default())
}

/// A text that its owner lends, or null.
pub(crate) fn lent(text: Option<&CString>) -> *const c_char {
    text.map_or(std::ptr::null(), |text| text.as_ptr())
}

/// Frees a text that a function gave away. NULL is fine.
///
/// # Safety
/// `string` is NULL or comes from this library, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_string_free(string: *mut c_char) {
    crate::boundary::value((), || {
        if !string.is_null() {
            // SAFETY: it was made by `CString::into_raw`, and the caller gives it back.
            drop(unsafe { CString::from_raw(string) });
        }
    });
}

/// The version of the library, such as `0.1.0`.
#[unsafe(no_mangle)]
pub extern "C" fn tw_version() -> *const c_char {
    const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => c"",
    };
    VERSION.as_ptr()
}
