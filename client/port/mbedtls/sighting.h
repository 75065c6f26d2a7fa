/*
 * What a chain that an endpoint has proved says about sets of anchors: under which of them it
 * validates, and through which anchors. At the clock of hf_trust_store_set_clock. No I/O.
 */
#ifndef HF_CLIENT_PORT_MBEDTLS_SIGHTING_H
#define HF_CLIENT_PORT_MBEDTLS_SIGHTING_H

#include "client/port/mbedtls/chain_verdict.h"

/**
 * Fill `out`, and `is_valid` for each of the `n_sets`, from `chain`, whose first certificate's key
 * the server called `host` was shown to hold; the rest is taken to be proved as well. `store` is the caller's own, and holds anything after.
 *
 * HF_OK also where the chain cannot be read: then it is no proof. HF_E_MEMORY; as
 * hf_trust_store_swap.
 */
HF_MUST_USE enum hf_err hf_sighting_judge(struct hf_trust_store *store,
                                          const struct hf_chain *chain, const char *host,
                                          const struct hf_anchor_set *sets, size_t n_sets,
                                          bool *is_valid, struct hf_sighting *out,
                                          struct hf_why *why);

#endif
