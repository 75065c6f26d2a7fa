/*
 * hf-fetch: the HTTP transport alone, for tests/cli/test_transport.py. Fetches each URL in turn
 * over one transport and prints a line for each: the status, the number of body bytes, their
 * SHA-256 and the entity tag; or the error's name and, on standard error, its sentence.
 */
#include "client/port/posix/http.h"
#include "common/base/digest.h"
#include "common/base/timetext.h"
#include "common/bundle/bundle.h"

#include <popt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct {
    char *store;     /* PEM of the device's store */
    char *server_ca; /* PEM beside it */
    char *etag;
    char *redirect_host; /* any server may redirect to it */
    char *at;
    char *distrust_after;
    long max_bytes;
    int connect_ms, idle_ms, total_ms;
    int pause_ms; /* between two URLs */
    int forget;   /* close kept connections between two URLs */
    int waive;    /* set of bits: requests that waive validation, 1 for the first */
} options = {.max_bytes = 1 << 20, .connect_ms = 5000, .idle_ms = 5000, .total_ms = 10000};

static const struct poptOption table[] =
    {{"store", 0, POPT_ARG_STRING, &options.store, 0, NULL, NULL},
     {"server-ca", 0, POPT_ARG_STRING, &options.server_ca, 0, NULL, NULL},
     {"etag", 0, POPT_ARG_STRING, &options.etag, 0, NULL, NULL},
     {"redirect-host", 0, POPT_ARG_STRING, &options.redirect_host, 0, NULL, NULL},
     {"at", 0, POPT_ARG_STRING, &options.at, 0, NULL, NULL},
     {"distrust-after", 0, POPT_ARG_STRING, &options.distrust_after, 0, NULL, NULL},
     {"max-bytes", 0, POPT_ARG_LONG, &options.max_bytes, 0, NULL, NULL},
     {"connect-ms", 0, POPT_ARG_INT, &options.connect_ms, 0, NULL, NULL},
     {"idle-ms", 0, POPT_ARG_INT, &options.idle_ms, 0, NULL, NULL},
     {"total-ms", 0, POPT_ARG_INT, &options.total_ms, 0, NULL, NULL},
     {"pause-ms", 0, POPT_ARG_INT, &options.pause_ms, 0, NULL, NULL},
     {"forget", 0, POPT_ARG_NONE, &options.forget, 0, NULL, NULL},
     {"waive", 0, POPT_ARG_INT, &options.waive, 0, NULL, NULL},
     POPT_AUTOHELP POPT_TABLEEND};

static void die(const char *what, const struct hf_why *why)
{
    fprintf(stderr, "hf-fetch: %s: %s\n", what, why != NULL ? why->text : "cannot");
    exit(2);
}

static struct hf_buf read_file(const char *path)
{
    struct hf_buf content = {0};
    char chunk[4096];
    size_t n;
    FILE *file = fopen(path, "rb");

    if (file == NULL)
        die(path, NULL);
    while ((n = fread(chunk, 1, sizeof chunk, file)) > 0)
        if (hf_buf_append(&content, chunk, n) != HF_OK)
            die(path, NULL);
    (void)fclose(file);
    return content;
}

static void fill_store(struct hf_trust_store *store, const char *path, int64_t distrust_after_s)
{
    struct hf_buf pem = read_file(path);
    struct hf_bundle bundle;
    struct hf_why why;

    if (hf_bundle_parse(hf_buf_bytes(&pem), NULL, &bundle, &why) != HF_OK)
        die(path, &why);
    struct hf_trust_anchor *anchors = calloc(bundle.n_anchors, sizeof *anchors);
    for (size_t i = 0; anchors != NULL && i < bundle.n_anchors; i++)
        anchors[i] = (struct hf_trust_anchor){.der = bundle.anchors[i].der,
                                              .not_before_s = bundle.anchors[i].cert.not_before_s,
                                              .not_after_s = bundle.anchors[i].cert.not_after_s,
                                              .distrust_after_s = distrust_after_s,
                                              .remove_after_s = INT64_MIN};
    if (anchors == NULL || hf_trust_store_swap(store, anchors, bundle.n_anchors, &why) != HF_OK)
        die(path, &why);
    free(anchors);
    hf_bundle_free(&bundle);
    hf_buf_free(&pem);
}

