/* An open state folder: opened and closed, configured and made from its configuration, asked for
 * its parts. */
#include "client/port/posix/posix_internal.h"

#include "client/port/identity/token_uri.h"
#include "client/port/posix/owner.h"

#include "common/base/names.h"
#include "common/json/json.h"
#include "common/os/file_util.h"

#include <sodium.h>
#include <stdlib.h>

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
    if (posix->endpoint_probe != NULL)
        ports.endpoints = hf_endpoint_probe_port(posix->endpoint_probe);
    return ports;
}

/* hf_config_check has accepted them; what was damaged since allows nothing. */
static void allow_redirects(struct hf_posix *posix)
{
    const struct hf_posix_config *config = &posix->config.view;
    struct hf_redirect_targets targets = {0};
    struct hf_endpoint host;
    struct hf_url url;

    for (size_t i = 0; i < config->client.n_urls && targets.n < HF_REDIRECT_TARGETS_MAX; i++) {
        if (hf_url_parse(config->client.urls[i], &url, NULL) == HF_OK)
            targets.hosts[targets.n++] = url.peer;
    }
    for (size_t i = 0; i < config->n_redirect_hosts && targets.n < HF_REDIRECT_TARGETS_MAX; i++) {
        if (hf_endpoint_parse(hf_bytes_of_text(config->redirect_hosts[i]), 0, &host, NULL) == HF_OK)
            targets.hosts[targets.n++] = host;
    }
    hf_http_transport_allow_redirects(posix->transport, &targets);
}

void hf_posix_log(const struct hf_posix *posix, enum hf_level level, const char *text)
{
    if (posix->log.write != NULL)
        posix->log.write(posix->log.ctx, level, text);
}

/* A group that was damaged in the database is none: with fewer of them a device only waits longer
 * for its turn in a rollout, and without its trust store it could not even be repaired. */
static size_t copy_groups(const struct hf_posix *posix, const char *out[HF_GROUPS_MAX])
{
    const struct hf_client_config *stored = &posix->config.view.client;
    size_t n = 0;

    for (size_t i = 0; i < stored->n_groups; i++) {
        if (stored->groups[i] != NULL && hf_set_name_is_valid(stored->groups[i]))
            out[n++] = stored->groups[i];
    }
    if (n < stored->n_groups)
        hf_posix_log(posix, HF_LEVEL_WARNING,
                     "a stored group is damaged and does not count; `holdfast config set groups` "
                     "replaces them");
    return n;
}

/* The key of the port, else that in the configured token, else files. */
static void choose_key(struct hf_posix *posix)
{
    if (posix->has_port_key)
        return;
    posix->key = NULL;
    if (posix->token != NULL) {
        posix->device_key = hf_pkcs11_key_port(posix->token);
        posix->key = &posix->device_key;
    }
}

/* What is made from the configuration. An existing client continues with the new one. */
static enum hf_err apply_config(struct hf_posix *posix, struct hf_why *why)
{
    /* Without its database a device knows no mirror. It can serve its store all the same, and this
     * name of RFC 6761 leads nowhere. hf_posix_update refuses before anything asks for it. */
    static const char *const nowhere[] = {"http://unknown.invalid"};
    const struct hf_posix_config *view = &posix->config.view;
    struct hf_client_config config = view->client;
    struct hf_shown_identity *identity = NULL;
    struct hf_why damaged = {0}, unknown = {0};
    const char *groups[HF_GROUPS_MAX];
    char instance[HF_INSTANCE_MAX];

    posix->device_id[0] = '\0';
    hf_device_instance(posix->state_dir, view->client.device_id, instance);
    config.device_id = NULL;
    if (hf_posix_device_id(posix, &config.device_id, &unknown) != HF_OK)
        hf_posix_log(posix, HF_LEVEL_DEBUG, unknown.text);
    config.n_groups = copy_groups(posix, groups);
    config.groups = groups;
    config.instance = instance;
    if (config.n_urls == 0) {
        config.urls = nowhere;
        config.n_urls = 1;
    }
    HF_TRY(hf_http_transport_new(posix->trust_store, view->server_ca, view->has_legacy_ciphers,
                                 &posix->transport, why));
    allow_redirects(posix);
    if (hf_pkcs11_uri_is(view->client_key_file) &&
        hf_pkcs11_key_new(view->client_key_file, &posix->token, &damaged) != HF_OK)
        hf_posix_log(posix, HF_LEVEL_WARNING, damaged.text);
    choose_key(posix);
    HF_TRY(hf_shown_identity_new(posix->state_dir, view, &posix->key, posix->log, &identity, why));
    hf_http_transport_identify_take(posix->transport, identity);
    HF_TRY(hf_endpoint_probe_new(view, &posix->key, posix->log, &posix->endpoint_probe, why));
    struct hf_ports ports = hf_posix_ports(posix);
    HF_TRY(posix->client == NULL ? hf_client_open(&ports, &config, &posix->client, why)
                                 : hf_client_configure(posix->client, &ports, &config, why));
    /* Last, because it is the process's and would outlast a failure. */
    if (view->accepts_common_names != posix->accepts_common_names)
        hf_trust_store_accept_common_names(view->accepts_common_names);
    posix->accepts_common_names = view->accepts_common_names;
    hf_posix_apply_reports(posix);
    return HF_OK;
}

