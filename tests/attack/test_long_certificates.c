/*
 * Certificate messages of more than one record: up to 64 KiB they are read, whatever the records
 * are like, and a hostile server gets no more memory or time than that. Other messages stay within
 * one record.
 */
#include "tests/support/check.h"

#include "common/tls/handshake.h"
#include "tests/support/tls_by_hand.h"
#include "tests/support/trust_world.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <time.h>

#define MESSAGE_MAX 65536 /* bytes, with its header of 4 */
#define PADDING_MAX 15000 /* of one certificate */
#define CERTS_MAX 64

/* The leaf, certificates that it does not need, and the intermediate that it needs. */
struct list {
    struct hf_buf ders[CERTS_MAX];
    struct hf_bytes certs[CERTS_MAX];
    size_t n;
};

static void add(struct list *list, const struct pki_cert *cert)
{
    assert_in_range(list->n, 0, CERTS_MAX - 1);
    pki_issue(cert, &list->ders[list->n]);
    list->certs[list->n] = hf_buf_bytes(&list->ders[list->n]);
    list->n++;
}

static void add_padding(struct world *w, struct list *list, size_t len)
{
    static const uint8_t zeros[PADDING_MAX];
    const struct pki_extension padding = {hf_bytes_of_text("\x2a\x03\x04"), false, {zeros, len}};
    add(list, &(struct pki_cert){.subject = "CN=Unneeded",
                                 .key = &w->other,
                                 .is_ca = true,
                                 .extensions = {padding}});
}

static size_t message_len(const struct world *w, const struct list *list)
{
    struct hf_buf message = {0};
    tls_by_hand_certificate(w->version, list->certs, list->n, &message);
    size_t len = message.len;
    hf_buf_free(&message);
    return len;
}

static void list_free(struct list *list)
{
    for (size_t i = 0; i < list->n; i++)
        hf_buf_free(&list->ders[i]);
    *list = (struct list){0};
}

static void list_make(struct world *w, struct list *list, size_t padding)
{
    *list = (struct list){0};
    add(list, &(struct pki_cert){.subject = "CN=x",
                                 .key = &w->leaf,
                                 .issuer = "CN=Middle",
                                 .issuer_key = &w->middle,
                                 .dns_name = TLS_HOST});
    for (size_t len; padding > 0; padding -= len) {
        len = padding < PADDING_MAX ? padding : PADDING_MAX;
        add_padding(w, list, len);
    }
    add(list, &(struct pki_cert){.subject = "CN=Middle",
                                 .key = &w->middle,
                                 .issuer = "CN=Root",
                                 .issuer_key = &w->root,
                                 .is_ca = true});
}

/* A list whose message has exactly `len` bytes. A signature is a byte or two longer or shorter each
 * time. */
static void list_of(struct world *w, size_t len, struct list *list)
{
    size_t padding = len - 4000;
    for (;;) {
        list_make(w, list, padding);
        size_t made = message_len(w, list);
        if (made == len)
            return;
        list_free(list);
        padding = padding + len - made;
    }
}

static bool has_passed(const struct world *w, const mbedtls_ssl_context *client, int code)
{
    return code == MBEDTLS_ERR_SSL_WANT_READ && mbedtls_ssl_get_verify_result(client) == 0 &&
           client->MBEDTLS_PRIVATE(state) == (w->version == MBEDTLS_SSL_VERSION_TLS1_2
                                                  ? MBEDTLS_SSL_SERVER_KEY_EXCHANGE
                                                  : MBEDTLS_SSL_CERTIFICATE_VERIFY);
}

static size_t buffer_len(const mbedtls_ssl_context *client)
{
    return client->MBEDTLS_PRIVATE(in_buf_len);
}

/** A connection up to the Certificate message, whose server holds w->leaf and is trusted. */
static void begin(struct world *w, struct tls_by_hand *h)
{
    world_trust_root(w, "CN=Root", &w->root);
    tls_by_hand_begin(h, &w->config, w->version, TLS_HOST, false);
}

