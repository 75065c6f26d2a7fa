#include "client/core/refresh.h"
#include "client/port/posix/db.h"

#include "common/base/hex.h"
#include "common/tuf/trusted_set.h"

#include <string.h>

/* The one column of the one row; empty without a row. */
static enum hf_err load_row(sqlite3 *db, const char *sql, struct hf_buf *out, struct hf_why *why)
{
    static const char action[] = "read the root metadata";
    sqlite3_stmt *stmt = NULL;
    enum hf_err err = HF_OK;

    HF_TRY(hf_db_prepare(db, sql, action, &stmt, why));
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        err = hf_db_column_append(stmt, 0, out, why);
    else if (rc != SQLITE_DONE)
        err = hf_db_fail(db, action, why);
    sqlite3_finalize(stmt);
    return err;
}

/* What cannot be read counts as none. */
static void load_receipts(sqlite3 *db, struct hf_receipts *out)
{
    struct hf_buf value = {0};

    *out = (struct hf_receipts){0};
    if (load_row(db, "SELECT value FROM value WHERE name = '" HF_VERIFIED_NAME "'", &value, NULL) ==
            HF_OK &&
        value.len > 0)
        hf_verified_parse((const char *)value.data, out);
    hf_buf_free(&value);
}

/* It was signed and verified before it was stored: whatever is wrong with it now is damage. */
static enum hf_err verify(sqlite3 *db, struct hf_bytes file, int64_t *version, struct hf_why *why)
{
    struct hf_trusted_set set = {0};
    struct hf_receipts known;
    struct hf_why reason = {0};

    load_receipts(db, &known);
    enum hf_err err = hf_trusted_set_resume(&set, file, 0, &known, &reason);
    if (err == HF_E_MEMORY)
        return hf_fail(why, err, "%s", reason.text);
    if (err != HF_OK)
        return hf_fail(why, HF_E_STORAGE, "the root metadata in %s is damaged (%.160s)",
                       sqlite3_db_filename(db, "main"),
                       err == HF_E_SIGNATURE ? "its own signatures do not verify" : reason.text);
    *version = set.root->env.version;
    hf_trusted_set_free(&set);
    return HF_OK;
}

enum hf_err hf_db_root_load(sqlite3 *db, struct hf_buf *out, int64_t *version, struct hf_why *why)
{
    struct hf_buf file = {0};

    enum hf_err err = load_row(db, "SELECT bytes FROM metadata WHERE role = 'root'", &file, why);
    if (err == HF_OK && file.len == 0)
        err = hf_fail(why, HF_E_NOT_FOUND, "there is no root metadata in %s",
                      sqlite3_db_filename(db, "main"));
    if (err == HF_OK)
        err = verify(db, hf_buf_bytes(&file), version, why);
    if (err == HF_OK && hf_buf_append(out, file.data, file.len) != HF_OK)
        err = hf_fail(why, HF_E_MEMORY, "out of memory reading the root metadata");
    hf_buf_free(&file);
    return err;
}

enum hf_err hf_db_root_check(sqlite3 *db, struct hf_why *why)
{
    struct hf_buf file = {0};
    int64_t version = 0;

    enum hf_err err = hf_db_root_load(db, &file, &version, why);
    hf_buf_free(&file);
    return err;
}

/* ---- the list of revoked keys ---------------------------------------------------------------- */

/* ---- lines --------------------------------------------------------------------------------------- */

static bool parse_line(const uint8_t *line, uint8_t out[HF_SHA256_LEN])
{
    char digits[HF_SHA256_HEX_LEN];

    memcpy(digits, line, HF_REVOKED_LINE_LEN - 1);
    digits[HF_REVOKED_LINE_LEN - 1] = '\0';
    return line[HF_REVOKED_LINE_LEN - 1] == '\n' && hf_hex_decode(digits, out, HF_SHA256_LEN);
}

enum hf_err hf_revoked_parse(struct hf_bytes lines, const char *sha256, const char *where,
                             struct hf_buf *out, struct hf_why *why)
{
    char found[HF_SHA256_HEX_LEN];
    uint8_t key[HF_SHA256_LEN];

    hf_sha256_hex(lines, found);
    if (sha256 != NULL && strcmp(found, sha256) != 0)
        return hf_fail(why, HF_E_STORAGE,
                       "%s: the list of revoked keys is damaged (expected SHA-256 %s, found %s)",
                       where, sha256, found);
    if (lines.len % HF_REVOKED_LINE_LEN != 0 || lines.len > HF_REVOKED_LINES_MAX)
        return hf_fail(why, HF_E_STORAGE,
                       "%s: the list of revoked keys is damaged (expected at most %d lines of %d "
                       "bytes, found %zu bytes)",
                       where, HF_REVOKED_MAX, HF_REVOKED_LINE_LEN, lines.len);
    for (size_t at = 0; at < lines.len; at += HF_REVOKED_LINE_LEN) {
        if (!parse_line(lines.data + at, key))
            return hf_fail(why, HF_E_STORAGE,
                           "%s: the list of revoked keys is damaged (line %zu is not a SHA-256)",
                           where, at / HF_REVOKED_LINE_LEN + 1);
        if (hf_buf_append(out, key, sizeof(key)) != HF_OK)
            return hf_fail(why, HF_E_MEMORY, "out of memory for the revoked keys");
    }
    return HF_OK;
}

