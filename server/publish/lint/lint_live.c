/*
 * What a server shows right now: a TLS handshake for each version and each kind of key, and nothing
 * of the application's protocol. For the desk of a publisher: no proxy, no client certificate. A
 * hostile server costs time and memory within bounds, and proves nothing that is not its own.
 */
#include "server/publish/lint/lint_endpoints.h"

#include "common/os/clock.h"
#include "common/os/tls_io.h"
#include "common/tls/tls_look.h"
#include "server/repository/base/terminal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define N_OFFERS 4

/* What came of one offer. */
struct live_answer {
    struct hf_tls_offer offer;
    enum hf_err err; /* HF_OK: `seen` */
    struct hf_tls_look_result seen;
    char silence[HF_WHY_MAX]; /* why there is no chain; empty where there is one */
};

/* As a device's look-out asks. What is offered for any key would show one of these chains again. */
static const struct hf_tls_offer offers[N_OFFERS] = {
    {HF_TLS_13, HF_TLS_KEYS_RSA, false},
    {HF_TLS_13, HF_TLS_KEYS_ECC, false},
    {HF_TLS_12, HF_TLS_KEYS_RSA, false},
    {HF_TLS_12, HF_TLS_KEYS_ECC, false},
};

static const char *version_text(const struct hf_tls_offer *offer)
{
    return offer->version == HF_TLS_13 ? "TLS 1.3" : "TLS 1.2";
}

static const char *keys_text(const struct hf_tls_offer *offer)
{
    return offer->keys == HF_TLS_KEYS_RSA ? "RSA" : "ECC";
}

static void fall_silent(struct live_answer *answer, const struct hf_why *reason)
{
    answer->err = reason->code;
    memcpy(answer->silence, reason->text, sizeof answer->silence);
}

/* HF_E_MEMORY is the only failure. */
static enum hf_err ask(const struct hf_endpoint_url *url, struct hf_tls_wire *wire,
                       struct live_answer *answer, struct hf_why *why)
{
    const struct hf_tls_carrier carrier = hf_tls_io_carrier(wire);
    const struct hf_tls_look_request request = {.server = &url->peer,
                                                .offer = answer->offer,
                                                .alpn = hf_endpoint_url_default_alpn(url)};
    struct hf_why reason = {0};
    enum hf_err err = hf_tls_look(&request, &carrier, &answer->seen, &reason);
    if (err == HF_E_MEMORY)
        return hf_fail(why, err, "%s", reason.text);
    if (err == HF_E_NETWORK && hf_deadline_check(&wire->deadline, NULL) != HF_OK)
        (void)hf_fail(&reason, err, "no answer within %g seconds; given up",
                      (double)wire->deadline.limit_ms / 1000.0);
    answer->err = err;
    if (err != HF_OK)
        fall_silent(answer, &reason);
    return HF_OK;
}

/* A server that swallows one offer without a word may well answer the next, so each has its share of
 * the time; one that takes no connection takes none for the others. */
static enum hf_err ask_offers(const struct hf_endpoint_url *url, struct hf_route *route,
                              int timeout_ms, struct live_answer answers[N_OFFERS],
                              struct hf_why *why)
{
    const int64_t end_ms = hf_monotonic_ms() + timeout_ms;
    struct hf_why reason = {0};
    for (int i = 0; i < N_OFFERS; i++) {
        struct hf_tls_wire wire = {.fd = -1};
        int64_t left_ms = end_ms - hf_monotonic_ms();
        int share_ms = left_ms > 0 ? (int)left_ms / (N_OFFERS - i) : 0;
        wire.deadline = hf_deadline_start(share_ms, share_ms);
        bool is_connected = reason.code == HF_OK && hf_route_connect(route, NULL, &wire.deadline,
                                                                     &wire.fd, &reason) == HF_OK;
        if (!is_connected) {
            fall_silent(&answers[i], &reason);
            continue;
        }
        enum hf_err err = ask(url, &wire, &answers[i], why);
        (void)close(wire.fd);
        HF_TRY(err);
    }
    return HF_OK;
}

static void free_answers(struct live_answer answers[N_OFFERS])
{
    for (size_t i = 0; i < N_OFFERS; i++)
        hf_chain_free(&answers[i].seen.chain);
}

/* Ask `url` for its chains with each offer in turn, within `timeout_ms` for all of them together; the
 * look-up of the name before has as long. A silent server is no failure: every answer
 * says so. HF_E_MEMORY. I/O. */
