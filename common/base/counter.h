/* Numbers for monitoring, which only grow. One thread counts; any thread reads, and sees each
 * number whole. */
#ifndef HF_BASE_COUNTER_H
#define HF_BASE_COUNTER_H

#include <stdatomic.h>
#include <stdint.h>

typedef atomic_uint_fast64_t hf_counter;

/** Only one thread adds to a counter, so this needs no locked instruction. */
static inline void hf_count(hf_counter *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static inline uint64_t hf_counted(const hf_counter *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

#endif
