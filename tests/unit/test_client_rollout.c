/* client/core/rollout: a bundle with a plan is taken when the plan and the signed stage let this
 * device, and a stolen online key gains nothing but time. */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "common/json/json.h"
#include "common/report/report.h"
#include "common/rollout/rollout.h"
#include "tests/support/counting_verify.h"
#include "tests/support/device.h"

#include <stdio.h>
#include <stdlib.h>

#define BEGINS_S (DEVICE_NOW_S - HF_DAY_S)
#define MANDATORY_S (DEVICE_NOW_S + 90 * HF_DAY_S)
#define ROLE "rollout-" DEVICE_SET
#define PATH(version) DEVICE_SET "/" DEVICE_PROFILE "/" #version ".pem"

/* The lab, a thousandth, all; a week each. This device is in none of the first two. */
static struct hf_rollout_plan plan(void)
{
    return (struct hf_rollout_plan){
        .not_before_s = BEGINS_S,
        .mandatory_from_s = MANDATORY_S,
        .stages = {{.groups = {"office"}, .n_groups = 1, .bake_s = 3600},
                   {.ppm = 1, .bake_s = 3600},
                   {.ppm = HF_ROLLOUT_PPM}},
        .n_stages = 3,
        .pause = {.silent_after_s = 3600},
    };
}

static void add_planned(struct device *d, int64_t version, const struct hf_rollout_plan *p)
{
    struct hf_buf pem = {0};
    char path[64], name[32];

    (void)snprintf(name, sizeof name, "Root %d", (int)version);
    (void)snprintf(path, sizeof path, "%s/%s/%d.pem", DEVICE_SET, DEVICE_PROFILE, (int)version);
    device_make_anchor(name, &pem);
    json_t *custom = device_custom(DEVICE_SET, DEVICE_PROFILE, version);
    assert_int_equal(json_object_set_new(json_object_get(custom, "holdfast"), "rollout",
                                         hf_rollout_plan_to_json(p)),
                     0);
    tuf_repo_add_target(&d->repo, path, hf_buf_bytes(&pem), custom);
    hf_buf_free(&pem);
}

static struct tuf_delegated_role *role_of(struct device *d)
{
    return &d->repo.delegated[0];
}

/* The stage of the target at `path`, which is listed with the content of the one at `like`. */
static void sign_stage(struct device *d, const char *path, const char *like, int64_t stage,
                       enum hf_rollout_state state)
{
    const struct hf_rollout_activation activation = {.stage = stage,
                                                     .state = state,
                                                     .since_s = BEGINS_S,
                                                     .reason = "as the test wants it"};
    struct tuf_targets *all = &d->repo.targets;

    for (size_t i = 0; i < all->n_items; i++) {
        if (strcmp(all->items[i].path, like) == 0)
            tuf_targets_add(&role_of(d)->targets, path, hf_buf_bytes(&all->items[i].content),
                            hf_rollout_activation_to_json(&activation));
    }
    role_of(d)->role.version++;
    tuf_repo_publish_next(&d->repo);
}

/* Version 1 is in use; 2 has a plan, and its stage is not signed. */
static int setup(void **state)
{
    int rc = device_setup(state);
    struct device *d = *state;
    const struct hf_rollout_plan p = plan();

    d->repo.has_hashes = true; /* a cached file that is another one is known by its hash */
    CHECK_OK(device_update(d));
    (void)tuf_repo_delegate(&d->repo, "targets", ROLE, DEVICE_SET "/*/*.pem", false);
    add_planned(d, 2, &p);
    tuf_repo_publish_next(&d->repo);
    return rc;
}

static struct hf_status status_of(struct device *d)
{
    struct hf_status status;

    CHECK_OK(hf_client_status(d->client, &status, &d->why));
    return status;
}

static void check_held(struct device *d, const char *part)
{
    CHECK_OK(device_update(d));
    assert_false(d->result.is_changed);
    assert_int_equal(d->result.to_version, 1);
    assert_int_equal(d->result.held_version, 2);
    struct hf_status status = status_of(d);
    assert_true(status.held.is_on);
    assert_int_equal(status.held.version, 2);
    assert_int_equal(status.held.latest_s, MANDATORY_S);
    if (strstr(status.held.text, part) == NULL)
        fail_msg("expected \"%s\" in \"%s\"", part, status.held.text);
    hf_status_free(&status);
}

