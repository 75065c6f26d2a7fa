/* server/fleet/explain: what is said of a device, for each cause alone. */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "server/fleet/explain.h"

#include <stdio.h>
#include <string.h>

#define NOW_S INT64_C(1800000000) /* 2027-01-15T08:00:00Z */
#define DAY_S 86400

/* A device that is up to date; each test spoils one thing. */
static struct hf_device_view device;
static struct hf_credential credential;
static struct hf_report_row result;
static struct hf_explain_facts facts;
static struct hf_explanation said;

static int setup(void **state)
{
    (void)state;
    device = (struct hf_device_view){.device = {.id = 1,
                                                .name = "pump-1",
                                                .created_s = NOW_S - 100 * DAY_S},
                                     .state = {.has_installation = true,
                                               .seen_s = NOW_S - 3600,
                                               .set = "amazon-iot",
                                               .profile = "full",
                                               .active_version = 3,
                                               .result = "confirmed",
                                               .result_s = NOW_S - 10 * DAY_S,
                                               .result_version = 3,
                                               .next_expiry_s = NOW_S + 1000 * DAY_S,
                                               .clock_offset_s = -2}};
    credential = (struct hf_credential){.status = HF_CERT_ACTIVE,
                                        .not_before_s = NOW_S - 100 * DAY_S,
                                        .not_after_s = NOW_S + 300 * DAY_S,
                                        .created_s = NOW_S - 100 * DAY_S};
    result = (struct hf_report_row){.report = HF_REPORT_NOTHING};
    facts = (struct hf_explain_facts){.now_s = NOW_S,
                                      .device = &device,
                                      .credential = &credential,
                                      .published = 3};
    return 0;
}

/* What the check says, with this verdict and these words in it; advice is there unless all is
 * well. */
static const struct hf_statement *says(const char *check, enum hf_verdict verdict, const char *part)
{
    hf_explain(&facts, &said);
    for (size_t i = 0; i < HF_EXPLAIN_CHECKS; i++) {
        const struct hf_statement *s = &said.statements[i];
        if (strcmp(s->check, check) != 0)
            continue;
        assert_string_equal(hf_verdict_name(s->verdict), hf_verdict_name(verdict));
        if (strstr(s->text, part) == NULL)
            fail_msg("\"%s\" is not in: %s", part, s->text);
        assert_true(verdict != HF_VERDICT_PROBLEM || strlen(s->advice) > 20);
        assert_true(verdict != HF_VERDICT_OK || s->advice[0] == '\0');
        return s;
    }
    fail_msg("there is no check %s", check);
    return NULL;
}

/* It is the cause too; whether the device is up to date is another question. */
static void blames(const char *check, const char *part)
{
    const struct hf_statement *s = says(check, HF_VERDICT_PROBLEM, part);

    assert_ptr_equal(said.cause, s);
    assert_int_equal(said.is_up_to_date,
                     facts.published > 0 && device.state.active_version >= facts.published);
}

static void a_device_with_the_newest_bundle_is_up_to_date(void **state)
{
    (void)state;
    const struct hf_statement *s = says("version", HF_VERDICT_OK, "version 3 of amazon-iot/full");
    assert_ptr_equal(said.cause, s);
    assert_true(said.is_up_to_date);
    for (size_t i = 0; i < HF_EXPLAIN_CHECKS; i++)
        assert_int_equal(said.statements[i].verdict, HF_VERDICT_OK);
}

static void without_certificate_or_key_it_cannot_report(void **state)
{
    (void)state;
    facts.credential = NULL;
    blames("certificate", "no certificate");
    facts.has_report_key = true;
    (void)says("certificate", HF_VERDICT_OK, "a key for its reports");
    assert_true(said.is_up_to_date);
}

static void a_certificate_that_is_not_active_is_named(void **state)
{
    (void)state;
    credential.status = HF_CERT_REVOKED;
    blames("certificate", "the newest one is REVOKED");
    credential.status = HF_CERT_INACTIVE;
    blames("certificate", "the newest one is INACTIVE");
}

