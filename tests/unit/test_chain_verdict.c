/*
 * common/chain/chain.c: the chains that AWS IoT really sent, under the roots that
 * AWS names and under others, at the dates when they were sent; and chains of a PKI made here.
 */
#include "tests/support/check.h"

#include "client/port/mbedtls/trust_store_internal.h"
#include "common/base/digest.h"
#include "common/base/timetext.h"
#include "common/bundle/pem.h"
#include "tests/support/test_pki.h"

#include <mbedtls/oid.h>

#include <stdio.h>
#include <stdlib.h>

#define OID(text)                                                                                  \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

/* ---- the captured chains --------------------------------------------------------------------- */

#define MAX_FILE (64 * 1024)

/** Skips the running test, saying so, where the captured data is not beside the checkout. */
static void read_data(const char *name, struct hf_buf *out)
{
    const char *folder = getenv("HF_TEST_DATA");
    char path[512], content[MAX_FILE];
    size_t len;
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/%s", folder != NULL ? folder : HF_TEST_DATA_DIR, name);
    file = fopen(path, "rb");
    if (file == NULL) {
        print_message("SKIPPED: %s is missing\n", path);
        skip();
        return;
    }
    len = fread(content, 1, sizeof content, file);
    (void)fclose(file);
    CHECK_OK(hf_buf_append(out, content, len));
}

static enum hf_err add_block(void *ctx, size_t index, struct hf_bytes der, struct hf_why *why)
{
    (void)index;
    return hf_chain_add(ctx, der, why);
}

static void load_chain(const char *const *files, struct hf_chain *chain)
{
    for (; *files != NULL; files++) {
        struct hf_buf pem = {0};
        read_data(*files, &pem);
        CHECK_OK(hf_pem_walk(hf_buf_bytes(&pem), add_block, chain, NULL));
        hf_buf_free(&pem);
    }
}

static void verify_under(const char *root, const struct hf_chain *chain, const char *host,
                         struct hf_chain_verdict *verdict)
{
    struct hf_trust_store *store;
    struct hf_buf pem = {0};
    struct hf_why why = {0};

    read_data(root, &pem);
    CHECK_OK(hf_trust_store_new_from_pem(hf_buf_bytes(&pem), &store, NULL, &why));
    CHECK_OK(hf_trust_store_judge(store, chain, host, INT64_MIN, verdict, &why));
    hf_trust_store_free(store);
    hf_buf_free(&pem);
}

struct captured {
    const char *const *files; /* as AWS sends them, the cross-signed Amazon Root CA 1 at the end */
    const char *host;
    int year, month, day;
};

static const char *const us_files[] = {"chains/iot-us-east-1-2022-leaf.pem",
                                       "chains/server-ca-1b.pem", "cross/G2-RootCA1.pem", NULL};
static const char *const eu_files[] = {"chains/iot-eu-central-1-2025-leaf.pem",
                                       "chains/amazon-rsa-2048-m04.pem", "cross/G2-RootCA1.pem",
                                       NULL};
static const struct captured captured[] = {
    {us_files, "abc123-ats.iot.us-east-1.amazonaws.com", 2023, 1, 1},
    {eu_files, "abc123-ats.iot.eu-central-1.amazonaws.com", 2026, 3, 18},
};
#define CAPTURED (sizeof captured / sizeof captured[0])

static void check_valid_under(const char *root, const char *anchor_sha256, size_t path_len)
{
    for (size_t i = 0; i < CAPTURED; i++) {
        struct hf_chain chain = {0};
        struct hf_chain_verdict v;
        char sha256[HF_SHA256_HEX_LEN];

        load_chain(captured[i].files, &chain);
        hf_trust_store_set_clock(pki_day(captured[i].year, captured[i].month, captured[i].day));
        verify_under(root, &chain, captured[i].host, &v);
        assert_true(v.is_valid);
        assert_true(v.has_anchor);
        hf_hex_encode(v.anchor.sha256, sizeof v.anchor.sha256, sha256);
        assert_string_equal(sha256, anchor_sha256);
        for (size_t c = 0; c < v.n_certs; c++) {
            assert_string_equal(v.certs[c].faults, "");
            assert_int_equal(v.certs[c].is_in_path, c < path_len);
        }
        hf_chain_verdict_free(&v);
        hf_chain_free(&chain);
    }
}

