/* Who relies on which anchors: as far as the device has seen, or from a look. */
#include "client/core/reliance.h"

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

struct hf_reliance hf_reliance_of(const char *endpoint, enum hf_key_type type,
                                  const struct hf_endpoint_memory *memory)
{
    return (struct hf_reliance){
        .endpoint = endpoint,
        .key_type = type,
        .keys = (const uint8_t(*)[HF_SHA256_LEN])memory->anchors,
        .n_keys = memory->n_anchors,
        .leaf_not_before_s = memory->leaf_not_before_s,
        .leaf_not_after_s = memory->leaf_not_after_s,
    };
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

/* ---- a look ------------------------------------------------------------------------------------------ */

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

static void remember(const struct hf_sighting *sighting, struct hf_endpoint_memory *out)
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
        struct hf_sighting sighting = {0};
        bool is_valid = false;
        if (out->n > 0 && out->items[out->n - 1].key_type == offers[i].type)
            continue;
        HF_TRY(port->look(port->ctx, endpoint, offers[i].offer, set, 1, &is_valid, &sighting, why));
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