static void a_certificate_counts_between_its_dates(void **state)
{
    (void)state;
    credential.not_after_s = NOW_S - 1;
    blames("certificate", "expired at 2027-01-15T07:59:59Z");
    credential.not_after_s = NOW_S + 29 * DAY_S;
    (void)says("certificate", HF_VERDICT_NOTE, "expires at 2027-02-13");
    assert_true(said.is_up_to_date);
    credential.not_before_s = NOW_S + 60;
    blames("certificate", "valid only from 2027-01-15T08:01:00Z");
}

static void a_device_that_never_reported_is_unknown(void **state)
{
    (void)state;
    device.state = (struct hf_device_state){.active_version = -1, .result_version = -1};
    blames("contact", "never reported");
    (void)says("clock", HF_VERDICT_NOTE, "unknown");
    (void)says("version", HF_VERDICT_PROBLEM, "unknown");
    (void)says("result", HF_VERDICT_OK, "no update");
    (void)says("expiry", HF_VERDICT_OK, "has not said");
}

static void silence_begins_after_three_days(void **state)
{
    (void)state;
    device.state.seen_s = NOW_S - 3 * DAY_S;
    (void)says("contact", HF_VERDICT_OK, "reported last at 2027-01-12T08:00:00Z");
    device.state.seen_s--;
    blames("contact", "silent since 2027-01-12T07:59:59Z");
}

static void a_report_older_than_the_certificate_is_noted(void **state)
{
    (void)state;
    credential.created_s = NOW_S - 60;
    (void)says("contact", HF_VERDICT_NOTE, "older than its certificate");
    assert_true(said.is_up_to_date);
}

static void a_copy_of_the_device_is_a_problem_while_it_reports(void **state)
{
    (void)state;
    device.state.conflicts = 2;
    device.state.conflict_s = NOW_S - 60;
    blames("conflict", "2 such requests were refused");
    device.state.conflict_s = NOW_S - 10 * DAY_S;
    (void)says("conflict", HF_VERDICT_NOTE, "the last at 2027-01-05");
    assert_true(said.is_up_to_date);
}

static void a_clock_may_be_off_by_less_than_an_hour(void **state)
{
    (void)state;
    device.state.clock_offset_s = -3599;
    (void)says("clock", HF_VERDICT_OK, "3599 seconds behind");
    device.state.clock_offset_s = 3600;
    blames("clock", "3600 seconds (0 days) ahead");
    device.state.clock_offset_s = -NOW_S;
    blames("clock", "(20833 days) behind");
}

static void a_refusal_names_endpoint_and_root(void **state)
{
    (void)state;
    device.state.active_version = 2;
    (void)snprintf(device.state.result, sizeof device.state.result, "%s", "refused");
    (void)snprintf(device.state.reason, sizeof device.state.reason, "%s",
                   "mqtt.example would not be reached");
    blames("result", "refused the bundle (version 3). Reason: mqtt.example would not be reached.");
    facts.result = &result;
    (void)snprintf(result.report.endpoint, sizeof result.report.endpoint, "%s",
                   "mqtts://mqtt.example");
    (void)snprintf(result.report.root, sizeof result.report.root, "%s", "abcd");
    (void)snprintf(result.report.root_name, sizeof result.report.root_name, "%s", "CN=Old Root");
    blames("result", "Endpoint: mqtts://mqtt.example. Missing root: CN=Old Root (key abcd).");
    (void)says("version", HF_VERDICT_PROBLEM, "version 2 of amazon-iot/full; version 3 is");
}

static void the_longest_report_fits(void **state)
{
    (void)state;
    device.state.active_version = 2;
    (void)snprintf(device.state.result, sizeof device.state.result, "%s", "refused");
    memset(device.state.reason, 'r', HF_REPORT_TEXT_MAX);
    facts.result = &result;
    memset(result.report.endpoint, 'e', HF_REPORT_ENDPOINT_MAX);
    memset(result.report.root_name, 'n', HF_REPORT_ROOT_NAME_MAX);
    memset(result.report.root, 'a', 2 * HF_SHA256_LEN);
    blames("result", "aaaa).");
}

