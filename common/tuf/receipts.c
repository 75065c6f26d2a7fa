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

struct delegated_statement {
    char domain[24];
    uint8_t root_sha256[HF_SHA256_LEN];
    uint8_t delegator_sha256[HF_SHA256_LEN];
    uint8_t name_sha256[HF_SHA256_LEN];
    uint8_t file_sha256[HF_SHA256_LEN];
};
_Static_assert(sizeof(struct delegated_statement) == 24 + 4 * HF_SHA256_LEN,
               "every byte is a field's");

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

void hf_receipt_make_delegated(const struct hf_root *root, const struct hf_envelope *delegator,
                               const char *name, const struct hf_envelope *env,
                               uint8_t out[HF_SHA256_LEN])
{
    struct delegated_statement s = {.domain = "holdfast receipt 1 sub"};
    memcpy(s.root_sha256, root->env.file_sha256, HF_SHA256_LEN);
    memcpy(s.delegator_sha256, delegator->file_sha256, HF_SHA256_LEN);
    hf_sha256(hf_bytes_of_text(name), s.name_sha256);
    memcpy(s.file_sha256, env->file_sha256, HF_SHA256_LEN);
    hf_sha256((struct hf_bytes){(const uint8_t *)&s, sizeof s}, out);
}

void hf_receipts_format(const struct hf_receipts *receipts, char out[HF_RECEIPTS_TEXT_SIZE])
{
    hf_hex_encode((const uint8_t *)receipts, sizeof *receipts, out);
}

void hf_receipts_parse(const char *text, struct hf_receipts *out)
{
    if (!hf_hex_decode(text, (uint8_t *)out, sizeof *out))
        *out = (struct hf_receipts){0};
}
