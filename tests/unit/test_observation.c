/*
 * client/port/mbedtls/chain_observe.c: which sets of anchors, and which anchors alone, a chain
 * validates under. The chains that AWS IoT really sent, and some of a PKI made here. (Over the
 * wire: tests/cli/test_endpoint_probe.py.)
 */
#include "tests/support/check.h"

#include "client/port/mbedtls/trust_store_internal.h"
#include "common/base/digest.h"
#include "common/bundle/bundle.h"
#include "common/bundle/pem.h"
#include "tests/support/test_pki.h"

#include <stdio.h>
#include <stdlib.h>

#define HOST "device.test"

/* ---- sets ------------------------------------------------------------------------------------ */

#define ANCHORS_MAX 8

struct set {
    struct hf_buf der[ANCHORS_MAX];
    struct hf_trust_anchor anchors[ANCHORS_MAX];
    size_t n;
};

static void set_add(struct set *set, struct hf_bytes der)
{
    struct hf_cert cert;

    CHECK_OK(hf_cert_parse(der, &cert, NULL));
    CHECK_OK(hf_buf_append(&set->der[set->n], der.data, der.len));
    set->anchors[set->n] = (struct hf_trust_anchor){
        .der = hf_buf_bytes(&set->der[set->n]),
        .not_before_s = cert.not_before_s,
        .not_after_s = cert.not_after_s,
        .distrust_after_s = INT64_MIN,
        .remove_after_s = INT64_MIN,
    };
    set->n++;
}

static void set_free(struct set *set)
{
    for (size_t i = 0; i < set->n; i++)
        hf_buf_free(&set->der[i]);
}

static void judge(const struct hf_chain *chain, const char *host, const struct set *sets,
                  size_t n_sets, bool *is_valid, struct hf_chain_observation *out)
{
    struct hf_anchor_set views[2];
    struct hf_why why = {0};

    for (size_t i = 0; i < n_sets; i++) {
        views[i] = (struct hf_anchor_set){.anchors = sets[i].anchors, .n_anchors = sets[i].n};
        is_valid[i] = true;
    }
    memset(out, 0xa5, sizeof *out);
    CHECK_OK(hf_chain_observe(chain, host, views, n_sets, is_valid, out, &why));
}

/* ---- what AWS IoT sent ----------------------------------------------------------------------- */

static void read_data(const char *name, struct hf_buf *out)
{
    const char *folder = getenv("HF_TEST_DATA");
    char path[512], content[64 * 1024];

    (void)snprintf(path, sizeof path, "%s/%s", folder != NULL ? folder : HF_TEST_DATA_DIR, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        print_message("SKIPPED: %s is missing\n", path);
        skip();
        return;
    }
    size_t len = fread(content, 1, sizeof content, file);
    (void)fclose(file);
    CHECK_OK(hf_buf_append(out, content, len));
}

static enum hf_err chain_block(void *ctx, size_t index, struct hf_bytes der, struct hf_why *why)
{
    (void)index;
    return hf_chain_add(ctx, der, why);
}

static enum hf_err set_block(void *ctx, size_t index, struct hf_bytes der, struct hf_why *why)
{
    (void)index;
    (void)why;
    set_add(ctx, der);
    return HF_OK;
}

static void load(const char *const *files, hf_pem_block_fn block, void *ctx)
{
    for (; *files != NULL; files++) {
        struct hf_buf pem = {0};
        read_data(*files, &pem);
        CHECK_OK(hf_pem_walk(hf_buf_bytes(&pem), block, ctx, NULL));
        hf_buf_free(&pem);
    }
}

static void assert_spki(const uint8_t anchor[32], const char *expected)
{
    char text[HF_SHA256_HEX_LEN];

    hf_hex_encode(anchor, HF_SHA256_LEN, text);
    assert_string_equal(text, expected);
}

static void the_anchors_of_aws_are_told_apart(void **state)
{
    static const char *const sent[] = {"chains/iot-eu-central-1-2025-leaf.pem",
                                       "chains/amazon-rsa-2048-m04.pem", "cross/G2-RootCA1.pem",
                                       NULL};
    static const char *const all[] = {"roots/AmazonRootCA1.pem",
                                      "roots/AmazonRootCA2.pem",
                                      "roots/AmazonRootCA3.pem",
                                      "roots/AmazonRootCA4.pem",
                                      "roots/SFSRootCAG2.pem",
                                      "cross/G2-RootCA1.pem",
                                      NULL};
    static const char *const ecc[] = {"roots/AmazonRootCA3.pem", "roots/AmazonRootCA4.pem", NULL};
    struct hf_chain chain = {0};
    struct hf_chain_observation seen;
    struct set sets[2] = {{.n = 0}};
    bool is_valid[2];

    (void)state;
    load(sent, chain_block, &chain);
    load(all, set_block, &sets[0]);
    load(ecc, set_block, &sets[1]);
    hf_trust_store_set_clock(pki_day(2026, 3, 18));
    judge(&chain, "abc123-ats.iot.eu-central-1.amazonaws.com", sets, 2, is_valid, &seen);
    hf_trust_store_set_clock(INT64_MIN);
    assert_true(seen.has_proof);
    assert_true(is_valid[0]);
    assert_false(is_valid[1]);
    assert_non_null(strstr(seen.text, "no trust anchor for issuer")); /* in the last set */
    assert_true(seen.lacks_only_anchor);
    assert_non_null(strstr(seen.issuer, "Starfield Services Root"));
    assert_int_equal(seen.n_anchors, 2);
    assert_spki(seen.anchors[0],
                "fbe3018031f9586bcbf41727e417b7d1c45c2f47f93be372a17b96b50757d5a2");
    assert_spki(seen.anchors[1],
                "2b071c59a0a0ae76b0eadb2bad23bad4580b69c3601b630c2eaf0613afa83f92");
    hf_chain_free(&chain);
    set_free(&sets[0]);
    set_free(&sets[1]);
}

