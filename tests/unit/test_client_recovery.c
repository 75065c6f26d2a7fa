/* client/core/recovery: when no server's chain validates any more. */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "client/core/update.h"
#include "tests/support/device.h"

#include <stdio.h>

#define HOUR_S INT64_C(3600)
#define YEAR_S (365 * HF_DAY_S)
#define DYING_S HF_DAY_S /* how long the anchors of the dying bundle last */
#define DEAD_S (DYING_S + 1)

static struct fake_mirror *mirror(struct device *d, size_t i)
{
    return &d->fake.transport.mirrors[i];
}

static void pass(struct device *d, int64_t seconds)
{
    d->fake.now_s += seconds;
    d->fake.uptime_ms += seconds * 1000;
}

static enum hf_err update_after(struct device *d, int64_t seconds)
{
    pass(d, seconds);
    return device_update(d);
}

/* Bundle 1 is active, bundle 2 is published, and no chain of the server validates. */
static int setup(void **state)
{
    device_setup(state);
    struct device *d = *state;
    CHECK_OK(device_update(d));
    device_publish(d, 2);
    mirror(d, 0)->is_untrusted = true;
    device_remember(d);
    return 0;
}

static void check_stranded(struct device *d, enum hf_err err)
{
    CHECK_REFUSED(err, HF_E_UNTRUSTED, &d->why, "is not trusted");
    assert_int_equal(d->fake.transport.n_waived, 0);
    device_check_unchanged_from(d, "root");
}

/* HF_RECOVERY_FAILURES - 1 checks, as far apart as that the next one may begin it. */
static void strand(struct device *d)
{
    for (int i = 1; i < HF_RECOVERY_FAILURES; i++)
        check_stranded(d, update_after(d, 7 * HOUR_S));
}

static void check_recovered(struct device *d, enum hf_err err, int64_t version)
{
    CHECK_OK(err);
    assert_true(d->result.is_recovered);
    assert_int_equal(d->result.to_version, version);
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), version);
    assert_true(d->fake.transport.n_waived > 0);
}

static const char *last_event(struct device *d, const char *kind)
{
    const struct fake_rows *events = &d->fake.store.state.events;
    for (size_t i = events->n; i > 0; i--) {
        if (strcmp(events->rows[i - 1].name, kind) == 0)
            return (const char *)events->rows[i - 1].bytes.data;
    }
    return "";
}

static void check_text(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" is missing in: %s", part, text);
}

/* All anchors of the active bundle end in DYING_S; a bundle 4 is published. */
static void activate_dying_bundle(struct device *d)
{
    struct hf_buf pem = {0};
    mirror(d, 0)->is_untrusted = false;
    device_make_dated_anchor("Dying", DEVICE_NOW_S - YEAR_S, DEVICE_NOW_S + DYING_S, &pem);
    device_add_bundle(d, 3, &pem);
    hf_buf_free(&pem);
    tuf_repo_publish_next(&d->repo);
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 3);
    mirror(d, 0)->is_untrusted = true;
    device_publish(d, 4);
    device_remember(d);
}

/* ---- what begins it -------------------------------------------------------------------------- */

static void test_fifth_failure_over_a_day_begins_it(void **state)
{
    struct device *d = *state;
    strand(d);
    check_recovered(d, update_after(d, 7 * HOUR_S), 2);
}

static void test_one_failed_handshake_does_not(void **state)
{
    struct device *d = *state;
    check_stranded(d, update_after(d, HF_DAY_S));
    mirror(d, 0)->is_untrusted = false;
    CHECK_OK(update_after(d, HF_DAY_S));
    assert_false(d->result.is_recovered);
    assert_int_equal(d->fake.transport.n_waived, 0);
}

static void test_four_over_a_month_do_not(void **state)
{
    struct device *d = *state;
    for (int i = 0; i < 4; i++)
        check_stranded(d, update_after(d, 10 * HF_DAY_S));
}

static void test_somebody_on_the_wire_for_an_hour_does_not(void **state)
{
    struct device *d = *state;
    for (int i = 0; i < 60; i++)
        check_stranded(d, update_after(d, 60));
}

static void test_a_day_is_a_whole_one(void **state)
{
    struct device *d = *state;
    for (int i = 0; i < 4; i++)
        check_stranded(d, update_after(d, 6 * HOUR_S));
    check_stranded(d, update_after(d, 6 * HOUR_S - 1));
    check_recovered(d, update_after(d, 1), 2);
}

