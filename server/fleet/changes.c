#include "server/fleet/changes.h"

#include "server/fleet/limits.h"

#include <stdlib.h>
#include <uv.h>

struct hf_device_changes {
    uv_mutex_t mutex; /* over all that follows */
    size_t first, n;
    bool are_lost;
    int64_t ids[HF_FLEET_CHANGES_MAX]; /* a ring */
};

enum hf_err hf_device_changes_new(struct hf_device_changes **out, struct hf_why *why)
{
    struct hf_device_changes *changes = calloc(1, sizeof *changes);

    if (changes == NULL || uv_mutex_init(&changes->mutex) != 0) {
        free(changes);
        return hf_fail(why, HF_E_MEMORY, "no memory for the changes of devices");
    }
    changes->are_lost = true;
    *out = changes;
    return HF_OK;
}

void hf_device_changes_free(struct hf_device_changes *changes)
{
    if (changes == NULL)
        return;
    uv_mutex_destroy(&changes->mutex);
    free(changes);
}

/* One that was added just before is not added again: the reports of one request, a certificate and
 * its device. */
static void add(struct hf_device_changes *changes, int64_t id)
{
    const size_t last = (changes->first + changes->n - 1) % HF_FLEET_CHANGES_MAX;

    if (changes->n > 0 && changes->ids[last] == id)
        return;
    if (id == 0 || changes->n == HF_FLEET_CHANGES_MAX) {
        changes->are_lost = true;
        changes->n = 0;
        return;
    }
    changes->ids[(changes->first + changes->n++) % HF_FLEET_CHANGES_MAX] = id;
}

void hf_device_changes_add(struct hf_device_changes *changes, const struct hf_effects *effects)
{
    uv_mutex_lock(&changes->mutex);
    for (size_t i = 0; i < effects->n && !changes->are_lost; i++)
        if (effects->list[i].kind == HF_EFFECT_DEVICE || effects->list[i].device_id != 0)
            add(changes, effects->list[i].device_id);
    uv_mutex_unlock(&changes->mutex);
}

size_t hf_device_changes_take(struct hf_device_changes *changes, int64_t *ids, size_t cap,
                              bool *are_lost)
{
    size_t n = 0;

    uv_mutex_lock(&changes->mutex);
    *are_lost = changes->are_lost;
    changes->are_lost = false;
    while (n < cap && changes->n > 0) {
        ids[n++] = changes->ids[changes->first];
        changes->first = (changes->first + 1) % HF_FLEET_CHANGES_MAX;
        changes->n--;
    }
    uv_mutex_unlock(&changes->mutex);
    return n;
}
