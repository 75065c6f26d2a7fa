#include "server/publish/ceremony/targets_release.h"

#include "server/publish/ceremony/targets_draft.h"

#include <inttypes.h>
#include <stdio.h>

enum hf_err hf_targets_next(struct hf_publication *p, const struct hf_targets *before, json_t **out,
                            struct hf_why *why)
{
    struct hf_signing signing = {0, 0, p->now_s};
    signing.version = hf_publication_next_version(p, HF_ROLE_TARGETS, before->env.version);
    HF_TRY(hf_publication_expiry(p, HF_ROLE_TARGETS, &signing.expires_s, why));
    return hf_compose_targets(before->env.signed_part, &signing, out, why);
}

enum hf_err hf_targets_unlist(json_t *targets, const struct hf_repo_bundle *bundle,
                              json_t *unlisted, struct hf_why *why)
{
    const struct hf_description *d = &bundle->description;
    json_t *object = json_pack("{s:s, s:s, s:I, s:s}", "set", d->set, "profile", d->profile,
                               "version", (json_int_t)d->version, "path", bundle->target->path);
    if (json_array_append_new(unlisted, object) != 0)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the report");
    hf_compose_remove_target(targets, bundle->target->path);
    return HF_OK;
}

/* ---- out it goes ------------------------------------------------------------------------------ */

/* What is left for `publish` must be fit for it: nobody looks at it again before then. */
static enum hf_err verify_waiting(const struct hf_publication *p, struct hf_bytes targets_file,
                                  struct hf_why *why)
{
    struct hf_targets targets = {0};
    struct hf_repo_bundles bundles = {0};
    HF_TRY(hf_targets_parse(targets_file, &targets, why));
    enum hf_err err = hf_repo_verify_targets(&p->set, &targets, why);
    if (err == HF_OK)
        err = hf_repo_verify_bundles(&p->repo, &targets, p->set.root->consistent_snapshot, &bundles,
                                     why);
    hf_repo_bundles_free(&bundles);
    hf_targets_free(&targets);
    return err;
}

static enum hf_err sign_and_commit(struct hf_publication *p, const json_t *targets,
                                   struct hf_why *why)
{
    struct hf_buf file = {0};
    int64_t version = json_integer_value(json_object_get(targets, "version"));
    enum hf_err err = hf_publication_stage_targets(p, targets, &file, why);
    if (err == HF_OK)
        err = p->is_used[HF_KEYS_ONLINE]
                  ? hf_publication_stage_online(p, version, hf_buf_bytes(&file), why)
                  : verify_waiting(p, hf_buf_bytes(&file), why);
    if (err == HF_OK)
        err = hf_publication_commit(p, why);
    hf_buf_free(&file);
    return err;
}

enum hf_err hf_targets_release(struct hf_publication *p, const struct hf_targets *before,
                               const json_t *targets, const char *draft_file, bool *is_published,
                               struct hf_why *why)
{
    *is_published = false;
    if (draft_file != NULL)
        return hf_targets_draft(p, before, targets, NULL, draft_file, why);
    HF_TRY(sign_and_commit(p, targets, why));
    *is_published = p->is_used[HF_KEYS_ONLINE];
    return HF_OK;
}

void hf_targets_print_drafted(int64_t version, const char *draft_file)
{
    printf("not signed: targets %" PRId64 " is a draft; let each key holder run\n"
           "holdfastctl targets sign --draft %s --keys DIR\n",
           version, draft_file);
}