static void test_success_ends_the_count(void **state)
{
    struct device *d = *state;
    strand(d);
    mirror(d, 0)->is_untrusted = false;
    CHECK_OK(update_after(d, 7 * HOUR_S));
    assert_false(d->result.is_recovered);
    assert_string_equal(fake_store_value(&d->fake.store, "recovery.failures"), "");
    mirror(d, 0)->is_untrusted = true;
    device_remember(d);
    strand(d);
}

static void test_checks_without_a_server_neither_count_nor_end_it(void **state)
{
    struct device *d = *state;
    strand(d);
    fake_mirror_answer(mirror(d, 0), "*", 0, NULL);
    for (int i = 0; i < 8; i++)
        CHECK_REFUSED(update_after(d, 7 * HOUR_S), HF_E_NETWORK, &d->why, "refused");
    assert_int_equal(d->fake.transport.n_waived, 0);
    fake_mirror_reset(mirror(d, 0));
    check_recovered(d, update_after(d, 7 * HOUR_S), 2);
}

/* ---- what counts as time --------------------------------------------------------------------- */

static void test_uptime_counts_through_restarts(void **state)
{
    struct device *d = *state;
    for (int hours = 9; hours > 5; hours--) { /* 8 + 7 + 6 between checks, at least */
        check_stranded(d, update_after(d, hours * HOUR_S));
        device_reboot(d);
        d->fake.uptime_ms = 0;
    }
    assert_string_equal(fake_store_value(&d->fake.store, "recovery.failures"),
                        "4 75600000 21600000 0 3");
    check_recovered(d, update_after(d, 5 * HOUR_S), 2);
}

static void test_time_when_it_was_off_does_not_count(void **state)
{
    struct device *d = *state;
    for (int i = 0; i < 10; i++) {
        d->fake.now_s += 30 * HF_DAY_S;
        d->fake.uptime_ms = 60000;
        device_reboot(d);
        check_stranded(d, device_update(d));
    }
}

/* A device on a battery: up for half a minute once a day, never for as long as the time before. */
static void test_ten_starts_are_enough(void **state)
{
    struct device *d = *state;
    for (int i = 0; i < 10; i++) {
        d->fake.now_s += HF_DAY_S;
        d->fake.uptime_ms = 30000 - i;
        device_reboot(d);
        check_stranded(d, device_update(d));
    }
    d->fake.uptime_ms = 20000;
    device_reboot(d);
    check_recovered(d, device_update(d), 2);
    assert_true(
        fake_log_has(&d->fake, "since 11 checks in a row, over 10 starts, did not validate"));
}

/* More uptime than at the last check may be the same start. */
static void test_a_start_that_cannot_be_told_does_not_count(void **state)
{
    struct device *d = *state;
    int n = 0;
    for (; n < 40 && d->fake.transport.n_waived == 0; n++) {
        d->fake.now_s += HF_DAY_S;
        d->fake.uptime_ms = 30000 + (n % 2 == 0 ? 400 : -400);
        device_reboot(d);
        (void)device_update(d);
    }
    assert_int_equal(n, 20); /* every second */
}

/* As written before there were starts in it. */
static void test_a_count_of_four_numbers_goes_on(void **state)
{
    struct device *d = *state;
    fake_store_put_value(&d->fake.store, "recovery.failures", "8 1000 30000 0");
    d->fake.uptime_ms = 20000;
    check_stranded(d, device_update(d));
    assert_string_equal(fake_store_value(&d->fake.store, "recovery.failures"), "9 21000 20000 0 1");
}

static void test_clock_that_jumps_does_not_count(void **state)
{
    struct device *d = *state;
    for (int i = 0; i < 10; i++) {
        d->fake.now_s = i % 2 == 0 ? 0 : DEVICE_NOW_S + 5 * YEAR_S;
        check_stranded(d, device_update(d));
    }
}

static void test_device_without_uptime_waits_for_the_last_anchor(void **state)
{
    struct device *d = *state;
    d->client->ports.clock.uptime_ms = NULL;
    for (int i = 0; i < 10; i++)
        check_stranded(d, update_after(d, HF_DAY_S));
    pass(d, 10 * YEAR_S);
    d->repo.roles[HF_ROLE_ROOT].expires_s = d->fake.now_s + YEAR_S;
    tuf_repo_rotate(&d->repo, HF_ROLE_ROOT);
    CHECK_REFUSED(device_update(d), HF_E_EXPIRED, &d->why, "timestamp");
    assert_true(d->fake.transport.n_waived > 0);
}

