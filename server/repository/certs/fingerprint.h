/* SHA-256 as people write it: 64 hexadecimal digits, of either case, with colons or spaces if they
 * like, or the first 16 or more. */
#ifndef HF_REPOSITORY_FINGERPRINT_H
#define HF_REPOSITORY_FINGERPRINT_H

#include "common/base/digest.h"

#define HF_FINGERPRINT_DIGITS_MIN 16 /* 64 bits: nobody finds a second one by accident */

struct hf_fingerprint {
    char digits[HF_SHA256_HEX_LEN]; /* lower case */
};

/** The first `len` characters of `text`. HF_E_ARGUMENT. */
HF_MUST_USE enum hf_err hf_fingerprint_parse(const char *text, size_t len,
                                             struct hf_fingerprint *out, struct hf_why *why);

bool hf_fingerprint_matches(const struct hf_fingerprint *f, const uint8_t sha256[HF_SHA256_LEN]);

#endif
