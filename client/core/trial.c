/*
 * A bundle that was just activated is on trial. The endpoints' evidence, or a word of the application,
 * ends it either way; silence makes it longer. What counts is the time that this device is up, so that
 * neither a clock that jumps nor one that stands still ends a trial. One that wakes, checks and goes off
 * again is hardly ever up; there it is starts that count, as for the recovery.
 */
#include "client/core/bundles.h"
#include "client/core/endpoints.h"
#include "client/core/update.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- the trial, as stored: "VERSION UP_S LAST_UPTIME_MS STARTS", or empty -------------------- */

static int64_t trial_clock_ms(const struct hf_client *c)
{
    const struct hf_clock_port *clock = &c->ports.clock;
    /* Without one the clock has to do: the time between two checks, and not more, is counted. */
    return clock->uptime_ms != NULL ? clock->uptime_ms(clock->ctx) : hf_client_now_s(c) * 1000;
}

/* There was a time when it had no starts. */
static bool parse(const char *text, struct hf_trial *out)
{
    int64_t n[4] = {0};
    const char *rest = hf_integers_parse(text, n, 3);

    if (rest != NULL && *rest == ' ')
        rest = hf_integers_parse(rest + 1, &n[3], 1);
    if (rest == NULL || *rest != '\0')
        return false;
    *out = (struct hf_trial){true, n[0], n[1], n[2], n[3]};
    return true;
}

void hf_trial_load(struct hf_client *c, struct hf_trial *out)
{
    struct hf_buf text = {0};
    struct hf_why why = {0};

    *out = (struct hf_trial){0};
    if (hf_value_load(c, "trial", &text, &why) != HF_OK) {
        hf_log(c, HF_LEVEL_WARNING, "whether a bundle is on trial cannot be read: %s", why.text);
        return;
    }
    (void)parse((const char *)text.data, out);
    hf_buf_free(&text);
}

static enum hf_err trial_save(struct hf_client *c, const struct hf_trial *trial, struct hf_why *why)
{
    char text[96] = "";
    if (trial->is_on)
        (void)snprintf(text, sizeof text, "%" PRId64 " %" PRId64 " %" PRId64 " %" PRId64,
                       trial->version, trial->up_s, trial->last_uptime_ms, trial->n_starts);
    return hf_value_save(c, "trial", text, why);
}

enum hf_err hf_trial_begin(struct hf_client *c, int64_t version, struct hf_why *why)
{
    struct hf_trial trial = {.is_on = true,
                             .version = version,
                             .last_uptime_ms = trial_clock_ms(c)};
    return trial_save(c, &trial, why);
}

enum hf_err hf_trial_end(struct hf_client *c, struct hf_why *why)
{
    const struct hf_trial none = {0};
    return trial_save(c, &none, why);
}

/* After a restart of the device its uptime starts again: what it had before it went down is lost, so that a
 * trial never ends too early. A start is seen by that; those that are missed only make it longer. Between two checks no more is counted than lies between two checks. */
static void count_time(const struct hf_client *c, struct hf_trial *trial)
{
    bool has_uptime = c->ports.clock.uptime_ms != NULL;
    int64_t now_ms = trial_clock_ms(c);
    int64_t up_ms = now_ms - trial->last_uptime_ms;
    int64_t most_ms = HF_CHECK_INTERVAL_MAX_S * 1000;

    if (up_ms < 0 && has_uptime && trial->n_starts < HF_TRIAL_STARTS)
        trial->n_starts++;
    if (up_ms < 0)
        up_ms = has_uptime ? now_ms : 0;
    if (trial->up_s < HF_DAY_S) /* all that the schedule wants to know */
        trial->up_s += (up_ms < most_ms ? up_ms : most_ms) / 1000;
    trial->last_uptime_ms = now_ms;
}

static bool is_long_enough(const struct hf_trial *trial)
{
    return trial->up_s >= HF_TRIAL_S || trial->n_starts >= HF_TRIAL_STARTS;
}

/* ---- its two ends ---------------------------------------------------------------------------- */