static void test_count_that_cannot_be_read_begins_anew(void **state)
{
    struct device *d = *state;
    static const char *const damaged[] = {"x",
                                          "9 9 9",
                                          "9 999999999999 1 0 ",
                                          "9 999999999999 1 0 9 9",
                                          "-1 999999999999 1 0",
                                          "9 99999999999999999999 1 0"};
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        fake_store_put_value(&d->fake.store, "recovery.failures", damaged[i]);
        hf_buf_free(&d->fake.log.text);
        check_stranded(d, device_update(d));
        assert_true(fake_log_has(&d->fake, "the stored value \"recovery.failures\" is damaged"));
    }
}

/* ---- no anchor left -------------------------------------------------------------------------- */

static void test_without_a_usable_anchor_it_begins_at_once(void **state)
{
    struct device *d = *state;
    activate_dying_bundle(d);
    check_stranded(d, update_after(d, DYING_S));
    check_recovered(d, update_after(d, DEAD_S - DYING_S), 4);
    check_text(last_event(d, "swap"), "3 -> 4, 1 anchor, recovered");
}

static void test_before_the_first_bundle_it_begins_at_once(void **state)
{
    struct device *d = *state;
    mirror(d, 0)->is_untrusted = true;
    check_recovered(d, device_update(d), 1);
}

/* The device was configured with a CA of the update server, which is still valid: a chain that does
 * not lead to it must last for as long as any other. */
static void test_anchor_of_the_transport_is_one_too(void **state)
{
    struct device *d = *state;
    activate_dying_bundle(d);
    pass(d, DEAD_S);
    d->fake.transport.has_anchor = true;
    strand(d);
    check_recovered(d, update_after(d, 7 * HOUR_S), 4);
}

static void test_validation_is_always_tried_first(void **state)
{
    struct device *d = *state;
    activate_dying_bundle(d);
    mirror(d, 0)->is_untrusted = false;
    CHECK_OK(update_after(d, 2 * HF_DAY_S));
    assert_false(d->result.is_recovered);
    assert_int_equal(d->fake.transport.n_waived, 0);
}

static void test_handshake_that_fails_otherwise_is_no_reason(void **state)
{
    struct device *d = *state;
    activate_dying_bundle(d);
    mirror(d, 0)->is_untrusted = false;
    fake_mirror_answer(mirror(d, 0), "*", 0, NULL);
    for (int i = 0; i < 10; i++)
        CHECK_REFUSED(update_after(d, HF_DAY_S), HF_E_NETWORK, &d->why, "refused");
    assert_int_equal(d->fake.transport.n_waived, 0);
}

/* The active bundle is damaged, and of the one before only a dropped anchor is left. */
static void test_dropped_anchor_is_not_a_usable_one(void **state)
{
    struct device *d = *state;
    struct hf_bundle bundle = {0};
    mirror(d, 0)->is_untrusted = false;
    CHECK_OK(hf_bundle_parse(hf_buf_bytes(&d->repo.targets.items[0].content), NULL, &bundle, NULL));
    CHECK_OK(device_update(d));
    fake_store_put_revoked(&d->fake.store, bundle.anchors[0].cert.spki_sha256);
    hf_bundle_free(&bundle);
    fake_store_bundle(&d->fake.store, HF_SLOT_ACTIVE)->pem.data[30] ^= 1;
    mirror(d, 0)->is_untrusted = true;
    device_publish(d, 3);
    check_recovered(d, device_update(d), 3);
}

static void test_usable_anchor_of_the_bundle_before_is_one(void **state)
{
    struct device *d = *state;
    mirror(d, 0)->is_untrusted = false;
    CHECK_OK(device_update(d));
    fake_store_bundle(&d->fake.store, HF_SLOT_ACTIVE)->pem.data[30] ^= 1;
    mirror(d, 0)->is_untrusted = true;
    device_remember(d);
    check_stranded(d, device_update(d));
}

static void test_so_it_is_where_the_active_bundle_cannot_be_read_any_more(void **state)
{
    struct device *d = *state;
    mirror(d, 0)->is_untrusted = false;
    CHECK_OK(device_update(d));
    device_make_unreadable(d, HF_SLOT_ACTIVE);
    mirror(d, 0)->is_untrusted = true;
    device_remember(d);
    check_stranded(d, device_update(d));
}

