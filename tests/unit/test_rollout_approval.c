/* server/repository/rollout_approval: approvals as JSON. What they are worth is in
 * test_rollout_rules.c. */
#include "tests/support/check.h"

#include "server/repository/rollout_approval.h"

#include <string.h>

static struct hf_rollout_approval_given numbered(uint8_t n)
{
    struct hf_rollout_approval_given given;
    memset(given.approver, n, sizeof given.approver);
    memset(given.signature, n + 100, sizeof given.signature);
    return given;
}

static json_t *list_of(size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        const struct hf_rollout_approval_given given = numbered((uint8_t)i);
        list = hf_json_append_take(list, hf_rollout_approval_to_json(&given));
    }
    assert_non_null(list);
    return list;
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct hf_rollout_approvals read = {.n = 99};
    json_t *list = list_of(HF_ROLLOUT_APPROVERS_MAX);
    /* A file says for people which step it is for. */
    json_object_set_new(json_array_get(list, 0), "stage", json_integer(7));
    CHECK_OK(hf_rollout_approvals_parse(list, "a test", &read, NULL));
    assert_int_equal(read.n, HF_ROLLOUT_APPROVERS_MAX);
    for (size_t i = 0; i < read.n; i++) {
        const struct hf_rollout_approval_given given = numbered((uint8_t)i);
        assert_memory_equal(&read.of[i], &given, sizeof given);
    }
    json_decref(list);
}

static void none_are_none(void **state)
{
    (void)state;
    json_t *null = json_null(), *empty = json_array();
    const json_t *const none[] = {NULL, null, empty};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        struct hf_rollout_approvals read = {.n = 99};
        CHECK_OK(hf_rollout_approvals_parse(none[i], "a test", &read, NULL));
        assert_int_equal(read.n, 0);
    }
    json_decref(empty);
}

static void check_refused(json_t *list, enum hf_err expected, const char *sentence)
{
    struct hf_rollout_approvals read = {.n = 99};
    struct hf_why why = {0};
    CHECK_REFUSED(hf_rollout_approvals_parse(list, "a test", &read, &why), expected, &why,
                  sentence);
    assert_int_equal(read.n, 99);
    json_decref(list);
}

static void what_is_no_list_of_approvals_is_refused(void **state)
{
    (void)state;
    check_refused(json_object(), HF_E_FORMAT, "a test: \"approvals\" should be a list");
    check_refused(json_true(), HF_E_FORMAT, "should be a list");
    check_refused(list_of(HF_ROLLOUT_APPROVERS_MAX + 1), HF_E_LIMIT, "at most 8, found 9");
    for (int member = 0; member < 2; member++) {
        const char *const name = member == 0 ? "approver" : "signature";
        json_t *const values[] = {NULL, json_integer(7), json_string(""), json_string("!"),
                                  json_string("AAAA")};
        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
            json_t *list = list_of(2);
            json_object_del(json_array_get(list, 1), name);
            if (values[i] != NULL)
                json_object_set_new(json_array_get(list, 1), name, values[i]);
            check_refused(list, HF_E_FORMAT, name);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(none_are_none),
        cmocka_unit_test(what_is_no_list_of_approvals_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
