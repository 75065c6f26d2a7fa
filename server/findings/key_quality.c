#include "server/findings/key_quality.h"

#include "server/findings/roca.h"
#include "server/identity/algorithm.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdio.h>

static const char *rsa_fault(X509 *cert, const struct hf_weak_keys *list)
{
    BIGNUM *modulus = NULL;
    const char *fault = "";
    EVP_PKEY *key = X509_get0_pubkey(cert);
    if (key == NULL || EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &modulus) != 1)
        return fault; /* not RSA */
    if (hf_roca_is_weak(modulus))
        fault = "its RSA key was made by a chip whose keys can be factored (ROCA, CVE-2017-15361)";
    else if (hf_weak_keys_has(list, modulus))
        fault = "its RSA key is one of those that Debian's OpenSSL made until 2008 "
                "(CVE-2008-0166): its private key is public";
    BN_free(modulus);
    return fault;
}

void hf_key_fault(X509 *cert, bool is_ca, const struct hf_weak_keys *list,
                  char out[HF_KEY_FAULT_MAX])
{
    struct hf_why why = {0};
    struct hf_client_key_form key = hf_client_key_describe(X509_get_X509_PUBKEY(cert));
    enum hf_err err = is_ca ? hf_ca_key_check(&key, &why)
                            : hf_client_key_check(&key, HF_TLS_ANY, &why);
    (void)snprintf(out, HF_KEY_FAULT_MAX, "%.255s",
                   err != HF_OK ? why.text : rsa_fault(cert, list));
    ERR_clear_error();
}
