/* client/core/activate: on trial until confirmed or rolled back. */
#include "tests/support/check.h"

#include "common/base/digest.h"
#include "common/base/timetext.h"
#include "common/bundle/bundle.h"
#include "client/core/update.h"
#include "tests/support/device.h"

#include <stdlib.h>
#include <string.h>

/* Version 2 (old root) is active and confirmed; version 3 holds both roots, 4 the new one only. */
struct world {
    struct device *d;
    struct fake_endpoint *home; /* NULL without one */
    struct hf_buf old_root, new_root, both;
};

static void publish(struct world *w, int64_t version, const struct hf_buf *pem)
{
    device_add_bundle(w->d, version, pem);
    tuf_repo_publish_next(&w->d->repo);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    void *device = NULL;

    assert_non_null(w);
    assert_int_equal(device_setup(&device), 0);
    w->d = device;
    device_make_anchor("Old Root", &w->old_root);
    device_make_anchor("New Root", &w->new_root);
    CHECK_OK(hf_buf_append(&w->both, w->old_root.data, w->old_root.len));
    CHECK_OK(hf_buf_append(&w->both, w->new_root.data, w->new_root.len));
    publish(w, 2, &w->old_root);
    CHECK_OK(device_update(w->d));
    *state = w;
    return 0;
}

static int setup_with_endpoint(void **state)
{
    (void)setup(state);
    struct world *w = *state;
    w->home = fake_endpoint_add(&w->d->fake.endpoints, "mqtts://home.test:8883");
    fake_endpoint_show_all(w->home, hf_buf_bytes(&w->old_root));
    device_reboot(w->d);
    return 0;
}

static int setup_with_application(void **state)
{
    (void)setup(state);
    struct world *w = *state;
    w->d->awaits_confirm = true;
    device_reboot(w->d);
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    void *device = w->d;

    hf_buf_free(&w->old_root);
    hf_buf_free(&w->new_root);
    hf_buf_free(&w->both);
    free(w);
    return device_teardown(&device);
}

static struct hf_trial trial_of(struct world *w)
{
    hf_state_load(w->d->client);
    return w->d->client->state.trial;
}

static bool is_on_trial(struct world *w)
{
    return trial_of(w).version > 0;
}

static void pass_time(struct world *w, int64_t seconds)
{
    w->d->fake.now_s += seconds;
    w->d->fake.uptime_ms += seconds * 1000;
}

static size_t n_events(struct world *w, const char *kind)
{
    return fake_store_count_events(&w->d->fake.store, kind);
}

static void key_of(const struct hf_buf *pem, char spki[65], char sha256[65])
{
    struct hf_bundle bundle = {0};
    CHECK_OK(hf_bundle_parse(hf_buf_bytes(pem), NULL, &bundle, NULL));
    hf_hex_encode(bundle.anchors[0].cert.spki_sha256, HF_SHA256_LEN, spki);
    hf_hex_encode(bundle.anchors[0].cert.sha256, HF_SHA256_LEN, sha256);
    hf_bundle_free(&bundle);
}

static bool is_live(struct world *w, const struct hf_buf *pem)
{
    char spki[65], sha256[65];
    key_of(pem, spki, sha256);
    return fake_trust_has(&w->d->fake.trust, sha256);
}

static void publish_dropping_old(struct world *w, int64_t version)
{
    json_t *custom = device_custom(DEVICE_SET, DEVICE_PROFILE, version);
    char path[80], spki[65], sha256[65];

    key_of(&w->old_root, spki, sha256);
    json_object_set_new(json_object_get(custom, "holdfast"), "drops", json_pack("[s]", spki));
    snprintf(path, sizeof path, DEVICE_SET "/" DEVICE_PROFILE "/%lld.pem", (long long)version);
    tuf_repo_add_target(&w->d->repo, path, hf_buf_bytes(&w->new_root), custom);
    tuf_repo_publish_next(&w->d->repo);
}

/* ---- neither endpoint nor application -------------------------------------------------------- */

static void test_first_bundle_is_not_on_trial(void **state)
{
    struct world *w = *state;
    assert_false(is_on_trial(w)); /* there is nothing to go back to */
}

