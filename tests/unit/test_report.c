/* common/report/report: what is written is read again; what a device may send, and what it may
 * not. */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "common/json/json.h"
#include "common/report/report.h"

#include <stdio.h>
#include <stdlib.h>

#define SHA256 "0d3f0000000000000000000000000000000000000000000000000000000000ff"
#define INSTALLATION "00112233445566778899aabbccddeeff"
#define REQUIRED                                                                                   \
    "\"v\":1,\"device\":\"pump-17\",\"installation\":\"" INSTALLATION                              \
    "\",\"seq\":41,\"kind\":\"current\",\"set\":\"amazon-iot\",\"profile\":\"full\""

static struct hf_report full_report(void)
{
    struct hf_report report = {
        .device = "pump-17",
        .installation = INSTALLATION,
        .seq = 41,
        .kind = HF_REPORT_REFUSED,
        .kind_name = "refused",
        .set = "amazon-iot",
        .profile = "full",
        .from = 2,
        .to = 3,
        .sha256 = SHA256,
        .text = "\"mqtts://a.test:8883\" needs the root \"CN=X\"",
        .outcome = "untrusted",
        .endpoint = "mqtts://a.test:8883",
        .root = SHA256,
        .root_name = "CN=X",
        .next_expiry_s = INT64_C(2115763200),
        .clock_s = INT64_C(1796115600),
        .agent = "0.9.0",
        .groups = {"lab", "ring-1"},
        .n_groups = 2,
        .nonce = "00112233aabbccdd",
        .sent_s = INT64_C(1796115607),
    };
    return report;
}

/* One report from a body. */
static enum hf_err read_one(const char *body, struct hf_report *out, struct hf_why *why)
{
    struct hf_report *list = NULL;
    size_t n = 0;
    enum hf_err err = hf_report_list_read(hf_bytes_of_text(body), &list, &n, why);

    assert_true((err == HF_OK) == (list != NULL));
    if (err == HF_OK) {
        assert_int_equal(n, 1);
        *out = list[0];
    }
    free(list);
    return err;
}

static void a_report_is_read_as_it_was_written(void **state)
{
    const struct hf_report report = full_report();
    struct hf_report again;
    struct hf_buf text = {0};
    struct hf_why why = {0};
    (void)state;

    CHECK_OK(hf_report_write(&report, &text, &why));
    CHECK_OK(read_one((const char *)text.data, &again, &why));
    assert_int_equal(again.kind, HF_REPORT_REFUSED);
    assert_int_equal(again.n_groups, 2);
    assert_string_equal(again.groups[1], "ring-1");
    struct hf_buf second = {0};
    CHECK_OK(hf_report_write(&again, &second, &why));
    assert_string_equal((const char *)second.data, (const char *)text.data);
    hf_buf_free(&second);
    hf_buf_free(&text);
}

static void what_is_absent_is_not_written(void **state)
{
    struct hf_report report = HF_REPORT_NOTHING, again;
    struct hf_buf text = {0};
    struct hf_why why = {0};
    (void)state;

    CHECK_OK(read_one("{" REQUIRED "}", &report, &why));
    assert_int_equal(report.from, -1);
    assert_int_equal(report.to, -1);
    assert_true(report.clock_s == HF_TIME_NONE && report.sent_s == HF_TIME_NONE);
    assert_string_equal(report.nonce, "");
    CHECK_OK(hf_report_write(&report, &text, &why));
    assert_string_equal((const char *)text.data,
                        "{\"device\":\"pump-17\",\"installation\":\"" INSTALLATION
                        "\",\"kind\":\"current\",\"profile\":\"full\",\"seq\":41,\"set\":"
                        "\"amazon-iot\",\"v\":1}");
    CHECK_OK(read_one((const char *)text.data, &again, &why));
    hf_buf_free(&text);
}

