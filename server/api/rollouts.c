/* GET /v1/rollouts: how the rollouts of the published bundles go on, for all accounts. */
#include "server/api/rollout_parts.h"

#include "server/rollout/device_rows.h"
#include "server/rollout/keeper.h"

#include <stdlib.h>
#include <string.h>

/* ---- one rollout ----------------------------------------------------------------------------- */

void hf_api_rollout_free(void *rollout)
{
    hf_published_unref(((struct hf_api_rollout *)rollout)->published);
}

enum hf_err hf_api_rollout_find(struct hf_api_call *call, struct hf_tx *tx,
                                struct hf_api_rollout *out, struct hf_why *why)
{
    int64_t version = 0;

    HF_TRY(hf_api_param_number(call, 2, &version, why));
    hf_published_unref(out->published);
    out->published = hf_api_published(call->api);
    out->bundle = hf_published_find_version(out->published, call->match.params[0],
                                            call->match.params[1], version);
    if (out->bundle == NULL)
        return hf_fail(why, HF_E_NOT_FOUND,
                       "no bundle of this set, profile and version is published");
    if (out->bundle->description.plan == NULL)
        return hf_fail(why, HF_E_NOT_FOUND,
                       "this bundle has no rollout plan: every device may install it at once");
    return hf_rollout_row_find(tx->db, out->bundle, &out->row, why);
}

static json_t *counts_json(const struct hf_rollout_view *view, size_t stage)
{
    const struct hf_rollout_tally *t = &view->tallies[stage];

    if (!view->is_counted)
        return json_null();
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "devices", (json_int_t)t->devices, "waiting",
                     (json_int_t)t->waiting, "on_trial", (json_int_t)t->on_trial, "confirmed",
                     (json_int_t)t->confirmed, "failed", (json_int_t)t->failed, "silent",
                     (json_int_t)t->silent);
}

static json_t *stages_json(const struct hf_rollout_plan *plan, const struct hf_rollout_view *view)
{
    json_t *list = json_array();

    for (size_t i = 0; i < plan->n_stages; i++)
        list = hf_json_append_take(list,
                                   json_pack("{s:I, s:o, s:o}", "stage", (json_int_t)i, "opens",
                                             hf_json_time(hf_rollout_opens_s(plan, i)), "counts",
                                             counts_json(view, i)));
    return list;
}

static json_t *limits_json(const struct hf_rollout_view *view)
{
    const struct hf_rollout_bounds *b = &view->bounds;

    if (!view->is_counted)
        return json_null();
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "judged", (json_int_t)b->judged, "judged_needed",
                     (json_int_t)b->judged_min, "confirmed_needed", (json_int_t)b->confirmed_min,
                     "failed_max", (json_int_t)b->failed_max, "silent_max",
                     (json_int_t)b->silent_max);
}

static json_t *intent_json(const struct hf_rollout_row *row)
{
    const struct hf_rollout_intent *intent = &row->intent;

    if (!row->has_intent)
        return json_null();
    return json_pack("{s:I, s:I, s:s, s:o, s:s, s:o}", "from", (json_int_t)intent->from, "stage",
                     (json_int_t)intent->stage, "state", hf_rollout_state_name(intent->state),
                     "reason", hf_json_plain(intent->reason), "by", intent->actor, "time",
                     hf_json_time(intent->asked_s));
}

/* What is signed. */
static json_t *signed_json(const struct hf_published_bundle *bundle)
{
    const struct hf_published_rollout *rollout = &bundle->rollout;
    const struct hf_rollout_activation *now = &rollout->now;
    const struct hf_description *d = &bundle->description;
    const bool is_signed = rollout->is_signed;

    return json_pack("{s:s, s:s, s:I, s:s, s:s, s:o, s:I, s:o, s:o, s:o, s:o, s:s, s:I, s:o, s:b}",
                     "set", d->set, "profile", d->profile, "version", (json_int_t)d->version,
                     "sha256", bundle->sha256, "state",
                     is_signed ? hf_rollout_state_name(now->state) : "waiting", "stage",
                     is_signed ? json_integer(now->stage) : json_null(), "stages",
                     (json_int_t)d->plan->n_stages, "since",
                     is_signed ? hf_json_time(now->since_s) : json_null(), "reason",
                     hf_api_text_or_null(is_signed ? now->reason : ""), "not_before",
                     hf_json_time(d->plan->not_before_s), "mandatory_from",
                     hf_json_time(d->plan->mandatory_from_s), "approval",
                     hf_rollout_approval_name(d->plan->approval), "role_version",
                     (json_int_t)rollout->role_version, "role_expires",
                     hf_api_time_or_null(rollout->role_expires_s), "is_superseded",
                     !bundle->is_newest);
}

