/* The targets half of the trusted metadata set (TUF 5.6): top-level and delegated roles. */
#include "common/tuf/trusted_checks.h"

#include "common/base/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct hf_trusted_targets *
hf_trusted_set_find_targets(const struct hf_trusted_set *set, const char *role,
                            const struct hf_trusted_targets *delegator)
{
    for (size_t i = 0; i < set->n_targets; i++) {
        const struct hf_trusted_targets *t = set->targets[i];
        if (t->delegator == delegator && strcmp(t->role, role) == 0)
            return t;
    }
    return NULL;
}

const struct hf_targets *hf_trusted_set_top_targets(const struct hf_trusted_set *set)
{
    const struct hf_trusted_targets *top = hf_trusted_set_find_targets(set,
                                                                       hf_top_role_name(
                                                                           HF_ROLE_TARGETS),
                                                                       NULL);
    return top == NULL ? NULL : &top->targets;
}

/* The keys come from this very delegator, not from another role of the same name. */
static enum hf_err verify_delegated(const struct hf_targets *from, const char *role,
                                    const char *delegator, const struct hf_envelope *env,
                                    struct hf_why *why)
{
    for (size_t i = 0; i < from->n_delegations; i++) {
        if (strcmp(from->delegations[i].role.name, role) == 0)
            return hf_envelope_verify(env, &from->ring, &from->delegations[i].role, role, why);
    }
    return hf_fail(why, HF_E_SIGNATURE, "the role %.64s does not delegate to %.64s", delegator,
                   role);
}

static enum hf_err verify_targets(const struct hf_trusted_set *set, const char *role,
                                  const struct hf_trusted_targets *delegator,
                                  const struct hf_envelope *env, struct hf_why *why)
{
    if (delegator != NULL)
        return verify_delegated(&delegator->targets, role, delegator->role, env, why);
    if (strcmp(role, hf_top_role_name(HF_ROLE_TARGETS)) != 0)
        return hf_fail(why, HF_E_STATE, "root delegates to the role \"targets\" only, not to %.64s",
                       role);
    return hf_verify_top_role(set->root, HF_ROLE_TARGETS, env, &set->known, why);
}

static enum hf_err find_announced(const struct hf_trusted_set *set, const char *role,
                                  const struct hf_file_info **out, struct hf_why *why)
{
    char file[HF_ROLE_NAME_MAX + sizeof ".json"];
    if (strlen(role) > HF_ROLE_NAME_MAX)
        return hf_fail(why, HF_E_LIMIT, "a role name of more than %d bytes", HF_ROLE_NAME_MAX);
    (void)snprintf(file, sizeof file, "%s.json", role);
    *out = hf_snapshot_find(set->snapshot, file);
    if (*out == NULL)
        return hf_fail(why, HF_E_NOT_FOUND, "snapshot version %lld does not list %.200s",
                       (long long)set->snapshot->env.version, file);
    return HF_OK;
}

static enum hf_err accept_targets(const struct hf_trusted_set *set, const struct hf_targets *next,
                                  const char *role, const struct hf_trusted_targets *delegator,
                                  const struct hf_file_info *announced, struct hf_why *why)
{
    HF_TRY(verify_targets(set, role, delegator, &next->env, why));
    if (next->env.version != announced->version)
        return hf_fail(why, HF_E_ROLLBACK,
                       "snapshot names version %lld of %.64s, found version %lld (TUF 5.6.4)",
                       (long long)announced->version, role, (long long)next->env.version);
    return hf_check_expiry(set, &next->env, role, "5.6.5", why);
}

static void free_entry(struct hf_trusted_targets *entry)
{
    if (entry == NULL)
        return;
    free(entry->role);
    hf_targets_free(&entry->targets);
    free(entry);
}

static struct hf_trusted_targets *new_entry(const char *role,
                                            const struct hf_trusted_targets *delegator)
{
    size_t name_size = strlen(role) + 1;
    struct hf_trusted_targets *entry = calloc(1, sizeof *entry);
    if (entry == NULL)
        return NULL;
    entry->delegator = delegator;
    entry->role = malloc(name_size);
    if (entry->role == NULL) {
        free(entry);
        return NULL;
    }
    memcpy(entry->role, role, name_size);
    return entry;
}

/* Takes `entry` on HF_OK. */
static enum hf_err append_take(struct hf_trusted_set *set, struct hf_trusted_targets *entry,
                               struct hf_why *why)
{
    if (set->n_targets >= HF_TARGETS_ROLES_MAX)
        return hf_fail(why, HF_E_LIMIT, "more than %d targets roles; the rest is not read",
                       HF_TARGETS_ROLES_MAX);
    struct hf_trusted_targets **grown = realloc(set->targets,
                                                (set->n_targets + 1) *
                                                    sizeof(struct hf_trusted_targets *));
    if (grown == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory while keeping targets metadata");
    set->targets = grown;
    set->targets[set->n_targets++] = entry;
    return HF_OK;
}

static enum hf_err load(struct hf_trusted_set *set, struct hf_bytes file,
                        struct hf_trusted_targets *entry, struct hf_why *why)
{
    const struct hf_file_info *announced = NULL;
    HF_TRY(find_announced(set, entry->role, &announced, why));
    HF_TRY(hf_file_info_verify(announced, file, entry->role, why)); /* 5.6.2 */
    HF_TRY(hf_targets_parse(file, &entry->targets, why));
    HF_TRY(accept_targets(set, &entry->targets, entry->role, entry->delegator, announced, why));
    return append_take(set, entry, why);
}

enum hf_err hf_trusted_set_update_targets(struct hf_trusted_set *set, struct hf_bytes file,
                                          const char *role,
                                          const struct hf_trusted_targets *delegator,
                                          struct hf_why *why)
{
    HF_TRY(hf_trusted_set_snapshot_is_final(set, why));
    if (hf_trusted_set_find_targets(set, role, delegator) != NULL)
        return hf_fail(why, HF_E_STATE, "the role %.64s is trusted already", role);
    struct hf_trusted_targets *entry = new_entry(role, delegator);
    if (entry == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory while reading targets metadata");
    enum hf_err err = load(set, file, entry, why);
    if (err != HF_OK)
        free_entry(entry);
    return err;
}

void hf_trusted_targets_free_all(struct hf_trusted_set *set)
{
    for (size_t i = 0; i < set->n_targets; i++)
        free_entry(set->targets[i]);
    free(set->targets);
}
