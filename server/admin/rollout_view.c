/* A rollout as a person reads it. */
#include "server/admin/rollout.h"

#include "common/base/plaintext.h"
#include "common/base/timetext.h"
#include "common/cli/report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "-";
}

static int64_t number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static json_t *copy_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return value != NULL ? json_deep_copy(value) : json_null();
}

void hf_admin_until(const char *time, int64_t now_s, char out[HF_ADMIN_UNTIL_MAX])
{
    int64_t time_s = 0;

    if (!hf_time_parse(time, &time_s) || time_s <= now_s)
        (void)snprintf(out, HF_ADMIN_UNTIL_MAX, "now");
    else if (time_s - now_s < 3600)
        (void)snprintf(out, HF_ADMIN_UNTIL_MAX, "in %" PRId64 " minutes", (time_s - now_s) / 60);
    else if (time_s - now_s < 2 * 86400)
        (void)snprintf(out, HF_ADMIN_UNTIL_MAX, "in %" PRId64 " hours", (time_s - now_s) / 3600);
    else
        (void)snprintf(out, HF_ADMIN_UNTIL_MAX, "in %" PRId64 " days", (time_s - now_s) / 86400);
}

/* ---- the lines ------------------------------------------------------------------------------- */

/* People count stages from 1. */
static json_t *stage_text(const json_t *r)
{
    const json_t *stage = json_object_get(r, "stage");

    if (!json_is_integer(stage))
        return json_sprintf("none of %" PRId64, number_of(r, "stages"));
    return json_sprintf("%" PRId64 " of %" PRId64, (int64_t)json_integer_value(stage) + 1,
                        number_of(r, "stages"));
}

/* What the service does next, or why it does nothing. */
static json_t *next_text(const json_t *r)
{
    const char *due = text_of(r, "due");

    return strcmp(due, "nothing") == 0 ? copy_of(r, "wait_text") : json_string(due);
}

static json_t *time_text(const json_t *r, const char *key, int64_t now_s)
{
    char until[HF_ADMIN_UNTIL_MAX];

    if (!json_is_string(json_object_get(r, key)))
        return json_null();
    hf_admin_until(text_of(r, key), now_s, until);
    return json_sprintf("%s (%s)", text_of(r, key), until);
}

static json_t *approval_text(const json_t *r)
{
    const char *approval = text_of(r, "approval");

    if (number_of(r, "approvals_needed") == 0)
        return json_string(approval);
    return json_sprintf("%s: %" PRId64 " of %" PRId64 " given for the next step", approval,
                        number_of(r, "approvals_given"), number_of(r, "approvals_needed"));
}

static json_t *intent_text(const json_t *r)
{
    const json_t *intent = json_object_get(r, "intent");

    if (!json_is_object(intent))
        return json_null();
    return json_sprintf("stage %" PRId64 " %s, by %s since %s", number_of(intent, "stage") + 1,
                        text_of(intent, "state"), text_of(intent, "by"), text_of(intent, "time"));
}

static enum hf_err print_lines(const json_t *r, int64_t now_s, FILE *out, struct hf_why *why)
{
    static const char *const lines[] = {"rollout",        "state",     "stage",      "since",
                                        "reason",         "next step", "look again", "stalled",
                                        "mandatory from", "approval",  "asked for",  NULL};
    json_t *view = json_object();

    view = hf_json_set_take(view, "rollout",
                            json_sprintf("%s/%s/%" PRId64, text_of(r, "set"), text_of(r, "profile"),
                                         number_of(r, "version")));
    view = hf_json_set_take(view, "state", copy_of(r, "state"));
    view = hf_json_set_take(view, "stage", stage_text(r));
    view = hf_json_set_take(view, "since", copy_of(r, "since"));
    view = hf_json_set_take(view, "reason", copy_of(r, "reason"));
    view = hf_json_set_take(view, "next step", next_text(r));
    view = hf_json_set_take(view, "look again", time_text(r, "next", now_s));
    view = hf_json_set_take(view, "stalled", copy_of(r, "stalled_since"));
    view = hf_json_set_take(view, "mandatory from", time_text(r, "mandatory_from", now_s));
    view = hf_json_set_take(view, "approval", approval_text(r));
    view = hf_json_set_take(view, "asked for", intent_text(r));
    enum hf_err err = view != NULL ? hf_report_json_members(lines, view, out, why)
                                   : hf_fail(why, HF_E_MEMORY, "no memory for a rollout");
    json_decref(view);
    return err;
}

/* ---- the tables ------------------------------------------------------------------------------ */

static const char *const counts[] = {"devices",   "waiting", "on_trial",
                                     "confirmed", "failed",  "silent"};
#define N_COUNTS (sizeof counts / sizeof counts[0])

