#include "server/serve/service_parts.h"

#include "common/os/service.h"
#include "server/api/limits.h"
#include "server/serve/config_files.h"
#include "server/serve/edition_events.h"
#include "server/serve/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ADMIN_FRONTS_MAX 2u /* the socket, and TLS */

static const struct hf_refusal refusals[] = {
    {400, "this is not a request of HTTP/1.1 that names a path", NULL},
    {403, "this client may not do that", NULL},
    {404, "there is nothing of that name", NULL},
    {405, "this path does not know the method", NULL},
    {408, "the request did not arrive in time", NULL},
    {411, "say how long the body is (Content-Length)", NULL},
    {413, "the body is longer than this path takes", NULL},
    {414, "the path is too long", NULL},
    {417, "only 100-continue can be expected here", NULL},
    {421, "this connection belongs to another account; open a new one for this name", NULL},
    {431, "the request's head is longer than 8 KiB", NULL},
    {503, "the service cannot do it now", "Retry-After: 10\r\n"},
    {505, "this server speaks HTTP/1.1 and HTTP/1.0", NULL},
};

/* ---- requests -------------------------------------------------------------------------------- */

static void handle_device(void *ctx, struct hf_request *request)
{
    struct front *front = ctx;
    struct hf_identity identity;
    char text[256];
    if (hf_api_is_path(request)) {
        hf_api_handle_device(&front->service->api, &front->gate, request);
        return;
    }
    unsigned status = hf_gate_check(&front->gate, request, HF_GATE_REPOSITORY, &identity);
    if (status == 0) {
        hf_site_handle(&front->site, request);
    } else if (status == 403) {
        int len = snprintf(text, sizeof text, "403 Forbidden: %s\n", identity.sentence);
        hf_answer_text(request, status, "text/plain", text,
                       (size_t)len < sizeof text ? (size_t)len : sizeof text - 1);
    } else {
        hf_answer_refusal(request, status);
    }
}

static void handle_operator(void *ctx, struct hf_request *request)
{
    struct front *front = ctx;
    hf_api_handle_admin(&front->service->api, &front->streams, request);
}

static json_t *status_of_repository(void *ctx)
{
    const struct hf_service *service = ctx;
    struct hf_repository_status status;
    char text[HF_HEALTH_TEXT_MAX];
    size_t len = 0;
    hf_repository_status(service->repository, &status);
    (void)hf_health_text(&status, time(NULL), text, &len);
    return json_pack("{s:o}", "repository", json_loadb(text, len, 0, NULL));
}

/* Its place among the listeners of write_metrics. */
static unsigned kind_of(const struct front *front)
{
    if (front->is_plain)
        return 2;
    return front->is_for_devices ? 0 : 1;
}

static void write_metrics(void *ctx, struct hf_metrics *m)
{
    struct hf_service *service = ctx;
    struct hf_repository_status status;
    struct hf_listener_numbers listeners[] = {{.name = "devices"},
                                              {.name = "operators"},
                                              {.name = "plain"}};
    for (unsigned i = 0; i < service->n_fronts; i++) {
        const struct front *front = &service->fronts[i];
        if (front->is_running)
            hf_http_counters_add(&listeners[kind_of(front)].sum, &front->loop.conns.counters);
    }
    hf_metrics_of_listeners(m, listeners, sizeof listeners / sizeof listeners[0]);
    hf_repository_status(service->repository, &status);
    hf_metrics_of_repository(m, &status);
    const struct hf_webhook_numbers *numbers = hf_webhook_numbers(service->webhook);
    hf_metrics_family(m, "holdfast_webhook_deliveries_total", "counter",
                      "Findings that were delivered, and tries that failed.");
    hf_metrics_sample(m, (double)hf_counted(&numbers->delivered), "result=\"delivered\"");
    hf_metrics_sample(m, (double)hf_counted(&numbers->failed), "result=\"failed\"");
}

