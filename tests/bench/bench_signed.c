/*
 * The devices of part_reports.py, which sign their reports.
 *
 *   bench_signed fill DATABASE DEVICES
 *       makes the database: as many devices of "updates.example", each with a key, and each has
 *       reported once
 *   bench_signed send PORT DEVICES FIRST keep|new daily|update SECONDS
 *       reports number FIRST and so on, over AT_ONCE connections that stay, or each over a new one.
 *       Prints how many were answered 200
 *
 *   daily    devices of the first half of the database report in turn what the service knows
 *            already, as each does once a day
 *   update   those of the second half install a bundle in turn, and each says so in three reports
 */
#include "common/base/timetext.h"
#include "common/report/signature.h"
#include "server/db/driver.h"
#include "server/db/migrate.h"
#include "server/fleet/account.h"
#include "server/fleet/report.h"
#include "server/fleet/report_key.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define HOST "updates.example"
#define AT_ONCE 256 /* reports that wait for their answer */
#define STRIDE 7919 /* a prime: the order of the devices is not that of the database */
#define FILL_AT_ONCE 10000
#define UPDATE_STEP 400 /* updates that begin before one goes on: more than AT_ONCE */

static struct hf_why why;
static uint32_t n_devices;

static void die(const char *what)
{
    (void)fprintf(stderr, "bench_signed: %s: %s\n", what,
                  why.text[0] != 0 ? why.text : strerror(errno));
    exit(1);
}

static void seed_of(uint32_t device, uint8_t seed[HF_REPORT_KEY_LEN])
{
    (void)crypto_generichash(seed, HF_REPORT_KEY_LEN, (const uint8_t *)&device, sizeof device, NULL,
                             0);
}

static int64_t now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Which device sends report number `n` of its kind, and what it says. */
static uint32_t device_of_daily(uint64_t n)
{
    return 1 + (uint32_t)(n * STRIDE % (n_devices / 2));
}

static uint32_t device_of_update(uint64_t n, enum hf_report_kind *kind)
{
    static const enum hf_report_kind kinds[] = {HF_REPORT_ANNOUNCE, HF_REPORT_SWAPPED,
                                                HF_REPORT_CONFIRMED};
    const uint64_t step = n % 3, update = n / 3 - UPDATE_STEP * step;

    *kind = kinds[step];
    return n_devices / 2 + device_of_daily(update);
}

static void make_report(uint32_t device, enum hf_report_kind kind, struct hf_report *out)
{
    *out = HF_REPORT_NOTHING;
    out->seq = now_us();
    out->kind = kind;
    out->from = 2;
    out->to = kind == HF_REPORT_CURRENT ? 2 : 3;
    out->clock_s = out->sent_s = out->seq / 1000000;
    (void)snprintf(out->device, sizeof out->device, "device-%" PRIu32, device);
    (void)snprintf(out->installation, sizeof out->installation, "%032" PRIu32, device);
    (void)snprintf(out->kind_name, sizeof out->kind_name, "%s", hf_report_kind_name(out->kind));
    (void)snprintf(out->set, sizeof out->set, "amazon-iot");
    (void)snprintf(out->profile, sizeof out->profile, "full");
    (void)snprintf(out->sha256, sizeof out->sha256, "%064d", 7);
    (void)snprintf(out->agent, sizeof out->agent, "1.0.0");
    if (kind == HF_REPORT_CURRENT)
        return;
    (void)snprintf(out->outcome, sizeof out->outcome, "ok");
    (void)snprintf(out->text, sizeof out->text,
                   "https://updates.example and 2 other endpoints are reached with it");
}

/* ---- fill ------------------------------------------------------------------------------------ */

