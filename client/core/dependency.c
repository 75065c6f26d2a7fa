#include "client/core/dependency.h"
#include "client/core/bundles.h"

#include "common/chain/words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- making them ----------------------------------------------------------------------------- */

struct hf_dependency hf_dependency_of(const char *endpoint, enum hf_key_type type,
                                      const struct hf_endpoint_memory *memory)
{
    return (struct hf_dependency){
        .endpoint = endpoint,
        .key_type = type,
        .keys = (const uint8_t(*)[HF_SHA256_LEN])memory->anchors,
        .n_keys = memory->n_anchors,
        .leaf_not_before_s = memory->leaf_not_before_s,
        .leaf_not_after_s = memory->leaf_not_after_s,
    };
}

void hf_dependencies_free(struct hf_dependencies *dependencies)
{
    free(dependencies->items);
    free(dependencies->probed);
    *dependencies = (struct hf_dependencies){0};
}

/* False if no chain of it was seen. A chain that no anchor ever validated says nothing about
 * any. */
static bool add_endpoint(struct hf_client *c, size_t endpoint, const struct hf_bundle *active,
                         struct hf_dependencies *out)
{
    const struct hf_endpoint_port *port = &c->ports.endpoints;
    const size_t n_before = out->n;

    for (int type = 0; type < HF_KEY_TYPES; type++) {
        const struct hf_endpoint_state *e = hf_state_endpoint(c, endpoint, (enum hf_key_type)type);
        if (e->memory.seen_s == HF_TIME_NONE || e->memory.n_anchors == 0)
            continue;
        struct hf_dependency *d = &out->items[out->n++];
        *d = hf_dependency_of(port->name(port->ctx, endpoint), (enum hf_key_type)type, &e->memory);
        d->loss = &e->loss;
        d->observed = active;
    }
    return out->n > n_before;
}

enum hf_err hf_dependencies_make(struct hf_client *c, const struct hf_bundle *active,
                                 const struct hf_bundle *bundle, struct hf_dependencies *out,
                                 struct hf_why *why)
{
    const size_t n_endpoints = c != NULL ? c->ports.endpoints.n_endpoints : 0;

    *out = (struct hf_dependencies){
        .items = calloc(n_endpoints * HF_KEY_TYPES + bundle->n_anchors + 1, sizeof *out->items)};
    if (out->items == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for what is known of %zu trust anchors",
                       bundle->n_anchors);
    for (size_t i = 0; i < n_endpoints; i++) {
        const struct hf_endpoint_port *port = &c->ports.endpoints;
        const struct hf_refusal *refusal = &c->state.refusals[i];
        out->n_unseen += !add_endpoint(c, i, active, out);
        if (refusal->seen_s != HF_TIME_NONE)
            out->refused[out->n_refused++] = (struct hf_refused_endpoint){port->name(port->ctx, i),
                                                                          refusal};
    }
    if (n_endpoints > 0 && out->n_unseen == 0)
        return HF_OK;
    for (size_t i = 0; i < bundle->n_anchors; i++) {
        const struct hf_anchor *anchor = &bundle->anchors[i];
        /* Several certificates of one key count once. */
        if (hf_bundle_find_key(bundle, anchor->cert.spki_sha256) != anchor)
            continue;
        out->items[out->n++] = (struct hf_dependency){
            .keys = (const uint8_t(*)[HF_SHA256_LEN])anchor->cert.spki_sha256,
            .n_keys = 1,
            .leaf_not_before_s = HF_TIME_NONE,
            .leaf_not_after_s = HF_TIME_NONE,
        };
    }
    return HF_OK;
}

enum hf_err hf_dependencies_probe(const struct hf_endpoint_port *port,
                                  const struct hf_bundle *bundle, struct hf_dependencies *out,
                                  struct hf_why *why)
{
    static const struct {
        enum hf_offer offer;
        enum hf_key_type type;
    } offers[] = {
        {HF_OFFER_TLS13_RSA, HF_KEY_TYPE_RSA},
        {HF_OFFER_TLS12_RSA, HF_KEY_TYPE_RSA},
        {HF_OFFER_TLS13_ECC, HF_KEY_TYPE_ECC},
        {HF_OFFER_TLS12_ECC, HF_KEY_TYPE_ECC},
    };
    const char *name = port->name(port->ctx, 0);
    struct hf_trust_anchor *anchors = NULL;
    char silence[HF_WHY_MAX] = "no answer";

