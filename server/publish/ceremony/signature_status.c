#include "server/publish/ceremony/signature_status.h"

#include "common/cli/report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define KEY_ID_SHOWN 16 /* digits, in sentences; tables have them all */

/* The root whose role of that name a side is. */
static const struct hf_root *root_of(const struct hf_draft *draft, size_t side)
{
    if (side == 0)
        return &draft->root;
    return draft->role == HF_ROLE_ROOT ? &draft->next : &draft->root_before;
}

static size_t count_sides(const struct hf_draft *draft)
{
    return draft->role == HF_ROLE_ROOT || hf_draft_is_under_coming_root(draft) ? 2 : 1;
}

static const struct hf_role *role_of(const struct hf_draft *draft, size_t side)
{
    return &root_of(draft, side)->roles[draft->role];
}

/* ---- counting --------------------------------------------------------------------------------- */

static struct hf_quorum_key *find(const struct hf_signature_status *status, const char *key_id)
{
    for (size_t i = 0; i < status->n_keys; i++) {
        if (strcmp(status->keys[i].key_id, key_id) == 0)
            return &status->keys[i];
    }
    return NULL;
}

static void list_side(const struct hf_draft *draft, size_t side, struct hf_signature_status *status)
{
    const struct hf_role *role = role_of(draft, side);
    status->quorums[side] = (struct hf_quorum){.root_version = root_of(draft, side)->env.version,
                                               .n_keys = role->n_key_ids,
                                               .threshold = role->threshold,
                                               .is_optional = side == 1 &&
                                                              draft->role == HF_ROLE_TARGETS};
    for (size_t i = 0; i < role->n_key_ids; i++) {
        struct hf_quorum_key *key = find(status, role->key_ids[i]);
        if (key == NULL) {
            key = &status->keys[status->n_keys++];
            *key = (struct hf_quorum_key){.key_id = role->key_ids[i],
                                          .name = hf_draft_key_name(draft, role->key_ids[i])};
        }
        key->is_of[side] = true;
    }
}

/* A root of other makers may list one key under two ids; it counts once. */
static bool is_counted(const struct hf_draft *draft, const struct hf_signature_status *status,
                       size_t side, const struct hf_key *public)
{
    for (size_t i = 0; i < status->n_keys; i++) {
        const struct hf_key *other = hf_keyring_find(&root_of(draft, side)->ring,
                                                     status->keys[i].key_id);
        if (status->keys[i].is_of[side] && status->keys[i].has_signed && other != NULL &&
            hf_key_same(other, public))
            return true;
    }
    return false;
}

static const struct hf_key *public_of(const struct hf_draft *draft, const struct hf_quorum_key *key)
{
    return hf_keyring_find(&root_of(draft, key->is_of[0] ? 0 : 1)->ring, key->key_id);
}

static bool would_count(const struct hf_draft *draft, const struct hf_signature_status *status,
                        const struct hf_quorum_key *key, const struct hf_key *public)
{
    for (size_t side = 0; side < status->n_quorums; side++) {
        if (key->is_of[side] && !is_counted(draft, status, side, public))
            return true;
    }
    return false;
}

static struct hf_eligibility say_of(const struct hf_draft *draft,
                                    const struct hf_signature_status *status,
                                    const struct hf_key *public)
{
    struct hf_eligibility say = {0};
    for (size_t i = 0; i < status->n_keys && say.id == NULL; i++) {
        const struct hf_key *other = public_of(draft, &status->keys[i]);
        if (other == NULL || !hf_key_same(other, public))
            continue;
        if (would_count(draft, status, &status->keys[i], public))
            say.id = status->keys[i].key_id;
        else
            say.has_signed = true;
    }
    return say;
}

struct hf_eligibility hf_signature_status_eligibility(const struct hf_draft *draft,
                                                      const struct hf_signature_status *status,
                                                      const json_t *public_key)
{
    struct hf_key public = {0};
    if (hf_key_parse("at hand", public_key, &public, NULL) != HF_OK)
        return (struct hf_eligibility){0};
    struct hf_eligibility say = say_of(draft, status, &public);
    hf_key_free(&public);
    return say;
}

