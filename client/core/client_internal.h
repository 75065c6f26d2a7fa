/*
 * What the files of client/core share. README.md of client/ says which file does what, in the
 * order of an update.
 *
 * Inside the core `why` is never NULL, and may be written to on the way to success. The functions of
 * client.h give their own and hand it on when they fail.
 */
#ifndef HF_CLIENT_CORE_CLIENT_INTERNAL_H
#define HF_CLIENT_CORE_CLIENT_INTERNAL_H

#include <holdfast/client.h>

#include "common/base/limits.h"
#include "common/base/timetext.h"
#include "common/bundle/bundle.h"
#include "common/tuf/trusted_set.h"

/* What a mirror does wrong, as sets of errors: bit 1 << code. */
struct hf_mirror_faults {
    uint32_t journaled; /* since it last answered a whole check well */
    uint32_t now;       /* in this check */
    bool was_asked;     /* in this check */
};

/* How the last check went. */
struct hf_check_memory {
    bool is_of_process; /* it was made by this very client, and `uptime_ms` says when */
    int64_t uptime_ms;
    int64_t time_s;     /* HF_TIME_NONE: never */
    int64_t n_failures; /* in a row, postponed ones among them */
    bool is_postponed;
};

struct hf_client {
    struct hf_ports ports;
    char *urls[HF_MIRRORS_MAX]; /* owned, without a slash at the end */
    size_t n_urls;
    char set[HF_SET_NAME_MAX + 1];
    char profile[HF_SET_NAME_MAX + 1];

    int64_t clock_floor_s; /* the highest of the build time and the two below */
    int64_t root_floor_s;
    int64_t targets_floor_s;                    /* 0 for none */
    char targets_floor_keys[HF_SHA256_HEX_LEN]; /* whose it is */
    size_t first_mirror;                        /* asked first by the next check */
    size_t mirror;                              /* asked first by the next request of this check */
    struct hf_mirror_faults faults[HF_MIRRORS_MAX];
    int64_t check_began_ms; /* by the uptime of the clock port */
    bool awaits_confirm;
    char instance[HF_SHA256_HEX_LEN];  /* hash over what differs from device to device */
    bool waives_validation;            /* in this check (recovery.c) */
    struct hf_check_memory last_check; /* of this process (schedule.c) */

    struct hf_trusted_set trusted; /* during an update only */
    int64_t timestamp_seen_s;      /* when the trusted one came; valid once there is one */

    /* What was last put into the live trust store; version -1 for nothing. */
    int64_t live_version;
    char live_sha256[HF_SHA256_HEX_LEN];
};

/* ---- schedule.c ------------------------------------------------------------------------------ */

#define HF_CHECK_INTERVAL_S HF_DAY_S
#define HF_CHECK_INTERVAL_MAX_S (HF_CHECK_INTERVAL_S / 4 * 5) /* jittered */

/** What makes this device's checks fall on other moments than those of others. Not stored: a clone of
 *  the store is another device. */
void hf_schedule_init(struct hf_client *c, const char *instance);

/** A check has ended with `outcome`: remembered by this process, whether or not it can be written. */
void hf_schedule_count(struct hf_client *c, enum hf_err outcome);
/** Part of the transaction that writes it down. Nothing where nothing has changed. */
HF_MUST_USE enum hf_err hf_schedule_write(struct hf_client *c, struct hf_why *why);

/** How long between two checks, on average, when the first anchor that somebody relies on goes in
 *  `left_s`; a negative one has gone and does not count. */
int64_t hf_schedule_interval_s(int64_t left_s);

/* ---- config.c -------------------------------------------------------------------------------- */

/** Check `config` and fill `c` with copies. HF_E_ARGUMENT, HF_E_LIMIT, HF_E_MEMORY. On failure
 *  nothing is held. */
HF_MUST_USE enum hf_err hf_client_init(struct hf_client *c, const struct hf_ports *ports,
                                       const struct hf_client_config *config, struct hf_why *why);
