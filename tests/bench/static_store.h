/* A store port in static arrays, which allocates nothing: the heap that is measured over it is the
 * library's. There is one, it is empty at the start, and it keeps no journal. */
#ifndef HF_TESTS_BENCH_STATIC_STORE_H
#define HF_TESTS_BENCH_STATIC_STORE_H

#include <holdfast/port.h>

struct hf_store_port static_store_port(void);

#endif
