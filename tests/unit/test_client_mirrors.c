/* client/core/mirrors: one repository behind several addresses, of which any may lie or be down. */
#include "client/core/client_internal.h"
#include "tests/support/check.h"

#include "tests/support/device.h"

#include <stdio.h>

#define A "http://a.test/repo/"
#define B "http://b.test/"

/* The device of test device.h, with a second mirror. */
static int setup(void **state)
{
    device_setup(state);
    struct device *d = *state;
    device_add_mirror(d, "http://b.test//", NULL);
    snprintf(d->fake.transport.mirrors[1].url, sizeof d->fake.transport.mirrors[1].url, "%s",
             "http://b.test"); /* slashes at the end of a configured address are dropped */
    device_reboot(d);
    return 0;
}

static struct fake_mirror *a(struct device *d)
{
    return &d->fake.transport.mirrors[0];
}

static struct fake_mirror *b(struct device *d)
{
    return &d->fake.transport.mirrors[1];
}

static void test_first_mirror_rotates_from_check_to_check(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    assert_int_equal(fake_transport_count(&d->fake.transport, B), 0);
    CHECK_OK(device_update(d));
    assert_int_equal(fake_transport_count(&d->fake.transport, A), 0);
    device_reboot(d);
    CHECK_OK(device_update(d));
    assert_int_equal(fake_transport_count(&d->fake.transport, B), 0);
    device_reboot(d);
    CHECK_OK(device_update(d));
    assert_int_equal(fake_transport_count(&d->fake.transport, A), 0);
}

static void test_mirror_that_answered_well_is_asked_on(void **state)
{
    struct device *d = *state;
    fake_mirror_answer(a(d), "*", 0, NULL);
    CHECK_OK(device_update(d));
    assert_int_equal(fake_transport_count(&d->fake.transport, A), 1);
    assert_int_equal(fake_transport_count(&d->fake.transport, B), 5);
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), 1);
}

static void test_mirror_gone_in_the_middle_of_a_check(void **state)
{
    struct device *d = *state;
    fake_mirror_answer(a(d), "metadata/2.targets.json", 500, NULL);
    CHECK_OK(device_update(d));
    assert_int_equal(fake_transport_count(&d->fake.transport, A), 4);
    assert_int_equal(fake_transport_count(&d->fake.transport, B), 2); /* targets and the bundle */
}

static void test_captive_portal_on_one_way(void **state)
{
    struct device *d = *state;
    fake_mirror_answer(a(d), "*", 200, "<html>please log in</html>");
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 1);
}

static void test_forged_metadata_sends_to_the_next_mirror(void **state)
{
    struct device *d = *state;
    static const char *const paths[] = {"metadata/timestamp.json", "metadata/3.snapshot.json",
                                        "metadata/3.targets.json"};
    struct device forger = {0};

    tuf_repo_init(&forger.repo, DEVICE_NOW_S);
    tuf_repo_publish(&forger.repo);
    tuf_repo_publish_next(&forger.repo);
    tuf_repo_publish_next(&forger.repo);
    device_publish(d, 2);
    for (size_t i = 0; i < 3; i++)
        fake_mirror_answer_bytes(a(d), paths[i], 200, tuf_files_find(&forger.repo.files, paths[i]));
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 2);
    assert_true(fake_log_has(&d->fake, A "metadata/timestamp.json"));
    tuf_repo_free(&forger.repo);
}

static void test_stale_mirror_is_left_for_a_fresh_one(void **state)
{
    struct device *d = *state;
    struct tuf_files old = {0};
    tuf_files_copy(&old, &d->repo.files);
    device_publish(d, 2);
    CHECK_OK(device_update(d));
    CHECK_OK(device_update(d)); /* so that the next check begins with the first mirror */

    a(d)->files = &old;
    device_publish(d, 3);
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 3);
    tuf_files_free(&old);
}

static void test_frozen_mirror_is_left_when_its_timestamp_expires(void **state)
{
    struct device *d = *state;
    struct tuf_files frozen = {0};
    d->repo.roles[HF_ROLE_TIMESTAMP].expires_s = DEVICE_NOW_S + 100;
    tuf_repo_publish_next(&d->repo);
    tuf_files_copy(&frozen, &d->repo.files);
    CHECK_OK(device_update(d));
    CHECK_OK(device_update(d));

    a(d)->files = &frozen;
    d->fake.now_s += 100;
    d->repo.roles[HF_ROLE_TIMESTAMP].expires_s = DEVICE_NOW_S + 1000;
    device_publish(d, 2);
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 2);
    tuf_files_free(&frozen);
}

