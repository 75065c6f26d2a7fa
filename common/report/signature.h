/*
 * Reports of a device without TLS: HTTP message signatures (RFC 9421) by an Ed25519 key of the
 * device, in one fixed form. No I/O, and no policy: whether the key is one of the device is for the
 * caller.
 *
 *     Content-Type: application/json
 *     Content-Digest: sha-256=:BASE64 of the body's SHA-256:                           (RFC 9530)
 *     Signature-Input: holdfast=("@method" "@authority" "@path" "content-type" "content-digest");
 *         created=SECONDS;keyid="BASE64URL of the key";alg="ed25519";tag="holdfast-report"
 *     Signature: holdfast=:BASE64:
 *
 * One line each, exactly so: with one label and parameters in this order there is one signature
 * base, and nothing that an attacker may choose. What is signed names the method, the server and
 * the path, so that a report is of no use at another server or another address of it.
 *
 * `created` is the device's clock, which proves nothing: replay is judged by the reports'
 * `installation` and `seq`.
 */
#ifndef HF_COMMON_REPORT_SIGNATURE_H
#define HF_COMMON_REPORT_SIGNATURE_H

#include "common/base/digest.h"

#define HF_REPORT_KEY_LEN 32 /* bytes of the public key, and of the secret seed (RFC 8032) */
#define HF_REPORT_SIGNATURE_LEN 64
#define HF_REPORT_KEY_TEXT_SIZE 44 /* base64url without padding (RFC 4648, 5), and a NUL */

#define HF_REPORT_CONTENT_TYPE "application/json"
#define HF_REPORT_TAG "holdfast-report"

/** What is signed of a request. All borrowed. */
struct hf_report_message {
    const char *method;    /* "POST" */
    const char *authority; /* the Host header: no default port; letters of either case */
    const char *path;      /* the path of the target, without a query: "/v1/reports" */
    const char *content_type;
    struct hf_bytes body;
};

/** The values of the three headers. */
struct hf_report_headers {
    char content_digest[64];
    char signature_input[224];
    char signature[104];
};

/** What the three headers say, not verified. */
struct hf_report_signature {
    uint8_t body_sha256[HF_SHA256_LEN];
    int64_t created_s;
    uint8_t public_key[HF_REPORT_KEY_LEN];
    uint8_t signature[HF_REPORT_SIGNATURE_LEN];
};

/** The public key as text, as `keyid` has it and an operator registers it. */
void hf_report_key_format(const uint8_t key[HF_REPORT_KEY_LEN], char out[HF_REPORT_KEY_TEXT_SIZE]);
/** HF_E_FORMAT, with `key` in an undefined state. */
HF_MUST_USE enum hf_err hf_report_key_parse(const char *text, uint8_t key[HF_REPORT_KEY_LEN],
                                            struct hf_why *why);

/**
 * Append the signature base (RFC 9421, 2.5): a line for each component, and the parameters; no line
 * feed at its end. Of `s` only key, digest and `created_s` are read. HF_E_MEMORY; HF_E_FORMAT where
 * a value of the message would end its line.
 */
HF_MUST_USE enum hf_err hf_report_signature_base(const struct hf_report_message *m,
                                                 const struct hf_report_signature *s,
                                                 struct hf_buf *out, struct hf_why *why);

/** The headers of `m`, signed by the key of `seed`. HF_E_MEMORY, HF_E_FORMAT. */
HF_MUST_USE enum hf_err hf_report_sign(const struct hf_report_message *m, int64_t created_s,
                                       const uint8_t seed[HF_REPORT_KEY_LEN],
                                       struct hf_report_headers *out, struct hf_why *why);

/** Read the headers; a NULL one is missing. HF_E_FORMAT names the header. `*out` on HF_OK only. */
HF_MUST_USE enum hf_err hf_report_signature_parse(const char *content_digest,
                                                  const char *signature_input,
                                                  const char *signature,
                                                  struct hf_report_signature *out,
                                                  struct hf_why *why);

/** HF_OK: `s->public_key` has signed this message with this body. HF_E_HASH: the body is not the
 *  one of the digest. HF_E_SIGNATURE. HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_report_signature_verify(const struct hf_report_signature *s,
                                                   const struct hf_report_message *m,
                                                   struct hf_why *why);

#endif
