/*
 * What the device's own servers say about a change of anchors. A look is evidence against it only when
 * the server proved that it holds the key of a chain that validates before and not after, and that the
 * whole chain is its own; whatever else happens on the wire is silence.
 */
#include "client/core/bundles.h"
#include "client/core/endpoints.h"

#include "common/bundle/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEARN_AGAIN_S (30 * HF_DAY_S)
#define FORGOTTEN_AFTER_S (2 * LEARN_AGAIN_S)

/* The change that is asked about, as the port takes it. */
struct question {
    const struct hf_bundle *before;
    const struct hf_bundle *after;
    struct hf_trust_anchor *anchors[3]; /* owned */
    struct hf_anchor_set sets[3];
};
enum {
    BEFORE, /* what the device uses */
    KEPT,   /* of these, what the publisher does not revoke, as far as the dates of AFTER let it */
    AFTER,
    N_SETS
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

/* What `after` says of this key, where it has it: of several certificates the latest dates. */
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
                         .after = change->after};
    size_t n_kept = 0;

    enum hf_err err = hf_live_anchors(q.before, &q.anchors[BEFORE], why);
    if (err == HF_OK)
        err = hf_live_anchors(q.before, &q.anchors[KEPT], why);
    if (err == HF_OK)
        err = hf_live_anchors(q.after, &q.anchors[AFTER], why);
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

/* ---- what is offered ------------------------------------------------------------------------- */

static const struct {
    enum hf_offer offer;
    enum hf_key_type type;
} offers[] = {
    {HF_OFFER_TLS13_RSA, HF_KEY_TYPE_RSA}, {HF_OFFER_TLS12_RSA, HF_KEY_TYPE_RSA},
    {HF_OFFER_TLS13_ECC, HF_KEY_TYPE_ECC}, {HF_OFFER_TLS12_ECC, HF_KEY_TYPE_ECC},
    {HF_OFFER_TLS13_ANY, HF_KEY_TYPE_ANY}, {HF_OFFER_TLS12_ANY, HF_KEY_TYPE_ANY},
};
#define N_OFFERS (sizeof offers / sizeof offers[0])

static size_t count_rsa(const struct hf_bundle *bundle)
{
    size_t n = 0;
    for (size_t i = 0; i < bundle->n_anchors; i++)
        n += bundle->anchors[i].cert.key == HF_CERT_KEY_RSA;
    return n;
}

/* A device whose anchors are of one type says nothing about its servers' keys: an RSA root may well
 * stand above a key on a curve. One that has both is shown a chain for each. */
static bool is_offered(const struct question *q, enum hf_key_type type)
{
    size_t n_rsa = count_rsa(q->before) + count_rsa(q->after);
    bool has_both = n_rsa > 0 && n_rsa < q->before->n_anchors + q->after->n_anchors;
    return has_both ? type != HF_KEY_TYPE_ANY : type == HF_KEY_TYPE_ANY;
}

/* ---- one look -------------------------------------------------------------------------------- */

/* Of one endpoint, from look to look. */
struct hearing {
    struct hf_client *c;
    const struct question *question;
    size_t endpoint;
    const char *name;
    bool is_for;
    bool is_against;
    bool is_given_up;
    char text
        [HF_WHY_MAX]; /* against: what is lost; given up: through which root; else the last silence */
    struct hf_endpoint_memory memory[HF_KEY_TYPES];
};

/* Of those that the chain validates under: one that is lost by the change, else NULL. */
static const struct hf_anchor *find_seen(const struct hf_bundle *bundle,
                                         const struct hf_chain_observation *sighting)
{
    for (size_t i = 0; i < sighting->n_anchors; i++) {
        const struct hf_anchor *anchor = hf_bundle_find_key(bundle, sighting->anchors[i]);
        if (anchor != NULL)
            return anchor;
    }
    return NULL;
}

static void note_against(struct hearing *h, const struct hf_chain_observation *sighting)
{
    const struct hf_anchor *lost = find_seen(h->question->before, sighting);
    const char *subject = lost != NULL ? lost->cert.subject : "that it leads to";
    bool is_missing = lost == NULL ||
                      hf_bundle_find_key(h->question->after, lost->cert.spki_sha256) == NULL;

    h->is_against = true;
    (void)snprintf(h->text, sizeof h->text,
                   "%s shows a chain issued by \"%.120s\" that this device validates now and would "
                   "not validate any more: the anchor \"%.120s\" %s",
                   h->name, sighting->issuer, subject,
                   is_missing ? "is missing" : "does not accept it by its dates");
}

