/*
 * How often a sender may do something: so many at once, then one in each interval. Of bounded
 * memory, however many senders there are; one that was not active for a while is forgotten. No I/O.
 */
#ifndef HF_API_METER_H
#define HF_API_METER_H

#include "server/api/limits.h"

#include <holdfast/bytes.h>

struct hf_meter {
    /* Secret, so that an attacker cannot choose whose cell is shared. */
    uint8_t key[16];
    struct hf_meter_cell {
        uint64_t sender;  /* its hash */
        uint64_t full_ms; /* until then its past requests count; a past time: it is as new */
    } cells[HF_API_METER_CELLS];
};

struct hf_meter_rate {
    uint64_t every_ms;
    uint64_t burst; /* so many at once */
};

void hf_meter_init(struct hf_meter *meter);

/** One more by `sender`, any bytes, at `now_ms`. 0: it may; otherwise the milliseconds that it has
 *  to wait, and nothing was counted. */
uint64_t hf_meter_take(struct hf_meter *meter, struct hf_bytes sender,
                       const struct hf_meter_rate *rate, uint64_t now_ms);

#endif
