/* client/core/reset: what a factory reset keeps, and that an attacker gains nothing. */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "common/bundle/bundle.h"
#include "tests/support/device.h"

#include <stdio.h>

#define YEAR_S (365 * HF_DAY_S)

static const struct hf_bytes no_bundle;
static struct tuf_files published_first; /* what there was with root 1 and bundle 1 */

/* Root 3 and bundle 2 are the newest; the bundle before is 1. */
static int setup(void **state)
{
    device_setup(state);
    struct device *d = *state;
    CHECK_OK(device_update(d));
    tuf_files_copy(&published_first, &d->repo.files);
    tuf_repo_rotate(&d->repo, HF_ROLE_ROOT);
    d->repo.roles[HF_ROLE_ROOT].signed_at_s = DEVICE_NOW_S - 3600;
    tuf_repo_rotate(&d->repo, HF_ROLE_TIMESTAMP);
    device_publish(d, 2);
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 2);
    device_remember(d);
    return 0;
}

static int teardown(void **state)
{
    tuf_files_free(&published_first);
    return device_teardown(state);
}

static struct fake_mirror *mirror(struct device *d)
{
    return &d->fake.transport.mirrors[0];
}

static enum hf_err reset(struct device *d, struct hf_bytes factory)
{
    d->why = (struct hf_why){0};
    fake_store_forget_writes(&d->fake.store);
    return hf_client_reset(d->client, factory, &d->why);
}

static const char *value_before(const struct device *d, const char *name)
{
    const struct fake_rows *values = &d->before.values;
    for (size_t i = 0; i < values->n; i++) {
        if (strcmp(values->rows[i].name, name) == 0)
            return (const char *)values->rows[i].bytes.data;
    }
    return "";
}

static void check_value_kept(struct device *d, const char *name)
{
    assert_string_equal(fake_store_value(&d->fake.store, name), value_before(d, name));
}

static void check_walls_stand(struct device *d)
{
    static const char *const kept[] = {"clock.floor", "clock.targets",   "bundle.floor",
                                       "bundle.keys", "bundle.rejected", "schedule.seed"};
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        check_value_kept(d, kept[i]);
    assert_true(hf_bytes_equal(hf_buf_bytes(&d->before.revoked),
                               hf_buf_bytes(&d->fake.store.state.revoked)));
    assert_true(fake_state_same_metadata(&d->before, &d->fake.store.state, "root"));
}

static bool is_wall(const char *name)
{
    return strncmp(name, "clock.", 6) == 0 || strncmp(name, "bundle.", 7) == 0 ||
           strcmp(name, "schedule.seed") == 0;
}

static void check_forgotten(struct device *d)
{
    const struct fake_rows *values = &d->fake.store.state.values;
    assert_null(fake_store_metadata(&d->fake.store, "timestamp").data);
    assert_null(fake_store_metadata(&d->fake.store, "snapshot").data);
    assert_null(fake_store_metadata(&d->fake.store, "targets").data);
    for (size_t i = 0; i < values->n; i++) {
        if (!is_wall(values->rows[i].name) && values->rows[i].bytes.len > 0 &&
            values->rows[i].bytes.data[0] != '\0')
            fail_msg("%s is still '%s'", values->rows[i].name,
                     (const char *)values->rows[i].bytes.data);
    }
}

/* ---- what is kept and what goes -------------------------------------------------------------- */

static void test_walls_stand_and_the_rest_goes(void **state)
{
    struct device *d = *state;
    static const char *const learnt[] = {"mirror.faults",      "check.failures",
                                         "preflight.wait",     "trial",
                                         "recovery.failures",  "recovery.last",
                                         "endpoint.0.rsa",     "endpoint.7.any.lost",
                                         "endpoint.7.refused", "endpoints.tried"};
    for (size_t i = 0; i < sizeof learnt / sizeof learnt[0]; i++)
        fake_store_put_value(&d->fake.store, learnt[i], "2 1 1 1");
    fake_store_put_value(&d->fake.store, "bundle.rejected", "7 8");
    fake_store_put_revoked(&d->fake.store, (const uint8_t[32]){0xfe, 0xed});
    fake_store_put_value(&d->fake.store, "schedule.seed", "5eed");
    device_remember(d);
    assert_string_not_equal(fake_store_value(&d->fake.store, "metadata.verified"), "");

    CHECK_OK(reset(d, no_bundle));
    check_walls_stand(d);
    check_forgotten(d);
    assert_true(fake_state_same_bundles(&d->before, &d->fake.store.state));
    assert_int_equal(fake_store_count_events(&d->fake.store, "reset"), 1);
    assert_true(fake_log_has(&d->fake, "and so is the active bundle"));
}

