/*
 * Keeps the audit log whole, on a thread of its own: what the signer has signed is entered into the
 * log within ten seconds, and the signer seals the log every hour, so that nothing sealed can be
 * changed by a stolen holdfastd or a stolen database. While the signer or the database is away it
 * tries again; nothing is lost meanwhile.
 */
#ifndef HF_SERVE_LOG_KEEPER_H
#define HF_SERVE_LOG_KEEPER_H

#include "server/fleet/fleet.h"

struct hf_log_keeper;

/** `fleet` and `signer_socket` outlive the keeper. HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_log_keeper_start(struct hf_fleet *fleet, const char *signer_socket,
                                            struct hf_log_keeper **out, struct hf_why *why);
/** End the thread, and free. Before hf_fleet_close. NULL is fine. */
void hf_log_keeper_stop(struct hf_log_keeper *keeper);

#endif
