/*
 * Endpoints that the active bundle does not validate any more: by what the publisher revoked,
 * distrusted or removed, or because only an expired root is left. It follows from what each
 * endpoint showed last, and is stored from when it was noticed until the endpoint has shown another
 * chain. And endpoints whose chain is refused for another reason.
 */
#include "client/core/bundles.h"
#include "client/core/dependency.h"
#include "client/core/endpoints.h"

#include "common/base/digest.h"
#include "common/base/plaintext.h"
#include "common/bundle/policy.h"

#include <stdio.h>
#include <string.h>

void hf_loss_text(const struct hf_loss *loss, char *out, size_t cap)
{
    static const char *const causes[] = {
        [HF_LOSS_MISSING] = "which the active bundle does not hold",
        [HF_LOSS_REVOKED] = "which the publisher revoked",
        [HF_LOSS_DISTRUSTED] = "which the publisher distrusts for its certificate",
        [HF_LOSS_REMOVED] = "which the publisher removed by its date",
        [HF_LOSS_EXPIRED] = "which has expired",
        [HF_LOSS_REFUSED] = "whose certificate in the active bundle is not for servers",
    };
    (void)snprintf(out, cap, "its chain leads to \"%s\", %s", loss->root, causes[loss->cause]);
}

/* What the stored bundles say. */
struct view {
    struct hf_bundle active;   /* as it was signed */
    struct hf_bundle in_use;   /* without what is revoked */
    struct hf_bundle previous; /* as it was signed; empty for none */
    struct hf_buf revoked;
};

