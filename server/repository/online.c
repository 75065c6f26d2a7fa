#include "server/repository/online.h"

#include "common/base/limits.h"
#include "common/base/plaintext.h"
#include "server/repository/rollout_publish.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static enum hf_err open_online(const struct hf_publication_context *at, struct hf_publication *p,
                               struct hf_why *why)
{
    struct hf_publication_context online = *at;
    online.location = HF_KEYS_ONLINE;
    return hf_publication_open(&online, p, why);
}

/* The roles rollout-SET: those that are signed now, and those that stay as they were. */
static void add_rollouts(const struct hf_publication *p, struct hf_online_result *result)
{
    const struct hf_targets *targets = hf_publication_targets(p);
    for (size_t i = 0; i < p->signed_now.n_rollouts; i++) {
        struct hf_online_rollout *rollout = &result->rollouts[result->n_rollouts++];
        const struct hf_signed_rollout *made = &p->signed_now.rollouts[i];
        memcpy(rollout->role, made->role, sizeof rollout->role);
        rollout->version = made->file.version;
        rollout->expires_s = hf_expiry_of(&p->expiry, HF_ROLE_SNAPSHOT, p->now_s);
        rollout->is_signed_now = true;
    }
    for (size_t i = 0; i < targets->n_delegations && result->n_rollouts < HF_ROLLOUT_ROLES_MAX;
         i++) {
        const char *role = targets->delegations[i].role.name;
        if (hf_rollout_role_set(role) == NULL ||
            hf_signed_rollout_version(&p->signed_now, role) > 0)
            continue;
        const struct hf_targets *published = hf_rollout_published(&p->set, role);
        if (published == NULL)
            continue;
        struct hf_online_rollout *rollout = &result->rollouts[result->n_rollouts++];
        (void)snprintf(rollout->role, sizeof rollout->role, "%s", role);
        rollout->version = published->env.version;
        rollout->expires_s = published->env.expires_s;
    }
}

/* `targets_expire_s` is of targets that were published now. */
static struct hf_online_result result_of(const struct hf_publication *p, int64_t targets_expire_s)
{
    const struct hf_envelope *const before[HF_TOP_ROLES] =
        {[HF_ROLE_ROOT] = &p->set.root->env,
         [HF_ROLE_TIMESTAMP] = &p->set.timestamp->env,
         [HF_ROLE_SNAPSHOT] = &p->set.snapshot->env,
         [HF_ROLE_TARGETS] = &hf_publication_targets(p)->env};
    struct hf_online_result result = {0};
    for (enum hf_top_role role = 0; role < HF_TOP_ROLES; role++) {
        int64_t version = p->signed_now.of[role].version;
        result.signed_now[role] = version;
        result.versions[role] = version > 0 ? version : before[role]->version;
        if (version == 0)
            result.expires_s[role] = before[role]->expires_s;
        else if (role == HF_ROLE_TARGETS)
            result.expires_s[role] = targets_expire_s;
        else
            result.expires_s[role] = hf_expiry_of(&p->expiry, role, p->now_s);
    }
    add_rollouts(p, &result);
    return result;
}

void hf_online_read(const struct hf_publication *p, struct hf_online_result *out)
{
    *out = result_of(p, 0);
}

enum hf_err hf_online_refresh(const struct hf_publication_context *at, struct hf_online_result *out,
                              struct hf_why *why)
{
    struct hf_publication p;
    struct hf_targets pending = {0};
    struct hf_buf file = {0};
    HF_TRY(open_online(at, &p, why));
    enum hf_err err = hf_publication_stage_refresh(&p, why);
    if (err == HF_OK)
        err = hf_publication_commit(&p, why);
    if (err == HF_OK) {
        struct hf_online_result result = result_of(&p, 0);
        struct hf_why reason = {0};
        /* The file is verified first: an attacker may have put it there. */
        enum hf_err waiting = hf_repo_verify_pending(&p.repo, &p.set, &pending, &file, &reason);
        if (waiting == HF_OK)
            result.waiting = pending.env.version;
        else if (waiting != HF_E_NOT_FOUND)
            result.waiting_why = reason;
        *out = result;
    }
    hf_targets_free(&pending);
    hf_buf_free(&file);
    hf_publication_close(&p);
    return err;
}

