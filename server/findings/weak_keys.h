/*
 * RSA keys that Debian's OpenSSL made from 2006 to 2008 (CVE-2008-0166): it had 32,768 of each
 * size, and lists of them are public. The files are those of the package openssl-blacklist: a line
 * for each key, with the last 20 hexadecimal digits of the SHA-1 of "Modulus=…\n" as `openssl rsa
 * -modulus` prints it; comments begin with #.
 */
#ifndef HF_FINDINGS_WEAK_KEYS_H
#define HF_FINDINGS_WEAK_KEYS_H

#include <holdfast/bytes.h>

#include <openssl/bn.h>

#define HF_WEAK_KEY_LEN 10u

/* All zero is an empty list. */
struct hf_weak_keys {
    uint8_t (*keys)[HF_WEAK_KEY_LEN]; /* sorted by hf_weak_keys_sort */
    size_t n, cap;
};

/** Add what a file holds; `name` is for messages. HF_E_FORMAT with the line, HF_E_LIMIT,
 *  HF_E_MEMORY. No I/O. */
HF_MUST_USE enum hf_err hf_weak_keys_parse(struct hf_weak_keys *list, const char *name,
                                           struct hf_bytes text, struct hf_why *why);
/** After the last file, before hf_weak_keys_has. */
void hf_weak_keys_sort(struct hf_weak_keys *list);
/** Read these files (`n`) into `out`, sorted. Also HF_E_NOT_FOUND, HF_E_STORAGE. */
HF_MUST_USE enum hf_err hf_weak_keys_read(const char *const *files, size_t n,
                                          struct hf_weak_keys *out, struct hf_why *why);
bool hf_weak_keys_has(const struct hf_weak_keys *list, const BIGNUM *modulus);
void hf_weak_keys_free(struct hf_weak_keys *list);

#endif
