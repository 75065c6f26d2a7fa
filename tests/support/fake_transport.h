/* A transport port in memory, for tests: mirrors that serve files, lie, or are not there. */
#ifndef HF_TESTS_SUPPORT_FAKE_TRANSPORT_H
#define HF_TESTS_SUPPORT_FAKE_TRANSPORT_H

#include <holdfast/port.h>

#include "tests/support/tuf_files.h"

#define FAKE_MIRRORS_MAX 4
#define FAKE_REQUESTS_MAX 2048
#define FAKE_POSTS_MAX 128

struct fake_answer {
    char path[160]; /* below the mirror's URL; "*" for every path */
    int status;     /* 0: no answer at all, HF_E_NETWORK */
    struct hf_buf body;
};

struct fake_mirror {
    char url[64];
    const struct tuf_files *files; /* served with 200 and an ETag; anything else is 404 */
    struct fake_answer answers[8]; /* these come first */
    size_t n_answers;
    bool ignores_etags; /* never answers 304 */
    bool is_untrusted;  /* its chain does not validate: HF_E_UNTRUSTED unless that is waived */
    const char *etag;   /* its tag for whatever it has; NULL: the hash of each file */
};

/* A report that was posted. */
struct fake_post {
    char url[160];
    struct hf_buf body;
    int timeout_ms;
    bool needs_new_connection;
    size_t n_requests; /* that had been made before it */
};

/* The fleet service, in the place of which the test answers. */
struct fake_service_answer {
    enum hf_err err; /* HF_OK, or there is no answer */
    int status;
    const char *body;
    int64_t retry_after_s;
};

struct fake_transport {
    struct fake_mirror mirrors[FAKE_MIRRORS_MAX];
    size_t n_mirrors;
    char requests[FAKE_REQUESTS_MAX][160]; /* URLs, as they came */
    size_t n_requests;
    size_t n_not_modified; /* answers of 304 */
    size_t n_waived;       /* requests that waived validation */
    bool has_anchor;       /* one of its own */

    struct fake_service_answer service;         /* to every post, unless: */
    const struct fake_service_answer *services; /* NULL, or one for each post in turn, n_services */
    size_t n_services;
    struct fake_post posts[FAKE_POSTS_MAX];
    size_t n_posts;
    void (*on_post)(void *ctx); /* NULL, or called before the answer */
    void *on_post_ctx;
};

struct hf_transport_port fake_transport_port(struct fake_transport *transport);
void fake_transport_free(struct fake_transport *transport);

struct fake_mirror *fake_transport_add(struct fake_transport *transport, const char *url,
                                       const struct tuf_files *files);
/** From now on `path` is answered like this. `body` may be NULL. */
void fake_mirror_answer(struct fake_mirror *mirror, const char *path, int status, const char *body);
void fake_mirror_answer_bytes(struct fake_mirror *mirror, const char *path, int status,
                              struct hf_bytes body);
/** Forget all such answers. */
void fake_mirror_reset(struct fake_mirror *mirror);

void fake_transport_forget(struct fake_transport *transport);
/** How many requests had `part` in their URL. */
size_t fake_transport_count(const struct fake_transport *transport, const char *part);

#endif
