/* A key pair made inside a token, and tried before it is reported. */
#include "server/repository/tokens/token.h"
#include "server/repository/tokens/token_object.h"

#include "common/tuf/key.h"

#include <sodium.h>
#include <string.h>

#define NEW_ID_LEN 16 /* bytes, random: two keys of one label can be told apart */

/* EC_PARAMS as tokens want them: PKCS#11 v3.0 allows both for Ed25519, and many know one only. */
static const uint8_t ed25519_name[] = "\x13\x0c"
                                      "edwards25519"; /* a PrintableString */
static const uint8_t ed25519_oid[] = {0x06, 0x03, 0x2b, 0x65, 0x70};
static const uint8_t p256_oid[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};

enum hf_err hf_key_type_parse(const char *name, enum hf_token_key_type *out, struct hf_why *why)
{
    if (name == NULL || strcmp(name, "ed25519") == 0)
        *out = HF_TOKEN_ED25519;
    else if (strcmp(name, "ecdsa-p256") == 0)
        *out = HF_TOKEN_ECDSA_P256;
    else
        return hf_fail(why, HF_E_ARGUMENT, "--type is ed25519 or ecdsa-p256, not %s", name);
    return HF_OK;
}

static const struct recipe {
    const char *name;
    CK_KEY_TYPE key_type;
    CK_MECHANISM_TYPE mechanism;
    struct hf_bytes params[2]; /* the second where the first is not taken */
} recipes[] = {
    [HF_TOKEN_ED25519] = {"Ed25519",
                          CKK_EC_EDWARDS,
                          CKM_EC_EDWARDS_KEY_PAIR_GEN,
                          {{ed25519_name, sizeof ed25519_name - 1},
                           {ed25519_oid, sizeof ed25519_oid}}},
    [HF_TOKEN_ECDSA_P256] = {"ECDSA P-256",
                             CKK_EC,
                             CKM_EC_KEY_PAIR_GEN,
                             {{p256_oid, sizeof p256_oid}}},
};

/* What is being made, in a session of its own that may write. */
struct making {
    struct hf_token *token;
    const struct recipe *recipe;
    CK_SESSION_HANDLE session;
    struct hf_bytes label, id;
    CK_OBJECT_HANDLE public_half, private_half;
};

static CK_ATTRIBUTE bytes_attribute(CK_ATTRIBUTE_TYPE type, struct hf_bytes value)
{
    return (CK_ATTRIBUTE){type, (void *)(uintptr_t)value.data, value.len};
}

static CK_RV generate(struct making *m, struct hf_bytes params)
{
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_OBJECT_CLASS public_class = CKO_PUBLIC_KEY, private_class = CKO_PRIVATE_KEY;
    CK_KEY_TYPE key_type = m->recipe->key_type;
    CK_MECHANISM mechanism = {m->recipe->mechanism, NULL, 0};
    CK_ATTRIBUTE public_half[] = {
        {CKA_CLASS, &public_class, sizeof public_class},
        {CKA_KEY_TYPE, &key_type, sizeof key_type},
        {CKA_TOKEN, &yes, sizeof yes},
        {CKA_PRIVATE, &no, sizeof no}, /* shown without a PIN */
        {CKA_VERIFY, &yes, sizeof yes},
        bytes_attribute(CKA_LABEL, m->label),
        bytes_attribute(CKA_ID, m->id),
        bytes_attribute(CKA_EC_PARAMS, params),
    };
    CK_ATTRIBUTE private_half[] = {
        {CKA_CLASS, &private_class, sizeof private_class},
        {CKA_KEY_TYPE, &key_type, sizeof key_type},
        {CKA_TOKEN, &yes, sizeof yes},
        {CKA_PRIVATE, &yes, sizeof yes},
        {CKA_SENSITIVE, &yes, sizeof yes},
        {CKA_EXTRACTABLE, &no, sizeof no},
        {CKA_SIGN, &yes, sizeof yes},
        bytes_attribute(CKA_LABEL, m->label),
        bytes_attribute(CKA_ID, m->id),
    };
    return m->token->module->C_GenerateKeyPair(m->session, &mechanism, public_half,
                                               sizeof public_half / sizeof public_half[0],
                                               private_half,
                                               sizeof private_half / sizeof private_half[0],
                                               &m->public_half, &m->private_half);
}

static bool is_about_params(CK_RV rv)
{
    return rv == CKR_CURVE_NOT_SUPPORTED || rv == CKR_DOMAIN_PARAMS_INVALID ||
           rv == CKR_ATTRIBUTE_VALUE_INVALID || rv == CKR_TEMPLATE_INCONSISTENT ||
           rv == CKR_ARGUMENTS_BAD || rv == CKR_GENERAL_ERROR || rv == CKR_FUNCTION_FAILED;
}

static enum hf_err make(struct making *m, struct hf_why *why)
{
    CK_MECHANISM_INFO info = {0};
    CK_RV rv = m->token->module->C_GetMechanismInfo(m->token->slot, m->recipe->mechanism, &info);
    if (rv != CKR_OK)
        return hf_fail(why, HF_E_KEY, "token %s cannot make keys of %s; try the other kind",
                       m->token->name, m->recipe->name);
    rv = generate(m, m->recipe->params[0]);
    if (is_about_params(rv) && m->recipe->params[1].data != NULL)
        rv = generate(m, m->recipe->params[1]);
    return rv == CKR_OK ? HF_OK : hf_token_fail(why, m->token, "make a key", rv);
}

