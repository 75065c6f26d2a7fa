/*
 * The API of the service, /v1: what devices call to enrol and to rotate their certificates, and
 * what operators call. This header is what holdfastd wires up: one hf_api for the process. Each
 * loop that answers requests has a mailbox (server/fleet/worker.h), that of a device listener a
 * gate, and that of an admin listener its streams of events.
 */
#ifndef HF_API_API_H
#define HF_API_API_H

#include "common/json/json.h"
#include "server/api/gate.h"
#include "server/api/metrics.h"
#include "server/api/streams.h"
#include "server/findings/auditor.h"
#include "server/fleet/fleet.h"
#include "server/fleet/published.h"
#include "server/http/connection.h"
#include "server/rollout/keeper.h"

struct hf_api_config {
    struct hf_fleet *fleet;
    struct hf_auditor *auditor;         /* NULL: there are no audits */
    struct hf_rollout_keeper *rollouts; /* NULL: none is followed */
    const char *signer_socket; /* NULL: there is no signer, and nothing is issued or published */
    const char *version;       /* of the program, for GET /v1/status */
    /* Reports that an account keeps of clients that prove nothing; 0: HF_FLEET_UNVERIFIED_MAX. */
    int64_t unverified_max;
    /* Members of GET /v1/status that the API does not know, such as what is served: a new
     * reference, or NULL. On any worker's thread. May be NULL. */
    json_t *(*status)(void *ctx);
    /* What the API does not count itself, such as connections, for GET /metrics. On any worker's
     * thread. May be NULL. */
    void (*metrics)(void *ctx, struct hf_metrics *m);
    void *ctx; /* of both */
};

/** All is borrowed, but for the config itself. */
struct hf_api {
    struct hf_api_config config;
    struct hf_worker signer; /* talks to the signer, one call at a time */
    struct hf_worker disk;   /* writes backups, one at a time */
    int signer_connection;   /* of that thread; -1: none */
    atomic_bool is_ending;   /* a call under way gives up */
    int64_t started_s;
    _Atomic int64_t unverified_max;
    uv_mutex_t mutex;               /* over the next */
    struct hf_published *published; /* NULL: nothing is served yet */
};

/** Start the threads that talk to the signer and write backups. `api` must not move. */
HF_MUST_USE enum hf_err hf_api_start(struct hf_api *api, const struct hf_api_config *config,
                                     struct hf_why *why);
/** The service ends: calls of the signer are given up, and their requests answered 503. From any
 *  thread. */
void hf_api_end(struct hf_api *api);
/** As hf_api_config.unverified_max. From any thread. */
void hf_api_set_unverified_max(struct hf_api *api, int64_t max);
/** Compare the fleet with these bundles from now on. From any thread. */
void hf_api_offer(struct hf_api *api, struct hf_published *published);
/** What was offered last, with a reference for the caller; NULL: nothing. From any thread. */
struct hf_published *hf_api_published(struct hf_api *api);
/** After all loops have ended. */
void hf_api_stop(struct hf_api *api);

/** Does the path of a request belong to the API ("/v1/…")? */
bool hf_api_is_path(const struct hf_request *request);

/* How long the bodies of devices may be, by path (hf_http_config). */
extern const struct hf_body_rule hf_api_device_bodies[];
extern const size_t hf_api_n_device_bodies;

/** Answer a request of an admin listener: of the Unix socket, whose clients are administrators, or
 *  with a token. `streams` are those of its loop. */
void hf_api_handle_admin(struct hf_api *api, struct hf_api_streams *streams,
                         struct hf_request *request);
/** Answer a request of a device listener, which `gate` judges. */
void hf_api_handle_device(struct hf_api *api, struct hf_gate *gate, struct hf_request *request);

/** hf_http_config.refusal_format of the two: problem+json for all requests of operators, and of
 *  devices for those whose target begins with "/v1/". */
const char *hf_api_refuse_admin(const struct hf_request *request, unsigned status,
                                const char *sentence, struct hf_buf *out);
const char *hf_api_refuse_device(const struct hf_request *request, unsigned status,
                                 const char *sentence, struct hf_buf *out);

/* Every route, for the documents' test: each table ends with a route without pattern, the list with
 * NULL. */
extern const struct hf_api_route *const hf_api_admin_routes[];
extern const struct hf_api_route *const hf_api_device_routes[];

#endif
