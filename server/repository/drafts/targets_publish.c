/* Publishes a draft of targets that the holders of keys on several machines have signed. */
#include "common/base/limits.h"
#include "common/base/timetext.h"
#include "server/repository/drafts/draft_signatures.h"
#include "server/repository/drafts/targets_release.h"

#include <inttypes.h>
#include <string.h>

enum hf_key_location hf_targets_location_at_hand(const char *keys_dir)
{
    struct hf_path offline;
    if (hf_path_set(&offline, NULL, "%s/offline/root.json", keys_dir) == HF_OK &&
        hf_file_exists(offline.text))
        return HF_KEYS_OFFLINE;
    return HF_KEYS_ONLINE;
}

/* The root that it must be signed under: published, or about to be. */
static const struct hf_root *root_of(const struct hf_publication *p)
{
    return p->next != NULL ? p->next : p->set.root;
}

static enum hf_err check_root(const struct hf_publication *p, const struct hf_draft *draft,
                              struct hf_why *why)
{
    const struct hf_root *root = root_of(p);
    const int64_t version = draft->root.env.version, wanted = root->env.version;
    if (hf_draft_is_same_signed(&root->env, &draft->root.env))
        return HF_OK;
    if (p->next != NULL && version == wanted)
        return hf_fail(why, HF_E_ROLLBACK,
                       "the draft of targets is signed under another root %" PRId64
                       " than this draft of root; start a new draft of targets (--under)",
                       wanted);
    if (p->next != NULL)
        return hf_fail(why, HF_E_ROLLBACK,
                       "the draft of targets is signed under root %" PRId64
                       ", not under root %" PRId64
                       " that is to come; start a new draft of targets (--under)",
                       version, wanted);
    if (version == wanted + 1 && hf_draft_is_under_coming_root(draft))
        return hf_fail(why, HF_E_ROLLBACK,
                       "the draft is signed under root %" PRId64
                       ", which is not published; publish both at once with holdfastctl root "
                       "finish --targets, or start a new draft",
                       version);
    return hf_fail(why, HF_E_ROLLBACK,
                   "the draft is signed under root %" PRId64 ", but %s is at root %" PRId64
                   " or of another publisher; start a new draft",
                   version, p->repo.dir, wanted);
}

static enum hf_err overtaken(const struct hf_draft *draft, int64_t newest, struct hf_why *why)
{
    return hf_fail(why, HF_E_ROLLBACK,
                   "the draft of targets %" PRId64 " follows targets %" PRId64
                   ", but targets %" PRId64
                   " is signed already or its number was used; start a new "
                   "draft, or run holdfastctl publish if it is this one that waits",
                   draft->targets.env.version, draft->before.env.version, newest);
}

/* It must follow the newest signed targets, published or waiting, or their changes are lost. */
static enum hf_err check_before(const struct hf_publication *p, const struct hf_draft *draft,
                                struct hf_bytes draft_file, struct hf_why *why)
{
    struct hf_targets pending = {0};
    struct hf_buf file = {0};
    enum hf_err err = hf_repo_verify_pending(&p->repo, &p->set, &pending, &file, why);
    hf_buf_free(&file);
    if (err != HF_OK && err != HF_E_NOT_FOUND)
        return err;
    const struct hf_envelope *newest = err == HF_OK ? &pending.env
                                                    : &hf_publication_targets(p)->env;
    int64_t newest_version = newest->version, version = draft->targets.env.version;
    bool is_same = memcmp(newest->file_sha256, draft->before.env.file_sha256, HF_SHA256_LEN) == 0;
    hf_targets_free(&pending);
    /* Or a publication of exactly these bytes was interrupted before it wrote them. */
    bool is_next = version >= hf_publication_next_version(p, HF_ROLE_TARGETS, newest_version);
    const struct hf_signed_file wanted = hf_signed_file_make(version, draft_file);
    for (int location = 0; location < HF_KEY_LOCATIONS; location++) {
        const struct hf_signed_file *begun = &p->record[location].prepared.of[HF_ROLE_TARGETS];
        is_next = is_next || (p->is_used[location] && begun->version == version &&
                              strcmp(begun->sha256, wanted.sha256) == 0);
    }
    if (is_same && is_next)
        return HF_OK;
    return overtaken(draft, newest_version, why);
}

/* Its own file is there. No newer file may exist, and the targets before must be those of the
 * draft. */
