/* The devices of all rollouts: read once, then followed. */
#include "server/rollout/steering_parts.h"

#include "server/rollout/device_rows.h"

#include <stdlib.h>

static int compare_ids(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static bool is_excluded(const struct hf_rollout_followed *f, int64_t device_id)
{
    return f->n_excluded > 0 &&
           bsearch(&device_id, f->excluded, f->n_excluded, sizeof device_id, compare_ids) != NULL;
}

/* Under the mutex: a device as it is now, for every ledger. */
static enum hf_err put_member(void *ctx, const void *data, struct hf_why *why)
{
    struct hf_rollout_steering *s = ctx;
    struct hf_rollout_member member = *(const struct hf_rollout_member *)data;

    for (size_t i = 0; i < s->n; i++) {
        struct hf_rollout_followed *f = &s->list[i];
        if (f->ledger == NULL)
            continue;
        member.is_excluded = is_excluded(f, member.device_id);
        HF_TRY(hf_rollout_ledger_put(f->ledger, &member, why));
    }
    if (s->is_scanning && member.device_id > s->scan_after)
        s->scan_after = member.device_id;
    return HF_OK;
}

static enum hf_err read_device(struct hf_rollout_steering *s, int64_t device_id, struct hf_why *why)
{
    const int64_t scan_after = s->scan_after;

    uv_mutex_lock(&s->mutex);
    enum hf_err err = hf_rollout_member_get(s->port.db, device_id, put_member, s, why);
    s->scan_after = scan_after; /* a scan under way reads it again in its turn */
    for (size_t i = 0; err == HF_E_NOT_FOUND && i < s->n; i++)
        if (s->list[i].ledger != NULL)
            hf_rollout_ledger_remove(s->list[i].ledger, device_id);
    uv_mutex_unlock(&s->mutex);
    return err == HF_E_NOT_FOUND ? HF_OK : err;
}

struct reading {
    int64_t *ids;
    size_t n;
};

static enum hf_err keep_id(void *ctx, const void *data, struct hf_why *why)
{
    struct reading *r = ctx;

    (void)why;
    if (r->n < HF_ROLLOUT_EXCLUDED_MAX)
        r->ids[r->n++] = ((const struct hf_rollout_excluded *)data)->device_id;
    return HF_OK;
}

/* Those that were excluded before and those that are now: each is read again. */
static enum hf_err read_excluded(struct hf_rollout_steering *s, struct hf_rollout_followed *f,
                                 struct hf_why *why)
{
    struct reading now = {calloc(HF_ROLLOUT_EXCLUDED_MAX, sizeof *now.ids), 0};
    struct reading before = {f->excluded, f->n_excluded};

    if (now.ids == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for the rollouts");
    enum hf_err err = hf_rollout_excluded_list(s->port.db, f->row.id, keep_id, &now, why);
    if (err != HF_OK) {
        free(now.ids);
        return err;
    }
    uv_mutex_lock(&s->mutex);
    f->excluded = now.ids;
    f->n_excluded = now.n;
    uv_mutex_unlock(&s->mutex);
    for (size_t i = 0; i < before.n && err == HF_OK; i++)
        err = read_device(s, before.ids[i], why);
    for (size_t i = 0; i < now.n && err == HF_OK; i++)
        err = read_device(s, now.ids[i], why);
    free(before.ids);
    if (err == HF_OK)
        f->excluded_version = f->row.version;
    return err;
}

static enum hf_err make_ledger(struct hf_rollout_steering *s, struct hf_rollout_followed *f,
                               struct hf_why *why)
{
    const struct hf_description *d = &f->bundle->description;
    const struct hf_rollout_subject subject = {.plan = d->plan,
                                               .set = d->set,
                                               .profile = d->profile,
                                               .version = d->version,
                                               .sha256 = f->row.sha256,
                                               .seen_s = f->row.seen_s};
    struct hf_rollout_ledger *ledger = NULL;

    HF_TRY(hf_rollout_ledger_new(&subject, &ledger, why));
    uv_mutex_lock(&s->mutex);
    f->ledger = ledger;
    uv_mutex_unlock(&s->mutex);
    s->must_scan = true;
    s->is_scanning = false; /* the scan under way is not whole for this one: begin again */
    return HF_OK;
}

/* A ledger for each rollout that is not over, and the devices that do not count in it. */
static enum hf_err prepare_ledgers(struct hf_rollout_steering *s, struct hf_why *why)
{
    for (size_t i = 0; i < s->n; i++) {
        struct hf_rollout_followed *f = &s->list[i];
        bool is_over = hf_rollout_engine_is_over(f->bundle->description.plan,
                                                 hf_rollout_now_of(f->bundle),
                                                 !f->bundle->is_newest, s->now_s);
        if (is_over && f->ledger != NULL) {
            uv_mutex_lock(&s->mutex);
            hf_rollout_ledger_free(f->ledger);
            f->ledger = NULL;
            uv_mutex_unlock(&s->mutex);
        }
        if (!is_over && f->ledger == NULL)
            HF_TRY(make_ledger(s, f, why));
        if (f->ledger != NULL && f->excluded_version != f->row.version)
            HF_TRY(read_excluded(s, f, why));
    }
    return HF_OK;
}

static bool has_ledgers(const struct hf_rollout_steering *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->list[i].ledger != NULL)
            return true;
    return false;
}

static void begin_scan(struct hf_rollout_steering *s)
{
    uv_mutex_lock(&s->mutex);
    for (size_t i = 0; i < s->n; i++)
        if (s->list[i].ledger != NULL)
            hf_rollout_ledger_begin_scan(s->list[i].ledger);
    uv_mutex_unlock(&s->mutex);
    s->is_scanning = true;
    s->must_scan = false;
    s->scan_after = 0;
}

static void end_scan(struct hf_rollout_steering *s)
{
    uv_mutex_lock(&s->mutex);
    for (size_t i = 0; i < s->n; i++)
        if (s->list[i].ledger != NULL)
            hf_rollout_ledger_end_scan(s->list[i].ledger);
    uv_mutex_unlock(&s->mutex);
    s->is_scanning = false;
    s->scanned_s = s->now_s;
}

static enum hf_err scan_step(struct hf_rollout_steering *s, struct hf_why *why)
{
    const int64_t after = s->scan_after;

    uv_mutex_lock(&s->mutex);
    enum hf_err err = hf_rollout_member_list(s->port.db, after, HF_ROLLOUT_SCAN_ROWS, put_member, s,
                                             why);
    uv_mutex_unlock(&s->mutex);
    if (err == HF_OK && s->scan_after == after)
        end_scan(s);
    return err;
}

void hf_rollout_mark_stale(struct hf_rollout_steering *s)
{
    uv_mutex_lock(&s->mutex);
    for (size_t i = 0; i < s->n; i++) {
        s->list[i].excluded_version = 0;
        if (s->list[i].ledger != NULL)
            hf_rollout_ledger_mark_stale(s->list[i].ledger);
    }
    uv_mutex_unlock(&s->mutex);
    s->must_scan = true;
}

/* All that is queued, so that no stage opens while a failure waits its turn in the queue. */
static enum hf_err read_changes(struct hf_rollout_steering *s, bool *has_more, struct hf_why *why)
{
    int64_t ids[HF_ROLLOUT_CHANGES_AT_ONCE];
    enum hf_err err = HF_OK;

    *has_more = true;
    for (size_t left = HF_FLEET_CHANGES_MAX; left > 0 && *has_more && err == HF_OK;) {
        const size_t cap = left < HF_ROLLOUT_CHANGES_AT_ONCE ? left : HF_ROLLOUT_CHANGES_AT_ONCE;
        bool are_lost = false;
        const size_t n = hf_device_changes_take(s->port.changes, ids, cap, &are_lost);
        if (are_lost)
            hf_rollout_mark_stale(s);
        for (size_t i = 0; i < n && err == HF_OK && has_ledgers(s); i++)
            err = read_device(s, ids[i], why);
        *has_more = n == cap;
        left -= n;
    }
    return err;
}

enum hf_err hf_rollout_follow_devices(struct hf_rollout_steering *s, bool *has_more,
                                      struct hf_why *why)
{
    const int64_t age_s = s->now_s - s->scanned_s;

    HF_TRY(prepare_ledgers(s, why));
    HF_TRY(read_changes(s, has_more, why));
    if (!has_ledgers(s)) {
        s->is_scanning = false;
        return HF_OK;
    }
    /* A scan goes on if changes are lost meanwhile, and another follows it: in a storm of reports
     * they are lost again and again, and a scan that began again each time would never end. */
    if (!s->is_scanning && (s->must_scan || age_s >= HF_ROLLOUT_SCAN_EVERY_S || age_s < 0))
        begin_scan(s);
    for (unsigned i = 0; s->is_scanning && i < HF_ROLLOUT_SCAN_STEPS; i++)
        HF_TRY(scan_step(s, why));
    *has_more |= s->is_scanning || s->must_scan;
    return HF_OK;
}
