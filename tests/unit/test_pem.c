/* common/bundle/pem.c: what is and what is not a file of certificates. */
#include "tests/support/check.h"

#include "common/base/limits.h"
#include "common/bundle/pem.h"

#include <stdio.h>

#define BEGIN "-----BEGIN CERTIFICATE-----\n"
#define END "-----END CERTIFICATE-----\n"
#define ABC BEGIN "YWJj\n" END
#define DEFG BEGIN "ZGVm\nZw==\n" END

struct seen {
    char text[64]; /* the blocks, each between brackets */
    size_t n;
    enum hf_err answer; /* to the block that says "defg" */
};

static enum hf_err look(void *ctx, size_t index, struct hf_bytes der, struct hf_why *why)
{
    struct seen *seen = ctx;
    assert_int_equal(index, seen->n);
    seen->n++;
    size_t at = strlen(seen->text);
    (void)snprintf(seen->text + at, sizeof seen->text - at, "[%.*s]", (int)der.len,
                   (const char *)der.data);
    if (der.len == 4 && seen->answer != HF_OK)
        return hf_fail(why, seen->answer, "not this one");
    return HF_OK;
}

static enum hf_err walk(const char *text, struct seen *seen, struct hf_why *why)
{
    *seen = (struct seen){0};
    return hf_pem_walk(hf_bytes_of_text(text), look, seen, why);
}

static void blocks_come_in_order_and_text_between_them_is_ignored(void **state)
{
    (void)state;
    struct seen seen;
    struct hf_why why = {0};
    CHECK_OK(walk(ABC, &seen, &why));
    assert_string_equal(seen.text, "[abc]");
    CHECK_OK(walk("# a comment\n\n" ABC "Subject: CN=x - y\n" DEFG "the end", &seen, &why));
    assert_string_equal(seen.text, "[abc][defg]");
    CHECK_OK(
        walk("# CN=-----BEGIN CERTIFICATE-----\n" ABC "#-----END CERTIFICATE-----", &seen, &why));
    assert_string_equal(seen.text, "[abc]");
}

static void line_ends_of_other_systems_and_a_missing_last_one_are_read(void **state)
{
    (void)state;
    struct seen seen;
    struct hf_why why = {0};
    CHECK_OK(
        walk("-----BEGIN CERTIFICATE-----\r\nYW\r\nJj\r\n-----END CERTIFICATE-----", &seen, &why));
    assert_string_equal(seen.text, "[abc]");
    CHECK_OK(
        walk("-----BEGIN CERTIFICATE-----  \nYWJj\n-----END CERTIFICATE-----\t\n", &seen, &why));
    assert_string_equal(seen.text, "[abc]");
}

/* As people paste it out of web pages, YAML and editors of other systems. */
static void a_byte_order_mark_and_blanks_around_lines_are_read(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "\xEF\xBB\xBF" ABC DEFG,
        "\xEF\xBB\xBF" ABC "\xEF\xBB\xBF" DEFG, /* two files, joined */
        BEGIN "YWJj\n-----END CERTIFICATE-----" DEFG,
        " -----BEGIN CERTIFICATE----- \n  YWJj \t\n\t" END DEFG "\n",
        BEGIN "YW Jj\n" END BEGIN "  ZGVm  \n\n  Zw==\n" END,
        "-----BEGIN CERTIFICATE-----\r\nYWJj\r\n-----END CERTIFICATE-----\r\n" DEFG,
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct seen seen;
        struct hf_why why = {0};
        CHECK_OK(walk(texts[i], &seen, &why));
        assert_string_equal(seen.text, "[abc][defg]");
    }
}