static enum hf_err look_at(const struct hf_endpoint_url *url, int timeout_ms,
                           bool has_legacy_ciphers, struct live_answer answers[N_OFFERS],
                           struct hf_why *why)
{
    const struct hf_deadline look_up = hf_deadline_start(timeout_ms, timeout_ms);
    struct hf_route route = {0};
    struct hf_why reason = {0};
    for (size_t i = 0; i < N_OFFERS; i++) {
        answers[i] = (struct live_answer){.offer = offers[i], .err = HF_E_NETWORK};
        answers[i].offer.has_legacy_ciphers = has_legacy_ciphers;
    }
    if (hf_route_find(&url->peer, &look_up, &route, &reason) != HF_OK) {
        for (size_t i = 0; i < N_OFFERS; i++)
            fall_silent(&answers[i], &reason);
        return HF_OK;
    }
    enum hf_err err = ask_offers(url, &route, timeout_ms, answers, why);
    hf_route_free(&route);
    if (err != HF_OK)
        free_answers(answers);
    return err;
}

/* ---- what it shows becomes chains, doubts and silences ------------------------------------------ */

/* One server, asked with every offer. */
struct asked_server {
    struct hf_lint_endpoints *endpoints;
    const struct hf_lint_live *live;
    struct live_answer answers[N_OFFERS];
};

/* What does not fit is cut. */
static void append(char *text, size_t cap, const char *fmt, ...) HF_PRINTF(3, 4);
static void append(char *text, size_t cap, const char *fmt, ...)
{
    size_t len = strlen(text);
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text + len, cap - len, fmt, args);
    va_end(args);
}

/* ---- chains ----------------------------------------------------------------------------------- */

/* One chain, and every answer that shows it. */
struct shown {
    const struct hf_chain *chain;
    const char *ending; /* of an answer that proves nothing above the leaf */
    bool has_chain_proof;
    char versions[64]; /* "TLS 1.3, TLS 1.2" */
};

/* Answer `first` and those after it that show the same. */
static struct shown gather(const struct asked_server *h, size_t first)
{
    const struct hf_tls_look_result *seen = &h->answers[first].seen;
    struct shown shown = {.chain = &seen->chain, .ending = seen->ending};
    for (size_t i = first; i < N_OFFERS; i++) {
        const struct live_answer *answer = &h->answers[i];
        if (answer->err != HF_OK || !hf_chain_equal(&answer->seen.chain, shown.chain))
            continue;
        shown.has_chain_proof = shown.has_chain_proof || answer->seen.has_chain_proof;
        append(shown.versions, sizeof shown.versions, "%s%s", shown.versions[0] == '\0' ? "" : ", ",
               version_text(&answer->offer));
    }
    return shown;
}

static bool is_shown_before(const struct asked_server *h, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (h->answers[i].err == HF_OK &&
            hf_chain_equal(&h->answers[i].seen.chain, &h->answers[index].seen.chain))
            return true;
    }
    return false;
}

/* Empty: it is evidence. */
static void find_doubt(const struct shown *shown, char out[HF_WHY_MAX])
{
    out[0] = '\0';
    if (!shown->has_chain_proof)
        append(out, HF_WHY_MAX,
               "TLS 1.2 proves a chain at its very end only, which did not come: %s",
               shown->ending);
}

static enum hf_err add_chain(struct asked_server *h, const struct shown *shown, struct hf_why *why)
{
    struct hf_lint_chain *chain = NULL;
    struct hf_why reason = {0};
    char text[HF_WHY_MAX] = "";
    enum hf_err err = hf_lint_chain_new(h->live->name, shown->versions, h->live->url.peer.host,
                                        shown->chain, &chain, &reason);
    if (err == HF_E_MEMORY)
        return hf_fail(why, err, "%s", reason.text);
    if (err != HF_OK) {
        append(text, sizeof text, "the chain that it shows cannot be read: %s", reason.text);
        return hf_lint_endpoints_add_silence(h->endpoints, h->live->name, text, why);
    }
    chain->is_live = true;
    find_doubt(shown, text);
    if (text[0] != '\0' && (chain->doubt = strdup(text)) == NULL) {
        hf_lint_chain_free(chain);
        return hf_fail(why, HF_E_MEMORY, "out of memory for endpoints");
    }
    return hf_lint_endpoints_add_take(h->endpoints, chain, why);
}

