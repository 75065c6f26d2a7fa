#include "client/core/reliance.h"
#include "client/core/endpoints.h"

#include <stdio.h>
#include <string.h>

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

bool hf_reliance_has(const struct hf_reliance *r, const struct hf_anchor *anchor)
{
    for (size_t i = 0; i < r->n_keys; i++) {
        if (memcmp(r->keys[i], anchor->cert.spki_sha256, HF_SHA256_LEN) == 0)
            return true;
    }
    return false;
}

static const struct hf_anchor *find_anchor(const struct hf_reliance *r,
                                           const struct hf_bundle *bundle)
{
    for (size_t i = 0; i < bundle->n_anchors; i++) {
        if (hf_reliance_has(r, &bundle->anchors[i]))
            return &bundle->anchors[i];
    }
    return NULL;
}

void hf_reliance_text(const struct hf_reliance *r, const struct hf_bundle *bundle, char *out,
                      size_t cap)
{
    static const char *const types[] =
        {[HF_KEY_TYPE_RSA] = " (RSA)", [HF_KEY_TYPE_ECC] = " (ECC)", [HF_KEY_TYPE_ANY] = ""};
    const struct hf_anchor *anchor = find_anchor(r, bundle);

    if (r->endpoint != NULL)
        (void)snprintf(out, cap, "%s%s", r->endpoint, types[r->key_type]);
    else
        (void)snprintf(out, cap, "any server under \"%s\"",
                       anchor != NULL ? anchor->cert.subject : "?");
}

/* Some leaves end "never", in 9999. */
#define LEAF_LASTS_MAX_S (INT64_C(10000) * 366 * HF_DAY_S)

/* ---- how long one anchor serves -------------------------------------------------------------- */

/* Last seconds. */
struct span {
    int64_t from_s;
    int64_t sure_s;
    int64_t perhaps_s;
    enum hf_end end; /* what ends the sure part */
};

/* The last second in which a leaf may be in use that was issued by `distrust_after_s`. */
static int64_t last_leaf_s(const struct hf_reliance *r, int64_t distrust_after_s, int64_t now_s)
{
    int64_t lasts_s = r->leaf_not_after_s - r->leaf_not_before_s;

    if (now_s <= distrust_after_s) /* it may be renewed on the last day */
        return distrust_after_s + (lasts_s < LEAF_LASTS_MAX_S ? lasts_s : LEAF_LASTS_MAX_S);
    return r->leaf_not_before_s <= distrust_after_s ? r->leaf_not_after_s : distrust_after_s;
}

static void end_by_distrust(const struct hf_reliance *r, int64_t distrust_s, int64_t now_s,
                            struct span *span)
{
    int64_t last_s = last_leaf_s(r, distrust_s, now_s);
    span->sure_s = distrust_s;
    span->end = HF_END_DISTRUST;
    if (last_s < span->perhaps_s)
        span->perhaps_s = last_s;
}

static struct span span_of(const struct hf_reliance *r, const struct hf_anchor *anchor,
                           int64_t now_s)
{
    struct span span = {anchor->cert.not_before_s, anchor->cert.not_after_s,
                        anchor->cert.not_after_s, HF_END_EXPIRY};
    int64_t remove_s = anchor->remove_after_s;
    int64_t distrust_s = r->leaf_not_before_s != HF_TIME_NONE ? anchor->distrust_after_s
                                                              : HF_TIME_NONE;

    if (remove_s != HF_TIME_NONE && remove_s < span.sure_s) {
        span.sure_s = span.perhaps_s = remove_s;
        span.end = HF_END_REMOVAL;
    }
    if (distrust_s != HF_TIME_NONE && distrust_s < span.sure_s)
        end_by_distrust(r, distrust_s, now_s, &span);
    return span;
}

/* ---- how long all of them do ----------------------------------------------------------------- */

