/*
 * The fleet part of holdfastd: the store, the listeners of devices with and without TLS, and those
 * of operators, each loop with what its requests need. Without a configuration that has [devices]
 * or [admin] there is none of it, and holdfastd serves a folder as before.
 */
#ifndef HF_SERVE_SERVICE_H
#define HF_SERVE_SERVICE_H

#include "server/config/config.h"
#include "server/http/connection.h"
#include "server/http/settings.h"
#include "server/serve/edition.h"
#include "server/serve/repository.h"

struct hf_service;

struct hf_service_setup {
    const struct hf_config *config;    /* borrowed for as long as the service is open */
    const struct hf_http_config *http; /* limits, log and addresses of all listeners; copied */
    struct hf_repository *repository;  /* for /healthz and GET /v1/status */
    unsigned loops;                    /* of the device listener */
    /* Of the listener without TLS, one for each of its loops: taken, and -1 after it. */
    int *plain_listeners;
    unsigned n_plain; /* 0: there is none */
};

/** Open the database, read certificates, and listen; nothing is served yet. `*out` is to be freed
 *  by hf_service_free, also after a later failure. HF_E_BUSY while another holdfastd has the
 *  database; HF_E_KEY, HF_E_NETWORK, … */
HF_MUST_USE enum hf_err hf_service_open(const struct hf_service_setup *setup,
                                        struct hf_service **out, struct hf_why *why);
/** Serve. On failure some loops may run: hf_service_stop. */
HF_MUST_USE enum hf_err hf_service_start(struct hf_service *service, struct hf_why *why);

/** Serve this edition from now on. */
void hf_service_offer(struct hf_service *service, struct hf_edition *edition);
/** Have all loops run since the last call? */
bool hf_service_is_alive(struct hf_service *service);
/** After the start. Go on with the certificates, balancers, SNI policy, audits, webhook and limits
 *  of reports of `config`, and with `settings`, in which no balancers are. All is read and checked
 *  first: on failure nothing has changed, and `why` says what is wrong. */
HF_MUST_USE enum hf_err hf_service_reload(struct hf_service *service,
                                          const struct hf_config *config,
                                          struct hf_http_settings *settings, struct hf_why *why);
/** Every ten seconds: what is due in the store. */
void hf_service_tick(struct hf_service *service);

/** Finish what is under way. */
void hf_service_stop(struct hf_service *service);
/** Wait for the end, and free. NULL is fine. */
void hf_service_free(struct hf_service *service);

#endif
