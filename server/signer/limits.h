/* The limits of the signer, each with its unit and its reason. */
#ifndef HF_SIGNER_LIMITS_H
#define HF_SIGNER_LIMITS_H

#include "common/rollout/limits.h"

/* One packet of signer.sock. A default socket buffer takes 208 KiB; a seal of HF_SEAL_ENTRIES_MAX
 * entries of the log is the longest message. */
#define HF_SIGNER_MESSAGE_MAX (128u * 1024u)
/* holdfastd keeps one connection open; an operator may look at the status beside it. */
#define HF_SIGNER_CLIENTS_MAX 8u
/* The client gives up then: an Ed25519 signature and a sync take milliseconds, a publication with
 * sealed keys takes a second of Argon2id and the reading of a repository. */
#define HF_SIGNER_CALL_TIMEOUT_MS 60000u
#define HF_SIGNER_LOOK_MS 250              /* a service that ends is noticed by a call under way */
#define HF_SIGNER_CONNECT_TIMEOUT_MS 5000u /* it accepts at once, unless it signs something long */
#define HF_SIGNER_SIGNATURES_AT_ONCE 200u  /* records of one answer, some 200 bytes each */
#define HF_RESTART_REASON_MAX 500u         /* bytes of a sentence, in the log for ever */
#define HF_SEAL_ENTRIES_MAX 200u           /* of one message; a page of the log */
/* Each is a row for ever. The log is sealed once an hour, and when holdfastd starts; one seal
 * covers any number of entries. */
#define HF_SEALS_PER_HOUR 60

/* How often the stages of one bundle are opened or resumed: the stages of the longest plan, if
 * nothing bakes, and some to resume. Each takes three files, and so does the stop that it makes
 * possible. */
#define HF_OPENINGS_PER_DAY (HF_ROLLOUT_STAGES_MAX + 8)
/* A record says this of a step: a path with its three names, and a few words. */
#define HF_SIGNER_SUBJECT_MAX 256u

/* A certificate begins this long before it is made, for servers whose clock is behind. */
#define HF_ISSUE_BACKDATE_S INT64_C(3600)
#define HF_CERTIFICATE_END_S INT64_C(2524607999) /* 2049-12-31T23:59:59Z, as AWS IoT's end */
/* What a device gets in an hour. One that renews more often has a fault, or was stolen. A new
 * certificate may get lost between here and the registry of holdfastd, so the device may ask for a
 * few; more of them would let one attacker, with requests sent at the same moment, use up the day's
 * quota of all others. */
#define HF_HOUR_S INT64_C(3600)
#define HF_RENEWALS_PER_HOUR 1
#define HF_ISSUES_PER_HOUR 3
#define HF_QUOTA_NAME_MAX 224u /* bytes: "issue ACCOUNT/DEVICE", 64 and 128 of them names */
/* Without a change the timestamp is signed again at most this often: each one is a file. */
#define HF_REFRESH_EVERY_S INT64_C(60)
/* After a refresh that failed, the next try. */
#define HF_REFRESH_RETRY_S INT64_C(60)

#define HF_DEVICE_CAS_MAX 64u /* one message lists all, with their certificates */
#define HF_PEM_FILE_MAX 65536u

#endif
