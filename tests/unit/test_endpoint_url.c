/* common/tls/endpoint_url.c */
#include "tests/support/check.h"

#include "common/tls/endpoint_url.h"
#include "common/base/limits.h"

#include <stdio.h>

static void check(const char *text, const char *expected)
{
    char name[HF_ENDPOINT_URL_TEXT];
    struct hf_endpoint_url url;
    struct hf_why why = {0};

    CHECK_OK(hf_endpoint_url_parse(text, &url, &why));
    hf_endpoint_url_format(&url, name);
    assert_string_equal(name, expected);
}

static void addresses_are_taken_apart(void **state)
{
    (void)state;
    check("mqtts://example.org", "mqtts://example.org:8883");
    check("MQTTS://Example.ORG:443", "mqtts://example.org:443");
    check("mqtts://example.org:", "mqtts://example.org:8883");
    check("https://example.org/", "https://example.org:443");
    check("https://192.0.2.1:8443", "https://192.0.2.1:8443");
    check("tls://[2001:DB8::1]:4433", "tls://[2001:db8::1]:4433");
}

static void an_address_that_is_none_is_refused_in_words(void **state)
{
    static const struct {
        const char *text;
        const char *says;
    } cases[] = {
        {"", "mqtts://, https:// or tls://"},
        {"example.org:8883", "mqtts://, https:// or tls://"},
        {"http://example.org", "mqtts://, https:// or tls://"},
        {"mqtt://example.org", "mqtts://, https:// or tls://"},
        {"mqtts:/example.org", "mqtts://, https:// or tls://"},
        {"tlsx://example.org:1", "mqtts://, https:// or tls://"},
        {"mqtts://", "host name is empty"},
        {"mqtts://:8883", "host name is empty"},
        {"tls://example.org", "the port is missing"},
        {"tls://example.org:", "the port is missing"},
        {"tls://example.org:0", "not a number"},
        {"tls://example.org:65536", "larger than 65535"},
        {"https://example.org/v1", "names a path"},
        {"https://example.org?a", "names a path"},
        {"https://example.org//", "names a path"},
        {"mqtts://user:secret@example.org", "user name or password"},
        {"mqtts://exam ple.org", "byte 0x20"},
        {"mqtts://example.org..", "a dot at its beginning or beside another"},
        {"mqtts://.:8883", "a dot at its beginning"},
        {"https://.example.org", "a dot at its beginning or beside another"},
        {"https://example..org", "a dot at its beginning or beside another"},
        {"mqtts://example.org\n", "byte 0x0a"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hf_endpoint_url url = {.scheme = "untouched"};
        struct hf_why why = {0};
        CHECK_REFUSED(hf_endpoint_url_parse(cases[i].text, &url, &why), HF_E_FORMAT, &why,
                      cases[i].says);
        assert_string_equal(url.scheme, "untouched");
        assert_null(strstr(why.text, "secret"));
    }
}

static void a_long_address_is_refused(void **state)
{
    char text[HF_URL_MAX + 32];
    struct hf_endpoint_url url;
    struct hf_why why = {0};

    (void)state;
    (void)snprintf(text, sizeof text, "mqtts://%0*d", HF_URL_MAX, 1);
    CHECK_REFUSED(hf_endpoint_url_parse(text, &url, &why), HF_E_LIMIT, &why, "longer than");
    text[8 + HF_HOST_MAX + 1] = '\0';
    CHECK_REFUSED(hf_endpoint_url_parse(text, &url, &why), HF_E_FORMAT, &why, "253");
    text[8 + HF_HOST_MAX] = '\0';
    CHECK_OK(hf_endpoint_url_parse(text, &url, &why));
}

static enum hf_err parse_json(const char *json, struct hf_endpoint_url *out, struct hf_why *why)
{
    return hf_endpoint_url_parse_json(hf_bytes_of_text(json), out, why);
}

static void what_aws_prints_is_an_mqtt_endpoint(void **state)
{
    char name[HF_ENDPOINT_URL_TEXT];
    struct hf_endpoint_url url;
    struct hf_why why = {0};

    (void)state;
    CHECK_OK(parse_json("{\n    \"endpointAddress\": "
                        "\"abc123-ats.iot.eu-central-1.amazonaws.com\"\n}\n",
                        &url, &why));
    hf_endpoint_url_format(&url, name);
    assert_string_equal(name, "mqtts://abc123-ats.iot.eu-central-1.amazonaws.com:8883");
}

static void json_without_an_address_is_refused(void **state)
{
    static const struct {
        const char *json;
        const char *says;
    } cases[] = {
        {"", "aws iot describe-endpoint"},
        {"{}", "endpointAddress"},
        {"{\"endpointAddress\": 1}", "endpointAddress"},
        {"{\"endpointAddress\": \"\"}", "host name is empty"},
        {"{\"endpointAddress\": \"mqtts://a.example\"}", "port is not a number"},
        {"{\"endpointAddress\": \"a.example/x\"}", "byte 0x2f"},
        {"{\"endpointAddress\": \"a..example\"}", "a dot at its beginning or beside another"},
        {"{\"endpointAddress\": \"a\", \"endpointAddress\": \"b\"}", "aws iot describe-endpoint"},
        {"[\"a.example\"]", "aws iot describe-endpoint"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hf_endpoint_url url = {.scheme = "untouched"};
        struct hf_why why = {0};
        CHECK_REFUSED(parse_json(cases[i].json, &url, &why), HF_E_FORMAT, &why, cases[i].says);
        assert_string_equal(url.scheme, "untouched");
    }
}

static struct hf_endpoint_url url_of(const char *text)
{
    struct hf_endpoint_url url;

    CHECK_OK(hf_endpoint_url_parse(text, &url, NULL));
    return url;
}

static const char *alpn_of(const char *text)
{
    struct hf_endpoint_url url = url_of(text);
    const char *alpn = hf_endpoint_url_default_alpn(&url);

    return alpn != NULL ? alpn : "none";
}

static void mqtt_at_port_443_of_aws_iot_has_its_alpn_name(void **state)
{
    (void)state;
    assert_string_equal(alpn_of("mqtts://a-ats.iot.eu-west-1.amazonaws.com:443"), "x-amzn-mqtt-ca");
    assert_string_equal(alpn_of("mqtts://a.ats.iot.cn-north-1.amazonaws.com.cn:443"),
                        "x-amzn-mqtt-ca");
    assert_string_equal(alpn_of("mqtts://a-ats.iot.eu-west-1.amazonaws.com"), "none");
    assert_string_equal(alpn_of("https://a-ats.iot.eu-west-1.amazonaws.com"), "none");
    assert_string_equal(alpn_of("mqtts://example.org:443"), "none");
    assert_string_equal(alpn_of("mqtts://iot.eu-west-1.amazonaws.com:443"), "none");
    assert_string_equal(alpn_of("mqtts://a.iot.eu-west-1.amazonaws.com.example.org:443"), "none");
}

static bool is_legacy(const char *host)
{
    char text[128];

    (void)snprintf(text, sizeof text, "mqtts://%s", host);
    struct hf_endpoint_url url = url_of(text);
    return hf_endpoint_url_is_legacy_aws(&url);
}

static void a_legacy_address_of_aws_is_told_from_others(void **state)
{
    (void)state;
    assert_true(is_legacy("abc123.iot.us-east-1.amazonaws.com"));
    assert_true(is_legacy("ABC123.IoT.us-east-1.amazonaws.com"));
    assert_false(is_legacy("abc123-ats.iot.us-east-1.amazonaws.com"));
    assert_false(is_legacy("abc123.ats.iot.cn-north-1.amazonaws.com.cn"));
    assert_false(is_legacy("abc123.credentials.iot.us-east-1.amazonaws.com"));
    assert_false(is_legacy("iot.us-east-1.amazonaws.com"));
    assert_false(is_legacy("abc123.s3.us-east-1.amazonaws.com"));
    assert_false(is_legacy("amazonaws.com"));
    assert_false(is_legacy("abc123.iot.us-east-1.amazonaws.com.example.org"));
}

static void an_alpn_name_is_short_and_visible(void **state)
{
    char text[HF_ALPN_MAX + 2];
    struct hf_why why = {0};

    (void)state;
    CHECK_OK(hf_alpn_check("x-amzn-mqtt-ca", &why));
    CHECK_REFUSED(hf_alpn_check("", &why), HF_E_FORMAT, &why, "1 to 255");
    CHECK_REFUSED(hf_alpn_check("a b", &why), HF_E_FORMAT, &why, "0x20");
    CHECK_REFUSED(hf_alpn_check("\xc3\xa4", &why), HF_E_FORMAT, &why, "0xc3");
    memset(text, 'a', sizeof text);
    text[HF_ALPN_MAX + 1] = '\0';
    CHECK_REFUSED(hf_alpn_check(text, &why), HF_E_FORMAT, &why, "found 256");
    text[HF_ALPN_MAX] = '\0';
    CHECK_OK(hf_alpn_check(text, &why));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_taken_apart),
        cmocka_unit_test(an_address_that_is_none_is_refused_in_words),
        cmocka_unit_test(a_long_address_is_refused),
        cmocka_unit_test(what_aws_prints_is_an_mqtt_endpoint),
        cmocka_unit_test(json_without_an_address_is_refused),
        cmocka_unit_test(mqtt_at_port_443_of_aws_iot_has_its_alpn_name),
        cmocka_unit_test(a_legacy_address_of_aws_is_told_from_others),
        cmocka_unit_test(an_alpn_name_is_short_and_visible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
