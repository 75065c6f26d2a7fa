#include "server/publish/commands/rollout_find.h"

#include "common/base/limits.h"
#include "server/repository/rollout_publish.h"

#include <stdlib.h>
#include <string.h>

static enum hf_err parse_name(struct hf_cli_call *call, const char *word, const char **at,
                              char out[HF_SET_NAME_MAX + 1])
{
    const size_t len = strcspn(*at, "/");
    snprintf(out, HF_SET_NAME_MAX + 1, "%.*s", (int)len, *at);
    if (len > HF_SET_NAME_MAX || !hf_set_name_is_valid(out))
        return hf_cli_usage(call, "\"%.80s\" should be SET, SET/PROFILE or SET/PROFILE/VERSION",
                            word);
    *at += len + ((*at)[len] == '/');
    return HF_OK;
}

enum hf_err hf_rollout_meant_parse(struct hf_cli_call *call, const char *word,
                                   struct hf_rollout_meant *out)
{
    const char *at = word;
    char *end = NULL;
    HF_TRY(parse_name(call, word, &at, out->set));
    if (*at == '\0')
        return HF_OK;
    HF_TRY(parse_name(call, word, &at, out->profile));
    if (*at == '\0')
        return HF_OK;
    if (*at >= '1' && *at <= '9')
        out->version = strtoll(at, &end, 10);
    if (end == NULL || *end != '\0' || out->version > HF_JSON_INTEGER_MAX)
        return hf_cli_usage(call, "a version is a number above 0, not \"%.80s\"", at);
    return HF_OK;
}

void hf_rollout_items_free(struct hf_rollout_items *all)
{
    for (size_t i = 0; i < all->n_items; i++)
        hf_description_free(&all->items[i].description);
    free(all->items);
}

static bool is_meant(const struct hf_rollout_meant *meant, const struct hf_rollout_item *r,
                     bool wants_old)
{
    const struct hf_description *d = &r->description;
    return (meant->set[0] == '\0' || strcmp(meant->set, d->set) == 0) &&
           (meant->profile[0] == '\0' || strcmp(meant->profile, d->profile) == 0) &&
           (meant->version == 0 ? wants_old || !r->is_superseded : meant->version == d->version);
}

enum hf_err hf_rollout_items_find(const struct hf_trusted_set *set,
                                  const struct hf_rollout_meant *meant, bool wants_old,
                                  struct hf_rollout_items *out, struct hf_why *why)
{
    const struct hf_targets *targets = hf_trusted_set_top_targets(set);
    out->items = calloc(targets->n_targets + 1, sizeof *out->items);
    if (out->items == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for rollouts");
    for (size_t i = 0; i < targets->n_targets; i++) {
        struct hf_rollout_item *r = &out->items[out->n_items];
        r->path = targets->targets[i].path;
        if (hf_description_parse(targets->targets[i].custom, &r->description, NULL) != HF_OK)
            continue;
        r->is_superseded = hf_rollout_is_superseded(targets, &r->description);
        if (r->description.plan == NULL || !is_meant(meant, r, wants_old)) {
            hf_description_free(&r->description);
            continue;
        }
        (void)snprintf(r->name, sizeof r->name, "%s/%s/%lld", r->description.set,
                       r->description.profile, (long long)r->description.version);
        out->n_items++;
        HF_TRY(hf_online_read_stage(set, r->path, &r->stage, why));
    }
    return HF_OK;
}

enum hf_err hf_rollout_items_none(const char *repo_dir, const char *word, struct hf_why *why)
{
    return hf_fail(why, HF_E_NOT_FOUND,
                   "%s publishes no bundle with a rollout plan that \"%s\" names; `rollout show` "
                   "lists them, `bundle add --plan` makes one",
                   repo_dir, word);
}