/* Every character that JSON escapes, so that nothing is longer. */
static void the_longest_report_is_within_its_limit(void **state)
{
    struct hf_report report = full_report(), again;
    struct hf_buf text = {0};
    struct hf_why why = {0};
    (void)state;

    memset(report.device, 'd', sizeof report.device - 1);
    memset(report.set, 's', sizeof report.set - 1);
    memset(report.profile, 'p', sizeof report.profile - 1);
    memset(report.text, '"', sizeof report.text - 1);
    memset(report.outcome, 'o', sizeof report.outcome - 1);
    memset(report.endpoint, '\\', sizeof report.endpoint - 1);
    memset(report.root_name, '"', sizeof report.root_name - 1);
    memset(report.agent, '"', sizeof report.agent - 1);
    report.seq = report.from = report.to = HF_JSON_INTEGER_MAX;
    report.n_groups = HF_DEVICE_GROUPS_MAX;
    for (size_t i = 0; i < HF_DEVICE_GROUPS_MAX; i++)
        memset(report.groups[i], 'g', sizeof report.groups[i] - 1);
    CHECK_OK(hf_report_write(&report, &text, &why));
    assert_in_range(text.len, 3000, HF_REPORT_BYTES_MAX);
    CHECK_OK(read_one((const char *)text.data, &again, &why));
    hf_buf_free(&text);
}

static void a_newer_agent_is_understood(void **state)
{
    struct hf_report report;
    struct hf_buf text = {0};
    struct hf_why why = {0};
    (void)state;

    CHECK_OK(read_one("{\"v\":9,\"device\":\"a\",\"installation\":\"" INSTALLATION
                      "\",\"seq\":1,\"kind\":\"sleeps\",\"set\":\"s\",\"profile\":\"p\","
                      "\"battery\":{\"percent\":[7]}}",
                      &report, &why));
    assert_int_equal(report.kind, HF_REPORT_OTHER);
    assert_string_equal(report.kind_name, "sleeps");
    CHECK_OK(hf_report_write(&report, &text, &why));
    assert_non_null(strstr((const char *)text.data, "\"kind\":\"sleeps\""));
    hf_buf_free(&text);
}

static void every_kind_has_a_name(void **state)
{
    char body[512];
    struct hf_report report;
    struct hf_why why = {0};
    (void)state;

    for (int kind = HF_REPORT_OTHER; kind < HF_REPORT_KIND_COUNT; kind++) {
        (void)snprintf(body, sizeof body,
                       "{\"v\":1,\"device\":\"a\",\"installation\":\"" INSTALLATION
                       "\",\"seq\":1,\"kind\":\"%s\",\"set\":\"s\",\"profile\":\"p\"}",
                       hf_report_kind_name((enum hf_report_kind)kind));
        CHECK_OK(read_one(body, &report, &why));
        assert_int_equal(report.kind, kind);
    }
    assert_string_equal(hf_report_kind_name((enum hf_report_kind)99), "other");
}

static void a_terminal_gets_no_control_characters(void **state)
{
    struct hf_report report;
    struct hf_why why = {0};
    (void)state;

    CHECK_OK(read_one("{" REQUIRED ",\"text\":\"a\\u001b[2Jb\\nc\"}", &report, &why));
    assert_string_equal(report.text, "a?[2Jb?c");
}

static void check_member_refused(const char *member, enum hf_err code, const char *part)
{
    char body[2048];
    struct hf_report report;
    struct hf_why why = {0};

    (void)snprintf(body, sizeof body, "{" REQUIRED ",%s}", member);
    CHECK_REFUSED(read_one(body, &report, &why), code, &why, part);
}

static void a_wrong_member_is_named(void **state)
{
    char longer[1024];
    (void)state;

    check_member_refused("\"from\":-1", HF_E_FORMAT, "\"from\" of the report should be at least 0");
    check_member_refused("\"from\":\"1\"", HF_E_FORMAT, "a whole number \"from\"");
    check_member_refused("\"to\":9007199254740992", HF_E_FORMAT, "beyond 2^53 - 1");
    check_member_refused("\"to\":null", HF_E_FORMAT, "a whole number \"to\"");
    check_member_refused("\"to\":1.5", HF_E_FORMAT, "not whole");
    check_member_refused("\"sha256\":\"ab\"", HF_E_FORMAT, "64 hexadecimal digits, found 2");
    check_member_refused("\"nonce\":\"0011223344556677AA\"", HF_E_FORMAT, "16 hexadecimal digits");
    check_member_refused("\"nonce\":\"0011223344556F77\"", HF_E_FORMAT, "in lower case");
    check_member_refused("\"text\":7", HF_E_FORMAT, "a string \"text\"");
    check_member_refused("\"outcome\":\"ok\\n\"", HF_E_FORMAT, "\"outcome\" of the report should");
    check_member_refused("\"outcome\":\"\"", HF_E_FORMAT, "\"outcome\" of the report should");
    check_member_refused("\"clock\":\"2026-12-01\"", HF_E_FORMAT, "a time like");
    check_member_refused("\"groups\":\"lab\"", HF_E_FORMAT, "a list \"groups\"");
    check_member_refused("\"groups\":[7]", HF_E_FORMAT, "a list of strings");
    check_member_refused("\"groups\":[\"../lab\"]", HF_E_FORMAT, "should begin with a-z 0-9");
    check_member_refused("\"groups\":[\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\"]",
                         HF_E_LIMIT, "at most 8, found 9");
    check_member_refused("\"seq\":41", HF_E_FORMAT, "same key twice");
    (void)snprintf(longer, sizeof longer, "\"text\":\"%0501d\"", 0);
    check_member_refused(longer, HF_E_LIMIT, "at most 500 bytes, found 501");
}