    HF_TRY(hf_trust_anchors_of(bundle, &anchors, why));
    /* What these dates do is told from what was found. */
    for (size_t i = 0; i < bundle->n_anchors; i++)
        anchors[i].distrust_after_s = anchors[i].remove_after_s = HF_TIME_NONE;
    const struct hf_anchor_set set = {.anchors = anchors, .n_anchors = bundle->n_anchors};
    *out = (struct hf_dependencies){.items = calloc(HF_KEY_TYPES, sizeof *out->items),
                                    .probed = calloc(HF_KEY_TYPES, sizeof *out->probed)};
    enum hf_err err = out->items != NULL && out->probed != NULL
                          ? HF_OK
                          : hf_fail(why, HF_E_MEMORY, "out of memory for a probe of %s", name);
    for (size_t i = 0; i < sizeof offers / sizeof offers[0] && err == HF_OK; i++) {
        struct hf_chain_observation seen = {0};
        bool is_valid = false;
        /* The first offer of a type that is answered is enough. */
        if (out->n > 0 && out->items[out->n - 1].key_type == offers[i].type)
            continue;
        err = port->probe(port->ctx, 0, offers[i].offer, &set, 1, &is_valid, &seen, why);
        if (err == HF_OK && seen.has_proof) {
            struct hf_endpoint_memory *memory = &out->probed[out->n].memory;
            struct hf_dependency *d = &out->items[out->n];
            memory->leaf_not_before_s = seen.leaf_not_before_s;
            memory->leaf_not_after_s = seen.leaf_not_after_s;
            memory->n_anchors = seen.n_anchors;
            memcpy(memory->anchors, seen.anchors, sizeof memory->anchors);
            *d = hf_dependency_of(name, offers[i].type, memory);
            d->observed = bundle;
            if (!is_valid && !seen.lacks_only_anchor && seen.text[0] != '\0') {
                d->refusal = out->probed[out->n].refusal;
                memcpy(out->probed[out->n].refusal, seen.text, sizeof seen.text);
            }
            out->n++;
        } else if (seen.text[0] != '\0') {
            (void)snprintf(silence, sizeof silence, "%s", seen.text);
        }
    }
    if (err == HF_OK && out->n == 0)
        err = hf_fail(why, HF_E_NETWORK, "%s: %.400s", name, silence);
    if (err != HF_OK)
        hf_dependencies_free(out);
    free(anchors);
    return err;
}

/* ---- how long one anchor serves -------------------------------------------------------------- */

bool hf_dependency_has(const struct hf_dependency *d, const struct hf_anchor *anchor)
{
    for (size_t i = 0; i < d->n_keys; i++) {
        if (memcmp(d->keys[i], anchor->cert.spki_sha256, HF_SHA256_LEN) == 0)
            return true;
    }
    return false;
}

const char *hf_dependency_new_limit(const struct hf_dependency *d, const struct hf_anchor *anchor)
{
    struct hf_certificate cert, old;
    bool is_observed = false;

    if (d->observed == NULL || !hf_certificate_parse(anchor->der, &cert))
        return NULL;
    /* Which one of several validated the chain is not known. */
    for (size_t i = 0; i < d->observed->n_anchors; i++) {
        const struct hf_anchor *seen = &d->observed->anchors[i];
        if (memcmp(seen->cert.spki_sha256, anchor->cert.spki_sha256, HF_SHA256_LEN) != 0 ||
            !hf_certificate_parse(seen->der, &old))
            continue;
        const char *limit = hf_words_new_limit(&cert, &old);
        if (limit != NULL)
            return limit;
        is_observed = true;
    }
    return is_observed ? NULL : hf_words_new_limit(&cert, NULL);
}

void hf_dependency_text(const struct hf_dependency *d, const struct hf_bundle *bundle, char *out,
                        size_t cap)
{
    static const char *const types[] =
        {[HF_KEY_TYPE_RSA] = " (RSA)", [HF_KEY_TYPE_ECC] = " (ECC)", [HF_KEY_TYPE_ANY] = ""};
    const char *subject = "?";

    if (d->endpoint != NULL) {
        (void)snprintf(out, cap, "%s%s", d->endpoint, types[d->key_type]);
        return;
    }
    for (size_t i = bundle->n_anchors; i > 0; i--) {
        if (hf_dependency_has(d, &bundle->anchors[i - 1]))
            subject = bundle->anchors[i - 1].cert.subject;
    }
    (void)snprintf(out, cap, "any server under \"%s\"", subject);
}

/* Last seconds. */
struct span {
    int64_t from_s;
    int64_t sure_s;
    int64_t perhaps_s;
    enum hf_end end; /* what ends the sure part */
};

/* Some leaves end "never", in 9999. */
#define LEAF_LASTS_MAX_S (INT64_C(10000) * 366 * HF_DAY_S)

/* False if it is not one of these anchors, or can validate no server. */
static bool find_span(const struct hf_dependency *d, const struct hf_anchor *anchor, int64_t now_s,
                      struct span *out)
{
    const int64_t remove_s = anchor->remove_after_s, distrust_s = anchor->distrust_after_s;

