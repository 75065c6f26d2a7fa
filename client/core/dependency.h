/*
 * Which trust anchors each endpoint depends on, and until when they serve it. The schedule, the
 * warnings of the status and `holdfast simulate` share this.
 */
#ifndef HF_CLIENT_CORE_DEPENDENCY_H
#define HF_CLIENT_CORE_DEPENDENCY_H

#include "client/core/client_internal.h"

/* One chain that a server shows. Any one of the keys, in an anchor that may be used, is enough. */
struct hf_dependency {
    const char *endpoint;      /* borrowed; NULL: no endpoint, any server under this root */
    enum hf_key_type key_type; /* of the server; with an endpoint */
    const uint8_t (*keys)[HF_SHA256_LEN]; /* SPKI; borrowed */
    size_t n_keys;
    int64_t leaf_not_before_s; /* HF_TIME_NONE if no leaf was seen */
    int64_t leaf_not_after_s;
    const struct hf_loss *loss; /* borrowed; NULL if it is not known whether it is lost */
    /* Borrowed; has the certificates of the keys that validated it. NULL: no chain was seen */
    const struct hf_bundle *observed;
    /* Borrowed; why no anchor validates what a probe showed. NULL: one does, or the bundle has no
     * root of it */
    const char *refusal;
};

struct hf_probed {
    struct hf_endpoint_memory memory;
    char refusal[HF_WHY_MAX];
};

struct hf_dependencies {
    struct hf_dependency *items;
    size_t n;
    struct hf_probed *probed; /* what the items of a probe point into */
    size_t n_unseen;          /* endpoints that no chain is known of */
    /* Endpoints that are refused. Borrowed. */
    struct hf_refused_endpoint {
        const char *name;
        const struct hf_refusal *refusal;
    } refused[HF_ENDPOINTS_MAX];
    size_t n_refused;
};

/**
 * What the device's endpoints showed, under anchors of `active`, and, if there is none or one was
 * never seen, every key of `bundle` by itself, because it is unknown which servers use it. `c`
 * NULL: a device that nothing is known of. HF_E_MEMORY. Borrows from both bundles, from the state
 * and from the names of the endpoint port.
 */
HF_MUST_USE enum hf_err hf_dependencies_make(struct hf_client *c, const struct hf_bundle *active,
                                             const struct hf_bundle *bundle,
                                             struct hf_dependencies *out, struct hf_why *why);

/** What the port's first server shows now, to offers of either type of key. HF_E_NETWORK if it
 *  shows nothing, with the reason; or a fault of this device's own. Borrows from `port`. */
HF_MUST_USE enum hf_err hf_dependencies_probe(const struct hf_endpoint_port *port,
                                              const struct hf_bundle *bundle,
                                              struct hf_dependencies *out, struct hf_why *why);
void hf_dependencies_free(struct hf_dependencies *dependencies);

/** What an endpoint of that name is known to show. Borrows both. */
struct hf_dependency hf_dependency_of(const char *endpoint, enum hf_key_type type,
                                      const struct hf_endpoint_memory *memory);

/** "mqtts://HOST:8883 (RSA)", "any server under CN=Root". */
void hf_dependency_text(const struct hf_dependency *d, const struct hf_bundle *bundle, char *out,
                        size_t cap);

bool hf_dependency_has(const struct hf_dependency *d, const struct hf_anchor *anchor);

/** Of an anchor that hf_dependency_has, what may not allow the chain that was seen:
 *  hf_words_new_limit. */
const char *hf_dependency_new_limit(const struct hf_dependency *d, const struct hf_anchor *anchor);

/*
 * A server's leaf and intermediates are assumed to be renewed under the same roots. So an anchor
 * with a distrust_after serves surely until that day, and perhaps as long as a leaf lasts that was
 * issued on it. If no leaf was seen, distrust_after is ignored: it is not known which servers it
 * affects. Of an endpoint the keys of its anchors are known and not its chain, so a certificate of
 * such a key with other limits serves perhaps. One that can validate no server does not serve.
 */
enum hf_hold {
    HF_HOLD_BROKEN = 0, /* no anchor serves */
    HF_HOLD_AT_RISK,    /* only perhaps */
    HF_HOLD_SURE,
};

/** `now_s`: when the leaf was seen. `without` NULL, or an anchor to ignore. */
enum hf_hold hf_dependency_at(const struct hf_dependency *d, const struct hf_bundle *bundle,
                              const struct hf_anchor *without, int64_t now_s, int64_t at_s);

/** The anchor that serves longest at that time; NULL if none does. */
const struct hf_anchor *hf_dependency_served_by(const struct hf_dependency *d,
                                                const struct hf_bundle *bundle, int64_t now_s,
                                                int64_t at_s);

enum hf_end {
    HF_END_MISSING = 0, /* the bundle has no such anchor */
    HF_END_REFUSED,     /* it has one that does not validate the chain, or is not valid yet */
    HF_END_UNPROVED,    /* it has one that perhaps does: hf_dependency_new_limit */
    HF_END_EXPIRY,
    HF_END_DISTRUST,
    HF_END_REMOVAL,
};

struct hf_breakage {
    enum hf_end end;
    const struct hf_anchor *anchor; /* the last one to end, or that is refused; NULL if not known */
    int64_t from_s;                 /* the first second in which it does not hold for sure */
    int64_t at_latest_s;            /* the first one in which it is broken */
};

/** What ends it, the first time at or after `now_s`. */
struct hf_breakage hf_dependency_foresee(const struct hf_dependency *d,
                                         const struct hf_bundle *bundle, int64_t now_s);

/** When the last anchor that serves at `now_s` ends, by expiry or removal (the last second);
 *  HF_TIME_NONE if none serves. */
int64_t hf_dependency_last_end(const struct hf_dependency *d, const struct hf_bundle *bundle,
                               int64_t now_s, const struct hf_anchor **last);

/** forecast.c: what the status warns of, warnings before notes, the soonest first. The caller frees
 *  `*out`. No I/O. HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_warnings_make(const struct hf_bundle *bundle,
                                         const struct hf_dependencies *dependencies, int64_t now_s,
                                         struct hf_warning **out, size_t *n_out,
                                         struct hf_why *why);

#endif
