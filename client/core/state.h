/*
 * The device's state: what it has stored in small named values, as one value in memory. It is
 * loaded at the start of an operation, changed by its steps, and saved, as far as it differs, in
 * the transaction of the step that changes it. README.md of client/ lists the values with their
 * names.
 *
 * A value that cannot be read or is damaged counts as absent, which is logged. (But see the limits
 * of bundle versions.)
 */
#ifndef HF_CLIENT_CORE_STATE_H
#define HF_CLIENT_CORE_STATE_H

#include <holdfast/client.h>

#include "common/base/limits.h"
#include "common/base/digest.h"
#include "common/base/timetext.h"
#include "common/report/report.h"
#include "common/tuf/receipts.h"

/* Signed times that raise the lowest time this device believes. Those of targets belong to the
 * targets keys that root names, and end with them: a stolen targets key that signed "in 2050" is
 * repaired by a root that names other keys. */
struct hf_clock_state {
    int64_t root_s;
    int64_t targets_s; /* 0 for none */
    char targets_keys[HF_SHA256_HEX_LEN];
};

/* Rejected versions remembered; a device that rejected more waits for a key rotation anyway. */
#define HF_REJECTED_MAX 64

/* Which bundle versions may still come. Belongs to one set and profile, and to certain targets
 * keys. */
struct hf_version_limits {
    char suffix[34];              /* of the names of the stored values: '.', 32 digits; or empty */
    char keys[HF_SHA256_HEX_LEN]; /* identity of these targets keys; empty for none yet */
    int64_t lowest;               /* no bundle version below it; 0 for none */
    int64_t rejected[HF_REJECTED_MAX];
    size_t n_rejected;
    /* HF_OK, or why these limits are not known, with a sentence: nothing may be installed then. */
    enum hf_err fault;
    bool is_unread; /* the store did not give them: a later attempt may */
    char fault_text[200];
    uint64_t stored[3];
};

/* The bundle on trial. */
struct hf_trial {
    int64_t version; /* the active bundle's; -1: no trial */
    int64_t up_s;    /* of the device's own uptime, so far */
    int64_t last_uptime_ms;
    int64_t n_starts; /* of the device, seen so far; absent before there was that count */
};

/* A candidate that waits for its endpoints. */
struct hf_preflight_wait {
    int64_t version; /* 0 for none */
    int64_t n_tries;
    int64_t since_s;
};

/* A newer bundle that waits for its turn in the rollout. */
struct hf_held {
    int64_t version; /* 0 for none */
    int64_t turn_s;  /* the earliest moment that its plan allows */
    int64_t latest_s;
    char text[HF_WHY_MAX]; /* why, and when its turn comes */
};

/* The checks in a row in which a server's chain did not validate. */
struct hf_validation_failures {
    int64_t n_checks;
    int64_t up_ms;          /* of own uptime, from the first of them to the last */
    int64_t last_uptime_ms; /* at the last */
    int64_t n_waived;       /* of them, how many went on without validating */
    int64_t n_starts;       /* of the device, seen in between; absent before there was that count */
};

/* Of the server's key. ANY where all anchors have keys of one type: then nothing else is
 * offered. */
enum hf_key_type { HF_KEY_TYPE_RSA, HF_KEY_TYPE_ECC, HF_KEY_TYPE_ANY };
#define HF_KEY_TYPES 3

/* What an endpoint showed last when it was asked for a key of that type. Any one of the anchors is
 * enough. */
struct hf_endpoint_memory {
    int64_t seen_s; /* HF_TIME_NONE: not yet */
    int64_t leaf_not_before_s;
    int64_t leaf_not_after_s;
    uint8_t anchors[HF_OBSERVED_ANCHORS_MAX][HF_SHA256_LEN]; /* SPKI */
    size_t n_anchors;
    char root[HF_DN_TEXT_MAX]; /* the subject of one of these anchors; empty if unknown */
};

enum hf_loss_cause {
    HF_LOSS_MISSING = 0, /* the root is not in the bundle */
    HF_LOSS_REVOKED,
    HF_LOSS_DISTRUSTED,
    HF_LOSS_REMOVED, /* its remove_after has passed */
    HF_LOSS_EXPIRED,
    HF_LOSS_REFUSED, /* its certificate is not for servers */
};

/* A chain that an endpoint showed and that no root validates now. */
struct hf_loss {
    int64_t since_s; /* when it was noticed; HF_TIME_NONE: not lost, or not noticed yet */
    enum hf_loss_cause cause;
    char root[HF_DN_TEXT_MAX]; /* the subject of the root that the chain leads to */
};

struct hf_endpoint_state {
    struct hf_endpoint_memory memory;
    struct hf_loss loss;
    uint64_t stored[2];
};

/* An endpoint proved its key when it was last seen, and neither the active bundle nor, in
 * preflight, the candidate validated a chain of it. */
struct hf_refusal {
    int64_t seen_s;        /* HF_TIME_NONE: not refused */
    char text[HF_WHY_MAX]; /* why the active bundle does not, as far as that is known */
    uint64_t stored;
};