static void aws_chains_end_in_amazon_root_ca_1(void **state)
{
    (void)state;
    /* The cross-sign that the server sends along is not needed. */
    check_valid_under("roots/AmazonRootCA1.pem",
                      "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e", 2);
}

static void aws_chains_end_in_starfield_through_the_cross_sign(void **state)
{
    (void)state;
    check_valid_under("roots/SFSRootCAG2.pem",
                      "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5", 3);
}

static void aws_chains_are_refused_under_other_roots(void **state)
{
    static const char *const roots[] =
        {"roots/AmazonRootCA2.pem", "roots/AmazonRootCA3.pem", "roots/AmazonRootCA4.pem",
         "legacy/VeriSign-Class-3-Public-Primary-Certification-Authority-G5.pem"};

    (void)state;
    for (size_t i = 0; i < CAPTURED; i++) {
        struct hf_chain chain = {0};
        load_chain(captured[i].files, &chain);
        hf_trust_store_set_clock(pki_day(captured[i].year, captured[i].month, captured[i].day));
        for (size_t r = 0; r < sizeof roots / sizeof roots[0]; r++) {
            struct hf_chain_verdict v;
            char faults[HF_WHY_MAX];
            verify_under(roots[r], &chain, captured[i].host, &v);
            assert_false(v.is_valid);
            assert_false(v.has_anchor);
            hf_chain_verdict_faults(&v, faults);
            assert_non_null(strstr(faults, "certificate 2 \"C=US, O=Amazon, CN=Amazon Root CA 1\": "
                                           "no trust anchor for issuer \"C=US, ST=Arizona"));
            hf_chain_verdict_free(&v);
        }
        hf_chain_free(&chain);
    }
}

static void aws_chain_after_its_time_names_what_expired(void **state)
{
    struct hf_chain chain = {0};
    struct hf_chain_verdict v;

    (void)state;
    load_chain(us_files, &chain);
    hf_trust_store_set_clock(pki_day(2026, 6, 1));
    verify_under("roots/AmazonRootCA1.pem", &chain, captured[0].host, &v);
    assert_false(v.is_valid);
    /* The outage of Server CA 1B, and the leaf under it. */
    assert_non_null(strstr(v.certs[0].faults, "expired on 2023-08-14"));
    assert_non_null(strstr(v.certs[1].faults, "expired on 2025-10-19 (the clock says 2026-06-01)"));
    assert_string_equal(v.certs[2].faults, "");
    hf_chain_verdict_free(&v);
    hf_chain_free(&chain);
}

static void aws_chain_for_another_host_names_both(void **state)
{
    struct hf_chain chain = {0};
    struct hf_chain_verdict v;

    (void)state;
    load_chain(eu_files, &chain);
    hf_trust_store_set_clock(pki_day(2026, 3, 18));
    verify_under("roots/AmazonRootCA1.pem", &chain, "abc123-ats.iot.us-east-1.amazonaws.com", &v);
    assert_false(v.is_valid);
    assert_string_equal(v.certs[0].faults, "issued for *.iot.eu-central-1.amazonaws.com, "
                                           "iot.eu-central-1.amazonaws.com, not for "
                                           "abc123-ats.iot.us-east-1.amazonaws.com");
    assert_true(v.has_anchor);
    hf_chain_verdict_free(&v);
    hf_chain_free(&chain);
}

/* ---- a PKI of our own ------------------------------------------------------------------------ */

struct fixture {
    struct pki_key root_key, middle_key, leaf_key;
    struct hf_buf root, middle, leaf; /* DER */
    struct hf_chain chain;            /* leaf, middle */
    struct hf_trust_store *store;     /* holds root */
};

