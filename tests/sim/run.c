#include "tests/sim/run.h"

#include "common/json/json.h"

#include <string.h>

#define HOUR_TICKS (3600 / SIM_TICK_S)
#define WITHDRAWN_S                                                                                \
    (INT64_C(3) * 86400) /* an operator withdraws a bad version so soon after a pause */

/* ---- numbers of each hour -------------------------------------------------------------------- */

static const char *const curves[] = {"installed", "harmed", "confirmed", "on_trial",
                                     "failed",    "silent", "stage"};
#define N_CURVES (sizeof curves / sizeof curves[0])

static void sample(struct sim_fleet *fleet, int64_t now_s, json_t *out[N_CURVES])
{
    const struct sim_service *service = fleet->service;
    const struct hf_rollout_tally t = hf_rollout_ledger_tally(service->ledger,
                                                              HF_ROLLOUT_STAGES_MAX, now_s);
    const int64_t values[N_CURVES] = {fleet->counts.installed,
                                      fleet->counts.harmed,
                                      t.confirmed,
                                      t.on_trial,
                                      t.failed,
                                      t.silent,
                                      service->is_signed ? service->now.stage + 1 : 0};

    for (size_t i = 0; i < N_CURVES; i++)
        out[i] = hf_json_append_take(out[i], json_integer(values[i]));
}

/* ---- the outcome ----------------------------------------------------------------------------- */

static json_t *since_json(const struct sim_fleet *fleet, int64_t at_s)
{
    return at_s == 0 ? json_null() : json_integer(at_s - fleet->start_s);
}

static json_t *tally_json(struct sim_service *service, size_t stage, int64_t now_s)
{
    const struct hf_rollout_tally t = hf_rollout_ledger_tally(service->ledger, stage, now_s);

    return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "devices", (json_int_t)t.devices, "waiting",
                     (json_int_t)t.waiting, "on_trial", (json_int_t)t.on_trial, "confirmed",
                     (json_int_t)t.confirmed, "failed", (json_int_t)t.failed, "silent",
                     (json_int_t)t.silent);
}

static json_t *outcome_json(const struct sim_fleet *fleet, int64_t now_s)
{
    struct sim_service *s = fleet->service;
    const struct sim_counts *c = &fleet->counts;
    json_t *opened = json_array(), *out = json_object();

    for (size_t k = 0; k < s->thresholds->n_stages; k++)
        opened = hf_json_append_take(opened, since_json(fleet, s->opened_s[k]));
    out = hf_json_set_take(out, "seed", json_integer((json_int_t)fleet->seed));
    out = hf_json_set_take(out, "opened_s", opened);
    out = hf_json_set_take(out, "paused_s", since_json(fleet, s->paused_s));
    out = hf_json_set_take(out, "complete_s", since_json(fleet, s->complete_s));
    out = hf_json_set_take(out, "is_stalled", json_boolean(s->is_stalled));
    out = hf_json_set_take(out, "stage", json_integer(s->is_signed ? s->now.stage + 1 : 0));
    out = hf_json_set_take(out, "reason", json_string(s->reason));
    out = hf_json_set_take(out, "installed", json_integer(c->installed));
    out = hf_json_set_take(out, "harmed", json_integer(c->harmed));
    out = hf_json_set_take(out, "first_harm_s", since_json(fleet, c->first_harm_s));
    out = hf_json_set_take(out, "early", json_integer(c->early));
    out = hf_json_set_take(out, "left_out", json_integer(c->left_out));
    out = hf_json_set_take(out, "all_stages", tally_json(s, HF_ROLLOUT_STAGES_MAX, now_s));
    out = hf_json_set_take(out, "open_stages",
                           tally_json(s,
                                      hf_rollout_engine_stage(s->thresholds,
                                                              sim_service_activation(s)),
                                      now_s));
    return hf_json_set_take(out, "ledger_bytes",
                            json_integer((json_int_t)hf_rollout_ledger_bytes(s->ledger)));
}

/* ---- the run --------------------------------------------------------------------------------- */

/* Another bundle for each seed, so that the devices stand in another order. */
static void make_hash(struct sim_fleet *fleet)
{
    const struct hf_bytes seed = {(const uint8_t *)&fleet->seed, sizeof fleet->seed};

    hf_sha256(seed, fleet->sha256);
    hf_hex_encode(fleet->sha256, HF_SHA256_LEN, fleet->sha256_hex);
}

static bool is_over(const struct sim_setup *setup, const struct sim_service *service, int64_t now_s)
{
    if (setup->is_short)
        return service->paused_s != 0 || service->complete_s != 0;
    return service->paused_s != 0 && now_s >= service->paused_s + WITHDRAWN_S;
}

json_t *sim_run(const struct sim_setup *setup, uint64_t seed, bool has_curve)
{
    struct sim_fleet fleet = {.seed = seed,
                              .start_s = setup->start_s,
                              .end_s = setup->plan->mandatory_from_s,
                              .n = setup->n_devices,
                              .n_liars = setup->scenario->lie == SIM_LIE_NONE ? 0 : setup->n_liars};
    const struct hf_rollout_subject subject = {.plan = setup->plan,
                                               .set = SIM_SET,
                                               .profile = SIM_PROFILE,
                                               .version = SIM_NEW,
                                               .sha256 = fleet.sha256,
                                               .seen_s = setup->start_s};
    struct sim_service service;
    json_t *samples[N_CURVES];
    int64_t now_s = fleet.start_s;

    make_hash(&fleet);
    for (size_t i = 0; i < N_CURVES; i++)
        samples[i] = json_array();
    sim_service_begin(&service, setup->rule, setup->plan, fleet.sha256, &subject);
    sim_fleet_begin(&fleet, setup->scenario, &service);
    for (size_t i = 0; i < fleet.n_ticks; i++) {
        now_s = fleet.start_s + (int64_t)i * SIM_TICK_S;
        sim_fleet_step(&fleet, i);
        sim_service_look(&service, now_s);
        if (has_curve && i % HOUR_TICKS == 0)
            sample(&fleet, now_s, samples);
        if (is_over(setup, &service, now_s))
            break;
    }
    sim_fleet_end(&fleet);
    json_t *out = outcome_json(&fleet, now_s), *curve = has_curve ? json_object() : NULL;
    for (size_t i = 0; i < N_CURVES; i++) {
        if (has_curve)
            curve = hf_json_set_take(curve, curves[i], samples[i]);
        else
            json_decref(samples[i]);
    }
    if (has_curve)
        out = hf_json_set_take(out, "hourly", curve);
    sim_service_end(&service);
    return out;
}
