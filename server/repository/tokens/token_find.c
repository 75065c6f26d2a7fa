#include "server/repository/tokens/token_find.h"

#include "server/repository/base/key_object.h"

#include <stdlib.h>
#include <string.h>

#define NAMED_MAX 3 /* in one sentence */

/* ---- in words ----------------------------------------------------------------------------------- */

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
                                 hf_token_object_label(&found->items[i]),
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

static enum hf_err fail_no_key(const struct hf_token_objects *found, const struct hf_token_uri *uri,
                               struct hf_why *why)
{
    bool is_usable = false;
    for (size_t i = 0; i < found->n; i++)
        is_usable = is_usable || found->items[i].is_usable;
    if (found->n == 0)
        return hf_fail(why, HF_E_NOT_FOUND, "the token has no key that fits %.300s", uri->text);
    if (is_usable)
        return hf_fail(why, HF_E_KEY,
                       "token %s shows no public key of %.300s that is one; it is needed to tell "
                       "devices of it",
                       found->items[0].token->name, uri->text);
    return hf_fail(why, HF_E_KEY,
                   "%.300s is a key of another kind; Ed25519 or ECDSA P-256 is expected",
                   uri->text);
}

/* ---- look --------------------------------------------------------------------------------------- */

/* A private half that shows no point has it from its public one. */
static enum hf_err complete(struct hf_token_object *object, struct hf_why *why)
{
    struct hf_token_objects twins = {0};
    if (object->json != NULL)
        return HF_OK;
    enum hf_err err = hf_token_objects_find_twin(object, CKO_PUBLIC_KEY, &twins, why);
    if (err == HF_OK && twins.n == 1 && twins.items[0].type == object->type)
        object->json = json_incref(twins.items[0].json);
    hf_token_objects_free(&twins);
    return err;
}

static enum hf_err look(struct hf_token *token, const struct hf_token_uri *uri,
                        struct hf_token_objects *out, struct hf_why *why)
{
    size_t before = out->n;
    HF_TRY(hf_token_objects_find(token, CKO_PUBLIC_KEY, uri, out, why));
    if (out->n > before)
        return HF_OK;
    HF_TRY(hf_token_objects_find(token, CKO_PRIVATE_KEY, uri, out, why));
    for (size_t i = before; i < out->n; i++)
        HF_TRY(complete(&out->items[i], why));
    return HF_OK;
}

/* One token that does not answer must not hide the keys of others: `*fault` is the last of them. */
static void look_at_all(const struct hf_token_list *tokens, const struct hf_token_uri *uri,
                        struct hf_token_objects *out, struct hf_why *fault)
{
    for (size_t i = 0; i < tokens->n; i++)
        (void)look(tokens->tokens[i], uri, out, fault);
}

/* Only what nobody shows otherwise is worth a PIN. */
static void look_behind_pins(const struct hf_token_list *tokens, const struct hf_token_uri *uri,
                             struct hf_token_objects *out, struct hf_why *fault)
{
    for (size_t i = 0; i < tokens->n; i++) {
        if (hf_token_is_locked(tokens->tokens[i]) &&
            hf_token_login(tokens->tokens[i], uri, fault) == HF_OK)
            (void)look(tokens->tokens[i], uri, out, fault);
    }
}

/* ---- one key ------------------------------------------------------------------------------------ */

static bool is_same_place(const struct hf_token_object *a, const struct hf_token_object *b)
{
    return memcmp(a->token->info.label, b->token->info.label, sizeof a->token->info.label) == 0 &&
           memcmp(a->token->info.serialNumber, b->token->info.serialNumber,
                  sizeof a->token->info.serialNumber) == 0 &&
           hf_bytes_equal(hf_token_object_id(a), hf_token_object_id(b));
}

/* The same key of the same token, which two modules may show. */
static bool is_repeated(const struct hf_token_objects *found, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (is_same_place(&found->items[k], &found->items[i]) &&
            hf_public_key_same(found->items[k].json, found->items[i].json))
            return true;
    }
    return false;
}