void hf_client_clear(struct hf_client *c);

/* ---- journal.c ------------------------------------------------------------------------------- */

/** One line to the log port. */
void hf_log(const struct hf_client *c, enum hf_level level, const char *fmt, ...) HF_PRINTF(3, 4);

/** One line to the journal of the store and to the log port. */
HF_MUST_USE enum hf_err hf_journal(struct hf_client *c, enum hf_level level, const char *kind,
                                   const char *text, struct hf_why *why);

/** The certificates of `bundle` that are not supported here, in the journal. Nothing for none. */
HF_MUST_USE enum hf_err hf_journal_skipped(struct hf_client *c, const struct hf_bundle *bundle,
                                           struct hf_why *why);

/** Write down how a check ended, what need not be verified again (verified.c), and a failure that is
 *  not the one of the check before to the journal: all that is not stored already, and the time.
 *  What cannot be written is logged; the outcome stays what it is. */
void hf_check_record(struct hf_client *c, enum hf_err outcome, const char *text);

/** Tell the caller of the library, who may not want to know (NULL), why `err`. Returns `err`. */
enum hf_err hf_report(struct hf_why *why, const struct hf_why *own, enum hf_err err);

/* ---- values.c: the small named values of the store ------------------------------------------- */

typedef enum hf_err (*hf_writes_fn)(struct hf_client *c, const void *arg, struct hf_why *why);

/** Run `writes` as one transaction: all of it or, when it fails, nothing. */
HF_MUST_USE enum hf_err hf_store_transact(struct hf_client *c, hf_writes_fn writes, const void *arg,
                                          struct hf_why *why);

/** Empty where there is none; the caller frees `out`. */
HF_MUST_USE enum hf_err hf_value_load(struct hf_client *c, const char *name, struct hf_buf *out,
                                      struct hf_why *why);
HF_MUST_USE enum hf_err hf_value_save(struct hf_client *c, const char *name, const char *value,
                                      struct hf_why *why);
/** Is this what is stored ("" for nothing)? False also where that cannot be read. */
bool hf_value_is(struct hf_client *c, const char *name, const char *expected);
/** Save it where it is not what is stored already: flash wears out. */
HF_MUST_USE enum hf_err hf_value_change(struct hf_client *c, const char *name, const char *value,
                                        struct hf_why *why);
/** `*out` is `absent` where there is none; HF_E_STORAGE for anything but a whole number. */
HF_MUST_USE enum hf_err hf_value_load_integer(struct hf_client *c, const char *name, int64_t absent,
                                              int64_t *out, struct hf_why *why);
HF_MUST_USE enum hf_err hf_value_save_integer(struct hf_client *c, const char *name, int64_t value,
                                              struct hf_why *why);

/** `n` whole numbers, each at least 0, with single spaces between. What comes after them, which is
 *  nothing or begins with a space; NULL where they are not there. */
const char *hf_integers_parse(const char *text, int64_t *out, size_t n);

/* ---- clock_floor.c: the lowest time this device believes ---------------------------------------------------------- */

/** That of the clock port; 0 where it has none. */
int64_t hf_client_uptime_ms(const struct hf_client *c);

/** Load the clock floor and tell the trust port. What cannot be read counts as the build time. */
void hf_clock_floor_load(struct hf_client *c);

/**
 * What the newest root, then the targets metadata, say about time. Each is believed up to this
 * device's own clock where that is not below the floor. Targets count as long as root names the keys
 * they were signed with. Saves what rose, tells the trust port.
 */
HF_MUST_USE enum hf_err hf_clock_floor_learn_root(struct hf_client *c, struct hf_why *why);
HF_MUST_USE enum hf_err hf_clock_floor_learn_targets(struct hf_client *c, struct hf_why *why);

