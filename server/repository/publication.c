#include "server/repository/publication.h"

#include "common/base/timetext.h"
#include "common/os/file_util.h"
#include "server/repository/base/verbose.h"
#include "server/repository/pin.h"

#include <inttypes.h>

/* Beyond the end of the newest timestamp. Servers renew certificates of 90 days 30 days before they
 * end: a floor that is moved by no more leaves devices what they validate. */
#define CLOCK_AHEAD_MAX_S (30 * HF_DAY_S)

/* ---- open and close --------------------------------------------------------------------------- */

/* Devices take the newest signed_at as the least the time can be, and old signatures must not look
 * newer than new ones. */
static enum hf_err check_not_behind_signatures(const struct hf_publication *p, struct hf_why *why)
{
    char now[HF_TIME_TEXT_MAX], last[HF_TIME_TEXT_MAX];
    int64_t signed_at_s = hf_trusted_set_signed_at(&p->set);
    if (signed_at_s == HF_TIME_NONE || signed_at_s <= p->now_s)
        return HF_OK;
    hf_time_format(p->now_s, now);
    hf_time_format(signed_at_s, last);
    return hf_fail(why, HF_E_STATE,
                   "this machine's clock says %s, but the repository was signed at %s; "
                   "set the clock",
                   now, last);
}

/* A timestamp carries no time of signing, so for refresh it is the keys' own memory that tells. */
static enum hf_err check_not_behind_memory(const struct hf_publication *p, struct hf_why *why)
{
    char now[HF_TIME_TEXT_MAX], last[HF_TIME_TEXT_MAX];
    for (int half = 0; half < HF_KEY_HALVES; half++) {
        if (!p->is_used[half] || p->last[half].signed_at_s <= p->now_s)
            continue;
        hf_time_format(p->now_s, now);
        hf_time_format(p->last[half].signed_at_s, last);
        return hf_fail(why, HF_E_STATE,
                       "this machine's clock says %s, but these keys signed at %s; set the clock, "
                       "or give --clock-is-right",
                       now, last);
    }
    return HF_OK;
}

/* What is signed far ahead of time moves every device's clock floor there, for good. */
static enum hf_err check_not_far_ahead(const struct hf_publication *p, struct hf_why *why)
{
    char now[HF_TIME_TEXT_MAX], end[HF_TIME_TEXT_MAX];
    int64_t end_s = p->set.timestamp->env.expires_s;
    if (p->now_s - CLOCK_AHEAD_MAX_S <= end_s)
        return HF_OK;
    hf_time_format(p->now_s, now);
    hf_time_format(end_s, end);
    return hf_fail(
        why, HF_E_STATE,
        "this machine's clock says %s, more than 30 days after the timestamp ended (%s); "
        "set the clock, or give --clock-is-right",
        now, end);
}

static enum hf_err check_clock(const struct hf_publication *p, bool is_clock_right,
                               struct hf_why *why)
{
    HF_TRY(check_not_behind_signatures(p, why));
    if (is_clock_right)
        return HF_OK;
    HF_TRY(check_not_behind_memory(p, why));
    return check_not_far_ahead(p, why);
}

/* Trust begins in the keys folder: a repository cannot say of itself whose it is. */
static enum hf_err verify_from_pin(struct hf_publication *p, enum hf_key_half half,
                                   struct hf_trusted_set *out, struct hf_why *why)
{
    struct hf_buf pin = {0};
    HF_TRY(hf_pin_read(&p->keys.folders[half], &pin, why));
    const struct hf_repo repo = {.dir = p->repo.dir,
                                 .pinned_root = hf_buf_bytes(&pin),
                                 .root_max = p->repo.root_max};
    enum hf_err err = hf_repo_verify_metadata(&repo, HF_REPO_ANY_TIME, out, why);
    hf_buf_free(&pin);
    return err;
}

/* The half's own memory of what it signed. */
static enum hf_err use_half(struct hf_publication *p, enum hf_key_half half, struct hf_why *why)
{
    HF_TRY(hf_last_read(&p->keys.folders[half], &p->last[half], why));
    HF_TRY(hf_last_check(&p->last[half], &p->repo, &p->published, why));
    p->is_used[half] = true;
    return HF_OK;
}

/* In a ceremony its keys may be those of the root to come; that it knows this repository counts. */
static enum hf_err find_online_half(struct hf_publication *p, struct hf_why *why)
{
    struct hf_path pin;
    if (p->repo.root_max == 0)
        return hf_publication_find_online(p, why);
    HF_TRY(hf_path_set(&pin, why, "%s/root.json", p->keys.folders[HF_KEYS_ONLINE].path.text));
    return hf_file_exists(pin.text) ? HF_OK : HF_E_NOT_FOUND;
}

/* The online half signs too where it is at hand, so its pin must agree as well. */
static enum hf_err add_online_half(struct hf_publication *p, struct hf_why *why)
{
    struct hf_trusted_set set = {0};
    enum hf_err err = find_online_half(p, why);
    if (err == HF_E_NOT_FOUND)
        return HF_OK;
    if (err == HF_OK)
        err = verify_from_pin(p, HF_KEYS_ONLINE, &set, why);
    hf_trusted_set_free(&set);
    return err == HF_OK ? use_half(p, HF_KEYS_ONLINE, why) : err;
}

