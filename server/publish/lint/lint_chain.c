#include "server/publish/lint/lint_chain.h"

#include "common/bundle/pem.h"

#include <mbedtls/oid.h>

#include <stdlib.h>
#include <string.h>

void hf_lint_chain_free(struct hf_lint_chain *chain)
{
    if (chain == NULL)
        return;
    mbedtls_x509_crt_free(&chain->crt);
    free(chain->name);
    free(chain->source);
    free(chain->doubt);
    free(chain);
}

/* ---- certificates ----------------------------------------------------------------------------- */

static enum hf_err parse_certs(struct hf_lint_chain *chain, const struct hf_chain *sent,
                               size_t *n_read, struct hf_why *why)
{
    struct hf_cert checked;
    for (size_t i = 0; i < sent->n_certs; i++) {
        struct hf_bytes der = hf_buf_bytes(&sent->certs[i]);
        enum hf_err err = hf_cert_parse(der, &checked, why);
        if (err == HF_E_POLICY && i > 0) /* devices pass over it too: it may not be needed */
            continue;
        if (err != HF_OK)
            return hf_fail_context(why, "certificate %zu", i + 1);
        if (mbedtls_x509_crt_parse_der(&chain->crt, der.data, der.len) != 0)
            return hf_fail(why, HF_E_FORMAT, "certificate %zu does not parse", i + 1);
        ++*n_read;
    }
    return HF_OK;
}

/* Again, from memory that lasts as long as the chain. */
static enum hf_err read_certs(struct hf_lint_chain *chain, size_t n_certs, struct hf_why *why)
{
    const mbedtls_x509_crt *crt = &chain->crt;
    for (; chain->n_certs < n_certs; chain->n_certs++, crt = crt->next) {
        struct hf_bytes der = {crt->raw.p, crt->raw.len};
        HF_TRY(hf_cert_parse(der, &chain->certs[chain->n_certs], why));
    }
    return HF_OK;
}

/* By what a device must compute first: the leaf's key, and the signature on it. */
static enum hf_chain_kind kind_of(const struct hf_lint_chain *chain)
{
    mbedtls_pk_type_t signature = chain->crt.MBEDTLS_PRIVATE(sig_pk);
    bool has_rsa_signature = signature == MBEDTLS_PK_RSA || signature == MBEDTLS_PK_RSASSA_PSS;
    bool has_rsa_key = chain->certs[0].key == HF_CERT_KEY_RSA;
    if (has_rsa_key != has_rsa_signature)
        return HF_CHAIN_MIXED;
    return has_rsa_key ? HF_CHAIN_RSA : HF_CHAIN_ECC;
}

/* To Mbed TLS a root that comes first is an anchor that ends in itself, and what follows it is never
 * looked at. A lone one may be what a small server shows; lint_reach.c has a word on that. */
static enum hf_err check_order(const struct hf_lint_chain *chain, struct hf_why *why)
{
    const struct hf_cert *first = &chain->certs[0];
    if (!first->is_ca || chain->is_lone_root)
        return HF_OK;
    return hf_fail(why, HF_E_FORMAT,
                   "it begins with a CA, \"%s\"; the certificate of the endpoint itself comes "
                   "first, then those that issued it",
                   first->subject);
}

const char *hf_chain_kind_text(enum hf_chain_kind kind)
{
    static const char *const texts[] =
        {[HF_CHAIN_MIXED] = "mixed", [HF_CHAIN_RSA] = "RSA", [HF_CHAIN_ECC] = "ECC"};
    return texts[kind];
}

/* ---- a chain ---------------------------------------------------------------------------------- */

static enum hf_err fill(struct hf_lint_chain *chain, const char *name, const char *source,
                        const struct hf_chain *sent, struct hf_why *why)
{
    chain->name = strdup(name);
    chain->source = strdup(source);
    if (chain->name == NULL || chain->source == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for endpoints");
    if (sent->n_certs == 0)
        return hf_fail(why, HF_E_FORMAT, "it holds no certificate");
    size_t n_read = 0;
    HF_TRY(parse_certs(chain, sent, &n_read, why));
    HF_TRY(read_certs(chain, n_read, why));
    chain->is_lone_root = chain->n_certs == 1 && chain->certs[0].is_ca &&
                          chain->certs[0].is_self_issued;
    HF_TRY(check_order(chain, why));
    chain->kind = kind_of(chain);
    return HF_OK;
}

enum hf_err hf_lint_chain_new(const char *name, const char *source, const struct hf_chain *sent,
                              struct hf_lint_chain **out, struct hf_why *why)
{
    struct hf_lint_chain *chain = calloc(1, sizeof *chain);
    if (chain == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for endpoints");
    mbedtls_x509_crt_init(&chain->crt);
    enum hf_err err = fill(chain, name, source, sent, why);
    if (err != HF_OK) {
        hf_lint_chain_free(chain);
        return err;
    }
    *out = chain;
    return HF_OK;
}

static enum hf_err take_block(void *ctx, size_t index, struct hf_bytes der, struct hf_why *why)
{
    (void)index;
    return hf_chain_add(ctx, der, why);
}

enum hf_err hf_lint_chain_parse(struct hf_bytes pem, struct hf_chain *out, struct hf_why *why)
{
    struct hf_chain chain = {0};
    enum hf_err err = hf_pem_walk(pem, take_block, &chain, why);
    if (err != HF_OK) {
        hf_chain_free(&chain);
        return err;
    }
    *out = chain;
    return HF_OK;
}

/* ---- names ------------------------------------------------------------------------------------ */

bool hf_lint_chain_is_for_host(const struct hf_lint_chain *chain, const char *host)
{
    uint32_t flags = 0, address[4];
    /* Mbed TLS wants it writable and does not write to it. No anchors: only the name is asked. */
    mbedtls_x509_crt *crt = (mbedtls_x509_crt *)&chain->crt;
    (void)mbedtls_x509_crt_verify(crt, NULL, NULL, host, &flags, NULL, NULL);
    if ((flags & MBEDTLS_X509_BADCERT_CN_MISMATCH) != 0)
        return false;
    /* Mbed TLS would take a common name for an address; devices do not. */
    return mbedtls_x509_crt_parse_cn_inet_pton(host, address) == 0 ||
           mbedtls_x509_crt_has_ext_type(crt, MBEDTLS_X509_EXT_SUBJECT_ALT_NAME) != 0;
}
