#include "tests/support/find_target.h"

#include <fnmatch.h>
#include <string.h>

/* ---- which role lists it, TUF 5.6.7 ---------------------------------------------------------- */

struct search {
    const char *path;
    const char *visited[HF_DELEGATIONS_VISITED_MAX]; /* names; borrowed from metadata */
    size_t n_visited;
    bool is_ended; /* a terminating delegation was searched */
    const struct hf_target *found;
};

/* By name, as the specification has it: a role that was reached through one delegator is not asked
 * again through another, and a cycle ends. */
static bool was_visited(const struct search *s, const char *role)
{
    for (size_t i = 0; i < s->n_visited; i++) {
        if (strcmp(s->visited[i], role) == 0)
            return true;
    }
    return false;
}

/* The role as this very delegator vouches for it. What another search, or another delegator, made
 * of it gives it no authority here. */
static enum hf_err obtain_role(struct hf_client *c, const char *role,
                               const struct hf_trusted_targets *delegator,
                               const struct hf_trusted_targets **out, struct hf_why *why)
{
    *out = hf_trusted_set_find_targets(&c->trusted, role, delegator);
    if (*out == NULL) {
        if (hf_targets_obtain(c, role, delegator, why) != HF_OK)
            return hf_fail_context(why, "the role %.64s, delegated to by %.64s", role,
                                   delegator->role);
        *out = hf_trusted_set_find_targets(&c->trusted, role, delegator);
    }
    return HF_OK;
}

static enum hf_err visit(struct hf_client *c, struct search *s, const struct hf_trusted_targets *at,
                         struct hf_why *why);

/* A role that cannot be fetched ends the search: a later role must not gain from its absence. */
static enum hf_err follow(struct hf_client *c, struct search *s,
                          const struct hf_trusted_targets *delegator,
                          const struct hf_delegation *delegation, struct hf_why *why)
{
    const struct hf_trusted_targets *next = NULL;

    if (was_visited(s, delegation->role.name))
        return HF_OK;
    if (s->n_visited == HF_DELEGATIONS_VISITED_MAX)
        return hf_fail(why, HF_E_LIMIT,
                       "more than %d roles may speak for %.200s; the search ends there",
                       HF_DELEGATIONS_VISITED_MAX, s->path);
    HF_TRY(obtain_role(c, delegation->role.name, delegator, &next, why));
    return visit(c, s, next, why);
}

bool hf_delegation_covers(const struct hf_delegation *d, const char *path)
{
    char hash[HF_SHA256_HEX_LEN];
    size_t index;
    json_t *element;
    /* Shell patterns, part by part: no wildcard crosses a slash (TUF 4.5). */
    json_array_foreach(d->paths, index, element)
    {
        if (fnmatch(json_string_value(element), path, FNM_PATHNAME | FNM_NOESCAPE) == 0)
            return true;
    }
    hf_sha256_hex(hf_bytes_of_text(path), hash);
    json_array_foreach(d->path_hash_prefixes, index, element)
    {
        if (strncmp(hash, json_string_value(element), json_string_length(element)) == 0)
            return true;
    }
    return false;
}

/* Pre-order, depth first. The number of roles visited bounds the depth. */
static enum hf_err visit(struct hf_client *c, struct search *s, const struct hf_trusted_targets *at,
                         struct hf_why *why)
{
    s->visited[s->n_visited++] = at->role;
    s->found = hf_targets_find(&at->targets, s->path);
    for (size_t i = 0; i < at->targets.n_delegations && s->found == NULL && !s->is_ended; i++) {
        const struct hf_delegation *delegation = &at->targets.delegations[i];
        if (!hf_delegation_covers(delegation, s->path))
            continue;
        HF_TRY(follow(c, s, at, delegation, why));
        s->is_ended = s->is_ended || delegation->is_terminating;
    }
    return HF_OK;
}

enum hf_err hf_find_target(struct hf_client *c, const char *path, const struct hf_target **out,
                           struct hf_why *why)
{
    struct search search = {.path = path};
    const struct hf_trusted_targets *top = hf_trusted_set_find_targets(&c->trusted, "targets",
                                                                       NULL);
    if (top == NULL)
        return hf_fail(why, HF_E_STATE, "targets are looked for after a refresh");
    enum hf_err err = visit(c, &search, top, why);
    if (err == HF_E_EXPIRED)
        hf_clock_doubt(c, why);
    if (err == HF_OK)
        *out = search.found;
    return err;
}
