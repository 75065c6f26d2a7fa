/* client/core/state, endpoints, losses: what is known of the device's servers, and which are
 * lost. */
#include "tests/support/check.h"

#include "common/base/digest.h"
#include "common/base/timetext.h"
#include "common/bundle/bundle.h"
#include "client/core/endpoints.h"
#include "tests/support/device.h"
#include "tests/support/test_pki.h"

#include <mbedtls/oid.h>

#include <stdlib.h>
#include <string.h>

#define REMOVE_AFTER "2030-06-01T00:00:00Z"
#define REMOVE_AFTER_S INT64_C(1906502400)

/* Version 2 holds two roots, and each is to be removed on REMOVE_AFTER unless a test says
 * otherwise. */
struct world {
    struct device *d;
    struct fake_endpoint *home;
    struct hf_buf a, b, both;
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    void *device = NULL;

    assert_non_null(w);
    assert_int_equal(device_setup(&device), 0);
    w->d = device;
    w->home = fake_endpoint_add(&w->d->fake.endpoints, "mqtts://home.test:8883");
    device_reboot(w->d);
    device_make_anchor("Root A", &w->a);
    device_make_anchor("Root B", &w->b);
    CHECK_OK(hf_buf_append(&w->both, w->a.data, w->a.len));
    CHECK_OK(hf_buf_append(&w->both, w->b.data, w->b.len));
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    void *device = w->d;

    hf_buf_free(&w->a);
    hf_buf_free(&w->b);
    hf_buf_free(&w->both);
    free(w);
    return device_teardown(&device);
}

/* As the next operation would load it. */
static struct hf_endpoint_state known_of(struct world *w, enum hf_key_type type)
{
    hf_state_load(w->d->client);
    return *hf_state_endpoint(w->d->client, 0, type);
}

static void sha256_of(const struct hf_buf *pem, char out[65])
{
    struct hf_bundle bundle = {0};
    CHECK_OK(hf_bundle_parse(hf_buf_bytes(pem), NULL, &bundle, NULL));
    hf_hex_encode(bundle.anchors[0].cert.sha256, HF_SHA256_LEN, out);
    hf_bundle_free(&bundle);
}

static void publish_with_end(struct world *w, const struct hf_buf *pem,
                             const struct hf_buf *const *ending, size_t n_ending)
{
    json_t *custom = device_custom(DEVICE_SET, DEVICE_PROFILE, 2);
    json_t *notes = json_array();
    char sha256[65];

    for (size_t i = 0; i < n_ending; i++) {
        sha256_of(ending[i], sha256);
        json_array_append_new(notes, json_pack("{s:s, s:s}", "sha256", sha256, "remove_after",
                                               REMOVE_AFTER));
    }
    json_object_set_new(json_object_get(custom, "holdfast"), "anchors", notes);
    tuf_repo_add_target(&w->d->repo, DEVICE_SET "/" DEVICE_PROFILE "/2.pem", hf_buf_bytes(pem),
                        custom);
    tuf_repo_publish_next(&w->d->repo);
}

/* As the TLS library would: by the dates that it was given at the last swap. */
static bool is_removed_at(struct world *w, const struct hf_buf *pem, int64_t now_s)
{
    char sha256[65];
    int64_t remove_after_s = INT64_MAX;

    sha256_of(pem, sha256);
    for (size_t i = 0; i < w->d->fake.trust.n_anchors; i++) {
        if (strcmp(w->d->fake.trust.sha256[i], sha256) == 0)
            remove_after_s = w->d->fake.trust.remove_after_s[i];
    }
    assert_int_not_equal(remove_after_s, INT64_MAX);
    return remove_after_s != HF_TIME_NONE && now_s > remove_after_s;
}

/* ---- remove_after ---------------------------------------------------------------------------- */

