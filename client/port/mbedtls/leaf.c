#include "client/port/mbedtls/leaf.h"

#include "client/port/mbedtls/generation.h"
#include "common/bundle/x509_time.h"

#include <string.h>

/* Verifications in progress on one thread: an application's callback may open another connection. */
#define NESTED_MAX 4

struct verification {
    const mbedtls_x509_crt *leaf; /* compared, never followed: it may be gone */
    int64_t leaf_not_before_s;
    const mbedtls_x509_crt *child; /* whose issuer was asked for last; compared only */
    uint64_t issuer_hash;          /* of child: the subject that the next one must have */
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

/* The innermost verification that is not over. */
static struct verification *innermost(void)
{
    for (size_t i = running.n; i > 0; i--) {
        if (!running.at[i - 1].is_confirmed)
            return &running.at[i - 1];
    }
    return NULL;
}

/* Is `child` further up the chain of `v`? Then it is a CA, and either the one that was asked about
 * last (by a second store) or one with the name that was looked for. */
static bool continues(const struct verification *v, const mbedtls_x509_crt *child)
{
    if (mbedtls_x509_crt_get_ca_istrue(child) != 1)
        return false;
    bool is_repeated = child == v->child && hf_name_hash(&child->issuer) == v->issuer_hash;
    return is_repeated || hf_name_hash(&child->subject) == v->issuer_hash;
}

static struct verification *begin(void)
{
    while (running.n > 0 && running.at[running.n - 1].is_confirmed)
        running.n--;
    if (running.n == NESTED_MAX) { /* the oldest one stopped half-way, most likely */
        memmove(&running.at[0], &running.at[1], (NESTED_MAX - 1) * sizeof running.at[0]);
        running.n--;
    }
    running.at[running.n] = (struct verification){0};
    return &running.at[running.n++];
}

int64_t hf_leaf_not_before(const mbedtls_x509_crt *child)
{
    struct verification *v = innermost();
    bool is_leaf = v != NULL && child == v->leaf;
    if (v == NULL || (!is_leaf && !continues(v, child))) {
        v = begin();
        v->leaf = child;
        is_leaf = true;
    }
    /* The date is read anew even for a known address: memory is used again. */
    if (is_leaf)
        v->leaf_not_before_s = issued_at(child);
    v->child = child;
    v->issuer_hash = hf_name_hash(&child->issuer);
    return v->leaf_not_before_s;
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
