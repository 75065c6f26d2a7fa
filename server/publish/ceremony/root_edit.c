#include "server/publish/ceremony/root_edit.h"

#include "server/repository/certs/select.h"

#include <inttypes.h>
#include <string.h>

static enum hf_err out_of_memory(struct hf_why *why)
{
    return hf_fail(why, HF_E_MEMORY, "out of memory for a draft");
}

enum hf_err hf_root_edit_begin(struct hf_draft *draft, bool discards_signatures,
                               struct hf_root_edit *out, struct hf_why *why)
{
    size_t n = hf_draft_envelope(draft)->n_signatures;
    if (draft->role != HF_ROLE_ROOT)
        return hf_fail(why, HF_E_STATE, "this is a draft of targets, not of root");
    if (n > 0 && !discards_signatures)
        return hf_fail(why, HF_E_STATE,
                       "%zu key(s) have signed this draft, and a change would lose their "
                       "signatures; give --discard-signatures if they can sign again",
                       n);
    struct hf_root_edit edit = {.draft = draft,
                                .signed_part = json_deep_copy(draft->next.env.signed_part),
                                .names = json_deep_copy(json_object_get(draft->json, "names"))};
    if (edit.signed_part == NULL || edit.names == NULL) {
        hf_root_edit_free(&edit);
        return out_of_memory(why);
    }
    *out = edit;
    return HF_OK;
}

void hf_root_edit_free(struct hf_root_edit *edit)
{
    json_decref(edit->signed_part);
    json_decref(edit->names);
    *edit = (struct hf_root_edit){0};
}

/* ---- keys ------------------------------------------------------------------------------------- */

static json_t *role_of(const struct hf_root_edit *edit, enum hf_top_role role)
{
    return json_object_get(json_object_get(edit->signed_part, "roles"), hf_top_role_name(role));
}

static bool lists(const json_t *role, const char *key_id)
{
    size_t index;
    json_t *element;
    json_array_foreach(json_object_get(role, "keyids"), index, element)
    {
        if (strcmp(json_string_value(element), key_id) == 0)
            return true;
    }
    return false;
}

enum hf_err hf_root_edit_add_key(struct hf_root_edit *edit, enum hf_top_role role,
                                 const struct hf_public_key *key, const char *name,
                                 struct hf_why *why)
{
    json_t *of_role = role_of(edit, role);
    int failures = 0;
    if (lists(of_role, key->key_id))
        return hf_fail(why, HF_E_STATE, "role %s has the key %s already", hf_top_role_name(role),
                       key->key_id);
    failures += json_object_set(json_object_get(edit->signed_part, "keys"), key->key_id, key->json);
    failures += json_array_append_new(json_object_get(of_role, "keyids"), json_string(key->key_id));
    failures += json_object_set_new(edit->names, key->key_id, json_string(name));
    return failures == 0 ? HF_OK : out_of_memory(why);
}

/* A key that no role uses any more goes from the list of keys too. */
static void forget_unused(struct hf_root_edit *edit, const char *key_id)
{
    const char *name;
    json_t *role;
    json_object_foreach(json_object_get(edit->signed_part, "roles"), name, role)
    {
        if (lists(role, key_id))
            return;
    }
    json_object_del(json_object_get(edit->signed_part, "keys"), key_id);
}

/* The index of the one key id that begins with these digits. */
static enum hf_err find_by_digits(const json_t *key_ids, const char *role,
                                  const struct hf_fingerprint *f, size_t *out, struct hf_why *why)
{
    size_t index, n_found = 0;
    json_t *element;
    json_array_foreach(key_ids, index, element)
    {
        if (strncmp(json_string_value(element), f->digits, strlen(f->digits)) == 0) {
            *out = index;
            n_found++;
        }
    }
    if (n_found == 1)
        return HF_OK;
    return hf_fail(why, HF_E_NOT_FOUND,
                   "role %s has %zu keys whose id begins with %s; one is meant", role, n_found,
                   f->digits);
}

enum hf_err hf_root_edit_remove_key(struct hf_root_edit *edit, enum hf_top_role role,
                                    const char *digits, struct hf_why *why)
{
    struct hf_fingerprint f;
    size_t index = 0;
    json_t *key_ids = json_object_get(role_of(edit, role), "keyids");
    HF_TRY(hf_fingerprint_parse(digits, strlen(digits), &f, why));
    HF_TRY(find_by_digits(key_ids, hf_top_role_name(role), &f, &index, why));
    json_t *key_id = json_incref(json_array_get(key_ids, index));
    json_array_remove(key_ids, index);
    forget_unused(edit, json_string_value(key_id));
    json_decref(key_id);
    return HF_OK;
}

enum hf_err hf_root_edit_set_threshold(struct hf_root_edit *edit, enum hf_top_role role,
                                       int64_t threshold, struct hf_why *why)
{
    if (threshold < 1)
        return hf_fail(why, HF_E_ARGUMENT, "a threshold is 1 or more, not %" PRId64, threshold);
    if (json_object_set_new(role_of(edit, role), "threshold", json_integer(threshold)) != 0)
        return out_of_memory(why);
    return HF_OK;
}

/* ---- the whole -------------------------------------------------------------------------------- */

enum hf_err hf_root_edit_end(struct hf_root_edit *edit, struct hf_why *why)
{
    struct hf_draft *draft = edit->draft;
    const struct hf_draft_parts parts = {.role = HF_ROLE_ROOT,
                                         .root = hf_draft_root_file(draft),
                                         .roots = json_object_get(draft->json, "roots"),
                                         .signed_part = edit->signed_part};
    struct hf_draft changed = {0};
    HF_TRY(hf_draft_make(&parts, &changed, why));
    enum hf_err err = hf_draft_set_take(&changed, "names", json_incref(edit->names), why);
    if (err != HF_OK) {
        hf_draft_free(&changed);
        return err;
    }
    hf_draft_free(draft);
    *draft = changed;
    return HF_OK;
}
