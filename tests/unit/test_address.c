/* common/os/address.c: which network an address belongs to; and net.c, which asks. */
#include "common/os/net.h"

#include "tests/support/check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static enum hf_address_kind kind_of(const char *text)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return hf_address_kind((const struct sockaddr *)&v4);
    assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return hf_address_kind((const struct sockaddr *)&v6);
}

static void assert_all(enum hf_address_kind kind, const char *const *texts)
{
    for (; *texts != NULL; texts++) {
        if (kind_of(*texts) != kind)
            fail_msg("%s is of kind %d, expected %d", *texts, kind_of(*texts), kind);
    }
}

static void test_public(void **state)
{
    static const char *const texts[] = {"1.1.1.1",          "9.255.255.255",
                                        "11.0.0.0",         "100.63.255.255",
                                        "100.128.0.0",      "172.15.255.255",
                                        "172.32.0.0",       "192.167.255.255",
                                        "223.255.255.255",  "2a00:1450::1",
                                        "64:ff9b::101:101", "2002:101:101::1",
                                        "::ffff:1.1.1.1",   NULL};
    (void)state;
    assert_all(HF_ADDRESS_PUBLIC, texts);
}

static void test_private(void **state)
{
    static const char *const texts[] =
        {"10.0.0.1",        "10.255.255.255",  "172.16.0.1",    "172.31.255.255", "192.168.0.1",
         "100.64.0.1",      "100.127.255.255", "192.0.0.1",     "198.18.0.1",     "224.0.0.1",
         "255.255.255.255", "fc00::1",         "fdff::1",       "fec0::1",        "ff02::1",
         "::ffff:10.0.0.1", "64:ff9b::a00:1",  "2002:a00:1::1", "64:ff9b:1::1",   NULL};
    (void)state;
    assert_all(HF_ADDRESS_PRIVATE, texts);
}

static void test_link_local(void **state)
{
    static const char *const texts[] = {"169.254.169.254", "fe80::1", "febf::1",
                                        "::ffff:169.254.0.1", NULL};
    (void)state;
    assert_all(HF_ADDRESS_LINK_LOCAL, texts);
}

static void test_loopback(void **state)
{
    static const char *const texts[] = {"127.0.0.1",
                                        "127.255.255.255",
                                        "0.0.0.0",
                                        "0.1.2.3",
                                        "::1",
                                        "::",
                                        "::ffff:127.0.0.1",
                                        "::127.0.0.1",
                                        "::ffff:0:127.0.0.1",
                                        "64:ff9b::7f00:1",
                                        "2002:7f00:1::",
                                        NULL};
    struct sockaddr other = {.sa_family = AF_UNIX};

    (void)state;
    assert_all(HF_ADDRESS_LOOPBACK, texts);
    assert_int_equal(hf_address_kind(&other), HF_ADDRESS_LOOPBACK);
}

static int listen_on_loopback(struct hf_endpoint *peer)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *peer = (struct hf_endpoint){.host = "localhost", .port = ntohs(address.sin_port)};
    return fd;
}

static enum hf_err connect_to(const struct hf_endpoint *peer, enum hf_address_kind also,
                              const struct hf_deadline *deadline, int *fd, struct hf_why *why)
{
    return hf_net_connect(peer, &also, deadline, fd, why);
}

/* A name can be made to lead anywhere, so it is the address that counts. */
static void test_a_name_that_leads_to_an_unwanted_kind_of_address(void **state)
{
    struct hf_deadline deadline = hf_deadline_start(20000, 20000);
    struct hf_endpoint peer;
    struct hf_why why = {0};
    int listener = listen_on_loopback(&peer), fd = -1;

    (void)state;
    CHECK_REFUSED(connect_to(&peer, HF_ADDRESS_PUBLIC, &deadline, &fd, &why), HF_E_NETWORK, &why,
                  "loopback, link-local or private");
    CHECK_REFUSED(connect_to(&peer, HF_ADDRESS_PRIVATE, &deadline, &fd, &why), HF_E_NETWORK, &why,
                  "loopback, link-local or private");
    assert_int_equal(fd, -1);
    CHECK_OK(connect_to(&peer, HF_ADDRESS_LOOPBACK, &deadline, &fd, &why));
    assert_int_equal(hf_net_peer_kind(fd), HF_ADDRESS_LOOPBACK);
    (void)close(fd);
    CHECK_OK(hf_net_connect(&peer, NULL, &deadline, &fd, &why));
    (void)close(fd);
    (void)close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_public),
        cmocka_unit_test(test_private),
        cmocka_unit_test(test_link_local),
        cmocka_unit_test(test_loopback),
        cmocka_unit_test(test_a_name_that_leads_to_an_unwanted_kind_of_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
