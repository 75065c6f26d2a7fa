/* client/port/posix/runner: the loop in a thread of its own, poked and stopped from others. The
 * server is not there: every check ends at once, and none of that matters here. */
#include "tests/support/check.h"
#include "tests/support/state_folder.h"
#include "tests/support/temp_dir.h"

#include <holdfast/runner.h>

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#define POKERS 4
#define POKES 25

struct world {
    struct hf_posix *posix;
    struct hf_runner *runner;
    atomic_uint n_waits, n_begun, n_ended;
    atomic_int last_err;
    bool stops_when_it_begins;
};

/* ---- helpers --------------------------------------------------------------------------------- */

static void waits(void *ctx, const struct hf_next_check *next)
{
    struct world *w = ctx;
    (void)next;
    w->n_waits++;
}

static void begins(void *ctx)
{
    struct world *w = ctx;
    w->n_begun++;
    if (w->stops_when_it_begins)
        hf_runner_stop(w->runner);
}

static void ended(void *ctx, enum hf_err err, const struct hf_update_result *result,
                  const struct hf_why *why)
{
    struct world *w = ctx;
    (void)result;
    (void)why;
    w->last_err = (int)err;
    w->n_ended++;
}

static void begin(void **state, struct world *w, struct hf_runner_options options)
{
    const char *path = temp_path(*state, "device");
    struct hf_why why = {0};

    *w = (struct world){0};
    CHECK_OK(state_folder_make(path, &why));
    CHECK_OK(hf_posix_open(path, (struct hf_log_port){0}, &w->posix, &why));
    options.ctx = w;
    options.waits = waits;
    options.begins = begins;
    options.ended = ended;
    CHECK_OK(hf_runner_new(w->posix, &options, &w->runner, &why));
}

static void end(struct world *w)
{
    hf_runner_free(w->runner);
    hf_posix_close(w->posix);
}

static void *run(void *ctx)
{
    struct world *w = ctx;
    hf_runner_run(w->runner);
    return NULL;
}

static void *poker(void *ctx)
{
    struct world *w = ctx;
    for (int i = 0; i < POKES; i++) {
        hf_runner_poke(w->runner);
        (void)sched_yield();
    }
    return NULL;
}

/* The test's own time limit ends it if that never comes. */
static void wait_until(atomic_uint *count, unsigned wanted)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    while (atomic_load(count) < wanted)
        (void)nanosleep(&pause, NULL);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void no_poke_is_lost_and_a_stop_ends_it(void **state)
{
    struct world w;
    pthread_t loop, pokers[POKERS];

    begin(state, &w, (struct hf_runner_options){.is_on_demand = true});
    assert_int_equal(pthread_create(&loop, NULL, run, &w), 0);
    for (unsigned n = 0; n < 20;
         n++) { /* each one by itself is answered by a check that begins later */
        unsigned before = atomic_load(&w.n_begun);
        hf_runner_poke(w.runner);
        wait_until(&w.n_begun, before + 1);
    }
    wait_until(&w.n_ended, 20);
    for (size_t i = 0; i < POKERS; i++)
        assert_int_equal(pthread_create(&pokers[i], NULL, poker, &w), 0);
    for (size_t i = 0; i < POKERS; i++)
        assert_int_equal(pthread_join(pokers[i], NULL), 0);
    wait_until(&w.n_ended, 21);
    hf_runner_stop(w.runner);
    assert_int_equal(pthread_join(loop, NULL), 0);

    print_message("%u checks for %u pokes\n", w.n_ended, 20 + POKERS * POKES);
    assert_in_range(w.n_ended, 21, 20 + POKERS * POKES);
    assert_int_equal(w.n_begun, w.n_ended);
    assert_int_equal(w.last_err, HF_E_NETWORK);
    end(&w);
}

static int64_t cpu_time_ms(void)
{
    struct timespec used = {0};
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used), 0);
    return (int64_t)used.tv_sec * 1000 + used.tv_nsec / 1000000;
}

