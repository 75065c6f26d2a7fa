#include "server/signer/protocol.h"

#include "common/os/clock.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* Room for more descriptors than are allowed, so that all that came can be closed. */
union control {
    char bytes[CMSG_SPACE(4 * sizeof(int))];
    struct cmsghdr align;
};

enum hf_err hf_signer_send(int socket, const json_t *message, int fd, struct hf_why *why)
{
    struct hf_buf text = {0};
    union control control = {0};
    enum hf_err err = hf_json_write(message, &text, why);
    if (err == HF_OK && text.len > HF_SIGNER_MESSAGE_MAX)
        err = hf_fail(why, HF_E_LIMIT,
                      "a message to or from the signer: expected at most %u bytes, "
                      "found %zu",
                      HF_SIGNER_MESSAGE_MAX, text.len);
    if (err == HF_OK) {
        struct iovec part = {text.data, text.len};
        struct msghdr packet = {.msg_iov = &part, .msg_iovlen = 1};
        if (fd >= 0) {
            packet.msg_control = control.bytes;
            packet.msg_controllen = CMSG_SPACE(sizeof fd);
            struct cmsghdr *header = CMSG_FIRSTHDR(&packet);
            header->cmsg_level = SOL_SOCKET;
            header->cmsg_type = SCM_RIGHTS;
            header->cmsg_len = CMSG_LEN(sizeof fd);
            memcpy(CMSG_DATA(header), &fd, sizeof fd);
        }
        ssize_t sent;
        do
            sent = sendmsg(socket, &packet, MSG_NOSIGNAL);
        while (sent < 0 && errno == EINTR);
        if (sent < 0)
            err = hf_fail(why, HF_E_NETWORK, "the signer's connection broke: %s", strerror(errno));
    }
    hf_buf_free(&text);
    return err;
}

/* The first descriptor that came along, or -1; the others are closed. */
static int take_descriptor(struct msghdr *packet)
{
    int first = -1;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(packet); h != NULL; h = CMSG_NXTHDR(packet, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(h) + i * sizeof fd, sizeof fd);
            if (first < 0)
                first = fd;
            else
                close(fd);
        }
    }
    return first;
}

enum hf_err hf_signer_receive(int socket, json_t **out, int *fd, struct hf_why *why)
{
    struct hf_buf text = {0};
    union control control = {0};
    *fd = -1;
    if (hf_buf_reserve(&text, HF_SIGNER_MESSAGE_MAX) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "no memory for a message of the signer");
    struct iovec part = {text.data, HF_SIGNER_MESSAGE_MAX};
    struct msghdr packet = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof control.bytes};
    ssize_t len;
    do
        len = recvmsg(socket, &packet, MSG_CMSG_CLOEXEC);
    while (len < 0 && errno == EINTR);
    enum hf_err err = HF_OK;
    *fd = len >= 0 ? take_descriptor(&packet) : -1; /* a packet of no bytes may bring some, too */
    if (len <= 0) {
        err = hf_fail(why, HF_E_NETWORK, "the signer's connection %s",
                      len == 0          ? "has ended"
                      : errno == EAGAIN ? "brought nothing in time"
                                        : "broke");
    } else if ((packet.msg_flags & MSG_TRUNC) != 0) {
        err = hf_fail(why, HF_E_LIMIT, "a message of the signer: expected at most %u bytes",
                      HF_SIGNER_MESSAGE_MAX);
    } else {
        err = hf_json_parse_object((struct hf_bytes){text.data, (size_t)len},
                                   "a message of the signer", out, why);
    }
    if (err != HF_OK && *fd >= 0) {
        close(*fd);
        *fd = -1;
    }
    hf_buf_free(&text);
    return err;
}

json_t *hf_signer_refusal(const struct hf_why *why)
{
    return json_pack("{s:b, s:s, s:o}", "ok", false, "error", hf_err_name(why->code), "sentence",
                     hf_json_plain(why->text));
}

