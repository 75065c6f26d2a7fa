/*
 * Receipts (common/tuf/receipts.h) in the store, as `metadata.verified`: a check that finds nothing
 * new verifies no signature again.
 *
 * They say the version of this program, since an update of it may mend how signatures are verified:
 * what the one before let pass is verified anew.
 */
#include "client/core/verified.h"

#include "client/core/client_internal.h"

#include <string.h>

#define PREFIX HF_VERSION " "

void hf_verified_parse(const char *text, struct hf_receipts *out)
{
    *out = (struct hf_receipts){0};
    if (strncmp(text, PREFIX, sizeof PREFIX - 1) == 0)
        hf_receipts_parse(text + sizeof PREFIX - 1, out);
}

void hf_verified_load(struct hf_client *c, struct hf_receipts *out)
{
    struct hf_buf value = {0};
    struct hf_why why = {0};

    *out = (struct hf_receipts){0};
    if (hf_value_load(c, HF_VERIFIED_NAME, &value, &why) != HF_OK) {
        hf_log(c, HF_LEVEL_WARNING, "all signatures are verified again: %s", why.text);
        return;
    }
    hf_verified_parse((const char *)value.data, out);
    hf_buf_free(&value);
}

enum hf_err hf_verified_write(struct hf_client *c, struct hf_why *why)
{
    struct hf_receipts receipts;
    char text[sizeof PREFIX - 1 + HF_RECEIPTS_TEXT_SIZE] = PREFIX;

    if (!hf_trusted_set_receipts(&c->trusted, &receipts))
        return HF_OK;
    hf_receipts_format(&receipts, text + sizeof PREFIX - 1);
    return hf_value_change(c, HF_VERIFIED_NAME, text, why);
}
