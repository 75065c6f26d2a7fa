/* server/fleet/events: numbers, the ring, gaps, who sees what, and what a failed act leaves
 * (nothing). */
#include "tests/support/check.h"
#include "tests/support/fleet_world.h"

#include "common/json/json.h"
#include "server/fleet/events.h"

#include <stdio.h>
#include <stdlib.h>

#define SIZE (2u * HF_EVENT_BYTES_MAX)

struct world {
    struct hf_events *events;
    struct hf_directory *directory; /* accounts 1 "one" and 2 "two" */
    struct hf_effects effects;
    struct hf_tx tx;
    struct hf_why why;
    char text[SIZE + 1]; /* what `take` took */
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->tx = (struct hf_tx){.now_s = FLEET_NOW_S, .actor = "uid:0", .effects = &w->effects};
    CHECK_OK(hf_events_new(&w->events, &w->why));
    CHECK_OK(hf_directory_new(NULL, false, &w->directory, &w->why));
    CHECK_OK(hf_directory_add_account(w->directory, 1, "one", HF_ANONYMOUS_READ, &w->why));
    CHECK_OK(hf_directory_add_account(w->directory, 2, "two", HF_ANONYMOUS_READ, &w->why));
    CHECK_OK(hf_directory_finish(w->directory, &w->why));
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    hf_effects_free(&w->effects);
    hf_events_free(w->events);
    hf_directory_unref(w->directory);
    free(w);
    return 0;
}

static void note(struct world *w, int64_t account, int n)
{
    hf_event_note_take(&w->tx, "report", account, json_pack("{s:i}", "n", n));
}

static void commit(struct world *w)
{
    hf_events_publish(w->events, &w->effects, w->directory);
    hf_effects_clear(&w->effects);
}

/* The texts that come next. */
static const char *take(struct world *w, struct hf_events_reader *reader)
{
    w->text[hf_events_read(w->events, reader, w->text, SIZE)] = '\0';
    return w->text;
}

/* What comes after the random first half of the id. */
static void assert_event(const char *text, const char *wanted)
{
    assert_int_equal(strncmp(text, "id: ", 4), 0);
    assert_int_equal(strspn(text + 4, "0123456789abcdef"), 16);
    assert_string_equal(text + 20, wanted);
}

#define DATA(account, n)                                                                           \
    "data: {\"account\":" account ",\"time\":\"2027-01-15T08:00:00Z\",\"n\":" n "}\n\n"

static void an_event_has_a_number_an_account_and_a_time(void **state)
{
    struct world *w = *state;
    struct hf_events_reader reader = {-1, hf_events_resume(w->events, NULL)};
    assert_int_equal(reader.at, 0);
    assert_string_equal(take(w, &reader), "");
    note(w, 1, 7);
    assert_string_equal(take(w, &reader), ""); /* not before the commit */
    commit(w);
    assert_event(take(w, &reader), "-1\nevent: report\n" DATA("\"one\"", "7"));
    assert_string_equal(take(w, &reader), "");
    note(w, 99, 8); /* an account that is gone */
    commit(w);
    assert_event(take(w, &reader), "-2\nevent: report\n" DATA("null", "8"));
    hf_events_add_take(w->events, "published", FLEET_NOW_S, json_pack("{s:i}", "n", 9));
    assert_event(take(w, &reader), "-3\nevent: published\n" DATA("null", "9"));
    hf_events_add_take(w->events, "restored", FLEET_NOW_S, json_object());
    assert_event(take(w, &reader), "-4\nevent: restored\ndata: {\"account\":null,\"time\":"
                                   "\"2027-01-15T08:00:00Z\"}\n\n");
}