/* ---- a PKI of our own ------------------------------------------------------------------------ */

struct world {
    struct pki_key root_key, leaf_key;
    struct hf_buf root, leaf;
    struct hf_chain chain;
    struct set set;
};

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    pki_key_make(&w->root_key, PKI_P256);
    pki_key_make(&w->leaf_key, PKI_P256);
    pki_root("CN=Root", &w->root_key, &w->root);
    pki_issue(&(struct pki_cert){.subject = "CN=leaf",
                                 .key = &w->leaf_key,
                                 .issuer = "CN=Root",
                                 .issuer_key = &w->root_key,
                                 .not_before_s = pki_day(2025, 1, 1),
                                 .not_after_s = pki_day(2030, 1, 1),
                                 .dns_name = HOST},
              &w->leaf);
    CHECK_OK(hf_chain_add(&w->chain, hf_buf_bytes(&w->leaf), NULL));
    set_add(&w->set, hf_buf_bytes(&w->root));
    hf_trust_store_set_clock(pki_day(2026, 1, 1));
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    hf_trust_store_set_clock(INT64_MIN);
    pki_key_free(&w->root_key);
    pki_key_free(&w->leaf_key);
    hf_buf_free(&w->root);
    hf_buf_free(&w->leaf);
    hf_chain_free(&w->chain);
    set_free(&w->set);
    free(w);
    return 0;
}

static void a_valid_chain_tells_issuer_dates_and_anchor(void **state)
{
    struct world *w = *state;
    struct hf_chain_observation seen;
    struct hf_cert root;
    bool is_valid[1];

    judge(&w->chain, HOST, &w->set, 1, is_valid, &seen);
    CHECK_OK(hf_cert_parse(hf_buf_bytes(&w->root), &root, NULL));
    assert_true(seen.has_proof && is_valid[0]);
    assert_string_equal(seen.issuer, "CN=Root");
    assert_string_equal(seen.text, "");
    assert_int_equal(seen.leaf_not_before_s, pki_day(2025, 1, 1));
    assert_int_equal(seen.leaf_not_after_s, pki_day(2030, 1, 1));
    assert_int_equal(seen.n_anchors, 1);
    assert_memory_equal(seen.anchors[0], root.spki_sha256, sizeof root.spki_sha256);
}

static void without_sets_it_is_described_all_the_same(void **state)
{
    struct world *w = *state;
    struct hf_chain_observation seen;

    judge(&w->chain, HOST, NULL, 0, NULL, &seen);
    assert_true(seen.has_proof);
    assert_string_equal(seen.issuer, "CN=Root");
    assert_int_equal(seen.n_anchors, 0);
}

static void an_anchor_with_an_end_that_has_come_is_none(void **state)
{
    struct world *w = *state;
    struct hf_chain_observation seen;
    bool is_valid[1];

    w->set.anchors[0].remove_after_s = pki_day(2025, 12, 31);
    judge(&w->chain, HOST, &w->set, 1, is_valid, &seen);
    assert_true(seen.has_proof);
    assert_false(is_valid[0]);
    assert_int_equal(seen.n_anchors, 0);
    assert_non_null(strstr(seen.text, "CN=Root"));
}

/* An attacker on the network must not make this device fail: what cannot be read proves nothing. */
static void a_chain_that_cannot_be_read_is_no_proof(void **state)
{
    struct world *w = *state;
    struct hf_chain chain = {0};
    struct hf_chain_observation seen;
    bool is_valid[1];

    judge(&chain, HOST, &w->set, 1, is_valid, &seen);
    assert_false(seen.has_proof || is_valid[0]);
    CHECK_OK(hf_chain_add(&chain, hf_bytes_of_text("\x30\x03no"), NULL));
    CHECK_OK(hf_chain_add(&chain, hf_buf_bytes(&w->leaf), NULL));
    judge(&chain, HOST, &w->set, 1, is_valid, &seen);
    assert_false(seen.has_proof || is_valid[0]);
    assert_int_equal(seen.n_anchors, 0);
    assert_non_null(strstr(seen.text, "certificate 0 of the chain that it shows cannot be read"));
    hf_chain_free(&chain);
}

int main(void)
{
#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_anchors_of_aws_are_told_apart),
        IN_WORLD(a_valid_chain_tells_issuer_dates_and_anchor),
        IN_WORLD(without_sets_it_is_described_all_the_same),
        IN_WORLD(an_anchor_with_an_end_that_has_come_is_none),
        IN_WORLD(a_chain_that_cannot_be_read_is_no_proof),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