static void test_anchor_goes_when_its_time_comes(void **state)
{
    struct world *w = *state;
    publish_with_end(w, &w->both, (const struct hf_buf *const[]){&w->a}, 1);
    CHECK_OK(device_update(w->d));
    assert_false(is_removed_at(w, &w->a, REMOVE_AFTER_S));
    assert_true(is_removed_at(w, &w->a, REMOVE_AFTER_S + 1));
    assert_false(is_removed_at(w, &w->b, REMOVE_AFTER_S + 1));
}

/* It is always removed, whatever an endpoint showed: else one handshake would suspend what the
 * publisher signed. */
static void test_last_anchor_of_an_endpoint_goes_too(void **state)
{
    struct world *w = *state;
    publish_with_end(w, &w->both, (const struct hf_buf *const[]){&w->a}, 1);
    fake_endpoint_show_all(w->home, hf_buf_bytes(&w->a));
    CHECK_OK(device_update(w->d));
    w->d->fake.now_s += HF_DAY_S;
    CHECK_OK(device_update(w->d));
    assert_true(is_removed_at(w, &w->a, REMOVE_AFTER_S + 1));
    device_reboot(w->d);
    assert_true(is_removed_at(w, &w->a, REMOVE_AFTER_S + 1));
}

static void learn(struct world *w)
{
    device_add_bundle(w->d, 2, &w->both);
    tuf_repo_publish_next(&w->d->repo);
    CHECK_OK(device_update(w->d)); /* the first: nothing to look with before, so after it */
}

/* ---- endpoints that are lost ----------------------------------------------------------------- */

static const char *lost_value(struct world *w)
{
    return fake_store_value(&w->d->fake.store, "endpoint.0.any.lost");
}

static void test_an_endpoint_that_a_removal_cuts_off_is_said_to_be_lost(void **state)
{
    struct world *w = *state;
    publish_with_end(w, &w->both, (const struct hf_buf *const[]){&w->a}, 1);
    fake_endpoint_show_all(w->home, hf_buf_bytes(&w->a));
    CHECK_OK(device_update(w->d));
    assert_string_equal(w->d->result.lost, "");
    w->d->fake.now_s = REMOVE_AFTER_S + 1;
    CHECK_OK(device_update(w->d));
    assert_string_equal(w->d->result.lost,
                        "mqtts://home.test:8883 is lost: its chain leads to \"CN=Root A\", which "
                        "the publisher removed by its date");
    assert_non_null(strstr(fake_store_value(&w->d->fake.store, "check.text"), "CN=Root A"));
    assert_string_equal(lost_value(w), "mqtts://home.test:8883 1906502401 removed CN=Root A");

    w->d->fake.now_s += HF_DAY_S; /* said once */
    CHECK_OK(device_update(w->d));
    assert_string_equal(w->d->result.lost, "");
    assert_int_equal(fake_store_count_events(&w->d->fake.store, "lost"), 1);
    assert_int_equal(fake_store_count_events(&w->d->fake.store, "regained"), 0);
}

static void test_it_is_said_too_when_the_check_fails(void **state)
{
    struct world *w = *state;
    publish_with_end(w, &w->both, (const struct hf_buf *const[]){&w->a}, 1);
    fake_endpoint_show_all(w->home, hf_buf_bytes(&w->a));
    CHECK_OK(device_update(w->d));
    w->d->fake.now_s = REMOVE_AFTER_S + 1;
    fake_mirror_answer(&w->d->fake.transport.mirrors[0], "*", 0, NULL);
    CHECK_REFUSED(device_update(w->d), HF_E_NETWORK, &w->d->why, "connection refused");
    assert_non_null(strstr(w->d->result.lost, "which the publisher removed by its date"));
}

