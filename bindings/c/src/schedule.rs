//! When schedules run.

use std::ffi::c_char;

use tidewaiter_facade::{from_json, next_runs};

use crate::boundary::{empty, give_json, optional, required, status};
use crate::error::{tw_error, tw_status};

/// Tells when a schedule runs next. `schedule` is JSON:
/// `{"every": DAYS, "at": "HH:MM", "weekday": "monday"..."sunday", "zone": NAME, "anchor": TIME}`, of which `at` needs
/// every 1 and `weekday` every 7. `options` is JSON, or NULL for the next run from now: `{"after": TIME, "count": N}`.
/// `json` gets an array of times (RFC 3339, UTC); free it with tw_string_free.
///
/// # Safety
/// As the head of the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tw_schedule_next(
    schedule: *const c_char,
    options: *const c_char,
    json: *mut *mut c_char,
    error: *mut *mut tw_error,
) -> tw_status {
    // SAFETY: the caller vouches for the pointers.
    status(error, || unsafe {
        empty(json)?;
        let schedule = from_json(required(schedule, "schedule")?, "the schedule")?;
        let options = from_json(optional(options, "options")?.unwrap_or_default(), "the options")?;
        give_json(json, &next_runs(schedule, &options)?)
    })
}
