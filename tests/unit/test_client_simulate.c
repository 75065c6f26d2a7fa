/* client/core/forecast: what breaks on date X, from what the device's endpoints showed. */
#include "client/core/client_internal.h"
#include "tests/support/check.h"

#include <holdfast/simulate.h>

#include "tests/support/debian_roots.h"
#include "tests/support/device.h"
#include "tests/support/test_pki.h"

#include <stdio.h>

#define ENDPOINT "mqtts://a.test:8883"

static int64_t at(const char *text)
{
    int64_t time_s = 0;
    assert_true(hf_time_parse_lenient(text, &time_s));
    return time_s;
}

static void simulate(struct device *d, const char *when, struct hf_simulation *out)
{
    const struct hf_simulation_query query = {.now_s = HF_TIME_NONE, .at_s = at(when)};
    if (hf_client_simulate(d->client, &query, out, &d->why) != HF_OK)
        fail_msg("%s", d->why.text);
}

static void check_time(int64_t time_s, const char *expected)
{
    char text[HF_TIME_TEXT_MAX];
    hf_time_format(time_s, text);
    assert_string_equal(text, expected);
}

/* ---- a bundle by itself ---------------------------------------------------------------------- */

/* What is signed about Starfield G2 and Amazon Root CA 1: the days that root programs plan. */
static void describe(struct hf_buf *out)
{
    CHECK_OK(hf_buf_printf(
        out, "{\"holdfast\": {\"set\": \"amazon-iot\", \"profile\": \"full\", "
             "\"version\": 3, \"anchors\": ["
             "{\"sha256\": \"568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5\", "
             "\"distrust_after\": \"2027-04-15T00:00:00Z\"}, "
             "{\"sha256\": \"8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e\", "
             "\"distrust_after\": \"2030-05-26T00:00:00Z\"}]}}"));
}

static void test_the_roots_of_amazon_by_themselves(void **state)
{
    struct hf_simulation s = {0};
    struct hf_buf pem = {0}, custom = {0};
    struct hf_why why = {0};
    (void)state;

    for (size_t i = 0; i < DEBIAN_ROOTS; i++)
        debian_root_load(&debian_roots[i], &pem);
    describe(&custom);
    const struct hf_simulation_query query = {.now_s = at("2026-11-22"),
                                              .at_s = at("2038-01-17T00:00:00Z"),
                                              .pem = hf_buf_bytes(&pem),
                                              .custom = hf_buf_bytes(&custom)};
    CHECK_OK(hf_client_simulate(NULL, &query, &s, &why));
    assert_int_equal(s.n_forecasts, 5);
    assert_false(s.knows_endpoints);
    assert_true(s.breaks);
    check_time(s.forecasts[0].trouble_s, "2038-01-01T00:00:00Z");
    assert_non_null(strstr(s.forecasts[0].who, "Starfield Services"));
    assert_string_equal(s.forecasts[0].cause, "expiry");
    assert_int_equal(s.forecasts[0].at, HF_SIMULATED_BREAKS);
    check_time(s.forecasts[1].trouble_s, "2038-01-17T00:00:01Z");
    assert_non_null(strstr(s.forecasts[1].who, "Amazon Root CA 1"));
    assert_int_equal(s.forecasts[1].at, HF_SIMULATED_HOLDS); /* for one second more */
    for (size_t i = 2; i < 5; i++)
        check_time(s.forecasts[i].trouble_s, "2040-05-26T00:00:01Z");
    assert_int_equal(s.n_notes, 2);
    check_time(s.notes[0].at_s + s.notes[1].at_s - at("2030-05-26"), "2027-04-15T00:00:00Z");
    hf_simulation_free(&s);
    hf_buf_free(&custom);
    hf_buf_free(&pem);
}

/* ---- endpoints ------------------------------------------------------------------------------- */

