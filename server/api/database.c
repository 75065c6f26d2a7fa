/* /v1/backups, /v1/restores: the database as a file on the machine of the service. */
#include "server/api/parts.h"

#include "server/fleet/audit_log.h"

#include <sys/stat.h>

/* The entry of the log that says who asked, which the backup has. */
struct asked {
    int64_t entry;
};

static enum hf_err check_path(struct hf_api_call *call, const char *name, struct hf_why *why)
{
    const char *path = hf_body_text(call->body, name);
    if (path == NULL || path[0] == '/')
        return HF_OK;
    return hf_api_input(call,
                        hf_fail(why, HF_E_ARGUMENT,
                                "\"%s\": expected a path from the root of the file system", name));
}

/* What is wrong with a file is the operator's to mend: the sentence is shown. */
static enum hf_err show_fault(struct hf_api_call *call, enum hf_err err)
{
    if (err != HF_OK && err != HF_E_MEMORY && err != HF_E_BUSY && call->status == 0)
        call->status = 409;
    return err;
}

/* ---- backups --------------------------------------------------------------------------------- */

static enum hf_err log_ask_for_backup(struct hf_api_call *call, struct hf_tx *tx,
                                      struct hf_why *why)
{
    struct asked *asked = hf_api_work(call, sizeof *asked, NULL);
    struct hf_audit_head head;
    if (asked == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for a backup");
    HF_TRY(check_path(call, "file", why));
    HF_TRY(hf_audit_append_take(tx, "database.backup", 0,
                                json_pack("{s:s}", "file", hf_body_text(call->body, "file")), why));
    HF_TRY(hf_audit_log_head(tx->db, &head, why));
    asked->entry = head.sequence;
    return HF_OK;
}

static enum hf_err write_backup(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    const struct asked *asked = call->work;
    const char *path = hf_body_text(call->body, "file");
    struct stat status = {0};
    (void)tx;
    HF_TRY(show_fault(call, hf_fleet_backup(call->api->config.fleet, path, why)));
    (void)stat(path, &status);
    return hf_api_answer_take(call, 201,
                              json_pack("{s:s, s:I, s:I}", "file", path, "bytes",
                                        (json_int_t)status.st_size, "entry",
                                        (json_int_t)asked->entry),
                              why);
}

/* ---- restores -------------------------------------------------------------------------------- */

static enum hf_err restore(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    const struct hf_restore_from from = {hf_body_text(call->body, "file"),
                                         hf_body_text(call->body, "log")};
    struct hf_restored r;
    HF_TRY(check_path(call, "file", why));
    HF_TRY(check_path(call, "log", why));
    HF_TRY(show_fault(call, hf_fleet_restore_backup(call->api->config.fleet, tx, &from, &r, why)));
    return hf_api_answer_take(call, 201,
                              json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
                                        "file", from.backup, "state_of_entry",
                                        (json_int_t)r.state_of_entry, "certificates_gone",
                                        (json_int_t)r.gone, "certificates_back", (json_int_t)r.back,
                                        "statuses_changed", (json_int_t)r.changed,
                                        "revocations_kept", (json_int_t)r.kept_revoked,
                                        "entries_kept", (json_int_t)r.entries_kept,
                                        "entries_from_log", (json_int_t)r.entries_of_copy,
                                        "changes_redone", (json_int_t)r.redone,
                                        "certificates_unknown", (json_int_t)r.unknown, "entries",
                                        (json_int_t)r.entries),
                              why);
}

static const struct hf_body_field backup_body[] = {
    {"file", HF_BODY_TEXT, .is_required = true, .max = HF_API_PATH_MAX},
    {0},
};

static const struct hf_body_field restore_body[] = {
    {"file", HF_BODY_TEXT, .is_required = true, .max = HF_API_PATH_MAX},
    {"log", HF_BODY_TEXT, .max = HF_API_PATH_MAX},
    {0},
};

const struct hf_api_route hf_database_routes[] = {
    {HTTP_POST, "/v1/backups", HF_ADMIN_ADMIN, .body = backup_body, .is_local = true,
     .steps = {{HF_API_WRITE, log_ask_for_backup}, {HF_API_DISK, write_backup}}},
    {HTTP_POST, "/v1/restores", HF_ADMIN_ADMIN, .body = restore_body, .is_local = true,
     .steps = {{HF_API_ALONE, restore}}},
    {0},
};
