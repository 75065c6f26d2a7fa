/* The live trust store and the calendar: expiry, removal, distrust by the leaf's date, clocks. */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "tests/support/trust_world.h"

#include <time.h>

#define NOT_TRUSTED MBEDTLS_X509_BADCERT_NOT_TRUSTED

/* Run `check` for TLS 1.2 and for 1.3, each in a fresh world. */
static void in_both_versions(void (*check)(struct world *w))
{
    for (size_t i = 0; i < 2; i++) {
        struct world w;
        world_make(&w, world_versions[i]);
        check(&w);
        world_free(&w);
    }
}

static struct pki_cert root_cert(struct world *w)
{
    return (struct pki_cert){.subject = "CN=Root", .key = &w->root, .is_ca = true};
}

/* Root's key, signed by CN=Other. */
static struct pki_cert cross_cert(struct world *w)
{
    return (struct pki_cert){.subject = "CN=Root",
                             .key = &w->root,
                             .issuer = "CN=Other",
                             .issuer_key = &w->other,
                             .is_ca = true};
}

static struct pki_cert other_cert(struct world *w)
{
    return (struct pki_cert){.subject = "CN=Other", .key = &w->other, .is_ca = true};
}

/* ---- validity of anchors --------------------------------------------------------------------- */

static void check_validity(struct world *w)
{
    struct world_anchors anchors = {0};
    struct world_chain chain = {0};
    struct pki_cert root = root_cert(w);
    root.not_before_s = pki_day(2025, 1, 1);
    root.not_after_s = pki_day(2027, 1, 1);
    world_present_leaf(w, &chain, "CN=Root", &w->root, 0);
    (void)world_add(&anchors, &root);
    world_trust(w, &anchors);
    /* Judged when it is looked up: the store is not told that time goes by, nor that it jumps. */
    static const struct {
        int year, month;
        uint32_t verdict;
    } cases[] = {{2026, 6, 0}, {2027, 2, NOT_TRUSTED}, {2026, 12, 0}, {2024, 12, NOT_TRUSTED},
                 {2025, 1, 0}, {2030, 1, NOT_TRUSTED}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hf_trust_store_set_clock(pki_day(cases[i].year, cases[i].month, 2));
        assert_int_equal(world_verdict(w, &chain), cases[i].verdict);
    }
    world_chain_clear(&chain);
}

static void anchors_count_only_within_their_validity(void **state)
{
    (void)state;
    in_both_versions(check_validity);
}

static void check_expired_and_valid_twin(struct world *w)
{
    struct pki_cert expired = root_cert(w);
    struct pki_cert valid = root_cert(w);
    expired.not_after_s = pki_day(2025, 1, 1);
    struct world_chain chain = {0};
    world_present_leaf(w, &chain, "CN=Root", &w->root, 0);
    for (int order = 0; order < 2; order++) {
        struct world_anchors anchors = {0};
        (void)world_add(&anchors, order == 0 ? &expired : &valid);
        (void)world_add(&anchors, order == 0 ? &valid : &expired);
        world_trust(w, &anchors);
        assert_int_equal(world_verdict(w, &chain), 0);
    }
    world_chain_clear(&chain);
}

static void an_expired_anchor_does_not_hide_its_valid_twin(void **state)
{
    (void)state;
    in_both_versions(check_expired_and_valid_twin);
}

/* History 1 and 2: servers went on sending the cross-sign up to a root that had expired, and the
 * device held the newer self-signed root as well. */