static const struct hf_sql inserts[] = {
    {"bench_device",
     "INSERT INTO device (id, account_id, name, group_name, created_s, version) "
     "VALUES (:id, 1, 'device-' || :id, '', 0, 1)",
     ""},
    {"bench_state", "INSERT INTO device_state (device_id, account_id) VALUES (:id, 1)", ""},
};
static const struct hf_sql insert_key =
    {"bench_key",
     "INSERT INTO report_key (id, account_id, device_id, public_key, created_s, created_by) "
     "VALUES (:id, 1, :id, :key, 0, 'bench')",
     ""};

static void add_device(struct hf_tx *tx, uint32_t device)
{
    uint8_t seed[HF_REPORT_KEY_LEN], key[HF_REPORT_KEY_LEN], secret[crypto_sign_SECRETKEYBYTES];
    const struct hf_report_sender sender = {1, 0, device};
    struct hf_report_answer answer;
    struct hf_report report;
    bool is_conflict = false;

    seed_of(device, seed);
    (void)crypto_sign_seed_keypair(key, secret, seed);
    for (size_t i = 0; i < sizeof inserts / sizeof inserts[0]; i++)
        if (hf_db_execute(tx->db, &inserts[i], HF_PARAMS(hf_p_int("id", device)), &why) != HF_OK)
            die("insert");
    if (hf_db_execute(tx->db, &insert_key,
                      HF_PARAMS(hf_p_int("id", device), hf_p_bytes("key", key, sizeof key)),
                      &why) != HF_OK)
        die("key");
    make_report(device, HF_REPORT_CURRENT, &report);
    if (hf_report_take(tx, &sender, &report, 1, &answer, &is_conflict, &why) != HF_OK ||
        is_conflict)
        die("report");
}

static void fill(const char *path)
{
    struct hf_effects effects = {0};
    struct hf_account_row account;
    struct hf_db *db = NULL;

    if (hf_db_connect(&hf_db_sqlite, path, HF_DB_CREATE, &db, &why) != HF_OK ||
        hf_db_migrate(db, hf_fleet_migrations, hf_fleet_migrations_len, &why) != HF_OK ||
        hf_db_begin(db, &why) != HF_OK)
        die("open");
    struct hf_tx tx = {db, now_us() / 1000000, "bench", &effects};
    if (hf_account_create(&tx, "one", HF_ANONYMOUS_READ, &account, &why) != HF_OK ||
        hf_account_add_sni(&tx, account.id, HOST, &why) != HF_OK)
        die("account");
    for (uint32_t device = 1; device <= n_devices; device++) {
        add_device(&tx, device);
        if (device % FILL_AT_ONCE == 0 &&
            (hf_db_commit(db, &why) != HF_OK || hf_db_begin(db, &why) != HF_OK))
            die("commit");
    }
    if (hf_db_commit(db, &why) != HF_OK)
        die("commit");
    hf_effects_free(&effects);
    hf_db_close(db);
}

/* ---- send ------------------------------------------------------------------------------------ */

struct conn {
    int fd; /* -1: none */
    bool is_waiting;
    size_t len; /* of what has come */
    char answer[2048];
};

static struct conn conns[AT_ONCE];
static in_port_t port;
static bool is_kept, is_daily;
static uint64_t n_sent;

/* From many addresses, as there are not enough ports for so many connections from one. */
static int connect_to_server(void)
{
    const int on = 1;
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(0x7f000002 + randombytes_uniform(200))};
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = port,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&from, sizeof from) != 0 ||
        connect(fd, (const struct sockaddr *)&to, sizeof to) != 0)
        die("connect");
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void write_request(uint64_t n, struct hf_buf *out)
{
    enum hf_report_kind kind = HF_REPORT_CURRENT;
    const uint32_t device = is_daily ? device_of_daily(n) : device_of_update(n, &kind);
    uint8_t seed[HF_REPORT_KEY_LEN];
    struct hf_report_headers headers;
    struct hf_report report;
    struct hf_buf body = {0};

    seed_of(device, seed);
    make_report(device, kind, &report);
    if (hf_report_write(&report, &body, &why) != HF_OK)
        die("write");
    const struct hf_report_message message = {"POST", HOST, "/v1/reports", HF_REPORT_CONTENT_TYPE,
                                              hf_buf_bytes(&body)};
    if (hf_report_sign(&message, report.sent_s, seed, &headers, &why) != HF_OK ||
        hf_buf_printf(out,
                      "POST /v1/reports HTTP/1.1\r\nHost: " HOST
                      "\r\n%sContent-Type: " HF_REPORT_CONTENT_TYPE
                      "\r\nContent-Digest: %s\r\nSignature-Input: %s\r\nSignature: "
                      "%s\r\nContent-Length: %zu\r\n\r\n",
                      is_kept ? "" : "Connection: close\r\n", headers.content_digest,
                      headers.signature_input, headers.signature, body.len) != HF_OK ||
        hf_buf_append(out, body.data, body.len) != HF_OK)
        die("sign");
    hf_buf_free(&body);
}

