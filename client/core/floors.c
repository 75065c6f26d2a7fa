
#include "client/core/client_internal.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- whose keys ------------------------------------------------------------------------------ */

static int compare_keys(const void *a, const void *b)
{
    const struct hf_key *x = *(const struct hf_key *const *)a;
    const struct hf_key *y = *(const struct hf_key *const *)b;
    size_t common = x->public_key_len < y->public_key_len ? x->public_key_len : y->public_key_len;
    int order = memcmp(x->public_key, y->public_key, common);
    if (order != 0)
        return order;
    return (x->public_key_len > y->public_key_len) - (x->public_key_len < y->public_key_len);
}

/* Keys that verify something; those of unknown schemes do not count. */
static size_t known_keys(const struct hf_root *root, const struct hf_role *role,
                         const struct hf_key *out[HF_ROLE_KEYS_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < role->n_key_ids && n < HF_ROLE_KEYS_MAX; i++) {
        const struct hf_key *key = hf_keyring_find(&root->ring, role->key_ids[i]);
        if (key != NULL && key->public_key != NULL)
            out[n++] = key;
    }
    return n;
}

static enum hf_err append_key(struct hf_buf *out, const struct hf_key *key)
{
    /* The length first, so that two keys in a row cannot read as two others. */
    uint8_t len[4] = {(uint8_t)(key->public_key_len >> 24), (uint8_t)(key->public_key_len >> 16),
                      (uint8_t)(key->public_key_len >> 8), (uint8_t)key->public_key_len};
    HF_TRY(hf_buf_append(out, len, sizeof len));
    return hf_buf_append(out, key->public_key, key->public_key_len);
}

enum hf_err hf_role_keys_identity(const struct hf_root *root, enum hf_top_role role,
                                  char out[HF_SHA256_HEX_LEN], struct hf_why *why)
{
    const struct hf_key *keys[HF_ROLE_KEYS_MAX];
    struct hf_buf all = {0};
    enum hf_err err = HF_OK;

    size_t n = known_keys(root, &root->roles[role], keys);
    qsort(keys, n, sizeof keys[0], compare_keys);
    for (size_t i = 0; i < n && err == HF_OK; i++) {
        bool is_repeated = i > 0 && compare_keys(&keys[i - 1], &keys[i]) == 0;
        if (!is_repeated)
            err = append_key(&all, keys[i]);
    }
    if (err == HF_OK)
        hf_sha256_hex(hf_buf_bytes(&all), out);
    hf_buf_free(&all);
    return err == HF_OK ? HF_OK : hf_fail(why, err, "out of memory while comparing keys");
}

/* ---- the bundles' ---------------------------------------------------------------------------- */

/* The set that the device began with has the plain names of values, any other one a suffix. */
#define FLOOR_OF "bundle.of" /* that set, "SET/PROFILE"; empty until another one is chosen */
#define VALUE_NAME_MAX 64    /* of the store */

static enum hf_err find_suffix(struct hf_client *c, const char *set, const char *profile,
                               char out[HF_FLOOR_SUFFIX_MAX], struct hf_why *why)
{
    struct hf_buf first = {0};
    char ours[2 * HF_SET_NAME_MAX + 2], hex[HF_SHA256_HEX_LEN];

    HF_TRY(hf_value_load(c, FLOOR_OF, &first, why));
    (void)snprintf(ours, sizeof ours, "%s/%s", set, profile);
    hf_sha256_hex(hf_bytes_of_text(ours), hex);
    if (first.len == 0 || strcmp((const char *)first.data, ours) == 0)
        out[0] = '\0';
    else
        (void)snprintf(out, HF_FLOOR_SUFFIX_MAX, ".%.32s", hex);
    hf_buf_free(&first);
    return HF_OK;
}

/* "bundle.floor", say, and the suffix. */
struct value_name {
    char text[VALUE_NAME_MAX + 1];
};
static struct value_name name_of(const char *plain, const char *suffix)
{
    struct value_name name;

    (void)snprintf(name.text, sizeof name.text, "%s%s", plain, suffix);
    return name;
}

static enum hf_err keep_floors(struct hf_client *c, struct hf_why *why)
{
    char ours[2 * HF_SET_NAME_MAX + 2];

    if (!hf_value_is(c, FLOOR_OF, ""))
        return HF_OK;
    (void)snprintf(ours, sizeof ours, "%s/%s", c->set, c->profile);
    return hf_value_save(c, FLOOR_OF, ours, why);
}

enum hf_err hf_client_keep_floors(struct hf_client *client, struct hf_why *why)
{
    struct hf_why own = {0};
    return hf_report(why, &own, keep_floors(client, &own));
}

/* Versions in decimal with single spaces between them. */
static bool parse_rejected(const char *text, struct hf_bundle_floor *out)
{
    while (*text != '\0') {
        char *end = NULL;
        long long version = strtoll(text, &end, 10);
        if (end == text || (*end != ' ' && *end != '\0') || out->n_rejected == HF_REJECTED_MAX)
            return false;
        out->rejected[out->n_rejected++] = version;
        text = *end == ' ' ? end + 1 : end;
    }
    return true;
}

