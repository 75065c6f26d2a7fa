#include "server/api/meter.h"

#include <sodium.h>
#include <string.h>

#define NEIGHBOURS 8u /* cells in which a sender is looked for */

_Static_assert(sizeof((struct hf_meter *)0)->key == crypto_shorthash_KEYBYTES, "a key of SipHash");

void hf_meter_init(struct hf_meter *meter)
{
    memset(meter, 0, sizeof *meter);
    crypto_shorthash_keygen(meter->key);
}

/* That of the sender, or the one among its neighbours that has been idle for longest. */
static struct hf_meter_cell *find(struct hf_meter *meter, uint64_t sender)
{
    struct hf_meter_cell *idle = NULL;

    for (unsigned i = 0; i < NEIGHBOURS; i++) {
        struct hf_meter_cell *cell = &meter->cells[(sender + i) % HF_API_METER_CELLS];
        if (cell->sender == sender)
            return cell;
        if (idle == NULL || cell->full_ms < idle->full_ms)
            idle = cell;
    }
    *idle = (struct hf_meter_cell){.sender = sender};
    return idle;
}

uint64_t hf_meter_take(struct hf_meter *meter, struct hf_bytes sender,
                       const struct hf_meter_rate *rate, uint64_t now_ms)
{
    uint8_t hash[crypto_shorthash_BYTES];
    uint64_t name;

    (void)crypto_shorthash(hash, sender.data, sender.len, meter->key);
    memcpy(&name, hash, sizeof name);
    struct hf_meter_cell *cell = find(meter, name);
    uint64_t full_ms = cell->full_ms > now_ms ? cell->full_ms : now_ms;
    uint64_t limit_ms = now_ms + rate->every_ms * rate->burst;
    if (full_ms + rate->every_ms > limit_ms)
        return full_ms + rate->every_ms - limit_ms;
    cell->full_ms = full_ms + rate->every_ms;
    return 0;
}