/* It is shown as a key of its kind, stays in the token, and signs. */
static enum hf_err try_out(const struct making *m, const struct hf_token_object *public_half,
                           const struct hf_token_object *private_half, struct hf_why *why)
{
    const struct hf_bytes message = hf_bytes_of_text("the first signature of a new key, to try it");
    struct hf_key verifier = {0};
    struct hf_buf signature = {0};
    if (public_half->json == NULL || !private_half->is_usable)
        return hf_fail(why, HF_E_KEY,
                       "token %s does not show the key that it made as one of %s; the key was "
                       "destroyed",
                       m->token->name, m->recipe->name);
    if (!hf_token_object_flag(private_half, CKA_SENSITIVE, false) ||
        hf_token_object_flag(private_half, CKA_EXTRACTABLE, true))
        return hf_fail(why, HF_E_KEY,
                       "token %s made a private key that could be read out of it, against what it "
                       "was asked for; the key was destroyed",
                       m->token->name);
    struct hf_token_key key = hf_token_key_of(private_half);
    HF_TRY(hf_key_parse("just made", public_half->json, &verifier, why));
    enum hf_err err = hf_token_key_sign(&key, message, &signature, why);
    if (err == HF_OK && !hf_key_verify(&verifier, message, hf_buf_bytes(&signature)))
        err = hf_fail(why, HF_E_KEY,
                      "the first signature of the new key in token %s does not verify; the key was "
                      "destroyed",
                      m->token->name);
    hf_buf_free(&signature);
    hf_key_free(&verifier);
    return err;
}

static enum hf_err find_token(struct hf_tokens **tokens, const struct hf_token_uri *uri,
                              struct hf_token **out, struct hf_why *why)
{
    struct hf_token_list list;
    HF_TRY(hf_tokens_find(tokens, uri, &list, why));
    if (list.n == 0)
        return hf_token_fail_absent(&list, uri, why);
    if (list.n > 1)
        return hf_fail(why, HF_E_KEY,
                       "%zu tokens fit %.300s; add serial= or slot-id= to say which one gets the "
                       "key",
                       list.n, uri->text);
    *out = list.tokens[0];
    return HF_OK;
}

/* A label must lead to one key, and an id join two halves only. */
static enum hf_err check_free(struct hf_token *token, const struct hf_token_uri *uri,
                              struct hf_why *why)
{
    static const CK_OBJECT_CLASS classes[] = {CKO_PUBLIC_KEY, CKO_PRIVATE_KEY};
    const struct hf_bytes any = {0};
    const struct hf_bytes label = hf_token_uri_attribute(uri, CKA_LABEL);
    const struct hf_bytes id = hf_token_uri_attribute(uri, CKA_ID);
    struct hf_token_objects found = {0};
    enum hf_err err = HF_OK;
    for (size_t i = 0; i < 2 && err == HF_OK; i++) {
        err = hf_token_objects_find_named(token, classes[i], label, any, &found, why);
        if (err == HF_OK && id.data != NULL)
            err = hf_token_objects_find_named(token, classes[i], any, id, &found, why);
    }
    if (err == HF_OK && found.n > 0)
        err = hf_fail(why, HF_E_STATE,
                      "token %s has a key of the name in %.300s; it is not replaced", token->name,
                      uri->text);
    hf_token_objects_free(&found);
    return err;
}

/* Make it, try it, and show it; a key that fails is destroyed. */
static enum hf_err generate_in(struct hf_token *token, const struct hf_token_uri *uri,
                               enum hf_token_key_type type, struct hf_token_public *out,
                               struct hf_why *why)
{
    uint8_t new_id[NEW_ID_LEN];
    struct hf_token_object public_half = {0}, private_half = {0};
    struct making m = {.token = token,
                       .recipe = &recipes[type],
                       .label = hf_token_uri_attribute(uri, CKA_LABEL),
                       .id = hf_token_uri_attribute(uri, CKA_ID)};
    if (m.id.data == NULL) {
        randombytes_buf(new_id, sizeof new_id);
        m.id = (struct hf_bytes){new_id, sizeof new_id};
    }
    CK_RV rv = token->module->C_OpenSession(token->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL,
                                            NULL, &m.session);
    if (rv != CKR_OK)
        return hf_token_fail(why, token, "make a key", rv);
    enum hf_err err = make(&m, why);
    if (err != HF_OK)
        goto out;
    err = hf_token_object_read(token, m.public_half, &public_half, why);
    if (err == HF_OK)
        err = hf_token_object_read(token, m.private_half, &private_half, why);
    if (err == HF_OK)
        err = try_out(&m, &public_half, &private_half, why);
    if (err == HF_OK)
        err = hf_token_object_show(&public_half, uri, out, why);
    if (err != HF_OK) {
        (void)token->module->C_DestroyObject(m.session, m.private_half);
        (void)token->module->C_DestroyObject(m.session, m.public_half);
    }
out:
    hf_token_object_free(&public_half);
    hf_token_object_free(&private_half);
    (void)token->module->C_CloseSession(m.session);
    return err;
}

enum hf_err hf_token_generate(struct hf_tokens **tokens, const char *text,
                              enum hf_token_key_type type, struct hf_token_public *out,
                              struct hf_why *why)
{
    struct hf_token_uri uri = {0};
    struct hf_token *token = NULL;
    HF_TRY(hf_token_uri_parse_key(text, &uri, why));
    enum hf_err err = HF_OK;
    if (hf_token_uri_attribute(&uri, CKA_LABEL).data == NULL)
        err = hf_fail(why, HF_E_ARGUMENT, "a new key needs a label: object=LABEL in %.300s",
                      uri.text);
    if (err == HF_OK)
        err = find_token(tokens, &uri, &token, why);
    if (err == HF_OK)
        err = hf_token_login(token, &uri, why);
    if (err == HF_OK)
        err = check_free(token, &uri, why);
    if (err == HF_OK)
        err = generate_in(token, &uri, type, out, why);
    hf_token_uri_free(&uri);
    return err;
}
