#include "common/tuf/metadata.h"

#include "common/base/digest.h"
#include "common/base/limits.h"
#include "common/json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const role_names[HF_TOP_ROLES] = {"root", "timestamp", "snapshot", "targets"};

const char *hf_top_role_name(enum hf_top_role role)
{
    return role_names[role];
}

static enum hf_err read_hash(const json_t *hashes, const char *algorithm, const char *what,
                             uint8_t *out, size_t len, bool *is_given, struct hf_why *why)
{
    const json_t *value = json_object_get(hashes, algorithm);
    if (value == NULL)
        return HF_OK;
    const char *hex = json_string_value(value);
    if (hex == NULL || !hf_hex_decode(hex, out, len))
        return hf_fail(why, HF_E_FORMAT, "the %s of %.200s should be %zu hexadecimal digits",
                       algorithm, what, 2 * len);
    *is_given = true;
    return HF_OK;
}

static enum hf_err read_hashes(const json_t *object, const char *what, struct hf_file_info *info,
                               struct hf_why *why)
{
    json_t *hashes = NULL;
    HF_TRY(hf_json_get_object(object, "hashes", what, &hashes, why));
    size_t count = json_object_size(hashes);
    if (count == 0)
        return hf_fail(why, HF_E_FORMAT, "%.200s lists 0 hashes, at least one is expected", what);
    if (count > HF_HASHES_MAX)
        return hf_fail(why, HF_E_LIMIT, "%.200s lists %zu hashes, at most %d are read", what, count,
                       HF_HASHES_MAX);
    info->has_hashes = true;
    HF_TRY(read_hash(hashes, "sha256", what, info->sha256, HF_SHA256_LEN, &info->has_sha256, why));
    return read_hash(hashes, "sha512", what, info->sha512, HF_SHA512_LEN, &info->has_sha512, why);
}

enum hf_err hf_file_info_parse(const json_t *object, enum hf_file_kind kind, const char *what,
                               struct hf_file_info *out, struct hf_why *why)
{
    struct hf_file_info info = {.length = -1};
    bool is_target = kind == HF_FILE_TARGET;
    if (!json_is_object(object))
        return hf_fail(why, HF_E_FORMAT, "%.200s should be an object", what);
    if (!is_target)
        HF_TRY(hf_json_get_integer(object, "version", what, 1, &info.version, why));
    if (is_target || json_object_get(object, "length") != NULL)
        HF_TRY(hf_json_get_integer(object, "length", what, 0, &info.length, why));
    if (is_target || json_object_get(object, "hashes") != NULL)
        HF_TRY(read_hashes(object, what, &info, why));
    *out = info;
    return HF_OK;
}

enum hf_err hf_file_info_verify(const struct hf_file_info *info, struct hf_bytes data,
                                const char *what, struct hf_why *why)
{
    if (info->length >= 0 && (uint64_t)info->length != data.len)
        return hf_fail(why, HF_E_HASH, "%.200s has %zu bytes, the signed metadata announces %lld",
                       what, data.len, (long long)info->length);
    if (!info->has_hashes)
        return HF_OK;
    bool is_match = info->has_sha256 || info->has_sha512;
    uint8_t digest[HF_SHA512_LEN];
    if (info->has_sha256) {
        hf_sha256(data, digest);
        is_match = memcmp(digest, info->sha256, HF_SHA256_LEN) == 0;
    }
    if (info->has_sha512) {
        hf_sha512(data, digest);
        is_match = is_match && memcmp(digest, info->sha512, HF_SHA512_LEN) == 0;
    }
    if (is_match)
        return HF_OK;
    char found[HF_SHA256_HEX_LEN];
    hf_sha256_hex(data, found);
    return hf_fail(why, HF_E_HASH,
                   "%.200s does not have a hash that the signed metadata announces (its SHA-256 is "
                   "%s)",
                   what, found);
}

