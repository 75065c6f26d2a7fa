/*
 * When the next check is. Told from what is stored, so that a status, and a restarted program, know
 * it; README.md of client/ has the curve and what it costs.
 */
#include "client/core/reliance.h"
#include "client/core/bundles.h"
#include "client/core/update.h"

#include "common/base/digest.h"

#include <inttypes.h>
#include <stdio.h>

#define FAILURES "check.failures"
#define SEED_LEN 16

#define RETRY_FIRST_S INT64_C(60)
#define RETRY_MAX_S (6 * INT64_C(3600))
#define POSTPONED_MAX_S (48 * INT64_C(60)) /* an hour at most, jittered */
#define TRIAL_S (12 * INT64_C(60))         /* 15 minutes at most, jittered */
#define TRIAL_LONG_S (48 * INT64_C(60))    /* once it has lasted for a day of uptime */
#define EAGER_MIN_S INT64_C(3600)
#define EAGER_PART 64                /* of the time that is left */
#define AT_ONCE_SPREAD_S INT64_C(30) /* a fleet may be switched on together */
#define CLOCK_SLACK_S INT64_C(3600)  /* a clock that was put back by less is believed */

/* Waits reach their longest with far fewer; what is not counted need not be written either. */
#define FAILURES_COUNTED_MAX 16

/* ---- what is remembered of checks ------------------------------------------------------------ */

void hf_schedule_init(struct hf_client *c, const char *instance)
{
    uint8_t any[SEED_LEN];

    if (instance != NULL) {
        hf_sha256_hex(hf_bytes_of_text(instance), c->instance);
        return;
    }
    c->ports.random.fill(c->ports.random.ctx, any, sizeof any);
    hf_sha256_hex((struct hf_bytes){any, sizeof any}, c->instance);
}

/* What cannot be read counts as none. */
static int64_t stored_integer(struct hf_client *c, const char *name, int64_t absent)
{
    struct hf_why why = {0};
    int64_t value = absent;
    if (hf_value_load_integer(c, name, absent, &value, &why) != HF_OK)
        hf_log(c, HF_LEVEL_WARNING, "the schedule cannot be read: %s", why.text);
    return value;
}

/* What this process saw comes first: it is known also where nothing can be written. */
static struct hf_check_memory last_check(struct hf_client *c)
{
    if (c->last_check.is_of_process)
        return c->last_check;
    int64_t time_s = stored_integer(c, "check.time", HF_TIME_NONE);
    return (struct hf_check_memory){
        .time_s = time_s >= 0 ? time_s : HF_TIME_NONE, /* no check was before 1970 */
        .n_failures = stored_integer(c, FAILURES, 0),
        .is_postponed = hf_value_is(c, "check.outcome", hf_err_name(HF_E_POSTPONED)),
    };
}

void hf_schedule_count(struct hf_client *c, enum hf_err outcome)
{
    int64_t n_before = last_check(c).n_failures;

    c->last_check = (struct hf_check_memory){
        .is_of_process = true,
        .time_s = hf_client_now_s(c),
        .uptime_ms = hf_client_uptime_ms(c),
        .n_failures = n_before < FAILURES_COUNTED_MAX ? n_before + 1 : FAILURES_COUNTED_MAX,
        .is_postponed = outcome == HF_E_POSTPONED,
    };
    if (outcome == HF_OK)
        c->last_check.n_failures = 0;
}

enum hf_err hf_schedule_write(struct hf_client *c, struct hf_why *why)
{
    char text[24] = "";

    if (c->last_check.n_failures > 0)
        (void)snprintf(text, sizeof text, "%" PRId64, c->last_check.n_failures);
    return hf_value_change(c, FAILURES, text, why);
}

/* ---- how long ago ---------------------------------------------------------------------------- */

/* By the clock; HF_TIME_NONE where it is not to be believed, since it stands below the floor or was put
 * back. One that was put ahead only makes us check. */
