#include "server/publish/ceremony/targets_publish.h"

#include "common/base/limits.h"
#include "common/base/timetext.h"
#include "common/json/json.h"
#include "server/publish/ceremony/signature_status.h"

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

/* ---- is it signed under the right root? ---------------------------------------------------------- */

static bool is_same_signed(const struct hf_envelope *a, const struct hf_envelope *b)
{
    return hf_bytes_equal(hf_buf_bytes(&a->signed_bytes), hf_buf_bytes(&b->signed_bytes));
}

static enum hf_err not_of_coming_root(const struct hf_publication *p, const struct hf_draft *draft,
                                      struct hf_why *why)
{
    if (draft->root.env.version == p->next->env.version)
        return hf_fail(why, HF_E_ROLLBACK,
                       "the draft of targets is signed under another root %" PRId64
                       " than this draft of root; start a new draft of targets (--under)",
                       p->next->env.version);
    return hf_fail(why, HF_E_ROLLBACK,
                   "the draft of targets is signed under root %" PRId64 ", not under root %" PRId64
                   " that is to come; start a new draft of targets (--under)",
                   draft->root.env.version, p->next->env.version);
}

static enum hf_err check_root(const struct hf_publication *p, const struct hf_draft *draft,
                              struct hf_why *why)
{
    const struct hf_root *root = p->next != NULL ? p->next : p->set.root;
    int64_t version = draft->root.env.version;
    if (is_same_signed(&root->env, &draft->root.env))
        return HF_OK;
    if (p->next != NULL)
        return not_of_coming_root(p, draft, why);
    if (version == root->env.version + 1 && hf_draft_is_under_coming_root(draft))
        return hf_fail(why, HF_E_ROLLBACK,
                       "the draft is signed under root %" PRId64
                       ", which is not published; publish both at once with holdfastctl root "
                       "finish --targets, or start a new draft",
                       version);
    return hf_fail(why, HF_E_ROLLBACK,
                   "the draft is signed under root %" PRId64 ", but %s is at root %" PRId64
                   " or of another publisher; start a new draft",
                   version, p->repo.dir, root->env.version);
}

static enum hf_err verify_signed(const struct hf_publication *p, const struct hf_targets *targets,
                                 struct hf_why *why)
{
    const struct hf_root *root = p->next != NULL ? p->next : p->set.root;
    char what[48];
    snprintf(what, sizeof what, "targets %" PRId64, targets->env.version);
    return hf_envelope_verify(&targets->env, &root->ring, &root->roles[HF_ROLE_TARGETS], what, why);
}

static enum hf_err check_signed(const struct hf_publication *p, const struct hf_draft *draft,
                                struct hf_why *why)
{
    struct hf_signature_status status = {0};
    HF_TRY(hf_signature_status_make(draft, &status, why));
    enum hf_err err = hf_signature_status_require(&status, why);
    hf_signature_status_free(&status);
    return err == HF_OK ? verify_signed(p, &draft->targets, why) : err;
}

/* ---- does it follow the newest targets? ----------------------------------------------------------- */

static enum hf_err overtaken(const struct hf_draft *draft, int64_t newest, struct hf_why *why)
{
    return hf_fail(why, HF_E_ROLLBACK,
                   "the draft of targets %" PRId64 " follows targets %" PRId64
                   ", but targets %" PRId64
                   " is signed already or its number was used; start a new "
                   "draft, or run holdfastctl publish if it is this one that waits",
                   draft->targets.env.version, draft->before.env.version, newest);
}

/* Did a publication of these very bytes begin, and not get as far as to leave them there? */
static bool was_begun(const struct hf_publication *p, int64_t version, struct hf_bytes file)
{
    const struct hf_signed_file same = hf_signed_file_make(version, file);
    for (int location = 0; location < HF_KEY_LOCATIONS; location++) {
        const struct hf_signed_file *begun = &p->record[location].prepared.of[HF_ROLE_TARGETS];
        if (p->is_used[location] && begun->version == version &&
            strcmp(begun->sha256, same.sha256) == 0)
            return true;
    }
    return false;
}

/* It must come after the newest signed targets, published or waiting: else it would lose what they
 * brought. */
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
    if (is_same && (version >= hf_publication_next_version(p, HF_ROLE_TARGETS, newest_version) ||
                    was_begun(p, version, draft_file)))
        return HF_OK;
    return overtaken(draft, newest_version, why);
}

