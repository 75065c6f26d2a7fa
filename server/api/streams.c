#include "server/api/streams.h"

#include "server/api/call.h"
#include "server/http/feed.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct hf_api_stream {
    struct hf_feed feed; /* first */
    struct hf_job check; /* of its token, on the reader */
    struct hf_api_streams *streams;
    struct hf_events_reader reader;
    char actor[HF_FLEET_ACTOR_MAX + 1];
    char bearer[HF_API_BEARER_MAX + 1]; /* "": of the Unix socket */
    bool is_greeted;
    bool is_checking; /* the reader has `check` */
    uint64_t checked_ms;
    TAILQ_ENTRY(hf_api_stream) link;
};

static struct hf_api_stream *stream_of_check(struct hf_job *job)
{
    return (struct hf_api_stream *)((char *)job - offsetof(struct hf_api_stream, check));
}

static void free_stream(struct hf_api_stream *s)
{
    sodium_memzero(s->bearer, sizeof s->bearer);
    free(s);
}

/* ---- sending --------------------------------------------------------------------------------- */

/* Where the client is goes with it, also if the events since are none for it. */
static bool send_place(struct hf_api_stream *s, const char *before)
{
    char text[128], id[HF_EVENT_ID_MAX];

    hf_events_id(s->streams->events, s->reader.at, id);
    (void)snprintf(text, sizeof text, s->reader.at >= 0 ? "%sid: %s\n\n" : "%s\n", before, id);
    return hf_feed_append(&s->feed, hf_bytes_of_text(text));
}

static void fill(struct hf_api_stream *s)
{
    struct hf_events *events = s->streams->events;
    char text[HF_API_STREAM_BYTES];
    size_t len;

    if (!hf_feed_has_room(&s->feed)) {
        if (hf_events_is_behind(events, &s->reader))
            hf_feed_end(&s->feed);
        return;
    }
    while (hf_feed_has_room(&s->feed) &&
           (len = hf_events_read(events, &s->reader, text, sizeof text)) > 0)
        if (!hf_feed_append(&s->feed, (struct hf_bytes){(const uint8_t *)text, len}))
            return;
}

static void on_room(struct hf_feed *feed)
{
    struct hf_api_stream *s = (struct hf_api_stream *)feed;

    if (!s->is_greeted) {
        s->is_greeted = true;
        if (!send_place(s, "retry: " HF_API_STREAM_RETRY_MS "\n"))
            return;
    }
    fill(s);
}

static void on_idle(struct hf_feed *feed)
{
    (void)!send_place((struct hf_api_stream *)feed, ":\n");
}

static void on_end(struct hf_feed *feed)
{
    struct hf_api_stream *s = (struct hf_api_stream *)feed;

    TAILQ_REMOVE(&s->streams->list, s, link);
    s->streams->n--;
    if (!s->is_checking)
        free_stream(s);
}

/* ---- who may go on --------------------------------------------------------------------------- */

/* hf_job.act: revoked, expired, or gone with a restored backup. */
static enum hf_err check(struct hf_job *job, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_admin_token token;

    HF_TRY(hf_admin_token_check(tx->db, stream_of_check(job)->bearer, tx->now_s, &token, why));
    return token.role >= HF_ADMIN_VIEWER ? HF_OK : hf_fail(why, HF_E_POLICY, "no viewer any more");
}

static void checked(struct hf_job *job)
{
    struct hf_api_stream *s = stream_of_check(job);

    s->is_checking = false;
    if (s->feed.conn == NULL) {
        free_stream(s);
        return;
    }
    if (job->err == HF_OK)
        s->checked_ms = uv_now(s->streams->timer.loop);
    else if (job->err == HF_E_POLICY)
        hf_feed_end(&s->feed);
}

/* One that cannot be checked for long ends too, so that a client gains nothing by filling the
 * reader's queue. */
static void check_again(struct hf_api_stream *s)
{
    if (s->bearer[0] == '\0')
        return;
    if (uv_now(s->streams->timer.loop) - s->checked_ms > HF_API_STREAM_UNCHECKED_MS) {
        hf_feed_end(&s->feed);
        return;
    }
    if (s->is_checking)
        return;
    s->check = (struct hf_job){.act = check,
                               .done = checked,
                               .home = hf_mailbox_of(s->streams->timer.loop),
                               .actor = s->actor};
    s->is_checking = hf_fleet_read(s->streams->fleet, &s->check, NULL) == HF_OK;
}

/* ---- opening --------------------------------------------------------------------------------- */

