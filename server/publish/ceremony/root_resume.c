#include "server/publish/ceremony/root_ceremony.h"

#include "server/repository/pin.h"

/* ---- is it out? ---------------------------------------------------------------------------------- */

static bool is_same_signed(const struct hf_envelope *a, const struct hf_envelope *b)
{
    return hf_bytes_equal(hf_buf_bytes(&a->signed_bytes), hf_buf_bytes(&b->signed_bytes));
}

static bool verify_up_to(const char *dir, const struct hf_draft *draft, int64_t root_max,
                         int64_t now_s, struct hf_trusted_set *out)
{
    const struct hf_repo repo = {.dir = dir,
                                 .pinned_root = hf_draft_root_file(draft),
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

/* What has expired since is no less published, unless it is what this ceremony is to sign anew. */
bool hf_root_is_published(const struct hf_publication_place *at, const struct hf_draft *draft,
                          const struct hf_draft *targets)
{
    return is_whole(at->repo_dir, draft, targets, at->now_s) ||
           (is_whole(at->repo_dir, draft, targets, HF_REPO_ANY_TIME) &&
            !is_whole_before(at->repo_dir, draft));
}

/* ---- records ------------------------------------------------------------------------------------- */

/* Numbers that were given out and never noted as published; or nothing was ever noted. */
static bool is_record_open(const struct hf_last *last)
{
    if (last->done.of[HF_ROLE_TIMESTAMP].version == 0)
        return true;
    for (int role = 0; role < HF_TOP_ROLES; role++) {
        if (last->begun.of[role].version > last->done.of[role].version)
            return true;
    }
    return false;
}

static enum hf_err is_pin_behind(const struct hf_key_folder *folder, int64_t version, bool *out,
                                 struct hf_why *why)
{
    struct hf_root pinned = {0};
    struct hf_buf pin = {0};
    enum hf_err err = hf_pin_read(folder, &pin, why);
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

enum hf_err hf_root_are_records_behind(const struct hf_root_ceremony *c, bool *out,
                                       struct hf_why *why)
{
    bool is_behind = false;
    for (int half = 0; half < HF_KEY_HALVES && !is_behind; half++) {
        const struct hf_key_folder *folder = &c->p.keys.folders[half];
        if (!hf_file_exists(folder->path.text))
            continue;
        HF_TRY(is_pin_behind(folder, c->draft->next.env.version, &is_behind, why));
        is_behind = is_behind || (c->p.is_used[half] && is_record_open(&c->p.last[half]));
    }
    *out = is_behind;
    return HF_OK;
}

static enum hf_err renew(struct hf_root_ceremony *c, struct hf_why *why)
{
    const struct hf_repo repo = {.dir = c->p.repo.dir};
    for (int half = 0; half < HF_KEY_HALVES; half++) {
        const struct hf_key_folder *folder = &c->p.keys.folders[half];
        if (!hf_file_exists(folder->path.text))
            continue;
        HF_TRY(hf_pin_put(folder, &repo, c->draft->next.env.version, c->p.now_s, why));
        c->p.is_used[half] = true; /* a new folder remembers from here on */
    }
    return hf_publication_remember(&c->p, true, why);
}

enum hf_err hf_root_renew_records(struct hf_root_ceremony *c, struct hf_why *why)
{
    if (renew(c, why) == HF_OK)
        return HF_OK;
    return hf_fail_context(why, "the root is published, but the keys do not know it yet; run the "
                                "same root finish again");
}
