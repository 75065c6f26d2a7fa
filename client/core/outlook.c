/* Who relies on which anchors: as far as the device has seen, or from a look. */
#include "client/core/reliance.h"
#include "client/core/endpoints.h"

#include "common/base/hex.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum hf_err make_room(size_t n_memories, size_t n_items, struct hf_reliances *out,
                             struct hf_why *why)
{
    *out = (struct hf_reliances){0};
    out->memories = calloc(n_memories + 1, sizeof *out->memories);
    out->losses = calloc(n_memories + 1, sizeof *out->losses);
    out->items = calloc(n_items + 1, sizeof *out->items);
    if (out->memories != NULL && out->losses != NULL && out->items != NULL)
        return HF_OK;
    hf_reliances_free(out);
    return hf_fail(why, HF_E_MEMORY, "out of memory for what is known of %zu trust anchors",
                   n_items);
}

void hf_reliances_free(struct hf_reliances *reliances)
{
    free(reliances->items);
    free(reliances->memories);
    free(reliances->losses);
    *reliances = (struct hf_reliances){0};
}

/* Twins of one key count once. */
static bool is_first_of_key(const struct hf_bundle *bundle, size_t i)
{
    return hf_bundle_find_key(bundle, bundle->anchors[i].cert.spki_sha256) == &bundle->anchors[i];
}

static void add_roots(const struct hf_bundle *bundle, struct hf_reliances *out)
{
    for (size_t i = 0; i < bundle->n_anchors; i++) {
        if (!is_first_of_key(bundle, i))
            continue;
        out->items[out->n++] = (struct hf_reliance){
            .keys = (const uint8_t(*)[HF_SHA256_LEN])bundle->anchors[i].cert.spki_sha256,
            .n_keys = 1,
            .leaf_not_before_s = HF_TIME_NONE,
            .leaf_not_after_s = HF_TIME_NONE,
        };
    }
}

/* A chain that no anchor ever validated says nothing about any. */
static bool add_endpoint(struct hf_client *c, size_t endpoint, struct hf_reliances *out)
{
    const struct hf_endpoint_port *port = &c->ports.endpoints;
    bool was_seen = false;

    for (int type = 0; type < HF_KEY_TYPES; type++) {
        struct hf_endpoint_memory *memory = &out->memories[out->n];
        hf_endpoint_memory_load(c, endpoint, (enum hf_key_type)type, memory);
        if (memory->seen_s == HF_TIME_NONE || memory->n_anchors == 0)
            continue;
        hf_loss_load(c, endpoint, (enum hf_key_type)type, &out->losses[out->n]);
        out->items[out->n] = hf_reliance_of(port->name(port->ctx, endpoint), (enum hf_key_type)type,
                                            memory);
        out->items[out->n].loss = &out->losses[out->n];
        out->n++;
        was_seen = true;
    }
    return was_seen;
}

enum hf_err hf_reliances_load(struct hf_client *c, const struct hf_bundle *bundle,
                              struct hf_reliances *out, struct hf_why *why)
{
    size_t n_endpoints = c->ports.endpoints.n_endpoints;
    size_t n_chains = n_endpoints * HF_KEY_TYPES;

    HF_TRY(make_room(n_chains, n_chains + bundle->n_anchors, out, why));
    for (size_t i = 0; i < n_endpoints; i++) {
        if (!add_endpoint(c, i, out))
            out->n_unseen++;
    }
    if (n_endpoints == 0 || out->n_unseen > 0)
        add_roots(bundle, out);
    return HF_OK;
}

enum hf_err hf_reliances_of_roots(const struct hf_bundle *bundle, struct hf_reliances *out,
                                  struct hf_why *why)
{
    HF_TRY(make_room(0, bundle->n_anchors, out, why));
    add_roots(bundle, out);
    return HF_OK;
}

/* ---- a look ---------------------------------------------------------------------------------- */

/* The first one of a type that is answered says it. */
static const struct {
    enum hf_offer offer;
    enum hf_key_type type;
} offers[] = {
    {HF_OFFER_TLS13_RSA, HF_KEY_TYPE_RSA},
    {HF_OFFER_TLS12_RSA, HF_KEY_TYPE_RSA},
    {HF_OFFER_TLS13_ECC, HF_KEY_TYPE_ECC},
    {HF_OFFER_TLS12_ECC, HF_KEY_TYPE_ECC},
};
#define N_OFFERS (sizeof offers / sizeof offers[0])

