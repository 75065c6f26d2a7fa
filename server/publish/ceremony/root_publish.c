#include "server/publish/ceremony/root_publish.h"

#include "common/base/limits.h"
#include "common/base/timetext.h"
#include "server/publish/ceremony/signature_status.h"
#include "server/publish/ceremony/targets_publish.h"
#include "server/publish/ceremony/targets_release.h"
#include "server/repository/trusted_root.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct root_ceremony {
    struct hf_publication p;
    const struct hf_draft *draft;
    const struct hf_draft *targets; /* that come with it; NULL: none */
    struct hf_path path;            /* of the new root, below the repository */
    struct hf_buf file;             /* of the new root */
    bool is_out;                    /* it lies there already: a ceremony that was cut off */
};

/* ---- does the draft fit what is published? ---------------------------------------------------------------------------------- */

/* HF_E_ROLLBACK in words unless the draft follows the published root. */
static enum hf_err check_follows(const struct root_ceremony *c, struct hf_why *why)
{
    const struct hf_root *newest = c->p.set.root;
    int64_t follows = c->draft->root.env.version;
    if (newest->env.version > follows)
        return hf_fail(why, HF_E_ROLLBACK,
                       "the draft follows root %" PRId64 ", but root %" PRId64
                       " is published already; nothing is left to do, or start a new draft",
                       follows, newest->env.version);
    if (newest->env.version < follows ||
        memcmp(newest->env.file_sha256, c->draft->root.env.file_sha256, HF_SHA256_LEN) != 0)
        return hf_fail(why, HF_E_ROLLBACK,
                       "the draft follows a root %" PRId64
                       " that %s does not have; it is of another "
                       "repository, or this is an old copy of it",
                       follows, c->p.repo.dir);
    return HF_OK;
}

/* What lies there under the new number must be this very draft; its file then stays as it is. */
static enum hf_err use_root_on_disk(struct root_ceremony *c, struct hf_buf *on_disk,
                                    struct hf_why *why)
{
    struct hf_root root = {0};
    HF_TRY(hf_root_parse(hf_buf_bytes(on_disk), &root, why));
    c->is_out = hf_bytes_equal(hf_buf_bytes(&root.env.signed_bytes),
                               hf_buf_bytes(&c->draft->next.env.signed_bytes));
    hf_root_free(&root);
    if (!c->is_out)
        return hf_fail(why, HF_E_ROLLBACK,
                       "the draft follows root %" PRId64 ", but %s has another root %" PRId64
                       " already; start a new draft",
                       c->draft->root.env.version, c->p.repo.dir, c->draft->next.env.version);
    hf_buf_free(&c->file);
    c->file = *on_disk;
    *on_disk = (struct hf_buf){0};
    return HF_OK;
}

static enum hf_err look_for_root(struct root_ceremony *c, struct hf_why *why)
{
    struct hf_buf on_disk = {0};
    HF_TRY(hf_repo_role_path(HF_ROLE_ROOT, c->draft->next.env.version, true, &c->path, why));
    enum hf_err err = hf_repo_read(&c->p.repo, c->path.text, HF_ROOT_BYTES_MAX, &on_disk, why);
    if (err == HF_OK)
        err = use_root_on_disk(c, &on_disk, why);
    else if (err == HF_E_NOT_FOUND)
        err = HF_OK;
    hf_buf_free(&on_disk);
    return err;
}

/* In words for people; then as a device does it (TUF 5.3.4, 5.3.5). */
static enum hf_err verify_root(const struct root_ceremony *c, struct hf_why *why)
{
    struct hf_signature_status status = {0};
    struct hf_trusted_set set = {0};
    HF_TRY(hf_signature_status_make(c->draft, &status, why));
    enum hf_err err = hf_signature_status_require(&status, why);
    hf_signature_status_free(&status);
    if (err != HF_OK)
        return err;
    HF_TRY(hf_trusted_set_init(&set, hf_draft_root_file(c->draft), c->p.now_s, why));
    err = hf_trusted_set_update_root(&set, hf_buf_bytes(&c->file), why);
    if (err == HF_OK)
        err = hf_trusted_set_end_roots(&set, why);
    hf_trusted_set_free(&set);
    return err;
}

