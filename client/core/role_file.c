#include "client/core/client_internal.h"

#include "common/base/percent.h"

/* ---- what is held already -------------------------------------------------------------------------- */

enum hf_err hf_role_file_offer_cached(struct hf_client *c, const struct hf_role_file *file,
                                      enum hf_err *out, struct hf_why *why)
{
    const struct hf_store_port *store = &c->ports.store;
    struct hf_why refusal = {0};
    struct hf_buf bytes = {0};

    enum hf_err err = store->load_metadata(store->ctx, file->role, &bytes, why);
    *out = err;
    if (err == HF_OK)
        *out = file->offer(c, file, hf_buf_bytes(&bytes), HF_CACHED, &refusal);
    if (err == HF_OK && *out != HF_OK)
        hf_log(c, HF_LEVEL_DEBUG, "the cached %s is not used: %s", file->role, refusal.text);
    hf_buf_free(&bytes);
    if (err == HF_OK)
        return hf_trusted_set_shed(&c->trusted, why);
    return err == HF_E_NOT_FOUND ? HF_OK : err;
}

/* ---- what is fetched ------------------------------------------------------------------------------- */

/* TUF 5.5.1, 5.6.1. A role's name may hold anything; in the path it is one segment. */
static enum hf_err file_path(const struct hf_client *c, const struct hf_role_file *file,
                             struct hf_buf *out, struct hf_why *why)
{
    enum hf_err err = hf_buf_append_text(out, "metadata/");
    if (err == HF_OK && c->trusted.root->consistent_snapshot)
        err = hf_buf_printf(out, "%lld.", (long long)file->announced->version);
    if (err == HF_OK)
        err = hf_percent_encode(file->role, "", out);
    if (err == HF_OK)
        err = hf_buf_append_text(out, ".json");
    return err == HF_OK ? HF_OK : hf_fail(why, err, "out of memory for an address");
}

static enum hf_err accept_fetched(struct hf_client *c, void *arg, const struct hf_response *answer,
                                  struct hf_why *why)
{
    const struct hf_store_port *store = &c->ports.store;
    const struct hf_role_file *file = arg;
    struct hf_bytes bytes = hf_buf_bytes(&answer->body);

    HF_TRY(hf_mirror_blame_answer(file->offer(c, file, bytes, HF_FETCHED, why), why));
    /* What was accepted has the version announced (5.5.4, 5.6.4). */
    return store->save_metadata(store->ctx, file->role, file->announced->version, bytes, why);
}

static enum hf_err fetch_announced(struct hf_client *c, struct hf_role_file *file,
                                   struct hf_why *why)
{
    int64_t length = file->announced->length;
    struct hf_buf path = {0};

    enum hf_err err = file_path(c, file, &path, why);
    if (err == HF_OK) {
        struct hf_fetch fetch = {.path = (const char *)path.data,
                                 .max_bytes = file->max_bytes,
                                 .accept = accept_fetched,
                                 .arg = file};
        if (length > 0 && (uint64_t)length < fetch.max_bytes)
            fetch.max_bytes = (size_t)length;
        err = hf_mirrors_fetch(c, &fetch, why);
    }
    hf_buf_free(&path);
    return err;
}

enum hf_err hf_role_file_obtain(struct hf_client *c, struct hf_role_file *file, struct hf_why *why)
{
    enum hf_err cached = HF_E_NOT_FOUND;
    HF_TRY(hf_role_file_offer_cached(c, file, &cached, why));
    return cached == HF_OK ? HF_OK : fetch_announced(c, file, why);
}

/* ---- targets, top-level and delegated -------------------------------------------------------------- */

static enum hf_err offer_targets(struct hf_client *c, const struct hf_role_file *file,
                                 struct hf_bytes bytes, enum hf_origin origin, struct hf_why *why)
{
    (void)origin; /* one rule for both: only what snapshot names (5.6.4) */
    return hf_trusted_set_update_targets(&c->trusted, bytes, file->role, file->delegator, why);
}

enum hf_err hf_targets_obtain(struct hf_client *c, const char *role,
                              const struct hf_trusted_targets *delegator, struct hf_why *why)
{
    struct hf_buf name = {0};

    if (hf_buf_printf(&name, "%s.json", role) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the name of a role");
    struct hf_role_file file = {
        .role = role,
        .announced = hf_snapshot_find(c->trusted.snapshot, (const char *)name.data),
        .max_bytes = HF_TARGETS_BYTES_MAX,
        .offer = offer_targets,
        .delegator = delegator,
    };
    hf_buf_free(&name);
    if (file.announced == NULL)
        return hf_fail(why, HF_E_NOT_FOUND, "snapshot version %lld does not list %.64s.json",
                       (long long)c->trusted.snapshot->env.version, role);
    return hf_role_file_obtain(c, &file, why);
}
