#include "common/rollout/rollout.h"

#include "common/base/plaintext.h"
#include "common/base/timetext.h"
#include "common/json/json.h"

#include <stdio.h>
#include <string.h>

#define WHAT "the stage of a rollout (custom.holdfast.activation)"

static const char *const state_names[HF_ROLLOUT_STATES] = {
    [HF_ROLLOUT_OPEN] = "open",
    [HF_ROLLOUT_PAUSED] = "paused",
    [HF_ROLLOUT_ABORTED] = "aborted",
    [HF_ROLLOUT_COMPLETE] = "complete",
};

const char *hf_rollout_state_name(enum hf_rollout_state state)
{
    return state_names[state];
}

bool hf_rollout_state_parse(const char *name, enum hf_rollout_state *out)
{
    for (int i = 0; i < HF_ROLLOUT_STATES; i++) {
        if (strcmp(name, state_names[i]) != 0)
            continue;
        *out = (enum hf_rollout_state)i;
        return true;
    }
    return false;
}

/* ---- the document ---------------------------------------------------------------------------- */

static enum hf_err read_activation(const json_t *object, struct hf_rollout_activation *out,
                                   struct hf_why *why)
{
    const char *state = NULL, *reason = "";

    HF_TRY(hf_json_get_integer(object, "stage", WHAT, 0, &out->stage, why));
    HF_TRY(hf_json_get_time(object, "since", WHAT, &out->since_s, why));
    HF_TRY(hf_json_get_text(object, "state", WHAT, &state, why));
    if (json_object_get(object, "reason") != NULL)
        HF_TRY(hf_json_get_text(object, "reason", WHAT, &reason, why));
    if (!hf_rollout_state_parse(state, &out->state))
        return hf_fail(
            why, HF_E_FORMAT,
            "\"state\" of %s should be \"open\", \"paused\", \"aborted\" or \"complete\"", WHAT);
    if (out->stage >= HF_ROLLOUT_STAGES_MAX)
        return hf_fail(why, HF_E_LIMIT, "\"stage\" of %s should be %d at most, found %lld", WHAT,
                       HF_ROLLOUT_STAGES_MAX - 1, (long long)out->stage);
    (void)snprintf(out->reason, sizeof out->reason, "%s", reason);
    hf_text_sanitize(out->reason); /* it may be cut within a character */
    return HF_OK;
}

enum hf_err hf_rollout_activation_parse(const json_t *custom, struct hf_rollout_activation *out,
                                        struct hf_why *why)
{
    struct hf_rollout_activation made = {0};
    const json_t *object = json_object_get(json_object_get(custom, "holdfast"), "activation");

    if (object == NULL)
        return hf_fail(why, HF_E_NOT_FOUND, "%s is not there", WHAT);
    if (!json_is_object(object))
        return hf_fail(why, HF_E_FORMAT, "%s should be an object", WHAT);
    HF_TRY(read_activation(object, &made, why));
    *out = made;
    return HF_OK;
}

json_t *hf_rollout_activation_to_json(const struct hf_rollout_activation *activation)
{
    json_t *object = hf_json_set_take(json_object(), "stage", json_integer(activation->stage));

    object = hf_json_set_take(object, "state", json_string(state_names[activation->state]));
    object = hf_json_set_take(object, "since", hf_json_time(activation->since_s));
    object = hf_json_set_take(object, "reason", hf_json_plain(activation->reason));
    object = hf_json_set_take(json_object(), "activation", object);
    return hf_json_set_take(json_object(), "holdfast", object);
}

/* ---- where a device stands ------------------------------------------------------------------- */

int64_t hf_rollout_position(const uint8_t sha256[HF_SHA256_LEN], const char *id)
{
    static const char domain[] = "holdfast rollout";
    uint8_t text[sizeof domain - 1 + HF_SHA256_LEN + HF_DEVICE_ID_MAX];
    size_t id_len = strlen(id);
    uint8_t digest[HF_SHA256_LEN];
    uint64_t high = 0, low = 0;

    if (id_len > HF_DEVICE_ID_MAX)
        id_len = HF_DEVICE_ID_MAX;
    memcpy(text, domain, sizeof domain - 1);
    memcpy(text + sizeof domain - 1, sha256, HF_SHA256_LEN);
    memcpy(text + sizeof domain - 1 + HF_SHA256_LEN, id, id_len);
    hf_sha256((struct hf_bytes){text, sizeof domain - 1 + HF_SHA256_LEN + id_len}, digest);
    for (size_t i = 0; i < 4; i++) {
        high = high << 8 | digest[i];
        low = low << 8 | digest[4 + i];
    }
    /* The product has more than 64 bits, so in two halves. */
    return (int64_t)((high * HF_ROLLOUT_PPM + (low * HF_ROLLOUT_PPM >> 32)) >> 32);
}

static bool is_in_group(const struct hf_rollout_stage *stage,
                        const struct hf_rollout_device *device)
{
    for (size_t i = 0; i < stage->n_groups; i++) {
        for (size_t j = 0; j < device->n_groups; j++) {
            if (strcmp(stage->groups[i], device->groups[j]) == 0)
                return true;
        }
    }
    return false;
}

