#include "client/port/posix/config_endpoints.h"

#include "client/port/posix/client_auth.h"
#include "common/tls/endpoint_url.h"
#include "client/port/posix/store_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- checking ---------------------------------------------------------------------------------- */

static enum hf_err check_endpoint(const struct hf_posix_endpoint *endpoint,
                                  char name[HF_ENDPOINT_URL_TEXT], struct hf_why *why)
{
    struct hf_endpoint_url url;
    struct hf_why reason = {0};

    if (endpoint->url == NULL || hf_endpoint_url_parse(endpoint->url, &url, &reason) != HF_OK ||
        (endpoint->alpn != NULL && hf_alpn_check(endpoint->alpn, &reason) != HF_OK))
        return hf_fail(why, HF_E_ARGUMENT, "the endpoint's address is not usable: %s", reason.text);
    hf_endpoint_url_format(&url, name);
    return HF_OK;
}

enum hf_err hf_config_check_endpoints(const struct hf_posix_config *config, struct hf_why *why)
{
    char names[HF_ENDPOINTS_MAX][HF_ENDPOINT_URL_TEXT];

    if (config->n_endpoints > HF_ENDPOINTS_MAX)
        return hf_fail(why, HF_E_ARGUMENT, "at most %d endpoints are expected, found %zu",
                       HF_ENDPOINTS_MAX, config->n_endpoints);
    for (size_t i = 0; i < config->n_endpoints; i++) {
        HF_TRY(check_endpoint(&config->endpoints[i], names[i], why));
        for (size_t k = 0; k < i; k++) {
            if (strcmp(names[k], names[i]) == 0)
                return hf_fail(why, HF_E_ARGUMENT, "the endpoint %s is given twice", names[i]);
        }
    }
    return HF_OK;
}

enum hf_err hf_config_check_client_auth(const struct hf_posix_config *config, struct hf_why *why)
{
    const char *const cert = config->client_cert_file, *const key = config->client_key_file;
    struct hf_client_auth auth;
    struct hf_why reason = {0};

    if (cert == NULL && key == NULL)
        return HF_OK;
    if (cert == NULL || key == NULL)
        return hf_fail(why, HF_E_ARGUMENT,
                       "a client certificate and its key belong together, and only the %s is given",
                       cert != NULL ? "certificate" : "key");
    if (cert[0] != '/' || key[0] != '/')
        return hf_fail(why, HF_E_ARGUMENT,
                       "the files of the client certificate must begin with '/', so that they mean "
                       "the same in every folder");
    if (hf_client_auth_load(cert, key, &auth, &reason) != HF_OK)
        return hf_fail(why, HF_E_FORMAT, "the client certificate is not usable: %s", reason.text);
    hf_client_auth_free(&auth);
    return HF_OK;
}

bool hf_config_has_same_endpoints(const struct hf_posix_config *a, const struct hf_posix_config *b)
{
    if (a->n_endpoints != b->n_endpoints)
        return false;
    for (size_t i = 0; i < a->n_endpoints; i++) {
        if (!hf_text_is_same(a->endpoints[i].url, b->endpoints[i].url) ||
            !hf_text_is_same(a->endpoints[i].alpn, b->endpoints[i].alpn))
            return false;
    }
    return true;
}

/* ---- saving ------------------------------------------------------------------------------------ */

static const char saving[] = "save the endpoints";

static enum hf_err insert_endpoint(struct hf_sqlite_store *store, size_t position,
                                   const struct hf_posix_endpoint *endpoint, struct hf_why *why)
{
    char name[HF_ENDPOINT_URL_TEXT];
    sqlite3_stmt *stmt = NULL;

    HF_TRY(check_endpoint(endpoint, name, why));
    HF_TRY(hf_db_prepare(store->db,
                         "INSERT INTO endpoint (position, url, alpn) VALUES (?1, ?2, ?3)", saving,
                         &stmt, why));
    (void)sqlite3_bind_int64(stmt, 1, (sqlite3_int64)position);
    hf_db_bind_text(stmt, 2, name);
    hf_db_bind_text(stmt, 3, endpoint->alpn);
    return hf_db_finish(store->db, stmt, saving, why);
}

enum hf_err hf_config_replace_endpoints(struct hf_sqlite_store *store,
                                        const struct hf_posix_config *config, struct hf_why *why)
{
    HF_TRY(hf_db_exec(store->db, "DELETE FROM endpoint", saving, why));
    for (size_t i = 0; i < config->n_endpoints; i++)
        HF_TRY(insert_endpoint(store, i, &config->endpoints[i], why));
    return HF_OK;
}

/* ---- loading ----------------------------------------------------------------------------------- */

static const char loading[] = "load the endpoints";

static enum hf_err copy_column(sqlite3_stmt *stmt, int column, const char **out, struct hf_why *why)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);

    if (text == NULL)
        return HF_OK;
    *out = strdup(text);
    return *out != NULL ? HF_OK : hf_fail(why, HF_E_MEMORY, "out of memory loading the endpoints");
}

enum hf_err hf_config_load_endpoints(struct hf_sqlite_store *store, struct hf_stored_config *out,
                                     struct hf_why *why)
{
    sqlite3_stmt *stmt = NULL;
    enum hf_err err = HF_OK;
    size_t n = 0;
    int rc = SQLITE_DONE;

    HF_TRY(hf_db_prepare(store->db, "SELECT url, alpn FROM endpoint ORDER BY position", loading,
                         &stmt, why));
    while (err == HF_OK && n < HF_ENDPOINTS_MAX && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        err = copy_column(stmt, 0, &out->endpoints[n].url, why);
        if (err == HF_OK)
            err = copy_column(stmt, 1, &out->endpoints[n].alpn, why);
        n++;
    }
    if (err == HF_OK && rc != SQLITE_DONE && rc != SQLITE_ROW)
        err = hf_db_fail(store->db, loading, why);
    out->view.n_endpoints = n;
    sqlite3_finalize(stmt);
    return err;
}

void hf_config_free_endpoints(struct hf_stored_config *config)
{
    for (size_t i = 0; i < HF_ENDPOINTS_MAX; i++) {
        free((void *)(uintptr_t)config->endpoints[i].url);
        free((void *)(uintptr_t)config->endpoints[i].alpn);
    }
}
