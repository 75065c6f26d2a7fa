/* The limits of findings and audits, each with its unit and its reason. */
#ifndef HF_FINDINGS_LIMITS_H
#define HF_FINDINGS_LIMITS_H

#define HF_FINDING_SENTENCE_MAX                                                                    \
    1024u /* bytes, with a NUL: a device, its endpoint and the root that it lacks */
#define HF_KEY_FAULT_MAX 256u       /* bytes, with a NUL: a part of a sentence */
#define HF_FINDING_SUBJECT_MAX 200u /* bytes, with a NUL: a set, a profile and a SHA-256 */

/* Open findings of one check in one account. More than that a person does not read one by one; GET
 * /v1/audits has their number. It also bounds what one hostile account can store. */
#define HF_FINDINGS_LISTED_MAX 1000u
#define HF_FINDING_KEEP_S (180 * INT64_C(86400))  /* after it was closed, as reports */
#define HF_FINDINGS_PURGED_AT_ONCE 1000u          /* in one transaction, which others wait for */
#define HF_MUTE_LIFE_MAX_S (366 * INT64_C(86400)) /* then a person looks again */

#define HF_CHECK_STEP_ROWS 1000u /* rows that a check reads at once: some milliseconds */
/* Certificates with the same key that are looked at for each: among so many there is an ACTIVE one
 * or a revoked one, and either is a finding. */
#define HF_CHECK_SAME_KEY_TEXT "50"
#define HF_CHECK_JOB_ROWS 200u /* findings written in one job, which other writes wait for */

/* The list of Debian's weak keys: of 2,048 bits it has 98,304; room for all sizes. */
#define HF_WEAK_KEYS_MAX 1000000u
#define HF_WEAK_KEYS_BYTES_MAX (32u * 1024u * 1024u) /* of one file */
#define HF_CRL_BYTES_MAX (32u * 1024u * 1024u)       /* of one file: about a million certificates */

#endif
