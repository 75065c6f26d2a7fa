/* The identity of an open state folder: what client/port/identity needs of it, and its public
 * functions. */
#include "client/port/posix/posix_internal.h"

#include "client/port/identity/client_auth.h"
#include "client/port/identity/identity.h"
#include "client/port/identity/request.h"
#include "client/port/identity/slots.h"
#include "client/port/identity/token_uri.h"
#include "common/os/file_util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define RECORD_WAIT_MS                                                                             \
    60000 /* an update of another process may last; nothing waits for us meanwhile */

static enum hf_err call(void *ctx, const struct hf_api_request *request,
                        struct hf_api_response *out, struct hf_why *why)
{
    const struct hf_posix *posix = ctx;

    return hf_http_transport_call(posix->transport, request, out, why);
}

static void journal(void *ctx, enum hf_level level, const char *kind, const char *text)
{
    struct hf_posix *posix = ctx;
    int lock = -1;

    if (hf_lock_take(posix->state_dir, RECORD_WAIT_MS, &lock, NULL) == HF_OK)
        hf_posix_journal(posix, level, kind, text);
    else
        hf_posix_log(posix, level, text);
    hf_file_unlock(lock);
}

static enum hf_err save(void *ctx, const struct hf_rotation *rotation, struct hf_why *why)
{
    struct hf_posix *posix = ctx;
    const struct hf_store_port store = hf_sqlite_store_port(posix->store);
    int lock = -1;

    HF_TRY(hf_lock_take(posix->state_dir, RECORD_WAIT_MS, &lock, why));
    enum hf_err err = hf_rotation_save(&store, rotation, why);
    hf_posix_secure(posix);
    hf_file_unlock(lock);
    return err;
}

/* One process at a time works on the identity. It holds no other lock while it waits for the
 * service. */
static enum hf_err lock_identity(const struct hf_posix *posix, unsigned wait_ms, int *out,
                                 struct hf_why *why)
{
    struct hf_path path;

    HF_TRY(hf_path_set(&path, why, "%s/identity.lock", posix->state_dir));
    enum hf_err err = hf_file_lock(path.text, wait_ms, out, why);
    if (err == HF_E_BUSY)
        return hf_fail(why, err,
                       "another process is enrolling this device or rotating its certificate; wait "
                       "for it to end and try again");
    return err;
}

/* HF_E_NOT_FOUND, … without a device id, which requests need; the rest is filled in all the
 * same. */
static enum hf_err identity_of(struct hf_posix *posix, struct hf_identity *out, struct hf_why *why)
{
    const struct hf_client_config *config = &posix->config.view.client;
    const char *url = NULL;

    for (size_t i = 0; i < config->n_urls && url == NULL; i++) {
        if (strncmp(config->urls[i], "https://", strlen("https://")) == 0)
            url = config->urls[i];
    }
    *out = (struct hf_identity){
        .state_dir = posix->state_dir,
        .default_url = url,
        .key = posix->key,
        .api = {posix, call},
        .store = hf_sqlite_store_port(posix->store),
        .now_s = hf_client_now_s(posix->client),
        .ctx = posix,
        .save = save,
        .journal = journal,
    };
    return hf_posix_device_id(posix, &out->device_id, why);
}

/* The configured client certificate, if there is one, is the device's own. */
static bool shows_own(const struct hf_posix *posix, const char *own)
{
    const char *configured = posix->config.view.client_cert_file;

    return configured == NULL || strcmp(configured, own) == 0;
}

/* Endpoints are shown the device's own certificate, unless another one is configured. A key of the
 * port is in no file; the name is stored all the same, since both belong together. */
static enum hf_err show_to_endpoints(struct hf_posix *posix, const char *cert_file,
                                     const char *key_uri, struct hf_why *why)
{
    struct hf_posix_config config = posix->config.view;
    struct hf_path key_file;

    if (!shows_own(posix, cert_file))
        return HF_OK;
    HF_TRY(hf_path_set(&key_file, why, "%s/identity/" HF_SLOT_CURRENT "/" HF_SLOT_KEY,
                       posix->state_dir));
    config.client_cert_file = cert_file;
    if (key_uri != NULL)
        config.client_key_file = key_uri;
    else if (posix->token == NULL)
        config.client_key_file = key_file.text;
    return hf_posix_configure(posix, &config, why);
}

static enum hf_err enroll_locked(struct hf_posix *posix, const struct hf_identity *identity,
                                 const struct hf_enrolment *enrolment, struct hf_credential *out,
                                 struct hf_why *why)
{
    int lock = -1;

    HF_TRY(lock_identity(posix, HF_LOCK_WAIT_MS, &lock, why));
    enum hf_err err = hf_identity_enroll(identity, enrolment, out, why);
    hf_file_unlock(lock);
    return err;
}

enum hf_err hf_posix_enroll(struct hf_posix *posix, const struct hf_enrolment *enrolment,
                            struct hf_credential *out, struct hf_why *why)
{
    struct hf_identity identity;
    struct hf_credential made;
    struct hf_path cert_file;
    struct hf_pkcs11_key *token = NULL;
    struct hf_device_key token_key;

