#include "client/core/client_internal.h"

#include <inttypes.h>
#include <stdlib.h>

/* With one mirror alone, how the check ended says it all. */
static bool is_told(const struct hf_client *c)
{
    return c->n_urls > 1;
}

/* One decimal number a mirror, in their order, with single spaces between. */
static void parse(const char *text, struct hf_client *c)
{
    for (size_t i = 0; i < c->n_urls; i++) {
        char *end = NULL;
        c->faults[i].journaled = (uint32_t)strtoul(text, &end, 10);
        text = end;
    }
}

void hf_mirror_faults_load(struct hf_client *c)
{
    struct hf_buf text = {0};
    struct hf_why why = {0};

    if (!is_told(c) || hf_value_load(c, "mirror.faults", &text, &why) != HF_OK)
        return;
    parse((const char *)text.data, c);
    hf_buf_free(&text);
}

/* What the journal has of a mirror when this check is over. */
static uint32_t known_after(const struct hf_mirror_faults *faults)
{
    bool is_well = faults->was_asked && faults->now == 0;
    return is_well ? 0 : faults->journaled | faults->now;
}

void hf_mirror_faults_begin_check(struct hf_client *c)
{
    for (size_t i = 0; i < c->n_urls; i++)
        c->faults[i] = (struct hf_mirror_faults){.journaled = known_after(&c->faults[i])};
}

void hf_mirror_faults_note(struct hf_client *c, size_t mirror, const struct hf_why *why)
{
    uint32_t fault = UINT32_C(1) << why->code;
    bool is_news = ((c->faults[mirror].journaled | c->faults[mirror].now) & fault) == 0;
    struct hf_why unwritten = {0};

    c->faults[mirror].now |= fault;
    if (!is_told(c))
        return;
    if (!is_news)
        hf_log(c, HF_LEVEL_WARNING, "%s", why->text);
    else if (hf_journal(c, HF_LEVEL_WARNING, "mirror", why->text, &unwritten) != HF_OK)
        hf_log(c, HF_LEVEL_WARNING, "the journal cannot be written: %s", unwritten.text);
}

/* ---- the end of a check ---------------------------------------------------------------------------- */

static enum hf_err tell_recovery(struct hf_client *c, size_t mirror, struct hf_why *why)
{
    struct hf_buf text = {0};

    if (hf_buf_printf(&text, "%s answers well again", c->urls[mirror]) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a line of the journal");
    enum hf_err err = hf_journal(c, HF_LEVEL_INFO, "mirror", (const char *)text.data, why);
    hf_buf_free(&text);
    return err;
}

static enum hf_err save(struct hf_client *c, struct hf_why *why)
{
    struct hf_buf text = {0};
    enum hf_err err = HF_OK;

    for (size_t i = 0; i < c->n_urls && err == HF_OK; i++)
        err = hf_buf_printf(&text, "%s%" PRIu32, i > 0 ? " " : "", known_after(&c->faults[i]));
    err = err == HF_OK ? hf_value_save(c, "mirror.faults", (const char *)text.data, why)
                       : hf_fail(why, err, "out of memory for what is known of the mirrors");
    hf_buf_free(&text);
    return err;
}

enum hf_err hf_mirror_faults_write(struct hf_client *c, struct hf_why *why)
{
    bool is_changed = false;

    for (size_t i = 0; i < c->n_urls && is_told(c); i++) {
        uint32_t known = known_after(&c->faults[i]);
        if (known == 0 && c->faults[i].journaled != 0)
            HF_TRY(tell_recovery(c, i, why));
        is_changed = is_changed || known != c->faults[i].journaled;
    }
    return is_changed ? save(c, why) : HF_OK;
}
