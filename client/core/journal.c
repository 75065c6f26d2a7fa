#include "client/core/client_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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

struct check {
    enum hf_err outcome;
    const char *text;
};

/* How long a candidate still waits is no news. */
static bool has_same_reason(const char *text, const char *before)
{
    const char *end = strstr(text, HF_POSTPONED_UNTIL);
    return end != NULL ? strncmp(text, before, (size_t)(end - text)) == 0
                       : strcmp(text, before) == 0;
}

/* The same failure again, check after check, would push everything else out of the journal. */
static bool is_news(struct hf_client *c, const struct check *check)
{
    struct hf_buf before = {0};
    struct hf_why why = {0};

    if (check->outcome == HF_OK)
        return false;
    bool is_same = hf_value_is(c, "check.outcome", hf_err_name(check->outcome)) &&
                   hf_value_load(c, "check.text", &before, &why) == HF_OK &&
                   has_same_reason(check->text, (const char *)before.data);
    hf_buf_free(&before);
    return !is_same;
}

static enum hf_err write_check(struct hf_client *c, const void *arg, struct hf_why *why)
{
    const struct check *check = arg;

    if (is_news(c, check))
        HF_TRY(check->outcome == HF_E_POSTPONED
                   ? hf_journal(c, HF_LEVEL_INFO, "postponed", check->text, why)
                   : hf_journal(c, HF_LEVEL_ERROR, "failed", check->text, why));
    HF_TRY(hf_value_save_integer(c, "check.time", hf_client_now_s(c), why));
    HF_TRY(hf_value_change(c, "check.outcome", hf_err_name(check->outcome), why));
    HF_TRY(hf_value_change(c, "check.text", check->text, why));
    HF_TRY(hf_schedule_write(c, why));
    HF_TRY(hf_verified_write(c, why));
    if (c->n_urls == 1)
        return HF_OK;
    HF_TRY(hf_mirror_faults_write(c, why));
    return hf_value_save_integer(c, "mirror.next", (int64_t)c->first_mirror, why);
}

void hf_check_record(struct hf_client *c, enum hf_err outcome, const char *text)
{
    struct check check = {outcome, text};
    struct hf_why why = {0};

    hf_schedule_count(c, outcome);
    if (hf_store_transact(c, write_check, &check, &why) != HF_OK)
        hf_log(c, HF_LEVEL_WARNING, "how this check ended cannot be written down: %s", why.text);
}

enum hf_err hf_report(struct hf_why *why, const struct hf_why *own, enum hf_err err)
{
    if (why != NULL && err != HF_OK)
        *why = *own;
    return err;
}
