/*
 * common/report/signature: what is signed verifies, and nothing else does. That the signature base
 * is the one of RFC 9421 is shown by tests/cli/test_report_signature.py with an implementation of
 * its own.
 */
#include "tests/support/check.h"

#include "common/report/signature.h"

#include <sodium.h>
#include <stdio.h>

#define CREATED_S INT64_C(1796115600)

static const uint8_t seed[HF_REPORT_KEY_LEN] = {1, 2, 3};

static struct hf_report_message message(void)
{
    struct hf_report_message m = {"POST", "fleet.example.com:8443", "/v1/reports",
                                  HF_REPORT_CONTENT_TYPE, hf_bytes_of_text("[{\"v\":1}]")};
    return m;
}

static struct hf_report_headers signed_headers(void)
{
    const struct hf_report_message m = message();
    struct hf_report_headers h;
    struct hf_why why = {0};

    CHECK_OK(hf_report_sign(&m, CREATED_S, seed, &h, &why));
    return h;
}

static enum hf_err parse(const struct hf_report_headers *h, struct hf_report_signature *out,
                         struct hf_why *why)
{
    return hf_report_signature_parse(h->content_digest, h->signature_input, h->signature, out, why);
}

static enum hf_err verify(const struct hf_report_headers *h, const struct hf_report_message *m,
                          struct hf_why *why)
{
    struct hf_report_signature s;

    CHECK_OK(parse(h, &s, why));
    return hf_report_signature_verify(&s, m, why);
}

static void what_is_signed_verifies(void **state)
{
    const struct hf_report_message m = message();
    const struct hf_report_headers h = signed_headers();
    struct hf_report_signature s;
    struct hf_why why = {0};
    uint8_t public_key[HF_REPORT_KEY_LEN], secret[crypto_sign_SECRETKEYBYTES];
    (void)state;

    CHECK_OK(parse(&h, &s, &why));
    crypto_sign_seed_keypair(public_key, secret, seed);
    assert_memory_equal(s.public_key, public_key, sizeof public_key);
    assert_int_equal(s.created_s, CREATED_S);
    CHECK_OK(hf_report_signature_verify(&s, &m, &why));
}

/* Letters of either case are the same server; all else is another message. */
static void another_message_does_not_verify(void **state)
{
    const struct hf_report_headers h = signed_headers();
    struct hf_report_message m = message();
    struct hf_why why = {0};
    (void)state;

    m.authority = "Fleet.Example.COM:8443";
    CHECK_OK(verify(&h, &m, &why));
    m.authority = "fleet.example.org:8443";
    CHECK_REFUSED(verify(&h, &m, &why), HF_E_SIGNATURE, &why, "is \"fleet.example.org:8443\"");
    m = message();
    m.method = "PUT";
    CHECK_REFUSED(verify(&h, &m, &why), HF_E_SIGNATURE, &why, "not one of the key");
    m = message();
    m.path = "/v1/reports/";
    CHECK_REFUSED(verify(&h, &m, &why), HF_E_SIGNATURE, &why, "not one of the key");
    m = message();
    m.content_type = "application/json; charset=utf-8";
    CHECK_REFUSED(verify(&h, &m, &why), HF_E_SIGNATURE, &why, "not one of the key");
    m = message();
    m.body = hf_bytes_of_text("[{\"v\":2}]");
    CHECK_REFUSED(verify(&h, &m, &why), HF_E_HASH, &why, "not the one that Content-Digest names");
    /* a value that tries to be two lines of the base */
    m = message();
    m.path = "/v1/reports\n\"content-type\": application/json";
    CHECK_REFUSED(verify(&h, &m, &why), HF_E_FORMAT, &why, "control character");
}

static void a_changed_header_does_not_verify(void **state)
{
    const struct hf_report_headers whole = signed_headers();
    const struct hf_report_message m = message();
    struct hf_report_headers h = whole;
    struct hf_why why = {0};
    char *at = NULL;
    (void)state;

    at = strstr(h.signature_input, "created=1");
    assert_non_null(at);
    at[strlen("created=")] = '2';
    CHECK_REFUSED(verify(&h, &m, &why), HF_E_SIGNATURE, &why, "not one of the key");
    h = whole;
    at = strstr(h.signature_input, "keyid=\"") + strlen("keyid=\"");
    *at = *at == 'A' ? 'B' : 'A';
    CHECK_REFUSED(verify(&h, &m, &why), HF_E_SIGNATURE, &why, "not one of the key");
    h = whole;
    at = h.signature + strlen("holdfast=:");
    *at = *at == 'A' ? 'B' : 'A';
    CHECK_REFUSED(verify(&h, &m, &why), HF_E_SIGNATURE, &why, "not one of the key");
    h = whole;
    at = h.content_digest + strlen("sha-256=:");
    *at = *at == 'A' ? 'B' : 'A';
    CHECK_REFUSED(verify(&h, &m, &why), HF_E_HASH, &why, "Content-Digest");
}

/* `h` with the first `find` in its Signature-Input replaced. */
static void check_input_refused(const char *find, const char *replacement)
{
    const struct hf_report_headers h = signed_headers();
    struct hf_report_signature s = {.created_s = 7};
    struct hf_why why = {0};
    char input[512];
    const char *at = strstr(h.signature_input, find);

    assert_non_null(at);
    (void)snprintf(input, sizeof input, "%.*s%s%s", (int)(at - h.signature_input),
                   h.signature_input, replacement, at + strlen(find));
    CHECK_REFUSED(hf_report_signature_parse(h.content_digest, input, h.signature, &s, &why),
                  HF_E_FORMAT, &why, "Signature-Input should be holdfast=(\"@method\"");
    assert_int_equal(s.created_s, 7);
}

