/* What `holdfast init` writes down, `holdfast config` changes and every check reads: the tables
 * config, mirror and endpoint. */
#ifndef HF_CLIENT_PORT_POSIX_CONFIG_STORE_H
#define HF_CLIENT_PORT_POSIX_CONFIG_STORE_H

#include <holdfast/posix.h>

#include "client/port/posix/sqlite_store.h"
#include "common/base/limits.h"
#include "common/tls/endpoint_url.h"

#define HF_CONFIG_TEXTS_MAX 16 /* columns of the table config; more than there are */

/* A configuration that owns its texts. `view` points into it: hf_stored_config_settle after a
 * move. */
struct hf_stored_config {
    struct hf_posix_config view;
    char *urls[HF_MIRRORS_MAX];
    char *redirect_hosts[HF_REDIRECT_HOSTS_MAX];
    char *texts[HF_CONFIG_TEXTS_MAX];
    char *groups[HF_GROUPS_MAX];
    char *endpoint_urls[HF_ENDPOINTS_MAX];
    char *endpoint_alpns[HF_ENDPOINTS_MAX];
    struct hf_posix_endpoint endpoints[HF_ENDPOINTS_MAX]; /* of these texts */
};

/** In words: addresses, names, id, PEM and paths, before anything is written. Reads the client
 *  certificate and its key, which is `key`, of the port, instead if that is not NULL. With
 *  `before`, only what differs from that. HF_E_ARGUMENT. */
HF_MUST_USE enum hf_err hf_config_check(const struct hf_posix_config *config,
                                        const struct hf_posix_config *before,
                                        const struct hf_device_key *key, struct hf_why *why);

/** Of one endpoint; `name` is its address in full. HF_E_ARGUMENT. */
HF_MUST_USE enum hf_err hf_config_check_endpoint(const struct hf_posix_endpoint *endpoint,
                                                 char name[HF_ENDPOINT_URL_TEXT],
                                                 struct hf_why *why);

/** NULL is the same as NULL only. */
bool hf_text_is_same(const char *a, const char *b);
bool hf_texts_are_same(const char *const *a, size_t n_a, const char *const *b, size_t n_b);
bool hf_config_has_same_urls(const struct hf_client_config *a, const struct hf_client_config *b);
bool hf_config_has_same_endpoints(const struct hf_posix_config *a, const struct hf_posix_config *b);
bool hf_config_is_same(const struct hf_posix_config *a, const struct hf_posix_config *b);

/** Of a new store. HF_E_STATE when it has a configuration already. */
HF_MUST_USE enum hf_err hf_config_save(struct hf_sqlite_store *store,
                                       const struct hf_posix_config *config, struct hf_why *why);

/**
 * `out` is all zero before; hf_stored_config_free it. Where the database cannot be read, set and
 * profile are those of the active bundle and nothing else is known (`view.client.n_urls` is 0).
 */
HF_MUST_USE enum hf_err hf_config_load(struct hf_sqlite_store *store, struct hf_stored_config *out,
                                       struct hf_why *why);
/** After it was moved to another place in memory. */
void hf_stored_config_settle(struct hf_stored_config *config);
void hf_stored_config_free(struct hf_stored_config *config);

/** Put `config`, which was checked, in place of what is stored. */
HF_MUST_USE enum hf_err hf_config_replace(struct hf_sqlite_store *store,
                                          const struct hf_posix_config *config, struct hf_why *why);

#endif
