#include "server/rollout/ledger.h"

#include "common/report/report.h"
#include "server/rollout/device_map.h"

#include <stdlib.h>
#include <string.h>

/*
 * Silence is a matter of time alone, and no device is touched when it falls silent: devices on
 * trial are counted by the moment at which their results are due, in buckets of `unit_s`, and a
 * clock moves along the buckets. A bucket's devices are silent together, at most `unit_s` late and
 * never early. The unit is a 64th of `silent_after_s`, or what takes BUCKETS_MAX of them to a year
 * after `mandatory_from`, if that is more: a minute in plans of a month.
 */
#define UNITS_OF_SILENCE 64
#define BUCKETS_MAX                                                                                \
    (1u << 19) /* 8 MB of counts in plans of four stages, for one that is followed for so long */
#define SPAN_AFTER_S (INT64_C(365) * 86400)

#define WORD_STAGE 0x0fu
#define WORD_RESULT_SHIFT 4
#define WORD_RESULT 0x30u
#define WORD_SEEN 0x40u       /* by the scan that runs */
#define WORD_UNREPORTED 0x80u /* alone: it may use the bundle or not, and is in no stage */
#define WORD_BUCKET_SHIFT 8

_Static_assert(HF_ROLLOUT_STAGES_MAX - 1 <= WORD_STAGE, "a stage has room");
_Static_assert(HF_RESULT_SILENT <= 4, "a result has room; silence is not stored");
_Static_assert(BUCKETS_MAX - 1 <= UINT32_MAX >> WORD_BUCKET_SHIFT, "a bucket has room");

struct hf_rollout_ledger {
    struct hf_rollout_plan plan;
    char set[HF_SET_NAME_MAX + 1], profile[HF_SET_NAME_MAX + 1];
    int64_t version;
    uint8_t sha256[HF_SHA256_LEN];
    char sha256_hex[HF_SHA256_HEX_LEN];
    int64_t known_s; /* devices that were registered later do not count */
    int64_t begin_s; /* of the first bucket: before any result */

    struct hf_device_map devices;
    int64_t counts[HF_ROLLOUT_STAGES_MAX][HF_RESULT_SILENT]; /* the silent ones are on trial here */
    int64_t n_unreported;
    enum hf_rollout_counted counted;
    bool has_missed; /* changes, since the scan began */

    int64_t unit_s;
    uint32_t *trials; /* devices on trial, by the bucket of their moment and by stage */
    size_t n_buckets;
    size_t n_overdue; /* the devices of the first so many buckets are silent */
    int64_t silent[HF_ROLLOUT_STAGES_MAX];
};

/* ---- words ----------------------------------------------------------------------------------- */

static size_t stage_of(uint32_t word)
{
    return word & WORD_STAGE;
}

static enum hf_rollout_result result_of(uint32_t word)
{
    return (enum hf_rollout_result)((word & WORD_RESULT) >> WORD_RESULT_SHIFT);
}

static size_t bucket_of(uint32_t word)
{
    return word >> WORD_BUCKET_SHIFT;
}

static uint32_t word_of(size_t stage, enum hf_rollout_result result, size_t bucket)
{
    return (uint32_t)stage | (uint32_t)result << WORD_RESULT_SHIFT |
           (uint32_t)bucket << WORD_BUCKET_SHIFT;
}

/* ---- time ------------------------------------------------------------------------------------ */

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static int64_t choose_unit(const struct hf_rollout_plan *plan, int64_t begin_s)
{
    const int64_t silent_s = divide_up(plan->pause.silent_after_s, UNITS_OF_SILENCE);
    const int64_t plan_s = plan->mandatory_from_s > begin_s ? plan->mandatory_from_s - begin_s : 0;
    const int64_t span_s = divide_up(plan_s + SPAN_AFTER_S, BUCKETS_MAX);

    return silent_s > span_s ? silent_s : span_s;
}

/* The bucket of results that are due then, rounded up: no device is silent too early. */
static size_t bucket_at(const struct hf_rollout_ledger *l, int64_t due_s)
{
    if (due_s <= l->begin_s)
        return 0;
    const int64_t bucket = divide_up(due_s - l->begin_s, l->unit_s);
    return bucket < BUCKETS_MAX ? (size_t)bucket : BUCKETS_MAX - 1;
}

/* Later than the last bucket holds is never. */
static int64_t overdue_s(const struct hf_rollout_ledger *l, size_t bucket)
{
    if (bucket == BUCKETS_MAX - 1)
        return INT64_MAX;
    return l->begin_s + (int64_t)bucket * l->unit_s;
}