    HF_TRY(hf_posix_is_writable(posix, why));
    HF_TRY(identity_of(posix, &identity, why));
    HF_TRY(hf_path_set(&cert_file, why, "%s/identity/" HF_SLOT_CURRENT "/" HF_SLOT_CERTIFICATE,
                       posix->state_dir));
    if (enrolment->key_uri != NULL) {
        if (!shows_own(posix, cert_file.text))
            return hf_fail(
                why, HF_E_STATE,
                "another client certificate is configured, and a device has one key in a "
                "token; run `holdfast config unset client-cert` first");
        HF_TRY(hf_pkcs11_key_new(enrolment->key_uri, &token, why));
        token_key = hf_pkcs11_key_port(token);
        identity.key = &token_key;
    }
    enum hf_err err = enroll_locked(posix, &identity, enrolment, &made, why);
    hf_pkcs11_key_free(token);
    HF_TRY(err);
    if (hf_posix_restart_reports(posix, why) != HF_OK)
        return hf_fail_context(why, "this device is enrolled, but its reports still have the "
                                    "identity before");
    if (show_to_endpoints(posix, cert_file.text, enrolment->key_uri, why) != HF_OK)
        return hf_fail_context(why, "this device is enrolled, but its endpoints are not shown the "
                                    "certificate");
    *out = made;
    return HF_OK;
}

enum hf_err hf_posix_rotate(struct hf_posix *posix, struct hf_credential *out, struct hf_why *why)
{
    struct hf_identity identity;
    int lock = -1;

    HF_TRY(hf_posix_is_writable(posix, why));
    HF_TRY(identity_of(posix, &identity, why));
    HF_TRY(lock_identity(posix, HF_LOCK_WAIT_MS, &lock, why));
    enum hf_err err = hf_identity_rotate(&identity, out, why);
    hf_file_unlock(lock);
    return err;
}

/* Ask the service, and no other server that sees the certificate, for its wishes. Where it is the
 * mirror, this goes over the connection that the update has opened. */
static struct hf_service_news ask_service(struct hf_posix *posix,
                                          const struct hf_identity *identity)
{
    const struct hf_transport_port transport = hf_http_transport_port(posix->transport);
    struct hf_service_news news = {0};
    struct hf_identity_status status;
    struct hf_response response = {0};
    struct hf_why why = {0};
    char url[sizeof status.url + 16];

    hf_identity_get_status(identity, &status);
    if (!status.is_present || status.url[0] == '\0')
        return news;
    (void)snprintf(url, sizeof url, "%s/v1/whoami", status.url);
    const struct hf_request request = {.url = url, .max_bytes = HF_ANSWER_BYTES_MAX};
    enum hf_err err = transport.fetch(transport.ctx, &request, &response, &why);
    if (err != HF_OK)
        hf_posix_log(posix, HF_LEVEL_INFO, why.text);
    news.asks_for_rotation = hf_http_transport_asks_for_rotation(posix->transport);
    news.may_have_refused = err == HF_E_TLS || response.status == 401 || response.status == 403;
    hf_buf_free(&response.body);
    return news;
}

void hf_posix_maintain_identity(struct hf_posix *posix)
{
    struct hf_identity identity;
    struct hf_path slots;
    struct hf_why why = {0};
    int lock = -1;

    /* Without the folder of the slots this device never began to enrol. */
    if (hf_path_set(&slots, &why, "%s/identity", posix->state_dir) != HF_OK ||
        !hf_file_exists(slots.text) || identity_of(posix, &identity, &why) != HF_OK ||
        lock_identity(posix, 0, &lock, &why) != HF_OK)
        return;
    const struct hf_service_news news = ask_service(posix, &identity);
    hf_identity_maintain(&identity, &news);
    hf_file_unlock(lock);
}

void hf_posix_identity_status(struct hf_posix *posix, struct hf_identity_status *out)
{
    struct hf_identity identity;
    struct hf_why why = {0};

    /* The device id is for requests only. */
    (void)!identity_of(posix, &identity, &why);
    hf_identity_get_status(&identity, out);
}

enum hf_err hf_posix_client_cert(const struct hf_posix *posix, struct hf_credential *out,
                                 struct hf_why *why)
{
    const struct hf_posix_config *config = &posix->config.view;
    const char *key = config->client_key_file;
    mbedtls_x509_crt chain;
    struct stat st;

    if (config->client_cert_file == NULL)
        return hf_fail(why, HF_E_STATE, "no client certificate is configured");
    mbedtls_x509_crt_init(&chain);
    enum hf_err err = hf_client_chain_load(config->client_cert_file, &chain, why);
    if (err == HF_OK)
        err = hf_identity_describe(&chain, out, why);
    mbedtls_x509_crt_free(&chain);
    if (err == HF_OK && key != NULL && posix->key == NULL && !hf_pkcs11_uri_is(key) &&
        stat(key, &st) != 0 && errno == ENOENT)
        return hf_fail(why, HF_E_NOT_FOUND, "there is no key file %s", key);
    return err;
}

int64_t hf_posix_rotation_wait_s(struct hf_posix *posix)
{
    struct hf_identity_status status;
    int64_t now_s = hf_client_now_s(posix->client);

    hf_posix_identity_status(posix, &status);
    if (!status.is_present)
        return INT64_MAX;
    return status.rotation_due_s > now_s ? status.rotation_due_s - now_s : 0;
}
