#include "server/http/access_log.h"

#include "common/base/plaintext.h"
#include "common/base/timetext.h"
#include "common/os/service.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

struct line {
    size_t len;
    char bytes[HF_HTTP_LOG_LINE_MAX];
};

struct text {
    size_t len;
    char bytes[HF_HTTP_LOG_BYTES];
};

struct hf_access_log {
    char *path;        /* the writer's, which changes it with the mutex */
    int fd;            /* the writer's; -1: off */
    atomic_bool is_on; /* for those who add lines */
    bool is_failing;   /* the last write failed, and a warning said so */
    bool is_cut;       /* the last byte written was not a line's end */
    uv_thread_t writer;

    uv_mutex_t mutex; /* over what follows */
    uv_cond_t wake;
    struct text *filling;
    uint64_t dropped;
    bool is_ended;           /* the writer has written its last line */
    char *moved;             /* the path to go on with; NULL: the same */
    atomic_bool must_reopen; /* this and the next are also read in the middle of a write */
    atomic_bool is_closing;

    struct text *writing; /* the writer's */
};

/* Opening never waits, also for the reader of a named pipe. Opened for reading, too, a pipe needs
 * no other reader and survives one that restarts (fifo(7)). -1 with errno. */
static int open_path(const char *path)
{
    struct stat st;
    bool is_pipe = stat(path, &st) == 0 && S_ISFIFO(st.st_mode);
    int access = is_pipe ? O_RDWR : O_WRONLY;
    return open(path, access | O_NONBLOCK | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
}

/* Any path of the configuration; -1 with errno, and for "off". */
static int open_any(const char *path)
{
    if (strcmp(path, "off") == 0)
        return -1;
    return strcmp(path, "-") == 0 ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0) : open_path(path);
}

static enum hf_err fail_open(const char *path, struct hf_why *why)
{
    return hf_fail(why, HF_E_STORAGE, "the access log %s cannot be opened: %s", path,
                   strerror(errno));
}

/* 0, or the error that cost the rest. Waits for a reader, but not if another file is to be opened
 * or the process ends. */
static int write_all(struct hf_access_log *log, const char *data, size_t len)
{
    struct stat st;
    bool is_file = fstat(log->fd, &st) == 0 && S_ISREG(st.st_mode);
    /* As much as a pipe that is ready takes without blocking. */
    size_t step = is_file ? len : PIPE_BUF;
    while (len > 0) {
        struct pollfd ready = {.fd = log->fd, .events = POLLOUT};
        while (poll(&ready, 1, HF_HTTP_LOG_FLUSH_MS) == 0)
            if (atomic_load(&log->is_closing) || atomic_load(&log->must_reopen))
                return 0;
        ssize_t n = write(log->fd, data, len < step ? len : step);
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return errno;
        if (n > 0) {
            data += n;
            len -= (size_t)n;
            log->is_cut = data[-1] != '\n';
        }
    }
    return 0;
}

static void write_out(struct hf_access_log *log, uint64_t dropped)
{
    if (log->fd < 0) {
        log->writing->len = 0;
        return;
    }
    int failed = log->is_cut && log->writing->len > 0 ? write_all(log, "\n", 1) : 0;
    if (failed == 0)
        failed = write_all(log, log->writing->bytes, log->writing->len);
    if (failed == 0 && dropped > 0) {
        char line[128];
        char now[HF_TIME_TEXT_MAX];
        hf_time_format(time(NULL), now);
        int n = snprintf(line, sizeof line, "{\"time\":\"%s\",\"dropped\":%llu}\n", now,
                         (unsigned long long)dropped);
        failed = write_all(log, line, (size_t)n);
    }
    if (failed != 0 && !log->is_failing)
        hf_service_log(HF_LOG_WARNING,
                       "the access log %s cannot be written: %s; its lines are lost until it can",
                       log->path, strerror(failed));
    log->is_failing = failed != 0;
    log->writing->len = 0;
}

