/*
 * Who relies on which trust anchors, and until when that holds. What the schedule, the warnings of the
 * status and `holdfast simulate` have in common.
 *
 * reliance.c is pure: no I/O, no clock. outlook.c makes them from what is stored.
 */
#ifndef HF_CLIENT_CORE_RELIANCE_H
#define HF_CLIENT_CORE_RELIANCE_H

#include "client/core/endpoints.h"

/* One chain that a server shows. Any one of the keys, in an anchor that may be used, will do. */
struct hf_reliance {
    const char *endpoint;      /* borrowed; NULL: no endpoint, any server under this root */
    enum hf_key_type key_type; /* of the server; with an endpoint */
    const uint8_t (*keys)[HF_SHA256_LEN]; /* SPKI; borrowed */
    size_t n_keys;
    int64_t leaf_not_before_s; /* HF_TIME_NONE where no leaf was seen */
    int64_t leaf_not_after_s;
    const struct hf_loss *loss; /* borrowed; NULL where it is not known whether it is lost */
};

struct hf_reliances {
    struct hf_reliance *items;
    size_t n;
    struct hf_endpoint_memory *memories; /* what the items point into */
    struct hf_loss *losses;
    size_t n_unseen; /* endpoints that no chain is known of */
};

/**
 * What the device's endpoints showed and, where there is none or one was never seen, every key of
 * `bundle` by itself, since it is unknown which servers use it. HF_E_MEMORY. Borrows from `bundle` and from
 * the names of the endpoint port.
 */
HF_MUST_USE enum hf_err hf_reliances_load(struct hf_client *c, const struct hf_bundle *bundle,
                                          struct hf_reliances *out, struct hf_why *why);
/** The same for a device that nothing is known of: `c` is not needed. */
HF_MUST_USE enum hf_err hf_reliances_of_roots(const struct hf_bundle *bundle,
                                              struct hf_reliances *out, struct hf_why *why);

/** What that server shows now, to offers of either type of key. HF_E_NETWORK where it shows nothing,
 *  with the reason; or a fault of this device's own. Borrows from `port`. */
HF_MUST_USE enum hf_err hf_reliances_look(const struct hf_endpoint_port *port, size_t endpoint,
                                          const struct hf_bundle *bundle, struct hf_reliances *out,
                                          struct hf_why *why);
void hf_reliances_free(struct hf_reliances *reliances);

/** What an endpoint of that name is known to show. Borrows both. */
struct hf_reliance hf_reliance_of(const char *endpoint, enum hf_key_type type,
                                  const struct hf_endpoint_memory *memory);

/** "mqtts://HOST:8883 (RSA)", "any server under CN=Root". */
void hf_reliance_text(const struct hf_reliance *r, const struct hf_bundle *bundle, char *out,
                      size_t cap);

bool hf_reliance_has(const struct hf_reliance *r, const struct hf_anchor *anchor);

/*
 * A server's leaf and intermediates are assumed to be renewed under the same roots. So an anchor with a
 * distrust_after serves surely until that day, and perhaps as long as a leaf lasts that was issued on it.
 * Where no leaf was seen, distrust_after is left out of account: who knows what it does to whom.
 */
enum hf_hold {
    HF_HOLD_BROKEN = 0, /* no anchor serves */
    HF_HOLD_AT_RISK,    /* only for a leaf that was issued before a distrust_after */
    HF_HOLD_SURE,
};

/** `now_s`: when the leaf was looked at. `without` NULL, or an anchor to leave out of account. */
enum hf_hold hf_reliance_at(const struct hf_reliance *r, const struct hf_bundle *bundle,
                            const struct hf_anchor *without, int64_t now_s, int64_t at_s);

/** The anchor that serves longest at that time; NULL where none does. */
const struct hf_anchor *hf_reliance_served_by(const struct hf_reliance *r,
                                              const struct hf_bundle *bundle, int64_t now_s,
                                              int64_t at_s);

enum hf_end {
    HF_END_MISSING = 0, /* the bundle has no such anchor, or none that is valid already */
    HF_END_EXPIRY,
    HF_END_DISTRUST,
    HF_END_REMOVAL,
};

struct hf_breakage {
    enum hf_end end;
    const struct hf_anchor *anchor; /* the last one to go; NULL where it is missing */
    int64_t from_s;                 /* the first second in which it does not hold for sure */
    int64_t at_latest_s;            /* the first one in which it is broken */
};

/** What ends it, the first time at or after `from_s`. */
void hf_reliance_foresee(const struct hf_reliance *r, const struct hf_bundle *bundle, int64_t now_s,
                         int64_t from_s, struct hf_breakage *out);

/** When the last anchor that serves at `now_s` goes, by expiry or removal (the last second);
 *  HF_TIME_NONE where none serves. */
int64_t hf_reliance_last_end(const struct hf_reliance *r, const struct hf_bundle *bundle,
                             int64_t now_s, const struct hf_anchor **last);

/* ---- outlook.c ------------------------------------------------------------------------------- */

/** What the status warns of, warnings before notes, the soonest first. The caller frees `*out`. No I/O.
 *  HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_warnings_make(const struct hf_bundle *bundle,
                                         const struct hf_reliances *reliances, int64_t now_s,
                                         struct hf_warning **out, size_t *n_out,
                                         struct hf_why *why);

/* ---- status.c -------------------------------------------------------------------------------- */

/** The certificates of `bundle` that are not supported here. The caller frees `*out`. HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_skipped_describe(const struct hf_bundle *bundle,
                                            struct hf_skipped_status **out, size_t *n_out,
                                            struct hf_why *why);

#endif
