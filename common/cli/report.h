/*
 * Reports: what a command found, as JSON for scripts and as text for people. One table of fields says
 * what a record holds, where each value is, and what it is called in both.
 */
#ifndef HF_CLI_REPORT_H
#define HF_CLI_REPORT_H

#include "common/base/digest.h"
#include "common/bundle/bundle.h"

#include <jansson.h>
#include <stdio.h>

enum hf_field_kind {
    HF_FIELDS_END = 0,
    HF_FIELD_TEXT,   /* const char *; null for NULL */
    HF_FIELD_CHARS,  /* char[] */
    HF_FIELD_WORDS,  /* char[]; null when it is empty */
    HF_FIELD_NUMBER, /* int64_t */
    HF_FIELD_INT,
    HF_FIELD_COUNT,  /* size_t */
    HF_FIELD_FLAG,   /* bool */
    HF_FIELD_TIME,   /* int64_t, seconds since 1970; null for HF_TIME_NONE */
    HF_FIELD_SHA256, /* uint8_t[HF_SHA256_LEN] */
    HF_FIELD_RECORD, /* another record in this one, of `fields` */
    HF_FIELD_LIST,   /* a pointer to records of `fields`, `size` bytes each; how many is a size_t at
                        `n_at` */
    HF_FIELD_MADE,   /* what `make` makes of it; NULL when memory is short */
};

/* How text shows a time. */
enum hf_field_shown { HF_SHOWN_PLAIN = 0, HF_SHOWN_DAY, HF_SHOWN_LAST_DAY };

struct hf_field {
    const char *key; /* in JSON; NULL: only text has it */
    enum hf_field_kind kind;
    size_t at; /* in the record */
    json_t *(*make)(const void *at, const void *ctx);
    const struct hf_field *fields;
    size_t n_at;
    size_t size;
    int column;       /* of the text table, from 1; 0: only JSON has it */
    const char *head; /* of the column; NULL in all: a table without heads */
    enum hf_field_shown shown;
};

/** A record as an object; NULL when memory is short. `ctx` is for `make`. */
json_t *hf_report_object(const struct hf_field *fields, const void *record, const void *ctx);

/** `n` records of `size` bytes as an array. */
json_t *hf_report_list(const struct hf_field *fields, const void *records, size_t n, size_t size,
                       const void *ctx);

/** The same as lines of aligned columns, two spaces apart; each line begins with `indent` spaces.
 *  HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_report_table(const struct hf_field *fields, const void *records,
                                        size_t n, size_t size, const void *ctx, int indent,
                                        FILE *out, struct hf_why *why);

/** Print and release `object`, which may be NULL: HF_E_MEMORY. ASCII only: names of others are in
 *  it, and a terminal may be what it is printed on. */
HF_MUST_USE enum hf_err hf_json_print_take(json_t *object, FILE *out, struct hf_why *why);

/* ---- values ----------------------------------------------------------------------------------- */

/** "YYYY-MM-DDTHH:MM:SSZ", or null for HF_TIME_NONE. */
json_t *hf_json_time(int64_t time_s);
/** 64 hexadecimal digits. */
json_t *hf_json_sha256(const uint8_t sha256[HF_SHA256_LEN]);

/** Text of others, such as a path, which JSON takes only as UTF-8: what is none becomes '?'. */
json_t *hf_json_plain(const char *text);

/** `n` texts. */
json_t *hf_json_texts(const char *const *texts, size_t n);

/** subject, sha256, spki_sha256, expires, distrust_after, remove_after. */
json_t *hf_json_anchor(const struct hf_anchor *anchor);

/** The certificates of a bundle, each with its "use". */
json_t *hf_json_anchors(const struct hf_bundle *bundle);

/** A list of the certificates that are not supported here: subject, sha256, spki_sha256, unsupported. */
json_t *hf_json_skipped(const struct hf_bundle *bundle);

/** `list` with `value` at its end; both are taken, and NULL is what comes of a NULL. */
json_t *hf_json_append_take(json_t *list, json_t *value);

/** Whole days from `from_s` to `to_s`; negative when that is past. */
int64_t hf_days_between(int64_t from_s, int64_t to_s);

#endif
