#include "server/fleet/published.h"

#include <stdlib.h>
#include <string.h>

struct hf_published *hf_published_new(size_t room)
{
    struct hf_published *published = calloc(1, sizeof *published +
                                                   room * sizeof published->bundles[0]);

    if (published != NULL)
        atomic_init(&published->references, 1);
    return published;
}

static bool is_same_kind(const struct hf_published_bundle *a, const struct hf_published_bundle *b)
{
    return strcmp(a->description.set, b->description.set) == 0 &&
           strcmp(a->description.profile, b->description.profile) == 0;
}

static int compare(const void *left, const void *right)
{
    const struct hf_description *a = &((const struct hf_published_bundle *)left)->description;
    const struct hf_description *b = &((const struct hf_published_bundle *)right)->description;

    int order = strcmp(a->set, b->set);
    if (order == 0)
        order = strcmp(a->profile, b->profile);
    return order != 0 ? order : (a->version < b->version) - (a->version > b->version);
}

void hf_published_sort(struct hf_published *published)
{
    struct hf_published_bundle *bundles = published->bundles;

    qsort(bundles, published->n, sizeof bundles[0], compare);
    for (size_t i = 0; i < published->n; i++)
        bundles[i].is_newest = i == 0 || !is_same_kind(&bundles[i - 1], &bundles[i]);
}

struct hf_published *hf_published_ref(struct hf_published *published)
{
    if (published != NULL)
        (void)atomic_fetch_add_explicit(&published->references, 1, memory_order_relaxed);
    return published;
}

void hf_published_unref(struct hf_published *published)
{
    if (published == NULL ||
        atomic_fetch_sub_explicit(&published->references, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < published->n; i++)
        hf_description_free(&published->bundles[i].description);
    free(published);
}

int64_t hf_published_newest(const struct hf_published *published, const char *set,
                            const char *profile)
{
    if (published == NULL)
        return -1;
    for (size_t i = 0; i < published->n; i++) {
        const struct hf_description *d = &published->bundles[i].description;
        if (strcmp(d->set, set) == 0 && strcmp(d->profile, profile) == 0)
            return d->version;
    }
    return 0;
}