/* Leave what can be shown: keys with a public part, each once. */
static void keep_shown(struct hf_token_objects *found)
{
    size_t n = 0;
    for (size_t i = 0; i < found->n; i++) {
        struct hf_token_object object = found->items[i];
        struct hf_token_objects kept = {found->items, n};
        kept.items[n] = object;
        if (object.json == NULL || is_repeated(&kept, n))
            hf_token_object_free(&object);
        else
            n++;
    }
    found->n = n;
}

/* A PIN is asked for where one key is wanted; a list is no reason to. */
static enum hf_err find_shown(const struct hf_token_list *tokens, const struct hf_token_uri *uri,
                              bool may_ask, struct hf_token_objects *out, struct hf_why *why)
{
    struct hf_why fault = {0};
    look_at_all(tokens, uri, out, &fault);
    if (out->n == 0 && (may_ask || uri->pin_file != NULL))
        look_behind_pins(tokens, uri, out, &fault);
    if (out->n > 0 || fault.code == HF_OK)
        return HF_OK;
    if (why != NULL)
        *why = fault;
    return fault.code;
}

static enum hf_err read_one(struct hf_token_objects *found, const struct hf_token_uri *uri,
                            struct hf_token_public *out, struct hf_why *why)
{
    bool has_shown = false;
    for (size_t i = 0; i < found->n; i++)
        has_shown = has_shown || found->items[i].json != NULL;
    if (!has_shown)
        return fail_no_key(found, uri, why);
    keep_shown(found);
    if (found->n > 1)
        return hf_token_fail_ambiguous(found, uri, why);
    return hf_token_object_show(&found->items[0], uri, out, why);
}

enum hf_err hf_token_read_public(struct hf_tokens **tokens, const char *text,
                                 struct hf_token_public *out, struct hf_why *why)
{
    struct hf_token_uri uri = {0};
    struct hf_token_list list;
    struct hf_token_objects found = {0};
    HF_TRY(hf_token_uri_parse_key(text, &uri, why));
    enum hf_err err = hf_tokens_find(tokens, &uri, &list, why);
    if (err == HF_OK && list.n == 0)
        err = hf_token_fail_absent(&list, &uri, why);
    if (err == HF_OK)
        err = find_shown(&list, &uri, true, &found, why);
    if (err == HF_OK)
        err = read_one(&found, &uri, out, why);
    hf_token_objects_free(&found);
    hf_token_uri_free(&uri);
    return err;
}

/* ---- all keys ----------------------------------------------------------------------------------- */

static enum hf_err show_all(const struct hf_token_objects *found, const struct hf_token_uri *uri,
                            struct hf_token_public **out, size_t *n, struct hf_why *why)
{
    struct hf_token_public *shown = calloc(found->n + 1, sizeof *shown); /* never of no bytes */
    if (shown == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the keys of tokens");
    for (size_t i = 0; i < found->n; i++) {
        enum hf_err err = hf_token_object_show(&found->items[i], uri, &shown[i], why);
        if (err != HF_OK) {
            while (i-- > 0)
                hf_token_public_free(&shown[i]);
            free(shown);
            return err;
        }
    }
    *out = shown;
    *n = found->n;
    return HF_OK;
}

enum hf_err hf_token_list(struct hf_tokens **tokens, const char *text, struct hf_token_public **out,
                          size_t *n, struct hf_why *why)
{
    struct hf_token_uri uri = {0};
    struct hf_token_list list;
    struct hf_token_objects found = {0};
    HF_TRY(hf_token_uri_parse(text, &uri, why));
    enum hf_err err = hf_tokens_find(tokens, &uri, &list, why);
    if (err == HF_OK && list.n == 0 && hf_token_uri_names_token(&uri))
        err = hf_token_fail_absent(&list, &uri, why);
    if (err == HF_OK)
        err = find_shown(&list, &uri, false, &found, why);
    keep_shown(&found);
    if (err == HF_OK)
        err = show_all(&found, &uri, out, n, why);
    hf_token_objects_free(&found);
    hf_token_uri_free(&uri);
    return err;
}
