#include "server/serve/log_keeper.h"

#include "common/base/digest.h"
#include "common/json/json.h"
#include "common/os/service.h"
#include "server/fleet/audit_log.h"
#include "server/fleet/signature.h"
#include "server/signer/protocol.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOOK_EVERY_S 10
#define SEAL_EVERY_S 3600
#define ENTRIES_BYTES_MAX (HF_SIGNER_MESSAGE_MAX - 16u * 1024u) /* in one message */
#define SIGNER "the signer's answer"

struct hf_log_keeper {
    struct hf_fleet *fleet;
    const char *socket;
    int connection;
    int64_t sealed_s; /* when the signer sealed last and the log agreed; 0: not since the start */
    bool is_compared; /* the log was compared with what the signer sealed, since the start */
    int64_t warned_s; /* when the fault of the last look was logged; 0: there was none */

    uv_thread_t thread;
    uv_mutex_t mutex;
    uv_cond_t ending;
    atomic_bool is_ending;
};

struct task {
    const json_t *signatures;
    struct hf_seal seal;
    struct hf_audit_head head; /* of the signer; what follows it is read */
    json_t *entries;           /* behind it */
    size_t bytes;              /* of these */
    bool are_more;             /* than fit into one message */
    bool is_head_ours;         /* the log has that very entry */
    json_t *restart;        /* owned; the signer's statement that the log may go on; NULL: none */
    bool is_restart_logged; /* … is in the log */
    int64_t last_signature;
    int64_t sealed_s; /* when the signer sealed last, as it says */
};

static enum hf_err ask_take(struct hf_log_keeper *keeper, json_t *request, json_t **answer,
                            struct hf_why *why)
{
    return hf_signer_call_take(keeper->socket, &keeper->connection, request, -1, &keeper->is_ending,
                               answer, why);
}

/* ---- signatures ------------------------------------------------------------------------------ */

static enum hf_err read_last(void *what, struct hf_tx *tx, struct hf_why *why)
{
    return hf_signature_last(tx->db, &((struct task *)what)->last_signature, why);
}

static enum hf_err save_signatures(void *what, struct hf_tx *tx, struct hf_why *why)
{
    return hf_signature_log(tx, ((struct task *)what)->signatures, why);
}

static enum hf_err take_signatures(struct hf_log_keeper *keeper, struct task *task,
                                   struct hf_why *why)
{
    for (;;) {
        json_t *answer = NULL;
        HF_TRY(hf_fleet_read_wait(keeper->fleet, read_last, task, why));
        HF_TRY(ask_take(keeper,
                        json_pack("{s:s, s:I}", "verb", "signatures", "after",
                                  (json_int_t)task->last_signature),
                        &answer, why));
        task->signatures = json_object_get(answer, "signatures");
        size_t n = json_array_size(task->signatures);
        int64_t newest = json_integer_value(json_object_get(answer, "newest"));
        enum hf_err err = n > 0 ? hf_fleet_write_wait(keeper->fleet, save_signatures, task, why)
                                : HF_OK;
        json_decref(answer);
        if (err == HF_OK && newest < task->last_signature)
            err = hf_fail(why, HF_E_ROLLBACK,
                          "the signer remembers %" PRId64 " signatures, and the log has %" PRId64
                          " of it: its state is an old copy or was lost; restore the newest one",
                          newest, task->last_signature);
        if (err != HF_OK || n == 0 || atomic_load(&keeper->is_ending))
            return err;
    }
}

/* ---- seals ----------------------------------------------------------------------------------- */

static enum hf_err read_entry(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_audit_entry *entry = data;
    struct task *task = ctx;
    json_t *json = NULL;
    if (entry->sequence == task->head.sequence) {
        task->is_head_ours = memcmp(entry->hash, task->head.hash, sizeof entry->hash) == 0;
        return HF_OK;
    }
    task->bytes += entry->text.len;
    task->are_more |= task->bytes > ENTRIES_BYTES_MAX ||
                      json_array_size(task->entries) == HF_SEAL_ENTRIES_MAX;
    if (task->are_more)
        return HF_OK;
    HF_TRY(hf_json_parse_object(entry->text, "an entry of the log", &json, why));
    task->entries = hf_json_append_take(task->entries, json);
    return task->entries != NULL ? HF_OK : hf_fail(why, HF_E_MEMORY, "no memory for the log");
}

