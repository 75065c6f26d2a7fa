#include "client/core/bundles.h"
#include "client/core/update.h"

#include <stdio.h>
#include <string.h>

/* ---- what there is --------------------------------------------------------------------------- */

/* Sets and profiles seen, for the sentence that says ours is not among them. */
#define OTHERS_MAX 12
struct others {
    char names[OTHERS_MAX][2 * HF_SET_NAME_MAX + 2];
    size_t n;
};

static void note_other(struct others *others, const struct hf_description *d)
{
    char name[sizeof others->names[0]];
    (void)snprintf(name, sizeof name, "%s/%s", d->set, d->profile);
    for (size_t i = 0; i < others->n; i++) {
        if (strcmp(others->names[i], name) == 0)
            return;
    }
    if (others->n < OTHERS_MAX)
        memcpy(others->names[others->n++], name, sizeof name);
}

static enum hf_err fail_not_found(const struct hf_client *c, const struct others *others,
                                  struct hf_why *why)
{
    struct hf_buf list = {0};
    enum hf_err err = HF_OK;

    for (size_t i = 0; i < others->n && err == HF_OK; i++)
        err = hf_buf_printf(&list, "%s%s", i > 0 ? ", " : "", others->names[i]);
    err = hf_fail(why, HF_E_NOT_FOUND,
                  "the repository holds no bundle of set \"%s\" and profile \"%s\"; it holds %s",
                  c->set, c->profile, list.len > 0 ? (const char *)list.data : "no bundle at all");
    hf_buf_free(&list);
    return err;
}

/* ---- which are ours -------------------------------------------------------------------------- */

static bool is_in_our_folder(const struct hf_client *c, const char *path)
{
    char folder[2 * HF_SET_NAME_MAX + 3];
    int len = snprintf(folder, sizeof folder, "%s/%s/", c->set, c->profile);
    return strncmp(path, folder, (size_t)len) == 0;
}

static bool is_of_us(const struct hf_client *c, const struct hf_description *d)
{
    return strcmp(d->set, c->set) == 0 && strcmp(d->profile, c->profile) == 0;
}

/* A bundle under another name could shadow or outrun the real one: SET/PROFILE/VERSION.pem only. */
static enum hf_err check_path(const struct hf_description *d, const char *path, struct hf_why *why)
{
    struct hf_buf expected = {0};
    HF_TRY(hf_description_target_path(d, &expected, why));
    enum hf_err err = HF_OK;
    if (strcmp((const char *)expected.data, path) != 0)
        err = hf_fail(why, HF_E_POLICY, "its description belongs to %s",
                      (const char *)expected.data);
    hf_buf_free(&expected);
    return err;
}

/* HF_E_NOT_FOUND: a target of another program. Anything else says what is wrong with one of ours. */
static enum hf_err read_target(const struct hf_client *c, const struct hf_target *target,
                               struct others *others, struct hf_description *out,
                               struct hf_why *why)
{
    struct hf_description d = {0};
    bool is_in_ours = is_in_our_folder(c, target->path);

    enum hf_err err = target->custom != NULL ? hf_description_parse(target->custom, &d, why)
                                             : hf_fail(why, HF_E_NOT_FOUND, "no description");
    if (err != HF_OK && err != HF_E_MEMORY)
        return is_in_ours ? hf_fail(why, HF_E_FORMAT, "%s", why->text) : HF_E_NOT_FOUND;
    HF_TRY(err);

    if (is_of_us(c, &d) || is_in_ours) {
        err = check_path(&d, target->path, why);
    } else {
        note_other(others, &d);
        err = HF_E_NOT_FOUND;
    }
    if (err != HF_OK) {
        hf_description_free(&d);
        return err;
    }
    *out = d;
    return HF_OK;
}

/* ---- the newest ------------------------------------------------------------------------------ */