static void test_bundle_damaged_at_one_mirror(void **state)
{
    struct device *d = *state;
    char path[HF_TARGET_PATH_MAX + 160];
    tuf_repo_content_path(&d->repo, &d->repo.targets.items[0], path, sizeof path);
    struct hf_buf damaged = {0};
    CHECK_OK(hf_buf_append(&damaged, d->repo.targets.items[0].content.data,
                           d->repo.targets.items[0].content.len));
    damaged.data[60] ^= 1;
    fake_mirror_answer_bytes(a(d), path, 200, hf_buf_bytes(&damaged));
    hf_buf_free(&damaged);
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 1);
    assert_int_equal(fake_transport_count(&d->fake.transport, path), 2);
}

static void test_missing_file_is_looked_for_at_the_next_mirror(void **state)
{
    struct device *d = *state;
    struct tuf_files nothing = {0};
    a(d)->files = &nothing;
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 1);
}

static void test_most_telling_refusal_is_reported_with_its_address(void **state)
{
    struct device *d = *state;
    struct tuf_repo forger;
    tuf_repo_init(&forger, DEVICE_NOW_S);
    tuf_repo_publish(&forger);
    fake_mirror_answer_bytes(a(d), "metadata/timestamp.json", 200,
                             tuf_files_find(&forger.files, "metadata/timestamp.json"));
    fake_mirror_answer(b(d), "metadata/timestamp.json", 0, NULL);
    device_remember(d);
    CHECK_REFUSED(device_update(d), HF_E_SIGNATURE, &d->why, A "metadata/timestamp.json: ");
    device_check_unchanged_from(d, "root");
    CHECK_REFUSED(device_update(d), HF_E_SIGNATURE, &d->why, A "metadata/timestamp.json: ");
    tuf_repo_free(&forger);
}

static void test_all_down_reports_the_last(void **state)
{
    struct device *d = *state;
    fake_mirror_answer(a(d), "*", 0, NULL);
    fake_mirror_answer(b(d), "*", 0, NULL);
    device_remember(d);
    CHECK_REFUSED(device_update(d), HF_E_NETWORK, &d->why, B "metadata/2.root.json: ");
    device_check_unchanged_from(d, "root");
    assert_int_equal(d->fake.transport.n_requests, 2);
}

static void test_fault_of_the_device_is_not_retried_elsewhere(void **state)
{
    struct device *d = *state;
    d->fake.store.refuse_writes = HF_E_STORAGE;
    CHECK_REFUSED(device_update(d), HF_E_STORAGE, &d->why, "refuses to write");
    assert_int_equal(fake_transport_count(&d->fake.transport, B), 0);
}

/* ---- stale, but genuine ---------------------------------------------------------------------- */

/* From now on A serves what the repository is now, whatever is published. */
static void freeze_a(struct device *d, struct tuf_files *frozen)
{
    tuf_files_copy(frozen, &d->repo.files);
    a(d)->files = frozen;
}

static void live_for(struct device *d, int64_t days)
{
    d->repo.roles[HF_ROLE_TIMESTAMP].expires_s = d->fake.now_s + days * HF_DAY_S;
}

static void begin_with_a(struct device *d)
{
    fake_store_put_value(&d->fake.store, "mirror.next", "0");
    device_reboot(d);
}

static void test_timestamp_past_half_its_life_is_compared_with_another(void **state)
{
    struct device *d = *state;
    struct tuf_files frozen = {0};
    live_for(d, 7);
    tuf_repo_publish_next(&d->repo);
    CHECK_OK(device_update(d));
    freeze_a(d, &frozen);

    d->fake.now_s += 3 * HF_DAY_S;
    live_for(d, 7);
    device_publish(d, 2);
    begin_with_a(d);
    CHECK_OK(device_update(d)); /* young enough: A is believed, until the next check asks B */
    assert_false(d->result.is_changed);
    assert_int_equal(fake_transport_count(&d->fake.transport, B), 0);

    d->fake.now_s += HF_DAY_S;
    begin_with_a(d);
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 2);
    assert_int_equal(fake_transport_count(&d->fake.transport, A), 2); /* root and timestamp */
    tuf_files_free(&frozen);
}

static void test_new_timestamp_about_to_end_is_compared_with_another(void **state)
{
    struct device *d = *state;
    struct tuf_files frozen = {0};
    live_for(d, 1);
    device_publish(d, 2);
    freeze_a(d, &frozen);
    live_for(d, 7);
    device_publish(d, 3);
    CHECK_OK(device_update(d));
    assert_int_equal(fake_transport_count(&d->fake.transport, "timestamp"), 2);
    assert_int_equal(d->result.to_version, 3);
    tuf_files_free(&frozen);
}

