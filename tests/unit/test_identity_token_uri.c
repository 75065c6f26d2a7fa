/* Which key of which token a URI names (RFC 7512). */
#include "client/port/identity/token_uri.h"
#include "tests/support/check.h"

#include <stdio.h>
#include <stdlib.h>

static void it_is_read_as_it_is_meant(void **state)
{
    struct hf_pkcs11_uri uri;
    (void)state;

    CHECK_OK(
        hf_pkcs11_uri_parse("pkcs11:token=my%20token;serial=00a1;manufacturer=Maker;model=M%3B1;"
                            "object=identity;id=%00%ff%41;type=private?pin-source=file:/etc/pin"
                            "&module-path=/usr/lib/m.so",
                            &uri, NULL));
    assert_string_equal(uri.token, "my token");
    assert_string_equal(uri.serial, "00a1");
    assert_string_equal(uri.manufacturer, "Maker");
    assert_string_equal(uri.model, "M;1");
    assert_string_equal(uri.object, "identity");
    assert_int_equal(uri.id_len, 3);
    assert_memory_equal(uri.id,
                        "\0\xff"
                        "A",
                        3);
    assert_string_equal(uri.pin_file, "/etc/pin");
    assert_string_equal(uri.module, "/usr/lib/m.so");
}

static void what_it_cannot_mean_is_refused_without_a_word_of_it(void **state)
{
    static const struct {
        const char *uri, *says;
    } cases[] = {
        {"file:/x", "expected a PKCS#11 URI"},
        {"pkcs11:", "which key"},
        {"pkcs11:token=a", "which key"},
        {"pkcs11:object", "without \"=\""},
        {"pkcs11:object=", "object in"},
        {"pkcs11:object=a;object=b", "object in"},
        {"pkcs11:object=%", "object in"},
        {"pkcs11:object=%4", "object in"},
        {"pkcs11:object=%zz", "object in"},
        {"pkcs11:object=a%00b", "object in"},
        {"pkcs11:id=%4x", "the id in"},
        {"pkcs11:token=123456789012345678901234567890123;object=a", "token in"},
        {"pkcs11:object=a;colour=red", "not known here"},
        {"pkcs11:object=a?token=b", "not known here"},
        {"pkcs11:object=a;pin-source=/x", "not known here"},
        {"pkcs11:object=a?pin-source=pin", "begin with \"/\""},
        {"pkcs11:object=a?module-path=m.so", "begin with \"/\""},
        {"pkcs11:object=a?pin-value=secret99", "holds a PIN"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hf_pkcs11_uri uri = {.token = "untouched"};
        struct hf_why why = {0};
        CHECK_REFUSED(hf_pkcs11_uri_parse(cases[i].uri, &uri, &why), HF_E_ARGUMENT, &why,
                      cases[i].says);
        assert_string_equal(uri.token, "untouched");
        assert_null(strstr(why.text, "secret99"));
    }
}

static void it_has_a_length(void **state)
{
    char text[HF_PKCS11_URI_MAX + 32];
    struct hf_pkcs11_uri uri;
    struct hf_why why = {0};
    (void)state;

    (void)snprintf(text, sizeof text, "pkcs11:object=a;type=%0*d", HF_PKCS11_URI_MAX, 0);
    CHECK_REFUSED(hf_pkcs11_uri_parse(text, &uri, &why), HF_E_ARGUMENT, &why, "at most");
    assert_false(hf_pkcs11_uri_is(NULL));
    assert_false(hf_pkcs11_uri_is("/etc/key.pem"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_read_as_it_is_meant),
        cmocka_unit_test(what_it_cannot_mean_is_refused_without_a_word_of_it),
        cmocka_unit_test(it_has_a_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
