/* The clock that no change of the time of day touches. */
#ifndef HF_OS_CLOCK_H
#define HF_OS_CLOCK_H

#include <stdint.h>
#include <time.h>

/** Milliseconds since some moment before the program began; stands still while the machine
 *  sleeps. */
static inline int64_t hf_monotonic_ms(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#endif
