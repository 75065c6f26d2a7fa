/* What is wrong with the key of a certificate: AWS IoT's key quality, and what registration asks
 * for. No I/O. */
#ifndef HF_FINDINGS_KEY_QUALITY_H
#define HF_FINDINGS_KEY_QUALITY_H

#include "server/findings/limits.h"
#include "server/findings/weak_keys.h"

#include <openssl/x509.h>

/* Counts up when the rules here change, so that keys are judged again. */
#define HF_KEY_RULES 1

/** The fault as a part of a sentence ("an RSA key with …"); "" without one. */
void hf_key_fault(X509 *cert, bool is_ca, const struct hf_weak_keys *list,
                  char out[HF_KEY_FAULT_MAX]);

#endif