static void other_kinds_of_files_are_named_with_the_command_that_converts_them(void **state)
{
    (void)state;
#define FILE_OF(bytes)                                                                             \
    {                                                                                              \
        (const uint8_t *)(bytes), sizeof(bytes) - 1                                                \
    }
    static const struct {
        struct hf_bytes content;
        const char *part;
    } cases[] = {
        {FILE_OF("\xFF\xFE-\0-\0-\0"), "UTF-16; convert it: `iconv"},
        {FILE_OF("\xFE\xFF\0-\0-\0-"), "UTF-16; convert it: `iconv"},
        {FILE_OF("-\0-\0-\0-\0"), "UTF-16; convert it: `iconv"},
        {FILE_OF("\0-\0-\0-\0-"), "UTF-16; convert it: `iconv"},
        {FILE_OF("\x30\x82\x01\x10\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x07\x02\xA0"),
         "PKCS#7; convert it: `openssl pkcs7 -inform DER"},
        {FILE_OF("\x30\x82\x01\x10\x02\x01\x03\x30\x82"), "PKCS#12; convert it: `openssl pkcs12"},
        {FILE_OF("\xFE\xED\xFE\xED\0\0\0\x02"), "JKS); convert it: `keytool"},
        {FILE_OF("\xCE\xCE\xCE\xCE\0\0\0\x02"), "JKS); convert it: `keytool"},
        {FILE_OF("\x30"), "DER; convert it: `openssl x509 -inform DER"},
        {FILE_OF("\x30\x84\x01"), "DER; convert it: `openssl x509 -inform DER"},
        {FILE_OF("\x30\x82\x01\x10\x30\x82\x01\x00"), "DER; convert it: `openssl x509 -inform DER"},
        {FILE_OF("-----BEGIN PKCS7-----\nYWJj\n"), "PKCS#7 (found \"-----BEGIN PKCS7-----\")"},
        {FILE_OF("-----BEGIN PKCS #7 SIGNED DATA-----\nYWJj\n"), "it is PKCS#7"},
        {FILE_OF("-----BEGIN TRUSTED CERTIFICATE-----\nYWJj\n"), "`openssl x509 -in FILE"},
        {FILE_OF("-----BEGIN X509 CERTIFICATE-----\nYWJj\n"), "`openssl x509 -in FILE"},
        {FILE_OF("\xFF\xFE\0\0-\0\0\0"), "UTF-32; convert it: `iconv"},
        {FILE_OF("\0\0\xFE\xFF\0\0\0-"), "UTF-32; convert it: `iconv"},
        {FILE_OF("MIIBszCCAVmgAwIBAgIU\n"), "base64 without boundaries; convert it: `base64 -di"},
        {FILE_OF("\x30\x03\x02\x01\x00"), "found a private key"},
        {FILE_OF("\x30\x06\x30\x04\x06\x02\x2A\x03"), "found a public key"},
        {FILE_OF("\x30\x09\x30\x07\x02\x01\x00\x30\x02\x31\x00"), "found a certificate request"},
        {FILE_OF("\x30\x07\x30\x05\x02\x01\x00\x30\x00"), "found a certificate request"},
        {FILE_OF("\x30\x0D\x30\x0B\x02\x01\x01\x30\x02\x06\x00\x30\x00\x17\x00"),
         "found a list of revoked certificates"},
        {FILE_OF("\x30\x06\x30\x04\x30\x02\x06\x00"), "found a list of revoked certificates"},
        /* Version 1, which has no [0] before its number, is a certificate. */
        {FILE_OF("\x30\x0D\x30\x0B\x02\x01\x01\x30\x02\x06\x00\x30\x00\x30\x00"),
         "found DER; convert it: `openssl x509 -inform DER"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct seen seen = {0};
        struct hf_why why = {0};
        CHECK_REFUSED(hf_pem_walk(cases[i].content, look, &seen, &why), HF_E_FORMAT, &why,
                      cases[i].part);
        assert_int_equal(seen.n, 0);
    }
}

/* The publisher takes a file with one certificate as DER too, and nothing else of that kind. */
static void der_is_one_block(void **state)
{
    (void)state;
    static const uint8_t der[] = {0x30, 0x01, 0x05};
    static const uint8_t pkcs12[] = {0x30, 0x05, 0x02, 0x01, 0x03, 0x30, 0x00};
    struct seen seen = {0};
    struct hf_why why = {0};
    CHECK_OK(hf_pem_or_der_walk((struct hf_bytes){der, sizeof der}, look, &seen, &why));
    assert_int_equal(seen.n, 1);
    seen = (struct seen){0};
    CHECK_OK(hf_pem_or_der_walk(hf_bytes_of_text(ABC), look, &seen, &why));
    assert_string_equal(seen.text, "[abc]");
    CHECK_REFUSED(hf_pem_or_der_walk((struct hf_bytes){pkcs12, sizeof pkcs12}, look, &seen, &why),
                  HF_E_FORMAT, &why, "PKCS#12");
}

static void a_file_without_blocks_is_not_found(void **state)
{
    (void)state;
    struct seen seen;
    struct hf_why why = {0};
    CHECK_REFUSED(walk("", &seen, &why), HF_E_NOT_FOUND, &why, "expected PEM certificates");
    CHECK_REFUSED(walk("just text\n", &seen, &why), HF_E_NOT_FOUND, &why,
                  "found no line \"-----BEGIN CERTIFICATE-----\"");
    CHECK_REFUSED(walk(" \t\v\f\r\n", &seen, &why), HF_E_NOT_FOUND, &why, "found no line");
    /* Zeros make no UTF-16. */
    static const char zeros[][4] = {{0, 0, 'a', 'b'}, {'a', 0, 'b', 'c'}, {'a', 0, 0, 0}};
    for (size_t i = 0; i < sizeof zeros / sizeof zeros[0]; i++)
        CHECK_REFUSED(hf_pem_walk((struct hf_bytes){(const uint8_t *)zeros[i], sizeof zeros[i]},
                                  look, &seen, &why),
                      HF_E_NOT_FOUND, &why, "found no line");
    assert_int_equal(seen.n, 0);
}

static void a_block_of_another_kind_is_refused_with_its_line(void **state)
{
    (void)state;
    struct seen seen;
    struct hf_why why = {0};
    const char *key = ABC "-----BEGIN PRIVATE KEY-----\nYWJj\n-----END PRIVATE KEY-----\n";
    CHECK_REFUSED(walk(key, &seen, &why), HF_E_FORMAT, &why,
                  "line 4: expected \"-----BEGIN CERTIFICATE-----\" or a comment, found "
                  "\"-----BEGIN PRIVATE KEY-----\"");
    CHECK_REFUSED(walk("-----BEGIN TRUSTED CERTIFICATE-----\n", &seen, &why), HF_E_FORMAT, &why,
                  "line 1");
}

/* The line looks right where it is shown, so the sentence says what is not. */
static void what_is_wrong_with_a_boundary_is_told(void **state)
{
    (void)state;
#define CHARS_64 "MIIBszCCAVmgAwIBAgIUPOkEcV4i+wxwd8gbgTDg5NEuEoIwCgYIKoZIzj0EAwIw"
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"-----BEGIN CERTIFICATE-----\xC2\xA0\nYWJj\n", "in plain ASCII, found the character U+A0"},
        {"\xE2\x80\x94\xE2\x80\x94"
         "BEGIN CERTIFICATE-\nYWJj\n",
         "found the character U+2014"},
        {"-----BEGIN CERTIFICATE-----\xA0\nYWJj\n", "found the byte 0xA0"},
        {"-----BEGIN CERTIFICATE-----\r" CHARS_64 "\r", "the line breaks of the file are lost"},
        {"-----BEGIN CERTIFICATE-----\\n" CHARS_64 "\\n", "the line breaks of the file are lost"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct seen seen;
        struct hf_why why = {0};
        char text[256];
        (void)snprintf(text, sizeof text, "%s%s", ABC, cases[i].text);
        CHECK_REFUSED(walk(text, &seen, &why), HF_E_FORMAT, &why, cases[i].part);
        assert_string_equal(seen.text, "[abc]");
    }
}

