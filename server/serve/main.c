/*
 * holdfastd: serves a TUF repository over HTTP and, with a configuration, is the fleet service (service.h). Holds
 * no key that signs. One loop, which serves no client, watches the repository and handles signals; the
 * serving loops run beside it.
 */
#include "common/cli/cli.h"
#include "common/json/json.h"
#include "common/os/file_util.h"
#include "common/os/service.h"
#include "server/http/loop.h"
#include "server/serve/options.h"
#include "server/serve/route.h"
#include "server/serve/service.h"

#include <sodium.h>

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define SERVICE_TICK_MS 10000u

struct serving {
    int listener; /* -1: the loop has it, or there is none */
    struct hf_loop loop;
    struct hf_site site;
};

struct server {
    const struct hf_serve_options *options; /* borrowed */
    const struct hf_config *config;         /* borrowed; NULL: none */
    struct hf_service *service;             /* NULL: none */
    int state_lock;                         /* -1: none */
    struct hf_access_log *access_log;       /* NULL: off */
    struct hf_address_count *addresses;
    union hf_peer address;      /* that it listens on, with its port */
    struct serving *serving;    /* one for each loop */
    unsigned n_serving;         /* 0: no listener without TLS */
    struct hf_http_config http; /* what all listeners share */
    unsigned n_loops;           /* running */

    uv_loop_t control;
    uv_signal_t signals[3];
    uv_timer_t watchdog; /* active only when systemd expects a sign of life */
    uv_timer_t tick;     /* active only with a service */
    struct hf_repository repository;
};

/* ---- the control loop -------------------------------------------------------------------------- */

/* A loop that did not run since the last call serves no client: without a notice systemd restarts. */
static void on_watchdog(uv_timer_t *timer)
{
    struct server *s = timer->data;
    bool are_alive = true;
    for (unsigned i = 0; i < s->n_loops; i++)
        are_alive &= hf_loop_is_alive(&s->serving[i].loop);
    if (s->service != NULL)
        are_alive &= hf_service_is_alive(s->service);
    if (are_alive)
        hf_notify("WATCHDOG=1");
}

static void on_tick(uv_timer_t *timer)
{
    hf_service_tick(((struct server *)timer->data)->service);
}

static void on_edition(void *ctx, struct hf_edition *e)
{
    struct server *s = ctx;
    for (unsigned i = 0; i < s->n_loops; i++)
        hf_site_offer(&s->serving[i].site, e);
    if (s->service != NULL)
        hf_service_offer(s->service, e);
}

static void on_read(void *ctx, bool was_asked)
{
    struct server *s = ctx;
    struct hf_repository_status status;
    char text[HF_WHY_MAX + 128];
    hf_repository_status(&s->repository, &status);
    if (status.problem[0] != '\0')
        (void)snprintf(text, sizeof text, "STATUS=%s: %s",
                       status.is_served ? "serving the state before" : "serving nothing",
                       status.problem);
    else
        (void)snprintf(text, sizeof text, "STATUS=serving timestamp %" PRId64,
                       status.summary.timestamp_version);
    hf_notify(text);
    if (was_asked && !s->repository.is_stopped)
        hf_notify("READY=1");
}

/* The control loop ends with the last of its handles; a second signal then ends the process. */
static void stop(struct server *s)
{
    for (size_t i = 0; i < sizeof s->signals / sizeof s->signals[0]; i++)
        uv_close((uv_handle_t *)&s->signals[i], NULL);
    uv_close((uv_handle_t *)&s->watchdog, NULL);
    uv_close((uv_handle_t *)&s->tick, NULL);
    if (s->service != NULL)
        hf_service_stop(s->service);
    hf_repository_stop(&s->repository);
    for (unsigned i = 0; i < s->n_loops; i++)
        hf_loop_stop(&s->serving[i].loop);
}

