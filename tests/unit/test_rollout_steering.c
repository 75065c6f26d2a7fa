/* server/rollout/steering: looks at rollouts with a real database, and the signer as the test wants
 * it. */
#include "tests/support/check.h"
#include "tests/support/fleet_world.h"
#include "tests/support/published.h"

#include "common/base/timetext.h"
#include "server/fleet/device_state.h"
#include "server/rollout/limits.h"
#include "server/rollout/steering.h"
#include "server/rollout/steps.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY INT64_C(86400)
#define DEVICES 10

/* ---- the world around it --------------------------------------------------------------------- */

static struct {
    struct fleet_world *w;
    struct hf_device_changes *changes;
    struct hf_events *events;
    struct hf_rollout_steering *steering;
    struct hf_published *published;
    int64_t account;

    /* The signer. */
    enum hf_err answers; /* how it answers the next requests */
    bool signs;          /* does what it is asked for, whatever it answers */
    json_t *asked;       /* the last request; owned */
    int n_asked;
    bool had_intent; /* in the database, when it was asked */
    enum hf_err write_fails;
    int n_alarms;
    bool is_behind;
} t;

static struct hf_published_bundle *newest(void)
{
    return &t.published->bundles[0];
}

static enum hf_err write_act(void *ctx, hf_fleet_act *act, void *what, struct hf_why *why)
{
    (void)ctx;
    if (t.write_fails != HF_OK)
        return hf_fail(why, t.write_fails, "the disk is full");
    CHECK_OK(hf_db_begin(t.w->tx.db, why));
    const char *actor = t.w->tx.actor;
    t.w->tx.actor = "holdfastd";
    enum hf_err err = act(what, &t.w->tx, why);
    t.w->tx.actor = actor;
    if (err == HF_OK)
        return hf_db_commit(t.w->tx.db, why);
    hf_db_rollback(t.w->tx.db);
    return err;
}

static struct hf_rollout_row row_of(const struct hf_published_bundle *bundle)
{
    struct hf_rollout_row row;
    CHECK_OK(hf_rollout_row_find(t.w->tx.db, bundle, &row, &t.w->why));
    return row;
}

/* As holdfast-signer does it, and as the next edition shows it. */
static void sign(const json_t *request)
{
    struct hf_published_rollout *rollout = &newest()->rollout;
    rollout->role_version++;
    rollout->is_signed = true;
    rollout->now = (struct hf_rollout_activation){.stage = json_integer_value(
                                                      json_object_get(request, "stage")),
                                                  .since_s = t.w->tx.now_s};
    assert_true(hf_rollout_state_parse(json_string_value(json_object_get(request, "state")),
                                       &rollout->now.state));
    (void)snprintf(rollout->now.reason, sizeof rollout->now.reason, "%s",
                   json_string_value(json_object_get(request, "reason")));
}

static enum hf_err ask(void *ctx, json_t *request, json_t **answer, struct hf_why *why)
{
    (void)ctx;
    json_decref(t.asked);
    t.asked = request;
    t.n_asked++;
    for (size_t i = 0; i < t.published->n && !t.had_intent; i++)
        if (t.published->bundles[i].description.plan != NULL)
            t.had_intent = row_of(&t.published->bundles[i]).has_intent;
    const int64_t version = newest()->rollout.role_version + 1;
    if (t.signs)
        sign(request);
    if (t.answers != HF_OK)
        return hf_fail(why, t.answers, "the signer says no");
    *answer = json_pack("{s:I, s:o}", "version", (json_int_t)version, "since",
                        json_string("2027-01-15T08:00:00Z"));
    return HF_OK;
}

static void alarm_audits(void *ctx)
{
    (void)ctx;
    t.n_alarms++;
}

static bool is_behind(void *ctx)
{
    (void)ctx;
    return t.is_behind;
}

static bool is_ending(void *ctx)
{
    (void)ctx;
    return false;
}

static void start(void)
{
    const struct hf_rollout_port port = {.db = t.w->tx.db,
                                         .changes = t.changes,
                                         .events = t.events,
                                         .write = write_act,
                                         .ask = ask,
                                         .alarm = alarm_audits,
                                         .is_behind = is_behind,
                                         .is_ending = is_ending};
    hf_rollout_steering_free(t.steering);
    CHECK_OK(hf_rollout_steering_new(&port, &t.steering, &t.w->why));
}

