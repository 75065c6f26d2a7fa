/* common/chain/constraints.c: names that a constrained CA must not get past. */
#include "tests/support/check.h"

#include "common/chain/constraints.h"
#include "tests/support/test_pki.h"

#include <mbedtls/oid.h>

#define OID(text)                                                                                  \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }
#define DNS 0x82
#define URI 0x86
#define EMAIL 0x81
#define MANY 100

/* A CA with these constraints (NameConstraints), and a certificate with these names
 * (GeneralNames). */
static enum hf_constraint_verdict check(struct hf_bytes constraints, struct hf_bytes names,
                                        const char *subject, bool is_ca, bool is_servers,
                                        unsigned budget)
{
    struct hf_buf ca_der = {0}, der = {0};
    struct hf_certificate ca, cert;
    struct pki_key key;

    pki_key_make(&key, PKI_P256);
    pki_issue(&(struct pki_cert){.subject = "CN=CA",
                                 .key = &key,
                                 .is_ca = true,
                                 .extensions = {{OID(MBEDTLS_OID_NAME_CONSTRAINTS), true,
                                                 constraints}}},
              &ca_der);
    struct pki_cert leaf = {.subject = subject,
                            .key = &key,
                            .issuer = "CN=CA",
                            .issuer_key = &key,
                            .is_ca = is_ca};
    if (names.len > 0)
        leaf.extensions[0] = (struct pki_extension){OID(MBEDTLS_OID_SUBJECT_ALT_NAME), false,
                                                    names};
    pki_issue(&leaf, &der);
    assert_true(hf_certificate_parse(hf_buf_bytes(&ca_der), &ca));
    assert_true(hf_certificate_parse(hf_buf_bytes(&der), &cert));
    enum hf_constraint_verdict verdict = hf_constraints_check(&ca, &cert, is_servers, &budget,
                                                              NULL);
    hf_buf_free(&ca_der);
    hf_buf_free(&der);
    pki_key_free(&key);
    return verdict;
}

static void put_text(struct hf_buf *out, uint8_t tag, const char *text)
{
    pki_put(out, tag, hf_bytes_of_text(text));
}

/* One constraint on DNS names, and one DNS name. */
static enum hf_constraint_verdict check_dns(const char *permitted, const char *excluded,
                                            const char *name)
{
    const char *const yes[] = {permitted, NULL}, *const no[] = {excluded, NULL};
    struct hf_buf constraints = {0}, dns = {0}, names = {0};

    pki_name_constraints(permitted != NULL ? yes : NULL, excluded != NULL ? no : NULL,
                         &constraints);
    put_text(&dns, DNS, name);
    pki_put(&names, 0x30, hf_buf_bytes(&dns));
    enum hf_constraint_verdict verdict = check(hf_buf_bytes(&constraints), hf_buf_bytes(&names),
                                               "O=Leaf", false, true, 1000);
    hf_buf_free(&constraints);
    hf_buf_free(&dns);
    hf_buf_free(&names);
    return verdict;
}

static void wildcards_meet_constraints_with_and_without_a_dot(void **state)
{
    (void)state;
    assert_int_equal(check_dns(NULL, "a.example", "*.a.example"), HF_CONSTRAINT_BREAKS);
    assert_int_equal(check_dns(NULL, ".a.example", "*.a.example"), HF_CONSTRAINT_BREAKS);
    assert_int_equal(check_dns(NULL, ".b.a.example", "*.a.example"), HF_CONSTRAINT_BREAKS);
    assert_int_equal(check_dns(NULL, ".b.example", "*.a.example"), HF_CONSTRAINT_ALLOWS);
    assert_int_equal(check_dns(".a.example", NULL, "*.a.example"), HF_CONSTRAINT_ALLOWS);
    assert_int_equal(check_dns(".a.example", NULL, "a.example"), HF_CONSTRAINT_BREAKS);
    assert_int_equal(check_dns("b.a.example", NULL, "*.a.example"), HF_CONSTRAINT_BREAKS);
}

static enum hf_constraint_verdict check_common_name(const char *subject, bool is_ca,
                                                    bool is_servers)
{
    const char *const permitted[] = {"a.example", NULL};
    struct hf_buf constraints = {0};

    pki_name_constraints(permitted, NULL, &constraints);
    enum hf_constraint_verdict verdict = check(hf_buf_bytes(&constraints), (struct hf_bytes){0},
                                               subject, is_ca, is_servers, 1000);
    hf_buf_free(&constraints);
    return verdict;
}

