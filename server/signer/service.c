#include "server/signer/service.h"

#include "common/os/clock.h"
#include "common/os/service.h"
#include "server/signer/protocol.h"
#include "server/signer/quota.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define SLOT_SIGNALS 0
#define SLOT_LISTENER 1
#define SLOT_CLIENTS 2
#define SLOTS (SLOT_CLIENTS + HF_SIGNER_CLIENTS_MAX)
#define WARN_EVERY_MS 60000
#define WAKE_MAX_MS 60000 /* a clock that was set is noticed within a minute */

/* A client that does not take its answer in this time is dropped. */
static const struct timeval send_limit = {.tv_sec = 5};

struct hf_signer_service {
    struct hf_signer *signer;
    const char *config_path; /* to read again at SIGHUP; NULL without signals */
    uid_t client_uid;
    struct pollfd slots[SLOTS]; /* fd -1: free */
    int64_t next_refresh_s;
    int64_t warned_ms; /* of clients that were turned away: at most once a minute */
    int watchdog_ms;
    int failed; /* the errno for which it ended; 0: none */
};

static enum hf_err listen_at(const char *path, int *out, struct hf_why *why)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return hf_fail(why, HF_E_LIMIT, "%s: the path of a socket has at most %zu bytes", path,
                       sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, strlen(path) + 1);
    /* The state folder is locked, so a socket that is there belongs to no running signer. */
    (void)unlink(path);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
        chmod(path, 0666) == 0 && listen(fd, (int)HF_SIGNER_CLIENTS_MAX) == 0) {
        *out = fd;
        return HF_OK;
    }
    int failed = errno;
    if (fd >= 0)
        close(fd);
    return hf_fail(why, HF_E_STORAGE, "cannot listen at %s: %s", path, strerror(failed));
}

static enum hf_err find_user(const char *name, uid_t *out, struct hf_why *why)
{
    const struct passwd *user = name != NULL ? getpwnam(name) : NULL;
    if (name == NULL)
        *out = geteuid();
    else if (user == NULL)
        return hf_fail(why, HF_E_NOT_FOUND, "[signer] client_user: there is no user \"%s\"", name);
    else
        *out = user->pw_uid;
    return HF_OK;
}

/* SIGTERM, SIGINT and SIGHUP come as records to read. -1 with errno. */
static int open_signals(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Clients that are turned away can be many: any user of the machine may knock. */
static bool may_warn(struct hf_signer_service *s)
{
    int64_t now_ms = hf_monotonic_ms();
    if (s->warned_ms != 0 && now_ms - s->warned_ms < WARN_EVERY_MS)
        return false;
    s->warned_ms = now_ms;
    return true;
}

static void accept_client(struct hf_signer_service *s)
{
    struct ucred peer;
    socklen_t len = sizeof peer;
    int fd = accept4(s->slots[SLOT_LISTENER].fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &send_limit, sizeof send_limit);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0 || peer.uid != s->client_uid) {
        if (may_warn(s))
            hf_service_log(
                HF_LOG_WARNING,
                "a process of user %u was refused: only user %u ([signer] client_user) may ask",
                (unsigned)peer.uid, (unsigned)s->client_uid);
        close(fd);
        return;
    }
    for (size_t i = SLOT_CLIENTS; i < SLOTS; i++)
        if (s->slots[i].fd < 0) {
            s->slots[i] = (struct pollfd){.fd = fd, .events = POLLIN};
            return;
        }
    if (may_warn(s))
        hf_service_log(HF_LOG_WARNING,
                       "%u clients are connected, the most there can be: one more is "
                       "refused",
                       HF_SIGNER_CLIENTS_MAX);
    close(fd);
}

/* One request and its answer; false when the connection is over. */
static bool serve_client(struct hf_signer_service *s, int fd)
{
    struct hf_why why;
    json_t *request = NULL, *answer = NULL;
    int folder = -1;
    enum hf_err err = hf_signer_receive(fd, &request, &folder, &why);
    if (err == HF_OK) {
        const struct hf_moment now = hf_moment_read();
        answer = hf_signer_answer(s->signer, request, folder, &now);
        if (answer != NULL && !json_is_true(json_object_get(answer, "ok")))
            hf_service_log(HF_LOG_WARNING, "refused: %s",
                           json_string_value(json_object_get(answer, "sentence")));
    } else if (err != HF_E_NETWORK) {
        answer = hf_signer_refusal(&why);
    }
    bool is_over = answer == NULL || hf_signer_send(fd, answer, -1, &why) != HF_OK;
    json_decref(answer);
    json_decref(request);
    if (folder >= 0)
        close(folder);
    return !is_over;
}

static void keep_fresh(struct hf_signer_service *s)
{
    struct hf_why why;
    const struct hf_moment now = hf_moment_read();
    /* A next time that is far off was counted by a clock that has gone back since. */
    if (now.wall_s < s->next_refresh_s &&
        s->next_refresh_s - now.wall_s <= s->signer->rates.timestamp_every_s)
        return;
    enum hf_err err = hf_signer_keep_fresh(s->signer, &now, &s->next_refresh_s, &why);
    if (err == HF_OK) {
        hf_notify("STATUS=the timestamp is fresh");
        return;
    }
    hf_service_log(HF_LOG_ERROR, "the timestamp cannot be signed: %s; next try in %d seconds",
                   why.text, (int)HF_REFRESH_RETRY_S);
    hf_notify("STATUS=the timestamp cannot be signed; see the log");
}

