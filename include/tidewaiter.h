// libtidewaiter: scan container images straight from a registry.
//
// Generated from bindings/c/src. The rules:
//
// - A function that can fail returns a tw_status. TW_OK means done; its results are in the out-parameters. After any other
//   status the results are NULL, and *error, where error is not NULL, holds a tw_error that is yours to free.
// - Each tw_X_new has one tw_X_free; a report is freed with tw_report_free, a text that you were given (char *) with
//   tw_string_free. All of them take NULL. A text that you were lent (const char *) lives as long as the object it came
//   from. Texts are UTF-8.
// - Structs are opaque. Configuration and options are JSON objects of one shape in every language; unknown fields are
//   refused by name, NULL is all defaults. Secrets: "value", {"env": NAME}, {"file": PATH} or {"command": [WORD, ...]}.
// - A scanner may be used from several threads at once, a tw_cancel from any thread at any time. Every object is
//   alive until its free, which nothing else may overlap.
// - Callbacks run on the thread that made the call, within the call. A callback that uses the scanner of its call gets
//   TW_INVALID_STATE. It must return: no longjmp, no exception.
// - After fork the child may only free what the parent opened: a call gets TW_INVALID_STATE.
// - Nothing unwinds out of the library: a defect inside is TW_INTERNAL.


#ifndef TIDEWAITER_H
#define TIDEWAITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// How a call ended: TW_OK, or the kind of the error, named by what the caller can do. Numbers are never reused; treat one
// that you do not know as TW_INTERNAL.
typedef enum {
  // Done.
  TW_OK = 0,
  // A value that the caller gave cannot be right: correct it.
  TW_INVALID_INPUT = 1,
  // The registry wants other credentials, or any.
  TW_UNAUTHENTICATED = 2,
  // The credentials are good, but not for this.
  TW_PERMISSION_DENIED = 3,
  // There is no such thing.
  TW_NOT_FOUND = 4,
  // Too many requests: come back after tw_error_retry_after.
  TW_RATE_LIMITED = 5,
  // Out of reach now; the same call may go through later.
  TW_UNAVAILABLE = 6,
  // What was read is not what it claims to be.
  TW_CORRUPT = 7,
  // Larger than a limit that can be changed.
  TW_LIMIT_EXCEEDED = 8,
  // Understood, and not done here.
  TW_UNSUPPORTED = 9,
  // The caller canceled, or the time was up.
  TW_CANCELED = 10,
  // The disk or the database below a store failed.
  TW_STORAGE = 11,
  // Something else is doing this already.
  TW_BUSY = 12,
  // Not possible in the state that the object is in, such as used from its own callback.
  TW_INVALID_STATE = 13,
  // A defect of this library.
  TW_INTERNAL = 14,
} tw_status;

// A switch that ends calls. One switch may be given to several calls, and thrown from any thread while they run.
typedef struct tw_cancel tw_cancel;

// Why a call failed.
typedef struct tw_error tw_error;

// A registry on its way to being listed. It may be used from one thread at a time; a second one waits.
typedef struct tw_listing tw_listing;

// The report of one image of one platform. Texts that its functions return live as long as it does. An index that is too large gives
// NULL. Reading it from several threads at once is fine.
typedef struct tw_report tw_report;

// Scans images. May be used from several threads at once.
typedef struct tw_scanner tw_scanner;

// Is told what happens during a call, on the thread that made it: an object of JSON whose field `event` says which event
// it is. `event` lives until it returns. Returning 0 goes on, anything else cancels the call. It may not use the scanner
// of the call, and may not unwind or jump out.
typedef int (*tw_on_event)(const char *event, void *user);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The status that the call returned. TW_OK for NULL.
tw_status tw_error_status(const tw_error *error);

// The kind as a word, such as `not-found`.
const char *tw_error_kind(const tw_error *error);

// One line: what happened, where, and why. It holds no secret.
const char *tw_error_message(const tw_error *error);

// What to do next; NULL where nobody knows.
const char *tw_error_hint(const tw_error *error);

// How many seconds the registry asked to wait; negative where it did not ask.
double tw_error_retry_after(const tw_error *error);

// Frees an error. NULL is fine.
void tw_error_free(tw_error *error);

// A new switch; NULL when there is no memory.
tw_cancel *tw_cancel_new(void);

// Ends every call that was given this switch, now and later: it stays thrown. From any thread. NULL is fine.
void tw_cancel_cancel(const tw_cancel *cancel);