static void test_next_successful_refresh_confirms(void **state)
{
    struct world *w = *state;
    publish(w, 3, &w->both);
    CHECK_OK(device_update(w->d));
    assert_true(is_on_trial(w));
    fake_mirror_answer(&w->d->fake.transport.mirrors[0], "*", 0, NULL);
    assert_int_not_equal(device_update(w->d), HF_OK);
    assert_true(is_on_trial(w));
    fake_mirror_reset(&w->d->fake.transport.mirrors[0]);
    CHECK_OK(device_update(w->d));
    assert_false(is_on_trial(w));
    assert_int_equal(n_events(w, "confirmed"), 1);
}

/* ---- the application ------------------------------------------------------------------------- */

static void test_application_confirms(void **state)
{
    struct world *w = *state;
    publish(w, 3, &w->both);
    CHECK_OK(device_update(w->d));
    for (int i = 0; i < 5; i++) {
        pass_time(w, HF_DAY_S);
        CHECK_OK(device_update(w->d));
        assert_true(is_on_trial(w)); /* silence does not */
    }
    device_reboot(w->d);
    assert_true(is_on_trial(w));
    CHECK_OK(hf_client_confirm(w->d->client, &w->d->why));
    assert_false(is_on_trial(w));
    assert_int_equal(n_events(w, "confirmed"), 1);
    CHECK_OK(hf_client_confirm(w->d->client, &w->d->why)); /* again is no fault */
    assert_int_equal(n_events(w, "confirmed"), 1);
}

static void test_application_rejects(void **state)
{
    struct world *w = *state;
    publish(w, 3, &w->new_root);
    CHECK_OK(device_update(w->d));
    assert_true(is_live(w, &w->new_root));
    CHECK_OK(hf_client_reject(w->d->client, "the broker is out of reach", &w->d->why));
    assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 2);
    assert_int_equal(device_version(w->d, HF_SLOT_PREVIOUS), -1);
    assert_true(is_live(w, &w->old_root));
    assert_false(is_live(w, &w->new_root));
    assert_false(is_on_trial(w));
    assert_int_equal(n_events(w, "rollback"), 1);
    assert_true(fake_log_has(&w->d->fake, "the broker is out of reach"));
}

/* The version would be taken again. */
static void test_no_rollback_without_a_record_of_the_rejection(void **state)
{
    struct world *w = *state;
    publish(w, 3, &w->new_root);
    CHECK_OK(device_update(w->d));
    w->d->fake.store.refuse_value = "bundle.rejected";
    CHECK_REFUSED(hf_client_reject(w->d->client, "no", &w->d->why), HF_E_STORAGE, &w->d->why,
                  "has rotted");
    assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 3);
    w->d->fake.store.refuse_value = NULL;
    assert_true(is_on_trial(w));
    CHECK_OK(hf_client_reject(w->d->client, "no", &w->d->why));
    assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 2);
    assert_string_equal(fake_store_value(&w->d->fake.store, "bundle.rejected"), "3");
}

static void test_rejected_version_is_never_taken_again(void **state)
{
    struct world *w = *state;
    publish(w, 3, &w->new_root);
    CHECK_OK(device_update(w->d));
    CHECK_OK(hf_client_reject(w->d->client, "no", &w->d->why));
    for (int i = 0; i < 3; i++) {
        CHECK_OK(device_update(w->d));
        assert_false(w->d->result.is_changed);
        assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 2);
        device_reboot(w->d);
    }
    publish(w, 4, &w->both);
    CHECK_OK(device_update(w->d));
    assert_int_equal(w->d->result.to_version, 4);
    CHECK_OK(hf_client_confirm(w->d->client, &w->d->why));
    CHECK_OK(device_update(w->d));
    assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 4);
}

static void test_nothing_to_reject(void **state)
{
    struct world *w = *state;
    device_remember(w->d);
    CHECK_REFUSED(hf_client_reject(w->d->client, "no", &w->d->why), HF_E_STATE, &w->d->why,
                  "no bundle is on trial");
    assert_true(fake_state_same_bundles(&w->d->before, &w->d->fake.store.state));
}

