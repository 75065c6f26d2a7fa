#include "client/core/client_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- open and close ---------------------------------------------------------------------------- */

/* A store that cannot be read is no reason to leave the device without anchors: the bundle may lie
 * elsewhere, and the update will say what is wrong. */
static enum hf_err check_initialised(struct hf_client *c, struct hf_why *why)
{
    struct hf_buf root = {0};
    enum hf_err err = c->ports.store.load_metadata(c->ports.store.ctx, "root", &root, why);
    hf_buf_free(&root);
    if (err == HF_E_NOT_FOUND)
        return hf_fail(why, err,
                       "this device holds no root metadata: initialise it with the root.json of "
                       "its repository first");
    if (err != HF_OK)
        hf_log(c, HF_LEVEL_WARNING, "the root metadata cannot be read: %s", why->text);
    return HF_OK;
}

static void load_mirrors(struct hf_client *c)
{
    struct hf_why why = {0};
    int64_t first = 0;
    if (hf_value_load_integer(c, "mirror.next", 0, &first, &why) != HF_OK || first < 0)
        first = 0;
    c->first_mirror = (size_t)((uint64_t)first % c->n_urls);
    c->mirror = c->first_mirror;
    hf_mirror_faults_load(c);
}

enum hf_err hf_client_open(const struct hf_ports *ports, const struct hf_client_config *config,
                           struct hf_client **out, struct hf_why *why)
{
    struct hf_why own = {0};
    struct hf_client *c = calloc(1, sizeof *c);
    if (c == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the client");
    enum hf_err err = hf_client_init(c, ports, config, &own);
    if (err == HF_OK)
        err = check_initialised(c, &own);
    if (err != HF_OK) {
        hf_client_close(c);
        return hf_report(why, &own, err);
    }
    load_mirrors(c);
    hf_clock_floor_load(c);
    hf_live_load(c);
    *out = c;
    return HF_OK;
}

enum hf_err hf_client_configure(struct hf_client *client, const struct hf_ports *ports,
                                const struct hf_client_config *config, struct hf_why *why)
{
    struct hf_client next;

    HF_TRY(hf_client_init(&next, ports, config, why));
    next.last_check = client->last_check;
    next.live_version = client->live_version;
    memcpy(next.live_sha256, client->live_sha256, sizeof next.live_sha256);
    load_mirrors(&next);
    hf_clock_floor_load(&next);
    hf_client_clear(client);
    *client = next;
    hf_live_follow(client);
    return HF_OK;
}

void hf_client_close(struct hf_client *client)
{
    if (client == NULL)
        return;
    hf_client_clear(client);
    free(client);
}

/* ---- update ------------------------------------------------------------------------------------ */

/* What a check did, step by step. */
struct course {
    struct hf_candidate cand;
    int64_t rejected_version; /* by probation, on the way; -1 for none */
};

/* Where no server's chain validates any more, once more without. */
static enum hf_err refresh(struct hf_client *c, struct hf_why *why)
{
    enum hf_err err = hf_refresh(c, why);
    if (!hf_recovery_begins(c, err, why))
        return err;
    const struct hf_why first = *why;
    return hf_recovery_end(c, hf_refresh(c, why), &first, why);
}

/* What --verbose shows of verification. */
static void log_metadata(const struct hf_client *c)
{
    const struct hf_trusted_set *t = &c->trusted;

    hf_log(
        c, HF_LEVEL_DEBUG,
        "verified: root %lld, timestamp %lld, snapshot %lld, targets %lld (signatures, versions, "
        "hashes, expiry)",
        (long long)t->root->env.version, (long long)t->timestamp->env.version,
        (long long)t->snapshot->env.version, (long long)hf_trusted_set_top_targets(t)->env.version);
}

static void log_candidate(const struct hf_client *c, const struct hf_candidate *cand)
{
    if (cand->is_active)
        hf_log(c, HF_LEVEL_DEBUG, "the newest bundle of %s/%s is active already", c->set,
               c->profile);
    else
        hf_log(c, HF_LEVEL_DEBUG, "verified: bundle %s, SHA-256 %s, %zu roots", cand->target->path,
               cand->record.sha256, cand->bundle.n_anchors);
}

/* The device's work. Each line is a file. */
static enum hf_err update(struct hf_client *c, struct course *course, struct hf_why *why)
{
    struct hf_candidate *cand = &course->cand;