/* What follows the signer's head, and the entry of the head itself. */
static enum hf_err read_entries(void *what, struct hf_tx *tx, struct hf_why *why)
{
    struct task *task = what;
    int64_t from = task->head.sequence > 0 ? task->head.sequence - 1 : 0;
    task->is_head_ours = task->head.sequence == 0;
    /* With the head before them, and one behind them that shows that there are more. */
    return hf_audit_log_list(tx->db, 0, from, HF_SEAL_ENTRIES_MAX + 2, read_entry, task, why);
}

/* ---- a log that was restarted ---------------------------------------------------------------- */

static enum hf_err look_for_restart(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_audit_entry *entry = data;
    struct task *task = ctx;
    json_t *json = NULL;
    HF_TRY(hf_json_parse_object(entry->text, "an entry of the log", &json, why));
    const char *action = json_string_value(json_object_get(json, "action"));
    task->is_restart_logged |= action != NULL && strcmp(action, HF_AUDIT_RESTART) == 0 &&
                               json_equal(json_object_get(json, "details"), task->restart) == 1;
    json_decref(json);
    return HF_OK;
}

static enum hf_err take_hash(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_audit_entry *entry = data;
    struct task *task = ctx;
    (void)why;
    task->head.sequence = entry->sequence;
    memcpy(task->head.hash, entry->hash, sizeof entry->hash);
    return HF_OK;
}

/* State the restart in the log, once, and find the newest seal in the log: from there the signer
 * reads on. */
static enum hf_err state_restart(void *what, struct hf_tx *tx, struct hf_why *why)
{
    struct task *task = what;
    struct hf_seal last = {0};
    task->is_restart_logged = false;
    task->head = (struct hf_audit_head){0};
    HF_TRY(hf_seal_last(tx->db, &last, why));
    HF_TRY(hf_audit_log_list(tx->db, 0, last.sequence, INT64_MAX, look_for_restart, task, why));
    if (!task->is_restart_logged)
        HF_TRY(hf_audit_append_take(tx, HF_AUDIT_RESTART, 0, json_incref(task->restart), why));
    task->seal = last;
    return last.sequence == 0
               ? HF_OK
               : hf_audit_log_list(tx->db, 0, last.sequence - 1, 1, take_hash, task, why);
}

static json_t *make_base(const struct task *task)
{
    if (task->head.sequence == 0)
        return json_pack("{s:i}", "sequence", 0);
    return json_pack("{s:I, s:o, s:o, s:o}", "sequence", (json_int_t)task->head.sequence, "hash",
                     hf_json_sha256(task->head.hash), "time", hf_json_time(task->seal.sealed_s),
                     "signature",
                     hf_json_base64(
                         (struct hf_bytes){task->seal.signature, sizeof task->seal.signature}));
}

static enum hf_err save_seal(void *what, struct hf_tx *tx, struct hf_why *why)
{
    return hf_seal_save(tx, &((struct task *)what)->seal, NULL, why);
}

static enum hf_err read_head(struct hf_log_keeper *keeper, struct task *task, struct hf_why *why)
{
    json_t *answer = NULL, *seal = NULL;
    const char *hash = NULL;
    HF_TRY(ask_take(keeper, json_pack("{s:s}", "verb", "status"), &answer, why));
    enum hf_err err = hf_json_get_object(answer, "seal", SIGNER, &seal, why);
    if (err == HF_OK)
        err = hf_json_get_integer(seal, "sequence", SIGNER, 0, &task->head.sequence, why);
    if (err == HF_OK)
        err = hf_json_get_text(seal, "hash", SIGNER, &hash, why);
    if (err == HF_OK && !hf_hex_decode(hash, task->head.hash, sizeof task->head.hash))
        err = hf_fail(why, HF_E_FORMAT, SIGNER ": the hash of the seal");
    if (err == HF_OK && task->head.sequence > 0)
        err = hf_json_get_time(seal, "time", SIGNER, &task->sealed_s, why);
    json_decref(task->restart);
    task->restart = json_incref(json_object_get(answer, "restart"));
    json_decref(answer);
    return err;
}

