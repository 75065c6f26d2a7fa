#include "server/db/migrate.h"

#include <inttypes.h>
#include <string.h>

/* Part of no step, since it says which have been run. */
static const char make_table[] =
    "CREATE TABLE IF NOT EXISTS migration (number BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL)";
static const struct hf_sql list = {"migration_list",
                                   "SELECT number, name FROM migration ORDER BY number", "it"};
static const struct hf_sql insert = {"migration_insert",
                                     "INSERT INTO migration (number, name) VALUES (:number, :name)",
                                     ""};

/* How many of `steps` the database has seen. */
static enum hf_err count_seen(struct hf_db *db, const struct hf_migration *steps, size_t n_steps,
                              size_t *out, struct hf_why *why)
{
    struct hf_rows rows;
    size_t n = 0;
    enum hf_err err;

    HF_TRY(hf_db_run(db, &list, HF_NO_PARAMS, &rows, why));
    while ((err = hf_db_next(&rows, why)) == HF_OK) {
        int64_t number = hf_col_int(&rows, 0);
        if (n == n_steps)
            err = hf_fail(why, HF_E_SCHEMA,
                          "%s: written by a newer Holdfast (expected schema %zu at most, found "
                          "%" PRId64 "). Install the newer Holdfast again",
                          hf_db_where(db), n_steps, number);
        else if (number != steps[n].number || strcmp(hf_col_text(&rows, 1), steps[n].name) != 0)
            err = hf_fail(why, HF_E_FORMAT,
                          "%s: its schema is not one of Holdfast's (expected step \"%s\", found "
                          "\"%.64s\"). Restore a backup",
                          hf_db_where(db), steps[n].name, hf_col_text(&rows, 1));
        if (err != HF_OK)
            break;
        n++;
    }
    hf_db_end(&rows);
    if (err != HF_E_NOT_FOUND)
        return err;
    *out = n;
    return HF_OK;
}

/* Statement by statement: a driver takes one at a time. */
static enum hf_err run_script(struct hf_db *db, const char *sql, struct hf_why *why)
{
    struct hf_buf text = {0};
    enum hf_err err = HF_OK;

    while (err == HF_OK && sql[strspn(sql, " \n")] != '\0') {
        const char *end = strstr(sql, ";\n");
        size_t len = end != NULL ? (size_t)(end - sql) : strlen(sql);
        text.len = 0;
        err = hf_buf_append(&text, sql, len);
        if (err != HF_OK)
            err = hf_fail(why, err, "out of memory for a step of the schema");
        else
            err = hf_db_execute_text(db, (const char *)text.data, why);
        sql += end != NULL ? len + 2 : len;
    }
    hf_buf_free(&text);
    return err;
}

enum hf_err hf_db_migrate(struct hf_db *db, const struct hf_migration *steps, size_t n_steps,
                          struct hf_why *why)
{
    size_t seen = 0;

    HF_TRY(hf_db_execute_text(db, make_table, why));
    do {
        HF_TRY(hf_db_begin(db, why));
        /* Within the transaction: another process may have been quicker. */
        enum hf_err err = count_seen(db, steps, n_steps, &seen, why);
        if (err == HF_OK && seen < n_steps) {
            const struct hf_migration *step = &steps[seen];
            err = run_script(db, step->sql, why);
            if (err == HF_OK)
                err = hf_db_execute(db, &insert,
                                    HF_PARAMS(hf_p_int("number", step->number),
                                              hf_p_text("name", step->name)),
                                    why);
            if (err != HF_OK)
                err = hf_fail_context(why, "%s: step %s", hf_db_where(db), step->name);
        }
        if (err != HF_OK) {
            hf_db_rollback(db);
            return err;
        }
        HF_TRY(hf_db_commit(db, why));
    } while (++seen < n_steps);
    return HF_OK;
}
