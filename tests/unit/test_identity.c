/* Enrolment and rotation against a service that misbehaves: what is in use, what is kept, what is
 * removed. */
#include "client/port/identity/identity.h"

#include "client/port/identity/request.h"
#include "client/port/identity/slots.h"
#include "common/base/timetext.h"
#include "tests/support/check.h"
#include "tests/support/fake_service.h"
#include "tests/support/fake_store.h"
#include "tests/support/temp_dir.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NOW INT64_C(1800000000) /* certificates of tests last from 2020 to 2040 */

static struct world {
    struct fake_service service;
    struct fake_store store;
    struct hf_identity id;
    struct hf_credential made;
    struct hf_why why;
    unsigned n_lines; /* in the journal */
} world;

static void journal(void *ctx, enum hf_level level, const char *kind, const char *text)
{
    (void)ctx, (void)level, (void)kind, (void)text;
    world.n_lines++;
}

static enum hf_err save(void *ctx, const struct hf_rotation *rotation, struct hf_why *why)
{
    (void)ctx;
    return hf_rotation_save(&world.id.store, rotation, why);
}

static enum hf_err enroll_with(struct hf_enrolment enrolment)
{
    return hf_identity_enroll(&world.id, &enrolment, &world.made, &world.why);
}

static enum hf_err enroll(void)
{
    return enroll_with((struct hf_enrolment){.token = FAKE_TOKEN});
}

static enum hf_err rotate(void)
{
    return hf_identity_rotate(&world.id, &world.made, &world.why);
}

static const struct hf_service_news QUIET, ASKS = {.asks_for_rotation = true},
                                           REFUSES = {.may_have_refused = true};

static void maintain(struct hf_service_news news)
{
    hf_identity_maintain(&world.id, &news);
}

static struct hf_slots slots(void)
{
    struct hf_slots out;

    CHECK_OK(hf_slots_read(world.id.state_dir, &out, NULL));
    return out;
}

static struct hf_identity_status status(void)
{
    struct hf_identity_status out;

    hf_identity_get_status(&world.id, &out);
    return out;
}

static void break_at(const char *path, int with)
{
    world.service.fails_path = path;
    world.service.fails_with = with;
}

static void a_certificate_that_the_service_refuses_is_removed(void **state)
{
    (void)state;
    CHECK_OK(enroll());
    world.service.refuses_from = 1;
    CHECK_REFUSED(rotate(), HF_E_POLICY, &world.why, "cannot be used and is removed");
    assert_int_equal(slots().current, 1);
    assert_int_equal(slots().candidate, 0);
    world.service.refuses_from = 0;
    CHECK_OK(rotate());
    assert_true(slots().current > 1);
}

static void an_alert_alone_removes_nothing(void **state)
{
    (void)state;
    CHECK_OK(enroll());
    break_at("/v1/whoami", -1); /* for the old one too */
    CHECK_REFUSED(rotate(), HF_E_TLS, &world.why, "cannot be used yet");
    assert_int_equal(slots().candidate, 2);
    size_t n_known = world.service.n_known;
    break_at(NULL, 0);
    CHECK_OK(rotate());
    assert_int_equal(slots().current, 2);
    assert_int_equal(world.service.n_known, n_known); /* no other one was asked for */
}

/* Such an alert can be forged, and the certificate may be the only one that is accepted
 * tomorrow. */
static void an_alert_while_the_old_certificate_is_accepted_removes_nothing(void **state)
{
    (void)state;
    CHECK_OK(enroll());
    break_at("/v1/whoami", -1);
    world.service.fails_times = 1;
    CHECK_REFUSED(rotate(), HF_E_TLS, &world.why, "cannot be used yet");
    assert_int_equal(slots().candidate, 2);
    world.service.known[0].is_active = false;
    CHECK_OK(rotate());
    assert_int_equal(slots().current, 2);
}

static void broken_connections_while_the_old_certificate_is_accepted_remove_nothing(void **state)
{
    (void)state;
    CHECK_OK(enroll());
    for (int i = 1; i < HF_CANDIDATE_TRIES_MAX; i++) {
        break_at("/v1/whoami", 0);
        world.service.fails_times = 1;
        CHECK_REFUSED(rotate(), HF_E_NETWORK, &world.why, "cannot be used yet");
        assert_int_equal(slots().candidate, 2);
    }
    CHECK_OK(rotate());
    assert_int_equal(slots().current, 2);
}

