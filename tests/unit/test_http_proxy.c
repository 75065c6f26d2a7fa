/* server/http/proxy: what a balancer may tell, byte by byte, and what is no header. */
#include "tests/support/check.h"

#include "server/http/proxy.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define IPV4_ADDRESSES                                                                             \
    "\xc0\x00\x02\x07\xc0\x00\x02\x01\x9c\xbc\x01\xbb" /* 192.0.2.7:40124 to .1:443 */
#define IPV4 SIGNATURE "\x21\x11\x00\x0c" IPV4_ADDRESSES

static enum hf_proxy_result parse(const char *data, size_t len, size_t *needed,
                                  struct hf_proxy *out)
{
    return hf_proxy_parse((struct hf_bytes){(const uint8_t *)data, len}, needed, out);
}

#define CHECK_BAD(text)                                                                            \
    do {                                                                                           \
        size_t needed_ = 77;                                                                       \
        struct hf_proxy out_ = {.has_client = true};                                               \
        assert_int_equal(parse(text, sizeof(text) - 1, &needed_, &out_), HF_PROXY_BAD);            \
        assert_int_equal(needed_, 77);                                                             \
        assert_true(out_.has_client);                                                              \
    } while (0)

static void check_client(const char *data, size_t len, const char *want)
{
    char text[HF_ADDRESS_TEXT_MAX];
    struct hf_proxy proxy;
    size_t needed = 0;
    assert_int_equal(parse(data, len, &needed, &proxy), HF_PROXY_DONE);
    assert_int_equal(needed, len);
    assert_true(proxy.has_client);
    hf_address_format(&proxy.client, text);
    assert_string_equal(text, want);
}

static void addresses_are_those_of_the_client(void **state)
{
    (void)state;
    static const char v6[] = SIGNATURE "\x21\x21\x00\x24"
                                       "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"
                                       "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
                                       "\x00\x50\x01\xbb";
    check_client(IPV4, sizeof IPV4 - 1, "192.0.2.7:40124");
    check_client(v6, sizeof v6 - 1, "[2001:db8::7]:80");
}

static void nothing_is_read_before_it_is_there_and_nothing_behind(void **state)
{
    (void)state;
    static const char followed[] = IPV4 "\x16\x03\x01";
    struct hf_proxy proxy = {.has_client = false};
    size_t needed = 0;
    for (size_t len = 0; len < sizeof IPV4 - 1; len++) {
        assert_int_equal(parse(followed, len, &needed, &proxy), HF_PROXY_MORE);
        assert_int_equal(needed, len < HF_PROXY_FIXED_BYTES ? HF_PROXY_FIXED_BYTES : 28);
        assert_false(proxy.has_client);
    }
    assert_int_equal(parse(followed, sizeof followed - 1, &needed, &proxy), HF_PROXY_DONE);
    assert_int_equal(needed, 28);
}

static void connections_of_the_balancer_itself_keep_its_address(void **state)
{
    (void)state;
    static const char *const headers[] = {
        SIGNATURE "\x20\x00\x00\x00",                /* LOCAL */
        SIGNATURE "\x20\x11\x00\x0c" IPV4_ADDRESSES, /* LOCAL, with addresses to be ignored */
        SIGNATURE "\x21\x00\x00\x05xxxxx",           /* the balancer does not know */
    };
    static const size_t lens[] = {16, 28, 21};
    for (size_t i = 0; i < 3; i++) {
        struct hf_proxy proxy = {.has_client = true};
        size_t needed = 0;
        assert_int_equal(parse(headers[i], lens[i], &needed, &proxy), HF_PROXY_DONE);
        assert_int_equal(needed, lens[i]);
        assert_false(proxy.has_client);
    }
}

static void further_fields_are_skipped_and_must_be_whole(void **state)
{
    (void)state;
    static const char fields[] = SIGNATURE "\x21\x11\x00\x17" IPV4_ADDRESSES "\x02\x00\x04"
                                           "name"
                                           "\xee\x00\x01"
                                           "?";
    static const char empty[] = SIGNATURE "\x21\x11\x00\x0f" IPV4_ADDRESSES "\x04\x00\x00";
    check_client(fields, sizeof fields - 1, "192.0.2.7:40124");
    check_client(empty, sizeof empty - 1, "192.0.2.7:40124");
    CHECK_BAD(SIGNATURE "\x21\x11\x00\x0e" IPV4_ADDRESSES "\x02\x00");
    CHECK_BAD(SIGNATURE "\x21\x11\x00\x0f" IPV4_ADDRESSES "\x02\x00\x01");
}

static void what_is_no_header_is_refused(void **state)
{
    (void)state;
    CHECK_BAD("PROXY TCP4 192.0.2.7 192.0.2.1 40124 443\r\n"); /* version 1 */
    CHECK_BAD("G");
    CHECK_BAD("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    CHECK_BAD("\r\n\r\n\0\r\nQUIX");
    CHECK_BAD(SIGNATURE "\x11\x11\x00\x0c" IPV4_ADDRESSES); /* version 1 in this form */
    CHECK_BAD(SIGNATURE "\x22\x11\x00\x0c" IPV4_ADDRESSES); /* an unknown command */
    CHECK_BAD(SIGNATURE "\x21\x12\x00\x0c" IPV4_ADDRESSES); /* datagrams */
    CHECK_BAD(SIGNATURE "\x21\x41\x00\x0c" IPV4_ADDRESSES); /* an unknown family */
    CHECK_BAD(SIGNATURE "\x21\x10\x00\x0c" IPV4_ADDRESSES); /* an address without a transport */
    CHECK_BAD(SIGNATURE "\x21\x11\x00\x0b"
                        "\xc0\x00\x02\x07\xc0\x00\x02\x01\x9c\xbc\x01");
    CHECK_BAD(SIGNATURE "\x21\x21\x00\x0c" IPV4_ADDRESSES); /* too short for IPv6 */
    CHECK_BAD(SIGNATURE "\x21\x11\xff\xff" IPV4_ADDRESSES); /* longer than is read */
}

static void a_unix_client_keeps_the_balancers_address(void **state)
{
    (void)state;
    char header[16 + 216] = SIGNATURE "\x21\x31\x00\xd8";
    struct hf_proxy proxy = {.has_client = true};
    size_t needed = 0;
    assert_int_equal(parse(header, sizeof header, &needed, &proxy), HF_PROXY_DONE);
    assert_false(proxy.has_client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_those_of_the_client),
        cmocka_unit_test(nothing_is_read_before_it_is_there_and_nothing_behind),
        cmocka_unit_test(connections_of_the_balancer_itself_keep_its_address),
        cmocka_unit_test(further_fields_are_skipped_and_must_be_whole),
        cmocka_unit_test(what_is_no_header_is_refused),
        cmocka_unit_test(a_unix_client_keeps_the_balancers_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