/* A copy that lacks the newest targets here, published or waiting, is older than they are. */
static enum hf_err check_copy_follows(const struct hf_publication *p, const struct hf_repo *copy,
                                      int64_t newest, struct hf_why *why)
{
    struct hf_buf ours = {0}, theirs = {0};
    enum hf_err err = hf_repo_read_role(&p->repo, HF_ROLE_TARGETS, newest, true, &ours, why);
    if (err == HF_OK)
        err = hf_repo_read_role(copy, HF_ROLE_TARGETS, newest, true, &theirs, why);
    if (err == HF_E_NOT_FOUND ||
        (err == HF_OK && !hf_bytes_equal(hf_buf_bytes(&ours), hf_buf_bytes(&theirs))))
        err = hf_fail(why, HF_E_ROLLBACK,
                      "%s does not follow targets %" PRId64
                      " of %s: it is an old copy, or of another "
                      "repository; sign in a copy of the newest one",
                      copy->dir, newest, p->repo.dir);
    hf_buf_free(&ours);
    hf_buf_free(&theirs);
    return err;
}

/* Stage the signed targets in `file`, and what they list and the repository lacks. */
static enum hf_err stage_from_copy(struct hf_publication *p, const struct hf_repo *copy,
                                   const struct hf_targets *targets, struct hf_bytes file,
                                   struct hf_why *why)
{
    struct hf_path path;
    HF_TRY(hf_repo_role_path(HF_ROLE_TARGETS, targets->env.version, true, &path, why));
    HF_TRY(hf_repo_stage_copy(&p->repo, path.text, file, why));
    for (size_t i = 0; i < targets->n_targets; i++) {
        const struct hf_target *target = &targets->targets[i];
        struct hf_buf content = {0};
        if (!hf_target_path_is_safe(target->path))
            return hf_fail(why, HF_E_FORMAT, "the target path %.200s is no plain file name",
                           target->path);
        HF_TRY(hf_repo_target_path(target, p->set.root->consistent_snapshot, &path, why));
        enum hf_err err = hf_repo_read(&p->repo, path.text, HF_BUNDLE_BYTES_MAX, &content, NULL);
        if (err == HF_OK)
            err = hf_file_info_verify(&target->info, hf_buf_bytes(&content), path.text, NULL);
        bool is_here = err == HF_OK;
        hf_buf_free(&content);
        if (is_here)
            continue;
        err = hf_repo_read(copy, path.text, HF_BUNDLE_BYTES_MAX, &content, why);
        if (err == HF_OK)
            err = hf_file_info_verify(&target->info, hf_buf_bytes(&content), path.text, why);
        if (err == HF_OK)
            err = hf_repo_stage_take(&p->repo, path.text, &content, why);
        hf_buf_free(&content);
        HF_TRY(err);
    }
    return HF_OK;
}

enum hf_err hf_online_publish(const struct hf_publication_context *at, const char *from_dir,
                              struct hf_online_result *out, struct hf_why *why)
{
    const struct hf_repo copy = {.dir = from_dir};
    struct hf_publication p;
    struct hf_targets pending = {0};
    struct hf_buf file = {0};
    int64_t newest = 0, newest_here = 0;
    HF_TRY(open_online(at, &p, why));
    enum hf_err err = hf_repo_newest_targets(&p.repo, &newest_here, why);
    if (err == HF_OK && from_dir != NULL)
        err = check_copy_follows(&p, &copy, newest_here, why);
    if (err == HF_OK)
        err = hf_repo_newest_targets(from_dir == NULL ? &p.repo : &copy, &newest, why);
    bool is_waiting = err == HF_OK && newest > hf_publication_targets(&p)->env.version;
    if (is_waiting) {
        err = hf_repo_verify_pending(from_dir == NULL ? &p.repo : &copy, &p.set, &pending, &file,
                                     why);
        if (err == HF_OK && from_dir != NULL)
            err = stage_from_copy(&p, &copy, &pending, hf_buf_bytes(&file), why);
        if (err == HF_OK)
            err = hf_publication_stage_online(&p, newest, hf_buf_bytes(&file), why);
        if (err == HF_OK)
            err = hf_publication_commit(&p, why);
    } else if (err == HF_OK) {
        err = hf_publication_refresh_if_due(&p, why);
    }
    if (err == HF_OK)
        *out = result_of(&p, pending.env.expires_s);
    hf_targets_free(&pending);
    hf_buf_free(&file);
    hf_publication_close(&p);
    return err;
}

/* ---- the stage of a rollout ------------------------------------------------------------------ */

