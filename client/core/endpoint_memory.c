/*
 * What is known of the device's endpoints between one look and the next: a value for each endpoint and
 * type of key, "NAME SEEN LEAF_NOT_BEFORE LEAF_NOT_AFTER SPKI… =ROOT", times in seconds, hashes in hex.
 * Records of earlier versions lack the root's subject. An endpoint that was configured again under the
 * same number is identified by its name.
 */
#include "client/core/reliance.h"
#include "client/core/bundles.h"
#include "client/core/endpoints.h"

#include "common/base/hex.h"
#include "common/bundle/policy.h"

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

/* ---- reading --------------------------------------------------------------------------------- */

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
        if (len != sizeof hex - 1 || out->n_anchors == HF_OBSERVED_ANCHORS_MAX)
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

/* ---- writing --------------------------------------------------------------------------------- */

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

/*
 * Endpoints that the active bundle does not validate any more: by what the publisher revoked, distrusted
 * or removed, or because nothing but an expired root is left. It follows from what each endpoint showed
 * last, and is stored from when it was noticed until the endpoint has shown another chain.
 */

static const struct {
    const char *name; /* as stored */
    const char *text;
} causes[] = {
    [HF_LOSS_MISSING] = {"missing", "which the active bundle does not hold"},
    [HF_LOSS_REVOKED] = {"revoked", "which the publisher revoked"},
    [HF_LOSS_DISTRUSTED] = {"distrusted", "which the publisher distrusts for its certificate"},
    [HF_LOSS_REMOVED] = {"removed", "which the publisher removed by its date"},
    [HF_LOSS_EXPIRED] = {"expired", "which has expired"},
};
#define N_CAUSES (sizeof causes / sizeof causes[0])

void hf_loss_text(const struct hf_loss *loss, char *out, size_t cap)
{
    (void)snprintf(out, cap, "its chain leads to \"%s\", %s", loss->root, causes[loss->cause].text);
}

/* ---- as stored: "NAME SINCE CAUSE ROOT", or empty -------------------------------------------- */

static bool parse_loss(const char *text, const char *name, struct hf_loss *out)
{
    const size_t name_len = strlen(name);

    if (strncmp(text, name, name_len) != 0 || text[name_len] != ' ')
        return false;
    text = hf_integers_parse(text + name_len + 1, &out->since_s, 1);
    if (text == NULL || *text++ != ' ')
        return false;
    for (size_t i = 0; i < N_CAUSES; i++) {
        const size_t len = strlen(causes[i].name);
        if (strncmp(text, causes[i].name, len) == 0 && text[len] == ' ') {
            out->cause = (enum hf_loss_cause)i;
            (void)snprintf(out->root, sizeof out->root, "%s", text + len + 1);
            return true;
        }
    }
    return false;
}

void hf_loss_load(struct hf_client *c, size_t endpoint, enum hf_key_type type, struct hf_loss *out)
{
    char name[HF_ENDPOINT_VALUE_MAX];
    struct hf_loss loss = {0};
    struct hf_buf text = {0};
    struct hf_why why = {0};

    *out = (struct hf_loss){.since_s = HF_TIME_NONE};
    hf_endpoint_value(endpoint, type, ".lost", name);
    if (hf_value_load(c, name, &text, &why) != HF_OK) {
        hf_log(c, HF_LEVEL_WARNING, "whether an endpoint is lost cannot be read: %s", why.text);
        return;
    }
    if (parse_loss((const char *)text.data, endpoint_name(c, endpoint), &loss))
        *out = loss;
    hf_buf_free(&text);
}

/* ---- since the last check -------------------------------------------------------------------- */

/* What the bundles say. */
struct view {
    struct hf_bundle active;   /* as it was signed */
    struct hf_bundle in_use;   /* without what is revoked */
    struct hf_bundle previous; /* as it was signed; empty for none */
    struct hf_buf revoked;
};

static void view_free(struct view *v)
{
    hf_bundle_free(&v->active);
    hf_bundle_free(&v->in_use);
    hf_bundle_free(&v->previous);
    hf_buf_free(&v->revoked);
}

static enum hf_err view_init(struct hf_client *c, struct view *out, struct hf_why *why)
{
    struct hf_bundle_record active = {0}, previous = {0};
    struct view v = {0};

    enum hf_err err = hf_bundle_load(c, HF_SLOT_ACTIVE, &active, why);
    if (err == HF_OK)
        err = hf_bundle_of_record(&active, &v.active, why);
    if (err == HF_OK)
        err = hf_bundle_in_use(c, &active, &v.in_use, why);
    if (err == HF_OK)
        err = hf_revoked_load(c, &v.revoked, why);
    if (err == HF_OK && hf_bundle_load(c, HF_SLOT_PREVIOUS, &previous, why) == HF_OK)
        err = hf_bundle_of_record(&previous, &v.previous, why);
    hf_bundle_record_free(&active);
    hf_bundle_record_free(&previous);
    if (err == HF_OK)
        *out = v;
    else
        view_free(&v);
    return err;
}

static const struct hf_anchor *find_root(const struct hf_bundle *bundle,
                                         const struct hf_reliance *r, int64_t usable_at_s)
{
    for (size_t i = 0; i < bundle->n_anchors; i++) {
        const struct hf_anchor *anchor = &bundle->anchors[i];
        if (hf_reliance_has(r, anchor) &&
            (usable_at_s == HF_TIME_NONE ||
             hf_policy_anchor_state(anchor, usable_at_s) == HF_ANCHOR_USABLE))
            return anchor;
    }
    return NULL;
}

