#include "client/core/client_internal.h"

#include <stdio.h>
#include <string.h>

/* ---- what all roles share ---------------------------------------------------------------------- */

typedef enum hf_err (*offer_fn)(struct hf_client *c, struct hf_bytes file, struct hf_why *why);

/* Offer the cached file of a role to the trusted set, through the same door as a fetched one.
 * `*out` says what became of it, HF_E_NOT_FOUND where there is none. */
static enum hf_err offer_cached(struct hf_client *c, const char *role, offer_fn offer,
                                enum hf_err *out, struct hf_why *why)
{
    const struct hf_store_port *store = &c->ports.store;
    struct hf_why refusal = {0};
    struct hf_buf file = {0};

    enum hf_err err = store->load_metadata(store->ctx, role, &file, why);
    *out = err;
    if (err == HF_OK)
        *out = offer(c, hf_buf_bytes(&file), &refusal);
    if (err == HF_OK && *out != HF_OK)
        hf_log(c, HF_LEVEL_DEBUG, "the cached %s is not used: %s", role, refusal.text);
    hf_buf_free(&file);
    return err == HF_E_NOT_FOUND ? HF_OK : err;
}

static enum hf_err save(struct hf_client *c, const char *role, int64_t version,
                        const struct hf_response *answer, struct hf_why *why)
{
    const struct hf_store_port *store = &c->ports.store;
    return store->save_metadata(store->ctx, role, version, hf_buf_bytes(&answer->body), why);
}

/* 5.5, 5.6: a file announced with a version and, perhaps, a length. */
static enum hf_err fetch_announced(
    struct hf_client *c, const char *role, const struct hf_file_info *info, size_t max_bytes,
    enum hf_err (*accept)(struct hf_client *, void *, const struct hf_response *, struct hf_why *),
    struct hf_why *why)
{
    char path[64];
    struct hf_fetch fetch = {.path = path, .max_bytes = max_bytes, .accept = accept};

    if (info->length > 0 && (uint64_t)info->length < max_bytes)
        fetch.max_bytes = (size_t)info->length;
    if (c->trusted.root->consistent_snapshot)
        (void)snprintf(path, sizeof path, "metadata/%lld.%s.json", (long long)info->version, role);
    else
        (void)snprintf(path, sizeof path, "metadata/%s.json", role);
    return hf_mirrors_fetch(c, &fetch, why);
}

/* ---- timestamp, 5.4 ------------------------------------------------------------------------------ */

static enum hf_err write_etag(struct hf_client *c, const char *etag, struct hf_why *why)
{
    struct hf_buf stored = {0};
    HF_TRY(hf_value_load(c, "etag.timestamp", &stored, why));
    bool is_same = strcmp((const char *)stored.data, etag) == 0;
    hf_buf_free(&stored);
    return is_same ? HF_OK : hf_value_save(c, "etag.timestamp", etag, why);
}

static enum hf_err write_timestamp(struct hf_client *c, const void *arg, struct hf_why *why)
{
    const struct hf_response *answer = arg;
    HF_TRY(save(c, "timestamp", c->trusted.timestamp->env.version, answer, why));
    return write_etag(c, answer->etag, why);
}

static enum hf_err accept_timestamp(struct hf_client *c, void *arg,
                                    const struct hf_response *answer, struct hf_why *why)
{
    (void)arg;

    if (answer->status == 304)
        return hf_trusted_set_timestamp_is_final(&c->trusted, why);
    enum hf_err err = hf_trusted_set_update_timestamp(&c->trusted, hf_buf_bytes(&answer->body),
                                                      HF_FETCHED, why);
    if (err == HF_OK)
        return hf_store_transact(c, write_timestamp, answer, why);
    if (err != HF_E_SAME_VERSION)
        return err;
    /* No news. What is trusted already must still be good for today. */
    HF_TRY(hf_trusted_set_timestamp_is_final(&c->trusted, why));
    return write_etag(c, answer->etag, why);
}

static enum hf_err offer_timestamp(struct hf_client *c, struct hf_bytes file, struct hf_why *why)
{
    return hf_trusted_set_update_timestamp(&c->trusted, file, HF_CACHED, why);
}

