/* What is known of the device's endpoints, as stored. */
#include "client/core/client_internal.h"

#include "common/base/digest.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/*
 * Two values for each endpoint and type of key: "NAME SEEN LEAF_NOT_BEFORE LEAF_NOT_AFTER SPKI…
 * =ROOT", times in seconds, hashes in hex, and "NAME SINCE CAUSE ROOT". Records of earlier versions
 * lack the subject of the root. One for each endpoint: "NAME SEEN SENTENCE", if it is refused. The
 * name tells whether another endpoint was configured under the same number.
 */

struct hf_endpoint_state *hf_state_endpoint(struct hf_client *c, size_t endpoint,
                                            enum hf_key_type type)
{
    return &c->state.endpoints[endpoint * HF_KEY_TYPES + (size_t)type];
}

/* Of a type, 2 * TYPE is what was seen and 2 * TYPE + 1 its loss. */
#define REFUSED (2 * HF_KEY_TYPES)
#define N_ENDPOINT_VALUES (REFUSED + 1)

static void endpoint_value_name(size_t endpoint, int value, char out[HF_VALUE_NAME_MAX + 1])
{
    static const char *const names[N_ENDPOINT_VALUES] = {[2 * HF_KEY_TYPE_RSA] = "rsa",
                                                         [2 * HF_KEY_TYPE_RSA + 1] = "rsa.lost",
                                                         [2 * HF_KEY_TYPE_ECC] = "ecc",
                                                         [2 * HF_KEY_TYPE_ECC + 1] = "ecc.lost",
                                                         [2 * HF_KEY_TYPE_ANY] = "any",
                                                         [2 * HF_KEY_TYPE_ANY + 1] = "any.lost",
                                                         [REFUSED] = "refused"};
    (void)snprintf(out, HF_VALUE_NAME_MAX + 1, "endpoint.%zu.%s", endpoint, names[value]);
}

static const char *const loss_causes[] = {
    [HF_LOSS_MISSING] = "missing",       [HF_LOSS_REVOKED] = "revoked",
    [HF_LOSS_DISTRUSTED] = "distrusted", [HF_LOSS_REMOVED] = "removed",
    [HF_LOSS_EXPIRED] = "expired",       [HF_LOSS_REFUSED] = "refused",
};
#define N_LOSS_CAUSES (sizeof loss_causes / sizeof loss_causes[0])

/* What follows the name, which must be that of the endpoint. */
static const char *skip_name(const char *text, const char *name)
{
    const size_t len = strlen(name);
    return strncmp(text, name, len) == 0 && text[len] == ' ' ? text + len + 1 : NULL;
}

static bool parse_memory(const char *text, const char *name, struct hf_endpoint_memory *out)
{
    int64_t times[3];

    text = skip_name(text, name);
    if (text != NULL)
        text = hf_value_parse_numbers(text, times, 3, 3);
    if (text == NULL)
        return false;
    out->seen_s = times[0];
    out->leaf_not_before_s = times[1];
    out->leaf_not_after_s = times[2];
    while (*text == ' ') {
        char hex[HF_SHA256_HEX_LEN];
        if (text[1] == '=') {
            (void)snprintf(out->root, sizeof out->root, "%s", text + 2);
            return true;
        }
        const size_t len = strcspn(++text, " ");
        if (len != sizeof hex - 1 || out->n_anchors == HF_OBSERVED_ANCHORS_MAX)
            return false;
        (void)snprintf(hex, sizeof hex, "%s", text);
        if (!hf_hex_decode(hex, out->anchors[out->n_anchors++], HF_SHA256_LEN))
            return false;
        text += len;
    }
    return true;
}

static bool parse_loss(const char *text, const char *name, struct hf_loss *out)
{
    text = skip_name(text, name);
    if (text != NULL)
        text = hf_value_parse_numbers(text, &out->since_s, 1, 1);
    if (text == NULL || *text++ != ' ')
        return false;
    for (size_t i = 0; i < N_LOSS_CAUSES; i++) {
        const char *root = skip_name(text, loss_causes[i]);
        if (root == NULL)
            continue;
        out->cause = (enum hf_loss_cause)i;
        (void)snprintf(out->root, sizeof out->root, "%s", root);
        return true;
    }
    return false;
}

static void format_memory(const char *name, const struct hf_endpoint_memory *m,
                          char out[HF_VALUE_TEXT_MAX])
{
    size_t len = 0;

    out[0] = '\0';
    if (m->seen_s == HF_TIME_NONE || m->n_anchors == 0)
        return;
    /* Stored times are not negative, and no distrust_after depends on what was before 1970. */
    len = (size_t)snprintf(out, HF_VALUE_TEXT_MAX, "%s %" PRId64 " %" PRId64 " %" PRId64, name,
                           m->seen_s, m->leaf_not_before_s > 0 ? m->leaf_not_before_s : 0,
                           m->leaf_not_after_s > 0 ? m->leaf_not_after_s : 0);
    for (size_t i = 0; i < m->n_anchors; i++) {
        out[len++] = ' ';
        hf_hex_encode(m->anchors[i], HF_SHA256_LEN, out + len);
        len += HF_SHA256_HEX_LEN - 1;
    }
    if (m->root[0] != '\0')
        (void)snprintf(out + len, HF_VALUE_TEXT_MAX - len, " =%s", m->root);
}