static void test_update_after_it_goes_on(void **state)
{
    struct device *d = *state;
    CHECK_OK(reset(d, no_bundle));
    CHECK_OK(device_update(d));
    assert_false(d->result.is_changed);
    assert_true(fake_state_same_metadata(&d->before, &d->fake.store.state, "targets"));
    device_publish(d, 3);
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 3);
}

static void test_factory_bundle_becomes_active_and_is_updated(void **state)
{
    struct device *d = *state;
    struct hf_buf pem = {0};
    unsigned n_swaps = d->fake.trust.n_swaps;
    device_make_anchor("Factory root", &pem);
    CHECK_OK(reset(d, hf_buf_bytes(&pem)));
    assert_int_equal(d->fake.trust.n_swaps, n_swaps + 1);
    check_walls_stand(d);
    check_forgotten(d);
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), 0);
    assert_true(
        hf_bytes_equal(hf_buf_bytes(&fake_store_bundle(&d->fake.store, HF_SLOT_ACTIVE)->pem),
                       hf_buf_bytes(&pem)));
    assert_int_equal(d->fake.trust.n_anchors, 1);
    hf_buf_free(&pem);

    CHECK_OK(device_update(d));
    assert_int_equal(d->result.from_version, 0);
    assert_int_equal(d->result.to_version, 2);
}

static void test_what_was_dropped_does_not_come_back_with_the_factory(void **state)
{
    struct device *d = *state;
    struct hf_bundle bundle = {0};
    struct hf_buf pem = {0};
    device_make_anchor("Stolen root", &pem);
    CHECK_OK(hf_bundle_parse(hf_buf_bytes(&pem), NULL, &bundle, NULL));
    fake_store_put_revoked(&d->fake.store, bundle.anchors[0].cert.spki_sha256);
    hf_bundle_free(&bundle);
    device_make_anchor("Other root", &pem);
    CHECK_OK(reset(d, hf_buf_bytes(&pem)));
    assert_int_equal(d->fake.trust.n_anchors, 1);
    device_reboot(d);
    assert_int_equal(d->fake.trust.n_anchors, 1);
    hf_buf_free(&pem);
}

static void test_bad_factory_bundle_changes_nothing(void **state)
{
    struct device *d = *state;
    struct hf_buf damaged = {0};
    device_make_anchor("Factory root", &damaged);
    damaged.data[damaged.len / 2] = '!'; /* in the middle of the base64 */
    const struct {
        struct hf_bytes pem;
        enum hf_err err;
    } bad[] = {{hf_bytes_of_text("no PEM"), HF_E_NOT_FOUND}, {hf_buf_bytes(&damaged), HF_E_FORMAT}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_REFUSED(reset(d, bad[i].pem), bad[i].err, &d->why, "the factory bundle");
        device_check_unchanged_from(d, "root");
        assert_false(fake_store_has_written(&d->fake.store, "commit"));
    }
    hf_buf_free(&damaged);
}

/* ---- an attacker gains nothing --------------------------------------------------------------- */

/* An attacker kept all that was published with root 1 and bundle 1, and replays it. */
static void test_old_repository_is_refused(void **state)
{
    struct device *d = *state;
    CHECK_OK(reset(d, no_bundle));
    device_remember(d);
    mirror(d)->files = &published_first;
    CHECK_REFUSED(device_update(d), HF_E_SIGNATURE, &d->why, "timestamp");
    device_check_unchanged_from(d, "root");
}

static void test_old_root_in_the_place_of_the_next_is_refused(void **state)
{
    struct device *d = *state;
    struct hf_bytes old = tuf_files_find(&d->repo.files, "metadata/2.root.json");
    CHECK_OK(reset(d, no_bundle));
    device_remember(d);
    fake_mirror_answer_bytes(mirror(d), "metadata/4.root.json", 200, old);
    CHECK_REFUSED(device_update(d), HF_E_ROLLBACK, &d->why, "5.3.5");
    device_check_unchanged_from(d, "root");
}

/* Signed by the very keys of now, and not expired. */
static void test_older_bundle_is_not_taken(void **state)
{
    struct device *d = *state;
    struct hf_buf pem = {0};
    device_make_anchor("Factory root", &pem);
    CHECK_OK(reset(d, hf_buf_bytes(&pem)));
    device_remember(d);
    device_withdraw(d, 2); /* bundle 1 is the newest in what is served */
    CHECK_OK(device_update(d));
    assert_false(d->result.is_changed);
    assert_true(fake_state_same_bundles(&d->before, &d->fake.store.state));
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), 0);
    hf_buf_free(&pem);
}