/* Without distrust_after and remove_after: what these do is told from what was found. */
static enum hf_err make_anchors(const struct hf_bundle *bundle, struct hf_trust_anchor **out,
                                struct hf_why *why)
{
    *out = calloc(bundle->n_anchors + 1, sizeof **out);
    if (*out == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for %zu trust anchors", bundle->n_anchors);
    for (size_t i = 0; i < bundle->n_anchors; i++)
        (*out)[i] = (struct hf_trust_anchor){
            .der = bundle->anchors[i].der,
            .not_before_s = bundle->anchors[i].cert.not_before_s,
            .not_after_s = bundle->anchors[i].cert.not_after_s,
            .distrust_after_s = HF_TIME_NONE,
            .remove_after_s = HF_TIME_NONE,
        };
    return HF_OK;
}

static void remember(const struct hf_chain_observation *sighting, struct hf_endpoint_memory *out)
{
    *out = (struct hf_endpoint_memory){
        .leaf_not_before_s = sighting->leaf_not_before_s,
        .leaf_not_after_s = sighting->leaf_not_after_s,
        .n_anchors = sighting->n_anchors,
    };
    memcpy(out->anchors, sighting->anchors, sizeof out->anchors);
}

static enum hf_err look(const struct hf_endpoint_port *port, size_t endpoint,
                        const struct hf_anchor_set *set, struct hf_reliances *out,
                        struct hf_why *why)
{
    const char *name = port->name(port->ctx, endpoint);
    char silence[HF_WHY_MAX] = "no answer";

    for (size_t i = 0; i < N_OFFERS; i++) {
        struct hf_chain_observation sighting = {0};
        bool is_valid = false;
        if (out->n > 0 && out->items[out->n - 1].key_type == offers[i].type)
            continue;
        HF_TRY(
            port->probe(port->ctx, endpoint, offers[i].offer, set, 1, &is_valid, &sighting, why));
        if (sighting.has_proof) {
            remember(&sighting, &out->memories[out->n]);
            out->items[out->n] = hf_reliance_of(name, offers[i].type, &out->memories[out->n]);
            out->n++;
        } else if (sighting.text[0] != '\0') {
            (void)snprintf(silence, sizeof silence, "%s", sighting.text);
        }
    }
    return out->n > 0 ? HF_OK : hf_fail(why, HF_E_NETWORK, "%s: %.400s", name, silence);
}

enum hf_err hf_reliances_look(const struct hf_endpoint_port *port, size_t endpoint,
                              const struct hf_bundle *bundle, struct hf_reliances *out,
                              struct hf_why *why)
{
    struct hf_trust_anchor *anchors = NULL;

