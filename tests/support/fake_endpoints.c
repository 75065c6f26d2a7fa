#include "tests/support/fake_endpoints.h"

#include "common/bundle/bundle.h"
#include "common/bundle/policy.h"
#include "tests/support/check.h"

#include <stdio.h>
#include <string.h>

static bool leads_to(const struct fake_chain *chain, const struct hf_trust_anchor *anchor,
                     int64_t now_s)
{
    struct hf_cert cert;

    CHECK_OK(hf_cert_parse(anchor->der, &cert, NULL));
    if (hf_policy_state_at(anchor->not_before_s, anchor->not_after_s, anchor->remove_after_s,
                           now_s) != HF_ANCHOR_USABLE ||
        !hf_policy_leaf_date_is_accepted(anchor->distrust_after_s, chain->leaf_not_before_s))
        return false;
    for (size_t i = 0; i < chain->n_anchors; i++) {
        if (memcmp(chain->anchors[i], cert.spki_sha256, HF_SHA256_LEN) == 0)
            return true;
    }
    return false;
}

static void add_anchor(struct hf_chain_observation *sighting, const struct hf_trust_anchor *anchor)
{
    struct hf_cert cert;

    CHECK_OK(hf_cert_parse(anchor->der, &cert, NULL));
    for (size_t i = 0; i < sighting->n_anchors; i++) {
        if (memcmp(sighting->anchors[i], cert.spki_sha256, HF_SHA256_LEN) == 0)
            return;
    }
    assert_true(sighting->n_anchors < HF_OBSERVED_ANCHORS_MAX);
    memcpy(sighting->anchors[sighting->n_anchors++], cert.spki_sha256, HF_SHA256_LEN);
}

static bool verify(const struct fake_chain *chain, const struct hf_anchor_set *set, int64_t now_s,
                   struct hf_chain_observation *sighting)
{
    bool is_valid = false;
    for (size_t i = 0; i < set->n_anchors; i++) {
        if (!leads_to(chain, &set->anchors[i], now_s))
            continue;
        add_anchor(sighting, &set->anchors[i]);
        is_valid = true;
    }
    return is_valid;
}

static enum hf_err probe(void *ctx, size_t endpoint, enum hf_offer offer,
                         const struct hf_anchor_set *sets, size_t n_sets, bool *is_valid,
                         struct hf_chain_observation *out, struct hf_why *why)
{
    struct fake_endpoints *fake = ctx;
    struct fake_endpoint *e = &fake->endpoints[endpoint];
    const struct fake_chain *chain = &e->chains[offer];
    struct hf_chain_observation sighting = {.has_proof = chain->is_shown && !chain->lacks_proof};

    sighting.has_chain_proof = sighting.has_proof && !chain->is_open;
    assert_true(endpoint < fake->n);
    e->n_looks++;
    if (fake->uptime_ms != NULL)
        *fake->uptime_ms += fake->look_ms;
    if (fake->own_fault != HF_OK)
        return hf_fail(why, fake->own_fault, "the port's own fault");
    if (!sighting.has_proof)
        (void)snprintf(sighting.text, sizeof sighting.text, "connection refused");
    (void)snprintf(sighting.issuer, sizeof sighting.issuer, "%s", chain->issuer);
    sighting.leaf_not_before_s = chain->leaf_not_before_s;
    for (size_t i = 0; i < n_sets; i++) {
        is_valid[i] = sighting.has_proof && verify(chain, &sets[i], *fake->now_s, &sighting);
        if (is_valid[i] && !sets[i].is_judged_only)
            e->was_shown_certificate = true;
    }
    sighting.lacks_only_anchor = sighting.has_proof && n_sets > 0 && !is_valid[n_sets - 1];
    if (sighting.has_proof && n_sets > 0 && !is_valid[n_sets - 1])
        (void)snprintf(sighting.text, sizeof sighting.text,
                       "no trust anchor for issuer \"%s\" among %zu", chain->issuer,
                       sets[n_sets - 1].n_anchors);
    *out = sighting;
    return HF_OK;
}

static const char *name(void *ctx, size_t endpoint)
{
    struct fake_endpoints *fake = ctx;
    return fake->endpoints[endpoint].name;
}

struct hf_endpoint_port fake_endpoints_port(struct fake_endpoints *fake, const int64_t *now_s)
{
    fake->now_s = now_s;
    return (
        struct hf_endpoint_port){.ctx = fake, .n_endpoints = fake->n, .name = name, .probe = probe};
}

struct fake_endpoint *fake_endpoint_add(struct fake_endpoints *fake, const char *called)
{
    assert_true(fake->n < HF_ENDPOINTS_MAX);
    struct fake_endpoint *endpoint = &fake->endpoints[fake->n++];
    *endpoint = (struct fake_endpoint){0};
    (void)snprintf(endpoint->name, sizeof endpoint->name, "%s", called);
    return endpoint;
}

void fake_endpoint_show(struct fake_endpoint *endpoint, enum hf_offer offer, struct hf_bytes pem)
{
    struct fake_chain *chain = &endpoint->chains[offer];
    struct hf_bundle bundle = {0};

    CHECK_OK(hf_bundle_parse(pem, NULL, &bundle, NULL));
    assert_true(bundle.n_anchors <= FAKE_CHAIN_ANCHORS_MAX);
    *chain = (struct fake_chain){.is_shown = true, .n_anchors = bundle.n_anchors};
    for (size_t i = 0; i < bundle.n_anchors; i++)
        memcpy(chain->anchors[i], bundle.anchors[i].cert.spki_sha256, HF_SHA256_LEN);
    (void)snprintf(chain->issuer, sizeof chain->issuer, "CN=Issuing CA %d", (int)offer);
    hf_bundle_free(&bundle);
}

void fake_endpoint_show_all(struct fake_endpoint *endpoint, struct hf_bytes pem)
{
    for (int offer = 0; offer < FAKE_OFFERS; offer++)
        fake_endpoint_show(endpoint, (enum hf_offer)offer, pem);
}

void fake_endpoint_hide(struct fake_endpoint *endpoint)
{
    memset(endpoint->chains, 0, sizeof endpoint->chains);
}
