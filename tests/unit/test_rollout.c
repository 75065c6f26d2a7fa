/* common/rollout: what a plan may say, where a device stands, and when it may install a bundle. */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "common/json/json.h"
#include "common/rollout/rollout.h"

#include <stdio.h>
#include <stdlib.h>

#define PLAN                                                                                       \
    "{\"not_before\":\"2026-12-01T09:00:00Z\",\"mandatory_from\":\"2027-02-01T00:00:00Z\","        \
    "\"min_version\":2,\"stages\":[{\"groups\":[\"lab\"],\"ppm\":0,\"bake_s\":86400,"              \
    "\"min_count\":3},{\"ppm\":1000,\"bake_s\":86400},{\"ppm\":50000,\"bake_s\":172800},"          \
    "{\"ppm\":1000000}],\"pause\":{\"failed_ppm\":20000,\"silent_ppm\":30000,\"min_count\":50,"    \
    "\"silent_after_s\":21600},\"promote\":{\"confirmed_ppm\":500000,\"min_count\":50},"           \
    "\"approval\":\"auto\"}"

#define NOT_BEFORE_S INT64_C(1796115600) /* 2026-12-01T09:00:00Z */
#define MANDATORY_S INT64_C(1801440000)  /* 2027-02-01T00:00:00Z */

static json_t *json_of(const char *text)
{
    json_t *value = NULL;
    struct hf_why why = {0};

    if (hf_json_parse_object(hf_bytes_of_text(text), "a test", &value, &why) != HF_OK)
        fail_msg("%s in %s", why.text, text);
    return value;
}

static struct hf_rollout_plan plan_of(const char *text)
{
    struct hf_rollout_plan plan = {0};
    struct hf_why why = {0};
    json_t *json = json_of(text);

    if (hf_rollout_plan_parse(json, &plan, &why) != HF_OK)
        fail_msg("%s", why.text);
    json_decref(json);
    return plan;
}

/* PLAN with the first `from` replaced by `to` is refused, and nothing is written. */
static void check_refused(const char *from, const char *to, enum hf_err wanted, const char *part)
{
    static const char text[] = PLAN;
    struct hf_rollout_plan plan = {.min_version = 77};
    struct hf_why why = {0};
    char changed[sizeof text + 1024];
    const char *at = strstr(text, from);

    assert_non_null(at);
    (void)snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - text), text, to,
                   at + strlen(from));
    json_t *json = json_of(changed);
    CHECK_REFUSED(hf_rollout_plan_parse(json, &plan, &why), wanted, &why, part);
    assert_int_equal(plan.min_version, 77);
    json_decref(json);
}

static void a_plan_is_read_and_written_the_same(void **state)
{
    struct hf_rollout_plan plan = plan_of(PLAN);
    json_t *written = hf_rollout_plan_to_json(&plan), *json = json_of(PLAN);

    (void)state;
    assert_int_equal(plan.not_before_s, NOT_BEFORE_S);
    assert_int_equal(plan.mandatory_from_s, MANDATORY_S);
    assert_int_equal(plan.min_version, 2);
    assert_int_equal(plan.n_stages, 4);
    assert_string_equal(plan.stages[0].groups[0], "lab");
    assert_int_equal(plan.stages[0].min_count, 3);
    assert_int_equal(plan.stages[2].ppm, 50000);
    assert_int_equal(plan.pause.silent_after_s, 21600);
    assert_int_equal(plan.promote.confirmed_ppm, 500000);
    assert_int_equal(plan.approval, HF_ROLLOUT_AUTO);
    assert_int_equal(hf_rollout_opens_s(&plan, 0), NOT_BEFORE_S);
    assert_int_equal(hf_rollout_opens_s(&plan, 3), NOT_BEFORE_S + 4 * 86400);
    assert_true(json_equal(written, json));
    json_decref(written);
    json_decref(json);
}