    HF_TRY(make_anchors(bundle, &anchors, why));
    const struct hf_anchor_set set = {.anchors = anchors, .n_anchors = bundle->n_anchors};
    enum hf_err err = make_room(HF_KEY_TYPES, HF_KEY_TYPES, out, why);
    if (err == HF_OK)
        err = look(port, endpoint, &set, out, why);
    if (err != HF_OK)
        hf_reliances_free(out);
    free(anchors);
    return err;
}

/* ---- warnings -------------------------------------------------------------------------------- */

/*
 * Future problems with the device's roots, which the status warns of 730, 365, 180, 90
 * and 30 days ahead.
 */

static const int thresholds_days[] = {30, 90, 180, 365, 730};
#define N_THRESHOLDS (sizeof thresholds_days / sizeof thresholds_days[0])

/* What the warnings are made from and where they go. */
struct outlook {
    const struct hf_bundle *bundle;
    const struct hf_reliances *reliances;
    int64_t now_s;
    struct hf_warning *warnings; /* owned; room for all there can be */
    size_t n;
};

/* What happens to one anchor; `at_s` is the last second before. */
struct event {
    const struct hf_anchor *anchor;
    enum hf_end end;
    int64_t at_s;
    int threshold_days; /* 0: it has happened */
};

static const char *kind_of(enum hf_end end)
{
    switch (end) {
    case HF_END_MISSING:
        return "lost";
    case HF_END_EXPIRY:
        return "expiry";
    case HF_END_DISTRUST:
        return "distrust";
    case HF_END_REMOVAL:
        return "removal";
    }
    return "lost";
}

static int64_t days_until(int64_t now_s, int64_t at_s)
{
    int64_t left_s = at_s - now_s;
    return left_s / HF_DAY_S - (left_s % HF_DAY_S < 0);
}

/* The lowest threshold that has been reached; -1 for none. */
static int threshold_of(int64_t now_s, int64_t at_s)
{
    if (at_s < now_s)
        return 0;
    for (size_t i = 0; i < N_THRESHOLDS; i++) {
        if (at_s - now_s <= thresholds_days[i] * HF_DAY_S)
            return thresholds_days[i];
    }
    return -1;
}

/* ---- who depends on it ----------------------------------------------------------------------- */

/* The first one that would have nothing else to stand on; NULL for none. `*has_users`: does any rely on
 * it at all? */
static const struct hf_reliance *find_dependent(const struct outlook *o, const struct event *e,
                                                bool *has_users)
{
    *has_users = false;
    for (size_t i = 0; i < o->reliances->n; i++) {
        const struct hf_reliance *r = &o->reliances->items[i];
        if (!hf_reliance_has(r, e->anchor))
            continue;
        *has_users = true;
        if (hf_reliance_at(r, o->bundle, e->anchor, o->now_s, e->at_s + 1) != HF_HOLD_SURE)
            return r;
    }
    return NULL;
}

/* ---- in words -------------------------------------------------------------------------------- */

static void tell_event(const struct outlook *o, const struct event *e, char *out, size_t cap)
{
    static const char *const will[] = {
        [HF_END_EXPIRY] = "expires on",
        [HF_END_DISTRUST] = "is distrusted for certificates issued after",
        [HF_END_REMOVAL] = "is to be removed after",
    };
    int64_t days = days_until(o->now_s, e->at_s);
    char day[HF_TIME_TEXT_MAX], in[32];

    if (e->end == HF_END_EXPIRY)
        hf_time_format_day(e->at_s, day);
    else
        hf_time_format_last(e->at_s, day);
    if (days < 0)
        (void)snprintf(in, sizeof in, "which has passed");
    else
        (void)snprintf(in, sizeof in, "in %" PRId64 " day%s", days, days == 1 ? "" : "s");
    (void)snprintf(out, cap, "\"%s\" %s %s, %s", e->anchor->cert.subject, will[e->end], day, in);
}

static void tell_dependent(const struct hf_warning *w, const struct event *e, char *out, size_t cap)
{
    static const char *const then[] = {
        [HF_END_EXPIRY] = "cannot be reached then",
        [HF_END_DISTRUST] = "cannot be reached then with a newer certificate",
        [HF_END_REMOVAL] = "cannot be reached then",
    };

    if (w->endpoint[0] == '\0')
        (void)
            snprintf(out, cap,
                     "no endpoint was seen that could show whether it is needed; publish a bundle "
                     "with its successor");
    else
        (void)snprintf(out, cap,
                       "%s has no other root in this bundle and %s; publish a bundle with its "
                       "successor",
                       w->endpoint, then[e->end]);
}

/* ---- adding ---------------------------------------------------------------------------------- */

static struct hf_warning *add(struct outlook *o, enum hf_end end, int64_t at_s, int threshold_days)
{
    struct hf_warning *w = &o->warnings[o->n++];
    *w = (struct hf_warning){.kind = kind_of(end),
                             .at_s = at_s,
                             .threshold_days = threshold_days,
                             .days_left = days_until(o->now_s, at_s)};
    return w;
}

static void add_event(struct outlook *o, const struct event *e)
{
    char what[HF_DN_TEXT_MAX + 96], who[464];
    bool has_users = false;
    const struct hf_reliance *r = find_dependent(o, e, &has_users);

    if (!has_users)
        return;
    struct hf_warning *w = add(o, e->end, e->at_s, e->threshold_days);
    w->is_note = r == NULL;
    (void)snprintf(w->subject, sizeof w->subject, "%s", e->anchor->cert.subject);
    hf_hex_encode(e->anchor->cert.sha256, HF_SHA256_LEN, w->sha256);
    if (r != NULL && r->endpoint != NULL)
        hf_reliance_text(r, o->bundle, w->endpoint, sizeof w->endpoint);
    tell_event(o, e, what, sizeof what);
    if (w->is_note)
        (void)snprintf(who, sizeof who, "nothing is lost by it: another root serves");
    else
        tell_dependent(w, e, who, sizeof who);
    (void)snprintf(w->text, sizeof w->text, "%s: %s", what, who);
}

/* Expiry or removal, whichever comes first. An anchor that has gone is no news. */
static void look_at_end(struct outlook *o, const struct hf_anchor *anchor)
{
    struct event e = {.anchor = anchor, .end = HF_END_EXPIRY, .at_s = anchor->cert.not_after_s};

    if (anchor->remove_after_s >= o->now_s && anchor->remove_after_s < e.at_s) {
        e.end = HF_END_REMOVAL;
        e.at_s = anchor->remove_after_s;
    }
    e.threshold_days = threshold_of(o->now_s, e.at_s);
    if (e.threshold_days > 0)
        add_event(o, &e);
}

static void look_at_distrust(struct outlook *o, const struct hf_anchor *anchor)
{
    struct event e = {.anchor = anchor,
                      .end = HF_END_DISTRUST,
                      .at_s = anchor->distrust_after_s,
                      .threshold_days = threshold_of(o->now_s, anchor->distrust_after_s)};

    if (e.at_s != HF_TIME_NONE && e.threshold_days >= 0 && anchor->cert.not_after_s >= o->now_s)
        add_event(o, &e);
}

static void look_at_endpoint(struct outlook *o, const struct hf_reliance *r)
{
    if (r->endpoint == NULL ||
        hf_reliance_at(r, o->bundle, NULL, o->now_s, o->now_s) != HF_HOLD_BROKEN)
        return;
    bool is_noted = r->loss != NULL && r->loss->since_s != HF_TIME_NONE;
    struct hf_warning *w = add(o, HF_END_MISSING, is_noted ? r->loss->since_s : o->now_s, 0);
    char day[HF_TIME_TEXT_MAX], how[HF_DN_TEXT_MAX + 96];

    hf_reliance_text(r, o->bundle, w->endpoint, sizeof w->endpoint);
    if (!is_noted) {
        (void)snprintf(w->text, sizeof w->text,
                       "%s is lost: none of the roots that its chain leads to is trusted now; "
                       "publish a bundle with one of them, or move the endpoint to another CA",
                       w->endpoint);
        return;
    }
    (void)snprintf(w->subject, sizeof w->subject, "%s", r->loss->root);
    hf_time_format(r->loss->since_s, day);
    hf_loss_text(r->loss, how, sizeof how);
    (void)snprintf(w->text, sizeof w->text,
                   "%s is lost since %s: %s; publish a bundle with a root that it leads to, or "
                   "move the endpoint to another CA",
                   w->endpoint, day, how);
}

static int compare(const void *a, const void *b)
{
    const struct hf_warning *x = a, *y = b;
    if (x->is_note != y->is_note)
        return x->is_note ? 1 : -1;
    return (x->at_s > y->at_s) - (x->at_s < y->at_s);
}

enum hf_err hf_warnings_make(const struct hf_bundle *bundle, const struct hf_reliances *reliances,
                             int64_t now_s, struct hf_warning **out, size_t *n_out,
                             struct hf_why *why)
{
    size_t most = 2 * bundle->n_anchors + reliances->n;
    struct outlook o = {.bundle = bundle, .reliances = reliances, .now_s = now_s};

    o.warnings = calloc(most + 1, sizeof *o.warnings);
    if (o.warnings == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the warnings about %zu trust anchors",
                       bundle->n_anchors);
    for (size_t i = 0; i < reliances->n; i++)
        look_at_endpoint(&o, &reliances->items[i]);
    for (size_t i = 0; i < bundle->n_anchors; i++) {
        look_at_end(&o, &bundle->anchors[i]);
        look_at_distrust(&o, &bundle->anchors[i]);
    }
    qsort(o.warnings, o.n, sizeof *o.warnings, compare);
    *out = o.warnings;
    *n_out = o.n;
    return HF_OK;
}
