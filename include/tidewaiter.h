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
// The events and their fields stand in docs/events.md.
typedef int (*tw_on_event)(const char *event, void *user);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The status that the call returned. TW_OK for NULL.
tw_status tw_error_status(const tw_error *error);

// The kind as a word, such as `not-found`; NULL for NULL.
const char *tw_error_kind(const tw_error *error);

// One line: what happened, where, and why; NULL for NULL. It holds no secret.
const char *tw_error_message(const tw_error *error);

// What to do next; NULL where nobody knows, and for NULL.
const char *tw_error_hint(const tw_error *error);

// How many seconds the registry asked to wait; negative where it did not ask, and for NULL.
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
// `{"advisories": FILE or DIR, "offline": false, "base_url": URL, "cache": DIR or null, "memory_mib": 64, "concurrency": N, "registries": FILE, "store": FILE or "postgres://...", "limits": {NAME: N}}`.
// The store is opened by the first call that needs it; null is `$TIDEWAITER_STORE`, else a file in the user's data folder.
tw_status tw_scanner_new(const char *config,
                         tw_scanner **scanner,
                         tw_error **error);

// Scans one image. `reference` is an image reference, `oci:DIR`, `oci-archive:FILE`, `docker-archive:FILE` or `sbom:FILE`. `options` is JSON, or NULL
// for all defaults: `{"credential": {...}, "registry": {...}, "plain_http": false, "platforms": ["linux/amd64"] or "all",
// "foreign_layers": false, "include_owned": false, "timeout": SECONDS}`. With several platforms the others follow with
// tw_report_next. Foreign layers are fetched in the way in which the registry is reached (proxy, authorities, time-outs), without its
// credential and its client certificate. `on_event` and `cancel` may be NULL.
tw_status tw_scanner_scan(const tw_scanner *scanner,
                          const char *reference,
                          const char *options,
                          tw_on_event on_event,
                          void *user,
                          const tw_cancel *cancel,
                          tw_report **report,
                          tw_error **error);

// Checks the connection to a registry step by step. `registry` is JSON, such as `{"url": "https://registry.example"}`, or `"NAME"` of one in
// the scanner's file of registries or in the store;
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
// or `{"kind": "harbor", "url": ..., "credential": {"basic": {...}}}`, or a text: an address (with a dot or a colon, or `localhost`) or
// the name of a saved registry. Without a kind it is the one that the address leaves no doubt about, else `docker`. `selection` is JSON, or NULL for all.
// Each line of the listing is `{"repository"}`. Free it with tw_listing_free.
tw_status tw_scanner_repositories(const tw_scanner *scanner,
                                  const char *registry,
                                  const char *selection,
                                  tw_listing **listing,
                                  tw_error **error);

// Lists the images of a registry that a selection chooses, repository by repository as each is complete. `selection` is JSON, or
// NULL for all: `{"repositories": ["team/*"], "exclude_repositories": [], "tags": ["v*"], "exclude_tags": [], "pushed": "last-7-days", ...}`.
// Each line is `{"repository", "digest", "tags", "media_type", "size", "date": {"time", "source"}, "verdict": "scan", "reason", "note",
// "reference"}`: `reference` is what tw_scanner_scan takes; `note` says what a date filter could not know (`by-build-date`, `no-date`), and
// is there only then. Free it with tw_listing_free.
tw_status tw_scanner_images(const tw_scanner *scanner,
                            const char *registry,
                            const char *selection,
                            tw_listing **listing,
                            tw_error **error);

// Lists all images of the repositories that a selection names, each with the fields of
// tw_scanner_images; `verdict` is `scan`, `rematch` or `skip`, `reason` a fixed word such as `new` or `date`. Free it with tw_listing_free.
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

// Saves a registry in the store. `request` is JSON: `{"name": NAME, "registry": {...}, "mode": "put" | "add" | "set", "check": true,
// "timeout": SECONDS}`. `add` refuses a name that is taken, `set` one that is not. Unless `check` is false the connection is checked
// first, and nothing is saved when that fails. A secret in plain text is refused: name where it is to be found. `json` gets what
// tw_registry_show gives; free it with tw_string_free.
tw_status tw_registry_put(const tw_scanner *scanner,
                          const char *request,
                          const tw_cancel *cancel,
                          char **json,
                          tw_error **error);

