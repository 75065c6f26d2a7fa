/* One repository behind several addresses: which one is asked, and what the journal says of
 * each. */
#include "client/core/refresh.h"

#include <inttypes.h>
#include <stdio.h>
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

/* Each kind of fault is journaled once. With one mirror alone, the outcome of the check says it
 * all. */
static void note_fault(struct hf_client *c, size_t mirror, const struct hf_why *why)
{
    struct hf_mirror_faults *faults = &c->faults[mirror];
    uint32_t fault = UINT32_C(1) << why->code;
    bool is_news = ((faults->journaled | faults->now) & fault) == 0;

    faults->now |= fault;
    if (c->n_urls == 1)
        return;
    if (is_news)
        hf_journal_or_log(c, HF_LEVEL_WARNING, "mirror", why->text);
    else
        hf_log(c, HF_LEVEL_WARNING, "%s", why->text);
}

static enum hf_err accept_answer(struct hf_client *c, const struct hf_fetch *fetch,
                                 struct hf_response *answer, struct hf_why *why)
{
    const int status = answer->status;

    if (status == 403 || status == 404 || status == 410)
        return hf_fail(why, HF_E_NOT_FOUND,
                       "there is no such file (HTTP %d); is this the address of the repository?",
                       status);
    if (status != 200 && (status != 304 || fetch->etag == NULL))
        return hf_fail(why, HF_E_NETWORK, "expected HTTP 200, found HTTP %d", status);
    HF_TRY(fetch->accept(c, fetch->arg, answer, why));
    return hf_trusted_set_shed(&c->trusted, why);
}

static enum hf_err ask(struct hf_client *c, const struct hf_fetch *fetch, size_t mirror,
                       struct hf_why *why)
{
    const struct hf_transport_port *transport = &c->ports.transport;
    struct hf_response answer = {0};
    struct hf_buf url = {0};

    if (hf_client_uptime_ms(c) - c->check_began_ms >= HF_TIMEOUT_CHECK_MS)
        return hf_fail(why, HF_E_NETWORK,
                       "expected the whole check to take at most %d minutes, it has taken longer; "
                       "what was verified is kept, and the next check continues from there",
                       HF_TIMEOUT_CHECK_MS / 60000);
    if (hf_buf_printf(&url, "%s/%s", c->urls[mirror], fetch->path) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory for an address");
    const struct hf_request request = {(const char *)url.data, fetch->etag, fetch->max_bytes,
                                       c->waives_validation};
    enum hf_err err = transport->fetch(transport->ctx, &request, &answer, why);
    if (err != HF_OK)
        hf_log(c, HF_LEVEL_DEBUG, "GET %s: failed with \"%s\"", request.url, hf_err_name(err));
    else
        hf_log(c, HF_LEVEL_DEBUG, "GET %s: HTTP %d, %zu bytes, %s%s%s", request.url, answer.status,
               answer.body.len, answer.tls[0] != '\0' ? answer.tls : "no TLS", answer.way,
               c->waives_validation ? ", chain not validated (recovery)" : "");
    if (c->waives_validation)
        answer.etag[0] = '\0'; /* sent back one day, it would tell this device from others */
    if (err == HF_OK)
        err = accept_answer(c, fetch, &answer, why);
    if (telling(err) > 0 && strstr(why->text, request.url) == NULL) /* a transport may name it */
        (void)hf_fail_context(why, "%s", request.url);
    c->faults[mirror].was_asked = true;
    if (err == HF_E_NOT_FOUND ? fetch->missing == HF_MISSING_IS_A_FAULT : telling(err) > 0)
        note_fault(c, mirror, why);
    hf_buf_free(&answer.body);
    hf_buf_free(&url);
    return err;
}

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
        enum hf_err err = ask(c, &request, mirror, why);
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

void hf_mirrors_init(struct hf_client *c)
{
    const char *text = c->state.mirror_faults;

    c->first_mirror = (size_t)((uint64_t)c->state.next_mirror % c->n_urls);
    c->mirror = c->first_mirror;
    for (size_t i = 0; i < c->n_urls; i++) { /* one decimal number a mirror */
        char *end = NULL;
        c->faults[i] = (struct hf_mirror_faults){.journaled = (uint32_t)strtoul(text, &end, 10)};
        text = end;
    }
}

/* What the journal has of a mirror when this check is over. */
static uint32_t known_after(const struct hf_mirror_faults *faults)
{
    bool is_well = faults->was_asked && faults->now == 0;
    return is_well ? 0 : faults->journaled | faults->now;
}

void hf_mirrors_begin_check(struct hf_client *c)
{
    c->mirror = c->first_mirror;
    c->first_mirror = (c->first_mirror + 1) % c->n_urls;
    c->check_began_ms = hf_client_uptime_ms(c);
    c->waives_validation = false;
    for (size_t i = 0; i < c->n_urls; i++)
        c->faults[i] = (struct hf_mirror_faults){.journaled = known_after(&c->faults[i])};
}

enum hf_err hf_mirrors_end_check(struct hf_client *c, struct hf_why *why)
{
    struct hf_device_state *s = &c->state;
    char text[HF_URL_MAX + 32];
    bool is_changed = false;
    size_t len = 0;

    if (c->n_urls == 1)
        return HF_OK;
    s->next_mirror = (int64_t)c->first_mirror;
    for (size_t i = 0; i < c->n_urls; i++) {
        uint32_t known = known_after(&c->faults[i]);
        is_changed = is_changed || known != c->faults[i].journaled;
        if (known != 0 || c->faults[i].journaled == 0)
            continue;
        (void)snprintf(text, sizeof text, "%s answers well again", c->urls[i]);
        HF_TRY(hf_journal(c, HF_LEVEL_INFO, "mirror", text, why));
    }
    for (size_t i = 0; i < c->n_urls && is_changed; i++)
        len += (size_t)snprintf(s->mirror_faults + len, sizeof s->mirror_faults - len, "%s%" PRIu32,
                                i > 0 ? " " : "", known_after(&c->faults[i]));
    return HF_OK;
}
