#include "server/repository/drafts/draft_signatures.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define KEY_ID_SHOWN 16 /* digits, in sentences; tables have them all */

static struct hf_quorum_key *find(const struct hf_signature_status *status, const char *key_id)
{
    for (size_t i = 0; i < status->n_keys; i++) {
        if (strcmp(status->keys[i].key_id, key_id) == 0)
            return &status->keys[i];
    }
    return NULL;
}

static void list_quorum(const struct hf_draft *draft, const struct hf_root *root, size_t index,
                        struct hf_signature_status *status)
{
    const struct hf_role *role = &root->roles[draft->role];
    status->quorums[index] = (struct hf_quorum){.root_version = root->env.version,
                                                .n_keys = role->n_key_ids,
                                                .threshold = role->threshold,
                                                .is_optional = index == 1 &&
                                                               draft->role == HF_ROLE_TARGETS};
    for (size_t i = 0; i < role->n_key_ids; i++) {
        const char *id = role->key_ids[i];
        struct hf_quorum_key *key = find(status, id);
        if (key == NULL) {
            key = &status->keys[status->n_keys++];
            *key = (struct hf_quorum_key){.key_id = id,
                                          .name = hf_draft_key_name(draft, id),
                                          .public = hf_keyring_find(&root->ring, id)};
        }
        key->is_of[index] = true;
    }
}

/* A root made by another program may list one key under two ids; it counts once. */
static bool is_counted(const struct hf_signature_status *status, size_t quorum,
                       const struct hf_key *public)
{
    for (size_t i = 0; i < status->n_keys; i++) {
        const struct hf_quorum_key *key = &status->keys[i];
        if (key->is_of[quorum] && key->has_signed && key->public != NULL &&
            hf_key_same(key->public, public))
            return true;
    }
    return false;
}

static enum hf_err count_signature(const struct hf_draft *draft, const struct hf_signature *s,
                                   struct hf_signature_status *status, struct hf_why *why)
{
    const struct hf_bytes message = hf_buf_bytes(&hf_draft_envelope(draft)->signed_bytes);
    struct hf_quorum_key *key = find(status, s->key_id);
    if (key == NULL)
        return hf_fail(why, HF_E_SIGNATURE,
                       "the draft is signed by the key %s, which is a %s key of neither root; take "
                       "a copy without it",
                       s->key_id, hf_top_role_name(draft->role));
    if (key->public == NULL ||
        !hf_key_verify(key->public, message, (struct hf_bytes){s->bytes, s->len}))
        return hf_fail(why, HF_E_SIGNATURE,
                       "the signature of key %s is not over this draft: it was changed since, or "
                       "another one was signed; that key must sign again",
                       s->key_id);
    for (size_t i = 0; i < status->n_quorums; i++)
        status->quorums[i].n_signed += key->is_of[i] && !is_counted(status, i, key->public);
    key->has_signed = true;
    return HF_OK;
}

static bool is_short(const struct hf_quorum *quorum)
{
    return quorum->n_signed < quorum->threshold;
}

enum hf_err hf_signature_status_make(const struct hf_draft *draft, struct hf_signature_status *out,
                                     struct hf_why *why)
{
    const bool is_root = draft->role == HF_ROLE_ROOT;
    const struct hf_root *roots[] = {&draft->root, is_root ? &draft->next : &draft->root_before};
    const struct hf_envelope *env = hf_draft_envelope(draft);
    struct hf_signature_status status = {
        .n_quorums = is_root || hf_draft_is_under_coming_root(draft) ? 2 : 1};
    size_t n_keys_max = 1;
    for (size_t i = 0; i < status.n_quorums; i++)
        n_keys_max += roots[i]->roles[draft->role].n_key_ids;
    status.keys = calloc(n_keys_max, sizeof *status.keys);
    if (status.keys == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the keys of a draft");
    for (size_t i = 0; i < status.n_quorums; i++)
        list_quorum(draft, roots[i], i, &status);
    for (size_t i = 0; i < env->n_signatures; i++) {
        enum hf_err err = count_signature(draft, &env->signatures[i], &status, why);
        if (err != HF_OK) {
            hf_signature_status_free(&status);
            return err;
        }
    }
    for (size_t i = 0; i < status.n_keys; i++) {
        struct hf_quorum_key *key = &status.keys[i];
        for (size_t q = 0; q < status.n_quorums && !key->has_signed; q++) {
            bool is_lacking = key->is_of[q] && is_short(&status.quorums[q]);
            key->must_sign = key->must_sign || (is_lacking && !status.quorums[q].is_optional);
            key->may_sign = key->may_sign || (is_lacking && status.quorums[q].is_optional);
        }
    }
    *out = status;
    return HF_OK;
}

void hf_signature_status_free(struct hf_signature_status *status)
{
    free(status->keys);
    *status = (struct hf_signature_status){0};
}

struct hf_eligibility hf_signature_status_eligibility(const struct hf_signature_status *status,
                                                      const json_t *public_key)
{
    struct hf_eligibility found = {0};
    struct hf_key public = {0};
    if (hf_key_parse("at hand", public_key, &public, NULL) != HF_OK)
        return found;
    for (size_t i = 0; i < status->n_keys && found.id == NULL; i++) {
        const struct hf_quorum_key *key = &status->keys[i];
        bool would_count = false;
        if (key->public == NULL || !hf_key_same(key->public, &public))
            continue;
        for (size_t q = 0; q < status->n_quorums; q++)
            would_count = would_count || (key->is_of[q] && !is_counted(status, q, &public));
        if (would_count)
            found.id = key->key_id;
        else
            found.has_signed = true;
    }
    hf_key_free(&public);
    return found;
}

bool hf_signature_status_is_complete(const struct hf_signature_status *status)
{
    for (size_t i = 0; i < status->n_quorums; i++) {
        if (!status->quorums[i].is_optional && is_short(&status->quorums[i]))
            return false;
    }
    return status->n_quorums > 0;
}

enum hf_err hf_signature_status_words(const struct hf_signature_status *status, struct hf_buf *out,
                                      struct hf_why *why)
{
    for (size_t i = 0; i < status->n_quorums; i++) {
        const struct hf_quorum *q = &status->quorums[i];
        if (hf_buf_printf(out, "%s%" PRId64 " of %zu%s of version %" PRId64 " (%" PRId64 " %s)",
                          i == 0 ? "" : ", ", q->n_signed, q->n_keys, i == 0 ? " keys" : "",
                          q->root_version, q->threshold,
                          q->is_optional ? "may sign too" : "must") != HF_OK)
            return hf_fail(why, HF_E_MEMORY, "out of memory for a sentence");
    }
    return HF_OK;
}

enum hf_err hf_signature_status_missing(const struct hf_signature_status *status,
                                        struct hf_buf *out, struct hf_why *why)
{
    const char *separator = "";
    for (size_t i = 0; i < status->n_keys; i++) {
        const struct hf_quorum_key *key = &status->keys[i];
        if (!key->must_sign)
            continue;
        if (hf_buf_printf(out, "%s%s%s%.*s", separator, key->name, key->name[0] ? " " : "",
                          KEY_ID_SHOWN, key->key_id) != HF_OK)
            return hf_fail(why, HF_E_MEMORY, "out of memory for a sentence");
        separator = ", ";
    }
    return HF_OK;
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

enum hf_err hf_draft_require_signed(const struct hf_draft *draft, struct hf_why *why)
{
    struct hf_signature_status status = {0};
    HF_TRY(hf_signature_status_make(draft, &status, why));
    enum hf_err err = hf_signature_status_require(&status, why);
    hf_signature_status_free(&status);
    return err;
}
