/*
 * What a device's TLS library was built with, as its publisher describes it: a text of lines
 *
 *     digests     sha256 sha384 sha512 sha1
 *     signatures  rsa-pkcs1 rsa-pss ecdsa
 *     keys        rsa p256 p384 p521
 *     rsa-bits    4096
 *
 * of which each lists all there is; a line that is missing means everything, `#` begins a comment.
 */
#ifndef HF_PUBLISH_LINT_DEVICE_H
#define HF_PUBLISH_LINT_DEVICE_H

#include "common/bundle/cert.h"

#include <mbedtls/pk.h>

struct hf_lint_device {
    unsigned digests;    /* bit 1 << enum hf_cert_digest */
    unsigned signatures; /* bits of lint_device.c */
    unsigned keys;       /* bit 1 << enum hf_cert_key */
    unsigned rsa_bits_max;
};

/** I/O: reads it. HF_E_FORMAT with file and line. */
HF_MUST_USE enum hf_err hf_lint_device_load(const char *file, struct hf_lint_device *out,
                                            struct hf_why *why);

/** What the device lacks for that key: a word of the list above, or NULL. */
const char *hf_lint_device_lacks_key(const struct hf_lint_device *device,
                                     const struct hf_cert *cert);

/** What it lacks to verify the signature of that certificate, which is of that kind; NULL. */
const char *hf_lint_device_lacks_signature(const struct hf_lint_device *device,
                                           const struct hf_cert *cert, mbedtls_pk_type_t signature);

#endif
