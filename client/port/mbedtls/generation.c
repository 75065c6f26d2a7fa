#include "client/port/mbedtls/generation.h"

#include "common/base/limits.h"
#include "common/bundle/policy.h"
#include "common/bundle/x509_name.h"

#include <mbedtls/platform.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct entry {
    uint64_t subject_hash;
    struct hf_bytes der; /* in the generation's own memory */
    int64_t not_before_s;
    int64_t not_after_s;
    int64_t distrust_after_s;
    int64_t remove_after_s;
};

struct hf_generation {
    uint8_t *der; /* of all anchors, one behind the other in the order given */
    bool has_distrust;
    size_t n_entries;
    struct entry entries[]; /* sorted by subject_hash, then by the order given */
};

/* ---- make --------------------------------------------------------------------------------------- */

static enum hf_err subject_hash_of(struct hf_bytes der, size_t number, uint64_t *out,
                                   struct hf_why *why)
{
    mbedtls_x509_crt crt;
    mbedtls_x509_crt_init(&crt);
    int ret = mbedtls_x509_crt_parse_der_nocopy(&crt, der.data, der.len);
    bool is_whole = ret == 0 && crt.raw.len == der.len;
    if (is_whole)
        *out = hf_name_hash(&crt.subject);
    mbedtls_x509_crt_free(&crt);
    if (ret == MBEDTLS_ERR_X509_ALLOC_FAILED)
        return hf_fail(why, HF_E_MEMORY, "out of memory while swapping the trust store");
    if (!is_whole)
        return hf_fail(
            why, HF_E_FORMAT,
            "trust anchor %zu is not one whole certificate (Mbed TLS error -0x%04x); the "
            "trust store stays as it was",
            number, (unsigned)-ret);
    return HF_OK;
}

static int compare(const void *left, const void *right)
{
    const struct entry *a = left;
    const struct entry *b = right;
    if (a->subject_hash != b->subject_hash)
        return a->subject_hash < b->subject_hash ? -1 : 1;
    /* Both point into one block. */
    return a->der.data < b->der.data ? -1 : a->der.data > b->der.data;
}

static enum hf_err total_size(const struct hf_trust_anchor *anchors, size_t n_anchors, size_t *out,
                              struct hf_why *why)
{
    size_t total = 0;
    /* A bundle, and beside it the update server's own CAs. */
    if (n_anchors > 2 * HF_BUNDLE_ANCHORS_MAX)
        return hf_fail(why, HF_E_LIMIT, "%zu trust anchors are more than the %d that are accepted",
                       n_anchors, 2 * HF_BUNDLE_ANCHORS_MAX);
    for (size_t i = 0; i < n_anchors; i++) {
        if (anchors[i].der.len > HF_CERT_DER_MAX)
            return hf_fail(why, HF_E_LIMIT,
                           "trust anchor %zu has %zu bytes, at most %u are accepted", i + 1,
                           anchors[i].der.len, HF_CERT_DER_MAX);
        total += anchors[i].der.len;
    }
    *out = total;
    return HF_OK;
}

static struct hf_generation *allocate(size_t n_entries, size_t der_size)
{
    struct hf_generation *g = calloc(1, sizeof *g + n_entries * sizeof g->entries[0]);
    if (g == NULL)
        return NULL;
    g->der = malloc(der_size > 0 ? der_size : 1);
    if (g->der == NULL) {
        free(g);
        return NULL;
    }
    g->n_entries = n_entries;
    return g;
}

static enum hf_err fill(struct hf_generation *g, const struct hf_trust_anchor *anchors,
                        struct hf_why *why)
{
    uint8_t *at = g->der;
    for (size_t i = 0; i < g->n_entries; i++) {
        const struct hf_trust_anchor *from = &anchors[i];
        struct entry *entry = &g->entries[i];
        HF_TRY(subject_hash_of(from->der, i + 1, &entry->subject_hash, why));
        memcpy(at, from->der.data, from->der.len);
        entry->der = (struct hf_bytes){at, from->der.len};
        entry->not_before_s = from->not_before_s;
        entry->not_after_s = from->not_after_s;
        entry->distrust_after_s = from->distrust_after_s;
        entry->remove_after_s = from->remove_after_s;
        g->has_distrust = g->has_distrust || from->distrust_after_s != INT64_MIN;
        at += from->der.len;
    }
    qsort(g->entries, g->n_entries, sizeof g->entries[0], compare);
    return HF_OK;
}

