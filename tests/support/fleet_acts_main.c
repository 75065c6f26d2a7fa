/*
 * hf-fleet-acts: the fleet's store at work, for tests/e2e/test_fleet_kill.py, which kills it at any
 * moment.
 *
 *   hf-fleet-acts DATABASE run      changes the status of its certificates for ever, several at
 *                                   once, and prints a line for each change that was answered:
 *                                   "NUMBER STATUS SEQUENCE HASH", the last two of the newest entry
 *                                   of the log then
 *   hf-fleet-acts DATABASE check    prints "NUMBER STATUS" for each, then "log SEQUENCE HASH" for
 *                                   each entry; exit code 1 if the chain is damaged
 */
#include "common/base/digest.h"
#include "server/db/driver.h"
#include "server/fleet/account.h"
#include "server/fleet/audit_log.h"
#include "server/fleet/credential.h"
#include "server/fleet/fleet.h"

#include <inttypes.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CERTIFICATES 16u

struct change {
    struct hf_job job;
    int64_t account, id;
    uint32_t number;
    struct hf_audit_head log;
    sem_t *is_done;
};

static void die(const struct hf_why *why)
{
    fprintf(stderr, "hf-fleet-acts: %s\n", why->text);
    exit(1);
}

/* ---- run ------------------------------------------------------------------------------------- */

static enum hf_err set_up(struct hf_job *job, struct hf_tx *tx, struct hf_why *why)
{
    struct change *change = (struct change *)job;
    struct hf_credential_new wanted = {.der = hf_bytes_of_text("no certificate"),
                                       .subject = "CN=x",
                                       .serial = "01",
                                       .kind = HF_CERT_DEVICE,
                                       .source = HF_SOURCE_REGISTERED,
                                       .status = HF_CERT_ACTIVE};
    struct hf_account_row account;
    struct hf_credential row;

    enum hf_err err = hf_account_find(tx->db, "one", &account, why);
    if (err == HF_E_NOT_FOUND)
        err = hf_account_create(tx, "one", HF_ANONYMOUS_READ, &account, why);
    HF_TRY(err);
    wanted.account_id = change->account = account.id;
    memcpy(wanted.sha256, &change->number, sizeof change->number);
    err = hf_credential_find(tx->db, account.id, wanted.sha256, &row, why);
    if (err == HF_E_NOT_FOUND)
        err = hf_credential_register(tx, &wanted, &row, why);
    HF_TRY(err);
    change->id = row.id;
    return HF_OK;
}

static enum hf_err flip(struct hf_job *job, struct hf_tx *tx, struct hf_why *why)
{
    struct change *change = (struct change *)job;
    struct hf_credential row;

    HF_TRY(hf_credential_get(tx->db, change->account, change->id, &row, why));
    HF_TRY(
        hf_credential_set_status(tx, change->account, change->id, 0,
                                 row.status == HF_CERT_ACTIVE ? HF_CERT_INACTIVE : HF_CERT_ACTIVE,
                                 "", &row, why));
    return hf_audit_log_head(tx->db, &change->log, why);
}

static void done(struct hf_job *job)
{
    (void)sem_post(((struct change *)job)->is_done);
}

static void submit(struct hf_fleet *fleet, struct change *change)
{
    struct hf_why why = {0};
    change->job.done = done;
    change->job.actor = "uid:0";
    if (hf_fleet_write(fleet, &change->job, &why) != HF_OK)
        die(&why);
}

/* One write, so that a kill leaves whole lines. */
static void print_answer(const struct hf_fleet *fleet, const struct change *change)
{
    struct hf_registered entry = {.status = HF_CERT_NONE};
    uint8_t sha256[HF_SHA256_LEN] = {0};
    char hash[HF_SHA256_HEX_LEN], line[256];

    if (change->job.err != HF_OK)
        die(&change->job.why);
    memcpy(sha256, &change->number, sizeof change->number);
    if (!hf_registry_find(hf_fleet_registry(fleet), sha256, (uint32_t)change->account, &entry))
        exit(1);
    hf_hex_encode(change->log.hash, sizeof change->log.hash, hash);
    int len = snprintf(line, sizeof line, "%" PRIu32 " %s %" PRId64 " %s\n", change->number,
                       hf_cert_status_name(entry.status), change->log.sequence, hash);
    if (write(STDOUT_FILENO, line, (size_t)len) != len)
        exit(1);
}

static void run(const char *path)
{
    const struct hf_fleet_config config = {.path = path};
    struct change changes[CERTIFICATES] = {0};
    struct hf_fleet *fleet = NULL;
    struct hf_why why = {0};
    sem_t is_done;

    (void)sem_init(&is_done, 0, 0);
    if (hf_fleet_open(&config, &fleet, &why) != HF_OK)
        die(&why);
    for (bool is_first = true;; is_first = false) {
        for (uint32_t i = 0; i < CERTIFICATES; i++) {
            changes[i].number = i;
            changes[i].is_done = &is_done;
            changes[i].job.act = is_first ? set_up : flip;
            submit(fleet, &changes[i]);
        }
        for (uint32_t i = 0; i < CERTIFICATES; i++)
            while (sem_wait(&is_done) != 0)
                ;
        for (uint32_t i = 0; i < CERTIFICATES && !is_first; i++)
            print_answer(fleet, &changes[i]);
    }
}

/* ---- check ----------------------------------------------------------------------------------- */

static enum hf_err print_entry(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_audit_entry *entry = data;
    char hash[HF_SHA256_HEX_LEN];

    (void)ctx;
    (void)why;
    hf_hex_encode(entry->hash, sizeof entry->hash, hash);
    printf("log %" PRId64 " %s\n", entry->sequence, hash);
    return HF_OK;
}

static enum hf_err check(const char *path, struct hf_why *why)
{
    struct hf_account_row account;
    struct hf_audit_copy copy;
    struct hf_db *db = NULL;

    HF_TRY(hf_db_connect(&hf_db_sqlite, path, HF_DB_READ, &db, why));
    enum hf_err err = hf_audit_log_verify(db, NULL, &copy, why);
    if (err == HF_OK)
        err = hf_audit_log_list(db, 0, 0, INT64_MAX, print_entry, NULL, why);
    if (err == HF_OK)
        err = hf_account_find(db, "one", &account, why);
    for (uint32_t i = 0; err == HF_OK && i < CERTIFICATES; i++) {
        uint8_t sha256[HF_SHA256_LEN] = {0};
        struct hf_credential row;
        memcpy(sha256, &i, sizeof i);
        err = hf_credential_find(db, account.id, sha256, &row, why);
        if (err == HF_OK)
            printf("%" PRIu32 " %s\n", i, hf_cert_status_name(row.status));
    }
    hf_db_close(db);
    return err;
}

int main(int argc, char **argv)
{
    struct hf_why why = {0};

    if (argc != 3)
        return 2;
    if (strcmp(argv[2], "run") == 0)
        run(argv[1]);
    if (check(argv[1], &why) != HF_OK)
        die(&why);
    return 0;
}
