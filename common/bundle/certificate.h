/*
 * One certificate as the verifier needs it (RFC 5280, 4): spans that point into its DER. Nothing is
 * copied or allocated. No I/O.
 */
#ifndef HF_COMMON_BUNDLE_CERTIFICATE_H
#define HF_COMMON_BUNDLE_CERTIFICATE_H

#include "common/bundle/x509_form.h"

#include <mbedtls/x509_crt.h>

#define HF_CERT_EXTENSIONS_MAX 64 /* of one certificate; real ones have a dozen */
#define HF_CERT_SERIAL_MAX 21     /* bytes: 20 (RFC 5280, 4.1.2.2) and the sign */

#define HF_NO_LIMIT (-1)

struct hf_certificate {
    struct hf_bytes der;
    struct hf_x509_form form;
    int64_t not_before_s;
    int64_t not_after_s;
    uint64_t subject_hash, issuer_hash; /* hf_name_hash */
    bool is_self_issued;                /* subject and issuer are the same name */

    /* Extensions; `data` is NULL where there is none. */
    struct hf_bytes alt_names;     /* GeneralNames, the contents of the SEQUENCE */
    struct hf_bytes constraints;   /* NameConstraints, the contents of the SEQUENCE */
    struct hf_bytes ext_key_usage; /* the OBJECT IDENTIFIERs */
    struct hf_bytes policies;      /* PolicyInformation, one behind the other */
    struct hf_bytes mappings;      /* pairs of policies */
    struct hf_bytes subject_key_id;
    struct hf_bytes authority_key_id; /* its keyIdentifier */
    struct hf_bytes unknown_critical; /* the OBJECT IDENTIFIER of the first one */
    bool has_critical_constraints;    /* on names or policies */

    bool has_key_usage;
    unsigned key_usage; /* MBEDTLS_X509_KU_… */
    bool is_ca;         /* basicConstraints says cA */
    int path_len;       /* HF_NO_LIMIT: any number of CAs below it */
    /* Certificates that may follow before a policy is required, mapping ends, or anyPolicy ends
     * (4.2.1.11, 4.2.1.14); HF_NO_LIMIT: not said. */
    int require_policy;
    int inhibit_mapping;
    int inhibit_any;
};

/**
 * Take `der` (borrowed) apart. False: not one whole certificate in strict DER, an extension that is
 * there twice or is damaged, or more than HF_CERT_EXTENSIONS_MAX. `out` is written on true only.
 */
HF_MUST_USE bool hf_certificate_parse(struct hf_bytes der, struct hf_certificate *out);

/** May it issue certificates: cA, and keyCertSign where it has a keyUsage (4.2.1.3, 4.2.1.9)? A
 *  trusted one of version 1 or 2 cannot say that it is a CA. */
HF_MUST_USE bool hf_certificate_is_issuer(const struct hf_certificate *cert, bool is_anchor);

/** The next pair of `mappings`: the issuer's policy `from`, which the subject calls `to` (4.2.1.5).
 *  False at the end. */
bool hf_certificate_take_mapping(struct hf_bytes *mappings, struct hf_bytes *from,
                                 struct hf_bytes *to);

/** Has it no extendedKeyUsage, or one with serverAuth or anyExtendedKeyUsage (4.2.1.12)? */
HF_MUST_USE bool hf_certificate_allows_server_auth(const struct hf_certificate *cert);

/** Do the key identifiers of the two say that `issuer` has another key than the one that signed
 *  `child` (4.2.1.1)? They are a hint for the search, and no reason to refuse. */
HF_MUST_USE bool hf_certificate_has_other_key_id(const struct hf_certificate *issuer,
                                                 const struct hf_certificate *child);

/** For Mbed TLS: parse one that the verifier judges, into an empty `crt`. Extensions are the
 *  verifier's, so critical ones that Mbed TLS does not know are no reason to refuse. With
 *  `has_copy` the bytes are copied. 0, or an error of Mbed TLS. */
HF_MUST_USE int hf_x509_parse(mbedtls_x509_crt *crt, struct hf_bytes der, bool has_copy);

/** An empty one. A CA callback that answers with it says that there is no path, so that Mbed TLS
 *  searches for none (deploy/mbedtls-7-end-of-search.patch), and frees it. NULL: no memory. */
HF_MUST_USE mbedtls_x509_crt *hf_x509_new(void);

#endif
