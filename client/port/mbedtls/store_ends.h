/* Which anchors of a store have ended: whoever keeps sessions must know, and whoever has to tell a
 * store that is of no more use. No I/O. */
#ifndef HF_CLIENT_PORT_MBEDTLS_STORE_ENDS_H
#define HF_CLIENT_PORT_MBEDTLS_STORE_ENDS_H

#include <holdfast/trust_store.h>

/** When the last of its anchors expired or was removed, by the clock; INT64_MIN: none has. A
 *  verification at that time or before may rest on an anchor that is no longer usable. */
int64_t hf_trust_store_last_end(struct hf_trust_store *store);

/** Is any of its anchors usable, by the clock? */
bool hf_trust_store_has_usable(struct hf_trust_store *store);

#endif
