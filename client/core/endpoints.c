/*
 * What the device's own servers say about a change of anchors. A probe is evidence against it only
 * when the server proved that it holds the key of a chain that validates before and not after, and
 * that the whole chain is its own; anything else that happens on the network is silence.
 */
#include "client/core/endpoints.h"
#include "client/core/bundles.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEARN_AGAIN_S (30 * HF_DAY_S)
#define FORGOTTEN_AFTER_S (2 * LEARN_AGAIN_S)
#define SILENT_TEXT_MAX 270 /* of one of several, so that the sentence around it fits */

enum {
    BEFORE, /* what the device uses */
    KEPT,   /* of these, what the publisher does not revoke, as far as the dates of AFTER let it */
    AFTER,
    N_SETS
};

/* The change that is asked about, as the port takes it. */
struct question {
    bool is_candidate;
    const struct hf_bundle *before;
    const struct hf_bundle *after;
    struct hf_trust_anchor *anchors[N_SETS]; /* owned */
    struct hf_anchor_set sets[N_SETS];
};

static void question_free(struct question *q)
{
    for (size_t i = 0; i < N_SETS; i++)
        free(q->anchors[i]);
}

static int64_t or_never(int64_t time_s)
{
    return time_s != HF_TIME_NONE ? time_s : INT64_MAX;
}

static int64_t earlier(int64_t a_s, int64_t b_s)
{
    if (a_s == HF_TIME_NONE || b_s == HF_TIME_NONE)
        return a_s == HF_TIME_NONE ? b_s : a_s;
    return a_s < b_s ? a_s : b_s;
}

/* What `after` says of this key, if it has it: of several certificates the latest dates. */
static void restrict_by_dates(const struct hf_bundle *after, const struct hf_anchor *anchor,
                              struct hf_trust_anchor *out)
{
    const struct hf_anchor *distrust = NULL, *removal = NULL;

    for (size_t i = 0; i < after->n_anchors; i++) {
        const struct hf_anchor *a = &after->anchors[i];
        if (memcmp(a->cert.spki_sha256, anchor->cert.spki_sha256, HF_SHA256_LEN) != 0)
            continue;
        if (distrust == NULL ||
            or_never(a->distrust_after_s) > or_never(distrust->distrust_after_s))
            distrust = a;
        if (removal == NULL || or_never(a->remove_after_s) > or_never(removal->remove_after_s))
            removal = a;
    }
    if (distrust == NULL)
        return;
    out->distrust_after_s = earlier(out->distrust_after_s, distrust->distrust_after_s);
    out->remove_after_s = earlier(out->remove_after_s, removal->remove_after_s);
}

/* HF_E_MEMORY, with nothing held. */
static enum hf_err question_init(const struct hf_change *change, struct question *out,
                                 struct hf_why *why)
{
    static const struct hf_bundle nothing = {0};
    struct question q = {.before = change->before != NULL ? change->before : &nothing,
                         .after = change->after,
                         .is_candidate = change->is_candidate};
    size_t n_kept = 0;

    enum hf_err err = hf_trust_anchors_of(q.before, &q.anchors[BEFORE], why);
    if (err == HF_OK)
        err = hf_trust_anchors_of(q.before, &q.anchors[KEPT], why);
    if (err == HF_OK)
        err = hf_trust_anchors_of(q.after, &q.anchors[AFTER], why);
    if (err != HF_OK) {
        question_free(&q);
        return err;
    }
    for (size_t i = 0; i < q.before->n_anchors; i++) {
        const struct hf_anchor *anchor = &q.before->anchors[i];
        if (hf_revoked_has(change->revoked, anchor->cert.spki_sha256))
            continue;
        struct hf_trust_anchor *kept = &q.anchors[KEPT][n_kept++];
        *kept = q.anchors[BEFORE][i];
        restrict_by_dates(q.after, anchor, kept);
    }
    /* No certificate is shown to a server under a root that is given up. */
    q.sets[BEFORE] = (struct hf_anchor_set){q.anchors[BEFORE], q.before->n_anchors, true};
    q.sets[KEPT] = (struct hf_anchor_set){q.anchors[KEPT], n_kept, false};
    q.sets[AFTER] = (struct hf_anchor_set){q.anchors[AFTER], q.after->n_anchors, false};
    *out = q;
    return HF_OK;
}

/* ---- one endpoint ---------------------------------------------------------------------------- */