static void test_a_lost_endpoint_is_looked_at_each_day_until_it_is_back(void **state)
{
    struct world *w = *state;
    test_an_endpoint_that_a_removal_cuts_off_is_said_to_be_lost(state);
    fake_endpoint_show_all(w->home, hf_buf_bytes(&w->b));
    w->d->fake.now_s += HF_DAY_S;
    CHECK_OK(device_update(w->d));
    assert_string_equal(lost_value(w), "");
    assert_int_equal(fake_store_count_events(&w->d->fake.store, "regained"), 1);
}

/* The fake endpoint's chain leads to keys, whatever their certificates say. */
static void test_an_endpoint_below_a_root_that_is_not_for_servers_is_lost(void **state)
{
    static const uint8_t for_mail[] = MBEDTLS_OID_EMAIL_PROTECTION;
    struct world *w = *state;
    struct hf_buf mail = {0};
    struct pki_key key;

    pki_key_make(&key, PKI_P256);
    pki_issue_pem(&(struct pki_cert){.subject = "CN=Mail",
                                     .key = &key,
                                     .is_ca = true,
                                     .extended_usage = {for_mail, sizeof for_mail - 1}},
                  &mail);
    fake_endpoint_show_all(w->home, hf_buf_bytes(&mail));
    CHECK_OK(hf_buf_append(&w->both, mail.data, mail.len));
    learn(w);
    assert_string_equal(w->d->result.lost,
                        "mqtts://home.test:8883 is lost: its chain leads to \"CN=Mail\", whose "
                        "certificate in the active bundle is not for servers");
    assert_non_null(strstr(lost_value(w), " refused CN=Mail"));
    pki_key_free(&key);
    hf_buf_free(&mail);
}

static void test_damaged_loss_is_none(void **state)
{
    static const char *const damaged[] = {
        "mqtts://home.test:8883",
        "mqtts://home.test:8883 1",
        "mqtts://home.test:8883 1 revoked",
        "mqtts://home.test:8883 1 eaten CN=A",
        "mqtts://home.test:88 1 revoked CN=A",
    };
    struct world *w = *state;
    struct hf_loss loss;

    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        fake_store_put_value(&w->d->fake.store, "endpoint.0.any.lost", damaged[i]);
        loss = known_of(w, HF_KEY_TYPE_ANY).loss;
        assert_int_equal(loss.since_s, HF_TIME_NONE);
    }
}

/* ---- endpoints that are refused -------------------------------------------------------------- */

#define REFUSED                                                                                    \
    "mqtts://home.test:8883 is refused: no trust anchor for issuer \"CN=Issuing CA 5\" among 2"

static const char *refused_value(struct world *w)
{
    return fake_store_value(&w->d->fake.store, "endpoint.0.refused");
}

static size_t n_warnings_of_refusals(struct world *w)
{
    struct hf_status s = {0};
    size_t n = 0;

    CHECK_OK(hf_client_status(w->d->client, &s, &w->d->why));
    for (size_t i = 0; i < s.n_warnings; i++) {
        if (strcmp(s.warnings[i].kind, "refused") != 0)
            continue;
        n++;
        assert_int_equal(s.warnings[i].at_s, s.endpoints[0].refused_s);
        assert_string_equal(s.warnings[i].endpoint, w->home->name);
        assert_non_null(strstr(s.warnings[i].text, s.endpoints[0].refused));
    }
    hf_status_free(&s);
    return n;
}

static void learn(struct world *w);

