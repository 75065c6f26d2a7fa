/* holdfastctl root add-key, remove-key, set-threshold: change a draft of root before it is signed.
 * All --key options are applied first, then the whole draft is checked. */
#include "server/publish/commands/ctl.h"
#include "common/base/limits.h"
#include "server/publish/ceremony/draft_diff.h"
#include "server/repository/certs/select.h"
#include "server/repository/keys/key_set.h"

#include <stdlib.h>
#include <string.h>

enum variant { ADD_KEYS, REMOVE_KEYS, SET_THRESHOLD };

static json_t *key_ids_of(const json_t *signed_part, const char *role)
{
    return json_object_get(json_object_get(json_object_get(signed_part, "roles"), role), "keyids");
}

/* The number of key ids that begin with these digits, and the index of the last of them. */
static size_t count_ids(const json_t *key_ids, const char *digits, size_t *index)
{
    size_t i, n = 0;
    json_t *key_id;
    json_array_foreach(key_ids, i, key_id)
    {
        if (strncmp(json_string_value(key_id), digits, strlen(digits)) == 0) {
            *index = i;
            n++;
        }
    }
    return n;
}

static enum hf_err add_key(json_t *signed_part, json_t *names, const char *role, const char *which,
                           struct hf_why *why)
{
    struct hf_public_key key = {0};
    size_t index;
    HF_TRY(hf_public_key_find(which, &key, why));
    const char *id = key.key_id;
    json_t *key_ids = key_ids_of(signed_part, role);
    enum hf_err err = HF_OK;
    if (count_ids(key_ids, id, &index) > 0)
        err = hf_fail(why, HF_E_STATE, "role %s has the key %s already", role, id);
    else if (json_object_set(json_object_get(signed_part, "keys"), id, key.json) != 0 ||
             json_array_append_new(key_ids, json_string(id)) != 0 ||
             json_object_set_new(names, id, hf_label_to_json(key.name)) != 0)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for a draft");
    hf_public_key_free(&key);
    return err;
}

static enum hf_err remove_id(json_t *signed_part, const char *role, const char *id,
                             struct hf_why *why)
{
    struct hf_fingerprint f;
    size_t index = 0, other = 0, n_left = 0;
    const char *name;
    json_t *value, *key_ids = key_ids_of(signed_part, role);
    HF_TRY(hf_fingerprint_parse(id, strlen(id), &f, why));
    size_t n = count_ids(key_ids, f.digits, &index);
    if (n != 1)
        return hf_fail(why, HF_E_NOT_FOUND,
                       "expected one key of role %s whose id begins with %s, found %zu", role,
                       f.digits, n);
    json_t *key_id = json_incref(json_array_get(key_ids, index));
    json_array_remove(key_ids, index);
    /* A key that no role uses is not listed either. */
    json_object_foreach(json_object_get(signed_part, "roles"), name, value)
    {
        n_left += count_ids(json_object_get(value, "keyids"), json_string_value(key_id), &other);
    }
    if (n_left == 0)
        json_object_del(json_object_get(signed_part, "keys"), json_string_value(key_id));
    json_decref(key_id);
    return HF_OK;
}

/* `which` is a key or its id: of a lost key there may be no file. */
static enum hf_err remove_key(json_t *signed_part, const struct hf_root *root,
                              enum hf_top_role role, const char *which, struct hf_why *why)
{
    struct hf_public_key key = {0};
    if (!hf_token_is_uri(which) && !hf_file_exists(which))
        return remove_id(signed_part, hf_top_role_name(role), which, why);
    HF_TRY(hf_public_key_find(which, &key, why));
    const char *id = hf_key_role_id(root, role, key.json);
    enum hf_err err = remove_id(signed_part, hf_top_role_name(role), id != NULL ? id : key.key_id,
                                why);
    hf_public_key_free(&key);
    return err;
}

static enum hf_err change_role(const struct hf_ctl_options *o, enum variant variant,
                               const struct hf_draft *draft, json_t *signed_part, json_t *names,
                               struct hf_why *why)
{
    enum hf_top_role role;
    if (!hf_ctl_find_role(o->role, strlen(o->role), &role))
        return hf_fail(why, HF_E_ARGUMENT, "--role is root, targets, snapshot or timestamp, not %s",
                       o->role);
    for (size_t i = 0; o->extra_keys != NULL && o->extra_keys[i] != NULL; i++) {
        if (variant == ADD_KEYS)
            HF_TRY(add_key(signed_part, names, o->role, o->extra_keys[i], why));
        else
            HF_TRY(remove_key(signed_part, &draft->next, role, o->extra_keys[i], why));
    }
    json_t *object = json_object_get(json_object_get(signed_part, "roles"), o->role);
    if (o->threshold != 0 &&
        json_object_set_new(object, "threshold", json_integer(o->threshold)) != 0)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a draft");
    return HF_OK;
}

