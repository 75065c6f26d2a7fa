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

enum hf_err hf_published_set_anchors(struct hf_published_bundle *bundle,
                                     const struct hf_bundle *from)
{
    struct hf_published_anchor *anchors = calloc(from->n_anchors, sizeof *anchors);

    if (anchors == NULL)
        return HF_E_MEMORY;

    for (size_t i = 0; i < from->n_anchors; i++) {
        const struct hf_anchor *anchor = &from->anchors[i];
        struct hf_published_anchor *out = &anchors[i];
        memcpy(out->sha256, anchor->cert.sha256, HF_SHA256_LEN);
        memcpy(out->spki_sha256, anchor->cert.spki_sha256, HF_SHA256_LEN);
        memcpy(out->subject, anchor->cert.subject, sizeof out->subject);
        out->not_after_s = anchor->cert.not_after_s;
        out->distrust_after_s = anchor->distrust_after_s;
        out->remove_after_s = anchor->remove_after_s;
        out->end = hf_anchor_first_end(out->not_after_s, out->remove_after_s,
                                       out->distrust_after_s);
    }
    bundle->anchors = anchors;
    bundle->n_anchors = from->n_anchors;
    return HF_OK;
}

static bool is_of(const struct hf_published_bundle *bundle, const char *set, const char *profile)
{
    return strcmp(bundle->description.set, set) == 0 &&
           strcmp(bundle->description.profile, profile) == 0;
}

bool hf_published_is_same_kind(const struct hf_published_bundle *a,
                               const struct hf_published_bundle *b)
{
    return is_of(a, b->description.set, b->description.profile);
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

/* The anchor of that certificate in the next newer version that has it; NULL: there is none. */
static const struct hf_published_anchor *find_newer(const struct hf_published *published, size_t i,
                                                    const struct hf_published_anchor *anchor)
{
    for (size_t k = i; k > 0 && !published->bundles[k].is_newest; k--) {
        const struct hf_published_bundle *newer = &published->bundles[k - 1];
        for (size_t j = 0; j < newer->n_anchors; j++)
            if (memcmp(newer->anchors[j].sha256, anchor->sha256, HF_SHA256_LEN) == 0)
                return &newer->anchors[j];
    }
    return NULL;
}

void hf_published_sort(struct hf_published *published)
{
    struct hf_published_bundle *bundles = published->bundles;

    qsort(bundles, published->n, sizeof bundles[0], compare);
    for (size_t i = 0; i < published->n; i++)
        bundles[i].is_newest = i == 0 || !hf_published_is_same_kind(&bundles[i - 1], &bundles[i]);
    for (size_t i = 0; i < published->n; i++)
        for (size_t k = 0; k < bundles[i].n_anchors; k++) {
            struct hf_published_anchor *anchor = &bundles[i].anchors[k];
            const struct hf_published_anchor *newer = find_newer(published, i, anchor);
            if (newer != NULL)
                anchor->end = newer->end;
        }
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
    for (size_t i = 0; i < published->n; i++) {
        hf_description_free(&published->bundles[i].description);
        free(published->bundles[i].anchors);
    }
    free(published);
}

const struct hf_published_bundle *hf_published_find(const struct hf_published *published,
                                                    const char *set, const char *profile)
{
    for (size_t i = 0; published != NULL && i < published->n; i++)
        if (is_of(&published->bundles[i], set, profile))
            return &published->bundles[i];
    return NULL;
}

const struct hf_published_bundle *hf_published_find_version(const struct hf_published *published,
                                                            const char *set, const char *profile,
                                                            int64_t version)
{
    for (size_t i = 0; published != NULL && i < published->n; i++)
        if (published->bundles[i].description.version == version &&
            is_of(&published->bundles[i], set, profile))
            return &published->bundles[i];
    return NULL;
}

bool hf_published_has_successor(const struct hf_published_bundle *bundle,
                                const struct hf_published_anchor *anchor)
{
    for (size_t i = 0; i < bundle->n_anchors; i++)
        if (bundle->anchors[i].end.end_s > anchor->end.end_s &&
            memcmp(bundle->anchors[i].spki_sha256, anchor->spki_sha256, HF_SHA256_LEN) != 0)
            return true;
    return false;
}

int64_t hf_published_newest(const struct hf_published *published, const char *set,
                            const char *profile)
{
    const struct hf_published_bundle *newest = hf_published_find(published, set, profile);

    if (newest != NULL)
        return newest->description.version;
    return published == NULL ? -1 : 0;
}
