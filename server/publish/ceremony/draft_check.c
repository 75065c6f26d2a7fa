#include "server/publish/ceremony/draft.h"

#include "common/base/timetext.h"
#include "common/bundle/description.h"
#include "common/json/json.h"
#include "server/repository/base/text.h"
#include "server/repository/keys/public_key.h"

#include <inttypes.h>
#include <string.h>

/* ---- parts ----------------------------------------------------------------------------------- */

const struct hf_envelope *hf_draft_envelope(const struct hf_draft *draft)
{
    return draft->role == HF_ROLE_ROOT ? &draft->next.env : &draft->targets.env;
}

bool hf_draft_is_under_coming_root(const struct hf_draft *draft)
{
    return draft->root_before.env.version > 0;
}

const struct hf_root *hf_draft_root_in_force(const struct hf_draft *draft)
{
    return hf_draft_is_under_coming_root(draft) ? &draft->root_before : &draft->root;
}

struct hf_bytes hf_draft_content(const struct hf_draft *draft, const char *path)
{
    const json_t *text = json_object_get(json_object_get(draft->json, "files"), path);
    return (struct hf_bytes){(const uint8_t *)json_string_value(text), json_string_length(text)};
}

/* ---- control characters ------------------------------------------------------------------------- */

static size_t count_line_ends(struct hf_bytes text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++)
        n += text.data[i] == '\n';
    return n;
}

/* Those in public keys that are written as PEM. */
static size_t count_pem_line_ends(const json_t *keys)
{
    const char *key_id;
    json_t *key;
    size_t n = 0;
    json_object_foreach(hf_json_iterable(keys), key_id, key)
    {
        const char *pem = json_string_value(
            json_object_get(json_object_get(key, "keyval"), "public"));
        n += pem == NULL ? 0 : count_line_ends(hf_bytes_of_text(pem));
    }
    return n;
}

/* In what is signed nothing but a PEM has a reason to hold any. */
static enum hf_err check_controls(const struct hf_envelope *env, struct hf_why *why)
{
    struct hf_bytes text = hf_buf_bytes(&env->signed_bytes);
    const json_t *delegations = json_object_get(env->signed_part, "delegations");
    size_t n_in_pems = count_pem_line_ends(json_object_get(env->signed_part, "keys")) +
                       count_pem_line_ends(json_object_get(delegations, "keys"));
    bool is_plain = count_line_ends(text) == n_in_pems;
    for (size_t i = 0; i < text.len; i++)
        is_plain = is_plain && (text.data[i] >= ' ' || text.data[i] == '\n');
    if (is_plain)
        return HF_OK;
    return hf_fail(why, HF_E_FORMAT,
                   "what is to be signed holds a control character. Do not sign; ask the author of "
                   "the draft");
}

/* ---- keys ------------------------------------------------------------------------------------- */

static enum hf_err check_label(const char *text, const char *what, struct hf_why *why)
{
    if (hf_label_is_plain(text))
        return HF_OK;
    return hf_fail(why, HF_E_FORMAT,
                   "the draft holds a %s that is empty, longer than %d characters, or not plain "
                   "ASCII. Do not sign; ask the author of the draft",
                   what, HF_LABEL_MAX);
}

static enum hf_err check_names(const struct hf_draft *draft, struct hf_why *why)
{
    const char *key_id;
    json_t *name;
    json_object_foreach(hf_json_iterable(json_object_get(draft->json, "names")), key_id, name)
    {
        if (!json_is_string(name))
            return hf_fail(why, HF_E_FORMAT, "the names of keys in the draft should be strings");
        HF_TRY(check_label(key_id, "key id", why));
        HF_TRY(check_label(json_string_value(name), "key name", why));
    }
    return HF_OK;
}

static enum hf_err check_signatures(const struct hf_envelope *env, struct hf_why *why)
{
    for (size_t i = 0; i < env->n_signatures; i++)
        HF_TRY(check_label(env->signatures[i].key_id, "key id", why));
    return HF_OK;
}

