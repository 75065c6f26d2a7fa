#include "client/core/refresh.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* How much an error says about what is wrong. Below zero: the fault is here, not at a mirror, and
 * asking another one would not help. */
static int telling(enum hf_err err)
{
    switch (err) {
    case HF_E_NOT_FOUND:
    case HF_E_NETWORK:
    case HF_E_TLS:
        return 1;
    case HF_E_UNTRUSTED:
    case HF_E_FORMAT: /* captive portals are chatty */
    case HF_E_LIMIT:
        return 2;
    case HF_E_EXPIRED:
    case HF_E_HASH:
    case HF_E_POLICY:
        return 3;
    case HF_E_SIGNATURE:
    case HF_E_ROLLBACK:
        return 4;
    case HF_OK:
    case HF_E_ARGUMENT:
    case HF_E_MEMORY:
    case HF_E_SAME_VERSION:
    case HF_E_STORAGE:
    case HF_E_SCHEMA:
    case HF_E_BUSY:
    case HF_E_KEY:
    case HF_E_STATE:
    case HF_E_POSTPONED:
        return -1;
    }
    return -1;
}

enum hf_err hf_mirror_blame_answer(enum hf_err err, struct hf_why *why)
{
    struct hf_why reason;

    if (err != HF_E_MEMORY)
        return err;
    reason = *why;
    return hf_fail(why, HF_E_LIMIT, "the answer does not fit into the memory of this device (%s)",
                   reason.text);
}

bool hf_mirror_is_to_blame(enum hf_err err)
{
    return telling(err) > 0;
}

static enum hf_err judge_status(struct hf_client *c, const struct hf_fetch *fetch,
                                const struct hf_response *answer, struct hf_why *why)
{
    int status = answer->status;
    if (status == 200 || (status == 304 && fetch->etag != NULL))
        return fetch->accept(c, fetch->arg, answer, why);
    if (status == 403 || status == 404 || status == 410)
        return hf_fail(why, HF_E_NOT_FOUND,
                       "there is no such file (HTTP %d); is this the address of the repository?",
                       status);
    return hf_fail(why, HF_E_NETWORK, "expected HTTP 200, found HTTP %d", status);
}

static bool is_fault(const struct hf_fetch *fetch, enum hf_err err)
{
    if (err == HF_E_NOT_FOUND)
        return fetch->missing == HF_MISSING_IS_A_FAULT;
    return hf_mirror_is_to_blame(err);
}

static void log_request(const struct hf_client *c, const struct hf_request *request,
                        enum hf_err err, const struct hf_response *answer)
{
    const char *waived = request->waives_validation ? ", chain not validated (recovery)" : "";

    if (err != HF_OK)
        hf_log(c, HF_LEVEL_DEBUG, "GET %s: failed with \"%s\"", request->url, hf_err_name(err));
    else
        hf_log(c, HF_LEVEL_DEBUG, "GET %s: HTTP %d, %zu bytes, %s%s", request->url, answer->status,
               answer->body.len, answer->tls[0] != '\0' ? answer->tls : "no TLS", waived);
}

static enum hf_err ask(struct hf_client *c, const struct hf_fetch *fetch, size_t mirror,
                       struct hf_why *why)
{
    const struct hf_transport_port *transport = &c->ports.transport;
    struct hf_response answer = {0};
    struct hf_buf url = {0};
    enum hf_err err;

    if (hf_buf_printf(&url, "%s/%s", c->urls[mirror], fetch->path) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory for an address");
    struct hf_request request = {(const char *)url.data, fetch->etag, fetch->max_bytes,
                                 c->waives_validation};
    err = transport->fetch(transport->ctx, &request, &answer, why);
    log_request(c, &request, err, &answer);
    if (c->waives_validation)
        answer.etag[0] = '\0'; /* sent back one day, it would tell this device from others */
    if (err == HF_OK)
        err = judge_status(c, fetch, &answer, why);
    if (err == HF_OK)
        err = hf_trusted_set_shed(&c->trusted, why);
    if (telling(err) > 0 && strstr(why->text, request.url) == NULL) /* a transport may name it */
        (void)hf_fail_context(why, "%s", request.url);
    c->faults[mirror].was_asked = true;
    if (is_fault(fetch, err))
        hf_mirror_faults_note(c, mirror, why);
    hf_buf_free(&answer.body);
    hf_buf_free(&url);
    return err;
}

/* ---- the check as a whole -------------------------------------------------------------------- */

void hf_mirrors_begin_check(struct hf_client *c)
{
    c->mirror = c->first_mirror;
    c->first_mirror = (c->first_mirror + 1) % c->n_urls;
    c->check_began_ms = hf_client_uptime_ms(c);
    c->waives_validation = false;
    hf_mirror_faults_begin_check(c);
}

static enum hf_err check_time_left(const struct hf_client *c, struct hf_why *why)
{
    if (hf_client_uptime_ms(c) - c->check_began_ms < HF_TIMEOUT_CHECK_MS)
        return HF_OK;
    return hf_fail(why, HF_E_NETWORK,
                   "expected the whole check to take at most %d minutes, it has taken longer; what "
                   "was verified is kept, and the next check continues from there",
                   HF_TIMEOUT_CHECK_MS / 60000);
}

/* ---- one fetch ------------------------------------------------------------------------------- */

enum hf_err hf_mirrors_fetch(struct hf_client *c, const struct hf_fetch *fetch, struct hf_why *why)
{
    struct hf_why most_telling = {.code = HF_OK};
    struct hf_fetch request = *fetch;
    size_t first = c->mirror;
    bool has_stale = false;

