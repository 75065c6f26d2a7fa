#include "client/core/client_internal.h"

#include <stdlib.h>
#include <string.h>

enum hf_err hf_live_anchors(const struct hf_bundle *bundle, struct hf_trust_anchor **out,
                            struct hf_why *why)
{
    struct hf_trust_anchor *anchors = calloc(bundle->n_anchors + 1, sizeof *anchors);

    if (anchors == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for %zu trust anchors", bundle->n_anchors);
    for (size_t i = 0; i < bundle->n_anchors; i++) {
        const struct hf_anchor *a = &bundle->anchors[i];
        anchors[i] = (struct hf_trust_anchor){
            .der = a->der,
            .not_before_s = a->cert.not_before_s,
            .not_after_s = a->cert.not_after_s,
            .distrust_after_s = a->distrust_after_s,
            .remove_after_s = a->remove_after_s,
        };
    }
    *out = anchors;
    return HF_OK;
}

enum hf_err hf_live_swap(struct hf_client *c, const struct hf_bundle_record *record,
                         const struct hf_bundle *bundle, struct hf_why *why)
{
    const struct hf_trust_port *trust = &c->ports.trust;
    struct hf_trust_anchor *anchors = NULL;

    HF_TRY(hf_live_anchors(bundle, &anchors, why));
    enum hf_err err = trust->swap(trust->ctx, anchors, bundle->n_anchors, why);
    free(anchors);
    if (err != HF_OK)
        return err;
    c->live_version = record->version;
    memcpy(c->live_sha256, record->sha256, sizeof c->live_sha256);
    return HF_OK;
}

static enum hf_err swap_record(struct hf_client *c, const struct hf_bundle_record *record,
                               struct hf_why *why)
{
    struct hf_bundle bundle = {0};
    HF_TRY(hf_bundle_in_use(c, record, &bundle, why));
    enum hf_err err = hf_live_swap(c, record, &bundle, why);
    hf_bundle_free(&bundle);
    return err;
}

enum hf_err hf_live_swap_if_other(struct hf_client *c, const struct hf_bundle_record *record,
                                  struct hf_why *why)
{
    if (c->live_version == record->version && strcmp(c->live_sha256, record->sha256) == 0)
        return HF_OK;
    return swap_record(c, record, why);
}

void hf_live_follow(struct hf_client *c)
{
    struct hf_bundle_record record = {0};
    struct hf_why why = {0};

    enum hf_err err = hf_bundle_load(c, HF_SLOT_ACTIVE, &record, &why);
    if (err == HF_OK)
        err = hf_live_swap_if_other(c, &record, &why);
    if (err != HF_OK && err != HF_E_NOT_FOUND)
        hf_log(c, HF_LEVEL_WARNING, "the live trust store stays as it is: %s", why.text);
    hf_bundle_record_free(&record);
}

/* HF_E_STATE: the slot holds another bundle than the live store. */
static enum hf_err take_if_live(struct hf_client *c, enum hf_slot slot, struct hf_bundle *out,
                                struct hf_why *why)
{
    struct hf_bundle_record record = {0};
    HF_TRY(hf_bundle_load(c, slot, &record, why));
    enum hf_err err;
    if (c->live_version == record.version && strcmp(c->live_sha256, record.sha256) == 0)
        err = hf_bundle_in_use(c, &record, out, why);
    else
        err = hf_fail(why, HF_E_STATE,
                      "version %lld is active, but the live trust store could not be brought up to "
                      "it; the next update tries again",
                      (long long)record.version);
    hf_bundle_record_free(&record);
    return err;
}

enum hf_err hf_live_bundle(struct hf_client *c, struct hf_bundle *out, struct hf_why *why)
{
    struct hf_why no_previous = {0};

    hf_live_follow(c);
    enum hf_err err = take_if_live(c, HF_SLOT_ACTIVE, out, why);
    if (err == HF_OK || err == HF_E_NOT_FOUND)
        return err;
    /* The active bundle cannot be read, or not be used: then the live store has the one before. */
    return take_if_live(c, HF_SLOT_PREVIOUS, out, &no_previous) == HF_OK ? HF_OK : err;
}

static enum hf_err load(struct hf_client *c, enum hf_slot slot, struct hf_why *why)
{
    struct hf_bundle_record record = {0};
    HF_TRY(hf_bundle_load(c, slot, &record, why));
    enum hf_err err = swap_record(c, &record, why);
    hf_bundle_record_free(&record);
    return err;
}

/* Best effort: the store that a bundle could not be read from may not be writable either. */
static void note(struct hf_client *c, enum hf_level level, const char *what, struct hf_why *why)
{
    struct hf_why unwritten = {0};
    (void)hf_fail_context(why, "%s", what);
    if (hf_journal(c, level, "load", why->text, &unwritten) != HF_OK)
        hf_log(c, HF_LEVEL_WARNING, "the journal cannot be written: %s", unwritten.text);
}

void hf_live_load(struct hf_client *c)
{
    struct hf_why why = {0};
    enum hf_err err = load(c, HF_SLOT_ACTIVE, &why);
    if (err == HF_OK || err == HF_E_NOT_FOUND) /* none yet: the first update brings one */
        return;
    note(c, HF_LEVEL_ERROR, "the active bundle is not usable, the previous one is taken", &why);
    if (load(c, HF_SLOT_PREVIOUS, &why) != HF_OK)
        note(c, HF_LEVEL_ERROR, "the previous bundle is not usable, the trust store is empty",
             &why);
}