static enum hf_err load_rejected(struct hf_client *c, struct hf_bundle_floor *out,
                                 struct hf_why *why)
{
    struct hf_buf text = {0};
    enum hf_err err = HF_OK;

    HF_TRY(hf_value_load(c, name_of("bundle.rejected", out->suffix).text, &text, why));
    if (!parse_rejected((const char *)text.data, out))
        err = hf_fail(why, HF_E_STORAGE,
                      "expected the stored value 'bundle.rejected' to be at most %d version "
                      "numbers, found \"%s\"",
                      HF_REJECTED_MAX, (const char *)text.data);
    hf_buf_free(&text);
    return err;
}

enum hf_err hf_bundle_floor_load(struct hf_client *c, const char *set, const char *profile,
                                 struct hf_bundle_floor *out, struct hf_why *why)
{
    struct hf_bundle_floor floor = {0};
    struct hf_buf keys = {0};

    HF_TRY(hf_role_keys_identity(c->trusted.root, HF_ROLE_TARGETS, floor.keys, why));
    HF_TRY(find_suffix(c, set, profile, floor.suffix, why));
    HF_TRY(hf_value_load(c, name_of("bundle.keys", floor.suffix).text, &keys, why));
    floor.is_new = strcmp((const char *)keys.data, floor.keys) != 0;
    hf_buf_free(&keys);
    if (!floor.is_new) {
        HF_TRY(hf_value_load_integer(c, name_of("bundle.floor", floor.suffix).text, 0,
                                     &floor.version, why));
        HF_TRY(load_rejected(c, &floor, why));
    }
    *out = floor;
    return HF_OK;
}

bool hf_bundle_floor_rejects(const struct hf_bundle_floor *floor, int64_t version)
{
    for (size_t i = 0; i < floor->n_rejected; i++) {
        if (floor->rejected[i] == version)
            return true;
    }
    return version < floor->version;
}

/* The oldest one makes room: the floor has long risen above it. */
static const char *room_for_one_more(const char *rejected)
{
    size_t n = rejected[0] != '\0';
    for (const char *at = rejected; *at != '\0'; at++)
        n += *at == ' ';
    const char *second = strchr(rejected, ' ');
    return n >= HF_REJECTED_MAX && second != NULL ? second + 1 : rejected;
}

static enum hf_err reject(struct hf_client *c, const struct hf_bundle_record *active,
                          struct hf_why *why)
{
    struct hf_buf text = {0};
    struct hf_buf more = {0};
    char suffix[HF_FLOOR_SUFFIX_MAX];

    HF_TRY(find_suffix(c, active->set, active->profile, suffix, why));
    struct value_name name = name_of("bundle.rejected", suffix);
    HF_TRY(hf_value_load(c, name.text, &text, why));
    const char *before = room_for_one_more((const char *)text.data);
    enum hf_err err = hf_buf_printf(&more, "%s%s%" PRId64, before, before[0] != '\0' ? " " : "",
                                    active->version);
    err = err == HF_OK ? hf_value_save(c, name.text, (const char *)more.data, why)
                       : hf_fail(why, err, "out of memory for the rejected versions");
    hf_buf_free(&more);
    hf_buf_free(&text);
    return err;
}

enum hf_err hf_bundle_reject_active(struct hf_client *c, struct hf_why *why)
{
    struct hf_bundle_record active = {0};

    enum hf_err err = c->ports.store.load_bundle(c->ports.store.ctx, HF_SLOT_ACTIVE, &active, why);
    if (err == HF_OK)
        err = reject(c, &active, why);
    hf_bundle_record_free(&active);
    return err;
}

enum hf_err hf_bundle_floor_raise(struct hf_client *c, const struct hf_bundle_floor *floor,
                                  int64_t version, struct hf_why *why)
{
    if (floor->is_new) {
        HF_TRY(hf_value_save(c, name_of("bundle.keys", floor->suffix).text, floor->keys, why));
        HF_TRY(hf_value_save(c, name_of("bundle.rejected", floor->suffix).text, "", why));
    }
    if (!floor->is_new && version <= floor->version)
        return HF_OK;
    return hf_value_save_integer(c, name_of("bundle.floor", floor->suffix).text, version, why);
}

/* ---- the clock's ----------------------------------------------------------------------------- */

/*
 * The clock floor: the lowest time this device believes. Signed times raise it, in two parts:
 *
 *   root's      stays
 *   targets'    belongs to the targets keys that root names, and goes with them
 *
 * so that a stolen targets key that signed "in 2050" is cured like everything else it did: by a root
 * that names other keys.
 */

#ifndef HF_BUILD_TIME_S
#define HF_BUILD_TIME_S 0
#endif

/* Root and targets are signed at least once a year: a clock that is further ahead than this of
 * everything signed that was seen, right after asking the repository, is more likely to be wrong
 * than the repository is to be abandoned. */
#define CLOCK_FAR_AHEAD_S (400 * HF_DAY_S)

