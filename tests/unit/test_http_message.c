/* client/port/posix/http_message.c: every answer is fed whole, byte by byte, and in two halves cut
 * at every place; it must not matter. */
#include "tests/support/check.h"

#include "client/port/posix/http.h"

#define MAX_BYTES 64

struct fed {
    enum hf_err err;
    struct hf_why why;
    struct hf_answer answer;
};

static void feed_until(struct fed *fed, const char *data, size_t len)
{
    if (fed->err == HF_OK && len > 0 && !fed->answer.is_complete)
        fed->err = hf_answer_feed(&fed->answer, (struct hf_bytes){(const uint8_t *)data, len},
                                  &fed->why);
}

/** Feed `len` bytes, `first` of them in pieces of `step`, the rest at once; then the end. */
static void feed(struct fed *fed, enum hf_answer_kind kind, const char *data, size_t len,
                 size_t first, size_t step)
{
    *fed = (struct fed){0};
    hf_answer_init(&fed->answer, kind, MAX_BYTES);
    for (size_t at = 0; at < first; at += step)
        feed_until(fed, data + at, first - at < step ? first - at : step);
    feed_until(fed, data + first, len - first);
    if (fed->err == HF_OK && !fed->answer.is_complete)
        fed->err = hf_answer_end(&fed->answer, &fed->why);
}

struct good {
    const char *text;
    int status;
    const char *body;
    const char *etag;
    bool may_reuse;
};

static void check_good(const struct good *good, size_t first, size_t step)
{
    struct fed fed;

    feed(&fed, HF_ANSWER_TO_GET, good->text, strlen(good->text), first, step);
    if (fed.err != HF_OK)
        fail_msg("%s: %s", good->text, fed.why.text);
    assert_true(fed.answer.is_complete);
    assert_int_equal(fed.answer.status, good->status);
    assert_int_equal(fed.answer.body.len, strlen(good->body));
    assert_memory_equal(fed.answer.body.data == NULL ? (const uint8_t *)"" : fed.answer.body.data,
                        good->body, strlen(good->body));
    assert_string_equal(fed.answer.etag, good->etag);
    assert_int_equal(fed.answer.may_reuse, good->may_reuse);
    hf_answer_free(&fed.answer);
}

#define OK "HTTP/1.1 200 OK\r\n"