static int64_t elapsed_by_clock_s(const struct hf_client *c, const struct hf_check_memory *last)
{
    int64_t elapsed_s = hf_client_now_s(c) - last->time_s;

    if (c->ports.clock.now_s(c->ports.clock.ctx) < c->clock_floor_s || elapsed_s < -CLOCK_SLACK_S)
        return HF_TIME_NONE;
    return elapsed_s > 0 ? elapsed_s : 0;
}

static int64_t elapsed_s(const struct hf_client *c, const struct hf_check_memory *last)
{
    int64_t by_clock_s = elapsed_by_clock_s(c, last);
    int64_t by_uptime_s = (hf_client_uptime_ms(c) - last->uptime_ms) / 1000;

    if (!last->is_of_process || c->ports.clock.uptime_ms == NULL)
        return by_clock_s;
    return by_uptime_s > by_clock_s ? by_uptime_s : by_clock_s;
}

/* ---- how long between two checks ------------------------------------------------------------- */

struct plan {
    int64_t interval_s; /* on average */
    char reason[sizeof((struct hf_next_check *)0)->reason];
};

int64_t hf_schedule_interval_s(int64_t left_s)
{
    int64_t interval_s = left_s / EAGER_PART;

    if (left_s < 0 || interval_s > HF_CHECK_INTERVAL_S)
        return HF_CHECK_INTERVAL_S;
    return interval_s > EAGER_MIN_S ? interval_s : EAGER_MIN_S;
}

/* The first needed anchor to go. */
static void plan_for_bundle(const struct hf_bundle *bundle, const struct hf_reliances *reliances,
                            int64_t now_s, struct plan *plan)
{
    const struct hf_anchor *first = NULL;
    int64_t first_s = INT64_MAX;
    char day[HF_TIME_TEXT_MAX];

    for (size_t i = 0; i < reliances->n; i++) {
        const struct hf_anchor *last = NULL;
        int64_t end_s = hf_reliance_last_end(&reliances->items[i], bundle, now_s, &last);
        if (last != NULL && end_s < first_s) {
            first = last;
            first_s = end_s;
        }
    }
    if (first == NULL || hf_schedule_interval_s(first_s - now_s) == HF_CHECK_INTERVAL_S)
        return;
    plan->interval_s = hf_schedule_interval_s(first_s - now_s);
    hf_time_format_day(first_s, day);
    (void)snprintf(plan->reason, sizeof plan->reason, "\"%.100s\" goes on %s", first->cert.subject,
                   day);
}

/* Without a bundle that can be read there is nothing to be eager about. */
static void plan_for_active(struct hf_client *c, struct plan *plan)
{
    struct hf_bundle_record record = {0};
    struct hf_bundle bundle = {0};
    struct hf_reliances reliances = {0};
    struct hf_why why = {0};

    enum hf_err err = hf_bundle_load(c, HF_SLOT_ACTIVE, &record, &why);
    if (err == HF_OK)
        err = hf_bundle_in_use(c, &record, &bundle, &why);
    if (err == HF_OK)
        err = hf_reliances_load(c, &bundle, &reliances, &why);
    if (err == HF_OK)
        plan_for_bundle(&bundle, &reliances, hf_client_now_s(c), plan);
    hf_reliances_free(&reliances);
    hf_bundle_free(&bundle);
    hf_bundle_record_free(&record);
}

static void plan_for_trial(struct hf_client *c, struct plan *plan)
{
    struct hf_trial trial;
    int64_t interval_s;

    hf_trial_load(c, &trial);
    interval_s = trial.up_s < HF_DAY_S ? TRIAL_S : TRIAL_LONG_S;
    if (!trial.is_on || plan->interval_s <= interval_s)
        return;
    plan->interval_s = interval_s;
    (void)snprintf(plan->reason, sizeof plan->reason, "version %" PRId64 " is on trial",
                   trial.version);
}

