/*
 * Certificate revocation lists (RFC 5280, 5) that an operator has put into files. Their signatures
 * are not verified: the files are the operator's own, and what is found in them only makes a
 * finding.
 */
#ifndef HF_FINDINGS_CRL_H
#define HF_FINDINGS_CRL_H

#include <holdfast/bytes.h>

#include <openssl/x509.h>

/* All zero is none. */
struct hf_crls {
    X509_CRL **list;
    size_t n;
};

/** Read these files (`n`): PEM with one list or more, or one in DER. HF_E_FORMAT, also for a list
 *  among others that cannot be read, HF_E_LIMIT, HF_E_NOT_FOUND, HF_E_STORAGE, HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_crls_read(const char *const *files, size_t n, struct hf_crls *out,
                                     struct hf_why *why);
/** Does a list of its issuer name this certificate? */
bool hf_crls_has(const struct hf_crls *crls, X509 *cert);
void hf_crls_free(struct hf_crls *crls);

#endif
