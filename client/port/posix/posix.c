#include "client/port/posix/owner.h"
#include "client/port/posix/posix_internal.h"
#include "client/port/posix/system.h"

#include "common/json/json.h"
#include "common/os/file_util.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* ---- open and close ----------------------------------------------------------------------------- */

struct hf_ports hf_posix_ports(struct hf_posix *posix)
{
    struct hf_ports ports = {
        .store = hf_sqlite_store_port(posix->store),
        .clock = hf_system_clock_port(),
        .random = hf_system_random_port(),
        .log = posix->log,
        .trust = hf_trust_store_port(posix->trust_store),
    };

    if (posix->transport != NULL)
        ports.transport = hf_http_transport_port(posix->transport);
    if (posix->lookout != NULL)
        ports.endpoints = hf_lookout_port(posix->lookout);
    return ports;
}

/* hf_config_check has looked at them; what has rotted since allows nothing. */
static void add_redirect_target(struct hf_redirect_targets *targets, const struct hf_endpoint *host)
{
    if (targets->n < HF_REDIRECT_TARGETS_MAX)
        targets->hosts[targets->n++] = *host;
}

static void allow_redirects(struct hf_posix *posix)
{
    const struct hf_posix_config *config = &posix->config.view;
    struct hf_redirect_targets targets = {0};
    struct hf_endpoint host;
    struct hf_url url;

    for (size_t i = 0; i < config->client.n_urls; i++) {
        if (hf_url_parse(config->client.urls[i], &url, NULL) == HF_OK)
            add_redirect_target(&targets, &url.peer);
    }
    for (size_t i = 0; i < config->n_redirect_hosts; i++) {
        if (hf_endpoint_parse(hf_bytes_of_text(config->redirect_hosts[i]), 0, &host, NULL) == HF_OK)
            add_redirect_target(&targets, &host);
    }
    hf_http_transport_allow_redirects(posix->transport, &targets);
}

/* What is made from the configuration. An existing client continues with the new one. */
static enum hf_err apply_config(struct hf_posix *posix, struct hf_why *why)
{
    /* Without its database a device knows no mirror. It can serve its store all the same, and this
     * name of RFC 6761 leads nowhere. hf_posix_update refuses before anything asks for it. */
    static const char *const nowhere[] = {"http://unknown.invalid"};
    struct hf_client_config config = posix->config.view.client;
    char instance[HF_INSTANCE_MAX];

    hf_device_instance(posix->state_dir, posix->config.view.device_id, instance);
    config.instance = instance;
    if (config.n_urls == 0) {
        config.urls = nowhere;
        config.n_urls = 1;
    }
    HF_TRY(hf_http_transport_new(posix->trust_store, posix->config.view.server_ca,
                                 posix->config.view.has_legacy_ciphers, &posix->transport, why));
    allow_redirects(posix);
    HF_TRY(hf_lookout_new(&posix->config.view, posix->log, &posix->lookout, why));
    struct hf_ports ports = hf_posix_ports(posix);
    if (posix->client == NULL)
        return hf_client_open(&ports, &config, &posix->client, why);
    return hf_client_configure(posix->client, &ports, &config, why);
}

static enum hf_err open_parts(struct hf_posix *posix, const char *state_dir, struct hf_why *why)
{
    if (hf_file_absolute(state_dir, &posix->state_dir, why) != HF_OK)
        return hf_fail_context(why, "the state folder");
    HF_TRY(hf_sqlite_store_open(posix->state_dir, false, &posix->store, why));
    HF_TRY(hf_config_load(posix->store, &posix->config, why));
    HF_TRY(hf_trust_store_new(&posix->trust_store, why));
    return apply_config(posix, why);
}

/* Another process may have changed the configuration. On failure everything stays as it was. */
static enum hf_err follow_config(struct hf_posix *posix, struct hf_why *why)
{
    struct hf_stored_config stored = {0};

    HF_TRY(hf_config_load(posix->store, &stored, why));
    if (hf_config_is_same(&stored.view, &posix->config.view)) {
        hf_stored_config_free(&stored);
        return HF_OK;
    }
    const struct hf_posix before = *posix;
    posix->config = stored;
    hf_stored_config_settle(&posix->config);
    posix->transport = NULL;
    posix->lookout = NULL;
    enum hf_err err = apply_config(posix, why);
    struct hf_posix unused = err == HF_OK ? before : *posix;
    if (err != HF_OK) {
        *posix = before;
        hf_stored_config_settle(&posix->config);
    } else {
        posix->device_id[0] = '\0';
        posix->told_from_s = posix->told_until_s = 0;
    }
    hf_lookout_free(unused.lookout);
    hf_http_transport_free(unused.transport);
    hf_stored_config_free(&unused.config);
    return err;
}