/* A boundary that is not recognised would make its certificate vanish without a word. */
static void a_damaged_boundary_is_no_comment(void **state)
{
    (void)state;
    static const char *const damaged[] = {
        "-----BEGIN CERTIFICATE----\nYWJj\n" END,
        "----BEGIN CERTIFICATE-----\nYWJj\n" END,
        "-----BEGIN CERTIFICAT-----\nYWJj\n" END,
        "-----BEGIN CERTIFICATE-----x\nYWJj\n" END,
        "-----\nYWJj\n",
        "x----BEGIN CERTIFICATE-----\nYWJj\n",
        END,
    };
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        struct seen seen;
        struct hf_why why = {0};
        char text[256];
        (void)snprintf(text, sizeof text, "%s%s", ABC, damaged[i]);
        CHECK_REFUSED(walk(text, &seen, &why), HF_E_FORMAT, &why, "line 4");
        assert_string_equal(seen.text, "[abc]");
    }
}

static void a_block_without_its_end_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
    } cases[] = {
        {BEGIN, "certificate 1 (line 1) has no end"},
        {BEGIN "YWJj", "found the end of the file at line 2"},
        {ABC BEGIN "YWJj\n", "certificate 2 (line 4) has no end"},
        {BEGIN "YWJj\n" BEGIN "YWJj\n" END, "found another boundary at line 3"},
        {BEGIN "YWJj\n-----END CERTIFICATE----\n", "found another boundary at line 3"},
        {BEGIN "YWJj\n-----END PRIVATE KEY-----\n", "found another boundary at line 3"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct seen seen;
        struct hf_why why = {0};
        CHECK_REFUSED(walk(cases[i].text, &seen, &why), HF_E_FORMAT, &why, cases[i].part);
    }
}

static void base64_is_strict_and_the_damaged_line_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *body, *part;
    } cases[] = {
        {"YW*j\n", "line 5"},                   /* not base64 */
        {"YWJj\nZGVm\nZ-Vm\n", "line 7"},       /* the URL alphabet is another one */
        {"YWI\n", "certificate 2 is damaged"},  /* padding is missing */
        {"YWJ=\n", "certificate 2 is damaged"}, /* bits beyond the data are set */
        {"YWI=YWI=\n", "line 5"},               /* more after the padding */
        {"Proc-Type: 4,ENCRYPTED\n\nYWJj\n", "line 5"},
        {"\n", "certificate 2 is damaged"}, /* nothing in it */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct seen seen;
        struct hf_why why = {0};
        char text[256];
        (void)snprintf(text, sizeof text, "%s%s%s%s", ABC, BEGIN, cases[i].body, END);
        CHECK_REFUSED(walk(text, &seen, &why), HF_E_FORMAT, &why, cases[i].part);
        assert_string_equal(seen.text, "[abc]");
    }
}

