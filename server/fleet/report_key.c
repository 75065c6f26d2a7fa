#include "server/fleet/report_key.h"

#include "server/fleet/audit_log.h"

#include <sodium.h>
#include <string.h>

#define COLUMNS "id, account_id, device_id, public_key, created_s, created_by"
#define TYPES "iiibit"

enum { INSERT, FIND, OWNER, REVOKE, LIST, IS_GOOD };

const struct hf_sql hf_report_key_sql[] = {
    [INSERT] = {"report_key_insert",
                "INSERT INTO report_key (account_id, device_id, public_key, created_s, created_by) "
                "VALUES (:account, :device, :key, :now, :actor) RETURNING " COLUMNS,
                TYPES},
    [FIND] = {"report_key_find",
              "SELECT " COLUMNS " FROM report_key WHERE device_id = :device AND revoked_s IS NULL",
              TYPES},
    [OWNER] = {"report_key_owner",
               "SELECT device_id, revoked_s FROM report_key "
               "WHERE account_id = :account AND public_key = :key",
               "iI"},
    [REVOKE] = {"report_key_revoke", "UPDATE report_key SET revoked_s = :now WHERE id = :id", ""},
    [LIST] = {"report_key_list_registered",
              "SELECT " COLUMNS " FROM report_key WHERE revoked_s IS NULL", TYPES},
    [IS_GOOD] = {"report_key_is_good",
                 "SELECT id FROM report_key WHERE account_id = :account AND public_key = :key "
                 "AND revoked_s IS NULL",
                 "i"},
    {0},
};

void hf_report_key_hash(const uint8_t public_key[HF_REPORT_KEY_LEN], uint8_t out[HF_SHA256_LEN])
{
    static const char what[] = "holdfast report key";
    uint8_t text[sizeof what + HF_REPORT_KEY_LEN];

    memcpy(text, what, sizeof what);
    memcpy(text + sizeof what, public_key, HF_REPORT_KEY_LEN);
    hf_sha256((struct hf_bytes){text, sizeof text}, out);
}

static enum hf_err read_row(const struct hf_rows *rows, void *out, struct hf_why *why)
{
    struct hf_report_key row = {.id = hf_col_int(rows, 0),
                                .account_id = hf_col_int(rows, 1),
                                .device_id = hf_col_int(rows, 2),
                                .created_s = hf_col_int(rows, 4)};

    HF_TRY(hf_col_copy_bytes(rows, 3, row.public_key, sizeof row.public_key, why));
    HF_TRY(hf_col_copy_text(rows, 5, row.created_by, sizeof row.created_by, why));
    *(struct hf_report_key *)out = row;
    return HF_OK;
}

static enum hf_err read_one(struct hf_db *db, const struct hf_sql *sql,
                            const struct hf_param *params, size_t n_params,
                            struct hf_report_key *out, struct hf_why *why)
{
    return hf_db_read_one(db, sql, params, n_params, read_row, out,
                          "this device has no key for reports", why);
}

enum hf_err hf_report_key_find(struct hf_db *db, int64_t device_id, struct hf_report_key *out,
                               struct hf_why *why)
{
    return read_one(db, &hf_report_key_sql[FIND], HF_PARAMS(hf_p_int("device", device_id)), out,
                    why);
}

/* ---- changes --------------------------------------------------------------------------------- */

static struct hf_registered registered(const struct hf_report_key *row)
{
    return (struct hf_registered){.credential = (uint64_t)row->id,
                                  .account = (uint32_t)row->account_id,
                                  .status = HF_CERT_ACTIVE,
                                  .mode = HF_CERT_MODE_SNI_ONLY,
                                  .kind = HF_CERT_REPORT_KEY};
}

static enum hf_err note(struct hf_effects *effects, enum hf_effect_kind kind,
                        const struct hf_report_key *row, struct hf_why *why)
{
    struct hf_effect effect = {.kind = kind,
                               .credential = registered(row),
                               .device_id = row->device_id};

    hf_report_key_hash(row->public_key, effect.sha256);
    return hf_effects_add(effects, &effect, why);
}

/* May this device have it? */
static enum hf_err check_free(struct hf_tx *tx, const struct hf_device *device,
                              const uint8_t public_key[HF_REPORT_KEY_LEN], struct hf_why *why)
{
    struct hf_rows rows;
    bool is_own = false, is_revoked = false;

    HF_TRY(hf_db_run(tx->db, &hf_report_key_sql[OWNER],
                     HF_PARAMS(hf_p_int("account", device->account_id),
                               hf_p_bytes("key", public_key, HF_REPORT_KEY_LEN)),
                     &rows, why));
    enum hf_err err = hf_db_next(&rows, why);
    if (err == HF_OK) {
        is_own = hf_col_int(&rows, 0) == device->id;
        is_revoked = hf_col_int_or(&rows, 1, 0) != 0;
    }
    hf_db_end(&rows);
    if (err == HF_E_NOT_FOUND)
        return HF_OK;
    if (err == HF_OK && is_revoked)
        return hf_fail(why, HF_E_STATE,
                       "the key was revoked or replaced, which is final. Let the device make a new "
                       "one");
    if (err == HF_OK && !is_own)
        return hf_fail(why, HF_E_STATE,
                       "the key belongs to another device of this account. Each device makes its "
                       "own");
    return err;
}

