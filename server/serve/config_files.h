/* What the configuration names: certificates with their keys, networks, addresses, a user, a
 * webhook; and what it says of audits. At the start, at a reload, and for --check-config. Errors:
 * HF_E_ARGUMENT, HF_E_NOT_FOUND, HF_E_KEY, … in words. */
#ifndef HF_SERVE_CONFIG_FILES_H
#define HF_SERVE_CONFIG_FILES_H

#include "server/config/config.h"
#include "server/findings/check.h"
#include "server/http/settings.h"
#include "server/http/tls.h"
#include "server/serve/webhook.h"

HF_MUST_USE enum hf_err hf_config_tls(const struct hf_config_list *chains,
                                      const struct hf_config_list *keys,
                                      struct hf_tls_server **server, struct hf_why *why);
/** The same files again, for hf_tls_server_take. */
HF_MUST_USE enum hf_err hf_config_tls_again(const struct hf_config_list *chains,
                                            const struct hf_config_list *keys,
                                            struct hf_tls_server *server,
                                            struct hf_tls_contexts **out, struct hf_why *why);
/** `out` has room for HF_HTTP_BALANCERS_MAX. */
HF_MUST_USE enum hf_err hf_config_balancers(const struct hf_config_list *texts,
                                            struct hf_network *out, size_t *n, struct hf_why *why);

/** `*out` is NULL without a webhook. */
HF_MUST_USE enum hf_err hf_config_webhook(const struct hf_config *config,
                                          struct hf_webhook_target **out, struct hf_why *why);

/** [audits]; it borrows the lists. */
struct hf_check_settings hf_config_audits(const struct hf_config *config);

/** Would all that it names let the service start? Changes nothing. */
HF_MUST_USE enum hf_err hf_config_check_files(const struct hf_config *config, struct hf_why *why);

#endif