static void swap_in(struct fixture *f, int64_t distrust_after_s, int64_t not_after_s)
{
    const struct hf_trust_anchor anchor = {.der = hf_buf_bytes(&f->root),
                                           .not_before_s = pki_day(2020, 1, 1),
                                           .not_after_s = not_after_s,
                                           .distrust_after_s = distrust_after_s,
                                           .remove_after_s = INT64_MIN};

    CHECK_OK(hf_trust_store_swap(f->store, &anchor, 1, NULL));
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    pki_key_make(&f->root_key, PKI_P256);
    pki_key_make(&f->middle_key, PKI_P256);
    pki_key_make(&f->leaf_key, PKI_P256);
    pki_root("CN=Root", &f->root_key, &f->root);
    pki_issue(&(struct pki_cert){.subject = "CN=Middle",
                                 .key = &f->middle_key,
                                 .issuer = "CN=Root",
                                 .issuer_key = &f->root_key,
                                 .is_ca = true},
              &f->middle);
    pki_issue(&(struct pki_cert){.subject = "CN=leaf",
                                 .key = &f->leaf_key,
                                 .issuer = "CN=Middle",
                                 .issuer_key = &f->middle_key,
                                 .not_before_s = pki_day(2025, 5, 1),
                                 .dns_name = "a.example"},
              &f->leaf);
    CHECK_OK(hf_chain_add(&f->chain, hf_buf_bytes(&f->leaf), NULL));
    CHECK_OK(hf_chain_add(&f->chain, hf_buf_bytes(&f->middle), NULL));
    CHECK_OK(hf_trust_store_new(&f->store, NULL));
    hf_trust_store_set_clock(pki_day(2025, 6, 1));
    swap_in(f, INT64_MIN, pki_day(2040, 1, 1));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    pki_key_free(&f->root_key);
    pki_key_free(&f->middle_key);
    pki_key_free(&f->leaf_key);
    hf_buf_free(&f->root);
    hf_buf_free(&f->middle);
    hf_buf_free(&f->leaf);
    hf_chain_free(&f->chain);
    hf_trust_store_free(f->store);
    free(f);
    return 0;
}

/** Refused, for exactly this. */
static void check_faults(struct fixture *f, const char *host, const char *expected)
{
    struct hf_chain_verdict v;
    char faults[HF_WHY_MAX];

    CHECK_OK(hf_trust_store_judge(f->store, &f->chain, host, INT64_MIN, &v, NULL));
    assert_false(v.is_valid);
    hf_chain_verdict_faults(&v, faults);
    assert_string_equal(faults, expected);
    hf_chain_verdict_free(&v);
}

static void check_valid(struct fixture *f, const char *host)
{
    struct hf_chain_verdict v;
    char faults[HF_WHY_MAX];

    CHECK_OK(hf_trust_store_judge(f->store, &f->chain, host, INT64_MIN, &v, NULL));
    hf_chain_verdict_faults(&v, faults);
    assert_string_equal(faults, "");
    assert_true(v.is_valid);
    assert_string_equal(v.anchor.subject, "CN=Root");
    assert_string_equal(v.certs[0].names, "a.example");
    hf_chain_verdict_free(&v);
}

static void good_chain_is_valid(void **state)
{
    check_valid(*state, "a.example");
    check_valid(*state, NULL);
}

static void wrong_host_is_told(void **state)
{
    check_faults(*state, "b.example",
                 "certificate 0 \"CN=leaf\": issued for a.example, not for b.example");
    check_faults(*state, "192.0.2.1",
                 "certificate 0 \"CN=leaf\": issued for a.example, not for 192.0.2.1");
}

static void missing_intermediate_is_told(void **state)
{
    struct fixture *f = *state;

    f->chain.n_certs = 1;
    check_faults(
        f, "a.example",
        "certificate 0 \"CN=leaf\": no trust anchor for issuer \"CN=Middle\", and the server "
        "sent no readable certificate of that name; if it is an intermediate, let the "
        "server send it");
    f->chain.n_certs = 2;
}

static void distrust_goes_by_the_leaf(void **state)
{
    struct fixture *f = *state;

    swap_in(f, pki_day(2025, 5, 2), pki_day(2040, 1, 1));
    check_valid(f, "a.example");
    swap_in(f, pki_day(2025, 4, 30), pki_day(2040, 1, 1));
    check_faults(
        f, "a.example",
        "certificate 1 \"CN=Middle\": no usable trust anchor for issuer \"CN=Root\" (the trust "
        "anchor of that name is distrusted for server certificates issued after "
        "2025-04-30T00:00:00Z)");
}

