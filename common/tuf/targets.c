#include "common/tuf/metadata.h"

#include "common/base/digest.h"
#include "common/base/limits.h"
#include "common/json/json.h"

#include <stdlib.h>
#include <string.h>

static enum hf_err read_targets_list(const json_t *list, struct hf_targets *m, struct hf_why *why)
{
    size_t count = json_object_size(list);
    m->targets = calloc(count == 0 ? 1 : count, sizeof *m->targets);
    if (m->targets == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory while reading targets metadata");
    const char *path;
    json_t *object;
    json_object_foreach(hf_json_iterable(list), path, object)
    {
        struct hf_target *target = &m->targets[m->n_targets++];
        target->path = path;
        if (strlen(path) > HF_TARGET_PATH_MAX)
            return hf_fail(why, HF_E_LIMIT, "a target path is longer than %d bytes",
                           HF_TARGET_PATH_MAX);
        HF_TRY(
            hf_file_info_parse(object, HF_FILE_TARGET, "an entry of targets", &target->info, why));
        const json_t *custom = json_object_get(object, "custom");
        target->custom = json_is_object(custom) ? custom : NULL; /* other types are not ours */
    }
    return HF_OK;
}

static enum hf_err check_scope(const json_t *list, const char *key, struct hf_why *why)
{
    if (list != NULL && !json_is_array(list))
        return hf_fail(why, HF_E_FORMAT, "%s of a delegation should be a list", key);
    if (json_array_size(list) > HF_PATH_PATTERNS_MAX)
        return hf_fail(why, HF_E_LIMIT, "%s of a delegation has %zu elements, at most %d are read",
                       key, json_array_size(list), HF_PATH_PATTERNS_MAX);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *element = json_array_get(list, i);
        if (json_string_value(element) == NULL)
            return hf_fail(why, HF_E_FORMAT, "%s of a delegation should be strings", key);
        if (json_string_length(element) > HF_TARGET_PATH_MAX)
            return hf_fail(why, HF_E_LIMIT,
                           "%s of a delegation has an element of more than %d bytes", key,
                           HF_TARGET_PATH_MAX);
    }
    return HF_OK;
}

static enum hf_err check_role_name(const char *name, const struct hf_targets *m, struct hf_why *why)
{
    if (name[0] == '\0' || strlen(name) > HF_ROLE_NAME_MAX)
        return hf_fail(why, HF_E_FORMAT, "a delegated role should have a name of 1 to %d bytes",
                       HF_ROLE_NAME_MAX);
    for (int i = 0; i < HF_TOP_ROLES; i++) {
        if (strcmp(name, hf_top_role_name((enum hf_top_role)i)) == 0)
            return hf_fail(why, HF_E_FORMAT,
                           "a delegation may not be named \"%s\", as a top-level role is", name);
    }
    for (size_t i = 0; i < m->n_delegations; i++) {
        if (strcmp(m->delegations[i].role.name, name) == 0)
            return hf_fail(why, HF_E_FORMAT, "one role is delegated to twice in one file");
    }
    return HF_OK;
}

static enum hf_err read_delegation(const json_t *object, struct hf_targets *m, struct hf_why *why)
{
    struct hf_delegation *d = &m->delegations[m->n_delegations];
    const char *name = NULL;
    HF_TRY(hf_json_get_text(object, "name", "a delegation", &name, why));
    HF_TRY(check_role_name(name, m, why));
    const json_t *terminating = json_object_get(object, "terminating");
    if (!json_is_boolean(terminating))
        return hf_fail(why, HF_E_FORMAT, "\"terminating\" of a delegation should be true or false");
    HF_TRY(hf_role_parse(name, object, "a delegated role", &d->role, why));
    m->n_delegations++; /* from here on its memory is freed with the rest */
    d->is_terminating = json_is_true(terminating);
    /* At most one of paths and path_hash_prefixes (TUF 4.5). */
    d->paths = json_object_get(object, "paths");
    d->path_hash_prefixes = json_object_get(object, "path_hash_prefixes");
    if (d->paths != NULL && d->path_hash_prefixes != NULL)
        return hf_fail(why, HF_E_FORMAT,
                       "a delegation should have either paths or path_hash_prefixes");
    HF_TRY(check_scope(d->paths, "paths", why));
    return check_scope(d->path_hash_prefixes, "path_hash_prefixes", why);
}