static void check_cross_sign_up_to_an_expired_anchor(struct world *w)
{
    struct world_anchors anchors = {0};
    struct world_chain chain = {0};
    struct pki_cert expired = other_cert(w);
    struct pki_cert root = root_cert(w);
    struct pki_cert cross = cross_cert(w);
    expired.not_after_s = pki_day(2026, 5, 30);
    world_present_leaf(w, &chain, "CN=Root", &w->root, 0);
    world_present(&chain, &cross);
    (void)world_add(&anchors, &expired);
    (void)world_add(&anchors, &root);
    world_trust(w, &anchors);
    assert_int_equal(world_verdict(w, &chain), 0);
    /* Who holds the expired root only is cut off. */
    (void)world_add(&anchors, &expired);
    world_trust(w, &anchors);
    assert_int_equal(world_verdict(w, &chain), NOT_TRUSTED);
    world_chain_clear(&chain);
}

static void history_1_a_cross_sign_up_to_an_expired_anchor(void **state)
{
    (void)state;
    in_both_versions(check_cross_sign_up_to_an_expired_anchor);
}

/* What Mbed TLS does with the same anchors when it is given all of them. */
static uint32_t verdict_of_mbedtls_alone(const struct world_anchors *anchors,
                                         const struct world_chain *chain)
{
    mbedtls_x509_crt trusted, presented;
    mbedtls_x509_crt_init(&trusted);
    mbedtls_x509_crt_init(&presented);
    for (size_t i = 0; i < anchors->n; i++)
        assert_int_equal(mbedtls_x509_crt_parse_der(&trusted, anchors->der[i].data,
                                                    anchors->der[i].len),
                         0);
    for (size_t i = 0; i < chain->n; i++)
        assert_int_equal(mbedtls_x509_crt_parse_der(&presented, chain->der[i].data,
                                                    chain->der[i].len),
                         0);
    uint32_t flags = 0;
    (void)mbedtls_x509_crt_verify(&presented, &trusted, NULL, TLS_HOST, &flags, NULL, NULL);
    mbedtls_x509_crt_free(&trusted);
    mbedtls_x509_crt_free(&presented);
    return flags;
}

/* History 17: the anchor that expired has the name of the certificate that the server sends cross-
 * signed, so path building ends at it instead of going on to the valid root above. */
static void check_expired_anchor_in_the_way(struct world *w)
{
    struct world_anchors anchors = {0};
    struct world_chain chain = {0};
    struct pki_cert expired = root_cert(w);
    struct pki_cert valid = other_cert(w);
    struct pki_cert cross = cross_cert(w);
    expired.not_after_s = pki_day(2026, 5, 30);
    world_present_leaf(w, &chain, "CN=Root", &w->root, 0);
    world_present(&chain, &cross);
    (void)world_add(&anchors, &expired);
    (void)world_add(&anchors, &valid);
    assert_int_equal(verdict_of_mbedtls_alone(&anchors, &chain), MBEDTLS_X509_BADCERT_EXPIRED);
    world_trust(w, &anchors);
    assert_int_equal(world_verdict(w, &chain), 0);
    world_chain_clear(&chain);
}

static void history_17_an_expired_anchor_is_not_in_the_way(void **state)
{
    (void)state;
    in_both_versions(check_expired_anchor_in_the_way);
}

static void check_remove_after(struct world *w)
{
    struct world_anchors anchors = {0};
    struct world_chain chain = {0};
    struct pki_cert root = root_cert(w);
    world_present_leaf(w, &chain, "CN=Root", &w->root, 0);
    world_add(&anchors, &root)->remove_after_s = pki_day(2026, 7, 1);
    world_trust(w, &anchors);
    hf_trust_store_set_clock(pki_day(2026, 7, 1));
    assert_int_equal(world_verdict(w, &chain), 0);
    hf_trust_store_set_clock(pki_day(2026, 7, 1) + 1);
    assert_int_equal(world_verdict(w, &chain), NOT_TRUSTED);
    world_chain_clear(&chain);
}

static void an_anchor_goes_on_its_day_of_removal(void **state)
{
    (void)state;
    in_both_versions(check_remove_after);
}

/* ---- distrust by the leaf's date ------------------------------------------------------------- */

#define DISTRUST pki_day(2026, 3, 1)

