/*
 * libholdfast on Linux and other POSIX systems: state in one directory, HTTP(S) over sockets,
 * SQLite, the system's clock, and the trust store for Mbed TLS.
 *
 * STATE/holdfast.db          configuration, trusted metadata, bundles, journal (schema/client.sql)
 * STATE/holdfast.db.backup   its copy, which replaces it when it is damaged or lost
 * STATE/bundles/HASH.VERSION.pem, .json
 *                            active and previous bundle and what is signed about them
 * STATE/bundles/active, previous
 *                            symbolic links to them; enough to load the store without the db
 * STATE/identity/current/certificate.pem, key.pem
 *                            the device's own certificate and key; `current` is a symbolic link
 *                            that always leads to a pair that the service accepted
 * STATE/report.key           the seed of the key that signs reports (Ed25519, 32 bytes), where they
 *                            are signed
 * STATE/lock                 held by the process that writes
 * STATE/identity.lock        held by the process that enrols the device or rotates its certificate
 */
#ifndef HOLDFAST_POSIX_H
#define HOLDFAST_POSIX_H

#include <holdfast/client.h>
#include <holdfast/trust_store.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One of the device's own servers, probed before and after a change of anchors (preflight). */
struct hf_posix_endpoint {
    const char *url;  /* mqtts://HOST[:8883], https://HOST[:443], tls://HOST:PORT */
    const char *alpn; /* NULL: the usual; x-amzn-mqtt-ca for mqtts:// at port 443 of AWS IoT */
};

#define HF_REDIRECT_HOSTS_MAX 8
#define HF_REPORT_TO_SERVICE "service"

/* What `holdfast init` stores and every later check reads. */
struct hf_posix_config {
    struct hf_client_config client;
    /* "HOST" or "HOST:PORT": hosts besides the mirrors that a mirror may redirect to. */
    const char *const *redirect_hosts;
    size_t n_redirect_hosts; /* at most HF_REDIRECT_HOSTS_MAX */
    const struct hf_posix_endpoint *endpoints;
    size_t n_endpoints; /* at most HF_ENDPOINTS_MAX, each a server of its own */
    /* NULL, or absolute paths of the certificate and key shown to endpoints whose chain validates,
     * and to update servers if the device is not enrolled. The key may also be a PKCS#11 URI.
     * Neither is needed to judge an endpoint, also if it asks for them. */
    const char *client_cert_file;
    const char *client_key_file;
    /* Offer mirrors and endpoints cipher suites with static RSA and CBC, too. */
    bool has_legacy_ciphers;
    /* Turns hf_trust_store_accept_common_names on as long as it is in use. */
    bool accepts_common_names;
    /* Without `client.device_id`: a file whose first line is the id, or NULL: derived from the
     * machine-id. */
    const char *device_id_file;
    const char *server_ca;   /* NULL, or PEM text trusted for the update server besides the store */
    const char *export_file; /* NULL, or the absolute path where the active store is kept as PEM */
    const char *on_swap;     /* NULL, or a command run by /bin/sh after each swap */
    /* Reports to the fleet service. NULL: none; "service": the one that the device is enrolled at,
     * or else the first https mirror; or its http:// or https:// address. */
    const char *report;
    bool signs_reports; /* by STATE/report.key; reports over http:// are signed in any case */
};

/**
 * Make STATE (mode 0700) and provision it. HF_E_STATE when it is initialised already, HF_E_POLICY
 * when another user could replace it, the export or the on-swap command. The store is tested: a
 * file system that cannot hold it is refused here. On failure nothing is left behind. `log` may
 * have a NULL write.
 */
HF_MUST_USE enum hf_err hf_posix_init(const char *state_dir, const struct hf_posix_config *config,
                                      struct hf_bytes root_metadata, struct hf_bytes factory_pem,
                                      struct hf_log_port log, struct hf_why *why);

struct hf_posix;

/**
 * Open an initialised STATE. A damaged or lost database is replaced by its copy; the journal says
 * so. Reading works while the bundle files are intact, also if the database cannot be replaced or
 * is newer; functions that write then fail with HF_E_STORAGE or HF_E_SCHEMA.
 *
 * STATE must belong to the running user or root. No other user may be able to write or replace it
 * or a folder on the way to it. Otherwise it is opened for reading only: functions that write, or
 * run the on-swap command, fail with HF_E_POLICY, and no file is made or changed in it.
 */
HF_MUST_USE enum hf_err hf_posix_open(const char *state_dir, struct hf_log_port log,
                                      struct hf_posix **out, struct hf_why *why);
void hf_posix_close(struct hf_posix *posix);

/** Borrowed; live until hf_posix_close. What the configuration points to lives until the next
 *  hf_posix_update or hf_posix_configure. */
