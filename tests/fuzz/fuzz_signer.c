/*
 * server/signer: one request to the signer, as a stolen holdfastd could send it. Every request gets
 * an answer that says ok or why not; certificates are issued within the quota only, and none by
 * another verb; the log is only ever extended.
 */
#include "tests/fuzz/scratch.h"

#include "server/signer/quota.h"
#include "server/signer/signer.h"

#define NOW_S INT64_C(1800000000)
#define PER_DAY 3

static const struct hf_moment now = {NOW_S, 1000, "a start of the machine"};

static struct hf_config config;
static struct hf_signer signer;
static bool is_open;

static void open_once(void)
{
    struct hf_why why = {0};
    if (is_open)
        return;
    config.repository.path = strdup(scratch_path("no-repository"));
    config.signer.state = strdup(scratch_path("signer"));
    config.signer.keys = strdup(scratch_path("no-keys"));
    config.signer.timestamp_every_s = 86400;
    config.signer.issue_per_day = config.signer.issue_per_day_per_ca = PER_DAY;
    FUZZ_OK(hf_signer_make(&config, &why), &why);
    FUZZ_OK(hf_signer_open(&config, &signer, &why), &why);
    FUZZ_OK(hf_signer_make_ca(&config, "ca-1", "pumps", 1000, NOW_S, &why), &why);
    is_open = true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_why why = {0};
    struct hf_seal_head before, after;
    struct hf_quota_use issued_before = {.used = 0}, issued = {.used = 0};
    json_t *request = NULL;

    open_once();
    if (hf_json_parse_object((struct hf_bytes){data, size}, "a request", &request, &why) != HF_OK)
        return 0;
    FUZZ_OK(hf_signer_state_seal_head(&signer.state, &before, &why), &why);
    FUZZ_OK(hf_quota_look(&signer.state, HF_QUOTA_SIGNER, "", &now, &issued_before, &why), &why);
    json_t *answer = hf_signer_answer(&signer, request, -1, &now);
    FUZZ_CHECK(answer != NULL);
    const json_t *ok = json_object_get(answer, "ok");
    FUZZ_CHECK(json_is_boolean(ok));
    if (!json_is_true(ok)) {
        FUZZ_CHECK(json_string_length(json_object_get(answer, "sentence")) > 0);
        FUZZ_CHECK(json_string_length(json_object_get(answer, "error")) > 0);
    }
    FUZZ_OK(hf_signer_state_seal_head(&signer.state, &after, &why), &why);
    FUZZ_OK(hf_quota_look(&signer.state, HF_QUOTA_SIGNER, "", &now, &issued, &why), &why);
    const char *verb = json_string_value(json_object_get(request, "verb"));
    bool is_issued = json_is_true(ok) && strcmp(verb, "issue") == 0;
    FUZZ_CHECK(issued.used == issued_before.used + (is_issued ? 1 : 0) && issued.used <= PER_DAY);
    /* Whatever came of it, nothing is left half done. */
    FUZZ_CHECK(hf_db_depth(signer.state.db) == 0);
    FUZZ_CHECK(after.head.sequence >= before.head.sequence);
    FUZZ_CHECK(after.head.sequence == before.head.sequence ||
               (json_is_true(ok) && strcmp(verb, "seal") == 0));
    json_decref(answer);
    json_decref(request);
    return 0;
}
