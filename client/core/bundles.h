/* bundles.c: bundles as the store keeps them, what is revoked of them, and the active trust
 * store. */
#ifndef HF_CLIENT_CORE_BUNDLES_H
#define HF_CLIENT_CORE_BUNDLES_H

#include "client/core/client_internal.h"

/** Load a slot and check its hash and that its description can be read. HF_E_NOT_FOUND for an empty
 *  one, HF_E_STORAGE for a damaged one. The caller frees `out` with hf_bundle_record_free. */
HF_MUST_USE enum hf_err hf_bundle_load(struct hf_client *c, enum hf_slot slot,
                                       struct hf_bundle_record *out, struct hf_why *why);

/** The record as the anchors it stands for. HF_E_STORAGE where this software cannot read them, as
 *  when an earlier version did; HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_bundle_of_record(const struct hf_bundle_record *record,
                                            struct hf_bundle *out, struct hf_why *why);

/** The record as the device uses it: its anchors without those that are revoked. */
HF_MUST_USE enum hf_err hf_bundle_in_use(struct hf_client *c, const struct hf_bundle_record *record,
                                         struct hf_bundle *out, struct hf_why *why);

/** hf_bundle_load, then hf_bundle_in_use. */
HF_MUST_USE enum hf_err hf_bundle_load_in_use(struct hf_client *c, enum hf_slot slot,
                                              struct hf_bundle *out, struct hf_why *why);

/** The certificates of `bundle` that are not supported here. The caller frees `*out`.
 *  HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_skipped_describe(const struct hf_bundle *bundle,
                                            struct hf_skipped_status **out, size_t *n_out,
                                            struct hf_why *why);

size_t hf_bundle_count_usable(const struct hf_bundle *bundle, int64_t now_s);

/* ---- what the publisher revoked stays revoked ------------------------------------------------ */

/** The drops of `d` as 32 bytes each, borrowed. */
struct hf_bytes hf_description_revoked(const struct hf_description *d);
/** Is this key in such a list? */
bool hf_revoked_has(struct hf_bytes revoked, const uint8_t spki_sha256[HF_SHA256_LEN]);

/** The keys that are revoked. If the stored list cannot be read that is logged, and it is the list
 *  of the newest stored bundle. The caller frees `out`. HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_revoked_load(struct hf_client *c, struct hf_buf *out,
                                        struct hf_why *why);

/* ---- the active trust store ------------------------------------------------------------------ */

/** The anchors of `bundle` as ports take them. They borrow from `bundle`; the caller frees
 *  `*out`. */
HF_MUST_USE enum hf_err hf_trust_anchors_of(const struct hf_bundle *bundle,
                                            struct hf_trust_anchor **out, struct hf_why *why);

/** New handshakes see this bundle from now on. */
HF_MUST_USE enum hf_err hf_active_store_swap(struct hf_client *c,
                                             const struct hf_bundle_record *record,
                                             const struct hf_bundle *bundle, struct hf_why *why);

/** The same for the record as it is in use, unless new handshakes see it already. */
HF_MUST_USE enum hf_err hf_active_store_follow(struct hf_client *c,
                                               const struct hf_bundle_record *record,
                                               struct hf_why *why);

/** At the start of a check: another process may have rolled back since, or the swap of a rollback
 *  may have failed. The refresh may need it. `out` is the active record, or stays empty: what goes
 *  wrong is logged. */
void hf_active_store_follow_stored(struct hf_client *c, struct hf_bundle_record *out);

/** At the start: the active bundle or, if that cannot be read, the previous one. What goes wrong is
 *  in the journal; a device without anchors must be able to update more than ever. */
void hf_active_store_load(struct hf_client *c);

#endif