/* ---- several mirrors ------------------------------------------------------------------------- */

static void spoil_signature(void *ctx, const char *role, json_t *envelope)
{
    json_t *first = json_array_get(json_object_get(envelope, "signatures"), 0);
    char sig[129];
    (void)ctx;
    (void)role;
    snprintf(sig, sizeof sig, "%0128d", 0);
    assert_int_equal(json_object_set_new(first, "sig", json_string(sig)), 0);
}

static void add_second(struct device *d)
{
    device_add_mirror(d, "http://b.test", NULL);
    device_reboot(d);
}

static void test_mirror_that_answers_with_junk_cannot_hide_it(void **state)
{
    struct device *d = *state;
    struct hf_buf forged = {0};
    add_second(d);
    d->repo.after_signing = spoil_signature;
    tuf_repo_build_timestamp(&d->repo, &forged);
    d->repo.after_signing = NULL;
    fake_mirror_answer_bytes(mirror(d, 1), "metadata/timestamp.json", 200, hf_buf_bytes(&forged));
    hf_buf_free(&forged);
    for (int i = 1; i < HF_RECOVERY_FAILURES; i++) {
        CHECK_REFUSED(update_after(d, 7 * HOUR_S), HF_E_SIGNATURE, &d->why, "b.test");
        assert_int_equal(d->fake.transport.n_waived, 0);
    }
    check_recovered(d, update_after(d, 7 * HOUR_S), 2);
    check_text((const char *)d->fake.log.text.data, "the chain of http://a.test/repo");
}

static void test_mirror_that_serves_is_no_reason_to_begin(void **state)
{
    struct device *d = *state;
    add_second(d);
    for (int i = 0; i < 2 * HF_RECOVERY_FAILURES; i++) {
        CHECK_OK(update_after(d, 7 * HOUR_S));
        assert_int_equal(d->fake.transport.n_waived, 0);
    }
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), 2);
}

/* ---- one check ------------------------------------------------------------------------------- */

static void test_it_is_one_pass_and_only_in_its_check(void **state)
{
    struct device *d = *state;
    strand(d);
    fake_mirror_answer(mirror(d, 0), "metadata/timestamp.json", 503, NULL);
    CHECK_REFUSED(update_after(d, 7 * HOUR_S), HF_E_NETWORK, &d->why,
                  "recovery did not help either: ");
    assert_int_equal(d->fake.transport.n_waived, 2); /* the next root, and the timestamp */
    assert_int_equal(d->fake.transport.n_requests, 1 + 2);
    assert_false(d->result.is_recovered);
    device_check_unchanged_from(d, "root");

    fake_mirror_reset(mirror(d, 0));
    mirror(d, 0)->is_untrusted = false;
    CHECK_OK(update_after(d, 7 * HOUR_S));
    assert_int_equal(d->fake.transport.n_waived, 0);
    assert_false(d->result.is_recovered);
}

static void test_next_check_validates_and_ends_it(void **state)
{
    struct device *d = *state;
    strand(d);
    check_recovered(d, update_after(d, 7 * HOUR_S), 2);
    mirror(d, 0)->is_untrusted = false; /* the anchors of bundle 2 */
    device_publish(d, 3);
    CHECK_OK(update_after(d, HF_DAY_S));
    assert_false(d->result.is_recovered);
    assert_int_equal(d->result.to_version, 3);
    assert_int_equal(d->fake.transport.n_waived, 0);
    assert_string_equal(fake_store_value(&d->fake.store, "recovery.failures"), "");
    check_text(last_event(d, "swap"), "1 anchor");
    assert_null(strstr(last_event(d, "swap"), "recovered"));
}

static void test_as_long_as_nothing_validates_each_check_recovers(void **state)
{
    struct device *d = *state;
    strand(d);
    check_recovered(d, update_after(d, 7 * HOUR_S), 2);
    device_publish(d, 3);
    check_recovered(d, update_after(d, HF_DAY_S), 3);
    assert_true(d->fake.transport.n_waived < d->fake.transport.n_requests);
}

static void test_no_entity_tag_comes_or_goes(void **state)
{
    struct device *d = *state;
    assert_string_not_equal(fake_store_value(&d->fake.store, "etag.timestamp"), "");
    strand(d);
    check_recovered(d, update_after(d, 7 * HOUR_S), 2); /* the fake transport looks at requests */
    assert_string_equal(fake_store_value(&d->fake.store, "etag.timestamp"), "");
}

