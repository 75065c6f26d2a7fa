#include "common/rollout/role.h"

#include <stdio.h>
#include <string.h>

void hf_rollout_role_name(const char *set, char out[HF_ROLLOUT_ROLE_SIZE])
{
    (void)snprintf(out, HF_ROLLOUT_ROLE_SIZE, HF_ROLLOUT_ROLE_PREFIX "%s", set);
}

const char *hf_rollout_role_set(const char *role)
{
    static const size_t prefix_len = sizeof HF_ROLLOUT_ROLE_PREFIX - 1;

    if (strncmp(role, HF_ROLLOUT_ROLE_PREFIX, prefix_len) != 0)
        return NULL;
    return hf_set_name_is_valid(role + prefix_len) ? role + prefix_len : NULL;
}

const struct hf_delegation *hf_rollout_delegation(const struct hf_targets *targets,
                                                  const char *role)
{
    for (size_t i = 0; i < targets->n_delegations; i++) {
        if (strcmp(targets->delegations[i].role.name, role) == 0)
            return &targets->delegations[i];
    }
    return NULL;
}

enum hf_err hf_rollout_delegation_check(const struct hf_delegation *delegation, struct hf_why *why)
{
    const char *set = hf_rollout_role_set(delegation->role.name);
    const char *path = json_string_value(json_array_get(delegation->paths, 0));
    char pattern[HF_SET_NAME_MAX + sizeof "/*/*.pem"];

    if (set == NULL)
        return hf_fail(why, HF_E_POLICY, "%.80s is no role of a rollout", delegation->role.name);
    (void)snprintf(pattern, sizeof pattern, "%s/*/*.pem", set);
    if (json_array_size(delegation->paths) == 1 && strcmp(path, pattern) == 0 &&
        !delegation->is_terminating)
        return HF_OK;
    return hf_fail(why, HF_E_POLICY,
                   "targets should delegate exactly %s to %s, not terminating; with another form "
                   "devices do not ask for the role",
                   pattern, delegation->role.name);
}

static bool is_same_file(const struct hf_file_info *a, const struct hf_file_info *b)
{
    return a->length == b->length && a->has_sha256 && b->has_sha256 &&
           memcmp(a->sha256, b->sha256, HF_SHA256_LEN) == 0;
}

enum hf_err hf_rollout_find(const struct hf_targets *role, const struct hf_target *target,
                            struct hf_rollout_activation *out, struct hf_why *why)
{
    const struct hf_target *entry = hf_targets_find(role, target->path);

    if (entry == NULL)
        return hf_fail(why, HF_E_NOT_FOUND, "no stage is signed for %.200s", target->path);
    if (!is_same_file(&entry->info, &target->info))
        return hf_fail(why, HF_E_HASH, "the stage of %.200s is signed for another file",
                       target->path);
    return hf_rollout_activation_parse(entry->custom, out, why);
}
