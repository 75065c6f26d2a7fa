#include "server/repository/tokens/token.h"

#include "server/repository/base/public_key.h"
#include "server/repository/tokens/token_object.h"

#include <stdlib.h>
#include <string.h>

/* Append the keys of one token that `uri` fits, each with its public part, if it shows one. */
static enum hf_err find_keys(struct hf_token *token, const struct hf_token_uri *uri,
                             struct hf_token_objects *out, struct hf_why *why)
{
    size_t before = out->n;
    HF_TRY(hf_token_objects_find(token, CKO_PUBLIC_KEY, uri, out, why));
    if (out->n > before)
        return HF_OK;
    HF_TRY(hf_token_objects_find(token, CKO_PRIVATE_KEY, uri, out, why));
    for (size_t i = before; i < out->n; i++) {
        /* A private half that shows no point has it from its public one. */
        struct hf_token_object *object = &out->items[i];
        struct hf_token_objects paired = {0};
        if (object->json != NULL)
            continue;
        enum hf_err err = hf_token_objects_find_paired(object, CKO_PUBLIC_KEY, &paired, why);
        if (err == HF_OK && paired.n == 1 && paired.items[0].type == object->type)
            object->json = json_incref(paired.items[0].json);
        hf_token_objects_free(&paired);
        HF_TRY(err);
    }
    return HF_OK;
}

/* A PIN is asked for where one key is wanted; a list is no reason to. */
static enum hf_err find_shown(const struct hf_token_list *tokens, const struct hf_token_uri *uri,
                              bool may_ask, struct hf_token_objects *out, struct hf_why *why)
{
    /* One token that does not answer must not hide the keys of others. This is the last such
     * fault. */
    struct hf_why fault = {0};
    for (size_t i = 0; i < tokens->n; i++)
        (void)find_keys(tokens->tokens[i], uri, out, &fault);
    /* Only what is not shown otherwise is worth a PIN. */
    bool may_log_in = out->n == 0 && (may_ask || uri->pin_file != NULL);
    for (size_t i = 0; i < tokens->n && may_log_in; i++) {
        if (hf_token_is_locked(tokens->tokens[i]) &&
            hf_token_login(tokens->tokens[i], uri, &fault) == HF_OK)
            (void)find_keys(tokens->tokens[i], uri, out, &fault);
    }
    return out->n > 0 || fault.code == HF_OK ? HF_OK : hf_fail(why, fault.code, "%s", fault.text);
}

/* The same key of the same token, which two modules may show. */
static bool is_same_key(const struct hf_token_object *a, const struct hf_token_object *b)
{
    const CK_TOKEN_INFO *in_a = &a->token->info, *in_b = &b->token->info;
    return memcmp(in_a->label, in_b->label, sizeof in_a->label) == 0 &&
           memcmp(in_a->serialNumber, in_b->serialNumber, sizeof in_a->serialNumber) == 0 &&
           hf_bytes_equal(hf_token_object_id(a), hf_token_object_id(b)) &&
           hf_public_key_same(a->json, b->json);
}

/* Leave what can be shown: keys with a public part, each once. */
static void keep_shown(struct hf_token_objects *found)
{
    size_t n = 0;
    for (size_t i = 0; i < found->n; i++) {
        struct hf_token_object object = found->items[i];
        bool is_kept = object.json != NULL;
        for (size_t k = 0; k < n && is_kept; k++)
            is_kept = !is_same_key(&found->items[k], &object);
        if (is_kept)
            found->items[n++] = object;
        else
            hf_token_object_free(&object);
    }
    found->n = n;
}

/* None of what was found has a public part. */
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