/* Where common names are accepted, all of these are names of hosts. */
static void common_names_of_a_server_are_names(void **state)
{
    (void)state;
    assert_int_equal(check_common_name("CN=b.a.example", false, true), HF_CONSTRAINT_ALLOWS);
    assert_int_equal(check_common_name("CN=b.example", false, true), HF_CONSTRAINT_BREAKS);
    assert_int_equal(check_common_name("CN=intranet", false, true), HF_CONSTRAINT_BREAKS);
    assert_int_equal(check_common_name("CN=b.example.", false, true), HF_CONSTRAINT_DAMAGED);
    /* A server's certificate that says it is a CA is still the server's. */
    assert_int_equal(check_common_name("CN=b.example", true, true), HF_CONSTRAINT_BREAKS);
    assert_int_equal(check_common_name("CN=ca.b.example", true, false), HF_CONSTRAINT_ALLOWS);
    assert_int_equal(check_common_name("CN=A Server", false, true), HF_CONSTRAINT_ALLOWS);
    assert_int_equal(check_common_name("CN=a/b", false, true), HF_CONSTRAINT_ALLOWS);
}

/* NameConstraints with one excluded subtree `tag`, `n` times. */
static void put_excluded(struct hf_buf *out, uint8_t tag, struct hf_bytes name, size_t n)
{
    struct hf_buf base = {0}, subtrees = {0}, list = {0};

    pki_put(&base, tag, name);
    for (size_t i = 0; i < n; i++)
        pki_put(&subtrees, 0x30, hf_buf_bytes(&base));
    pki_put(&list, 0xA1, hf_buf_bytes(&subtrees));
    pki_put(out, 0x30, hf_buf_bytes(&list));
    hf_buf_free(&base);
    hf_buf_free(&subtrees);
    hf_buf_free(&list);
}

/* [4] { SEQUENCE { INTEGER 1 } }: it is around no Name. */
static void a_damaged_directory_name_constrains_nothing_away(void **state)
{
    (void)state;
    const struct hf_bytes damaged = OID("\x30\x03\x02\x01\x01");
    struct hf_buf constraints = {0};

    put_excluded(&constraints, 0xA4, damaged, 1);
    assert_int_equal(check(hf_buf_bytes(&constraints), (struct hf_bytes){0}, "O=Leaf", false, true,
                           1000),
                     HF_CONSTRAINT_DAMAGED);
    hf_buf_free(&constraints);
}

/* Excluded mailboxes and hosts of URIs that cannot be read, or cannot be compared with the name. */
static void an_excluded_host_that_is_none_allows_nothing(void **state)
{
    (void)state;
    static const struct {
        uint8_t tag;
        struct hf_bytes base, name;
        enum hf_constraint_verdict verdict;
    } cases[] = {
        {EMAIL, OID("bad.org"), OID("good@good.org"), HF_CONSTRAINT_ALLOWS},
        {EMAIL, OID("b..d"), OID("good@good.org"), HF_CONSTRAINT_DAMAGED},
        {EMAIL, OID("bad@b\0d.org"), OID("good@good.org"), HF_CONSTRAINT_DAMAGED},
        {EMAIL, OID("bad@bad.org"), OID("g\0d@good.org"), HF_CONSTRAINT_DAMAGED},
        {URI, OID("bad.org"), OID("https://good.org/x"), HF_CONSTRAINT_ALLOWS},
        {URI, OID("b..d"), OID("https://good.org/x"), HF_CONSTRAINT_DAMAGED},
        {URI, OID("bad.org"), OID("https://good.org/\0"), HF_CONSTRAINT_DAMAGED},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hf_buf constraints = {0}, name = {0}, names = {0};
        put_excluded(&constraints, cases[i].tag, cases[i].base, 1);
        pki_put(&name, cases[i].tag, cases[i].name);
        pki_put(&names, 0x30, hf_buf_bytes(&name));
        assert_int_equal(check(hf_buf_bytes(&constraints), hf_buf_bytes(&names), "O=Leaf", false,
                               true, 1000),
                         cases[i].verdict);
        hf_buf_free(&constraints);
        hf_buf_free(&name);
        hf_buf_free(&names);
    }
}

/* The first of two permitted subtrees holds the name. */
static void a_subtree_is_damaged_behind_the_one_that_decides(void **state)
{
    (void)state;
    static const struct {
        uint8_t tag;
        struct hf_bytes name;
        enum hf_constraint_verdict verdict;
    } cases[] = {
        {DNS, OID("b.example"), HF_CONSTRAINT_ALLOWS},
        {0xA2, OID("\x05\x00"), HF_CONSTRAINT_DAMAGED}, /* text is not constructed */
        {0xA4, OID("\x30\x00"), HF_CONSTRAINT_ALLOWS},
        {0xA4, OID("\x30\x04\x31\x02\x30\x00"), HF_CONSTRAINT_DAMAGED}, /* no type, no value */
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hf_buf bases[2] = {{0}}, subtrees = {0}, list = {0}, constraints = {0}, names = {0};

        put_text(&bases[0], DNS, "a.example");
        pki_put(&bases[1], cases[i].tag, cases[i].name);
        for (size_t k = 0; k < 2; k++)
            pki_put(&subtrees, 0x30, hf_buf_bytes(&bases[k]));
        pki_put(&list, 0xA0, hf_buf_bytes(&subtrees));
        pki_put(&constraints, 0x30, hf_buf_bytes(&list));
        pki_put(&names, 0x30, hf_buf_bytes(&bases[0]));
        assert_int_equal(check(hf_buf_bytes(&constraints), hf_buf_bytes(&names), "O=Leaf", false,
                               true, MANY),
                         cases[i].verdict);
        struct hf_buf *all[] = {&bases[0], &bases[1], &subtrees, &list, &constraints, &names};
        for (size_t k = 0; k < sizeof all / sizeof all[0]; k++)
            hf_buf_free(all[k]);
    }
}

