#include "client/port/mbedtls/test_server.h"

#include <mbedtls/ecp.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/psa_util.h>
#include <mbedtls/rsa.h>
#include <mbedtls/x509_crt.h>

#include <stdlib.h>
#include <string.h>

#if !defined(MBEDTLS_X509_CRT_WRITE_C) || !defined(MBEDTLS_GENPRIME)
#error                                                                                             \
    "Holdfast needs MBEDTLS_X509_CRT_WRITE_C and MBEDTLS_GENPRIME: it proves with throw-away certificates that verification is on"
#endif

#define CERT_MAX 1536   /* bytes; one with an RSA key of 2048 bits takes about 700 */
#define SERIAL_BYTES 16 /* random, so that no two throw-away CAs are taken for one */

#define CA_NAME "CN=Holdfast throw-away CA,O=accept this and you accept any server"
#define SERVER_NAME "CN=" HF_TEST_SERVER_HOST

/* Every clock that a device can have lies between these, in 1970 as well as in 2106. */
#define NOT_BEFORE "19500101000000"
#define NOT_AFTER "99991231235959"

static int make_key(enum hf_test_server_kind kind, mbedtls_pk_context *out)
{
    static const mbedtls_ecp_group_id curves[] = {
        [HF_TEST_SERVER_P256] = MBEDTLS_ECP_DP_SECP256R1,
        [HF_TEST_SERVER_P384] = MBEDTLS_ECP_DP_SECP384R1,
        [HF_TEST_SERVER_P521] = MBEDTLS_ECP_DP_SECP521R1,
    };
    bool is_rsa = kind == HF_TEST_SERVER_RSA_2048;
    int code = mbedtls_pk_setup(out, mbedtls_pk_info_from_type(is_rsa ? MBEDTLS_PK_RSA
                                                                      : MBEDTLS_PK_ECKEY));

    if (code != 0)
        return code;
    if (is_rsa)
        return mbedtls_rsa_gen_key(mbedtls_pk_rsa(*out), mbedtls_psa_get_random,
                                   MBEDTLS_PSA_RANDOM_STATE, 2048, 65537);
    return mbedtls_ecp_gen_key(curves[kind], mbedtls_pk_ec(*out), mbedtls_psa_get_random,
                               MBEDTLS_PSA_RANDOM_STATE);
}

