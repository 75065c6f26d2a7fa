#include "server/fleet/device_state.h"

#include <string.h>

#define COLUMNS HF_DEVICE_STATE_COLUMNS ", d.name"
#define TYPES HF_DEVICE_STATE_TYPES "t"

enum {
    INSERT,
    OF_CREDENTIAL,
    OF_KEY,
    PUT,
    PUT_INDEXED,
    UNCOUNT,
    UNCOUNT_LAST,
    DELETE,
    DELETE_REPORTS,
    DELETE_KEYS
};

const struct hf_sql hf_device_state_sql[] = {
    [INSERT] = {"device_state_insert",
                "INSERT INTO device_state (device_id, account_id) VALUES (:device, :account)", ""},
    [OF_CREDENTIAL] = {"device_state_of_credential",
                       "SELECT " COLUMNS " FROM credential AS c "
                       "JOIN device AS d ON d.id = c.device_id "
                       "JOIN device_state AS s ON s.device_id = d.id "
                       "WHERE c.id = :id AND c.account_id = :account AND c.status = 'ACTIVE' "
                       "AND c.kind = 'device'",
                       TYPES},
    [OF_KEY] = {"device_state_of_key",
                "SELECT " COLUMNS " FROM report_key AS k "
                "JOIN device AS d ON d.id = k.device_id "
                "JOIN device_state AS s ON s.device_id = d.id "
                "WHERE k.id = :id AND k.account_id = :account AND k.revoked_s IS NULL",
                TYPES},
    [PUT] = {"device_state_put",
             "UPDATE device_state SET installation = :installation, sequence = :sequence, "
             "seen = :seen, nonce = :nonce, credential_id = :credential, report_key_id = :key, "
             "other_installation = :other_installation, other_sequence = :other_sequence, "
             "conflicts = :conflicts, conflict_s = :conflict_s, seen_s = :seen_s, kind = :kind, "
             "set_name = :set, profile = :profile, "
             "active_sha256 = :active_sha256, result_s = :result_s, "
             "result_version = :result_version, outcome = :outcome, reason = :reason, "
             "next_expiry_s = :next_expiry, clock_offset_s = :clock_offset, agent = :agent, "
             "group_names = :groups, reports = :reports, said = :said, recent = :recent WHERE "
             "device_id = :device",
             ""},
    [PUT_INDEXED] = {"device_state_put_indexed",
                     "UPDATE device_state SET active_version = :active_version, result = :result "
                     "WHERE device_id = :device",
                     ""},
    [UNCOUNT] = {"device_state_uncount",
                 "UPDATE version_count SET devices = devices - 1 "
                 "WHERE (account_id, set_name, version) IN (SELECT account_id, set_name, "
                 "active_version FROM device_state WHERE device_id = :device "
                 "AND active_version >= 0)",
                 ""},
    [UNCOUNT_LAST] = {"device_state_uncount_last",
                      "DELETE FROM version_count WHERE devices <= 0 AND (account_id, set_name, "
                      "version) IN (SELECT account_id, set_name, active_version FROM device_state "
                      "WHERE device_id = :device)",
                      ""},
    [DELETE] = {"device_state_delete", "DELETE FROM device_state WHERE device_id = :device", ""},
    [DELETE_REPORTS] = {"device_state_delete_reports",
                        "DELETE FROM report WHERE device_id = :device", ""},
    [DELETE_KEYS] = {"device_state_delete_keys", "DELETE FROM report_key WHERE device_id = :device",
                     ""},
    {0},
};

enum hf_err hf_device_state_insert(struct hf_tx *tx, int64_t account_id, int64_t device_id,
                                   struct hf_why *why)
{
    return hf_db_execute(tx->db, &hf_device_state_sql[INSERT],
                         HF_PARAMS(hf_p_int("account", account_id), hf_p_int("device", device_id)),
                         why);
}

