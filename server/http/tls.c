#include "server/http/tls_contexts.h"

#include <stdlib.h>

struct hf_tls_server {
    uv_mutex_t mutex;
    struct hf_tls_contexts *contexts; /* the current generation: a reference, with the mutex */
    struct hf_tls_tickets tickets;
};

enum hf_err hf_tls_server_new(const struct hf_tls_certificate *certificates, size_t n,
                              struct hf_tls_server **out, struct hf_why *why)
{
    struct hf_tls_server *server = calloc(1, sizeof *server);
    if (server == NULL || uv_mutex_init(&server->mutex) != 0) {
        free(server);
        return hf_fail(why, HF_E_MEMORY, "no memory for TLS");
    }
    enum hf_err err = hf_tls_tickets_init(&server->tickets, hf_tls_tickets_now_s(), why);
    if (err == HF_OK) {
        err = hf_tls_contexts_read(certificates, n, &server->tickets, &server->contexts, why);
        if (err == HF_OK) {
            *out = server;
            return HF_OK;
        }
        hf_tls_tickets_free(&server->tickets);
    }
    uv_mutex_destroy(&server->mutex);
    free(server);
    return err;
}

enum hf_err hf_tls_server_read(struct hf_tls_server *server,
                               const struct hf_tls_certificate *certificates, size_t n,
                               struct hf_tls_contexts **out, struct hf_why *why)
{
    return hf_tls_contexts_read(certificates, n, &server->tickets, out, why);
}

void hf_tls_server_take(struct hf_tls_server *server, struct hf_tls_contexts *fresh)
{
    uv_mutex_lock(&server->mutex);
    struct hf_tls_contexts *before = server->contexts;
    server->contexts = fresh;
    uv_mutex_unlock(&server->mutex);
    hf_tls_contexts_unref(before);
}

enum hf_err hf_tls_server_rotate_tickets(struct hf_tls_server *server, struct hf_why *why)
{
    if (!hf_tls_tickets_rotate(&server->tickets, hf_tls_tickets_now_s()))
        return hf_fail(why, HF_E_MEMORY,
                       "the keys of session tickets cannot be made; the old "
                       "ones stay");
    return HF_OK;
}

struct hf_tls_contexts *hf_tls_server_contexts(struct hf_tls_server *server)
{
    /* The mutex is held for an addition: nothing to wait for beside the cost of a handshake. */
    uv_mutex_lock(&server->mutex);
    struct hf_tls_contexts *contexts = hf_tls_contexts_ref(server->contexts);
    uv_mutex_unlock(&server->mutex);
    return contexts;
}

void hf_tls_server_free(struct hf_tls_server *server)
{
    if (server == NULL)
        return;
    hf_tls_contexts_unref(server->contexts);
    hf_tls_tickets_free(&server->tickets);
    uv_mutex_destroy(&server->mutex);
    free(server);
}
