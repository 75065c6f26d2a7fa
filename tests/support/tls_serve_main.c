/*
 * hf-tls-serve: server/http with TLS alone, for tests/cli/test_tls_*.py and tests/bench. Its rules
 * about clients come from a file, which SIGHUP reads again, together with the certificates. SIGUSR1
 * changes the keys of tickets. It says what it was asked:
 *
 *   /whoami      the client as TLS knows it, as JSON      /headers  the values of kept headers
 *   /echo        the body of the request                  /late/N   the same as /whoami, after N ms
 *   /status/N    that status, with a header of its own    /big/N    N bytes
 *
 * Lines of the rules: `name SNI TAG ASK` and `nameless TAG ASK`, with ASK none, optional or
 * required; `cert SHA256 ALERT`, 0 for one that is accepted. What no line names is refused as a
 * fleet would do it.
 */
#include "server/http/loop.h"

#include "common/base/digest.h"
#include "common/os/file_util.h"

#include <inttypes.h>
#include <popt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define ROWS_MAX 64
#define LOOPS_MAX 8
#define LISTS_MAX 16

struct name_row {
    char sni[256]; /* "": no name was sent */
    uint64_t tag;
    enum hf_tls_ask ask;
};

struct cert_row {
    uint8_t sha256[HF_SHA256_LEN];
    int alert;
};

struct rules {
    struct name_row names[ROWS_MAX];
    struct cert_row certs[ROWS_MAX];
    size_t n_names, n_certs;
    struct rules *before; /* loops may still read them */
};

static struct {
    char *listen, *local, *rules, *access_log, *body_prefix;
    char **chains, **keys, **balancers;
    int loops, idle_ms, header_ms, handshake_ms, handshakes, per_address, connections, body_max;
} options = {.loops = 1,
             .idle_ms = 60000,
             .header_ms = 10000,
             .per_address = 1 << 20,
             .connections = 65536};

static const struct poptOption table[] =
    {{"listen", 0, POPT_ARG_STRING, &options.listen, 0, NULL, NULL},
     {"unix", 0, POPT_ARG_STRING, &options.local, 0, NULL, NULL},
     {"chain", 0, POPT_ARG_ARGV, &options.chains, 0, NULL, NULL},
     {"key", 0, POPT_ARG_ARGV, &options.keys, 0, NULL, NULL},
     {"rules", 0, POPT_ARG_STRING, &options.rules, 0, NULL, NULL},
     {"balancer", 0, POPT_ARG_ARGV, &options.balancers, 0, NULL, NULL},
     {"access-log", 0, POPT_ARG_STRING, &options.access_log, 0, NULL, NULL},
     {"body-prefix", 0, POPT_ARG_STRING, &options.body_prefix, 0, NULL, NULL},
     {"body-max", 0, POPT_ARG_INT, &options.body_max, 0, NULL, NULL},
     {"loops", 0, POPT_ARG_INT, &options.loops, 0, NULL, NULL},
     {"idle-ms", 0, POPT_ARG_INT, &options.idle_ms, 0, NULL, NULL},
     {"header-ms", 0, POPT_ARG_INT, &options.header_ms, 0, NULL, NULL},
     {"handshake-ms", 0, POPT_ARG_INT, &options.handshake_ms, 0, NULL, NULL},
     {"handshakes", 0, POPT_ARG_INT, &options.handshakes, 0, NULL, NULL},
     {"per-address", 0, POPT_ARG_INT, &options.per_address, 0, NULL, NULL},
     {"connections", 0, POPT_ARG_INT, &options.connections, 0, NULL, NULL},
     POPT_AUTOHELP POPT_TABLEEND};

static _Atomic(struct rules *) current;
static atomic_uint_fast64_t generation;

static void die(const char *what, const char *reason)
{
    (void)fprintf(stderr, "hf-tls-serve: %s: %s\n", what, reason);
    exit(2);
}

/* ---- rules ----------------------------------------------------------------------------------- */

static enum hf_tls_ask ask_of(const char *word)
{
    if (strcmp(word, "required") == 0)
        return HF_TLS_ASK_REQUIRED;
    return strcmp(word, "optional") == 0 ? HF_TLS_ASK_OPTIONAL : HF_TLS_ASK_NOTHING;
}