/** After HF_E_EXPIRED: say so in front of the sentence if the clock is what looks wrong. */
void hf_clock_doubt(const struct hf_client *c, struct hf_why *why);

/* ---- floors.c: which bundle versions may still come ------------------------------------------- */

/** Whose keys: SHA-256, in hex, over the sorted distinct public keys of a role of root. */
HF_MUST_USE enum hf_err hf_role_keys_identity(const struct hf_root *root, enum hf_top_role role,
                                              char out[HF_SHA256_HEX_LEN], struct hf_why *why);

/* Rejected versions remembered; a device that rejected more waits for a key rotation anyway. */
#define HF_REJECTED_MAX 64

#define HF_FLOOR_SUFFIX_MAX 34 /* '.', 32 hexadecimal digits, NUL */

/* Which bundle versions may still come. Belongs to one set and profile, and to the targets keys that
 * root names. */
struct hf_bundle_floor {
    char suffix[HF_FLOOR_SUFFIX_MAX]; /* of the names of the stored values */
    char keys[HF_SHA256_HEX_LEN];     /* identity of the targets keys of now */
    bool is_new;                      /* nothing was stored for these keys yet */
    int64_t version;                  /* no bundle below it; 0 for none */
    int64_t rejected[HF_REJECTED_MAX];
    size_t n_rejected;
};

HF_MUST_USE enum hf_err hf_bundle_floor_load(struct hf_client *c, const char *set,
                                             const char *profile, struct hf_bundle_floor *out,
                                             struct hf_why *why);
bool hf_bundle_floor_rejects(const struct hf_bundle_floor *floor, int64_t version);
/** Never take the version that is active again, for as long as root names the same targets keys. */
HF_MUST_USE enum hf_err hf_bundle_reject_active(struct hf_client *c, struct hf_why *why);
/** `version` is active now: write the floor, where it differs from what is stored. */
HF_MUST_USE enum hf_err hf_bundle_floor_raise(struct hf_client *c,
                                              const struct hf_bundle_floor *floor, int64_t version,
                                              struct hf_why *why);

/* ---- mirrors.c: one fetch over the configured mirrors ---------------------------------------- */

/* What it means that a mirror has no such file: 403, 404 or 410. */
enum hf_missing {
    HF_MISSING_IS_A_FAULT, /* it should have; the next one is asked */
    HF_MISSING_IS_FINE,    /* it may; the next one is asked all the same */
    HF_MISSING_ENDS,       /* there is none anywhere: HF_E_NOT_FOUND at once */
};

struct hf_fetch {
    const char *path; /* below the mirror's URL: "metadata/timestamp.json" */
    const char *etag; /* NULL for none; with one, `accept` sees 304 answers too */
    size_t max_bytes;
    enum hf_missing missing;

    /** NULL, or: is what `accept` took older than it should be? Then the other mirrors are asked for
     *  a newer one, until one has it. HF_OK also when none does. */
    bool (*is_stale)(const struct hf_client *c);

    /** Verify a 200 (or 304) answer. What a mirror is to blame for sends the fetch to the next one,
     *  any other error ends it. */
    enum hf_err (*accept)(struct hf_client *c, void *arg, const struct hf_response *answer,
                          struct hf_why *why);
    void *arg;
};

/**
 * Ask one mirror after the other until one gives what `accept` takes. Otherwise the most telling
 * refusal, with the address in front.
 */
HF_MUST_USE enum hf_err hf_mirrors_fetch(struct hf_client *c, const struct hf_fetch *fetch,
                                         struct hf_why *why);

/** A new check: begin with another mirror than the one before, and with the whole time. */
void hf_mirrors_begin_check(struct hf_client *c);

/** What a mirror sends may be too large for this device. HF_E_MEMORY from reading an answer becomes
 *  HF_E_LIMIT, so that the next mirror is asked; other errors stay. */
HF_MUST_USE enum hf_err hf_mirror_blame_answer(enum hf_err err, struct hf_why *why);