static const struct {
    enum hf_offer offer;
    enum hf_key_type type;
    const char *text;
} offers[] = {
    {HF_OFFER_TLS13_RSA, HF_KEY_TYPE_RSA, "TLS 1.3, RSA"},
    {HF_OFFER_TLS12_RSA, HF_KEY_TYPE_RSA, "TLS 1.2, RSA"},
    {HF_OFFER_TLS13_ECC, HF_KEY_TYPE_ECC, "TLS 1.3, ECC"},
    {HF_OFFER_TLS12_ECC, HF_KEY_TYPE_ECC, "TLS 1.2, ECC"},
    {HF_OFFER_TLS13_ANY, HF_KEY_TYPE_ANY, "TLS 1.3"},
    {HF_OFFER_TLS12_ANY, HF_KEY_TYPE_ANY, "TLS 1.2"},
};
#define N_OFFERS (sizeof offers / sizeof offers[0])

/* A device whose anchors are of one type says nothing about its servers' keys: an RSA root may well
 * stand above a key on a curve. One that has both is shown a chain for each. */
static bool has_both_types(const struct question *q)
{
    const struct hf_bundle *bundles[] = {q->before, q->after};
    size_t n_rsa = 0, n = 0;

    for (size_t k = 0; k < 2; k++) {
        n += bundles[k]->n_anchors;
        for (size_t i = 0; i < bundles[k]->n_anchors; i++)
            n_rsa += bundles[k]->anchors[i].cert.key == HF_CERT_KEY_RSA;
    }
    return n_rsa > 0 && n_rsa < n;
}

/* What the probes of one endpoint showed. */
struct finding {
    const char *name;
    bool is_for;
    bool is_against;
    bool is_given_up;
    bool is_before; /* a chain of it validates before the change */
    /* Against: what is lost; given up: through which root; else the last refusal or silence. */
    char text[HF_WHY_MAX];
    char refusal[HF_WHY_MAX]; /* why no set validates a chain that it proved; empty for none */
    struct hf_missing_root missing; /* against */
    struct hf_endpoint_memory memory[HF_KEY_TYPES];
};

/* One of those that the chain validates under; NULL if the bundle has none of them. */
static const struct hf_anchor *find_seen(const struct hf_bundle *bundle,
                                         const struct hf_chain_observation *seen)
{
    for (size_t i = 0; i < seen->n_anchors; i++) {
        const struct hf_anchor *anchor = hf_bundle_find_key(bundle, seen->anchors[i]);
        if (anchor != NULL)
            return anchor;
    }
    return NULL;
}

static void note_against(const struct question *q, const struct hf_chain_observation *seen,
                         struct finding *f)
{
    const struct hf_anchor *lost = find_seen(q->before, seen);
    const char *subject = lost != NULL ? lost->cert.subject : "that it leads to";
    bool is_missing = lost == NULL || hf_bundle_find_key(q->after, lost->cert.spki_sha256) == NULL;

    f->is_against = true;
    (void)snprintf(f->missing.endpoint, sizeof f->missing.endpoint, "%s", f->name);
    if (lost != NULL) {
        hf_hex_encode(lost->cert.spki_sha256, HF_SHA256_LEN, f->missing.spki_sha256);
        (void)snprintf(f->missing.subject, sizeof f->missing.subject, "%s", subject);
    }
    (void)snprintf(f->text, sizeof f->text,
                   "%s shows a chain issued by \"%.120s\" that this device validates now and would "
                   "not validate any more: the anchor \"%.120s\" %s%s%.200s",
                   f->name, seen->issuer, subject, is_missing ? "is missing" : "does not accept it",
                   is_missing || seen->text[0] == '\0' ? "" : ": ", is_missing ? "" : seen->text);
}

/* The publisher wants it so. A device that loses an endpoint by it must be able to say why. */
static void note_given_up(const struct question *q, const struct hf_chain_observation *seen,
                          int64_t now_s, struct finding *f)
{
    const struct hf_anchor *lost = find_seen(q->before, seen);
    const struct hf_anchor *now = lost == NULL
                                      ? NULL
                                      : hf_bundle_find_key(q->after, lost->cert.spki_sha256);
    const char *how = "revokes";

    if (now != NULL)
        how = now->remove_after_s != HF_TIME_NONE && now->remove_after_s < now_s
                  ? "has removed"
                  : "distrusts for its certificate";
    f->is_given_up = true;
    (void)snprintf(f->text, sizeof f->text,
                   "%s would be lost: its chain leads to \"%.120s\" only, which the new bundle %s",
                   f->name, lost != NULL ? lost->cert.subject : "?", how);
}

static void remember(const struct question *q, const struct hf_chain_observation *seen,
                     int64_t now_s, struct hf_endpoint_memory *out)
{
    const struct hf_anchor *root = find_seen(q->after, seen);

    if (root == NULL)
        root = find_seen(q->before, seen);
    *out = (struct hf_endpoint_memory){
        .seen_s = now_s,
        .leaf_not_before_s = seen->leaf_not_before_s,
        .leaf_not_after_s = seen->leaf_not_after_s,
        .n_anchors = seen->n_anchors,
    };
    memcpy(out->anchors, seen->anchors, sizeof out->anchors);
    if (root != NULL)
        memcpy(out->root, root->cert.subject, sizeof out->root);
}

