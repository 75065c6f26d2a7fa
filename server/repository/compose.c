#include "server/repository/compose.h"

#include "common/base/timetext.h"
#include "common/json/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPIRY_FILE_BYTES_MAX 4096

/* jansson's setters take a NULL value and say so in their result, so a chain of them needs one
 * check at its end. */
static enum hf_err finish(json_t *object, int failures, json_t **out, struct hf_why *why)
{
    if (object == NULL || failures != 0) {
        json_decref(object);
        return hf_fail(why, HF_E_MEMORY, "out of memory for metadata");
    }
    *out = object;
    return HF_OK;
}

/* The members that all kinds begin with (4.3), into a new object or over what a copy says. */
static int set_common(json_t *object, const char *type, const struct hf_signing *signing)
{
    int failures = 0;
    failures += json_object_set_new(object, "_type", json_string(type));
    failures += json_object_set_new(object, "spec_version", json_string(HF_SPEC_VERSION));
    failures += json_object_set_new(object, "version", json_integer(signing->version));
    failures += json_object_set_new(object, "expires", hf_json_time(signing->expires_s));
    if (signing->signed_at_s != HF_TIME_NONE)
        failures += json_object_set_new(object, "signed_at", hf_json_time(signing->signed_at_s));
    return failures;
}

enum hf_err hf_compose_root(const struct hf_root_plan *plan, const struct hf_signing *signing,
                            json_t **out, struct hf_why *why)
{
    json_t *root = json_object();
    json_t *keys = json_object();
    json_t *roles = json_object();
    int failures = set_common(root, "root", signing);
    failures += json_object_set_new(root, "consistent_snapshot", json_true());
    for (enum hf_top_role i = 0; i < HF_TOP_ROLES; i++) {
        json_t *key_ids = json_array();
        for (size_t k = 0; k < plan->keys[i].n_keys; k++) {
            const struct hf_signing_key *key = &plan->keys[i].keys[k];
            failures += json_object_set(keys, key->key_id, key->public_key);
            failures += json_array_append_new(key_ids, json_string(key->key_id));
        }
        json_t *role = json_pack("{s:o, s:I}", "keyids", key_ids, "threshold",
                                 (json_int_t)plan->thresholds[i]);
        failures += json_object_set_new(roles, hf_top_role_name(i), role);
    }
    failures += json_object_set_new(root, "keys", keys);
    failures += json_object_set_new(root, "roles", roles);
    return finish(root, failures, out, why);
}

enum hf_err hf_compose_next_root(const json_t *before, const struct hf_signing *signing,
                                 json_t **out, struct hf_why *why)
{
    json_t *root = json_deep_copy(before);
    return finish(root, set_common(root, "root", signing), out, why);
}

enum hf_err hf_compose_targets(const json_t *before, const struct hf_signing *signing, json_t **out,
                               struct hf_why *why)
{
    json_t *targets = before == NULL ? json_object() : json_deep_copy(before);
    int failures = set_common(targets, "targets", signing);
    if (json_object_get(targets, "targets") == NULL)
        failures += json_object_set_new(targets, "targets", json_object());
    return finish(targets, failures, out, why);
}

enum hf_err hf_compose_add_target(json_t *targets, const char *path, struct hf_bytes content,
                                  json_t *custom, struct hf_why *why)
{
    char sha256[HF_SHA256_HEX_LEN];
    hf_sha256_hex(content, sha256);
    json_t *target = json_pack("{s:I, s:{s:s}, s:O}", "length", (json_int_t)content.len, "hashes",
                               "sha256", sha256, "custom", custom);
    if (json_object_set_new(json_object_get(targets, "targets"), path, target) != 0)
        return hf_fail(why, HF_E_MEMORY, "out of memory for metadata");
    return HF_OK;
}

void hf_compose_remove_target(json_t *targets, const char *path)
{
    json_object_del(json_object_get(targets, "targets"), path);
}

/* Version, length and hash: a device then knows the size before it fetches, and a mirror cannot
 * offer another file of the same version. */
static json_t *file_info(int64_t version, struct hf_bytes file)
{
    char sha256[HF_SHA256_HEX_LEN];
    hf_sha256_hex(file, sha256);
    return json_pack("{s:I, s:I, s:{s:s}}", "version", (json_int_t)version, "length",
                     (json_int_t)file.len, "hashes", "sha256", sha256);
}

