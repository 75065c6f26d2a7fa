/* The parts of the oracle (x509_oracle.h): certificates, names, policies. */
#ifndef HF_TESTS_SUPPORT_X509_ORACLE_PARTS_H
#define HF_TESTS_SUPPORT_X509_ORACLE_PARTS_H

#include <holdfast/error.h>

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <stdbool.h>
#include <stdint.h>

/* A certificate with its extensions decoded, each NULL where there is none. */
struct oracle_cert {
    X509 *x509; /* NULL: it cannot be used at all */
    int64_t not_before_s, not_after_s;
    BASIC_CONSTRAINTS *basic;
    ASN1_BIT_STRING *key_usage;
    EXTENDED_KEY_USAGE *usages;
    GENERAL_NAMES *names;
    NAME_CONSTRAINTS *constraints;
    CERTIFICATEPOLICIES *policies;
    POLICY_MAPPINGS *mappings;
    POLICY_CONSTRAINTS *policy_constraints;
    ASN1_INTEGER *inhibit_any;
    const char *fault; /* what no path with it survives; NULL: nothing */
    /* … if it issued another one. Constraints of the server's own certificate limit no name. */
    const char *issuer_fault;
};

/** Decode. Sets `fault` or leaves x509 NULL for what it cannot use. */
void oracle_cert_read(const uint8_t *der, size_t len, struct oracle_cert *out);
void oracle_cert_free(struct oracle_cert *cert);
/** RFC 5280, 6.1: the same name in subject and issuer. */
bool oracle_is_self_issued(const struct oracle_cert *cert);
/** The value of an INTEGER that is no negative one, at most INT32_MAX. */
int64_t oracle_number(const ASN1_INTEGER *number);

/* ---- names ----------------------------------------------------------------------------------- */

/** RFC 5280, 7.1. */
bool oracle_is_same_name(const X509_NAME *a, const X509_NAME *b);

/** RFC 5280, 6.1.3 (b) and (c): are the names of `cert` within what each of the certificates above
 *  permits (the first of `n`, from the anchor down)? NULL, or what is not. */
const char *oracle_name_fault(const struct oracle_cert *cert,
                              const struct oracle_cert *const *above, size_t n);

/** RFC 9525, 6: is this server's certificate for this host, a DNS name or an address? */
bool oracle_is_for_host(const struct oracle_cert *leaf, const char *host);

/* ---- policies -------------------------------------------------------------------------------- */

/* valid_policy_tree and the three counters of RFC 5280, 6.1.2. */
struct oracle_policies;

/** For a path of `n` certificates, the anchor included. */
struct oracle_policies *oracle_policies_new(int64_t n);
void oracle_policies_free(struct oracle_policies *policies);
/** RFC 5937, 3.2: what the anchor says is where the path begins; one that names no policy is for
 *  any. False: it maps any policy. */
bool oracle_policies_begin(struct oracle_policies *policies, const struct oracle_cert *anchor);
/** 6.1.3 (d) to (f) with certificate i of the path (1: the anchor); false: the path is not
 *  valid. */
bool oracle_policies_process(struct oracle_policies *policies, const struct oracle_cert *cert,
                             int64_t i);
/** 6.1.4 (a), (b), (h) to (j), with a certificate that is not the last. */
bool oracle_policies_prepare(struct oracle_policies *policies, const struct oracle_cert *cert,
                             int64_t i);
/** 6.1.5 (a), (b), (g), with the last. */
bool oracle_policies_wrap_up(struct oracle_policies *policies, const struct oracle_cert *cert);
/** The tree grew beyond what it may. */
bool oracle_policies_is_full(const struct oracle_policies *policies);

#endif
