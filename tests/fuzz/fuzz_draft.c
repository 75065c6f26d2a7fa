/*
 * server/publish/draft, draft_check, signature_status, draft_diff, targets_diff: a draft that an
 * attacker may have carried to a key holder. What is shown cannot play tricks on a terminal, and
 * what counts as signed by all that must is what a device takes.
 */
#include "tests/fuzz/fuzz.h"

#include "common/tuf/trusted_set.h"
#include "server/publish/ceremony/draft_diff.h"
#include "server/repository/drafts/draft_signatures.h"

#define NOW_S INT64_C(1900000000)

static void check_same_again(const struct hf_draft *draft)
{
    struct hf_buf text = {0};
    struct hf_draft again = {0};
    struct hf_why why = {0};
    uint8_t a[HF_SHA256_LEN], b[HF_SHA256_LEN];
    FUZZ_OK(hf_draft_format(draft, &text, &why), &why);
    FUZZ_OK(hf_draft_parse(hf_buf_bytes(&text), &again, &why), &why);
    hf_draft_digest(draft, a);
    hf_draft_digest(&again, b);
    FUZZ_CHECK(memcmp(a, b, sizeof a) == 0);
    FUZZ_CHECK(json_equal(draft->json, again.json));
    hf_draft_free(&again);
    hf_buf_free(&text);
}

static void check_shown(const struct hf_draft *draft, bool has_good_signatures)
{
    char *text = NULL;
    size_t len = 0;
    FILE *memory = open_memstream(&text, &len);
    FUZZ_CHECK(memory != NULL);
    hf_draft_show(draft, memory);
    enum hf_err err = hf_draft_print_signatures(draft, true, memory, NULL, NULL);
    FUZZ_CHECK((err == HF_OK) == has_good_signatures);
    FUZZ_CHECK(fclose(memory) == 0);
    for (size_t i = 0; i < len; i++)
        FUZZ_CHECK(text[i] == '\n' || ((unsigned char)text[i] >= ' ' && text[i] != 0x7f));
    free(text);
}

static void check_device_takes(const struct hf_draft *draft)
{
    struct hf_buf file = {0};
    struct hf_trusted_set set = {0};
    struct hf_why why = {0};
    if (draft->role != HF_ROLE_ROOT)
        return;
    FUZZ_OK(hf_draft_metadata(draft, &file, &why), &why);
    FUZZ_OK(hf_trusted_set_init(&set, hf_draft_root_file(draft), NOW_S, &why), &why);
    FUZZ_OK(hf_trusted_set_update_root(&set, hf_buf_bytes(&file), &why), &why);
    hf_trusted_set_free(&set);
    hf_buf_free(&file);
}

static void check_status(const struct hf_draft *draft, const struct hf_signature_status *status)
{
    struct hf_why why = {0};
    for (size_t i = 0; i < status->n_quorums; i++) {
        FUZZ_CHECK(status->quorums[i].n_signed >= 0);
        FUZZ_CHECK((size_t)status->quorums[i].n_signed <= status->quorums[i].n_keys);
    }
    enum hf_err err = hf_signature_status_require(status, &why);
    FUZZ_CHECK((err == HF_OK) == hf_signature_status_is_complete(status));
    if (err == HF_OK)
        check_device_takes(draft);
    else
        fuzz_check_refusal(err, &why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_draft draft = {0};
    struct hf_signature_status status = {0};
    struct hf_why why = {0};
    enum hf_err err = hf_draft_parse((struct hf_bytes){data, size}, &draft, &why);
    if (err != HF_OK) {
        FUZZ_CHECK(draft.json == NULL);
        fuzz_check_refusal(err, &why);
        return 0;
    }
    check_same_again(&draft);
    err = hf_signature_status_make(&draft, &status, &why);
    if (err == HF_OK)
        check_status(&draft, &status);
    else
        fuzz_check_refusal(err, &why);
    check_shown(&draft, err == HF_OK);
    hf_signature_status_free(&status);
    hf_draft_free(&draft);
    return 0;
}
