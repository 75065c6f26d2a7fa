#include "server/fleet/live.h"

#include "common/os/service.h"
#include "server/fleet/account.h"
#include "server/fleet/ca.h"
#include "server/fleet/credential.h"
#include "server/fleet/report_key.h"

#include <stdlib.h>

#define PAGE 1000 /* accounts and CAs read at once */

/* ---- the directory --------------------------------------------------------------------------- */

struct filling {
    struct hf_directory *directory;
    int64_t last;
    size_t n;
};

static enum hf_err add_account(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_account_row *row = data;
    struct filling *f = ctx;

    f->last = row->id;
    f->n++;
    return hf_directory_add_account(f->directory, (uint32_t)row->id, row->name, row->anonymous,
                                    why);
}

static enum hf_err add_sni(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_sni *sni = data;
    struct filling *f = ctx;
    return hf_directory_add_sni(f->directory, sni->name, (uint32_t)sni->account_id, why);
}

static enum hf_err add_ca(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_ca_listed *listed = data;
    const struct hf_ca_row *row = &listed->ca;
    struct filling *f = ctx;
    const struct hf_ca ca = {.id = (uint64_t)row->id,
                             .account = (uint32_t)row->account_id,
                             .mode = row->mode,
                             .is_active = row->is_active,
                             .auto_registration = row->auto_registration};

    f->last = row->id;
    f->n++;
    return hf_directory_add_ca(f->directory, &ca, listed->der, why);
}

/* Page by page, so that no statement stays open for long. */
static enum hf_err fill(struct filling *f, struct hf_db *db, struct hf_why *why)
{
    f->last = 0;
    do {
        f->n = 0;
        HF_TRY(hf_account_list(db, f->last, PAGE, add_account, f, why));
    } while (f->n == PAGE);
    HF_TRY(hf_sni_list(db, 0, add_sni, f, why));
    f->last = 0;
    do {
        f->n = 0;
        HF_TRY(hf_ca_list(db, 0, f->last, PAGE, add_ca, f, why));
    } while (f->n == PAGE);
    return hf_directory_finish(f->directory, why);
}

/* The directory as `db` has it. `before` may be NULL. */
static enum hf_err load_directory(struct hf_db *db, struct hf_directory *before,
                                  bool is_sni_optional, struct hf_directory **out,
                                  struct hf_why *why)
{
    struct filling f = {0};

    HF_TRY(hf_directory_new(before, is_sni_optional, &f.directory, why));
    enum hf_err err = fill(&f, db, why);
    if (err == HF_OK)
        *out = f.directory;
    else
        hf_directory_unref(f.directory);
    return err;
}

/* ---- the registry ---------------------------------------------------------------------------- */

static enum hf_err add_credential(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_registered_row *row = data;
    return hf_registry_set(ctx, row->sha256, &row->entry, why);
}

enum hf_err hf_live_load(struct hf_live *live, struct hf_db *db, struct hf_why *why)
{
    struct hf_directory *directory = NULL;
    struct hf_registry *registry = NULL;
    int64_t n = 0;

    HF_TRY(load_directory(db, NULL, live->is_sni_optional, &directory, why));
    enum hf_err err = hf_credential_count(db, &n, why);
    if (err == HF_OK) /* a quarter more, so that it does not grow on the first day */
        err = hf_registry_new((size_t)(n + n / 4), &registry, why);
    if (err == HF_OK)
        err = hf_credential_list_registered(db, add_credential, registry, why);
    if (err == HF_OK)
        err = hf_report_key_list_registered(db, add_credential, registry, why);
    if (err != HF_OK) {
        hf_directory_unref(directory);
        hf_registry_free(registry);
        return err;
    }
    live->registry = registry;
    live->directory = directory;
    return HF_OK;
}

void hf_live_free(struct hf_live *live)
{
    hf_directory_unref(live->next);
    hf_directory_unref(live->directory);
    hf_registry_free(live->registry);
    live->next = live->directory = NULL;
    live->registry = NULL;
}

/* ---- changes --------------------------------------------------------------------------------- */

static enum hf_err prepare(void *ctx, struct hf_db *db, const struct hf_effects *effects,
                           struct hf_why *why)
{
    struct hf_live *live = ctx;
    bool has_directory = false;
    size_t n_entries = 0;

    for (size_t i = 0; i < effects->n; i++) {
        has_directory |= effects->list[i].kind == HF_EFFECT_DIRECTORY;
        n_entries += effects->list[i].kind == HF_EFFECT_CREDENTIAL;
    }
    HF_TRY(hf_registry_reserve(live->registry, n_entries, why));
    if (has_directory)
        HF_TRY(load_directory(db, live->directory, live->is_sni_optional, &live->next, why));
    return HF_OK;
}

static void apply_directory(struct hf_live *live)
{
    if (live->next == NULL)
        return;
    hf_directory_unref(live->directory);
    live->directory = live->next;
    live->next = NULL;
    if (live->offer != NULL)
        live->offer(live->offer_ctx, live->directory);
    hf_registry_count_change(live->registry); /* open connections are looked at again */
}

static void apply(void *ctx, const struct hf_effects *effects)
{
    struct hf_live *live = ctx;
    struct hf_why why = {0};

    for (size_t i = 0; i < effects->n; i++) {
        const struct hf_effect *effect = &effects->list[i];
        if (effect->kind == HF_EFFECT_CREDENTIAL_GONE)
            (void)hf_registry_remove(live->registry, effect->sha256, effect->credential.account);
        /* There is room: `prepare` made it. A registry that is behind the database must not go
         * on. */
        if (effect->kind == HF_EFFECT_CREDENTIAL &&
            hf_registry_set(live->registry, effect->sha256, &effect->credential, &why) != HF_OK) {
            hf_service_log(HF_LOG_ERROR, "the registry cannot follow the database: %s", why.text);
            abort();
        }
    }
    apply_directory(live);
    if (live->changes != NULL)
        hf_device_changes_add(live->changes, effects);
    if (live->events != NULL)
        hf_events_publish(live->events, effects, live->directory);
}

static void cancel(void *ctx)
{
    struct hf_live *live = ctx;

    hf_directory_unref(live->next);
    live->next = NULL;
}

struct hf_effects_port hf_live_port(struct hf_live *live)
{
    return (struct hf_effects_port){live, prepare, apply, cancel};
}
