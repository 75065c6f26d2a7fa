#include "server/publish/bundle_build.h"

#include "common/base/timetext.h"
#include "common/bundle/policy.h"
#include "server/publish/bundle_drops.h"
#include "server/publish/cert_files.h"

#include <string.h>

static enum hf_err name_it(const struct hf_bundle_order *order, const struct hf_repo_bundle *before,
                           struct hf_description *d, struct hf_why *why)
{
    if (!hf_set_name_is_valid(order->set) || !hf_set_name_is_valid(order->profile))
        return hf_fail(why, HF_E_ARGUMENT,
                       "a set or profile is named with a-z, 0-9, '.', '_' and '-', at most %d of "
                       "them, a letter or digit first; \"%.80s\" of \"%.80s\" is not",
                       HF_SET_NAME_MAX, order->profile, order->set);
    memcpy(d->set, order->set, strlen(order->set) + 1);
    memcpy(d->profile, order->profile, strlen(order->profile) + 1);
    d->version = before == NULL ? 1 : before->description.version + 1;
    return HF_OK;
}

/* A device would take them and leave them out of its live store; published now, they are a
 * mistake. */
static enum hf_err check_dates(const struct hf_bundle *bundle, int64_t now_s, struct hf_why *why)
{
    for (size_t i = 0; i < bundle->n_anchors; i++) {
        const struct hf_anchor *anchor = &bundle->anchors[i];
        const struct hf_cert *cert = &anchor->cert;
        char day[HF_TIME_TEXT_MAX];
        switch (hf_policy_anchor_state(anchor, now_s)) {
        case HF_ANCHOR_USABLE:
            break;
        case HF_ANCHOR_NOT_YET_VALID:
            hf_time_format_day(cert->not_before_s, day);
            return hf_fail(why, HF_E_POLICY,
                           "\"%s\" is not valid before %s; leave it out until then", cert->subject,
                           day);
        case HF_ANCHOR_EXPIRED:
            hf_time_format_day(cert->not_after_s, day);
            return hf_fail(why, HF_E_POLICY, "\"%s\" expired on %s; leave it out", cert->subject,
                           day);
        case HF_ANCHOR_REMOVED:
            hf_time_format_day(anchor->remove_after_s, day);
            return hf_fail(why, HF_E_POLICY,
                           "\"%s\" is to be removed after %s, which has passed; leave it out",
                           cert->subject, day);
        }
    }
    return HF_OK;
}

static enum hf_err describe(const struct hf_bundle_order *order, struct hf_bytes pem,
                            const struct hf_repo_bundle *before, struct hf_description *d,
                            struct hf_why *why)
{
    struct hf_bundle plain = {0};
    HF_TRY(name_it(order, before, d, why));
    HF_TRY(hf_bundle_parse(pem, NULL, &plain, why));
    /* What another profile says of its certificates comes with them. */
    const struct hf_repo_bundle *noted = order->from != NULL ? order->from : before;
    enum hf_err err = hf_bundle_notes_make(&plain, noted == NULL ? NULL : &noted->description,
                                           &order->notes, d, why);
    if (err == HF_OK && before != NULL)
        err = hf_bundle_drops_make(&plain, &before->bundle, &before->description, order->drops, d,
                                   why);
    hf_bundle_free(&plain);
    return err;
}

static enum hf_err build(const struct hf_bundle_order *order, struct hf_bytes pem,
                         const struct hf_repo_bundle *before, int64_t now_s,
                         struct hf_bundle_built *b, struct hf_why *why)
{
    HF_TRY(describe(order, pem, before, &b->description, why));
    HF_TRY(hf_bundle_parse(pem, &b->description, &b->bundle, why));
    HF_TRY(hf_policy_check_bundle(&b->bundle, why));
    HF_TRY(hf_policy_verify_self_signatures(&b->bundle, why));
    HF_TRY(check_dates(&b->bundle, now_s, why));
    return hf_bundle_to_pem(&b->bundle, &b->pem);
}

static enum hf_err read_certificates(const struct hf_bundle_order *order, struct hf_buf *pem,
                                     struct hf_why *why)
{
    if (order->from != NULL && hf_bundle_to_pem(&order->from->bundle, pem) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the bundle to copy");
    return order->files == NULL ? HF_OK : hf_cert_files_read(order->files, pem, why);
}

enum hf_err hf_bundle_build(const struct hf_bundle_order *order,
                            const struct hf_repo_bundle *before, int64_t now_s,
                            struct hf_bundle_built *out, struct hf_why *why)
{
    struct hf_bundle_built b = {0};
    struct hf_buf pem = {0};
    enum hf_err err = read_certificates(order, &pem, why);
    if (err == HF_OK)
        err = build(order, hf_buf_bytes(&pem), before, now_s, &b, why);
    hf_buf_free(&pem);
    if (err != HF_OK) {
        hf_bundle_built_free(&b);
        return err;
    }
    *out = b;
    return HF_OK;
}

void hf_bundle_built_free(struct hf_bundle_built *built)
{
    hf_description_free(&built->description);
    hf_bundle_free(&built->bundle);
    hf_buf_free(&built->pem);
}
