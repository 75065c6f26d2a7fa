/*
 * The limits of what speaks HTTP, each with its unit and its reason; those of what is signed are in
 * common/base/limits.h, those of the repository in server/serve/limits.h. Nothing that a client
 * sends or holds open is more than what stands here; what an operator may want otherwise is an
 * option.
 */
#ifndef HF_HTTP_LIMITS_H
#define HF_HTTP_LIMITS_H

/* Connections of the process, shared out evenly over its loops (--max-connections). Half a KiB of
 * ours and some KiB of the kernel's each. */
#define HF_HTTP_CONNECTIONS_DEFAULT 65536u
#define HF_HTTP_CONNECTIONS_MAX 4194304u
#define HF_HTTP_BALANCERS_MAX 32u /* networks; each connection is compared with all of them */
/* Connections from one address (--max-per-address). A fleet behind one NAT keeps few open at
 * once. */
#define HF_HTTP_PER_ADDRESS_DEFAULT 1024u
/* Counters of addresses in each of two rows, half a MiB together: see address.h. */
#define HF_HTTP_ADDRESS_CELLS 65536u
/* Descriptors kept back from connections, for the repository, logs and the loops' own. */
#define HF_HTTP_DESCRIPTORS_RESERVED 64u
#define HF_HTTP_BACKLOG 4096 /* connections waiting for accept; the kernel lowers it to somaxconn */
#define HF_HTTP_ACCEPTS_AT_ONCE 64 /* then those already accepted have their turn */
#define HF_HTTP_LOOPS_MAX 256u

/* A request's head. A TUF client sends some 200 bytes; proxies add their own. */
#define HF_HTTP_HEAD_BYTES_MAX (8u * 1024u)
#define HF_HTTP_TARGET_BYTES_MAX 2048u /* a target path of HF_TARGET_PATH_MAX, partly encoded */
#define HF_HTTP_ETAGS_BYTES_MAX 512u   /* If-None-Match; a longer one is ignored, which is safe */
#define HF_HTTP_HOST_BYTES_MAX 272u    /* a DNS name, partly encoded, and a port */
#define HF_HTTP_AGENT_BYTES_MAX 128u   /* User-Agent, for the access log; a longer one is cut */
/* The values of all other headers that a handler may ask for (hf_request_header), together: a
 * bearer token, two media types, a version and a key are less than half of it, and so are the
 * headers of a signed report. */
#define HF_HTTP_HEADER_VALUES_BYTES_MAX 1536u

/* Buffers, one of each per loop. A blocked client makes the server keep at most the rest of
 * both. */
#define HF_HTTP_READ_BYTES (16u * 1024u)
#define HF_HTTP_OUTPUT_BYTES (32u * 1024u)
/* A body up to this size is copied behind its head: one buffer, one write. Larger ones stay where
 * they are and are gathered. */
#define HF_HTTP_COPY_BYTES_MAX (8u * 1024u)
/* Room that must be left for one more answer: its head and a body that is copied. */
#define HF_HTTP_ANSWER_BYTES_MAX (HF_HTTP_COPY_BYTES_MAX + 2048u)

#define HF_HTTP_ANSWER_HEAD_MAX 1024u /* of an answer whose head the handler brings */

/* What the kernel may hold for a client that does not read. The first bounds all of it; the kernel
 * doubles it for its own needs. 128 KiB on their way are 10 Mbit/s at 100 ms, and a bundle is
 * smaller than twice that. The second bounds what has not been sent yet: more is accepted only
 * below it. */
#define HF_HTTP_SEND_BUFFER_BYTES (128u * 1024u)
#define HF_HTTP_UNSENT_BYTES (32u * 1024u)

/* Times, in milliseconds; a sweep each second looks at them, so they are good to a second. */
#define HF_HTTP_HEADER_TIMEOUT_MS 10000u /* from the first byte to the end of the head */
#define HF_HTTP_IDLE_TIMEOUT_MS 60000u   /* between two requests */
/* From the end of the head to the end of the body: a device on a 2 kbit/s link sends 15 KB
 * meanwhile, more than a request to enrol and a batch of reports have. */
