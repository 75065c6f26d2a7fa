/*
 * When the next check is. Computed from what is stored, so that a status, and a restarted program,
 * know it; README.md of client/ has the curve and what it costs.
 */
#include "client/core/dependency.h"
#include "client/core/update.h"

#include "common/base/digest.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define RETRY_FIRST_S INT64_C(60)
#define RETRY_MAX_S (6 * INT64_C(3600))
#define POSTPONED_MAX_S (48 * INT64_C(60)) /* an hour at most, jittered */
#define TRIAL_S (12 * INT64_C(60))         /* 15 minutes at most, jittered */
#define TRIAL_LONG_S (48 * INT64_C(60))    /* once it has lasted for a day of uptime */
#define EAGER_MIN_S INT64_C(3600)
#define EAGER_PART 64 /* of the time that is left */
/* After the moment at which a stage may open, for all of its devices at once: eight times as many
 * checks an hour as otherwise. */
#define TURN_SPREAD_S (3 * INT64_C(3600))
#define AT_ONCE_SPREAD_S INT64_C(30) /* a fleet may be switched on together */
#define CLOCK_SLACK_S INT64_C(3600)  /* a clock that was put back by less is believed */

/* Waits reach their longest with far fewer; what is not counted need not be written either. */
#define FAILURES_COUNTED_MAX 16