static void what_the_callback_refuses_ends_the_walk_and_gets_its_place(void **state)
{
    (void)state;
    struct seen seen = {.answer = HF_E_POLICY};
    struct hf_why why = {0};
    CHECK_REFUSED(hf_pem_walk(hf_bytes_of_text(ABC DEFG ABC), look, &seen, &why), HF_E_POLICY, &why,
                  "certificate 2 (line 4): not this one");
    assert_string_equal(seen.text, "[abc][defg]");
    seen = (struct seen){.answer = HF_E_POLICY};
    assert_int_equal(hf_pem_walk(hf_bytes_of_text(DEFG), look, &seen, NULL), HF_E_POLICY);
}

static void large_blocks_and_files_are_refused(void **state)
{
    (void)state;
    struct hf_buf pem = {0};
    struct seen seen = {0};
    struct hf_why why = {0};
    static uint8_t der[HF_CERT_DER_MAX + 1];
    CHECK_OK(hf_pem_append(&pem, (struct hf_bytes){der, HF_CERT_DER_MAX}));
    CHECK_OK(hf_pem_walk(hf_buf_bytes(&pem), look, &seen, &why));
    CHECK_OK(hf_pem_append(&pem, (struct hf_bytes){der, sizeof der}));
    seen = (struct seen){0};
    CHECK_REFUSED(hf_pem_walk(hf_buf_bytes(&pem), look, &seen, &why), HF_E_LIMIT, &why,
                  "has 16385 bytes, at most 16384 are accepted");
    while (pem.len <= HF_BUNDLE_BYTES_MAX)
        CHECK_OK(hf_buf_append_text(&pem, ABC));
    seen = (struct seen){0};
    CHECK_REFUSED(hf_pem_walk(hf_buf_bytes(&pem), look, &seen, &why), HF_E_LIMIT, &why, "of PEM");
    assert_int_equal(seen.n, 0);
    hf_buf_free(&pem);
}

static void what_is_written_is_read_again_at_any_length(void **state)
{
    (void)state;
    static uint8_t der[200];
    for (size_t i = 0; i < sizeof der; i++)
        der[i] = (uint8_t)('A' + i % 26);
    for (size_t len = 1; len <= 60; len++) {
        struct hf_buf pem = {0};
        struct seen seen = {0};
        struct hf_why why = {0};
        char wanted[64];
        (void)snprintf(wanted, sizeof wanted, "[%.*s]", (int)len, (const char *)der);
        CHECK_OK(hf_pem_append(&pem, (struct hf_bytes){der, len}));
        CHECK_OK(hf_pem_walk(hf_buf_bytes(&pem), look, &seen, &why));
        assert_string_equal(seen.text, wanted);
        hf_buf_free(&pem);
    }
}

static void lines_have_64_characters(void **state)
{
    (void)state;
    struct hf_buf pem = {0};
    static const uint8_t der[96];
    CHECK_OK(hf_pem_append(&pem, (struct hf_bytes){der, sizeof der}));
    static const char line[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n";
    char wanted[256];
    (void)snprintf(wanted, sizeof wanted, "%s%s%s%s", BEGIN, line, line, END);
    assert_string_equal((const char *)pem.data, wanted);
    hf_buf_free(&pem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_come_in_order_and_text_between_them_is_ignored),
        cmocka_unit_test(line_ends_of_other_systems_and_a_missing_last_one_are_read),
        cmocka_unit_test(a_byte_order_mark_and_blanks_around_lines_are_read),
        cmocka_unit_test(other_kinds_of_files_are_named_with_the_command_that_converts_them),
        cmocka_unit_test(der_is_one_block),
        cmocka_unit_test(a_file_without_blocks_is_not_found),
        cmocka_unit_test(a_block_of_another_kind_is_refused_with_its_line),
        cmocka_unit_test(what_is_wrong_with_a_boundary_is_told),
        cmocka_unit_test(a_damaged_boundary_is_no_comment),
        cmocka_unit_test(a_block_without_its_end_is_refused),
        cmocka_unit_test(base64_is_strict_and_the_damaged_line_is_named),
        cmocka_unit_test(what_the_callback_refuses_ends_the_walk_and_gets_its_place),
        cmocka_unit_test(large_blocks_and_files_are_refused),
        cmocka_unit_test(what_is_written_is_read_again_at_any_length),
        cmocka_unit_test(lines_have_64_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