/* Each stage has the devices of the stages before it as well; ">" marks the signed one. */
static json_t *stage_rows(const json_t *r)
{
    const json_t *signed_stage = json_object_get(r, "stage"), *stage;
    json_t *rows = json_array();
    size_t i;

    json_array_foreach(json_object_get(r, "stage_list"), i, stage)
    {
        const int64_t number = number_of(stage, "stage");
        const bool is_signed = json_is_integer(signed_stage) &&
                               json_integer_value(signed_stage) == number;
        json_t *row = json_object();
        row = hf_json_set_take(row, "stage",
                               json_sprintf("%s%" PRId64, is_signed ? "> " : "  ", number + 1));
        row = hf_json_set_take(row, "opens", copy_of(stage, "opens"));
        for (size_t k = 0; k < N_COUNTS; k++)
            row = hf_json_set_take(row, counts[k],
                                   copy_of(json_object_get(stage, "counts"), counts[k]));
        rows = hf_json_append_take(rows, row);
    }
    return rows;
}

/* One condition of the plan: how many devices there are, and how many there must be, or may be. */
static json_t *add_condition(json_t *rows, const char *what, int64_t n, const char *word,
                             int64_t bound)
{
    const bool is_kept = strcmp(word, "at least") == 0 ? n >= bound : n <= bound;

    return hf_json_append_take(rows, json_pack("{s:s, s:I, s:o, s:s}", "condition", what, "now",
                                               (json_int_t)n, "plan",
                                               json_sprintf("%s %" PRId64, word, bound), "kept",
                                               is_kept ? "yes" : "no"));
}

static json_t *condition_rows(const json_t *r)
{
    const json_t *limits = json_object_get(r, "limits"), *now = json_object_get(r, "counts");
    json_t *rows = json_array();

    if (!json_is_object(limits) || !json_is_object(now))
        return rows;
    rows = add_condition(rows, "judged", number_of(limits, "judged"), "at least",
                         number_of(limits, "judged_needed"));
    rows = add_condition(rows, "confirmed", number_of(now, "confirmed"), "at least",
                         number_of(limits, "confirmed_needed"));
    rows = add_condition(rows, "failed", number_of(now, "failed"), "at most",
                         number_of(limits, "failed_max"));
    return add_condition(rows, "silent", number_of(now, "silent"), "at most",
                         number_of(limits, "silent_max"));
}

static enum hf_err print_rows(const char *head, const char *const *columns, json_t *rows, FILE *out,
                              struct hf_why *why)
{
    enum hf_err err = HF_OK;

    if (rows == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for a rollout");
    if (json_array_size(rows) > 0) {
        (void)fprintf(out, "\n%s\n", head);
        err = hf_report_json_table(columns, rows, out, why);
    }
    json_decref(rows);
    return err;
}

enum hf_err hf_admin_rollout_print(const json_t *r, int64_t now_s, FILE *out, struct hf_why *why)
{
    static const char *const stages[] = {"stage",     "opens",  "devices", "waiting", "on_trial",
                                         "confirmed", "failed", "silent",  NULL};
    static const char *const conditions[] = {"condition", "now", "plan", "kept", NULL};
    static const char *const approvals[] = {"kind", "approver", "time", "reason", NULL};
    static const char *const excluded[] = {"account", "device", "by", "time", "reason", NULL};

    HF_TRY(print_lines(r, now_s, out, why));
    HF_TRY(print_rows("Devices of each stage and of those before it", stages, stage_rows(r), out,
                      why));
    HF_TRY(print_rows("Conditions, in devices up to the signed stage", conditions,
                      condition_rows(r), out, why));
    HF_TRY(print_rows("Approvals of the next step", approvals, copy_of(r, "approvals"), out, why));
    return print_rows("Devices that are not counted", excluded, copy_of(r, "excluded"), out, why);
}

enum hf_err hf_admin_rollout_print_line(const json_t *r, FILE *out, struct hf_why *why)
{
    const json_t *now = json_object_get(r, "counts");
    json_t *stage = stage_text(r), *next = next_text(r), *line = NULL;

    if (stage != NULL && next != NULL)
        line = json_sprintf("%s/%s/%" PRId64 " %s, stage %s: %" PRId64 " devices, %" PRId64
                            " waiting, %" PRId64 " on trial, %" PRId64 " confirmed, %" PRId64
                            " failed, %" PRId64 " silent. %s",
                            text_of(r, "set"), text_of(r, "profile"), number_of(r, "version"),
                            text_of(r, "state"), json_string_value(stage),
                            number_of(now, "devices"), number_of(now, "waiting"),
                            number_of(now, "on_trial"), number_of(now, "confirmed"),
                            number_of(now, "failed"), number_of(now, "silent"),
                            json_is_string(next) ? json_string_value(next) : "");
    char *copy = line != NULL ? strdup(json_string_value(line)) : NULL;
    if (copy != NULL) {
        hf_text_sanitize(copy);
        (void)fprintf(out, "%s\n", copy);
    }
    const enum hf_err err = copy != NULL ? HF_OK
                                         : hf_fail(why, HF_E_MEMORY, "no memory for a rollout");
    free(copy);
    json_decref(line);
    json_decref(stage);
    json_decref(next);
    return err;
}