static enum hf_err check_clock(const struct root_ceremony *c, struct hf_why *why)
{
    char now[HF_TIME_TEXT_MAX], drafted[HF_TIME_TEXT_MAX];
    int64_t drafted_s = c->draft->next.env.signed_at_s;
    if (drafted_s == HF_TIME_NONE || drafted_s <= c->p.now_s)
        return HF_OK;
    hf_time_format(c->p.now_s, now);
    hf_time_format(drafted_s, drafted);
    return hf_fail(why, HF_E_STATE,
                   "this machine's clock says %s, but the draft was made at %s; one of the two "
                   "clocks is wrong: set it, and start a new draft if it was the other",
                   now, drafted);
}

/* The draft follows the published root, is signed by all who must, and is not of a day to come. Sets
 * path, file and is_out: what lies there under its number must be this very root, and stays as it is.
 * HF_E_ROLLBACK, HF_E_SIGNATURE, HF_E_STATE in words. */
static enum hf_err check_ceremony(struct root_ceremony *c, struct hf_why *why)
{
    HF_TRY(check_follows(c, why));
    HF_TRY(hf_draft_metadata(c->draft, &c->file, why));
    HF_TRY(look_for_root(c, why));
    HF_TRY(verify_root(c, why));
    return check_clock(c, why);
}

/* ---- is it out? ---------------------------------------------------------------------------------- */

static bool is_same_signed(const struct hf_envelope *a, const struct hf_envelope *b)
{
    return hf_bytes_equal(hf_buf_bytes(&a->signed_bytes), hf_buf_bytes(&b->signed_bytes));
}

static bool verify_up_to(const char *dir, const struct hf_draft *draft, int64_t root_max,
                         int64_t now_s, struct hf_trusted_set *out)
{
    const struct hf_repo repo = {.dir = dir,
                                 .trusted_root = hf_draft_root_file(draft),
                                 .root_max = root_max};
    return hf_repo_verify_metadata(&repo, now_s, out, NULL) == HF_OK;
}

static bool is_whole(const char *dir, const struct hf_draft *draft, const struct hf_draft *targets,
                     int64_t now_s)
{
    struct hf_trusted_set set = {0};
    if (!verify_up_to(dir, draft, draft->next.env.version, now_s, &set))
        return false;
    const struct hf_targets *published = hf_trusted_set_top_targets(&set);
    bool is_out = is_same_signed(&set.root->env, &draft->next.env) &&
                  (targets == NULL || is_same_signed(&published->env, &targets->targets.env));
    hf_trusted_set_free(&set);
    return is_out;
}

static bool is_whole_before(const char *dir, const struct hf_draft *draft)
{
    struct hf_trusted_set set = {0};
    bool is = verify_up_to(dir, draft, draft->root.env.version, HF_REPO_ANY_TIME, &set);
    hf_trusted_set_free(&set);
    return is;
}

/* Would a device find, from the root before on, this root and all that comes with it? Then a ceremony
 * was cut off after its last rename, if the keys do not know the root yet. Looks at the disk.
 * What has expired since is no less published, unless it is what this ceremony is to sign again. */
static bool is_published(const struct hf_publication_context *at, const struct hf_draft *draft,
                         const struct hf_draft *targets)
{
    return is_whole(at->repo_dir, draft, targets, at->now_s) ||
           (is_whole(at->repo_dir, draft, targets, HF_REPO_ANY_TIME) &&
            !is_whole_before(at->repo_dir, draft));
}

/* ---- records ------------------------------------------------------------------------------------- */

