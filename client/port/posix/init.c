/*
 * Making a STATE. All of it is made in STATE/.init, and the rename of the finished database into
 * STATE is the one step that makes the device an initialised one. The bundle files are made from
 * the database at the first open, which also tries whether it can be written where it is.
 */
#include "client/port/posix/owner.h"
#include "client/port/posix/posix_internal.h"

#include "common/bundle/bundle.h"
#include "common/json/json.h"
#include "common/os/file_util.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum hf_err check_new(const char *state, struct hf_why *why)
{
    struct hf_path path;

    HF_TRY(hf_path_set(&path, why, "%s/holdfast.db", state));
    if (hf_file_exists(path.text))
        return hf_fail(why, HF_E_STATE,
                       "%s is initialised already; to start again, move it away first", state);
    HF_TRY(hf_path_set(&path, why, "%s/holdfast.db.backup", state));
    if (hf_file_exists(path.text))
        return hf_fail(why, HF_E_STATE,
                       "%s holds a copy of the database, which holdfast update puts in its place; "
                       "to start again, move %s away first",
                       state, state);
    HF_TRY(hf_path_set(&path, why, "%s/bundles", state));
    if (hf_file_exists(path.text))
        return hf_fail(
            why, HF_E_STATE,
            "%s holds bundles but no database: it was in use before; to start again, move "
            "it away first",
            state);
    return HF_OK;
}

/* Which certificates of the update server's CA are not supported here. The others were checked. */
static enum hf_err journal_skipped(struct hf_posix *posix, const char *server_ca,
                                   struct hf_why *why)
{
    struct hf_bundle bundle = {0};
    struct hf_why line = {0};
    char skipped[HF_WHY_MAX];

    if (server_ca == NULL)
        return HF_OK;
    HF_TRY(hf_bundle_parse(hf_bytes_of_text(server_ca), NULL, &bundle, why));
    hf_bundle_skipped_text(&bundle, skipped);
    hf_bundle_free(&bundle);
    if (skipped[0] == '\0')
        return HF_OK;
    (void)hf_fail(&line, HF_OK, "the update server's CA: %.600s", skipped);
    hf_posix_journal(posix, HF_LEVEL_WARNING, "skipped", line.text);
    return HF_OK;
}

/* A finished database in STATE/.init. */
static enum hf_err make_database(const char *making, const struct hf_posix_config *config,
                                 struct hf_bytes root_metadata, struct hf_bytes factory_pem,
                                 struct hf_log_port log, struct hf_why *why)
{
    struct hf_posix posix = {.log = log};
    bool was_made = false;

    hf_file_remove_tree(making); /* of an init that a power cut ended */
    HF_TRY(hf_file_make_dir(making, &was_made, why));
    HF_TRY(hf_sqlite_store_open(making, true, &posix.store, why));
    enum hf_err err = hf_config_save(posix.store, config, why);
    if (err == HF_OK)
        err = hf_trust_store_new(&posix.trust_store, why);
    if (err == HF_OK) {
        struct hf_ports ports = hf_posix_ports(&posix);
        err = hf_client_provision(&ports, &config->client, root_metadata, factory_pem, why);
    }
    if (err == HF_OK)
        err = journal_skipped(&posix, config->server_ca, why);
    /* So that it may be renamed without its log. */
    if (err == HF_OK)
        err = hf_db_fold(posix.store->db, why);
    hf_trust_store_free(posix.trust_store);
    hf_sqlite_store_close(posix.store);
    return err;
}

/* Make the bundle files and the copy before the first update. A file system that cannot hold the
 * database is noticed here, and not at the first update. */
static enum hf_err open_once(const char *state, struct hf_log_port log, struct hf_why *why)
{
    struct hf_sqlite_store *store = NULL;
    struct hf_why reason = {0};
    int lock = -1;

    HF_TRY(hf_sqlite_store_open(state, false, &store, why));
    enum hf_err err = hf_sqlite_store_try(store, why);
    if (err == HF_OK) {
        /* So that a damaged database can be replaced from the start. If this fails, an update does
         * it. */
        enum hf_err copied = hf_lock_take(state, 0, &lock, &reason);
        if (copied == HF_OK)
            copied = hf_sqlite_store_sync(store, &reason);
        hf_file_unlock(lock);
        if (copied != HF_OK && log.write != NULL)
            log.write(log.ctx, HF_LEVEL_WARNING, reason.text);
    }
    hf_sqlite_store_close(store);
    return err;
}

static void remove_made(const char *state)
{
    static const char *const names[] = {"holdfast.db",        "holdfast.db-wal",
                                        "holdfast.db-shm",    "holdfast.db-journal",
                                        "holdfast.db.backup", "bundles"};
    struct hf_path path;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (hf_path_set(&path, NULL, "%s/%s", state, names[i]) == HF_OK)
            hf_file_remove_tree(path.text);
    }
}

static enum hf_err init_absolute(const char *state, const struct hf_posix_config *config,
                                 struct hf_bytes root_metadata, struct hf_bytes factory_pem,
                                 struct hf_log_port log, struct hf_why *why)
{
    struct hf_path lock_file, making, made, database;
    bool was_made = false, is_initialised = false;
    int lock = -1;

    HF_TRY(hf_path_set(&lock_file, why, "%s/lock", state));
    HF_TRY(hf_path_set(&making, why, "%s/.init", state));
    HF_TRY(hf_path_set(&made, why, "%s/holdfast.db", making.text));
    HF_TRY(hf_path_set(&database, why, "%s/holdfast.db", state));
    HF_TRY(hf_file_make_dir(state, &was_made, why));
    bool had_lock = hf_file_exists(lock_file.text);
    enum hf_err err = was_made ? hf_file_sync_parent(state, why) : HF_OK;
    if (err == HF_OK)
        err = hf_lock_take(state, 0, &lock, why);
    if (err == HF_OK)
        err = check_new(state, why);
    if (err == HF_OK) {
        err = make_database(making.text, config, root_metadata, factory_pem, log, why);
        if (err == HF_OK)
            err = hf_file_rename(made.text, database.text, why);
        is_initialised = err == HF_OK;
        hf_file_remove_tree(making.text);
    }
    hf_file_unlock(lock);
    if (is_initialised)
        err = open_once(state, log, why);
    if (err == HF_OK)
        return HF_OK;
    if (is_initialised)
        remove_made(state);
    if (!had_lock)
        (void)unlink(lock_file.text);
    if (was_made)
        (void)rmdir(state);
    return err;
}

enum hf_err hf_posix_init(const char *state_dir, const struct hf_posix_config *config,
                          struct hf_bytes root_metadata, struct hf_bytes factory_pem,
                          struct hf_log_port log, struct hf_why *why)
{
    char *state = NULL;

    if (sodium_init() < 0)
        return hf_fail(why, HF_E_STATE, "the cryptographic library cannot be initialised");
    hf_json_seed(randombytes_random());
    HF_TRY(hf_config_check(config, NULL, NULL, why));
    if (hf_file_absolute(state_dir, &state, why) != HF_OK)
        return hf_fail_context(why, "the state folder");
    /* Everything that init, or a later update, writes to or runs. */
    enum hf_err err = hf_owner_check_state(state, why);
    if (err == HF_OK && config->export_file != NULL)
        err = hf_owner_check_output(config->export_file, why);
    if (err == HF_OK && config->on_swap != NULL)
        err = hf_owner_check_command(config->on_swap, why);
    if (err == HF_OK)
        err = init_absolute(state, config, root_metadata, factory_pem, log, why);
    free(state);
    return err;
}