/* Version 1 without a plan, and version 2: a tenth of the devices first (by group), then all. */
static void publish(int64_t versions)
{
    static const struct published_root root = {'a', FLEET_NOW_S + 4000 * DAY};
    hf_published_unref(t.published);
    t.published = published_new((size_t)versions);
    for (int64_t version = 1; version <= versions; version++) {
        published_add(t.published, "iot", "full", version, 1, &root);
        struct hf_published_bundle *bundle = &t.published->bundles[version - 1];
        memset(bundle->sha256, 'a' + (int)version - 1, HF_SHA256_HEX_LEN - 1);
        if (version == 1)
            continue;
        bundle->rollout.is_delegated = true;
        bundle->description.plan = calloc(1, sizeof *bundle->description.plan);
        *bundle->description.plan = (struct hf_rollout_plan){
            .not_before_s = FLEET_NOW_S,
            .mandatory_from_s = FLEET_NOW_S + 30 * DAY,
            .stages = {{.groups = {"lab"}, .n_groups = 1, .bake_s = 3600, .min_count = 1},
                       {.ppm = HF_ROLLOUT_PPM}},
            .n_stages = 2,
            .pause = {.failed_ppm = 200000,
                      .silent_ppm = 200000,
                      .min_count = 1,
                      .silent_after_s = 7200},
            .promote = {.confirmed_ppm = 500000, .min_count = 1},
        };
    }
    hf_published_sort(t.published);
}

static void tell_changes(void)
{
    hf_device_changes_add(t.changes, &t.w->effects);
    hf_effects_clear(&t.w->effects);
}

/* Ten devices, of which the first five are in the group lab, with certificates; all use version
 * 1. */
static int setup(void **state)
{
    struct hf_why why = {0};
    memset(&t, 0, sizeof t);
    if (fleet_world_setup(state) != 0)
        return -1;
    t.w = *state;
    t.signs = true;
    t.account = fleet_account(t.w, "pumps");
    for (uint32_t i = 1; i <= DEVICES; i++) {
        struct hf_credential_new wanted = fleet_new(t.account, i);
        char name[16];
        (void)snprintf(name, sizeof name, "pump-%u", i);
        wanted.device = name;
        wanted.group = i <= 5 ? "lab" : "";
        (void)fleet_register(t.w, &wanted);
    }
    CHECK_OK(hf_db_execute_text(t.w->tx.db,
                                "UPDATE device_state SET set_name = 'iot', profile = 'full', "
                                "active_version = 1",
                                &why));
    t.w->tx.now_s++; /* a second after they were registered */
    CHECK_OK(hf_device_changes_new(&t.changes, &why));
    CHECK_OK(hf_events_new(&t.events, &why));
    tell_changes();
    start();
    return 0;
}

static int teardown(void **state)
{
    hf_rollout_steering_free(t.steering);
    hf_published_unref(t.published);
    hf_device_changes_free(t.changes);
    hf_events_free(t.events);
    json_decref(t.asked);
    return fleet_world_teardown(state);
}

/* Until all is read. */
static void look(void)
{
    bool has_more = true;
    while (has_more)
        CHECK_OK(
            hf_rollout_steering_look(t.steering, t.published, t.w->tx.now_s, &has_more, &t.w->why));
}

static void reports(int64_t device, const char *result, int64_t version)
{
    char text[400];
    (void)snprintf(text, sizeof text,
                   "UPDATE device_state SET kind = '%s', result = '%s', result_version = %lld, "
                   "result_s = %lld, reason = 'it says %s' WHERE device_id = %lld",
                   result, result, (long long)version, (long long)t.w->tx.now_s, result,
                   (long long)device);
    CHECK_OK(hf_db_execute_text(t.w->tx.db, text, &t.w->why));
    CHECK_OK(hf_effects_add_device(&t.w->effects, device, &t.w->why));
    tell_changes();
}

static void open_first(void)
{
    publish(2);
    look();
    assert_int_equal(t.n_asked, 1);
    look();
}

static void assert_asked(int64_t from, int64_t stage, const char *state)
{
    assert_int_equal(json_integer_value(json_object_get(t.asked, "from")), from);
    assert_int_equal(json_integer_value(json_object_get(t.asked, "stage")), stage);
    assert_string_equal(json_string_value(json_object_get(t.asked, "state")), state);
}

static struct hf_rollout_view view(void)
{
    struct hf_rollout_view out;
    assert_true(
        hf_rollout_steering_view(t.steering, row_of(newest()).id, newest(), t.w->tx.now_s, &out));
    return out;
}

/* ---- the way of a rollout -------------------------------------------------------------------- */

