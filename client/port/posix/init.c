/*
 * Making a STATE. All of it is made in STATE/.init, and the rename of the finished database into
 * STATE is the one step that makes the device an initialised one. The bundle files are made from
 * the database at the first open, which also tries whether it can be written where it is.
 */
#include "common/os/file_util.h"
#include "client/port/posix/system.h"
#include "client/port/posix/owner.h"
#include "client/port/posix/posix_internal.h"
#include "common/bundle/bundle.h"
#include "common/json/json.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What is given once and handed from step to step. */
struct provision {
    const struct hf_posix_config *config;
    struct hf_bytes root_metadata;
    struct hf_bytes factory_pem;
    struct hf_log_port log;
};

struct paths {
    char *state;    /* absolute */
    char *database; /* STATE/holdfast.db */
    char *copy;     /* STATE/holdfast.db.backup */
    char *bundles;  /* STATE/bundles */
    char *lock;     /* STATE/lock */
    char *making;   /* STATE/.init */
    char *made;     /* STATE/.init/holdfast.db */
};

static enum hf_err paths_make(const char *state_dir, struct paths *p, struct hf_why *why)
{
    if (hf_file_absolute(state_dir, &p->state, why) != HF_OK)
        return hf_fail_context(why, "the state folder");
    HF_TRY(hf_file_join(p->state, "holdfast.db", &p->database, why));
    HF_TRY(hf_file_join(p->state, "holdfast.db.backup", &p->copy, why));
    HF_TRY(hf_file_join(p->state, "bundles", &p->bundles, why));
    HF_TRY(hf_file_join(p->state, "lock", &p->lock, why));
    HF_TRY(hf_file_join(p->state, ".init", &p->making, why));
    return hf_file_join(p->making, "holdfast.db", &p->made, why);
}

static void paths_free(struct paths *p)
{
    free(p->state);
    free(p->database);
    free(p->copy);
    free(p->bundles);
    free(p->lock);
    free(p->making);
    free(p->made);
}

static enum hf_err check_new(const struct paths *p, struct hf_why *why)
{
    if (hf_file_exists(p->database))
        return hf_fail(why, HF_E_STATE,
                       "%s is initialised already; to start again, move it away first", p->state);
    if (hf_file_exists(p->copy))
        return hf_fail(why, HF_E_STATE,
                       "%s holds a copy of the database, which holdfast update puts in its place; "
                       "to start again, move %s away first",
                       p->state, p->state);
    if (hf_file_exists(p->bundles))
        return hf_fail(
            why, HF_E_STATE,
            "%s holds bundles but no database: it was in use before; to start again, move "
            "it away first",
            p->state);
    return HF_OK;
}

/* Which certificates of the update server's CA are not supported here. The others were checked. */
static enum hf_err journal_skipped(const struct hf_ports *ports, const char *server_ca,
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
    if (ports->log.write != NULL)
        ports->log.write(ports->log.ctx, HF_LEVEL_WARNING, line.text);
    const struct hf_event event = {ports->clock.now_s(ports->clock.ctx), HF_LEVEL_WARNING,
                                   "skipped", line.text};
    return ports->store.append_event(ports->store.ctx, &event, why);
}

static enum hf_err fill_store(struct hf_posix *posix, const struct provision *given,
                              struct hf_why *why)
{
    HF_TRY(hf_config_save(posix->store, given->config, why));
    HF_TRY(hf_trust_store_new(&posix->trust_store, why));
    struct hf_ports ports = hf_posix_ports(posix);
    HF_TRY(hf_client_provision(&ports, &given->config->client, given->root_metadata,
                               given->factory_pem, why));
    return journal_skipped(&ports, given->config->server_ca, why);
}

static enum hf_err make_database(const struct paths *p, const struct provision *given,
                                 struct hf_why *why)
{
    struct hf_posix posix = {.log = given->log};
    bool was_made = false;

    /* Of an init that a power cut ended. */
    hf_file_remove_tree(p->making);
    HF_TRY(hf_file_make_dir(p->making, &was_made, why));
    HF_TRY(hf_sqlite_store_open(p->making, true, &posix.store, why));
    enum hf_err err = fill_store(&posix, given, why);
    if (err == HF_OK)
        err = hf_sqlite_store_fold(posix.store, why);
    hf_trust_store_free(posix.trust_store);
    hf_sqlite_store_close(posix.store);
    return err;
}

