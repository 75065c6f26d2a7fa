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
    /* What an attacker wrote may be quoted, cut in the middle of a character. It must not steer a
     * terminal, fake a second log line, or stop the sentence from being valid text. */
    hf_text_disarm(text);
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
    switch (code) {
    case HF_OK:
        return "ok";
    case HF_E_ARGUMENT:
        return "argument";
    case HF_E_MEMORY:
        return "memory";
    case HF_E_FORMAT:
        return "format";
    case HF_E_LIMIT:
        return "limit";
    case HF_E_SIGNATURE:
        return "signature";
    case HF_E_ROLLBACK:
        return "rollback";
    case HF_E_SAME_VERSION:
        return "same-version";
    case HF_E_EXPIRED:
        return "expired";
    case HF_E_HASH:
        return "hash";
    case HF_E_POLICY:
        return "policy";
    case HF_E_NOT_FOUND:
        return "not-found";
    case HF_E_NETWORK:
        return "network";
    case HF_E_TLS:
        return "tls";
    case HF_E_STORAGE:
        return "storage";
    case HF_E_SCHEMA:
        return "schema";
    case HF_E_BUSY:
        return "busy";
    case HF_E_KEY:
        return "key";
    case HF_E_STATE:
        return "state";
    case HF_E_UNTRUSTED:
        return "untrusted";
    case HF_E_POSTPONED:
        return "postponed";
    }
    return "unknown";
}
