/* client/core/preflight, endpoints: would the device still reach its own servers? */
#include "tests/support/check.h"

#include "common/base/digest.h"
#include "common/base/timetext.h"
#include "common/bundle/bundle.h"
#include "client/core/update.h"
#include "tests/support/debian_roots.h"
#include "tests/support/device.h"

#include <stdlib.h>
#include <string.h>

/* Two roots; version 1 holds the old one. */
struct world {
    struct device *d;
    struct fake_endpoint *home;
    struct hf_buf old_root, new_root;
};

static void boot_with_endpoint(struct world *w)
{
    w->home = fake_endpoint_add(&w->d->fake.endpoints, "mqtts://home.test:8883");
    device_reboot(w->d);
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
    device_add_bundle(w->d, 2, &w->old_root);
    tuf_repo_publish_next(&w->d->repo);
    CHECK_OK(device_update(w->d)); /* the first one: nothing to lose, no endpoint is asked */
    assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 2);
    boot_with_endpoint(w);
    fake_endpoint_show_all(w->home, hf_buf_bytes(&w->old_root));
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    void *device = w->d;

    hf_buf_free(&w->old_root);
    hf_buf_free(&w->new_root);
    free(w);
    return device_teardown(&device);
}

static void publish(struct world *w, int64_t version, const struct hf_buf *pem)
{
    device_add_bundle(w->d, version, pem);
    tuf_repo_publish_next(&w->d->repo);
}

static void publish_both(struct world *w, int64_t version)
{
    struct hf_buf both = {0};
    CHECK_OK(hf_buf_append(&both, w->old_root.data, w->old_root.len));
    CHECK_OK(hf_buf_append(&both, w->new_root.data, w->new_root.len));
    publish(w, version, &both);
    hf_buf_free(&both);
}

static json_t *spki_list(const struct hf_buf *pem)
{
    struct hf_bundle bundle = {0};
    char hex[HF_SHA256_HEX_LEN];
    json_t *list = json_array();

    CHECK_OK(hf_bundle_parse(hf_buf_bytes(pem), NULL, &bundle, NULL));
    for (size_t i = 0; i < bundle.n_anchors; i++) {
        hf_hex_encode(bundle.anchors[i].cert.spki_sha256, HF_SHA256_LEN, hex);
        json_array_append_new(list, json_string(hex));
    }
    hf_bundle_free(&bundle);
    return list;
}

/* Version `version` holds `pem` and drops the keys of `dropped` on purpose. */
static void publish_dropping(struct world *w, int64_t version, const struct hf_buf *pem,
                             const struct hf_buf *dropped)
{
    json_t *custom = device_custom(DEVICE_SET, DEVICE_PROFILE, version);
    char path[80];

    json_object_set_new(json_object_get(custom, "holdfast"), "drops", spki_list(dropped));
    snprintf(path, sizeof path, DEVICE_SET "/" DEVICE_PROFILE "/%lld.pem", (long long)version);
    tuf_repo_add_target(&w->d->repo, path, hf_buf_bytes(pem), custom);
    tuf_repo_publish_next(&w->d->repo);
}

/* ---- evidence -------------------------------------------------------------------------------- */

static void test_candidate_that_reaches_the_endpoint_is_taken(void **state)
{
    struct world *w = *state;
    publish_both(w, 3);
    CHECK_OK(device_update(w->d));
    assert_int_equal(w->d->result.to_version, 3);
    assert_true(w->home->n_looks > 0);
}

static void test_missing_root_refuses_the_candidate(void **state)
{
    struct world *w = *state;
    publish(w, 3, &w->new_root);
    device_remember(w->d);
    CHECK_REFUSED(device_update(w->d), HF_E_POLICY, &w->d->why, "mqtts://home.test:8883");
    assert_non_null(strstr(w->d->why.text, "issued by \"CN=Issuing CA"));
    assert_non_null(strstr(w->d->why.text, "the anchor \"CN=Old Root\" is missing"));
    assert_true(fake_state_same_bundles(&w->d->before, &w->d->fake.store.state));
    assert_int_equal(fake_store_count_events(&w->d->fake.store, "failed"), 1);
    assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 2);
}

