#include "server/serve/server.h"

#include "server/serve/log.h"
#include "server/serve/state_lock.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- signals and news -------------------------------------------------------------------------- */

static void on_edition(void *ctx, struct hf_edition *g)
{
    struct hf_server *s = ctx;
    for (unsigned i = 0; i < s->n_loops; i++)
        hf_loop_offer(&s->loops[i], g);
}

/* The control loop ends with the last of its handles; a second signal then ends the process. */
static void stop(struct hf_server *s)
{
    for (size_t i = 0; i < sizeof s->signals / sizeof s->signals[0]; i++)
        uv_close((uv_handle_t *)&s->signals[i], NULL);
    hf_repository_stop(&s->repository);
    for (unsigned i = 0; i < s->n_loops; i++)
        hf_loop_stop(&s->loops[i]);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct hf_server *s = handle->data;
    if (number == SIGHUP) {
        hf_repository_look_now(&s->repository);
        if (s->access_log != NULL)
            hf_access_log_reopen(s->access_log);
        return;
    }
    hf_serve_log("stopping: answers under way are finished, for %u seconds at most",
                 HF_SERVE_GRACE_MS / 1000);
    stop(s);
}

static enum hf_err listen_for_signals(struct hf_server *s, struct hf_why *why)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    /* A log reader that goes away is an error of write(2). */
    (void)signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        s->signals[i].data = s;
        int failed = uv_signal_init(&s->control, &s->signals[i]);
        if (failed == 0)
            failed = uv_signal_start(&s->signals[i], on_signal, numbers[i]);
        if (failed != 0)
            return hf_fail(why, HF_E_STATE, "signals cannot be heard: %s", uv_strerror(failed));
    }
    return HF_OK;
}

/* ---- starting ---------------------------------------------------------------------------------- */

/* As many connections as asked for, as far as descriptors go. */
static unsigned raise_descriptors(unsigned connections)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return connections;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur == RLIM_INFINITY ||
        limit.rlim_cur >= (rlim_t)connections + HF_SERVE_DESCRIPTORS_RESERVED)
        return connections;
    rlim_t fit = limit.rlim_cur > 2 * HF_SERVE_DESCRIPTORS_RESERVED
                     ? limit.rlim_cur - HF_SERVE_DESCRIPTORS_RESERVED
                     : limit.rlim_cur;
    hf_serve_log("descriptors are limited to %llu: %llu connections at once instead of %u; raise "
                 "LimitNOFILE or ulimit -n",
                 (unsigned long long)limit.rlim_cur, (unsigned long long)fit, connections);
    return (unsigned)fit;
}

static enum hf_err open_listeners(struct hf_server *s, struct hf_why *why)
{
    union hf_peer address = s->options->listen;
    s->listeners = calloc(s->options->loops, sizeof *s->listeners);
    if (s->listeners == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for %u listeners", s->options->loops);
    for (unsigned i = 0; i < s->options->loops; i++)
        HF_TRY(hf_listener_open(&s->listeners[i], &address, i == 0, why));
    return HF_OK;
}

static struct hf_loop_config loop_config(struct hf_server *s, unsigned connections)
{
    const struct hf_serve_options *o = s->options;
    return (struct hf_loop_config){
        .connections_max = (connections + o->loops - 1) / o->loops,
        .timeout_ms = {[HF_PHASE_HEAD] = UINT64_C(1000) * o->header_timeout_s,
                       [HF_PHASE_IDLE] = UINT64_C(1000) * o->idle_timeout_s,
                       [HF_PHASE_WRITE] = HF_SERVE_WRITE_TIMEOUT_MS,
                       [HF_PHASE_LINGER] = HF_SERVE_LINGER_MS},
        .repository = &s->repository,
        .access_log = s->access_log,
    };
}

static enum hf_err start_loops(struct hf_server *s, unsigned connections, struct hf_why *why)
{
    struct hf_loop_config config = loop_config(s, connections);
    s->loops = calloc(s->options->loops, sizeof *s->loops);
    if (s->loops == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for %u loops", s->options->loops);
    for (unsigned i = 0; i < s->options->loops; i++) {
        struct hf_loop *loop = &s->loops[i];
        HF_TRY(hf_loop_init_take(loop, &s->listeners[i], &config, why));
        s->listeners[i].is_open = false;
        if (s->repository.current != NULL)
            hf_loop_offer(loop, s->repository.current);
        HF_TRY(hf_loop_start(loop, why));
        s->n_loops++;
    }
    return HF_OK;
}

static void say_where(const struct hf_server *s)
{
    union hf_peer address = {0};
    socklen_t len = sizeof address;
    char text[HF_ADDRESS_TEXT_MAX];
    (void)getsockname(s->listeners[0].fd, &address.any, &len);
    hf_address_format(&address, text);
    hf_serve_log("listening on http://%s (%u loops)", text, s->options->loops);
}

/* ---- ending ------------------------------------------------------------------------------------ */

static void join_loops(struct hf_server *s)
{
    for (unsigned i = 0; i < s->n_loops; i++)
        hf_loop_join(&s->loops[i]);
    s->n_loops = 0;
}

static void free_server(struct hf_server *s)
{
    for (unsigned i = 0; s->listeners != NULL && i < s->options->loops; i++)
        if (s->listeners[i].is_open)
            close(s->listeners[i].fd);
    free(s->loops);
    free(s->listeners);
    hf_access_log_close(s->access_log);
    if (s->state_lock >= 0)
        close(s->state_lock);
}

/* ---- the control loop -------------------------------------------------------------------------- */

static enum hf_err run_control(struct hf_server *s, unsigned connections, struct hf_why *why)
{
    HF_TRY(listen_for_signals(s, why));
    HF_TRY(hf_repository_start(&s->repository, &s->control, s->options->repo, on_edition, s, why));
    enum hf_err err = start_loops(s, connections, why);
    if (err == HF_OK)
        say_where(s);
    else
        stop(s);
    (void)uv_run(&s->control, UV_RUN_DEFAULT);
    join_loops(s); /* they ask the repository for its status until their end */
    hf_repository_free(&s->repository);
    return err;
}

static enum hf_err prepare(struct hf_server *s, struct hf_why *why)
{
    const struct hf_serve_options *o = s->options;
    if (o->state != NULL)
        HF_TRY(hf_state_lock(o->state, &s->state_lock, why));
    HF_TRY(open_listeners(s, why));
    if (o->access_log != NULL)
        HF_TRY(hf_access_log_open(o->access_log, &s->access_log, why));
    int failed = uv_loop_init(&s->control);
    if (failed != 0)
        return hf_fail(why, HF_E_MEMORY, "an event loop cannot be made: %s", uv_strerror(failed));
    return HF_OK;
}

enum hf_err hf_server_run(const struct hf_serve_options *options, struct hf_why *why)
{
    struct hf_server s = {.options = options, .state_lock = -1};
    enum hf_err err = prepare(&s, why);
    if (err == HF_OK) {
        unsigned connections = raise_descriptors(options->connections_max);
        err = run_control(&s, connections, why);
        (void)uv_loop_close(&s.control);
    }
    free_server(&s);
    return err;
}
