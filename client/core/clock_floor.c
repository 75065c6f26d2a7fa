/*
 * The clock floor: the lowest time this device believes. Signed times raise it, in two parts:
 *
 *   root's      stays
 *   targets'    belongs to the targets keys that root names, and goes with them
 *
 * so that a stolen targets key that signed "in 2050" is cured like everything else it did: by a root
 * that names other keys.
 */
#include "client/core/client_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef HF_BUILD_TIME_S
#define HF_BUILD_TIME_S 0
#endif

/* Root and targets are signed at least once a year: a clock that is further ahead than this of
 * everything signed that was seen, right after asking the repository, is more likely to be wrong
 * than the repository is to be abandoned. */
#define CLOCK_FAR_AHEAD_S (400 * HF_DAY_S)

/* 9999-12-31T23:59:59Z, the last that a text can say: whatever a clock claims, sums with it stay far
 * from the end of the numbers. */
#define CLOCK_MAX_S INT64_C(253402300799)

static int64_t own_clock_s(const struct hf_client *c)
{
    int64_t now_s = c->ports.clock.now_s(c->ports.clock.ctx);
    return now_s < CLOCK_MAX_S ? now_s : CLOCK_MAX_S;
}

int64_t hf_client_now_s(const struct hf_client *c)
{
    int64_t now_s = own_clock_s(c);
    return now_s > c->clock_floor_s ? now_s : c->clock_floor_s;
}

int64_t hf_client_uptime_ms(const struct hf_client *c)
{
    const struct hf_clock_port *clock = &c->ports.clock;
    return clock->uptime_ms != NULL ? clock->uptime_ms(clock->ctx) : 0;
}

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
                      "found '%s'",
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
    int64_t own_s = own_clock_s(c);
    return own_s >= c->clock_floor_s && own_s < signed_at_s ? own_s : signed_at_s;
}

/* Keys that root does not name any more have no say about time either. */
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
