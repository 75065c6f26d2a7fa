/* server/http/request: the headers that handlers ask for, body limits by path, expectations, the
 * host. */
#include "tests/support/check.h"

#include "server/http/request.h"

#include <stdio.h>

#define GET "GET /v1/x HTTP/1.1\r\nHost: a\r\n"
#define POST "POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"

static const struct hf_body_rule rules[] = {{"/v1/enroll", 2}, {"/v1/", 8}};

static struct hf_request request;
static llhttp_t parser;

/* True if `text` is a whole request. */
static bool read_in_pieces(const char *text, size_t piece)
{
    size_t len = strlen(text), used = 0;
    hf_request_parser_init(&parser);
    memset(&request, 0xa5, sizeof request);
    hf_request_begin(&request, &parser, 0);
    request.body_rules = rules;
    request.n_body_rules = 2;
    for (size_t at = 0; at < len; at += piece) {
        size_t n = len - at < piece ? len - at : piece;
        if (hf_request_feed(&request, &parser, (const uint8_t *)text + at, n, &used))
            return true;
    }
    return false;
}

static unsigned refusal_of(const char *text)
{
    assert_true(read_in_pieces(text, strlen(text)));
    unsigned refused = request.refused;
    hf_request_end(&request);
    return refused;
}

static void check_header(enum hf_header header, const char *want)
{
    struct hf_bytes value = {0};
    assert_int_equal(hf_request_header(&request, header, &value), want != NULL);
    if (want != NULL) {
        assert_int_equal(value.len, strlen(want));
        assert_memory_equal(value.data, want, value.len);
    }
}

static void values_are_kept_whole_in_whatever_pieces_they_come(void **state)
{
    (void)state;
    static const char text[] = GET "Authorization: Bearer abc def \r\nACCEPT:application/json\r\n"
                                   "Content-Type: text/plain; charset=utf-8\r\nX-Other: y\r\n"
                                   "If-Match: \"7\"\r\nIdempotency-Key:  k-1\r\n"
                                   "Last-Event-ID: 12\r\nIdempotency-Keys: no\r\n\r\n";
    for (size_t piece = 1; piece < sizeof text; piece++) {
        assert_true(read_in_pieces(text, piece));
        assert_int_equal(request.refused, 0);
        check_header(HF_HEADER_AUTHORIZATION, "Bearer abc def");
        check_header(HF_HEADER_ACCEPT, "application/json");
        check_header(HF_HEADER_CONTENT_TYPE, "text/plain; charset=utf-8");
        check_header(HF_HEADER_IF_MATCH, "\"7\"");
        check_header(HF_HEADER_IDEMPOTENCY_KEY, "k-1");
        check_header(HF_HEADER_LAST_EVENT_ID, "12");
        check_header(HF_HEADER_EXPECT, NULL);
    }
}

static void a_header_may_be_empty_and_a_request_may_have_none(void **state)
{
    (void)state;
    assert_true(read_in_pieces(GET "Authorization:\r\n\r\n", 7));
    check_header(HF_HEADER_AUTHORIZATION, "");
    check_header(HF_HEADER_ACCEPT, NULL);
    assert_true(read_in_pieces(GET "\r\n", 7));
    check_header(HF_HEADER_AUTHORIZATION, NULL);
}

static void a_header_that_repeats_is_refused(void **state)
{
    (void)state;
    assert_int_equal(refusal_of(GET "Authorization: a\r\nAuthorization: b\r\n\r\n"), 400);
    assert_int_equal(refusal_of(GET "If-Match: \"1\"\r\nA: b\r\nif-match: \"1\"\r\n\r\n"), 400);
    assert_int_equal(refusal_of(GET "Accept: a/b\r\nAccept: c/d\r\n\r\n"), 0);
    check_header(HF_HEADER_ACCEPT, "a/b");
}