enum hf_err hf_compose_snapshot(const json_t *before, const struct hf_signing *signing,
                                int64_t targets_version, struct hf_bytes targets_file, json_t **out,
                                struct hf_why *why)
{
    json_t *snapshot = before == NULL ? json_object() : json_deep_copy(before);
    int failures = set_common(snapshot, "snapshot", signing);
    if (json_object_get(snapshot, "meta") == NULL)
        failures += json_object_set_new(snapshot, "meta", json_object());
    if (targets_version > 0)
        failures += json_object_set_new(json_object_get(snapshot, "meta"), "targets.json",
                                        file_info(targets_version, targets_file));
    return finish(snapshot, failures, out, why);
}

enum hf_err hf_compose_add_to_snapshot(json_t *snapshot, const char *role, int64_t version,
                                       struct hf_bytes file, struct hf_why *why)
{
    char name[HF_ROLLOUT_ROLE_SIZE + sizeof ".json"];
    (void)snprintf(name, sizeof name, "%s.json", role);
    if (json_object_set_new(json_object_get(snapshot, "meta"), name, file_info(version, file)) != 0)
        return hf_fail(why, HF_E_MEMORY, "out of memory for metadata");
    return HF_OK;
}

/* The list of delegations without that to `role`. The key that it had stays in the list of keys,
 * with no role. */
static json_t *other_delegations(const json_t *delegations, const char *role)
{
    json_t *others = json_array(), *entry;
    size_t i;
    json_array_foreach(json_object_get(delegations, "roles"), i, entry)
    {
        const char *name = json_string_value(json_object_get(entry, "name"));
        if (name != NULL && strcmp(name, role) != 0)
            others = hf_json_append_take(others, json_incref(entry));
    }
    return others;
}

enum hf_err hf_compose_delegate_rollout(json_t *targets, const char *set, const json_t *public_key,
                                        struct hf_why *why)
{
    char role[HF_ROLLOUT_ROLE_SIZE], pattern[HF_SET_NAME_MAX + sizeof "/*/*.pem"];
    char id[HF_SHA256_HEX_LEN];
    const json_t *before = json_object_get(targets, "delegations");
    HF_TRY(hf_public_key_id(public_key, id, why));
    json_t *keys = json_object();
    hf_rollout_role_name(set, role);
    (void)snprintf(pattern, sizeof pattern, "%s/*/*.pem", set);
    int failures = 0;
    if (json_object_get(before, "keys") != NULL)
        failures += json_object_update(keys, json_object_get(before, "keys"));
    failures += json_object_set_new(keys, id, json_deep_copy(public_key));
    json_t *delegation = json_pack("{s:s, s:[s], s:i, s:b, s:[s]}", "name", role, "keyids", id,
                                   "threshold", 1, "terminating", 0, "paths", pattern);
    json_t *roles = hf_json_append_take(other_delegations(before, role), delegation);
    failures += json_object_set_new(targets, "delegations",
                                    json_pack("{s:o, s:o}", "keys", keys, "roles", roles));
    return failures == 0 ? HF_OK : hf_fail(why, HF_E_MEMORY, "out of memory for metadata");
}

enum hf_err hf_compose_set_stage(json_t *rollout, const struct hf_target *target,
                                 const struct hf_rollout_activation *activation, struct hf_why *why)
{
    char sha256[HF_SHA256_HEX_LEN];
    hf_hex_encode(target->info.sha256, HF_SHA256_LEN, sha256);
    json_t *entry = json_pack("{s:I, s:{s:s}, s:o}", "length", (json_int_t)target->info.length,
                              "hashes", "sha256", sha256, "custom",
                              hf_rollout_activation_to_json(activation));
    if (json_object_set_new(json_object_get(rollout, "targets"), target->path, entry) != 0)
        return hf_fail(why, HF_E_MEMORY, "out of memory for metadata");
    return HF_OK;
}

