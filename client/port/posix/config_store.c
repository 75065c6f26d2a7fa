#include "client/port/posix/config_store.h"

#include "client/port/posix/bundle_files.h"
#include "client/port/posix/system.h"
#include "client/port/posix/store_internal.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* The texts of the table config, and where hf_posix_config keeps them. A new one is a row here, a
 * migration, a member of hf_posix_config and a row in client/agent/cmd_config.c. */
static const struct column {
    const char *name;
    size_t at;
} columns[] = {
    {"set_name", offsetof(struct hf_posix_config, client.set)},
    {"profile", offsetof(struct hf_posix_config, client.profile)},
    {"device_id", offsetof(struct hf_posix_config, device_id)},
    {"device_id_file", offsetof(struct hf_posix_config, device_id_file)},
    {"server_ca", offsetof(struct hf_posix_config, server_ca)},
    {"export_file", offsetof(struct hf_posix_config, export_file)},
    {"on_swap", offsetof(struct hf_posix_config, on_swap)},
    {"client_cert_file", offsetof(struct hf_posix_config, client_cert_file)},
    {"client_key_file", offsetof(struct hf_posix_config, client_key_file)},
};
#define N_COLUMNS (sizeof columns / sizeof columns[0])
enum { COLUMN_SET, COLUMN_PROFILE }; /* rows of the above */
static_assert(N_COLUMNS <= HF_CONFIG_TEXTS_MAX, "each text needs a place in hf_stored_config");

static const char *text_of(const struct hf_posix_config *config, const struct column *column)
{
    const char *text;

    memcpy(&text, (const char *)config + column->at, sizeof text);
    return text;
}

/* ---- comparing --------------------------------------------------------------------------------- */

static bool has_same_redirect_hosts(const struct hf_posix_config *a,
                                    const struct hf_posix_config *b)
{
    if (a->n_redirect_hosts != b->n_redirect_hosts)
        return false;
    for (size_t i = 0; i < a->n_redirect_hosts; i++) {
        if (strcmp(a->redirect_hosts[i], b->redirect_hosts[i]) != 0)
            return false;
    }
    return true;
}

bool hf_config_is_same(const struct hf_posix_config *a, const struct hf_posix_config *b)
{
    for (size_t i = 0; i < N_COLUMNS; i++) {
        if (!hf_text_is_same(text_of(a, &columns[i]), text_of(b, &columns[i])))
            return false;
    }
    return a->client.awaits_confirm == b->client.awaits_confirm &&
           a->has_legacy_ciphers == b->has_legacy_ciphers &&
           hf_config_has_same_urls(&a->client, &b->client) && has_same_redirect_hosts(a, b) &&
           hf_config_has_same_endpoints(a, b);
}

/* ---- saving ------------------------------------------------------------------------------------ */

static const char saving[] = "save the configuration";

static enum hf_err update_texts(struct hf_sqlite_store *store, const struct hf_posix_config *config,
                                struct hf_why *why)
{
    sqlite3_stmt *stmt = NULL;
    struct hf_buf sql = {0};

    enum hf_err err =
        hf_buf_append_text(&sql, "UPDATE config SET awaits_confirm = ?1, has_legacy_ciphers = ?2");
    for (size_t i = 0; i < N_COLUMNS && err == HF_OK; i++)
        err = hf_buf_printf(&sql, ", %s = ?%zu", columns[i].name, i + 3);
    err = err == HF_OK ? hf_db_prepare(store->db, (const char *)sql.data, saving, &stmt, why)
                       : hf_fail(why, err, "out of memory saving the configuration");
    hf_buf_free(&sql);
    HF_TRY(err);
    (void)sqlite3_bind_int(stmt, 1, config->client.awaits_confirm);
    (void)sqlite3_bind_int(stmt, 2, config->has_legacy_ciphers);
    for (size_t i = 0; i < N_COLUMNS; i++)
        hf_db_bind_text(stmt, (int)i + 3, text_of(config, &columns[i]));
    return hf_db_finish(store->db, stmt, saving, why);
}

