#include "server/rollout/rollout_store.h"

#include "common/json/json.h"
#include "server/fleet/audit_log.h"
#include "server/fleet/events.h"

#include <string.h>

enum {
    FIND,
    INSERT,
    NOTE_SIGNED,
    NOTE_STALLED,
    INTENT_OF_SET,
    INTENT_PUT,
    INTENT_CLEAR,
    TOUCH,
};

#define ROW                                                                                        \
    "id, set_name, profile, bundle_version, sha256, seen_s, signed_version, signed_stage, "        \
    "signed_state, signed_s, signed_reason, stalled_since_s, intent_from, intent_stage, "          \
    "intent_state, intent_reason, intent_actor, intent_s, version"
#define ROW_TYPES "ittibiiITITIIITTTIi"

const struct hf_sql hf_rollout_sql[] = {
    [FIND] = {"rollout_find",
              "SELECT " ROW " FROM rollout WHERE set_name = :set AND profile = :profile "
              "AND bundle_version = :bundle AND sha256 = :sha256",
              ROW_TYPES},
    [INSERT] = {"rollout_insert",
                "INSERT INTO rollout (set_name, profile, bundle_version, sha256, seen_s, "
                "signed_version, version) VALUES (:set, :profile, :bundle, :sha256, :now, 0, 1) "
                "RETURNING " ROW,
                ROW_TYPES},
    [NOTE_SIGNED] = {"rollout_note_signed",
                     "UPDATE rollout SET signed_version = :signed, signed_stage = :stage, "
                     "signed_state = :state, signed_s = :since, signed_reason = :reason, "
                     "version = version + 1 WHERE id = :id RETURNING " ROW,
                     ROW_TYPES},
    [NOTE_STALLED] = {"rollout_note_stalled",
                      "UPDATE rollout SET stalled_since_s = :since, version = version + 1 "
                      "WHERE id = :id RETURNING " ROW,
                      ROW_TYPES},
    [INTENT_OF_SET] = {"rollout_intent_of_set",
                       "SELECT COALESCE(max(intent_s), 0) FROM rollout WHERE set_name = :set", "i"},
    [INTENT_PUT] = {"rollout_intent_put",
                    "UPDATE rollout SET intent_from = :from, intent_stage = :stage, "
                    "intent_state = :state, intent_reason = :reason, intent_actor = :actor, "
                    "intent_s = :now, version = version + 1 WHERE id = :id RETURNING " ROW,
                    ROW_TYPES},
    [INTENT_CLEAR] = {"rollout_intent_clear",
                      "UPDATE rollout SET intent_from = NULL, intent_stage = NULL, "
                      "intent_state = NULL, intent_reason = NULL, intent_actor = NULL, "
                      "intent_s = NULL, version = version + 1 WHERE id = :id "
                      "AND intent_s = :asked AND intent_state = :state AND intent_actor = :actor",
                      ""},
    [TOUCH] = {"rollout_touch",
               "UPDATE rollout SET version = version + 1 WHERE id = :id RETURNING " ROW, ROW_TYPES},
    {0},
};

/* ---- rows ------------------------------------------------------------------------------------ */

static enum hf_err read_state(const struct hf_rows *rows, unsigned column,
                              enum hf_rollout_state *out, struct hf_why *why)
{
    return hf_rollout_state_parse(hf_col_text(rows, column), out)
               ? HF_OK
               : hf_col_fail_word(rows, column, why);
}

static enum hf_err read_signed(const struct hf_rows *rows, struct hf_rollout_row *row,
                               struct hf_why *why)
{
    row->is_signed = hf_col_text(rows, 8) != NULL;
    if (!row->is_signed)
        return HF_OK;
    row->now.stage = hf_col_int_or(rows, 7, 0);
    row->now.since_s = hf_col_int_or(rows, 9, 0);
    HF_TRY(read_state(rows, 8, &row->now.state, why));
    return hf_col_copy_text(rows, 10, row->now.reason, sizeof row->now.reason, why);
}

static enum hf_err read_intent(const struct hf_rows *rows, struct hf_rollout_row *row,
                               struct hf_why *why)
{
    struct hf_rollout_intent *intent = &row->intent;

    row->has_intent = hf_col_text(rows, 14) != NULL;
    if (!row->has_intent)
        return HF_OK;
    intent->from = hf_col_int_or(rows, 12, 0);
    intent->stage = hf_col_int_or(rows, 13, 0);
    intent->asked_s = hf_col_int_or(rows, 17, 0);
    HF_TRY(read_state(rows, 14, &intent->state, why));
    HF_TRY(hf_col_copy_text(rows, 15, intent->reason, sizeof intent->reason, why));
    return hf_col_copy_text(rows, 16, intent->actor, sizeof intent->actor, why);
}

