/* GET /v1/accounts/{account}/readiness: by which day does the fleet hold a successor of each
 * root? */
#include "server/api/parts.h"

#include "common/base/digest.h"
#include "common/base/timetext.h"
#include "server/fleet/readiness.h"

#include <stdlib.h>

static json_t *hex_json(const uint8_t sha256[HF_SHA256_LEN])
{
    char hex[HF_SHA256_HEX_LEN];

    hf_hex_encode(sha256, HF_SHA256_LEN, hex);
    return json_string(hex);
}

static json_t *date_json(int64_t time_s)
{
    return time_s == HF_TIME_NONE ? json_null() : hf_json_time(time_s);
}

static json_t *anchor_json(const struct hf_readiness *r, int64_t unknown)
{
    const struct hf_description *d = &r->newest->description;
    const struct hf_published_anchor *a = r->anchor;
    char text[HF_READINESS_TEXT_MAX];

    hf_readiness_text(r, text);
    return json_pack(
        "{s:s, s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:I, s:I, s:I, s:o, s:s, s:o, "
        "s:o}",
        "set", d->set, "profile", d->profile, "newest", (json_int_t)d->version, "subject",
        hf_json_plain(a->subject), "sha256", hex_json(a->sha256), "spki_sha256",
        hex_json(a->spki_sha256), "not_after", date_json(a->not_after_s), "distrust_after",
        date_json(a->distrust_after_s), "remove_after", date_json(a->remove_after_s), "ends",
        hf_json_time(a->end.end_s), "because", hf_end_reason_text(a->end.reason), "holding",
        (json_int_t)r->holding, "lacking", (json_int_t)r->lacking, "unknown", (json_int_t)unknown,
        "ready", hf_api_time_or_null(r->ready_s), "verdict", hf_readiness_verdict_name(r->verdict),
        "text", hf_json_plain(text), "advice",
        hf_api_text_or_null(hf_readiness_advice(r->verdict)));
}

/* `now` NULL: nothing is counted yet. */
static enum hf_err answer(struct hf_api_call *call, const struct hf_published *published,
                          const struct hf_census_days *days, struct hf_why *why)
{
    const struct hf_census *now = days->n > 0 ? &days->days[days->n - 1] : NULL;
    struct hf_readiness *list = NULL;
    json_t *anchors = json_array();
    size_t n = 0;

    if (published != NULL) {
        enum hf_err err = hf_readiness_of(published, days, &list, &n, why);
        if (err != HF_OK) {
            json_decref(anchors);
            return err;
        }
    }
    for (size_t i = 0; i < n; i++)
        anchors = hf_json_append_take(anchors, anchor_json(&list[i], now->unknown));
    free(list);
    return hf_api_answer_take(call, 200,
                              json_pack("{s:b, s:o, s:I, s:I, s:o}", "is_served", published != NULL,
                                        "counted",
                                        now != NULL ? hf_json_time(now->counted_s) : json_null(),
                                        "unknown", (json_int_t)(now != NULL ? now->unknown : 0),
                                        "shut_out", (json_int_t)(now != NULL ? now->shut_out : 0),
                                        "anchors", anchors),
                              why);
}

static enum hf_err show_readiness(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_account_row account;
    struct hf_census_days days = {.n = 0};

    HF_TRY(hf_api_account(call, tx, &account, why));
    HF_TRY(hf_census_read(tx->db, account.id, tx->now_s, &days, why));
    struct hf_published *published = hf_api_published(call->api);
    enum hf_err err = answer(call, published, &days, why);
    hf_published_unref(published);
    hf_census_days_free(&days);
    return err;
}

const struct hf_api_route hf_readiness_routes[] = {
    {HTTP_GET, "/v1/accounts/{account}/readiness", HF_ADMIN_VIEWER,
     .steps = {{HF_API_READ, show_readiness}}},
    {0},
};
