/*
 * Which set of anchors is in force. Readers never wait, not even for a swap; a writer waits for the
 * readers of the set that it takes away.
 *
 * Two slots. A reader announces itself in the slot that is current and looks again whether it still
 * is: if so, the writer will see the announcement before it frees anything, if not, the reader
 * steps back and has not looked into the slot. All operations are sequentially consistent, because
 * each side writes one variable and then reads the other's.
 */
#ifndef HF_CLIENT_PORT_MBEDTLS_GENERATIONS_H
#define HF_CLIENT_PORT_MBEDTLS_GENERATIONS_H

#include "common/chain/anchors.h"

#include <stdatomic.h>

struct hf_generations {
    _Atomic unsigned current; /* 0 or 1 */
    struct {
        _Atomic unsigned readers;
        struct hf_anchors *anchors; /* NULL in the slot that is not current */
    } slots[2];
};

void hf_generations_init(struct hf_generations *generations, struct hf_anchors *first_take);
void hf_generations_free(struct hf_generations *generations);

/** The set in force, borrowed until hf_generations_unpin(…, *pin). Keep it short: a swap waits. */
const struct hf_anchors *hf_generations_pin(struct hf_generations *generations, unsigned *pin);
void hf_generations_unpin(struct hf_generations *generations, unsigned pin);

/** Put `next` in force and free the set before it. One caller at a time. */
void hf_generations_swap_take(struct hf_generations *generations, struct hf_anchors *next);

#endif
