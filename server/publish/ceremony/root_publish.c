#include "server/publish/ceremony/root_publish.h"

#include "common/base/limits.h"
#include "server/publish/ceremony/root_ceremony.h"
#include "server/publish/ceremony/targets_publish.h"
#include "server/publish/ceremony/targets_release.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- what must be signed anew ------------------------------------------------------------------- */

static bool holds_under(const struct hf_root_ceremony *c, const struct hf_envelope *env,
                        enum hf_top_role role)
{
    const struct hf_root *next = &c->draft->next;
    return env->expires_s > c->p.now_s &&
           hf_envelope_verify(env, &next->ring, &next->roles[role], "it", NULL) == HF_OK;
}

/* The same content with the next number. */
static enum hf_err stage_same_targets(struct hf_publication *p, int64_t *version,
                                      struct hf_buf *file, struct hf_why *why)
{
    json_t *targets = NULL;
    HF_TRY(hf_targets_next(p, hf_publication_targets(p), &targets, why));
    enum hf_err err = hf_publication_stage_targets(p, targets, file, why);
    if (err == HF_OK)
        *version = json_integer_value(json_object_get(targets, "version"));
    json_decref(targets);
    return err;
}

static enum hf_err read_targets(struct hf_publication *p, int64_t *version, struct hf_buf *file,
                                struct hf_why *why)
{
    struct hf_path path;
    *version = hf_publication_targets(p)->env.version;
    HF_TRY(
        hf_repo_role_path(HF_ROLE_TARGETS, *version, p->set.root->consistent_snapshot, &path, why));
    return hf_repo_read(&p->repo, path.text, HF_TARGETS_BYTES_MAX, file, why);
}

/* What waits to be published would be out of reach for good: its keys have no say any more, or others
 * sign under its number. */
static enum hf_err check_nothing_is_lost(const struct hf_root_ceremony *c, bool have_targets,
                                         struct hf_why *why)
{
    const struct hf_publication *p = &c->p;
    struct hf_targets waiting = {0};
    struct hf_buf file = {0};
    const json_t *published = hf_publication_targets(p)->env.signed_part;
    bool is_lost = hf_repo_verify_pending(&p->repo, &p->set, &waiting, &file, NULL) == HF_OK &&
                   !json_equal(json_object_get(waiting.env.signed_part, "targets"),
                               json_object_get(published, "targets")) &&
                   !(have_targets && holds_under(c, &waiting.env, HF_ROLE_TARGETS));
    int64_t version = waiting.env.version;
    hf_targets_free(&waiting);
    hf_buf_free(&file);
    if (!is_lost)
        return HF_OK;
    return hf_fail(why, HF_E_STATE,
                   "targets %" PRId64 " is signed and waits, and its keys are about to go; run "
                   "holdfastctl publish first, or delete metadata/%" PRId64
                   ".targets.json to go on without it",
                   version, version);
}

/* With the new keys, which are here, or lie elsewhere. */
static enum hf_err sign_targets(struct hf_root_ceremony *c, int64_t *version, struct hf_buf *file,
                                struct hf_why *why)
{
    HF_TRY(check_nothing_is_lost(c, false, why));
    if (stage_same_targets(&c->p, version, file, why) == HF_OK)
        return HF_OK;
    return hf_fail_context(why, "under the new root, targets must be signed anew, with keys that "
                                "lie here or by their holders (targets draft --under the draft of "
                                "root, targets sign, root finish --targets)");
}

static enum hf_err stage_targets(struct hf_root_ceremony *c, int64_t *version, struct hf_buf *file,
                                 struct hf_why *why)
{
    if (c->targets == NULL)
        return sign_targets(c, version, file, why);
    *version = c->targets->targets.env.version;
    return hf_targets_stage(&c->p, c->targets, file, why);
}

/* Do the published targets stay? Those that come with the root may be out, of a ceremony cut off. */
static bool have_targets(const struct hf_root_ceremony *c)
{
    const struct hf_envelope *published = &hf_publication_targets(&c->p)->env;
    if (c->targets != NULL && !hf_bytes_equal(hf_buf_bytes(&published->signed_bytes),
                                              hf_buf_bytes(&c->targets->targets.env.signed_bytes)))
        return false;
    return holds_under(c, published, HF_ROLE_TARGETS);
}

static enum hf_err stage_online(struct hf_root_ceremony *c, int64_t version, struct hf_bytes file,
                                struct hf_why *why)
{
    enum hf_err err = hf_publication_stage_online(&c->p, version, file, why);
    return err == HF_OK
               ? HF_OK
               : hf_fail_context(why,
                                 "under the new root, snapshot and timestamp must be signed anew");
}

static enum hf_err stage_metadata(struct hf_root_ceremony *c, struct hf_why *why)
{
    struct hf_publication *p = &c->p;
    struct hf_buf file = {0};
    int64_t version = 0;
    bool has_targets = have_targets(c);
    if (has_targets)
        HF_TRY(check_nothing_is_lost(c, true, why));
    if (has_targets && holds_under(c, &p->set.snapshot->env, HF_ROLE_SNAPSHOT) &&
        holds_under(c, &p->set.timestamp->env, HF_ROLE_TIMESTAMP))
        return HF_OK;
    enum hf_err err = has_targets ? read_targets(p, &version, &file, why)
                                  : stage_targets(c, &version, &file, why);
    if (err == HF_OK)
        err = stage_online(c, version, hf_buf_bytes(&file), why);
    hf_buf_free(&file);
    return err;
}