static void test_refused_candidate_is_taken_once_the_endpoint_has_moved(void **state)
{
    struct world *w = *state;
    publish(w, 3, &w->new_root);
    CHECK_REFUSED(device_update(w->d), HF_E_POLICY, &w->d->why, "is missing");
    fake_endpoint_show_all(w->home, hf_buf_bytes(&w->new_root));
    CHECK_OK(device_update(w->d));
    assert_int_equal(w->d->result.to_version, 3);
}

static void test_ca_that_is_dropped_has_no_veto(void **state)
{
    struct world *w = *state;

    /* Its chain stands under the root that goes, and under nothing else. */
    publish_both(w, 3);
    CHECK_OK(device_update(w->d));
    publish_dropping(w, 4, &w->new_root, &w->old_root);
    for (int i = 0; i < HF_PREFLIGHT_TRIES; i++)
        CHECK_REFUSED(device_update(w->d), HF_E_POSTPONED, &w->d->why,
                      i < HF_PREFLIGHT_TRIES - 1
                          ? " checks from now, or with the first check after "
                            "2030-03-18T17:46:40Z"
                          : "anyway 1 check from now");
    assert_non_null(strstr(w->d->why.text,
                           "mqtts://home.test:8883 would be lost: its chain leads to \"CN=Old "
                           "Root\" only, which the new bundle revokes; each endpoint was tried"));
    assert_int_equal(fake_store_count_events(&w->d->fake.store, "postponed"), 1);
    CHECK_OK(device_update(w->d));
    assert_int_equal(w->d->result.to_version, 4);
}

static void test_drop_of_all_that_is_active_is_taken_at_once(void **state)
{
    struct world *w = *state;
    publish_dropping(w, 3, &w->new_root, &w->old_root);
    CHECK_OK(device_update(w->d));
    assert_int_equal(w->d->result.to_version, 3);
}

static void test_drop_of_another_root_excuses_nothing(void **state)
{
    struct world *w = *state;
    struct hf_buf third = {0};

    device_make_anchor("Third Root", &third);
    publish_dropping(w, 3, &w->new_root, &third);
    CHECK_REFUSED(device_update(w->d), HF_E_POLICY, &w->d->why, "is missing");
    hf_buf_free(&third);
}

static void test_chain_under_both_roots_may_lose_the_dropped_one(void **state)
{
    struct world *w = *state;
    struct hf_buf both = {0};

    publish_both(w, 3);
    CHECK_OK(device_update(w->d));
    CHECK_OK(hf_buf_append(&both, w->old_root.data, w->old_root.len));
    CHECK_OK(hf_buf_append(&both, w->new_root.data, w->new_root.len));
    fake_endpoint_show_all(w->home, hf_buf_bytes(&both));
    publish_dropping(w, 4, &w->new_root, &w->old_root);
    CHECK_OK(device_update(w->d));
    assert_int_equal(w->d->result.to_version, 4);
    hf_buf_free(&both);
}

/* ATS endpoints show another chain for each type of key: one of them lost is lost. */
static void test_chain_of_one_key_type_that_is_lost_refuses(void **state)
{
    struct world *w = *state;
    struct hf_buf rsa = {0}, ecc = {0}, all = {0};

    debian_root_load(&debian_roots[0], &rsa); /* Amazon Root CA 1 */
    debian_root_load(&debian_roots[2], &ecc); /* Amazon Root CA 3 */
    CHECK_OK(hf_buf_append(&all, rsa.data, rsa.len));
    CHECK_OK(hf_buf_append(&all, ecc.data, ecc.len));
    fake_endpoint_hide(w->home);
    fake_endpoint_show(w->home, HF_OFFER_TLS13_RSA, hf_buf_bytes(&rsa));
    fake_endpoint_show(w->home, HF_OFFER_TLS12_RSA, hf_buf_bytes(&rsa));
    fake_endpoint_show(w->home, HF_OFFER_TLS12_ECC, hf_buf_bytes(&ecc));
    publish(w, 3, &all);
    CHECK_OK(device_update(w->d));
    publish(w, 4, &rsa);
    CHECK_REFUSED(device_update(w->d), HF_E_POLICY, &w->d->why, "Amazon Root CA 3");
    assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 3);
    hf_buf_free(&rsa);
    hf_buf_free(&ecc);
    hf_buf_free(&all);
}