static enum hf_err read_row(const struct hf_rows *rows, void *out, struct hf_why *why)
{
    struct hf_rollout_row row = {.id = hf_col_int(rows, 0),
                                 .bundle_version = hf_col_int(rows, 3),
                                 .seen_s = hf_col_int(rows, 5),
                                 .signed_version = hf_col_int(rows, 6),
                                 .stalled_since_s = hf_col_int_or(rows, 11, 0),
                                 .version = hf_col_int(rows, 18)};

    HF_TRY(hf_col_copy_text(rows, 1, row.set, sizeof row.set, why));
    HF_TRY(hf_col_copy_text(rows, 2, row.profile, sizeof row.profile, why));
    HF_TRY(hf_col_copy_bytes(rows, 4, row.sha256, sizeof row.sha256, why));
    HF_TRY(read_signed(rows, &row, why));
    HF_TRY(read_intent(rows, &row, why));
    *(struct hf_rollout_row *)out = row;
    return HF_OK;
}

/* Run a statement that returns the row as it is now. */
static enum hf_err change(struct hf_tx *tx, int statement, const struct hf_param *params,
                          size_t n_params, struct hf_rollout_row *row, struct hf_why *why)
{
    return hf_db_read_one(tx->db, &hf_rollout_sql[statement], params, n_params, read_row, row,
                          "the rollout is not known any more", why);
}

enum hf_err hf_rollout_row_touch(struct hf_tx *tx, struct hf_rollout_row *row, struct hf_why *why)
{
    return change(tx, TOUCH, HF_PARAMS(hf_p_int("id", row->id)), row, why);
}

enum hf_err hf_rollout_row_find(struct hf_db *db, const struct hf_published_bundle *bundle,
                                struct hf_rollout_row *out, struct hf_why *why)
{
    const struct hf_description *d = &bundle->description;
    uint8_t sha256[HF_SHA256_LEN];

    if (!hf_hex_decode(bundle->sha256, sha256, sizeof sha256))
        return hf_fail(why, HF_E_FORMAT, "the SHA-256 of a published bundle is damaged");
    return hf_db_read_one(db, &hf_rollout_sql[FIND],
                          HF_PARAMS(hf_p_text("set", d->set), hf_p_text("profile", d->profile),
                                    hf_p_int("bundle", d->version),
                                    hf_p_bytes("sha256", sha256, sizeof sha256)),
                          read_row, out,
                          "the service has not looked at this bundle yet; try again in a moment",
                          why);
}

enum hf_err hf_rollout_row_ensure(struct hf_tx *tx, const struct hf_published_bundle *bundle,
                                  struct hf_rollout_row *out, struct hf_why *why)
{
    const struct hf_description *d = &bundle->description;
    uint8_t sha256[HF_SHA256_LEN];
    struct hf_rollout_row row;

    enum hf_err err = hf_rollout_row_find(tx->db, bundle, out, why);
    if (err != HF_E_NOT_FOUND)
        return err;
    if (!hf_hex_decode(bundle->sha256, sha256, sizeof sha256))
        return hf_fail(why, HF_E_FORMAT, "the SHA-256 of a published bundle is damaged");
    HF_TRY(
        change(tx, INSERT,
               HF_PARAMS(hf_p_text("set", d->set), hf_p_text("profile", d->profile),
                         hf_p_int("bundle", d->version),
                         hf_p_bytes("sha256", sha256, sizeof sha256), hf_p_int("now", tx->now_s)),
               &row, why));
    HF_TRY(hf_audit_append_take(tx, "rollout.found", 0,
                                json_pack("{s:s, s:s, s:I, s:s}", "set", row.set, "profile",
                                          row.profile, "version", (json_int_t)row.bundle_version,
                                          "sha256", bundle->sha256),
                                why));
    *out = row;
    return HF_OK;
}

static void tell(struct hf_tx *tx, const struct hf_rollout_row *row)
{
    hf_event_note_take(tx, "rollout", 0,
                       json_pack("{s:s, s:s, s:I, s:o, s:s, s:o}", "set", row->set, "profile",
                                 row->profile, "version", (json_int_t)row->bundle_version, "stage",
                                 row->is_signed ? json_integer(row->now.stage) : json_null(),
                                 "state",
                                 row->is_signed ? hf_rollout_state_name(row->now.state) : "waiting",
                                 "reason",
                                 row->is_signed && row->now.reason[0] != '\0'
                                     ? hf_json_plain(row->now.reason)
                                     : json_null()));
}

static bool is_same(const struct hf_rollout_row *row, const struct hf_published_rollout *now)
{
    return row->is_signed == now->is_signed &&
           (!row->is_signed ||
            (row->now.stage == now->now.stage && row->now.state == now->now.state &&
             row->now.since_s == now->now.since_s &&
             strcmp(row->now.reason, now->now.reason) == 0));
}