/* `find` of the required members replaced, NULL: taken out with its comma. */
static void check_required_refused(const char *find, const char *replacement, const char *part)
{
    char body[1024];
    struct hf_report report;
    struct hf_why why = {0};
    const char *text = "{" REQUIRED "}";
    const char *at = strstr(text, find);

    assert_non_null(at);
    (void)snprintf(body, sizeof body, "%.*s%s%s", (int)(at - text), text, replacement,
                   at + strlen(find));
    CHECK_REFUSED(read_one(body, &report, &why), HF_E_FORMAT, &why, part);
}

static void what_must_be_there_is_asked_for(void **state)
{
    (void)state;
    check_required_refused("\"v\":1,", "", "a whole number \"v\"");
    check_required_refused("\"v\":1", "\"v\":0", "\"v\" of the report should be at least 1");
    check_required_refused("\"device\":\"pump-17\",", "", "a string \"device\"");
    check_required_refused("pump-17", "pump 17", "should be 1 to 128 of");
    check_required_refused("\"seq\":41,", "", "a whole number \"seq\"");
    check_required_refused("41", "0", "\"seq\" of the report should be at least 1");
    check_required_refused("\"kind\":\"current\",", "", "a string \"kind\"");
    check_required_refused("current", "Current", "\"kind\" of the report should be of a-z");
    check_required_refused("\"set\":\"amazon-iot\",", "", "a string \"set\"");
    check_required_refused("amazon-iot", "../iot", "should begin with a-z 0-9");
    check_required_refused(",\"profile\":\"full\"", "", "a string \"profile\"");
    check_required_refused("00112233445566778899aabbccddeeff", "0011", "32 hexadecimal digits");
}

/* `n` reports, each filled with blanks to `size` bytes. */
static enum hf_err read_many(size_t n, size_t size, size_t *n_out, struct hf_why *why)
{
    struct hf_buf body = {0};
    struct hf_report *list = NULL;

    CHECK_OK(hf_buf_append_text(&body, "["));
    for (size_t i = 0; i < n; i++)
        CHECK_OK(hf_buf_printf(&body, "%s{" REQUIRED "%*s}", i > 0 ? "," : "",
                               (int)(size - sizeof REQUIRED - 2), ""));
    CHECK_OK(hf_buf_append_text(&body, "]"));
    enum hf_err err = hf_report_list_read(hf_buf_bytes(&body), &list, n_out, why);
    assert_true((err == HF_OK) == (list != NULL));
    free(list);
    hf_buf_free(&body);
    return err;
}

static void a_list_is_bounded(void **state)
{
    struct hf_why why = {0};
    size_t n = 0;
    (void)state;

    CHECK_OK(read_many(1, 300, &n, &why));
    assert_int_equal(n, 1);
    CHECK_OK(read_many(HF_REPORT_LIST_MAX, HF_REPORT_BYTES_MAX - 2, &n, &why));
    assert_int_equal(n, HF_REPORT_LIST_MAX);
    CHECK_REFUSED(read_many(HF_REPORT_LIST_MAX + 1, 300, &n, &why), HF_E_LIMIT, &why,
                  "1 to 50 reports, found 51");
    CHECK_REFUSED(read_many(2, HF_REPORT_BYTES_MAX + 4, &n, &why), HF_E_LIMIT, &why,
                  "4096 bytes at most");
    CHECK_REFUSED(read_many(50, HF_REPORT_BYTES_MAX + 4, &n, &why), HF_E_LIMIT, &why,
                  "204800 bytes at most");
    CHECK_REFUSED(read_many(0, 0, &n, &why), HF_E_FORMAT, &why, "1 to 50 reports, found 0");
    assert_int_equal(n, HF_REPORT_LIST_MAX);
}

