#include "server/api/call.h"

#include "common/base/digest.h"
#include "common/base/percent.h"
#include "common/os/service.h"
#include "server/api/problem.h"
#include "server/fleet/idempotency.h"
#include "server/signer/protocol.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the answer ------------------------------------------------------------------------------ */

static void call_free(struct hf_api_call *call)
{
    if (call->free_work != NULL)
        call->free_work(call->work);
    free(call->work);
    json_decref(call->body);
    json_decref(call->answer);
    sodium_memzero(call->asker.bearer, sizeof call->asker.bearer);
    free(call);
}

/* The path and query of the next page. */
static enum hf_err write_next(const struct hf_api_call *call, struct hf_buf *out)
{
    HF_TRY(hf_buf_printf(out, "Link: <%s?limit=%zu&after=", call->path, call->match.limit));
    if (call->match.route->has_text_after)
        HF_TRY(hf_percent_encode(call->next_text, ":", out));
    else
        HF_TRY(hf_buf_printf(out, "%" PRId64, call->next));
    for (size_t i = 0; i < HF_API_FILTERS_MAX; i++)
        if (call->match.has_filter[i]) {
            HF_TRY(hf_buf_printf(out, "&%s=", call->match.route->filters[i]));
            HF_TRY(hf_percent_encode(call->match.filters[i], ":", out));
        }
    return hf_buf_append_text(out, ">; rel=\"next\"\r\n");
}

static enum hf_err write_headers(const struct hf_api_call *call, unsigned status,
                                 struct hf_buf *out)
{
    HF_TRY(hf_buf_append_text(out, ""));
    if (call->version != 0)
        HF_TRY(hf_buf_printf(out, "ETag: \"%" PRId64 "\"\r\n", call->version));
    if (call->next != 0 || call->next_text[0] != '\0')
        HF_TRY(write_next(call, out));
    if (call->asks_rotation)
        HF_TRY(hf_buf_append_text(out, "Holdfast-Rotate: requested\r\n"));
    if (status == 401)
        HF_TRY(hf_buf_append_text(out, "WWW-Authenticate: Bearer\r\n"));
    if (status == 429 || status == 503)
        HF_TRY(hf_buf_printf(out, "Retry-After: %" PRId64 "\r\n",
                             call->retry_after_s > 0 ? call->retry_after_s : HF_API_RETRY_AFTER_S));
    if (status == 405)
        HF_TRY(hf_buf_printf(out, "Allow: %s\r\n", call->match.allow));
    return HF_OK;
}

/* The one place that answers; the call is over. */
static void send_answer(struct hf_api_call *call, unsigned status, const char *type,
                        struct hf_buf *body)
{
    struct hf_buf headers = {0};
    if (write_headers(call, status, &headers) == HF_OK && headers.len <= HF_API_HEADERS_MAX)
        hf_answer_take(call->request, status, type,
                       headers.len > 0 ? (const char *)headers.data : NULL, body);
    else
        hf_answer_refusal(call->request, 503);
    hf_buf_free(&headers);
    hf_buf_free(body);
    call_free(call);
}

static void refuse(struct hf_api_call *call, unsigned status, const struct hf_why *why)
{
    struct hf_buf body = {0};
    if (status == 500)
        hf_service_log(HF_LOG_ERROR, "%s: %s", call->match.route->pattern, why->text);
    call->version = call->next = 0;
    call->next_text[0] = '\0';
    if (hf_problem_write(status, why, &body) != HF_OK)
        status = 503;
    send_answer(call, status, body.len > 0 ? HF_PROBLEM_TYPE : NULL, &body);
}

static void succeed(struct hf_api_call *call)
{
    struct hf_buf body = {0};
    struct hf_why why = {0};
    unsigned status = call->status != 0 ? call->status : 200;
    const char *type = call->match.route->text_type;
    enum hf_err err = HF_OK;
    if (call->match.route->answer != NULL) {
        status = call->match.route->answer(call, &why);
        if (status != 0)
            refuse(call, status, &why);
        else
            call_free(call);
        return;
    }
    if (type != NULL)
        err = hf_buf_append_text(&body, json_string_value(call->answer));
    else if (call->answer != NULL)
        err = hf_json_write(call->answer, &body, &why);
    if (err != HF_OK) {
        hf_buf_free(&body);
        refuse(call, 503, &why);
        return;
    }
    if (type == NULL && call->answer != NULL)
        type = "application/json";
    send_answer(call, status, type, &body);
}

