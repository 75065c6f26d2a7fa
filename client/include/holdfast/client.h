/*
 * libholdfast: keeps a device's trust store up to date.
 *
 *     refresh    TUF metadata up to date                         TUF 5.1 to 5.6
 *     select     the newest allowed bundle of the configured set
 *     obtain     fetched, hash and length match, parsed, checked  TUF 5.7
 *     preflight  would the device still reach its own endpoints?
 *     activate   stage, commit, swap
 *     trial      until confirmed, or rolled back
 *
 * One client is used by one thread at a time. Any number of threads may read its trust store
 * meanwhile.
 */
#ifndef HOLDFAST_CLIENT_H
#define HOLDFAST_CLIENT_H

#include <holdfast/port.h>

#ifdef __cplusplus
extern "C" {
#endif

struct hf_client;

#define HF_GROUPS_MAX 8

struct hf_client_config {
    const char *const *urls; /* mirrors of one repository: URL/metadata/…, URL/targets/… */
    size_t n_urls;           /* 1 to 16 */
    const char *set;         /* "amazon-iot" */
    const char *profile;     /* "full", "rsa", "ecc", … */
    bool awaits_confirm;     /* a bundle stays on trial until hf_client_confirm or _reject */
    /* A text that differs between devices, also between clones of one image, so that they check at
     * different times. The same for all programs of a device. NULL: random for each
     * hf_client_open. */
    const char *instance;
    /* Who this device is for rollouts and reports: 1 to 128 of A-Z a-z 0-9 . _ : -, the same for
     * ever. NULL: not known; then its turn in a rollout comes with the last stage. */
    const char *device_id;
    const char *const *groups; /* that it says it is in, at most HF_GROUPS_MAX */
    size_t n_groups;
};

/**
 * Open a client over `ports` and put the active bundle, if the store holds one, into the trust
 * store. Both structs are copied, what they point to must outlive the client except the texts of
 * `config`, which are copied.
 *
 * HF_OK also if the active bundle has no usable anchor left, because the device must be able to
 * update then. HF_E_NOT_FOUND when the store holds no root metadata (not initialised).
 */
HF_MUST_USE enum hf_err hf_client_open(const struct hf_ports *ports,
                                       const struct hf_client_config *config,
                                       struct hf_client **out, struct hf_why *why);
void hf_client_close(struct hf_client *client);

/**
 * Continue with other ports and another configuration. Store and trust port must be the same; the
 * active bundle stays. On failure nothing changes.
 */
HF_MUST_USE enum hf_err hf_client_configure(struct hf_client *client, const struct hf_ports *ports,
                                            const struct hf_client_config *config,
                                            struct hf_why *why);

/** Before the first configuration with another set or profile is stored: note that the bundle floor
 *  and the rejected versions belong to the current one. */
HF_MUST_USE enum hf_err hf_client_keep_floors(struct hf_client *client, struct hf_why *why);

struct hf_update_result {
    bool is_changed;
    int64_t from_version; /* -1: there was none of this set and profile */
    int64_t to_version;
    bool is_rolled_back;  /* a bundle on trial was rejected first: from_version */
    int64_t held_version; /* a newer one that waits for its turn in its rollout, or, with
                           * HF_E_POSTPONED, for endpoints; 0: none */
    bool is_recovered;    /* the servers' chains were not validated in this check (recovery) */
    /* A warning: which endpoints this device does not validate any more since this check, and
     * through which root it did; empty for none. Also after a check that failed. */
    char lost[HF_WHY_MAX];
    /* A warning: which endpoints showed a chain that this device refuses, and did not before this
     * check, and why; empty for none. Also after a check that failed. */
    char refused[HF_WHY_MAX];
    /* A warning: why the export is not up to date, although the on-swap command succeeded; empty
     * for none. */
    char export_fault[HF_WHY_MAX];
};

/**
 * One update as a whole. HF_OK: the newest bundle that may be taken is active (is_changed: it was
 * not before; held_version: a newer one waits for its turn). HF_E_POSTPONED: there is a newer one,
 * but no proof that it validates some endpoint; it is installed within a day all the same, and
 * `out` is filled as well: what is active (to_version, -1 for none of this set) and what waits.
 * Otherwise the bundles are unchanged, verified metadata is kept, and `why` says what was refused.
 * (One exception, which `why` names: the bundle is committed, but the swap of the active store
 * failed; the next update or open repeats it.) hf_client_status reports the outcome; a change, or a
 * failure other than the last one, is in the journal.
 */
HF_MUST_USE enum hf_err hf_client_update(struct hf_client *client, struct hf_update_result *out,
                                         struct hf_why *why);

/**
 * The application confirms the bundle on trial. No network. HF_OK also without a trial.
 */
HF_MUST_USE enum hf_err hf_client_confirm(struct hf_client *client, struct hf_why *why);

/**
 * The application rejects the bundle on trial (`reason` is for the journal). Rolls back to the
 * bundle before and never installs that version again. Revoked anchors do not come back. No
 * network. HF_E_STATE without a trial, or without a usable bundle to roll back to.
 */
HF_MUST_USE enum hf_err hf_client_reject(struct hf_client *client, const char *reason,
                                         struct hf_why *why);

/** One certificate of a bundle, for people. */
struct hf_anchor_status {
    char subject[256];
    char sha256[65];
    char spki_sha256[65];
    int64_t not_before_s;
    int64_t not_after_s;
    int64_t distrust_after_s; /* INT64_MIN for none */
    int64_t remove_after_s;   /* INT64_MIN for none */
    /* "usable", "expired", "not yet valid", "removed", "not for servers", "revoked" */
    const char *state;
};

/* A certificate of a bundle that this device's software does not support; it is not used as an
 * anchor. */
struct hf_skipped_status {
    char subject[256];
    char sha256[65];
    char spki_sha256[65];
    char unsupported[128]; /* "signature algorithm Ed25519" */
};

struct hf_bundle_status {
    bool is_present;
    int64_t version;
    char sha256[65];
    struct hf_anchor_status *anchors;
    size_t n_anchors;
    struct hf_skipped_status *skipped;
    size_t n_skipped;
};

struct hf_next_check {
    int64_t at_s;   /* by the device's time */
    int64_t wait_s; /* from now until then; 0 and more */
    char reason[160];
};

/* A bundle that is not confirmed yet. */
struct hf_trial_status {
    bool is_on;
    int64_t version;
    int64_t up_s; /* the device's own uptime that counts so far */
    char waits_for[200];
};

/* What one of the device's endpoints showed when it was asked for a key of that type. */
struct hf_chain_status {
    const char *key_type;      /* "RSA", "ECC", "any" */
    int64_t seen_s;            /* INT64_MIN: not yet */
    int64_t leaf_not_before_s; /* of the server's own certificate; valid once seen */
    int64_t leaf_not_after_s;
    char anchors[HF_OBSERVED_ANCHORS_MAX][65]; /* SPKI SHA-256; any one of them is enough */
    size_t n_anchors;
    int64_t lost_since_s; /* when it was noticed that none of them is trusted any more; INT64_MIN */
    char lost_root[256];  /* the subject of the one that it was validated through */
};

struct hf_endpoint_status {
    char name[320];
    struct hf_chain_status chains[3];
    int64_t refused_s; /* when it last showed a refused chain; INT64_MIN: it is not refused */
    char refused[HF_WHY_MAX]; /* why */
};

/* A future problem with a root, or an endpoint that is lost or refused. */
struct hf_warning {
    bool is_note;       /* nothing is lost by it: another root serves */
    const char *kind;   /* "expiry", "removal", "distrust"; "lost": an endpoint whose roots went;
                         * "refused": one that showed a chain which this device refuses */
    int threshold_days; /* 730, 365, 180, 90 or 30: the lowest that was reached; 0: it has passed */
    int64_t at_s;       /* the last second before it; of "lost", when it was noticed; of "refused",
                         * when the endpoint was last seen */
    int64_t days_left;
    char subject[256]; /* of the root; of "lost" the one that the chain leads to, as far as known */
    char sha256[65];
    char endpoint[340]; /* that has no other root; empty where none was seen */
    char text[1024];    /* the whole, for people */
};

/* A newer bundle that waits for its turn in its rollout. */
struct hf_held_status {
    bool is_on;
    int64_t version;
    int64_t turn_s;   /* its turn comes then at the earliest, */
    int64_t latest_s; /* and then at the latest */
    char text[HF_WHY_MAX];
};

struct hf_status {
    int64_t now_s; /* the device's time, never below its floor */
    int64_t clock_floor_s;
    struct hf_bundle_status active;
    struct hf_bundle_status previous;
    int64_t last_check_s;  /* INT64_MIN: never */
    char last_outcome[32]; /* "ok" or the name of an error */
    char last_text[640];
    int64_t failed_validations; /* checks in a row in which a server's chain did not validate */
    int64_t last_recovery_s;    /* the last check that went without validating; INT64_MIN: never */
    bool has_recovered;         /* it came to valid metadata */
    struct hf_next_check next_check;
    struct hf_trial_status trial;
    struct hf_held_status held;
    struct hf_endpoint_status *endpoints;
    size_t n_endpoints;
    struct hf_warning *warnings; /* warnings before notes, the soonest first */
    size_t n_warnings;
    struct hf_role_status {
        int64_t version; /* 0 where not held */
        int64_t expires_s;
    } root, timestamp, snapshot, targets;
};

/** No network. hf_status_free `out`. */
HF_MUST_USE enum hf_err hf_client_status(struct hf_client *client, struct hf_status *out,
                                         struct hf_why *why);
void hf_status_free(struct hf_status *status);

/*
 * Reports to the fleet service: what this device has installed, refused, rolled back. Off until
 * hf_client_report_to. A report is written down in the transaction of its event, if the store port
 * keeps reports, and waits there until hf_client_send_reports. client/README.md.
 */

/** From now on they are posted to `url`, "https://fleet.example.com/v1/reports"; copied. After each
 *  hf_client_open and hf_client_configure, with a device id. NULL: no reports. HF_E_ARGUMENT; then
 *  nothing has changed. */
HF_MUST_USE enum hf_err hf_client_report_to(struct hf_client *client, const char *url,
                                            struct hf_why *why);

/**
 * After hf_client_update, and after the programs that use the trust store were notified: send what
 * waits, in at most `timeout_ms` (HF_REPORT_TIMEOUT_MS). Nothing happens during the wait after a
 * failure, unless `is_now`. A failure is no fault of the device: what was not sent stays. `n_sent`
 * may be NULL. With `is_now` HF_E_STATE if reports are off; else as the transport port, or
 * HF_E_POLICY where the service does not take them.
 */
HF_MUST_USE enum hf_err hf_client_send_reports(struct hf_client *client, int timeout_ms,
                                               bool is_now, size_t *n_sent, struct hf_why *why);
#define HF_REPORT_TIMEOUT_MS 20000 /* after a check; the next one is an hour away at least */

/** Write down now what is in use, as it is done once a day. Nothing if reports are off. */
HF_MUST_USE enum hf_err hf_client_note_current(struct hf_client *client, struct hf_why *why);

/** The body of the next request, appended, and how many reports are in it. No network. */
HF_MUST_USE enum hf_err hf_client_show_reports(struct hf_client *client, struct hf_buf *out,
                                               size_t *n, struct hf_why *why);

/** After the device got another identity: what waits is dropped, and the next report begins a new
 *  installation. */
HF_MUST_USE enum hf_err hf_client_forget_reports(struct hf_client *client, struct hf_why *why);

struct hf_report_status {
    bool is_on;
    char url[2049];
    size_t n_waiting;
    int64_t last_sent_s; /* when the service took some last; INT64_MIN: never */
    int64_t n_failures;  /* in a row since then */
    int64_t next_try_s;  /* not before then; INT64_MIN: with the next check */
    char last_error[HF_WHY_MAX];
};

/** No network; writes nothing. */
void hf_client_report_status(struct hf_client *client, struct hf_report_status *out);

/** The device's time: its clock's, but never below its floor. */
int64_t hf_client_now_s(const struct hf_client *client);

/**
 * The trust store as PEM, appended to `out`: the anchors that a handshake of this moment may end
 * in. Anchors that have expired, are not valid yet, are past `remove_after` or were revoked are
 * left out. PEM cannot express `distrust_after`; a comment above the certificate does. If no anchor
 * is left, `out` gets a comment that says so. HF_E_NOT_FOUND without a bundle.
 */
HF_MUST_USE enum hf_err hf_client_export_pem(struct hf_client *client, struct hf_buf *out,
                                             struct hf_why *why);

/** hf_client_export_pem gives the same for all times of the device from `*from_s` up to, but not
 *  including, `*until_s`, while the bundle is the same. INT64_MIN and INT64_MAX for no such
 *  limit. */
void hf_client_export_span(struct hf_client *client, int64_t *from_s, int64_t *until_s);

/** The newest root metadata, as it was signed, appended to `out`: to provision a device whose store
 *  was lost or wiped. */
HF_MUST_USE enum hf_err hf_client_export_root(struct hf_client *client, struct hf_buf *out,
                                              struct hf_why *why);

/**
 * When the next update is due, computed from stored values, not by a timer: a day after success;
 * after failures a minute, doubled with each one up to six hours; sooner while a bundle is on trial
 * or postponed, and the nearer the first anchor is to its end. All jittered by a quarter either
 * way, so that a fleet does not check at once. A clock that jumps never makes the wait longer.
 * Values that cannot be read count as absent. client/README.md has the numbers. No network; writes
 * nothing.
 */
void hf_client_next_check(struct hf_client *client, struct hf_next_check *out);

/**
 * Provision a new store: the root metadata it ships with (verified against itself) and,
 * optionally, the bundle it left the factory with (PEM; checked; version 0).
 * HF_E_STATE when the store holds a root already.
 */
HF_MUST_USE enum hf_err hf_client_provision(const struct hf_ports *ports,
                                            const struct hf_client_config *config,
                                            struct hf_bytes root_metadata,
                                            struct hf_bytes factory_pem, struct hf_why *why);

/**
 * Factory reset, in one transaction, without a network. Kept: the newest root metadata, the clock's
 * floor, the bundles' floor, the rejected versions and the revoked keys. Forgotten: all other
 * metadata and what was learnt of mirrors, endpoints and checks; a trial ends as if it had been
 * confirmed. With `factory_pem` (checked as when provisioning) that bundle becomes active as
 * version 0, without the roots revoked since; with an empty one the active bundle stays.
 */
HF_MUST_USE enum hf_err hf_client_reset(struct hf_client *client, struct hf_bytes factory_pem,
                                        struct hf_why *why);

#ifdef __cplusplus
}
#endif

#endif