static void the_bad_one_of_a_list_is_named(void **state)
{
    struct hf_report report;
    struct hf_why why = {0};
    (void)state;

    CHECK_REFUSED(read_one("[{" REQUIRED "},{\"v\":1}]", &report, &why), HF_E_FORMAT, &why,
                  "report 2 of 2: the report should have a string \"device\"");
    CHECK_REFUSED(read_one("[[]]", &report, &why), HF_E_FORMAT, &why,
                  "report 1 of 1: the report should be a JSON object");
    CHECK_REFUSED(read_one("", &report, &why), HF_E_FORMAT, &why, "is empty");
    CHECK_REFUSED(read_one("7", &report, &why), HF_E_FORMAT, &why, "not valid JSON");
}

/* Four kilobytes of {} would take a third of a megabyte. */
static void a_report_of_nothing_but_values_is_refused_unread(void **state)
{
    struct hf_buf body = {0};
    struct hf_report *list = NULL;
    struct hf_why why = {0};
    size_t n = 0;
    (void)state;

    CHECK_OK(hf_buf_append_text(&body, "{" REQUIRED ",\"x\":[{}"));
    while (body.len < HF_REPORT_BYTES_MAX - 10)
        CHECK_OK(hf_buf_append_text(&body, ",{}"));
    CHECK_OK(hf_buf_append_text(&body, "]}"));
    CHECK_REFUSED(hf_report_list_read(hf_buf_bytes(&body), &list, &n, &why), HF_E_LIMIT, &why,
                  "packs more values");
    hf_buf_free(&body);
}

static enum hf_err read_answer(const char *text, struct hf_report_answer *out, struct hf_why *why)
{
    return hf_report_answer_read(hf_bytes_of_text(text), out, why);
}

static void check_answer(const struct hf_report_answer *answer)
{
    assert_int_equal(answer->accepted, 2);
    assert_int_equal(answer->duplicates, 1);
    assert_string_equal(answer->nonce, "00112233aabbccdd");
}

static void an_answer_is_read_whole_or_refused(void **state)
{
    struct hf_report_answer answer = {0};
    struct hf_why why = {0};
    (void)state;

    CHECK_OK(read_answer("{\"accepted\":2,\"duplicates\":1,\"nonce\":\"00112233aabbccdd\"}",
                         &answer, &why));
    check_answer(&answer);
    CHECK_REFUSED(read_answer("{\"accepted\":2,\"duplicates\":1}", &answer, &why), HF_E_FORMAT,
                  &why, "a string \"nonce\"");
    CHECK_REFUSED(read_answer("{\"accepted\":2,\"duplicates\":1,\"nonce\":\"zz\"}", &answer, &why),
                  HF_E_FORMAT, &why, "16 hexadecimal digits");
    CHECK_REFUSED(read_answer("{\"duplicates\":1}", &answer, &why), HF_E_FORMAT, &why, "accepted");
    CHECK_REFUSED(read_answer("<html>", &answer, &why), HF_E_FORMAT, &why, "login page");
    check_answer(&answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_is_read_as_it_was_written),
        cmocka_unit_test(what_is_absent_is_not_written),
        cmocka_unit_test(the_longest_report_is_within_its_limit),
        cmocka_unit_test(a_newer_agent_is_understood),
        cmocka_unit_test(every_kind_has_a_name),
        cmocka_unit_test(a_terminal_gets_no_control_characters),
        cmocka_unit_test(a_wrong_member_is_named),
        cmocka_unit_test(what_must_be_there_is_asked_for),
        cmocka_unit_test(a_list_is_bounded),
        cmocka_unit_test(the_bad_one_of_a_list_is_named),
        cmocka_unit_test(a_report_of_nothing_but_values_is_refused_unread),
        cmocka_unit_test(an_answer_is_read_whole_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
