/* What the files of the fleet part share: service.c, from its start to its end, and
 * service_reload.c. */
#ifndef HF_SERVE_SERVICE_PARTS_H
#define HF_SERVE_SERVICE_PARTS_H

#include "server/api/api.h"
#include "server/findings/auditor.h"
#include "server/http/loop.h"
#include "server/serve/log_keeper.h"
#include "server/serve/route.h"
#include "server/serve/service.h"
#include "server/serve/webhook.h"

#define HF_SERVICE_OPERATORS_MAX 256u /* connections of operators */

/* One listener with its loop. */
struct front {
    struct hf_service *service;
    bool is_for_devices;
    bool is_plain; /* of devices: without TLS */
    int listener;  /* -1: the loop has it, or there is none */
    struct hf_loop loop;
    struct hf_mailbox mailbox;
    struct hf_gate gate;           /* of devices */
    struct hf_api_streams streams; /* of operators: who watches events */
    struct hf_site site;           /* of devices: the signed files */
    bool is_running;
};

struct hf_service {
    const struct hf_config *config;
    struct hf_http_config http;
    struct hf_repository *repository;
    struct hf_network balancers[HF_HTTP_BALANCERS_MAX]; /* at the start */
    size_t n_balancers;
    struct hf_tls_server *device_tls, *admin_tls; /* NULL: no such listener */
    struct hf_fleet *fleet;
    struct hf_api api;
    bool has_api, has_socket;
    struct hf_log_keeper *keeper; /* NULL: no signer */
    struct hf_auditor *auditor;
    struct hf_rollout_keeper *rollouts;
    struct hf_webhook *webhook;
    struct hf_edition *told; /* the last one of which an event told; NULL: none */
    struct front *fronts;
    unsigned n_fronts;
};

#endif
