/* Which anchors of a store have ended: needed to drop sessions, and to detect a store that is of no
 * more use. No I/O. */
#ifndef HF_CLIENT_PORT_MBEDTLS_TRUST_STORE_INTERNAL_H
#define HF_CLIENT_PORT_MBEDTLS_TRUST_STORE_INTERNAL_H

#include "client/port/mbedtls/generation.h"

#include <holdfast/trust_store.h>

/** When the last of its anchors expired or was removed, by the clock; INT64_MIN: none has. A
 *  verification at that time or before may rest on an anchor that is no longer usable. */
int64_t hf_trust_store_last_end(struct hf_trust_store *store);

/** Is any of its anchors usable, by the clock? */
bool hf_trust_store_has_usable(struct hf_trust_store *store);

/* A trust store made of a PEM file, without dates of its own: --server-ca, --ca. No I/O. */

/**
 * A new store with all certificates of `pem` as anchors that are supported. `skipped` (NULL: not
 * wanted) names the others, as hf_bundle_skipped_text. As hf_bundle_parse and
 * hf_policy_check_issuers, HF_E_MEMORY.
 */
HF_MUST_USE enum hf_err hf_trust_store_new_from_pem(struct hf_bytes pem,
                                                    struct hf_trust_store **out,
                                                    char skipped[HF_WHY_MAX], struct hf_why *why);

/* Was the application compiled with the Mbed TLS that this library is linked with? No I/O. */

/** HF_E_ARGUMENT with both sides' numbers. To be asked before anything of the application's Mbed TLS
 *  is touched: a struct of another layout would be written beside its members. */
HF_MUST_USE enum hf_err hf_abi_check(struct hf_trust_store_abi theirs, struct hf_why *why);

/*
 * What one thread sees of one store while it proves, in memory, that verification is on: an anchor
 * more than is there, made for the occasion, and a note of what the store was asked. No other thread
 * sees the anchor, and it is in no generation, so nothing has to be undone.
 */

struct hf_rehearsal {
    const struct hf_trust_store *store;
    const struct hf_generation *extra; /* NULL: nothing but the store's own anchors */
    bool was_asked;                    /* hf_trust_store_candidates was called */
    bool was_consulted;                /* hf_trust_store_verify was called for the leaf */
};

/** From now on until hf_rehearsal_end, on this thread. Not nested. */
void hf_rehearsal_begin(struct hf_rehearsal *rehearsal);
void hf_rehearsal_end(void);

/** The one that is under way on this thread for `store`; NULL, as nearly always: none. */
struct hf_rehearsal *hf_rehearsal_of(const struct hf_trust_store *store);

#endif
