/* The part of the configuration that is about the device's own servers: the table endpoint, and of
 * config the client certificate, awaits_confirm and has_legacy_ciphers. */
#ifndef HF_CLIENT_PORT_POSIX_CONFIG_ENDPOINTS_H
#define HF_CLIENT_PORT_POSIX_CONFIG_ENDPOINTS_H

#include "client/port/posix/config_store.h"

/** As hf_config_check. */
HF_MUST_USE enum hf_err hf_config_check_endpoints(const struct hf_posix_config *config,
                                                  struct hf_why *why);

/** Put those of `config`, which was checked, in place of what is stored. Part of a transaction. */
HF_MUST_USE enum hf_err hf_config_replace_endpoints(struct hf_sqlite_store *store,
                                                    const struct hf_posix_config *config,
                                                    struct hf_why *why);

/** The table endpoint; `out->view.n_endpoints` says how many. */
HF_MUST_USE enum hf_err hf_config_load_endpoints(struct hf_sqlite_store *store,
                                                 struct hf_stored_config *out, struct hf_why *why);
void hf_config_free_endpoints(struct hf_stored_config *config);

#endif
