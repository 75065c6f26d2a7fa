/* The limits of the API, each with its unit and its reason; those of names are in
 * server/fleet/limits.h. */
#ifndef HF_API_LIMITS_H
#define HF_API_LIMITS_H

/* Bodies of requests, in bytes. Devices send a CSR and a signature; operators two certificates. */
#define HF_API_DEVICE_BODY_MAX (32u * 1024u)
#define HF_API_ADMIN_BODY_MAX (64u * 1024u)

/* How often clients may report. A device reports a few times in an update and once a day, at most
 * 50 reports in one request; what comes faster is answered 429. In milliseconds between two
 * requests, after so many at once. */
#define HF_API_DEVICE_REPORTS_MS 1000
#define HF_API_DEVICE_REPORTS_BURST 30
/* Of one address, whose clients have proved nothing: many devices behind one NAT. */
#define HF_API_ADDRESS_REPORTS_MS 100
#define HF_API_ADDRESS_REPORTS_BURST 100
/* All unverified reports of an account, on one loop: they must not keep the writer from work for
 * those that are known. */
#define HF_API_UNVERIFIED_REPORTS_MS 5
#define HF_API_UNVERIFIED_REPORTS_BURST 500
/* Senders that a loop remembers: those of the last seconds. A power of two; 16 bytes each. */
#define HF_API_METER_CELLS 8192u

#define HF_API_PARAMS_MAX                                                                          \
    4u /* names in a path: set, profile and version of a bundle, and what belongs to it */
#define HF_API_PARAM_MAX 160u    /* bytes of one, decoded: a device id has 128 */
#define HF_API_FILTERS_MAX 6u    /* parameters of a list besides its page: those of devices */
#define HF_API_PAGE_DEFAULT 100u /* rows of a list, without ?limit= */
#define HF_API_LISTED_MAX 64u    /* entries of a list in a body: server names of an account */

#define HF_API_PATH_MAX 4000u /* bytes of a path on the server; 4,095 are the system's limit */
/* Reports of a device that are looked through for its last result: those after it are the daily
 * ones. */
#define HF_API_EXPLAIN_REPORTS 50u
/* What a series covers without ?since=, and at most: a longer one is asked for in parts. */
#define HF_API_SERIES_DEFAULT_S (7 * 86400LL)
#define HF_API_SERIES_RANGE_MAX_S (100 * 86400LL)

#define HF_API_STAGES_MAX 4u   /* of one request: check, redeem, sign, record */
#define HF_API_BEARER_MAX 128u /* bytes of a bearer token; ours have 47 */
/* An answer's headers besides those of HTTP itself: ETag, Link, Location. */
#define HF_API_HEADERS_MAX 2048u
/* Calls that wait for the signer, which does some hundred a second: more would wait longer than a
 * device does. */
#define HF_API_SIGNER_QUEUE_MAX 1024u
#define HF_API_RETRY_AFTER_S INT64_C(5) /* when a queue is full or the signer is away */
#define HF_API_QUOTA_RETRY_S                                                                       \
    3600 /* when the signer's quota is used up: it opens within a day, or is raised */
#define HF_API_REFRESH_RETRY_S 60 /* when a timestamp was asked for within the same minute */
/* Streams of events on one listener: each sees every event, so they share the loop's time. They
 * leave most of the listener's connections to requests. One token or user has a few, so that it
 * does not take the places of all. */
#define HF_API_STREAMS_MAX 64u
#define HF_API_STREAMS_PER_ACTOR_MAX 8u
#define HF_API_STREAM_BYTES                                                                        \
    16384u /* appended at once: what is kept for a client that does not read */
#define HF_API_STREAM_TYPE "text/event-stream"
#define HF_API_STREAM_RETRY_MS "2000" /* when a browser connects again */
#define HF_API_STREAM_RETRY_AFTER_S 30
#define HF_API_STREAM_CHECK_MS 1000u      /* how long a revoked token keeps its stream */
#define HF_API_STREAM_UNCHECKED_MS 10000u /* the same while the reader has too much to do */
#define HF_API_DISK_QUEUE_MAX 4u /* backups that wait for one under way: an operator and a timer */

#endif