/* The device holds "Long" (to 2036-01-01) and "Short" (to 2033-01-01), described by `notes`. */
static void take_roots(struct device *d, const char *note_about_long)
{
    struct hf_buf pem = {0};
    struct hf_status status = {0};
    struct hf_bundle_record *active;

    (void)fake_endpoint_add(&d->fake.endpoints, ENDPOINT);
    device_reboot(d);
    device_make_dated_anchor("Long", DEVICE_NOW_S - HF_DAY_S, at("2036-01-01"), &pem);
    device_make_dated_anchor("Short", DEVICE_NOW_S - HF_DAY_S, at("2033-01-01"), &pem);
    device_add_bundle(d, 2, &pem);
    tuf_repo_publish_next(&d->repo);
    /* The endpoint is silent, as long as the preflight waits for it. */
    while (device_update(d) == HF_E_POSTPONED)
        d->fake.uptime_ms += HF_DAY_S * 1000;
    hf_buf_free(&pem);
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), 2);
    if (note_about_long == NULL)
        return;

    CHECK_OK(hf_client_status(d->client, &status, &d->why));
    active = fake_store_bundle(&d->fake.store, HF_SLOT_ACTIVE);
    hf_buf_free(&active->custom);
    CHECK_OK(hf_buf_printf(&active->custom,
                           "{\"holdfast\": {\"set\": \"amazon-iot\", \"profile\": \"full\", "
                           "\"version\": 2, \"anchors\": [{\"sha256\": \"%s\", %s}]}}",
                           status.active.anchors[0].sha256, note_about_long));
    hf_status_free(&status);
}

/* It was seen today, under these of the two roots, with a certificate of 100 days, 30 of them
 * gone. */
static void put_memory(struct device *d, bool is_long, bool is_short)
{
    struct hf_status status = {0};
    char memory[320];

    CHECK_OK(hf_client_status(d->client, &status, &d->why));
    snprintf(memory, sizeof memory, ENDPOINT " %lld %lld %lld%s%s%s%s", (long long)DEVICE_NOW_S,
             (long long)(DEVICE_NOW_S - 30 * HF_DAY_S), (long long)(DEVICE_NOW_S + 70 * HF_DAY_S),
             is_long ? " " : "", is_long ? status.active.anchors[0].spki_sha256 : "",
             is_short ? " " : "", is_short ? status.active.anchors[1].spki_sha256 : "");
    fake_store_put_value(&d->fake.store, "endpoint.0.rsa", memory);
    hf_status_free(&status);
}

static void test_an_endpoint_holds_as_long_as_any_of_its_roots(void **state)
{
    struct device *d = *state;
    struct hf_simulation s = {0};
    take_roots(d, NULL);
    put_memory(d, true, true);

    simulate(d, "2034-01-01", &s);
    assert_true(s.knows_endpoints);
    assert_int_equal(s.n_forecasts, 1);
    assert_int_equal(s.forecasts[0].at, HF_SIMULATED_HOLDS);
    assert_string_equal(s.forecasts[0].who, ENDPOINT " (RSA)");
    assert_string_equal(s.forecasts[0].through, "CN=Long");
    assert_string_equal(s.forecasts[0].root, "CN=Long");
    check_time(s.forecasts[0].trouble_s, "2036-01-01T00:00:01Z");
    assert_false(s.breaks);
    hf_simulation_free(&s);

    simulate(d, "2036-01-02", &s);
    assert_true(s.breaks);
    assert_int_equal(s.forecasts[0].at, HF_SIMULATED_BREAKS);
    assert_string_equal(s.forecasts[0].cause, "expiry");
    assert_string_equal(s.forecasts[0].through, "");
    hf_simulation_free(&s);

    put_memory(d, false, true);
    simulate(d, "2034-01-01", &s);
    assert_true(s.breaks);
    check_time(s.forecasts[0].trouble_s, "2033-01-01T00:00:01Z");
    assert_string_equal(s.forecasts[0].root, "CN=Short");
    hf_simulation_free(&s);
}

