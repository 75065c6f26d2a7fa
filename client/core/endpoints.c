/*
 * What the device's own servers say about a change of anchors. A look is evidence against it only when
 * the server proved that it holds the key of a chain that validates before and not after, and that the
 * whole chain is its own; whatever else happens on the wire is silence.
 */
#include "client/core/client_internal.h"

#include "common/bundle/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEARN_AGAIN_S (30 * HF_DAY_S)
#define FORGOTTEN_AFTER_S (2 * LEARN_AGAIN_S)

/* The change that is asked about, as the port takes it. */
struct change {
    const struct hf_bundle *before; /* NULL for none */
    const struct hf_bundle *after;
    struct hf_trust_anchor *anchors[2]; /* before, after; owned */
    struct hf_anchor_set sets[2];
};
enum { BEFORE, AFTER };

static void change_free(struct change *change)
{
    free(change->anchors[BEFORE]);
    free(change->anchors[AFTER]);
}

static enum hf_err change_init(struct hf_client *c, const struct hf_bundle *before,
                               const struct hf_bundle *after, struct change *out,
                               struct hf_why *why)
{
    static const struct hf_bundle nothing = {0};
    const struct hf_bundle *bundles[2] = {before != NULL ? before : &nothing, after};

    *out = (struct change){.before = bundles[BEFORE], .after = after};
    for (size_t i = 0; i < 2; i++) {
        enum hf_err err = hf_live_anchors(c, bundles[i], &out->anchors[i], why);
        if (err != HF_OK) {
            change_free(out);
            return err;
        }
        out->sets[i] = (struct hf_anchor_set){out->anchors[i], bundles[i]->n_anchors};
    }
    return HF_OK;
}

/* ---- what is offered ------------------------------------------------------------------------------ */

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
static bool is_offered(const struct change *change, enum hf_key_type type)
{
    size_t n_rsa = count_rsa(change->before) + count_rsa(change->after);
    bool has_both = n_rsa > 0 && n_rsa < change->before->n_anchors + change->after->n_anchors;
    return has_both ? type != HF_KEY_TYPE_ANY : type == HF_KEY_TYPE_ANY;
}

/* ---- one look ---------------------------------------------------------------------------------------- */

/* Of one endpoint, from look to look. */
struct hearing {
    struct hf_client *c;
    const struct change *change;
    size_t endpoint;
    const char *name;
    bool is_for;
    bool is_against;
    char text[HF_WHY_MAX]; /* against: what is lost; else the last silence */
    struct hf_endpoint_memory memory[HF_KEY_TYPES];
};

/* Of those that the chain validates under: one that is lost by the change, else NULL. */
static const struct hf_anchor *find_seen(const struct hf_bundle *bundle,
                                         const struct hf_sighting *sighting)
{
    for (size_t i = 0; i < sighting->n_anchors; i++) {
        const struct hf_anchor *anchor = hf_bundle_find_key(bundle, sighting->anchors[i]);
        if (anchor != NULL)
            return anchor;
    }
    return NULL;
}

static void note_against(struct hearing *h, const struct hf_sighting *sighting)
{
    const struct hf_anchor *lost = find_seen(h->change->before, sighting);
    const char *subject = lost != NULL ? lost->cert.subject : "that it leads to";
    bool is_missing = lost == NULL ||
                      hf_bundle_find_key(h->change->after, lost->cert.spki_sha256) == NULL;

    h->is_against = true;
    (void)snprintf(h->text, sizeof h->text,
                   "%s shows a chain issued by \"%.120s\" that this device validates now and would "
                   "not validate any more: the anchor \"%.120s\" %s",
                   h->name, sighting->issuer, subject,
                   is_missing ? "is missing" : "does not accept it by its dates");
}

static void remember(struct hearing *h, enum hf_key_type type, const struct hf_sighting *sighting)
{
    struct hf_endpoint_memory *memory = &h->memory[type];

    *memory = (struct hf_endpoint_memory){
        .seen_s = hf_client_now_s(h->c),
        .leaf_not_before_s = sighting->leaf_not_before_s,
        .leaf_not_after_s = sighting->leaf_not_after_s,
        .n_anchors = sighting->n_anchors,
    };
    memcpy(memory->anchors, sighting->anchors, sizeof memory->anchors);
}

static void note_silence(struct hearing *h, const struct hf_sighting *sighting)
{
    if (!h->is_against)
        (void)snprintf(h->text, sizeof h->text, "%s: %.400s", h->name,
                       sighting->text[0] != '\0' ? sighting->text : "no answer");
}

/* Between two roots there are often two intermediates of one name and key. Whoever is on the wire could
 * have put in the one that is about to go. */
static void doubt(struct hf_sighting *sighting)
{
    (void)
        snprintf(sighting->text, sizeof sighting->text,
                 "it ended a handshake of TLS 1.2 before it had proved the chain issued by "
                 "\"%.120s\", which would be lost; until then anybody on the way can exchange it, "
                 "so that is no evidence, and with TLS 1.3 it would be",
                 sighting->issuer);
}

