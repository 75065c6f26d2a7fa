#include "server/publish/ceremony/targets_release.h"

#include "common/base/limits.h"
#include "common/json/json.h"
#include "server/publish/ceremony/draft_roots.h"
#include "server/publish/ceremony/signature_status.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- drafts ---------------------------------------------------------------------------------- */

/* ---- the files that it brings ------------------------------------------------------------------- */

static const struct hf_repo_file *find_staged(const struct hf_repo *repo, const char *path)
{
    for (size_t i = 0; i < repo->n_staged; i++) {
        if (strcmp(repo->staged[i].path, path) == 0)
            return &repo->staged[i];
    }
    return NULL;
}

/* `signed_file` is metadata without a signature: enough to know what lies where. */
static enum hf_err collect(const struct hf_publication *p, struct hf_bytes signed_file,
                           json_t *files, struct hf_why *why)
{
    struct hf_targets targets = {0};
    enum hf_err err = hf_targets_parse(signed_file, &targets, why);
    for (size_t i = 0; i < targets.n_targets && err == HF_OK; i++) {
        const struct hf_target *target = &targets.targets[i];
        struct hf_path path;
        err = hf_repo_target_path(target, p->set.root->consistent_snapshot, &path, why);
        if (err != HF_OK)
            break;
        const struct hf_repo_file *file = find_staged(&p->repo, path.text);
        if (file != NULL &&
            json_object_set_new(files, target->path,
                                json_stringn((const char *)file->bytes.data, file->bytes.len)) != 0)
            err = hf_fail(why, HF_E_FORMAT, "%s is no text; a draft holds text only", target->path);
    }
    hf_targets_free(&targets);
    return err;
}

static enum hf_err collect_files(const struct hf_publication *p, const json_t *targets,
                                 json_t *files, struct hf_why *why)
{
    json_t *unsigned_file = json_pack("{s:O, s:[]}", "signed", targets, "signatures");
    struct hf_buf text = {0};
    if (unsigned_file == NULL || files == NULL) {
        json_decref(unsigned_file);
        return hf_fail(why, HF_E_MEMORY, "out of memory for a draft");
    }
    enum hf_err err = hf_json_write(unsigned_file, &text, why);
    if (err == HF_OK)
        err = collect(p, hf_buf_bytes(&text), files, why);
    json_decref(unsigned_file);
    hf_buf_free(&text);
    return err;
}

static enum hf_err read_role(const struct hf_publication *p, enum hf_top_role role, int64_t version,
                             size_t max_bytes, struct hf_buf *out, struct hf_why *why)
{
    struct hf_path path;
    bool is_numbered = role == HF_ROLE_ROOT || p->set.root->consistent_snapshot;
    const struct hf_repo on_disk = {.dir = p->repo.dir};
    HF_TRY(hf_repo_role_path(role, version, is_numbered, &path, why));
    return hf_repo_read(&on_disk, path.text, max_bytes, out, why);
}

/* ---- what a draft is made of --------------------------------------------------------------------- */

struct parts {
    json_t *files, *roots;
    struct hf_buf root, before;
};

static void free_parts(struct parts *parts)
{
    json_decref(parts->files);
    json_decref(parts->roots);
    hf_buf_free(&parts->root);
    hf_buf_free(&parts->before);
}

static enum hf_err require_signed(const struct hf_draft *under, struct hf_why *why)
{
    struct hf_signature_status status = {0};
    HF_TRY(hf_signature_status_make(under, &status, why));
    enum hf_err err = hf_signature_status_require(&status, why);
    hf_signature_status_free(&status);
    return err == HF_OK ? HF_OK : hf_fail_context(why, "the draft of root must be signed first");
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
    return require_signed(under, why);
}

static enum hf_err read_roots(const struct hf_publication *p, const struct hf_draft *under,
                              struct parts *parts, struct hf_why *why)
{
    const struct hf_repo on_disk = {.dir = p->repo.dir};
    int64_t version = p->set.root->env.version;
    if (under != NULL)
        HF_TRY(check_under(p, under, why));
    HF_TRY(
        hf_draft_roots_read(&on_disk, under == NULL ? version : version + 1, &parts->roots, why));
    if (under != NULL)
        return hf_draft_metadata(under, &parts->root, why);
    return read_role(p, HF_ROLE_ROOT, version, HF_ROOT_BYTES_MAX, &parts->root, why);
}

static enum hf_err gather(const struct hf_publication *p, const struct hf_targets *before,
                          const json_t *targets, const struct hf_draft *under, struct parts *parts,
                          struct hf_why *why)
{
    HF_TRY(read_roots(p, under, parts, why));
    HF_TRY(read_role(p, HF_ROLE_TARGETS, before->env.version, HF_TARGETS_BYTES_MAX, &parts->before,
                     why));
    return collect_files(p, targets, parts->files, why);
}

static enum hf_err make_and_write(const struct hf_draft_parts *parts, const char *path,
                                  struct hf_why *why)
{
    struct hf_draft draft = {0};
    HF_TRY(hf_draft_make(parts, &draft, why));
    enum hf_err err = hf_draft_create(path, &draft, why);
    hf_draft_free(&draft);
    return err;
}

enum hf_err hf_targets_draft(const struct hf_publication *p, const struct hf_targets *before,
                             const json_t *targets, const struct hf_draft *under, const char *path,
                             struct hf_why *why)
{
    struct parts parts = {.files = json_object()};
    enum hf_err err = gather(p, before, targets, under, &parts, why);
    const struct hf_draft_parts made = {.role = HF_ROLE_TARGETS,
                                        .root = hf_buf_bytes(&parts.root),
                                        .roots = parts.roots,
                                        .is_root_to_come = under != NULL,
                                        .before = hf_buf_bytes(&parts.before),
                                        .files = parts.files,
                                        .names = under == NULL
                                                     ? NULL
                                                     : json_object_get(under->json, "names"),
                                        .signed_part = targets};
    if (err == HF_OK)
        err = make_and_write(&made, path, why);
    free_parts(&parts);
    return err;
}

/* ---- release --------------------------------------------------------------------------------- */

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

/* What is left for `publish` must be fit for it: it is not checked again before then. */
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