static void what_was_rolled_back_is_no_event(void **state)
{
    struct world *w = *state;
    struct hf_events_reader reader = {-1, 0};
    note(w, 1, 1);
    const struct hf_effects_mark mark = hf_effects_mark(&w->effects);
    note(w, 1, 2);
    note(w, 1, 3);
    hf_effects_cut(&w->effects, mark);
    note(w, 1, 4);
    commit(w);
    assert_non_null(strstr(take(w, &reader), "\"n\":1}"));
    assert_null(strstr(w->text, "\"n\":2}"));
    assert_null(strstr(w->text, "\"n\":3}"));
    assert_non_null(strstr(w->text, "-2\nevent: report\n" DATA("\"one\"", "4")));
    note(w, 1, 5);
    hf_effects_clear(&w->effects); /* the transaction failed */
    commit(w);
    assert_string_equal(take(w, &reader), "");
}

static void an_account_sees_its_own_and_those_of_all(void **state)
{
    struct world *w = *state;
    struct hf_events_reader reader = {2, 0};
    for (int n = 0; n < 3000; n++) /* more than one look goes through */
        note(w, 1, n);
    note(w, 2, 3000);
    commit(w);
    hf_events_add_take(w->events, "published", FLEET_NOW_S, json_pack("{s:i}", "n", 1));
    (void)take(w, &reader);
    assert_non_null(strstr(w->text, "-3001\nevent: report\n" DATA("\"two\"", "3000")));
    assert_non_null(strstr(w->text, "-3002\nevent: published\n"));
    assert_null(strstr(w->text, "one"));
    assert_int_equal(reader.at, 3002);
    struct hf_events_reader other = {1, 3000};
    assert_non_null(strstr(take(w, &other), "published"));
    assert_null(strstr(w->text, "two"));
}

static void the_oldest_make_room_and_leave_a_gap(void **state)
{
    struct world *w = *state;
    struct hf_events_reader reader = {-1, 2}, unknown = {-1, -1};
    for (int n = 0; n < (int)HF_EVENTS_KEPT_MAX; n++)
        note(w, 1, n);
    commit(w);
    assert_false(hf_events_is_behind(w->events, &reader));
    for (int n = 0; n < 10; n++)
        note(w, 1, -n);
    commit(w);
    assert_true(hf_events_is_behind(w->events, &reader));
    (void)take(w, &reader); /* 11 is the oldest now */
    assert_non_null(strstr(w->text, "-10\nevent: gap\ndata: {\"lost\":8}\n\n"));
    assert_non_null(strstr(w->text, "-11\nevent: report\n" DATA("\"one\"", "10")));
    assert_false(hf_events_is_behind(w->events, &reader));
    (void)take(w, &unknown);
    assert_non_null(strstr(w->text, "-10\nevent: gap\ndata: {\"lost\":null}\n\n"));
}

