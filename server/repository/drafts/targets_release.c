#include "server/repository/drafts/targets_release.h"

#include "server/repository/drafts/draft_roots.h"
#include "server/repository/drafts/draft_signatures.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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

/* It must be one that can come next, signed by all who must. */
static enum hf_err check_under(const struct hf_publication *p, const struct hf_draft *under,
                               struct hf_why *why)
{
    const struct hf_envelope *newest = &p->set.root->env;
    if (under->role != HF_ROLE_ROOT)
        return hf_fail(why, HF_E_STATE, "targets are signed under a draft of root, not of targets");
    if (memcmp(newest->file_sha256, under->root.env.file_sha256, HF_SHA256_LEN) != 0)
        return hf_fail(why, HF_E_ROLLBACK,
                       "the draft of root follows root %" PRId64 ", but %s is at root %" PRId64
                       " or of another publisher; start a new draft of root",
                       under->root.env.version, p->repo.dir, newest->version);
    if (hf_draft_require_signed(under, why) != HF_OK)
        return hf_fail_context(why, "the draft of root must be signed first");
    return HF_OK;
}

/* Content of those targets whose files are staged, by path. */
static enum hf_err collect_files(const struct hf_publication *p, const json_t *targets,
                                 json_t *files, struct hf_why *why)
{
    const char *path;
    json_t *listed;
    json_object_foreach(json_object_get(targets, "targets"), path, listed)
    {
        struct hf_target target = {.path = path};
        struct hf_path name;
        HF_TRY(hf_file_info_parse(listed, HF_FILE_TARGET, path, &target.info, why));
        HF_TRY(hf_repo_target_path(&target, p->set.root->consistent_snapshot, &name, why));
        for (size_t i = 0; i < p->repo.n_staged; i++) {
            const struct hf_repo_file *file = &p->repo.staged[i];
            const char *text = (const char *)file->bytes.data;
            if (strcmp(file->path, name.text) == 0 &&
                json_object_set_new(files, path, json_stringn(text, file->bytes.len)) != 0)
                return hf_fail(why, HF_E_FORMAT, "%s is no text; a draft holds text only", path);
        }
    }
    return HF_OK;
}

enum hf_err hf_targets_draft(const struct hf_publication *p, const struct hf_targets *before,
                             const json_t *targets, const struct hf_draft *under, const char *path,
                             struct hf_why *why)
{
    const struct hf_repo on_disk = {.dir = p->repo.dir};
    const struct hf_root *root = p->set.root;
    const int64_t version = root->env.version;
    struct hf_buf root_file = {0}, before_file = {0};
    json_t *files = json_object(), *roots = NULL;
    struct hf_draft draft = {0};
    enum hf_err err = under == NULL ? hf_repo_read_role(&on_disk, HF_ROLE_ROOT, version, true,
                                                        &root_file, why)
                                    : check_under(p, under, why);
    if (err == HF_OK && under != NULL)
        err = hf_draft_metadata(under, &root_file, why);
    if (err == HF_OK)
        err = hf_draft_roots_read(&on_disk, under == NULL ? version : version + 1, &roots, why);
    if (err == HF_OK)
        err = hf_repo_read_role(&on_disk, HF_ROLE_TARGETS, before->env.version,
                                root->consistent_snapshot, &before_file, why);
    if (err == HF_OK)
        err = collect_files(p, targets, files, why);
    const struct hf_draft_parts parts = {
        .role = HF_ROLE_TARGETS,
        .root = hf_buf_bytes(&root_file),
        .roots = roots,
        .is_root_to_come = under != NULL,
        .before = hf_buf_bytes(&before_file),
        .files = files,
        .names = under == NULL ? NULL : json_object_get(under->json, "names"),
        .signed_part = targets,
    };
    if (err == HF_OK)
        err = hf_draft_make(&parts, &draft, why);
    if (err == HF_OK)
        err = hf_draft_write(path, &draft, true, why);
    hf_draft_free(&draft);
    json_decref(files);
    json_decref(roots);
    hf_buf_free(&root_file);
    hf_buf_free(&before_file);
    return err;
}

enum hf_err hf_targets_commit(struct hf_publication *p, int64_t version,
                              struct hf_bytes targets_file, bool *is_published, struct hf_why *why)
{
    bool has_online = hf_publication_find_online(p, NULL) == HF_OK && p->is_used[HF_KEYS_ONLINE];
    if (has_online) {
        HF_TRY(hf_publication_stage_online(p, version, targets_file, why));
    } else { /* `publish` does not check it again */
        struct hf_targets targets = {0};
        struct hf_repo_bundles bundles = {0};
        HF_TRY(hf_targets_parse(targets_file, &targets, why));
        enum hf_err err = hf_repo_verify_targets(p->set.root, &targets, why);
        if (err == HF_OK)
            err = hf_repo_verify_bundles(&p->repo, &targets, p->set.root->consistent_snapshot,
                                         &bundles, why);
        hf_repo_bundles_free(&bundles);
        hf_targets_free(&targets);
        HF_TRY(err);
    }
    HF_TRY(hf_publication_commit(p, why));
    *is_published = has_online;
    return HF_OK;
}

enum hf_err hf_targets_release(struct hf_publication *p, const struct hf_targets *before,
                               const json_t *targets, const char *draft_file, bool *is_published,
                               struct hf_why *why)
{
    struct hf_buf file = {0};
    int64_t version = json_integer_value(json_object_get(targets, "version"));
    *is_published = false;
    if (draft_file != NULL)
        return hf_targets_draft(p, before, targets, NULL, draft_file, why);
    enum hf_err err = hf_publication_stage_targets(p, targets, &file, why);
    if (err == HF_OK)
        err = hf_targets_commit(p, version, hf_buf_bytes(&file), is_published, why);
    hf_buf_free(&file);
    return err;
}
