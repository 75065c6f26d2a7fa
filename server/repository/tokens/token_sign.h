/* Signatures by a key whose handle is known. */
#ifndef HF_REPOSITORY_TOKEN_SIGN_H
#define HF_REPOSITORY_TOKEN_SIGN_H

#include "server/repository/tokens/token_object.h"

struct hf_token_key {
    struct hf_token *token;
    CK_OBJECT_HANDLE handle;
    enum hf_token_key_type type;
    bool is_asked_each_time; /* CKA_ALWAYS_AUTHENTICATE: the PIN, for each signature */
};

/** The key that can sign with a private half. */
struct hf_token_key hf_token_key_of(const struct hf_token_object *private_half);

#endif
