#include "server/publish/lint/live_look.h"

#include "common/os/clock.h"
#include "common/os/tls_io.h"

#include <string.h>
#include <unistd.h>

/* As a device's look-out asks. What is offered for any key would show one of these chains again. */
static const struct hf_tls_offer offers[HF_LIVE_OFFERS] = {
    {HF_TLS_13, HF_TLS_KEYS_RSA, false},
    {HF_TLS_13, HF_TLS_KEYS_ECC, false},
    {HF_TLS_12, HF_TLS_KEYS_RSA, false},
    {HF_TLS_12, HF_TLS_KEYS_ECC, false},
};

const char *hf_live_version_text(const struct hf_tls_offer *offer)
{
    return offer->version == HF_TLS_13 ? "TLS 1.3" : "TLS 1.2";
}

const char *hf_live_keys_text(const struct hf_tls_offer *offer)
{
    return offer->keys == HF_TLS_KEYS_RSA ? "RSA" : "ECC";
}

static void fall_silent(struct hf_live_answer *answer, const struct hf_why *reason)
{
    answer->err = reason->code;
    memcpy(answer->silence, reason->text, sizeof answer->silence);
}

/* HF_E_MEMORY is the only failure. */
static enum hf_err ask(const struct hf_endpoint_url *url, struct hf_tls_wire *wire,
                       struct hf_live_answer *answer, struct hf_why *why)
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
static enum hf_err ask_all(const struct hf_endpoint_url *url, struct hf_route *route,
                           int timeout_ms, struct hf_live_answer answers[HF_LIVE_OFFERS],
                           struct hf_why *why)
{
    const int64_t end_ms = hf_monotonic_ms() + timeout_ms;
    struct hf_why reason = {0};
    for (int i = 0; i < HF_LIVE_OFFERS; i++) {
        struct hf_tls_wire wire = {.fd = -1};
        int64_t left_ms = end_ms - hf_monotonic_ms();
        int share_ms = left_ms > 0 ? (int)left_ms / (HF_LIVE_OFFERS - i) : 0;
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

enum hf_err hf_live_look(const struct hf_endpoint_url *url, int timeout_ms, bool has_legacy_ciphers,
                         struct hf_live_answer answers[HF_LIVE_OFFERS], struct hf_why *why)
{
    const struct hf_deadline look_up = hf_deadline_start(timeout_ms, timeout_ms);
    struct hf_route route = {0};
    struct hf_why reason = {0};
    for (size_t i = 0; i < HF_LIVE_OFFERS; i++) {
        answers[i] = (struct hf_live_answer){.offer = offers[i], .err = HF_E_NETWORK};
        answers[i].offer.has_legacy_ciphers = has_legacy_ciphers;
    }
    if (hf_route_find(&url->peer, &look_up, &route, &reason) != HF_OK) {
        for (size_t i = 0; i < HF_LIVE_OFFERS; i++)
            fall_silent(&answers[i], &reason);
        return HF_OK;
    }
    enum hf_err err = ask_all(url, &route, timeout_ms, answers, why);
    hf_route_free(&route);
    if (err != HF_OK)
        hf_live_answers_free(answers);
    return err;
}

void hf_live_answers_free(struct hf_live_answer answers[HF_LIVE_OFFERS])
{
    for (size_t i = 0; i < HF_LIVE_OFFERS; i++)
        hf_chain_free(&answers[i].seen.chain);
}
