/* client/core/status and journal: what a person is told. */
#include "tests/support/check.h"

#include "common/base/limits.h"
#include "common/base/timetext.h"
#include "tests/support/device.h"
#include "tests/support/test_pki.h"

#include <stdio.h>

#define YEAR_S (365 * HF_DAY_S)

static void publish_pem(struct device *d, int64_t version, struct hf_buf *pem)
{
    device_add_bundle(d, version, pem);
    hf_buf_free(pem);
    tuf_repo_publish_next(&d->repo);
}

static void test_same_failure_again_is_one_line_in_the_journal(void **state)
{
    struct device *d = *state;
    struct fake_mirror *mirror = &d->fake.transport.mirrors[0];
    fake_mirror_answer(mirror, "*", 0, NULL);
    CHECK_REFUSED(device_update(d), HF_E_NETWORK, &d->why, "connection refused");
    CHECK_REFUSED(device_update(d), HF_E_NETWORK, &d->why, "connection refused");
    assert_int_equal(fake_store_count_events(&d->fake.store, "failed"), 1);
    fake_mirror_reset(mirror);
    fake_mirror_answer(mirror, "*", 500, NULL);
    CHECK_REFUSED(device_update(d), HF_E_NETWORK, &d->why, "HTTP 500");
    assert_int_equal(fake_store_count_events(&d->fake.store, "failed"), 2);
}

static void test_status_of_a_device_that_never_updated(void **state)
{
    struct device *d = *state;
    struct hf_status s = {0};
    CHECK_OK(hf_client_status(d->client, &s, &d->why));
    assert_false(s.active.is_present);
    assert_false(s.previous.is_present);
    assert_int_equal(s.last_check_s, HF_TIME_NONE);
    assert_string_equal(s.last_outcome, "");
    assert_int_equal(s.root.version, 1);
    assert_int_equal(s.timestamp.version, 0);
    hf_status_free(&s);
}

static void test_status_after_updates(void **state)
{
    struct device *d = *state;
    struct hf_status s = {0};
    struct hf_buf pem = {0};
    CHECK_OK(device_update(d));
    device_make_anchor("Root 2", &pem);
    device_make_dated_anchor("Old", DEVICE_NOW_S - 2 * YEAR_S, DEVICE_NOW_S - YEAR_S, &pem);
    publish_pem(d, 2, &pem);
    CHECK_OK(device_update(d));
    CHECK_OK(hf_client_status(d->client, &s, &d->why));

    assert_int_equal(s.now_s, DEVICE_NOW_S);
    assert_int_equal(s.clock_floor_s, DEVICE_NOW_S - HF_DAY_S);
    assert_int_equal(s.active.version, 2);
    assert_int_equal(s.previous.version, 1);
    assert_int_equal(s.active.n_anchors, 2);
    assert_string_equal(s.active.anchors[0].state, "usable");
    assert_string_equal(s.active.anchors[1].state, "expired");
    assert_string_equal(s.active.anchors[0].sha256, d->fake.trust.sha256[0]);
    assert_non_null(strstr(s.active.anchors[0].subject, "Root 2"));
    assert_int_equal(strlen(s.active.anchors[0].spki_sha256), 64);
    assert_int_equal(s.active.anchors[1].not_after_s, DEVICE_NOW_S - YEAR_S);
    assert_int_equal(s.last_check_s, DEVICE_NOW_S);
    assert_string_equal(s.last_outcome, "ok");
    assert_string_equal(s.last_text, "updated amazon-iot/full 1 -> 2");
    assert_int_equal(s.timestamp.version, 3);
    assert_int_equal(s.targets.version, 3);
    assert_int_equal(s.snapshot.expires_s, d->repo.roles[HF_ROLE_SNAPSHOT].expires_s);
    hf_status_free(&s);
}

static void test_status_remembers_a_failure(void **state)
{
    struct device *d = *state;
    struct hf_status s = {0};
    fake_mirror_answer(&d->fake.transport.mirrors[0], "*", 0, NULL);
    CHECK_REFUSED(device_update(d), HF_E_NETWORK, &d->why, "connection refused");
    device_reboot(d);
    CHECK_OK(hf_client_status(d->client, &s, &d->why));
    assert_string_equal(s.last_outcome, "network");
    assert_string_equal(s.last_text, d->why.text);
    hf_status_free(&s);
}

static void test_export(void **state)
{
    struct device *d = *state;
    struct hf_buf pem = {0};
    CHECK_REFUSED(hf_client_export_pem(d->client, &pem, &d->why), HF_E_NOT_FOUND, &d->why, "slot");
    assert_int_equal(pem.len, 0);
    CHECK_OK(device_update(d));
    CHECK_OK(hf_client_export_pem(d->client, &pem, &d->why));
    assert_non_null(strstr((const char *)pem.data, "Root 1"));
    assert_non_null(strstr((const char *)pem.data, "-----END CERTIFICATE-----"));
    hf_buf_free(&pem);
}

static void test_store_that_only_refuses_to_write(void **state)
{
    struct device *d = *state;
    struct hf_status status = {0};
    struct hf_buf pem = {0};

    CHECK_OK(device_update(d));
    device_publish(d, 2);
    d->fake.store.refuse_writes = HF_E_SCHEMA;
    device_remember(d);
    CHECK_REFUSED(device_update(d), HF_E_SCHEMA, &d->why, "refuses to write");
    device_check_unchanged_from(d, "root");

    device_reboot(d);
    assert_int_equal(d->fake.trust.n_anchors, 1);
    CHECK_OK(hf_client_status(d->client, &status, &d->why));
    assert_int_equal(status.active.version, 1);
    hf_status_free(&status);
    CHECK_OK(hf_client_export_pem(d->client, &pem, &d->why));
    assert_non_null(strstr((char *)pem.data, "BEGIN CERTIFICATE"));
    hf_buf_free(&pem);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, device_setup, device_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_same_failure_again_is_one_line_in_the_journal),
        TEST(test_status_of_a_device_that_never_updated),
        TEST(test_status_after_updates),
        TEST(test_status_remembers_a_failure),
        TEST(test_export),
        TEST(test_store_that_only_refuses_to_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