static enum hf_err insert_mirrors(struct hf_sqlite_store *store,
                                  const struct hf_client_config *config, struct hf_why *why)
{
    for (size_t i = 0; i < config->n_urls; i++) {
        sqlite3_stmt *stmt = NULL;
        HF_TRY(hf_db_prepare(store->db, "INSERT INTO mirror (position, url) VALUES (?1, ?2)",
                             saving, &stmt, why));
        (void)sqlite3_bind_int64(stmt, 1, (sqlite3_int64)i);
        hf_db_bind_text(stmt, 2, config->urls[i]);
        HF_TRY(hf_db_finish(store->db, stmt, saving, why));
    }
    return HF_OK;
}

static enum hf_err insert_redirect_hosts(struct hf_sqlite_store *store,
                                         const struct hf_posix_config *config, struct hf_why *why)
{
    for (size_t i = 0; i < config->n_redirect_hosts; i++) {
        sqlite3_stmt *stmt = NULL;
        HF_TRY(hf_db_prepare(store->db,
                             "INSERT INTO redirect_host (position, host) VALUES (?1, ?2)", saving,
                             &stmt, why));
        (void)sqlite3_bind_int64(stmt, 1, (sqlite3_int64)i);
        hf_db_bind_text(stmt, 2, config->redirect_hosts[i]);
        HF_TRY(hf_db_finish(store->db, stmt, saving, why));
    }
    return HF_OK;
}

static const char saving_endpoints[] = "save the endpoints";

static enum hf_err insert_endpoint(struct hf_sqlite_store *store, size_t position,
                                   const struct hf_posix_endpoint *endpoint, struct hf_why *why)
{
    char name[HF_ENDPOINT_URL_TEXT];
    sqlite3_stmt *stmt = NULL;

    HF_TRY(hf_config_check_endpoint(endpoint, name, why));
    HF_TRY(hf_db_prepare(store->db,
                         "INSERT INTO endpoint (position, url, alpn) VALUES (?1, ?2, ?3)",
                         saving_endpoints, &stmt, why));
    (void)sqlite3_bind_int64(stmt, 1, (sqlite3_int64)position);
    hf_db_bind_text(stmt, 2, name);
    hf_db_bind_text(stmt, 3, endpoint->alpn);
    return hf_db_finish(store->db, stmt, saving_endpoints, why);
}

static enum hf_err replace_endpoints(struct hf_sqlite_store *store,
                                     const struct hf_posix_config *config, struct hf_why *why)
{
    HF_TRY(hf_db_exec(store->db, "DELETE FROM endpoint", saving_endpoints, why));
    for (size_t i = 0; i < config->n_endpoints; i++)
        HF_TRY(insert_endpoint(store, i, &config->endpoints[i], why));
    return HF_OK;
}

static enum hf_err replace_all(struct hf_sqlite_store *store, const struct hf_posix_config *config,
                               struct hf_why *why)
{
    HF_TRY(update_texts(store, config, why));
    HF_TRY(hf_db_exec(store->db, "DELETE FROM mirror", saving, why));
    HF_TRY(insert_mirrors(store, &config->client, why));
    HF_TRY(hf_db_exec(store->db, "DELETE FROM redirect_host", saving, why));
    HF_TRY(insert_redirect_hosts(store, config, why));
    return replace_endpoints(store, config, why);
}

static enum hf_err insert_all(struct hf_sqlite_store *store, const struct hf_posix_config *config,
                              struct hf_why *why)
{
    int64_t n = 0;

    HF_TRY(hf_db_query_int64(store->db, "SELECT count(*) FROM config", saving, &n, why));
    if (n != 0)
        return hf_fail(why, HF_E_STATE, "%s has a configuration already", store->state_dir);
    HF_TRY(hf_db_exec(store->db,
                      "INSERT INTO config (id, set_name, profile) VALUES (1, 'none', 'none')",
                      saving, why));
    return replace_all(store, config, why);
}

