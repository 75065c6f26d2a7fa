/*
 * Every maximum, with its unit and its reason. Nothing that comes from outside is larger, longer
 * or more than what stands here.
 */
#ifndef HF_COMMON_LIMITS_H
#define HF_COMMON_LIMITS_H

/* Metadata, in bytes. Root, timestamp: unsigned size before download, so bounded here (TUF W, X).
 * Snapshot, targets: bounded by the length their parent announces where it does, by this always. A
 * device stays below 8 MiB of heap, whatever is signed: an attacker with an online key may sign
 * anything.
 *   root       64 keys of RSA-4096 as PEM, and a signature of each, are 130 KiB
 *   snapshot   512 files with lengths and hashes are 80 KiB
 *   targets    of a set that is updated monthly for ten years stay below 256 KiB */
#define HF_ROOT_BYTES_MAX (192u * 1024u)
#define HF_TIMESTAMP_BYTES_MAX (16u * 1024u)
#define HF_SNAPSHOT_BYTES_MAX (96u * 1024u)
#define HF_TARGETS_BYTES_MAX (512u * 1024u)

/* Heap for the parsed form of each, in bytes: what a parser builds costs up to a hundred times the
 * text. The same files as above, and some room. */
#define HF_ROOT_HEAP_MAX (768u * 1024u)
#define HF_TIMESTAMP_HEAP_MAX (192u * 1024u)
#define HF_SNAPSHOT_HEAP_MAX (1024u * 1024u)
#define HF_TARGETS_HEAP_MAX (1536u * 1024u)

/* Root versions walked in one update (TUF Y): monthly rotations for twenty years. */
#define HF_ROOT_ROTATIONS_MAX 256

/* Shape of JSON. Delegations of delegations nest no deeper than a dozen levels of brackets. */
#define HF_JSON_DEPTH_MAX 32
/* What is no metadata (drafts, key files, reports): heap of its parsed form, at most BASE and so
 * many times its bytes. The densest that is real, files without lengths and hashes, need 42
 * times. */
#define HF_JSON_HEAP_BASE (128u * 1024u)
#define HF_JSON_HEAP_PER_BYTE 48u
/* Largest integer that every JSON reader holds exactly: 2^53 - 1. */
#define HF_JSON_INTEGER_MAX INT64_C(9007199254740991)

#define HF_KEYS_MAX 256             /* key objects in one metadata file, one for each role */
#define HF_ROLE_KEYS_MAX 64         /* key ids of one role */
#define HF_SIGNATURES_MAX 128       /* signatures of one file, unknown ones included */
#define HF_SIGNATURE_BYTES_MAX 1024 /* RSA-8192 */
#define HF_PUBLIC_KEY_TEXT_MAX 8192 /* characters of one public key, PEM of RSA-8192 and room */
#define HF_ROLE_NAME_MAX 256        /* bytes */
#define HF_DELEGATIONS_MAX 256      /* roles delegated by one targets file */
#define HF_TARGETS_ROLES_MAX 257    /* targets roles held at once: a server checks them all */
#define HF_SNAPSHOT_ENTRIES_MAX 512 /* files that one snapshot lists: those roles, and room */
#define HF_PATH_PATTERNS_MAX 1024   /* path patterns or hash prefixes of one delegation */
#define HF_TARGET_PATH_MAX 1024     /* bytes of a target path */
#define HF_HASHES_MAX 8             /* hashes of one file; unknown algorithms included */

/* Bundles. Mozilla's 144 roots are 220 KiB of PEM. */
#define HF_BUNDLE_BYTES_MAX (1024u * 1024u)
#define HF_BUNDLE_ANCHORS_MAX 512
/* Revoked keys that one description lists and a device keeps: a whole bundle replaced by
 * another. */
#define HF_REVOKED_MAX 512
#define HF_CERT_DER_MAX (16u * 1024u)
#define HF_DN_TEXT_MAX 256 /* bytes of a subject or issuer as text; longer ones are cut */
#define HF_SET_NAME_MAX 64 /* bytes of a set or profile name: [a-z0-9] then [a-z0-9._-] */

/* Transport. */
#define HF_URL_MAX 2048 /* bytes */
#define HF_MIRRORS_MAX 16
#define HF_REDIRECTS_MAX 3                     /* followed for one request */
#define HF_HTTP_HEADER_BYTES_MAX (16u * 1024u) /* status line and headers of one answer */
#define HF_HTTP_FRAMING_BYTES_MAX                                                                  \
    (1024u * 1024u) /* all of one answer that is not its body: chunks of 512 bytes use 2 in 100 */
#define HF_HTTP_DISCARD_BYTES_MAX                                                                  \
    (64u * 1024u)          /* of an error page, before its end is not awaited */
#define HF_HTTP_KEPT_MAX 4 /* connections kept alive between requests: mirror, CDN, and room */
/* Name, TCP and TLS. A handshake with a long chain has 5 KB, 20 s on a 2 kbit/s link. */
#define HF_TIMEOUT_CONNECT_MS 30000
#define HF_TIMEOUT_IDLE_MS 20000   /* no byte in that time: given up */
#define HF_TIMEOUT_TOTAL_MS 120000 /* one request as a whole: slow retrieval */
/* A body that keeps coming gets longer: 16 s for each 4 KiB, so that a device on a 2 kbit/s link
 * gets a bundle of 220 KB. In all at most 8 times as long. */
#define HF_TIMEOUT_STEADY_BYTES 4096
#define HF_TIMEOUT_STEADY_MS 16000
#define HF_TIMEOUT_STEADY_FACTOR 8
#define HF_TIMEOUT_PROBE_MS 12000  /* one probe of an endpoint; a check makes at most 32 */
#define HF_TIMEOUT_CHECK_MS 900000 /* no request is begun later in a check: many slow files */

#endif
