/*
 * What is said over signer.sock: a Unix socket of whole packets (SOCK_SEQPACKET), one JSON object
 * each.
 *
 *     {"verb": "issue", …}  ->  {"ok": true, …}
 *                               {"ok": false, "error": "policy", "sentence": "…"}
 *
 * `error` is what hf_err_name says, so that the caller gets the code and the sentence of the
 * signer. A request may carry one descriptor (`publish`: the folder that the operator hands over).
 */
#ifndef HF_SIGNER_PROTOCOL_H
#define HF_SIGNER_PROTOCOL_H

#include "common/json/json.h"
#include "server/signer/limits.h"

#include <stdatomic.h>

/** Send one packet, with a copy of the descriptor `fd` unless that is negative. HF_E_LIMIT for a
 *  longer one, HF_E_NETWORK when the other side is gone. Blocks as the socket does. */
HF_MUST_USE enum hf_err hf_signer_send(int socket, const json_t *message, int fd,
                                       struct hf_why *why);

/**
 * Receive one packet. `*fd` is a descriptor that came with it, to be closed, or -1; more than one
 * are closed at once. HF_E_NETWORK when the other side is gone or nothing came in time
 * (SO_RCVTIMEO); HF_E_FORMAT and HF_E_LIMIT for a packet that is no object or too long; the
 * connection is good for further packets then.
 */
HF_MUST_USE enum hf_err hf_signer_receive(int socket, json_t **out, int *fd, struct hf_why *why);

/** The answer to a verb that was refused or failed; a new reference, NULL without memory. */
json_t *hf_signer_refusal(const struct hf_why *why);

/**
 * Ask: connect to `path`, send `request`, which is taken, with a copy of `fd` unless that is
 * negative, and wait for the answer. HF_OK only if it says ok: `*answer` is a new reference.
 * Otherwise the code and the sentence of the signer, or HF_E_NETWORK where there is none. Blocks at
 * most HF_SIGNER_CALL_TIMEOUT_MS: for worker threads and command lines; gives up soon after
 * `*is_ending` (may be NULL) became true. `*connection` is -1 before the first call and stays open
 * for the next one; it is the caller's to close.
 */
HF_MUST_USE enum hf_err hf_signer_call_take(const char *path, int *connection, json_t *request,
                                            int fd, const atomic_bool *is_ending, json_t **answer,
                                            struct hf_why *why);

#endif
