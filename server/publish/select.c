#include "server/publish/select.h"

#include "server/publish/fingerprint.h"

#include <string.h>

bool hf_select_matches(const char *text, const struct hf_known_roots *known,
                       const struct hf_cert *cert)
{
    struct hf_fingerprint f;
    struct hf_why unused;
    if (hf_fingerprint_parse(text, strlen(text), &f, &unused) == HF_OK)
        return hf_fingerprint_matches(&f, cert->sha256) ||
               hf_fingerprint_matches(&f, cert->spki_sha256);
    if (hf_known_roots_has_set(known, text))
        return hf_known_roots_set_holds(known, text, cert);
    return text[0] != '\0' && strcasestr(cert->subject, text) != NULL;
}
