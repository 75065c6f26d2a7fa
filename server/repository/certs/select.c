#include "server/repository/certs/select.h"

#include "common/base/digest.h"
#include "common/base/plaintext.h"
#include "common/base/timetext.h"

#include <ctype.h>
#include <string.h>

static enum hf_err refuse(const char *text, size_t len, struct hf_why *why)
{
    return hf_fail(why, HF_E_ARGUMENT,
                   "a fingerprint is a SHA-256 of %d hexadecimal digits or its first %d or more, "
                   "not \"%.*s\"",
                   2 * HF_SHA256_LEN, HF_FINGERPRINT_DIGITS_MIN, (int)(len < 100 ? len : 100),
                   text);
}

enum hf_err hf_fingerprint_parse(const char *text, size_t len, struct hf_fingerprint *out,
                                 struct hf_why *why)
{
    struct hf_fingerprint f = {{0}};
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == ':' || text[i] == ' ')
            continue;
        if (!isxdigit((unsigned char)text[i]) || n == 2 * HF_SHA256_LEN)
            return refuse(text, len, why);
        f.digits[n++] = (char)tolower((unsigned char)text[i]);
    }
    if (n < HF_FINGERPRINT_DIGITS_MIN)
        return refuse(text, len, why);
    *out = f;
    return HF_OK;
}

bool hf_fingerprint_matches(const struct hf_fingerprint *f, const uint8_t sha256[HF_SHA256_LEN])
{
    char hex[HF_SHA256_HEX_LEN];
    hf_hex_encode(sha256, HF_SHA256_LEN, hex);
    return strncmp(hex, f->digits, strlen(f->digits)) == 0;
}

static bool fits(const struct hf_fingerprint *f, const struct hf_cert *cert)
{
    return hf_fingerprint_matches(f, cert->sha256) || hf_fingerprint_matches(f, cert->spki_sha256);
}

bool hf_select_is_table(const char *text, const struct hf_known_roots *known)
{
    struct hf_fingerprint unused;
    return hf_fingerprint_parse(text, strlen(text), &unused, NULL) != HF_OK &&
           hf_known_roots_has_set(known, text);
}

bool hf_select_matches(const char *text, const struct hf_known_roots *known,
                       const struct hf_cert *cert)
{
    struct hf_fingerprint f;
    if (hf_fingerprint_parse(text, strlen(text), &f, NULL) == HF_OK)
        return fits(&f, cert);
    if (hf_known_roots_has_set(known, text))
        return hf_known_roots_find(known, text, cert) != NULL;
    return text[0] != '\0' && strcasestr(cert->subject, text) != NULL;
}

enum hf_choice hf_select_choose(const char *const *texts, const struct hf_known_roots *known,
                                const struct hf_cert *cert)
{
    enum hf_choice choice = texts == NULL || texts[0] == NULL ? HF_CHOSEN_BY_ITSELF : HF_NOT_CHOSEN;
    for (size_t i = 0; texts != NULL && texts[i] != NULL; i++) {
        if (!hf_select_matches(texts[i], known, cert))
            continue;
        if (!hf_select_is_table(texts[i], known))
            return HF_CHOSEN_BY_ITSELF;
        choice = HF_CHOSEN_BY_TABLE;
    }
    return choice;
}

/* A pin that was mistyped must not pass unseen only because its root was known anyway. */
enum hf_err hf_vouching_check_pins(const struct hf_vouching *by, const struct hf_bundle *bundle,
                                   struct hf_why *why)
{
    const char *const *pins = by->pins;
    char unused[HF_WHY_MAX] = "";
    for (size_t i = 0; pins != NULL && pins[i] != NULL; i++) {
        struct hf_fingerprint pin;
        size_t n_fitting = 0;
        if (hf_fingerprint_parse(pins[i], strlen(pins[i]), &pin, why) != HF_OK)
            return hf_fail_context(why, "--pin");
        for (size_t j = 0; bundle != NULL && j < bundle->n_anchors; j++)
            n_fitting += fits(&pin, &bundle->anchors[j].cert);
        if (bundle != NULL && n_fitting == 0)
            hf_text_append(unused, sizeof unused, "%s%s", unused[0] == '\0' ? "" : ", ",
                           pin.digits);
    }
    return unused[0] == '\0'
               ? HF_OK
               : hf_fail(why, HF_E_ARGUMENT,
                         "--pin %s: no certificate or key of that SHA-256 is given", unused);
}

static bool is_signed(const struct hf_cert *cert, const struct hf_bundle *bundle)
{
    return bundle != NULL && hf_bundle_find_key(bundle, cert->spki_sha256) != NULL;
}

enum hf_err hf_vouching_check(const struct hf_vouching *by, const struct hf_cert *cert,
                              const char *where, struct hf_findings *out, struct hf_why *why)
{
    char hex[HF_SHA256_HEX_LEN];
    if ((by->known != NULL && hf_known_roots_find(by->known, NULL, cert) != NULL) ||
        is_signed(cert, by->before) || is_signed(cert, by->from))
        return HF_OK;
    for (size_t i = 0; by->pins != NULL && by->pins[i] != NULL; i++) {
        struct hf_fingerprint pin;
        if (hf_fingerprint_parse(by->pins[i], strlen(by->pins[i]), &pin, NULL) == HF_OK &&
            fits(&pin, cert))
            return HF_OK;
    }
    hf_hex_encode(cert->sha256, HF_SHA256_LEN, hex);
    const int64_t distrust_s = by->known == NULL ? HF_TIME_NONE
                                                 : hf_known_roots_distrust_s(by->known, cert);
    if (distrust_s != HF_TIME_NONE) {
        char day[HF_TIME_TEXT_MAX];
        hf_time_format_last(distrust_s, day);
        return hf_findings_add(
            out, HF_LINT_UNKNOWN_ROOT, where, why,
            "\"%s\" was removed from a table of known roots: distrusted for what "
            "is issued after %s. Leave it out, or give --pin with its SHA-256 %s",
            cert->subject, day, hex);
    }
    return hf_findings_add(out, HF_LINT_UNKNOWN_ROOT, where, why,
                           "\"%s\" is in no table of known roots; compare its SHA-256 %s with the "
                           "one that its owner publishes, then give --pin with it",
                           cert->subject, hex);
}
