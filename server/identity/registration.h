/*
 * What is checked once, when a CA or a certificate is registered. No I/O, no clock. Every function
 * leaves OpenSSL's list of errors empty.
 */
#ifndef HF_IDENTITY_REGISTRATION_H
#define HF_IDENTITY_REGISTRATION_H

#include "server/identity/client_cert.h"

/* Characters of a registration code: 256 bits, hexadecimal. */
#define HF_REGISTRATION_CODE_LEN 64

/**
 * May this be registered as a CA? It is an X.509 v3 certificate with basicConstraints cA (and
 * keyCertSign where there is a keyUsage), its key is one that may sign client certificates, it is
 * valid now, and if it signed itself, that signature is right. HF_E_POLICY, HF_E_EXPIRED,
 * HF_E_SIGNATURE, HF_E_FORMAT.
 */
HF_MUST_USE enum hf_err hf_ca_check(const X509 *ca, int64_t now_s, struct hf_client_cert *out,
                                    struct hf_why *why);

/**
 * Does the one who registers `ca` hold its private key? `proof` is a certificate that the CA has
 * signed, for any key, whose CN is the account's registration code (AWS's way). The CA was checked.
 * HF_E_ARGUMENT for a wrong CN, HF_E_SIGNATURE, HF_E_POLICY (algorithms), HF_E_EXPIRED,
 * HF_E_FORMAT.
 */
HF_MUST_USE enum hf_err hf_ca_check_proof(X509 *ca, X509 *proof,
                                          const char code[HF_REGISTRATION_CODE_LEN + 1],
                                          int64_t now_s, struct hf_why *why);

/**
 * May this be registered as a client certificate? Its key and its signature algorithm are of the
 * tables and it is valid now; with a `ca` (otherwise NULL), that one has signed it and is valid now
 * too. `out` is the certificate's. HF_E_POLICY, HF_E_EXPIRED, HF_E_UNTRUSTED (another CA's),
 * HF_E_SIGNATURE, HF_E_FORMAT.
 */
HF_MUST_USE enum hf_err hf_client_cert_check(X509 *cert, X509 *ca, int64_t now_s,
                                             struct hf_client_cert *out, struct hf_why *why);

/** Did `ca` sign `cert`: the name of the issuer, the key identifiers where both are there, the
 *  signature. HF_E_UNTRUSTED for another CA's, HF_E_SIGNATURE. */
HF_MUST_USE enum hf_err hf_ca_check_signed(X509 *ca, X509 *cert, struct hf_why *why);

#endif