static void check_taken(struct device *d)
{
    CHECK_OK(device_update(d));
    assert_true(d->result.is_changed);
    assert_int_equal(d->result.to_version, 2);
    assert_int_equal(d->result.held_version, 0);
    struct hf_status status = status_of(d);
    assert_false(status.held.is_on);
    hf_status_free(&status);
}

/* ---- the way of a rollout -------------------------------------------------------------------- */

static void it_waits_for_its_stage_and_takes_it_then(void **state)
{
    struct device *d = *state;

    check_held(d, "no valid document");
    sign_stage(d, PATH(2), PATH(2), 0, HF_ROLLOUT_OPEN);
    check_held(d, "stage 1 of 3 is open, this device is in stage 3");
    sign_stage(d, PATH(2), PATH(2), 1, HF_ROLLOUT_PAUSED);
    check_held(d, "paused (as the test wants it)");
    sign_stage(d, PATH(2), PATH(2), 2, HF_ROLLOUT_OPEN);
    check_taken(d);
}

static struct hf_next_check next_check(struct device *d)
{
    struct hf_next_check next = {0};

    hf_client_next_check(d->client, &next);
    return next;
}

#define TURN_S (DEVICE_NOW_S + 6 * INT64_C(3600))
#define SPREAD_S (3 * INT64_C(3600))

/* Whatever the daily check draws, 18 to 30 hours, the turn of 6 hours comes before. */
static void it_checks_once_soon_after_its_turn(void **state)
{
    struct device *d = *state;
    struct hf_rollout_plan p = plan();

    p.not_before_s = TURN_S - 2 * INT64_C(3600); /* two stages bake for an hour each */
    add_planned(d, 2, &p);
    tuf_repo_publish_next(&d->repo);
    check_held(d, "");
    struct hf_next_check next = next_check(d);
    assert_in_range(next.at_s, TURN_S, TURN_S + SPREAD_S);
    assert_string_equal(next.reason, "version 2 may be installed from 2030-03-17T23:46:40Z on");
    device_reboot(d);
    assert_int_equal(next_check(d).at_s, next.at_s);

    /* A check of another cause before changes nothing but the draw. */
    d->fake.now_s = DEVICE_NOW_S + 3600;
    check_held(d, "");
    assert_in_range(next_check(d).at_s, TURN_S, TURN_S + SPREAD_S);

    /* The stage is not open then: it is not asked for again before tomorrow. */
    d->fake.now_s = next_check(d).at_s;
    check_held(d, "no valid document");
    next = next_check(d);
    assert_string_equal(next.reason, "once a day");
    assert_true(next.wait_s >= HF_DAY_S * 3 / 4);
}

static void devices_of_a_stage_do_not_check_together(void **state)
{
    struct device *d = *state;
    struct hf_rollout_plan p = plan();
    int64_t first_s = INT64_MAX, last_s = 0;

    p.not_before_s = TURN_S - 2 * INT64_C(3600);
    add_planned(d, 2, &p);
    tuf_repo_publish_next(&d->repo);
    for (int i = 0; i < 60; i++) { /* each check draws again, as another device would */
        d->fake.now_s++;
        check_held(d, "");
        int64_t at_s = next_check(d).at_s;
        first_s = at_s < first_s ? at_s : first_s;
        last_s = at_s > last_s ? at_s : last_s;
    }
    assert_true(last_s - first_s > SPREAD_S * 3 / 4);
}

static void a_turn_that_is_far_off_changes_nothing(void **state)
{
    struct device *d = *state;
    struct hf_rollout_plan p = plan();

    p.stages[1].bake_s = 10 * HF_DAY_S;
    add_planned(d, 2, &p);
    tuf_repo_publish_next(&d->repo);
    check_held(d, "");
    assert_string_equal(next_check(d).reason, "once a day");
}

static void a_group_comes_first(void **state)
{
    struct device *d = *state;
    struct hf_rollout_plan p = plan();

    (void)snprintf(p.stages[0].groups[0], sizeof p.stages[0].groups[0], "lab"); /* device_config */
    add_planned(d, 2, &p);
    sign_stage(d, PATH(2), PATH(2), 0, HF_ROLLOUT_OPEN);
    check_taken(d);
}

