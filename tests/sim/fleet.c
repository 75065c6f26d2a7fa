#include "tests/sim/fleet.h"

#include "common/base/timetext.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOUR_S INT64_C(3600)
#define TRIAL_MIN_S HOUR_S /* client/core/update.h: an hour of uptime, seen at the next check */
#define TRIAL_MAX_S (75 * INT64_C(60))
#define BRIEF_STARTS 10 /* or so many starts */
#define NONE (-1)

enum habit { DAILY, SLEEPER, BRIEF };
enum clock { RIGHT, STOPPED, AHEAD };
enum fate { GOOD, REFUSES, ROLLS_BACK, FALLS_SILENT, FAILS_LATE };
enum phase { CHECKS, ON_TRIAL, CONFIRMED, OVER };

struct sim_device {
    int32_t next;     /* in the same tick */
    int32_t result_s; /* since the start */
    uint16_t n_draws;
    uint8_t n_starts;
    unsigned habit : 2, clock : 2, fate : 3, phase : 2;
    unsigned is_mute : 1, is_liar : 1, has_failed : 1, has_new : 1, is_left_out : 1;
};

/* ---- chance ---------------------------------------------------------------------------------- */

/* splitmix64 (Steele, Lea and Flood, 2014) of everything that makes a draw another one. */
static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static uint64_t draw(const struct sim_fleet *f, struct sim_device *d)
{
    const uint64_t number = (uint64_t)(d - f->devices);

    return mix(mix(f->seed) ^ mix(number << 16 | d->n_draws++));
}

static bool happens(const struct sim_fleet *f, struct sim_device *d, int64_t ppm)
{
    return (int64_t)(draw(f, d) % HF_ROLLOUT_PPM) < ppm;
}

static int64_t between(const struct sim_fleet *f, struct sim_device *d, int64_t from_s,
                       int64_t to_s)
{
    return from_s + (int64_t)(draw(f, d) % (uint64_t)(to_s - from_s));
}

/* ---- time ------------------------------------------------------------------------------------ */

static void schedule(struct sim_fleet *f, struct sim_device *d, int64_t at_s)
{
    const int64_t tick = (at_s - f->start_s + SIM_TICK_S - 1) / SIM_TICK_S;

    if (tick >= (int64_t)f->n_ticks)
        return;
    d->next = f->ticks[tick];
    f->ticks[tick] = (int32_t)(d - f->devices);
}

/* client/core: daily, a quarter more or less. */
static int64_t interval_s(const struct sim_fleet *f, struct sim_device *d)
{
    if (d->habit == SLEEPER)
        return between(f, d, 7 * HF_DAY_S, 28 * HF_DAY_S);
    return between(f, d, HF_DAY_S / 4 * 3, HF_DAY_S / 4 * 5);
}

static int64_t clock_of(const struct sim_fleet *f, const struct sim_device *d, int64_t now_s)
{
    switch ((enum clock)d->clock) {
    case STOPPED: /* the time of the metadata that names the bundle */
        return f->start_s;
    case AHEAD:
        return now_s + HF_DAY_S +
               (int64_t)(mix(f->seed ^ (uint64_t)(d - f->devices)) % (29 * HF_DAY_S));
    case RIGHT:
        break;
    }
    return now_s;
}

/* ---- reports --------------------------------------------------------------------------------- */

static void name_of(const struct sim_fleet *f, const struct sim_device *d, char out[16])
{
    static const char pattern[16] = "device-00000000";
    uint32_t number = (uint32_t)(d - f->devices);

    memcpy(out, pattern, sizeof pattern);
    for (char *at = out + sizeof pattern - 2; number > 0; number /= 10)
        *at-- = (char)('0' + number % 10);
}