static void test_rejected_bundle_stays_rejected(void **state)
{
    struct device *d = *state;
    fake_store_put_value(&d->fake.store, "bundle.rejected", "3");
    CHECK_OK(reset(d, no_bundle));
    device_publish(d, 3);
    CHECK_OK(device_update(d));
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), 2);
}

/* Without a clock, the time believed is still that of the newest signatures. */
static void test_clock_stays_above_its_floor(void **state)
{
    struct device *d = *state;
    int64_t floor_s = d->fake.trust.clock_floor_s;
    assert_true(floor_s > DEVICE_NOW_S - HF_DAY_S);
    CHECK_OK(reset(d, no_bundle));
    d->fake.now_s = 0;
    device_reboot(d);
    assert_int_equal(d->fake.trust.clock_floor_s, floor_s);
}

/* ---- power ----------------------------------------------------------------------------------- */

static void test_power_goes_at_any_write(void **state)
{
    struct device *d = *state;
    struct hf_buf pem = {0};
    bool is_finished = false;
    device_make_anchor("Factory root", &pem);
    for (unsigned cut = 1; !is_finished; cut++) {
        d->fake.store.n_writes = 0;
        d->fake.store.cut_at_write = cut;
        (void)reset(d, hf_buf_bytes(&pem));
        is_finished = !d->fake.store.is_power_off;
        device_reboot(d);
        check_walls_stand(d);
        if (device_version(d, HF_SLOT_ACTIVE) == 0)
            check_forgotten(d);
        else
            device_check_unchanged_from(d, "root");
    }
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), 0);
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 2);
    hf_buf_free(&pem);
}

/* ---- a store that was wiped instead ---------------------------------------------------------- */

static void provision_anew(struct device *d, struct hf_bytes root)
{
    struct hf_ports ports = fake_ports_of(&d->fake);
    struct hf_client_config config = device_config(d);
    device_off(d);
    fake_store_free(&d->fake.store);
    d->fake.store = (struct fake_store){0};
    CHECK_OK(hf_client_provision(&ports, &config, root, no_bundle, &d->why));
    device_on(d);
}

static void test_exported_root_begins_where_the_device_was(void **state)
{
    struct device *d = *state;
    struct hf_buf root = {0};
    CHECK_OK(hf_client_export_root(d->client, &root, &d->why));
    provision_anew(d, hf_buf_bytes(&root));
    assert_true(fake_state_same_metadata(&d->before, &d->fake.store.state, "root"));
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 2);
    assert_int_equal(fake_transport_count(&d->fake.transport, "root.json"), 1);
    hf_buf_free(&root);
}

/* The one that the firmware was built with, years ago: every one since is walked. */
static void test_first_root_walks_all_the_way(void **state)
{
    struct device *d = *state;
    d->fake.now_s += 3 * YEAR_S;
    for (int role = 0; role < HF_TOP_ROLES; role++)
        d->repo.roles[role].expires_s = d->fake.now_s + YEAR_S;
    tuf_repo_rotate(&d->repo, HF_ROLE_ROOT);
    tuf_repo_publish_next(&d->repo);
    provision_anew(d, tuf_files_find(&d->repo.files, "metadata/1.root.json"));
    mirror(d)->is_untrusted = true; /* and no anchor to validate its server with */
    CHECK_OK(device_update(d));
    assert_true(d->result.is_recovered);
    assert_int_equal(d->result.to_version, 2);
    assert_int_equal(fake_transport_count(&d->fake.transport, "root.json"), 1 + 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_walls_stand_and_the_rest_goes),
        TEST(test_update_after_it_goes_on),
        TEST(test_factory_bundle_becomes_active_and_is_updated),
        TEST(test_what_was_dropped_does_not_come_back_with_the_factory),
        TEST(test_bad_factory_bundle_changes_nothing),
        TEST(test_old_repository_is_refused),
        TEST(test_old_root_in_the_place_of_the_next_is_refused),
        TEST(test_older_bundle_is_not_taken),
        TEST(test_rejected_bundle_stays_rejected),
        TEST(test_clock_stays_above_its_floor),
        TEST(test_power_goes_at_any_write),
        TEST(test_exported_root_begins_where_the_device_was),
        TEST(test_first_root_walks_all_the_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
