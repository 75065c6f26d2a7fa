#include "client/port/mbedtls/clock.h"

#include <holdfast/trust_store.h>

#include <mbedtls/platform_time.h>

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

static _Atomic int64_t fixed_s = INT64_MIN; /* INT64_MIN: not set */
static _Atomic int64_t floor_s = INT64_MIN;

int64_t hf_mbedtls_clock_now_s(void)
{
    int64_t fixed = atomic_load(&fixed_s);
    if (fixed != INT64_MIN)
        return fixed;
    int64_t now = (int64_t)time(NULL);
    int64_t lowest = atomic_load(&floor_s);
    return now < lowest ? lowest : now;
}

static mbedtls_time_t time_for_mbedtls(mbedtls_time_t *out)
{
    mbedtls_time_t now = hf_mbedtls_clock_now_s(); /* 64 bits: trust_store.h sees to it */
    if (out != NULL)
        *out = now;
    return now;
}

static void install(void)
{
    (void)mbedtls_platform_set_time(time_for_mbedtls); /* stores the pointer, cannot fail */
}

void hf_mbedtls_clock_install(void)
{
    /* Once, because threads that are verifying read the pointer without a lock. */
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, install);
}

void hf_trust_store_set_clock_floor(int64_t lowest_s)
{
    int64_t known_s = atomic_load(&floor_s);

    hf_mbedtls_clock_install();
    /* A second state that knows less must not take away what the first one has learned. */
    while (known_s < lowest_s && !atomic_compare_exchange_weak(&floor_s, &known_s, lowest_s))
        ;
}

void hf_trust_store_set_clock(int64_t now_s)
{
    hf_mbedtls_clock_install();
    atomic_store(&fixed_s, now_s);
}
