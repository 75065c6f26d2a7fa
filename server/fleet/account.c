#include "server/fleet/account.h"

#include "common/base/digest.h"
#include "server/fleet/audit_log.h"
#include "server/fleet/names.h"

#include <sodium.h>
#include <string.h>

#define COLUMNS "id, name, anonymous, registration_code, created_s, version, issuing_ca"
#define TYPES "itttiiT"

enum {
    INSERT,
    GET,
    FIND,
    LIST,
    CHANGE,
    DELETE,
    DELETE_UNVERIFIED,
    DELETE_VERSIONS,
    DELETE_SERIES,
    DELETE_CENSUS,
    DELETE_CENSUS_VERSIONS,
    COUNT_OWNED,
    SNI_INSERT,
    SNI_DELETE,
    SNI_DELETE_ALL,
    SNI_OWNER,
    SNI_LIST,
    SNI_LIST_ALL,
    SNI_COUNT,
};

const struct hf_sql hf_account_sql[] = {
    [INSERT] = {"account_insert",
                "INSERT INTO account (name, anonymous, registration_code, created_s, version) "
                "VALUES (:name, :anonymous, :code, :now, 1) RETURNING " COLUMNS,
                TYPES},
    [GET] = {"account_get", "SELECT " COLUMNS " FROM account WHERE id = :id", TYPES},
    [FIND] = {"account_find", "SELECT " COLUMNS " FROM account WHERE name = :name", TYPES},
    [LIST] = {"account_list",
              "SELECT " COLUMNS " FROM account WHERE id > :after ORDER BY id LIMIT :limit", TYPES},
    [CHANGE] = {"account_change",
                "UPDATE account SET anonymous = :anonymous, issuing_ca = :ca, "
                "version = version + 1 WHERE id = :id RETURNING " COLUMNS,
                TYPES},
    [DELETE] = {"account_delete", "DELETE FROM account WHERE id = :id", ""},
    [DELETE_UNVERIFIED] = {"account_delete_unverified",
                           "DELETE FROM unverified_report WHERE account_id = :id", ""},
    [DELETE_VERSIONS] = {"account_delete_versions",
                         "DELETE FROM version_count WHERE account_id = :id", ""},
    [DELETE_SERIES] = {"account_delete_series", "DELETE FROM series WHERE account_id = :id", ""},
    [DELETE_CENSUS] = {"account_delete_census", "DELETE FROM census WHERE account_id = :id", ""},
    [DELETE_CENSUS_VERSIONS] = {"account_delete_census_versions",
                                "DELETE FROM census_version WHERE account_id = :id", ""},
    [COUNT_OWNED] = {"account_count_owned",
                     "SELECT (SELECT count(*) FROM ca WHERE account_id = :id) + "
                     "(SELECT count(*) FROM credential WHERE account_id = :id "
                     "OR transfer_account_id = :id) + "
                     "(SELECT count(*) FROM device WHERE account_id = :id) + "
                     "(SELECT count(*) FROM enroll_token WHERE account_id = :id)",
                     "i"},
    [SNI_INSERT] = {"sni_insert", "INSERT INTO sni (name, account_id) VALUES (:name, :account)",
                    ""},
    [SNI_DELETE] = {"sni_delete",
                    "DELETE FROM sni WHERE name = :name AND account_id = :account "
                    "RETURNING account_id",
                    "i"},
    [SNI_DELETE_ALL] = {"sni_delete_all", "DELETE FROM sni WHERE account_id = :account", ""},
    [SNI_OWNER] = {"sni_owner", "SELECT account_id FROM sni WHERE name = :name", "i"},
    [SNI_LIST] = {"sni_list",
                  "SELECT name, account_id FROM sni WHERE account_id = :account ORDER BY name",
                  "ti"},
    [SNI_LIST_ALL] = {"sni_list_all", "SELECT name, account_id FROM sni ORDER BY name", "ti"},
    [SNI_COUNT] = {"sni_count", "SELECT count(*) FROM sni WHERE account_id = :account", "i"},
    {0},
};

/* ---- reading --------------------------------------------------------------------------------- */

static enum hf_err read_row(const struct hf_rows *rows, void *out, struct hf_why *why)
{
    struct hf_account_row row = {.id = hf_col_int(rows, 0),
                                 .created_s = hf_col_int(rows, 4),
                                 .version = hf_col_int(rows, 5)};

    HF_TRY(hf_col_copy_text(rows, 1, row.name, sizeof row.name, why));
    HF_TRY(hf_col_copy_text(rows, 3, row.registration_code, sizeof row.registration_code, why));
    if (!hf_anonymous_parse(hf_col_text(rows, 2), &row.anonymous))
        return hf_col_fail_word(rows, 2, why);
    if (hf_col_text(rows, 6) != NULL)
        HF_TRY(hf_col_copy_text(rows, 6, row.issuing_ca, sizeof row.issuing_ca, why));
    *(struct hf_account_row *)out = row;
    return HF_OK;
}

