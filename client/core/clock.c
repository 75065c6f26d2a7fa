/* The device's time: its clock, but never below its floor, which signed times raise. */
#include "client/core/client_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef HF_BUILD_TIME_S
#define HF_BUILD_TIME_S 0
#endif

/* Root and targets are signed at least once a year: a clock that is further ahead than this of
 * every signed time that was seen, right after asking the repository, is more likely to be wrong
 * than the repository is to be abandoned. */
#define CLOCK_FAR_AHEAD_S (400 * HF_DAY_S)

/* 9999-12-31T23:59:59Z, the last that a text can say: whatever a clock claims, sums with it stay
 * far from the end of the numbers. */
#define CLOCK_MAX_S INT64_C(253402300799)

int64_t hf_client_clock_s(const struct hf_client *c)
{
    int64_t now_s = c->ports.clock.now_s(c->ports.clock.ctx);
    return now_s < CLOCK_MAX_S ? now_s : CLOCK_MAX_S;
}

int64_t hf_client_now_s(const struct hf_client *c)
{
    int64_t now_s = hf_client_clock_s(c);
    return now_s > c->clock_floor_s ? now_s : c->clock_floor_s;
}

int64_t hf_client_uptime_ms(const struct hf_client *c)
{
    const struct hf_clock_port *clock = &c->ports.clock;
    return clock->uptime_ms != NULL ? clock->uptime_ms(clock->ctx) : 0;
}

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

enum hf_err hf_role_keys_identity(const struct hf_root *root, enum hf_top_role role,
                                  char out[HF_SHA256_HEX_LEN], struct hf_why *why)
{
    const struct hf_role *of = &root->roles[role];
    const struct hf_key *keys[HF_ROLE_KEYS_MAX] = {0};
    struct hf_buf all = {0};
    enum hf_err err = HF_OK;
    size_t n = 0;

    /* Keys of unknown schemes verify nothing and do not count. */
    for (size_t i = 0; i < of->n_key_ids && n < HF_ROLE_KEYS_MAX; i++) {
        const struct hf_key *key = hf_keyring_find(&root->ring, of->key_ids[i]);
        if (key != NULL && key->public_key != NULL)
            keys[n++] = key;
    }
    qsort(keys, n, sizeof keys[0], compare_keys);
    for (size_t i = 0; i < n && err == HF_OK; i++) {
        if (i > 0 && compare_keys(&keys[i - 1], &keys[i]) == 0)
            continue;
        /* The length first, so that two keys in a row cannot read as two others. */
        const size_t len = keys[i]->public_key_len;
        const uint8_t prefix[4] = {(uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
                                   (uint8_t)len};
        err = hf_buf_append(&all, prefix, sizeof prefix);
        if (err == HF_OK)
            err = hf_buf_append(&all, keys[i]->public_key, len);
    }
    if (err == HF_OK)
        hf_sha256_hex(hf_buf_bytes(&all), out);
    hf_buf_free(&all);
    return err == HF_OK ? HF_OK : hf_fail(why, err, "out of memory while comparing keys");
}

void hf_clock_floor_apply(struct hf_client *c)
{
    struct hf_clock_state *clock = &c->state.clock;

    /* No signed time is that late. With such a floor all metadata would have expired for ever. */
    if (clock->root_s > CLOCK_MAX_S)
        clock->root_s = 0;
    if (clock->targets_s > CLOCK_MAX_S || strlen(clock->targets_keys) != HF_SHA256_HEX_LEN - 1)
        clock->targets_s = 0; /* or it is not known whose time it is */
    c->clock_floor_s = HF_BUILD_TIME_S;
    if (clock->root_s > c->clock_floor_s)
        c->clock_floor_s = clock->root_s;
    if (clock->targets_s > c->clock_floor_s)
        c->clock_floor_s = clock->targets_s;
    c->ports.trust.set_clock_floor(c->ports.trust.ctx, c->clock_floor_s);
}

/* How far a signed time is believed. A clock at or above the floor may well be right, and a
 * publisher whose clock runs ahead must not take devices with it; one below the floor knows
 * nothing. */
static int64_t believed_s(const struct hf_client *c, int64_t signed_at_s)
{
    int64_t own_s = hf_client_clock_s(c);
    return own_s >= c->clock_floor_s && own_s < signed_at_s ? own_s : signed_at_s;
}

enum hf_err hf_clock_floor_learn_root(struct hf_client *c, struct hf_why *why)
{
    struct hf_clock_state *clock = &c->state.clock;
    char keys[HF_SHA256_HEX_LEN];

    /* Keys that root does not name any more do not count for the time either. */
    HF_TRY(hf_role_keys_identity(c->trusted.root, HF_ROLE_TARGETS, keys, why));
    if (strcmp(keys, clock->targets_keys) != 0)
        clock->targets_s = 0;
    hf_clock_floor_apply(c);
    const int64_t time_s = believed_s(c, hf_envelope_signed_at(&c->trusted.root->env));
    if (time_s > clock->root_s)
        clock->root_s = time_s;
    hf_clock_floor_apply(c);
    return HF_OK;
}

enum hf_err hf_clock_floor_learn_targets(struct hf_client *c, struct hf_why *why)
{
    struct hf_clock_state *clock = &c->state.clock;
    const struct hf_targets *targets = hf_trusted_set_top_targets(&c->trusted);
    const int64_t time_s = believed_s(c, hf_envelope_signed_at(&targets->env));

    if (time_s <= c->clock_floor_s) /* HF_TIME_NONE too: it is below every time */
        return HF_OK;
    HF_TRY(hf_role_keys_identity(c->trusted.root, HF_ROLE_TARGETS, clock->targets_keys, why));
    clock->targets_s = time_s;
    hf_clock_floor_apply(c);
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