/* The second certificate was issued and can never connect. */
static void begin_a_rotation_that_cannot_end(void)
{
    CHECK_OK(enroll());
    break_at("/v1/whoami", 0);
    CHECK_REFUSED(rotate(), HF_E_NETWORK, &world.why, "cannot be used yet");
    break_at(NULL, 0);
    world.service.known[1].is_active = false;
    world.service.refuses_by_alert = true;
}

static void a_certificate_that_can_never_connect_is_replaced_after_some_tries(void **state)
{
    begin_a_rotation_that_cannot_end();
    for (int i = 1; i < HF_CANDIDATE_TRIES_MAX; i++) {
        CHECK_REFUSED(rotate(), HF_E_TLS, &world.why, "cannot be used yet");
        assert_int_equal(slots().candidate, 2);
        assert_int_equal(world.service.n_known, 2);
    }
    CHECK_OK(rotate());
    assert_int_equal(slots().current, 3);
    assert_int_equal(world.service.n_known, 3);
    assert_false(temp_exists(temp_path(*state, "identity/2")));
}

static void its_place_is_taken_only_by_one_that_is_stored(void **state)
{
    (void)state;
    begin_a_rotation_that_cannot_end();
    for (int i = 1; i < HF_CANDIDATE_TRIES_MAX; i++)
        CHECK_REFUSED(rotate(), HF_E_TLS, &world.why, "cannot be used yet");
    break_at("/v1/rotate", 503);
    for (int i = 0; i < 3; i++) {
        CHECK_REFUSED(rotate(), HF_E_NETWORK, &world.why, "HTTP 503");
        assert_int_equal(slots().candidate, 2);
    }
    world.service.known[1].is_active = true; /* it was to be patient after all */
    CHECK_OK(rotate());
    assert_int_equal(slots().current, 2);
    assert_int_equal(slots().draft, 0);
}

/* A restored database may not know the newest certificate. */
static void the_one_before_a_refused_certificate_gets_a_new_one(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        world.service.refuses_by_alert = i == 1;
        unsigned first = slots().current;
        CHECK_OK(first == 0 ? enroll() : rotate());
        CHECK_OK(rotate());
        unsigned current = slots().current;
        world.service.known[world.service.n_known - 1].is_active = false;
        maintain(REFUSES);
        assert_true(slots().current > current);
        assert_string_equal(status().last_error, "");
        assert_true(fake_service_accepts(&world.service, status().credential.sha256));
    }
}

static void a_rotation_over_a_refused_certificate_goes_over_the_one_before(void **state)
{
    (void)state;
    CHECK_OK(enroll());
    CHECK_OK(rotate());
    world.service.known[1].is_active = false;
    CHECK_OK(rotate());
    assert_int_equal(slots().current, 3);
}

static void one_that_is_revoked_comes_back_into_no_use(void **state)
{
    (void)state;
    CHECK_OK(enroll());
    CHECK_OK(rotate());
    world.service.known[0].is_active = world.service.known[1].is_active = false;
    maintain(REFUSES);
    assert_int_equal(slots().current, 2);
    assert_int_equal(world.service.n_known, 2);
    assert_int_equal(status().n_failures, 1);
    assert_non_null(strstr(status().last_error, "does not accept the certificate of this device"));
    unsigned n_calls = world.service.n_calls;
    maintain(REFUSES);
    assert_int_equal(world.service.n_calls, n_calls); /* it waits */
    world.service.known[1].is_active = true;
    world.id.now_s += HF_ROTATION_RETRY_MAX_S;
    maintain(REFUSES);
    assert_int_equal(slots().current, 2);
    assert_string_equal(status().last_error, "");
}

/* Anyone on the network can cause an alert. */
static void what_looks_like_a_refusal_makes_no_device_rotate(void **state)
{
    (void)state;
    CHECK_OK(enroll());
    CHECK_OK(rotate());
    maintain(REFUSES);
    break_at("/v1/whoami", 0);
    maintain(REFUSES);
    assert_int_equal(slots().current, 2);
    assert_int_equal(world.service.n_known, 2);
    assert_int_equal(status().n_failures, 0);
}