static void settle(struct hf_client *c)
{
    int64_t floor_s = HF_BUILD_TIME_S;
    if (c->root_floor_s > floor_s)
        floor_s = c->root_floor_s;
    if (c->targets_floor_s > floor_s)
        floor_s = c->targets_floor_s;
    c->clock_floor_s = floor_s;
    c->ports.trust.set_clock_floor(c->ports.trust.ctx, floor_s);
}

/* "SECONDS KEYS"; whose keys it was is as much part of it as the time. */
static bool parse_targets_floor(const char *text, struct hf_client *c)
{
    char *end = NULL;
    long long floor_s = strtoll(text, &end, 10);
    if (end == text || *end != ' ' || strlen(end + 1) != sizeof c->targets_floor_keys - 1)
        return false;
    c->targets_floor_s = floor_s;
    memcpy(c->targets_floor_keys, end + 1, sizeof c->targets_floor_keys);
    return true;
}

static enum hf_err load_targets_floor(struct hf_client *c, struct hf_why *why)
{
    struct hf_buf text = {0};
    enum hf_err err = HF_OK;

    HF_TRY(hf_value_load(c, "clock.targets", &text, why));
    if (text.len > 0 && !parse_targets_floor((const char *)text.data, c))
        err = hf_fail(why, HF_E_STORAGE,
                      "expected the stored value 'clock.targets' to be a time and a key identity, "
                      "found \"%s\"",
                      (const char *)text.data);
    hf_buf_free(&text);
    return err;
}

void hf_clock_floor_load(struct hf_client *c)
{
    struct hf_why why = {0};

    if (hf_value_load_integer(c, "clock.floor", 0, &c->root_floor_s, &why) != HF_OK)
        hf_log(c, HF_LEVEL_WARNING, "the clock floor cannot be read: %s", why.text);
    if (load_targets_floor(c, &why) != HF_OK)
        hf_log(c, HF_LEVEL_WARNING, "the clock floor cannot be read: %s", why.text);
    settle(c);
}

/* How far a signed time is believed. A clock at or above the floor may well be right, and a publisher
 * whose clock runs ahead must not take devices with it; one below the floor knows nothing. */
static int64_t believed_s(const struct hf_client *c, int64_t signed_at_s)
{
    int64_t own_s = hf_client_clock_s(c);
    return own_s >= c->clock_floor_s && own_s < signed_at_s ? own_s : signed_at_s;
}

/* Keys that root does not name any more do not count for the time either. */
static enum hf_err forget_former_targets(struct hf_client *c, struct hf_why *why)
{
    char keys[HF_SHA256_HEX_LEN];

    HF_TRY(hf_role_keys_identity(c->trusted.root, HF_ROLE_TARGETS, keys, why));
    if (c->targets_floor_s == 0 || strcmp(keys, c->targets_floor_keys) == 0)
        return HF_OK;
    HF_TRY(hf_value_save(c, "clock.targets", "", why));
    c->targets_floor_s = 0;
    return HF_OK;
}

enum hf_err hf_clock_floor_learn_root(struct hf_client *c, struct hf_why *why)
{
    HF_TRY(forget_former_targets(c, why));
    settle(c);
    int64_t time_s = believed_s(c, hf_envelope_signed_at(&c->trusted.root->env));
    if (time_s > c->root_floor_s) {
        HF_TRY(hf_value_save_integer(c, "clock.floor", time_s, why));
        c->root_floor_s = time_s;
    }
    settle(c);
    return HF_OK;
}

enum hf_err hf_clock_floor_learn_targets(struct hf_client *c, struct hf_why *why)
{
    const struct hf_targets *targets = hf_trusted_set_top_targets(&c->trusted);
    int64_t time_s = believed_s(c, hf_envelope_signed_at(&targets->env));
    char keys[HF_SHA256_HEX_LEN];
    char text[HF_SHA256_HEX_LEN + 24];

    if (time_s <= c->clock_floor_s) /* HF_TIME_NONE too: it is below every time */
        return HF_OK;
    HF_TRY(hf_role_keys_identity(c->trusted.root, HF_ROLE_TARGETS, keys, why));
    (void)snprintf(text, sizeof text, "%" PRId64 " %s", time_s, keys);
    HF_TRY(hf_value_save(c, "clock.targets", text, why));
    c->targets_floor_s = time_s;
    memcpy(c->targets_floor_keys, keys, sizeof c->targets_floor_keys);
    settle(c);
    return HF_OK;
}

void hf_clock_doubt(const struct hf_client *c, struct hf_why *why)
{
    int64_t now_s = hf_client_now_s(c);
    char now[HF_TIME_TEXT_MAX], newest[HF_TIME_TEXT_MAX];

    if (now_s - c->clock_floor_s <= CLOCK_FAR_AHEAD_S)
        return;
    hf_time_format_day(now_s, now);
    hf_time_format_day(c->clock_floor_s, newest);
    (void)hf_fail_context(why,
                          "this device's clock says %s, far ahead of the newest signed time it has "
                          "seen (%s), so the clock may be wrong",
                          now, newest);
}
