#include "server/admin/api.h"

#include "common/os/file_util.h"

#include <curl/curl.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct hf_admin_api {
    CURL *curl;
    char *socket; /* NULL: over https */
    char *origin; /* "http://localhost" for a socket; without a slash at its end */
    char *authorization;
    char error[CURL_ERROR_SIZE];
};

static enum hf_err read_token(const char *path, char **out, struct hf_why *why)
{
    struct hf_buf text = {0};
    HF_TRY(hf_file_read_secret(path, HF_ADMIN_TOKEN_MAX, &text, why));
    size_t len = text.len > 0 ? strcspn((const char *)text.data, "\r\n") : 0;
    bool is_plain = len > 0;
    for (size_t i = 0; i < len; i++)
        is_plain &= text.data[i] > ' ' && text.data[i] <= '~';
    enum hf_err err = HF_OK;
    if (!is_plain)
        err = hf_fail(why, HF_E_FORMAT, "%s: expected a token on its first line", path);
    else if (asprintf(out, "Authorization: Bearer %.*s", (int)len, (const char *)text.data) < 0)
        err = hf_fail(why, HF_E_MEMORY, "no memory for a token");
    sodium_memzero(text.data, text.len);
    hf_buf_free(&text);
    return err;
}

/* False when memory is short. */
static bool keep_target(struct hf_admin_api *api, const struct hf_admin_target *target)
{
    api->origin = strdup(target->url != NULL ? target->url : "http://localhost");
    if (target->url == NULL)
        api->socket = strdup(target->socket);
    if (api->origin == NULL || (target->url == NULL && api->socket == NULL))
        return false;
    for (size_t len = strlen(api->origin); len > 0 && api->origin[len - 1] == '/'; len--)
        api->origin[len - 1] = '\0';
    return true;
}

enum hf_err hf_admin_open(const struct hf_admin_target *target, struct hf_admin_api **out,
                          struct hf_why *why)
{
    if (target->url != NULL && strncasecmp(target->url, "https://", 8) != 0)
        return hf_fail(why, HF_E_ARGUMENT,
                       "--url: expected an address that begins with https://, found \"%.100s\"",
                       target->url);
    struct hf_admin_api *api = calloc(1, sizeof *api);
    if (api == NULL || (api->curl = curl_easy_init()) == NULL || !keep_target(api, target)) {
        hf_admin_close(api);
        return hf_fail(why, HF_E_MEMORY, "no memory for a connection");
    }
    CURLcode code = curl_easy_setopt(api->curl, CURLOPT_ERRORBUFFER, api->error);
    if (code == CURLE_OK)
        code = curl_easy_setopt(api->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    if (code == CURLE_OK && target->url == NULL) {
        code = curl_easy_setopt(api->curl, CURLOPT_UNIX_SOCKET_PATH, target->socket);
        if (code == CURLE_OK)
            code = curl_easy_setopt(api->curl, CURLOPT_PROXY, "");
    }
    if (code == CURLE_OK && target->ca_file != NULL)
        code = curl_easy_setopt(api->curl, CURLOPT_CAINFO, target->ca_file);
    enum hf_err err = code == CURLE_OK ? HF_OK
                                       : hf_fail(why, HF_E_STATE, "libcurl cannot be set up: %s",
                                                 curl_easy_strerror(code));
    if (err == HF_OK && target->token_file != NULL)
        err = read_token(target->token_file, &api->authorization, why);
    if (err == HF_OK)
        *out = api;
    else
        hf_admin_close(api);
    return err;
}

void hf_admin_close(struct hf_admin_api *api)
{
    if (api == NULL)
        return;
    curl_easy_cleanup(api->curl);
    if (api->authorization != NULL)
        sodium_memzero(api->authorization, strlen(api->authorization));
    free(api->authorization);
    free(api->origin);
    free(api->socket);
    free(api);
}

/* ---- one call -------------------------------------------------------------------------------- */

static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
    struct hf_buf *body = ctx;
    if (body->len + size * n > HF_ADMIN_ANSWER_MAX || hf_buf_append(body, data, size * n) != HF_OK)
        return 0; /* libcurl gives up */
    return size * n;
}

/* Copy the value of a header line without its quotes, as far as there is room. */
static void copy_header(const char *line, size_t len, size_t name_len, char *out, size_t size)
{
    const char *at = line + name_len, *end = line + len;
    while (at < end && *at == ' ')
        at++;
    while (end > at && (end[-1] == '\r' || end[-1] == '\n'))
        end--;
    if ((size_t)(end - at) < size)
        (void)snprintf(out, size, "%.*s", (int)(end - at), at);
}

