#include "client/port/mbedtls/throwaway.h"

#include <mbedtls/ecp.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/psa_util.h>
#include <mbedtls/rsa.h>
#include <mbedtls/x509_crt.h>

#if !defined(MBEDTLS_X509_CRT_WRITE_C) || !defined(MBEDTLS_GENPRIME)
#error                                                                                             \
    "Holdfast needs MBEDTLS_X509_CRT_WRITE_C and MBEDTLS_GENPRIME: it proves with throw-away certificates that verification is on"
#endif

#define CERT_MAX 1536   /* bytes; one with an RSA key of 2048 bits takes about 700 */
#define SERIAL_BYTES 16 /* random, so that no two throw-away CAs are taken for one */

#define CA_NAME "CN=Holdfast throw-away CA,O=accept this and you accept anybody"
#define SERVER_NAME "CN=" HF_THROWAWAY_HOST

/* Every clock that a device can have lies between these, in 1970 as well as in 2106. */
#define NOT_BEFORE "19500101000000"
#define NOT_AFTER "99991231235959"

/* ---- keys --------------------------------------------------------------------------------------- */

static int make_ec_key(mbedtls_ecp_group_id curve, mbedtls_pk_context *out)
{
    int code = mbedtls_pk_setup(out, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));

    if (code != 0)
        return code;
    return mbedtls_ecp_gen_key(curve, mbedtls_pk_ec(*out), mbedtls_psa_get_random,
                               MBEDTLS_PSA_RANDOM_STATE);
}

static int make_rsa_key(mbedtls_pk_context *out)
{
    int code = mbedtls_pk_setup(out, mbedtls_pk_info_from_type(MBEDTLS_PK_RSA));

    if (code != 0)
        return code;
    return mbedtls_rsa_gen_key(mbedtls_pk_rsa(*out), mbedtls_psa_get_random,
                               MBEDTLS_PSA_RANDOM_STATE, 2048, 65537);
}

static int make_key(enum hf_throwaway_kind kind, mbedtls_pk_context *out)
{
    switch (kind) {
    case HF_THROWAWAY_P256:
        return make_ec_key(MBEDTLS_ECP_DP_SECP256R1, out);
    case HF_THROWAWAY_P384:
        return make_ec_key(MBEDTLS_ECP_DP_SECP384R1, out);
    case HF_THROWAWAY_P521:
        return make_ec_key(MBEDTLS_ECP_DP_SECP521R1, out);
    case HF_THROWAWAY_RSA_2048:
        return make_rsa_key(out);
    }
    return MBEDTLS_ERR_PK_BAD_INPUT_DATA;
}

/* ---- certificates --------------------------------------------------------------------------------- */

struct draft {
    const char *subject;
    mbedtls_pk_context *key;
    mbedtls_pk_context *ca_key;
    bool is_ca;
};

static int set_serial(mbedtls_x509write_cert *w)
{
    unsigned char serial[SERIAL_BYTES];
    int code = mbedtls_psa_get_random(MBEDTLS_PSA_RANDOM_STATE, serial, sizeof serial);

    serial[0] = (unsigned char)((serial[0] & 0x7f) | 0x01); /* positive, and not shortened */
    return code != 0 ? code : mbedtls_x509write_crt_set_serial_raw(w, serial, sizeof serial);
}

static int set_host(mbedtls_x509write_cert *w)
{
    static const char host[] = HF_THROWAWAY_HOST;
    mbedtls_x509_san_list names = {.node.type = MBEDTLS_X509_SAN_DNS_NAME};

    /* Mbed TLS asks for a pointer that it does not write through. */
    names.node.san.unstructured_name.p = (unsigned char *)(uintptr_t)host;
    names.node.san.unstructured_name.len = sizeof host - 1;
    return mbedtls_x509write_crt_set_subject_alternative_name(w, &names);
}

