/* server/publish/lint_*.c and findings.c: what the command line does not show to the second. */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "server/publish/lint/lint.h"
#include "tests/support/test_pki.h"

#define LEAD_S (30 * HF_DAY_S)

/* Two roots, of which the first ends on 2030-01-01 and the second in 2040. */
struct world {
    struct pki_key keys[2];
    struct hf_bundle bundle;
    struct hf_description description;
    struct hf_known_roots known;
    struct hf_lint lint;
    struct hf_lint_line line;
    struct hf_findings findings;
};

static int set_up(void **state)
{
    static struct world w;
    struct hf_buf pem = {0};
    w = (struct world){0};
    pki_key_make(&w.keys[0], PKI_P256);
    pki_key_make(&w.keys[1], PKI_P256);
    pki_issue_pem(&(struct pki_cert){.subject = "CN=Short",
                                     .key = &w.keys[0],
                                     .is_ca = true,
                                     .not_after_s = pki_day(2030, 1, 1)},
                  &pem);
    pki_issue_pem(&(struct pki_cert){.subject = "CN=Long", .key = &w.keys[1], .is_ca = true}, &pem);
    CHECK_OK(hf_bundle_parse(hf_buf_bytes(&pem), NULL, &w.bundle, NULL));
    hf_buf_free(&pem);
    w.lint = (struct hf_lint){.lead_s = LEAD_S, .known = &w.known};
    w.line = (struct hf_lint_line){.where = "roots/full 1",
                                   .bundle = &w.bundle,
                                   .description = &w.description};
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    hf_findings_free(&w->findings);
    hf_bundle_free(&w->bundle);
    pki_key_free(&w->keys[0]);
    pki_key_free(&w->keys[1]);
    return 0;
}

static size_t count(const struct world *w, enum hf_lint_code code)
{
    size_t n = 0;
    for (size_t i = 0; i < w->findings.n_items; i++)
        n += w->findings.items[i].code == code;
    return n;
}

static void an_end_on_the_last_day_of_the_lead_time_is_within_it(void **state)
{
    struct world *w = *state;
    int64_t end_s = w->bundle.anchors[0].cert.not_after_s;
    w->lint.at_s = end_s - LEAD_S - 1;
    CHECK_OK(hf_lint_dates(&w->lint, &w->line, &w->findings, NULL));
    assert_int_equal(w->findings.n_items, 0);
    w->lint.at_s = end_s - LEAD_S;
    CHECK_OK(hf_lint_dates(&w->lint, &w->line, &w->findings, NULL));
    assert_int_equal(w->findings.n_items, 1);
    assert_int_equal(count(w, HF_LINT_EXPIRES_SOON), 1);
}

static void the_earliest_end_is_the_one_that_counts(void **state)
{
    struct world *w = *state;
    struct hf_anchor *anchor = &w->bundle.anchors[1];
    anchor->remove_after_s = pki_day(2029, 1, 1);
    anchor->distrust_after_s = pki_day(2028, 1, 1);
    struct hf_anchor_end end = hf_anchor_end(anchor, &w->known);
    assert_int_equal(end.end_s, pki_day(2028, 1, 1));
    assert_int_equal(end.reason, HF_END_DISTRUSTED);
    anchor->distrust_after_s = HF_TIME_NONE;
    assert_int_equal(hf_anchor_end(anchor, &w->known).reason, HF_END_REMOVED);
    w->lint.at_s = pki_day(2029, 12, 20); /* the first ends soon, the second was removed */
    CHECK_OK(hf_lint_dates(&w->lint, &w->line, &w->findings, NULL));
    assert_int_equal(count(w, HF_LINT_NO_SUCCESSOR), 1);
    assert_int_equal(count(w, HF_LINT_NOT_IN_DATE), 1);
}

static void overlap_is_a_root_that_is_good_today(void **state)
{
    struct world *w = *state;
    struct hf_bundle before = {.anchors = w->bundle.anchors, .n_anchors = 1};
    w->line.before = &before;
    w->lint.at_s = pki_day(2029, 1, 1);
    CHECK_OK(hf_lint_change(&w->lint, &w->line, &w->findings, NULL));
    assert_int_equal(w->findings.n_items, 0);
    /* It is still in both, and on the day it is removed nothing is shared any more. */
    struct hf_anchor good = w->bundle.anchors[0];
    before.anchors = &good;
    w->bundle.anchors[0].remove_after_s = pki_day(2028, 1, 1);
    CHECK_OK(hf_lint_change(&w->lint, &w->line, &w->findings, NULL));
    assert_int_equal(count(w, HF_LINT_NO_OVERLAP), 1);
}

static void after_everything_expired_nothing_can_overlap(void **state)
{
    struct world *w = *state;
    struct hf_bundle before = {.anchors = w->bundle.anchors, .n_anchors = 1};
    struct hf_bundle now = {.anchors = w->bundle.anchors + 1, .n_anchors = 1};
    uint8_t drops[1][HF_SHA256_LEN];
    memcpy(drops[0], w->bundle.anchors[0].cert.spki_sha256, HF_SHA256_LEN);
    w->description.drops = drops;
    w->description.n_drops = 1;
    w->line.before = &before;
    w->line.bundle = &now;
    w->lint.at_s = pki_day(2031, 1, 1);
    CHECK_OK(hf_lint_change(&w->lint, &w->line, &w->findings, NULL));
    assert_int_equal(w->findings.n_items, 0);
}

static void only_errors_are_counted_and_accepted(void **state)
{
    struct world *w = *state;
    struct hf_why why;
    const struct hf_finding *first = NULL;
    CHECK_OK(hf_findings_add(&w->findings, HF_LINT_SINGLE_ANCHOR, "a", NULL, "one"));
    CHECK_OK(hf_findings_add(&w->findings, HF_LINT_NO_OVERLAP, "b", NULL, "two"));
    assert_int_equal(hf_findings_errors(&w->findings, &first), 1);
    assert_string_equal(first->sentence, "two");
    const char *const warning[] = {"single-anchor", NULL}, *const error[] = {"no-overlap", NULL};
    CHECK_REFUSED(hf_findings_accept(&w->findings, warning, &why), HF_E_ARGUMENT, &why,
                  "no error of lint has that code");
    assert_int_equal(hf_findings_errors(&w->findings, &first), 1);
    CHECK_OK(hf_findings_accept(&w->findings, error, &why));
    assert_int_equal(hf_findings_errors(&w->findings, &first), 0);
    assert_null(first);
}

static void every_code_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int i = 0; i < HF_LINT_CODES; i++) {
        const char *name = hf_lint_code_name((enum hf_lint_code)i);
        assert_non_null(name);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(name, hf_lint_code_name((enum hf_lint_code)j));
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_end_on_the_last_day_of_the_lead_time_is_within_it),
        TEST(the_earliest_end_is_the_one_that_counts),
        TEST(overlap_is_a_root_that_is_good_today),
        TEST(after_everything_expired_nothing_can_overlap),
        TEST(only_errors_are_counted_and_accepted),
        cmocka_unit_test(every_code_has_a_name_of_its_own),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
