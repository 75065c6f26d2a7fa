/*
 * The live trust store against a parsed chain, for the certificates of one PEM file: heap, time to
 * load, and time to find the issuer of a certificate, as JSON. A child of each root is looked for
 * in turn, so a chain is walked to the middle on average.
 */
#include "common/bundle/certificate.h"
#include "common/bundle/distinguished_name.h"
#include "common/bundle/pem.h"
#include "common/chain/anchors.h"

#include <holdfast/trust_store.h>

#include <mbedtls/x509_crt.h>

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROOTS_MAX 1024
#define LOOKUPS 200000

struct roots {
    struct hf_trust_anchor anchors[ROOTS_MAX];
    mbedtls_x509_crt children[ROOTS_MAX]; /* the root itself: it is its own child */
    size_t n;
    size_t der_bytes;
};

static double now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static size_t heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void die(const char *what)
{
    (void)fprintf(stderr, "bench_trust_store: %s\n", what);
    exit(1);
}

static enum hf_err add_root(void *ctx, size_t index, struct hf_bytes der, struct hf_why *why)
{
    struct roots *roots = ctx;
    (void)index;
    if (roots->n == ROOTS_MAX)
        return hf_fail(why, HF_E_LIMIT, "more than %d roots", ROOTS_MAX);
    uint8_t *copy = malloc(der.len);
    if (copy == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory");
    memcpy(copy, der.data, der.len);
    mbedtls_x509_crt *child = &roots->children[roots->n];
    mbedtls_x509_crt_init(child);
    if (mbedtls_x509_crt_parse_der(child, copy, der.len) != 0)
        die("a certificate does not parse");
    roots->anchors[roots->n++] = (struct hf_trust_anchor){
        .der = {copy, der.len},
        .not_before_s = 0, /* no root is left out for its date */
        .not_after_s = INT64_MAX,
        .distrust_after_s = INT64_MIN,
        .remove_after_s = INT64_MIN,
    };
    roots->der_bytes += der.len;
    return HF_OK;
}

static void read_roots(const char *path, struct roots *roots)
{
    struct hf_buf text = {0};
    struct hf_why why;
    char block[4096];
    size_t n;
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        die("the PEM file cannot be opened");
    while ((n = fread(block, 1, sizeof block, file)) > 0)
        if (hf_buf_append(&text, block, n) != HF_OK)
            die("no memory");
    (void)fclose(file);
    if (hf_pem_walk(hf_buf_bytes(&text), add_root, roots, &why) != HF_OK)
        die(why.text);
    hf_buf_free(&text);
}

/* Compare the issuer's name with each subject in turn, as Mbed TLS does. Names as they are encoded,
 * which is quicker than its own comparison of their parts: the doubt is in the chain's favour. */
static const mbedtls_x509_crt *find_in_chain(const mbedtls_x509_crt *chain,
                                             const mbedtls_x509_crt *child)
{
    for (; chain != NULL; chain = chain->next)
        if (chain->subject_raw.len == child->issuer_raw.len &&
            memcmp(chain->subject_raw.p, child->issuer_raw.p, child->issuer_raw.len) == 0)
            return chain;
    return NULL;
}

static void measure_chain(const struct roots *roots)
{
    mbedtls_x509_crt chain;
    size_t before = heap_bytes();
    double begin = now_ns();
    mbedtls_x509_crt_init(&chain);
    for (size_t i = 0; i < roots->n; i++)
        if (mbedtls_x509_crt_parse_der(&chain, roots->anchors[i].der.data,
                                       roots->anchors[i].der.len) != 0)
            die("a certificate does not parse");
    double load_ns = now_ns() - begin;
    size_t bytes = heap_bytes() - before + sizeof chain;

    begin = now_ns();
    for (size_t i = 0; i < LOOKUPS; i++)
        if (find_in_chain(&chain, &roots->children[i % roots->n]) == NULL)
            die("the chain lacks an issuer");
    printf("\"chain_bytes\":%zu,\"chain_load_us\":%.1f,\"chain_ns\":%.1f,", bytes, load_ns / 1e3,
           (now_ns() - begin) / LOOKUPS);
    mbedtls_x509_crt_free(&chain);
}

/* As the search for a path does it: by the hash of the name, and then the certificate is read and
 * its name compared. */
static void look_up(const struct hf_anchors *anchors, const mbedtls_x509_crt *child)
{
    const struct hf_bytes name = {child->issuer_raw.p, child->issuer_raw.len};
    const struct hf_trust_anchor *anchor;
    struct hf_certificate cert;
    size_t at = 0;
    while ((anchor = hf_anchors_next(anchors, hf_name_hash(name), &at)) != NULL)
        if (hf_certificate_parse(anchor->der, &cert) && hf_name_equal(cert.form.subject, name))
            return;
    die("the store lacks an issuer");
}

static void measure_store(const struct roots *roots)
{
    struct hf_trust_store *store = NULL;
    struct hf_anchors *anchors = NULL;
    struct hf_why why;
    size_t before = heap_bytes();
    if (hf_trust_store_new(&store, &why) != HF_OK)
        die(why.text);
    double begin = now_ns();
    if (hf_trust_store_swap(store, roots->anchors, roots->n, &why) != HF_OK)
        die(why.text);
    double load_ns = now_ns() - begin;
    size_t bytes = heap_bytes() - before;

    if (hf_anchors_new(roots->anchors, roots->n, &anchors, &why) != HF_OK)
        die(why.text);
    begin = now_ns();
    for (size_t i = 0; i < LOOKUPS; i++)
        look_up(anchors, &roots->children[i % roots->n]);
    printf("\"store_bytes\":%zu,\"store_load_us\":%.1f,\"store_ns\":%.1f", bytes, load_ns / 1e3,
           (now_ns() - begin) / LOOKUPS);
    hf_anchors_free(anchors);
    hf_trust_store_free(store);
}

int main(int argc, char **argv)
{
    static struct roots roots;
    if (argc != 2)
        die("usage: bench_trust_store ROOTS.pem");
    read_roots(argv[1], &roots);
    printf("{\"roots\":%zu,\"der_bytes\":%zu,", roots.n, roots.der_bytes);
    measure_chain(&roots);
    measure_store(&roots);
    printf("}\n");
    return 0;
}
