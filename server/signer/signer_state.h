/*
 * What the signer must not forget: STATE/signer.db. A change is on disk when its function returns,
 * so that no answer is sent before it: the last seal, so that the log is only ever extended; a row
 * for each signature made; and what is used of the quotas (quota.h).
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

/** Open STATE/signer.db, which is made if missing, and lock the folder: HF_E_BUSY when another
 *  signer runs. */
HF_MUST_USE enum hf_err hf_signer_state_open(const char *dir, struct hf_signer_state *out,
                                             struct hf_why *why);
void hf_signer_state_close(struct hf_signer_state *state);

/** A signature, before it is handed out. */
struct hf_signature_note {
    const char *kind; /* "timestamp", "snapshot", "certificate", "renewal", "seal", "device-ca" */
    const char *subject;  /* what it says, in words: "account/device", "version 7" */
    int64_t version;      /* of metadata; 0: of nothing that has versions */
    struct hf_bytes what; /* what was signed, whole; its SHA-256 is kept */
    int64_t now_s;
};

/** Note a signature: within the open transaction, or in one of its own. */
HF_MUST_USE enum hf_err hf_signer_state_note(struct hf_signer_state *state,
                                             const struct hf_signature_note *note,
                                             struct hf_why *why);

/** The same beside the signer that runs in the folder, by a command that signs. HF_E_NOT_FOUND
 *  without a folder. */
HF_MUST_USE enum hf_err hf_signer_state_note_beside(const char *dir,
                                                    const struct hf_signature_note *note,
                                                    struct hf_why *why);

/** Note a signature over metadata, unless this version or a later one of the kind is noted: after a
 *  power cut between publishing and noting, the next call makes up for it. */
HF_MUST_USE enum hf_err hf_signer_state_note_version(struct hf_signer_state *state,
                                                     const struct hf_signature_note *note,
                                                     struct hf_why *why);

/** The head of the log as it was last sealed: sequence 0 and zeros before the first. */
struct hf_seal_head {
    struct hf_audit_head head;
    int64_t sealed_s;
};
HF_MUST_USE enum hf_err hf_signer_state_seal_head(struct hf_signer_state *state,
                                                  struct hf_seal_head *out, struct hf_why *why);
/** Replace it by one with a higher sequence, and note the signature. After a restart of the log any
 *  sequence is taken, and the restart is over. */
HF_MUST_USE enum hf_err hf_signer_state_set_seal_head(struct hf_signer_state *state,
                                                      const struct hf_seal_head *head,
                                                      const struct hf_signature_note *note,
                                                      struct hf_why *why);

/* The operator has restarted the log, and it is not sealed again yet. */
struct hf_log_restart {
    json_t *statement;         /* owned; NULL: there is no restart */
    struct hf_audit_head read; /* how far the new log was read; sequence -1: not at all */
};
HF_MUST_USE enum hf_err hf_signer_state_restart(struct hf_signer_state *state,
                                                struct hf_log_restart *out, struct hf_why *why);
/** Begin one, which takes the place of another that is not over, and note its signature. */
HF_MUST_USE enum hf_err hf_signer_state_begin_restart(struct hf_signer_state *state,
                                                      const json_t *statement,
                                                      const struct hf_signature_note *note,
                                                      struct hf_why *why);
/** Remember how far the new log was read. */
HF_MUST_USE enum hf_err hf_signer_state_set_restart_read(struct hf_signer_state *state,
                                                         const struct hf_audit_head *read,
                                                         struct hf_why *why);

/** The number of the newest signature; 0: there is none. */
HF_MUST_USE enum hf_err hf_signer_state_newest(struct hf_signer_state *state, int64_t *out,
                                               struct hf_why *why);

/** The signatures with a number above `after`, oldest first, at most HF_SIGNER_SIGNATURES_AT_ONCE:
 *  an array of objects. A new reference. */
HF_MUST_USE enum hf_err hf_signer_state_signatures(struct hf_signer_state *state, int64_t after,
                                                   json_t **out, struct hf_why *why);

#endif
