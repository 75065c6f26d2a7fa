#include "client/port/posix/config_store.h"

#include "client/port/posix/bundle_files.h"
#include "client/port/posix/config_endpoints.h"
#include "client/port/posix/device_id.h"
#include "client/port/posix/store_internal.h"
#include "client/port/posix/url.h"
#include "common/bundle/bundle.h"
#include "common/bundle/description.h"
#include "common/bundle/policy.h"

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

bool hf_text_is_same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool has_same_urls(const struct hf_client_config *a, const struct hf_client_config *b)
{
    if (a->n_urls != b->n_urls)
        return false;
    for (size_t i = 0; i < a->n_urls; i++) {
        if (strcmp(a->urls[i], b->urls[i]) != 0)
            return false;
    }
    return true;
}

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
           has_same_urls(&a->client, &b->client) && has_same_redirect_hosts(a, b) &&
           hf_config_has_same_endpoints(a, b);
}

/* ---- checking ---------------------------------------------------------------------------------- */

static enum hf_err check_urls(const struct hf_client_config *config, struct hf_why *why)
{
    if (config->n_urls < 1 || config->n_urls > HF_MIRRORS_MAX)
        return hf_fail(why, HF_E_ARGUMENT,
                       "1 to %d addresses of the repository are expected, found %zu",
                       HF_MIRRORS_MAX, config->n_urls);
    for (size_t i = 0; i < config->n_urls; i++) {
        struct hf_url url;
        struct hf_why reason = {0};
        if (hf_url_parse(config->urls[i], &url, &reason) != HF_OK)
            return hf_fail(why, HF_E_ARGUMENT, "the repository's address is not usable: %s",
                           reason.text);
    }
    return HF_OK;
}

static enum hf_err check_redirect_hosts(const struct hf_posix_config *config, struct hf_why *why)
{
    struct hf_endpoint host;
    struct hf_why reason = {0};

    if (config->n_redirect_hosts > HF_REDIRECT_HOSTS_MAX)
        return hf_fail(why, HF_E_ARGUMENT, "expected at most %d redirect hosts, found %zu",
                       HF_REDIRECT_HOSTS_MAX, config->n_redirect_hosts);
    for (size_t i = 0; i < config->n_redirect_hosts; i++) {
        if (hf_endpoint_parse(hf_bytes_of_text(config->redirect_hosts[i]), 0, &host, &reason) !=
            HF_OK)
            return hf_fail(why, HF_E_ARGUMENT,
                           "redirect host \"%.200s\": expected HOST or HOST:PORT: %s",
                           config->redirect_hosts[i], reason.text);
    }
    return HF_OK;
}

static enum hf_err check_name(const char *what, const char *name, struct hf_why *why)
{
    if (name != NULL && hf_set_name_is_valid(name))
        return HF_OK;
    return hf_fail(why, HF_E_ARGUMENT,
                   "'%.80s' cannot be a %s: 1 to %d of a-z, 0-9, '.', '_' and '-' are expected, "
                   "the first a letter or digit",
                   name == NULL ? "" : name, what, HF_SET_NAME_MAX);
}

static enum hf_err check_server_ca(const char *pem, struct hf_why *why)
{
    struct hf_bundle bundle = {0};
    struct hf_why reason = {0};

    if (pem == NULL)
        return HF_OK;
    enum hf_err err = hf_bundle_parse(hf_bytes_of_text(pem), NULL, &bundle, &reason);
    if (err == HF_OK)
        err = hf_policy_check_issuers(&bundle, &reason);
    hf_bundle_free(&bundle);
    return err == HF_OK
               ? HF_OK
               : hf_fail(why, HF_E_FORMAT, "the server's CA is not usable: %s", reason.text);
}

static enum hf_err check_device_id(const struct hf_posix_config *config, struct hf_why *why)
{
    if (config->device_id != NULL && config->device_id_file != NULL)
        return hf_fail(why, HF_E_ARGUMENT,
                       "a device id and a file to read it from are given: "
                       "only one of them can say who this device is");
    if (config->device_id != NULL)
        return hf_device_id_check(config->device_id, why);
    return HF_OK;
}

static enum hf_err check_path(const char *what, const char *path, struct hf_why *why)
{
    if (path == NULL || path[0] == '/')
        return HF_OK;
    return hf_fail(why, HF_E_ARGUMENT,
                   "%s '%.200s' must begin with '/', so that it means the same in every folder",
                   what, path);
}

enum hf_err hf_config_check(const struct hf_posix_config *config,
                            const struct hf_posix_config *before, struct hf_why *why)
{
    static const struct hf_posix_config nothing = {0};
    const struct hf_posix_config *old = before != NULL ? before : &nothing;

    if (before == NULL || !has_same_urls(&config->client, &old->client))
        HF_TRY(check_urls(&config->client, why));
    HF_TRY(check_redirect_hosts(config, why));
    HF_TRY(check_name("set", config->client.set, why));
    HF_TRY(check_name("profile", config->client.profile, why));
    if (!hf_text_is_same(config->server_ca, old->server_ca))
        HF_TRY(check_server_ca(config->server_ca, why));
    HF_TRY(check_device_id(config, why));
    HF_TRY(check_path("the device id's file", config->device_id_file, why));
    if (!hf_config_has_same_endpoints(config, old))
        HF_TRY(hf_config_check_endpoints(config, why));
    if (!hf_text_is_same(config->client_cert_file, old->client_cert_file) ||
        !hf_text_is_same(config->client_key_file, old->client_key_file))
        HF_TRY(hf_config_check_client_auth(config, why));
    return check_path("the export file", config->export_file, why);
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

static enum hf_err replace_all(struct hf_sqlite_store *store, const struct hf_posix_config *config,
                               struct hf_why *why)
{
    HF_TRY(update_texts(store, config, why));
    HF_TRY(hf_db_exec(store->db, "DELETE FROM mirror", saving, why));
    HF_TRY(insert_mirrors(store, &config->client, why));
    HF_TRY(hf_db_exec(store->db, "DELETE FROM redirect_host", saving, why));
    HF_TRY(insert_redirect_hosts(store, config, why));
    return hf_config_replace_endpoints(store, config, why);
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
    return hf_config_load_endpoints(store, out, why);
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
    hf_config_free_endpoints(config);
    *config = (struct hf_stored_config){0};
}
