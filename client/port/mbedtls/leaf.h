/*
 * Whose chain is being built on this thread, and which certificate of it is the anchor?
 *
 * distrust_after is about the date on which the leaf was issued, but when Mbed TLS asks for the
 * issuer of an intermediate it does not say whose chain the intermediate is in. It asks for leaf,
 * first intermediate, second, … in turn on one thread, and then calls the verify callback from the
 * top of the chain down to the leaf. So the first question is remembered, and what was assumed is
 * checked when the leaf itself comes by at the end.
 *
 * A verification that stopped half-way (out of memory, a chain that is too long, a callback of the
 * application that failed) gives no notice. The next one is recognised by the certificates
 * that its server sent. If the guess is wrong all the same, the check at the end refuses one
 * handshake and forgets everything.
 *
 * The verify callback does not learn either which certificate is the trust anchor. It is the one that
 * was offered for the certificate below it.
 */
#ifndef HF_CLIENT_PORT_MBEDTLS_LEAF_H
#define HF_CLIENT_PORT_MBEDTLS_LEAF_H

#include <holdfast/trust_store.h>

/** Mbed TLS asks for the issuer of `child`. When was the leaf of its chain issued? */
int64_t hf_leaf_not_before(const mbedtls_x509_crt *child);

/** These anchors are the answer for the certificate that hf_leaf_not_before was called with last,
 *  or are added at the end of those before. NULL: none. */
void hf_leaf_offer(const mbedtls_x509_crt *anchors);

/** Is `crt` one of the anchors that were offered last? False where that is not known. */
HF_MUST_USE bool hf_leaf_is_offered(const mbedtls_x509_crt *crt);

/** The question failed, and with it the verification. */
void hf_leaf_abandon(void);

/** The chain of `leaf` is complete. Was it built for a leaf of that date? */
HF_MUST_USE bool hf_leaf_confirm(const mbedtls_x509_crt *leaf);

#endif