static enum hf_err look(struct hearing *h, enum hf_offer offer, enum hf_key_type type,
                        struct hf_why *why)
{
    const struct hf_endpoint_port *port = &h->c->ports.endpoints;
    struct hf_sighting sighting = {0};
    bool is_valid[2] = {false, false};

    HF_TRY(port->look(port->ctx, h->endpoint, offer, h->change->sets, 2, is_valid, &sighting, why));
    bool would_lose = sighting.has_proof && is_valid[BEFORE] && !is_valid[AFTER];
    bool is_lost = would_lose && sighting.has_chain_proof;
    bool is_kept = sighting.has_proof && is_valid[AFTER];
    if (would_lose && !is_lost)
        doubt(&sighting);
    if (is_lost || (is_kept && (sighting.has_chain_proof || h->memory[type].n_anchors == 0)))
        remember(h, type, &sighting);
    if (is_lost && !h->is_against)
        note_against(h, &sighting);
    if (is_kept)
        h->is_for = true;
    if (!is_lost && !is_kept)
        note_silence(h, &sighting);
    return HF_OK;
}

/* ---- one endpoint, all endpoints ----------------------------------------------------------------------- */

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
    bool was_seen = h->is_for || h->is_against;

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
    if (h->is_against && !judgement->is_against) {
        judgement->is_against = true;
        memcpy(judgement->against, h->text, sizeof judgement->against);
    } else if (!h->is_against && h->is_for) {
        judgement->n_for++;
    } else if (!h->is_against && judgement->n_silent++ == 0) {
        memcpy(judgement->silent, h->text, sizeof judgement->silent);
    }
}

static enum hf_err hear(struct hf_client *c, const struct change *change, size_t endpoint,
                        struct hf_judgement *judgement, struct hf_why *why)
{
    const struct hf_endpoint_port *port = &c->ports.endpoints;
    struct hearing h = {.c = c, .change = change, .endpoint = endpoint};

    h.name = port->name(port->ctx, endpoint);
    for (size_t i = 0; i < N_OFFERS; i++) {
        if (is_offered(change, offers[i].type))
            HF_TRY(look(&h, offers[i].offer, offers[i].type, why));
    }
    save_memories(&h);
    add_to(judgement, &h);
    return HF_OK;
}

enum hf_err hf_endpoints_judge(struct hf_client *c, const struct hf_bundle *before,
                               const struct hf_bundle *after, struct hf_judgement *out,
                               struct hf_why *why)
{
    int64_t began_ms = hf_client_uptime_ms(c);
    struct hf_judgement judgement = {0};
    struct change change;
    enum hf_err err = HF_OK;

    HF_TRY(change_init(c, before, after, &change, why));
    for (size_t i = 0; i < c->ports.endpoints.n_endpoints && err == HF_OK; i++)
        err = hear(c, &change, i, &judgement, why);
    change_free(&change);
    /* Slow endpoints do not take the mirrors' part of the check away. */
    c->check_began_ms += hf_client_uptime_ms(c) - began_ms;
    if (err == HF_OK)
        *out = judgement;
    return err;
}

/* ---- to know them better --------------------------------------------------------------------------------- */

static bool is_known(struct hf_client *c, size_t endpoint)
{
    int64_t now_s = hf_client_now_s(c);
    struct hf_endpoint_memory memory;

    for (int type = 0; type < HF_KEY_TYPES; type++) {
        hf_endpoint_memory_load(c, endpoint, (enum hf_key_type)type, &memory);
        if (memory.seen_s != HF_TIME_NONE && memory.seen_s <= now_s &&
            now_s - memory.seen_s < LEARN_AGAIN_S)
            return true;
    }
    return false;
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

static enum hf_err learn_from_active(struct hf_client *c, struct hf_why *why)
{
    struct hf_bundle_record record = {0};
    struct hf_judgement judgement;
    struct hf_bundle bundle = {0};

    enum hf_err err = hf_bundle_load(c, HF_SLOT_ACTIVE, &record, why);
    if (err == HF_E_NOT_FOUND || err == HF_E_STORAGE)
        return HF_OK;
    if (err == HF_OK)
        err = hf_bundle_in_use(c, &record, &bundle, why);
    if (err == HF_OK)
        err = hf_endpoints_judge(c, NULL, &bundle, &judgement, why);
    hf_bundle_free(&bundle);
    hf_bundle_record_free(&record);
    return err;
}

enum hf_err hf_endpoints_learn(struct hf_client *c, struct hf_why *why)
{
    if (c->ports.endpoints.n_endpoints == 0 || are_all_known(c) || was_tried_today(c, why))
        return HF_OK;
    HF_TRY(hf_value_save_integer(c, "endpoints.tried", hf_client_now_s(c), why));
    return learn_from_active(c, why);
}
