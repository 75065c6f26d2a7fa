/* client/port/mbedtls/generations.c: a swap between any two instructions of a reader. A thread
 * beside it would have to be quicker than the reader's next instruction; a signal handler comes in
 * anywhere. */
#include "tests/support/check.h"

#include "client/port/mbedtls/generations.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#define SWAPS 5000

static struct {
    struct hf_generations generations;
    struct hf_anchors *spare[SWAPS];
    _Atomic unsigned n_swaps, n_reads, n_missing;
} s;

/* A swap would wait for a reader that has announced itself, and that one does not go on before the
 * handler is done. The reader allocates nothing, so the handler may. */
static void swap_here(int signal)
{
    (void)signal;
    if (s.n_swaps < SWAPS && s.generations.slots[0].readers == 0 &&
        s.generations.slots[1].readers == 0)
        hf_generations_swap_take(&s.generations, s.spare[s.n_swaps++]);
}

static void *read_until_all_are_swapped(void *ctx)
{
    (void)ctx;
    while (s.n_swaps < SWAPS) {
        unsigned pin;
        if (hf_generations_pin(&s.generations, &pin) == NULL)
            s.n_missing++;
        hf_generations_unpin(&s.generations, pin);
        s.n_reads++;
    }
    return NULL;
}

static struct hf_anchors *empty_generation(void)
{
    struct hf_anchors *generation = NULL;
    CHECK_OK(hf_anchors_new(NULL, 0, &generation, NULL));
    return generation;
}

static void a_reader_never_gets_a_generation_that_is_gone(void **state)
{
    (void)state;
    const struct sigaction swap_on_signal = {.sa_handler = swap_here};
    pthread_t reader;
    for (size_t i = 0; i < SWAPS; i++)
        s.spare[i] = empty_generation();
    hf_generations_init(&s.generations, empty_generation());
    assert_int_equal(sigaction(SIGUSR1, &swap_on_signal, NULL), 0);
    assert_int_equal(pthread_create(&reader, NULL, read_until_all_are_swapped, NULL), 0);
    while (s.n_swaps < SWAPS) {
        (void)pthread_kill(reader, SIGUSR1);
        (void)nanosleep(&(struct timespec){.tv_nsec = 10000}, NULL);
    }
    assert_int_equal(pthread_join(reader, NULL), 0);
    print_message("%u swaps in %u reads\n", s.n_swaps, s.n_reads);
    assert_int_equal(s.n_missing, 0);
    hf_generations_free(&s.generations);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_never_gets_a_generation_that_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