static void a_plan_that_cannot_be_kept_is_refused(void **state)
{
    (void)state;
    check_refused("\"ppm\":50000", "\"ppm\":500", HF_E_POLICY, "stage 3 shrinks");
    check_refused("\"ppm\":50000", "\"ppm\":1000", HF_E_POLICY, "stage 3 adds no device");
    check_refused("\"ppm\":50000", "\"ppm\":1000001", HF_E_POLICY, "more than all devices");
    check_refused(",{\"ppm\":1000000}", "", HF_E_POLICY, "should hold all devices");
    check_refused("\"ppm\":1000,", "\"ppm\":1000,\"groups\":[\"lab\"],", HF_E_POLICY,
                  "the group lab");
    check_refused("[\"lab\"]", "[\"lab\",\"lab\"]", HF_E_POLICY, "the group lab");
    check_refused("2027-02-01T", "2026-12-05T", HF_E_POLICY,
                  "expected 2026-12-05T09:00:00Z or later");
    check_refused("2027-02-01T", "2026-11-01T", HF_E_POLICY, "before the last stage");
    check_refused("\"failed_ppm\":20000", "\"failed_ppm\":1000001", HF_E_POLICY, "failed_ppm");
    check_refused("\"silent_ppm\":30000", "\"silent_ppm\":1000001", HF_E_POLICY, "silent_ppm");
    check_refused("\"confirmed_ppm\":500000", "\"confirmed_ppm\":1000001", HF_E_POLICY,
                  "confirmed_ppm");
    check_refused("21600", "59", HF_E_POLICY, "silent_after");
    check_refused("\"bake_s\":86400", "\"bake_s\":316224001", HF_E_POLICY, "bake_s");
}

static void a_plan_is_strict_in_form(void **state)
{
    char many[1024] = "[";
    size_t len = 1;

    (void)state;
    check_refused("\"auto\"", "\"later\"", HF_E_FORMAT, "approval");
    check_refused("\"ppm\":0", "\"ppm\":-1", HF_E_FORMAT, "ppm");
    check_refused("\"ppm\":0", "\"ppm\":\"0\"", HF_E_FORMAT, "ppm");
    check_refused("[\"lab\"]", "[\"Lab\"]", HF_E_FORMAT, "group");
    check_refused("[\"lab\"]", "[7]", HF_E_FORMAT, "group");
    check_refused("2026-12-01T09:00:00Z", "2026-12-01", HF_E_FORMAT, "not_before");
    check_refused("\"not_before\"", "\"begins\"", HF_E_FORMAT, "not_before");
    check_refused("\"pause\"", "\"pauses\"", HF_E_FORMAT, "pause");
    for (int i = 0; i <= HF_DEVICE_GROUPS_MAX; i++)
        len += (size_t)snprintf(many + len, sizeof many - len, "\"g%d\"%s", i,
                                i < HF_DEVICE_GROUPS_MAX ? "," : "]");
    check_refused("[\"lab\"]", many, HF_E_LIMIT, "groups");
    check_refused(
        "[{\"groups\":[\"lab\"],\"ppm\":0,\"bake_s\":86400,\"min_count\":3},{\"ppm\":1000,"
        "\"bake_s\":86400},{\"ppm\":50000,\"bake_s\":172800},{\"ppm\":1000000}]",
        "[]", HF_E_LIMIT, "stages");
}

static void approvals_want_people_who_can_give_them(void **state)
{
#define KEY(c) "\"" c c c c c c c c c c c c c c c c "\""
#define A KEY("aaaa")
#define B KEY("bbbb")
    struct hf_rollout_plan plan;

    (void)state;
    check_refused("\"approval\":\"auto\"", "\"approval\":\"signed\"", HF_E_POLICY, "too few");
    check_refused("\"approval\":\"auto\"",
                  "\"approval\":\"signed\",\"approvals\":3,\"approvers\":[" A "," B "]",
                  HF_E_POLICY, "too few");
    check_refused("\"approval\":\"auto\"",
                  "\"approval\":\"signed\",\"approvals\":2,\"approvers\":[" A "," A "]",
                  HF_E_POLICY, "twice");
    check_refused("\"approval\":\"auto\"", "\"approval\":\"api\",\"approvers\":[" A "]",
                  HF_E_POLICY, "approvers");
    check_refused("\"approval\":\"auto\"", "\"approval\":\"auto\",\"approvals\":1", HF_E_POLICY,
                  "approvals");
    check_refused("\"approval\":\"auto\"", "\"approval\":\"api\",\"approvals\":0", HF_E_POLICY,
                  "approvals");
    check_refused("\"approval\":\"auto\"", "\"approval\":\"signed\",\"approvers\":[\"aa\"]",
                  HF_E_FORMAT, "64 hexadecimal digits");
    plan = plan_of("{\"not_before\":\"2026-12-01T09:00:00Z\",\"mandatory_from\":"
                   "\"2027-02-01T00:00:00Z\",\"stages\":[{\"ppm\":1000000}],\"pause\":{"
                   "\"silent_after_s\":60},\"promote\":{},\"approval\":\"signed\",\"approvers\":[" A
                   "," B "]}");
    assert_int_equal(plan.approvals, 1);
    assert_int_equal(plan.n_approvers, 2);
    assert_int_equal(plan.approvers[1][31], 0xbb);
#undef A
#undef B
#undef KEY
}

