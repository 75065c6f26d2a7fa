#include "server/repository/tokens/token_object.h"

#include "common/base/digest.h"
#include "server/repository/tokens/token_point.h"

#include <mbedtls/ecdsa.h>
#include <mbedtls/psa_util.h>
#include <stdlib.h>
#include <string.h>

#define NAMED_MAX 3 /* in one sentence */
#define FIND_BATCH 32
#define RAW_LEN 64 /* of both signatures: R and S of Ed25519; r and s of P-256 */
#define P256_BITS 256

/* `*len` is 0 for an attribute that the object has not, does not show, or has longer than
 * `size`. */
static enum hf_err read_attribute(struct hf_token *token, CK_OBJECT_HANDLE handle,
                                  CK_ATTRIBUTE_TYPE type, void *value, size_t size, size_t *len,
                                  struct hf_why *why)
{
    CK_ATTRIBUTE attribute = {type, value, size};
    CK_RV rv = token->module->C_GetAttributeValue(token->session, handle, &attribute, 1);
    *len = 0;
    if (rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_ATTRIBUTE_SENSITIVE ||
        rv == CKR_BUFFER_TOO_SMALL)
        return HF_OK;
    if (rv != CKR_OK)
        return hf_token_fail(why, token, "show a key", rv);
    if (attribute.ulValueLen <= size) /* CK_UNAVAILABLE_INFORMATION is larger than any */
        *len = attribute.ulValueLen;
    return HF_OK;
}

bool hf_token_object_flag(const struct hf_token_object *object, CK_ATTRIBUTE_TYPE type,
                          bool otherwise)
{
    CK_BBOOL value = CK_FALSE;
    size_t len = 0;
    enum hf_err err = read_attribute(object->token, object->handle, type, &value, sizeof value,
                                     &len, NULL);
    return err == HF_OK && len == sizeof value ? value != CK_FALSE : otherwise;
}

static struct hf_bytes token_object_label(const struct hf_token_object *object)
{
    return (struct hf_bytes){object->label, object->label_len};
}

struct hf_bytes hf_token_object_id(const struct hf_token_object *object)
{
    return (struct hf_bytes){object->id, object->id_len};
}

enum hf_err hf_token_object_read(struct hf_token *token, CK_OBJECT_HANDLE handle,
                                 struct hf_token_object *out, struct hf_why *why)
{
    struct hf_token_object object = {.token = token, .handle = handle};
    CK_KEY_TYPE key_type = 0;
    uint8_t params[HF_TOKEN_EC_BYTES], point[HF_TOKEN_EC_BYTES];
    size_t len = 0;
    HF_TRY(read_attribute(token, handle, CKA_LABEL, object.label, sizeof object.label,
                          &object.label_len, why));
    HF_TRY(read_attribute(token, handle, CKA_ID, object.id, sizeof object.id, &object.id_len, why));
    HF_TRY(read_attribute(token, handle, CKA_KEY_TYPE, &key_type, sizeof key_type, &len, why));
    if (len == sizeof key_type && (key_type == CKK_EC || key_type == CKK_EC_EDWARDS)) {
        HF_TRY(read_attribute(token, handle, CKA_EC_PARAMS, params, sizeof params, &len, why));
        object.is_usable = hf_token_curve_parse((struct hf_bytes){params, len}, &object.type) &&
                           (object.type == HF_TOKEN_ED25519) == (key_type == CKK_EC_EDWARDS);
    }
    if (object.is_usable) {
        HF_TRY(read_attribute(token, handle, CKA_EC_POINT, point, sizeof point, &len, why));
        enum hf_err err = len == 0
                              ? HF_OK
                              : hf_token_point_to_json(object.type, (struct hf_bytes){point, len},
                                                       &object.json, why);
        /* What is no point of its curve is no key, and must not hide others on the token. */
        if (err != HF_OK && err != HF_E_KEY)
            return err;
    }
    *out = object;
    return HF_OK;
}

void hf_token_object_free(struct hf_token_object *object)
{
    json_decref(object->json);
    *object = (struct hf_token_object){0};
}

void hf_token_objects_free(struct hf_token_objects *objects)
{
    for (size_t i = 0; i < objects->n; i++)
        hf_token_object_free(&objects->items[i]);
    free(objects->items);
    *objects = (struct hf_token_objects){0};
}

struct handles {
    CK_OBJECT_HANDLE items[HF_TOKEN_OBJECTS_MAX];
    size_t n;
};

