#include "client/port/posix/config_store.h"

#include "client/port/posix/bundle_files.h"

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
    {"device_id", offsetof(struct hf_posix_config, client.device_id)},
    {"device_id_file", offsetof(struct hf_posix_config, device_id_file)},
    {"server_ca", offsetof(struct hf_posix_config, server_ca)},
    {"export_file", offsetof(struct hf_posix_config, export_file)},
    {"on_swap", offsetof(struct hf_posix_config, on_swap)},
    {"client_cert_file", offsetof(struct hf_posix_config, client_cert_file)},
    {"client_key_file", offsetof(struct hf_posix_config, client_key_file)},
    {"report", offsetof(struct hf_posix_config, report)},
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

bool hf_config_is_same(const struct hf_posix_config *a, const struct hf_posix_config *b)
{
    for (size_t i = 0; i < N_COLUMNS; i++) {
        if (!hf_text_is_same(text_of(a, &columns[i]), text_of(b, &columns[i])))
            return false;
    }
    return a->client.awaits_confirm == b->client.awaits_confirm &&
           a->has_legacy_ciphers == b->has_legacy_ciphers &&
           a->accepts_common_names == b->accepts_common_names &&
           a->signs_reports == b->signs_reports &&
           hf_texts_are_same(a->client.groups, a->client.n_groups, b->client.groups,
                             b->client.n_groups) &&
           hf_config_has_same_urls(&a->client, &b->client) &&
           hf_texts_are_same(a->redirect_hosts, a->n_redirect_hosts, b->redirect_hosts,
                             b->n_redirect_hosts) &&
           hf_config_has_same_endpoints(a, b);
}

static const char saving[] = "save the configuration";

static enum hf_err update_row(sqlite3 *db, const struct hf_posix_config *config, struct hf_why *why)
{
    sqlite3_stmt *stmt = NULL;
    struct hf_buf sql = {0};

    enum hf_err err =
        hf_buf_append_text(&sql, "UPDATE config SET awaits_confirm = ?1, has_legacy_ciphers = ?2, "
                                 "signs_reports = ?3, accepts_common_names = ?4");
    for (size_t i = 0; i < N_COLUMNS && err == HF_OK; i++)
        err = hf_buf_printf(&sql, ", %s = ?%zu", columns[i].name, i + 5);
    err = err == HF_OK ? hf_db_prepare(db, (const char *)sql.data, saving, &stmt, why)
                       : hf_fail(why, err, "out of memory saving the configuration");
    hf_buf_free(&sql);
    HF_TRY(err);
    (void)sqlite3_bind_int(stmt, 1, config->client.awaits_confirm);
    (void)sqlite3_bind_int(stmt, 2, config->has_legacy_ciphers);
    (void)sqlite3_bind_int(stmt, 3, config->signs_reports);
    (void)sqlite3_bind_int(stmt, 4, config->accepts_common_names);
    for (size_t i = 0; i < N_COLUMNS; i++)
        hf_db_bind_text(stmt, (int)i + 5, text_of(config, &columns[i]));
    return hf_db_finish(db, stmt, saving, why);
}

/* A position, a text and, unless NULL, a second text. */
static enum hf_err insert(sqlite3 *db, const char *sql, size_t position, const char *text,
                          const char *second, struct hf_why *why)
{
    sqlite3_stmt *stmt = NULL;

    HF_TRY(hf_db_prepare(db, sql, saving, &stmt, why));
    (void)sqlite3_bind_int64(stmt, 1, (sqlite3_int64)position);
    hf_db_bind_text(stmt, 2, text);
    if (second != NULL)
        hf_db_bind_text(stmt, 3, second);
    return hf_db_finish(db, stmt, saving, why);
}

static enum hf_err replace_all(sqlite3 *db, const struct hf_posix_config *config,
                               struct hf_why *why)
{
    char name[HF_ENDPOINT_URL_TEXT];

    HF_TRY(update_row(db, config, why));
    HF_TRY(hf_db_exec(db,
                      "DELETE FROM mirror; DELETE FROM redirect_host; DELETE FROM endpoint; "
                      "DELETE FROM report_group",
                      saving, why));
    for (size_t i = 0; i < config->client.n_urls; i++)
        HF_TRY(insert(db, "INSERT INTO mirror (position, url) VALUES (?1, ?2)", i,
                      config->client.urls[i], NULL, why));
    for (size_t i = 0; i < config->n_redirect_hosts; i++)
        HF_TRY(insert(db, "INSERT INTO redirect_host (position, host) VALUES (?1, ?2)", i,
                      config->redirect_hosts[i], NULL, why));
    for (size_t i = 0; i < config->client.n_groups; i++)
        HF_TRY(insert(db, "INSERT INTO report_group (position, name) VALUES (?1, ?2)", i,
                      config->client.groups[i], NULL, why));
    for (size_t i = 0; i < config->n_endpoints; i++) {
        HF_TRY(hf_config_check_endpoint(&config->endpoints[i], name, why));
        HF_TRY(insert(db, "INSERT INTO endpoint (position, url, alpn) VALUES (?1, ?2, ?3)", i, name,
                      config->endpoints[i].alpn, why));
    }
    return HF_OK;
}

enum hf_err hf_config_save(struct hf_sqlite_store *store, const struct hf_posix_config *config,
                           struct hf_why *why)
{
    int64_t n = 0;

    HF_TRY(hf_store_write_begin(store, why));
    enum hf_err err = hf_db_query_int64(store->db, "SELECT count(*) FROM config", saving, &n, why);
    if (err == HF_OK && n != 0)
        err = hf_fail(why, HF_E_STATE, "%s has a configuration already", store->state_dir);
    if (err == HF_OK)
        err = hf_db_exec(store->db,
                         "INSERT INTO config (id, set_name, profile) VALUES (1, 'none', 'none')",
                         saving, why);
    if (err == HF_OK)
        err = replace_all(store->db, config, why);
    return hf_store_write_end(store, err, why);
}

