#include "server/publish/targets_publish.h"

#include "common/base/limits.h"
#include "common/base/timetext.h"
#include "common/json/json.h"
#include "server/publish/draft_roots.h"
#include "server/publish/draft_tally.h"

#include <inttypes.h>
#include <string.h>

enum hf_key_half hf_targets_half_at_hand(const char *keys_dir)
{
    struct hf_path offline;
    if (hf_path_set(&offline, NULL, "%s/offline/root.json", keys_dir) == HF_OK &&
        hf_disk_exists(offline.text))
        return HF_KEYS_OFFLINE;
    return HF_KEYS_ONLINE;
}

/* ---- writing a draft ---------------------------------------------------------------------------- */

static enum hf_err read_role(const struct hf_publication *p, enum hf_top_role role, int64_t version,
                             size_t max_bytes, struct hf_buf *out, struct hf_why *why)
{
    struct hf_path path;
    bool is_numbered = role == HF_ROLE_ROOT || p->set.root->consistent_snapshot;
    const struct hf_repo on_disk = {.dir = p->repo.dir};
    HF_TRY(hf_repo_role_path(role, version, is_numbered, &path, why));
    return hf_repo_read(&on_disk, path.text, max_bytes, out, why);
}

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
    enum hf_err err = hf_json_canonical(unsigned_file, &text, why);
    if (err == HF_OK)
        err = collect(p, hf_buf_bytes(&text), files, why);
    json_decref(unsigned_file);
    hf_buf_free(&text);
    return err;
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
                             const json_t *targets, const char *path, struct hf_why *why)
{
    struct hf_buf root_file = {0}, before_file = {0};
    json_t *files = json_object(), *roots = NULL;
    enum hf_err err = collect_files(p, targets, files, why);
    if (err == HF_OK)
        err = read_role(p, HF_ROLE_ROOT, p->set.root->env.version, HF_ROOT_BYTES_MAX, &root_file,
                        why);
    if (err == HF_OK)
        err = read_role(p, HF_ROLE_TARGETS, before->env.version, HF_TARGETS_BYTES_MAX, &before_file,
                        why);
    if (err == HF_OK)
        err = hf_draft_roots_read(&(struct hf_repo){.dir = p->repo.dir}, p->set.root->env.version,
                                  &roots, why);
    const struct hf_draft_parts parts = {.role = HF_ROLE_TARGETS,
                                         .root = hf_buf_bytes(&root_file),
                                         .roots = roots,
                                         .before = hf_buf_bytes(&before_file),
                                         .files = files,
                                         .signed_part = targets};
    if (err == HF_OK)
        err = make_and_write(&parts, path, why);
    json_decref(files);
    json_decref(roots);
    hf_buf_free(&root_file);
    hf_buf_free(&before_file);
    return err;
}

/* ---- does a draft that came back fit? ------------------------------------------------------------ */

static enum hf_err check_root(const struct hf_publication *p, const struct hf_draft *draft,
                              struct hf_why *why)
{
    if (memcmp(p->set.root->env.file_sha256, draft->root.env.file_sha256, HF_SHA256_LEN) == 0)
        return HF_OK;
    return hf_fail(why, HF_E_ROLLBACK,
                   "the draft is signed under root %" PRId64 ", but %s is at root %" PRId64
                   " or of another publisher; start a new draft",
                   draft->root.env.version, p->repo.dir, p->set.root->env.version);
}

/* It must come after the newest signed targets, published or waiting: else it would lose what they
 * brought. */
static enum hf_err check_before(const struct hf_publication *p, const struct hf_draft *draft,
                                struct hf_why *why)
{
    struct hf_targets pending = {0};
    struct hf_buf file = {0};
    enum hf_err err = hf_repo_verify_pending(&p->repo, &p->set, &pending, &file, why);
    hf_buf_free(&file);
    if (err != HF_OK && err != HF_E_NOT_FOUND)
        return err;
    const struct hf_envelope *newest = err == HF_OK ? &pending.env
                                                    : &hf_publication_targets(p)->env;
    int64_t version = newest->version;
    bool is_same = memcmp(newest->file_sha256, draft->before.env.file_sha256, HF_SHA256_LEN) == 0;
    hf_targets_free(&pending);
    if (is_same &&
        draft->targets.env.version >= hf_publication_next_version(p, HF_ROLE_TARGETS, version))
        return HF_OK;
    return hf_fail(why, HF_E_ROLLBACK,
                   "the draft of targets %" PRId64 " follows targets %" PRId64
                   ", but targets %" PRId64
                   " is signed already or its number was used; start a new "
                   "draft, or run holdfastctl publish if it is this one that waits",
                   draft->targets.env.version, draft->before.env.version, version);
}

