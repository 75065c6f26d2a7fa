#include "server/publish/ceremony/draft_diff.h"

#include "common/base/timetext.h"
#include "common/cli/cli.h"
#include "common/cli/report.h"
#include "server/repository/drafts/draft_signatures.h"
#include "server/publish/ceremony/unexplained_diff.h"
#include "server/repository/certs/select.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

static bool has_key_id(const struct hf_role *role, const char *key_id)
{
    for (size_t i = 0; i < role->n_key_ids; i++) {
        if (strcmp(role->key_ids[i], key_id) == 0)
            return true;
    }
    return false;
}

static json_t *key_json(const struct hf_draft *draft, const struct hf_root *root,
                        const char *change, const char *key_id)
{
    const struct hf_key *key = hf_keyring_find(&root->ring, key_id);
    const char *name = hf_draft_key_name(draft, key_id);
    return json_pack("{s:s, s:s?, s:s?, s:s}", "key_id", key_id, "name",
                     name[0] == '\0' ? NULL : name, "scheme",
                     key == NULL ? NULL : hf_scheme_name(key->scheme), "change", change);
}

static json_t *role_json(const struct hf_draft *draft, enum hf_top_role which)
{
    const struct hf_role *before = &draft->root.roles[which], *after = &draft->next.roles[which];
    bool is_unchanged = before->threshold == after->threshold &&
                        before->n_key_ids == after->n_key_ids;
    json_t *keys = json_array();
    for (size_t i = 0; i < before->n_key_ids; i++) {
        const char *id = before->key_ids[i];
        const char *change = has_key_id(after, id) ? "stays" : "goes";
        keys = hf_json_append_take(keys, key_json(draft, &draft->root, change, id));
    }
    for (size_t i = 0; i < after->n_key_ids; i++) {
        if (has_key_id(before, after->key_ids[i]))
            continue;
        is_unchanged = false;
        keys = hf_json_append_take(keys, key_json(draft, &draft->next, "new", after->key_ids[i]));
    }
    return json_pack("{s:b, s:{s:I, s:I}, s:o}", "unchanged", is_unchanged, "threshold", "before",
                     (json_int_t)before->threshold, "after", (json_int_t)after->threshold, "keys",
                     keys);
}

/* What role_json and the consistent snapshots do not say. A key that has a role is known by its id
 * (draft_check.c). */
static json_t *unexplained_copy(const struct hf_root *root)
{
    json_t *copy = hf_unexplained_copy(&root->env), *key_id;
    size_t index;
    json_object_del(copy, "consistent_snapshot");
    for (int i = 0; i < HF_TOP_ROLES; i++) {
        const char *name = hf_top_role_name((enum hf_top_role)i);
        json_t *role = json_object_get(json_object_get(copy, "roles"), name);
        json_array_foreach(json_object_get(role, "keyids"), index, key_id)
        {
            json_object_del(json_object_get(copy, "keys"), json_string_value(key_id));
        }
        json_object_del(role, "keyids");
        json_object_del(role, "threshold");
    }
    return copy;
}

static json_int_t n_other_roles(const struct hf_root *root)
{
    size_t n_roles = json_object_size(json_object_get(root->env.signed_part, "roles"));
    return (json_int_t)n_roles - HF_TOP_ROLES;
}

static json_t *root_changes(const struct hf_draft *draft)
{
    const struct hf_root *before = &draft->root, *after = &draft->next;
    json_t *roles = json_object();
    int failures = 0;
    for (int i = 0; i < HF_TOP_ROLES; i++) {
        enum hf_top_role role = (enum hf_top_role)i;
        failures += json_object_set_new(roles, hf_top_role_name(role), role_json(draft, role));
    }
    if (failures != 0) {
        json_decref(roles);
        return NULL;
    }
    return json_pack("{s:o, s:{s:I, s:I}, s:{s:b, s:b}, s:o}", "roles", roles, "other_roles",
                     "before", n_other_roles(before), "after", n_other_roles(after),
                     "consistent_snapshot", "before", before->consistent_snapshot, "after",
                     after->consistent_snapshot, "other_members",
                     hf_unexplained_diff_take(unexplained_copy(before), unexplained_copy(after)));
}

static json_t *changes_of(const struct hf_draft *draft)
{
    return draft->role == HF_ROLE_ROOT ? root_changes(draft) : hf_draft_targets_changes(draft);
}

static json_t *envelope_json(const struct hf_envelope *env)
{
    return json_pack("{s:I, s:o, s:o}", "version", (json_int_t)env->version, "signed_at",
                     hf_json_time(env->signed_at_s), "expires", hf_json_time(env->expires_s));
}

static const struct hf_envelope *before_of(const struct hf_draft *draft)
{
    return draft->role == HF_ROLE_ROOT ? &draft->root.env : &draft->before.env;
}

