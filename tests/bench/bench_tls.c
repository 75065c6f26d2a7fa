/*
 * The client of part_tls.py: TLS 1.3 connections to one server, one after the other, each with one
 * request.
 *
 *   bench_tls PORT full|resumed SECONDS [CERT KEY]   prints how many connections there were
 *   bench_tls PORT idle COUNT [CERT KEY]             opens that many, prints "open", keeps them
 *                                                    until its standard input ends
 */
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static SSL_CTX *ctx;
static SSL_SESSION *session; /* the newest ticket */
static in_port_t port;

static void die(const char *what)
{
    perror(what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static int on_session(SSL *ssl, SSL_SESSION *fresh)
{
    (void)ssl;
    SSL_SESSION_free(session);
    session = fresh;
    return 1;
}

static int connect_to_server(void)
{
    const int on = 1;
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = port,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof to) != 0)
        die("connect");
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

/* Handshake, request, answer. Without `is_last` the connection stays, and only its socket is
 * kept. */
static int one(SSL_SESSION *resumed, int is_last)
{
    char answer[4096];
    const char *request = is_last ? "GET / HTTP/1.1\r\nHost: dev.test\r\nConnection: close\r\n\r\n"
                                  : "GET / HTTP/1.1\r\nHost: dev.test\r\n\r\n";
    int fd = connect_to_server();
    SSL *ssl = SSL_new(ctx);
    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1 || SSL_set_tlsext_host_name(ssl, "dev.test") != 1 ||
        (resumed != NULL && SSL_set_session(ssl, resumed) != 1) || SSL_connect(ssl) != 1 ||
        SSL_write(ssl, request, (int)strlen(request)) <= 0)
        die("handshake");
    if (resumed != NULL && SSL_session_reused(ssl) != 1)
        die("the session was not resumed");
    int n = SSL_read(ssl, answer, sizeof answer);
    if (n < 12 || memcmp(answer, "HTTP/1.1 200", 12) != 0)
        die("answer");
    while (is_last && SSL_read(ssl, answer, sizeof answer) > 0)
        ;
    if (is_last)
        (void)SSL_shutdown(ssl); /* or OpenSSL takes the session for damaged */
    SSL_free(ssl);
    if (!is_last)
        return fd;
    close(fd);
    return -1;
}

static void run(int is_resumed, double seconds)
{
    struct timespec begun, now;
    unsigned long count = 0;
    (void)one(NULL, 1);
    (void)clock_gettime(CLOCK_MONOTONIC, &begun);
    do {
        (void)one(is_resumed ? session : NULL, 1);
        count++;
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((double)(now.tv_sec - begun.tv_sec) + 1e-9 * (double)(now.tv_nsec - begun.tv_nsec) <
             seconds);
    printf("%lu\n", count);
}

static void keep(long count)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    for (long i = 0; i < count; i++)
        (void)one(NULL, 0);
    printf("open\n");
    (void)fflush(stdout);
    (void)getchar();
}

int main(int argc, char **argv)
{
    (void)signal(SIGPIPE, SIG_IGN);
    ctx = SSL_CTX_new(TLS_client_method());
    if (argc < 4 || ctx == NULL || SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1)
        die("usage");
    port = htons((in_port_t)strtoul(argv[1], NULL, 10));
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, on_session);
    if (argc == 6 && (SSL_CTX_use_certificate_file(ctx, argv[4], SSL_FILETYPE_PEM) != 1 ||
                      SSL_CTX_use_PrivateKey_file(ctx, argv[5], SSL_FILETYPE_PEM) != 1))
        die("certificate");
    if (strcmp(argv[2], "idle") == 0)
        keep(strtol(argv[3], NULL, 10));
    else
        run(strcmp(argv[2], "resumed") == 0, strtod(argv[3], NULL));
    return 0;
}