/* ---- steps, on a worker ---------------------------------------------------------------------- */

static enum hf_err authenticate(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_api_asker *asker = &call->asker;
    struct hf_admin_token token;
    if (call->match.route->role == HF_ADMIN_NONE || asker->actor[0] != '\0')
        return HF_OK;
    enum hf_err err = hf_admin_token_check(tx->db, asker->bearer, tx->now_s, &token, why);
    if (err == HF_E_POLICY)
        call->status = 401;
    HF_TRY(err);
    if (token.role < call->match.route->role)
        return hf_fail(why, HF_E_POLICY,
                       "the token \"%s\" has the role %s, and this needs %s. Use another token",
                       token.name, hf_admin_role_name(token.role),
                       hf_admin_role_name(call->match.route->role));
    asker->role = token.role;
    asker->used_token = hf_admin_token_use_is_due(&token, tx->now_s) ? token.id : 0;
    (void)snprintf(asker->actor, sizeof asker->actor, "token:%s", token.name);
    return HF_OK;
}

/* The answer that this key got before; HF_E_NOT_FOUND when it is new. */
static enum hf_err replay(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_buf text = {0};
    int64_t status = 0;
    json_t *kept = NULL;
    enum hf_err err = hf_idempotency_find(tx, call->idempotency_key, call->request_sha256, &status,
                                          &text, why);
    if (err == HF_OK && call->match.route->has_secret)
        err = hf_fail(
            why, HF_E_STATE,
            "Idempotency-Key: this request was answered before, and its token is shown once "
            "only. Delete what it made, and create another with another key");
    if (err == HF_OK)
        err = hf_json_parse_object(hf_buf_bytes(&text), "a kept answer", &kept, why);
    if (err == HF_OK) {
        call->status = (unsigned)status;
        call->version = hf_body_integer(kept, "version", 0);
        call->answer = json_incref(json_object_get(kept, "answer"));
    }
    json_decref(kept);
    hf_buf_free(&text);
    return err;
}

static enum hf_err keep_answer(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_buf text = {0};
    /* No token is kept anywhere in clear. */
    json_t *answer = call->match.route->has_secret ? NULL : call->answer;
    json_t *kept = json_pack("{s:I, s:O*}", "version", (json_int_t)call->version, "answer", answer);
    enum hf_err err = kept != NULL ? hf_json_write(kept, &text, why)
                                   : hf_fail(why, HF_E_MEMORY, "no memory for an answer");
    if (err == HF_OK)
        err = hf_idempotency_save(tx, call->idempotency_key, call->request_sha256,
                                  call->status != 0 ? call->status : 200, (const char *)text.data,
                                  why);
    json_decref(kept);
    hf_buf_free(&text);
    return err;
}

static bool is_write(const struct hf_api_call *call)
{
    return call->match.route->steps[call->step].where == HF_API_WRITE;
}

static bool is_last(const struct hf_api_call *call)
{
    return call->step + 1 == HF_API_STAGES_MAX ||
           call->match.route->steps[call->step + 1].where == HF_API_END;
}

static enum hf_err run_step(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    const struct hf_api_route *route = call->match.route;
    bool is_kept = is_write(call) && call->idempotency_key[0] != '\0';
    if (is_kept) {
        enum hf_err err = replay(call, tx, why);
        call->is_replayed = err == HF_OK;
        if (err != HF_E_NOT_FOUND)
            return err;
    }
    HF_TRY(route->steps[call->step].run(call, tx, why));
    return is_kept && is_last(call) ? keep_answer(call, tx, why) : HF_OK;
}

/* hf_job.act */
static enum hf_err act(struct hf_job *job, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_api_call *call = (struct hf_api_call *)job;
    json_decref(call->answer);
    call->answer = NULL;
    call->status = 0;
    call->version = call->last = call->next = call->retry_after_s = 0;
    call->next_text[0] = '\0';
    call->is_replayed = false;
    HF_TRY(authenticate(call, tx, why));
    tx->actor = call->asker.actor;
    return run_step(call, tx, why);
}

