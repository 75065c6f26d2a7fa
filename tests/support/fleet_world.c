#include "tests/support/fleet_world.h"

#include "tests/support/check.h"

#include "common/json/json.h"
#include "server/db/driver.h"
#include "server/db/migrate.h"

#include <stdio.h>
#include <stdlib.h>

struct hf_db *fleet_open(const char *path)
{
    struct hf_why why = {0};
    struct hf_db *db = NULL;

    if (hf_db_connect(&hf_db_sqlite, path, HF_DB_CREATE, &db, &why) != HF_OK ||
        hf_db_migrate(db, hf_fleet_migrations, hf_fleet_migrations_len, &why) != HF_OK)
        fail_msg("%s", why.text);
    return db;
}

int fleet_world_setup(void **state)
{
    struct fleet_world *w = calloc(1, sizeof *w);
    void *dir = NULL;

    if (w == NULL || temp_dir_setup(&dir) != 0)
        return -1;
    w->dir = dir;
    w->tx = (struct hf_tx){.db = fleet_open(temp_path(w->dir, "fleet.db")),
                           .now_s = FLEET_NOW_S,
                           .actor = "uid:0",
                           .effects = &w->effects};
    *state = w;
    return 0;
}

int fleet_world_teardown(void **state)
{
    struct fleet_world *w = *state;
    void *dir = w->dir;

    hf_db_close(w->tx.db);
    hf_effects_free(&w->effects);
    free(w);
    return temp_dir_teardown(&dir);
}

int64_t fleet_account(struct fleet_world *w, const char *name)
{
    struct hf_account_row row;

    if (hf_account_create(&w->tx, name, HF_ANONYMOUS_READ, &row, &w->why) != HF_OK)
        fail_msg("%s", w->why.text);
    return row.id;
}

struct hf_ca_row fleet_ca(struct fleet_world *w, int64_t account, uint8_t number,
                          enum hf_cert_mode mode, enum hf_auto_registration automatic)
{
    struct hf_ca_row wanted = {.account_id = account,
                               .subject = "CN=a test CA",
                               .mode = mode,
                               .is_active = true,
                               .auto_registration = automatic,
                               .not_after_s = FLEET_NOW_S * 2};
    struct hf_ca_row row;

    memset(wanted.sha256, number, sizeof wanted.sha256);
    if (hf_ca_register(&w->tx, &wanted, hf_bytes_of_text("no certificate"), &row, &w->why) != HF_OK)
        fail_msg("%s", w->why.text);
    return row;
}

struct hf_credential_new fleet_new(int64_t account, uint32_t number)
{
    struct hf_credential_new wanted = {.account_id = account,
                                       .der = hf_bytes_of_text("no certificate"),
                                       .subject = "CN=a test device",
                                       .serial = "0123456789abcdef",
                                       .kind = HF_CERT_DEVICE,
                                       .source = HF_SOURCE_REGISTERED,
                                       .status = HF_CERT_ACTIVE,
                                       .not_before_s = FLEET_NOW_S - 86400,
                                       .not_after_s = FLEET_NOW_S * 2};

    memcpy(wanted.sha256, &number, sizeof number);
    return wanted;
}

struct hf_credential fleet_register(struct fleet_world *w, const struct hf_credential_new *wanted)
{
    struct hf_credential row;

    if (hf_credential_register(&w->tx, wanted, &row, &w->why) != HF_OK)
        fail_msg("%s", w->why.text);
    return row;
}

struct hf_credential fleet_get(struct fleet_world *w, int64_t account, int64_t id)
{
    struct hf_credential row;

    if (hf_credential_get(w->tx.db, account, id, &row, &w->why) != HF_OK)
        fail_msg("%s", w->why.text);
    return row;
}

void fleet_force_status(struct fleet_world *w, int64_t id, enum hf_cert_status status,
                        int64_t to_account)
{
    static const struct hf_sql force =
        {"force",
         "UPDATE credential SET status = :status, transfer_account_id = :to WHERE id = :id", ""};

    CHECK_OK(hf_db_execute(w->tx.db, &force,
                           HF_PARAMS(hf_p_int("id", id), hf_p_int_or_null("to", to_account, 0),
                                     hf_p_text("status", hf_cert_status_name(status))),
                           &w->why));
}

/* FNV-1a over every value of every row: tables, rows and columns in a fixed order. */
static uint64_t mix(uint64_t hash, const void *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ ((const uint8_t *)data)[i]) * 0x100000001b3u;
    return hash;
}

uint64_t fleet_fingerprint(struct fleet_world *w)
{
    static const struct hf_sql all =
        {"all",
         "SELECT 'account', id, version, name || anonymous || ifnull(issuing_ca, '') FROM account "
         "UNION ALL SELECT 'sni', account_id, 0, name FROM sni "
         "UNION ALL SELECT 'ca', id, version, status || auto_registration FROM ca "
         "UNION ALL SELECT 'device', id, version, name || group_name FROM device "
         "UNION ALL SELECT 'credential', id, version, account_id || status || mode || "
         "ifnull(transfer_account_id, '') || ifnull(retire_at_s, '') || is_confirmed FROM "
         "credential "
         "UNION ALL SELECT 'enroll_token', id, version, uses || is_revoked FROM enroll_token "
         "UNION ALL SELECT 'enroll_use', id, ifnull(credential_id, 0), device_name FROM enroll_use "
         "UNION ALL SELECT 'admin_token', id, version, name || role || is_revoked FROM admin_token "
         "UNION ALL SELECT 'idempotency', 0, created_s, actor || key || answer FROM idempotency "
         "UNION ALL SELECT 'audit_log', sequence, 0, entry FROM audit_log "
         "UNION ALL SELECT 'seal', sequence, sealed_s, hex(signature) FROM seal ORDER BY 1, 2, 4",
         "tiit"};
    uint64_t hash = 0xcbf29ce484222325u;
    struct hf_rows rows;

    CHECK_OK(hf_db_run(w->tx.db, &all, HF_NO_PARAMS, &rows, &w->why));
    while (hf_db_next(&rows, &w->why) == HF_OK) {
        for (unsigned i = 0; i < 4; i++) {
            const struct hf_value *value = &rows.columns[i];
            hash = mix(hash, &value->number, sizeof value->number);
            hash = mix(hash, value->bytes.data, value->bytes.len);
        }
    }
    hf_db_end(&rows);
    return hash;
}

const char *fleet_log(struct fleet_world *w, int64_t n)
{
    static const struct hf_sql at =
        {"log", "SELECT entry FROM audit_log ORDER BY sequence DESC LIMIT 1 OFFSET :n", "t"};
    static char text[HF_AUDIT_ENTRY_MAX];
    struct hf_rows rows;

    CHECK_OK(hf_db_run(w->tx.db, &at, HF_PARAMS(hf_p_int("n", n)), &rows, &w->why));
    CHECK_OK(hf_db_next(&rows, &w->why));
    CHECK_OK(hf_col_copy_text(&rows, 0, text, sizeof text, &w->why));
    hf_db_end(&rows);
    return text;
}