static bool read_row(struct rules *r, const char *line)
{
    char word[16], hex[2 * HF_SHA256_LEN + 1];
    struct name_row *name = &r->names[r->n_names];
    struct cert_row *cert = &r->certs[r->n_certs];
    if (r->n_names == ROWS_MAX || r->n_certs == ROWS_MAX)
        return false;
    if (sscanf(line, "name %255s %" SCNu64 " %15s", name->sni, &name->tag, word) == 3 ||
        sscanf(line, "nameless %" SCNu64 " %15s", &name->tag, word) == 2) {
        name->ask = ask_of(word);
        r->n_names++;
        return true;
    }
    if (sscanf(line, "cert %64s %d", hex, &cert->alert) != 2 ||
        !hf_hex_decode(hex, cert->sha256, sizeof cert->sha256))
        return false;
    r->n_certs++;
    return true;
}

static void read_rules(void)
{
    char line[512];
    struct rules *r = calloc(1, sizeof *r);
    FILE *file = options.rules != NULL ? fopen(options.rules, "r") : NULL;
    if (r == NULL || (options.rules != NULL && file == NULL))
        die("rules", "they cannot be read");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (!read_row(r, line))
            die("this is no rule", line);
    if (file != NULL)
        (void)fclose(file);
    r->before = atomic_load(&current);
    atomic_store(&current, r);
    atomic_fetch_add(&generation, 1);
}

static int on_hello(void *ctx, struct hf_tls_peer *peer, enum hf_tls_ask *ask)
{
    const struct rules *r = atomic_load(&current);
    (void)ctx;
    for (size_t i = 0; i < r->n_names; i++) {
        if (strcmp(peer->sni != NULL ? peer->sni : "", r->names[i].sni) == 0) {
            peer->tag = r->names[i].tag;
            *ask = r->names[i].ask;
            return 0;
        }
    }
    if (peer->sni != NULL)
        return SSL_AD_UNRECOGNIZED_NAME;
    return peer->version == TLS1_3_VERSION ? SSL_AD_MISSING_EXTENSION : SSL_AD_HANDSHAKE_FAILURE;
}

static int judge(const struct hf_tls_peer *peer)
{
    const struct rules *r = atomic_load(&current);
    for (size_t i = 0; i < r->n_certs; i++)
        if (memcmp(r->certs[i].sha256, peer->sha256, HF_SHA256_LEN) == 0)
            return r->certs[i].alert;
    return SSL_AD_UNKNOWN_CA;
}

static int on_certificate(void *ctx, struct hf_tls_peer *peer, STACK_OF(X509) * chain)
{
    int alert = judge(peer);
    (void)ctx;
    if (sk_X509_num(chain) < 1 || sk_X509_value(chain, 0) != peer->leaf)
        die("a chain", "it does not begin with the leaf");
    if (alert == 0 && X509_cmp_current_time(X509_get0_notAfter(peer->leaf)) < 0)
        alert = SSL_AD_CERTIFICATE_EXPIRED;
    if (alert == 0 && peer->version == TLS1_2_VERSION &&
        EVP_PKEY_get_base_id(X509_get0_pubkey(peer->leaf)) == EVP_PKEY_RSA_PSS)
        alert = SSL_AD_UNSUPPORTED_CERTIFICATE;
    peer->mark = 7;
    return alert;
}

static bool on_resume(void *ctx, struct hf_tls_peer *peer)
{
    (void)ctx;
    return peer->leaf == NULL || judge(peer) == 0;
}

/* 255 is no alert: accepted until the key is proved, as a certificate that registers itself. */
static bool on_established(void *ctx, const struct hf_tls_peer *peer)
{
    (void)ctx;
    return peer->sni == NULL || strcmp(peer->sni, "closes.test") != 0;
}

static bool is_still_allowed(void *ctx, const struct hf_tls_peer *peer)
{
    (void)ctx;
    return peer->leaf == NULL || judge(peer) == 0;
}

/* ---- what it serves -------------------------------------------------------------------------- */

static void add(struct hf_buf *out, const char *text)
{
    if (hf_buf_append_text(out, text) != HF_OK)
        die("memory", "there is none");
}

static void answer_whoami(struct hf_request *request)
{
    struct hf_buf out = {0};
    char address[HF_ADDRESS_TEXT_MAX], hex[2 * HF_SHA256_LEN + 1] = "", line[512];
    struct hf_request_peer peer = hf_request_peer(request);
    hf_address_format(peer.address, address);
    (void)snprintf(line, sizeof line, "{\"peer\": \"%s\"", address);
    add(&out, line);
    if (peer.tls != NULL) {
        if (peer.tls->leaf != NULL)
            hf_hex_encode(peer.tls->sha256, HF_SHA256_LEN, hex);
        (void)snprintf(line, sizeof line,
                       ", \"tag\": %" PRIu64 ", \"sni\": \"%s\", \"version\": %u, \"resumed\": %s, "
                       "\"sha256\": \"%s\", \"mark\": %" PRIu64,
                       peer.tls->tag, peer.tls->sni != NULL ? peer.tls->sni : "", peer.tls->version,
                       peer.tls->is_resumed ? "true" : "false", hex, peer.tls->mark);
        add(&out, line);
    }
    add(&out, "}\n");
    hf_answer_take(request, 200, "application/json", NULL, &out);
}