static int describe(mbedtls_x509write_cert *w, const struct draft *draft)
{
    int code = set_serial(w);

    mbedtls_x509write_crt_set_version(w, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(w, MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(w, draft->key);
    mbedtls_x509write_crt_set_issuer_key(w, draft->ca_key);
    if (code == 0)
        code = mbedtls_x509write_crt_set_subject_name(w, draft->subject);
    if (code == 0)
        code = mbedtls_x509write_crt_set_issuer_name(w, CA_NAME);
    if (code == 0)
        code = mbedtls_x509write_crt_set_validity(w, NOT_BEFORE, NOT_AFTER);
    if (code == 0)
        code = mbedtls_x509write_crt_set_basic_constraints(w, draft->is_ca, -1);
    if (code == 0 && !draft->is_ca)
        code = set_host(w);
    return code;
}

/** Sign and append to `chain`. */
static int issue(const struct draft *draft, mbedtls_x509_crt *chain)
{
    unsigned char der[CERT_MAX];
    mbedtls_x509write_cert w;
    int len;

    mbedtls_x509write_crt_init(&w);
    len = describe(&w, draft);
    if (len == 0) /* it is written at the end of the buffer */
        len = mbedtls_x509write_crt_der(&w, der, sizeof der, mbedtls_psa_get_random,
                                        MBEDTLS_PSA_RANDOM_STATE);
    mbedtls_x509write_crt_free(&w);
    if (len < 0)
        return len;
    return mbedtls_x509_crt_parse_der(chain, der + sizeof der - (size_t)len, (size_t)len);
}

static int issue_chain(struct hf_throwaway *server)
{
    mbedtls_pk_context ca_key;
    int code;

    mbedtls_pk_init(&ca_key);
    code = make_key(HF_THROWAWAY_P256, &ca_key);
    if (code == 0)
        code = issue(&(struct draft){SERVER_NAME, &server->key, &ca_key, false}, &server->chain);
    if (code == 0)
        code = issue(&(struct draft){CA_NAME, &ca_key, &ca_key, true}, &server->chain);
    mbedtls_pk_free(&ca_key); /* nobody issues anything with it any more */
    return code;
}

/* ---- the server ----------------------------------------------------------------------------------- */

static int configure(struct hf_throwaway *server)
{
    int code = mbedtls_ssl_config_defaults(&server->config, MBEDTLS_SSL_IS_SERVER,
                                           MBEDTLS_SSL_TRANSPORT_STREAM,
                                           MBEDTLS_SSL_PRESET_DEFAULT);

    mbedtls_ssl_conf_rng(&server->config, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE);
    return code != 0 ? code
                     : mbedtls_ssl_conf_own_cert(&server->config, &server->chain, &server->key);
}

static enum hf_err make_anchors(struct hf_throwaway *server, struct hf_why *why)
{
    const mbedtls_x509_crt *ca = server->chain.next;
    const struct hf_trust_anchor anchor = {
        .der = {ca->raw.p, ca->raw.len},
        .not_before_s = INT64_MIN,
        .not_after_s = INT64_MAX,
        .distrust_after_s = INT64_MIN,
        .remove_after_s = INT64_MIN,
    };
    return hf_generation_new(&anchor, 1, &server->anchors, why);
}

enum hf_err hf_throwaway_make(enum hf_throwaway_kind kind, struct hf_throwaway *out,
                              struct hf_why *why)
{
    enum hf_err err = HF_OK;
    int code;

    *out = (struct hf_throwaway){.is_made = true};
    mbedtls_pk_init(&out->key);
    mbedtls_x509_crt_init(&out->chain);
    mbedtls_ssl_config_init(&out->config);
    code = make_key(kind, &out->key);
    if (code == 0)
        code = issue_chain(out);
    if (code == 0)
        code = configure(out);
    if (code != 0)
        err = hf_fail(why, HF_E_STATE,
                      "Mbed TLS could not make a throw-away server (error -0x%04x); are memory and "
                      "a source of randomness there?",
                      (unsigned)-code);
    if (err == HF_OK)
        err = make_anchors(out, why);
    if (err != HF_OK)
        hf_throwaway_free(out);
    return err;
}

void hf_throwaway_free(struct hf_throwaway *server)
{
    if (!server->is_made)
        return;
    mbedtls_ssl_config_free(&server->config);
    mbedtls_x509_crt_free(&server->chain);
    mbedtls_pk_free(&server->key);
    hf_generation_free(server->anchors);
    *server = (struct hf_throwaway){0};
}
