/* Reports of an open state folder: where they go, the key that signs them, and sending them by
 * hand. */
#include "client/port/posix/posix_internal.h"

#include "client/port/posix/url.h"
#include "common/os/file_util.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define PATH "/v1/reports"

_Static_assert(HF_REPORT_KEY_TEXT == HF_REPORT_KEY_TEXT_SIZE, "one length of a key's text");

/* ---- the key --------------------------------------------------------------------------------- */

static enum hf_err load_seed(const char *path, uint8_t seed[HF_REPORT_KEY_LEN], struct hf_why *why)
{
    struct hf_buf bytes = {0};

    enum hf_err err = hf_file_read_secret(path, HF_REPORT_KEY_LEN, &bytes, why);
    if (err == HF_OK && bytes.len != HF_REPORT_KEY_LEN)
        err = hf_fail(why, HF_E_KEY,
                      "%s is damaged (expected %d bytes, found %zu); remove it and run `holdfast "
                      "report --key` to make another one",
                      path, HF_REPORT_KEY_LEN, bytes.len);
    if (err == HF_OK)
        memcpy(seed, bytes.data, HF_REPORT_KEY_LEN);
    if (bytes.data != NULL)
        sodium_memzero(bytes.data, bytes.len);
    hf_buf_free(&bytes);
    return err;
}

/* Made if there is none, where the state folder can be written. */
static enum hf_err load_or_make_seed(struct hf_posix *posix, uint8_t seed[HF_REPORT_KEY_LEN],
                                     struct hf_why *why)
{
    struct hf_path path;

    HF_TRY(hf_path_set(&path, why, "%s/report.key", posix->state_dir));
    if (hf_file_exists(path.text))
        return load_seed(path.text, seed, why);
    HF_TRY(hf_posix_is_writable(posix, why));
    randombytes_buf(seed, HF_REPORT_KEY_LEN);
    return hf_file_replace(path.text, (struct hf_bytes){seed, HF_REPORT_KEY_LEN}, 0600, why);
}

enum hf_err hf_posix_report_key(struct hf_posix *posix, char out[HF_REPORT_KEY_TEXT],
                                struct hf_why *why)
{
    uint8_t seed[HF_REPORT_KEY_LEN], public_key[HF_REPORT_KEY_LEN];
    uint8_t secret[crypto_sign_SECRETKEYBYTES];

    HF_TRY(load_or_make_seed(posix, seed, why));
    (void)crypto_sign_seed_keypair(public_key, secret, seed);
    hf_report_key_format(public_key, out);
    sodium_memzero(seed, sizeof seed);
    sodium_memzero(secret, sizeof secret);
    return HF_OK;
}

/* ---- where they go --------------------------------------------------------------------------- */

static enum hf_err service_url(struct hf_posix *posix, char out[HF_URL_MAX + 1], struct hf_why *why)
{
    const struct hf_client_config *client = &posix->config.view.client;
    struct hf_identity_status identity;
    struct hf_url url;
    char host[HF_ENDPOINT_TEXT];
    const char *text = posix->config.view.report;

    if (strcmp(text, HF_REPORT_TO_SERVICE) == 0) {
        hf_posix_identity_status(posix, &identity);
        text = identity.url;
        for (size_t i = 0; i < client->n_urls && text[0] == '\0'; i++) {
            if (strncmp(client->urls[i], "https://", strlen("https://")) == 0)
                text = client->urls[i];
        }
        if (text[0] == '\0')
            return hf_fail(
                why, HF_E_NOT_FOUND,
                "reports go to the service, but this device is enrolled at none and has no "
                "https mirror; name the service with `holdfast config set report URL`");
    }
    HF_TRY(hf_url_parse(text, &url, why));
    hf_url_host_header(&url, host);
    /* Of a mirror only the server is meant. */
    bool has_path = text == posix->config.view.report && strcmp(url.target, "/") != 0;
    int len = snprintf(out, HF_URL_MAX + 1, "%s%s%s", url.is_https ? "https://" : "http://", host,
                       has_path ? url.target : PATH);
    return len <= HF_URL_MAX ? HF_OK
                             : hf_fail(why, HF_E_LIMIT, "the address for reports is too long");
}

static enum hf_err apply(struct hf_posix *posix, struct hf_why *why)
{
    const struct hf_posix_config *config = &posix->config.view;
    uint8_t seed[HF_REPORT_KEY_LEN];
    char url[HF_URL_MAX + 1];
    const char *device_id = NULL;

    HF_TRY(hf_posix_device_id(posix, &device_id, why)); /* or it is said why there is none */
    HF_TRY(service_url(posix, url, why));
    if (config->signs_reports || strncmp(url, "http://", strlen("http://")) == 0) {
        HF_TRY(load_or_make_seed(posix, seed, why));
        hf_http_transport_sign_reports(posix->transport, seed);
        sodium_memzero(seed, sizeof seed);
    }
    return hf_client_report_to(posix->client, url, why);
}

void hf_posix_apply_reports(struct hf_posix *posix)
{
    struct hf_why why = {0};

    posix->no_reports = (struct hf_why){0};
    (void)!hf_client_report_to(posix->client, NULL, NULL);
    hf_http_transport_sign_reports(posix->transport, NULL);
    if (posix->config.view.report == NULL || apply(posix, &why) == HF_OK)
        return;
    posix->no_reports = why;
    hf_posix_log(posix, HF_LEVEL_WARNING, why.text);
}

void hf_posix_report(struct hf_posix *posix, int timeout_ms)
{
    struct hf_why why = {0};

    if (hf_client_send_reports(posix->client, timeout_ms, false, NULL, &why) != HF_OK)
        hf_posix_log(posix, HF_LEVEL_INFO, why.text);
}

/* ---- what is done ---------------------------------------------------------------------------- */

enum hf_err hf_posix_restart_reports(struct hf_posix *posix, struct hf_why *why)
{
    int lock = -1;

    HF_TRY(hf_lock_take(posix->state_dir, HF_LOCK_WAIT_MS, &lock, why));
    enum hf_err err = hf_client_forget_reports(posix->client, why);
    hf_posix_secure(posix);
    hf_file_unlock(lock);
    hf_posix_apply_reports(posix);
    return err;
}

static enum hf_err note_current(struct hf_posix *posix, struct hf_why *why)
{
    int lock = -1;

    HF_TRY(hf_lock_take(posix->state_dir, HF_LOCK_WAIT_MS, &lock, why));
    enum hf_err err = hf_client_note_current(posix->client, why);
    hf_posix_secure(posix);
    hf_file_unlock(lock);
    return err;
}

/* The network without the lock: an update that begins meanwhile must not wait for it. */
enum hf_err hf_posix_send_reports(struct hf_posix *posix, size_t *n_sent, struct hf_why *why)
{
    struct hf_report_status status;

    HF_TRY(hf_posix_is_writable(posix, why));
    if (posix->no_reports.code != HF_OK)
        return hf_fail(why, posix->no_reports.code, "%s", posix->no_reports.text);
    hf_client_report_status(posix->client, &status);
    if (status.n_waiting == 0)
        HF_TRY(note_current(posix, why));
    enum hf_err err = hf_client_send_reports(posix->client, HF_REPORT_TIMEOUT_MS, true, n_sent,
                                             why);
    hf_http_transport_idle(posix->transport);
    return err;
}

void hf_posix_report_status(struct hf_posix *posix, struct hf_report_status *out)
{
    hf_client_report_status(posix->client, out);
    if (posix->no_reports.code == HF_OK)
        return;
    out->is_on = true;
    memcpy(out->last_error, posix->no_reports.text, sizeof out->last_error);
}