/* Whole or not at all: half a token must not look like a wrong one. */
static void values_have_a_longest_length_together(void **state)
{
    (void)state;
    char text[2 * HF_HTTP_HEADER_VALUES_BYTES_MAX];
    const int most = HF_HTTP_HEADER_VALUES_BYTES_MAX;
    (void)snprintf(text, sizeof text, GET "Authorization: %0*d\r\nAccept: a\r\n\r\n", most - 1, 0);
    assert_int_equal(refusal_of(text), 0);
    check_header(HF_HEADER_ACCEPT, "a");
    (void)snprintf(text, sizeof text, GET "Authorization: %0*d\r\nAccept: a\r\n\r\n", most, 0);
    assert_int_equal(refusal_of(text), 431);
    (void)snprintf(text, sizeof text, GET "Other: %0*d\r\n\r\n", most + 1, 0);
    assert_int_equal(refusal_of(text), 0);
}

static void the_path_decides_how_long_a_body_may_be(void **state)
{
    (void)state;
    static const struct {
        const char *target;
        int body_len;
        unsigned status;
    } cases[] = {
        {"/v1/x", 8, 0},     {"/v1/x", 9, 413},       {"/v1/enroll", 2, 0}, {"/v1/enroll", 3, 413},
        {"/v1/x?y=/", 8, 0}, {"http://a/v1/x", 8, 0}, {"/%761/x", 8, 0},    {"/metadata/x", 1, 405},
        {"/x/v1/", 1, 405},  {"*", 1, 405},           {"/v1", 1, 405},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[256];
        (void)snprintf(text, sizeof text,
                       "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%.*s",
                       cases[i].target, cases[i].body_len, cases[i].body_len, "123456789");
        if (refusal_of(text) != cases[i].status)
            fail_msg("%s with %d bytes", cases[i].target, cases[i].body_len);
    }
}

static void a_client_may_wait_before_it_sends_a_body(void **state)
{
    (void)state;
    assert_false(read_in_pieces(POST "Expect: 100-Continue\r\n\r\n", 9));
    assert_true(request.is_head_whole && request.must_continue);
    hf_request_end(&request);
    assert_true(read_in_pieces(GET "Expect: 100-continue\r\n\r\n", 9));
    assert_false(request.must_continue); /* there is no body to wait for */
    assert_false(read_in_pieces("POST /v1/x HTTP/1.0\r\nContent-Length: 3\r\n"
                                "Expect: 100-continue\r\n\r\n",
                                9));
    assert_false(request.must_continue);
    assert_int_equal(refusal_of(POST "Expect: 200-ok\r\n\r\n"), 417);
    assert_int_equal(refusal_of(GET "Expect: a cake\r\n\r\n"), 417);
}

static void the_host_is_kept_without_blanks_around_it(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"Acme.IoT.example", "Acme.IoT.example"},
        {"acme.example \t ", "acme.example"},
        {"acme.example:8443 ", "acme.example:8443"},
        {"\t[2001:DB8::1]:443", "[2001:DB8::1]:443"},
        {"192.0.2.1", "192.0.2.1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[256];
        (void)snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", cases[i][0]);
        assert_int_equal(refusal_of(text), 0);
        assert_int_equal(request.host.len, strlen(cases[i][1]));
        assert_memory_equal(request.host.text, cases[i][1], request.host.len);
    }
    assert_int_equal(refusal_of("GET / HTTP/1.0\r\n\r\n"), 0);
    assert_int_equal(request.host.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_kept_whole_in_whatever_pieces_they_come),
        cmocka_unit_test(a_header_may_be_empty_and_a_request_may_have_none),
        cmocka_unit_test(a_header_that_repeats_is_refused),
        cmocka_unit_test(values_have_a_longest_length_together),
        cmocka_unit_test(the_path_decides_how_long_a_body_may_be),
        cmocka_unit_test(a_client_may_wait_before_it_sends_a_body),
        cmocka_unit_test(the_host_is_kept_without_blanks_around_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
