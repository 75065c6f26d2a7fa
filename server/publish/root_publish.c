#include "server/publish/root_publish.h"

#include "common/base/limits.h"
#include "common/base/timetext.h"
#include "server/publish/draft_tally.h"
#include "server/publish/pin.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct ceremony {
    struct hf_publication p;
    const struct hf_draft *draft;
    struct hf_path path; /* of the new root, below the repository */
    struct hf_buf file;  /* of the new root */
    bool is_out;         /* it lies in the repository already: a ceremony that was cut off */
};

/* ---- does the draft fit? ------------------------------------------------------------------------ */

static enum hf_err check_follows(const struct ceremony *c, struct hf_why *why)
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
static enum hf_err use_root_on_disk(struct ceremony *c, struct hf_buf *on_disk, struct hf_why *why)
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

static enum hf_err look_for_root(struct ceremony *c, struct hf_why *why)
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
static enum hf_err verify_root(const struct ceremony *c, struct hf_why *why)
{
    struct hf_tally tally = {0};
    struct hf_trusted_set set = {0};
    HF_TRY(hf_tally_make(c->draft, &tally, why));
    enum hf_err err = hf_tally_require(&tally, why);
    hf_tally_free(&tally);
    if (err != HF_OK)
        return err;
    HF_TRY(hf_trusted_set_init(&set, hf_draft_root_file(c->draft), c->p.now_s, why));
    err = hf_trusted_set_update_root(&set, hf_buf_bytes(&c->file), why);
    if (err == HF_OK)
        err = hf_trusted_set_end_roots(&set, why);
    hf_trusted_set_free(&set);
    return err;
}

static enum hf_err check_clock(const struct ceremony *c, struct hf_why *why)
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

/* ---- what must be signed anew ------------------------------------------------------------------- */

static bool holds_under(const struct ceremony *c, const struct hf_envelope *env,
                        enum hf_top_role role)
{
    const struct hf_root *next = &c->draft->next;
    return env->expires_s > c->p.now_s &&
           hf_envelope_verify(env, &next->ring, &next->roles[role], "it", NULL) == HF_OK;
}

static enum hf_err in_words(enum hf_err err, enum hf_top_role role, struct hf_why *why)
{
    if (err == HF_OK)
        return HF_OK;
    return hf_fail_context(why, "under the new root, %s must be signed anew",
                           role == HF_ROLE_TARGETS ? "targets" : "snapshot and timestamp");
}

/* The same content with the next number. */
static enum hf_err stage_same_targets(struct hf_publication *p, int64_t *version,
                                      struct hf_buf *file, struct hf_why *why)
{
    const struct hf_targets *before = hf_publication_targets(p);
    struct hf_signing signing = {0, 0, p->now_s};
    json_t *targets = NULL;
    signing.version = hf_publication_next_version(p, HF_ROLE_TARGETS, before->env.version);
    HF_TRY(hf_publication_expiry(p, HF_ROLE_TARGETS, &signing.expires_s, why));
    HF_TRY(hf_compose_targets(before->env.signed_part, &signing, &targets, why));
    enum hf_err err = hf_publication_stage_targets(p, targets, file, why);
    json_decref(targets);
    if (err == HF_OK)
        *version = signing.version;
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

static enum hf_err stage_metadata(struct ceremony *c, struct hf_why *why)
{
    struct hf_publication *p = &c->p;
    struct hf_buf file = {0};
    int64_t version = 0;
    bool has_targets = holds_under(c, &hf_publication_targets(p)->env, HF_ROLE_TARGETS);
    if (has_targets && holds_under(c, &p->set.snapshot->env, HF_ROLE_SNAPSHOT) &&
        holds_under(c, &p->set.timestamp->env, HF_ROLE_TIMESTAMP))
        return HF_OK;
    enum hf_err err = has_targets ? read_targets(p, &version, &file, why)
                                  : in_words(stage_same_targets(p, &version, &file, why),
                                             HF_ROLE_TARGETS, why);
    if (err == HF_OK)
        err = in_words(hf_publication_stage_online(p, version, hf_buf_bytes(&file), why),
                       HF_ROLE_SNAPSHOT, why);
    hf_buf_free(&file);
    return err;
}

/* ---- going out ---------------------------------------------------------------------------------- */

static enum hf_err stage_root(struct ceremony *c, struct hf_why *why)
{
    struct hf_buf copy = {0};
    if (hf_buf_append(&copy, c->file.data, c->file.len) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory for root metadata");
    return hf_repo_stage_take(&c->p.repo, c->path.text, &copy, why);
}

static enum hf_err verify_staged(const struct ceremony *c, int64_t root_max, struct hf_why *why)
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

static enum hf_err write_staged(struct ceremony *c, struct hf_why *why)
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
static enum hf_err write_all(struct ceremony *c, bool *is_bridged, struct hf_why *why)
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
static enum hf_err verify_whole(struct ceremony *c, struct hf_why *why)
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

/* The keys know the new root from now on; new folders of keys learn whose they are. */
static enum hf_err renew_pins(struct ceremony *c, struct hf_why *why)
{
    const struct hf_repo repo = {.dir = c->p.repo.dir};
    for (int half = 0; half < HF_KEY_HALVES; half++) {
        const struct hf_key_folder *folder = &c->p.keys.folders[half];
        if (hf_disk_exists(folder->path.text))
            HF_TRY(hf_pin_put(folder, &repo, c->draft->next.env.version, c->p.now_s, why));
    }
    return hf_publication_remember(&c->p, true, why);
}

static enum hf_err publish(struct ceremony *c, struct hf_root_published *out, struct hf_why *why)
{
    struct hf_root_published published = {0};
    HF_TRY(check_follows(c, why));
    HF_TRY(hf_draft_metadata(c->draft, &c->file, why));
    HF_TRY(look_for_root(c, why));
    HF_TRY(verify_root(c, why));
    HF_TRY(check_clock(c, why));
    hf_publication_sign_under(&c->p, &c->draft->next);
    HF_TRY(stage_metadata(c, why));
    HF_TRY(verify_whole(c, why));
    HF_TRY(write_all(c, &published.is_bridged, why));
    if (renew_pins(c, why) != HF_OK)
        return hf_fail_context(why, "the root is published, but the keys do not know it yet");
    for (int role = 0; role < HF_TOP_ROLES; role++) {
        int64_t version = c->p.signed_now.of[role].version;
        published.versions[role] = version > c->p.published.of[role].version ? version : 0;
    }
    *out = published;
    return HF_OK;
}

enum hf_err hf_root_publish(const struct hf_publication_place *at, const struct hf_draft *draft,
                            struct hf_root_published *out, struct hf_why *why)
{
    struct ceremony c = {.draft = draft};
    struct hf_publication_place place = *at;
    place.root_max = draft->root.env.version;
    HF_TRY(hf_publication_open(&place, &c.p, why));
    enum hf_err err = publish(&c, out, why);
    hf_buf_free(&c.file);
    hf_publication_close(&c.p);
    return err;
}