/* Numbers that were given out and never noted as published; or nothing was ever noted. */
static bool is_record_open(const struct hf_rollback_record *record)
{
    if (record->committed.of[HF_ROLE_TIMESTAMP].version == 0)
        return true;
    for (int role = 0; role < HF_TOP_ROLES; role++) {
        if (record->prepared.of[role].version > record->committed.of[role].version)
            return true;
    }
    return false;
}

static enum hf_err is_pin_behind(const struct hf_key_folder *folder, int64_t version, bool *out,
                                 struct hf_why *why)
{
    struct hf_root pinned = {0};
    struct hf_buf pin = {0};
    enum hf_err err = hf_trusted_root_read(folder, &pin, why);
    if (err == HF_E_NOT_FOUND) {
        *out = true;
        return HF_OK;
    }
    if (err == HF_OK)
        err = hf_root_parse(hf_buf_bytes(&pin), &pinned, why);
    if (err == HF_OK)
        *out = pinned.env.version < version;
    hf_root_free(&pinned);
    hf_buf_free(&pin);
    return err;
}

/* Is there a folder of keys whose record is not what it is after a ceremony? */
static enum hf_err are_records_behind(const struct root_ceremony *c, bool *out, struct hf_why *why)
{
    bool is_behind = false;
    for (int location = 0; location < HF_KEY_LOCATIONS && !is_behind; location++) {
        const struct hf_key_folder *folder = &c->p.keys.folders[location];
        if (!hf_file_exists(folder->path.text))
            continue;
        HF_TRY(is_pin_behind(folder, c->draft->next.env.version, &is_behind, why));
        is_behind = is_behind || (c->p.is_used[location] && is_record_open(&c->p.record[location]));
    }
    *out = is_behind;
    return HF_OK;
}

static enum hf_err renew(struct root_ceremony *c, struct hf_why *why)
{
    const struct hf_repo repo = {.dir = c->p.repo.dir};
    for (int location = 0; location < HF_KEY_LOCATIONS; location++) {
        const struct hf_key_folder *folder = &c->p.keys.folders[location];
        if (!hf_file_exists(folder->path.text))
            continue;
        HF_TRY(hf_trusted_root_put(folder, &repo, c->draft->next.env.version, c->p.now_s, why));
        c->p.is_used[location] = true; /* a new folder remembers from here on */
    }
    return hf_publication_remember(&c->p, true, why);
}

/* The keys know the new root from now on; new folders of keys learn whose they are. Last of all, so
 * that a cut before it is found by the records. */
static enum hf_err renew_records(struct root_ceremony *c, struct hf_why *why)
{
    if (renew(c, why) == HF_OK)
        return HF_OK;
    return hf_fail_context(why, "the root is published, but the keys do not know it yet; run the "
                                "same root finish again");
}

/* ---- what must be signed again ------------------------------------------------------------------ */

