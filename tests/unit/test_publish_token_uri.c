/* server/repository/tokens/token_uri.c and token_point.c: what a person writes and what a token
 * shows. */
#include "tests/support/check.h"

#include "common/tuf/key.h"
#include "server/repository/tokens/token_point.h"
#include "server/repository/tokens/token_uri.h"
#include "tests/support/test_pki.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- URIs ------------------------------------------------------------------------------------ */

static void what_begins_as_one_is_one(void **state)
{
    (void)state;
    assert_true(hf_token_is_uri("pkcs11:"));
    assert_true(hf_token_is_uri("PKCS11:token=alice"));
    assert_false(hf_token_is_uri("pkcs11.key.json"));
    assert_false(hf_token_is_uri("./pkcs11:token=alice"));
    assert_false(hf_token_is_uri(""));
}

static void uris_of_one_key_are_taken(void **state)
{
    (void)state;
    static const char *const uris[] = {
        "pkcs11:token=alice;object=root-1",
        "pkcs11:object=root%201;token=alice",
        "pkcs11:serial=42;id=%00%01;type=private",
        "pkcs11:slot-id=3;object=a;type=public",
        "pkcs11:model=X;manufacturer=Y;token=alice;object=a",
        "pkcs11:token=alice;object=a?pin-source=file:/etc/pin",
        "pkcs11:token=alice;object=a?pin-source=file:///etc/pin&module-name=softhsm2",
        "pkcs11:token=alice;object=a?module-path=/usr/lib/x.so&pin-source=/etc/pin",
    };
    for (size_t i = 0; i < sizeof uris / sizeof uris[0]; i++) {
        struct hf_why why = {0};
        if (hf_token_check_uri(uris[i], &why) != HF_OK)
            fail_msg("%s: %s", uris[i], why.text);
    }
}

static void others_are_refused_in_words(void **state)
{
    (void)state;
    static const struct {
        const char *uri, *part;
    } cases[] = {
        {"root-1.key.json", "a PKCS#11 URI is expected"},
        {"pkcs11:", "does not say which token"},
        {"pkcs11:object=a", "does not say which token"},
        {"pkcs11:model=X;manufacturer=Y;object=a", "does not say which token"},
        {"pkcs11:token=;object=a", "does not say which token"},
        {"pkcs11:token=alice", "does not say which key"},
        {"pkcs11:token=alice;object=", "does not say which key"},
        {"pkcs11:token=alice?object=a", "after the \"?\""},
        {"pkcs11:token=alice;object=a?pin=1", "after the \"?\""},
        {"pkcs11:token=alice;objekt=a", "\"objekt\" is nothing"},
        {"pkcs11:token=alice;object=a;pin-source=/etc/pin", "before the \"?\""},
        {"pkcs11:token=alice;object=a;pinfile=/etc/pin", "\"pinfile\" is nothing"},
        {"pkcs11:token=alice;;object=a", "\"\" is nothing"},
        {"pkcs11:token=alice;token=bob;object=a", "\"token\" twice"},
        {"pkcs11:token=alice;object=a;type=cert", "something else than a key"},
        {"pkcs11:token=alice;object=a;type=what", "not a PKCS#11 URI"},
        {"pkcs11:token=al ice;object=a", "plain characters only"},
        {"pkcs11:token=alice;object=a\n", "plain characters only"},
        {"pkcs11:token=alice;object=\xc3\xa4", "plain characters only"},
        {"pkcs11:token=alice;object=a%zz", "not a PKCS#11 URI"},
        {"pkcs11:token=alice;object=a%00b", "%00 cannot stand in \"object\""},
        {"pkcs11:token=alice;object=a?module-path=/a%00.so", "%00 cannot stand in \"module-path\""},
        {"pkcs11:token=abcdefghijklmnopqrstuvwxyz1234567;object=a", "longer than tokens have it"},
        {"pkcs11:token=alice;object=a?module-path=x.so", "by its whole path"},
        {"pkcs11:token=alice;object=a?pin-source=pin", "by its whole path"},
        {"pkcs11:token=alice;object=a?pin-source=%7Ccat", "by its whole path"},
        {"pkcs11:token=alice;object=a?pin-source=http://x/pin", "by its whole path"},
        {"pkcs11:token=alice;object=a?pin-source=file://host/pin", "by its whole path"},
        {"pkcs11:token=alice;object=a?pin-source=/etc/%0apin", "by its whole path"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hf_why why = {0};
        if (hf_token_check_uri(cases[i].uri, &why) == HF_OK)
            fail_msg("%s is taken", cases[i].uri);
        CHECK_REFUSED(hf_token_check_uri(cases[i].uri, &why), HF_E_ARGUMENT, &why, cases[i].part);
    }
}

static void a_pin_in_a_uri_is_refused_and_not_repeated(void **state)
{
    (void)state;
    static const char *const uris[] = {"pkcs11:token=alice;object=a?pin-value=314159",
                                       "pkcs11:token=alice;object=a;pin-value=314159",
                                       "pkcs11:?pin-value=314159"};
    for (size_t i = 0; i < sizeof uris / sizeof uris[0]; i++) {
        struct hf_why why = {0};
        CHECK_REFUSED(hf_token_check_uri(uris[i], &why), HF_E_ARGUMENT, &why, "pin-value");
        assert_null(strstr(why.text, "314159"));
    }
}

static void the_longest_uri_is_taken_and_one_more_is_not(void **state)
{
    (void)state;
    char uri[HF_TOKEN_URI_MAX + 2] = "pkcs11:token=alice;object=";
    struct hf_why why = {0};
    size_t len = strlen(uri);
    memset(uri + len, 'a', HF_TOKEN_URI_MAX - len);
    CHECK_OK(hf_token_check_uri(uri, &why));
    uri[HF_TOKEN_URI_MAX] = 'a';
    CHECK_REFUSED(hf_token_check_uri(uri, &why), HF_E_ARGUMENT, &why, "at most 1024");
}

static void pin_source_is_a_path_and_leaves_the_text(void **state)
{
    (void)state;
    static const char *const sources[] = {"file:/etc/my%20pin", "file:///etc/my%20pin",
                                          "/etc/my%20pin"};
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        char text[128];
        struct hf_token_uri uri = {0};
        (void)snprintf(text, sizeof text, "pkcs11:token=alice?pin-source=%s", sources[i]);
        CHECK_OK(hf_token_uri_parse(text, &uri, NULL));
        assert_string_equal(uri.pin_file, "/etc/my pin");
        assert_string_equal(uri.text, "pkcs11:token=alice");
        hf_token_uri_free(&uri);
    }
}