static void parse_refusal(const char *text, const char *name, struct hf_refusal *out)
{
    text = skip_name(text, name);
    if (text != NULL)
        text = hf_value_parse_numbers(text, &out->seen_s, 1, 1);
    if (text != NULL && *text == ' ')
        (void)snprintf(out->text, sizeof out->text, "%s", text + 1);
    else
        out->seen_s = HF_TIME_NONE;
}

static void load_endpoint(struct hf_client *c, size_t endpoint, bool *has_failed)
{
    const char *known_as = c->ports.endpoints.name(c->ports.endpoints.ctx, endpoint);
    struct hf_refusal *refusal = &c->state.refusals[endpoint];
    struct hf_why why = {0};
    char name[HF_VALUE_NAME_MAX + 1], text[HF_VALUE_TEXT_MAX];

    for (int i = 0; i < N_ENDPOINT_VALUES; i++) {
        endpoint_value_name(endpoint, i, name);
        if (hf_value_load(c, name, text, &why) != HF_OK) {
            hf_value_log_unread(c, name, &why, has_failed);
            text[0] = '\0';
        }
        if (i == REFUSED) {
            *refusal = (struct hf_refusal){.stored = hf_value_hash(text)};
            parse_refusal(text, known_as, refusal);
            break;
        }
        struct hf_endpoint_state *e = hf_state_endpoint(c, endpoint, (enum hf_key_type)(i / 2));
        e->stored[i % 2] = hf_value_hash(text);
        if (i % 2 == 0) {
            e->memory = (struct hf_endpoint_memory){0};
            if (!parse_memory(text, known_as, &e->memory))
                e->memory = (struct hf_endpoint_memory){.seen_s = HF_TIME_NONE};
        } else {
            e->loss = (struct hf_loss){0};
            if (!parse_loss(text, known_as, &e->loss))
                e->loss = (struct hf_loss){.since_s = HF_TIME_NONE};
        }
    }
}

void hf_state_load_endpoints(struct hf_client *c, bool *has_failed)
{
    for (size_t i = 0; i < c->ports.endpoints.n_endpoints; i++)
        load_endpoint(c, i, has_failed);
}

static enum hf_err save_endpoint(struct hf_client *c, size_t endpoint, struct hf_why *why)
{
    const char *known_as = c->ports.endpoints.name(c->ports.endpoints.ctx, endpoint);
    struct hf_refusal *refusal = &c->state.refusals[endpoint];
    char name[HF_VALUE_NAME_MAX + 1], text[HF_VALUE_TEXT_MAX];

    for (int i = 0; i < REFUSED; i++) {
        struct hf_endpoint_state *e = hf_state_endpoint(c, endpoint, (enum hf_key_type)(i / 2));
        text[0] = '\0';
        if (i % 2 == 0)
            format_memory(known_as, &e->memory, text);
        else if (e->loss.since_s != HF_TIME_NONE)
            (void)snprintf(text, sizeof text, "%s %" PRId64 " %s %s", known_as, e->loss.since_s,
                           loss_causes[e->loss.cause], e->loss.root);
        endpoint_value_name(endpoint, i, name);
        HF_TRY(hf_value_save(c, name, text, &e->stored[i % 2], why));
    }
    text[0] = '\0';
    if (refusal->seen_s != HF_TIME_NONE)
        (void)snprintf(text, sizeof text, "%s %" PRId64 " %s", known_as, refusal->seen_s,
                       refusal->text);
    endpoint_value_name(endpoint, REFUSED, name);
    return hf_value_save(c, name, text, &refusal->stored, why);
}

enum hf_err hf_state_save_endpoints(struct hf_client *c, struct hf_why *why)
{
    for (size_t i = 0; i < c->ports.endpoints.n_endpoints; i++)
        HF_TRY(save_endpoint(c, i, why));
    return HF_OK;
}

enum hf_err hf_state_forget_endpoints(struct hf_client *c, struct hf_why *why)
{
    char name[HF_VALUE_NAME_MAX + 1], text[HF_VALUE_TEXT_MAX];

    /* Also those of an earlier configuration. */
    for (size_t i = 0; i < HF_ENDPOINTS_MAX; i++) {
        for (int k = 0; k < N_ENDPOINT_VALUES; k++) {
            endpoint_value_name(i, k, name);
            HF_TRY(hf_value_load(c, name, text, why));
            uint64_t stored = hf_value_hash(text);
            HF_TRY(hf_value_save(c, name, "", &stored, why));
        }
    }
    return HF_OK;
}
