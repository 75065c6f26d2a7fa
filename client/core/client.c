/* The device's work: what a configuration must be, open and close, and the update as a list of steps. */
#include "client/core/bundles.h"
#include "client/core/endpoints.h"
#include "client/core/refresh.h"
#include "client/core/update.h"

#include "common/json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum hf_err check_url(const char *url, struct hf_why *why)
{
    if (url == NULL || (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0))
        return hf_fail(why, HF_E_ARGUMENT,
                       "expected the repository's address to begin with http:// or https://, "
                       "found \"%s\"",
                       url != NULL ? url : "");
    if (strlen(url) > HF_URL_MAX)
        return hf_fail(why, HF_E_LIMIT, "expected an address of at most %d bytes, found %zu",
                       HF_URL_MAX, strlen(url));
    return HF_OK;
}

static enum hf_err copy_url(struct hf_client *c, const char *url, struct hf_why *why)
{
    HF_TRY(check_url(url, why));
    size_t len = strlen(url);
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

static enum hf_err copy_urls(struct hf_client *c, const struct hf_client_config *config,
                             struct hf_why *why)
{
    if (config->n_urls < 1 || config->n_urls > HF_MIRRORS_MAX)
        return hf_fail(why, HF_E_ARGUMENT,
                       "expected 1 to %d addresses of the repository, found %zu", HF_MIRRORS_MAX,
                       config->n_urls);
    for (size_t i = 0; i < config->n_urls; i++)
        HF_TRY(copy_url(c, config->urls[i], why));
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

enum hf_err hf_client_init(struct hf_client *c, const struct hf_ports *ports,
                           const struct hf_client_config *config, struct hf_why *why)
{
    *c = (struct hf_client){.ports = *ports,
                            .live_version = -1,
                            .awaits_confirm = config->awaits_confirm};
    hf_schedule_init(c, config->instance);
    uint32_t seed = 0;

    ports->random.fill(ports->random.ctx, &seed, sizeof seed);
    hf_json_seed(seed);
    HF_TRY(copy_name("set", config->set, c->set, why));
    HF_TRY(copy_name("profile", config->profile, c->profile, why));
    enum hf_err err = copy_urls(c, config, why);
    if (err != HF_OK)
        hf_client_clear(c);
    return err;
}

void hf_client_clear(struct hf_client *c)
{
    for (size_t i = 0; i < c->n_urls; i++)
        free(c->urls[i]);
    c->n_urls = 0;
    hf_trusted_set_free(&c->trusted);
}

/* ---- open and close -------------------------------------------------------------------------- */

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

/* ---- update ---------------------------------------------------------------------------------- */

/* What a check did, step by step. */
struct course {
    struct hf_candidate cand;
    int64_t rejected_version; /* by the trial, on the way; -1 for none */
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

    hf_live_follow(c);                                         /* is it in use?               */
    HF_TRY(hf_trial_check(c, &course->rejected_version, why)); /* is the last one still good? */
    HF_TRY(refresh(c, why));                                   /* TUF metadata up to date     */
    log_metadata(c);
    HF_TRY(hf_trial_refreshed(c, why));
    HF_TRY(hf_endpoints_learn(c, why));
    HF_TRY(hf_select(c, cand, why)); /* which bundle is ours        */
    HF_TRY(hf_obtain(c, cand, why)); /* fetched, hashed, parsed     */
    log_candidate(c, cand);
    HF_TRY(hf_preflight(c, cand, why)); /* would it still reach home?  */
    return hf_activate(c, cand, why);   /* stage, commit, swap, trial  */
}

/* ---- how a check ended ----------------------------------------------------------------------- */

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

static void record_check(struct hf_client *c, enum hf_err outcome, const char *text)
{
    struct check check = {outcome, text};
    struct hf_why why = {0};

    hf_schedule_count(c, outcome);
    if (hf_store_transact(c, write_check, &check, &why) != HF_OK)
        hf_log(c, HF_LEVEL_WARNING, "how this check ended cannot be written down: %s", why.text);
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
    record_check(c, HF_OK, text);
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
        record_check(client, err, own.text);
    }
    hf_candidate_free(&course.cand);
    hf_trusted_set_free(&client->trusted);
    return hf_report(why, &own, err);
}
