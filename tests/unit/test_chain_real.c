/*
 * Chains of real CAs find their way in whatever order and company they come: AWS IoT's servers,
 * Amazon's roots with their cross-signs of 2015 and of the EU M1 roots, and lists like Microsoft's,
 * whose servers send their intermediates upside down.
 */
#include "tests/support/check.h"

#include "common/chain/verify.h"
#include "tests/support/captured.h"
#include "tests/support/trust_world.h"

#define FILES_MAX 6

/* Certificates as sent, the server's first, and anchors. */
struct real {
    const char *sent[FILES_MAX], *anchors[FILES_MAX];
    const char *host; /* NULL: what is sent first is no server's */
    int year, month, day;
    bool is_valid;
};

#define M04 "chains/amazon-rsa-2048-m04.pem"
#define CA_1B "chains/server-ca-1b.pem"
#define EU_LEAF "chains/iot-eu-central-1-2025-leaf.pem"
#define US_LEAF "chains/iot-us-east-1-2022-leaf.pem"
#define EU_HOST "abc.iot.eu-central-1.amazonaws.com"
#define US_HOST "abc.iot.us-east-1.amazonaws.com"
#define ROOT(n) "roots/AmazonRootCA" #n ".pem"
#define ROOT_BY_G2(n) "cross/G2-RootCA" #n ".pem"
#define G2 "roots/SFSRootCAG2.pem"
#define G2_BY_CLASS_2 "cross/SFC2CA-SFSRootCAG2.pem"
#define CLASS_2 "legacy/sf-class2-root.pem"
#define EU_ROOT(kind) "roots/Amazon-" kind "-Root-EU-M1-Self-Signed.pem"
#define EU_CROSS(kind) "cross/Amazon-" kind "-Root-EU-M1-Cross.pem"

static void judge(const struct real *real, bool is_reversed)
{
    struct hf_buf ders[2 * FILES_MAX] = {{0}};
    struct hf_bytes sent[FILES_MAX];
    struct hf_trust_anchor anchors[FILES_MAX];
    size_t n = 0, n_sent = 0, n_anchors = 0;
    struct hf_anchors *set = NULL;
    struct hf_verdict verdict = {0};
    struct hf_why why = {0};

    for (; n_sent < FILES_MAX && real->sent[n_sent] != NULL; n++)
        captured_read_der(real->sent[n_sent++], &ders[n]);
    for (size_t i = 0; i < n_sent; i++)
        sent[i] = hf_buf_bytes(&ders[i == 0 || !is_reversed ? i : n_sent - i]);
    for (; n_anchors < FILES_MAX && real->anchors[n_anchors] != NULL; n++, n_anchors++) {
        captured_read_der(real->anchors[n_anchors], &ders[n]);
        struct hf_cert cert;
        CHECK_OK(hf_cert_parse(hf_buf_bytes(&ders[n]), &cert, &why));
        anchors[n_anchors] = (struct hf_trust_anchor){.der = hf_buf_bytes(&ders[n]),
                                                      .not_before_s = cert.not_before_s,
                                                      .not_after_s = cert.not_after_s,
                                                      .distrust_after_s = INT64_MIN,
                                                      .remove_after_s = INT64_MIN};
    }
    CHECK_OK(hf_anchors_new(anchors, n_anchors, &set, &why));
    const struct hf_anchor_sets sets = {.at = {set}, .n = 1};
    const struct hf_chain_context context = {.host = real->host,
                                             .at_s = pki_day(real->year, real->month, real->day),
                                             .key_usage = real->host == NULL
                                                              ? 0
                                                              : MBEDTLS_X509_KU_DIGITAL_SIGNATURE};
    CHECK_OK(hf_verify(sent, n_sent, &sets, &context, &verdict, &why));
    if (verdict.is_valid != real->is_valid)
        fail_msg("%s under %s is %s%s", real->sent[0], real->anchors[0],
                 verdict.is_valid ? "valid" : "not valid", is_reversed ? ", reversed" : "");
    hf_anchors_free(set);
    for (size_t i = 0; i < n; i++)
        hf_buf_free(&ders[i]);
}