static void reload_service(struct server *s)
{
    struct hf_config config;
    struct hf_why why;
    if (hf_config_read(s->options->config, &config, &why) != HF_OK) {
        hf_service_log(HF_LOG_ERROR, "the configuration stays as it was: %s", why.text);
        return;
    }
    hf_service_reload(s->service, &config);
    hf_config_free(&config);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct server *s = handle->data;
    if (number == SIGHUP) {
        /* sd_notify(3) wants to know since when, to the microsecond: earlier than its signal does
         * not count. */
        struct timespec now;
        char text[64];
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        (void)snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld",
                       (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
        hf_notify(text);
        hf_repository_reload(&s->repository);
        if (s->access_log != NULL)
            hf_access_log_reopen(s->access_log);
        if (s->service != NULL)
            reload_service(s);
        return;
    }
    hf_notify("STOPPING=1");
    hf_service_log(HF_LOG_INFO, "stopping: answers under way are finished, for %u seconds at most",
                   HF_HTTP_GRACE_MS / 1000);
    stop(s);
}

static enum hf_err start_control(struct server *s, struct hf_why *why)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    const struct hf_repository_events events = {on_edition, on_read, s};
    int failed = 0;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0] && failed == 0; i++) {
        s->signals[i].data = s;
        failed = uv_signal_init(&s->control, &s->signals[i]);
        if (failed == 0)
            failed = uv_signal_start(&s->signals[i], on_signal, numbers[i]);
    }
    if (failed != 0)
        return hf_fail(why, HF_E_STATE, "signals cannot be received: %s", uv_strerror(failed));

    uint64_t interval_ms = (uint64_t)hf_notify_watchdog_ms();
    /* Four times an interval: a loop may be busy for a part of it. */
    uint64_t every_ms = interval_ms >= 4 ? interval_ms / 4 : 1;
    s->watchdog.data = s;
    failed = uv_timer_init(&s->control, &s->watchdog);
    s->tick.data = s;
    if (failed == 0)
        failed = uv_timer_init(&s->control, &s->tick);
    if (failed == 0 && s->service != NULL)
        failed = uv_timer_start(&s->tick, on_tick, SERVICE_TICK_MS, SERVICE_TICK_MS);
    if (failed == 0 && interval_ms > 0)
        failed = uv_timer_start(&s->watchdog, on_watchdog, every_ms, every_ms);
    if (failed != 0)
        return hf_fail(why, HF_E_STATE, "the watchdog cannot be served: %s", uv_strerror(failed));
    return hf_repository_start(&s->repository, &s->control, s->options->repo, s->options->state,
                               &events, why);
}

/* ---- starting ---------------------------------------------------------------------------------- */

/* Fleet state will live in the server's own folder (--state), and two servers must never write it: the
 * one that serves holds DIR/holdfastd.lock, which contains its process id. */
static enum hf_err take_state(const char *dir, int *lock, struct hf_why *why)
{
    struct hf_path path;
    char id[32] = "";
    bool was_made = false;
    struct hf_why reason;
    HF_TRY(hf_path_set(&path, why, "%s/holdfastd.lock", dir));
    enum hf_err err = hf_file_make_dir(dir, &was_made, &reason);
    if (err == HF_OK)
        err = hf_file_lock(path.text, 0, lock, &reason);
    if (err == HF_OK) {
        int len = snprintf(id, sizeof id, "%ld\n", (long)getpid());
        if (ftruncate(*lock, 0) != 0 || pwrite(*lock, id, (size_t)len, 0) != len)
            err = hf_file_fail(&reason, "write", path.text, errno);
    }
    if (err == HF_E_BUSY) {
        struct hf_buf text = {0};
        if (hf_file_read(path.text, sizeof id, &text, NULL) == HF_OK && text.len > 0)
            (void)snprintf(id, sizeof id, "%.*s", (int)strcspn((const char *)text.data, "\n"),
                           (const char *)text.data);
        hf_buf_free(&text);
        err = hf_fail(why, err,
                      "the state folder %s belongs to a holdfastd that runs (process %s); give "
                      "this one another folder",
                      dir, id);
    } else if (err != HF_OK) {
        err = hf_fail(why, err, "the state folder %s cannot be used: %s", dir, reason.text);
    }
    return err;
}

