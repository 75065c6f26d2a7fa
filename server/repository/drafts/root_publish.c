#include "server/repository/drafts/root_publish.h"

#include "common/base/limits.h"
#include "server/repository/drafts/draft_signatures.h"
#include "server/repository/drafts/targets_release.h"
#include "server/repository/key_record.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct root_ceremony {
    struct hf_publication p; /* its repository ends at the root that the draft follows */
    const struct hf_draft *draft;
    const struct hf_draft *targets; /* that come with it; NULL: none */
    struct hf_path path;            /* of the new root, below the repository */
    struct hf_buf file;             /* of the new root */
    bool is_out;                    /* that file is there: an interrupted ceremony */
};

/* ---- may the draft be published? ------------------------------------------------------------- */

static enum hf_err check_follows(const struct root_ceremony *c, struct hf_why *why)
{
    const struct hf_envelope *newest = &c->p.set.root->env, *before = &c->draft->root.env;
    if (newest->version > before->version)
        return hf_fail(why, HF_E_ROLLBACK,
                       "the draft follows root %" PRId64 ", but root %" PRId64
                       " is published already; nothing is left to do, or start a new draft",
                       before->version, newest->version);
    if (newest->version < before->version ||
        memcmp(newest->file_sha256, before->file_sha256, HF_SHA256_LEN) != 0)
        return hf_fail(why, HF_E_ROLLBACK,
                       "the draft follows a root %" PRId64
                       " that %s does not have; it is of another "
                       "repository, or this is an old copy of it",
                       before->version, c->p.repo.dir);
    return HF_OK;
}

/* A file of the new number must be exactly this root, and is kept. */
static enum hf_err make_file(struct root_ceremony *c, struct hf_why *why)
{
    const int64_t version = c->draft->next.env.version;
    struct hf_root root = {0};
    HF_TRY(hf_repo_role_path(HF_ROLE_ROOT, version, true, &c->path, why));
    enum hf_err err = hf_repo_read(&c->p.repo, c->path.text, HF_ROOT_BYTES_MAX, &c->file, why);
    if (err == HF_E_NOT_FOUND)
        return hf_draft_metadata(c->draft, &c->file, why);
    if (err == HF_OK)
        err = hf_root_parse(hf_buf_bytes(&c->file), &root, why);
    if (err == HF_OK && !hf_draft_is_same_signed(&root.env, &c->draft->next.env))
        err = hf_fail(why, HF_E_ROLLBACK,
                      "the draft follows root %" PRId64 ", but %s has another root %" PRId64
                      " already; start a new draft",
                      c->draft->root.env.version, c->p.repo.dir, version);
    c->is_out = err == HF_OK;
    hf_root_free(&root);
    return err;
}

/* ---- was it published before, and do the keys know? ------------------------------------------ */

/* Is the repository whole for devices that know the root before, up to root `root_max`? If that is
 * the new root, it must be this one, with these targets. */
static bool is_whole(const char *repo_dir, const struct hf_draft *draft,
                     const struct hf_draft *targets, int64_t root_max, int64_t now_s)
{
    const struct hf_repo repo = {.dir = repo_dir,
                                 .trusted_root = hf_draft_root_file(draft),
                                 .root_max = root_max};
    struct hf_trusted_set set = {0};
    if (hf_repo_verify_metadata(&repo, now_s, &set, NULL) != HF_OK)
        return false;
    const struct hf_envelope *published = &hf_trusted_set_top_targets(&set)->env;
    bool is_it = root_max < draft->next.env.version ||
                 (hf_draft_is_same_signed(&set.root->env, &draft->next.env) &&
                  (targets == NULL || hf_draft_is_same_signed(published, &targets->targets.env)));
    hf_trusted_set_free(&set);
    return is_it;
}

/* Is the record of a folder of keys older than the ceremony? */
static enum hf_err are_records_behind(const struct root_ceremony *c, bool *out, struct hf_why *why)
{
    bool is_behind = false;
    for (int location = 0; location < HF_KEY_LOCATIONS && !is_behind; location++) {
        const struct hf_key_folder *folder = &c->p.keys->folders[location];
        const struct hf_rollback_record *record = &c->p.record[location];
        struct hf_root trusted = {0};
        struct hf_buf file = {0};
        if (!hf_file_exists(folder->path.text))
            continue;
        /* Versions were prepared and never noted as committed; or nothing was ever noted. */
        bool is_open = record->committed.of[HF_ROLE_TIMESTAMP].version == 0;
        for (int role = 0; role < HF_TOP_ROLES; role++)
            is_open = is_open ||
                      record->prepared.of[role].version > record->committed.of[role].version;
        enum hf_err err = hf_trusted_root_read(folder, &file, why);
        bool has_root = err != HF_E_NOT_FOUND;
        if (err == HF_OK)
            err = hf_root_parse(hf_buf_bytes(&file), &trusted, why);
        is_behind = !has_root || trusted.env.version < c->draft->next.env.version ||
                    (c->p.is_used[location] && is_open);
        hf_root_free(&trusted);
        hf_buf_free(&file);
        if (has_root && err != HF_OK)
            return err;
    }
    *out = is_behind;
    return HF_OK;
}