static void expired_anchor_is_told(void **state)
{
    struct fixture *f = *state;

    swap_in(f, INT64_MIN, pki_day(2025, 5, 30));
    check_faults(
        f, "a.example",
        "certificate 1 \"CN=Middle\": no usable trust anchor for issuer \"CN=Root\" (the trust "
        "anchor of that name expired on 2025-05-30)");
}

static void namesake_of_the_anchor_is_told(void **state)
{
    struct fixture *f = *state;
    struct pki_key other;

    pki_key_make(&other, PKI_P256);
    hf_buf_free(&f->root);
    pki_root("CN=Root", &other, &f->root);
    swap_in(f, INT64_MIN, pki_day(2040, 1, 1));
    check_faults(
        f, "a.example",
        "certificate 1 \"CN=Middle\": no usable trust anchor for issuer \"CN=Root\" (the trust "
        "anchor of that name has a key with which the signature does not verify)");
    pki_key_free(&other);
}

static void damaged_signature_is_refused(void **state)
{
    struct fixture *f = *state;

    f->chain.certs[0].data[f->chain.certs[0].len - 1] ^= 1;
    check_faults(
        f, "a.example",
        "certificate 0 \"CN=leaf\": its signature does not verify with the key of its issuer "
        "\"CN=Middle\"");
}

static void clock_before_the_leaf_is_told(void **state)
{
    hf_trust_store_set_clock(pki_day(2025, 4, 1));
    check_faults(*state, "a.example",
                 "certificate 0 \"CN=leaf\": not yet valid, only from 2025-05-01 on (the clock "
                 "says 2025-04-01)");
    hf_trust_store_set_clock(pki_day(2025, 6, 1));
}

static void root_that_is_sent_along_does_no_harm(void **state)
{
    struct fixture *f = *state;

    CHECK_OK(hf_chain_add(&f->chain, hf_buf_bytes(&f->root), NULL));
    check_valid(f, "a.example");
    CHECK_OK(hf_trust_store_swap(f->store, NULL, 0, NULL));
    check_faults(f, "a.example",
                 "certificate 2 \"CN=Root\": no trust anchor for issuer \"CN=Root\"");
}

/** A chain whose leaf may be used for that only, shown in a handshake that asked for `asked`. */
static struct hf_chain chain_for_usage(struct fixture *f, unsigned allowed, unsigned asked)
{
    struct hf_chain chain = {.key_usage = asked};
    struct hf_buf leaf = {0};

    pki_issue(&(struct pki_cert){.subject = "CN=leaf",
                                 .key = &f->leaf_key,
                                 .issuer = "CN=Middle",
                                 .issuer_key = &f->middle_key,
                                 .key_usage = allowed,
                                 .dns_name = "a.example"},
              &leaf);
    CHECK_OK(hf_chain_add(&chain, hf_buf_bytes(&leaf), NULL));
    CHECK_OK(hf_chain_add(&chain, hf_buf_bytes(&f->middle), NULL));
    hf_buf_free(&leaf);
    return chain;
}

static void key_usage_is_that_of_the_handshake(void **state)
{
    static const struct {
        unsigned allowed, asked;
        const char *lacks;
    } cases[] = {
        {MBEDTLS_X509_KU_DIGITAL_SIGNATURE, 0, NULL},
        {MBEDTLS_X509_KU_KEY_AGREEMENT, 0, "digitalSignature"},
        {MBEDTLS_X509_KU_KEY_ENCIPHERMENT, 0, "digitalSignature"},
        {MBEDTLS_X509_KU_KEY_ENCIPHERMENT, MBEDTLS_X509_KU_KEY_ENCIPHERMENT, NULL},
        {MBEDTLS_X509_KU_DIGITAL_SIGNATURE, MBEDTLS_X509_KU_KEY_ENCIPHERMENT, "keyEncipherment"},
    };
    struct fixture *f = *state;
    struct hf_chain kept = f->chain;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        f->chain = chain_for_usage(f, cases[i].allowed, cases[i].asked);
        if (cases[i].lacks == NULL) {
            check_valid(f, "a.example");
        } else {
            char faults[HF_WHY_MAX];
            (void)
                snprintf(faults, sizeof faults,
                         "certificate 0 \"CN=leaf\": its keyUsage lacks %s, which the key exchange "
                         "needs",
                         cases[i].lacks);
            check_faults(f, "a.example", faults);
        }
        hf_chain_free(&f->chain);
    }
    f->chain = kept;
}