static enum hf_err probe(struct hf_client *c, const struct question *q, size_t endpoint,
                         size_t offer, struct hf_endpoint_memory *memory, struct finding *f,
                         struct hf_why *why)
{
    const struct hf_endpoint_port *port = &c->ports.endpoints;
    const int64_t now_s = hf_client_now_s(c);
    struct hf_chain_observation seen = {0};
    bool is_valid[N_SETS] = {false};

    HF_TRY(port->probe(port->ctx, endpoint, offers[offer].offer, q->sets, N_SETS, is_valid, &seen,
                       why));
    const bool is_before = seen.has_proof && is_valid[BEFORE];
    const bool is_among_kept = seen.has_proof && is_valid[KEPT];
    const bool is_kept = seen.has_proof && is_valid[AFTER];
    const bool would_lose = is_among_kept && !is_kept;
    const bool is_lost = would_lose && seen.has_chain_proof;
    const bool is_given_up = seen.has_chain_proof && is_before && !is_among_kept && !is_kept;
    const bool is_refused = seen.has_proof && !is_before && !is_among_kept && !is_kept;

    if (seen.text[0] == '\0')
        (void)snprintf(seen.text, sizeof seen.text, "%s", is_kept ? "a valid chain" : "no answer");
    hf_log(c, HF_LEVEL_DEBUG, "probed %s (%s): %s%s", f->name, offers[offer].text,
           seen.has_proof && !is_kept ? "refused: " : "", seen.text);
    if (is_refused)
        memcpy(f->refusal, seen.text, sizeof f->refusal);
    /* Between two roots there are often two intermediates of one name and key. An attacker on the
     * network could have inserted the one that is about to end. */
    f->is_before = f->is_before || is_before;
    if (would_lose && !is_lost)
        (void)snprintf(seen.text, sizeof seen.text,
                       "it ended a handshake of TLS 1.2 before it had proved the chain issued by "
                       "\"%.120s\", which would be lost; until then an attacker on the network can "
                       "exchange it, so it is no evidence. With TLS 1.3 it would be",
                       seen.issuer);
    if (is_lost || is_given_up || (is_kept && (seen.has_chain_proof || memory->n_anchors == 0)))
        remember(q, &seen, now_s, memory);
    if (is_lost && !f->is_against)
        note_against(q, &seen, f);
    else if (is_given_up && !f->is_against)
        note_given_up(q, &seen, now_s, f);
    else if (is_kept)
        f->is_for = true;
    else if (!is_lost && !f->is_against && !f->is_given_up)
        (void)snprintf(f->text, sizeof f->text, "%s: %.400s", f->name, seen.text);
    return HF_OK;
}

/* For what the end of the check notes. A silent endpoint stays what it was, and the reason is that
 * of the active bundle, where it is known: a candidate may be refused for less. */
static void note_verdict(struct hf_client *c, const struct question *q, size_t endpoint,
                         const struct finding *f)
{
    struct hf_refusal *verdict = &c->verdicts[endpoint];
    const char *text = f->refusal;

    if (f->is_for || f->is_before) {
        *verdict = (struct hf_refusal){.seen_s = HF_TIME_NONE};
    } else if (f->refusal[0] != '\0') {
        verdict->seen_s = hf_client_now_s(c);
        if (q->is_candidate && verdict->text[0] != '\0')
            return;
        if (q->is_candidate && c->state.refusals[endpoint].seen_s != HF_TIME_NONE)
            text = c->state.refusals[endpoint].text;
        memcpy(verdict->text, text, sizeof verdict->text);
    }
}

/* The sentence is about the first one, a given up one before others; of the rest as many names as
 * fit. */
static void note_silent(struct hf_judgement *judgement, const struct finding *f)
{
    const bool is_first = judgement->n_silent == 0 ||
                          (f->is_given_up && judgement->n_given_up == 0);
    const char *name = is_first ? judgement->silent_name : f->name;
    const size_t len = strlen(judgement->others);

    if (judgement->n_silent > 0 && len + strlen(name) + 3 < sizeof judgement->others)
        (void)snprintf(judgement->others + len, sizeof judgement->others - len, "%s%s",
                       len > 0 ? ", " : "", name);
    if (is_first) {
        memcpy(judgement->silent, f->text, sizeof judgement->silent);
        judgement->silent_name = f->name;
    }
    judgement->n_silent++;
    judgement->n_given_up += f->is_given_up;
}

static enum hf_err judge_endpoint(struct hf_client *c, const struct question *q, size_t endpoint,
                                  struct hf_judgement *judgement, struct hf_why *why)
{
    struct finding f = {.name = c->ports.endpoints.name(c->ports.endpoints.ctx, endpoint)};
    const bool has_both = has_both_types(q);
    const int64_t now_s = hf_client_now_s(c);
    bool is_known = false;