static void answer_headers(struct hf_request *request)
{
    struct hf_buf out = {0};
    char host[HF_HTTP_HOST_BYTES_MAX + 8];
    (void)snprintf(host, sizeof host, "host=%.*s", (int)request->host.len, request->host.text);
    add(&out, host);
    for (enum hf_header h = HF_HEADER_KEPT; h < HF_HEADERS; h++) {
        struct hf_bytes value;
        char line[HF_HTTP_HEADER_VALUES_BYTES_MAX + 16];
        if (hf_request_header(request, h, &value)) {
            (void)snprintf(line, sizeof line, ";%d=%.*s", h - HF_HEADER_KEPT, (int)value.len,
                           (const char *)value.data);
            add(&out, line);
        }
    }
    hf_answer_take(request, 200, "text/plain", NULL, &out);
}

struct late {
    uv_timer_t timer;
    struct hf_request *request;
};

static void free_late(uv_handle_t *timer)
{
    free(timer->data);
}

static void on_late(uv_timer_t *timer)
{
    struct late *late = timer->data;
    answer_whoami(late->request);
    uv_close((uv_handle_t *)timer, free_late);
}

static void answer_late(struct hf_request *request, unsigned long wait_ms)
{
    struct late *late = calloc(1, sizeof *late);
    if (late == NULL)
        die("memory", "there is none");
    late->timer.data = late;
    late->request = request;
    (void)uv_timer_init(hf_request_loop(request), &late->timer);
    (void)uv_timer_start(&late->timer, on_late, wait_ms, 0);
}

static void handle(void *ctx, struct hf_request *request)
{
    char target[64];
    struct hf_buf out = {0};
    (void)ctx;
    (void)snprintf(target, sizeof target, "%.*s", (int)request->target.len, request->target.text);
    const char *last = strrchr(target, '/');
    unsigned long n = strtoul(last != NULL ? last + 1 : "", NULL, 10);
    if (strcmp(target, "/whoami") == 0) {
        answer_whoami(request);
    } else if (strncmp(target, "/late/", 6) == 0) {
        answer_late(request, n);
    } else if (strcmp(target, "/headers") == 0) {
        answer_headers(request);
    } else if (strncmp(target, "/status/", 8) == 0) {
        add(&out, "{}\n");
        hf_answer_take(request, (unsigned)n, "application/json", "Location: /there\r\n", &out);
    } else if (strncmp(target, "/big/", 5) == 0) {
        for (unsigned long i = 0; i < n; i += 16)
            add(&out, "0123456789abcde\n");
        out.len = n;
        hf_answer_take(request, 200, "text/plain", NULL, &out);
    } else {
        out = request->body;
        request->body = (struct hf_buf){0};
        hf_answer_take(request, 200, "text/plain", NULL, &out);
    }
}

/* ---- running --------------------------------------------------------------------------------- */

static struct hf_loop loops[LOOPS_MAX];
static struct hf_tls_server *tls;

static size_t read_certificates(struct hf_tls_certificate out[LISTS_MAX])
{
    size_t n = 0;
    for (; options.chains != NULL && options.chains[n] != NULL && n < LISTS_MAX; n++)
        out[n] = (struct hf_tls_certificate){options.chains[n], options.keys[n]};
    return n;
}

static void reload(void)
{
    struct hf_tls_certificate certificates[LISTS_MAX];
    struct hf_tls_contexts *fresh = NULL;
    struct hf_why why;
    size_t n = read_certificates(certificates);
    read_rules();
    if (n > 0 && hf_tls_server_read(tls, certificates, n, &fresh, &why) != HF_OK) {
        printf("not reloaded: %s\n", why.text);
    } else {
        if (fresh != NULL)
            hf_tls_server_take(tls, fresh);
        printf("reloaded\n");
    }
    (void)fflush(stdout);
}

