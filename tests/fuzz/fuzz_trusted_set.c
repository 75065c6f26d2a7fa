/*
 * common/tuf/trusted_set: a sequence of files by a scripted publisher (publisher.h) who signs
 * anything with any keys. Further letters, for what the device is given:
 *
 *     0 1C 2C 3   the file of a role as the publisher stands; C odd: a cached one
 *     N           the next root version, then fed
 *     4NN         a delegated role, by a delegator
 *     wR…         the bytes … as the file of R
 *     E           the roots end
 *     K           the device restarts from the root it holds, with the receipts of the last set
 *                 that was whole
 *     tRR         the receipt of the second role takes the place of the first one's
 *
 * What is accepted was signed, which is counted here once more and without the code under test; it
 * follows on what was trusted; and what is refused leaves the set as it was.
 */
#include "tests/fuzz/publisher.h"

#include "common/base/limits.h"
#include "common/json/json.h"
#include "common/tuf/trusted_set.h"

#include <sodium.h>

#define STEPS_MAX 64

struct world {
    struct fuzz_publisher publisher;
    struct hf_trusted_set set;
    struct hf_buf root; /* the file of set.root */
    struct hf_receipts receipts;
    struct hf_why why;
};

/* ---- who has signed? ------------------------------------------------------------------------- */

/* The bytes of a member that is hexadecimal digits, exactly `len` of them. */
static bool read_hex(const json_t *object, const char *name, unsigned char *out, size_t len)
{
    size_t found = 0;
    const char *hex = json_string_value(json_object_get(object, name));
    return hex != NULL && sodium_hex2bin(out, len, hex, strlen(hex), NULL, &found, NULL) == 0 &&
           found == len;
}

static bool verifies(const unsigned char point[32], const json_t *signatures, const char *key_id,
                     const struct hf_buf *message)
{
    unsigned char signature[64];
    size_t index;
    json_t *entry;
    json_array_foreach(signatures, index, entry)
    {
        const char *id = json_string_value(json_object_get(entry, "keyid"));
        if (id != NULL && strcmp(id, key_id) == 0)
            return read_hex(entry, "sig", signature, sizeof signature) &&
                   crypto_sign_verify_detached(signature, message->data, message->len, point) == 0;
    }
    return false;
}

/* Distinct public keys among `ids` that have signed, by what they are and not by their names. */
static json_int_t count_signers(const json_t *keys, const json_t *ids, const json_t *signatures,
                                const struct hf_buf *message)
{
    unsigned char points[HF_ROLE_KEYS_MAX][32];
    json_int_t n = 0;
    size_t index;
    json_t *id;
    json_array_foreach(ids, index, id)
    {
        const json_t *key = json_object_get(keys, json_string_value(id));
        bool is_new = n < HF_ROLE_KEYS_MAX &&
                      read_hex(json_object_get(key, "keyval"), "public", points[n], 32) &&
                      verifies(points[n], signatures, json_string_value(id), message);
        for (json_int_t i = 0; i < n && is_new; i++)
            is_new = memcmp(points[i], points[n], 32) != 0;
        n += is_new;
    }
    return n;
}

/* `keys` and `role` as in metadata. */
static bool is_signed(const json_t *keys, const json_t *role, struct hf_bytes file)
{
    struct hf_buf message = {0};
    json_t *envelope = json_loadb((const char *)file.data, file.len, 0, NULL);
    const json_t *part = json_object_get(envelope, "signed");
    json_int_t n = 0;
    if (part != NULL && hf_json_canonical(part, &message, NULL) == HF_OK)
        n = count_signers(keys, json_object_get(role, "keyids"),
                          json_object_get(envelope, "signatures"), &message);
    hf_buf_free(&message);
    json_decref(envelope);
    return n >= json_integer_value(json_object_get(role, "threshold"));
}

static bool is_signed_for(const struct hf_root *root, enum hf_top_role role, struct hf_bytes file)
{
    const json_t *part = root->env.signed_part;
    return is_signed(json_object_get(part, "keys"),
                     json_object_get(json_object_get(part, "roles"), hf_top_role_name(role)), file);
}

static bool is_signed_for_delegation(const struct hf_targets *delegator, const char *name,
                                     struct hf_bytes file)
{
    const json_t *delegations = json_object_get(delegator->env.signed_part, "delegations");
    size_t index;
    json_t *role;
    json_array_foreach(json_object_get(delegations, "roles"), index, role)
    {
        if (strcmp(json_string_value(json_object_get(role, "name")), name) == 0)
            return is_signed(json_object_get(delegations, "keys"), role, file);
    }
    return false;
}

/* ---- the device ------------------------------------------------------------------------------ */

