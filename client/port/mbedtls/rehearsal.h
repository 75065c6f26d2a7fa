/*
 * What one thread sees of one store while it proves, in memory, that verification is on: an anchor
 * more than is there, made for the occasion, and a note of what the store was asked. No other thread
 * sees the anchor, and it is in no generation, so nothing has to be undone.
 */
#ifndef HF_CLIENT_PORT_MBEDTLS_REHEARSAL_H
#define HF_CLIENT_PORT_MBEDTLS_REHEARSAL_H

#include "client/port/mbedtls/generation.h"

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
