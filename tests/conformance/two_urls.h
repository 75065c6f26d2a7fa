/*
 * A transport port for a repository whose metadata and targets have an address each. The core knows
 * one, REPOSITORY_URL, with metadata/ and targets/ below it; here the two are told apart again, and
 * the device's own HTTP transport does the rest.
 */
#ifndef HF_TESTS_CONFORMANCE_TWO_URLS_H
#define HF_TESTS_CONFORMANCE_TWO_URLS_H

#include <holdfast/port.h>

#define REPOSITORY_URL "http://repository.invalid" /* never asked for */

struct two_urls {
    const char *metadata_url; /* borrowed; NULL: not asked for */
    const char *targets_url;
    struct hf_transport_port http;
};

struct hf_transport_port two_urls_port(struct two_urls *urls);

#endif