static const struct real reals[] = {
    /* RSA, as AWS IoT sends it. */
    {{EU_LEAF, M04, ROOT_BY_G2(1), G2_BY_CLASS_2}, {ROOT(1)}, EU_HOST, 2026, 3, 18, true},
    {{EU_LEAF, M04, ROOT_BY_G2(1), G2_BY_CLASS_2}, {G2}, EU_HOST, 2026, 3, 18, true},
    {{EU_LEAF, M04, ROOT_BY_G2(1), G2_BY_CLASS_2}, {CLASS_2}, EU_HOST, 2026, 3, 18, true},
    {{EU_LEAF, M04, ROOT_BY_G2(1), G2_BY_CLASS_2},
     {ROOT(2), ROOT(3), ROOT(4)},
     EU_HOST,
     2026,
     3,
     18,
     false},
    {{EU_LEAF, M04, ROOT_BY_G2(1)}, {ROOT(1), G2}, US_HOST, 2026, 3, 18, false},
    {{EU_LEAF, M04, ROOT_BY_G2(1)}, {ROOT(1), G2}, EU_HOST, 2026, 8, 3, false},
    {{US_LEAF, CA_1B, ROOT_BY_G2(1)}, {ROOT(1)}, US_HOST, 2023, 1, 1, true},
    {{US_LEAF, CA_1B, ROOT_BY_G2(1)}, {G2}, US_HOST, 2023, 1, 1, true},
    /* With much that is not needed. */
    {{EU_LEAF, EU_CROSS("RSA-2048"), CA_1B, ROOT_BY_G2(4), ROOT_BY_G2(1), M04},
     {G2},
     EU_HOST,
     2026,
     3,
     18,
     true},
    /* Amazon's roots, RSA and ECC, below Starfield's of 2009. */
    {{ROOT_BY_G2(1)}, {G2}, NULL, 2026, 3, 18, true},
    {{ROOT_BY_G2(2)}, {G2}, NULL, 2026, 3, 18, true},
    {{ROOT_BY_G2(3)}, {G2}, NULL, 2026, 3, 18, true},
    {{ROOT_BY_G2(4)}, {G2}, NULL, 2026, 3, 18, true},
    /* The EU's, below the global ones and, through those, below Starfield's. */
    {{EU_CROSS("RSA-2048")}, {ROOT(1)}, NULL, 2026, 3, 18, true},
    {{EU_CROSS("ECDSA-256")}, {ROOT(3)}, NULL, 2026, 3, 18, true},
    {{EU_CROSS("ECDSA-384")}, {ROOT(4)}, NULL, 2026, 3, 18, true},
    {{EU_CROSS("RSA-2048"), ROOT_BY_G2(1)}, {G2}, NULL, 2026, 3, 18, true},
    {{EU_CROSS("ECDSA-256"), ROOT_BY_G2(3)}, {G2}, NULL, 2026, 3, 18, true},
    {{EU_CROSS("ECDSA-384"), ROOT_BY_G2(4), G2_BY_CLASS_2}, {CLASS_2}, NULL, 2026, 3, 18, true},
    {{EU_CROSS("ECDSA-384")}, {ROOT(3)}, NULL, 2026, 3, 18, false},
    {{EU_CROSS("ECDSA-384")}, {ROOT(4)}, NULL, 2033, 9, 16, false},
    {{EU_ROOT("RSA-2048")}, {EU_ROOT("RSA-2048")}, NULL, 2026, 3, 18, true},
    {{EU_ROOT("ECDSA-256")}, {EU_ROOT("ECDSA-256")}, NULL, 2026, 3, 18, true},
    {{EU_ROOT("ECDSA-384")}, {EU_ROOT("ECDSA-384")}, NULL, 2026, 3, 18, true},
};

static void amazon_s_chains_validate_in_any_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof reals / sizeof reals[0]; i++) {
        judge(&reals[i], false);
        judge(&reals[i], true);
    }
}

/* The leaf, and above it the top first: the cross-sign of the root, the root, the intermediate. */
static void chain_that_is_sent_upside_down_validates_in_a_handshake(void **state)
{
    (void)state;
    for (size_t v = 0; v < 2; v++) {
        struct world w;
        struct world_chain chain = {0};
        world_make(&w, world_versions[v]);
        world_trust_root(&w, "CN=Old Root", &w.root);
        world_present_leaf(&w, &chain, "CN=Issuer", &w.middle, 0);
        world_present(&chain, &(struct pki_cert){.subject = "CN=New Root",
                                                 .key = &w.other,
                                                 .issuer = "CN=Old Root",
                                                 .issuer_key = &w.root,
                                                 .is_ca = true});
        world_present(&chain,
                      &(struct pki_cert){.subject = "CN=New Root", .key = &w.other, .is_ca = true});
        world_present(&chain, &(struct pki_cert){.subject = "CN=Issuer",
                                                 .key = &w.middle,
                                                 .issuer = "CN=New Root",
                                                 .issuer_key = &w.other,
                                                 .is_ca = true});
        assert_int_equal(world_verdict(&w, &chain), 0);
        world_chain_clear(&chain);
        world_free(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(amazon_s_chains_validate_in_any_order),
        cmocka_unit_test(chain_that_is_sent_upside_down_validates_in_a_handshake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
