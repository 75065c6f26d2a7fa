/* What a draft of root changes: keys, thresholds, dates. */
#include "server/publish/ceremony/draft_diff.h"

#include "common/base/timetext.h"
#include "server/publish/ceremony/signature_status.h"
#include "server/publish/ceremony/unexplained_diff.h"
#include "common/cli/report.h"
#include "server/repository/certs/select.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

/* ---- root ------------------------------------------------------------------------------------ */

static bool has_key_id(const struct hf_role *role, const char *key_id)
{
    for (size_t i = 0; i < role->n_key_ids; i++) {
        if (strcmp(role->key_ids[i], key_id) == 0)
            return true;
    }
    return false;
}

static bool is_unchanged(const struct hf_role *before, const struct hf_role *after)
{
    for (size_t i = 0; i < after->n_key_ids; i++) {
        if (!has_key_id(before, after->key_ids[i]))
            return false;
    }
    return before->n_key_ids == after->n_key_ids && before->threshold == after->threshold;
}

static void show_key(const struct hf_draft *draft, const struct hf_root *root, const char *mark,
                     const char *key_id, FILE *out)
{
    const struct hf_key *key = hf_keyring_find(&root->ring, key_id);
    const char *name = hf_draft_key_name(draft, key_id);
    fprintf(out, "    %-8s %s %s%s%s\n", mark,
            key == NULL ? "missing" : hf_scheme_name(key->scheme), key_id, name[0] ? "  " : "",
            name);
}

static void show_keys(const struct hf_draft *draft, const struct hf_role *before,
                      const struct hf_role *after, FILE *out)
{
    for (size_t i = 0; i < before->n_key_ids; i++) {
        bool stays = has_key_id(after, before->key_ids[i]);
        show_key(draft, &draft->root, stays ? "  stays" : "- goes", before->key_ids[i], out);
    }
    for (size_t i = 0; i < after->n_key_ids; i++) {
        if (!has_key_id(before, after->key_ids[i]))
            show_key(draft, &draft->next, "+ new", after->key_ids[i], out);
    }
}

static void show_role(const struct hf_draft *draft, enum hf_top_role which, FILE *out)
{
    const struct hf_role *before = &draft->root.roles[which];
    const struct hf_role *after = &draft->next.roles[which];
    fprintf(out, "  %-10s %" PRId64 " of %zu keys", hf_top_role_name(which), after->threshold,
            after->n_key_ids);
    if (is_unchanged(before, after))
        fputs(", unchanged\n", out);
    else
        fprintf(out, " (before: %" PRId64 " of %zu)\n", before->threshold, before->n_key_ids);
    show_keys(draft, before, after, out);
}

/* ---- what the lines above do not say ------------------------------------------------------------ */

static void forget_role(json_t *signed_part, enum hf_top_role role)
{
    size_t index;
    json_t *key_id;
    json_t *object = json_object_get(json_object_get(signed_part, "roles"), hf_top_role_name(role));
    json_array_foreach(json_object_get(object, "keyids"), index, key_id)
    {
        json_object_del(json_object_get(signed_part, "keys"), json_string_value(key_id));
    }
    json_object_del(object, "keyids");
    json_object_del(object, "threshold");
}

/* A key that has a role is known by its id (draft_check.c). */
static json_t *copy_of_rest(const struct hf_root *root)
{
    json_t *copy = hf_draft_rest_begin(&root->env);
    json_object_del(copy, "consistent_snapshot");
    for (int role = 0; role < HF_TOP_ROLES; role++)
        forget_role(copy, (enum hf_top_role)role);
    return copy;
}

static json_t *root_unexplained(const struct hf_draft *draft)
{
    json_t *before = copy_of_rest(&draft->root), *after = copy_of_rest(&draft->next);
    json_t *rest = before == NULL || after == NULL ? NULL : hf_draft_rest(before, after);
    json_decref(before);
    json_decref(after);
    return rest;
}

/* ---- the whole ---------------------------------------------------------------------------------- */

