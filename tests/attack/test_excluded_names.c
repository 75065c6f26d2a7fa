/*
 * A constrained CA issues for a name that is excluded, written in another way: other spaces, case,
 * string types, another order of the attributes of one part. The verdict, handshakes and the oracle
 * refuse.
 */
#include "tests/support/check.h"

#include "tests/support/test_pki.h"
#include "tests/support/x509_oracle.h"

#include <mbedtls/oid.h>

#define OID(text)                                                                                  \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }
#define BYTES OID
#define UTF8 0x0C
#define UNIVERSAL 0x1C
#define BMP 0x1E

enum { CN = 3, O = 10 };

/* NameConstraints that exclude or permit the subtree of one directoryName. */
static void constrain(uint8_t list_tag, const struct pki_attribute *attributes, struct hf_buf *out)
{
    struct hf_buf name = {0}, base = {0}, subtree = {0}, list = {0};

    pki_name(attributes, &name);
    pki_put(&base, 0xA4, hf_buf_bytes(&name));
    pki_put(&subtree, 0x30, hf_buf_bytes(&base));
    pki_put(&list, list_tag, hf_buf_bytes(&subtree));
    pki_put(out, 0x30, hf_buf_bytes(&list));
    hf_buf_free(&name);
    hf_buf_free(&base);
    hf_buf_free(&subtree);
    hf_buf_free(&list);
}

struct world {
    struct pki_key root, middle, leaf;
};

/* A leaf for "a.example" with this subject, and this directoryName beside the host (NULL: none),
 * below CN=Middle, which is constrained: every judge has the same answer. */
static void check(struct world *w, const char *subject, const struct pki_attribute *directory,
                  struct hf_bytes constraints, enum x509_answer expected)
{
    struct hf_buf names = {0}, name = {0}, list = {0}, root = {0}, sent[2] = {{0}};
    struct hf_trust_anchor anchor;
    struct hf_why why = {0};

    pki_put(&names, 0x82, hf_bytes_of_text("a.example"));
    if (directory != NULL) {
        pki_name(directory, &name);
        pki_put(&names, 0xA4, hf_buf_bytes(&name));
    }
    pki_put(&list, 0x30, hf_buf_bytes(&names));
    pki_issue(&(struct pki_cert){.subject = subject,
                                 .key = &w->leaf,
                                 .issuer = "CN=Middle",
                                 .issuer_key = &w->middle,
                                 .extensions = {{OID(MBEDTLS_OID_SUBJECT_ALT_NAME), false,
                                                 hf_buf_bytes(&list)}}},
              &sent[0]);
    pki_issue(&(struct pki_cert){.subject = "CN=Middle",
                                 .key = &w->middle,
                                 .issuer = "CN=Root",
                                 .issuer_key = &w->root,
                                 .is_ca = true,
                                 .extensions = {{OID(MBEDTLS_OID_NAME_CONSTRAINTS), true,
                                                 constraints}}},
              &sent[1]);
    pki_root("CN=Root", &w->root, &root);
    assert_true(x509_anchor_of(hf_buf_bytes(&root), &anchor));
    const struct hf_bytes certs[] = {hf_buf_bytes(&sent[0]), hf_buf_bytes(&sent[1])};
    const struct x509_case c = {"a.example", pki_day(2026, 6, 1), &anchor, 1, certs, 2};
    assert_int_equal(x509_judge_verdict(&c, &why), expected);
    assert_int_equal(x509_judge_live(&c, MBEDTLS_SSL_VERSION_TLS1_2, &why), expected);
    assert_int_equal(x509_judge_live(&c, MBEDTLS_SSL_VERSION_TLS1_3, &why), expected);
    assert_int_equal(x509_oracle(&c, &why), expected);
    hf_buf_free(&names);
    hf_buf_free(&name);
    hf_buf_free(&list);
    hf_buf_free(&root);
    hf_buf_free(&sent[0]);
    hf_buf_free(&sent[1]);
}