/* ---- where a device stands ------------------------------------------------------------------- */

static void positions_are_spread_and_differ_by_bundle(void **state)
{
    uint8_t first[HF_SHA256_LEN] = {1}, second[HF_SHA256_LEN] = {2};
    unsigned below[4] = {0}, same = 0;
    char id[24];

    (void)state;
    for (int i = 0; i < 10000; i++) {
        (void)snprintf(id, sizeof id, "device-%d", i);
        const int64_t position = hf_rollout_position(first, id);
        assert_in_range(position, 0, HF_ROLLOUT_PPM - 1);
        assert_int_equal(position, hf_rollout_position(first, id));
        same += position == hf_rollout_position(second, id);
        below[0] += position < 10000;
        below[1] += position < 100000;
        below[2] += position < 500000;
        below[3] += position < 900000;
    }
    /* 10,000 draws: five standard deviations either way. */
    assert_in_range(below[0], 50, 150);
    assert_in_range(below[1], 850, 1150);
    assert_in_range(below[2], 4750, 5250);
    assert_in_range(below[3], 8850, 9150);
    assert_true(same < 10);
}

/* The formula, so that other programs can compute it: SHA-256("holdfast rollout" || 32 zeros ||
 * "pump-17") by sha256sum, its first 64 bits times 10^6 over 2^64. */
static void a_position_is_what_the_formula_says(void **state)
{
    const uint8_t zeros[HF_SHA256_LEN] = {0};

    (void)state;
    assert_int_equal(hf_rollout_position(zeros, "pump-17"), 844904);
}

/* ---- the decision ---------------------------------------------------------------------------- */

struct scene {
    struct hf_rollout_plan plan;
    struct hf_rollout_activation activation;
    struct hf_rollout_device device;
    uint8_t sha256[HF_SHA256_LEN];
};

/* In the third of four stages, and stage 0 is open. */
static struct scene scene(void)
{
    struct scene s = {.plan = plan_of(PLAN),
                      .activation = {.state = HF_ROLLOUT_OPEN, .since_s = NOT_BEFORE_S},
                      .device = {.id = "pump-17", .active = 2}};

    while (hf_rollout_stage_of(&s.plan, s.sha256, &s.device) != 2)
        s.sha256[0]++, s.sha256[1] = (uint8_t)(s.sha256[1] + (s.sha256[0] == 0));
    return s;
}

static struct hf_rollout_decision decide(const struct scene *s, int64_t now_s)
{
    return hf_rollout_decide(&s->plan, &s->activation, s->sha256, &s->device, now_s);
}

static void without_a_plan_it_is_taken_at_once(void **state)
{
    struct scene s = scene();

    (void)state;
    assert_true(hf_rollout_decide(NULL, NULL, s.sha256, &s.device, 0).takes);
    assert_true(hf_rollout_decide(NULL, &s.activation, s.sha256, &s.device, 0).takes);
}