enum hf_err hf_posix_reload_config(struct hf_posix *posix, struct hf_why *why)
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
    posix->endpoint_probe = NULL;
    posix->token = NULL;
    enum hf_err err = apply_config(posix, why);
    struct hf_posix unused = err == HF_OK ? before : *posix;
    if (err != HF_OK) {
        *posix = before;
        hf_stored_config_settle(&posix->config);
    } else {
        posix->notified_from_s = posix->notified_until_s = 0;
    }
    hf_endpoint_probe_free(unused.endpoint_probe);
    hf_http_transport_free(unused.transport);
    hf_pkcs11_key_free(unused.token);
    hf_stored_config_free(&unused.config);
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
    HF_TRY(
        hf_config_check(config, &posix->config.view, posix->has_port_key ? posix->key : NULL, why));
    if (config->export_file != NULL &&
        !hf_text_is_same(config->export_file, posix->config.view.export_file))
        HF_TRY(hf_owner_check_output(config->export_file, why));
    HF_TRY(hf_lock_take(posix->state_dir, HF_LOCK_WAIT_MS, &lock, why));
    enum hf_err err = replace_config(posix, config, why);
    hf_posix_secure(posix);
    hf_file_unlock(lock);
    return err == HF_OK ? hf_posix_reload_config(posix, why) : err;
}

void hf_posix_use_device_key(struct hf_posix *posix, const struct hf_device_key *key)
{
    posix->has_port_key = key != NULL;
    if (key != NULL) {
        posix->device_key = *key;
        posix->key = &posix->device_key;
    }
    choose_key(posix);
    hf_http_transport_forget_identity(posix->transport);
}

enum hf_err hf_posix_open(const char *state_dir, struct hf_log_port log, struct hf_posix **out,
                          struct hf_why *why)
{
    if (sodium_init() < 0)
        return hf_fail(why, HF_E_STATE, "the cryptographic library cannot be initialised");
    hf_json_seed(randombytes_random());
    struct hf_posix *posix = calloc(1, sizeof *posix);
    if (posix == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory opening %s", state_dir);
    posix->log = log;
    enum hf_err err = hf_file_absolute(state_dir, &posix->state_dir, why);
    if (err != HF_OK)
        (void)hf_fail_context(why, "the state folder");
    if (err == HF_OK)
        err = hf_sqlite_store_open(posix->state_dir, false, &posix->store, why);
    if (err == HF_OK)
        err = hf_config_load(posix->store, &posix->config, why);
    if (err == HF_OK)
        err = hf_trust_store_new(&posix->trust_store, why);
    if (err == HF_OK)
        err = apply_config(posix, why);
    if (err == HF_OK)
        *out = posix;
    else
        hf_posix_close(posix);
    return err;
}

void hf_posix_close(struct hf_posix *posix)
{
    if (posix == NULL)
        return;
    if (posix->accepts_common_names)
        hf_trust_store_accept_common_names(false);
    hf_client_close(posix->client);
    hf_endpoint_probe_free(posix->endpoint_probe);
    hf_http_transport_free(posix->transport);
    hf_pkcs11_key_free(posix->token);
    hf_trust_store_free(posix->trust_store);
    hf_stored_config_free(&posix->config);
    hf_sqlite_store_close(posix->store);
    free(posix->state_dir);
    free(posix);
}

struct hf_client *hf_posix_client(struct hf_posix *posix)
{
    return posix->client;
}

struct hf_trust_store *hf_posix_trust_store(struct hf_posix *posix)
{
    return posix->trust_store;
}

const struct hf_posix_config *hf_posix_config(const struct hf_posix *posix)
{
    return &posix->config.view;
}

enum hf_err hf_posix_is_writable(const struct hf_posix *posix, struct hf_why *why)
{
    return hf_store_check_writable(posix->store, why);
}

enum hf_err hf_posix_device_id(struct hf_posix *posix, const char **out, struct hf_why *why)
{
    const struct hf_posix_config *config = &posix->config.view;

    if (config->client.device_id != NULL) /* the database may have been damaged since it was set */
        HF_TRY(hf_device_id_check(config->client.device_id, why));
    else if (posix->device_id[0] == '\0')
        HF_TRY(config->device_id_file != NULL
                   ? hf_device_id_from_file(config->device_id_file, posix->device_id, why)
                   : hf_device_id_derive(HF_MACHINE_ID_FILE, posix->device_id, why));
    *out = config->client.device_id != NULL ? config->client.device_id : posix->device_id;
    return HF_OK;
}

void hf_posix_journal(struct hf_posix *posix, enum hf_level level, const char *kind,
                      const char *text)
{
    struct hf_clock_port clock = hf_system_clock_port();
    struct hf_event event = {clock.now_s(clock.ctx), level, kind, text};
    struct hf_why why = {0};

    hf_posix_log(posix, level, text);
    if (hf_store_append_event(posix->store, &event, &why) != HF_OK)
        hf_posix_log(posix, HF_LEVEL_WARNING, why.text);
}

void hf_posix_secure(struct hf_posix *posix)
{
    struct hf_why why = {0};

    if (hf_sqlite_store_sync(posix->store, &why) != HF_OK)
        hf_posix_log(posix, HF_LEVEL_WARNING, why.text);
}

enum hf_err hf_posix_journal_read(struct hf_posix *posix, size_t max,
                                  void (*each)(void *ctx, const struct hf_event *event), void *ctx,
                                  struct hf_why *why)
{
    return hf_sqlite_store_events(posix->store, max, each, ctx, why);
}
