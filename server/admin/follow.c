#include "server/admin/follow.h"

#include "common/base/percent.h"
#include "server/admin/api.h"

#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <time.h>

#define WAIT_FIRST_MS 1000u
#define WAIT_MAX_MS 60000u
#define WAIT_STEP_MS 200u /* how long Ctrl-C waits at most */

static volatile sig_atomic_t is_stopped;

static void stop(int number)
{
    (void)number;
    is_stopped = 1;
}

void hf_admin_follow_stop(void)
{
    is_stopped = 1;
}

struct following {
    const struct hf_admin_follower *follower;
    struct hf_event_stream stream;
    bool is_connected;  /* now */
    bool was_connected; /* once, so that what is wrong now may pass */
    unsigned wait_ms;   /* before the next connection */
    enum hf_err err;    /* HF_OK until the stream itself is at fault, or the follower ends it */
    struct hf_why why;
};

/* hf_admin_feed.take */
static bool take(void *ctx, struct hf_bytes bytes)
{
    struct following *f = ctx;
    const bool is_new = !f->is_connected;

    f->is_connected = f->was_connected = true;
    f->wait_ms = WAIT_FIRST_MS;
    if (is_new && f->follower->connected != NULL)
        f->err = f->follower->connected(f->follower->ctx, &f->why);
    if (f->err == HF_OK)
        f->err = hf_event_stream_feed(&f->stream, bytes, &f->why);
    return f->err == HF_OK;
}

static bool may_pass(enum hf_err err)
{
    return err == HF_OK || err == HF_E_NETWORK || err == HF_E_TLS || err == HF_E_BUSY ||
           err == HF_E_LIMIT || err == HF_E_STATE;
}

/* Longer each time, and not all watchers of a service at the same moment. */
static void wait_before_next(struct following *f, long retry_after_s, const char *reason)
{
    const struct timespec step = {.tv_nsec = WAIT_STEP_MS * 1000000L};
    unsigned wait_ms = f->wait_ms + randombytes_uniform(f->wait_ms);

    if (retry_after_s > 0 && retry_after_s <= WAIT_MAX_MS / 1000)
        wait_ms += 1000u * (unsigned)retry_after_s;
    f->wait_ms = 2 * f->wait_ms > WAIT_MAX_MS ? WAIT_MAX_MS : 2 * f->wait_ms;
    (void)fprintf(stderr, "%s. Connecting again in %u seconds\n", reason, (wait_ms + 999) / 1000);
    for (unsigned waited_ms = 0; waited_ms < wait_ms && is_stopped == 0; waited_ms += WAIT_STEP_MS)
        (void)nanosleep(&step, NULL);
}

static enum hf_err follow(struct following *f, struct hf_admin_api *api, const char *path,
                          struct hf_why *why)
{
    while (is_stopped == 0) {
        struct hf_admin_feed feed = {.path = path,
                                     .last_id = f->stream.id,
                                     .take = take,
                                     .ctx = f,
                                     .is_stopped = &is_stopped};
        f->is_connected = false;
        hf_event_stream_begin(&f->stream);
        enum hf_err err = hf_admin_follow(api, &feed, why);
        if (f->err != HF_OK) {
            if (why != NULL)
                *why = f->why;
            return f->err;
        }
        if (!may_pass(err) || (err != HF_OK && !f->was_connected))
            return err;
        if (is_stopped == 0)
            wait_before_next(f, feed.retry_after_s,
                             err == HF_OK || why == NULL ? "The service has ended the stream"
                                                         : why->text);
    }
    return HF_OK;
}

enum hf_err hf_admin_follow_events(const struct hf_admin_options *o,
                                   const struct hf_admin_follower *follower, struct hf_why *why)
{
    const struct sigaction on_stop = {.sa_handler = stop};
    struct following f = {.follower = follower,
                          .stream = {.take = follower->take, .ctx = follower->ctx},
                          .wait_ms = WAIT_FIRST_MS};
    struct hf_admin_api *api = NULL;
    struct hf_buf path = {0};

    enum hf_err err = hf_buf_append_text(&path, "/v1/events");
    if (err == HF_OK && o->account != NULL)
        err = hf_buf_append_text(&path, "?account=");
    if (err == HF_OK && o->account != NULL)
        err = hf_percent_encode(o->account, "", &path);
    err = err == HF_OK ? hf_admin_open_for(o, &api, why)
                       : hf_fail(why, err, "no memory for a request");
    (void)sigaction(SIGINT, &on_stop, NULL);
    (void)sigaction(SIGTERM, &on_stop, NULL);
    if (err == HF_OK)
        err = follow(&f, api, (const char *)path.data, why);
    hf_admin_close(api);
    hf_event_stream_free(&f.stream);
    hf_buf_free(&path);
    return err;
}
