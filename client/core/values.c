#include "client/core/client_internal.h"

#include <errno.h>
#include <inttypes.h>
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
        err = hf_fail(why, HF_E_MEMORY, "out of memory for the stored value '%s'", name);
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
                      "expected the stored value '%s' to be a whole number, found '%s'", name,
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