static void a_written_uri_names_the_same_key_again(void **state)
{
    (void)state;
    struct hf_token_uri like = {0}, again = {0};
    CK_TOKEN_INFO token = {0};
    char *text = NULL;
    static const uint8_t id[] = {0, 0xff, ';'};
    struct hf_bytes label = hf_bytes_of_text("a b;c=\x1b/?&%");
    memset(token.label, ' ', sizeof token.label);
    memset(token.serialNumber, ' ', sizeof token.serialNumber);
    memcpy(token.label, "al;ice", 6);
    memcpy(token.serialNumber, "42", 2);
    CHECK_OK(hf_token_uri_parse("pkcs11:?module-path=/x.so&pin-source=/pin", &like, NULL));
    CHECK_OK(hf_token_uri_write(&like, &token, label, (struct hf_bytes){id, 3}, &text, NULL));
    assert_null(strstr(text, "pin"));
    CHECK_OK(hf_token_uri_parse_key(text, &again, NULL));
    assert_true(hf_bytes_equal(hf_token_uri_attribute(&again, CKA_LABEL), label));
    assert_memory_equal(hf_token_uri_attribute(&again, CKA_ID).data, id, 3);
    assert_true(p11_kit_uri_match_token_info(again.p11, &token));
    assert_string_equal(p11_kit_uri_get_module_path(again.p11), "/x.so");
    free(text);
    hf_token_uri_free(&like);
    hf_token_uri_free(&again);
}

/* ---- points ---------------------------------------------------------------------------------- */

struct point {
    enum hf_token_key_type type;
    uint8_t der[67]; /* 04, length, the bare point */
    size_t bare_len;
};

static struct point ed25519_point(void)
{
    struct point p = {HF_TOKEN_ED25519, {0x04, 32}, 32};
    uint8_t secret[crypto_sign_SECRETKEYBYTES];
    crypto_sign_keypair(p.der + 2, secret);
    return p;
}

static struct point p256_point(void)
{
    struct point p = {HF_TOKEN_ECDSA_P256, {0x04, 65}, 65};
    struct pki_key key;
    size_t len = 0;
    pki_key_make(&key, PKI_P256);
    assert_int_equal(mbedtls_ecp_write_public_key(mbedtls_pk_ec(key.pk),
                                                  MBEDTLS_ECP_PF_UNCOMPRESSED, &len, p.der + 2, 65),
                     0);
    pki_key_free(&key);
    return p;
}

