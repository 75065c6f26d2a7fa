/* PKCS#11 URIs (RFC 7512) that name tokens and keys; p11-kit reads and writes them. No I/O. */
#ifndef HF_REPOSITORY_TOKEN_URI_H
#define HF_REPOSITORY_TOKEN_URI_H

#include "server/repository/tokens/token.h"

#include <p11-kit/p11-kit.h>
#include <p11-kit/uri.h>

struct hf_token_uri {
    P11KitUri *p11;
    char *text;     /* owned: as given, without pin-source; for sentences */
    char *pin_file; /* owned: the file of `pin-source`; NULL: ask */
};

/** HF_E_ARGUMENT for what p11-kit would pass over or take the last of, too, and for a PIN in it. */
HF_MUST_USE enum hf_err hf_token_uri_parse(const char *text, struct hf_token_uri *out,
                                           struct hf_why *why);
void hf_token_uri_free(struct hf_token_uri *uri);

/** Does it say which token, by label, serial number or slot? */
bool hf_token_uri_names_token(const struct hf_token_uri *uri);

/** hf_token_uri_parse, and it says which token and which key; else HF_E_ARGUMENT. */
HF_MUST_USE enum hf_err hf_token_uri_parse_key(const char *text, struct hf_token_uri *out,
                                               struct hf_why *why);

/** The bytes of CKA_LABEL or CKA_ID in it; `data` is NULL where it has none. Borrowed. */
struct hf_bytes hf_token_uri_attribute(const struct hf_token_uri *uri, CK_ATTRIBUTE_TYPE type);

/** The URI of one key: its token by label and serial number, the key by label and id, and the
 *  module where `like` names one. `*out` is to be freed. */
HF_MUST_USE enum hf_err hf_token_uri_write(const struct hf_token_uri *like,
                                           const CK_TOKEN_INFO *token, struct hf_bytes label,
                                           struct hf_bytes id, char **out, struct hf_why *why);

#endif