static enum hf_err read_one(struct hf_db *db, const struct hf_sql *sql,
                            const struct hf_param *params, size_t n_params,
                            struct hf_account_row *out, struct hf_why *why)
{
    return hf_db_read_one(db, sql, params, n_params, read_row, out, "there is no such account",
                          why);
}

enum hf_err hf_account_get(struct hf_db *db, int64_t id, struct hf_account_row *out,
                           struct hf_why *why)
{
    return read_one(db, &hf_account_sql[GET], HF_PARAMS(hf_p_int("id", id)), out, why);
}

enum hf_err hf_account_find(struct hf_db *db, const char *name, struct hf_account_row *out,
                            struct hf_why *why)
{
    return read_one(db, &hf_account_sql[FIND], HF_PARAMS(hf_p_text("name", name)), out, why);
}

enum hf_err hf_account_list(struct hf_db *db, int64_t after, size_t limit, hf_db_each *each,
                            void *ctx, struct hf_why *why)
{
    struct hf_account_row row;

    return hf_db_read_each(db, &hf_account_sql[LIST],
                           HF_PARAMS(hf_p_int("after", after), hf_p_int("limit", (int64_t)limit)),
                           read_row, &row, each, ctx, why);
}

static enum hf_err read_sni(const struct hf_rows *rows, void *out, struct hf_why *why)
{
    struct hf_sni *sni = out;

    sni->account_id = hf_col_int(rows, 1);
    return hf_col_copy_text(rows, 0, sni->name, sizeof sni->name, why);
}

enum hf_err hf_sni_list(struct hf_db *db, int64_t account_id, hf_db_each *each, void *ctx,
                        struct hf_why *why)
{
    struct hf_sni sni;

    if (account_id == 0)
        return hf_db_read_each(db, &hf_account_sql[SNI_LIST_ALL], HF_NO_PARAMS, read_sni, &sni,
                               each, ctx, why);
    return hf_db_read_each(db, &hf_account_sql[SNI_LIST],
                           HF_PARAMS(hf_p_int("account", account_id)), read_sni, &sni, each, ctx,
                           why);
}

/* ---- changing -------------------------------------------------------------------------------- */

static enum hf_err note_directory(struct hf_tx *tx, struct hf_why *why)
{
    return hf_effects_add(tx->effects, &(struct hf_effect){.kind = HF_EFFECT_DIRECTORY}, why);
}

enum hf_err hf_account_create(struct hf_tx *tx, const char *name, enum hf_anonymous anonymous,
                              struct hf_account_row *out, struct hf_why *why)
{
    uint8_t random[HF_REGISTRATION_CODE_LEN / 2];
    char code[HF_REGISTRATION_CODE_LEN + 1];
    struct hf_account_row row;

    HF_TRY(hf_name_check_account(name, why));
    enum hf_err err = hf_account_find(tx->db, name, &row, why);
    if (err == HF_OK)
        return hf_fail(why, HF_E_STATE, "account \"%s\" exists already", name);
    if (err != HF_E_NOT_FOUND)
        return err;
    randombytes_buf(random, sizeof random);
    hf_hex_encode(random, sizeof random, code);
    HF_TRY(read_one(tx->db, &hf_account_sql[INSERT],
                    HF_PARAMS(hf_p_text("name", name),
                              hf_p_text("anonymous", hf_anonymous_name(anonymous)),
                              hf_p_text("code", code), hf_p_int("now", tx->now_s)),
                    &row, why));
    HF_TRY(hf_audit_append_take(tx, "account.create", row.id,
                                json_pack("{s:s,s:s}", "name", name, "anonymous",
                                          hf_anonymous_name(anonymous)),
                                why));
    HF_TRY(note_directory(tx, why));
    *out = row;
    return HF_OK;
}

/* The values that can be changed; with those that it has, only the version moves. */
static enum hf_err update(struct hf_tx *tx, int64_t id, enum hf_anonymous anonymous,
                          const char *issuing_ca, struct hf_account_row *out, struct hf_why *why)
{
    return read_one(tx->db, &hf_account_sql[CHANGE],
                    HF_PARAMS(hf_p_int("id", id),
                              hf_p_text("anonymous", hf_anonymous_name(anonymous)),
                              hf_p_text("ca", issuing_ca[0] != '\0' ? issuing_ca : NULL)),
                    out, why);
}

enum hf_err hf_account_change(struct hf_tx *tx, int64_t id, int64_t if_version,
                              enum hf_anonymous anonymous, const char *issuing_ca,
                              struct hf_account_row *out, struct hf_why *why)
{
    struct hf_account_row row;

    if (issuing_ca[0] != '\0')
        HF_TRY(hf_name_check_ca(issuing_ca, why));
    HF_TRY(hf_account_get(tx->db, id, &row, why));
    HF_TRY(hf_tx_check_version(if_version, row.version, why));
    HF_TRY(update(tx, id, anonymous, issuing_ca, &row, why));
    HF_TRY(hf_audit_append_take(tx, "account.change", id,
                                json_pack("{s:s,s:s,s:s}", "name", row.name, "anonymous",
                                          hf_anonymous_name(anonymous), "issuing_ca", issuing_ca),
                                why));
    HF_TRY(note_directory(tx, why));
    *out = row;
    return HF_OK;
}

