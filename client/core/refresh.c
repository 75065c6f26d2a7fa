/*
 * TUF 5.1 to 5.6: root, timestamp, snapshot and targets. Each root is saved as soon as it is
 * verified, the three others together at the end of a refresh, also if a later one was refused.
 */
#include "client/core/refresh.h"

#include "common/base/percent.h"

#include <stdio.h>
#include <string.h>

/* One metadata file below root. */
struct role_file {
    enum hf_top_role kind;
    const char *role; /* names it in the store and, percent-encoded, in the repository */
    const struct hf_file_info *announced;       /* by its parent; NULL for timestamp */
    size_t max_bytes;                           /* if it is not announced with fewer */
    const struct hf_trusted_targets *delegator; /* of targets: in whose name; NULL for root's */
};

#define RECEIPTS_PREFIX HF_VERSION " "

void hf_receipts_of_value(const char *text, struct hf_receipts *out)
{
    *out = (struct hf_receipts){0};
    if (strncmp(text, RECEIPTS_PREFIX, sizeof RECEIPTS_PREFIX - 1) == 0)
        hf_receipts_parse(text + sizeof RECEIPTS_PREFIX - 1, out);
}

void hf_receipts_keep(struct hf_client *c, const struct hf_receipts *receipts)
{
    char text[HF_RECEIPTS_TEXT_SIZE];

    hf_receipts_format(receipts, text);
    (void)snprintf(c->state.receipts, sizeof c->state.receipts, RECEIPTS_PREFIX "%s", text);
}

/* ---- root, TUF 5.3 --------------------------------------------------------------------------- */

/* 5.3.4 to 5.3.8, and 5.3.11 in the same transaction: after a power cut between the two, the
 * rotation of keys would be forgotten. */
static enum hf_err accept_root(struct hf_client *c, void *arg, struct hf_response *answer,
                               struct hf_why *why)
{
    const struct hf_store_port *store = &c->ports.store;
    const struct hf_bytes file = hf_buf_bytes(&answer->body);
    char text[80];
    (void)arg;

    enum hf_err err = hf_trusted_set_update_root(&c->trusted, file, why);
    HF_TRY(hf_mirror_blame_answer(err, why));
    const int64_t version = c->trusted.root->env.version;
    HF_TRY(hf_state_begin(c, why));
    err = store->save_metadata(store->ctx, "root", version, file, why);
    if (err == HF_OK && c->trusted.online_keys_rotated)
        err = store->remove_metadata(store->ctx, "timestamp", why);
    if (err == HF_OK && c->trusted.online_keys_rotated)
        err = store->remove_metadata(store->ctx, "snapshot", why);
    (void)snprintf(text, sizeof text, "root metadata %lld -> %lld", (long long)version - 1,
                   (long long)version);
    if (err == HF_OK)
        err = hf_journal(c, HF_LEVEL_INFO, "root", text, why);
    return hf_state_end(c, err, why);
}

/* Every root metadata from the stored one to the newest. With `asks_all` no mirror alone can say
 * that there is no newer one. `c->trusted` is reset. */
static enum hf_err root_walk(struct hf_client *c, bool asks_all, struct hf_why *why)
{
    const struct hf_store_port *store = &c->ports.store;
    struct hf_receipts known;
    struct hf_buf root = {0};
    char path[64];

    hf_trusted_set_free(&c->trusted);
    c->has_asked_rollout = false;
    hf_receipts_of_value(c->state.receipts, &known);
    enum hf_err err = store->load_metadata(store->ctx, "root", &root, why);
    if (err == HF_OK)
        err = hf_trusted_set_resume(&c->trusted, hf_buf_bytes(&root), hf_client_now_s(c), &known,
                                    why);
    if (err != HF_OK)
        (void)hf_fail_context(why, "the root metadata held by this device");
    hf_buf_free(&root);
    HF_TRY(err);
    HF_TRY(hf_trusted_set_shed(&c->trusted, why));

    for (int i = 0; i < HF_ROOT_ROTATIONS_MAX && err == HF_OK; i++) {
        const struct hf_fetch next = {.path = path,
                                      .max_bytes = HF_ROOT_BYTES_MAX,
                                      .missing = asks_all ? HF_MISSING_IS_FINE : HF_MISSING_ENDS,
                                      .accept = accept_root};
        (void)snprintf(path, sizeof path, "metadata/%lld.root.json",
                       (long long)c->trusted.root->env.version + 1);
        err = hf_mirrors_fetch(c, &next, why);
    }
    /* If all were asked, one that answers badly does not outweigh one that says there is none. */
    if (err != HF_OK && err != HF_E_NOT_FOUND && !(asks_all && hf_mirror_is_to_blame(err)))
        return err;

