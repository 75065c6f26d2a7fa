/*
 * The limits of what the server accepts about identities, each with its unit and its reason. Those
 * of certificates in general are in common/base/limits.h.
 */
#ifndef HF_IDENTITY_LIMITS_H
#define HF_IDENTITY_LIMITS_H

/* RSA keys, in bits: the least is AWS's. Above the most, one signature costs a loop a
 * millisecond. */
#define HF_RSA_BITS_MIN 2048u
#define HF_RSA_BITS_MAX 8192u
#define HF_RSA_EXPONENT_BITS_MAX 64 /* a longer one makes each verification many times slower */

/* A certificate signing request of RSA 8192 with some attributes has 3 KiB as PEM. */
#define HF_CSR_BYTES_MAX (16u * 1024u)

#define HF_SNI_MAX 253        /* characters of a DNS name (RFC 1035, 2.3.4) */
#define HF_SERIAL_TEXT_MAX 65 /* hexadecimal digits and a NUL; RFC 5280, 4.1.2.2: 40 digits */

/* The whole directory is in memory, once for each change that a loop has not taken yet. */
#define HF_DIRECTORY_ACCOUNTS_MAX 65536u
#define HF_DIRECTORY_SNIS_MAX 262144u
#define HF_DIRECTORY_CAS_MAX 65536u
/* CAs of one subject and account that a certificate is tried against: an attacker's certificate
 * costs a loop at most so many signatures. */
#define HF_DIRECTORY_SAME_SUBJECT_MAX 8u

/* Slots: 64 million certificates, 4 GiB with the empty slots among them. */
#define HF_REGISTRY_ENTRIES_MAX (64u * 1024u * 1024u)
#define HF_REGISTRY_SLOTS_MIN 1024u

#endif
