/*
 * holdfastd: serves a TUF repository over HTTP and, with a configuration, is the fleet service
 * (service.h). Holds no key that signs. One loop, which serves no client, watches the repository
 * and handles signals; the serving loops run beside it.
 */
#include "common/cli/cli.h"
#include "common/json/json.h"
#include "common/os/file_util.h"
#include "common/os/service.h"
#include "server/http/loop.h"
#include "server/serve/config_files.h"
#include "server/serve/options.h"
#include "server/serve/process.h"
#include "server/serve/route.h"
#include "server/serve/service.h"

#include <sodium.h>

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
    struct hf_config reloaded;              /* the last one that was taken by a reload */
    bool has_reloaded;
    struct hf_service *service;       /* NULL: none */
    int state_lock;                   /* -1: none */
    struct hf_access_log *access_log; /* NULL: off */
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

/* ---- the control loop ------------------------------------------------------------------------ */

/* A loop that did not run since the last call serves no client: without a notice systemd
 * restarts. */
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

/* What the loops share may be limited further by descriptors. */
static struct hf_http_settings settings_of(const struct hf_serve_options *o)
{
    unsigned connections = hf_raise_descriptors(o->connections_max);
    return (struct hf_http_settings){
        .connections_max = (connections + o->loops - 1) / o->loops,
        .header_timeout_ms = UINT64_C(1000) * o->header_timeout_s,
        .idle_timeout_ms = UINT64_C(1000) * o->idle_timeout_s,
    };
}

static void log_changes(const struct server *s, const struct hf_config *fresh)
{
    const struct hf_config *before = s->has_reloaded ? &s->reloaded : s->config;
    const char *section = NULL, *name = NULL;
    for (size_t i = 0; hf_config_row(i, &section, &name); i++) {
        bool is_taken = hf_config_is_reloadable(i);
        if (strcmp(section, "signer") == 0 && strcmp(name, "socket") != 0)
            continue; /* of holdfast-signer */
        if (hf_config_differs(is_taken ? before : s->config, fresh, i))
            hf_service_log(is_taken ? HF_LOG_INFO : HF_LOG_WARNING, "[%s] %s has changed: %s",
                           section, name,
                           is_taken ? "it counts from now on"
                                    : "it counts after a restart of holdfastd");
    }
}

/* All that can fail comes before the first change. */
static enum hf_err apply(struct server *s, const struct hf_config *config,
                         const struct hf_serve_options *o, struct hf_why *why)
{
    const struct hf_http_settings values = settings_of(o);
    struct hf_http_settings *settings = NULL;
    HF_TRY(hf_access_log_check(o->access_log, why));
    HF_TRY(hf_http_settings_new(&values, &settings, why));
    enum hf_err err = s->service != NULL ? hf_service_reload(s->service, config, settings, why)
                                         : HF_OK;
    if (err == HF_OK) {
        for (unsigned i = 0; i < s->n_loops; i++)
            hf_loop_offer(&s->serving[i].loop, settings);
        hf_address_count_set_max(s->addresses, o->per_address_max);
    }
    hf_http_settings_unref(settings);
    return err;
}

/* A file with a fault changes nothing. */
static void reload(struct server *s)
{
    struct hf_serve_options options = {0};
    struct hf_config config = {0};
    struct hf_why why;
    enum hf_err err = hf_config_read(s->options->config, &config, &why);
    if (err == HF_OK)
        err = hf_serve_options_from_config(&options, &config, &why);
    if (err == HF_OK)
        err = hf_config_check_files(&config, &why);
    options.loops = s->options->loops; /* as many as there are */
    if (err == HF_OK)
        err = apply(s, &config, &options, &why);
    if (err == HF_OK) {
        hf_access_log_move_take(s->access_log, options.access_log);
        options.access_log = NULL;
        log_changes(s, &config);
        hf_config_free(&s->reloaded);
        s->reloaded = config;
        s->has_reloaded = true;
    } else {
        hf_service_log(HF_LOG_ERROR, "the configuration stays as it was: %s", why.text);
        hf_config_free(&config);
    }
    hf_serve_options_free(&options);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct server *s = handle->data;
    if (number == SIGHUP) {
        hf_notify_reloading();
        hf_repository_reload(&s->repository);
        if (s->options->config != NULL)
            reload(s);
        if (s->access_log != NULL)
            hf_access_log_reopen(s->access_log);
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

/* ---- starting -------------------------------------------------------------------------------- */

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
        HF_TRY(hf_take_state(o->state, &s->state_lock, why));

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
    const struct hf_http_settings settings = settings_of(o);
    s->http = (struct hf_http_config){
        .connections_max = settings.connections_max,
        .header_timeout_ms = settings.header_timeout_ms,
        .idle_timeout_ms = settings.idle_timeout_ms,
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
    hf_config_free(&s.reloaded);
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

/* What the configuration names must be there as well: what would keep the service from starting is
 * found. */
static enum hf_err check_config(const struct hf_serve_options *options,
                                const struct hf_config *config, struct hf_why *why)
{
    enum hf_err err = hf_config_check_files(config, why);
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