/* True: go on. */
static bool wait_for_signal(const sigset_t *signals)
{
    int number = 0;
    struct hf_why why;
    if (sigwait(signals, &number) != 0 || number == SIGTERM || number == SIGINT)
        return false;
    if (number == SIGHUP) {
        reload();
    } else if (hf_tls_server_rotate_tickets(tls, &why) == HF_OK) {
        printf("rotated\n");
        (void)fflush(stdout);
    }
    return true;
}

static int listen_at(union hf_peer *address, bool is_first)
{
    int fd = -1;
    struct hf_why why;
    if ((options.local != NULL ? hf_listen_local(options.local, 0660, (gid_t)-1, &fd, &why)
                               : hf_listen(address, is_first, &fd, &why)) != HF_OK)
        die("listen", why.text);
    return fd;
}

static void start(struct hf_http_config *config)
{
    struct hf_why why;
    union hf_peer address = {0};
    char text[HF_ADDRESS_TEXT_MAX] = "a Unix-domain socket";
    if (options.local == NULL && hf_address_parse(options.listen, &address, &why) != HF_OK)
        die("--listen", why.text);
    for (int i = 0; i < options.loops; i++) {
        int fd = listen_at(&address, i == 0);
        if (hf_loop_init_take(&loops[i], fd, config, &why) != HF_OK ||
            hf_loop_start(&loops[i], &why) != HF_OK)
            die("loop", why.text);
    }
    if (options.local == NULL)
        hf_address_format(&address, text);
    printf("listening on %s\n", text);
    (void)fflush(stdout);
}

static size_t read_networks(struct hf_network out[LISTS_MAX])
{
    size_t n = 0;
    struct hf_why why;
    for (; options.balancers != NULL && options.balancers[n] != NULL && n < LISTS_MAX; n++)
        if (hf_network_parse(options.balancers[n], &out[n], &why) != HF_OK)
            die("--balancer", why.text);
    return n;
}

static void free_all(const struct hf_http_config *config)
{
    hf_tls_server_free(tls);
    hf_access_log_close(config->access_log);
    free(config->addresses);
    for (struct rules *r = atomic_load(&current), *before; r != NULL; r = before) {
        before = r->before;
        free(r);
    }
}

int main(int argc, const char **argv)
{
    static const struct hf_refusal refusals[] = {{413, "too long", NULL}};
    poptContext popt = poptGetContext("hf-tls-serve", argc, argv, table, 0);
    struct hf_tls_rules rules = {.hello = on_hello,
                                 .certificate = on_certificate,
                                 .resume = on_resume,
                                 .established = on_established,
                                 .still_allowed = is_still_allowed,
                                 .generation = &generation};
    struct hf_tls_certificate certificates[LISTS_MAX];
    struct hf_network balancers[LISTS_MAX];
    struct rlimit files;
    sigset_t signals;
    struct hf_why why;

    if (poptGetNextOpt(popt) != -1 || options.loops > LOOPS_MAX)
        die("arguments", "see --help");
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGHUP);
    (void)sigaddset(&signals, SIGUSR1);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);

    size_t n = read_certificates(certificates);
    if (n > 0 && hf_tls_server_new(certificates, n, &tls, &why) != HF_OK)
        die("certificates", why.text);
    read_rules();
    const struct hf_body_rule body_rules[] = {{options.body_prefix, (size_t)options.body_max}};
    struct hf_http_config config = {
        .connections_max = (unsigned)options.connections,
        .header_timeout_ms = (uint64_t)options.header_ms,
        .idle_timeout_ms = (uint64_t)options.idle_ms,
        .body_rules = body_rules,
        .n_body_rules = options.body_prefix != NULL ? 1 : 0,
        .tls = tls,
        .tls_rules = options.rules != NULL ? &rules : NULL,
        .handshake_timeout_ms = (uint64_t)options.handshake_ms,
        .handshakes_max = (unsigned)options.handshakes,
        .balancers = balancers,
        .n_balancers = read_networks(balancers),
        .handler = handle,
        .refusals = refusals,
        .n_refusals = 1,
        .addresses = hf_address_count_new((unsigned)options.per_address),
    };
    if (options.access_log != NULL &&
        hf_access_log_open(options.access_log, &config.access_log, &why) != HF_OK)
        die("--access-log", why.text);
    start(&config);
    while (wait_for_signal(&signals))
        ;
    for (int i = 0; i < options.loops; i++)
        hf_loop_stop(&loops[i]);
    for (int i = 0; i < options.loops; i++)
        hf_loop_join(&loops[i]);
    free_all(&config);
    poptFreeContext(popt);
    return 0;
}
