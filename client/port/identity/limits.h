/* The maxima of a device's identity, each with its unit and its reason. */
#ifndef HF_CLIENT_PORT_IDENTITY_LIMITS_H
#define HF_CLIENT_PORT_IDENTITY_LIMITS_H

#include <stdint.h>

#define HF_CLIENT_AUTH_BYTES_MAX (64u * 1024u) /* of a file; a chain of RSA 8192 has 20 KiB */
#define HF_ANSWER_BYTES_MAX (96u * 1024u) /* of an API answer: such a chain as a string in JSON */
#define HF_PUBLIC_KEY_DER_MAX 1024        /* bytes of a SubjectPublicKeyInfo; RSA 4096 has 550 */
#define HF_CSR_DER_MAX 4096               /* bytes; RSA 4096 with a name of 128 has 1,300 */
#define HF_KEY_PEM_MAX 8192               /* bytes; RSA 4096 has 3,250 */
#define HF_ORIGIN_TEXT_MAX 280            /* bytes of "https://" HOST ":" PORT and its NUL */
#define HF_SLOT_NUMBER_MAX 999999999u     /* a rotation a second would take thirty years */

/* Waits of rotations, in seconds. The service renews a certificate at most once an hour, and a
 * fleet that is refused must not come back together. */
#define HF_ROTATION_RETRY_FIRST_S INT64_C(900)
#define HF_ROTATION_RETRY_MAX_S INT64_C(86400)
#define HF_ROTATION_FAILURES_MAX 16 /* counted; the longest wait is reached with 8 */
/* Tries of a new certificate that failed while the service accepted the present one; then the
 * device asks for another. With the waits above they take three hours at least, so that a fault of
 * the network that hits only the new one has passed or is an attacker's. */
#define HF_CANDIDATE_TRIES_MAX 5

#endif