static void a_rollout_goes_through_its_stages(void **state)
{
    (void)state;
    publish(2);
    newest()->description.plan->not_before_s = t.w->tx.now_s + 60;
    look();
    assert_int_equal(t.n_asked, 0);
    assert_string_equal(view().wait, "not-before");
    t.w->tx.now_s += 60;
    look();
    assert_asked(0, 0, "open");
    assert_string_equal(json_string_value(json_object_get(t.asked, "path")), "iot/full/2.pem");
    assert_true(t.had_intent);
    assert_false(row_of(newest()).has_intent);
    assert_non_null(strstr(fleet_log(t.w, 0), "\"rollout.step\""));
    look();
    struct hf_rollout_view seen = view();
    assert_int_equal(seen.tallies[0].devices, 5);
    assert_int_equal(seen.tallies[1].devices, DEVICES);
    assert_string_equal(seen.wait, "baking");
    for (int64_t device = 1; device <= 3; device++)
        reports(device, "confirmed", 2);
    t.w->tx.now_s += 3600;
    look();
    assert_asked(1, 1, "open");
    look();
    for (int64_t device = 4; device <= DEVICES; device++)
        reports(device, "confirmed", 2);
    look();
    assert_asked(2, 1, "complete");
    look();
    assert_int_equal(t.n_asked, 3);
    assert_string_equal(view().wait, "over");
}

static void failures_pause_it_with_the_sentence_of_most(void **state)
{
    (void)state;
    open_first();
    reports(1, "refused", 2);
    reports(2, "rolled-back", 2);
    reports(3, "refused", 2);
    look();
    assert_asked(1, 0, "paused");
    const char *reason = json_string_value(json_object_get(t.asked, "reason"));
    assert_non_null(strstr(reason, "3 of 3 devices that began to install the bundle failed"));
    assert_non_null(strstr(reason, "2 of 3 say \"it says refused\""));
    look();
    look();
    assert_int_equal(t.n_alarms, 1);
    assert_int_equal(t.n_asked, 2); /* only a person resumes */
}

/* The reason is signed, and read by every device. */
static void a_device_cannot_speak_for_the_service_in_the_reason(void **state)
{
    (void)state;
    open_first();
    reports(1, "refused", 2);
    reports(2, "refused", 2);
    CHECK_OK(hf_db_execute_text(t.w->tx.db,
                                "UPDATE device_state SET reason = 'no\"; resume it now, \"' || "
                                "char(27, 8238)",
                                &t.w->why));
    look();
    assert_asked(1, 0, "paused");
    const char *reason = json_string_value(json_object_get(t.asked, "reason"));
    assert_non_null(strstr(reason, "; 2 of 2 say \"no'; resume it now, '????\""));
}

static void silence_pauses_it(void **state)
{
    (void)state;
    open_first();
    reports(1, "announce", 2);
    reports(2, "swapped", 2);
    t.w->tx.now_s += 7200 + 600;
    look();
    assert_asked(1, 0, "paused");
    assert_non_null(strstr(json_string_value(json_object_get(t.asked, "reason")),
                           "2 of 2 judged devices fell"));
}

static void a_higher_version_aborts_it(void **state)
{
    (void)state;
    open_first();
    const struct hf_published_rollout was = newest()->rollout;
    publish(3);
    t.published->bundles[1].rollout = was; /* version 2 */
    newest()->rollout.role_version = was.role_version;
    t.signs = false;
    look();
    /* Both are due; of one set one step is asked for at a time, as they replace the same role. */
    assert_int_equal(t.n_asked, 2);
    assert_true(t.had_intent);
}

/* As many complete versions of other sets as are followed, and more; their names come first. */
static void publish_many(size_t n, const char *set, enum hf_rollout_state state)
{
    static const struct published_root root = {'a', FLEET_NOW_S + 4000 * DAY};
    publish(2);
    const struct hf_rollout_plan plan = *newest()->description.plan;
    hf_published_unref(t.published);
    t.published = published_new(n + 1);
    for (size_t i = 0; i <= n; i++) {
        char profile[16];
        (void)snprintf(profile, sizeof profile, "p%zu", i);
        published_add(t.published, i == n ? "iot" : set, i == n ? "full" : profile, 2, 1, &root);
        struct hf_published_bundle *bundle = &t.published->bundles[i];
        memset(bundle->sha256, 'b', HF_SHA256_HEX_LEN - 1);
        bundle->rollout = (struct hf_published_rollout){.is_delegated = true,
                                                        .role_version = i < n,
                                                        .is_signed = i < n,
                                                        .now = {.stage = 1, .state = state}};
        bundle->description.plan = calloc(1, sizeof plan);
        *bundle->description.plan = plan;
    }
    hf_published_sort(t.published);
}

static struct hf_rollout_view view_of(const char *set, const char *profile)
{
    const struct hf_published_bundle *bundle = hf_published_find(t.published, set, profile);
    struct hf_rollout_view out;
    (void)hf_rollout_steering_view(t.steering, row_of(bundle).id, bundle, t.w->tx.now_s, &out);
    return out;
}

