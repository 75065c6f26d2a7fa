/* client/port/posix/tls_conn: whose trust its saved sessions rest on. */
#include "tests/support/check.h"

#include "client/port/posix/http.h"
#include "tests/support/trust_world.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#define PEER TLS_HOST ":8883"

/* A device and a server; the update server's own CA, which the device's store does not hold. */
struct scene {
    struct world w;
    struct world_chain chain;
    struct tls_server server;
    struct hf_trust_store *server_ca;
};

static void make_scene(struct scene *s, mbedtls_ssl_protocol_version version)
{
    struct hf_trust_store *device;

    *s = (struct scene){0};
    world_make(&s->w, version);
    world_present_leaf(&s->w, &s->chain, "CN=Root", &s->w.root, 0);
    world_serve(&s->w, &s->server, &s->chain, &s->w.leaf);
    device = s->w.store;
    CHECK_OK(hf_trust_store_new(&s->server_ca, NULL));
    s->w.store = s->server_ca;
    world_trust_root(&s->w, "CN=Root", &s->w.root);
    s->w.store = device;
    world_trust_root(&s->w, "CN=Other", &s->w.other);
}

static void free_scene(struct scene *s)
{
    tls_server_free(&s->server);
    world_chain_clear(&s->chain);
    hf_trust_store_free(s->server_ca);
    world_free(&s->w);
}

/* ---- a server in a thread of its own --------------------------------------------------------- */

struct serving {
    const struct tls_server *server;
    int fd;
};

static int socket_sends(void *ctx, const unsigned char *data, size_t len)
{
    ssize_t n = send(*(int *)ctx, data, len, MSG_NOSIGNAL);
    return n < 0 ? MBEDTLS_ERR_SSL_CONN_EOF : (int)n;
}

static int socket_receives(void *ctx, unsigned char *data, size_t len)
{
    ssize_t n = recv(*(int *)ctx, data, len, 0);
    return n < 0 ? MBEDTLS_ERR_SSL_CONN_EOF : (int)n;
}

/** One connection and one byte, in front of which TLS 1.3 sends its tickets. */
static void *serve_once(void *ctx)
{
    struct serving *serving = ctx;
    mbedtls_ssl_context ssl;

    mbedtls_ssl_init(&ssl);
    if (mbedtls_ssl_setup(&ssl, &serving->server->config) == 0) {
        mbedtls_ssl_set_bio(&ssl, &serving->fd, socket_sends, socket_receives, NULL);
        if (mbedtls_ssl_handshake(&ssl) == 0)
            (void)mbedtls_ssl_write(&ssl, (const unsigned char *)"x", 1);
    }
    mbedtls_ssl_free(&ssl);
    (void)close(serving->fd);
    return NULL;
}

/** The transport connects and reads the byte. */
static enum hf_err transport_connects(struct scene *s, struct hf_tls_client *client)
{
    struct hf_endpoint peer = {.host = TLS_HOST, .port = 8883};
    struct hf_deadline deadline = hf_deadline_start(10000, 10000);
    struct hf_tls_conn *conn = NULL;
    struct serving serving = {.server = &s->server};
    pthread_t thread;
    int fds[2];
    char byte;
    size_t len = 0;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    serving.fd = fds[1];
    assert_int_equal(pthread_create(&thread, NULL, serve_once, &serving), 0);
    enum hf_err err = hf_tls_conn_open(client, fds[0], &peer, &deadline, &conn, NULL);
    if (err == HF_OK) {
        CHECK_OK(hf_tls_conn_receive(conn, &byte, 1, &deadline, &len, NULL));
        assert_int_equal(len, 1);
    }
    hf_tls_conn_close(conn);
    (void)close(fds[0]);
    assert_int_equal(pthread_join(thread, NULL), 0);
    return err;
}

/* ---- the tests ------------------------------------------------------------------------------- */

static void application_does_not_resume_what_only_the_server_ca_vouched_for(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct scene s;
        struct hf_tls_client *client;
        struct tls_pair pair;
        make_scene(&s, world_versions[i]);
        CHECK_OK(hf_tls_client_new(s.w.store, s.server_ca, false, &client, NULL));
        CHECK_OK(transport_connects(&s, client));

        tls_prepare(&pair, &s.w.config, &s.server);
        (void)hf_trust_store_resume(s.w.store, PEER, &pair.client);
        assert_int_equal(tls_handshake(&pair), MBEDTLS_ERR_X509_CERT_VERIFY_FAILED);
        tls_close(&pair);
        hf_tls_client_free(client);
        free_scene(&s);
    }
}

static void swap_of_the_device_s_store_drops_the_transport_s_sessions(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct scene s;
        struct hf_tls_client *client;
        make_scene(&s, world_versions[i]);
        world_trust_root(&s.w, "CN=Root", &s.w.root);
        CHECK_OK(hf_tls_client_new(s.w.store, NULL, false, &client, NULL));
        CHECK_OK(transport_connects(&s, client));
        world_trust_root(&s.w, "CN=Other", &s.w.other);
        assert_int_equal(transport_connects(&s, client), HF_E_UNTRUSTED);
        hf_tls_client_free(client);
        free_scene(&s);
    }
}

/* Recovery does not validate the chain, but a server must still hold the key that it shows. */
static void unvalidated_server_still_proves_its_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct scene s;
        struct hf_tls_client *client;
        make_scene(&s, world_versions[i]);
        CHECK_OK(hf_tls_client_new(NULL, NULL, false, &client, NULL));
        CHECK_OK(transport_connects(&s, client));
        tls_server_free(&s.server);
        world_serve(&s.w, &s.server, &s.chain, &s.w.other);
        assert_int_equal(transport_connects(&s, client), HF_E_TLS);
        hf_tls_client_free(client);
        free_scene(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(application_does_not_resume_what_only_the_server_ca_vouched_for),
        cmocka_unit_test(swap_of_the_device_s_store_drops_the_transport_s_sessions),
        cmocka_unit_test(unvalidated_server_still_proves_its_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
