#include "server/findings/crl.h"

#include "common/os/file_util.h"
#include "server/findings/limits.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>

static enum hf_err add_take(struct hf_crls *crls, X509_CRL *crl, struct hf_why *why)
{
    X509_CRL **list = realloc(crls->list, (crls->n + 1) * sizeof *list);
    if (list == NULL) {
        X509_CRL_free(crl);
        return hf_fail(why, HF_E_MEMORY, "no memory for a revocation list");
    }
    crls->list = list;
    list[crls->n++] = crl;
    return HF_OK;
}

/* All of it: what is behind a list that was not read could be another one. */
static enum hf_err parse(struct hf_crls *crls, const char *name, struct hf_bytes text,
                         struct hf_why *why)
{
    const uint8_t *at = text.data;
    X509_CRL *crl = text.len > 0 && at[0] == 0x30 ? d2i_X509_CRL(NULL, &at, (long)text.len) : NULL;
    bool is_whole = crl != NULL && at == text.data + text.len;
    enum hf_err err = HF_OK;
    if (crl != NULL) {
        err = add_take(crls, crl, why);
    } else {
        BIO *bio = BIO_new_mem_buf(text.data, (int)text.len);
        size_t before = crls->n;
        ERR_clear_error();
        while (err == HF_OK && bio != NULL && (crl = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL)))
            err = add_take(crls, crl, why);
        is_whole = crls->n > before && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
        BIO_free(bio);
    }
    if (err == HF_OK && !is_whole)
        err = hf_fail(why, HF_E_FORMAT,
                      "%s: expected certificate revocation lists in PEM, or one in DER, and "
                      "nothing else",
                      name);
    return err;
}

enum hf_err hf_crls_read(const char *const *files, size_t n, struct hf_crls *out,
                         struct hf_why *why)
{
    struct hf_crls crls = {0};
    enum hf_err err = HF_OK;
    for (size_t i = 0; i < n && err == HF_OK; i++) {
        struct hf_buf text = {0};
        err = hf_file_read_any(files[i], HF_CRL_BYTES_MAX, &text, why);
        if (err == HF_OK)
            err = parse(&crls, files[i], (struct hf_bytes){text.data, text.len}, why);
        hf_buf_free(&text);
    }
    ERR_clear_error();
    if (err == HF_OK)
        *out = crls;
    else
        hf_crls_free(&crls);
    return err;
}

bool hf_crls_has(const struct hf_crls *crls, X509 *cert)
{
    X509_REVOKED *entry = NULL;
    for (size_t i = 0; i < crls->n; i++)
        if (X509_NAME_cmp(X509_CRL_get_issuer(crls->list[i]), X509_get_issuer_name(cert)) == 0 &&
            X509_CRL_get0_by_cert(crls->list[i], &entry, cert) == 1)
            return true;
    return false;
}

void hf_crls_free(struct hf_crls *crls)
{
    for (size_t i = 0; i < crls->n; i++)
        X509_CRL_free(crls->list[i]);
    free(crls->list);
    *crls = (struct hf_crls){0};
}
