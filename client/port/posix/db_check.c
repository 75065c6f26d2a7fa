/* What a database holds: its schema, and the rows that must not be corrupt. */
#include "client/port/posix/db.h"

#include "client/core/refresh.h"
#include "common/base/digest.h"
#include "common/tuf/trusted_set.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* ---- the schema ------------------------------------------------------------------------------ */

static const char updating[] = "bring the database's schema up to date";

static enum hf_err read_version(sqlite3 *db, int64_t *out, struct hf_why *why)
{
    return hf_db_query_int64(db, "PRAGMA user_version", "read the schema's version", out, why);
}

enum hf_err hf_schema_check(sqlite3 *db, int64_t newest, int64_t *out, struct hf_why *why)
{
    int64_t application = 0;
    int64_t version = 0;

    HF_TRY(hf_db_query_int64(db, "PRAGMA application_id", "read the database", &application, why));
    if (application != HF_CLIENT_APPLICATION_ID)
        return hf_fail(why, HF_E_FORMAT, "%s is empty or not a database of holdfast",
                       sqlite3_db_filename(db, "main"));
    HF_TRY(read_version(db, &version, why));
    if (version > newest)
        return hf_fail(why, HF_E_SCHEMA,
                       "%s was written by a newer holdfast: its schema is %" PRId64
                       ", this one writes %" PRId64 "; install the newer holdfast again",
                       sqlite3_db_filename(db, "main"), version, newest);
    *out = version;
    return HF_OK;
}

enum hf_err hf_schema_migrate(sqlite3 *db, const struct hf_migration *steps, size_t n_steps,
                              struct hf_why *why)
{
    char pragmas[96];

    for (size_t i = 0; i < n_steps; i++) {
        int64_t version = 0;
        HF_TRY(hf_db_exec(db, "BEGIN IMMEDIATE", updating, why));
        /* Another process may have been quicker. */
        enum hf_err err = read_version(db, &version, why);
        if (err == HF_OK && version < steps[i].number) {
            (void)snprintf(pragmas, sizeof pragmas,
                           "PRAGMA user_version = %" PRId64 "; PRAGMA application_id = %" PRId64,
                           steps[i].number, HF_CLIENT_APPLICATION_ID);
            err = hf_db_exec(db, steps[i].sql, updating, why);
            if (err == HF_OK)
                err = hf_db_exec(db, pragmas, updating, why);
        }
        if (err == HF_OK)
            err = hf_db_exec(db, "COMMIT", updating, why);
        if (err != HF_OK) {
            (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
            return err;
        }
    }
    return HF_OK;
}

enum hf_err hf_schema_describe(sqlite3 *db, struct hf_buf *out, struct hf_why *why)
{
    static const char reading[] = "read the database's schema";
    sqlite3_stmt *stmt = NULL;
    enum hf_err err = HF_OK;
    int rc = SQLITE_DONE;

    HF_TRY(hf_db_prepare(db,
                         "SELECT type || ' ' || name || ' ' || tbl_name || ' ' || ifnull(sql, '') "
                         "FROM sqlite_schema ORDER BY name",
                         reading, &stmt, why));
    while (err == HF_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        err = hf_db_column_append(stmt, 0, out, why);
        if (err == HF_OK && hf_buf_append_text(out, ";") != HF_OK)
            err = hf_fail(why, HF_E_MEMORY, "out of memory reading the database's schema");
    }
    if (err == HF_OK && rc != SQLITE_DONE)
        err = hf_db_fail(db, reading, why);
    sqlite3_finalize(stmt);
    return err;
}

const char hf_client_schema_hash[] =
    "d465b837852cc3c39bc098d871e97e813513ea0def66d96f7bd46812e6769e32";

void hf_schema_hash(struct hf_bytes description, char out[HF_SCHEMA_HASH_HEX_LEN])
{
    uint8_t hash[HF_SCHEMA_HASH_LEN];

    (void)crypto_generichash(hash, sizeof hash, description.data, description.len, NULL, 0);
    hf_hex_encode(hash, sizeof hash, out);
}

enum hf_err hf_schema_compare(sqlite3 *db, const struct hf_migration *steps, int64_t version,
                              struct hf_why *why)
{
    size_t n_steps = version > 0 ? (size_t)version : 0; /* below that the number is corrupt */
    struct hf_buf is = {0};
    struct hf_buf should_be = {0};
    sqlite3 *made = NULL;
    char hash[HF_SCHEMA_HASH_HEX_LEN];

