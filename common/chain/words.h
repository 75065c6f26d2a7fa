/*
 * What is wrong with a certificate of a chain, in words: which certificate, what about it, and what
 * it says instead. A person should not have to look up -0x2700. No I/O.
 */
#ifndef HF_COMMON_CHAIN_WORDS_H
#define HF_COMMON_CHAIN_WORDS_H

#include "common/chain/verify.h"

#define HF_NAMES_TEXT_MAX 384 /* bytes of a certificate's names as text; longer ones end in "…" */

/** The names of hosts that a certificate is for, as "a.example, *.b.example, 192.0.2.1"; with
 *  `has_common_names` its common names where it has no subjectAltName. */
void hf_words_names(const struct hf_certificate *cert, bool has_common_names,
                    char out[HF_NAMES_TEXT_MAX]);

/* What was judged, and the verdict on it. */
struct hf_judged {
    const struct hf_bytes *certs; /* as hf_verify had them */
    size_t n_certs;
    const struct hf_anchor_sets *anchors;
    const struct hf_chain_context *context;
    const struct hf_verdict *verdict;
};

/**
 * Append to `out` (a text of less than `cap` bytes) what is wrong with step `step` of the path,
 * each as "expired on 2025-10-19", joined by ", ". Nothing for a step without faults. What does not
 * fit is cut. An unknown issuer comes last, with what is known of the anchors that have its name in
 * brackets. `constraints_left` is for all steps together, and begins with
 * HF_VERIFY_CONSTRAINTS_MAX.
 */
void hf_words_step(const struct hf_judged *judged, size_t step, unsigned *constraints_left,
                   char *out, size_t cap);

/** Append the HF_FAULT_… that hf_verify_anchor found in `anchor`, as hf_words_step does. */
void hf_words_anchor(struct hf_bytes anchor, char *out, size_t cap);

/** What of `anchor` may not allow each chain that `old`, of the same key, allows: "its name
 *  constraints may not allow it"; dates do not count. NULL: nothing. `old` NULL: one of the same
 *  name without limits. */
const char *hf_words_new_limit(const struct hf_certificate *anchor,
                               const struct hf_certificate *old);

/** Is the issuer of the last certificate of the path neither among what was sent nor, by its name,
 *  among the anchors? With `must_be_usable` only anchors count that are usable and whose key
 *  identifier fits. */
HF_MUST_USE bool hf_words_lacks_anchor(const struct hf_judged *judged, bool must_be_usable);

/** Why a chain is not valid, for one sentence: `certificate 1 "CN=…": expired on …; …`. */
void hf_words_refusal(const struct hf_judged *judged, char out[HF_WHY_MAX]);

#endif