static enum hf_err find_handles(struct hf_token *token, CK_ATTRIBUTE *template, CK_ULONG n_template,
                                struct handles *out, struct hf_why *why)
{
    enum hf_err err = HF_OK;
    CK_ULONG n = 1;
    CK_RV rv = token->module->C_FindObjectsInit(token->session, template, n_template);
    if (rv != CKR_OK)
        return hf_token_fail(why, token, "list its keys", rv);
    while (err == HF_OK && n > 0) {
        CK_OBJECT_HANDLE batch[FIND_BATCH];
        n = 0;
        rv = token->module->C_FindObjects(token->session, batch, FIND_BATCH, &n);
        if (rv != CKR_OK) {
            err = hf_token_fail(why, token, "list its keys", rv);
        } else if (n > FIND_BATCH || n > HF_TOKEN_OBJECTS_MAX - out->n) {
            err = hf_fail(why, HF_E_KEY,
                          "token %s shows more than %d keys; name one more closely, by id",
                          token->name, HF_TOKEN_OBJECTS_MAX);
        } else {
            memcpy(out->items + out->n, batch, n * sizeof batch[0]);
            out->n += n;
        }
    }
    (void)token->module->C_FindObjectsFinal(token->session);
    return err;
}

enum hf_err hf_token_objects_find_named(struct hf_token *token, CK_OBJECT_CLASS class,
                                        struct hf_bytes label, struct hf_bytes id,
                                        struct hf_token_objects *out, struct hf_why *why)
{
    struct handles handles = {.n = 0};
    CK_ATTRIBUTE template[3] = {{CKA_CLASS, &class, sizeof class}};
    CK_ULONG n = 1;
    if (label.data != NULL)
        template[n++] = (CK_ATTRIBUTE){CKA_LABEL, (void *)(uintptr_t)label.data, label.len};
    if (id.data != NULL)
        template[n++] = (CK_ATTRIBUTE){CKA_ID, (void *)(uintptr_t)id.data, id.len};
    HF_TRY(find_handles(token, template, n, &handles, why));

