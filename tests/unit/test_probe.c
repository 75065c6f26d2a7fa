/*
 * client/port/posix/probe.c: a server that shows another server's chain without its key must
 * not count as having shown it. (What the chain is worth: test_chain_verdict.c; the program:
 * tests/cli/test_probe.py.)
 */
#include "tests/support/check.h"

#include "client/port/posix/endpoint_probe.h"
#include "tests/support/tls_pair.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct fixture {
    struct pki_key root_key, leaf_key, other_key;
    struct hf_buf chain[2]; /* leaf, root */
    int listener;
    struct hf_endpoint endpoint;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof address;

    pki_key_make(&f->root_key, PKI_P256);
    pki_key_make(&f->leaf_key, PKI_P256);
    pki_key_make(&f->other_key, PKI_P256);
    pki_root("CN=Root", &f->root_key, &f->chain[1]);
    pki_issue(&(struct pki_cert){.subject = "CN=leaf",
                                 .key = &f->leaf_key,
                                 .issuer = "CN=Root",
                                 .issuer_key = &f->root_key,
                                 .dns_name = TLS_HOST},
              &f->chain[0]);
    f->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(f->listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(f->listener, 1), 0);
    assert_int_equal(getsockname(f->listener, (struct sockaddr *)&address, &len), 0);
    f->endpoint = (struct hf_endpoint){.host = "127.0.0.1", .port = ntohs(address.sin_port)};
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    pki_key_free(&f->root_key);
    pki_key_free(&f->leaf_key);
    pki_key_free(&f->other_key);
    hf_buf_free(&f->chain[0]);
    hf_buf_free(&f->chain[1]);
    (void)close(f->listener);
    free(f);
    return 0;
}

/* ---- the server's side, on a thread of its own ----------------------------------------------- */

struct server {
    struct tls_server tls;
    int listener;
};

static int server_sends(void *fd, const unsigned char *data, size_t len)
{
    return (int)send(*(int *)fd, data, len, MSG_NOSIGNAL);
}

static int server_receives(void *fd, unsigned char *data, size_t len)
{
    return (int)recv(*(int *)fd, data, len, 0);
}

/** One handshake, however it ends, and then all that the client still sends. */
static void *serve(void *ctx)
{
    struct server *server = ctx;
    mbedtls_ssl_context ssl;
    unsigned char byte;
    int fd = accept(server->listener, NULL, NULL);

    mbedtls_ssl_init(&ssl);
    if (fd >= 0 && mbedtls_ssl_setup(&ssl, &server->tls.config) == 0) {
        mbedtls_ssl_set_bio(&ssl, &fd, server_sends, server_receives, NULL);
        while (!mbedtls_ssl_is_handshake_over(&ssl) && mbedtls_ssl_handshake(&ssl) == 0)
            continue;
        (void)shutdown(fd, SHUT_WR);
        while (recv(fd, &byte, 1, 0) > 0)
            continue;
    }
    mbedtls_ssl_free(&ssl);
    (void)close(fd);
    return NULL;
}

static enum hf_err probe(struct fixture *f, mbedtls_ssl_protocol_version version,
                         struct pki_key *key, struct hf_tls_probe_result *out, struct hf_why *why)
{
    struct server server = {.listener = f->listener};
    const struct hf_endpoint name = {.host = TLS_HOST};
    const struct hf_probe_request request = {.peer = f->endpoint,
                                             .server = &name,
                                             .timeouts = {5000, 5000, 5000}};
    pthread_t thread;

    tls_server_make(&server.tls, version, key, f->chain, 2);
    assert_int_equal(pthread_create(&thread, NULL, serve, &server), 0);
    enum hf_err err = hf_probe(&request, out, why);
    assert_int_equal(pthread_join(thread, NULL), 0);
    tls_server_free(&server.tls);
    return err;
}

static const mbedtls_ssl_protocol_version versions[] = {MBEDTLS_SSL_VERSION_TLS1_2,
                                                        MBEDTLS_SSL_VERSION_TLS1_3};

static void chain_is_taken_down_as_it_was_sent(void **state)
{
    static const char *const names[] = {"TLSv1.2", "TLSv1.3"};
    struct fixture *f = *state;

    for (size_t i = 0; i < 2; i++) {
        struct hf_tls_probe_result result = {0};
        struct hf_why why = {0};
        CHECK_OK(probe(f, versions[i], &f->leaf_key, &result, &why));
        assert_string_equal(result.tls_version, names[i]);
        assert_string_equal(result.ending, "");
        assert_int_equal(result.chain.n_certs, 2);
        for (size_t c = 0; c < 2; c++)
            assert_true(
                hf_bytes_equal(hf_buf_bytes(&result.chain.certs[c]), hf_buf_bytes(&f->chain[c])));
        hf_chain_free(&result.chain);
    }
}

static void chain_without_its_key_is_no_evidence(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < 2; i++) {
        struct hf_tls_probe_result result = {.chain = {.n_certs = 7}};
        struct hf_why why = {0};
        CHECK_REFUSED(probe(f, versions[i], &f->other_key, &result, &why), HF_E_TLS, &why,
                      "TLS handshake");
        assert_int_equal(result.chain.n_certs, 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(chain_is_taken_down_as_it_was_sent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(chain_without_its_key_is_no_evidence, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
