#include "common/bundle/policy.h"

#include "common/base/timetext.h"

#define RSA_BITS_MIN 2048

static enum hf_err check_algorithms(const struct hf_cert *cert, struct hf_why *why)
{
    char key[16];
    hf_cert_key_text(cert, key);
    if (cert->key == HF_CERT_KEY_RSA && cert->key_bits < RSA_BITS_MIN)
        return hf_fail(why, HF_E_POLICY,
                       "the key of \"%s\" is %s; at least %d bits are expected; leave this "
                       "certificate out",
                       cert->subject, key, RSA_BITS_MIN);
    if (cert->digest == HF_CERT_DIGEST_OTHER)
        return hf_fail(
            why, HF_E_POLICY,
            "the signature of \"%s\" is over MD5 or another digest that is not accepted; "
            "expected SHA-256, SHA-384 or SHA-512; leave this certificate out",
            cert->subject);
    /* The signature of a self-signed anchor proves nothing, so SHA-1 does no harm there. Other
     * programs that read the bundle may rely on that of a cross-sign or an intermediate. */
    if (cert->digest == HF_CERT_DIGEST_SHA1 && !cert->is_self_issued)
        return hf_fail(why, HF_E_POLICY,
                       "\"%s\" is signed by another CA with SHA-1; only a root's own signature may "
                       "be; leave this certificate out",
                       cert->subject);
    return HF_OK;
}

/* What it is must be what its publisher says it is: an intermediate pinned by accident cuts
 * devices off on the day its CA replaces it. */
static enum hf_err check_use(const struct hf_anchor *anchor, struct hf_why *why)
{
    const struct hf_cert *cert = &anchor->cert;
    switch (anchor->use) {
    case HF_USE_ANCHOR:
        if (!cert->is_self_issued)
            return hf_fail(why, HF_E_POLICY,
                           "\"%s\" is no root: it is issued by \"%s\"; use that root, or publish "
                           "this one as cross-signed or intermediate on purpose",
                           cert->subject, cert->issuer);
        return HF_OK;
    case HF_USE_CROSS_SIGNED:
        return HF_OK; /* self-issued too, when a CA signs its new key with its old one */
    case HF_USE_INTERMEDIATE:
        if (cert->is_self_issued)
            return hf_fail(
                why, HF_E_POLICY,
                "\"%s\" is a root, its description calls it an intermediate; correct the "
                "description",
                cert->subject);
        return HF_OK;
    }
    return hf_fail(why, HF_E_POLICY, "the use of \"%s\" is unknown", cert->subject);
}

enum hf_err hf_policy_check_ca(const struct hf_anchor *anchor, struct hf_why *why)
{
    if (anchor->cert.is_ca)
        return HF_OK;
    if (anchor->cert.x509_version < 3)
        return hf_fail(why, HF_E_POLICY,
                       "\"%s\" is not a CA certificate: it is X.509 version %d, which has no "
                       "basicConstraints to say that it is one; ask for a version 3 certificate of "
                       "it, or leave it out",
                       anchor->cert.subject, anchor->cert.x509_version);
    return hf_fail(why, HF_E_POLICY,
                   "\"%s\" is not a CA certificate (expected cA in its basicConstraints, and "
                   "keyCertSign in its keyUsage if it has one): it cannot be a trust anchor; leave "
                   "it out",
                   anchor->cert.subject);
}

enum hf_err hf_policy_check_issuers(const struct hf_bundle *bundle, struct hf_why *why)
{
    for (size_t i = 0; i < bundle->n_anchors; i++) {
        /* Mbed TLS takes a trusted one of version 1 or 2 for a CA: it cannot say what it is. */
        if (bundle->anchors[i].cert.is_ca || bundle->anchors[i].cert.x509_version < 3)
            return HF_OK;
    }
    return hf_policy_check_ca(&bundle->anchors[0], why);
}

enum hf_err hf_policy_check_anchor(const struct hf_anchor *anchor, struct hf_why *why)
{
    HF_TRY(hf_policy_check_ca(anchor, why));
    HF_TRY(check_algorithms(&anchor->cert, why));
    return check_use(anchor, why);
}

enum hf_err hf_policy_check_purpose(const struct hf_cert *cert, struct hf_why *why)
{
    if (cert->allows_server_auth)
        return HF_OK;
    return hf_fail(why, HF_E_POLICY,
                   "\"%s\" is not for servers: its extendedKeyUsage lacks serverAuth, so devices "
                   "refuse every chain that ends in it; leave it out",
                   cert->subject);
}

enum hf_err hf_policy_check_bundle(const struct hf_bundle *bundle, struct hf_why *why)
{
    if (bundle->n_anchors == 0)
        return hf_fail(why, HF_E_POLICY,
                       "the bundle holds no trust anchor; at least one is expected");
    for (size_t i = 0; i < bundle->n_anchors; i++)
        HF_TRY(hf_policy_check_anchor(&bundle->anchors[i], why));
    return HF_OK;
}

enum hf_err hf_policy_verify_self_signatures(const struct hf_bundle *bundle, struct hf_why *why)
{
    for (size_t i = 0; i < bundle->n_anchors; i++) {
        if (bundle->anchors[i].use == HF_USE_ANCHOR)
            HF_TRY(hf_cert_verify_self_signature(bundle->anchors[i].der, why));
    }
    return HF_OK;
}

enum hf_anchor_state hf_policy_state_at(int64_t not_before_s, int64_t not_after_s,
                                        int64_t remove_after_s, int64_t now_s)
{
    if (remove_after_s != HF_TIME_NONE && now_s > remove_after_s)
        return HF_ANCHOR_REMOVED;
    if (now_s > not_after_s)
        return HF_ANCHOR_EXPIRED;
    if (now_s < not_before_s)
        return HF_ANCHOR_NOT_YET_VALID;
    return HF_ANCHOR_USABLE;
}

enum hf_anchor_state hf_policy_anchor_state(const struct hf_anchor *anchor, int64_t now_s)
{
    enum hf_anchor_state state = hf_policy_state_at(anchor->cert.not_before_s,
                                                    anchor->cert.not_after_s,
                                                    anchor->remove_after_s, now_s);

    return state != HF_ANCHOR_USABLE || anchor->cert.allows_server_auth ? state
                                                                        : HF_ANCHOR_NOT_FOR_SERVERS;
}

bool hf_policy_leaf_date_is_accepted(int64_t distrust_after_s, int64_t leaf_not_before_s)
{
    return distrust_after_s == HF_TIME_NONE || leaf_not_before_s <= distrust_after_s;
}

const char *hf_anchor_state_text(enum hf_anchor_state state)
{
    switch (state) {
    case HF_ANCHOR_USABLE:
        return "usable";
    case HF_ANCHOR_NOT_YET_VALID:
        return "not yet valid";
    case HF_ANCHOR_EXPIRED:
        return "expired";
    case HF_ANCHOR_NOT_FOR_SERVERS:
        return "not for servers";
    case HF_ANCHOR_REMOVED:
        break;
    }
    return "removed";
}