/* The keys know the new root from now on, new folders of keys too. This is last: if the ceremony is
 * interrupted before, the old records show it. */
static enum hf_err update_records(struct root_ceremony *c, struct hf_why *why)
{
    const struct hf_repo repo = {.dir = c->p.repo.dir};
    const int64_t version = c->draft->next.env.version;
    enum hf_err err = HF_OK;
    for (int location = 0; location < HF_KEY_LOCATIONS && err == HF_OK; location++) {
        const struct hf_key_folder *folder = &c->p.keys->folders[location];
        if (!hf_file_exists(folder->path.text))
            continue;
        err = hf_trusted_root_renew(folder, &repo, version, c->p.now_s, why);
        c->p.is_used[location] = true; /* a new folder remembers from here on */
    }
    if (err == HF_OK)
        err = hf_publication_remember(&c->p, true, why);
    if (err == HF_OK)
        return HF_OK;
    return hf_fail_context(why, "the root is published, but the keys do not know it yet; run the "
                                "same root finish again");
}

/* ---- what must be signed again --------------------------------------------------------------- */

static bool holds_under(const struct root_ceremony *c, const struct hf_envelope *env,
                        enum hf_top_role role)
{
    const struct hf_root *next = &c->draft->next;
    return env->expires_s > c->p.now_s &&
           hf_envelope_verify(env, &next->ring, &next->roles[role], "it", NULL) == HF_OK;
}

/* Waiting targets could never be published: their keys are no longer authorised, or their version
 * is used for others. */