static enum hf_err revoke(struct hf_tx *tx, const struct hf_report_key *row, struct hf_why *why)
{
    HF_TRY(hf_db_execute(tx->db, &hf_report_key_sql[REVOKE],
                         HF_PARAMS(hf_p_int("id", row->id), hf_p_int("now", tx->now_s)), why));
    return note(tx->effects, HF_EFFECT_CREDENTIAL_GONE, row, why);
}

static enum hf_err log_key(struct hf_tx *tx, const char *action, const struct hf_device *device,
                           const uint8_t public_key[HF_REPORT_KEY_LEN], struct hf_why *why)
{
    char text[HF_REPORT_KEY_TEXT_SIZE];

    hf_report_key_format(public_key, text);
    return hf_audit_append_take(tx, action, device->account_id,
                                json_pack("{s:s,s:s}", "device", device->name, "key", text), why);
}

enum hf_err hf_report_key_register(struct hf_tx *tx, const struct hf_device *device,
                                   const uint8_t public_key[HF_REPORT_KEY_LEN],
                                   struct hf_report_key *out, struct hf_why *why)
{
    struct hf_report_key row;

    if (crypto_core_ed25519_is_valid_point(public_key) != 1)
        return hf_fail(why, HF_E_ARGUMENT,
                       "key: these are not the bytes of an Ed25519 key. Copy what "
                       "`holdfast report --key` prints on the device");
    HF_TRY(check_free(tx, device, public_key, why));
    enum hf_err err = hf_report_key_find(tx->db, device->id, &row, why);
    if (err == HF_OK && memcmp(row.public_key, public_key, HF_REPORT_KEY_LEN) == 0) {
        *out = row;
        return HF_OK;
    }
    if (err == HF_OK)
        err = revoke(tx, &row, why);
    if (err != HF_OK && err != HF_E_NOT_FOUND)
        return err;
    HF_TRY(
        read_one(tx->db, &hf_report_key_sql[INSERT],
                 HF_PARAMS(hf_p_int("account", device->account_id), hf_p_int("device", device->id),
                           hf_p_bytes("key", public_key, HF_REPORT_KEY_LEN),
                           hf_p_int("now", tx->now_s), hf_p_text("actor", tx->actor)),
                 &row, why));
    HF_TRY(note(tx->effects, HF_EFFECT_CREDENTIAL, &row, why));
    HF_TRY(log_key(tx, "report-key.register", device, public_key, why));
    *out = row;
    return HF_OK;
}

enum hf_err hf_report_key_revoke(struct hf_tx *tx, const struct hf_device *device,
                                 struct hf_why *why)
{
    struct hf_report_key row;

    HF_TRY(hf_report_key_find(tx->db, device->id, &row, why));
    HF_TRY(revoke(tx, &row, why));
    return log_key(tx, "report-key.revoke", device, row.public_key, why);
}

/* ---- for the registry ------------------------------------------------------------------------ */

struct listing {
    hf_db_each *each;
    void *ctx;
};

static enum hf_err give(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_report_key *key = data;
    const struct listing *listing = ctx;
    struct hf_registered_row row = {.entry = registered(key)};

    hf_report_key_hash(key->public_key, row.sha256);
    return listing->each(listing->ctx, &row, why);
}

enum hf_err hf_report_key_list_registered(struct hf_db *db, hf_db_each *each, void *ctx,
                                          struct hf_why *why)
{
    struct listing listing = {each, ctx};
    struct hf_report_key row;

    return hf_db_read_each(db, &hf_report_key_sql[LIST], HF_NO_PARAMS, read_row, &row, give,
                           &listing, why);
}

struct leaving {
    struct hf_db *to;
    struct hf_effects *effects;
};

static enum hf_err note_if_gone(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_report_key *row = data;
    struct leaving *l = ctx;
    int64_t id = 0;

    enum hf_err err = hf_db_get_int(l->to, &hf_report_key_sql[IS_GOOD],
                                    HF_PARAMS(hf_p_int("account", row->account_id),
                                              hf_p_bytes("key", row->public_key,
                                                         sizeof row->public_key)),
                                    &id, why);
    if (err != HF_E_NOT_FOUND)
        return err;
    return note(l->effects, HF_EFFECT_CREDENTIAL_GONE, row, why);
}

enum hf_err hf_report_key_note_gone(struct hf_db *from, struct hf_db *to,
                                    struct hf_effects *effects, struct hf_why *why)
{
    struct leaving l = {to, effects};
    struct hf_report_key row;

    return hf_db_read_each(from, &hf_report_key_sql[LIST], HF_NO_PARAMS, read_row, &row,
                           note_if_gone, &l, why);
}
