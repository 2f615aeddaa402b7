/* Lists the images of a registry with their dates, and where each date comes from.
 *
 * usage: list REGISTRY [SELECTION], both JSON, such as
 *   list '{"url": "https://registry.example"}' '{"repositories": ["*-api"], "pushed": "last-7-days"}'
 *
 * Each image is a line of JSON. cc list.c $(pkg-config --cflags --libs tidewaiter) -o list */

#include <stdio.h>

#include <tidewaiter.h>

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: %s REGISTRY [SELECTION]\n", argv[0]);
        return 64;
    }
    tw_scanner *scanner = NULL;
    tw_listing *listing = NULL;
    tw_error *error = NULL;
    tw_status status = tw_scanner_new("{\"cache\": null, \"offline\": true}", &scanner, &error);
    if (status == TW_OK) status = tw_scanner_images(scanner, argv[1], argc > 2 ? argv[2] : NULL, &listing, &error);
    while (status == TW_OK) {
        char *image = NULL;
        status = tw_listing_next(listing, NULL, NULL, NULL, &image, &error);
        if (status != TW_OK || image == NULL) break;
        puts(image);
        tw_string_free(image);
    }
    if (status != TW_OK) {
        const char *hint = tw_error_hint(error);
        fprintf(stderr, "%s\n  %s\n", tw_error_message(error), hint ? hint : "");
    }
    tw_error_free(error);
    tw_listing_free(listing);
    tw_scanner_free(scanner);
    return status;
}
