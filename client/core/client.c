/* The device's work: what a configuration must be, open and close, and the update as a list of
 * steps. */
#include "client/core/endpoints.h"
#include "client/core/refresh.h"
#include "client/core/report.h"
#include "client/core/update.h"

#include "common/json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum hf_err copy_url(struct hf_client *c, const char *url, struct hf_why *why)
{
    if (url == NULL || (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0))
        return hf_fail(why, HF_E_ARGUMENT,
                       "expected the repository's address to begin with http:// or https://, "
                       "found \"%s\"",
                       url != NULL ? url : "");
    size_t len = strlen(url);
    if (len > HF_URL_MAX)
        return hf_fail(why, HF_E_LIMIT, "expected an address of at most %d bytes, found %zu",
                       HF_URL_MAX, len);
    while (url[len - 1] == '/')
        len--;
    char *copy = malloc(len + 1);
    if (copy == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the repository's address");
    memcpy(copy, url, len);
    copy[len] = '\0';
    c->urls[c->n_urls++] = copy;
    return HF_OK;
}

static enum hf_err copy_name(const char *what, const char *name, char out[HF_SET_NAME_MAX + 1],
                             struct hf_why *why)
{
    if (name == NULL || !hf_set_name_is_valid(name))
        return hf_fail(why, HF_E_ARGUMENT,
                       "expected the name of a %s: a-z, 0-9, \".\", \"_\" and \"-\", at most %d "
                       "characters, found \"%s\"",
                       what, HF_SET_NAME_MAX, name != NULL ? name : "");
    memcpy(out, name, strlen(name) + 1);
    return HF_OK;
}

_Static_assert(HF_GROUPS_MAX == HF_DEVICE_GROUPS_MAX, "one maximum of groups");

static enum hf_err copy_device(struct hf_client *c, const struct hf_client_config *config,
                               struct hf_why *why)
{
    if (config->device_id != NULL && !hf_device_id_is_valid(config->device_id))
        return hf_fail(why, HF_E_ARGUMENT,
                       "expected a device id of 1 to %d of A-Z a-z 0-9 . _ : -, found \"%.200s\"",
                       HF_DEVICE_ID_MAX, config->device_id);
    if (config->n_groups > HF_DEVICE_GROUPS_MAX)
        return hf_fail(why, HF_E_ARGUMENT, "expected at most %d groups, found %zu",
                       HF_DEVICE_GROUPS_MAX, config->n_groups);
    (void)snprintf(c->device_id, sizeof c->device_id, "%s",
                   config->device_id != NULL ? config->device_id : "");
    for (size_t i = 0; i < config->n_groups; i++)
        HF_TRY(copy_name("group", config->groups[i], c->groups[i], why));
    c->n_groups = config->n_groups;
    return HF_OK;
}

enum hf_err hf_client_init(struct hf_client *c, const struct hf_ports *ports,
                           const struct hf_client_config *config, struct hf_why *why)
{
    const struct hf_random_port *random = &ports->random;
    uint32_t seed = 0;
    uint8_t name[16];

    *c = (struct hf_client){.ports = *ports,
                            .loaded_version = -1,
                            .awaits_confirm = config->awaits_confirm};
    random->fill(random->ctx, &seed, sizeof seed);
    hf_json_seed(seed);
    /* Makes this device's checks fall on other moments than those of others. Not stored: a clone of
     * the store is another device. */
    random->fill(random->ctx, name, sizeof name);
    hf_sha256_hex(config->instance != NULL ? hf_bytes_of_text(config->instance)
                                           : (struct hf_bytes){name, sizeof name},
                  c->instance);
    HF_TRY(copy_name("set", config->set, c->set, why));
    HF_TRY(copy_name("profile", config->profile, c->profile, why));
    HF_TRY(copy_device(c, config, why));
    if (config->n_urls < 1 || config->n_urls > HF_MIRRORS_MAX)
        return hf_fail(why, HF_E_ARGUMENT,
                       "expected 1 to %d addresses of the repository, found %zu", HF_MIRRORS_MAX,
                       config->n_urls);
    enum hf_err err = HF_OK;
    for (size_t i = 0; i < config->n_urls && err == HF_OK; i++)
        err = copy_url(c, config->urls[i], why);
    if (err == HF_OK && ports->endpoints.n_endpoints > 0) {
        const size_t n = ports->endpoints.n_endpoints;
        c->state.endpoints = calloc(n * HF_KEY_TYPES, sizeof *c->state.endpoints);
        c->state.refusals = calloc(n, sizeof *c->state.refusals);
        c->verdicts = calloc(n, sizeof *c->verdicts);
        if (c->state.endpoints == NULL || c->state.refusals == NULL || c->verdicts == NULL)
            err = hf_fail(why, HF_E_MEMORY, "out of memory for %zu endpoints",
                          ports->endpoints.n_endpoints);
    }
    if (err != HF_OK)
        hf_client_clear(c);
    return err;
}

void hf_client_clear(struct hf_client *c)
{
    for (size_t i = 0; i < c->n_urls; i++)
        free(c->urls[i]);
    c->n_urls = 0;
    free(c->state.endpoints);
    c->state.endpoints = NULL;
    free(c->state.refusals);
    c->state.refusals = NULL;
    free(c->verdicts);
    c->verdicts = NULL;
    hf_trusted_set_free(&c->trusted);
}

/* ---- open and close -------------------------------------------------------------------------- */

enum hf_err hf_client_open(const struct hf_ports *ports, const struct hf_client_config *config,
                           struct hf_client **out, struct hf_why *why)
{
    struct hf_buf root = {0};
    struct hf_why own = {0};
    struct hf_client *c = calloc(1, sizeof *c);

    if (c == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the client");
    enum hf_err err = hf_client_init(c, ports, config, &own);
    if (err != HF_OK)
        goto out;
    err = ports->store.load_metadata(ports->store.ctx, "root", &root, &own);
    hf_buf_free(&root);
    if (err == HF_E_NOT_FOUND) {
        err = hf_fail(&own, err,
                      "this device holds no root metadata: initialise it with the root.json of "
                      "its repository first");
        goto out;
    }
    /* A store that cannot be read is no reason to leave the device without anchors: the bundle may
     * lie elsewhere, and the update will say what is wrong. */
    if (err != HF_OK)
        hf_log(c, HF_LEVEL_WARNING, "the root metadata cannot be read: %s", own.text);
    hf_state_load(c);
    hf_mirrors_init(c);
    hf_active_store_load(c);
    c->has_swapped = false; /* no connection is older than this */
    *out = c;
    return HF_OK;
out:
    hf_client_close(c);
    return hf_pass_on(why, &own, err);
}

enum hf_err hf_client_configure(struct hf_client *client, const struct hf_ports *ports,
                                const struct hf_client_config *config, struct hf_why *why)
{
    struct hf_bundle_record active = {0};
    struct hf_client next;

    HF_TRY(hf_client_init(&next, ports, config, why));
    next.last_check = client->last_check;
    next.loaded_version = client->loaded_version;
    memcpy(next.loaded_sha256, client->loaded_sha256, sizeof next.loaded_sha256);
    hf_state_load(&next);
    hf_mirrors_init(&next);
    hf_client_clear(client);
    *client = next;
    hf_active_store_follow_stored(client, &active);
    hf_bundle_record_free(&active);
    return HF_OK;
}

void hf_client_close(struct hf_client *client)
{
    if (client == NULL)
        return;
    hf_client_clear(client);
    free(client);
}

/* ---- update ---------------------------------------------------------------------------------- */

/* If no server's chain validates any more, it is repeated without validating them. */
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

/* The device's work. `*rejected`: the version that the trial rejected on the way. */
static enum hf_err update(struct hf_client *c, struct hf_candidate *cand, int64_t *rejected,
                          struct hf_why *why)
{
    hf_active_store_follow_stored(c, &cand->active); /* is it in use?               */
    HF_TRY(hf_trial_check(c, rejected, why));        /* is the last one still good? */
    if (*rejected >= 0)
        hf_bundle_record_free(&cand->active); /* hf_select loads the one that is active now */
    HF_TRY(refresh(c, why));                  /* TUF metadata up to date     */
    log_metadata(c);
    HF_TRY(hf_trial_refreshed(c, why));
    HF_TRY(hf_endpoints_learn(c, why));
    HF_TRY(hf_select(c, cand, why)); /* which bundle is ours        */
    HF_TRY(hf_obtain(c, cand, why)); /* fetched, hashed, parsed     */
    log_candidate(c, cand);
    HF_TRY(hf_preflight(c, cand, why)); /* would it still reach home?  */
    hf_report_announce(c, cand);        /* to the fleet service, if there is one */
    return hf_activate(c, cand, why);   /* stage, commit, swap, trial  */
}

/* The same failure again, check after check, would push everything else out of the journal. How
 * long a candidate still waits is no news. */
static bool is_news(const struct hf_device_state *s, enum hf_err outcome, const char *text)
{
    const char *end = strstr(text, HF_POSTPONED_UNTIL);

    if (outcome == HF_OK)
        return false;
    if (strcmp(s->check_outcome, hf_err_name(outcome)) != 0)
        return true;
    return end != NULL ? strncmp(text, s->check_text, (size_t)(end - text)) != 0
                       : strcmp(text, s->check_text) != 0;
}

static void success_text(const struct hf_client *c, const struct hf_update_result *result,
                         char out[HF_WHY_MAX])
{
    const char *how = result->is_recovered ? ", recovered" : "";
    const char *but = result->lost[0] != '\0' ? ", but " : "";
    char from[24] = "none";

    if (result->from_version >= 0)
        (void)snprintf(from, sizeof from, "%lld", (long long)result->from_version);
    (void)snprintf(out, HF_WHY_MAX, "%s %s/%s %s%s%lld%s%s%.400s",
                   result->is_changed ? "updated" : "current", c->set, c->profile,
                   result->is_changed ? from : "", result->is_changed ? " -> " : "",
                   (long long)result->to_version, how, but, result->lost);
}

/* In one transaction: which endpoints are lost, how the check ended, and all that is new in the
 * state. `result` is of a check that succeeded; `text` says why another one did not. */
static void record_check(struct hf_client *c, const struct hf_candidate *cand, enum hf_err outcome,
                         struct hf_update_result *result, const char *text)
{
    struct hf_device_state *s = &c->state;
    struct hf_receipts receipts;
    char success[HF_WHY_MAX];
    struct hf_why why = {0};

    /* What waits for its turn comes no sooner if it is asked for every hour. */
    const bool is_turn_awaited = outcome == HF_E_POSTPONED && cand->target == NULL;
    hf_schedule_count(c, is_turn_awaited ? HF_OK : outcome);
    if (hf_trusted_set_receipts(&c->trusted, &receipts)) /* the refresh succeeded */
        hf_receipts_keep(c, &receipts);
    enum hf_err err = hf_state_begin(c, &why);
    if (err == HF_OK) {
        err = hf_endpoints_note_losses(c, result->lost, &why);
        if (err == HF_OK)
            err = hf_endpoints_note_refusals(c, result->refused, &why);
        if (outcome == HF_OK) {
            success_text(c, result, success);
            text = success;
        }
        bool is_new = is_news(s, outcome, text);
        if (err == HF_OK && is_new)
            err = outcome == HF_E_POSTPONED ? hf_journal(c, HF_LEVEL_INFO, "postponed", text, &why)
                                            : hf_journal(c, HF_LEVEL_ERROR, "failed", text, &why);
        if (err == HF_OK)
            err = hf_mirrors_end_check(c, &why);
        if (err == HF_OK && outcome == HF_OK)
            err = hf_rollout_note(c, &cand->held, &why);
        else if (cand->held.version > 0 || cand->target != NULL) /* it is known what waits */
            s->held = cand->held;
        if (err == HF_OK)
            hf_report_note_check(c, cand, outcome, result, text, is_new);
        s->check_time_s = hf_client_now_s(c);
        (void)snprintf(s->check_outcome, sizeof s->check_outcome, "%s", hf_err_name(outcome));
        (void)snprintf(s->check_text, sizeof s->check_text, "%s", text);
        err = hf_state_end(c, err, &why);
    }
    if (err != HF_OK)
        hf_log(c, HF_LEVEL_WARNING, "how this check ended cannot be written down: %s", why.text);
}

enum hf_err hf_client_update(struct hf_client *client, struct hf_update_result *out,
                             struct hf_why *why)
{
    struct hf_update_result result = {0};
    struct hf_candidate cand = {0};
    int64_t rejected = -1;
    struct hf_why own = {0}, learning = {0};

    hf_state_load(client);
    hf_mirrors_begin_check(client);
    for (size_t i = 0; i < client->ports.endpoints.n_endpoints; i++)
        client->verdicts[i] = (struct hf_refusal){0};
    enum hf_err err = update(client, &cand, &rejected, &own);
    const bool waits = err == HF_E_POSTPONED;
    if (err == HF_OK || waits) {
        const int64_t active = cand.has_active && cand.is_active_of_us ? cand.active.version : -1;
        result.is_rolled_back = rejected >= 0;
        result.is_changed = result.is_rolled_back || !(cand.is_active || waits);
        result.from_version = result.is_rolled_back ? rejected : active;
        result.to_version = cand.is_active || waits ? active : cand.record.version;
        result.is_recovered = client->waives_validation;
        result.held_version = waits && cand.target != NULL ? cand.description.version
                                                           : cand.held.version;
    }
    if (err == HF_OK) {
        /* A device without a bundle had nothing to validate its endpoints with. A failure here does
         * not undo the update; it ends the next check. */
        if (!cand.has_active && hf_endpoints_learn(client, &learning) != HF_OK)
            hf_log(client, HF_LEVEL_WARNING, "the endpoints cannot be looked at: %s",
                   learning.text);
    }
    record_check(client, &cand, err, &result, own.text);
    *out = result;
    hf_candidate_free(&cand);
    hf_trusted_set_free(&client->trusted);
    return hf_pass_on(why, &own, err);
}