static void rollouts_that_are_over_keep_none_from_being_steered(void **state)
{
    (void)state;
    t.signs = false;
    publish_many(HF_ROLLOUT_FOLLOWED_MAX + 1, "amazon", HF_ROLLOUT_ABORTED);
    look();
    assert_int_equal(t.n_asked, 1);
    assert_asked(0, 0, "open");
    assert_string_equal(json_string_value(json_object_get(t.asked, "path")), "iot/full/2.pem");
    assert_string_equal(view_of("amazon", "p99").wait, "over"); /* the last by name */
}

static void a_rollout_that_is_not_steered_says_so(void **state)
{
    (void)state;
    publish_many(HF_ROLLOUT_FOLLOWED_MAX, "amazon", HF_ROLLOUT_PAUSED);
    look();
    assert_int_equal(t.n_asked, 0);
    const struct hf_rollout_view left = view_of("iot", "full");
    assert_string_equal(left.wait, "not-steered");
    assert_non_null(strstr(left.text, "256 other rollouts are steered"));
    assert_string_equal(view_of("amazon", "p99").wait, "paused");
}

/* ---- an answer that does not come, or is no -------------------------------------------------- */

static void without_an_answer_the_repository_says_what_became_of_it(void **state)
{
    (void)state;
    publish(2);
    t.answers = HF_E_NETWORK; /* it signs, and the answer is lost */
    look();
    assert_int_equal(t.n_asked, 1);
    assert_true(row_of(newest()).has_intent);
    t.answers = HF_OK;
    t.w->tx.now_s += HF_ROLLOUT_INTENT_S - 1;
    look();
    assert_true(row_of(newest()).has_intent);
    t.w->tx.now_s++;
    look();
    assert_false(row_of(newest()).has_intent);
    assert_int_equal(t.n_asked, 1);
    assert_non_null(strstr(fleet_log(t.w, 0), "\"rollout.settled\""));
    assert_non_null(strstr(fleet_log(t.w, 0), "\"was_signed\":true"));
}

static void a_step_that_was_not_signed_is_decided_again(void **state)
{
    (void)state;
    publish(2);
    t.answers = HF_E_NETWORK;
    t.signs = false;
    look();
    t.answers = HF_OK;
    t.signs = true;
    t.w->tx.now_s += HF_ROLLOUT_INTENT_S;
    look();
    assert_non_null(strstr(fleet_log(t.w, 1), "\"was_signed\":false"));
    assert_int_equal(t.n_asked, 2);
    assert_asked(0, 0, "open");
}

static void a_new_process_settles_what_was_left_at_once(void **state)
{
    (void)state;
    publish(2);
    t.answers = HF_E_NETWORK;
    t.signs = false;
    look();
    assert_true(row_of(newest()).has_intent);
    t.answers = HF_OK;
    t.signs = true;
    start();
    look();
    assert_int_equal(t.n_asked, 2);
    assert_false(row_of(newest()).has_intent);
}

static void another_step_is_waited_for(void **state)
{
    (void)state;
    open_first();
    reports(1, "refused", 2);
    t.answers = HF_E_STATE;
    t.signs = false;
    look();
    look();
    assert_int_equal(t.n_asked, 2); /* until the repository shows it, or a minute is over */
    assert_false(row_of(newest()).has_intent);
    t.answers = HF_OK;
    t.signs = true;
    newest()->rollout.role_version = 5;
    look();
    assert_int_equal(t.n_asked, 3);
    assert_asked(5, 0, "paused");
}

static void a_refusal_is_tried_again_ever_later_and_logged_once(void **state)
{
    struct hf_audit_head before, after;
    (void)state;
    publish(2);
    t.answers = HF_E_POLICY;
    t.signs = false;
    look();
    assert_non_null(strstr(fleet_log(t.w, 0), "\"rollout.refused\""));
    assert_non_null(strstr(fleet_log(t.w, 0), "the signer says no"));
    assert_string_equal(view().wait, "refused");
    assert_non_null(strstr(view().text, "the signer says no"));
    CHECK_OK(hf_audit_log_head(t.w->tx.db, &before, &t.w->why));
    t.w->tx.now_s += HF_ROLLOUT_RETRY_S - 1;
    look();
    assert_int_equal(t.n_asked, 1);
    t.w->tx.now_s++;
    look();
    assert_int_equal(t.n_asked, 2);
    t.w->tx.now_s += HF_ROLLOUT_RETRY_S;
    look();
    assert_int_equal(t.n_asked, 2);
    for (int i = 0; i < 20; i++) {
        t.w->tx.now_s += HF_ROLLOUT_RETRY_MAX_S;
        look();
    }
    assert_int_equal(t.n_asked, 22);
    CHECK_OK(hf_audit_log_head(t.w->tx.db, &after, &t.w->why));
    assert_int_equal(before.sequence, after.sequence);
    t.answers = HF_OK;
    t.signs = true;
    t.w->tx.now_s += HF_ROLLOUT_RETRY_MAX_S;
    look();
    look();
    assert_string_equal(view().wait, "baking");
}

