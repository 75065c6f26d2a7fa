#include "tests/support/counting_malloc.h"

#include <malloc.h>

struct counting_heap counting_heap;

/* Names that the linker makes of --wrap. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
void __wrap_free(void *block);

static void *count_new(void *block)
{
    counting_heap.held_bytes += (int64_t)malloc_usable_size(block);
    counting_heap.n_blocks++;
    if (counting_heap.held_bytes > counting_heap.peak_bytes)
        counting_heap.peak_bytes = counting_heap.held_bytes;
    return block;
}

void *counting_malloc(size_t size)
{
    return count_new(__real_malloc(size));
}

/* The old block and the new one, as an allocator that has to move it holds both. */
void *counting_realloc(void *old, size_t size)
{
    int64_t old_bytes = (int64_t)malloc_usable_size(old);
    void *block = count_new(__real_realloc(old, size));
    counting_heap.held_bytes -= old_bytes;
    return block;
}

void counting_free(void *block)
{
    counting_heap.held_bytes -= (int64_t)malloc_usable_size(block);
    __real_free(block);
}

void *__wrap_malloc(size_t size)
{
    return counting_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return count_new(__real_calloc(n, size));
}

void *__wrap_realloc(void *old, size_t size)
{
    return counting_realloc(old, size);
}

void __wrap_free(void *block)
{
    counting_free(block);
}