enum hf_err hf_rollout_row_note_signed(struct hf_tx *tx, const struct hf_published_bundle *bundle,
                                       struct hf_rollout_row *row, struct hf_why *why)
{
    const struct hf_published_rollout *rollout = &bundle->rollout;
    const struct hf_rollout_activation *now = &rollout->now;
    const bool is_new = !is_same(row, rollout), is_signed = rollout->is_signed;
    const struct hf_param none = {.name = "stage"};

    if (!is_new && row->signed_version == rollout->role_version)
        return HF_OK;
    HF_TRY(
        change(tx, NOTE_SIGNED,
               HF_PARAMS(hf_p_int("id", row->id), hf_p_int("signed", rollout->role_version),
                         is_signed ? hf_p_int("stage", now->stage) : none,
                         hf_p_text("state", is_signed ? hf_rollout_state_name(now->state) : NULL),
                         is_signed ? hf_p_int("since", now->since_s)
                                   : (struct hf_param){.name = "since"},
                         hf_p_text("reason", is_signed ? now->reason : NULL)),
               row, why));
    if (is_new)
        tell(tx, row);
    return HF_OK;
}

enum hf_err hf_rollout_row_note_stalled(struct hf_tx *tx, struct hf_rollout_row *row,
                                        int64_t since_s, struct hf_why *why)
{
    return change(tx, NOTE_STALLED,
                  HF_PARAMS(hf_p_int("id", row->id), hf_p_int_or_null("since", since_s, 0)), row,
                  why);
}

/* ---- the intent ------------------------------------------------------------------------------ */

static json_t *step_json(const struct hf_rollout_row *row, const struct hf_rollout_intent *step)
{
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:s, s:o}", "set", row->set, "profile",
                     row->profile, "version", (json_int_t)row->bundle_version, "from",
                     (json_int_t)step->from, "stage", (json_int_t)step->stage, "state",
                     hf_rollout_state_name(step->state), "reason", hf_json_plain(step->reason));
}

enum hf_err hf_rollout_intent_put(struct hf_tx *tx, struct hf_rollout_row *row,
                                  const struct hf_rollout_intent *intent, bool is_logged,
                                  struct hf_why *why)
{
    int64_t asked_s = 0;

    HF_TRY(hf_db_get_int(tx->db, &hf_rollout_sql[INTENT_OF_SET],
                         HF_PARAMS(hf_p_text("set", row->set)), &asked_s, why));
    const int64_t age_s = tx->now_s - asked_s;
    if (!hf_rollout_is_stop(intent->state) && age_s >= 0 && age_s < HF_ROLLOUT_INTENT_S)
        return hf_fail(why, HF_E_STATE,
                       "the signer is asked for another step of the set \"%s\" just now. Look at "
                       "the rollout again in a moment",
                       row->set);
    if (is_logged)
        HF_TRY(hf_audit_append_take(tx, "rollout.asked", 0, step_json(row, intent), why));
    return change(tx, INTENT_PUT,
                  HF_PARAMS(hf_p_int("id", row->id), hf_p_int("from", intent->from),
                            hf_p_int("stage", intent->stage),
                            hf_p_text("state", hf_rollout_state_name(intent->state)),
                            hf_p_text("reason", intent->reason), hf_p_text("actor", tx->actor),
                            hf_p_int("now", tx->now_s)),
                  row, why);
}

enum hf_err hf_rollout_intent_clear(struct hf_tx *tx, const struct hf_rollout_row *row,
                                    const struct hf_rollout_intent *intent, const char *action,
                                    json_t *outcome, struct hf_why *why)
{
    enum hf_err err = HF_OK;

    if (outcome != NULL) {
        const char *asked_by = intent->actor[0] != '\0' ? intent->actor : tx->actor;
        json_t *details = step_json(row, intent);
        if (details != NULL && json_object_update_missing(details, outcome) == 0 &&
            json_object_set_new(details, "asked_by", json_string(asked_by)) == 0)
            err = hf_audit_append_take(tx, action, 0, details, why);
        else {
            json_decref(details);
            err = hf_fail(why, HF_E_MEMORY, "no memory for the log");
        }
        json_decref(outcome);
    }
    if (err != HF_OK)
        return err;
    return hf_db_execute(tx->db, &hf_rollout_sql[INTENT_CLEAR],
                         HF_PARAMS(hf_p_int("id", row->id), hf_p_int("asked", intent->asked_s),
                                   hf_p_text("state", hf_rollout_state_name(intent->state)),
                                   hf_p_text("actor", intent->actor)),
                         why);
}

bool hf_rollout_intent_was_signed(const struct hf_rollout_intent *intent,
                                  const struct hf_published_rollout *rollout)
{
    return rollout->is_signed && rollout->role_version > intent->from &&
           rollout->now.stage == intent->stage && rollout->now.state == intent->state;
}
