/*
 * The signer as a service: one thread that waits for requests on signer.sock and for the time of
 * the next timestamp. It has no network. A request is answered before the next one is looked at, so
 * that no two signatures are ever made at once.
 */
#ifndef HF_SIGNER_SERVICE_H
#define HF_SIGNER_SERVICE_H

#include "server/signer/signer.h"

/** Until SIGTERM or SIGINT; SIGHUP reads `config_path` again and takes its rates, if all of the
 *  file is right. HF_OK after an orderly end; else why it could not begin. */
HF_MUST_USE enum hf_err hf_signer_serve(struct hf_signer *signer, const char *config_path,
                                        struct hf_why *why);

/* The same step by step, without signals, for tests. */

struct hf_signer_service;

/** Listen at the socket of the configuration. HF_E_NOT_FOUND without the configured user,
 *  HF_E_STORAGE, HF_E_LIMIT. */
HF_MUST_USE enum hf_err hf_signer_service_open(struct hf_signer *signer,
                                               struct hf_signer_service **out, struct hf_why *why);
/** Wait at most `most_ms` for something to do, and do it: one request of each client, one new
 *  client. False at the end. */
bool hf_signer_service_step(struct hf_signer_service *service, int most_ms);
void hf_signer_service_close(struct hf_signer_service *service);

#endif