static void test_distrust_bites_when_the_certificate_is_renewed(void **state)
{
    struct device *d = *state;
    struct hf_simulation s = {0};
    take_roots(d, "\"distrust_after\": \"2031-06-01T00:00:00Z\"");
    put_memory(d, true, false);

    simulate(d, "2031-06-01", &s); /* its first second, still */
    assert_int_equal(s.forecasts[0].at, HF_SIMULATED_HOLDS);
    check_time(s.forecasts[0].trouble_s, "2031-06-01T00:00:01Z");
    check_time(s.forecasts[0].broken_s, "2031-09-09T00:00:01Z"); /* 100 days later */
    assert_string_equal(s.forecasts[0].cause, "distrust");
    assert_string_equal(s.forecasts[0].root, "CN=Long");
    assert_int_equal(s.n_notes, 0);
    hf_simulation_free(&s);

    simulate(d, "2031-06-02", &s);
    assert_int_equal(s.forecasts[0].at, HF_SIMULATED_AT_RISK);
    assert_true(s.breaks);
    hf_simulation_free(&s);
    simulate(d, "2031-09-10", &s);
    assert_int_equal(s.forecasts[0].at, HF_SIMULATED_BREAKS);
    hf_simulation_free(&s);
}

/* The leaf that was seen is all there is once the day has passed. */
static void test_after_the_day_of_distrust_the_leaf_that_was_seen_is_the_last(void **state)
{
    struct device *d = *state;
    struct hf_simulation s = {0};
    take_roots(d, "\"distrust_after\": \"2030-03-01T00:00:00Z\"");
    put_memory(d, true, false);
    simulate(d, "2030-03-18", &s);
    assert_int_equal(s.forecasts[0].at, HF_SIMULATED_AT_RISK);
    assert_int_equal(s.forecasts[0].trouble_s, DEVICE_NOW_S);
    assert_int_equal(s.forecasts[0].broken_s, DEVICE_NOW_S + 70 * HF_DAY_S + 1);
    hf_simulation_free(&s);
}

static void test_a_leaf_from_after_the_day_of_distrust_is_not_accepted(void **state)
{
    struct device *d = *state;
    struct hf_simulation s = {0};
    take_roots(d, "\"distrust_after\": \"2030-02-01T00:00:00Z\"");
    put_memory(d, true, false); /* issued on 2030-02-15 */
    simulate(d, "2030-03-18", &s);
    assert_int_equal(s.forecasts[0].at, HF_SIMULATED_BREAKS);
    assert_string_equal(s.forecasts[0].cause, "distrust");
    assert_int_equal(s.forecasts[0].broken_s, DEVICE_NOW_S);
    hf_simulation_free(&s);
}

static void test_another_root_takes_over_from_a_distrusted_one(void **state)
{
    struct device *d = *state;
    struct hf_simulation s = {0};
    take_roots(d, "\"distrust_after\": \"2031-06-01T00:00:00Z\"");
    put_memory(d, true, true);
    simulate(d, "2031-07-01", &s);
    assert_int_equal(s.forecasts[0].at, HF_SIMULATED_HOLDS);
    assert_string_equal(s.forecasts[0].through, "CN=Short");
    check_time(s.forecasts[0].trouble_s, "2033-01-01T00:00:01Z");
    hf_simulation_free(&s);
}

static void test_removal_breaks_an_endpoint_and_a_root_by_itself(void **state)
{
    struct device *d = *state;
    struct hf_simulation s = {0};
    take_roots(d, "\"remove_after\": \"2031-06-01T00:00:00Z\"");
    put_memory(d, true, false);
    simulate(d, "2031-07-01", &s);
    assert_int_equal(s.forecasts[0].at, HF_SIMULATED_BREAKS);
    assert_string_equal(s.forecasts[0].cause, "removal");
    check_time(s.forecasts[0].trouble_s, "2031-06-01T00:00:01Z");
    check_time(s.forecasts[0].broken_s, "2031-06-01T00:00:01Z");
    hf_simulation_free(&s);

    fake_store_put_value(&d->fake.store, "endpoint.0.rsa", "");
    simulate(d, "2031-07-01", &s);
    assert_false(s.knows_endpoints);
    assert_int_equal(s.n_unseen, 1);
    assert_int_equal(s.n_forecasts, 2);
    assert_string_equal(s.forecasts[0].cause, "removal");
    check_time(s.forecasts[0].trouble_s, "2031-06-01T00:00:01Z");
    assert_true(s.breaks);
    hf_simulation_free(&s);
}