static void test_newer_version_on_top_of_a_trial_goes_back_to_what_was_confirmed(void **state)
{
    struct world *w = *state;
    publish(w, 3, &w->both);
    CHECK_OK(device_update(w->d));
    publish(w, 4, &w->new_root);
    CHECK_OK(device_update(w->d));
    assert_int_equal(device_version(w->d, HF_SLOT_PREVIOUS), 2);
    CHECK_OK(hf_client_reject(w->d->client, "no", &w->d->why));
    assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 2);
}

static void test_rollback_never_restores_what_was_dropped(void **state)
{
    struct world *w = *state;
    publish(w, 3, &w->both);
    CHECK_OK(device_update(w->d));
    CHECK_OK(hf_client_confirm(w->d->client, &w->d->why));
    publish_dropping_old(w, 4);
    CHECK_OK(device_update(w->d));
    CHECK_OK(hf_client_reject(w->d->client, "no", &w->d->why));
    assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 3);
    assert_true(is_live(w, &w->new_root));
    assert_false(is_live(w, &w->old_root));
    device_reboot(w->d);
    assert_false(is_live(w, &w->old_root));
    struct hf_buf pem = {0};
    CHECK_OK(hf_client_export_pem(w->d->client, &pem, &w->d->why));
    assert_null(strstr((const char *)pem.data, "Old Root"));
    assert_non_null(strstr((const char *)pem.data, "New Root"));
    hf_buf_free(&pem);
}

static void test_no_rollback_to_nothing(void **state)
{
    struct world *w = *state;
    publish_dropping_old(w, 3);
    CHECK_OK(device_update(w->d));
    device_remember(w->d);
    CHECK_REFUSED(hf_client_reject(w->d->client, "no", &w->d->why), HF_E_STATE, &w->d->why,
                  "none of its anchors may be used");
    assert_true(fake_state_same_bundles(&w->d->before, &w->d->fake.store.state));
    assert_true(is_live(w, &w->new_root));
}

static void test_power_cut_during_rollback_leaves_old_or_new(void **state)
{
    struct world *w = *state;
    publish(w, 3, &w->new_root);
    CHECK_OK(device_update(w->d));
    unsigned cut = 1;
    for (;; cut++) {
        w->d->fake.store.n_writes = 0;
        w->d->fake.store.cut_at_write = cut;
        enum hf_err err = hf_client_reject(w->d->client, "no", &w->d->why);
        device_reboot(w->d);
        if (err == HF_OK)
            break;
        assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 3);
        assert_int_equal(device_version(w->d, HF_SLOT_PREVIOUS), 2);
        assert_true(is_on_trial(w));
        assert_true(is_live(w, &w->new_root));
    }
    assert_true(cut > 4);
    assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 2);
    CHECK_OK(device_update(w->d));
    assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 2);
}

/* ---- the endpoints --------------------------------------------------------------------------- */

/* Taken while the endpoint was silent, or showed another chain. */
static void take_new_root_only(struct world *w, int64_t version)
{
    fake_endpoint_show_all(w->home, hf_buf_bytes(&w->new_root));
    publish(w, version, &w->new_root);
    CHECK_OK(device_update(w->d));
    assert_true(is_on_trial(w));
}

static void test_evidence_rolls_back(void **state)
{
    struct world *w = *state;
    take_new_root_only(w, 3);
    fake_endpoint_show_all(w->home, hf_buf_bytes(&w->old_root));
    CHECK_OK(device_update(w->d));
    assert_true(w->d->result.is_rolled_back);
    assert_true(w->d->result.is_changed);
    assert_int_equal(w->d->result.from_version, 3);
    assert_int_equal(w->d->result.to_version, 2);
    assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 2);
    assert_true(is_live(w, &w->old_root));
    assert_int_equal(n_events(w, "rollback"), 1);
    assert_true(fake_log_has(&w->d->fake, "the anchor \"CN=Old Root\" is missing"));
}