static void good_answers_however_they_are_cut(void **state)
{
    static const struct good cases[] = {
        {OK "Content-Length: 5\r\nETag: \"x\"\r\n\r\nhello", 200, "hello", "\"x\"", true},
        {OK "Content-Length: 0\r\n\r\n", 200, "", "", true},
        {OK "content-LENGTH:5 \r\n\r\nhello", 200, "hello", "", true},
        {OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;a=b\r\n!\r\n0\r\n\r\n", 200,
         "hello!", "", true},
        {OK "Transfer-Encoding: CHUNKED \r\n\r\n0\r\nETag: late\r\n\r\n", 200, "", "", true},
        {OK "Content-Encoding: identity\r\nContent-Length: 1\r\n\r\nx", 200, "x", "", true},
        {OK "Connection: close\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", "", false},
        {OK "\r\nhello", 200, "hello", "", false},
        {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", "", false},
        {"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nETag: \"y\"\r\n\r\n", 304, "", "\"y\"",
         true},
        {"HTTP/1.1 204 No Content\r\n\r\n", 204, "", "", true},
        {"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nbad", 404, "", "", true},
        {"HTTP/1.1 404 \r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbad\r\n0\r\n\r\n", 404, "", "",
         true},
        {"HTTP/1.1 100 Continue\r\nETag: no\r\n\r\n" OK "Content-Length: 1\r\n\r\nx", 200, "x", "",
         true},
        {OK "ETag: has a blank\r\nContent-Length: 0\r\n\r\n", 200, "", "", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t len = strlen(cases[i].text);
        check_good(&cases[i], len, 1);
        for (size_t cut = 0; cut <= len; cut++)
            check_good(&cases[i], cut, len);
    }
}

/* An API says in the body of an error what is wrong. */
static void an_api_answer_keeps_the_body_of_every_status(void **state)
{
    static const struct {
        const char *text;
        int status;
        const char *body;
        int64_t retry_after_s;
        bool asks_for_rotation, is_problem;
    } cases[] = {
        {"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}", 201, "{}", -1, false},
        {"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\n{}", 403, "{}", -1, false},
        {"HTTP/1.1 503 No\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n", 503, "", 120, false},
        {"HTTP/1.1 503 No\r\nRetry-After: 99999999999999999999\r\nContent-Length: 0\r\n\r\n", 503,
         "", 604800, false},
        {"HTTP/1.1 503 No\r\nRetry-After: Fri, 31 Dec 2027 23:59:59 GMT\r\nContent-Length: "
         "0\r\n\r\n",
         503, "", -1, false},
        {"HTTP/1.1 429 No\r\nRetry-After: -5\r\nContent-Length: 0\r\n\r\n", 429, "", -1, false},
        {OK "Holdfast-Rotate: requested\r\nContent-Length: 0\r\n\r\n", 200, "", -1, true},
        {"HTTP/1.1 403 No\r\nContent-Type: application/problem+json\r\nContent-Length: 0\r\n\r\n",
         403, "", -1, false, true},
        {"HTTP/1.1 403 No\r\ncontent-type: Application/Problem+JSON;charset=utf-8\r\n"
         "Content-Length: 0\r\n\r\n",
         403, "", -1, false, true},
        {"HTTP/1.1 403 No\r\nContent-Type: application/problem+jsonp\r\nContent-Length: 0\r\n\r\n",
         403, "", -1, false, false},
        {"HTTP/1.1 403 No\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n", 403, "",
         -1, false, false},
        {OK "holdfast-rotate: perhaps\r\nContent-Length: 0\r\n\r\n", 200, "", -1, false},
        {"HTTP/1.1 103 Early\r\nHoldfast-Rotate: requested\r\nRetry-After: 5\r\n\r\n" OK
         "Content-Length: 0\r\n\r\n",
         200, "", -1, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t step = 1; step <= strlen(cases[i].text); step += strlen(cases[i].text) - 1) {
            struct fed fed;
            feed(&fed, HF_ANSWER_TO_API, cases[i].text, strlen(cases[i].text),
                 strlen(cases[i].text), step);
            CHECK_OK(fed.err);
            assert_int_equal(fed.answer.status, cases[i].status);
            assert_int_equal(fed.answer.body.len, strlen(cases[i].body));
            assert_int_equal(fed.answer.retry_after_s, cases[i].retry_after_s);
            assert_int_equal(fed.answer.asks_for_rotation, cases[i].asks_for_rotation);
            assert_int_equal(fed.answer.is_problem, cases[i].is_problem);
            hf_answer_free(&fed.answer);
        }
    }
}

static void an_api_answer_has_a_limit_whatever_its_status(void **state)
{
    static const char text[] = "HTTP/1.1 403 No\r\nContent-Length: 65\r\n\r\n";
    struct fed fed;

    (void)state;
    feed(&fed, HF_ANSWER_TO_API, text, sizeof text - 1, sizeof text - 1, 1);
    CHECK_REFUSED(fed.err, HF_E_LIMIT, &fed.why, "at most 64 are allowed");
    hf_answer_free(&fed.answer);
}

static void an_api_request_has_its_body_and_closes(void **state)
{
    static const char wanted[] = "POST /v1/enroll HTTP/1.1\r\nHost: fleet.test:8443\r\n";
    struct hf_url url;
    struct hf_buf out = {0};

    (void)state;
    CHECK_OK(hf_url_parse("https://fleet.test:8443/v1/enroll", &url, NULL));
    CHECK_OK(hf_http_request_api(&url, "POST", hf_bytes_of_text("{\"a\":1}"), &out, NULL));
    const char *text = (const char *)out.data;
    assert_memory_equal(text, wanted, sizeof wanted - 1);
    assert_non_null(strstr(text, "\r\nConnection: close\r\n"));
    assert_non_null(strstr(text, "\r\nContent-Length: 7\r\n\r\n{\"a\":1}"));
    out.len = 0;
    CHECK_OK(hf_http_request_api(&url, "GET", (struct hf_bytes){0}, &out, NULL));
    assert_null(strstr((const char *)out.data, "Content-"));
    hf_buf_free(&out);
}

struct bad {
    const char *text;
    enum hf_err err;
    const char *says;
};

static void check_bad(const struct bad *bad, size_t first, size_t step)
{
    struct fed fed;

    feed(&fed, HF_ANSWER_TO_GET, bad->text, strlen(bad->text), first, step);
    if (fed.err == HF_OK)
        fail_msg("accepted: %s", bad->text);
    CHECK_REFUSED(fed.err, bad->err, &fed.why, bad->says);
    assert_false(fed.answer.is_complete);
    hf_answer_free(&fed.answer);
}

static void hostile_answers_however_they_are_cut(void **state)
{
    static const struct bad cases[] = {
        {"", HF_E_NETWORK, "without an answer"},
        {"HTTP/1.1", HF_E_NETWORK, "in the middle"},
        {OK "Content-Length: 5\r\n", HF_E_NETWORK, "in the middle"},
        {OK "Content-Length: 5\r\n\r\nhell", HF_E_NETWORK, "in the middle"},
        {OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", HF_E_NETWORK, "in the middle"},
        {OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", HF_E_NETWORK, "in the middle"},
        {"HTTP/1.1 404 No\r\nContent-Length: 5\r\n\r\n", HF_E_NETWORK, "in the middle"},
        {"\x16\x03\x01\x02", HF_E_NETWORK, "not proper HTTP"},
        {"HTTQ/1.1 200 OK\r\n\r\n", HF_E_NETWORK, "not proper HTTP"},
        {"HTTP/1.1 20 OK\r\n\r\n", HF_E_NETWORK, "status"},
        {"HTTP/1.1 999 OK\r\n\r\n", HF_E_NETWORK, "status that HTTP does not know"},
        {"HTTP/1.1 2000 OK\r\n\r\n", HF_E_NETWORK, "not proper HTTP"},
        {OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", HF_E_NETWORK, ""},
        {OK "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", HF_E_NETWORK, ""},
        {OK "Transfer-Encoding: chunked, gzip\r\n\r\nx", HF_E_NETWORK, "transfer encoding"},
        {OK "Transfer-Encoding: identity\r\n\r\nx", HF_E_NETWORK, "transfer encoding"},
        {OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         HF_E_NETWORK, ""},
        {OK "Transfer-Encoding:\r\n\r\nx", HF_E_NETWORK, ""},
        {OK "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", HF_E_NETWORK, "not proper HTTP"},
        {OK "Content-Length: +1\r\n\r\nx", HF_E_NETWORK, "not proper HTTP"},
        {OK "Content-Length: 0x1\r\n\r\nx", HF_E_NETWORK, "not proper HTTP"},
        {OK "Content-Length: 1 1\r\n\r\nx", HF_E_NETWORK, "not proper HTTP"},
        {OK "Content-Length: 18446744073709551616\r\n\r\n", HF_E_NETWORK, "not proper HTTP"},
        {OK "Content-Length: 65\r\n\r\n", HF_E_LIMIT, "announces 65 bytes, at most 64"},
        {OK "Content-Length: 18446744073709551615\r\n\r\n", HF_E_LIMIT, "at most 64"},
        {OK "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", HF_E_NETWORK,
         "not proper HTTP"},
        {OK "Transfer-Encoding: chunked\r\n\r\n-1\r\n", HF_E_NETWORK, "not proper HTTP"},
        {OK "Transfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n", HF_E_NETWORK, "not proper HTTP"},
        {OK "Content-Encoding: br\r\nContent-Length: 1\r\n\r\nx", HF_E_NETWORK, "content encoding"},
        {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
         HF_E_NETWORK, "changes the protocol"},
        {"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", HF_E_NETWORK, "another version"},
        {OK "X: a\rb\r\n\r\n", HF_E_NETWORK, "not proper HTTP"},
        {OK "X y: z\r\n\r\n", HF_E_NETWORK, "not proper HTTP"},
        {"HTTP/1.1 100 Continue\r\n\r\n", HF_E_NETWORK, "in the middle"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t len = strlen(cases[i].text);
        check_bad(&cases[i], len, 1);
        for (size_t cut = 0; cut <= len; cut++)
            check_bad(&cases[i], cut, len);
    }
}

static void body_is_bounded_by_its_bytes_too(void **state)
{
    char text[512] = OK "Transfer-Encoding: chunked\r\n\r\n";
    struct bad bad = {text, HF_E_LIMIT, "longer than the 64 bytes"};

    (void)state;
    for (int i = 0; i < MAX_BYTES + 1; i++)
        strncat(text, "1\r\nx\r\n", 7);
    for (size_t step = 1; step < 10; step++)
        check_bad(&bad, strlen(text), step);
}

static void bytes_after_the_end_are_refused(void **state)
{
    static const char text[] = OK "Content-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n";
    struct fed fed;

    (void)state;
    feed(&fed, HF_ANSWER_TO_GET, text, strlen(text), 0, 1);
    CHECK_REFUSED(fed.err, HF_E_NETWORK, &fed.why, "17 bytes follow the end");
    hf_answer_free(&fed.answer);
}

/** `text`, then `filler` again and again for 20 KiB. */
static void check_header_limit(const char *text, const char *filler)
{
    static char data[20 * 1024];
    size_t len = strlen(text);

    memcpy(data, text, len);
    for (size_t i = 0; len < sizeof data; i++)
        data[len++] = filler[i % strlen(filler)];
    for (size_t step = 1; step < 5000; step += 1666) {
        struct fed fed;
        feed(&fed, HF_ANSWER_TO_GET, data, sizeof data, sizeof data, step);
        if (fed.err != HF_E_LIMIT)
            fail_msg("%s… by %zu: %s", text, step, fed.why.text);
        assert_non_null(strstr(fed.why.text, "longer than 16384 bytes"));
        hf_answer_free(&fed.answer);
    }
}

static void endless_headers_are_refused(void **state)
{
    (void)state;
    check_header_limit("HTTP/1.1 200 ", "x");
    check_header_limit(OK, "X");
    check_header_limit(OK "X: ", "y");
    check_header_limit(OK, "X: y\r\n");
    check_header_limit("", "HTTP/1.1 100 Continue\r\n\r\n");
    check_header_limit(OK "Transfer-Encoding: chunked\r\n\r\n1;", "x");
    check_header_limit(OK "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n", "0");
    check_header_limit(OK "Transfer-Encoding: chunked\r\n\r\n0\r\n", "X: y\r\n");
}

/* Each piece of the body would restart the bound on headers. */
static void framing_between_pieces_of_the_body_is_bounded_in_all(void **state)
{
    static char piece[15000] = "1;";
    struct hf_answer a;
    struct hf_why why = {0};
    size_t fed = 0;
    enum hf_err err;

    (void)state;
    memset(piece + 2, 'a', sizeof piece - 2);
    memcpy(piece + sizeof piece - 5, "\r\nX\r\n", 5);
    hf_answer_init(&a, HF_ANSWER_TO_GET, 1000);
    err = hf_answer_feed(&a, hf_bytes_of_text(OK "Transfer-Encoding: chunked\r\n\r\n"), &why);
    for (; err == HF_OK && fed < 2 * HF_HTTP_FRAMING_BYTES_MAX; fed += sizeof piece)
        err = hf_answer_feed(&a, (struct hf_bytes){(uint8_t *)piece, sizeof piece}, &why);
    CHECK_REFUSED(err, HF_E_LIMIT, &why, "more than 1048576 bytes of the answer are not its body");
    assert_true(fed < HF_HTTP_FRAMING_BYTES_MAX + 2 * sizeof piece);
    assert_false(a.is_complete);
    hf_answer_free(&a);
}

static void unwanted_body_is_cut_off(void **state)
{
    static char body[HF_HTTP_DISCARD_BYTES_MAX + 1];
    struct hf_answer a;
    struct hf_why why = {0};

    (void)state;
    memset(body, 'x', sizeof body);
    hf_answer_init(&a, HF_ANSWER_TO_GET, 0);
    CHECK_OK(
        hf_answer_feed(&a, hf_bytes_of_text("HTTP/1.1 500 Oops\r\nContent-Length: 1000000\r\n\r\n"),
                       &why));
    CHECK_OK(hf_answer_feed(&a, (struct hf_bytes){(uint8_t *)body, sizeof body - 1}, &why));
    assert_false(a.is_complete);
    CHECK_OK(hf_answer_feed(&a, hf_bytes_of_text("x"), &why));
    assert_true(a.is_complete);
    assert_false(a.may_reuse);
    assert_int_equal(a.status, 500);
    assert_int_equal(a.body.len, 0);
    hf_answer_free(&a);
}

static void long_values_are_not_taken_for_shorter_ones(void **state)
{
    char text[HF_URL_MAX + 200] = "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /";
    size_t len = strlen(text);
    struct fed fed;

    (void)state;
    memset(text + len, 'x', HF_URL_MAX);
    memcpy(text + len + HF_URL_MAX, "\r\n\r\n", 5);
    feed(&fed, HF_ANSWER_TO_GET, text, strlen(text), 0, 1);
    CHECK_REFUSED(fed.err, HF_E_LIMIT, &fed.why, "URL that is too long");
    hf_answer_free(&fed.answer);

    memcpy(text + len + HF_URL_MAX - 1, "\r\n\r\n", 5);
    feed(&fed, HF_ANSWER_TO_GET, text, strlen(text), strlen(text), 7);
    assert_int_equal(fed.err, HF_OK);
    assert_int_equal(strlen(fed.answer.location), HF_URL_MAX);
    hf_answer_free(&fed.answer);

    /* A name that only begins like one that counts. */
    static const char almost[] = OK
        "Content-Length: 0\r\nETagXXXXXXXXXXXXXXXXXXXXXXXXXXX: x\r\n\r\n";
    feed(&fed, HF_ANSWER_TO_GET, almost, strlen(almost), strlen(almost), 3);
    assert_int_equal(fed.err, HF_OK);
    assert_string_equal(fed.answer.etag, "");
    hf_answer_free(&fed.answer);
}

static void connect_has_no_body(void **state)
{
    static const char yes[] = OK "Content-Length: 10\r\nTransfer-Encoding: x\r\n\r\n";
    static const char tunnel[] = OK "Content-Length: 10\r\n\r\n";
    static const char no[] = "HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nno";
    struct fed fed;

    (void)state;
    feed(&fed, HF_ANSWER_TO_CONNECT, tunnel, strlen(tunnel), strlen(tunnel), 1);
    assert_int_equal(fed.err, HF_OK);
    assert_true(fed.answer.is_complete);
    hf_answer_free(&fed.answer);
    feed(&fed, HF_ANSWER_TO_CONNECT, no, strlen(no), strlen(no), 1);
    assert_int_equal(fed.err, HF_OK);
    assert_int_equal(fed.answer.status, 407);
    hf_answer_free(&fed.answer);
    feed(&fed, HF_ANSWER_TO_CONNECT, yes, strlen(yes), strlen(yes), 1);
    assert_int_equal(fed.err, HF_E_NETWORK);
    hf_answer_free(&fed.answer);
}

static void requests_are_written_for_server_and_proxy(void **state)
{
    struct hf_url url;
    struct hf_proxy direct = {0};
    struct hf_proxy proxy = {.is_used = true, .authorization = "Basic eA=="};
    struct hf_buf out = {0};

    (void)state;
    CHECK_OK(hf_url_parse("http://a:81/b?c", &url, NULL));
    CHECK_OK(hf_http_request_get(&url, &direct, "\"e\"", &out, NULL));
    assert_non_null(strstr((char *)out.data, "GET /b?c HTTP/1.1\r\nHost: a:81\r\n"));
    assert_non_null(strstr((char *)out.data, "\r\nIf-None-Match: \"e\"\r\n\r\n"));
    assert_null(strstr((char *)out.data, "Proxy-"));
    hf_buf_free(&out);
    CHECK_OK(hf_http_request_get(&url, &proxy, NULL, &out, NULL));
    assert_non_null(strstr((char *)out.data, "GET http://a:81/b?c HTTP/1.1\r\nHost: a:81\r\n"));
    assert_non_null(strstr((char *)out.data, "\r\nProxy-Authorization: Basic eA==\r\n"));
    hf_buf_free(&out);
    CHECK_OK(hf_http_request_connect(&url.peer, &proxy, &out, NULL));
    assert_non_null(strstr((char *)out.data, "CONNECT a:81 HTTP/1.1\r\nHost: a:81\r\n"));
    hf_buf_free(&out);
}

static void entity_tag_cannot_end_its_line(void **state)
{
    static const char *const tags[] = {"x\r\nEvil: 1", "x\nEvil: 1", "Evil: 1", "Evil\x7f", ""};
    struct hf_url url;
    struct hf_proxy direct = {0};

    (void)state;
    CHECK_OK(hf_url_parse("http://a/", &url, NULL));
    for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++) {
        struct hf_buf out = {0};
        CHECK_OK(hf_http_request_get(&url, &direct, tags[i], &out, NULL));
        assert_null(strstr((char *)out.data, "Evil"));
        assert_null(strstr((char *)out.data, "If-None-Match"));
        hf_buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_answers_however_they_are_cut),
        cmocka_unit_test(an_api_answer_keeps_the_body_of_every_status),
        cmocka_unit_test(an_api_answer_has_a_limit_whatever_its_status),
        cmocka_unit_test(an_api_request_has_its_body_and_closes),
        cmocka_unit_test(hostile_answers_however_they_are_cut),
        cmocka_unit_test(body_is_bounded_by_its_bytes_too),
        cmocka_unit_test(bytes_after_the_end_are_refused),
        cmocka_unit_test(endless_headers_are_refused),
        cmocka_unit_test(framing_between_pieces_of_the_body_is_bounded_in_all),
        cmocka_unit_test(unwanted_body_is_cut_off),
        cmocka_unit_test(long_values_are_not_taken_for_shorter_ones),
        cmocka_unit_test(connect_has_no_body),
        cmocka_unit_test(requests_are_written_for_server_and_proxy),
        cmocka_unit_test(entity_tag_cannot_end_its_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
