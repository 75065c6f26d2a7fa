/*
 * What holdfast-signer does, verb by verb. It takes no bytes to sign: each verb says what is
 * wanted, and the signer decides by what it verified itself. holdfastd, which alone may connect,
 * gets no more than this:
 *
 *     status      what is signed until when, the device CAs, the quotas, the log key
 *     refresh     a new timestamp, at most one a minute
 *     publish     what the offline keys signed, out of a folder that is handed over as a descriptor
 *     step        the next stage of a rollout, a stop or a resume, by the rules of rollout_rules.h
 *     issue       a certificate for a device, in the account of the CA, within its quotas (quota.h)
 *     renew       the same for a device whose old key signed the request, once an hour a device
 *     cas         the certificates of the device CAs
 *     seal        the log's newest hash, computed from its entries and the last seal, 60 an hour
 *     signatures  what was signed, by number
 *
 * Every signature is noted on disk before it is handed out (signer_state.h).
 */
#ifndef HF_SIGNER_SIGNER_H
#define HF_SIGNER_SIGNER_H

#include "server/config/config.h"
#include "server/repository/online.h"
#include "server/signer/moment.h"
#include "server/signer/signer_state.h"

/* What may change while it runs (SIGHUP). */
struct hf_signer_rates {
    int64_t timestamp_every_s;
    int64_t issue_per_day, issue_per_day_per_ca;
};
struct hf_signer_rates hf_signer_rates_of(const struct hf_config *config);

struct hf_signer {
    const struct hf_config *config; /* borrowed; its rates are those at the start */
    struct hf_signer_rates rates;
    struct hf_signer_state state;
    struct hf_signing_key log_key;
    struct hf_audit_head read; /* the log is read up to here, and not sealed; sequence 0: none */
    struct hf_online_result found; /* what devices found when the repository was read last */
    struct hf_moment refreshed; /* when this process last signed a timestamp; wall_s 0: not yet */
};

/** Read the configuration, with what the signer cannot do without. As hf_config_read. */
HF_MUST_USE enum hf_err hf_signer_read_config(const char *path, struct hf_config *out,
                                              struct hf_why *why);

/** Open the state folder and the log key, which is made with the folder (hf_signer_make).
 *  HF_E_NOT_FOUND with what to do when there is none. */
HF_MUST_USE enum hf_err hf_signer_open(const struct hf_config *config, struct hf_signer *out,
                                       struct hf_why *why);
void hf_signer_close(struct hf_signer *signer);

/** Make the state folder of the configuration with a new log key, which may be run again after a
 *  power cut. HF_E_STATE when there is one. */
HF_MUST_USE enum hf_err hf_signer_make(const struct hf_config *config, struct hf_why *why);

/**
 * Answer one request, `fd` being a descriptor that came with it or -1, both borrowed: a new
 * reference to an answer, also for what is refused; NULL without memory.
 */
json_t *hf_signer_answer(struct hf_signer *signer, const json_t *request, int fd,
                         const struct hf_moment *now);

/** Make a device CA and note its certificate, which it signs itself, in the state folder; also
 *  while the signer of the folder runs. Errors: hf_device_ca_make, hf_device_ca_save,
 *  hf_signer_state_note_beside. */
HF_MUST_USE enum hf_err hf_signer_make_ca(const struct hf_config *config, const char *name,
                                          const char *account, int64_t days, int64_t now_s,
                                          struct hf_why *why);

/**
 * Allow the log to go on without the entries that are sealed and lost. Until the service has stated
 * that in the log (HF_AUDIT_RESTART), nothing more is sealed. Not a verb: the operator at this
 * machine decides. `*lost` is the newest sealed entry. HF_E_STATE when nothing is sealed,
 * HF_E_ARGUMENT for the reason.
 */
HF_MUST_USE enum hf_err hf_signer_restart_log(struct hf_signer *signer, const char *reason,
                                              int64_t now_s, struct hf_audit_head *lost,
                                              struct hf_why *why);

/**
 * Sign a new timestamp if it is time for one: [signer] timestamp_every has passed since the last,
 * or less than half of its lifetime is left, or it was signed by a clock that is far ahead of this
 * one. `*next_s` is when to look again, also on failure.
 */
HF_MUST_USE enum hf_err hf_signer_keep_fresh(struct hf_signer *signer, const struct hf_moment *now,
                                             int64_t *next_s, struct hf_why *why);

#endif