static enum hf_err check_key_ids(const struct hf_root *root, struct hf_why *why)
{
    for (size_t i = 0; i < root->ring.n_keys; i++)
        HF_TRY(check_label(root->ring.keys[i].key_id, "key id", why));
    for (int role = 0; role < HF_TOP_ROLES; role++) {
        for (size_t i = 0; i < root->roles[role].n_key_ids; i++)
            HF_TRY(check_label(root->roles[role].key_ids[i], "key id", why));
    }
    return HF_OK;
}

/* One label must not mean one key before and another after: people compare labels. */
static enum hf_err check_old_key(const struct hf_root *before, const char *key_id,
                                 const json_t *old, const json_t *key, struct hf_why *why)
{
    if (json_equal(old, key))
        return HF_OK;
    return hf_fail(why, HF_E_FORMAT,
                   "the draft gives the key id %s to another key than root %" PRId64
                   " does; start a new draft",
                   key_id, before->env.version);
}

/* To devices an id is a label. People ask a holder for the id of a new key, and the answer must not
 * fit a key that an attacker made: it is computed from the key, and from no more. */
static enum hf_err check_new_key(const char *key_id, const json_t *object, struct hf_why *why)
{
    struct hf_public_key key = {0};
    if (hf_public_key_from_json(object, &key, why) != HF_OK)
        return hf_fail_context(why, "the new key %.64s of the draft", key_id);
    bool is_its_id = strcmp(key.key_id, key_id) == 0;
    bool is_plain = json_equal(key.json, object);
    char wanted[HF_SHA256_HEX_LEN];
    memcpy(wanted, key.key_id, sizeof wanted);
    hf_public_key_free(&key);
    if (!is_its_id)
        return hf_fail(why, HF_E_SIGNATURE,
                       "the draft lists a new key as %.64s, but the id of that key is %s. An "
                       "attacker may pass it off as another key: do not sign",
                       key_id, wanted);
    if (!is_plain)
        return hf_fail(why, HF_E_FORMAT,
                       "the new key %.64s of the draft has more members than a key; give it with "
                       "root add-key in a new draft",
                       key_id);
    return HF_OK;
}

static enum hf_err check_meaning(const struct hf_root *before, const struct hf_root *next,
                                 struct hf_why *why)
{
    const json_t *old_keys = json_object_get(before->env.signed_part, "keys");
    const char *key_id;
    json_t *key;
    json_object_foreach(json_object_get(next->env.signed_part, "keys"), key_id, key)
    {
        const json_t *old = json_object_get(old_keys, key_id);
        HF_TRY(old == NULL ? check_new_key(key_id, key, why)
                           : check_old_key(before, key_id, old, key, why));
    }
    return HF_OK;
}

static enum hf_err check_role_key(const struct hf_root *next, const struct hf_role *role,
                                  size_t index, struct hf_why *why)
{
    const struct hf_key *key = hf_keyring_find(&next->ring, role->key_ids[index]);
    if (key == NULL || key->scheme == HF_SCHEME_UNKNOWN)
        return hf_fail(why, HF_E_FORMAT, "the %s key %s of the draft is missing or cannot be used",
                       role->name, role->key_ids[index]);
    for (size_t i = 0; i < index; i++) {
        if (hf_key_same(key, hf_keyring_find(&next->ring, role->key_ids[i])))
            return hf_fail(why, HF_E_FORMAT,
                           "role %s of the draft lists one key as %s and %s; it counts once",
                           role->name, role->key_ids[i], role->key_ids[index]);
    }
    return HF_OK;
}

static enum hf_err check_role(const struct hf_root *next, enum hf_top_role which,
                              struct hf_why *why)
{
    const struct hf_role *role = &next->roles[which];
    for (size_t i = 0; i < role->n_key_ids; i++)
        HF_TRY(check_role_key(next, role, i, why));
    if (role->threshold > (int64_t)role->n_key_ids)
        return hf_fail(why, HF_E_FORMAT,
                       "%" PRId64 " of %zu %s keys can never sign; add keys first, or lower the "
                       "threshold (set-threshold)",
                       role->threshold, role->n_key_ids, hf_top_role_name(which));
    return HF_OK;
}

/* ---- root ------------------------------------------------------------------------------------- */