/* The verdict on a leaf issued at `issued_s`, directly under CN=Root or one below it, with `extra`
 * (may be NULL) sent along. */
static uint32_t verdict_on_leaf(struct world *w, int64_t issued_s, bool is_deep,
                                const struct pki_cert *extra)
{
    struct world_chain chain = {0};
    world_present_leaf(w, &chain, is_deep ? "CN=Middle" : "CN=Root",
                       is_deep ? &w->middle : &w->root, issued_s);
    if (is_deep)
        world_present(&chain, &(struct pki_cert){.subject = "CN=Middle",
                                                 .key = &w->middle,
                                                 .issuer = "CN=Root",
                                                 .issuer_key = &w->root,
                                                 .is_ca = true});
    if (extra != NULL)
        world_present(&chain, extra);
    uint32_t verdict = world_verdict(w, &chain);
    world_chain_clear(&chain);
    return verdict;
}

static void check_distrust(struct world *w)
{
    struct world_anchors anchors = {0};
    struct pki_cert root = root_cert(w);
    world_add(&anchors, &root)->distrust_after_s = DISTRUST;
    world_trust(w, &anchors);
    for (int is_deep = 0; is_deep < 2; is_deep++) {
        assert_int_equal(verdict_on_leaf(w, DISTRUST - HF_DAY_S, is_deep, NULL), 0);
        assert_int_equal(verdict_on_leaf(w, DISTRUST, is_deep, NULL), 0);
        assert_int_equal(verdict_on_leaf(w, DISTRUST + 1, is_deep, NULL), NOT_TRUSTED);
        /* That the server sends the distrusted root along changes nothing. */
        assert_int_equal(verdict_on_leaf(w, DISTRUST, is_deep, &root), 0);
        assert_int_equal(verdict_on_leaf(w, DISTRUST + 1, is_deep, &root), NOT_TRUSTED);
    }
    /* Only the leaf's date counts: an old leaf is good long after. */
    hf_trust_store_set_clock(pki_day(2035, 1, 1));
    assert_int_equal(verdict_on_leaf(w, DISTRUST, true, NULL), 0);
}

static void distrust_is_about_the_day_the_leaf_was_issued(void **state)
{
    (void)state;
    in_both_versions(check_distrust);
}

/* Two certificates of one key: a chain may end in either. */
static void check_distrusted_twins(struct world *w)
{
    const struct pki_cert self = root_cert(w);
    const struct pki_cert cross = cross_cert(w);
    for (int order = 0; order < 2; order++) {
        struct world_anchors anchors = {0};
        world_add(&anchors, order == 0 ? &self : &cross)->distrust_after_s = DISTRUST;
        (void)world_add(&anchors, order == 0 ? &cross : &self);
        world_trust(w, &anchors);
        assert_int_equal(verdict_on_leaf(w, DISTRUST + 1, true, NULL), 0);

        world_add(&anchors, order == 0 ? &self : &cross)->distrust_after_s = DISTRUST;
        world_add(&anchors, order == 0 ? &cross : &self)->distrust_after_s = DISTRUST + 100;
        world_trust(w, &anchors);
        assert_int_equal(verdict_on_leaf(w, DISTRUST + 100, true, NULL), 0);
        assert_int_equal(verdict_on_leaf(w, DISTRUST + 101, true, NULL), NOT_TRUSTED);
    }
}

static void of_twins_the_one_that_accepts_the_leaf_counts(void **state)
{
    (void)state;
    in_both_versions(check_distrusted_twins);
}