struct verdict {
    const struct hf_trial *trial;
    const char *text; /* by whom, or why */
};

static enum hf_err write_confirmation(struct hf_client *c, const void *arg, struct hf_why *why)
{
    const struct verdict *verdict = arg;
    char text[HF_WHY_MAX];

    HF_TRY(hf_trial_end(c, why));
    (void)snprintf(text, sizeof text, "confirmed %s/%s %lld: %s", c->set, c->profile,
                   (long long)verdict->trial->version, verdict->text);
    return hf_journal(c, HF_LEVEL_INFO, "confirmed", text, why);
}

static enum hf_err confirm(struct hf_client *c, const struct hf_trial *trial, const char *by,
                           struct hf_why *why)
{
    struct verdict verdict = {trial, by};
    return hf_store_transact(c, write_confirmation, &verdict, why);
}

static enum hf_err write_rollback(struct hf_client *c, const void *arg, struct hf_why *why)
{
    const struct verdict *verdict = arg;
    char text[HF_WHY_MAX];

    HF_TRY(hf_bundle_reject_active(c, why));
    HF_TRY(c->ports.store.restore_previous(c->ports.store.ctx, why));
    HF_TRY(hf_trial_end(c, why));
    (void)snprintf(text, sizeof text, "rolled back %s/%s %lld, never to be taken again: %.400s",
                   c->set, c->profile, (long long)verdict->trial->version, verdict->text);
    return hf_journal(c, HF_LEVEL_ERROR, "rollback", text, why);
}

/* The bundle before, as it would be used: without what was dropped on purpose since. */
static enum hf_err load_previous(struct hf_client *c, struct hf_bundle_record *record,
                                 struct hf_bundle *out, struct hf_why *why)
{
    HF_TRY(hf_bundle_load(c, HF_SLOT_PREVIOUS, record, why));
    return hf_bundle_in_use(c, record, out, why);
}

static enum hf_err roll_back_to(struct hf_client *c, const struct hf_bundle_record *record,
                                const struct hf_bundle *previous, const struct verdict *verdict,
                                struct hf_why *why)
{
    if (hf_bundle_count_usable(previous, hf_client_now_s(c)) == 0)
        return hf_fail(
            why, HF_E_STATE,
            "there is no going back to version %lld: none of its anchors may be used any "
            "more; publish a newer version",
            (long long)record->version);
    HF_TRY(hf_store_transact(c, write_rollback, verdict, why));
    return hf_live_swap(c, record, previous, why);
}

static enum hf_err roll_back(struct hf_client *c, const struct hf_trial *trial, const char *reason,
                             struct hf_why *why)
{
    struct verdict verdict = {trial, reason};
    struct hf_bundle_record record = {0};
    struct hf_bundle previous = {0};

    enum hf_err err = load_previous(c, &record, &previous, why);
    if (err == HF_E_NOT_FOUND)
        err = hf_fail(why, HF_E_STATE, "there is no bundle before version %lld to go back to",
                      (long long)trial->version);
    if (err == HF_OK)
        err = roll_back_to(c, &record, &previous, &verdict, why);
    hf_bundle_free(&previous);
    hf_bundle_record_free(&record);
    return err;
}

/* ---- the endpoints' word --------------------------------------------------------------------- */

/* What was in use before, with what is revoked since: as far as it can be read. */
static enum hf_err load_before(struct hf_client *c, struct hf_bundle *out, struct hf_why *why)
{
    struct hf_bundle_record record = {0};

    enum hf_err err = hf_bundle_load(c, HF_SLOT_PREVIOUS, &record, why);
    if (err == HF_OK)
        err = hf_bundle_of_record(&record, out, why);
    hf_bundle_record_free(&record);
    return err == HF_E_NOT_FOUND || err == HF_E_STORAGE ? HF_OK : err;
}

/* Against the bundle before; without one the active one speaks for itself. */
static enum hf_err ask_endpoints(struct hf_client *c, struct hf_judgement *out, struct hf_why *why)
{
    struct hf_bundle_record record = {0};
    struct hf_bundle before = {0}, active = {0};
    struct hf_buf revoked = {0};