static void texts_are_bounded_together(void **state)
{
    struct world *w = *state;
    struct hf_events_reader reader = {-1, 0};
    char text[3000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (int n = 0; n < 4000; n++) { /* 12 MB */
        hf_event_note_take(&w->tx, "report", 1, json_pack("{s:s}", "text", text));
        commit(w);
    }
    (void)take(w, &reader);
    const char *gap = strstr(w->text, "\"lost\":");
    assert_non_null(gap);
    assert_in_range(strtol(gap + 7, NULL, 10), 1000, 2000);
}

/* One event too many or too long: nothing is told wrong, and every reader sees that something is
 * missing. */
static void what_does_not_fit_is_a_gap(void **state)
{
    struct world *w = *state;
    struct hf_events_reader reader = {-1, 0};
    char text[HF_EVENT_BYTES_MAX];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    note(w, 1, 1);
    hf_event_note_take(&w->tx, "report", 1, json_pack("{s:s}", "text", text));
    hf_event_note_take(&w->tx, "report", 1, NULL); /* memory was short */
    note(w, 1, 4);
    commit(w);
    (void)take(w, &reader);
    assert_non_null(strstr(w->text, "event: gap\ndata: {\"lost\":3}\n\n"));
    assert_non_null(strstr(w->text, "-4\nevent: report\n" DATA("\"one\"", "4")));
    for (int n = 0; n < (int)HF_EVENTS_KEPT_MAX + 5; n++)
        note(w, 1, n);
    assert_int_equal(w->effects.n_notes, HF_EVENTS_KEPT_MAX);
    assert_int_equal(w->effects.n_lost, 5);
    commit(w);
    (void)take(w, &reader);
    assert_non_null(strstr(w->text, "-9\nevent: gap\ndata: {\"lost\":5}\n\n"));
}

static void a_text_is_one_line(void **state)
{
    struct world *w = *state;
    struct hf_events_reader reader = {-1, 0};
    hf_event_note_take(&w->tx, "report", 1,
                       json_pack("{s:s}", "text", "a\n\nid: 9\r\nevent: x\n\n"));
    commit(w);
    (void)take(w, &reader);
    assert_non_null(strstr(w->text, "\"text\":\"a\\n\\nid: 9\\r\\nevent: x\\n\\n\"}\n\n"));
}

static void only_an_id_of_this_ring_leads_to_its_place(void **state)
{
    struct world *w = *state;
    char id[HF_EVENT_ID_MAX], other[HF_EVENT_ID_MAX + 2];
    for (int n = 0; n < 5; n++)
        note(w, 1, n);
    commit(w);
    assert_int_equal(hf_events_resume(w->events, NULL), 5);
    for (int n = 0; n <= 5; n++) {
        hf_events_id(w->events, n, id);
        assert_int_equal(hf_events_resume(w->events, id), n);
    }
    static const char *const ends[] = {"x", " ", "0000000000000000000", "-1"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        (void)snprintf(other, sizeof other, "%.18s%s", id, ends[i]);
        assert_int_equal(hf_events_resume(w->events, other), -1);
    }
    hf_events_id(w->events, 6, id); /* of the future */
    assert_int_equal(hf_events_resume(w->events, id), -1);
    id[0] = id[0] == '0' ? '1' : '0';
    assert_int_equal(hf_events_resume(w->events, id), -1);
    assert_int_equal(hf_events_resume(w->events, ""), -1);
    assert_int_equal(hf_events_resume(w->events, "7"), -1);
}

static void on_news(uv_async_t *wake)
{
    ++*(unsigned *)wake->data;
}

static void loops_are_woken_until_they_listen_no_more(void **state)
{
    struct world *w = *state;
    uv_loop_t loop;
    uv_async_t wakes[HF_EVENTS_LISTENERS_MAX + 1];
    unsigned n = 0;
    assert_int_equal(uv_loop_init(&loop), 0);
    for (size_t i = 0; i <= HF_EVENTS_LISTENERS_MAX; i++) {
        assert_int_equal(uv_async_init(&loop, &wakes[i], on_news), 0);
        wakes[i].data = &n;
        if (i < HF_EVENTS_LISTENERS_MAX)
            CHECK_OK(hf_events_listen(w->events, &wakes[i], &w->why));
        else
            CHECK_REFUSED(hf_events_listen(w->events, &wakes[i], &w->why), HF_E_LIMIT, &w->why,
                          "too many loops");
    }
    note(w, 1, 1);
    commit(w);
    commit(w); /* nothing happened */
    (void)uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(n, HF_EVENTS_LISTENERS_MAX);
    for (size_t i = 0; i <= HF_EVENTS_LISTENERS_MAX; i++)
        hf_events_unlisten(w->events, &wakes[i]);
    note(w, 1, 2);
    commit(w);
    (void)uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(n, HF_EVENTS_LISTENERS_MAX);
    for (size_t i = 0; i <= HF_EVENTS_LISTENERS_MAX; i++)
        uv_close((uv_handle_t *)&wakes[i], NULL);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_event_has_a_number_an_account_and_a_time),
        TEST(what_was_rolled_back_is_no_event),
        TEST(an_account_sees_its_own_and_those_of_all),
        TEST(the_oldest_make_room_and_leave_a_gap),
        TEST(texts_are_bounded_together),
        TEST(what_does_not_fit_is_a_gap),
        TEST(a_text_is_one_line),
        TEST(only_an_id_of_this_ring_leads_to_its_place),
        TEST(loops_are_woken_until_they_listen_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
