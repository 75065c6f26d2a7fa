/*
 * Which generation is in force. Readers never wait, not even for a swap; a writer waits for the
 * readers of the generation that it takes away.
 *
 * Two slots. A reader announces itself in the slot that is current and looks again whether it still
 * is: if so, the writer will see the announcement before it frees anything, if not, the reader
 * steps back and has not looked into the slot. All operations are sequentially consistent, because
 * each side writes one variable and then reads the other's.
 */
#ifndef HF_CLIENT_PORT_MBEDTLS_LIVE_H
#define HF_CLIENT_PORT_MBEDTLS_LIVE_H

#include "client/port/mbedtls/generation.h"

#include <stdatomic.h>

struct hf_live {
    _Atomic unsigned current; /* 0 or 1 */
    struct {
        _Atomic unsigned readers;
        struct hf_generation *generation; /* NULL in the slot that is not current */
    } slots[2];
};

void hf_live_init(struct hf_live *live, struct hf_generation *first_take);
void hf_live_free(struct hf_live *live);

/** The generation in force, borrowed until hf_live_unpin(live, *pin). Keep it short: a swap waits. */
const struct hf_generation *hf_live_pin(struct hf_live *live, unsigned *pin);
void hf_live_unpin(struct hf_live *live, unsigned pin);

/** Put `next` in force and free the one before it. One caller at a time. */
void hf_live_publish_take(struct hf_live *live, struct hf_generation *next);

#endif
