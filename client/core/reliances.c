/* Who relies on which anchors, as far as the device has seen: from the memory of its endpoints. */
#include "client/core/reliance.h"

#include <stdlib.h>
#include <string.h>

static enum hf_err make_room(size_t n_memories, size_t n_items, struct hf_reliances *out,
                             struct hf_why *why)
{
    *out = (struct hf_reliances){0};
    out->memories = calloc(n_memories + 1, sizeof *out->memories);
    out->items = calloc(n_items + 1, sizeof *out->items);
    if (out->memories != NULL && out->items != NULL)
        return HF_OK;
    hf_reliances_free(out);
    return hf_fail(why, HF_E_MEMORY, "out of memory for what is known of %zu trust anchors",
                   n_items);
}

void hf_reliances_free(struct hf_reliances *reliances)
{
    free(reliances->items);
    free(reliances->memories);
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

static struct hf_reliance reliance_of(const char *endpoint, enum hf_key_type type,
                                      const struct hf_endpoint_memory *memory)
{
    return (struct hf_reliance){
        .endpoint = endpoint,
        .key_type = type,
        .keys = (const uint8_t(*)[HF_SHA256_LEN])memory->anchors,
        .n_keys = memory->n_anchors,
        .leaf_not_before_s = memory->leaf_not_before_s,
        .leaf_not_after_s = memory->leaf_not_after_s,
        .keeps_last = true,
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
        out->items[out->n++] = reliance_of(port->name(port->ctx, endpoint), (enum hf_key_type)type,
                                           memory);
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
