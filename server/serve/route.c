#include "server/serve/route.h"

#include "common/base/plaintext.h"
#include "common/base/timetext.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* ---- which answer ------------------------------------------------------------------------------ */

static bool is_health(const char *path, size_t len)
{
    return len == 8 && memcmp(path, "/healthz", 8) == 0;
}

static bool has_it_already(const struct hf_request *request, const struct hf_served_file *file)
{
    return request->if_none_match.len != 0 && !request->if_none_match.is_cut &&
           hf_etag_list_matches(request->if_none_match.text, request->if_none_match.len,
                                file->etag);
}

struct hf_answer hf_route(const struct hf_request *request, const struct hf_edition *g)
{
    struct hf_answer answer = {.status = 405};
    char path[HF_HTTP_TARGET_BYTES_MAX];
    size_t path_len = 0;

    if (request->method != HTTP_GET && request->method != HTTP_HEAD)
        return answer;
    answer.status = 400;
    if (!hf_request_path(request->target.text, request->target.len, path, &path_len))
        return answer;
    answer.status = 200;
    answer.is_health = is_health(path, path_len);
    if (answer.is_health)
        return answer;
    answer.status = 503;
    if (g == NULL)
        return answer;
    answer.status = 404;
    answer.file = hf_edition_find(g, path, path_len);
    if (answer.file != NULL)
        answer.status = has_it_already(request, answer.file) ? 304 : 200;
    return answer;
}

/* ---- /healthz ---------------------------------------------------------------------------------- */

static const char *status_word(const struct hf_repository_status *status, int64_t now_s)
{
    if (!status->is_served)
        return "unavailable";
    return status->summary.expires_s > now_s ? "ok" : "expired";
}

static size_t add_text(const char *key, const char *text, char *out, size_t size)
{
    int n = snprintf(out, size, ",\"%s\":\"", key);
    size_t at = (size_t)n;
    at += hf_escape_json(text, strlen(text), out + at, size - at - 1);
    out[at++] = '"';
    return at;
}

static size_t add_served(const struct hf_summary *s, int64_t now_s, char *out, size_t size)
{
    char expires[HF_TIME_TEXT_MAX];
    hf_time_format(s->expires_s, expires);
    int n = snprintf(out, size,
                     ",\"root\":%" PRId64 ",\"timestamp\":%" PRId64 ",\"snapshot\":%" PRId64
                     ",\"targets\":%" PRId64 ",\"expires\":\"%s\",\"seconds_left\":%" PRId64,
                     s->root_version, s->timestamp_version, s->snapshot_version, s->targets_version,
                     expires, s->expires_s - now_s);
    size_t at = (size_t)n;
    return at + add_text("expires_role", s->expires_role, out + at, size - at);
}

unsigned hf_health_text(const struct hf_repository_status *status, int64_t now_s, char *out,
                        size_t *len)
{
    /* The end of the object has its room kept back. */
    const size_t size = HF_HEALTH_TEXT_MAX - 2;
    int n = snprintf(out, size, "{\"status\":\"%s\"", status_word(status, now_s));
    size_t at = n > 0 ? (size_t)n : 0;
    if (status->is_served)
        at += add_served(&status->summary, now_s, out + at, size - at);
    if (status->problem[0] != '\0')
        at += add_text("problem", status->problem, out + at, size - at);
    memcpy(out + at, "}\n", 2);
    *len = at + 2;
    return status->is_served ? 200 : 503;
}

/* ---- on a loop --------------------------------------------------------------------------------- */

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

void hf_site_offer(struct hf_site *site, struct hf_edition *g)
{
    hf_edition_unref(atomic_exchange(&site->offered, hf_edition_ref(g)));
}

void hf_site_free(struct hf_site *site)
{
    hf_edition_unref(atomic_exchange(&site->offered, NULL));
    hf_edition_unref(site->edition);
}

static void answer_health(struct hf_repository *repository, struct hf_request *request)
{
    struct hf_repository_status state;
    char text[HF_HEALTH_TEXT_MAX];
    size_t len = 0;
    hf_repository_status(repository, &state);
    unsigned status = hf_health_text(&state, time(NULL), text, &len);
    hf_answer_text(request, status, "application/json", text, len);
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
    if (answer.is_health)
        answer_health(site->repository, request);
    else if (file == NULL)
        hf_answer_refusal(request, answer.status);
    else if (answer.status == 304)
        hf_answer_body(request, 304, file->head_same, file->head_same_len, NULL);
    else
        hf_answer_body(request, 200, file->head_ok, file->head_ok_len, &file->body);
}