static void test_key_type_that_is_not_offered_is_no_failure(void **state)
{
    struct world *w = *state;
    struct hf_buf rsa = {0}, ecc = {0}, all = {0};

    debian_root_load(&debian_roots[0], &rsa); /* Amazon Root CA 1 */
    debian_root_load(&debian_roots[2], &ecc); /* Amazon Root CA 3 */
    CHECK_OK(hf_buf_append(&all, rsa.data, rsa.len));
    CHECK_OK(hf_buf_append(&all, ecc.data, ecc.len));
    fake_endpoint_hide(w->home);
    fake_endpoint_show(w->home, HF_OFFER_TLS12_RSA, hf_buf_bytes(&rsa));
    CHECK_OK(device_update(w->d)); /* asks what it shows; the anchor of now is of one type */
    w->home->n_looks = 0;
    publish(w, 3, &all);
    CHECK_OK(device_update(w->d));
    assert_int_equal(w->home->n_looks, 4); /* two versions of TLS, two types of key */
    hf_buf_free(&rsa);
    hf_buf_free(&ecc);
    hf_buf_free(&all);
}

/* Else the CA that is distrusted could stop it. */
static void test_distrust_that_would_cut_off_only_delays(void **state)
{
    struct world *w = *state;
    json_t *custom = device_custom(DEVICE_SET, DEVICE_PROFILE, 3);
    struct hf_bundle bundle = {0};
    char hex[HF_SHA256_HEX_LEN];

    CHECK_OK(hf_bundle_parse(hf_buf_bytes(&w->old_root), NULL, &bundle, NULL));
    hf_hex_encode(bundle.anchors[0].cert.sha256, HF_SHA256_LEN, hex);
    hf_bundle_free(&bundle);
    json_object_set_new(json_object_get(custom, "holdfast"), "anchors",
                        json_pack("[{s:s, s:s}]", "sha256", hex, "distrust_after",
                                  "2029-01-01T00:00:00Z"));
    tuf_repo_add_target(&w->d->repo, DEVICE_SET "/" DEVICE_PROFILE "/3.pem",
                        hf_buf_bytes(&w->old_root), custom);
    tuf_repo_publish_next(&w->d->repo);
    for (int offer = 0; offer < FAKE_OFFERS; offer++)
        w->home->chains[offer].leaf_not_before_s = DEVICE_NOW_S - HF_DAY_S;
    for (int i = 0; i < HF_PREFLIGHT_TRIES; i++)
        CHECK_REFUSED(device_update(w->d), HF_E_POSTPONED, &w->d->why,
                      "leads to \"CN=Old Root\" only, which the new bundle distrusts for its "
                      "certificate");
    CHECK_OK(device_update(w->d));
    assert_non_null(strstr(w->d->result.lost, "mqtts://home.test:8883 is lost"));
    CHECK_OK(device_update(w->d)); /* nor does it roll back */
    assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 3);
}

/* An attacker with stolen targets keys installed another root and impersonates the endpoint with
 * it. */