static void a_held_version_does_not_hide_one_that_may_be_taken(void **state)
{
    struct device *d = *state;

    device_publish(d, 3);
    struct hf_rollout_plan p = plan();
    add_planned(d, 4, &p);
    tuf_repo_publish_next(&d->repo);
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 3);
    assert_int_equal(d->result.held_version, 4);
    device_withdraw(d, 4);
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.held_version, 0);
}

static void a_device_without_a_bundle_does_not_wait(void **state)
{
    struct device *d = *state;

    const struct hf_rollout_plan p = plan();

    add_planned(d, 2, &p);
    tuf_repo_publish_next(&d->repo);
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 2);
}

/* Its anchors have ended: it has nothing to lose either. */
static void a_device_without_a_usable_anchor_does_not_wait(void **state)
{
    struct device *d = *state;
    struct hf_buf pem = {0};

    device_make_dated_anchor("Root 3", DEVICE_NOW_S - HF_DAY_S, DEVICE_NOW_S + HF_DAY_S, &pem);
    device_add_bundle(d, 3, &pem);
    hf_buf_free(&pem);
    tuf_repo_publish_next(&d->repo);
    CHECK_OK(device_update(d));
    const struct hf_rollout_plan p = plan();
    add_planned(d, 4, &p);
    sign_stage(d, PATH(4), PATH(4), 0, HF_ROLLOUT_PAUSED);
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 3);
    assert_int_equal(d->result.held_version, 4);
    d->fake.now_s += 2 * HF_DAY_S;
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 4);
}

/* While their own bundle waits, a number that only the former keys signed must not become the
 * lowest. */
static void new_targets_keys_do_not_adopt_what_they_do_not_list(void **state)
{
    struct device *d = *state;

    device_publish(d, 9007199254740991);
    CHECK_OK(device_update(d));
    tuf_repo_rotate(&d->repo, HF_ROLE_TARGETS);
    device_withdraw(d, 9007199254740991);
    device_withdraw(d, 1);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(device_update(d));
        assert_false(d->result.is_changed);
        assert_int_equal(d->result.held_version, 2);
    }
    sign_stage(d, PATH(2), PATH(2), 2, HF_ROLLOUT_OPEN);
    check_taken(d);
    assert_string_equal(fake_store_value(&d->fake.store, "bundle.floor"), "2");
}

/* After a change of set nothing of the new one is in use: that is an outcome of its own, but no
 * reason to ask every hour. */
static void a_device_with_a_bundle_of_another_set_waits_and_asks_once_a_day(void **state)
{
    struct device *d = *state;
    struct hf_next_check next;

    (void)snprintf(d->fake.store.state.bundles[HF_SLOT_ACTIVE].set, HF_SET_NAME_MAX + 1, "another");
    (void)snprintf(d->fake.store.at_rest.bundles[HF_SLOT_ACTIVE].set, HF_SET_NAME_MAX + 1,
                   "another");
    device_withdraw(d, 1);
    for (int i = 0; i < 2; i++) {
        CHECK_REFUSED(device_update(d), HF_E_POSTPONED, &d->why, "version 2 waits");
        hf_client_next_check(d->client, &next);
        assert_string_equal(next.reason, "once a day");
    }
    device_reboot(d);
    hf_client_next_check(d->client, &next);
    assert_string_equal(next.reason, "once a day");
    assert_int_equal(fake_store_count_events(&d->fake.store, "postponed"), 1);
    sign_stage(d, PATH(2), PATH(2), 2, HF_ROLLOUT_OPEN);
    check_taken(d);
}

static void what_cannot_be_obtained_does_not_wait_for_its_turn_any_more(void **state)
{
    struct device *d = *state;

    check_held(d, "no valid document");
    sign_stage(d, PATH(2), PATH(2), 2, HF_ROLLOUT_OPEN);
    fake_mirror_answer(&d->fake.transport.mirrors[0], "*", 200, NULL);
    CHECK_REFUSED(device_update(d), HF_E_FORMAT, &d->why, "");
    struct hf_status status = status_of(d);
    assert_true(status.held.is_on); /* the refresh failed: nothing new is known */
    hf_status_free(&status);
    fake_mirror_reset(&d->fake.transport.mirrors[0]);
    const struct tuf_targets *all = &d->repo.targets;
    char path[160];
    for (size_t i = 0; i < all->n_items; i++) {
        char hash[HF_SHA256_HEX_LEN];
        hf_sha256_hex(hf_buf_bytes(&all->items[i].content), hash);
        (void)snprintf(path, sizeof path, "targets/" DEVICE_SET "/" DEVICE_PROFILE "/%s.2.pem",
                       hash);
        if (strcmp(all->items[i].path, PATH(2)) == 0)
            fake_mirror_answer(&d->fake.transport.mirrors[0], path, 404, NULL);
    }
    CHECK_REFUSED(device_update(d), HF_E_NOT_FOUND, &d->why, "2.pem");
    status = status_of(d);
    assert_false(status.held.is_on);
    hf_status_free(&status);
}