/* What the service makes of it. */
static json_t *view_json(const struct hf_api_rollout *rollout, const struct hf_rollout_view *view,
                         int64_t approvals_needed, size_t approvals_given)
{
    const struct hf_rollout_plan *plan = rollout->bundle->description.plan;

    return json_pack("{s:b, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:o}",
                     "is_counted", view->is_counted && view->counted == HF_COUNTED_ALL, "counts",
                     counts_json(view, view->stage), "due", hf_rollout_due_name(view->verdict.due),
                     "wait", view->wait != NULL ? json_string(view->wait) : json_null(),
                     "wait_text", hf_api_text_or_null(view->text), "next",
                     hf_api_time_or_null(view->verdict.next_s), "stalled_since",
                     hf_api_time_or_null(rollout->row.stalled_since_s), "plan",
                     hf_rollout_plan_to_json(plan), "stage_list", stages_json(plan, view), "limits",
                     limits_json(view), "approvals_needed", (json_int_t)approvals_needed,
                     "approvals_given", (json_int_t)approvals_given, "intent",
                     intent_json(&rollout->row));
}

static enum hf_err append_take(void *list, json_t *value, struct hf_why *why)
{
    return json_array_append_new(list, value) == 0
               ? HF_OK
               : hf_fail(why, HF_E_MEMORY, "no memory for an answer");
}

static enum hf_err add_approval(void *list, const void *data, struct hf_why *why)
{
    const struct hf_rollout_approval_row *row = data;

    return append_take(list,
                       json_pack("{s:s, s:o, s:I, s:s, s:s, s:o, s:o}", "kind",
                                 row->is_signed ? "signed" : "api", "since",
                                 hf_json_time(row->since_s), "stage", (json_int_t)row->stage,
                                 "state", hf_rollout_state_name(row->state), "approver",
                                 row->approver, "reason", hf_json_plain(row->reason), "time",
                                 hf_json_time(row->created_s)),
                       why);
}

static enum hf_err add_excluded(void *list, const void *data, struct hf_why *why)
{
    const struct hf_rollout_excluded *row = data;

    return append_take(list,
                       json_pack("{s:I, s:o, s:s, s:o, s:s, s:o}", "id", (json_int_t)row->id,
                                 "account",
                                 row->account != NULL ? json_string(row->account) : json_null(),
                                 "device", row->device, "reason", hf_json_plain(row->reason), "by",
                                 row->actor, "time", hf_json_time(row->created_s)),
                       why);
}

static enum hf_err rollout_json(struct hf_api_call *call, struct hf_tx *tx,
                                const struct hf_api_rollout *rollout, json_t **out,
                                struct hf_why *why)
{
    struct hf_rollout_keeper *keeper = call->api->config.rollouts;
    const struct hf_rollout_intent next = hf_rollout_step_next(rollout->bundle);
    struct hf_rollout_view view = {.text = ""};
    struct hf_rollout_approval_rows given;
    json_t *value = NULL, *more = NULL;

    if (keeper != NULL)
        (void)hf_rollout_steering_view(hf_rollout_keeper_steering(keeper), rollout->row.id,
                                       rollout->bundle, tx->now_s, &view);
    HF_TRY(hf_rollout_step_read_approvals(tx->db, rollout->row.id, rollout->bundle, &next, &given,
                                          why));
    json_t *approvals = json_array(), *excluded = json_array();
    enum hf_err err = hf_rollout_approval_list(tx->db, rollout->row.id,
                                               rollout->bundle->rollout.now.since_s, add_approval,
                                               approvals, why);
    if (err == HF_OK)
        err = hf_rollout_excluded_list(tx->db, rollout->row.id, add_excluded, excluded, why);
    if (err == HF_OK) {
        value = signed_json(rollout->bundle);
        more = view_json(rollout, &view, hf_rollout_step_approvals(rollout->bundle, &next),
                         given.n);
        if (value == NULL || more == NULL || json_object_update_missing(value, more) != 0 ||
            json_object_set(value, "approvals", approvals) != 0 ||
            json_object_set(value, "excluded", excluded) != 0)
            err = hf_fail(why, HF_E_MEMORY, "no memory for an answer");
    }
    if (err == HF_OK)
        *out = value;
    else
        json_decref(value);
    json_decref(more);
    json_decref(approvals);
    json_decref(excluded);
    return err;
}

enum hf_err hf_api_rollout_answer(struct hf_api_call *call, struct hf_tx *tx,
                                  const struct hf_api_rollout *rollout, struct hf_why *why)
{
    json_t *value = NULL;

    HF_TRY(rollout_json(call, tx, rollout, &value, why));
    call->version = rollout->row.version;
    return hf_api_answer_take(call, 200, value, why);
}