/* Reports to the fleet service (report.c). */
struct hf_report_state {
    char nonce[HF_REPORT_NONCE_SIZE]; /* as the service gave it last; empty: not yet */
    int64_t seq;                      /* of the last report; 0: there was none */
    char installation[HF_REPORT_INSTALLATION_SIZE]; /* made with the first report */
    int64_t current_day;                            /* of the last `current`; -1: none */
    int64_t sent_s;     /* when the service took some last; HF_TIME_NONE: never */
    int64_t n_failures; /* in a row since then, and: */
    int64_t tried_s;
    int64_t wait_s;     /* from then to the next try */
    int64_t n_refusals; /* of them, how many were about what was sent */
    char error[HF_WHY_MAX];
};

#define HF_STATE_VALUES_MAX 32

struct hf_device_state {
    struct hf_clock_state clock;
    char first_set[2 * HF_SET_NAME_MAX + 2]; /* "SET/PROFILE" whose limits have the plain names */
    enum hf_err first_set_fault;             /* HF_OK, or why that cannot be read */
    struct hf_version_limits limits;         /* of the configured set and profile */
    struct hf_version_limits other_limits;   /* hf_state_limits_of */
    struct hf_trial trial;
    struct hf_preflight_wait wait;
    struct hf_held held;
    struct hf_validation_failures failures;
    int64_t last_recovery_s; /* HF_TIME_NONE for none */
    char last_recovery[8];   /* "helped" or "failed" */
    int64_t check_time_s;    /* HF_TIME_NONE: never */
    char check_outcome[32];
    char check_text[HF_WHY_MAX];
    int64_t check_failures;
    int64_t timestamp_seen_s; /* when the cached one first came; HF_TIME_NONE for unknown */
    /* Of the cached timestamp: "?" while it is not sent, SHA-256 of the URL, tag. */
    char etag[1 + HF_SHA256_HEX_LEN + HF_ETAG_TEXT];
    /* The version of this program and its receipts: another one may verify signatures better. */
    char receipts[HF_RECEIPTS_TEXT_SIZE + 32];
    struct hf_report_state report;
    int64_t endpoints_probed_s; /* to know them better; 0: never */
    int64_t next_mirror;
    char mirror_faults[HF_MIRRORS_MAX * 11]; /* a number per mirror */
    /* Owned, NULL without endpoints; of endpoint N and TYPE: [N * HF_KEY_TYPES + TYPE]. */
    struct hf_endpoint_state *endpoints;
    struct hf_refusal *refusals; /* of endpoint N; owned */

    uint64_t stored[HF_STATE_VALUES_MAX]; /* hashes of the texts in the store */
};

/** Everything as it is stored now. A clock floor that cannot be read stays what it was. */
void hf_state_load(struct hf_client *c);

/** The limits of a set and profile: those of the configured one, or others, loaded now. */
struct hf_version_limits *hf_state_limits_of(struct hf_client *c, const char *set,
                                             const char *profile);

/** Part of a factory reset's transaction: everything but the clock floor and the limits of bundle
 *  versions, of all endpoints there may have been. */
HF_MUST_USE enum hf_err hf_state_forget(struct hf_client *c, struct hf_why *why);

/** Begin a transaction of the store. If that fails, the state is what is stored. */
HF_MUST_USE enum hf_err hf_state_begin(struct hf_client *c, struct hf_why *why);
/** End it. If `err` is HF_OK, the changes of the state are saved too, and all is committed.
 *  Otherwise, or if that fails, nothing is written and the state is what is stored. */
HF_MUST_USE enum hf_err hf_state_end(struct hf_client *c, enum hf_err err, struct hf_why *why);

/* ---- store.c: one stored text ---------------------------------------------------------------- */

#define HF_VALUE_TEXT_MAX 2048 /* of a value, with its NUL: an endpoint's has up to 1,700 */
#define HF_VALUE_NAME_MAX 64   /* of a value, by the port */

/** Hash of a stored text. Not against attackers, who could only keep a value from changing. */
uint64_t hf_value_hash(const char *text);
/** At least `n_least` and at most `n_most` whole numbers; several are counts and times that are
 *  added to. Returns what follows, NULL if they are not there. */
const char *hf_value_parse_numbers(const char *text, int64_t *out, size_t n_least, size_t n_most);
/** Empty if there is none; cut if it is too long to be one of ours. */
HF_MUST_USE enum hf_err hf_value_load(struct hf_client *c, const char *name,
                                      char out[HF_VALUE_TEXT_MAX], struct hf_why *why);
/** Save a text unless it is what is stored: flash wears out. */
HF_MUST_USE enum hf_err hf_value_save(struct hf_client *c, const char *name, const char *text,
                                      uint64_t *stored, struct hf_why *why);
/** Once for all values: most likely the whole store cannot be read. */
void hf_value_log_unread(const struct hf_client *c, const char *name, const struct hf_why *why,
                         bool *has_failed);

/* ---- state_endpoints.c ----------------------------------------------------------------------- */

struct hf_endpoint_state *hf_state_endpoint(struct hf_client *c, size_t endpoint,
                                            enum hf_key_type type);

void hf_state_load_endpoints(struct hf_client *c, bool *has_failed);
HF_MUST_USE enum hf_err hf_state_save_endpoints(struct hf_client *c, struct hf_why *why);
HF_MUST_USE enum hf_err hf_state_forget_endpoints(struct hf_client *c, struct hf_why *why);

#endif