    for (size_t i = 0; i < N_OFFERS; i++) {
        const enum hf_key_type type = offers[i].type;
        if (has_both == (type != HF_KEY_TYPE_ANY))
            HF_TRY(probe(c, q, endpoint, i, &f.memory[type], &f, why));
    }
    note_verdict(c, q, endpoint, &f);
    for (int type = 0; type < HF_KEY_TYPES; type++) {
        struct hf_endpoint_memory *known = &hf_state_endpoint(c, endpoint, (enum hf_key_type)type)
                                                ->memory;
        if (f.memory[type].n_anchors > 0)
            *known = f.memory[type];
        /* What a silent server showed last stays known. But a chain that the server has stopped
         * showing must not hold an anchor for ever. */
        else if ((f.is_for || f.is_against || f.is_given_up) && known->seen_s != HF_TIME_NONE &&
                 now_s - known->seen_s >= FORGOTTEN_AFTER_S)
            *known = (struct hf_endpoint_memory){.seen_s = HF_TIME_NONE};
        is_known = is_known || known->n_anchors > 0;
    }
    if (f.is_against) {
        if (!judgement->is_against) {
            memcpy(judgement->against, f.text, sizeof judgement->against);
            judgement->missing = f.missing;
        }
        judgement->is_against = true;
    } else if (f.is_for) {
        judgement->n_for++;
    } else {
        note_silent(judgement, &f);
        judgement->n_undecidable += f.is_given_up || (!f.is_before && !is_known);
    }
    return HF_OK;
}

/* ---- all of them ----------------------------------------------------------------------------- */

enum hf_err hf_endpoints_judge(struct hf_client *c, const struct hf_change *change,
                               struct hf_judgement *out, struct hf_why *why)
{
    int64_t began_ms = hf_client_uptime_ms(c);
    struct hf_judgement judgement = {0};
    struct question question;
    enum hf_err err = HF_OK;

    HF_TRY(question_init(change, &question, why));
    for (size_t i = 0; i < c->ports.endpoints.n_endpoints && err == HF_OK; i++)
        err = judge_endpoint(c, &question, i, &judgement, why);
    question_free(&question);
    /* Slow endpoints do not take the mirrors' part of the check away. */
    c->check_began_ms += hf_client_uptime_ms(c) - began_ms;
    if (judgement.n_silent > 1) {
        const size_t whole = strlen(judgement.silent);
        const size_t len = whole < SILENT_TEXT_MAX ? whole : SILENT_TEXT_MAX;
        (void)snprintf(judgement.silent + len, sizeof judgement.silent - len,
                       "; %zu more gave no evidence either: %s", judgement.n_silent - 1,
                       judgement.others);
    }
    if (err == HF_OK)
        *out = judgement;
    return err;
}

/* Seen within a month, and neither lost nor refused since: such a one is probed every day until it
 * is back. */
static bool is_known(struct hf_client *c, size_t endpoint, int64_t now_s)
{
    bool is_fresh = false;

    if (c->state.refusals[endpoint].seen_s != HF_TIME_NONE)
        return false;
    for (int type = 0; type < HF_KEY_TYPES; type++) {
        const struct hf_endpoint_state *e = hf_state_endpoint(c, endpoint, (enum hf_key_type)type);
        const int64_t seen_s = e->memory.seen_s;
        if (e->loss.since_s != HF_TIME_NONE)
            return false;
        is_fresh = is_fresh ||
                   (seen_s != HF_TIME_NONE && seen_s <= now_s && now_s - seen_s < LEARN_AGAIN_S);
    }
    return is_fresh;
}

enum hf_err hf_endpoints_learn(struct hf_client *c, struct hf_why *why)
{
    const int64_t now_s = hf_client_now_s(c);
    const int64_t probed_s = c->state.endpoints_probed_s;
    struct hf_bundle bundle = {0};
    struct hf_judgement judgement;
    bool are_all_known = true;

    for (size_t i = 0; i < c->ports.endpoints.n_endpoints && are_all_known; i++)
        are_all_known = is_known(c, i, now_s);
    /* A clock that jumped must not make the device probe at every check. */
    if (are_all_known || (probed_s <= now_s && now_s - probed_s < HF_DAY_S / 2))
        return HF_OK;
    enum hf_err err = hf_bundle_load_in_use(c, HF_SLOT_ACTIVE, &bundle, why);
    if (err == HF_E_NOT_FOUND || err == HF_E_STORAGE)
        return HF_OK;
    HF_TRY(err);
    const struct hf_change change = {.after = &bundle};
    err = hf_endpoints_judge(c, &change, &judgement, why);
    if (err == HF_OK)
        c->state.endpoints_probed_s = now_s;
    hf_bundle_free(&bundle);
    return err;
}
