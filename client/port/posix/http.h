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

#include "client/port/posix/tls_conn.h"
#include "client/port/posix/url.h"

#include <holdfast/port.h>
#include <holdfast/trust_store.h>

#include "common/os/net.h"

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

/* How patient a transport is; for tests, which cannot wait for two minutes. */

void hf_http_transport_set_timeouts(struct hf_http_transport *transport,
                                    struct hf_timeouts timeouts);

/*
 * Which proxy the environment names for a URL, by the rules of curl: http_proxy for http,
 * https_proxy for https, all_proxy for both; no_proxy for exceptions. No I/O.
 *
 * Capitals are understood too, except in HTTP_PROXY: in a CGI program that variable is the request
 * header "Proxy:", so the sender of a request could choose the proxy (CVE-2016-5385 and kin).
 */

#define HF_PROXY_CREDENTIALS_MAX 255 /* bytes of "user:password" */

struct hf_proxy {
    bool is_used; /* false: connect to the server itself */
    struct hf_endpoint peer;
    char authorization[512]; /* value of Proxy-Authorization; empty for none */
};

/** As getenv: borrowed text, or NULL. */
typedef const char *(*hf_env_fn)(const char *name);

/**
 * HF_E_FORMAT, naming the variable but not its value (it may hold a password), when a proxy is
 * named that cannot be used: only `http://[user:password@]host[:port]` is, port 1080 by default.
 */
HF_MUST_USE enum hf_err hf_proxy_pick(const struct hf_url *url, hf_env_fn env, struct hf_proxy *out,
                                      struct hf_why *why);

/**
 * Is `peer` named by `no_proxy`: names, which stand for their subdomains too (with or without a
 * leading dot), addresses, networks ("10.0.0.0/8"), separated by commas or blanks; "*" for all.
 */
bool hf_no_proxy_matches(const char *no_proxy, const struct hf_endpoint *peer);

/*
 * One HTTP/1.1 exchange as bytes (RFC 9110, RFC 9112): the request that is sent, and the answer,
 * parsed as it comes in and refused as soon as something about it is wrong. llhttp does the
 * grammar, in its strict mode; the policy stands here. No I/O.
 */

/** Append a GET of `url`. `etag` NULL for none. With a proxy, the form that a proxy wants. */
HF_MUST_USE enum hf_err hf_http_request_get(const struct hf_url *url, const struct hf_proxy *proxy,
                                            const char *etag, struct hf_buf *out,
                                            struct hf_why *why);

/** Append a CONNECT to `peer`. */
HF_MUST_USE enum hf_err hf_http_request_connect(const struct hf_endpoint *peer,
                                                const struct hf_proxy *proxy, struct hf_buf *out,
                                                struct hf_why *why);

enum hf_answer_kind {
    HF_ANSWER_TO_GET,
    HF_ANSWER_TO_CONNECT, /* 2xx has no body: what follows is the tunnel */
};

#define HF_HEADER_NAME_MAX 24 /* the longest that is looked at, and room */

struct hf_answer {
    /* The answer; final when is_complete. */
    bool has_begun; /* a byte of it has come */
    bool is_complete;
    bool may_reuse; /* the connection can carry another request */
    int status;
    struct hf_buf body;      /* of a 200 */
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
 * One connection that carries HTTP requests, one after the other: to the server or to a proxy,
 * plain or in TLS, through a CONNECT tunnel where both are wanted.
 */

struct hf_http_conn;

/**
 * Connect for requests to `url`'s server by way of `proxy`. `also` NULL: wherever its name leads; else
 * only to public addresses and those of that kind. A proxy looks the name up itself, so that `also`
 * does not matter there. HF_E_NETWORK, and as hf_tls_conn_open.
 */
HF_MUST_USE enum hf_err hf_http_conn_open(struct hf_tls_client *tls, const struct hf_url *url,
                                          const struct hf_proxy *proxy,
                                          const enum hf_address_kind *also,
                                          const struct hf_deadline *deadline,
                                          struct hf_http_conn **out, struct hf_why *why);
/** "TLSv1.3"; empty without TLS; static. */
const char *hf_http_conn_tls_version(const struct hf_http_conn *conn);
void hf_http_conn_close(struct hf_http_conn *conn);

/**
 * Send `request` and read into `answer`, which was initialised for it, until it is complete.
 * After an error, or where the answer says so (may_reuse), the connection is of no more use.
 */
HF_MUST_USE enum hf_err hf_http_conn_exchange(struct hf_http_conn *conn, struct hf_bytes request,
                                              const struct hf_deadline *deadline,
                                              struct hf_answer *answer, struct hf_why *why);

/** The kind of the server's address; HF_ADDRESS_PUBLIC where only a proxy knows it. */
enum hf_address_kind hf_http_conn_kind(const struct hf_http_conn *conn);

/** Could a request to `url` by way of `proxy` go over this connection? */
bool hf_http_conn_serves(const struct hf_http_conn *conn, const struct hf_url *url,
                         const struct hf_proxy *proxy);

/** Still up as far as can be seen without asking, and nothing unasked has come. */
bool hf_http_conn_is_quiet(struct hf_http_conn *conn);

#endif
