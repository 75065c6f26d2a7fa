/*
 * server/signer/service: clients of signer.sock that come, send anything with any descriptors, and
 * go. The input is a script of letters:
 *
 *     c       a client connects
 *     f       a client of a foreign user connects: to the socket of a signer for another user
 *     p N …   client N sends the packet … (up to a byte 0xFF)
 *     d N …   the same with the descriptor of a folder; m N …: with three of them
 *     l N     client N sends a packet that is longer than allowed
 *     z N     client N sends a packet of no bytes, which ends the connection
 *     h N     client N hangs up
 *
 * A foreign user and one client too many get nothing and are hung up on. Each packet gets one
 * answer, which says ok or why not. At the end no descriptor is left.
 */
#include "tests/fuzz/scratch.h"

#include "server/signer/limits.h"
#include "server/signer/service.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MAX (256u * 1024u)

static struct hf_config config, foreign_config;
static struct hf_signer signer, foreign_signer;
static struct hf_signer_service *service, *foreign_service;
static int folder = -1;

/* ---- both services --------------------------------------------------------------------------- */

static void open_once(void)
{
    struct hf_why why = {0};
    if (service != NULL)
        return;
    config.repository.path = strdup(scratch_path("no-repository"));
    config.signer.state = strdup(scratch_path("signer"));
    config.signer.keys = strdup(scratch_path("no-keys"));
    config.signer.socket = strdup(scratch_path("own.sock"));
    config.signer.timestamp_every_s = 86400;
    config.signer.issue_per_day = config.signer.issue_per_day_per_ca = 3;
    FUZZ_OK(hf_signer_make(&config, &why), &why);
    FUZZ_OK(hf_signer_open(&config, &signer, &why), &why);
    FUZZ_OK(hf_signer_make_ca(&config, "ca-1", "pumps", 1000, (int64_t)time(NULL), &why), &why);
    FUZZ_OK(hf_signer_service_open(&signer, &service, &why), &why);
    foreign_config = config;
    foreign_config.signer.socket = strdup(scratch_path("foreign.sock"));
    foreign_config.signer.client_user = strdup(geteuid() == 0 ? "daemon" : "root");
    foreign_signer = signer; /* one state: what it would do is seen by the other */
    foreign_signer.config = &foreign_config;
    FUZZ_OK(hf_signer_service_open(&foreign_signer, &foreign_service, &why), &why);
    folder = open(scratch_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    FUZZ_CHECK(folder >= 0);
}

static int n_descriptors(void)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/fd");
    FUZZ_CHECK(dir != NULL);
    while (readdir(dir) != NULL)
        n++;
    (void)closedir(dir);
    return n;
}

static int64_t newest_signature(void)
{
    struct hf_why why = {0};
    int64_t newest = 0;
    FUZZ_OK(hf_signer_state_newest(&signer.state, &newest, &why), &why);
    return newest;
}

/* ---- clients --------------------------------------------------------------------------------- */

static int clients[HF_SIGNER_CLIENTS_MAX];
static size_t n_clients;

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    FUZZ_CHECK(fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

static void check_hung_up(int fd)
{
    char byte;
    FUZZ_CHECK(recv(fd, &byte, 1, MSG_DONTWAIT) == 0);
    close(fd);
}

static void come(void)
{
    int fd = connect_to(config.signer.socket);
    FUZZ_CHECK(hf_signer_service_step(service, 0));
    if (n_clients == HF_SIGNER_CLIENTS_MAX)
        check_hung_up(fd);
    else
        clients[n_clients++] = fd;
}

/* Its packet is there before it is looked at, and is not read. */
static void come_as_foreigner(void)
{
    static const char request[] = "{\"verb\":\"seal\",\"entries\":[{\"sequence\":1}]}";
    int64_t before = newest_signature();
    int fd = connect_to(foreign_config.signer.socket);
    FUZZ_CHECK(send(fd, request, sizeof request - 1, MSG_NOSIGNAL) > 0);
    FUZZ_CHECK(hf_signer_service_step(foreign_service, 0));
    FUZZ_CHECK(hf_signer_service_step(foreign_service, 0));
    char byte;
    FUZZ_CHECK(recv(fd, &byte, 1, MSG_DONTWAIT) <=
               0); /* the end, or a reset for what was not read */
    close(fd);
    FUZZ_CHECK(newest_signature() == before);
}

static void leave(size_t i)
{
    close(clients[i]);
    clients[i] = clients[--n_clients];
    FUZZ_CHECK(hf_signer_service_step(service, 0));
}

static void check_answer(struct hf_bytes text)
{
    struct hf_why why = {0};
    json_t *answer = NULL;
    FUZZ_OK(hf_json_parse_object(text, "an answer", &answer, &why), &why);
    const json_t *ok = json_object_get(answer, "ok");
    FUZZ_CHECK(json_is_boolean(ok));
    if (!json_is_true(ok)) {
        const char *sentence = json_string_value(json_object_get(answer, "sentence"));
        FUZZ_CHECK(sentence != NULL && sentence[0] != '\0');
        for (const char *c = sentence; *c != '\0'; c++)
            FUZZ_CHECK((unsigned char)*c >= 0x20 && *c != 0x7f);
        FUZZ_CHECK(json_string_length(json_object_get(answer, "error")) > 0);
    }
    json_decref(answer);
}

static void ask(size_t i, struct hf_bytes packet, size_t n_folders)
{
    static uint8_t answer[ANSWER_MAX];
    union {
        char bytes[CMSG_SPACE(3 * sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec part = {(void *)(uintptr_t)packet.data, packet.len};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (n_folders > 0) {
        const int folders[3] = {folder, folder, folder};
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(n_folders * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(n_folders * sizeof(int));
        memcpy(CMSG_DATA(header), folders, n_folders * sizeof(int));
    }
    FUZZ_CHECK(sendmsg(clients[i], &message, MSG_NOSIGNAL) == (ssize_t)packet.len);
    FUZZ_CHECK(hf_signer_service_step(service, 0));
    ssize_t len = recv(clients[i], answer, sizeof answer, MSG_DONTWAIT);
    if (packet.len == 0) {
        FUZZ_CHECK(len == 0);
        leave(i);
        return;
    }
    FUZZ_CHECK(len > 0);
    check_answer((struct hf_bytes){answer, (size_t)len});
    FUZZ_CHECK(recv(clients[i], answer, sizeof answer, MSG_DONTWAIT) < 0); /* one, and no more */
}

/* ---- the script ------------------------------------------------------------------------------ */

static void act(char letter, struct fuzz_input *in)
{
    static const uint8_t spaces[HF_SIGNER_MESSAGE_MAX + 1] = {' '};
    if (letter == 'c')
        come();
    if (letter == 'f')
        come_as_foreigner();
    if (n_clients == 0 || strchr("pdmlzh", letter) == NULL)
        return;
    size_t i = fuzz_below(in, n_clients);
    if (letter == 'h')
        leave(i);
    else if (letter == 'l')
        ask(i, (struct hf_bytes){spaces, sizeof spaces}, 0);
    else if (letter == 'z')
        ask(i, (struct hf_bytes){spaces, 0}, 0);
    else
        ask(i, fuzz_section(in), letter == 'p' ? 0 : letter == 'd' ? 1 : 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    open_once();
    int before = n_descriptors();
    while (in.len > 0) {
        char letter = (char)fuzz_byte(&in);
        if (letter != '\0')
            act(letter, &in);
    }
    while (n_clients > 0)
        leave(0);
    FUZZ_CHECK(n_descriptors() == before);
    return 0;
}