/** Sign a certificate and append it to `chain`. */
static int issue(const char *subject, mbedtls_pk_context *key, mbedtls_pk_context *ca_key,
                 bool is_ca, mbedtls_x509_crt *chain)
{
    static const char host[] = HF_TEST_SERVER_HOST;
    mbedtls_x509_san_list names = {.node.type = MBEDTLS_X509_SAN_DNS_NAME};
    unsigned char serial[SERIAL_BYTES], der[CERT_MAX];
    mbedtls_x509write_cert w;

    /* Mbed TLS asks for a pointer that it does not write through. */
    names.node.san.unstructured_name.p = (unsigned char *)(uintptr_t)host;
    names.node.san.unstructured_name.len = sizeof host - 1;
    mbedtls_x509write_crt_init(&w);
    mbedtls_x509write_crt_set_version(&w, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(&w, MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(&w, key);
    mbedtls_x509write_crt_set_issuer_key(&w, ca_key);
    int code = mbedtls_psa_get_random(MBEDTLS_PSA_RANDOM_STATE, serial, sizeof serial);
    serial[0] = (unsigned char)((serial[0] & 0x7f) | 0x01); /* positive, and not shortened */
    if (code == 0)
        code = mbedtls_x509write_crt_set_serial_raw(&w, serial, sizeof serial);
    if (code == 0)
        code = mbedtls_x509write_crt_set_subject_name(&w, subject);
    if (code == 0)
        code = mbedtls_x509write_crt_set_issuer_name(&w, CA_NAME);
    if (code == 0)
        code = mbedtls_x509write_crt_set_validity(&w, NOT_BEFORE, NOT_AFTER);
    if (code == 0)
        code = mbedtls_x509write_crt_set_basic_constraints(&w, is_ca, -1);
    if (code == 0 && !is_ca)
        code = mbedtls_x509write_crt_set_subject_alternative_name(&w, &names);
    if (code == 0) /* the length; it is written at the end of the buffer */
        code = mbedtls_x509write_crt_der(&w, der, sizeof der, mbedtls_psa_get_random,
                                         MBEDTLS_PSA_RANDOM_STATE);
    mbedtls_x509write_crt_free(&w);
    return code < 0
               ? code
               : mbedtls_x509_crt_parse_der(chain, der + sizeof der - (size_t)code, (size_t)code);
}

enum hf_err hf_test_server_make(enum hf_test_server_kind kind, struct hf_test_server *out,
                                struct hf_why *why)
{
    struct hf_trust_anchor anchor = {
        .not_before_s = INT64_MIN,
        .not_after_s = INT64_MAX,
        .distrust_after_s = INT64_MIN,
        .remove_after_s = INT64_MIN,
    };
    mbedtls_pk_context ca_key;
    enum hf_err err;

    *out = (struct hf_test_server){.is_made = true};
    mbedtls_pk_init(&ca_key);
    mbedtls_pk_init(&out->key);
    mbedtls_x509_crt_init(&out->chain);
    mbedtls_ssl_config_init(&out->config);
    int code = make_key(kind, &out->key);
    if (code == 0)
        code = make_key(HF_TEST_SERVER_P256, &ca_key);
    if (code == 0)
        code = issue(SERVER_NAME, &out->key, &ca_key, false, &out->chain);
    if (code == 0)
        code = issue(CA_NAME, &ca_key, &ca_key, true, &out->chain);
    mbedtls_pk_free(&ca_key); /* it must not issue anything else */
    if (code == 0)
        code = mbedtls_ssl_config_defaults(&out->config, MBEDTLS_SSL_IS_SERVER,
                                           MBEDTLS_SSL_TRANSPORT_STREAM,
                                           MBEDTLS_SSL_PRESET_DEFAULT);
    mbedtls_ssl_conf_rng(&out->config, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE);
    if (code == 0)
        code = mbedtls_ssl_conf_own_cert(&out->config, &out->chain, &out->key);
    if (code == 0) {
        anchor.der = (struct hf_bytes){out->chain.next->raw.p, out->chain.next->raw.len};
        err = hf_anchors_new(&anchor, 1, &out->anchors, why);
    } else {
        err = hf_fail(why, HF_E_STATE,
                      "Mbed TLS could not make a throw-away server (error -0x%04x); are memory and "
                      "a source of randomness there?",
                      (unsigned)-code);
    }
    if (err != HF_OK)
        hf_test_server_free(out);
    return err;
}

void hf_test_server_free(struct hf_test_server *server)
{
    if (!server->is_made)
        return;
    mbedtls_ssl_config_free(&server->config);
    mbedtls_x509_crt_free(&server->chain);
    mbedtls_pk_free(&server->key);
    hf_anchors_free(server->anchors);
    *server = (struct hf_test_server){0};
}

/* ---- a handshake with it --------------------------------------------------------------------- */

/* Turns of both sides, after which a handshake that is not over never will be: it needs a few. */
#define TURNS_MAX 100

/* One direction of the wire. A sender that finds it full goes on when the other has read. */
struct pipe {
    unsigned char data[4096];
    size_t begin, end;
};

struct end {
    mbedtls_ssl_context ssl;
    struct pipe in;
    struct end *other;
    int code; /* of its handshake */
};

static int put(void *end, const unsigned char *data, size_t len)
{
    struct pipe *pipe = &((struct end *)end)->other->in;

    if (pipe->begin == pipe->end)
        pipe->begin = pipe->end = 0;
    size_t room = sizeof pipe->data - pipe->end;
    size_t n = len < room ? len : room;
    if (room == 0)
        return MBEDTLS_ERR_SSL_WANT_WRITE;
    memcpy(pipe->data + pipe->end, data, n);
    pipe->end += n;
    return (int)n;
}

static int take(void *end, unsigned char *data, size_t len)
{
    struct pipe *pipe = &((struct end *)end)->in;
    size_t there = pipe->end - pipe->begin;
    size_t n = there < len ? there : len;

    if (there == 0)
        return MBEDTLS_ERR_SSL_WANT_READ;
    memcpy(data, pipe->data + pipe->begin, n);
    pipe->begin += n;
    return (int)n;
}

static bool wants_more(const struct end *end)
{
    return end->code == MBEDTLS_ERR_SSL_WANT_READ || end->code == MBEDTLS_ERR_SSL_WANT_WRITE;
}

static bool is_out_of_memory(int code)
{
    return code == MBEDTLS_ERR_SSL_ALLOC_FAILED || code == MBEDTLS_ERR_X509_ALLOC_FAILED ||
           code == MBEDTLS_ERR_PK_ALLOC_FAILED || code == MBEDTLS_ERR_ECP_ALLOC_FAILED ||
           code == MBEDTLS_ERR_MPI_ALLOC_FAILED || code == MBEDTLS_ERR_ASN1_ALLOC_FAILED;
}

enum hf_err hf_memory_handshake(const mbedtls_ssl_config *client, const mbedtls_ssl_config *server,
                                const char *host, struct hf_memory_handshake *out,
                                struct hf_why *why)
{
    struct end *ends = calloc(2, sizeof *ends);
    uint32_t flags = HF_FLAGS_UNKNOWN;
    int code = 0;

    if (ends == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for a handshake in memory");
    struct end *c = &ends[0], *s = &ends[1];
    for (size_t i = 0; i < 2; i++) {
        mbedtls_ssl_init(&ends[i].ssl);
        ends[i].other = &ends[1 - i];
        ends[i].code = MBEDTLS_ERR_SSL_WANT_READ;
        mbedtls_ssl_set_bio(&ends[i].ssl, &ends[i], put, take, NULL);
        if (code == 0)
            code = mbedtls_ssl_setup(&ends[i].ssl, i == 0 ? client : server);
    }
    if (code == 0)
        code = mbedtls_ssl_set_hostname(&c->ssl, host);
    for (int turn = 0; code == 0 && turn < TURNS_MAX; turn++) {
        /* A client that fails has said so; one that is up waits for what its server makes of it. */
        if (!wants_more(c) && (c->code != 0 || !wants_more(s)))
            break;
        if (wants_more(c))
            c->code = mbedtls_ssl_handshake(&c->ssl);
        if (wants_more(s))
            s->code = mbedtls_ssl_handshake(&s->ssl);
    }
    if (code == 0)
        flags = mbedtls_ssl_get_verify_result(&c->ssl);
    const struct hf_memory_handshake result = {c->code, s->code, flags};
    mbedtls_ssl_free(&c->ssl);
    mbedtls_ssl_free(&s->ssl);
    free(ends);
    if (is_out_of_memory(code) || is_out_of_memory(result.code) ||
        is_out_of_memory(result.server_code))
        return hf_fail(why, HF_E_MEMORY, "no memory for a handshake in memory");
    if (code != 0)
        return hf_fail(why, HF_E_ARGUMENT,
                       "no connection can be set up from this TLS configuration (Mbed TLS error "
                       "-0x%04x); complete it first, its random generator included",
                       (unsigned)-code);
    *out = result;
    return HF_OK;
}
