#include "common/tuf/metadata.h"

#include "common/base/limits.h"
#include "common/json/json.h"

#include <stdio.h>
#include <string.h>

static const char *const role_names[HF_TOP_ROLES] = {"root", "timestamp", "snapshot", "targets"};

const char *hf_top_role_name(enum hf_top_role role)
{
    return role_names[role];
}

static enum hf_err read_consistent_snapshot(const json_t *signed_part, bool *out,
                                            struct hf_why *why)
{
    const json_t *value = json_object_get(signed_part, "consistent_snapshot");
    if (value != NULL && !json_is_boolean(value))
        return hf_fail(why, HF_E_FORMAT, "\"consistent_snapshot\" of root should be true or false");
    *out = json_is_true(value);
    return HF_OK;
}

static enum hf_err read_root(struct hf_bytes file, struct hf_root *m, struct hf_why *why)
{
    json_t *keys = NULL;
    json_t *roles = NULL;
    char what[32];
    HF_TRY(hf_envelope_parse(file, "root", &m->env, why));
    HF_TRY(read_consistent_snapshot(m->env.signed_part, &m->consistent_snapshot, why));
    HF_TRY(hf_json_get_object(m->env.signed_part, "keys", "root metadata", &keys, why));
    HF_TRY(hf_keyring_parse(keys, "root metadata", &m->ring, why));
    HF_TRY(hf_json_get_object(m->env.signed_part, "roles", "root metadata", &roles, why));
    for (int i = 0; i < HF_TOP_ROLES; i++) {
        json_t *role = NULL;
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
    if (err != HF_OK) {
        hf_root_free(&m);
        return err;
    }
    *out = m;
    return HF_OK;
}

void hf_root_free(struct hf_root *m)
{
    if (m == NULL)
        return;
    for (int i = 0; i < HF_TOP_ROLES; i++)
        hf_role_free(&m->roles[i]);
    hf_keyring_free(&m->ring);
    hf_envelope_free(&m->env);
    *m = (struct hf_root){0};
}