static void the_calendar_bounds_whoever_opens_stages(void **state)
{
    struct scene s = scene();
    const int64_t own_s = hf_rollout_opens_s(&s.plan, 2);

    (void)state;
    s.activation.stage = 3; /* an online key in a hurry */
    assert_int_equal(decide(&s, NOT_BEFORE_S - 1).reason, HF_ROLLOUT_TOO_EARLY);
    assert_int_equal(decide(&s, NOT_BEFORE_S).reason, HF_ROLLOUT_NOT_ITS_TURN);
    assert_int_equal(decide(&s, own_s - 1).reason, HF_ROLLOUT_NOT_ITS_TURN);
    assert_true(decide(&s, own_s).takes);
    s.activation.state = HF_ROLLOUT_COMPLETE;
    assert_int_equal(decide(&s, own_s - 1).reason, HF_ROLLOUT_NOT_ITS_TURN);
    s.activation.stage = 15;
    assert_int_equal(decide(&s, own_s - 1).reason, HF_ROLLOUT_NOT_ITS_TURN);
    assert_true(decide(&s, own_s).takes);
}

static void a_stage_opens_when_it_is_signed(void **state)
{
    struct scene s = scene();
    const int64_t late_s = MANDATORY_S - 1;

    (void)state;
    for (int stage = 0; stage < 4; stage++) {
        s.activation.stage = stage;
        const struct hf_rollout_decision d = decide(&s, late_s);
        assert_int_equal(d.takes, stage >= 2);
        assert_int_equal(d.own, 2);
        assert_int_equal(d.open, stage);
        if (!d.takes) {
            assert_int_equal(d.turn_s, hf_rollout_opens_s(&s.plan, 2));
            assert_int_equal(d.latest_s, MANDATORY_S);
        }
    }
}

static void nobody_is_held_beyond_the_signed_date(void **state)
{
    struct scene s = scene();
    static const enum hf_rollout_state states[] = {HF_ROLLOUT_OPEN, HF_ROLLOUT_PAUSED,
                                                   HF_ROLLOUT_ABORTED, HF_ROLLOUT_COMPLETE};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        s.activation.state = states[i];
        assert_false(decide(&s, MANDATORY_S - 1).takes);
        assert_true(decide(&s, MANDATORY_S).takes);
    }
    assert_int_equal(hf_rollout_decide(&s.plan, NULL, s.sha256, &s.device, MANDATORY_S - 1).reason,
                     HF_ROLLOUT_NO_DOCUMENT);
    assert_true(hf_rollout_decide(&s.plan, NULL, s.sha256, &s.device, MANDATORY_S).takes);
}

static void groups_and_old_versions_come_first(void **state)
{
    static const char lab[][HF_SET_NAME_MAX + 1] = {"ring-1", "lab"};
    struct scene s = scene();

    (void)state;
    assert_false(decide(&s, NOT_BEFORE_S).takes);
    s.device.groups = lab;
    s.device.n_groups = 1;
    assert_false(decide(&s, NOT_BEFORE_S).takes);
    s.device.n_groups = 2;
    assert_true(decide(&s, NOT_BEFORE_S).takes);
    assert_false(decide(&s, NOT_BEFORE_S - 1).takes);
    s.device.n_groups = 0;
    s.device.active = 1; /* below min_version */
    assert_true(decide(&s, NOT_BEFORE_S).takes);
    s.activation.state = HF_ROLLOUT_PAUSED;
    assert_int_equal(decide(&s, NOT_BEFORE_S).reason, HF_ROLLOUT_IS_PAUSED);
}

static void a_device_without_an_id_is_of_the_last_stage(void **state)
{
    struct scene s = scene();

    (void)state;
    s.device.id = NULL;
    assert_int_equal(hf_rollout_stage_of(&s.plan, s.sha256, &s.device), 3);
}

static void why_it_waits_is_said(void **state)
{
    struct scene s = scene();
    char text[512];

    (void)state;
#define SAYS(now_s, part)                                                                          \
    do {                                                                                           \
        struct hf_rollout_decision d = decide(&s, now_s);                                          \
        hf_rollout_explain(&d, &s.plan, &s.activation, now_s, text, sizeof text);                  \
        if (strstr(text, part) == NULL)                                                            \
            fail_msg("expected \"%s\" in \"%s\"", part, text);                                     \
    } while (0)
    SAYS(NOT_BEFORE_S - 1,
         "the rollout has not begun; its turn may come from 2026-12-03T09:00:00Z");
    SAYS(NOT_BEFORE_S, "stage 1 of 4 is open, this device is in stage 3");
    SAYS(MANDATORY_S - 1, "its turn may come at any time, and comes on 2027-02-01T00:00:00Z");
    s.activation.state = HF_ROLLOUT_PAUSED;
    (void)snprintf(s.activation.reason, sizeof s.activation.reason, "3 of 50 devices failed");
    SAYS(NOT_BEFORE_S, "the rollout is paused (3 of 50 devices failed)");
    memset(s.activation.reason, 'x', sizeof s.activation.reason - 1); /* it is cut, not the days */
    SAYS(NOT_BEFORE_S, "and comes on 2027-02-01T00:00:00Z at the latest");
    (void)snprintf(s.activation.reason, sizeof s.activation.reason, "3 of 50 devices failed");
    s.activation.state = HF_ROLLOUT_ABORTED;
    SAYS(NOT_BEFORE_S, "aborted (3 of 50 devices failed); its turn comes on 2027-02-01");
#undef SAYS
}

