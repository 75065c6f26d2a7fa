/*
 * One verification as a handshake makes it, by the active trust store and by Mbed TLS alone, as
 * JSON: CPU time and peak heap of a chain under one of 144 anchors, and CPU time of lists that a
 * hostile server sends to make it expensive. The heap is what is held beyond the list itself, which
 * the handshake has parsed.
 */
#include "tests/support/check.h"

#include "common/bundle/certificate.h"
#include "tests/bench/measure.h"
#include "tests/support/counting_malloc.h"
#include "tests/support/trust_world.h"

/* Of library/x509_internal.h, which is not installed: how a client reads what a server sends. */
int mbedtls_x509_crt_parse_peer(mbedtls_x509_crt *chain, const unsigned char *der, size_t len);

#define ANCHORS 144
#define CHAINS 12    /* under anchors that are spread over the set */
#define VERDICTS 600 /* of each side */
#define MESSAGE_MAX 65536
#define CERTS_MAX 512

struct world_of_anchors {
    struct pki_key root, middle, leaf, other;
    struct hf_buf ders[ANCHORS];
    struct hf_trust_store *store;
    mbedtls_x509_crt trusted; /* the same anchors, for Mbed TLS alone */
};

struct list {
    struct hf_buf ders[CERTS_MAX];
    size_t n, message_len;
};

static void make_anchors(struct world_of_anchors *w)
{
    struct hf_trust_anchor anchors[ANCHORS];
    struct hf_why why = {0};

    pki_key_make(&w->root, PKI_P256);
    pki_key_make(&w->middle, PKI_P256);
    pki_key_make(&w->leaf, PKI_P256);
    pki_key_make(&w->other, PKI_P256);
    hf_trust_store_set_clock(WORLD_NOW);
    CHECK_OK(hf_trust_store_new(&w->store, &why));
    mbedtls_x509_crt_init(&w->trusted);
    for (size_t i = 0; i < ANCHORS; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "CN=Root %03zu", i);
        pki_root(name, &w->root, &w->ders[i]);
        anchors[i] = (struct hf_trust_anchor){.der = hf_buf_bytes(&w->ders[i]),
                                              .not_before_s = pki_day(2020, 1, 1),
                                              .not_after_s = pki_day(2040, 1, 1),
                                              .distrust_after_s = INT64_MIN,
                                              .remove_after_s = INT64_MIN};
        assert_int_equal(mbedtls_x509_crt_parse_der(&w->trusted, w->ders[i].data, w->ders[i].len),
                         0);
    }
    CHECK_OK(hf_trust_store_swap(w->store, anchors, ANCHORS, &why));
}

/* ---- one verification ------------------------------------------------------------------------ */

enum side { OURS, MBED_TLS };

static void parse(const struct list *list, enum side side, mbedtls_x509_crt *out)
{
    mbedtls_x509_crt_init(out);
    for (size_t i = 0; i < list->n; i++) {
        const struct hf_buf *der = &list->ders[i];
        (void)(side == OURS ? mbedtls_x509_crt_parse_peer(out, der->data, der->len)
                            : mbedtls_x509_crt_parse_der(out, der->data, der->len));
    }
}

static bool verify(struct world_of_anchors *w, enum side side, mbedtls_x509_crt *list)
{
    uint32_t flags = 0;

    if (side == OURS)
        return world_verify_list(w->store, list);
    return mbedtls_x509_crt_verify(list, &w->trusted, NULL, TLS_HOST, &flags, NULL, NULL) == 0;
}

/* ---- valid chains ---------------------------------------------------------------------------- */

static void put(struct list *list, const struct pki_cert *cert)
{
    assert_in_range(list->n, 0, CERTS_MAX - 1);
    pki_issue(cert, &list->ders[list->n]);
    list->message_len += 5 + list->ders[list->n++].len;
}

static void put_leaf(struct world_of_anchors *w, struct list *list, struct pki_key *issuer_key)
{
    put(list, &(struct pki_cert){.subject = "CN=x",
                                 .key = &w->leaf,
                                 .issuer = "CN=Middle",
                                 .issuer_key = issuer_key,
                                 .dns_name = TLS_HOST});
}

