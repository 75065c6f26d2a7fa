/* Is a configuration usable? In words, before anything is written. */
#include "client/port/posix/config_store.h"

#include "client/port/identity/token_key.h"
#include "client/port/identity/token_uri.h"
#include "client/port/posix/endpoint_probe.h"
#include "client/port/posix/system.h"
#include "client/port/posix/url.h"

#include "common/bundle/bundle.h"
#include "common/bundle/description.h"
#include "common/bundle/policy.h"

#include <string.h>

bool hf_text_is_same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool hf_texts_are_same(const char *const *a, size_t n_a, const char *const *b, size_t n_b)
{
    bool is_same = n_a == n_b;

    for (size_t i = 0; i < n_a && is_same; i++)
        is_same = strcmp(a[i], b[i]) == 0;
    return is_same;
}

bool hf_config_has_same_urls(const struct hf_client_config *a, const struct hf_client_config *b)
{
    return hf_texts_are_same(a->urls, a->n_urls, b->urls, b->n_urls);
}

bool hf_config_has_same_endpoints(const struct hf_posix_config *a, const struct hf_posix_config *b)
{
    bool is_same = a->n_endpoints == b->n_endpoints;

    for (size_t i = 0; i < a->n_endpoints && is_same; i++)
        is_same = hf_text_is_same(a->endpoints[i].url, b->endpoints[i].url) &&
                  hf_text_is_same(a->endpoints[i].alpn, b->endpoints[i].alpn);
    return is_same;
}

static enum hf_err check_urls(const struct hf_client_config *config, struct hf_why *why)
{
    struct hf_url url;
    struct hf_why reason = {0};

