/* What is judged of the fleet of an account as a whole. */
#include "common/base/digest.h"
#include "server/findings/check.h"
#include "server/fleet/readiness.h"

#include <stdio.h>
#include <stdlib.h>

/* Too late by the forecast, whenever that is; without a forecast, if the end is near. */
static bool is_due(const struct hf_check_ctx *ctx, const struct hf_readiness *r)
{
    switch (r->verdict) {
    case HF_READINESS_READY:
    case HF_READINESS_IN_TIME:
        return false;
    case HF_READINESS_LATE:
        return true;
    case HF_READINESS_NO_PACE:
    case HF_READINESS_NO_SUCCESSOR:
        break;
    }
    return r->anchor->end.end_s - ctx->now_s <= ctx->settings->anchor_ends_s;
}

static void describe(const struct hf_readiness *r, struct hf_found *out)
{
    const struct hf_description *d = &r->newest->description;
    char text[HF_READINESS_TEXT_MAX], hex[HF_SHA256_HEX_LEN];

    hf_readiness_text(r, text);
    hf_hex_encode(r->anchor->sha256, HF_SHA256_LEN, hex);
    *out = (struct hf_found){.kind = "anchor"};
    (void)snprintf(out->subject, sizeof out->subject, "%s/%s %s", d->set, d->profile, hex);
    (void)snprintf(out->sentence, sizeof out->sentence, "%s/%s, \"%s\": %s", d->set, d->profile,
                   r->anchor->subject, text);
}

enum hf_err hf_conclude_readiness(const struct hf_check_ctx *ctx, struct hf_db *db,
                                  int64_t account_id, struct hf_check_step *step,
                                  struct hf_why *why)
{
    struct hf_census_days days = {.n = 0};
    struct hf_readiness *list = NULL;
    size_t n = 0;

    step->n_found = 0;
    HF_TRY(hf_census_read(db, account_id, ctx->now_s, &days, why));
    enum hf_err err = hf_readiness_of(ctx->published, &days, &list, &n, why);
    for (size_t i = 0; err == HF_OK && i < n && step->n_found < HF_CHECK_STEP_ROWS; i++)
        if (is_due(ctx, &list[i]))
            describe(&list[i], &step->found[step->n_found++]);
    if (err == HF_OK)
        free(list);
    hf_census_days_free(&days);
    return err;
}