/* On the auditor's thread. */
static void tell_metadata_ends(void *ctx, struct hf_metadata_ends *out)
{
    const struct hf_service *service = ctx;
    struct hf_repository_status status;
    const struct hf_summary *s = &status.summary;
    hf_repository_status(service->repository, &status);
    if (!status.is_served)
        return;
    *out = (struct hf_metadata_ends){.offline_s = s->offline_expires_s, .first_s = s->expires_s};
    memcpy(out->offline_role, s->offline_expires_role, sizeof out->offline_role);
    memcpy(out->first_role, s->expires_role, sizeof out->first_role);
}

static struct hf_published *tell_published(void *ctx)
{
    return hf_api_published(&((struct hf_service *)ctx)->api);
}

/* On the writer's thread. */
static void offer_directory(void *ctx, struct hf_directory *directory)
{
    struct hf_service *service = ctx;
    for (unsigned i = 0; i < service->n_fronts; i++)
        if (service->fronts[i].is_for_devices)
            hf_gate_offer(&service->fronts[i].gate, directory);
}

/* ---- opening --------------------------------------------------------------------------------- */

static enum hf_err listen_on(const char *text, struct front *fronts, unsigned n, const char *what,
                             struct hf_why *why)
{
    union hf_peer address;
    char name[HF_ADDRESS_TEXT_MAX];
    HF_TRY(hf_address_parse(text, &address, why));
    for (unsigned i = 0; i < n; i++)
        HF_TRY(hf_listen(&address, i == 0, &fronts[i].listener, why));
    hf_address_format(&address, name);
    hf_service_log(HF_LOG_INFO, "listening for %s on https://%s (%u loops)", what, name, n);
    return HF_OK;
}

