/* What an online key may sign about a rollout: server/repository/rollout_rules.c. */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "server/repository/rollout_rules.h"

#include <sodium.h>

#define START_S INT64_C(1793318400) /* 2026-10-30T00:00:00Z */
#define HOUR_S 3600

static struct hf_rollout_plan plan;
static struct hf_rollout_activation now;
static struct hf_rollout_case at;
static uint8_t sha256[HF_SHA256_LEN];
static uint8_t secret[crypto_sign_SECRETKEYBYTES];

/* Three stages of a day, an hour and none; stage 0 was opened at the start. */
static int setup(void **state)
{
    (void)state;
    plan = (struct hf_rollout_plan){.not_before_s = START_S,
                                    .mandatory_from_s = START_S + 30 * HF_DAY_S,
                                    .stages = {{.ppm = 1000, .bake_s = HF_DAY_S},
                                               {.ppm = 50000, .bake_s = HOUR_S},
                                               {.ppm = HF_ROLLOUT_PPM}},
                                    .n_stages = 3};
    now = (struct hf_rollout_activation){.stage = 0, .state = HF_ROLLOUT_OPEN, .since_s = START_S};
    at = (struct hf_rollout_case){.path = "s/p/2.pem",
                                  .sha256 = sha256,
                                  .plan = &plan,
                                  .now = &now,
                                  .version = 7,
                                  .now_s = START_S};
    return crypto_sign_keypair(plan.approvers[0], secret);
}

static void check_allowed(int64_t stage, enum hf_rollout_state state)
{
    const struct hf_rollout_request request = {.from = at.version, .stage = stage, .state = state};
    CHECK_OK(hf_rollout_rules_check(&at, &request, NULL));
}

static void check_refused(int64_t stage, enum hf_rollout_state state, const char *sentence)
{
    const struct hf_rollout_request request = {.from = at.version, .stage = stage, .state = state};
    struct hf_why why = {0};
    CHECK_REFUSED(hf_rollout_rules_check(&at, &request, &why), HF_E_POLICY, &why, sentence);
}

static void the_first_stage_opens_at_not_before(void **state)
{
    (void)state;
    at.now = NULL;
    at.version = 0;
    at.now_s = START_S - 1;
    check_refused(0, HF_ROLLOUT_OPEN, "opens stage 1 at 2026-10-30T00:00:00Z");
    at.now_s = START_S;
    check_refused(1, HF_ROLLOUT_OPEN, "open the first one");
    check_allowed(0, HF_ROLLOUT_OPEN);
}

static void the_next_stage_waits_for_the_bake_time_and_the_calendar(void **state)
{
    (void)state;
    at.now_s = START_S + HF_DAY_S - 1;
    check_refused(1, HF_ROLLOUT_OPEN, "the plan opens stage 2 at 2026-10-31T00:00:00Z");
    /* Opened late: it bakes from then on. */
    now.since_s = START_S + HOUR_S;
    at.now_s = START_S + HF_DAY_S;
    check_refused(1, HF_ROLLOUT_OPEN, "bakes until 2026-10-31T01:00:00Z");
    at.now_s += HOUR_S;
    check_allowed(1, HF_ROLLOUT_OPEN);
    check_refused(2, HF_ROLLOUT_OPEN, "stage 2 is the next one");
    check_refused(0, HF_ROLLOUT_OPEN, "open already");
    check_refused(3, HF_ROLLOUT_OPEN, "stages 1 to 3");
    check_refused(-1, HF_ROLLOUT_OPEN, "stages 1 to 3");
}

static void a_rollout_stops_at_any_time_and_resumes_where_it_was(void **state)
{
    (void)state;
    check_allowed(0, HF_ROLLOUT_PAUSED);
    check_allowed(0, HF_ROLLOUT_ABORTED);
    check_refused(1, HF_ROLLOUT_PAUSED, "stops at the stage that it has reached");
    now.state = HF_ROLLOUT_PAUSED;
    at.now_s = START_S + 2 * HF_DAY_S;
    check_refused(0, HF_ROLLOUT_PAUSED, "paused already");
    check_refused(1, HF_ROLLOUT_OPEN, "paused at stage 1");
    check_refused(0, HF_ROLLOUT_COMPLETE, "complete when its last stage");
    check_allowed(0, HF_ROLLOUT_OPEN);
    check_allowed(0, HF_ROLLOUT_ABORTED);
    at.now = NULL; /* before anything was opened */
    check_allowed(0, HF_ROLLOUT_PAUSED);
    check_allowed(0, HF_ROLLOUT_ABORTED);
}

static void aborted_is_final(void **state)
{
    (void)state;
    now.state = HF_ROLLOUT_ABORTED;
    for (enum hf_rollout_state s = 0; s < HF_ROLLOUT_STATES; s++)
        check_refused(0, s, "aborted, which is final");
}

static void only_the_last_stage_completes(void **state)
{
    (void)state;
    now.stage = 1;
    check_refused(1, HF_ROLLOUT_COMPLETE, "its last stage, 3");
    check_refused(2, HF_ROLLOUT_COMPLETE, "its last stage, 3");
    now.stage = 2;
    check_allowed(2, HF_ROLLOUT_COMPLETE);
    now.state = HF_ROLLOUT_COMPLETE;
    check_refused(2, HF_ROLLOUT_OPEN, "is complete");
    check_allowed(2, HF_ROLLOUT_PAUSED);
}