static enum hf_err check_clock(const struct hf_publication *p, const struct hf_draft *draft,
                               struct hf_why *why)
{
    char now[HF_TIME_TEXT_MAX], drafted[HF_TIME_TEXT_MAX], ends[HF_TIME_TEXT_MAX];
    int64_t drafted_s = draft->targets.env.signed_at_s, expires_s = draft->targets.env.expires_s;
    hf_time_format(p->now_s, now);
    hf_time_format(expires_s, ends);
    if (expires_s <= p->now_s)
        return hf_fail(why, HF_E_EXPIRED, "the draft expired at %s, it is %s; start a new draft",
                       ends, now);
    if (drafted_s == HF_TIME_NONE || drafted_s <= p->now_s)
        return HF_OK;
    hf_time_format(drafted_s, drafted);
    return hf_fail(why, HF_E_STATE,
                   "this machine's clock says %s, but the draft was made at %s; one of the two "
                   "clocks is wrong: set it, and start a new draft if it was the other",
                   now, drafted);
}

static enum hf_err check_signed(const struct hf_publication *p, const struct hf_draft *draft,
                                struct hf_why *why)
{
    struct hf_tally tally = {0};
    HF_TRY(hf_tally_make(draft, &tally, why));
    enum hf_err err = hf_tally_require(&tally, why);
    hf_tally_free(&tally);
    return err == HF_OK ? hf_repo_verify_targets(&p->set, &draft->targets, why) : err;
}

/* ---- going out ---------------------------------------------------------------------------------- */

static enum hf_err stage_copy(struct hf_publication *p, const char *path, struct hf_bytes bytes,
                              struct hf_why *why)
{
    struct hf_buf copy = {0};
    if (hf_buf_append(&copy, bytes.data, bytes.len) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory for %s", path);
    return hf_repo_stage_take(&p->repo, path, &copy, why);
}

static enum hf_err stage_files(struct hf_publication *p, const struct hf_draft *draft,
                               struct hf_why *why)
{
    for (size_t i = 0; i < draft->targets.n_targets; i++) {
        const struct hf_target *target = &draft->targets.targets[i];
        struct hf_bytes content = hf_draft_content(draft, target->path);
        struct hf_path path;
        if (content.data == NULL)
            continue;
        HF_TRY(hf_repo_target_path(target, p->set.root->consistent_snapshot, &path, why));
        HF_TRY(stage_copy(p, path.text, content, why));
    }
    return HF_OK;
}

static enum hf_err stage_metadata(struct hf_publication *p, const struct hf_draft *draft,
                                  struct hf_buf *file, struct hf_why *why)
{
    struct hf_path path;
    int64_t version = draft->targets.env.version;
    HF_TRY(
        hf_repo_role_path(HF_ROLE_TARGETS, version, p->set.root->consistent_snapshot, &path, why));
    HF_TRY(hf_draft_metadata(draft, file, why));
    p->signed_now.of[HF_ROLE_TARGETS] = hf_last_file_make(version, hf_buf_bytes(file));
    return stage_copy(p, path.text, hf_buf_bytes(file), why);
}

static enum hf_err verify_waiting(const struct hf_publication *p, const struct hf_draft *draft,
                                  struct hf_why *why)
{
    struct hf_repo_bundles bundles = {0};
    enum hf_err err = hf_repo_verify_bundles(&p->repo, &draft->targets,
                                             p->set.root->consistent_snapshot, &bundles, why);
    hf_repo_bundles_free(&bundles);
    return err;
}

static enum hf_err publish(struct hf_publication *p, const struct hf_draft *draft,
                           int64_t versions[HF_TOP_ROLES], struct hf_why *why)
{
    struct hf_buf file = {0};
    bool has_online = hf_publication_find_online(p, NULL) == HF_OK && p->is_used[HF_KEYS_ONLINE];
    HF_TRY(check_root(p, draft, why));
    HF_TRY(check_before(p, draft, why));
    HF_TRY(check_clock(p, draft, why));
    HF_TRY(check_signed(p, draft, why));
    HF_TRY(stage_files(p, draft, why));
    enum hf_err err = stage_metadata(p, draft, &file, why);
    if (err == HF_OK)
        err = has_online ? hf_publication_stage_online(p, draft->targets.env.version,
                                                       hf_buf_bytes(&file), why)
                         : verify_waiting(p, draft, why);
    if (err == HF_OK)
        err = hf_publication_commit(p, why);
    hf_buf_free(&file);
    for (int role = 0; role < HF_TOP_ROLES && err == HF_OK; role++)
        versions[role] = p->signed_now.of[role].version;
    return err;
}

enum hf_err hf_targets_publish(const struct hf_publication_place *at, const struct hf_draft *draft,
                               int64_t versions[HF_TOP_ROLES], struct hf_why *why)
{
    struct hf_publication p;
    HF_TRY(hf_publication_open(at, &p, why));
    enum hf_err err = publish(&p, draft, versions, why);
    hf_publication_close(&p);
    return err;
}
