#include "common/tuf/receipts.h"

#include "common/base/digest.h"

#include <stdio.h>
#include <string.h>

/* What is hashed. Each field has its own length, so that no two statements read the same. */
struct statement {
    char domain[24]; /* both padded with NULs */
    char role[16];
    uint8_t root_sha256[HF_SHA256_LEN];
    uint8_t file_sha256[HF_SHA256_LEN];
};
_Static_assert(sizeof(struct statement) == 24 + 16 + 2 * HF_SHA256_LEN, "every byte is a field's");

void hf_receipt_make(const struct hf_root *root, enum hf_top_role role,
                     const struct hf_envelope *env, uint8_t out[HF_SHA256_LEN])
{
    struct statement s = {.domain = "holdfast receipt 1"};
    (void)snprintf(s.role, sizeof s.role, "%s", hf_top_role_name(role));
    memcpy(s.root_sha256, root->env.file_sha256, HF_SHA256_LEN);
    memcpy(s.file_sha256, env->file_sha256, HF_SHA256_LEN);
    hf_sha256((struct hf_bytes){(const uint8_t *)&s, sizeof s}, out);
}

bool hf_receipts_include(const struct hf_receipts *receipts, const struct hf_root *root,
                         enum hf_top_role role, const struct hf_envelope *env)
{
    uint8_t wanted[HF_SHA256_LEN];
    hf_receipt_make(root, role, env, wanted);
    return memcmp(receipts->of[role], wanted, sizeof wanted) == 0;
}

void hf_receipts_format(const struct hf_receipts *receipts, char out[HF_RECEIPTS_TEXT_SIZE])
{
    hf_hex_encode(receipts->of[0], sizeof receipts->of, out);
}

void hf_receipts_parse(const char *text, struct hf_receipts *out)
{
    if (!hf_hex_decode(text, out->of[0], sizeof out->of))
        *out = (struct hf_receipts){0};
}