static void what_is_news_is_told_once(void **state)
{
    struct device *d = *state;

    check_held(d, "no valid document");
    assert_int_equal(fake_store_count_events(&d->fake.store, "held"), 1);
    check_held(d, "no valid document");
    assert_int_equal(fake_store_count_events(&d->fake.store, "held"), 1);
    sign_stage(d, PATH(2), PATH(2), 0, HF_ROLLOUT_OPEN);
    check_held(d, "stage 1 of 3");
    assert_int_equal(fake_store_count_events(&d->fake.store, "held"), 2);
}

/* The service cannot be reached, and the online key gives another reason at each check. */
static void reasons_that_change_push_no_other_report_out(void **state)
{
    struct device *d = *state;
    const struct hf_rollout_plan p = plan();
    const struct fake_rows *waiting = &d->fake.store.state.reports;
    struct hf_report *first = NULL;
    size_t n = 0;

    CHECK_OK(hf_client_report_to(d->client, "https://fleet.test/v1/reports", &d->why));
    d->fake.transport.service = (struct fake_service_answer){.err = HF_E_NETWORK};
    device_publish(d, 3);
    CHECK_OK(device_update(d));
    add_planned(d, 4, &p);
    for (int i = 0; i < 70; i++) {
        sign_stage(d, PATH(4), PATH(4), 0, i % 2 == 0 ? HF_ROLLOUT_OPEN : HF_ROLLOUT_PAUSED);
        CHECK_OK(device_update(d));
    }
    assert_int_equal(waiting->n, 64);
    CHECK_OK(hf_report_list_read(hf_buf_bytes(&waiting->rows[1].bytes), &first, &n, NULL));
    assert_int_equal(first->kind, HF_REPORT_SWAPPED);
    free(first);
}

/* ---- the online key in the wrong hands ------------------------------------------------------- */

static void it_cannot_run_ahead_of_the_calendar(void **state)
{
    struct device *d = *state;
    struct hf_rollout_plan p = plan();

    p.stages[1].bake_s = 3 * HF_DAY_S;
    add_planned(d, 2, &p);
    sign_stage(d, PATH(2), PATH(2), 2, HF_ROLLOUT_OPEN);
    check_held(d, "stage 2 of 3 is open");
    sign_stage(d, PATH(2), PATH(2), 2, HF_ROLLOUT_COMPLETE);
    check_held(d, "stage 2 of 3 is open");
    p.not_before_s = DEVICE_NOW_S + HF_DAY_S;
    add_planned(d, 2, &p);
    sign_stage(d, PATH(2), PATH(2), 2, HF_ROLLOUT_OPEN);
    check_held(d, "has not begun");
}

static void it_cannot_hold_back_beyond_the_signed_date(void **state)
{
    struct device *d = *state;
    struct hf_rollout_plan p = plan();

    p.mandatory_from_s = DEVICE_NOW_S;
    add_planned(d, 2, &p);
    sign_stage(d, PATH(2), PATH(2), 0, HF_ROLLOUT_ABORTED);
    check_taken(d);
}

static void it_cannot_speak_of_another_bundle(void **state)
{
    struct device *d = *state;

    /* the path of one with the content of another, and a bundle that targets does not list */
    sign_stage(d, PATH(2), PATH(1), 2, HF_ROLLOUT_OPEN);
    check_held(d, "no valid document");
    assert_true(fake_log_has(&d->fake, "signed for another file"));
    sign_stage(d, PATH(7), PATH(1), 2, HF_ROLLOUT_OPEN);
    check_held(d, "no valid document");
}