/* Its own file lies there. Nothing may have come after it, nor in place of what it follows. */
static enum hf_err check_resumed(const struct hf_publication *p, const struct hf_draft *draft,
                                 struct hf_why *why)
{
    struct hf_buf before = {0};
    struct hf_path path;
    int64_t newest = 0, published = hf_publication_targets(p)->env.version;
    if (is_same_signed(&hf_publication_targets(p)->env, &draft->targets.env))
        return hf_fail(why, HF_E_STATE,
                       "this draft of targets %" PRId64
                       " is published already; nothing is left to do",
                       published);
    HF_TRY(hf_repo_newest_targets(&p->repo, &newest, why));
    if (newest != draft->targets.env.version || published > draft->before.env.version)
        return overtaken(draft, newest, why);
    HF_TRY(hf_repo_role_path(HF_ROLE_TARGETS, draft->before.env.version,
                             p->set.root->consistent_snapshot, &path, why));
    enum hf_err err = hf_repo_read(&p->repo, path.text, HF_TARGETS_BYTES_MAX, &before, why);
    if (err == HF_OK && !hf_bytes_equal(hf_buf_bytes(&before), hf_draft_before_file(draft)))
        err = overtaken(draft, newest, why);
    hf_buf_free(&before);
    return err;
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

/* The file of a publication that was cut off, if that is what lies under its number. */
static enum hf_err find_own_file(const struct hf_publication *p, const struct hf_draft *draft,
                                 const struct hf_path *path, struct hf_buf *out, struct hf_why *why)
{
    struct hf_targets there = {0};
    struct hf_buf file = {0};
    enum hf_err err = hf_repo_read(&p->repo, path->text, HF_TARGETS_BYTES_MAX, &file, why);
    if (err == HF_OK && (hf_targets_parse(hf_buf_bytes(&file), &there, NULL) != HF_OK ||
                         !is_same_signed(&there.env, &draft->targets.env) ||
                         verify_signed(p, &there, NULL) != HF_OK))
        err = HF_E_NOT_FOUND;
    hf_targets_free(&there);
    if (err == HF_OK)
        *out = file;
    else
        hf_buf_free(&file);
    return err;
}

/* Its metadata file, new or as it lies there, if it comes after what is there. */
static enum hf_err take_file(const struct hf_publication *p, const struct hf_draft *draft,
                             const struct hf_path *path, struct hf_buf *out, struct hf_why *why)
{
    enum hf_err err = find_own_file(p, draft, path, out, why);
    if (err == HF_OK)
        return check_resumed(p, draft, why);
    if (err != HF_E_NOT_FOUND)
        return err;
    HF_TRY(hf_draft_metadata(draft, out, why));
    return check_before(p, draft, hf_buf_bytes(out), why);
}

static enum hf_err stage_metadata(struct hf_publication *p, const struct hf_draft *draft,
                                  struct hf_buf *file, struct hf_why *why)
{
    struct hf_path path;
    struct hf_buf own = {0};
    int64_t version = draft->targets.env.version;
    HF_TRY(
        hf_repo_role_path(HF_ROLE_TARGETS, version, p->set.root->consistent_snapshot, &path, why));
    enum hf_err err = take_file(p, draft, &path, &own, why);
    if (err == HF_OK && hf_buf_append(file, own.data, own.len) != HF_OK)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for %s", path.text);
    if (err == HF_OK) {
        p->signed_now.of[HF_ROLE_TARGETS] = hf_signed_file_make(version, hf_buf_bytes(&own));
        return hf_repo_stage_take(&p->repo, path.text, &own, why);
    }
    hf_buf_free(&own);
    return err;
}

enum hf_err hf_targets_stage(struct hf_publication *p, const struct hf_draft *draft,
                             struct hf_buf *file, struct hf_why *why)
{
    HF_TRY(check_root(p, draft, why));
    HF_TRY(check_clock(p, draft, why));
    HF_TRY(check_signed(p, draft, why));
    HF_TRY(stage_metadata(p, draft, file, why));
    return stage_files(p, draft, why);
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
    enum hf_err err = hf_targets_stage(p, draft, &file, why);
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

enum hf_err hf_targets_publish(const struct hf_publication_context *at,
                               const struct hf_draft *draft, int64_t versions[HF_TOP_ROLES],
                               struct hf_why *why)
{
    struct hf_publication p;
    HF_TRY(hf_publication_open(at, &p, why));
    enum hf_err err = publish(&p, draft, versions, why);
    hf_publication_close(&p);
    return err;
}
