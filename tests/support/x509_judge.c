#include "tests/support/x509_judge.h"

#include "client/port/mbedtls/trust_store_internal.h"
#include "common/chain/chain.h"
#include "tests/support/tls_by_hand.h"

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

/* ---- the verdict ----------------------------------------------------------------------------- */

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

/* ---- the live store -------------------------------------------------------------------------- */

static bool is_rsa(struct hf_bytes leaf)
{
    mbedtls_x509_crt crt;
    mbedtls_x509_crt_init(&crt);
    bool is = mbedtls_x509_crt_parse_der(&crt, leaf.data, leaf.len) == 0 &&
              mbedtls_pk_get_type(&crt.pk) == MBEDTLS_PK_RSA;
    mbedtls_x509_crt_free(&crt);
    return is;
}

/** The client either stands behind the certificate or has refused it; nothing else may have
 *  happened. */
static enum x509_answer answer_of(const mbedtls_ssl_context *client, int code, int past,
                                  struct hf_why *why)
{
    uint32_t flags = mbedtls_ssl_get_verify_result(client);
    int state = client->MBEDTLS_PRIVATE(state);

    if (state == past && flags == 0)
        return X509_ACCEPTED;
    must(state == MBEDTLS_SSL_SERVER_CERTIFICATE || code == MBEDTLS_ERR_SSL_BUFFER_TOO_SMALL,
         "a handshake up to the certificate");
    char reason[96] = "";
    mbedtls_strerror(code, reason, sizeof reason);
    (void)hf_fail(why, HF_E_TLS, "flags 0x%x, -0x%04x %s", (unsigned)flags, (unsigned)-code,
                  reason);
    return X509_REFUSED;
}

enum x509_answer x509_judge_live(const struct x509_case *c, mbedtls_ssl_protocol_version version,
                                 struct hf_why *why)
{
    struct hf_trust_store *store = NULL;
    mbedtls_ssl_config config;
    static struct tls_by_hand by_hand;
    struct hf_buf message = {0};

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
    tls_by_hand_begin(&by_hand, &config, version, c->host, is_rsa(c->sent[0]));
    tls_by_hand_certificate(version, c->sent, c->n_sent, &message);
    int code = tls_by_hand_send(&by_hand, hf_buf_bytes(&message), TLS_RECORD_MAX);
    enum x509_answer answer = answer_of(&by_hand.pair.client, code,
                                        version == MBEDTLS_SSL_VERSION_TLS1_2
                                            ? MBEDTLS_SSL_SERVER_KEY_EXCHANGE
                                            : MBEDTLS_SSL_CERTIFICATE_VERIFY,
                                        why);
    hf_buf_free(&message);
    tls_by_hand_end(&by_hand);
    mbedtls_ssl_config_free(&config);
    hf_trust_store_free(store);
    return answer;
}
