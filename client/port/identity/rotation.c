#include "client/port/identity/rotation.h"

#include "client/port/identity/limits.h"

#include "common/base/digest.h"
#include "common/base/timetext.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define VALUE_STATE "identity.rotation" /* IS_REQUESTED FAILURES LAST_TRY WAIT SINCE DENIED */
#define VALUE_ERROR "identity.error"
#define CLOCK_SLACK_S INT64_C(3600) /* a clock that was put back by less is believed */
#define RETRY_MAX_S (8 * HF_DAY_S)  /* a week of Retry-After, and jitter */

static bool is_time(int64_t time_s)
{
    return time_s == HF_TIME_NONE || (time_s >= 0 && time_s <= INT64_C(253402300799));
}

static bool parse(const char *text, struct hf_rotation *out)
{
    struct hf_rotation r = {0};
    int is_requested = 0, end = 0;

    if (sscanf(text, "%1d %3" SCNd64 " %20" SCNd64 " %10" SCNd64 " %20" SCNd64 " %3" SCNd64 "%n",
               &is_requested, &r.n_failures, &r.last_try_s, &r.wait_s, &r.since_s, &r.n_denied,
               &end) != 6 ||
        text[end] != '\0')
        return false;
    if (is_requested < 0 || is_requested > 1 || r.n_failures < 0 ||
        r.n_failures > HF_ROTATION_FAILURES_MAX || r.wait_s < 0 || r.wait_s > RETRY_MAX_S ||
        r.n_denied < 0 || r.n_denied > HF_CANDIDATE_TRIES_MAX || !is_time(r.last_try_s) ||
        !is_time(r.since_s))
        return false;
    r.is_requested = is_requested == 1;
    *out = r;
    return true;
}

void hf_rotation_load(const struct hf_store_port *store, struct hf_rotation *out)
{
    struct hf_buf state = {0}, error = {0};

    *out = (struct hf_rotation){.last_try_s = HF_TIME_NONE, .since_s = HF_TIME_NONE};
    if (store->load_value(store->ctx, VALUE_STATE, &state, NULL) == HF_OK && state.len > 0 &&
        parse((const char *)state.data, out) &&
        store->load_value(store->ctx, VALUE_ERROR, &error, NULL) == HF_OK && error.len > 0)
        (void)snprintf(out->error, sizeof out->error, "%s", (const char *)error.data);
    hf_buf_free(&state);
    hf_buf_free(&error);
}

enum hf_err hf_rotation_save(const struct hf_store_port *store, const struct hf_rotation *r,
                             struct hf_why *why)
{
    char state[128];

    (void)snprintf(state, sizeof state,
                   "%d %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64, r->is_requested,
                   r->n_failures, r->last_try_s, r->wait_s, r->since_s, r->n_denied);
    HF_TRY(store->begin(store->ctx, why));
    enum hf_err err = store->save_value(store->ctx, VALUE_STATE, state, why);
    if (err == HF_OK)
        err = store->save_value(store->ctx, VALUE_ERROR, r->error, why);
    if (err == HF_OK)
        err = store->commit(store->ctx, why);
    if (err != HF_OK)
        store->abort(store->ctx);
    return err;
}

void hf_rotation_count_failure(struct hf_rotation *r, int64_t now_s, int64_t retry_after_s,
                               uint32_t drawn, const char *error)
{
    int64_t wait_s = HF_ROTATION_RETRY_FIRST_S;

    if (r->n_failures < HF_ROTATION_FAILURES_MAX)
        r->n_failures++;
    for (int64_t i = 1; i < r->n_failures && wait_s < HF_ROTATION_RETRY_MAX_S; i++)
        wait_s *= 2;
    if (wait_s > HF_ROTATION_RETRY_MAX_S)
        wait_s = HF_ROTATION_RETRY_MAX_S;
    /* From three quarters of it to five quarters. What the service asked for is never cut short,
     * and does not shorten the back-off. */
    wait_s = wait_s * 3 / 4 + ((wait_s / 2 * drawn) >> 32);
    if (retry_after_s > wait_s)
        wait_s = retry_after_s + ((retry_after_s / 8 * drawn) >> 32);
    r->wait_s = wait_s;
    r->last_try_s = now_s;
    (void)snprintf(r->error, sizeof r->error, "%s", error);
}

/* The first 32 bits of the certificate's hash: random for each device, and the same each time. */
static int64_t draw(const struct hf_credential *credential)
{
    uint8_t bytes[4] = {0};
    char text[9] = "";

    memcpy(text, credential->sha256, 8);
    if (!hf_hex_decode(text, bytes, sizeof bytes))
        return 0;
    return (int64_t)bytes[0] << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3];
}

int64_t hf_rotation_due_s(const struct hf_rotation *r, const struct hf_credential *current,
                          bool is_pending, int64_t now_s)
{
    int64_t life_s = current->not_after_s - current->not_before_s;
    /* In floating point, because a life may end in the year 9999. */
    int64_t spread_s = (int64_t)((double)(life_s / 20) * (double)draw(current) / 4294967296.0);
    int64_t due_s = current->not_before_s + life_s / 3 * 2 + spread_s;

    /* One that came in the future came while the clock was ahead, and says nothing. */
    if (r->since_s != HF_TIME_NONE && r->since_s <= now_s + CLOCK_SLACK_S &&
        r->since_s + life_s / 3 > due_s)
        due_s = r->since_s + life_s / 3;
    if (r->is_requested || is_pending)
        due_s = now_s;
    if (r->n_failures > 0 && r->last_try_s != HF_TIME_NONE &&
        r->last_try_s <= now_s + CLOCK_SLACK_S && r->last_try_s + r->wait_s > due_s)
        due_s = r->last_try_s + r->wait_s;
    return due_s;
}
