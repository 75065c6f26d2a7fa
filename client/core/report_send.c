/*
 * The queue on its way to the service. What the service has acknowledged is removed; what it has
 * not stays, with a wait that grows. A report that the service will never take is sent alone, and
 * given up in the end, so that it does not keep the others back.
 */
#include "client/core/report.h"

#include "common/json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_FIRST_S INT64_C(300)
#define RETRY_MAX_S (6 * INT64_C(3600))
#define RETRY_ASKED_MAX_S (7 * HF_DAY_S) /* a service that asks for more gets this */
#define FAILURES_COUNTED_MAX 16          /* the longest wait is reached with 8 */
#define REFUSALS_MAX 3                   /* of one report, before it is given up */
#define ROUNDS_MAX 3                     /* requests at once: a full queue is two */
#define CLOCK_SLACK_S INT64_C(3600)

/* ---- a batch --------------------------------------------------------------------------------- */

struct batch {
    const struct hf_client *c;
    struct hf_buf body; /* what is sent */
    int64_t seqs[HF_REPORT_LIST_MAX];
    size_t n, max;
    int64_t damaged; /* a row that is no report, 0: none */
    size_t n_waiting;
    enum hf_err err; /* HF_E_MEMORY */
};

static enum hf_err append_json(struct batch *b, struct hf_report *report)
{
    const struct hf_report_state *s = &b->c->state.report;

    memcpy(report->nonce, s->nonce, sizeof report->nonce);
    report->sent_s = hf_client_clock_s(b->c);
    HF_TRY(hf_buf_append_text(&b->body, b->n == 0 ? "[" : ","));
    return hf_report_write(report, &b->body, NULL);
}

static void take(void *ctx, int64_t seq, struct hf_bytes json)
{
    struct batch *b = ctx;
    struct hf_report *report = NULL;
    size_t n = 0;

    b->n_waiting++;
    if (b->n == b->max || b->err != HF_OK)
        return;
    enum hf_err err = hf_report_list_read(json, &report, &n, NULL);
    if (err == HF_OK && report[0].seq == seq) {
        b->err = append_json(b, &report[0]);
        b->seqs[b->n++] = seq;
    } else if (err == HF_E_MEMORY) {
        b->err = err;
    } else {
        b->damaged = seq;
    }
    free(report);
}

/* The oldest ones. hf_buf_free `out->body` in any case. */
static enum hf_err make_batch(struct hf_client *c, size_t max, struct batch *out,
                              struct hf_why *why)
{
    const struct hf_store_port *store = &c->ports.store;

    *out = (struct batch){.c = c, .max = max};
    HF_TRY(store->load_reports(store->ctx, take, out, why));
    if (out->err == HF_OK && out->n > 0)
        out->err = hf_buf_append_text(&out->body, "]");
    return out->err == HF_OK ? HF_OK : hf_fail(why, out->err, "out of memory for reports");
}

/* ---- what the service says ------------------------------------------------------------------- */

/* Is it about what was sent? What concerns the device, the address or the moment can change. */
static bool is_about_content(int status)
{
    return status == 400 || status == 413 || status == 415 || status == 422;
}

static enum hf_err fail_with_status(const struct hf_post_answer *answer, struct hf_why *why)
{
    char reason[400];

    if (answer->status / 100 == 3)
        return hf_fail(why, HF_E_NETWORK,
                       "the reports are redirected to another address (HTTP %d), which is not "
                       "followed; set that address with `holdfast config set report URL`",
                       answer->status);
    hf_json_problem(hf_buf_bytes(&answer->body), reason, sizeof reason);
    return hf_fail(why, answer->status >= 400 && answer->status < 500 ? HF_E_POLICY : HF_E_NETWORK,
                   "the service does not take the reports (HTTP %d)%s%s", answer->status,
                   reason[0] != '\0' ? ": " : "", reason);
}

/* Removed, and what comes with it, in one transaction. */
static enum hf_err acknowledge(struct hf_client *c, const struct batch *b, const char *nonce,
                               struct hf_why *why)
{
    const struct hf_store_port *store = &c->ports.store;
    struct hf_report_state *s = &c->state.report;
    enum hf_err err = HF_OK;

    HF_TRY(hf_state_begin(c, why));
    for (size_t i = 0; i < b->n && err == HF_OK; i++)
        err = store->remove_report(store->ctx, b->seqs[i], why);
    (void)snprintf(s->nonce, sizeof s->nonce, "%s", nonce);
    s->sent_s = hf_client_now_s(c);
    s->n_failures = s->n_refusals = s->wait_s = s->tried_s = 0;
    s->error[0] = '\0';
    return hf_state_end(c, err, why);
}

/* From three quarters of the wait to five quarters. What the service asks for, up to a week, is
 * never cut short. */