static void another_form_of_signature_input_is_refused(void **state)
{
    (void)state;
    check_input_refused("holdfast=", "sig1=");
    check_input_refused("\"@path\" ", "");               /* less is signed */
    check_input_refused("\"@path\"", "\"@target-uri\""); /* something else is */
    check_input_refused("\"@method\" \"@authority\"", "\"@authority\" \"@method\"");
    check_input_refused("(", "( ");
    check_input_refused("created=", "created=0");
    check_input_refused("created=1", "created=-1");
    check_input_refused("created=1796115600", "created=");
    check_input_refused("created=1796115600", "created=1234567890123456");
    check_input_refused("created=1796115600;", "");
    check_input_refused("keyid=\"", "keyid=\"A");
    check_input_refused("ed25519", "hmac-sha256");
    check_input_refused("holdfast-report", "other");
    check_input_refused("tag=\"holdfast-report\"", "tag=\"holdfast-report\";expires=1");
    check_input_refused("tag=\"holdfast-report\"", "tag=\"holdfast-report\", sig2=()");
}

static void other_forms_of_digest_and_signature_are_refused(void **state)
{
    const struct hf_report_headers h = signed_headers();
    struct hf_report_signature s;
    struct hf_why why = {0};
    char text[256];
    (void)state;

    (void)snprintf(text, sizeof text, "%s, sha-512=:AA==:", h.content_digest);
    CHECK_REFUSED(hf_report_signature_parse(text, h.signature_input, h.signature, &s, &why),
                  HF_E_FORMAT, &why, "Content-Digest should be sha-256=:BASE64:");
    CHECK_REFUSED(hf_report_signature_parse("sha-256=:AA==:", h.signature_input, h.signature, &s,
                                            &why),
                  HF_E_FORMAT, &why, "Content-Digest should be");
    (void)snprintf(text, sizeof text, "holdfast=:A%s", h.signature + strlen("holdfast=:"));
    CHECK_REFUSED(hf_report_signature_parse(h.content_digest, h.signature_input, text, &s, &why),
                  HF_E_FORMAT, &why, "Signature should be holdfast=:BASE64:");
    CHECK_REFUSED(hf_report_signature_parse(NULL, h.signature_input, h.signature, &s, &why),
                  HF_E_FORMAT, &why, "Content-Digest is missing");
    CHECK_REFUSED(hf_report_signature_parse(h.content_digest, NULL, h.signature, &s, &why),
                  HF_E_FORMAT, &why, "Signature-Input is missing");
    CHECK_REFUSED(hf_report_signature_parse(h.content_digest, h.signature_input, NULL, &s, &why),
                  HF_E_FORMAT, &why, "Signature is missing");
}

static void a_key_of_small_order_signs_nothing(void **state)
{
    const struct hf_report_message m = message();
    struct hf_report_signature s = {.public_key = {1}, .signature = {1}};
    struct hf_why why = {0};
    (void)state;

    hf_sha256(m.body, s.body_sha256);
    CHECK_REFUSED(hf_report_signature_verify(&s, &m, &why), HF_E_SIGNATURE, &why, "not one of");
}

/* The device's clock may stand anywhere. */
static void a_clock_outside_of_numbers_is_zero(void **state)
{
    const struct hf_report_message m = message();
    const int64_t clocks[] = {INT64_MIN, -1, INT64_MAX};
    struct hf_report_headers h;
    struct hf_why why = {0};
    (void)state;

    for (size_t i = 0; i < sizeof clocks / sizeof clocks[0]; i++) {
        CHECK_OK(hf_report_sign(&m, clocks[i], seed, &h, &why));
        assert_non_null(strstr(h.signature_input, ";created=0;"));
        CHECK_OK(verify(&h, &m, &why));
    }
}

static void a_key_is_text(void **state)
{
    uint8_t key[HF_REPORT_KEY_LEN], again[HF_REPORT_KEY_LEN];
    char text[HF_REPORT_KEY_TEXT_SIZE];
    struct hf_why why = {0};
    (void)state;

    memset(key, 0xfb, sizeof key);
    hf_report_key_format(key, text);
    assert_string_equal(text, "-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_s");
    CHECK_OK(hf_report_key_parse(text, again, &why));
    assert_memory_equal(again, key, sizeof key);
    CHECK_REFUSED(hf_report_key_parse("AAAA", again, &why), HF_E_FORMAT, &why, "43 characters");
    text[42] = 't'; /* the same bytes, if the last bits were ignored */
    CHECK_REFUSED(hf_report_key_parse(text, again, &why), HF_E_FORMAT, &why, "43 characters");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_signed_verifies),
        cmocka_unit_test(another_message_does_not_verify),
        cmocka_unit_test(a_changed_header_does_not_verify),
        cmocka_unit_test(another_form_of_signature_input_is_refused),
        cmocka_unit_test(other_forms_of_digest_and_signature_are_refused),
        cmocka_unit_test(a_key_of_small_order_signs_nothing),
        cmocka_unit_test(a_clock_outside_of_numbers_is_zero),
        cmocka_unit_test(a_key_is_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
