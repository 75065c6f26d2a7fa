/*
 * Who is there? One function decides about a client, in the handshake, after a ticket was resumed
 * and at each request. It tries AWS IoT's rules in this order, and the first that matches decides:
 *
 *   1 no SNI                                    missing_extension (TLS 1.2: handshake_failure);
 *                                               SNI optional: as mode DEFAULT says
 *     the name of no account                    unrecognized_name
 *   2 no client certificate                     what the account's policy says
 *   3 unknown, of a CA with auto-registration   registered once possession of the key is proved
 *   4 unknown otherwise                         unknown_ca
 *   5 registered for another account            unknown_ca
 *   6 REVOKED                                   certificate_revoked
 *     INACTIVE, PENDING_*                       bad_certificate
 *   7 outside its dates                         certificate_expired
 *   8 key or signature outside the tables       unsupported_certificate
 *
 * Row 3 admits nothing: the handshake goes on so that the client proves possession, then the
 * certificate is registered and the connection closed. No I/O; the caller brings the clock. From
 * any thread, without a lock.
 */
#ifndef HF_IDENTITY_IDENTITY_H
#define HF_IDENTITY_IDENTITY_H

#include "server/identity/directory.h"
#include "server/identity/registry.h"

/* TLS alerts (RFC 8446, 6), by their numbers on the wire. */
enum hf_alert {
    HF_ALERT_NONE = 0, /* close_notify, which refuses nothing */
    HF_ALERT_HANDSHAKE_FAILURE = 40,
    HF_ALERT_BAD_CERTIFICATE = 42,
    HF_ALERT_UNSUPPORTED_CERTIFICATE = 43,
    HF_ALERT_CERTIFICATE_REVOKED = 44,
    HF_ALERT_CERTIFICATE_EXPIRED = 45,
    HF_ALERT_UNKNOWN_CA = 48,
    HF_ALERT_MISSING_EXTENSION = 109,
    HF_ALERT_UNRECOGNIZED_NAME = 112,
    HF_ALERT_CERTIFICATE_REQUIRED = 116,
};

/* What is decided with: one moment's directory, the registry, and the clock. */
struct hf_identity_view {
    const struct hf_directory *directory;
    const struct hf_registry *registry;
    int64_t now_s;
};

/* ---- ClientHello ----------------------------------------------------------------------------- */

enum hf_hello_policy {
    HF_HELLO_REFUSE = 0, /* with the alert */
    HF_HELLO_OPTIONAL,   /* ask for a certificate; go on without one */
    HF_HELLO_REQUIRE,    /* go on with a certificate only */
};

struct hf_hello {
    enum hf_hello_policy policy;
    enum hf_alert alert;
    uint32_t account; /* that SNI names; 0: no SNI. The tag of the connection */
    const char *sentence;
};

/** Row 1, and what row 2 will say. `sni` NULL: none was sent. `is_tls13`: will this handshake be
 *  TLS 1.3? */
void hf_identity_hello(const struct hf_identity_view *view, const char *sni, bool is_tls13,
                       struct hf_hello *out);

/* ---- the decision ---------------------------------------------------------------------------- */

enum hf_admission {
    HF_REFUSED = 0,
    HF_ADMITTED,
    HF_MUST_REGISTER, /* row 3: by `ca`, in `account`; admitted to nothing */
};

/* What is known of a connection. All is borrowed. */
struct hf_identity_question {
    uint32_t account; /* hf_hello.account */
    unsigned tls_version;
    const struct hf_client_cert *cert; /* NULL: no certificate */
    X509 *x509;                        /* the same; NULL where row 3 cannot come about any more */
};

struct hf_identity {
    enum hf_admission admission;
    unsigned row; /* that decided; 0: all of them passed */
    enum hf_alert alert;
    const char *sentence; /* why it is refused; "" otherwise */

    bool has_certificate;
    uint32_t account;                /* 0 when refused without one */
    enum hf_anonymous anonymous;     /* what it may do, without a certificate */
    struct hf_registered registered; /* with one that is admitted */
    const struct hf_ca *ca;          /* HF_MUST_REGISTER; lives as long as the directory */
};

/** Rows 1 to 8. */
void hf_identity_decide(const struct hf_identity_view *view,
                        const struct hf_identity_question *question, struct hf_identity *out);

/** After a ticket was resumed, with the certificate of the session it came from and this
 *  handshake's SNI: as hf_identity_decide, and possession must have been proved for a registered
 *  certificate. */
void hf_identity_resume(const struct hf_identity_view *view,
                        const struct hf_identity_question *question, struct hf_identity *out);

/**
 * At a request: the same decision again, then its Host. The status to refuse it with: 0: none, 403:
 * the client is not admitted any more (`out->sentence`), 421: `host` is the name of another account
 * (RFC 9110, 15.5.20).
 */
unsigned hf_identity_request(const struct hf_identity_view *view,
                             const struct hf_identity_question *question, const char *host,
                             size_t host_len, struct hf_identity *out);

#endif