static int64_t next_wait_s(const struct hf_client *c, int64_t retry_after_s)
{
    int64_t wait_s = RETRY_FIRST_S;
    uint32_t drawn = 0;

    c->ports.random.fill(c->ports.random.ctx, &drawn, sizeof drawn);
    for (int64_t i = 1; i < c->state.report.n_failures && wait_s < RETRY_MAX_S; i++)
        wait_s *= 2;
    if (wait_s > RETRY_MAX_S)
        wait_s = RETRY_MAX_S;
    wait_s = wait_s * 3 / 4 + ((wait_s / 2 * drawn) >> 32);
    if (retry_after_s > RETRY_ASKED_MAX_S)
        retry_after_s = RETRY_ASKED_MAX_S;
    if (retry_after_s > wait_s)
        wait_s = retry_after_s + ((retry_after_s / 8 * drawn) >> 32);
    return wait_s;
}

/* `failure` is why; `status` 0: there was no answer. */
static enum hf_err count_failure(struct hf_client *c, const struct batch *b, int status,
                                 int64_t retry_after_s, const struct hf_why *failure,
                                 struct hf_why *why)
{
    const struct hf_store_port *store = &c->ports.store;
    struct hf_report_state *s = &c->state.report;
    char text[HF_WHY_MAX];
    enum hf_err err = HF_OK;

    HF_TRY(hf_state_begin(c, why));
    bool is_news = status >= 400 && status < 500 && strcmp(s->error, failure->text) != 0;
    s->n_failures += s->n_failures < FAILURES_COUNTED_MAX;
    s->n_refusals = is_about_content(status) ? s->n_refusals + 1 : 0;
    s->tried_s = hf_client_now_s(c);
    s->wait_s = next_wait_s(c, retry_after_s);
    (void)snprintf(s->error, sizeof s->error, "%s", failure->text);
    (void)snprintf(text, sizeof text, "reports: %.500s", failure->text);
    if (s->n_refusals >= REFUSALS_MAX && b->n == 1) {
        (void)snprintf(text, sizeof text, "report %lld is given up: %.500s", (long long)b->seqs[0],
                       failure->text);
        err = store->remove_report(store->ctx, b->seqs[0], why);
        s->n_refusals = 0;
        is_news = true;
    }
    if (err == HF_OK && is_news)
        err = hf_journal(c, HF_LEVEL_WARNING, "report", text, why);
    return hf_state_end(c, err, why);
}

/* ---- sending --------------------------------------------------------------------------------- */

/* One request. HF_OK: the service has them, and they are removed. */
static enum hf_err send_batch(struct hf_client *c, const struct batch *b, int timeout_ms,
                              struct hf_why *why)
{
    const struct hf_transport_port *transport = &c->ports.transport;
    const struct hf_post post = {.url = c->reporter.url,
                                 .body = hf_buf_bytes(&b->body),
                                 .created_s = hf_client_clock_s(c),
                                 .timeout_ms = timeout_ms,
                                 .max_bytes = HF_REPORT_PROBLEM_MAX,
                                 .needs_new_connection = c->has_swapped};
    struct hf_post_answer answer = {.retry_after_s = -1};
    struct hf_report_answer taken;
    struct hf_why unsaved = {0};

    enum hf_err err = transport->post(transport->ctx, &post, &answer, why);
    if (err == HF_OK)
        err = answer.status == 200 ? hf_report_answer_read(hf_buf_bytes(&answer.body), &taken, why)
                                   : fail_with_status(&answer, why);
    hf_log(c, HF_LEVEL_DEBUG, "POST %.300s: %zu reports, HTTP %d", c->reporter.url, b->n,
           answer.status);
    if (err == HF_OK) {
        c->has_swapped = false;
        err = acknowledge(c, b, taken.nonce, why);
    } else if (count_failure(c, b, answer.status, answer.retry_after_s, why, &unsaved) != HF_OK) {
        hf_log(c, HF_LEVEL_WARNING, "that reports failed cannot be written down: %s", unsaved.text);
    }
    hf_buf_free(&answer.body);
    return err;
}

static bool has_to_wait(const struct hf_client *c)
{
    const struct hf_report_state *s = &c->state.report;
    const int64_t now_s = hf_client_now_s(c);

    return s->n_failures > 0 && s->tried_s <= now_s + CLOCK_SLACK_S &&
           now_s < s->tried_s + s->wait_s;
}

static enum hf_err send_all(struct hf_client *c, int timeout_ms, size_t *n_sent, struct hf_why *why)
{
    const struct hf_store_port *store = &c->ports.store;
    const int64_t began_ms = hf_client_uptime_ms(c);
    struct batch b;
    enum hf_err err = HF_OK;

    for (int round = 0; round < ROUNDS_MAX && err == HF_OK; round++) {
        const int64_t left_ms = (int64_t)timeout_ms - (hf_client_uptime_ms(c) - began_ms);
        if (left_ms <= 0)
            break;
        err = make_batch(c, c->state.report.n_refusals > 0 ? 1 : HF_REPORT_LIST_MAX, &b, why);
        const bool is_all = b.n == b.n_waiting;
        if (err == HF_OK && b.damaged > 0)
            err = store->remove_report(store->ctx, b.damaged, why);
        if (err == HF_OK && b.n > 0)
            err = send_batch(c, &b, (int)left_ms, why);
        if (err == HF_OK)
            *n_sent += b.n;
        hf_buf_free(&b.body);
        if (is_all || (round == 0 && c->ports.clock.uptime_ms == NULL))
            break;
    }
    return err;
}