/* The code of that name; HF_E_STATE for one that this version does not know. */
static enum hf_err code_of(const char *name)
{
    for (int code = HF_E_ARGUMENT; code <= HF_E_POSTPONED; code++)
        if (strcmp(hf_err_name((enum hf_err)code), name) == 0)
            return (enum hf_err)code;
    return HF_E_STATE;
}

static enum hf_err connect_to(const char *path, int *out, struct hf_why *why)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct timeval limit = {.tv_sec = HF_SIGNER_CALL_TIMEOUT_MS / 1000};
    const struct timeval connect_limit = {.tv_sec = HF_SIGNER_CONNECT_TIMEOUT_MS / 1000};
    if (strlen(path) >= sizeof address.sun_path)
        return hf_fail(why, HF_E_LIMIT, "%s: the path of a socket has at most %zu bytes", path,
                       sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    /* The limit of sending is that of connecting, too: others may fill the queue of the socket. */
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &connect_limit, sizeof connect_limit) == 0 &&
        connect(fd, (const struct sockaddr *)&address, sizeof address) == 0) {
        *out = fd;
        return HF_OK;
    }
    int failed = errno;
    if (fd >= 0)
        close(fd);
    return hf_fail(why, HF_E_NETWORK,
                   "the signer does not answer at %s: %s; is holdfast-signer running?", path,
                   strerror(failed));
}

/* Until an answer is there, which hf_signer_receive then reads without a wait. */
static enum hf_err wait_for_answer(int socket, const atomic_bool *is_ending, struct hf_why *why)
{
    struct pollfd one = {.fd = socket, .events = POLLIN};
    int64_t end_ms = hf_monotonic_ms() + HF_SIGNER_CALL_TIMEOUT_MS;
    while (hf_monotonic_ms() < end_ms) {
        if (is_ending != NULL && atomic_load(is_ending))
            return hf_fail(why, HF_E_NETWORK, "the service ends");
        if (poll(&one, 1, HF_SIGNER_LOOK_MS) > 0)
            return HF_OK;
    }
    return hf_fail(why, HF_E_NETWORK, "the signer did not answer in %u seconds",
                   HF_SIGNER_CALL_TIMEOUT_MS / 1000);
}

static enum hf_err read_answer(json_t *answer, json_t **out, struct hf_why *why)
{
    if (json_is_true(json_object_get(answer, "ok"))) {
        *out = answer;
        return HF_OK;
    }
    const char *name = json_string_value(json_object_get(answer, "error"));
    const char *sentence = json_string_value(json_object_get(answer, "sentence"));
    enum hf_err err = hf_fail(why, code_of(name != NULL ? name : ""), "%s",
                              sentence != NULL ? sentence : "the signer refused without a reason");
    json_decref(answer);
    return err;
}

enum hf_err hf_signer_call_take(const char *path, int *connection, json_t *request, int fd,
                                const atomic_bool *is_ending, json_t **answer, struct hf_why *why)
{
    json_t *got = NULL;
    int none = -1;
    enum hf_err err = HF_E_NETWORK;
    if (request == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for a request to the signer");
    /* A kept connection may have ended with a restart of the signer: then a new one, once. It
     * breaks before the request is read, so nothing is done twice. */
    for (bool was_open = true; err == HF_E_NETWORK && was_open;) {
        was_open = *connection >= 0;
        err = was_open ? HF_OK : connect_to(path, connection, why);
        if (err == HF_OK)
            err = hf_signer_send(*connection, request, fd, why);
        if (err == HF_E_NETWORK && *connection >= 0) {
            close(*connection);
            *connection = -1;
        }
    }
    bool is_sent = err == HF_OK;
    if (is_sent)
        err = wait_for_answer(*connection, is_ending, why);
    if (err == HF_OK)
        err = hf_signer_receive(*connection, &got, &none, why);
    if (is_sent && err != HF_OK) {
        close(*connection);
        *connection = -1;
    }
    if (none >= 0)
        close(none);
    json_decref(request);
    return err == HF_OK ? read_answer(got, answer, why) : err;
}
