/*
 * What is known of the device's endpoints between one look and the next: a value for each endpoint and
 * type of key, "NAME SEEN LEAF_NOT_BEFORE LEAF_NOT_AFTER SPKI… =ROOT", times in seconds, hashes in hex.
 * Records of earlier versions lack the root's subject. An endpoint that was configured anew under the
 * same number is identified by its name.
 */
#include "client/core/client_internal.h"

#include "common/base/hex.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *endpoint_name(const struct hf_client *c, size_t endpoint)
{
    return c->ports.endpoints.name(c->ports.endpoints.ctx, endpoint);
}

void hf_endpoint_value(size_t endpoint, enum hf_key_type type, const char *suffix,
                       char out[HF_ENDPOINT_VALUE_MAX])
{
    static const char *const types[] =
        {[HF_KEY_TYPE_RSA] = "rsa", [HF_KEY_TYPE_ECC] = "ecc", [HF_KEY_TYPE_ANY] = "any"};
    (void)snprintf(out, HF_ENDPOINT_VALUE_MAX, "endpoint.%zu.%s%s", endpoint, types[type], suffix);
}

/* ---- reading ------------------------------------------------------------------------------------ */

/* Each with a space in front; the subject of one of them after the last. */
static bool parse_anchors(const char *text, struct hf_endpoint_memory *out)
{
    char hex[HF_SHA256_HEX_LEN];

    while (*text == ' ') {
        if (text[1] == '=') {
            (void)snprintf(out->root, sizeof out->root, "%s", text + 2);
            return true;
        }
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
    char name[HF_ENDPOINT_VALUE_MAX];

    *out = (struct hf_endpoint_memory){.seen_s = HF_TIME_NONE};
    hf_endpoint_value(endpoint, type, "", name);
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
    return m->root[0] != '\0' ? hf_buf_printf(out, " =%s", m->root) : HF_OK;
}

void hf_endpoint_memory_save(struct hf_client *c, size_t endpoint, enum hf_key_type type,
                             const struct hf_endpoint_memory *memory)
{
    struct hf_buf text = {0};
    struct hf_why why = {0};
    char name[HF_ENDPOINT_VALUE_MAX];

    hf_endpoint_value(endpoint, type, "", name);
    enum hf_err err = memory->n_anchors > 0 ? print(endpoint_name(c, endpoint), memory, &text)
                                            : hf_buf_append_text(&text, "");
    if (err == HF_OK)
        err = hf_value_save(c, name, (const char *)text.data, &why);
    if (err != HF_OK)
        hf_log(c, HF_LEVEL_WARNING, "what was seen of an endpoint cannot be kept: %s", why.text);
    hf_buf_free(&text);
}
