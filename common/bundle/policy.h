/*
 * What may be a trust anchor: a CA certificate, RSA of 2048 bits or more or P-256/384/521, no MD5,
 * SHA-1 only in a self-signature (where it is not relied on). An intermediate only where its
 * publisher says so. Dates are no reason to refuse: they choose which anchors are used.
 */
#ifndef HF_COMMON_BUNDLE_POLICY_H
#define HF_COMMON_BUNDLE_POLICY_H

#include "common/bundle/bundle.h"

/** Is it a CA certificate? HF_E_POLICY with its subject if not. */
HF_MUST_USE enum hf_err hf_policy_check_ca(const struct hf_anchor *anchor, struct hf_why *why);

/** Of certificates that are trusted as a file holds them (--ca, --server-ca): can at least one be
 *  the issuer of a server's certificate? HF_E_POLICY if none can: the file holds a server's own
 *  certificate, most likely. */
HF_MUST_USE enum hf_err hf_policy_check_issuers(const struct hf_bundle *bundle, struct hf_why *why);

/** HF_E_POLICY with the certificate's subject and the rule it breaks. */
HF_MUST_USE enum hf_err hf_policy_check_anchor(const struct hf_anchor *anchor, struct hf_why *why);

/** Does its extendedKeyUsage allow servers? HF_E_POLICY if not. */
HF_MUST_USE enum hf_err hf_policy_check_purpose(const struct hf_cert *cert, struct hf_why *why);

/** Every anchor, and at least one. */
HF_MUST_USE enum hf_err hf_policy_check_bundle(const struct hf_bundle *bundle, struct hf_why *why);

/**
 * Does each plain anchor's own key verify its signature? HF_E_POLICY: damaged on the way from its
 * CA. For the publisher and the factory, which add certificates. A device knows by the signed hash
 * that it has the checked bytes, and saves some milliseconds per root.
 */
HF_MUST_USE enum hf_err hf_policy_verify_self_signatures(const struct hf_bundle *bundle,
                                                         struct hf_why *why);

enum hf_anchor_state {
    HF_ANCHOR_USABLE = 0,
    HF_ANCHOR_NOT_YET_VALID,
    HF_ANCHOR_EXPIRED,
    HF_ANCHOR_REMOVED,         /* past remove_after */
    HF_ANCHOR_NOT_FOR_SERVERS, /* on no day: the verifier refuses every chain that ends in it */
};
/** Whether an anchor takes part in the live store at `now_s`. */
enum hf_anchor_state hf_policy_anchor_state(const struct hf_anchor *anchor, int64_t now_s);

/** The same for an anchor known by its dates only, so never HF_ANCHOR_NOT_FOR_SERVERS;
 *  remove_after_s may be HF_TIME_NONE. */
enum hf_anchor_state hf_policy_state_at(int64_t not_before_s, int64_t not_after_s,
                                        int64_t remove_after_s, int64_t now_s);

/** "usable", "not yet valid", "expired", "removed" or "not for servers". */
const char *hf_anchor_state_text(enum hf_anchor_state state);

/** May a chain whose leaf was issued at `leaf_not_before_s` end in this anchor? (distrust_after) */
bool hf_policy_leaf_date_is_accepted(int64_t distrust_after_s, int64_t leaf_not_before_s);

#endif
