#include "server/serve/respond.h"

#include "server/serve/health.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

struct refusal {
    unsigned status;
    const char *phrase;
    const char *sentence;
    const char *header; /* one more, with its line end, or "" */
};

static const struct refusal refusals[] = {
    {400, "Bad Request", "this is not a request of HTTP/1.1 that names a path", ""},
    {404, "Not Found", "this repository has no such file", ""},
    {405, "Method Not Allowed", "files here can be read with GET and HEAD, nothing else",
     "Allow: GET, HEAD\r\n"},
    {408, "Request Timeout", "the request did not arrive in time", ""},
    {413, "Content Too Large", "a request here has no body", ""},
    {414, "URI Too Long", "no file here has so long a name", ""},
    {431, "Request Header Fields Too Large", "the request's head is longer than 8 KiB", ""},
    {503, "Service Unavailable",
     "the repository is not there yet or not whole; /healthz says what is missing",
     "Retry-After: 10\r\n"},
    {505, "HTTP Version Not Supported", "this server speaks HTTP/1.1 and HTTP/1.0", ""},
};

static const struct refusal *find_refusal(unsigned status)
{
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        if (refusals[i].status == status)
            return &refusals[i];
    return &refusals[0];
}

static void append_text(struct hf_output *out, const char *text)
{
    hf_output_append(out, text, strlen(text));
}

/* Date, Connection and the line that ends the head. */
static void end_head(struct hf_output *out, enum hf_persistence persistence, const char *date_line)
{
    append_text(out, date_line);
    if (persistence == HF_PERSIST_NOT)
        append_text(out, "Connection: close\r\n");
    else if (persistence == HF_PERSIST_SAY_SO)
        append_text(out, "Connection: keep-alive\r\n");
    append_text(out, "\r\n");
}

static void begin_text(struct hf_output *out, unsigned status, const char *phrase, const char *type,
                       size_t body_len, const char *header)
{
    char head[512];
    (void)snprintf(head, sizeof head,
                   "HTTP/1.1 %u %s\r\nServer: holdfastd\r\nContent-Type: %s\r\n"
                   "Content-Length: %zu\r\nCache-Control: no-store\r\n%s",
                   status, phrase, type, body_len, header);
    append_text(out, head);
}

static size_t respond_file(struct hf_output *out, const struct hf_answer *answer,
                           enum hf_persistence persistence, const char *date_line)
{
    struct hf_served_file *file = answer->file;
    bool is_same = answer->status == 304;
    hf_output_append(out, is_same ? file->head_same : file->head_ok,
                     is_same ? file->head_same_len : file->head_ok_len);
    end_head(out, persistence, date_line);
    if (is_same || answer->is_head)
        return 0;
    hf_output_append_body(out, file);
    return file->body_len;
}

static size_t respond_health(struct hf_output *out, const struct hf_answer *answer,
                             enum hf_persistence persistence, const char *date_line,
                             struct hf_repository *repository, unsigned *status)
{
    struct hf_repository_status state;
    char text[HF_HEALTH_TEXT_MAX];
    size_t len = 0;
    hf_repository_status(repository, &state);
    *status = hf_health_text(&state, time(NULL), text, &len);
    begin_text(out, *status, *status == 200 ? "OK" : "Service Unavailable", "application/json", len,
               "");
    end_head(out, persistence, date_line);
    if (answer->is_head)
        return 0;
    hf_output_append(out, text, len);
    return len;
}

static size_t respond_refusal(struct hf_output *out, const struct hf_answer *answer,
                              enum hf_persistence persistence, const char *date_line)
{
    const struct refusal *r = find_refusal(answer->status);
    char text[256];
    int n = snprintf(text, sizeof text, "%u %s: %s\n", r->status, r->phrase, r->sentence);
    size_t len = n > 0 ? (size_t)n : 0;
    begin_text(out, r->status, r->phrase, "text/plain", len, r->header);
    end_head(out, persistence, date_line);
    if (answer->is_head)
        return 0;
    hf_output_append(out, text, len);
    return len;
}

void hf_respond_date(int64_t now_s, char out[HF_DATE_LINE_MAX])
{
    time_t now = (time_t)now_s;
    struct tm utc;
    (void)gmtime_r(&now, &utc);
    /* The program never sets a locale, so the names are English. */
    if (strftime(out, HF_DATE_LINE_MAX, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &utc) == 0)
        out[0] = '\0';
}

size_t hf_respond(struct hf_output *out, const struct hf_answer *answer,
                  enum hf_persistence persistence, const char *date_line,
                  struct hf_repository *repository, unsigned *status)
{
    *status = answer->status;
    if (answer->is_health)
        return respond_health(out, answer, persistence, date_line, repository, status);
    if (answer->file != NULL)
        return respond_file(out, answer, persistence, date_line);
    return respond_refusal(out, answer, persistence, date_line);
}
