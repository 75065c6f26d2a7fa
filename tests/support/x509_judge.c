#include "tests/support/x509_judge.h"

#include "client/port/mbedtls/trust_store_internal.h"
#include "common/chain/chain.h"
#include "tests/support/tls_pair.h"

#include <holdfast/trust_store.h>

#include <mbedtls/error.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** For what has to succeed whatever the chain is. */
static void must(bool is_ok, const char *what)
{
    if (is_ok)
        return;
    fprintf(stderr, "x509_judge: %s failed\n", what);
    abort();
}

/** The anchors that can be in a store at all. To be freed. */
static struct hf_trust_anchor *usable_anchors(const struct x509_case *c, size_t *n)
{
    struct hf_trust_anchor *list = calloc(c->n_anchors + 1, sizeof *list);
    must(list != NULL, "calloc");
    *n = 0;
    for (size_t i = 0; i < c->n_anchors; i++) {
        struct hf_anchors *one = NULL;
        if (hf_anchors_new(&c->anchors[i], 1, &one, NULL) == HF_OK)
            list[(*n)++] = c->anchors[i];
        hf_anchors_free(one);
    }
    return list;
}

/* ---- the verdict -------------------------------------------------------------------------------- */

enum x509_answer x509_judge_verdict(const struct x509_case *c, struct hf_why *why)
{
    const struct hf_chain_context context = {.host = c->host, .at_s = c->at_s};
    struct hf_chain chain = {0};
    struct hf_chain_verdict verdict = {0};
    struct hf_anchors *anchors = NULL;
    bool is_valid = false;
    size_t n_anchors;
    struct hf_trust_anchor *list = usable_anchors(c, &n_anchors);

    enum hf_err err = hf_anchors_new(list, n_anchors, &anchors, why);
    free(list);
    for (size_t i = 0; err == HF_OK && i < c->n_sent; i++)
        err = hf_chain_add(&chain, c->sent[i], why);
    if (err == HF_OK)
        err = hf_chain_judge(&chain, anchors, &context, &verdict, why);
    if (err == HF_OK) {
        is_valid = verdict.is_valid;
        hf_chain_verdict_faults(&verdict, why->text);
    }
    hf_chain_verdict_free(&verdict);
    hf_chain_free(&chain);
    hf_anchors_free(anchors);
    return is_valid ? X509_ACCEPTED : X509_REFUSED;
}

/* ---- the certificate message of TLS 1.2, byte by byte -------------------------------------------- */

/* Records up to this many bytes (RFC 5246, 6.2.1). */
#define RECORD_MAX 16384

struct flight {
    struct hf_buf bytes;
    size_t at;
};

static void put(struct hf_buf *out, const void *data, size_t len)
{
    must(hf_buf_append(out, data, len) == HF_OK, "malloc");
}