/* What is said of a leaf's names: those of the certificate, then the verdict for `host`. */
static void names_that_do_not_count_are_told(void **state)
{
    static const struct {
        const char *subject, *dns_name, *uri, *host, *names, *fault;
    } rows[] = {
        {"CN=192.0.2.1", NULL, NULL, "192.0.2.1", "",
         "it has no IP address 192.0.2.1 in its subjectAltName (only as a name)"},
        {"CN=a.example", NULL, NULL, "a.example", "",
         "it has the name a.example only as its common name, not in a subjectAltName "
         "(`--common-names`, or `hf_trust_store_accept_common_names` in an application, accepts "
         "that of "
         "old private servers)"},
        {"CN=a.example", NULL, NULL, "b.example", "",
         "issued for no DNS name or address, not for b.example"},
        {"CN=a.example", NULL, "https://a.example", "a.example", "",
         "issued for no DNS name or address, not for a.example"},
        {"CN=leaf", "*.com", NULL, "pumps.com", "*.com",
         "issued for *.com, not for pumps.com (a wildcard needs at least two labels behind it)"},
        {"CN=leaf", "F*.pumps.example", NULL, "foo.pumps.example", "F*.pumps.example",
         "issued for F*.pumps.example, not for foo.pumps.example (a wildcard must be the whole "
         "leftmost label)"},
        {"CN=leaf", "*.pumps.example", NULL, "a.b.pumps.example.", "*.pumps.example",
         "issued for *.pumps.example, not for a.b.pumps.example. (a wildcard stands for exactly "
         "one "
         "label)"},
        {"CN=leaf", "*.pumps.example", NULL, "pumps.example", "*.pumps.example",
         "issued for *.pumps.example, not for pumps.example"},
    };
    struct fixture *f = *state;
    struct hf_chain kept = f->chain;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct hf_buf leaf = {0}, uri = {0}, names = {0};
        struct hf_chain_verdict v;
        char faults[HF_WHY_MAX];
        struct pki_cert cert = {.subject = rows[i].subject,
                                .key = &f->leaf_key,
                                .issuer = "CN=Root",
                                .issuer_key = &f->root_key,
                                .dns_name = rows[i].dns_name};

        if (rows[i].uri != NULL) {
            pki_put(&uri, HF_DER_CONTEXT | HF_NAME_URI, hf_bytes_of_text(rows[i].uri));
            pki_put(&names, HF_DER_SEQUENCE, hf_buf_bytes(&uri));
            cert.extensions[0] = (struct pki_extension){{(const uint8_t *)
                                                             MBEDTLS_OID_SUBJECT_ALT_NAME,
                                                         sizeof MBEDTLS_OID_SUBJECT_ALT_NAME - 1},
                                                        false,
                                                        hf_buf_bytes(&names)};
        }
        pki_issue(&cert, &leaf);
        f->chain = (struct hf_chain){0};
        CHECK_OK(hf_chain_add(&f->chain, hf_buf_bytes(&leaf), NULL));
        CHECK_OK(hf_trust_store_judge(f->store, &f->chain, rows[i].host, INT64_MIN, &v, NULL));
        assert_string_equal(v.certs[0].names, rows[i].names);
        hf_chain_verdict_free(&v);
        (void)snprintf(faults, sizeof faults, "certificate 0 \"%s\": %s", rows[i].subject,
                       rows[i].fault);
        check_faults(f, rows[i].host, faults);
        hf_chain_free(&f->chain);
        hf_buf_free(&leaf);
        hf_buf_free(&uri);
        hf_buf_free(&names);
    }
    f->chain = kept;
}

