/*
 * A client that sends TLS 1.3 key updates without end: each costs the server more than the client's
 * 27 bytes. They must not hold up other clients of the same loop.
 */
#include "tests/support/check.h"

#include "server/http/loop.h"
#include "tests/support/temp_dir.h"

#include <openssl/pem.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define UPDATES 60000 /* half a second of work */
#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

static struct hf_loop loop;
static union hf_peer address;

static void handle(void *ctx, struct hf_request *request)
{
    (void)ctx;
    hf_answer_text(request, 200, "text/plain", "ok", 2);
}

static void write_certificate(const char *chain_path, const char *key_path)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    assert_true(key != NULL && cert != NULL);
    X509_gmtime_adj(X509_getm_notBefore(cert), -60);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    assert_int_equal(X509_set_pubkey(cert, key), 1);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    FILE *file = fopen(chain_path, "w");
    assert_true(file != NULL && PEM_write_X509(file, cert) == 1 && fclose(file) == 0);
    int fd = open(key_path, O_WRONLY | O_CREAT, 0600);
    file = fd >= 0 ? fdopen(fd, "w") : NULL;
    assert_true(file != NULL && PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1 &&
                fclose(file) == 0);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static int connect_to_server(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &address.any, sizeof address.v4), 0);
    return fd;
}

static void write_all(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        assert_true(n > 0);
        data += n;
        len -= (size_t)n;
    }
}

/* A connection whose client writes into memory from its second request on. */
static SSL *connect_tls(SSL_CTX *ctx, int *fd)
{
    char answer[512];
    SSL *ssl = SSL_new(ctx);
    *fd = connect_to_server();
    assert_true(ssl != NULL && SSL_set_fd(ssl, *fd) == 1);
    assert_int_equal(SSL_connect(ssl), 1);
    assert_int_equal(SSL_write(ssl, GET, sizeof GET - 1), sizeof GET - 1);
    assert_true(SSL_read(ssl, answer, sizeof answer) > 0); /* the ticket is read as well */
    SSL_set0_wbio(ssl, BIO_new(BIO_s_mem()));
    return ssl;
}

static void key_updates_do_not_hold_up_other_clients(void **state)
{
    (void)state;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    assert_true(ctx != NULL && SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1);
    int flooding = -1, honest = -1;
    SSL *flood = connect_tls(ctx, &flooding), *other = connect_tls(ctx, &honest);
    for (int i = 0; i < UPDATES; i++) {
        assert_int_equal(SSL_key_update(flood, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(flood), 1);
    }
    assert_int_equal(SSL_write(flood, GET, sizeof GET - 1), sizeof GET - 1);
    assert_int_equal(SSL_write(other, GET, sizeof GET - 1), sizeof GET - 1);

    uint8_t *records = NULL, *request = NULL;
    size_t n_records = (size_t)BIO_get_mem_data(SSL_get_wbio(flood), &records);
    size_t n_request = (size_t)BIO_get_mem_data(SSL_get_wbio(other), &request);
    assert_true(n_records > UPDATES * 20);
    write_all(flooding, records,
              n_records); /* the last part waits in the kernel when this returns */
    write_all(honest, request, n_request);
    struct pollfd answers[2] = {{.fd = honest, .events = POLLIN},
                                {.fd = flooding, .events = POLLIN}};
    assert_int_equal(poll(answers, 1, 60000), 1);
    assert_int_equal(poll(answers + 1, 1, 0), 0);     /* it was not served first */
    assert_int_equal(poll(answers + 1, 1, 60000), 1); /* but it is served */
    SSL_free(flood);
    SSL_free(other);
    SSL_CTX_free(ctx);
    close(flooding);
    close(honest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(key_updates_do_not_hold_up_other_clients)};
    void *dir = NULL;
    struct hf_why why = {.text = ""};
    struct hf_tls_server *tls = NULL;
    struct hf_http_config config = {.connections_max = 10,
                                    .header_timeout_ms = 60000,
                                    .idle_timeout_ms = 60000,
                                    .handler = handle,
                                    .addresses = hf_address_count_new(10)};
    int listener = -1;
    (void)signal(SIGPIPE, SIG_IGN);
    if (temp_dir_setup(&dir) != 0)
        return 1;
    const struct hf_tls_certificate files = {temp_path(dir, "chain.pem"),
                                             temp_path(dir, "key.pem")};
    write_certificate(files.chain_path, files.key_path);
    if (hf_tls_server_new(&files, 1, &tls, &why) != HF_OK ||
        hf_address_parse("127.0.0.1:0", &address, &why) != HF_OK ||
        hf_listen(&address, true, &listener, &why) != HF_OK)
        return 1;
    config.tls = tls;
    if (hf_loop_init_take(&loop, listener, &config, &why) != HF_OK ||
        hf_loop_start(&loop, &why) != HF_OK)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    hf_loop_stop(&loop);
    hf_loop_join(&loop);
    hf_tls_server_free(tls);
    free(config.addresses);
    (void)temp_dir_teardown(&dir);
    return failed;
}