enum hf_err hf_account_delete(struct hf_tx *tx, int64_t id, int64_t if_version, struct hf_why *why)
{
    struct hf_account_row row;
    int64_t n_owned = 0;

    HF_TRY(hf_account_get(tx->db, id, &row, why));
    HF_TRY(hf_tx_check_version(if_version, row.version, why));
    HF_TRY(hf_db_get_int(tx->db, &hf_account_sql[COUNT_OWNED], HF_PARAMS(hf_p_int("id", id)),
                         &n_owned, why));
    if (n_owned > 0)
        return hf_fail(
            why, HF_E_STATE,
            "account \"%s\" has CAs, or certificates, devices or enrolment tokens, which stay on "
            "record. Revoke its certificates and set its policy to none instead",
            row.name);
    HF_TRY(hf_db_execute(tx->db, &hf_account_sql[SNI_DELETE_ALL],
                         HF_PARAMS(hf_p_int("account", id)), why));
    for (int i = DELETE_UNVERIFIED; i <= DELETE_CENSUS_VERSIONS; i++)
        HF_TRY(hf_db_execute(tx->db, &hf_account_sql[i], HF_PARAMS(hf_p_int("id", id)), why));
    HF_TRY(hf_db_execute(tx->db, &hf_account_sql[DELETE], HF_PARAMS(hf_p_int("id", id)), why));
    HF_TRY(
        hf_audit_append_take(tx, "account.delete", id, json_pack("{s:s}", "name", row.name), why));
    return note_directory(tx, why);
}

/* A change of its names is one of the account: its version moves. */
static enum hf_err finish_sni(struct hf_tx *tx, const struct hf_account_row *row,
                              const char *action, const char *name, struct hf_why *why)
{
    struct hf_account_row changed;

    HF_TRY(update(tx, row->id, row->anonymous, row->issuing_ca, &changed, why));
    HF_TRY(hf_audit_append_take(tx, action, row->id, json_pack("{s:s}", "sni", name), why));
    return note_directory(tx, why);
}

static enum hf_err fail_sni(struct hf_why *why)
{
    return hf_fail(why, HF_E_ARGUMENT,
                   "server name: expected a DNS name such as \"devices.example.com\"");
}

enum hf_err hf_account_add_sni(struct hf_tx *tx, int64_t id, const char *name, struct hf_why *why)
{
    char sni[HF_SNI_MAX + 1];
    struct hf_account_row row;
    int64_t n = 0, owner = 0;

    if (!hf_sni_normalize(name, strlen(name), sni))
        return fail_sni(why);
    HF_TRY(hf_account_get(tx->db, id, &row, why));
    enum hf_err err = hf_db_get_int(tx->db, &hf_account_sql[SNI_OWNER],
                                    HF_PARAMS(hf_p_text("name", sni)), &owner, why);
    if (err == HF_OK)
        return hf_fail(why, HF_E_STATE, "server name \"%s\" belongs to %s account already", sni,
                       owner == id ? "this" : "another");
    if (err != HF_E_NOT_FOUND)
        return err;
    HF_TRY(hf_db_get_int(tx->db, &hf_account_sql[SNI_COUNT], HF_PARAMS(hf_p_int("account", id)), &n,
                         why));
    if (n >= HF_FLEET_SNIS_PER_ACCOUNT_MAX)
        return hf_fail(why, HF_E_LIMIT, "account \"%s\" has %u server names, the most there may be",
                       row.name, HF_FLEET_SNIS_PER_ACCOUNT_MAX);
    HF_TRY(hf_db_execute(tx->db, &hf_account_sql[SNI_INSERT],
                         HF_PARAMS(hf_p_text("name", sni), hf_p_int("account", id)), why));
    return finish_sni(tx, &row, "account.add-sni", sni, why);
}

enum hf_err hf_account_remove_sni(struct hf_tx *tx, int64_t id, const char *name,
                                  struct hf_why *why)
{
    char sni[HF_SNI_MAX + 1];
    struct hf_account_row row;
    int64_t removed = 0;

    if (!hf_sni_normalize(name, strlen(name), sni))
        return fail_sni(why);
    HF_TRY(hf_account_get(tx->db, id, &row, why));
    enum hf_err err = hf_db_get_int(tx->db, &hf_account_sql[SNI_DELETE],
                                    HF_PARAMS(hf_p_text("name", sni), hf_p_int("account", id)),
                                    &removed, why);
    if (err == HF_E_NOT_FOUND)
        return hf_fail(why, err, "account \"%s\" has no server name \"%s\"", row.name, sni);
    HF_TRY(err);
    return finish_sni(tx, &row, "account.remove-sni", sni, why);
}