/* `kind` is the report; what the service knows of its result is told with it. */
static void report(struct sim_fleet *f, struct sim_device *d, const char *kind, const char *result,
                   int64_t now_s)
{
    char name[16];
    struct hf_why why = {0};

    if (d->is_mute)
        return;
    name_of(f, d, name);
    if (strcmp(kind, result) == 0)
        d->result_s = (int32_t)(now_s - f->start_s);
    const struct hf_rollout_member member = {.device_id = d - f->devices + 1,
                                             .name = name,
                                             .group = "",
                                             .created_s = f->start_s - HF_DAY_S,
                                             .is_trusted = true,
                                             .set = SIM_SET,
                                             .profile = SIM_PROFILE,
                                             .seen_s = now_s,
                                             .kind = kind,
                                             .active_version = d->has_new ? SIM_NEW : SIM_OLD,
                                             .active_sha256 = d->has_new ? f->sha256_hex : "",
                                             .result = result,
                                             .result_version = SIM_NEW,
                                             .result_s = f->start_s + d->result_s};
    if (hf_rollout_ledger_put(f->service->ledger, &member, &why) != HF_OK) {
        (void)fprintf(stderr, "hf-rollout-sim: %s\n", why.text);
        exit(1);
    }
}

static void say(struct sim_fleet *f, struct sim_device *d, const char *kind, int64_t now_s)
{
    if (!d->is_liar)
        report(f, d, kind, kind, now_s);
}

/* ---- what a device does ---------------------------------------------------------------------- */

static bool takes(struct sim_fleet *f, struct sim_device *d, int64_t now_s)
{
    const struct hf_rollout_activation *activation = sim_service_activation(f->service);
    const struct hf_rollout_plan *plan = f->service->plan;
    char name[16];

    name_of(f, d, name);
    const struct hf_rollout_device device = {.id = name, .active = SIM_OLD};
    const struct hf_rollout_decision decision = hf_rollout_decide(plan, activation, f->sha256,
                                                                  &device, clock_of(f, d, now_s));
    const bool is_last = activation != NULL && plan != NULL &&
                         activation->state != HF_ROLLOUT_PAUSED &&
                         activation->stage + 1 == (int64_t)plan->n_stages;

    d->is_left_out = !decision.takes && is_last && d->clock != STOPPED;
    if (decision.takes && plan != NULL &&
        (activation == NULL || decision.own > (size_t)activation->stage))
        f->counts.early++;
    return decision.takes;
}

/* The bundle is in use, and its trial begins. */
static void swap(struct sim_fleet *f, struct sim_device *d, int64_t now_s)
{
    int64_t confirms_s = now_s + between(f, d, TRIAL_MIN_S, TRIAL_MAX_S);

    d->has_new = 1;
    d->phase = ON_TRIAL;
    f->counts.installed++;
    if (d->fate != GOOD && f->counts.harmed++ == 0)
        f->counts.first_harm_s = now_s;
    if (d->fate == FALLS_SILENT) { /* `swapped` goes over the new bundle, so it does not arrive */
        d->phase = OVER;
        return;
    }
    say(f, d, "swapped", now_s);
    if (d->fate == ROLLS_BACK)
        confirms_s = now_s + between(f, d, TRIAL_MIN_S / 5, TRIAL_MIN_S);
    else if (d->habit == BRIEF)
        confirms_s = now_s + interval_s(f, d);
    else if (happens(f, d, SIM_SWITCHED_PPM))
        confirms_s = now_s + between(f, d, 6 * HOUR_S, 3 * HF_DAY_S);
    schedule(f, d, confirms_s);
}

static void check(struct sim_fleet *f, struct sim_device *d, int64_t now_s)
{
    if (!takes(f, d, now_s)) {
        schedule(f, d, now_s + interval_s(f, d));
        return;
    }
    say(f, d, "announce", now_s);
    if (happens(f, d, d->has_failed ? SIM_REPEATS_PPM : SIM_FAILS_PPM)) {
        d->has_failed = 1;
        say(f, d, "failed", now_s);
        schedule(f, d, now_s + interval_s(f, d));
    } else if (d->fate == REFUSES) {
        d->phase = OVER;
        say(f, d, "refused", now_s);
    } else {
        swap(f, d, now_s);
    }
}

static void go_on_with_trial(struct sim_fleet *f, struct sim_device *d, int64_t now_s)
{
    if (d->fate == ROLLS_BACK) {
        d->has_new = 0;
        d->phase = OVER;
        say(f, d, "rolled-back", now_s);
        return;
    }
    if (d->habit == BRIEF && ++d->n_starts < BRIEF_STARTS) {
        if (!d->is_liar)
            report(f, d, "current", "swapped", now_s);
        schedule(f, d, now_s + interval_s(f, d));
        return;
    }
    say(f, d, "confirmed", now_s);
    d->phase = CONFIRMED;
    if (d->fate == FAILS_LATE)
        schedule(f, d, now_s + between(f, d, 2 * HF_DAY_S, 12 * HF_DAY_S));
}