static void check_read(struct world *w, size_t len, size_t record_len)
{
    static struct tls_by_hand h;
    mbedtls_ssl_context *client = &h.pair.client;
    struct hf_buf message = {0};
    struct list list;

    list_of(w, len, &list);
    tls_by_hand_certificate(w->version, list.certs, list.n, &message);
    begin(w, &h);
    size_t before = buffer_len(client);
    int code = tls_by_hand_send(&h, (struct hf_bytes){message.data, record_len}, record_len);
    if (len > record_len) {
        assert_int_equal(code, MBEDTLS_ERR_SSL_WANT_READ);
        assert_int_equal(buffer_len(client), before + 5 + len); /* the message, and one record */
        code = tls_by_hand_send(&h, (struct hf_bytes){message.data + record_len, len - record_len},
                                record_len);
    }
    assert_true(has_passed(w, client, code));
    assert_int_equal(buffer_len(client), before);
    tls_by_hand_end(&h);
    hf_buf_free(&message);
    list_free(&list);
}

static void list_up_to_the_bound_is_read(void **state)
{
    struct world *w = *state;
    const size_t lens[] = {16384, 16385, 20000, 40000, MESSAGE_MAX};
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        check_read(w, lens[i], TLS_RECORD_MAX);
        check_read(w, lens[i], 1000);
    }
}

/* The shortest records: the first one has the header of the message. */
static void list_that_drips_costs_memory_once_and_little_time(void **state)
{
    struct world *w = *state;
    clock_t begun = clock();
    check_read(w, MESSAGE_MAX, 4);
    assert_true((double)(clock() - begun) / CLOCKS_PER_SEC < 20); /* with ASan; else far below 1 */
}

/* ---- too long -------------------------------------------------------------------------------- */

static void check_refused(struct tls_by_hand *h, struct hf_bytes message, size_t buffer)
{
    mbedtls_ssl_context *client = &h->pair.client;
    struct hf_why why = {.text = "untouched"};
    h->pair.to_server.begin = h->pair.to_server.end = 0;
    assert_int_equal(tls_by_hand_send(h, message, TLS_RECORD_MAX),
                     MBEDTLS_ERR_SSL_BUFFER_TOO_SMALL);
    assert_int_equal(buffer_len(client), buffer);
    assert_int_not_equal(h->pair.to_server.end, 0); /* an alert */
    if (h->version == MBEDTLS_SSL_VERSION_TLS1_2)
        assert_int_equal(h->pair.to_server.data[h->pair.to_server.end - 1],
                         MBEDTLS_SSL_ALERT_MSG_ILLEGAL_PARAMETER);
    /* The rest of the message is not there to be looked at. */
    hf_handshake_name_certificate(client, &why);
    assert_string_equal(why.text, "untouched");
    assert_int_equal(hf_handshake_fail(MBEDTLS_ERR_SSL_BUFFER_TOO_SMALL, &why), HF_E_TLS);
    assert_non_null(strstr(why.text, "64 KiB for its list of certificates"));
}

/** The header of a message of `len` bytes with it, and 100 bytes more. */
static struct hf_bytes announced(uint8_t type, size_t len, uint8_t out[104])
{
    memset(out, 0, 104);
    out[0] = type;
    for (size_t i = 0; i < 3; i++)
        out[1 + i] = (uint8_t)((len - 4) >> 8 * (2 - i));
    return (struct hf_bytes){out, 104};
}

static void longer_list_is_refused_at_its_header(void **state)
{
    struct world *w = *state;
    const size_t lens[] = {MESSAGE_MAX + 1, (1 << 24) + 3};
    static struct tls_by_hand h;
    uint8_t bytes[104];

    for (size_t i = 0; i < 2; i++) {
        begin(w, &h);
        check_refused(&h, announced(MBEDTLS_SSL_HS_CERTIFICATE, lens[i], bytes),
                      buffer_len(&h.pair.client));
        tls_by_hand_end(&h);
    }
}

