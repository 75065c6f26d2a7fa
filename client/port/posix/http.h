/*
 * The transport port over sockets: HTTP/1.1 with keep-alive, plain or over TLS with SNI, through a
 * proxy where the environment names one (http_proxy, https_proxy, all_proxy, no_proxy). Answers are
 * parsed by llhttp, every wait has a deadline (limits.h), redirects are followed as url.h says.
 * An entity tag is sent to the server of the URL asked for, and taken from it, and to no other.
 *
 * HTTPS is validated against the device's own store and, besides, the update server's own CA. A
 * request that waives this goes over a connection of its own, as do the redirects it meets.
 */
#ifndef HF_CLIENT_PORT_POSIX_HTTP_H
#define HF_CLIENT_PORT_POSIX_HTTP_H

#include "client/port/identity/client_auth.h"
#include "client/port/identity/service.h"
#include "client/port/posix/shown_identity.h"
#include "client/port/posix/url.h"

#include <holdfast/port.h>
#include <holdfast/trust_store.h>

#include "common/os/net.h"
#include "common/report/signature.h"

#include <llhttp.h>

struct hf_http_transport;

/** `store` is borrowed and must outlive it. `server_ca_pem` may be NULL. `has_legacy_ciphers` as in
 *  struct hf_posix_config. */
HF_MUST_USE enum hf_err hf_http_transport_new(struct hf_trust_store *store,
                                              const char *server_ca_pem, bool has_legacy_ciphers,
                                              struct hf_http_transport **out, struct hf_why *why);
/** Hosts that any server may redirect to; none in a new transport. Copied. */
void hf_http_transport_allow_redirects(struct hf_http_transport *transport,
                                       const struct hf_redirect_targets *targets);
void hf_http_transport_free(struct hf_http_transport *transport);
struct hf_transport_port hf_http_transport_port(struct hf_http_transport *transport);

/** Close kept-alive connections; called after a run of requests. */
void hf_http_transport_idle(struct hf_http_transport *transport);

/**
 * Show servers the certificate that `identity` gives, from now on: to the server of the URL that is
 * asked, if its chain validates, and to no other that it redirects to. Taken; NULL for none.
 */
void hf_http_transport_identify_take(struct hf_http_transport *transport,
                                     struct hf_shown_identity *identity);
/** Load it again at the next request. */
void hf_http_transport_forget_identity(struct hf_http_transport *transport);
/** Did the server that answered the last fetch ask for a new certificate (Holdfast-Rotate)? It was
 *  shown this one, at the origin of the URL that was fetched. Only the device's own service may
 *  ask: fetch from that. */
bool hf_http_transport_asks_for_rotation(const struct hf_http_transport *transport);

/**
 * One request to the fleet service's API, over a connection of its own that is closed after it. The
 * server's chain is always validated, redirects are not followed, and nothing is repeated. HF_OK
 * whatever the status; HF_E_ARGUMENT for a URL that is not https; else as a fetch. The caller frees
 * `out->body`.
 */
HF_MUST_USE enum hf_err hf_http_transport_call(struct hf_http_transport *transport,
                                               const struct hf_api_request *request,
                                               struct hf_api_response *out, struct hf_why *why);

/** Sign reports with the key of `seed`, from now on, or none with NULL. Copied. */
void hf_http_transport_sign_reports(struct hf_http_transport *transport,
                                    const uint8_t seed[HF_REPORT_KEY_LEN]);

/** For tests, which cannot wait for two minutes. */
void hf_http_transport_set_timeouts(struct hf_http_transport *transport,
                                    struct hf_timeouts timeouts);

/*
 * One HTTP/1.1 exchange as bytes (RFC 9110, RFC 9112): the request that is sent, and the answer,
 * parsed as it comes in and refused as soon as something about it is wrong. llhttp does the
 * grammar, in its strict mode; the policy is in http_message.c. No I/O.
 */

/** Append a GET of `url`. `etag` NULL for none. With a proxy, the form that a proxy wants. */
HF_MUST_USE enum hf_err hf_http_request_get(const struct hf_url *url, const struct hf_proxy *proxy,
                                            const char *etag, struct hf_buf *out,
                                            struct hf_why *why);

/** Append a request of the fleet service's API: `method`, and `json` as its body unless that is
 *  empty. Over https only, so no proxy sees it. */
HF_MUST_USE enum hf_err hf_http_request_api(const struct hf_url *url, const char *method,
                                            struct hf_bytes json, struct hf_buf *out,
                                            struct hf_why *why);

/** Append a POST of reports. `signature` NULL: not signed. */
HF_MUST_USE enum hf_err hf_http_request_post(const struct hf_url *url, const struct hf_proxy *proxy,
                                             struct hf_bytes json,
                                             const struct hf_report_headers *signature,
                                             struct hf_buf *out, struct hf_why *why);

/** Append a CONNECT to `peer`. */
HF_MUST_USE enum hf_err hf_http_request_connect(const struct hf_endpoint *peer,
                                                const struct hf_proxy *proxy, struct hf_buf *out,
                                                struct hf_why *why);

enum hf_answer_kind {
    HF_ANSWER_TO_GET,
    HF_ANSWER_TO_CONNECT, /* 2xx has no body: what follows is the tunnel */
    HF_ANSWER_TO_API,     /* the body of every status is kept: an error says in it what is wrong */
};