static const char *yes_or_no(bool is_so)
{
    return is_so ? "yes" : "no";
}

static void show_root(const struct hf_draft *draft, FILE *out)
{
    hf_draft_show_head(draft, &draft->root.env, out);
    fprintf(out, "  consistent snapshots: %s (before: %s)\n",
            yes_or_no(draft->next.consistent_snapshot), yes_or_no(draft->root.consistent_snapshot));
    for (int role = 0; role < HF_TOP_ROLES; role++)
        show_role(draft, (enum hf_top_role)role, out);
    hf_draft_rest_print_take(root_unexplained(draft), 2, out);
}

/* ---- for scripts ------------------------------------------------------------------------------ */

static json_t *key_json(const struct hf_draft *draft, const struct hf_root *root,
                        const char *change, const char *key_id)
{
    const struct hf_key *key = hf_keyring_find(&root->ring, key_id);
    const char *name = hf_draft_key_name(draft, key_id);
    return json_pack("{s:s, s:s?, s:s?, s:s}", "key_id", key_id, "name",
                     name[0] == '\0' ? NULL : name, "scheme",
                     key == NULL ? NULL : hf_scheme_name(key->scheme), "change", change);
}

static json_t *keys_json(const struct hf_draft *draft, const struct hf_role *before,
                         const struct hf_role *after)
{
    json_t *keys = json_array();
    for (size_t i = 0; i < before->n_key_ids; i++) {
        const char *id = before->key_ids[i];
        const char *change = has_key_id(after, id) ? "stays" : "goes";
        keys = hf_json_append_take(keys, key_json(draft, &draft->root, change, id));
    }
    for (size_t i = 0; i < after->n_key_ids; i++) {
        const char *id = after->key_ids[i];
        if (!has_key_id(before, id))
            keys = hf_json_append_take(keys, key_json(draft, &draft->next, "new", id));
    }
    return keys;
}

static json_t *role_json(const struct hf_draft *draft, enum hf_top_role which)
{
    const struct hf_role *before = &draft->root.roles[which];
    const struct hf_role *after = &draft->next.roles[which];
    return json_pack("{s:b, s:{s:I, s:I}, s:o}", "unchanged", is_unchanged(before, after),
                     "threshold", "before", (json_int_t)before->threshold, "after",
                     (json_int_t)after->threshold, "keys", keys_json(draft, before, after));
}

static json_int_t n_other_roles(const struct hf_root *root)
{
    size_t n_roles = json_object_size(json_object_get(root->env.signed_part, "roles"));
    return (json_int_t)n_roles - HF_TOP_ROLES;
}

static json_t *root_to_json(const struct hf_draft *draft)
{
    json_t *roles = json_object();
    int failures = roles == NULL;
    for (int role = 0; role < HF_TOP_ROLES; role++)
        failures += json_object_set_new(roles, hf_top_role_name((enum hf_top_role)role),
                                        role_json(draft, (enum hf_top_role)role));
    if (failures != 0) {
        json_decref(roles);
        return NULL;
    }
    return json_pack("{s:o, s:{s:I, s:I}, s:{s:b, s:b}, s:o}", "roles", roles, "other_roles",
                     "before", n_other_roles(&draft->root), "after", n_other_roles(&draft->next),
                     "consistent_snapshot", "before", draft->root.consistent_snapshot, "after",
                     draft->next.consistent_snapshot, "other_members", root_unexplained(draft));
}

/* ---- data ------------------------------------------------------------------------------------ */

static json_t *envelope_json(const struct hf_envelope *env)
{
    return json_pack("{s:I, s:o, s:o}", "version", (json_int_t)env->version, "signed_at",
                     hf_json_time(env->signed_at_s), "expires", hf_json_time(env->expires_s));
}

