/*
 * Lists of certificates that a hostile server sends to make the search for a path expensive,
 * endless, or blind to a constraint. Signatures are counted where Mbed TLS checks them.
 */
#include "tests/support/check.h"

#include "common/chain/verify.h"
#include "tests/support/trust_world.h"

#include <mbedtls/oid.h>
#include <mbedtls/pk.h>
#include <mbedtls/platform.h>

#include <stdio.h>
#include <stdlib.h>

#define HOST TLS_HOST

/* ---- signatures are counted ------------------------------------------------------------------ */

static unsigned n_checked;

/* Names that the linker makes of --wrap=mbedtls_pk_verify_ext. */
int __real_mbedtls_pk_verify_ext(mbedtls_pk_type_t type, const void *options,
                                 mbedtls_pk_context *key, mbedtls_md_type_t md,
                                 const unsigned char *hash, size_t hash_len,
                                 const unsigned char *signature, size_t signature_len);
int __wrap_mbedtls_pk_verify_ext(mbedtls_pk_type_t type, const void *options,
                                 mbedtls_pk_context *key, mbedtls_md_type_t md,
                                 const unsigned char *hash, size_t hash_len,
                                 const unsigned char *signature, size_t signature_len);

int __wrap_mbedtls_pk_verify_ext(mbedtls_pk_type_t type, const void *options,
                                 mbedtls_pk_context *key, mbedtls_md_type_t md,
                                 const unsigned char *hash, size_t hash_len,
                                 const unsigned char *signature, size_t signature_len)
{
    n_checked++;
    return __real_mbedtls_pk_verify_ext(type, options, key, md, hash, hash_len, signature,
                                        signature_len);
}

/* ---- a list, and its verdict ----------------------------------------------------------------- */

#define SENT_MAX 80
#define KEYS_MAX 8

struct list {
    struct pki_key keys[KEYS_MAX]; /* 0 is the root's, 1 the leaf's */
    struct hf_buf root;
    struct hf_buf sent[SENT_MAX];
    size_t n;
};

static int setup(void **state)
{
    struct list *list = calloc(1, sizeof *list);
    assert_non_null(list);
    for (size_t i = 0; i < KEYS_MAX; i++)
        pki_key_make(&list->keys[i], PKI_P256);
    pki_root("CN=Root", &list->keys[0], &list->root);
    *state = list;
    return 0;
}

static int teardown(void **state)
{
    struct list *list = *state;
    for (size_t i = 0; i < KEYS_MAX; i++)
        pki_key_free(&list->keys[i]);
    for (size_t i = 0; i < list->n; i++)
        hf_buf_free(&list->sent[i]);
    hf_buf_free(&list->root);
    free(list);
    return 0;
}

static void send(struct list *list, const struct pki_cert *cert)
{
    assert_in_range(list->n, 0, SENT_MAX - 1);
    pki_issue(cert, &list->sent[list->n++]);
}

/** A leaf for HOST by "CN=issuer". */
static void send_leaf(struct list *list, const char *issuer, size_t issuer_key)
{
    send(list, &(struct pki_cert){.subject = "CN=leaf",
                                  .key = &list->keys[1],
                                  .issuer = issuer,
                                  .issuer_key = &list->keys[issuer_key],
                                  .dns_name = HOST});
}

static void send_ca(struct list *list, const char *subject, size_t key, const char *issuer,
                    size_t issuer_key)
{
    send(list, &(struct pki_cert){.subject = subject,
                                  .key = &list->keys[key],
                                  .issuer = issuer,
                                  .issuer_key = &list->keys[issuer_key],
                                  .is_ca = true});
}

static struct hf_trust_anchor anchor_of(const struct list *list)
{
    return (struct hf_trust_anchor){.der = hf_buf_bytes(&list->root),
                                    .not_before_s = pki_day(2020, 1, 1),
                                    .not_after_s = pki_day(2040, 1, 1),
                                    .distrust_after_s = INT64_MIN,
                                    .remove_after_s = INT64_MIN};
}

static struct hf_verdict verify_as(const struct list *list, const struct hf_chain_context *context)
{
    const struct hf_trust_anchor anchor = anchor_of(list);
    struct hf_bytes sent[SENT_MAX];
    struct hf_anchors *anchors = NULL;
    struct hf_verdict verdict = {0};
    struct hf_why why = {0};

