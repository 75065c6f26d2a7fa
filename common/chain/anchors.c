#include "common/chain/anchors.h"

#include "common/base/limits.h"
#include "common/bundle/policy.h"
#include "common/bundle/distinguished_name.h"

#include <stdlib.h>
#include <string.h>

struct entry {
    uint64_t subject_hash;
    struct hf_trust_anchor anchor; /* its DER is in the memory of the set */
};

struct hf_anchors {
    uint8_t *der; /* of all anchors, one behind the other in the order given */
    size_t n_entries;
    struct entry entries[]; /* sorted by subject_hash, then by the order given */
};

struct hf_trust_anchor hf_trust_anchor_of(const struct hf_anchor *anchor)
{
    return (struct hf_trust_anchor){
        .der = anchor->der,
        .not_before_s = anchor->cert.not_before_s,
        .not_after_s = anchor->cert.not_after_s,
        .distrust_after_s = anchor->distrust_after_s,
        .remove_after_s = anchor->remove_after_s,
    };
}

/* What a bundle may hold as an anchor, and nothing else. */
static enum hf_err subject_hash_of(struct hf_bytes der, size_t number, uint64_t *out,
                                   struct hf_why *why)
{
    struct hf_cert cert;
    struct hf_why reason = {0};
    enum hf_err err = hf_cert_parse(der, &cert, &reason);

    if (err != HF_OK)
        return hf_fail(why, err, "trust anchor %zu: %s; the trust store stays as it was", number,
                       reason.text);
    *out = hf_name_hash(cert.subject_der);
    return HF_OK;
}

static int compare(const void *left, const void *right)
{
    const struct entry *a = left;
    const struct entry *b = right;
    if (a->subject_hash != b->subject_hash)
        return a->subject_hash < b->subject_hash ? -1 : 1;
    /* Both point into one block. */
    return a->anchor.der.data < b->anchor.der.data ? -1 : a->anchor.der.data > b->anchor.der.data;
}

enum hf_err hf_anchors_new(const struct hf_trust_anchor *list, size_t n, struct hf_anchors **out,
                           struct hf_why *why)
{
    size_t der_len = 0;
    /* A bundle, and beside it the update server's own CAs. */
    if (n > 2 * HF_BUNDLE_ANCHORS_MAX)
        return hf_fail(why, HF_E_LIMIT, "%zu trust anchors are more than the %d that are accepted",
                       n, 2 * HF_BUNDLE_ANCHORS_MAX);
    for (size_t i = 0; i < n; i++) {
        if (list[i].der.len > HF_CERT_DER_MAX)
            return hf_fail(why, HF_E_LIMIT,
                           "trust anchor %zu has %zu bytes, at most %u are accepted", i + 1,
                           list[i].der.len, HF_CERT_DER_MAX);
        if (list[i].not_before_s == 0 && list[i].not_after_s == 0)
            return hf_fail(why, HF_E_ARGUMENT,
                           "trust anchor %zu has no dates (not_before_s and not_after_s are 0)",
                           i + 1);
        der_len += list[i].der.len;
    }

    struct hf_anchors *anchors = calloc(1, sizeof *anchors + n * sizeof anchors->entries[0]);
    if (anchors != NULL)
        anchors->der = malloc(der_len > 0 ? der_len : 1);
    if (anchors == NULL || anchors->der == NULL) {
        hf_anchors_free(anchors);
        return hf_fail(why, HF_E_MEMORY, "out of memory for trust anchors");
    }
    uint8_t *at = anchors->der;
    for (size_t i = 0; i < n; i++) {
        struct entry *entry = &anchors->entries[i];
        enum hf_err err = subject_hash_of(list[i].der, i + 1, &entry->subject_hash, why);
        if (err != HF_OK) {
            hf_anchors_free(anchors);
            return err;
        }
        memcpy(at, list[i].der.data, list[i].der.len);
        entry->anchor = list[i];
        entry->anchor.der.data = at;
        at += list[i].der.len;
    }
    anchors->n_entries = n;
    qsort(anchors->entries, n, sizeof anchors->entries[0], compare);
    *out = anchors;
    return HF_OK;
}

enum hf_err hf_anchors_of_bundle(const struct hf_bundle *bundle, struct hf_anchors **out,
                                 struct hf_why *why)
{
    struct hf_trust_anchor *list = calloc(bundle->n_anchors + 1, sizeof *list);
    if (list == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for %zu trust anchors", bundle->n_anchors);
    for (size_t i = 0; i < bundle->n_anchors; i++)
        list[i] = hf_trust_anchor_of(&bundle->anchors[i]);
    enum hf_err err = hf_anchors_new(list, bundle->n_anchors, out, why);
    free(list);
    return err;
}

void hf_anchors_free(struct hf_anchors *anchors)
{
    if (anchors == NULL)
        return;
    free(anchors->der);
    free(anchors);
}

int64_t hf_anchors_last_end(const struct hf_anchors *anchors, int64_t now_s)
{
    int64_t last_s = INT64_MIN;

    for (size_t i = 0; i < anchors->n_entries; i++) {
        const struct hf_trust_anchor *anchor = &anchors->entries[i].anchor;
        const int64_t ends[] = {anchor->not_after_s, anchor->remove_after_s};
        for (size_t k = 0; k < sizeof ends / sizeof ends[0]; k++)
            if (ends[k] < now_s && ends[k] > last_s)
                last_s = ends[k];
    }
    return last_s;
}

static bool is_usable(const struct hf_trust_anchor *anchor, int64_t now_s)
{
    return hf_policy_state_at(anchor->not_before_s, anchor->not_after_s, anchor->remove_after_s,
                              now_s) == HF_ANCHOR_USABLE;
}

bool hf_anchor_is_usable(const struct hf_trust_anchor *anchor, int64_t now_s,
                         int64_t leaf_not_before_s)
{
    return is_usable(anchor, now_s) &&
           hf_policy_leaf_date_is_accepted(anchor->distrust_after_s, leaf_not_before_s);
}

bool hf_anchors_has_usable(const struct hf_anchors *anchors, int64_t now_s)
{
    for (size_t i = 0; i < anchors->n_entries; i++) {
        if (is_usable(&anchors->entries[i].anchor, now_s))
            return true;
    }
    return false;
}

const struct hf_trust_anchor *hf_anchors_next(const struct hf_anchors *anchors,
                                              uint64_t subject_hash, size_t *at)
{
    size_t low = *at, high = anchors->n_entries;

    while (*at == 0 && low < high) { /* the first with this hash */
        size_t middle = low + (high - low) / 2;
        if (anchors->entries[middle].subject_hash < subject_hash)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == anchors->n_entries || anchors->entries[low].subject_hash != subject_hash)
        return NULL;
    *at = low + 1;
    return &anchors->entries[low].anchor;
}
