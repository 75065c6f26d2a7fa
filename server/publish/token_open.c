/* The private half of a key pair whose public half is known. */
#include "server/publish/token_find.h"
#include "server/publish/token_sign.h"

#include <stdlib.h>

/* How sure is it that a private half belongs to the wanted key? */
enum match { IS_OTHER, IS_POSSIBLE, IS_WANTED };

static enum match match_twins(const struct hf_token_objects *twins, const json_t *wanted)
{
    enum match match = IS_POSSIBLE;
    for (size_t i = 0; i < twins->n; i++) {
        if (hf_token_same_key(twins->items[i].json, wanted))
            return IS_WANTED;
        if (twins->items[i].json != NULL)
            match = IS_OTHER;
    }
    return match;
}

/* By its own point, else by that of the public half with its id. */
static enum hf_err match_one(const struct hf_token_object *private_half, const json_t *wanted,
                             enum match *out, struct hf_why *why)
{
    struct hf_token_objects twins = {0};
    if (!private_half->is_usable || private_half->json != NULL) {
        *out = hf_token_same_key(private_half->json, wanted) ? IS_WANTED : IS_OTHER;
        return HF_OK;
    }
    enum hf_err err = hf_token_objects_find_twin(private_half, CKO_PUBLIC_KEY, &twins, why);
    *out = match_twins(&twins, wanted);
    hf_token_objects_free(&twins);
    return err;
}

/* Leave those that match best. */
static enum hf_err keep_best(struct hf_token_objects *found, const json_t *wanted,
                             struct hf_why *why)
{
    enum match best = IS_POSSIBLE;
    size_t n = 0;
    for (size_t i = 0; i < found->n; i++) {
        enum match match = IS_OTHER;
        HF_TRY(match_one(&found->items[i], wanted, &match, why));
        for (; match > best && n > 0; n--)
            hf_token_object_free(&found->items[n - 1]);
        best = match > best ? match : best;
        struct hf_token_object object = found->items[i];
        found->items[i] = (struct hf_token_object){0};
        if (match == best)
            found->items[n++] = object;
        else
            hf_token_object_free(&object);
    }
    found->n = n;
    return HF_OK;
}

/* ---- look --------------------------------------------------------------------------------------- */

/* Where the URI has the label of the public half only, its id leads to the private one. */
static enum hf_err find_by_public(struct hf_token *token, const struct hf_token_uri *uri,
                                  struct hf_token_objects *out, struct hf_why *why)
{
    struct hf_token_objects public_halves = {0};
    enum hf_err err = hf_token_objects_find(token, CKO_PUBLIC_KEY, uri, &public_halves, why);
    for (size_t i = 0; i < public_halves.n && err == HF_OK; i++)
        err = hf_token_objects_find_twin(&public_halves.items[i], CKO_PRIVATE_KEY, out, why);
    hf_token_objects_free(&public_halves);
    return err;
}

static enum hf_err find_private(struct hf_token *token, const struct hf_token_uri *uri,
                                struct hf_token_objects *out, struct hf_why *why)
{
    size_t before = out->n;
    HF_TRY(hf_token_login(token, uri, why));
    HF_TRY(hf_token_objects_find(token, CKO_PRIVATE_KEY, uri, out, why));
    return out->n > before ? HF_OK : find_by_public(token, uri, out, why);
}

/* Only a token that shows the wanted public key, where one does, is given a PIN. */
static bool shows_another(struct hf_token *token, const struct hf_token_uri *uri,
                          const json_t *wanted)
{
    struct hf_token_objects shown = {0};
    bool has_other = false, has_wanted = false;
    enum hf_err err = hf_token_objects_find(token, CKO_PUBLIC_KEY, uri, &shown, NULL);
    for (size_t i = 0; i < shown.n && err == HF_OK; i++) {
        bool is_wanted = hf_token_same_key(shown.items[i].json, wanted);
        has_wanted = has_wanted || is_wanted;
        has_other = has_other || (shown.items[i].json != NULL && !is_wanted);
    }
    hf_token_objects_free(&shown);
    return has_other && !has_wanted;
}

static enum hf_err find_all(const struct hf_token_list *tokens, const struct hf_token_uri *uri,
                            const json_t *wanted, struct hf_token_objects *out, struct hf_why *why)
{
    size_t n_others = 0;
    for (size_t i = 0; i < tokens->n; i++) {
        bool is_other = shows_another(tokens->tokens[i], uri, wanted);
        n_others += is_other;
        if (!is_other)
            HF_TRY(find_private(tokens->tokens[i], uri, out, why));
    }
    if (out->n > 0)
        return keep_best(out, wanted, why);
    if (n_others > 0)
        return HF_OK;
    return hf_fail(why, HF_E_NOT_FOUND, "the token has no private key that fits %.300s", uri->text);
}

static enum hf_err pick(const struct hf_token_objects *found, const struct hf_token_uri *uri,
                        struct hf_token_key **out, struct hf_why *why)
{
    if (found->n == 0)
        return hf_fail(why, HF_E_KEY,
                       "the key in the token is not the one it was: %.300s has another public part",
                       uri->text);
    if (found->n > 1)
        return hf_token_fail_ambiguous(found, uri, why);
    struct hf_token_key *key = calloc(1, sizeof *key);
    if (key == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a key");
    *key = hf_token_key_of(&found->items[0]);
    *out = key;
    return HF_OK;
}

enum hf_err hf_token_key_open(struct hf_tokens **tokens, const char *text, const json_t *public_key,
                              struct hf_token_key **out, struct hf_why *why)
{
    struct hf_token_uri uri = {0};
    struct hf_token_list list;
    struct hf_token_objects found = {0};
    HF_TRY(hf_token_uri_parse_key(text, &uri, why));
    enum hf_err err = hf_tokens_find(tokens, &uri, &list, why);
    if (err == HF_OK && list.n == 0)
        err = hf_token_fail_absent(&list, &uri, why);
    if (err == HF_OK)
        err = find_all(&list, &uri, public_key, &found, why);
    if (err == HF_OK)
        err = pick(&found, &uri, out, why);
    hf_token_objects_free(&found);
    hf_token_uri_free(&uri);
    return err;
}
