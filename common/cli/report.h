/*
 * Reports: what a command found, as JSON for scripts and as text for people. One table of fields
 * says what a record holds, where each value is, and what it is called in both. Single values and
 * arrays of them are in common/json/json.h.
 *
 *     static const struct hf_field key_fields[] = {
 *         {"key_id", HF_FIELD_TEXT, offsetof(struct key, id), .column = 1, .head = "key"},
 *         {"expires", HF_FIELD_TIME, offsetof(struct key, expires_s), .is_optional = true},
 *         {"signed", HF_FIELD_FLAG, offsetof(struct key, has_signed)},
 *         {0},
 *     };
 *     static const struct hf_field report_fields[] = {
 *         {"keys", HF_FIELD_LIST, offsetof(struct report, keys), .fields = key_fields,
 *          .n_at = offsetof(struct report, n_keys), .size = sizeof(struct key)},
 *         {0},
 *     };
 *     return hf_report_print(report_fields, &report, NULL, stdout, why);
 */
#ifndef HF_CLI_REPORT_H
#define HF_CLI_REPORT_H

#include "common/base/timetext.h"
#include "common/bundle/bundle.h"
#include "common/json/json.h"

#include <stdio.h>

enum hf_field_kind {
    HF_FIELDS_END = 0,
    HF_FIELD_TEXT,   /* const char *; null for NULL */
    HF_FIELD_CHARS,  /* char[] */
    HF_FIELD_WORDS,  /* char[] that may be no UTF-8; null when it is empty */
    HF_FIELD_PLAIN,  /* const char * that may be no UTF-8, such as a path; null for NULL */
    HF_FIELD_NUMBER, /* int64_t */
    HF_FIELD_INT,
    HF_FIELD_COUNT,  /* size_t */
    HF_FIELD_ENUM,   /* an enum, as its text in `names` */
    HF_FIELD_FLAG,   /* bool */
    HF_FIELD_TIME,   /* int64_t, seconds since 1970; null for HF_TIME_NONE */
    HF_FIELD_SHA256, /* uint8_t[HF_SHA256_LEN] */
    HF_FIELD_JSON,   /* json_t *, borrowed; null for NULL */
    HF_FIELD_MADE,   /* what `make` makes of it; NULL when memory is short */

    /* Records in this record, described by `fields`. */
    HF_FIELD_RECORD,    /* as an object */
    HF_FIELD_RECORD_IF, /* the same; null unless the bool at `n_at` is set */
    HF_FIELD_POINTER,   /* a pointer to a record, as an object; null for NULL */
    HF_FIELD_INCLUDE,   /* its members stand among those of this record; `key` is NULL */

    /* Arrays. How many there are is a size_t at `n_at`. */
    HF_FIELD_LIST,   /* a pointer to records of `fields`, `size` bytes each */
    HF_FIELD_TEXTS,  /* const char ** */
    HF_FIELD_HASHES, /* uint8_t (*)[HF_SHA256_LEN] */
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
    const char *const *names;
    bool is_optional; /* left out of JSON instead of null */
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

/** A table of an array of objects: a column for each member named in `columns` (NULL at the end),
 *  which is its head too; what is missing or null is "-". Bytes of others that steer a terminal
 *  become '?'. HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_report_json_table(const char *const *columns, const json_t *list,
                                             FILE *out, struct hf_why *why);

/** The members of `object` named in `columns`, a line each, in the same words. HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_report_json_members(const char *const *columns, const json_t *object,
                                               FILE *out, struct hf_why *why);

/** The whole report of a command: `"format": 1`, then the members of `record`. HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_report_print(const struct hf_field *fields, const void *record,
                                        const void *ctx, FILE *out, struct hf_why *why);

/** Print and release `object`, which may be NULL: HF_E_MEMORY. ASCII only: names of others are in
 *  it, and a terminal may be what it is printed on. What could not be written shows in ferror. */
HF_MUST_USE enum hf_err hf_json_print_take(json_t *object, FILE *out, struct hf_why *why);

/* Records that several programs report. */
extern const struct hf_field hf_anchor_fields[];      /* struct hf_anchor: names, hashes, dates */
extern const struct hf_field hf_anchor_use_fields[];  /* the same, and its use */
extern const struct hf_field hf_unsupported_fields[]; /* struct hf_unsupported_cert */

/** hf_anchor_use_fields of all certificates of a bundle. */
json_t *hf_json_anchors(const struct hf_bundle *bundle);
/** A list of the certificates that are not supported here. */
json_t *hf_json_skipped(const struct hf_bundle *bundle);

#endif