enum hf_hold hf_reliance_at(const struct hf_reliance *r, const struct hf_bundle *bundle,
                            const struct hf_anchor *without, int64_t now_s, int64_t at_s)
{
    enum hf_hold hold = HF_HOLD_BROKEN;

    for (size_t i = 0; i < bundle->n_anchors; i++) {
        const struct hf_anchor *anchor = &bundle->anchors[i];
        if (anchor == without || !hf_reliance_has(r, anchor))
            continue;
        struct span span = span_of(r, anchor, now_s);
        if (at_s < span.from_s)
            continue;
        if (at_s <= span.sure_s)
            return HF_HOLD_SURE;
        if (at_s <= span.perhaps_s)
            hold = HF_HOLD_AT_RISK;
    }
    return hold;
}

const struct hf_anchor *hf_reliance_served_by(const struct hf_reliance *r,
                                              const struct hf_bundle *bundle, int64_t now_s,
                                              int64_t at_s)
{
    const struct hf_anchor *best = NULL;
    int64_t best_s = INT64_MIN;

    for (size_t i = 0; i < bundle->n_anchors; i++) {
        const struct hf_anchor *anchor = &bundle->anchors[i];
        if (!hf_reliance_has(r, anchor))
            continue;
        struct span span = span_of(r, anchor, now_s);
        if (span.from_s <= at_s && at_s <= span.sure_s && span.sure_s > best_s) {
            best = anchor;
            best_s = span.sure_s;
        }
    }
    return best;
}

/* The end of all spans that hold `at_s` and of what follows on them without a gap. */
static int64_t last_second_from(const struct hf_reliance *r, const struct hf_bundle *bundle,
                                int64_t now_s, int64_t at_s, bool is_perhaps_enough)
{
    int64_t last_s = at_s - 1;

    for (bool is_longer = true; is_longer;) {
        is_longer = false;
        for (size_t i = 0; i < bundle->n_anchors; i++) {
            if (!hf_reliance_has(r, &bundle->anchors[i]))
                continue;
            struct span span = span_of(r, &bundle->anchors[i], now_s);
            int64_t end_s = is_perhaps_enough ? span.perhaps_s : span.sure_s;
            if (span.from_s <= last_s + 1 && end_s > last_s) {
                last_s = end_s;
                is_longer = true;
            }
        }
    }
    return last_s;
}

/* Of the anchors that are over before `at_s`, the one that was there longest. */
static const struct hf_anchor *last_before(const struct hf_reliance *r,
                                           const struct hf_bundle *bundle, int64_t now_s,
                                           int64_t at_s, enum hf_end *end)
{
    const struct hf_anchor *last = NULL;
    int64_t last_s = INT64_MIN;

    *end = HF_END_MISSING;
    for (size_t i = 0; i < bundle->n_anchors; i++) {
        if (!hf_reliance_has(r, &bundle->anchors[i]))
            continue;
        struct span span = span_of(r, &bundle->anchors[i], now_s);
        if (span.sure_s < at_s && span.sure_s > last_s) {
            last = &bundle->anchors[i];
            last_s = span.sure_s;
            *end = span.end;
        }
    }
    return last;
}

void hf_reliance_foresee(const struct hf_reliance *r, const struct hf_bundle *bundle, int64_t now_s,
                         int64_t from_s, struct hf_breakage *out)
{
    int64_t sure_s = last_second_from(r, bundle, now_s, from_s, false);
    int64_t perhaps_s = last_second_from(r, bundle, now_s, from_s, true);

    *out = (struct hf_breakage){.from_s = sure_s + 1, .at_latest_s = perhaps_s + 1};
    out->anchor = last_before(r, bundle, now_s, out->from_s, &out->end);
}

int64_t hf_reliance_last_end(const struct hf_reliance *r, const struct hf_bundle *bundle,
                             int64_t now_s, const struct hf_anchor **last)
{
    int64_t last_s = HF_TIME_NONE;

    for (size_t i = 0; i < bundle->n_anchors; i++) {
        const struct hf_anchor *anchor = &bundle->anchors[i];
        int64_t end_s = anchor->cert.not_after_s;
        if (!hf_reliance_has(r, anchor) || now_s < anchor->cert.not_before_s)
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
