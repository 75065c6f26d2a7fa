#include "client/port/posix/look_up.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* Belongs to the one who waits and to the thread together: whoever is through with it last frees it. */
struct look_up {
    char host[HF_HOST_MAX + 1];
    char port[8];
    pthread_mutex_t mutex;
    pthread_cond_t ended;

    /* Under the mutex. */
    bool has_ended;
    bool is_abandoned;
    struct answer {
        int code;  /* getaddrinfo's */
        int error; /* errno with EAI_SYSTEM */
        struct addrinfo *addresses;
    } answer;
};

static atomic_uint n_running;

/* ---- asking ------------------------------------------------------------------------------------- */

static struct answer ask(const char *host, const char *port, int flags)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | flags};
    struct answer answer = {0};

    answer.code = getaddrinfo(host, port, &hints, &answer.addresses);
    answer.error = errno;
    return answer;
}

static enum hf_err take(const char *host, const struct answer *answer, struct addrinfo **out,
                        struct hf_why *why)
{
    if (answer->code != 0)
        return hf_fail(why, HF_E_NETWORK, "the address of '%s' could not be found: %s", host,
                       answer->code == EAI_SYSTEM ? strerror(answer->error)
                                                  : gai_strerror(answer->code));
    *out = answer->addresses;
    return HF_OK;
}

/* ---- the thread ---------------------------------------------------------------------------------- */

static void free_look_up(struct look_up *l)
{
    (void)pthread_cond_destroy(&l->ended);
    (void)pthread_mutex_destroy(&l->mutex);
    free(l);
}

static void *run(void *arg)
{
    struct look_up *l = arg;
    struct answer answer = ask(l->host, l->port, 0);

    atomic_fetch_sub(&n_running, 1);
    (void)pthread_mutex_lock(&l->mutex);
    bool is_abandoned = l->is_abandoned;
    l->has_ended = true;
    l->answer = answer;
    (void)pthread_cond_signal(&l->ended);
    (void)pthread_mutex_unlock(&l->mutex);
    if (is_abandoned) {
        if (answer.code == 0)
            freeaddrinfo(answer.addresses);
        free_look_up(l);
    }
    return NULL;
}

/* Signals are for the program's own threads: none of them is to be handled in this one. */
static int start_thread(struct look_up *l)
{
    pthread_t thread;
    pthread_attr_t attributes;
    sigset_t all, before;

    int error = pthread_attr_init(&attributes);
    if (error != 0)
        return error;
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&thread, &attributes, run, l);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    return error;
}

/* ---- waiting for it ------------------------------------------------------------------------------ */

static struct look_up *new_look_up(const struct hf_endpoint *peer)
{
    pthread_condattr_t attributes;
    struct look_up *l = calloc(1, sizeof *l);

    if (l == NULL || pthread_condattr_init(&attributes) != 0) {
        free(l);
        return NULL;
    }
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC); /* as hf_net_now_ms */
    (void)pthread_cond_init(&l->ended, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    (void)pthread_mutex_init(&l->mutex, NULL);
    memcpy(l->host, peer->host, sizeof l->host);
    (void)snprintf(l->port, sizeof l->port, "%u", peer->port);
    return l;
}

/* Did it end in time? If not, the thread has it from here on. */
static bool wait_until(struct look_up *l, const struct hf_deadline *deadline)
{
    const struct timespec end = {.tv_sec = (time_t)(deadline->end_ms / 1000),
                                 .tv_nsec = (long)(deadline->end_ms % 1000) * 1000000};
    int error = 0;

    (void)pthread_mutex_lock(&l->mutex);
    while (!l->has_ended && error == 0)
        error = pthread_cond_timedwait(&l->ended, &l->mutex, &end);
    bool has_ended = l->has_ended;
    l->is_abandoned = !has_ended;
    (void)pthread_mutex_unlock(&l->mutex);
    return has_ended;
}

static enum hf_err start(struct look_up *l, struct hf_why *why)
{
    if (atomic_fetch_add(&n_running, 1) >= HF_LOOK_UPS_MAX) {
        atomic_fetch_sub(&n_running, 1);
        return hf_fail(why, HF_E_NETWORK,
                       "the address of '%s' is not looked up: the resolver has not answered %d "
                       "earlier look-ups yet; check the name servers that this device is told",
                       l->host, HF_LOOK_UPS_MAX);
    }
    int error = start_thread(l);
    if (error == 0)
        return HF_OK;
    atomic_fetch_sub(&n_running, 1);
    return hf_fail(why, HF_E_MEMORY, "no thread to look up '%s' in: %s", l->host, strerror(error));
}

static enum hf_err look_up_name(const struct hf_endpoint *peer, const struct hf_deadline *deadline,
                                struct addrinfo **out, struct hf_why *why)
{
    struct look_up *l = new_look_up(peer);

    if (l == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a look-up");
    enum hf_err err = start(l, why);
    if (err == HF_OK && !wait_until(l, deadline))
        return hf_fail(why, HF_E_NETWORK,
                       "the address of '%s' could not be found: the resolver did not answer within "
                       "%g seconds; check the name servers that this device is told",
                       peer->host, (double)deadline->limit_ms / 1000.0);
    if (err == HF_OK)
        err = take(peer->host, &l->answer, out, why);
    free_look_up(l);
    return err;
}

enum hf_err hf_look_up(const struct hf_endpoint *peer, const struct hf_deadline *deadline,
                       struct addrinfo **out, struct hf_why *why)
{
    char port[8];

    if (!hf_endpoint_is_address(peer))
        return look_up_name(peer, deadline, out, why);
    (void)snprintf(port, sizeof port, "%u", peer->port);
    const struct answer answer = ask(peer->host, port, AI_NUMERICHOST);
    return take(peer->host, &answer, out, why);
}
