/* The live trust store in 1970, around 2038-01-19 (2^31 seconds), on the days that Amazon's roots
 * end and around 2106-02-07 (2^32 seconds): which anchors are offered, to the second, and in what
 * words the others are not. */
#include "tests/support/check.h"

#include "client/port/mbedtls/trust_store_internal.h"
#include "common/base/timetext.h"
#include "tests/support/debian_roots.h"
#include "tests/support/trust_world.h"

#include <mbedtls/platform.h>

#define NOT_TRUSTED MBEDTLS_X509_BADCERT_NOT_TRUSTED

#define PAST_31_BITS INT64_C(2147483648) /* 2038-01-19T03:14:08Z */
#define PAST_32_BITS INT64_C(4294967296) /* 2106-02-07T06:28:16Z */

static int64_t at(const char *text)
{
    int64_t time_s = 0;
    assert_true(hf_time_parse_lenient(text, &time_s));
    return time_s;
}

/* ---- the five roots -------------------------------------------------------------------------- */

struct roots {
    struct hf_trust_store *store;
    mbedtls_x509_crt crt[DEBIAN_ROOTS]; /* each is its own issuer: what a chain would ask for */
};

static void load_roots(struct roots *r)
{
    struct hf_buf pem = {0};
    struct hf_why why = {0};

    for (size_t i = 0; i < DEBIAN_ROOTS; i++) {
        struct hf_buf one = {0};
        debian_root_load(&debian_roots[i], &one);
        mbedtls_x509_crt_init(&r->crt[i]);
        CHECK_OK(hf_buf_append(&one, "", 1)); /* Mbed TLS knows PEM by its NUL */
        assert_int_equal(mbedtls_x509_crt_parse(&r->crt[i], one.data, one.len), 0);
        CHECK_OK(hf_buf_append(&pem, one.data, one.len - 1));
        hf_buf_free(&one);
    }
    CHECK_OK(hf_trust_store_new_from_pem(hf_buf_bytes(&pem), &r->store, NULL, &why));
    hf_buf_free(&pem);
}

static void free_roots(struct roots *r)
{
    for (size_t i = 0; i < DEBIAN_ROOTS; i++)
        mbedtls_x509_crt_free(&r->crt[i]);
    hf_trust_store_free(r->store);
    hf_trust_store_set_clock(INT64_MIN);
}

static size_t count_offered(const struct roots *r, size_t i)
{
    mbedtls_x509_crt *found = NULL;
    size_t n = 0;
    assert_int_equal(hf_trust_store_candidates(r->store, &r->crt[i], &found), 0);
    for (const mbedtls_x509_crt *crt = found; crt != NULL; crt = crt->next)
        n++;
    mbedtls_x509_crt_free(found);
    mbedtls_free(found);
    return n;
}

/* NULL: nothing is wrong. */
static void check_words(const struct roots *r, size_t i, const char *words)
{
    char text[HF_WHY_MAX] = "x";
    hf_trust_store_explain(r->store, &r->crt[i], text, sizeof text);
    if (words == NULL)
        assert_string_equal(text, "");
    else
        assert_non_null(strstr(text, words));
}

#define TOO_EARLY_A "the trust anchor of that name is valid only from 2015-05-26 on"
#define TOO_EARLY_S "the trust anchor of that name is valid only from 2009-09-01 on"
#define OVER_1 "the trust anchor of that name expired on 2038-01-17"
#define OVER_2 "the trust anchor of that name expired on 2040-05-26"
#define OVER_S "the trust anchor of that name expired on 2037-12-31"