size_t hf_rollout_stage_of(const struct hf_rollout_plan *plan, const uint8_t sha256[HF_SHA256_LEN],
                           const struct hf_rollout_device *device)
{
    const int64_t position = device->id != NULL ? hf_rollout_position(sha256, device->id)
                                                : HF_ROLLOUT_PPM - 1;
    size_t k = 0;

    while (k + 1 < plan->n_stages && position >= plan->stages[k].ppm &&
           !is_in_group(&plan->stages[k], device))
        k++;
    return k;
}

/* ---- the decision ---------------------------------------------------------------------------- */

/* The last stage whose moment has come; `now_s` is not before the first one's. */
static size_t last_by_calendar(const struct hf_rollout_plan *plan, int64_t now_s)
{
    size_t k = 0;

    while (k + 1 < plan->n_stages && hf_rollout_opens_s(plan, k + 1) <= now_s)
        k++;
    return k;
}

static enum hf_rollout_reason judge(const struct hf_rollout_plan *plan,
                                    const struct hf_rollout_activation *activation,
                                    const struct hf_rollout_device *device, int64_t now_s,
                                    struct hf_rollout_decision *d)
{
    if (now_s >= plan->mandatory_from_s)
        return HF_ROLLOUT_MAY_TAKE;
    if (now_s < plan->not_before_s)
        return HF_ROLLOUT_TOO_EARLY;
    if (activation == NULL)
        return HF_ROLLOUT_NO_DOCUMENT;
    d->open = last_by_calendar(plan, now_s);
    if ((size_t)activation->stage < d->open)
        d->open = (size_t)activation->stage;
    if (activation->state == HF_ROLLOUT_ABORTED)
        return HF_ROLLOUT_IS_ABORTED;
    if (activation->state == HF_ROLLOUT_PAUSED)
        return HF_ROLLOUT_IS_PAUSED;
    if (device->active < plan->min_version || d->own <= d->open)
        return HF_ROLLOUT_MAY_TAKE;
    return HF_ROLLOUT_NOT_ITS_TURN;
}

struct hf_rollout_decision hf_rollout_decide(const struct hf_rollout_plan *plan,
                                             const struct hf_rollout_activation *activation,
                                             const uint8_t sha256[HF_SHA256_LEN],
                                             const struct hf_rollout_device *device, int64_t now_s)
{
    struct hf_rollout_decision d = {.reason = HF_ROLLOUT_MAY_TAKE,
                                    .turn_s = HF_TIME_NONE,
                                    .latest_s = HF_TIME_NONE};

    if (plan != NULL) {
        d.own = hf_rollout_stage_of(plan, sha256, device);
        d.reason = judge(plan, activation, device, now_s, &d);
    }
    d.takes = d.reason == HF_ROLLOUT_MAY_TAKE;
    if (d.takes)
        return d;
    d.latest_s = plan->mandatory_from_s;
    d.turn_s = device->active < plan->min_version ? plan->not_before_s
                                                  : hf_rollout_opens_s(plan, d.own);
    if (d.reason == HF_ROLLOUT_IS_ABORTED)
        d.turn_s = d.latest_s;
    return d;
}

/* "; its turn may come from ... on, and comes on ... at the latest": kept whole, however long a
 * reason is. */
#define TURN_TEXT_MAX (64 + 2 * HF_TIME_TEXT_MAX)

void hf_rollout_explain(const struct hf_rollout_decision *d, const struct hf_rollout_plan *plan,
                        const struct hf_rollout_activation *activation, int64_t now_s, char *out,
                        size_t cap)
{
    const int room = cap > TURN_TEXT_MAX ? (int)(cap - TURN_TEXT_MAX) : 0;
    const bool has_reason = activation != NULL && activation->reason[0] != '\0';
    char turn[HF_TIME_TEXT_MAX], latest[HF_TIME_TEXT_MAX];
    char what[HF_ROLLOUT_REASON_MAX + 128] = "this device may take it";

    if (d->takes) {
        (void)snprintf(out, cap, "%s", what);
        return;
    }
    switch (d->reason) {
    case HF_ROLLOUT_NO_DOCUMENT:
        (void)snprintf(what, sizeof what, "no valid document says which stage is open");
        break;
    case HF_ROLLOUT_TOO_EARLY:
        (void)snprintf(what, sizeof what, "the rollout has not begun");
        break;
    case HF_ROLLOUT_IS_PAUSED:
    case HF_ROLLOUT_IS_ABORTED:
        (void)snprintf(what, sizeof what, "the rollout is %s%s%s%s",
                       d->reason == HF_ROLLOUT_IS_PAUSED ? "paused" : "aborted",
                       has_reason ? " (" : "", has_reason ? activation->reason : "",
                       has_reason ? ")" : "");
        break;
    case HF_ROLLOUT_NOT_ITS_TURN:
    case HF_ROLLOUT_MAY_TAKE:
        (void)snprintf(what, sizeof what, "stage %zu of %zu is open, this device is in stage %zu",
                       d->open + 1, plan->n_stages, d->own + 1);
        break;
    }
    hf_time_format(d->turn_s, turn);
    hf_time_format(d->latest_s, latest);
    if (d->turn_s >= d->latest_s)
        (void)snprintf(out, cap, "%.*s; its turn comes on %s", room, what, latest);
    else if (d->turn_s > now_s)
        (void)snprintf(out, cap,
                       "%.*s; its turn may come from %s on, and comes on %s at the latest", room,
                       what, turn, latest);
    else
        (void)snprintf(out, cap,
                       "%.*s; its turn may come at any time, and comes on %s at the latest", room,
                       what, latest);
    hf_text_sanitize(out);
}
