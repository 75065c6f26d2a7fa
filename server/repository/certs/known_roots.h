/*
 * Roots that people have looked at: fingerprints, and the days from which root programs plan to
 * accept nothing newly issued under them. The tables of deploy/roots are compiled in, each a set of
 * its file's name; a publisher with CAs of their own brings more in the same form.
 */
#ifndef HF_REPOSITORY_KNOWN_ROOTS_H
#define HF_REPOSITORY_KNOWN_ROOTS_H

#include "common/bundle/anchor_end.h"
#include "common/bundle/bundle.h"
#include "common/bundle/cert.h"

struct hf_known_root {
    char set[HF_SET_NAME_MAX + 1]; /* the table's name: "amazon" */
    char name[HF_DN_TEXT_MAX];     /* as its owner calls it */
    uint8_t sha256[HF_SHA256_LEN];
    uint8_t spki_sha256[HF_SHA256_LEN];
    int64_t not_after_s;
    int64_t distrust_s; /* its last good second; HF_TIME_NONE where no plan is known */
    bool is_removed; /* no root program trusts it: only its date counts, and nothing chooses it */
};

/* Older tables may lack the newest roots and dates of distrust: root programs change some each
 * quarter. */
#define HF_KNOWN_ROOTS_OLD_DAYS 182

struct hf_known_roots {
    struct hf_known_root *items;
    size_t n_items;
    int64_t as_of_s;                  /* of the oldest table that says so; HF_TIME_NONE */
    char oldest[HF_SET_NAME_MAX + 1]; /* that table */
};

/** A table as text, as deploy/roots is compiled in. */
struct hf_known_table {
    const char *name;
    const char *text;
};
extern const struct hf_known_table hf_known_tables[];
extern const size_t hf_known_tables_len;

/**
 * The tables that are compiled in, and those of `files` (NULL-terminated or NULL). I/O: reads them.
 * HF_E_FORMAT with file and line; HF_E_NOT_FOUND. hf_known_roots_free `out`.
 */
HF_MUST_USE enum hf_err hf_known_roots_load(const char *const *files, struct hf_known_roots *out,
                                            struct hf_why *why);
void hf_known_roots_free(struct hf_known_roots *known);

/** By key: a cross-signed certificate of the same key is known too. `set` names one table; NULL:
 *  any. NULL where the key is in no table, or in one as removed only. */
const struct hf_known_root *hf_known_roots_find(const struct hf_known_roots *known, const char *set,
                                                const struct hf_cert *cert);

/** The earliest date that any table has for that key, planned or past; HF_TIME_NONE. */
int64_t hf_known_roots_distrust_s(const struct hf_known_roots *known, const struct hf_cert *cert);

/** Is the oldest table older than half a year at `now_s`? */
bool hf_known_roots_is_old(const struct hf_known_roots *known, int64_t now_s);

/** Does a set of this name use that table? "amazon-iot" uses "amazon", and so does "amazon". */
bool hf_known_roots_is_table_of(const char *table, const char *set);

bool hf_known_roots_has_set(const struct hf_known_roots *known, const char *set);

/* The day on which an anchor stops to be enough, as far as is known. No I/O. */

/* The fleet's lead time: how long the last device may need to install a new root. */
#define HF_LEAD_DAYS_DEFAULT 365
#define HF_LEAD_DAYS_MAX 36500

/** With the dates that root programs plan. */
struct hf_anchor_end hf_anchor_end(const struct hf_anchor *anchor,
                                   const struct hf_known_roots *known);

/** The day of distrust, signed or planned, whichever is earlier; HF_TIME_NONE. */
int64_t hf_anchor_distrust_s(const struct hf_anchor *anchor, const struct hf_known_roots *known);

#endif
