/*
 * hf-fleet-sql: the SQL of the fleet's store, for tests/cli/test_fleet_sql.py. Prints a JSON
 * object: "migrations", the steps in PostgreSQL's words; "statements", each with its name, text and
 * columns.
 */
#include "common/json/json.h"
#include "server/db/migrate.h"
#include "server/findings/auditor.h"
#include "server/findings/keys.h"
#include "server/fleet/account.h"
#include "server/fleet/admin_token.h"
#include "server/fleet/audit_log.h"
#include "server/fleet/signature.h"
#include "server/fleet/ca.h"
#include "server/fleet/bundle_since.h"
#include "server/fleet/census.h"
#include "server/fleet/claim_use.h"
#include "server/fleet/credential.h"
#include "server/fleet/device.h"
#include "server/fleet/device_view.h"
#include "server/fleet/enroll_token.h"
#include "server/fleet/idempotency.h"
#include "server/fleet/restore_log.h"
#include "server/fleet/report_key.h"
#include "server/fleet/report_row.h"
#include "server/fleet/summary.h"
#include "server/rollout/device_rows.h"
#include "server/rollout/rollout_store.h"

#include <stdio.h>

/* All of them: a family that is added adds its list. */
static const struct hf_sql *const families[] = {
    hf_account_sql,
    hf_ca_sql,
    hf_device_sql,
    hf_credential_sql,
    hf_enroll_token_sql,
    hf_admin_token_sql,
    hf_claim_use_sql,
    hf_idempotency_sql,
    hf_audit_log_sql,
    hf_signature_sql,
    hf_restore_sql,
    hf_restore_log_sql,
    hf_restore_redo_sql,
    hf_device_state_sql,
    hf_device_view_sql,
    hf_report_row_sql,
    hf_report_key_sql,
    hf_series_sql,
    hf_finding_sql,
    hf_check_sql,
    hf_key_sql,
    hf_audit_sql,
    hf_summary_sql,
    hf_census_sql,
    hf_bundle_since_sql,
    hf_rollout_sql,
    hf_rollout_people_sql,
    hf_rollout_device_sql,
    NULL,
};

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

    for (size_t i = 0; families[i] != NULL; i++)
        for (const struct hf_sql *sql = families[i]; sql->name != NULL; sql++)
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