/** Was this a mirror's doing? Otherwise the fault is the device's own: disk, memory, a mistake. */
bool hf_mirror_is_to_blame(enum hf_err err);

/* ---- mirror_faults.c: what the journal says of each of several mirrors ------------------------ */

/** Which faults the journal has already. What cannot be read counts as none. */
void hf_mirror_faults_load(struct hf_client *c);
void hf_mirror_faults_begin_check(struct hf_client *c);

/** It did what `why` says. To the log, and to the journal unless that has this kind of fault of this
 *  mirror already. */
void hf_mirror_faults_note(struct hf_client *c, size_t mirror, const struct hf_why *why);

/** At the end of a check, in its transaction: who answers well again, and what is known now. Writes
 *  nothing where nothing changed. */
HF_MUST_USE enum hf_err hf_mirror_faults_write(struct hf_client *c, struct hf_why *why);

/* ---- role_file.c: one metadata file below root, from the store or from a mirror -------------- */

struct hf_role_file {
    const char *role; /* names it in the store and, percent-encoded, in the repository */
    const struct hf_file_info *announced;       /* by its parent; NULL for timestamp */
    size_t max_bytes;                           /* where it is not announced with fewer */
    const struct hf_trusted_targets *delegator; /* of targets: in whose name; NULL for root's */

    /** Hand it to the trusted set. */
    enum hf_err (*offer)(struct hf_client *c, const struct hf_role_file *file,
                         struct hf_bytes bytes, enum hf_origin origin, struct hf_why *why);
};

/** Offer the cached one, through the same door as a fetched one. `*out` says what became of it,
 *  HF_E_NOT_FOUND where there is none; what is returned is about the store. */
HF_MUST_USE enum hf_err hf_role_file_offer_cached(struct hf_client *c,
                                                  const struct hf_role_file *file, enum hf_err *out,
                                                  struct hf_why *why);

/** The cached one where it is the one announced, else fetch it and keep it (TUF 5.5, 5.6). */
HF_MUST_USE enum hf_err hf_role_file_obtain(struct hf_client *c, struct hf_role_file *file,
                                            struct hf_why *why);

/** 5.6 for one role, "targets" (delegator NULL) or a delegated one: in the trusted set after this.
 *  HF_E_NOT_FOUND where snapshot or all mirrors lack it. */
HF_MUST_USE enum hf_err hf_targets_obtain(struct hf_client *c, const char *role,
                                          const struct hf_trusted_targets *delegator,
                                          struct hf_why *why);

/* ---- verified.c: which metadata files need not be verified again ------------------------------ */

/** The receipts kept by this very version of the program. What cannot be read counts as none. */
void hf_verified_load(struct hf_client *c, struct hf_receipts *out);
/** Keep those of `c->trusted`, after a refresh that succeeded; else nothing is written, as where
 *  nothing changed. */
HF_MUST_USE enum hf_err hf_verified_write(struct hf_client *c, struct hf_why *why);

/* ---- refresh.c, root_walk.c ------------------------------------------------------------------- */

/* Who may say that there is no newer root. */
enum hf_walk_end {
    HF_WALK_TAKES_ONE_WORD, /* the first mirror that answers */
    HF_WALK_ASKS_ALL,
};

/** 5.3: every root metadata from the held one to the newest, each saved as soon as it is verified.
 *  `c->trusted` is begun anew. */
HF_MUST_USE enum hf_err hf_root_walk(struct hf_client *c, enum hf_walk_end end, struct hf_why *why);

/** The whole of TUF 5.1 to 5.6 for the top-level roles. `c->trusted` holds the result. */
HF_MUST_USE enum hf_err hf_refresh(struct hf_client *c, struct hf_why *why);

/* ---- find_target.c, fetch_target.c: any target, as any TUF client finds it --------------------- */

/* Bundles are not looked for like this: they are targets of the top-level role only (select.c). */