static void send_next(struct conn *c, uint64_t first)
{
    struct hf_buf request = {0};

    write_request(first + n_sent++, &request);
    if (c->fd < 0)
        c->fd = connect_to_server();
    if (write(c->fd, request.data, request.len) != (ssize_t)request.len)
        die("send");
    hf_buf_free(&request);
    c->is_waiting = true;
    c->len = 0;
}

/* Has the whole answer come? */
static bool receive(struct conn *c)
{
    ssize_t n = read(c->fd, c->answer + c->len, sizeof c->answer - 1 - c->len);
    if (n < 0 || (n == 0 && c->len == 0))
        die("receive");
    c->len += (size_t)n;
    c->answer[c->len] = '\0';
    if (is_kept ? c->answer[c->len - 1] != '}' : n != 0)
        return false;
    if (strncmp(c->answer, "HTTP/1.1 200 ", 13) != 0 || strstr(c->answer, "\"accepted\":1") == NULL)
        die(c->answer);
    if (!is_kept) {
        close(c->fd);
        c->fd = -1;
    }
    c->is_waiting = false;
    return true;
}

static void send_all(uint64_t first, double seconds)
{
    const int64_t end = now_us() + (int64_t)(seconds * 1e6);
    struct pollfd polled[AT_ONCE];
    uint64_t n_answered = 0;

    for (size_t i = 0; i < AT_ONCE; i++)
        conns[i].fd = -1;
    for (size_t i = 0; i < AT_ONCE; i++)
        send_next(&conns[i], first);
    while (n_answered < n_sent) {
        for (size_t i = 0; i < AT_ONCE; i++)
            polled[i] = (struct pollfd){.fd = conns[i].is_waiting ? conns[i].fd : -1,
                                        .events = POLLIN};
        if (poll(polled, AT_ONCE, 30000) <= 0)
            die("poll");
        for (size_t i = 0; i < AT_ONCE; i++) {
            if (polled[i].revents == 0 || !receive(&conns[i]))
                continue;
            n_answered++;
            if (now_us() < end)
                send_next(&conns[i], first);
        }
    }
    printf("%" PRIu64 "\n", n_answered);
}

int main(int argc, char **argv)
{
    const bool is_fill = argc == 4 && strcmp(argv[1], "fill") == 0;
    const bool is_send = argc == 8 && strcmp(argv[1], "send") == 0;

    if ((!is_fill && !is_send) || sodium_init() < 0) {
        (void)fprintf(stderr, "Usage: bench_signed fill DATABASE DEVICES | send PORT DEVICES FIRST "
                              "keep|new daily|update "
                              "SECONDS\n");
        return 2;
    }
    n_devices = (uint32_t)strtoul(argv[3], NULL, 10);
    if (is_fill) {
        fill(argv[2]);
        return 0;
    }
    port = htons((in_port_t)strtoul(argv[2], NULL, 10));
    is_kept = strcmp(argv[5], "keep") == 0;
    is_daily = strcmp(argv[6], "daily") == 0;
    send_all(strtoull(argv[4], NULL, 10), strtod(argv[7], NULL));
    return 0;
}
