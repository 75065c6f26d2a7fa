/*
 * What the signer must not forget: STATE/signer.db. A change is on disk when its function returns, so that
 * no answer is sent before it: quota and renewals, which bound what a stolen holdfastd can ask for; the last
 * seal, so that the log is only ever extended; and a row for each signature made.
 */
#ifndef HF_SIGNER_SIGNER_STATE_H
#define HF_SIGNER_SIGNER_STATE_H

#include "common/base/digest.h"
#include "common/json/json.h"
#include "server/audit/chain.h"
#include "server/db/db.h"

struct hf_signer_state {
    struct hf_db *db; /* locked: one signer a folder */
};

/** Open STATE/signer.db, which is made if missing, and lock the folder: HF_E_BUSY when another signer runs. */
HF_MUST_USE enum hf_err hf_signer_state_open(const char *dir, struct hf_signer_state *out,
                                             struct hf_why *why);
void hf_signer_state_close(struct hf_signer_state *state);

/** A signature, before it is handed out. */
struct hf_signature_note {
    const char *kind;     /* "timestamp", "snapshot", "certificate", "renewal", "seal" */
    const char *subject;  /* what it says, in words: "account/device", "version 7" */
    int64_t version;      /* of metadata; 0: of nothing that has versions */
    struct hf_bytes what; /* what was signed, whole; its SHA-256 is kept */
    int64_t now_s;
};

/** Note a signature over metadata, unless this version or a later one of the kind is noted: after a power cut
 *  between publishing and noting, the next call makes up for it. */
HF_MUST_USE enum hf_err hf_signer_state_note_version(struct hf_signer_state *state,
                                                     const struct hf_signature_note *note,
                                                     struct hf_why *why);

/** Count a certificate for a new device, and note it. HF_E_LIMIT when `per_day` were issued today (UTC). */
HF_MUST_USE enum hf_err hf_signer_state_issue(struct hf_signer_state *state, int64_t per_day,
                                              const struct hf_signature_note *note,
                                              struct hf_why *why);
/** How many were issued today. */
HF_MUST_USE enum hf_err hf_signer_state_issued(struct hf_signer_state *state, int64_t now_s,
                                               int64_t *out, struct hf_why *why);

/** Count a renewal for the device whose "account/device" has that hash, and note it. HF_E_LIMIT within HF_RENEW_EVERY_S of the one before. */
HF_MUST_USE enum hf_err hf_signer_state_renew(struct hf_signer_state *state,
                                              const uint8_t device_sha256[HF_SHA256_LEN],
                                              const struct hf_signature_note *note,
                                              struct hf_why *why);

/** The head of the log as it was last sealed: sequence 0 and zeros before the first. */
struct hf_seal_head {
    struct hf_audit_head head;
    int64_t sealed_s;
};
HF_MUST_USE enum hf_err hf_signer_state_seal_head(struct hf_signer_state *state,
                                                  struct hf_seal_head *out, struct hf_why *why);
/** Replace it by one with a higher sequence, and note the signature. */
HF_MUST_USE enum hf_err hf_signer_state_set_seal_head(struct hf_signer_state *state,
                                                      const struct hf_seal_head *head,
                                                      const struct hf_signature_note *note,
                                                      struct hf_why *why);

/** The number of the newest signature; 0: there is none. */
HF_MUST_USE enum hf_err hf_signer_state_newest(struct hf_signer_state *state, int64_t *out,
                                               struct hf_why *why);

/** The signatures with a number above `after`, oldest first, at most HF_SIGNER_SIGNATURES_AT_ONCE: an array
 *  of objects. A new reference. */
HF_MUST_USE enum hf_err hf_signer_state_signatures(struct hf_signer_state *state, int64_t after,
                                                   json_t **out, struct hf_why *why);

#endif