/**
 * Which target is `path` (TUF 5.6.7)? After hf_refresh; delegated roles are obtained on the way, at
 * most HF_DELEGATIONS_VISITED_MAX roles in all.
 *
 * HF_OK with `*out` NULL: no role that may speak for it lists it. Any other error: that could not be
 * told, since a role on the way could not be had. `*out` is borrowed from c->trusted.
 */
HF_MUST_USE enum hf_err hf_find_target(struct hf_client *c, const char *path,
                                       const struct hf_target **out, struct hf_why *why);

/**
 * Its content, with the length and the hashes signed (5.7). HF_E_POLICY for a path that could lead
 * out of a folder, HF_E_LIMIT for more than `max_bytes`, HF_E_HASH, … `out` is empty before and
 * owned by the caller after; nothing is stored.
 */
HF_MUST_USE enum hf_err hf_fetch_target(struct hf_client *c, const struct hf_target *target,
                                        size_t max_bytes, struct hf_buf *out, struct hf_why *why);

/* ---- record.c: bundles as the store keeps them ------------------------------------------------ */

/** Load a slot and check its hash and that its description can be read. HF_E_NOT_FOUND for an empty
 *  one, HF_E_STORAGE for a damaged one.
 *  The caller frees `out` with hf_bundle_record_free. */
HF_MUST_USE enum hf_err hf_bundle_load(struct hf_client *c, enum hf_slot slot,
                                       struct hf_bundle_record *out, struct hf_why *why);

/** What was signed about it; nothing for the factory's. The caller frees `out`. */
HF_MUST_USE enum hf_err hf_bundle_record_describe(const struct hf_bundle_record *record,
                                                  struct hf_description *out, struct hf_why *why);

/** The record as the anchors it stands for. */
HF_MUST_USE enum hf_err hf_bundle_of_record(const struct hf_bundle_record *record,
                                            struct hf_bundle *out, struct hf_why *why);

size_t hf_bundle_count_usable(const struct hf_bundle *bundle, int64_t now_s);

/* ---- live.c: the live trust store ------------------------------------------------------------- */

/** New handshakes see this bundle from now on. */
HF_MUST_USE enum hf_err hf_live_swap(struct hf_client *c, const struct hf_bundle_record *record,
                                     const struct hf_bundle *bundle, struct hf_why *why);

/** The anchors of `bundle` as ports take them. They borrow from `bundle`; the caller frees `*out`. */
HF_MUST_USE enum hf_err hf_live_anchors(const struct hf_bundle *bundle,
                                        struct hf_trust_anchor **out, struct hf_why *why);

/** As hf_live_swap, unless it is what they see already. */
HF_MUST_USE enum hf_err hf_live_swap_if_other(struct hf_client *c,
                                              const struct hf_bundle_record *record,
                                              struct hf_why *why);

/** At the start of a check: another process may have gone back since, or the swap of a rollback may have
 *  failed. That must not wait for a refresh, which may fail for want of it. What goes wrong is logged. */
void hf_live_follow(struct hf_client *c);

/**
 * The bundle that the live store holds, after bringing it up to the one that is stored as active, without
 * what is dropped. HF_E_NOT_FOUND where it holds none. The caller frees `out`.
 */
HF_MUST_USE enum hf_err hf_live_bundle(struct hf_client *c, struct hf_bundle *out,
                                       struct hf_why *why);

/** At the start: the active bundle or, where that cannot be read, the previous one. What goes wrong
 *  is in the journal; a device without anchors must be able to update more than ever. */
void hf_live_load(struct hf_client *c);

/* ---- revoked.c: what the publisher revoked stays revoked ----------------------------------------- */

/** The drops of `d` as 32 bytes each, borrowed. */
struct hf_bytes hf_description_revoked(const struct hf_description *d);
/** Is this key in such a list? */
bool hf_revoked_has(struct hf_bytes revoked, const uint8_t spki_sha256[HF_SHA256_LEN]);