static void the_service_of_an_earlier_enrolment_gets_no_device_back(void **state)
{
    const struct hf_enrolment elsewhere = {.token = FAKE_TOKEN,
                                           .url = "https://identity.test",
                                           .is_again = true};

    (void)state;
    CHECK_OK(enroll());
    world.service.token_key[0] = '\0';
    CHECK_OK(enroll_with(elsewhere));
    world.service.known[1].is_active = false;
    maintain(REFUSES);
    assert_int_equal(slots().current, 2);
    assert_int_equal(world.service.n_known, 2);
    assert_non_null(strstr(status().last_error, "does not accept"));
}

static void a_mirror_is_not_asked_where_the_service_is_not_known(void **state)
{
    (void)state;
    CHECK_OK(enroll());
    assert_int_equal(unlink(temp_path(*state, "identity/1/service")), 0);
    unsigned n_calls = world.service.n_calls;
    CHECK_REFUSED(rotate(), HF_E_NOT_FOUND, &world.why, "is not known");
    assert_int_equal(world.service.n_calls, n_calls);
    assert_string_equal(status().url, "");
}

static void a_damaged_current_pair_is_replaced_over_the_one_before(void **state)
{
    CHECK_OK(enroll());
    CHECK_OK(rotate());
    temp_write(temp_path(*state, "identity/2/key.pem"), "rotten");
    assert_true(status().is_unusable);
    maintain(QUIET);
    assert_int_equal(slots().current, 3);
    assert_true(status().is_present);
}

static void a_device_that_is_shut_out_keeps_both_certificates(void **state)
{
    (void)state;
    CHECK_OK(enroll());
    break_at("/v1/whoami", 403); /* for the old one too */
    CHECK_REFUSED(rotate(), HF_E_POLICY, &world.why, "cannot be used yet");
    assert_int_equal(slots().candidate, 2);
    break_at(NULL, 0);
    CHECK_OK(rotate());
    assert_int_equal(slots().current, 2);
}

static void only_a_refusal_by_the_service_itself_removes_a_certificate(void **state)
{
    const struct hf_rotation untried = {.last_try_s = HF_TIME_NONE, .since_s = HF_TIME_NONE};
    static const struct {
        int status;
        bool is_a_stranger;
    } cases[] = {{404, false}, {405, false}, {400, false}, {401, true}, {403, true}, {404, true}};

    (void)state;
    CHECK_OK(enroll());
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_OK(save(NULL, &untried, NULL)); /* or it would be replaced */
        break_at("/v1/whoami", cases[i].status);
        world.service.fails_times = 1;
        world.service.is_a_stranger = cases[i].is_a_stranger;
        CHECK_REFUSED(rotate(), HF_E_POLICY, &world.why, "cannot be used yet");
        assert_int_equal(slots().candidate, 2);
    }
    break_at("/v1/whoami", 401);
    world.service.fails_times = 1;
    world.service.is_a_stranger = false;
    CHECK_REFUSED(rotate(), HF_E_POLICY, &world.why, "cannot be used and is removed");
    assert_int_equal(slots().candidate, 0);
}

/* Its mirrors are at fleet.test, the default. */
static void an_enrolment_elsewhere_is_finished_where_it_began(void **state)
{
    const struct hf_enrolment elsewhere = {.token = FAKE_TOKEN, .url = "https://identity.test"};

    (void)state;
    world.service.host = "identity.test";
    break_at("/v1/whoami", 0);
    CHECK_REFUSED(enroll_with(elsewhere), HF_E_NETWORK, &world.why, "cannot be used yet");
    assert_int_equal(slots().candidate, 1);
    break_at(NULL, 0);
    maintain(QUIET);
    assert_int_equal(slots().current, 1);
    assert_string_equal(status().url, "https://identity.test");
    CHECK_OK(rotate());
    assert_int_equal(slots().current, 2);
    assert_string_equal(status().url, "https://identity.test");
}

static void a_key_of_the_port_that_is_away_removes_no_certificate(void **state)
{
    struct fake_element element;

    (void)state;
    fake_element_init(&element, PKI_P256);
    const struct hf_device_key key = fake_element_key(&element);
    world.id.key = &key;
    break_at("/v1/whoami", 0);
    CHECK_REFUSED(enroll(), HF_E_NETWORK, &world.why, "cannot be used yet");
    break_at(NULL, 0);
    element.is_away = true;
    CHECK_REFUSED(enroll(), HF_E_KEY, &world.why, "cannot be used yet");
    element.is_away = false;
    CHECK_OK(enroll());
    assert_int_equal(slots().current, 1);
    fake_element_free(&element);
}

