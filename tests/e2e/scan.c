/* Scans one image and prints the report as JSON. With milliseconds as the fourth argument, another thread cancels then.
 *
 * usage: scan CONFIG REFERENCE OPTIONS [MILLISECONDS]; the exit code is the status of the scan */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <tidewaiter.h>

struct alarm {
    tw_cancel *cancel;
    long milliseconds;
};

static void *cancel_later(void *argument) {
    const struct alarm *alarm = argument;
    struct timespec pause = {alarm->milliseconds / 1000, alarm->milliseconds % 1000 * 1000000};
    nanosleep(&pause, NULL);
    tw_cancel_cancel(alarm->cancel);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc < 4) return 64;
    tw_scanner *scanner = NULL;
    tw_report *report = NULL;
    tw_error *error = NULL;
    struct alarm alarm = {tw_cancel_new(), argc > 4 ? atol(argv[4]) : 0};
    pthread_t thread;
    if (argc > 4 && pthread_create(&thread, NULL, cancel_later, &alarm) != 0) return 65;

    tw_status status = tw_scanner_new(argv[1], &scanner, &error);
    if (status == TW_OK) status = tw_scanner_scan(scanner, argv[2], argv[3], NULL, NULL, alarm.cancel, &report, &error);
    if (status == TW_OK) {
        puts(tw_report_json(report));
    } else {
        const char *hint = tw_error_hint(error);
        fprintf(stderr, "%s\n  %s\n", tw_error_message(error), hint ? hint : "");
    }

    if (argc > 4) pthread_join(thread, NULL);
    tw_error_free(error);
    tw_report_free(report);
    tw_scanner_free(scanner);
    tw_cancel_free(alarm.cancel);
    return status;
}