/* Long names, and constraints on other kinds of names, take time as well. */
static void every_look_is_paid_for(void **state)
{
    (void)state;
    char uri[64 * MANY] = "x:";
    struct hf_buf constraints = {0}, name = {0}, names = {0};

    memset(uri + 2, 'a', sizeof uri - 3);
    memcpy(uri + sizeof uri - 14, "://b.example/", 13);
    put_excluded(&constraints, URI, hf_bytes_of_text("a.example"), MANY);
    put_text(&name, URI, uri);
    pki_put(&names, 0x30, hf_buf_bytes(&name));
    assert_int_equal(check(hf_buf_bytes(&constraints), hf_buf_bytes(&names), "O=Leaf", false, true,
                           2 * MANY * MANY),
                     HF_CONSTRAINT_ALLOWS);
    assert_int_equal(check(hf_buf_bytes(&constraints), hf_buf_bytes(&names), "O=Leaf", false, true,
                           MANY * MANY / 2),
                     HF_CONSTRAINT_TOO_MANY);

    hf_buf_free(&name);
    hf_buf_free(&names);
    for (size_t i = 0; i < MANY; i++)
        put_text(&name, DNS, "b.example");
    pki_put(&names, 0x30, hf_buf_bytes(&name));
    assert_int_equal(check(hf_buf_bytes(&constraints), hf_buf_bytes(&names), "O=Leaf", false, true,
                           MANY * MANY / 2),
                     HF_CONSTRAINT_TOO_MANY);
    hf_buf_free(&constraints);
    hf_buf_free(&name);
    hf_buf_free(&names);
}

/* A part of sixteen attributes: finding those of the other one takes many times as long as reading
 * a DNS name of that length. */
static void directory_names_cost_more(void **state)
{
    (void)state;
    struct pki_attribute attributes[HF_NAME_ATTRIBUTES_MAX + 1] = {{0}};
    struct hf_buf base = {0}, name = {0}, directory = {0}, names = {0}, constraints = {0};

    for (uint8_t i = 0; i < HF_NAME_ATTRIBUTES_MAX; i++)
        attributes[i] = (struct pki_attribute){(uint8_t)(i + 1), 0x0C, OID("a"), i > 0};
    pki_name(attributes, &base);
    attributes[0].value = (struct hf_bytes)OID("b");
    pki_name(attributes, &name);
    put_excluded(&constraints, 0xA4, hf_buf_bytes(&base), MANY / 2);
    pki_put(&directory, 0xA4, hf_buf_bytes(&name));
    pki_put(&names, 0x30, hf_buf_bytes(&directory));
    const size_t own = sizeof "\x30\x0F\x31\x0D\x30\x0B\x06\x03\x55\x04\x0A\x0C\x04Leaf" - 1;
    const unsigned price = (unsigned)(base.len / 4 + 1 + (own + base.len) / 4 + 1 +
                                      (name.len + base.len) / 4 + 1);
    assert_int_equal(check(hf_buf_bytes(&constraints), hf_buf_bytes(&names), "O=Leaf", false, true,
                           MANY / 2 * price),
                     HF_CONSTRAINT_ALLOWS);
    assert_int_equal(check(hf_buf_bytes(&constraints), hf_buf_bytes(&names), "O=Leaf", false, true,
                           MANY / 2 * price - 1),
                     HF_CONSTRAINT_TOO_MANY);
    hf_buf_free(&base);
    hf_buf_free(&name);
    hf_buf_free(&directory);
    hf_buf_free(&names);
    hf_buf_free(&constraints);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wildcards_meet_constraints_with_and_without_a_dot),
        cmocka_unit_test(common_names_of_a_server_are_names),
        cmocka_unit_test(a_damaged_directory_name_constrains_nothing_away),
        cmocka_unit_test(an_excluded_host_that_is_none_allows_nothing),
        cmocka_unit_test(a_subtree_is_damaged_behind_the_one_that_decides),
        cmocka_unit_test(every_look_is_paid_for),
        cmocka_unit_test(directory_names_cost_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
