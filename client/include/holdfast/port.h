/*
 * What libholdfast needs from the system. Each port is a struct of function pointers with
 * a context, handed back as the first argument. <holdfast/posix.h> fills them for Linux and other
 * POSIX systems; a test, or the firmware of a microcontroller, fills them with its own.
 *
 * Every function that can fail writes one sentence to `why` and leaves its out-parameters alone.
 * The library calls ports from the thread that called it, never from two threads at once.
 */
#ifndef HOLDFAST_PORT_H
#define HOLDFAST_PORT_H

#include <holdfast/anchor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- transport: one HTTP request ------------------------------------------------------------- */

struct hf_request {
    const char *url; /* http:// or https://, absolute */
    /* Sent as If-None-Match to the server of `url`, and to no other that it redirects to; NULL for
     * none. */
    const char *etag;
    size_t max_bytes; /* of the body; a longer one is HF_E_LIMIT as soon as that is known */
    /* Recovery: the server's chain is not validated. Nothing that identifies this device goes over
     * such a connection, no client certificate and no saved session, and it is not reused for other
     * requests. */
    bool waives_validation;
};

#define HF_ETAG_TEXT 128 /* bytes of an entity tag with its quotes and NUL; common ones have 40 */

#define HF_RESPONSE_WAY_MAX 192

struct hf_response {
    int status;         /* 200, 304, 404, … after redirects */
    struct hf_buf body; /* of a 200; empty otherwise */
    /* Of a 200 from the server of the request's URL: exactly one entity tag (RFC 9110, 8.8.3), weak
     * or strong. Empty for anything else: `*`, a list, one that is longer, or from another
     * server. */
    char etag[HF_ETAG_TEXT];
    char tls[16]; /* "TLSv1.3", for the log; empty without TLS or if unknown */
    /* For the log: ", proxy HOST:PORT", ", redirected to HOST"; empty for the straight way. */
    char way[HF_RESPONSE_WAY_MAX];
};

/* Reports to the fleet service, JSON. A port that signs them does it as common/report/signature.h
 * says. */
struct hf_post {
    const char *url;
    struct hf_bytes body;
    int64_t created_s;         /* the device's time, for the signature */
    int timeout_ms;            /* for all of it, from the look-up of the name on */
    size_t max_bytes;          /* of the answer's body; a longer one is HF_E_LIMIT */
    bool needs_new_connection; /* after a swap: neither a kept connection nor a session */
};

struct hf_post_answer {
    int status;
    struct hf_buf body;    /* of every status */
    int64_t retry_after_s; /* negative: it did not say */
};

struct hf_transport_port {
    void *ctx;
    /**
     * GET. HF_OK if a complete answer came, whatever its status. Otherwise HF_E_NETWORK, HF_E_TLS,
     * HF_E_UNTRUSTED where the server's chain did not validate, HF_E_LIMIT, HF_E_FORMAT for a URL
     * or a proxy that cannot be used. The caller frees `out->body`.
     */
    enum hf_err (*fetch)(void *ctx, const struct hf_request *request, struct hf_response *out,
                         struct hf_why *why);
    /** NULL for never. Does it trust an anchor besides the active store, such as the update
     *  server's CA, that is valid today? */
    bool (*has_anchor)(void *ctx);
    /**
     * NULL: this device sends no reports. POST to the fleet service. The server's chain is always
     * validated, the device's certificate may be shown, redirects are not followed. HF_OK if a
     * complete answer came, whatever its status; else as `fetch`. The caller frees `out->body`.
     */
    enum hf_err (*post)(void *ctx, const struct hf_post *post, struct hf_post_answer *out,
                        struct hf_why *why);
};

/* ---- store: must survive a power cut --------------------------------------------------------- */

/* One bundle as kept: the bytes as signed and what was signed about them. */
struct hf_bundle_record {
    char set[65];
    char profile[65];
    int64_t version;      /* 0: the one the device left the factory with */
    char sha256[65];      /* of `pem`, hex */
    struct hf_buf pem;    /* exactly as published */
    struct hf_buf custom; /* the target's signed `custom`, JSON; empty for version 0 */
};
void hf_bundle_record_free(struct hf_bundle_record *record);

enum hf_slot {
    HF_SLOT_ACTIVE,   /* the content of the trust store */
    HF_SLOT_PREVIOUS, /* what was active before */
    HF_SLOT_STAGED,   /* obtained and checked, not in use */
};

enum hf_level { HF_LEVEL_DEBUG, HF_LEVEL_INFO, HF_LEVEL_WARNING, HF_LEVEL_ERROR };

/* One line of the device's journal. */
struct hf_event {
    int64_t time_s;
    enum hf_level level;
    const char *kind; /* stable, for scripts: "refresh", "swap", "refused", … */
    const char *text; /* a sentence */
};

struct hf_store_port {
    void *ctx;