static void on_demand_means_not_by_itself_and_not_busy(void **state)
{
    const struct timespec pause = {.tv_nsec = 300000000};
    struct world w;
    pthread_t loop;

    begin(state, &w, (struct hf_runner_options){.is_on_demand = true});
    assert_int_equal(pthread_create(&loop, NULL, run, &w), 0);
    hf_runner_poke(w.runner);
    wait_until(&w.n_waits, 2);
    int64_t before_ms = cpu_time_ms();
    (void)nanosleep(&pause, NULL);
    assert_true(cpu_time_ms() - before_ms < 30);
    hf_runner_stop(w.runner);
    assert_int_equal(pthread_join(loop, NULL), 0);
    assert_int_equal(w.n_begun, 1);
    end(&w);
}

static void what_was_said_before_it_ran_counts(void **state)
{
    struct world w;
    pthread_t loop;

    begin(state, &w, (struct hf_runner_options){.is_on_demand = true});
    hf_runner_poke(w.runner);
    hf_runner_poke(w.runner);
    assert_int_equal(pthread_create(&loop, NULL, run, &w), 0);
    wait_until(&w.n_waits, 2);
    hf_runner_stop(w.runner);
    assert_int_equal(pthread_join(loop, NULL), 0);
    assert_int_equal(w.n_ended, 1);
    end(&w);
}

static void a_stop_that_came_first_leaves_nothing_to_run(void **state)
{
    struct world w;

    begin(state, &w, (struct hf_runner_options){.interval_s = 1});
    hf_runner_stop(w.runner);
    hf_runner_run(w.runner);
    assert_int_equal(w.n_waits, 0);
    assert_int_equal(w.n_begun, 0);
    end(&w);
}

static void a_stop_while_a_check_begins_is_before_it(void **state)
{
    struct world w;

    begin(state, &w, (struct hf_runner_options){.interval_s = 1});
    w.stops_when_it_begins = true;
    hf_runner_run(w.runner);
    assert_int_equal(w.n_begun, 1);
    assert_int_equal(w.n_ended, 0);
    end(&w);
}

static struct hf_runner *poked_by_signal;

static void on_signal(int signal_number)
{
    (void)signal_number;
    hf_runner_poke(poked_by_signal);
}

static void a_signal_handler_may_poke(void **state)
{
    struct sigaction action = {.sa_handler = on_signal};
    struct world w;
    pthread_t loop;

    begin(state, &w, (struct hf_runner_options){.is_on_demand = true});
    poked_by_signal = w.runner;
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    assert_int_equal(pthread_create(&loop, NULL, run, &w), 0);
    for (unsigned n = 1; n <= 20; n++) {
        assert_int_equal(pthread_kill(loop, SIGUSR1), 0); /* the very thread that waits or checks */
#ifdef __SANITIZE_THREAD__
        /* ThreadSanitizer may keep a signal until the thread calls something once more, or a signal
         * finds it waiting. */
        for (unsigned ms = 0; atomic_load(&w.n_ended) < n; ms++) {
            (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
            if (ms % 1000 == 999)
                assert_int_equal(pthread_kill(loop, SIGUSR1), 0);
        }
#endif
        wait_until(&w.n_ended, n);
    }
    hf_runner_stop(w.runner);
    assert_int_equal(pthread_join(loop, NULL), 0);
    end(&w);
}

static void options_that_exclude_each_other_are_refused(void **state)
{
    struct hf_runner *runner = NULL;
    struct hf_why why = {0};
    const struct hf_runner_options both = {.interval_s = 1, .is_on_demand = true};
    const struct hf_runner_options negative = {.interval_s = -1};

    (void)state;
    CHECK_REFUSED(hf_runner_new(NULL, &both, &runner, &why), HF_E_ARGUMENT, &why, "on demand");
    CHECK_REFUSED(hf_runner_new(NULL, &negative, &runner, &why), HF_E_ARGUMENT, &why, "interval");
    assert_null(runner);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, temp_dir_setup, temp_dir_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_poke_is_lost_and_a_stop_ends_it),
        TEST(on_demand_means_not_by_itself_and_not_busy),
        TEST(what_was_said_before_it_ran_counts),
        TEST(a_stop_that_came_first_leaves_nothing_to_run),
        TEST(a_stop_while_a_check_begins_is_before_it),
        TEST(a_signal_handler_may_poke),
        cmocka_unit_test(options_that_exclude_each_other_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