static void test_bundle_of_former_keys_has_no_veto(void **state)
{
    struct world *w = *state;
    struct hf_buf other = {0};

    device_make_anchor("Mallory Root", &other);
    fake_endpoint_show_all(w->home, hf_buf_bytes(&other));
    publish(w, 1000, &other);
    CHECK_OK(device_update(w->d));
    tuf_repo_rotate(&w->d->repo, HF_ROLE_TARGETS);
    device_withdraw(w->d, 1000);
    publish(w, 3, &w->new_root);
    for (int i = 0; i < HF_PREFLIGHT_TRIES; i++)
        CHECK_REFUSED(device_update(w->d), HF_E_POSTPONED, &w->d->why, "Mallory Root");
    CHECK_OK(device_update(w->d));
    assert_int_equal(w->d->result.to_version, 3);
    CHECK_REFUSED(hf_client_reject(w->d->client, "no", &w->d->why), HF_E_STATE, &w->d->why,
                  "no bundle is on trial");
    CHECK_OK(device_update(w->d)); /* nor does the endpoint's chain bring it back */
    assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 3);
    hf_buf_free(&other);
}

/* ---- no evidence ----------------------------------------------------------------------------- */

static void check_delays_and_ends(struct world *w)
{
    publish(w, 3, &w->new_root);
    device_remember(w->d);
    for (int i = 0; i < HF_PREFLIGHT_TRIES; i++) {
        CHECK_REFUSED(device_update(w->d), HF_E_POSTPONED, &w->d->why, "mqtts://home.test:8883");
        assert_true(fake_state_same_bundles(&w->d->before, &w->d->fake.store.state));
    }
    assert_int_equal(fake_store_count_events(&w->d->fake.store, "postponed"), 1);
    assert_string_equal(fake_store_value(&w->d->fake.store, "check.outcome"), "postponed");
    CHECK_OK(device_update(w->d));
    assert_int_equal(w->d->result.to_version, 3);
    assert_true(
        fake_log_has(&w->d->fake, "installed without evidence that it reaches every endpoint"));
}

static void test_endpoint_that_is_down_delays_by_a_bounded_number_of_tries(void **state)
{
    struct world *w = *state;
    fake_endpoint_hide(w->home);
    check_delays_and_ends(w);
}

static void test_chain_without_proof_of_its_key_is_no_evidence(void **state)
{
    struct world *w = *state;
    for (int offer = 0; offer < FAKE_OFFERS; offer++)
        w->home->chains[offer].lacks_proof = true;
    check_delays_and_ends(w);
}

/* In TLS 1.2 an attacker on the network can put other certificates between a server's own one and
 * the roots, until the handshake ends. */
static void test_chain_that_could_be_exchanged_on_the_way_has_no_veto(void **state)
{
    struct world *w = *state;
    fake_endpoint_hide(w->home);
    fake_endpoint_show(w->home, HF_OFFER_TLS12_ANY, hf_buf_bytes(&w->old_root));
    w->home->chains[HF_OFFER_TLS12_ANY].is_open = true;
    check_delays_and_ends(w);
    assert_true(fake_log_has(&w->d->fake, "before it had proved the chain"));
}

/* A check has a quarter of an hour for its mirrors. Endpoints that let every look run out of time
 * must not use it up. */
static void test_time_spent_on_endpoints_is_not_that_of_the_mirrors(void **state)
{
    struct world *w = *state;
    w->d->fake.endpoints.uptime_ms = &w->d->fake.uptime_ms;
    w->d->fake.endpoints.look_ms = HF_TIMEOUT_CHECK_MS;
    publish_both(w, 3);
    CHECK_OK(device_update(w->d));
    assert_int_equal(w->d->result.to_version, 3);
    publish(w, 4, &w->old_root);
    CHECK_OK(
        device_update(w->d)); /* version 3 is on trial: they are asked before the mirrors are */
    assert_int_equal(w->d->result.to_version, 4);
}

static void test_chain_that_validates_under_neither_is_no_evidence(void **state)
{
    struct world *w = *state;
    struct hf_buf foreign = {0};

    device_make_anchor("Foreign Root", &foreign);
    fake_endpoint_show_all(w->home, hf_buf_bytes(&foreign));
    check_delays_and_ends(w);
    hf_buf_free(&foreign);
}

