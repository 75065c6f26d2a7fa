/* TUF 5.1 to 5.6: root, timestamp, snapshot and targets, each saved as soon as it is verified. */
#include "client/core/refresh.h"

#include "common/base/percent.h"

#include <stdio.h>
#include <string.h>

/* ---- receipts -------------------------------------------------------------------------------- */

/*
 * Receipts (common/tuf/receipts.h) in the store, as `metadata.verified`: a check that finds nothing
 * new verifies no signature again.
 *
 * They say the version of this program, since an update of it may mend how signatures are verified:
 * what the one before let pass is verified again.
 */

#define PREFIX HF_VERSION " "

void hf_verified_parse(const char *text, struct hf_receipts *out)
{
    *out = (struct hf_receipts){0};
    if (strncmp(text, PREFIX, sizeof PREFIX - 1) == 0)
        hf_receipts_parse(text + sizeof PREFIX - 1, out);
}

void hf_verified_load(struct hf_client *c, struct hf_receipts *out)
{
    struct hf_buf value = {0};
    struct hf_why why = {0};

    *out = (struct hf_receipts){0};
    if (hf_value_load(c, HF_VERIFIED_NAME, &value, &why) != HF_OK) {
        hf_log(c, HF_LEVEL_WARNING, "all signatures are verified again: %s", why.text);
        return;
    }
    hf_verified_parse((const char *)value.data, out);
    hf_buf_free(&value);
}

enum hf_err hf_verified_write(struct hf_client *c, struct hf_why *why)
{
    struct hf_receipts receipts;
    char text[sizeof PREFIX - 1 + HF_RECEIPTS_TEXT_SIZE] = PREFIX;

    if (!hf_trusted_set_receipts(&c->trusted, &receipts))
        return HF_OK;
    hf_receipts_format(&receipts, text + sizeof PREFIX - 1);
    return hf_value_change(c, HF_VERIFIED_NAME, text, why);
}

/* ---- root, TUF 5.3 --------------------------------------------------------------------------- */

static enum hf_err load_root(struct hf_client *c, struct hf_why *why)
{
    const struct hf_store_port *store = &c->ports.store;
    struct hf_receipts known;
    struct hf_buf root = {0};

    hf_trusted_set_free(&c->trusted);
    hf_verified_load(c, &known);
    enum hf_err err = store->load_metadata(store->ctx, "root", &root, why);
    if (err == HF_OK)
        err = hf_trusted_set_resume(&c->trusted, hf_buf_bytes(&root), hf_client_now_s(c), &known,
                                    why);
    if (err != HF_OK)
        (void)hf_fail_context(why, "the root metadata held by this device");
    if (err == HF_OK)
        err = hf_trusted_set_shed(&c->trusted, why);
    hf_buf_free(&root);
    return err;
}

static enum hf_err write_root(struct hf_client *c, const void *arg, struct hf_why *why)
{
    const struct hf_store_port *store = &c->ports.store;
    const struct hf_response *answer = arg;
    int64_t version = c->trusted.root->env.version;
    char text[80];

    HF_TRY(store->save_metadata(store->ctx, "root", version, hf_buf_bytes(&answer->body), why));
    if (c->trusted.online_keys_rotated) {
        HF_TRY(store->remove_metadata(store->ctx, "timestamp", why));
        HF_TRY(store->remove_metadata(store->ctx, "snapshot", why));
    }
    (void)snprintf(text, sizeof text, "root metadata %lld -> %lld", (long long)version - 1,
                   (long long)version);
    return hf_journal(c, HF_LEVEL_INFO, "root", text, why);
}

/* 5.3.4 to 5.3.8, and 5.3.11 in the same transaction: after a power cut between the two, the
 * rotation of keys would be forgotten. */
static enum hf_err accept_root(struct hf_client *c, void *arg, const struct hf_response *answer,
                               struct hf_why *why)
{
    (void)arg;
    enum hf_err err = hf_trusted_set_update_root(&c->trusted, hf_buf_bytes(&answer->body), why);
    HF_TRY(hf_mirror_blame_answer(err, why));
    return hf_store_transact(c, write_root, answer, why);
}

/* HF_E_NOT_FOUND: the repository has no newer one. */
static enum hf_err fetch_next_root(struct hf_client *c, enum hf_walk_end end, struct hf_why *why)
{
    char path[64];
    struct hf_fetch fetch = {.path = path,
                             .max_bytes = HF_ROOT_BYTES_MAX,
                             .missing = end == HF_WALK_TAKES_ONE_WORD ? HF_MISSING_ENDS
                                                                      : HF_MISSING_IS_FINE,
                             .accept = accept_root};
    (void)snprintf(path, sizeof path, "metadata/%lld.root.json",
                   (long long)c->trusted.root->env.version + 1);
    return hf_mirrors_fetch(c, &fetch, why);
}

static enum hf_err walk(struct hf_client *c, enum hf_walk_end end, struct hf_why *why)
{
    enum hf_err err = HF_OK;
    for (int i = 0; i < HF_ROOT_ROTATIONS_MAX && err == HF_OK; i++)
        err = fetch_next_root(c, end, why);
    /* When all were asked, one that answers badly does not outweigh one that says there is none. */
    if (end == HF_WALK_ASKS_ALL && hf_mirror_is_to_blame(err))
        err = HF_OK;
    return err == HF_E_NOT_FOUND ? HF_OK : err;
}

/* Only the holders of the root keys can help then, and they may not know what to do. */
static enum hf_err end_roots(struct hf_client *c, struct hf_why *why)
{
    long long version = (long long)c->trusted.root->env.version;
    enum hf_err err = hf_trusted_set_end_roots(&c->trusted, why);
    if (err == HF_E_EXPIRED)
        (void)hf_fail_context(why,
                              "publishing the next root metadata, %lld.root.json, signed with the "
                              "root keys of version %lld, cures this",
                              version + 1, version);
    return err;
}

enum hf_err hf_root_walk(struct hf_client *c, enum hf_walk_end end, struct hf_why *why)
{
    HF_TRY(load_root(c, why));
    HF_TRY(walk(c, end, why));
    HF_TRY(hf_clock_floor_learn_root(c, why));
    /* What the new root taught about time counts at once: a mirror that withholds must not pass an
     * old timestamp to a device whose clock stands still. */
    c->trusted.now_s = hf_client_now_s(c);
    return end_roots(c, why);
}

/* ---- what is held already -------------------------------------------------------------------- */

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

/* ---- what is fetched ------------------------------------------------------------------------- */

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

/* ---- targets, top-level and delegated -------------------------------------------------------- */

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

/* ---- timestamp, 5.4 -------------------------------------------------------------------------- */

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

/* Metadata does not say how often it is re-signed. One that has been here for more than half of
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

/* ---- snapshot, 5.5 --------------------------------------------------------------------------- */

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

/* ---- the whole ------------------------------------------------------------------------------- */

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