/* As many connections as asked for, as far as descriptors go. */
static unsigned raise_descriptors(unsigned connections)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return connections;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur == RLIM_INFINITY ||
        limit.rlim_cur >= (rlim_t)connections + HF_HTTP_DESCRIPTORS_RESERVED)
        return connections;
    rlim_t fit = limit.rlim_cur > 2 * HF_HTTP_DESCRIPTORS_RESERVED
                     ? limit.rlim_cur - HF_HTTP_DESCRIPTORS_RESERVED
                     : limit.rlim_cur;
    hf_service_log(HF_LOG_WARNING,
                   "descriptors are limited to %llu: %llu connections at once instead of %u; raise "
                   "LimitNOFILE or ulimit -n",
                   (unsigned long long)limit.rlim_cur, (unsigned long long)fit, connections);
    return (unsigned)fit;
}

static enum hf_err open_service(struct server *s, struct hf_why *why)
{
    int plain[HF_HTTP_LOOPS_MAX];
    const struct hf_service_setup setup = {.config = s->config,
                                           .http = &s->http,
                                           .repository = &s->repository,
                                           .loops = s->options->loops,
                                           .plain_listeners = plain,
                                           .n_plain = s->n_serving};
    if (s->config == NULL || (s->config->devices.listen == NULL &&
                              s->config->admin.socket == NULL && s->config->admin.listen == NULL))
        return HF_OK;
    for (unsigned i = 0; i < s->n_serving; i++)
        plain[i] = s->serving[i].listener;
    enum hf_err err = hf_service_open(&setup, &s->service, why);
    for (unsigned i = 0; i < s->n_serving; i++)
        s->serving[i].listener = plain[i];
    return err;
}