static void test_rollback_needs_no_repository(void **state)
{
    struct world *w = *state;
    take_new_root_only(w, 3);
    fake_endpoint_show_all(w->home, hf_buf_bytes(&w->old_root));
    fake_mirror_answer(&w->d->fake.transport.mirrors[0], "*", 0, NULL);
    assert_int_not_equal(device_update(w->d), HF_OK);
    assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 2);
}

static void test_endpoints_confirm_after_the_time_of_the_trial(void **state)
{
    struct world *w = *state;
    take_new_root_only(w, 3);
    pass_time(w, HF_TRIAL_S - 1);
    CHECK_OK(device_update(w->d));
    assert_true(is_on_trial(w));
    pass_time(w, 1);
    CHECK_OK(device_update(w->d));
    assert_false(is_on_trial(w));
    assert_int_equal(n_events(w, "confirmed"), 1);
    fake_endpoint_show_all(w->home, hf_buf_bytes(&w->old_root));
    CHECK_OK(device_update(w->d)); /* confirmed is confirmed */
    assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 3);
}

static void test_silence_makes_the_trial_longer(void **state)
{
    struct world *w = *state;
    take_new_root_only(w, 3);
    fake_endpoint_hide(w->home);
    for (int i = 0; i < 30; i++) {
        pass_time(w, HF_DAY_S);
        CHECK_OK(device_update(w->d));
        assert_true(is_on_trial(w));
    }
    fake_endpoint_show_all(w->home, hf_buf_bytes(&w->old_root));
    CHECK_OK(device_update(w->d));
    assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 2);
}

static void check_the_trial_ends_after_a_day(struct world *w, const char *reason)
{
    while (trial_of(w).up_s < HF_TRIAL_MOST_S) {
        assert_true(is_on_trial(w));
        pass_time(w, 3600);
        CHECK_OK(device_update(w->d));
        assert_int_equal(n_events(w, "rollback"), 0);
        if (!is_on_trial(w))
            break;
    }
    assert_false(is_on_trial(w));
    assert_true(w->d->fake.uptime_ms >= HF_TRIAL_MOST_S * 1000);
    assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 3);
    assert_true(fake_log_has(&w->d->fake, reason));
}

static void take_both(struct world *w)
{
    publish(w, 3, &w->both);
    for (int i = 0; i < HF_PREFLIGHT_TRIES; i++)
        CHECK_REFUSED(device_update(w->d), HF_E_POSTPONED, &w->d->why, "version 3 waits");
    CHECK_OK(device_update(w->d));
    assert_true(is_on_trial(w));
    w->d->fake.uptime_ms = 0;
}

/* The bundle before never reached it either: going back would not help. */
static void test_an_endpoint_that_was_always_refused_keeps_no_trial_open(void **state)
{
    struct world *w = *state;
    struct hf_buf foreign = {0};

    device_make_anchor("Foreign Root", &foreign);
    fake_endpoint_show_all(w->home, hf_buf_bytes(&foreign));
    take_both(w);
    check_the_trial_ends_after_a_day(
        w, "no endpoint was lost by it; it waits no longer for mqtts://home.test:8883: no trust");
    hf_buf_free(&foreign);
}

/* An attacker on the network answers in its place: as good as silence. */
static void test_a_foreign_chain_ends_no_trial(void **state)
{
    struct world *w = *state;
    struct hf_buf foreign = {0};

    take_new_root_only(w, 3);
    device_make_anchor("Foreign Root", &foreign);
    fake_endpoint_show_all(w->home, hf_buf_bytes(&foreign));
    for (int i = 0; i < 30; i++) {
        pass_time(w, HF_DAY_S);
        CHECK_OK(device_update(w->d));
        assert_true(is_on_trial(w));
    }
    fake_endpoint_show_all(w->home, hf_buf_bytes(&w->old_root));
    CHECK_OK(device_update(w->d));
    assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 2);
    hf_buf_free(&foreign);
}

static void test_an_endpoint_that_was_never_reached_keeps_no_trial_open(void **state)
{
    struct world *w = *state;
    fake_endpoint_hide(w->home);
    take_both(w);
    check_the_trial_ends_after_a_day(w,
                                     "it waits no longer for mqtts://home.test:8883: connection");
}