    enum hf_err err = load_before(c, &before, why);
    if (err == HF_OK)
        err = hf_revoked_load(c, &revoked, why);
    if (err == HF_OK)
        err = hf_bundle_load(c, HF_SLOT_ACTIVE, &record, why);
    if (err == HF_OK)
        err = hf_bundle_in_use(c, &record, &active, why);
    if (err == HF_OK) {
        const struct hf_change change = {&before, hf_buf_bytes(&revoked), &active};
        err = hf_endpoints_judge(c, &change, out, why);
    }
    hf_bundle_free(&active);
    hf_bundle_free(&before);
    hf_buf_free(&revoked);
    hf_bundle_record_free(&record);
    return err;
}

static enum hf_err go_back(struct hf_client *c, const struct hf_trial *trial, const char *reason,
                           int64_t *rejected, struct hf_why *why)
{
    enum hf_err err = roll_back(c, trial, reason, why);
    if (err == HF_OK)
        *rejected = trial->version;
    if (err != HF_E_STATE)
        return err;
    /* It has to go on as it is; the update that may cure it must not be kept back by that. */
    (void)hf_fail_context(why, "%s", reason);
    return hf_journal(c, HF_LEVEL_ERROR, "trial", why->text, why);
}

static enum hf_err hear_endpoints(struct hf_client *c, const struct hf_trial *trial,
                                  int64_t *rejected, struct hf_why *why)
{
    struct hf_judgement judgement;

    enum hf_err err = ask_endpoints(c, &judgement, why);
    /* It is damaged. The update replaces it, and must not be kept back. */
    if (err == HF_E_STORAGE) {
        hf_log(c, HF_LEVEL_WARNING, "the bundle on trial cannot be tried: %s", why->text);
        return HF_OK;
    }
    HF_TRY(err);
    if (judgement.is_against)
        return go_back(c, trial, judgement.against, rejected, why);
    if (judgement.n_silent == 0 && is_long_enough(trial) && !c->awaits_confirm)
        return confirm(c, trial, "every endpoint was reached with it", why);
    return HF_OK;
}

/* ---- at every check -------------------------------------------------------------------------- */

enum hf_err hf_trial_check(struct hf_client *c, int64_t *rejected, struct hf_why *why)
{
    struct hf_trial trial;

    hf_trial_load(c, &trial);
    if (!trial.is_on)
        return HF_OK;
    count_time(c, &trial);
    HF_TRY(trial_save(c, &trial, why));
    return c->ports.endpoints.n_endpoints > 0 ? hear_endpoints(c, &trial, rejected, why) : HF_OK;
}

enum hf_err hf_trial_refreshed(struct hf_client *c, struct hf_why *why)
{
    struct hf_trial trial;

    if (c->ports.endpoints.n_endpoints > 0 || c->awaits_confirm || c->waives_validation)
        return HF_OK;
    hf_trial_load(c, &trial);
    return trial.is_on ? confirm(c, &trial, "the repository was reached with it", why) : HF_OK;
}

/* ---- the application's word ------------------------------------------------------------------ */

enum hf_err hf_client_confirm(struct hf_client *client, struct hf_why *why)
{
    struct hf_trial trial;
    struct hf_why own = {0};

    hf_trial_load(client, &trial);
    if (!trial.is_on)
        return HF_OK;
    return hf_report(why, &own,
                     confirm(client, &trial, "the application says that it works", &own));
}

enum hf_err hf_client_reject(struct hf_client *client, const char *reason, struct hf_why *why)
{
    struct hf_trial trial;
    struct hf_why own = {0};
    char text[HF_WHY_MAX];

    hf_trial_load(client, &trial);
    if (!trial.is_on)
        return hf_fail(why, HF_E_STATE,
                       "no bundle is on trial, so there is none to reject; what was confirmed is "
                       "replaced by publishing a newer version");
    (void)snprintf(text, sizeof text, "the application says: %s",
                   reason != NULL && reason[0] != '\0' ? reason : "it does not work");
    return hf_report(why, &own, roll_back(client, &trial, text, &own));
}