/* What this process saw comes first: it is known also if nothing can be written. */
static struct hf_check_memory last_check(const struct hf_client *c)
{
    if (c->last_check.is_of_process)
        return c->last_check;
    return (struct hf_check_memory){
        .time_s = c->state.check_time_s,
        .n_failures = c->state.check_failures,
        .is_postponed = strcmp(c->state.check_outcome, hf_err_name(HF_E_POSTPONED)) == 0,
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
    c->state.check_failures = c->last_check.n_failures;
}

/* How long ago the last check was; HF_TIME_NONE if the clock is not to be believed, because it
 * stands below the floor or was put back. One that was put ahead only makes the device check. */
static int64_t elapsed_s(const struct hf_client *c, const struct hf_check_memory *last)
{
    int64_t by_clock_s = hf_client_now_s(c) - last->time_s;
    const int64_t by_uptime_s = (hf_client_uptime_ms(c) - last->uptime_ms) / 1000;

    if (c->ports.clock.now_s(c->ports.clock.ctx) < c->clock_floor_s || by_clock_s < -CLOCK_SLACK_S)
        by_clock_s = HF_TIME_NONE;
    else if (by_clock_s < 0)
        by_clock_s = 0;
    if (!last->is_of_process || c->ports.clock.uptime_ms == NULL)
        return by_clock_s;
    return by_uptime_s > by_clock_s ? by_uptime_s : by_clock_s;
}

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

int64_t hf_schedule_first_end_s(struct hf_client *c, char subject[HF_DN_TEXT_MAX])
{
    const int64_t now_s = hf_client_now_s(c);
    const struct hf_anchor *first = NULL;
    int64_t first_s = INT64_MAX;
    struct hf_bundle bundle = {0};
    struct hf_dependencies dependencies = {0};
    struct hf_why why = {0};

    enum hf_err err = hf_bundle_load_in_use(c, HF_SLOT_ACTIVE, &bundle, &why);
    if (err == HF_OK)
        err = hf_dependencies_make(c, &bundle, &bundle, &dependencies, &why);
    for (size_t i = 0; i < dependencies.n; i++) {
        const struct hf_anchor *last = NULL;
        int64_t end_s = hf_dependency_last_end(&dependencies.items[i], &bundle, now_s, &last);
        if (last != NULL && end_s < first_s) {
            first = last;
            first_s = end_s;
        }
    }
    (void)snprintf(subject, HF_DN_TEXT_MAX, "%s", first != NULL ? first->cert.subject : "");
    hf_dependencies_free(&dependencies);
    hf_bundle_free(&bundle);
    return first_s;
}

/* Without a bundle that can be read there is no reason to be eager. */
static void plan_for_active(struct hf_client *c, struct plan *plan)
{
    char subject[HF_DN_TEXT_MAX], day[HF_TIME_TEXT_MAX];
    const int64_t now_s = hf_client_now_s(c), first_s = hf_schedule_first_end_s(c, subject);

    if (first_s == INT64_MAX || hf_schedule_interval_s(first_s - now_s) >= HF_CHECK_INTERVAL_S)
        return;
    plan->interval_s = hf_schedule_interval_s(first_s - now_s);
    hf_time_format_day(first_s, day);
    (void)snprintf(plan->reason, sizeof plan->reason, "\"%.100s\" ends on %s", subject, day);
}

static void plan_for_trial(const struct hf_trial *trial, struct plan *plan)
{
    const int64_t interval_s = trial->up_s < HF_DAY_S ? TRIAL_S : TRIAL_LONG_S;

    if (trial->version < 0 || plan->interval_s <= interval_s)
        return;
    plan->interval_s = interval_s;
    (void)snprintf(plan->reason, sizeof plan->reason, "version %" PRId64 " is on trial",
                   trial->version);
}

/* Never later than without a failure. */
static void plan_for_failures(const struct hf_check_memory *last, struct plan *plan)
{
    const int64_t max_s = last->is_postponed ? POSTPONED_MAX_S : RETRY_MAX_S;
    int64_t wait_s = RETRY_FIRST_S;

    for (int64_t i = 1; i < last->n_failures && wait_s < max_s; i++)
        wait_s *= 2;
    if (wait_s > max_s)
        wait_s = max_s;
    if (last->n_failures <= 0 || wait_s >= plan->interval_s)
        return;
    plan->interval_s = wait_s;
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

/* Once, soon after its turn may have come, where that is sooner: a device that waits would see it
 * up to a day later. What the online key signs moves nothing here; the moment follows from the
 * plan. */
static void plan_for_turn(const struct hf_client *c, const struct hf_check_memory *last,
                          int64_t drawn, int64_t *wait_s, struct plan *plan)
{
    const struct hf_held *held = &c->state.held;
    int64_t until_s = 0;
    char turn[HF_TIME_TEXT_MAX];

    if (held->version <= 0 || held->turn_s <= last->time_s)
        return;
    until_s = held->turn_s - hf_client_now_s(c); /* neither is below 0 */
    if (until_s < *wait_s)
        until_s += TURN_SPREAD_S * drawn >> 32;
    if (until_s >= *wait_s)
        return;
    *wait_s = until_s;
    hf_time_format(held->turn_s, turn);
    (void)snprintf(plan->reason, sizeof plan->reason,
                   "version %" PRId64 " may be installed from %s on", held->version, turn);
}

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

void hf_schedule_next(struct hf_client *c, struct hf_next_check *out)
{
    const struct hf_check_memory last = last_check(c);
    const int64_t drawn = draw(c, &last), now_s = hf_client_now_s(c);
    struct plan plan = {HF_CHECK_INTERVAL_S, "once a day"};
    int64_t wait_s = 0;

    if (last.time_s == HF_TIME_NONE) {
        (void)snprintf(plan.reason, sizeof plan.reason, "this device has never checked");
    } else if (elapsed_s(c, &last) == HF_TIME_NONE) {
        (void)snprintf(plan.reason, sizeof plan.reason,
                       "the clock cannot tell how long ago the last check was");
    } else {
        plan_for_active(c, &plan);
        plan_for_trial(&c->state.trial, &plan);
        plan_for_failures(&last, &plan);
        /* From three quarters of it to five quarters (HF_CHECK_INTERVAL_MAX_S), evenly. */
        wait_s = plan.interval_s * 3 / 4 + ((plan.interval_s / 2 * drawn) >> 32);
        wait_s -= elapsed_s(c, &last);
        plan_for_turn(c, &last, drawn, &wait_s, &plan);
    }
    if (wait_s <= 0) /* at once */
        wait_s = AT_ONCE_SPREAD_S * drawn >> 32;
    *out = (struct hf_next_check){
        .at_s = now_s > INT64_MAX - wait_s ? INT64_MAX
                                           : now_s + wait_s, /* a clock may stand anywhere */
        .wait_s = wait_s,
    };
    (void)snprintf(out->reason, sizeof out->reason, "%s", plan.reason);
}

void hf_client_next_check(struct hf_client *client, struct hf_next_check *out)
{
    hf_state_load(client);
    hf_schedule_next(client, out);
}
