/*
 * One chain, several judges: the verdict by which preflight, probes and lint decide, and handshakes
 * of a client that is bound to the live trust store. Any bytes may stand in a chain, also
 * certificates that no TLS library would send. For tests; what goes wrong in the setting up ends
 * the program.
 */
#ifndef HF_TESTS_SUPPORT_X509_JUDGE_H
#define HF_TESTS_SUPPORT_X509_JUDGE_H

#include <holdfast/anchor.h>

#include <mbedtls/ssl.h>

/* Would these anchors validate what a server sent? All is borrowed. */
struct x509_case {
    const char *host; /* a DNS name or an address; NULL: any name will do */
    int64_t at_s;
    const struct hf_trust_anchor *anchors;
    size_t n_anchors;
    const struct hf_bytes *sent; /* DER, the server's own certificate first */
    size_t n_sent;
};

enum x509_answer { X509_REFUSED = 0, X509_ACCEPTED, X509_NOT_ASKED };

/** The anchor that this certificate is, without other dates than its own. False: it cannot be
 *  parsed. */
bool x509_anchor_of(struct hf_bytes der, struct hf_trust_anchor *out);

/** The verdict (common/chain). After a refusal `why` says why. */
enum x509_answer x509_judge_verdict(const struct x509_case *c, struct hf_why *why);

/** Does a client go past the server's certificate? It is shown the chain in a Certificate message
 *  of that version. Sets the clock of the process (hf_trust_store_set_clock). */
enum x509_answer x509_judge_live(const struct x509_case *c, mbedtls_ssl_protocol_version version,
                                 struct hf_why *why);

#endif