enum hf_err hf_device_state_delete(struct hf_tx *tx, int64_t device_id, struct hf_why *why)
{
    for (int i = UNCOUNT; i <= DELETE_KEYS; i++)
        HF_TRY(hf_db_execute(tx->db, &hf_device_state_sql[i],
                             HF_PARAMS(hf_p_int("device", device_id)), why));
    return HF_OK;
}

/* An installation, or none. */
static enum hf_err read_installation(const struct hf_rows *rows, unsigned column, bool *is_there,
                                     uint8_t out[HF_INSTALLATION_LEN], struct hf_why *why)
{
    *is_there = rows->columns[column].type != HF_VALUE_NULL;
    return *is_there ? hf_col_copy_bytes(rows, column, out, HF_INSTALLATION_LEN, why) : HF_OK;
}

static enum hf_err read_texts(const struct hf_rows *rows, struct hf_device_state *row,
                              struct hf_why *why)
{
    const struct {
        unsigned column;
        char *out;
        size_t size;
    } texts[] = {
        {13, row->kind, sizeof row->kind},
        {14, row->set, sizeof row->set},
        {15, row->profile, sizeof row->profile},
        {17, row->active_sha256, sizeof row->active_sha256},
        {18, row->result, sizeof row->result},
        {21, row->outcome, sizeof row->outcome},
        {22, row->reason, sizeof row->reason},
        {25, row->agent, sizeof row->agent},
        {26, row->groups, sizeof row->groups},
    };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        HF_TRY(hf_col_copy_text(rows, texts[i].column, texts[i].out, texts[i].size, why));
    return HF_OK;
}

enum hf_err hf_device_state_read(const struct hf_rows *rows, struct hf_device_state *out,
                                 struct hf_why *why)
{
    struct hf_device_state row = {.device_id = hf_col_int(rows, 0),
                                  .account_id = hf_col_int(rows, 1),
                                  .sequence = hf_col_int(rows, 3),
                                  .seen = (uint64_t)hf_col_int(rows, 4),
                                  .nonce = (uint64_t)hf_col_int(rows, 5),
                                  .credential_id = hf_col_int(rows, 6),
                                  .report_key_id = hf_col_int(rows, 7),
                                  .other_sequence = hf_col_int(rows, 9),
                                  .conflicts = hf_col_int(rows, 10),
                                  .conflict_s = hf_col_int(rows, 11),
                                  .seen_s = hf_col_int(rows, 12),
                                  .active_version = hf_col_int(rows, 16),
                                  .result_s = hf_col_int(rows, 19),
                                  .result_version = hf_col_int(rows, 20),
                                  .next_expiry_s = hf_col_int(rows, 23),
                                  .clock_offset_s = hf_col_int(rows, 24),
                                  .reports = hf_col_int(rows, 27),
                                  .said = (uint64_t)hf_col_int(rows, 28)};

    HF_TRY(read_installation(rows, 2, &row.has_installation, row.installation, why));
    HF_TRY(read_installation(rows, 8, &row.has_other, row.other_installation, why));
    if (rows->columns[29].type != HF_VALUE_NULL)
        HF_TRY(hf_col_copy_bytes(rows, 29, row.recent, sizeof row.recent, why));
    HF_TRY(read_texts(rows, &row, why));
    *out = row;
    return HF_OK;
}

/* A row with the name of its device. */
struct named {
    struct hf_device_state state;
    char name[HF_DEVICE_ID_MAX + 1];
};

static enum hf_err read_named(const struct hf_rows *rows, void *out, struct hf_why *why)
{
    struct named *named = out;

    HF_TRY(hf_col_copy_text(rows, HF_DEVICE_STATE_N, named->name, sizeof named->name, why));
    return hf_device_state_read(rows, &named->state, why);
}