static void measure_valid(struct world_of_anchors *w)
{
    static struct list lists[CHAINS];
    mbedtls_x509_crt parsed[CHAINS];
    double us[2];
    int64_t peak[2];

    for (size_t i = 0; i < CHAINS; i++) {
        char root[32];
        (void)snprintf(root, sizeof root, "CN=Root %03zu", i * (ANCHORS - 1) / (CHAINS - 1));
        put_leaf(w, &lists[i], &w->middle);
        put(&lists[i], &(struct pki_cert){.subject = "CN=Middle",
                                          .key = &w->middle,
                                          .issuer = root,
                                          .issuer_key = &w->root,
                                          .is_ca = true});
    }
    for (int side = OURS; side <= MBED_TLS; side++) {
        for (size_t i = 0; i < CHAINS; i++)
            parse(&lists[i], side, &parsed[i]);
        assert_true(verify(w, side, &parsed[0])); /* what is set up once is not counted */
        int64_t held = counting_heap.held_bytes;
        counting_heap.peak_bytes = held;
        double begun = measure_s(CLOCK_PROCESS_CPUTIME_ID);
        for (size_t i = 0; i < VERDICTS; i++)
            assert_true(verify(w, side, &parsed[i % CHAINS]));
        us[side] = (measure_s(CLOCK_PROCESS_CPUTIME_ID) - begun) * 1e6 / VERDICTS;
        peak[side] = counting_heap.peak_bytes - held;
        for (size_t i = 0; i < CHAINS; i++)
            mbedtls_x509_crt_free(&parsed[i]);
    }
    printf("\"verified_us\":[%.1f,%.1f],\"heap_bytes\":[%lld,%lld]", us[OURS], us[MBED_TLS],
           (long long)peak[OURS], (long long)peak[MBED_TLS]);
}

/* ---- lists of a hostile server --------------------------------------------------------------- */

/* The newest certificate, with a signature that has the length of an RSA key of 8192 bits. */
static void lengthen_signature(struct list *list)
{
    static const uint8_t bits[1025] = {0, 0x55};
    struct hf_buf inner = {0}, whole = {0};
    struct hf_certificate cert;

    assert_true(hf_certificate_parse(hf_buf_bytes(&list->ders[list->n - 1]), &cert));
    CHECK_OK(hf_buf_append(&inner, cert.form.tbs.data, cert.form.tbs.len));
    CHECK_OK(hf_buf_append(&inner, cert.form.algorithm.data, cert.form.algorithm.len));
    pki_put(&inner, MBEDTLS_ASN1_BIT_STRING, (struct hf_bytes){bits, sizeof bits});
    pki_put(&whole, MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE, hf_buf_bytes(&inner));
    hf_buf_free(&inner);
    hf_buf_free(&list->ders[list->n - 1]);
    list->ders[list->n - 1] = whole;
    list->message_len += sizeof bits;
}

/* Each CA may have issued the leaf and any other, by its name, and none has. */
static void fill(struct world_of_anchors *w, struct list *list, size_t exponent_len,
                 int64_t not_after_s)
{
    const bool is_rsa = exponent_len > 0;
    struct pki_key signer, key;

    pki_key_make(&signer, is_rsa ? PKI_RSA_2048 : PKI_P521);
    for (size_t len = 0; list->message_len + len <= MESSAGE_MAX && list->n < CERTS_MAX;
         len = list->ders[list->n - 1].len + 16) { /* signatures differ by a few bytes */
        if (list->n == 0) {
            put_leaf(w, list, &signer);
        } else {
            if (is_rsa)
                pki_key_make_public(&key, exponent_len);
            else
                pki_key_make(&key, PKI_P521);
            put(list, &(struct pki_cert){.subject = "CN=Middle",
                                         .key = &key,
                                         .issuer = "CN=Middle",
                                         .issuer_key = &signer,
                                         .not_after_s = not_after_s,
                                         .is_ca = true});
            pki_key_free(&key);
        }
        if (is_rsa)
            lengthen_signature(list);
    }
    pki_key_free(&signer);
}

static void measure_hostile(struct world_of_anchors *w)
{
    static const struct {
        const char *name;
        size_t exponent_len; /* bytes of RSA keys; 0: P-521 */
        bool is_expired;     /* then Mbed TLS looks on for a better one */
    } kinds[] = {{"P-521", 0},
                 {"P-521, expired", 0, true},
                 {"RSA 8192, exponent of 31 bits", 4},
                 {"RSA 8192, exponent of 8191 bits", 1024}};

    printf(",\"hostile\":[");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        static struct list list;
        mbedtls_x509_crt parsed;
        double ms[2];
        fill(w, &list, kinds[i].exponent_len, kinds[i].is_expired ? pki_day(2024, 1, 1) : 0);
        for (int side = OURS; side <= MBED_TLS; side++) {
            parse(&list, side, &parsed);
            double begun = measure_s(CLOCK_PROCESS_CPUTIME_ID);
            assert_false(verify(w, side, &parsed));
            ms[side] = (measure_s(CLOCK_PROCESS_CPUTIME_ID) - begun) * 1e3;
            mbedtls_x509_crt_free(&parsed);
        }
        printf("%s{\"name\":\"%s\",\"certificates\":%zu,\"ms\":[%.1f,%.1f]}", i > 0 ? "," : "",
               kinds[i].name, list.n, ms[OURS], ms[MBED_TLS]);
        while (list.n > 0)
            hf_buf_free(&list.ders[--list.n]);
        list.message_len = 0;
    }
    printf("]");
}

int main(void)
{
    static struct world_of_anchors w;
    make_anchors(&w);
    printf("{\"anchors\":%d,", ANCHORS);
    measure_valid(&w);
    measure_hostile(&w);
    printf("}\n");
    return 0;
}