enum hf_err hf_draft_print_signatures(const struct hf_draft *draft, bool lists_keys, FILE *out,
                                      bool *is_complete, struct hf_why *why)
{
    struct hf_signature_status status = {0};
    struct hf_buf words = {0};
    HF_TRY(hf_signature_status_make(draft, &status, why));
    if (hf_signature_status_words(&status, &words, NULL) == HF_OK)
        fprintf(out, "signed by %s\n", (const char *)words.data);
    for (size_t i = 0; i < status.n_keys && lists_keys; i++) {
        const struct hf_quorum_key *key = &status.keys[i];
        const char *state = key->has_signed  ? "signed"
                            : key->must_sign ? "to sign"
                            : key->may_sign  ? "may sign"
                                             : "-";
        fprintf(out, "  %-8s %s", state, key->key_id);
        for (size_t q = 0; q < status.n_quorums; q++) {
            if (key->is_of[q])
                fprintf(out, "%s%" PRId64, q == 1 && key->is_of[0] ? " and " : "  of root ",
                        status.quorums[q].root_version);
        }
        fprintf(out, "%s%s\n", key->name[0] ? "  " : "", key->name);
    }
    if (is_complete != NULL)
        *is_complete = hf_signature_status_is_complete(&status);
    hf_buf_free(&words);
    hf_signature_status_free(&status);
    return HF_OK;
}

enum hf_err hf_draft_signatures_json(const struct hf_draft *draft, json_t **out, struct hf_why *why)
{
    static const struct hf_field of_quorum[] = {
        {"root", HF_FIELD_NUMBER, offsetof(struct hf_quorum, root_version)},
        {"keys", HF_FIELD_COUNT, offsetof(struct hf_quorum, n_keys)},
        {"threshold", HF_FIELD_NUMBER, offsetof(struct hf_quorum, threshold)},
        {"signed", HF_FIELD_NUMBER, offsetof(struct hf_quorum, n_signed)},
        {"optional", HF_FIELD_FLAG, offsetof(struct hf_quorum, is_optional)},
        {0},
    };
    struct hf_signature_status status = {0};
    json_t *keys = json_array();
    enum hf_err err = hf_signature_status_make(draft, &status, why);
    for (size_t i = 0; i < status.n_keys; i++) {
        const struct hf_quorum_key *key = &status.keys[i];
        json_t *roots = json_array();
        for (size_t q = 0; q < status.n_quorums; q++) {
            if (key->is_of[q])
                roots = hf_json_append_take(roots, json_integer(status.quorums[q].root_version));
        }
        keys = hf_json_append_take(keys,
                                   json_pack("{s:s, s:s?, s:o, s:b, s:b}", "key_id", key->key_id,
                                             "name", key->name[0] == '\0' ? NULL : key->name,
                                             "roots", roots, "signed", key->has_signed, "to_sign",
                                             key->must_sign));
    }
    json_t *object = json_pack("{s:b, s:o, s:o}", "complete",
                               hf_signature_status_is_complete(&status), "sides",
                               hf_report_list(of_quorum, status.quorums, status.n_quorums,
                                              sizeof status.quorums[0], NULL),
                               "keys", keys);
    hf_signature_status_free(&status);
    if (err == HF_OK && object == NULL)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for the report");
    if (err == HF_OK)
        *out = object;
    else
        json_decref(object);
    return err;
}

enum hf_err hf_draft_print_json(const struct hf_draft *draft, FILE *out, struct hf_why *why)
{
    char digest[HF_SHA256_HEX_LEN], root[HF_SHA256_HEX_LEN];
    const struct hf_envelope *env = hf_draft_envelope(draft);
    json_t *signatures = NULL;
    HF_TRY(hf_draft_signatures_json(draft, &signatures, why));
    hf_sha256_hex(hf_buf_bytes(&env->signed_bytes), digest);
    hf_sha256_hex(hf_draft_root_file(draft), root);
    json_t *report = json_pack("{s:i, s:s, s:s, s:{s:I, s:s, s:b}, s:o, s:o, s:o, s:o}", "format",
                               1, "role", hf_top_role_name(draft->role), "sha256", digest, "root",
                               "version", (json_int_t)draft->root.env.version, "sha256", root,
                               "published", !hf_draft_is_under_coming_root(draft), "before",
                               envelope_json(before_of(draft)), "after", envelope_json(env),
                               "changes", changes_of(draft), "signatures", signatures);
    return hf_json_print_take(report, out, why);
}

static void print_time(const char *label, int64_t time_s, int64_t before_s, FILE *out)
{
    char text[HF_TIME_TEXT_MAX] = "never", before[HF_TIME_TEXT_MAX] = "never";
    if (time_s != HF_TIME_NONE)
        hf_time_format(time_s, text);
    if (before_s != HF_TIME_NONE)
        hf_time_format(before_s, before);
    fprintf(out, "  %-10s %s (before: %s)\n", label, text, before);
}

