/* Keys told of by key inspect, and by what makes or changes one: in words or as data
 * (schema/key-report.schema.json). */
#ifndef HF_PUBLISH_KEY_REPORT_H
#define HF_PUBLISH_KEY_REPORT_H

#include "server/repository/keys/key_file.h"

#include <stdio.h>

/** What is told of one key. Borrowed. */
struct hf_key_about {
    const char *key;  /* the file, or the URI */
    const char *kind; /* "sealed", "open", "reference", "token", "public" */
    const char *key_id;
    const json_t *public_key;
    const char *uri;          /* NULL: in no token */
    const struct hf_kdf *kdf; /* NULL: not sealed */
};

/** Borrows from `file`. */
struct hf_key_about hf_key_about_file(const struct hf_key_file *file);

void hf_key_about_print(const struct hf_key_about *about, FILE *out);

/** Add it to `keys`, an array. HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_key_about_append(const struct hf_key_about *about, json_t *keys,
                                            struct hf_why *why);

/** Print the report of `keys`, which may be NULL: HF_E_MEMORY; the reference is taken. */
HF_MUST_USE enum hf_err hf_key_report_print_take(json_t *keys, struct hf_why *why);

#endif