static enum hf_err find(struct hf_db *db, int statement, int64_t account_id, int64_t id,
                        const char *missing, struct hf_device_state *out,
                        char name[HF_DEVICE_ID_MAX + 1], struct hf_why *why)
{
    struct named named;

    enum hf_err err = hf_db_read_one(db, &hf_device_state_sql[statement],
                                     HF_PARAMS(hf_p_int("id", id), hf_p_int("account", account_id)),
                                     read_named, &named, missing, why);
    if (err != HF_OK)
        return err == HF_E_NOT_FOUND ? hf_fail(why, HF_E_POLICY, "%s", missing) : err;
    *out = named.state;
    memcpy(name, named.name, sizeof named.name);
    return HF_OK;
}

enum hf_err hf_device_state_of_credential(struct hf_db *db, int64_t account_id,
                                          int64_t credential_id, struct hf_device_state *out,
                                          char name[HF_DEVICE_ID_MAX + 1], struct hf_why *why)
{
    return find(db, OF_CREDENTIAL, account_id, credential_id,
                "the certificate belongs to no device, or is not ACTIVE any more. The operator "
                "registers it with a device (`holdfast-admin credential register --device`)",
                out, name, why);
}

enum hf_err hf_device_state_of_key(struct hf_db *db, int64_t account_id, int64_t key_id,
                                   struct hf_device_state *out, char name[HF_DEVICE_ID_MAX + 1],
                                   struct hf_why *why)
{
    return find(db, OF_KEY, account_id, key_id,
                "the key of the signature is registered for no device. The operator registers it "
                "(`holdfast-admin device report-key`)",
                out, name, why);
}

static struct hf_param p_installation(const char *name, bool is_there,
                                      const uint8_t installation[HF_INSTALLATION_LEN])
{
    return is_there ? hf_p_bytes(name, installation, HF_INSTALLATION_LEN)
                    : (struct hf_param){.name = name};
}

/* Columns of indexes are written only when they change: SQLite would take each entry out of its
 * index and put it in again, a page of the disk for each. */
static enum hf_err put_indexed(struct hf_tx *tx, const struct hf_device_state *s,
                               const struct hf_device_state *before, struct hf_why *why)
{
    if (s->active_version == before->active_version && strcmp(s->result, before->result) == 0)
        return HF_OK;
    return hf_db_execute(tx->db, &hf_device_state_sql[PUT_INDEXED],
                         HF_PARAMS(hf_p_int("active_version", s->active_version),
                                   hf_p_text("result", s->result),
                                   hf_p_int("device", s->device_id)),
                         why);
}

enum hf_err hf_device_state_put(struct hf_tx *tx, const struct hf_device_state *s,
                                const struct hf_device_state *before, struct hf_why *why)
{
    HF_TRY(put_indexed(tx, s, before, why));
    return hf_db_execute(
        tx->db, &hf_device_state_sql[PUT],
        HF_PARAMS(p_installation("installation", s->has_installation, s->installation),
                  hf_p_int("sequence", s->sequence), hf_p_int("seen", (int64_t)s->seen),
                  hf_p_int("nonce", (int64_t)s->nonce), hf_p_int("credential", s->credential_id),
                  hf_p_int("key", s->report_key_id),
                  p_installation("other_installation", s->has_other, s->other_installation),
                  hf_p_int("other_sequence", s->other_sequence),
                  hf_p_int("conflicts", s->conflicts), hf_p_int("conflict_s", s->conflict_s),
                  hf_p_int("seen_s", s->seen_s), hf_p_text("kind", s->kind),
                  hf_p_text("set", s->set), hf_p_text("profile", s->profile),
                  hf_p_text("active_sha256", s->active_sha256), hf_p_int("result_s", s->result_s),
                  hf_p_int("result_version", s->result_version), hf_p_text("outcome", s->outcome),
                  hf_p_text("reason", s->reason), hf_p_int("next_expiry", s->next_expiry_s),
                  hf_p_int("clock_offset", s->clock_offset_s), hf_p_text("agent", s->agent),
                  hf_p_text("groups", s->groups), hf_p_int("reports", s->reports),
                  hf_p_int("said", (int64_t)s->said),
                  hf_p_bytes("recent", s->recent, sizeof s->recent),
                  hf_p_int("device", s->device_id)),
        why);
}