static bool holds_under(const struct root_ceremony *c, const struct hf_envelope *env,
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

/* What waits to be published could never be published: its keys are not authorised any more, or others
 * sign under its number. */
static enum hf_err check_nothing_is_lost(const struct root_ceremony *c, bool have_targets,
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
static enum hf_err sign_targets(struct root_ceremony *c, int64_t *version, struct hf_buf *file,
                                struct hf_why *why)
{
    HF_TRY(check_nothing_is_lost(c, false, why));
    if (stage_same_targets(&c->p, version, file, why) == HF_OK)
        return HF_OK;
    return hf_fail_context(why, "under the new root, targets must be signed again, with keys that "
                                "are here, or by their holders (targets draft --under the draft of "
                                "root, targets sign, root finish --targets)");
}

static enum hf_err stage_targets(struct root_ceremony *c, int64_t *version, struct hf_buf *file,
                                 struct hf_why *why)
{
    if (c->targets == NULL)
        return sign_targets(c, version, file, why);
    *version = c->targets->targets.env.version;
    return hf_targets_stage(&c->p, c->targets, file, why);
}

/* Do the published targets stay? Those that come with the root may be out, of a ceremony cut off. */
static bool have_targets(const struct root_ceremony *c)
{
    const struct hf_envelope *published = &hf_publication_targets(&c->p)->env;
    if (c->targets != NULL && !hf_bytes_equal(hf_buf_bytes(&published->signed_bytes),
                                              hf_buf_bytes(&c->targets->targets.env.signed_bytes)))
        return false;
    return holds_under(c, published, HF_ROLE_TARGETS);
}

static enum hf_err stage_online(struct root_ceremony *c, int64_t version, struct hf_bytes file,
                                struct hf_why *why)
{
    enum hf_err err = hf_publication_stage_online(&c->p, version, file, why);
    return err == HF_OK
               ? HF_OK
               : hf_fail_context(why,
                                 "under the new root, snapshot and timestamp must be signed again");
}

static enum hf_err stage_metadata(struct root_ceremony *c, struct hf_why *why)
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

static enum hf_err stage_root(struct root_ceremony *c, struct hf_why *why)
{
    struct hf_buf copy = {0};
    if (hf_buf_append(&copy, c->file.data, c->file.len) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory for root metadata");
    return hf_repo_stage_take(&c->p.repo, c->path.text, &copy, why);
}

static enum hf_err verify_staged(const struct root_ceremony *c, int64_t root_max,
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

static enum hf_err write_staged(struct root_ceremony *c, struct hf_why *why)
{
    const struct hf_repo_step step = {remember_begun, &c->p};
    return hf_repo_write_with(&c->p.repo, c->p.now_s, &step, why);
}

/*
 * What devices see between two renames decides the order. Signed by old and new keys together, the
 * rest is good under either root: it goes first, and then the root; no device ever sees anything
 * that it must refuse. Otherwise the root goes first: a device that looks in that instant takes it,
 * refuses the old timestamp, and finds all in order at its next look.
 */
static enum hf_err write_all(struct root_ceremony *c, bool *is_bridged, struct hf_why *why)
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
static enum hf_err verify_whole(struct root_ceremony *c, struct hf_why *why)
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

static enum hf_err publish(struct root_ceremony *c, struct hf_root_published *out,
                           struct hf_why *why)
{
    struct hf_root_published published = {0};
    HF_TRY(check_ceremony(c, why));
    HF_TRY(hf_publication_sign_under(&c->p, &c->draft->next, why));
    HF_TRY(stage_metadata(c, why));
    HF_TRY(verify_whole(c, why));
    HF_TRY(write_all(c, &published.is_bridged, why));
    HF_TRY(renew_records(c, why));
    list_versions(&c->p, &published);
    *out = published;
    return HF_OK;
}

/* All of it is out. Did the keys learn of it? */
static enum hf_err catch_up(struct root_ceremony *c, struct hf_root_published *out,
                            struct hf_why *why)
{
    bool is_behind = false;
    HF_TRY(are_records_behind(c, &is_behind, why));
    if (!is_behind)
        return check_follows(c, why);
    HF_TRY(renew_records(c, why));
    *out = (struct hf_root_published){.is_bridged = true, .was_out = true};
    return HF_OK;
}

enum hf_err hf_root_publish(const struct hf_publication_context *at, const struct hf_draft *draft,
                            const struct hf_draft *targets, struct hf_root_published *out,
                            struct hf_why *why)
{
    struct root_ceremony c = {.draft = draft, .targets = targets};
    struct hf_publication_context place = *at;
    bool was_published = is_published(at, draft, targets);
    place.root_max = was_published ? draft->next.env.version : draft->root.env.version;
    HF_TRY(hf_publication_open(&place, &c.p, why));
    enum hf_err err = was_published ? catch_up(&c, out, why) : publish(&c, out, why);
    hf_buf_free(&c.file);
    hf_publication_close(&c.p);
    return err;
}
