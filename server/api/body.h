/*
 * Bodies of requests, read strictly: one JSON object whose members a table names. A member that is
 * not in the table, of another type or too long is refused by its name, so that a typo never goes
 * unnoticed. No I/O.
 */
#ifndef HF_API_BODY_H
#define HF_API_BODY_H

#include "common/json/json.h"

enum hf_body_kind {
    HF_BODY_END = 0,
    HF_BODY_TEXT,
    HF_BODY_TEXT_OR_NULL,
    HF_BODY_TEXTS, /* an array of at most HF_API_LISTED_MAX texts */
    HF_BODY_INTEGER,
    HF_BODY_TIME, /* "YYYY-MM-DDTHH:MM:SSZ" */
};

struct hf_body_field {
    const char *name;
    enum hf_body_kind kind;
    bool is_required;
    size_t max;  /* bytes of a text; 0: as long as the body may be */
    int64_t min; /* of an integer */
};

/**
 * Read `text` by `fields` (HF_BODY_END at the end; NULL: no body is allowed). `*out` is a new
 * reference, or NULL without a body. HF_E_FORMAT, HF_E_LIMIT, HF_E_ARGUMENT with the member's name,
 * HF_E_MEMORY.
 */
HF_MUST_USE enum hf_err hf_body_read(struct hf_bytes text, const struct hf_body_field *fields,
                                     json_t **out, struct hf_why *why);

/* Members of what was read: NULL, `none` or HF_TIME_NONE where they are not there (or null). */
const char *hf_body_text(const json_t *body, const char *name);
int64_t hf_body_integer(const json_t *body, const char *name, int64_t none);
int64_t hf_body_time(const json_t *body, const char *name);

#endif
