
#include "client/core/client_internal.h"
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum hf_err hf_store_transact(struct hf_client *c, hf_writes_fn writes, const void *arg,
                              struct hf_why *why)
{
    const struct hf_store_port *store = &c->ports.store;
    HF_TRY(store->begin(store->ctx, why));
    enum hf_err err = writes(c, arg, why);
    if (err == HF_OK)
        err = store->commit(store->ctx, why);
    if (err != HF_OK)
        store->abort(store->ctx);
    return err;
}

enum hf_err hf_value_load(struct hf_client *c, const char *name, struct hf_buf *out,
                          struct hf_why *why)
{
    struct hf_buf value = {0};
    enum hf_err err = c->ports.store.load_value(c->ports.store.ctx, name, &value, why);
    if (err == HF_E_NOT_FOUND)
        err = HF_OK;
    /* So that it is a text also where there is none. */
    if (err == HF_OK && hf_buf_reserve(&value, 0) != HF_OK)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for the stored value \"%s\"", name);
    if (err != HF_OK) {
        hf_buf_free(&value);
        return err;
    }
    *out = value;
    return HF_OK;
}

enum hf_err hf_value_save(struct hf_client *c, const char *name, const char *value,
                          struct hf_why *why)
{
    return c->ports.store.save_value(c->ports.store.ctx, name, value, why);
}

bool hf_value_is(struct hf_client *c, const char *name, const char *expected)
{
    struct hf_why why = {0};
    struct hf_buf value = {0};
    bool is_same = hf_value_load(c, name, &value, &why) == HF_OK &&
                   strcmp((const char *)value.data, expected) == 0;
    hf_buf_free(&value);
    return is_same;
}

enum hf_err hf_value_change(struct hf_client *c, const char *name, const char *value,
                            struct hf_why *why)
{
    return hf_value_is(c, name, value) ? HF_OK : hf_value_save(c, name, value, why);
}

static bool parse_integer(const char *text, int64_t *out)
{
    char *end = NULL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0')
        return false;
    *out = value;
    return true;
}

const char *hf_integers_parse(const char *text, int64_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char *end = NULL;
        errno = 0;
        long long value = strtoll(text, &end, 10);
        if (errno != 0 || end == text || value < 0 || (*end != ' ' && *end != '\0'))
            return NULL;
        out[i] = value;
        text = i + 1 < n && *end == ' ' ? end + 1 : end;
    }
    return text;
}

enum hf_err hf_value_load_integer(struct hf_client *c, const char *name, int64_t absent,
                                  int64_t *out, struct hf_why *why)
{
    struct hf_buf text = {0};
    enum hf_err err = HF_OK;

    HF_TRY(hf_value_load(c, name, &text, why));
    if (text.len == 0)
        *out = absent;
    else if (!parse_integer((const char *)text.data, out))
        err = hf_fail(why, HF_E_STORAGE,
                      "expected the stored value \"%s\" to be a whole number, found \"%s\"", name,
                      (const char *)text.data);
    hf_buf_free(&text);
    return err;
}

enum hf_err hf_value_save_integer(struct hf_client *c, const char *name, int64_t value,
                                  struct hf_why *why)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRId64, value);
    return hf_value_save(c, name, text, why);
}

/* ---- log, journal and clock ------------------------------------------------------------------ */

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

/* 9999-12-31T23:59:59Z, the last that a text can say: whatever a clock claims, sums with it stay far
 * from the end of the numbers. */
#define CLOCK_MAX_S INT64_C(253402300799)

int64_t hf_client_clock_s(const struct hf_client *c)
{
    int64_t now_s = c->ports.clock.now_s(c->ports.clock.ctx);
    return now_s < CLOCK_MAX_S ? now_s : CLOCK_MAX_S;
}

int64_t hf_client_now_s(const struct hf_client *c)
{
    int64_t now_s = hf_client_clock_s(c);
    return now_s > c->clock_floor_s ? now_s : c->clock_floor_s;
}

int64_t hf_client_uptime_ms(const struct hf_client *c)
{
    const struct hf_clock_port *clock = &c->ports.clock;
    return clock->uptime_ms != NULL ? clock->uptime_ms(clock->ctx) : 0;
}

enum hf_err hf_journal(struct hf_client *c, enum hf_level level, const char *kind, const char *text,
                       struct hf_why *why)
{
    struct hf_event event = {hf_client_now_s(c), level, kind, text};
    hf_log(c, level, "%s", text);
    return c->ports.store.append_event(c->ports.store.ctx, &event, why);
}

enum hf_err hf_journal_skipped(struct hf_client *c, const struct hf_bundle *bundle,
                               struct hf_why *why)
{
    char text[HF_WHY_MAX];

    hf_bundle_skipped_text(bundle, text);
    return text[0] == '\0' ? HF_OK : hf_journal(c, HF_LEVEL_WARNING, "skipped", text, why);
}

enum hf_err hf_report(struct hf_why *why, const struct hf_why *own, enum hf_err err)
{
    if (why != NULL && err != HF_OK)
        *why = *own;
    return err;
}
