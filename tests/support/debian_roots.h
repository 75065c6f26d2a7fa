/*
 * The five Amazon Trust Services roots as Debian's ca-certificates ships them, and what is known of
 * them from their CA. Tests that want them skip, visibly, where the package is not installed.
 */
#ifndef HF_TESTS_SUPPORT_DEBIAN_ROOTS_H
#define HF_TESTS_SUPPORT_DEBIAN_ROOTS_H

#include <holdfast/bytes.h>

struct debian_root {
    const char *file;    /* without its folder */
    const char *subject; /* part of it */
    const char *key;     /* as hf_cert_key_text writes it */
    const char *not_after;
    const char *sha256;
    const char *spki_sha256;
};

#define DEBIAN_ROOTS 5
extern const struct debian_root debian_roots[DEBIAN_ROOTS];

/** Append the PEM file; skips the running test where it is missing. */
void debian_root_load(const struct debian_root *root, struct hf_buf *out);

#endif
