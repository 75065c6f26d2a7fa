#include "client/port/posix/config_store.h"

#include "client/port/posix/bundle_files.h"
#include "client/port/posix/config_endpoints.h"
#include "client/port/posix/device_id.h"
#include "client/port/posix/store_internal.h"
#include "client/port/posix/url.h"
#include "common/bundle/bundle.h"
#include "common/bundle/description.h"
#include "common/bundle/policy.h"

#include <stdlib.h>
#include <string.h>

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
               : hf_fail(why, HF_E_ARGUMENT, "the server's CA is not usable: %s", reason.text);
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

enum hf_err hf_config_check(const struct hf_posix_config *config, struct hf_why *why)
{
    HF_TRY(check_urls(&config->client, why));
    HF_TRY(check_name("set", config->client.set, why));
    HF_TRY(check_name("profile", config->client.profile, why));
    HF_TRY(check_server_ca(config->server_ca, why));
    HF_TRY(check_device_id(config, why));
    HF_TRY(check_path("the device id's file", config->device_id_file, why));
    HF_TRY(hf_config_check_endpoints(config, why));
    return check_path("the export file", config->export_file, why);
}

/* ---- saving ------------------------------------------------------------------------------------ */

static const char saving[] = "save the configuration";

static enum hf_err insert_config(struct hf_sqlite_store *store,
                                 const struct hf_posix_config *config, struct hf_why *why)
{
    const char *const texts[] = {config->client.set, config->client.profile,
                                 config->device_id,  config->device_id_file,
                                 config->server_ca,  config->export_file,
                                 config->on_swap};
    sqlite3_stmt *stmt = NULL;

    HF_TRY(hf_db_prepare(store->db,
                         "INSERT INTO config (id, set_name, profile, device_id, device_id_file, "
                         "server_ca, export_file, on_swap) VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                         saving, &stmt, why));
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        hf_db_bind_text(stmt, (int)i + 1, texts[i]);
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

static enum hf_err insert_all(struct hf_sqlite_store *store, const struct hf_posix_config *config,
                              struct hf_why *why)
{
    int64_t n = 0;

    HF_TRY(hf_db_query_int64(store->db, "SELECT count(*) FROM config", saving, &n, why));
    if (n != 0)
        return hf_fail(why, HF_E_STATE, "%s has a configuration already", store->state_dir);
    HF_TRY(insert_config(store, config, why));
    HF_TRY(insert_mirrors(store, &config->client, why));
    return hf_config_replace_endpoints(store, config, why);
}

enum hf_err hf_config_save(struct hf_sqlite_store *store, const struct hf_posix_config *config,
                           struct hf_why *why)
{
    HF_TRY(hf_store_write_begin(store, why));
    return hf_store_write_end(store, insert_all(store, config, why), why);
}

enum hf_err hf_config_set_export(struct hf_sqlite_store *store, const char *file,
                                 struct hf_why *why)
{
    sqlite3_stmt *stmt = NULL;

    HF_TRY(check_path("the export file", file, why));
    HF_TRY(hf_store_check_writable(store, why));
    HF_TRY(hf_db_prepare(store->db, "UPDATE config SET export_file = ?1", saving, &stmt, why));
    hf_db_bind_text(stmt, 1, file);
    return hf_db_finish(store->db, stmt, saving, why);
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

static enum hf_err copy_row(sqlite3_stmt *stmt, struct hf_stored_config *out, struct hf_why *why)
{
    char **const texts[] = {&out->set,
                            &out->profile,
                            &out->device_id,
                            &out->device_id_file,
                            &out->server_ca,
                            &out->export_file,
                            &out->on_swap,
                            &out->client_cert_file,
                            &out->client_key_file};
    const int n_texts = (int)(sizeof(texts) / sizeof(texts[0]));

    for (int i = 0; i < n_texts; i++)
        HF_TRY(copy_text((const char *)sqlite3_column_text(stmt, i), texts[i], why));
    out->view.client.awaits_confirm = sqlite3_column_int(stmt, n_texts) != 0;
    out->view.has_legacy_ciphers = sqlite3_column_int(stmt, n_texts + 1) != 0;
    return HF_OK;
}

static enum hf_err load_row(struct hf_sqlite_store *store, struct hf_stored_config *out,
                            struct hf_why *why)
{
    sqlite3_stmt *stmt = NULL;
    enum hf_err err = HF_OK;

    HF_TRY(hf_db_prepare(store->db,
                         "SELECT set_name, profile, device_id, device_id_file, server_ca, "
                         "export_file, on_swap, client_cert_file, client_key_file, awaits_confirm, "
                         "has_legacy_ciphers FROM config",
                         loading, &stmt, why));
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

static enum hf_err load_mirrors(struct hf_sqlite_store *store, struct hf_stored_config *out,
                                struct hf_why *why)
{
    sqlite3_stmt *stmt = NULL;
    enum hf_err err = HF_OK;
    size_t n = 0;
    int rc = SQLITE_DONE;

    HF_TRY(
        hf_db_prepare(store->db, "SELECT url FROM mirror ORDER BY position", loading, &stmt, why));
    while (err == HF_OK && n < HF_MIRRORS_MAX && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
        err = copy_text((const char *)sqlite3_column_text(stmt, 0), &out->urls[n++], why);
    if (err == HF_OK && rc != SQLITE_DONE && rc != SQLITE_ROW)
        err = hf_db_fail(store->db, loading, why);
    out->view.client.n_urls = n;
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
    enum hf_err err = copy_text(active.set, &out->set, why);
    if (err == HF_OK)
        err = copy_text(active.profile, &out->profile, why);
    hf_bundle_record_free(&active);
    return err;
}

static enum hf_err load_texts(struct hf_sqlite_store *store, struct hf_stored_config *out,
                              struct hf_why *why)
{
    if (store->db == NULL)
        return load_from_files(store, out, why);
    HF_TRY(load_row(store, out, why));
    HF_TRY(load_mirrors(store, out, why));
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
    out->view = (struct hf_posix_config){
        .client = {.urls = (const char *const *)out->urls,
                   .n_urls = out->view.client.n_urls,
                   .set = out->set,
                   .profile = out->profile,
                   .awaits_confirm = out->view.client.awaits_confirm},
        .endpoints = out->endpoints,
        .n_endpoints = out->view.n_endpoints,
        .has_legacy_ciphers = out->view.has_legacy_ciphers,
        .client_cert_file = out->client_cert_file,
        .client_key_file = out->client_key_file,
        .device_id = out->device_id,
        .device_id_file = out->device_id_file,
        .server_ca = out->server_ca,
        .export_file = out->export_file,
        .on_swap = out->on_swap,
    };
    return HF_OK;
}

void hf_stored_config_free(struct hf_stored_config *config)
{
    for (size_t i = 0; i < HF_MIRRORS_MAX; i++)
        free(config->urls[i]);
    free(config->set);
    free(config->profile);
    free(config->device_id);
    free(config->device_id_file);
    free(config->server_ca);
    free(config->export_file);
    free(config->on_swap);
    hf_config_free_endpoints(config);
    *config = (struct hf_stored_config){0};
}
