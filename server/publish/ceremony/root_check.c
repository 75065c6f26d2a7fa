#include "server/publish/ceremony/root_ceremony.h"

#include "common/base/limits.h"
#include "common/base/timetext.h"
#include "server/publish/ceremony/draft_tally.h"

#include <inttypes.h>
#include <string.h>

enum hf_err hf_root_check_follows(const struct hf_root_ceremony *c, struct hf_why *why)
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
static enum hf_err use_root_on_disk(struct hf_root_ceremony *c, struct hf_buf *on_disk,
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

static enum hf_err look_for_root(struct hf_root_ceremony *c, struct hf_why *why)
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
static enum hf_err verify_root(const struct hf_root_ceremony *c, struct hf_why *why)
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

static enum hf_err check_clock(const struct hf_root_ceremony *c, struct hf_why *why)
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

enum hf_err hf_root_check(struct hf_root_ceremony *c, struct hf_why *why)
{
    HF_TRY(hf_root_check_follows(c, why));
    HF_TRY(hf_draft_metadata(c->draft, &c->file, why));
    HF_TRY(look_for_root(c, why));
    HF_TRY(verify_root(c, why));
    return check_clock(c, why);
}