// Frees a switch. Calls that were given it go on. NULL is fine.
void tw_cancel_free(tw_cancel *cancel);

// Opens a scanner. `config` is JSON, or NULL for all defaults:
// `{"advisories": FILE or DIR, "offline": false, "base_url": URL, "cache": DIR or null, "memory_mib": 64, "concurrency": N, "registries": FILE, "limits": {NAME: N}}`.
tw_status tw_scanner_new(const char *config,
                         tw_scanner **scanner,
                         tw_error **error);

// Scans one image. `reference` is an image reference, `oci:DIR`, `oci-archive:FILE` or `docker-archive:FILE`. `options` is JSON, or NULL
// for all defaults: `{"credential": {...}, "registry": {...}, "plain_http": false, "platforms": ["linux/amd64"] or "all",
// "foreign_layers": false, "include_owned": false, "timeout": SECONDS}`. With several platforms the others follow with
// tw_report_next. `on_event` and `cancel` may be NULL.
tw_status tw_scanner_scan(const tw_scanner *scanner,
                          const char *reference,
                          const char *options,
                          tw_on_event on_event,
                          void *user,
                          const tw_cancel *cancel,
                          tw_report **report,
                          tw_error **error);

// Checks the connection to a registry step by step. `registry` is JSON, such as `{"url": "https://registry.example"}`, or `"NAME"` of the
// scanner's file of registries;
// `options` is JSON, or NULL: `{"repository": NAME, "timeout": SECONDS}`. `json` gets
// `{"registry", "kind", "steps": [{"step", "ok", "detail", "hint"}]}`; free it with tw_string_free. A step that fails
// is no error of the call.
tw_status tw_scanner_check(const tw_scanner *scanner,
                           const char *registry,
                           const char *options,
                           tw_on_event on_event,
                           void *user,
                           const tw_cancel *cancel,
                           char **json,
                           tw_error **error);

// Frees a scanner, after the calls that run in other threads have returned. NULL is fine.
void tw_scanner_free(tw_scanner *scanner);

// Lists the repositories of a registry that a selection names. `registry` is JSON, such as `{"url": "https://registry.example"}`
// or `{"kind": "harbor", "url": ..., "credential": {"basic": {...}}}`; `selection` is JSON, or NULL for all.
// Each line of the listing is `{"repository"}`. Free it with tw_listing_free.
tw_status tw_scanner_repositories(const tw_scanner *scanner,
                                  const char *registry,
                                  const char *selection,
                                  tw_listing **listing,
                                  tw_error **error);

// Lists the images of a registry that a selection chooses, repository by repository as each is complete. `selection` is JSON, or
// NULL for all: `{"repositories": ["team/*"], "exclude_repositories": [], "tags": ["v*"], "exclude_tags": [], "pushed": "last-7-days", ...}`.
// Each line is `{"repository", "digest", "tags", "media_type", "size", "date": {"time", "source"}}`. Free it with tw_listing_free.
tw_status tw_scanner_images(const tw_scanner *scanner,
                            const char *registry,
                            const char *selection,
                            tw_listing **listing,
                            tw_error **error);

// Lists all images of the repositories that a selection names, each with `"verdict": "scan" | "rematch" | "skip"` and
// `"reason"` besides the fields of tw_scanner_images. Free it with tw_listing_free.
tw_status tw_scanner_explain(const tw_scanner *scanner,
                             const char *registry,
                             const char *selection,
                             tw_listing **listing,
                             tw_error **error);

// Waits for the next line. `json` gets an object of JSON, to be freed with tw_string_free, or NULL at the end. A repository that
// cannot be listed is told to `on_event` (`repository-failed`), the others go on, and the error comes at the end.
// `on_event` and `cancel` may be NULL.
tw_status tw_listing_next(tw_listing *listing,
                          tw_on_event on_event,
                          void *user,
                          const tw_cancel *cancel,
                          char **json,
                          tw_error **error);

// Ends a listing and frees it. NULL is fine.
void tw_listing_free(tw_listing *listing);

// Imports OSV advisories into the database of the scanner; the ecosystems that they bring are replaced, the others kept.
// `options` is JSON: `{"paths": [FILE or DIR, ...]}`. `json` gets
// `{"ecosystems": {NAME: {"records", "newest"}}, "skipped": N, "reasons": [{"file", "reason"}]}`; free it with tw_string_free.
tw_status tw_advisories_import(const tw_scanner *scanner,
                               const char *options,
                               tw_on_event on_event,
                               void *user,
                               const tw_cancel *cancel,
                               char **json,
                               tw_error **error);