static enum hf_err show_rollout(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_api_rollout *rollout = hf_api_work(call, sizeof *rollout, hf_api_rollout_free);

    if (rollout == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for an answer");
    HF_TRY(hf_api_rollout_find(call, tx, rollout, why));
    return hf_api_rollout_answer(call, tx, rollout, why);
}

/* ---- all of them ----------------------------------------------------------------------------- */

/* One that the keeper has not looked at yet is listed a second later. */
static enum hf_err add_rollout(struct hf_api_call *call, struct hf_tx *tx,
                               struct hf_api_rollout *rollout, json_t *list, struct hf_why *why)
{
    json_t *value = NULL;

    enum hf_err err = hf_rollout_row_find(tx->db, rollout->bundle, &rollout->row, why);
    if (err == HF_E_NOT_FOUND)
        return HF_OK;
    HF_TRY(err);
    HF_TRY(rollout_json(call, tx, rollout, &value, why));
    return append_take(list, value, why);
}

static enum hf_err list_rollouts(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_api_rollout *rollout = hf_api_work(call, sizeof *rollout, hf_api_rollout_free);
    enum hf_err err = HF_OK;

    if (rollout == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for an answer");
    json_t *list = json_array();
    rollout->published = hf_api_published(call->api);
    for (size_t i = 0; rollout->published != NULL && i < rollout->published->n && err == HF_OK;
         i++) {
        rollout->bundle = &rollout->published->bundles[i];
        if (rollout->bundle->description.plan != NULL)
            err = add_rollout(call, tx, rollout, list, why);
    }
    if (err == HF_OK)
        return hf_api_answer_take(call, 200, json_pack("{s:o}", "rollouts", list), why);
    json_decref(list);
    return err;
}

/* ---- the devices of one ---------------------------------------------------------------------- */

static enum hf_err read_result(struct hf_api_call *call, enum hf_rollout_result *out,
                               struct hf_why *why)
{
    *out = HF_RESULT_FAILED;
    if (!call->match.has_filter[0])
        return HF_OK;
    for (int i = 0; i < HF_RESULT_COUNT; i++)
        if (strcmp(call->match.filters[0], hf_rollout_result_name((enum hf_rollout_result)i)) ==
            0) {
            *out = (enum hf_rollout_result)i;
            return HF_OK;
        }
    return hf_api_input(call, hf_fail(why, HF_E_ARGUMENT,
                                      "query: result: expected waiting, on-trial, confirmed, "
                                      "failed or silent"));
}

/* A device that was deleted since is left out. */
static enum hf_err add_device(struct hf_api_page *page, const struct hf_rollout_entry *entry,
                              struct hf_why *why)
{
    struct hf_rollout_said said;

    enum hf_err err = hf_rollout_said_get(page->tx->db, entry->device_id, &said, why);
    if (err == HF_E_NOT_FOUND)
        return HF_OK;
    HF_TRY(err);
    return hf_api_page_add_take(page, entry->device_id,
                                json_pack("{s:I, s:s, s:s, s:I, s:s, s:o, s:o, s:o, s:o, s:o, s:o}",
                                          "id", (json_int_t)entry->device_id, "account",
                                          said.account, "device", said.device, "stage",
                                          (json_int_t)entry->stage, "result",
                                          hf_rollout_result_name(entry->result), "since",
                                          hf_api_time_or_null(said.since_s), "kind",
                                          hf_api_text_or_null(said.kind), "text",
                                          hf_api_text_or_null(said.text), "endpoint",
                                          hf_api_text_or_null(said.endpoint), "root",
                                          hf_api_text_or_null(said.root), "root_name",
                                          hf_api_text_or_null(said.root_name)),
                                why);
}

static enum hf_err list_devices(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_api_rollout *rollout = hf_api_work(call, sizeof *rollout, hf_api_rollout_free);
    struct hf_rollout_keeper *keeper = call->api->config.rollouts;
    enum hf_rollout_result result;
    size_t n = 0;

    if (rollout == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for an answer");
    HF_TRY(read_result(call, &result, why));
    HF_TRY(hf_api_rollout_find(call, tx, rollout, why));
    struct hf_api_page page = hf_api_page_begin(call, tx);
    struct hf_rollout_entry *entries = calloc(page.limit, sizeof *entries);
    enum hf_err err = entries != NULL ? HF_OK
                                      : hf_fail(why, HF_E_MEMORY, "no memory for an answer");
    if (err == HF_OK && keeper != NULL)
        n = hf_rollout_steering_list(hf_rollout_keeper_steering(keeper), rollout->row.id, result,
                                     call->match.after, entries, page.limit);
    for (size_t i = 0; i < n && err == HF_OK; i++)
        err = add_device(&page, &entries[i], why);
    free(entries);
    return hf_api_page_end(&page, "devices", err, why);
}

const struct hf_api_route hf_rollout_routes[] = {
    {HTTP_GET, "/v1/rollouts", HF_ADMIN_VIEWER, .steps = {{HF_API_READ, list_rollouts}}},
    {HTTP_GET, HF_API_ROLLOUT, HF_ADMIN_VIEWER, .steps = {{HF_API_READ, show_rollout}}},
    {HTTP_GET, HF_API_ROLLOUT "/devices", HF_ADMIN_VIEWER, .filters = {"result"}, .is_list = true,
     .steps = {{HF_API_READ, list_devices}}},
    {0},
};