    for (size_t i = 0; i < list->n; i++)
        sent[i] = hf_buf_bytes(&list->sent[i]);
    CHECK_OK(hf_anchors_new(&anchor, 1, &anchors, &why));
    const struct hf_anchor_sets sets = {.at = {anchors}, .n = 1};
    n_checked = 0;
    CHECK_OK(hf_verify(sent, list->n, &sets, context, &verdict, &why));
    hf_anchors_free(anchors);
    /* What holds for every list. */
    assert_in_range(verdict.n_signatures, 0, HF_VERIFY_SIGNATURES_MAX);
    assert_in_range(verdict.n_steps, 0, HF_VERIFY_STEPS_MAX);
    assert_int_equal(n_checked, verdict.n_signatures);
    return verdict;
}

/* What Mbed TLS makes of the verdict: the same, for one signature more where it is valid, and none
 * where it is not. */
static void verify_in_store(const struct list *list, const struct hf_verdict *verdict)
{
    const struct hf_trust_anchor anchor = anchor_of(list);
    struct hf_trust_store *store = NULL;
    struct hf_why why = {0};
    mbedtls_x509_crt certs;

    hf_trust_store_set_clock(WORLD_NOW);
    CHECK_OK(hf_trust_store_new(&store, &why));
    CHECK_OK(hf_trust_store_swap(store, &anchor, 1, &why));
    mbedtls_x509_crt_init(&certs);
    for (size_t i = 0; i < list->n; i++)
        assert_int_equal(hf_x509_parse(&certs, hf_buf_bytes(&list->sent[i]), true), 0);
    n_checked = 0;
    assert_int_equal(world_verify_list(store, &certs), verdict->is_valid);
    assert_int_equal(n_checked, verdict->n_signatures + verdict->is_valid);
    mbedtls_x509_crt_free(&certs);
    hf_trust_store_free(store);
}

static struct hf_verdict verify(const struct list *list)
{
    struct hf_verdict verdict = verify_as(list, &(struct hf_chain_context){.host = HOST,
                                                                           .at_s = WORLD_NOW});
    verify_in_store(list, &verdict);
    return verdict;
}

static unsigned faults_of(const struct hf_verdict *verdict)
{
    unsigned faults = 0;
    for (size_t i = 0; i < verdict->n_path; i++)
        faults |= verdict->path[i].faults;
    return faults;
}

/* ---- lists with more paths than can be tried ------------------------------------------------- */

/* Two certificates of each CA, of one name and one key: 2^20 paths, all signatures good, none
 * ends. */
static void two_certificates_of_each_ca_cost_no_more_than_the_bound(void **state)
{
    struct list *list = *state;
    send_leaf(list, "CN=Layer 0", 2);
    for (int i = 0; i < 20; i++) {
        char subject[32], issuer[32];
        snprintf(subject, sizeof subject, "CN=Layer %d", i);
        snprintf(issuer, sizeof issuer, "CN=Layer %d", i + 1);
        send_ca(list, subject, 2, issuer, 2);
        send_ca(list, subject, 2, issuer, 2);
    }
    struct hf_verdict verdict = verify(list);
    assert_false(verdict.is_valid);
    assert_true((faults_of(&verdict) & HF_FAULT_LIMIT) != 0);
}

/* As many as are looked at, all of one name: each may have issued each. */
static void certificates_of_one_name_cost_no_more_than_the_bound(void **state)
{
    struct list *list = *state;
    send_leaf(list, "CN=Same", 2);
    for (size_t i = 1; i < HF_VERIFY_CERTS_MAX; i++)
        send_ca(list, "CN=Same", 2 + i % 6, "CN=Same", 2 + i / 6 % 6);
    struct hf_verdict verdict = verify(list);
    assert_false(verdict.is_valid);
    assert_true((faults_of(&verdict) & HF_FAULT_LIMIT) != 0);
}

/* "CN=text", and a kilobyte that is the same in both cases. */
static void long_name(char out[1100], const char *text, char letter)
{
    static const char *const types[] = {"O", "OU", "L", "ST"};
    char *at = out + snprintf(out, 64, "CN=%s", text);

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        at += snprintf(at, 64, ",%s=", types[i]);
        memset(at, letter, 255);
        at[255] = '\0';
        at += 255;
    }
}

