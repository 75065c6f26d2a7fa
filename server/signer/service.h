/*
 * The signer as a service: one thread that waits for requests on signer.sock and for the time of the next
 * timestamp. It has no network. A request is answered before the next one is looked at, so that no two
 * signatures are ever made at once.
 */
#ifndef HF_SIGNER_SERVICE_H
#define HF_SIGNER_SERVICE_H

#include "server/signer/signer.h"

/** Until SIGTERM or SIGINT. HF_OK after an orderly end; else why it could not begin. */
HF_MUST_USE enum hf_err hf_signer_serve(struct hf_signer *signer, struct hf_why *why);

#endif
