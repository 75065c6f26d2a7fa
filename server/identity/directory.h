/*
 * The accounts of the service, the names by which devices reach them, and their CAs: what decides
 * about a handshake besides the registry. Built once from the database, immutable from then on,
 * counted, and shared by all loops; a change makes a new one. No I/O.
 */
#ifndef HF_IDENTITY_DIRECTORY_H
#define HF_IDENTITY_DIRECTORY_H

#include "common/base/names.h"
#include "server/identity/client_cert.h"
#include "server/identity/status.h"

/* What a client without a certificate may do. Each contains those before it. */
enum hf_anonymous {
    HF_ANONYMOUS_NONE = 0, /* nothing: its handshake is refused */
    HF_ANONYMOUS_ENROLL,   /* POST /v1/enroll */
    HF_ANONYMOUS_READ,     /* the repository */
    HF_ANONYMOUS_REPORT,   /* reports, which count as unverified */
};
#define HF_ANONYMOUS_POLICIES 4

/** "none", "enroll", "read", "read+report"; "none" for another number. */
const char *hf_anonymous_name(enum hf_anonymous policy);
HF_MUST_USE bool hf_anonymous_parse(const char *text, enum hf_anonymous *out);

/* What happens when a certificate of a CA connects that is not registered. */
enum hf_auto_registration {
    HF_AUTO_REGISTRATION_OFF = 0,
    HF_AUTO_REGISTRATION_PENDING, /* registered as PENDING_ACTIVATION */
    HF_AUTO_REGISTRATION_ACTIVE,  /* registered as ACTIVE */
};
#define HF_AUTO_REGISTRATIONS 3

/** "off", "pending", "active"; "off" for another number. */
const char *hf_auto_registration_name(enum hf_auto_registration value);
HF_MUST_USE bool hf_auto_registration_parse(const char *text, enum hf_auto_registration *out);

struct hf_account {
    uint32_t id; /* in the database; never 0 */
    char name[HF_ACCOUNT_NAME_MAX + 1];
    enum hf_anonymous anonymous;
};

struct hf_ca {
    uint64_t id; /* in the database */
    uint32_t account;
    enum hf_cert_mode mode;
    bool is_active; /* an INACTIVE one registers nothing; what it has registered stays as it is */
    enum hf_auto_registration auto_registration;
    X509 *x509;                 /* the directory's */
    struct hf_client_cert cert; /* what `x509` is */
    unsigned long name_hash;    /* of its subject */
};

struct hf_directory;

/* ---- building: one thread, before the directory is shared ------------------------------------ */

/** An empty one with one reference. Certificates of CAs that `before` (may be NULL) has are not
 *  parsed again. HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_directory_new(struct hf_directory *before, bool is_sni_optional,
                                         struct hf_directory **out, struct hf_why *why);
/** HF_E_ARGUMENT for the id 0 or a name that is empty or too long; HF_E_LIMIT, HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_directory_add_account(struct hf_directory *directory, uint32_t id,
                                                 const char *name, enum hf_anonymous anonymous,
                                                 struct hf_why *why);
/** `sni` is a DNS name of any case. HF_E_ARGUMENT, HF_E_LIMIT, HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_directory_add_sni(struct hf_directory *directory, const char *sni,
                                             uint32_t account, struct hf_why *why);
/** `ca->x509` and what follows it are made from `der`. HF_E_FORMAT, HF_E_LIMIT, HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_directory_add_ca(struct hf_directory *directory, const struct hf_ca *ca,
                                            struct hf_bytes der, struct hf_why *why);
/** The last step. HF_E_STATE for an account, name or SNI that is there twice, or an SNI or CA of an
 *  account that is not there; then only hf_directory_unref may follow. */
HF_MUST_USE enum hf_err hf_directory_finish(struct hf_directory *directory, struct hf_why *why);

/* ---- sharing: from any thread ---------------------------------------------------------------- */

struct hf_directory *hf_directory_ref(struct hf_directory *directory);
/** The last one frees. NULL is fine. */
void hf_directory_unref(struct hf_directory *directory);

/* ---- looking up: from any thread; what is returned lives as long as the directory ------------ */

bool hf_directory_is_sni_optional(const struct hf_directory *directory);
/** NULL where there is none, as the next three. */
const struct hf_account *hf_directory_account(const struct hf_directory *directory, uint32_t id);
/** Any case, with or without the dot of the root. */
const struct hf_account *hf_directory_by_sni(const struct hf_directory *directory, const char *sni,
                                             size_t len);
/** The authority of a request (Host): the same without its port. */
const struct hf_account *hf_directory_by_host(const struct hf_directory *directory,
                                              const char *host, size_t len);

/** By its number in the database. */
const struct hf_ca *hf_directory_ca(const struct hf_directory *directory, uint64_t id);
/** The next CA whose subject is the issuer of `cert`, after `last` (NULL: the first one), in any
 *  account; NULL at the end. Only the name was compared. */
const struct hf_ca *hf_directory_next_issuer(const struct hf_directory *directory, const X509 *cert,
                                             const struct hf_ca *last);

/** A DNS name as the directory holds it: lower case, no dot at its end, at most HF_SNI_MAX
 *  characters of letters, digits, '-', '_' and '.'. False for anything else. `out` holds HF_SNI_MAX
 *  + 1. */
HF_MUST_USE bool hf_sni_normalize(const char *text, size_t len, char out[HF_SNI_MAX + 1]);

#endif
