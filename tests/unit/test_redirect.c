/* client/port/posix/url.c: where an answer may send a request on to. */
#include "client/port/posix/url.h"

#include "tests/support/check.h"

#include <stdio.h>

static const struct hf_redirect_targets targets = {
    .hosts = {{.host = "mirror.example", .port = 8080}, {.host = "cdn.example", .port = 0}},
    .n = 2,
};

static enum hf_err resolve(const char *asked, const char *location, bool waives, struct hf_url *out,
                           struct hf_why *why)
{
    struct hf_url url;

    CHECK_OK(hf_url_parse(asked, &url, why));
    return hf_redirect_resolve(&targets, &url, &url, location, waives, out, why);
}

static void check_followed(const char *asked, const char *location, const char *to)
{
    struct hf_buf text = {0};
    struct hf_why why = {0};
    struct hf_url url;

    CHECK_OK(resolve(asked, location, false, &url, &why));
    CHECK_OK(hf_url_append(&url, &text));
    assert_string_equal((const char *)text.data, to);
    hf_buf_free(&text);
}

static void check_refused(const char *asked, const char *location, bool waives, const char *says)
{
    struct hf_why why = {0};
    struct hf_url url;

    CHECK_REFUSED(resolve(asked, location, waives, &url, &why), HF_E_NETWORK, &why, says);
    assert_null(strstr(why.text, "secret"));
}

static void test_same_server(void **state)
{
    (void)state;
    check_followed("http://a.example/x/y", "../z?q", "http://a.example/z?q");
    check_followed("http://a.example:81/x", "//a.example:81/z", "http://a.example:81/z");
    check_followed("http://a.example/x", "https://A.example/z", "https://a.example/z");
    check_followed("http://[2001:db8::1]/x", "https://[2001:db8::1]/", "https://[2001:db8::1]/");
}

static void test_configured_host(void **state)
{
    (void)state;
    check_followed("http://a.example/x", "http://mirror.example:8080/z",
                   "http://mirror.example:8080/z");
    check_followed("http://a.example/x", "https://cdn.example/z", "https://cdn.example/z");
    check_followed("http://a.example/x", "http://cdn.example/z", "http://cdn.example/z");
}

static void test_another_server(void **state)
{
    static const char *const locations[] =
        {"http://b.example/secret",         "http://a.example:81/secret",
         "https://a.example:80443/secret",  "https://a.example:444/secret",
         "http://mirror.example/secret",    "https://cdn.example:8443/secret",
         "http://a.example./secret",        "http://sub.a.example/secret",
         "http://127.0.0.1/secret",         "//localhost/secret",
         "http://[::ffff:127.0.0.1]/secret"};

    (void)state;
    for (size_t i = 0; i < sizeof locations / sizeof locations[0]; i++)
        check_refused("http://a.example/x", locations[i], false, "redirect");
    check_refused("http://a.example:8080/x", "https://a.example/secret", false,
                  "config set redirect-hosts");
}

static void test_from_https_down_to_http(void **state)
{
    (void)state;
    check_refused("https://a.example/x", "http://a.example/secret", false, "down to http");
    check_refused("https://a.example/x", "http://cdn.example/secret", false, "down to http");
}

static void test_in_recovery_only_the_same_server(void **state)
{
    struct hf_why why = {0};
    struct hf_url url;

    (void)state;
    check_refused("https://a.example/x", "https://cdn.example/secret", true, "recovery");
    CHECK_OK(resolve("https://a.example/x", "/z", true, &url, &why));
    assert_string_equal(url.target, "/z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_server),
        cmocka_unit_test(test_configured_host),
        cmocka_unit_test(test_another_server),
        cmocka_unit_test(test_from_https_down_to_http),
        cmocka_unit_test(test_in_recovery_only_the_same_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
