/* server/http/address: networks of balancers, and Unix-domain sockets. */
#include "tests/support/check.h"

#include "server/http/address.h"
#include "tests/support/temp_dir.h"

#include <stdio.h>
#include <sys/un.h>
#include <unistd.h>

static struct hf_network network_of(const char *text)
{
    struct hf_network network;
    struct hf_why why = {.text = ""};
    CHECK_OK(hf_network_parse(text, &network, &why));
    return network;
}

static bool contains(const char *network, const char *address)
{
    union hf_peer peer;
    struct hf_why why;
    struct hf_network one = network_of(network);
    CHECK_OK(hf_address_parse(address, &peer, &why));
    return hf_networks_contain(&one, 1, &peer);
}

static void a_network_contains_what_has_its_prefix(void **state)
{
    (void)state;
    assert_true(contains("192.0.2.0/24", "192.0.2.255:1"));
    assert_false(contains("192.0.2.0/24", "192.0.3.0:1"));
    assert_true(contains("192.0.2.128/25", "192.0.2.128:1"));
    assert_false(contains("192.0.2.128/25", "192.0.2.127:1"));
    assert_true(contains("192.0.2.7", "192.0.2.7:1"));
    assert_false(contains("192.0.2.7", "192.0.2.6:1"));
    assert_true(contains("0.0.0.0/0", "203.0.113.1:1"));
    assert_false(contains("0.0.0.0/0", "[2001:db8::1]:1"));
    assert_true(contains("2001:db8::/33", "[2001:db8:7fff::1]:1"));
    assert_false(contains("2001:db8::/33", "[2001:db8:8000::1]:1"));
    assert_true(contains("::/0", "[2001:db8::1]:1"));
    /* As a socket on [::] shows them. */
    assert_true(contains("192.0.2.0/24", "[::ffff:192.0.2.1]:1"));
}

static void a_local_client_and_no_network_contain_nothing(void **state)
{
    (void)state;
    const union hf_peer local = {.local = {.family = AF_UNIX, .uid = 0}};
    struct hf_network all = network_of("::/0");
    assert_false(hf_networks_contain(&all, 1, &local));
    assert_false(hf_networks_contain(NULL, 0, &local));
}

static void what_is_no_network_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "x",
                                        "192.0.2.0/",
                                        "192.0.2.0/33",
                                        "::/129",
                                        "192.0.2/24",
                                        "192.0.2.0/ 8",
                                        "192.0.2.0/-1",
                                        "2001:db8:",
                                        "/24",
                                        "::/0000",
                                        "10.0.0.1/8",
                                        "2001:db8::1/64"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct hf_network network = {.bits = 99};
        struct hf_why why = {.text = ""};
        CHECK_REFUSED(hf_network_parse(wrong[i], &network, &why), HF_E_ARGUMENT, &why,
                      "is no network");
        assert_int_equal(network.bits, 99);
    }
}

static int connect_to(const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    (void)snprintf(name.sun_path, sizeof name.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&name, sizeof name), 0);
    return fd;
}

static void a_local_socket_has_its_mode_and_knows_its_clients(void **state)
{
    const char *path = temp_path(*state, "admin.sock");
    char text[HF_ADDRESS_TEXT_MAX], want[64];
    int listener = -1;
    union hf_peer peer;
    struct hf_why why = {.text = ""};
    CHECK_OK(hf_listen_local(path, 0660, (gid_t)-1, &listener, &why));
    assert_int_equal(temp_mode(path), 0660);
    int client = connect_to(path);
    int accepted = accept(listener, NULL, NULL);
    assert_true(accepted >= 0 && hf_local_peer_of(accepted, &peer));
    assert_int_equal(peer.any.sa_family, AF_UNIX);
    assert_int_equal(peer.local.uid, getuid());
    assert_int_equal(peer.local.pid, getpid());
    hf_address_format(&peer, text);
    (void)snprintf(want, sizeof want, "unix:uid=%u", getuid());
    assert_string_equal(text, want);

    /* It is in use, also if asked again; once its server is gone it is replaced. */
    int second = -1;
    CHECK_REFUSED(hf_listen_local(path, 0660, (gid_t)-1, &second, &why), HF_E_BUSY, &why,
                  "another server listens there");
    assert_int_equal(second, -1);
    close(accepted);
    close(client);
    close(listener);
    CHECK_OK(hf_listen_local(path, 0600, (gid_t)-1, &second, &why));
    assert_int_equal(temp_mode(path), 0600);
    close(second);
}

static void a_path_that_cannot_be_a_socket_is_refused(void **state)
{
    char path[256];
    int listener = -1;
    struct hf_why why = {.text = ""};
    (void)snprintf(path, sizeof path, "/%0200d", 0);
    CHECK_REFUSED(hf_listen_local(path, 0660, (gid_t)-1, &listener, &why), HF_E_ARGUMENT, &why,
                  "expected a path of 1 to 107 bytes");
    CHECK_REFUSED(hf_listen_local("", 0660, (gid_t)-1, &listener, &why), HF_E_ARGUMENT, &why,
                  "found 0");
    const char *file = temp_path(*state, "file");
    temp_write(file, "text");
    CHECK_REFUSED(hf_listen_local(file, 0660, (gid_t)-1, &listener, &why), HF_E_NETWORK, &why,
                  "Address already in use");
    assert_string_equal(temp_read(file), "text"); /* and the file is still there */
    assert_int_equal(listener, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_network_contains_what_has_its_prefix),
        cmocka_unit_test(a_local_client_and_no_network_contain_nothing),
        cmocka_unit_test(what_is_no_network_is_refused),
        cmocka_unit_test_setup_teardown(a_local_socket_has_its_mode_and_knows_its_clients,
                                        temp_dir_setup, temp_dir_teardown),
        cmocka_unit_test_setup_teardown(a_path_that_cannot_be_a_socket_is_refused, temp_dir_setup,
                                        temp_dir_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