/* `base` is taken; NULL: the signer goes on from its last seal, or from what it read since. It
 * seals when there are no more; after a restart at the entry that states it, and not before. */
static enum hf_err seal_entries(struct hf_log_keeper *keeper, struct task *task, json_t *base,
                                struct hf_why *why)
{
    json_t *answer = NULL;
    json_t *request = json_pack("{s:s, s:O, s:b, s:o*}", "verb", "seal", "entries", task->entries,
                                "more", task->are_more, "base", base);
    HF_TRY(ask_take(keeper, request, &answer, why));
    const char *hash = NULL;
    bool has_seal = json_object_get(answer, "signature") != NULL;
    enum hf_err err = hf_json_get_integer(answer, "sequence", SIGNER, 1, &task->seal.sequence, why);
    if (err == HF_OK)
        err = hf_json_get_text(answer, "hash", SIGNER, &hash, why);
    if (err == HF_OK && !hf_hex_decode(hash, task->head.hash, sizeof task->head.hash))
        err = hf_fail(why, HF_E_FORMAT, SIGNER ": the hash of the log");
    if (err == HF_OK)
        task->head.sequence = task->seal.sequence;
    if (err == HF_OK && has_seal)
        err = hf_json_get_time(answer, "time", SIGNER, &task->seal.sealed_s, why);
    if (err == HF_OK && has_seal)
        err = hf_json_get_bytes(answer, "signature", SIGNER, task->seal.signature,
                                sizeof task->seal.signature, why);
    json_decref(answer);
    if (err != HF_OK || !has_seal)
        return err;
    task->sealed_s = task->seal.sealed_s;
    return hf_fleet_write_wait(keeper->fleet, save_seal, task, why);
}

/* Read what follows task->head, at most a message of it. */
static enum hf_err read_on(struct hf_log_keeper *keeper, struct task *task, struct hf_why *why)
{
    json_decref(task->entries);
    task->entries = json_array();
    task->bytes = 0;
    task->are_more = false;
    return hf_fleet_read_wait(keeper->fleet, read_entries, task, why);
}

/* The operator at the signer has let the log go on after a loss: the log says so, and is sealed
 * again. */
static enum hf_err settle(struct hf_log_keeper *keeper, struct task *task, struct hf_why *why)
{
    HF_TRY(hf_fleet_write_wait(keeper->fleet, state_restart, task, why));
    json_t *base = make_base(task);
    do {
        enum hf_err err = read_on(keeper, task, why);
        if (err == HF_OK)
            err = seal_entries(keeper, task, base, why);
        else
            json_decref(base);
        HF_TRY(err);
        base = NULL;
    } while (task->are_more && !atomic_load(&keeper->is_ending));
    hf_service_log(HF_LOG_WARNING,
                   "the audit log goes on without the entries that were lost: it states the gap");
    return HF_OK;
}

/* The head of the signer is in the log, or the log is behind: then nothing new is let in
 * (hf_fleet_set_behind). */
static enum hf_err compare(struct hf_log_keeper *keeper, struct task *task, struct hf_why *why)
{
    HF_TRY(read_head(keeper, task, why));
    if (task->restart != NULL) {
        HF_TRY(settle(keeper, task, why));
        HF_TRY(read_head(keeper, task, why));
    }
    HF_TRY(read_on(keeper, task, why));
    hf_fleet_set_behind(keeper->fleet, !task->is_head_ours);
    keeper->is_compared = true;
    if (task->is_head_ours)
        return HF_OK;
    keeper->sealed_s = 0; /* look again each time */
    return hf_fail(why, HF_E_ROLLBACK,
                   "the log differs from what the signer sealed at entry %" PRId64
                   ": the database is an old copy or was changed. Until that is settled no device "
                   "gets a certificate. Restore the newest backup with the newest copy of the log "
                   "(`holdfast-admin restore`); if entries stay lost, run `holdfast-signer log "
                   "restart`",
                   task->head.sequence);
}