    if (c->waives_validation)
        request.etag = NULL;
    for (size_t i = 0; i < c->n_urls; i++) {
        size_t mirror = (first + i) % c->n_urls;
        enum hf_err err = check_time_left(c, why);
        if (err == HF_OK)
            err = ask(c, &request, mirror, why);
        if (err == HF_OK || (err == HF_E_NOT_FOUND && fetch->missing == HF_MISSING_ENDS)) {
            c->mirror = mirror;
            has_stale = err == HF_OK && fetch->is_stale != NULL && fetch->is_stale(c);
            if (!has_stale)
                return err;
        } else if (telling(err) < 0) {
            return err;
        } else if (telling(err) >= telling(most_telling.code)) {
            most_telling = *why;
        }
    }
    if (has_stale) /* and no mirror has a newer one */
        return HF_OK;
    *why = most_telling;
    return why->code;
}

/* ---- what the journal says of each of several mirrors ---------------------------------------- */

/* With one mirror alone, how the check ended says it all. */
static bool is_told(const struct hf_client *c)
{
    return c->n_urls > 1;
}

/* One decimal number a mirror, in their order, with single spaces between. */
static void parse_faults(const char *text, struct hf_client *c)
{
    for (size_t i = 0; i < c->n_urls; i++) {
        char *end = NULL;
        c->faults[i].journaled = (uint32_t)strtoul(text, &end, 10);
        text = end;
    }
}

void hf_mirror_faults_load(struct hf_client *c)
{
    struct hf_buf text = {0};
    struct hf_why why = {0};

    if (!is_told(c) || hf_value_load(c, "mirror.faults", &text, &why) != HF_OK)
        return;
    parse_faults((const char *)text.data, c);
    hf_buf_free(&text);
}

/* What the journal has of a mirror when this check is over. */
static uint32_t known_after(const struct hf_mirror_faults *faults)
{
    bool is_well = faults->was_asked && faults->now == 0;
    return is_well ? 0 : faults->journaled | faults->now;
}

void hf_mirror_faults_begin_check(struct hf_client *c)
{
    for (size_t i = 0; i < c->n_urls; i++)
        c->faults[i] = (struct hf_mirror_faults){.journaled = known_after(&c->faults[i])};
}

void hf_mirror_faults_note(struct hf_client *c, size_t mirror, const struct hf_why *why)
{
    uint32_t fault = UINT32_C(1) << why->code;
    bool is_news = ((c->faults[mirror].journaled | c->faults[mirror].now) & fault) == 0;
    struct hf_why unwritten = {0};

    c->faults[mirror].now |= fault;
    if (!is_told(c))
        return;
    if (!is_news)
        hf_log(c, HF_LEVEL_WARNING, "%s", why->text);
    else if (hf_journal(c, HF_LEVEL_WARNING, "mirror", why->text, &unwritten) != HF_OK)
        hf_log(c, HF_LEVEL_WARNING, "the journal cannot be written: %s", unwritten.text);
}

/* ---- the end of a check ---------------------------------------------------------------------- */

static enum hf_err tell_recovery(struct hf_client *c, size_t mirror, struct hf_why *why)
{
    struct hf_buf text = {0};

    if (hf_buf_printf(&text, "%s answers well again", c->urls[mirror]) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a line of the journal");
    enum hf_err err = hf_journal(c, HF_LEVEL_INFO, "mirror", (const char *)text.data, why);
    hf_buf_free(&text);
    return err;
}

static enum hf_err save_faults(struct hf_client *c, struct hf_why *why)
{
    struct hf_buf text = {0};
    enum hf_err err = HF_OK;

    for (size_t i = 0; i < c->n_urls && err == HF_OK; i++)
        err = hf_buf_printf(&text, "%s%" PRIu32, i > 0 ? " " : "", known_after(&c->faults[i]));
    err = err == HF_OK ? hf_value_save(c, "mirror.faults", (const char *)text.data, why)
                       : hf_fail(why, err, "out of memory for what is known of the mirrors");
    hf_buf_free(&text);
    return err;
}

enum hf_err hf_mirror_faults_write(struct hf_client *c, struct hf_why *why)
{
    bool is_changed = false;

    for (size_t i = 0; i < c->n_urls && is_told(c); i++) {
        uint32_t known = known_after(&c->faults[i]);
        if (known == 0 && c->faults[i].journaled != 0)
            HF_TRY(tell_recovery(c, i, why));
        is_changed = is_changed || known != c->faults[i].journaled;
    }
    return is_changed ? save_faults(c, why) : HF_OK;
}
