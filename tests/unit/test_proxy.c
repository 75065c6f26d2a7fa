/* client/port/posix/url.c */
#include "tests/support/check.h"

#include "client/port/posix/http.h"

/* The environment of the running test: name, value, name, value, NULL. */
static const char *const *environment;

static const char *look_up(const char *name)
{
    for (size_t i = 0; environment[i] != NULL; i += 2)
        if (strcmp(environment[i], name) == 0)
            return environment[i + 1];
    return NULL;
}

static enum hf_err pick(const char *text, const char *const *env, struct hf_proxy *out,
                        struct hf_why *why)
{
    struct hf_url url;

    environment = env;
    CHECK_OK(hf_url_parse(text, &url, NULL));
    return hf_proxy_pick(&url, look_up, out, why);
}

static void check_none(const char *url, const char *const *env)
{
    struct hf_proxy proxy = {.is_used = true};

    CHECK_OK(pick(url, env, &proxy, NULL));
    assert_false(proxy.is_used);
}

static void check_proxy(const char *url, const char *const *env, const char *endpoint,
                        const char *authorization)
{
    struct hf_proxy proxy = {0};
    struct hf_why why = {0};
    char text[HF_ENDPOINT_TEXT];

    CHECK_OK(pick(url, env, &proxy, &why));
    assert_true(proxy.is_used);
    hf_endpoint_format(&proxy.peer, text);
    assert_string_equal(text, endpoint);
    assert_string_equal(proxy.authorization, authorization);
}

#define ENV(...) ((const char *const[]){__VA_ARGS__, NULL, NULL})
#define HTTP "http://a.example/"
#define HTTPS "https://a.example/"

static void each_scheme_has_its_variable(void **state)
{
    (void)state;
    check_none(HTTP, ENV("PATH", "/bin"));
    check_proxy(HTTP, ENV("http_proxy", "http://p:3128"), "p:3128", "");
    check_none(HTTPS, ENV("http_proxy", "http://p:3128"));
    check_proxy(HTTPS, ENV("https_proxy", "http://p:3128/"), "p:3128", "");
    check_none(HTTP, ENV("https_proxy", "http://p:3128"));
    check_proxy(HTTP, ENV("all_proxy", "p:1"), "p:1", "");
    check_proxy(HTTPS, ENV("all_proxy", "p:1"), "p:1", "");
    check_proxy(HTTP, ENV("http_proxy", "p:1", "all_proxy", "q:2"), "p:1", "");
    check_proxy(HTTP, ENV("http_proxy", "", "all_proxy", "q:2"), "q:2", "");
}

static void capitals_are_understood_except_for_http(void **state)
{
    (void)state;
    check_proxy(HTTPS, ENV("HTTPS_PROXY", "p:1"), "p:1", "");
    check_proxy(HTTPS, ENV("HTTPS_PROXY", "p:1", "https_proxy", "q:2"), "q:2", "");
    check_proxy(HTTP, ENV("ALL_PROXY", "p:1"), "p:1", "");
    check_none(HTTP, ENV("HTTP_PROXY", "p:1"));
    check_none(HTTPS, ENV("https_proxy", "p:1", "NO_PROXY", "a.example"));
}

static void proxies_have_ports_and_passwords(void **state)
{
    (void)state;
    check_proxy(HTTP, ENV("http_proxy", "p"), "p:1080", "");
    check_proxy(HTTP, ENV("http_proxy", "http://[::1]:8080"), "[::1]:8080", "");
    check_proxy(HTTP, ENV("http_proxy", "http://me:pass@p:1"), "p:1", "Basic bWU6cGFzcw==");
    check_proxy(HTTP, ENV("http_proxy", "me:p%40s%3As@p:1"), "p:1", "Basic bWU6cEBzOnM=");
    check_proxy(HTTP, ENV("http_proxy", "me:p@ss@p:1"), "p:1", "Basic bWU6cEBzcw==");
}

static void unusable_proxies_are_refused_without_their_password(void **state)
{
    static const char *const values[] =
        {"socks5://me:secret@p:1", "https://me:secret@p:1", "http://me:secret@p:x",
         "http://me:secret@[::1",  "me:secret%4",           "http://me:secret%zz@p",
         "http://me:secret@",      "http://me:secret @p q"};

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct hf_proxy proxy = {.is_used = true, .authorization = "untouched"};
        struct hf_why why = {0};
        CHECK_REFUSED(pick(HTTP, ENV("http_proxy", values[i]), &proxy, &why), HF_E_FORMAT, &why,
                      "http_proxy");
        assert_null(strstr(why.text, "secret"));
        assert_string_equal(proxy.authorization, "untouched");
    }
}

