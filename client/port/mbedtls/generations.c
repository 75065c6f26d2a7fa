#include "client/port/mbedtls/generations.h"

#include <time.h>

void hf_generations_init(struct hf_generations *generations, struct hf_anchors *first_take)
{
    atomic_init(&generations->current, 0);
    for (size_t i = 0; i < 2; i++) {
        atomic_init(&generations->slots[i].readers, 0);
        generations->slots[i].anchors = i == 0 ? first_take : NULL;
    }
}

void hf_generations_free(struct hf_generations *generations)
{
    for (size_t i = 0; i < 2; i++) {
        hf_anchors_free(generations->slots[i].anchors);
        generations->slots[i].anchors = NULL;
    }
}

const struct hf_anchors *hf_generations_pin(struct hf_generations *generations, unsigned *pin)
{
    for (;;) {
        unsigned slot = atomic_load(&generations->current);
        atomic_fetch_add(&generations->slots[slot].readers, 1);
        if (atomic_load(&generations->current) == slot) {
            *pin = slot;
            return generations->slots[slot].anchors;
        }
        atomic_fetch_sub(&generations->slots[slot].readers, 1); /* swapped in between: once more */
    }
}

void hf_generations_unpin(struct hf_generations *generations, unsigned pin)
{
    atomic_fetch_sub(&generations->slots[pin].readers, 1);
}

void hf_generations_swap_take(struct hf_generations *generations, struct hf_anchors *next)
{
    const struct timespec pause = {.tv_nsec = 100000};
    unsigned old = atomic_load(&generations->current);
    unsigned new = 1 - old;
    /* Empty since the last swap, and a late reader does not look into it before it is current. */
    generations->slots[new].anchors = next;
    atomic_store(&generations->current, new);
    /* A reader stays for the parsing of a few certificates. Sleeping, not spinning: it may be a
     * thread of lower priority on the same core. */
    while (atomic_load(&generations->slots[old].readers) != 0)
        (void)nanosleep(&pause, NULL);
    hf_anchors_free(generations->slots[old].anchors);
    generations->slots[old].anchors = NULL;
}