// Shows a registry of the scanner's file or of the store. `json` gets
// `{"name", "definition", "source": "store" | "file", "paused", "added"}`; free it with tw_string_free.
tw_status tw_registry_show(const tw_scanner *scanner,
                           const char *name,
                           const tw_cancel *cancel,
                           char **json,
                           tw_error **error);

// Lists the registries of the scanner's file and of the store. `json` gets an array of what tw_registry_show gives; free it with
// tw_string_free.
tw_status tw_registry_list(const tw_scanner *scanner,
                           const tw_cancel *cancel,
                           char **json,
                           tw_error **error);

// Removes registries from the store; what is known of their images stays. `request` is JSON: `{"names": [NAME, ...]}`. `json` gets
// `[{"name", "ok", "state", "error": {"kind", "message", "hint"} or null}, ...]`, one for each name; free it with tw_string_free.
tw_status tw_registry_remove(const tw_scanner *scanner,
                             const char *request,
                             const tw_cancel *cancel,
                             char **json,
                             tw_error **error);

// Pauses registries: none of their jobs is due until they are resumed. `request` is JSON: `{"names": [NAME, ...], "paused": true}`.
// `json` is as for tw_registry_remove.
tw_status tw_registry_pause(const tw_scanner *scanner,
                            const char *request,
                            const tw_cancel *cancel,
                            char **json,
                            tw_error **error);

// Saves a job in the store. `request` is JSON: `{"job": {"name": NAME, "registry": NAME, "selection": {...}, "schedule": {...} or
// null, "scan_all": false, "paused": false}, "registry": {...}, "mode": "put" | "add" | "set"}`; the schedule is as for
// tw_schedule_next, null is on demand; a job that does not say "paused" stays as it is. "registry" is the definition of a registry of
// its own, which is saved, without a check, under the name that the job gives it. `json` gets what tw_job_show gives, without its last two fields; free it with tw_string_free.
tw_status tw_job_put(const tw_scanner *scanner,
                     const char *request,
                     const tw_cancel *cancel,
                     char **json,
                     tw_error **error);

// Shows a job. `json` gets `{"job", "state", "run", "next", "began", "ended", "registry", "selection", "schedule", "scan_all", "paused",
// "registry_paused", "added", "error", "summary", "holds"}`: `state` is that of the latest run (null, `Queued`, `Running`, `Finished`, `Canceled`, `Error`), `summary` what came of
// it, `holds` who works on it. Free it with tw_string_free.
tw_status tw_job_show(const tw_scanner *scanner,
                      const char *name,
                      const tw_cancel *cancel,
                      char **json,
                      tw_error **error);

// Lists the jobs. `json` gets an array of what tw_job_show gives, without the last two fields; free it with tw_string_free.
tw_status tw_job_list(const tw_scanner *scanner,
                      const tw_cancel *cancel,
                      char **json,
                      tw_error **error);

// Pauses jobs: they are not due until they are resumed. `request` is JSON: `{"names": [NAME, ...], "paused": true}`. `json` is as for
// tw_registry_remove.
tw_status tw_job_pause(const tw_scanner *scanner,
                       const char *request,
                       const tw_cancel *cancel,
                       char **json,
                       tw_error **error);

// Cancels the live runs of jobs; what they finished is kept. `request` is JSON: `{"names": [NAME, ...]}`. `json` is as for
// tw_registry_remove.
tw_status tw_job_cancel(const tw_scanner *scanner,
                        const char *request,
                        const tw_cancel *cancel,
                        char **json,
                        tw_error **error);

// Deletes jobs that have no run going on; the inventory stays. `request` is JSON: `{"names": [NAME, ...]}`. `json` is as for tw_registry_remove.
tw_status tw_job_delete(const tw_scanner *scanner,
                        const char *request,
                        const tw_cancel *cancel,
                        char **json,
                        tw_error **error);