/* A first pass that took all the time of the check leaves its own to the second one. */
static int64_t jumping_uptime_ms(void *ctx)
{
    static int64_t now_ms;
    (void)ctx;
    return now_ms += 6 * 60000;
}

static void test_it_has_the_time_of_a_whole_check(void **state)
{
    struct device *d = *state;
    add_second(d);
    mirror(d, 1)->is_untrusted = true;
    strand(d);
    d->client->ports.clock.uptime_ms = jumping_uptime_ms;
    for (int i = 0; i < 60 && !fake_log_has(&d->fake, "continues without"); i++)
        assert_int_not_equal(device_update(d), HF_OK);
    assert_int_equal(d->fake.transport.n_waived, 2);
}

/* ---- what it never waives -------------------------------------------------------------------- */

static void check_nothing_gained(struct device *d, enum hf_err wanted, const char *part)
{
    unsigned n_swaps = d->fake.trust.n_swaps;
    CHECK_REFUSED(device_update(d), wanted, &d->why, part);
    assert_true(d->fake.transport.n_waived > 0);
    assert_int_equal(d->fake.trust.n_swaps, n_swaps);
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), 3);
}

static void test_stranger_s_repository_is_refused(void **state)
{
    struct device *d = *state;
    struct tuf_repo stranger;
    activate_dying_bundle(d);
    pass(d, DEAD_S);
    tuf_repo_init(&stranger, d->fake.now_s);
    for (int role = 0; role < HF_TOP_ROLES; role++)
        stranger.roles[role].version = 50;
    tuf_repo_publish_root(&stranger);
    tuf_repo_publish(&stranger);
    mirror(d, 0)->files = &stranger.files;
    check_nothing_gained(d, HF_E_SIGNATURE, "recovery did not help either");
    device_check_unchanged_from(d, "root");

    /* Also as the next root. */
    struct hf_buf root = {0};
    stranger.roles[HF_ROLE_ROOT].version = d->repo.roles[HF_ROLE_ROOT].version + 1;
    tuf_repo_build_root(&stranger, &root);
    fake_mirror_answer_bytes(mirror(d, 0), "metadata/2.root.json", 200, hf_buf_bytes(&root));
    check_nothing_gained(d, HF_E_SIGNATURE, "metadata/2.root.json");
    device_check_unchanged_from(d, "root");
    hf_buf_free(&root);
    tuf_repo_free(&stranger);
}

static void test_older_metadata_is_refused(void **state)
{
    struct device *d = *state;
    struct hf_buf older = {0};
    tuf_repo_build_timestamp(&d->repo, &older); /* of bundle 2 */
    activate_dying_bundle(d);
    pass(d, DEAD_S);
    fake_mirror_answer_bytes(mirror(d, 0), "metadata/timestamp.json", 200, hf_buf_bytes(&older));
    check_nothing_gained(d, HF_E_ROLLBACK, "5.4.3");
    device_check_unchanged_from(d, "root");
    hf_buf_free(&older);
}

static void test_expired_metadata_is_refused(void **state)
{
    struct device *d = *state;
    activate_dying_bundle(d);
    d->repo.roles[HF_ROLE_TIMESTAMP].expires_s = d->fake.now_s + HF_DAY_S;
    tuf_repo_publish_next(&d->repo);
    pass(d, DEAD_S);
    check_nothing_gained(d, HF_E_EXPIRED, "5.4.4");
    device_check_unchanged_from(d, "root");
}

static void test_other_content_is_refused(void **state)
{
    struct device *d = *state;
    char path[256];
    struct hf_buf other = {0};
    activate_dying_bundle(d);
    pass(d, DEAD_S);
    const struct tuf_target *newest = &d->repo.targets.items[3];
    tuf_repo_content_path(&d->repo, newest, path, sizeof path);
    CHECK_OK(hf_buf_append(&other, newest->content.data, newest->content.len));
    other.data[other.len / 2] ^= 1;
    fake_mirror_answer_bytes(mirror(d, 0), path, 200, hf_buf_bytes(&other));
    check_nothing_gained(d, HF_E_HASH, "4.pem");
    assert_true(fake_state_same_bundles(&d->before, &d->fake.store.state));
    hf_buf_free(&other);
}

/* ---- the long way home ----------------------------------------------------------------------- */