static unsigned count_of(const struct hf_api_streams *streams, const char *actor)
{
    const struct hf_api_stream *s;
    unsigned n = 0;

    TAILQ_FOREACH(s, &streams->list, link)
    n += strcmp(s->actor, actor) == 0;
    return n;
}

static unsigned check_room(struct hf_api_call *call, struct hf_why *why)
{
    const struct hf_api_streams *streams = call->streams;

    call->retry_after_s = HF_API_STREAM_RETRY_AFTER_S;
    if (count_of(streams, call->asker.actor) >= HF_API_STREAMS_PER_ACTOR_MAX) {
        (void)hf_fail(why, HF_E_LIMIT,
                      "%s has %u streams of events open, which is the most. Close one of them",
                      call->asker.actor, HF_API_STREAMS_PER_ACTOR_MAX);
        return 429;
    }
    if (streams->n >= HF_API_STREAMS_MAX || atomic_load(&streams->is_closing)) {
        (void)hf_fail(why, HF_E_BUSY,
                      "%u streams of events are open, which is the most. Try again later",
                      HF_API_STREAMS_MAX);
        return 503;
    }
    return 0;
}

unsigned hf_api_stream_open(struct hf_api_call *call, int64_t account_id, struct hf_why *why)
{
    struct hf_api_streams *streams = call->streams;
    char last_id[HF_EVENT_ID_MAX + 1]; /* a longer one is cut, and is none of ours */
    bool has_id = hf_api_header(call, HF_HEADER_LAST_EVENT_ID, last_id, sizeof last_id);
    struct hf_buf empty = {0};
    unsigned status = check_room(call, why);

    if (status != 0)
        return status;
    if (call->request->method == HTTP_HEAD) {
        hf_answer_take(call->request, 200, HF_API_STREAM_TYPE, NULL, &empty);
        return 0;
    }
    struct hf_api_stream *s = calloc(1, sizeof *s);
    if (s == NULL) {
        (void)hf_fail(why, HF_E_MEMORY, "no memory for a stream");
        return 503;
    }
    s->feed = (struct hf_feed){.on_room = on_room, .on_idle = on_idle, .on_end = on_end};
    s->streams = streams;
    s->reader.account_id = account_id;
    s->reader.at = hf_events_resume(streams->events, has_id ? last_id : NULL);
    memcpy(s->actor, call->asker.actor, sizeof s->actor);
    memcpy(s->bearer, call->asker.bearer, sizeof s->bearer);
    s->checked_ms = uv_now(streams->timer.loop);
    TAILQ_INSERT_TAIL(&streams->list, s, link);
    streams->n++;
    hf_feed_begin(call->request, HF_API_STREAM_TYPE, &s->feed);
    return 0;
}

/* ---- the loop's streams ---------------------------------------------------------------------- */

/* Each of them, though handling one may end it. */
static void for_each(struct hf_api_streams *streams, void (*handle)(struct hf_api_stream *s))
{
    struct hf_api_stream *s, *next;

    for (s = TAILQ_FIRST(&streams->list); s != NULL; s = next) {
        next = TAILQ_NEXT(s, link);
        handle(s);
    }
}

static void on_wake(uv_async_t *wake)
{
    struct hf_api_streams *streams = wake->data;

    if (!atomic_load(&streams->is_closing)) {
        for_each(streams, fill);
        return;
    }
    if (uv_is_closing((uv_handle_t *)wake))
        return;
    hf_events_unlisten(streams->events, wake);
    uv_close((uv_handle_t *)&streams->timer, NULL);
    uv_close((uv_handle_t *)wake, NULL);
}

static void on_timer(uv_timer_t *timer)
{
    for_each(timer->data, check_again);
}

enum hf_err hf_api_streams_init(struct hf_api_streams *streams, struct hf_fleet *fleet,
                                uv_loop_t *loop, struct hf_why *why)
{
    memset(streams, 0, sizeof *streams);
    streams->fleet = fleet;
    streams->events = hf_fleet_events(fleet);
    TAILQ_INIT(&streams->list);
    streams->wake.data = streams->timer.data = streams;
    if (uv_async_init(loop, &streams->wake, on_wake) != 0 ||
        uv_timer_init(loop, &streams->timer) != 0 ||
        uv_timer_start(&streams->timer, on_timer, HF_API_STREAM_CHECK_MS, HF_API_STREAM_CHECK_MS) !=
            0)
        return hf_fail(why, HF_E_MEMORY, "no memory for streams of events");
    return hf_events_listen(streams->events, &streams->wake, why);
}

void hf_api_streams_close(struct hf_api_streams *streams)
{
    if (!atomic_exchange(&streams->is_closing, true))
        (void)uv_async_send(&streams->wake);
}
