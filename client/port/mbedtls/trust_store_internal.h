/* What the other ports and the agent need of the active trust store beyond its public functions. No
 * I/O. */
#ifndef HF_CLIENT_PORT_MBEDTLS_TRUST_STORE_INTERNAL_H
#define HF_CLIENT_PORT_MBEDTLS_TRUST_STORE_INTERNAL_H

#include "client/port/mbedtls/received.h"
#include "common/chain/chain.h"

#include <holdfast/trust_store.h>

/** When the last of its anchors expired or was removed, by the clock; INT64_MIN: none has. A
 *  verification at that time or before may rest on an anchor that is no longer usable. */
int64_t hf_trust_store_last_end(struct hf_trust_store *store);

/** Is any of its anchors usable, by the clock? */
bool hf_trust_store_has_usable(struct hf_trust_store *store);

/**
 * A new store with all certificates of `pem` as anchors that are supported, without dates of its
 * own: --server-ca, --ca. `skipped` (NULL: not wanted) names the others, as hf_bundle_skipped_text.
 * As hf_bundle_parse and hf_policy_check_issuers, HF_E_MEMORY.
 */
HF_MUST_USE enum hf_err hf_trust_store_new_from_pem(struct hf_bytes pem,
                                                    struct hf_trust_store **out,
                                                    char skipped[HF_WHY_MAX], struct hf_why *why);

/** Judge a chain that a server called `host` (NULL: any name) has shown, at `at_s` (INT64_MIN: at
 *  the clock). As hf_chain_judge. */
HF_MUST_USE enum hf_err hf_trust_store_judge(struct hf_trust_store *store,
                                             const struct hf_chain *chain, const char *host,
                                             int64_t at_s, struct hf_chain_verdict *out,
                                             struct hf_why *why);

/** Judge a list that Mbed TLS received, by the anchors of all `stores` together (at most
 *  HF_VERIFY_SETS_MAX), at the clock. As hf_received_judge. */
HF_MUST_USE enum hf_err hf_trust_stores_judge(struct hf_trust_store *const *stores, size_t n_stores,
                                              const mbedtls_x509_crt *list,
                                              struct hf_chain_context context, char *words,
                                              struct hf_received_verdict *out);

/**
 * What a chain that an endpoint has proved says about sets of anchors: fill `out`, and `is_valid`
 * for each of the `n_sets`, from `chain`, whose first certificate's key the server called `host`
 * was shown to hold; the rest is taken to be proved as well. At the clock.
 *
 * HF_OK also where the chain cannot be read: then it is no proof. HF_E_FORMAT for an anchor that
 * cannot be parsed, HF_E_MEMORY.
 */
HF_MUST_USE enum hf_err hf_chain_observe(const struct hf_chain *chain, const char *host,
                                         const struct hf_anchor_set *sets, size_t n_sets,
                                         bool *is_valid, struct hf_chain_observation *out,
                                         struct hf_why *why);

/** Was the application compiled with the Mbed TLS that this library is linked with? HF_E_ARGUMENT
 *  with both sides' numbers. To be asked before anything of the application's Mbed TLS is touched:
 *  a struct of another layout would be written beside its members. */
HF_MUST_USE enum hf_err hf_abi_check(struct hf_trust_store_abi theirs, struct hf_why *why);

/*
 * What one thread sees of one store while it proves, in memory, that verification is on: an anchor
 * more than is there, made for the occasion, and a note of what the store was asked. No other
 * thread sees the anchor, and it is in no generation, so nothing has to be undone.
 */
struct hf_self_test {
    const struct hf_trust_store *store;
    const struct hf_anchors *extra; /* NULL: nothing but the store's own anchors */
    bool was_asked;                 /* hf_trust_store_candidates was called */
    bool was_consulted;             /* hf_trust_store_verify was called for the leaf */
};

/** From now on on this thread; NULL ends it. */
void hf_self_test_set(struct hf_self_test *self_test);

#endif