enum hf_err hf_config_save(struct hf_sqlite_store *store, const struct hf_posix_config *config,
                           struct hf_why *why)
{
    HF_TRY(hf_store_write_begin(store, why));
    return hf_store_write_end(store, insert_all(store, config, why), why);
}

enum hf_err hf_config_replace(struct hf_sqlite_store *store, const struct hf_posix_config *config,
                              struct hf_why *why)
{
    HF_TRY(hf_store_write_begin(store, why));
    return hf_store_write_end(store, replace_all(store, config, why), why);
}

/* ---- loading ----------------------------------------------------------------------------------- */

static const char loading[] = "load the configuration";

/* SQL's NULL is NULL. */
static enum hf_err copy_text(const char *text, char **out, struct hf_why *why)
{
    if (text == NULL)
        return HF_OK;
    *out = strdup(text);
    return *out != NULL ? HF_OK
                        : hf_fail(why, HF_E_MEMORY, "out of memory loading the configuration");
}

static enum hf_err take_text(struct hf_stored_config *out, size_t column, const char *text,
                             struct hf_why *why)
{
    HF_TRY(copy_text(text, &out->texts[column], why));
    memcpy((char *)&out->view + columns[column].at, &out->texts[column], sizeof(char *));
    return HF_OK;
}

static enum hf_err prepare_row(struct hf_sqlite_store *store, sqlite3_stmt **out,
                               struct hf_why *why)
{
    struct hf_buf sql = {0};

    enum hf_err err = hf_buf_append_text(&sql, "SELECT awaits_confirm, has_legacy_ciphers");
    for (size_t i = 0; i < N_COLUMNS && err == HF_OK; i++)
        err = hf_buf_printf(&sql, ", %s", columns[i].name);
    if (err == HF_OK)
        err = hf_buf_append_text(&sql, " FROM config");
    err = err == HF_OK ? hf_db_prepare(store->db, (const char *)sql.data, loading, out, why)
                       : hf_fail(why, err, "out of memory loading the configuration");
    hf_buf_free(&sql);
    return err;
}

static enum hf_err copy_row(sqlite3_stmt *stmt, struct hf_stored_config *out, struct hf_why *why)
{
    out->view.client.awaits_confirm = sqlite3_column_int(stmt, 0) != 0;
    out->view.has_legacy_ciphers = sqlite3_column_int(stmt, 1) != 0;
    for (size_t i = 0; i < N_COLUMNS; i++)
        HF_TRY(take_text(out, i, (const char *)sqlite3_column_text(stmt, (int)i + 2), why));
    return HF_OK;
}

static enum hf_err load_row(struct hf_sqlite_store *store, struct hf_stored_config *out,
                            struct hf_why *why)
{
    sqlite3_stmt *stmt = NULL;
    enum hf_err err = HF_OK;

    HF_TRY(prepare_row(store, &stmt, why));
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        err = copy_row(stmt, out, why);
    else if (rc == SQLITE_DONE)
        err = hf_fail(why, HF_E_NOT_FOUND, "%s is not initialised: run holdfast init first",
                      store->state_dir);
    else
        err = hf_db_fail(store->db, loading, why);
    sqlite3_finalize(stmt);
    return err;
}

/* The texts of a query of one column, at most `max` of them. */
static enum hf_err load_list(struct hf_sqlite_store *store, const char *query, char **out,
                             size_t max, size_t *n_out, struct hf_why *why)
{
    sqlite3_stmt *stmt = NULL;
    enum hf_err err = HF_OK;
    size_t n = 0;
    int rc = SQLITE_DONE;

    HF_TRY(hf_db_prepare(store->db, query, loading, &stmt, why));
    while (err == HF_OK && n < max && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
        err = copy_text((const char *)sqlite3_column_text(stmt, 0), &out[n++], why);
    if (err == HF_OK && rc != SQLITE_DONE && rc != SQLITE_ROW)
        err = hf_db_fail(store->db, loading, why);
    *n_out = n;
    sqlite3_finalize(stmt);
    return err;
}

static const char loading_endpoints[] = "load the endpoints";

static enum hf_err copy_column(sqlite3_stmt *stmt, int column, const char **out, struct hf_why *why)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);

    if (text == NULL)
        return HF_OK;
    *out = strdup(text);
    return *out != NULL ? HF_OK : hf_fail(why, HF_E_MEMORY, "out of memory loading the endpoints");
}