enum hf_err hf_posix_open(const char *state_dir, struct hf_log_port log, struct hf_posix **out,
                          struct hf_why *why)
{
    if (sodium_init() < 0)
        return hf_fail(why, HF_E_STATE, "the cryptographic library cannot be initialised");
    hf_json_seed(randombytes_random());
    struct hf_posix *posix = calloc(1, sizeof(*posix));
    if (posix == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory opening %s", state_dir);
    posix->log = log;
    enum hf_err err = open_parts(posix, state_dir, why);
    if (err != HF_OK) {
        hf_posix_close(posix);
        return err;
    }
    *out = posix;
    return HF_OK;
}

void hf_posix_close(struct hf_posix *posix)
{
    if (posix == NULL)
        return;
    hf_client_close(posix->client);
    hf_lookout_free(posix->lookout);
    hf_http_transport_free(posix->transport);
    hf_trust_store_free(posix->trust_store);
    hf_stored_config_free(&posix->config);
    hf_sqlite_store_close(posix->store);
    free(posix->state_dir);
    free(posix);
}

/* ---- update and export -------------------------------------------------------------------------- */

/* The update's own error comes first; what became of the followers is then in the journal. */
static enum hf_err update_locked(struct hf_posix *posix, struct hf_update_result *out,
                                 struct hf_why *why)
{
    struct hf_update_result result = {0};
    struct hf_why told_why = {0};

    enum hf_err err = hf_client_update(posix->client, &result, why);
    hf_http_transport_idle(posix->transport);
    enum hf_err told = hf_followers_tell(posix, &told_why);
    if (told != HF_OK)
        hf_posix_journal(posix, HF_LEVEL_ERROR, "followers", told_why.text);
    hf_posix_secure(posix);
    if (err != HF_OK)
        return err;
    if (told != HF_OK)
        return hf_fail(why, told, "%s", told_why.text);
    memcpy(result.export_fault, posix->export_fault.text, sizeof result.export_fault);
    *out = result;
    return HF_OK;
}

enum hf_err hf_posix_update(struct hf_posix *posix, struct hf_update_result *out,
                            struct hf_why *why)
{
    int lock = -1;

    HF_TRY(hf_sqlite_store_refresh(posix->store, why));
    HF_TRY(hf_posix_is_writable(posix, why));
    HF_TRY(follow_config(posix, why));
    HF_TRY(hf_lock_take(posix->state_dir, HF_POSIX_LOCK_WAIT_MS, &lock, why));
    enum hf_err err = update_locked(posix, out, why);
    hf_lock_release(lock);
    return err;
}

/* What this process read must still be what is stored, or it would undo another one's change. */
static enum hf_err replace_config(struct hf_posix *posix, const struct hf_posix_config *config,
                                  struct hf_why *why)
{
    struct hf_stored_config stored = {0};

    HF_TRY(hf_config_load(posix->store, &stored, why));
    bool is_same = hf_config_is_same(&stored.view, &posix->config.view);
    hf_stored_config_free(&stored);
    if (!is_same)
        return hf_fail(why, HF_E_BUSY,
                       "another program has changed the configuration in this moment; run the "
                       "command again");
    if (!hf_text_is_same(config->client.set, posix->config.view.client.set) ||
        !hf_text_is_same(config->client.profile, posix->config.view.client.profile))
        HF_TRY(hf_client_keep_floors(posix->client, why));
    return hf_config_replace(posix->store, config, why);
}

enum hf_err hf_posix_configure(struct hf_posix *posix, const struct hf_posix_config *config,
                               struct hf_why *why)
{
    int lock = -1;

    HF_TRY(hf_posix_is_writable(posix, why));
    HF_TRY(hf_config_check(config, &posix->config.view, why));
    HF_TRY(hf_lock_take(posix->state_dir, HF_POSIX_LOCK_WAIT_MS, &lock, why));
    enum hf_err err = replace_config(posix, config, why);
    hf_posix_secure(posix);
    hf_lock_release(lock);
    return err == HF_OK ? follow_config(posix, why) : err;
}

static enum hf_err export_to(struct hf_posix *posix, const char *file, bool keep_current,
                             struct hf_why *why)
{
    struct hf_buf pem = {0};