static enum hf_err check_resumed(const struct hf_publication *p, const struct hf_draft *draft,
                                 struct hf_why *why)
{
    const struct hf_envelope *published = &hf_publication_targets(p)->env;
    const int64_t follows = draft->before.env.version;
    struct hf_buf before = {0};
    int64_t newest = 0;
    if (hf_draft_is_same_signed(published, &draft->targets.env))
        return hf_fail(why, HF_E_STATE,
                       "this draft of targets %" PRId64
                       " is published already; nothing is left to do",
                       published->version);
    HF_TRY(hf_repo_newest_targets(&p->repo, &newest, why));
    if (newest != draft->targets.env.version || published->version > follows)
        return overtaken(draft, newest, why);
    enum hf_err err = hf_repo_read_role(&p->repo, HF_ROLE_TARGETS, follows,
                                        p->set.root->consistent_snapshot, &before, why);
    if (err == HF_OK && !hf_bytes_equal(hf_buf_bytes(&before), hf_draft_before_file(draft)))
        err = overtaken(draft, newest, why);
    hf_buf_free(&before);
    return err;
}

/* The file of an interrupted publication of this draft, if there is one. */
static enum hf_err find_own_file(const struct hf_publication *p, const struct hf_draft *draft,
                                 const char *path, struct hf_buf *out, struct hf_why *why)
{
    struct hf_targets there = {0};
    struct hf_buf file = {0};
    enum hf_err err = hf_repo_read(&p->repo, path, HF_TARGETS_BYTES_MAX, &file, why);
    if (err == HF_OK && (hf_targets_parse(hf_buf_bytes(&file), &there, NULL) != HF_OK ||
                         !hf_draft_is_same_signed(&there.env, &draft->targets.env) ||
                         hf_repo_verify_targets(root_of(p), &there, NULL) != HF_OK))
        err = HF_E_NOT_FOUND;
    hf_targets_free(&there);
    if (err == HF_OK)
        *out = file;
    else
        hf_buf_free(&file);
    return err;
}

/* Its metadata file: new, or of an interrupted publication. */
static enum hf_err stage_metadata(struct hf_publication *p, const struct hf_draft *draft,
                                  struct hf_buf *file, struct hf_why *why)
{
    const int64_t version = draft->targets.env.version;
    struct hf_path path;
    struct hf_buf own = {0};
    HF_TRY(
        hf_repo_role_path(HF_ROLE_TARGETS, version, p->set.root->consistent_snapshot, &path, why));
    enum hf_err err = find_own_file(p, draft, path.text, &own, why);
    if (err == HF_OK) {
        err = check_resumed(p, draft, why);
    } else if (err == HF_E_NOT_FOUND) {
        err = hf_draft_metadata(draft, &own, why);
        if (err == HF_OK)
            err = check_before(p, draft, hf_buf_bytes(&own), why);
    }
    if (err == HF_OK && hf_buf_append(file, own.data, own.len) != HF_OK)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for %s", path.text);
    if (err != HF_OK) {
        hf_buf_free(&own);
        return err;
    }
    p->signed_now.of[HF_ROLE_TARGETS] = hf_signed_file_make(version, hf_buf_bytes(&own));
    return hf_repo_stage_take(&p->repo, path.text, &own, why);
}

enum hf_err hf_targets_stage(struct hf_publication *p, const struct hf_draft *draft,
                             struct hf_buf *file, struct hf_why *why)
{
    HF_TRY(check_root(p, draft, why));
    if (draft->targets.env.expires_s <= p->now_s) {
        char now[HF_TIME_TEXT_MAX], ends[HF_TIME_TEXT_MAX];
        hf_time_format(p->now_s, now);
        hf_time_format(draft->targets.env.expires_s, ends);
        return hf_fail(why, HF_E_EXPIRED, "the draft expired at %s, it is %s; start a new draft",
                       ends, now);
    }
    HF_TRY(hf_draft_check_made_before(draft, p->now_s, why));
    HF_TRY(hf_draft_require_signed(draft, why));
    HF_TRY(hf_repo_verify_targets(root_of(p), &draft->targets, why)); /* as a device does it */
    HF_TRY(stage_metadata(p, draft, file, why));
    for (size_t i = 0; i < draft->targets.n_targets; i++) {
        const struct hf_target *target = &draft->targets.targets[i];
        struct hf_bytes content = hf_draft_content(draft, target->path);
        struct hf_path path;
        if (content.data == NULL)
            continue;
        HF_TRY(hf_repo_target_path(target, p->set.root->consistent_snapshot, &path, why));
        HF_TRY(hf_repo_stage_copy(&p->repo, path.text, content, why));
    }
    return HF_OK;
}

enum hf_err hf_targets_publish(const struct hf_publication_context *at,
                               const struct hf_draft *draft, int64_t versions[HF_TOP_ROLES],
                               struct hf_why *why)
{
    struct hf_publication p;
    struct hf_buf file = {0};
    bool is_published = false;
    HF_TRY(hf_publication_open(at, &p, why));
    enum hf_err err = hf_targets_stage(&p, draft, &file, why);
    if (err == HF_OK)
        err = hf_targets_commit(&p, draft->targets.env.version, hf_buf_bytes(&file), &is_published,
                                why);
    for (int role = 0; role < HF_TOP_ROLES && err == HF_OK; role++)
        versions[role] = p.signed_now.of[role].version;
    hf_buf_free(&file);
    hf_publication_close(&p);
    return err;
}