/* By the anchors that the device uses, which are two. */
static void test_a_refusal_is_kept_and_said_once(void **state)
{
    struct world *w = *state;
    struct hf_buf foreign = {0};

    device_make_anchor("Foreign Root", &foreign);
    fake_endpoint_show_all(w->home, hf_buf_bytes(&foreign));
    learn(w);
    assert_string_equal(w->d->result.refused, REFUSED);
    assert_true(fake_log_has(&w->d->fake, REFUSED));
    assert_int_equal(fake_store_count_events(&w->d->fake.store, "refused"), 1);
    assert_int_equal(n_warnings_of_refusals(w), 1);
    hf_state_load(w->d->client);
    assert_int_equal(w->d->client->state.refusals[0].seen_s, w->d->fake.now_s);

    for (int i = 0; i < 3; i++) { /* it costs no transaction of its own */
        w->d->fake.now_s += HF_DAY_S;
        w->d->fake.store.n_transactions = 0;
        CHECK_OK(device_update(w->d));
        assert_int_equal(w->d->fake.store.n_transactions, 1);
        assert_string_equal(w->d->result.refused, "");
        assert_int_equal(w->d->client->state.refusals[0].seen_s, w->d->fake.now_s);
    }
    assert_int_equal(fake_store_count_events(&w->d->fake.store, "refused"), 1);

    const int64_t seen_s = w->d->fake.now_s;
    fake_endpoint_hide(w->home); /* what was seen last is known */
    w->d->fake.now_s += HF_DAY_S;
    CHECK_OK(device_update(w->d));
    assert_int_equal(w->d->client->state.refusals[0].seen_s, seen_s);
    assert_int_equal(n_warnings_of_refusals(w), 1);

    fake_endpoint_show_all(w->home, hf_buf_bytes(&w->a));
    w->d->fake.now_s += HF_DAY_S;
    CHECK_OK(device_update(w->d));
    assert_string_equal(refused_value(w), "");
    assert_int_equal(n_warnings_of_refusals(w), 0);
    assert_int_equal(fake_store_count_events(&w->d->fake.store, "accepted"), 1);
    assert_true(fake_log_has(&w->d->fake, "mqtts://home.test:8883 is not refused any more"));

    device_publish(w->d, 3); /* the endpoint is known now, so that only preflight looks at it */
    fake_endpoint_show_all(w->home, hf_buf_bytes(&foreign));
    assert_int_equal(device_update(w->d), HF_E_POSTPONED);
    assert_int_equal(n_warnings_of_refusals(w), 1);
    assert_int_equal(fake_store_count_events(&w->d->fake.store, "refused"), 2);
    for (int i = 0; i < 2; i++) { /* the reason is that of the bundle in use, with two anchors */
        w->d->fake.now_s += i == 0 ? HF_DAY_S - 1 : 0;
        assert_int_equal(device_update(w->d), HF_E_POSTPONED);
        assert_non_null(strstr(refused_value(w), "among 2"));
    }
    device_withdraw(w->d, 3);
    fake_endpoint_show_all(w->home, hf_buf_bytes(&w->a));
    w->d->fake.now_s += HF_DAY_S;
    CHECK_OK(device_update(w->d));
    assert_int_equal(n_warnings_of_refusals(w), 0);
    hf_buf_free(&foreign);
}

/* A server that has a chain for each version of TLS is reached with one of them. */
static void test_one_valid_chain_is_enough(void **state)
{
    struct world *w = *state;
    struct hf_buf foreign = {0};

    device_make_anchor("Foreign Root", &foreign);
    fake_endpoint_show(w->home, HF_OFFER_TLS13_ANY, hf_buf_bytes(&w->a));
    fake_endpoint_show(w->home, HF_OFFER_TLS12_ANY, hf_buf_bytes(&foreign));
    learn(w);
    assert_string_equal(w->d->result.refused, "");
    assert_int_equal(n_warnings_of_refusals(w), 0);
    hf_buf_free(&foreign);
}

static void test_a_lost_endpoint_is_not_said_to_be_refused_as_well(void **state)
{
    struct world *w = *state;
    test_an_endpoint_that_a_removal_cuts_off_is_said_to_be_lost(state);
    assert_true(w->home->n_looks > 0);
    assert_int_equal(fake_store_count_events(&w->d->fake.store, "refused"), 0);
    assert_int_equal(n_warnings_of_refusals(w), 0);
}