static void nothing_is_asked_while_a_person_asks(void **state)
{
    const struct hf_rollout_intent step = {.stage = 0, .state = HF_ROLLOUT_OPEN, .reason = "now"};
    (void)state;
    publish(2);
    newest()->description.plan->not_before_s = t.w->tx.now_s + 5;
    look();
    struct hf_rollout_row row = row_of(newest());
    CHECK_OK(hf_rollout_intent_put(&t.w->tx, &row, &step, true, &t.w->why));
    assert_non_null(strstr(fleet_log(t.w, 0), "\"rollout.asked\""));
    t.w->tx.now_s += 10;
    look();
    assert_int_equal(t.n_asked, 0);
    FLEET_REFUSED(t.w, hf_rollout_intent_put(&t.w->tx, &row, &step, true, &t.w->why), HF_E_STATE,
                  "another step");
    const struct hf_rollout_intent stop = hf_rollout_step_stop(newest(), HF_ROLLOUT_PAUSED);
    CHECK_OK(hf_rollout_intent_put(&t.w->tx, &row, &stop, true, &t.w->why));
    assert_int_equal(row.intent.state, HF_ROLLOUT_PAUSED);
}

/* The operator's step got no answer, and may be signed later. */
static void a_pause_does_not_wait_for_the_outcome_of_another_step(void **state)
{
    (void)state;
    open_first();
    struct hf_rollout_row row = row_of(newest());
    const struct hf_rollout_intent step = hf_rollout_step_next(newest());
    CHECK_OK(hf_rollout_intent_put(&t.w->tx, &row, &step, true, &t.w->why));
    for (int64_t device = 1; device <= 4; device++)
        reports(device, "confirmed", 2);
    t.w->tx.now_s += HF_ROLLOUT_INTENT_S - 1;
    look();
    assert_int_equal(t.n_asked, 1);
    reports(5, "refused", 2);
    reports(4, "refused", 2);
    look();
    assert_int_equal(t.n_asked, 2);
    assert_asked(1, 0, "paused");
    assert_true(t.had_intent);
    assert_false(row_of(newest()).has_intent);
}

/* It was signed all the same: the pause follows it. */
static void a_pause_follows_a_step_whose_answer_was_lost(void **state)
{
    (void)state;
    open_first();
    for (int64_t device = 1; device <= 5; device++)
        reports(device, "confirmed", 2);
    t.w->tx.now_s += 3600;
    t.answers = HF_E_NETWORK;
    look();
    assert_asked(1, 1, "open");
    t.answers = HF_OK;
    for (int64_t device = 6; device <= 8; device++)
        reports(device, "rolled-back", 2);
    look();
    assert_asked(2, 1, "paused");
}

/* The signer has refused to open the next stage again and again. */
static void a_pause_does_not_wait_for_the_next_try_of_a_step(void **state)
{
    (void)state;
    open_first();
    for (int64_t device = 1; device <= 5; device++)
        reports(device, "confirmed", 2);
    t.w->tx.now_s += 3600;
    t.answers = HF_E_POLICY;
    t.signs = false;
    for (int i = 0; i < 10; i++) {
        look();
        t.w->tx.now_s += HF_ROLLOUT_RETRY_MAX_S;
    }
    const int n_asked = t.n_asked;
    look();
    look();
    assert_int_equal(t.n_asked, n_asked + 1);
    t.answers = HF_OK;
    reports(1, "rolled-back", 2);
    reports(2, "rolled-back", 2);
    look();
    assert_int_equal(t.n_asked, n_asked + 2);
    assert_asked(1, 0, "paused");
}

static void look_refused(void)
{
    bool has_more;
    CHECK_REFUSED(hf_rollout_steering_look(t.steering, t.published, t.w->tx.now_s, &has_more,
                                           &t.w->why),
                  HF_E_STORAGE, &t.w->why, "disk is full");
}

static void a_database_that_is_full_opens_nothing(void **state)
{
    (void)state;
    open_first();
    for (int64_t device = 1; device <= 5; device++)
        reports(device, "confirmed", 2);
    t.write_fails = HF_E_STORAGE;
    for (int i = 0; i < 3; i++) {
        t.w->tx.now_s += 3600;
        look_refused();
        assert_int_equal(t.n_asked, 1);
        assert_int_equal(view().tallies[0].confirmed, 5);
    }
    t.write_fails = HF_OK;
    look();
    assert_asked(1, 1, "open");
}

