/* client/port/posix/url.c and endpoint.c */
#include "tests/support/check.h"

#include "client/port/posix/url.h"

static void check_url(const char *text, bool is_https, const char *host, unsigned port,
                      const char *target)
{
    struct hf_url url;
    struct hf_why why = {0};

    CHECK_OK(hf_url_parse(text, &url, &why));
    assert_int_equal(url.is_https, is_https);
    assert_string_equal(url.peer.host, host);
    assert_int_equal(url.peer.port, port);
    assert_string_equal(url.target, target);
}

static void urls_are_taken_apart(void **state)
{
    (void)state;
    check_url("http://example.org", false, "example.org", 80, "/");
    check_url("HTTPS://Example.ORG", true, "example.org", 443, "/");
    check_url("http://example.org:8080/a/b?c=/d#e", false, "example.org", 8080, "/a/b?c=/d");
    check_url("http://example.org?x", false, "example.org", 80, "/?x");
    check_url("http://example.org#x", false, "example.org", 80, "/");
    check_url("http://example.org:/x", false, "example.org", 80, "/x");
    check_url("https://[2001:DB8::1]/", true, "2001:db8::1", 443, "/");
    check_url("https://[::1]:8443/", true, "::1", 8443, "/");
    check_url("http://192.0.2.1:65535/", false, "192.0.2.1", 65535, "/");
    check_url("http://a_b-c.example/", false, "a_b-c.example", 80, "/");
    /* Only what stands before the path can be credentials. */
    check_url("http://example.org/a@b:c", false, "example.org", 80, "/a@b:c");
}