static enum hf_err add_chains(struct asked_server *h, struct hf_why *why)
{
    for (size_t i = 0; i < N_OFFERS; i++) {
        if (h->answers[i].err != HF_OK || is_shown_before(h, i))
            continue;
        struct shown shown = gather(h, i);
        HF_TRY(add_chain(h, &shown, why));
    }
    return HF_OK;
}

/* ---- silence ---------------------------------------------------------------------------------- */

static bool has_chain(const struct asked_server *h, enum hf_tls_keys keys)
{
    for (size_t i = 0; i < N_OFFERS; i++) {
        const struct live_answer *answer = &h->answers[i];
        if (answer->err == HF_OK && (keys == HF_TLS_KEYS_ANY || answer->offer.keys == keys))
            return true;
    }
    return false;
}

/* A TLS alert says that there is no such key; without one, it is unknown. */
static bool is_unexplained(const struct live_answer *answer, enum hf_tls_keys keys)
{
    return answer->err != HF_OK && answer->err != HF_E_TLS && answer->offer.keys == keys;
}

/* Each reason once, with the offer that it was first given to. */
static void append_reason(const struct asked_server *h, size_t index, char out[HF_WHY_MAX])
{
    const struct live_answer *answer = &h->answers[index];
    for (size_t i = 0; i < index; i++) {
        if (strcmp(h->answers[i].silence, answer->silence) == 0)
            return;
    }
    append(out, HF_WHY_MAX, "%s%s with %s: %s", out[0] == '\0' ? "" : "; ",
           version_text(&answer->offer), keys_text(&answer->offer), answer->silence);
}

static enum hf_err note_no_key(struct asked_server *h, enum hf_tls_keys keys, struct hf_why *why)
{
    char text[HF_WHY_MAX] = "";
    if (has_chain(h, keys))
        return HF_OK;
    for (size_t i = 0; i < N_OFFERS; i++) {
        if (is_unexplained(&h->answers[i], keys))
            append_reason(h, i, text);
    }
    if (text[0] == '\0')
        return HF_OK;
    return hf_lint_endpoints_add_silence(h->endpoints, h->live->name, text, why);
}

static enum hf_err note_silence(struct asked_server *h, struct hf_why *why)
{
    char text[HF_WHY_MAX] = "";
    if (has_chain(h, HF_TLS_KEYS_ANY)) {
        HF_TRY(note_no_key(h, HF_TLS_KEYS_RSA, why));
        return note_no_key(h, HF_TLS_KEYS_ECC, why);
    }
    for (size_t i = 0; i < N_OFFERS; i++)
        append_reason(h, i, text);
    return hf_lint_endpoints_add_silence(h->endpoints, h->live->name, text, why);
}

/* ---- all of it -------------------------------------------------------------------------------- */

/* HF_E_MEMORY, HF_E_LIMIT. */
static enum hf_err ask_server(struct hf_lint_endpoints *endpoints, const struct hf_lint_live *live,
                              const struct hf_lint_sources *sources, struct hf_why *why)
{
    struct asked_server h = {.endpoints = endpoints, .live = live};
    hf_verbose("asking %s for its chains, with TLS 1.3 and 1.2, for RSA and ECC keys", live->name);
    HF_TRY(look_at(&live->url, sources->timeout_s * 1000, sources->has_legacy_ciphers, h.answers,
                   why));
    enum hf_err err = add_chains(&h, why);
    if (err == HF_OK)
        err = note_silence(&h, why);
    free_answers(h.answers);
    return err;
}

/* ---- everything ------------------------------------------------------------------------------- */

static enum hf_err ask_all(const struct hf_lint_sources *sources, struct hf_lint_endpoints *e,
                           struct hf_why *why)
{
    bool is_watched = isatty(STDERR_FILENO) == 1;
    for (size_t i = 0; i < e->n_live; i++) {
        if (is_watched)
            fprintf(stderr, "asking %s for its chains (%zu of %zu)\n", e->live[i].name, i + 1,
                    e->n_live);
        HF_TRY(ask_server(e, &e->live[i], sources, why));
    }
    return HF_OK;
}

enum hf_err hf_lint_endpoints_load(const struct hf_lint_sources *sources,
                                   struct hf_lint_endpoints *out, struct hf_why *why)
{
    struct hf_lint_endpoints endpoints = {0};
    HF_TRY(hf_lint_endpoints_read(sources, &endpoints, why));
    enum hf_err err = ask_all(sources, &endpoints, why);
    if (err != HF_OK) {
        hf_lint_endpoints_free(&endpoints);
        return err;
    }
    *out = endpoints;
    return HF_OK;
}
