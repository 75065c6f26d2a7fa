#include "server/repository/drafts/draft.h"

#include "common/base/timetext.h"
#include "common/bundle/description.h"
#include "common/json/json.h"
#include "server/repository/base/public_key.h"

#include <inttypes.h>
#include <string.h>

#define VERSION_STEP_MAX 1000 /* numbers that were begun and lost are few */

/* ---- text that would confuse a terminal ------------------------------------------------------ */

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
        const json_t *value = json_object_get(key, "keyval");
        const char *pem = json_string_value(json_object_get(value, "public"));
        n += pem == NULL ? 0 : count_line_ends(hf_bytes_of_text(pem));
    }
    return n;
}

/* In signed metadata only a PEM may contain one. */
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

static enum hf_err check_label(const char *text, const char *what, struct hf_why *why)
{
    if (hf_label_is_plain(text))
        return HF_OK;
    return hf_fail(why, HF_E_FORMAT,
                   "the draft holds a %s that is empty, longer than %d characters, or not plain "
                   "ASCII. Do not sign; ask the author of the draft",
                   what, HF_LABEL_MAX);
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

/* ---- root ------------------------------------------------------------------------------------ */

/* To devices an id is a label. People ask a holder for the id of a new key, and the answer must not
 * fit a key that an attacker made: it is computed from the key alone. */
static enum hf_err check_new_key(const char *key_id, const json_t *object, struct hf_why *why)
{
    struct hf_public_key key = {0};
    char wanted[HF_SHA256_HEX_LEN];
    if (hf_public_key_from_json(object, &key, why) != HF_OK)
        return hf_fail_context(why, "the new key %.64s of the draft", key_id);
    bool is_plain = json_equal(key.json, object);
    memcpy(wanted, key.key_id, sizeof wanted);
    hf_public_key_free(&key);
    if (strcmp(wanted, key_id) != 0)
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

/* One label must not mean one key before and another after: people compare labels. */
static enum hf_err check_keys(const struct hf_root *before, const struct hf_root *next,
                              struct hf_why *why)
{
    const json_t *old_keys = json_object_get(before->env.signed_part, "keys");
    const char *key_id;
    json_t *key;
    json_object_foreach(json_object_get(next->env.signed_part, "keys"), key_id, key)
    {
        const json_t *old = json_object_get(old_keys, key_id);
        if (old == NULL)
            HF_TRY(check_new_key(key_id, key, why));
        else if (!json_equal(old, key))
            return hf_fail(why, HF_E_FORMAT,
                           "the draft gives the key id %s to another key than root %" PRId64
                           " does; start a new draft",
                           key_id, before->env.version);
    }
    return HF_OK;
}

static enum hf_err check_role(const struct hf_root *next, enum hf_top_role which,
                              struct hf_why *why)
{
    const struct hf_role *role = &next->roles[which];
    for (size_t i = 0; i < role->n_key_ids; i++) {
        const struct hf_key *key = hf_keyring_find(&next->ring, role->key_ids[i]);
        if (key == NULL || key->scheme == HF_SCHEME_UNKNOWN)
            return hf_fail(why, HF_E_FORMAT,
                           "the %s key %s of the draft is missing or cannot be used", role->name,
                           role->key_ids[i]);
        for (size_t k = 0; k < i; k++) {
            if (hf_key_same(key, hf_keyring_find(&next->ring, role->key_ids[k])))
                return hf_fail(why, HF_E_FORMAT,
                               "role %s of the draft lists one key as %s and %s; it counts once",
                               role->name, role->key_ids[k], role->key_ids[i]);
        }
    }
    if (role->threshold > (int64_t)role->n_key_ids)
        return hf_fail(why, HF_E_FORMAT,
                       "%" PRId64 " of %zu %s keys can never sign; add keys first, or lower the "
                       "threshold (set-threshold)",
                       role->threshold, role->n_key_ids, hf_top_role_name(which));
    return HF_OK;
}

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
    return check_keys(before, next, why);
}

/* ---- targets --------------------------------------------------------------------------------- */

/* Versions only rise, so none can follow a huge one. Targets before without valid signatures could
 * name any version: they count as none. */
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

/* False for a target that is no bundle. */
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

/* The content of a newly listed file must be in the draft, so that a holder can review it. */
static enum hf_err check_listed(const struct hf_draft *draft, struct hf_why *why)
{
    const json_t *before = json_object_get(draft->before.env.signed_part, "targets");
    const json_t *after = json_object_get(draft->targets.env.signed_part, "targets");
    for (size_t i = 0; i < draft->targets.n_targets; i++) {
        const struct hf_target *target = &draft->targets.targets[i];
        const char *path = target->path;
        struct hf_description d = {0};
        if (!hf_target_path_is_safe(path) || !hf_label_is_plain(path))
            return hf_fail(why, HF_E_FORMAT,
                           "the draft lists a target whose path is no plain file name");
        if (json_equal(json_object_get(before, path), json_object_get(after, path)))
            continue;
        if (hf_draft_content(draft, path).data == NULL)
            return hf_fail(why, HF_E_FORMAT, "the draft newly lists %s without its content", path);
        if (!read_description(target, &d))
            continue;
        enum hf_err err = check_step(draft, path, newest_before(draft, &d), d.version, why);
        hf_description_free(&d);
        HF_TRY(err);
    }
    return HF_OK;
}

static enum hf_err check_targets(struct hf_draft *draft, struct hf_why *why)
{
    const struct hf_root *in_force = hf_draft_root_in_force(draft);
    int64_t before = draft->before.env.version, version = draft->targets.env.version;
    const char *path;
    json_t *content;
    /* A root to come could be published today: both thresholds have signed it (5.3.4). */
    if (hf_draft_is_under_coming_root(draft)) {
        HF_TRY(check_key_ids(in_force, why));
        HF_TRY(check_next_root(in_force, &draft->root, why));
        HF_TRY(hf_envelope_verify(&draft->root.env, &in_force->ring, &in_force->roles[HF_ROLE_ROOT],
                                  "the root to come in the draft", why));
    }
    if (version <= before)
        return hf_fail(why, HF_E_FORMAT,
                       "the draft of targets %" PRId64 " is not newer than targets %" PRId64,
                       version, before);
    draft->is_before_verified = hf_envelope_verify(&draft->before.env, &in_force->ring,
                                                   &in_force->roles[HF_ROLE_TARGETS],
                                                   "the targets before", NULL) == HF_OK;
    HF_TRY(check_step(draft, "targets", before, version, why));
    json_object_foreach(json_object_get(draft->json, "files"), path, content)
    {
        const struct hf_target *target = hf_targets_find(&draft->targets, path);
        if (target == NULL || !json_is_string(content))
            return hf_fail(why, HF_E_FORMAT, "a file in the draft is not listed in what is signed");
        HF_TRY(hf_file_info_verify(&target->info, hf_draft_content(draft, path), path, why));
    }
    return check_listed(draft, why);
}

enum hf_err hf_draft_check(struct hf_draft *draft, struct hf_why *why)
{
    const struct hf_envelope *env = hf_draft_envelope(draft);
    const char *key_id;
    json_t *name;
    HF_TRY(check_controls(env, why));
    json_object_foreach(hf_json_iterable(json_object_get(draft->json, "names")), key_id, name)
    {
        if (!json_is_string(name))
            return hf_fail(why, HF_E_FORMAT, "the names of keys in the draft should be strings");
        HF_TRY(check_label(key_id, "key id", why));
        HF_TRY(check_label(json_string_value(name), "key name", why));
    }
    HF_TRY(check_key_ids(&draft->root, why));
    for (size_t i = 0; i < env->n_signatures; i++)
        HF_TRY(check_label(env->signatures[i].key_id, "key id", why));
    HF_TRY(hf_envelope_verify(&draft->root.env, &draft->root.ring, &draft->root.roles[HF_ROLE_ROOT],
                              "the root in the draft", why));
    return draft->role == HF_ROLE_ROOT ? check_next_root(&draft->root, &draft->next, why)
                                       : check_targets(draft, why);
}

/* ---- clocks ---------------------------------------------------------------------------------- */

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

enum hf_err hf_draft_check_made_before(const struct hf_draft *draft, int64_t now_s,
                                       struct hf_why *why)
{
    char now[HF_TIME_TEXT_MAX], drafted[HF_TIME_TEXT_MAX];
    int64_t drafted_s = hf_draft_envelope(draft)->signed_at_s;
    if (drafted_s == HF_TIME_NONE || drafted_s <= now_s)
        return HF_OK;
    hf_time_format(now_s, now);
    hf_time_format(drafted_s, drafted);
    return hf_fail(why, HF_E_STATE,
                   "this machine's clock says %s, but the draft was made at %s; one of the two "
                   "clocks is wrong: set it, and start a new draft if it was the other",
                   now, drafted);
}