/* One seal for all that there is. */
static enum hf_err seal_log(struct hf_log_keeper *keeper, struct task *task, struct hf_why *why)
{
    HF_TRY(compare(keeper, task, why));
    while (json_array_size(task->entries) > 0) {
        HF_TRY(seal_entries(keeper, task, NULL, why));
        if (!task->are_more)
            break;
        if (atomic_load(&keeper->is_ending))
            return HF_OK;
        HF_TRY(read_on(keeper, task, why));
    }
    keeper->sealed_s = task->sealed_s;
    return HF_OK;
}

/* ---- the thread ------------------------------------------------------------------------------ */

static void look(struct hf_log_keeper *keeper)
{
    struct task task = {0};
    struct hf_why why = {0};
    int64_t now_s = time(NULL);
    /* First of all: a log that is behind must not grow. */
    enum hf_err err = keeper->sealed_s == 0 ? compare(keeper, &task, &why) : HF_OK;
    if (!keeper->is_compared) /* without the signer it cannot be known */
        hf_fleet_set_behind(keeper->fleet, false);
    if (err == HF_OK)
        err = take_signatures(keeper, &task, &why);
    if (err == HF_OK && (now_s - keeper->sealed_s >= SEAL_EVERY_S || now_s < keeper->sealed_s))
        err = seal_log(keeper, &task, &why);
    json_decref(task.entries);
    json_decref(task.restart);
    if (atomic_load(&keeper->is_ending))
        return;
    /* A log that was changed or is an old copy is said again every hour, until it is mended. */
    bool is_grave = err == HF_E_ROLLBACK || err == HF_E_HASH || err == HF_E_SIGNATURE;
    if (err != HF_OK && (keeper->warned_s == 0 || now_s - keeper->warned_s >= SEAL_EVERY_S)) {
        hf_service_log(is_grave ? HF_LOG_ERROR : HF_LOG_WARNING,
                       "the audit log cannot be sealed: %s", why.text);
        keeper->warned_s = now_s;
    } else if (err == HF_OK && keeper->warned_s != 0) {
        hf_service_log(HF_LOG_INFO, "the audit log is sealed again");
        keeper->warned_s = 0;
    }
}

static void keep(void *arg)
{
    struct hf_log_keeper *keeper = arg;
    uv_mutex_lock(&keeper->mutex);
    while (!atomic_load(&keeper->is_ending)) {
        uv_mutex_unlock(&keeper->mutex);
        look(keeper);
        uv_mutex_lock(&keeper->mutex);
        if (!atomic_load(&keeper->is_ending))
            (void)uv_cond_timedwait(&keeper->ending, &keeper->mutex,
                                    LOOK_EVERY_S * UINT64_C(1000000000));
    }
    uv_mutex_unlock(&keeper->mutex);
}

enum hf_err hf_log_keeper_start(struct hf_fleet *fleet, const char *signer_socket,
                                struct hf_log_keeper **out, struct hf_why *why)
{
    struct hf_log_keeper *keeper = calloc(1, sizeof *keeper);
    if (keeper == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for the keeper of the log");
    keeper->fleet = fleet;
    keeper->socket = signer_socket;
    keeper->connection = -1;
    hf_fleet_set_behind(fleet, true); /* until the first look */
    if (uv_mutex_init(&keeper->mutex) != 0 || uv_cond_init(&keeper->ending) != 0 ||
        uv_thread_create(&keeper->thread, keep, keeper) != 0) {
        free(keeper);
        return hf_fail(why, HF_E_MEMORY, "a thread cannot be made");
    }
    *out = keeper;
    return HF_OK;
}

void hf_log_keeper_stop(struct hf_log_keeper *keeper)
{
    if (keeper == NULL)
        return;
    uv_mutex_lock(&keeper->mutex);
    atomic_store(&keeper->is_ending, true);
    uv_cond_signal(&keeper->ending);
    uv_mutex_unlock(&keeper->mutex);
    (void)uv_thread_join(&keeper->thread);
    if (keeper->connection >= 0)
        close(keeper->connection);
    uv_cond_destroy(&keeper->ending);
    uv_mutex_destroy(&keeper->mutex);
    free(keeper);
}