static void test_one_silent_endpoint_of_two_delays(void **state)
{
    struct world *w = *state;
    (void)fake_endpoint_add(&w->d->fake.endpoints, "https://other.test:443");
    device_reboot(w->d);
    publish_both(w, 3);
    CHECK_REFUSED(device_update(w->d), HF_E_POSTPONED, &w->d->why,
                  "https://other.test:443: connection refused");
    assert_int_equal(w->d->result.to_version, 2);
    assert_int_equal(w->d->result.held_version, 3);
    assert_false(w->d->result.is_changed);
}

static void test_all_silent_endpoints_are_named(void **state)
{
    struct world *w = *state;
    (void)fake_endpoint_add(&w->d->fake.endpoints, "https://b.test:443");
    (void)fake_endpoint_add(&w->d->fake.endpoints, "https://c.test:443");
    (void)fake_endpoint_add(&w->d->fake.endpoints, "https://d.test:443");
    device_reboot(w->d);
    publish_both(w, 3);
    CHECK_REFUSED(
        device_update(w->d), HF_E_POSTPONED, &w->d->why,
        "version 3 waits: https://b.test:443: connection refused; 2 more gave no evidence "
        "either: https://c.test:443, https://d.test:443; each endpoint was tried");
}

static void test_delay_ends_after_a_day(void **state)
{
    struct world *w = *state;
    fake_endpoint_hide(w->home);
    publish(w, 3, &w->new_root);
    CHECK_REFUSED(device_update(w->d), HF_E_POSTPONED, &w->d->why, "waits");
    w->d->fake.now_s += HF_PREFLIGHT_WAIT_S - 1;
    CHECK_REFUSED(device_update(w->d), HF_E_POSTPONED, &w->d->why, "waits");
    w->d->fake.now_s += 1;
    CHECK_OK(device_update(w->d));
}

static void test_clock_set_back_does_not_make_the_delay_longer(void **state)
{
    struct world *w = *state;
    fake_endpoint_hide(w->home);
    publish(w, 3, &w->new_root);
    for (int i = 0; i < HF_PREFLIGHT_TRIES; i++) {
        CHECK_REFUSED(device_update(w->d), HF_E_POSTPONED, &w->d->why, "waits");
        w->d->fake.now_s -= HF_DAY_S / 16;
        device_reboot(w->d); /* and the count survives that */
    }
    CHECK_OK(device_update(w->d));
}

static void test_another_version_waits_anew(void **state)
{
    struct world *w = *state;
    fake_endpoint_hide(w->home);
    publish(w, 3, &w->new_root);
    for (int i = 0; i < HF_PREFLIGHT_TRIES; i++)
        CHECK_REFUSED(device_update(w->d), HF_E_POSTPONED, &w->d->why, "version 3 waits");
    publish_both(w, 4);
    CHECK_REFUSED(device_update(w->d), HF_E_POSTPONED, &w->d->why, "version 4 waits");
}

static void test_device_with_nothing_left_does_not_wait(void **state)
{
    struct world *w = *state;
    struct hf_buf brief = {0};

    device_make_dated_anchor("Brief Root", DEVICE_NOW_S, DEVICE_NOW_S + 3600, &brief);
    fake_endpoint_show_all(w->home, hf_buf_bytes(&brief));
    publish(w, 3, &brief);
    CHECK_OK(device_update(w->d));
    w->d->fake.now_s += 3601;
    publish(w, 4, &w->new_root);
    CHECK_OK(device_update(w->d));
    assert_int_equal(w->d->result.to_version, 4);
    hf_buf_free(&brief);
}

static void test_devices_own_fault_is_neither_evidence_nor_silence(void **state)
{
    struct world *w = *state;
    publish(w, 3, &w->new_root);
    device_remember(w->d);
    w->d->fake.endpoints.own_fault = HF_E_MEMORY;
    CHECK_REFUSED(device_update(w->d), HF_E_MEMORY, &w->d->why, "the port's own fault");
    assert_true(fake_state_same_bundles(&w->d->before, &w->d->fake.store.state));
}