/* `moved` is taken; NULL: the same path again. */
static void open_again(struct hf_access_log *log, char *moved)
{
    const char *path = moved != NULL ? moved : log->path;
    bool is_off = strcmp(path, "off") == 0;
    if (moved == NULL && (is_off || strcmp(path, "-") == 0))
        return;
    int fd = open_any(path);
    if (fd < 0 && !is_off) {
        hf_service_log(HF_LOG_WARNING,
                       "the access log %s cannot be opened again: %s; the old file is kept open",
                       path, strerror(errno));
        free(moved);
        return;
    }
    if (log->fd >= 0)
        close(log->fd);
    log->fd = fd;
    if (moved != NULL) {
        uv_mutex_lock(&log->mutex);
        free(log->path);
        log->path = moved;
        uv_mutex_unlock(&log->mutex);
        log->is_cut = false;
    }
    atomic_store(&log->is_on, !is_off);
}

static void writer(void *arg)
{
    struct hf_access_log *log = arg;
    bool is_last = false;
    while (!is_last) {
        uv_mutex_lock(&log->mutex);
        if (!atomic_load(&log->is_closing) && !atomic_load(&log->must_reopen) &&
            log->filling->len < HF_HTTP_LOG_BYTES / 2)
            (void)uv_cond_timedwait(&log->wake, &log->mutex,
                                    HF_HTTP_LOG_FLUSH_MS * UINT64_C(1000000));
        struct text *full = log->filling;
        log->filling = log->writing;
        log->writing = full;
        uint64_t dropped = log->dropped;
        log->dropped = 0;
        char *moved = log->moved;
        log->moved = NULL;
        is_last = atomic_load(&log->is_closing);
        uv_mutex_unlock(&log->mutex);

        /* A pipe that takes nothing holds up nothing while must_reopen is set. */
        if (moved != NULL) {
            write_out(log, dropped);
            dropped = 0;
        }
        if (atomic_exchange(&log->must_reopen, false) || moved != NULL)
            open_again(log, moved);
        write_out(log, dropped);
    }
    uv_mutex_lock(&log->mutex);
    log->is_ended = true;
    uv_cond_broadcast(&log->wake);
    uv_mutex_unlock(&log->mutex);
}

static void free_log(struct hf_access_log *log)
{
    if (log->fd >= 0)
        close(log->fd);
    free(log->path);
    free(log->moved);
    free(log->filling);
    free(log->writing);
    free(log);
}

enum hf_err hf_access_log_open(const char *path, struct hf_access_log **out, struct hf_why *why)
{
    bool is_off = strcmp(path, "off") == 0;
    int fd = open_any(path);
    if (fd < 0 && !is_off)
        return fail_open(path, why);
    struct hf_access_log *log = calloc(1, sizeof *log);
    if (log != NULL) {
        log->fd = fd;
        atomic_init(&log->is_on, !is_off);
        log->path = strdup(path);
        log->filling = calloc(1, sizeof *log->filling);
        log->writing = calloc(1, sizeof *log->writing);
        if (log->path != NULL && log->filling != NULL && log->writing != NULL &&
            uv_mutex_init(&log->mutex) == 0 && uv_cond_init(&log->wake) == 0 &&
            uv_thread_create(&log->writer, writer, log) == 0) {
            *out = log;
            return HF_OK;
        }
        free_log(log);
    } else if (fd >= 0) {
        close(fd);
    }
    return hf_fail(why, HF_E_MEMORY, "no memory for the access log");
}

static void add_escaped(struct line *line, const char *key, const char *value, size_t len)
{
    size_t size = sizeof line->bytes - 64; /* the end of the line has its room kept back */
    int n = snprintf(line->bytes + line->len, size - line->len, ",\"%s\":\"", key);
    line->len += (size_t)n;
    line->len += hf_escape_json(value, len, line->bytes + line->len, size - line->len);
    line->bytes[line->len++] = '"';
}

/* The time and who it was. */
static void begin_line(struct line *line, const union hf_peer *peer)
{
    char now[HF_TIME_TEXT_MAX];
    char address[HF_ADDRESS_TEXT_MAX];
    hf_time_format(time(NULL), now);
    hf_address_format(peer, address);
    line->len = (size_t)snprintf(line->bytes, sizeof line->bytes,
                                 "{\"time\":\"%s\",\"peer\":\"%s\"", now, address);
}