static bool is_same(const struct hf_trusted_set *a, const struct hf_trusted_set *b)
{
    return a->root == b->root && a->timestamp == b->timestamp && a->snapshot == b->snapshot &&
           a->n_targets == b->n_targets && a->roots_ended == b->roots_ended &&
           a->online_keys_rotated == b->online_keys_rotated &&
           a->snapshot_is_announced == b->snapshot_is_announced;
}

static void check_refused(const struct world *w, const struct hf_trusted_set *before,
                          enum hf_err err, enum hf_origin origin)
{
    fuzz_check_refusal(err, &w->why);
    if (origin == HF_FETCHED)
        FUZZ_CHECK(is_same(&w->set, before));
}

static void feed_root(struct world *w, struct hf_bytes file)
{
    struct hf_trusted_set before = w->set;
    int64_t version = w->set.root->env.version;
    bool is_by_old = is_signed_for(w->set.root, HF_ROLE_ROOT, file);

    enum hf_err err = hf_trusted_set_update_root(&w->set, file, &w->why);
    if (err != HF_OK) {
        check_refused(w, &before, err, HF_FETCHED);
        return;
    }
    FUZZ_CHECK(w->set.root->env.version == version + 1 && !before.roots_ended);
    FUZZ_CHECK(is_by_old && is_signed_for(w->set.root, HF_ROLE_ROOT, file));
    FUZZ_CHECK(w->set.online_keys_rotated || !before.online_keys_rotated);
    hf_buf_free(&w->root);
    FUZZ_OK(hf_buf_append(&w->root, file.data, file.len), &w->why);
}

static void feed_timestamp(struct world *w, struct hf_bytes file, enum hf_origin origin)
{
    struct hf_trusted_set before = w->set;
    int64_t version = before.timestamp == NULL ? 0 : before.timestamp->env.version;
    int64_t named = before.timestamp == NULL ? 0 : before.timestamp->snapshot.version;

    enum hf_err err = hf_trusted_set_update_timestamp(&w->set, file, origin, &w->why);
    if (err != HF_OK)
        check_refused(w, &before, err, origin);
    if (w->set.timestamp == before.timestamp)
        return;
    const struct hf_timestamp *now = w->set.timestamp;
    FUZZ_CHECK(is_signed_for(w->set.root, HF_ROLE_TIMESTAMP, file));
    FUZZ_CHECK(now->env.version > version && now->snapshot.version >= named);
    FUZZ_CHECK((err == HF_OK) == (now->env.expires_s > w->set.now_s));
    FUZZ_CHECK(origin == HF_FETCHED || !w->set.online_keys_rotated);
}

static void feed_snapshot(struct world *w, struct hf_bytes file, enum hf_origin origin)
{
    struct hf_trusted_set before = w->set;
    enum hf_err err = hf_trusted_set_update_snapshot(&w->set, file, origin, &w->why);
    if (err != HF_OK)
        check_refused(w, &before, err, origin);
    if (w->set.snapshot == before.snapshot)
        return;
    const struct hf_snapshot *now = w->set.snapshot;
    FUZZ_CHECK(is_signed_for(w->set.root, HF_ROLE_SNAPSHOT, file));
    FUZZ_CHECK(origin == HF_FETCHED || !w->set.online_keys_rotated);
    if (err != HF_OK)
        return;
    FUZZ_CHECK(now->env.version == w->set.timestamp->snapshot.version);
    FUZZ_CHECK(now->env.expires_s > w->set.now_s && w->set.snapshot_is_announced);
    FUZZ_CHECK(w->set.timestamp->env.expires_s > w->set.now_s);
}

static void check_targets(const struct world *w, const struct hf_trusted_targets *now,
                          struct hf_bytes file)
{
    char name[HF_TARGET_PATH_MAX];
    struct hf_why why = {0};
    snprintf(name, sizeof name, "%s.json", now->role);
    const struct hf_file_info *info = hf_snapshot_find(w->set.snapshot, name);
    FUZZ_CHECK(info != NULL && info->version == now->targets.env.version);
    FUZZ_OK(hf_file_info_verify(info, file, name, &why), &why);
    FUZZ_CHECK(now->targets.env.expires_s > w->set.now_s);
    if (now->delegator == NULL)
        FUZZ_CHECK(is_signed_for(w->set.root, HF_ROLE_TARGETS, file));
    else
        FUZZ_CHECK(is_signed_for_delegation(&now->delegator->targets, now->role, file));
    FUZZ_OK(hf_trusted_set_snapshot_is_final(&w->set, &why), &why);
}

