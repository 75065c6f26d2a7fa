/*
 * One verdict on chains: a handshake of the active trust store, hf_chain_judge (preflight, trial
 * and probe) and the publisher's lint give the same answer to the same chains.
 */
#include "tests/support/check.h"

#include "client/port/mbedtls/trust_store_internal.h"
#include "common/base/timetext.h"
#include "server/publish/lint/lint.h"
#include "tests/support/trust_world.h"

#include <mbedtls/oid.h>

#define OID(oid)                                                                                   \
    {                                                                                              \
        (const uint8_t *)(oid), sizeof(oid) - 1                                                    \
    }
#define DAYS(n) (WORLD_NOW + (n)*HF_DAY_S)

/* leaf <- CN=Middle <- CN=Root: what is unusual about each of them, and what is wrong then. */
static const struct row {
    const char *name;
    const char *fault; /* part of the sentence; NULL: the chain is valid */
    struct pki_cert leaf, middle;
    enum pki_kind leaf_key; /* 0: P-256 */
    int64_t root_not_after_s, distrust_after_s, remove_after_s;
    bool lacks_middle, has_other_root;
} rows[] = {
    {.name = "nothing"},
    {.name = "leaf for servers",
     .leaf = {.extended_usage = OID(MBEDTLS_OID_SERVER_AUTH),
              .key_usage = MBEDTLS_X509_KU_DIGITAL_SIGNATURE}},
    {.name = "expired leaf", .fault = "expired on", .leaf = {.not_after_s = DAYS(-1)}},
    {.name = "leaf of tomorrow", .fault = "not yet valid", .leaf = {.not_before_s = DAYS(1)}},
    {.name = "expired intermediate", .fault = "expired on", .middle = {.not_after_s = DAYS(-1)}},
    {.name = "another name", .fault = "issued for", .leaf = {.dns_name = "elsewhere.example"}},
    {.name = "leaf for clients",
     .fault = "extendedKeyUsage",
     .leaf = {.extended_usage = OID(MBEDTLS_OID_CLIENT_AUTH)}},
    {.name = "intermediate for mail",
     .fault = "extendedKeyUsage",
     .middle = {.extended_usage = OID(MBEDTLS_OID_EMAIL_PROTECTION)}},
    {.name = "leaf that must not sign",
     .fault = "keyUsage",
     .leaf = {.key_usage = MBEDTLS_X509_KU_KEY_ENCIPHERMENT}},
    {.name = "leaf signed with SHA-1",
     .fault = "signed with SHA-1",
     .leaf = {.digest = MBEDTLS_MD_SHA1}},
    {.name = "intermediate signed with SHA-1",
     .fault = "signed with SHA-1",
     .middle = {.digest = MBEDTLS_MD_SHA1}},
    {.name = "RSA key of 1024 bits", .fault = "RSA key of 1024 bits", .leaf_key = PKI_RSA_1024},
    {.name = "RSA key of 2048 bits", .leaf_key = PKI_RSA_2048},
    {.name = "missing intermediate", .fault = "CN=Middle", .lacks_middle = true},
    {.name = "intermediate that must not sign",
     .fault = "may not sign certificates",
     .middle = {.key_usage = MBEDTLS_X509_KU_DIGITAL_SIGNATURE}},
    {.name = "unknown root", .fault = "CN=Root", .has_other_root = true},
    {.name = "expired root", .fault = "CN=Root", .root_not_after_s = DAYS(-1)},
    {.name = "removed root", .fault = "CN=Root", .remove_after_s = DAYS(-1)},
    {.name = "root to be removed", .remove_after_s = DAYS(1)},
    {.name = "distrusted before the leaf",
     .fault = "CN=Root",
     .leaf = {.not_before_s = DAYS(-9)},
     .distrust_after_s = DAYS(-10)},
    {.name = "distrusted after the leaf",
     .leaf = {.not_before_s = DAYS(-11)},
     .distrust_after_s = DAYS(-10)},
};

struct world_of_row {
    struct world w;
    struct pki_key rsa;
    struct world_chain sent;
    struct hf_bundle bundle;
};

static struct pki_key *leaf_key(struct world_of_row *r, const struct row *row)
{
    return row->leaf_key == PKI_P256 ? &r->w.leaf : &r->rsa;
}