static bool can_send(const struct hf_client *c)
{
    return c->reporter.is_on && c->ports.transport.post != NULL;
}

void hf_report_announce(struct hf_client *c, const struct hf_candidate *cand)
{
    const struct hf_report_event event = {.kind = HF_REPORT_ANNOUNCE,
                                          .from = cand->has_active ? cand->active.version : -1,
                                          .to = cand->record.version,
                                          .sha256 = cand->record.sha256,
                                          .outcome = HF_OK};
    struct hf_why why = {0};
    size_t n_sent = 0;

    if (!c->reporter.is_on || cand->is_active)
        return;
    enum hf_err err = hf_state_begin(c, &why);
    if (err == HF_OK) {
        hf_report_note(c, &event);
        err = hf_state_end(c, HF_OK, &why);
    }
    /* In a recovery no server could be validated; what is sent then would cost five seconds for
     * nothing. */
    if (err == HF_OK && can_send(c) && !c->waives_validation && !has_to_wait(c))
        err = send_all(c, HF_REPORT_ANNOUNCE_MS, &n_sent, &why);
    if (err != HF_OK)
        hf_log(c, HF_LEVEL_INFO, "the install is not announced: %s", why.text);
}

enum hf_err hf_client_send_reports(struct hf_client *client, int timeout_ms, bool is_now,
                                   size_t *n_sent, struct hf_why *why)
{
    struct hf_why own = {0};
    size_t n = 0;

    if (!can_send(client))
        return is_now ? hf_fail(why, HF_E_STATE,
                                "no reports are sent; set the service with `holdfast config set "
                                "report URL`")
                      : HF_OK;
    hf_state_load(client);
    if (!is_now && has_to_wait(client))
        return HF_OK;
    enum hf_err err = send_all(client, timeout_ms, &n, &own);
    if (n_sent != NULL)
        *n_sent = n;
    return hf_pass_on(why, &own, err);
}

/* ---- for people ------------------------------------------------------------------------------ */

enum hf_err hf_client_show_reports(struct hf_client *client, struct hf_buf *out, size_t *n,
                                   struct hf_why *why)
{
    struct hf_why own = {0};
    struct batch b = {0};
    enum hf_err err = HF_OK;

    hf_state_load(client);
    if (client->ports.store.load_reports != NULL)
        err = make_batch(client, client->state.report.n_refusals > 0 ? 1 : HF_REPORT_LIST_MAX, &b,
                         &own);
    if (err == HF_OK && hf_buf_append(out, b.body.data, b.body.len) != HF_OK)
        err = hf_fail(&own, HF_E_MEMORY, "out of memory for reports");
    if (err == HF_OK)
        *n = b.n;
    hf_buf_free(&b.body);
    return hf_pass_on(why, &own, err);
}

void hf_client_report_status(struct hf_client *client, struct hf_report_status *out)
{
    const struct hf_report_state *s = &client->state.report;
    struct hf_why why = {0};
    struct batch b = {0};

    hf_state_load(client);
    if (client->ports.store.load_reports != NULL)
        (void)make_batch(client, 0, &b, &why);
    *out = (struct hf_report_status){.is_on = client->reporter.is_on,
                                     .n_waiting = b.n_waiting,
                                     .last_sent_s = s->sent_s,
                                     .n_failures = s->n_failures,
                                     .next_try_s = s->n_failures > 0 ? s->tried_s + s->wait_s
                                                                     : HF_TIME_NONE};
    (void)snprintf(out->url, sizeof out->url, "%s", client->reporter.url);
    (void)snprintf(out->last_error, sizeof out->last_error, "%s", s->error);
}

enum hf_err hf_client_report_to(struct hf_client *client, const char *url, struct hf_why *why)
{
    if (url == NULL) {
        client->reporter = (struct hf_reporter){0};
        return HF_OK;
    }
    if (strlen(url) > HF_URL_MAX || client->device_id[0] == '\0' ||
        client->ports.store.append_report == NULL)
        return hf_fail(why, HF_E_ARGUMENT,
                       "reports need a URL of at most %d bytes, a device id, and a store that "
                       "keeps them",
                       HF_URL_MAX);
    client->reporter = (struct hf_reporter){.is_on = true};
    (void)snprintf(client->reporter.url, sizeof client->reporter.url, "%s", url);
    return HF_OK;
}

enum hf_err hf_client_forget_reports(struct hf_client *client, struct hf_why *why)
{
    struct hf_why own = {0};

    hf_state_load(client);
    enum hf_err err = hf_state_begin(client, &own);
    if (err == HF_OK)
        err = hf_state_end(client, hf_report_forget(client, &own), &own);
    return hf_pass_on(why, &own, err);
}
