#include "common/tuf/trusted_checks.h"

#include "common/base/timetext.h"

#include <stdio.h>

enum hf_err hf_check_expiry(const struct hf_trusted_set *set, const struct hf_envelope *env,
                            const char *name, const char *clause, struct hf_why *why)
{
    if (env->expires_s > set->now_s)
        return HF_OK;
    char expired[HF_TIME_TEXT_MAX];
    char now[HF_TIME_TEXT_MAX];
    hf_time_format(env->expires_s, expired);
    hf_time_format(set->now_s, now);
    return hf_fail(
        why, HF_E_EXPIRED,
        "%.64s version %lld expired at %s, it is %s now (TUF %s): the repository has not "
        "been renewed, a mirror serves old files, or this device's clock is wrong",
        name, (long long)env->version, expired, now, clause);
}

enum hf_err hf_verify_top_role(const struct hf_root *root, enum hf_top_role role,
                               const struct hf_envelope *env, const struct hf_receipts *known,
                               struct hf_why *why)
{
    char what[64];
    if (known != NULL && hf_receipts_include(known, root, role, env))
        return HF_OK;
    (void)snprintf(what, sizeof what, "%s version %lld", hf_top_role_name(role),
                   (long long)env->version);
    return hf_envelope_verify(env, &root->ring, &root->roles[role], what, why);
}

static bool role_has_key(const struct hf_root *root, enum hf_top_role role,
                         const struct hf_key *key)
{
    const struct hf_role *r = &root->roles[role];
    for (size_t i = 0; i < r->n_key_ids; i++) {
        const struct hf_key *other = hf_keyring_find(&root->ring, r->key_ids[i]);
        if (other != NULL && hf_key_same(other, key))
            return true;
    }
    return false;
}

static bool has_all_keys_of(const struct hf_root *a, const struct hf_root *b, enum hf_top_role role)
{
    const struct hf_role *r = &b->roles[role];
    for (size_t i = 0; i < r->n_key_ids; i++) {
        const struct hf_key *key = hf_keyring_find(&b->ring, r->key_ids[i]);
        if (key != NULL && key->public_key != NULL && !role_has_key(a, role, key))
            return false;
    }
    return true;
}

bool hf_role_keys_same(const struct hf_root *a, const struct hf_root *b, enum hf_top_role role)
{
    return has_all_keys_of(a, b, role) && has_all_keys_of(b, a, role);
}
