#include "server/repository/tokens/token.h"

#include "server/repository/base/key_object.h"
#include "server/repository/tokens/token_object.h"

#include <stdlib.h>
#include <string.h>

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

/* Only what is not shown otherwise is worth a PIN. */
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

/* ---- open ------------------------------------------------------------------------------------ */

/* The private half of a key pair whose public half is known. */
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