/* The publisher wants it so. A device that loses an endpoint by it must be able to say why. */
static void note_given_up(struct hearing *h, const struct hf_chain_observation *sighting)
{
    const struct hf_anchor *lost = find_seen(h->question->before, sighting);
    const struct hf_anchor *now = lost == NULL ? NULL
                                               : hf_bundle_find_key(h->question->after,
                                                                    lost->cert.spki_sha256);
    const char *how = "revokes";

    if (now != NULL)
        how = now->remove_after_s != HF_TIME_NONE && now->remove_after_s < hf_client_now_s(h->c)
                  ? "has removed"
                  : "distrusts for its certificate";
    h->is_given_up = true;
    (void)snprintf(h->text, sizeof h->text,
                   "%s would be lost: its chain leads to \"%.120s\" only, which the new bundle %s",
                   h->name, lost != NULL ? lost->cert.subject : "?", how);
}

static void remember(struct hearing *h, enum hf_key_type type,
                     const struct hf_chain_observation *sighting)
{
    struct hf_endpoint_memory *memory = &h->memory[type];
    const struct hf_anchor *root = find_seen(h->question->after, sighting);

    if (root == NULL)
        root = find_seen(h->question->before, sighting);
    *memory = (struct hf_endpoint_memory){
        .seen_s = hf_client_now_s(h->c),
        .leaf_not_before_s = sighting->leaf_not_before_s,
        .leaf_not_after_s = sighting->leaf_not_after_s,
        .n_anchors = sighting->n_anchors,
    };
    memcpy(memory->anchors, sighting->anchors, sizeof memory->anchors);
    if (root != NULL)
        memcpy(memory->root, root->cert.subject, sizeof memory->root);
}

static void note_silence(struct hearing *h, const struct hf_chain_observation *sighting)
{
    if (!h->is_against && !h->is_given_up)
        (void)snprintf(h->text, sizeof h->text, "%s: %.400s", h->name,
                       sighting->text[0] != '\0' ? sighting->text : "no answer");
}

/* Between two roots there are often two intermediates of one name and key. An attacker on the network
 * could have inserted the one that is about to go. */
static void doubt(struct hf_chain_observation *sighting)
{
    (void)snprintf(
        sighting->text, sizeof sighting->text,
        "it ended a handshake of TLS 1.2 before it had proved the chain issued by "
        "\"%.120s\", which would be lost; until then an attacker on the network can exchange it, "
        "so it is no evidence. With TLS 1.3 it would be",
        sighting->issuer);
}

static enum hf_err look(struct hearing *h, enum hf_offer offer, enum hf_key_type type,
                        struct hf_why *why)
{
    const struct hf_endpoint_port *port = &h->c->ports.endpoints;
    struct hf_chain_observation sighting = {0};
    bool is_valid[N_SETS] = {false};

    HF_TRY(port->probe(port->ctx, h->endpoint, offer, h->question->sets, N_SETS, is_valid,
                       &sighting, why));
    bool would_lose = sighting.has_proof && is_valid[KEPT] && !is_valid[AFTER];
    bool is_lost = would_lose && sighting.has_chain_proof;
    bool is_kept = sighting.has_proof && is_valid[AFTER];
    bool is_given_up = sighting.has_proof && sighting.has_chain_proof && is_valid[BEFORE] &&
                       !is_valid[KEPT] && !is_valid[AFTER];
    if (would_lose && !is_lost)
        doubt(&sighting);
    if (is_lost || is_given_up ||
        (is_kept && (sighting.has_chain_proof || h->memory[type].n_anchors == 0)))
        remember(h, type, &sighting);
    if (is_lost && !h->is_against)
        note_against(h, &sighting);
    else if (is_given_up && !h->is_against)
        note_given_up(h, &sighting);
    else if (is_kept)
        h->is_for = true;
    else if (!is_lost)
        note_silence(h, &sighting);
    return HF_OK;
}

/* ---- one endpoint, all endpoints ------------------------------------------------------------- */

/* A chain that the server has stopped showing must not hold an anchor for ever. */
static void forget_if_old(const struct hearing *h, enum hf_key_type type)
{
    struct hf_endpoint_memory memory;

    hf_endpoint_memory_load(h->c, h->endpoint, type, &memory);
    if (memory.seen_s == HF_TIME_NONE || hf_client_now_s(h->c) - memory.seen_s < FORGOTTEN_AFTER_S)
        return;
    memory.n_anchors = 0;
    hf_endpoint_memory_save(h->c, h->endpoint, type, &memory);
}

/* Of a server that showed nothing, what it showed last stays known. */
static void save_memories(const struct hearing *h)
{
    bool was_seen = h->is_for || h->is_against || h->is_given_up;

    for (int i = 0; i < HF_KEY_TYPES; i++) {
        enum hf_key_type type = (enum hf_key_type)i;
        if (h->memory[type].n_anchors > 0)
            hf_endpoint_memory_save(h->c, h->endpoint, type, &h->memory[type]);
        else if (was_seen)
            forget_if_old(h, type);
    }
}