static void connections_that_break_are_tried_again_and_the_candidate_stays(void **state)
{
    (void)state;
    CHECK_OK(enroll());
    break_at("/v1/whoami", 0);
    for (int i = 0; i < 6; i++)
        CHECK_REFUSED(rotate(), HF_E_NETWORK, &world.why, "cannot be used yet");
    assert_int_equal(slots().candidate, 2);
    assert_int_equal(status().n_failures, 6);
    assert_int_equal(world.n_lines, 2); /* enrolled, and the failure once */
    break_at(NULL, 0);
    CHECK_OK(rotate());
    assert_int_equal(slots().current, 2);
    assert_int_equal(status().n_failures, 0);
}

static void an_answer_that_was_lost_is_asked_for_with_the_same_key(void **state)
{
    char key[4096];

    (void)state;
    break_at("/v1/enroll", 0);
    world.service.loses_answer = true;
    CHECK_REFUSED(enroll(), HF_E_NETWORK, &world.why, "closed");
    (void)snprintf(key, sizeof key, "%s",
                   temp_read(temp_path((struct temp_dir *)*state, "identity/1/key.pem")));
    world.service.loses_answer = false;
    break_at(NULL, 0);
    CHECK_OK(enroll());
    assert_string_equal(temp_read(temp_path((struct temp_dir *)*state, "identity/1/key.pem")), key);
    assert_int_equal(slots().current, 1);
}

static void a_damaged_candidate_is_removed(void **state)
{
    (void)state;
    CHECK_OK(enroll());
    break_at("/v1/whoami", 0);
    assert_int_equal(rotate(), HF_E_NETWORK);
    temp_write(temp_path(*state, "identity/2/certificate.pem"), "rotten");
    break_at(NULL, 0);
    CHECK_REFUSED(rotate(), HF_E_FORMAT, &world.why, "cannot be used and is removed");
    assert_int_equal(slots().candidate, 0);
    CHECK_OK(rotate());
    assert_int_equal(slots().current, 2);
}

static void a_damaged_current_pair_does_not_keep_its_successor_from_use(void **state)
{
    (void)state;
    CHECK_OK(enroll());
    break_at("/v1/whoami", 0);
    assert_int_equal(rotate(), HF_E_NETWORK);
    temp_write(temp_path(*state, "identity/1/key.pem"), "rotten");
    break_at(NULL, 0);
    CHECK_OK(rotate());
    assert_int_equal(slots().current, 2);
}

static void a_current_link_that_leads_nowhere_is_repaired_from_a_whole_slot(void **state)
{
    (void)state;
    CHECK_OK(enroll());
    assert_int_equal(unlink(temp_path(*state, "identity/current")), 0);
    assert_int_equal(symlink("7", temp_path(*state, "identity/current")), 0);
    assert_int_equal(slots().current, 0);
    maintain(QUIET);
    assert_int_equal(slots().current, 1);
}

static void it_rotates_when_asked_and_keeps_the_request_until_it_has(void **state)
{
    (void)state;
    CHECK_OK(enroll());
    break_at("/v1/rotate", 503);
    world.service.retry_after_s = 7200;
    maintain(ASKS);
    assert_true(status().is_requested);
    assert_int_equal(slots().current, 1);
    unsigned n_calls = world.service.n_calls;
    maintain(ASKS);
    assert_int_equal(world.service.n_calls, n_calls); /* it waits */
    break_at(NULL, 0);
    world.id.now_s += 8200;
    maintain(QUIET);
    assert_false(status().is_requested);
    assert_int_equal(slots().current, 2);
}

static void a_service_that_is_not_asked_for_anything_is_not_called(void **state)
{
    (void)state;
    maintain(QUIET);
    maintain(ASKS);
    assert_int_equal(world.service.n_calls, 0);
    CHECK_OK(enroll());
    unsigned n_calls = world.service.n_calls;
    maintain(QUIET);
    assert_int_equal(world.service.n_calls, n_calls);
}