    enum hf_err err = hf_schema_describe(db, &is, why);
    if (err != HF_OK)
        goto out;
    /* To build a database costs more than an update without news, so that is done only if the
     * schema is not today's. */
    hf_schema_hash(hf_buf_bytes(&is), hash);
    if (steps == hf_client_migrations && version == (int64_t)hf_client_migrations_len &&
        strcmp(hash, hf_client_schema_hash) == 0)
        goto out;
    if (sqlite3_open(":memory:", &made) != SQLITE_OK)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for the schema of a new database");
    else
        hf_db_harden(made);
    if (err == HF_OK)
        err = hf_schema_migrate(made, steps, n_steps, why);
    if (err == HF_OK)
        err = hf_schema_describe(made, &should_be, why);
    if (err == HF_OK && !hf_bytes_equal(hf_buf_bytes(&is), hf_buf_bytes(&should_be)))
        err = hf_fail(why, HF_E_FORMAT, "%s is damaged: its schema is not that of version %" PRId64,
                      sqlite3_db_filename(db, "main"), version);
out:
    sqlite3_close(made);
    hf_buf_free(&is);
    hf_buf_free(&should_be);
    return err;
}

/* ---- the root metadata ----------------------------------------------------------------------- */

static enum hf_err load_root(sqlite3 *db, struct hf_buf *out, struct hf_why *why)
{
    HF_TRY(hf_db_query(db, "SELECT bytes FROM metadata WHERE role = 'root'",
                       "read the root metadata", out, why));
    return out->len > 0 ? HF_OK
                        : hf_fail(why, HF_E_NOT_FOUND, "there is no root metadata in %s",
                                  sqlite3_db_filename(db, "main"));
}

/* What cannot be read counts as none. */
static void load_receipts(sqlite3 *db, struct hf_receipts *out)
{
    struct hf_buf text = {0};

    *out = (struct hf_receipts){0};
    if (hf_db_query(db, "SELECT value FROM value WHERE name = '" HF_RECEIPTS_VALUE "'",
                    "read the receipts", &text, NULL) == HF_OK &&
        text.len > 0)
        hf_receipts_of_value((const char *)text.data, out);
    hf_buf_free(&text);
}

/* It was signed and verified before it was stored: whatever is wrong with it now is damage. */
static enum hf_err verify_root(sqlite3 *db, struct hf_bytes file, int64_t *version,
                               struct hf_why *why)
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

    enum hf_err err = load_root(db, &file, why);
    if (err == HF_OK)
        err = verify_root(db, hf_buf_bytes(&file), version, why);
    if (err == HF_OK && hf_buf_append(out, file.data, file.len) != HF_OK)
        err = hf_fail(why, HF_E_MEMORY, "out of memory reading the root metadata");
    hf_buf_free(&file);
    return err;
}

enum hf_err hf_db_root_check(sqlite3 *db, char known[HF_SHA256_HEX_LEN], struct hf_why *why)
{
    struct hf_root root = {0}; /* no more than what a receipt is made of */
    struct hf_receipts receipts;
    struct hf_buf file = {0};
    char sha256[HF_SHA256_HEX_LEN];
    int64_t version = 0;

    enum hf_err err = load_root(db, &file, why);
    if (err == HF_OK) {
        hf_sha256(hf_buf_bytes(&file), root.env.file_sha256);
        hf_hex_encode(root.env.file_sha256, HF_SHA256_LEN, sha256);
        if (known == NULL || strcmp(known, sha256) != 0) {
            load_receipts(db, &receipts);
            if (!hf_receipts_include(&receipts, &root, HF_ROLE_ROOT, &root.env))
                err = verify_root(db, hf_buf_bytes(&file), &version, why);
        }
        if (err == HF_OK && known != NULL)
            memcpy(known, sha256, sizeof sha256);
    }
    hf_buf_free(&file);
    return err;
}

/* ---- the revoked keys, and floors ------------------------------------------------------------ */

enum hf_err hf_revoked_parse(struct hf_bytes lines, const char *sha256, const char *where,
                             struct hf_buf *out, struct hf_why *why)
{
    char text[HF_SHA256_HEX_LEN];
    uint8_t key[HF_SHA256_LEN];