/* The root is revoked, and the server keeps its chain. */
static void test_an_endpoint_that_is_given_up_keeps_no_trial_open(void **state)
{
    struct world *w = *state;

    CHECK_OK(device_update(w->d));
    publish_dropping_old(w, 3);
    CHECK_OK(device_update(w->d)); /* no anchor is left, so it waits for none */
    assert_true(is_on_trial(w));
    w->d->fake.uptime_ms = 0;
    check_the_trial_ends_after_a_day(w,
                                     "it waits no longer for mqtts://home.test:8883 would be lost");
}

static void test_clock_that_jumps_ends_no_trial(void **state)
{
    struct world *w = *state;
    take_new_root_only(w, 3);
    w->d->fake.now_s += 20 * HF_DAY_S;
    CHECK_OK(device_update(w->d));
    assert_true(is_on_trial(w));
    w->d->fake.now_s -= 30 * HF_DAY_S;
    CHECK_OK(device_update(w->d));
    assert_true(is_on_trial(w));
    w->d->fake.uptime_ms += HF_TRIAL_S * 1000;
    CHECK_OK(device_update(w->d));
    assert_false(is_on_trial(w));
}

static void test_uptime_counts_through_reboots(void **state)
{
    struct world *w = *state;
    take_new_root_only(w, 3);
    pass_time(w, HF_TRIAL_S / 2);
    CHECK_OK(device_update(w->d));
    device_reboot(w->d);
    w->d->fake.uptime_ms = 0; /* starts again */
    CHECK_OK(device_update(w->d));
    assert_true(is_on_trial(w));
    pass_time(w, HF_TRIAL_S / 2 - 1);
    CHECK_OK(device_update(w->d));
    assert_true(is_on_trial(w));
    pass_time(w, 1);
    CHECK_OK(device_update(w->d));
    assert_false(is_on_trial(w));
}

/* Up for eight seconds, once a day. */
static void wake(struct world *w)
{
    device_reboot(w->d);
    w->d->fake.now_s += HF_DAY_S;
    w->d->fake.uptime_ms = 8000;
    CHECK_OK(device_update(w->d));
    w->d->fake.uptime_ms = 20000; /* and it is asked once more before it goes off */
    CHECK_OK(device_update(w->d));
}

static void test_starts_count_where_a_device_is_hardly_ever_up(void **state)
{
    struct world *w = *state;
    w->d->fake.uptime_ms = 20000;
    take_new_root_only(w, 3);
    for (int i = 1; i < HF_TRIAL_STARTS; i++) {
        wake(w);
        assert_true(is_on_trial(w));
    }
    wake(w);
    assert_false(is_on_trial(w));
    assert_int_equal(n_events(w, "confirmed"), 1);
}

static void test_starts_confirm_nothing_that_no_endpoint_was_reached_with(void **state)
{
    struct world *w = *state;
    w->d->fake.uptime_ms = 20000;
    take_new_root_only(w, 3);
    fake_endpoint_hide(w->home);
    for (int i = 0; i < 2 * HF_TRIAL_STARTS; i++)
        wake(w);
    assert_true(is_on_trial(w));
    fake_endpoint_show_all(w->home, hf_buf_bytes(&w->old_root));
    CHECK_OK(device_update(w->d));
    assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 2);
}

static void test_a_trial_of_a_holdfast_that_counted_no_starts_goes_on(void **state)
{
    struct world *w = *state;
    take_new_root_only(w, 3);
    fake_store_put_value(&w->d->fake.store, "trial", "3 3599 1000");
    assert_true(is_on_trial(w));
    fake_store_put_value(&w->d->fake.store, "trial", "3 3599 1000 2 9");
    assert_false(is_on_trial(w));
}

static void test_endpoints_do_not_speak_for_the_application(void **state)
{
    struct world *w = *state;
    w->d->awaits_confirm = true;
    device_reboot(w->d);
    take_new_root_only(w, 3);
    pass_time(w, 2 * HF_TRIAL_S);
    CHECK_OK(device_update(w->d));
    assert_true(is_on_trial(w));
    fake_endpoint_show_all(w->home, hf_buf_bytes(&w->old_root));
    CHECK_OK(device_update(w->d)); /* but they may go back */
    assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 2);
}