static void excluded_name_is_told_with_its_subtree(void **state)
{
    static const uint8_t subtree[] = {192, 0, 2, 0, 255, 255, 255, 0};
    static const uint8_t address[] = {192, 0, 2, 1};
    struct fixture *f = *state;
    struct hf_chain kept = f->chain;
    struct hf_buf base = {0}, bases = {0}, lists = {0}, constraints = {0}, name = {0}, names = {0},
                  leaf = {0};

    pki_put(&base, HF_DER_CONTEXT | HF_NAME_ADDRESS, (struct hf_bytes){subtree, sizeof subtree});
    pki_put(&bases, HF_DER_SEQUENCE, hf_buf_bytes(&base));
    pki_put(&lists, HF_DER_CONTEXT | HF_DER_CONSTRUCTED | 1, hf_buf_bytes(&bases));
    pki_put(&constraints, HF_DER_SEQUENCE, hf_buf_bytes(&lists));
    pki_put(&name, HF_DER_CONTEXT | HF_NAME_ADDRESS, (struct hf_bytes){address, sizeof address});
    pki_put(&names, HF_DER_SEQUENCE, hf_buf_bytes(&name));
    hf_buf_free(&f->root);
    pki_issue(&(struct pki_cert){.subject = "CN=Root",
                                 .key = &f->root_key,
                                 .is_ca = true,
                                 .extensions = {{OID(MBEDTLS_OID_NAME_CONSTRAINTS), true,
                                                 hf_buf_bytes(&constraints)}}},
              &f->root);
    swap_in(f, INT64_MIN, pki_day(2040, 1, 1));
    pki_issue(&(struct pki_cert){.subject = "CN=leaf",
                                 .key = &f->leaf_key,
                                 .issuer = "CN=Root",
                                 .issuer_key = &f->root_key,
                                 .extensions = {{OID(MBEDTLS_OID_SUBJECT_ALT_NAME), false,
                                                 hf_buf_bytes(&names)}}},
              &leaf);
    f->chain = (struct hf_chain){0};
    CHECK_OK(hf_chain_add(&f->chain, hf_buf_bytes(&leaf), NULL));
    check_faults(
        f, "192.0.2.1",
        "certificate 0 \"CN=leaf\": its name \"192.0.2.1\" is not one that \"CN=Root\" may "
        "issue for (its name constraints exclude \"192.0.2.0/255.255.255.0\")");
    hf_chain_free(&f->chain);
    f->chain = kept;
    hf_buf_free(&base);
    hf_buf_free(&bases);
    hf_buf_free(&lists);
    hf_buf_free(&constraints);
    hf_buf_free(&name);
    hf_buf_free(&names);
    hf_buf_free(&leaf);
}

static void root_for_mail_is_named(void **state)
{
    struct fixture *f = *state;

    hf_buf_free(&f->root);
    pki_issue(&(struct pki_cert){.subject = "CN=Root",
                                 .key = &f->root_key,
                                 .is_ca = true,
                                 .extended_usage = OID(MBEDTLS_OID_EMAIL_PROTECTION)},
              &f->root);
    swap_in(f, INT64_MIN, pki_day(2040, 1, 1));
    check_faults(f, "a.example",
                 "certificate 1 \"CN=Middle\": its trust anchor \"CN=Root\": its extendedKeyUsage "
                 "does not allow a TLS server");
}

static void too_many_names_end_at_a_whole_one(void **state)
{
    struct hf_buf san = {0};
    char names[HF_NAMES_TEXT_MAX], name[32];

    (void)state;
    for (int i = 0; i < 61; i++) {
        (void)snprintf(name, sizeof name, "pump-%d.example", i);
        pki_put(&san, HF_DER_CONTEXT | HF_NAME_DNS, hf_bytes_of_text(name));
    }
    const struct hf_certificate cert = {.alt_names = hf_buf_bytes(&san)};
    hf_words_names(&cert, false, names);
    assert_non_null(strstr(names, "pump-20.example, pump-21.example, …"));
    assert_string_equal(names + strlen(names) - strlen(", …"), ", …");
    hf_buf_free(&san);
}

