#include "server/serve/config_files.h"

#include <pwd.h>

static void pair_files(const struct hf_config_list *chains, const struct hf_config_list *keys,
                       struct hf_tls_certificate *out)
{
    for (size_t i = 0; i < chains->n; i++)
        out[i] = (struct hf_tls_certificate){chains->items[i], keys->items[i]};
}

enum hf_err hf_config_tls(const struct hf_config_list *chains, const struct hf_config_list *keys,
                          struct hf_tls_server **server, struct hf_why *why)
{
    struct hf_tls_certificate certificates[HF_CONFIG_LIST_MAX];
    pair_files(chains, keys, certificates);
    return hf_tls_server_new(certificates, chains->n, server, why);
}

enum hf_err hf_config_tls_again(const struct hf_config_list *chains,
                                const struct hf_config_list *keys, struct hf_tls_server *server,
                                struct hf_tls_contexts **out, struct hf_why *why)
{
    struct hf_tls_certificate certificates[HF_CONFIG_LIST_MAX];
    pair_files(chains, keys, certificates);
    return hf_tls_server_read(server, certificates, chains->n, out, why);
}

enum hf_err hf_config_balancers(const struct hf_config_list *texts, struct hf_network *out,
                                size_t *n, struct hf_why *why)
{
    _Static_assert(HF_CONFIG_LIST_MAX <= HF_HTTP_BALANCERS_MAX, "all of the file have room");
    for (size_t i = 0; i < texts->n; i++)
        if (hf_network_parse(texts->items[i], &out[i], why) != HF_OK)
            return hf_fail_context(why, "[devices] balancer");
    *n = texts->n;
    return HF_OK;
}

enum hf_err hf_config_webhook(const struct hf_config *config, struct hf_webhook_target **out,
                              struct hf_why *why)
{
    const struct hf_webhook_config webhook = {.url = config->webhook.url,
                                              .secret_file = config->webhook.secret_file,
                                              .ca_file = config->webhook.ca_file};
    *out = NULL;
    return webhook.url != NULL ? hf_webhook_target_new(&webhook, out, why) : HF_OK;
}

struct hf_check_settings hf_config_audits(const struct hf_config *c)
{
    return (struct hf_check_settings){
        .ca_expiring_s = c->audits.ca_expiring_s,
        .certificate_expiring_s = c->audits.certificate_expiring_s,
        .certificate_age_s = c->audits.certificate_age_s,
        .rotation_stuck_s = c->audits.rotation_stuck_s,
        .device_silent_s = c->audits.device_silent_s,
        .device_silent_after_update_s = c->audits.device_silent_after_update_s,
        .device_behind_s = c->audits.device_behind_s,
        .anchor_ends_s = c->audits.anchor_ends_s,
        .clock_wrong_s = c->audits.clock_wrong_s,
        .conflict_s = c->audits.conflict_s,
        .metadata_ending_s = c->audits.metadata_ending_s,
        .online_metadata_ending_s = c->audits.online_metadata_ending_s,
        .weak_keys = (const char *const *)c->audits.weak_keys.items,
        .n_weak_keys = c->audits.weak_keys.n,
        .crls = (const char *const *)c->audits.crls.items,
        .n_crls = c->audits.crls.n,
    };
}

static enum hf_err check_listener(const char *section, const char *listen,
                                  const struct hf_config_list *certificates,
                                  const struct hf_config_list *keys, struct hf_why *why)
{
    union hf_peer address;
    struct hf_tls_server *tls = NULL;
    if (listen == NULL)
        return HF_OK;
    enum hf_err err = hf_address_parse(listen, &address, why);
    if (err != HF_OK)
        return hf_fail_context(why, "[%s] listen", section);
    err = hf_config_tls(certificates, keys, &tls, why);
    hf_tls_server_free(tls);
    return err == HF_OK ? HF_OK : hf_fail_context(why, "[%s]", section);
}

enum hf_err hf_config_check_files(const struct hf_config *c, struct hf_why *why)
{
    struct hf_network balancers[HF_HTTP_BALANCERS_MAX];
    struct hf_webhook_target *webhook = NULL;
    size_t n = 0;
    const char *user = c->signer.client_user;
    HF_TRY(hf_config_balancers(&c->devices.balancers, balancers, &n, why));
    if (user != NULL && getpwnam(user) == NULL)
        return hf_fail(why, HF_E_NOT_FOUND, "[signer] client_user: there is no user \"%s\"", user);
    HF_TRY(hf_config_webhook(c, &webhook, why));
    hf_webhook_target_free(webhook);
    HF_TRY(check_listener("devices", c->devices.listen, &c->devices.certificates, &c->devices.keys,
                          why));
    return check_listener("admin", c->admin.listen, &c->admin.certificates, &c->admin.keys, why);
}
