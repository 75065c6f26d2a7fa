/*
 * The search for a path: from the server's certificate upwards, one issuer at a time, and back
 * where it does not go on. For verify.c only. No I/O.
 */
#ifndef HF_COMMON_CHAIN_PATH_H
#define HF_COMMON_CHAIN_PATH_H

#include "common/bundle/algorithms.h"
#include "common/chain/verify.h"

/* A signature that was checked: one certificate under one key. */
struct hf_checked {
    const struct hf_certificate *cert;
    struct hf_bytes spki;
    enum hf_signature result;
};

struct hf_path {
    const struct hf_certificate *certs[HF_VERIFY_PATH_MAX];
    size_t index[HF_VERIFY_PATH_MAX]; /* as in struct hf_verify_step */
    size_t n;
};

struct hf_search {
    const struct hf_certificate *sent; /* a certificate that is left aside has no `der.data` */
    size_t n_sent;
    const struct hf_anchor_sets *anchors;
    const struct hf_chain_context *context;
    int64_t issued_s; /* the server's certificate, for the dates on which anchors are distrusted */
    /* Only paths without a fault; otherwise the first one whose names and signatures fit, for the
     * sentence of a refusal. */
    bool is_strict;

    struct hf_path path, furthest;
    struct hf_certificate anchor_cert; /* at the end of `path`, when it has one */
    struct hf_trust_anchor anchor;
    struct hf_checked checked[HF_VERIFY_SIGNATURES_MAX];
    unsigned n_checked;
    unsigned n_steps, steps_left;
    unsigned constraints_left;
    bool is_at_limit;
    bool is_out_of_memory;
};

/** Search from `sent[0]`. True: `path` ends in an anchor; else `furthest` is the longest that was
 *  found. */
HF_MUST_USE bool hf_path_find(struct hf_search *s);

/** What is wrong with a certificate by itself: HF_FAULT_… of dates, purpose, extensions and
 *  algorithms, of those that count for one that is an anchor or not. Not of its own key. `s` may be
 *  NULL for an anchor. */
unsigned hf_path_own_faults(const struct hf_search *s, const struct hf_certificate *cert,
                            bool is_anchor);

/** What `issuer` says about the names of the first `n` certificates of `path`, which is below it.
 *  The worst verdict, and with `at` (NULL: not wanted) of which one. */
enum hf_constraint_verdict hf_path_check_names(struct hf_search *s,
                                               const struct hf_certificate *issuer,
                                               const struct hf_path *path, size_t n, size_t *at);

/** Do the policies of a path that ends in an anchor allow it? */
bool hf_path_check_policies(const struct hf_path *path);

#endif