static void test_damaged_refusal_is_none(void **state)
{
    static const char *const damaged[] = {"mqtts://home.test:8883", "mqtts://home.test:8883 1",
                                          "mqtts://home.test:8883 x no", "mqtts://other:1 1 no"};
    struct world *w = *state;

    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        fake_store_put_value(&w->d->fake.store, "endpoint.0.refused", damaged[i]);
        hf_state_load(w->d->client);
        assert_int_equal(w->d->client->state.refusals[0].seen_s, HF_TIME_NONE);
    }
}

/* ---- the memory ------------------------------------------------------------------------------ */

static void test_memory_is_what_was_seen(void **state)
{
    struct world *w = *state;
    struct hf_endpoint_memory memory;

    fake_endpoint_show_all(w->home, hf_buf_bytes(&w->a));
    learn(w);
    memory = known_of(w, HF_KEY_TYPE_ANY).memory;
    assert_int_equal(memory.seen_s, w->d->fake.now_s);
    assert_int_equal(memory.n_anchors, 1);
    assert_string_equal(memory.root, "CN=Root A");
    memory = known_of(w, HF_KEY_TYPE_RSA).memory;
    assert_int_equal(memory.seen_s, HF_TIME_NONE);
}

/* What is said of an endpoint asked for one type of key, as it stood `days` ago. */
static void remember_rsa_chain(struct world *w, const char *spki, int64_t days)
{
    char value[200];
    snprintf(value, sizeof value, "mqtts://home.test:8883 %lld 0 0 %s",
             (long long)(w->d->fake.now_s - days * HF_DAY_S), spki);
    fake_store_put_value(&w->d->fake.store, "endpoint.0.rsa", value);
}

static void test_chain_that_is_not_shown_any_more_is_forgotten(void **state)
{
    struct world *w = *state;
    struct hf_endpoint_memory memory;
    char sha256[65];

    sha256_of(&w->a, sha256);
    fake_endpoint_show_all(w->home, hf_buf_bytes(&w->both));
    remember_rsa_chain(w, sha256, 59);
    learn(w);
    memory = known_of(w, HF_KEY_TYPE_RSA).memory;
    assert_int_equal(memory.n_anchors, 1);
    w->d->fake.now_s += 31 * HF_DAY_S;
    CHECK_OK(device_update(w->d));
    memory = known_of(w, HF_KEY_TYPE_RSA).memory;
    assert_int_equal(memory.seen_s, HF_TIME_NONE);
}

static void test_chain_of_a_silent_endpoint_is_not_forgotten(void **state)
{
    struct world *w = *state;
    struct hf_endpoint_memory memory;
    char sha256[65];

    sha256_of(&w->a, sha256);
    remember_rsa_chain(w, sha256, 500);
    learn(w);
    memory = known_of(w, HF_KEY_TYPE_RSA).memory;
    assert_int_equal(memory.n_anchors, 1);
    assert_string_equal(memory.root, ""); /* stored by an earlier version */
}

static void test_certificate_from_before_1970_is_remembered(void **state)
{
    struct world *w = *state;
    struct hf_endpoint_memory memory;

    fake_endpoint_show_all(w->home, hf_buf_bytes(&w->a));
    for (int offer = 0; offer < FAKE_OFFERS; offer++)
        w->home->chains[offer].leaf_not_before_s = -1;
    learn(w);
    memory = known_of(w, HF_KEY_TYPE_ANY).memory;
    assert_int_equal(memory.seen_s, w->d->fake.now_s);
    assert_int_equal(memory.n_anchors, 1);
}

/* Of two proofs of one type, the one that an attacker on the network cannot have changed is
 * kept. */