static void test_stale_everywhere_is_still_good(void **state)
{
    struct device *d = *state;
    live_for(d, 1);
    tuf_repo_publish_next(&d->repo);
    CHECK_OK(device_update(d));
    CHECK_OK(device_update(d));
    assert_int_equal(fake_transport_count(&d->fake.transport, "timestamp"), 2);
    assert_int_equal(fake_store_count_events(&d->fake.store, "mirror"), 0);
}

static void test_several_mirrors_are_asked_without_entity_tags(void **state)
{
    struct device *d = *state;
    live_for(d, 1);
    tuf_repo_publish_next(&d->repo);
    CHECK_OK(device_update(d));
    CHECK_OK(device_update(d));
    assert_int_equal(d->fake.transport.n_not_modified, 0);
    assert_string_equal(fake_store_value(&d->fake.store, "etag.timestamp"), "");
}

static void test_stale_and_the_other_mirror_is_hostile(void **state)
{
    struct device *d = *state;
    live_for(d, 1);
    tuf_repo_publish_next(&d->repo);
    fake_mirror_answer(b(d), "*", 200, "<html>");
    CHECK_OK(device_update(d));
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), 1);
    assert_int_equal(fake_transport_count(&d->fake.transport, B), 1);
}

/* ---- a mirror that keeps a new root back ----------------------------------------------------- */

static void test_withheld_root_that_names_new_keys(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    tuf_repo_rotate(&d->repo, HF_ROLE_TIMESTAMP);
    device_publish(d, 2);
    fake_mirror_answer(a(d), "metadata/2.root.json", 404, NULL);
    fake_mirror_answer(a(d), "metadata/timestamp.json", 503, NULL);
    begin_with_a(d);
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 2);
}

static void test_withheld_root_that_follows_an_expired_one(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    d->repo.roles[HF_ROLE_ROOT].expires_s = DEVICE_NOW_S;
    tuf_repo_rotate(&d->repo, HF_ROLE_ROOT);
    d->repo.roles[HF_ROLE_ROOT].expires_s = DEVICE_NOW_S + HF_DAY_S;
    tuf_repo_rotate(&d->repo, HF_ROLE_ROOT);
    fake_mirror_answer(a(d), "metadata/3.root.json", 410, NULL);
    begin_with_a(d);
    CHECK_OK(device_update(d));
    assert_int_equal(fake_transport_count(&d->fake.transport, "3.root.json"), 3);
}

static void test_no_root_is_withheld_and_the_refusal_stands(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    tuf_keys_make(&d->repo.roles[HF_ROLE_TIMESTAMP].keys, 1, 1); /* an attacker's */
    device_publish(d, 2);
    device_remember(d);
    CHECK_REFUSED(device_update(d), HF_E_SIGNATURE, &d->why, "timestamp.json: timestamp version 3");
    device_check_unchanged_from(d, "root");
    assert_int_equal(fake_transport_count(&d->fake.transport, "root.json"), 3); /* one, then all */
    assert_int_equal(fake_transport_count(&d->fake.transport, "timestamp.json"), 2);
}

/* ---- who did what ---------------------------------------------------------------------------- */

static size_t told(struct device *d)
{
    return fake_store_count_events(&d->fake.store, "mirror");
}

static void test_journal_names_the_mirror_and_its_fault_once(void **state)
{
    struct device *d = *state;
    fake_mirror_answer(a(d), "metadata/timestamp.json", 200, "{}");
    for (int i = 0; i < 3; i++) {
        begin_with_a(d);
        CHECK_OK(device_update(d));
    }
    assert_int_equal(told(d), 1);
    assert_true(fake_log_has(&d->fake, A "metadata/timestamp.json: "));

    fake_mirror_reset(a(d)); /* another fault is news */
    fake_mirror_answer(a(d), "metadata/timestamp.json", 0, NULL);
    begin_with_a(d);
    CHECK_OK(device_update(d));
    assert_int_equal(told(d), 2);
}

static void test_journal_says_when_a_mirror_is_well_again(void **state)
{
    struct device *d = *state;
    fake_mirror_answer(a(d), "*", 0, NULL);
    CHECK_OK(device_update(d));
    assert_int_equal(told(d), 1);
    CHECK_OK(device_update(d)); /* B alone is asked: nothing is known of A */
    assert_int_equal(told(d), 1);
    fake_mirror_reset(a(d));
    CHECK_OK(device_update(d));
    assert_int_equal(told(d), 2);
    assert_true(fake_log_has(&d->fake, "http://a.test/repo answers well again"));
    assert_string_equal(fake_store_value(&d->fake.store, "mirror.faults"), "0 0");
    begin_with_a(d);
    CHECK_OK(device_update(d));
    assert_int_equal(told(d), 2);
    assert_false(fake_store_has_written(&d->fake.store, "value mirror.faults"));
}