static enum hf_err count_signature(const struct hf_draft *draft, const struct hf_signature *s,
                                   struct hf_signature_status *status, struct hf_why *why)
{
    struct hf_quorum_key *key = find(status, s->key_id);
    if (key == NULL)
        return hf_fail(why, HF_E_SIGNATURE,
                       "the draft is signed by the key %s, which is a %s key of neither root; take "
                       "a copy without it",
                       s->key_id, hf_top_role_name(draft->role));
    const struct hf_bytes message = hf_buf_bytes(&hf_draft_envelope(draft)->signed_bytes);
    const struct hf_key *public = public_of(draft, key);
    if (public == NULL || !hf_key_verify(public, message, (struct hf_bytes){s->bytes, s->len}))
        return hf_fail(why, HF_E_SIGNATURE,
                       "the signature of key %s is not over this draft: it was changed since, or "
                       "another one was signed; that key must sign again",
                       s->key_id);
    for (size_t side = 0; side < status->n_quorums; side++)
        status->quorums[side].n_signed += key->is_of[side] &&
                                          !is_counted(draft, status, side, public);
    key->has_signed = true;
    return HF_OK;
}

static enum hf_err count_all(const struct hf_draft *draft, struct hf_signature_status *status,
                             struct hf_why *why)
{
    const struct hf_envelope *env = hf_draft_envelope(draft);
    for (size_t i = 0; i < env->n_signatures; i++)
        HF_TRY(count_signature(draft, &env->signatures[i], status, why));
    return HF_OK;
}