static void put_uint24(struct hf_buf *out, size_t value)
{
    const uint8_t bytes[] = {(uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};
    put(out, bytes, sizeof bytes);
}

static void put_records(struct hf_buf *out, struct hf_bytes message)
{
    for (size_t at = 0; at < message.len;) {
        size_t n = message.len - at < RECORD_MAX ? message.len - at : RECORD_MAX;
        const uint8_t head[] = {MBEDTLS_SSL_MSG_HANDSHAKE, 3, 3, (uint8_t)(n >> 8), (uint8_t)n};
        put(out, head, sizeof head);
        put(out, message.data + at, n);
        at += n;
    }
}

/** ServerHello with ECDHE and the leaf's kind of key, and Certificate. */
static struct hf_buf flight_of(const struct x509_case *c, bool has_rsa_leaf)
{
    const uint8_t hello[] = {MBEDTLS_SSL_HS_SERVER_HELLO,
                             0,
                             0,
                             45,
                             3,
                             3,
                             /* random */ 1,
                             2,
                             3,
                             4,
                             5,
                             6,
                             7,
                             8,
                             9,
                             10,
                             11,
                             12,
                             13,
                             14,
                             15,
                             16,
                             17,
                             18,
                             19,
                             20,
                             21,
                             22,
                             23,
                             24,
                             25,
                             26,
                             27,
                             28,
                             29,
                             30,
                             31,
                             32,
                             /* no session, ECDHE-RSA or -ECDSA-AES128-GCM-SHA256 */ 0,
                             0xc0,
                             has_rsa_leaf ? 0x2f : 0x2b,
                             /* no compression */ 0,
                             /* renegotiation_info */ 0,
                             5,
                             0xff,
                             1,
                             0,
                             1,
                             0};
    const uint8_t type = MBEDTLS_SSL_HS_CERTIFICATE;
    struct hf_buf flight = {0}, message = {0};
    size_t len = 0;

    for (size_t i = 0; i < c->n_sent; i++)
        len += 3 + c->sent[i].len;
    put(&message, &type, 1);
    put_uint24(&message, 3 + len);
    put_uint24(&message, len);
    for (size_t i = 0; i < c->n_sent; i++) {
        put_uint24(&message, c->sent[i].len);
        put(&message, c->sent[i].data, c->sent[i].len);
    }
    put_records(&flight, (struct hf_bytes){hello, sizeof hello});
    put_records(&flight, hf_buf_bytes(&message));
    hf_buf_free(&message);
    return flight;
}

static int drop(void *ctx, const unsigned char *data, size_t len)
{
    (void)ctx;
    (void)data;
    return (int)len;
}

static int take(void *ctx, unsigned char *data, size_t len)
{
    struct flight *flight = ctx;
    size_t left = flight->bytes.len - flight->at, n = left < len ? left : len;
    if (n == 0)
        return MBEDTLS_ERR_SSL_WANT_READ;
    memcpy(data, flight->bytes.data + flight->at, n);
    flight->at += n;
    return (int)n;
}

static int meet_by_hand(const struct x509_case *c, bool has_rsa_leaf, mbedtls_ssl_context *client)
{
    struct flight flight = {.bytes = flight_of(c, has_rsa_leaf)};
    mbedtls_ssl_set_bio(client, &flight, drop, take, NULL);
    int code = mbedtls_ssl_handshake(client);
    hf_buf_free(&flight.bytes);
    return code;
}

/* ---- a server of TLS 1.3 ------------------------------------------------------------------------- */

/* Of Certificate, beside the certificates (RFC 8446, 4.4.2): its own head, and per certificate 3 bytes
 * of length and 2 of extensions. */
#define MESSAGE_HEAD_LEN 8
#define ENTRY_HEAD_LEN 5

static bool fits_one_record(const struct x509_case *c)
{
    size_t len = MESSAGE_HEAD_LEN;
    for (size_t i = 0; i < c->n_sent; i++)
        len += ENTRY_HEAD_LEN + c->sent[i].len;
    return len <= MBEDTLS_SSL_OUT_CONTENT_LEN;
}

/* The server sends these bytes as they are; it need not be able to parse them, and its key need not be
 * the leaf's: the client looks at the chain before it looks at the signature of the handshake. */
static void present(mbedtls_x509_crt *list, const struct x509_case *c, const struct pki_key *key)
{
    mbedtls_x509_crt_init(list);
    list->pk = key->pk;
    mbedtls_x509_crt *at = list;
    for (size_t i = 0; i < c->n_sent; i++) {
        if (i > 0) {
            at->next = calloc(1, sizeof *at);
            must(at->next != NULL, "calloc");
            at = at->next;
        }
        at->raw.p = (unsigned char *)c->sent[i].data;
        at->raw.len = c->sent[i].len;
    }
}

static void withdraw(mbedtls_x509_crt *list)
{
    for (mbedtls_x509_crt *at = list->next, *next; at != NULL; at = next) {
        next = at->next;
        free(at);
    }
}

static int meet_server(const struct x509_case *c, bool has_rsa_leaf, struct tls_pair *pair,
                       const mbedtls_ssl_config *config)
{
    static struct pki_key keys[2];
    static bool has_keys;
    struct tls_server server;
    int client = MBEDTLS_ERR_SSL_WANT_READ, code = MBEDTLS_ERR_SSL_WANT_READ;

    if (!has_keys) {
        pki_key_make(&keys[0], PKI_P256);
        pki_key_make(&keys[1], PKI_RSA_2048);
        has_keys = true;
    }
    struct pki_key *key = &keys[has_rsa_leaf];
    tls_server_make(&server, MBEDTLS_SSL_VERSION_TLS1_3, key, NULL, 0);
    present(&server.chain, c, key);
    tls_prepare(pair, config, &server);
    must(mbedtls_ssl_set_hostname(&pair->client, c->host) == 0, "mbedtls_ssl_set_hostname");
    for (int round = 0; round < 4 && client == MBEDTLS_ERR_SSL_WANT_READ; round++) {
        client = mbedtls_ssl_handshake(&pair->client);
        if (code == MBEDTLS_ERR_SSL_WANT_READ)
            code = mbedtls_ssl_handshake(&pair->server);
    }
    withdraw(&server.chain);
    mbedtls_x509_crt_init(&server.chain);
    mbedtls_ssl_free(&pair->server);
    mbedtls_ssl_init(&pair->server);
    tls_server_free(&server);
    return client;
}

/* ---- the live store ------------------------------------------------------------------------------ */

static bool is_rsa(struct hf_bytes leaf)
{
    mbedtls_x509_crt crt;
    mbedtls_x509_crt_init(&crt);
    bool is = mbedtls_x509_crt_parse_der(&crt, leaf.data, leaf.len) == 0 &&
              mbedtls_pk_get_type(&crt.pk) == MBEDTLS_PK_RSA;
    mbedtls_x509_crt_free(&crt);
    return is;
}

/** The client either stands behind the certificate or has refused it; nothing else may have happened. */
static enum x509_answer answer_of(const mbedtls_ssl_context *client, int code, int past,
                                  struct hf_why *why)
{
    uint32_t flags = mbedtls_ssl_get_verify_result(client);
    int state = client->MBEDTLS_PRIVATE(state);

    if (state == past && flags == 0)
        return X509_ACCEPTED;
    must(state == MBEDTLS_SSL_SERVER_CERTIFICATE, "a handshake up to the certificate");
    char reason[96] = "";
    mbedtls_strerror(code, reason, sizeof reason);
    (void)hf_fail(why, HF_E_TLS, "flags 0x%x, -0x%04x %s", (unsigned)flags, (unsigned)-code,
                  reason);
    return X509_REFUSED;
}

enum x509_answer x509_judge_live(const struct x509_case *c, mbedtls_ssl_protocol_version version,
                                 struct hf_why *why)
{
    const bool is_12 = version == MBEDTLS_SSL_VERSION_TLS1_2;
    bool has_rsa_leaf = is_rsa(c->sent[0]);
    struct hf_trust_store *store = NULL;
    mbedtls_ssl_config config;
    static struct tls_pair pair;
    int code;

    if (!is_12 && !fits_one_record(c))
        return X509_NOT_ASKED;
    hf_trust_store_set_clock(c->at_s);
    must(hf_trust_store_new(&store, why) == HF_OK, "hf_trust_store_new");
    size_t n_anchors;
    struct hf_trust_anchor *list = usable_anchors(c, &n_anchors);
    enum hf_err err = hf_trust_store_swap(store, list, n_anchors, why);
    free(list);
    if (err != HF_OK) {
        hf_trust_store_free(store);
        return X509_REFUSED;
    }
    tls_client_make(&config, version);
    must(hf_trust_store_bind(store, &config, why) == HF_OK, "hf_trust_store_bind");
    if (is_12) {
        mbedtls_ssl_init(&pair.client);
        must(mbedtls_ssl_setup(&pair.client, &config) == 0, "mbedtls_ssl_setup");
        must(mbedtls_ssl_set_hostname(&pair.client, c->host) == 0, "mbedtls_ssl_set_hostname");
        code = meet_by_hand(c, has_rsa_leaf, &pair.client);
    } else {
        code = meet_server(c, has_rsa_leaf, &pair, &config);
    }
    enum x509_answer answer = answer_of(&pair.client, code,
                                        is_12 ? MBEDTLS_SSL_SERVER_KEY_EXCHANGE
                                              : MBEDTLS_SSL_CERTIFICATE_VERIFY,
                                        why);
    mbedtls_ssl_free(&pair.client);
    mbedtls_ssl_config_free(&config);
    hf_trust_store_free(store);
    return answer;
}