static void a_superseded_version_only_stops(void **state)
{
    (void)state;
    at.is_superseded = true;
    now.state = HF_ROLLOUT_PAUSED;
    check_refused(0, HF_ROLLOUT_OPEN, "a higher version is listed");
    check_allowed(0, HF_ROLLOUT_ABORTED);
}

/* What a stolen key signed must not keep the owner from stopping. */
static void a_stage_that_the_plan_does_not_have_counts_as_the_last(void **state)
{
    (void)state;
    now.stage = HF_ROLLOUT_STAGES_MAX - 1;
    now.since_s = INT64_MAX - HF_DAY_S;
    check_allowed(2, HF_ROLLOUT_PAUSED);
    check_allowed(2, HF_ROLLOUT_ABORTED);
    now.stage = 0;
    at.now_s = START_S + 10 * HF_DAY_S;
    now.since_s = at.now_s + HF_DAY_S;
    check_refused(1, HF_ROLLOUT_OPEN, "bakes until");
    check_allowed(0, HF_ROLLOUT_PAUSED);
}

static void a_step_from_another_version_is_refused(void **state)
{
    (void)state;
    const struct hf_rollout_request request = {.from = 6, .state = HF_ROLLOUT_PAUSED};
    struct hf_why why = {0};
    CHECK_REFUSED(hf_rollout_rules_check(&at, &request, &why), HF_E_STATE, &why,
                  "expected version 6 of the role, found 7");
}

static void approve(const struct hf_rollout_request *request, struct hf_rollout_approval_given *out)
{
    struct hf_buf text = {0};
    const struct hf_rollout_step step = {at.path, at.sha256, now.since_s, request->stage,
                                         request->state};
    CHECK_OK(hf_rollout_step_text(&step, &text, NULL));
    memcpy(out->approver, plan.approvers[0], sizeof out->approver);
    assert_int_equal(crypto_sign_detached(out->signature, NULL, text.data, text.len, secret), 0);
    hf_buf_free(&text);
}

static void approvals_are_of_this_very_step(void **state)
{
    (void)state;
    struct hf_rollout_approval_given given[2];
    struct hf_rollout_request request = {.from = 7, .stage = 1, .state = HF_ROLLOUT_OPEN};
    struct hf_why why = {0};
    plan.approval = HF_ROLLOUT_SIGNED;
    plan.approvals = 1;
    plan.n_approvers = 1;
    at.now_s = START_S + HF_DAY_S;
    CHECK_REFUSED(hf_rollout_rules_check(&at, &request, &why), HF_E_SIGNATURE, &why, "0 found");
    approve(&request, &given[0]);
    request.approvals = given;
    request.n_approvals = 1;
    CHECK_OK(hf_rollout_rules_check(&at, &request, NULL));
    /* The same person twice is one. */
    plan.approvals = 2;
    given[1] = given[0];
    request.n_approvals = 2;
    CHECK_REFUSED(hf_rollout_rules_check(&at, &request, &why), HF_E_SIGNATURE, &why, "1 found");
    /* A step of another bundle of the set, or the role signed again in time: it is this step
     * still. */
    plan.approvals = 1;
    at.version = request.from = 8;
    CHECK_OK(hf_rollout_rules_check(&at, &request, NULL));
    /* Once: after a pause that was resumed it is another one. */
    now.since_s++;
    at.now_s++;
    CHECK_REFUSED(hf_rollout_rules_check(&at, &request, &why), HF_E_SIGNATURE, &why,
                  "for another step");
    now.since_s--;
    at.path = "s/p/3.pem";
    CHECK_REFUSED(hf_rollout_rules_check(&at, &request, &why), HF_E_SIGNATURE, &why,
                  "for another step");
    at.path = "s/p/2.pem";
    given[0].approver[0] ^= 1;
    CHECK_REFUSED(hf_rollout_rules_check(&at, &request, &why), HF_E_SIGNATURE, &why,
                  "by no approver");
    /* To stop needs none. */
    check_allowed(0, HF_ROLLOUT_PAUSED);
    now.state = HF_ROLLOUT_PAUSED;
    request = (struct hf_rollout_request){.from = 8, .state = HF_ROLLOUT_OPEN};
    CHECK_REFUSED(hf_rollout_rules_check(&at, &request, &why), HF_E_SIGNATURE, &why, "0 found");
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_stage_opens_at_not_before),
        TEST(the_next_stage_waits_for_the_bake_time_and_the_calendar),
        TEST(a_rollout_stops_at_any_time_and_resumes_where_it_was),
        TEST(aborted_is_final),
        TEST(only_the_last_stage_completes),
        TEST(a_superseded_version_only_stops),
        TEST(a_stage_that_the_plan_does_not_have_counts_as_the_last),
        TEST(a_step_from_another_version_is_refused),
        TEST(approvals_are_of_this_very_step),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