static void test_chain_that_could_be_exchanged_is_remembered_only_without_a_better_one(void **state)
{
    struct world *w = *state;
    struct hf_endpoint_memory memory;
    struct hf_bundle a = {0};

    CHECK_OK(hf_bundle_parse(hf_buf_bytes(&w->a), NULL, &a, NULL));
    fake_endpoint_show(w->home, HF_OFFER_TLS13_ANY, hf_buf_bytes(&w->a));
    fake_endpoint_show(w->home, HF_OFFER_TLS12_ANY, hf_buf_bytes(&w->b));
    w->home->chains[HF_OFFER_TLS12_ANY].is_open = true;
    learn(w);
    memory = known_of(w, HF_KEY_TYPE_ANY).memory;
    assert_int_equal(memory.n_anchors, 1);
    assert_memory_equal(memory.anchors[0], a.anchors[0].cert.spki_sha256, HF_SHA256_LEN);
    hf_bundle_free(&a);
}

static void test_endpoint_of_another_name_is_not_known(void **state)
{
    struct world *w = *state;
    struct hf_endpoint_memory memory;

    fake_endpoint_show_all(w->home, hf_buf_bytes(&w->a));
    learn(w);
    snprintf(w->home->name, sizeof w->home->name, "mqtts://home.test:88"); /* a prefix of it */
    device_reboot(w->d);
    memory = known_of(w, HF_KEY_TYPE_ANY).memory;
    assert_int_equal(memory.seen_s, HF_TIME_NONE);
}

static void test_damaged_memory_is_none(void **state)
{
    static const char *const damaged[] = {
        "",
        "mqtts://home.test:8883",
        "mqtts://home.test:8883 ",
        "mqtts://home.test:8883 1",
        "mqtts://home.test:8883 1 2 x",
        "mqtts://home.test:8883 -1 2 3",
        "mqtts://home.test:8883 99999999999999999999 2 3",
        "mqtts://home.test:8883 1 2 3 abcd",
        "mqtts://home.test:8883 1 2 3 "
        "zz00000000000000000000000000000000000000000000000000000000000000",
    };
    struct world *w = *state;
    struct hf_endpoint_memory memory;

    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        fake_store_put_value(&w->d->fake.store, "endpoint.0.any", damaged[i]);
        memory = known_of(w, HF_KEY_TYPE_ANY).memory;
        assert_int_equal(memory.seen_s, HF_TIME_NONE);
        assert_int_equal(memory.n_anchors, 0);
    }
}

static void test_endpoint_that_is_down_is_asked_once_a_day(void **state)
{
    struct world *w = *state;
    learn(w);
    unsigned n = w->home->n_looks;
    assert_true(n > 0);
    for (int hour = 0; hour < 11; hour++) {
        w->d->fake.now_s += 3600;
        CHECK_OK(device_update(w->d));
    }
    assert_int_equal(w->home->n_looks, n);
    w->d->fake.now_s += 3600;
    CHECK_OK(device_update(w->d));
    assert_true(w->home->n_looks > n);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_anchor_goes_when_its_time_comes),
        T(test_last_anchor_of_an_endpoint_goes_too),
        T(test_an_endpoint_that_a_removal_cuts_off_is_said_to_be_lost),
        T(test_it_is_said_too_when_the_check_fails),
        T(test_a_lost_endpoint_is_looked_at_each_day_until_it_is_back),
        T(test_an_endpoint_below_a_root_that_is_not_for_servers_is_lost),
        T(test_damaged_loss_is_none),
        T(test_a_refusal_is_kept_and_said_once),
        T(test_one_valid_chain_is_enough),
        T(test_a_lost_endpoint_is_not_said_to_be_refused_as_well),
        T(test_damaged_refusal_is_none),
        T(test_memory_is_what_was_seen),
        T(test_chain_that_is_not_shown_any_more_is_forgotten),
        T(test_chain_of_a_silent_endpoint_is_not_forgotten),
        T(test_certificate_from_before_1970_is_remembered),
        T(test_chain_that_could_be_exchanged_is_remembered_only_without_a_better_one),
        T(test_endpoint_of_another_name_is_not_known),
        T(test_damaged_memory_is_none),
        T(test_endpoint_that_is_down_is_asked_once_a_day),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
