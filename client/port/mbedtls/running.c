#include "client/port/mbedtls/running.h"

#include "common/bundle/distinguished_name.h"

#include <string.h>

static _Thread_local struct {
    struct hf_running at[HF_RUNNING_MAX]; /* the newest last */
    size_t n;
} running;

static const mbedtls_x509_crt *last_of(const mbedtls_x509_crt *list)
{
    while (list->next != NULL)
        list = list->next;
    return list;
}

static void hash_of(const mbedtls_x509_crt *crt, uint8_t out[HF_SHA256_LEN])
{
    hf_sha256((struct hf_bytes){crt->raw.p, crt->raw.len}, out);
}

/* Memory that an abandoned verification left is used again, so the address alone would not do. */
static bool is_same(const mbedtls_x509_crt *crt, const mbedtls_x509_crt *known,
                    const uint8_t known_sha256[HF_SHA256_LEN])
{
    uint8_t sha256[HF_SHA256_LEN];

    if (crt != known)
        return false;
    hash_of(crt, sha256);
    return memcmp(sha256, known_sha256, sizeof sha256) == 0;
}

struct hf_running *hf_running_find(const mbedtls_x509_crt *leaf, int64_t now_s)
{
    for (size_t i = running.n; i > 0; i--) {
        struct hf_running *r = &running.at[i - 1];
        if (now_s >= r->at_s && now_s - r->at_s <= HF_RUNNING_LIFE_S &&
            is_same(leaf, r->leaf, r->leaf_sha256))
            return r;
    }
    return NULL;
}

struct hf_running *hf_running_above(const mbedtls_x509_crt *crt)
{
    for (size_t i = running.n; i > 0; i--) {
        struct hf_running *r = &running.at[i - 1];
        if (last_of(crt) == r->last)
            return r;
        for (size_t k = 0; k < r->n_stores; k++)
            if (r->stores[k].issuer == crt)
                return r;
    }
    return NULL;
}

static uint64_t hash_issuer(const mbedtls_x509_crt *crt)
{
    return hf_name_hash((struct hf_bytes){crt->issuer_raw.p, crt->issuer_raw.len});
}

struct hf_running *hf_running_continue(const mbedtls_x509_crt *crt)
{
    const struct hf_bytes subject = {crt->subject_raw.p, crt->subject_raw.len};
    struct hf_running *r = running.n == 0 ? NULL : &running.at[running.n - 1];

    /* A server's own certificate in memory that an abandoned verification has left is no CA. */
    if (r == NULL || r->is_closed || crt == r->leaf || mbedtls_x509_crt_get_ca_istrue(crt) != 1 ||
        (crt != r->asked && hf_name_hash(subject) != r->issuer_hash) ||
        !is_same(last_of(crt), r->last, r->last_sha256))
        return NULL;
    r->asked = crt;
    r->issuer_hash = hash_issuer(crt);
    return r;
}

void hf_running_end(struct hf_running *ended)
{
    size_t i = (size_t)(ended - running.at);

    memmove(&running.at[i], &running.at[i + 1], (running.n - i - 1) * sizeof running.at[0]);
    running.n--;
}

struct hf_running *hf_running_begin(const mbedtls_x509_crt *leaf, int64_t at_s)
{
    for (size_t i = running.n; i > 0; i--)
        if (running.at[i - 1].leaf == leaf)
            hf_running_end(&running.at[i - 1]);
    if (running.n == HF_RUNNING_MAX)
        hf_running_end(&running.at[0]);
    struct hf_running *begun = &running.at[running.n++];
    *begun = (struct hf_running){.leaf = leaf, .last = last_of(leaf), .asked = leaf, .at_s = at_s};
    begun->issuer_hash = hash_issuer(leaf);
    hash_of(leaf, begun->leaf_sha256);
    hash_of(begun->last, begun->last_sha256);
    return begun;
}

struct hf_running_store *hf_running_store(struct hf_running *r, const void *store)
{
    for (size_t i = 0; i < r->n_stores; i++)
        if (r->stores[i].store == store)
            return &r->stores[i];
    return NULL;
}

void hf_running_add(struct hf_running *r, struct hf_running_store said)
{
    struct hf_running_store *known = hf_running_store(r, said.store);

    if (known != NULL)
        *known = said;
    else if (r->n_stores < HF_RUNNING_STORES_MAX)
        r->stores[r->n_stores++] = said;
}