#define HF_HEADER_NAME_MAX 24                /* the longest that is looked at, and room */
#define HF_RETRY_AFTER_MAX_S INT64_C(604800) /* a week; a longer Retry-After counts as this */
#define HF_RETRY_AFTER_NONE (-1)

struct hf_answer {
    /* The answer; final when is_complete. */
    bool has_begun; /* a byte of it has come */
    bool is_complete;
    bool may_reuse; /* the connection can carry another request */
    int status;
    struct hf_buf body;      /* of a 200; of every status with HF_ANSWER_TO_API */
    int64_t retry_after_s;   /* HF_RETRY_AFTER_NONE without one, or with a date */
    bool asks_for_rotation;  /* "Holdfast-Rotate: requested" */
    bool is_problem;         /* "Content-Type: application/problem+json" */
    char etag[HF_ETAG_TEXT]; /* empty unless there is exactly one, well-formed and short enough */
    char location[HF_URL_MAX + 1];

    /* How it is read. */
    enum hf_answer_kind kind;
    size_t max_bytes;
    llhttp_t parser;
    struct hf_why failure; /* what a callback refused; code HF_OK while nothing */
    size_t since_body; /* bytes since the last one of the body: bounds headers, trailers, chunks */
    uint64_t n_body;   /* bytes of bodies, kept or not */
    uint64_t framing;  /* all other bytes: the first bound restarts with each piece of the body */
    const char *body_end; /* where the body ended in the bytes that are being fed, or NULL */
    uint64_t discarded;   /* body bytes of an answer whose body is not needed */
    char name[HF_HEADER_NAME_MAX];
    size_t name_len; /* may be more than fits */
    char value[HF_URL_MAX + 1];
    size_t value_len;                        /* may be more than fits */
    bool has_length, has_encoding, has_etag; /* of the answer being read */
    bool is_trailer;                         /* headers after the body say nothing */
};

/** `max_bytes` of the body of a 200. hf_answer_free it in the end. */
void hf_answer_init(struct hf_answer *answer, enum hf_answer_kind kind, size_t max_bytes);
void hf_answer_free(struct hf_answer *answer);

/**
 * The next bytes as they came. HF_OK: look at is_complete, feed on if it is not. HF_E_NETWORK for
 * what is not one strict answer (bytes after its end included: nothing more was asked for),
 * HF_E_LIMIT for a body or header beyond its maximum. Not to be fed after an error or its end.
 */
HF_MUST_USE enum hf_err hf_answer_feed(struct hf_answer *answer, struct hf_bytes data,
                                       struct hf_why *why);

/** The peer has closed: completes an answer that ends so, HF_E_NETWORK for any other. */
HF_MUST_USE enum hf_err hf_answer_end(struct hf_answer *answer, struct hf_why *why);

/*
 * The transport's TLS: a client that trusts the device's live store and, besides, the update
 * server's own CA, and that says in words why it does not trust a server.
 */

/* What all connections of one transport share, saved sessions too. For one thread. */
struct hf_tls_client;

/**
 * Both stores are borrowed and must outlive it. `server_ca` may be NULL. `device` NULL: a client
 * that does not judge the server's chain, for recovery. Then a server only has to hold the key of
 * the certificate that it shows; no session is offered or kept, and no certificate shown.
 * `has_legacy_ciphers` as in struct hf_tls_offer. HF_E_TLS, HF_E_MEMORY.
 */
HF_MUST_USE enum hf_err hf_tls_client_new(struct hf_trust_store *device,
                                          struct hf_trust_store *server_ca, bool has_legacy_ciphers,
                                          struct hf_tls_client **out, struct hf_why *why);
/** No connection of it may be open any more. */
void hf_tls_client_free(struct hf_tls_client *client);

/** Show `auth`, which must outlive the client, to servers that ask for a certificate and whose
 *  chain validates. Not for a client that does not judge chains: HF_E_STATE. HF_E_TLS. */
HF_MUST_USE enum hf_err hf_tls_client_show(struct hf_tls_client *client,
                                           struct hf_client_auth *auth, struct hf_why *why);

struct hf_tls_conn;

/**
 * Handshake with `peer` over `fd`, which stays the caller's, resuming a saved session where there
 * is one. HF_E_UNTRUSTED: its chain is not valid; HF_E_TLS, HF_E_NETWORK, HF_E_MEMORY.
 */
HF_MUST_USE enum hf_err hf_tls_conn_open(struct hf_tls_client *client, int fd,
                                         const struct hf_endpoint *peer,
                                         const struct hf_deadline *deadline,
                                         struct hf_tls_conn **out, struct hf_why *why);
/** "TLSv1.3"; static. */
const char *hf_tls_conn_version(const struct hf_tls_conn *conn);
void hf_tls_conn_close(struct hf_tls_conn *conn);

/** As hf_net_send and hf_net_receive; an end without close_notify is an error, it may be a cut. */
HF_MUST_USE enum hf_err hf_tls_conn_send(struct hf_tls_conn *conn, struct hf_bytes data,
                                         const struct hf_deadline *deadline, struct hf_why *why);
HF_MUST_USE enum hf_err hf_tls_conn_receive(struct hf_tls_conn *conn, void *data, size_t cap,
                                            const struct hf_deadline *deadline, size_t *out_len,
                                            struct hf_why *why);

/** Nothing has come but, perhaps, session tickets. */
bool hf_tls_conn_is_quiet(struct hf_tls_conn *conn);

#endif
