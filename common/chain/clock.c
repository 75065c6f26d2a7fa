#include "common/chain/clock.h"

#include <mbedtls/platform_time.h>

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <threads.h>
#include <time.h>

static_assert(sizeof(mbedtls_time_t) == sizeof(int64_t), "a time of 32 bits ends in 2038");

static _Atomic int64_t fixed_s = INT64_MIN; /* not set */
static _Atomic int64_t lowest_s = INT64_MIN;

int64_t hf_chain_clock_now_s(void)
{
    int64_t fixed = atomic_load(&fixed_s);
    if (fixed != INT64_MIN)
        return fixed;
    int64_t now = (int64_t)time(NULL);
    int64_t lowest = atomic_load(&lowest_s);
    return now < lowest ? lowest : now;
}

static mbedtls_time_t time_for_mbedtls(mbedtls_time_t *out)
{
    mbedtls_time_t now = hf_chain_clock_now_s();
    if (out != NULL)
        *out = now;
    return now;
}

void hf_chain_clock_install(void)
{
    /* Once, because threads that are verifying read the pointer without a lock. */
    static _Atomic int is_begun, is_done;
    const struct timespec pause = {.tv_nsec = 100000};

    if (atomic_exchange(&is_begun, 1) == 0) {
        (void)mbedtls_platform_set_time(time_for_mbedtls); /* stores the pointer, cannot fail */
        atomic_store(&is_done, 1);
    }
    /* Another thread is about to store it. Sleeping, not spinning: that one may have a lower
     * priority on the same core. */
    while (atomic_load(&is_done) == 0)
        (void)thrd_sleep(&pause, NULL);
}

void hf_chain_clock_raise_floor(int64_t floor_s)
{
    int64_t known_s = atomic_load(&lowest_s);

    hf_chain_clock_install();
    while (known_s < floor_s && !atomic_compare_exchange_weak(&lowest_s, &known_s, floor_s))
        ;
}

void hf_chain_clock_set(int64_t now_s)
{
    hf_chain_clock_install();
    atomic_store(&fixed_s, now_s);
}
