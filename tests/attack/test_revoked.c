/*
 * Revoked, distrusted and removed roots. Two parties want them back, or want to stop the bundle
 * that takes them away: a CA whose key was stolen, which stands between a device and its endpoint
 * with a certificate of its own; and an attacker with the targets keys, who revokes good roots.
 */
#include "tests/support/attack.h"

#include "common/base/digest.h"
#include "common/bundle/bundle.h"
#include "client/core/update.h"

#include <stdlib.h>
#include <string.h>

#define HOME "mqtts://home.test:8883"

/* Version 2, which is active and confirmed, holds both roots. */
struct world {
    struct device *d;
    struct fake_endpoint *home; /* shows a chain under the good one */
    struct hf_buf bad, good, both;
};

static void append(struct hf_buf *to, const struct hf_buf *pem)
{
    CHECK_OK(hf_buf_append(to, pem->data, pem->len));
}

static int setup_roots(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    void *device = NULL;

    assert_non_null(w);
    assert_int_equal(attack_setup(&device), 0);
    w->d = device;
    device_make_anchor("Bad Root", &w->bad);
    device_make_anchor("Good Root", &w->good);
    append(&w->both, &w->bad);
    append(&w->both, &w->good);
    device_add_bundle(w->d, 2, &w->both);
    tuf_repo_publish_next(&w->d->repo);
    CHECK_OK(device_update(w->d));
    CHECK_OK(hf_client_confirm(w->d->client, NULL));
    *state = w;
    return 0;
}

static int setup_endpoint(void **state)
{
    assert_int_equal(setup_roots(state), 0);
    struct world *w = *state;
    w->home = fake_endpoint_add(&w->d->fake.endpoints, HOME);
    device_reboot(w->d);
    fake_endpoint_show_all(w->home, hf_buf_bytes(&w->good));
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    void *device = w->d;

    hf_buf_free(&w->bad);
    hf_buf_free(&w->good);
    hf_buf_free(&w->both);
    free(w);
    return device_teardown(&device);
}

static struct hf_cert cert_of(const struct hf_buf *pem)
{
    struct hf_bundle bundle = {0};

    CHECK_OK(hf_bundle_parse(hf_buf_bytes(pem), NULL, &bundle, NULL));
    struct hf_cert cert = bundle.anchors[0].cert;
    hf_bundle_free(&bundle);
    cert.subject_der = cert.issuer_der = (struct hf_bytes){0};
    return cert;
}

static bool is_live(struct world *w, const struct hf_buf *pem)
{
    char sha256[HF_SHA256_HEX_LEN];
    const struct hf_cert cert = cert_of(pem);

    hf_hex_encode(cert.sha256, HF_SHA256_LEN, sha256);
    return fake_trust_has(&w->d->fake.trust, sha256);
}

static void publish(struct world *w, int64_t version, const struct hf_buf *pem, const char *key,
                    json_t *value)
{
    json_t *custom = device_custom(DEVICE_SET, DEVICE_PROFILE, version);
    char path[80];

    json_object_set_new(json_object_get(custom, "holdfast"), key, value);
    snprintf(path, sizeof path, DEVICE_SET "/" DEVICE_PROFILE "/%lld.pem", (long long)version);
    tuf_repo_add_target(&w->d->repo, path, hf_buf_bytes(pem), custom);
    tuf_repo_publish_next(&w->d->repo);
}

/* Revokes the key of `revoked` and, after it, so many others. */
static void publish_revoking(struct world *w, int64_t version, const struct hf_buf *pem,
                             const struct hf_buf *revoked, size_t n_others)
{
    char hex[HF_SHA256_HEX_LEN];
    const struct hf_cert cert = cert_of(revoked);
    json_t *drops = json_array();

    hf_hex_encode(cert.spki_sha256, HF_SHA256_LEN, hex);
    json_array_append_new(drops, json_string(hex));
    for (size_t i = 0; i < n_others; i++) {
        const uint8_t key[HF_SHA256_LEN] = {(uint8_t)(i >> 8), (uint8_t)i};
        hf_hex_encode(key, HF_SHA256_LEN, hex);
        json_array_append_new(drops, json_string(hex));
    }
    publish(w, version, pem, "drops", drops);
}

