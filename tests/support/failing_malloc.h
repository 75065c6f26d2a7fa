/*
 * Memory that runs out at a place of the test's choice, for tests named *_memory: they are linked
 * with --wrap for malloc, calloc and realloc, so it counts what our code and Mbed TLS ask for.
 * jansson asks here too, once failing_malloc_init has told it.
 */
#ifndef HF_TESTS_SUPPORT_FAILING_MALLOC_H
#define HF_TESTS_SUPPORT_FAILING_MALLOC_H

#include <stdbool.h>

enum failing { FAILING_ONCE, FAILING_FROM_THEN_ON };

void failing_malloc_init(void);

/** The `n`th allocation from now on gets nothing, or it and all that follow. */
void failing_malloc_begin(unsigned n, enum failing how);
/** Memory is there again. Did it come to the nth? */
bool failing_malloc_end(void);

#endif
