/* The part of the configuration that is about the device's own servers: the table endpoint. */
#ifndef HF_CLIENT_PORT_POSIX_CONFIG_ENDPOINTS_H
#define HF_CLIENT_PORT_POSIX_CONFIG_ENDPOINTS_H

#include "client/port/posix/config_store.h"

/** As hf_config_check; the second is about the client certificate, which is read. */
HF_MUST_USE enum hf_err hf_config_check_endpoints(const struct hf_posix_config *config,
                                                  struct hf_why *why);
HF_MUST_USE enum hf_err hf_config_check_client_auth(const struct hf_posix_config *config,
                                                    struct hf_why *why);

bool hf_config_has_same_endpoints(const struct hf_posix_config *a, const struct hf_posix_config *b);

/** Put those of `config`, which was checked, in place of what is stored. Part of a transaction. */
HF_MUST_USE enum hf_err hf_config_replace_endpoints(struct hf_sqlite_store *store,
                                                    const struct hf_posix_config *config,
                                                    struct hf_why *why);

/** The table endpoint; `out->view.n_endpoints` says how many. */
HF_MUST_USE enum hf_err hf_config_load_endpoints(struct hf_sqlite_store *store,
                                                 struct hf_stored_config *out, struct hf_why *why);
void hf_config_free_endpoints(struct hf_stored_config *config);

#endif