/* The clock moves along the buckets; it may go back. */
static void set_clock(struct hf_rollout_ledger *l, int64_t now_s)
{
    const size_t n = l->plan.n_stages;

    for (; l->n_overdue < l->n_buckets && overdue_s(l, l->n_overdue) <= now_s; l->n_overdue++)
        for (size_t k = 0; k < n; k++)
            l->silent[k] += l->trials[l->n_overdue * n + k];
    for (; l->n_overdue > 0 && overdue_s(l, l->n_overdue - 1) > now_s; l->n_overdue--)
        for (size_t k = 0; k < n; k++)
            l->silent[k] -= l->trials[(l->n_overdue - 1) * n + k];
}

/* Twice the buckets at least: a rollout that goes on asks for one more again and again. */
static enum hf_err make_room(struct hf_rollout_ledger *l, size_t bucket)
{
    size_t n = l->n_buckets == 0 ? UNITS_OF_SILENCE : l->n_buckets;

    if (bucket < l->n_buckets)
        return HF_OK;
    while (n <= bucket)
        n *= 2;
    const size_t row = l->plan.n_stages * sizeof(*l->trials);
    uint32_t *trials = realloc(l->trials, n * row);
    if (trials == NULL)
        return HF_E_MEMORY;
    memset(trials + l->n_buckets * l->plan.n_stages, 0, (n - l->n_buckets) * row);
    l->trials = trials;
    l->n_buckets = n;
    return HF_OK;
}

/* ---- counts ---------------------------------------------------------------------------------- */

static void count(struct hf_rollout_ledger *l, uint32_t word, int by)
{
    const size_t stage = stage_of(word), bucket = bucket_of(word);

    if ((word & WORD_UNREPORTED) != 0) {
        l->n_unreported += by;
        return;
    }
    l->counts[stage][result_of(word)] += by;
    if (result_of(word) != HF_RESULT_ON_TRIAL)
        return;
    l->trials[bucket * l->plan.n_stages + stage] += (uint32_t)by;
    if (bucket < l->n_overdue)
        l->silent[stage] += by;
}

/* ---- what a device is ------------------------------------------------------------------------ */

/* Does the plan name that group of the registry? */
static bool is_named(const struct hf_rollout_ledger *l, const char *group)
{
    for (size_t k = 0; k < l->plan.n_stages; k++)
        for (size_t i = 0; i < l->plan.stages[k].n_groups; i++)
            if (strcmp(l->plan.stages[k].groups[i], group) == 0)
                return true;
    return false;
}

static bool is_unreported(const struct hf_rollout_ledger *l, const struct hf_rollout_member *m)
{
    return m->set[0] == '\0' && !is_named(l, m->group);
}

static bool belongs(const struct hf_rollout_ledger *l, const struct hf_rollout_member *m)
{
    if (m->created_s >= l->known_s || !m->is_trusted || m->is_excluded)
        return false;
    return m->set[0] == '\0' ||
           (strcmp(m->set, l->set) == 0 && strcmp(m->profile, l->profile) == 0);
}

static bool is_kind(const char *text, enum hf_report_kind kind)
{
    return strcmp(text, hf_report_kind_name(kind)) == 0;
}

/* Its last report is the daily one of a device that uses the bundle, after a check that was
 * good. */
static bool is_in_use(const struct hf_rollout_ledger *l, const struct hf_rollout_member *m)
{
    return is_kind(m->kind, HF_REPORT_CURRENT) && m->active_version == l->version &&
           strcmp(m->active_sha256, l->sha256_hex) == 0;
}

/* By the signed calendar the stage of the device could not be open yet, and nothing else let it
 * take the bundle. */
static bool is_early(const struct hf_rollout_ledger *l, const struct hf_rollout_member *m,
                     size_t stage)
{
    return stage > 0 && m->active_version >= l->plan.min_version &&
           m->result_s < hf_rollout_opens_s(&l->plan, stage);
}

/* The rules of ledger.h. */
static enum hf_rollout_result judge(const struct hf_rollout_ledger *l,
                                    const struct hf_rollout_member *m, size_t stage)
{
    if (m->result_version == l->version && is_kind(m->result, HF_REPORT_CONFIRMED))
        return HF_RESULT_CONFIRMED;
    if (m->result_version == l->version && !is_early(l, m, stage)) {
        if (is_kind(m->result, HF_REPORT_ANNOUNCE) || is_kind(m->result, HF_REPORT_SWAPPED))
            return HF_RESULT_ON_TRIAL;
        if (is_kind(m->result, HF_REPORT_ROLLED_BACK) || is_kind(m->result, HF_REPORT_REFUSED) ||
            is_kind(m->result, HF_REPORT_FAILED))
            return HF_RESULT_FAILED;
    }
    if (is_in_use(l, m))
        return HF_RESULT_CONFIRMED;
    return HF_RESULT_WAITING;
}

