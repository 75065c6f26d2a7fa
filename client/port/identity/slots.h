/*
 * The device's certificates and keys on disk:
 *
 *     STATE/identity/1/key.pem, certificate.pem   a slot; a new one has a number above the current
 *     STATE/identity/1/service                    the address of the service that certifies it
 *     STATE/identity/current -> 1                 the slot in use, replaced in one step
 *
 * Folders are 0700, files 0600, and each is synced before the next step begins. So `current` leads
 * to a whole slot, also after a power cut. A slot whose removal was cut may lack files; it is
 * damaged, and never current.
 *
 * Functions that write expect that the caller holds STATE/identity.lock.
 */
#ifndef HF_CLIENT_PORT_IDENTITY_SLOTS_H
#define HF_CLIENT_PORT_IDENTITY_SLOTS_H

#include "client/port/identity/client_auth.h"
#include "common/os/file_util.h"

#define HF_SLOT_CURRENT "current"
#define HF_SLOT_KEY "key.pem"
#define HF_SLOT_CERTIFICATE "certificate.pem"
#define HF_SLOT_SERVICE "service"

/* Numbers of slots; 0: there is none. */
struct hf_slots {
    struct hf_path dir; /* STATE/identity */
    unsigned current;
    unsigned predecessor; /* the highest below it with a certificate */
    unsigned candidate;   /* the highest above it with a certificate */
    unsigned draft; /* the highest of all, without a certificate: what the next request is for */
    unsigned highest;
};

/** What is there; nothing at all is no error. HF_E_STORAGE, HF_E_LIMIT. */
HF_MUST_USE enum hf_err hf_slots_read(const char *state_dir, struct hf_slots *out,
                                      struct hf_why *why);

/** "STATE/identity/NUMBER/FILE"; number 0 is `current`. HF_E_LIMIT. */
HF_MUST_USE enum hf_err hf_slots_path(const struct hf_slots *slots, unsigned number,
                                      const char *file, struct hf_path *out, struct hf_why *why);

/** Remove everything that `slots` does not name. HF_E_STORAGE. */
HF_MUST_USE enum hf_err hf_slots_clean(struct hf_slots *slots, struct hf_why *why);

/** A new draft with this key; `key_pem` is empty for a key of the port. There is none before.
 *  HF_E_STORAGE, HF_E_LIMIT. */
HF_MUST_USE enum hf_err hf_slots_add(struct hf_slots *slots, struct hf_bytes key_pem,
                                     struct hf_why *why);

/** The address of the service that the draft is certified by, before it is asked. HF_E_STORAGE. */
HF_MUST_USE enum hf_err hf_slots_put_service(const struct hf_slots *slots, const char *url,
                                             struct hf_why *why);

/** Append that of a slot. HF_E_NOT_FOUND, HF_E_LIMIT, HF_E_STORAGE. */
HF_MUST_USE enum hf_err hf_slots_get_service(const struct hf_slots *slots, unsigned number,
                                             struct hf_buf *url, struct hf_why *why);

/** The draft gets its certificate and is the candidate, in place of the one before.
 *  HF_E_STORAGE. */
HF_MUST_USE enum hf_err hf_slots_put_certificate(struct hf_slots *slots, struct hf_bytes pem,
                                                 struct hf_why *why);

/** The candidate, a whole pair, becomes current, and what was current its predecessor.
 *  HF_E_STORAGE. */
HF_MUST_USE enum hf_err hf_slots_adopt(struct hf_slots *slots, struct hf_why *why);

/** Certificate and key of a slot; number 0 is `current`. As hf_client_auth_load. */
HF_MUST_USE enum hf_err hf_slots_load(const struct hf_slots *slots, unsigned number,
                                      const struct hf_device_key *key, struct hf_client_auth *out,
                                      struct hf_why *why);

#endif