#define HF_HTTP_BODY_TIMEOUT_MS 60000u
/* Without acknowledging HF_HTTP_PROGRESS_BYTES: a device on a 2 kbit/s link still gets its bundle,
 * one that takes a byte now and then does not hold a connection for ever. */
#define HF_HTTP_WRITE_TIMEOUT_MS 60000u
#define HF_HTTP_PROGRESS_BYTES 4096u
/* An answer that goes on: how long it may be silent. Proxies give up a silent connection after 60 s
 * (nginx, HAProxy's usual configuration), and a client that was sent something and has not taken it
 * by then is gone. */
#define HF_HTTP_FEED_IDLE_MS 15000u
/* After a refusal the client may still be sending; closing at once would destroy the answer on its
 * way (RFC 9112, 9.6). */
#define HF_HTTP_LINGER_MS 2000u
#define HF_HTTP_LINGER_BYTES_MAX (256u * 1024u)
#define HF_HTTP_GRACE_MS 10000u /* from SIGTERM to the end, for answers under way */
#define HF_HTTP_SWEEP_MS 1000u
/* The kernel hands a connection over when its request is there, or after about this time. */
#define HF_HTTP_DEFER_ACCEPT_S 1

/* A PROXY header with all that it tells besides addresses. Balancers add names and the fields of a
 * TLS client, together some hundred bytes. */
#define HF_PROXY_BYTES_MAX 2048u

/* TLS. Certificates of one server: RSA and ECDSA for each of some names. */
#define HF_TLS_CERTIFICATES_MAX 16u
#define HF_TLS_PEM_BYTES_MAX (256u * 1024u) /* a file with a chain or a key */
#define HF_TLS_SNI_BYTES_MAX 253u           /* the longest DNS name */
/* A client's chain: three certificates with keys of RSA 4096 are 6 KB. OpenSSL's own limit is 100
 * KB, which every half-open connection could make it hold. */
#define HF_TLS_CLIENT_CHAIN_BYTES_MAX (16u * 1024u)
/* All that a client sends in a handshake: a hello of some hundred bytes, or 2 KB with post-quantum
 * keys, and its chain. OpenSSL would take a hello of 128 KiB. */
#define HF_TLS_HANDSHAKE_BYTES_MAX (32u * 1024u)
/* From the first byte to the end of the handshake. Both sides send 5 KB in one with certificates of
 * both, 20 s on a 2 kbit/s link. */
#define HF_TLS_HANDSHAKE_TIMEOUT_MS 30000u
/* Handshakes under way on one loop, each some 50 KB in OpenSSL. A further one ends the oldest. A
 * loop completes some 3,000 a second, so 4,096 are under way only when most of them do not go
 * on. */
#define HF_TLS_HANDSHAKES_MAX 4096u
/* Ticket keys: one issues for this time and then decrypts for as long again. */
#define HF_TLS_TICKET_PERIOD_S (12 * 3600)
/* How often a loop looks whether certificates lost their right, far below the second that a revoked
 * one may keep its connection; and how often it asks without being told, for those that expire. */
#define HF_TLS_RECHECK_MS 200u
#define HF_TLS_RECHECK_ALL_MS 60000u

/* The access log's buffer. Lines that do not fit while the disk stalls are counted and reported. */
#define HF_HTTP_LOG_BYTES (256u * 1024u)
#define HF_HTTP_LOG_LINE_MAX 16384u /* a target of 2048 hostile bytes is 12 KiB when escaped */
#define HF_HTTP_LOG_FLUSH_MS 1000u
/* At the end, for what is still in the buffer; then the disk or reader is given up. */
#define HF_HTTP_LOG_CLOSE_MS 3000u

#endif