    HF_TRY(hf_clock_floor_learn_root(c, why));
    /* What the new root taught about time counts at once: a mirror that withholds must not pass an
     * old timestamp to a device whose clock stands still. */
    c->trusted.now_s = hf_client_now_s(c);
    err = hf_trusted_set_end_roots(&c->trusted, why);
    if (err == HF_E_EXPIRED) { /* only the holders of the root keys can help, so tell them how */
        const long long version = (long long)c->trusted.root->env.version;
        (void)hf_fail_context(why,
                              "publishing the next root metadata, %lld.root.json, signed with the "
                              "root keys of version %lld, cures this",
                              version + 1, version);
    }
    return err;
}

/* ---- a file below root ----------------------------------------------------------------------- */

/* Hand it to the trusted set. */
static enum hf_err offer(struct hf_client *c, const struct role_file *file, struct hf_bytes bytes,
                         enum hf_origin origin, struct hf_why *why)
{
    if (file->kind == HF_ROLE_TIMESTAMP)
        return hf_trusted_set_update_timestamp(&c->trusted, bytes, origin, why);
    if (file->kind == HF_ROLE_SNAPSHOT)
        return hf_trusted_set_update_snapshot(&c->trusted, bytes, origin, why);
    /* One rule for cached and fetched: only what snapshot names (5.6.4). */
    return hf_trusted_set_update_targets(&c->trusted, bytes, file->role, file->delegator, why);
}

/* Offer the cached one, with the same checks as a fetched one. `*is_taken`: it is trusted and
 * final. What is returned is about the store. */
static enum hf_err offer_cached(struct hf_client *c, const struct role_file *file, bool *is_taken,
                                struct hf_why *why)
{
    const struct hf_store_port *store = &c->ports.store;
    struct hf_why refusal = {0};
    struct hf_buf bytes = {0};

    *is_taken = false;
    enum hf_err err = store->load_metadata(store->ctx, file->role, &bytes, why);
    if (err == HF_OK) {
        *is_taken = offer(c, file, hf_buf_bytes(&bytes), HF_CACHED, &refusal) == HF_OK;
        if (!*is_taken)
            hf_log(c, HF_LEVEL_DEBUG, "the cached %s is not used: %s", file->role, refusal.text);
    }
    hf_buf_free(&bytes);
    if (err == HF_OK)
        return hf_trusted_set_shed(&c->trusted, why);
    return err == HF_E_NOT_FOUND ? HF_OK : err;
}

/* It is saved at the end of the refresh. */
static void keep_unsaved(struct hf_client *c, enum hf_top_role kind, struct hf_response *answer)
{
    hf_buf_free(&c->unsaved[kind]);
    c->unsaved[kind] = answer->body;
    answer->body = (struct hf_buf){0};
}

static enum hf_err accept_announced(struct hf_client *c, void *arg, struct hf_response *answer,
                                    struct hf_why *why)
{
    const struct hf_store_port *store = &c->ports.store;
    const struct role_file *file = arg;
    const struct hf_bytes bytes = hf_buf_bytes(&answer->body);

    HF_TRY(hf_mirror_blame_answer(offer(c, file, bytes, HF_FETCHED, why), why));
    /* What was accepted has the version announced (5.5.4, 5.6.4). */
    if (file->delegator != NULL)
        return store->save_metadata(store->ctx, file->role, file->announced->version, bytes, why);
    keep_unsaved(c, file->kind, answer);
    return HF_OK;
}

/* The cached one if it is the one announced, else a fetched one (TUF 5.5, 5.6). */
static enum hf_err obtain_announced(struct hf_client *c, struct role_file *file, struct hf_why *why)
{
    struct hf_fetch fetch = {.max_bytes = file->max_bytes, .accept = accept_announced, .arg = file};
    const int64_t length = file->announced->length;
    struct hf_buf path = {0};
    bool is_cached = false;