    struct hf_token_object *more = realloc(out->items, (out->n + handles.n + 1) * sizeof *more);
    if (more == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the keys of a token");
    out->items = more;
    for (size_t i = 0; i < handles.n; i++) {
        struct hf_token_object object = {0};
        HF_TRY(hf_token_object_read(token, handles.items[i], &object, why));
        /* What a module finds is what it was asked for only if we say so. */
        if ((label.data == NULL || hf_bytes_equal(label, token_object_label(&object))) &&
            (id.data == NULL || hf_bytes_equal(id, hf_token_object_id(&object))))
            out->items[out->n++] = object;
        else
            hf_token_object_free(&object);
    }
    return HF_OK;
}

enum hf_err hf_token_objects_find(struct hf_token *token, CK_OBJECT_CLASS class,
                                  const struct hf_token_uri *uri, struct hf_token_objects *out,
                                  struct hf_why *why)
{
    return hf_token_objects_find_named(token, class, hf_token_uri_attribute(uri, CKA_LABEL),
                                       hf_token_uri_attribute(uri, CKA_ID), out, why);
}

enum hf_err hf_token_objects_find_paired(const struct hf_token_object *object,
                                         CK_OBJECT_CLASS class, struct hf_token_objects *out,
                                         struct hf_why *why)
{
    if (object->id_len == 0)
        return HF_OK;
    return hf_token_objects_find_named(object->token, class, (struct hf_bytes){0},
                                       hf_token_object_id(object), out, why);
}

void hf_token_public_free(struct hf_token_public *p)
{
    free(p->uri);
    free(p->label);
    json_decref(p->json);
    *p = (struct hf_token_public){0};
}

enum hf_err hf_token_object_show(const struct hf_token_object *object,
                                 const struct hf_token_uri *like, struct hf_token_public *out,
                                 struct hf_why *why)
{
    char text[HF_TOKEN_LABEL_BYTES + 1];
    char hex[2 * HF_TOKEN_ID_BYTES + 1];
    char *uri = NULL;
    struct hf_buf label = {0};
    HF_TRY(hf_token_uri_write(like, &object->token->info, token_object_label(object),
                              hf_token_object_id(object), &uri, why));
    hf_token_print(text, sizeof text, token_object_label(object));
    hf_hex_encode(object->id, object->id_len, hex);
    enum hf_err err = hf_buf_printf(&label, "%s/%s%s", object->token->name,
                                    object->label_len > 0 ? "" : "id-",
                                    object->label_len > 0 ? text : hex);
    if (err != HF_OK) {
        free(uri);
        return hf_fail(why, err, "out of memory for the label of a key");
    }
    *out = (struct hf_token_public){uri, (char *)label.data, json_incref(object->json)};
    return HF_OK;
}

struct hf_token_key hf_token_key_of(const struct hf_token_object *private_half)
{
    return (struct hf_token_key){
        .token = private_half->token,
        .handle = private_half->handle,
        .type = private_half->type,
        .is_asked_each_time = hf_token_object_flag(private_half, CKA_ALWAYS_AUTHENTICATE, false),
    };
}

void hf_token_key_free(struct hf_token_key *key)
{
    free(key);
}

static enum hf_err refuse(const struct hf_token_key *key, size_t len, CK_RV rv, struct hf_why *why)
{
    /* Ed25519 reads its message twice, so the token must hold all of it; some have room for
     * little. */
    if (key->type != HF_TOKEN_ED25519 ||
        (rv != CKR_DATA_LEN_RANGE && rv != CKR_DEVICE_MEMORY && rv != CKR_DATA_INVALID))
        return hf_token_fail(why, key->token, "sign", rv);
    return hf_fail(why, HF_E_KEY,
                   "token %s cannot take a message of %zu bytes, and Ed25519 signs the message "
                   "itself; a key of ECDSA P-256 signs a hash, which it can take",
                   key->token->name, len);
}

static enum hf_err sign_raw(const struct hf_token_key *key, CK_MECHANISM_TYPE type,
                            struct hf_bytes message, uint8_t raw[RAW_LEN], struct hf_why *why)
{
    const struct hf_token *token = key->token;
    CK_MECHANISM mechanism = {type, NULL, 0};
    CK_ULONG len = RAW_LEN;
    CK_RV rv = token->module->C_SignInit(token->session, &mechanism, key->handle);
    if (rv != CKR_OK)
        return refuse(key, message.len, rv, why);
    if (key->is_asked_each_time)
        HF_TRY(hf_token_login_again(key->token, why));
    rv = token->module->C_Sign(token->session, (CK_BYTE *)(uintptr_t)message.data, message.len, raw,
                               &len);
    if (rv != CKR_OK && rv != CKR_BUFFER_TOO_SMALL)
        return refuse(key, message.len, rv, why);
    if (rv != CKR_OK || len != RAW_LEN)
        return hf_fail(
            why, HF_E_KEY,
            "token %s gave a signature of %lu bytes, %d were expected; nothing is signed",
            token->name, (unsigned long)len, RAW_LEN);
    return HF_OK;
}

enum hf_err hf_token_key_sign(struct hf_token_key *key, struct hf_bytes message,
                              struct hf_buf *signature, struct hf_why *why)
{
    uint8_t digest[HF_SHA256_LEN];
    uint8_t raw[RAW_LEN];
    uint8_t der[MBEDTLS_ECDSA_MAX_SIG_LEN(P256_BITS)];
    struct hf_bytes made = {raw, sizeof raw};
    if (key->type == HF_TOKEN_ED25519) {
        HF_TRY(sign_raw(key, CKM_EDDSA, message, raw, why));
    } else {
        /* Hashed here, so that a token of any size signs metadata of any size. */
        hf_sha256(message, digest);
        HF_TRY(sign_raw(key, CKM_ECDSA, (struct hf_bytes){digest, sizeof digest}, raw, why));
        made.data = der;
        if (mbedtls_ecdsa_raw_to_der(P256_BITS, raw, sizeof raw, der, sizeof der, &made.len) != 0)
            return hf_fail(why, HF_E_KEY, "token %s gave a signature that is none",
                           key->token->name);
    }
    if (hf_buf_append(signature, made.data, made.len) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a signature");
    return HF_OK;
}

enum hf_err hf_token_fail_absent(const struct hf_token_list *tokens, const struct hf_token_uri *uri,
                                 struct hf_why *why)
{
    bool has_trouble = tokens->trouble.code != HF_OK;
    return hf_fail(why, HF_E_NOT_FOUND,
                   "no token fits %.300s: is it plugged in, and is its module known to p11-kit "
                   "(p11-kit list-modules)?%s%.150s%s",
                   uri->text, has_trouble ? " (" : "", has_trouble ? tokens->trouble.text : "",
                   has_trouble ? ")" : "");
}

enum hf_err hf_token_fail_ambiguous(const struct hf_token_objects *found,
                                    const struct hf_token_uri *uri, struct hf_why *why)
{
    struct hf_buf names = {0};
    enum hf_err err = HF_OK;
    for (size_t i = 0; i < found->n && i < NAMED_MAX && err == HF_OK; i++) {
        char *name = NULL;
        err = hf_token_uri_write(uri, &found->items[i].token->info,
                                 token_object_label(&found->items[i]),
                                 hf_token_object_id(&found->items[i]), &name, why);
        if (err == HF_OK)
            err = hf_buf_printf(&names, "%s%.170s", i == 0 ? "" : ", ", name);
        free(name);
    }
    if (err == HF_OK)
        err = hf_fail(why, HF_E_KEY, "%zu keys fit; name one by its id: %s%s", found->n,
                      (const char *)names.data, found->n > NAMED_MAX ? ", …" : "");
    hf_buf_free(&names);
    return err;
}
