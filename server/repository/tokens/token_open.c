/* The private half of a key pair whose public half is known. */
#include "server/repository/base/key_object.h"
#include "server/repository/tokens/token_find.h"
#include "server/repository/tokens/token_sign.h"

#include <stdlib.h>

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
static enum hf_err match_one(const struct hf_token_object *private_half, const json_t *wanted,
                             enum match *out, struct hf_why *why)
{
    struct hf_token_objects twins = {0};
    if (!private_half->is_usable || private_half->json != NULL) {
        *out = hf_public_key_same(private_half->json, wanted) ? IS_WANTED : IS_OTHER;
        return HF_OK;
    }
    enum hf_err err = hf_token_objects_find_twin(private_half, CKO_PUBLIC_KEY, &twins, why);
    *out = match_public(&twins, wanted);
    hf_token_objects_free(&twins);
    return err;
}

/* Leave those that match best. */
static enum hf_err keep_best(struct search *s, struct hf_why *why)
{
    struct hf_token_object *items = s->found.items;
    size_t n = 0;
    for (size_t i = 0; i < s->found.n; i++) {
        enum match match = IS_OTHER;
        HF_TRY(match_one(&items[i], s->wanted, &match, why));
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

static enum hf_err find_private(struct search *s, struct hf_token *token, struct hf_why *why)
{
    size_t before = s->found.n;
    HF_TRY(hf_token_login(token, s->uri, why));
    HF_TRY(hf_token_objects_find(token, CKO_PRIVATE_KEY, s->uri, &s->found, why));
    if (s->found.n == before)
        HF_TRY(find_by_public(token, s->uri, &s->found, why));
    return keep_best(s, why);
}

/* What the token shows before it is given a PIN. */
static enum match match_shown(const struct search *s, struct hf_token *token)
{
    struct hf_token_objects shown = {0};
    enum hf_err err = hf_token_objects_find(token, CKO_PUBLIC_KEY, s->uri, &shown, NULL);
    enum match match = err == HF_OK ? match_public(&shown, s->wanted) : IS_POSSIBLE;
    hf_token_objects_free(&shown);
    return match;
}

/* A PIN is for a token that shows the wanted key; then, until it is found beyond doubt, for those that
 * show none; never for one that shows another. */
static enum hf_err find_all(struct search *s, const struct hf_token_list *tokens,
                            struct hf_why *why)
{
    enum match shown[HF_TOKEN_SLOTS_MAX];
    for (size_t i = 0; i < tokens->n; i++) {
        shown[i] = match_shown(s, tokens->tokens[i]);
        s->has_others = s->has_others || shown[i] == IS_OTHER;
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
