/*
 * The certificate that update servers are shown: the device's own, STATE/identity/current, or else
 * the configured client certificate. Read when it is first needed, and again when its files change,
 * since a rotation, also by another process, replaces them at any time.
 */
#ifndef HF_CLIENT_PORT_POSIX_SHOWN_IDENTITY_H
#define HF_CLIENT_PORT_POSIX_SHOWN_IDENTITY_H

#include "client/port/identity/client_auth.h"

#include <holdfast/posix.h>

struct hf_shown_identity;

/** `config` is copied as far as it is needed. `*key` is read at each load: the key of the port, or
 *  NULL; `key` must outlive it. HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_shown_identity_new(const char *state_dir,
                                              const struct hf_posix_config *config,
                                              const struct hf_device_key *const *key,
                                              struct hf_log_port log,
                                              struct hf_shown_identity **out, struct hf_why *why);
void hf_shown_identity_free(struct hf_shown_identity *identity);

/** Have the files changed since they were loaded? Then what was loaded is to be given up first. */
bool hf_shown_identity_is_stale(const struct hf_shown_identity *identity);
/** The next look finds it stale. */
void hf_shown_identity_forget(struct hf_shown_identity *identity);

/** Load it, and let a key of the port sign once, since a handshake with one that cannot sign fails.
 *  What cannot be used is logged: a server that does not ask for one can be used all the same. */
void hf_shown_identity_load(struct hf_shown_identity *identity);

/** What was loaded; NULL if there is none, or none that can be used. Lives until the next load. */
struct hf_client_auth *hf_shown_identity_get(struct hf_shown_identity *identity);

/** What was loaded ended before `now_s`: it could only be refused. */
bool hf_shown_identity_has_expired(const struct hf_shown_identity *identity, int64_t now_s);

#endif