    hf_sha256_hex(lines, text);
    if (strcmp(text, sha256) != 0)
        return hf_fail(why, HF_E_STORAGE,
                       "%s: the list of revoked keys is damaged (expected SHA-256 %s, found %s)",
                       where, sha256, text);
    if (lines.len % HF_REVOKED_LINE_LEN != 0 || lines.len > HF_REVOKED_LINES_MAX)
        return hf_fail(why, HF_E_STORAGE,
                       "%s: the list of revoked keys is damaged (expected at most %d lines of %d "
                       "bytes, found %zu bytes)",
                       where, HF_REVOKED_MAX, HF_REVOKED_LINE_LEN, lines.len);
    for (size_t at = 0; at < lines.len; at += HF_REVOKED_LINE_LEN) {
        memcpy(text, lines.data + at, HF_REVOKED_LINE_LEN - 1);
        text[HF_REVOKED_LINE_LEN - 1] = '\0';
        if (lines.data[at + HF_REVOKED_LINE_LEN - 1] != '\n' ||
            !hf_hex_decode(text, key, HF_SHA256_LEN))
            return hf_fail(why, HF_E_STORAGE,
                           "%s: the list of revoked keys is damaged (line %zu is not a SHA-256)",
                           where, at / HF_REVOKED_LINE_LEN + 1);
        if (hf_buf_append(out, key, sizeof key) != HF_OK)
            return hf_fail(why, HF_E_MEMORY, "out of memory for the revoked keys");
    }
    return HF_OK;
}

enum hf_err hf_revoked_format(struct hf_bytes keys, struct hf_buf *lines,
                              char sha256[HF_SHA256_HEX_LEN], struct hf_why *why)
{
    char line[HF_REVOKED_LINE_LEN];

    enum hf_err err = hf_buf_reserve(lines, 0);
    for (size_t at = 0; at < keys.len && err == HF_OK; at += HF_SHA256_LEN) {
        hf_hex_encode(keys.data + at, HF_SHA256_LEN, line);
        line[HF_REVOKED_LINE_LEN - 1] = '\n';
        err = hf_buf_append(lines, line, HF_REVOKED_LINE_LEN);
    }
    if (err != HF_OK)
        return hf_fail(why, err, "out of memory for the revoked keys");
    hf_sha256_hex(hf_buf_bytes(lines), sha256);
    return HF_OK;
}

enum hf_err hf_db_revoked_load(sqlite3 *db, struct hf_buf *out, struct hf_why *why)
{
    static const char action[] = "read the list of revoked keys";
    struct hf_buf lines = {0}, sha256 = {0}, keys = {0};
    sqlite3_stmt *stmt = NULL;
    enum hf_err err;

    HF_TRY(hf_db_prepare(db, "SELECT keys, sha256 FROM revoked WHERE id = 1", action, &stmt, why));
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        err = hf_db_column_append(stmt, 0, &lines, why);
    else if (rc == SQLITE_DONE)
        err = hf_fail(why, HF_E_NOT_FOUND, "no list of revoked keys is stored");
    else
        err = hf_db_fail(db, action, why);
    if (err == HF_OK)
        err = hf_db_column_append(stmt, 1, &sha256, why);
    sqlite3_finalize(stmt);
    if (err == HF_OK)
        err = hf_revoked_parse(hf_buf_bytes(&lines),
                               sha256.len > 0 ? (const char *)sha256.data : "",
                               sqlite3_db_filename(db, "main"), &keys, why);
    if (err == HF_OK && hf_buf_append(out, keys.data, keys.len) != HF_OK)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for the revoked keys");
    hf_buf_free(&lines);
    hf_buf_free(&sha256);
    hf_buf_free(&keys);
    return err;
}

enum hf_err hf_db_revoked_save(sqlite3 *db, struct hf_bytes keys, struct hf_why *why)
{
    static const char action[] = "save the list of revoked keys";
    char sha256[HF_SHA256_HEX_LEN];
    struct hf_buf lines = {0};
    sqlite3_stmt *stmt = NULL;

    enum hf_err err = hf_revoked_format(keys, &lines, sha256, why);
    if (err == HF_OK)
        err = hf_db_prepare(db,
                            "INSERT OR REPLACE INTO revoked (id, keys, sha256) VALUES (1, ?1, ?2)",
                            action, &stmt, why);
    if (err == HF_OK) {
        hf_db_bind_text(stmt, 1, (const char *)lines.data);
        hf_db_bind_text(stmt, 2, sha256);
        err = hf_db_finish(db, stmt, action, why);
    }
    hf_buf_free(&lines);
    return err;
}

enum hf_err hf_db_revoked_check(sqlite3 *db, struct hf_why *why)
{
    struct hf_buf keys = {0};
    struct hf_why damage = {0};

    enum hf_err err = hf_db_revoked_load(db, &keys, &damage);
    hf_buf_free(&keys);
    if (err == HF_OK || err == HF_E_NOT_FOUND)
        return HF_OK;
    return hf_fail(why, err == HF_E_STORAGE ? HF_E_FORMAT : err, "%s", damage.text);
}

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
