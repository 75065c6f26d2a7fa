/* One line of the log or of the journal, and one stored text. */
#include "client/core/client_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT_MAX (INT64_C(1) << 53) /* sums with it do not overflow */

void hf_log(const struct hf_client *c, enum hf_level level, const char *fmt, ...)
{
    char text[HF_WHY_MAX];
    struct hf_why line;
    va_list args;

    if (c->ports.log.write == NULL)
        return;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    (void)hf_fail(&line, HF_OK, "%s", text); /* one line, whatever the names in it hold */
    c->ports.log.write(c->ports.log.ctx, level, line.text);
}

enum hf_err hf_journal(struct hf_client *c, enum hf_level level, const char *kind, const char *text,
                       struct hf_why *why)
{
    struct hf_event event = {hf_client_now_s(c), level, kind, text};
    hf_log(c, level, "%s", text);
    return c->ports.store.append_event(c->ports.store.ctx, &event, why);
}

void hf_journal_or_log(struct hf_client *c, enum hf_level level, const char *kind, const char *text)
{
    struct hf_why why = {0};
    if (hf_journal(c, level, kind, text, &why) != HF_OK)
        hf_log(c, HF_LEVEL_WARNING, "the journal cannot be written: %s", why.text);
}

enum hf_err hf_journal_skipped(struct hf_client *c, const struct hf_bundle *bundle,
                               struct hf_why *why)
{
    char text[HF_WHY_MAX];

    hf_bundle_skipped_text(bundle, text);
    return text[0] == '\0' ? HF_OK : hf_journal(c, HF_LEVEL_WARNING, "skipped", text, why);
}

enum hf_err hf_pass_on(struct hf_why *why, const struct hf_why *own, enum hf_err err)
{
    if (why != NULL && err != HF_OK)
        *why = *own;
    return err;
}

/* FNV-1a. */
uint64_t hf_value_hash(const char *text)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (; *text != '\0'; text++)
        hash = (hash ^ (uint8_t)*text) * UINT64_C(1099511628211);
    return hash;
}

const char *hf_value_parse_numbers(const char *text, int64_t *out, size_t n_least, size_t n_most)
{
    for (size_t n = 1; n <= n_most; n++) {
        char *end = NULL;
        errno = 0;
        const long long number = strtoll(text, &end, 10);
        if (errno != 0 || end == text || number < 0 || (n_most > 1 && number > COUNT_MAX) ||
            (*end != ' ' && *end != '\0'))
            return NULL;
        out[n - 1] = number;
        text = end;
        if (*text == '\0')
            return n >= n_least ? text : NULL;
        if (n < n_most)
            text++;
    }
    return text;
}

enum hf_err hf_value_load(struct hf_client *c, const char *name, char out[HF_VALUE_TEXT_MAX],
                          struct hf_why *why)
{
    struct hf_buf value = {0};
    enum hf_err err = c->ports.store.load_value(c->ports.store.ctx, name, &value, why);

    if (err == HF_OK || err == HF_E_NOT_FOUND) {
        (void)snprintf(out, HF_VALUE_TEXT_MAX, "%s", value.len > 0 ? (const char *)value.data : "");
        err = HF_OK;
    }
    hf_buf_free(&value);
    return err;
}

enum hf_err hf_value_save(struct hf_client *c, const char *name, const char *text, uint64_t *stored,
                          struct hf_why *why)
{
    const uint64_t hash = hf_value_hash(text);

    if (hash == *stored)
        return HF_OK;
    HF_TRY(c->ports.store.save_value(c->ports.store.ctx, name, text, why));
    *stored = hash;
    return HF_OK;
}

void hf_value_log_unread(const struct hf_client *c, const char *name, const struct hf_why *why,
                         bool *has_failed)
{
    if (!*has_failed)
        hf_log(c, HF_LEVEL_WARNING, "the stored value \"%s\" cannot be read: %s", name, why->text);
    *has_failed = true;
}