/* ---- going out ---------------------------------------------------------------------------------- */

static enum hf_err stage_root(struct hf_root_ceremony *c, struct hf_why *why)
{
    struct hf_buf copy = {0};
    if (hf_buf_append(&copy, c->file.data, c->file.len) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory for root metadata");
    return hf_repo_stage_take(&c->p.repo, c->path.text, &copy, why);
}

static enum hf_err verify_staged(const struct hf_root_ceremony *c, int64_t root_max,
                                 struct hf_why *why)
{
    const struct hf_repo view = {.dir = c->p.repo.dir,
                                 .root_max = root_max,
                                 .staged = c->p.repo.staged,
                                 .n_staged = c->p.repo.n_staged,
                                 .self_signed = c->p.repo.self_signed};
    return hf_repo_verify(&view, c->p.now_s, why);
}

static enum hf_err remember_begun(void *context, struct hf_why *why)
{
    return hf_publication_remember(context, false, why);
}

static enum hf_err write_staged(struct hf_root_ceremony *c, struct hf_why *why)
{
    const struct hf_repo_step step = {remember_begun, &c->p};
    return hf_repo_write_with(&c->p.repo, c->p.now_s, &step, why);
}

/*
 * What devices see between two renames decides the order. Signed by old and new keys together, the
 * rest is good under either root: it goes first, and then the root; nobody ever sees anything that
 * he must refuse. Otherwise the root goes first: a device that looks in that instant takes it,
 * refuses the old timestamp, and finds all in order at its next look.
 */
static enum hf_err write_all(struct hf_root_ceremony *c, bool *is_bridged, struct hf_why *why)
{
    bool has_more = c->p.repo.n_staged > 0;
    bool is_good_before = !c->is_out && verify_staged(c, c->draft->root.env.version, NULL) == HF_OK;
    if (has_more && is_good_before)
        HF_TRY(write_staged(c, why));
    HF_TRY(stage_root(c, why));
    HF_TRY(write_staged(c, why));
    *is_bridged = !has_more || is_good_before;
    return HF_OK;
}

/* The whole as it will be, before anything is written. */
static enum hf_err verify_whole(struct hf_root_ceremony *c, struct hf_why *why)
{
    struct hf_repo with_root = {.dir = c->p.repo.dir, .self_signed = c->p.repo.self_signed};
    struct hf_repo_file *files = calloc(c->p.repo.n_staged + 1, sizeof *files);
    if (files == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a repository");
    for (size_t i = 0; i < c->p.repo.n_staged; i++)
        files[i] = c->p.repo.staged[i];
    files[c->p.repo.n_staged] = (struct hf_repo_file){.path = c->path.text, .bytes = c->file};
    with_root.staged = files;
    with_root.n_staged = c->p.repo.n_staged + 1;
    enum hf_err err = hf_repo_verify(&with_root, c->p.now_s, why);
    free(files);
    return err == HF_OK ? HF_OK
                        : hf_fail_context(why, "nothing was published, devices would refuse it");
}

static void list_versions(const struct hf_publication *p, struct hf_root_published *out)
{
    for (int role = 0; role < HF_TOP_ROLES; role++) {
        int64_t version = p->signed_now.of[role].version;
        out->versions[role] = version > p->published.of[role].version ? version : 0;
    }
}

static enum hf_err publish(struct hf_root_ceremony *c, struct hf_root_published *out,
                           struct hf_why *why)
{
    struct hf_root_published published = {0};
    HF_TRY(hf_root_check(c, why));
    HF_TRY(hf_publication_sign_under(&c->p, &c->draft->next, why));
    HF_TRY(stage_metadata(c, why));
    HF_TRY(verify_whole(c, why));
    HF_TRY(write_all(c, &published.is_bridged, why));
    HF_TRY(hf_root_renew_records(c, why));
    list_versions(&c->p, &published);
    *out = published;
    return HF_OK;
}

/* All of it is out. Did the keys learn of it? */
static enum hf_err catch_up(struct hf_root_ceremony *c, struct hf_root_published *out,
                            struct hf_why *why)
{
    bool is_behind = false;
    HF_TRY(hf_root_are_records_behind(c, &is_behind, why));
    if (!is_behind)
        return hf_root_check_follows(c, why);
    HF_TRY(hf_root_renew_records(c, why));
    *out = (struct hf_root_published){.is_bridged = true, .was_out = true};
    return HF_OK;
}

enum hf_err hf_root_publish(const struct hf_publication_place *at, const struct hf_draft *draft,
                            const struct hf_draft *targets, struct hf_root_published *out,
                            struct hf_why *why)
{
    struct hf_root_ceremony c = {.draft = draft, .targets = targets};
    struct hf_publication_place place = *at;
    bool is_published = hf_root_is_published(at, draft, targets);
    place.root_max = is_published ? draft->next.env.version : draft->root.env.version;
    HF_TRY(hf_publication_open(&place, &c.p, why));
    enum hf_err err = is_published ? catch_up(&c, out, why) : publish(&c, out, why);
    hf_buf_free(&c.file);
    hf_publication_close(&c.p);
    return err;
}