/* `key` is "distrust_after" or "remove_after". */
static void publish_dated(struct world *w, int64_t version, const struct hf_buf *pem,
                          const char *key, const char *date)
{
    char hex[HF_SHA256_HEX_LEN];
    const struct hf_cert cert = cert_of(&w->bad);

    hf_hex_encode(cert.sha256, HF_SHA256_LEN, hex);
    publish(w, version, pem, "anchors", json_pack("[{s:s, s:s}]", "sha256", hex, key, date));
}

/* ---- nothing brings back what the publisher revoked ------------------------------------------ */

/* As many as a description may hold, and the one that matters is the oldest of them. */
static void take_version_that_revokes(struct world *w)
{
    publish_revoking(w, 3, &w->good, &w->bad, HF_REVOKED_MAX - 1);
    CHECK_OK(device_update(w->d));
    assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 3);
    assert_false(is_live(w, &w->bad));
}

static void check_stays_revoked(struct world *w, int64_t active)
{
    struct hf_buf pem = {0};

    assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), active);
    assert_false(is_live(w, &w->bad));
    assert_true(is_live(w, &w->good));
    device_reboot(w->d);
    assert_false(is_live(w, &w->bad));
    assert_true(is_live(w, &w->good));
    CHECK_OK(hf_client_export_pem(w->d->client, &pem, &w->d->why));
    assert_null(strstr((const char *)pem.data, "Bad Root"));
    hf_buf_free(&pem);
}

static void revoked_root_does_not_come_back_by_reject(void **state)
{
    struct world *w = *state;
    take_version_that_revokes(w);
    CHECK_OK(hf_client_reject(w->d->client, "an attacker says so", &w->d->why));
    check_stays_revoked(w, 2);
    CHECK_OK(device_update(w->d));
    check_stays_revoked(w, 2);
}

/* The endpoint moves to a root that this version has left out by mistake: the device rolls back by
 * itself. */
static void revoked_root_does_not_come_back_by_a_rollback(void **state)
{
    struct world *w = *state;
    struct hf_buf third = {0}, all = {0};

    device_make_anchor("Third Root", &third);
    append(&all, &w->both);
    append(&all, &third);
    device_add_bundle(w->d, 3, &all);
    tuf_repo_publish_next(&w->d->repo);
    CHECK_OK(device_update(w->d));
    CHECK_OK(hf_client_confirm(w->d->client, NULL));
    publish_revoking(w, 4, &w->good, &w->bad, HF_REVOKED_MAX - 1);
    CHECK_OK(device_update(w->d));
    assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 4);
    fake_endpoint_show_all(w->home, hf_buf_bytes(&third));
    CHECK_OK(device_update(w->d));
    assert_true(w->d->result.is_rolled_back);
    check_stays_revoked(w, 3);
    assert_true(is_live(w, &third));
    hf_buf_free(&third);
    hf_buf_free(&all);
}

static void revoked_root_does_not_come_back_by_reset_to_the_factory(void **state)
{
    struct world *w = *state;
    take_version_that_revokes(w);
    CHECK_OK(hf_client_reset(w->d->client, hf_buf_bytes(&w->both), &w->d->why));
    check_stays_revoked(w, 0);
}

static void revoked_root_does_not_come_back_with_the_previous_slot(void **state)
{
    struct world *w = *state;
    take_version_that_revokes(w);
    fake_store_bundle(&w->d->fake.store, HF_SLOT_ACTIVE)->pem.data[30] ^= 1;
    fake_state_copy(&w->d->fake.store.at_rest, &w->d->fake.store.state);
    device_reboot(w->d);
    assert_true(fake_log_has(&w->d->fake, "the previous one is taken"));
    assert_true(is_live(w, &w->good));
    assert_false(is_live(w, &w->bad));
}

/* The list has rotted; what the active bundle says of it is left. */
static void revoked_root_does_not_come_back_when_the_list_is_lost(void **state)
{
    struct world *w = *state;
    take_version_that_revokes(w);
    w->d->fake.store.refuse_revoked = HF_E_STORAGE;
    CHECK_OK(hf_client_reset(w->d->client, hf_buf_bytes(&w->both), &w->d->why));
    check_stays_revoked(w, 0);
    assert_true(fake_log_has(&w->d->fake, "that of the newest stored bundle is used"));
}