static enum hf_err read_root(struct hf_bytes file, struct hf_root *m, struct hf_why *why)
{
    json_t *keys = NULL, *roles = NULL, *role = NULL;
    char what[32];
    HF_TRY(hf_envelope_parse(file, "root", &m->env, why));
    const json_t *consistent = json_object_get(m->env.signed_part, "consistent_snapshot");
    if (consistent != NULL && !json_is_boolean(consistent))
        return hf_fail(why, HF_E_FORMAT, "\"consistent_snapshot\" of root should be true or false");
    m->consistent_snapshot = json_is_true(consistent);
    HF_TRY(hf_json_get_object(m->env.signed_part, "keys", "root metadata", &keys, why));
    HF_TRY(hf_keyring_parse(keys, "root metadata", &m->ring, why));
    HF_TRY(hf_json_get_object(m->env.signed_part, "roles", "root metadata", &roles, why));
    for (int i = 0; i < HF_TOP_ROLES; i++) {
        HF_TRY(hf_json_get_object(roles, role_names[i], "\"roles\" of root", &role, why));
        (void)snprintf(what, sizeof what, "the role %s", role_names[i]);
        HF_TRY(hf_role_parse(role_names[i], role, what, &m->roles[i], why));
    }
    return HF_OK;
}

enum hf_err hf_root_parse(struct hf_bytes file, struct hf_root *out, struct hf_why *why)
{
    struct hf_root m = {0};
    enum hf_err err = read_root(file, &m, why);
    if (err == HF_OK)
        *out = m;
    else
        hf_root_free(&m);
    return err;
}

/* Copy `*name` to `*at`, behind which the next one goes. */
static void move_name(const char **name, char **at)
{
    size_t size = strlen(*name) + 1;
    *name = memcpy(*at, *name, size);
    *at += size;
}