/** The keys that are revoked. Where the stored list cannot be read that is logged, and it is the list of
 *  the newest stored bundle. The caller frees `out`. HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_revoked_load(struct hf_client *c, struct hf_buf *out,
                                        struct hf_why *why);

/** The drops of `d`, in place of those of the bundle before. */
HF_MUST_USE enum hf_err hf_revoked_save(struct hf_client *c, const struct hf_description *d,
                                        struct hf_why *why);
/** Are these the ones that are stored? False also where that cannot be read. */
bool hf_revoked_is(struct hf_client *c, const struct hf_description *d);

/** The record as the device uses it: its anchors without those that are revoked. */
HF_MUST_USE enum hf_err hf_bundle_in_use(struct hf_client *c, const struct hf_bundle_record *record,
                                         struct hf_bundle *out, struct hf_why *why);

/* ---- endpoint_memory.c: what is known of the device's endpoints between two looks ------------------- */

/* Of the server's key. ANY where all anchors have keys of one type: then nothing else is asked for. */
enum hf_key_type { HF_KEY_TYPE_RSA, HF_KEY_TYPE_ECC, HF_KEY_TYPE_ANY };
#define HF_KEY_TYPES 3

/* What is known of an endpoint when it is asked for a key of that type. Any one of the anchors will
 * do. Kept from handshake to handshake in the store (value `endpoint.N.TYPE`). */
struct hf_endpoint_memory {
    int64_t seen_s; /* HF_TIME_NONE: not yet */
    int64_t leaf_not_before_s;
    int64_t leaf_not_after_s;
    uint8_t anchors[HF_SIGHTING_ANCHORS_MAX][HF_SHA256_LEN]; /* SPKI */
    size_t n_anchors;
    char
        root[HF_DN_TEXT_MAX]; /* the subject of one of these anchors; empty where it is not known */
};

/* The name of an endpoint's value in the store, for a type of key: "endpoint.N.TYPE" and a suffix. */
#define HF_ENDPOINT_VALUE_MAX 40
void hf_endpoint_value(size_t endpoint, enum hf_key_type type, const char *suffix,
                       char out[HF_ENDPOINT_VALUE_MAX]);

/** What cannot be read, or is about an endpoint of another name, counts as not seen yet. */
void hf_endpoint_memory_load(struct hf_client *c, size_t endpoint, enum hf_key_type type,
                             struct hf_endpoint_memory *out);
/** Without anchors: it is forgotten. What cannot be written is logged: it is learnt again. */
void hf_endpoint_memory_save(struct hf_client *c, size_t endpoint, enum hf_key_type type,
                             const struct hf_endpoint_memory *memory);

/* ---- losses.c: endpoints that the active bundle does not validate any more ------------------------ */

enum hf_loss_cause {
    HF_LOSS_MISSING = 0, /* the root is not in the bundle */
    HF_LOSS_REVOKED,
    HF_LOSS_DISTRUSTED,
    HF_LOSS_REMOVED, /* its remove_after has passed */
    HF_LOSS_EXPIRED,
};

/* A chain that an endpoint showed and that no root validates now (value `endpoint.N.TYPE.lost`). */
struct hf_loss {
    int64_t since_s; /* when it was noticed; HF_TIME_NONE: not lost, or not noticed yet */
    enum hf_loss_cause cause;
    char root[HF_DN_TEXT_MAX]; /* the subject of the root that the chain leads to */
};

/** `its chain leads to "CN=Root", which the publisher revoked` */
void hf_loss_text(const struct hf_loss *loss, char *out, size_t cap);

/** What cannot be read, or is about an endpoint of another name, is no loss. */
void hf_loss_load(struct hf_client *c, size_t endpoint, enum hf_key_type type, struct hf_loss *out);