static int wait_ms(const struct hf_signer_service *s)
{
    int64_t left_ms = (s->next_refresh_s - time(NULL)) * 1000;
    int most_ms = s->watchdog_ms > 1 ? s->watchdog_ms / 2 : WAKE_MAX_MS;
    if (most_ms > WAKE_MAX_MS)
        most_ms = WAKE_MAX_MS;
    return left_ms < 0 ? 0 : left_ms < most_ms ? (int)left_ms : most_ms;
}

/* The whole file is read and checked before anything changes. */
static void reload(struct hf_signer_service *s)
{
    struct hf_signer *signer = s->signer;
    const char *section = NULL, *name = NULL;
    struct hf_config config;
    struct hf_why why;
    if (hf_signer_read_config(s->config_path, &config, &why) != HF_OK) {
        hf_service_log(HF_LOG_ERROR, "the configuration stays as it was: %s", why.text);
        return;
    }
    for (size_t i = 0; hf_config_row(i, &section, &name); i++)
        if ((strcmp(section, "signer") == 0 || strcmp(section, "repository") == 0) &&
            !hf_config_is_reloadable(i) && hf_config_differs(signer->config, &config, i))
            hf_service_log(HF_LOG_WARNING,
                           "[%s] %s has changed: it counts after a restart of holdfast-signer",
                           section, name);
    signer->rates = hf_signer_rates_of(&config);
    s->next_refresh_s = 0; /* look again now */
    hf_service_log(HF_LOG_INFO,
                   "from now on: timestamp_every %" PRId64 "s, issue_per_day %" PRId64
                   ", issue_per_day_per_ca %" PRId64,
                   signer->rates.timestamp_every_s, signer->rates.issue_per_day,
                   signer->rates.issue_per_day_per_ca);
    hf_config_free(&config);
}

/* False for a signal that ends the service. */
static bool take_signal(struct hf_signer_service *s)
{
    struct signalfd_siginfo info;
    if (read(s->slots[SLOT_SIGNALS].fd, &info, sizeof info) != sizeof info)
        return true;
    if (info.ssi_signo != SIGHUP)
        return false;
    hf_notify_reloading();
    reload(s);
    hf_notify("READY=1");
    return true;
}

enum hf_err hf_signer_service_open(struct hf_signer *signer, struct hf_signer_service **out,
                                   struct hf_why *why)
{
    const struct hf_moment now = hf_moment_read();
    uid_t client_uid = 0;
    HF_TRY(hf_quota_keep_time(&signer->state, &now, why));
    HF_TRY(find_user(signer->config->signer.client_user, &client_uid, why));
    struct hf_signer_service *s = calloc(1, sizeof *s);
    if (s == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for the signer's service");
    s->signer = signer;
    s->client_uid = client_uid;
    s->watchdog_ms = hf_notify_watchdog_ms();
    for (size_t i = 0; i < SLOTS; i++)
        s->slots[i] = (struct pollfd){.fd = -1, .events = POLLIN};
    enum hf_err err = listen_at(signer->config->signer.socket, &s->slots[SLOT_LISTENER].fd, why);
    if (err != HF_OK) {
        free(s);
        return err;
    }
    keep_fresh(s);
    *out = s;
    return HF_OK;
}

bool hf_signer_service_step(struct hf_signer_service *s, int most_ms)
{
    int ms = wait_ms(s);
    for (size_t i = 0; i < SLOTS; i++)
        s->slots[i].revents = 0;
    if (poll(s->slots, SLOTS, ms < most_ms ? ms : most_ms) < 0 && errno != EINTR) {
        s->failed = errno;
        return false;
    }
    if (s->slots[SLOT_SIGNALS].revents != 0 && !take_signal(s))
        return false;
    for (size_t i = SLOT_CLIENTS; i < SLOTS; i++)
        if (s->slots[i].revents != 0 && !serve_client(s, s->slots[i].fd)) {
            close(s->slots[i].fd);
            s->slots[i].fd = -1;
        }
    if (s->slots[SLOT_LISTENER].revents != 0)
        accept_client(s);
    keep_fresh(s);
    if (s->watchdog_ms > 0)
        hf_notify("WATCHDOG=1");
    return true;
}

void hf_signer_service_close(struct hf_signer_service *s)
{
    for (size_t i = 0; i < SLOTS; i++)
        if (s->slots[i].fd >= 0)
            close(s->slots[i].fd);
    (void)unlink(s->signer->config->signer.socket);
    free(s);
}

enum hf_err hf_signer_serve(struct hf_signer *signer, const char *config_path, struct hf_why *why)
{
    struct hf_signer_service *s = NULL;
    HF_TRY(hf_signer_service_open(signer, &s, why));
    s->config_path = config_path;
    s->slots[SLOT_SIGNALS].fd = open_signals();
    if (s->slots[SLOT_SIGNALS].fd < 0) {
        int failed = errno;
        hf_signer_service_close(s);
        return hf_fail(why, HF_E_STATE, "signals cannot be received: %s", strerror(failed));
    }
    hf_service_log(HF_LOG_INFO, "waiting for requests at %s", signer->config->signer.socket);
    hf_notify("READY=1");
    while (hf_signer_service_step(s, WAKE_MAX_MS))
        ;
    hf_notify("STOPPING=1");
    int failed = s->failed;
    hf_signer_service_close(s);
    return failed == 0
               ? HF_OK
               : hf_fail(why, HF_E_STATE, "requests cannot be waited for: %s", strerror(failed));
}