enum hf_err hf_token_read_public(struct hf_tokens **tokens, const char *text,
                                 struct hf_token_public *out, struct hf_why *why)
{
    struct hf_token_uri uri = {0};
    struct hf_token_list list;
    struct hf_token_objects found = {0};
    bool has_shown = false;
    HF_TRY(hf_token_uri_parse_key(text, &uri, why));
    enum hf_err err = hf_tokens_find(tokens, &uri, &list, why);
    if (err == HF_OK && list.n == 0)
        err = hf_token_fail_absent(&list, &uri, why);
    if (err == HF_OK)
        err = find_shown(&list, &uri, true, &found, why);
    if (err != HF_OK)
        goto out;
    for (size_t i = 0; i < found.n; i++)
        has_shown = has_shown || found.items[i].json != NULL;
    if (!has_shown) {
        err = fail_no_key(&found, &uri, why);
        goto out;
    }
    keep_shown(&found);
    err = found.n > 1 ? hf_token_fail_ambiguous(&found, &uri, why)
                      : hf_token_object_show(&found.items[0], &uri, out, why);
out:
    hf_token_objects_free(&found);
    hf_token_uri_free(&uri);
    return err;
}

enum hf_err hf_token_list(struct hf_tokens **tokens, const char *text, struct hf_token_public **out,
                          size_t *n, struct hf_why *why)
{
    struct hf_token_uri uri = {0};
    struct hf_token_list list;
    struct hf_token_objects found = {0};
    struct hf_token_public *shown = NULL;
    size_t n_shown = 0;
    HF_TRY(hf_token_uri_parse(text, &uri, why));
    enum hf_err err = hf_tokens_find(tokens, &uri, &list, why);
    if (err == HF_OK && list.n == 0 && hf_token_uri_names_token(&uri))
        err = hf_token_fail_absent(&list, &uri, why);
    if (err == HF_OK)
        err = find_shown(&list, &uri, false, &found, why);
    if (err != HF_OK)
        goto out;
    keep_shown(&found);
    shown = calloc(found.n + 1, sizeof *shown); /* never of no bytes */
    if (shown == NULL)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for the keys of tokens");
    while (n_shown < found.n && err == HF_OK) {
        err = hf_token_object_show(&found.items[n_shown], &uri, &shown[n_shown], why);
        if (err == HF_OK)
            n_shown++;
    }
    if (err == HF_OK) {
        *out = shown;
        *n = n_shown;
        shown = NULL;
    }
    for (size_t i = 0; i < n_shown && shown != NULL; i++)
        hf_token_public_free(&shown[i]);
out:
    free(shown);
    hf_token_objects_free(&found);
    hf_token_uri_free(&uri);
    return err;
}

/* How sure is it that a private half belongs to the wanted key? */
enum match { IS_OTHER, IS_POSSIBLE, IS_WANTED };

struct search {
    const struct hf_token_uri *uri;
    const json_t *wanted;          /* the public key */
    struct hf_token_objects found; /* private halves that match best */
    enum match best;               /* how well */
    bool has_others;               /* there are other keys of that name */
};

/* By the public halves that may be its own. */
static enum match match_public(const struct hf_token_objects *public_halves, const json_t *wanted)
{
    enum match match = IS_POSSIBLE;
    for (size_t i = 0; i < public_halves->n; i++) {
        if (hf_public_key_same(public_halves->items[i].json, wanted))
            return IS_WANTED;
        if (public_halves->items[i].json != NULL)
            match = IS_OTHER;
    }
    return match;
}

/* By its own point, else by that of the public half with its id. */
static enum hf_err match_private(const struct hf_token_object *private_half, const json_t *wanted,
                                 enum match *out, struct hf_why *why)
{
    struct hf_token_objects paired = {0};
    if (!private_half->is_usable || private_half->json != NULL) {
        *out = hf_public_key_same(private_half->json, wanted) ? IS_WANTED : IS_OTHER;
        return HF_OK;
    }
    enum hf_err err = hf_token_objects_find_paired(private_half, CKO_PUBLIC_KEY, &paired, why);
    *out = match_public(&paired, wanted);
    hf_token_objects_free(&paired);
    return err;
}

/* Leave those that match best. */
static enum hf_err keep_best(struct search *s, struct hf_why *why)
{
    struct hf_token_object *items = s->found.items;
    size_t n = 0;
    for (size_t i = 0; i < s->found.n; i++) {
        enum match match = IS_OTHER;
        HF_TRY(match_private(&items[i], s->wanted, &match, why));
        for (; match > s->best && n > 0; n--)
            hf_token_object_free(&items[n - 1]);
        s->best = match > s->best ? match : s->best;
        s->has_others = s->has_others || match == IS_OTHER;
        struct hf_token_object object = items[i];
        items[i] = (struct hf_token_object){0};
        if (match == s->best)
            items[n++] = object;
        else
            hf_token_object_free(&object);
    }
    s->found.n = n;
    return HF_OK;
}

