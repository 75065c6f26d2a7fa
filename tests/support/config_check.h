/* hf_trust_store_check_config on a world's client, for its tests. Fails the running test
 * (cmocka). */
#ifndef HF_TESTS_SUPPORT_CONFIG_CHECK_H
#define HF_TESTS_SUPPORT_CONFIG_CHECK_H

#include "tests/support/trust_world.h"

/** Run the check; neither the configuration nor the store may be another one afterwards. */
enum hf_err config_check(struct world *w, struct hf_why *why);
void config_check_passes(struct world *w);
/** Refused for what `part` says; and bound again, all is well. */
void config_check_is_caught(struct world *w, const char *part);

/** From now on the client speaks these versions, both included. */
void config_allow(struct world *w, mbedtls_ssl_protocol_version min,
                  mbedtls_ssl_protocol_version max);

/** Run `test` for TLS 1.2 and for 1.3, each in a fresh world that trusts CN=Root. */
void config_in_both_versions(void (*test)(struct world *w));

#endif