static void make(struct world_of_row *r, const struct row *row)
{
    struct hf_buf pem = {0};
    struct pki_cert leaf = row->leaf, middle = row->middle;

    if (row->leaf_key != PKI_P256)
        pki_key_make(&r->rsa, row->leaf_key);
    leaf.subject = "CN=leaf";
    leaf.key = leaf_key(r, row);
    leaf.issuer = "CN=Middle";
    leaf.issuer_key = &r->w.middle;
    if (leaf.dns_name == NULL)
        leaf.dns_name = TLS_HOST;
    world_present(&r->sent, &leaf);
    middle.subject = "CN=Middle";
    middle.key = &r->w.middle;
    middle.issuer = "CN=Root";
    middle.issuer_key = &r->w.root;
    middle.is_ca = true;
    if (!row->lacks_middle)
        world_present(&r->sent, &middle);

    pki_issue_pem(&(struct pki_cert){.subject = row->has_other_root ? "CN=Other" : "CN=Root",
                                     .key = &r->w.root,
                                     .is_ca = true,
                                     .not_after_s = row->root_not_after_s},
                  &pem);
    CHECK_OK(hf_bundle_parse(hf_buf_bytes(&pem), NULL, &r->bundle, NULL));
    if (row->distrust_after_s != 0)
        r->bundle.anchors[0].distrust_after_s = row->distrust_after_s;
    if (row->remove_after_s != 0)
        r->bundle.anchors[0].remove_after_s = row->remove_after_s;
    hf_buf_free(&pem);
}

static bool device_connects(struct world_of_row *r, const struct row *row)
{
    const struct hf_trust_anchor anchor = hf_trust_anchor_of(&r->bundle.anchors[0]);
    struct tls_server server;
    struct tls_pair pair;

    CHECK_OK(hf_trust_store_swap(r->w.store, &anchor, 1, NULL));
    world_serve(&r->w, &server, &r->sent, leaf_key(r, row));
    int code = tls_connect(&pair, &r->w.config, &server);
    tls_close(&pair);
    tls_server_free(&server);
    return code == 0;
}

static bool is_judged_valid(const struct world_of_row *r, const struct hf_chain *chain,
                            char faults[HF_WHY_MAX])
{
    const struct hf_chain_context context = {TLS_HOST, WORLD_NOW, false};
    struct hf_chain_verdict verdict;
    struct hf_anchors *anchors;

    CHECK_OK(hf_anchors_of_bundle(&r->bundle, &anchors, NULL));
    CHECK_OK(hf_chain_judge(chain, anchors, &context, &verdict, NULL));
    hf_anchors_free(anchors);
    bool is_valid = verdict.is_valid;
    hf_chain_verdict_faults(&verdict, faults);
    hf_chain_verdict_free(&verdict);
    return is_valid;
}

/* No error about the chain itself. That the root ends soon is another matter. */
static bool lint_is_content(const struct world_of_row *r, const struct hf_chain *chain,
                            const struct hf_lint *judged_by, char sentence[HF_WHY_MAX])
{
    const struct hf_description description = {.profile = "full"};
    struct hf_lint_endpoints endpoints = {0};
    struct hf_findings findings = {0};
    struct hf_lint_chain *shown = NULL;
    struct hf_lint lint = *judged_by;
    bool is_content = true;

    CHECK_OK(hf_lint_chain_new("api", "api.pem", TLS_HOST, chain, &shown, NULL));
    CHECK_OK(hf_lint_endpoints_add_take(&endpoints, shown, NULL));
    lint.endpoints = &endpoints;
    const struct hf_lint_line line = {.where = "these files",
                                      .bundle = &r->bundle,
                                      .description = &description};
    CHECK_OK(hf_lint_reach(&lint, &line, &findings, NULL));
    for (size_t i = 0; i < findings.n_items; i++) {
        const struct hf_finding *f = &findings.items[i];
        if (f->code != HF_LINT_ENDPOINT_ANCHOR_MISSING && f->code != HF_LINT_ENDPOINT_REFUSED)
            continue;
        is_content = false;
        (void)snprintf(sentence, HF_WHY_MAX, "%s", f->sentence);
    }
    hf_findings_free(&findings);
    hf_lint_endpoints_free(&endpoints);
    return is_content;
}

static void check_row(const struct row *row, mbedtls_ssl_protocol_version version)
{
    const struct hf_known_roots known = {0};
    const struct hf_lint lint = {.at_s = WORLD_NOW, .known = &known};
    char faults[HF_WHY_MAX] = "", sentence[HF_WHY_MAX] = "";
    struct world_of_row r = {0};
    struct hf_chain chain = {0};
    bool is_valid = row->fault == NULL;

    world_make(&r.w, version);
    make(&r, row);
    for (size_t i = 0; i < r.sent.n; i++)
        CHECK_OK(hf_chain_add(&chain, hf_buf_bytes(&r.sent.der[i]), NULL));
    print_message("%s\n", row->name);
    assert_int_equal(device_connects(&r, row), is_valid);
    assert_int_equal(is_judged_valid(&r, &chain, faults), is_valid);
    /* lint names its own day; the clock of the process does not count. */
    hf_trust_store_set_clock(pki_day(2100, 1, 1));
    assert_int_equal(lint_is_content(&r, &chain, &lint, sentence), is_valid);
    if (!is_valid && (strstr(faults, row->fault) == NULL || strstr(sentence, row->fault) == NULL))
        fail_msg("\"%s\" is neither in \"%s\" nor in \"%s\"", row->fault, faults, sentence);
    hf_chain_free(&chain);
    world_chain_clear(&r.sent);
    hf_bundle_free(&r.bundle);
    if (row->leaf_key != PKI_P256)
        pki_key_free(&r.rsa);
    world_free(&r.w);
}

