/* client/core/forecast: what the status says of the roots that will go, and whom that hits. */
#include "tests/support/check.h"

#include "client/core/dependency.h"
#include "client/core/endpoints.h"
#include "tests/support/test_pki.h"

#include <stdio.h>
#include <stdlib.h>

#define NOW_S INT64_C(1900000000) /* 2030-03-17T17:46:40Z */
#define FAR_S (20 * 365 * HF_DAY_S)

/* A bundle made up: what certificates really look like is not asked here. */
struct fixture {
    struct hf_anchor anchors[4];
    struct hf_bundle bundle;
    struct hf_dependency items[4];
    struct hf_dependencies dependencies;
    uint8_t keys[2][HF_SHA256_LEN];
    struct hf_warning *warnings;
    size_t n;
};

/* "CN=A" with key 1, "CN=B" with key 2, …; they end far from now. */
static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->bundle = (struct hf_bundle){.anchors = f->anchors};
    f->dependencies = (struct hf_dependencies){.items = f->items};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    free(f->warnings);
    free(f);
    return 0;
}

static struct hf_anchor *add(struct fixture *f, const char *subject, uint8_t key, int64_t left_s)
{
    struct hf_anchor *a = &f->anchors[f->bundle.n_anchors++];
    *a = (struct hf_anchor){.distrust_after_s = HF_TIME_NONE, .remove_after_s = HF_TIME_NONE};
    snprintf(a->cert.subject, sizeof a->cert.subject, "%s", subject);
    a->cert.sha256[0] = (uint8_t)f->bundle.n_anchors;
    a->cert.spki_sha256[0] = key;
    a->cert.not_before_s = NOW_S - FAR_S;
    a->cert.not_after_s = NOW_S + left_s;
    return a;
}

/* An endpoint that any of these keys serves; its certificate lasts from 30 days ago to 60 days
 * hence. */
static void rely(struct fixture *f, uint8_t key, uint8_t other_key)
{
    f->keys[0][0] = key;
    f->keys[1][0] = other_key;
    f->items[f->dependencies.n++] = (struct hf_dependency){
        .endpoint = "mqtts://a.test:8883",
        .key_type = HF_KEY_TYPE_RSA,
        .keys = (const uint8_t(*)[HF_SHA256_LEN])f->keys,
        .n_keys = 2,
        .leaf_not_before_s = NOW_S - 30 * HF_DAY_S,
        .leaf_not_after_s = NOW_S + 60 * HF_DAY_S,
    };
}

static void make(struct fixture *f, int64_t now_s)
{
    struct hf_dependencies roots = {0};
    struct hf_why why = {0};

    free(f->warnings);
    f->warnings = NULL;
    CHECK_OK(hf_dependencies_make(NULL, &f->bundle, &f->bundle, &roots, &why));
    CHECK_OK(hf_warnings_make(&f->bundle, f->dependencies.n > 0 ? &f->dependencies : &roots, now_s,
                              &f->warnings, &f->n, &why));
    hf_dependencies_free(&roots);
}