/* Two certificates of each of seven CAs, and above them many that did not sign: all steps, with
 * long names. */
static void long_names_cost_more_steps(void **state)
{
    struct list *list = *state;
    char top[1100], wanted[1100];
    long_name(top, "Top", 'A');
    long_name(wanted, "Top", 'a');
    send_leaf(list, "CN=Layer 0", 2);
    for (int i = 0; i < 7; i++) {
        char subject[32], issuer[32];
        snprintf(subject, sizeof subject, "CN=Layer %d", i);
        snprintf(issuer, sizeof issuer, "CN=Layer %d", i + 1);
        send_ca(list, subject, 2, i == 6 ? wanted : issuer, 2);
        send_ca(list, subject, 2, i == 6 ? wanted : issuer, 2);
    }
    for (int i = 0; i < 24; i++)
        send_ca(list, top, 3, "CN=Other", 3);
    struct hf_verdict verdict = verify(list);
    assert_true((faults_of(&verdict) & HF_FAULT_LIMIT) != 0);
    assert_in_range(verdict.n_steps, 0, HF_VERIFY_STEPS_MAX / 4);
}

/* Signatures by none of the keys of that name: each pair has to be checked, and no more of them
 * than allowed. */
static void signatures_that_no_key_made_are_bounded(void **state)
{
    struct list *list = *state;
    send_leaf(list, "CN=Same", 0);
    for (size_t i = 1; i < HF_VERIFY_CERTS_MAX; i++)
        send_ca(list, "CN=Same", 2 + i % 6, "CN=Same", 0);
    struct hf_verdict verdict = verify(list);
    assert_false(verdict.is_valid);
}

/* What is behind the bound is not looked at, and does not count. */
static void more_certificates_than_are_looked_at_do_no_harm(void **state)
{
    struct list *list = *state;
    send_leaf(list, "CN=Middle", 2);
    send_ca(list, "CN=Middle", 2, "CN=Root", 0);
    while (list->n < SENT_MAX)
        send_ca(list, "CN=Middle", 3, "CN=Other", 3);
    assert_true(verify(list).is_valid);
}

/* Mbed TLS would look on for one that has not expired. */
static void refused_list_costs_no_more_signatures(void **state)
{
    struct list *list = *state;
    send_leaf(list, "CN=Same", 2);
    while (list->n < HF_VERIFY_CERTS_MAX)
        send(list, &(struct pki_cert){.subject = "CN=Same",
                                      .key = &list->keys[2],
                                      .issuer = "CN=Same",
                                      .issuer_key = &list->keys[2],
                                      .not_after_s = pki_day(2021, 1, 1),
                                      .is_ca = true});
    assert_false(verify(list).is_valid);
}

/* ---- cross-signs in a circle ----------------------------------------------------------------- */

static void send_circle(struct list *list)
{
    send_leaf(list, "CN=A", 2);
    send_ca(list, "CN=A", 2, "CN=B", 3);
    send_ca(list, "CN=B", 3, "CN=C", 4);
    send_ca(list, "CN=C", 4, "CN=A", 2);
    send_ca(list, "CN=A", 2, "CN=C", 4);
    send_ca(list, "CN=B", 3, "CN=A", 2);
    send_ca(list, "CN=C", 4, "CN=B", 3);
}

static void circle_of_cross_signs_ends(void **state)
{
    struct list *list = *state;
    send_circle(list);
    struct hf_verdict verdict = verify(list);
    assert_false(verdict.is_valid);
    assert_true((faults_of(&verdict) & HF_FAULT_NO_ISSUER) != 0);
}

static void way_out_of_a_circle_is_found(void **state)
{
    struct list *list = *state;
    send_circle(list);
    send_ca(list, "CN=C", 4, "CN=Root", 0);
    struct hf_verdict verdict = verify(list);
    assert_true(verdict.is_valid);
    assert_int_equal(verdict.path[verdict.n_path - 1].index, HF_VERIFY_ANCHOR);
}

/* ---- very many name constraints -------------------------------------------------------------- */

/* As many as fit into a certificate of 16 KiB, in each of five CAs. */
#define MANY 2000
#define LAYERS 5

static char many_texts[MANY][8];
static const char *many[MANY + 1];