    if (config->n_urls < 1 || config->n_urls > HF_MIRRORS_MAX)
        return hf_fail(why, HF_E_ARGUMENT,
                       "1 to %d addresses of the repository are expected, found %zu",
                       HF_MIRRORS_MAX, config->n_urls);
    for (size_t i = 0; i < config->n_urls; i++) {
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
    return hf_fail(
        why, HF_E_ARGUMENT,
        "\"%.80s\" cannot be a %s: 1 to %d of a-z, 0-9, \".\", \"_\" and \"-\" are expected, "
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

static enum hf_err check_path(const char *what, const char *path, struct hf_why *why)
{
    if (path == NULL || path[0] == '/')
        return HF_OK;
    return hf_fail(why, HF_E_ARGUMENT,
                   "%s \"%.200s\" must begin with \"/\", so that it means the same in every folder",
                   what, path);
}

enum hf_err hf_config_check_endpoint(const struct hf_posix_endpoint *endpoint,
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

static enum hf_err check_endpoints(const struct hf_posix_config *config, struct hf_why *why)
{
    char names[HF_ENDPOINTS_MAX][HF_ENDPOINT_URL_TEXT];

    if (config->n_endpoints > HF_ENDPOINTS_MAX)
        return hf_fail(why, HF_E_ARGUMENT, "at most %d endpoints are expected, found %zu",
                       HF_ENDPOINTS_MAX, config->n_endpoints);
    for (size_t i = 0; i < config->n_endpoints; i++) {
        HF_TRY(hf_config_check_endpoint(&config->endpoints[i], names[i], why));
        for (size_t k = 0; k < i; k++) {
            if (strcmp(names[k], names[i]) == 0)
                return hf_fail(why, HF_E_ARGUMENT, "the endpoint %s is given twice", names[i]);
        }
    }
    return HF_OK;
}

static enum hf_err check_client_auth(const struct hf_posix_config *config,
                                     const struct hf_device_key *device_key, struct hf_why *why)
{
    const char *const cert = config->client_cert_file, *const key = config->client_key_file;
    struct hf_client_auth auth;
    struct hf_pkcs11_key *token = NULL;
    struct hf_device_key token_key;
    struct hf_why reason = {0};

    if (cert == NULL && key == NULL)
        return HF_OK;
    if (cert == NULL || key == NULL)
        return hf_fail(why, HF_E_ARGUMENT,
                       "a client certificate and its key belong together, and only the %s is given",
                       cert != NULL ? "certificate" : "key");
    if (cert[0] != '/' || (key[0] != '/' && !hf_pkcs11_uri_is(key)))
        return hf_fail(
            why, HF_E_ARGUMENT,
            "the files of the client certificate must begin with \"/\", so that they mean "
            "the same in every folder");
    struct hf_client_auth_source source = {cert, key, device_key};
    if (device_key == NULL && hf_pkcs11_uri_is(key)) {
        HF_TRY(hf_pkcs11_key_new(key, &token, why));
        token_key = hf_pkcs11_key_port(token);
        source.key = &token_key;
    }
    enum hf_err err = hf_client_auth_load(&source, &auth, &reason);
    hf_pkcs11_key_free(token);
    if (err != HF_OK)
        return hf_fail(why, HF_E_FORMAT, "the client certificate is not usable: %s", reason.text);
    hf_client_auth_free(&auth);
    return HF_OK;
}

static enum hf_err check_groups(const struct hf_client_config *config, struct hf_why *why)
{
    if (config->n_groups > HF_GROUPS_MAX)
        return hf_fail(why, HF_E_ARGUMENT, "expected at most %d groups, found %zu", HF_GROUPS_MAX,
                       config->n_groups);
    for (size_t i = 0; i < config->n_groups; i++)
        HF_TRY(check_name("group", config->groups[i], why));
    return HF_OK;
}

static enum hf_err check_reports(const struct hf_posix_config *config, struct hf_why *why)
{
    struct hf_url url;
    struct hf_why reason = {0};

    if (config->report != NULL && strcmp(config->report, HF_REPORT_TO_SERVICE) != 0 &&
        hf_url_parse(config->report, &url, &reason) != HF_OK)
        return hf_fail(why, HF_E_ARGUMENT,
                       "reports go to \"service\" or to an address, and this one is not usable: %s",
                       reason.text);
    return HF_OK;
}

enum hf_err hf_config_check(const struct hf_posix_config *config,
                            const struct hf_posix_config *before, const struct hf_device_key *key,
                            struct hf_why *why)
{
    static const struct hf_posix_config nothing = {0};
    const struct hf_posix_config *old = before != NULL ? before : &nothing;

    if (before == NULL || !hf_config_has_same_urls(&config->client, &old->client))
        HF_TRY(check_urls(&config->client, why));
    HF_TRY(check_redirect_hosts(config, why));
    HF_TRY(check_name("set", config->client.set, why));
    HF_TRY(check_name("profile", config->client.profile, why));
    HF_TRY(check_reports(config, why));
    if (!hf_texts_are_same(config->client.groups, config->client.n_groups, old->client.groups,
                           old->client.n_groups))
        HF_TRY(check_groups(&config->client, why));
    if (!hf_text_is_same(config->server_ca, old->server_ca))
        HF_TRY(check_server_ca(config->server_ca, why));
    if (config->client.device_id != NULL && config->device_id_file != NULL)
        return hf_fail(why, HF_E_ARGUMENT,
                       "a device id and a file to read it from are given: "
                       "only one of them can say who this device is");
    if (config->client.device_id != NULL &&
        !hf_text_is_same(config->client.device_id, old->client.device_id))
        HF_TRY(hf_device_id_check(config->client.device_id, why));
    HF_TRY(check_path("the device id's file", config->device_id_file, why));
    if (!hf_config_has_same_endpoints(config, old))
        HF_TRY(check_endpoints(config, why));
    if (!hf_text_is_same(config->client_cert_file, old->client_cert_file) ||
        !hf_text_is_same(config->client_key_file, old->client_key_file))
        HF_TRY(check_client_auth(config, key, why));
    return check_path("the export file", config->export_file, why);
}