static enum hf_err load_endpoints(struct hf_sqlite_store *store, struct hf_stored_config *out,
                                  struct hf_why *why)
{
    sqlite3_stmt *stmt = NULL;
    enum hf_err err = HF_OK;
    size_t n = 0;
    int rc = SQLITE_DONE;

    HF_TRY(hf_db_prepare(store->db, "SELECT url, alpn FROM endpoint ORDER BY position",
                         loading_endpoints, &stmt, why));
    while (err == HF_OK && n < HF_ENDPOINTS_MAX && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        err = copy_column(stmt, 0, &out->endpoints[n].url, why);
        if (err == HF_OK)
            err = copy_column(stmt, 1, &out->endpoints[n].alpn, why);
        n++;
    }
    if (err == HF_OK && rc != SQLITE_DONE && rc != SQLITE_ROW)
        err = hf_db_fail(store->db, loading_endpoints, why);
    out->view.n_endpoints = n;
    sqlite3_finalize(stmt);
    return err;
}

static void free_endpoints(struct hf_stored_config *config)
{
    for (size_t i = 0; i < HF_ENDPOINTS_MAX; i++) {
        free((void *)(uintptr_t)config->endpoints[i].url);
        free((void *)(uintptr_t)config->endpoints[i].alpn);
    }
}

/* All that a device without its database knows about itself. */
static enum hf_err load_from_files(struct hf_sqlite_store *store, struct hf_stored_config *out,
                                   struct hf_why *why)
{
    struct hf_bundle_record active = {0};

    if (hf_bundle_files_load(store->state_dir, HF_SLOT_ACTIVE, &active, NULL) != HF_OK)
        return hf_store_check_readable(store, why);
    enum hf_err err = take_text(out, COLUMN_SET, active.set, why);
    if (err == HF_OK)
        err = take_text(out, COLUMN_PROFILE, active.profile, why);
    hf_bundle_record_free(&active);
    return err;
}

static enum hf_err load_texts(struct hf_sqlite_store *store, struct hf_stored_config *out,
                              struct hf_why *why)
{
    if (store->db == NULL)
        return load_from_files(store, out, why);
    HF_TRY(load_row(store, out, why));
    HF_TRY(load_list(store, "SELECT url FROM mirror ORDER BY position", out->urls, HF_MIRRORS_MAX,
                     &out->view.client.n_urls, why));
    HF_TRY(load_list(store, "SELECT host FROM redirect_host ORDER BY position", out->redirect_hosts,
                     HF_REDIRECT_HOSTS_MAX, &out->view.n_redirect_hosts, why));
    return load_endpoints(store, out, why);
}

enum hf_err hf_config_load(struct hf_sqlite_store *store, struct hf_stored_config *out,
                           struct hf_why *why)
{
    enum hf_err err = load_texts(store, out, why);
    if (err != HF_OK) {
        hf_stored_config_free(out);
        return err;
    }
    hf_stored_config_settle(out);
    return HF_OK;
}

void hf_stored_config_settle(struct hf_stored_config *config)
{
    config->view.client.urls = (const char *const *)config->urls;
    config->view.redirect_hosts = (const char *const *)config->redirect_hosts;
    config->view.endpoints = config->endpoints;
}

void hf_stored_config_free(struct hf_stored_config *config)
{
    for (size_t i = 0; i < HF_MIRRORS_MAX; i++)
        free(config->urls[i]);
    for (size_t i = 0; i < HF_CONFIG_TEXTS_MAX; i++)
        free(config->texts[i]);
    for (size_t i = 0; i < HF_REDIRECT_HOSTS_MAX; i++)
        free(config->redirect_hosts[i]);
    free_endpoints(config);
    *config = (struct hf_stored_config){0};
}