enum hf_err hf_generation_new(const struct hf_trust_anchor *anchors, size_t n_anchors,
                              struct hf_generation **out, struct hf_why *why)
{
    size_t der_size = 0;
    HF_TRY(total_size(anchors, n_anchors, &der_size, why));
    struct hf_generation *g = allocate(n_anchors, der_size);
    if (g == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory while swapping the trust store");
    enum hf_err err = fill(g, anchors, why);
    if (err == HF_OK)
        *out = g;
    else
        hf_generation_free(g);
    return err;
}

void hf_generation_free(struct hf_generation *generation)
{
    if (generation == NULL)
        return;
    free(generation->der);
    free(generation);
}

/* ---- read --------------------------------------------------------------------------------------- */

bool hf_generation_has_distrust(const struct hf_generation *generation)
{
    return generation->has_distrust;
}

int64_t hf_generation_last_end(const struct hf_generation *g, int64_t now_s)
{
    int64_t last_s = INT64_MIN;

    for (size_t i = 0; i < g->n_entries; i++) {
        const int64_t ends[] = {g->entries[i].not_after_s, g->entries[i].remove_after_s};
        for (size_t j = 0; j < sizeof ends / sizeof ends[0]; j++)
            if (ends[j] < now_s && ends[j] > last_s)
                last_s = ends[j];
    }
    return last_s;
}

/* Index of the first entry whose hash is not below `hash`. */
static size_t lower_bound(const struct hf_generation *g, uint64_t hash)
{
    size_t low = 0;
    size_t high = g->n_entries;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (g->entries[middle].subject_hash < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_usable(const struct entry *entry, int64_t now_s)
{
    return hf_policy_state_at(entry->not_before_s, entry->not_after_s, entry->remove_after_s,
                              now_s) == HF_ANCHOR_USABLE;
}

bool hf_generation_has_usable(const struct hf_generation *generation, int64_t now_s)
{
    for (size_t i = 0; i < generation->n_entries; i++) {
        if (is_usable(&generation->entries[i], now_s))
            return true;
    }
    return false;
}

static bool is_offered(const struct entry *entry, int64_t now_s, int64_t leaf_not_before_s)
{
    return is_usable(entry, now_s) &&
           hf_policy_leaf_date_is_accepted(entry->distrust_after_s, leaf_not_before_s);
}

/* The copy owns its bytes: Mbed TLS looks at it until the verification ends, and by then this
 * generation may be gone. */
static int append_copy(const struct entry *entry, mbedtls_x509_crt **list)
{
    if (*list == NULL) {
        mbedtls_x509_crt *head = mbedtls_calloc(1, sizeof *head);
        if (head == NULL)
            return MBEDTLS_ERR_X509_ALLOC_FAILED;
        mbedtls_x509_crt_init(head);
        *list = head;
    }
    return mbedtls_x509_crt_parse_der(*list, entry->der.data, entry->der.len);
}

int hf_generation_collect(const struct hf_generation *generation, const mbedtls_x509_name *issuer,
                          int64_t now_s, int64_t leaf_not_before_s, mbedtls_x509_crt **list)
{
    uint64_t hash = hf_name_hash(issuer);
    for (size_t i = lower_bound(generation, hash); i < generation->n_entries; i++) {
        const struct entry *entry = &generation->entries[i];
        if (entry->subject_hash != hash)
            break;
        if (!is_offered(entry, now_s, leaf_not_before_s))
            continue;
        int ret = append_copy(entry, list);
        if (ret != 0)
            return ret;
    }
    return 0;
}

void hf_generation_each(const struct hf_generation *generation, const mbedtls_x509_name *issuer,
                        void (*each)(void *ctx, const struct hf_trust_anchor *anchor), void *ctx)
{
    uint64_t hash = hf_name_hash(issuer);
    for (size_t i = lower_bound(generation, hash); i < generation->n_entries; i++) {
        const struct entry *entry = &generation->entries[i];
        if (entry->subject_hash != hash)
            break;
        const struct hf_trust_anchor anchor = {.der = entry->der,
                                               .not_before_s = entry->not_before_s,
                                               .not_after_s = entry->not_after_s,
                                               .distrust_after_s = entry->distrust_after_s,
                                               .remove_after_s = entry->remove_after_s};
        each(ctx, &anchor);
    }
}

/* ---- which generation is in force ------------------------------------------------------------ */

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