static void test_a_bundle_without_the_root_breaks_today(void **state)
{
    struct device *d = *state;
    struct hf_simulation s = {0};
    struct hf_buf pem = {0};
    take_roots(d, NULL);
    put_memory(d, true, true);
    device_make_anchor("Other", &pem);
    const struct hf_simulation_query query = {.now_s = HF_TIME_NONE,
                                              .at_s = at("2031-01-01"),
                                              .endpoint = ENDPOINT,
                                              .pem = hf_buf_bytes(&pem)};
    CHECK_OK(hf_client_simulate(d->client, &query, &s, &d->why));
    assert_true(s.breaks);
    assert_string_equal(s.forecasts[0].cause, "missing");
    assert_int_equal(s.forecasts[0].trouble_s, DEVICE_NOW_S);
    hf_simulation_free(&s);
    hf_buf_free(&pem);
}

/* ---- an endpoint that the device does not know ----------------------------------------------- */

#define STRANGER "tls://b.test:443"

static void test_a_stranger_is_looked_at(void **state)
{
    struct device *d = *state;
    struct fake_endpoints world = {0};
    struct fake_endpoint *stranger = fake_endpoint_add(&world, STRANGER);
    const struct hf_endpoint_port prober = fake_endpoints_port(&world, &d->fake.now_s);
    struct hf_simulation s = {0};
    struct hf_buf pem = {0};
    struct hf_simulation_query query = {.now_s = HF_TIME_NONE,
                                        .at_s = at("2034-01-01"),
                                        .endpoint = STRANGER,
                                        .prober = &prober};

    device_make_dated_anchor("Soon", DEVICE_NOW_S - HF_DAY_S, at("2033-01-01"), &pem);
    query.pem = hf_buf_bytes(&pem);
    CHECK_REFUSED(hf_client_simulate(d->client, &query, &s, &d->why), HF_E_NETWORK, &d->why,
                  STRANGER ": ");
    assert_null(s.forecasts);

    fake_endpoint_show(stranger, HF_OFFER_TLS12_ECC, query.pem);
    CHECK_OK(hf_client_simulate(d->client, &query, &s, &d->why));
    assert_int_equal(s.n_forecasts, 1);
    assert_string_equal(s.forecasts[0].who, STRANGER " (ECC)");
    assert_string_equal(s.forecasts[0].cause, "expiry");
    check_time(s.forecasts[0].trouble_s, "2033-01-01T00:00:01Z");
    assert_true(s.breaks);
    hf_simulation_free(&s);

    query.at_s = at("2032-01-01");
    CHECK_REFUSED(hf_client_simulate(NULL, &query, &s, &d->why), HF_E_ARGUMENT, &d->why,
                  "the time of today");
    query.now_s = DEVICE_NOW_S;
    CHECK_OK(hf_client_simulate(NULL, &query, &s, &d->why));
    assert_false(s.breaks);
    hf_simulation_free(&s);
    hf_buf_free(&pem);
}

static void test_a_stranger_that_the_bundle_has_no_root_of(void **state)
{
    struct device *d = *state;
    struct fake_endpoints world = {0};
    struct fake_endpoint *stranger = fake_endpoint_add(&world, STRANGER);
    const struct hf_endpoint_port prober = fake_endpoints_port(&world, &d->fake.now_s);
    struct hf_simulation s = {0};
    struct hf_buf other = {0}, active = {0};

    CHECK_OK(device_update(d));
    CHECK_OK(hf_client_export_pem(d->client, &active, &d->why));
    fake_endpoint_show_all(stranger, hf_buf_bytes(&active));
    device_make_anchor("Other", &other);
    const struct hf_simulation_query query = {.now_s = HF_TIME_NONE,
                                              .at_s = DEVICE_NOW_S + HF_DAY_S,
                                              .endpoint = STRANGER,
                                              .prober = &prober,
                                              .pem = hf_buf_bytes(&other)};
    CHECK_OK(hf_client_simulate(d->client, &query, &s, &d->why));
    assert_int_equal(s.n_forecasts, 2);
    assert_string_equal(s.forecasts[0].cause, "missing");
    assert_int_equal(stranger->n_looks, 2); /* once for each type of key */
    assert_true(s.breaks);
    hf_simulation_free(&s);
    hf_buf_free(&active);
    hf_buf_free(&other);
}

