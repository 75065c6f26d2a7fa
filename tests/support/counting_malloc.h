/*
 * Counts the blocks that a program allocates, with the size that the allocator gives each
 * (malloc_usable_size). tests/CMakeLists.txt says which programs are linked with it: their calls of
 * malloc, calloc, realloc and free come here (--wrap). Those of shared libraries pass no linker;
 * give the libraries counting_malloc, counting_realloc and counting_free. Not for threads.
 */
#ifndef HF_TESTS_COUNTING_MALLOC_H
#define HF_TESTS_COUNTING_MALLOC_H

#include <stddef.h>
#include <stdint.h>

struct counting_heap {
    int64_t held_bytes;
    int64_t peak_bytes; /* the highest of `held_bytes`; a caller may set it back */
    size_t n_blocks;    /* allocated since a caller set it to 0 */
};
extern struct counting_heap counting_heap;

void *counting_malloc(size_t size);
void *counting_realloc(void *old, size_t size);
void counting_free(void *block);

#endif