static void revoked_root_does_not_come_back_after_a_power_cut(void **state)
{
    struct world *w = *state;
    struct fake_store *store = &w->d->fake.store;
    bool is_finished = false;

    for (unsigned cut = 1; !is_finished; cut++) {
        struct fake_state before = {0};
        fake_state_copy(&before, &store->state);
        publish_revoking(w, 2 + (int64_t)cut, &w->good, &w->bad, HF_REVOKED_MAX - 1);
        fake_store_reboot(store);
        store->cut_at_write = cut;
        is_finished = device_update(w->d) == HF_OK && !store->is_power_off;
        fake_store_reboot(store);
        device_reboot(w->d);
        /* Old or new; and where it is the new one, its list is there too. */
        bool is_new = device_version(w->d, HF_SLOT_ACTIVE) == 2 + (int64_t)cut;
        assert_int_equal(is_live(w, &w->bad), !is_new);
        if (is_new && hf_client_reject(w->d->client, NULL, &w->d->why) == HF_OK)
            assert_false(is_live(w, &w->bad));
        device_withdraw(w->d, 2 + (int64_t)cut);
        fake_state_copy(&store->state, &before);
        fake_state_copy(&store->at_rest, &before);
        fake_state_free(&before);
        device_reboot(w->d);
    }
}

/* ---- a stolen targets key revokes nothing permanently ---------------------------------------- */

static void a_later_version_that_holds_a_revoked_root_restores_it(void **state)
{
    struct world *w = *state;
    publish_revoking(w, 3, &w->bad, &w->good, 0); /* by the attacker */
    CHECK_OK(device_update(w->d));
    assert_false(is_live(w, &w->good));
    device_add_bundle(w->d, 4, &w->good);
    tuf_repo_publish_next(&w->d->repo);
    CHECK_OK(device_update(w->d));
    assert_true(is_live(w, &w->good));
    device_reboot(w->d);
    assert_true(is_live(w, &w->good));
}

/* The attacker's version was rejected, so that the publisher's own is active again without the
 * root. */
static void new_keys_replace_the_list_of_an_attacker(void **state)
{
    struct world *w = *state;
    publish_revoking(w, 3, &w->bad, &w->good, 0);
    CHECK_OK(device_update(w->d));
    CHECK_OK(hf_client_reject(w->d->client, "no", &w->d->why));
    assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 2);
    assert_false(is_live(w, &w->good));
    CHECK_OK(device_update(w->d)); /* the same keys: it holds */
    assert_false(is_live(w, &w->good));

    tuf_repo_rotate(&w->d->repo, HF_ROLE_TARGETS);
    device_withdraw(w->d, 3);
    CHECK_OK(device_update(w->d));
    assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 2);
    assert_true(is_live(w, &w->good));
    device_reboot(w->d);
    assert_true(is_live(w, &w->good));
}

/* ---- a CA cannot stop its own removal ---------------------------------------------------- */

/* The attacker impersonates the endpoint with a certificate that the bad CA has issued. */
static void impersonate_the_endpoint(struct world *w)
{
    fake_endpoint_show_all(w->home, hf_buf_bytes(&w->bad));
    for (int offer = 0; offer < FAKE_OFFERS; offer++)
        w->home->chains[offer].leaf_not_before_s = DEVICE_NOW_S - HF_DAY_S;
    w->home->was_shown_certificate = false;
}

/* Version 3 is installed in spite of the attacker, and stays. */
static void check_delays_only(struct world *w, const char *how)
{
    impersonate_the_endpoint(w);
    for (int i = 0; i < HF_PREFLIGHT_TRIES; i++) {
        CHECK_REFUSED(device_update(w->d), HF_E_POSTPONED, &w->d->why, how);
        assert_non_null(strstr(w->d->why.text, HOME " would be lost"));
        assert_non_null(strstr(w->d->why.text, "\"CN=Bad Root\""));
        /* But for the first look of all, with the bundle of then, before the new one was seen. */
        w->home->was_shown_certificate = i > 0 && w->home->was_shown_certificate;
    }
    assert_false(w->home->was_shown_certificate);
    CHECK_OK(device_update(w->d));
    assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 3);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(device_update(w->d));
        assert_false(w->d->result.is_rolled_back);
    }
    assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 3);
    assert_string_equal(fake_store_value(&w->d->fake.store, "bundle.rejected"), "");
}