enum hf_err hf_root_shed(struct hf_root *m, struct hf_why *why)
{
    size_t size = 1;
    if (m->env.json == NULL)
        return HF_OK;
    for (size_t i = 0; i < m->ring.n_keys; i++)
        size += strlen(m->ring.keys[i].key_id) + 1;
    for (int role = 0; role < HF_TOP_ROLES; role++) {
        for (size_t i = 0; i < m->roles[role].n_key_ids; i++)
            size += strlen(m->roles[role].key_ids[i]) + 1;
    }
    m->names = malloc(size);
    if (m->names == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory while keeping root metadata");
    char *at = m->names;
    for (size_t i = 0; i < m->ring.n_keys; i++)
        move_name(&m->ring.keys[i].key_id, &at);
    for (int role = 0; role < HF_TOP_ROLES; role++) {
        for (size_t i = 0; i < m->roles[role].n_key_ids; i++)
            move_name(&m->roles[role].key_ids[i], &at);
    }
    hf_envelope_shed_json(&m->env);
    return HF_OK;
}

void hf_root_free(struct hf_root *m)
{
    if (m == NULL)
        return;
    free(m->names);
    for (int i = 0; i < HF_TOP_ROLES; i++)
        hf_role_free(&m->roles[i]);
    hf_keyring_free(&m->ring);
    hf_envelope_free(&m->env);
    *m = (struct hf_root){0};
}

/* Does each usable key of `role` in `b` stand for it in `a` too? */
static bool has_all_keys_of(const struct hf_root *a, const struct hf_root *b, enum hf_top_role role)
{
    for (size_t i = 0; i < b->roles[role].n_key_ids; i++) {
        const struct hf_key *key = hf_keyring_find(&b->ring, b->roles[role].key_ids[i]);
        bool is_there = key == NULL || key->public_key == NULL;
        for (size_t k = 0; !is_there && k < a->roles[role].n_key_ids; k++) {
            const struct hf_key *other = hf_keyring_find(&a->ring, a->roles[role].key_ids[k]);
            is_there = other != NULL && hf_key_same(other, key);
        }
        if (!is_there)
            return false;
    }
    return true;
}

bool hf_root_role_keys_same(const struct hf_root *a, const struct hf_root *b, enum hf_top_role role)
{
    return has_all_keys_of(a, b, role) && has_all_keys_of(b, a, role);
}

enum hf_err hf_timestamp_parse(struct hf_bytes file, struct hf_timestamp *out, struct hf_why *why)
{
    struct hf_timestamp m = {0};
    json_t *meta = NULL;
    enum hf_err err = hf_envelope_parse(file, "timestamp", &m.env, why);
    if (err == HF_OK)
        err = hf_json_get_object(m.env.signed_part, "meta", "timestamp metadata", &meta, why);
    if (err == HF_OK)
        err = hf_file_info_parse(json_object_get(meta, "snapshot.json"), HF_FILE_METADATA,
                                 "snapshot.json in timestamp", &m.snapshot, why);
    if (err == HF_OK)
        *out = m;
    else
        hf_timestamp_free(&m);
    return err;
}

void hf_timestamp_free(struct hf_timestamp *m)
{
    if (m == NULL)
        return;
    hf_envelope_free(&m->env);
    *m = (struct hf_timestamp){0};
}

static int compare_entries(const void *a, const void *b)
{
    return strcmp(((const struct hf_snapshot_entry *)a)->file,
                  ((const struct hf_snapshot_entry *)b)->file);
}

static enum hf_err read_snapshot(struct hf_bytes file, struct hf_snapshot *m, struct hf_why *why)
{
    json_t *meta = NULL, *object;
    const char *name;
    HF_TRY(hf_envelope_parse(file, "snapshot", &m->env, why));
    HF_TRY(hf_json_get_object(m->env.signed_part, "meta", "snapshot metadata", &meta, why));
    size_t count = json_object_size(meta);
    if (count > HF_SNAPSHOT_ENTRIES_MAX)
        return hf_fail(why, HF_E_LIMIT, "snapshot metadata lists %zu files, at most %d are read",
                       count, HF_SNAPSHOT_ENTRIES_MAX);
    m->entries = calloc(count == 0 ? 1 : count, sizeof *m->entries);
    if (m->entries == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory while reading snapshot metadata");
    json_object_foreach(meta, name, object)
    {
        struct hf_snapshot_entry *entry = &m->entries[m->n_entries++];
        entry->file = name;
        HF_TRY(hf_file_info_parse(object, HF_FILE_METADATA, "an entry of snapshot", &entry->info,
                                  why));
    }
    qsort(m->entries, m->n_entries, sizeof *m->entries, compare_entries);
    return HF_OK;
}

enum hf_err hf_snapshot_parse(struct hf_bytes file, struct hf_snapshot *out, struct hf_why *why)
{
    struct hf_snapshot m = {0};
    enum hf_err err = read_snapshot(file, &m, why);
    if (err == HF_OK)
        *out = m;
    else
        hf_snapshot_free(&m);
    return err;
}

enum hf_err hf_snapshot_shed(struct hf_snapshot *m, struct hf_why *why)
{
    size_t size = 1;
    if (m->env.json == NULL)
        return HF_OK;
    for (size_t i = 0; i < m->n_entries; i++)
        size += strlen(m->entries[i].file) + 1;
    m->names = malloc(size);
    if (m->names == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory while keeping snapshot metadata");
    char *at = m->names;
    for (size_t i = 0; i < m->n_entries; i++)
        move_name(&m->entries[i].file, &at);
    hf_envelope_shed_json(&m->env);
    return HF_OK;
}

void hf_snapshot_free(struct hf_snapshot *m)
{
    if (m == NULL)
        return;
    free(m->names);
    free(m->entries);
    hf_envelope_free(&m->env);
    *m = (struct hf_snapshot){0};
}

const struct hf_file_info *hf_snapshot_find(const struct hf_snapshot *m, const char *file)
{
    const struct hf_snapshot_entry key = {.file = file};
    const struct hf_snapshot_entry *found = bsearch(&key, m->entries, m->n_entries, sizeof key,
                                                    compare_entries);
    return found == NULL ? NULL : &found->info;
}