static void a_database_that_is_full_stops_no_pause(void **state)
{
    (void)state;
    open_first();
    reports(1, "refused", 2);
    t.write_fails = HF_E_STORAGE;
    t.had_intent = false;
    look_refused();
    assert_asked(1, 0, "paused");
    assert_false(t.had_intent);
    assert_non_null(
        strstr(json_string_value(json_object_get(t.asked, "reason")), "1 of 1 devices"));
    for (int i = 0; i < 3; i++) /* the repository shows it, the database does not */
        look_refused();
    assert_int_equal(t.n_asked, 2);
    assert_string_equal(view().wait, "paused");
    t.write_fails = HF_OK;
    look();
    look();
    assert_int_equal(t.n_asked, 2);
    const char *entry = strstr(fleet_log(t.w, 0), "\"rollout.step\"");
    assert_non_null(entry);
    assert_non_null(strstr(fleet_log(t.w, 0), "\"had_intent\":false"));
    assert_non_null(strstr(fleet_log(t.w, 0), "\"state\":\"paused\""));
    assert_int_equal(row_of(newest()).now.state, HF_ROLLOUT_PAUSED);
}

/* The first one was stepped at the desk meanwhile, and the database does not take it. */
static void a_database_that_is_full_stops_no_pause_of_another_rollout(void **state)
{
    (void)state;
    publish_many(1, "amazon", HF_ROLLOUT_PAUSED);
    struct hf_published_bundle *iot = &t.published->bundles[1], *amazon = &t.published->bundles[0];
    iot->rollout.is_signed = true;
    iot->rollout.role_version = 1;
    iot->rollout.now = (struct hf_rollout_activation){.since_s = t.w->tx.now_s};
    look();
    assert_int_equal(t.n_asked, 0);
    reports(1, "refused", 2);
    amazon->rollout.role_version++;
    t.signs = false;
    t.write_fails = HF_E_STORAGE;
    look_refused();
    assert_int_equal(t.n_asked, 1);
    assert_asked(1, 0, "paused");
    assert_string_equal(json_string_value(json_object_get(t.asked, "path")), "iot/full/2.pem");
}

/* A bundle that it has no row of cannot be steered, and keeps no other one from that. */
static void a_database_that_is_full_takes_no_new_bundle(void **state)
{
    struct hf_rollout_row row;
    (void)state;
    publish(2);
    t.write_fails = HF_E_STORAGE;
    look_refused();
    assert_int_equal(t.n_asked, 0);
    assert_int_equal(hf_rollout_row_find(t.w->tx.db, newest(), &row, &t.w->why), HF_E_NOT_FOUND);
    t.write_fails = HF_OK;
    look();
    assert_asked(0, 0, "open");
}

static void an_old_copy_of_the_database_only_stops_a_rollout(void **state)
{
    (void)state;
    t.is_behind = true;
    publish(2);
    look();
    assert_int_equal(t.n_asked, 0);
    assert_string_equal(view().wait, "log-behind");
    t.is_behind = false;
    look();
    assert_int_equal(t.n_asked, 1);
    look();
    t.is_behind = true;
    reports(1, "refused", 2);
    look();
    assert_asked(1, 0, "paused");
}

/* ---- devices --------------------------------------------------------------------------------- */

static void nothing_opens_before_all_devices_are_counted(void **state)
{
    bool has_more;
    (void)state;
    publish(2);
    t.signs = false;
    for (int i = 0; i < 3; i++) {
        CHECK_OK(
            hf_rollout_steering_look(t.steering, t.published, t.w->tx.now_s, &has_more, &t.w->why));
        if (has_more)
            assert_int_equal(t.n_asked, 0);
    }
    assert_int_equal(t.n_asked, 1);
}

/* The failures stand behind more changes than are read at once. */
static void no_stage_opens_while_failures_wait_in_the_queue(void **state)
{
    bool has_more;
    (void)state;
    open_first();
    for (int64_t device = 1; device <= 3; device++)
        reports(device, "confirmed", 2);
    for (int64_t i = 0; i < 2 * (int64_t)HF_ROLLOUT_CHANGES_AT_ONCE; i++) {
        CHECK_OK(hf_effects_add_device(&t.w->effects, 6 + i % 2, &t.w->why));
        if (i % 500 == 0)
            tell_changes();
    }
    for (int64_t device = 4; device <= 5; device++)
        reports(device, "refused", 2);
    t.w->tx.now_s += 3600;
    CHECK_OK(
        hf_rollout_steering_look(t.steering, t.published, t.w->tx.now_s, &has_more, &t.w->why));
    assert_asked(1, 0, "paused");
}

static void doubled(const char *form, int i)
{
    char text[200];
    (void)snprintf(text, sizeof text, form, DEVICES << i, 'a' + i);
    CHECK_OK(hf_db_execute_text(t.w->tx.db, text, &t.w->why));
}