static void revoked_ca_cannot_stop_its_revocation(void **state)
{
    struct world *w = *state;
    publish_revoking(w, 3, &w->good, &w->bad, 0);
    check_delays_only(w, "which the new bundle revokes");
}

static void distrusted_ca_cannot_stop_its_distrust(void **state)
{
    struct world *w = *state;
    publish_dated(w, 3, &w->both, "distrust_after", "2030-01-01T00:00:00Z");
    check_delays_only(w, "which the new bundle distrusts for its certificate");
}

static void removed_ca_cannot_stop_its_removal(void **state)
{
    struct world *w = *state;
    publish_dated(w, 3, &w->both, "remove_after", "2030-01-01T00:00:00Z");
    check_delays_only(w, "which the new bundle has removed");
}

/* One handshake with the attacker, after an honest preflight. */
static void distrusted_ca_cannot_cause_a_rollback(void **state)
{
    static const char *const keys[] = {"distrust_after", "remove_after"};
    struct world *w = *state;

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        fake_endpoint_show_all(w->home, hf_buf_bytes(&w->good));
        publish_dated(w, 3 + (int64_t)i, &w->both, keys[i], "2030-01-01T00:00:00Z");
        CHECK_OK(device_update(w->d));
        assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 3 + (int64_t)i);
        impersonate_the_endpoint(w);
        CHECK_OK(device_update(w->d));
        assert_false(w->d->result.is_rolled_back);
        assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 3 + (int64_t)i);
        assert_false(w->home->was_shown_certificate);
    }
}

/* The rule is about what the publisher signed, not about every root that is missing. */
static void a_root_that_is_left_out_by_mistake_is_still_evidence(void **state)
{
    struct world *w = *state;
    device_remember(w->d);
    device_add_bundle(w->d, 3, &w->bad);
    tuf_repo_publish_next(&w->d->repo);
    CHECK_REFUSED(device_update(w->d), HF_E_POLICY, &w->d->why, "\"CN=Good Root\" is missing");
    assert_true(fake_state_same_bundles(&w->d->before, &w->d->fake.store.state));
}

/* ---- one handshake suspends no removal ------------------------------------------------------- */

static void endpoint_under_a_removed_root_does_not_keep_it(void **state)
{
    struct world *w = *state;
    fake_endpoint_show_all(w->home, hf_buf_bytes(&w->bad));
    publish_dated(w, 3, &w->both, "remove_after", "2030-06-01T00:00:00Z");
    CHECK_OK(device_update(w->d));
    for (int i = 0; i < 3; i++) {
        CHECK_OK(device_update(w->d)); /* each with a look at the endpoint: a trial */
        assert_int_equal(w->d->fake.trust.remove_after_s[0], INT64_C(1906502400));
    }
    device_reboot(w->d);
    assert_int_equal(w->d->fake.trust.remove_after_s[0], INT64_C(1906502400));
}

/* ---- the publisher's will is done, and said -------------------------------------------------- */