static void test_chain_that_could_be_exchanged_on_the_way_rolls_nothing_back(void **state)
{
    struct world *w = *state;
    take_new_root_only(w, 3);
    fake_endpoint_hide(w->home);
    fake_endpoint_show(w->home, HF_OFFER_TLS12_ANY, hf_buf_bytes(&w->old_root));
    w->home->chains[HF_OFFER_TLS12_ANY].is_open = true;
    CHECK_OK(device_update(w->d));
    assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 3);
    assert_true(is_on_trial(w));
}

/* A trial that the endpoints say nothing about is looked at less often after a day of uptime. */
static void test_silent_trial_counts_a_day_of_uptime(void **state)
{
    struct world *w = *state;
    struct hf_trial trial;

    take_new_root_only(w, 3);
    fake_endpoint_hide(w->home);
    for (int i = 0; i < 150; i++) {
        pass_time(w, 720);
        CHECK_OK(device_update(w->d));
    }
    trial = trial_of(w);
    assert_true(trial.version > 0);
    assert_true(trial.up_s >= HF_DAY_S);
    assert_true(trial.up_s < HF_DAY_S + 720);
}

/* ---- a store that rots ----------------------------------------------------------------------- */

static void damage_active(struct world *w)
{
    struct hf_bundle_record *active = fake_store_bundle(&w->d->fake.store, HF_SLOT_ACTIVE);
    active->pem.data[active->pem.len / 2] ^= 1;
    active = &w->d->fake.store.at_rest.bundles[HF_SLOT_ACTIVE];
    active->pem.data[active->pem.len / 2] ^= 1;
}

static void test_damaged_bundle_on_trial_is_replaced(void **state)
{
    struct world *w = *state;
    take_new_root_only(w, 3);
    damage_active(w);
    CHECK_OK(device_update(w->d));
    assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 3);
    assert_true(is_live(w, &w->new_root));
    assert_true(is_on_trial(w));
}

static void check_the_next_version_comes(struct world *w, enum hf_slot unreadable)
{
    take_new_root_only(w, 3);
    device_make_unreadable(w->d, unreadable);
    publish(w, 4, &w->both);
    CHECK_OK(device_update(w->d));
    assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 4);
}

static void test_bundle_on_trial_that_cannot_be_read_any_more_is_replaced(void **state)
{
    check_the_next_version_comes(*state, HF_SLOT_ACTIVE);
}

static void test_bundle_before_that_cannot_be_read_any_more_holds_nothing_up(void **state)
{
    check_the_next_version_comes(*state, HF_SLOT_PREVIOUS);
}

static void test_version_that_replaces_a_damaged_one_is_the_one_on_trial(void **state)
{
    struct world *w = *state;
    struct hf_trial trial;

    take_new_root_only(w, 3);
    damage_active(w);
    publish(w, 4, &w->new_root);
    CHECK_OK(device_update(w->d));
    trial = trial_of(w);
    assert_true(trial.version > 0);
    assert_int_equal(trial.version, 4);
    fake_endpoint_show_all(w->home, hf_buf_bytes(&w->old_root));
    CHECK_OK(device_update(w->d));
    assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 2);
    CHECK_OK(device_update(w->d));
    assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 2); /* and 4 is what was rejected */
}

/* ---- another process ------------------------------------------------------------------------- */

/* `holdfast reject` beside a loop whose mirror is out of reach just because of the bundle
 * rejected. */
static void test_rollback_by_another_process_reaches_this_ones_live_store(void **state)
{
    struct world *w = *state;
    struct hf_ports ports = fake_ports_of(&w->d->fake);
    struct hf_client_config config = device_config(w->d);
    struct hf_client *other = NULL;
    struct fake_trust before;

    take_new_root_only(w, 3);
    fake_endpoint_hide(w->home);
    before = w->d->fake.trust;
    CHECK_OK(hf_client_open(&ports, &config, &other, &w->d->why));
    CHECK_OK(hf_client_reject(other, "no way home", &w->d->why));
    hf_client_close(other);
    w->d->fake.trust = before; /* each process has its own */
    fake_mirror_answer(&w->d->fake.transport.mirrors[0], "*", 0, NULL);
    assert_int_not_equal(device_update(w->d), HF_OK);
    assert_true(is_live(w, &w->old_root));
    assert_false(is_live(w, &w->new_root));
}

