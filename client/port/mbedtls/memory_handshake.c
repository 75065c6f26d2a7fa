#include "client/port/mbedtls/memory_handshake.h"

#include <stdlib.h>
#include <string.h>

/* Turns of both sides, after which a handshake that is not over never will be: it needs a few. */
#define TURNS_MAX 100

/* One direction of the wire. A sender that finds it full goes on when the other has read. */
struct pipe {
    unsigned char data[4096];
    size_t begin, end;
};

struct pair {
    mbedtls_ssl_context client, server;
    struct pipe to_client, to_server;
};

/* ---- the wire ------------------------------------------------------------------------------------- */

static int put(struct pipe *pipe, const unsigned char *data, size_t len)
{
    size_t room, n;

    if (pipe->begin == pipe->end)
        pipe->begin = pipe->end = 0;
    room = sizeof pipe->data - pipe->end;
    if (room == 0)
        return MBEDTLS_ERR_SSL_WANT_WRITE;
    n = len < room ? len : room;
    memcpy(pipe->data + pipe->end, data, n);
    pipe->end += n;
    return (int)n;
}

static int take(struct pipe *pipe, unsigned char *data, size_t len)
{
    size_t there = pipe->end - pipe->begin;
    size_t n = there < len ? there : len;

    if (there == 0)
        return MBEDTLS_ERR_SSL_WANT_READ;
    memcpy(data, pipe->data + pipe->begin, n);
    pipe->begin += n;
    return (int)n;
}

static int client_sends(void *pair, const unsigned char *data, size_t len)
{
    return put(&((struct pair *)pair)->to_server, data, len);
}

static int client_receives(void *pair, unsigned char *data, size_t len)
{
    return take(&((struct pair *)pair)->to_client, data, len);
}

static int server_sends(void *pair, const unsigned char *data, size_t len)
{
    return put(&((struct pair *)pair)->to_client, data, len);
}

static int server_receives(void *pair, unsigned char *data, size_t len)
{
    return take(&((struct pair *)pair)->to_server, data, len);
}

/* ---- the handshake -------------------------------------------------------------------------------- */

static int set_up(struct pair *pair, const mbedtls_ssl_config *client,
                  const mbedtls_ssl_config *server, const char *host)
{
    int code = mbedtls_ssl_setup(&pair->client, client);

    if (code == 0)
        code = mbedtls_ssl_setup(&pair->server, server);
    if (code == 0)
        code = mbedtls_ssl_set_hostname(&pair->client, host);
    mbedtls_ssl_set_bio(&pair->client, pair, client_sends, client_receives, NULL);
    mbedtls_ssl_set_bio(&pair->server, pair, server_sends, server_receives, NULL);
    return code;
}

static bool wants_more(int code)
{
    return code == MBEDTLS_ERR_SSL_WANT_READ || code == MBEDTLS_ERR_SSL_WANT_WRITE;
}

/** A client that fails has said so; one that is up waits for what its server makes of it. */
static bool is_over(const struct hf_memory_handshake *h)
{
    return !wants_more(h->code) && (h->code != 0 || !wants_more(h->server_code));
}

static void run(struct pair *pair, struct hf_memory_handshake *out)
{
    out->code = out->server_code = MBEDTLS_ERR_SSL_WANT_READ;
    for (int turn = 0; turn < TURNS_MAX && !is_over(out); turn++) {
        if (wants_more(out->code))
            out->code = mbedtls_ssl_handshake(&pair->client);
        if (wants_more(out->server_code))
            out->server_code = mbedtls_ssl_handshake(&pair->server);
    }
    out->flags = mbedtls_ssl_get_verify_result(&pair->client);
}

static bool is_out_of_memory(int code)
{
    return code == MBEDTLS_ERR_SSL_ALLOC_FAILED || code == MBEDTLS_ERR_X509_ALLOC_FAILED ||
           code == MBEDTLS_ERR_PK_ALLOC_FAILED || code == MBEDTLS_ERR_ECP_ALLOC_FAILED ||
           code == MBEDTLS_ERR_MPI_ALLOC_FAILED || code == MBEDTLS_ERR_ASN1_ALLOC_FAILED;
}

enum hf_err hf_memory_handshake(const mbedtls_ssl_config *client, const mbedtls_ssl_config *server,
                                const char *host, struct hf_memory_handshake *out,
                                struct hf_why *why)
{
    struct hf_memory_handshake result = {0};
    struct pair *pair = calloc(1, sizeof *pair);
    int code;

    if (pair == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for a handshake in memory");
    mbedtls_ssl_init(&pair->client);
    mbedtls_ssl_init(&pair->server);
    code = set_up(pair, client, server, host);
    if (code == 0)
        run(pair, &result);
    mbedtls_ssl_free(&pair->client);
    mbedtls_ssl_free(&pair->server);
    free(pair);
    if (is_out_of_memory(code) || is_out_of_memory(result.code) ||
        is_out_of_memory(result.server_code))
        return hf_fail(why, HF_E_MEMORY, "no memory for a handshake in memory");
    if (code != 0)
        return hf_fail(why, HF_E_ARGUMENT,
                       "no connection can be set up from this TLS configuration (Mbed TLS error "
                       "-0x%04x); complete it first, its random generator included",
                       (unsigned)-code);
    *out = result;
    return HF_OK;
}
