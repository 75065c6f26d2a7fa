/*
 * hf-api DATABASE SOCKET SIGNER|- CERTIFICATE KEY: the API alone, without holdfastd around it.
 * Operators come over SOCKET, or with a token over plain TCP, devices over TLS or without it.
 * Prints "admin ADDRESS", "device ADDRESS" and "plain ADDRESS" when it listens, and ends when its
 * standard input does. hf-api routes prints METHOD, PATH and ROLE of each route.
 */
#include "server/api/api.h"
#include "server/api/limits.h"
#include "server/api/route.h"
#include "server/http/loop.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One listener with its loop. */
struct part {
    struct hf_loop loop;
    struct hf_mailbox mailbox;
    struct hf_gate *gate; /* NULL: operators */
    struct hf_api_streams streams;
    struct hf_api *api;
};

#define PARTS 4
#define UNVERIFIED_MAX 70 /* few, so that a test can send more */

static struct hf_gate gates[2]; /* with TLS, and without */
static struct hf_api api;
static struct part parts[PARTS];

static void die(const struct hf_why *why)
{
    (void)fprintf(stderr, "hf-api: %s\n", why->text);
    exit(1);
}

static void handle(void *ctx, struct hf_request *request)
{
    struct part *part = ctx;
    if (part->gate != NULL)
        hf_api_handle_device(part->api, part->gate, request);
    else
        hf_api_handle_admin(part->api, &part->streams, request);
}

static void offer(void *ctx, struct hf_directory *directory)
{
    (void)ctx;
    hf_gate_offer(&gates[0], directory);
    hf_gate_offer(&gates[1], directory);
}

static const struct hf_refusal refusals[] = {
    {400, "this is not a request of HTTP/1.1", NULL},
    {405, "the API does not know this method", NULL},
    {408, "the request did not arrive in time", NULL},
    {411, "say how long the body is (Content-Length)", NULL},
    {413, "the body is too long", NULL},
    {414, "the path is too long", NULL},
    {417, "only 100-continue can be expected here", NULL},
    {431, "the head is too long", NULL},
    {503, "the service cannot do it now", "Retry-After: 5\r\n"},
    {505, "this server speaks HTTP/1.1", NULL},
};

static void start(struct part *part, int listener, struct hf_tls_server *tls,
                  struct hf_gate *devices)
{
    struct hf_why why = {0};
    struct hf_http_config config = {
        .connections_max = 256,
        .header_timeout_ms = 10000,
        .idle_timeout_ms = 60000,
        .body_max = HF_API_ADMIN_BODY_MAX,
        .body_rules = devices != NULL ? hf_api_device_bodies : NULL,
        .n_body_rules = devices != NULL ? hf_api_n_device_bodies : 0,
        .tls = tls,
        .tls_rules = tls != NULL ? &devices->rules : NULL,
        .handler = handle,
        .handler_ctx = part,
        .refusals = refusals,
        .n_refusals = sizeof refusals / sizeof *refusals,
        .refusal_format = devices != NULL ? hf_api_refuse_device : hf_api_refuse_admin,
        .addresses = hf_address_count_new(256),
    };
    part->gate = devices;
    part->api = &api;
    if (hf_loop_init_take(&part->loop, listener, &config, &why) != HF_OK ||
        hf_mailbox_init(&part->mailbox, &part->loop.uv, &why) != HF_OK ||
        (devices == NULL &&
         hf_api_streams_init(&part->streams, api.config.fleet, &part->loop.uv, &why) != HF_OK) ||
        hf_loop_start(&part->loop, &why) != HF_OK)
        die(&why);
}

static int listen_on(const char *name)
{
    struct hf_why why = {0};
    union hf_peer address;
    int listener = -1;
    char text[HF_ADDRESS_TEXT_MAX];
    if (hf_address_parse("127.0.0.1:0", &address, &why) != HF_OK ||
        hf_listen(&address, true, &listener, &why) != HF_OK)
        die(&why);
    hf_address_format(&address, text);
    (void)printf("%s %s\n", name, text);
    return listener;
}

static void print_routes(const struct hf_api_route *const *tables)
{
    for (; *tables != NULL; tables++)
        for (const struct hf_api_route *route = *tables; route->pattern != NULL; route++)
            (void)printf("%s %s %s\n", llhttp_method_name(route->method), route->pattern,
                         hf_admin_role_name(route->role));
}

int main(int argc, char **argv)
{
    struct hf_why why = {0};
    struct hf_fleet *fleet = NULL;
    struct hf_auditor *auditor = NULL;
    struct hf_tls_server *tls = NULL;
    int local = -1;
    char end;
    if (argc == 2 && strcmp(argv[1], "routes") == 0) {
        print_routes(hf_api_admin_routes);
        print_routes(hf_api_device_routes);
        return 0;
    }
    if (argc != 6 || sodium_init() < 0)
        return 2;
    hf_json_seed(randombytes_random());
    const struct hf_fleet_config fleet_config = {.path = argv[1], .offer = offer};
    const struct hf_tls_certificate certificate = {argv[4], argv[5]};
    if (hf_fleet_open(&fleet_config, &fleet, &why) != HF_OK)
        die(&why);
    hf_gate_init(&gates[0], fleet);
    hf_gate_init(&gates[1], fleet);
    const struct hf_auditor_config auditing = {.fleet = fleet,
                                               .settings = {.ca_expiring_s = 30 * 86400,
                                                            .certificate_expiring_s = 30 * 86400,
                                                            .rotation_stuck_s = 86400,
                                                            .device_silent_s = 86400,
                                                            .device_silent_after_update_s = 21600,
                                                            .clock_wrong_s = 3600,
                                                            .conflict_s = 86400},
                                               .every_s = 3600};
    if (hf_auditor_start(&auditing, &auditor, &why) != HF_OK)
        die(&why);
    const struct hf_api_config config = {.fleet = fleet,
                                         .auditor = auditor,
                                         .signer_socket = strcmp(argv[3], "-") != 0 ? argv[3]
                                                                                    : NULL,
                                         .version = "test",
                                         .unverified_max = UNVERIFIED_MAX};
    if (hf_api_start(&api, &config, &why) != HF_OK ||
        hf_tls_server_new(&certificate, 1, &tls, &why) != HF_OK ||
        hf_listen_local(argv[2], 0660, (gid_t)-1, &local, &why) != HF_OK)
        die(&why);
    start(&parts[0], local, NULL, NULL);
    start(&parts[1], listen_on("admin"), NULL, NULL);
    start(&parts[2], listen_on("device"), tls, &gates[0]);
    start(&parts[3], listen_on("plain"), NULL, &gates[1]);
    (void)fflush(stdout);
    while (read(STDIN_FILENO, &end, 1) > 0)
        ;
    for (size_t i = 0; i < PARTS; i++) {
        hf_loop_stop(&parts[i].loop);
        hf_mailbox_close(&parts[i].mailbox);
        if (parts[i].gate == NULL)
            hf_api_streams_close(&parts[i].streams);
    }
    for (size_t i = 0; i < PARTS; i++) {
        hf_loop_join(&parts[i].loop);
        hf_mailbox_free(&parts[i].mailbox);
        free((void *)(uintptr_t)parts[i].loop.conns.config.addresses);
    }
    hf_auditor_stop(auditor);
    hf_api_stop(&api);
    hf_gate_free(&gates[0]);
    hf_gate_free(&gates[1]);
    hf_fleet_close(fleet);
    hf_tls_server_free(tls);
    return 0;
}
