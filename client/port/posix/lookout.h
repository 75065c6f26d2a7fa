/*
 * The endpoint port over sockets: looks at the chains that the device's own servers show, with TLS
 * handshakes and nothing more. Proxies are not used: this is about the servers themselves.
 *
 * Where the device has a client certificate, it is shown to a server only if its chain validates
 * under the anchors of all sets together; whoever holds a CA that is being dropped never sees it, since
 * the sets are without that. Every other handshake shows nothing and takes the chain down as it is.
 */
#ifndef HF_CLIENT_PORT_POSIX_LOOKOUT_H
#define HF_CLIENT_PORT_POSIX_LOOKOUT_H

#include <holdfast/posix.h>

struct hf_lookout;

/** Copies what `config` says of endpoints and of the client certificate, which is read anew at each
 *  look: one that cannot be read is logged and not shown. HF_E_ARGUMENT, HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_lookout_new(const struct hf_posix_config *config, struct hf_log_port log,
                                       struct hf_lookout **out, struct hf_why *why);
void hf_lookout_free(struct hf_lookout *lookout);

/** All zero where there is no endpoint. */
struct hf_endpoint_port hf_lookout_port(struct hf_lookout *lookout);

#endif
