/* The limits of the fleet's store, each with its unit and its reason. */
#ifndef HF_FLEET_LIMITS_H
#define HF_FLEET_LIMITS_H

/* Names, in bytes. Those of devices, accounts and CAs are in common/base/names.h. */
#define HF_FLEET_GROUP_NAME_MAX 64u
#define HF_FLEET_TOKEN_NAME_MAX 64u
#define HF_FLEET_SNI_MAX 253u     /* a DNS name (RFC 1035, 2.3.4) */
#define HF_FLEET_ACTOR_MAX 128u   /* "token:NAME", "uid:1000", "device:" and a SHA-256 */
#define HF_FLEET_REASON_MAX 256u  /* a sentence that an operator gives; the log keeps it for ever */
#define HF_FLEET_SUBJECT_MAX 256u /* of a certificate as text, as HF_DN_TEXT_MAX */
#define HF_FLEET_SERIAL_MAX 65u   /* hexadecimal digits and a NUL */

#define HF_FLEET_DER_MAX (16u * 1024u) /* of one certificate, as HF_CERT_DER_MAX */
#define HF_FLEET_SNIS_PER_ACCOUNT_MAX 64u
#define HF_FLEET_PAGE_MAX 1000u /* rows of one list: at most about a MiB of JSON */
/* Devices that one page of a list looks at, when it is asked for a few of many: some 30 ms. */
#define HF_FLEET_LOOK_MAX 10000u

/* Tokens. */
#define HF_FLEET_TOKEN_BYTES                                                                       \
    32u /* of chance: 256 bits cannot be guessed, so a plain hash keeps them safe */
#define HF_FLEET_TOKEN_USES_MAX 1000000u          /* one production batch */
#define HF_FLEET_TOKEN_LIFE_MAX_S (366 * 86400LL) /* of an enrolment token */

#define HF_FLEET_LAST_USE_S 3600 /* a token's last use is written at most so often */

/* Idempotency: an operator's script repeats within minutes; a day is what comparable services
 * keep. */
#define HF_FLEET_IDEMPOTENCY_KEY_MAX 128u
#define HF_FLEET_IDEMPOTENCY_LIFE_S 86400
#define HF_FLEET_ANSWER_MAX (64u * 1024u)

/* Rotation: from the first request with the new certificate to the end of the old one. A device
 * that rolls back to a saved state within a day still connects. */
#define HF_FLEET_RETIRE_AFTER_S 86400
#define HF_FLEET_RETIRE_AT_ONCE 500u /* in one transaction; the rest a moment later */

/* Certificates that an attacker could ask for without end. A claim certificate enrols a device each
 * half a minute: 2,880 a day, so one alone does not use up the day's quota of its CA ([signer]
 * issue_per_day_per_ca, 5,000 unless configured). A factory that is quicker has a claim certificate
 * for each line. */
#define HF_FLEET_ISSUE_WINDOW_S 3600
#define HF_FLEET_CLAIM_USES_MAX 120

/* Reports. The history of a device: two years of ten updates a year, with all that goes wrong. A
 * device that makes up reports writes over its own. */
#define HF_FLEET_REPORTS_PER_DEVICE_MAX 500
#define HF_FLEET_REPORT_KEEP_S                                                                     \
    (180 * 86400LL)                   /* the history, unless the configuration says otherwise */
#define HF_FLEET_UNVERIFIED_MAX 10000 /* unverified reports of an account, likewise */
#define HF_FLEET_SERIES_KEEP_S (3 * 366 * 86400LL) /* a few rows an hour */
/* Of an account, should a device make up versions: of those that are used, and of the reports about
 * them, each. */
#define HF_FLEET_SERIES_PER_HOUR_MAX 1000
#define HF_FLEET_PURGE_AT_ONCE 1000 /* rows in one transaction; the rest a moment later */

/* What is said of a device. It reports at least once a day, so three days without a report are no
 * delay. */
#define HF_EXPLAIN_SILENT_S (3 * 86400LL)
/* Beyond an hour, certificates and timestamps that are fresh look as if they came from the
 * future. */
#define HF_EXPLAIN_CLOCK_WRONG_S 3600LL
#define HF_EXPLAIN_CERTIFICATE_ENDS_S (30 * 86400LL) /* as the audit does */
#define HF_EXPLAIN_ANCHOR_ENDS_S (90 * 86400LL)      /* a quarter: a fleet takes weeks to follow */

/* Readiness. Versions of one census: a fleet has a few, and a device that makes one up adds one. */
#define HF_FLEET_CENSUS_MAX 1000u
#define HF_FLEET_CENSUS_DAYS 15 /* today, and the 14 days before, from which a pace is read */
#define HF_READINESS_LISTED_MAX                                                                    \
    1000u /* anchors of an account, those that end first: some bundles */

/* Events that are kept for those who were away for a moment, in number and in bytes of text: an
 * update of 5,000 devices has three each, and a watcher connects again within seconds. What is
 * older is in the lists of the API. */
#define HF_EVENTS_KEPT_MAX 16384u
#define HF_EVENTS_BYTES_MAX (8u * 1024u * 1024u)
/* One as it is sent: the sentence of a finding or report has 500 bytes, six times that if each is
 * escaped. */
#define HF_EVENT_BYTES_MAX 4096u
/* Entries that one look at the ring goes through: some microseconds, in which the writer may
 * wait. */
#define HF_EVENTS_LOOK_MAX 1024u
#define HF_EVENTS_LISTENERS_MAX 4u /* loops of operators: of the socket, and of TLS */

/* Devices whose change is not yet followed, 8 bytes each: what 20 seconds of reports bring. */
#define HF_FLEET_CHANGES_MAX 65536u

/* Worker threads. A job is some hundred bytes; what does not fit is answered 503. */
#define HF_FLEET_QUEUE_MAX 8192u
/* Of these for reports. The rest is for operators, who must be able to shut out the devices that
 * fill it. */
#define HF_FLEET_QUEUE_REPORTS_MAX 6144u
/* Jobs of one transaction: larger batches gain little, and all of them wait for the last one. */
#define HF_FLEET_BATCH_MAX 1000u

#endif