// Runs a job to its end. `request` is JSON: `{"job": NAME, "scan_all": false, "pull": false, "detach": false, "timeout": SECONDS}`; with
// `detach` the run waits for a worker. `json` gets `{"run", "job", "state", "listed", "selected", "scanned", "rematched", "skipped":
// {REASON: N}, "failed": [{"repository", "digest", "error"}], "incomplete", "unmatched", "waiting", "bytes_fetched", "layers_fetched", "layers_from_store",
// "findings": {RATING: N}, "new_findings", "fixed_findings", "error"}`; free it with tw_string_free. `error`, why the registry or parts of it
// could not be listed, is there only then. A run that is canceled meanwhile, also by `cancel` or after `timeout`,
// is TW_OK with the state `Canceled`: what was finished is kept. `on_event` and `cancel` may be NULL.
tw_status tw_job_run(const tw_scanner *scanner,
                     const char *request,
                     tw_on_event on_event,
                     void *user,
                     const tw_cancel *cancel,
                     char **json,
                     tw_error **error);

// Runs a job again: what is missing and what failed. `request` is JSON: `{"job": NAME, "detach": false, "timeout": SECONDS}`. The rest is as for tw_job_run.
tw_status tw_job_restart(const tw_scanner *scanner,
                         const char *request,
                         tw_on_event on_event,
                         void *user,
                         const tw_cancel *cancel,
                         char **json,
                         tw_error **error);

// Says of every image of the repositories that a job names what a run would do with it, and why; nothing is saved. The lines are
// those of tw_scanner_explain. Free the listing with tw_listing_free.
tw_status tw_job_explain(const tw_scanner *scanner,
                         const char *name,
                         tw_listing **listing,
                         tw_error **error);

// Lists the registry for a run that tw_job_run put into the queue with `detach`, and fills it with the images to look at. `json` gets the run:
// `{"run", "job", "registry", "state", "scan_all", "pull", "planned", "queued", "began", "ended", "error"}`; free it with
// tw_string_free. `on_event` and `cancel` may be NULL.
tw_status tw_run_plan(const tw_scanner *scanner,
                      int64_t run,
                      tw_on_event on_event,
                      void *user,
                      const tw_cancel *cancel,
                      char **json,
                      tw_error **error);

// Tells what came of a run so far. `json` is as for tw_job_run.
tw_status tw_run_summary(const tw_scanner *scanner,
                         int64_t run,
                         const tw_cancel *cancel,
                         char **json,
                         tw_error **error);

// Takes images of a planned run in hand for some time; after it others may take them, unless tw_items_renew is asked for more. `request` is JSON, or NULL:
// `{"run": N or null for any, "count": 1, "seconds": 60, "worker": NAME or null}`. `json` gets an array of items, each an object for
// tw_item_execute that holds no secret; free it with tw_string_free.
tw_status tw_items_lease(const tw_scanner *scanner,
                         const char *request,
                         const tw_cancel *cancel,
                         char **json,
                         tw_error **error);

// Keeps images in hand whose time would run out while they are looked at. `request` is JSON: `{"items": [ITEM, ...], "seconds": 60}`, with items as
// tw_items_lease gave them and the seconds from now on. `json` gets an array of truths, one for each item: whether it is still held. One that is
// not is committed, or was canceled, or somebody else has it, and its commit would be refused. Free it with tw_string_free.
tw_status tw_items_renew(const tw_scanner *scanner,
                         const char *request,
                         const tw_cancel *cancel,
                         char **json,
                         tw_error **error);

// Looks at one image, on any machine that reaches the registry; it needs no store, and doing it twice does no harm. `item` is one of those of
// tw_items_lease. `json` gets what came of it, also where the image cannot be scanned, for tw_item_commit; free it with tw_string_free.
// `on_event` and `cancel` may be NULL.
tw_status tw_item_execute(const tw_scanner *scanner,
                          const char *item,
                          tw_on_event on_event,
                          void *user,
                          const tw_cancel *cancel,
                          char **json,
                          tw_error **error);

// Puts into the store what tw_item_execute gave. `json` gets `"taken"`, or `"before"` where the image was committed already; free it with
// tw_string_free. An item whose lease somebody else has by now is refused. `on_event` and `cancel` may be NULL.
tw_status tw_item_commit(const tw_scanner *scanner,
                         const char *done,
                         tw_on_event on_event,
                         void *user,
                         const tw_cancel *cancel,
                         char **json,
                         tw_error **error);

// Works: runs the jobs that are due, and helps with the runs of others, until `cancel` ends it, which is TW_OK. `request` is JSON, or NULL:
// `{"name": NAME or null, "concurrency": N or null, "lease": 60, "once": false}`; with `once` it returns when nothing is left to do.
// What is finished is kept, what is in hand is given back. `on_event` and `cancel` may be NULL.
tw_status tw_work(const tw_scanner *scanner,
                  const char *request,
                  tw_on_event on_event,
                  void *user,
                  const tw_cancel *cancel,
                  tw_error **error);

