/* Keys on an opened token: found, read with bounds, compared. */
#ifndef HF_REPOSITORY_TOKEN_OBJECT_H
#define HF_REPOSITORY_TOKEN_OBJECT_H

#include "server/repository/tokens/token_session.h"

#define HF_TOKEN_OBJECTS_MAX 256 /* that fit one URI on one token */
#define HF_TOKEN_LABEL_BYTES 128 /* of CKA_LABEL; a longer one is as none */
#define HF_TOKEN_ID_BYTES 64     /* of CKA_ID */
#define HF_TOKEN_EC_BYTES 136    /* of CKA_EC_PARAMS and CKA_EC_POINT; P-521 has a point of 133 */

/** One half of a key pair. */
struct hf_token_object {
    struct hf_token *token;
    CK_OBJECT_HANDLE handle;
    uint8_t label[HF_TOKEN_LABEL_BYTES];
    uint8_t id[HF_TOKEN_ID_BYTES];
    size_t label_len, id_len;
    bool is_usable; /* of a type that signs metadata */
    enum hf_token_key_type type;
    json_t *json; /* owned: its public key; NULL where this half shows none, or one that is none */
};

struct hf_token_objects {
    struct hf_token_object *items; /* owned */
    size_t n;
};

/** Append every object of `class` (public or private key) that `uri` fits. HF_E_KEY in words. */
HF_MUST_USE enum hf_err hf_token_objects_find(struct hf_token *token, CK_OBJECT_CLASS class,
                                              const struct hf_token_uri *uri,
                                              struct hf_token_objects *out, struct hf_why *why);
/** The same for what has that label and id, each of no matter where it is NULL. */
HF_MUST_USE enum hf_err hf_token_objects_find_named(struct hf_token *token, CK_OBJECT_CLASS class,
                                                    struct hf_bytes label, struct hf_bytes id,
                                                    struct hf_token_objects *out,
                                                    struct hf_why *why);
/** The same for the other object of the key pair: what has the id of `object`; nothing where it has
 *  none. */
HF_MUST_USE enum hf_err hf_token_objects_find_paired(const struct hf_token_object *object,
                                                     CK_OBJECT_CLASS class,
                                                     struct hf_token_objects *out,
                                                     struct hf_why *why);
void hf_token_objects_free(struct hf_token_objects *objects);

/** One object as it is. hf_token_object_free it. */
HF_MUST_USE enum hf_err hf_token_object_read(struct hf_token *token, CK_OBJECT_HANDLE handle,
                                             struct hf_token_object *out, struct hf_why *why);
void hf_token_object_free(struct hf_token_object *object);

/** A CK_BBOOL; `otherwise` where the token does not say. */
bool hf_token_object_flag(const struct hf_token_object *object, CK_ATTRIBUTE_TYPE type,
                          bool otherwise);

struct hf_bytes hf_token_object_id(const struct hf_token_object *object);

/** What others get to see. `object` has its public key. hf_token_public_free `out`. */
HF_MUST_USE enum hf_err hf_token_object_show(const struct hf_token_object *object,
                                             const struct hf_token_uri *like,
                                             struct hf_token_public *out, struct hf_why *why);

struct hf_token_key {
    struct hf_token *token;
    CK_OBJECT_HANDLE handle;
    enum hf_token_key_type type;
    bool is_asked_each_time; /* CKA_ALWAYS_AUTHENTICATE: the PIN, for each signature */
};

/** The key that can sign with a private half. */
struct hf_token_key hf_token_key_of(const struct hf_token_object *private_half);

/** HF_E_NOT_FOUND: no token fits `uri`. */
HF_MUST_USE enum hf_err hf_token_fail_absent(const struct hf_token_list *tokens,
                                             const struct hf_token_uri *uri, struct hf_why *why);

/** HF_E_KEY: `uri` fits more than one key; names some of them. */
HF_MUST_USE enum hf_err hf_token_fail_ambiguous(const struct hf_token_objects *found,
                                                const struct hf_token_uri *uri, struct hf_why *why);

#endif