static void test_stale_mirror_is_named(void **state)
{
    struct device *d = *state;
    struct tuf_files frozen = {0};
    freeze_a(d, &frozen);
    device_publish(d, 2);
    CHECK_OK(device_update(d)); /* A: version 1 */
    CHECK_OK(device_update(d)); /* B: version 2 */
    CHECK_OK(device_update(d)); /* A is left for B */
    assert_int_equal(d->result.to_version, 2);
    assert_true(fake_log_has(&d->fake, A "metadata/timestamp.json: timestamp version 2 is older"));
    assert_int_equal(told(d), 1);
    tuf_files_free(&frozen);
}

/* ---- time ------------------------------------------------------------------------------------ */

/* A transport that takes its time. */
static struct {
    struct hf_transport_port real;
    int64_t up_ms, each_ms;
} slow;

static int64_t slow_uptime_ms(void *ctx)
{
    (void)ctx;
    return slow.up_ms;
}

static enum hf_err slow_fetch(void *ctx, const struct hf_request *request, struct hf_response *out,
                              struct hf_why *why)
{
    (void)ctx;
    slow.up_ms += slow.each_ms;
    return slow.real.fetch(slow.real.ctx, request, out, why);
}

static void slow_down(struct device *d, int64_t each_ms)
{
    slow.real = fake_transport_port(&d->fake.transport);
    slow.up_ms = 5000000000;
    slow.each_ms = each_ms;
    d->client->ports.transport.fetch = slow_fetch;
    d->client->ports.clock.uptime_ms = slow_uptime_ms;
}

static void test_check_that_drags_on_is_ended_and_gone_on_with(void **state)
{
    struct device *d = *state;
    for (int i = 0; i < 12; i++)
        tuf_repo_rotate(&d->repo, HF_ROLE_ROOT);
    slow_down(d, HF_TIMEOUT_TOTAL_MS);
    device_remember(d);
    CHECK_REFUSED(device_update(d), HF_E_NETWORK, &d->why, "at most 15 minutes");
    assert_int_equal(d->fake.transport.n_requests, 8); /* the last one began in time */
    device_check_kept(d, "root");
    device_check_unchanged_from(d, "timestamp");

    slow.each_ms = 1000;
    CHECK_OK(device_update(d));
    assert_int_equal(fake_transport_count(&d->fake.transport, "root.json"), 12 + 1 - 8);
}

static void test_slow_mirror_leaves_time_for_another(void **state)
{
    struct device *d = *state;
    fake_mirror_answer(a(d), "*", 0, NULL);
    slow_down(d, HF_TIMEOUT_TOTAL_MS);
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, device_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_first_mirror_rotates_from_check_to_check),
        TEST(test_mirror_that_answered_well_is_asked_on),
        TEST(test_mirror_gone_in_the_middle_of_a_check),
        TEST(test_captive_portal_on_one_way),
        TEST(test_forged_metadata_sends_to_the_next_mirror),
        TEST(test_stale_mirror_is_left_for_a_fresh_one),
        TEST(test_frozen_mirror_is_left_when_its_timestamp_expires),
        TEST(test_bundle_damaged_at_one_mirror),
        TEST(test_missing_file_is_looked_for_at_the_next_mirror),
        TEST(test_most_telling_refusal_is_reported_with_its_address),
        TEST(test_all_down_reports_the_last),
        TEST(test_fault_of_the_device_is_not_retried_elsewhere),
        TEST(test_timestamp_past_half_its_life_is_compared_with_another),
        TEST(test_new_timestamp_about_to_end_is_compared_with_another),
        TEST(test_stale_everywhere_is_still_good),
        TEST(test_several_mirrors_are_asked_without_entity_tags),
        TEST(test_stale_and_the_other_mirror_is_hostile),
        TEST(test_withheld_root_that_names_new_keys),
        TEST(test_withheld_root_that_follows_an_expired_one),
        TEST(test_no_root_is_withheld_and_the_refusal_stands),
        TEST(test_journal_names_the_mirror_and_its_fault_once),
        TEST(test_journal_says_when_a_mirror_is_well_again),
        TEST(test_stale_mirror_is_named),
        TEST(test_check_that_drags_on_is_ended_and_gone_on_with),
        TEST(test_slow_mirror_leaves_time_for_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