static void refuses_point(const struct point *p, size_t from, size_t len)
{
    json_t *json = NULL;
    struct hf_why why = {0};
    uint8_t *exact = malloc(len + 1); /* nothing behind it may be read */
    memcpy(exact + 1, p->der + from, len);
    CHECK_REFUSED(hf_token_point_to_json(p->type, (struct hf_bytes){exact + 1, len}, &json, &why),
                  HF_E_KEY, &why, "the token shows no point of");
    assert_null(json);
    free(exact);
}

static void reads_both_forms_and_no_other(struct point p)
{
    json_t *wrapped = NULL, *bare = NULL;
    struct hf_key key = {0};
    CHECK_OK(
        hf_token_point_to_json(p.type, (struct hf_bytes){p.der, p.bare_len + 2}, &wrapped, NULL));
    CHECK_OK(hf_token_point_to_json(p.type, (struct hf_bytes){p.der + 2, p.bare_len}, &bare, NULL));
    assert_true(json_equal(wrapped, bare));
    CHECK_OK(hf_key_parse("a", wrapped, &key, NULL));
    assert_int_not_equal(key.scheme, HF_SCHEME_UNKNOWN);
    hf_key_free(&key);
    json_decref(wrapped);
    json_decref(bare);
    for (size_t len = 0; len < p.bare_len; len++)
        refuses_point(&p, 0, len);
    refuses_point(&p, 0, p.bare_len + 1);
    p.der[1]++;
    refuses_point(&p, 0, p.bare_len + 2);
    p.der[1]--;
    p.der[0] = 0x03; /* a BIT STRING */
    refuses_point(&p, 0, p.bare_len + 2);
}

static void a_point_is_read_in_both_forms(void **state)
{
    (void)state;
    reads_both_forms_and_no_other(ed25519_point());
    reads_both_forms_and_no_other(p256_point());
}

static void a_point_off_its_curve_is_no_key(void **state)
{
    (void)state;
    struct point p = p256_point();
    p.der[2 + 64] ^= 1;
    refuses_point(&p, 2, 65);
    p = p256_point();
    p.der[2] = 0x02; /* compressed has another length */
    refuses_point(&p, 2, 65);
    struct point zero = {HF_TOKEN_ED25519, {0x04, 32}, 32}; /* of small order */
    refuses_point(&zero, 0, 34);
    struct point large = {HF_TOKEN_ED25519, {0x04, 32}, 32}; /* not reduced */
    memset(large.der + 2, 0xff, 32);
    refuses_point(&large, 0, 34);
}

static void a_curve_has_its_names(void **state)
{
    (void)state;
    static const struct {
        const char *der;
        size_t len;
        bool is_known;
        enum hf_token_key_type type;
    } cases[] = {
        {"\x06\x03\x2b\x65\x70", 5, true, HF_TOKEN_ED25519},
        {"\x13\x0c"
         "edwards25519",
         14, true, HF_TOKEN_ED25519},
        {"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", 10, true, HF_TOKEN_ECDSA_P256},
        {"\x06\x05\x2b\x81\x04\x00\x22", 7, false, 0}, /* P-384 */
        {"\x06\x05\x2b\x81\x04\x00\x0a", 7, false, 0}, /* secp256k1 */
        {"\x06\x03\x2b\x65\x71", 5, false, 0},         /* Ed448 */
        {"\x06\x03\x2b\x65\x70\x00", 6, false, 0},
        {"\x06\x03\x2b\x65", 4, false, 0},
        {"", 0, false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum hf_token_key_type type = HF_TOKEN_ED25519;
        struct hf_bytes params = {(const uint8_t *)cases[i].der, cases[i].len};
        assert_int_equal(hf_token_curve_parse(params, &type), cases[i].is_known);
        if (cases[i].is_known)
            assert_int_equal(type, cases[i].type);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_begins_as_one_is_one),
        cmocka_unit_test(uris_of_one_key_are_taken),
        cmocka_unit_test(others_are_refused_in_words),
        cmocka_unit_test(a_pin_in_a_uri_is_refused_and_not_repeated),
        cmocka_unit_test(the_longest_uri_is_taken_and_one_more_is_not),
        cmocka_unit_test(pin_source_is_a_path_and_leaves_the_text),
        cmocka_unit_test(a_written_uri_names_the_same_key_again),
        cmocka_unit_test(a_point_is_read_in_both_forms),
        cmocka_unit_test(a_point_off_its_curve_is_no_key),
        cmocka_unit_test(a_curve_has_its_names),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
