#include "tests/support/fake_ports.h"

#include "common/base/digest.h"
#include "tests/support/check.h"

#include <string.h>

static int64_t clock_now_s(void *ctx)
{
    const struct fake_ports *fake = ctx;
    return fake->now_s;
}

static int64_t clock_uptime_ms(void *ctx)
{
    const struct fake_ports *fake = ctx;
    return fake->uptime_ms;
}

static void random_fill(void *ctx, void *out, size_t len)
{
    const struct fake_ports *fake = ctx;
    uint8_t *bytes = out;
    for (size_t i = 0; i < len; i++)
        bytes[i] = ((const uint8_t *)&fake->random)[i % sizeof fake->random];
}

static void log_write(void *ctx, enum hf_level level, const char *text)
{
    struct fake_ports *fake = ctx;
    (void)level;
    assert_null(strchr(text, '\n'));
    CHECK_OK(hf_buf_printf(&fake->log.text, "%s\n", text));
}

static enum hf_err trust_swap(void *ctx, const struct hf_trust_anchor *anchors, size_t n_anchors,
                              struct hf_why *why)
{
    struct fake_ports *fake = ctx;
    struct fake_trust *trust = &fake->trust;
    const size_t max = sizeof trust->sha256 / sizeof trust->sha256[0];

    assert_false(fake->store.is_power_off);
    if (trust->refuse_swap != HF_OK)
        return hf_fail(why, trust->refuse_swap, "the trust store takes nothing");
    trust->n_swaps++;
    trust->n_anchors = n_anchors;
    for (size_t i = 0; i < n_anchors && i < max; i++) {
        hf_sha256_hex(anchors[i].der, trust->sha256[i]);
        trust->distrust_after_s[i] = anchors[i].distrust_after_s;
        trust->remove_after_s[i] = anchors[i].remove_after_s;
    }
    return HF_OK;
}

static void trust_set_clock_floor(void *ctx, int64_t floor_s)
{
    struct fake_ports *fake = ctx;
    fake->trust.clock_floor_s = floor_s;
}

void fake_ports_init(struct fake_ports *fake, int64_t now_s)
{
    *fake = (struct fake_ports){.now_s = now_s};
}

void fake_ports_free(struct fake_ports *fake)
{
    fake_store_free(&fake->store);
    fake_transport_free(&fake->transport);
    hf_buf_free(&fake->log.text);
}

struct hf_ports fake_ports_of(struct fake_ports *fake)
{
    return (struct hf_ports){
        .transport = fake_transport_port(&fake->transport),
        .store = fake_store_port(&fake->store),
        .clock = {fake, clock_now_s, clock_uptime_ms},
        .random = {fake, random_fill},
        .log = {fake, log_write},
        .trust = {fake, trust_swap, trust_set_clock_floor},
        .endpoints = fake_endpoints_port(&fake->endpoints, &fake->now_s),
    };
}

bool fake_log_has(const struct fake_ports *fake, const char *part)
{
    return fake->log.text.data != NULL && strstr((const char *)fake->log.text.data, part) != NULL;
}

bool fake_trust_has(const struct fake_trust *trust, const char *sha256)
{
    for (size_t i = 0; i < trust->n_anchors && i < sizeof trust->sha256 / sizeof trust->sha256[0];
         i++) {
        if (strcmp(trust->sha256[i], sha256) == 0)
            return true;
    }
    return false;
}