enum hf_err hf_config_replace(struct hf_sqlite_store *store, const struct hf_posix_config *config,
                              struct hf_why *why)
{
    HF_TRY(hf_store_write_begin(store, why));
    return hf_store_write_end(store, replace_all(store->db, config, why), why);
}

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

static enum hf_err load_row(struct hf_sqlite_store *store, struct hf_stored_config *out,
                            struct hf_why *why)
{
    sqlite3_stmt *stmt = NULL;
    struct hf_buf sql = {0};

    enum hf_err err = hf_buf_append_text(
        &sql, "SELECT awaits_confirm, has_legacy_ciphers, signs_reports, accepts_common_names");
    for (size_t i = 0; i < N_COLUMNS && err == HF_OK; i++)
        err = hf_buf_printf(&sql, ", %s", columns[i].name);
    if (err == HF_OK)
        err = hf_buf_append_text(&sql, " FROM config");
    err = err == HF_OK ? hf_db_prepare(store->db, (const char *)sql.data, loading, &stmt, why)
                       : hf_fail(why, err, "out of memory loading the configuration");
    hf_buf_free(&sql);
    HF_TRY(err);
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        out->view.client.awaits_confirm = sqlite3_column_int(stmt, 0) != 0;
        out->view.has_legacy_ciphers = sqlite3_column_int(stmt, 1) != 0;
        out->view.signs_reports = sqlite3_column_int(stmt, 2) != 0;
        out->view.accepts_common_names = sqlite3_column_int(stmt, 3) != 0;
        for (size_t i = 0; i < N_COLUMNS && err == HF_OK; i++)
            err = take_text(out, i, (const char *)sqlite3_column_text(stmt, (int)i + 4), why);
    } else if (rc == SQLITE_DONE) {
        err = hf_fail(why, HF_E_NOT_FOUND, "%s is not initialised: run holdfast init first",
                      store->state_dir);
    } else {
        err = hf_db_fail(store->db, loading, why);
    }
    sqlite3_finalize(stmt);
    return err;
}

/* The texts of a query of one column or, with `second`, of two; at most `max` rows. */
static enum hf_err load_list(sqlite3 *db, const char *query, char **first, char **second,
                             size_t max, size_t *n_out, struct hf_why *why)
{
    sqlite3_stmt *stmt = NULL;
    enum hf_err err = HF_OK;
    size_t n = 0;
    int rc = SQLITE_DONE;

    HF_TRY(hf_db_prepare(db, query, loading, &stmt, why));
    while (err == HF_OK && n < max && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        err = copy_text((const char *)sqlite3_column_text(stmt, 0), &first[n], why);
        if (err == HF_OK && second != NULL)
            err = copy_text((const char *)sqlite3_column_text(stmt, 1), &second[n], why);
        n++;
    }
    if (err == HF_OK && rc != SQLITE_DONE && rc != SQLITE_ROW)
        err = hf_db_fail(db, loading, why);
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

enum hf_err hf_config_load(struct hf_sqlite_store *store, struct hf_stored_config *out,
                           struct hf_why *why)
{
    sqlite3 *db = store->db;

    enum hf_err err = db == NULL ? load_from_files(store, out, why) : load_row(store, out, why);
    if (err == HF_OK && db != NULL)
        err = load_list(db, "SELECT url FROM mirror ORDER BY position", out->urls, NULL,
                        HF_MIRRORS_MAX, &out->view.client.n_urls, why);
    if (err == HF_OK && db != NULL)
        err = load_list(db, "SELECT host FROM redirect_host ORDER BY position", out->redirect_hosts,
                        NULL, HF_REDIRECT_HOSTS_MAX, &out->view.n_redirect_hosts, why);
    if (err == HF_OK && db != NULL)
        err = load_list(db, "SELECT name FROM report_group ORDER BY position", out->groups, NULL,
                        HF_GROUPS_MAX, &out->view.client.n_groups, why);
    if (err == HF_OK && db != NULL)
        err = load_list(db, "SELECT url, alpn FROM endpoint ORDER BY position", out->endpoint_urls,
                        out->endpoint_alpns, HF_ENDPOINTS_MAX, &out->view.n_endpoints, why);
    if (err == HF_OK)
        hf_stored_config_settle(out);
    else
        hf_stored_config_free(out);
    return err;
}

void hf_stored_config_settle(struct hf_stored_config *config)
{
    config->view.client.urls = (const char *const *)config->urls;
    config->view.redirect_hosts = (const char *const *)config->redirect_hosts;
    config->view.client.groups = (const char *const *)config->groups;
    for (size_t i = 0; i < HF_ENDPOINTS_MAX; i++)
        config->endpoints[i] = (struct hf_posix_endpoint){config->endpoint_urls[i],
                                                          config->endpoint_alpns[i]};
    config->view.endpoints = config->endpoints;
}

static void free_texts(char **texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(texts[i]);
}

void hf_stored_config_free(struct hf_stored_config *config)
{
    free_texts(config->urls, HF_MIRRORS_MAX);
    free_texts(config->redirect_hosts, HF_REDIRECT_HOSTS_MAX);
    free_texts(config->texts, HF_CONFIG_TEXTS_MAX);
    free_texts(config->groups, HF_GROUPS_MAX);
    free_texts(config->endpoint_urls, HF_ENDPOINTS_MAX);
    free_texts(config->endpoint_alpns, HF_ENDPOINTS_MAX);
    *config = (struct hf_stored_config){0};
}