static int set_up(void **state)
{
    struct world *w = test_calloc(1, sizeof *w);

    pki_key_make(&w->root, PKI_P256);
    pki_key_make(&w->middle, PKI_P256);
    pki_key_make(&w->leaf, PKI_P256);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    pki_key_free(&w->root);
    pki_key_free(&w->middle);
    pki_key_free(&w->leaf);
    test_free(w);
    return 0;
}

static void excluded_subject_in_another_spelling(void **state)
{
    static const char *const spellings[] = {
        "O=Evil Corp",
        "O=evil CORP",
        "O=Evil  Corp",
        "O=#0c0b204576696c20436f727020",
        "O=#13094576696c20436f7270",     /* PrintableString */
        "O=#14094576696c20436f7270",     /* TeletexString */
        "O=Evil Corp,CN=server",         /* within it */
        "O=#0c0b4576c2ad696c20436f7270", /* a soft hyphen: perhaps the same */
        "O=#1409457669ec20436f7270",     /* TeletexString beyond ASCII */
        "O=#0c094576696cff436f7270",     /* no UTF-8 */
    };
    const struct pki_attribute base[] = {{O, UTF8, BYTES("Evil Corp")}, {0}};
    static const struct pki_attribute wide[][2] = {
        {{O, BMP, BYTES("\0E\0v\0i\0l\0 \0 \0C\0o\0r\0p")}},
        {{O, UNIVERSAL,
          BYTES("\0\0\0E\0\0\0v\0\0\0i\0\0\0l\0\0\0 "
                "\0\0\0C\0\0\0o\0\0\0r\0\0\0p")}},
        {{O, BMP, BYTES("\0E\0v\0i\0l\0")}}, /* half a character */
    };
    struct hf_buf excluded = {0};

    constrain(0xA1, base, &excluded);
    for (size_t i = 0; i < sizeof wide / sizeof wide[0]; i++)
        check(*state, "O=server", wide[i], hf_buf_bytes(&excluded), X509_REFUSED);
    for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++)
        check(*state, spellings[i], NULL, hf_buf_bytes(&excluded), X509_REFUSED);
    check(*state, "O=Evil Corporation", NULL, hf_buf_bytes(&excluded), X509_ACCEPTED);
    hf_buf_free(&excluded);
}

static void excluded_set_in_another_order(void **state)
{
    const struct pki_attribute base[] = {{O, UTF8, BYTES("Evil Corp")},
                                         {CN, UTF8, BYTES("a"), .is_merged = true},
                                         {0}};
    struct pki_attribute name[] = {{CN, UTF8, BYTES("A")},
                                   {O, UTF8, BYTES("evil  corp"), .is_merged = true},
                                   {0}};
    struct hf_buf excluded = {0};

    constrain(0xA1, base, &excluded);
    check(*state, "O=server", name, hf_buf_bytes(&excluded), X509_REFUSED);
    name[0].value = (struct hf_bytes)BYTES("b");
    check(*state, "O=server", name, hf_buf_bytes(&excluded), X509_ACCEPTED);
    name[0].type = O; /* a type twice: no set, so perhaps the same */
    check(*state, "O=server", name, hf_buf_bytes(&excluded), X509_REFUSED);
    hf_buf_free(&excluded);
}

/* What cannot be compared is not permitted. */
static void permitted_subject(void **state)
{
    const struct pki_attribute base[] = {{O, UTF8, BYTES("Good Corp")}, {0}};
    struct hf_buf permitted = {0};

    constrain(0xA0, base, &permitted);
    check(*state, "O=#131120676f6f64202020434f52502020202020", NULL, hf_buf_bytes(&permitted),
          X509_ACCEPTED);
    check(*state, "O=#0c0b476fc2ad6f6420436f7270", NULL, hf_buf_bytes(&permitted), X509_REFUSED);
    check(*state, "O=Evil Corp", NULL, hf_buf_bytes(&permitted), X509_REFUSED);
    hf_buf_free(&permitted);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(excluded_subject_in_another_spelling),
        TEST(excluded_set_in_another_order),
        TEST(permitted_subject),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