static void take_if_newer(struct hf_candidate *cand, const struct hf_target *target,
                          struct hf_description *d)
{
    if (cand->target != NULL && d->version <= cand->description.version) {
        hf_description_free(d);
        return;
    }
    hf_description_free(&cand->description);
    cand->description = *d;
    cand->target = target;
}

/* The newest that neither floor nor rejection forbids. `n_ours` counts the forbidden ones too. */
static enum hf_err find_newest(struct hf_client *c, struct hf_candidate *cand, size_t *n_ours,
                               struct others *others, struct hf_why *why)
{
    const struct hf_targets *targets = hf_trusted_set_top_targets(&c->trusted);

    for (size_t i = 0; i < targets->n_targets; i++) {
        const struct hf_target *target = &targets->targets[i];
        struct hf_description d = {0};
        enum hf_err err = read_target(c, target, others, &d, why);
        if (err == HF_E_MEMORY)
            return err;
        if (err != HF_OK && err != HF_E_NOT_FOUND)
            hf_log(c, HF_LEVEL_WARNING, "the target %s is skipped: %s", target->path, why->text);
        if (err != HF_OK)
            continue;
        ++*n_ours;
        if (hf_bundle_floor_rejects(&cand->floor, d.version))
            hf_description_free(&d);
        else
            take_if_newer(cand, target, &d);
    }
    return HF_OK;
}

/* A damaged active bundle counts as none, so that the update replaces it. */
static enum hf_err load_active(struct hf_client *c, struct hf_candidate *cand, struct hf_why *why)
{
    enum hf_err err = hf_bundle_load(c, HF_SLOT_ACTIVE, &cand->active, why);
    cand->has_active = err == HF_OK;
    if (err == HF_E_STORAGE)
        hf_log(c, HF_LEVEL_WARNING, "%s", why->text);
    return err == HF_E_NOT_FOUND || err == HF_E_STORAGE ? HF_OK : err;
}

/* A bundle of another set and profile has a floor of its own. */
static enum hf_err load_floors(struct hf_client *c, struct hf_candidate *cand, struct hf_why *why)
{
    const struct hf_bundle_record *active = &cand->active;
    struct hf_bundle_floor floor = {0};

    HF_TRY(hf_bundle_floor_load(c, c->set, c->profile, &cand->floor, why));
    if (!cand->has_active)
        return HF_OK;
    HF_TRY(hf_bundle_floor_load(c, active->set, active->profile, &floor, why));
    cand->is_active_of_us = strcmp(active->set, c->set) == 0 &&
                            strcmp(active->profile, c->profile) == 0;
    cand->is_active_of_former_keys = active->version > 0 && floor.is_new;
    return HF_OK;
}

enum hf_err hf_select(struct hf_client *c, struct hf_candidate *cand, struct hf_why *why)
{
    struct others others = {0};
    size_t n_ours = 0;

    HF_TRY(load_active(c, cand, why));
    HF_TRY(load_floors(c, cand, why));
    HF_TRY(find_newest(c, cand, &n_ours, &others, why));
    if (cand->target != NULL)
        return HF_OK;
    if (n_ours == 0)
        return fail_not_found(c, &others, why);
    if (!cand->is_active_of_us)
        return hf_fail(why, HF_E_ROLLBACK,
                       "all bundles of %s/%s in the repository are older than version %lld, which "
                       "this device has had, or were rejected by it; publish a newer one",
                       c->set, c->profile, (long long)cand->floor.version);
    cand->is_active = true;
    return HF_OK;
}

bool hf_candidate_has_new_keys(const struct hf_candidate *cand)
{
    /* Version 0 came with the device and has no signer. */
    return cand->is_active_of_former_keys;
}

void hf_candidate_free(struct hf_candidate *cand)
{
    hf_bundle_record_free(&cand->active);
    hf_bundle_record_free(&cand->record);
    hf_description_free(&cand->description);
    hf_bundle_free(&cand->bundle);
}