enum hf_err hf_compose_timestamp(const struct hf_signing *signing, int64_t snapshot_version,
                                 struct hf_bytes snapshot_file, json_t **out, struct hf_why *why)
{
    json_t *timestamp = json_object();
    int failures = set_common(timestamp, "timestamp", signing);
    json_t *meta = json_pack("{s:o}", "snapshot.json", file_info(snapshot_version, snapshot_file));
    failures += json_object_set_new(timestamp, "meta", meta);
    return finish(timestamp, failures, out, why);
}

struct hf_expiry hf_expiry_default(void)
{
    return (struct hf_expiry){.days = {[HF_ROLE_ROOT] = HF_EXPIRY_ROOT_DAYS,
                                       [HF_ROLE_TARGETS] = HF_EXPIRY_TARGETS_DAYS,
                                       [HF_ROLE_SNAPSHOT] = HF_EXPIRY_SNAPSHOT_DAYS,
                                       [HF_ROLE_TIMESTAMP] = HF_EXPIRY_TIMESTAMP_DAYS}};
}

static bool is_at(int role, enum hf_key_location location)
{
    return hf_key_location_of((enum hf_top_role)role) == location;
}

static const char *name_of(int role)
{
    return hf_top_role_name((enum hf_top_role)role);
}

enum hf_err hf_expiry_check(const struct hf_expiry *expiry, struct hf_why *why)
{
    for (int role = 0; role < HF_TOP_ROLES; role++) {
        if (expiry->days[role] < 1 || expiry->days[role] > HF_EXPIRY_DAYS_MAX)
            return hf_fail(why, HF_E_ARGUMENT, "%s may last 1 to %d days, not %" PRId64,
                           name_of(role), HF_EXPIRY_DAYS_MAX, expiry->days[role]);
    }
    return HF_OK;
}

enum hf_err hf_expiry_create(const struct hf_key_folder *folder, enum hf_key_location location,
                             const struct hf_expiry *expiry, struct hf_why *why)
{
    struct hf_path path;
    HF_TRY(hf_path_set(&path, why, "%s/expiry.json", folder->path.text));
    json_t *object = json_object();
    int failures = 0;
    for (int role = 0; role < HF_TOP_ROLES; role++) {
        if (is_at(role, location))
            failures += json_object_set_new(object, name_of(role),
                                            json_pack("{s:I}", "days",
                                                      (json_int_t)expiry->days[role]));
    }
    struct hf_buf text = {0};
    enum hf_err err = hf_json_dump(failures != 0 ? NULL : object, JSON_INDENT(2) | JSON_SORT_KEYS,
                                   &text, why);
    json_decref(object);
    if (err == HF_OK)
        err = hf_file_create(path.text, 0600, hf_buf_bytes(&text), why);
    hf_buf_free(&text);
    return err;
}

enum hf_err hf_expiry_read(const struct hf_key_folder *folder, enum hf_key_location location,
                           struct hf_expiry *expiry, struct hf_why *why)
{
    struct hf_path path;
    struct hf_buf text = {0};
    struct hf_expiry read = *expiry;
    struct hf_why reason;
    json_t *object = NULL;
    HF_TRY(hf_path_set(&path, why, "%s/expiry.json", folder->path.text));
    enum hf_err err = hf_file_read_any(path.text, EXPIRY_FILE_BYTES_MAX, &text, why);
    if (err == HF_E_NOT_FOUND)
        return HF_OK;
    if (err == HF_OK)
        err = hf_json_parse_object(hf_buf_bytes(&text), path.text, &object, why);
    for (int role = 0; role < HF_TOP_ROLES && err == HF_OK; role++) {
        json_t *member = NULL;
        if (!is_at(role, location))
            continue;
        err = hf_json_get_object(object, name_of(role), path.text, &member, why);
        if (err == HF_OK)
            err = hf_json_get_integer(member, "days", path.text, 1, &read.days[role], why);
    }
    if (err == HF_OK && hf_expiry_check(&read, &reason) != HF_OK)
        err = hf_fail(why, HF_E_FORMAT, "%s: %s", path.text, reason.text);
    if (err == HF_OK)
        *expiry = read;
    json_decref(object);
    hf_buf_free(&text);
    return err;
}

int64_t hf_expiry_of(const struct hf_expiry *expiry, enum hf_top_role role, int64_t now_s)
{
    return now_s + expiry->days[role] * HF_DAY_S;
}
