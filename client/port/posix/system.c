#include "client/port/posix/system.h"

#include "common/os/clock.h"

#include <sodium.h>
#include <time.h>

static int64_t now_s(void *ctx)
{
    struct timespec now = {0};

    (void)ctx;
    /* Cannot fail for CLOCK_REALTIME; 1970 would be raised to the clock floor anyway. */
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec;
}

static int64_t uptime_ms(void *ctx)
{
    (void)ctx;
    return hf_monotonic_ms();
}

struct hf_clock_port hf_system_clock_port(void)
{
    return (struct hf_clock_port){.now_s = now_s, .uptime_ms = uptime_ms};
}

static void fill(void *ctx, void *out, size_t len)
{
    (void)ctx;
    randombytes_buf(out, len);
}

struct hf_random_port hf_system_random_port(void)
{
    return (struct hf_random_port){.fill = fill};
}
