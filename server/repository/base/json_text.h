/* Values that several reports write into JSON; NULL when memory ran out, as json_… are. */
#ifndef HF_REPOSITORY_JSON_TEXT_H
#define HF_REPOSITORY_JSON_TEXT_H

#include "common/base/digest.h"
#include "common/bundle/bundle.h"

#include <jansson.h>
#include <stdio.h>

/** "YYYY-MM-DDTHH:MM:SSZ", or null for HF_TIME_NONE. */
json_t *hf_json_time(int64_t time_s);
/** 64 hexadecimal digits. */
json_t *hf_json_sha256(const uint8_t sha256[HF_SHA256_LEN]);

/** Text of others, such as a path, which JSON takes only as UTF-8: what is none becomes '?'. */
json_t *hf_json_plain(const char *text);

/** subject, sha256, spki_sha256, expires, distrust_after, remove_after. */
json_t *hf_json_anchor(const struct hf_anchor *anchor);

/** A list of the certificates that are not supported here: subject, sha256, spki_sha256, unsupported. */
json_t *hf_json_skipped(const struct hf_bundle *bundle);

/** `list` with `value` at its end; both are taken, and NULL is what comes of a NULL. */
json_t *hf_json_append_take(json_t *list, json_t *value);

/** Print and let go of `object`, which may be NULL: HF_E_MEMORY. ASCII only: names of others are in
 *  it, and a terminal may be what it is printed on. */
HF_MUST_USE enum hf_err hf_json_print_take(json_t *object, FILE *out, struct hf_why *why);

#endif