    if (!hf_dependency_has(d, anchor) || hf_verify_anchor(anchor->der) != 0)
        return false;
    *out = (struct span){anchor->cert.not_before_s, anchor->cert.not_after_s,
                         anchor->cert.not_after_s, HF_END_EXPIRY};
    if (remove_s != HF_TIME_NONE && remove_s < out->sure_s) {
        out->sure_s = out->perhaps_s = remove_s;
        out->end = HF_END_REMOVAL;
    }
    if (d->leaf_not_before_s != HF_TIME_NONE && distrust_s != HF_TIME_NONE &&
        distrust_s < out->sure_s) {
        /* The last second in which a leaf may be in use that was issued by then. */
        const int64_t lasts_s = d->leaf_not_after_s - d->leaf_not_before_s;
        int64_t last_s = distrust_s;
        if (now_s <= distrust_s) /* it may be renewed on the last day */
            last_s += lasts_s < LEAF_LASTS_MAX_S ? lasts_s : LEAF_LASTS_MAX_S;
        else if (d->leaf_not_before_s <= distrust_s)
            last_s = d->leaf_not_after_s;
        out->sure_s = distrust_s;
        out->end = HF_END_DISTRUST;
        if (last_s < out->perhaps_s)
            out->perhaps_s = last_s;
    }
    if (hf_dependency_new_limit(d, anchor) != NULL) {
        out->sure_s = out->from_s - 1;
        out->end = HF_END_UNPROVED;
    }
    return true;
}

/* ---- how long all of them do ----------------------------------------------------------------- */

enum hf_hold hf_dependency_at(const struct hf_dependency *d, const struct hf_bundle *bundle,
                              const struct hf_anchor *without, int64_t now_s, int64_t at_s)
{
    enum hf_hold hold = HF_HOLD_BROKEN;
    struct span span;

    for (size_t i = 0; i < bundle->n_anchors; i++) {
        const struct hf_anchor *anchor = &bundle->anchors[i];
        if (anchor == without || !find_span(d, anchor, now_s, &span) || at_s < span.from_s)
            continue;
        if (at_s <= span.sure_s)
            return HF_HOLD_SURE;
        if (at_s <= span.perhaps_s)
            hold = HF_HOLD_AT_RISK;
    }
    return hold;
}

const struct hf_anchor *hf_dependency_served_by(const struct hf_dependency *d,
                                                const struct hf_bundle *bundle, int64_t now_s,
                                                int64_t at_s)
{
    const struct hf_anchor *best = NULL;
    int64_t best_s = INT64_MIN;
    struct span span;

    for (size_t i = 0; i < bundle->n_anchors; i++) {
        if (find_span(d, &bundle->anchors[i], now_s, &span) && span.from_s <= at_s &&
            at_s <= span.sure_s && span.sure_s > best_s) {
            best = &bundle->anchors[i];
            best_s = span.sure_s;
        }
    }
    return best;
}

/* The end of all spans that hold `now_s` and of what follows on them without a gap. */
static int64_t last_second(const struct hf_dependency *d, const struct hf_bundle *bundle,
                           int64_t now_s, bool is_perhaps_enough)
{
    int64_t last_s = now_s - 1;
    struct span span;

    for (bool is_longer = true; is_longer;) {
        is_longer = false;
        for (size_t i = 0; i < bundle->n_anchors; i++) {
            if (!find_span(d, &bundle->anchors[i], now_s, &span))
                continue;
            int64_t end_s = is_perhaps_enough ? span.perhaps_s : span.sure_s;
            if (span.from_s <= last_s + 1 && end_s > last_s) {
                last_s = end_s;
                is_longer = true;
            }
        }
    }
    return last_s;
}

struct hf_breakage hf_dependency_foresee(const struct hf_dependency *d,
                                         const struct hf_bundle *bundle, int64_t now_s)
{
    struct hf_breakage out = {
        .from_s = last_second(d, bundle, now_s, false) + 1,
        .at_latest_s = last_second(d, bundle, now_s, true) + 1,
    };
    int64_t last_s = INT64_MIN;
    struct span span;

    /* Of the anchors that have ended by then, the one that was there longest. */
    for (size_t i = 0; i < bundle->n_anchors; i++) {
        if (find_span(d, &bundle->anchors[i], now_s, &span) && span.sure_s < out.from_s &&
            span.sure_s > last_s) {
            out.anchor = &bundle->anchors[i];
            out.end = span.end;
            last_s = span.sure_s;
        }
    }
    if (out.anchor == NULL && d->refusal != NULL)
        out.end = HF_END_REFUSED;
    for (size_t i = 0; i < bundle->n_anchors && out.anchor == NULL; i++) {
        if (hf_dependency_has(d, &bundle->anchors[i])) {
            out.anchor = &bundle->anchors[i];
            out.end = HF_END_REFUSED;
        }
    }
    return out;
}

int64_t hf_dependency_last_end(const struct hf_dependency *d, const struct hf_bundle *bundle,
                               int64_t now_s, const struct hf_anchor **last)
{
    int64_t last_s = HF_TIME_NONE;

    for (size_t i = 0; i < bundle->n_anchors; i++) {
        const struct hf_anchor *anchor = &bundle->anchors[i];
        int64_t end_s = anchor->cert.not_after_s;
        if (!hf_dependency_has(d, anchor) || now_s < anchor->cert.not_before_s ||
            hf_verify_anchor(anchor->der) != 0)
            continue;
        if (anchor->remove_after_s != HF_TIME_NONE && anchor->remove_after_s < end_s)
            end_s = anchor->remove_after_s;
        if (end_s >= now_s && end_s > last_s) {
            last_s = end_s;
            *last = anchor;
        }
    }
    return last_s;
}
