/*
 * What a server shows right now: a TLS handshake for each version and each kind of key, and nothing
 * of the application's protocol. For the desk of a publisher: no proxy, no client certificate. A
 * hostile server costs time and memory within bounds, and proves nothing that is not its own.
 */
#include "server/publish/lint/lint_endpoints.h"

#include "common/base/plaintext.h"
#include "common/os/clock.h"
#include "common/os/tls_io.h"
#include "common/tls/tls_probe.h"
#include "server/repository/base/terminal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define N_OFFERS 4

/* As a device probes. What is offered for any key would show one of these chains again. */
static const struct offer {
    enum hf_tls_version version;
    enum hf_tls_keys keys;
    const char *version_text, *keys_text;
} offers[N_OFFERS] = {
    {HF_TLS_13, HF_TLS_KEYS_RSA, "TLS 1.3", "RSA"},
    {HF_TLS_13, HF_TLS_KEYS_ECC, "TLS 1.3", "ECC"},
    {HF_TLS_12, HF_TLS_KEYS_RSA, "TLS 1.2", "RSA"},
    {HF_TLS_12, HF_TLS_KEYS_ECC, "TLS 1.2", "ECC"},
};

/* What came of one offer. */
struct answer {
    struct hf_tls_probe_result seen; /* where it showed a chain */
    struct hf_why silence;           /* why it did not; HF_OK where it did */
};

/* HF_E_MEMORY is the only failure. */
static enum hf_err ask(const struct hf_endpoint_url *url, const struct offer *offer,
                       bool has_legacy_ciphers, struct hf_tls_socket *socket, struct answer *answer,
                       struct hf_why *why)
{
    const struct hf_tls_transport transport = hf_tls_io_transport(socket);
    const struct hf_tls_probe_request request = {.server = &url->peer,
                                                 .offer = {offer->version, offer->keys,
                                                           has_legacy_ciphers},
                                                 .alpn = hf_endpoint_url_default_alpn(url)};
    enum hf_err err = hf_tls_probe(&request, &transport, &answer->seen, &answer->silence);

    if (err == HF_OK)
        answer->silence.code = HF_OK;
    if (err == HF_E_MEMORY)
        return hf_fail(why, err, "%s", answer->silence.text);
    if (err == HF_E_NETWORK && hf_deadline_check(&socket->deadline, NULL) != HF_OK)
        (void)hf_fail(&answer->silence, err, "no answer within %g seconds; given up",
                      (double)socket->deadline.limit_ms / 1000.0);
    return HF_OK;
}

/* Ask a server for its chains with each offer in turn, within `timeout_ms` for all of them
 * together; the look-up of the name before has as long. A silent server is no failure: every answer
 * says so. A server that swallows one offer without a word may well answer the next, so each has
 * its share of the time; one that takes no connection takes none for the others. HF_E_MEMORY.
 * I/O. */
static enum hf_err ask_all_offers(const struct hf_endpoint_url *url, int timeout_ms,
                                  bool has_legacy_ciphers, struct answer answers[N_OFFERS],
                                  struct hf_why *why)
{
    const struct hf_deadline look_up = hf_deadline_start(timeout_ms, timeout_ms);
    struct hf_route route = {0};
    struct hf_why reason = {0}; /* why there is no connection */
    bool has_route = hf_route_find(&url->peer, &look_up, &route, &reason) == HF_OK;
    enum hf_err err = HF_OK;

    const int64_t end_ms = hf_monotonic_ms() + timeout_ms;
    for (int i = 0; err == HF_OK && i < N_OFFERS; i++) {
        struct hf_tls_socket socket = {.fd = -1};
        int64_t left_ms = end_ms - hf_monotonic_ms();
        int share_ms = left_ms > 0 ? (int)left_ms / (N_OFFERS - i) : 0;
        socket.deadline = hf_deadline_start(share_ms, share_ms);
        if (!has_route || reason.code != HF_OK ||
            hf_route_connect(&route, NULL, &socket.deadline, &socket.fd, &reason) != HF_OK) {
            answers[i].silence = reason;
            continue;
        }
        err = ask(url, &offers[i], has_legacy_ciphers, &socket, &answers[i], why);
        (void)close(socket.fd);
    }
    hf_route_free(&route);
    return err;
}

/* The chain of answer `index`, once for all answers that show the same. */
static enum hf_err add_chain(struct hf_lint_endpoints *endpoints, const struct hf_lint_live *live,
                             const struct answer answers[N_OFFERS], size_t index,
                             struct hf_why *why)
{
    const struct hf_tls_probe_result *seen = &answers[index].seen;
    struct hf_lint_chain *chain = NULL;
    struct hf_why reason = {0};
    char versions[64] = "", text[HF_WHY_MAX] = "";
    bool has_chain_proof = false;