/**
 * At the end of a check: which endpoints has the active bundle lost since the last one, by what it
 * revokes or by a date, and which are back? Each goes to the journal once. `out` says in words what is
 * lost since; empty for nothing. What goes wrong is logged.
 */
void hf_losses_note(struct hf_client *c, char out[HF_WHY_MAX]);

/* ---- endpoints.c: what the device's own servers say about a change of anchors --------------------- */

/* A change of anchors that the endpoints are asked about. */
struct hf_change {
    const struct hf_bundle
        *before;             /* what the device uses; NULL: nothing, so that nothing can be lost */
    struct hf_bytes revoked; /* keys that it is to lose, 32 bytes each */
    const struct hf_bundle *after;
};

/*
 * All endpoints together. An endpoint is `for` the change when a chain of it validates after it and none
 * is lost by it. One that is lost by the publisher's own will, because its root is revoked, distrusted
 * for that certificate, or removed by date, is no evidence against: else the CA that is distrusted would
 * have a veto.
 */
struct hf_judgement {
    size_t n_for;
    size_t n_silent;          /* gave no evidence either way, those that are given up among them */
    size_t n_given_up;        /* of these, lost by the publisher's will */
    bool is_against;          /* a chain was proved that validates before and not after */
    char against[HF_WHY_MAX]; /* endpoint, presented issuer, the anchor that was missing */
    char silent[HF_WHY_MAX];  /* of the first silent one: who and why; given up before no answer */
};

/**
 * Look at every endpoint with every offer that the anchors have keys for, and remember what was
 * seen. HF_OK also if no endpoint answered; anything else is this device's own fault.
 */
HF_MUST_USE enum hf_err hf_endpoints_judge(struct hf_client *c, const struct hf_change *change,
                                           struct hf_judgement *out, struct hf_why *why);

/** Look at the endpoints where the last look is a month old, or a day while one was never seen or is
 *  lost, for what status and simulate say of them. Without a bundle there is nothing to look with. */
HF_MUST_USE enum hf_err hf_endpoints_learn(struct hf_client *c, struct hf_why *why);

/* ---- probation.c: on trial until confirmed or rolled back ------------------------------------------ */

/* Of the device's own uptime, during which the endpoints are asked at every check. */
#define HF_TRIAL_S INT64_C(3600)
#define HF_TRIAL_STARTS 10 /* or so many starts, for devices that are up for a check only */

struct hf_trial {
    bool is_on;
    int64_t version; /* the active bundle's */
    int64_t up_s;    /* so far */
    int64_t last_uptime_ms;
    int64_t n_starts; /* of the device, seen so far */
};
/** What cannot be read is no trial. */
void hf_trial_load(struct hf_client *c, struct hf_trial *out);

/** Part of the transaction that activates `version`. */
HF_MUST_USE enum hf_err hf_trial_begin(struct hf_client *c, int64_t version, struct hf_why *why);
/** The same for one that there is no going back from. */
HF_MUST_USE enum hf_err hf_trial_end(struct hf_client *c, struct hf_why *why);

/** At the start of a check: count the time, ask the endpoints, confirm or roll back. `*rejected` is the
 *  version it rejected, and otherwise stays. Without a trial it does nothing. */
HF_MUST_USE enum hf_err hf_probation(struct hf_client *c, int64_t *rejected, struct hf_why *why);

/** After a successful refresh: with neither endpoint nor application, that confirms. */
HF_MUST_USE enum hf_err hf_probation_refreshed(struct hf_client *c, struct hf_why *why);

/* ---- provision.c ------------------------------------------------------------------------------- */

/** The factory's bundle as a record of version 0, checked; an empty one for an empty `pem`. The caller
 *  frees `out` with hf_bundle_record_free, also after an error. */
HF_MUST_USE enum hf_err hf_factory_record(const struct hf_client *c, struct hf_bytes pem,
                                          struct hf_bundle_record *out, struct hf_why *why);

/* ---- recovery.c: when no server's chain validates any more ------------------------------------------ */

