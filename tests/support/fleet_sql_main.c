/*
 * hf-fleet-sql: the SQL of the fleet's store, for tests/cli/test_fleet_sql.py. Prints a JSON object:
 * "migrations", the steps in PostgreSQL's words; "statements", each with its name, text and columns.
 */
#include "common/json/json.h"
#include "server/db/migrate.h"
#include "server/fleet/statements.h"

#include <stdio.h>

static json_t *migrations(void)
{
    json_t *list = json_array();

    for (size_t i = 0; i < hf_fleet_pg_migrations_len; i++)
        list = hf_json_append_take(list, json_string(hf_fleet_pg_migrations[i].sql));
    return list;
}

static json_t *statements(void)
{
    json_t *list = json_array();

    for (size_t i = 0; hf_fleet_statements[i] != NULL; i++)
        for (const struct hf_sql *sql = hf_fleet_statements[i]; sql->name != NULL; sql++)
            list = hf_json_append_take(list, json_pack("{s:s,s:s,s:s}", "name", sql->name, "text",
                                                       sql->text, "columns", sql->columns));
    return list;
}

int main(void)
{
    json_t *all = json_pack("{s:o,s:o}", "migrations", migrations(), "statements", statements());

    if (all == NULL || json_dumpf(all, stdout, JSON_INDENT(1)) != 0)
        return 1;
    json_decref(all);
    return 0;
}