    /* Writes between begin and commit become visible together or not at all, through a power cut
     * too. Not nested. A single write outside is a transaction of its own. abort follows a failure
     * between the two, and a failed commit; without a begin it does nothing. */
    enum hf_err (*begin)(void *ctx, struct hf_why *why);
    enum hf_err (*commit)(void *ctx, struct hf_why *why);
    void (*abort)(void *ctx);

    /* Verified metadata files by role ("root", "timestamp", "snapshot", "targets"), newest only.
     * load: HF_E_NOT_FOUND where there is none; `out` is appended to. remove: no fault if
     * absent. */
    enum hf_err (*load_metadata)(void *ctx, const char *role, struct hf_buf *out,
                                 struct hf_why *why);
    enum hf_err (*save_metadata)(void *ctx, const char *role, int64_t version, struct hf_bytes file,
                                 struct hf_why *why);
    enum hf_err (*remove_metadata)(void *ctx, const char *role, struct hf_why *why);

    /* load: HF_E_NOT_FOUND for an empty slot; the caller frees `out` with hf_bundle_record_free. */
    enum hf_err (*load_bundle)(void *ctx, enum hf_slot slot, struct hf_bundle_record *out,
                               struct hf_why *why);
    /* Fills HF_SLOT_STAGED, replacing its content; the bundle is not used yet. */
    enum hf_err (*stage_bundle)(void *ctx, const struct hf_bundle_record *record,
                                struct hf_why *why);
    /* STAGED becomes ACTIVE, STAGED is empty. ACTIVE becomes PREVIOUS or, with `keeps_previous` and
     * an existing PREVIOUS, is removed. One transaction (or part of the one begun). HF_E_STATE when
     * nothing is staged. */
    enum hf_err (*activate_staged)(void *ctx, bool keeps_previous, struct hf_why *why);
    /* PREVIOUS becomes ACTIVE, the old ACTIVE is removed, PREVIOUS is empty. One transaction (or
     * part of the one begun). HF_E_STATE when there is no PREVIOUS. */
    enum hf_err (*restore_previous)(void *ctx, struct hf_why *why);

    /* Small named values (texts of at most 4 KiB). load: HF_E_NOT_FOUND; `out` is appended to. */
    enum hf_err (*load_value)(void *ctx, const char *name, struct hf_buf *out, struct hf_why *why);
    enum hf_err (*save_value)(void *ctx, const char *name, const char *value, struct hf_why *why);

    /* The keys that the publisher revoked, 32 bytes each (SHA-256 of the SubjectPublicKeyInfo), at
     * most 512. If a bundle can be loaded these must be too, otherwise a revoked root comes back:
     * keep them beside the bundles. load: HF_OK without appending if none were saved; HF_E_STORAGE
     * if that is unknown. save: replaces the list. */
    enum hf_err (*load_revoked)(void *ctx, struct hf_buf *out, struct hf_why *why);
    enum hf_err (*save_revoked)(void *ctx, struct hf_bytes keys, struct hf_why *why);

    /* Bounded by the port: it removes old lines when it is full. */
    enum hf_err (*append_event)(void *ctx, const struct hf_event *event, struct hf_why *why);

    /* Reports that wait to be sent, JSON of at most 4 KiB by number, at most 64 (the library sees
     * to that). NULL, all three: this device sends none. load: in the order of their numbers; first
     * everything that was committed is made durable, because a number that the service has seen
     * must not come again with another report. remove: no fault if absent. */
    enum hf_err (*append_report)(void *ctx, int64_t seq, struct hf_bytes json, struct hf_why *why);
    enum hf_err (*load_reports)(void *ctx,
                                void (*each)(void *each_ctx, int64_t seq, struct hf_bytes json),
                                void *each_ctx, struct hf_why *why);
    enum hf_err (*remove_report)(void *ctx, int64_t seq, struct hf_why *why);
};

/* ---- clock, random, log ---------------------------------------------------------------------- */

struct hf_clock_port {
    void *ctx;
    int64_t (*now_s)(void *ctx); /* seconds since 1970-01-01 UTC, right or wrong */
    /* Milliseconds since any fixed moment; setting the clock does not move it. NULL if there is
     * none: then only the limits of the transport end a slow check. */
    int64_t (*uptime_ms)(void *ctx);
};

struct hf_random_port {
    void *ctx;
    void (*fill)(void *ctx, void *out, size_t len); /* cryptographically good */
};

struct hf_log_port {
    void *ctx;
    void (*write)(void *ctx, enum hf_level level, const char *text); /* one line, no newline */
};

/* ---- the active trust store ------------------------------------------------------------------ */

