#include "server/signer/quota.h"

#include "common/base/timetext.h"
#include "server/signer/limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- the signer's own time ------------------------------------------------------------------- */

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

static enum hf_err own_time(struct hf_signer_state *state, const struct hf_moment *now,
                            int64_t *out, struct hf_why *why)
{
    static const struct hf_sql read =
        {"own_time_read", "SELECT own_s, boot, up_s, wall_s FROM own_time WHERE id = 1", "itii"};
    struct hf_rows rows;
    HF_TRY(hf_db_run(state->db, &read, HF_NO_PARAMS, &rows, why));
    enum hf_err err = hf_db_next(&rows, why);
    if (err == HF_OK) {
        int64_t up_s = hf_col_int(&rows, 2), wall_s = hf_col_int(&rows, 3);
        bool is_same_start = strcmp(hf_col_text(&rows, 1), now->boot) == 0 && now->up_s >= up_s;
        *out = hf_col_int(&rows, 0) +
               (is_same_start ? now->up_s - up_s : clamp(now->wall_s - wall_s, 0, HF_DAY_S));
    }
    hf_db_end(&rows);
    return err;
}

/* Keep the time, and forget what has ended by it. */
static enum hf_err keep_time(struct hf_signer_state *state, const struct hf_moment *now,
                             int64_t own_s, struct hf_why *why)
{
    static const struct hf_sql write = {"own_time_write",
                                        "UPDATE own_time SET own_s = :own, boot = :boot, "
                                        "up_s = :up, wall_s = :wall WHERE id = 1",
                                        ""};
    static const struct hf_sql forget = {"quota_forget", "DELETE FROM quota WHERE ends_s <= :own",
                                         ""};
    HF_TRY(hf_db_execute(state->db, &write,
                         HF_PARAMS(hf_p_int("own", own_s), hf_p_text("boot", now->boot),
                                   hf_p_int("up", now->up_s), hf_p_int("wall", now->wall_s)),
                         why));
    return hf_db_execute(state->db, &forget, HF_PARAMS(hf_p_int("own", own_s)), why);
}

/* ---- quotas ---------------------------------------------------------------------------------- */

static const struct {
    const char *prefix; /* of the name that it is counted under */
    const char *words;
    int64_t every_s;
    const char *each;
} kinds[] = {
    [HF_QUOTA_SIGNER] = {"signer", "the signer", HF_DAY_S, "a day, [signer] issue_per_day"},
    [HF_QUOTA_CA] = {"ca ", "the device CA ", HF_DAY_S, "a day, [signer] issue_per_day_per_ca"},
    [HF_QUOTA_ISSUE] = {"issue ", "the device ", HF_HOUR_S, "an hour"},
    [HF_QUOTA_RENEWAL] = {"renew ", "renewals of the device ", HF_HOUR_S, "an hour"},
    [HF_QUOTA_OPENING] = {"open ", "openings of ", HF_DAY_S, "a day"},
    [HF_QUOTA_SEAL] = {"seal", "seals of the audit log", HF_HOUR_S, "an hour"},
};

struct use {
    char name[HF_QUOTA_NAME_MAX];
    int64_t used;
    int64_t opens_s; /* when it opens again, in the time of day */
};

/* The seconds of the two clocks do not begin at the same moment; what differs by more was set
 * since. */
static int64_t opens_at(int64_t noted_s, int64_t ends_s, const struct hf_moment *now, int64_t own_s)
{
    int64_t counted_s = now->wall_s + ends_s - own_s;
    return counted_s - noted_s > 2 || noted_s - counted_s > 2 ? counted_s : noted_s;
}

static enum hf_err read_use(struct hf_signer_state *state, enum hf_quota_kind kind, const char *of,
                            const struct hf_moment *now, int64_t own_s, struct use *out,
                            struct hf_why *why)
{
    static const struct hf_sql read =
        {"quota_read",
         "SELECT used, ends_s, opens_s FROM quota WHERE what = :what AND ends_s > :own", "iii"};
    struct use use = {.used = 0};
    struct hf_rows rows;
    (void)snprintf(use.name, sizeof use.name, "%s%s", kinds[kind].prefix, of);
    HF_TRY(hf_db_run(state->db, &read,
                     HF_PARAMS(hf_p_text("what", use.name), hf_p_int("own", own_s)), &rows, why));
    enum hf_err err = hf_db_next(&rows, why);
    if (err == HF_OK) {
        use.used = hf_col_int(&rows, 0);
        use.opens_s = opens_at(hf_col_int(&rows, 2), hf_col_int(&rows, 1), now, own_s);
    }
    hf_db_end(&rows);
    if (err != HF_OK && err != HF_E_NOT_FOUND)
        return err;
    *out = use;
    return HF_OK;
}

