/*
 * Chains that a hostile server presents in a TLS handshake: an intermediate CA that may not issue
 * certificates for servers, and a chain that ends the verification half-way.
 */
#include "tests/support/check.h"

#include "client/port/mbedtls/trust_store_internal.h"
#include "common/base/timetext.h"
#include "server/publish/lint/lint.h"
#include "tests/support/trust_world.h"

#include <mbedtls/oid.h>

#define NOT_TRUSTED MBEDTLS_X509_BADCERT_NOT_TRUSTED
#define BAD_USAGE MBEDTLS_X509_BADCERT_EXT_KEY_USAGE

/* ---- an intermediate that may not issue certificates for servers ----------------------------- */

#define OID(oid)                                                                                   \
    {                                                                                              \
        (const uint8_t *)(oid), sizeof(oid) - 1                                                    \
    }
#define NO_OID                                                                                     \
    {                                                                                              \
        NULL, 0                                                                                    \
    }
static const struct hf_bytes no_usage = NO_OID, for_mail = OID(MBEDTLS_OID_EMAIL_PROTECTION);

/* leaf <- CN=Lower <- CN=Upper <- CN=Root; each of the three with its extendedKeyUsage, or none. */
static void present(struct world *w, struct world_chain *chain, struct hf_bytes lower_usage,
                    struct hf_bytes upper_usage)
{
    world_present_leaf(w, chain, "CN=Lower", &w->middle, 0);
    world_present(chain, &(struct pki_cert){.subject = "CN=Lower",
                                            .key = &w->middle,
                                            .issuer = "CN=Upper",
                                            .issuer_key = &w->other,
                                            .is_ca = true,
                                            .extended_usage = lower_usage});
    world_present(chain, &(struct pki_cert){.subject = "CN=Upper",
                                            .key = &w->other,
                                            .issuer = "CN=Root",
                                            .issuer_key = &w->root,
                                            .is_ca = true,
                                            .extended_usage = upper_usage});
}

static void trust_root_for(struct world *w, struct hf_bytes usage)
{
    struct world_anchors anchors = {0};
    world_add(&anchors, &(struct pki_cert){.subject = "CN=Root",
                                           .key = &w->root,
                                           .is_ca = true,
                                           .extended_usage = usage});
    world_trust(w, &anchors);
}

static const struct usage_case {
    struct hf_bytes lower, upper;
    uint32_t expected;
} usage_cases[] = {
    {NO_OID, NO_OID, 0},
    {OID(MBEDTLS_OID_SERVER_AUTH), OID(MBEDTLS_OID_ANY_EXTENDED_KEY_USAGE), 0},
    {OID(MBEDTLS_OID_EMAIL_PROTECTION), NO_OID, BAD_USAGE},
    {NO_OID, OID(MBEDTLS_OID_EMAIL_PROTECTION), BAD_USAGE},
    {OID(MBEDTLS_OID_SERVER_AUTH), OID(MBEDTLS_OID_CLIENT_AUTH), BAD_USAGE},
};
#define USAGE_CASES (sizeof usage_cases / sizeof usage_cases[0])

static void ca_for_mail_does_not_validate_a_server(void **state)
{
    (void)state;
    for (size_t v = 0; v < 2; v++) {
        struct world w;
        world_make(&w, world_versions[v]);
        trust_root_for(&w, no_usage);
        for (size_t i = 0; i < USAGE_CASES; i++) {
            struct world_chain chain = {0};
            present(&w, &chain, usage_cases[i].lower, usage_cases[i].upper);
            assert_int_equal(world_verdict(&w, &chain), usage_cases[i].expected);
            world_chain_clear(&chain);
        }
        world_free(&w);
    }
}

/* A root that says itself that it is for e-mail only is not one for servers. */
static void usage_of_the_anchor_itself_counts(void **state)
{
    (void)state;
    struct world w;
    struct world_chain chain = {0};
    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_3);
    trust_root_for(&w, for_mail);
    present(&w, &chain, no_usage, no_usage);
    assert_int_equal(world_verdict(&w, &chain), BAD_USAGE);
    world_chain_clear(&chain);

    /* And so where the same key is an intermediate under another anchor. */
    struct world_anchors anchors = {0};
    world_add(&anchors, &(struct pki_cert){.subject = "CN=Top", .key = &w.leaf, .is_ca = true});
    world_trust(&w, &anchors);
    present(&w, &chain, no_usage, no_usage);
    world_present(&chain, &(struct pki_cert){.subject = "CN=Root",
                                             .key = &w.root,
                                             .issuer = "CN=Top",
                                             .issuer_key = &w.leaf,
                                             .is_ca = true,
                                             .extended_usage = for_mail});
    assert_int_equal(world_verdict(&w, &chain), BAD_USAGE);
    world_chain_clear(&chain);
    world_free(&w);
}

static void add_all(const struct world_chain *from, struct hf_chain *to)
{
    for (size_t i = 0; i < from->n; i++)
        CHECK_OK(hf_chain_add(to, hf_buf_bytes(&from->der[i]), NULL));
}

