/*
 * What a device tells the fleet service about itself: POST /v1/reports with one report, or a list
 * of them, and the answer. The device writes reports and reads the answer (server/api/reports.c
 * writes it); the service reads reports. No I/O.
 *
 *     {"v": 1, "device": "pump-17", "installation": "5f0c…", "seq": 41, "kind": "confirmed",
 *      "set": "amazon-iot", "profile": "full", "from": 2, "to": 3, "sha256": "0d3f…",
 *      "text": "every endpoint was reached with it", "outcome": "ok", "agent": "0.9.0",
 *      "next_expiry": "2037-01-17T00:00:00Z", "clock": "2026-12-01T09:00:00Z",
 *      "nonce": "00112233aabbccdd", "sent": "2026-12-01T09:00:07Z", "groups": ["lab"]}
 *
 * Agents and services of different versions understand each other: unknown members are ignored, an
 * unknown kind is kept as its text, and a higher "v" is read like this one. Known members are
 * strict in type and length. A report never decides about trust: the device reports what it likes.
 *
 * A report keeps its content under its `seq` for ever, so that the service may drop what it has.
 * Only `nonce` and `sent` are of the request, and differ when it is sent again.
 */
#ifndef HF_COMMON_REPORT_REPORT_H
#define HF_COMMON_REPORT_REPORT_H

#include "common/base/digest.h"
#include "common/base/limits.h"
#include "common/base/names.h"
#include "common/report/limits.h"

#define HF_REPORT_VERSION 1
#define HF_REPORT_INSTALLATION_SIZE 33 /* 128 random bits as hexadecimal digits, and a NUL */
#define HF_REPORT_NONCE_SIZE 17        /* 64 bits, likewise */

enum hf_report_kind {
    HF_REPORT_OTHER = 0,   /* of a newer agent; `kind_name` has its name */
    HF_REPORT_ANNOUNCE,    /* is about to install `to` */
    HF_REPORT_SWAPPED,     /* `to` is in use, and on trial */
    HF_REPORT_CONFIRMED,   /* the trial of `to` has ended well */
    HF_REPORT_ROLLED_BACK, /* `from` failed its trial; `to` is in use again */
    HF_REPORT_REFUSED,     /* preflight: `to` would cut off an endpoint */
    HF_REPORT_FAILED,      /* the check or the update failed; `text` says why */
    HF_REPORT_HELD,        /* `to` waits for its turn, or for an endpoint */
    HF_REPORT_CURRENT,     /* nothing new: once a day, what is in use */
    HF_REPORT_RECOVERED,   /* validates servers again after a recovery */
    HF_REPORT_KIND_COUNT,
};

/* Texts end with NUL and are "" where the member is absent; hexadecimal ones are in lower case. */
struct hf_report {
    char device[HF_DEVICE_ID_MAX + 1];
    char installation[HF_REPORT_INSTALLATION_SIZE]; /* one more makes a clone visible */
    int64_t seq;                                    /* >= 1, rises within an installation */
    enum hf_report_kind kind;
    char kind_name[HF_REPORT_WORD_MAX + 1]; /* always set by a read; written for HF_REPORT_OTHER */
    char set[HF_SET_NAME_MAX + 1];
    char profile[HF_SET_NAME_MAX + 1];
    int64_t from, to;                     /* versions of bundles, 0 is the factory's; -1: absent */
    char sha256[HF_SHA256_HEX_LEN];       /* of the bundle `to` */
    char text[HF_REPORT_TEXT_MAX + 1];    /* one line, printable */
    char outcome[HF_REPORT_WORD_MAX + 1]; /* hf_err_name */
    char endpoint[HF_REPORT_ENDPOINT_MAX + 1];
    char root[HF_SHA256_HEX_LEN]; /* SHA-256 of the SPKI of the root that `endpoint` needs */
    char root_name[HF_REPORT_ROOT_NAME_MAX + 1]; /* its subject */
    int64_t next_expiry_s; /* the first anchor in use to expire; HF_TIME_NONE: absent */
    int64_t clock_s;       /* the device's, when it happened; HF_TIME_NONE */
    char agent[HF_REPORT_WORD_MAX + 1];
    char groups[HF_DEVICE_GROUPS_MAX][HF_SET_NAME_MAX + 1];
    size_t n_groups;
    /* of the request */
    char nonce[HF_REPORT_NONCE_SIZE]; /* as the service gave it last */
    int64_t sent_s;                   /* the device's clock; HF_TIME_NONE */
};

/** All absent. */
#define HF_REPORT_NOTHING                                                                          \
    ((struct hf_report){.from = -1,                                                                \
                        .to = -1,                                                                  \
                        .next_expiry_s = HF_TIME_NONE,                                             \
                        .clock_s = HF_TIME_NONE,                                                   \
                        .sent_s = HF_TIME_NONE})

/** "rolled-back"; "other" for HF_REPORT_OTHER and what is none. */
const char *hf_report_kind_name(enum hf_report_kind kind);

/** Append it as canonical JSON, at most HF_REPORT_BYTES_MAX. HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_report_write(const struct hf_report *report, struct hf_buf *out,
                                        struct hf_why *why);

/**
 * The body of a request: one report, or a list of 1 to HF_REPORT_LIST_MAX. `*out` is an array of
 * `*n_out`, free() it; both are written on HF_OK only. HF_E_FORMAT, HF_E_LIMIT, HF_E_MEMORY; the
 * sentence says which member is meant, and of which report of a list.
 */
HF_MUST_USE enum hf_err hf_report_list_read(struct hf_bytes body, struct hf_report **out,
                                            size_t *n_out, struct hf_why *why);

/* The answer, after the commit: {"accepted": 2, "duplicates": 1, "nonce": "00112233aabbccdd"}. */
struct hf_report_answer {
    int64_t accepted, duplicates;
    char nonce[HF_REPORT_NONCE_SIZE]; /* to be sent with the next reports */
};

/** HF_E_FORMAT, HF_E_LIMIT, HF_E_MEMORY. `*out` is written on HF_OK only. */
HF_MUST_USE enum hf_err hf_report_answer_read(struct hf_bytes body, struct hf_report_answer *out,
                                              struct hf_why *why);

#endif