/**
 * A refresh ended in `err`, as `why` says. True: make it once more with c->waives_validation, which
 * this has set and written to the journal. That is when a server's chain did not validate in this
 * check and
 *   - no anchor is usable, neither of the live store nor of the transport, or
 *   - it was so in HF_RECOVERY_FAILURES checks in a row, over HF_RECOVERY_AFTER_S of own uptime or
 *     HF_RECOVERY_STARTS starts of the device.
 * Counts such checks (value `recovery.failures`); one that succeeds ends the count.
 */
bool hf_recovery_begins(struct hf_client *c, enum hf_err err, const struct hf_why *why);
#define HF_RECOVERY_FAILURES 5
#define HF_RECOVERY_AFTER_S HF_DAY_S
#define HF_RECOVERY_STARTS 10 /* for devices that are up for a check only, once a day or an hour */

/** That refresh ended in `err`: to the journal and to `recovery.last`, and to `why`, behind `first`,
 *  which is why it was made. Returns `err`. */
enum hf_err hf_recovery_end(struct hf_client *c, enum hf_err err, const struct hf_why *first,
                            struct hf_why *why);

/** What is known of it, for the status. */
HF_MUST_USE enum hf_err hf_recovery_describe(struct hf_client *c, struct hf_status *out,
                                             struct hf_why *why);

/* ---- select.c, obtain.c, preflight.c, activate.c ------------------------------------------------- */

/* What an update is about, filled from step to step. */
struct hf_candidate {
    bool has_active;
    struct hf_bundle_record active;
    struct hf_bundle_floor floor;  /* of our set and profile */
    bool is_active_of_us;          /* false after a change of set or profile */
    bool is_active_of_former_keys; /* root names other targets keys than those that signed it */

    const struct hf_target *target; /* borrowed from c->trusted */
    struct hf_description description;
    bool is_active; /* nothing to do: the newest bundle is the active one */

    struct hf_bundle_record record; /* the target's content */
    struct hf_bundle bundle;
    bool is_staged;          /* by an earlier, interrupted update */
    bool is_active_on_trial; /* then the one before it stays what there is to go back to */
};
void hf_candidate_free(struct hf_candidate *cand);

/** Was the active bundle signed with targets keys that root does not name any more? They may have been
 *  stolen: such a bundle has no say about its successor, and there is no going back to it. */
bool hf_candidate_has_new_keys(const struct hf_candidate *cand);

/** The newest bundle of our set and profile that may be taken. HF_E_NOT_FOUND without one. */
HF_MUST_USE enum hf_err hf_select(struct hf_client *c, struct hf_candidate *cand,
                                  struct hf_why *why);

/** Its content, verified, parsed and checked (TUF 5.7.3). Nothing is stored. */
HF_MUST_USE enum hf_err hf_obtain(struct hf_client *c, struct hf_candidate *cand,
                                  struct hf_why *why);

/* A candidate that no endpoint has said anything about waits for this long, and for this many checks,
 * whatever comes first. */
#define HF_PREFLIGHT_WAIT_S HF_DAY_S
#define HF_PREFLIGHT_TRIES 8
/* In the sentence about a candidate that waits: what comes after it changes from check to check. */
#define HF_POSTPONED_UNTIL "; each endpoint was tried; it is installed anyway "

/**
 * Would the device still reach its endpoints? HF_E_POLICY when one proved a chain that validates now and
 * would not afterwards, though the candidate neither revokes nor distrusts nor removes its root.
 * HF_E_POSTPONED while that is not known of all. HF_OK without endpoints.
 */
HF_MUST_USE enum hf_err hf_preflight(struct hf_client *c, const struct hf_candidate *cand,
                                     struct hf_why *why);

/** Stage, commit, swap. */
HF_MUST_USE enum hf_err hf_activate(struct hf_client *c, struct hf_candidate *cand,
                                    struct hf_why *why);

#endif
