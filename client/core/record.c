#include "client/core/client_internal.h"

#include "common/bundle/policy.h"
#include "common/json/json.h"

#include <string.h>

void hf_bundle_record_free(struct hf_bundle_record *record)
{
    if (record == NULL)
        return;
    hf_buf_free(&record->pem);
    hf_buf_free(&record->custom);
    *record = (struct hf_bundle_record){0};
}

enum hf_err hf_bundle_record_describe(const struct hf_bundle_record *record,
                                      struct hf_description *out, struct hf_why *why)
{
    json_t *custom = NULL;

    *out = (struct hf_description){0};
    if (record->custom.len == 0) /* the factory's */
        return HF_OK;
    HF_TRY(hf_json_parse_object(hf_buf_bytes(&record->custom), "the bundle's stored description",
                                &custom, why));
    enum hf_err err = hf_description_parse(custom, out, why);
    json_decref(custom);
    return err;
}

/* The hash is of the certificates only. */
static enum hf_err check_custom(const struct hf_bundle_record *record, struct hf_why *why)
{
    struct hf_description description = {0};
    struct hf_why reason = {0};

    enum hf_err err = hf_bundle_record_describe(record, &description, &reason);
    hf_description_free(&description);
    if (err == HF_OK || err == HF_E_MEMORY)
        return err == HF_OK ? HF_OK : hf_fail(why, err, "%s", reason.text);
    return hf_fail(why, HF_E_STORAGE, "%s", reason.text);
}

static enum hf_err check_pem(const struct hf_bundle_record *record, struct hf_why *why)
{
    char found[HF_SHA256_HEX_LEN];

    hf_sha256_hex(hf_buf_bytes(&record->pem), found);
    if (strcmp(found, record->sha256) == 0)
        return HF_OK;
    return hf_fail(why, HF_E_STORAGE, "expected SHA-256 %s, found %s", record->sha256, found);
}

enum hf_err hf_bundle_load(struct hf_client *c, enum hf_slot slot, struct hf_bundle_record *out,
                           struct hf_why *why)
{
    struct hf_bundle_record record = {0};

    HF_TRY(c->ports.store.load_bundle(c->ports.store.ctx, slot, &record, why));
    enum hf_err err = check_pem(&record, why);
    if (err == HF_OK)
        err = check_custom(&record, why);
    if (err != HF_OK) {
        (void)hf_fail_context(why, "the stored bundle %s/%s %lld is damaged", record.set,
                              record.profile, (long long)record.version);
        hf_bundle_record_free(&record);
        return err;
    }
    *out = record;
    return HF_OK;
}

enum hf_err hf_bundle_of_record(const struct hf_bundle_record *record, struct hf_bundle *out,
                                struct hf_why *why)
{
    struct hf_description description = {0};

    if (record->custom.len == 0) /* the factory's: plain anchors */
        return hf_bundle_parse(hf_buf_bytes(&record->pem), NULL, out, why);
    HF_TRY(hf_bundle_record_describe(record, &description, why));
    enum hf_err err = hf_bundle_parse(hf_buf_bytes(&record->pem), &description, out, why);
    hf_description_free(&description);
    return err;
}

size_t hf_bundle_count_usable(const struct hf_bundle *bundle, int64_t now_s)
{
    size_t n = 0;
    for (size_t i = 0; i < bundle->n_anchors; i++)
        n += hf_policy_anchor_state(&bundle->anchors[i], now_s) == HF_ANCHOR_USABLE;
    return n;
}