static int64_t time_option(const char *text, bool (*parse)(const char *, int64_t *))
{
    int64_t time_s = INT64_MIN;

    if (text != NULL && !parse(text, &time_s))
        die(text, NULL);
    return time_s;
}

static void allow_redirects(struct hf_http_transport *transport, const char *host)
{
    struct hf_redirect_targets targets = {.n = 1};
    struct hf_why why;

    if (hf_endpoint_parse(hf_bytes_of_text(host), 0, &targets.hosts[0], &why) != HF_OK)
        die(host, &why);
    hf_http_transport_allow_redirects(transport, &targets);
}

static bool fetch_one(struct hf_http_transport *transport, const char *url, bool waives)
{
    struct hf_transport_port port = hf_http_transport_port(transport);
    struct hf_request request = {.url = url,
                                 .etag = options.etag,
                                 .max_bytes = (size_t)options.max_bytes,
                                 .waives_validation = waives};
    struct hf_response response = {0};
    struct hf_why why = {0};
    char sha256[HF_SHA256_HEX_LEN];
    enum hf_err err = port.fetch(port.ctx, &request, &response, &why);

    if (err != HF_OK) {
        printf("%s\n", hf_err_name(err));
        fprintf(stderr, "%s\n", why.text);
        return false;
    }
    hf_sha256_hex(hf_buf_bytes(&response.body), sha256);
    printf("%d %zu %s %s\n", response.status, response.body.len, sha256, response.etag);
    hf_buf_free(&response.body);
    return true;
}

static bool fetch_all(struct hf_http_transport *transport, const char **urls)
{
    bool is_ok = true;

    for (size_t i = 0; urls != NULL && urls[i] != NULL; i++) {
        if (i > 0 && options.forget)
            hf_http_transport_idle(transport);
        if (i > 0)
            (void)usleep((useconds_t)options.pause_ms * 1000);
        is_ok = fetch_one(transport, urls[i], (options.waive >> i & 1) != 0) && is_ok;
        (void)fflush(stdout);
    }
    return is_ok;
}

int main(int argc, const char **argv)
{
    poptContext popt = poptGetContext("hf-fetch", argc, argv, table, 0);
    struct hf_trust_store *store = NULL;
    struct hf_http_transport *transport = NULL;
    struct hf_buf server_ca = {0};
    struct hf_why why = {0};

    if (poptGetNextOpt(popt) != -1)
        die("bad option", NULL);
    if (hf_trust_store_new(&store, &why) != HF_OK)
        die("store", &why);
    hf_trust_store_set_clock(time_option(options.at, hf_time_parse_lenient));
    if (options.store != NULL)
        fill_store(store, options.store, time_option(options.distrust_after, hf_time_parse_last));
    if (options.server_ca != NULL)
        server_ca = read_file(options.server_ca);
    if (hf_http_transport_new(store, (const char *)server_ca.data, false, &transport, &why) !=
        HF_OK)
        die("transport", &why);
    hf_http_transport_set_timeouts(transport, (struct hf_timeouts){.connect_ms = options.connect_ms,
                                                                   .idle_ms = options.idle_ms,
                                                                   .total_ms = options.total_ms});
    if (options.redirect_host != NULL)
        allow_redirects(transport, options.redirect_host);
    bool is_ok = fetch_all(transport, poptGetArgs(popt));

    hf_http_transport_free(transport);
    hf_trust_store_free(store);
    hf_buf_free(&server_ca);
    free(options.store);
    free(options.server_ca);
    free(options.etag);
    free(options.redirect_host);
    free(options.at);
    free(options.distrust_after);
    poptFreeContext(popt);
    return is_ok ? 0 : 1;
}
