/* What `holdfast init` writes down and every later start reads: the tables config and mirror. */
#ifndef HF_CLIENT_PORT_POSIX_CONFIG_STORE_H
#define HF_CLIENT_PORT_POSIX_CONFIG_STORE_H

#include <holdfast/posix.h>

#include "client/port/posix/sqlite_store.h"
#include "common/base/limits.h"

/* A configuration that owns its texts. `view` points into it, so it is not to be copied. */
struct hf_stored_config {
    struct hf_posix_config view;
    char *urls[HF_MIRRORS_MAX];
    char *set;
    char *profile;
    char *device_id;
    char *device_id_file;
    char *server_ca;
    char *export_file;
    char *on_swap;
    struct hf_posix_endpoint endpoints[HF_ENDPOINTS_MAX]; /* their texts are owned */
    char *client_cert_file;
    char *client_key_file;
};

/** In words: addresses, names, id, PEM and paths, before anything is written. Reads the client
 *  certificate and its key. HF_E_ARGUMENT. */
HF_MUST_USE enum hf_err hf_config_check(const struct hf_posix_config *config, struct hf_why *why);

/** Of a new store. HF_E_STATE when it has a configuration already. */
HF_MUST_USE enum hf_err hf_config_save(struct hf_sqlite_store *store,
                                       const struct hf_posix_config *config, struct hf_why *why);

/**
 * `out` is all zero before; hf_stored_config_free it. Where the database cannot be read, set and
 * profile are those of the active bundle and nothing else is known (`view.client.n_urls` is 0).
 */
HF_MUST_USE enum hf_err hf_config_load(struct hf_sqlite_store *store, struct hf_stored_config *out,
                                       struct hf_why *why);
void hf_stored_config_free(struct hf_stored_config *config);

/** Remember where the active store is kept as PEM. */
HF_MUST_USE enum hf_err hf_config_set_export(struct hf_sqlite_store *store, const char *file,
                                             struct hf_why *why);

/** Replace endpoints, client certificate, awaits_confirm and has_legacy_ciphers, after checking them as above. */
HF_MUST_USE enum hf_err hf_config_set_endpoints(struct hf_sqlite_store *store,
                                                const struct hf_posix_config *config,
                                                struct hf_why *why);

#endif
