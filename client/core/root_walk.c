#include "client/core/client_internal.h"

#include <stdio.h>
#include <string.h>

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

/* 5.3.4 to 5.3.8, and 5.3.11 in the same transaction: were the power cut between the two, nobody
 * would know any more that keys were rotated. */
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

/* Nobody but the holders of the root keys can help then, and they may not know what to do. */
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