/* In the order of debian_roots: Amazon 1 to 4, Starfield. NULL: offered. */
static const struct {
    const char *clock;
    const char *words[DEBIAN_ROOTS];
} calendar[] = {
    {"1970-01-01", {TOO_EARLY_A, TOO_EARLY_A, TOO_EARLY_A, TOO_EARLY_A, TOO_EARLY_S}},
    {"2009-08-31T23:59:59Z", {TOO_EARLY_A, TOO_EARLY_A, TOO_EARLY_A, TOO_EARLY_A, TOO_EARLY_S}},
    {"2009-09-01", {TOO_EARLY_A, TOO_EARLY_A, TOO_EARLY_A, TOO_EARLY_A, NULL}},
    {"2015-05-25T23:59:59Z", {TOO_EARLY_A, TOO_EARLY_A, TOO_EARLY_A, TOO_EARLY_A, NULL}},
    {"2015-05-26", {NULL, NULL, NULL, NULL, NULL}},
    {"2037-12-31T23:59:59Z", {NULL, NULL, NULL, NULL, NULL}},
    {"2038-01-01", {NULL, NULL, NULL, NULL, OVER_S}},
    {"2038-01-17", {NULL, NULL, NULL, NULL, OVER_S}},
    {"2038-01-17T00:00:01Z", {OVER_1, NULL, NULL, NULL, OVER_S}},
    {"2038-01-19T03:14:07Z", {OVER_1, NULL, NULL, NULL, OVER_S}},
    {"2038-01-19T03:14:08Z", {OVER_1, NULL, NULL, NULL, OVER_S}},
    {"2040-05-26", {OVER_1, NULL, NULL, NULL, OVER_S}},
    {"2040-05-26T00:00:01Z", {OVER_1, OVER_2, OVER_2, OVER_2, OVER_S}},
    {"2106-02-07T06:28:15Z", {OVER_1, OVER_2, OVER_2, OVER_2, OVER_S}},
    {"2106-02-07T06:28:16Z", {OVER_1, OVER_2, OVER_2, OVER_2, OVER_S}},
    {"9999-12-31T23:59:59Z", {OVER_1, OVER_2, OVER_2, OVER_2, OVER_S}},
};
#define CALENDAR (sizeof calendar / sizeof calendar[0])

static void check_day(const struct roots *r, size_t day)
{
    hf_trust_store_set_clock(at(calendar[day].clock));
    for (size_t i = 0; i < DEBIAN_ROOTS; i++) {
        const char *words = calendar[day].words[i];
        assert_int_equal(count_offered(r, i), words == NULL);
        check_words(r, i, words);
    }
}

static void each_root_is_offered_from_its_first_second_to_its_last(void **state)
{
    (void)state;
    struct roots r;
    load_roots(&r);
    for (size_t day = 0; day < CALENDAR; day++)
        check_day(&r, day);
    /* Nothing was pruned on the way to 9999: backwards it is the same. */
    for (size_t day = CALENDAR; day > 0; day--)
        check_day(&r, day - 1);
    assert_int_equal(hf_trust_store_generation(r.store), 1);
    free_roots(&r);
}

/* remove_after is a time like any other. */
static void an_anchor_can_be_removed_past_32_bits(void **state)
{
    (void)state;
    struct world w;
    struct world_anchors anchors = {0};
    struct world_chain chain = {0};
    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_3);
    const struct pki_cert root = {.subject = "CN=Root",
                                  .key = &w.root,
                                  .not_after_s = pki_day(2200, 1, 1),
                                  .is_ca = true};
    world_add(&anchors, &root)->remove_after_s = PAST_32_BITS;
    world_trust(&w, &anchors);
    world_present(&chain, &(struct pki_cert){.subject = "CN=leaf",
                                             .key = &w.leaf,
                                             .issuer = "CN=Root",
                                             .issuer_key = &w.root,
                                             .not_after_s = pki_day(2200, 1, 1),
                                             .dns_name = TLS_HOST});
    hf_trust_store_set_clock(PAST_32_BITS);
    assert_int_equal(world_verdict(&w, &chain), 0);
    hf_trust_store_set_clock(PAST_32_BITS + 1);
    assert_int_equal(world_verdict(&w, &chain), NOT_TRUSTED);
    world_chain_clear(&chain);
    world_free(&w);
}

/* ---- chains ---------------------------------------------------------------------------------- */

/* A root and a leaf that begin and end on these very seconds. */
struct span {
    int64_t from_s, to_s;
};
static const struct span spans[] = {
    {1, PAST_31_BITS - 1},                       /* 1970 to the last second of 31 bits */
    {PAST_31_BITS - 1, PAST_31_BITS + 1},        /* over that edge */
    {PAST_31_BITS, PAST_32_BITS - 1},            /* all of 32 bits */
    {PAST_32_BITS - 1, PAST_32_BITS + HF_DAY_S}, /* beyond */
};

