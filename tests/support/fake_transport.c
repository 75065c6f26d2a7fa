#include "tests/support/fake_transport.h"

#include "common/base/digest.h"
#include "tests/support/check.h"

#include <stdio.h>
#include <string.h>

static struct fake_mirror *find_mirror(struct fake_transport *t, const char *url, const char **path)
{
    for (size_t i = 0; i < t->n_mirrors; i++) {
        size_t len = strlen(t->mirrors[i].url);
        if (strncmp(url, t->mirrors[i].url, len) == 0 && url[len] == '/') {
            *path = url + len + 1;
            return &t->mirrors[i];
        }
    }
    fail_msg("a request for %s, which is no mirror", url);
    return NULL;
}

static const struct fake_answer *find_answer(const struct fake_mirror *mirror, const char *path)
{
    for (size_t i = 0; i < mirror->n_answers; i++) {
        const struct fake_answer *answer = &mirror->answers[i];
        if (strcmp(answer->path, path) == 0 || strcmp(answer->path, "*") == 0)
            return answer;
    }
    return NULL;
}

static enum hf_err answer_200(struct fake_transport *t, const struct fake_mirror *mirror,
                              const struct hf_request *request, struct hf_bytes body,
                              struct hf_response *out, struct hf_why *why)
{
    char sha256[HF_SHA256_HEX_LEN], etag[HF_SHA256_HEX_LEN + 2];
    hf_sha256_hex(body, sha256);
    snprintf(etag, sizeof etag, "\"%s\"", mirror->etag != NULL ? mirror->etag : sha256);
    if (!mirror->ignores_etags && request->etag != NULL && strcmp(request->etag, etag) == 0) {
        t->n_not_modified++;
        out->status = 304;
        return HF_OK;
    }
    if (body.len > request->max_bytes)
        return hf_fail(why, HF_E_LIMIT, "expected at most %zu bytes, found %zu", request->max_bytes,
                       body.len);
    out->status = 200;
    snprintf(out->etag, sizeof out->etag, "%s", etag);
    return hf_buf_append(&out->body, body.data, body.len);
}

static enum hf_err fetch(void *ctx, const struct hf_request *request, struct hf_response *out,
                         struct hf_why *why)
{
    struct fake_transport *t = ctx;
    const char *path = NULL;
    struct fake_mirror *mirror = find_mirror(t, request->url, &path);
    const struct fake_answer *answer = find_answer(mirror, path);

    assert_true(t->n_requests < FAKE_REQUESTS_MAX);
    snprintf(t->requests[t->n_requests++], sizeof t->requests[0], "%s", request->url);
    if (request->waives_validation) {
        t->n_waived++;
        assert_null(request->etag); /* it could tell this device from others */
    }
    if (answer != NULL && answer->status == 0)
        return hf_fail(why, HF_E_NETWORK, "connection refused");
    if (mirror->is_untrusted && !request->waives_validation)
        return hf_fail(why, HF_E_UNTRUSTED, "the server is not trusted");
    if (answer != NULL && answer->status == 200)
        return answer_200(t, mirror, request, hf_buf_bytes(&answer->body), out, why);
    if (answer != NULL) {
        out->status = answer->status;
        return HF_OK;
    }
    struct hf_bytes file = tuf_files_find(mirror->files, path);
    if (file.data != NULL)
        return answer_200(t, mirror, request, file, out, why);
    out->status = 404;
    return HF_OK;
}

static enum hf_err post(void *ctx, const struct hf_post *request, struct hf_post_answer *out,
                        struct hf_why *why)
{
    struct fake_transport *t = ctx;
    const struct fake_service_answer *answer = &t->service;

    assert_true(t->n_posts < FAKE_POSTS_MAX);
    if (t->n_posts < t->n_services)
        answer = &t->services[t->n_posts];
    struct fake_post *p = &t->posts[t->n_posts++];
    *p = (struct fake_post){.timeout_ms = request->timeout_ms,
                            .needs_new_connection = request->needs_new_connection,
                            .n_requests = t->n_requests};
    snprintf(p->url, sizeof p->url, "%s", request->url);
    CHECK_OK(hf_buf_append(&p->body, request->body.data, request->body.len));
    if (t->on_post != NULL)
        t->on_post(t->on_post_ctx);
    if (answer->err != HF_OK)
        return hf_fail(why, answer->err, "the service does not answer");
    *out = (struct hf_post_answer){.status = answer->status,
                                   .retry_after_s = answer->retry_after_s > 0
                                                        ? answer->retry_after_s
                                                        : -1};
    return answer->body != NULL ? hf_buf_append_text(&out->body, answer->body) : HF_OK;
}

static bool has_anchor(void *ctx)
{
    return ((const struct fake_transport *)ctx)->has_anchor;
}

struct hf_transport_port fake_transport_port(struct fake_transport *transport)
{
    return (struct hf_transport_port){.ctx = transport,
                                      .fetch = fetch,
                                      .has_anchor = has_anchor,
                                      .post = post};
}

void fake_transport_free(struct fake_transport *transport)
{
    fake_transport_forget(transport);
    for (size_t i = 0; i < transport->n_mirrors; i++)
        fake_mirror_reset(&transport->mirrors[i]);
}

struct fake_mirror *fake_transport_add(struct fake_transport *transport, const char *url,
                                       const struct tuf_files *files)
{
    assert_true(transport->n_mirrors < FAKE_MIRRORS_MAX);
    struct fake_mirror *mirror = &transport->mirrors[transport->n_mirrors++];
    *mirror = (struct fake_mirror){.files = files};
    snprintf(mirror->url, sizeof mirror->url, "%s", url);
    return mirror;
}

void fake_mirror_answer_bytes(struct fake_mirror *mirror, const char *path, int status,
                              struct hf_bytes body)
{
    assert_true(mirror->n_answers < sizeof mirror->answers / sizeof mirror->answers[0]);
    struct fake_answer *answer = &mirror->answers[mirror->n_answers++];
    *answer = (struct fake_answer){.status = status};
    snprintf(answer->path, sizeof answer->path, "%s", path);
    CHECK_OK(hf_buf_append(&answer->body, body.data, body.len));
}

void fake_mirror_answer(struct fake_mirror *mirror, const char *path, int status, const char *body)
{
    fake_mirror_answer_bytes(mirror, path, status, hf_bytes_of_text(body != NULL ? body : ""));
}

void fake_mirror_reset(struct fake_mirror *mirror)
{
    for (size_t i = 0; i < mirror->n_answers; i++)
        hf_buf_free(&mirror->answers[i].body);
    mirror->n_answers = 0;
}

void fake_transport_forget(struct fake_transport *transport)
{
    transport->n_requests = 0;
    transport->n_not_modified = 0;
    transport->n_waived = 0;
    for (size_t i = 0; i < transport->n_posts; i++)
        hf_buf_free(&transport->posts[i].body);
    transport->n_posts = 0;
}

size_t fake_transport_count(const struct fake_transport *transport, const char *part)
{
    size_t n = 0;
    for (size_t i = 0; i < transport->n_requests; i++)
        n += strstr(transport->requests[i], part) != NULL;
    return n;
}