static json_t *to_json(const struct hf_draft *draft, const struct hf_signature_status *status)
{
    char digest[HF_SHA256_HEX_LEN], root[HF_SHA256_HEX_LEN];
    const struct hf_envelope *env = hf_draft_envelope(draft);
    const bool is_root = draft->role == HF_ROLE_ROOT;
    hf_sha256_hex(hf_buf_bytes(&env->signed_bytes), digest);
    hf_sha256_hex(hf_draft_root_file(draft), root);
    return json_pack("{s:i, s:s, s:s, s:{s:I, s:s, s:b}, s:o, s:o, s:o, s:o}", "format", 1, "role",
                     hf_top_role_name(draft->role), "sha256", digest, "root", "version",
                     (json_int_t)draft->root.env.version, "sha256", root, "published",
                     !hf_draft_is_under_coming_root(draft), "before",
                     envelope_json(is_root ? &draft->root.env : &draft->before.env), "after",
                     envelope_json(env), "changes",
                     is_root ? root_to_json(draft) : hf_draft_targets_to_json(draft), "signatures",
                     hf_signature_status_to_json(status));
}

enum hf_err hf_draft_print_json(const struct hf_draft *draft, FILE *out, struct hf_why *why)
{
    struct hf_signature_status status = {0};
    HF_TRY(hf_signature_status_make(draft, &status, why));
    enum hf_err err = hf_json_print_take(to_json(draft, &status), out, why);
    hf_signature_status_free(&status);
    return err;
}

/* ---- show ------------------------------------------------------------------------------------ */

void hf_draft_show(const struct hf_draft *draft, FILE *out)
{
    if (draft->role == HF_ROLE_ROOT)
        show_root(draft, out);
    else
        hf_draft_show_targets(draft, out);
}

/* ---- agreement -------------------------------------------------------------------------------- */

static json_t *unexplained(const struct hf_draft *draft)
{
    return draft->role == HF_ROLE_ROOT ? root_unexplained(draft)
                                       : hf_draft_targets_unexplained(draft);
}

static bool ask_person(const struct hf_draft *draft)
{
    char answer[16] = "";
    hf_draft_show(draft, stderr);
    hf_draft_rest_print_names_take(unexplained(draft), stderr);
    fprintf(stderr, "Sign %s %" PRId64 " as shown? [y/N] ", hf_top_role_name(draft->role),
            hf_draft_envelope(draft)->version);
    if (fgets(answer, sizeof answer, stdin) == NULL)
        return false;
    return strcmp(answer, "y\n") == 0 || strcmp(answer, "Y\n") == 0 || strcmp(answer, "yes\n") == 0;
}

static enum hf_err compare(const struct hf_draft *draft, const char *yes, struct hf_why *why)
{
    struct hf_fingerprint f;
    uint8_t digest[HF_SHA256_LEN];
    if (hf_fingerprint_parse(yes, strlen(yes), &f, why) != HF_OK)
        return hf_fail_context(why, "--yes");
    hf_draft_digest(draft, digest);
    if (hf_fingerprint_matches(&f, digest))
        return HF_OK;
    return hf_fail(
        why, HF_E_POLICY,
        "--yes %s is not the SHA-256 of this draft; it is another one, or it was changed "
        "since you looked: nothing was signed",
        f.digits);
}

enum hf_err hf_draft_confirm(const struct hf_draft *draft, const char *yes, struct hf_why *why)
{
    char digest[HF_SHA256_HEX_LEN];
    HF_TRY(hf_draft_rest_check_take(unexplained(draft), why));
    if (yes != NULL)
        return compare(draft, yes, why);
    if (isatty(STDIN_FILENO))
        return ask_person(draft) ? HF_OK : hf_fail(why, HF_E_POLICY, "nothing was signed");
    hf_sha256_hex(hf_buf_bytes(&hf_draft_envelope(draft)->signed_bytes), digest);
    return hf_fail(why, HF_E_POLICY,
                   "nothing was signed: there is no terminal to ask on; look at the draft with "
                   "`%s status`, then give --yes and the first %d digits or more of its SHA-256",
                   hf_top_role_name(draft->role), HF_FINGERPRINT_DIGITS_MIN);
}
