/*
 * Which key of which token: a PKCS#11 URI (RFC 7512), as p11tool and other programs write it.
 *
 *     pkcs11:token=device;object=identity?pin-source=/etc/holdfast/pin
 *
 * Attributes that say which token: token, serial, manufacturer, model. Which key: object, id; one
 * of them is needed. `type` is accepted and means nothing. `pin-source` is a file. `module-path` is
 * the module; without it, p11-kit's proxy shows every module that the machine is configured with. A
 * PIN in the URI (pin-value) is refused: it would end up in a database and in the list of
 * processes. No I/O.
 */
#ifndef HF_CLIENT_PORT_IDENTITY_TOKEN_URI_H
#define HF_CLIENT_PORT_IDENTITY_TOKEN_URI_H

#include <holdfast/bytes.h>

#include <limits.h>

#define HF_PKCS11_URI_MAX 1024 /* bytes */
#define HF_PKCS11_ID_MAX 64    /* bytes of CKA_ID */
#define HF_PKCS11_LABEL_MAX 128

struct hf_pkcs11_uri {
    /* Empty: any. PKCS#11 pads them with blanks to 32 or 16 bytes. */
    char token[33];
    char serial[17];
    char manufacturer[33];
    char model[17];
    char object[HF_PKCS11_LABEL_MAX + 1];
    uint8_t id[HF_PKCS11_ID_MAX];
    size_t id_len;
    char pin_file[PATH_MAX];
    char module[PATH_MAX];
};

/** Does it begin as such a URI? Everything else is the name of a file. */
bool hf_pkcs11_uri_is(const char *text);

/** HF_E_ARGUMENT, in words that repeat no part of `text`. */
HF_MUST_USE enum hf_err hf_pkcs11_uri_parse(const char *text, struct hf_pkcs11_uri *out,
                                            struct hf_why *why);

#endif
