/*
 * The device's key in a PKCS#11 token (OASIS PKCS#11 v2.40: secure elements, TPMs, HSMs, SoftHSM2),
 * as a key of the port. The token is looked for when the key is first needed. Nothing but the
 * signature and the public key leaves it.
 */
#ifndef HF_CLIENT_PORT_IDENTITY_TOKEN_KEY_H
#define HF_CLIENT_PORT_IDENTITY_TOKEN_KEY_H

#include <holdfast/port.h>

struct hf_pkcs11_key;

/** Only reads the URI (token_uri.h). HF_E_ARGUMENT, HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_pkcs11_key_new(const char *uri, struct hf_pkcs11_key **out,
                                          struct hf_why *why);
void hf_pkcs11_key_free(struct hf_pkcs11_key *key);

/**
 * P-256, P-384 and RSA keys. Its functions return HF_E_NOT_FOUND without such a token or key, and
 * HF_E_KEY in words for what the token says. A wrong PIN is tried once and not again, since the
 * token counts them.
 */
struct hf_device_key hf_pkcs11_key_port(struct hf_pkcs11_key *key);

#endif