/* A bundle with a plan: its target, its description (to be freed) and the name of its role. */
static enum hf_err find_planned(const struct hf_targets *targets, const char *path,
                                const struct hf_target **target, struct hf_description *d,
                                char role[HF_ROLLOUT_ROLE_SIZE], struct hf_why *why)
{
    struct hf_description found = {0};
    *target = hf_targets_find(targets, path);
    if (*target == NULL)
        return hf_fail(why, HF_E_NOT_FOUND, "the repository lists no bundle %.200s", path);
    HF_TRY(hf_description_parse((*target)->custom, &found, why));
    hf_rollout_role_name(found.set, role);
    enum hf_err err = HF_OK;
    if (found.plan == NULL)
        err = hf_fail(why, HF_E_POLICY,
                      "%s has no rollout plan: every device may install it at once; give the next "
                      "version one (bundle add --plan)",
                      path);
    else if (hf_rollout_delegation(targets, role) == NULL)
        err = hf_fail(why, HF_E_POLICY,
                      "targets do not delegate to %s; run `holdfastctl rollout delegate %s`", role,
                      found.set);
    if (err != HF_OK) {
        hf_description_free(&found);
        return err;
    }
    *d = found;
    return HF_OK;
}

static void read_stage(const struct hf_trusted_set *set, const struct hf_target *target,
                       const struct hf_description *d, const char *role,
                       struct hf_online_stage *out)
{
    const struct hf_targets *published = hf_rollout_published(set, role);
    *out = (struct hf_online_stage){.plan = *d->plan};
    memcpy(out->sha256, target->info.sha256, HF_SHA256_LEN);
    out->version = published == NULL ? 0 : published->env.version;
    out->is_signed = published != NULL &&
                     hf_rollout_find(published, target, &out->now, NULL) == HF_OK;
}

enum hf_err hf_online_read_stage(const struct hf_trusted_set *set, const char *path,
                                 struct hf_online_stage *out, struct hf_why *why)
{
    const struct hf_target *target = NULL;
    struct hf_description d = {0};
    char role[HF_ROLLOUT_ROLE_SIZE];
    HF_TRY(find_planned(hf_trusted_set_top_targets(set), path, &target, &d, role, why));
    read_stage(set, target, &d, role, out);
    hf_description_free(&d);
    return HF_OK;
}

/* Since when what is signed now holds. An approval is for the step after exactly that
 * (common/rollout/approval.h), so where people approve it rises with each step, also of a fast hand
 * or a clock that goes back. */
static int64_t choose_since(const struct hf_rollout_case *at)
{
    const bool is_as_late = at->now != NULL && at->now->since_s >= at->now_s;

    return is_as_late && at->plan->approval != HF_ROLLOUT_AUTO ? at->now->since_s + 1 : at->now_s;
}

static enum hf_err step(struct hf_publication *p, const char *path,
                        const struct hf_rollout_request *request, const char *reason,
                        struct hf_online_stage *out, struct hf_why *why)
{
    const struct hf_targets *targets = hf_publication_targets(p);
    struct hf_online_stage stage;
    struct hf_description d = {0};
    char role[HF_ROLLOUT_ROLE_SIZE];
    struct hf_rollout_change change = {.role = role,
                                       .activation = {.stage = request->stage,
                                                      .state = request->state}};
    HF_TRY(find_planned(targets, path, &change.target, &d, role, why));
    read_stage(&p->set, change.target, &d, role, &stage);
    const struct hf_rollout_case at = {.path = path,
                                       .sha256 = stage.sha256,
                                       .plan = &stage.plan,
                                       .now = stage.is_signed ? &stage.now : NULL,
                                       .version = stage.version,
                                       .is_superseded = hf_rollout_is_superseded(targets, &d),
                                       .now_s = p->now_s};
    enum hf_err err = hf_rollout_rules_check(&at, request, why);
    change.activation.since_s = choose_since(&at);
    (void)snprintf(change.activation.reason, sizeof change.activation.reason, "%s", reason);
    hf_text_sanitize(change.activation.reason);
    if (err == HF_OK)
        err = hf_publication_stage_rollout(p, &change, why);
    if (err == HF_OK)
        err = hf_publication_commit(p, why);
    hf_description_free(&d);
    HF_TRY(err);
    stage.is_signed = true;
    stage.now = change.activation;
    stage.version = hf_signed_rollout_version(&p->signed_now, role);
    *out = stage;
    return HF_OK;
}

enum hf_err hf_online_step(const struct hf_publication_context *at, const char *path,
                           const struct hf_rollout_request *request, const char *reason,
                           struct hf_online_stage *out, struct hf_online_result *result,
                           struct hf_why *why)
{
    struct hf_publication p;
    HF_TRY(open_online(at, &p, why));
    enum hf_err err = step(&p, path, request, reason, out, why);
    if (err == HF_OK && result != NULL)
        *result = result_of(&p, 0);
    hf_publication_close(&p);
    return err;
}