static void bad_urls_are_refused_in_words(void **state)
{
    static const struct {
        const char *text;
        const char *says;
    } cases[] = {
        {"", "http:// or https://"},
        {"example.org", "http:// or https://"},
        {"http:/example.org", "http:// or https://"},
        {"httpx://example.org", "http:// or https://"},
        {"file:///etc/passwd", "http:// or https://"},
        {"http://", "host name is empty"},
        {"http:///path", "host name is empty"},
        {"http://:80/", "host name is empty"},
        {"http://user@example.org/", "user name or password"},
        {"http://user:secret@example.org/", "user name or password"},
        {"http://example.org:x/", "not a number"},
        {"http://example.org:0/", "not a number"},
        {"http://example.org:65536/", "larger than 65535"},
        {"http://example.org:80:80/", "not a number"},
        {"http://[::1/", "not closed"},
        {"http://[::1]x/", "only a port may follow"},
        {"http://[127.0.0.1]/", "not an IPv6 address"},
        {"http://[fe80::1%eth0]/", "not an IPv6 address"},
        {"http://exa%6dple.org/", "byte 0x25"},
        {"http://example.org/a b", "byte 0x20"},
        {"http://example.org/\r\nHost: evil", "byte 0x0d"},
        {"http://example.org/\xc3\xa9", "byte 0xc3"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hf_url url = {.target = "untouched"};
        struct hf_why why = {0};
        CHECK_REFUSED(hf_url_parse(cases[i].text, &url, &why), HF_E_FORMAT, &why, cases[i].says);
        assert_null(strstr(why.text, "secret"));
        assert_string_equal(url.target, "untouched");
    }
}

static void long_urls_are_refused(void **state)
{
    char text[HF_URL_MAX + 2];
    struct hf_url url;
    struct hf_why why = {0};

    (void)state;
    memset(text, 'a', sizeof text);
    memcpy(text, "http://h/", 9);
    text[HF_URL_MAX] = '\0';
    CHECK_OK(hf_url_parse(text, &url, &why));
    text[HF_URL_MAX] = 'a';
    text[HF_URL_MAX + 1] = '\0';
    CHECK_REFUSED(hf_url_parse(text, &url, &why), HF_E_LIMIT, &why, "2048");
    /* A host name of 254 bytes. */
    text[7 + HF_HOST_MAX + 1] = '/';
    text[7 + HF_HOST_MAX + 2] = '\0';
    text[8] = 'h';
    CHECK_REFUSED(hf_url_parse(text, &url, &why), HF_E_FORMAT, &why, "longer than 253");
}

static void check_resolved(const char *base, const char *reference, const char *expected)
{
    struct hf_url from, to;
    struct hf_buf text = {0};
    struct hf_why why = {0};

    CHECK_OK(hf_url_parse(base, &from, &why));
    CHECK_OK(hf_url_resolve(&from, reference, &to, &why));
    CHECK_OK(hf_url_append(&to, &text));
    assert_string_equal((const char *)text.data, expected);
    hf_buf_free(&text);
}

/* RFC 3986, 5.4, as far as http knows it. */
static void references_are_resolved(void **state)
{
    static const char base[] = "http://a/b/c/d;p?q";
    static const char *const cases[][2] = {
        {"g", "http://a/b/c/g"},        {"./g", "http://a/b/c/g"},
        {"g/", "http://a/b/c/g/"},      {"/g", "http://a/g"},
        {"//g", "http://g/"},           {"//g:81/x", "http://g:81/x"},
        {"?y", "http://a/b/c/d;p?y"},   {"g?y", "http://a/b/c/g?y"},
        {"#s", "http://a/b/c/d;p?q"},   {"g#s", "http://a/b/c/g"},
        {"", "http://a/b/c/d;p?q"},     {".", "http://a/b/c/"},
        {"./", "http://a/b/c/"},        {"..", "http://a/b/"},
        {"../", "http://a/b/"},         {"../g", "http://a/b/g"},
        {"../..", "http://a/"},         {"../../g", "http://a/g"},
        {"../../../g", "http://a/g"},   {"/./g", "http://a/g"},
        {"/../g", "http://a/g"},        {"g.", "http://a/b/c/g."},
        {"..g", "http://a/b/c/..g"},    {"./g/.", "http://a/b/c/g/"},
        {"g/../h", "http://a/b/c/h"},   {"g?y/../x", "http://a/b/c/g?y/../x"},
        {"https://b/x", "https://b/x"}, {"g:h", NULL},
    };

    (void)state;
    for (size_t i = 0; cases[i][1] != NULL; i++)
        check_resolved(base, cases[i][0], cases[i][1]);
    check_resolved("https://[::1]:8443/x", "y", "https://[::1]:8443/y");
    check_resolved("https://a:443/x", "//b/y", "https://b/y");
    check_resolved("http://a", "x", "http://a/x");
}

static void other_schemes_are_not_followed(void **state)
{
    static const char *const references[] = {"file:///etc/passwd", "ftp://a/", "javascript:x",
                                             "g:h", "http://u@a/"};
    struct hf_url base, to = {.target = "untouched"};

    (void)state;
    CHECK_OK(hf_url_parse("http://a/", &base, NULL));
    for (size_t i = 0; i < sizeof references / sizeof references[0]; i++) {
        struct hf_why why = {0};
        CHECK_REFUSED(hf_url_resolve(&base, references[i], &to, &why), HF_E_FORMAT, &why, "URL");
        assert_string_equal(to.target, "untouched");
    }
}

static void relative_references_stay_within_the_limit(void **state)
{
    char path[HF_URL_MAX + 1], reference[HF_URL_MAX + 1];
    struct hf_url base, to;
    struct hf_why why = {0};

    (void)state;
    memset(path, 'a', sizeof path);
    memcpy(path, "http://h/", 9);
    path[HF_URL_MAX - 1] = '/';
    path[HF_URL_MAX] = '\0';
    memset(reference, 'b', sizeof reference);
    reference[HF_URL_MAX] = '\0';
    CHECK_OK(hf_url_parse(path, &base, &why));
    CHECK_REFUSED(hf_url_resolve(&base, reference, &to, &why), HF_E_LIMIT, &why, "2048");
}

static void hosts_are_written_as_headers_want_them(void **state)
{
    static const char *const cases[][2] = {
        {"http://a/", "a"},
        {"http://a:80/", "a"},
        {"http://a:443/", "a:443"},
        {"https://a:443/", "a"},
        {"https://a:80/", "a:80"},
        {"http://[::1]/", "[::1]"},
        {"https://[::1]:1/", "[::1]:1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hf_url url;
        char host[HF_ENDPOINT_TEXT];
        CHECK_OK(hf_url_parse(cases[i][0], &url, NULL));
        hf_url_host_header(&url, host);
        assert_string_equal(host, cases[i][1]);
    }
}

static void addresses_are_told_from_names(void **state)
{
    static const struct {
        const char *text;
        bool is_address;
    } cases[] = {{"127.0.0.1", true}, {"[::1]", true}, {"1.2.3", false}, {"a.example", false}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hf_endpoint e;
        CHECK_OK(hf_endpoint_parse(hf_bytes_of_text(cases[i].text), 1, &e, NULL));
        assert_int_equal(hf_endpoint_is_address(&e), cases[i].is_address);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_are_taken_apart),
        cmocka_unit_test(bad_urls_are_refused_in_words),
        cmocka_unit_test(long_urls_are_refused),
        cmocka_unit_test(references_are_resolved),
        cmocka_unit_test(other_schemes_are_not_followed),
        cmocka_unit_test(relative_references_stay_within_the_limit),
        cmocka_unit_test(hosts_are_written_as_headers_want_them),
        cmocka_unit_test(addresses_are_told_from_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
