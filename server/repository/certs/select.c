#include "server/repository/certs/select.h"

#include "server/repository/certs/fingerprint.h"

#include <string.h>

static bool is_fingerprint(const char *text, struct hf_fingerprint *out)
{
    struct hf_why unused;
    return hf_fingerprint_parse(text, strlen(text), out, &unused) == HF_OK;
}

bool hf_select_is_table(const char *text, const struct hf_known_roots *known)
{
    struct hf_fingerprint unused;
    return !is_fingerprint(text, &unused) && hf_known_roots_has_set(known, text);
}

bool hf_select_matches(const char *text, const struct hf_known_roots *known,
                       const struct hf_cert *cert)
{
    struct hf_fingerprint f;
    if (is_fingerprint(text, &f))
        return hf_fingerprint_matches(&f, cert->sha256) ||
               hf_fingerprint_matches(&f, cert->spki_sha256);
    if (hf_known_roots_has_set(known, text))
        return hf_known_roots_set_holds(known, text, cert);
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
