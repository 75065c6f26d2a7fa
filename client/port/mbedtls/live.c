#include "client/port/mbedtls/live.h"

#include <time.h>

void hf_live_init(struct hf_live *live, struct hf_generation *first_take)
{
    atomic_init(&live->current, 0);
    for (size_t i = 0; i < 2; i++) {
        atomic_init(&live->slots[i].readers, 0);
        live->slots[i].generation = NULL;
    }
    live->slots[0].generation = first_take;
}

void hf_live_free(struct hf_live *live)
{
    for (size_t i = 0; i < 2; i++) {
        hf_generation_free(live->slots[i].generation);
        live->slots[i].generation = NULL;
    }
}

const struct hf_generation *hf_live_pin(struct hf_live *live, unsigned *pin)
{
    for (;;) {
        unsigned slot = atomic_load(&live->current);
        atomic_fetch_add(&live->slots[slot].readers, 1);
        if (atomic_load(&live->current) == slot) {
            *pin = slot;
            return live->slots[slot].generation;
        }
        atomic_fetch_sub(&live->slots[slot].readers, 1); /* swapped in between: look again */
    }
}

void hf_live_unpin(struct hf_live *live, unsigned pin)
{
    atomic_fetch_sub(&live->slots[pin].readers, 1);
}

/* A reader stays for the parsing of a few certificates. Sleeping, not spinning: it may be a thread
 * of lower priority on the same core. */
static void wait_until_unread(_Atomic unsigned *readers)
{
    const struct timespec pause = {.tv_nsec = 100000};
    while (atomic_load(readers) != 0)
        (void)nanosleep(&pause, NULL);
}

void hf_live_publish_take(struct hf_live *live, struct hf_generation *next)
{
    unsigned old = atomic_load(&live->current);
    unsigned new = 1 - old;
    /* Empty since the last swap, and a late reader does not look into it before it is current. */
    live->slots[new].generation = next;
    atomic_store(&live->current, new);
    wait_until_unread(&live->slots[old].readers);
    hf_generation_free(live->slots[old].generation);
    live->slots[old].generation = NULL;
}