static size_t find_stage(const struct hf_rollout_ledger *l, const struct hf_rollout_member *m)
{
    char groups[1][HF_SET_NAME_MAX + 1] = {{0}};
    const size_t len = strlen(m->group);
    struct hf_rollout_device device = {.id = m->name, .groups = groups, .active = -1};

    if (len > 0 && len <= HF_SET_NAME_MAX) {
        memcpy(groups[0], m->group, len + 1);
        device.n_groups = 1;
    }
    return hf_rollout_stage_of(&l->plan, l->sha256, &device);
}

/* When the result of a device on trial is due; `before` is its word of before, or NULL. */
static size_t find_bucket(const struct hf_rollout_ledger *l, const struct hf_rollout_member *m,
                          const uint32_t *before)
{
    const int64_t result_due_s = m->result_s + l->plan.pause.silent_after_s,
                  daily_due_s = m->seen_s + HF_ROLLOUT_DAILY_S;
    const bool is_daily = is_in_use(l, m) && daily_due_s > result_due_s;
    const size_t bucket = bucket_at(l, is_daily ? daily_due_s : result_due_s);

    if (before != NULL && result_of(*before) == HF_RESULT_ON_TRIAL && bucket_of(*before) < bucket &&
        is_kind(m->kind, HF_REPORT_ANNOUNCE))
        return bucket_of(*before);
    return bucket;
}

/* ---- the ledger ------------------------------------------------------------------------------ */

enum hf_err hf_rollout_ledger_new(const struct hf_rollout_subject *subject,
                                  struct hf_rollout_ledger **out, struct hf_why *why)
{
    const size_t set_len = strlen(subject->set), profile_len = strlen(subject->profile);
    struct hf_rollout_ledger *l = calloc(1, sizeof *l);

