/* server/http/request: heads in whatever pieces they come, what is refused, If-None-Match. */
#include "tests/support/check.h"

#include "server/http/request.h"

#include <stdio.h>

#define GET "GET /metadata/timestamp.json HTTP/1.1\r\nHost: a\r\n"

struct reader {
    llhttp_t parser;
    struct hf_request request;
};

static void begin(struct reader *r)
{
    hf_request_parser_init(&r->parser);
    memset(&r->request, 0xa5, sizeof r->request); /* begin owes nothing to zeroes */
    hf_request_begin(&r->request, &r->parser, 0);
}

static bool feed(struct reader *r, const char *text, size_t len, size_t *used)
{
    return hf_request_feed(&r->request, &r->parser, (const uint8_t *)text, len, used);
}

/* The status that a whole request is refused with; 0 for none. */
static unsigned refusal_of(const char *text)
{
    struct reader r;
    size_t used = 0;
    begin(&r);
    assert_true(feed(&r, text, strlen(text), &used));
    return r.request.refused;
}

static void assert_target(const struct reader *r, const char *want)
{
    assert_int_equal(r->request.target.len, strlen(want));
    assert_memory_equal(r->request.target.text, want, strlen(want));
}

static void a_head_may_be_cut_anywhere(void **state)
{
    (void)state;
    const char text[] = GET "If-None-Match: \"abc\"\r\nUser-Agent: test\r\n\r\n";
    const size_t len = sizeof text - 1;
    for (size_t cut = 1; cut < len; cut++) {
        struct reader r;
        size_t used = 0;
        begin(&r);
        assert_false(feed(&r, text, cut, &used));
        assert_true(feed(&r, text + cut, len - cut, &used));
        assert_int_equal(used, len - cut);
        assert_int_equal(r.request.refused, 0);
        assert_true(r.request.is_keep_alive);
        assert_target(&r, "/metadata/timestamp.json");
        assert_int_equal(r.request.if_none_match.len, 5);
        assert_memory_equal(r.request.if_none_match.text, "\"abc\"", 5);
        assert_memory_equal(r.request.agent.text, "test", 4);
    }
}

static void pipelined_requests_are_taken_one_at_a_time(void **state)
{
    (void)state;
    const char text[] = "GET /a HTTP/1.1\r\nHost: a\r\n\r\nHEAD /bc HTTP/1.1\r\nHost: a\r\n\r\n"
                        "GET /d HTTP/1.0\r\n\r\n";
    const char *targets[] = {"/a", "/bc", "/d"};
    struct reader r;
    size_t at = 0;
    begin(&r);
    for (size_t i = 0; i < 3; i++) {
        size_t used = 0;
        hf_request_begin(&r.request, &r.parser, 0);
        assert_true(feed(&r, text + at, strlen(text + at), &used));
        assert_target(&r, targets[i]);
        assert_int_equal(r.request.method, i == 1 ? HTTP_HEAD : HTTP_GET);
        assert_int_equal(r.request.is_keep_alive, i < 2);
        assert_int_equal(r.request.is_http_1_0, i == 2);
        at += used;
    }
    assert_int_equal(at, strlen(text));
}

