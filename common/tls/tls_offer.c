#include "common/tls/tls_offer.h"

#include <mbedtls/ssl_ciphersuites.h>

/* TLS 1.3 chooses the server's key by these. Those of PKCS#1 v1.5 speak of signatures in
 * certificates only (RFC 8446, 4.2.3): a key on a curve may well be certified by an RSA one. */
static const uint16_t rsa_signatures[] = {
    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA256,
    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA384,
    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA512,
    MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA256,
    MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA384,
    MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA512,
    MBEDTLS_TLS1_3_SIG_NONE,
};
static const uint16_t ecc_signatures[] = {
    MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256,
    MBEDTLS_TLS1_3_SIG_ECDSA_SECP384R1_SHA384,
    MBEDTLS_TLS1_3_SIG_ECDSA_SECP521R1_SHA512,
    MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA256,
    MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA384,
    MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA512,
    MBEDTLS_TLS1_3_SIG_NONE,
};

/* TLS 1.2 chooses it by the suite, and the signatures that are offered stay all of them. */
#define RSA_SUITES                                                                                 \
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,                                                 \
        MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,                                       \
        MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,                                             \
        MBEDTLS_TLS_DHE_RSA_WITH_AES_256_GCM_SHA384, MBEDTLS_TLS_DHE_RSA_WITH_AES_128_GCM_SHA256
#define ECC_SUITES                                                                                 \
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,                                               \
        MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,                                     \
        MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_CCM, \
        MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_CCM, MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8
#define TLS13_SUITES                                                                               \
    MBEDTLS_TLS1_3_AES_256_GCM_SHA384, MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,                    \
        MBEDTLS_TLS1_3_AES_128_GCM_SHA256, MBEDTLS_TLS1_3_AES_128_CCM_SHA256

/* Only on request. With static RSA, a stolen server key opens every recorded connection; the
 * padding of CBC has leaked plaintext many times. */
#define RSA_LEGACY_SUITES                                                                          \
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384, MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256,  \
        MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,    \
        MBEDTLS_TLS_RSA_WITH_AES_256_GCM_SHA384, MBEDTLS_TLS_RSA_WITH_AES_128_GCM_SHA256,          \
        MBEDTLS_TLS_RSA_WITH_AES_256_CBC_SHA256, MBEDTLS_TLS_RSA_WITH_AES_128_CBC_SHA256,          \
        MBEDTLS_TLS_RSA_WITH_AES_256_CBC_SHA, MBEDTLS_TLS_RSA_WITH_AES_128_CBC_SHA
#define ECC_LEGACY_SUITES                                                                          \
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384,                                               \
        MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256,                                           \
        MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA

static const int rsa_suites[] = {RSA_SUITES, 0};
static const int ecc_suites[] = {ECC_SUITES, 0};
static const int all_suites[] = {TLS13_SUITES, ECC_SUITES, RSA_SUITES, 0};
static const int rsa_suites_and_legacy[] = {RSA_SUITES, RSA_LEGACY_SUITES, 0};
static const int ecc_suites_and_legacy[] = {ECC_SUITES, ECC_LEGACY_SUITES, 0};
static const int all_suites_and_legacy[] = {TLS13_SUITES,      ECC_SUITES,        RSA_SUITES,
                                            ECC_LEGACY_SUITES, RSA_LEGACY_SUITES, 0};

static void set_version(mbedtls_ssl_config *config, mbedtls_ssl_protocol_version version)
{
    mbedtls_ssl_conf_min_tls_version(config, version);
    mbedtls_ssl_conf_max_tls_version(config, version);
}

void hf_tls_offer_set(mbedtls_ssl_config *config, struct hf_tls_offer offer)
{
    bool is_rsa = offer.keys == HF_TLS_KEYS_RSA, has_legacy = offer.has_legacy_ciphers;
    const int *suites;

    /* Mbed TLS has one list for both versions. In TLS 1.3 no suite chooses the key. */
    if (offer.version != HF_TLS_12 || offer.keys == HF_TLS_KEYS_ANY)
        suites = has_legacy ? all_suites_and_legacy : all_suites;
    else if (is_rsa)
        suites = has_legacy ? rsa_suites_and_legacy : rsa_suites;
    else
        suites = has_legacy ? ecc_suites_and_legacy : ecc_suites;
    mbedtls_ssl_conf_ciphersuites(config, suites);
    switch (offer.version) {
    case HF_TLS_12:
        set_version(config, MBEDTLS_SSL_VERSION_TLS1_2);
        break;
    case HF_TLS_13:
        set_version(config, MBEDTLS_SSL_VERSION_TLS1_3);
        if (offer.keys != HF_TLS_KEYS_ANY)
            mbedtls_ssl_conf_sig_algs(config, is_rsa ? rsa_signatures : ecc_signatures);
        break;
    case HF_TLS_12_OR_13:
        break;
    }
}