static enum hf_err init_locked(const struct paths *p, const struct provision *given,
                               struct hf_why *why)
{
    HF_TRY(check_new(p, why));
    enum hf_err err = make_database(p, given, why);
    if (err == HF_OK)
        err = hf_file_rename(p->made, p->database, why);
    hf_file_remove_tree(p->making);
    return err;
}

/* So that a damaged database can be replaced from the start. Where it fails, an update does it. */
static void copy_database(struct hf_sqlite_store *store, const char *state_dir,
                          struct hf_log_port log)
{
    struct hf_why why = {0};
    int lock = -1;

    enum hf_err err = hf_lock_take(state_dir, 0, &lock, &why);
    if (err == HF_OK)
        err = hf_sqlite_store_sync(store, &why);
    hf_lock_release(lock);
    if (err != HF_OK && log.write != NULL)
        log.write(log.ctx, HF_LEVEL_WARNING, why.text);
}

/* Make the bundle files and the copy before the first update. A file system
 * that cannot hold the database shows here, and not at the first update. */
static enum hf_err open_once(const char *state_dir, struct hf_log_port log, struct hf_why *why)
{
    struct hf_sqlite_store *store = NULL;

    HF_TRY(hf_sqlite_store_open(state_dir, false, &store, why));
    enum hf_err err = hf_sqlite_store_try(store, why);
    if (err == HF_OK)
        copy_database(store, state_dir, log);
    hf_sqlite_store_close(store);
    return err;
}

static void remove_made(const struct paths *p)
{
    static const char *const names[] = {"holdfast.db",        "holdfast.db-wal",
                                        "holdfast.db-shm",    "holdfast.db-journal",
                                        "holdfast.db.backup", "bundles"};
    char *path = NULL;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (hf_file_join(p->state, names[i], &path, NULL) == HF_OK)
            hf_file_remove_tree(path);
        free(path);
        path = NULL;
    }
}

/* Everything that init, or a later update, writes to or runs. */
static enum hf_err check_owners(const struct paths *p, const struct hf_posix_config *config,
                                struct hf_why *why)
{
    HF_TRY(hf_owner_check_state(p->state, why));
    if (config->export_file != NULL)
        HF_TRY(hf_owner_check_path(config->export_file, why));
    return config->on_swap != NULL ? hf_owner_check_command(config->on_swap, why) : HF_OK;
}

static enum hf_err init_in(const struct paths *p, const struct provision *given, struct hf_why *why)
{
    bool was_made = false;
    int lock = -1;

    HF_TRY(hf_file_make_dir(p->state, &was_made, why));
    bool had_lock = hf_file_exists(p->lock);
    enum hf_err err = was_made ? hf_file_sync_parent(p->state, why) : HF_OK;
    if (err == HF_OK)
        err = hf_lock_take(p->state, 0, &lock, why);
    if (err == HF_OK)
        err = init_locked(p, given, why);
    bool is_made = err == HF_OK;
    hf_lock_release(lock);
    if (is_made)
        err = open_once(p->state, given->log, why);
    if (err == HF_OK)
        return HF_OK;
    if (is_made)
        remove_made(p);
    if (!had_lock)
        (void)unlink(p->lock);
    if (was_made)
        (void)rmdir(p->state);
    return err;
}

enum hf_err hf_posix_init(const char *state_dir, const struct hf_posix_config *config,
                          struct hf_bytes root_metadata, struct hf_bytes factory_pem,
                          struct hf_log_port log, struct hf_why *why)
{
    struct provision given = {config, root_metadata, factory_pem, log};
    struct paths paths = {0};

    if (sodium_init() < 0)
        return hf_fail(why, HF_E_STATE, "the cryptographic library cannot be initialised");
    hf_json_seed(randombytes_random());
    HF_TRY(hf_config_check(config, NULL, why));
    enum hf_err err = paths_make(state_dir, &paths, why);
    if (err == HF_OK)
        err = check_owners(&paths, config, why);
    if (err == HF_OK)
        err = init_in(&paths, &given, why);
    paths_free(&paths);
    return err;
}
