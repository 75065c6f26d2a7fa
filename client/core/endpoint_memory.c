/*
 * What is known of the device's endpoints between one look and the next: a value for each endpoint and
 * type of key, "NAME SEEN LEAF_NOT_BEFORE LEAF_NOT_AFTER SPKI…", times in seconds, hashes in hex. An
 * endpoint that was configured anew under the same number is told by its name.
 */
#include "client/core/client_internal.h"

#include "common/base/hex.h"
#include "common/bundle/policy.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *endpoint_name(const struct hf_client *c, size_t endpoint)
{
    return c->ports.endpoints.name(c->ports.endpoints.ctx, endpoint);
}

static void value_name(size_t endpoint, enum hf_key_type type, char out[32])
{
    static const char *const types[] =
        {[HF_KEY_TYPE_RSA] = "rsa", [HF_KEY_TYPE_ECC] = "ecc", [HF_KEY_TYPE_ANY] = "any"};
    (void)snprintf(out, 32, "endpoint.%zu.%s", endpoint, types[type]);
}

/* ---- reading ------------------------------------------------------------------------------------ */

/* Each with a space in front. */
static bool parse_anchors(const char *text, struct hf_endpoint_memory *out)
{
    char hex[HF_SHA256_HEX_LEN];

    while (*text == ' ') {
        size_t len = strcspn(++text, " ");
        if (len != sizeof hex - 1 || out->n_anchors == HF_SIGHTING_ANCHORS_MAX)
            return false;
        memcpy(hex, text, len);
        hex[len] = '\0';
        if (!hf_hex_decode(hex, out->anchors[out->n_anchors++], HF_SHA256_LEN))
            return false;
        text += len;
    }
    return true;
}

static bool parse(const char *text, const char *name, struct hf_endpoint_memory *out)
{
    size_t name_len = strlen(name);
    int64_t times[3];

    if (strncmp(text, name, name_len) != 0 || text[name_len] != ' ')
        return false;
    text = hf_integers_parse(text + name_len + 1, times, 3);
    if (text == NULL)
        return false;
    out->seen_s = times[0];
    out->leaf_not_before_s = times[1];
    out->leaf_not_after_s = times[2];
    return parse_anchors(text, out);
}

void hf_endpoint_memory_load(struct hf_client *c, size_t endpoint, enum hf_key_type type,
                             struct hf_endpoint_memory *out)
{
    struct hf_endpoint_memory memory = {0};
    struct hf_buf text = {0};
    struct hf_why why = {0};
    char name[32];

    *out = (struct hf_endpoint_memory){.seen_s = HF_TIME_NONE};
    value_name(endpoint, type, name);
    if (hf_value_load(c, name, &text, &why) != HF_OK) {
        hf_log(c, HF_LEVEL_WARNING, "what is known of an endpoint cannot be read: %s", why.text);
        return;
    }
    if (parse((const char *)text.data, endpoint_name(c, endpoint), &memory))
        *out = memory;
    hf_buf_free(&text);
}

/* ---- writing ------------------------------------------------------------------------------------ */

/* Stored times are not negative, and no distrust_after asks what was before. */
static int64_t from_1970(int64_t time_s)
{
    return time_s > 0 ? time_s : 0;
}

static enum hf_err print(const char *name, const struct hf_endpoint_memory *m, struct hf_buf *out)
{
    char hex[HF_SHA256_HEX_LEN];

    HF_TRY(hf_buf_printf(out, "%s %" PRId64 " %" PRId64 " %" PRId64, name, m->seen_s,
                         from_1970(m->leaf_not_before_s), from_1970(m->leaf_not_after_s)));
    for (size_t i = 0; i < m->n_anchors; i++) {
        hf_hex_encode(m->anchors[i], HF_SHA256_LEN, hex);
        HF_TRY(hf_buf_printf(out, " %s", hex));
    }
    return HF_OK;
}

static bool has_same_anchors(const struct hf_endpoint_memory *a, const struct hf_endpoint_memory *b)
{
    return a->n_anchors == b->n_anchors &&
           memcmp(a->anchors, b->anchors, a->n_anchors * sizeof a->anchors[0]) == 0;
}

void hf_endpoint_memory_save(struct hf_client *c, size_t endpoint, enum hf_key_type type,
                             const struct hf_endpoint_memory *memory)
{
    struct hf_endpoint_memory before;
    struct hf_buf text = {0};
    struct hf_why why = {0};
    char name[32];

    hf_endpoint_memory_load(c, endpoint, type, &before);
    if (!has_same_anchors(&before, memory))
        c->live_version = -1; /* which anchors are needed may differ: the live store is made anew */
    value_name(endpoint, type, name);
    enum hf_err err = memory->n_anchors > 0 ? print(endpoint_name(c, endpoint), memory, &text)
                                            : hf_buf_append_text(&text, "");
    if (err == HF_OK)
        err = hf_value_save(c, name, (const char *)text.data, &why);
    if (err != HF_OK)
        hf_log(c, HF_LEVEL_WARNING, "what was seen of an endpoint cannot be kept: %s", why.text);
    hf_buf_free(&text);
}

/* ---- which anchors must stay ------------------------------------------------------------------------ */

static bool knows(const struct hf_endpoint_memory *memory, const struct hf_anchor *anchor)
{
    for (size_t i = 0; i < memory->n_anchors; i++) {
        if (memcmp(memory->anchors[i], anchor->cert.spki_sha256, HF_SHA256_LEN) == 0)
            return true;
    }
    return false;
}

/* Is there another one that serves this endpoint once `anchor` is gone? */
static bool has_other(const struct hf_bundle *bundle, const struct hf_endpoint_memory *memory,
                      const struct hf_anchor *anchor, int64_t gone_s)
{
    for (size_t i = 0; i < bundle->n_anchors; i++) {
        const struct hf_anchor *other = &bundle->anchors[i];
        if (other != anchor && knows(memory, other) &&
            hf_policy_anchor_state(other, gone_s) == HF_ANCHOR_USABLE)
            return true;
    }
    return false;
}

bool hf_endpoints_need(struct hf_client *c, const struct hf_bundle *bundle,
                       const struct hf_anchor *anchor)
{
    int64_t now_s = hf_client_now_s(c);
    int64_t gone_s = anchor->remove_after_s < now_s ? now_s : anchor->remove_after_s + 1;
    struct hf_endpoint_memory memory;

    if (anchor->remove_after_s == HF_TIME_NONE)
        return false;
    for (size_t i = 0; i < c->ports.endpoints.n_endpoints; i++) {
        for (int type = 0; type < HF_KEY_TYPES; type++) {
            hf_endpoint_memory_load(c, i, (enum hf_key_type)type, &memory);
            if (knows(&memory, anchor) && !has_other(bundle, &memory, anchor, gone_s))
                return true;
        }
    }
    return false;
}