struct hf_client *hf_posix_client(struct hf_posix *posix);
struct hf_trust_store *hf_posix_trust_store(struct hf_posix *posix);
const struct hf_posix_config *hf_posix_config(const struct hf_posix *posix);
/** The id in force: configured, read from its file, or derived from the machine-id. Determined at
 *  the first call; `*out` lives until hf_posix_close. HF_E_NOT_FOUND, HF_E_FORMAT in words. */
HF_MUST_USE enum hf_err hf_posix_device_id(struct hf_posix *posix, const char **out,
                                           struct hf_why *why);
/** HF_OK, or why nothing can be written to STATE: HF_E_SCHEMA, HF_E_STORAGE, HF_E_POLICY (it
 *  belongs to another user). */
HF_MUST_USE enum hf_err hf_posix_is_writable(const struct hf_posix *posix, struct hf_why *why);

/**
 * hf_client_update, then the other programs: the export is written if it is missing or differs, and
 * the on-swap command runs if it has not succeeded for the active bundle. After a failure or a
 * power cut the next call repeats both, also if its update fails. HF_E_BUSY when another process
 * updates (STATE/lock). An error of the export or of the command names the bundle that is active
 * all the same. `out` is filled as by hf_client_update.
 */
HF_MUST_USE enum hf_err hf_posix_update(struct hf_posix *posix, struct hf_update_result *out,
                                        struct hf_why *why);

/**
 * Update the export and notify other programs, as hf_posix_update does, if a date has passed that
 * changes the trust store without a new bundle (for example, a root has expired) or the clock was
 * set. No network; costs nothing while no such date has passed. `*wait_s`: seconds from now until
 * the next date. hf_runner_run calls this. An error of the export or of the command is in the
 * journal, and the next update tries again. HF_E_BUSY when another process holds STATE/lock.
 */
HF_MUST_USE enum hf_err hf_posix_renew_export(struct hf_posix *posix, int64_t *wait_s,
                                              struct hf_why *why);

/** HF_OK, or HF_E_STATE if the export is not up to date or the on-swap command has not succeeded
 *  since. Writes nothing. HF_OK also without a bundle. */
HF_MUST_USE enum hf_err hf_posix_export_is_current(struct hf_posix *posix, struct hf_why *why);

/** hf_client_confirm; then its report, if there is a service, within 5 seconds. HF_E_BUSY when
 *  another process updates. */
HF_MUST_USE enum hf_err hf_posix_confirm(struct hf_posix *posix, struct hf_why *why);

/** hf_client_reject, then the other programs as after an update, and the report as above. HF_E_BUSY
 *  when another process updates. An error of the export or of the command is returned with a
 *  sentence that says which bundle is active. */
HF_MUST_USE enum hf_err hf_posix_reject(struct hf_posix *posix, const char *reason,
                                        struct hf_why *why);

/**
 * Put `config` in place of the configuration; what differs is checked as by hf_posix_init.
 * Metadata, version floors, bundles and a trial stay what they are. This `posix` uses it at once,
 * other processes from their next hf_posix_update on. Texts that hf_posix_config returned before
 * are no longer valid.
 *
 * With another set or profile, the active bundle stays in use until one of the new set passes
 * preflight. The floor and the rejected versions of each set and profile are kept in case it is
 * chosen again.
 *
 * HF_E_ARGUMENT; HF_E_BUSY when another process updates, or has changed the configuration since
 * this `posix` read it; HF_E_STORAGE, HF_E_SCHEMA.
 */
HF_MUST_USE enum hf_err hf_posix_configure(struct hf_posix *posix,
                                           const struct hf_posix_config *config,
                                           struct hf_why *why);

/** The active store as PEM in `file`, replaced by rename after fsync. `keep_current` remembers the
 *  file so that every update renews it. */
HF_MUST_USE enum hf_err hf_posix_export(struct hf_posix *posix, const char *file, bool keep_current,
                                        struct hf_why *why);

/** The newest root metadata in `file`, replaced by rename after fsync: for firmware that wipes
 *  STATE and calls hf_posix_init again. */
HF_MUST_USE enum hf_err hf_posix_export_root(struct hf_posix *posix, const char *file,
                                             struct hf_why *why);

/** hf_client_reset, then the other programs as after an update. The configuration stays. HF_E_BUSY
 *  when another process updates. */
HF_MUST_USE enum hf_err hf_posix_reset(struct hf_posix *posix, struct hf_bytes factory_pem,
                                       struct hf_why *why);

/*
 * The device's own identity: a certificate that the fleet service issued, and its key. It is shown
 * to the update server and, unless another one is configured, to the endpoints.
 * client/port/identity/README.md.
 */

#define HF_ENROLL_TOKEN_MAX 512 /* bytes */

enum hf_key_kind { HF_KEY_P256, HF_KEY_P384, HF_KEY_RSA2048 };

struct hf_credential {
    char sha256[65]; /* of the certificate: its name at the service */
    char subject[256];
    int64_t not_before_s;
    int64_t not_after_s;
};