// Fetches the advisories of ecosystems into the database of the scanner. `options` is JSON, or NULL for the ecosystems
// that the database has: `{"ecosystems": ["Debian", ...], "base_url": URL, "timeout": SECONDS}`. `json` is as for
// tw_advisories_import.
tw_status tw_advisories_update(const tw_scanner *scanner,
                               const char *options,
                               tw_on_event on_event,
                               void *user,
                               const tw_cancel *cancel,
                               char **json,
                               tw_error **error);

// Describes the database of the scanner. `json` gets `{"file", "built", "ecosystems": {NAME: {"records", "newest"}}}`, with
// `built` null where there is no database yet; free it with tw_string_free.
tw_status tw_advisories_status(const tw_scanner *scanner,
                               char **json,
                               tw_error **error);

// Tells when a schedule runs next. `schedule` is JSON:
// `{"every": DAYS, "at": "HH:MM", "weekday": "monday"..."sunday", "zone": NAME, "anchor": TIME}`, of which `at` needs
// every 1 and `weekday` every 7. `options` is JSON, or NULL for the next run from now: `{"after": TIME, "count": N}`.
// `json` gets an array of times (RFC 3339, UTC); free it with tw_string_free.
tw_status tw_schedule_next(const char *schedule, const char *options, char **json, tw_error **error);

// The report of the next platform, which belongs to this one; NULL behind the last.
const tw_report *tw_report_next(const tw_report *report);

// The whole report as JSON (schema `urn:tidewaiter:report:1`). NULL for a NULL report.
const char *tw_report_json(const tw_report *report);

// Whether everything of the image was looked at: no problem says that packages or advisories may be missing.
bool tw_report_is_complete(const tw_report *report);

// The reference of the image, in full.
const char *tw_report_reference(const tw_report *report);

// The digest of its manifest.
const char *tw_report_digest(const tw_report *report);

// Its platform, such as `linux/amd64`.
const char *tw_report_platform(const tw_report *report);

// How many packages there are.
size_t tw_report_package_count(const tw_report *report);

// The name of a package.
const char *tw_report_package_name(const tw_report *report, size_t index);

// The version of a package.
const char *tw_report_package_version(const tw_report *report, size_t index);

// The type of a package, as in package URLs.
const char *tw_report_package_type(const tw_report *report, size_t index);

// The package URL of a package.
const char *tw_report_package_purl(const tw_report *report, size_t index);

// The OSV ecosystem of a package, such as `Debian:12`; NULL where OSV has none.
const char *tw_report_package_ecosystem(const tw_report *report, size_t index);

// How many findings there are.
size_t tw_report_finding_count(const tw_report *report);

// The id of a finding: the CVE where there is exactly one.
const char *tw_report_finding_id(const tw_report *report, size_t index);

// The package URL of the package that a finding concerns.
const char *tw_report_finding_package(const tw_report *report, size_t index);

// The status of a finding: `affected` or `indeterminate`.
const char *tw_report_finding_status(const tw_report *report, size_t index);

// The rating of a finding: `critical`, `high`, `medium`, `low`, `negligible`, `none`, `unknown`.
const char *tw_report_finding_severity(const tw_report *report, size_t index);

// The nearest version in which a finding is fixed; NULL where there is none.
const char *tw_report_finding_fixed(const tw_report *report, size_t index);

// The CVSS score of a finding; negative where there is none.
double tw_report_finding_score(const tw_report *report, size_t index);

// How many problems there are: what could not be looked at.
size_t tw_report_problem_count(const tw_report *report);

// The kind of a problem, such as `limit-exceeded`.
const char *tw_report_problem_kind(const tw_report *report, size_t index);

// One line that says what a problem is.
const char *tw_report_problem_message(const tw_report *report, size_t index);

// The file of a problem; NULL where it concerns the image.
const char *tw_report_problem_path(const tw_report *report, size_t index);

// Writes the report to a file; `format` is `json`, `table`, or NULL for what the end of `path` says.
tw_status tw_report_write(const tw_report *report, const char *format, const char *path, tw_error **error);

// Frees a report and those behind it. NULL is fine; those that tw_report_next returned are not freed on their own.
void tw_report_free(tw_report *report);

// Frees a text that a function gave away. NULL is fine.
void tw_string_free(char *string);

// The version of the library, such as `0.1.0`.
const char *tw_version(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* TIDEWAITER_H */