static int64_t retry_s(const struct hf_check_memory *last)
{
    int64_t max_s = last->is_postponed ? POSTPONED_MAX_S : RETRY_MAX_S;
    int64_t wait_s = RETRY_FIRST_S;

    for (int64_t i = 1; i < last->n_failures && wait_s < max_s; i++)
        wait_s *= 2;
    return wait_s < max_s ? wait_s : max_s;
}

/* Never later than without a failure. */
static void plan_for_failures(const struct hf_check_memory *last, struct plan *plan)
{
    if (last->n_failures <= 0 || retry_s(last) >= plan->interval_s)
        return;
    plan->interval_s = retry_s(last);
    if (last->is_postponed)
        (void)snprintf(plan->reason, sizeof plan->reason,
                       "a newer bundle waits for endpoint checks");
    else if (last->n_failures == 1)
        (void)snprintf(plan->reason, sizeof plan->reason, "the last check failed");
    else
        (void)snprintf(plan->reason, sizeof plan->reason, "the last %" PRId64 "%s checks failed",
                       last->n_failures,
                       last->n_failures == FAILURES_COUNTED_MAX ? " or more" : "");
}

/* ---- the next check -------------------------------------------------------------------------- */

/* The same for every call until the next check, another one on every device: 0 to 2^32 - 1. */
static int64_t draw(const struct hf_client *c, const struct hf_check_memory *last)
{
    uint8_t hash[HF_SHA256_LEN];
    char text[HF_SHA256_HEX_LEN + 24];
    int64_t out = 0;

    (void)snprintf(text, sizeof text, "%s %" PRId64, c->instance, last->time_s);
    hf_sha256(hf_bytes_of_text(text), hash);
    for (size_t i = 0; i < 4; i++)
        out = out << 8 | hash[i];
    return out;
}

/* From three quarters of it to five quarters (HF_CHECK_INTERVAL_MAX_S), evenly. */
static int64_t jittered_s(int64_t mean_s, int64_t drawn)
{
    return mean_s * 3 / 4 + ((mean_s / 2 * drawn) >> 32);
}

static void wait_at_once(struct hf_next_check *out, int64_t drawn, const char *reason)
{
    out->wait_s = AT_ONCE_SPREAD_S * drawn >> 32;
    (void)snprintf(out->reason, sizeof out->reason, "%s", reason);
}

static void wait_by_plan(struct hf_client *c, const struct hf_check_memory *last, int64_t drawn,
                         struct hf_next_check *out)
{
    struct plan plan = {HF_CHECK_INTERVAL_S, "once a day"};

    plan_for_active(c, &plan);
    plan_for_trial(c, &plan);
    plan_for_failures(last, &plan);
    out->wait_s = jittered_s(plan.interval_s, drawn) - elapsed_s(c, last);
    if (out->wait_s <= 0)
        wait_at_once(out, drawn, plan.reason);
    else
        (void)snprintf(out->reason, sizeof out->reason, "%s", plan.reason);
}

/* A clock may stand anywhere. */
static int64_t after_s(int64_t now_s, int64_t wait_s)
{
    return now_s > INT64_MAX - wait_s ? INT64_MAX : now_s + wait_s;
}

void hf_client_next_check(struct hf_client *client, struct hf_next_check *out)
{
    struct hf_check_memory last = last_check(client);
    int64_t drawn = draw(client, &last);
    struct hf_next_check next = {0};

    if (last.time_s == HF_TIME_NONE)
        wait_at_once(&next, drawn, "this device has never checked");
    else if (elapsed_s(client, &last) == HF_TIME_NONE)
        wait_at_once(&next, drawn, "the clock cannot tell how long ago the last check was");
    else
        wait_by_plan(client, &last, drawn, &next);
    next.at_s = after_s(hf_client_now_s(client), next.wait_s);
    *out = next;
}