static enum hf_err prepare(struct server *s, struct hf_why *why)
{
    const struct hf_serve_options *o = s->options;
    /* A log reader that closes, and a log that is too long, are errors of write(2). */
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
    if (!o->must_wait)
        HF_TRY(hf_repository_require(o->repo, why));
    s->addresses = hf_address_count_new(o->per_address_max);
    if (s->addresses == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory to count the connections of an address");
    if (o->state != NULL)
        HF_TRY(take_state(o->state, &s->state_lock, why));

    s->address = o->listen;
    s->n_serving = o->listen_text != NULL ? o->loops : 0;
    s->serving = calloc(o->loops, sizeof *s->serving);
    if (s->serving == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for %u loops", o->loops);
    for (unsigned i = 0; i < s->n_serving; i++)
        s->serving[i].listener = -1;
    for (unsigned i = 0; i < s->n_serving; i++)
        HF_TRY(hf_listen(&s->address, i == 0, &s->serving[i].listener, why));
    if (o->access_log != NULL)
        HF_TRY(hf_access_log_open(o->access_log, &s->access_log, why));
    s->http = (struct hf_http_config){
        .connections_max = (raise_descriptors(o->connections_max) + o->loops - 1) / o->loops,
        .header_timeout_ms = UINT64_C(1000) * o->header_timeout_s,
        .idle_timeout_ms = UINT64_C(1000) * o->idle_timeout_s,
        .access_log = s->access_log,
        .addresses = s->addresses,
    };
    HF_TRY(open_service(s, why));
    int failed = uv_loop_init(&s->control);
    if (failed != 0)
        return hf_fail(why, HF_E_MEMORY, "an event loop cannot be made: %s", uv_strerror(failed));
    return HF_OK;
}

static enum hf_err start_loops(struct server *s, struct hf_why *why)
{
    char text[HF_ADDRESS_TEXT_MAX];
    struct hf_http_config config = s->http;
    config.handler = hf_site_handle;
    config.refusals = hf_site_refusals;
    config.n_refusals = HF_SITE_REFUSALS;
    /* With the fleet part, its loops answer also without TLS. */
    for (unsigned i = 0; s->service == NULL && i < s->n_serving; i++) {
        struct serving *one = &s->serving[i];
        int listener = one->listener;
        one->site.repository = &s->repository;
        if (s->repository.current != NULL)
            hf_site_offer(&one->site, s->repository.current);
        config.handler_ctx = &one->site;
        one->listener = -1;
        HF_TRY(hf_loop_init_take(&one->loop, listener, &config, why));
        HF_TRY(hf_loop_start(&one->loop, why));
        s->n_loops++;
    }
    if (s->n_serving > 0) {
        hf_address_format(&s->address, text);
        hf_service_log(HF_LOG_INFO, "listening on http://%s (%u loops)", text, s->n_serving);
    }
    if (s->service != NULL) {
        if (s->repository.current != NULL)
            hf_service_offer(s->service, s->repository.current);
        HF_TRY(hf_service_start(s->service, why));
    }
    hf_notify("READY=1");
    return HF_OK;
}

/* Until SIGTERM or SIGINT; HF_OK after an orderly end. */
static enum hf_err run(const struct hf_serve_options *options, const struct hf_config *config,
                       struct hf_why *why)
{
    struct server s = {.options = options, .config = config, .state_lock = -1};
    enum hf_err err = prepare(&s, why);
    if (err == HF_OK)
        err = start_control(&s, why);
    if (err != HF_OK)
        goto out;
    err = start_loops(&s, why);
    if (err != HF_OK)
        stop(&s);
    (void)uv_run(&s.control, UV_RUN_DEFAULT);
    /* The loops ask the repository for its status until their end. */
    for (; s.n_loops > 0; s.n_loops--)
        hf_loop_join(&s.serving[s.n_loops - 1].loop);
    hf_service_free(s.service);
    s.service = NULL;
    hf_repository_free(&s.repository);
    (void)uv_loop_close(&s.control);
out:
    hf_service_free(s.service);
    for (unsigned i = 0; s.serving != NULL && i < s.n_serving; i++) {
        hf_site_free(&s.serving[i].site);
        if (s.serving[i].listener >= 0)
            close(s.serving[i].listener);
    }
    free(s.serving);
    free(s.addresses);
    hf_access_log_close(s.access_log);
    hf_file_unlock(s.state_lock);
    return err;
}

/* With a configuration: read it, and take the options from it. */
static enum hf_err read_config(struct hf_serve_options *options, struct hf_config *config,
                               struct hf_why *why)
{
    const char *file = options->check_config != NULL ? options->check_config : options->config;
    HF_TRY(hf_config_read(file, config, why));
    return hf_serve_options_from_config(options, config, why);
}

/* What the configuration names must be there as well: what would keep the service from starting is found. */
static enum hf_err check_config(const struct hf_serve_options *options,
                                const struct hf_config *config, struct hf_why *why)
{
    enum hf_err err = hf_service_check(config, why);
    if (err == HF_OK)
        err = hf_repository_require(options->repo, why);
    return err == HF_OK ? HF_OK : hf_fail_context(why, "%s", options->check_config);
}

int main(int argc, char **argv)
{
    struct hf_serve_options options;
    struct hf_config config = {0};
    struct hf_why why;

    if (sodium_init() < 0)
        return HF_EXIT_FAILED;
    hf_json_seed(randombytes_random());
    int exit_code = hf_serve_options_parse(argc, (const char **)argv, &options);
    if (exit_code >= 0)
        return exit_code;
    bool is_check = options.check_config != NULL, has_config = is_check || options.config != NULL;
    enum hf_err err = has_config ? read_config(&options, &config, &why) : HF_OK;
    if (err == HF_OK && is_check)
        err = check_config(&options, &config, &why);
    if (err == HF_OK && is_check)
        printf("%s is right\n", options.check_config);
    else if (err == HF_OK)
        err = run(&options, has_config ? &config : NULL, &why);
    hf_serve_options_free(&options);
    hf_config_free(&config);
    if (err == HF_OK)
        return HF_EXIT_OK;
    if (is_check)
        fprintf(stderr, "holdfastd: %s\n", why.text);
    else
        hf_service_log(HF_LOG_ERROR, "%s", why.text);
    return HF_EXIT_FAILED;
}