static void each_result_that_stops_a_device_is_a_problem(void **state)
{
    static const struct {
        const char *kind, *part;
    } rows[] = {{"failed", "could not update"},
                {"held", "waits with the bundle"},
                {"rolled-back", "rolled back"}};
    (void)state;
    device.state.active_version = 2;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        (void)snprintf(device.state.result, sizeof device.state.result, "%s", rows[i].kind);
        (void)snprintf(device.state.reason, sizeof device.state.reason, "%s", "The reason.");
        blames("result", rows[i].part);
        (void)says("result", HF_VERDICT_PROBLEM, "Reason: The reason.");
        assert_null(strstr(said.cause->text, "reason.."));
    }
}

static void a_failure_before_the_newest_bundle_is_history(void **state)
{
    (void)state;
    (void)snprintf(device.state.result, sizeof device.state.result, "%s", "failed");
    (void)says("result", HF_VERDICT_NOTE, "could not update");
    assert_true(said.is_up_to_date);
}

static void results_under_way_and_unknown_ones_are_noted(void **state)
{
    (void)state;
    device.state.active_version = 2;
    (void)snprintf(device.state.result, sizeof device.state.result, "%s", "announce");
    (void)says("result", HF_VERDICT_NOTE, "about to install the bundle (version 3)");
    (void)snprintf(device.state.result, sizeof device.state.result, "%s", "swapped");
    (void)says("result", HF_VERDICT_NOTE, "tries the bundle out");
    (void)snprintf(device.state.result, sizeof device.state.result, "%s", "teleported");
    (void)says("result", HF_VERDICT_NOTE, "\"teleported\"");
    (void)snprintf(device.state.result, sizeof device.state.result, "%s", "recovered");
    (void)says("result", HF_VERDICT_OK, "recovered");
    blames("version", "version 3 is published");
}

static void the_version_is_compared_with_what_is_published(void **state)
{
    (void)state;
    facts.published = 4;
    blames("version", "version 4 is published");
    facts.published = 0;
    blames("version", "no bundle of this set and profile is published");
    facts.published = 2;
    (void)says("version", HF_VERDICT_NOTE, "newer than version 2");
    facts.published = -1;
    const struct hf_statement *s = says("version", HF_VERDICT_NOTE, "serves no repository");
    assert_ptr_equal(said.cause, s);
    assert_false(said.is_up_to_date);
}

static void root_certificates_that_end_are_noted(void **state)
{
    (void)state;
    device.state.next_expiry_s = NOW_S + 90 * DAY_S - 1;
    (void)says("expiry", HF_VERDICT_NOTE, "expires at 2027-04-15");
    device.state.next_expiry_s = NOW_S - 1;
    (void)says("expiry", HF_VERDICT_NOTE, "expired at 2027-01-15T07:59:59Z");
    assert_true(said.is_up_to_date);
}

static void the_first_problem_is_the_cause(void **state)
{
    (void)state;
    facts.published = 4;
    device.state.clock_offset_s = -NOW_S;
    credential.status = HF_CERT_REVOKED;
    blames("certificate", "REVOKED");
    (void)says("clock", HF_VERDICT_PROBLEM, "behind");
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_device_with_the_newest_bundle_is_up_to_date),
        TEST(without_certificate_or_key_it_cannot_report),
        TEST(a_certificate_that_is_not_active_is_named),
        TEST(a_certificate_counts_between_its_dates),
        TEST(a_device_that_never_reported_is_unknown),
        TEST(silence_begins_after_three_days),
        TEST(a_report_older_than_the_certificate_is_noted),
        TEST(a_copy_of_the_device_is_a_problem_while_it_reports),
        TEST(a_clock_may_be_off_by_less_than_an_hour),
        TEST(a_refusal_names_endpoint_and_root),
        TEST(the_longest_report_fits),
        TEST(each_result_that_stops_a_device_is_a_problem),
        TEST(a_failure_before_the_newest_bundle_is_history),
        TEST(results_under_way_and_unknown_ones_are_noted),
        TEST(the_version_is_compared_with_what_is_published),
        TEST(root_certificates_that_end_are_noted),
        TEST(the_first_problem_is_the_cause),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
