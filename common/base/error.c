#include <holdfast/error.h>

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Bytes of the UTF-8 sequence at `text`, or 0 where there is none (also one that was cut). */
static size_t sequence_len(const unsigned char *text)
{
    size_t len = text[0] < 0x80u                       ? 1
                 : text[0] >= 0xC2u && text[0] < 0xE0u ? 2
                 : text[0] >= 0xE0u && text[0] < 0xF0u ? 3
                 : text[0] >= 0xF0u && text[0] < 0xF5u ? 4
                                                       : 0;
    for (size_t i = 1; i < len; i++) {
        if ((text[i] & 0xC0u) != 0x80u) /* the NUL at the end is none either */
            return 0;
    }
    bool is_overlong = (text[0] == 0xE0u && text[1] < 0xA0u) ||
                       (text[0] == 0xF0u && text[1] < 0x90u);
    bool is_surrogate = text[0] == 0xEDu && text[1] >= 0xA0u;
    bool is_beyond = text[0] == 0xF4u && text[1] >= 0x90u;
    return len > 1 && (is_overlong || is_surrogate || is_beyond) ? 0 : len;
}

/* C0 and C1 controls, line and paragraph separators, and what turns the direction of writing. */
static bool steers_a_terminal(const unsigned char *text, size_t len)
{
    if (len == 1)
        return text[0] < 0x20u || text[0] == 0x7Fu;
    if (len == 2)
        return (text[0] == 0xC2u && text[1] < 0xA0u) || (text[0] == 0xD8u && text[1] == 0x9Cu);
    if (len == 3 && text[0] == 0xE2u && text[1] == 0x80u)
        return (text[2] >= 0x8Eu && text[2] <= 0x8Fu) || (text[2] >= 0xA8u && text[2] <= 0xAEu);
    return len == 3 && text[0] == 0xE2u && text[1] == 0x81u && text[2] >= 0xA6u && text[2] <= 0xA9u;
}

/* What an attacker wrote may be quoted in a sentence, cut in the middle of a character. It must not
 * steer a terminal, fake a second log line, or stop the sentence from being valid text. */
static void disarm(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p != '\0';) {
        size_t len = sequence_len(p);
        if (len > 0 && !steers_a_terminal(p, len)) {
            p += len;
            continue;
        }
        for (size_t i = 0; i < (len > 0 ? len : 1); i++)
            p[i] = '?';
        p += len > 0 ? len : 1;
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
    case HF_E_UNTRUSTED:
        return "untrusted";
    case HF_E_POSTPONED:
        return "postponed";
    }
    return "unknown";
}
