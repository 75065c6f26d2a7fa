#include "server/serve/route.h"

#include "common/base/plaintext.h"
#include "common/base/timetext.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct hf_answer hf_route(const struct hf_request *request, const struct hf_edition *e)
{
    char path[HF_HTTP_TARGET_BYTES_MAX];
    size_t path_len = 0;

    if (request->method != HTTP_GET && request->method != HTTP_HEAD)
        return (struct hf_answer){.status = 405};
    if (!hf_request_path(request->target.text, request->target.len, path, &path_len))
        return (struct hf_answer){.status = 400};
    if (path_len == 8 && memcmp(path, "/healthz", 8) == 0)
        return (struct hf_answer){.status = 200, .is_health = true};
    if (e == NULL)
        return (struct hf_answer){.status = 503};
    struct hf_served_file *file = hf_edition_find(e, path, path_len);
    if (file == NULL)
        return (struct hf_answer){.status = 404};
    bool is_cached = request->if_none_match.len != 0 && !request->if_none_match.is_cut &&
                     hf_etag_list_matches(request->if_none_match.text, request->if_none_match.len,
                                          file->etag);
    return (struct hf_answer){.status = is_cached ? 304 : 200, .file = file};
}

/* Returns the length. */
static size_t add_text(const char *key, const char *text, char *out, size_t size)
{
    int n = snprintf(out, size, ",\"%s\":\"", key);
    size_t at = (size_t)n;
    at += hf_escape_json(text, strlen(text), out + at, size - at - 1);
    out[at++] = '"';
    return at;
}

unsigned hf_health_text(const struct hf_repository_status *status, int64_t now_s, char *out,
                        size_t *len)
{
    /* The end of the object has its room kept back. */
    const size_t size = HF_HEALTH_TEXT_MAX - 2;
    const struct hf_summary *s = &status->summary;
    char expires[HF_TIME_TEXT_MAX];
    size_t at = 0;
    if (status->is_served) {
        hf_time_format(s->expires_s, expires);
        at = (size_t)snprintf(out, size,
                              "{\"status\":\"%s\",\"root\":%" PRId64 ",\"timestamp\":%" PRId64
                              ",\"snapshot\":%" PRId64 ",\"targets\":%" PRId64
                              ",\"expires\":\"%s\",\"seconds_left\":%" PRId64,
                              s->expires_s > now_s ? "ok" : "expired", s->root_version,
                              s->timestamp_version, s->snapshot_version, s->targets_version,
                              expires, s->expires_s - now_s);
        at += add_text("expires_role", s->expires_role, out + at, size - at);
    } else {
        at = (size_t)snprintf(out, size, "{\"status\":\"unavailable\"");
    }
    if (status->problem[0] != '\0')
        at += add_text("problem", status->problem, out + at, size - at);
    memcpy(out + at, "}\n", 2);
    *len = at + 2;
    return status->is_served ? 200 : 503;
}

const struct hf_refusal hf_site_refusals[HF_SITE_REFUSALS] = {
    {400, "this is not a request of HTTP/1.1 that names a path", NULL},
    {404, "this repository has no such file", NULL},
    {405, "files here can be read with GET and HEAD, nothing else", "Allow: GET, HEAD\r\n"},
    {408, "the request did not arrive in time", NULL},
    {413, "a request here has no body", NULL},
    {414, "no file here has so long a name", NULL},
    {431, "the request's head is longer than 8 KiB", NULL},
    {503, "the repository is missing or incomplete; /healthz says what is missing",
     "Retry-After: 10\r\n"},
    {505, "this server speaks HTTP/1.1 and HTTP/1.0", NULL},
};

void hf_site_offer(struct hf_site *site, struct hf_edition *e)
{
    hf_edition_unref(atomic_exchange(&site->offered, hf_edition_ref(e)));
}

void hf_site_free(struct hf_site *site)
{
    hf_edition_unref(atomic_exchange(&site->offered, NULL));
    hf_edition_unref(site->edition);
}

void hf_site_handle(void *ctx, struct hf_request *request)
{
    struct hf_site *site = ctx;
    if (atomic_load_explicit(&site->offered, memory_order_relaxed) != NULL) {
        hf_edition_unref(site->edition);
        site->edition = atomic_exchange(&site->offered, NULL);
    }
    struct hf_answer answer = hf_route(request, site->edition);
    struct hf_served_file *file = answer.file;
    if (answer.is_health) {
        struct hf_repository_status status;
        char text[HF_HEALTH_TEXT_MAX];
        size_t len = 0;
        hf_repository_status(site->repository, &status);
        unsigned code = hf_health_text(&status, time(NULL), text, &len);
        hf_answer_text(request, code, "application/json", text, len);
    } else if (file == NULL) {
        hf_answer_refusal(request, answer.status);
    } else if (answer.status == 304) {
        hf_answer_body(request, 304, hf_buf_bytes(&file->head_not_modified), NULL);
    } else {
        hf_answer_body(request, 200, hf_buf_bytes(&file->head_ok), &file->body);
    }
}