/* The token alone, on the reader, before a first step that has no database. */
static enum hf_err act_authenticate(struct hf_job *job, struct hf_tx *tx, struct hf_why *why)
{
    return authenticate((struct hf_api_call *)job, tx, why);
}

/* ---- from step to step, on the loop ---------------------------------------------------------- */

static void done(struct hf_job *job);

static enum hf_err submit(struct hf_api_call *call, struct hf_why *why)
{
    enum hf_api_where where = call->match.route->steps[call->step].where;
    bool is_known = call->match.route->role == HF_ADMIN_NONE || call->asker.actor[0] != '\0';
    call->job.done = done;
    call->job.home = hf_mailbox_of(hf_request_loop(call->request));
    call->job.actor = call->asker.actor;
    call->job.act = act;
    call->job.runs_alone = where == HF_API_ALONE;
    if (where == HF_API_WRITE || where == HF_API_ALONE)
        return hf_fleet_write(call->api->config.fleet, &call->job, why);
    if (where == HF_API_READ)
        return hf_fleet_read(call->api->config.fleet, &call->job, why);
    if (is_known)
        return hf_worker_submit(where == HF_API_DISK ? &call->api->disk : &call->api->signer,
                                &call->job, why);
    call->job.act = act_authenticate;
    return hf_fleet_read(call->api->config.fleet, &call->job, why);
}

static void go_on(struct hf_api_call *call)
{
    struct hf_why why = {0};
    const struct hf_api_route *route = call->match.route;
    bool is_here = route->steps[call->step].where == HF_API_LOOP;
    enum hf_err err = is_here ? route->steps[call->step].run(call, NULL, &why) : submit(call, &why);
    if (err != HF_OK)
        refuse(call, hf_problem_status(err), &why);
    else if (is_here)
        succeed(call);
}

/* That a token was used: no answer waits for the note, and one that is lost is made at the next
 * use. */
struct use_note {
    struct hf_job job;
    int64_t token;
};

static enum hf_err act_note_use(struct hf_job *job, struct hf_tx *tx, struct hf_why *why)
{
    return hf_admin_token_note_use(tx, ((struct use_note *)job)->token, why);
}

static void free_note(struct hf_job *job)
{
    free(job);
}

static void note_use(struct hf_api_call *call)
{
    struct use_note *note = call->asker.used_token != 0 ? calloc(1, sizeof *note) : NULL;
    if (note == NULL)
        return;
    note->token = call->asker.used_token;
    note->job = (struct hf_job){.act = act_note_use, .done = free_note, .actor = ""};
    call->asker.used_token = 0;
    if (hf_fleet_write(call->api->config.fleet, &note->job, NULL) != HF_OK)
        free(note);
}

/* The database cannot be written, and the call is one that must not wait for that. */
static bool goes_on_unrecorded(struct hf_api_call *call)
{
    if (!call->needs_no_record || !is_write(call) || !hf_db_is_fault(call->job.err))
        return false;
    if (!call->is_unrecorded)
        hf_service_log(HF_LOG_WARNING, "%s: done for %s without a record in the database: %s",
                       call->match.route->pattern, call->asker.actor, call->job.why.text);
    call->is_unrecorded = true;
    return true;
}

/* hf_job.done */
static void done(struct hf_job *job)
{
    struct hf_api_call *call = (struct hf_api_call *)job;
    note_use(call);
    if (job->err != HF_OK && goes_on_unrecorded(call))
        job->err = is_last(call) && call->answer == NULL /* the writer did not even begin */
                       ? call->match.route->steps[call->step].run(call, NULL, &job->why)
                       : HF_OK;
    if (job->err != HF_OK) {
        refuse(call, call->status >= 400 ? call->status : hf_problem_status(job->err), &job->why);
        return;
    }
    if (call->status >= 400) { /* a refusal that is committed */
        refuse(call, call->status, &job->why);
        return;
    }
    if (job->act == act)
        call->step++;
    if (!call->is_replayed && call->step < HF_API_STAGES_MAX &&
        call->match.route->steps[call->step].where != HF_API_END)
        go_on(call);
    else
        succeed(call);
}

/* ---- begin ----------------------------------------------------------------------------------- */