static enum hf_err append_lines(struct hf_bytes keys, struct hf_buf *out)
{
    char line[HF_REVOKED_LINE_LEN + 1];

    HF_TRY(hf_buf_reserve(out, 0));
    for (size_t at = 0; at < keys.len; at += HF_SHA256_LEN) {
        hf_hex_encode(keys.data + at, HF_SHA256_LEN, line);
        line[HF_REVOKED_LINE_LEN - 1] = '\n';
        HF_TRY(hf_buf_append(out, line, HF_REVOKED_LINE_LEN));
    }
    return HF_OK;
}

/* ---- the row ------------------------------------------------------------------------------------- */

enum hf_err hf_db_revoked_load(sqlite3 *db, struct hf_buf *lines, struct hf_buf *keys,
                               struct hf_why *why)
{
    static const char action[] = "read the list of revoked keys";
    struct hf_buf found = {0};
    struct hf_buf parsed = {0};
    sqlite3_stmt *stmt = NULL;
    enum hf_err err;

    HF_TRY(hf_db_prepare(db, "SELECT keys, sha256 FROM revoked WHERE id = 1", action, &stmt, why));
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        err = hf_db_column_append(stmt, 0, &found, why);
    else if (rc == SQLITE_DONE)
        err = hf_fail(why, HF_E_NOT_FOUND, "no list of revoked keys is stored");
    else
        err = hf_db_fail(db, action, why);
    if (err == HF_OK)
        err = hf_revoked_parse(hf_buf_bytes(&found), (const char *)sqlite3_column_text(stmt, 1),
                               sqlite3_db_filename(db, "main"), &parsed, why);
    sqlite3_finalize(stmt);
    if (err == HF_OK && lines != NULL && hf_buf_append(lines, found.data, found.len) != HF_OK)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for the revoked keys");
    if (err == HF_OK && keys != NULL && hf_buf_append(keys, parsed.data, parsed.len) != HF_OK)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for the revoked keys");
    hf_buf_free(&found);
    hf_buf_free(&parsed);
    return err;
}

enum hf_err hf_db_revoked_save(sqlite3 *db, struct hf_bytes keys, struct hf_why *why)
{
    static const char action[] = "save the list of revoked keys";
    char sha256[HF_SHA256_HEX_LEN];
    struct hf_buf lines = {0};
    sqlite3_stmt *stmt = NULL;

    enum hf_err err = append_lines(keys, &lines);
    if (err != HF_OK)
        (void)hf_fail(why, err, "out of memory for the revoked keys");
    if (err == HF_OK)
        err = hf_db_prepare(db,
                            "INSERT OR REPLACE INTO revoked (id, keys, sha256) VALUES (1, ?1, ?2)",
                            action, &stmt, why);
    if (err == HF_OK) {
        hf_sha256_hex(hf_buf_bytes(&lines), sha256);
        hf_db_bind_text(stmt, 1, (const char *)lines.data);
        hf_db_bind_text(stmt, 2, sha256);
        err = hf_db_finish(db, stmt, action, why);
    }
    hf_buf_free(&lines);
    return err;
}

enum hf_err hf_db_revoked_check(sqlite3 *db, struct hf_why *why)
{
    struct hf_why damage = {0};
    int64_t has_table = 0;

    HF_TRY(hf_db_query_int64(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'revoked'",
                             "look for the list of revoked keys", &has_table, why));
    enum hf_err err = has_table > 0 ? hf_db_revoked_load(db, NULL, NULL, &damage) : HF_E_NOT_FOUND;
    if (err == HF_OK || err == HF_E_NOT_FOUND)
        return HF_OK;
    return hf_fail(why, err == HF_E_STORAGE ? HF_E_FORMAT : err, "%s", damage.text);
}

/* ---- floors ---------------------------------------------------------------------------------- */

enum hf_err hf_db_check_floors(sqlite3 *db, struct hf_why *why)
{
    int64_t n = 0;

    HF_TRY(hf_db_query_int64(
        db,
        "SELECT count(*) FROM value WHERE"
        " ((name = 'bundle.floor' OR name GLOB 'bundle.floor.*') AND (value GLOB '*[^0-9]*' OR "
        "length(value) > 19)) OR"
        " ((name = 'bundle.rejected' OR name GLOB 'bundle.rejected.*') AND"
        "  (value GLOB '*[^0-9 ]*' OR value GLOB ' *' OR value GLOB '* ' OR value GLOB '*  *'))",
        "read the floors", &n, why));
    if (n > 0)
        return hf_fail(why, HF_E_FORMAT,
                       "%s is damaged: the versions that it refuses are no numbers",
                       sqlite3_db_filename(db, "main"));
    return hf_db_revoked_check(db, why);
}