static enum hf_err check_next_root(const struct hf_root *before, const struct hf_root *next,
                                   struct hf_why *why)
{
    if (next->env.version != before->env.version + 1)
        return hf_fail(why, HF_E_FORMAT,
                       "after root %" PRId64 " comes root %" PRId64
                       ", the draft is of root %" PRId64 " (TUF 5.3.5)",
                       before->env.version, before->env.version + 1, next->env.version);
    if (next->env.expires_s <= 0)
        return hf_fail(why, HF_E_FORMAT, "the draft of root %" PRId64 " does not say when it ends",
                       next->env.version);
    if (before->consistent_snapshot && !next->consistent_snapshot)
        return hf_fail(why, HF_E_FORMAT,
                       "the draft gives up consistent snapshots: devices would meet files of two "
                       "versions under one name; start a new draft");
    HF_TRY(check_key_ids(next, why));
    for (int role = 0; role < HF_TOP_ROLES; role++)
        HF_TRY(check_role(next, (enum hf_top_role)role, why));
    return check_meaning(before, next, why);
}

/* ---- targets ---------------------------------------------------------------------------------- */

static enum hf_err check_file(const struct hf_draft *draft, const char *path, const json_t *content,
                              struct hf_why *why)
{
    const struct hf_target *target = hf_targets_find(&draft->targets, path);
    if (target == NULL || !json_is_string(content))
        return hf_fail(why, HF_E_FORMAT, "a file in the draft is not listed in what is signed");
    return hf_file_info_verify(&target->info, hf_draft_content(draft, path), target->path, why);
}

static bool is_listed_anew(const struct hf_draft *draft, const struct hf_target *target)
{
    const json_t *before = json_object_get(draft->before.env.signed_part, "targets");
    const json_t *after = json_object_get(draft->targets.env.signed_part, "targets");
    return !json_equal(json_object_get(before, target->path), json_object_get(after, target->path));
}

/* What is newly listed must be there to be looked at. */
static enum hf_err check_has_content(const struct hf_draft *draft, const struct hf_target *target,
                                     struct hf_why *why)
{
    if (hf_draft_content(draft, target->path).data != NULL)
        return HF_OK;
    return hf_fail(why, HF_E_FORMAT, "the draft newly lists %s without its content", target->path);
}

/* ---- numbers: versions only rise, so one that leaps up is the last ------------------------------- */

#define VERSION_STEP_MAX 1000 /* numbers that were begun and lost are few */

/* Former targets without valid signatures could name any version: they count as none. */
static enum hf_err check_step(const struct hf_draft *draft, const char *what, int64_t before,
                              int64_t version, struct hf_why *why)
{
    if (version - (draft->is_before_verified ? before : 0) <= VERSION_STEP_MAX)
        return HF_OK;
    if (!draft->is_before_verified)
        return hf_fail(why, HF_E_FORMAT,
                       "the draft takes %s to version %" PRId64
                       ", and the targets before it are not signed as the root asks; without them "
                       "%d is the most, because no lower version could ever follow: do not sign",
                       what, version, VERSION_STEP_MAX);
    return hf_fail(
        why, HF_E_FORMAT,
        "the draft takes %s from version %" PRId64 " to %" PRId64
        "; a step is %d at most, because no lower version could ever follow: do not sign",
        what, before, version, VERSION_STEP_MAX);
}

/* True for a target that is a bundle. */
static bool read_description(const struct hf_target *target, struct hf_description *out)
{
    return target->custom != NULL && hf_description_parse(target->custom, out, NULL) == HF_OK;
}

/* Of the same set and profile, as it was before; 0: there was none. */
static int64_t newest_before(const struct hf_draft *draft, const struct hf_description *d)
{
    int64_t newest = 0;
    for (size_t i = 0; i < draft->before.n_targets; i++) {
        struct hf_description old = {0};
        if (!read_description(&draft->before.targets[i], &old))
            continue;
        if (strcmp(old.set, d->set) == 0 && strcmp(old.profile, d->profile) == 0 &&
            old.version > newest)
            newest = old.version;
        hf_description_free(&old);
    }
    return newest;
}