static void other_messages_stay_short(void **state)
{
    struct world *w = *state;
    const uint8_t types[] = {MBEDTLS_SSL_HS_SERVER_KEY_EXCHANGE, MBEDTLS_SSL_HS_CERTIFICATE_VERIFY,
                             MBEDTLS_SSL_HS_CERTIFICATE_REQUEST, MBEDTLS_SSL_HS_FINISHED,
                             MBEDTLS_SSL_HS_CERTIFICATE};
    static struct tls_by_hand h;
    struct hf_buf message = {0};
    struct list list;
    uint8_t bytes[104];

    list_of(w, 20000, &list);
    tls_by_hand_certificate(w->version, list.certs, list.n, &message);
    for (size_t i = 0; i < sizeof types; i++) {
        begin(w, &h);
        size_t before = buffer_len(&h.pair.client);
        if (types[i] != MBEDTLS_SSL_HS_CERTIFICATE) { /* in the place of the list */
            check_refused(&h, announced(types[i], 20000, bytes), before);
            tls_by_hand_end(&h);
            begin(w, &h);
        }
        /* Behind the list, whose buffer is given back first. */
        assert_int_equal(tls_by_hand_send(&h, hf_buf_bytes(&message), TLS_RECORD_MAX),
                         MBEDTLS_ERR_SSL_WANT_READ);
        check_refused(&h, announced(types[i], 20000, bytes), before);
        tls_by_hand_end(&h);
    }
    hf_buf_free(&message);
    list_free(&list);
}

/* ---- what Mbed TLS keeps of a list ----------------------------------------------------------- */

/** The certificates that the client keeps of a list with `n` between the leaf and the
 *  intermediate. */
static size_t kept_of(struct world *w, const struct pki_cert *between, size_t n, bool *is_accepted)
{
    static struct tls_by_hand h;
    struct hf_buf message = {0}, der = {0};
    struct hf_bytes certs[CERTS_MAX + 40];
    struct list list;
    size_t n_kept = 0;

    assert_in_range(n, 1, CERTS_MAX + 38);
    list_make(w, &list, 0);
    pki_issue(between, &der);
    certs[0] = list.certs[0];
    for (size_t i = 1; i <= n; i++)
        certs[i] = hf_buf_bytes(&der);
    certs[n + 1] = list.certs[1];
    tls_by_hand_certificate(w->version, certs, n + 2, &message);
    begin(w, &h);
    int code = tls_by_hand_send(&h, hf_buf_bytes(&message), TLS_RECORD_MAX);
    *is_accepted = has_passed(w, &h.pair.client, code);
    const mbedtls_ssl_session *session = h.pair.client.MBEDTLS_PRIVATE(session_negotiate);
    for (const mbedtls_x509_crt *kept = session->MBEDTLS_PRIVATE(peer_cert); kept != NULL;
         kept = kept->next)
        n_kept++;
    tls_by_hand_end(&h);
    hf_buf_free(&message);
    hf_buf_free(&der);
    list_free(&list);
    return n_kept;
}

static void what_is_behind_the_64th_is_not_kept(void **state)
{
    struct world *w = *state;
    const struct pki_cert unneeded = {.subject = "CN=Unneeded", .key = &w->other, .is_ca = true};
    bool is_accepted;

    assert_int_equal(kept_of(w, &unneeded, 62, &is_accepted), 64);
    assert_true(is_accepted);
    (void)kept_of(w, &unneeded, 100, &is_accepted);
    assert_false(is_accepted); /* the intermediate came too late */
}

/* One signature under such a key takes a third of a second. */
static void keys_with_long_exponents_are_not_kept(void **state)
{
    struct world *w = *state;
    struct pki_key slow;
    bool is_accepted;

    pki_key_make_public(&slow, 1024);
    const struct pki_cert ca = {.subject = "CN=Middle",
                                .key = &slow,
                                .issuer = "CN=Root",
                                .issuer_key = &w->other,
                                .is_ca = true};
    assert_int_equal(kept_of(w, &ca, 10, &is_accepted), 2);
    assert_true(is_accepted);
    pki_key_free(&slow);
    pki_key_make_public(&slow, 4);
    assert_int_equal(kept_of(w, &ca, 10, &is_accepted), 12);
    assert_true(is_accepted);
    pki_key_free(&slow);
}

/* ---- OpenSSL's server, up to data ------------------------------------------------------------ */