static enum hf_loss_cause cause_of(const struct view *v, const uint8_t spki[HF_SHA256_LEN],
                                   int64_t now_s)
{
    const struct hf_anchor *anchor = hf_bundle_find_key(&v->in_use, spki);

    if (anchor == NULL)
        return hf_revoked_has(hf_buf_bytes(&v->revoked), spki) ? HF_LOSS_REVOKED : HF_LOSS_MISSING;
    switch (hf_policy_anchor_state(anchor, now_s)) {
    case HF_ANCHOR_REMOVED:
        return HF_LOSS_REMOVED;
    case HF_ANCHOR_EXPIRED:
        return HF_LOSS_EXPIRED;
    case HF_ANCHOR_USABLE:
    case HF_ANCHOR_NOT_YET_VALID:
        break;
    }
    return HF_LOSS_DISTRUSTED;
}

/* The root that served until now, where the bundle before holds it; else one that the chain leads to. A
 * bundle that was replaced while it was on trial is in neither slot: `seen` still names its root. */
static struct hf_loss describe(const struct view *v, const struct hf_reliance *r, const char *seen,
                               int64_t now_s)
{
    const struct hf_anchor *root = find_root(&v->previous, r, now_s);
    struct hf_loss loss = {.since_s = now_s};

    if (root == NULL)
        root = find_root(&v->active, r, HF_TIME_NONE);
    if (root == NULL)
        root = find_root(&v->previous, r, HF_TIME_NONE);
    loss.cause = cause_of(v, root != NULL ? root->cert.spki_sha256 : r->keys[0], now_s);
    if (root != NULL)
        (void)snprintf(loss.root, sizeof loss.root, "%s", root->cert.subject);
    else if (seen[0] != '\0')
        (void)snprintf(loss.root, sizeof loss.root, "%s", seen);
    else
        hf_hex_encode(r->keys[0], HF_SHA256_LEN, loss.root);
    return loss;
}

/* An endpoint's chain that is lost, or back. */
struct news {
    size_t endpoint;
    enum hf_key_type type;
    struct hf_loss loss;
    const char *text;
};

static enum hf_err write_news(struct hf_client *c, const void *arg, struct hf_why *why)
{
    const struct news *news = arg;
    bool is_lost = news->loss.since_s != HF_TIME_NONE;
    char name[HF_ENDPOINT_VALUE_MAX];
    struct hf_buf value = {0};

    hf_endpoint_value(news->endpoint, news->type, ".lost", name);
    enum hf_err err = hf_buf_append_text(&value, "");
    if (err == HF_OK && is_lost)
        err = hf_buf_printf(&value, "%s %" PRId64 " %s %s", endpoint_name(c, news->endpoint),
                            news->loss.since_s, causes[news->loss.cause].name, news->loss.root);
    if (err == HF_OK)
        err = hf_value_save(c, name, (const char *)value.data, why);
    else
        (void)hf_fail(why, err, "out of memory for a lost endpoint");
    hf_buf_free(&value);
    HF_TRY(err);
    return hf_journal(c, is_lost ? HF_LEVEL_ERROR : HF_LEVEL_INFO, is_lost ? "lost" : "regained",
                      news->text, why);
}

/* HF_OK and an empty text where nothing has changed. */
static enum hf_err note(struct hf_client *c, const struct view *v, struct news *news,
                        char text[HF_WHY_MAX], struct hf_why *why)
{
    struct hf_endpoint_memory memory;
    char name[340], how[HF_WHY_MAX];

    text[0] = '\0';
    hf_endpoint_memory_load(c, news->endpoint, news->type, &memory);
    hf_loss_load(c, news->endpoint, news->type, &news->loss);
    const struct hf_reliance r = hf_reliance_of(endpoint_name(c, news->endpoint), news->type,
                                                &memory);
    const int64_t now_s = hf_client_now_s(c);
    bool was_lost = news->loss.since_s != HF_TIME_NONE;
    bool is_lost = memory.n_anchors > 0 &&
                   hf_reliance_at(&r, &v->in_use, NULL, now_s, now_s) == HF_HOLD_BROKEN;
    if (is_lost == was_lost)
        return HF_OK;
    hf_reliance_text(&r, &v->in_use, name, sizeof name);
    if (is_lost) {
        news->loss = describe(v, &r, memory.root, now_s);
        hf_loss_text(&news->loss, how, sizeof how);
        (void)snprintf(text, HF_WHY_MAX, "%.200s is lost: %.400s", name, how);
    } else {
        news->loss.since_s = HF_TIME_NONE;
        (void)snprintf(text, HF_WHY_MAX, "%.200s is not lost any more", name);
    }
    news->text = text;
    return hf_store_transact(c, write_news, news, why);
}

void hf_losses_note(struct hf_client *c, char out[HF_WHY_MAX])
{
    char text[HF_WHY_MAX];
    struct view v = {0};
    struct hf_why why = {0};

    out[0] = '\0';
    if (c->ports.endpoints.n_endpoints == 0)
        return;
    enum hf_err err = view_init(c, &v, &why);
    for (size_t i = 0; i < c->ports.endpoints.n_endpoints && err == HF_OK; i++) {
        for (int type = 0; type < HF_KEY_TYPES && err == HF_OK; type++) {
            struct news news = {.endpoint = i, .type = (enum hf_key_type)type};
            err = note(c, &v, &news, text, &why);
            if (news.loss.since_s != HF_TIME_NONE && text[0] != '\0') {
                size_t len = strlen(out);
                (void)snprintf(out + len, HF_WHY_MAX - len, "%s%s", len > 0 ? "; " : "", text);
            }
        }
    }
    if (err != HF_OK && err != HF_E_NOT_FOUND)
        hf_log(c, HF_LEVEL_WARNING, "which endpoints are lost cannot be written down: %s",
               why.text);
    view_free(&v);
}