/* 20,480 devices: each of the ten, eleven times doubled. */
static void add_devices(void)
{
    for (int i = 0; i < 11; i++) {
        doubled("CREATE TEMP TABLE more AS SELECT * FROM device", i);
        doubled("UPDATE more SET id = id + %d, name = name || '%c', group_name = ''", i);
        doubled("INSERT INTO device SELECT * FROM more", i);
        doubled("DROP TABLE more", i);
        doubled("CREATE TEMP TABLE more AS SELECT * FROM device_state", i);
        doubled("UPDATE more SET device_id = device_id + %d", i);
        doubled("INSERT INTO device_state SELECT * FROM more", i);
        doubled("DROP TABLE more", i);
    }
}

/* Changes are lost in each look, sooner than all devices can be read. */
static void a_storm_of_reports_does_not_keep_a_rollout_from_being_paused(void **state)
{
    bool has_more;
    (void)state;
    open_first();
    add_devices();
    reports(1, "refused", 2);
    reports(2, "refused", 2);
    start(); /* nothing is counted yet */
    for (int i = 0; i < 5 && t.n_asked == 1; i++) {
        for (unsigned k = 0; k <= HF_FLEET_CHANGES_MAX; k++) {
            CHECK_OK(hf_effects_add_device(&t.w->effects, 6 + k % 2, &t.w->why));
            if (k % 1000 == 0 || k == HF_FLEET_CHANGES_MAX)
                tell_changes();
        }
        CHECK_OK(
            hf_rollout_steering_look(t.steering, t.published, t.w->tx.now_s, &has_more, &t.w->why));
        assert_true(has_more);
    }
    assert_asked(1, 0, "paused");
}

static void lost_changes_are_found_by_reading_all(void **state)
{
    (void)state;
    open_first();
    for (int64_t id = 1; id <= (int64_t)HF_FLEET_CHANGES_MAX + 1; id++) {
        CHECK_OK(hf_effects_add_device(&t.w->effects, id % 2 + 1, &t.w->why));
        if (id % 1000 == 0 || id > (int64_t)HF_FLEET_CHANGES_MAX)
            tell_changes();
    }
    reports(1, "refused", 2); /* no longer in the queue */
    look();
    look();
    assert_asked(1, 0, "paused");
}

static void a_device_that_is_excluded_does_not_count(void **state)
{
    struct hf_rollout_excluded device = {.account_id = t.account,
                                         .device_id = 1,
                                         .device = "pump-1",
                                         .reason = "broken"};
    (void)state;
    open_first();
    struct hf_rollout_row row = row_of(newest());
    CHECK_OK(hf_rollout_exclude(&t.w->tx, &row, &device, &t.w->why));
    FLEET_REFUSED(t.w, hf_rollout_exclude(&t.w->tx, &row, &device, &t.w->why), HF_E_STATE,
                  "excluded already");
    reports(1, "refused", 2);
    look();
    assert_int_equal(t.n_asked, 1);
    assert_int_equal(view().tallies[0].devices, 4);
    FLEET_REFUSED(t.w, hf_rollout_include(&t.w->tx, &row, 99, &t.w->why), HF_E_NOT_FOUND,
                  "no device of that number");
    CHECK_OK(hf_rollout_include(&t.w->tx, &row, 1, &t.w->why));
    look();
    assert_asked(1, 0, "paused");
}

static void devices_that_are_shut_out_or_deleted_do_not_count(void **state)
{
    struct hf_credential out;
    (void)state;
    open_first();
    reports(1, "refused", 2);
    CHECK_OK(hf_credential_set_status(&t.w->tx, t.account, 1, 0, HF_CERT_REVOKED, "stolen", &out,
                                      &t.w->why));
    CHECK_OK(hf_credential_set_status(&t.w->tx, t.account, 2, 0, HF_CERT_REVOKED, "scrapped", &out,
                                      &t.w->why));
    CHECK_OK(hf_device_delete(&t.w->tx, t.account, 2, 0, &t.w->why));
    tell_changes();
    look();
    assert_int_equal(view().tallies[0].devices, 3);
    assert_int_equal(t.n_asked, 1);
}

/* ---- approvals ------------------------------------------------------------------------------- */

static void approve(const struct hf_rollout_row *row, int64_t since_s, const char *who)
{
    struct hf_rollout_approval_row approval = {.since_s = since_s, .stage = 1, .reason = "good"};
    (void)snprintf(approval.approver, sizeof approval.approver, "%s", who);
    CHECK_OK(hf_rollout_approval_add(&t.w->tx, row, &approval, &t.w->why));
}