static const struct hf_anchor *find_root(const struct hf_bundle *bundle,
                                         const struct hf_dependency *d, int64_t usable_at_s)
{
    for (size_t i = 0; i < bundle->n_anchors; i++) {
        const struct hf_anchor *anchor = &bundle->anchors[i];
        if (hf_dependency_has(d, anchor) &&
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
    case HF_ANCHOR_NOT_FOR_SERVERS:
        return HF_LOSS_REFUSED;
    case HF_ANCHOR_USABLE:
    case HF_ANCHOR_NOT_YET_VALID:
        break;
    }
    return HF_LOSS_DISTRUSTED;
}

/* The root that served until now, if the previous bundle holds it; else one that the chain leads
 * to. A bundle that was replaced while it was on trial is in neither slot: `seen` still names its
 * root. */
static struct hf_loss describe_loss(const struct view *v, const struct hf_dependency *d,
                                    const char *seen, int64_t now_s)
{
    const struct hf_anchor *root = find_root(&v->previous, d, now_s);
    struct hf_loss loss = {.since_s = now_s};

    if (root == NULL)
        root = find_root(&v->active, d, HF_TIME_NONE);
    if (root == NULL)
        root = find_root(&v->previous, d, HF_TIME_NONE);
    loss.cause = cause_of(v, root != NULL ? root->cert.spki_sha256 : d->keys[0], now_s);
    if (root != NULL)
        (void)snprintf(loss.root, sizeof loss.root, "%s", root->cert.subject);
    else if (seen[0] != '\0')
        (void)snprintf(loss.root, sizeof loss.root, "%s", seen);
    else
        hf_hex_encode(d->keys[0], HF_SHA256_LEN, loss.root);
    return loss;
}

/* Whatever has changed goes to the state and to the journal, and what is lost is appended to
 * `out`. */
static enum hf_err note_loss(struct hf_client *c, const struct view *v, size_t endpoint,
                             enum hf_key_type type, char out[HF_WHY_MAX], struct hf_why *why)
{
    struct hf_endpoint_state *e = hf_state_endpoint(c, endpoint, type);
    const char *endpoint_name = c->ports.endpoints.name(c->ports.endpoints.ctx, endpoint);
    const struct hf_dependency d = hf_dependency_of(endpoint_name, type, &e->memory);
    const int64_t now_s = hf_client_now_s(c);
    char name[340], how[HF_WHY_MAX], text[HF_WHY_MAX];

    bool was_lost = e->loss.since_s != HF_TIME_NONE;
    bool is_lost = e->memory.n_anchors > 0 &&
                   hf_dependency_at(&d, &v->in_use, NULL, now_s, now_s) == HF_HOLD_BROKEN;
    if (is_lost == was_lost)
        return HF_OK;
    hf_dependency_text(&d, &v->in_use, name, sizeof name);
    if (!is_lost) {
        e->loss = (struct hf_loss){.since_s = HF_TIME_NONE};
        (void)snprintf(text, sizeof text, "%.200s is not lost any more", name);
        return hf_journal(c, HF_LEVEL_INFO, "regained", text, why);
    }
    e->loss = describe_loss(v, &d, e->memory.root, now_s);
    hf_loss_text(&e->loss, how, sizeof how);
    (void)snprintf(text, sizeof text, "%.200s is lost: %.400s", name, how);
    hf_text_append(out, HF_WHY_MAX, "%s%s", out[0] != '\0' ? "; " : "", text);
    return hf_journal(c, HF_LEVEL_ERROR, "lost", text, why);
}

enum hf_err hf_endpoints_note_losses(struct hf_client *c, char out[HF_WHY_MAX], struct hf_why *why)
{
    struct hf_bundle_record active = {0}, previous = {0};
    struct view v = {0};

    out[0] = '\0';
    if (c->ports.endpoints.n_endpoints == 0)
        return HF_OK;
    enum hf_err err = hf_bundle_load(c, HF_SLOT_ACTIVE, &active, why);
    if (err == HF_OK)
        err = hf_bundle_of_record(&active, &v.active, why);
    if (err == HF_OK)
        err = hf_bundle_in_use(c, &active, &v.in_use, why);
    if (err == HF_OK)
        err = hf_revoked_load(c, &v.revoked, why);
    if (err == HF_OK && hf_bundle_load(c, HF_SLOT_PREVIOUS, &previous, why) == HF_OK)
        err = hf_bundle_of_record(&previous, &v.previous, why);
    if (err != HF_OK) {
        if (err != HF_E_NOT_FOUND)
            hf_log(c, HF_LEVEL_WARNING, "which endpoints are lost cannot be determined: %s",
                   why->text);
        err = HF_OK;
        goto out;
    }
    for (size_t i = 0; i < c->ports.endpoints.n_endpoints && err == HF_OK; i++) {
        for (int type = 0; type < HF_KEY_TYPES && err == HF_OK; type++)
            err = note_loss(c, &v, i, (enum hf_key_type)type, out, why);
    }
out:
    hf_bundle_record_free(&active);
    hf_bundle_record_free(&previous);
    hf_bundle_free(&v.active);
    hf_bundle_free(&v.in_use);
    hf_bundle_free(&v.previous);
    hf_buf_free(&v.revoked);
    return err;
}

enum hf_err hf_endpoints_note_refusals(struct hf_client *c, char out[HF_WHY_MAX],
                                       struct hf_why *why)
{
    const struct hf_endpoint_port *port = &c->ports.endpoints;
    static const char others[] = "; `holdfast status` names others";
    char text[HF_WHY_MAX];
    size_t n_cut = 0;

    out[0] = '\0';
    for (size_t i = 0; i < port->n_endpoints; i++) {
        const struct hf_refusal *verdict = &c->verdicts[i];
        struct hf_refusal *known = &c->state.refusals[i];
        const bool was_refused = known->seen_s != HF_TIME_NONE;
        bool is_lost = false;
        for (int type = 0; type < HF_KEY_TYPES; type++)
            is_lost = is_lost ||
                      hf_state_endpoint(c, i, (enum hf_key_type)type)->loss.since_s != HF_TIME_NONE;
        if (is_lost) /* that is known, and why */
            known->seen_s = HF_TIME_NONE;
        if (is_lost || verdict->seen_s == 0)
            continue;
        const bool is_refused = verdict->seen_s != HF_TIME_NONE;
        known->seen_s = verdict->seen_s;
        memcpy(known->text, verdict->text, sizeof known->text);
        if (is_refused == was_refused)
            continue;
        (void)snprintf(text, sizeof text, "%.200s is %s%.400s", port->name(port->ctx, i),
                       is_refused ? "refused: " : "not refused any more", known->text);
        HF_TRY(hf_journal(c, is_refused ? HF_LEVEL_WARNING : HF_LEVEL_INFO,
                          is_refused ? "refused" : "accepted", text, why));
        const size_t len = strlen(out);
        if (is_refused && len + strlen(text) + sizeof others + 2 > HF_WHY_MAX)
            n_cut++;
        else if (is_refused)
            (void)snprintf(out + len, HF_WHY_MAX - len, "%s%.630s", len > 0 ? "; " : "", text);
    }
    if (n_cut > 0)
        (void)snprintf(out + strlen(out), HF_WHY_MAX - strlen(out), "%s", others);
    return HF_OK;
}
