/* Looks after a registry: saves it with a job, runs the job, and lists what is in the inventory.
 *
 * usage: job CONFIG REGISTRY [SELECTION], all JSON, such as
 *   job '{"store": "inventory.db"}' '{"url": "https://registry.example"}' '{"repositories": ["*-api"], "pushed": "last-7-days"}'
 *
 * What came of the run is a line of JSON, and so is each image. A second run scans only what is new.
 * cc job.c $(pkg-config --cflags --libs tidewaiter) -o job */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tidewaiter.h>

/* Progress: an object of JSON. */
static int on_event(const char *event, void *user) {
    if (strstr(event, "\"image-committed\"") || strstr(event, "\"run-planned\"")) fprintf((FILE *)user, "%s\n", event);
    return 0; /* anything else cancels the run */
}

/* A text to be freed: `before`, JSON of the caller, `after`. */
static char *around(const char *before, const char *json, const char *after) {
    size_t size = strlen(before) + strlen(json) + strlen(after) + 1;
    char *text = malloc(size);
    if (text != NULL) snprintf(text, size, "%s%s%s", before, json, after);
    return text;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: %s CONFIG REGISTRY [SELECTION]\n", argv[0]);
        return 64;
    }
    tw_scanner *scanner = NULL;
    tw_listing *inventory = NULL;
    tw_error *error = NULL;
    char *saved = NULL, *job = NULL, *summary = NULL;
    char *put_registry = around("{\"name\": \"example\", \"registry\": ", argv[2], "}");
    char *put_job = around("{\"job\": {\"name\": \"nightly\", \"registry\": \"example\", \"schedule\": {\"every\": 1, \"at\": \"02:30\"}, \"selection\": ",
                           argc > 3 ? argv[3] : "{}", "}}");

    tw_status status = put_registry && put_job ? TW_OK : TW_INTERNAL;
    if (status == TW_OK) status = tw_scanner_new(argv[1], &scanner, &error);
    /* Saved only when the connection holds. */
    if (status == TW_OK) status = tw_registry_put(scanner, put_registry, NULL, &saved, &error);
    if (status == TW_OK) status = tw_job_put(scanner, put_job, NULL, &job, &error);
    /* Now, and not at 02:30: that would be tw_work. */
    if (status == TW_OK) status = tw_job_run(scanner, "{\"job\": \"nightly\"}", on_event, stderr, NULL, &summary, &error);
    if (status == TW_OK) puts(summary);
    if (status == TW_OK) status = tw_inventory(scanner, "{\"registry\": \"example\"}", &inventory, &error);
    while (status == TW_OK) {
        char *image = NULL;
        status = tw_listing_next(inventory, NULL, NULL, NULL, &image, &error);
        if (status != TW_OK || image == NULL) break;
        puts(image);
        tw_string_free(image);
    }
    if (status != TW_OK && error != NULL) {
        const char *hint = tw_error_hint(error);
        fprintf(stderr, "%s\n  %s\n", tw_error_message(error), hint ? hint : "");
    }

    free(put_registry);
    free(put_job);
    tw_string_free(saved);
    tw_string_free(job);
    tw_string_free(summary);
    tw_error_free(error);
    tw_listing_free(inventory);
    tw_scanner_free(scanner);
    return status;
}
