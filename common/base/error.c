#include <holdfast/error.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* vsnprintf cuts at the end of the buffer; a cut inside a UTF-8 character would make the sentence
 * invalid text, so the broken tail goes. */
static void drop_broken_tail(char *text)
{
    size_t len = strlen(text);
    size_t start = len;
    while (start > 0 && len - start < 4 && ((unsigned char)text[start - 1] & 0xC0u) == 0x80u)
        start--;
    if (start == 0)
        return;
    unsigned char lead = (unsigned char)text[start - 1];
    size_t want = lead >= 0xF0u ? 4 : lead >= 0xE0u ? 3 : lead >= 0xC0u ? 2 : 1;
    if (len - (start - 1) < want)
        text[start - 1] = '\0';
}

/* What an attacker wrote may be quoted in a sentence; it must not steer a terminal or fake a second
 * log line. */
static void disarm(char *text)
{
    for (char *p = text; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;
        if (c < 0x20u || c == 0x7Fu)
            *p = '?';
    }
}

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
        drop_broken_tail(text);
    disarm(text);
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
    }
    return "unknown";
}