    if (l == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the devices of a rollout");
    l->plan = *subject->plan;
    if (set_len <= HF_SET_NAME_MAX && profile_len <= HF_SET_NAME_MAX) {
        memcpy(l->set, subject->set, set_len);
        memcpy(l->profile, subject->profile, profile_len);
    }
    l->version = subject->version;
    memcpy(l->sha256, subject->sha256, HF_SHA256_LEN);
    hf_hex_encode(l->sha256, HF_SHA256_LEN, l->sha256_hex);
    /* The clock may have been wrong when the bundle was seen; the plan's `not_before` is signed. */
    const bool is_before_plan = subject->seen_s < l->plan.not_before_s;
    l->known_s = is_before_plan ? l->plan.not_before_s : subject->seen_s;
    l->begin_s = is_before_plan ? subject->seen_s : l->plan.not_before_s;
    l->unit_s = choose_unit(&l->plan, l->begin_s);
    *out = l;
    return HF_OK;
}

void hf_rollout_ledger_free(struct hf_rollout_ledger *ledger)
{
    if (ledger == NULL)
        return;
    hf_device_map_free(&ledger->devices);
    free(ledger->trials);
    free(ledger);
}

void hf_rollout_ledger_remove(struct hf_rollout_ledger *ledger, int64_t device_id)
{
    const uint32_t *word = hf_device_map_find(&ledger->devices, device_id);

    if (word == NULL)
        return;
    count(ledger, *word, -1);
    hf_device_map_remove(&ledger->devices, device_id);
}

enum hf_err hf_rollout_ledger_put(struct hf_rollout_ledger *ledger,
                                  const struct hf_rollout_member *member, struct hf_why *why)
{
    uint32_t *before = hf_device_map_find(&ledger->devices, member->device_id);
    const size_t stage = find_stage(ledger, member);
    const enum hf_rollout_result result = judge(ledger, member, stage);
    size_t bucket = 0;
    enum hf_err err = HF_OK;

    if (!belongs(ledger, member)) {
        hf_rollout_ledger_remove(ledger, member->device_id);
        return HF_OK;
    }
    if (result == HF_RESULT_ON_TRIAL) {
        bucket = find_bucket(ledger, member, before);
        err = make_room(ledger, bucket);
    }
    const uint32_t word = WORD_SEEN |
                          (is_unreported(ledger, member) ? WORD_UNREPORTED
                                                         : word_of(stage, result, bucket));
    if (err == HF_OK && before != NULL) {
        count(ledger, *before, -1);
        *before = word;
    } else if (err == HF_OK) {
        err = hf_device_map_put(&ledger->devices, member->device_id, word);
    }
    if (err != HF_OK) {
        hf_rollout_ledger_mark_stale(ledger);
        return hf_fail(why, err, "out of memory for the devices of a rollout");
    }
    count(ledger, word, 1);
    return HF_OK;
}

/* ---- scans ----------------------------------------------------------------------------------- */

static bool mark_unseen(void *ctx, uint32_t *word)
{
    (void)ctx;
    *word &= ~WORD_SEEN;
    return true;
}

static bool keep_seen(void *ctx, uint32_t *word)
{
    if ((*word & WORD_SEEN) != 0)
        return true;
    count(ctx, *word, -1);
    return false;
}

void hf_rollout_ledger_begin_scan(struct hf_rollout_ledger *ledger)
{
    hf_device_map_filter(&ledger->devices, mark_unseen, NULL);
    ledger->has_missed = false;
}

void hf_rollout_ledger_end_scan(struct hf_rollout_ledger *ledger)
{
    hf_device_map_filter(&ledger->devices, keep_seen, ledger);
    ledger->counted = ledger->has_missed ? HF_COUNTED_STALE : HF_COUNTED_ALL;
}

void hf_rollout_ledger_mark_stale(struct hf_rollout_ledger *ledger)
{
    ledger->has_missed = true;
    if (ledger->counted == HF_COUNTED_ALL)
        ledger->counted = HF_COUNTED_STALE;
}

enum hf_rollout_counted hf_rollout_ledger_counted(const struct hf_rollout_ledger *ledger)
{
    return ledger->counted;
}

/* ---- what it tells --------------------------------------------------------------------------- */

struct hf_rollout_tally hf_rollout_ledger_tally(struct hf_rollout_ledger *ledger, size_t stage,
                                                int64_t now_s)
{
    struct hf_rollout_tally t = {0};
    bool is_used = false;

    set_clock(ledger, now_s);
    for (size_t k = 0; k < ledger->plan.n_stages && !is_used; k++)
        for (int result = 0; result < HF_RESULT_SILENT; result++)
            is_used |= ledger->counts[k][result] > 0;
    t.unreported = is_used ? 0 : ledger->n_unreported;
    for (size_t k = 0; k <= stage && k < ledger->plan.n_stages; k++) {
        const int64_t *counts = ledger->counts[k];
        t.waiting += counts[HF_RESULT_WAITING];
        t.on_trial += counts[HF_RESULT_ON_TRIAL] - ledger->silent[k];
        t.confirmed += counts[HF_RESULT_CONFIRMED];
        t.failed += counts[HF_RESULT_FAILED];
        t.silent += ledger->silent[k];
    }
    t.devices = t.waiting + t.on_trial + t.confirmed + t.failed + t.silent;
    return t;
}

struct listing {
    const struct hf_rollout_ledger *ledger;
    enum hf_rollout_result result;
    size_t stage;
    int64_t now_s;
    struct hf_rollout_entry *out;
    size_t n, cap;
};

static bool list_one(void *ctx, int64_t id, uint32_t word)
{
    struct listing *list = ctx;
    struct hf_rollout_entry entry = {.device_id = id,
                                     .stage = stage_of(word),
                                     .result = result_of(word)};

    if (list->n == list->cap)
        return false;
    if (entry.result == HF_RESULT_ON_TRIAL &&
        overdue_s(list->ledger, bucket_of(word)) <= list->now_s)
        entry.result = HF_RESULT_SILENT;
    if ((word & WORD_UNREPORTED) == 0 && entry.result == list->result && entry.stage <= list->stage)
        list->out[list->n++] = entry;
    return list->n < list->cap;
}

size_t hf_rollout_ledger_list(const struct hf_rollout_ledger *ledger, enum hf_rollout_result result,
                              size_t stage, int64_t after, int64_t now_s,
                              struct hf_rollout_entry *out, size_t cap)
{
    struct listing list = {ledger, result, stage, now_s, out, 0, cap};

    hf_device_map_each(&ledger->devices, after, list_one, &list);
    return list.n;
}

size_t hf_rollout_ledger_bytes(const struct hf_rollout_ledger *ledger)
{
    return sizeof *ledger + ledger->devices.bytes +
           ledger->n_buckets * ledger->plan.n_stages * sizeof(*ledger->trials);
}

const char *hf_rollout_result_name(enum hf_rollout_result result)
{
    static const char *const names[HF_RESULT_COUNT] = {[HF_RESULT_WAITING] = "waiting",
                                                       [HF_RESULT_ON_TRIAL] = "on-trial",
                                                       [HF_RESULT_CONFIRMED] = "confirmed",
                                                       [HF_RESULT_FAILED] = "failed",
                                                       [HF_RESULT_SILENT] = "silent"};
    return names[result];
}
