#include "server/repository/certs/vouching.h"

#include "common/base/hex.h"
#include "server/repository/certs/fingerprint.h"

#include <string.h>

static bool fits(const struct hf_fingerprint *pin, const struct hf_cert *cert)
{
    return hf_fingerprint_matches(pin, cert->sha256) ||
           hf_fingerprint_matches(pin, cert->spki_sha256);
}

/* A pin that was mistyped must not pass unseen only because its root was known anyway. */
enum hf_err hf_vouching_check_pins(const struct hf_vouching *by, const struct hf_bundle *bundle,
                                   struct hf_why *why)
{
    const char *const *pins = by->pins;
    for (size_t i = 0; pins != NULL && pins[i] != NULL; i++) {
        struct hf_fingerprint pin;
        size_t n_fitting = 0;
        if (hf_fingerprint_parse(pins[i], strlen(pins[i]), &pin, why) != HF_OK)
            return hf_fail_context(why, "--pin");
        for (size_t j = 0; bundle != NULL && j < bundle->n_anchors; j++)
            n_fitting += fits(&pin, &bundle->anchors[j].cert);
        if (bundle != NULL && n_fitting == 0)
            return hf_fail(why, HF_E_ARGUMENT,
                           "--pin %s: no certificate or key of that SHA-256 is given", pin.digits);
    }
    return HF_OK;
}

/* Pins are fingerprints, as was checked. */
static bool is_pinned(const struct hf_cert *cert, const char *const *pins)
{
    for (size_t i = 0; pins != NULL && pins[i] != NULL; i++) {
        struct hf_fingerprint pin;
        struct hf_why unused;
        if (hf_fingerprint_parse(pins[i], strlen(pins[i]), &pin, &unused) == HF_OK &&
            fits(&pin, cert))
            return true;
    }
    return false;
}

static bool is_signed(const struct hf_cert *cert, const struct hf_bundle *bundle)
{
    return bundle != NULL && hf_bundle_find_key(bundle, cert->spki_sha256) != NULL;
}

static bool is_vouched_for(const struct hf_cert *cert, const struct hf_vouching *by)
{
    return (by->known != NULL && hf_known_roots_find(by->known, cert) != NULL) ||
           is_signed(cert, by->before) || is_signed(cert, by->from) || is_pinned(cert, by->pins);
}

enum hf_err hf_vouching_check(const struct hf_vouching *by, const struct hf_cert *cert,
                              const char *where, struct hf_findings *out, struct hf_why *why)
{
    char hex[HF_SHA256_HEX_LEN];
    if (is_vouched_for(cert, by))
        return HF_OK;
    hf_hex_encode(cert->sha256, HF_SHA256_LEN, hex);
    return hf_findings_add(out, HF_LINT_UNKNOWN_ROOT, where, why,
                           "\"%s\" is in no table of known roots; compare its SHA-256 %s with the "
                           "one that its owner publishes, then give --pin with it",
                           cert->subject, hex);
}