static void feed_targets(struct world *w, struct hf_bytes file, const char *role,
                         const struct hf_trusted_targets *delegator)
{
    struct hf_trusted_set before = w->set;
    enum hf_err err = hf_trusted_set_update_targets(&w->set, file, role, delegator, &w->why);
    if (err != HF_OK) {
        check_refused(w, &before, err, HF_FETCHED);
        return;
    }
    FUZZ_CHECK(w->set.n_targets == before.n_targets + 1);
    check_targets(w, w->set.targets[before.n_targets], file);
}

static void feed_delegated(struct world *w, struct fuzz_input *in)
{
    const struct tuf_repo *repo = &w->publisher.repo;
    struct hf_buf file = {0};
    if (repo->n_delegated == 0 || w->set.n_targets == 0)
        return;
    const struct tuf_delegated_role *role = &repo->delegated[fuzz_below(in, repo->n_delegated)];
    size_t by = fuzz_below(in, w->set.n_targets);
    tuf_repo_build_delegated(repo, role, &file);
    feed_targets(w, hf_buf_bytes(&file), role->name, w->set.targets[by]);
    hf_buf_free(&file);
}

/* ---- the script ------------------------------------------------------------------------------ */

static void feed(struct world *w, enum hf_top_role role, struct hf_bytes file,
                 struct fuzz_input *in)
{
    enum hf_origin origin = HF_FETCHED;
    if (role == HF_ROLE_TIMESTAMP || role == HF_ROLE_SNAPSHOT)
        origin = fuzz_byte(in) % 2 == 1 ? HF_CACHED : HF_FETCHED;
    if (role == HF_ROLE_ROOT)
        feed_root(w, file);
    else if (role == HF_ROLE_TIMESTAMP)
        feed_timestamp(w, file, origin);
    else if (role == HF_ROLE_SNAPSHOT)
        feed_snapshot(w, file, origin);
    else
        feed_targets(w, file, "targets", NULL);
}

static void feed_built(struct world *w, enum hf_top_role role, struct fuzz_input *in)
{
    struct hf_buf file = {0};
    fuzz_publisher_build(&w->publisher, role, &file);
    feed(w, role, hf_buf_bytes(&file), in);
    hf_buf_free(&file);
}

static void start_anew(struct world *w)
{
    (void)hf_trusted_set_receipts(&w->set, &w->receipts);
    hf_trusted_set_free(&w->set);
    FUZZ_OK(hf_trusted_set_resume(&w->set, hf_buf_bytes(&w->root), FUZZ_NOW_S, &w->receipts,
                                  &w->why),
            &w->why);
}

static void transpose(struct world *w, struct fuzz_input *in)
{
    enum hf_top_role to = fuzz_role(in);
    memmove(w->receipts.of[to], w->receipts.of[fuzz_role(in)], HF_SHA256_LEN);
}

static void step(struct world *w, struct fuzz_input *in)
{
    uint8_t letter = fuzz_byte(in);
    if (fuzz_publisher_do(&w->publisher, letter, in))
        return;
    if (letter >= '0' && letter <= '3') {
        feed_built(w, (enum hf_top_role)(letter - '0'), in);
    } else if (letter == 'N') {
        w->publisher.repo.roles[HF_ROLE_ROOT].version = w->set.root->env.version + 1;
        feed_built(w, HF_ROLE_ROOT, in);
    } else if (letter == '4') {
        feed_delegated(w, in);
    } else if (letter == 'w') {
        enum hf_top_role role = fuzz_role(in);
        feed(w, role, fuzz_section(in), in);
    } else if (letter == 'K') {
        start_anew(w);
    } else if (letter == 't') {
        transpose(w, in);
    } else if (letter == 'E') {
        enum hf_err err = hf_trusted_set_end_roots(&w->set, &w->why);
        FUZZ_CHECK((err == HF_OK) == (w->set.root->env.expires_s > w->set.now_s));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world w;
    struct fuzz_input in = {data, size};
    w.why = (struct hf_why){0};
    w.receipts = (struct hf_receipts){0};
    fuzz_publisher_init(&w.publisher);
    fuzz_reset_random();
    fuzz_publisher_build(&w.publisher, HF_ROLE_ROOT, &w.root);
    FUZZ_OK(hf_trusted_set_init(&w.set, hf_buf_bytes(&w.root), FUZZ_NOW_S, &w.why), &w.why);
    for (int i = 0; i < STEPS_MAX && in.len > 0; i++)
        step(&w, &in);
    FUZZ_CHECK(hf_trusted_set_signed_at(&w.set) < INT64_C(253402300799));
    hf_trusted_set_free(&w.set);
    hf_buf_free(&w.root);
    fuzz_publisher_free(&w.publisher);
    return 0;
}
