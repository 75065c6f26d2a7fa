/*
 * Certificate policies along a path (RFC 5280, 6.1.2 to 6.1.5), with anyPolicy as the initial set
 * and nothing required at first: what is left of them is whether the path's own certificates
 * require a policy that it does not have. What an anchor says of policies limits its paths (RFC
 * 5937, 3.2). No I/O.
 */
#ifndef HF_COMMON_CHAIN_CERTIFICATE_POLICIES_H
#define HF_COMMON_CHAIN_CERTIFICATE_POLICIES_H

#include "common/bundle/certificate.h"

/* Policies that are followed at once; real CAs have a dozen. A path that requires a policy and has
 * more is refused. */
#define HF_POLICIES_MAX 64

/** `path` is from the anchor down to the server's own certificate. */
HF_MUST_USE bool hf_policies_allow(const struct hf_certificate *const *path, size_t n);

#endif