/* The device was in a drawer for three years; root, timestamp and the rest of that time have
 * expired. */
static void sleep_for_three_years(struct device *d, bool is_root_renewed)
{
    pass(d, 3 * YEAR_S);
    for (int role = 0; role < HF_TOP_ROLES; role++)
        d->repo.roles[role].expires_s = d->fake.now_s + YEAR_S;
    if (!is_root_renewed)
        d->repo.roles[HF_ROLE_ROOT].expires_s = d->fake.now_s - YEAR_S;
    d->repo.roles[HF_ROLE_ROOT].signed_at_s = d->fake.now_s - 2 * YEAR_S;
    tuf_repo_rotate(&d->repo, HF_ROLE_ROOT);
    device_publish(d, 5);
}

static void test_root_that_expired_three_years_ago(void **state)
{
    struct device *d = *state;
    activate_dying_bundle(d);
    sleep_for_three_years(d, true);
    check_recovered(d, device_update(d), 5);
}

static void test_newest_root_expired_says_what_cures_it(void **state)
{
    struct device *d = *state;
    activate_dying_bundle(d);
    sleep_for_three_years(d, false);
    CHECK_REFUSED(device_update(d), HF_E_EXPIRED, &d->why,
                  "publishing the next root metadata, 3.root.json, signed with the root keys of "
                  "version 2, cures this");
    device_check_unchanged_from(d, "timestamp");

    d->repo.roles[HF_ROLE_ROOT].expires_s = d->fake.now_s + YEAR_S;
    tuf_repo_rotate(&d->repo, HF_ROLE_ROOT);
    check_recovered(d, device_update(d), 5);
}

/* Below its floor a clock says nothing: the old anchors look alive, and the server's certificate is
 * of the future. */
static void test_clock_in_1970(void **state)
{
    struct device *d = *state;
    d->fake.now_s = 0;
    device_reboot(d);
    strand(d);
    check_recovered(d, update_after(d, 7 * HOUR_S), 2);
}

static void test_everything_at_once(void **state)
{
    struct device *d = *state;
    activate_dying_bundle(d);
    sleep_for_three_years(d, true);
    d->fake.now_s = 0;
    d->fake.uptime_ms = 0;
    device_reboot(d);
    device_remember(d);
    strand(d);
    check_recovered(d, update_after(d, 7 * HOUR_S), 5);
    assert_true(d->fake.trust.clock_floor_s > DEVICE_NOW_S); /* by the new root's signature */
    mirror(d, 0)->is_untrusted = false;
    CHECK_OK(update_after(d, HF_DAY_S));
    assert_false(d->result.is_recovered);
}

/* ---- what is told of it ---------------------------------------------------------------------- */

static void test_journal_and_log(void **state)
{
    struct device *d = *state;
    strand(d);
    assert_int_equal(fake_store_count_events(&d->fake.store, "recovery"), 0);
    check_recovered(d, update_after(d, 7 * HOUR_S), 2);
    assert_int_equal(fake_store_count_events(&d->fake.store, "recovery"), 2);
    check_text(last_event(d, "recovery"), "recovery helped");
    check_text(last_event(d, "swap"), "1 -> 2, 1 anchor, recovered");
    check_text((const char *)d->fake.log.text.data,
               "recovery: this check continues without validating the chain of http://a.test/repo, "
               "since 5 checks in a row, over 28 hours, did not validate it");
    assert_string_equal(fake_store_value(&d->fake.store, "check.text"),
                        "updated amazon-iot/full 1 -> 2, recovered");
}

/* Check after check the same must not push everything else out of the journal. */
static void test_journal_is_told_once(void **state)
{
    struct device *d = *state;
    strand(d);
    fake_mirror_answer(mirror(d, 0), "metadata/timestamp.json", 503, NULL);
    for (int i = 0; i < 5; i++)
        CHECK_REFUSED(update_after(d, 7 * HOUR_S), HF_E_NETWORK, &d->why, "did not help");
    assert_int_equal(fake_store_count_events(&d->fake.store, "recovery"), 2);
    check_text(last_event(d, "recovery"), "did not help");
    fake_mirror_reset(mirror(d, 0));
    for (int i = 0; i < 5; i++)
        check_recovered(d, update_after(d, 7 * HOUR_S), 2);
    assert_int_equal(fake_store_count_events(&d->fake.store, "recovery"), 3);
}

