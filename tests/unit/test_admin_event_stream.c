/* server/admin/event_stream: server-sent events, by the rules and examples of WHATWG HTML,
 * 9.2.6. */
#include "tests/support/check.h"

#include "server/admin/event_stream.h"

#include <stdio.h>

static char got[4096]; /* "KIND|ID|DATA;" of each event */

static enum hf_err take(void *ctx, const struct hf_stream_event *event, struct hf_why *why)
{
    size_t len = strlen(got);
    (void)snprintf(got + len, sizeof got - len, "%s|%s|%.*s;", event->kind, event->id,
                   (int)event->data.len, (const char *)event->data.data);
    return ctx == NULL ? HF_OK : hf_fail(why, HF_E_STATE, "as the test wants");
}

/* In pieces of `size` bytes. */
static enum hf_err feed(struct hf_event_stream *s, const char *text, size_t len, size_t size,
                        struct hf_why *why)
{
    for (size_t at = 0; at < len; at += size) {
        size_t n = len - at < size ? len - at : size;
        HF_TRY(hf_event_stream_feed(s, (struct hf_bytes){(const uint8_t *)text + at, n}, why));
    }
    return HF_OK;
}

static const struct {
    const char *text;
    const char *events, *id;
} rows[] = {
    {"data: a\n\n", "message||a;", ""},
    {"event: report\nid: r-1\ndata: {\"a\":1}\n\n", "report|r-1|{\"a\":1};", "r-1"},
    /* The examples of the standard */
    {"data: YHOO\ndata: +2\ndata: 10\n\n", "message||YHOO\n+2\n10;", ""},
    {": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n",
     "message|1|first event;message||second event;", ""},
    {"data\n\ndata\ndata\n\ndata:", "message||;message||\n;", ""},
    {"data:test\n\ndata: test\n\n", "message||test;message||test;", ""},
    /* Ends of lines */
    {"data: a\r\n\r\ndata: b\r\rdata: c\n\r\n", "message||a;message||b;message||c;", ""},
    {"data: a\r\n\n", "message||a;", ""},
    {"\n\n\r\r\n\r\n", "", ""},
    /* An id without data moves the place; an event that does not end does not */
    {"id: 7\n\n", "", "7"},
    {"data: a\nid: 7\n", "", ""},
    {"id: 7\ndata: a\n\nid: 8\ndata: b\n", "message|7|a;", "7"},
    {"event: x\n\ndata: a\n\n", "message||a;", ""}, /* a kind without data is forgotten */
    {"\xef\xbb\xbf"
     "data: a\n\n",
     "message||a;", ""},
    {"data: a\n\n\xef\xbb\xbf"
     "data: b\n\n",
     "message||a;", ""},
    {"retry: 10\nother: x\nDATA: y\ndata : z\n:data: c\n\n", "", ""},
};

static void events_come_whole_however_they_are_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t size = 1; size <= 1 + strlen(rows[i].text); size++) {
            struct hf_event_stream s = {.take = take};
            struct hf_why why = {.text = ""};
            got[0] = '\0';
            hf_event_stream_begin(&s);
            CHECK_OK(feed(&s, rows[i].text, strlen(rows[i].text), size, &why));
            assert_string_equal(got, rows[i].events);
            assert_string_equal(s.id, rows[i].id);
            hf_event_stream_free(&s);
        }
}

static void an_id_with_a_nul_is_ignored(void **state)
{
    (void)state;
    static const char text[] = "id: 1\n\nid: 2\0\n\n";
    struct hf_event_stream s = {.take = take};
    struct hf_why why = {.text = ""};
    hf_event_stream_begin(&s);
    CHECK_OK(feed(&s, text, sizeof text - 1, 100, &why));
    assert_string_equal(s.id, "1");
    hf_event_stream_free(&s);
}

static void a_stream_that_broke_leaves_nothing_but_its_place(void **state)
{
    (void)state;
    static const char broken[] = "id: 1\ndata: a\n\nid: 2\nevent: x\ndata: b\nda",
                      next[] = "data: c\n\n";
    struct hf_event_stream s = {.take = take};
    struct hf_why why = {.text = ""};
    got[0] = '\0';
    hf_event_stream_begin(&s);
    CHECK_OK(feed(&s, broken, sizeof broken - 1, 100, &why));
    hf_event_stream_begin(&s);
    CHECK_OK(feed(&s, next, sizeof next - 1, 100, &why));
    assert_string_equal(got, "message|1|a;message|1|c;");
    hf_event_stream_free(&s);
}

static void what_is_too_long_is_refused(void **state)
{
    (void)state;
    static const char *const starts[] = {"data: ", "data: \ndata: ", "id: ", "event: "};
    char more[1000];
    memset(more, 'x', sizeof more);
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        struct hf_event_stream s = {.take = take};
        struct hf_why why = {.text = ""};
        enum hf_err err = HF_OK;
        got[0] = '\0';
        hf_event_stream_begin(&s);
        CHECK_OK(feed(&s, starts[i], strlen(starts[i]), 100, &why));
        for (int n = 0; n < 66 && err == HF_OK; n++)
            err = feed(&s, more, sizeof more, sizeof more, &why);
        if (err == HF_OK)
            err = feed(&s, "\n\n", 2, 2, &why);
        CHECK_REFUSED(err, HF_E_LIMIT, &why, "too long");
        assert_string_equal(got, "");
        assert_string_equal(s.id, "");
        hf_event_stream_free(&s);
    }
}

static void an_event_that_was_not_taken_is_not_passed(void **state)
{
    (void)state;
    static const char text[] = "id: 1\n\nid: 2\ndata: a\n\nid: 3\ndata: b\n\n";
    struct hf_event_stream s = {.take = take, .ctx = got};
    struct hf_why why = {.text = ""};
    got[0] = '\0';
    hf_event_stream_begin(&s);
    CHECK_REFUSED(feed(&s, text, sizeof text - 1, 100, &why), HF_E_STATE, &why, "as the test");
    assert_string_equal(got, "message|2|a;");
    assert_string_equal(s.id, "1");
    hf_event_stream_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_come_whole_however_they_are_split),
        cmocka_unit_test(an_id_with_a_nul_is_ignored),
        cmocka_unit_test(a_stream_that_broke_leaves_nothing_but_its_place),
        cmocka_unit_test(what_is_too_long_is_refused),
        cmocka_unit_test(an_event_that_was_not_taken_is_not_passed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