/* ---- what is refused ------------------------------------------------------------------------- */

static void test_refusals(void **state)
{
    struct device *d = *state;
    struct hf_simulation s = {0};
    struct hf_simulation_query query = {.now_s = HF_TIME_NONE, .at_s = at("2031-01-01")};

    CHECK_REFUSED(hf_client_simulate(d->client, &query, &s, &d->why), HF_E_NOT_FOUND, &d->why,
                  "this device has no bundle yet");
    CHECK_REFUSED(hf_client_simulate(NULL, &query, &s, &d->why), HF_E_ARGUMENT, &d->why,
                  "neither a device is given, nor a bundle");
    CHECK_OK(device_update(d));
    query.endpoint = "mqtts://other.test:8883";
    CHECK_REFUSED(hf_client_simulate(d->client, &query, &s, &d->why), HF_E_NOT_FOUND, &d->why,
                  "has not seen an endpoint \"mqtts://other.test:8883\"");
    query.endpoint = NULL;
    query.pem = hf_bytes_of_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    CHECK_REFUSED(hf_client_simulate(d->client, &query, &s, &d->why), HF_E_FORMAT, &d->why,
                  "certificate");
    assert_null(s.forecasts);
}

static void test_twins_of_one_key_are_one(void **state)
{
    struct hf_simulation s = {0};
    struct hf_why why = {0};
    struct hf_buf pem = {0};
    struct pki_key key;
    (void)state;

    pki_key_make(&key, PKI_P256);
    for (int year = 2033; year <= 2035; year += 2) {
        const struct pki_cert cert = {.subject = "CN=Twin",
                                      .key = &key,
                                      .not_after_s = pki_day(year, 1, 1),
                                      .is_ca = true};
        pki_issue_pem(&cert, &pem);
    }
    const struct hf_simulation_query query = {.now_s = at("2030-01-01"),
                                              .at_s = at("2034-01-01"),
                                              .pem = hf_buf_bytes(&pem)};
    CHECK_OK(hf_client_simulate(NULL, &query, &s, &why));
    assert_int_equal(s.n_forecasts, 1);
    check_time(s.forecasts[0].trouble_s, "2035-01-01T00:00:01Z");
    assert_false(s.breaks);
    hf_simulation_free(&s);
    hf_buf_free(&pem);
    pki_key_free(&key);
}

static void test_nothing_holds_where_no_root_may_be_used(void **state)
{
    struct hf_simulation s = {0};
    struct hf_why why = {0};
    struct hf_buf pem = {0};
    (void)state;
    device_make_dated_anchor("Dead", at("2020-01-01"), at("2021-01-01"), &pem);
    const struct hf_simulation_query query = {.now_s = at("2030-01-01"),
                                              .at_s = at("2031-01-01"),
                                              .pem = hf_buf_bytes(&pem)};
    CHECK_OK(hf_client_simulate(NULL, &query, &s, &why));
    assert_int_equal(s.n_forecasts, 0);
    assert_true(s.breaks);
    hf_simulation_free(&s);
    hf_buf_free(&pem);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, device_setup, device_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_roots_of_amazon_by_themselves),
        TEST(test_an_endpoint_holds_as_long_as_any_of_its_roots),
        TEST(test_distrust_bites_when_the_certificate_is_renewed),
        TEST(test_after_the_day_of_distrust_the_leaf_that_was_seen_is_the_last),
        TEST(test_a_leaf_from_after_the_day_of_distrust_is_not_accepted),
        TEST(test_another_root_takes_over_from_a_distrusted_one),
        TEST(test_removal_breaks_an_endpoint_and_a_root_by_itself),
        TEST(test_a_bundle_without_the_root_breaks_today),
        TEST(test_a_stranger_is_looked_at),
        TEST(test_a_stranger_that_the_bundle_has_no_root_of),
        TEST(test_refusals),
        cmocka_unit_test(test_twins_of_one_key_are_one),
        cmocka_unit_test(test_nothing_holds_where_no_root_may_be_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