static void what_is_not_http_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned status;
    } cases[] = {
        {GET "\r\n", 0},
        {GET "Content-Length: 0\r\n\r\n", 0},
        {GET "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 0},
        {"GET / HTTP/1.0\r\n\r\n", 0},
        {"nonsense\r\n", 400},
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {GET "Host: b\r\n\r\n", 400},
        {GET "Content-Length: 3\r\nContent-Length: 3\r\n\r\n", 400},
        {GET "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {GET "Transfer-Encoding: chunked, gzip\r\n\r\n", 400},
        {GET "Transfer-Encoding:\r\n\r\n", 400},
        {GET "transfer-encoding: \r\nContent-Length: 3\r\n\r\nabc", 400},
        {GET "Transfer_Encoding: chunked\r\n\r\n", 0},
        {GET "Name : value\r\n\r\n", 400},
        {"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 0},
        {"GET / RTSP/1.0\r\nHost: a\r\n\r\n", 400},
        {"GET / ICE/1.0\r\nHost: a\r\n\r\n", 400},
        {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {GET "Content-Length: 3\r\n\r\n", 413},
        {GET "Transfer-Encoding: chunked\r\n\r\n", 413},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", 405},
        {"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 405},
        {"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505},
        {"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (refusal_of(cases[i].text) != cases[i].status)
            fail_msg("%u, not %u: %s", refusal_of(cases[i].text), cases[i].status, cases[i].text);
}

static void assert_host(const char *host, unsigned status)
{
    char text[512];
    (void)snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost:%s\r\n\r\n", host);
    if (refusal_of(text) != status)
        fail_msg("%u, not %u: Host:%s", refusal_of(text), status, host);
}

static void a_host_that_is_none_is_refused(void **state)
{
    (void)state;
    static const char *const good[] = {
        "a",
        " a",
        " \ta:80 \t",
        " a.example",
        " 192.0.2.1:1",
        " [::1]",
        " [2001:db8::1]:8080",
        " a%2db",
        " a:",
        " a_b~!",
        " a:65535",
        " a:00080",
    };
    static const char *const bad[] = {
        "",         " ",    " :80",         " a b",  " u@a",   " u:p@a",   " a/b",
        " a?b",     " a#b", " a\\b",        " a:8o", " a:-1",  " a:65536", " a:99999999999",
        " a:80:80", " ::1", " []",          " [::1", " ::1]",  " [::1]x",  " [a]",
        " %",       " a%2", " [127.0.0.1]", " a%zz", " \"a\"", " a, b",    " [::1%25lo]",
        " <a>",     " {a}", " \xc3\xa9",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_host(good[i], 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_host(bad[i], 400);
    static char long_host[HF_HTTP_HOST_BYTES_MAX + 2];
    memset(long_host, 'a', sizeof long_host - 1);
    assert_host(long_host, 400);
    long_host[HF_HTTP_HOST_BYTES_MAX] = '\0';
    assert_host(long_host, 0);
    /* HTTP/1.0 may leave it out, and not get it wrong. */
    assert_int_equal(refusal_of("GET / HTTP/1.0\r\nHost: a b\r\n\r\n"), 400);
    assert_int_equal(refusal_of("GET / HTTP/1.0\r\nHost:\r\n\r\n"), 400);
    assert_int_equal(refusal_of("GET / HTTP/1.1\r\nHost: a\r\nX: \r\nhost: a\r\n\r\n"), 400);
}

/* tchar of RFC 9110, 5.6.2. */
static bool is_token_char(unsigned c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c != 0 && c < 0x80 && strchr("!#$%&'*+-.^_`|~", (int)c) != NULL);
}

static void a_header_name_is_a_token(void **state)
{
    (void)state;
    assert_int_equal(refusal_of(GET ": x\r\n\r\n"), 400);
    assert_int_equal(refusal_of(GET ":\r\n\r\n"), 400);
    for (unsigned c = 1; c < 256; c++) {
        char text[128];
        if (c == ':') /* ends the name */
            continue;
        (void)snprintf(text, sizeof text, GET "A%cb: c\r\n\r\n", (int)c);
        unsigned status = refusal_of(text);
        if (status != (is_token_char(c) ? 0 : 400))
            fail_msg("%u for a name with the byte %#x", status, c);
    }
}

static void a_folded_or_broken_line_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        GET "X: a\r\n b\r\n\r\n",
        GET "X: a\r\n\tb\r\n\r\n",
        GET "X:\r\n \r\n\r\n",
        GET " \r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: a\r\nHost: a\r\n\r\n",
        GET "X: a\rb\r\n\r\n",
        GET "X: a\r\rY: b\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (refusal_of(bad[i]) != 400)
            fail_msg("%u: %s", refusal_of(bad[i]), bad[i]);
    /* Releases of llhttp take this for a bad line or for a bad version. */
    unsigned bare_cr = refusal_of("GET / HTTP/1.1\rHost: a\r\n\r\n");
    assert_true(bare_cr == 400 || bare_cr == 505);
    /* Also where the network cuts the line; a blank that only begins a piece is another matter. */
    struct reader r;
    size_t used = 0;
    begin(&r);
    assert_false(feed(&r, GET "X:", strlen(GET) + 2, &used));
    assert_false(feed(&r, " a\r\n", 4, &used));
    assert_true(feed(&r, " b", 2, &used));
    assert_int_equal(r.request.refused, 400);
}

/* A head of exactly `len` bytes. */
static void make_head(char *out, size_t len)
{
    int n = snprintf(out, len + 1, GET "X: ");
    memset(out + n, 'x', len - (size_t)n);
    memcpy(out + len - 4, "\r\n\r\n", 5);
}

static void a_head_has_a_longest_length(void **state)
{
    (void)state;
    static char head[HF_HTTP_HEAD_BYTES_MAX + 2];
    make_head(head, HF_HTTP_HEAD_BYTES_MAX);
    assert_int_equal(refusal_of(head), 0);
    make_head(head, HF_HTTP_HEAD_BYTES_MAX + 1);
    assert_int_equal(refusal_of(head), 431);
}

static void an_endless_head_is_refused_before_its_end(void **state)
{
    (void)state;
    struct reader r;
    size_t used = 0;
    begin(&r);
    assert_false(feed(&r, GET, strlen(GET), &used));
    unsigned lines = 0;
    while (!feed(&r, "A: b\r\n", 6, &used))
        assert_true(++lines < HF_HTTP_HEAD_BYTES_MAX);
    assert_int_equal(r.request.refused, 431);
    assert_in_range(lines * 6 + strlen(GET), HF_HTTP_HEAD_BYTES_MAX - 6, HF_HTTP_HEAD_BYTES_MAX);
}

static void a_target_has_a_longest_length(void **state)
{
    (void)state;
    static char text[HF_HTTP_TARGET_BYTES_MAX + 64];
    for (size_t len = HF_HTTP_TARGET_BYTES_MAX; len <= HF_HTTP_TARGET_BYTES_MAX + 1; len++) {
        memcpy(text, "GET /", 5);
        memset(text + 5, 'a', len - 1);
        memcpy(text + 4 + len, " HTTP/1.1\r\nHost: a\r\n\r\n", 23);
        assert_int_equal(refusal_of(text), len > HF_HTTP_TARGET_BYTES_MAX ? 414 : 0);
    }
}

static void several_lists_are_one_and_a_long_one_is_cut(void **state)
{
    (void)state;
    struct reader r;
    size_t used = 0;
    const char two[] = GET "If-None-Match: \"a\"\r\nIF-NONE-MATCH: \"b\"\r\n\r\n";
    begin(&r);
    assert_true(feed(&r, two, strlen(two), &used));
    assert_int_equal(r.request.if_none_match.len, 7);
    assert_memory_equal(r.request.if_none_match.text, "\"a\",\"b\"", 7);
    assert_false(r.request.if_none_match.is_cut);

    static char text[2 * HF_HTTP_ETAGS_BYTES_MAX];
    int n = snprintf(text, sizeof text, GET "If-None-Match: ");
    memset(text + n, '"', HF_HTTP_ETAGS_BYTES_MAX + 1);
    memcpy(text + n + HF_HTTP_ETAGS_BYTES_MAX + 1, "\r\n\r\n", 5);
    begin(&r);
    assert_true(feed(&r, text, strlen(text), &used));
    assert_true(r.request.if_none_match.is_cut);
    assert_int_equal(r.request.if_none_match.len, HF_HTTP_ETAGS_BYTES_MAX);
}

static void entity_tags_are_compared_weakly(void **state)
{
    (void)state;
    static const struct {
        const char *list;
        bool matches;
    } cases[] = {
        {"\"abc\"", true},
        {" \t\"abc\" ", true},
        {"W/\"abc\"", true},
        {"*", true},
        {" * ", true},
        {"\"x\", \"abc\"", true},
        {"\"x\",W/\"y\" ,\"abc\",\"z\"", true},
        {",,\"abc\"", true},
        {"\"a,b\", \"abc\"", true},
        {"", false},
        {"abc", false},
        {"\"abc", false},
        {"\"ab\"", false},
        {"\"abcd\"", false},
        {"\"ABC\"", false},
        {"w/\"abc\"", false},
        {"W/", false},
        {"\"", false},
        {"*, \"abc\"", false},
        {"\"x\" \"abc\"", false},
        {"\"x\"; \"abc\"", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (hf_etag_list_matches(cases[i].list, strlen(cases[i].list), "\"abc\"") !=
            cases[i].matches)
            fail_msg("wrong for: %s", cases[i].list);
}

/* ---- bodies, where a server takes them ------------------------------------------------------- */

#define POST "POST /report HTTP/1.1\r\nHost: a\r\n"

static unsigned refusal_with_bodies(const char *text)
{
    struct reader r;
    size_t used = 0;
    begin(&r);
    r.request.body_max = 10;
    assert_true(feed(&r, text, strlen(text), &used));
    hf_request_end(&r.request);
    return r.request.refused;
}

static void a_body_may_be_cut_anywhere_and_is_no_head(void **state)
{
    (void)state;
    /* Its lines may begin with a blank, and it counts for no limit of heads. */
    const char text[] = POST "Content-Length: 10\r\n\r\n{\n \"a\": 1}" GET "\r\n";
    const size_t len = strlen(text), end = len - strlen(GET "\r\n");
    for (size_t cut = 1; cut < end; cut++) {
        struct reader r;
        size_t used = 0;
        begin(&r);
        r.request.body_max = 10;
        assert_false(feed(&r, text, cut, &used));
        assert_true(feed(&r, text + cut, len - cut, &used));
        assert_int_equal(used, end - cut);
        assert_int_equal(r.request.refused, 0);
        assert_int_equal(r.request.method, HTTP_POST);
        assert_int_equal(r.request.body.len, 10);
        assert_memory_equal(r.request.body.data, "{\n \"a\": 1}", 10);
        hf_request_end(&r.request);
        hf_request_begin(&r.request, &r.parser, 10);
        assert_true(feed(&r, text + end, len - end, &used));
        assert_target(&r, "/metadata/timestamp.json");
        assert_int_equal(r.request.body.len, 0);
        hf_request_end(&r.request);
    }
}

static void a_body_tells_its_length_and_has_a_longest_one(void **state)
{
    (void)state;
    assert_int_equal(refusal_with_bodies(POST "Content-Length: 0\r\n\r\n"), 0);
    assert_int_equal(refusal_with_bodies(POST "Content-Length: 11\r\n\r\n"), 413);
    assert_int_equal(refusal_with_bodies(POST "Content-Length: 99999999999999999999\r\n\r\n"), 400);
    assert_int_equal(refusal_with_bodies(POST "Transfer-Encoding: chunked\r\n\r\n"), 411);
    assert_int_equal(refusal_with_bodies(POST "Content-Length: 3\r\n x: y\r\n\r\nabc"), 400);
    assert_int_equal(refusal_with_bodies("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"), 405);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_may_be_cut_anywhere),
        cmocka_unit_test(pipelined_requests_are_taken_one_at_a_time),
        cmocka_unit_test(what_is_not_http_is_refused),
        cmocka_unit_test(a_host_that_is_none_is_refused),
        cmocka_unit_test(a_header_name_is_a_token),
        cmocka_unit_test(a_folded_or_broken_line_is_refused),
        cmocka_unit_test(a_head_has_a_longest_length),
        cmocka_unit_test(an_endless_head_is_refused_before_its_end),
        cmocka_unit_test(a_target_has_a_longest_length),
        cmocka_unit_test(several_lists_are_one_and_a_long_one_is_cut),
        cmocka_unit_test(entity_tags_are_compared_weakly),
        cmocka_unit_test(a_body_may_be_cut_anywhere_and_is_no_head),
        cmocka_unit_test(a_body_tells_its_length_and_has_a_longest_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
