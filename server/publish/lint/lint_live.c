/* What a server shows when it is asked becomes chains, doubts and silences. */
#include "server/repository/base/verbose.h"
#include "server/publish/lint/lint_endpoints.h"
#include "server/publish/lint/live_look.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One server, asked with every offer. */
struct hearing {
    struct hf_lint_endpoints *endpoints;
    const struct hf_lint_live *live;
    struct hf_live_answer answers[HF_LIVE_OFFERS];
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
static struct shown gather(const struct hearing *h, size_t first)
{
    const struct hf_tls_look_result *seen = &h->answers[first].seen;
    struct shown shown = {.chain = &seen->chain, .ending = seen->ending};
    for (size_t i = first; i < HF_LIVE_OFFERS; i++) {
        const struct hf_live_answer *answer = &h->answers[i];
        if (answer->err != HF_OK || !hf_chain_equal(&answer->seen.chain, shown.chain))
            continue;
        shown.has_chain_proof = shown.has_chain_proof || answer->seen.has_chain_proof;
        append(shown.versions, sizeof shown.versions, "%s%s", shown.versions[0] == '\0' ? "" : ", ",
               hf_live_version_text(&answer->offer));
    }
    return shown;
}

static bool is_shown_before(const struct hearing *h, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (h->answers[i].err == HF_OK &&
            hf_chain_equal(&h->answers[i].seen.chain, &h->answers[index].seen.chain))
            return true;
    }
    return false;
}

/* Empty: it is evidence. */
static void find_doubt(const struct hearing *h, const struct shown *shown,
                       const struct hf_lint_chain *chain, char out[HF_WHY_MAX])
{
    const char *host = h->live->url.peer.host;
    out[0] = '\0';
    if (!shown->has_chain_proof)
        append(out, HF_WHY_MAX,
               "TLS 1.2 proves a chain at its very end only, which did not come: %s",
               shown->ending);
    else if (!hf_lint_chain_is_for_host(chain, host))
        append(out, HF_WHY_MAX, "its certificate \"%s\" is not for %s", chain->certs[0].subject,
               host);
}

static enum hf_err add_chain(struct hearing *h, const struct shown *shown, struct hf_why *why)
{
    struct hf_lint_chain *chain = NULL;
    struct hf_why reason = {0};
    char text[HF_WHY_MAX] = "";
    enum hf_err err = hf_lint_chain_new(h->live->name, shown->versions, shown->chain, &chain,
                                        &reason);
    if (err == HF_E_MEMORY)
        return hf_fail(why, err, "%s", reason.text);
    if (err != HF_OK) {
        append(text, sizeof text, "the chain that it shows cannot be read: %s", reason.text);
        return hf_lint_endpoints_add_silence(h->endpoints, h->live->name, text, why);
    }
    chain->is_live = true;
    find_doubt(h, shown, chain, text);
    if (text[0] != '\0' && (chain->doubt = strdup(text)) == NULL) {
        hf_lint_chain_free(chain);
        return hf_fail(why, HF_E_MEMORY, "out of memory for endpoints");
    }
    return hf_lint_endpoints_add_take(h->endpoints, chain, why);
}

static enum hf_err add_chains(struct hearing *h, struct hf_why *why)
{
    for (size_t i = 0; i < HF_LIVE_OFFERS; i++) {
        if (h->answers[i].err != HF_OK || is_shown_before(h, i))
            continue;
        struct shown shown = gather(h, i);
        HF_TRY(add_chain(h, &shown, why));
    }
    return HF_OK;
}

/* ---- silence ---------------------------------------------------------------------------------- */

static bool has_chain(const struct hearing *h, enum hf_tls_keys keys)
{
    for (size_t i = 0; i < HF_LIVE_OFFERS; i++) {
        const struct hf_live_answer *answer = &h->answers[i];
        if (answer->err == HF_OK && (keys == HF_TLS_KEYS_ANY || answer->offer.keys == keys))
            return true;
    }
    return false;
}

/* A TLS alert says that there is no such key; without one, nobody knows. */
static bool is_unexplained(const struct hf_live_answer *answer, enum hf_tls_keys keys)
{
    return answer->err != HF_OK && answer->err != HF_E_TLS && answer->offer.keys == keys;
}

/* Each reason once, with the offer that it was first given to. */
static void append_reason(const struct hearing *h, size_t index, char out[HF_WHY_MAX])
{
    const struct hf_live_answer *answer = &h->answers[index];
    for (size_t i = 0; i < index; i++) {
        if (strcmp(h->answers[i].silence, answer->silence) == 0)
            return;
    }
    append(out, HF_WHY_MAX, "%s%s with %s: %s", out[0] == '\0' ? "" : "; ",
           hf_live_version_text(&answer->offer), hf_live_keys_text(&answer->offer),
           answer->silence);
}

static enum hf_err note_no_key(struct hearing *h, enum hf_tls_keys keys, struct hf_why *why)
{
    char text[HF_WHY_MAX] = "";
    if (has_chain(h, keys))
        return HF_OK;
    for (size_t i = 0; i < HF_LIVE_OFFERS; i++) {
        if (is_unexplained(&h->answers[i], keys))
            append_reason(h, i, text);
    }
    if (text[0] == '\0')
        return HF_OK;
    return hf_lint_endpoints_add_silence(h->endpoints, h->live->name, text, why);
}

static enum hf_err note_silence(struct hearing *h, struct hf_why *why)
{
    char text[HF_WHY_MAX] = "";
    if (has_chain(h, HF_TLS_KEYS_ANY)) {
        HF_TRY(note_no_key(h, HF_TLS_KEYS_RSA, why));
        return note_no_key(h, HF_TLS_KEYS_ECC, why);
    }
    for (size_t i = 0; i < HF_LIVE_OFFERS; i++)
        append_reason(h, i, text);
    return hf_lint_endpoints_add_silence(h->endpoints, h->live->name, text, why);
}

/* ---- all of it -------------------------------------------------------------------------------- */

enum hf_err hf_lint_endpoints_ask(struct hf_lint_endpoints *endpoints,
                                  const struct hf_lint_live *live,
                                  const struct hf_lint_sources *sources, struct hf_why *why)
{
    struct hearing h = {.endpoints = endpoints, .live = live};
    hf_verbose("asking %s for its chains, with TLS 1.3 and 1.2, for RSA and ECC keys", live->name);
    HF_TRY(hf_live_look(&live->url, sources->timeout_s * 1000, sources->has_legacy_ciphers,
                        h.answers, why));
    enum hf_err err = add_chains(&h, why);
    if (err == HF_OK)
        err = note_silence(&h, why);
    hf_live_answers_free(h.answers);
    return err;
}