/* The distrusted root has a cross-sign up to one that is trusted: that path is found. */
static void check_other_path(struct world *w)
{
    struct world_anchors anchors = {0};
    const struct pki_cert root = root_cert(w), other = other_cert(w), cross = cross_cert(w);
    world_add(&anchors, &root)->distrust_after_s = DISTRUST;
    (void)world_add(&anchors, &other);
    world_trust(w, &anchors);
    assert_int_equal(verdict_on_leaf(w, DISTRUST + 1, true, &cross), 0);
    assert_int_equal(verdict_on_leaf(w, DISTRUST + 1, true, NULL), NOT_TRUSTED);
    /* Distrusted themselves, neither helps. */
    world_add(&anchors, &root)->distrust_after_s = DISTRUST;
    world_add(&anchors, &other)->distrust_after_s = DISTRUST;
    world_trust(w, &anchors);
    assert_int_equal(verdict_on_leaf(w, DISTRUST + 1, true, &cross), NOT_TRUSTED);
    assert_int_equal(verdict_on_leaf(w, DISTRUST, true, &cross), 0);
}

static void a_path_around_a_distrusted_anchor_is_found(void **state)
{
    (void)state;
    in_both_versions(check_other_path);
}

/* ---- clocks ---------------------------------------------------------------------------------- */

/* The tests cannot turn the system's clock back to 1970, but certificates can lie ahead of it. */
static void a_clock_below_the_floor_is_the_floor(void **state)
{
    (void)state;
    struct world w;
    struct world_anchors anchors = {0};
    struct world_chain chain = {0};
    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_3);
    const int64_t now_s = (int64_t)time(NULL);
    struct pki_cert root = root_cert(&w);
    root.not_before_s = now_s + 100 * HF_DAY_S;
    root.not_after_s = now_s + 300 * HF_DAY_S;
    (void)world_add(&anchors, &root);
    world_trust(&w, &anchors);
    world_present(&chain, &(struct pki_cert){.subject = "CN=leaf",
                                             .key = &w.leaf,
                                             .issuer = "CN=Root",
                                             .issuer_key = &w.root,
                                             .not_before_s = root.not_before_s,
                                             .not_after_s = root.not_after_s,
                                             .dns_name = TLS_HOST});
    const uint32_t too_early = NOT_TRUSTED | MBEDTLS_X509_BADCERT_FUTURE;

    hf_trust_store_set_clock(0); /* 1970, as a tool may claim: no floor */
    assert_int_equal(world_verdict(&w, &chain), too_early);
    hf_trust_store_set_clock(INT64_MIN); /* the system's */
    assert_int_equal(world_verdict(&w, &chain), too_early);
    hf_trust_store_set_clock_floor(now_s - 200 * HF_DAY_S); /* lower than the clock: no effect */
    assert_int_equal(world_verdict(&w, &chain), too_early);
    struct hf_trust_port port = hf_trust_store_port(w.store);
    port.set_clock_floor(port.ctx, now_s + 200 * HF_DAY_S);
    assert_int_equal(world_verdict(&w, &chain), 0);
    hf_trust_store_set_clock_floor(now_s + 301 * HF_DAY_S);
    assert_int_equal(world_verdict(&w, &chain), NOT_TRUSTED | MBEDTLS_X509_BADCERT_EXPIRED);
    port.set_clock_floor(port.ctx, now_s + 200 * HF_DAY_S); /* of a second state: too late */
    assert_int_equal(world_verdict(&w, &chain), NOT_TRUSTED | MBEDTLS_X509_BADCERT_EXPIRED);
    world_chain_clear(&chain);
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(anchors_count_only_within_their_validity),
        cmocka_unit_test(an_expired_anchor_does_not_hide_its_valid_twin),
        cmocka_unit_test(history_1_a_cross_sign_up_to_an_expired_anchor),
        cmocka_unit_test(history_17_an_expired_anchor_is_not_in_the_way),
        cmocka_unit_test(an_anchor_goes_on_its_day_of_removal),
        cmocka_unit_test(distrust_is_about_the_day_the_leaf_was_issued),
        cmocka_unit_test(of_twins_the_one_that_accepts_the_leaf_counts),
        cmocka_unit_test(a_path_around_a_distrusted_anchor_is_found),
        cmocka_unit_test(a_clock_below_the_floor_is_the_floor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