static enum hf_err open_listeners(struct hf_service *s, const struct hf_service_setup *setup,
                                  struct hf_why *why)
{
    const struct hf_config *c = s->config;
    unsigned n_tls = c->devices.listen != NULL ? setup->loops : 0;
    unsigned n_devices = n_tls + setup->n_plain;
    s->fronts = calloc(n_devices + ADMIN_FRONTS_MAX, sizeof *s->fronts);
    if (s->fronts == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for %u loops", n_devices + ADMIN_FRONTS_MAX);
    for (unsigned i = 0; i < n_devices + ADMIN_FRONTS_MAX; i++) {
        struct front *front = &s->fronts[i];
        front->service = s;
        front->listener = -1;
        front->is_for_devices = i < n_devices;
        front->is_plain = i >= n_tls && i < n_devices;
    }
    s->n_fronts = n_devices;
    for (unsigned i = 0; i < setup->n_plain; i++) {
        s->fronts[n_tls + i].listener = setup->plain_listeners[i];
        setup->plain_listeners[i] = -1;
    }
    HF_TRY(hf_config_balancers(&c->devices.balancers, s->balancers, &s->n_balancers, why));
    if (n_tls > 0) {
        HF_TRY(hf_config_tls(&c->devices.certificates, &c->devices.keys, &s->device_tls, why));
        HF_TRY(listen_on(c->devices.listen, s->fronts, n_tls, "devices", why));
    }
    if (c->admin.socket != NULL) {
        HF_TRY(hf_listen_local(c->admin.socket, 0660, (gid_t)-1, &s->fronts[s->n_fronts].listener,
                               why));
        s->n_fronts++;
        s->has_socket = true;
        hf_service_log(HF_LOG_INFO, "listening for operators on %s", c->admin.socket);
    }
    if (c->admin.listen != NULL) {
        HF_TRY(hf_config_tls(&c->admin.certificates, &c->admin.keys, &s->admin_tls, why));
        HF_TRY(listen_on(c->admin.listen, &s->fronts[s->n_fronts], 1, "operators", why));
        s->n_fronts++;
    }
    return HF_OK;
}

static enum hf_err start_webhook(struct hf_service *s, struct hf_why *why)
{
    struct hf_webhook_target *target = NULL;
    HF_TRY(hf_config_webhook(s->config, &target, why));
    return hf_webhook_start_take(s->fleet, target, &s->webhook, why);
}

static enum hf_err start_auditor(struct hf_service *s, struct hf_why *why)
{
    const struct hf_auditor_config config = {.fleet = s->fleet,
                                             .settings = hf_config_audits(s->config),
                                             .every_s = s->config->audits.every_s,
                                             .metadata = tell_metadata_ends,
                                             .published = tell_published,
                                             .ctx = s};
    return hf_auditor_start(&config, &s->auditor, why);
}

/* On the keeper's thread. */
static void ask_rollout_audits(void *ctx)
{
    struct hf_service *service = ctx;
    hf_auditor_ask(service->auditor, hf_check_find("ROLLOUT_PAUSED"));
    hf_auditor_ask(service->auditor, hf_check_find("ROLLOUT_STALLED"));
}

static enum hf_err start_rollouts(struct hf_service *s, struct hf_why *why)
{
    const struct hf_rollout_keeper_config config = {.fleet = s->fleet,
                                                    .signer_socket = s->config->signer.socket,
                                                    .published = tell_published,
                                                    .alarm = ask_rollout_audits,
                                                    .ctx = s};
    return hf_rollout_keeper_start(&config, &s->rollouts, why);
}

enum hf_err hf_service_open(const struct hf_service_setup *setup, struct hf_service **out,
                            struct hf_why *why)
{
    const struct hf_config *c = setup->config;
    struct hf_service *s = calloc(1, sizeof *s);
    if (s == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for the fleet service");
    *out = s;
    s->config = c;
    s->http = *setup->http;
    s->http.refusals = refusals;
    s->http.n_refusals = sizeof refusals / sizeof refusals[0];
    s->repository = setup->repository;
    HF_TRY(open_listeners(s, setup, why));
    const struct hf_fleet_config fleet = {.path = c->database.path,
                                          .is_sni_optional = c->devices.sni ==
                                                             HF_CONFIG_SNI_OPTIONAL,
                                          .report_keep_s = c->database.report_keep_s,
                                          .offer = offer_directory,
                                          .offer_ctx = s};
    HF_TRY(hf_fleet_open(&fleet, &s->fleet, why));
    HF_TRY(start_webhook(s, why));
    const struct hf_api_config api = {.fleet = s->fleet,
                                      .signer_socket = c->signer.socket,
                                      .version = HF_VERSION,
                                      .unverified_max = c->database.unverified_reports,
                                      .status = status_of_repository,
                                      .metrics = write_metrics,
                                      .ctx = s};
    HF_TRY(hf_api_start(&s->api, &api, why));
    s->has_api = true;
    for (unsigned i = 0; i < s->n_fronts; i++)
        if (s->fronts[i].is_for_devices) {
            hf_gate_init(&s->fronts[i].gate, s->fleet);
            s->fronts[i].site.repository = s->repository;
        }
    return c->signer.socket == NULL
               ? HF_OK
               : hf_log_keeper_start(s->fleet, c->signer.socket, &s->keeper, why);
}

static enum hf_err start_front(struct front *front, struct hf_why *why)
{
    struct hf_service *s = front->service;
    struct hf_http_config config = s->http;
    int listener = front->listener;
    bool is_local = !front->is_for_devices && s->config->admin.socket != NULL &&
                    front == &s->fronts[s->n_fronts - (s->admin_tls != NULL ? 2 : 1)];
    config.handler = front->is_for_devices ? handle_device : handle_operator;
    config.handler_ctx = front;
    config.refusal_format = front->is_for_devices ? hf_api_refuse_device : hf_api_refuse_admin;
    if (front->is_for_devices) {
        config.body_rules = hf_api_device_bodies;
        config.n_body_rules = hf_api_n_device_bodies;
    }
    if (front->is_plain) {
        config.refusals = hf_site_refusals;
        config.n_refusals = HF_SITE_REFUSALS;
    } else if (front->is_for_devices) {
        config.tls = s->device_tls;
        config.tls_rules = &front->gate.rules;
        config.balancers = s->balancers;
        config.n_balancers = s->n_balancers;
    } else {
        config.connections_max = HF_SERVICE_OPERATORS_MAX;
        config.body_max = HF_API_ADMIN_BODY_MAX;
        config.tls = is_local ? NULL : s->admin_tls;
    }
    front->listener = -1;
    HF_TRY(hf_loop_init_take(&front->loop, listener, &config, why));
    HF_TRY(hf_mailbox_init(&front->mailbox, &front->loop.uv, why));
    if (!front->is_for_devices)
        HF_TRY(hf_api_streams_init(&front->streams, s->fleet, &front->loop.uv, why));
    HF_TRY(hf_loop_start(&front->loop, why));
    front->is_running = true;
    return HF_OK;
}

enum hf_err hf_service_start(struct hf_service *service, struct hf_why *why)
{
    /* The audits look at the repository, which is there by now; no request has asked for them
     * yet. */
    HF_TRY(start_auditor(service, why));
    service->api.config.auditor = service->auditor;
    HF_TRY(start_rollouts(service, why));
    service->api.config.rollouts = service->rollouts;
    for (unsigned i = 0; i < service->n_fronts; i++)
        HF_TRY(start_front(&service->fronts[i], why));
    return HF_OK;
}

/* ---- while it runs --------------------------------------------------------------------------- */

void hf_service_offer(struct hf_service *service, struct hf_edition *edition)
{
    hf_edition_tell(hf_fleet_events(service->fleet), service->told, edition);
    hf_edition_unref(service->told);
    service->told = hf_edition_ref(edition);
    for (unsigned i = 0; i < service->n_fronts; i++)
        if (service->fronts[i].is_for_devices)
            hf_site_offer(&service->fronts[i].site, edition);
    hf_api_offer(&service->api, edition->published);
}

bool hf_service_is_alive(struct hf_service *service)
{
    bool are_alive = true;
    for (unsigned i = 0; i < service->n_fronts; i++)
        are_alive &= !service->fronts[i].is_running || hf_loop_is_alive(&service->fronts[i].loop);
    return are_alive;
}

void hf_service_tick(struct hf_service *service)
{
    hf_fleet_tick(service->fleet);
}

/* ---- the end --------------------------------------------------------------------------------- */

void hf_service_stop(struct hf_service *service)
{
    if (service->has_api)
        hf_api_end(&service->api);
    for (unsigned i = 0; i < service->n_fronts; i++)
        if (service->fronts[i].is_running) {
            hf_loop_stop(&service->fronts[i].loop);
            hf_mailbox_close(&service->fronts[i].mailbox);
            if (!service->fronts[i].is_for_devices)
                hf_api_streams_close(&service->fronts[i].streams);
        }
}

void hf_service_free(struct hf_service *s)
{
    if (s == NULL)
        return;
    for (unsigned i = 0; i < s->n_fronts; i++)
        if (s->fronts[i].is_running) {
            hf_loop_join(&s->fronts[i].loop);
            hf_mailbox_free(&s->fronts[i].mailbox);
        }
    hf_log_keeper_stop(s->keeper);
    hf_rollout_keeper_stop(s->rollouts); /* it asks for audits */
    hf_auditor_stop(s->auditor);
    hf_webhook_stop(s->webhook);
    if (s->has_api)
        hf_api_stop(&s->api);
    for (unsigned i = 0; i < s->n_fronts; i++) {
        if (s->fronts[i].is_for_devices && s->fleet != NULL) {
            hf_gate_free(&s->fronts[i].gate);
            hf_site_free(&s->fronts[i].site);
        }
        if (s->fronts[i].listener >= 0)
            close(s->fronts[i].listener);
    }
    hf_edition_unref(s->told);
    hf_fleet_close(s->fleet);
    hf_tls_server_free(s->device_tls);
    hf_tls_server_free(s->admin_tls);
    if (s->has_socket)
        (void)unlink(s->config->admin.socket);
    free(s->fronts);
    free(s);
}
