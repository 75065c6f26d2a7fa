#include "client/port/mbedtls/leaf.h"

#include "common/base/digest.h"
#include "common/bundle/x509.h"

#include <string.h>

/* Verifications in progress on one thread: an application's callback may open another connection. */
#define NESTED_MAX 4

struct verification {
    const mbedtls_x509_crt *leaf; /* compared, never followed: it may be gone */
    int64_t leaf_not_before_s;
    const mbedtls_x509_crt *child; /* whose issuer was asked for last; compared only */
    uint64_t issuer_hash;          /* of child: the subject that the next one must have */
    /* The last certificate that the server sent: its address, and what is in it. */
    const mbedtls_x509_crt *last; /* compared only */
    uint8_t last_sha256[HF_SHA256_LEN];
    const mbedtls_x509_crt *last_offered; /* of the anchors offered for child; NULL: none were */
    bool is_confirmed;
};

static _Thread_local struct {
    struct verification at[NESTED_MAX]; /* the innermost last */
    size_t n;
} running;

static int64_t issued_at(const mbedtls_x509_crt *crt)
{
    int64_t time_s;
    /* No date is later than every distrust_after. */
    return hf_x509_time(&crt->valid_from, &time_s) ? time_s : INT64_MAX;
}

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

/* The innermost verification that is not over. */
static struct verification *innermost(void)
{
    for (size_t i = running.n; i > 0; i--) {
        if (!running.at[i - 1].is_confirmed)
            return &running.at[i - 1];
    }
    return NULL;
}

/* Is `child` further up the chain of `v`? Then it is a CA that the same server sent, and either the
 * one that was asked about last (by a second store) or one with the name that was looked for. */
static bool continues(const struct verification *v, const mbedtls_x509_crt *child)
{
    const mbedtls_x509_crt *last = last_of(child);
    uint8_t sha256[HF_SHA256_LEN];

    if (mbedtls_x509_crt_get_ca_istrue(child) != 1)
        return false;
    bool is_repeated = child == v->child && hf_x509_name_hash(&child->issuer) == v->issuer_hash;
    if (!is_repeated && hf_x509_name_hash(&child->subject) != v->issuer_hash)
        return false;
    /* The list that a server sent ends in the same certificate at the same address wherever it is
     * entered. The address alone would not do: memory that an abandoned verification left is used
     * again. */
    if (last != v->last)
        return false;
    hash_of(last, sha256);
    return memcmp(sha256, v->last_sha256, sizeof sha256) == 0;
}

int64_t hf_leaf_not_before(const mbedtls_x509_crt *child)
{
    struct verification *v = innermost();
    bool is_leaf = v != NULL && child == v->leaf;

    if (v == NULL || (!is_leaf && !continues(v, child))) { /* a new one begins */
        while (running.n > 0 && running.at[running.n - 1].is_confirmed)
            running.n--;
        if (running.n == NESTED_MAX) { /* the oldest one stopped half-way, most likely */
            memmove(&running.at[0], &running.at[1], (NESTED_MAX - 1) * sizeof running.at[0]);
            running.n--;
        }
        v = &running.at[running.n++];
        *v = (struct verification){.leaf = child};
        is_leaf = true;
    }
    /* What is known of the leaf is read again even for a known address: memory is reused. */
    if (is_leaf) {
        v->leaf_not_before_s = issued_at(child);
        v->last = last_of(child);
        hash_of(v->last, v->last_sha256);
    }
    if (child != v->child)
        v->last_offered = NULL;
    v->child = child;
    v->issuer_hash = hf_x509_name_hash(&child->issuer);
    return v->leaf_not_before_s;
}

void hf_leaf_offer(const mbedtls_x509_crt *anchors)
{
    struct verification *v = innermost();
    if (v != NULL && anchors != NULL)
        v->last_offered = last_of(anchors);
}

bool hf_leaf_is_offered(const mbedtls_x509_crt *crt)
{
    const struct verification *v = innermost();
    return v != NULL && v->last_offered != NULL && last_of(crt) == v->last_offered;
}

void hf_leaf_abandon(void)
{
    struct verification *v = innermost();
    if (v != NULL)
        running.n = (size_t)(v - running.at);
}

bool hf_leaf_confirm(const mbedtls_x509_crt *leaf)
{
    for (size_t i = running.n; i > 0; i--) {
        struct verification *v = &running.at[i - 1];
        if (v->leaf == leaf && v->leaf_not_before_s == issued_at(leaf)) {
            v->is_confirmed = true;
            return true;
        }
        if (!v->is_confirmed)
            break;
    }
    running.n = 0;
    return false;
}