static void damage_description(struct hf_bundle_record *active)
{
    active->custom.data[0] = '!';
}

/* Its hash is of the certificates only. Nothing can be compared with what cannot be read. */
static void test_bundle_with_a_damaged_description_is_replaced(void **state)
{
    struct world *w = *state;
    damage_description(&w->d->fake.store.state.bundles[HF_SLOT_ACTIVE]);
    damage_description(&w->d->fake.store.at_rest.bundles[HF_SLOT_ACTIVE]);
    publish_both(w, 3);
    CHECK_OK(device_update(w->d));
    assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 3);
    damage_description(&w->d->fake.store.state.bundles[HF_SLOT_ACTIVE]);
    damage_description(&w->d->fake.store.at_rest.bundles[HF_SLOT_ACTIVE]);
    CHECK_OK(device_update(w->d)); /* also by the same version */
    assert_int_equal(fake_store_bundle(&w->d->fake.store, HF_SLOT_ACTIVE)->custom.data[0], '{');
}

static void test_bundle_that_cannot_be_read_any_more_is_replaced(void **state)
{
    struct world *w = *state;
    device_make_unreadable(w->d, HF_SLOT_ACTIVE);
    publish_both(w, 3);
    CHECK_OK(device_update(w->d));
    assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 3);
}

static void test_unchanged_check_asks_no_endpoint(void **state)
{
    struct world *w = *state;
    CHECK_OK(device_update(w->d)); /* learns what the endpoint shows */
    unsigned n = w->home->n_looks;
    assert_true(n > 0);
    CHECK_OK(device_update(w->d));
    assert_int_equal(w->home->n_looks, n);
}

static void test_bundle_that_drops_what_it_holds_is_refused(void **state)
{
    struct world *w = *state;
    publish_dropping(w, 3, &w->old_root, &w->old_root);
    CHECK_REFUSED(device_update(w->d), HF_E_POLICY, &w->d->why, "says that this anchor is dropped");
    assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 2);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_candidate_that_reaches_the_endpoint_is_taken),
        T(test_missing_root_refuses_the_candidate),
        T(test_refused_candidate_is_taken_once_the_endpoint_has_moved),
        T(test_ca_that_is_dropped_has_no_veto),
        T(test_drop_of_all_that_is_active_is_taken_at_once),
        T(test_drop_of_another_root_excuses_nothing),
        T(test_chain_under_both_roots_may_lose_the_dropped_one),
        T(test_chain_of_one_key_type_that_is_lost_refuses),
        T(test_key_type_that_is_not_offered_is_no_failure),
        T(test_distrust_that_would_cut_off_only_delays),
        T(test_bundle_of_former_keys_has_no_veto),
        T(test_endpoint_that_is_down_delays_by_a_bounded_number_of_tries),
        T(test_chain_without_proof_of_its_key_is_no_evidence),
        T(test_chain_that_could_be_exchanged_on_the_way_has_no_veto),
        T(test_time_spent_on_endpoints_is_not_that_of_the_mirrors),
        T(test_chain_that_validates_under_neither_is_no_evidence),
        T(test_one_silent_endpoint_of_two_delays),
        T(test_all_silent_endpoints_are_named),
        T(test_delay_ends_after_a_day),
        T(test_clock_set_back_does_not_make_the_delay_longer),
        T(test_another_version_waits_anew),
        T(test_device_with_nothing_left_does_not_wait),
        T(test_devices_own_fault_is_neither_evidence_nor_silence),
        T(test_bundle_with_a_damaged_description_is_replaced),
        T(test_bundle_that_cannot_be_read_any_more_is_replaced),
        T(test_unchanged_check_asks_no_endpoint),
        T(test_bundle_that_drops_what_it_holds_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
