/* Which of the signed targets is the bundle for this device, and which versions may come at all. */
#include "client/core/update.h"

#include <stdio.h>
#include <string.h>

void hf_candidate_raise_limits(struct hf_candidate *cand, int64_t version)
{
    struct hf_version_limits *limits = cand->limits;

    if (cand->has_new_keys) {
        memcpy(limits->keys, cand->keys, sizeof limits->keys);
        limits->n_rejected = 0;
        limits->lowest = version;
        limits->fault = HF_OK;
    }
    if (version > limits->lowest)
        limits->lowest = version;
    cand->has_new_keys = false;
}

static bool is_forbidden(const struct hf_candidate *cand, int64_t version)
{
    if (cand->has_new_keys)
        return false;
    for (size_t i = 0; i < cand->limits->n_rejected; i++) {
        if (cand->limits->rejected[i] == version)
            return true;
    }
    return version < cand->limits->lowest;
}

/* The limits of a set and profile, and whether they belong to other keys than `keys`. */
static enum hf_err find_limits(struct hf_client *c, const char *set, const char *profile,
                               const char *keys, struct hf_version_limits **out, bool *has_new_keys,
                               struct hf_why *why)
{
    struct hf_version_limits *limits = hf_state_limits_of(c, set, profile);
    bool is_other = strcmp(limits->keys, keys) != 0;

    if (limits->fault != HF_OK && (limits->is_unread || !is_other))
        return hf_fail(why, limits->fault, "%s", limits->fault_text);
    *out = limits;
    *has_new_keys = is_other;
    return HF_OK;
}

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

/* HF_E_NOT_FOUND: a target of another program. Anything else says what is wrong with one of
 * ours. */
static enum hf_err read_target(const struct hf_client *c, const struct hf_target *target,
                               struct others *others, struct hf_description *out,
                               struct hf_why *why)
{
    struct hf_description d = {0};
    struct hf_buf expected = {0};
    char folder[2 * HF_SET_NAME_MAX + 3];

    const int len = snprintf(folder, sizeof folder, "%s/%s/", c->set, c->profile);
    bool is_in_ours = strncmp(target->path, folder, (size_t)len) == 0;
    enum hf_err err = target->custom != NULL ? hf_description_parse(target->custom, &d, why)
                                             : hf_fail(why, HF_E_NOT_FOUND, "no description");
    if (err == HF_E_MEMORY)
        return err;
    if (err != HF_OK)
        return is_in_ours ? hf_fail(why, HF_E_FORMAT, "%s", why->text) : HF_E_NOT_FOUND;

    if (!is_in_ours && (strcmp(d.set, c->set) != 0 || strcmp(d.profile, c->profile) != 0)) {
        note_other(others, &d);
        err = HF_E_NOT_FOUND;
    } else {
        /* A bundle under another name could shadow or outrun the real one: SET/PROFILE/VERSION.pem
         * only. */
        err = hf_description_target_path(&d, &expected, why);
        if (err == HF_OK && strcmp((const char *)expected.data, target->path) != 0)
            err = hf_fail(why, HF_E_POLICY, "its description belongs to %s",
                          (const char *)expected.data);
        hf_buf_free(&expected);
    }
    if (err == HF_OK)
        *out = d;
    else
        hf_description_free(&d);
    return err;
}

/* The newest that the limits allow. `n_ours` counts the forbidden ones too. */
static enum hf_err find_newest(struct hf_client *c, struct hf_candidate *cand, size_t *n_ours,
                               struct others *others, struct hf_why *why)
{
    const struct hf_targets *targets = hf_trusted_set_top_targets(&c->trusted);

    for (size_t i = 0; i < targets->n_targets; i++) {
        const struct hf_target *target = &targets->targets[i];
        struct hf_description d = {0};
        struct hf_held held = {0};
        enum hf_err err = read_target(c, target, others, &d, why);
        if (err == HF_E_MEMORY)
            return err;
        if (err != HF_OK && err != HF_E_NOT_FOUND)
            hf_log(c, HF_LEVEL_WARNING, "the target %s is skipped: %s", target->path, why->text);
        if (err != HF_OK)
            continue;
        ++*n_ours;
        bool is_newer = cand->target == NULL || d.version > cand->description.version;
        is_newer = is_newer && !is_forbidden(cand, d.version);
        if (is_newer && hf_rollout_lets(c, cand, target, &d, &held)) {
            hf_description_free(&cand->description);
            cand->description = d;
            cand->target = target;
        } else {
            hf_description_free(&d);
        }
        if (held.version > cand->held.version)
            cand->held = held;
    }
    if (cand->target != NULL && cand->held.version < cand->description.version)
        cand->held = (struct hf_held){0};
    return HF_OK;
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

enum hf_err hf_select(struct hf_client *c, struct hf_candidate *cand, struct hf_why *why)
{
    const struct hf_bundle_record *active = &cand->active;
    struct hf_version_limits *of_active = NULL;
    struct others others = {0};
    size_t n_ours = 0;

    /* A damaged active bundle counts as none, so that the update replaces it. */
    enum hf_err err = cand->active.pem.len > 0
                          ? HF_OK
                          : hf_bundle_load(c, HF_SLOT_ACTIVE, &cand->active, why);
    cand->has_active = err == HF_OK;
    if (err == HF_E_STORAGE)
        hf_log(c, HF_LEVEL_WARNING, "%s", why->text);
    else if (err != HF_OK && err != HF_E_NOT_FOUND)
        return err;

    HF_TRY(hf_role_keys_identity(c->trusted.root, HF_ROLE_TARGETS, cand->keys, why));
    HF_TRY(find_limits(c, c->set, c->profile, cand->keys, &cand->limits, &cand->has_new_keys, why));
    if (cand->has_active) {
        bool has_new_keys = false;
        HF_TRY(find_limits(c, active->set, active->profile, cand->keys, &of_active, &has_new_keys,
                           why));
        cand->is_active_of_us = of_active == cand->limits;
        /* Version 0 came with the device and has no signer. */
        cand->is_active_of_former_keys = active->version > 0 && has_new_keys;
    }
    HF_TRY(find_newest(c, cand, &n_ours, &others, why));
    if (cand->target != NULL)
        return HF_OK;
    if (n_ours == 0)
        return fail_not_found(c, &others, why);
    if (!cand->is_active_of_us && cand->held.version > 0)
        return hf_fail(why, HF_E_POSTPONED, "%s/%s: %s", c->set, c->profile, cand->held.text);
    if (!cand->is_active_of_us)
        return hf_fail(why, HF_E_ROLLBACK,
                       "all bundles of %s/%s in the repository are older than version %lld, which "
                       "this device has had, or were rejected by it; publish a newer one",
                       c->set, c->profile, (long long)cand->limits->lowest);
    cand->is_active = true;
    return HF_OK;
}

void hf_candidate_free(struct hf_candidate *cand)
{
    hf_bundle_record_free(&cand->active);
    hf_bundle_record_free(&cand->record);
    hf_description_free(&cand->description);
    hf_bundle_free(&cand->bundle);
}