static void devices_probes_and_lint_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t v = 0; v < 2; v++)
            check_row(&rows[i], world_versions[v]);
}

/* The upper intermediate in front of the lower one: servers send that, and clients should take any
 * order (RFC 8446, 4.4.2). */
static void chain_out_of_order_is_valid_for_all(void **state)
{
    (void)state;
    const struct hf_known_roots known = {0};
    const struct hf_lint lint = {.at_s = WORLD_NOW, .known = &known};
    const struct row plain = {0};
    char faults[HF_WHY_MAX] = "", sentence[HF_WHY_MAX] = "";
    struct world_of_row r = {0};
    struct hf_chain chain = {0};

    world_make(&r.w, MBEDTLS_SSL_VERSION_TLS1_3);
    world_present_leaf(&r.w, &r.sent, "CN=Lower", &r.w.middle, 0);
    world_present(&r.sent, &(struct pki_cert){.subject = "CN=Upper",
                                              .key = &r.w.other,
                                              .issuer = "CN=Root",
                                              .issuer_key = &r.w.root,
                                              .is_ca = true});
    world_present(&r.sent, &(struct pki_cert){.subject = "CN=Lower",
                                              .key = &r.w.middle,
                                              .issuer = "CN=Upper",
                                              .issuer_key = &r.w.other,
                                              .is_ca = true});
    struct hf_buf pem = {0};
    pki_issue_pem(&(struct pki_cert){.subject = "CN=Root", .key = &r.w.root, .is_ca = true}, &pem);
    CHECK_OK(hf_bundle_parse(hf_buf_bytes(&pem), NULL, &r.bundle, NULL));
    for (size_t i = 0; i < r.sent.n; i++)
        CHECK_OK(hf_chain_add(&chain, hf_buf_bytes(&r.sent.der[i]), NULL));
    assert_true(device_connects(&r, &plain));
    assert_true(is_judged_valid(&r, &chain, faults));
    assert_true(lint_is_content(&r, &chain, &lint, sentence));
    hf_buf_free(&pem);
    hf_chain_free(&chain);
    world_chain_clear(&r.sent);
    hf_bundle_free(&r.bundle);
    world_free(&r.w);
}

/* By a later day the server's operator has renewed what is sent now: only the anchor's dates
 * count. */
static void on_a_later_day_only_the_anchors_dates_count(void **state)
{
    (void)state;
    static const struct row later[] = {
        {.name = "expires", .leaf = {.not_after_s = DAYS(60)}},
        {.name = "removed", .fault = "was to be removed after", .remove_after_s = DAYS(90)},
        /* A renewed leaf is issued after that day, whatever the date of today's is. */
        {.name = "distrusted", .fault = "is distrusted for", .distrust_after_s = DAYS(90)},
        {.name = "expired root", .fault = "expired on", .root_not_after_s = DAYS(90)},
        {.name = "name", .fault = "issued for", .leaf = {.dns_name = "elsewhere.example"}},
    };
    const struct hf_known_roots known = {0};
    const struct hf_lint lint = {.at_s = DAYS(100), .is_later_day = true, .known = &known};

    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++) {
        char sentence[HF_WHY_MAX] = "";
        struct world_of_row r = {0};
        struct hf_chain chain = {0};
        world_make(&r.w, MBEDTLS_SSL_VERSION_TLS1_3);
        make(&r, &later[i]);
        for (size_t k = 0; k < r.sent.n; k++)
            CHECK_OK(hf_chain_add(&chain, hf_buf_bytes(&r.sent.der[k]), NULL));
        print_message("%s\n", later[i].name);
        assert_int_equal(lint_is_content(&r, &chain, &lint, sentence), later[i].fault == NULL);
        if (later[i].fault != NULL)
            assert_non_null(strstr(sentence, later[i].fault));
        hf_chain_free(&chain);
        world_chain_clear(&r.sent);
        hf_bundle_free(&r.bundle);
        world_free(&r.w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_probes_and_lint_agree),
        cmocka_unit_test(chain_out_of_order_is_valid_for_all),
        cmocka_unit_test(on_a_later_day_only_the_anchors_dates_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