static void trust_span(struct world *w, const struct span *span, struct world_chain *chain)
{
    struct world_anchors anchors = {0};
    (void)world_add(&anchors, &(struct pki_cert){.subject = "CN=Root",
                                                 .key = &w->root,
                                                 .not_before_s = span->from_s,
                                                 .not_after_s = span->to_s,
                                                 .is_ca = true});
    world_trust(w, &anchors);
    world_present(chain, &(struct pki_cert){.subject = "CN=leaf",
                                            .key = &w->leaf,
                                            .issuer = "CN=Root",
                                            .issuer_key = &w->root,
                                            .not_before_s = span->from_s,
                                            .not_after_s = span->to_s,
                                            .dns_name = TLS_HOST});
}

static void check_span(struct world *w, const struct span *span)
{
    struct world_chain chain = {0};
    trust_span(w, span, &chain);
    const struct {
        int64_t clock_s;
        uint32_t verdict;
    } cases[] = {
        {span->from_s - 1, NOT_TRUSTED | MBEDTLS_X509_BADCERT_FUTURE},
        {span->from_s, 0},
        {span->to_s, 0},
        {span->to_s + 1, NOT_TRUSTED | MBEDTLS_X509_BADCERT_EXPIRED},
        /* A time server that is off by 2^32 seconds does no lasting harm. */
        {span->to_s + PAST_32_BITS, NOT_TRUSTED | MBEDTLS_X509_BADCERT_EXPIRED},
        {span->from_s, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hf_trust_store_set_clock(cases[i].clock_s);
        assert_int_equal(world_verdict(w, &chain), cases[i].verdict);
    }
    world_chain_clear(&chain);
}

static void handshakes_work_from_the_first_second_to_the_last(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++) {
        struct world w;
        world_make(&w, world_versions[i % 2]);
        check_span(&w, &spans[i]);
        world_free(&w);
    }
}

static void check_sentence(struct world *w, const struct world_chain *sent, int64_t clock_s,
                           const char *part)
{
    struct hf_chain_verdict verdict;
    struct hf_chain chain = {0};
    struct hf_why why = {0};
    char faults[HF_WHY_MAX];

    for (size_t i = 0; i < sent->n; i++)
        CHECK_OK(hf_chain_add(&chain, hf_buf_bytes(&sent->der[i]), &why));
    hf_trust_store_set_clock(clock_s);
    CHECK_OK(hf_trust_store_judge(w->store, &chain, TLS_HOST, INT64_MIN, &verdict, &why));
    hf_chain_verdict_faults(&verdict, faults);
    assert_int_equal(verdict.is_valid, part == NULL);
    if (part != NULL && strstr(faults, part) == NULL)
        fail_msg("the sentence lacks \"%s\": %s", part, faults);
    hf_chain_verdict_free(&verdict);
    hf_chain_free(&chain);
}

/* The reader sees both the date and the time of the clock. */
static void a_refusal_names_the_date_and_what_the_clock_says(void **state)
{
    (void)state;
    const struct span span = {PAST_31_BITS, at("2040-05-26")};
    struct world_chain chain = {0};
    struct world w;
    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_3);
    trust_span(&w, &span, &chain);
    check_sentence(&w, &chain, 0,
                   "not yet valid, only from 2038-01-19 on (the clock says 1970-01-01)");
    check_sentence(&w, &chain, at("2038-01-17"),
                   "not yet valid, only from 2038-01-19 on (the clock says 2038-01-17)");
    check_sentence(&w, &chain, PAST_31_BITS, NULL);
    check_sentence(&w, &chain, at("2040-05-26"), NULL);
    check_sentence(&w, &chain, at("2040-05-26T00:00:01Z"),
                   "expired on 2040-05-26 (the clock says 2040-05-26)");
    check_sentence(&w, &chain, PAST_32_BITS, "expired on 2040-05-26 (the clock says 2106-02-07)");
    check_sentence(&w, &chain, PAST_32_BITS,
                   "(the trust anchor of that name expired on 2040-05-26)");
    world_chain_clear(&chain);
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_root_is_offered_from_its_first_second_to_its_last),
        cmocka_unit_test(an_anchor_can_be_removed_past_32_bits),
        cmocka_unit_test(handshakes_work_from_the_first_second_to_the_last),
        cmocka_unit_test(a_refusal_names_the_date_and_what_the_clock_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