enum hf_err hf_signature_status_make(const struct hf_draft *draft, struct hf_signature_status *out,
                                     struct hf_why *why)
{
    struct hf_signature_status status = {.role = draft->role, .n_quorums = count_sides(draft)};
    size_t n_keys_max = 1;
    for (size_t side = 0; side < status.n_quorums; side++)
        n_keys_max += role_of(draft, side)->n_key_ids;
    status.keys = calloc(n_keys_max, sizeof *status.keys);
    if (status.keys == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the keys of a draft");
    for (size_t side = 0; side < status.n_quorums; side++)
        list_side(draft, side, &status);
    enum hf_err err = count_all(draft, &status, why);
    if (err != HF_OK) {
        hf_signature_status_free(&status);
        return err;
    }
    *out = status;
    return HF_OK;
}

void hf_signature_status_free(struct hf_signature_status *status)
{
    free(status->keys);
    *status = (struct hf_signature_status){0};
}

static bool is_short(const struct hf_quorum *side)
{
    return !side->is_optional && side->n_signed < side->threshold;
}

bool hf_signature_status_is_complete(const struct hf_signature_status *status)
{
    for (size_t side = 0; side < status->n_quorums; side++) {
        if (is_short(&status->quorums[side]))
            return false;
    }
    return status->n_quorums > 0;
}

/* ---- in words --------------------------------------------------------------------------------- */

enum hf_err hf_signature_status_words(const struct hf_signature_status *status, struct hf_buf *out,
                                      struct hf_why *why)
{
    for (size_t i = 0; i < status->n_quorums; i++) {
        const struct hf_quorum *side = &status->quorums[i];
        if (hf_buf_printf(out, "%s%" PRId64 " of %zu%s of version %" PRId64 " (%" PRId64 " %s)",
                          i == 0 ? "" : ", ", side->n_signed, side->n_keys, i == 0 ? " keys" : "",
                          side->root_version, side->threshold,
                          side->is_optional ? "may sign too" : "must") != HF_OK)
            return hf_fail(why, HF_E_MEMORY, "out of memory for a sentence");
    }
    return HF_OK;
}

/* Would its signature bring anything? */
static bool is_missing(const struct hf_signature_status *status, const struct hf_quorum_key *key)
{
    bool counts = false;
    for (size_t side = 0; side < status->n_quorums; side++)
        counts = counts || (key->is_of[side] && is_short(&status->quorums[side]));
    return counts && !key->has_signed;
}

enum hf_err hf_signature_status_missing(const struct hf_signature_status *status,
                                        struct hf_buf *out, struct hf_why *why)
{
    const char *separator = "";
    for (size_t i = 0; i < status->n_keys; i++) {
        const struct hf_quorum_key *key = &status->keys[i];
        if (!is_missing(status, key))
            continue;
        if (hf_buf_printf(out, "%s%s%s%.*s", separator, key->name, key->name[0] ? " " : "",
                          KEY_ID_SHOWN, key->key_id) != HF_OK)
            return hf_fail(why, HF_E_MEMORY, "out of memory for a sentence");
        separator = ", ";
    }
    return HF_OK;
}

static bool may_sign_along(const struct hf_signature_status *status,
                           const struct hf_quorum_key *key)
{
    for (size_t side = 0; side < status->n_quorums; side++) {
        const struct hf_quorum *s = &status->quorums[side];
        if (key->is_of[side] && s->is_optional && s->n_signed < s->threshold)
            return true;
    }
    return false;
}

static const char *state_of(const struct hf_signature_status *status,
                            const struct hf_quorum_key *key)
{
    if (key->has_signed)
        return "signed";
    if (is_missing(status, key))
        return "to sign";
    return may_sign_along(status, key) ? "may sign" : "-";
}

static void print_key(const struct hf_signature_status *status, const struct hf_quorum_key *key,
                      FILE *out)
{
    fprintf(out, "  %-8s %s", state_of(status, key), key->key_id);
    for (size_t side = 0; side < status->n_quorums; side++) {
        if (key->is_of[side])
            fprintf(out, "%s%" PRId64, side == 1 && key->is_of[0] ? " and " : "  of root ",
                    status->quorums[side].root_version);
    }
    fprintf(out, "%s%s\n", key->name[0] ? "  " : "", key->name);
}

void hf_signature_status_print(const struct hf_signature_status *status, FILE *out)
{
    struct hf_buf words = {0};
    if (hf_signature_status_words(status, &words, NULL) == HF_OK)
        fprintf(out, "signed by %s\n", (const char *)words.data);
    hf_buf_free(&words);
    for (size_t i = 0; i < status->n_keys; i++)
        print_key(status, &status->keys[i], out);
}

enum hf_err hf_signature_status_require(const struct hf_signature_status *status,
                                        struct hf_why *why)
{
    struct hf_buf words = {0}, missing = {0};
    if (hf_signature_status_is_complete(status))
        return HF_OK;
    enum hf_err err = hf_signature_status_words(status, &words, why);
    if (err == HF_OK)
        err = hf_signature_status_missing(status, &missing, why);
    if (err == HF_OK)
        err = hf_fail(why, HF_E_SIGNATURE,
                      "signatures are missing: signed by %s; still to sign: %s",
                      (const char *)words.data, (const char *)missing.data);
    hf_buf_free(&words);
    hf_buf_free(&missing);
    return err;
}

/* ---- for scripts ------------------------------------------------------------------------------ */

static json_t *sides_json(const struct hf_signature_status *status)
{
    json_t *list = json_array();
    for (size_t i = 0; i < status->n_quorums; i++) {
        const struct hf_quorum *side = &status->quorums[i];
        list = hf_json_append_take(list, json_pack("{s:I, s:I, s:I, s:I, s:b}", "root",
                                                   (json_int_t)side->root_version, "keys",
                                                   (json_int_t)side->n_keys, "threshold",
                                                   (json_int_t)side->threshold, "signed",
                                                   (json_int_t)side->n_signed, "optional",
                                                   side->is_optional));
    }
    return list;
}

static json_t *key_json(const struct hf_signature_status *status, const struct hf_quorum_key *key)
{
    json_t *roots = json_array();
    for (size_t side = 0; side < status->n_quorums; side++) {
        if (key->is_of[side])
            roots = hf_json_append_take(roots, json_integer(
                                                   (json_int_t)status->quorums[side].root_version));
    }
    return json_pack("{s:s, s:s?, s:o, s:b, s:b}", "key_id", key->key_id, "name",
                     key->name[0] == '\0' ? NULL : key->name, "roots", roots, "signed",
                     key->has_signed, "to_sign", is_missing(status, key));
}

json_t *hf_signature_status_to_json(const struct hf_signature_status *status)
{
    json_t *keys = json_array();
    for (size_t i = 0; i < status->n_keys; i++)
        keys = hf_json_append_take(keys, key_json(status, &status->keys[i]));
    return json_pack("{s:b, s:o, s:o}", "complete", hf_signature_status_is_complete(status),
                     "sides", sides_json(status), "keys", keys);
}