static SSL_CTX *openssl_server(const struct world *w, const struct list *list)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    int version = w->version == MBEDTLS_SSL_VERSION_TLS1_2 ? TLS1_2_VERSION : TLS1_3_VERSION;
    struct hf_buf pem = {0};

    assert_true(ctx != NULL && SSL_CTX_set_min_proto_version(ctx, version) == 1 &&
                SSL_CTX_set_max_proto_version(ctx, version) == 1);
    pki_key_append_pem(&w->leaf, &pem);
    BIO *bio = BIO_new_mem_buf(pem.data, (int)strlen((const char *)pem.data));
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
    for (size_t i = 0; i < list->n; i++) {
        const unsigned char *der = list->certs[i].data;
        X509 *cert = d2i_X509(NULL, &der, (long)list->certs[i].len);
        assert_non_null(cert);
        if (i == 0) {
            assert_int_equal(SSL_CTX_use_certificate(ctx, cert), 1);
            X509_free(cert);
        } else {
            assert_int_equal(SSL_CTX_add_extra_chain_cert(ctx, cert), 1);
        }
    }
    EVP_PKEY_free(key);
    BIO_free(bio);
    hf_buf_free(&pem);
    return ctx;
}

static int to_openssl(void *ssl, const unsigned char *data, size_t len)
{
    return BIO_write(SSL_get_rbio(ssl), data, (int)len);
}

static int from_openssl(void *ssl, unsigned char *data, size_t len)
{
    int n = BIO_read(SSL_get_wbio(ssl), data, (int)len);
    return n > 0 ? n : MBEDTLS_ERR_SSL_WANT_READ;
}

static void list_of_openssl_is_read_and_its_memory_given_back(void **state)
{
    struct world *w = *state;
    mbedtls_ssl_context client;
    struct list list;
    char data[4] = "";

    list_of(w, 40000, &list);
    world_trust_root(w, "CN=Root", &w->root);
    SSL_CTX *ctx = openssl_server(w, &list);
    SSL *server = SSL_new(ctx);
    SSL_set_bio(server, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    mbedtls_ssl_init(&client);
    assert_int_equal(mbedtls_ssl_setup(&client, &w->config), 0);
    assert_int_equal(mbedtls_ssl_set_hostname(&client, TLS_HOST), 0);
    mbedtls_ssl_set_bio(&client, server, to_openssl, from_openssl, NULL);
    size_t before = buffer_len(&client);
    int code = MBEDTLS_ERR_SSL_WANT_READ;
    for (int round = 0; round < 10 && code == MBEDTLS_ERR_SSL_WANT_READ; round++) {
        code = mbedtls_ssl_handshake(&client);
        (void)SSL_accept(server);
    }
    assert_int_equal(code, 0);
    assert_int_equal(mbedtls_ssl_get_verify_result(&client), 0);
    assert_int_equal(buffer_len(&client), before);
    assert_int_equal(SSL_accept(server), 1);
    assert_int_equal(SSL_write(server, "yes", 3), 3);
    for (int round = 0; round < 10 && code != 3; round++) /* tickets come first */
        code = mbedtls_ssl_read(&client, (unsigned char *)data, 3);
    assert_int_equal(code, 3);
    assert_string_equal(data, "yes");
    mbedtls_ssl_free(&client);
    SSL_free(server);
    SSL_CTX_free(ctx);
    list_free(&list);
}

/* ---- each in both versions ------------------------------------------------------------------- */

static int set_up_12(void **state)
{
    static struct world w;
    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_2);
    *state = &w;
    return 0;
}

static int set_up_13(void **state)
{
    static struct world w;
    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_3);
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    world_free(*state);
    return 0;
}

#define BOTH(test)                                                                                 \
    {"TLS 1.2: " #test, test, set_up_12, tear_down, NULL},                                         \
    {                                                                                              \
        "TLS 1.3: " #test, test, set_up_13, tear_down, NULL                                        \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(list_up_to_the_bound_is_read),
        BOTH(list_that_drips_costs_memory_once_and_little_time),
        BOTH(longer_list_is_refused_at_its_header),
        BOTH(other_messages_stay_short),
        BOTH(what_is_behind_the_64th_is_not_kept),
        BOTH(keys_with_long_exponents_are_not_kept),
        BOTH(list_of_openssl_is_read_and_its_memory_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