static void it_cannot_go_back_to_an_older_document(void **state)
{
    struct device *d = *state;

    sign_stage(d, PATH(2), PATH(2), 1, HF_ROLLOUT_OPEN);
    check_held(d, "stage 2 of 3");
    role_of(d)->role.version = 1; /* and the snapshot names it */
    tuf_repo_publish_next(&d->repo);
    CHECK_REFUSED(device_update(d), HF_E_ROLLBACK, &d->why, ROLE);
}

static void a_document_that_does_not_verify_only_makes_it_wait(void **state)
{
    struct device *d = *state;

    sign_stage(d, PATH(2), PATH(2), 2, HF_ROLLOUT_OPEN);
    role_of(d)->role.expires_s = DEVICE_NOW_S - 1;
    role_of(d)->role.version++;
    tuf_repo_publish_next(&d->repo);
    check_held(d, "no valid document");
    role_of(d)->role.expires_s = DEVICE_NOW_S + HF_DAY_S;
    tuf_keys_make(&role_of(d)->role.keys, 1, 1); /* other keys than targets names */
    role_of(d)->role.version++;
    tuf_repo_publish_next(&d->repo);
    check_held(d, "no valid document");
}

static void a_delegation_for_more_is_none_of_ours(void **state)
{
    struct device *d = *state;

    sign_stage(d, PATH(2), PATH(2), 2, HF_ROLLOUT_OPEN);
    (void)snprintf(d->repo.delegations[0].path_pattern, sizeof d->repo.delegations[0].path_pattern,
                   "*/*/*.pem");
    tuf_repo_publish_next(&d->repo);
    check_held(d, "no valid document");
    assert_true(fake_log_has(&d->fake, "delegate exactly"));
}

/* ---- what it costs --------------------------------------------------------------------------- */

static void an_unchanged_check_verifies_no_signature(void **state)
{
    struct device *d = *state;

    sign_stage(d, PATH(2), PATH(2), 0, HF_ROLLOUT_OPEN);
    check_held(d, "stage 1 of 3");
    counting_verify_begin();
    check_held(d, "stage 1 of 3");
    assert_int_equal(counting_verify_count(), 0);
    sign_stage(d, PATH(2), PATH(2), 1, HF_ROLLOUT_OPEN);
    counting_verify_begin();
    check_held(d, "stage 2 of 3");
    assert_int_equal(counting_verify_count(), 4); /* all but root, which this test signs again */
}

static void without_a_newer_plan_the_role_is_not_asked_for(void **state)
{
    struct device *d = *state;

    sign_stage(d, PATH(2), PATH(2), 2, HF_ROLLOUT_OPEN);
    check_taken(d);
    assert_int_equal(fake_transport_count(&d->fake.transport, ROLE), 1);
    CHECK_OK(device_update(d));
    role_of(d)->role.version++;
    tuf_repo_publish_next(&d->repo);
    CHECK_OK(device_update(d));
    assert_int_equal(fake_transport_count(&d->fake.transport, ROLE), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, device_teardown)
    const struct CMUnitTest tests[] = {
        TEST(it_waits_for_its_stage_and_takes_it_then),
        TEST(it_checks_once_soon_after_its_turn),
        TEST(devices_of_a_stage_do_not_check_together),
        TEST(a_turn_that_is_far_off_changes_nothing),
        TEST(a_group_comes_first),
        TEST(a_held_version_does_not_hide_one_that_may_be_taken),
        cmocka_unit_test_setup_teardown(a_device_without_a_bundle_does_not_wait, device_setup,
                                        device_teardown),
        TEST(a_device_without_a_usable_anchor_does_not_wait),
        TEST(new_targets_keys_do_not_adopt_what_they_do_not_list),
        TEST(a_device_with_a_bundle_of_another_set_waits_and_asks_once_a_day),
        TEST(what_cannot_be_obtained_does_not_wait_for_its_turn_any_more),
        TEST(what_is_news_is_told_once),
        TEST(reasons_that_change_push_no_other_report_out),
        TEST(it_cannot_run_ahead_of_the_calendar),
        TEST(it_cannot_hold_back_beyond_the_signed_date),
        TEST(it_cannot_speak_of_another_bundle),
        TEST(it_cannot_go_back_to_an_older_document),
        TEST(a_document_that_does_not_verify_only_makes_it_wait),
        TEST(a_delegation_for_more_is_none_of_ours),
        TEST(an_unchanged_check_verifies_no_signature),
        TEST(without_a_newer_plan_the_role_is_not_asked_for),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
