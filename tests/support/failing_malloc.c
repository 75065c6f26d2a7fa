#include "tests/support/failing_malloc.h"

#include <jansson.h>

#include <stdlib.h>

/* Names that the linker makes of --wrap=malloc and so on. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);

static bool is_counting;
static unsigned n_asked, fail_at;
static enum failing fail_how;

static bool must_fail(void)
{
    if (!is_counting)
        return false;
    n_asked++;
    return n_asked == fail_at || (n_asked > fail_at && fail_how == FAILING_FROM_THEN_ON);
}

void *__wrap_malloc(size_t size)
{
    return must_fail() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return must_fail() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return must_fail() ? NULL : __real_realloc(old, size);
}

/* jansson is a shared library: what it asks for passes no linker. */
static void *malloc_for_jansson(size_t size)
{
    return __wrap_malloc(size);
}

void failing_malloc_init(void)
{
    json_set_alloc_funcs(malloc_for_jansson, free);
}

void failing_malloc_begin(unsigned n, enum failing how)
{
    n_asked = 0;
    fail_at = n;
    fail_how = how;
    is_counting = true;
}

bool failing_malloc_end(void)
{
    is_counting = false;
    return n_asked >= fail_at;
}