static void another_enrolment_leaves_the_first_until_it_is_done(void **state)
{
    struct hf_credential first;

    (void)state;
    CHECK_OK(enroll());
    first = world.made;
    CHECK_REFUSED(enroll(), HF_E_STATE, &world.why, "--again");
    const struct hf_enrolment again = {.token = FAKE_TOKEN, .is_again = true};
    CHECK_REFUSED(enroll_with(again), HF_E_POLICY, &world.why, "used up");
    assert_string_equal(status().credential.sha256, first.sha256);
    assert_int_equal(slots().candidate, 0);
    world.service.token_key[0] = '\0';
    CHECK_OK(enroll_with(again));
    assert_string_not_equal(status().credential.sha256, first.sha256);
}

static void each_address_but_https_is_refused_before_anything_is_made(void **state)
{
    static const char *const urls[] = {"http://fleet.test", "fleet.test", "https://u:p@fleet.test"};

    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        const struct hf_enrolment enrolment = {.token = FAKE_TOKEN, .url = urls[i]};
        assert_int_equal(enroll_with(enrolment), HF_E_ARGUMENT);
        assert_null(strstr(world.why.text, "u:p"));
    }
    world.id.default_url = NULL;
    CHECK_REFUSED(enroll(), HF_E_ARGUMENT, &world.why, "--url");
    assert_false(temp_exists(temp_path(*state, "identity")));
}

static int setup(void **state)
{
    if (temp_dir_setup(state) != 0)
        return -1;
    memset(&world, 0, sizeof world);
    fake_service_init(&world.service);
    world.id = (struct hf_identity){
        .state_dir = ((struct temp_dir *)*state)->path,
        .device_id = "unit-test",
        .default_url = "https://fleet.test/repository",
        .api = fake_service_port(&world.service),
        .store = fake_store_port(&world.store),
        .now_s = NOW,
        .save = save,
        .journal = journal,
    };
    return 0;
}

static int teardown(void **state)
{
    fake_service_free(&world.service);
    fake_store_free(&world.store);
    return temp_dir_teardown(state);
}

#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(a_certificate_that_the_service_refuses_is_removed),
        WITH_WORLD(an_alert_alone_removes_nothing),
        WITH_WORLD(an_alert_while_the_old_certificate_is_accepted_removes_nothing),
        WITH_WORLD(broken_connections_while_the_old_certificate_is_accepted_remove_nothing),
        WITH_WORLD(a_certificate_that_can_never_connect_is_replaced_after_some_tries),
        WITH_WORLD(its_place_is_taken_only_by_one_that_is_stored),
        WITH_WORLD(the_one_before_a_refused_certificate_gets_a_new_one),
        WITH_WORLD(a_rotation_over_a_refused_certificate_goes_over_the_one_before),
        WITH_WORLD(one_that_is_revoked_comes_back_into_no_use),
        WITH_WORLD(what_looks_like_a_refusal_makes_no_device_rotate),
        WITH_WORLD(the_service_of_an_earlier_enrolment_gets_no_device_back),
        WITH_WORLD(a_mirror_is_not_asked_where_the_service_is_not_known),
        WITH_WORLD(a_damaged_current_pair_is_replaced_over_the_one_before),
        WITH_WORLD(a_device_that_is_shut_out_keeps_both_certificates),
        WITH_WORLD(only_a_refusal_by_the_service_itself_removes_a_certificate),
        WITH_WORLD(an_enrolment_elsewhere_is_finished_where_it_began),
        WITH_WORLD(a_key_of_the_port_that_is_away_removes_no_certificate),
        WITH_WORLD(connections_that_break_are_tried_again_and_the_candidate_stays),
        WITH_WORLD(an_answer_that_was_lost_is_asked_for_with_the_same_key),
        WITH_WORLD(a_damaged_candidate_is_removed),
        WITH_WORLD(a_damaged_current_pair_does_not_keep_its_successor_from_use),
        WITH_WORLD(a_current_link_that_leads_nowhere_is_repaired_from_a_whole_slot),
        WITH_WORLD(it_rotates_when_asked_and_keeps_the_request_until_it_has),
        WITH_WORLD(a_service_that_is_not_asked_for_anything_is_not_called),
        WITH_WORLD(another_enrolment_leaves_the_first_until_it_is_done),
        WITH_WORLD(each_address_but_https_is_refused_before_anything_is_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