/* How a device gets its first identity, or another one. */
struct hf_enrolment {
    const char *url;   /* https://HOST[:PORT] of the service; NULL: the first https mirror */
    const char *token; /* an enrolment token; NULL: none */
    const char *claim_cert_file; /* NULL, or a certificate that may enrol devices, and its key */
    const char *claim_key_file;
    /* NULL, or the PKCS#11 URI (RFC 7512) of a key that the token has already; it is stored as the
     * key of the client certificate. A PIN comes from the file that its pin-source names. */
    const char *key_uri;
    enum hf_key_kind key_kind; /* of the new key, if there is neither that nor a key of the port */
    bool is_again;             /* also if the device has an identity; the new one takes its place */
};

/**
 * Make a key, have the service certify it, and use the certificate once the service accepts it in a
 * connection. An enrolment that was interrupted after the certificate came is finished without the
 * token. The service's chain must validate under the trust store or the server CA. On failure the
 * identity before, if there is one, stays in use. Takes STATE/identity.lock for as long as the
 * service takes, and STATE/lock to write down the result.
 *
 * HF_E_ARGUMENT, HF_E_STATE for a device that has an identity, HF_E_POLICY for a refusal of the
 * service, HF_E_UNTRUSTED, HF_E_NETWORK, HF_E_TLS, HF_E_KEY, HF_E_BUSY, …
 */
HF_MUST_USE enum hf_err hf_posix_enroll(struct hf_posix *posix,
                                        const struct hf_enrolment *enrolment,
                                        struct hf_credential *out, struct hf_why *why);

/**
 * Replace the certificate now, with a new key; hf_posix_update does it by itself when it is due. A
 * rotation that was interrupted is finished. On failure the old pair stays in use, and journal and
 * status say why. HF_E_STATE without an identity, else as hf_posix_enroll.
 */
HF_MUST_USE enum hf_err hf_posix_rotate(struct hf_posix *posix, struct hf_credential *out,
                                        struct hf_why *why);

/** Seconds until hf_posix_update has a rotation to do, 0 for now; INT64_MAX without an identity. No
 *  network; writes nothing. */
int64_t hf_posix_rotation_wait_s(struct hf_posix *posix);

struct hf_identity_status {
    bool is_present; /* the rest is valid only then, but for last_error */
    struct hf_credential credential;
    char url[300];          /* of the service */
    char cert_file[320];    /* for applications; empty if the path is longer */
    char key_file[320];     /* empty also for a key of the port */
    int64_t rotation_due_s; /* when the next rotation is tried */
    bool is_requested;      /* the service asked for it */
    bool is_pending;        /* one has begun and is not finished */
    bool is_unusable;       /* not present: there is one that cannot be read, as last_error says */
    int64_t last_try_s;     /* of a rotation that failed; INT64_MIN: the last one did not fail */
    int64_t n_failures;     /* in a row */
    char last_error[HF_WHY_MAX]; /* of that, or why the identity cannot be read; empty for none */
};

/** No network; writes nothing. */
void hf_posix_identity_status(struct hf_posix *posix, struct hf_identity_status *out);

/** The configured client certificate, or why it cannot be shown to servers, as far as that can be
 *  told without its key: HF_E_STATE if none is configured. No network. */
HF_MUST_USE enum hf_err hf_posix_client_cert(const struct hf_posix *posix,
                                             struct hf_credential *out, struct hf_why *why);

/** Use `key` as the private key of the device's own and the configured certificate, from now on;
 *  the files with keys are not read. Enrolment and rotation certify this key and make none. Copied;
 *  NULL: the files again. Not stored. */
void hf_posix_use_device_key(struct hf_posix *posix, const struct hf_device_key *key);

/** hf_client_send_reports now, where nothing waits with a report of what is in use. HF_E_BUSY when
 *  another process updates. */
HF_MUST_USE enum hf_err hf_posix_send_reports(struct hf_posix *posix, size_t *n_sent,
                                              struct hf_why *why);

/** hf_client_report_status, and why reports that are configured cannot be sent. No network. */
void hf_posix_report_status(struct hf_posix *posix, struct hf_report_status *out);

/** The public key that reports are signed with, base64url; made now if there is none. */
#define HF_REPORT_KEY_TEXT 44 /* bytes, with the NUL */
HF_MUST_USE enum hf_err hf_posix_report_key(struct hf_posix *posix, char out[HF_REPORT_KEY_TEXT],
                                            struct hf_why *why);

/** The newest lines first, at most `max`; an event lives until `each` returns. HF_E_STORAGE or
 *  HF_E_SCHEMA where the database cannot be read. */
HF_MUST_USE enum hf_err hf_posix_journal_read(struct hf_posix *posix, size_t max,
                                              void (*each)(void *ctx, const struct hf_event *event),
                                              void *ctx, struct hf_why *why);

#ifdef __cplusplus
}
#endif

#endif