static size_t on_header(char *data, size_t size, size_t n, void *ctx)
{
    struct hf_admin_call *call = ctx;
    size_t len = size * n;
    if (len > 5 && strncasecmp(data, "etag:", 5) == 0)
        copy_header(data, len, 5, call->etag, sizeof call->etag);
    if (len > 5 && strncasecmp(data, "link:", 5) == 0) {
        char link[1200] = "";
        copy_header(data, len, 5, link, sizeof link);
        char *end = strstr(link, ">; rel=\"next\"");
        if (link[0] == '<' && end != NULL && (size_t)(end - link) < sizeof call->next)
            (void)snprintf(call->next, sizeof call->next, "%.*s", (int)(end - link - 1), link + 1);
    }
    return len;
}

/* What the service said about a refusal (RFC 9457). */
static enum hf_err refuse(long status, const json_t *problem, struct hf_why *why)
{
    static const struct {
        long status;
        enum hf_err err;
    } codes[] = {
        {401, HF_E_KEY},   {403, HF_E_POLICY}, {404, HF_E_NOT_FOUND}, {409, HF_E_STATE},
        {412, HF_E_STATE}, {413, HF_E_LIMIT},  {429, HF_E_LIMIT},     {503, HF_E_BUSY},
    };
    const char *detail = json_string_value(json_object_get(problem, "detail"));
    const char *title = json_string_value(json_object_get(problem, "title"));
    enum hf_err err = status >= 400 && status < 500 ? HF_E_ARGUMENT : HF_E_STATE;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i].status == status)
            err = codes[i].err;
    if (detail != NULL || title != NULL)
        return hf_fail(why, err, "%s", detail != NULL ? detail : title);
    return hf_fail(why, err, "the service answered with status %ld and no reason", status);
}

/* There is no answer: where it was asked for, and what the operator can do. */
static enum hf_err fail_transfer(struct hf_admin_api *api, CURLcode code, struct hf_why *why)
{
    const char *said = api->error[0] != '\0' ? api->error : curl_easy_strerror(code);
    const char *where = api->socket != NULL ? api->socket : api->origin;
    long error = 0;

    (void)curl_easy_getinfo(api->curl, CURLINFO_OS_ERRNO, &error);
    if (code == CURLE_PEER_FAILED_VERIFICATION)
        return hf_fail(why, HF_E_TLS,
                       "%s: the certificate of the service is not trusted: %s. Name the roots for "
                       "it with --ca-file",
                       where, said);
    if (api->socket == NULL || code != CURLE_COULDNT_CONNECT || error == 0)
        return hf_fail(why, code == CURLE_SSL_CONNECT_ERROR ? HF_E_TLS : HF_E_NETWORK,
                       "%s: the service does not answer: %s. Look whether holdfastd runs, and what "
                       "it logs",
                       where, said);
    /* libcurl speaks of a host and a port here. */
    return hf_fail(why, HF_E_NETWORK, "%s: the service does not answer: %s. %s", where,
                   strerror((int)error),
                   error == EACCES ? "Join the group of the socket, or use --url with a token"
                                   : "Start holdfastd, or name its socket with --socket");
}

static bool is_verbose;

void hf_admin_log_requests(void)
{
    is_verbose = true;
}

static void log_request(const struct hf_admin_api *api, const char *method, const char *path,
                        long status)
{
    if (!is_verbose)
        return;
    fprintf(stderr, "holdfast-admin: %s %s at %s: ", method, path,
            api->socket != NULL ? api->socket : api->origin);
    if (status > 0)
        fprintf(stderr, "HTTP %ld\n", status);
    else
        fputs("no answer\n", stderr);
}

/* The URL of `path`, and the headers of each request. Both are to be freed, also on failure. */
static enum hf_err begin(struct hf_admin_api *api, const char *path, const char *accept,
                         struct hf_buf *url, struct curl_slist **headers, struct hf_why *why)
{
    *headers = curl_slist_append(*headers, accept);
    if (api->authorization != NULL)
        *headers = curl_slist_append(*headers, api->authorization);
    api->error[0] = '\0';
    return *headers != NULL && hf_buf_printf(url, "%s%s", api->origin, path) == HF_OK &&
                   curl_easy_setopt(api->curl, CURLOPT_URL, (const char *)url->data) == CURLE_OK
               ? HF_OK
               : hf_fail(why, HF_E_MEMORY, "no memory for a request");
}