static enum hf_err begin_with_half(struct hf_publication *p, enum hf_key_half half,
                                   struct hf_why *why)
{
    HF_TRY(verify_from_pin(p, half, &p->set, why));
    HF_TRY(hf_last_observe(&p->repo, &p->set, &p->published, why));
    HF_TRY(use_half(p, half, why));
    return half == HF_KEYS_OFFLINE ? add_online_half(p, why) : HF_OK;
}

/* Root is never signed here, and targets not with online keys alone. */
static enum hf_err check_given(const struct hf_publication *p, bool signs_targets,
                               struct hf_why *why)
{
    static const enum hf_top_role roles[] = {HF_ROLE_TIMESTAMP, HF_ROLE_SNAPSHOT, HF_ROLE_TARGETS};
    return hf_key_set_check_given(&p->keys, p->set.root, p->next, roles, signs_targets ? 3 : 2,
                                  why);
}

static enum hf_err open_parts(const struct hf_publication_place *place, struct hf_publication *p,
                              struct hf_why *why)
{
    const char *online = place->online_passphrase_file;
    HF_TRY(hf_repo_lock(place->repo_dir, &p->lock, why));
    HF_TRY(hf_key_set_init(&p->keys, place->keys_dir, place->passphrase_file,
                           online == NULL ? place->passphrase_file : online, why));
    HF_TRY(hf_key_set_give(&p->keys, place->given_keys, place->passphrase_file, why));
    HF_TRY(begin_with_half(p, place->half, why));
    if (place->root_max == 0)
        HF_TRY(check_given(p, place->half == HF_KEYS_OFFLINE, why));
    return check_clock(p, place->is_clock_right, why);
}

enum hf_err hf_publication_open(const struct hf_publication_place *place,
                                struct hf_publication *out, struct hf_why *why)
{
    struct hf_publication p = {.now_s = place->now_s,
                               .lock = -1,
                               .repo = {.dir = place->repo_dir, .root_max = place->root_max},
                               .expiry = hf_expiry_default()};
    enum hf_err err = open_parts(place, &p, why);
    if (err != HF_OK) {
        hf_publication_close(&p);
        return err;
    }
    *out = p;
    out->repo.self_signed = &out->self_signed;
    hf_verbose("verified %s: root %" PRId64 ", targets %" PRId64 ", snapshot %" PRId64
               ", timestamp %" PRId64,
               place->repo_dir, out->set.root->env.version,
               hf_publication_targets(out)->env.version, out->set.snapshot->env.version,
               out->set.timestamp->env.version);
    return HF_OK;
}

void hf_publication_close(struct hf_publication *p)
{
    hf_repo_unstage(&p->repo);
    hf_trusted_set_free(&p->set);
    hf_key_set_free(&p->keys);
    hf_self_signed_free(&p->self_signed);
    hf_file_unlock(p->lock);
    *p = (struct hf_publication){.lock = -1};
}

const struct hf_targets *hf_publication_targets(const struct hf_publication *p)
{
    return hf_trusted_set_top_targets(&p->set);
}

enum hf_err hf_publication_find_online(struct hf_publication *p, struct hf_why *why)
{
    HF_TRY(hf_key_set_find(&p->keys, p->set.root, HF_ROLE_SNAPSHOT, why));
    return hf_key_set_find(&p->keys, p->set.root, HF_ROLE_TIMESTAMP, why);
}

enum hf_err hf_publication_sign_under(struct hf_publication *p, const struct hf_root *next,
                                      struct hf_why *why)
{
    p->next = next;
    return check_given(p, true, why);
}

/* ---- commit ------------------------------------------------------------------------------------ */

/* What was signed now; else what stands, where it is not older than what the half knew. */
static struct hf_last_files files_after(const struct hf_publication *p, const struct hf_last *last)
{
    struct hf_last_files after = last->done;
    for (int role = 0; role < HF_TOP_ROLES; role++) {
        if (p->signed_now.of[role].version > 0)
            after.of[role] = p->signed_now.of[role];
        else if (p->published.of[role].version > after.of[role].version)
            after.of[role] = p->published.of[role];
    }
    return after;
}

enum hf_err hf_publication_remember(struct hf_publication *p, bool is_done, struct hf_why *why)
{
    for (int half = 0; half < HF_KEY_HALVES; half++) {
        struct hf_last *last = &p->last[half];
        if (!p->is_used[half])
            continue;
        last->begun = files_after(p, last);
        last->signed_at_s = p->now_s;
        if (is_done)
            last->done = last->begun;
        HF_TRY(hf_last_write(&p->keys.folders[half], last, why));
    }
    return HF_OK;
}

static enum hf_err before_timestamp(void *context, struct hf_why *why)
{
    struct hf_publication *p = context;
    for (int half = 0; half < HF_KEY_HALVES; half++) {
        if (p->is_used[half])
            HF_TRY(hf_pin_renew(&p->keys.folders[half], &p->repo, p->now_s, why));
    }
    return hf_publication_remember(p, false, why);
}

enum hf_err hf_publication_commit(struct hf_publication *p, struct hf_why *why)
{
    const struct hf_repo_step step = {before_timestamp, p};
    HF_TRY(hf_repo_write_with(&p->repo, p->now_s, &step, why));
    if (hf_publication_remember(p, true, why) != HF_OK)
        return hf_fail_context(why, "the repository is written, but not the memory of it");
    return HF_OK;
}
