/* Scans one image and lists its findings.
 *
 *   cargo build --release -p tidewaiter-c && bindings/c/install --prefix "$HOME/.local"
 *   export PKG_CONFIG_PATH="$HOME/.local/lib/pkgconfig"
 *   cc examples/c/scan.c -o scan $(pkg-config --cflags --libs tidewaiter) -Wl,-rpath,"$HOME/.local/lib" && ./scan debian:12
 */

#include <stdio.h>
#include <string.h>

#include <tidewaiter.h>

/* Events are objects of JSON; a real program reads them with its JSON library. */
static int on_event(const char *event, void *user) {
    if (strstr(event, "\"layer-done\"")) fprintf(stderr, "%d layers\n", ++*(int *)user);
    return 0; /* anything else cancels the scan */
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s IMAGE\n", argv[0]);
        return 64;
    }
    tw_scanner *scanner = NULL;
    tw_report *report = NULL;
    tw_error *error = NULL;
    int layers = 0;

    /* NULL is all defaults: the user's advisory database and cache, the Docker configuration for credentials. */
    tw_status status = tw_scanner_new(NULL, &scanner, &error);
    if (status == TW_OK) status = tw_scanner_scan(scanner, argv[1], NULL, on_event, &layers, NULL, &report, &error);
    if (status == TW_OK) {
        for (size_t i = 0; i < tw_report_finding_count(report); i++) {
            const char *fixed = tw_report_finding_fixed(report, i);
            printf("%-10s %-20s %s -> %s\n", tw_report_finding_severity(report, i), tw_report_finding_id(report, i),
                   tw_report_finding_package(report, i), fixed ? fixed : "-");
        }
    } else {
        fprintf(stderr, "error: %s\n", tw_error_message(error));
        if (tw_error_hint(error)) fprintf(stderr, "hint: %s\n", tw_error_hint(error));
    }

    tw_error_free(error);
    tw_report_free(report);
    tw_scanner_free(scanner);
    return status == TW_OK ? 0 : 1;
}
