/* /v1/accounts/{account}/devices: what is out there, and what it has last reported. */
#include "server/api/parts.h"

#include "common/base/timetext.h"
#include "server/fleet/device_view.h"

#include <stdlib.h>
#include <string.h>

json_t *hf_api_version_or_null(int64_t version)
{
    return version >= 0 ? json_integer(version) : json_null();
}

/* "a,b" as a list. */
static json_t *groups_json(const char *groups)
{
    json_t *list = json_array();
    while (*groups != '\0') {
        size_t len = strcspn(groups, ",");
        list = hf_json_append_take(list, json_stringn(groups, len));
        groups += len + (groups[len] == ',');
    }
    return list;
}

static json_t *device_json(const struct hf_device_view *row)
{
    const struct hf_device_state *s = &row->state;
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
                     "s:o, s:o, s:I, s:o}",
                     "id", row->device.name, "group", hf_api_text_or_null(row->device.group),
                     "created", hf_json_time(row->device.created_s), "last_seen",
                     hf_api_time_or_null(s->seen_s), "set", hf_api_text_or_null(s->set), "profile",
                     hf_api_text_or_null(s->profile), "active_version",
                     hf_api_version_or_null(s->active_version), "active_sha256",
                     hf_api_text_or_null(s->active_sha256), "result",
                     hf_api_text_or_null(s->result), "result_time",
                     hf_api_time_or_null(s->result_s), "result_version",
                     hf_api_version_or_null(s->result_version), "outcome",
                     hf_api_text_or_null(s->outcome), "text", hf_api_text_or_null(s->reason),
                     "next_expiry", hf_api_time_or_null(s->next_expiry_s), "clock_offset_s",
                     s->seen_s != 0 ? json_integer(s->clock_offset_s) : json_null(), "agent",
                     hf_api_text_or_null(s->agent), "reported_groups", groups_json(s->groups),
                     "conflicts", (json_int_t)s->conflicts, "last_conflict",
                     hf_api_time_or_null(s->conflict_s));
}

static enum hf_err answer_device(struct hf_api_call *call, struct hf_tx *tx, int64_t account_id,
                                 struct hf_why *why)
{
    struct hf_device_view row;
    HF_TRY(hf_device_view_find(tx->db, account_id, call->match.params[1], &row, why));
    call->version = row.device.version;
    return hf_api_answer_take(call, 200, device_json(&row), why);
}

enum hf_err hf_api_device(const struct hf_api_call *call, struct hf_tx *tx, struct hf_device *out,
                          struct hf_why *why)
{
    struct hf_account_row account;
    HF_TRY(hf_api_account(call, tx, &account, why));
    return hf_device_find(tx->db, account.id, call->match.params[1], out, why);
}

/* ---- the list -------------------------------------------------------------------------------- */

enum { PREFIX, GROUP, SET, VERSION, RESULT, SILENT_SINCE };

static enum hf_err check_word(const char *name, const char *text, struct hf_why *why)
{
    if (text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789._-")] == '\0')
        return HF_OK;
    return hf_fail(why, HF_E_ARGUMENT, "query: %s: expected only a-z 0-9 . _ -", name);
}

static enum hf_err read_version(const char *text, int64_t *out, struct hf_why *why)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 18 || text[digits] != '\0')
        return hf_fail(why, HF_E_ARGUMENT, "query: version: expected the version of a bundle");
    *out = strtoll(text, NULL, 10);
    return HF_OK;
}

static enum hf_err read_filter(const struct hf_api_match *match, struct hf_device_filter *out,
                               struct hf_why *why)
{
    const bool *has = match->has_filter;
    out->prefix = has[PREFIX] && match->filters[PREFIX][0] != '\0' ? match->filters[PREFIX] : NULL;
    out->group = has[GROUP] ? match->filters[GROUP] : NULL;
    out->set = has[SET] ? match->filters[SET] : NULL;
    out->result = has[RESULT] ? match->filters[RESULT] : NULL;
    out->has_version = has[VERSION];
    for (int i = GROUP; i <= RESULT; i++)
        HF_TRY(check_word(match->route->filters[i], match->filters[i], why));
    if (has[VERSION])
        HF_TRY(read_version(match->filters[VERSION], &out->version, why));
    if (has[SILENT_SINCE] && (!hf_time_parse(match->filters[SILENT_SINCE], &out->silent_since_s) ||
                              out->silent_since_s <= 0))
        return hf_fail(why, HF_E_ARGUMENT,
                       "query: silent_since: expected a time in UTC such as 2026-12-31T00:00:00Z");
    return HF_OK;
}

static enum hf_err add_device(void *ctx, const void *row, struct hf_why *why)
{
    return json_array_append_new(ctx, device_json(row)) == 0
               ? HF_OK
               : hf_fail(why, HF_E_MEMORY, "no memory for an answer");
}

static enum hf_err list(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_account_row account;
    struct hf_device_filter filter = {0};
    struct hf_device_page page = {.limit = call->match.limit, .after = call->match.after_text};
    HF_TRY(hf_api_account(call, tx, &account, why));
    HF_TRY(read_filter(&call->match, &filter, why));
    json_t *rows = json_array();
    enum hf_err err = hf_device_view_list(tx->db, account.id, &filter, &page, add_device, rows,
                                          why);
    struct hf_api_page answer = {.call = call, .rows = rows};
    memcpy(call->next_text, page.next, sizeof page.next);
    return hf_api_page_end(&answer, "devices", err, why);
}

/* ---- one device ------------------------------------------------------------------------------ */

static enum hf_err show(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_account_row account;
    HF_TRY(hf_api_account(call, tx, &account, why));
    return answer_device(call, tx, account.id, why);
}

static enum hf_err change(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_device row;
    const char *group = hf_body_text(call->body, "group");
    HF_TRY(hf_api_device(call, tx, &row, why));
    HF_TRY(hf_device_change_group(tx, row.account_id, row.id, call->if_version,
                                  group != NULL ? group : "", &row, why));
    return answer_device(call, tx, row.account_id, why);
}

static enum hf_err erase(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_device row;
    HF_TRY(hf_api_device(call, tx, &row, why));
    call->status = 204;
    return hf_device_delete(tx, row.account_id, row.id, call->if_version, why);
}

static const struct hf_body_field change_body[] = {
    {"group", HF_BODY_TEXT_OR_NULL, .is_required = true, .max = HF_FLEET_GROUP_NAME_MAX},
    {0},
};

#define DEVICES "/v1/accounts/{account}/devices"

const struct hf_api_route hf_device_routes[] = {
    {HTTP_GET, DEVICES, HF_ADMIN_VIEWER,
     .filters = {[PREFIX] = "prefix",
                 [GROUP] = "group",
                 [SET] = "set",
                 [VERSION] = "version",
                 [RESULT] = "result",
                 [SILENT_SINCE] = "silent_since"},
     .is_list = true, .has_text_after = true, .steps = {{HF_API_READ, list}}},
    {HTTP_GET, DEVICES "/{id}", HF_ADMIN_VIEWER, .steps = {{HF_API_READ, show}}},
    {HTTP_PATCH, DEVICES "/{id}", HF_ADMIN_OPERATOR, .body = change_body, .must_match = true,
     .steps = {{HF_API_WRITE, change}}},
    {HTTP_DELETE, DEVICES "/{id}", HF_ADMIN_REGISTRAR, .must_match = true,
     .steps = {{HF_API_WRITE, erase}}},
    {0},
};