/* The changed draft, without signatures; `out` is written on HF_OK only. */
static enum hf_err change(const struct hf_ctl_options *o, enum variant variant,
                          const struct hf_draft *draft, struct hf_draft *out, struct hf_why *why)
{
    size_t n_signed = hf_draft_envelope(draft)->n_signatures;
    if (draft->role != HF_ROLE_ROOT)
        return hf_fail(why, HF_E_STATE, "this is a draft of targets, not of root");
    if (n_signed > 0 && !o->discards_signatures)
        return hf_fail(why, HF_E_STATE,
                       "%zu key(s) have signed this draft, and a change would lose their "
                       "signatures; give --discard-signatures if they can sign again",
                       n_signed);
    json_t *signed_part = json_deep_copy(draft->next.env.signed_part);
    json_t *names = json_deep_copy(json_object_get(draft->json, "names"));
    const struct hf_draft_parts parts = {.role = HF_ROLE_ROOT,
                                         .root = hf_draft_root_file(draft),
                                         .roots = json_object_get(draft->json, "roots"),
                                         .names = names,
                                         .signed_part = signed_part};
    enum hf_err err = change_role(o, variant, draft, signed_part, names, why);
    if (err == HF_OK)
        err = hf_draft_make(&parts, out, why);
    json_decref(signed_part);
    json_decref(names);
    return err;
}

static enum hf_err edit(struct hf_cli_call *call, struct hf_why *why)
{
    const struct hf_ctl_options *o = call->values;
    enum variant variant = (enum variant)call->command->variant;
    struct hf_draft draft = {0}, changed = {0};
    if (variant == SET_THRESHOLD)
        HF_TRY(hf_cli_need(call, "--threshold", o->threshold != 0 ? "M" : NULL));
    HF_TRY(hf_draft_read(o->draft, &draft, why));
    enum hf_err err = change(o, variant, &draft, &changed, why);
    if (err == HF_OK)
        err = hf_draft_write(o->draft, &changed, false, why);
    if (err == HF_OK && o->is_json)
        err = hf_draft_print_json(&changed, stdout, why);
    else if (err == HF_OK)
        hf_draft_show(&changed, stdout);
    hf_draft_free(&changed);
    hf_draft_free(&draft);
    return err;
}

static const struct hf_cli_option options[] =
    {HF_CTL_LIST("key", extra_keys,
                 "a key file, a public part, or a PKCS#11 URI; for remove-key also the key id (at "
                 "least 16 digits)",
                 "KEY"),
     HF_CTL_TEXT("draft", draft, "the draft to change", "FILE"),
     HF_CTL_TEXT("role", role, "root, targets, snapshot or timestamp", "ROLE"),
     HF_CTL_NUMBER("threshold", threshold, 0, 1, HF_JSON_INTEGER_MAX,
                   "how many keys of it must sign", "M"),
     HF_CTL_FLAG("discard-signatures", discards_signatures,
                 "change it although it is signed; all must sign again"),
     HF_CTL_REPORT("draft-report")};

#define ONLY_UNSIGNED                                                                              \
    "A signed draft cannot be changed, because the signatures would be lost. All changes of\n"     \
    "the draft are shown afterwards."

const struct hf_cli_command hf_cmd_root_add_key = {
    .name = "root add-key",
    .summary = "Add a key to a role, in a draft of root.",
    .arguments = "--draft FILE --role ROLE --key KEY… [OPTION…]",
    .about =
        "KEY is the public part of a key, as `key generate --public` writes it. It can also be a\n"
        "key file, or the PKCS#11 URI of a key in a token; no passphrase or PIN is asked for. The\n"
        "private key is not copied.\n\n" ONLY_UNSIGNED,
    .examples = "  holdfastctl root add-key --draft root.draft --role root --key carol.pub\n"
                "  holdfastctl root add-key --draft root.draft --role timestamp \\\n"
                "      --key /etc/holdfast/keys/online/timestamp-2.key.json\n",
    .options = options,
    .needs = {"--draft", "--role", "--key"},
    .run = edit,
    .variant = ADD_KEYS,
};

const struct hf_cli_command hf_cmd_root_remove_key = {
    .name = "root remove-key",
    .summary = "Remove a key from a role, in a draft of root.",
    .arguments = "--draft FILE --role ROLE --key KEY… [OPTION…]",
    .about =
        "KEY is a key as for add-key, or the key id that `root status` shows; the first 16 digits\n"
        "are enough. The role must keep as many keys as its threshold: add the new key first, or\n"
        "lower the threshold too.\n\n" ONLY_UNSIGNED,
    .examples =
        "  holdfastctl root remove-key --draft root.draft --role root --key 1f2e3d4c5b6a7988\n",
    .options = options,
    .needs = {"--draft", "--role", "--key"},
    .run = edit,
    .variant = REMOVE_KEYS,
};

const struct hf_cli_command hf_cmd_root_set_threshold = {
    .name = "root set-threshold",
    .summary = "Set how many keys of a role must sign, in a draft of root.",
    .arguments = "--draft FILE --role ROLE --threshold M [OPTION…]",
    .about = ONLY_UNSIGNED,
    .examples = "  holdfastctl root set-threshold --draft root.draft --role root --threshold 2\n",
    .options = options + 1, /* no --key */
    .needs = {"--draft", "--role"},
    .run = edit,
    .variant = SET_THRESHOLD,
};