    hf_live_follow(c);                                       /* is it in use?               */
    HF_TRY(hf_probation(c, &course->rejected_version, why)); /* is the last one still good? */
    HF_TRY(refresh(c, why));                                 /* TUF metadata up to date     */
    log_metadata(c);
    HF_TRY(hf_probation_refreshed(c, why));
    HF_TRY(hf_endpoints_learn(c, why));
    HF_TRY(hf_select(c, cand, why)); /* which bundle is ours        */
    HF_TRY(hf_obtain(c, cand, why)); /* fetched, hashed, parsed     */
    log_candidate(c, cand);
    HF_TRY(hf_preflight(c, cand, why)); /* would it still reach home?  */
    return hf_activate(c, cand, why);   /* stage, commit, swap, trial  */
}

/* A device without a bundle had nothing to look at its endpoints with. A failure here does not
 * undo the update; it ends the next check. */
static void learn_from_first(struct hf_client *c, const struct hf_candidate *cand)
{
    struct hf_why why = {0};

    if (!cand->has_active && hf_endpoints_learn(c, &why) != HF_OK)
        hf_log(c, HF_LEVEL_WARNING, "the endpoints cannot be looked at: %s", why.text);
}

static struct hf_update_result result_of(const struct hf_client *c, const struct course *course)
{
    const struct hf_candidate *cand = &course->cand;
    int64_t active = cand->has_active && cand->is_active_of_us ? cand->active.version : -1;
    bool is_rolled_back = course->rejected_version >= 0;

    return (struct hf_update_result){
        .is_changed = is_rolled_back || !cand->is_active,
        .from_version = is_rolled_back ? course->rejected_version : active,
        .to_version = cand->is_active ? active : cand->record.version,
        .is_rolled_back = is_rolled_back,
        .is_recovered = c->waives_validation,
    };
}

static void record_success(struct hf_client *c, const struct hf_update_result *result)
{
    const char *how = result->is_recovered ? ", recovered" : "";
    const char *but = result->lost[0] != '\0' ? ", but " : "";
    char text[HF_WHY_MAX];
    if (!result->is_changed)
        (void)snprintf(text, sizeof text, "current %s/%s %lld%s%s%.400s", c->set, c->profile,
                       (long long)result->to_version, how, but, result->lost);
    else if (result->from_version < 0)
        (void)snprintf(text, sizeof text, "updated %s/%s none -> %lld%s%s%.400s", c->set,
                       c->profile, (long long)result->to_version, how, but, result->lost);
    else
        (void)snprintf(text, sizeof text, "updated %s/%s %lld -> %lld%s%s%.400s", c->set,
                       c->profile, (long long)result->from_version, (long long)result->to_version,
                       how, but, result->lost);
    hf_check_record(c, HF_OK, text);
}

enum hf_err hf_client_update(struct hf_client *client, struct hf_update_result *out,
                             struct hf_why *why)
{
    struct course course = {.rejected_version = -1};
    char lost[HF_WHY_MAX];
    struct hf_why own = {0};

    hf_mirrors_begin_check(client);
    enum hf_err err = update(client, &course, &own);
    if (err == HF_OK)
        learn_from_first(client, &course.cand);
    hf_losses_note(client, lost);
    if (err == HF_OK) {
        *out = result_of(client, &course);
        memcpy(out->lost, lost, sizeof out->lost);
        record_success(client, out);
    } else {
        hf_check_record(client, err, own.text);
    }
    hf_candidate_free(&course.cand);
    hf_trusted_set_free(&client->trusted);
    return hf_report(why, &own, err);
}