static enum hf_err refuse(const struct hf_quota *quota, int64_t opens_s, struct hf_why *why)
{
    const char *words = kinds[quota->kind].words, *each = kinds[quota->kind].each;
    char opens[HF_TIME_TEXT_MAX];
    hf_time_format(opens_s, opens);
    if (quota->most == 0)
        return hf_fail(why, HF_E_LIMIT, "the quota of %s%s allows no certificates (0 %s)", words,
                       quota->of, each);
    return hf_fail(why, HF_E_LIMIT,
                   "the quota of %s%s is used up (%" PRId64 " %s). It opens again at %s", words,
                   quota->of, quota->most, each, opens);
}

static enum hf_err count(struct hf_signer_state *state, const struct hf_quota *quota,
                         const struct hf_moment *now, int64_t own_s, struct hf_why *why)
{
    static const struct hf_sql write =
        {"quota_count",
         "INSERT INTO quota (what, used, ends_s, opens_s) VALUES (:what, 1, :ends, :opens) "
         "ON CONFLICT (what) DO UPDATE SET used = quota.used + 1",
         ""};
    struct use use;
    int64_t every_s = kinds[quota->kind].every_s;
    HF_TRY(read_use(state, quota->kind, quota->of, now, own_s, &use, why));
    if (use.used >= quota->most)
        return refuse(quota, use.opens_s, why);
    return hf_db_execute(state->db, &write,
                         HF_PARAMS(hf_p_text("what", use.name), hf_p_int("ends", own_s + every_s),
                                   hf_p_int("opens", now->wall_s + every_s)),
                         why);
}

enum hf_err hf_quota_take(struct hf_signer_state *state, const struct hf_quota *quotas, size_t n,
                          const struct hf_moment *now, struct hf_why *why)
{
    int64_t own_s = 0;
    HF_TRY(hf_db_begin(state->db, why));
    enum hf_err err = own_time(state, now, &own_s, why);
    if (err == HF_OK)
        err = keep_time(state, now, own_s, why);
    if (err == HF_OK)
        err = hf_db_begin(state->db, why); /* a savepoint: what was counted, without the time */
    for (size_t i = 0; i < n && err == HF_OK; i++)
        err = count(state, &quotas[i], now, own_s, why);
    if (err == HF_OK)
        return hf_db_commit(state->db, why);
    hf_db_rollback(state->db);
    /* The time is kept with a refusal too: a machine that restarts often, and whose clock stands
     * still meanwhile, would not get on otherwise. */
    if (err == HF_E_LIMIT && hf_db_commit(state->db, NULL) == HF_OK)
        return err;
    while (hf_db_depth(state->db) > 0)
        hf_db_rollback(state->db);
    return err;
}

enum hf_err hf_quota_keep_time(struct hf_signer_state *state, const struct hf_moment *now,
                               struct hf_why *why)
{
    HF_TRY(hf_quota_take(state, NULL, 0, now, why));
    return hf_db_commit(state->db, why);
}

enum hf_err hf_quota_commit(struct hf_signer_state *state, enum hf_err err,
                            const struct hf_signature_note *note, struct hf_why *why)
{
    if (err == HF_OK && note != NULL)
        err = hf_signer_state_note(state, note, why);
    if (err == HF_OK)
        return hf_db_commit(state->db, why);
    hf_db_rollback(state->db);
    return err;
}

enum hf_err hf_quota_look(struct hf_signer_state *state, enum hf_quota_kind kind, const char *of,
                          const struct hf_moment *now, struct hf_quota_use *out, struct hf_why *why)
{
    int64_t own_s = 0;
    struct use use;
    HF_TRY(own_time(state, now, &own_s, why));
    HF_TRY(read_use(state, kind, of, now, own_s, &use, why));
    *out = (struct hf_quota_use){use.used, use.used > 0 ? use.opens_s : HF_TIME_NONE};
    return HF_OK;
}
