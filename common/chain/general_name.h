/*
 * The names that a server certificate is for (RFC 5280, 4.2.1.6), and which of them a client that
 * looks for a host takes (RFC 9525). No I/O.
 */
#ifndef HF_COMMON_CHAIN_GENERAL_NAME_H
#define HF_COMMON_CHAIN_GENERAL_NAME_H

#include "common/bundle/certificate.h"
#include "common/bundle/distinguished_name.h"

/* The number in the tag of a GeneralName. */
enum hf_name_kind {
    HF_NAME_OTHER = 0,
    HF_NAME_EMAIL = 1,
    HF_NAME_DNS = 2,
    HF_NAME_X400 = 3,
    HF_NAME_DIRECTORY = 4,
    HF_NAME_EDI_PARTY = 5,
    HF_NAME_URI = 6,
    HF_NAME_ADDRESS = 7,
    HF_NAME_REGISTERED_ID = 8,
    HF_NAME_UNKNOWN = 9, /* of a kind that the RFC does not have */
};

struct hf_general_name {
    enum hf_name_kind kind;
    struct hf_bytes value; /* of HF_NAME_DIRECTORY a whole Name */
};

/** Take the next GeneralName. False: there is none, or it is damaged (then `*rest` is not
 *  empty). */
HF_MUST_USE bool hf_general_name_take(struct hf_bytes *rest, struct hf_general_name *out);

/** Has the certificate a DNS name or an address in its subjectAltName? */
HF_MUST_USE bool hf_certificate_has_host_name(const struct hf_certificate *cert);

/** Take the next common name of the subject that could be a DNS name: a walk of hf_name_walk. */
HF_MUST_USE bool hf_common_name_take(struct hf_name_walk *walk, struct hf_bytes *out);

/**
 * Is the certificate for `host`, a DNS name or an address? Only its subjectAltName counts (RFC
 * 9525, 2), and a wildcard is the whole first label, for one label, above a name of two or more
 * (6.3). With `has_common_names` a common name counts for a DNS name where the certificate has no
 * subjectAltName: old private servers are like that.
 */
HF_MUST_USE bool hf_certificate_is_for(const struct hf_certificate *cert, const char *host,
                                       bool has_common_names);

/** Why a wildcard of `cert` that looks as if it were for `host` does not count (6.3); NULL: none
 *  looks so. Static. */
const char *hf_certificate_wildcard_fault(const struct hf_certificate *cert, const char *host);

/** Accept common names in this process from now on, or no longer. Off at first. */
void hf_common_names_accept(bool is_accepted);
bool hf_common_names_are_accepted(void);

/** Is it only a common name that keeps hf_certificate_is_for from being true? */
HF_MUST_USE bool hf_certificate_lacks_only_alt_name(const struct hf_certificate *cert,
                                                    const char *host);

#endif