/* Version, what it follows, SHA-256, times. */
static void print_head(const struct hf_draft *draft, FILE *out)
{
    char digest[HF_SHA256_HEX_LEN], root[HF_SHA256_HEX_LEN];
    const struct hf_envelope *env = hf_draft_envelope(draft), *before = before_of(draft);
    const char *role = hf_top_role_name(draft->role);
    hf_sha256_hex(hf_buf_bytes(&env->signed_bytes), digest);
    hf_sha256_hex(hf_draft_root_file(draft), root);
    fprintf(out, "draft of %s %" PRId64 ", after %s %" PRId64 "\n", role, env->version, role,
            before->version);
    fprintf(out, "  SHA-256    %s\n", digest);
    fprintf(out, "  root %-5" PRId64 " %s\n", draft->root.env.version, root);
    if (hf_draft_is_under_coming_root(draft))
        fprintf(out,
                "             not published yet: it comes after root %" PRId64
                ", together with this draft\n",
                draft->root_before.env.version);
    print_time("drafted", env->signed_at_s, before->signed_at_s, out);
    print_time("expires", env->expires_s, before->expires_s, out);
}

static void print_role(const struct hf_draft *draft, enum hf_top_role which, const json_t *changes,
                       FILE *out)
{
    const struct hf_role *before = &draft->root.roles[which], *after = &draft->next.roles[which];
    size_t index;
    json_t *key;
    fprintf(out, "  %-10s %" PRId64 " of %zu keys", hf_top_role_name(which), after->threshold,
            after->n_key_ids);
    if (json_is_true(json_object_get(changes, "unchanged")))
        fputs(", unchanged\n", out);
    else
        fprintf(out, " (before: %" PRId64 " of %zu)\n", before->threshold, before->n_key_ids);
    json_array_foreach(json_object_get(changes, "keys"), index, key)
    {
        const char *change = json_string_value(json_object_get(key, "change"));
        const char *scheme = json_string_value(json_object_get(key, "scheme"));
        const char *name = json_string_value(json_object_get(key, "name"));
        char mark = change[0] == 'n' ? '+' : change[0] == 'g' ? '-' : ' ';
        fprintf(out, "    %c %-6s %s %s%s%s\n", mark, change, scheme == NULL ? "missing" : scheme,
                json_string_value(json_object_get(key, "key_id")), name == NULL ? "" : "  ",
                name == NULL ? "" : name);
    }
}

static void print_changes(const struct hf_draft *draft, const json_t *changes, FILE *out)
{
    print_head(draft, out);
    if (changes == NULL) {
        fputs("  out of memory: what it changes is NOT shown\n", out);
    } else if (draft->role == HF_ROLE_TARGETS) {
        hf_draft_targets_print(draft, changes, out);
    } else {
        fprintf(out, "  consistent snapshots: %s (before: %s)\n",
                draft->next.consistent_snapshot ? "yes" : "no",
                draft->root.consistent_snapshot ? "yes" : "no");
        for (int i = 0; i < HF_TOP_ROLES; i++) {
            enum hf_top_role role = (enum hf_top_role)i;
            print_role(draft, role,
                       json_object_get(json_object_get(changes, "roles"), hf_top_role_name(role)),
                       out);
        }
        hf_unexplained_print(json_object_get(changes, "other_members"), 2, out);
    }
}

void hf_draft_show(const struct hf_draft *draft, FILE *out)
{
    json_t *changes = changes_of(draft);
    print_changes(draft, changes, out);
    json_decref(changes);
}

static enum hf_err check_digest(const struct hf_draft *draft, const char *yes, struct hf_why *why)
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
    /* Of the metadata, and of each file that it newly lists. */
    json_t *changes = changes_of(draft), *added;
    json_t *unexplained = json_copy(json_object_get(changes, "other_members"));
    const char *role = hf_top_role_name(draft->role);
    size_t index;
    int failures = 0;
    json_array_foreach(json_object_get(changes, "added"), index, added)
    {
        failures += json_array_extend(unexplained, json_object_get(added, "other_members"));
    }
    enum hf_err err = hf_unexplained_check(failures == 0 ? unexplained : NULL, why);
    if (err == HF_OK && yes != NULL) {
        err = check_digest(draft, yes, why);
    } else if (err == HF_OK && isatty(STDIN_FILENO)) {
        print_changes(draft, changes, stderr);
        hf_unexplained_print_names(unexplained, stderr);
        if (!hf_cli_agrees("Sign %s %" PRId64 " as shown?", role,
                           hf_draft_envelope(draft)->version))
            err = hf_fail(why, HF_E_POLICY, "nothing was signed");
    } else if (err == HF_OK) {
        err = hf_fail(why, HF_E_POLICY,
                      "nothing was signed: there is no terminal to ask on; look at the draft with "
                      "`%s status`, then give --yes and the first %d digits or more of its SHA-256",
                      role, HF_FINGERPRINT_DIGITS_MIN);
    }
    json_decref(unexplained);
    json_decref(changes);
    return err;
}
