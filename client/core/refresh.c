#include "client/core/client_internal.h"

#include <string.h>

/* ---- timestamp, 5.4 ------------------------------------------------------------------------------ */

/* An entity tag means something to the server that gave it. Sent to another one, it would tell who
 * asks, and it could be the tag of what that has new, given out in advance to make it answer "not
 * modified". So with several mirrors there is none, and it is stored behind the URL that it came from:
 * under another one it is not used. The timestamp is small. */
static enum hf_err write_etag(struct hf_client *c, const char *etag, struct hf_why *why)
{
    struct hf_buf value = {0};
    enum hf_err err = HF_OK;

    if (c->n_urls != 1 || etag[0] == '\0')
        return hf_value_change(c, "etag.timestamp", "", why);
    if (hf_buf_printf(&value, "%s %s", c->urls[0], etag) == HF_OK)
        err = hf_value_change(c, "etag.timestamp", (const char *)value.data, why);
    else
        err = hf_fail(why, HF_E_MEMORY, "out of memory for an entity tag");
    hf_buf_free(&value);
    return err;
}

/* The entity tag in `value`, or NULL where it came from another URL than the only one of today. */
static const char *find_etag(const struct hf_client *c, const struct hf_buf *value)
{
    const char *text = value->len > 0 ? (const char *)value->data : "";
    size_t len = strlen(c->urls[0]);

    if (c->n_urls != 1 || strncmp(text, c->urls[0], len) != 0 || text[len] != ' ')
        return NULL;
    return text + len + 1;
}

static enum hf_err write_timestamp(struct hf_client *c, const void *arg, struct hf_why *why)
{
    const struct hf_store_port *store = &c->ports.store;
    const struct hf_response *answer = arg;
    HF_TRY(store->save_metadata(store->ctx, "timestamp", c->trusted.timestamp->env.version,
                                hf_buf_bytes(&answer->body), why));
    HF_TRY(hf_value_save_integer(c, "timestamp.seen", c->trusted.now_s, why));
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
    if (err == HF_OK) {
        c->timestamp_seen_s = c->trusted.now_s;
        return hf_store_transact(c, write_timestamp, answer, why);
    }
    if (err != HF_E_SAME_VERSION)
        return hf_mirror_blame_answer(err, why);
    /* No news. What is trusted already must still be good for today. */
    HF_TRY(hf_trusted_set_timestamp_is_final(&c->trusted, why));
    return write_etag(c, answer->etag, why);
}

/* Metadata does not say how often it is signed anew. One that has been here for more than half of
 * the life it then had left, or that will not live to the next check, is older than it should be. */
static bool timestamp_is_stale(const struct hf_client *c)
{
    int64_t expires_s = c->trusted.timestamp->env.expires_s;
    int64_t now_s = c->trusted.now_s;
    int64_t half_life_s = (expires_s - c->timestamp_seen_s) / 2;

    return now_s - c->timestamp_seen_s > half_life_s || expires_s - now_s < HF_CHECK_INTERVAL_MAX_S;
}

static enum hf_err offer_timestamp(struct hf_client *c, const struct hf_role_file *file,
                                   struct hf_bytes bytes, enum hf_origin origin, struct hf_why *why)
{
    (void)file;
    return hf_trusted_set_update_timestamp(&c->trusted, bytes, origin, why);
}

static enum hf_err fetch_timestamp(struct hf_client *c, bool has_cached, struct hf_why *why)
{
    struct hf_fetch fetch = {.path = "metadata/timestamp.json",
                             .max_bytes = HF_TIMESTAMP_BYTES_MAX,
                             .is_stale = timestamp_is_stale,
                             .accept = accept_timestamp};
    struct hf_buf etag = {0};

    HF_TRY(hf_value_load(c, "etag.timestamp", &etag, why));
    /* An attacker who guesses the tag of a later file gets it answered with "not modified". That ends
     * when the cached timestamp is older than a maintained repository lets it become. */
    if (has_cached && !timestamp_is_stale(c))
        fetch.etag = find_etag(c, &etag);
    enum hf_err err = hf_mirrors_fetch(c, &fetch, why);
    hf_buf_free(&etag);
    return err;
}

static enum hf_err refresh_timestamp(struct hf_client *c, struct hf_why *why)
{
    static const struct hf_role_file timestamp = {.role = "timestamp", .offer = offer_timestamp};
    enum hf_err cached = HF_E_NOT_FOUND;

    HF_TRY(hf_role_file_offer_cached(c, &timestamp, &cached, why));
    c->timestamp_seen_s = c->trusted.now_s; /* also where that value cannot be read */
    if (hf_value_load_integer(c, "timestamp.seen", c->trusted.now_s, &c->timestamp_seen_s, why) !=
        HF_OK)
        hf_log(c, HF_LEVEL_WARNING, "the timestamp's age is not known: %s", why->text);
    /* Only a cached one that would do may be the answer to "is there something new?" */
    return fetch_timestamp(c, cached == HF_OK, why);
}

/* ---- snapshot, 5.5 -------------------------------------------------------------------------------- */

static enum hf_err offer_snapshot(struct hf_client *c, const struct hf_role_file *file,
                                  struct hf_bytes bytes, enum hf_origin origin, struct hf_why *why)
{
    (void)file;
    return hf_trusted_set_update_snapshot(&c->trusted, bytes, origin, why);
}

static enum hf_err refresh_snapshot(struct hf_client *c, struct hf_why *why)
{
    struct hf_role_file snapshot = {.role = "snapshot",
                                    .announced = &c->trusted.timestamp->snapshot,
                                    .max_bytes = HF_SNAPSHOT_BYTES_MAX,
                                    .offer = offer_snapshot};
    return hf_role_file_obtain(c, &snapshot, why);
}

/* ---- the whole ------------------------------------------------------------------------------------ */

static enum hf_err refresh_below_root(struct hf_client *c, struct hf_why *why)
{
    HF_TRY(refresh_timestamp(c, why));
    HF_TRY(refresh_snapshot(c, why));
    HF_TRY(hf_targets_obtain(c, "targets", NULL, why));
    return hf_clock_floor_learn_targets(c, why);
}

static enum hf_err refresh_taking_one_word(struct hf_client *c, struct hf_why *why)
{
    HF_TRY(hf_root_walk(c, HF_WALK_TAKES_ONE_WORD, why));
    return refresh_below_root(c, why);
}

/* What newer root metadata would cure. One mirror said that there is none; the others may know
 * better, and must not be locked out by the one that withholds it. */
static bool may_be_withheld(const struct hf_client *c, enum hf_err err)
{
    bool is_curable = err == HF_E_SIGNATURE || err == HF_E_EXPIRED;
    return is_curable && c->n_urls > 1 && c->trusted.root != NULL;
}

static enum hf_err refresh_asking_all(struct hf_client *c, struct hf_why *why)
{
    int64_t version = c->trusted.root->env.version;
    struct hf_why refusal = *why;

    enum hf_err err = hf_root_walk(c, HF_WALK_ASKS_ALL, why);
    bool is_newer = c->trusted.root != NULL && c->trusted.root->env.version > version;
    if (!is_newer) {
        *why = refusal;
        return refusal.code;
    }
    return err == HF_OK ? refresh_below_root(c, why) : err;
}

enum hf_err hf_refresh(struct hf_client *c, struct hf_why *why)
{
    enum hf_err err = refresh_taking_one_word(c, why);
    if (may_be_withheld(c, err))
        err = refresh_asking_all(c, why);
    if (err == HF_E_EXPIRED)
        hf_clock_doubt(c, why);
    return err;
}
