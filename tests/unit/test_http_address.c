/* server/http/address: what counts as one address, and that nothing is counted for ever. */
#include "tests/support/check.h"

#include "server/http/address.h"

#include <stdlib.h>

static union hf_peer peer_of(const char *address)
{
    union hf_peer peer;
    struct hf_why why;
    CHECK_OK(hf_address_parse(address, &peer, &why));
    return peer;
}

static bool add(struct hf_address_count *count, const char *address)
{
    union hf_peer peer = peer_of(address);
    return hf_address_count_add(count, &peer);
}

static void drop(struct hf_address_count *count, const char *address)
{
    union hf_peer peer = peer_of(address);
    hf_address_count_drop(count, &peer);
}

static void an_address_has_its_connections_whatever_the_port(void **state)
{
    (void)state;
    struct hf_address_count *count = hf_address_count_new(2);
    assert_non_null(count);
    assert_true(add(count, "192.0.2.1:1"));
    assert_true(add(count, "192.0.2.1:2"));
    assert_false(add(count, "192.0.2.1:3"));
    assert_false(add(count, "192.0.2.1:3")); /* a refused one is not counted */
    assert_true(add(count, "192.0.2.2:1"));
    drop(count, "192.0.2.1:9");
    assert_true(add(count, "192.0.2.1:4"));
    assert_false(add(count, "192.0.2.1:5"));
    free(count);
}

static void another_maximum_counts_from_then_on(void **state)
{
    (void)state;
    struct hf_address_count *count = hf_address_count_new(2);
    assert_non_null(count);
    assert_true(add(count, "192.0.2.1:1"));
    assert_true(add(count, "192.0.2.1:2"));
    hf_address_count_set_max(count, 1);
    drop(count, "192.0.2.1:1");
    assert_false(add(count, "192.0.2.1:1")); /* one that was there stays */
    hf_address_count_set_max(count, 3);
    assert_true(add(count, "192.0.2.1:1"));
    assert_true(add(count, "192.0.2.1:3"));
    assert_false(add(count, "192.0.2.1:4"));
    free(count);
}

static void an_ipv6_network_is_one_address(void **state)
{
    (void)state;
    struct hf_address_count *count = hf_address_count_new(2);
    assert_non_null(count);
    assert_true(add(count, "[2001:db8:1:2::1]:1"));
    assert_true(add(count, "[2001:db8:1:2:ffff::]:1"));
    assert_false(add(count, "[2001:db8:1:2::3]:1"));
    assert_true(add(count, "[2001:db8:1:3::1]:1"));
    free(count);
}

/* A socket on [::] shows IPv4 clients as ::ffff:a.b.c.d: they are not one network. */
static void mapped_ipv4_addresses_are_ipv4_addresses(void **state)
{
    (void)state;
    struct hf_address_count *count = hf_address_count_new(1);
    assert_non_null(count);
    assert_true(add(count, "[::ffff:192.0.2.1]:1"));
    assert_true(add(count, "[::ffff:192.0.2.2]:1"));
    assert_false(add(count, "[::ffff:192.0.2.1]:1"));
    assert_false(add(count, "192.0.2.1:1"));
    free(count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_has_its_connections_whatever_the_port),
        cmocka_unit_test(another_maximum_counts_from_then_on),
        cmocka_unit_test(an_ipv6_network_is_one_address),
        cmocka_unit_test(mapped_ipv4_addresses_are_ipv4_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