/* ---- the document ---------------------------------------------------------------------------- */

static void check_document_refused(const char *text, enum hf_err wanted, const char *part)
{
    struct hf_rollout_activation activation = {.stage = 7};
    struct hf_why why = {0};
    json_t *json = json_of(text);

    CHECK_REFUSED(hf_rollout_activation_parse(json, &activation, &why), wanted, &why, part);
    assert_int_equal(activation.stage, 7);
    json_decref(json);
}

static void a_document_is_read_and_written_the_same(void **state)
{
    struct hf_rollout_activation activation = {0};
    struct hf_why why = {0};
    json_t *json = json_of(
        "{\"holdfast\":{\"activation\":{\"stage\":1,\"state\":\"paused\",\"since\":"
        "\"2026-12-01T09:00:00Z\",\"reason\":\"too many\"}}}");

    (void)state;
    CHECK_OK(hf_rollout_activation_parse(json, &activation, &why));
    assert_int_equal(activation.stage, 1);
    assert_int_equal(activation.state, HF_ROLLOUT_PAUSED);
    assert_int_equal(activation.since_s, NOT_BEFORE_S);
    assert_string_equal(activation.reason, "too many");
    json_t *written = hf_rollout_activation_to_json(&activation);
    assert_true(json_equal(written, json));
    json_decref(written);
    json_decref(json);
}

static void a_document_is_strict(void **state)
{
#define DOCUMENT(members) "{\"holdfast\":{\"activation\":{" members "}}}"
    (void)state;
    check_document_refused("{}", HF_E_NOT_FOUND, "not there");
    check_document_refused("{\"holdfast\":{\"activation\":1}}", HF_E_FORMAT, "object");
    check_document_refused(DOCUMENT("\"stage\":0,\"state\":\"open\""), HF_E_FORMAT, "since");
    check_document_refused(DOCUMENT(
                               "\"stage\":0,\"state\":\"go\",\"since\":\"2026-12-01T09:00:00Z\""),
                           HF_E_FORMAT, "state");
    check_document_refused(
        DOCUMENT("\"stage\":16,\"state\":\"open\",\"since\":\"2026-12-01T09:00:00Z\""), HF_E_LIMIT,
        "stage");
    check_document_refused(
        DOCUMENT("\"stage\":-1,\"state\":\"open\",\"since\":\"2026-12-01T09:00:00Z\""), HF_E_FORMAT,
        "stage");
#undef DOCUMENT
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_is_read_and_written_the_same),
        cmocka_unit_test(a_plan_that_cannot_be_kept_is_refused),
        cmocka_unit_test(a_plan_is_strict_in_form),
        cmocka_unit_test(approvals_want_people_who_can_give_them),
        cmocka_unit_test(positions_are_spread_and_differ_by_bundle),
        cmocka_unit_test(a_position_is_what_the_formula_says),
        cmocka_unit_test(without_a_plan_it_is_taken_at_once),
        cmocka_unit_test(the_calendar_bounds_whoever_opens_stages),
        cmocka_unit_test(a_stage_opens_when_it_is_signed),
        cmocka_unit_test(nobody_is_held_beyond_the_signed_date),
        cmocka_unit_test(groups_and_old_versions_come_first),
        cmocka_unit_test(a_device_without_an_id_is_of_the_last_stage),
        cmocka_unit_test(why_it_waits_is_said),
        cmocka_unit_test(a_document_is_read_and_written_the_same),
        cmocka_unit_test(a_document_is_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
