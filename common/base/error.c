#include <holdfast/error.h>

#include "common/base/plaintext.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum hf_err hf_fail(struct hf_why *why, enum hf_err code, const char *fmt, ...)
{
    if (why == NULL)
        return code;
    /* Into a buffer first: the arguments may point into why->text itself. */
    char text[HF_WHY_MAX];
    va_list args;
    va_start(args, fmt);
    int written = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (written < 0)
        text[0] = '\0';
    else if ((size_t)written >= sizeof text)
        hf_text_end_cut(text, sizeof text);
    /* It may quote an attacker's text, cut in the middle of a character. That must not steer a
     * terminal, fake a second log line, or make the sentence invalid UTF-8. */
    hf_text_sanitize(text);
    why->code = code;
    memcpy(why->text, text, sizeof text);
    return code;
}

enum hf_err hf_fail_context(struct hf_why *why, const char *fmt, ...)
{
    if (why == NULL)
        return HF_E_STATE;
    char front[HF_WHY_MAX];
    va_list args;
    va_start(args, fmt);
    int written = vsnprintf(front, sizeof front, fmt, args);
    va_end(args);
    if (written < 0)
        return why->code;
    return hf_fail(why, why->code, "%s: %s", front, why->text);
}

const char *hf_err_name(enum hf_err code)
{
    static const char *const names[] = {
        [HF_OK] = "ok",
        [HF_E_ARGUMENT] = "argument",
        [HF_E_MEMORY] = "memory",
        [HF_E_FORMAT] = "format",
        [HF_E_LIMIT] = "limit",
        [HF_E_SIGNATURE] = "signature",
        [HF_E_ROLLBACK] = "rollback",
        [HF_E_SAME_VERSION] = "same-version",
        [HF_E_EXPIRED] = "expired",
        [HF_E_HASH] = "hash",
        [HF_E_POLICY] = "policy",
        [HF_E_NOT_FOUND] = "not-found",
        [HF_E_NETWORK] = "network",
        [HF_E_TLS] = "tls",
        [HF_E_STORAGE] = "storage",
        [HF_E_SCHEMA] = "schema",
        [HF_E_BUSY] = "busy",
        [HF_E_KEY] = "key",
        [HF_E_STATE] = "state",
        [HF_E_UNTRUSTED] = "untrusted",
        [HF_E_POSTPONED] = "postponed",
    };
    size_t i = (size_t)code;
    return i < sizeof names / sizeof names[0] ? names[i] : "unknown";
}