/* Log in to one token and add its private halves to what was found. */
static enum hf_err find_private(struct search *s, struct hf_token *token, struct hf_why *why)
{
    size_t before = s->found.n;
    HF_TRY(hf_token_login(token, s->uri, why));
    HF_TRY(hf_token_objects_find(token, CKO_PRIVATE_KEY, s->uri, &s->found, why));
    if (s->found.n == before) {
        /* Where the URI has the label of the public half only, its id leads to the private one. */
        struct hf_token_objects public_halves = {0};
        enum hf_err err = hf_token_objects_find(token, CKO_PUBLIC_KEY, s->uri, &public_halves, why);
        for (size_t i = 0; i < public_halves.n && err == HF_OK; i++)
            err = hf_token_objects_find_paired(&public_halves.items[i], CKO_PRIVATE_KEY, &s->found,
                                               why);
        hf_token_objects_free(&public_halves);
        HF_TRY(err);
    }
    return keep_best(s, why);
}

/* A PIN is for a token that shows the wanted key; then, until it is found beyond doubt, for those
 * that show none; never for one that shows another. */
static enum hf_err find_all(struct search *s, const struct hf_token_list *tokens,
                            struct hf_why *why)
{
    enum match shown[HF_TOKEN_SLOTS_MAX];
    for (size_t i = 0; i < tokens->n; i++) { /* what a token shows before it is given a PIN */
        struct hf_token_objects found = {0};
        enum hf_err err = hf_token_objects_find(tokens->tokens[i], CKO_PUBLIC_KEY, s->uri, &found,
                                                NULL);
        shown[i] = err == HF_OK ? match_public(&found, s->wanted) : IS_POSSIBLE;
        s->has_others = s->has_others || shown[i] == IS_OTHER;
        hf_token_objects_free(&found);
    }
    for (enum match match = IS_WANTED; match >= IS_POSSIBLE; match--) {
        for (size_t i = 0; i < tokens->n && s->best != IS_WANTED; i++) {
            if (shown[i] == match)
                HF_TRY(find_private(s, tokens->tokens[i], why));
        }
    }
    return HF_OK;
}

static enum hf_err pick(const struct search *s, struct hf_token_key **out, struct hf_why *why)
{
    if (s->found.n == 0 && s->has_others)
        return hf_fail(why, HF_E_KEY,
                       "the key in the token is not the one it was: %.300s has another public part",
                       s->uri->text);
    if (s->found.n == 0)
        return hf_fail(why, HF_E_NOT_FOUND, "the token has no private key that fits %.300s",
                       s->uri->text);
    if (s->found.n > 1)
        return hf_token_fail_ambiguous(&s->found, s->uri, why);
    struct hf_token_key *key = calloc(1, sizeof *key);
    if (key == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a key");
    *key = hf_token_key_of(&s->found.items[0]);
    *out = key;
    return HF_OK;
}

enum hf_err hf_token_key_open(struct hf_tokens **tokens, const char *text, const json_t *public_key,
                              struct hf_token_key **out, struct hf_why *why)
{
    struct hf_token_uri uri = {0};
    struct hf_token_list list;
    struct search s = {.uri = &uri, .wanted = public_key, .best = IS_POSSIBLE};
    HF_TRY(hf_token_uri_parse_key(text, &uri, why));
    enum hf_err err = hf_tokens_find(tokens, &uri, &list, why);
    if (err == HF_OK && list.n == 0)
        err = hf_token_fail_absent(&list, &uri, why);
    if (err == HF_OK)
        err = find_all(&s, &list, why);
    if (err == HF_OK)
        err = pick(&s, out, why);
    hf_token_objects_free(&s.found);
    hf_token_uri_free(&uri);
    return err;
}
