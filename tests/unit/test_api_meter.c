/* server/api/meter: so many at once, then one in each interval, however many others there are. */
#include "tests/support/check.h"

#include "server/api/meter.h"

#include <stdio.h>

static struct hf_meter meter;
static const struct hf_meter_rate rate = {.every_ms = 100, .burst = 5};

static int setup(void **state)
{
    (void)state;
    hf_meter_init(&meter);
    return 0;
}

static uint64_t take(const char *sender, uint64_t now_ms)
{
    return hf_meter_take(&meter, hf_bytes_of_text(sender), &rate, now_ms);
}

static void a_burst_passes_and_what_comes_faster_has_to_wait(void **state)
{
    (void)state;
    for (unsigned i = 0; i < rate.burst; i++)
        assert_int_equal(take("a", 1000), 0);
    assert_int_equal(take("a", 1000), 100);
    assert_int_equal(take("a", 1040), 60);
    assert_int_equal(take("a", 1100), 0);
    assert_int_equal(take("a", 1100), 100);
}

static void a_refused_request_counts_for_nothing(void **state)
{
    (void)state;
    for (unsigned i = 0; i < rate.burst; i++)
        assert_int_equal(take("a", 1000), 0);
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(take("a", 1050), 50);
    assert_int_equal(take("a", 1100), 0);
}

static void an_idle_sender_gets_its_burst_again_and_no_more(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 3; round++) {
        uint64_t now_ms = 1000 + round * UINT64_C(1000000);
        for (unsigned i = 0; i < rate.burst; i++)
            assert_int_equal(take("a", now_ms), 0);
        assert_int_not_equal(take("a", now_ms), 0);
    }
}

/* More senders than there are cells, each once, do not free one that floods. */
static void a_flood_is_not_forgotten_among_many_others(void **state)
{
    unsigned n_passed = 0;
    (void)state;
    for (unsigned i = 0; i < HF_API_METER_CELLS / 4; i++) {
        char other[32];
        (void)snprintf(other, sizeof other, "other-%u", i);
        assert_int_equal(take(other, 1000), 0);
        n_passed += take("flood", 1000) == 0;
    }
    assert_int_equal(n_passed, rate.burst);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_burst_passes_and_what_comes_faster_has_to_wait, setup),
        cmocka_unit_test_setup(a_refused_request_counts_for_nothing, setup),
        cmocka_unit_test_setup(an_idle_sender_gets_its_burst_again_and_no_more, setup),
        cmocka_unit_test_setup(a_flood_is_not_forgotten_among_many_others, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