static void an_endpoint_that_a_revocation_cuts_off_is_named(void **state)
{
    struct world *w = *state;
    struct hf_status status;

    publish_revoking(w, 3, &w->good, &w->bad, 0);
    fake_endpoint_show_all(w->home, hf_buf_bytes(&w->bad));
    for (int i = 0; i < HF_PREFLIGHT_TRIES; i++)
        CHECK_REFUSED(device_update(w->d), HF_E_POSTPONED, &w->d->why,
                      HOME " would be lost: its chain leads to \"CN=Bad Root\" only, which the new "
                           "bundle revokes; each endpoint was tried; it is installed anyway ");
    CHECK_OK(device_update(w->d));
    assert_string_equal(w->d->result.lost,
                        HOME " is lost: its chain leads to \"CN=Bad Root\", which "
                             "the publisher revoked");
    assert_int_equal(fake_store_count_events(&w->d->fake.store, "lost"), 1);
    CHECK_OK(hf_client_status(w->d->client, &status, &w->d->why));
    assert_string_equal(status.warnings[0].kind, "lost");
    assert_string_equal(status.warnings[0].endpoint, HOME);
    assert_string_equal(status.warnings[0].subject, "CN=Bad Root");
    assert_int_equal(status.warnings[0].at_s, w->d->fake.now_s);
    assert_non_null(strstr(status.warnings[0].text, "is lost since 2030-03-17"));
    assert_int_equal(status.endpoints[0].chains[2].lost_since_s, w->d->fake.now_s);
    assert_string_equal(status.endpoints[0].chains[2].lost_root, "CN=Bad Root");
    assert_string_equal(status.previous.anchors[0].state, "revoked");
    hf_status_free(&status);

    fake_endpoint_show_all(w->home, hf_buf_bytes(&w->good)); /* it moves */
    CHECK_OK(device_update(w->d));
    CHECK_OK(hf_client_status(w->d->client, &status, &w->d->why));
    for (size_t i = 0; i < status.n_warnings; i++)
        assert_string_not_equal(status.warnings[i].kind, "lost");
    assert_int_equal(fake_store_count_events(&w->d->fake.store, "regained"), 1);
    hf_status_free(&status);
}

/* Version 3 brought that root and was still on trial: neither slot holds it any more. */
static void a_root_that_came_and_went_within_one_trial_is_named(void **state)
{
    struct world *w = *state;
    struct hf_buf late = {0}, all = {0};

    device_make_anchor("Late Root", &late);
    append(&all, &w->both);
    append(&all, &late);
    device_add_bundle(w->d, 3, &all);
    tuf_repo_publish_next(&w->d->repo);
    CHECK_OK(device_update(w->d));
    fake_endpoint_show_all(w->home, hf_buf_bytes(&late));
    CHECK_OK(device_update(w->d)); /* seen, and too early to confirm */
    publish_revoking(w, 4, &w->both, &late, 0);
    for (int i = 0; i < HF_PREFLIGHT_TRIES; i++)
        CHECK_REFUSED(device_update(w->d), HF_E_POSTPONED, &w->d->why, "\"CN=Late Root\" only");
    CHECK_OK(device_update(w->d));
    assert_int_equal(device_version(w->d, HF_SLOT_ACTIVE), 4);
    assert_int_equal(device_version(w->d, HF_SLOT_PREVIOUS), 2);
    assert_string_equal(w->d->result.lost,
                        HOME " is lost: its chain leads to \"CN=Late Root\", which "
                             "the publisher revoked");
    hf_buf_free(&late);
    hf_buf_free(&all);
}

#define ROOTS(name) cmocka_unit_test_setup_teardown(name, setup_roots, teardown)
#define ENDPOINT(name) cmocka_unit_test_setup_teardown(name, setup_endpoint, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROOTS(revoked_root_does_not_come_back_by_reject),
        ENDPOINT(revoked_root_does_not_come_back_by_a_rollback),
        ROOTS(revoked_root_does_not_come_back_by_reset_to_the_factory),
        ROOTS(revoked_root_does_not_come_back_with_the_previous_slot),
        ROOTS(revoked_root_does_not_come_back_when_the_list_is_lost),
        ROOTS(revoked_root_does_not_come_back_after_a_power_cut),
        ROOTS(a_later_version_that_holds_a_revoked_root_restores_it),
        ROOTS(new_keys_replace_the_list_of_an_attacker),
        ENDPOINT(revoked_ca_cannot_stop_its_revocation),
        ENDPOINT(distrusted_ca_cannot_stop_its_distrust),
        ENDPOINT(removed_ca_cannot_stop_its_removal),
        ENDPOINT(distrusted_ca_cannot_cause_a_rollback),
        ENDPOINT(a_root_that_is_left_out_by_mistake_is_still_evidence),
        ENDPOINT(endpoint_under_a_removed_root_does_not_keep_it),
        ENDPOINT(an_endpoint_that_a_revocation_cuts_off_is_named),
        ENDPOINT(a_root_that_came_and_went_within_one_trial_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
