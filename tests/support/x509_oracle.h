/*
 * A second verifier, to compare the one that devices have with: slow, simple, straight from RFC
 * 5280, section 6, and RFC 9525, in their order and their words. It tries every path. OpenSSL
 * parses and checks signatures; no line and no idea is shared with common/chain.
 *
 * What it adds to the RFC is what Holdfast promises beyond it:
 *  - of an anchor count the dates that were signed for it, and its certificate's constraints (RFC
 *    5937);
 *  - the server's key may sign, and every certificate may be used for TLS servers;
 *  - keys and hashes are RSA from 2048 bits, P-256, P-384, P-521 and SHA-2;
 *  - no wildcard below a top-level domain, and no common name.
 */
#ifndef HF_TESTS_SUPPORT_X509_ORACLE_H
#define HF_TESTS_SUPPORT_X509_ORACLE_H

#include "tests/support/x509_judge.h"

#include <openssl/x509.h>

/** X509_NOT_ASKED: there are more paths than are tried. After a refusal `why` has the fault of the
 *  last path that reached an anchor. */
enum x509_answer x509_oracle(const struct x509_case *c, struct hf_why *why);

/** Does this key verify this certificate? For a fuzzer whose signatures are none; NULL:
 *  X509_verify. */
typedef bool (*x509_oracle_signed_fn)(X509 *cert, EVP_PKEY *key);
void x509_oracle_set_signed(x509_oracle_signed_fn is_signed);

#endif