// Lists who works on this store. `json` gets `[{"worker", "host", "process", "began", "seen", "alive", "holds": [{"run", "job", "repository",
// "digest", "since"}]}, ...]`; free it with tw_string_free.
tw_status tw_worker_list(const tw_scanner *scanner,
                         const tw_cancel *cancel,
                         char **json,
                         tw_error **error);

// Lists the images that were scanned. `filter` is JSON, or NULL for all: `{"registry": NAME, "repository": PATH, "severity": RATING,
// "advisory": ID, "package": NAME or package URL, "vulnerable": false}`. Each line is `{"registry", "repository", "digest", "tags",
// "scanned_at", "complete", "findings": {RATING: N}}`. Free the listing with tw_listing_free.
tw_status tw_inventory(const tw_scanner *scanner,
                       const char *filter,
                       tw_listing **listing,
                       tw_error **error);

// Counts what is known, a registry a line. `filter` is JSON, or NULL for all: `{"registry": NAME}`. `json` gets `[{"registry", "repositories",
// "tags", "images", "scanned", "failed", "incomplete", "vulnerable", "vulnerable_by_severity": {RATING: N}, "gone", "last_run", "next_run"}, ...]`;
// free it with tw_string_free.
tw_status tw_inventory_summary(const tw_scanner *scanner,
                               const char *filter,
                               const tw_cancel *cancel,
                               char **json,
                               tw_error **error);

// The stored reports of an image, a platform each; the others follow with tw_report_next. `reference` is `NAME/repository:tag` or
// `NAME/repository@sha256:...`, where NAME is a saved registry or its host. Free the first with tw_report_free. `cancel` may be NULL.
tw_status tw_inventory_reports(const tw_scanner *scanner,
                               const char *reference,
                               const tw_cancel *cancel,
                               tw_report **report,
                               tw_error **error);

// Lists what scans and matches changed, in the order of time. `filter` is JSON, or NULL for all: `{"registry": NAME, "since": TIME}`. Each line
// is `{"time", "run", "registry", "repository", "digest", "platform", "new": [{"id", "package", "rating"}], "fixed": [...]}`. Free the
// listing with tw_listing_free.
tw_status tw_inventory_changes(const tw_scanner *scanner,
                               const char *filter,
                               tw_listing **listing,
                               tw_error **error);

// Holds the stored packages against today's advisories, without asking a registry. `filter` is JSON, or NULL for all:
// `{"registry": NAME}`. `json` gets `{"images", "changed", "new", "fixed"}`; free it with tw_string_free. `on_event` and `cancel` may be NULL.
tw_status tw_inventory_rematch(const tw_scanner *scanner,
                               const char *filter,
                               tw_on_event on_event,
                               void *user,
                               const tw_cancel *cancel,
                               char **json,
                               tw_error **error);

// Describes the store. `json` gets `{"kind", "place", "bytes", "disk", "parts": [{"part", "rows", "bytes"}]}`; free it with tw_string_free.
tw_status tw_store_status(const tw_scanner *scanner,
                          const tw_cancel *cancel,
                          char **json,
                          tw_error **error);

// Removes from the store what no job needs any more: what a job has scanned and its registry still lists stays. `options` is JSON, or NULL:
// `{"older_than": DAYS}`; 0, the default, is all of it. `json` gets `{"reports", "layers", "images", "runs", "changes"}`: how many of each; free it
// with tw_string_free.
tw_status tw_store_prune(const tw_scanner *scanner,
                         const char *options,
                         const tw_cancel *cancel,
                         char **json,
                         tw_error **error);

// Reads the reports in a file, as a scan writes them in JSON (`tw_report_write` with `json`, or the command line): one, or several one
// behind another, which follow with tw_report_next. tw_report_write then writes them in any format.
tw_status tw_report_read(const char *path,
                         tw_report **report,
                         tw_error **error);

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

// Writes the report to a file; `format` is the name of a format, such as `json`, `cyclonedx` or `sarif`, or NULL for what the end of
// `path` says.
tw_status tw_report_write(const tw_report *report,
                          const char *format,
                          const char *path,
                          tw_error **error);

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