static void check_one(const struct fixture *f, bool is_note, const char *kind, int threshold_days,
                      const char *part)
{
    assert_int_equal(f->n, 1);
    assert_int_equal(f->warnings[0].is_note, is_note);
    assert_string_equal(f->warnings[0].kind, kind);
    assert_int_equal(f->warnings[0].threshold_days, threshold_days);
    if (strstr(f->warnings[0].text, part) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", f->warnings[0].text, part);
}

/* ---- thresholds ------------------------------------------------------------------------------ */

static void test_each_threshold_on_the_second(void **state)
{
    static const struct {
        int64_t days;
        int next; /* the one that was reached before it; 0 for none */
    } thresholds[] = {{730, 0}, {365, 730}, {180, 365}, {90, 180}, {30, 90}};
    struct fixture *f = *state;
    struct hf_anchor *a = add(f, "CN=A", 1, 0);
    for (size_t i = 0; i < sizeof thresholds / sizeof thresholds[0]; i++) {
        a->cert.not_after_s = NOW_S + thresholds[i].days * HF_DAY_S + 1;
        make(f, NOW_S);
        assert_int_equal(f->n, thresholds[i].next > 0);
        if (f->n > 0)
            assert_int_equal(f->warnings[0].threshold_days, thresholds[i].next);
        make(f, NOW_S + 1);
        assert_int_equal(f->n, 1);
        assert_int_equal(f->warnings[0].threshold_days, thresholds[i].days);
        assert_int_equal(f->warnings[0].days_left, thresholds[i].days);
    }
    make(f, a->cert.not_after_s);
    check_one(f, false, "expiry", 30,
              "\"CN=A\" expires on 2030-04-16, in 0 days: no endpoint was seen");
    make(f, a->cert.not_after_s + 1); /* it is gone: no news */
    assert_int_equal(f->n, 0);
}

static void test_removal_comes_before_expiry_and_distrust_has_a_line_of_its_own(void **state)
{
    struct fixture *f = *state;
    struct hf_anchor *a = add(f, "CN=A", 1, 300 * HF_DAY_S);
    a->remove_after_s = NOW_S + 100 * HF_DAY_S;
    make(f, NOW_S);
    check_one(f, false, "removal", 180,
              "\"CN=A\" is to be removed after 2030-06-25T17:46:40Z, in 100 days");

    a->remove_after_s = HF_TIME_NONE;
    a->distrust_after_s = NOW_S + 31 * HF_DAY_S;
    make(f, NOW_S);
    assert_int_equal(f->n, 2);
    assert_string_equal(f->warnings[0].kind, "distrust");
    assert_int_equal(f->warnings[0].threshold_days, 90);
    assert_non_null(
        strstr(f->warnings[0].text, "distrusted for certificates issued after 2030-04-17"));
    assert_string_equal(f->warnings[1].kind, "expiry");
    assert_int_equal(f->warnings[1].threshold_days, 365);

    make(f, NOW_S + 32 * HF_DAY_S);
    assert_int_equal(f->warnings[0].threshold_days, 0);
    assert_int_equal(f->warnings[0].days_left, -1);
    assert_non_null(strstr(f->warnings[0].text, "which has passed"));
}

/* ---- who depends on it ----------------------------------------------------------------------- */

static void test_with_endpoints_only_the_root_that_has_no_other_is_a_warning(void **state)
{
    struct fixture *f = *state;
    add(f, "CN=A", 1, 20 * HF_DAY_S);
    add(f, "CN=Unused", 9, 10 * HF_DAY_S);
    rely(f, 1, 2);
    make(f, NOW_S);
    check_one(f, false, "expiry", 30, "mqtts://a.test:8883 (RSA) has no other root");
    assert_string_equal(f->warnings[0].endpoint, "mqtts://a.test:8883 (RSA)");
    assert_string_equal(f->warnings[0].subject, "CN=A");

    add(f, "CN=B", 2, FAR_S);
    make(f, NOW_S);
    check_one(f, true, "expiry", 30, "another root serves");
    assert_string_equal(f->warnings[0].endpoint, "");
}

static void test_a_twin_of_the_same_key_serves(void **state)
{
    struct fixture *f = *state;
    add(f, "CN=A", 1, FAR_S);
    add(f, "CN=A", 1, 20 * HF_DAY_S);
    make(f, NOW_S);
    check_one(f, true, "expiry", 30, "\"CN=A\" expires");
    assert_int_equal(f->warnings[0].sha256[1], '2');
}

/* The other root must serve when the first one is gone, not only today. */
static void test_an_other_root_that_ends_earlier_is_no_help(void **state)
{
    struct fixture *f = *state;
    add(f, "CN=A", 1, 20 * HF_DAY_S);
    add(f, "CN=B", 2, 19 * HF_DAY_S);
    rely(f, 1, 2);
    make(f, NOW_S);
    assert_int_equal(f->n, 2);
    assert_string_equal(f->warnings[0].subject, "CN=A");
    assert_false(f->warnings[0].is_note);
    assert_string_equal(f->warnings[1].subject, "CN=B");
    assert_true(f->warnings[1].is_note);
}

static void test_a_removal_that_cuts_an_endpoint_off_is_said_beforehand(void **state)
{
    struct fixture *f = *state;
    add(f, "CN=A", 1, FAR_S)->remove_after_s = NOW_S + 20 * HF_DAY_S;
    rely(f, 1, 2);
    make(f, NOW_S);
    check_one(f, false, "removal", 30,
              "\"CN=A\" is to be removed after 2030-04-06T17:46:40Z, in 20 days: "
              "mqtts://a.test:8883 (RSA) has "
              "no other root in this bundle and cannot be reached then");
    make(f, NOW_S + 21 * HF_DAY_S);
    check_one(f, false, "lost", 0, "mqtts://a.test:8883 (RSA) is lost");
}

static void test_an_endpoint_without_any_root_is_lost(void **state)
{
    struct fixture *f = *state;
    add(f, "CN=A", 1, -1);
    add(f, "CN=C", 3, FAR_S);
    rely(f, 1, 2);
    make(f, NOW_S);
    check_one(f, false, "lost", 0, "mqtts://a.test:8883 (RSA) is lost");
}

/* ---- what the schedule looks at -------------------------------------------------------------- */

static void check_last_end(const struct fixture *f, int64_t expected_s, const char *subject)
{
    const struct hf_anchor *last = NULL;
    assert_int_equal(hf_dependency_last_end(&f->items[0], &f->bundle, NOW_S, &last), expected_s);
    if (subject == NULL)
        assert_null(last);
    else
        assert_string_equal(last->cert.subject, subject);
}

static void test_the_last_end_of_a_chain(void **state)
{
    struct fixture *f = *state;
    struct hf_anchor *a = add(f, "CN=A", 1, 20 * HF_DAY_S);
    rely(f, 1, 2);
    check_last_end(f, NOW_S + 20 * HF_DAY_S, "CN=A");
    add(f, "CN=B", 2, 30 * HF_DAY_S)->cert.not_before_s = NOW_S + 1; /* not valid yet */
    check_last_end(f, NOW_S + 20 * HF_DAY_S, "CN=A");
    f->anchors[1].cert.not_before_s = NOW_S;
    check_last_end(f, NOW_S + 30 * HF_DAY_S, "CN=B");
    f->anchors[1].remove_after_s = NOW_S + 10 * HF_DAY_S;
    check_last_end(f, NOW_S + 20 * HF_DAY_S, "CN=A");
    a->cert.not_after_s = NOW_S - 1;
    check_last_end(f, NOW_S + 10 * HF_DAY_S, "CN=B");
    f->anchors[1].remove_after_s = NOW_S - 1;
    check_last_end(f, HF_TIME_NONE, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_threshold_on_the_second),
        TEST(test_removal_comes_before_expiry_and_distrust_has_a_line_of_its_own),
        TEST(test_with_endpoints_only_the_root_that_has_no_other_is_a_warning),
        TEST(test_a_twin_of_the_same_key_serves),
        TEST(test_an_other_root_that_ends_earlier_is_no_help),
        TEST(test_a_removal_that_cuts_an_endpoint_off_is_said_beforehand),
        TEST(test_an_endpoint_without_any_root_is_lost),
        TEST(test_the_last_end_of_a_chain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
