/*
 * Every registered certificate, in memory, by the SHA-256 of its DER. One thread writes; any number
 * of threads read without a lock, so that a change of status counts from the next look-up on, on
 * every loop.
 *
 * Open addressing, 48 bytes a slot. A slot is filled before its state is published, its hash and
 * account never change after that, and a removed slot is not used again until the table grows. When
 * the table grows, readers may still be in the old one: it is kept until the end. All old tables
 * together are smaller than the newest. No I/O.
 */
#ifndef HF_IDENTITY_REGISTRY_H
#define HF_IDENTITY_REGISTRY_H

#include "common/base/digest.h"
#include "server/identity/limits.h"
#include "server/identity/status.h"

#include <holdfast/bytes.h>

#include <stdatomic.h>

/* Flags of an entry. */
#define HF_CREDENTIAL_UNCONFIRMED                                                                  \
    1u /* from a rotation: its first request sets the old one INACTIVE later */
#define HF_CREDENTIAL_ROTATE 2u /* the device is asked to rotate it */

/** One certificate in one account. Plain values: a copy of what the table held at the time. */
struct hf_registered {
    uint64_t credential; /* its number in the database */
    uint32_t account;    /* never 0 */
    enum hf_cert_status status;
    enum hf_cert_mode mode;
    enum hf_cert_kind kind;
    uint8_t flags;
};

struct hf_registry;

/** Room for `expected` certificates before the table first grows (it grows by doubling).
 *  HF_E_MEMORY, HF_E_LIMIT. Only the writer may call what takes a registry that is not const. */
HF_MUST_USE enum hf_err hf_registry_new(size_t expected, struct hf_registry **out,
                                        struct hf_why *why);
/** After the last reader has gone. NULL is fine. */
void hf_registry_free(struct hf_registry *registry);

/** Room for `more` new certificates: as many hf_registry_set cannot fail for want of it.
 *  HF_E_MEMORY, HF_E_LIMIT. */
HF_MUST_USE enum hf_err hf_registry_reserve(struct hf_registry *registry, size_t more,
                                            struct hf_why *why);

/**
 * Add, or change what is there: a certificate has one entry in an account. HF_E_ARGUMENT without a
 * credential number, account, status, mode or kind; HF_E_MEMORY, HF_E_LIMIT: then nothing has
 * changed.
 */
HF_MUST_USE enum hf_err hf_registry_set(struct hf_registry *registry,
                                        const uint8_t sha256[HF_SHA256_LEN],
                                        const struct hf_registered *entry, struct hf_why *why);
/** False if there is no such entry. */
bool hf_registry_remove(struct hf_registry *registry, const uint8_t sha256[HF_SHA256_LEN],
                        uint32_t account);

/** The certificate in that account. From any thread. */
HF_MUST_USE bool hf_registry_find(const struct hf_registry *registry,
                                  const uint8_t sha256[HF_SHA256_LEN], uint32_t account,
                                  struct hf_registered *out);
/** The certificate registered in mode DEFAULT, in whichever account. From any thread. */
HF_MUST_USE bool hf_registry_find_default(const struct hf_registry *registry,
                                          const uint8_t sha256[HF_SHA256_LEN],
                                          struct hf_registered *out);

/** How many certificates of that kind the account has in each status, while others may change.
 *  Looks at every slot: some 10 ms for a million. From any thread. */
void hf_registry_count_status(const struct hf_registry *registry, uint32_t account,
                              enum hf_cert_kind kind, size_t counts[HF_CERT_STATUSES]);

/** Counts changes that can take a right away, so not new certificates: what was decided before it
 *  moved has to be decided again. From any thread; lives as long as the registry. */
const atomic_uint_fast64_t *hf_registry_generation(const struct hf_registry *registry);
/** Count a change that is not the registry's own: a new directory was offered to the loops. From
 *  any thread. */
void hf_registry_count_change(struct hf_registry *registry);

/** Entries in it. From any thread. */
size_t hf_registry_count(const struct hf_registry *registry);

/** What the table takes. From the writer's thread. */
struct hf_registry_size {
    size_t n_entries;
    size_t n_slots;
    size_t slot_bytes;
    size_t bytes; /* old tables included */
};
struct hf_registry_size hf_registry_size(const struct hf_registry *registry);

#endif