static enum hf_err check_nothing_is_lost(const struct root_ceremony *c, bool have_targets,
                                         struct hf_why *why)
{
    const json_t *published = hf_publication_targets(&c->p)->env.signed_part;
    struct hf_targets waiting = {0};
    struct hf_buf file = {0};
    bool is_lost = hf_repo_verify_pending(&c->p.repo, &c->p.set, &waiting, &file, NULL) == HF_OK &&
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

/* The same content with the next number, signed with the new keys that are here. */
static enum hf_err sign_same_targets(struct hf_publication *p, int64_t *version,
                                     struct hf_buf *file, struct hf_why *why)
{
    json_t *targets = NULL;
    enum hf_err err = hf_targets_next(p, hf_publication_targets(p), &targets, why);
    if (err == HF_OK)
        err = hf_publication_stage_targets(p, targets, file, why);
    if (err == HF_OK)
        *version = json_integer_value(json_object_get(targets, "version"));
    json_decref(targets);
    if (err == HF_OK)
        return HF_OK;
    return hf_fail_context(why, "under the new root, targets must be signed again, with keys that "
                                "are here, or by their holders (targets draft --under the draft of "
                                "root, targets sign, root finish --targets)");
}

static enum hf_err stage_metadata(struct root_ceremony *c, struct hf_why *why)
{
    struct hf_publication *p = &c->p;
    const struct hf_envelope *published = &hf_publication_targets(p)->env;
    const struct hf_envelope *drafted = c->targets == NULL ? NULL : &c->targets->targets.env;
    int64_t version = published->version;
    struct hf_buf file = {0};
    enum hf_err err = HF_OK;
    /* Targets that come with the root may be published already, by an interrupted ceremony. */
    bool have_targets = (drafted == NULL || hf_draft_is_same_signed(published, drafted)) &&
                        holds_under(c, published, HF_ROLE_TARGETS);
    if (have_targets || drafted == NULL)
        HF_TRY(check_nothing_is_lost(c, have_targets, why));
    if (have_targets && holds_under(c, &p->set.snapshot->env, HF_ROLE_SNAPSHOT) &&
        holds_under(c, &p->set.timestamp->env, HF_ROLE_TIMESTAMP))
        return HF_OK;
    if (have_targets) {
        err = hf_repo_read_role(&p->repo, HF_ROLE_TARGETS, version,
                                p->set.root->consistent_snapshot, &file, why);
    } else if (drafted != NULL) {
        version = drafted->version;
        err = hf_targets_stage(p, c->targets, &file, why);
    } else {
        err = sign_same_targets(p, &version, &file, why);
    }
    if (err == HF_OK) {
        err = hf_publication_stage_online(p, version, hf_buf_bytes(&file), why);
        if (err != HF_OK)
            (void)
                hf_fail_context(why,
                                "under the new root, snapshot and timestamp must be signed again");
    }
    hf_buf_free(&file);
    return err;
}

/* ---- going out ------------------------------------------------------------------------------- */

/* The repository as it will be, before anything is written. */
static enum hf_err verify_whole(struct root_ceremony *c, struct hf_why *why)
{
    const size_t n = c->p.repo.n_staged;
    struct hf_repo_file *files = calloc(n + 1, sizeof *files);
    if (files == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a repository");
    for (size_t i = 0; i < n; i++)
        files[i] = c->p.repo.staged[i];
    files[n] = (struct hf_repo_file){.path = c->path.text, .bytes = c->file};
    const struct hf_repo with_root = {.dir = c->p.repo.dir,
                                      .self_signed = c->p.repo.self_signed,
                                      .staged = files,
                                      .n_staged = n + 1};
    enum hf_err err = hf_repo_verify(&with_root, c->p.now_s, why);
    free(files);
    return err == HF_OK ? HF_OK
                        : hf_fail_context(why, "nothing was published, devices would refuse it");
}

static enum hf_err remember_prepared(void *context, struct hf_why *why)
{
    return hf_publication_remember(context, false, why);
}

/*
 * What devices see between two renames decides the order. Signed by old and new keys together, the
 * rest is good under either root: it goes first, and then the root; no device ever sees anything
 * that it must refuse. Otherwise the root goes first: a device that looks in that instant takes it,
 * refuses the old timestamp, and finds all in order at its next check.
 */
static enum hf_err write_all(struct root_ceremony *c, bool *is_bridged, struct hf_why *why)
{
    struct hf_repo *repo = &c->p.repo;
    const struct hf_repo_step step = {remember_prepared, &c->p};
    bool has_more = repo->n_staged > 0;
    bool is_good_before = !c->is_out && hf_repo_verify(repo, c->p.now_s, NULL) == HF_OK;
    if (has_more && is_good_before)
        HF_TRY(hf_repo_write(repo, c->p.now_s, &step, why));
    HF_TRY(hf_repo_stage_copy(repo, c->path.text, hf_buf_bytes(&c->file), why));
    HF_TRY(hf_repo_write(repo, c->p.now_s, &step, why));
    *is_bridged = !has_more || is_good_before;
    return HF_OK;
}

static enum hf_err publish(struct root_ceremony *c, struct hf_root_published *out,
                           struct hf_why *why)
{
    struct hf_root_published published = {0};
    struct hf_trusted_set set = {0};
    HF_TRY(check_follows(c, why));
    HF_TRY(make_file(c, why));
    /* Is it signed? In words for people; then as a device does it (TUF 5.3.4, 5.3.5). */
    HF_TRY(hf_draft_require_signed(c->draft, why));
    HF_TRY(hf_trusted_set_init(&set, hf_draft_root_file(c->draft), c->p.now_s, why));
    enum hf_err err = hf_trusted_set_update_root(&set, hf_buf_bytes(&c->file), why);
    if (err == HF_OK)
        err = hf_trusted_set_end_roots(&set, why);
    hf_trusted_set_free(&set);
    HF_TRY(err);
    HF_TRY(hf_draft_check_made_before(c->draft, c->p.now_s, why));
    HF_TRY(hf_publication_sign_under(&c->p, &c->draft->next, why));
    HF_TRY(stage_metadata(c, why));
    HF_TRY(verify_whole(c, why));
    HF_TRY(write_all(c, &published.is_bridged, why));
    HF_TRY(update_records(c, why));
    for (int role = 0; role < HF_TOP_ROLES; role++) {
        int64_t version = c->p.signed_now.of[role].version;
        published.versions[role] = version > c->p.published.of[role].version ? version : 0;
    }
    *out = published;
    return HF_OK;
}

enum hf_err hf_root_publish(const struct hf_publication_context *at, const struct hf_draft *draft,
                            const struct hf_draft *targets, struct hf_root_published *out,
                            struct hf_why *why)
{
    struct root_ceremony c = {.draft = draft, .targets = targets};
    struct hf_publication_context context = *at;
    const int64_t before = draft->root.env.version, next = draft->next.env.version;
    /* Would a device find, from the root before on, this root and all that comes with it? If the
     * keys do not know it yet, a ceremony was interrupted after its last rename. Metadata that has
     * expired since counts as published too, unless this ceremony has to sign it again. */
    bool was_published = is_whole(at->repo_dir, draft, targets, next, at->now_s) ||
                         (is_whole(at->repo_dir, draft, targets, next, HF_REPO_ANY_TIME) &&
                          !is_whole(at->repo_dir, draft, targets, before, HF_REPO_ANY_TIME));
    bool is_behind = false;
    context.root_max = was_published ? next : before;
    HF_TRY(hf_publication_open(&context, &c.p, why));
    enum hf_err err = HF_OK;
    if (!was_published) {
        err = publish(&c, out, why);
    } else {
        err = are_records_behind(&c, &is_behind, why);
        if (err == HF_OK)
            err = is_behind ? update_records(&c, why) : check_follows(&c, why);
        if (err == HF_OK && is_behind)
            *out = (struct hf_root_published){.is_bridged = true, .was_out = true};
    }
    hf_buf_free(&c.file);
    hf_publication_close(&c.p);
    return err;
}
