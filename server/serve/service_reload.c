/* A reload of the fleet part: all that can fail comes before the first change. */
#include "server/serve/service_parts.h"

#include "common/os/service.h"
#include "server/serve/config_files.h"

#include <stdlib.h>

/* What a reload has read, before it changes anything. */
struct fresh {
    struct hf_tls_contexts *devices_tls, *admin_tls; /* NULL: no such listener */
    struct hf_http_settings *devices, *operators;
    struct hf_check_settings *audits;
    struct hf_webhook_target *webhook; /* NULL: none is configured */
};

static void fresh_free(struct fresh *fresh)
{
    hf_tls_contexts_unref(fresh->devices_tls);
    hf_tls_contexts_unref(fresh->admin_tls);
    hf_http_settings_unref(fresh->devices);
    hf_http_settings_unref(fresh->operators);
    free(fresh->audits);
    hf_webhook_target_free(fresh->webhook);
}

static enum hf_err fresh_read(struct hf_service *s, const struct hf_config *c,
                              const struct hf_http_settings *settings, struct fresh *out,
                              struct hf_why *why)
{
    struct hf_http_settings devices = *settings, operators = *settings;
    const struct hf_check_settings audits = hf_config_audits(c);
    operators.connections_max = HF_SERVICE_OPERATORS_MAX;
    HF_TRY(
        hf_config_balancers(&c->devices.balancers, devices.balancers, &devices.n_balancers, why));
    HF_TRY(hf_http_settings_new(&devices, &out->devices, why));
    HF_TRY(hf_http_settings_new(&operators, &out->operators, why));
    if (s->device_tls != NULL && c->devices.certificates.n > 0)
        HF_TRY(hf_config_tls_again(&c->devices.certificates, &c->devices.keys, s->device_tls,
                                   &out->devices_tls, why));
    if (s->admin_tls != NULL && c->admin.certificates.n > 0)
        HF_TRY(hf_config_tls_again(&c->admin.certificates, &c->admin.keys, s->admin_tls,
                                   &out->admin_tls, why));
    HF_TRY(hf_config_webhook(c, &out->webhook, why));
    out->audits = hf_check_settings_copy(&audits);
    return out->audits != NULL ? HF_OK : hf_fail(why, HF_E_MEMORY, "no memory for the audits");
}

static void fresh_take(struct hf_service *s, struct fresh *fresh, const struct hf_config *config,
                       struct hf_http_settings *plain)
{
    if (fresh->devices_tls != NULL)
        hf_tls_server_take(s->device_tls, fresh->devices_tls);
    if (fresh->admin_tls != NULL)
        hf_tls_server_take(s->admin_tls, fresh->admin_tls);
    fresh->devices_tls = fresh->admin_tls = NULL;
    for (unsigned i = 0; i < s->n_fronts; i++) {
        struct front *front = &s->fronts[i];
        if (front->is_running)
            hf_loop_offer(&front->loop, front->is_plain         ? plain
                                        : front->is_for_devices ? fresh->devices
                                                                : fresh->operators);
    }
    hf_auditor_offer_take(s->auditor, fresh->audits, config->audits.every_s);
    hf_webhook_offer_take(s->webhook, fresh->webhook);
    fresh->audits = NULL;
    fresh->webhook = NULL;
    hf_fleet_set_report_keep(s->fleet, config->database.report_keep_s);
    hf_api_set_unverified_max(&s->api, config->database.unverified_reports);
}

enum hf_err hf_service_reload(struct hf_service *service, const struct hf_config *config,
                              struct hf_http_settings *settings, struct hf_why *why)
{
    struct fresh fresh = {0};
    enum hf_err err = fresh_read(service, config, settings, &fresh, why);
    /* Also when it is the same: the reload before may have asked for it in vain. */
    if (err == HF_OK)
        err = hf_fleet_set_sni_optional(service->fleet,
                                        config->devices.sni == HF_CONFIG_SNI_OPTIONAL, why);
    if (err == HF_OK) {
        fresh_take(service, &fresh, config, settings);
        hf_service_log(HF_LOG_INFO, "new connections get the certificates as they are on disk");
    }
    fresh_free(&fresh);
    return err;
}