static void the_next_stage_waits_for_different_people(void **state)
{
    (void)state;
    open_first();
    newest()->description.plan->approval = HF_ROLLOUT_API;
    newest()->description.plan->approvals = 2;
    for (int64_t device = 1; device <= 5; device++)
        reports(device, "confirmed", 2);
    t.w->tx.now_s += 3600;
    const struct hf_rollout_row row = row_of(newest());
    const int64_t since_s = newest()->rollout.now.since_s;
    approve(&row, since_s, "token:ann");
    approve(&row, since_s, "token:ann");
    newest()->rollout.role_version++; /* by another bundle of the set */
    look();
    assert_int_equal(t.n_asked, 1);
    assert_string_equal(view().wait, "approval");
    assert_non_null(strstr(view().text, "1 of 2 approvals"));
    approve(&row, since_s, "token:bob");
    look();
    assert_asked(2, 1, "open");
}

static void signatures_are_handed_to_the_signer(void **state)
{
    uint8_t public_key[crypto_sign_PUBLICKEYBYTES], secret_key[crypto_sign_SECRETKEYBYTES];
    struct hf_rollout_approval_row approval = {.stage = 1,
                                               .is_signed = true,
                                               .approver = "QUJD",
                                               .reason = "good"};
    (void)state;
    open_first();
    (void)crypto_sign_keypair(public_key, secret_key);
    newest()->description.plan->approval = HF_ROLLOUT_SIGNED;
    newest()->description.plan->approvals = 1;
    for (int64_t device = 1; device <= 5; device++)
        reports(device, "confirmed", 2);
    t.w->tx.now_s += 3600;
    const struct hf_rollout_row row = row_of(newest());
    const int64_t since_s = newest()->rollout.now.since_s;
    approval.since_s = since_s;
    approve(&row, since_s, "token:ann"); /* of the API: none that is signed */
    look();
    assert_int_equal(t.n_asked, 1);
    CHECK_OK(hf_rollout_approval_add(&t.w->tx, &row, &approval, &t.w->why));
    look();
    assert_asked(1, 1, "open");
    const json_t *given = json_array_get(json_object_get(t.asked, "approvals"), 0);
    assert_string_equal(json_string_value(json_object_get(given, "approver")), "QUJD");
    assert_int_equal(json_array_size(json_object_get(t.asked, "approvals")), 1);
}

static void approvals_of_one_step_are_bounded(void **state)
{
    struct hf_rollout_approval_row more = {.since_s = 1, .stage = 1, .approver = "more"};
    char who[16];
    (void)state;
    open_first();
    const struct hf_rollout_row row = row_of(newest());
    for (unsigned i = 0; i < HF_ROLLOUT_APPROVALS_MAX; i++) {
        (void)snprintf(who, sizeof who, "token:%u", i);
        approve(&row, 1, who);
    }
    FLEET_REFUSED(t.w, hf_rollout_approval_add(&t.w->tx, &row, &more, &t.w->why), HF_E_LIMIT,
                  "the most that are kept");
    approve(&row, 2, "token:next"); /* those of the step before are forgotten */
}

#define STEERED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STEERED(a_rollout_goes_through_its_stages),
        STEERED(failures_pause_it_with_the_sentence_of_most),
        STEERED(a_device_cannot_speak_for_the_service_in_the_reason),
        STEERED(silence_pauses_it),
        STEERED(a_higher_version_aborts_it),
        STEERED(rollouts_that_are_over_keep_none_from_being_steered),
        STEERED(a_rollout_that_is_not_steered_says_so),
        STEERED(without_an_answer_the_repository_says_what_became_of_it),
        STEERED(a_step_that_was_not_signed_is_decided_again),
        STEERED(a_new_process_settles_what_was_left_at_once),
        STEERED(another_step_is_waited_for),
        STEERED(a_refusal_is_tried_again_ever_later_and_logged_once),
        STEERED(nothing_is_asked_while_a_person_asks),
        STEERED(a_pause_does_not_wait_for_the_outcome_of_another_step),
        STEERED(a_pause_follows_a_step_whose_answer_was_lost),
        STEERED(a_pause_does_not_wait_for_the_next_try_of_a_step),
        STEERED(a_database_that_is_full_opens_nothing),
        STEERED(a_database_that_is_full_stops_no_pause),
        STEERED(a_database_that_is_full_stops_no_pause_of_another_rollout),
        STEERED(a_database_that_is_full_takes_no_new_bundle),
        STEERED(an_old_copy_of_the_database_only_stops_a_rollout),
        STEERED(nothing_opens_before_all_devices_are_counted),
        STEERED(no_stage_opens_while_failures_wait_in_the_queue),
        STEERED(a_storm_of_reports_does_not_keep_a_rollout_from_being_paused),
        STEERED(lost_changes_are_found_by_reading_all),
        STEERED(a_device_that_is_excluded_does_not_count),
        STEERED(devices_that_are_shut_out_or_deleted_do_not_count),
        STEERED(the_next_stage_waits_for_different_people),
        STEERED(signatures_are_handed_to_the_signer),
        STEERED(approvals_of_one_step_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