    enum hf_err err = hf_owner_check_path(file, why);
    if (err == HF_OK)
        err = hf_client_export_pem(posix->client, &pem, why);
    if (err == HF_OK)
        err = hf_file_replace(file, hf_buf_bytes(&pem), HF_EXPORT_MODE, why);
    hf_buf_free(&pem);
    if (err == HF_OK && keep_current) {
        struct hf_posix_config config = posix->config.view;
        config.export_file = file;
        err = hf_posix_configure(posix, &config, why);
    }
    return err;
}

enum hf_err hf_posix_export(struct hf_posix *posix, const char *file, bool keep_current,
                            struct hf_why *why)
{
    char *path = NULL;

    if (keep_current)
        HF_TRY(hf_posix_is_writable(posix, why));
    HF_TRY(hf_file_absolute(file, &path, why));
    enum hf_err err = export_to(posix, path, keep_current, why);
    free(path);
    return err;
}

/* ---- the application's word ------------------------------------------------------------------ */

/* What the application says of the bundle that is on trial, and who else must hear of it. */

enum hf_err hf_posix_confirm(struct hf_posix *posix, struct hf_why *why)
{
    int lock = -1;

    HF_TRY(hf_posix_is_writable(posix, why));
    HF_TRY(hf_lock_take(posix->state_dir, HF_POSIX_LOCK_WAIT_MS, &lock, why));
    enum hf_err err = hf_client_confirm(posix->client, why);
    hf_posix_secure(posix);
    hf_lock_release(lock);
    return err;
}

/* The bundle before is active from here on, whatever becomes of the followers. */
static enum hf_err reject_locked(struct hf_posix *posix, const char *reason, struct hf_why *why)
{
    struct hf_why told_why = {0};

    HF_TRY(hf_client_reject(posix->client, reason, why));
    enum hf_err told = hf_followers_tell(posix, &told_why);
    if (told == HF_OK)
        return HF_OK;
    hf_posix_journal(posix, HF_LEVEL_ERROR, "followers", told_why.text);
    return hf_fail(why, told, "%s", told_why.text);
}

enum hf_err hf_posix_reject(struct hf_posix *posix, const char *reason, struct hf_why *why)
{
    int lock = -1;

    HF_TRY(hf_posix_is_writable(posix, why));
    HF_TRY(hf_lock_take(posix->state_dir, HF_POSIX_LOCK_WAIT_MS, &lock, why));
    enum hf_err err = reject_locked(posix, reason, why);
    hf_posix_secure(posix);
    hf_lock_release(lock);
    return err;
}

/* ---- factory reset --------------------------------------------------------------------------- */

/* Factory reset of a STATE, and the root metadata as a file for firmware that has a reset of its own. */

static enum hf_err tell_followers(struct hf_posix *posix, struct hf_why *why)
{
    enum hf_err err = hf_followers_tell(posix, why);

    if (err != HF_OK)
        hf_posix_journal(posix, HF_LEVEL_ERROR, "followers", why->text);
    return err;
}

/* The device is reset from here on, whatever becomes of the followers, or of the copy of the database. */
static enum hf_err reset_locked(struct hf_posix *posix, struct hf_bytes factory_pem,
                                struct hf_why *why)
{
    struct hf_why told_why = {0};
    struct hf_why kept_why = {0};

    HF_TRY(hf_client_reset(posix->client, factory_pem, why));
    enum hf_err told = tell_followers(posix, &told_why);
    enum hf_err kept = hf_sqlite_store_sync(posix->store, &kept_why);
    if (told != HF_OK)
        return hf_fail(why, told, "this device is reset, but %s", told_why.text);
    if (kept != HF_OK)
        return hf_fail(why, kept, "this device is reset, but %s", kept_why.text);
    return HF_OK;
}

enum hf_err hf_posix_reset(struct hf_posix *posix, struct hf_bytes factory_pem, struct hf_why *why)
{
    int lock = -1;

    HF_TRY(hf_posix_is_writable(posix, why));
    HF_TRY(hf_lock_take(posix->state_dir, HF_POSIX_LOCK_WAIT_MS, &lock, why));
    enum hf_err err = reset_locked(posix, factory_pem, why);
    hf_lock_release(lock);
    return err;
}

enum hf_err hf_posix_export_root(struct hf_posix *posix, const char *file, struct hf_why *why)
{
    struct hf_buf root = {0};
    char *path = NULL;

    HF_TRY(hf_file_absolute(file, &path, why));
    enum hf_err err = hf_owner_check_path(path, why);
    if (err == HF_OK)
        err = hf_client_export_root(posix->client, &root, why);
    if (err == HF_OK)
        err = hf_file_replace(path, hf_buf_bytes(&root), HF_EXPORT_MODE, why);
    hf_buf_free(&root);
    free(path);
    return err;
}