void hf_api_call_begin(struct hf_api *api, struct hf_gate *gate, struct hf_api_streams *streams,
                       struct hf_request *request, const struct hf_api_route *const *tables)
{
    struct hf_why why = {0};
    struct hf_api_call *call = calloc(1, sizeof *call);
    if (call == NULL) {
        hf_answer_refusal(request, 503);
        return;
    }
    call->api = api;
    call->gate = gate;
    call->streams = streams;
    call->request = request;
    unsigned status = hf_api_call_read(call, tables, &why);
    if (status != 0)
        refuse(call, status, &why);
    else
        go_on(call);
}

/* ---- for steps ------------------------------------------------------------------------------- */

void *hf_api_work(struct hf_api_call *call, size_t size, void (*free_work)(void *work))
{
    if (call->free_work != NULL)
        call->free_work(call->work);
    free(call->work);
    call->work = calloc(1, size);
    call->free_work = call->work != NULL ? free_work : NULL;
    return call->work;
}

enum hf_err hf_api_input(struct hf_api_call *call, enum hf_err err)
{
    if (err != HF_OK && err != HF_E_MEMORY)
        call->status = 400;
    return err;
}

enum hf_err hf_api_limited(struct hf_api_call *call, enum hf_err err)
{
    if (err == HF_E_LIMIT)
        call->status = 429;
    return err;
}

enum hf_err hf_api_answer_take(struct hf_api_call *call, unsigned status, json_t *value,
                               struct hf_why *why)
{
    if (value == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for an answer");
    call->answer = value;
    call->status = status;
    return HF_OK;
}

struct hf_api_page hf_api_page_begin(struct hf_api_call *call, struct hf_tx *tx)
{
    return (struct hf_api_page){call, tx, call->match.limit + 1, json_array()};
}

enum hf_err hf_api_page_add_take(struct hf_api_page *page, int64_t number, json_t *value,
                                 struct hf_why *why)
{
    if (value != NULL && json_array_size(page->rows) == page->call->match.limit) {
        page->call->next = page->call->last;
        json_decref(value);
        return HF_OK;
    }
    page->call->last = number;
    return json_array_append_new(page->rows, value) == 0
               ? HF_OK
               : hf_fail(why, HF_E_MEMORY, "no memory for an answer");
}

enum hf_err hf_api_page_end(struct hf_api_page *page, const char *name, enum hf_err err,
                            struct hf_why *why)
{
    if (err == HF_OK)
        return hf_api_answer_take(page->call, 200,
                                  hf_json_set_take(json_object(), name, page->rows), why);
    json_decref(page->rows);
    return err;
}

enum hf_err hf_api_param_sha256(const struct hf_api_call *call, size_t i,
                                uint8_t out[HF_SHA256_LEN], struct hf_why *why)
{
    if (strlen(call->match.params[i]) == 2 * HF_SHA256_LEN &&
        hf_hex_decode(call->match.params[i], out, HF_SHA256_LEN))
        return HF_OK;
    return hf_fail(why, HF_E_NOT_FOUND,
                   "path: expected the SHA-256 of a certificate, 64 hexadecimal digits");
}

enum hf_err hf_api_param_number(const struct hf_api_call *call, size_t i, int64_t *out,
                                struct hf_why *why)
{
    const char *text = call->match.params[i];
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 18 || text[digits] != '\0')
        return hf_fail(why, HF_E_NOT_FOUND, "path: expected a number");
    *out = strtoll(text, NULL, 10);
    return HF_OK;
}

enum hf_err hf_api_ask_signer_take(struct hf_api_call *call, json_t *request, int fd,
                                   json_t **answer_out, struct hf_why *why)
{
    struct hf_api *api = call->api;
    if (api->config.signer_socket == NULL) {
        json_decref(request);
        return hf_fail(why, HF_E_NETWORK,
                       "this service has no signer. Configure [signer] socket, or sign elsewhere");
    }
    enum hf_err err = hf_signer_call_take(api->config.signer_socket, &api->signer_connection,
                                          request, fd, &api->is_ending, answer_out, why);
    if (err == HF_E_LIMIT) { /* a quota, which may last a day but may be raised; or once a minute */
        bool is_device = call->match.route->role == HF_ADMIN_NONE;
        call->retry_after_s = is_device ? HF_API_QUOTA_RETRY_S : HF_API_REFRESH_RETRY_S;
        call->status = 429;
    }
    if (err == HF_E_ARGUMENT || err == HF_E_FORMAT)
        call->status = 400;
    return err;
}