static void end_line(struct hf_access_log *log, struct line *line)
{
    memcpy(line->bytes + line->len, "}\n", 2);
    line->len += 2;

    uv_mutex_lock(&log->mutex);
    struct text *to = log->filling;
    if (line->len <= sizeof to->bytes - to->len) {
        memcpy(to->bytes + to->len, line->bytes, line->len);
        to->len += line->len;
    } else {
        log->dropped++;
    }
    bool is_half_full = to->len >= HF_HTTP_LOG_BYTES / 2;
    uv_mutex_unlock(&log->mutex);
    if (is_half_full)
        uv_cond_signal(&log->wake);
}

void hf_access_log_add(struct hf_access_log *log, const union hf_peer *peer,
                       const struct hf_request *request, unsigned status, size_t body_len)
{
    struct line line;
    if (!atomic_load_explicit(&log->is_on, memory_order_relaxed))
        return;
    begin_line(&line, peer);
    line.len += (size_t)snprintf(line.bytes + line.len, sizeof line.bytes - line.len,
                                 ",\"method\":\"%s\",\"status\":%u,\"bytes\":%zu",
                                 llhttp_method_name((llhttp_method_t)request->method), status,
                                 body_len);
    /* The fields that a client fills come last. */
    add_escaped(&line, "target", request->target.text, request->target.len);
    add_escaped(&line, "agent", request->agent.text, request->agent.len);
    end_line(log, &line);
}

void hf_access_log_add_handshake(struct hf_access_log *log, const union hf_peer *peer,
                                 const struct hf_tls_peer *tls, int alert_sent, int alert_received)
{
    struct line line;
    if (!atomic_load_explicit(&log->is_on, memory_order_relaxed))
        return;
    begin_line(&line, peer);
    bool is_sent = alert_sent >= 0;
    line.len += (size_t)snprintf(line.bytes + line.len, sizeof line.bytes - line.len,
                                 ",\"alert\":\"%s\",\"from\":\"%s\"",
                                 hf_tls_alert_name(is_sent ? alert_sent : alert_received),
                                 is_sent ? "server" : "client");
    if (tls->version != 0)
        line.len += (size_t)snprintf(line.bytes + line.len, sizeof line.bytes - line.len,
                                     ",\"tls\":\"%s\"",
                                     tls->version == TLS1_3_VERSION ? "1.3" : "1.2");
    if (tls->sni != NULL)
        add_escaped(&line, "sni", tls->sni, strlen(tls->sni));
    end_line(log, &line);
}

void hf_access_log_reopen(struct hf_access_log *log)
{
    atomic_store(&log->must_reopen, true);
    uv_cond_signal(&log->wake);
}

enum hf_err hf_access_log_check(const char *path, struct hf_why *why)
{
    int fd = open_any(path);
    if (fd < 0 && strcmp(path, "off") != 0)
        return fail_open(path, why);
    if (fd >= 0)
        close(fd);
    return HF_OK;
}

void hf_access_log_move_take(struct hf_access_log *log, char *path)
{
    uv_mutex_lock(&log->mutex);
    free(log->moved);
    log->moved = path;
    uv_mutex_unlock(&log->mutex);
    hf_access_log_reopen(log);
}

void hf_access_log_close(struct hf_access_log *log)
{
    if (log == NULL)
        return;
    const uint64_t until_ns = uv_hrtime() + HF_HTTP_LOG_CLOSE_MS * UINT64_C(1000000);
    uv_mutex_lock(&log->mutex);
    atomic_store(&log->is_closing, true);
    uv_cond_broadcast(&log->wake);
    uint64_t now_ns;
    while (!log->is_ended && (now_ns = uv_hrtime()) < until_ns)
        (void)uv_cond_timedwait(&log->wake, &log->mutex, until_ns - now_ns);
    bool is_ended = log->is_ended;
    if (!is_ended)
        hf_service_log(HF_LOG_WARNING, "the access log %s takes no more: its last lines are lost",
                       log->path);
    uv_mutex_unlock(&log->mutex);
    if (!is_ended)
        return;
    (void)uv_thread_join(&log->writer);
    uv_cond_destroy(&log->wake);
    uv_mutex_destroy(&log->mutex);
    free_log(log);
}