static enum hf_err read_delegations(const json_t *delegations, struct hf_targets *m,
                                    struct hf_why *why)
{
    json_t *keys = NULL, *roles = NULL;
    HF_TRY(hf_json_get_object(delegations, "keys", "delegations", &keys, why));
    HF_TRY(hf_keyring_parse(keys, "delegations", &m->ring, why));
    if (json_object_get(delegations, "roles") == NULL)
        return HF_OK; /* succinct hash bins (TAP 15) alone: not followed */
    HF_TRY(hf_json_get_array(delegations, "roles", "delegations", &roles, why));
    size_t count = json_array_size(roles);
    if (count > HF_DELEGATIONS_MAX)
        return hf_fail(why, HF_E_LIMIT, "%zu delegations in one file, at most %d are read", count,
                       HF_DELEGATIONS_MAX);
    m->delegations = calloc(count == 0 ? 1 : count, sizeof *m->delegations);
    if (m->delegations == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory while reading delegations");
    for (size_t i = 0; i < count; i++)
        HF_TRY(read_delegation(json_array_get(roles, i), m, why));
    return HF_OK;
}

static enum hf_err read_targets(struct hf_bytes file, struct hf_targets *m, struct hf_why *why)
{
    json_t *list = NULL, *delegations = NULL;
    HF_TRY(hf_envelope_parse(file, "targets", &m->env, why));
    HF_TRY(hf_json_get_object(m->env.signed_part, "targets", "targets metadata", &list, why));
    HF_TRY(read_targets_list(list, m, why));
    if (json_object_get(m->env.signed_part, "delegations") == NULL)
        return HF_OK;
    HF_TRY(hf_json_get_object(m->env.signed_part, "delegations", "targets metadata", &delegations,
                              why));
    return read_delegations(delegations, m, why);
}

enum hf_err hf_targets_parse(struct hf_bytes file, struct hf_targets *out, struct hf_why *why)
{
    struct hf_targets m = {0};
    enum hf_err err = read_targets(file, &m, why);
    if (err == HF_OK)
        *out = m;
    else
        hf_targets_free(&m);
    return err;
}

void hf_targets_free(struct hf_targets *m)
{
    if (m == NULL)
        return;
    for (size_t i = 0; i < m->n_delegations; i++)
        hf_role_free(&m->delegations[i].role);
    free(m->delegations);
    hf_keyring_free(&m->ring);
    free(m->targets);
    hf_envelope_free(&m->env);
    *m = (struct hf_targets){0};
}

const struct hf_target *hf_targets_find(const struct hf_targets *m, const char *path)
{
    for (size_t i = 0; i < m->n_targets; i++) {
        if (strcmp(m->targets[i].path, path) == 0)
            return &m->targets[i];
    }
    return NULL;
}

bool hf_target_path_is_safe(const char *path)
{
    if (strlen(path) > HF_TARGET_PATH_MAX)
        return false;
    for (const char *part = path;; part++) {
        size_t len = strcspn(part, "/");
        if (len == 0 || (part[0] == '.' && (len == 1 || (len == 2 && part[1] == '.'))))
            return false;
        for (size_t i = 0; i < len; i++) {
            unsigned char c = (unsigned char)part[i];
            if (c < 0x20u || c == 0x7Fu || c == '\\')
                return false;
        }
        part += len;
        if (*part == '\0')
            return true;
    }
}

enum hf_err hf_target_file_name(const struct hf_target *t, bool consistent_snapshot,
                                struct hf_buf *out, struct hf_why *why)
{
    char hash[HF_SHA512_HEX_LEN];
    if (t->info.has_sha256)
        hf_hex_encode(t->info.sha256, HF_SHA256_LEN, hash);
    else if (t->info.has_sha512)
        hf_hex_encode(t->info.sha512, HF_SHA512_LEN, hash);
    else if (consistent_snapshot)
        return hf_fail(
            why, HF_E_FORMAT,
            "the target %.200s has neither a SHA-256 nor a SHA-512, one of them names its file",
            t->path);
    const char *slash = strrchr(t->path, '/');
    const char *name = slash == NULL ? t->path : slash + 1;
    enum hf_err err = hf_buf_append(out, t->path, (size_t)(name - t->path));
    if (err == HF_OK && consistent_snapshot)
        err = hf_buf_printf(out, "%s.", hash);
    if (err == HF_OK)
        err = hf_buf_append_text(out, name);
    return err == HF_OK ? HF_OK : hf_fail(why, err, "out of memory while naming a target file");
}