static void long_credentials_are_refused(void **state)
{
    char value[400];
    struct hf_proxy proxy;
    struct hf_why why = {0};

    (void)state;
    memset(value, 'x', sizeof value);
    memcpy(value + HF_PROXY_CREDENTIALS_MAX, "@p:1", 5);
    CHECK_OK(pick(HTTP, ENV("http_proxy", value), &proxy, &why));
    value[HF_PROXY_CREDENTIALS_MAX] = 'x';
    memcpy(value + HF_PROXY_CREDENTIALS_MAX + 1, "@p:1", 5);
    CHECK_REFUSED(pick(HTTP, ENV("http_proxy", value), &proxy, &why), HF_E_FORMAT, &why, "255");
}

static bool is_excepted(const char *no_proxy, const char *host)
{
    struct hf_endpoint peer;

    CHECK_OK(hf_endpoint_parse(hf_bytes_of_text(host), 443, &peer, NULL));
    return hf_no_proxy_matches(no_proxy, &peer);
}

static void no_proxy_names(void **state)
{
    (void)state;
    assert_true(is_excepted("example.org", "example.org"));
    assert_true(is_excepted("example.org", "a.b.example.org"));
    assert_true(is_excepted(".example.org", "a.example.org"));
    assert_true(is_excepted(".example.org", "example.org"));
    assert_true(is_excepted("EXAMPLE.org.", "a.example.ORG"));
    assert_true(is_excepted("example.org", "example.org."));
    assert_true(is_excepted("x, example.org", "example.org"));
    assert_true(is_excepted("x example.org\ty", "example.org"));
    assert_true(is_excepted("*", "example.org"));
    assert_true(is_excepted("x,*", "example.org"));
    assert_false(is_excepted("", "example.org"));
    assert_false(is_excepted(",", "example.org"));
    assert_false(is_excepted(".", "example.org"));
    assert_false(is_excepted("ample.org", "example.org"));
    assert_false(is_excepted("a.example.org", "example.org"));
    assert_false(is_excepted("*.example.org", "a.example.org"));
    assert_false(is_excepted("example.org:443", "example.org"));
    assert_false(is_excepted("org.example", "example.org"));
}

static void no_proxy_addresses(void **state)
{
    (void)state;
    assert_true(is_excepted("192.0.2.7", "192.0.2.7"));
    assert_true(is_excepted("192.0.2.0/24", "192.0.2.7"));
    assert_true(is_excepted("192.0.2.0/23", "192.0.3.255"));
    assert_true(is_excepted("0.0.0.0/0", "192.0.2.7"));
    assert_true(is_excepted("192.0.2.7/32", "192.0.2.7"));
    assert_true(is_excepted("::1", "[::1]"));
    assert_true(is_excepted("[::1]", "[0:0:0:0:0:0:0:1]"));
    assert_true(is_excepted("2001:db8::/33", "[2001:db8:7fff::1]"));
    assert_true(is_excepted("*", "[::1]"));
    assert_false(is_excepted("192.0.2.0/23", "192.0.4.0"));
    assert_false(is_excepted("2001:db8::/33", "[2001:db8:8000::1]"));
    assert_false(is_excepted("192.0.2.7/33", "192.0.2.7"));
    assert_false(is_excepted("192.0.2.7/", "192.0.2.7"));
    assert_false(is_excepted("192.0.2.7/x", "192.0.2.7"));
    assert_false(is_excepted("192.0.2.7/99999999999999999999", "192.0.2.7"));
    assert_false(is_excepted("2.7", "192.0.2.7"));
    assert_false(is_excepted("::/0", "192.0.2.7"));
    assert_false(is_excepted("0.0.0.0/0", "example.org"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_scheme_has_its_variable),
        cmocka_unit_test(capitals_are_understood_except_for_http),
        cmocka_unit_test(proxies_have_ports_and_passwords),
        cmocka_unit_test(unusable_proxies_are_refused_without_their_password),
        cmocka_unit_test(long_credentials_are_refused),
        cmocka_unit_test(no_proxy_names),
        cmocka_unit_test(no_proxy_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