    for (size_t i = 0; i < N_OFFERS; i++) {
        if (answers[i].silence.code != HF_OK ||
            !hf_chain_equal(&answers[i].seen.chain, &seen->chain))
            continue;
        if (i < index)
            return HF_OK; /* it was added then */
        has_chain_proof = has_chain_proof || answers[i].seen.has_chain_proof;
        hf_text_append(versions, sizeof versions, "%s%s", versions[0] == '\0' ? "" : ", ",
                       offers[i].version_text);
    }
    enum hf_err err = hf_lint_chain_new(live->name, versions, live->url.peer.host, &seen->chain,
                                        &chain, &reason);
    if (err == HF_E_MEMORY)
        return hf_fail(why, err, "%s", reason.text);
    if (err != HF_OK) {
        hf_text_append(text, sizeof text, "the chain that it shows cannot be read: %s",
                       reason.text);
        return hf_lint_endpoints_add_silence(endpoints, live->name, text, err == HF_E_POLICY, why);
    }
    chain->is_live = true;
    if (!has_chain_proof) {
        hf_text_append(text, sizeof text,
                       "TLS 1.2 proves a chain at its very end only, which did not come: %s",
                       seen->ending);
        chain->doubt = strdup(text);
        if (chain->doubt == NULL) {
            hf_lint_chain_free(chain);
            return hf_fail(why, HF_E_MEMORY, "out of memory for endpoints");
        }
    }
    return hf_lint_endpoints_add_take(endpoints, chain, why);
}

/* A silence for one kind of key (or HF_TLS_KEYS_ANY), unless a chain was shown for it. Each reason
 * once, with the offer that it was first given to. */
static enum hf_err note_silence(struct hf_lint_endpoints *endpoints,
                                const struct hf_lint_live *live,
                                const struct answer answers[N_OFFERS], enum hf_tls_keys keys,
                                struct hf_why *why)
{
    char text[HF_WHY_MAX] = "";
    bool is_refused = false;

    for (size_t i = 0; i < N_OFFERS; i++) {
        const struct hf_why *silence = &answers[i].silence;
        bool is_repeated = false;
        if (keys != HF_TLS_KEYS_ANY && offers[i].keys != keys)
            continue;
        if (silence->code == HF_OK)
            return HF_OK;
        /* A TLS alert says that there is no such key; without one, it is unknown. */
        if (keys != HF_TLS_KEYS_ANY && silence->code == HF_E_TLS && !answers[i].seen.is_unusable)
            continue;
        is_refused = is_refused || answers[i].seen.is_unusable;
        for (size_t k = 0; k < i; k++)
            is_repeated = is_repeated || strcmp(answers[k].silence.text, silence->text) == 0;
        if (!is_repeated)
            hf_text_append(text, sizeof text, "%s%s with %s: %s", text[0] == '\0' ? "" : "; ",
                           offers[i].version_text, offers[i].keys_text, silence->text);
    }
    return text[0] == '\0'
               ? HF_OK
               : hf_lint_endpoints_add_silence(endpoints, live->name, text, is_refused, why);
}

/* HF_E_MEMORY, HF_E_LIMIT. */
static enum hf_err ask_server(struct hf_lint_endpoints *endpoints, const struct hf_lint_live *live,
                              const struct hf_lint_sources *sources, struct hf_why *why)
{
    struct answer answers[N_OFFERS] = {0};
    bool has_chain = false;

    hf_verbose("asking %s for its chains, with TLS 1.3 and 1.2, for RSA and ECC keys", live->name);
    enum hf_err err = ask_all_offers(&live->url, sources->timeout_s * 1000,
                                     sources->has_legacy_ciphers, answers, why);
    for (size_t i = 0; err == HF_OK && i < N_OFFERS; i++) {
        if (answers[i].silence.code != HF_OK)
            continue;
        has_chain = true;
        err = add_chain(endpoints, live, answers, i, why);
    }
    if (err == HF_OK && !has_chain)
        err = note_silence(endpoints, live, answers, HF_TLS_KEYS_ANY, why);
    if (err == HF_OK && has_chain)
        err = note_silence(endpoints, live, answers, HF_TLS_KEYS_RSA, why);
    if (err == HF_OK && has_chain)
        err = note_silence(endpoints, live, answers, HF_TLS_KEYS_ECC, why);
    for (size_t i = 0; i < N_OFFERS; i++)
        hf_chain_free(&answers[i].seen.chain);
    return err;
}

enum hf_err hf_lint_endpoints_load(const struct hf_lint_sources *sources,
                                   struct hf_lint_endpoints *out, struct hf_why *why)
{
    struct hf_lint_endpoints endpoints = {0};
    bool is_watched = isatty(STDERR_FILENO) == 1;
    HF_TRY(hf_lint_endpoints_read(sources, &endpoints, why));
    for (size_t i = 0; i < endpoints.n_live; i++) {
        if (is_watched)
            fprintf(stderr, "asking %s for its chains (%zu of %zu)\n", endpoints.live[i].name,
                    i + 1, endpoints.n_live);
        enum hf_err err = ask_server(&endpoints, &endpoints.live[i], sources, why);
        if (err != HF_OK) {
            hf_lint_endpoints_free(&endpoints);
            return err;
        }
    }
    *out = endpoints;
    return HF_OK;
}