    HF_TRY(offer_cached(c, file, &is_cached, why));
    if (is_cached)
        return HF_OK;
    if (length > 0 && (uint64_t)length < fetch.max_bytes)
        fetch.max_bytes = (size_t)length;
    /* 5.5.1, 5.6.1. A role's name may hold anything; in the path it is one segment. */
    enum hf_err err = hf_buf_append_text(&path, "metadata/");
    if (err == HF_OK && c->trusted.root->consistent_snapshot)
        err = hf_buf_printf(&path, "%lld.", (long long)file->announced->version);
    if (err == HF_OK)
        err = hf_percent_encode(file->role, "", &path);
    if (err == HF_OK)
        err = hf_buf_append_text(&path, ".json");
    fetch.path = (const char *)path.data;
    err = err == HF_OK ? hf_mirrors_fetch(c, &fetch, why)
                       : hf_fail(why, err, "out of memory for an address");
    hf_buf_free(&path);
    return err;
}

enum hf_err hf_targets_obtain(struct hf_client *c, const char *role,
                              const struct hf_trusted_targets *delegator, struct hf_why *why)
{
    struct hf_buf name = {0};

    if (hf_buf_printf(&name, "%s.json", role) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the name of a role");
    struct role_file file = {
        .kind = HF_ROLE_TARGETS,
        .role = role,
        .announced = hf_snapshot_find(c->trusted.snapshot, (const char *)name.data),
        .max_bytes = HF_TARGETS_BYTES_MAX,
        .delegator = delegator,
    };
    hf_buf_free(&name);
    if (file.announced == NULL)
        return hf_fail(why, HF_E_NOT_FOUND, "snapshot version %lld does not list %.64s.json",
                       (long long)c->trusted.snapshot->env.version, role);
    return obtain_announced(c, &file, why);
}

/* ---- timestamp, 5.4 -------------------------------------------------------------------------- */

/* An entity tag means something to the server that gave it. Sent to another one, it would tell
 * which device asks, and it could be the tag of what that has new, given out in advance to make it
 * answer "not modified". So with several mirrors there is none, and it is stored behind the hash of
 * the URL that it came from: under another one it is not used. An attacker who answers once in
 * place of the server could do the same: until a second answer has brought the same tag for the
 * same timestamp, it is stored behind a "?" and not sent. The timestamp is small. */
static void keep_etag(struct hf_client *c, const char *etag, bool is_same_timestamp)
{
    char url[HF_SHA256_HEX_LEN], text[sizeof c->state.etag - 1];
    const char *known = c->state.etag;

    hf_sha256_hex(hf_bytes_of_text(c->urls[0]), url);
    (void)snprintf(text, sizeof text, "%s %s", url, etag);
    bool is_repeated = is_same_timestamp && strcmp(known[0] == '?' ? known + 1 : known, text) == 0;
    if (c->n_urls != 1 || etag[0] == '\0')
        c->state.etag[0] = '\0';
    else
        (void)snprintf(c->state.etag, sizeof c->state.etag, "%s%s", is_repeated ? "" : "?", text);
}

static const char *find_etag(const struct hf_client *c)
{
    char url[HF_SHA256_HEX_LEN];
    const char *text = c->state.etag;
    const size_t len = sizeof url - 1;

    hf_sha256_hex(hf_bytes_of_text(c->urls[0]), url);
    if (c->n_urls != 1 || strncmp(text, url, len) != 0 || text[len] != ' ')
        return NULL;
    return text + len + 1;
}

static enum hf_err accept_timestamp(struct hf_client *c, void *arg, struct hf_response *answer,
                                    struct hf_why *why)
{
    (void)arg;

    if (answer->status == 304)
        return hf_trusted_set_timestamp_is_final(&c->trusted, why);
    enum hf_err err = hf_trusted_set_update_timestamp(&c->trusted, hf_buf_bytes(&answer->body),
                                                      HF_FETCHED, why);
    const bool is_same = err == HF_E_SAME_VERSION;
    if (err != HF_OK && !is_same)
        return hf_mirror_blame_answer(err, why);
    if (err == HF_OK) {
        c->state.timestamp_seen_s = c->trusted.now_s;
        keep_unsaved(c, HF_ROLE_TIMESTAMP, answer);
    } else { /* no news: what is trusted already must still be good for today */
        HF_TRY(hf_trusted_set_timestamp_is_final(&c->trusted, why));
    }
    keep_etag(c, answer->etag, is_same);
    return HF_OK;
}

/* Metadata does not say how often it is re-signed. One that has been here for more than half of the
 * life it then had left, or that will not live to the next check, is older than it should be. */
static bool timestamp_is_stale(const struct hf_client *c)
{
    int64_t expires_s = c->trusted.timestamp->env.expires_s;
    int64_t seen_s = c->state.timestamp_seen_s;
    int64_t now_s = c->trusted.now_s;

    return now_s - seen_s > (expires_s - seen_s) / 2 || expires_s - now_s < HF_CHECK_INTERVAL_MAX_S;
}

static enum hf_err refresh_timestamp(struct hf_client *c, struct hf_why *why)
{
    static const struct role_file timestamp = {.kind = HF_ROLE_TIMESTAMP, .role = "timestamp"};
    struct hf_fetch fetch = {.path = "metadata/timestamp.json",
                             .max_bytes = HF_TIMESTAMP_BYTES_MAX,
                             .is_stale = timestamp_is_stale,
                             .accept = accept_timestamp};
    bool is_cached = false;

    HF_TRY(offer_cached(c, &timestamp, &is_cached, why));
    if (c->state.timestamp_seen_s == HF_TIME_NONE)
        c->state.timestamp_seen_s = c->trusted.now_s;
    /* Only a cached one that would do may be the answer to "is there something new?" An attacker
     * who guesses the tag of a later file gets it answered with "not modified". That ends when the
     * cached timestamp is older than a maintained repository lets it become. */
    if (is_cached && !timestamp_is_stale(c))
        fetch.etag = find_etag(c);
    return hf_mirrors_fetch(c, &fetch, why);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static enum hf_err save_verified(struct hf_client *c, struct hf_why *why)
{
    const struct hf_trusted_set *t = &c->trusted;
    const struct hf_store_port *store = &c->ports.store;
    struct hf_buf *unsaved = c->unsaved;

    if (unsaved[HF_ROLE_TIMESTAMP].len == 0 && unsaved[HF_ROLE_SNAPSHOT].len == 0 &&
        unsaved[HF_ROLE_TARGETS].len == 0)
        return HF_OK;
    HF_TRY(hf_state_begin(c, why));
    enum hf_err err = HF_OK;
    if (unsaved[HF_ROLE_TIMESTAMP].len > 0)
        err = store->save_metadata(store->ctx, "timestamp", t->timestamp->env.version,
                                   hf_buf_bytes(&unsaved[HF_ROLE_TIMESTAMP]), why);
    if (err == HF_OK && unsaved[HF_ROLE_SNAPSHOT].len > 0)
        err = store->save_metadata(store->ctx, "snapshot", t->snapshot->env.version,
                                   hf_buf_bytes(&unsaved[HF_ROLE_SNAPSHOT]), why);
    if (err == HF_OK && unsaved[HF_ROLE_TARGETS].len > 0)
        err = store->save_metadata(store->ctx, "targets",
                                   hf_trusted_set_top_targets(t)->env.version,
                                   hf_buf_bytes(&unsaved[HF_ROLE_TARGETS]), why);
    return hf_state_end(c, err, why);
}

static enum hf_err refresh_below_root(struct hf_client *c, struct hf_why *why)
{
    struct hf_why unsaved = {0};

    enum hf_err err = refresh_timestamp(c, why);
    if (err == HF_OK) {
        struct role_file snapshot = {.kind = HF_ROLE_SNAPSHOT,
                                     .role = "snapshot",
                                     .announced = &c->trusted.timestamp->snapshot,
                                     .max_bytes = HF_SNAPSHOT_BYTES_MAX};
        err = obtain_announced(c, &snapshot, why);
    }
    if (err == HF_OK)
        err = hf_targets_obtain(c, "targets", NULL, why);
    if (err == HF_OK)
        err = hf_clock_floor_learn_targets(c, why);
    enum hf_err saved = save_verified(c, &unsaved);
    for (int role = 0; role < HF_TOP_ROLES; role++)
        hf_buf_free(&c->unsaved[role]);
    if (err != HF_OK || saved == HF_OK)
        return err;
    *why = unsaved;
    return saved;
}

enum hf_err hf_refresh(struct hf_client *c, struct hf_why *why)
{
    enum hf_err err = root_walk(c, false, why);
    if (err == HF_OK)
        err = refresh_below_root(c, why);
    /* A newer root would cure this. One mirror said that there is none; the others may know better,
     * and must not be locked out by the one that withholds it. */
    if ((err == HF_E_SIGNATURE || err == HF_E_EXPIRED) && c->n_urls > 1 &&
        c->trusted.root != NULL) {
        const int64_t version = c->trusted.root->env.version;
        const struct hf_why refusal = *why;
        err = root_walk(c, true, why);
        if (c->trusted.root == NULL || c->trusted.root->env.version <= version) {
            *why = refusal;
            err = refusal.code;
        } else if (err == HF_OK) {
            err = refresh_below_root(c, why);
        }
    }
    if (err == HF_E_EXPIRED)
        hf_clock_doubt(c, why);
    return err;
}