/** Names of three characters; the last is another one. */
static void fill_many(const char *last)
{
    static const char digits[] = "abcdefghijklmnop";
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(many_texts[i], sizeof many_texts[i], "%c%c%c", digits[i / 256],
                 digits[i / 16 % 16], digits[i % 16]);
        many[i] = many_texts[i];
    }
    many[MANY - 1] = last;
}

static struct pki_extension constraints_of(struct hf_buf *value)
{
    return (struct pki_extension){.oid = {(const uint8_t *)MBEDTLS_OID_NAME_CONSTRAINTS,
                                          sizeof MBEDTLS_OID_NAME_CONSTRAINTS - 1},
                                  .is_critical = true,
                                  .value = hf_buf_bytes(value)};
}

/** A CA that is issued by `issuer` and constrained. */
static void send_constrained(struct list *list, const char *subject, const char *issuer,
                             size_t issuer_key, const char *const *permitted,
                             const char *const *excluded)
{
    struct hf_buf value = {0};
    pki_name_constraints(permitted, excluded, &value);
    send(list, &(struct pki_cert){.subject = subject,
                                  .key = &list->keys[2],
                                  .issuer = issuer,
                                  .issuer_key = &list->keys[issuer_key],
                                  .is_ca = true,
                                  .extensions = {constraints_of(&value)}});
    hf_buf_free(&value);
}

/** Root <- five CAs with the same constraints <- "CN=Layer 0". */
static void send_constrained_layers(struct list *list, const char *const *permitted,
                                    const char *const *excluded)
{
    for (int i = 0; i < LAYERS; i++) {
        bool is_last = i == LAYERS - 1;
        char subject[32], issuer[32];
        snprintf(subject, sizeof subject, "CN=Layer %d", i);
        snprintf(issuer, sizeof issuer, "CN=Layer %d", i + 1);
        send_constrained(list, subject, is_last ? "CN=Root" : issuer, is_last ? 0 : 2, permitted,
                         excluded);
    }
}

static void forget(struct list *list)
{
    for (; list->n > 0; list->n--)
        hf_buf_free(&list->sent[list->n - 1]);
}

static void ten_thousand_constraints_are_followed(void **state)
{
    static const struct {
        const char *last;
        bool is_permitted, is_valid;
    } cases[] = {
        {HOST, true, true},
        {"other.example", true, false},
        {HOST, false, false},
        {"other.example", false, true},
    };
    struct list *list = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fill_many(cases[i].last);
        send_leaf(list, "CN=Layer 0", 2);
        send_constrained_layers(list, cases[i].is_permitted ? many : NULL,
                                cases[i].is_permitted ? NULL : many);
        struct hf_verdict verdict = verify(list);
        assert_int_equal(verdict.is_valid, cases[i].is_valid);
        assert_int_equal(faults_of(&verdict), cases[i].is_valid ? 0 : HF_FAULT_CONSTRAINTS);
        forget(list);
    }
}

/* The names of the leaf times the constraints of the CAs: twenty million comparisons. */
static void two_thousand_names_under_ten_thousand_constraints_are_refused(void **state)
{
    struct list *list = *state;
    struct hf_buf names = {0}, value = {0};
    fill_many(HOST);
    for (size_t i = MANY; i > 0; i--) /* the last first */
        pki_put(&names, 0x82, hf_bytes_of_text(many[i - 1]));
    pki_put(&value, 0x30, hf_buf_bytes(&names));
    send(list,
         &(struct pki_cert){.subject = "CN=leaf",
                            .key = &list->keys[1],
                            .issuer = "CN=Layer 0",
                            .issuer_key = &list->keys[2],
                            .extensions = {{.oid = {(const uint8_t *)MBEDTLS_OID_SUBJECT_ALT_NAME,
                                                    sizeof MBEDTLS_OID_SUBJECT_ALT_NAME - 1},
                                            .value = hf_buf_bytes(&value)}}});
    send_constrained_layers(list, many, NULL);
    struct hf_verdict verdict = verify(list);
    assert_false(verdict.is_valid);
    assert_int_equal(faults_of(&verdict), HF_FAULT_CONSTRAINTS);
    hf_buf_free(&names);
    hf_buf_free(&value);
}

/* More than 16 KiB of them in one certificate: it is left aside, and the search goes on without
 * it. */