struct hf_trust_port {
    void *ctx;
    /* New handshakes use exactly `anchors` from now on; on failure nothing
     * changes. <holdfast/trust_store.h> has the port for Mbed TLS. */
    enum hf_err (*swap)(void *ctx, const struct hf_trust_anchor *anchors, size_t n_anchors,
                        struct hf_why *why);
    /* The time for certificates is never below this. */
    void (*set_clock_floor)(void *ctx, int64_t floor_s);
};

/* ---- the device's own endpoints -------------------------------------------------------------- */

/* What a handshake offers: one version of TLS, and server keys of one type or of any. A server may
 * show a different chain for each, as AWS IoT does. */
enum hf_offer {
    HF_OFFER_TLS13_RSA, /* only signatures by RSA keys */
    HF_OFFER_TLS13_ECC, /* only signatures by keys on elliptic curves */
    HF_OFFER_TLS13_ANY,
    HF_OFFER_TLS12_RSA,
    HF_OFFER_TLS12_ECC,
    HF_OFFER_TLS12_ANY,
};

struct hf_anchor_set {
    const struct hf_trust_anchor *anchors; /* borrowed */
    size_t n_anchors;
    /* A chain under this set alone is judged, but gets no client certificate. */
    bool is_judged_only;
};

/* A root, its cross-signed twins and those above them. */
#define HF_OBSERVED_ANCHORS_MAX 16

/* The result of one handshake. */
struct hf_chain_observation {
    bool has_proof; /* the server proved that it holds the key of its certificate */
    /* It also sent the certificates above: an attacker on the network cannot have replaced them. In
     * TLS 1.3 that is the same proof, in TLS 1.2 it comes with the end of the handshake. */
    bool has_chain_proof;
    char issuer[256];          /* of the topmost certificate it sent, for people; may be empty */
    int64_t leaf_not_before_s; /* of its own certificate; valid with proof */
    int64_t leaf_not_after_s;
    /* SPKI SHA-256 of those anchors, of all sets, that the chain validates under, each by
     * itself. */
    uint8_t anchors[HF_OBSERVED_ANCHORS_MAX][32];
    size_t n_anchors;
    char text[HF_WHY_MAX]; /* without proof: why, such as "connection refused"; with proof: why the
                            * last set does not validate its chain, or empty */
    /* All that is wrong: the last set has no anchor with the name of the issuer that was not
     * sent. */
    bool lacks_only_anchor;
};

/* Zero for a device without endpoints. */
struct hf_endpoint_port {
    void *ctx;
    size_t n_endpoints; /* at most HF_ENDPOINTS_MAX */

    /* "mqtts://HOST:8883", as configured; live as long as the port. */
    const char *(*name)(void *ctx, size_t endpoint);

    /**
     * One TLS handshake, without data of the application's protocol. The chain shown is verified
     * against each of the `n_sets` by itself, for the endpoint's name and at the time that the
     * trust port judges by; `is_valid[i]` says with what result, and is false without proof.
     *
     * HF_OK whatever the server did. Errors are faults of this device: HF_E_MEMORY, HF_E_POLICY
     * if its verification is switched off, …
     */
    enum hf_err (*probe)(void *ctx, size_t endpoint, enum hf_offer offer,
                         const struct hf_anchor_set *sets, size_t n_sets, bool *is_valid,
                         struct hf_chain_observation *out, struct hf_why *why);
};
#define HF_ENDPOINTS_MAX 8

/* ---- the device's own private key, where it is no file --------------------------------------- */

/*
 * For firmware whose key is in a secure element or another place that keeps it:
 * hf_posix_use_device_key. A P-256 or P-384 key serves TLS 1.2 and 1.3; an RSA key serves TLS 1.2
 * only, because Mbed TLS 3.6 makes the signature of TLS 1.3 (RSA-PSS) only with keys that it holds
 * itself.
 */
struct hf_device_key {
    void *ctx;
    /* Append the SubjectPublicKeyInfo in DER (RFC 5280, 4.1.2.7). HF_E_KEY in words. */
    enum hf_err (*public_key)(void *ctx, struct hf_buf *out, struct hf_why *why);
    /* Sign a digest; 32 bytes are SHA-256, 48 SHA-384, 64 SHA-512. Append the signature: ECDSA as
     * ECDSA-Sig-Value in DER (RFC 3279, 2.2.3), RSA as PKCS#1 v1.5 with the DigestInfo of that hash
     * (RFC 8017, 8.2.1). Called within a TLS handshake. HF_E_KEY in words; `why` may be NULL. */
    enum hf_err (*sign)(void *ctx, struct hf_bytes digest, struct hf_buf *signature,
                        struct hf_why *why);
};

struct hf_ports {
    struct hf_transport_port transport;
    struct hf_store_port store;
    struct hf_clock_port clock;
    struct hf_random_port random;
    struct hf_log_port log;
    struct hf_trust_port trust;
    struct hf_endpoint_port endpoints;
};

#ifdef __cplusplus
}
#endif

#endif