enum hf_err hf_admin_call(struct hf_admin_api *api, struct hf_admin_call *call, struct hf_why *why)
{
    struct hf_buf url = {0}, body = {0}, answer = {0};
    struct curl_slist *headers = NULL;
    char match[128];
    long status = 0;
    json_t *value = NULL;
    call->etag[0] = call->next[0] = '\0';
    call->answer = NULL;
    enum hf_err err = begin(api, call->path, "Accept: application/json", &url, &headers, why);
    if (err == HF_OK && call->body != NULL)
        err = hf_json_write(call->body, &body, why);
    if (err != HF_OK)
        goto out;
    headers = curl_slist_append(headers, "Content-Type: application/json");
    headers = curl_slist_append(headers, "Expect:");
    if (call->if_match != NULL) {
        (void)snprintf(match, sizeof match, "If-Match: %s", call->if_match);
        headers = curl_slist_append(headers, match);
    }
    curl_easy_setopt(api->curl, CURLOPT_CUSTOMREQUEST, call->method);
    curl_easy_setopt(api->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(api->curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(api->curl, CURLOPT_WRITEDATA, &answer);
    curl_easy_setopt(api->curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(api->curl, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(api->curl, CURLOPT_POSTFIELDSIZE, (long)body.len);
    curl_easy_setopt(api->curl, CURLOPT_POSTFIELDS, body.len > 0 ? (const char *)body.data : NULL);
    if (body.len == 0)
        curl_easy_setopt(api->curl, CURLOPT_HTTPGET, 1L);
    curl_easy_setopt(api->curl, CURLOPT_TIMEOUT,
                     call->is_long ? HF_ADMIN_LONG_TIMEOUT_S : HF_ADMIN_TIMEOUT_S);
    CURLcode code = curl_easy_perform(api->curl);
    (void)curl_easy_getinfo(api->curl, CURLINFO_RESPONSE_CODE, &status);
    log_request(api, call->method, call->path, status);
    if (code != CURLE_OK) {
        err = fail_transfer(api, code, why);
        goto out;
    }
    if (answer.len > 0)
        err = hf_json_parse_object(hf_buf_bytes(&answer), "the service's answer", &value, why);
    if (status < 200 || status > 299) {
        err = refuse(status, value, why);
        json_decref(value);
    } else if (err == HF_OK) {
        call->answer = value;
    }
out:
    curl_slist_free_all(headers);
    hf_buf_free(&url);
    hf_buf_free(&body);
    hf_buf_free(&answer);
    return err;
}

/* ---- an answer that goes on ------------------------------------------------------------------ */

struct following {
    struct hf_admin_api *api;
    struct hf_admin_feed *feed;
    struct hf_buf refusal; /* the body of an answer that is none */
    long status;
};

static size_t on_more(char *data, size_t size, size_t n, void *ctx)
{
    struct following *f = ctx;
    const struct hf_bytes bytes = {(const uint8_t *)data, size * n};

    (void)curl_easy_getinfo(f->api->curl, CURLINFO_RESPONSE_CODE, &f->status);
    if (f->status != 200)
        return on_body(data, size, n, &f->refusal);
    return f->feed->take(f->feed->ctx, bytes) ? bytes.len : 0;
}

static size_t on_feed_header(char *data, size_t size, size_t n, void *ctx)
{
    struct following *f = ctx;
    char seconds[16] = "";

    if (size * n > 12 && strncasecmp(data, "retry-after:", 12) == 0) {
        copy_header(data, size * n, 12, seconds, sizeof seconds);
        f->feed->retry_after_s = strtol(seconds, NULL, 10);
    }
    return size * n;
}

/* CURLOPT_XFERINFOFUNCTION, about once a second. */
static int is_stopped(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    (void)a;
    (void)b;
    (void)c;
    (void)d;
    return (int)*((const struct following *)ctx)->feed->is_stopped;
}

static CURLcode set_following(CURL *curl, struct following *f, struct curl_slist *headers)
{
    CURLcode code = curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_more);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_WRITEDATA, f);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_feed_header);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_HEADERDATA, f);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, HF_ADMIN_SILENCE_S);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, is_stopped);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_XFERINFODATA, f);
    return code;
}

enum hf_err hf_admin_follow(struct hf_admin_api *api, struct hf_admin_feed *feed,
                            struct hf_why *why)
{
    struct following f = {.api = api, .feed = feed};
    struct hf_buf url = {0};
    struct curl_slist *headers = NULL;
    json_t *problem = NULL;
    char last_id[128];

    feed->retry_after_s = 0;
    enum hf_err err = begin(api, feed->path, "Accept: text/event-stream", &url, &headers, why);
    if (err != HF_OK)
        goto out;
    if (feed->last_id[0] != '\0') {
        (void)snprintf(last_id, sizeof last_id, "Last-Event-ID: %s", feed->last_id);
        headers = curl_slist_append(headers, last_id);
    }
    CURLcode code = set_following(api->curl, &f, headers);
    if (code == CURLE_OK)
        code = curl_easy_perform(api->curl);
    (void)curl_easy_getinfo(api->curl, CURLINFO_RESPONSE_CODE, &f.status);
    log_request(api, "GET", feed->path, f.status);
    if (*feed->is_stopped != 0)
        err = HF_OK;
    else if (code != CURLE_OK)
        err = fail_transfer(api, code, why);
    else if (f.status != 200) {
        if (hf_json_parse_object(hf_buf_bytes(&f.refusal), "an answer", &problem, NULL) != HF_OK)
            problem = NULL;
        err = refuse(f.status, problem, why);
    }
out:
    json_decref(problem);
    curl_slist_free_all(headers);
    hf_buf_free(&url);
    hf_buf_free(&f.refusal);
    return err;
}
