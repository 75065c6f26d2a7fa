/*
 * The trust store for programs that do not link libholdfast: PEM of exactly the anchors that the live
 * store offers at this moment.
 */
#include "client/core/client_internal.h"

#include "common/bundle/pem.h"
#include "common/bundle/policy.h"

/* What PEM cannot say stands above the certificate. The subject is printable ASCII without line breaks
 * (hf_cert), so it stays a comment. */
static enum hf_err append_anchor(struct hf_buf *out, const struct hf_anchor *anchor)
{
    char date[HF_TIME_TEXT_MAX];

    HF_TRY(hf_buf_printf(out, "# %s\n", anchor->cert.subject));
    if (anchor->distrust_after_s != HF_TIME_NONE) {
        hf_time_format(anchor->distrust_after_s, date);
        HF_TRY(
            hf_buf_printf(out,
                          "# distrust_after: server certificates issued after %s under this root "
                          "are to be refused; PEM cannot say this.\n",
                          date));
    }
    if (anchor->remove_after_s != HF_TIME_NONE) {
        hf_time_format(anchor->remove_after_s, date);
        HF_TRY(hf_buf_printf(out, "# remove_after: this root leaves this file after %s.\n", date));
    }
    return hf_pem_append(out, anchor->der);
}

static enum hf_err append_usable(struct hf_buf *out, const struct hf_bundle *bundle, int64_t now_s)
{
    size_t n = 0;

    for (size_t i = 0; i < bundle->n_anchors; i++) {
        if (hf_policy_anchor_state(&bundle->anchors[i], now_s) != HF_ANCHOR_USABLE)
            continue;
        HF_TRY(append_anchor(out, &bundle->anchors[i]));
        n++;
    }
    return n > 0 ? HF_OK
                 : hf_buf_append_text(out, "# No root of the active bundle is valid today.\n");
}

enum hf_err hf_client_export_pem(struct hf_client *client, struct hf_buf *out, struct hf_why *why)
{
    struct hf_bundle bundle = {0};
    struct hf_why own = {0};

    enum hf_err err = hf_live_bundle(client, &bundle, &own);
    if (err == HF_OK && append_usable(out, &bundle, hf_client_now_s(client)) != HF_OK)
        err = hf_fail(&own, HF_E_MEMORY, "out of memory for the bundle as PEM");
    hf_bundle_free(&bundle);
    return hf_report(why, &own, err);
}

/* `first_s`: the first second of a new state of an anchor; HF_TIME_NONE: never. */
static void narrow(int64_t first_s, int64_t now_s, int64_t *from_s, int64_t *until_s)
{
    if (first_s == HF_TIME_NONE)
        return;
    if (first_s <= now_s && first_s > *from_s)
        *from_s = first_s;
    if (first_s > now_s && first_s < *until_s)
        *until_s = first_s;
}

/* Dates end with their last second; certificates may say the year 9999, so one more does no harm. */
static int64_t after(int64_t last_s)
{
    return last_s == HF_TIME_NONE || last_s == INT64_MAX ? HF_TIME_NONE : last_s + 1;
}

void hf_client_export_span(struct hf_client *client, int64_t *from_s, int64_t *until_s)
{
    struct hf_bundle bundle = {0};
    struct hf_why why = {0};
    int64_t now_s = hf_client_now_s(client);

    *from_s = INT64_MIN;
    *until_s = INT64_MAX;
    if (hf_live_bundle(client, &bundle, &why) != HF_OK)
        return;
    for (size_t i = 0; i < bundle.n_anchors; i++) {
        const struct hf_anchor *anchor = &bundle.anchors[i];
        narrow(anchor->cert.not_before_s, now_s, from_s, until_s);
        narrow(after(anchor->cert.not_after_s), now_s, from_s, until_s);
        narrow(after(anchor->remove_after_s), now_s, from_s, until_s);
    }
    hf_bundle_free(&bundle);
}
