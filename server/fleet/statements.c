#include "server/fleet/statements.h"

#include "server/fleet/account.h"
#include "server/fleet/admin_token.h"
#include "server/fleet/audit_log.h"
#include "server/fleet/signature.h"
#include "server/fleet/ca.h"
#include "server/fleet/credential.h"
#include "server/fleet/device.h"
#include "server/fleet/enroll_token.h"
#include "server/fleet/idempotency.h"
#include "server/fleet/restore.h"

const struct hf_sql *const hf_fleet_statements[] = {
    hf_account_sql,
    hf_ca_sql,
    hf_device_sql,
    hf_credential_sql,
    hf_enroll_token_sql,
    hf_admin_token_sql,
    hf_idempotency_sql,
    hf_audit_log_sql,
    hf_signature_sql,
    hf_restore_sql,
    NULL,
};
