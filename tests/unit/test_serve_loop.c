/* server/serve/loop: a loop that does not run is not alive, which is what the watchdog hears. */
#include "tests/support/check.h"

#include "server/serve/loop.h"

#include <sched.h>
#include <stdlib.h>

struct world {
    struct hf_loop loop;
    struct hf_address_count *addresses;
};

static struct world *make_world(void)
{
    struct world *w = calloc(1, sizeof *w);
    struct hf_why why = {.text = ""};
    struct hf_listener listener;
    union hf_peer address;
    assert_non_null(w);
    w->addresses = hf_address_count_new(1);
    assert_non_null(w->addresses);
    const struct hf_loop_config config = {.connections_max = 1, .addresses = w->addresses};
    CHECK_OK(hf_address_parse("127.0.0.1:0", &address, &why));
    CHECK_OK(hf_listener_open(&listener, &address, true, &why));
    CHECK_OK(hf_loop_init_take(&w->loop, &listener, &config, &why));
    return w;
}

static void end_world(struct world *w)
{
    hf_loop_stop(&w->loop);
    hf_loop_join(&w->loop);
    free(w->addresses);
    free(w);
}

static void a_loop_that_runs_is_alive(void **state)
{
    (void)state;
    struct hf_why why = {.text = ""};
    struct world *w = make_world();
    CHECK_OK(hf_loop_start(&w->loop, &why));
    for (int i = 0; i < 3; i++)
        while (!hf_loop_is_alive(&w->loop)) /* the test's own time limit ends it otherwise */
            (void)sched_yield();
    end_world(w);
}

static void a_loop_that_hangs_is_not(void **state)
{
    (void)state;
    struct hf_why why = {.text = ""};
    struct world *w = make_world();
    assert_true(hf_loop_is_alive(&w->loop)); /* it was not asked before */
    for (int i = 0; i < 3; i++)
        assert_false(hf_loop_is_alive(&w->loop));
    CHECK_OK(hf_loop_start(&w->loop, &why)); /* and is again when it goes on */
    while (!hf_loop_is_alive(&w->loop))
        (void)sched_yield();
    end_world(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loop_that_runs_is_alive),
        cmocka_unit_test(a_loop_that_hangs_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