static void certificate_that_is_too_large_is_left_aside(void **state)
{
    static const char *twice[2 * MANY + 1];
    struct list *list = *state;
    fill_many("other.example");
    memcpy(twice, many, MANY * sizeof many[0]);
    memcpy(twice + MANY, many, MANY * sizeof many[0]);
    send_leaf(list, "CN=Middle", 2);
    send_constrained(list, "CN=Middle", "CN=Root", 0, twice, NULL);
    struct hf_verdict verdict = verify(list);
    assert_false(verdict.is_valid);
    assert_int_equal(faults_of(&verdict), HF_FAULT_NO_ISSUER);

    send_ca(list, "CN=Middle", 2, "CN=Root", 0);
    assert_true(verify(list).is_valid);
}

/* ---- constraints that a second certificate should hide --------------------------------------- */

static const char *const elsewhere[] = {"elsewhere.example", NULL};

/* A constrained CA issues a certificate for its own name with another key: a self-issued one, whose
 * names are not checked, and which has no constraints. What is below it is still bound by those
 * above. */
static void reissued_intermediate_does_not_hide_constraints(void **state)
{
    struct list *list = *state;
    send_leaf(list, "CN=Middle", 3);
    send_ca(list, "CN=Middle", 3, "CN=Middle", 2);
    send_constrained(list, "CN=Middle", "CN=Root", 0, elsewhere, NULL);
    struct hf_verdict verdict = verify(list);
    assert_false(verdict.is_valid);
    assert_int_equal(faults_of(&verdict), HF_FAULT_CONSTRAINTS);
}

/* Two certificates of one CA: one is constrained, and the other one, which is not, has ended. */
static void expired_twin_does_not_hide_constraints(void **state)
{
    struct list *list = *state;
    send_leaf(list, "CN=Middle", 2);
    send(list, &(struct pki_cert){.subject = "CN=Middle",
                                  .key = &list->keys[2],
                                  .issuer = "CN=Root",
                                  .issuer_key = &list->keys[0],
                                  .not_after_s = pki_day(2021, 1, 1),
                                  .is_ca = true});
    send_constrained(list, "CN=Middle", "CN=Root", 0, elsewhere, NULL);
    assert_false(verify(list).is_valid);
}

/* Which is no fault where the other way is good. */
static void constrained_twin_does_not_stand_in_the_way(void **state)
{
    struct list *list = *state;
    send_leaf(list, "CN=Middle", 2);
    send_constrained(list, "CN=Middle", "CN=Root", 0, elsewhere, NULL);
    send_ca(list, "CN=Middle", 2, "CN=Root", 0);
    struct hf_verdict verdict = verify(list);
    assert_true(verdict.is_valid);
    assert_int_equal(verdict.path[1].index, 2);
}

/* ---- a common name --------------------------------------------------------------------------- */

static void common_name_is_no_name_of_a_host(void **state)
{
    struct list *list = *state;
    send(list, &(struct pki_cert){.subject = "CN=" HOST,
                                  .key = &list->keys[1],
                                  .issuer = "CN=Root",
                                  .issuer_key = &list->keys[0]});
    struct hf_chain_context context = {.host = HOST, .at_s = WORLD_NOW};
    struct hf_verdict verdict = verify_as(list, &context);
    assert_false(verdict.is_valid);
    assert_int_equal(faults_of(&verdict), HF_FAULT_HOST);

    context.has_common_names = true;
    assert_true(verify_as(list, &context).is_valid);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(two_certificates_of_each_ca_cost_no_more_than_the_bound),
        TEST(certificates_of_one_name_cost_no_more_than_the_bound),
        TEST(long_names_cost_more_steps),
        TEST(signatures_that_no_key_made_are_bounded),
        TEST(more_certificates_than_are_looked_at_do_no_harm),
        TEST(refused_list_costs_no_more_signatures),
        TEST(circle_of_cross_signs_ends),
        TEST(way_out_of_a_circle_is_found),
        TEST(ten_thousand_constraints_are_followed),
        TEST(two_thousand_names_under_ten_thousand_constraints_are_refused),
        TEST(certificate_that_is_too_large_is_left_aside),
        TEST(reissued_intermediate_does_not_hide_constraints),
        TEST(expired_twin_does_not_hide_constraints),
        TEST(constrained_twin_does_not_stand_in_the_way),
        TEST(common_name_is_no_name_of_a_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
