#include "server/serve/catalog.h"

#include "common/rollout/role.h"

#include <string.h>

/* A bundle that this service cannot read is published all the same: devices judge it. */
static enum hf_err read_anchors(const struct hf_served_file *file, struct hf_published_bundle *out,
                                struct hf_why *why)
{
    struct hf_bundle bundle;
    enum hf_err err = hf_bundle_parse(file->body.bytes, &out->description, &bundle, why);

    if (err != HF_OK)
        return err == HF_E_MEMORY ? err : HF_OK;
    err = hf_published_set_anchors(out, &bundle);
    hf_bundle_free(&bundle);
    return err;
}

/* As devices find it: a role of another form, or a stage that is signed for another file, says
 * nothing. */
static void read_rollout(const struct hf_trusted_set *set, const struct hf_target *target,
                         struct hf_published_bundle *out)
{
    const struct hf_trusted_targets *top = hf_trusted_set_find_targets(set, "targets", NULL);
    struct hf_published_rollout *rollout = &out->rollout;
    char name[HF_ROLLOUT_ROLE_SIZE];

    if (out->description.plan == NULL)
        return;
    hf_rollout_role_name(out->description.set, name);
    const struct hf_delegation *delegation = hf_rollout_delegation(&top->targets, name);
    rollout->is_delegated = delegation != NULL &&
                            hf_rollout_delegation_check(delegation, NULL) == HF_OK;
    const struct hf_trusted_targets *role = hf_trusted_set_find_targets(set, name, top);
    if (!rollout->is_delegated || role == NULL)
        return;
    rollout->role_version = role->targets.env.version;
    rollout->role_expires_s = role->targets.env.expires_s;
    rollout->is_signed = hf_rollout_find(&role->targets, target, &rollout->now, NULL) == HF_OK;
}

/* HF_E_NOT_FOUND: a target of another program, or a bundle that no device takes. */
static enum hf_err read_bundle(const struct hf_edition *e, const struct hf_target *target,
                               bool has_hashed_names, struct hf_published_bundle *out,
                               struct hf_why *why)
{
    struct hf_buf name = {0}, path = {0};
    const struct hf_served_file *file = NULL;

    if (target->custom == NULL)
        return HF_E_NOT_FOUND;
    HF_TRY(hf_description_parse(target->custom, &out->description, why));
    enum hf_err err = hf_description_target_path(&out->description, &path, why);
    if (err == HF_OK && strcmp((const char *)path.data, target->path) != 0)
        err = HF_E_NOT_FOUND;
    if (err == HF_OK)
        err = hf_buf_append_text(&name, "/targets/");
    if (err == HF_OK)
        err = hf_target_file_name(target, has_hashed_names, &name, why);
    if (err == HF_OK)
        file = hf_edition_find(e, (const char *)name.data, name.len);
    if (err == HF_OK && file == NULL)
        err = HF_E_NOT_FOUND;
    if (err == HF_OK)
        err = read_anchors(file, out, why);
    if (err == HF_OK)
        hf_hex_encode(file->sha256, sizeof file->sha256, out->sha256);
    else
        hf_description_free(&out->description);
    hf_buf_free(&name);
    hf_buf_free(&path);
    return err;
}

enum hf_err hf_catalog_read(const struct hf_edition *e, const struct hf_trusted_set *set,
                            struct hf_published **out, struct hf_why *why)
{
    const struct hf_targets *targets = hf_trusted_set_top_targets(set);
    struct hf_published *published = hf_published_new(targets->n_targets);
    struct hf_why ignored;

    if (published == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for the list of bundles");
    for (size_t i = 0; i < targets->n_targets; i++) {
        struct hf_published_bundle bundle = {0};
        enum hf_err err = read_bundle(e, &targets->targets[i], set->root->consistent_snapshot,
                                      &bundle, &ignored);
        if (err == HF_E_MEMORY) {
            hf_published_unref(published);
            return hf_fail(why, err, "no memory for the list of bundles");
        }
        if (err != HF_OK)
            continue;
        read_rollout(set, &targets->targets[i], &bundle);
        published->bundles[published->n++] = bundle;
    }
    hf_published_sort(published);
    *out = published;
    return HF_OK;
}