static void add_to(struct hf_judgement *judgement, const struct hearing *h)
{
    if (h->is_against) {
        if (!judgement->is_against)
            memcpy(judgement->against, h->text, sizeof judgement->against);
        judgement->is_against = true;
        return;
    }
    if (h->is_for) {
        judgement->n_for++;
        return;
    }
    if (judgement->n_silent == 0 || (h->is_given_up && judgement->n_given_up == 0))
        memcpy(judgement->silent, h->text, sizeof judgement->silent);
    judgement->n_silent++;
    judgement->n_given_up += h->is_given_up;
}

static enum hf_err hear(struct hf_client *c, const struct question *question, size_t endpoint,
                        struct hf_judgement *judgement, struct hf_why *why)
{
    const struct hf_endpoint_port *port = &c->ports.endpoints;
    struct hearing h = {.c = c, .question = question, .endpoint = endpoint};

    h.name = port->name(port->ctx, endpoint);
    for (size_t i = 0; i < N_OFFERS; i++) {
        if (is_offered(question, offers[i].type))
            HF_TRY(look(&h, offers[i].offer, offers[i].type, why));
    }
    save_memories(&h);
    add_to(judgement, &h);
    return HF_OK;
}

enum hf_err hf_endpoints_judge(struct hf_client *c, const struct hf_change *change,
                               struct hf_judgement *out, struct hf_why *why)
{
    int64_t began_ms = hf_client_uptime_ms(c);
    struct hf_judgement judgement = {0};
    struct question question;
    enum hf_err err = HF_OK;

    HF_TRY(question_init(change, &question, why));
    for (size_t i = 0; i < c->ports.endpoints.n_endpoints && err == HF_OK; i++)
        err = hear(c, &question, i, &judgement, why);
    question_free(&question);
    /* Slow endpoints do not take the mirrors' part of the check away. */
    c->check_began_ms += hf_client_uptime_ms(c) - began_ms;
    if (err == HF_OK)
        *out = judgement;
    return err;
}

/* ---- to know them better --------------------------------------------------------------------- */

/* Seen within a month, and not lost since: whether a lost one has come back is worth a look a day. */
static bool is_known(struct hf_client *c, size_t endpoint)
{
    int64_t now_s = hf_client_now_s(c);
    struct hf_endpoint_memory memory;
    struct hf_loss loss;

    bool is_fresh = false;

    for (int type = 0; type < HF_KEY_TYPES; type++) {
        hf_endpoint_memory_load(c, endpoint, (enum hf_key_type)type, &memory);
        hf_loss_load(c, endpoint, (enum hf_key_type)type, &loss);
        if (loss.since_s != HF_TIME_NONE)
            return false;
        is_fresh = is_fresh || (memory.seen_s != HF_TIME_NONE && memory.seen_s <= now_s &&
                                now_s - memory.seen_s < LEARN_AGAIN_S);
    }
    return is_fresh;
}

static bool are_all_known(struct hf_client *c)
{
    for (size_t i = 0; i < c->ports.endpoints.n_endpoints; i++) {
        if (!is_known(c, i))
            return false;
    }
    return true;
}

/* A clock that jumped must not make the device ask at every check. */
static bool was_tried_today(struct hf_client *c, struct hf_why *why)
{
    int64_t now_s = hf_client_now_s(c);
    int64_t tried_s = 0;

    if (hf_value_load_integer(c, "endpoints.tried", 0, &tried_s, why) != HF_OK)
        hf_log(c, HF_LEVEL_WARNING, "the endpoints are asked: %s", why->text);
    return tried_s <= now_s && now_s - tried_s < HF_DAY_S / 2;
}

enum hf_err hf_endpoints_learn(struct hf_client *c, struct hf_why *why)
{
    struct hf_bundle_record record = {0};
    struct hf_bundle bundle = {0};
    struct hf_judgement judgement;

    if (c->ports.endpoints.n_endpoints == 0 || are_all_known(c) || was_tried_today(c, why))
        return HF_OK;
    enum hf_err err = hf_bundle_load(c, HF_SLOT_ACTIVE, &record, why);
    if (err == HF_E_NOT_FOUND || err == HF_E_STORAGE)
        return HF_OK;
    if (err == HF_OK)
        err = hf_bundle_in_use(c, &record, &bundle, why);
    if (err == HF_OK) {
        const struct hf_change change = {.after = &bundle};
        err = hf_endpoints_judge(c, &change, &judgement, why);
    }
    if (err == HF_OK)
        err = hf_value_save_integer(c, "endpoints.tried", hf_client_now_s(c), why);
    hf_bundle_free(&bundle);
    hf_bundle_record_free(&record);
    return err;
}
