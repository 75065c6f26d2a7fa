/* Memory runs out in server/rollout/ledger.c: nothing changes, but it says that it has missed
 * something. */
#include "tests/support/check.h"

#include "server/rollout/ledger.h"
#include "tests/support/failing_malloc.h"

#define SEEN_S INT64_C(1793318400) /* 2026-10-30T00:00:00Z */

static const uint8_t sha256[HF_SHA256_LEN] = {7};
static const struct hf_rollout_plan plan = {.not_before_s = SEEN_S,
                                            .mandatory_from_s = SEEN_S + 86400,
                                            .stages = {{.ppm = HF_ROLLOUT_PPM}},
                                            .n_stages = 1,
                                            .pause = {.silent_after_s = 60}};
static const struct hf_rollout_subject subject =
    {.plan = &plan, .set = "s", .profile = "p", .version = 2, .sha256 = sha256, .seen_s = SEEN_S};

/* The third device asks for more of everything: pages, values and buckets. */
static enum hf_err put_three(struct hf_rollout_ledger *ledger, struct hf_why *why)
{
    enum hf_err err = HF_OK;

    for (int64_t i = 1; err == HF_OK && i <= 3; i++) {
        const struct hf_rollout_member member = {.device_id = i * 5000,
                                                 .name = "d",
                                                 .group = "",
                                                 .created_s = SEEN_S - 1,
                                                 .is_trusted = true,
                                                 .set = "s",
                                                 .profile = "p",
                                                 .kind = "swapped",
                                                 .active_sha256 = "",
                                                 .result = "swapped",
                                                 .result_version = 2,
                                                 .result_s = SEEN_S + i * 100};
        const struct hf_rollout_tally before = hf_rollout_ledger_tally(ledger, 0, SEEN_S);
        err = hf_rollout_ledger_put(ledger, &member, why);
        const struct hf_rollout_tally after = hf_rollout_ledger_tally(ledger, 0, SEEN_S);
        if (err != HF_OK)
            assert_memory_equal(&before, &after, sizeof before);
    }
    return err;
}

static void a_device_that_does_not_fit_makes_the_ledger_stale(void **state)
{
    bool has_failed = true;

    (void)state;
    for (unsigned n = 1; has_failed; n++) {
        struct hf_rollout_ledger *ledger = NULL;
        struct hf_why why = {0};
        CHECK_OK(hf_rollout_ledger_new(&subject, &ledger, NULL));
        hf_rollout_ledger_begin_scan(ledger);
        hf_rollout_ledger_end_scan(ledger);
        failing_malloc_begin(n, FAILING_ONCE);
        const enum hf_err err = put_three(ledger, &why);
        has_failed = failing_malloc_end();
        if (has_failed) {
            CHECK_REFUSED(err, HF_E_MEMORY, &why, "out of memory for the devices of a rollout");
            assert_int_equal(hf_rollout_ledger_counted(ledger), HF_COUNTED_STALE);
        }
        CHECK_OK(put_three(ledger, NULL));
        assert_int_equal(hf_rollout_ledger_tally(ledger, 0, SEEN_S).on_trial, 3);
        hf_rollout_ledger_free(ledger);
    }
}

static void there_is_no_ledger_without_memory(void **state)
{
    struct hf_rollout_ledger *ledger = NULL;
    struct hf_why why = {0};

    (void)state;
    failing_malloc_begin(1, FAILING_ONCE);
    const enum hf_err err = hf_rollout_ledger_new(&subject, &ledger, &why);
    assert_true(failing_malloc_end());
    CHECK_REFUSED(err, HF_E_MEMORY, &why, "out of memory");
    assert_null(ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_that_does_not_fit_makes_the_ledger_stale),
        cmocka_unit_test(there_is_no_ledger_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