static void test_evidence_for_a_dropped_root_does_not_bring_it_back(void **state)
{
    struct world *w = *state;
    publish(w, 3, &w->both);
    CHECK_OK(device_update(w->d));
    pass_time(w, HF_TRIAL_S);
    CHECK_OK(device_update(w->d));
    assert_false(is_on_trial(w));
    fake_endpoint_show_all(w->home, hf_buf_bytes(&w->new_root));
    publish_dropping_old(w, 4);
    CHECK_OK(device_update(w->d));
    fake_endpoint_show_all(w->home, hf_buf_bytes(&w->old_root)); /* the one who stole its key */
    CHECK_OK(device_update(w->d));
    assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 4);
    assert_false(is_live(w, &w->old_root));
}

#define T(name, how) cmocka_unit_test_setup_teardown(name, how, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_first_bundle_is_not_on_trial, setup),
        T(test_next_successful_refresh_confirms, setup),
        T(test_application_confirms, setup_with_application),
        T(test_application_rejects, setup_with_application),
        T(test_no_rollback_without_a_record_of_the_rejection, setup_with_application),
        T(test_rejected_version_is_never_taken_again, setup_with_application),
        T(test_nothing_to_reject, setup_with_application),
        T(test_newer_version_on_top_of_a_trial_goes_back_to_what_was_confirmed,
          setup_with_application),
        T(test_rollback_never_restores_what_was_dropped, setup_with_application),
        T(test_no_rollback_to_nothing, setup_with_application),
        T(test_power_cut_during_rollback_leaves_old_or_new, setup_with_application),
        T(test_evidence_rolls_back, setup_with_endpoint),
        T(test_rollback_needs_no_repository, setup_with_endpoint),
        T(test_endpoints_confirm_after_the_time_of_the_trial, setup_with_endpoint),
        T(test_silence_makes_the_trial_longer, setup_with_endpoint),
        T(test_an_endpoint_that_was_always_refused_keeps_no_trial_open, setup_with_endpoint),
        T(test_a_foreign_chain_ends_no_trial, setup_with_endpoint),
        T(test_an_endpoint_that_was_never_reached_keeps_no_trial_open, setup_with_endpoint),
        T(test_an_endpoint_that_is_given_up_keeps_no_trial_open, setup_with_endpoint),
        T(test_clock_that_jumps_ends_no_trial, setup_with_endpoint),
        T(test_uptime_counts_through_reboots, setup_with_endpoint),
        T(test_starts_count_where_a_device_is_hardly_ever_up, setup_with_endpoint),
        T(test_starts_confirm_nothing_that_no_endpoint_was_reached_with, setup_with_endpoint),
        T(test_a_trial_of_a_holdfast_that_counted_no_starts_goes_on, setup_with_endpoint),
        T(test_endpoints_do_not_speak_for_the_application, setup_with_endpoint),
        T(test_evidence_for_a_dropped_root_does_not_bring_it_back, setup_with_endpoint),
        T(test_chain_that_could_be_exchanged_on_the_way_rolls_nothing_back, setup_with_endpoint),
        T(test_silent_trial_counts_a_day_of_uptime, setup_with_endpoint),
        T(test_damaged_bundle_on_trial_is_replaced, setup_with_endpoint),
        T(test_bundle_on_trial_that_cannot_be_read_any_more_is_replaced, setup_with_endpoint),
        T(test_bundle_before_that_cannot_be_read_any_more_holds_nothing_up, setup_with_endpoint),
        T(test_version_that_replaces_a_damaged_one_is_the_one_on_trial, setup_with_endpoint),
        T(test_rollback_by_another_process_reaches_this_ones_live_store, setup_with_endpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