/* Preflight, the trial, `probe` and `simulate --endpoint` judge a chain that was seen before. */
static void ca_for_mail_is_no_evidence_and_its_chain_no_probe_accepts(void **state)
{
    (void)state;
    struct world w;
    struct hf_buf der = {0};
    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_3);
    pki_root("CN=Root", &w.root, &der);
    const struct hf_trust_anchor root = {.der = hf_buf_bytes(&der),
                                         .not_before_s = pki_day(2020, 1, 1),
                                         .not_after_s = pki_day(2040, 1, 1),
                                         .distrust_after_s = HF_TIME_NONE,
                                         .remove_after_s = HF_TIME_NONE};
    const struct hf_anchor_set set = {&root, 1, false};
    for (size_t i = 0; i < USAGE_CASES; i++) {
        struct world_chain presented = {0};
        struct hf_chain chain = {0};
        struct hf_chain_observation sighting;
        bool is_valid = usage_cases[i].expected != 0;
        present(&w, &presented, usage_cases[i].lower, usage_cases[i].upper);
        add_all(&presented, &chain);
        CHECK_OK(hf_chain_observe(&chain, TLS_HOST, &set, 1, &is_valid, &sighting, NULL));
        assert_int_equal(is_valid, usage_cases[i].expected == 0);
        assert_int_equal(sighting.n_anchors, is_valid ? 1 : 0);
        assert_int_equal(strstr(sighting.text,
                                "its extendedKeyUsage does not allow a TLS server") != NULL,
                         !is_valid);
        hf_chain_free(&chain);
        world_chain_clear(&presented);
    }
    hf_buf_free(&der);
    world_free(&w);
}

static void lint_says_that_devices_refuse_a_chain_with_a_ca_for_mail(void **state)
{
    (void)state;
    struct world w;
    struct hf_buf pem = {0};
    struct hf_bundle bundle = {0};
    struct hf_known_roots known = {0};
    const struct hf_description description = {.profile = "full"};
    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_3);
    pki_issue_pem(&(struct pki_cert){.subject = "CN=Root", .key = &w.root, .is_ca = true}, &pem);
    CHECK_OK(hf_bundle_parse(hf_buf_bytes(&pem), NULL, &bundle, NULL));
    for (size_t i = 0; i < USAGE_CASES; i++) {
        struct world_chain presented = {0};
        struct hf_chain sent = {0};
        struct hf_lint_chain *chain = NULL;
        struct hf_lint_endpoints endpoints = {0};
        struct hf_findings findings = {0};
        present(&w, &presented, usage_cases[i].lower, usage_cases[i].upper);
        add_all(&presented, &sent);
        CHECK_OK(hf_lint_chain_new("api", "api.pem", TLS_HOST, &sent, &chain, NULL));
        CHECK_OK(hf_lint_endpoints_add_take(&endpoints, chain, NULL));
        const struct hf_lint lint = {.at_s = WORLD_NOW, .known = &known, .endpoints = &endpoints};
        const struct hf_lint_line line = {.where = "these files",
                                          .bundle = &bundle,
                                          .description = &description};
        CHECK_OK(hf_lint_reach(&lint, &line, &findings, NULL));
        size_t n_refused = 0;
        for (size_t k = 0; k < findings.n_items; k++)
            n_refused += findings.items[k].code == HF_LINT_ENDPOINT_REFUSED;
        assert_int_equal(n_refused, usage_cases[i].expected == 0 ? 0 : 1);
        hf_findings_free(&findings);
        hf_lint_endpoints_free(&endpoints);
        hf_chain_free(&sent);
        world_chain_clear(&presented);
    }
    hf_bundle_free(&bundle);
    hf_buf_free(&pem);
    world_free(&w);
}

/* ---- a chain that ends the verification half-way --------------------------------------------- */

/* A server with a chain that is too long, whose issuer has the name of a server that is its own CA:
 * the next connection to that one must not be taken for the rest of the first. */
static void chain_too_long_does_not_refuse_the_next_server(void **state)
{
    (void)state;
    const int64_t distrust_s = pki_day(2026, 3, 1);
    for (size_t v = 0; v < 2; v++) {
        struct world w;
        struct world_anchors anchors = {0};
        struct world_chain endless = {0}, honest = {0};
        world_make(&w, world_versions[v]);
        /* A distrust_after is what makes the date of a leaf matter. */
        world_add(&anchors, &(struct pki_cert){.subject = "CN=Root", .key = &w.root, .is_ca = true})
            ->distrust_after_s = distrust_s;
        const struct hf_trust_anchor *broker = world_add(&anchors,
                                                         &(struct pki_cert){.subject = "CN=broker",
                                                                            .key = &w.leaf,
                                                                            .is_ca = true,
                                                                            .dns_name = TLS_HOST});
        CHECK_OK(hf_buf_append(&honest.der[honest.n++], broker->der.data, broker->der.len));
        world_trust(&w, &anchors);

        world_present_leaf(&w, &endless, "CN=broker", &w.middle, distrust_s + 1);
        for (int i = 0; i < 10; i++)
            world_present(&endless, &(struct pki_cert){.subject = "CN=broker",
                                                       .key = &w.middle,
                                                       .issuer = "CN=broker",
                                                       .issuer_key = &w.middle,
                                                       .is_ca = true});
        for (int i = 0; i < 6; i++) {
            struct tls_server server;
            struct tls_pair pair;
            world_serve(&w, &server, &endless, &w.leaf);
            assert_int_equal(tls_connect(&pair, &w.config, &server),
                             MBEDTLS_ERR_X509_CERT_VERIFY_FAILED);
            tls_close(&pair);
            tls_server_free(&server);
            assert_int_equal(world_verdict(&w, &honest), 0);
        }
        world_chain_clear(&endless);
        world_chain_clear(&honest);
        world_free(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ca_for_mail_does_not_validate_a_server),
        cmocka_unit_test(usage_of_the_anchor_itself_counts),
        cmocka_unit_test(ca_for_mail_is_no_evidence_and_its_chain_no_probe_accepts),
        cmocka_unit_test(lint_says_that_devices_refuse_a_chain_with_a_ca_for_mail),
        cmocka_unit_test(chain_too_long_does_not_refuse_the_next_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