static void ipv6_addresses_are_short(void **state)
{
    static const struct {
        uint8_t address[16];
        const char *text;
    } cases[] = {
        {{0x20, 0x01, 0x0d, 0xb8, [15] = 1}, "2001:db8::1"},
        {{0x20, 0x01, 0x0d, 0xb8, [5] = 1, [7] = 2, [11] = 3, [13] = 4, [15] = 5},
         "2001:db8:1:2:0:3:4:5"},
        {{0x20, 0x01, [7] = 1, [15] = 2}, "2001:0:0:1::2"},
        {{0xfe, 0x80}, "fe80::"},
        {{[15] = 1}, "::1"},
        {{0}, "::"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t san[2 + 16] = {HF_DER_CONTEXT | HF_NAME_ADDRESS, 16};
        const struct hf_certificate cert = {.alt_names = {san, sizeof san}};
        char names[HF_NAMES_TEXT_MAX];

        memcpy(san + 2, cases[i].address, sizeof cases[i].address);
        hf_words_names(&cert, false, names);
        assert_string_equal(names, cases[i].text);
    }
}

static void no_certificate_and_garbage_are_refused(void **state)
{
    struct fixture *f = *state;
    struct hf_chain none = {0}, bad = {0};
    struct hf_chain_verdict v = {.n_certs = 7};
    struct hf_why why = {0};

    CHECK_REFUSED(hf_trust_store_judge(f->store, &none, NULL, INT64_MIN, &v, &why), HF_E_FORMAT,
                  &why, "sent no certificate");
    CHECK_OK(hf_chain_add(&bad, hf_buf_bytes(&f->leaf), NULL));
    CHECK_OK(hf_chain_add(&bad, hf_bytes_of_text("garbage"), NULL));
    CHECK_OK(hf_trust_store_judge(f->store, &bad, NULL, INT64_MIN, &v, &why));
    assert_false(v.is_valid);
    assert_non_null(strstr(v.certs[1].faults, "cannot be read, so it is left aside"));
    hf_chain_verdict_free(&v);
    v.n_certs = 7;
    struct hf_chain first = {.certs = {bad.certs[1]}, .n_certs = 1};
    CHECK_REFUSED(hf_trust_store_judge(f->store, &first, NULL, INT64_MIN, &v, &why), HF_E_FORMAT,
                  &why, "certificate 0 of the chain");
    assert_int_equal(v.n_certs, 7);
    while (bad.n_certs < HF_CHAIN_CERTS_MAX)
        CHECK_OK(hf_chain_add(&bad, hf_buf_bytes(&f->leaf), NULL));
    CHECK_REFUSED(hf_chain_add(&bad, hf_buf_bytes(&f->leaf), &why), HF_E_LIMIT, &why,
                  "more than 64");
    hf_chain_free(&bad);
}

#define WITH_PKI(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aws_chains_end_in_amazon_root_ca_1),
        cmocka_unit_test(aws_chains_end_in_starfield_through_the_cross_sign),
        cmocka_unit_test(aws_chains_are_refused_under_other_roots),
        cmocka_unit_test(aws_chain_after_its_time_names_what_expired),
        cmocka_unit_test(aws_chain_for_another_host_names_both),
        WITH_PKI(good_chain_is_valid),
        WITH_PKI(wrong_host_is_told),
        WITH_PKI(missing_intermediate_is_told),
        WITH_PKI(distrust_goes_by_the_leaf),
        WITH_PKI(expired_anchor_is_told),
        WITH_PKI(namesake_of_the_anchor_is_told),
        WITH_PKI(damaged_signature_is_refused),
        WITH_PKI(clock_before_the_leaf_is_told),
        WITH_PKI(root_that_is_sent_along_does_no_harm),
        WITH_PKI(key_usage_is_that_of_the_handshake),
        WITH_PKI(names_that_do_not_count_are_told),
        WITH_PKI(excluded_name_is_told_with_its_subtree),
        WITH_PKI(root_for_mail_is_named),
        cmocka_unit_test(too_many_names_end_at_a_whole_one),
        cmocka_unit_test(ipv6_addresses_are_short),
        WITH_PKI(no_certificate_and_garbage_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