static enum hf_err check_bundle_step(const struct hf_draft *draft, const struct hf_target *target,
                                     struct hf_why *why)
{
    struct hf_description d = {0};
    if (!read_description(target, &d))
        return HF_OK;
    enum hf_err err = check_step(draft, target->path, newest_before(draft, &d), d.version, why);
    hf_description_free(&d);
    return err;
}

static enum hf_err check_listed(const struct hf_draft *draft, struct hf_why *why)
{
    for (size_t i = 0; i < draft->targets.n_targets; i++) {
        const struct hf_target *target = &draft->targets.targets[i];
        if (!hf_target_path_is_safe(target->path) || !hf_label_is_plain(target->path))
            return hf_fail(why, HF_E_FORMAT,
                           "the draft lists a target whose path is no plain file name");
        if (!is_listed_anew(draft, target))
            continue;
        HF_TRY(check_has_content(draft, target, why));
        HF_TRY(check_bundle_step(draft, target, why));
    }
    return HF_OK;
}

/* A root to come is one that could be published on this day: both thresholds signed it (5.3.4). */
static enum hf_err check_root_to_come(const struct hf_draft *draft, struct hf_why *why)
{
    const struct hf_root *before = &draft->root_before;
    if (!hf_draft_is_under_coming_root(draft))
        return HF_OK;
    HF_TRY(check_key_ids(before, why));
    HF_TRY(check_next_root(before, &draft->root, why));
    return hf_envelope_verify(&draft->root.env, &before->ring, &before->roles[HF_ROLE_ROOT],
                              "the root to come in the draft", why);
}

static enum hf_err check_targets(struct hf_draft *draft, struct hf_why *why)
{
    const struct hf_root *in_force = hf_draft_root_in_force(draft);
    const char *path;
    json_t *content;
    HF_TRY(check_root_to_come(draft, why));
    if (draft->targets.env.version <= draft->before.env.version)
        return hf_fail(why, HF_E_FORMAT,
                       "the draft of targets %" PRId64 " is not newer than targets %" PRId64,
                       draft->targets.env.version, draft->before.env.version);
    draft->is_before_verified = hf_envelope_verify(&draft->before.env, &in_force->ring,
                                                   &in_force->roles[HF_ROLE_TARGETS],
                                                   "the targets before", NULL) == HF_OK;
    HF_TRY(
        check_step(draft, "targets", draft->before.env.version, draft->targets.env.version, why));
    json_object_foreach(json_object_get(draft->json, "files"), path, content)
    {
        HF_TRY(check_file(draft, path, content, why));
    }
    return check_listed(draft, why);
}

/* ---- the holder's clock -------------------------------------------------------------------------- */

enum hf_err hf_draft_check_clock(const struct hf_draft *draft, int64_t now_s, struct hf_why *why)
{
    char now[HF_TIME_TEXT_MAX], drafted[HF_TIME_TEXT_MAX];
    int64_t drafted_s = hf_draft_envelope(draft)->signed_at_s;
    if (drafted_s == HF_TIME_NONE || drafted_s <= now_s + HF_DAY_S)
        return HF_OK;
    hf_time_format(now_s, now);
    hf_time_format(drafted_s, drafted);
    return hf_fail(why, HF_E_STATE,
                   "the draft says that it was made at %s, this machine's clock says %s; no device "
                   "would believe an earlier time again: set the clock, or do not sign",
                   drafted, now);
}

/* ---- the whole ----------------------------------------------------------------------------------- */

enum hf_err hf_draft_check(struct hf_draft *draft, struct hf_why *why)
{
    HF_TRY(check_controls(hf_draft_envelope(draft), why));
    HF_TRY(check_names(draft, why));
    HF_TRY(check_key_ids(&draft->root, why));
    HF_TRY(check_signatures(hf_draft_envelope(draft), why));
    HF_TRY(hf_envelope_verify(&draft->root.env, &draft->root.ring, &draft->root.roles[HF_ROLE_ROOT],
                              "the root in the draft", why));
    return draft->role == HF_ROLE_ROOT ? check_next_root(&draft->root, &draft->next, why)
                                       : check_targets(draft, why);
}
