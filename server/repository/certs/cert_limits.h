/* What a CA says that it may be used for, beyond what devices enforce (RFC 5280, 4.2.1.10 and 4.2.1.12). */
#ifndef HF_REPOSITORY_CERT_LIMITS_H
#define HF_REPOSITORY_CERT_LIMITS_H

#include <holdfast/bytes.h>

struct hf_cert_limits {
    bool has_name_constraints;
    bool is_for_servers; /* extendedKeyUsage is absent, or has serverAuth or anyExtendedKeyUsage */
};

/** `der` is one certificate. HF_E_FORMAT for what Mbed TLS cannot read. No I/O. */
HF_MUST_USE enum hf_err hf_cert_limits_parse(struct hf_bytes der, struct hf_cert_limits *out,
                                             struct hf_why *why);

#endif