static enum hf_err refresh_timestamp(struct hf_client *c, struct hf_why *why)
{
    struct hf_fetch fetch = {.path = "metadata/timestamp.json",
                             .max_bytes = HF_TIMESTAMP_BYTES_MAX,
                             .accept = accept_timestamp};
    struct hf_buf etag = {0};
    enum hf_err cached;

    HF_TRY(offer_cached(c, "timestamp", offer_timestamp, &cached, why));
    HF_TRY(hf_value_load(c, "etag.timestamp", &etag, why));
    /* Only a cached one that would do may be the answer to "is there something new?" */
    if (cached == HF_OK && etag.len > 0)
        fetch.etag = (const char *)etag.data;
    enum hf_err err = hf_mirrors_fetch(c, &fetch, why);
    hf_buf_free(&etag);
    return err;
}

/* ---- snapshot, 5.5 -------------------------------------------------------------------------------- */

static enum hf_err offer_snapshot(struct hf_client *c, struct hf_bytes file, struct hf_why *why)
{
    return hf_trusted_set_update_snapshot(&c->trusted, file, HF_CACHED, why);
}

static enum hf_err accept_snapshot(struct hf_client *c, void *arg, const struct hf_response *answer,
                                   struct hf_why *why)
{
    (void)arg;
    HF_TRY(
        hf_trusted_set_update_snapshot(&c->trusted, hf_buf_bytes(&answer->body), HF_FETCHED, why));
    return save(c, "snapshot", c->trusted.snapshot->env.version, answer, why);
}

static enum hf_err refresh_snapshot(struct hf_client *c, struct hf_why *why)
{
    enum hf_err cached;
    HF_TRY(offer_cached(c, "snapshot", offer_snapshot, &cached, why));
    if (cached == HF_OK)
        return HF_OK;
    return fetch_announced(c, "snapshot", &c->trusted.timestamp->snapshot, HF_SNAPSHOT_BYTES_MAX,
                           accept_snapshot, why);
}

/* ---- targets, 5.6 --------------------------------------------------------------------------------- */

static enum hf_err offer_targets(struct hf_client *c, struct hf_bytes file, struct hf_why *why)
{
    return hf_trusted_set_update_targets(&c->trusted, file, "targets", NULL, why);
}

static enum hf_err accept_targets(struct hf_client *c, void *arg, const struct hf_response *answer,
                                  struct hf_why *why)
{
    (void)arg;
    HF_TRY(offer_targets(c, hf_buf_bytes(&answer->body), why));
    const struct hf_targets *targets = hf_trusted_set_top_targets(&c->trusted);
    return save(c, "targets", targets->env.version, answer, why);
}

static enum hf_err refresh_targets(struct hf_client *c, struct hf_why *why)
{
    enum hf_err cached;
    HF_TRY(offer_cached(c, "targets", offer_targets, &cached, why));
    if (cached == HF_OK)
        return HF_OK;
    const struct hf_file_info *info = hf_snapshot_find(c->trusted.snapshot, "targets.json");
    if (info == NULL)
        return hf_fail(why, HF_E_NOT_FOUND, "snapshot version %lld does not list targets.json",
                       (long long)c->trusted.snapshot->env.version);
    return fetch_announced(c, "targets", info, HF_TARGETS_BYTES_MAX, accept_targets, why);
}

/* ---- the whole ------------------------------------------------------------------------------------ */

static enum hf_err refresh(struct hf_client *c, struct hf_why *why)
{
    HF_TRY(hf_root_walk(c, why));
    HF_TRY(refresh_timestamp(c, why));
    HF_TRY(refresh_snapshot(c, why));
    HF_TRY(refresh_targets(c, why));
    return hf_clock_floor_raise(c, hf_trusted_set_signed_at(&c->trusted), why);
}

enum hf_err hf_refresh(struct hf_client *c, struct hf_why *why)
{
    enum hf_err err = refresh(c, why);
    if (err == HF_E_EXPIRED)
        hf_clock_doubt(c, why);
    return err;
}