static void check_status(struct device *d, int64_t failed, int64_t last_s, bool has_recovered)
{
    struct hf_status status;
    CHECK_OK(hf_client_status(d->client, &status, &d->why));
    assert_int_equal(status.failed_validations, failed);
    assert_int_equal(status.last_recovery_s, last_s);
    assert_int_equal(status.has_recovered, has_recovered);
    hf_status_free(&status);
}

static void test_status(void **state)
{
    struct device *d = *state;
    check_status(d, 0, INT64_MIN, false);
    strand(d);
    check_status(d, 4, INT64_MIN, false);
    fake_mirror_answer(mirror(d, 0), "metadata/timestamp.json", 503, NULL);
    CHECK_REFUSED(update_after(d, 7 * HOUR_S), HF_E_NETWORK, &d->why, "did not help");
    check_status(d, 5, d->fake.now_s, false);
    fake_mirror_reset(mirror(d, 0));
    check_recovered(d, update_after(d, 7 * HOUR_S), 2);
    int64_t then_s = d->fake.now_s;
    check_status(d, 6, then_s, true);
    mirror(d, 0)->is_untrusted = false;
    CHECK_OK(update_after(d, HF_DAY_S));
    check_status(d, 0, then_s, true);
}

/* ---- power ----------------------------------------------------------------------------------- */

static void test_power_goes_at_any_write(void **state)
{
    struct device *d = *state;
    bool is_finished = false;
    (void)state;
    activate_dying_bundle(d);
    pass(d, DEAD_S);
    for (unsigned cut = 1; !is_finished; cut++) {
        d->fake.store.n_writes = 0;
        d->fake.store.cut_at_write = cut;
        (void)device_update(d);
        is_finished = !d->fake.store.is_power_off;
        device_reboot(d);
        int64_t version = device_version(d, HF_SLOT_ACTIVE);
        assert_true(version == 3 || version == 4);
        assert_int_equal(d->fake.trust.n_anchors, 1);
    }
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, device_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_fifth_failure_over_a_day_begins_it),
        TEST(test_one_failed_handshake_does_not),
        TEST(test_four_over_a_month_do_not),
        TEST(test_somebody_on_the_wire_for_an_hour_does_not),
        TEST(test_a_day_is_a_whole_one),
        TEST(test_success_ends_the_count),
        TEST(test_checks_without_a_server_neither_count_nor_end_it),
        TEST(test_uptime_counts_through_restarts),
        TEST(test_time_when_it_was_off_does_not_count),
        TEST(test_ten_starts_are_enough),
        TEST(test_a_start_that_cannot_be_told_does_not_count),
        TEST(test_a_count_of_four_numbers_goes_on),
        TEST(test_clock_that_jumps_does_not_count),
        TEST(test_device_without_uptime_waits_for_the_last_anchor),
        TEST(test_count_that_cannot_be_read_begins_anew),
        TEST(test_without_a_usable_anchor_it_begins_at_once),
        cmocka_unit_test_setup_teardown(test_before_the_first_bundle_it_begins_at_once,
                                        device_setup, device_teardown),
        TEST(test_anchor_of_the_transport_is_one_too),
        TEST(test_validation_is_always_tried_first),
        TEST(test_handshake_that_fails_otherwise_is_no_reason),
        TEST(test_dropped_anchor_is_not_a_usable_one),
        TEST(test_usable_anchor_of_the_bundle_before_is_one),
        TEST(test_so_it_is_where_the_active_bundle_cannot_be_read_any_more),
        TEST(test_mirror_that_answers_with_junk_cannot_hide_it),
        TEST(test_mirror_that_serves_is_no_reason_to_begin),
        TEST(test_it_is_one_pass_and_only_in_its_check),
        TEST(test_next_check_validates_and_ends_it),
        TEST(test_as_long_as_nothing_validates_each_check_recovers),
        TEST(test_no_entity_tag_comes_or_goes),
        TEST(test_it_has_the_time_of_a_whole_check),
        TEST(test_stranger_s_repository_is_refused),
        TEST(test_older_metadata_is_refused),
        TEST(test_expired_metadata_is_refused),
        TEST(test_other_content_is_refused),
        TEST(test_root_that_expired_three_years_ago),
        TEST(test_newest_root_expired_says_what_cures_it),
        TEST(test_clock_in_1970),
        TEST(test_everything_at_once),
        TEST(test_journal_and_log),
        TEST(test_journal_is_told_once),
        TEST(test_status),
        TEST(test_power_goes_at_any_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