static void wake(struct sim_fleet *f, struct sim_device *d, int64_t now_s)
{
    switch ((enum phase)d->phase) {
    case CHECKS:
        if (d->is_liar)
            report(f, d, f->scenario->lie == SIM_LIE_FAILED ? "rolled-back" : "confirmed",
                   f->scenario->lie == SIM_LIE_FAILED ? "rolled-back" : "confirmed", now_s);
        check(f, d, now_s);
        break;
    case ON_TRIAL:
        go_on_with_trial(f, d, now_s);
        break;
    case CONFIRMED:
        d->phase = OVER;
        say(f, d, "failed", now_s);
        break;
    case OVER:
        break;
    }
}

/* ---- the fleet ------------------------------------------------------------------------------- */

static enum fate choose_fate(const struct sim_fleet *f, struct sim_device *d)
{
    const struct sim_scenario *s = f->scenario;
    int64_t at = (int64_t)(draw(f, d) % HF_ROLLOUT_PPM);

    if ((at -= s->refused_ppm) < 0)
        return REFUSES;
    if ((at -= s->rolled_back_ppm) < 0)
        return ROLLS_BACK;
    if ((at -= s->silenced_ppm) < 0)
        return FALLS_SILENT;
    return at - s->late_ppm < 0 ? FAILS_LATE : GOOD;
}

static void make_device(struct sim_fleet *f, struct sim_device *d)
{
    const int64_t habit = (int64_t)(draw(f, d) % HF_ROLLOUT_PPM),
                  clock = (int64_t)(draw(f, d) % HF_ROLLOUT_PPM);

    d->habit = habit < SIM_SLEEPER_PPM                   ? SLEEPER
               : habit < SIM_SLEEPER_PPM + SIM_BRIEF_PPM ? BRIEF
                                                         : DAILY;
    d->clock = clock < SIM_STOPPED_PPM                   ? STOPPED
               : clock < SIM_STOPPED_PPM + SIM_AHEAD_PPM ? AHEAD
                                                         : RIGHT;
    d->fate = choose_fate(f, d);
    d->is_liar = d - f->devices < f->n_liars;
    d->is_mute = !d->is_liar && happens(f, d, SIM_MUTE_PPM);
}

void sim_fleet_begin(struct sim_fleet *fleet, const struct sim_scenario *scenario,
                     struct sim_service *service)
{
    fleet->scenario = scenario;
    fleet->service = service;
    fleet->n_ticks = (size_t)((fleet->end_s - fleet->start_s) / SIM_TICK_S);
    fleet->devices = calloc(fleet->n, sizeof *fleet->devices);
    fleet->ticks = malloc(fleet->n_ticks * sizeof *fleet->ticks);
    if (fleet->devices == NULL || fleet->ticks == NULL) {
        (void)fprintf(stderr, "hf-rollout-sim: out of memory for %" PRIu32 " devices\n", fleet->n);
        exit(1);
    }
    for (size_t i = 0; i < fleet->n_ticks; i++)
        fleet->ticks[i] = NONE;
    hf_rollout_ledger_begin_scan(service->ledger);
    for (uint32_t i = 0; i < fleet->n; i++) {
        struct sim_device *d = &fleet->devices[i];
        make_device(fleet, d);
        report(fleet, d, "current", "", fleet->start_s);
        schedule(fleet, d, fleet->start_s + between(fleet, d, 0, interval_s(fleet, d)));
    }
    hf_rollout_ledger_end_scan(service->ledger);
}

void sim_fleet_end(struct sim_fleet *fleet)
{
    for (uint32_t i = 0; i < fleet->n; i++)
        fleet->counts.left_out += fleet->devices[i].is_left_out;
    free(fleet->devices);
    free(fleet->ticks);
    fleet->devices = NULL;
    fleet->ticks = NULL;
}

void sim_fleet_step(struct sim_fleet *fleet, size_t i)
{
    const int64_t now_s = fleet->start_s + (int64_t)i * SIM_TICK_S;
    int32_t next = fleet->ticks[i];

    fleet->ticks[i] = NONE;
    while (next != NONE) {
        struct sim_device *d = &fleet->devices[next];
        next = d->next;
        wake(fleet, d, now_s);
    }
}
